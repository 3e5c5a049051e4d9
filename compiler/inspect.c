// SPDX-License-Identifier: Apache-2.0
/* inspect.c: the network as a table, or as JSON. Needs no checkpoint. */
#include "mmoec.h"

#include <inttypes.h>
#include <string.h>

static void add_string(struct text *to, const char *s)
{
    text_print(to, "\"");
    for (; *s; s++)
        if (*s == '"' || *s == '\\' || (unsigned char)*s < ' ')
            text_print(to, "\\u%04x", (unsigned)(unsigned char)*s);
        else
            text_print(to, "%c", *s);
    text_print(to, "\"");
}

static uint64_t macs_of(const struct model *m, const struct op *op)
{
    uint64_t out = (uint64_t)m->values[op->out].width;
    if (op->kind == OP_dense)
        return (uint64_t)m->values[op->in[0]].width * out / (uint64_t)op->parts;
    return op->kind == OP_mix ? (uint64_t)(op->n_in - 1) * out : 0;
}

static uint64_t parameters_of(const struct model *m, const struct op *op)
{
    uint64_t out = (uint64_t)m->values[op->out].width;
    switch (op->kind) {
    case OP_dense: return macs_of(m, op) + out;
    case OP_batch_norm: return 4 * out;
    case OP_dice: return 3 * out;
    default: return 0;
    }
}

static const char *formula(enum act act)
{
    static const char *const formulas[] = {
#define ACT(name, formula) formula,
#include "acts.def"
#undef ACT
    };
    return formulas[act];
}

/* ---- text ---------------------------------------------------------------------------------------------------- */

static void features_text(struct job *job, const struct features *f, struct text *to)
{
    text_print(to, "features, in the order of the %s; %s\n", f->order == ORDER_NAME ? "columns' names" : "config", f->why);
    for (int i = 0; i < f->n_features; i++) {
        const struct feature *x = &f->feature[i];
        text_print(to, "  %4d .. %4d  %-24s %-16s", x->first, x->first + x->width - 1, comment_text(job, x->key), x->kind);
        if (x->table)
            text_print(to, " %s [%" PRIu64 ",%d]", comment_text(job, x->table), x->table_rows, x->width);
        text_print(to, "%s%s\n", x->trouble ? "; not from rows: " : "", x->trouble ? x->trouble : "");
    }
}

static void op_text(struct job *job, const struct model *m, const struct op *op, struct text *to)
{
    text_print(to, "  %-32s %-10s %6d ->%6d", comment_text(job, m->values[op->out].name),
               op->kind == OP_act ? act_name(op->act) : op_name(op->kind), m->values[op->in[0]].width,
               m->values[op->out].width);
    if (parameters_of(m, op))
        text_print(to, "  %10" PRIu64 " parameters", parameters_of(m, op));
    if (op->kind == OP_act)
        text_print(to, "  %s", formula(op->act));
    if (op->kind == OP_mix)
        text_print(to, "  %d experts", op->n_in - 1);
    text_print(to, "\n");
}

static void network_text(struct job *job, const struct network *n, struct text *to)
{
    const struct model *m = n->original;
    uint64_t macs = 0, parameters = 0;
    features_text(job, n->features, to);
    text_print(to, "network\n");
    for (int i = 0; i < m->n_ops; i++) {
        op_text(job, m, &m->ops[i], to);
        macs += macs_of(m, &m->ops[i]);
        parameters += parameters_of(m, &m->ops[i]);
    }
    text_print(to, "  in all %" PRIu64 " parameters, %" PRIu64 " multiply-adds a row\noutputs\n", parameters, macs);
    for (int i = 0; i < m->n_outputs; i++)
        text_print(to, "  %-32s %d column%s%s\n", comment_text(job, m->outputs[i].name), m->outputs[i].width,
                   m->outputs[i].width == 1 ? "" : "s", m->outputs[i].type == CLASS_OUTPUT ? ", a class number" : "");
    text_print(to, "ignored: training, evaluation and the like\n");
    for (size_t i = 0; i < n->config->n_ignored; i++)
        text_print(to, "  %s\n", n->config->ignored[i]);
    text_print(to, "weights\n  %s\n", n->checkpoint ? comment_text(job, base_name(n->checkpoint)) : "none found, none needed");
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static void features_json(const struct features *f, struct text *to)
{
    text_print(to, "\"order\":\"%s\",\"width\":%d,\"features\":[", f->order == ORDER_NAME ? "name" : "config", f->width);
    for (int i = 0; i < f->n_features; i++) {
        const struct feature *x = &f->feature[i];
        text_print(to, "%s\n {\"key\":", i ? "," : "");
        add_string(to, x->key);
        text_print(to, ",\"kind\":\"%s\",\"first\":%d,\"width\":%d", x->kind, x->first, x->width);
        if (x->table) {
            text_print(to, ",\"table\":");
            add_string(to, x->table);
            text_print(to, ",\"rows\":%" PRIu64, x->table_rows);
        }
        text_print(to, "}");
    }
    text_print(to, "],\n");
}

static void network_json(const struct network *n, struct text *to)
{
    const struct model *m = n->original;
    text_print(to, "{");
    features_json(n->features, to);
    text_print(to, "\"layers\":[");
    for (int i = 0; i < m->n_ops; i++) {
        const struct op *op = &m->ops[i];
        text_print(to, "%s\n {\"name\":", i ? "," : "");
        add_string(to, m->values[op->out].name);
        text_print(to, ",\"op\":\"%s\",\"in\":%d,\"out\":%d,\"parameters\":%" PRIu64 ",\"multiply_adds\":%" PRIu64 "}",
                   op->kind == OP_act ? act_name(op->act) : op_name(op->kind), m->values[op->in[0]].width,
                   m->values[op->out].width, parameters_of(m, op), macs_of(m, op));
    }
    text_print(to, "],\n\"outputs\":[");
    for (int i = 0; i < m->n_outputs; i++) {
        text_print(to, "%s{\"name\":", i ? "," : "");
        add_string(to, m->outputs[i].name);
        text_print(to, ",\"width\":%d}", m->outputs[i].width);
    }
    text_print(to, "]}\n");
}

bool do_inspect(struct job *job, struct text *to)
{
    struct network *n = read_network(job, false);
    if (!n)
        return false;
    if (job->options->json)
        network_json(n, to);
    else
        network_text(job, n, to);
    return true;
}
