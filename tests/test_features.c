// SPDX-License-Identifier: Apache-2.0
/* Tests of features.c: names, kinds, tables and widths of what enters the experts.
 *
 * What EasyRec 0.8.7 makes of a config is taken from models that it trained (tests/golden: their
 * columns.json was written from its graph) and from its sources. Wrong configs are in tests/bad;
 * test_lower.c reads them.
 *
 * How to read it: reading a text; goldens; EasyRec's samples; one feature at a time; orders;
 * old names; groups; target attention; trouble and faults.
 */
#include "one_job.h"

static struct features *read_text(const char *text)
{
    const struct source *s = source_of(text, strlen(text));
    return read_features(&job, read_config(&job, s));
}

/* Texts in the arena of the job; `features` are feature configs, `group` what is in the group. */
static struct features *read_group(const char *features, const char *group)
{
    clear();
    return read_text(arena_print(&job.arena,
                                 "data_config { input_fields { input_name: 'i' input_type: INT64 }"
                                 " input_fields { input_name: 'x' input_type: FLOAT } }\n"
                                 "%s model_config { feature_groups { group_name: 'all' %s } }",
                                 features, group));
}

static const struct features *accepted(const char *features, const char *group)
{
    const struct features *f = read_group(features, group);
    if (!f || job.messages)
        fail_msg("%s: %s", group, job.messages ? job.messages->text : "refused");
    return f;
}

static void refused(const char *features, const char *group, const char *tag)
{
    if (read_group(features, group))
        fail_msg("accepted: %s %s", features, group);
    assert_int_equal(job.last_message->severity, ERROR);
    assert_string_equal(job.last_message->tag, tag);
}

/* The keys in the order of their columns, each with its first column: "a 0, b 16". */
static const char *places(const struct features *f)
{
    struct text t = {.arena = &job.arena};
    text_print(&t, "%s", "");
    for (int i = 0; i < f->n_features; i++)
        text_print(&t, "%s%s %d", i ? ", " : "", f->feature[i].key, f->feature[i].first);
    return t.data;
}

/* With --user-columns: the keys as above, the user's marked; the group and what surrounds it may be any. */
static const char *users_by(const char *columns, const char *text)
{
    clear();
    options.user_columns = columns;
    struct features *f = read_text(text);
    bool good = f && place_users(&job, f);
    options.user_columns = NULL;
    if (!good)
        return job.last_message->text;
    struct text t = {.arena = &job.arena};
    for (int i = 0; i < f->n_features; i++)
        text_print(&t, "%s%s%s %d", i ? ", " : "", f->feature[i].user ? "*" : "", f->feature[i].key,
                   f->feature[i].first);
    text_print(&t, "; %d of", f->user_width);
    for (int i = 0; i < f->width; i++)
        text_print(&t, " %u", (unsigned)f->easyrec_column[i]);
    return t.data;
}

/* ---- goldens ---- */

/* columns.json as one line per feature: key, first, after the last. */
static void check_columns(const char *dir, int width, const char *why)
{
    clear();
    const char *path = arena_print(&job.arena, TEST_DIR "/golden/%s/pipeline.config", dir);
    const struct features *f = read_features(&job, read_config(&job, read_source(&job, path)));
    assert_non_null(f);
    assert_null(job.messages);
    assert_int_equal(f->width, width);
    assert_string_equal(f->why, why);
    path = arena_print(&job.arena, TEST_DIR "/golden/%s/columns.json", dir);
    const char *json = read_source(&job, path)->text;
    int n = 0;
    for (const char *p = strchr(json, '"'); p; n++) {
        size_t length = strcspn(++p, "\"");
        char *rest = strchr(p, '[');
        long first = strtol(rest + 1, &rest, 10), last = strtol(strchr(rest, ',') + 1, &rest, 10);
        assert_true(n < f->n_features);
        assert_int_equal(strlen(f->feature[n].key), length);
        assert_memory_equal(f->feature[n].key, p, length);
        assert_int_equal(f->feature[n].first, first);
        assert_int_equal(f->feature[n].first + f->feature[n].width, last);
        p = strchr(rest, '"');
    }
    assert_int_equal(n, f->n_features);
}

static void goldens_have_their_columns(void **state)
{
    (void)state;
    check_columns("tiny_mmoe", 21, "the group \"all\" has 4 features, 21 columns");
    check_columns("nobn_tanh_mmoe", 21, "the group \"all\" has 4 features, 21 columns");
    check_columns("heads_mmoe", 78, "the group \"all\" has 13 features, 78 columns");
    check_columns("taobao_mmoe", 272, "the group \"all\" has 17 features of 16 columns: 272");
}

static bool is_variable(const char *variables, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = strstr(variables, name); p; p = strstr(p + 1, name))
        if ((p == variables || p[-1] == '\n' || p[-1] == ' ' || p[-1] == '"') &&
            strchr(" \t\n\"[(:,", p[n]))
            return true;
    return false;
}

static void tables_are_in_the_checkpoint(void **state)
{
    (void)state;
    static const char *const dirs[] = {"tiny_mmoe", "nobn_tanh_mmoe", "heads_mmoe", "taobao_mmoe"};
    for (size_t d = 0; d < COUNT(dirs); d++) {
        clear();
        const char *dir = arena_print(&job.arena, TEST_DIR "/golden/%s/", dirs[d]);
        const struct source *s =
            read_source(&job, arena_print(&job.arena, "%spipeline.config", dir));
        const struct features *f = read_features(&job, read_config(&job, s));
        const char *names =
            read_source(&job, arena_print(&job.arena, "%svariables.txt", dir))->text;
        struct tensors *ts = read_checkpoint(&job, find_checkpoint(&job, dir));
        for (int i = 0; i < f->n_features; i++) {
            const struct feature *x = &f->feature[i];
            if (!x->table)
                continue;
            assert_true(is_variable(names, x->table));
            const struct tensor *t = find_tensor(ts, x->table);
            assert_non_null(t);
            assert_int_equal(t->dim[0], x->table_rows);
            assert_int_equal(t->dim[1], x->width);
        }
    }
}

