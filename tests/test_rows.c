// SPDX-License-Identifier: Apache-2.0
/* lower_rows.c, csv.c, rows.c: from lines of a file to what enters the experts.
 *
 * In most tests a table has one column and its row i holds i + 1, so that a feature's column tells which rows were looked
 * up: 0 none, 5 the row 4, a sum of several. The goldens have their own tables and TensorFlow's numbers.
 */
#define TEST_NAME "test_rows_ckpt"
#include "one_checkpoint.h"

#include <math.h>
#include <stdio.h>

/* ---- a model of a few features --------------------------------------------------------------- */

static struct row_program *program;
static struct csv *csv;
static struct row_cell *cells;
static void *scratch;
static char path[] = "/tmp/test_rows.XXXXXX";
static struct row_fault fault;
static float x[64];

/* Numbers for tables that no checkpoint has. */
static void fill_tables(void)
{
    for (int i = 0; i < program->n_tables; i++) {
        struct row_table *t = &program->tables[i];
        size_t width = t->width ? (size_t)t->width : 1;
        float *numbers = NEW_ARRAY(&job, t->rows * width, float);
        for (size_t k = 0; k < t->rows * width; k++)
            numbers[k] = (float)(k / width + 1);
        t->numbers = numbers;
    }
}

/* data: what stands in data_config; features: feature_configs; names: what the group names. */
static bool lower_text(const char *data, const char *features, const char *names)
{
    const char *text = arena_print(&job.arena,
        "data_config { %s }\n%s\nmodel_config { model_class: \"MMoE\" feature_groups { group_name: \"all\" "
        "wide_deep: DEEP %s } mmoe { expert_dnn { hidden_units: 2 } num_expert: 1 task_towers { tower_name: \"t\" "
        "label_name: \"l\" } } }", data, features, names);
    struct config *c = read_config(&job, source_of(text, strlen(text)));
    struct features *f = c ? read_features(&job, c) : NULL;
    program = f ? lower_rows(&job, c, f) : NULL;
    if (!program)
        return false;
    fill_tables();
    return true;
}

#define F(name, type) "input_fields { input_name: \"" name "\" input_type: " type " } "

/* Features a, b, ...: those that the config has, in the order of the group. */
static void model(const char *data, const char *features, const char *names)
{
    if (!lower_text(data, features, names)) {
        for (const struct message *m = job.messages; m; m = m->next)
            print_message("%s\n", m->text);
        fail_msg("not lowered: %s", features);
    }
}

static void open_text(const char *bytes, size_t n, bool header)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
    csv = open_csv(&job, &program->lines, path, header);
    assert_non_null(csv);
    cells = NEW_ARRAY(&job, program->lines.n_fields, struct row_cell);
    scratch = arena_aligned(&job.arena, rows_scratch(program));
}

static void run_row(const struct row_program *p, float *to)
{
    struct mmoe_values values[32];
    struct mmoe_row_status status;
    assert_true(p->n_columns <= 32);
    row_values(&p->lines, cells, values);
    run_rows(p, values, 1, to, &status, scratch);
    fault = row_fault(&p->lines, cells, status);
}

/* The next row into x; false if it is bad. */
static bool next(void)
{
    memset(x, 0x7f, sizeof x);
    assert_int_equal(read_csv(csv, cells, &fault), CSV_ROW);
    if (!fault.why)
        run_row(program, x);
    return !fault.why;
}

static void at_end(void) { assert_int_equal(read_csv(csv, cells, &fault), CSV_END); }

/* A model of one feature over the columns s, t (texts), i (INT32), l (INT64), f (FLOAT), d (DOUBLE), b (BOOL), and one
   row of it. */
static const char columns[] = F("s", "STRING") F("t", "STRING") F("i", "INT32") F("l", "INT64") F("f", "FLOAT")
    F("d", "DOUBLE") F("b", "BOOL");

static bool run_bytes(const char *feature, const char *line, size_t n)
{
    model(columns, arena_print(&job.arena, "feature_configs { feature_name: \"k\" %s }", feature),
          "feature_names: \"k\"");
    open_text(line, n, false);
    return next();
}

/* The feature's first column of that line, or NAN if the row is bad. */
static float value(const char *feature, const char *line)
{
    return run_bytes(feature, line, strlen(line)) ? x[0] : NAN;
}

#define IS(feature, line, number) \
    do { \
        float is_ = value(feature, line); \
        if (is_ != (float)(number)) \
            fail_msg("%s of %s is %g, needs %g: %s", feature, line, (double)is_, (double)(number), \
                     fault.why ? fault.why : ""); \
    } while (0)

#define BAD(feature, line, text) \
    do { \
        float is_ = value(feature, line); \
        if (!fault.why || !strstr(fault.why, text)) \
            fail_msg("%s of %s is %g, needs \"%s\", has \"%s\"", feature, line, (double)is_, text, \
                     fault.why ? fault.why : ""); \
    } while (0)

/* ---- IdFeature ------------------------------------------------------------------------------- */

#define HASH(input, n) "input_names: \"" input "\" hash_bucket_size: " #n " embedding_dim: 1 "

static void hashed_texts(void **state_)
{
    (void)state_;
    IS(HASH("s", 100000), "u_1001,,,,,,", 65418 + 1);
    IS(HASH("s", 100000), "娱乐,,,,,,", 19810 + 1);
    IS(HASH("s", 10), "430548_1007,,,,,,", 2 + 1);
    IS(HASH("s", 100), ",,,,,,", 0);                /* nothing is nothing, not row 0 */
    IS(HASH("s", 1), " ,,,,,,", 1);                 /* a space is a text */
    IS(HASH("s", 1000), "1,,,,,,", fingerprint64("1", 1) % 1000 + 1);
    IS(HASH("s", 1000), "01,,,,,,", fingerprint64("01", 2) % 1000 + 1);
    IS(HASH("s", 1000), " 1,,,,,,", fingerprint64(" 1", 2) % 1000 + 1);
}

