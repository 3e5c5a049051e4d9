// SPDX-License-Identifier: Apache-2.0
/* inspect.c: the network as a table, or as JSON. Needs no checkpoint.
 *
 * Shows the network as EasyRec means it, before the passes. First the numbers of one operation and of the parts
 * (experts, gates, towers); then both forms, each from its parts.
 */
#include "mmoec.h"

#include <inttypes.h>
#include <string.h>

/* A JSON string; what is not UTF-8 becomes the replacement character. */
void add_json_string(struct text *to, const char *s)
{
    text_add(to, "\"", 1);
    for (size_t left = strlen(s); left;) {
        uint32_t c;
        int n = utf8((const unsigned char *)s, left, &c);
        if (!n)
            text_print(to, "\\ufffd");
        else if (c < ' ' || c == '"' || c == '\\')
            text_print(to, "\\u%04x", (unsigned)c);
        else
            text_add(to, s, (size_t)n);
        s += n ? n : 1;
        left -= (size_t)(n ? n : 1);
    }
    text_add(to, "\"", 1);
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

/* A part is what has a stack of layers: they are named PART/dnn_0, PART/dnn_0/bn, ... */
struct part {
    const char *name;
    uint64_t parameters, macs;
};

static const char *part_name(struct job *job, const char *name)
{
    const char *stop = strstr(name, "/dnn");
    return stop ? arena_copy(&job->arena, name, (size_t)(stop - name)) : name;
}

/* The parts that have parameters, and the sum over all operations in *sum. */
static struct part *find_parts(struct job *job, const struct model *m, int *n, struct part *sum)
{
    struct part *parts = NEW_ARRAY(job, (size_t)m->n_ops, struct part);
    *n = 0;
    *sum = (struct part){.name = "in all"};
    for (int i = 0; i < m->n_ops; i++) {
        const struct op *op = &m->ops[i];
        const char *name = part_name(job, m->values[op->out].name);
        sum->parameters += parameters(m, op);
        sum->macs += multiply_adds(m, op);
        if (!parameters(m, op))
            continue;
        if (!*n || strcmp(parts[*n - 1].name, name) != 0)
            parts[(*n)++].name = name;
        parts[*n - 1].parameters += parameters(m, op);
        parts[*n - 1].macs += multiply_adds(m, op);
    }
    return parts;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void features_text(struct job *job, const struct features *f, struct text *to)
{
    text_print(to, "features, in the order of the %s (%s%s); %s", f->order == ORDER_NAME ? "columns' names" : "config",
               f->order_from ? "from " : "the default", f->order_from ? comment_text(job, f->order_from) : "", f->why);
    if (f->user_width)
        text_print(to, "; the first %d are the user's", f->user_width);
    text_print(to, "\n");
    for (int i = 0; i < f->n_features; i++) {
        const struct feature *x = &f->feature[i];
        if (x->width)
            text_print(to, "  %4d .. %4d", x->first, x->first + x->width - 1);
        else
            text_print(to, "  width unknown");
        text_print(to, "  %-24s %-16s", comment_text(job, x->key), x->kind);
        if (f->user_width)
            text_print(to, " %s", x->user ? "user" : "item");
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
    if (parameters(m, op))
        text_print(to, "  %10" PRIu64 " parameters", parameters(m, op));
    if (op->kind == OP_dense)
        text_print(to, " %10" PRIu64 " multiply-adds", multiply_adds(m, op));
    if (op->kind == OP_act)
        text_print(to, "  %s", formula(op->act));
    if (op->kind == OP_mix)
        text_print(to, "  %d experts", op->n_in - 1);
    text_print(to, "\n");
}

static void part_text(struct job *job, const struct part *p, struct text *to)
{
    text_print(to, "  %-32s %10" PRIu64 " parameters %10" PRIu64 " multiply-adds\n", comment_text(job, p->name),
               p->parameters, p->macs);
}

static void parts_text(struct job *job, const struct model *m, struct text *to)
{
    int n;
    struct part sum, *parts = find_parts(job, m, &n, &sum);
    text_print(to, "parts, for a row\n");
    for (int i = 0; i < n; i++)
        part_text(job, &parts[i], to);
    part_text(job, &sum, to);
}

static void network_text(struct job *job, const struct network *n, struct text *to)
{
    const struct model *m = n->original;
    features_text(job, n->features, to);
    text_print(to, "network\n");
    for (int i = 0; i < m->n_ops; i++)
        op_text(job, m, &m->ops[i], to);
    parts_text(job, m, to);
    text_print(to, "outputs\n");
    for (int i = 0; i < m->n_outputs; i++)
        text_print(to, "  %-32s %d column%s%s\n", comment_text(job, m->outputs[i].name), m->outputs[i].width,
                   m->outputs[i].width == 1 ? "" : "s", m->outputs[i].type == CLASS_OUTPUT ? ", a class number" : "");
    text_print(to, "ignored: training, evaluation and the like\n");
    for (size_t i = 0; i < n->config->n_ignored; i++)
        text_print(to, "  %s\n", n->config->ignored[i]);
    text_print(to, "weights\n  %s\n",
               n->checkpoint ? comment_text(job, base_name(n->checkpoint)) : "none found, none needed");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void features_json(const struct features *f, struct text *to)
{
    text_print(to, "\"order\":\"%s\",\"order_from\":", f->order == ORDER_NAME ? "name" : "config");
    add_json_string(to, f->order_from ? f->order_from : "default");
    text_print(to, ",\"width\":%d,\"user_width\":%d,\"features\":[", f->width, f->user_width);
    for (int i = 0; i < f->n_features; i++) {
        const struct feature *x = &f->feature[i];
        text_print(to, "%s\n {\"key\":", i ? "," : "");
        add_json_string(to, x->key);
        text_print(to, ",\"kind\":\"%s\",\"first\":%d,\"width\":%d", x->kind, x->first, x->width);
        if (f->user_width)
            text_print(to, ",\"user\":%s", x->user ? "true" : "false");
        if (x->table) {
            text_print(to, ",\"table\":");
            add_json_string(to, x->table);
            text_print(to, ",\"rows\":%" PRIu64, x->table_rows);
        }
        text_print(to, "}");
    }
    text_print(to, "],\n");
}

static void op_json(const struct model *m, const struct op *op, struct text *to)
{
    text_print(to, "{\"name\":");
    add_json_string(to, m->values[op->out].name);
    text_print(to, ",\"op\":\"%s\",\"in\":%d,\"out\":%d,\"parameters\":%" PRIu64 ",\"multiply_adds\":%" PRIu64,
               op->kind == OP_act ? act_name(op->act) : op_name(op->kind), m->values[op->in[0]].width,
               m->values[op->out].width, parameters(m, op), multiply_adds(m, op));
    if (op->kind == OP_act)
        text_print(to, ",\"formula\":\"%s\"", formula(op->act));
    if (op->kind == OP_mix)
        text_print(to, ",\"experts\":%d", op->n_in - 1);
    text_print(to, "}");
}

static void parts_json(struct job *job, const struct model *m, struct text *to)
{
    int n;
    struct part sum, *parts = find_parts(job, m, &n, &sum);
    text_print(to, "\"parts\":[");
    for (int i = 0; i < n; i++) {
        text_print(to, "%s\n {\"name\":", i ? "," : "");
        add_json_string(to, parts[i].name);
        text_print(to, ",\"parameters\":%" PRIu64 ",\"multiply_adds\":%" PRIu64 "}", parts[i].parameters,
                   parts[i].macs);
    }
    text_print(to, "],\n\"parameters\":%" PRIu64 ",\"multiply_adds\":%" PRIu64 ",\n", sum.parameters, sum.macs);
}

static void outputs_json(const struct model *m, struct text *to)
{
    text_print(to, "\"outputs\":[");
    for (int i = 0; i < m->n_outputs; i++) {
        text_print(to, "%s\n {\"name\":", i ? "," : "");
        add_json_string(to, m->outputs[i].name);
        text_print(to, ",\"width\":%d,\"class\":%s}", m->outputs[i].width,
                   m->outputs[i].type == CLASS_OUTPUT ? "true" : "false");
    }
    text_print(to, "],\n");
}

static void remarks_json(const struct job *job, const struct network *n, struct text *to)
{
    const char *between = "";
    text_print(to, "\"ignored\":[");
    for (size_t i = 0; i < n->config->n_ignored; i++) {
        text_print(to, "%s", i ? "," : "");
        add_json_string(to, n->config->ignored[i]);
    }
    text_print(to, "],\n\"warnings\":[");
    for (const struct message *w = job->messages; w; w = w->next)
        if (w->severity == WARNING) {
            text_print(to, "%s", between);
            add_json_string(to, w->text);
            between = ",";
        }
    text_print(to, "],\n\"checkpoint\":");
    if (n->checkpoint)
        add_json_string(to, base_name(n->checkpoint));
    else
        text_print(to, "null");
}

static void network_json(struct job *job, const struct network *n, struct text *to)
{
    const struct model *m = n->original;
    text_print(to, "{");
    features_json(n->features, to);
    text_print(to, "\"layers\":[");
    for (int i = 0; i < m->n_ops; i++) {
        text_print(to, "%s\n ", i ? "," : "");
        op_json(m, &m->ops[i], to);
    }
    text_print(to, "],\n");
    parts_json(job, m, to);
    outputs_json(m, to);
    remarks_json(job, n, to);
    text_print(to, "}\n");
}

bool do_inspect(struct job *job, struct text *to)
{
    struct network *n = read_network(job, false);
    if (!n)
        return false;
    const struct plan *p = job->options->plan ? make_plan(job, n->model) : NULL;
    if (job->options->plan && !p)
        return false;
    if (p)
        explain_plan(job, p, n->original, to);
    else if (job->options->json)
        network_json(job, n, to);
    else
        network_text(job, n, to);
    return true;
}