/* ---- EasyRec's samples ---- */

static const char *const taobao_keys[] = {
    "user_id", "cms_segid", "cms_group_id", "age_level", "pvalue_level", "shopping_level",
    "occupation", "new_user_class_level", "adgroup_id", "cate_id", "campaign_id", "customer",
    "brand", "price", "pid", "tag_category_list", "tag_brand_list"};

/* mmoe_on_taobao.config, or with the last two as histories (mmoe_on_sequence_feature_taobao). */
static const struct features *taobao(bool sequence)
{
    clear();
    struct text t = {.arena = &job.arena}, names = {.arena = &job.arena};
    for (size_t i = 0; i < COUNT(taobao_keys); i++) {
        bool tag = i >= 15;
        text_print(&t,
                   "feature_configs { input_names: '%s' feature_type: %s embedding_dim: 16 %s }",
                   taobao_keys[i], !tag ? "IdFeature" : sequence ? "SequenceFeature" : "TagFeature",
                   i == 13 ? "num_buckets: 50" : "hash_bucket_size: 100");
        if (!tag || !sequence)
            text_print(&names, "feature_names: '%s' ", taobao_keys[i]);
    }
    text_print(&t, "model_config { feature_groups { group_name: 'all' wide_deep: DEEP %s %s } }",
               names.data,
               sequence ? "sequence_features { group_name: 'seq_fea' tf_summary: false"
                          " seq_att_map { key: 'brand' key: 'cate_id' hist_seq: 'tag_brand_list'"
                          " hist_seq: 'tag_category_list' } }"
                        : "");
    return read_text(t.data);
}

static void taobao_has_272_columns(void **state)
{
    (void)state;
    const struct features *f = taobao(false);
    assert_non_null(f);
    assert_int_equal(f->width, 272);
    assert_string_equal(f->feature[13].column, "price_embedding");
    assert_int_equal(f->feature[13].table_rows, 50);
}

static void taobao_in_the_order_of_names(void **state)
{
    (void)state;
    options.feature_order = ORDER_NAME;
    const struct features *f = taobao(false);
    static const char *const expected[] = {
        "adgroup_id", "age_level", "brand", "campaign_id", "cate_id", "cms_group_id", "cms_segid",
        "customer", "new_user_class_level", "occupation", "pid", "price", "pvalue_level",
        "shopping_level", "tag_brand_list", "tag_category_list", "user_id"};
    assert_int_equal(f->order, ORDER_NAME);
    for (int i = 0; i < 17; i++) {
        assert_string_equal(f->feature[i].key, expected[i]);
        assert_int_equal(f->feature[i].first, 16 * i);
    }
}

static void sequence_taobao_has_304_columns(void **state)
{
    (void)state;
    const struct features *f = taobao(true);
    assert_non_null(f);
    assert_int_equal(f->width, 304);
    assert_int_equal(f->n_features, 16);
    assert_string_equal(f->why, "the group \"all\" has 16 features, 304 columns");
    assert_string_equal(f->feature[15].key, "seq_fea");
    assert_string_equal(f->feature[15].kind, "target attention");
    assert_int_equal(f->feature[15].first, 240);
    assert_int_equal(f->feature[15].width, 64);
    assert_null(f->feature[15].table);
    assert_int_equal(f->batch_norms, 0);
}

/* 7 projected numbers, 33 ids that share one table. */
static void census_has_360_columns(void **state)
{
    (void)state;
    clear();
    struct text t = {.arena = &job.arena}, names = {.arena = &job.arena};
    for (int i = 0; i < 40; i++) {
        text_print(&t, "feature_configs { input_names: 'f%d' feature_type: %s %s embedding_dim: 9"
                       " hash_bucket_size: 400 }",
                   i, i < 7 ? "RawFeature" : "IdFeature", i < 7 ? "" : "embedding_name: 'feature'");
        text_print(&names, "feature_names: 'f%d' ", i);
    }
    text_print(&t, "model_config { feature_groups { group_name: 'all' %s } }", names.data);
    const struct features *f = read_text(t.data);
    assert_non_null(f);
    assert_int_equal(f->width, 360);
    assert_string_equal(f->feature[0].table,
                        "input_layer/f0_weighted_by_f0_raw_proj_val_embedding/embedding_weights");
    assert_int_equal(f->feature[0].table_rows, 1);
    assert_string_equal(f->feature[7].column, "f7_shared_embedding");
    assert_string_equal(f->feature[39].table, "input_layer/feature/embedding_weights");
    assert_int_equal(f->feature[39].table_rows, 400);
}

/* ---- one feature at a time ---- */

