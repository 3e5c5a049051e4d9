// SPDX-License-Identifier: Apache-2.0
/* lower_mmoe.c: EasyRec's MMoE -> model and the tensors it wants.
 *
 * Follows a config: experts, gates, towers, heads. First all of it is checked, so that the user
 * sees every mistake at once; then it is built, which fails only where widths or names do not fit.
 * Only this file and features.c know EasyRec's words; the facts are those of EasyRec 0.8.7:
 * model/mmoe.py, layers/{mmoe,dnn}.py, utils/{activation,load_class}.py,
 * model/{multi_task_model,rank_model}.py.
 *
 * What EasyRec itself cannot build is BAD_INPUT; what it can and we cannot, UNSUPPORTED.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <protobuf-c/protobuf-c.h>

#include "easyrec.pb-c.h"
#include "mmoec.h"

#define MOST_UNITS (1 << 20)
#define MOST_CLASSES (1 << 16)
#define MOST_EXPERTS 900                /* operands of a mix */
#define MOST_LAYERS 2048                /* in all: names are searched one by one */

struct lowering {
    struct job *job;
    struct arena *arena;
    const struct config *c;
    const struct features *f;
    struct model *m;
    int input;              /* deep_fea */
    int batch_norms;        /* unnamed ones so far: dice numbers its scopes by them */
    uint64_t layers;        /* counted while checking */
    bool collided;          /* two layers have the same variable: said once */
};

static const char *shown(struct lowering *lo, const char *text)
{
    return escaped(lo->arena, text, strlen(text));
}

/* ---- activations ----------------------------------------------------------------------------- */

enum special { SIMPLE, DICE, SOFTMAX, REFUSED };

#define NO_FUNCTION "it means no function at all; tf.identity is the linear one"
#define NO_NAME "TensorFlow's function takes no name, which a DNN gives it"
#define NOT_FOUND "it is not found; write tf.nn. before a name of TensorFlow's"

/* Aliases in any letter case, compared before spaces are stripped; paths to the letter, after. */
static const struct spelling {
    const char *text;
    enum special special;
    enum act act;
    const char *why;        /* REFUSED: what EasyRec does */
} aliases[] = {
    {"relu", SIMPLE, ACT_relu, NULL},
    {"gelu", SIMPLE, ACT_gelu, NULL},
    {"leaky_relu", SIMPLE, ACT_leaky_relu, NULL},
    {"elu", SIMPLE, ACT_elu, NULL},
    {"selu", SIMPLE, ACT_selu, NULL},
    {"tanh", SIMPLE, ACT_tanh, NULL},
    {"sigmoid", SIMPLE, ACT_sigmoid, NULL},
    {"dice", DICE, 0, NULL},
    {"swish", REFUSED, 0, NO_NAME},
    {"prelu", REFUSED, 0, "Keras refuses the arguments that a DNN gives it"},
    {"linear", REFUSED, 0, NO_FUNCTION},
    {"", REFUSED, 0, NO_FUNCTION},
    {NULL, SIMPLE, 0, NULL},
}, paths[] = {
    {"tf.nn.relu", SIMPLE, ACT_relu, NULL},
    {"tf.nn.leaky_relu", SIMPLE, ACT_leaky_relu, NULL},
    {"tf.nn.elu", SIMPLE, ACT_elu, NULL},
    {"tf.nn.selu", SIMPLE, ACT_selu, NULL},
    {"tf.tanh", SIMPLE, ACT_tanh, NULL},
    {"tf.nn.tanh", SIMPLE, ACT_tanh, NULL},
    {"tf.math.tanh", SIMPLE, ACT_tanh, NULL},
    {"tf.sigmoid", SIMPLE, ACT_sigmoid, NULL},
    {"tf.nn.sigmoid", SIMPLE, ACT_sigmoid, NULL},
    {"tf.math.sigmoid", SIMPLE, ACT_sigmoid, NULL},
    {"tf.identity", SIMPLE, ACT_identity, NULL},
    {"tf.nn.relu6", SIMPLE, ACT_relu6, NULL},
    {"tf.nn.softplus", SIMPLE, ACT_softplus, NULL},
    {"tf.math.softplus", SIMPLE, ACT_softplus, NULL},
    {"tf.nn.softsign", SIMPLE, ACT_softsign, NULL},
    {"tf.math.softsign", SIMPLE, ACT_softsign, NULL},
    {"tf.nn.gelu", SIMPLE, ACT_gelu_erf, NULL},
    {"tf.nn.softmax", SOFTMAX, 0, NULL},
    {"easy_rec.python.utils.activation.gelu", SIMPLE, ACT_gelu, NULL},
    {"easy_rec.python.utils.activation.swish", SIMPLE, ACT_swish, NULL},
    {"tf.nn.swish", REFUSED, 0, NO_NAME},
    {"tf.nn.silu", REFUSED, 0, NO_NAME},
    {"tf.nn.crelu", REFUSED, 0, "it doubles the width of the layer"},
    {"tf.relu", REFUSED, 0, NOT_FOUND},
    {"nn.relu", REFUSED, 0, NOT_FOUND},
    {NULL, SIMPLE, 0, NULL},
};

