// SPDX-License-Identifier: Apache-2.0
/* Tests of prototext.c: what is accepted and with which value, what is refused and with which
 * words.
 *
 * Wrong configs are tests/bad/syntax_*.config; bad_config.h explains them.
 *
 * How to read it: reading a text; tables of values; refused texts; rules of merging; places; files.
 */
#include "one_job.h"

#include <glob.h>
#include <locale.h>
#include <math.h>

#include "bad_config.h"
#include "easyrec.pb-c.h"

typedef Easyrec__EasyRecConfig top_message;

/* Reads a text in a fresh job, or in the job as it is. */
static struct config *reread(const char *text, size_t length)
{
    const struct source *s = source_of(text, length);
    return read_config(&job, s);
}

static struct config *read_bytes(const char *text, size_t length)
{
    clear();
    return reread(text, length);
}

static struct config *read_text(const char *text) { return read_bytes(text, strlen(text)); }

static const top_message *top_of(const struct config *c) { return (const top_message *)c->message; }

/* The text must be accepted without a word. */
static const top_message *accepted(const char *text)
{
    const struct config *c = read_text(text);
    if (!c || job.messages)
        fail_msg("%s: %s", text, job.messages ? job.messages->text : "refused");
    return top_of(c);
}

/* ---- values ---- */

/* Three texts in a row. The result, good until the next call, may be part of it. */
static const char *around(const char *before, const char *value, const char *after)
{
    static char text[4096];
    char next[sizeof(text)];
    snprintf(next, sizeof(next), "%s%s%s", before, value, after);
    return memcpy(text, next, sizeof(text));
}

static const Easyrec__FeatureConfig *feature(const char *fields)
{
    return accepted(around("feature_configs { ", fields, " }"))->feature_configs[0];
}

static const Easyrec__MMoE *mmoe(const char *fields)
{
    return accepted(around("model_config { mmoe { ", fields, " } }"))->model_config->mmoe;
}

static void whole_numbers_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {
        {"0", 0},
        {"7", 7},
        {"0x10", 16},
        {"0XfF", 255},
        {"010", 8},
        {"+5", 5},
        {"18446744073709551615", UINT64_MAX},
        {"0xffffffffffffffff", UINT64_MAX},
        {"01777777777777777777777", UINT64_MAX},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const Easyrec__FeatureConfig *f = feature(around("num_buckets: ", cases[i].text, ""));
        assert_true(f->has_num_buckets);
        assert_true(f->num_buckets == cases[i].value);
    }
    assert_int_equal(mmoe("num_expert: 4294967295")->num_expert, UINT32_MAX);
    assert_int_equal(feature("precision: -2147483648")->precision, INT32_MIN);
    assert_int_equal(feature("precision: - 3")->precision, -3);
    assert_int_equal(feature("precision: 2147483647")->precision, INT32_MAX);
}

static void numbers_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"1", 1},
        {"-1.5", -1.5},
        {".5", .5},
        {"5.", 5},
        {"1e-06", 1e-6},
        {"1E+3", 1000},
        {"1.5f", 1.5},
        {"2F", 2},
        {"010", 10},
        {"inf", INFINITY},
        {"-inf", -INFINITY},
        {"Infinity", INFINITY},
        {"inff", INFINITY},
        {"1e999", INFINITY},
        {"0.1", 0.1},
        {"4.9406564584124654e-324", 4.9406564584124654e-324},
        {"-0.0", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_true(feature(around("max_val: ", cases[i].text, ""))->max_val == cases[i].value);
    assert_true(isnan(feature("max_val: nan")->max_val));
    assert_true(isnan(feature("max_val: -nanf")->max_val));
    assert_true(signbit(feature("max_val: -0")->max_val));
    assert_true(mmoe("l2_regularization: 0.1")->l2_regularization == 0.1f);
    assert_true(mmoe("l2_regularization: -1e300")->l2_regularization == -INFINITY);
}

