// SPDX-License-Identifier: Apache-2.0
/* fuse.c: equal layers side by side.
 *
 * Needs: any model, best after fold. Leaves: dense layers that read one value are one wide layer, whose columns the
 * old layers' readers take as slices (the first layers of all experts and all gates: one pass over the input); equal
 * operations on neighbouring slices are one operation (a layer of all experts: `parts`). Values do not change at
 * all: every column is the same sum in the same order.
 *
 * Each step finds one group of operations, and rebuilds the model with one operation in the place of the group's
 * first; repeated until nothing is found. What became of an old value is kept in a map.
 *
 * Experts that are wide together stay apart: they fill the machine's vectors alone, and one after the other, each through
 * all of its layers, their values need little room.
 */
#include "mmoec.h"

#include <limits.h>
#include <string.h>

#define WIDE 2048                   /* columns of the widest fused layer */
#define NARROW 48                   /* columns of layers that are fused whatever their number: gates */

struct group {
    int *member;            /* operations, in the order of their columns; room for all of the model's */
    int n;
};

/* ---- finding ----------------------------------------------------------------------------------------------- */

/* Dense layers of up to `most` columns that read `value`; returns their columns together. */
static int collect_readers(const struct model *m, int value, int most, struct group *g)
{
    int columns = 0;
    g->n = 0;
    for (int i = 0; i < m->n_ops; i++) {
        const struct op *op = &m->ops[i];
        if (op->kind != OP_dense || op->parts != 1 || op->in[0] != value || m->values[op->out].width > most)
            continue;
        g->member[g->n++] = i;
        columns += m->values[op->out].width;
    }
    return columns;
}

/* Two or more dense layers that read `value` and gain from being one. */
static bool find_readers(const struct model *m, int value, struct group *g)
{
    if (collect_readers(m, value, INT_MAX, g) > WIDE)
        collect_readers(m, value, NARROW, g);
    return g->n > 1;
}

static const struct op *slice_under(const struct model *m, const struct op *op)
{
    int before = m->values[op->in[0]].op;
    return op->n_in == 1 && before >= 0 && m->ops[before].kind == OP_slice ? &m->ops[before] : NULL;
}

/* Can `op` become one share of a joined operation? Operations with numbers a unit of their own (dice, batch_norm)
   and those over all units (softmax) stay alone. */
static bool can_join(const struct op *op)
{
    return op->kind == OP_act || (op->kind == OP_dense && op->parts == 1);
}

static bool continues(const struct model *m, const struct op *last, const struct op *next)
{
    const struct op *a = slice_under(m, last), *b = slice_under(m, next);
    int width = m->values[a->out].width;
    return b && can_join(next) && next->kind == last->kind && next->act == last->act && b->in[0] == a->in[0] &&
           b->first == a->first + width && m->values[b->out].width == width &&
           m->values[next->out].width == m->values[last->out].width;
}

/* The longest run of joinable operations that begins with operation `first`. */
static bool find_run(const struct model *m, int first, struct group *g)
{
    if (!can_join(&m->ops[first]) || !slice_under(m, &m->ops[first]))
        return false;
    g->member[0] = first;
    g->n = 1;
    for (int i = first + 1; i < m->n_ops; i++)
        if (continues(m, &m->ops[g->member[g->n - 1]], &m->ops[i]))
            g->member[g->n++] = i;
    return g->n > 1;
}

/* ---- rebuilding ------------------------------------------------------------------------------------------------ */

struct rebuild {
    struct job *job;
    const struct model *from;
    struct model *to;
    int *map;               /* old value -> new value */
};

static const char *joined_name(struct rebuild *r, const struct group *g)
{
    const struct model *m = r->from;
    const char *first = m->values[m->ops[g->member[0]].out].name;
    const char *last = m->values[m->ops[g->member[g->n - 1]].out].name;
    return arena_print(&r->job->arena, "%s .. %s", first, last);
}

/* Columns first .. first + width of a new value; the value itself where that is all of it. */
static int slice(struct rebuild *r, int value, int first, int width, const char *name, struct pos pos)
{
    if (first == 0 && r->to->values[value].width == width)
        return value;
    struct op *op = add_op(r->job, r->to, OP_slice, pos, name, width, &value, 1);
    op->first = first;
    return op->out;
}

/* The members' outputs become slices of `joined`. */
static void share_out(struct rebuild *r, const struct group *g, int joined)
{
    const struct model *m = r->from;
    for (int i = 0, first = 0; i < g->n; i++) {
        const struct op *old = &m->ops[g->member[i]];
        const struct value *v = &m->values[old->out];
        r->map[old->out] = slice(r, joined, first, v->width, v->name, old->pos);
        first += v->width;
    }
}