/* Without spaces around it, and with the short name of TensorFlow. */
static const char *path_of(struct lowering *lo, const char *text)
{
    static const char long_name[] = "tensorflow.";
    size_t n = strlen(text);
    for (; n && isspace((unsigned char)text[n - 1]); n--)
        ;
    for (; n && isspace((unsigned char)*text); n--)
        text++;
    if (strncmp(text, long_name, sizeof long_name - 1) == 0)
        return arena_print(lo->arena, "tf.%.*s", (int)(n - (sizeof long_name - 1)),
                           text + sizeof long_name - 1);
    return arena_copy(lo->arena, text, n);
}

/* NULL: EasyRec takes it for a path of Python that we do not know. */
static const struct spelling *find_spelling(struct lowering *lo, const char *text)
{
    const char *path = path_of(lo, text);
    for (const struct spelling *s = aliases; s->text; s++)
        if (strcasecmp(s->text, text) == 0)
            return s;
    for (const struct spelling *s = paths; s->text; s++)
        if (strcmp(s->text, path) == 0)
            return s;
    return NULL;
}

static const char *near_spelling(struct lowering *lo, const char *text)
{
    const char *names[COUNT(aliases) + COUNT(paths)] = {NULL};
    int n = 0;
    for (const struct spelling *s = aliases; s->text; s++)
        if (s->special != REFUSED)
            names[n++] = s->text;
    for (const struct spelling *s = paths; s->text; s++)
        if (s->special != REFUSED)
            names[n++] = s->text;
    return near_miss(path_of(lo, text), names);
}

static void refuse_unknown(struct lowering *lo, const char *text, struct pos pos)
{
    const char *near = near_spelling(lo, text);
    if (strstr(text, "lambda"))
        blame(lo->job, UNSUPPORTED, pos, "unsupported", "use a function of TensorFlow by its name",
              "the activation \"%s\" is Python", shown(lo, text));
    else if (near)
        blame(lo->job, BAD_INPUT, pos, "activation",
              arena_print(lo->arena, "did you mean \"%s\"?", near),
              "EasyRec finds no activation \"%s\"", shown(lo, text));
    else if (strchr(path_of(lo, text), '.'))
        blame(lo->job, UNSUPPORTED, pos, "unsupported", NULL,
              "the activation \"%s\" is a function that mmoec does not know", shown(lo, text));
    else
        blame(lo->job, BAD_INPUT, pos, "activation",
              "EasyRec knows few words; others need their path, as in tf.nn.softplus",
              "EasyRec finds no activation \"%s\"", shown(lo, text));
}

static void check_activation(struct lowering *lo, const char *text, struct pos pos)
{
    const struct spelling *s = find_spelling(lo, text);
    if (!s)
        refuse_unknown(lo, text, pos);
    else if (s->special == REFUSED)
        blame(lo->job, BAD_INPUT, pos, "activation", NULL,
              "EasyRec cannot build a DNN with the activation \"%s\": %s", shown(lo, text), s->why);
}

/* ---- DNN: checking --------------------------------------------------------------------------- */

static bool is_identity(const Easyrec__DNN *dnn)
{
    return !dnn || dnn->n_hidden_units == 0 ||
           (dnn->n_hidden_units == 1 && dnn->hidden_units[0] == 0);
}

static void check_units(struct lowering *lo, const Easyrec__DNN *dnn)
{
    for (size_t l = 0; l < dnn->n_hidden_units; l++) {
        struct pos pos = field_pos(lo->c, dnn, 1, l);
        if (dnn->hidden_units[l] == 0)
            blame(lo->job, BAD_INPUT, pos, "hidden-units", "only [0] alone means no layers",
                  "a layer of 0 units among others");
        if (dnn->hidden_units[l] > MOST_UNITS)
            blame(lo->job, UNSUPPORTED, pos, "unsupported", NULL,
                  "a layer of %u units; at most %d are supported", dnn->hidden_units[l],
                  MOST_UNITS);
    }
}

/* Dropout matters in training alone; but what cannot be trained is worth a word. */
static void check_dropout(struct lowering *lo, const Easyrec__DNN *dnn)
{
    if (dnn->n_dropout_ratio && dnn->n_dropout_ratio < dnn->n_hidden_units)
        warning(lo->job, field_pos(lo->c, dnn, 2, 0), "dropout", NULL,
                "%zu dropout ratios for %zu layers: EasyRec cannot train this",
                dnn->n_dropout_ratio, dnn->n_hidden_units);
    for (size_t l = 0; l < dnn->n_dropout_ratio; l++)
        if (!(dnn->dropout_ratio[l] < 1))
            warning(lo->job, field_pos(lo->c, dnn, 2, l), "dropout", NULL,
                    "a dropout ratio of %g: EasyRec cannot train this",
                    (double)dnn->dropout_ratio[l]);
}

/* `times`: how many there will be of it. */
static void check_dnn(struct lowering *lo, const Easyrec__DNN *dnn, uint64_t times)
{
    if (is_identity(dnn))
        return;
    check_units(lo, dnn);
    check_dropout(lo, dnn);
    check_activation(lo, dnn->activation ? dnn->activation : "", field_pos(lo->c, dnn, 3, 0));
    lo->layers += times * dnn->n_hidden_units;
}

/* ---- DNN: building --------------------------------------------------------------------------- */

static int width_of(const struct lowering *lo, int value) { return lo->m->values[value].width; }

/* Towers are named by the user: a value's name may be taken. */
static const char *free_name(struct lowering *lo, const char *name)
{
    const char *full = name;
    int copy = 1;
    for (int i = 0; i < lo->m->n_values; i++)
        if (strcmp(lo->m->values[i].name, full) == 0) {
            full = arena_print(lo->arena, "%s#%d", name, ++copy);
            i = -1;
        }
    return full;
}

