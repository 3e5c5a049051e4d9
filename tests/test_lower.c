// SPDX-License-Identifier: Apache-2.0
/* Tests of lower_mmoe.c: from a config to a model and the tensors it wants.
 *
 * Wrong configs are tests/bad/model_*.config; bad_config.h explains them. Here they are read,
 * searched for features and lowered.
 *
 * How to read it: reading a text; goldens; spec values; experts, gates, towers; activations; heads;
 * choosing outputs; what else; memory; files.
 */
#define TEST_NAME "test_lower"
#include "one_checkpoint.h"

#include "bad_config.h"

static struct model *lower_source(const struct source *s, const struct tensors *ts)
{
    const struct config *c = read_config(&job, s);
    return lower(&job, c, c ? read_features(&job, c) : NULL, ts);
}

static struct model *lower_text(const char *text, const struct tensors *ts)
{
    const struct source *s = source_of(text, strlen(text));
    return lower_source(s, ts);
}

/* One feature of four columns; `mmoe` is what is in the message. */
#define BEFORE                                                                             \
    "feature_configs { input_names: 'x' feature_type: RawFeature raw_input_dim: 4 }\n"     \
    "model_config { model_class: 'MMoE'\n"                                                 \
    "feature_groups { group_name: 'all' feature_names: 'x' }\nmmoe {\n"
#define AFTER "\n} }"
#define TWO_EXPERTS "expert_dnn { hidden_units: 3 use_bn: false } num_expert: 2 "
#define TOWER "task_towers { tower_name: 't' } "

static struct model *lower_mmoe(const char *mmoe)
{
    clear();
    return lower_text(arena_print(&job.arena, BEFORE "%s" AFTER, mmoe), NULL);
}

static const struct model *accepted(const char *mmoe)
{
    const struct model *m = lower_mmoe(mmoe);
    if (!m || job.messages)
        fail_msg("%s: %s", mmoe, job.messages ? job.messages->text : "refused");
    check_model(m);
    return m;
}

/* Lowers to an error of that tag and result, the only one. */
static void refused(const char *mmoe, enum result result, const char *tag)
{
    if (lower_mmoe(mmoe))
        fail_msg("accepted: %s", mmoe);
    if (job.errors != 1 || job.result != result || strcmp(job.last_message->tag, tag) != 0)
        fail_msg("%s: %s [%s]", mmoe, job.last_message->text, job.last_message->tag);
}

static const char *printed(const struct model *m)
{
    struct text t = {.arena = &job.arena};
    print_model(m, &t);
    return t.data;
}

/* "mmoe/expert_0/dnn_0/kernel [4,3], mmoe/expert_0/dnn_0/bias [3], ..." */
static const char *wants(const struct model *m)
{
    struct text t = {.arena = &job.arena};
    for (int i = 0; i < m->n_wants; i++) {
        const struct want *w = &m->wants[i];
        text_print(&t, "%s%s [%d", i ? ", " : "", w->name, w->dim[0]);
        if (w->rank == 2)
            text_print(&t, ",%d", w->dim[1]);
        text_print(&t, "]");
    }
    return t.data;
}

/* "logits_t, probs_t[3], y_t int": a vector's width in brackets. */
static const char *outputs(const struct model *m)
{
    struct text t = {.arena = &job.arena};
    for (int i = 0; i < m->n_outputs; i++) {
        const struct output *o = &m->outputs[i];
        assert_int_equal(o->width, m->values[o->value].width);
        text_print(&t, "%s%s", i ? ", " : "", o->name);
        if (o->vector)
            text_print(&t, "[%d]", o->width);
        else
            assert_int_equal(o->width, 1);
        if (o->type == CLASS_OUTPUT)
            text_print(&t, " int");
    }
    return t.data;
}

