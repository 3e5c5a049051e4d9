// SPDX-License-Identifier: Apache-2.0
/* plan.c: every decision about the machine, as plain numbers.
 *
 * A plan is a straight list of kernel calls over a block of rows, with a place for every value: a buffer of scratch,
 * a slice of one, the caller's x or y. It depends on the structure of the model and on the target, never on the
 * values of weights. emit prints it, walk executes it, pack fills the arena that it lays out.
 *
 * Decisions, in the order they are made:
 *  - where values live: slices lie in their parent's buffer; element-wise operations work in place where nothing
 *    else reads what they overwrite;
 *  - steps: a dense layer becomes a call for each run of columns of a part with the same epilogue (relu is applied
 *    by the dense kernel, other activations by a kernel of their own);
 *  - scratch: buffers whose lives do not overlap share memory, first fit in the order of steps;
 *  - how many rows are scored together: as many as the target's record says, fewer if scratch would grow too large.
 */
#include "mmoec.h"

#include <assert.h>
#include <string.h>

const struct target targets[] = {
    {"x86-64", {"avx512", "avx2", "plain"}, 64, 1024 << 10, 1 << 20, "AVX-512, AVX2 and plain C, chosen when first called"},
    {"avx512", {"avx512"}, 64, 1024 << 10, 1 << 20, "AVX-512F only"},
    {"avx2", {"avx2"}, 64, 1024 << 10, 1 << 20, "AVX2 with FMA only"},
    {"aarch64", {"neon"}, 64, 1024 << 10, 1 << 20, "NEON"},
    {"generic-c", {"plain"}, 8, 64 << 10, SIZE_MAX, "plain C: no intrinsics, no dispatch, no state"},
    {0},
};

const struct numerics numerics_classes[] = {
    {"fma32", 1},
    {0},
};

const struct target *find_target(const char *name)
{
    for (const struct target *t = targets; t->name; t++)
        if (strcmp(t->name, name) == 0)
            return t;
    return NULL;
}

static const char *const kernel_names[] = {
#define KERNEL(name, ...) #name,
#include "../templates/kernels.def"
#undef KERNEL
};

const char *kernel_name(enum kernel kernel) { return kernel_names[kernel]; }

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* ---- where values live ---------------------------------------------------------------------------------------- */

struct home {
    int root;               /* the value whose buffer it is: an input or a value with a buffer of its own */
    int column;             /* first column in it */
};

struct planner {
    struct job *job;
    const struct model *m;
    struct plan *p;
    struct home *home;      /* [n_values] */
    bool **relu;            /* [n_values][width]: columns of a dense layer whose relu the dense kernel applies */
    bool *done;             /* [n_ops]: carried out by another operation's step */
    int room_steps, room_packed;
};

static bool overlaps(const struct planner *pl, int value, struct home h, int width)
{
    const struct home *v = &pl->home[value];
    return v->root == h.root && v->column < h.column + width && h.column < v->column + pl->m->values[value].width;
}

/* Does an operation in first .. last - 1 read the columns that `value` occupies? Slices are views, not readers. */
static bool read_between(const struct planner *pl, int value, int first, int last)
{
    const struct model *m = pl->m;
    for (int i = first; i < last; i++)
        for (int k = 0; m->ops[i].kind != OP_slice && k < m->ops[i].n_in; k++)
            if (overlaps(pl, m->ops[i].in[k], pl->home[value], m->values[value].width))
                return true;
    return false;
}

static bool read_by_outputs(const struct planner *pl, int value)
{
    const struct model *m = pl->m;
    for (int i = 0; i < m->n_outputs; i++)
        if (overlaps(pl, m->outputs[i].value, pl->home[value], m->values[value].width))
            return true;
    return false;
}

static bool is_input(const struct model *m, int value) { return m->values[value].op < 0; }

static bool element_wise(enum op_kind kind) { return kind == OP_act || kind == OP_dice || kind == OP_softmax; }

/* Slices lie where their operand lies. */
static void find_slices(struct planner *pl)
{
    const struct model *m = pl->m;
    for (int i = 0; i < m->n_ops; i++)
        if (m->ops[i].kind == OP_slice) {
            struct home h = pl->home[m->ops[i].in[0]];
            pl->home[m->ops[i].out] = (struct home){h.root, h.column + m->ops[i].first};
        }
}