static void each_kind_has_its_column_and_table(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *column, *table;
        uint64_t rows;
        int width;
    } cases[] = {
        {"hash_bucket_size: 10 embedding_dim: 4", "k_embedding",
         "input_layer/k_embedding/embedding_weights", 10, 4},
        {"num_buckets: 7 embedding_dim: 4", "k_embedding",
         "input_layer/k_embedding/embedding_weights", 7, 4},
        {"vocab_list: ['a', 'b'] num_buckets: 9 embedding_dim: 4", "k_embedding",
         "input_layer/k_embedding/embedding_weights", 2, 4},
        {"hash_bucket_size: 5 vocab_list: ['a', 'b'] embedding_dim: 4", "k_embedding",
         "input_layer/k_embedding/embedding_weights", 5, 4},
        {"hash_bucket_size: 5 embedding_name: 'alone' embedding_dim: 4", "k_embedding",
         "input_layer/k_embedding/embedding_weights", 5, 4},
        {"feature_type: TagFeature hash_bucket_size: 10 embedding_dim: 3", "k_embedding",
         "input_layer/k_embedding/embedding_weights", 10, 3},
        {"feature_type: TagFeature hash_bucket_size: 10 embedding_dim: 3 kv_separator: ':'",
         "k_weighted_by_k_w_embedding",
         "input_layer/k_weighted_by_k_w_embedding/embedding_weights", 10, 3},
        {"feature_type: TagFeature hash_bucket_size: 10 embedding_dim: 3 input_names: 'w'",
         "k_weighted_by_k_w_embedding",
         "input_layer/k_weighted_by_k_w_embedding/embedding_weights", 10, 3},
        {"feature_type: RawFeature", "k", NULL, 0, 1},
        {"feature_type: RawFeature raw_input_dim: 6 hash_bucket_size: 400", "k", NULL, 0, 6},
        {"feature_type: RawFeature num_buckets: 5", "k", NULL, 0, 1},
        {"feature_type: RawFeature min_val: 1 max_val: 2", "k", NULL, 0, 1},
        {"feature_type: RawFeature embedding_dim: 5 raw_input_dim: 3",
         "k_weighted_by_k_raw_proj_val_embedding",
         "input_layer/k_weighted_by_k_raw_proj_val_embedding/embedding_weights", 3, 5},
        {"feature_type: RawFeature boundaries: [0.1, 0.2, 0.3] embedding_dim: 5",
         "k_bucketized_embedding", "input_layer/k_bucketized_embedding/embedding_weights", 4, 5},
        {"feature_type: RawFeature boundaries: [0.1, 0.2] embedding_dim: 5 raw_input_dim: 2",
         "k_bucketized_embedding", "input_layer/k_bucketized_embedding/embedding_weights", 6, 5},
        {"feature_type: RawFeature num_buckets: 10 min_val: 0 max_val: 100 embedding_dim: 5",
         "k_bucketized_embedding", "input_layer/k_bucketized_embedding/embedding_weights", 11, 5},
        {"feature_type: ComboFeature feature_name: 'c' input_names: 'b' hash_bucket_size: 9"
         " embedding_dim: 2",
         "c_embedding", "input_layer/c_embedding/embedding_weights", 9, 2},
        {"feature_type: LookupFeature input_names: 'm' kv_separator: ':' hash_bucket_size: 9"
         " embedding_dim: 2",
         "k_embedding", "input_layer/k_embedding/embedding_weights", 9, 2},
        {"feature_type: ExprFeature feature_name: 'e' expression: 'k + 1'", "e", NULL, 0, 1},
        {"feature_type: SequenceFeature hash_bucket_size: 9 embedding_dim: 2"
         " sequence_combiner { attention {} }",
         "k_embedding", "k_embedding/embedding_weights", 9, 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char config[400];
        snprintf(config, sizeof config, "feature_configs { input_names: 'k' %s }", cases[i].fields);
        const char *name = strstr(config, "feature_name: '");
        char group[40];
        snprintf(group, sizeof group, "feature_names: '%c'", name ? name[15] : 'k');
        const struct features *f = accepted(config, group);
        assert_int_equal(f->n_features, 1);
        assert_string_equal(f->feature[0].column, cases[i].column);
        assert_int_equal(f->feature[0].width, cases[i].width);
        if (!cases[i].table) {
            assert_null(f->feature[0].table);
            continue;
        }
        assert_string_equal(f->feature[0].table, cases[i].table);
        assert_int_equal(f->feature[0].table_rows, cases[i].rows);
    }
}

static void text_cnn_widths_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int width;
    } cases[] = {
        {"filter_sizes: [2, 3] num_filters: [8, 4]", 12},
        {"filter_sizes: [2] num_filters: [8, 4]", 8},
        {"filter_sizes: [2, 3] num_filters: [8, 4] mlp { hidden_units: [32, 6] }", 6},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char config[400];
        snprintf(config, sizeof config,
                 "feature_configs { input_names: 's' feature_type: SequenceFeature"
                 " hash_bucket_size: 9 embedding_dim: 2 sequence_combiner { text_cnn { %s } } }",
                 cases[i].fields);
        const struct features *f = read_group(config, "feature_names: 's'");
        assert_non_null(f);
        assert_int_equal(f->width, cases[i].width);
        assert_non_null(f->feature[0].trouble);
        assert_string_equal(job.messages->tag, "not-from-rows");
    }
}

#define ID(key, more) \
    "feature_configs { input_names: '" key "' hash_bucket_size: 9 embedding_dim: 2 " more " } "
#define SEQUENCE(key, dim, more)                                                                  \
    "feature_configs { input_names: '" key "' feature_type: SequenceFeature hash_bucket_size: 9 " \
    "embedding_dim: " dim " " more " } "
#define ATTENTION "sequence_combiner { attention {} }"

static void tables_are_shared_by_at_least_two(void **state)
{
    (void)state;
    const struct features *f =
        accepted(ID("a", "embedding_name: 'n'") ID("unused", "embedding_name: 'n'"),
                 "feature_names: 'a'");
    assert_string_equal(f->feature[0].table, "input_layer/n/embedding_weights");
    assert_string_equal(f->feature[0].column, "a_shared_embedding");
    f = accepted(SEQUENCE("s", "2", ATTENTION " embedding_name: 'n'")
                     ID("unused", "embedding_name: 'n'"),
                 "feature_names: 's'");
    assert_string_equal(f->feature[0].table, "n/embedding_weights");
    f = accepted(SEQUENCE("s", "2", ATTENTION " embedding_name: 'n'")
                     ID("a", "embedding_name: 'n'"),
                 "feature_names: ['s', 'a']");
    assert_string_equal(f->feature[1].table, "input_layer/n/embedding_weights");
    refused(ID("a", "embedding_name: 'n'")
            "feature_configs { input_names: 'b' hash_bucket_size: 9 embedding_dim: 3"
            " embedding_name: 'n' }",
            "feature_names: ['a', 'b']", "feature");
    /* Those in no group count, too. */
    refused(ID("a", "embedding_name: 'n'") ID("unused", "embedding_name: 'n' combiner: 'mean'"),
            "feature_names: 'a'", "feature");
    refused(ID("a", "embedding_name: 'n' max_partitions: 2") ID("b", "embedding_name: 'n'"),
            "feature_names: ['a', 'b']", "feature");
    refused("feature_configs { input_names: 'b' num_buckets: 7 embedding_dim: 2"
            " embedding_name: 'n' }" ID("a", "embedding_name: 'n'"),
            "feature_names: ['a', 'b']", "feature");
}

