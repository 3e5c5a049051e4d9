// SPDX-License-Identifier: Apache-2.0
/* Tests of bind.c: wanted tensors are found in a checkpoint, and held against the config.
 *
 * How to read it: reading a text; writing checkpoints; what is there and what is not; shapes and
 * types; numbers.
 */
#define TEST_NAME "test_bind"
#include "one_checkpoint.h"
#include <math.h>

static struct model *lower_text(const char *text)
{
    const struct source *s = source_of(text, strlen(text));
    const struct config *c = read_config(&job, s);
    return lower(&job, c, c ? read_features(&job, c) : NULL, NULL);
}

/* BEFORE width of the input MODEL units and number of the experts AFTER */
#define BEFORE "feature_configs { input_names: 'x' feature_type: RawFeature raw_input_dim: "
#define MODEL                                                                                 \
    "model_config { model_class: 'MMoE' feature_groups { group_name: 'all' feature_names: 'x' }" \
    " mmoe { expert_dnn { hidden_units: "
#define AFTER " task_towers { tower_name: 't' } } }"

/* ---- writing checkpoints ---- */

/* A model of two experts, and its checkpoint but for what a test adds or leaves out. */
static void put_all_but(const char *left_out)
{
    static const struct {
        const char *name;
        int rank;
        uint64_t rows, columns;
    } variables[] = {
        {"mmoe/expert_0/dnn_0/kernel", 2, 4, 3}, {"mmoe/expert_0/dnn_0/bias", 1, 3, 0},
        {"mmoe/expert_1/dnn_0/kernel", 2, 4, 3}, {"mmoe/expert_1/dnn_0/bias", 1, 3, 0},
        {"mmoe/gate_0/dnn/kernel", 2, 4, 2},     {"mmoe/gate_0/dnn/bias", 1, 2, 0},
        {"dnn_output_0/kernel", 2, 3, 1},        {"dnn_output_0/bias", 1, 1, 0},
    };
    static const double zeros[12];
    for (size_t i = 0; i < COUNT(variables); i++)
        if (!left_out || strcmp(variables[i].name, left_out) != 0)
            put(variables[i].name, variables[i].rank, variables[i].rows, variables[i].columns,
                zeros);
}

static const struct model *bind_model(const char *left_out, void (*add)(void))
{
    clear();
    const struct model *m = lower_text(BEFORE "4 }" MODEL "3 use_bn: false } num_expert: 2" AFTER);
    assert_non_null(m);
    begin_checkpoint();
    put_all_but(left_out);
    if (add)
        add();
    return bind_weights(&job, m, end_checkpoint());
}

static void check_message(const char *text, const char *tag, const char *hint)
{
    const struct message *m = job.messages;
    assert_non_null(m);
    assert_string_equal(m->text, text);
    assert_string_equal(m->tag, tag);
    assert_string_equal(m->hint ? m->hint : "", hint);
    assert_string_equal(m->pos.source->name, "model.ckpt-1.index");
    assert_int_equal(m->pos.line, 0);
    assert_null(m->next);
}

#define TOGETHER "do config and checkpoint belong together?"

static void put_others(void)
{
    static const double zeros[64];
    PUT2("mmoe/gate_0/dnn/kernel/Adam", 4, 2, 0, 0, 0, 0, 0, 0, 0, 0);
    PUT2("mmoe/gate_0/dnn/kernel/ExponentialMovingAverage", 4, 2, 0, 0, 0, 0, 0, 0, 0, 0);
    PUT1("beta1_power", 1, 0);
    put("input_layer/x_embedding/embedding_weights", 2, 8, 8, zeros);
    PUT1("t/only_a_name_that_is_not_wanted", 1, 0);
    ckpt_put(writer, "global_step", DT_INT64, 0, NULL, zeros);
}

static void what_is_not_the_models_is_ignored(void **state)
{
    (void)state;
    assert_non_null(bind_model(NULL, put_others));
    assert_null(job.messages);
}