static bool can_overwrite(const struct planner *pl, int i)
{
    int in = pl->m->ops[i].in[0];
    return !is_input(pl->m, pl->home[in].root) && !read_between(pl, in, i + 1, pl->m->n_ops) &&
           !read_by_outputs(pl, in);
}

/* Moves the results of element-wise operations onto their operands, in order; slices of a moved value move with it.
   When an operation is looked at, its result still has a home of its own, so its readers do not count. */
static void place_in_place(struct planner *pl)
{
    const struct model *m = pl->m;
    for (int i = 0; i < m->n_ops; i++)
        if (element_wise(m->ops[i].kind) && can_overwrite(pl, i)) {
            pl->home[m->ops[i].out] = pl->home[m->ops[i].in[0]];
            find_slices(pl);
        }
}

/* The dense layer whose columns `value` is, untouched, or -1. */
static int dense_under(const struct model *m, int value)
{
    int op = m->values[value].op;
    while (op >= 0 && m->ops[op].kind == OP_slice)
        op = m->values[m->ops[op].in[0]].op;
    return op >= 0 && m->ops[op].kind == OP_dense ? op : -1;
}

/* A relu in place on a dense layer's columns becomes that layer's epilogue. */
static void find_epilogues(struct planner *pl)
{
    const struct model *m = pl->m;
    for (int i = 0; i < m->n_ops; i++) {
        const struct op *op = &m->ops[i];
        if (op->kind == OP_dense)
            pl->relu[op->out] = NEW_ARRAY(pl->job, (size_t)m->values[op->out].width, bool);
        struct home h = pl->home[op->out];
        if (op->kind != OP_act || op->act != ACT_relu || h.root == op->out)
            continue;
        int dense = dense_under(m, op->in[0]);
        if (dense < 0 || read_between(pl, op->in[0], dense + 1, i))
            continue;
        for (int j = 0; j < m->values[op->out].width; j++)
            pl->relu[h.root][h.column + j] = true;
        pl->done[i] = true;
    }
}

/* ---- steps --------------------------------------------------------------------------------------------------------- */

static struct place place_of(const struct planner *pl, int value)
{
    struct home h = pl->home[value];
    if (!is_input(pl->m, h.root))
        return (struct place){IN_SCRATCH, h.root, (size_t)h.column, round_up((size_t)pl->m->values[h.root].width, 16)};
    size_t before = 0;
    for (int i = 0; pl->m->inputs[i] != h.root; i++)
        before += (size_t)pl->m->values[pl->m->inputs[i]].width;
    return (struct place){IN_X, h.root, before + (size_t)h.column, 0};
}

static struct step *add_step(struct planner *pl, enum kernel kernel, int out, const char *what)
{
    struct plan *p = pl->p;
    if (p->n_steps == pl->room_steps) {
        pl->room_steps = pl->room_steps ? 2 * pl->room_steps : 32;
        struct step *more = NEW_ARRAY(pl->job, (size_t)pl->room_steps, struct step);
        if (p->n_steps)
            memcpy(more, p->steps, (size_t)p->n_steps * sizeof *more);
        p->steps = more;
    }
    p->steps[p->n_steps] = (struct step){.kernel = kernel, .out = out, .what = what};
    return &p->steps[p->n_steps++];
}

/* Reserves room in the arena; returns where it lies. */
static size_t add_packed(struct planner *pl, struct packed item)
{
    struct plan *p = pl->p;
    if (p->n_packed == pl->room_packed) {
        pl->room_packed = pl->room_packed ? 2 * pl->room_packed : 32;
        struct packed *more = NEW_ARRAY(pl->job, (size_t)pl->room_packed, struct packed);
        if (p->n_packed)
            memcpy(more, p->packed, (size_t)p->n_packed * sizeof *more);
        p->packed = more;
    }
    item.at = p->weight_floats;
    p->weight_floats = round_up(p->weight_floats + item.floats, 16);
    p->packed[p->n_packed++] = item;
    return item.at;
}

#define PANEL 48                    /* columns of a panel: 8 x 3 vectors of AVX-512, 6 x 2 of AVX2, 8 x 3 of NEON divide it */
#define SMALL_BYTES (64 << 10)      /* of weights: rows in lanes read them faster than panels can be worth */

