// SPDX-License-Identifier: Apache-2.0
/* lower_mmoe.c: EasyRec's MMoE -> model and the tensors it wants.
 *
 * Follows the reading order of a config: experts, gates, towers, heads. Only this file and features.c know EasyRec's
 * words; the facts are from easy_rec/python/model/mmoe.py, layers/{mmoe,dnn}.py, utils/activation.py,
 * model/multi_task_model.py of EasyRec 0.8.7.
 *
 * What EasyRec itself cannot train is BAD_INPUT; what it can and we cannot, UNSUPPORTED.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <protobuf-c/protobuf-c.h>

#include "easyrec.pb-c.h"
#include "mmoec.h"

struct lowering {
    struct job *job;
    const struct config *c;
    const struct features *f;
    struct model *m;
    int input;              /* deep_fea */
    int batch_norms;        /* unnamed ones so far: dice's scopes are numbered in order of creation */
};

static const char *print(struct lowering *lo, const char *format, ...) PRINTF_LIKE(2, 3);
static const char *print(struct lowering *lo, const char *format, ...)
{
    struct text t = {.arena = &lo->job->arena};
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    text_add(&t, line, strlen(line));
    return t.data;
}

static const char *shown(struct lowering *lo, const char *text) { return escaped(&lo->job->arena, text, strlen(text)); }

/* ---- activations ---------------------------------------------------------------------------------------------- */

enum special { SIMPLE, DICE, SOFTMAX, REFUSED };

/* Spellings, first those that EasyRec lower-cases before it compares, then Python paths, to the letter. */
static const struct spelling {
    const char *text;
    bool any_case;
    enum special special;
    enum act act;
    const char *why;        /* REFUSED: what EasyRec does */
} spellings[] = {
    {"relu", true, SIMPLE, ACT_relu, NULL},
    {"tf.nn.relu", true, SIMPLE, ACT_relu, NULL},
    {"gelu", true, SIMPLE, ACT_gelu, NULL},
    {"leaky_relu", true, SIMPLE, ACT_leaky_relu, NULL},
    {"tf.nn.leaky_relu", true, SIMPLE, ACT_leaky_relu, NULL},
    {"elu", true, SIMPLE, ACT_elu, NULL},
    {"tf.nn.elu", true, SIMPLE, ACT_elu, NULL},
    {"selu", true, SIMPLE, ACT_selu, NULL},
    {"tf.nn.selu", true, SIMPLE, ACT_selu, NULL},
    {"tanh", true, SIMPLE, ACT_tanh, NULL},
    {"tf.tanh", true, SIMPLE, ACT_tanh, NULL},
    {"tf.nn.tanh", true, SIMPLE, ACT_tanh, NULL},
    {"sigmoid", true, SIMPLE, ACT_sigmoid, NULL},
    {"tf.nn.sigmoid", true, SIMPLE, ACT_sigmoid, NULL},
    {"tf.sigmoid", true, SIMPLE, ACT_sigmoid, NULL},
    {"dice", true, DICE, 0, NULL},
    {"swish", true, REFUSED, 0, "tf.nn.swish takes no name, so EasyRec cannot build it in a DNN"},
    {"tf.nn.swish", true, REFUSED, 0, "tf.nn.swish takes no name, so EasyRec cannot build it in a DNN"},
    {"tf.nn.silu", true, REFUSED, 0, "tf.nn.silu takes no name, so EasyRec cannot build it in a DNN"},
    {"prelu", true, REFUSED, 0, "Keras refuses the arguments that EasyRec's DNN gives it"},
    {"linear", true, REFUSED, 0, "in a DNN it means no function at all; tf.identity is the linear one"},
    {"", true, REFUSED, 0, "in a DNN it means no function at all; tf.identity is the linear one"},
    {"tf.identity", false, SIMPLE, ACT_identity, NULL},
    {"tf.nn.relu6", false, SIMPLE, ACT_relu6, NULL},
    {"tf.nn.softplus", false, SIMPLE, ACT_softplus, NULL},
    {"tf.math.softplus", false, SIMPLE, ACT_softplus, NULL},
    {"tf.nn.softsign", false, SIMPLE, ACT_softsign, NULL},
    {"tf.math.softsign", false, SIMPLE, ACT_softsign, NULL},
    {"tf.math.tanh", false, SIMPLE, ACT_tanh, NULL},
    {"tf.math.sigmoid", false, SIMPLE, ACT_sigmoid, NULL},
    {"tf.nn.gelu", false, SIMPLE, ACT_gelu_erf, NULL},
    {"tf.nn.softmax", false, SOFTMAX, 0, NULL},
    {"easy_rec.python.utils.activation.gelu", false, SIMPLE, ACT_gelu, NULL},
    {"easy_rec.python.utils.activation.swish", false, SIMPLE, ACT_swish, NULL},
    {"tf.nn.crelu", false, REFUSED, 0, "it doubles the width of the layer"},
};

