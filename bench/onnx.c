// SPDX-License-Identifier: Apache-2.0
/* onnx.c: a model as an ONNX file.
 *
 * Two styles of the same network, of which neither is always the faster for ONNX Runtime. GEMM: a Gemm a layer, and a
 * mixture is a Sum of Mul. MATMUL: a layer of all experts is one batched MatMul [experts][in][out], and a mixture is a
 * Mul by the gate as [experts][rows][1] and a ReduceSum. Field numbers are those of onnx.proto3.
 *
 * How to read it: parts of the format, nodes, the operations of a model, the file.
 */
#include "bench.h"
#include "../tests/ckpt_writer.h"

#include <stdlib.h>
#include <string.h>

enum { FLOAT = 1, INT64 = 7 };      /* TensorProto.DataType */
#define OPSET 17

struct onnx {
    struct job *job;
    const struct model *m;
    enum style style;
    struct buf graph;
    int n_names;
    const char *stacked;            /* style MATMUL: [experts][rows][width], the experts' layer that was written last */
};

/* ---- parts of the format --------------------------------------------------------------------- */

static void add_bytes(struct buf *b, unsigned field, const void *bytes, size_t n)
{
    buf_varint(b, (uint64_t)field << 3 | 2);
    buf_varint(b, n);
    buf_add(b, bytes, n);
}

static void add_string(struct buf *b, unsigned field, const char *s) { add_bytes(b, field, s, strlen(s)); }

static void add_part(struct buf *b, unsigned field, struct buf *part)
{
    buf_message(b, field, part);
    buf_free(part);
}

static const char *new_name(struct onnx *o, const char *what)
{
    return arena_print(&o->job->arena, "%s_%d", what, o->n_names++);
}

/* A constant of the graph; its name. */
static const char *constant(struct onnx *o, int type, int rank, const int *dim, const void *data, size_t bytes)
{
    const char *name = new_name(o, "c");
    struct buf t = {0};
    for (int i = 0; i < rank; i++)
        buf_number(&t, 1, (uint64_t)dim[i]);
    buf_number(&t, 2, (uint64_t)type);
    add_string(&t, 8, name);
    add_bytes(&t, 9, data, bytes);
    add_part(&o->graph, 5, &t);
    return name;
}

static const char *integer(struct onnx *o, int64_t i) { return constant(o, INT64, 1, (int[]){1}, &i, sizeof i); }

