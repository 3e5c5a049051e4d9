// SPDX-License-Identifier: Apache-2.0
/* plain.c: a model as the C that one writes by hand: a row at a time, loops of constant length, weights [out][in] so
 * that a compiler with -ffast-math can make vectors of each sum.
 */
#include "bench.h"

#include <string.h>

struct plain {
    struct job *job;
    const struct model *m;
    struct text c, weights;
};

static const char dense_function[] =
    "static inline void dense(const float *w, int in, int out, int relu, const float *x, float *y)\n"
    "{\n"
    "    for (int j = 0; j < out; j++) {\n"
    "        float sum = w[in * out + j];\n"
    "        for (int k = 0; k < in; k++)\n"
    "            sum += x[k] * w[j * in + k];\n"
    "        y[j] = relu && sum < 0 ? 0 : sum;\n"
    "    }\n"
    "}\n\n"
    "static inline void softmax(int n, const float *x, float *y)\n"
    "{\n"
    "    float most = x[0], sum = 0;\n"
    "    for (int j = 1; j < n; j++)\n"
    "        most = x[j] > most ? x[j] : most;\n"
    "    for (int j = 0; j < n; j++)\n"
    "        sum += y[j] = expf(x[j] - most);\n"
    "    for (int j = 0; j < n; j++)\n"
    "        y[j] /= sum;\n"
    "}\n\n"
    "static inline void mix(float g, int n, const float *h, float *y)\n"
    "{\n"
    "    for (int j = 0; j < n; j++)\n"
    "        y[j] += g * h[j];\n"
    "}\n\n";

/* Is this operation's value read by one relu alone? Then it is computed with it. */
static const struct op *relu_behind(const struct model *m, int i)
{
    const struct op *next = i + 1 < m->n_ops ? &m->ops[i + 1] : NULL;
    return next && next->kind == OP_act && next->act == ACT_relu && next->in[0] == m->ops[i].out ? next : NULL;
}

static void add_weights_of(struct plain *p, const struct block *b)
{
    size_t in = (size_t)b->in, out = (size_t)b->out;
    double *kernel = NEW_ARRAY(p->job, in * out, double), *bias = NEW_ARRAY(p->job, out, double);
    float *w = NEW_ARRAY(p->job, in * out + out, float);
    if (!weigh(p->job, p->m, b, kernel, bias))
        die("a layer's weights");
    for (size_t j = 0; j < out; j++) {
        for (size_t k = 0; k < in; k++)
            w[j * in + k] = (float)kernel[k * out + j];
        w[in * out + j] = (float)bias[j];
    }
    text_add(&p->weights, (const char *)w, (in * out + out) * sizeof *w);
}

static void operation(struct plain *p, int i)
{
    const struct op *op = &p->m->ops[i];
    int width = p->m->values[op->out].width;
    switch (op->kind) {
    case OP_dense: {
        const struct op *relu = relu_behind(p->m, i);
        text_print(&p->c, "    dense(w + %zu, %d, %d, %d, v%d, v%d);\n", p->weights.length / sizeof(float),
                   op->blocks[0].in, width, relu != NULL, op->in[0], relu ? relu->out : op->out);
        add_weights_of(p, &op->blocks[0]);
        return;
    }
    case OP_act:
        if (op->act == ACT_sigmoid)
            text_print(&p->c, "    for (int j = 0; j < %d; j++)\n        v%d[j] = 1 / (1 + expf(-v%d[j]));\n", width,
                       op->out, op->in[0]);
        return;
    case OP_softmax: text_print(&p->c, "    softmax(%d, v%d, v%d);\n", width, op->in[0], op->out); return;
    case OP_mix:
        text_print(&p->c, "    for (int j = 0; j < %d; j++)\n        v%d[j] = 0;\n", width, op->out);
        for (int e = 1; e < op->n_in; e++)
            text_print(&p->c, "    mix(v%d[%d], %d, v%d, v%d);\n", op->in[0], e - 1, width, op->in[e], op->out);
        return;
    default: die("no plain C for %s", op_name(op->kind));
    }
}

static void write_text(struct job *job, const char *dir, const char *name, const struct text *t)
{
    if (!write_file(job, join_path(job, dir, name), t->data, t->length))
        die("%s/%s cannot be written", dir, name);
}

void write_plain(struct job *job, const struct model *m, const char *dir)
{
    struct plain p = {.job = job, .m = m, .c = {.arena = &job->arena}, .weights = {.arena = &job->arena}};
    text_print(&p.c, "#include <math.h>\n#include <stddef.h>\n\n%s", dense_function);
    text_print(&p.c, "static void score_row(const float *w, const float *v%d, float *y)\n{\n", m->inputs[0]);
    for (int i = 0; i < m->n_ops; i++)
        text_print(&p.c, "    float v%d[%d];\n", m->ops[i].out, m->values[m->ops[i].out].width);
    for (int i = 0; i < m->n_ops; i++)
        operation(&p, i);
    for (int i = 0; i < m->n_outputs; i++)
        text_print(&p.c, "    y[%d] = v%d[0];\n", i, m->outputs[i].value);
    text_print(&p.c, "}\n\nvoid plain_score(const float *w, const float *x, size_t rows, float *y)\n{\n"
                     "    for (size_t r = 0; r < rows; r++)\n        score_row(w, x + r * %d, y + r * %d);\n}\n",
               m->values[m->inputs[0]].width, m->n_outputs);
    write_text(job, dir, "plain.c", &p.c);
    write_text(job, dir, "plain.weights", &p.weights);
}