static struct op *add(struct lowering *lo, enum op_kind kind, struct pos pos, const char *name,
                      int width, const int *in, int n_in)
{
    return add_op(lo->job, lo->m, kind, pos, free_name(lo, name), width, in, n_in);
}

/* Two layers cannot have the same variable: TensorFlow refuses to make it again. */
static int want(struct lowering *lo, struct want want)
{
    int before = lo->m->n_wants;
    int i = add_want(lo->job, lo->m, want);
    if (lo->m->n_wants == before && !lo->collided)
        blame(lo->job, BAD_INPUT, want.pos, "tower-name", "give the tower another name",
              "two layers have the variable %s", shown(lo, want.name));
    lo->collided |= lo->m->n_wants == before;
    return i;
}

/* A vector of the layer, one number a unit. */
static int want_vector(struct lowering *lo, const char *scope, const char *what, int n,
                       struct pos pos)
{
    const char *why = arena_print(lo->arena, "the layer has %d unit%s", n, n == 1 ? "" : "s");
    return want(lo, (struct want){.name = arena_print(lo->arena, "%s/%s", scope, what), .rank = 1,
                                  .dim = {n, 0}, .pos = pos, .why = why});
}

/* The variables NAME/kernel and NAME/bias. */
static struct block want_dense(struct lowering *lo, const char *name, int x, int out,
                               struct pos pos)
{
    int in = width_of(lo, x);
    const char *why = x == lo->input ? lo->f->why
                                     : arena_print(lo->arena, "its input %s has %d columns",
                                                   shown(lo, lo->m->values[x].name), in);
    struct block b = {.in = in, .out = out};
    b.kernel = want(lo, (struct want){.name = arena_print(lo->arena, "%s/kernel", name), .rank = 2,
                                      .dim = {in, out}, .pos = pos, .why = why,
                                      .order = x == lo->input ? lo->f->easyrec_column : NULL});
    b.bias = want_vector(lo, name, "bias", out, pos);
    return b;
}

/* x W + b with the variables of NAME. */
static int add_dense(struct lowering *lo, const char *name, const char *value, int x, int out,
                     struct pos pos)
{
    struct block b = want_dense(lo, name, x, out, pos);
    struct op *op = add(lo, OP_dense, pos, value, out, &x, 1);
    op->blocks = NEW(lo->job, struct block);
    op->blocks[0] = b;
    op->n_blocks = 1;
    return op->out;
}

static int add_batch_norm(struct lowering *lo, const char *name, int x, struct pos pos)
{
    int n = width_of(lo, x);
    struct norm norm = {.gamma = want_vector(lo, name, "gamma", n, pos),
                        .beta = want_vector(lo, name, "beta", n, pos),
                        .mean = want_vector(lo, name, "moving_mean", n, pos),
                        .variance = want_vector(lo, name, "moving_variance", n, pos),
                        .epsilon = 1e-3};
    struct op *op = add(lo, OP_batch_norm, pos, name, n, &x, 1);
    op->norm = norm;
    return op->out;
}

/* Dice's batch norm has no name: TensorFlow numbers it among all unnamed ones. Its alpha is at the
   root, its name glued to the layer's. */
static int add_dice(struct lowering *lo, const char *layer, const char *name, int x, struct pos pos)
{
    int n = width_of(lo, x), k = lo->batch_norms++;
    const char *scope = k ? arena_print(lo->arena, "batch_normalization_%d", k)
                          : "batch_normalization";
    struct norm norm = {
        .gamma = want_vector(lo, arena_print(lo->arena, "alpha_%s", layer), "act", n, pos),
        .beta = -1,
        .mean = want_vector(lo, scope, "moving_mean", n, pos),
        .variance = want_vector(lo, scope, "moving_variance", n, pos),
        .epsilon = 1e-9};
    struct op *op = add(lo, OP_dice, pos, name, n, &x, 1);
    op->norm = norm;
    return op->out;
}

static int add_activation(struct lowering *lo, const struct spelling *s, const char *layer, int x,
                          struct pos pos)
{
    const char *name = arena_print(lo->arena, "%s/act", layer);
    if (s->special == DICE)
        return add_dice(lo, layer, name, x, pos);
    if (s->special == SOFTMAX)
        return add(lo, OP_softmax, pos, name, width_of(lo, x), &x, 1)->out;
    if (s->act == ACT_identity)
        return x;
    struct op *op = add(lo, OP_act, pos, name, width_of(lo, x), &x, 1);
    op->act = s->act;
    return op->out;
}

/* A layer of a DNN that was checked; a bare one has neither batch norm nor activation. */
static int add_layer(struct lowering *lo, const Easyrec__DNN *dnn, const char *name, size_t l, int x, bool bare)
{
    const struct spelling *s = find_spelling(lo, dnn->activation ? dnn->activation : "");
    struct pos pos = field_pos(lo->c, dnn, 1, l);
    const char *layer = arena_print(lo->arena, "%s/dnn_%zu", name, l);
    x = add_dense(lo, layer, layer, x, (int)dnn->hidden_units[l], pos);
    if (dnn->use_bn && !bare)
        x = add_batch_norm(lo, arena_print(lo->arena, "%s/bn", layer), x, pos);
    return bare ? x : add_activation(lo, s, layer, x, pos);
}