static void hashed_numbers(void **state_)
{
    (void)state_;
    IS(HASH("i", 100000), ",,12345,,,,", 84728 + 1);
    IS(HASH("i", 100000), ",, 012345,,,,", 84728 + 1);
    IS(HASH("i", 100), ",,-1,,,,", 30 + 1);         /* a text by then, and not missing */
    IS(HASH("i", 1000), ",,,,,,", fingerprint64("0", 1) % 1000 + 1);
    IS(HASH("l", 1000), ",,,-9223372036854775808,,,", fingerprint64("-9223372036854775808", 20) % 1000 + 1);
    IS(HASH("f", 1000) "precision: 2", ",,,,3.5,,", 949 + 1);
    IS(HASH("d", 1000) "precision: 1", ",,,,,0.25,", fingerprint64("0.2", 3) % 1000 + 1);
    IS(HASH("f", 1000) "precision: 8", ",,,,0.1,,", fingerprint64("0.10000000", 10) % 1000 + 1);
    IS(HASH("f", 1000) "precision: 9", ",,,,0.1,,", fingerprint64("0.100000001", 11) % 1000 + 1);
    IS(HASH("b", 1000), ",,,,,,true", fingerprint64("true", 4) % 1000 + 1);
    IS(HASH("b", 1000), ",,,,,,", fingerprint64("false", 5) % 1000 + 1);
}

#define BUCKETS(input, n) "input_names: \"" input "\" num_buckets: " #n " embedding_dim: 1 "

static void whole_numbers_as_ids(void **state_)
{
    (void)state_;
    IS(BUCKETS("i", 50), ",,7,,,,", 8);
    IS(BUCKETS("i", 50), ",,49,,,,", 50);
    IS(BUCKETS("i", 50), ",,50,,,,", 1);
    IS(BUCKETS("i", 50), ",,77,,,,", 1);
    IS(BUCKETS("i", 50), ",,-2,,,,", 1);
    IS(BUCKETS("i", 50), ",,-1,,,,", 0);            /* missing */
    IS(BUCKETS("l", 50), ",,,9223372036854775807,,,", 1);
    IS(BUCKETS("s", 50), "12,,,,,,", 13);
    IS(BUCKETS("s", 50), "-1,,,,,,", 0);
    IS(BUCKETS("s", 50), "2147483647,,,,,,", 1);
    BAD(BUCKETS("s", 50), ",,,,,,", "not a whole number");
    BAD(BUCKETS("s", 50), "2147483648,,,,,,", "not a whole number");
    BAD(BUCKETS("s", 50), "1.0,,,,,,", "not a whole number");
    BAD(BUCKETS("i", 50), ",,2147483648,,,,", "is not an INT32");
    BAD(BUCKETS("i", 50), ",,x,,,,", "is not an INT32");
}

static void vocabularies(void **state_)
{
    static const char words[] = "input_names: \"s\" vocab_list: [\"red\", \"green\", \"\", \"blue\"] embedding_dim: 1";
    (void)state_;
    IS(words, "red,,,,,,", 1);
    IS(words, "green,,,,,,", 2);
    IS(words, "blue,,,,,,", 4);
    IS(words, "Blue,,,,,,", 1);
    IS(words, "blu,,,,,,", 1);
    IS(words, "bluer,,,,,,", 1);
    IS(words, ",,,,,,", 0);
}

/* ---- TagFeature ------------------------------------------------------------------------------ */

#define TAG "feature_type: TagFeature input_names: \"s\" num_buckets: 100 embedding_dim: 1 "

static void tags(void **state_)
{
    (void)state_;
    IS(TAG, "4|6,,,,,,", 5 + 7);
    IS(TAG, "|4||6|,,,,,,", 5 + 7);
    IS(TAG, "4|4|4,,,,,,", 15);
    IS(TAG, ",,,,,,", 0);
    IS(TAG, "||,,,,,,", 0);
    IS(TAG, "-1|100|5,,,,,,", 1 + 1 + 6);           /* no missing marker here */
    BAD(TAG, "1|x,,,,,,", "not a whole number");
    IS(TAG "combiner: \"mean\"", "4|6,,,,,,", 6);
    IS(TAG "combiner: \"sqrtn\"", "2|2|2|2,,,,,,", 12 / 2);
    IS(TAG "separator: \";#\"", "1;2#3#;4,,,,,,", 2 + 3 + 4 + 5);     /* a set of bytes */
    IS(TAG "separator: \"\"", "123,,,,,,", 2 + 3 + 4);                /* single bytes */
    IS("feature_type: TagFeature input_names: \"s\" vocab_list: [\"x\", \"y\"] embedding_dim: 1", "y|z|y,,,,,,", 2 + 1 + 2);
    IS("feature_type: TagFeature input_names: \"s\" hash_bucket_size: 100000 embedding_dim: 1", "u_1001|娱乐,,,,,,",
       65419 + 19811);
}

#define KV TAG "kv_separator: \":\" "

static void weighted_tags(void **state_)
{
    (void)state_;
    IS(KV, "4:0.5|6:2,,,,,,", 2.5 + 14);
    IS(KV, "4:0|6:-1,,,,,,", -7);
    IS(KV "combiner: \"mean\"", "4:1|6:3|9:0|9:-5,,,,,,", (5.0 + 21) / 4);
    IS(KV "combiner: \"sqrtn\"", "4:3|6:4|9:-5,,,,,,", (15.0 + 28) / 5);
    IS(KV "combiner: \"mean\"", "4:0|6:-1,,,,,,", 0);
    IS(KV, ",,,,,,", 0);
    BAD(KV, "4,,,,,,", "not a pair");
    BAD(KV, "4:,,,,,,", "not a number");
    BAD(KV, "4:1:2,,,,,,", "not a pair");
    BAD(KV, "4:x,,,,,,", "not a number");
    BAD(KV, ":1,,,,,,", "not a whole number");
    IS("feature_type: TagFeature input_names: \"s\" hash_bucket_size: 100000 embedding_dim: 1 kv_separator: \":\"",
       "娱乐:0.5|,,,,,,", 0.5 * 19811);
}

#define TWO "feature_type: TagFeature input_names: \"s\" input_names: \"t\" num_buckets: 100 embedding_dim: 1 "

static void weights_in_a_column(void **state_)
{
    (void)state_;
    IS(TWO, "4|6,0.5|2,,,,,", 2.5 + 14);
    IS(TWO, ",,,,,,", 0);
    BAD(TWO, "4|6,0.5,,,,,", "not as many weights as tags");
    BAD(TWO, "4|6,,,,,,", "not as many weights as tags");
    BAD(TWO, "4,x,,,,,", "not a number");
}

/* ---- RawFeature ------------------------------------------------------------------------------ */

#define RAW(input) "feature_type: RawFeature input_names: \"" input "\" "