static bool is_prefix(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool wants_it(const struct model *m, const char *name)
{
    for (int i = 0; i < m->n_wants; i++)
        if (strcmp(m->wants[i].name, name) == 0)
            return true;
    return false;
}

static int count_ops(const struct model *m, enum op_kind kind)
{
    int n = 0;
    for (int i = 0; i < m->n_ops; i++)
        n += m->ops[i].kind == kind;
    return n;
}

/* ---- goldens ---- */

static const struct {
    const char *dir;
    int dense, norms, acts, mixes;
    const char *outputs;
} goldens[] = {
    {"tiny_mmoe", 2 * 2 + 2 + 2 + 2, 2 * 2 + 2, 2 * 2 + 2 + 2, 2,
     "logits_ctr, probs_ctr, logits_cvr, probs_cvr"},
    {"nobn_tanh_mmoe", 3 * 2 + 2 + 2 + 2, 0, 3 * 2 + 2 + 2, 2,
     "logits_ctr, probs_ctr, logits_cvr, probs_cvr"},
    {"taobao_mmoe", 4 * 4 + 2 + 2 * 4 + 2, 4 * 4 + 2 * 4, 4 * 4 + 2 * 4 + 2, 2,
     "logits_ctr, probs_ctr, logits_cvr, probs_cvr"},
    {"heads_mmoe", 6 + 3 + 4 + 3, 5 + 2 + 1, 6 + 2 + 1 + 1 + 1, 3,
     "logits_ctr, probs_ctr, logits_grade[4], probs_grade[4], logits_grade_1, probs_grade_1, "
     "logits_grade_y, probs_grade_y, y_grade int, y_spend"},
};

static const struct model *read_golden(const char *dir, struct tensors **ts)
{
    clear();
    const char *path = arena_print(&job.arena, TEST_DIR "/golden/%s", dir);
    *ts = read_checkpoint(&job, find_checkpoint(&job, path));
    path = arena_print(&job.arena, "%s/pipeline.config", path);
    return lower_source(read_source(&job, path), *ts);
}

static void goldens_are_lowered_and_bound_without_a_word(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(goldens); i++) {
        struct tensors *ts;
        const struct model *m = read_golden(goldens[i].dir, &ts);
        const struct model *bound = bind_weights(&job, m, ts);
        assert_non_null(bound);
        assert_null(job.messages);
        check_model(m);
        assert_string_equal(outputs(m), goldens[i].outputs);
        assert_int_equal(count_ops(m, OP_mix), goldens[i].mixes);
        for (int w = 0; w < m->n_wants; w++) {
            assert_null(m->wants[w].tensor);
            assert_non_null(bound->wants[w].tensor);
        }
        assert_int_equal(count_ops(m, OP_dense), goldens[i].dense);
        assert_int_equal(count_ops(m, OP_batch_norm), goldens[i].norms);
        assert_int_equal(count_ops(m, OP_act), goldens[i].acts);
    }
}

/* ---- spec values ---- */

/* Scores one row by the double reference. */
static void score(const struct model *m, struct tensors *ts, const float *x, double *y)
{
    const struct model *bound = bind_weights(&job, m, ts);
    if (!bound || job.messages)
        fail_msg("%s", job.messages ? job.messages->text : "refused");
    assert_true(eval(&job, bound, x, 1, y, NULL));
}

/* spec/easyrec-mmoe.md, section 7. Numbers of the checkpoint are exact in float32. */
static void a_worked_example(void **state)
{
    (void)state;
    const struct model *m = lower_text(
        "feature_configs { input_names: 'x' feature_type: RawFeature raw_input_dim: 2 }"
        "model_config { model_class: 'MMoE' feature_groups { group_name: 'all' feature_names: 'x' }"
        "mmoe { experts { dnn { hidden_units: 2 } } "
        "experts { expert_name: 'b' dnn { hidden_units: [2] use_bn: false activation: 'relu' } } "
        "task_towers { tower_name: 'ctr' } } }", NULL);
    assert_non_null(m);
    assert_null(job.messages);
    assert_string_equal(printed(m),
        "deep_fea [2] = input\n"
        "mmoe/expert_0/dnn_0 [2] = dense deep_fea\n"
        "        part 0 columns 0..1: mmoe/expert_0/dnn_0/kernel\n"
        "mmoe/expert_0/dnn_0/bn [2] = batch_norm mmoe/expert_0/dnn_0\n"
        "mmoe/expert_0/dnn_0/act [2] = act relu mmoe/expert_0/dnn_0/bn\n"
        "mmoe/expert_1/dnn_0 [2] = dense deep_fea\n"
        "        part 0 columns 0..1: mmoe/expert_1/dnn_0/kernel\n"
        "mmoe/expert_1/dnn_0/act [2] = act relu mmoe/expert_1/dnn_0\n"
        "mmoe/gate_0/dnn [2] = dense deep_fea\n"
        "        part 0 columns 0..1: mmoe/gate_0/dnn/kernel\n"
        "mmoe/gate_0 [2] = softmax mmoe/gate_0/dnn\n"
        "mmoe/task_0 [2] = mix mmoe/gate_0, mmoe/expert_0/dnn_0/act, mmoe/expert_1/dnn_0/act\n"
        "logits_ctr [1] = dense mmoe/task_0\n"
        "        part 0 columns 0..0: dnn_output_0/kernel\n"
        "sigmoid_ctr [1] = act sigmoid logits_ctr\n"
        "output logits_ctr = logits_ctr\n"
        "output probs_ctr = sigmoid_ctr\n");
    begin_checkpoint();
    PUT2("mmoe/expert_0/dnn_0/kernel", 2, 2, 1, 0, 0, 1);
    PUT1("mmoe/expert_0/dnn_0/bias", 2, 0.5, 0.5);
    PUT1("mmoe/expert_0/dnn_0/bn/gamma", 2, 1, 2);
    PUT1("mmoe/expert_0/dnn_0/bn/beta", 2, 0, 3);
    PUT1("mmoe/expert_0/dnn_0/bn/moving_mean", 2, 0.5, 0.5);
    PUT1("mmoe/expert_0/dnn_0/bn/moving_variance", 2, 1, 4);
    PUT2("mmoe/expert_1/dnn_0/kernel", 2, 2, 0.5, -1, -1, 0.25);
    PUT1("mmoe/expert_1/dnn_0/bias", 2, 0, 1);
    PUT2("mmoe/gate_0/dnn/kernel", 2, 2, 0.5, -0.5, 0.25, 0.25);
    PUT1("mmoe/gate_0/dnn/bias", 2, 0, 0);
    PUT2("dnn_output_0/kernel", 2, 1, 1, -1);
    PUT1("dnn_output_0/bias", 1, 0.1);
    double y[2];
    score(m, end_checkpoint(), (const float[]){1, -2}, y);
    assert_float_equal(y[0], 0.77180556767, 2e-9);      /* 0.1 is not exact */
    assert_float_equal(y[1], 0.68391134480, 1e-9);
}

