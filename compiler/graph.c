// SPDX-License-Identifier: Apache-2.0
/* graph.c: in which order a TensorFlow graph has put features side by side.
 *
 * EasyRec before 0.8.0 sorts features by their columns' names, later versions keep the config's order; neither config nor
 * checkpoint says which was trained, but the graph does, in a SavedModel's saved_model.pb or in the .meta beside a
 * checkpoint. From the experts' input (what the first gate multiplies) concatenations are followed back to the nodes that
 * are not; each lies in a scope named by its column.
 *
 * The protobuf is read field by field, without its schema: a message is a run of fields, each a key, and a number or
 * bytes. Numbers of fields are those of TensorFlow's core/protobuf/meta_graph.proto, saved_model.proto and
 * core/framework/graph.proto. Nothing here is an error: a graph that looks different has no answer.
 *
 * How to read it: fields; nodes; the walk; the columns.
 */
#include "mmoec.h"

#include <stdlib.h>
#include <string.h>

#define START "mmoe/gate_0/dnn/MatMul"
#define MOST_STEPS (1 << 20)            /* of the walk */
#define DEEPEST 64

/* Bytes of a message that are still to be read. */
struct bytes {
    const unsigned char *at, *end;
};

struct node {
    struct bytes name, op, all;
};

struct graph {
    struct job *job;
    struct node *nodes;                 /* by name */
    size_t n_nodes;
    const char **leaves;
    size_t n_leaves, room_leaves;
    int steps;
};

/* ---- fields ---------------------------------------------------------------------------------- */

static bool read_number(struct bytes *b, uint64_t *to)
{
    *to = 0;
    for (int shift = 0; shift < 64 && b->at < b->end; shift += 7) {
        unsigned char c = *b->at++;
        *to |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return true;
    }
    return false;
}

/* The next field: its number, and its bytes if it has some; 0 at the end, and where nothing can be read. */
static unsigned next_field(struct bytes *b, struct bytes *content)
{
    uint64_t key, n = 0;
    *content = (struct bytes){b->at, b->at};
    if (b->at == b->end || !read_number(b, &key) || key >> 3 == 0 || key >> 32)
        return 0;
    switch (key & 7) {
    case 0: return read_number(b, &n) ? (unsigned)(key >> 3) : 0;
    case 1: n = 8; break;
    case 5: n = 4; break;
    case 2:
        if (!read_number(b, &n))
            return 0;
        break;
    default: return 0;
    }
    if (n > (uint64_t)(b->end - b->at))
        return 0;
    *content = (struct bytes){b->at, b->at + n};
    b->at += n;
    return (unsigned)(key >> 3);
}

/* The first field of that number; empty if there is none. */
static struct bytes find_field(struct bytes b, unsigned number)
{
    struct bytes content;
    for (unsigned k; (k = next_field(&b, &content)) != 0;)
        if (k == number)
            return content;
    return (struct bytes){b.end, b.end};
}