static void plain_numbers(void **state_)
{
    (void)state_;
    IS(RAW("i"), ",,31,,,,", 31);
    IS(RAW("i"), ",,,,,,", 0);
    IS(RAW("l"), ",,,16777217,,,", 16777216);
    IS(RAW("f"), ",,,,0.1,,", 0.1f);
    IS(RAW("d"), ",,,,,0.1,", 0.1f);
    IS(RAW("s"), " 2.5e1 ,,,,,,", 25);
    IS(RAW("s"), "3.4028235e38,,,,,,", 0x1.fffffep127f);
    IS(RAW("s"), "1e-45,,,,,,", 0x1p-149f);
    IS(RAW("d"), ",,,,,1e300,", INFINITY);
    BAD(RAW("s"), ",,,,,,", "not a number");
    BAD(RAW("s"), "1|2,,,,,,", "not a number");
    BAD(RAW("s"), "0.000000000000000000000000000001,,,,,,", "not a number");      /* 32 bytes */
    BAD(RAW("f"), ",,,,x,,", "is not a FLOAT");
    BAD(RAW("d"), ",,,,,1e,", "is not a DOUBLE");
    BAD(RAW("l"), ",,,1.5,,,", "is not an INT64");
}

static void vectors(void **state_)
{
    static const char three[] = RAW("s") "raw_input_dim: 3";
    (void)state_;
    IS(three, "1|2|3,,,,,,", 1);
    assert_true(x[1] == 2 && x[2] == 3);
    IS(three, "1||3,,,,,,", 1);                     /* empty ones are dropped, zeros come at the end */
    assert_true(x[1] == 3 && x[2] == 0);
    IS(three, ",,,,,,", 0);
    assert_true(x[1] == 0 && x[2] == 0);
    BAD(three, "1|2|3|4,,,,,,", "more numbers than raw_input_dim");
    BAD(three, "1|x,,,,,,", "not a number");
}

static void combined_vectors(void **state_)
{
    static const char two[] = RAW("s") "raw_input_dim: 2 separator: \"|\" seq_multi_sep: \";\" ";
    (void)state_;
    IS(arena_print(&job.arena, "%s combiner: \"max\"", two), "1|9;3|2,,,,,,", 3);
    assert_true(x[1] == 9);
    IS(arena_print(&job.arena, "%s combiner: \"min\"", two), "1|9;3|2,,,,,,", 1);
    assert_true(x[1] == 2);
    IS(arena_print(&job.arena, "%s combiner: \"sum\"", two), "1|9;3|2,,,,,,", 4);
    assert_true(x[1] == 11);
    IS(arena_print(&job.arena, "%s combiner: \"mean\"", two), "1|9;3|2,,,,,,", 2);
    assert_true(x[1] == 5.5f);
    IS(arena_print(&job.arena, "%s combiner: \"mean\"", two), ",,,,,,", 0);
    assert_true(x[1] == 0);
    BAD(arena_print(&job.arena, "%s combiner: \"mean\"", two), "1|2|3,,,,,,", "not as many numbers");
}

static void normalized_numbers(void **state_)
{
    (void)state_;
    IS(RAW("f") "min_val: -2 max_val: 2", ",,,,1,,", 0.75);
    IS(RAW("f") "min_val: -2 max_val: 2", ",,,,10,,", 3);                       /* not clipped */
    IS(RAW("f") "min_val: 2 max_val: 2", ",,,,10,,", 10);
    IS(RAW("f") "normalizer_fn: \"tf.math.log1p\"", ",,,,1,,", logf(2));
    IS(RAW("f") "normalizer_fn: \"tf.sqrt\"", ",,,,9,,", 3);
    IS(RAW("f") "min_val: 0 max_val: 4 normalizer_fn: \"tf.math.abs\"", ",,,,-2,,", 0.5);
}

#define EDGES(input) RAW(input) "boundaries: [0.3, 0.1, 0.2] embedding_dim: 1 "

static void boundaries(void **state_)
{
    (void)state_;
    IS(EDGES("f"), ",,,,0.05,,", 1);
    IS(EDGES("f"), ",,,,0.1,,", 2);
    IS(EDGES("f"), ",,,,0.25,,", 3);
    IS(EDGES("f"), ",,,,0.3,,", 4);
    IS(EDGES("f"), ",,,,7,,", 4);
    IS(EDGES("f"), ",,,,nan,,", 4);
    IS(EDGES("f"), ",,,,-inf,,", 1);
    IS(EDGES("s") "raw_input_dim: 2", "0.05|0.25,,,,,,", 1 + (4 + 2 + 1));
    IS(EDGES("s") "raw_input_dim: 2 combiner: \"mean\"", "0.05|0.25,,,,,,", 4);
}

static void even_buckets(void **state_)
{
    static const char ten[] = RAW("f") "num_buckets: 10 min_val: 0 max_val: 100 embedding_dim: 1";
    (void)state_;
    IS(ten, ",,,,37,,", 4 + 1);
    IS(ten, ",,,,-5,,", 0 + 1);
    IS(ten, ",,,,0,,", 1 + 1);
    IS(ten, ",,,,250,,", 10 + 1);
}

static void projections(void **state_)
{
    (void)state_;
    IS(RAW("f") "embedding_dim: 1", ",,,,-3.5,,", -3.5);
    IS(RAW("s") "raw_input_dim: 3 embedding_dim: 1", "2|-1|4,,,,,,", 2 - 2 + 12);
    IS(RAW("s") "raw_input_dim: 3 embedding_dim: 1 combiner: \"mean\"", "2|-1|4,,,,,,", (2.0f + 12) / 6);
    IS(RAW("f") "embedding_dim: 1 combiner: \"mean\"", ",,,,-3.5,,", 0);
    IS(RAW("f") "embedding_dim: 1 combiner: \"mean\"", ",,,,3.5,,", 1);
}

/* ---- ComboFeature, LookupFeature ----------------------------------------------------------------- */

#define COMBO "feature_type: ComboFeature input_names: \"s\" input_names: \"t\" hash_bucket_size: 1000 embedding_dim: 1 "

static uint64_t cross(const char *a, const char *b)
{
    uint64_t h = fingerprint_cat(UINT64_C(0xDECAFCAFFE), fingerprint64(a, strlen(a)));
    return fingerprint_cat(h, fingerprint64(b, strlen(b))) % 1000;
}

static void crossed(void **state_)
{
    (void)state_;
    IS(COMBO, "20,F,,,,,", 602 + 1);
    IS(COMBO, ",,,,,,", cross("", "") + 1);         /* empty texts count */
    IS(COMBO "combo_input_seps: [\"\", \"\"]", "20,F,,,,,", 602 + 1);
    IS(COMBO "combo_input_seps: [\"|\", \"\"]", "20|21,F,,,,,", 602 + 1 + cross("21", "F") + 1);
    IS(COMBO "combo_input_seps: [\"\", \"|\"]", "20,F|G,,,,,", cross("F", "20") + 1 + cross("G", "20") + 1);
    IS(COMBO "combo_input_seps: [\"|\", \"|\"]", "20,||,,,,,", 0);
    IS("feature_type: ComboFeature input_names: \"i\" input_names: \"t\" hash_bucket_size: 1000 embedding_dim: 1",
       ",F,20,,,,", 602 + 1);
}