static const char *stripped(struct lowering *lo, const char *text)
{
    size_t n = strlen(text);
    for (; n && isspace((unsigned char)text[n - 1]); n--)
        ;
    for (; n && isspace((unsigned char)*text); n--)
        text++;
    return arena_copy(&lo->job->arena, text, n);
}

static void unknown_activation(struct lowering *lo, const char *text, struct pos pos)
{
    const char *names[COUNT(spellings) + 1] = {NULL};
    int n = 0;
    for (size_t i = 0; i < COUNT(spellings); i++)
        if (spellings[i].special != REFUSED)
            names[n++] = spellings[i].text;
    const char *near = near_miss(text, names);
    if (strstr(text, "lambda"))
        error(lo->job, UNSUPPORTED, pos, "unsupported", "use one of TensorFlow's functions by name",
              "the activation \"%s\" is Python", shown(lo, text));
    else
        error(lo->job, BAD_INPUT, pos, "activation", near ? print(lo, "did you mean \"%s\"?", near) : NULL,
              "no activation \"%s\": EasyRec cannot build a DNN with it", shown(lo, text));
}

/* NULL after an error. */
static const struct spelling *find_activation(struct lowering *lo, const char *text, struct pos pos)
{
    const char *bare = stripped(lo, text);
    for (size_t i = 0; i < COUNT(spellings); i++) {
        const struct spelling *s = &spellings[i];
        if (s->any_case ? strcasecmp(s->text, text) != 0 : strcmp(s->text, bare) != 0)
            continue;
        if (s->special != REFUSED)
            return s;
        error(lo->job, BAD_INPUT, pos, "activation", NULL, "the activation \"%s\" does not work: %s", shown(lo, text),
              s->why);
        return NULL;
    }
    unknown_activation(lo, text, pos);
    return NULL;
}

/* ---- DNN ---------------------------------------------------------------------------------------------------------- */

static int want(struct lowering *lo, const char *name, int rank, int rows, int columns, struct pos pos, const char *why)
{
    return add_want(lo->job, lo->m, (struct want){.name = name, .rank = rank, .dim = {rows, columns}, .pos = pos,
                                                  .why = why});
}

static int width_of(const struct lowering *lo, int value) { return lo->m->values[value].width; }

/* x W + b with the variables NAME/kernel and NAME/bias. */
static int add_dense(struct lowering *lo, const char *name, int x, int out, struct pos pos)
{
    int in = width_of(lo, x);
    const char *why = x == lo->input ? lo->f->why : NULL;
    struct block b = {.in = in, .out = out};
    b.kernel = want(lo, print(lo, "%s/kernel", name), 2, in, out, pos, why);
    b.bias = want(lo, print(lo, "%s/bias", name), 1, out, 0, pos, NULL);
    struct op *op = add_op(lo->job, lo->m, OP_dense, pos, name, out, &x, 1);
    op->blocks = NEW(lo->job, struct block);
    op->blocks[0] = b;
    op->n_blocks = 1;
    return op->out;
}

static int add_batch_norm(struct lowering *lo, const char *name, int x, struct pos pos)
{
    int n = width_of(lo, x);
    struct op *op = add_op(lo->job, lo->m, OP_batch_norm, pos, name, n, &x, 1);
    op->norm = (struct norm){.gamma = want(lo, print(lo, "%s/gamma", name), 1, n, 0, pos, NULL),
                             .beta = want(lo, print(lo, "%s/beta", name), 1, n, 0, pos, NULL),
                             .mean = want(lo, print(lo, "%s/moving_mean", name), 1, n, 0, pos, NULL),
                             .variance = want(lo, print(lo, "%s/moving_variance", name), 1, n, 0, pos, NULL),
                             .epsilon = 1e-3};
    return op->out;
}