/* The check value of ZILN, through an expert and a gate that do nothing. */
static void ziln_of_a_single_identity(void **state)
{
    (void)state;
    const struct model *m = lower_text(
        "feature_configs { input_names: 'x' feature_type: RawFeature raw_input_dim: 3 }"
        "model_config { model_class: 'MMoE' feature_groups { group_name: 'all' feature_names: 'x' }"
        "mmoe { expert_dnn { hidden_units: 0 } num_expert: 1 "
        "task_towers { tower_name: 'v' num_class: 3 loss_type: ZILN_LOSS } } }", NULL);
    assert_non_null(m);
    assert_null(job.messages);
    assert_string_equal(printed(m), "deep_fea [3] = input\n"
                                    "logits_v [3] = dense deep_fea\n"
                                    "        part 0 columns 0..2: dnn_output_0/kernel\n"
                                    "logit_0_v [1] = slice from 0 logits_v\n"
                                    "prob_0_v [1] = act sigmoid logit_0_v\n"
                                    "ziln_v [1] = ziln logits_v\n"
                                    "output logits_v = logits_v\n"
                                    "output probs_v = prob_0_v\n"
                                    "output y_v = ziln_v\n");
    begin_checkpoint();
    PUT2("mmoe/gate_0/dnn/kernel", 3, 1, 1, 2, 3);
    PUT1("mmoe/gate_0/dnn/bias", 1, 4);
    PUT2("dnn_output_0/kernel", 3, 3, 1, 0, 0, 0, 1, 0, 0, 0, 1);
    PUT1("dnn_output_0/bias", 3, 0, 0, 0);
    double y[5];
    score(m, end_checkpoint(), (const float[]){0.3f, 1.2f, -0.7f}, y);
    assert_float_equal(y[3], 0.574442517, 1e-7);
    assert_float_equal(y[4], 2.068707985, 1e-6);
}

/* ---- experts, gates, towers ---- */

static void layers_have_a_bias_and_a_norm_by_default(void **state)
{
    (void)state;
    const struct model *m = accepted("expert_dnn { hidden_units: [3, 2] } num_expert: 2 " TOWER);
    assert_int_equal(count_ops(m, OP_batch_norm), 4);
    for (int i = 0; i < m->n_ops; i++)
        if (m->ops[i].kind == OP_batch_norm)
            assert_true(m->ops[i].norm.epsilon == 1e-3);
    assert_true(is_prefix(wants(m),
        "mmoe/expert_0/dnn_0/kernel [4,3], mmoe/expert_0/dnn_0/bias [3], "
        "mmoe/expert_0/dnn_0/bn/gamma [3], mmoe/expert_0/dnn_0/bn/beta [3], "
        "mmoe/expert_0/dnn_0/bn/moving_mean [3], mmoe/expert_0/dnn_0/bn/moving_variance [3], "
        "mmoe/expert_0/dnn_1/kernel [3,2], "));
}