static void numbers_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    static const char *const comma[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8"};
    for (size_t i = 0; i < COUNT(comma); i++)
        if (setlocale(LC_ALL, comma[i]))
            break;
    assert_true(feature("max_val: 1.5")->max_val == 1.5);
    setlocale(LC_ALL, "C");
}

static void booleans_are_read(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "True", "t", "1"};
    static const char *const no[] = {"false", "False", "f", "0"};
    for (size_t i = 0; i < COUNT(yes); i++) {
        assert_true(mmoe(around("expert_dnn { use_bn: ", yes[i], " }"))->expert_dnn->use_bn);
        assert_false(mmoe(around("expert_dnn { use_bn: ", no[i], " }"))->expert_dnn->use_bn);
    }
}

static void enums_are_read_by_name_and_number(void **state)
{
    (void)state;
    assert_int_equal(feature("feature_type: TagFeature")->feature_type,
                     EASYREC__FEATURE_CONFIG__FEATURE_TYPE__TagFeature);
    assert_int_equal(feature("feature_type: 5")->feature_type,
                     EASYREC__FEATURE_CONFIG__FEATURE_TYPE__SequenceFeature);
    const top_message *m = accepted("data_config { input_type: OdpsRTPInput }");
    assert_int_equal(m->data_config->input_type, 601);
}

static void strings_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text, *value;
    } cases[] = {
        {"''", ""},
        {"\"a'b\"", "a'b"},
        {"'a\"b'", "a\"b"},
        {"'a' \"b\"\n 'c'", "abc"},
        {"'\\001'", "\001"},
        {"'\\1\\12\\1234'", "\1\12\1234"},
        {"'\\x1\\x1f2'", "\x01\x1f"
                         "2"},
        {"'\\a\\b\\f\\n\\r\\t\\v\\\\\\'\\\"\\?'", "\a\b\f\n\r\t\v\\'\"?"},
        {"'\\u00e9\\u5a31\\U0001F600'", "\u00e9\u5a31\U0001f600"},
        {"'\\ud83d\\ude00'", "\U0001f600"},
        {"'\\u0041'", "A"},
        {"'\u5a31\u4e50'", "\u5a31\u4e50"},
        {"'\\345\\250' '\\261'", "\u5a31"},
        {"'#;,{}'", "#;,{}"},
        {"'\\\\'", "\\"},
        {"'a\tb'", "a\tb"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(feature(around("separator: ", cases[i].text, ""))->separator,
                            cases[i].value);
}

static void all_forms_of_fields_are_read(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "expert_dnn { hidden_units: 8 hidden_units: 4 }",
        "expert_dnn: { hidden_units: [8, 4] }",
        "expert_dnn < hidden_units: [8] hidden_units: [4]; >,",
        "expert_dnn: <hidden_units:8,hidden_units:4>;",
        "expert_dnn # comment { \n { # comment\n hidden_units # c\n : # c\n 8 hidden_units: [4] }",
        "\r\n\texpert_dnn\v{\fhidden_units:[8,4]hidden_units:[]}",
        "expert_dnn { hidden_units: 8 } expert_dnn { hidden_units: 4 }",
    };
    for (size_t i = 0; i < COUNT(forms); i++) {
        const Easyrec__DNN *dnn = mmoe(forms[i])->expert_dnn;
        assert_int_equal(dnn->n_hidden_units, 2);
        assert_int_equal(dnn->hidden_units[0], 8);
        assert_int_equal(dnn->hidden_units[1], 4);
    }
    assert_int_equal(mmoe("experts [{ expert_name: 'a' }, < >, {}]")->n_experts, 3);
    assert_int_equal(mmoe("experts: [{ dnn {} }] experts {} experts: []")->n_experts, 2);
    assert_int_equal(accepted("\xef\xbb\xbf"
                              "feature_configs {}")
                         ->n_feature_configs,
                     1);
    assert_int_equal(accepted("# nothing")->n_feature_configs, 0);
    assert_int_equal(accepted("")->n_feature_configs, 0);
}