/* Dice's batch norm has no name: TensorFlow numbers it among all unnamed ones. Its alpha is at the root. */
static int add_dice(struct lowering *lo, const char *layer, const char *name, int x, struct pos pos)
{
    int n = width_of(lo, x), k = lo->batch_norms++;
    const char *scope = k ? print(lo, "batch_normalization_%d", k) : "batch_normalization";
    struct op *op = add_op(lo->job, lo->m, OP_dice, pos, name, n, &x, 1);
    op->norm = (struct norm){.gamma = want(lo, print(lo, "alpha_%s/act", layer), 1, n, 0, pos, NULL),
                             .beta = -1,
                             .mean = want(lo, print(lo, "%s/moving_mean", scope), 1, n, 0, pos, NULL),
                             .variance = want(lo, print(lo, "%s/moving_variance", scope), 1, n, 0, pos, NULL),
                             .epsilon = 1e-9};
    return op->out;
}

static int add_activation(struct lowering *lo, const struct spelling *s, const char *layer, int x, struct pos pos)
{
    const char *name = print(lo, "%s/act", layer);
    if (s->special == DICE)
        return add_dice(lo, layer, name, x, pos);
    if (s->special == SOFTMAX)
        return add_op(lo->job, lo->m, OP_softmax, pos, name, width_of(lo, x), &x, 1)->out;
    if (s->act == ACT_identity)
        return x;
    struct op *op = add_op(lo->job, lo->m, OP_act, pos, name, width_of(lo, x), &x, 1);
    op->act = s->act;
    return op->out;
}

static bool is_identity(const Easyrec__DNN *dnn)
{
    return !dnn || dnn->n_hidden_units == 0 || (dnn->n_hidden_units == 1 && dnn->hidden_units[0] == 0);
}

static bool check_units(struct lowering *lo, const Easyrec__DNN *dnn)
{
    for (size_t l = 0; l < dnn->n_hidden_units; l++) {
        struct pos pos = field_pos(lo->c, dnn, 1, l);
        if (dnn->hidden_units[l] == 0) {
            error(lo->job, BAD_INPUT, pos, "hidden-units", "only [0] alone means no layers",
                  "a layer of 0 units among others");
            return false;
        }
        if (dnn->hidden_units[l] > 1 << 20) {
            error(lo->job, UNSUPPORTED, pos, "unsupported", NULL, "a layer of %u units; at most %d are supported",
                  dnn->hidden_units[l], 1 << 20);
            return false;
        }
    }
    if (dnn->n_dropout_ratio && dnn->n_dropout_ratio < dnn->n_hidden_units)
        warning(lo->job, field_pos(lo->c, dnn, 2, 0), "dropout", NULL,
                "%zu dropout ratios for %zu layers: EasyRec cannot train this", dnn->n_dropout_ratio, dnn->n_hidden_units);
    for (size_t l = 0; l < dnn->n_dropout_ratio; l++)
        if (dnn->dropout_ratio[l] >= 1)
            warning(lo->job, field_pos(lo->c, dnn, 2, l), "dropout", NULL, "a dropout ratio of %g: EasyRec cannot train this",
                    (double)dnn->dropout_ratio[l]);
    return true;
}

/* The layers of a DNN; -1 after an error. */
static int add_dnn(struct lowering *lo, const Easyrec__DNN *dnn, const char *name, int x)
{
    if (is_identity(dnn))
        return x;
    const struct spelling *s = find_activation(lo, dnn->activation, field_pos(lo->c, dnn, 3, 0));
    if (!check_units(lo, dnn) || !s)
        return -1;
    for (size_t l = 0; l < dnn->n_hidden_units; l++) {
        struct pos pos = field_pos(lo->c, dnn, 1, l);
        const char *layer = print(lo, "%s/dnn_%zu", name, l);
        x = add_dense(lo, layer, x, (int)dnn->hidden_units[l], pos);
        if (dnn->use_bn)
            x = add_batch_norm(lo, print(lo, "%s/bn", layer), x, pos);
        x = add_activation(lo, s, layer, x, pos);
    }
    return x;
}