static void towers_are_named_and_outputs_are_numbered(void **state)
{
    (void)state;
    const struct model *m = accepted(TWO_EXPERTS
        "task_towers { tower_name: 'b' dnn { hidden_units: 5 use_bn: false } } "
        "task_towers { tower_name: 'a' num_class: 2 }");
    assert_string_equal(wants(m),
        "mmoe/expert_0/dnn_0/kernel [4,3], mmoe/expert_0/dnn_0/bias [3], "
        "mmoe/expert_1/dnn_0/kernel [4,3], mmoe/expert_1/dnn_0/bias [3], "
        "mmoe/gate_0/dnn/kernel [4,2], mmoe/gate_0/dnn/bias [2], "
        "mmoe/gate_1/dnn/kernel [4,2], mmoe/gate_1/dnn/bias [2], "
        "b/dnn_0/kernel [3,5], b/dnn_0/bias [5], dnn_output_0/kernel [5,1], "
        "dnn_output_0/bias [1], dnn_output_1/kernel [3,2], dnn_output_1/bias [2]");
}

static void no_units_pass_the_input_on(void **state)
{
    (void)state;
    static const char *const identities[] = {
        "expert_dnn {} num_expert: 2 " TOWER,
        "expert_dnn { hidden_units: [0] activation: 'nonsense' } num_expert: 2 " TOWER,
        "experts { dnn { hidden_units: 0 } } experts { dnn { hidden_units: [] } } " TOWER,
        "expert_dnn { hidden_units: 0 } num_expert: 2 task_towers { tower_name: 't' dnn {} }",
    };
    for (size_t i = 0; i < COUNT(identities); i++) {
        const struct model *m = accepted(identities[i]);
        assert_int_equal(count_ops(m, OP_dense), 2);
        assert_int_equal(count_ops(m, OP_act), 1);
        assert_true(strstr(printed(m), "= mix mmoe/gate_0, deep_fea, deep_fea\n") != NULL);
    }
}

static void a_single_expert_has_no_gate(void **state)
{
    (void)state;
    const struct model *m = accepted("experts { dnn { hidden_units: 3 } } " TOWER);
    assert_int_equal(count_ops(m, OP_mix) + count_ops(m, OP_softmax), 0);
    assert_true(wants_it(m, "mmoe/gate_0/dnn/kernel"));
    assert_true(wants_it(m, "mmoe/gate_0/dnn/bias"));
}