static int add_dnn(struct lowering *lo, const Easyrec__DNN *dnn, const char *name, int x)
{
    for (size_t l = 0; !is_identity(dnn) && l < dnn->n_hidden_units; l++)
        x = add_layer(lo, dnn, name, l, x, false);
    return x;
}

/* ---- experts and gates ----------------------------------------------------------------------- */

/* expert_dnn wins over the older list. */
static size_t count_experts(const Easyrec__MMoE *mmoe)
{
    return mmoe->expert_dnn ? mmoe->num_expert : mmoe->n_experts;
}

static const Easyrec__DNN *expert_dnn(const Easyrec__MMoE *mmoe, size_t e)
{
    return mmoe->expert_dnn ? mmoe->expert_dnn : mmoe->experts[e]->dnn;
}

static void check_experts(struct lowering *lo, const Easyrec__MMoE *mmoe)
{
    size_t n = count_experts(mmoe);
    if (mmoe->expert_dnn && mmoe->n_experts)
        warning(lo->job, field_pos(lo->c, mmoe, 1, 0), "ignored", NULL,
                "experts is not read: expert_dnn is set and wins");
    if (mmoe->expert_dnn && !n)
        blame(lo->job, BAD_INPUT, field_pos(lo->c, mmoe, field_set(mmoe, 3) ? 3 : 2, 0), "experts",
              "set num_expert", "expert_dnn needs num_expert above 0");
    else if (!n)
        blame(lo->job, BAD_INPUT, field_pos(lo->c, mmoe, 0, 0), "experts",
              "give expert_dnn and num_expert, or experts", "mmoe has no experts");
    else if (n > MOST_EXPERTS)
        blame(lo->job, UNSUPPORTED, field_pos(lo->c, mmoe, mmoe->expert_dnn ? 3 : 1, 0),
              "unsupported", NULL, "%zu experts; at most %d are supported", n, MOST_EXPERTS);
    if (mmoe->expert_dnn)
        check_dnn(lo, mmoe->expert_dnn, n);
    for (size_t e = 0; !mmoe->expert_dnn && e < n; e++) {
        if (!mmoe->experts[e]->dnn)
            warning(lo->job, field_pos(lo->c, mmoe, 1, e), "expert", NULL,
                    "expert %zu has no dnn: it passes its input on", e);
        check_dnn(lo, mmoe->experts[e]->dnn, 1);
    }
}

static const char *expert_name(struct lowering *lo, const Easyrec__MMoE *mmoe, size_t e)
{
    const char *name = mmoe->experts[e]->expert_name;
    return name && *name ? arena_print(lo->arena, "expert %zu (\"%s\")", e, shown(lo, name))
                         : arena_print(lo->arena, "expert %zu", e);
}

/* The experts' outputs, or NULL after an error. */
static int *add_experts(struct lowering *lo, const Easyrec__MMoE *mmoe)
{
    size_t n = count_experts(mmoe);
    int *expert = NEW_ARRAY(lo->job, n, int);
    for (size_t e = 0; e < n; e++)
        expert[e] = add_dnn(lo, expert_dnn(mmoe, e), arena_print(lo->arena, "mmoe/expert_%zu", e),
                            lo->input);
    for (size_t e = 1; e < n; e++)
        if (width_of(lo, expert[e]) != width_of(lo, expert[0])) {
            blame(lo->job, BAD_INPUT, field_pos(lo->c, mmoe, 1, e), "experts",
                  "all experts must be equally wide; one without layers is as wide as its input",
                  "%s is %d wide, %s is %d", expert_name(lo, mmoe, e), width_of(lo, expert[e]),
                  expert_name(lo, mmoe, 0), width_of(lo, expert[0]));
            return NULL;
        }
    return expert;
}

/* What task t's tower reads. A single expert's gate is exactly 1: nothing is computed, but its
   variables are there, and are held against the config. */
static int add_task(struct lowering *lo, const int *expert, int n, int t, struct pos pos)
{
    const char *gate = arena_print(lo->arena, "mmoe/gate_%d", t);
    const char *dnn = arena_print(lo->arena, "%s/dnn", gate);
    if (n == 1) {
        want_dense(lo, dnn, lo->input, n, pos);
        return expert[0];
    }
    int logits = add_dense(lo, dnn, dnn, lo->input, n, pos);
    int *in = NEW_ARRAY(lo->job, (size_t)n + 1, int);
    in[0] = add(lo, OP_softmax, pos, gate, n, &logits, 1)->out;
    memcpy(in + 1, expert, (size_t)n * sizeof *in);
    return add(lo, OP_mix, pos, arena_print(lo->arena, "mmoe/task_%d", t), width_of(lo, expert[0]),
               in, n + 1)->out;
}

/* ---- heads ----------------------------------------------------------------------------------- */

/* What heads make of a tower's logits. */
enum derived {
    LOGITS, SIGMOID, SOFTMAX_OF, LOGIT_0, LOGIT_1, PROB_0, PROB_1, MAX_LOGIT, MAX_PROB, CLASS, ZILN,
    N_DERIVED
};

