// SPDX-License-Identifier: Apache-2.0
/* graph.c: graphs as EasyRec's input layer builds them, written field by field, and broken ones. */
#include "one_job.h"

#include <stdio.h>

static struct text graph;

static void put_field(struct text *to, int number, const void *bytes, size_t n)
{
    unsigned char head[16];
    size_t k = 0;
    head[k++] = (unsigned char)(number << 3 | 2);
    for (size_t left = n;; left >>= 7) {
        head[k++] = (unsigned char)(left < 128 ? left : (left & 127) | 128);
        if (left < 128)
            break;
    }
    text_add(to, (const char *)head, k);
    text_add(to, bytes, n);
}

static void put_text(struct text *to, int number, const char *text) { put_field(to, number, text, strlen(text)); }

/* Inputs by spaces. */
static void put_node(const char *name, const char *op, const char *inputs)
{
    struct text node = {.arena = &job.arena};
    put_text(&node, 1, name);
    put_text(&node, 2, op);
    while (*inputs) {
        size_t n = strcspn(inputs, " ");
        put_field(&node, 3, inputs, n);
        inputs += n + (inputs[n] == ' ');
    }
    put_field(&graph, 1, node.data, node.length);
}

static void begin_graph(void) { graph = (struct text){.arena = &job.arena}; }

/* A MetaGraphDef, or a SavedModel with two of them. */
static struct text end_graph(bool saved_model)
{
    struct text meta = {.arena = &job.arena}, other = {.arena = &job.arena}, all = {.arena = &job.arena};
    struct text info = {.arena = &job.arena};
    put_text(&info, 4, "serve");
    put_field(&meta, 1, info.data, info.length);
    put_field(&meta, 2, graph.data, graph.length);
    if (!saved_model)
        return meta;
    put_text(&other, 3, "training");
    put_field(&all, 2, other.data, other.length);
    put_field(&all, 2, meta.data, meta.length);
    return all;
}

static void put_layer(const char *columns)
{
    begin_graph();
    put_node("mmoe/gate_0/dnn/MatMul", "MatMul", "Identity kernel/read");
    put_node("Identity", "Identity", "all_concat:0 ^nothing");
    put_node("all_concat", "ConcatV2", "input_layer/concat seq_embedding/Reshape axis");
    put_node("input_layer/concat", "ConcatV2", columns);
    put_node("input_layer/b_embedding/Reshape", "Reshape", "x");
    put_node("input_layer/a_embedding_1/Reshape_2", "Reshape", "x");
    put_node("seq_embedding/Reshape", "Reshape", "x");
}

static void columns_in_their_order(void **state)
{
    int n;
    (void)state;
    for (int saved = 0; saved < 2; saved++) {
        put_layer("input_layer/b_embedding/Reshape input_layer/a_embedding_1/Reshape_2 input_layer/concat/axis");
        struct text t = end_graph(saved);
        const char **columns = read_graph_columns(&job, t.data, t.length, saved, &n);
        assert_non_null(columns);
        assert_int_equal(n, 2);
        assert_string_equal(columns[0], "b_embedding");
        assert_string_equal(columns[1], "a_embedding_1");
    }
}

static void other_graphs_have_no_answer(void **state)
{
    int n;
    (void)state;
    put_layer("input_layer/missing/Reshape input_layer/concat/axis");
    struct text t = end_graph(false);
    assert_null(read_graph_columns(&job, t.data, t.length, false, &n));
    begin_graph();
    put_node("mmoe/gate_0/dnn/MatMul", "MatMul", "mmoe/gate_0/dnn/concat");
    put_node("mmoe/gate_0/dnn/concat", "ConcatV2", "mmoe/gate_0/dnn/concat mmoe/gate_0/dnn/concat axis");
    t = end_graph(false);
    assert_null(read_graph_columns(&job, t.data, t.length, false, &n));      /* a circle */
    assert_null(read_graph_columns(&job, "", 0, true, &n));
}

/* Cut and damaged at every byte: any answer, but no crash. */
static void damaged_graphs(void **state)
{
    int n;
    (void)state;
    put_layer("input_layer/b_embedding/Reshape input_layer/a_embedding_1/Reshape_2 input_layer/concat/axis");
    struct text t = end_graph(true);
    for (size_t i = 0; i < t.length; i++) {
        char *copy = test_malloc(i + 1);
        memcpy(copy, t.data, i);
        read_graph_columns(&job, copy, i, true, &n);
        test_free(copy);
        char old = t.data[i];
        for (int value = 0; value < 256; value += 17) {
            t.data[i] = (char)value;
            read_graph_columns(&job, t.data, t.length, true, &n);
        }
        t.data[i] = old;
    }
}

static struct features *two_features(void)
{
    struct features *f = NEW(&job, struct features);
    f->feature = NEW_ARRAY(&job, 3, struct feature);
    f->feature[0] = (struct feature){.column = "b_embedding", .width = 4};
    f->feature[1] = (struct feature){.column = "a_embedding", .first = 4, .width = 2};
    f->feature[2] = (struct feature){.column = "seq", .first = 6, .width = 2};
    f->n_features = 3;
    f->n_plain = 2;
    return f;
}

static void features_take_the_graph_s_order(void **state)
{
    static const char *const config[] = {"b_embedding", "a_embedding_1"}, *const names[] = {"a_embedding_12", "b_embedding"},
                      *const others[] = {"a_embedding", "c_embedding"};
    (void)state;
    struct features *f = two_features();
    order_features(&job, f, config, 2, "x.meta");
    assert_true(f->order == ORDER_CONFIG && f->feature[0].width == 4);
    assert_string_equal(f->order_from, "x.meta");
    f = two_features();
    order_features(&job, f, names, 2, "x.meta");
    assert_true(f->order == ORDER_NAME && f->feature[0].width == 2 && f->feature[1].first == 2);
    assert_int_equal(f->feature[2].first, 6);
    assert_int_equal(job.warnings, 0);
    f = two_features();
    order_features(&job, f, others, 2, "x.meta");
    assert_true(f->order == ORDER_CONFIG && !f->order_from && f->feature[0].width == 4);
    order_features(&job, f, names, 1, "x.meta");
    order_features(&job, f, NULL, 0, "x.meta");
    assert_int_equal(job.warnings, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(columns_in_their_order), TEST(other_graphs_have_no_answer), TEST(damaged_graphs),
        TEST(features_take_the_graph_s_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