static void shared_names_make_copies(void **state)
{
    (void)state;
    const struct features *f =
        accepted(ID("a", "shared_names: ['b', 'c'] embedding_name: 'n'"),
                 "feature_names: ['c', 'a', 'b']");
    assert_string_equal(places(f), "c 0, a 2, b 4");
    assert_string_equal(f->feature[0].table, "input_layer/n/embedding_weights");
    /* A copy has one input, hence no weights. */
    f = accepted("feature_configs { input_names: ['a', 'w'] feature_type: TagFeature"
                 " hash_bucket_size: 9 embedding_dim: 2 shared_names: 'b' }",
                 "feature_names: ['a', 'b']");
    assert_string_equal(f->feature[0].column, "a_weighted_by_a_w_embedding");
    assert_string_equal(f->feature[1].column, "b_embedding");
    /* Ranges only if auto_expand_input_fields. */
    refused(ID("a", "shared_names: 'b[1-2]'"), "feature_names: 'b1'", "feature");
    f = accepted("data_config { auto_expand_input_fields: true }" ID("a", "shared_names: 'b[1-2]'"),
                 "feature_names: ['b2', 'b1']");
    assert_string_equal(places(f), "b2 0, b1 2");
}

static void feature_configs_win_over_feature_config(void **state)
{
    (void)state;
    const struct features *f =
        accepted("feature_config: { features { input_names: 'a' feature_type: RawFeature } }",
                 "feature_names: 'a'");
    assert_int_equal(f->width, 1);
    refused("feature_config: { features { input_names: 'a' feature_type: RawFeature } }"
            ID("b", ""),
            "feature_names: 'a'", "feature");
}

static void last_of_equal_keys_counts(void **state)
{
    (void)state;
    const struct features *f = read_group(ID("a", "") "feature_configs { input_names: 'a'"
                                                      " num_buckets: 3 embedding_dim: 5 }",
                                          "feature_names: 'a'");
    assert_non_null(f);
    assert_int_equal(f->width, 5);
    assert_int_equal(job.warnings, 1);
}

/* ---- orders ---- */

#define NUMBER(key) "feature_configs { input_names: '" key "' feature_type: RawFeature } "

static void names_are_compared_as_columns(void **state)
{
    (void)state;
    static const char *const abc = ID("a", "") ID("a_b", "");
    assert_string_equal(places(accepted(abc, "feature_names: ['a', 'a_b']")), "a 0, a_b 2");
    options.feature_order = ORDER_NAME;
    assert_string_equal(places(accepted(abc, "feature_names: ['a', 'a_b']")), "a_b 0, a 2");
    assert_string_equal(
        places(accepted(NUMBER("price") ID("price_level", "")
                        "feature_configs { input_names: 'price2' feature_type: RawFeature"
                        " boundaries: [1, 2] embedding_dim: 3 }",
                        "feature_names: ['price_level', 'price2', 'price']")),
        "price 0, price2 1, price_level 4");
}

/* spec/easyrec-input.md, section 11 */
static void a_worked_example_in_both_orders(void **state)
{
    (void)state;
    static const char *const features =
        "feature_configs { input_names: 'user_id' hash_bucket_size: 100000 embedding_dim: 16 }"
        "feature_configs { input_names: 'tags' feature_type: TagFeature hash_bucket_size: 100000"
        " kv_separator: ':' embedding_dim: 8 }"
        "feature_configs { input_names: 'price' num_buckets: 50 embedding_dim: 4 }"
        "feature_configs { input_names: 'age' feature_type: RawFeature }";
    static const char *const group = "feature_names: ['user_id', 'tags', 'price', 'age']";
    const struct features *f = accepted(features, group);
    assert_int_equal(f->width, 29);
    assert_string_equal(places(f), "user_id 0, tags 16, price 24, age 28");
    options.feature_order = ORDER_NAME;
    assert_string_equal(places(accepted(features, group)), "age 0, price 1, tags 5, user_id 13");
}

static void sequences_come_after_all_others_by_name(void **state)
{
    (void)state;
    static const char *const features =
        SEQUENCE("z", "3", ATTENTION) ID("b", "") SEQUENCE("y", "5", ATTENTION) ID("a", "");
    static const char *const group = "feature_names: ['z', 'b', 'y', 'a']";
    assert_string_equal(places(accepted(features, group)), "b 0, a 2, y 4, z 9");
    options.feature_order = ORDER_NAME;
    assert_string_equal(places(accepted(features, group)), "a 0, b 2, y 4, z 9");
}

/* ---- names of EasyRec up to 0.5.7 ---- */

/* A checkpoint that has tables of these names, by commas, ascending. */
static struct tensors *checkpoint_of(const char *names)
{
    struct tensors *ts = NEW(&job, struct tensors);
    ts->name = "c.index";
    ts->tensor = NEW_ARRAY(&job, 8, struct tensor);
    for (size_t n; *names; names += n + (names[n] == ',')) {
        n = strcspn(names, ",");
        ts->tensor[ts->n_tensors++].name = arena_copy(&job.arena, names, n);
    }
    return ts;
}

static struct features *trained(struct features *f, const char *names)
{
    struct tensors *ts = checkpoint_of(names);
    assert_non_null(f);
    find_old_names(&job, f, ts);
    order_by_old_names(&job, f, ts);
    return f;
}

#define KEYED(inputs, kind) "feature_configs { feature_name: 'k' input_names: " inputs " feature_type: " kind " } "