static void absent_fields_have_their_defaults(void **state)
{
    (void)state;
    const Easyrec__FeatureConfig *f = feature("");
    assert_string_equal(f->separator, "|");
    assert_string_equal(f->combiner, "sum");
    assert_null(f->kv_separator);
    assert_false(field_set(f, 19));
    assert_false(field_set(f, 7));
    assert_false(field_set(f, 2));
    assert_false(field_set(f, 12345));
    f = feature("combiner: 'sum' num_buckets: 0 input_names: 'a' ev_params {}");
    assert_true(field_set(f, 19));
    assert_true(field_set(f, 7));
    assert_true(field_set(f, 2));
    assert_true(field_set(f, 31));
    assert_true(mmoe("expert_dnn {}")->expert_dnn->use_bn);
    assert_string_equal(mmoe("expert_dnn {}")->expert_dnn->activation, "tf.nn.relu");
}

static void long_lists_keep_their_order(void **state)
{
    (void)state;
    struct text t = {.arena = &job.arena};
    clear();
    text_print(&t, "model_config { mmoe { expert_dnn { hidden_units: [0");
    for (int i = 1; i < 1000; i++)
        text_print(&t, ", %d", i);
    text_print(&t, "] } } }");
    const struct config *c = reread(t.data, t.length);
    assert_non_null(c);
    const Easyrec__DNN *dnn = top_of(c)->model_config->mmoe->expert_dnn;
    assert_int_equal(dnn->n_hidden_units, 1000);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(dnn->hidden_units[i], i);
}

/* ---- merging ---- */

static void last_scalar_wins(void **state)
{
    (void)state;
    const struct config *c =
        read_text("model_config { mmoe { num_expert: 3\n num_expert: 4 } }\n"
                  "model_config { model_class: 'a' } model_config { model_class: 'b' }");
    assert_non_null(c);
    assert_int_equal(top_of(c)->model_config->mmoe->num_expert, 4);
    assert_string_equal(top_of(c)->model_config->model_class, "b");
    assert_int_equal(job.warnings, 2);
    assert_string_equal(spelled(job.messages),
                        "2:2: warning: num_expert is given twice [duplicate]");
    struct pos pos = field_pos(c, top_of(c)->model_config->mmoe, 3, 0);
    assert_int_equal(pos.line, 2);
}

static void messages_given_twice_are_merged(void **state)
{
    (void)state;
    const Easyrec__MMoE *m = mmoe("num_expert: 3 expert_dnn { hidden_units: 1 use_bn: false } "
                                  "} mmoe { expert_dnn { hidden_units: 2 } experts {}");
    assert_int_equal(m->num_expert, 3);
    assert_int_equal(m->expert_dnn->n_hidden_units, 2);
    assert_false(m->expert_dnn->use_bn);
    assert_int_equal(m->n_experts, 1);
}

static void last_member_of_a_oneof_wins(void **state)
{
    (void)state;
    const struct config *c = read_text("feature_configs { sequence_combiner { attention {}\n"
                                       "text_cnn { num_filters: 1 } } }");
    assert_non_null(c);
    const Easyrec__SequenceCombiner *s = top_of(c)->feature_configs[0]->sequence_combiner;
    assert_int_equal(s->combiner_case, EASYREC__SEQUENCE_COMBINER__COMBINER_TEXT_CNN);
    assert_int_equal(s->text_cnn->n_num_filters, 1);
    assert_string_equal(
        spelled(job.messages),
        "2:1: warning: text_cnn after attention: only one of them can be set [duplicate]");
    assert_int_equal(field_pos(c, s, 3, 0).line, 2);
    assert_int_equal(field_pos(c, s, 1, 0).column, 19); /* gone: its message's place */
    c = read_text("feature_configs { sequence_combiner { text_cnn { num_filters: 1 } attention {} "
                  "text_cnn {} text_cnn { num_filters: 2 } } }");
    assert_non_null(c);
    s = top_of(c)->feature_configs[0]->sequence_combiner;
    assert_int_equal(s->text_cnn->n_num_filters, 1);
    assert_int_equal(s->text_cnn->num_filters[0], 2);
    assert_int_equal(job.warnings, 2);
}