/* An input or output of the graph: float [rows][width]. */
static void add_port(struct buf *graph, unsigned field, const char *name, int width)
{
    struct buf info = {0}, type = {0}, tensor = {0}, shape = {0}, rows = {0}, columns = {0};
    add_string(&rows, 2, "rows");
    buf_number(&columns, 1, (uint64_t)width);
    add_part(&shape, 1, &rows);
    add_part(&shape, 1, &columns);
    buf_number(&tensor, 1, FLOAT);
    add_part(&tensor, 2, &shape);
    add_part(&type, 1, &tensor);
    add_string(&info, 1, name);
    add_part(&info, 2, &type);
    add_part(graph, field, &info);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* An attribute that is an integer, or (list) a list of one. */
struct attribute {
    const char *name;
    int64_t value;
    bool list;
};

static void add_attribute(struct buf *node, const struct attribute *a)
{
    struct buf b = {0};
    add_string(&b, 1, a->name);
    buf_number(&b, a->list ? 8 : 3, (uint64_t)a->value);
    buf_number(&b, 20, a->list ? 7 : 2);
    add_part(node, 5, &b);
}

static void node(struct onnx *o, const char *kind, const char *const *in, int n_in, const char *const *out, int n_out,
                 const struct attribute *a)
{
    struct buf b = {0};
    for (int i = 0; i < n_in; i++)
        add_string(&b, 1, in[i]);
    for (int i = 0; i < n_out; i++)
        add_string(&b, 2, out[i]);
    add_string(&b, 4, kind);
    if (a)
        add_attribute(&b, a);
    add_part(&o->graph, 1, &b);
}

/* A node of one or two inputs and one new output. */
static const char *apply(struct onnx *o, const char *kind, const char *a, const char *b,
                         const struct attribute *attribute)
{
    const char *out = new_name(o, kind);
    node(o, kind, (const char *const[]){a, b}, b ? 2 : 1, &out, 1, attribute);
    return out;
}

/* ---- the operations of a model --------------------------------------------------------------- */

/* x, y0, y1, ... are the graph's own. */
static const char *value_name(struct onnx *o, int value)
{
    if (value == o->m->inputs[0])
        return "x";
    for (int i = 0; i < o->m->n_outputs; i++)
        if (value == o->m->outputs[i].value)
            return arena_print(&o->job->arena, "y%d", i);
    return arena_print(&o->job->arena, "v%d", value);
}

/* kernel [in][out] and bias [out] of a layer, behind what is there. */
static void add_layer(struct onnx *o, const struct op *op, float *kernel, float *bias)
{
    const struct block *b = &op->blocks[0];
    size_t n = (size_t)b->in * (size_t)b->out;
    double *w = NEW_ARRAY(o->job, n, double), *v = NEW_ARRAY(o->job, (size_t)b->out, double);
    if (op->n_blocks != 1 || op->parts != 1 || !weigh(o->job, o->m, b, w, v))
        die("a layer is not plain");
    for (size_t i = 0; i < n; i++)
        kernel[i] = (float)w[i];
    for (int j = 0; j < b->out; j++)
        bias[j] = (float)v[j];
}

/* Which expert makes this value; -1 if none. */
static int expert_of(const struct model *m, int value)
{
    int expert;
    return sscanf(m->values[value].name, "mmoe/expert_%d/", &expert) == 1 ? expert : -1;
}

static void dense(struct onnx *o, const struct op *op)
{
    int in = op->blocks[0].in, out = op->blocks[0].out;
    float *kernel = NEW_ARRAY(o->job, (size_t)in * (size_t)out, float), *bias = NEW_ARRAY(o->job, (size_t)out, float);
    add_layer(o, op, kernel, bias);
    const char *from[] = {value_name(o, op->in[0]),
                          constant(o, FLOAT, 2, (int[]){in, out}, kernel, (size_t)in * (size_t)out * sizeof *kernel),
                          constant(o, FLOAT, 1, &out, bias, (size_t)out * sizeof *bias)};
    const char *to = value_name(o, op->out);
    node(o, "Gemm", from, 3, &to, 1, NULL);
}

/* The same layer of all experts, which lie at equal distances in the list of operations. */
static void stacked_dense(struct onnx *o, const struct op *op, int experts)
{
    int in = op->blocks[0].in, out = op->blocks[0].out;
    size_t n = (size_t)in * (size_t)out;
    float *kernel = NEW_ARRAY(o->job, (size_t)experts * n, float);
    float *bias = NEW_ARRAY(o->job, (size_t)experts * (size_t)out, float);
    const char *tail = strchr(o->m->values[op->out].name + strlen("mmoe/"), '/');
    for (int i = 0; i < o->m->n_ops; i++) {
        const char *name = o->m->values[o->m->ops[i].out].name;
        int e = expert_of(o->m, o->m->ops[i].out);
        if (e >= 0 && strcmp(strchr(name + strlen("mmoe/"), '/'), tail) == 0)
            add_layer(o, &o->m->ops[i], kernel + (size_t)e * n, bias + (size_t)e * (size_t)out);
    }
    const char *from = o->stacked ? o->stacked : value_name(o, op->in[0]);
    const char *w = constant(o, FLOAT, 3, (int[]){experts, in, out}, kernel, (size_t)experts * n * sizeof *kernel);
    const char *b = constant(o, FLOAT, 3, (int[]){experts, 1, out}, bias, (size_t)experts * (size_t)out * sizeof *bias);
    o->stacked = apply(o, "Add", apply(o, "MatMul", from, w, NULL), b, NULL);
}

static void act(struct onnx *o, const struct op *op)
{
    const char *kind = op->act == ACT_relu ? "Relu" : op->act == ACT_sigmoid ? "Sigmoid" : NULL;
    const char *from = value_name(o, op->in[0]), *to = value_name(o, op->out);
    if (!kind)
        die("no node for %s", act_name(op->act));
    node(o, kind, &from, 1, &to, 1, NULL);
}

static void softmax(struct onnx *o, const struct op *op)
{
    const char *from = value_name(o, op->in[0]), *to = value_name(o, op->out);
    node(o, "Softmax", &from, 1, &to, 1, &(struct attribute){"axis", 1, false});
}

static void mix(struct onnx *o, const struct op *op)
{
    int experts = op->n_in - 1;
    const char **gate = NEW_ARRAY(o->job, (size_t)experts, const char *);
    const char **term = NEW_ARRAY(o->job, (size_t)experts, const char *);
    const char *from = value_name(o, op->in[0]), *to = value_name(o, op->out);
    for (int e = 0; e < experts; e++)
        gate[e] = new_name(o, "gate");
    node(o, "Split", &from, 1, gate, experts, &(struct attribute){"axis", 1, false});
    for (int e = 0; e < experts; e++)
        term[e] = apply(o, "Mul", gate[e], value_name(o, op->in[1 + e]), NULL);
    node(o, "Sum", term, experts, &to, 1, NULL);
}

static void stacked_mix(struct onnx *o, const struct op *op)
{
    const char *gate = apply(o, "Transpose", value_name(o, op->in[0]), NULL, NULL);
    gate = apply(o, "Unsqueeze", gate, integer(o, 2), NULL);
    const char *in[] = {apply(o, "Mul", o->stacked, gate, NULL), integer(o, 0)}, *to = value_name(o, op->out);
    node(o, "ReduceSum", in, 2, &to, 1, &(struct attribute){"keepdims", 0, false});
}

static int count_experts(const struct model *m)
{
    int n = 0;
    for (int i = 0; i < m->n_ops; i++) {
        int e = expert_of(m, m->ops[i].out);
        n = e + 1 > n ? e + 1 : n;
    }
    return n;
}

static void operation(struct onnx *o, const struct op *op, int experts)
{
    int expert = o->style == MATMUL ? expert_of(o->m, op->out) : -1;
    if (expert > 0)
        return;                     /* beside the first */
    switch (op->kind) {
    case OP_dense: expert < 0 ? dense(o, op) : stacked_dense(o, op, experts); return;
    case OP_act:
        if (expert < 0)
            act(o, op);
        else if (op->act == ACT_relu)
            o->stacked = apply(o, "Relu", o->stacked, NULL, NULL);
        else
            die("experts of %s", act_name(op->act));
        return;
    case OP_softmax: softmax(o, op); return;
    case OP_mix: o->style == MATMUL ? stacked_mix(o, op) : mix(o, op); return;
    default: die("no node for %s", op_name(op->kind));
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

void write_onnx(struct job *job, const struct model *m, enum style style, const char *path)
{
    struct onnx o = {.job = job, .m = m, .style = style};
    add_string(&o.graph, 2, "model");
    add_port(&o.graph, 11, value_name(&o, m->inputs[0]), m->values[m->inputs[0]].width);
    for (int i = 0; i < m->n_ops; i++)
        operation(&o, &m->ops[i], count_experts(m));
    for (int i = 0; i < m->n_outputs; i++)
        add_port(&o.graph, 12, value_name(&o, m->outputs[i].value), m->outputs[i].width);
    struct buf file = {0}, opset = {0};
    buf_number(&file, 1, 8);                    /* ir_version */
    add_part(&file, 7, &o.graph);
    buf_number(&opset, 2, OPSET);
    add_part(&file, 8, &opset);
    if (!write_file(job, path, file.data, file.n))
        die("%s cannot be written", path);
    buf_free(&file);
}