static void put_expert_2(void)
{
    PUT2("mmoe/expert_2/dnn_0/kernel", 4, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    PUT2("mmoe/expert_2/dnn_0/kernel/Adam", 4, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    PUT1("mmoe/expert_2/dnn_0/bias", 3, 0, 0, 0);
}

static void put_norm(void) { PUT1("mmoe/expert_0/dnn_0/bn/gamma", 3, 1, 1, 1); }

static void what_the_config_does_not_imply_is_said(void **state)
{
    (void)state;
    assert_non_null(bind_model(NULL, put_expert_2));
    check_message("the config does not imply mmoe/expert_2/dnn_0/bias and 1 more variables",
                  "unused-variable", TOGETHER);
    assert_non_null(bind_model(NULL, put_norm));
    check_message("the config does not imply mmoe/expert_0/dnn_0/bn/gamma", "unused-variable",
                  TOGETHER);
    assert_int_equal(job.messages->severity, WARNING);
}

static void put_near(void) { PUT1("mmoe/gate_0/dnm/bias", 2, 0, 0); }

static void put_keys(void)
{
    PUT1("mmoe/gate_0/dnn/bias-keys", 2, 0, 0);
    PUT1("mmoe/gate_0/dnn/bias-values", 2, 0, 0);
}

static void missing_variables_are_named(void **state)
{
    (void)state;
    assert_null(bind_model("mmoe/gate_0/dnn/bias", put_near));
    assert_int_equal(job.result, BAD_INPUT);
    assert_string_equal(job.messages->text, "mmoe/gate_0/dnn/bias [2] is missing");
    assert_string_equal(job.messages->tag, "missing-variable");
    assert_string_equal(job.messages->hint,
                        "the nearest name there is mmoe/gate_0/dnm/bias; " TOGETHER);
    assert_null(bind_model("mmoe/gate_0/dnn/bias", put_keys));
    assert_non_null(strstr(job.messages->hint, "EmbeddingVariable"));
    clear();
    begin_checkpoint();
    PUT1("x", 1, 0);
    const struct model *m = lower_text(BEFORE "4 }" MODEL "3 } num_expert: 9" AFTER);
    assert_null(bind_weights(&job, m, end_checkpoint()));
    assert_int_equal(job.errors, 20);
    assert_string_equal(job.last_message->text, "and 38 more are missing");
}

static void put_shape(void) { PUT2("mmoe/gate_0/dnn/kernel", 2, 4, 0, 0, 0, 0, 0, 0, 0, 0); }
static void put_input(void) { PUT2("dnn_output_0/kernel", 2, 1, 0, 0); }
static void put_rank(void) { PUT2("dnn_output_0/bias", 1, 1, 0); }

static void wrong_shapes_are_explained(void **state)
{
    (void)state;
    assert_null(bind_model("mmoe/gate_0/dnn/kernel", put_shape));
    check_message("mmoe/gate_0/dnn/kernel is [2,4], needs [4,2]", "shape",
                  "the group \"all\" has 1 feature, 4 columns (see mmoec inspect)");
    assert_null(bind_model("dnn_output_0/kernel", put_input));
    check_message("dnn_output_0/kernel is [2,1], needs [3,1]", "shape",
                  "its input mmoe/task_0 has 3 columns (see mmoec inspect)");
    assert_null(bind_model("dnn_output_0/bias", put_rank));
    check_message("dnn_output_0/bias is [1,1], needs [1]", "shape",
                  "the layer has 1 unit (see mmoec inspect)");
}

static void put_integers(void)
{
    ckpt_put(writer, "dnn_output_0/bias", DT_INT64, 1, (const uint64_t[]){1}, (const double[]){1});
}

static void put_doubles(void)
{
    const double x[] = {0.5, 0.5};
    ckpt_put(writer, "mmoe/gate_0/dnn/bias", DT_DOUBLE, 1, (const uint64_t[]){2}, x);
}

static void types_are_checked(void **state)
{
    (void)state;
    assert_null(bind_model("dnn_output_0/bias", put_integers));
    check_message("dnn_output_0/bias is int64, needs float32", "type", "");
    assert_non_null(bind_model("mmoe/gate_0/dnn/bias", put_doubles));
    check_message("mmoe/gate_0/dnn/bias is float64: numbers are rounded to float32", "type", "");
}

static void put_nan(void)
{
    PUT2("mmoe/gate_0/dnn/kernel", 4, 2, 0, 0, 0, 0, 0, 0, INFINITY, NAN);
}

static void put_nan_bias(void) { PUT1("mmoe/gate_0/dnn/bias", 2, 0, NAN); }

static void put_beyond(void)
{
    const double x[] = {0.5, 1e300};
    ckpt_put(writer, "mmoe/gate_0/dnn/bias", DT_DOUBLE, 1, (const uint64_t[]){2}, x);
}

static void numbers_must_be_finite(void **state)
{
    (void)state;
    assert_null(bind_model("mmoe/gate_0/dnn/kernel", put_nan));
    check_message("mmoe/gate_0/dnn/kernel[3,0] is inf", "non-finite", "--permissive keeps it");
    assert_null(bind_model("mmoe/gate_0/dnn/bias", put_nan_bias));
    check_message("mmoe/gate_0/dnn/bias[1] is nan", "non-finite", "--permissive keeps it");
    assert_null(bind_model("mmoe/gate_0/dnn/bias", put_beyond));
    assert_string_equal(job.last_message->text, "mmoe/gate_0/dnn/bias[1] is beyond float32");
    options.permissive = true;
    assert_non_null(bind_model("mmoe/gate_0/dnn/bias", put_nan_bias));
    check_message("mmoe/gate_0/dnn/bias[1] is nan", "non-finite", "");
    assert_int_equal(job.messages->severity, WARNING);
}

/* The message of the design, as the terminal shows it. */
static void a_wrong_shape_as_the_terminal_shows_it(void **state)
{
    (void)state;
    struct text t = {.arena = &job.arena};
    for (int i = 0; i < 17; i++)
        text_print(&t, "feature_configs { input_names: 'f%d' hash_bucket_size: 9"
                       " embedding_dim: 16 } ", i);
    text_print(&t, "model_config { model_class: 'MMoE'"
                   " feature_groups { group_name: 'all' feature_names: 'f[0-16]'"
                   " } mmoe { expert_dnn { hidden_units: 256 use_bn: false } num_expert: 1"
                   " task_towers { tower_name: 't' } } }");
    const struct model *m = lower_text(t.data);
    assert_non_null(m);
    static const double zeros[256 * 256];
    begin_checkpoint();
    put("mmoe/expert_0/dnn_0/kernel", 2, 256, 256, zeros);
    put("mmoe/expert_0/dnn_0/bias", 1, 256, 0, zeros);
    put("mmoe/gate_0/dnn/kernel", 2, 272, 1, zeros);
    put("mmoe/gate_0/dnn/bias", 1, 1, 0, zeros);
    put("dnn_output_0/kernel", 2, 256, 1, zeros);
    put("dnn_output_0/bias", 1, 1, 0, zeros);
    assert_null(bind_weights(&job, m, end_checkpoint()));
    assert_int_equal(job.errors, 1);
    char shown[400] = "";
    FILE *to = fmemopen(shown, sizeof shown, "w");
    show_message(job.messages, false, to);
    fclose(to);
    assert_string_equal(shown,
        "model.ckpt-1.index: error: mmoe/expert_0/dnn_0/kernel is [256,256], needs [272,256] "
        "[shape]\n  the group \"all\" has 17 features of 16 columns: 272 (see mmoec inspect)\n");
}

static void nothing_gives_nothing(void **state)
{
    (void)state;
    assert_null(bind_weights(&job, NULL, NULL));
    const struct model *m = lower_text(BEFORE "4 }" MODEL "3 } num_expert: 2" AFTER);
    assert_non_null(m);
    assert_null(bind_weights(&job, m, NULL));
    assert_null(job.messages);
}

static void what_is_bound_is_a_copy(void **state)
{
    (void)state;
    const struct model *bound = bind_model(NULL, NULL);
    assert_non_null(bound);
    assert_null(job.messages);
    for (int i = 0; i < bound->n_wants; i++)
        assert_string_equal(bound->wants[i].tensor->name, bound->wants[i].name);
}

static void flipped_bits_are_seen(void **state)
{
    (void)state;
    const struct model *m = bind_model(NULL, NULL);
    ckpt_xor(arena_print(&job.arena, "%s.data-00000-of-00001", prefix), 3, 64);
    assert_null(bind_weights(&job, m, read_checkpoint(&job, prefix)));
    assert_int_equal(job.errors, 1);
    assert_int_equal(job.result, BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_bound_is_a_copy),
        TEST(what_is_not_the_models_is_ignored),
        TEST(what_the_config_does_not_imply_is_said),
        TEST(missing_variables_are_named),
        TEST(wrong_shapes_are_explained),
        TEST(a_wrong_shape_as_the_terminal_shows_it),
        TEST(types_are_checked),
        TEST(numbers_must_be_finite),
        TEST(flipped_bits_are_seen),
        TEST(nothing_gives_nothing),
    };
    return cmocka_run_group_tests_name("bind", tests, make_dir, remove_dir) != 0;
}
