// SPDX-License-Identifier: Apache-2.0
/* users.c: what is the user's alone, apart: the model as a request of one user with many items is scored. The plan
 * makes it beside that of whole rows; both have the same weights.
 *
 * Needs: a model of one input, whose first columns are the user's (user_inputs), best after tidy. Leaves: two inputs,
 * the user's and the item's; each dense layer over the old one is two, over the user's part from the bias, then over
 * the item's part onto the sums of the first. Every column is the same sum in the same order: values do not change at
 * all. The first of the two, like the user's input, is a value a user. Whatever else reads the old input reads both
 * parts side by side.
 */
#include "mmoec.h"

struct splitter {
    struct job *job;
    const struct model *from;
    struct model *to;
    int *map;               /* old value -> new value */
    int input;              /* the old one */
    int user, item;         /* the new ones */
    int whole;              /* both side by side; -1: nobody needed it yet */
};

static int add_input(struct splitter *s, const char *whose, int width, enum axis axis)
{
    struct model *m = s->to;
    const char *name = arena_print(&s->job->arena, "%s, the %s's", s->from->values[s->input].name, whose);
    int v = add_value(s->job, m, name, width, -1);
    m->values[v].axis = axis;
    m->inputs[m->n_inputs++] = v;
    return v;
}

/* Rows first .. first + in - 1 of the kernels of all blocks. */
static struct block *rows_of(struct splitter *s, const struct op *old, int first, int in)
{
    struct block *blocks = NEW_ARRAY(s->job, (size_t)old->n_blocks, struct block);
    for (int i = 0; i < old->n_blocks; i++) {
        blocks[i] = old->blocks[i];
        blocks[i].row = first;
        blocks[i].in = in;
    }
    return blocks;
}

static int add_share(struct splitter *s, const struct op *old, const char *name, const int *in, int n_in, int first)
{
    struct model *m = s->to;
    struct op *op = add_op(s->job, m, OP_dense, old->pos, name, s->from->values[old->out].width, in, n_in);
    op->blocks = rows_of(s, old, first, m->values[in[0]].width);
    op->n_blocks = old->n_blocks;
    return op->out;
}

static void split_layer(struct splitter *s, const struct op *old)
{
    const char *name = s->from->values[old->out].name;
    const char *users = arena_print(&s->job->arena, "%s, the user's part", name);
    int in[2] = {s->item, add_share(s, old, users, &s->user, 1, 0)};
    s->to->values[in[1]].axis = PER_USER;
    s->map[old->out] = add_share(s, old, name, in, 2, s->from->user_inputs);
}

static int whole_input(struct splitter *s)
{
    const int parts[2] = {s->user, s->item};
    const struct value *old = &s->from->values[s->input];
    if (s->whole < 0)
        s->whole = add_op(s->job, s->to, OP_concat, (struct pos){0}, old->name, old->width, parts, 2)->out;
    return s->whole;
}

static void copy_op(struct splitter *s, const struct op *old)
{
    const struct value *v = &s->from->values[old->out];
    int *in = NEW_ARRAY(s->job, (size_t)old->n_in, int);
    for (int k = 0; k < old->n_in; k++)
        in[k] = old->in[k] == s->input ? whole_input(s) : s->map[old->in[k]];
    struct op *op = add_op(s->job, s->to, old->kind, old->pos, v->name, v->width, in, old->n_in);
    int out = op->out;
    *op = *old;
    op->in = in;
    op->out = s->map[old->out] = out;
}

struct model *split_users(struct job *job, const struct model *from)
{
    struct model *m = copy_model(job, from);
    struct splitter s = {job, from, m, NEW_ARRAY(job, (size_t)from->n_values, int), from->inputs[0], 0, 0, -1};
    int width = from->values[s.input].width;
    m->n_values = m->n_ops = m->n_inputs = 0;
    m->inputs = NEW_ARRAY(job, 2, int);
    s.user = add_input(&s, "user", from->user_inputs, PER_USER);
    s.item = add_input(&s, "item", width - from->user_inputs, PER_ROW);
    for (int i = 0; i < from->n_ops; i++) {
        const struct op *old = &from->ops[i];
        if (old->kind == OP_dense && old->in[0] == s.input && old->parts == 1)
            split_layer(&s, old);
        else
            copy_op(&s, old);
    }
    for (int i = 0; i < m->n_outputs; i++)
        m->outputs[i].value = from->outputs[i].value == s.input ? whole_input(&s) : s.map[from->outputs[i].value];
    return m;
}