static void names_of_values_are_unique(void **state)
{
    (void)state;
    const struct model *m = lower_mmoe(TWO_EXPERTS
        "task_towers { tower_name: 'x/dnn_0' } "
        "task_towers { tower_name: 'logits_x' dnn { hidden_units: 2 } } "
        "task_towers { tower_name: 'a' num_class: 2 } task_towers { tower_name: 'a_1' }");
    assert_non_null(m);
    for (int i = 0; i < m->n_values; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(m->values[i].name, m->values[k].name);
    /* logits_a_1 is both class 1 of a and the logit of a_1: EasyRec's dictionary keeps the last. */
    assert_int_equal(job.warnings, 2);
    assert_string_equal(job.messages->tag, "outputs");
    assert_string_equal(outputs(m), "logits_x/dnn_0, probs_x/dnn_0, logits_logits_x, "
                                    "probs_logits_x, logits_a[2], probs_a[2], logits_a_1, "
                                    "probs_a_1, logits_a_y, probs_a_y, y_a int");
    assert_string_equal(m->values[m->outputs[6].value].name, "logits_a_1");
    assert_string_equal(m->outputs[6].tower, "a_1");
}

static void hostile_names_are_kept(void **state)
{
    (void)state;
    const struct model *m = lower_mmoe(TWO_EXPERTS "task_towers { tower_name: 'a*/\"\\n%s' }");
    assert_non_null(m);
    assert_string_equal(m->outputs[0].name, "logits_a*/\"\n%s");
    assert_int_equal(job.warnings, 1);
    assert_string_equal(job.messages->tag, "tower-name");
    clear();
    char name[3001];
    memset(name, 'n', 3000);
    name[3000] = 0;
    const char *text = arena_print(&job.arena, BEFORE TWO_EXPERTS "task_towers { tower_name: '%s' "
                                   "dnn { hidden_units: 1 } }" AFTER, name);
    m = lower_text(text, NULL);
    assert_non_null(m);
    assert_int_equal(strlen(m->outputs[0].name), 3007);
}

static void large_models_are_refused(void **state)
{
    (void)state;
    refused("expert_dnn { hidden_units: 3 } num_expert: 901 " TOWER, UNSUPPORTED, "unsupported");
    refused("expert_dnn { hidden_units: [3, 3, 3] } num_expert: 900 " TOWER, UNSUPPORTED,
            "unsupported");
    refused("expert_dnn { hidden_units: 1048577 } num_expert: 1 " TOWER, UNSUPPORTED,
            "unsupported");
    refused(TWO_EXPERTS "task_towers { tower_name: 't' num_class: 65537 }", UNSUPPORTED,
            "unsupported");
    accepted("expert_dnn { hidden_units: 3 use_bn: false } num_expert: 900 " TOWER);
}

/* ---- activations ---- */

enum { IS_DICE = N_ACTS, IS_SOFTMAX };

static void every_activation_is_spelled(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int act;
    } cases[] = {
        {"relu", ACT_relu}, {"RELU", ACT_relu}, {"tf.nn.relu", ACT_relu},
        {" tf.nn.relu ", ACT_relu}, {"tensorflow.nn.relu", ACT_relu}, {"gelu", ACT_gelu},
        {"GeLU", ACT_gelu},
        {"easy_rec.python.utils.activation.gelu", ACT_gelu}, {"tf.nn.gelu", ACT_gelu_erf},
        {"leaky_relu", ACT_leaky_relu}, {"tf.nn.leaky_relu", ACT_leaky_relu}, {"elu", ACT_elu},
        {"tf.nn.elu", ACT_elu}, {"selu", ACT_selu}, {"tf.nn.selu", ACT_selu}, {"tanh", ACT_tanh},
        {"Tanh", ACT_tanh}, {"tf.tanh", ACT_tanh}, {"tf.nn.tanh", ACT_tanh},
        {"tf.math.tanh", ACT_tanh}, {"sigmoid", ACT_sigmoid}, {"tf.nn.sigmoid", ACT_sigmoid},
        {"tf.sigmoid", ACT_sigmoid}, {"tf.math.sigmoid", ACT_sigmoid}, {"dice", IS_DICE},
        {"DICE", IS_DICE}, {"tf.identity", ACT_identity}, {"tf.nn.relu6", ACT_relu6},
        {"tf.nn.softplus", ACT_softplus}, {"tf.math.softplus", ACT_softplus},
        {"tf.nn.softsign", ACT_softsign}, {"tf.math.softsign", ACT_softsign},
        {"tf.nn.softmax", IS_SOFTMAX}, {"easy_rec.python.utils.activation.swish", ACT_swish},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char mmoe[200];
        snprintf(mmoe, sizeof mmoe, "experts { dnn { hidden_units: 3 use_bn: false"
                                    " activation: '%s' } } " TOWER, cases[i].text);
        const struct model *m = accepted(mmoe);
        const struct op *op = &m->ops[1];
        if (cases[i].act == ACT_identity)
            assert_int_equal(op->kind, OP_dense);
        else if (cases[i].act == IS_DICE)
            assert_int_equal(op->kind, OP_dice);
        else if (cases[i].act == IS_SOFTMAX)
            assert_int_equal(op->kind, OP_softmax);
        else if (op->kind != OP_act || (int)op->act != cases[i].act)
            fail_msg("%s", cases[i].text);
    }
}

static void other_activations_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum result result;
    } cases[] = {
        {"", BAD_INPUT}, {"linear", BAD_INPUT}, {"Linear", BAD_INPUT}, {"swish", BAD_INPUT},
        {"tf.nn.swish", BAD_INPUT}, {"tf.nn.silu", BAD_INPUT}, {"prelu", BAD_INPUT},
        {"tf.nn.crelu", BAD_INPUT}, {"softmax", BAD_INPUT}, {"mish", BAD_INPUT},
        {"hard_swish", BAD_INPUT}, {"relu6", BAD_INPUT}, {"softplus", BAD_INPUT},
        {"nn.relu", BAD_INPUT}, {"tf.relu", BAD_INPUT}, {" relu", BAD_INPUT}, {"relu ", BAD_INPUT},
        {"TF.NN.RELU", BAD_INPUT}, {"tf.nn.ReLU", BAD_INPUT},
        {"lambda x, name=None: x", UNSUPPORTED}, {"my.own.function_of_x", UNSUPPORTED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char mmoe[200];
        snprintf(mmoe, sizeof mmoe, "expert_dnn { hidden_units: [3, 3] activation: '%s' }"
                                    " num_expert: 4 " TOWER, cases[i].text);
        refused(mmoe, cases[i].result, cases[i].result == BAD_INPUT ? "activation" : "unsupported");
        if (*cases[i].text)
            assert_non_null(strstr(job.messages->text, cases[i].text));
    }
}