static const struct {
    const char *name;       /* of the value, before the tower's */
    enum op_kind kind;
    enum derived from;
    int width;              /* 0: as its operand */
    int first;              /* slice */
} derived[] = {
    [LOGITS] = {"logits", OP_dense, LOGITS, 0, 0},
    [SIGMOID] = {"sigmoid", OP_act, LOGITS, 0, 0},
    [SOFTMAX_OF] = {"softmax", OP_softmax, LOGITS, 0, 0},
    [LOGIT_0] = {"logit_0", OP_slice, LOGITS, 1, 0},
    [LOGIT_1] = {"logit_1", OP_slice, LOGITS, 1, 1},
    [PROB_0] = {"prob_0", OP_act, LOGIT_0, 0, 0},
    [PROB_1] = {"prob_1", OP_slice, SOFTMAX_OF, 1, 1},
    [MAX_LOGIT] = {"max_logit", OP_max, LOGITS, 1, 0},
    [MAX_PROB] = {"max_prob", OP_max, SOFTMAX_OF, 1, 0},
    [CLASS] = {"class", OP_argmax, LOGITS, 1, 0},
    [ZILN] = {"ziln", OP_ziln, LOGITS, 1, 0},
};

/* An output: its name is prefix, tower, suffix. */
struct output_form {
    const char *prefix, *suffix;
    enum derived value;
    bool vector;
    enum output_type type;
};

static const struct output_form binary[] = {
    {"logits_", "", LOGITS, false, FLOAT_OUTPUT},
    {"probs_", "", SIGMOID, false, FLOAT_OUTPUT},
    {NULL, NULL, 0, false, 0},
}, classes[] = {
    {"logits_", "", LOGITS, true, FLOAT_OUTPUT},
    {"probs_", "", SOFTMAX_OF, true, FLOAT_OUTPUT},
    {"logits_", "_1", LOGIT_1, false, FLOAT_OUTPUT},
    {"probs_", "_1", PROB_1, false, FLOAT_OUTPUT},
    {"logits_", "_y", MAX_LOGIT, false, FLOAT_OUTPUT},
    {"probs_", "_y", MAX_PROB, false, FLOAT_OUTPUT},
    {"y_", "", CLASS, false, CLASS_OUTPUT},
    {NULL, NULL, 0, false, 0},
}, value[] = {
    {"y_", "", LOGITS, false, FLOAT_OUTPUT},
    {NULL, NULL, 0, false, 0},
}, sigmoid_value[] = {
    {"y_", "", SIGMOID, false, FLOAT_OUTPUT},
    {NULL, NULL, 0, false, 0},
}, jrc[] = {
    {"logits_", "", LOGITS, true, FLOAT_OUTPUT},
    {"pos_logits_", "", LOGIT_1, false, FLOAT_OUTPUT},
    {"probs_", "", PROB_1, false, FLOAT_OUTPUT},
    {NULL, NULL, 0, false, 0},
}, ziln[] = {
    {"logits_", "", LOGITS, true, FLOAT_OUTPUT},
    {"probs_", "", PROB_0, false, FLOAT_OUTPUT},
    {"y_", "", ZILN, false, FLOAT_OUTPUT},
    {NULL, NULL, 0, false, 0},
}, nothing[] = {
    {NULL, NULL, 0, false, 0},
};

#define MOST_OUTPUTS 8      /* of a tower: the names above */

/* By loss type; `classes` is what num_class must be, 0 for any. No form: not a ranking tower's. */
static const struct {
    uint32_t classes;
    const struct output_form *forms;
} heads[] = {
    [EASYREC__LOSS_TYPE__CLASSIFICATION] = {0, binary},         /* or classes */
    [EASYREC__LOSS_TYPE__L2_LOSS] = {1, value},
    [EASYREC__LOSS_TYPE__SIGMOID_L2_LOSS] = {1, sigmoid_value},
    [EASYREC__LOSS_TYPE__PAIR_WISE_LOSS] = {1, binary},
    [EASYREC__LOSS_TYPE__F1_REWEIGHTED_LOSS] = {1, binary},
    [EASYREC__LOSS_TYPE__BINARY_FOCAL_LOSS] = {1, binary},
    [EASYREC__LOSS_TYPE__PAIRWISE_FOCAL_LOSS] = {1, binary},
    [EASYREC__LOSS_TYPE__PAIRWISE_LOGISTIC_LOSS] = {1, binary},
    [EASYREC__LOSS_TYPE__PAIRWISE_HINGE_LOSS] = {1, binary},
    [EASYREC__LOSS_TYPE__LISTWISE_RANK_LOSS] = {1, binary},
    [EASYREC__LOSS_TYPE__LISTWISE_DISTILL_LOSS] = {1, binary},
    [EASYREC__LOSS_TYPE__BINARY_CROSS_ENTROPY_LOSS] = {1, binary},
    [EASYREC__LOSS_TYPE__JRC_LOSS] = {2, jrc},
    [EASYREC__LOSS_TYPE__ZILN_LOSS] = {3, ziln},
    [EASYREC__LOSS_TYPE__ORDER_CALIBRATE_LOSS] = {0, nothing},
};

static const char *loss_name(int loss)
{
    const ProtobufCEnumValue *v =
        protobuf_c_enum_descriptor_get_value(&easyrec__loss_type__descriptor, loss);
    return v ? v->name : "?";
}

static const struct output_form *forms_of(int loss)
{
    return loss >= 0 && loss < (int)COUNT(heads) ? heads[loss].forms : NULL;
}