static bool is_text(struct bytes b, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(b.end - b.at) == n && memcmp(b.at, text, n) == 0;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static bool is_for_serving(struct bytes meta_graph)
{
    struct bytes info = find_field(meta_graph, 1), tag;
    for (unsigned k; (k = next_field(&info, &tag)) != 0;)
        if (k == 4 && is_text(tag, "serve"))
            return true;
    return false;
}

/* Of a SavedModel's graphs, the one that serves. */
static struct bytes choose_graph(struct bytes saved_model)
{
    struct bytes content;
    for (unsigned k; (k = next_field(&saved_model, &content)) != 0;)
        if (k == 2 && is_for_serving(content))
            return content;
    return (struct bytes){saved_model.end, saved_model.end};
}

static int compare(struct bytes a, struct bytes b)
{
    size_t n = (size_t)(a.end - a.at), k = (size_t)(b.end - b.at), least = n < k ? n : k;
    int d = least ? memcmp(a.at, b.at, least) : 0;
    return d ? d : n < k ? -1 : n > k;
}

static int by_name(const void *a, const void *b)
{
    return compare(((const struct node *)a)->name, ((const struct node *)b)->name);
}

static void list_nodes(struct graph *g, struct bytes graph)
{
    struct bytes b = graph, content;
    size_t n = 0;
    for (unsigned k; (k = next_field(&b, &content)) != 0;)
        n += k == 1;
    g->nodes = NEW_ARRAY(g->job, n, struct node);
    for (unsigned k; (k = next_field(&graph, &content)) != 0;)
        if (k == 1)
            g->nodes[g->n_nodes++] = (struct node){find_field(content, 1), find_field(content, 2), content};
    if (g->n_nodes)
        qsort(g->nodes, g->n_nodes, sizeof *g->nodes, by_name);
}

/* The node that an input names: NAME or NAME:OUTPUT. */
static const struct node *find_node(const struct graph *g, struct bytes input)
{
    const unsigned char *colon = input.at < input.end ? memchr(input.at, ':', (size_t)(input.end - input.at)) : NULL;
    struct node key = {.name = {input.at, colon ? colon : input.end}};
    return g->n_nodes ? bsearch(&key, g->nodes, g->n_nodes, sizeof key, by_name) : NULL;
}

/* ---- the walk -------------------------------------------------------------------------------- */

static size_t count_inputs(struct bytes node)
{
    struct bytes content;
    size_t n = 0;
    for (unsigned k; (k = next_field(&node, &content)) != 0;)
        n += k == 3 && content.at < content.end && *content.at != '^';
    return n;
}

static void add_leaf(struct graph *g, struct bytes name)
{
    if (g->n_leaves == g->room_leaves) {
        g->room_leaves = g->room_leaves ? 2 * g->room_leaves : 64;
        const char **more = NEW_ARRAY(g->job, g->room_leaves, const char *);
        if (g->n_leaves)
            memcpy(more, g->leaves, g->n_leaves * sizeof *more);
        g->leaves = more;
    }
    g->leaves[g->n_leaves++] = arena_copy(&g->job->arena, (const char *)name.at, (size_t)(name.end - name.at));
}

/* The first `n` inputs of a node, concatenations followed. */
static bool follow(struct graph *g, const struct node *node, size_t n, int depth)
{
    struct bytes all = node->all, input;
    if (depth > DEEPEST)
        return false;
    for (unsigned k; n && (k = next_field(&all, &input)) != 0;) {
        if (k != 3 || input.at == input.end || *input.at == '^')
            continue;
        const struct node *from = find_node(g, input);
        if (!from || ++g->steps > MOST_STEPS)
            return false;
        bool concat = is_text(from->op, "ConcatV2"), identity = is_text(from->op, "Identity");
        size_t inputs = count_inputs(from->all);
        if (concat ? !inputs || !follow(g, from, inputs - 1, depth + 1) : identity && !follow(g, from, 1, depth + 1))
            return false;
        if (!concat && !identity)
            add_leaf(g, from->name);
        n--;
    }
    return n == 0;
}

/* ---- the columns ----------------------------------------------------------------------------- */

/* input_layer/COLUMN/Reshape -> COLUMN; NULL for another scope. A second input layer is input_layer_1. */
static const char *column_of(struct job *job, const char *leaf)
{
    static const char layer[] = "input_layer";
    if (strncmp(leaf, layer, sizeof layer - 1) != 0)
        return NULL;
    const char *p = leaf + sizeof layer - 1;
    if (*p == '_')
        p += 1 + strspn(p + 1, "0123456789");
    const char *slash = *p == '/' ? strchr(p + 1, '/') : NULL;
    return slash ? arena_copy(&job->arena, p + 1, (size_t)(slash - p - 1)) : NULL;
}

const char **read_graph_columns(struct job *job, const void *file, size_t length, bool saved_model, int *n)
{
    struct graph g = {.job = job};
    struct bytes all = {file, (const unsigned char *)file + length};
    list_nodes(&g, find_field(saved_model ? choose_graph(all) : all, 2));
    const struct node *start = find_node(&g, (struct bytes){(const unsigned char *)START,
                                                            (const unsigned char *)START + strlen(START)});
    *n = 0;
    if (!start || !follow(&g, start, 1, 0))
        return NULL;
    for (size_t i = 0; i < g.n_leaves; i++) {
        const char *column = column_of(job, g.leaves[i]);
        if (column)
            g.leaves[(*n)++] = column;
    }
    return g.leaves;
}