/* A small model's layer is one panel; all but the last of others are PANEL columns wide. */
static int panel_width(const struct planner *pl, int columns)
{
    return pl->p->small || columns < PANEL ? (int)round_up((size_t)columns, 8) : PANEL;
}

/* Panels, the last one tight to 8; each [1 + in][columns], its bias first. */
static size_t dense_floats(int in, int columns) { return (size_t)(1 + in) * round_up((size_t)columns, 8); }

/* A variable's name without its last part: the layer's. */
static int layer_length(const char *variable)
{
    const char *last = strrchr(variable, '/');
    return (int)(last ? (size_t)(last - variable) : strlen(variable));
}

/* What a run of columns is, by the variables that it comes from. */
static const char *run_name(const struct planner *pl, const struct op *op, int part, int column, int columns)
{
    const char *first = NULL, *last = NULL;
    for (int k = 0; k < op->n_blocks; k++) {
        const struct block *b = &op->blocks[k];
        if (b->part != part || b->column >= column + columns || b->column + b->out <= column)
            continue;
        last = pl->m->wants[b->kernel].name;
        first = first ? first : last;
    }
    int n = layer_length(first);
    return first == last ? arena_print(&pl->job->arena, "%.*s", n, first)
                         : arena_print(&pl->job->arena, "%.*s .. %.*s", n, first, layer_length(last), last);
}

static void plan_run(struct planner *pl, int i, int part, int column, int columns, bool relu)
{
    const struct op *op = &pl->m->ops[i];
    int in = pl->m->values[op->in[0]].width / op->parts, out = pl->m->values[op->out].width / op->parts;
    struct step *st = add_step(pl, KERNEL_dense, columns, run_name(pl, op, part, column, columns));
    st->in = in;
    st->panel = panel_width(pl, columns);
    st->relu = relu;
    st->x = place_of(pl, op->in[0]);
    st->x.at += (size_t)(part * in);
    st->y = place_of(pl, op->out);
    st->y.at += (size_t)(part * out + column);
    st->w = add_packed(pl, (struct packed){i, part, column, columns, st->panel, 0, dense_floats(in, columns)});
}

static void plan_dense(struct planner *pl, int i)
{
    const struct op *op = &pl->m->ops[i];
    int out = pl->m->values[op->out].width / op->parts;
    for (int part = 0; part < op->parts; part++) {
        const bool *relu = pl->relu[op->out] + part * out;
        for (int first = 0, end; first < out; first = end) {
            for (end = first; end < out && relu[end] == relu[first]; end++)
                ;
            plan_run(pl, i, part, first, end - first, relu[first]);
        }
    }
}

static void plan_unary(struct planner *pl, int i, enum kernel kernel)
{
    const struct op *op = &pl->m->ops[i];
    int n = pl->m->values[op->in[0]].width;
    struct step *st = add_step(pl, kernel, n, pl->m->values[op->out].name);
    st->act = op->act;
    st->x = place_of(pl, op->in[0]);
    st->y = place_of(pl, op->out);
    if (op->kind == OP_dice)
        st->w = add_packed(pl, (struct packed){i, 0, 0, n, 0, 0, 3 * round_up((size_t)n, 8)});
}

static void copy_to(struct planner *pl, int from, int to, int column)
{
    struct step *st = add_step(pl, KERNEL_copy, pl->m->values[from].width, pl->m->values[to].name);
    st->x = place_of(pl, from);
    st->y = place_of(pl, to);
    st->y.at += (size_t)column;
}

static void plan_concat(struct planner *pl, int i)
{
    const struct op *op = &pl->m->ops[i];
    for (int k = 0, column = 0; k < op->n_in; k++) {
        copy_to(pl, op->in[k], op->out, column);
        column += pl->m->values[op->in[k]].width;
    }
}

static void plan_mix(struct planner *pl, int i)
{
    const struct op *op = &pl->m->ops[i];
    struct step *st = add_step(pl, KERNEL_mix, pl->m->values[op->out].width, pl->m->values[op->out].name);
    st->experts = op->n_in - 1;
    st->g = place_of(pl, op->in[0]);
    st->y = place_of(pl, op->out);
    st->expert = NEW_ARRAY(pl->job, (size_t)st->experts, struct place);
    for (int e = 0; e < st->experts; e++)
        st->expert[e] = place_of(pl, op->in[1 + e]);
}

