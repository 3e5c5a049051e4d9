// SPDX-License-Identifier: Apache-2.0
/* tidy.c: drops what nothing reads.
 *
 * Needs: any model. Leaves: every operation reaches an output, every want is wanted by an operation, indices are
 * dense again; what is left means exactly what it meant.
 */
#include "mmoec.h"

/* Marks the values and operations that the outputs need. */
static void mark(const struct model *m, bool *value, bool *op)
{
    for (int i = 0; i < m->n_outputs; i++)
        value[m->outputs[i].value] = true;
    for (int i = 0; i < m->n_inputs; i++)
        value[m->inputs[i]] = true;
    for (int i = m->n_ops - 1; i >= 0; i--) {
        op[i] = value[m->ops[i].out];
        for (int k = 0; op[i] && k < m->ops[i].n_in; k++)
            value[m->ops[i].in[k]] = true;
    }
}

static void mark_norm(const struct norm *n, bool *want)
{
    const int index[] = {n->gamma, n->beta, n->mean, n->variance};
    for (size_t i = 0; i < COUNT(index); i++)
        if (index[i] >= 0)
            want[index[i]] = true;
}

static void mark_wants(const struct op *op, bool *want)
{
    if (op->kind == OP_batch_norm || op->kind == OP_dice)
        mark_norm(&op->norm, want);
    for (int i = 0; i < op->n_blocks; i++) {
        want[op->blocks[i].kernel] = true;
        if (op->blocks[i].bias >= 0)
            want[op->blocks[i].bias] = true;
        for (int k = 0; k < op->blocks[i].n_norms; k++)
            mark_norm(&op->blocks[i].norms[k], want);
    }
}

/* new[i]: the index of element i among those kept. Returns how many there are. */
static int number(const bool *kept, int n, int *new)
{
    int next = 0;
    for (int i = 0; i < n; i++)
        new[i] = kept[i] ? next++ : -1;
    return next;
}

static void renumber_norm(struct norm *n, const int *new)
{
    n->gamma = n->gamma < 0 ? -1 : new[n->gamma];
    n->beta = n->beta < 0 ? -1 : new[n->beta];
    n->mean = n->mean < 0 ? -1 : new[n->mean];
    n->variance = n->variance < 0 ? -1 : new[n->variance];
}

static void renumber_wants(struct job *job, struct op *op, const int *new)
{
    if (op->kind == OP_batch_norm || op->kind == OP_dice)
        renumber_norm(&op->norm, new);
    for (int i = 0; i < op->n_blocks; i++) {
        struct block *b = &op->blocks[i];
        b->kernel = new[b->kernel];
        b->bias = b->bias < 0 ? -1 : new[b->bias];
        struct norm *norms = NEW_ARRAY(job, (size_t)b->n_norms, struct norm);
        for (int k = 0; k < b->n_norms; k++) {
            norms[k] = b->norms[k];
            renumber_norm(&norms[k], new);
        }
        b->norms = norms;
    }
}

struct model *tidy(struct job *job, const struct model *before)
{
    if (!before)
        return NULL;
    struct model *m = copy_model(job, before);
    bool *value = NEW_ARRAY(job, (size_t)m->n_values, bool), *op = NEW_ARRAY(job, (size_t)m->n_ops, bool);
    bool *want = NEW_ARRAY(job, (size_t)m->n_wants, bool);
    mark(m, value, op);
    for (int i = 0; i < m->n_ops; i++)
        if (op[i])
            mark_wants(&m->ops[i], want);

    int *new_value = NEW_ARRAY(job, (size_t)m->n_values, int), *new_op = NEW_ARRAY(job, (size_t)m->n_ops, int);
    int *new_want = NEW_ARRAY(job, (size_t)m->n_wants, int);
    int n_values = number(value, m->n_values, new_value), n_ops = number(op, m->n_ops, new_op);
    int n_wants = number(want, m->n_wants, new_want);

    for (int i = 0; i < m->n_ops; i++) {
        if (!op[i])
            continue;
        struct op *kept = &m->ops[i];
        for (int k = 0; k < kept->n_in; k++)
            kept->in[k] = new_value[kept->in[k]];
        kept->out = new_value[kept->out];
        renumber_wants(job, kept, new_want);
        m->ops[new_op[i]] = *kept;
    }
    for (int i = 0; i < m->n_values; i++)
        if (value[i]) {
            struct value kept = m->values[i];
            kept.op = kept.op < 0 ? -1 : new_op[kept.op];
            m->values[new_value[i]] = kept;
        }
    for (int i = 0; i < m->n_wants; i++)
        if (want[i])
            m->wants[new_want[i]] = m->wants[i];
    for (int i = 0; i < m->n_inputs; i++)
        m->inputs[i] = new_value[m->inputs[i]];
    for (int i = 0; i < m->n_outputs; i++)
        m->outputs[i].value = new_value[m->outputs[i].value];
    m->n_values = n_values;
    m->n_ops = n_ops;
    m->n_wants = n_wants;
    return m;
}