/* ---- experts and gates ------------------------------------------------------------------------------------------- */

#define MOST_EXPERTS 900

static int count_experts(struct lowering *lo, const Easyrec__MMoE *mmoe)
{
    if (mmoe->expert_dnn && mmoe->n_experts)
        warning(lo->job, field_pos(lo->c, mmoe, 1, 0), "ignored", NULL, "experts is not read: expert_dnn is set and wins");
    if (mmoe->expert_dnn && mmoe->num_expert == 0)
        error(lo->job, BAD_INPUT, field_pos(lo->c, mmoe, 2, 0), "experts", "set num_expert",
              "expert_dnn needs num_expert above 0");
    else if (!mmoe->expert_dnn && mmoe->n_experts == 0)
        error(lo->job, BAD_INPUT, field_pos(lo->c, mmoe, 0, 0), "experts", "give expert_dnn and num_expert, or experts",
              "mmoe has no experts");
    uint64_t n = mmoe->expert_dnn ? mmoe->num_expert : mmoe->n_experts;
    if (n > MOST_EXPERTS) {
        error(lo->job, UNSUPPORTED, field_pos(lo->c, mmoe, 3, 0), "unsupported", NULL,
              "%llu experts; at most %d are supported", (unsigned long long)n, MOST_EXPERTS);
        return 0;
    }
    return (int)n;
}

static bool same_widths(struct lowering *lo, const Easyrec__MMoE *mmoe, const int *expert, int n)
{
    for (int e = 1; e < n; e++)
        if (width_of(lo, expert[e]) != width_of(lo, expert[0])) {
            error(lo->job, BAD_INPUT, field_pos(lo->c, mmoe, 1, (size_t)e), "experts",
                  "all experts must end in the same number of units; one without layers passes its input on",
                  "expert %d is %d wide, expert 0 is %d", e, width_of(lo, expert[e]), width_of(lo, expert[0]));
            return false;
        }
    return true;
}

/* The experts' outputs, or NULL after an error. */
static int *add_experts(struct lowering *lo, const Easyrec__MMoE *mmoe, int n)
{
    int *expert = NEW_ARRAY(lo->job, (size_t)n + 1, int);
    bool good = n > 0;
    for (int e = 0; e < n; e++) {
        const Easyrec__DNN *dnn = mmoe->expert_dnn ? mmoe->expert_dnn : mmoe->experts[e]->dnn;
        if (!dnn)
            warning(lo->job, field_pos(lo->c, mmoe, 1, (size_t)e), "expert", NULL,
                    "expert %d has no dnn: it passes its input on", e);
        expert[e] = add_dnn(lo, dnn, print(lo, "mmoe/expert_%d", e), lo->input);
        good &= expert[e] >= 0;
        if (!good)
            break;
    }
    return good && same_widths(lo, mmoe, expert, n) ? expert : NULL;
}

/* A single expert's gate is exactly 1. */
static int add_task_input(struct lowering *lo, const int *expert, int n, int t, struct pos pos)
{
    const char *name = print(lo, "mmoe/gate_%d", t);
    int logits = add_dense(lo, print(lo, "%s/dnn", name), lo->input, n, pos);
    if (n == 1)
        return expert[0];
    int *in = NEW_ARRAY(lo->job, (size_t)n + 1, int);
    in[0] = add_op(lo->job, lo->m, OP_softmax, pos, name, n, &logits, 1)->out;
    memcpy(in + 1, expert, (size_t)n * sizeof *in);
    return add_op(lo->job, lo->m, OP_mix, pos, print(lo, "mmoe/task_%d", t), width_of(lo, expert[0]), in, n + 1)->out;
}

/* ---- heads ---------------------------------------------------------------------------------------------------------- */

struct head {
    struct lowering *lo;
    const char *tower;
    struct pos pos;
    int z, classes;
    int probs[3];           /* sigmoid, softmax, softmax column 1; -1: not made yet */
};

