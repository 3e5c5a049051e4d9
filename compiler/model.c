// SPDX-License-Identifier: Apache-2.0
/* model.c: building, copying, checking and printing a model.
 *
 * A model is a list of operations over named values, in an order in which operands come first; arrays of structs,
 * operands as indices. Passes make a copy and edit it; check_model says what must hold after each of them.
 */
#include "mmoec.h"

#include <assert.h>
#include <string.h>

static const struct {
    const char *name;
    int fewest, most;
} op_rows[] = {
#define OP(name, fewest, most, about) {#name, fewest, most},
#include "ops.def"
#undef OP
};

static const char *const act_names[] = {
#define ACT(name, formula) #name,
#include "acts.def"
#undef ACT
};

const char *op_name(enum op_kind kind) { return op_rows[kind].name; }

const char *act_name(enum act act) { return act_names[act]; }

uint64_t multiply_adds(const struct model *m, const struct op *op)
{
    uint64_t out = (uint64_t)m->values[op->out].width;
    if (op->kind == OP_dense)
        return (uint64_t)m->values[op->in[0]].width * out / (uint64_t)op->parts;
    return op->kind == OP_mix ? (uint64_t)(op->n_in - 1) * out : 0;
}

uint64_t parameters(const struct model *m, const struct op *op)
{
    uint64_t out = (uint64_t)m->values[op->out].width;
    switch (op->kind) {
    case OP_dense: return multiply_adds(m, op) + (op->n_in == 1 ? out : 0);
    case OP_batch_norm: return 4 * out;
    case OP_dice: return 3 * out;
    default: return 0;
    }
}

struct model *new_model(struct job *job) { return NEW(job, struct model); }

/* Makes room for one more element of a growing array; returns where it lies. */
static void *grow(struct job *job, void *array, int n, int *room, size_t size)
{
    if (n < *room)
        return array;
    *room = *room ? 2 * *room : 16;
    void *more = arena_array(&job->arena, (size_t)*room, size);
    if (n)
        memcpy(more, array, (size_t)n * size);
    return more;
}

int add_value(struct job *job, struct model *m, const char *name, int width, int op)
{
    m->values = grow(job, m->values, m->n_values, &m->room_values, sizeof *m->values);
    m->values[m->n_values] = (struct value){.name = name, .width = width, .type = F32, .axis = PER_ROW, .op = op};
    return m->n_values++;
}

struct op *add_op(struct job *job, struct model *m, enum op_kind kind, struct pos pos, const char *out_name, int width,
                  const int *in, int n_in)
{
    m->ops = grow(job, m->ops, m->n_ops, &m->room_ops, sizeof *m->ops);
    struct op *op = &m->ops[m->n_ops];
    *op = (struct op){.kind = kind, .pos = pos, .n_in = n_in, .parts = 1};
    op->in = NEW_ARRAY(job, (size_t)n_in, int);
    memcpy(op->in, in, (size_t)n_in * sizeof *in);
    op->out = add_value(job, m, out_name, width, m->n_ops);
    m->n_ops++;
    return op;
}

int add_want(struct job *job, struct model *m, struct want want)
{
    for (int i = 0; i < m->n_wants; i++)
        if (strcmp(m->wants[i].name, want.name) == 0)
            return i;
    m->wants = grow(job, m->wants, m->n_wants, &m->room_wants, sizeof *m->wants);
    m->wants[m->n_wants] = want;
    return m->n_wants++;
}

static void *copy_array(struct job *job, const void *from, int n, size_t size)
{
    void *to = arena_array(&job->arena, (size_t)n, size);
    if (n)
        memcpy(to, from, (size_t)n * size);
    return to;
}

struct model *copy_model(struct job *job, const struct model *m)
{
    struct model *c = NEW(job, struct model);
    *c = *m;
    c->values = copy_array(job, m->values, m->n_values, sizeof *m->values);
    c->ops = copy_array(job, m->ops, m->n_ops, sizeof *m->ops);
    c->inputs = copy_array(job, m->inputs, m->n_inputs, sizeof *m->inputs);
    c->outputs = copy_array(job, m->outputs, m->n_outputs, sizeof *m->outputs);
    c->wants = copy_array(job, m->wants, m->n_wants, sizeof *m->wants);
    c->room_values = c->n_values;
    c->room_ops = c->n_ops;
    c->room_wants = c->n_wants;
    for (int i = 0; i < c->n_ops; i++) {
        struct op *op = &c->ops[i];
        op->in = copy_array(job, op->in, op->n_in, sizeof *op->in);
        op->blocks = copy_array(job, op->blocks, op->n_blocks, sizeof *op->blocks);
    }
    return c;
}