static void columns_were_named_after_inputs(void **state)
{
    (void)state;
    static const struct {
        const char *features, *old;
    } all[] = {
        {ID("i", "feature_name: 'k'"), "i_embedding"},
        {ID("i", ""), "i_embedding"},
        {KEYED("'i'", "TagFeature num_buckets: 2 embedding_dim: 2"), "i_embedding"},
        {KEYED("['i', 'x']", "TagFeature num_buckets: 2 embedding_dim: 2"), "i_weighted_by_x_embedding"},
        {KEYED("'i'", "TagFeature num_buckets: 2 kv_separator: ':' embedding_dim: 2"),
         "i_weighted_by_i_WEIGHT_embedding"},
        {KEYED("'x'", "RawFeature"), "x"},
        {KEYED("'x'", "RawFeature boundaries: 1 embedding_dim: 2"), "x_bucketized_embedding"},
        {KEYED("'x'", "RawFeature embedding_dim: 2"), "x_raw_proj_id_weighted_by_x_raw_proj_val_embedding"},
        {KEYED("['b', 'i', 'a']", "ComboFeature hash_bucket_size: 9 embedding_dim: 2"), "a_X_b_X_i_embedding"},
        {KEYED("['i', 'j']", "LookupFeature hash_bucket_size: 9 kv_separator: ':' embedding_dim: 2"), "k_embedding"},
        {KEYED("'x'", "ExprFeature expression: 'x + 1'"), "k"},
        {ID("i", "feature_name: 'k' embedding_name: 'e'") ID("o", "embedding_name: 'e'"), "i_shared_embedding"},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        bool key = strstr(all[i].features, "'k'") != NULL;
        const struct features *f = read_group(all[i].features, key ? "feature_names: 'k'" : "feature_names: 'i'");
        assert_non_null(f);
        assert_string_equal(f->feature[0].old_column, all[i].old);
    }
}

#define OLD_GROUP "feature_names: ['b', 'n', 'a', 's2', 's1']"
/* Keys a, b, n are inputs z, y, x; sequences s1 and s2 are inputs v and u. */
static const char *const old_features =
    ID("z", "feature_name: 'a'") ID("y", "feature_name: 'b'")
    "feature_configs { input_names: 'x' feature_name: 'n' feature_type: RawFeature }"
    SEQUENCE("v", "3", "feature_name: 's1' combiner: 'sum' " ATTENTION)
    SEQUENCE("u", "5", "feature_name: 's2' combiner: 'sum' " ATTENTION);

static void old_names_imply_their_order(void **state)
{
    (void)state;
    struct features *f = trained(read_group(old_features, OLD_GROUP),
                                 "input_layer/y_embedding/embedding_weights,input_layer/z_embedding/embedding_weights,"
                                 "u_embedding/embedding_weights,v_embedding/embedding_weights");
    assert_string_equal(places(f), "n 0, b 1, a 3, s2 5, s1 10");
    assert_string_equal(f->feature[1].table, "input_layer/y_embedding/embedding_weights");
    assert_string_equal(f->feature[2].column, "z_embedding");
    assert_string_equal(f->feature[3].table, "u_embedding/embedding_weights");
    assert_int_equal(f->order, ORDER_NAME);
    assert_string_equal(f->order_from, "the tables' old names");
    assert_int_equal(job.warnings, 1);
    assert_string_equal(job.last_message->tag, "old-name");
    assert_string_equal(job.last_message->hint, "--feature-order config or name says it");
}

static void present_names_imply_nothing(void **state)
{
    (void)state;
    static const char *const all[] = {
        "", "input_layer/a_embedding/embedding_weights,input_layer/b_embedding/embedding_weights",
        /* both: a model of now whose input has a table of its own */
        "input_layer/a_embedding/embedding_weights,input_layer/b_embedding/embedding_weights,"
        "input_layer/y_embedding/embedding_weights"};
    for (size_t i = 0; i < COUNT(all); i++) {
        struct features *f = trained(read_group(old_features, OLD_GROUP), all[i]);
        assert_string_equal(places(f), "b 0, n 2, a 3, s1 5, s2 8");
        assert_null(f->old_table);
        assert_null(f->order_from);
        assert_int_equal(job.warnings, 0);
    }
}

/* The table of k is missing: that of i is not its old one. */
static void another_feature_s_table_is_no_old_one(void **state)
{
    (void)state;
    struct features *f = trained(read_group(ID("i", "") ID("i", "feature_name: 'k'"), "feature_names: ['k', 'i']"),
                                 "input_layer/i_embedding/embedding_weights");
    assert_null(f->old_table);
    assert_string_equal(f->feature[0].table, "input_layer/k_embedding/embedding_weights");
}

static void who_says_the_order_wins_over_old_names(void **state)
{
    (void)state;
    static const char *const names =
        "input_layer/y_embedding/embedding_weights,input_layer/z_embedding/embedding_weights";
    options.order_given = true;
    struct features *f = trained(read_group(old_features, OLD_GROUP), names);
    assert_string_equal(places(f), "b 0, n 2, a 3, s2 5, s1 10");
    assert_string_equal(f->order_from, "--feature-order");
    assert_int_equal(job.warnings, 0);
    options.feature_order = ORDER_NAME;
    assert_string_equal(places(trained(read_group(old_features, OLD_GROUP), names)), "n 0, b 1, a 3, s2 5, s1 10");
}

static void a_combiner_that_is_not_given_was_another(void **state)
{
    (void)state;
#define TAGS(more) KEYED("'o'", "TagFeature num_buckets: 2 embedding_dim: 2 " more)
    static const char *const table = "input_layer/o_embedding/embedding_weights";
    for (int given = 0; given < 2; given++) {
        options.order_given = given;
        trained(read_group(TAGS(""), "feature_names: 'k'"), table);
        assert_string_equal(job.last_message->hint,
                            "before 0.5.1, a combiner that the config does not give, as that of \"k\", was the mean, not "
                            "the sum");
        trained(read_group(TAGS("combiner: 'sum'"), "feature_names: 'k'"), table);
        assert_true(given ? !job.last_message : !strstr(job.last_message->hint, "combiner"));
    }
}