/* EasyRec's dictionary: a later value under the same name takes the earlier one's place. */
static void set_output(struct head *h, const char *prefix, const char *suffix, int value, bool vector, enum output_type type)
{
    struct model *m = h->lo->m;
    const char *full = print(h->lo, "%s%s%s", prefix, h->tower, suffix);
    struct output out = {full, h->tower, value, m->values[value].width, vector, type};
    for (int i = 0; i < m->n_outputs; i++)
        if (strcmp(m->outputs[i].name, full) == 0) {
            m->outputs[i] = out;
            return;
        }
    struct output *more = NEW_ARRAY(h->lo->job, (size_t)m->n_outputs + 1, struct output);
    if (m->n_outputs)
        memcpy(more, m->outputs, (size_t)m->n_outputs * sizeof *more);
    more[m->n_outputs++] = out;
    m->outputs = more;
}

static int add_unary(struct head *h, enum op_kind kind, const char *name, int width, int x)
{
    return add_op(h->lo->job, h->lo->m, kind, h->pos, name, width, &x, 1)->out;
}

static int column(struct head *h, const char *what, int x, int first)
{
    struct op *op = add_op(h->lo->job, h->lo->m, OP_slice, h->pos, print(h->lo, "%s_%s", what, h->tower), 1, &x, 1);
    op->first = first;
    return op->out;
}

static int sigmoid_of(struct head *h, int x)
{
    if (h->probs[0] < 0) {
        struct op *op = add_op(h->lo->job, h->lo->m, OP_act, h->pos, print(h->lo, "sigmoid_%s", h->tower), 1, &x, 1);
        op->act = ACT_sigmoid;
        h->probs[0] = op->out;
    }
    return h->probs[0];
}

static int softmax_of(struct head *h)
{
    if (h->probs[1] < 0)
        h->probs[1] = add_unary(h, OP_softmax, print(h->lo, "softmax_%s", h->tower), h->classes, h->z);
    return h->probs[1];
}

static void binary_head(struct head *h)
{
    set_output(h, "logits_", "", h->z, false, FLOAT_OUTPUT);
    set_output(h, "probs_", "", sigmoid_of(h, h->z), false, FLOAT_OUTPUT);
}

static void classes_head(struct head *h)
{
    int probs = softmax_of(h);
    set_output(h, "logits_", "", h->z, true, FLOAT_OUTPUT);
    set_output(h, "probs_", "", probs, true, FLOAT_OUTPUT);
    set_output(h, "logits_", "_1", column(h, "logit_1", h->z, 1), false, FLOAT_OUTPUT);
    set_output(h, "probs_", "_1", column(h, "prob_1", probs, 1), false, FLOAT_OUTPUT);
    set_output(h, "logits_", "_y", add_unary(h, OP_max, print(h->lo, "max_logit_%s", h->tower), 1, h->z), false, FLOAT_OUTPUT);
    set_output(h, "probs_", "_y", add_unary(h, OP_max, print(h->lo, "max_prob_%s", h->tower), 1, probs), false, FLOAT_OUTPUT);
    set_output(h, "y_", "", add_unary(h, OP_argmax, print(h->lo, "class_%s", h->tower), 1, h->z), false, CLASS_OUTPUT);
}

static void jrc_head(struct head *h)
{
    set_output(h, "logits_", "", h->z, true, FLOAT_OUTPUT);
    set_output(h, "pos_logits_", "", column(h, "pos_logit", h->z, 1), false, FLOAT_OUTPUT);
    set_output(h, "probs_", "", column(h, "pos_prob", softmax_of(h), 1), false, FLOAT_OUTPUT);
}

static void ziln_head(struct head *h)
{
    set_output(h, "logits_", "", h->z, true, FLOAT_OUTPUT);
    set_output(h, "probs_", "", sigmoid_of(h, column(h, "logit_0", h->z, 0)), false, FLOAT_OUTPUT);
    set_output(h, "y_", "", add_unary(h, OP_ziln, print(h->lo, "ziln_%s", h->tower), 1, h->z), false, FLOAT_OUTPUT);
}

