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
 *  - steps: a dense layer becomes a call for each run of columns of a part with relu, then without (it is applied
 *    by the dense kernel, other activations by a kernel of their own);
 *  - scratch: buffers whose lives do not overlap share memory, first fit in the order of steps;
 *  - how many rows are scored together: as many as the target's record says, fewer if scratch would grow too large.
 *
 * A small model gets a second list of calls, for more than a few rows: the same steps with rows in lanes, so that vectors
 * are full whatever the widths of layers, between a step that loads x and those that store y.
 *
 * A model with user columns gets more lists for requests: what is the user's alone, once; then the user's items, rows
 * or lanes. The first list's results lie at the start of scratch, where the others leave them. All read the same arena:
 * a panel has the user's inputs before the item's, so that whole rows go through it in one, and requests through its
 * two parts.
 */
#include "mmoec.h"

#include <assert.h>
#include <string.h>

/* From how many rows on a block in lanes is faster than so many rows, one to four at a time, was measured on a model of
   8608 multiply-adds, and on one of 976. A block costs what a whole vector of rows does. */
static const struct isa isas[] = {
    {"avx512", 16, 24, 8, 8, 12, 12, 5},
    {"avx2", 8, 12, 6, 8, 12, 7, 5},
    {"neon", 4, 24, 8, 8, 12, 7, 5},
    {"plain", 1, 8, 1, 8, 12, 0, 0},
    {"mve", 4, 0, 0, 0, 0, 0, 0},               /* of the narrow kernel alone */
};

const struct isa *find_isa(const char *name)
{
    for (size_t i = 0; i < COUNT(isas); i++)
        if (strcmp(isas[i].name, name) == 0)
            return &isas[i];
    bug("no instruction set %s", name);
}

#define SERVER 64, 1024 << 10, 1 << 20, 16, false, "fma32"
#define NARROW 1, 64 << 10, SIZE_MAX, 4, true

/* A core without fused multiply-add would compute each by a dozen operations in double: there the class is muladd32. */
const struct target targets[] = {
    {"x86-64", {"avx512", "avx2", "plain"}, SERVER, "AVX-512, AVX2 and plain C, chosen when first called"},
    {"avx512", {"avx512"}, SERVER, "AVX-512F only"},
    {"avx2", {"avx2"}, SERVER, "AVX2 with FMA only"},
    {"aarch64", {"neon"}, SERVER, "NEON"},
    {"generic-c", {"plain"}, NARROW, "fma32", "plain C99: no intrinsics, no dispatch, no state"},
    {"cortex-m0", {"plain"}, NARROW, "muladd32", "plain C99, no FPU"},
    {"cortex-m3", {"plain"}, NARROW, "muladd32", "plain C99, no FPU"},
    {"cortex-m4f", {"plain"}, NARROW, "fma32", "plain C99, single precision FPU"},
    {"cortex-m7", {"plain"}, NARROW, "fma32", "plain C99, FPU"},
    {"cortex-m33", {"plain"}, NARROW, "fma32", "plain C99, single precision FPU"},
    {"cortex-m55", {"plain"}, NARROW, "fma32", "plain C99, FPU"},
    {"cortex-m55-mve", {"mve"}, NARROW, "fma32", "C99 with the intrinsics of MVE, which flushes subnormals"},
    {"rv32imc", {"plain"}, NARROW, "muladd32", "plain C99, no FPU"},
    {"rv32imafc", {"plain"}, NARROW, "fma32", "plain C99, single precision FPU"},
    {"wasm32", {"plain"}, NARROW, "muladd32", "plain C99, no fused multiply-add"},
    {0},
};

const struct numerics numerics_classes[] = {
    {"fma32", 1, "plain"},
    {"muladd32", 2, "muladd"},
    {0},
};

const struct target *find_target(const char *name)
{
    for (const struct target *t = targets; t->name; t++)
        if (strcmp(t->name, name) == 0)
            return t;
    return NULL;
}