static void plan_op(struct planner *pl, int i)
{
    switch (pl->m->ops[i].kind) {
    case OP_dense: plan_dense(pl, i); return;
    case OP_act: plan_unary(pl, i, KERNEL_act); return;
    case OP_dice: plan_unary(pl, i, KERNEL_dice); return;
    case OP_softmax: plan_unary(pl, i, KERNEL_softmax); return;
    case OP_max: plan_unary(pl, i, KERNEL_max); return;
    case OP_argmax: plan_unary(pl, i, KERNEL_argmax); return;
    case OP_ziln: plan_unary(pl, i, KERNEL_ziln); return;
    case OP_mix: plan_mix(pl, i); return;
    case OP_concat: plan_concat(pl, i); return;
    case OP_slice: return;
    case OP_batch_norm: case N_OPS: break;
    }
    bug("no kernel for %s: a pass should have removed it", op_name(pl->m->ops[i].kind));
}

static void plan_outputs(struct planner *pl)
{
    const struct model *m = pl->m;
    size_t column = 0;
    for (int i = 0; i < m->n_outputs; i++) {
        struct step *st = add_step(pl, KERNEL_store, m->outputs[i].width, m->outputs[i].name);
        st->x = place_of(pl, m->outputs[i].value);
        st->y = (struct place){IN_Y, -1, column, (size_t)pl->p->outputs};
        column += (size_t)m->outputs[i].width;
    }
}

/* ---- preparing --------------------------------------------------------------------------------------------------- */

static bool lies_in_input(const struct model *m, int value)
{
    while (!is_input(m, value) && m->ops[m->values[value].op].kind == OP_slice)
        value = m->ops[m->values[value].op].in[0];
    return is_input(m, value);
}

static void insert_op(struct job *job, struct model *m, int at, struct op op)
{
    struct op *ops = NEW_ARRAY(job, (size_t)m->n_ops + 1, struct op);
    if (at)
        memcpy(ops, m->ops, (size_t)at * sizeof *ops);
    memcpy(ops + at + 1, m->ops + at, (size_t)(m->n_ops - at) * sizeof *ops);
    ops[at] = op;
    m->ops = ops;
    m->n_ops++;
    for (int i = 0; i < m->n_ops; i++)
        m->values[m->ops[i].out].op = i;
}

/* Kernels of the mixture read experts from scratch: an expert that is the model's input itself (an identity) is
   copied there, once. */
static const struct model *copy_input_experts(struct job *job, const struct model *from)
{
    struct model *m = copy_model(job, from);
    int *copy = NEW_ARRAY(job, (size_t)m->n_values, int);
    for (int i = 0; i < m->n_ops; i++)
        for (int k = 1; m->ops[i].kind == OP_mix && k < m->ops[i].n_in; k++) {
            int v = m->ops[i].in[k];
            if (!lies_in_input(m, v))
                continue;
            if (!copy[v]) {
                const char *name = arena_print(&job->arena, "%s, copied", m->values[v].name);
                copy[v] = add_value(job, m, name, m->values[v].width, i);
                struct op op = {.kind = OP_concat, .n_in = 1, .parts = 1, .out = copy[v]};
                op.in = NEW(job, int);
                op.in[0] = v;
                insert_op(job, m, i++, op);
            }
            m->ops[i].in[k] = copy[v];
        }
    return m;
}

/* ---- scratch --------------------------------------------------------------------------------------------------------- */

static void live(struct plan *p, int *buffer_of, const struct place *at, int step)
{
    if (at->region != IN_SCRATCH)
        return;
    struct buffer *b = &p->buffers[buffer_of[at->value]];
    b->from = b->from < 0 ? step : b->from;
    b->to = step;
}

static int places(const struct step *st, const struct place **at, int room)
{
    int n = 0;
    at[n++] = &st->x;
    at[n++] = &st->y;
    if (st->kernel == KERNEL_mix) {
        at[0] = &st->g;
        for (int e = 0; e < st->experts && n < room; e++)
            at[n++] = &st->expert[e];
    }
    return n;
}

