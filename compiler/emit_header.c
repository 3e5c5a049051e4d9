// SPDX-License-Identifier: Apache-2.0
/* emit_header.c: the header of a generated file.
 *
 * Sizes, digests and what a user calls, each with its contract.
 */
#include "emit.h"

#include <ctype.h>

static const char *upper(struct emitter *e, const char *name)
{
    char *copy = arena_print(&e->job->arena, "%s", name);
    for (char *c = copy; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return copy;
}

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

void emit_h(struct emitter *e, const struct weights *w)
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