bool is_plain_c(const struct target *t) { return strcmp(t->isas[0], "plain") == 0; }

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

/* Whose steps a form has: everybody's, the user's alone, or all others, which find what is the user's in scratch. */
enum share { EVERYBODYS, USERS, ITEMS };

struct planner {
    struct job *job;
    const struct model *m;  /* the plan's, or that with what is the user's apart */
    struct plan *p;
    struct home *home;      /* [n_values] */
    bool **relu;            /* [n_values][width]: columns of a dense layer whose relu the dense kernel applies */
    bool *done;             /* [n_ops]: carried out by another operation's step */
    struct form *form;      /* that is being made */
    bool in_lanes;          /* is it a lanes' form? */
    enum share share;       /* of that form */
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

static bool is_users(const struct planner *pl, int value) { return pl->m->values[value].axis == PER_USER; }

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

static void begin_model(struct planner *pl, const struct model *m, enum share share)
{
    pl->m = m;
    pl->share = share;
    pl->home = NEW_ARRAY(pl->job, (size_t)m->n_values, struct home);
    pl->relu = NEW_ARRAY(pl->job, (size_t)m->n_values, bool *);
    pl->done = NEW_ARRAY(pl->job, (size_t)m->n_ops, bool);
    for (int v = 0; v < m->n_values; v++)
        pl->home[v] = (struct home){v, 0};
    find_slices(pl);
    place_in_place(pl);
    find_epilogues(pl);
}

/* ---- steps --------------------------------------------------------------------------------------------------------- */

/* In x, where a model's input begins. Users and items have an x of their own. */
static struct place place_in_x(const struct planner *pl, int input, int column)
{
    size_t before = 0;
    for (int i = 0; pl->m->inputs[i] != input; i++)
        if (is_users(pl, pl->m->inputs[i]) == is_users(pl, input))
            before += (size_t)pl->m->values[pl->m->inputs[i]].width;
    return (struct place){IN_X, input, before + (size_t)column, 0};
}

/* Floats of a row of a buffer. */
static size_t padded(const struct planner *pl, int width) { return round_up((size_t)width, (size_t)pl->p->target->grain); }

/* What is a user's is one row for all of the user's items. */
static struct place place_of(const struct planner *pl, int value)
{
    struct home h = pl->home[value];
    if (pl->share == ITEMS && is_users(pl, h.root))
        return (struct place){IN_SCRATCH, h.root, (size_t)h.column, 0};
    if (pl->in_lanes)
        return (struct place){IN_SCRATCH, h.root, (size_t)h.column * LANES, LANES};
    if (is_input(pl->m, h.root))
        return place_in_x(pl, h.root, h.column);
    return (struct place){IN_SCRATCH, h.root, (size_t)h.column, padded(pl, pl->m->values[h.root].width)};
}

/* So many columns, in floats. */
static size_t columns_apart(const struct planner *pl, int columns) { return (size_t)columns * (pl->in_lanes ? LANES : 1); }

static struct step *add_step(struct planner *pl, enum kernel kernel, int out, const char *what)
{
    struct form *f = pl->form;
    if (f->n_steps == pl->room_steps) {
        pl->room_steps = pl->room_steps ? 2 * pl->room_steps : 32;
        struct step *more = NEW_ARRAY(pl->job, (size_t)pl->room_steps, struct step);
        if (f->n_steps)
            memcpy(more, f->steps, (size_t)f->n_steps * sizeof *more);
        f->steps = more;
    }
    f->steps[f->n_steps] = (struct step){.kernel = kernel, .out = out, .what = what};
    return &f->steps[f->n_steps++];
}

/* The operation of the plan's model that has the same weights: those of its first block, or dice's. */
static int origin_of(const struct planner *pl, const struct op *op)
{
    const struct model *m = pl->p->model;
    for (int i = 0; i < m->n_ops; i++) {
        const struct op *o = &m->ops[i];
        if (o->kind == op->kind && (op->kind == OP_dense ? o->blocks[0].kernel == op->blocks[0].kernel
                                                         : op->kind == OP_dice && o->norm.mean == op->norm.mean))
            return i;
    }
    bug("weights that no operation has");
}

static const struct packed *find_packed(const struct planner *pl, int op, int part, int column)
{
    for (int i = 0; i < pl->p->n_packed; i++)
        if (pl->p->packed[i].op == op && pl->p->packed[i].part == part && pl->p->packed[i].column == column)
            return &pl->p->packed[i];
    bug("columns that were not packed");
}

/* Reserves room in the arena; returns where it lies. All forms read the same arena: others find what the first
   reserved. */
static size_t add_packed(struct planner *pl, struct packed item)
{
    struct plan *p = pl->p;
    if (pl->form != &p->rows)
        return find_packed(pl, origin_of(pl, &pl->m->ops[item.op]), item.part, item.column)->at;
    if (p->n_packed == pl->room_packed) {
        pl->room_packed = pl->room_packed ? 2 * pl->room_packed : 32;
        struct packed *more = NEW_ARRAY(pl->job, (size_t)pl->room_packed, struct packed);
        if (p->n_packed)
            memcpy(more, p->packed, (size_t)p->n_packed * sizeof *more);
        p->packed = more;
    }
    item.at = p->weight_floats;
    p->weight_floats = round_up(p->weight_floats + item.floats, (size_t)p->target->grain);
    p->packed[p->n_packed++] = item;
    return item.at;
}

#define PANEL 48                    /* columns of a panel: 8 x 3 vectors of AVX-512, 6 x 2 of AVX2, 8 x 3 of NEON divide it */
#define NARROW_PANEL 4              /* columns that the narrow kernel computes together */
#define SMALL_BYTES (64 << 10)      /* of weights: rows in lanes read them faster than panels can be worth */

/* A small model's layer is one panel; all but the last of others are PANEL columns wide. */
static int panel_width(const struct planner *pl, int columns)
{
    if (pl->p->target->narrow)
        return NARROW_PANEL;
    return pl->p->small || columns < PANEL ? (int)round_up((size_t)columns, 8) : PANEL;
}

/* Panels, the last one tight to 8, or to 4 if none is wider; each [1 + in][columns], its bias first. */
static size_t dense_floats(int in, int columns, int panel)
{
    return (size_t)(1 + in) * round_up((size_t)columns, panel < 8 ? (size_t)panel : 8);
}

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

/* How many columns of a row may be written by a step that makes `columns` of them: what follows up to a multiple of 8 is
   free if it is padding, or if later steps write it. */
static int room_for(const struct planner *pl, const struct place *y, int columns)
{
    size_t room = round_up((size_t)columns, 8), width = round_up((size_t)pl->m->values[y->value].width, 16);
    if (pl->in_lanes || y->at + room > width)
        return columns;
    for (int i = 0; i < pl->form->n_steps - 1; i++) {
        const struct place *other = &pl->form->steps[i].y;
        if (other->region == IN_SCRATCH && other->value == y->value && other->at >= y->at + (size_t)columns &&
            other->at < y->at + room)
            return columns;
    }
    return (int)room;
}

static void plan_run(struct planner *pl, int i, int part, int column, int columns, int relu)
{
    const struct op *op = &pl->m->ops[i];
    int in = pl->m->values[op->in[0]].width / op->parts, out = pl->m->values[op->out].width / op->parts;
    bool narrow = pl->p->target->narrow, onto = op->n_in > 1;
    int all = pl->m->wants[op->blocks[0].kernel].dim[0];
    const char *what = run_name(pl, op, part, column, columns);
    if (is_users(pl, op->out))
        what = arena_print(&pl->job->arena, "%s, the user's part", what);
    struct step *st = add_step(pl, narrow ? KERNEL_narrow : onto ? KERNEL_onto : KERNEL_dense, columns, what);
    st->in = in;
    st->all = all;
    st->panel = panel_width(pl, columns);
    st->relu = relu;
    st->x = place_of(pl, op->in[0]);
    st->x.at += columns_apart(pl, part * in);
    st->y = place_of(pl, op->out);
    st->y.at += columns_apart(pl, part * out + column);
    st->room = narrow ? columns : room_for(pl, &st->y, columns);
    st->w = add_packed(pl, (struct packed){i, part, column, columns, st->panel, 0, dense_floats(in, columns, st->panel)});
    if (!onto)
        return;
    st->from = place_of(pl, op->in[1]);
    st->from.at += (size_t)(part * out + column);
    if (pl->in_lanes)                       /* one panel: the kernel takes the item's share of it */
        st->w += (size_t)(all - in) * round_up((size_t)columns, 8);
}

/* The user's part of a layer: in the runs that the layer has. */
static void plan_users_dense(struct planner *pl, int i)
{
    const struct plan *p = pl->p;
    int origin = origin_of(pl, &pl->m->ops[i]);
    for (int k = 0; k < p->n_packed; k++)
        if (p->packed[k].op == origin)
            plan_run(pl, i, p->packed[k].part, p->packed[k].column, p->packed[k].columns, 0);
}

static void plan_dense(struct planner *pl, int i)
{
    const struct op *op = &pl->m->ops[i];
    int out = pl->m->values[op->out].width / op->parts;
    for (int part = 0; part < op->parts; part++) {
        const bool *relu = pl->relu[op->out] + part * out;
        for (int first = 0, with, end; first < out; first = end) {
            for (with = first; with < out && relu[with]; with++)
                ;
            bool both = with == first || !pl->p->target->narrow;     /* the narrow kernel floors all columns or none */
            for (end = with; both && end < out && !relu[end]; end++)
                ;
            plan_run(pl, i, part, first, end - first, with - first);
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

/* Of what is a user's, one row is copied to all rows. */
static void copy_to(struct planner *pl, int from, int to, int column)
{
    bool spread = pl->in_lanes && pl->share == ITEMS && is_users(pl, from);
    struct step *st = add_step(pl, spread ? KERNEL_spread : KERNEL_copy, pl->m->values[from].width,
                               pl->m->values[to].name);
    st->x = place_of(pl, from);
    st->y = place_of(pl, to);
    st->y.at += columns_apart(pl, column);
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
    case OP_dense: (pl->share == USERS ? plan_users_dense : plan_dense)(pl, i); return;
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

static void plan_inputs(struct planner *pl)
{
    const struct model *m = pl->m;
    for (int i = 0; i < m->n_inputs; i++) {
        const struct value *v = &m->values[m->inputs[i]];
        if (pl->share == ITEMS && v->axis == PER_USER)
            continue;
        struct step *st = add_step(pl, KERNEL_load, v->width, v->name);
        st->x = place_in_x(pl, m->inputs[i], 0);
        st->y = place_of(pl, m->inputs[i]);
    }
}

/* Is the user's input read by what is not the user's alone? */
static bool items_read(const struct planner *pl, int input)
{
    const struct model *m = pl->m;
    for (int i = 0; i < m->n_ops; i++)
        for (int k = 0; !is_users(pl, m->ops[i].out) && k < m->ops[i].n_in; k++)
            if (m->ops[i].in[k] == input)
                return true;
    return false;
}

/* Keeps what the items' form reads of the user's input. */
static void keep_inputs(struct planner *pl)
{
    const struct model *m = pl->m;
    for (int i = 0; i < m->n_inputs; i++) {
        const struct value *v = &m->values[m->inputs[i]];
        if (v->axis != PER_USER || !items_read(pl, m->inputs[i]))
            continue;
        struct step *st = add_step(pl, KERNEL_copy, v->width, v->name);
        st->x = place_in_x(pl, m->inputs[i], 0);
        st->y = (struct place){IN_SCRATCH, m->inputs[i], 0, padded(pl, v->width)};
    }
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

static void live(struct form *f, int *buffer_of, const struct place *at, int step)
{
    if (at->region != IN_SCRATCH || buffer_of[at->value] < 0)       /* what was the user's alone lives on */
        return;
    struct buffer *b = &f->buffers[buffer_of[at->value]];
    b->from = b->from < 0 ? step : b->from;
    b->to = step;
}

static int places(const struct step *st, const struct place **at, int room)
{
    int n = 0;
    at[n++] = &st->x;
    at[n++] = &st->y;
    if (st->kernel == KERNEL_onto)
        at[n++] = &st->from;
    if (st->kernel == KERNEL_mix) {
        at[0] = &st->g;
        for (int e = 0; e < st->experts && n < room; e++)
            at[n++] = &st->expert[e];
    }
    return n;
}

/* Has the form a buffer for the value? */
static bool has_buffer(const struct planner *pl, int value)
{
    if (pl->home[value].root != value || (pl->share != EVERYBODYS && is_users(pl, value) != (pl->share == USERS)))
        return false;
    return !is_input(pl->m, value) || pl->in_lanes || (pl->share == USERS && items_read(pl, value));
}

/* A buffer for every root value that a step touches, with its life; for now in floats a row. What is the user's alone
   is read when all of that was computed. */
static void find_buffers(struct planner *pl, int *buffer_of)
{
    struct form *f = pl->form;
    const struct place **at = NEW_ARRAY(pl->job, (size_t)pl->m->n_values + 4, const struct place *);
    f->buffers = NEW_ARRAY(pl->job, (size_t)pl->m->n_values, struct buffer);
    for (int v = 0; v < pl->m->n_values; v++) {
        buffer_of[v] = -1;
        if (!has_buffer(pl, v))
            continue;
        int width = pl->m->values[v].width;
        buffer_of[v] = f->n_buffers;
        f->buffers[f->n_buffers++] = (struct buffer){v, 0, pl->in_lanes ? (size_t)width : padded(pl, width), -1, -1};
    }
    for (int i = 0; i < f->n_steps; i++)
        for (int k = 0, n = places(&f->steps[i], at, pl->m->n_values + 4); k < n; k++)
            live(f, buffer_of, at[k], i);
    for (int i = 0; pl->share == USERS && i < f->n_buffers; i++)
        f->buffers[i].to = f->n_steps - 1;
}

static bool lives_overlap(const struct buffer *a, const struct buffer *b) { return a->from <= b->to && b->from <= a->to; }

/* First fit: the lowest place where no buffer that lives at the same time lies. In floats a row. */
static size_t lay_out(struct form *f)
{
    size_t high = 0;
    for (int i = 0; i < f->n_buffers; i++) {
        struct buffer *b = &f->buffers[i];
        for (int k = 0; k < i; k++) {
            const struct buffer *o = &f->buffers[k];
            if (lives_overlap(b, o) && b->at < o->at + o->floats && o->at < b->at + b->floats) {
                b->at = o->at + o->floats;
                k = -1;
            }
        }
        high = b->at + b->floats > high ? b->at + b->floats : high;
    }
    return high;
}

/* Where the buffer of a value lies that is the user's alone. */
static size_t users_at(const struct form *user, int value)
{
    for (int i = 0; i < user->n_buffers; i++)
        if (user->buffers[i].value == value)
            return user->buffers[i].at;
    bug("a user's value that was not kept");
}

static void settle(const struct planner *pl, const int *buffer_of, struct place *at)
{
    if (at->region != IN_SCRATCH)
        return;
    int b = buffer_of[at->value];
    at->at += b >= 0 ? pl->form->buffers[b].at : users_at(&pl->p->user, at->value);
}

/* Rows of a block: of a small model, as many as in lanes. */
static int block_rows(const struct planner *pl, size_t row_floats)
{
    const struct target *t = pl->p->target;
    size_t rows = t->block_bytes / sizeof(float) / (row_floats ? row_floats : 1);
    int most = pl->p->small && t->row_block > LANES ? LANES : t->row_block;
    rows = rows < 8 ? 8 : rows;
    if (pl->share == USERS)
        return 1;
    return pl->in_lanes ? LANES : rows < (size_t)most ? (int)rows : most;
}

static void plan_scratch(struct planner *pl)
{
    struct form *f = pl->form;
    int *buffer_of = NEW_ARRAY(pl->job, (size_t)pl->m->n_values, int);
    find_buffers(pl, buffer_of);
    size_t row_floats = lay_out(f), users = pl->share == ITEMS ? pl->p->user.scratch_floats : 0;
    f->block = block_rows(pl, row_floats);
    for (int i = 0; i < f->n_buffers; i++) {
        f->buffers[i].at = users + f->buffers[i].at * (size_t)f->block;
        f->buffers[i].floats *= (size_t)f->block;
    }
    for (int i = 0; i < f->n_steps; i++) {
        struct step *st = &f->steps[i];
        settle(pl, buffer_of, &st->x);
        settle(pl, buffer_of, &st->y);
        settle(pl, buffer_of, &st->g);
        settle(pl, buffer_of, &st->from);
        for (int e = 0; e < st->experts; e++)
            settle(pl, buffer_of, &st->expert[e]);
    }
    f->scratch_floats = users + row_floats * (size_t)f->block;
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

static void number_lists(struct form *f)
{
    int next = f->first_list;
    for (int i = 0; i < f->n_steps; i++) {
        if (f->steps[i].kernel != KERNEL_mix)
            continue;
        int k = 0;
        while (!same_experts(&f->steps[k], &f->steps[i]))
            k++;
        f->steps[i].list = k < i ? f->steps[k].list : next++;
    }
}

static int count_mixtures(const struct form *f)
{
    int n = 0;
    for (int i = 0; i < f->n_steps; i++)
        n += f->steps[i].kernel == KERNEL_mix;
    return n;
}

static void plan_form(struct planner *pl, struct form *f, bool in_lanes)
{
    pl->form = f;
    f->model = pl->m;
    pl->in_lanes = in_lanes;
    pl->room_steps = 0;
    if (in_lanes)
        plan_inputs(pl);
    if (pl->share == USERS)
        keep_inputs(pl);
    for (int i = 0; i < pl->m->n_ops; i++)
        if (!pl->done[i] && (pl->share == EVERYBODYS || is_users(pl, pl->m->ops[i].out) == (pl->share == USERS)))
            plan_op(pl, i);
    if (pl->share != USERS)
        plan_outputs(pl);
    plan_scratch(pl);
    f->first_list = pl->share == ITEMS ? count_mixtures(in_lanes ? &pl->p->lanes : &pl->p->rows) : 0;
    number_lists(f);
}

/* How requests are scored: users, then items. */
static void plan_users(struct planner *pl, const struct model *from)
{
    struct plan *p = pl->p;
    begin_model(pl, split_users(pl->job, from), USERS);
    plan_form(pl, &p->user, false);
    pl->share = ITEMS;
    plan_form(pl, &p->items, false);
    if (p->lanes.n_steps)
        plan_form(pl, &p->items_lanes, true);
}

/* ---- the plan ------------------------------------------------------------------------------------------------------------ */

static size_t count_weights(const struct model *m)
{
    size_t n = 0;
    for (int i = 0; i < m->n_ops; i++)
        n += (size_t)parameters(m, &m->ops[i]);
    return n;
}

const struct numerics *find_numerics(const char *name)
{
    for (const struct numerics *n = numerics_classes; n->name; n++)
        if (strcmp(n->name, name) == 0)
            return n;
    bug("unknown numerics: the command line lets none through");
}

static bool check_target(struct job *job, const struct model *m, const struct target *t)
{
    if (m->user_inputs && t->narrow)
        blame(job, BAD_USAGE, (struct pos){0}, "usage", "for instance --target x86-64",
              "the target %s has no --user-columns: its files score a row at a time", t->name);
    return !m->user_inputs || !t->narrow;
}

/* The class that was asked for, or the target's; NULL after an error. */
static const struct numerics *choose_numerics(struct job *job, const struct target *t)
{
    const char *name = job->options->numerics ? job->options->numerics : t->numerics;
    if (is_plain_c(t) || strcmp(name, t->numerics) == 0)
        return find_numerics(name);
    blame(job, BAD_USAGE, (struct pos){0}, "usage", "for instance --target generic-c",
          "the target %s has no --numerics %s: only those in plain C have it", t->name, name);
    return NULL;
}

static void check_form(const struct plan *p, const struct form *f)
{
    for (int i = 0; i < f->n_buffers; i++) {
        const struct buffer *a = &f->buffers[i];
        assert(a->at % (size_t)p->target->grain == 0 && a->at + a->floats <= p->scratch_floats);
        for (int k = 0; k < i; k++) {
            const struct buffer *b = &f->buffers[k];
            assert(!lives_overlap(a, b) || a->at >= b->at + b->floats || b->at >= a->at + a->floats);
        }
    }
}

static void check_items(const struct plan *p, const struct form *f)
{
    for (int i = 0; i < f->n_buffers; i++)
        assert(f->buffers[i].at >= p->user.scratch_floats && "an item's value lies on a user's");
}

void check_plan(const struct plan *p)
{
    check_form(p, &p->rows);
    check_form(p, &p->lanes);
    check_form(p, &p->user);
    check_form(p, &p->items);
    check_form(p, &p->items_lanes);
    check_items(p, &p->items);
    check_items(p, &p->items_lanes);
    size_t end = 0;
    for (int i = 0; i < p->n_packed; i++) {
        assert(p->packed[i].at >= end && p->packed[i].at % (size_t)p->target->grain == 0 && "weights are not in order of use");
        end = p->packed[i].at + p->packed[i].floats;
    }
    assert(end + (p->target->narrow ? 0 : ARENA_SLACK) <= p->weight_floats);
}

static void print_place(const char *name, const struct place *at, struct text *to)
{
    static const char *const regions[] = {"x", "s", "y"};
    text_print(to, " %s=%s+%zu/%zu", name, regions[at->region], at->at, at->stride);
}

static void print_form(const struct form *f, const char *name, struct text *to)
{
    text_print(to, "%s: blocks of %d, scratch %zu floats\n", name, f->block, f->scratch_floats);
    for (int i = 0; i < f->n_steps; i++) {
        const struct step *st = &f->steps[i];
        text_print(to, "%3d %s", i, kernel_name(st->kernel));
        if (st->kernel == KERNEL_act)
            text_print(to, "_%s", act_name(st->act));
        if (st->relu)
            text_print(to, st->relu == st->out ? "_relu" : "_relu%d", st->relu);
        if (st->in)
            text_print(to, st->all > st->in ? " %d of %d ->" : " %d ->", st->in, st->all);
        text_print(to, " %d", st->out);
        print_place(st->kernel == KERNEL_mix ? "g" : "x", st->kernel == KERNEL_mix ? &st->g : &st->x, to);
        for (int e = 0; e < st->experts; e++)
            print_place("h", &st->expert[e], to);
        if (st->kernel == KERNEL_onto)
            print_place("from", &st->from, to);
        print_place("y", &st->y, to);
        if (st->in || st->kernel == KERNEL_dice)
            text_print(to, " w+%zu", st->w);
        text_print(to, "    %s\n", st->what);
    }
    for (int i = 0; i < f->n_buffers; i++) {
        const struct buffer *b = &f->buffers[i];
        text_print(to, "scratch %zu..%zu steps %d..%d    %s\n", b->at, b->at + b->floats, b->from, b->to,
                   f->model->values[b->value].name);
    }
}

void print_plan(const struct plan *p, struct text *to)
{
    text_print(to, "target %s, %s, scratch %zu floats, weights %zu floats\n", p->target->name, p->numerics->name,
               p->scratch_floats, p->weight_floats);
    print_form(&p->rows, "rows", to);
    const struct form *others[] = {&p->lanes, &p->user, &p->items, &p->items_lanes};
    static const char *const names[] = {"lanes", "user", "items", "items in lanes"};
    for (size_t i = 0; i < COUNT(others); i++)
        if (others[i]->n_steps)
            print_form(others[i], names[i], to);
}

/* ---- small models ------------------------------------------------------------------------------------------------------- */

#define MOST_STRAIGHT 48            /* calls that are inlined four times over */

#define TINY_BYTES (8 << 10)        /* of weights: rows one at a time wait for chains, more than they compute */

int lanes_from(const struct plan *p, const char *isa)
{
    const struct isa *i = p->lanes.n_steps ? find_isa(isa) : NULL;
    if (!i || !i->lanes_from)
        return INT_MAX;
    return p->weight_floats * sizeof(float) <= TINY_BYTES ? i->tiny_lanes_from : i->lanes_from;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------ */

/* panels: as a large model; ahead: that streams from a far cache; lanes: as a small one; calls: without inlined rows;
   arguments: sizes as arguments of kernels. */
const char *const plan_forms[] = {"panels", "ahead", "lanes", "calls", "arguments", NULL};

#define MOST_KERNELS 64

static bool asked_for(const struct job *job, const char *form)
{
    return job->options->form && strcmp(job->options->form, form) == 0;
}

/* What depends on the model's size, or on what tests ask for. */
static void choose_form(struct job *job, struct plan *p)
{
    size_t bytes = count_weights(p->model) * sizeof(float);
    p->small = bytes <= SMALL_BYTES;
    p->ahead = bytes > p->target->ahead_bytes;
    p->most_kernels = asked_for(job, "arguments") ? 0 : MOST_KERNELS;
    if (asked_for(job, "panels") || asked_for(job, "ahead"))
        p->small = false;
    if (asked_for(job, "lanes") || asked_for(job, "calls"))
        p->small = true;
    if (asked_for(job, "ahead"))
        p->ahead = true;
}

struct plan *make_plan(struct job *job, const struct model *from)
{
    if (!from)
        return NULL;
    const struct model *m = copy_input_experts(job, from);
    struct plan *p = NEW(job, struct plan);
    p->model = m;
    p->target = find_target(job->options->target ? job->options->target : targets[0].name);
    p->numerics = choose_numerics(job, p->target);
    if (!p->numerics || !check_target(job, m, p->target))
        return NULL;
    p->user_inputs = m->user_inputs;
    for (int i = 0; i < m->n_inputs; i++)
        p->inputs += m->values[m->inputs[i]].width;
    for (int i = 0; i < m->n_outputs; i++)
        p->outputs += m->outputs[i].width;

    struct planner pl = {.job = job, .m = m, .p = p};
    choose_form(job, p);
    begin_model(&pl, m, EVERYBODYS);
    plan_form(&pl, &p->rows, false);
    if (p->small && !p->target->narrow)
        plan_form(&pl, &p->lanes, true);
    if (p->user_inputs)
        plan_users(&pl, from);
    p->straight = p->lanes.n_steps && p->rows.n_steps <= MOST_STRAIGHT && !asked_for(job, "calls");
    const struct form *forms[] = {&p->rows, &p->lanes, &p->items, &p->items_lanes};
    for (size_t i = 0; i < COUNT(forms); i++)
        p->scratch_floats = forms[i]->scratch_floats > p->scratch_floats ? forms[i]->scratch_floats : p->scratch_floats;
    size_t test_rows = p->target->narrow ? 1 : TEST_ROWS;
    p->test_floats = round_up(test_rows * (size_t)(p->inputs + p->outputs), (size_t)p->target->grain);
    /* A small core reads no vectors beyond its weights; their checksum goes by eights. */
    p->weight_floats = p->target->narrow ? round_up(p->weight_floats, 8) : round_up(p->weight_floats + ARENA_SLACK, 16);
    check_plan(p);
    return p;
}