/* ---- groups ---- */

static void ranges_in_groups_are_expanded(void **state)
{
    (void)state;
    static const char *const f3 = NUMBER("f_1") NUMBER("f_2") NUMBER("f_3");
    assert_string_equal(places(accepted(f3, "feature_names: 'f_[1-3]'")), "f_1 0, f_2 1, f_3 2");
    assert_string_equal(places(accepted(f3, "feature_names: ['f_[02-003]', 'f_[1-1]more']")),
                        "f_2 0, f_3 1, f_1 2");
    assert_string_equal(places(accepted(f3, "feature_names: ['f_[3-1]', 'f_1']")), "f_1 0");
    /* A digit before the bracket: a name like any other. */
    assert_string_equal(places(accepted(NUMBER("f2[1-3]"), "feature_names: 'f2[1-3]'")),
                        "f2[1-3] 0");
    refused(f3, "feature_names: 'f_[0-9999999]'", "unsupported");
    refused(f3, "feature_names: 'f_[0-18446744073709551615]'", "unsupported");
    refused(f3, "feature_names: 'f_[99999999999999999999-99999999999999999999]'", "feature");
}

static void other_groups_do_not_matter(void **state)
{
    (void)state;
    const struct features *f = accepted(
        ID("a", "") ID("b", ""),
        "feature_names: 'a' } feature_groups { group_name: 'other' feature_names: 'b' } "
        "feature_groups { group_name: 'wide' feature_names: 'b' wide_deep: WIDE");
    assert_int_equal(f->width, 2);
    refused(ID("a", ""),
            "feature_names: 'a' } feature_groups { group_name: 'wide' feature_names: 'a'"
            " wide_deep: WIDE",
            "group");
}

static void wide_inputs_are_refused(void **state)
{
    (void)state;
    refused("feature_configs { input_names: 'a' feature_type: RawFeature raw_input_dim: 4000000000"
            " }", "feature_names: 'a'", "unsupported");
    clear();
    struct text t = {.arena = &job.arena};
    for (int i = 0; i < 17; i++)
        text_print(&t, "feature_configs { input_names: 'a%d' feature_type: RawFeature"
                       " raw_input_dim: 1048576 } ", i);
    text_print(&t,
               "model_config { feature_groups { group_name: 'all' feature_names: 'a[0-16]' } }");
    assert_null(read_text(t.data));
    assert_string_equal(job.last_message->tag, "unsupported");
}

static void unknown_names_are_told_up_to_a_limit(void **state)
{
    (void)state;
    assert_null(read_group(ID("a", ""), "feature_names: 'a_[1-1000]'"));
    assert_int_equal(job.errors, 20);
    assert_string_equal(job.last_message->text, "and more names that no feature config defines");
}

/* ---- target attention ---- */

#define SEQUENCES                                           \
    SEQUENCE("h2", "2", "") SEQUENCE("h3", "3", "")         \
    SEQUENCE("x5", "5", "") ID("a", "") ID("b", "")         \
    "feature_configs { input_names: 'k4' hash_bucket_size: 9 embedding_dim: 4 } "

static void attention_has_the_width_of_what_it_keeps(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int width;
    } cases[] = {
        {"seq_att_map { key: 'a' hist_seq: 'h2' }", 4},
        {"seq_att_map { key: 'a' hist_seq: 'h2' } need_key_feature: false", 2},
        {"seq_att_map { key: 'a' hist_seq: 'h2' aux_hist_seq: ['h3', 'x5'] }", 12},
        {"seq_att_map { key: 'a' hist_seq: 'h2' } seq_att_map { key: 'b' hist_seq: 'h2' }", 8},
        {"seq_att_map { key: ['a', 'b'] hist_seq: ['h2', 'h2'] }", 8},
        /* A key of another width: padded, or through a layer; as wide as the history. */
        {"seq_att_map { key: 'a' hist_seq: 'h3' } allow_key_transform: true", 6},
        {"seq_att_map { key: 'a' hist_seq: 'h3' } allow_key_transform: true transform_dnn: true",
         6},
        {"seq_att_map { key: 'k4' hist_seq: 'h3' } allow_key_transform: true", 6},
        /* EasyRec keeps the auxiliary histories of the last map alone. */
        {"seq_att_map { key: 'a' hist_seq: 'h2' aux_hist_seq: 'x5' }"
         " seq_att_map { key: 'b' hist_seq: 'h2' }", 8},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char group[300];
        snprintf(group, sizeof group, "feature_names: 'a' sequence_features { group_name: 's' %s }",
                 cases[i].fields);
        const struct features *f = accepted(SEQUENCES, group);
        assert_int_equal(f->feature[1].width, cases[i].width);
        assert_int_equal(f->width, 2 + cases[i].width);
    }
}

static void attention_is_refused_where_easyrec_cannot_build_it(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *tag;
    } cases[] = {
        {"seq_att_map { key: 'a' hist_seq: 'h3' }", "attention"},
        {"seq_att_map { key: 'h2' hist_seq: 'h2' }", "attention"},
        {"seq_att_map { key: 'a' hist_seq: 'b' }", "attention"},
        {"seq_att_map { key: 'a' }", "attention"},
        {"", "attention"},
        {"seq_att_map { key: 'zz' hist_seq: 'h2' }", "feature"},
        {"seq_att_map { key: 'a' hist_seq: 'h2' } } sequence_features { group_name: 's'"
         " seq_att_map { key: 'a' hist_seq: 'h2' }", "attention"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char group[300];
        snprintf(group, sizeof group, "feature_names: 'a' sequence_features { group_name: 's' %s }",
                 cases[i].fields);
        refused(SEQUENCES, group, cases[i].tag);
    }
    refused(SEQUENCES, "feature_names: 'a' negative_sampler: true", "unsupported");
}

/* ---- user columns ---- */

#define THREE                                                                                        \
    ID("a", "shared_names: 's'") ID("b", "") ID("c", "")                                             \
    "feature_configs { input_names: ['a', 'c'] feature_name: 'ac' feature_type: ComboFeature"        \
    " hash_bucket_size: 9 embedding_dim: 2 } "