/* ---- places ---- */

static void assert_place(struct pos pos, int line, int column, int length)
{
    assert_int_equal(pos.line, line);
    assert_int_equal(pos.column, column);
    assert_int_equal(pos.length, length);
}

static void every_field_knows_its_place(void **state)
{
    (void)state;
    const struct config *c = read_text("\xef\xbb\xbfmodel_config { mmoe {\n"
                                       "  expert_dnn { hidden_units: [64,\n"
                                       "      32] hidden_units: 16 }\n"
                                       "  experts [{}, {\n"
                                       "    expert_name: 'x' }]\n"
                                       "} }\n");
    assert_non_null(c);
    const Easyrec__MMoE *m = top_of(c)->model_config->mmoe;
    assert_place(field_pos(c, top_of(c), 14, 0), 1, 1, 12);
    assert_place(field_pos(c, top_of(c)->model_config, 301, 0), 1, 16, 4);
    assert_place(field_pos(c, m, 0, 0), 1, 16, 4);
    assert_place(field_pos(c, m, 2, 0), 2, 3, 10);
    assert_place(field_pos(c, m->expert_dnn, 0, 0), 2, 3, 10);
    assert_place(field_pos(c, m->expert_dnn, 1, 0), 2, 31, 2);
    assert_place(field_pos(c, m->expert_dnn, 1, 1), 3, 7, 2);
    assert_place(field_pos(c, m->expert_dnn, 1, 2), 3, 11, 12);
    assert_place(field_pos(c, m->expert_dnn, 1, 3), 2, 3, 10);
    assert_place(field_pos(c, m->expert_dnn, 3, 0), 2, 3, 10);
    assert_place(field_pos(c, m, 1, 1), 4, 16, 1);
    assert_place(field_pos(c, m->experts[1], 1, 0), 5, 5, 11);
    assert_place(field_pos(c, top_of(c), 99, 0), 0, 0, 0);
    assert_place(field_pos(c, &job, 1, 0), 0, 0, 0);
    assert_ptr_equal(field_pos(c, m, 2, 0).source, c->source);
}

/* ---- refused texts; most stand in tests/bad ---- */

#define WITH_LENGTH(s) s, sizeof(s) - 1

static void bytes_that_no_file_should_hold_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        const char *message;
    } cases[] = {
        {WITH_LENGTH("model_dir: 'a\0b'"),
         "1:14: error: a text cannot hold the character 0 [syntax]"},
        {WITH_LENGTH("model_dir: 'a' \0"),
         "1:16: error: a character that means nothing here [syntax]"},
        {WITH_LENGTH("\xff"), "1:1: error: a character that means nothing here [syntax]"},
        {WITH_LENGTH("model_dir: '\xff'"), "1:12: error: the text is not UTF-8 [syntax]"},
        {WITH_LENGTH("model_dir: '\xed\xa0\x80'"), "1:12: error: the text is not UTF-8 [syntax]"},
        {WITH_LENGTH("model_dir: '\xc0\x80'"), "1:12: error: the text is not UTF-8 [syntax]"},
        {WITH_LENGTH("model_dir: '\\"),
         "1:12: error: the string does not end on its line [syntax]"},
        {WITH_LENGTH("# only\r\nmodel_dir: \"\r\n\""),
         "2:12: error: the string does not end on its line [syntax]"},
        {WITH_LENGTH("\xef\xbb"), "1:1: error: a character that means nothing here [syntax]"},
        {WITH_LENGTH("model_dir"),
         "1:10: error: expected \":\" or \"{\", found the end of the file [syntax]"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_null(read_bytes(cases[i].text, cases[i].length));
        assert_int_equal(job.errors, 1);
        assert_int_equal(job.result, BAD_INPUT);
        assert_string_equal(spelled(job.messages), cases[i].message);
    }
}