static void check_loss(struct lowering *lo, const Easyrec__TaskTower *tower, int loss,
                       struct pos pos)
{
    const struct output_form *forms = forms_of(loss);
    if (!forms)
        blame(lo->job, BAD_INPUT, pos, "loss", NULL,
              "%s is not a loss of ranking towers: EasyRec makes no prediction for it",
              loss_name(loss));
    else if (forms == nothing && !tower->n_losses)
        blame(lo->job, BAD_INPUT, pos, "loss", "give it in losses, beside another one",
              "%s alone makes no prediction", loss_name(loss));
    else if (heads[loss].classes && heads[loss].classes != tower->num_class)
        blame(lo->job, BAD_INPUT, field_set(tower, 5) ? field_pos(lo->c, tower, 5, 0) : pos,
              "num-class", NULL, "%s needs num_class %u, the tower \"%s\" has %u",
              loss_name(loss), heads[loss].classes, shown(lo, tower->tower_name), tower->num_class);
}

/* losses replace loss_type. */
static void check_losses(struct lowering *lo, const Easyrec__TaskTower *tower)
{
    bool any = !tower->n_losses;
    for (size_t i = 0; i < tower->n_losses; i++) {
        int loss = (int)tower->losses[i]->loss_type;
        check_loss(lo, tower, loss, field_pos(lo->c, tower->losses[i], 1, 0));
        any |= forms_of(loss) != nothing;
    }
    if (!tower->n_losses)
        check_loss(lo, tower, (int)tower->loss_type, field_pos(lo->c, tower, 4, 0));
    if (!any)
        blame(lo->job, BAD_INPUT, field_pos(lo->c, tower, 13, 0), "loss", "add CLASSIFICATION",
              "the losses of the tower \"%s\" make no prediction", shown(lo, tower->tower_name));
}

struct head {
    struct lowering *lo;
    const char *tower;
    struct pos pos;
    int made[N_DERIVED];    /* values; -1: not made yet */
};

static int derive(struct head *h, enum derived d)
{
    if (h->made[d] >= 0)
        return h->made[d];
    int x = derive(h, derived[d].from);
    const char *name = arena_print(h->lo->arena, "%s_%s", derived[d].name, h->tower);
    int width = derived[d].width ? derived[d].width : width_of(h->lo, x);
    struct op *op = add(h->lo, derived[d].kind, h->pos, name, width, &x, 1);
    op->act = op->kind == OP_act ? ACT_sigmoid : ACT_identity;
    op->first = derived[d].first;
    return h->made[d] = op->out;
}

/* EasyRec's dictionary of predictions: a later value under a name takes the earlier one's place. */
static void set_output(struct head *h, const struct output_form *form)
{
    struct lowering *lo = h->lo;
    struct model *m = lo->m;
    int v = derive(h, form->value);
    struct output out = {arena_print(lo->arena, "%s%s%s", form->prefix, h->tower, form->suffix),
                         h->tower, v, width_of(lo, v), form->vector, form->type};
    int i = 0;
    while (i < m->n_outputs && strcmp(m->outputs[i].name, out.name) != 0)
        i++;
    if (i < m->n_outputs && strcmp(m->outputs[i].tower, h->tower) != 0)
        warning(lo->job, h->pos, "outputs", NULL,
                "the tower \"%s\" overwrites the output %s of the tower \"%s\"",
                shown(lo, h->tower), shown(lo, out.name), shown(lo, m->outputs[i].tower));
    m->n_outputs += i == m->n_outputs;
    m->outputs[i] = out;
}

static void add_head(struct head *h, int loss, uint32_t num_class)
{
    const struct output_form *form = forms_of(loss);
    if (loss == EASYREC__LOSS_TYPE__CLASSIFICATION && num_class > 1)
        form = classes;
    for (; form->prefix; form++)
        set_output(h, form);
}

static void add_heads(struct lowering *lo, const Easyrec__TaskTower *tower, int logits)
{
    struct head h = {.lo = lo, .tower = tower->tower_name, .pos = field_pos(lo->c, tower, 1, 0)};
    for (int i = 0; i < N_DERIVED; i++)
        h.made[i] = -1;
    h.made[LOGITS] = logits;
    for (size_t i = 0; i < tower->n_losses; i++)
        add_head(&h, (int)tower->losses[i]->loss_type, tower->num_class);
    if (!tower->n_losses)
        add_head(&h, (int)tower->loss_type, tower->num_class);
}

/* ---- towers ---------------------------------------------------------------------------------- */

/* TensorFlow's rule for scopes: [A-Za-z0-9.][A-Za-z0-9_.\\/>-]* */
static bool is_scope(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr(c == name ? "." : "_.\\/>-", *c))
            return false;
    return true;
}

/* Its name, which other messages use. */
static bool check_name(struct lowering *lo, const Easyrec__MMoE *mmoe, size_t t)
{
    const char *name = mmoe->task_towers[t]->tower_name;
    struct pos pos = field_pos(lo->c, mmoe->task_towers[t], 1, 0);
    if (!name || !*name) {
        blame(lo->job, BAD_INPUT, pos, "tower-name", NULL, "task tower %zu has no tower_name", t);
        return false;
    }
    if (!is_scope(name))
        warning(lo->job, pos, "tower-name", NULL,
                "\"%s\" cannot be a scope of TensorFlow: EasyRec did not train this",
                shown(lo, name));
    for (size_t i = 0; i < t; i++) {
        const char *other = mmoe->task_towers[i]->tower_name;
        if (other && strcmp(other, name) == 0) {
            blame(lo->job, BAD_INPUT, pos, "tower-name", NULL, "two task towers are named \"%s\"",
                  shown(lo, name));
            break;
        }
    }
    return true;
}