#define GROUPS(all)                                                                                  \
    "model_config { feature_groups { group_name: 'all' " all " wide_deep: DEEP } "                   \
    "feature_groups { group_name: 'person' feature_names: ['c', 'a'] wide_deep: DEEP } }"

static void features_of_user_columns_come_first(void **state)
{
    (void)state;
    static const char abc[] = THREE GROUPS("feature_names: ['a', 'b', 'c']");
    static const char more[] = THREE GROUPS("feature_names: ['a', 's', 'ac']");
    assert_string_equal(users_by("b", abc), "a 2, *b 0, c 4; 2 of 2 3 0 1 4 5");
    assert_string_equal(users_by("c,a", abc), "*a 0, b 4, *c 2; 4 of 0 1 4 5 2 3");
    assert_string_equal(users_by("person", abc), "*a 0, b 4, *c 2; 4 of 0 1 4 5 2 3");
    /* A copy has its own input; a combination is the user's if both of its inputs are. */
    assert_string_equal(users_by("s", more), "a 2, *s 0, ac 4; 2 of 2 3 0 1 4 5");
    assert_string_equal(users_by("a", more), "*a 0, s 2, ac 4; 2 of 0 1 2 3 4 5");
    assert_string_equal(users_by("a,c", more), "*a 0, s 4, *ac 2; 4 of 0 1 4 5 2 3");
}

static void attention_is_the_users_if_all_of_it_is(void **state)
{
    (void)state;
    static const char din[] = SEQUENCES
        GROUPS("feature_names: 'b' sequence_features { group_name: 'din' seq_att_map { key: 'a' hist_seq: 'h2' } }");
    assert_string_equal(users_by("b,h2", din), "*b 0, din 2; 2 of 0 1 2 3 4 5");
    assert_string_equal(users_by("h2,a", din), "b 4, *din 0; 4 of 2 3 4 5 0 1");
}

static void user_columns_must_mean_something(void **state)
{
    (void)state;
    static const char abc[] = THREE GROUPS("feature_names: ['a', 'b', 'c']");
    assert_string_equal(users_by("a,persn", abc),
                        "--user-columns names \"persn\", which is neither a column nor a feature group");
    assert_string_equal(job.last_message->hint, "did you mean \"person\"?");
    assert_string_equal(users_by("s", abc), "no feature of the group \"all\" is made of --user-columns alone");
    assert_string_equal(users_by("a,b,c", abc),
                        "every feature of the group \"all\" is the user's by --user-columns: items would have none");
    assert_int_equal(job.result, BAD_USAGE);
}

static void dice_of_attention_counts_batch_norms(void **state)
{
    (void)state;
    static const struct {
        const char *dnn;
        int norms;
    } cases[] = {
        {"hidden_units: [8, 4, 1] activation: 'Dice'", 2},
        {"hidden_units: [8, 4, 1] activation: 'relu'", 0},
        {"hidden_units: [1] activation: 'dice'", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char group[300];
        snprintf(group, sizeof group,
                 "feature_names: 'a' sequence_features { group_name: 's'"
                 " seq_att_map { key: 'a' hist_seq: 'h2' } seq_dnn { %s } }", cases[i].dnn);
        assert_int_equal(accepted(SEQUENCES, group)->batch_norms, cases[i].norms);
    }
}

/* ---- trouble and faults ---- */

/* A feature of those fields, in a group; 'k' is its key but where the fields have input_names. */
static struct features *read_feature(const char *fields)
{
    char config[300], group[40];
    const char *names = strstr(fields, "input_names");
    snprintf(config, sizeof config, "feature_configs { %s %s }", names ? "" : "input_names: 'k'",
             fields);
    snprintf(group, sizeof group, "feature_names: '%.1s'", names ? strchr(names, '\'') + 1 : "k");
    return read_group(config, group);
}

static void trouble_is_a_warning(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *trouble;
    } cases[] = {
        {"vocab_file: 'f' embedding_dim: 2",
         "its vocabulary is in a file that the model does not have"},
        {"input_names: 'x' embedding_dim: 2 num_buckets: 3", "its input is not a whole number"},
        {"input_names: 'x' embedding_dim: 2 hash_bucket_size: 3",
         "its input is a float without precision"},
        {"input_names: 'i' embedding_dim: 2 vocab_list: 'a'",
         "it has a vocab_list, but its input is not a STRING"},
        {"input_names: 'i' feature_type: TagFeature hash_bucket_size: 9 embedding_dim: 2",
         "its input is not a STRING"},
        {"feature_type: RawFeature normalizer_fn: 'lambda x: x'", "its normalizer_fn is Python"},
        {"input_names: 'x' feature_type: RawFeature raw_input_dim: 2",
         "it is a vector, but its input is not a STRING"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct features *f = read_feature(cases[i].fields);
        assert_non_null(f);
        assert_string_equal(f->feature[0].trouble, cases[i].trouble);
        assert_int_equal(job.warnings, 1);
        assert_string_equal(job.messages->tag, "not-from-rows");
        assert_true(f->width > 0);
    }
}

static void what_easyrec_cannot_build_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *fault;
    } cases[] = {
        {"embedding_dim: 2", "it has none of hash_bucket_size, vocab_list and num_buckets"},
        {"embedding_dim: 2 hash_bucket_size: 0 num_buckets: 3", "its hash_bucket_size is 0"},
        {"feature_type: TagFeature hash_bucket_size: 9 embedding_dim: 2 combiner: 'max'",
         "its combiner is none of sum, mean, sqrtn"},
        {"input_names: ['k', 'w'] feature_type: TagFeature hash_bucket_size: 9 embedding_dim: 2"
         " kv_separator: ':'",
         "it has both kv_separator and an input of weights"},
        {"feature_type: RawFeature boundaries: [2, 1, 2] embedding_dim: 2",
         "two of its boundaries are equal"},
        {"feature_type: RawFeature num_buckets: 3 embedding_dim: 2",
         "it has num_buckets, but max_val is not above min_val"},
        {"feature_type: ComboFeature input_names: ['a', 'b'] hash_bucket_size: 2 embedding_dim: 2",
         "it has no feature_name"},
        {"feature_type: LookupFeature hash_bucket_size: 2 embedding_dim: 2",
         "it needs two inputs, hash_bucket_size and kv_separator"},
        {"feature_type: ExprFeature", "it has no expression"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_null(read_feature(cases[i].fields));
        assert_int_equal(job.errors, 1);
        assert_int_equal(job.result, BAD_INPUT);
        assert_string_equal(job.messages->tag, "feature");
        assert_non_null(strstr(job.messages->text, cases[i].fault));
    }
    assert_null(read_feature("hash_bucket_size: 9 embedding_dim: 2 ev_params {}"));
    assert_int_equal(job.result, UNSUPPORTED);
}