/* `depth` messages within messages, known ones or ones below an ignored field. */
static bool nested(int depth, const char *open, const char *within)
{
    clear();
    struct text t = {.arena = &job.arena};
    text_print(&t, "%s {", open);
    for (int i = 1; i < depth; i++)
        text_print(&t, "%s", within);
    for (int i = 0; i < depth; i++)
        text_add(&t, "}", 1);
    return reread(t.data, t.length) != NULL;
}

static void depth_is_bounded(void **state)
{
    (void)state;
    assert_true(nested(100, "train_config", "x {"));
    assert_false(nested(101, "train_config", "x {"));
    assert_false(nested(100000, "train_config", "x: {"));
    assert_string_equal(spelled(job.messages),
                        "1:414: error: messages within messages, too deep [syntax]");
}

static void reading_stops_after_many_errors(void **state)
{
    (void)state;
    clear();
    struct text t = {.arena = &job.arena};
    for (int i = 0; i < 1000; i++)
        text_print(&t, "zz%d: 1\n", i);
    assert_null(reread(t.data, t.length));
    assert_int_equal(job.errors, 50);
    assert_string_equal(spelled(job.last_message),
                        "51:1: note: reading stops here, after 50 errors");
}

static void nothing_gives_nothing(void **state)
{
    (void)state;
    assert_null(read_config(&job, NULL));
    struct source huge = {"c", "", (size_t)2 << 30};
    assert_null(read_config(&job, &huge));
    assert_string_equal(spelled(job.messages), "error: the text is too long [syntax]");
}

/* ---- memory ---- */

static bool fails_at(const struct source *s, long n)
{
    clear();
    job.arena.fail_after = n;
    if (setjmp(no_memory))
        return true;
    read_config(&job, s);
    return false;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct text t = {0};
    struct arena a = {.no_memory = &no_memory, .fail_after = -1};
    t.arena = &a;
    for (int i = 0; i < 300; i++)
        text_print(&t, "feature_configs { input_names: ['a', 'b'] nme: 1 boundaries: [1, 2] }\n");
    struct source s = {"c", t.data, t.length};
    long n = 0;
    while (fails_at(&s, n))
        n++;
    assert_in_range(n, 4, 100);
    arena_free(&a);
}

/* ---- files ---- */

static void goldens_are_read_without_a_word(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(TEST_DIR "/golden/*/pipeline.config", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 4);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        clear();
        const struct config *c = read_config(&job, read_source(&job, found.gl_pathv[i]));
        assert_non_null(c);
        assert_null(job.messages);
        assert_string_equal(top_of(c)->model_config->model_class, "MMoE");
        assert_true(top_of(c)->model_config->mmoe->n_task_towers > 0);
    }
    globfree(&found);
}

static bool accepts(const struct source *s) { return read_config(&job, s) != NULL; }

static void wrong_configs_get_their_messages(void **state)
{
    (void)state;
    check_bad_configs(TEST_DIR "/bad/syntax_*.config", accepts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whole_numbers_are_read),
        TEST(numbers_are_read),
        TEST(numbers_do_not_depend_on_the_locale),
        TEST(booleans_are_read),
        TEST(enums_are_read_by_name_and_number),
        TEST(strings_are_decoded),
        TEST(all_forms_of_fields_are_read),
        TEST(absent_fields_have_their_defaults),
        TEST(long_lists_keep_their_order),
        TEST(last_scalar_wins),
        TEST(messages_given_twice_are_merged),
        TEST(last_member_of_a_oneof_wins),
        TEST(every_field_knows_its_place),
        TEST(bytes_that_no_file_should_hold_are_refused),
        TEST(depth_is_bounded),
        TEST(reading_stops_after_many_errors),
        TEST(nothing_gives_nothing),
        TEST(every_allocation_may_fail),
        TEST(goldens_are_read_without_a_word),
        TEST(wrong_configs_get_their_messages),
    };
    return cmocka_run_group_tests_name("prototext", tests, NULL, NULL) != 0;
}
