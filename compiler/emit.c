// SPDX-License-Identifier: Apache-2.0
/* emit.c: the plan as C text.
 *
 * Prints numbers of the plan and decides nothing. A generated file has, in order: the banner; checks of the compiler;
 * the weights; for each instruction set the words, the functions and the kernels the calls need, the calls of one
 * block of rows (one a line, a comment saying what for), and the loop over blocks; then which of them serves, the
 * self test, the record, and the functions that a user calls. Texts come from templates/; frame.c there shows the
 * parts in their order.
 */
#include "mmoec.h"

#include <ctype.h>
#include <string.h>

/* A kernel with its sizes. Equal layers share one. */
struct instance {
    bool lanes;             /* the form over lanes */
    bool items;             /* only a user's items in rows need it: not where they are in lanes */
    enum kernel kernel;
    enum act act;
    int in, all, out, experts, panel, room, relu;
    const char *name;       /* dense_272_256_relu */
};

#define MOST_FEW 4                  /* rows that are inlined together: ORDER with templates/frame.c */
#define MOST_CASES 12               /* of the numbers of vectors or columns in a tile */

struct emitter {
    struct job *job;
    const struct plan *p;
    const struct provenance *from;
    const struct row_program *rows;         /* NULL: it takes the experts' input alone */
    struct text *to;
    struct instance *instances;
    int n_instances;
    bool sizes_in_calls;
    const char *isa;        /* of the section; names of a network of rows end in its number, too: "avx2_n1" */
    const char *words;      /* the instruction set whose words they are in */
    bool in_lanes;          /* does the instruction set of the section have the lanes' form? */
    bool one_row;           /* is it the user's form whose calls are printed? */
    const char *weights, *tables;   /* their C names; NULL: in a file of their own */
};

static const char *print(struct emitter *e, const char *format, ...) PRINTF_LIKE(2, 3);
static const char *print(struct emitter *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprint(&e->job->arena, format, args);
    va_end(args);
    return text;
}

/* ---- instances --------------------------------------------------------------------------------------------------- */

static struct instance wanted(const struct emitter *e, bool lanes, const struct step *st)
{
    struct instance i = {.lanes = lanes, .kernel = st->kernel};
    if (st->kernel == KERNEL_act)
        i.act = st->act;
    if (!e->sizes_in_calls && st->kernel != KERNEL_narrow)
        i = (struct instance){lanes, false, i.kernel, i.act, st->in, st->all, st->out, st->experts, st->panel, st->room,
                              st->relu, NULL};
    return i;
}

static const struct instance *find_instance(const struct emitter *e, bool lanes, const struct step *st)
{
    struct instance w = wanted(e, lanes, st);
    for (int i = 0; i < e->n_instances; i++) {
        const struct instance *k = &e->instances[i];
        if (k->lanes == lanes && k->kernel == w.kernel && k->act == w.act && k->in == w.in && k->all == w.all &&
            k->out == w.out && k->experts == w.experts && k->room == w.room && k->relu == w.relu)
            return k;
    }
    return NULL;
}

static int widest_panel(const struct emitter *e)
{
    int most = 8;
    for (int i = 0; i < e->p->rows.n_steps; i++)
        most = e->p->rows.steps[i].panel > most ? e->p->rows.steps[i].panel : most;
    return most;
}

static const char *relu_name(struct emitter *e, const struct instance *i)
{
    return i->relu == i->out ? "_relu" : i->relu ? print(e, "_relu%d", i->relu) : "";
}

static const char *instance_name(struct emitter *e, const struct instance *i)
{
    const char *what = i->kernel == KERNEL_act ? print(e, "act_%s", act_name(i->act)) : kernel_name(i->kernel);
    if (i->lanes)
        what = print(e, "%s_lanes", what);
    if (e->sizes_in_calls || i->kernel == KERNEL_ziln || i->kernel == KERNEL_narrow)
        return what;
    if (is_dense(i->kernel))
        return print(e, "%s_%d%s_%d%s%s", what, i->in, i->all > i->in ? print(e, "_of_%d", i->all) : "", i->out,
                     relu_name(e, i), i->room > i->out ? "_pad" : "");
    return i->experts ? print(e, "%s_%d_%d", what, i->experts, i->out) : print(e, "%s_%d", what, i->out);
}

static void find_form(struct emitter *e, const struct form *f, bool lanes)
{
    for (int i = 0; i < f->n_steps; i++) {
        if (find_instance(e, lanes, &f->steps[i]))
            continue;
        struct instance *k = &e->instances[e->n_instances++];
        *k = wanted(e, lanes, &f->steps[i]);
        k->name = instance_name(e, k);
    }
}

static void find_instances(struct emitter *e)
{
    e->n_instances = 0;
    find_form(e, &e->p->rows, false);
    find_form(e, &e->p->lanes, true);
    find_form(e, &e->p->user, false);
    find_form(e, &e->p->items_lanes, true);
    int others = e->n_instances;
    find_form(e, &e->p->items, false);
    for (int i = others; i < e->n_instances; i++)
        e->instances[i].items = true;
}