/* The k-th unnamed batch norm in the order in which TensorFlow made them. */
static void dice_counts_its_batch_norms(void **state)
{
    (void)state;
    const struct model *m = accepted(
        "experts { dnn { hidden_units: [3, 2] use_bn: false activation: 'dice' } } "
        "experts { dnn { hidden_units: 2 use_bn: false } } "
        "experts { dnn { hidden_units: 2 use_bn: false activation: 'Dice' } } "
        "task_towers { tower_name: 'ctr' "
        "dnn { hidden_units: 6 use_bn: false activation: 'dice' } }");
    static const struct {
        const char *alpha, *mean, *variance;
        int width;
    } expected[] = {
        {"alpha_mmoe/expert_0/dnn_0/act", "batch_normalization/moving_mean",
         "batch_normalization/moving_variance", 3},
        {"alpha_mmoe/expert_0/dnn_1/act", "batch_normalization_1/moving_mean",
         "batch_normalization_1/moving_variance", 2},
        {"alpha_mmoe/expert_2/dnn_0/act", "batch_normalization_2/moving_mean",
         "batch_normalization_2/moving_variance", 2},
        {"alpha_ctr/dnn_0/act", "batch_normalization_3/moving_mean",
         "batch_normalization_3/moving_variance", 6},
    };
    int n = 0;
    for (int i = 0; i < m->n_ops; i++) {
        const struct op *op = &m->ops[i];
        if (op->kind != OP_dice)
            continue;
        assert_true(op->norm.epsilon == 1e-9);
        assert_int_equal(op->norm.beta, -1);
        assert_string_equal(m->wants[op->norm.gamma].name, expected[n].alpha);
        assert_string_equal(m->wants[op->norm.mean].name, expected[n].mean);
        assert_string_equal(m->wants[op->norm.variance].name, expected[n].variance);
        assert_int_equal(m->wants[op->norm.mean].dim[0], expected[n++].width);
    }
    assert_int_equal(n, 4);
}

static void dice_of_attention_comes_first(void **state)
{
    (void)state;
    const struct model *m = lower_text(
        "feature_configs { input_names: 'k' hash_bucket_size: 9 embedding_dim: 2 }"
        "feature_configs { input_names: 'h' feature_type: SequenceFeature hash_bucket_size: 9"
        " embedding_dim: 2 }"
        "model_config { model_class: 'MMoE' feature_groups { group_name: 'all' feature_names: 'k'"
        " sequence_features { group_name: 's' seq_att_map { key: 'k' hist_seq: 'h' }"
        " seq_dnn { hidden_units: [4, 2, 1] activation: 'dice' } } }"
        "mmoe { expert_dnn { hidden_units: 2 activation: 'dice' } num_expert: 2 " TOWER "} }",
        NULL);
    assert_non_null(m);
    assert_int_equal(m->values[0].width, 6);
    assert_false(wants_it(m, "batch_normalization_1/moving_mean"));
    assert_true(wants_it(m, "batch_normalization_2/moving_mean"));
    assert_true(wants_it(m, "batch_normalization_3/moving_mean"));
}

/* ---- heads ---- */

#define BINARY "logits_t, probs_t"
#define CLASSES(n) \
    "logits_t[" n "], probs_t[" n "], logits_t_1, probs_t_1, logits_t_y, probs_t_y, y_t int"

static void every_head_has_its_outputs(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *outputs;
    } cases[] = {
        {"", BINARY},
        {"loss_type: CLASSIFICATION", BINARY},
        {"num_class: 2", CLASSES("2")},
        {"num_class: 5", CLASSES("5")},
        {"loss_type: L2_LOSS", "y_t"},
        {"loss_type: SIGMOID_L2_LOSS", "y_t"},
        {"loss_type: PAIR_WISE_LOSS", BINARY},
        {"loss_type: F1_REWEIGHTED_LOSS", BINARY},
        {"loss_type: BINARY_FOCAL_LOSS", BINARY},
        {"loss_type: PAIRWISE_FOCAL_LOSS", BINARY},
        {"loss_type: PAIRWISE_LOGISTIC_LOSS", BINARY},
        {"loss_type: PAIRWISE_HINGE_LOSS", BINARY},
        {"loss_type: LISTWISE_RANK_LOSS", BINARY},
        {"loss_type: LISTWISE_DISTILL_LOSS", BINARY},
        {"loss_type: BINARY_CROSS_ENTROPY_LOSS", BINARY},
        {"loss_type: JRC_LOSS num_class: 2", "logits_t[2], pos_logits_t, probs_t"},
        {"loss_type: ZILN_LOSS num_class: 3", "logits_t[3], probs_t, y_t"},
        /* losses replace loss_type */
        {"loss_type: CIRCLE_LOSS losses { loss_type: L2_LOSS }", "y_t"},
        {"losses {}", BINARY},
        {"losses {} losses { loss_type: PAIR_WISE_LOSS }", BINARY},
        {"losses {} losses { loss_type: L2_LOSS }", BINARY ", y_t"},
        {"losses { loss_type: L2_LOSS } losses {}", "y_t, " BINARY},
        {"losses {} losses { loss_type: ORDER_CALIBRATE_LOSS }", BINARY},
        {"num_class: 2 losses {} losses { loss_type: JRC_LOSS }",
         "logits_t[2], probs_t, logits_t_1, probs_t_1, logits_t_y, probs_t_y, y_t int, "
         "pos_logits_t"},
        {"num_class: 2 losses { loss_type: JRC_LOSS } losses {}",
         "logits_t[2], pos_logits_t, probs_t[2], logits_t_1, probs_t_1, logits_t_y, probs_t_y, "
         "y_t int"},
        {"num_class: 3 losses {} losses { loss_type: ZILN_LOSS }",
         "logits_t[3], probs_t, logits_t_1, probs_t_1, logits_t_y, probs_t_y, y_t"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char mmoe[400];
        snprintf(mmoe, sizeof mmoe, TWO_EXPERTS "task_towers { tower_name: 't' %s }",
                 cases[i].fields);
        assert_string_equal(outputs(accepted(mmoe)), cases[i].outputs);
    }
}

