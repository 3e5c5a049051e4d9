// SPDX-License-Identifier: Apache-2.0
/* emit_calls.c: steps of the plan as calls of kernels.
 *
 * A step's kernel with its sizes is an instance; equal steps share one, and past a number of different ones they take
 * their sizes as arguments. Then what stands around the calls: lists of experts, the drawn map of scratch, and the
 * functions that score a block of rows, a call a line.
 */
#include "emit.h"

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

int widest_panel(const struct emitter *e)
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
void choose_instances(struct emitter *e)
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

void add_rows_list(struct emitter *e, const struct step *st)
{
    text_print(e->to,
               "/* Where each expert's output lies in scratch, and the stride of its rows, in floats. */\n"
               "static const size_t experts_%d[%d][2] = {", st->list, st->experts);
    for (int k = 0; k < st->experts; k++)
        text_print(e->to, "%s{%zu, %zu},", k % 8 ? " " : "\n    ", st->expert[k].at, st->expert[k].stride);
    text_print(e->to, "\n};\n\n");
}

void add_lanes_list(struct emitter *e, const struct step *st)
{
    text_print(e->to, "/* Where each expert's output lies in scratch, rows in lanes. */\n"
                      "static const size_t lanes_experts_%d[%d] = {", st->list, st->experts);
    for (int k = 0; k < st->experts; k++)
        text_print(e->to, "%s%zu,", k % 12 ? " " : "\n    ", st->expert[k].at);
    text_print(e->to, "\n};\n\n");
}

void add_expert_lists(struct emitter *e, const struct form *f, void (*add)(struct emitter *, const struct step *))
{
    int next = f->first_list;
    for (int i = 0; i < f->n_steps; i++)
        if (f->steps[i].kernel == KERNEL_mix && f->steps[i].list == next) {
            add(e, &f->steps[i]);
            next++;
        }
}

/* The drawn map of scratch: what lies where, and for which calls. */
void add_map(struct emitter *e, const struct form *f, const char *how)
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
bool straight(const struct emitter *e) { return e->in_lanes && e->p->straight; }

const char *body(const struct emitter *e) { return straight(e) ? "BLOCK_BODY TARGET" : "static TARGET"; }

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

void add_blocks(struct emitter *e)
{
    bool narrow = e->p->target->narrow;
    const char *arguments = narrow ? "const float *w, const float *x, float *y, float *s" : block_arguments;
    add_rows_block(e, body(e), "block", arguments, &e->p->rows);
    if (e->in_lanes)
        add_lanes_block(e, "lanes", &e->p->lanes);
}

/* What scores requests: the user's part of a row, then the user's items in blocks, rows or lanes. */
void add_users_blocks(struct emitter *e)
{
    e->one_row = true;
    add_rows_block(e, "static TARGET", "user", "const float *w, const float *x, float *s", &e->p->user);
    e->one_row = false;
    if (e->in_lanes)
        add_lanes_block(e, "items", &e->p->items_lanes);
    else
        add_rows_block(e, "static TARGET", "items", block_arguments, &e->p->items);
}
