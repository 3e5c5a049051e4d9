// SPDX-License-Identifier: Apache-2.0
/* emit.c: the plan as C text.
 *
 * Prints numbers of the plan and decides nothing. A generated file has, in order: the banner; checks of the compiler;
 * the weights; for each instruction set the words, the functions and the kernels the calls need, the calls of one
 * block of rows (one a line, a comment saying what for), and the loop over blocks; then which of them serves, the
 * self test, the record, and the functions that a user calls. Texts come from templates/; frame.c there shows the
 * parts in their order.
 *
 * Here stand the order of the file, the self test and the record; calls are in emit_calls.c, the sections of
 * instruction sets in emit_kernels.c, the header in emit_header.c.
 */
#include "emit.h"

#include <string.h>

const char *print(struct emitter *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprint(&e->job->arena, format, args);
    va_end(args);
    return text;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

bool baked(const struct emitter *e)
{
    return !e->job->options->weights_in || strcmp(e->job->options->weights_in, "c") == 0;
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

size_t scratch_bytes(const struct emitter *e)
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
    const struct row_layout l = lay_out_rows(r);
    const size_t at = rows_at(e);
    const char *width = print(e, "%zu", l.width);
    const struct word words[] = {
        {"N_TABLES", print(e, "%zu", l.n_tables)}, {"TABLE_LIST", row_table_list(e->job, r)},
        {"TABLES_AT", print(e, "%zu", at)}, {"X_AT", print(e, "%zu", at + l.x)},
        {"TEXTS_AT", print(e, "%zu", at + l.texts)}, {"FLOATS_AT", print(e, "%zu", at + l.floats)},
        {"DOUBLES_AT", print(e, "%zu", at + l.doubles)}, {"NETWORKS_AT", print(e, "%zu", at + l.networks)},
        {"ROW_FLOATS", width}, {"INPUTS", print(e, "%d", e->p->inputs)}, {"OUTPUTS", print(e, "%d", e->p->outputs)},
    };
    add_row_types(e->to);
    add_networks(e);
    add_row_code(e->job, r, e->from->name, e->to);
    template_add(e->job, e->to, "frame.c", "score_columns", NULL, words, (int)COUNT(words));
    text_print(e->to, "\n");
    const struct word requests[] = {
        {"USER_AT", print(e, "%zu", at + l.user)}, {"USER_INPUTS", print(e, "%d", r->user_width)}, {"ROW_FLOATS", width},
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