static const struct op *maker(const struct model *m, const char *output)
{
    for (int i = 0; i < m->n_outputs; i++)
        if (strcmp(m->outputs[i].name, output) == 0)
            return &m->ops[m->values[m->outputs[i].value].op];
    fail_msg("no output %s", output);
    return NULL;
}

static void heads_compute_what_easyrec_does(void **state)
{
    (void)state;
    const struct model *m = accepted(TWO_EXPERTS "task_towers { tower_name: 't' num_class: 4 } "
        "task_towers { tower_name: 'v' loss_type: SIGMOID_L2_LOSS } "
        "task_towers { tower_name: 'j' loss_type: JRC_LOSS num_class: 2 }");
    assert_int_equal(maker(m, "logits_t")->kind, OP_dense);
    assert_int_equal(maker(m, "probs_t")->kind, OP_softmax);
    assert_int_equal(maker(m, "logits_t_1")->first, 1);
    assert_int_equal(maker(m, "logits_t_1")->in[0], maker(m, "logits_t")->out);
    assert_int_equal(maker(m, "probs_t_1")->in[0], maker(m, "probs_t")->out);
    assert_int_equal(maker(m, "logits_t_y")->kind, OP_max);
    assert_int_equal(maker(m, "probs_t_y")->in[0], maker(m, "probs_t")->out);
    assert_int_equal(maker(m, "y_t")->kind, OP_argmax);
    assert_int_equal(maker(m, "y_t")->in[0], maker(m, "logits_t")->out);
    assert_int_equal(maker(m, "y_v")->act, ACT_sigmoid);
    assert_int_equal(maker(m, "probs_j")->kind, OP_slice);
    assert_int_equal(maker(m, "probs_j")->first, 1);
    assert_int_equal(maker(m, "pos_logits_j")->in[0], maker(m, "logits_j")->out);
}

static void wrong_heads_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *tag;
    } cases[] = {
        {"num_class: 0", "num-class"},
        {"loss_type: L2_LOSS num_class: 2", "num-class"},
        {"loss_type: SIGMOID_L2_LOSS num_class: 2", "num-class"},
        {"loss_type: PAIR_WISE_LOSS num_class: 2", "num-class"},
        {"loss_type: BINARY_CROSS_ENTROPY_LOSS num_class: 2", "num-class"},
        {"loss_type: JRC_LOSS", "num-class"},
        {"loss_type: JRC_LOSS num_class: 3", "num-class"},
        {"loss_type: ZILN_LOSS", "num-class"},
        {"num_class: 2 losses {} losses { loss_type: L2_LOSS }", "num-class"},
        {"loss_type: CROSS_ENTROPY_LOSS", "loss"},
        {"loss_type: SOFTMAX_CROSS_ENTROPY", "loss"},
        {"loss_type: CIRCLE_LOSS", "loss"},
        {"loss_type: MULTI_SIMILARITY_LOSS", "loss"},
        {"loss_type: SOFTMAX_CROSS_ENTROPY_WITH_NEGATIVE_MINING", "loss"},
        {"loss_type: KL_DIVERGENCE_LOSS", "loss"},
        {"losses {} losses { loss_type: KL_DIVERGENCE_LOSS }", "loss"},
        {"loss_type: ORDER_CALIBRATE_LOSS", "loss"},
        {"losses { loss_type: ORDER_CALIBRATE_LOSS }", "loss"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char mmoe[400];
        snprintf(mmoe, sizeof mmoe, TWO_EXPERTS "task_towers { tower_name: 't' %s }",
                 cases[i].fields);
        refused(mmoe, BAD_INPUT, cases[i].tag);
    }
}

/* ---- choosing outputs ---- */