static void joined(void **state_)
{
    (void)state_;
    IS(COMBO "combo_join_sep: \"X\"", "20,F,,,,,", 326 + 1);
    IS(COMBO "combo_join_sep: \"X\"", ",,,,,,", fingerprint64("X", 1) % 1000 + 1);
    IS(COMBO "combo_join_sep: \"X\" combo_input_seps: [\"|\", \"\"]", "20,F,,,,,", 361 + 1);
    IS(COMBO "combo_join_sep: \"X\" combo_input_seps: [\"|\", \"|\"]", "20|21,F,,,,,",
       361 + 1 + fingerprint64("21_X_F", 6) % 1000 + 1);
    IS(COMBO "combo_join_sep: \"X\" combo_input_seps: [\"|\", \"|\"]", "20|21,,,,,,", 0);
    IS("feature_type: ComboFeature input_names: \"s\" input_names: \"f\" hash_bucket_size: 1000 embedding_dim: 1 "
       "precision: 2 combo_join_sep: \"X\" combo_input_seps: [\"|\", \"\"]", "a,,,,-3.75,,",
       fingerprint64("a_X_-3", 6) % 1000 + 1);
}

#define LOOKUP "feature_type: LookupFeature input_names: \"s\" input_names: \"t\" hash_bucket_size: 1000 embedding_dim: 1 " \
               "kv_separator: \":\" "

static void looked_up(void **state_)
{
    (void)state_;
    float a = (float)(fingerprint64("A", 1) % 1000 + 1), b = (float)(fingerprint64("B", 1) % 1000 + 1);
    IS(LOOKUP, "x,x:A|y:B,,,,,", a);
    IS(LOOKUP, "x,x:A|y:B|x:B,,,,,", a + b);
    IS(LOOKUP, "z,x:A|y:B,,,,,", 0);
    IS(LOOKUP, ",x:A,,,,,", 0);
    IS(LOOKUP, "x,,,,,,", 0);
    IS(LOOKUP, "x,x::A,,,,,", a);                   /* empty pieces are dropped */
    BAD(LOOKUP, "x,x,,,,,", "not a pair");
    BAD(LOOKUP, "x,x:A:B,,,,,", "not a pair");
    BAD(LOOKUP "lookup_max_sel_elem_num: 1", "x,x:A|x:B,,,,,", "lookup_max_sel_elem_num");
}

/* ---- SequenceFeature ------------------------------------------------------------------------- */

/* With a kernel of 1 over tables of i + 1, steps a and b weigh exp(a) and exp(b). */
static void sequences(void **state_)
{
    static const char seq[] = "feature_type: SequenceFeature input_names: \"s\" num_buckets: 10 embedding_dim: 1 "
                              "sequence_combiner { attention {} } ";
    static const char hashed[] = "feature_type: SequenceFeature input_names: \"s\" hash_bucket_size: 3 embedding_dim: 1 "
                                 "sequence_combiner { attention {} } ";
    (void)state_;
    IS(seq, "4,,,,,,", 5);
    float e = expf(-1), sum = 1 + e;
    IS(seq, "4|3,,,,,,", 1 / sum * 5 + e / sum * 4);
    IS(seq, "-1|10,,,,,,", 1);
    BAD(seq, ",,,,,,", "not a whole number");
    BAD(seq, "1||2,,,,,,", "not a whole number");
    IS(hashed, ",,,,,,", fingerprint64("", 0) % 3 + 1);
    IS(arena_print(&job.arena, "%s seq_multi_sep: \";\" combiner: \"mean\"", seq), "2;4,,,,,,", 4);
    IS(arena_print(&job.arena, "%s seq_multi_sep: \";\"", hashed), ",,,,,,", 0);
}

static void expressions(void **state_)
{
    (void)state_;
#define EXPR(inputs, text) "feature_type: ExprFeature input_names: [" inputs "] expression: \"" text "\" "
    IS(EXPR("\"f\"", "f + 1"), ",,,,2.5,,", 3.5);
    IS(EXPR("\"f\", \"i\"", "f * i - 1 / 4"), ",,3,,2.5,,", 7.25);
    IS(EXPR("\"s\", \"l\"", "s > l"), "2.5,,,2,,,", 1);
    IS(EXPR("\"s\", \"l\"", "(s > l) & (l == 3)"), "2.5,,,2,,,", 0);
    IS(EXPR("\"d\"", "d / 3"), ",,,,,1,", 1.0 / 3);
    BAD(EXPR("\"s\"", "s + 1"), ",,,,,,", "not a number");
    BAD(EXPR("\"s\"", "s + 1"), "x,,,,,,", "not a number");
}

/* ---- target attention, variational dropout: their numbers come from a checkpoint ------------------- */

static const char attended[] =
    "feature_configs { input_names: \"i\" num_buckets: 3 embedding_dim: 1 } "
    "feature_configs { input_names: \"l\" num_buckets: 3 embedding_dim: 1 } "
    "feature_configs { input_names: \"s\" num_buckets: 3 embedding_dim: 1 feature_type: SequenceFeature } "
    "feature_configs { input_names: \"t\" num_buckets: 3 embedding_dim: 1 feature_type: SequenceFeature }";

/* The group has i; a row of tables and networks. */
static void put_attention(int width)
{
    begin_checkpoint();
    PUT2("input_layer/i_embedding/embedding_weights", 3, 1, 1, 2, 3);
    PUT2("all/l_embedding/embedding_weights", 3, 1, 10, 20, 30);
    PUT2("all/s_embedding/embedding_weights", 3, 1, 0.25, 0.5, 0.75);
    PUT2("all/t_embedding/embedding_weights", 3, 1, -1, 1, 4);
    PUT2("seq_dnng/dnn_0/kernel", (uint64_t)(4 * width), 1, 0.5, 1, -0.25, 2, 0.125, 0.75, -1, -2);
    PUT1("seq_dnng/dnn_0/bias", 1, 0.5);
    PUT1("logit_p", 1, 1);
}