static void value_head(struct head *h) { set_output(h, "y_", "", h->z, false, FLOAT_OUTPUT); }

static void sigmoid_value_head(struct head *h) { set_output(h, "y_", "", sigmoid_of(h, h->z), false, FLOAT_OUTPUT); }

static void no_head(struct head *h) { (void)h; }

/* By loss type; `classes` is what num_class must be, 0 for any. No function: not a ranking tower's loss. */
static const struct {
    int classes;
    void (*add)(struct head *h);
} heads[] = {
    [EASYREC__LOSS_TYPE__CLASSIFICATION] = {0, binary_head},
    [EASYREC__LOSS_TYPE__L2_LOSS] = {1, value_head},
    [EASYREC__LOSS_TYPE__SIGMOID_L2_LOSS] = {1, sigmoid_value_head},
    [EASYREC__LOSS_TYPE__PAIR_WISE_LOSS] = {1, binary_head},
    [EASYREC__LOSS_TYPE__F1_REWEIGHTED_LOSS] = {1, binary_head},
    [EASYREC__LOSS_TYPE__BINARY_FOCAL_LOSS] = {1, binary_head},
    [EASYREC__LOSS_TYPE__PAIRWISE_FOCAL_LOSS] = {1, binary_head},
    [EASYREC__LOSS_TYPE__PAIRWISE_LOGISTIC_LOSS] = {1, binary_head},
    [EASYREC__LOSS_TYPE__PAIRWISE_HINGE_LOSS] = {1, binary_head},
    [EASYREC__LOSS_TYPE__LISTWISE_RANK_LOSS] = {1, binary_head},
    [EASYREC__LOSS_TYPE__LISTWISE_DISTILL_LOSS] = {1, binary_head},
    [EASYREC__LOSS_TYPE__BINARY_CROSS_ENTROPY_LOSS] = {1, binary_head},
    [EASYREC__LOSS_TYPE__JRC_LOSS] = {2, jrc_head},
    [EASYREC__LOSS_TYPE__ZILN_LOSS] = {3, ziln_head},
    [EASYREC__LOSS_TYPE__ORDER_CALIBRATE_LOSS] = {0, no_head},
};

static const char *loss_name(int loss)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&easyrec__loss_type__descriptor, loss);
    return v ? v->name : "?";
}

static void add_head(struct head *h, int loss, struct pos pos, bool only)
{
    h->pos = pos;
    bool known = loss >= 0 && loss < (int)COUNT(heads) && heads[loss].add;
    if (!known || (only && heads[loss].add == no_head))
        error(h->lo->job, BAD_INPUT, pos, "loss", NULL, "%s has no prediction head in a ranking tower", loss_name(loss));
    else if (heads[loss].classes && heads[loss].classes != h->classes)
        error(h->lo->job, BAD_INPUT, pos, "num-class", NULL, "%s needs num_class %d, tower \"%s\" has %d", loss_name(loss),
              heads[loss].classes, shown(h->lo, h->tower), h->classes);
    else if (loss == EASYREC__LOSS_TYPE__CLASSIFICATION && h->classes > 1)
        classes_head(h);
    else
        heads[loss].add(h);
}

static void add_heads(struct lowering *lo, const Easyrec__TaskTower *tower, int z)
{
    struct head h = {.lo = lo, .tower = tower->tower_name, .z = z, .classes = (int)tower->num_class, .probs = {-1, -1, -1}};
    for (size_t i = 0; i < tower->n_losses; i++)
        add_head(&h, (int)tower->losses[i]->loss_type, field_pos(lo->c, tower->losses[i], 1, 0), false);
    if (!tower->n_losses)
        add_head(&h, (int)tower->loss_type, field_pos(lo->c, tower, 4, 0), true);
}

/* ---- towers ---------------------------------------------------------------------------------------------------------- */