static void outputs_are_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *option, *outputs;
    } cases[] = {
        {NULL, "probs_a, probs_g[3], probs_g_1, probs_g_y, y_g int"},
        {"scores", "probs_a, probs_g[3], probs_g_1, probs_g_y, y_g int"},
        {"all", "logits_a, probs_a, logits_g[3], probs_g[3], logits_g_1, probs_g_1, logits_g_y, "
                "probs_g_y, y_g int"},
        {"y_g", "y_g int"},
        {"y_g,logits_a,y_g", "logits_a, y_g int"},
    };
    const struct model *m = accepted(TWO_EXPERTS "task_towers { tower_name: 'a' } "
                                                 "task_towers { tower_name: 'g' num_class: 3 }");
    for (size_t i = 0; i < COUNT(cases); i++) {
        options.outputs = cases[i].option;
        assert_string_equal(outputs(select_outputs(&job, m)), cases[i].outputs);
    }
    assert_int_equal(m->n_outputs, 9);
    static const char *const wrong[] = {"", "probs_x", "probs_a,", "probs_a, y_g", "prob", "ALL"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        options.outputs = wrong[i];
        assert_null(select_outputs(&job, m));
        assert_int_equal(job.last_message->result, BAD_USAGE);
        assert_true(is_prefix(job.last_message->hint, "there are logits_a, probs_a, "));
    }
    assert_null(select_outputs(&job, NULL));
}

/* ---- what else ---- */

static void the_gate_tells_an_unknown_width(void **state)
{
    (void)state;
    static const char *const text =
        "feature_configs { input_names: 'k' hash_bucket_size: 9 embedding_dim: 2 }"
        "feature_configs { input_names: 'h' feature_type: SequenceFeature"
        " sub_feature_type: RawFeature }"
        "model_config { model_class: 'MMoE' feature_groups { group_name: 'all' feature_names: 'k'"
        " sequence_features { group_name: 's' seq_att_map { key: 'k' hist_seq: 'h' } } }"
        "mmoe { " TWO_EXPERTS TOWER "} }";
    assert_null(lower_text(text, NULL));
    assert_string_equal(job.last_message->tag, "width");
    clear();
    begin_checkpoint();
    PUT2("mmoe/gate_0/dnn/kernel", 4, 2, 0, 0, 0, 0, 0, 0, 0, 0);
    const struct model *m = lower_text(text, end_checkpoint());
    assert_non_null(m);
    assert_int_equal(m->values[0].width, 4);
    assert_string_equal(job.last_message->tag, "width");
}

static void nothing_gives_nothing(void **state)
{
    (void)state;
    assert_null(lower(&job, NULL, NULL, NULL));
    assert_null(job.messages);
}

/* ---- memory ---- */

static bool fails_at(const char *text, long n)
{
    clear();
    job.arena.fail_after = n;
    if (setjmp(no_memory))
        return true;
    select_outputs(&job, lower_text(text, NULL));
    return false;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static const char *const text = BEFORE "expert_dnn { hidden_units: [8, 8] activation: 'dice' }"
        " num_expert: 100 task_towers { tower_name: 'a' num_class: 3 }" AFTER;
    long n = 0;
    while (fails_at(text, n))
        n++;
    assert_in_range(n, 3, 100);
}

/* ---- files ---- */

static bool accepts(const struct source *s) { return lower_source(s, NULL) != NULL; }

static void wrong_configs_get_their_messages(void **state)
{
    (void)state;
    check_bad_configs(TEST_DIR "/bad/model_*.config", accepts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(goldens_are_lowered_and_bound_without_a_word),
        TEST(a_worked_example),
        TEST(ziln_of_a_single_identity),
        TEST(layers_have_a_bias_and_a_norm_by_default),
        TEST(towers_are_named_and_outputs_are_numbered),
        TEST(no_units_pass_the_input_on),
        TEST(a_single_expert_has_no_gate),
        TEST(names_of_values_are_unique),
        TEST(hostile_names_are_kept),
        TEST(large_models_are_refused),
        TEST(every_activation_is_spelled),
        TEST(other_activations_are_refused),
        TEST(dice_counts_its_batch_norms),
        TEST(dice_of_attention_comes_first),
        TEST(every_head_has_its_outputs),
        TEST(heads_compute_what_easyrec_does),
        TEST(wrong_heads_are_refused),
        TEST(outputs_are_chosen),
        TEST(the_gate_tells_an_unknown_width),
        TEST(nothing_gives_nothing),
        TEST(every_allocation_may_fail),
        TEST(wrong_configs_get_their_messages),
    };
    return cmocka_run_group_tests_name("lower", tests, make_dir, remove_dir) != 0;
}