static void run_attention(const char *group, const char *more, const char *line)
{
    const char *names = arena_print(&job.arena, "feature_names: \"i\" sequence_features { group_name: \"g\" %s "
                                    "seq_dnn { hidden_units: 1 } }", group);
    struct tensors *ts = end_checkpoint();
    assert_non_null(ts);
    const char *text = arena_print(&job.arena,
        "data_config { %s } %s model_config { model_class: \"MMoE\" feature_groups { group_name: \"all\" %s } %s "
        "mmoe { expert_dnn { hidden_units: 2 } num_expert: 1 task_towers { tower_name: \"t\" label_name: \"l\" } } }",
        columns, attended, names, more);
    struct config *c = read_config(&job, source_of(text, strlen(text)));
    program = lower_rows(&job, c, read_features(&job, c));
    if (!program || !bind_tables(&job, program, ts))
        fail_msg("%s", job.messages ? job.messages->text : "");
    open_text(line, strlen(line), false);
}

static void near(float is, double want)
{
    if (!(fabs((double)is - want) <= 1e-5 * (1 + fabs(want))))
        fail_msg("%g, needs %g", (double)is, want);
}

static void target_attention(void **state_)
{
    (void)state_;
    put_attention(1);
    run_attention("seq_att_map { key: \"i\" hist_seq: \"s\" }", "", "0|2,,1,,,,\n,,1,,,,\n0|0,,2,,,,\n");
    double q = 2, h[2] = {0.25, 0.75}, a[2];
    for (int i = 0; i < 2; i++)
        a[i] = exp(0.5 * q + h[i] - 0.25 * (q - h[i]) + 2 * q * h[i] + 0.5);
    assert_true(next());
    near(x[0], 2);
    near(x[1], (a[0] * h[0] + a[1] * h[1]) / (a[0] + a[1]));
    near(x[2], 2);
    assert_false(next());                           /* an empty step is no number */
    assert_true(next());
    near(x[1], 0.25);
}

static void attention_of_other_keys(void **state_)
{
    (void)state_;
    put_attention(1);
    run_attention("need_key_feature: false seq_att_map { key: \"l\" hist_seq: \"s\" aux_hist_seq: \"t\" }", "",
                  "0|2,1|2,1,1,,,\n0,1|2,1,1,,,\n");
    double q = 20, h[2] = {0.25, 0.75}, a[2];
    for (int i = 0; i < 2; i++)
        a[i] = exp(0.5 * q + h[i] - 0.25 * (q - h[i]) + 2 * q * h[i] + 0.5 - 40);
    assert_int_equal(program->width, 3);
    assert_true(next());
    near(x[0], 2);
    near(x[1], (a[0] * h[0] + a[1] * h[1]) / (a[0] + a[1]));
    near(x[2], (a[0] * 1 + a[1] * 4) / (a[0] + a[1]));
    assert_false(next());
    assert_non_null(strstr(fault.why, "different numbers of steps"));
}

static void keys_are_padded(void **state_)
{
    (void)state_;
    put_attention(2);
    run_attention("allow_key_transform: true seq_att_map { key: \"i\" hist_seq: \"s\" hist_seq: \"t\" }", "",
                  "0|2,1|2,1,,,,\n");
    double q[2] = {2, 0}, h[2][2] = {{0.25, 1}, {0.75, 4}}, w[8] = {0.5, 1, -0.25, 2, 0.125, 0.75, -1, -2}, a[2], sum = 0;
    for (int i = 0; i < 2; i++) {
        a[i] = 0.5;
        for (int j = 0; j < 2; j++)
            a[i] += q[j] * w[j] + h[i][j] * w[2 + j] + (q[j] - h[i][j]) * w[4 + j] + q[j] * h[i][j] * w[6 + j];
        sum += a[i] = exp(a[i]);
    }
    assert_true(next());
    near(x[1], (a[0] * h[0][0] + a[1] * h[1][0]) / sum);
    near(x[2], (a[0] * h[0][1] + a[1] * h[1][1]) / sum);
    near(x[3], 2);
    assert_true(x[4] == 0);
}

static void keys_go_through_a_layer(void **state_)
{
    (void)state_;
    put_attention(2);
    PUT2("sequence_key_transform_layer_seq_dnng/kernel", 1, 2, 3, -1);
    PUT1("sequence_key_transform_layer_seq_dnng/bias", 2, 0.5, 0.25);
    PUT2("sequence_fea_transform_layer_seq_dnng/kernel", 2, 2, 1, 2, 3, 4);
    PUT1("sequence_fea_transform_layer_seq_dnng/bias", 2, -1, 1);
    run_attention("allow_key_transform: true transform_dnn: true seq_att_map { key: \"i\" hist_seq: \"s\" "
                  "hist_seq: \"t\" }", "", "0,1,1,,,,\n");
    assert_true(next());
    near(x[1], 0.25 * 1 + 1 * 3 - 1);
    near(x[2], 0.25 * 2 + 1 * 4 + 1);
    near(x[3], 6.5);
    near(x[4], -1.75);
}

/* It scales the features, but neither target attention nor the key that it uses. */
static void variational_dropout(void **state_)
{
    (void)state_;
    put_attention(1);
    run_attention("seq_att_map { key: \"i\" hist_seq: \"s\" }", "variational_dropout {}", "0,,1,,,,\n");
    assert_true(next());
    near(x[0], 2 * (1 - 1 / (1 + exp(-1))));
    near(x[1], 0.25);
    near(x[2], 2);
}

/* ---- files ----------------------------------------------------------------------------------- */

static const char two_columns[] = "label_fields: \"y\" " F("y", "INT32") F("s", "STRING") F("i", "INT32");
static const char two_features[] =
    "feature_configs { input_names: \"s\" hash_bucket_size: 1000000 embedding_dim: 1 } "
    "feature_configs { input_names: \"i\" feature_type: RawFeature }";
#define BOTH "feature_names: \"s\" feature_names: \"i\""

static float hash_of(const char *text, size_t n) { return (float)(fingerprint64(text, n) % 1000000 + 1); }

static void open_two(const char *data, const char *text, size_t n, bool header)
{
    model(arena_print(&job.arena, "%s %s", two_columns, data), two_features, BOTH);
    open_text(text, n, header);
}

#define OPEN(data, text) open_two(data, text, sizeof text - 1, false)
#define HEADER(data, text) open_two(data, text, sizeof text - 1, true)
#define ROW(text, number) assert_true(next() && x[0] == hash_of(text, sizeof text - 1) && x[1] == number)
#define BAD_ROW(words) assert_true(!next() && strstr(fault.why, words))