static void check_tower(struct lowering *lo, const Easyrec__MMoE *mmoe, size_t t)
{
    const Easyrec__TaskTower *tower = mmoe->task_towers[t];
    struct pos num_class = field_pos(lo->c, tower, 5, 0);
    lo->layers += 2;            /* gate and output */
    check_dnn(lo, tower->dnn, 1);
    if (!check_name(lo, mmoe, t))
        return;
    if (tower->num_class == 0)
        blame(lo->job, BAD_INPUT, num_class, "num-class", NULL,
              "the tower \"%s\" has num_class 0", shown(lo, tower->tower_name));
    else if (tower->num_class > MOST_CLASSES)
        blame(lo->job, UNSUPPORTED, num_class, "unsupported", NULL,
              "num_class %u; at most %d is supported", tower->num_class, MOST_CLASSES);
    else
        check_losses(lo, tower);
}

static void check_mmoe(struct lowering *lo, const Easyrec__MMoE *mmoe)
{
    struct pos pos = field_pos(lo->c, mmoe, 0, 0);
    check_experts(lo, mmoe);
    if (!mmoe->n_task_towers)
        blame(lo->job, BAD_INPUT, pos, "towers", NULL, "mmoe has no task_towers");
    if (lo->layers + 2 * mmoe->n_task_towers <= MOST_LAYERS)
        for (size_t t = 0; t < mmoe->n_task_towers; t++)
            check_tower(lo, mmoe, t);
    else
        lo->layers += 2 * mmoe->n_task_towers;
    if (lo->layers > MOST_LAYERS)
        blame(lo->job, UNSUPPORTED, pos, "unsupported", NULL,
              "mmoe has more than %d layers", MOST_LAYERS);
}

/* The output layer is named by the tower's place, its value by the tower. */
static void add_tower(struct lowering *lo, const Easyrec__TaskTower *tower, int t, int x)
{
    int v = add_dnn(lo, tower->dnn, tower->tower_name, x);
    int logits = add_dense(lo, arena_print(lo->arena, "dnn_output_%d", t),
                           arena_print(lo->arena, "logits_%s", tower->tower_name), v,
                           (int)tower->num_class, field_pos(lo->c, tower, 1, 0));
    add_heads(lo, tower, logits);
}

static void add_mmoe(struct lowering *lo, const Easyrec__MMoE *mmoe)
{
    int *expert = add_experts(lo, mmoe);
    if (!expert)
        return;
    size_t n = mmoe->n_task_towers;
    int *task = NEW_ARRAY(lo->job, n, int);
    lo->m->outputs = NEW_ARRAY(lo->job, n * MOST_OUTPUTS, struct output);
    for (size_t t = 0; t < n; t++)
        task[t] = add_task(lo, expert, (int)count_experts(mmoe), (int)t,
                           field_pos(lo->c, mmoe->task_towers[t], 1, 0));
    for (size_t t = 0; t < n; t++)
        add_tower(lo, mmoe->task_towers[t], (int)t, task[t]);
}

/* ---- the model ------------------------------------------------------------------------------- */

/* Is it MMoE, by class and by message? NULL after an error. */
static const Easyrec__MMoE *find_mmoe(struct lowering *lo)
{
    const Easyrec__EasyRecConfig *top = (const Easyrec__EasyRecConfig *)lo->c->message;
    const Easyrec__EasyRecModel *model = top->model_config;
    if (!model) {
        blame(lo->job, BAD_INPUT, field_pos(lo->c, top, 0, 0), "model", NULL,
              "there is no model_config");
        return NULL;
    }
    const char *class = model->model_class ? model->model_class : "";
    struct pos pos = field_pos(lo->c, model, 1, 0);
    bool has_mmoe = model->model_case == EASYREC__EASY_REC_MODEL__MODEL_MMOE;
    if (strcmp(class, "MMoE") == 0 && has_mmoe)
        return model->mmoe;
    if (strcmp(class, "MMoE") == 0)
        blame(lo->job, BAD_INPUT, pos, "model", NULL,
              "model_class is \"MMoE\", but there is no mmoe message");
    else if (has_mmoe)
        blame(lo->job, BAD_INPUT, pos, "model", "set model_class to \"MMoE\"",
              "model_class is \"%s\", but the model is mmoe", shown(lo, class));
    else
        blame(lo->job, UNSUPPORTED, pos, "unsupported", "mmoec compiles models of class \"MMoE\"",
              "model_class is \"%s\"", shown(lo, class));
    return NULL;
}

static void check_model_config(struct lowering *lo)
{
    const Easyrec__EasyRecModel *model =
        ((const Easyrec__EasyRecConfig *)lo->c->message)->model_config;
    if (model->ev_params)
        blame(lo->job, UNSUPPORTED, field_pos(lo->c, model, 11, 0), "unsupported", NULL,
              "ev_params: embeddings are hash tables outside of the checkpoint");
    for (size_t i = 0; i < model->n_seq_att_groups; i++)
        warning(lo->job, field_pos(lo->c, model, 7, i), "ignored", NULL,
                "seq_att_groups is not read by MMoE");
}

/* Columns of the experts' input: what the features say, or else the gate's kernel; 0 after an
   error. */
