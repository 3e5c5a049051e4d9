// SPDX-License-Identifier: Apache-2.0
/* banner.c: what a generated file says about itself before its first line of code.
 *
 * For a reader who has the config but not our source: where the file comes from (base names and digests, no date,
 * path or host), the network as a table, what was changed on the way, what was chosen, and the contract.
 */
#include "mmoec.h"

#include <string.h>

/* Text of the user's inside a comment: no end of comment, no start of one, no trigraph, nothing unprintable. */
const char *comment_text(struct job *job, const char *text)
{
    char *safe = arena_print(&job->arena, "%s", escaped(&job->arena, text, strlen(text))), *to = safe;
    for (const char *c = safe; *c; c++)         /* a quote needs no backslash here */
        if (c[0] != '\\' || c[1] != '"')
            *to++ = *c;
    *to = 0;
    for (char *c = safe; *c; c++)
        if ((c[0] == '*' && c[1] == '/') || (c[0] == '/' && c[1] == '*') || (c[0] == '?' && c[1] == '?'))
            c[1] = '!';
    return safe;
}

const char *hex(struct job *job, const unsigned char digest[32])
{
    struct text t = {.arena = &job->arena};
    for (int i = 0; i < 32; i++)
        text_print(&t, "%02x", digest[i]);
    return t.data;
}

static void options(struct job *job, const struct plan *p, struct text *to)
{
    const struct options *o = job->options;
    text_print(to, " * By: mmoec compile --target %s --numerics %s --weights-in %s --outputs %s%s%s%s%s\n", p->target->name,
               p->numerics->name, o->weights_in ? o->weights_in : "c",
               o->outputs ? comment_text(job, o->outputs) : "scores",
               o->feature_order == ORDER_NAME ? " --feature-order name" : "", o->permissive ? " --permissive" : "",
               o->from ? " --from " : "", o->from ? o->from : "");
    if (o->user_columns)
        text_print(to, " *     --user-columns %s\n", comment_text(job, o->user_columns));
}

/* One line a layer: what it computes and what it costs. */
static void layers(struct job *job, const struct model *m, struct text *to)
{
    uint64_t weights = 0, adds = 0;
    for (int i = 0; i < m->n_ops; i++) {
        const struct op *op = &m->ops[i];
        const struct value *in = &m->values[op->in[0]], *out = &m->values[op->out];
        if (op->kind == OP_slice || op->kind == OP_concat)
            continue;
        text_print(to, " *   %-28s", comment_text(job, out->name));
        if (op->kind == OP_dense) {
            text_print(to, " dense %d -> %d, %llu weights", in->width, out->width,
                       (unsigned long long)parameters(m, op));
            weights += parameters(m, op);
        } else if (op->kind == OP_mix) {
            text_print(to, " mixture of %d experts, %d columns", op->n_in - 1, out->width);
        } else {
            text_print(to, " %s, %d columns", op->kind == OP_act ? act_name(op->act) : op_name(op->kind), out->width);
        }
        text_print(to, "\n");
        adds += multiply_adds(m, op);
    }
    text_print(to, " *   %llu weights, %llu multiply-adds a row\n", (unsigned long long)weights,
               (unsigned long long)adds);
}

/* With user columns: whose the columns of x are, and which of EasyRec's. */
static void users(struct job *job, const struct plan *p, const struct features *f, struct text *to)
{
    text_print(to, " * User columns: the first %d floats of x are the user's, the other %d the item's. Of EasyRec's\n"
                   " * columns they are", p->user_inputs, p->inputs - p->user_inputs);
    int n = 0;
    for (int user = 1; user >= 0; user--)
        for (int i = 0; i < f->n_features; i++) {
            const struct feature *x = &f->feature[i];
            if (x->user != user)
                continue;
            int from = (int)f->easyrec_column[x->first];
            text_print(to, "%s%d .. %d (%s)", n == 0 ? "\n *   " : n % 4 ? ", " : ",\n *   ", from, from + x->width - 1,
                       comment_text(job, x->key));
            n++;
        }
    text_print(to, ".\n * Sums go over the user's inputs first, then over the item's, however rows are scored.\n *\n");
}

static int count_ops(const struct model *m, enum op_kind kind, bool batched)
{
    int n = 0;
    for (int i = 0; i < m->n_ops; i++)
        n += m->ops[i].kind == kind && (!batched || m->ops[i].parts > 1);
    return n;
}

static void changes(const struct plan *p, const struct model *original, struct text *to)
{
    text_print(to, " * Changed on the way: %d batch norms folded into the dense layers before them; %d dense layers laid\n"
                   " * side by side as %d, %d of them several equal experts at once; weights in panels of %s columns,\n"
                   " * padded to %d with zeros.\n",
               count_ops(original, OP_batch_norm, false), count_ops(original, OP_dense, false),
               count_ops(p->model, OP_dense, false), count_ops(p->model, OP_dense, true),
               p->target->narrow ? "4" : p->small ? "all" : "48", p->target->narrow ? 4 : 8);
}

static void choices(const struct plan *p, struct text *to)
{
    text_print(to, " * Chosen: target %s (%s); %d rows a block, so that a block's values take %zu bytes.\n",
               p->target->name, p->target->about, p->rows.block, p->scratch_floats * sizeof(float));
}

static void contract(const struct plan *p, struct text *to)
{
    bool fused = strcmp(p->numerics->name, "fma32") == 0;
    text_print(to,
               " * Contract: a row's scores depend on that row alone and are the same bits in any batch, on any instruction\n"
               " * set, with any compiler (floats rounded to nearest, subnormals on). A dense output is one chain of %s\n"
               " * from its bias, inputs in order. Nothing is allocated, nothing fails, no libm is called. A NaN stays in its\n"
               " * row; a score that is NaN is exactly 0x7fc00000.\n",
               fused ? "fused\n * multiply-adds" : "products\n * and sums, each rounded,");
    if (!fused)
        text_print(to, " * Contracting a product and a sum breaks this class of arithmetic: no -ffp-contract=fast with clang.\n");
}

void add_banner(struct job *job, const struct plan *p, const struct weights *w, const struct provenance *from,
                struct text *to)
{
    unsigned char structure[32];
    structure_digest(p, job, structure);
    text_print(to, "// SPDX-License-Identifier: 0BSD\n");
    text_print(to, "/* %s: an MMoE ranking model as C, written by mmoec %s. Do not edit; compile it again instead.\n *\n",
               from->name, MMOEC_VERSION);
    options(job, p, to);
    text_print(to, " * Config: %s, SHA-256 %s\n", comment_text(job, from->config), hex(job, from->config_digest));
    text_print(to, " * Weights: %s; packed: SHA-256 %s\n", comment_text(job, from->checkpoint), hex(job, w->digest));
    text_print(to, " * Structure: SHA-256 %s\n", hex(job, structure));
    const char *order_from = from->features->order_from;
    text_print(to, " * Input: %d floats a row: %s; features in the order of the %s (%s%s).\n *\n", p->inputs,
               comment_text(job, from->features->why), from->features->order == ORDER_NAME ? "columns' names" : "config",
               order_from ? "from " : "the default", order_from ? comment_text(job, order_from) : "");
    if (from->no_rows)
        text_print(to, " * Takes no rows: %s.\n *\n", comment_text(job, from->no_rows));
    if (p->user_inputs)
        users(job, p, from->features, to);
    text_print(to, " * The network, before passes:\n");
    layers(job, from->original, to);
    changes(p, from->original, to);
    choices(p, to);
    text_print(to, " *\n");
    contract(p, to);
    text_print(to, " */\n");
}