static void lines(void **state_)
{
    (void)state_;
    OPEN("", "1,a,2\n0,b,3\n\n1,c,4");
    ROW("a", 2);
    ROW("b", 3);
    BAD_ROW("it has 0 fields, needs 3");
    assert_int_equal(csv_place(csv).line, 3);
    ROW("c", 4);
    assert_int_equal(csv_place(csv).line, 4);
    at_end();
    at_end();
}

static void returns_are_dropped(void **state_)
{
    (void)state_;
    OPEN("", "1,a,2\r\n1,b\rc,3\r\n\r");
    ROW("a", 2);
    ROW("bc", 3);
    at_end();
}

static void any_byte_is_text(void **state_)
{
    (void)state_;
    OPEN("", "1,a\0b,2\n1,\xff\xfe,3\n1,\t,4\n");
    ROW("a\0b", 2);
    ROW("\xff\xfe", 3);
    ROW("\t", 4);
    at_end();
}

static void quotes(void **state_)
{
    (void)state_;
    OPEN("", "1,\"a\",2\n1,\"a\"\"b\",2\n1,\"\",2\n1,a\"b,2\n1,\"a\"b,2\n1,\"a,2\n1,\"a,b\",2\n");
    ROW("a", 2);
    ROW("a\"b", 2);
    assert_true(next() && x[0] == 0);
    BAD_ROW("does not begin with one");
    BAD_ROW("must be doubled");
    BAD_ROW("has no end");
    BAD_ROW("a separator within quotes");
    at_end();
    OPEN("input_type: CSVInputV2", "1,\"a,b\",2\n");
    ROW("a,b", 2);
    OPEN("input_type: CSVInputEx", "1,\"a\"b\",2\n");
    ROW("\"a\"b\"", 2);
}

static void counts_of_fields(void **state_)
{
    (void)state_;
    OPEN("", "a,2\nb,3\n1,b,3\n");                  /* without the label */
    ROW("a", 2);
    ROW("b", 3);
    BAD_ROW("it has 3 fields, needs 2");
    OPEN("", "1,a,2,3\n");
    BAD_ROW("it has 4 fields, needs the 3 input_fields of the config or, without labels, 2");
    OPEN("", "1,a,\n");
    ROW("a", 0);
    OPEN("", ",\n");
    assert_true(next() && x[0] == 0 && x[1] == 0);
    OPEN("separator: \"\\t\"", "1\ta\t2\n");
    ROW("a", 2);
    OPEN("separator: \"\\001\"", "1\001a\0012\n");
    ROW("a", 2);
}

static void labels_are_not_read(void **state_)
{
    (void)state_;
    OPEN("", "what,a,2\n");
    ROW("a", 2);
}

static void empty_files(void **state_)
{
    (void)state_;
    OPEN("", "");
    at_end();
    HEADER("", "");
    at_end();
}

static void headers(void **state_)
{
    (void)state_;
    HEADER("", "i,other,s\n5,what,a\n6,\"\",b\n");
    ROW("a", 5);
    ROW("b", 6);
    at_end();
    assert_int_equal(job.warnings, 0);
    HEADER("", "\xef\xbb\xbfs\na\nb\n");
    ROW("a", 0);
    ROW("b", 0);
    assert_int_equal(job.warnings, 1);
    assert_non_null(strstr(job.last_message->text, "lacks i"));
    OPEN("with_header: true", "what it says is not read\n1,a,2\n");
    ROW("a", 2);
    at_end();
}

static void wrong_headers(void **state_)
{
    static const char *const texts[] = {"x,z\n1,2\n", "s,s\n1,2\n", "s,\"i\n1,2\n"};
    static const char *const words[] = {"no name in it", "twice", "no end"};
    (void)state_;
    for (size_t i = 0; i < COUNT(texts); i++) {
        open_two("", texts[i], strlen(texts[i]), true);
        assert_int_equal(read_csv(csv, cells, &fault), CSV_FAILED);
        assert_non_null(strstr(job.last_message->text, words[i]));
    }
}

static void defaults(void **state_)
{
    static const char data[] =
        "input_fields { input_name: \"s\" default_val: \"none\" } "
        "input_fields { input_name: \"i\" input_type: INT32 default_val: \"-7\" } "
        "input_fields { input_name: \"f\" input_type: FLOAT default_val: \"0.5\" }";
    (void)state_;
    model(data, "feature_configs { input_names: \"s\" hash_bucket_size: 1000000 embedding_dim: 1 } "
                "feature_configs { input_names: \"i\" feature_type: RawFeature } "
                "feature_configs { input_names: \"f\" feature_type: RawFeature }",
          BOTH " feature_names: \"f\"");
    open_text(",,\n", 3, false);
    assert_true(next() && x[0] == hash_of("none", 4) && x[1] == -7 && x[2] == 0.5f);
    assert_false(lower_text("input_fields { input_name: \"i\" input_type: INT32 default_val: \"x\" }",
                            "feature_configs { input_names: \"i\" feature_type: RawFeature }", "feature_names: \"i\""));
}

static void several_files(void **state_)
{
    char second[sizeof path + 2];
    (void)state_;
    OPEN("", "1,a,2\n");
    snprintf(second, sizeof second, "%s.2", path);
    FILE *file = fopen(second, "wb");
    assert_non_null(file);
    fputs("1,b,3\nx,c\n", file);
    fclose(file);
    csv = open_csv(&job, &program->lines, arena_print(&job.arena, "%s,%s", path, second), false);
    ROW("a", 2);
    ROW("b", 3);
    BAD_ROW("needs 3");
    assert_int_equal(csv_place(csv).line, 2);
    assert_string_equal(csv_place(csv).source->name, base_name(second));
    at_end();
    unlink(second);
    csv = open_csv(&job, &program->lines, arena_print(&job.arena, "%s,%s", path, second), false);
    ROW("a", 2);
    assert_int_equal(read_csv(csv, cells, &fault), CSV_FAILED);
}

/* A field of a megabyte, tags in it, and lines around it. */
static void long_fields(void **state_)
{
    const size_t n = 1 << 20;
    char *text = test_malloc(2 * n + 64);
    size_t at = (size_t)sprintf(text, "1,a,2\n1,");
    (void)state_;
    memset(text + at, 'x', n);
    at += n;
    at += (size_t)sprintf(text + at, ",3\n1,b,4\n");
    open_two("", text, at, false);
    ROW("a", 2);
    assert_true(next() && x[1] == 3 && x[0] == hash_of(text + 8, n));
    ROW("b", 4);
    at_end();
    for (size_t i = 0; i < n; i++)
        text[i] = i % 2 ? '|' : '4';
    memcpy(text + n, ",,,,,,", 6);
    assert_true(run_bytes(TAG, text, n + 6) && x[0] == 5.0f * (float)(n / 2));
    assert_true(run_bytes(TAG "combiner: \"mean\"", text, n + 6) && x[0] == 5);
    test_free(text);
}