/* A buffer for every root value that a step touches, with its life. */
static void find_buffers(struct planner *pl, int *buffer_of)
{
    struct plan *p = pl->p;
    const struct place **at = NEW_ARRAY(pl->job, (size_t)pl->m->n_values + 4, const struct place *);
    p->buffers = NEW_ARRAY(pl->job, (size_t)pl->m->n_values, struct buffer);
    for (int v = 0; v < pl->m->n_values; v++) {
        buffer_of[v] = -1;
        if (pl->home[v].root == v && !is_input(pl->m, v)) {
            buffer_of[v] = p->n_buffers;
            p->buffers[p->n_buffers++] =
                (struct buffer){v, 0, round_up((size_t)pl->m->values[v].width, 16), -1, -1};
        }
    }
    for (int i = 0; i < p->n_steps; i++)
        for (int k = 0, n = places(&p->steps[i], at, pl->m->n_values + 4); k < n; k++)
            live(p, buffer_of, at[k], i);
}

static bool lives_overlap(const struct buffer *a, const struct buffer *b) { return a->from <= b->to && b->from <= a->to; }

/* First fit: the lowest place where no buffer that lives at the same time lies. In floats a row. */
static size_t lay_out(struct plan *p)
{
    size_t high = 0;
    for (int i = 0; i < p->n_buffers; i++) {
        struct buffer *b = &p->buffers[i];
        for (int k = 0; k < i; k++) {
            const struct buffer *o = &p->buffers[k];
            if (lives_overlap(b, o) && b->at < o->at + o->floats && o->at < b->at + b->floats) {
                b->at = o->at + o->floats;
                k = -1;
            }
        }
        high = b->at + b->floats > high ? b->at + b->floats : high;
    }
    return high;
}

static void settle(const struct plan *p, const int *buffer_of, struct place *at)
{
    if (at->region == IN_SCRATCH)
        at->at += p->buffers[buffer_of[at->value]].at;
}

static void plan_scratch(struct planner *pl)
{
    struct plan *p = pl->p;
    int *buffer_of = NEW_ARRAY(pl->job, (size_t)pl->m->n_values, int);
    find_buffers(pl, buffer_of);
    size_t row_floats = lay_out(p);
    size_t rows = p->target->block_bytes / sizeof(float) / (row_floats ? row_floats : 1);
    p->row_block = rows < 8 ? 8 : rows < (size_t)p->target->row_block ? (int)rows : p->target->row_block;
    for (int i = 0; i < p->n_buffers; i++) {
        p->buffers[i].at *= (size_t)p->row_block;
        p->buffers[i].floats *= (size_t)p->row_block;
    }
    for (int i = 0; i < p->n_steps; i++) {
        struct step *st = &p->steps[i];
        settle(p, buffer_of, &st->x);
        settle(p, buffer_of, &st->y);
        settle(p, buffer_of, &st->g);
        for (int e = 0; e < st->experts; e++)
            settle(p, buffer_of, &st->expert[e]);
    }
    p->scratch_floats = row_floats * (size_t)p->row_block;
    p->test_floats = round_up((size_t)TEST_ROWS * (size_t)(p->inputs + p->outputs), 16);
}

static bool same_experts(const struct step *a, const struct step *b)
{
    if (a->kernel != KERNEL_mix || b->kernel != KERNEL_mix || a->experts != b->experts)
        return false;
    for (int e = 0; e < a->experts; e++)
        if (a->expert[e].at != b->expert[e].at || a->expert[e].stride != b->expert[e].stride)
            return false;
    return true;
}

static void number_lists(struct plan *p)
{
    int next = 0;
    for (int i = 0; i < p->n_steps; i++) {
        if (p->steps[i].kernel != KERNEL_mix)
            continue;
        int k = 0;
        while (!same_experts(&p->steps[k], &p->steps[i]))
            k++;
        p->steps[i].list = k < i ? p->steps[k].list : next++;
    }
}

/* ---- the plan ------------------------------------------------------------------------------------------------------------ */

static size_t count_weights(const struct model *m)
{
    size_t n = 0;
    for (int i = 0; i < m->n_ops; i++)
        n += (size_t)parameters(m, &m->ops[i]);
    return n;
}

