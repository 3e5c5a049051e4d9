// SPDX-License-Identifier: Apache-2.0
/* emit_kernels.c: the section of one instruction set.
 *
 * Its words, the functions of math.h, the tiles that dense layers share, a kernel an instance, and the loops over
 * blocks of rows, items and users, all from templates/. Read add_isa at the end first: it has them in their order.
 */
#include "emit.h"

#include <string.h>

static const char *template_file(enum kernel kernel)
{
    static const char *const files[] = {
#define KERNEL(name, file, form) file,
#include "../templates/kernels.def"
#undef KERNEL
    };
    return files[kernel];
}

bool uses(const struct emitter *e, enum kernel kernel)
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

bool dispatches(const struct emitter *e) { return e->p->target->isas[1] != NULL; }

bool muladd(const struct emitter *e) { return strcmp(e->p->numerics->name, "muladd32") == 0; }

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

void add_isa(struct emitter *e, const char *isa)
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