static void what_easyrec_cannot_build_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *fault;
    } cases[] = {
        {"input_names: ['k', 'w'] feature_type: ComboFeature feature_name: 'k' embedding_dim: 2",
         "it has no hash_bucket_size"},
        {"feature_type: ComboFeature feature_name: 'k' hash_bucket_size: 9 embedding_dim: 2",
         "it has fewer than two inputs"},
        {"input_names: ['k', 'w'] feature_type: ComboFeature feature_name: 'k' hash_bucket_size: 9"
         " embedding_dim: 2 combo_input_seps: ''",
         "it has not one of combo_input_seps for each input"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char config[300];
        const char *names = strstr(cases[i].fields, "input_names");
        snprintf(config, sizeof config, "feature_configs { %s %s }",
                 names ? "" : "input_names: 'k'", cases[i].fields);
        const char *key = !names ? "k" : strchr(names, '\'') + 1;
        char group[40];
        snprintf(group, sizeof group, "feature_names: '%.1s'", key);
        refused(config, group, "feature");
        assert_int_equal(job.result, BAD_INPUT);
        assert_non_null(strstr(job.messages->text, cases[i].fault));
    }
    refused(ID("k", "ev_params {}"), "feature_names: 'k'", "unsupported");
}

static void simple_expressions_are_no_trouble(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"a", true},
        {"a + b*2.5 - a / 3", true},
        {"a + b*(2.5 - a) / 3", false},
        {"(a > b) & (b > 1)", true},
        {"a>b", true},
        {"(a+1) >= 2", true},
        {"a == b", true},
        {"-a", true},
        {"a & b", false},
        {"a | 1", false},
        {"a > b > 1", false},
        {"a = b", false},
        {"c + 1", false},
        {"1.5.2", false},
        {"log(a)", false},
        {"tf.abs(a)", false},
        {"(a", false},
        {"a)(", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char config[300];
        snprintf(config, sizeof config,
                 "feature_configs { feature_name: 'e' feature_type: ExprFeature"
                 " input_names: ['a', 'b'] expression: '%s' }", cases[i].text);
        const struct features *f = read_group(config, "feature_names: 'e'");
        assert_non_null(f);
        if ((f->feature[0].trouble == NULL) != cases[i].good)
            fail_msg("%s", cases[i].text);
    }
}

static void unknown_width_leaves_all_unknown(void **state)
{
    (void)state;
    const struct features *f = read_group(
        ID("a", "") "feature_configs { input_names: 'h' feature_type: SequenceFeature"
                    " sub_feature_type: RawFeature } ",
        "feature_names: 'a' sequence_features { seq_att_map { key: 'a' hist_seq: 'h' } }");
    assert_non_null(f);
    assert_int_equal(f->width, 0);
    assert_int_equal(f->feature[1].width, 0);
    assert_string_equal(f->why, "the width of a feature of the group \"all\" is not known");
}

static void nothing_gives_nothing(void **state)
{
    (void)state;
    assert_null(read_features(&job, NULL));
    assert_null(job.messages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(goldens_have_their_columns),
        TEST(tables_are_in_the_checkpoint),
        TEST(taobao_has_272_columns),
        TEST(taobao_in_the_order_of_names),
        TEST(sequence_taobao_has_304_columns),
        TEST(census_has_360_columns),
        TEST(each_kind_has_its_column_and_table),
        TEST(text_cnn_widths_are_known),
        TEST(tables_are_shared_by_at_least_two),
        TEST(shared_names_make_copies),
        TEST(feature_configs_win_over_feature_config),
        TEST(last_of_equal_keys_counts),
        TEST(names_are_compared_as_columns),
        TEST(a_worked_example_in_both_orders),
        TEST(sequences_come_after_all_others_by_name),
        TEST(columns_were_named_after_inputs),
        TEST(old_names_imply_their_order),
        TEST(present_names_imply_nothing),
        TEST(another_feature_s_table_is_no_old_one),
        TEST(who_says_the_order_wins_over_old_names),
        TEST(a_combiner_that_is_not_given_was_another),
        TEST(ranges_in_groups_are_expanded),
        TEST(other_groups_do_not_matter),
        TEST(wide_inputs_are_refused),
        TEST(unknown_names_are_told_up_to_a_limit),
        TEST(attention_has_the_width_of_what_it_keeps),
        TEST(attention_is_refused_where_easyrec_cannot_build_it),
        TEST(features_of_user_columns_come_first),
        TEST(attention_is_the_users_if_all_of_it_is),
        TEST(user_columns_must_mean_something),
        TEST(dice_of_attention_counts_batch_norms),
        TEST(trouble_is_a_warning),
        TEST(what_easyrec_cannot_build_is_refused),
        TEST(what_easyrec_cannot_build_is_an_error),
        TEST(simple_expressions_are_no_trouble),
        TEST(unknown_width_leaves_all_unknown),
        TEST(nothing_gives_nothing),
    };
    return cmocka_run_group_tests_name("features", tests, NULL, NULL) != 0;
}