static void too_many_combinations(void **state_)
{
    const size_t n = 4096;
    char *text = test_malloc(2 * n + 64);
    (void)state_;
    memset(text, 0, 2 * n + 64);
    for (size_t i = 0; i < 2 * n + 1; i++)
        text[i] = i == n ? ',' : i % 2 ? '|' : '4';
    memcpy(text + 2 * n, ",,,,,", 5);
    BAD(COMBO "combo_input_seps: [\"|\", \"|\"]", text, "too many combinations");
    test_free(text);
}

/* Memory is what the largest row needs, however many rows there are. */
static void memory_does_not_grow_with_rows(void **state_)
{
    struct text text = {.arena = &job.arena};
    (void)state_;
    for (int i = 0; i < 2000; i++)
        text_print(&text, "%s\n", i % 3 == 0 ? "4|6:x,,1,2,3,4,true" : i % 3 == 1 ? "bad" : "1:2,,1,2,3,4,true");
    model(columns, "feature_configs { feature_name: \"k\" " KV " } feature_configs { feature_name: \"m\" " COMBO
                   "combo_join_sep: \"X\" } feature_configs { input_names: \"d\" hash_bucket_size: 9 embedding_dim: 1 "
                   "precision: 3 }", "feature_names: \"k\" feature_names: \"m\" feature_names: \"d\"");
    open_text(text.data, text.length, false);
    for (int i = 0; i < 20; i++)
        next();
    job.arena.fail_after = 0;
    for (int i = 20; i < 2000; i++)
        next();
    job.arena.fail_after = -1;
    at_end();
}

/* ---- several features ------------------------------------------------------------------------ */

static void shared_tables(void **state_)
{
    (void)state_;
    model(columns, "feature_configs { input_names: \"s\" num_buckets: 10 embedding_dim: 1 embedding_name: \"e\" } "
                   "feature_configs { input_names: \"t\" num_buckets: 10 embedding_dim: 1 embedding_name: \"e\" "
                   "feature_type: TagFeature }", "feature_names: \"s\" feature_names: \"t\"");
    assert_int_equal(program->n_tables, 1);
    assert_string_equal(program->tables[0].names[0], "input_layer/e/embedding_weights");
    open_text("3,1|2,,,,,\n", 11, false);
    assert_true(next() && x[0] == 4 && x[1] == 5);
}

static void shared_names(void **state_)
{
    (void)state_;
    model(columns, "feature_configs { input_names: \"s\" num_buckets: 10 embedding_dim: 1 shared_names: \"t\" }",
          "feature_names: \"t\" feature_names: \"s\"");
    assert_int_equal(program->n_tables, 2);
    open_text("3,1,,,,,\n", 9, false);
    assert_true(next() && x[0] == 2 && x[1] == 4);
}

static void ranges_of_names(void **state_)
{
    (void)state_;
    model("auto_expand_input_fields: true input_fields { input_name: \"v[1-3]\" input_type: FLOAT }",
          "feature_configs { input_names: \"v1\" feature_type: RawFeature shared_names: \"v[2-3]\" }",
          "feature_names: \"v[1-3]\"");
    open_text("1,2,3\n", 6, false);
    assert_true(next() && x[0] == 1 && x[1] == 2 && x[2] == 3);
}

static void orders(void **state_)
{
    static const char both[] = "feature_configs { input_names: \"s\" num_buckets: 10 embedding_dim: 1 } "
                               "feature_configs { input_names: \"f\" feature_type: RawFeature }";
    (void)state_;
    model(columns, both, "feature_names: \"s\" feature_names: \"f\"");
    open_text("3,,,,0.5,,\n", 11, false);
    assert_true(next() && x[0] == 4 && x[1] == 0.5f);
    options.feature_order = ORDER_NAME;
    model(columns, both, "feature_names: \"s\" feature_names: \"f\"");
    open_text("3,,,,0.5,,\n", 11, false);
    assert_true(next() && x[0] == 0.5f && x[1] == 4);
}

/* The worked example of two rows through four features. */
static void worked_example(void **state_)
{
    static const char data[] = F("user_id", "STRING") F("tags", "STRING") F("price", "INT32") F("age", "INT32");
    static const char four[] =
        "feature_configs { input_names: \"user_id\" hash_bucket_size: 100000 embedding_dim: 16 } "
        "feature_configs { input_names: \"tags\" feature_type: TagFeature hash_bucket_size: 100000 kv_separator: \":\" "
        "embedding_dim: 8 } "
        "feature_configs { input_names: \"price\" num_buckets: 50 embedding_dim: 4 } "
        "feature_configs { input_names: \"age\" feature_type: RawFeature }";
    static const char text[] = "u_1001,娱乐:0.2|,77,31\n,,-1,\n";
    (void)state_;
    model(data, four, "feature_names: [\"user_id\", \"tags\", \"price\", \"age\"]");
    assert_int_equal(program->width, 29);
    open_text(text, sizeof text - 1, false);
    assert_true(next() && x[0] == 65419 && x[15] == 65419 && x[16] == 0.2f * 19811 && x[23] == 0.2f * 19811);
    assert_true(x[24] == 1 && x[27] == 1 && x[28] == 31);
    assert_true(next());
    for (int i = 0; i < 29; i++)
        assert_true(x[i] == 0);
}

/* ---- what cannot be computed from rows --------------------------------------------------------- */