/* Past a number of different ones they take their sizes as arguments. */
static void choose_instances(struct emitter *e)
{
    const struct plan *p = e->p;
    e->instances = NEW_ARRAY(e->job, (size_t)(p->rows.n_steps + p->lanes.n_steps + p->user.n_steps + p->items.n_steps +
                                              p->items_lanes.n_steps), struct instance);
    e->sizes_in_calls = false;
    find_instances(e);
    if (e->n_instances > p->most_kernels) {
        e->sizes_in_calls = true;
        find_instances(e);
    }
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static const char *stride(struct emitter *e, const struct place *at)
{
    return at->region == IN_X && !e->p->target->narrow && !e->one_row ? "xs" : print(e, "%zu", at->stride);
}

static const char *at(struct emitter *e, const struct place *at)
{
    static const char names[] = {'x', 's', 'y'};
    return at->at ? print(e, "%c + %zu", names[at->region], at->at) : print(e, "%c", names[at->region]);
}

static const char *sizes(struct emitter *e, const struct step *st, bool lanes)
{
    if (!e->sizes_in_calls || st->kernel == KERNEL_ziln)
        return "";
    if (is_dense(st->kernel) && lanes)
        return print(e, ", %d, %d, %d", st->in, st->out, st->relu);
    if (is_dense(st->kernel))
        return print(e, ", %d, %d, %d, %d, %d%s", st->in, st->out, st->room, st->panel, st->relu,
                     e->p->user_inputs ? print(e, ", %d", st->all) : "");
    return st->experts ? print(e, ", %d, %d", st->experts, st->out) : print(e, ", %d", st->out);
}

static void add_rows_list(struct emitter *e, const struct step *st)
{
    text_print(e->to,
               "/* Where each expert's output lies in scratch, and the stride of its rows, in floats. */\n"
               "static const size_t experts_%d[%d][2] = {", st->list, st->experts);
    for (int k = 0; k < st->experts; k++)
        text_print(e->to, "%s{%zu, %zu},", k % 8 ? " " : "\n    ", st->expert[k].at, st->expert[k].stride);
    text_print(e->to, "\n};\n\n");
}

static void add_lanes_list(struct emitter *e, const struct step *st)
{
    text_print(e->to, "/* Where each expert's output lies in scratch, rows in lanes. */\n"
                      "static const size_t lanes_experts_%d[%d] = {", st->list, st->experts);
    for (int k = 0; k < st->experts; k++)
        text_print(e->to, "%s%zu,", k % 12 ? " " : "\n    ", st->expert[k].at);
    text_print(e->to, "\n};\n\n");
}

static void add_expert_lists(struct emitter *e, const struct form *f, void (*add)(struct emitter *, const struct step *))
{
    int next = f->first_list;
    for (int i = 0; i < f->n_steps; i++)
        if (f->steps[i].kernel == KERNEL_mix && f->steps[i].list == next) {
            add(e, &f->steps[i]);
            next++;
        }
}

/* The drawn map of scratch: what lies where, and for which calls. */
static void add_map(struct emitter *e, const struct form *f, const char *how)
{
    text_print(e->to, "/* Scratch, in floats, for %d row%s%s; calls are counted from 1.\n", f->block,
               f == &e->p->user ? "" : "s", how);
    for (int i = 0; i < f->n_buffers; i++) {
        const struct buffer *b = &f->buffers[i];
        const struct value *v = &f->model->values[b->value];
        text_print(e->to, " *   %8zu .. %8zu   calls %3d .. %3d   %s, %d columns\n", b->at, b->at + b->floats - 1,
                   b->from + 1, b->to + 1, comment_text(e->job, v->name), v->width);
    }
    text_print(e->to, " */\n");
}

static const char *row_arguments(struct emitter *e, const struct step *st)
{
    const char *rows = e->p->target->narrow || e->one_row ? "1" : "rows";
    if (st->kernel == KERNEL_mix)
        return print(e, "%s, %s, s, experts_%d, %s, %s, %s", at(e, &st->g), stride(e, &st->g), st->list, rows,
                     at(e, &st->y), stride(e, &st->y));
    if (st->kernel == KERNEL_narrow)
        return print(e, "%s, w + %zu, %s, %d, %d, %d", at(e, &st->x), st->w, at(e, &st->y), st->in, st->out, st->relu > 0);
    const char *w = is_dense(st->kernel) || st->kernel == KERNEL_dice ? print(e, "w + %zu, ", st->w) : "";
    if (st->kernel == KERNEL_onto)
        w = print(e, "%s%s, %zu, ", w, at(e, &st->from), st->from.stride);
    return print(e, "%s, %s, %s, %s%s, %s", at(e, &st->x), stride(e, &st->x), rows, w, at(e, &st->y), stride(e, &st->y));
}

static const char *lanes_arguments(struct emitter *e, const struct step *st)
{
    const char *x = at(e, &st->x), *y = at(e, &st->y);
    switch (st->kernel) {
    case KERNEL_load: return print(e, "%s, xs, rows, %s", x, y);
    case KERNEL_store: return print(e, "%s, rows, %s, %zu", x, y, st->y.stride);
    case KERNEL_mix: return print(e, "%s, s, lanes_experts_%d, lanes, %s", at(e, &st->g), st->list, y);
    case KERNEL_onto: return print(e, "%s, lanes, w + %zu, %s, %s", x, st->w, at(e, &st->from), y);
    case KERNEL_dense: case KERNEL_dice: return print(e, "%s, lanes, w + %zu, %s", x, st->w, y);
    default: return print(e, "%s, lanes, %s", x, y);
    }
}

static void add_calls(struct emitter *e, const struct form *f, bool lanes)
{
    for (int i = 0; i < f->n_steps; i++) {
        const struct step *st = &f->steps[i];
        const char *arguments = lanes ? lanes_arguments(e, st) : row_arguments(e, st);
        const char *line = print(e, "    %s__%s(%s%s);", find_instance(e, lanes, st)->name, e->isa, arguments,
                                 sizes(e, st, lanes));
        text_print(e->to, "%-88s /* %s */\n", line, comment_text(e->job, st->what));
    }
}

/* Where the plan says so, rows are few and known, and everything is inlined. */
static bool straight(const struct emitter *e) { return e->in_lanes && e->p->straight; }

static const char *body(const struct emitter *e) { return straight(e) ? "BLOCK_BODY TARGET" : "static TARGET"; }

static const char block_arguments[] = "const float *w, const float *x, size_t xs, size_t rows, float *y, float *s";

static void add_rows_block(struct emitter *e, const char *body, const char *name, const char *arguments,
                           const struct form *f)
{
    text_print(e->to, "%s void %s__%s(%s)\n{\n", body, name, e->isa, arguments);
    add_calls(e, f, false);
    text_print(e->to, "}\n\n");
}

static void add_lanes_block(struct emitter *e, const char *name, const struct form *f)
{
    text_print(e->to, "static TARGET void %s__%s(%s)\n{\n", name, e->isa, block_arguments);
    text_print(e->to, "    const size_t lanes = (rows + VL - 1) / VL * VL;\n\n");
    add_calls(e, f, true);
    text_print(e->to, "}\n\n");
}

static void add_blocks(struct emitter *e)
{
    bool narrow = e->p->target->narrow;
    const char *arguments = narrow ? "const float *w, const float *x, float *y, float *s" : block_arguments;
    add_rows_block(e, body(e), "block", arguments, &e->p->rows);
    if (e->in_lanes)
        add_lanes_block(e, "lanes", &e->p->lanes);
}

/* What scores requests: the user's part of a row, then the user's items in blocks, rows or lanes. */
static void add_users_blocks(struct emitter *e)
{
    e->one_row = true;
    add_rows_block(e, "static TARGET", "user", "const float *w, const float *x, float *s", &e->p->user);
    e->one_row = false;
    if (e->in_lanes)
        add_lanes_block(e, "items", &e->p->items_lanes);
    else
        add_rows_block(e, "static TARGET", "items", block_arguments, &e->p->items);
}

/* ---- kernels of one instruction set --------------------------------------------------------------------------------- */

static const char *template_file(enum kernel kernel)
{
    static const char *const files[] = {
#define KERNEL(name, file, form) file,
#include "../templates/kernels.def"
#undef KERNEL
    };
    return files[kernel];
}

static bool uses(const struct emitter *e, enum kernel kernel)
{
    for (int i = 0; i < e->n_instances; i++)
        if (e->instances[i].kernel == kernel)
            return true;
    return false;
}

/* The functions of math.h that the kernels call. */
static void add_math(struct emitter *e)
{
    static const struct { enum kernel kernel; const char *function; } calls[] = {
        {KERNEL_dice, "v_dice"}, {KERNEL_softmax, "v_exp"}, {KERNEL_ziln, "v_ziln"},
        {KERNEL_store, "v_one_nan"},
    };
    const char **names = NEW_ARRAY(e->job, COUNT(calls) + (size_t)e->n_instances, const char *);
    int n = 0;
    for (size_t i = 0; i < COUNT(calls); i++)
        if (uses(e, calls[i].kernel))
            names[n++] = calls[i].function;
    for (int i = 0; i < e->n_instances; i++)
        if (e->instances[i].kernel == KERNEL_act)
            names[n++] = print(e, "v_%s", act_name(e->instances[i].act));
    math_add(e->job, e->to, names, n, e->isa);
}

static int divide_up(int n, int by) { return (n + by - 1) / by; }

/* Marks the sizes of `all` things in groups of at most `most`, as equal as can be. */
static void mark_groups(bool *occurs, int all, int most)
{
    int groups = divide_up(all, most);
    occurs[all / groups] = occurs[divide_up(all, groups)] = true;
}

static const char *list_cases(struct emitter *e, const bool *occurs)
{
    struct text t = {.arena = &e->job->arena};
    for (int k = 1; k <= MOST_CASES; k++)
        if (occurs[k])
            text_print(&t, "%sCASE(%d)", t.length ? " " : "", k);
    return t.data;
}

/* Which numbers of vectors the tiles of dense layers have. ORDER with templates/dense_tile.c. */
static const char *vecs_cases(struct emitter *e)
{
    bool occurs[MOST_CASES + 1] = {false};
    const struct isa *isa = find_isa(e->words);
    for (int i = 0; i < e->p->rows.n_steps; i++) {
        const struct step *st = &e->p->rows.steps[i];
        if (!is_dense(st->kernel))
            continue;
        int last = st->out % st->panel ? st->out % st->panel : st->panel;
        for (int rows = 1; rows <= (straight(e) ? MOST_FEW : isa->tile_rows); rows++) {
            int fit = isa->accumulators / rows, most = fit < isa->most_vecs ? fit : isa->most_vecs;
            int widest = divide_up(widest_panel(e), isa->vl);
            most = most < widest ? most : widest;
            mark_groups(occurs, divide_up(divide_up(last, 8) * 8, isa->vl), most);
            if (st->out > st->panel)
                mark_groups(occurs, divide_up(st->panel, isa->vl), most);
        }
    }
    return list_cases(e, occurs);
}

/* Which numbers of columns the tiles with rows in lanes have. ORDER with templates/dense_lanes.c. */
static const char *columns_cases(struct emitter *e)
{
    bool occurs[MOST_CASES + 1] = {false};
    const struct isa *isa = find_isa(e->words);
    for (int i = 0; i < e->p->lanes.n_steps; i++) {
        const struct step *st = &e->p->lanes.steps[i];
        for (int vecs = 1; is_dense(st->kernel) && vecs <= 2; vecs++) {
            int fit = isa->accumulators / vecs;
            mark_groups(occurs, st->out, fit < isa->most_columns ? fit : isa->most_columns);
        }
    }
    return list_cases(e, occurs);
}

/* Where sums of rows in tiles start: at biases, or at others, which they go onto. */
static const char *tile_start(struct emitter *e, bool onto)
{
    const char *others = "from + i / vecs * fs, c + i % vecs * VL, p->columns, i % vecs + 1 < vecs";
    return onto ? print(e, "onto_start__%s(%s)", e->isa, others) : "v_load(w + i % vecs * VL)";
}

static void add_rows_tiles(struct emitter *e, bool onto)
{
    const char *kind = onto ? "_onto" : "", *columns = print(e, "tile_columns%s__%s", kind, e->isa);
    const struct word types = {"YS_TYPES", onto ? "ys, const float *from, size_t fs" : "ys"};
    const struct word from = {"YS_FROM", onto ? "ys, from, fs" : "ys"};
    const struct word start[] = {{"ONTO_START", print(e, "onto_start__%s", e->isa)}};
    const struct word rows[] = {
        {"TILE", print(e, "tile%s__%s", kind, e->isa)},
        {"TILE_COLUMNS", columns},
        {"WIDEST", print(e, "%d", widest_panel(e))},
        {"VECS_CASES", vecs_cases(e)},
        {"TILE_START", tile_start(e, onto)},
        types, from,
    };
    const struct word panel[] = {
        {"TILE_COLUMNS", columns},
        {"PANEL_ROWS", print(e, "panel_rows%s__%s", kind, e->isa)},
        {"YS_NEXT", onto ? "ys, from += n * fs" : "ys"},
        types, from,
    };
    if (onto) {
        template_add(e->job, e->to, "dense_tile.c", "start", e->isa, start, (int)COUNT(start));
        text_print(e->to, "\n");
    }
    template_add(e->job, e->to, "dense_tile.c", "tile", e->isa, rows, (int)COUNT(rows));
    text_print(e->to, "\n");
    if (straight(e))
        return;
    template_add(e->job, e->to, "dense_tile.c", "rows", e->isa, panel, (int)COUNT(panel));
    text_print(e->to, "\n");
}

static void add_lanes_tiles(struct emitter *e, bool onto)
{
    const char *kind = onto ? "_onto" : "";
    const struct word lanes[] = {
        {"LANES_TILE", print(e, "lanes_tile%s__%s", kind, e->isa)},
        {"LANES_COLUMNS", print(e, "lanes_columns%s__%s", kind, e->isa)},
        {"LANES_PANEL", print(e, "lanes_panel%s__%s", kind, e->isa)},
        {"COLUMNS_CASES", columns_cases(e)},
        {"LANES_START", onto ? "v_all(from[c + i / vecs])" : "v_all(w[i / vecs])"},
        {"Y_TYPES", onto ? "y, const float *from" : "y"},
        {"Y_FROM", onto ? "y, from" : "y"},
        {"L_FROM", onto ? "l, from" : "l"},
    };
    template_add(e->job, e->to, "dense_lanes.c", "tile", e->isa, lanes, (int)COUNT(lanes));
    text_print(e->to, "\n");
}

/* The functions that dense layers share. Sums go onto others where a user's items are scored: in lanes, if any. */
static void add_tiles(struct emitter *e)
{
    add_rows_tiles(e, false);
    if (e->in_lanes)
        add_lanes_tiles(e, false);
    if (uses(e, KERNEL_onto))
        (e->in_lanes ? add_lanes_tiles : add_rows_tiles)(e, true);
}

static const char *then_relu(struct emitter *e, const struct instance *k)
{
    return k->relu == k->out ? ", then relu" : k->relu ? print(e, ", then relu of the first %d", k->relu) : "";
}

/* What a kernel computes, in a line. */
static const char *about(struct emitter *e, const struct instance *k)
{
    const char *columns = e->sizes_in_calls ? "n columns" : print(e, "%d column%s", k->out, k->out == 1 ? "" : "s");
    switch (k->kernel) {
    case KERNEL_dense:
        return e->sizes_in_calls ? "y = x W + b, then relu of the first columns: in inputs, out columns."
                                 : print(e, "y = x W + b%s: %d inputs, %s.", then_relu(e, k), k->in, columns);
    case KERNEL_onto:
        return e->sizes_in_calls ? "y = from + x W, then relu of the first columns: the last in inputs, out columns."
                                 : print(e, "y = from + x W%s: the last %d inputs, %s.", then_relu(e, k), k->in,
                                         columns);
    case KERNEL_narrow: return "A row of y = x W + b, then relu if asked for: in inputs, out columns, four at a time.";
    case KERNEL_act: return print(e, "y = %s(x): %s.", act_name(k->act), columns);
    case KERNEL_dice: return print(e, "EasyRec's Dice: %s.", columns);
    case KERNEL_softmax: return print(e, "y = exp(x - max x) / sum: %s.", columns);
    case KERNEL_mix: return print(e, "A gate's mixture of experts: %s.", columns);
    case KERNEL_copy: return print(e, "The same numbers elsewhere: %s.", columns);
    case KERNEL_store: return print(e, "Scores to the caller, every NaN the same: %s.", columns);
    case KERNEL_max: return print(e, "The largest of %s.", columns);
    case KERNEL_argmax: return print(e, "The number of the first largest of %s.", columns);
    case KERNEL_ziln: return "EasyRec's zero-inflated log-normal mean, from three logits.";
    case KERNEL_load: return print(e, "Rows into lanes: %s.", columns);
    case KERNEL_spread: return print(e, "One row for all lanes: %s.", columns);
    case N_KERNELS: break;
    }
    bug("a kernel of no kind");
}

/* Words of a dense layer's kernel over rows; returns how many. */
static int dense_rows_words(struct emitter *e, const struct instance *k, struct word *words)
{
    int n = 0;
    bool args = e->sizes_in_calls, onto = k->kernel == KERNEL_onto, users = e->p->user_inputs > 0;
    const char *kind = onto ? "_onto" : "";
    const char *before = args ? "(all - in)" : print(e, "%d", k->all - k->in);     /* inputs of the user's part */
    const char *sizes = users ? ", size_t in, size_t out, size_t room, size_t panel, size_t relu, size_t all"
                              : ", size_t in, size_t out, size_t room, size_t panel, size_t relu";
    words[n++] = (struct word){"ALL", !args ? print(e, "%d", k->all) : users ? "all" : "in"};
    words[n++] = (struct word){"ROOM", args ? "room" : print(e, "%d", k->room)};
    words[n++] = (struct word){"PANEL", args ? "panel" : print(e, "%d", k->panel)};
    words[n++] = (struct word){"AHEAD", print(e, "%d", e->p->ahead)};
    words[n++] = (struct word){"SIZES", args ? sizes : ""};
    const char *rows = straight(e) ? "tile_columns" : "panel_rows";
    words[n++] = (struct word){"PANEL_ROWS", print(e, "%s%s__%s", rows, kind, e->isa)};
    words[n++] = (struct word){"W_TYPES", onto ? "w, const float *from, size_t fs" : "w"};
    words[n++] = (struct word){"YS_PANEL", onto ? "ys, from + j, fs" : "ys"};
    words[n++] = (struct word){"W_FIRST", onto ? print(e, "w + %s * pitch", before) : "w"};
    words[n++] = (struct word){"NEXT_FIRST", onto ? print(e, "(next + %s * pitch)", before) : "next"};
    return n;
}

static int dense_words(struct emitter *e, const struct instance *k, struct word *words)
{
    int n = 0;
    bool args = e->sizes_in_calls, onto = k->kernel == KERNEL_onto;
    words[n++] = (struct word){"IN", args ? "in" : print(e, "%d", k->in)};
    words[n++] = (struct word){"OUT", args ? "out" : print(e, "%d", k->out)};
    words[n++] = (struct word){"RELU", args ? "relu" : print(e, "%d", k->relu)};
    if (!k->lanes)
        return n + dense_rows_words(e, k, words + n);
    words[n++] = (struct word){"LANES_SIZES", args ? ", size_t in, size_t out, size_t relu" : ""};
    words[n++] = (struct word){"LANES_PANEL", print(e, "lanes_panel%s__%s", onto ? "_onto" : "", e->isa)};
    words[n++] = (struct word){"LANES_W_TYPES", onto ? "w, const float *from" : "w"};
    words[n++] = (struct word){"Y_FROM", onto ? "y, from" : "y"};
    return n;
}

static void add_narrow(struct emitter *e, const struct instance *k)
{
    const struct word words[] = {{"ROW_NAME", print(e, "%s__%s", k->name, e->isa)}};
    text_print(e->to, "/* %s Template: %s. */\n", about(e, k), template_file(k->kernel));
    template_add(e->job, e->to, template_file(k->kernel), "row", e->isa, words, (int)COUNT(words));
    text_print(e->to, "\n");
}

static void add_kernel(struct emitter *e, const struct instance *k)
{
    struct word words[20];
    int n = 0;
    bool args = e->sizes_in_calls;
    words[n++] = (struct word){k->lanes ? "LANES_NAME" : "NAME", print(e, "%s__%s", k->name, e->isa)};
    if (!k->lanes)
        words[n++] = (struct word){"BODY", body(e)};
    if (is_dense(k->kernel)) {
        n += dense_words(e, k, words + n);
    } else if (k->kernel != KERNEL_ziln) {
        words[n++] = (struct word){"N", args ? "n" : print(e, "%d", k->out)};
        words[n++] = (struct word){"SIZES", !args ? "" : k->kernel == KERNEL_mix ? ", size_t experts, size_t n" : ", size_t n"};
    }
    if (k->kernel == KERNEL_mix)
        words[n++] = (struct word){"EXPERTS", args ? "experts" : print(e, "%d", k->experts)};
    if (k->kernel == KERNEL_act)
        words[n++] = (struct word){"FUNCTION", print(e, "v_%s", act_name(k->act))};
    text_print(e->to, "/* %s Template: %s. */\n", about(e, k), template_file(k->kernel));
    template_add(e->job, e->to, template_file(k->kernel), k->lanes ? "lanes" : "kernel", e->isa, words, n);
    text_print(e->to, "\n");
}

/* A function for each number of rows: in one function for all, gcc keeps too much in registers from one to the next. */
static void add_few(struct emitter *e, const char *few, const char *block, const char *outputs)
{
    struct word words[2 + MOST_FEW] = {{"FEW", few}, {"OUTPUTS", outputs}};
    for (int rows = 1; rows <= MOST_FEW; rows++) {
        const char *name = print(e, "few_%d__%s", rows, e->isa);
        const struct word own[] = {{"FEW_ROWS", name}, {"BLOCK", block}, {"ROWS", print(e, "%d", rows)}};
        template_add(e->job, e->to, "frame.c", "few_rows", NULL, own, (int)COUNT(own));
        text_print(e->to, "\n");
        words[1 + rows] = (struct word){print(e, "FEW_%d", rows), name};
    }
    template_add(e->job, e->to, "frame.c", "few", NULL, words, (int)COUNT(words));
    text_print(e->to, "\n");
}

static void add_score_of_isa(struct emitter *e)
{
    const char *outputs = print(e, "%d", e->p->outputs), *score = print(e, "score__%s", e->isa);
    const char *block = print(e, "block__%s", e->isa), *few = print(e, "few__%s", e->isa);
    const struct word rows[] = {
        {"SCORE_ISA", score}, {"BLOCK", block}, {"ROW_BLOCK", print(e, "%d", e->p->rows.block)}, {"OUTPUTS", outputs},
    };
    const struct word one_row[] = {{"SCORE_ISA", score}, {"BLOCK", block}, {"OUTPUTS", outputs}};
    const struct word lanes[] = {
        {"SCORE_ISA", score}, {"BLOCK", straight(e) ? few : block}, {"LANES_BLOCK", print(e, "lanes__%s", e->isa)},
        {"LANES_FROM", print(e, "%d", lanes_from(e->p, e->words))}, {"OUTPUTS", outputs},
    };
    if (straight(e))
        add_few(e, few, block, outputs);
    if (e->in_lanes)
        template_add(e->job, e->to, "frame.c", "score_lanes", NULL, lanes, (int)COUNT(lanes));
    else if (e->p->target->narrow)
        template_add(e->job, e->to, "frame.c", "score_rows", NULL, one_row, (int)COUNT(one_row));
    else
        template_add(e->job, e->to, "frame.c", "score", NULL, rows, (int)COUNT(rows));
    text_print(e->to, "\n");
}

/* Requests: the loop over a user's items, then that over users. */
static void add_users_score(struct emitter *e)
{
    const char *outputs = print(e, "%d", e->p->outputs);
    const char *items = print(e, "items__%s", e->isa), *score = print(e, "score_items__%s", e->isa);
    const struct word rows[] = {
        {"SCORE_ISA", score}, {"BLOCK", items}, {"ROW_BLOCK", print(e, "%d", e->p->items.block)}, {"OUTPUTS", outputs},
    };
    const struct word lanes[] = {{"SCORE_ISA", score}, {"LANES_BLOCK", items}, {"OUTPUTS", outputs}};
    const struct word users[] = {
        {"USERS_ISA", print(e, "score_users__%s", e->isa)}, {"USER", print(e, "user__%s", e->isa)}, {"ITEMS", score},
        {"OUTPUTS", outputs},
    };
    if (e->in_lanes)
        template_add(e->job, e->to, "frame.c", "score_items", NULL, lanes, (int)COUNT(lanes));
    else
        template_add(e->job, e->to, "frame.c", "score", NULL, rows, (int)COUNT(rows));
    text_print(e->to, "\n");
    template_add(e->job, e->to, "frame.c", "score_users", NULL, users, (int)COUNT(users));
    text_print(e->to, "\n");
}

static bool dispatches(const struct emitter *e) { return e->p->target->isas[1] != NULL; }

static bool muladd(const struct emitter *e) { return strcmp(e->p->numerics->name, "muladd32") == 0; }

static void add_words(struct emitter *e)
{
    template_add(e->job, e->to, "simd.h", print(e, "words_%s", e->words), NULL, NULL, 0);
    text_print(e->to, "\n");
    if (strcmp(e->words, "plain") != 0)
        return;
    template_add(e->job, e->to, "simd.h", muladd(e) ? "muladd_plain" : "fma_plain", NULL, NULL, 0);
    text_print(e->to, "\n");
}

/* All that computes the plan at hand by the instruction set. */
static void add_plan(struct emitter *e)
{
    e->in_lanes = lanes_from(e->p, e->words) < INT_MAX;
    add_math(e);
    if (uses(e, KERNEL_dense))
        add_tiles(e);
    for (int i = 0; i < e->n_instances; i++)
        if (e->instances[i].kernel == KERNEL_narrow)
            add_narrow(e, &e->instances[i]);
        else if (e->in_lanes ? !e->instances[i].items : !e->instances[i].lanes)
            add_kernel(e, &e->instances[i]);
    add_blocks(e);
    add_score_of_isa(e);
    if (e->p->user_inputs) {
        add_users_blocks(e);
        add_users_score(e);
    }
}

/* Networks of rows are plans of their own, beside the model's. */
static void add_networks_of_isa(struct emitter *e)
{
    struct emitter own = *e;
    for (int i = 0; e->rows && i < e->rows->n_networks; i++) {
        own.p = e->rows->networks[i].plan;
        own.isa = print(e, "%s_n%d", e->words, i);
        choose_instances(&own);
        text_print(e->to, "/* The network of target attention %d. */\n", i);
        add_plan(&own);
    }
}

static void add_isa(struct emitter *e, const char *isa)
{
    e->isa = e->words = isa;
    bool x86 = strncmp(isa, "avx", 3) == 0;
    text_print(e->to, "/* ---- %s ---- */\n\n%s", isa, x86 ? "#if defined __x86_64__\n" : "");
    add_words(e);
    add_plan(e);
    add_networks_of_isa(e);
    if (dispatches(e))              /* another section may follow */
        template_add(e->job, e->to, "simd.h", "undef_words", NULL, NULL, 0);
    text_print(e->to, "%s\n", x86 ? "#endif\n" : "");
}

/* ---- the file ------------------------------------------------------------------------------------------------------- */

static bool baked(const struct emitter *e)
{
    return !e->job->options->weights_in || strcmp(e->job->options->weights_in, "c") == 0;
}

static const char *upper(struct emitter *e, const char *name)
{
    char *copy = arena_print(&e->job->arena, "%s", name);
    for (char *c = copy; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return copy;
}

static const char *bytes(struct emitter *e, const unsigned char digest[32])
{
    struct text t = {.arena = &e->job->arena};
    for (int i = 0; i < 32; i++)
        text_print(&t, "%s0x%02x", i == 0 ? "" : i % 16 ? ", " : ",\n                  ", digest[i]);
    return t.data;
}

/* Question marks are escaped, or two of them could begin a trigraph; other bytes by three digits: a digit may follow. */
const char *quoted_text(struct job *job, const char *bytes, size_t n)
{
    struct text t = {.arena = &job->arena};
    text_print(&t, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool plain = c >= ' ' && c < 127;
        text_print(&t, !plain ? "\\%03o" : strchr("\"\\?", c) ? "\\%c" : "%c", c);
    }
    text_print(&t, "\"");
    return t.data;
}

static const char *quoted(struct emitter *e, const char *text) { return quoted_text(e->job, text, strlen(text)); }

static bool has_isa(const struct target *t, const char *prefix)
{
    for (size_t i = 0; i < COUNT(t->isas) && t->isas[i]; i++)
        if (strncmp(t->isas[i], prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

static void add_includes(struct emitter *e)
{
    text_print(e->to, "#include \"%s.h\"\n\n%s", e->from->file_name, dispatches(e) ? "#include <stdatomic.h>\n" : "");
    if (has_isa(e->p->target, "avx"))
        text_print(e->to, "#if defined __x86_64__\n#include <immintrin.h>\n#endif\n");
    if (has_isa(e->p->target, "neon"))
        text_print(e->to, "#include <arm_neon.h>\n");
    if (has_isa(e->p->target, "mve"))
        text_print(e->to, "#include <arm_mve.h>\n");
    text_print(e->to, "\n");
    template_add(e->job, e->to, "frame.c", "checks", NULL, NULL, 0);
    text_print(e->to, "\n");
    if (muladd(e)) {
        template_add(e->job, e->to, "frame.c", "muladd", NULL, NULL, 0);
        text_print(e->to, "\n");
    }
    template_add(e->job, e->to, "frame.c", "visibility", NULL, NULL, 0);
    text_print(e->to, "\n");
    if (e->p->target->narrow) {
        template_add(e->job, e->to, "frame.c", "section", NULL, NULL, 0);
        text_print(e->to, "\n");
    }
    template_add(e->job, e->to, "simd.h", "compiler", NULL, NULL, 0);
    text_print(e->to, "\n");
    if (uses(e, KERNEL_dense)) {
        template_add(e->job, e->to, "dense_tile.c", "panel", NULL, NULL, 0);
        text_print(e->to, "\n");
    }
}

static void add_output_names(struct emitter *e)
{
    const struct model *m = e->p->model;
    text_print(e->to, "static const char *const output_names[%d] = {\n", e->p->outputs);
    for (int i = 0; i < m->n_outputs; i++)
        for (int j = 0; j < m->outputs[i].width; j++) {
            const char *name = m->outputs[i].name;
            text_print(e->to, "    %s,\n", quoted(e, m->outputs[i].vector ? print(e, "%s[%d]", name, j) : name));
        }
    text_print(e->to, "};\n\n");
}

static void add_input_order(struct emitter *e)
{
    const uint32_t *order = e->p->model->input_order;
    text_print(e->to, "/* Which of EasyRec's columns each column of x is; the first %d are the user's. */\n"
                      "static const uint32_t input_order[%d] = {", e->p->user_inputs, e->p->inputs);
    for (int i = 0; i < e->p->inputs; i++)
        text_print(e->to, "%s%d,", i % 16 ? " " : "\n    ", order ? (int)order[i] : i);
    text_print(e->to, "\n};\n\n");
}

static void add_expected(struct emitter *e, const struct expected *want)
{
    text_print(e->to, "/* The self test's: a checksum of the weights, then the bits of %d rows of scores. */\n"
                      "static const uint32_t expected[%d] = {", TEST_ROWS, want->n_words);
    for (int i = 0; i < want->n_words; i++)
        text_print(e->to, "%s0x%08x,", i % 8 ? " " : "\n    ", want->words[i]);
    text_print(e->to, "\n};\n\n");
}

static void add_self_test(struct emitter *e)
{
    const struct plan *p = e->p;
    const struct word weights[] = {{"WEIGHT_FLOATS", print(e, "%zu", p->weight_floats)}};
    const struct word words[] = {
        {"SCORE_FLOATS", print(e, "%zu", p->scratch_floats)}, {"TEST_ROWS", print(e, "%d", TEST_ROWS)},
        {"INPUTS", print(e, "%d", p->inputs)}, {"OUTPUTS", print(e, "%d", p->outputs)},
    };
    template_add(e->job, e->to, "frame.c", "environment", NULL, weights, (int)COUNT(weights));
    text_print(e->to, "\n");
    const char *name = p->user_inputs ? "rows_test" : "self_test", *users_inputs = print(e, "%d", p->user_inputs);
    const struct word all[] = {words[0], words[1], words[2], words[3], {"ROWS_TEST", name}};
    const struct word users[] = {words[0], words[1], words[2], words[3], {"USER_INPUTS", users_inputs}};
    if (p->target->narrow)
        template_add(e->job, e->to, "frame.c", "self_test_rows", NULL, words, (int)COUNT(words));
    else
        template_add(e->job, e->to, "frame.c", "self_test", NULL, all, (int)COUNT(all));
    text_print(e->to, "\n");
    if (p->user_inputs) {
        template_add(e->job, e->to, "frame.c", "users_test", NULL, users, (int)COUNT(users));
        text_print(e->to, "\n");
    }
}

/* Scratch of scoring and of the self test, then that of rows. */
static size_t rows_at(const struct emitter *e)
{
    return ((e->p->scratch_floats + e->p->test_floats) * sizeof(float) + 63) / 64 * 64;
}

static size_t scratch_bytes(const struct emitter *e)
{
    return e->rows ? rows_at(e) + rows_scratch(e->rows) : (e->p->scratch_floats + e->p->test_floats) * sizeof(float);
}

/* What target attention calls. */
static void add_networks(struct emitter *e)
{
    for (int i = 0; i < e->rows->n_networks; i++) {
        const struct row_network *n = &e->rows->networks[i];
        const char *const *isas = e->p->target->isas;
        const char *inputs = print(e, "%d", n->plan->inputs), *table = print(e, "%u", n->table);
        const struct word only[] = {{"NETWORK", print(e, "network_%d", i)}, {"INPUTS", inputs}, {"TABLE", table},
                                    {"SCORE_ISA", print(e, "score__%s_n%d", isas[0], i)}};
        const struct word x86[] = {{"NETWORK", print(e, "network_%d", i)}, {"INPUTS", inputs}, {"TABLE", table},
                                   {"SCORE_AVX512", print(e, "score__avx512_n%d", i)},
                                   {"SCORE_AVX2", print(e, "score__avx2_n%d", i)},
                                   {"SCORE_PLAIN", print(e, "score__plain_n%d", i)}};
        if (dispatches(e))
            template_add(e->job, e->to, "frame.c", "network_x86", NULL, x86, (int)COUNT(x86));
        else
            template_add(e->job, e->to, "frame.c", "network_only", NULL, only, (int)COUNT(only));
        text_print(e->to, "\n");
    }
}

/* From rows to scores. */
static void add_rows(struct emitter *e)
{
    const struct row_program *r = e->rows;
    if (!r)
        return;
    size_t width = (size_t)(r->width + r->more_columns), tables = rows_at(e);
    size_t x = tables + ((size_t)r->n_tables * sizeof(float *) + 63) / 64 * 64;
    size_t texts = x + ROWS_AT_ONCE * width * sizeof(float);
    size_t floats = (texts + r->texts * ROW_TEXT_ROOM + 63) / 64 * 64;
    size_t doubles = (floats + r->floats * sizeof(float) + 63) / 64 * 64;
    size_t networks = (doubles + r->doubles * sizeof(double) + 63) / 64 * 64;
    size_t user = rows_at(e) + rows_scratch(r) - (width * sizeof(float) + 63) / 64 * 64;
    const struct word words[] = {
        {"N_TABLES", print(e, "%d", r->n_tables ? r->n_tables : 1)}, {"TABLE_LIST", row_table_list(e->job, r)},
        {"TABLES_AT", print(e, "%zu", tables)}, {"X_AT", print(e, "%zu", x)}, {"TEXTS_AT", print(e, "%zu", texts)},
        {"FLOATS_AT", print(e, "%zu", floats)}, {"DOUBLES_AT", print(e, "%zu", doubles)},
        {"NETWORKS_AT", print(e, "%zu", networks)}, {"ROW_FLOATS", print(e, "%zu", width)},
        {"INPUTS", print(e, "%d", e->p->inputs)}, {"OUTPUTS", print(e, "%d", e->p->outputs)},
    };
    add_row_types(e->to);
    add_networks(e);
    add_row_code(e->job, r, e->from->name, e->to);
    template_add(e->job, e->to, "frame.c", "score_columns", NULL, words, (int)COUNT(words));
    text_print(e->to, "\n");
    const struct word requests[] = {
        {"USER_AT", print(e, "%zu", user)}, {"USER_INPUTS", print(e, "%d", r->user_width)},
        {"ROW_FLOATS", print(e, "%zu", width)},
        {"INPUTS", print(e, "%d", e->p->inputs)}, {"OUTPUTS", print(e, "%d", e->p->outputs)},
    };
    if (r->user_width) {
        template_add(e->job, e->to, "frame.c", "score_requests", NULL, requests, (int)COUNT(requests));
        text_print(e->to, "\n");
    }
}

/* Where the order of the experts' input comes from. */
static const char *feature_order(struct emitter *e)
{
    const struct features *f = e->from->features;
    return print(e, "%s, from %s", f->order == ORDER_NAME ? "name" : "config", f->order_from ? f->order_from : "the default");
}

static void add_record(struct emitter *e, const struct weights *w, const struct expected *want)
{
    const struct plan *p = e->p;
    const struct row_program *r = e->rows;
    unsigned char structure[32], rows_structure[32];
    structure_digest(p, e->job, structure);
    if (r)
        row_structure(e->job, r, rows_structure);
    const struct word words[] = {
        {"ROWS_STRUCTURE", r ? bytes(e, rows_structure) : "0"},
        {"SCORE_ROWS", r ? "score_rows" : "NULL"},
        {"SCORE_REQUESTS", r && r->user_width ? "score_requests" : "NULL"},
        {"COLUMNS", r ? "columns" : "NULL"}, {"LINES", r ? "&lines" : "NULL"},
        {"N_COLUMNS", print(e, "%d", r ? r->n_columns : 0)},
        {"ROW_BYTES", r ? print(e, "sizeof(struct %s_row)", e->from->name) : "0"},
        {"TABLE_FLOATS", print(e, "%llu", r ? (unsigned long long)r->table_floats : 0)},
        {"TABLES_DIGEST", r && baked(e) ? bytes(e, w->tables_digest) : "0"}, {"TABLES", e->tables ? e->tables : "NULL"},
        {"FEATURE_ORDER", quoted(e, feature_order(e))},
        {"MODEL_RECORD", print(e, "%s_model", e->from->name)}, {"MODEL_NAME", quoted(e, e->from->name)},
        {"NUMERICS", print(e, "%d", p->numerics->number)}, {"INPUTS", print(e, "%d", p->inputs)},
        {"OUTPUTS", print(e, "%d", p->outputs)}, {"N_EXPECTED", print(e, "%d", want->n_words)},
        {"SCRATCH_BYTES", print(e, "%zu", scratch_bytes(e))},
        {"WEIGHT_FLOATS", print(e, "%zu", p->weight_floats)}, {"STRUCTURE", bytes(e, structure)},
        {"WEIGHTS_DIGEST", baked(e) ? bytes(e, w->digest) : "0"}, {"WEIGHTS", e->weights ? e->weights : "NULL"},
        {"EXPECTED", baked(e) ? "expected" : "NULL"}, {"USER_INPUTS", print(e, "%d", p->user_inputs)},
        {"INPUT_ORDER", p->user_inputs ? "input_order" : "NULL"},
        {"SCORE_USERS", p->user_inputs ? "score_users" : "NULL"},
    };
    template_add(e->job, e->to, "frame.c", "record", NULL, words, (int)COUNT(words));
    text_print(e->to, "\n");
}

static void add_api(struct emitter *e)
{
    const struct word words[] = {
        {"MODEL_SCORE", print(e, "%s_score", e->from->name)}, {"MODEL_SELF_TEST", print(e, "%s_self_test", e->from->name)},
        {"WEIGHTS", e->weights}, {"EXPECTED", "expected"}, {"INPUTS", print(e, "%d", e->p->inputs)},
        {"OUTPUTS", print(e, "%d", e->p->outputs)}, {"SCORE_FLOATS", print(e, "%zu", e->p->scratch_floats)},
    };
    bool narrow = e->p->target->narrow;
    const struct word record[] = {{"MODEL_RECORD", print(e, "%s_model", e->from->name)}};
    const struct word users[] = {
        {"MODEL_SCORE_USERS", print(e, "%s_score_users", e->from->name)}, {"WEIGHTS", e->weights},
        {"USER_INPUTS", print(e, "%d", e->p->user_inputs)},
        {"ITEM_INPUTS", print(e, "%d", e->p->inputs - e->p->user_inputs)},
    };
    if (baked(e)) {
        template_add(e->job, e->to, "frame.c", narrow ? "api_narrow" : "api", NULL, words, (int)COUNT(words) - (narrow ? 0 : 2));
        text_print(e->to, "\n");
    }
    const struct word row_words[] = {
        {"MODEL_SCORE_ROWS", print(e, "%s_score_rows", e->from->name)}, {"MODEL_ROW", print(e, "%s_row", e->from->name)},
        {"N_COLUMNS", print(e, "%d", e->rows ? e->rows->n_columns : 0)}, {"WEIGHTS", e->weights ? e->weights : "NULL"},
        {"TABLES", e->tables ? e->tables : "NULL"},
    };
    if (baked(e) && e->rows) {
        template_add(e->job, e->to, "frame.c", "api_rows", NULL, row_words, (int)COUNT(row_words));
        text_print(e->to, "\n");
    }
    if (baked(e) && e->p->user_inputs) {
        template_add(e->job, e->to, "frame.c", "api_users", NULL, users, (int)COUNT(users));
        text_print(e->to, "\n");
    }
    template_add(e->job, e->to, "frame.c", "plugin", NULL, record, 1);
}

static void add_score(struct emitter *e)
{
    const char *isa = e->p->target->isas[0];
    const struct word words[] = {{"ISA_NAME", quoted(e, isa)}, {"SCORE_ISA", print(e, "score__%s", isa)}};
    if (dispatches(e))
        template_add(e->job, e->to, "frame.c", "choose_x86", NULL, NULL, 0);
    else
        template_add(e->job, e->to, "frame.c", "only", NULL, words, (int)COUNT(words));
    text_print(e->to, "\n");
    if (!e->p->user_inputs)
        return;
    const struct word users[] = {{"USERS_ISA", print(e, "score_users__%s", isa)}};
    if (dispatches(e))
        template_add(e->job, e->to, "frame.c", "choose_users_x86", NULL, NULL, 0);
    else
        template_add(e->job, e->to, "frame.c", "only_users", NULL, users, (int)COUNT(users));
    text_print(e->to, "\n");
}

/* Has the file an instruction set that scores a user's items without lanes? */
static bool items_in_rows(const struct emitter *e)
{
    bool rows = false;
    for (size_t i = 0; i < COUNT(e->p->target->isas) && e->p->target->isas[i]; i++)
        rows |= lanes_from(e->p, e->p->target->isas[i]) == INT_MAX;
    return rows;
}

static void add_users_maps(struct emitter *e)
{
    const struct plan *p = e->p;
    add_map(e, &p->user, ": what is the user's alone");
    text_print(e->to, "\n");
    if (items_in_rows(e)) {
        add_expert_lists(e, &p->items, add_rows_list);
        add_map(e, &p->items, " of the user's items");
        text_print(e->to, "\n");
    }
    if (!p->lanes.n_steps)
        return;
    add_expert_lists(e, &p->items_lanes, add_lanes_list);
    add_map(e, &p->items_lanes, " of the user's items in lanes, each value [column][LANES]");
    text_print(e->to, "\n");
}

static void emit_c(struct emitter *e, const struct weights *w, const struct expected *want)
{
    add_banner(e->job, e->p, w, e->from, e->to);
    add_includes(e);
    if (baked(e)) {
        e->weights = add_weights(e->job, e->p, w, e->to);
        if (e->rows && e->rows->table_floats)
            e->tables = add_tables(e->job, e->p, w, e->rows->table_floats, e->to);
        add_expected(e, want);
    }
    add_output_names(e);
    if (e->p->user_inputs)
        add_input_order(e);
    add_expert_lists(e, &e->p->rows, add_rows_list);
    add_map(e, &e->p->rows, "");
    text_print(e->to, "\n");
    for (int i = 0; e->rows && i < e->rows->n_networks; i++)
        add_map(e, &e->rows->networks[i].plan->rows, print(e, " of the network of target attention %d", i));
    if (e->p->lanes.n_steps) {
        add_expert_lists(e, &e->p->lanes, add_lanes_list);
        add_map(e, &e->p->lanes, " in lanes, each value [column][LANES]");
        text_print(e->to, "\n");
    }
    if (e->p->user_inputs)
        add_users_maps(e);
    for (size_t i = 0; i < COUNT(e->p->target->isas) && e->p->target->isas[i]; i++)
        add_isa(e, e->p->target->isas[i]);
    add_score(e);
    add_rows(e);
    add_self_test(e);
    add_record(e, w, want);
    add_api(e);
}

/* ---- the header ------------------------------------------------------------------------------------------------------- */

static void list_outputs(struct emitter *e)
{
    const struct model *m = e->p->model;
    for (int i = 0; i < m->n_outputs; i++) {
        const char *name = comment_text(e->job, m->outputs[i].name);
        text_print(e->to, m->outputs[i].vector ? "%s%s[%d]" : "%s%s", i ? ", " : "", name, m->outputs[i].width);
    }
}

/* What a build may want to know: sizes, and which model it is. */
static void add_numbers(struct emitter *e, const struct weights *w, const char *big)
{
    const struct plan *p = e->p;
    unsigned char structure[32];
    uint64_t adds = 0;
    for (int i = 0; i < p->model->n_ops; i++)
        adds += multiply_adds(p->model, &p->model->ops[i]);
    structure_digest(p, e->job, structure);
    text_print(e->to, "#define %s_WEIGHT_BYTES %zu /* padding included */\n#define %s_MULTIPLY_ADDS %llu /* a row */\n"
                      "#define %s_NUMERICS %d /* %s */\n", big, p->weight_floats * sizeof(float), big,
               (unsigned long long)adds, big, p->numerics->number, p->numerics->name);
    text_print(e->to, "/* SHA-256 of the structure: %s\n", hex(e->job, structure));
    if (baked(e))
        text_print(e->to, "   and of the weights:       %s */\n\n", hex(e->job, w->digest));
    else
        text_print(e->to, "   the weights are apart. */\n\n");
}

static void add_rows_api(struct emitter *e)
{
    const char *name = e->from->name;
    if (!e->rows)
        return;
    add_row_struct(e->job, e->rows, name, e->to);
    if (baked(e))
        text_print(e->to,
                   "/* The same from rows [n], y [n][%d], status [n]: a bad row's scores are NaN, and its status says which column was\n"
                   "   bad and how. Columns that lie apart: %s_model.score_rows. */\n"
                   "void %s_score_rows(const struct %s_row *rows, size_t n, float *y, struct mmoe_row_status *status,\n"
                   "    void *scratch);\n\n", e->p->outputs, name, name, name);
}

static void declare_users(struct emitter *e, const char *name)
{
    const struct plan *p = e->p;
    text_print(e->to,
               "/* Requests, each of one user with many items: users [n_users][%d]; items and y have a row an item,\n"
               "   [offsets[n_users]][%d] and [..][%d]; user u has the rows offsets[u] .. offsets[u + 1] - 1, if any;\n"
               "   offsets [n_users + 1], ascending. Rows before offsets[0] are neither read nor written. The bits of\n"
               "   %s_score. */\n"
               "void %s_score_users(const float *users, const float *items, const size_t *offsets, size_t n_users,\n"
               "    float *y, void *scratch);\n\n", p->user_inputs, p->inputs - p->user_inputs, p->outputs, name, name);
}

static void emit_h(struct emitter *e, const struct weights *w)
{
    const struct plan *p = e->p;
    const char *name = e->from->name, *big = upper(e, name);
    text_print(e->to, "// SPDX-License-Identifier: 0BSD\n"
                      "/* %s.h: an MMoE ranking model, written by mmoec %s; what it is stands in %s.c. */\n"
                      "#ifndef %s_MODEL_H\n#define %s_MODEL_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n"
                      "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
               e->from->file_name, MMOEC_VERSION, e->from->file_name, big, big);
    template_add(e->job, e->to, "mmoe.h", "record", NULL, NULL, 0);
    text_print(e->to, "\n#define %s_INPUTS %d /* ", big, p->inputs);
    text_print(e->to, "%s */\n#define %s_OUTPUTS %d /* ", comment_text(e->job, e->from->features->why), big, p->outputs);
    list_outputs(e);
    if (p->user_inputs)
        text_print(e->to, " */\n#define %s_USER_INPUTS %d /* the first columns of x, behind which come the item's */\n"
                          "#define %s_ITEM_INPUTS %d /* which of EasyRec's columns are where: %s_model.input_order",
                   big, p->user_inputs, big, p->inputs - p->user_inputs, name);
    text_print(e->to, " */\n#define %s_SCRATCH %zu /* bytes, aligned %s, for any number of rows; %zu of them for the self test alone */\n",
               big, scratch_bytes(e), p->target->narrow ? "as floats" : "to 64",
               p->test_floats * sizeof(float));
    add_numbers(e, w, big);
    if (baked(e))
        text_print(e->to,
                   "/* x [rows][%d], y [rows][%d], scratch as above. Cannot fail, allocates nothing; threads may share everything\n"
                   "   but x, y and scratch. Each row's scores depend on that row alone. Round-to-nearest, subnormals on. */\n"
                   "void %s_score(const float *x, size_t rows, float *y, void *scratch);\n\n"
                   "/* 0 if this build gives the bits that mmoec computed; else what struct mmoe_model says of self_test. */\n"
                   "int %s_self_test(void *scratch);\n\n", p->inputs, p->outputs, name, name);
    if (baked(e) && p->user_inputs)
        declare_users(e, name);
    if (!baked(e))
        text_print(e->to, "/* The weights are in a file of their own: mmoe_open(&m, mmoe_weights(&%s_model, path)) of libmmoe. */\n",
                   name);
    add_rows_api(e);
    text_print(e->to, "extern const struct mmoe_model %s_model;\n\n#ifdef __cplusplus\n}\n#endif\n#endif\n", name);
}

struct generated *emit(struct job *job, const struct plan *p, const struct weights *w, const struct expected *want,
                       const struct provenance *from, const struct row_program *rows)
{
    struct generated *g = NEW(job, struct generated);
    g->c.arena = g->h.arena = g->proof.arena = &job->arena;
    struct emitter e = {.job = job, .p = p, .from = from, .rows = rows, .to = &g->c};
    choose_instances(&e);
    emit_c(&e, w, want);
    e.to = &g->h;
    emit_h(&e, w);
    if (!baked(&e)) {
        fill_weights_file(job, p, w, want, rows);
        g->weights_file = w->file;
        g->weights_bytes = w->file_bytes;
        g->rows = rows;
    }
    return g;
}