static int input_width(struct lowering *lo, const struct tensors *tensors)
{
    const struct tensor *gate =
        tensors ? find_tensor(tensors, "mmoe/gate_0/dnn/kernel") : NULL;
    if (lo->f->width > 0)
        return lo->f->width;
    if (!gate || gate->rank != 2 || gate->dim[0] == 0 || gate->dim[0] > 1 << 24) {
        blame(lo->job, BAD_INPUT, in_file(lo->job, lo->c->source->name), "width",
              "a checkpoint would tell it: the shape of mmoe/gate_0/dnn/kernel",
              "the width of the experts' input is not known");
        return 0;
    }
    warning(lo->job, in_file(lo->job, tensors->name), "width", NULL,
            "the experts' input is taken to have %d columns, as mmoe/gate_0/dnn/kernel has",
            (int)gate->dim[0]);
    return (int)gate->dim[0];
}

struct model *lower(struct job *job, const struct config *c, const struct features *f,
                    const struct tensors *tensors)
{
    if (!c || !f)
        return NULL;
    int errors = job->errors;
    struct lowering lo = {.job = job, .arena = &job->arena, .c = c, .f = f,
                          .batch_norms = f->batch_norms};
    const Easyrec__MMoE *mmoe = find_mmoe(&lo);
    if (!mmoe)
        return NULL;
    check_model_config(&lo);
    check_mmoe(&lo, mmoe);
    int width = input_width(&lo, tensors);
    if (job->errors != errors)
        return NULL;
    lo.m = new_model(job);
    lo.m->user_inputs = f->user_width;
    lo.m->input_order = f->easyrec_column;
    lo.input = add_value(job, lo.m, "deep_fea", width, -1);
    lo.m->inputs = NEW(job, int);
    lo.m->inputs[lo.m->n_inputs++] = lo.input;
    add_mmoe(&lo, mmoe);
    return job->errors == errors ? lo.m : NULL;
}

/* ---- choosing outputs ------------------------------------------------------------------------ */

/* What EasyRec takes where a group of sequence_features gives no seq_dnn. */
static const Easyrec__DNN *default_seq_dnn(struct job *job)
{
    static const uint32_t units[] = {128, 64, 32, 1};
    Easyrec__DNN *dnn = NEW(job, Easyrec__DNN);
    easyrec__dnn__init(dnn);
    dnn->n_hidden_units = COUNT(units);
    dnn->hidden_units = NEW_ARRAY(job, COUNT(units), uint32_t);
    memcpy(dnn->hidden_units, units, sizeof units);
    return dnn;
}

struct model *lower_seq_dnn(struct job *job, const struct config *c, const struct ProtobufCMessage *config,
                            const char *name, int width, int *batch_norms)
{
    int errors = job->errors;
    const Easyrec__DNN *dnn = config ? (const Easyrec__DNN *)config : default_seq_dnn(job);
    struct features f = {.why = "it has the key, the step, their difference and their product"};
    struct lowering lo = {.job = job, .arena = &job->arena, .c = c, .f = &f, .m = new_model(job),
                          .batch_norms = *batch_norms};
    check_dnn(&lo, dnn, 1);
    if (job->errors != errors || is_identity(dnn))
        return NULL;
    int x = lo.input = add_value(job, lo.m, "keys_and_step", width, -1);
    lo.m->inputs = NEW(job, int);
    lo.m->inputs[lo.m->n_inputs++] = x;
    for (size_t l = 0; l < dnn->n_hidden_units; l++)
        x = add_layer(&lo, dnn, name, l, x, l == dnn->n_hidden_units - 1);
    lo.m->outputs = NEW(job, struct output);
    lo.m->outputs[lo.m->n_outputs++] = (struct output){"weight", name, x, width_of(&lo, x), false, FLOAT_OUTPUT};
    *batch_norms = lo.batch_norms;
    return job->errors == errors ? lo.m : NULL;
}

static bool is_score(const char *name)
{
    return strncmp(name, "probs_", 6) == 0 || strncmp(name, "y_", 2) == 0;
}

/* The name after the comma at or after p; NULL at the end. */
static const char *next_name(const char *p)
{
    p = strchr(p, ',');
    return p ? p + 1 : NULL;
}

static bool in_list(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; p; p = next_name(p))
        if (strcspn(p, ",") == n && strncmp(p, name, n) == 0)
            return true;
    return false;
}

static const char *list_outputs(struct job *job, const struct model *m)
{
    struct text all = {.arena = &job->arena};
    for (int i = 0; i < m->n_outputs; i++)
        text_print(&all, "%s%s", i ? ", " : "there are ",
                   escaped(&job->arena, m->outputs[i].name, strlen(m->outputs[i].name)));
    return all.data;
}

/* Every name in the list must be one of the model's. */
static bool check_list(struct job *job, const struct model *m, const char *list)
{
    for (const char *p = list; p; p = next_name(p)) {
        const char *name = arena_copy(&job->arena, p, strcspn(p, ","));
        int i = 0;
        while (i < m->n_outputs && strcmp(m->outputs[i].name, name) != 0)
            i++;
        if (i < m->n_outputs)
            continue;
        blame(job, BAD_USAGE, (struct pos){0}, "outputs", list_outputs(job, m), "no output \"%s\"",
              escaped(&job->arena, name, strlen(name)));
        return false;
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
    for (int i = 0; i < from->n_outputs; i++) {
        const char *name = from->outputs[i].name;
        if (all || (scores ? is_score(name) : in_list(list, name)))
            m->outputs[m->n_outputs++] = from->outputs[i];
    }
    return m;
}