static void refused_features(void **state_)
{
    static const struct {
        const char *feature, *words;
        enum result result;
    } all[] = {
        {"feature_type: ExprFeature input_names: \"f\" expression: \"tf.sin(f)\"", "", UNSUPPORTED},
        {"feature_type: ExprFeature input_names: \"b\" expression: \"b + 1\"", "BOOL", UNSUPPORTED},
        {"input_names: \"s\" vocab_file: \"v.txt\" embedding_dim: 1", "vocabulary is in a file", UNSUPPORTED},
        {"input_names: \"f\" hash_bucket_size: 5 embedding_dim: 1", "float without precision", UNSUPPORTED},
        {"input_names: \"f\" num_buckets: 5 embedding_dim: 1", "not a whole number", UNSUPPORTED},
        {"input_names: \"i\" vocab_list: \"a\" embedding_dim: 1", "not a STRING", UNSUPPORTED},
        {"input_names: \"i\" feature_type: TagFeature hash_bucket_size: 5 embedding_dim: 1", "not a STRING", UNSUPPORTED},
        {"input_names: \"i\" feature_type: RawFeature raw_input_dim: 2", "is a vector", UNSUPPORTED},
        {"input_names: \"f\" feature_type: RawFeature normalizer_fn: \"lambda x: x\"", "is Python", UNSUPPORTED},
        {"input_names: \"f\" feature_type: RawFeature normalizer_fn: \"tf.math.bessel_i0\"", "normalizer_fn", UNSUPPORTED},
        {"input_names: \"nowhere\" hash_bucket_size: 5 embedding_dim: 1", "data_config does not have", BAD_INPUT},
    };
    (void)state_;
    options.rows = "rows.csv";
    for (size_t i = 0; i < COUNT(all); i++) {
        clear();
        bool lowered = lower_text(columns, arena_print(&job.arena, "feature_configs { feature_name: \"k\" %s }",
                                                       all[i].feature), "feature_names: \"k\"");
        if (lowered || job.result != all[i].result || !strstr(job.messages->text, all[i].words))
            fail_msg("%s: %d, %s", all[i].feature, (int)job.result, job.messages ? job.messages->text : "");
    }
}

/* ---- EasyRec's own models ---------------------------------------------------------------------- */

/* The column of a feature that is a sum, whose order TensorFlow chooses; -1: it is not. */
static int column_of_sum(const struct row_feature *f)
{
    const struct row_tag_feature *tags = f->constants;
    bool sum = f->kind == ROW_KIND_tag || f->kind == ROW_KIND_pair || f->kind == ROW_KIND_weighted;
    for (uint32_t i = 0; sum && i < program->lines.n_fields; i++)
        if (program->fields[i].column == (int32_t)tags->input.column)
            return (int)i;
    return -1;
}

static size_t count_tags(const struct row_cell *cell)
{
    size_t n = cell->text.length > 0;
    for (size_t i = 0; i < cell->text.length; i++)
        n += cell->text.bytes[i] == '|';
    return n;
}

/* What the tables' sizes would give: the sum of |w T|. */
static void sum_sizes(const struct row_program *of, struct row_program *to)
{
    *to = *of;
    to->tables = NEW_ARRAY(&job, (size_t)of->n_tables, struct row_table);
    for (int i = 0; i < of->n_tables; i++) {
        to->tables[i] = of->tables[i];
        size_t n = (size_t)(of->tables[i].rows * (uint64_t)of->tables[i].width);
        float *sizes = NEW_ARRAY(&job, n, float);
        for (size_t k = 0; k < n; k++)
            sizes[k] = fabsf(of->tables[i].numbers[k]);
        to->tables[i].numbers = sizes;
    }
}

static void compare_golden(const char *name)
{
    struct row_program sizes;
    const char *dir = arena_print(&job.arena, TEST_DIR "/golden/%s", name);
    options.model = dir;
    struct network *n = read_network(&job, true);
    program = n ? read_row_program(&job, n) : NULL;
    assert_non_null(program);
    sum_sizes(program, &sizes);
    struct npy *want = open_npy(&job, arena_print(&job.arena, "%s/features.npy", dir));
    csv = open_csv(&job, &program->lines, arena_print(&job.arena, "%s/rows.csv", dir), false);
    scratch = arena_aligned(&job.arena, rows_scratch(program));
    cells = NEW_ARRAY(&job, program->lines.n_fields, struct row_cell);
    size_t in = (size_t)program->width;
    float *y = NEW_ARRAY(&job, in, float), *size = NEW_ARRAY(&job, in, float);
    double *z = NEW_ARRAY(&job, in, double);
    void *room = NEW_ARRAY(&job, in, double);
    assert_int_equal(want->columns, in);
    for (uint64_t r = 0; r < want->rows; r++) {
        assert_int_equal(read_csv(csv, cells, &fault), CSV_ROW);
        assert_null(fault.why);
        run_row(program, y);
        assert_null(fault.why);
        run_row(&sizes, size);
        assert_true(read_npy_rows(&job, want, r, 1, z, room));
        for (int i = 0; i < program->n_features; i++) {
            const struct row_feature *f = &program->features[i];
            int column = column_of_sum(f);
            size_t tags = column >= 0 ? count_tags(&cells[column]) : 0;
            for (int j = f->first; j < f->first + f->width; j++) {
                double most = (double)tags * 0x1p-24 * (double)size[j];
                if (!(fabs((double)y[j] - z[j]) <= most))
                    fail_msg("%s row %d, %s: column %d is %a, TensorFlow's %a", name, (int)r, f->key, j, (double)y[j],
                             z[j]);
            }
        }
    }
    at_end();
}

static void features_of_easyrec(void **state_)
{
    static const char *const names[] = {"tiny_mmoe", "nobn_tanh_mmoe", "heads_mmoe", "taobao_mmoe"};
    (void)state_;
    for (size_t i = 0; i < COUNT(names); i++) {
        clear();
        compare_golden(names[i]);
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int make_file(void **state_)
{
    int fd = mkstemp(path);
    return fd < 0 || make_dir(state_) != 0 ? -1 : close(fd);
}

static int remove_file(void **state_)
{
    return unlink(path) != 0 || remove_dir(state_) != 0 ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hashed_texts), TEST(hashed_numbers), TEST(whole_numbers_as_ids), TEST(vocabularies), TEST(tags),
        TEST(weighted_tags), TEST(weights_in_a_column), TEST(plain_numbers), TEST(vectors), TEST(combined_vectors),
        TEST(normalized_numbers), TEST(boundaries), TEST(even_buckets), TEST(projections), TEST(crossed),
        TEST(joined), TEST(looked_up), TEST(sequences), TEST(expressions), TEST(target_attention), TEST(attention_of_other_keys),
        TEST(keys_are_padded), TEST(keys_go_through_a_layer), TEST(variational_dropout), TEST(lines),
        TEST(returns_are_dropped), TEST(any_byte_is_text), TEST(quotes), TEST(counts_of_fields),
        TEST(labels_are_not_read), TEST(empty_files), TEST(headers), TEST(wrong_headers), TEST(defaults),
        TEST(several_files), TEST(long_fields), TEST(too_many_combinations), TEST(memory_does_not_grow_with_rows),
        TEST(shared_tables), TEST(shared_names), TEST(ranges_of_names), TEST(orders), TEST(worked_example),
        TEST(refused_features), TEST(features_of_easyrec),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