static const struct numerics *find_numerics(const char *name)
{
    for (const struct numerics *n = numerics_classes; n->name; n++)
        if (!name || strcmp(n->name, name) == 0)
            return n;
    bug("unknown numerics: the command line lets none through");
}

void check_plan(const struct plan *p)
{
    for (int i = 0; i < p->n_buffers; i++) {
        const struct buffer *a = &p->buffers[i];
        assert(a->at % 16 == 0 && a->at + a->floats <= p->scratch_floats);
        for (int k = 0; k < i; k++) {
            const struct buffer *b = &p->buffers[k];
            assert(!lives_overlap(a, b) || a->at >= b->at + b->floats || b->at >= a->at + a->floats);
        }
    }
    size_t end = 0;
    for (int i = 0; i < p->n_packed; i++) {
        assert(p->packed[i].at >= end && p->packed[i].at % 16 == 0 && "weights are not in order of use");
        end = p->packed[i].at + p->packed[i].floats;
    }
    assert(end + ARENA_SLACK <= p->weight_floats);
}

static void print_place(const char *name, const struct place *at, struct text *to)
{
    static const char *const regions[] = {"x", "s", "y"};
    text_print(to, " %s=%s+%zu/%zu", name, regions[at->region], at->at, at->stride);
}

void print_plan(const struct plan *p, struct text *to)
{
    text_print(to, "target %s, %s, %d rows a block, scratch %zu floats, weights %zu floats\n", p->target->name,
               p->numerics->name, p->row_block, p->scratch_floats, p->weight_floats);
    for (int i = 0; i < p->n_steps; i++) {
        const struct step *st = &p->steps[i];
        text_print(to, "%3d %s", i, kernel_name(st->kernel));
        if (st->kernel == KERNEL_act)
            text_print(to, "_%s", act_name(st->act));
        if (st->relu)
            text_print(to, "_relu");
        if (st->in)
            text_print(to, " %d ->", st->in);
        text_print(to, " %d", st->out);
        print_place(st->kernel == KERNEL_mix ? "g" : "x", st->kernel == KERNEL_mix ? &st->g : &st->x, to);
        for (int e = 0; e < st->experts; e++)
            print_place("h", &st->expert[e], to);
        print_place("y", &st->y, to);
        if (st->in || st->kernel == KERNEL_dice)
            text_print(to, " w+%zu", st->w);
        text_print(to, "    %s\n", st->what);
    }
    for (int i = 0; i < p->n_buffers; i++) {
        const struct buffer *b = &p->buffers[i];
        text_print(to, "scratch %zu..%zu steps %d..%d    %s\n", b->at, b->at + b->floats, b->from, b->to,
                   p->model->values[b->value].name);
    }
}

struct plan *make_plan(struct job *job, const struct model *from)
{
    if (!from)
        return NULL;
    const struct model *m = copy_input_experts(job, from);
    struct plan *p = NEW(job, struct plan);
    p->model = m;
    p->target = find_target(job->options->target ? job->options->target : targets[0].name);
    p->numerics = find_numerics(job->options->numerics);
    for (int i = 0; i < m->n_inputs; i++)
        p->inputs += m->values[m->inputs[i]].width;
    for (int i = 0; i < m->n_outputs; i++)
        p->outputs += m->outputs[i].width;

    struct planner pl = {.job = job, .m = m, .p = p};
    pl.home = NEW_ARRAY(job, (size_t)m->n_values, struct home);
    pl.relu = NEW_ARRAY(job, (size_t)m->n_values, bool *);
    pl.done = NEW_ARRAY(job, (size_t)m->n_ops, bool);
    for (int v = 0; v < m->n_values; v++)
        pl.home[v] = (struct home){v, 0};
    p->small = count_weights(m) * sizeof(float) <= SMALL_BYTES;
    p->ahead = count_weights(m) * sizeof(float) > p->target->ahead_bytes;
    find_slices(&pl);
    place_in_place(&pl);
    find_epilogues(&pl);
    for (int i = 0; i < m->n_ops; i++)
        if (!pl.done[i])
            plan_op(&pl, i);
    plan_outputs(&pl);
    plan_scratch(&pl);
    number_lists(p);
    p->weight_floats = round_up(p->weight_floats + ARENA_SLACK, 16);
    check_plan(p);
    return p;
}