/* Blocks of a dense layer cover its columns once, part by part, in ascending order. */
static void check_blocks(const struct model *m, const struct op *op)
{
    int in = m->values[op->in[0]].width, out = m->values[op->out].width;
    assert(op->parts >= 1 && in % op->parts == 0 && out % op->parts == 0);
    int part = 0, column = 0;
    for (int i = 0; i < op->n_blocks; i++) {
        const struct block *b = &op->blocks[i];
        if (column == out / op->parts) {
            part++;
            column = 0;
        }
        assert(b->part == part && b->column == column && "blocks out of order");
        assert(b->in == in / op->parts && b->out > 0 && b->row >= 0);
        assert(b->kernel >= 0 && b->kernel < m->n_wants && b->bias < m->n_wants);
        int rows = m->wants[b->kernel].dim[0];
        assert(m->user_inputs ? b->row + b->in <= rows : b->in == rows);
        assert(m->wants[b->kernel].dim[1] == b->out);
        column += b->out;
    }
    assert(part == op->parts - 1 && column == out / op->parts && "blocks do not cover the columns");
}

static void check_widths(const struct model *m, const struct op *op)
{
    int in = m->values[op->in[0]].width, out = m->values[op->out].width;
    int sum = 0;
    switch (op->kind) {
    case OP_dense:
        assert(op->n_in == 1 || m->values[op->in[1]].width == out);
        check_blocks(m, op);
        break;
    case OP_batch_norm: case OP_act: case OP_dice: case OP_softmax:
        assert(in == out);
        break;
    case OP_mix:
        assert(in == op->n_in - 1 && "a gate has one column an expert");
        for (int i = 1; i < op->n_in; i++)
            assert(m->values[op->in[i]].width == out);
        break;
    case OP_concat:
        for (int i = 0; i < op->n_in; i++)
            sum += m->values[op->in[i]].width;
        assert(sum == out);
        break;
    case OP_slice:
        assert(op->first >= 0 && op->first + out <= in);
        break;
    case OP_max: case OP_argmax:
        assert(out == 1);
        break;
    case OP_ziln:
        assert(in == 3 && out == 1);
        break;
    case N_OPS:
        bug("an operation of no kind");
    }
}

void check_model(const struct model *m)
{
    for (int i = 0; i < m->n_ops; i++) {
        const struct op *op = &m->ops[i];
        assert(op->n_in >= op_rows[op->kind].fewest && op->n_in <= op_rows[op->kind].most);
        assert(op->out >= 0 && op->out < m->n_values && m->values[op->out].op == i);
        for (int k = 0; k < op->n_in; k++) {
            assert(op->in[k] >= 0 && op->in[k] < m->n_values);
            assert(m->values[op->in[k]].op < i && "an operand is made later than it is used");
            assert((m->values[op->out].axis == PER_ROW || m->values[op->in[k]].axis == PER_USER) &&
                   "a user's value knows nothing of rows");
        }
        check_widths(m, op);
    }
    for (int i = 0; i < m->n_values; i++)
        assert(m->values[i].width > 0 && m->values[i].op < m->n_ops);
    for (int i = 0; i < m->n_outputs; i++)
        assert(m->outputs[i].value < m->n_values && m->values[m->outputs[i].value].width == m->outputs[i].width);
}

static void print_blocks(const struct model *m, const struct op *op, struct text *to)
{
    for (int i = 0; i < op->n_blocks; i++) {
        const struct block *b = &op->blocks[i];
        text_print(to, "        part %d columns %d..%d: %s", b->part, b->column, b->column + b->out - 1,
                   m->wants[b->kernel].name);
        if (b->in < m->wants[b->kernel].dim[0])
            text_print(to, ", rows %d..%d", b->row, b->row + b->in - 1);
        for (int k = 0; k < b->n_norms; k++)
            text_print(to, ", norm by %s", m->wants[b->norms[k].variance].name);
        text_print(to, "\n");
    }
}

static void print_inputs(const struct model *m, struct text *to)
{
    int columns = 0;
    for (int i = 0; i < m->n_inputs; i++) {
        const struct value *v = &m->values[m->inputs[i]];
        text_print(to, "%s [%d] = input%s\n", v->name, v->width, v->axis == PER_USER ? ", a row a user" : "");
        columns += v->width;
    }
    if (!m->user_inputs)
        return;
    text_print(to, "        the first %d columns are the user's; in EasyRec's order they are", m->user_inputs);
    for (int i = 0; i < columns; i++)
        text_print(to, " %d", m->input_order ? (int)m->input_order[i] : i);
    text_print(to, "\n");
}

void print_model(const struct model *m, struct text *to)
{
    print_inputs(m, to);
    for (int i = 0; i < m->n_ops; i++) {
        const struct op *op = &m->ops[i];
        text_print(to, "%s [%d] = %s", m->values[op->out].name, m->values[op->out].width, op_name(op->kind));
        if (op->kind == OP_act)
            text_print(to, " %s", act_name(op->act));
        if (op->kind == OP_slice)
            text_print(to, " from %d", op->first);
        if (op->parts > 1)
            text_print(to, " %d parts", op->parts);
        for (int k = 0; k < op->n_in; k++)
            text_print(to, "%s %s", k ? "," : "", m->values[op->in[k]].name);
        text_print(to, "\n");
        print_blocks(m, op, to);
    }
    for (int i = 0; i < m->n_outputs; i++)
        text_print(to, "output %s = %s\n", m->outputs[i].name, m->values[m->outputs[i].value].name);
}