static bool check_tower(struct lowering *lo, const Easyrec__MMoE *mmoe, size_t t)
{
    const Easyrec__TaskTower *tower = mmoe->task_towers[t];
    struct pos pos = field_pos(lo->c, tower, 1, 0);
    int errors = lo->job->errors;
    if (!tower->tower_name || !*tower->tower_name) {
        error(lo->job, BAD_INPUT, pos, "tower-name", NULL, "task tower %zu has no tower_name", t);
        return false;
    }
    for (size_t i = 0; i < t; i++)
        if (mmoe->task_towers[i]->tower_name && strcmp(mmoe->task_towers[i]->tower_name, tower->tower_name) == 0)
            error(lo->job, BAD_INPUT, pos, "tower-name", NULL, "two task towers are named \"%s\"",
                  shown(lo, tower->tower_name));
    for (const char *c = tower->tower_name; *c; c++)
        if (!isalnum((unsigned char)*c) && (c == tower->tower_name ? *c != '.' : !strchr("_.\\/>-", *c))) {
            warning(lo->job, pos, "tower-name", NULL, "\"%s\" is not a TensorFlow scope: EasyRec cannot have trained it",
                    shown(lo, tower->tower_name));
            break;
        }
    if (tower->num_class == 0)
        error(lo->job, BAD_INPUT, field_pos(lo->c, tower, 5, 0), "num-class", NULL, "num_class is 0");
    else if (tower->num_class > 1 << 16)
        error(lo->job, UNSUPPORTED, field_pos(lo->c, tower, 5, 0), "unsupported", NULL, "num_class %u; at most %d is supported",
              tower->num_class, 1 << 16);
    return lo->job->errors == errors;
}

static void add_tower(struct lowering *lo, const Easyrec__TaskTower *tower, int t, int x)
{
    struct pos pos = field_pos(lo->c, tower, 1, 0);
    int v = add_dnn(lo, tower->dnn, tower->tower_name, x);
    if (v >= 0)
        add_heads(lo, tower, add_dense(lo, print(lo, "dnn_output_%d", t), v, (int)tower->num_class, pos));
}

static void add_mmoe(struct lowering *lo, const Easyrec__MMoE *mmoe)
{
    int n = count_experts(lo, mmoe);
    if (mmoe->n_task_towers == 0)
        error(lo->job, BAD_INPUT, field_pos(lo->c, mmoe, 0, 0), "towers", NULL, "mmoe has no task_towers");
    bool good = mmoe->n_task_towers > 0;
    for (size_t t = 0; t < mmoe->n_task_towers; t++)
        good &= check_tower(lo, mmoe, t);
    int *expert = n > 0 ? add_experts(lo, mmoe, n) : NULL;
    if (!expert || !good)
        return;
    int *task = NEW_ARRAY(lo->job, mmoe->n_task_towers, int);
    for (size_t t = 0; t < mmoe->n_task_towers; t++)
        task[t] = add_task_input(lo, expert, n, (int)t, field_pos(lo->c, mmoe->task_towers[t], 1, 0));
    for (size_t t = 0; t < mmoe->n_task_towers; t++)
        add_tower(lo, mmoe->task_towers[t], (int)t, task[t]);
}

/* ---- the model ------------------------------------------------------------------------------------------------------ */

static const Easyrec__MMoE *find_mmoe(struct job *job, const struct config *c)
{
    const Easyrec__EasyRecConfig *top = (const Easyrec__EasyRecConfig *)c->message;
    const Easyrec__EasyRecModel *model = top->model_config;
    if (!model) {
        error(job, BAD_INPUT, field_pos(c, top, 0, 0), "model", NULL, "there is no model_config");
        return NULL;
    }
    const char *class = model->model_class ? model->model_class : "";
    struct pos pos = field_pos(c, model, 1, 0);
    bool has_mmoe = model->model_case == EASYREC__EASY_REC_MODEL__MODEL_MMOE;
    if (strcmp(class, "MMoE") != 0) {
        error(job, has_mmoe ? BAD_INPUT : UNSUPPORTED, pos, has_mmoe ? "model" : "unsupported",
              "mmoec compiles models of model_class \"MMoE\"", "model_class is \"%s\"", escaped(&job->arena, class, strlen(class)));
        return NULL;
    }
    if (!has_mmoe) {
        error(job, BAD_INPUT, pos, "model", NULL, "model_class is \"MMoE\", but there is no mmoe message");
        return NULL;
    }
    if (model->ev_params)
        error(job, UNSUPPORTED, field_pos(c, model, 11, 0), "unsupported", NULL,
              "ev_params: embeddings are hash tables outside of the checkpoint");
    if (model->variational_dropout)
        error(job, UNSUPPORTED, field_pos(c, model, 14, 0), "unsupported", NULL,
              "variational_dropout scales the experts' input and is not supported yet");
    for (size_t i = 0; i < model->n_seq_att_groups; i++)
        warning(job, field_pos(c, model, 7, i), "ignored", NULL, "seq_att_groups is not read by MMoE");
    return model->mmoe;
}