static int total_width(const struct model *m, const struct group *g)
{
    int width = 0;
    for (int i = 0; i < g->n; i++)
        width += m->values[m->ops[g->member[i]].out].width;
    return width;
}

/* All blocks of the members: one after the other in the columns of one part, or each member a part. */
static void join_blocks(struct rebuild *r, const struct group *g, struct op *joined, bool parts)
{
    const struct model *m = r->from;
    int n = 0;
    for (int i = 0; i < g->n; i++)
        n += m->ops[g->member[i]].n_blocks;
    joined->blocks = NEW_ARRAY(r->job, (size_t)n, struct block);
    joined->n_blocks = 0;
    for (int i = 0, first = 0; i < g->n; i++) {
        const struct op *old = &m->ops[g->member[i]];
        for (int k = 0; k < old->n_blocks; k++) {
            struct block b = old->blocks[k];
            b.part = parts ? i : 0;
            b.column += parts ? 0 : first;
            joined->blocks[joined->n_blocks++] = b;
        }
        first += m->values[old->out].width;
    }
    joined->parts = parts ? g->n : 1;
}

static void add_wide_layer(struct rebuild *r, const struct group *g)
{
    const struct op *first = &r->from->ops[g->member[0]];
    int in = r->map[first->in[0]];
    struct op *wide = add_op(r->job, r->to, OP_dense, first->pos, joined_name(r, g), total_width(r->from, g), &in, 1);
    join_blocks(r, g, wide, false);
    share_out(r, g, wide->out);
}

static void add_joined(struct rebuild *r, const struct group *g)
{
    const struct model *m = r->from;
    const struct op *first = &m->ops[g->member[0]], *under = slice_under(m, first);
    int width = g->n * m->values[under->out].width;
    const char *name = arena_print(&r->job->arena, "%s, input", joined_name(r, g));
    int in = slice(r, r->map[under->in[0]], under->first, width, name, first->pos);
    struct op *joined = add_op(r->job, r->to, first->kind, first->pos, joined_name(r, g), total_width(m, g), &in, 1);
    joined->act = first->act;
    if (first->kind == OP_dense)
        join_blocks(r, g, joined, true);
    share_out(r, g, joined->out);
}

static void copy_op(struct rebuild *r, const struct op *old)
{
    const struct value *v = &r->from->values[old->out];
    int *in = NEW_ARRAY(r->job, (size_t)old->n_in, int);
    for (int k = 0; k < old->n_in; k++)
        in[k] = r->map[old->in[k]];
    struct op *op = add_op(r->job, r->to, old->kind, old->pos, v->name, v->width, in, old->n_in);
    int out = op->out;
    *op = *old;
    op->in = in;
    op->out = out;
    r->map[old->out] = out;
}

/* A model like `m` with the group's operations as one. */
static struct model *join(struct job *job, const struct model *m, const struct group *g,
                          void (*add)(struct rebuild *, const struct group *))
{
    struct rebuild r = {job, m, NEW(job, struct model), NEW_ARRAY(job, (size_t)m->n_values, int)};
    *r.to = *copy_model(job, m);
    r.to->n_ops = r.to->n_values = 0;
    for (int i = 0; i < m->n_values; i++)
        if (m->values[i].op < 0)
            r.map[i] = add_value(job, r.to, m->values[i].name, m->values[i].width, -1);
    bool *member = NEW_ARRAY(job, (size_t)m->n_ops, bool);
    for (int i = 0; i < g->n; i++)
        member[g->member[i]] = true;
    int first = m->n_ops;
    for (int i = 0; i < g->n; i++)
        first = g->member[i] < first ? g->member[i] : first;
    for (int i = 0; i < m->n_ops; i++) {
        if (i == first)
            add(&r, g);
        else if (!member[i])
            copy_op(&r, &m->ops[i]);
    }
    for (int i = 0; i < m->n_inputs; i++)
        r.to->inputs[i] = r.map[m->inputs[i]];
    for (int i = 0; i < m->n_outputs; i++)
        r.to->outputs[i].value = r.map[m->outputs[i].value];
    return r.to;
}

struct model *fuse(struct job *job, const struct model *before)
{
    if (!before)
        return NULL;
    struct model *m = copy_model(job, before);
    struct group g = {NEW_ARRAY(job, (size_t)m->n_ops, int), 0};
    for (int v = 0; v < m->n_values; v++)
        if (find_readers(m, v, &g)) {
            m = join(job, m, &g, add_wide_layer);
            g.member = NEW_ARRAY(job, (size_t)m->n_ops, int);
            v = -1;
        }
    for (int i = 0; i < m->n_ops; i++)
        if (find_run(m, i, &g)) {
            m = join(job, m, &g, add_joined);
            g.member = NEW_ARRAY(job, (size_t)m->n_ops, int);
            i = -1;
        }
    return m;
}