/* Columns of the experts' input: what the features say, or else what the gate's kernel says. */
static int input_width(struct job *job, const struct features *f, const struct tensors *tensors)
{
    const struct tensor *gate = tensors ? find_tensor(tensors, "mmoe/gate_0/dnn/kernel") : NULL;
    if (f->width > 0)
        return f->width;
    if (!gate || gate->rank != 2 || gate->dim[0] == 0 || gate->dim[0] > 1 << 24) {
        error(job, BAD_INPUT, (struct pos){0}, "width", "a checkpoint tells it: its mmoe/gate_0/dnn/kernel",
              "the width of the experts' input is not known");
        return 0;
    }
    warning(job, (struct pos){0}, "width", NULL, "the experts' input is taken to be %d columns, as mmoe/gate_0/dnn/kernel has",
            (int)gate->dim[0]);
    return (int)gate->dim[0];
}

struct model *lower(struct job *job, const struct config *c, const struct features *f, const struct tensors *tensors)
{
    if (!c || !f)
        return NULL;
    int errors = job->errors;
    const Easyrec__MMoE *mmoe = find_mmoe(job, c);
    int width = mmoe ? input_width(job, f, tensors) : 0;
    if (!width)
        return NULL;
    struct lowering lo = {.job = job, .c = c, .f = f, .m = new_model(job), .batch_norms = f->batch_norms};
    lo.input = add_value(job, lo.m, "deep_fea", width, -1);
    lo.m->inputs = NEW(job, int);
    lo.m->inputs[lo.m->n_inputs++] = lo.input;
    add_mmoe(&lo, mmoe);
    return job->errors == errors ? lo.m : NULL;
}

/* ---- choosing outputs -------------------------------------------------------------------------------------------- */

static bool is_score(const char *name) { return strncmp(name, "probs_", 6) == 0 || strncmp(name, "y_", 2) == 0; }

static bool in_list(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strcspn(p, ",") == n && strncmp(p, name, n) == 0)
            return true;
    return false;
}

/* Every name in the list must be one of the model's. */
static bool check_list(struct job *job, const struct model *m, const char *list)
{
    struct text all = {.arena = &job->arena};
    for (int i = 0; i < m->n_outputs; i++)
        text_print(&all, "%s%s", i ? ", " : "there are ", escaped(&job->arena, m->outputs[i].name, strlen(m->outputs[i].name)));
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        const char *name = arena_copy(&job->arena, p, strcspn(p, ","));
        bool found = false;
        for (int i = 0; i < m->n_outputs; i++)
            found |= strcmp(m->outputs[i].name, name) == 0;
        if (!found) {
            error(job, BAD_USAGE, (struct pos){0}, "outputs", all.data, "no output \"%s\"",
                  escaped(&job->arena, name, strlen(name)));
            return false;
        }
    }
    return true;
}

struct model *select_outputs(struct job *job, const struct model *from)
{
    if (!from)
        return NULL;
    const char *list = job->options->outputs ? job->options->outputs : "scores";
    bool all = strcmp(list, "all") == 0, scores = strcmp(list, "scores") == 0;
    if (!all && !scores && !check_list(job, from, list))
        return NULL;
    struct model *m = copy_model(job, from);
    m->n_outputs = 0;
    for (int i = 0; i < from->n_outputs; i++)
        if (all || (scores ? is_score(from->outputs[i].name) : in_list(list, from->outputs[i].name)))
            m->outputs[m->n_outputs++] = from->outputs[i];
    if (m->n_outputs == 0) {
        error(job, BAD_USAGE, (struct pos){0}, "outputs", "--outputs all", "no output is left");
        return NULL;
    }
    return m;
}
