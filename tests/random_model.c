// SPDX-License-Identifier: Apache-2.0
/* random_model DIR --seed N [--shape NAME] [--rows N]
 *
 * Writes an EasyRec model directory that nobody trained: pipeline.config, checkpoint,
 * model.ckpt-*.* and features.npy (float32 [rows, D], what enters the experts).
 *
 *     --shape   m1 m2 m3 m4 (the models of design.md §6), tiny, wide64 (64 experts), acts (every
 *               activation and every kind of output), random (the
 *               default: everything that EasyRec can train, drawn from the seed)
 *     --rows    of features.npy; 64
 *
 * The idea: a struct net describes the model; the config is printed from it and the variables are
 * written from it, with EasyRec's names (easyrec-mmoe.md §5.3, dice §4.1). Weights are He-like, so
 * that scores neither die nor explode. The same seed and shape give the same bytes on every
 * machine: the generator is here, and nothing but +, -, *, / and sqrt touches a number.
 *
 * How to read it: numbers, the net, shapes, the random shape, the config, the variables,
 * features.npy.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ckpt_writer.h"

/* ---- numbers ---- */

static uint64_t state;

/* splitmix64 */
static uint64_t draw(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int between(int least, int most)
{
    return least + (int)(draw() % (uint64_t)(most - least + 1));
}

static bool one_in(int n)
{
    return between(1, n) == 1;
}

static double uniform(double least, double most)
{
    return least + (most - least) * (double)(draw() >> 11) * 0x1p-53;
}

/* Nearly normal, deviation 1: a sum of four uniform numbers, without libm. */
static double normal(void)
{
    uint64_t x = draw();
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (double)(x >> 16 * i & 0xffff) * 0x1p-16 + 0x1p-17;
    return (sum - 2) * 1.7320508075688772;
}

/* ---- the net ---- */

#define MOST_LAYERS 4
#define MOST_EXPERTS 64
#define MOST_TOWERS 8
#define MOST_FEATURES 400
#define MOST_LOSSES 3

struct dnn {
    bool set;                       /* a tower may have none */
    bool zero;                      /* the identity as [0], not as an empty list */
    int n, width[MOST_LAYERS];
    bool bn;
    const char *activation;         /* NULL: EasyRec's default, relu */
};

/* The outputs of a tower: one loss_type, or several losses. */
struct head {
    int classes, n;
    const char *loss[MOST_LOSSES];
};

struct tower {
    char name[32];
    struct dnn dnn;
    struct head head;
};

struct column {
    char key[32];
    int width;
    int rows;                       /* of its table; 0: a RawFeature */
    int partitions;
    const double *table;
};

struct net {
    int inputs;
    struct column feature[MOST_FEATURES];
    int n_features;
    bool shared_dnn;                /* expert_dnn and num_expert; else the older form, experts */
    struct dnn expert[MOST_EXPERTS];
    int n_experts;
    struct tower tower[MOST_TOWERS];
    int n_towers;
    int shards, step, slots;        /* every `slots`-th variable has optimizer slots */
};

static struct net net;              /* large, and there is one */

static int output_width(const struct dnn *d, int in)
{
    return d->n ? d->width[d->n - 1] : in;
}

/* ---- shapes ---- */

static const struct shape {
    const char *name;
    int inputs, experts;
    int expert[MOST_LAYERS];
    int towers;
    int tower[MOST_LAYERS];
} shapes[] = {
    { "m1", 272, 4, { 256, 192, 128, 64 }, 2, { 256, 192, 128, 64 } },
    { "m2", 64, 3, { 32, 16 }, 2, { 16 } },
    { "m3", 1024, 8, { 1024, 512, 256 }, 3, { 256, 128 } },
    { "m4", 16, 2, { 16, 8 }, 2, { 8 } },
    { "wide64", 1024, 64, { 1024 }, 8, { 64 } },
    { "tiny", 21, 2, { 8, 4 }, 2, { 4 } },
};

static struct dnn plain_dnn(const int width[MOST_LAYERS])
{
    struct dnn d = { .set = true, .bn = true };
    while (d.n < MOST_LAYERS && width[d.n]) {
        d.width[d.n] = width[d.n];
        d.n++;
    }
    return d;
}

static void add_column(int width, int rows)
{
    struct column *f = &net.feature[net.n_features];
    *f = (struct column){ .width = width, .rows = rows, .partitions = 1 };
    /* Keys such that the order of the config is not the order of names. */
    const char *kind = rows ? "id" : one_in(3) ? "a" : "raw";
    snprintf(f->key, sizeof(f->key), "%s_%d", kind, net.n_features);
    if (rows && rows >= 6 && one_in(4))
        f->partitions = between(2, 3);
    net.n_features++;
}

/* Numbers, vectors of numbers and hashed ids, `inputs` columns together. */
static void make_features(int inputs)
{
    int ids = between(0, 4);
    net.inputs = inputs;
    for (int left = inputs; left > 0;) {
        bool last = net.n_features == MOST_FEATURES - 1;
        int width = last ? left : one_in(3) ? 1 : between(1, left < 48 ? left : 48);
        bool id = !last && ids > 0 && width <= 16 && one_in(2);
        add_column(width, id ? between(2, 30) : 0);
        ids -= id;
        left -= width;
    }
}

static const char *binary_losses[] = {
    "CLASSIFICATION", "PAIR_WISE_LOSS", "F1_REWEIGHTED_LOSS", "BINARY_FOCAL_LOSS",
    "PAIRWISE_FOCAL_LOSS", "PAIRWISE_LOGISTIC_LOSS", "PAIRWISE_HINGE_LOSS", "LISTWISE_RANK_LOSS",
    "LISTWISE_DISTILL_LOSS", "BINARY_CROSS_ENTROPY_LOSS",
};

static void make_shape(const struct shape *s)
{
    static const char *const names[] = { "ctr", "cvr", "ctcvr", "like", "share", "follow", "stay",
                                         "comment" };
    make_features(s->inputs);
    net.shared_dnn = true;
    net.n_experts = s->experts;
    for (int i = 0; i < s->experts; i++)
        net.expert[i] = plain_dnn(s->expert);
    net.n_towers = s->towers;
    for (int i = 0; i < s->towers; i++) {
        struct tower *t = &net.tower[i];
        *t = (struct tower){ .dnn = plain_dnn(s->tower), .head = { .classes = 1, .n = 1 } };
        t->head.loss[0] = "CLASSIFICATION";
        snprintf(t->name, sizeof(t->name), "%s", names[i]);
    }
    net.shards = 1;
    net.slots = 0;
}

/* ---- the random shape ---- */

/* easyrec-mmoe.md §4: what a DNN can train, in some of its spellings. */
static const char *const activations[] = {
    "relu", "tf.nn.relu", "RELU", "gelu", "leaky_relu", "tf.nn.leaky_relu", "elu", "tf.nn.elu",
    "selu", "tf.nn.selu", "tanh", "tf.tanh", "tf.nn.tanh", "sigmoid", "tf.nn.sigmoid", "tf.sigmoid",
    "dice", "dice", "tf.identity", "tf.nn.relu6", "tf.nn.softplus", "tf.math.softplus",
    "tf.nn.softsign", "tf.math.softsign", "tf.nn.gelu", "tf.nn.softmax",
};

static const char *random_activation(void)
{
    return one_in(4) ? NULL : activations[between(0, COUNT(activations) - 1)];
}

static int random_width(void)
{
    static const int most[] = { 9, 40, 300 };
    return between(1, most[between(0, COUNT(most) - 1)]);
}

/* A DNN whose last layer is `out` wide; 0: of any width. */
static struct dnn random_dnn(int layers, int out)
{
    struct dnn d = {
        .set = true, .n = layers, .bn = !one_in(3), .activation = random_activation()
    };
    for (int i = 0; i < layers; i++)
        d.width[i] = random_width();
    if (out)
        d.width[layers - 1] = out;
    return d;
}

static struct dnn identity(void)
{
    return (struct dnn){ .set = true, .zero = one_in(2), .bn = one_in(2) };
}

/* Either equal experts, or experts of any depth and activation with outputs of one width. If one of
   them is the identity, that is the width of the inputs. */
static void random_experts(void)
{
    static const int many[] = { 16, 17, 64 };
    bool lots = one_in(8), some_identity = one_in(6);
    net.shared_dnn = one_in(2);
    net.n_experts = lots ? many[between(0, COUNT(many) - 1)] : between(1, 12);
    int out = some_identity ? net.inputs : lots ? between(1, 16) : random_width();
    for (int i = 0; i < net.n_experts; i++) {
        struct dnn *d = &net.expert[i];
        if (net.shared_dnn && i)
            *d = net.expert[0];
        else if (some_identity && (net.shared_dnn || one_in(3)))
            *d = identity();
        else
            *d = random_dnn(between(1, lots ? 2 : MOST_LAYERS), out);
    }
}

/* easyrec-mmoe.md §6. */
static struct head random_head(void)
{
    static const struct head heads[] = {
        { 1, 1, { "L2_LOSS" } },
        { 1, 1, { "SIGMOID_L2_LOSS" } },
        { 2, 1, { "JRC_LOSS" } },
        { 3, 1, { "ZILN_LOSS" } },
        { 1, 2, { "CLASSIFICATION", "PAIR_WISE_LOSS" } },
        { 1, 2, { "CLASSIFICATION", "L2_LOSS" } },
        { 1, 2, { "SIGMOID_L2_LOSS", "L2_LOSS" } },
        { 1, 2, { "CLASSIFICATION", "ORDER_CALIBRATE_LOSS" } },
        { 2, 2, { "CLASSIFICATION", "JRC_LOSS" } },
        { 2, 2, { "JRC_LOSS", "CLASSIFICATION" } },
        { 3, 2, { "CLASSIFICATION", "ZILN_LOSS" } },
        { 1, 3, { "BINARY_FOCAL_LOSS", "PAIRWISE_LOGISTIC_LOSS", "SIGMOID_L2_LOSS" } },
    };
    if (one_in(4))
        return (struct head){ between(2, 6), 1, { "CLASSIFICATION" } };
    if (one_in(2))
        return heads[between(0, COUNT(heads) - 1)];
    return (struct head){ 1, 1, { binary_losses[between(0, COUNT(binary_losses) - 1)] } };
}

static void random_towers(void)
{
    static const char *const prefix[] = { "ctr", "Buy", "t.x", "is_spam", "grade" };
    net.n_towers = between(1, 6);
    for (int i = 0; i < net.n_towers; i++) {
        struct tower *t = &net.tower[i];
        *t = (struct tower){ .head = random_head() };
        snprintf(t->name, sizeof(t->name), "%s%d", prefix[between(0, COUNT(prefix) - 1)], i);
        if (one_in(5))
            t->dnn = identity();
        else if (!one_in(4))
            t->dnn = random_dnn(between(1, 3), 0);
    }
}

static void random_shape(void)
{
    make_features(random_width());
    random_experts();
    random_towers();
    net.shards = between(1, 3);
    net.slots = between(0, 4);
}

/* Every activation there is, each of an expert or of a tower, and every kind of output. */
static void all_activations(void)
{
    static const char *const acts[] = {
        "relu", "tf.nn.relu6", "leaky_relu", "elu", "selu", "gelu", "tf.nn.gelu", "tf.identity",
        "sigmoid", "tanh", "tf.nn.softplus", "tf.nn.softsign", "dice",
        "easy_rec.python.utils.activation.swish", "tf.nn.softmax", "relu",
    };
    static const struct head heads[MOST_TOWERS] = {
        { 1, 1, { "CLASSIFICATION" } }, { 3, 1, { "CLASSIFICATION" } }, { 3, 1, { "ZILN_LOSS" } },
        { 1, 1, { "L2_LOSS" } }, { 1, 1, { "SIGMOID_L2_LOSS" } }, { 2, 1, { "JRC_LOSS" } },
        { 1, 2, { "CLASSIFICATION", "L2_LOSS" } }, { 4, 1, { "CLASSIFICATION" } },
    };
    make_features(7);
    net.n_experts = net.n_towers = 8;
    for (int i = 0; i < 8; i++) {
        net.expert[i] = (struct dnn){ .set = true, .n = 1, .width = { 5 }, .bn = true, .activation = acts[i] };
        struct tower *t = &net.tower[i];
        *t = (struct tower){ .dnn = net.expert[i], .head = heads[i] };
        t->dnn.activation = acts[8 + i];
        snprintf(t->name, sizeof(t->name), "t%d", i);
    }
    net.shards = 1;
}

/* ---- the config ---- */

static void print_dnn(FILE *f, const struct dnn *d)
{
    fprintf(f, "dnn { ");
    if (d->zero)
        fprintf(f, "hidden_units: [0] ");
    for (int i = 0; i < d->n; i++)
        fprintf(f, "hidden_units: %d ", d->width[i]);
    if (d->activation)
        fprintf(f, "activation: \"%s\" ", d->activation);
    fprintf(f, "%s}", d->bn ? "" : "use_bn: false ");
}

static void print_data(FILE *f)
{
    fprintf(f, "data_config {\n  batch_size: 64\n  input_type: CSVInput\n  separator: \",\"\n");
    for (int i = 0; i < net.n_towers; i++)
        fprintf(f, "  label_fields: \"label_%d\"\n", i);
    for (int i = 0; i < net.n_towers; i++)
        fprintf(f, "  input_fields { input_name: \"label_%d\" input_type: FLOAT }\n", i);
    for (int i = 0; i < net.n_features; i++) {
        const struct column *c = &net.feature[i];
        fprintf(f, "  input_fields { input_name: \"%s\" input_type: %s }\n", c->key,
                c->rows || c->width > 1 ? "STRING" : "FLOAT");
    }
    fprintf(f, "}\n");
}

static void print_feature(FILE *f, const struct column *c)
{
    fprintf(f, "feature_configs { input_names: \"%s\" feature_type: ", c->key);
    if (c->rows)
        fprintf(f, "IdFeature hash_bucket_size: %d embedding_dim: %d", c->rows, c->width);
    else
        fprintf(f, "RawFeature");
    if (c->partitions > 1)
        fprintf(f, " max_partitions: %d", c->partitions);
    if (!c->rows && c->width > 1)
        fprintf(f, " separator: \"|\" raw_input_dim: %d", c->width);
    fprintf(f, " }\n");
}

static void print_experts(FILE *f)
{
    if (net.shared_dnn) {
        fprintf(f, "    expert_");
        print_dnn(f, &net.expert[0]);
        fprintf(f, "\n    num_expert: %d\n", net.n_experts);
        return;
    }
    for (int i = 0; i < net.n_experts; i++) {
        fprintf(f, "    experts { expert_name: \"expert_%d\" ", i);
        print_dnn(f, &net.expert[i]);
        fprintf(f, " }\n");
    }
}

static void print_tower(FILE *f, const struct tower *t, int i)
{
    fprintf(f, "    task_towers {\n      tower_name: \"%s\"\n      label_name: \"label_%d\"\n",
            t->name, i);
    if (t->head.classes != 1)
        fprintf(f, "      num_class: %d\n", t->head.classes);
    if (t->head.n == 1)
        fprintf(f, "      loss_type: %s\n", t->head.loss[0]);
    for (int k = 0; t->head.n > 1 && k < t->head.n; k++)
        fprintf(f, "      losses { loss_type: %s weight: 1.0 }\n", t->head.loss[k]);
    if (t->dnn.set) {
        fprintf(f, "      ");
        print_dnn(f, &t->dnn);
        fprintf(f, "\n");
    }
    fprintf(f, "    }\n");
}

static void print_config(FILE *f, const char *shape, uint64_t seed)
{
    fprintf(f, "# random_model --seed %llu --shape %s\n", (unsigned long long)seed, shape);
    fprintf(f, "model_dir: \"ckpt\"\n");
    print_data(f);
    for (int i = 0; i < net.n_features; i++)
        print_feature(f, &net.feature[i]);
    fprintf(f, "model_config {\n  model_class: \"MMoE\"\n");
    fprintf(f, "  feature_groups {\n    group_name: \"all\"\n");
    for (int i = 0; i < net.n_features; i++)
        fprintf(f, "    feature_names: \"%s\"\n", net.feature[i].key);
    fprintf(f, "    wide_deep: DEEP\n  }\n  mmoe {\n");
    print_experts(f);
    for (int i = 0; i < net.n_towers; i++)
        print_tower(f, &net.tower[i], i);
    fprintf(f, "    l2_regularization: 1e-06\n  }\n  embedding_regularization: 5e-06\n}\n");
}

/* ---- the variables ---- */

static _Noreturn void fail(const char *what, const char *path)
{
    fprintf(stderr, "random_model: %s: %s\n", path, what);
    exit(1);
}

static double *numbers(size_t n)
{
    double *v = malloc((n ? n : 1) * sizeof(*v));
    if (!v)
        fail("no memory", "numbers");
    return v;
}

static double *normals(size_t n, double mean, double deviation)
{
    double *v = numbers(n);
    for (size_t i = 0; i < n; i++)
        v[i] = mean + deviation * normal();
    return v;
}

static double *uniforms(size_t n, double least, double most)
{
    double *v = numbers(n);
    for (size_t i = 0; i < n; i++)
        v[i] = uniform(least, most);
    return v;
}

/* Writes a variable and, now and then, Adam's slots beside it; frees the values. */
static void put(struct ckpt *c, const char *scope, const char *name, int rank, uint64_t rows,
                uint64_t columns, double *v)
{
    static int count;
    static const char *const slots[] = { "", "/Adam", "/Adam_1" };
    char full[512];
    const uint64_t dim[] = { rows, columns };
    int n = net.slots && count++ % net.slots == 0 ? 3 : 1;
    for (int i = 0; i < n; i++) {
        snprintf(full, sizeof(full), "%s%s%s", scope, name, slots[i]);
        ckpt_put(c, full, DT_FLOAT, rank, dim, v);
    }
    free(v);
}

static void put_dense(struct ckpt *c, const char *scope, int in, int out)
{
    size_t n = (size_t)in * (size_t)out;
    put(c, scope, "/kernel", 2, (uint64_t)in, (uint64_t)out, normals(n, 0, sqrt(2.0 / in)));
    put(c, scope, "/bias", 1, (uint64_t)out, 0, normals((size_t)out, 0, 0.1));
}

static void put_bn(struct ckpt *c, const char *scope, int n)
{
    uint64_t width = (uint64_t)n;
    put(c, scope, "/bn/gamma", 1, width, 0, uniforms((size_t)n, 0.5, 1.5));
    put(c, scope, "/bn/beta", 1, width, 0, normals((size_t)n, 0, 0.2));
    put(c, scope, "/bn/moving_mean", 1, width, 0, normals((size_t)n, 0, 0.3));
    put(c, scope, "/bn/moving_variance", 1, width, 0, uniforms((size_t)n, 0.2, 2));
}

/* The batch norm in a dice has no name: TensorFlow numbers it in the order of creation. */
static void put_dice(struct ckpt *c, const char *scope, int n)
{
    static int made;
    char name[300];
    snprintf(name, sizeof(name), "alpha_%s/act", scope);
    put(c, name, "", 1, (uint64_t)n, 0, normals((size_t)n, 0, 0.3));
    snprintf(name, sizeof(name), made ? "batch_normalization_%d" : "batch_normalization", made);
    made++;
    put(c, name, "/moving_mean", 1, (uint64_t)n, 0, normals((size_t)n, 0, 0.3));
    put(c, name, "/moving_variance", 1, (uint64_t)n, 0, uniforms((size_t)n, 0.2, 2));
}

static int put_dnn(struct ckpt *c, const char *scope, const struct dnn *d, int in)
{
    char layer[200];
    for (int i = 0; i < d->n; i++) {
        snprintf(layer, sizeof(layer), "%s/dnn_%d", scope, i);
        put_dense(c, layer, in, d->width[i]);
        if (d->bn)
            put_bn(c, layer, d->width[i]);
        if (d->activation && strcmp(d->activation, "dice") == 0)
            put_dice(c, layer, d->width[i]);
        in = d->width[i];
    }
    return in;
}

static void put_table(struct ckpt *c, struct column *f)
{
    char name[128];
    uint64_t dim[] = { (uint64_t)f->rows, (uint64_t)f->width }, rows[3];
    f->table = normals((size_t)f->rows * (size_t)f->width, 0, 1);
    snprintf(name, sizeof(name), "input_layer/%s_embedding/embedding_weights", f->key);
    if (f->partitions == 1) {
        ckpt_put(c, name, DT_FLOAT, 2, dim, f->table);
        return;
    }
    /* As TensorFlow cuts: the first parts take a row more. */
    for (int i = 0; i < f->partitions; i++)
        rows[i] = (uint64_t)(f->rows / f->partitions + (i < f->rows % f->partitions));
    ckpt_put_rows(c, name, DT_FLOAT, 2, dim, f->table, f->partitions, rows);
}

static void put_scalars(struct ckpt *c)
{
    const double step = net.step, beta1 = 0.5, beta2 = 0.25;
    ckpt_put(c, "global_step", DT_INT64, 0, NULL, &step);
    if (!net.slots)
        return;
    ckpt_put(c, "beta1_power", DT_FLOAT, 0, NULL, &beta1);
    ckpt_put(c, "beta2_power", DT_FLOAT, 0, NULL, &beta2);
}

/* In the order in which EasyRec creates them, as far as numbered names depend on it. */
static void put_variables(struct ckpt *c)
{
    char scope[64];
    for (int i = 0; i < net.n_features; i++)
        if (net.feature[i].rows)
            put_table(c, &net.feature[i]);
    for (int i = 0; i < net.n_experts; i++) {
        snprintf(scope, sizeof(scope), "mmoe/expert_%d", i);
        put_dnn(c, scope, &net.expert[i], net.inputs);
    }
    for (int i = 0; i < net.n_towers; i++) {
        snprintf(scope, sizeof(scope), "mmoe/gate_%d/dnn", i);
        put_dense(c, scope, net.inputs, net.n_experts);
    }
    int mixture = output_width(&net.expert[0], net.inputs);
    for (int i = 0; i < net.n_towers; i++) {
        int last = put_dnn(c, net.tower[i].name, &net.tower[i].dnn, mixture);
        snprintf(scope, sizeof(scope), "dnn_output_%d", i);
        put_dense(c, scope, last, net.tower[i].head.classes);
    }
    put_scalars(c);
}

/* ---- features.npy ---- */

static void put_float(struct buf *b, double x)
{
    float f = (float)x;
    uint32_t w;
    memcpy(&w, &f, 4);
    for (int i = 0; i < 4; i++)
        buf_add(b, &(unsigned char){ (unsigned char)(w >> 8 * i & 0xff) }, 1);
}

/* Numbers are normal; an id's columns are a row of its table, or zeros: the id is missing. */
static void add_row(struct buf *b)
{
    for (int i = 0; i < net.n_features; i++) {
        const struct column *f = &net.feature[i];
        int row = f->rows ? between(-1, f->rows - 1) : -1;
        for (int j = 0; j < f->width; j++)
            put_float(b, !f->rows ? normal() : row < 0 ? 0 : f->table[row * f->width + j]);
    }
}

/* NumPy's format 1.0: magic, version, length of the header, header padded to a multiple of 64. */
static void write_features(const char *path, int rows)
{
    struct buf b = { 0 };
    char header[0x76];
    int n = snprintf(header, sizeof(header),
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows,
                     net.inputs);
    memset(header + n, ' ', sizeof(header) - (size_t)n);
    header[sizeof(header) - 1] = '\n';
    buf_add(&b, "\x93NUMPY\1\0\x76\0", 10);
    buf_add(&b, header, sizeof(header));
    for (int i = 0; i < rows; i++)
        add_row(&b);
    ckpt_write(path, b.data, b.n);
    buf_free(&b);
}

/* ---- all of it ---- */

static FILE *create(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        fail("cannot be created", path);
    return f;
}

static void write_model(const char *dir, const char *shape, uint64_t seed, int rows)
{
    char path[4096];
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        fail("cannot be created", dir);
    snprintf(path, sizeof(path), "%s/pipeline.config", dir);
    FILE *f = create(path);
    print_config(f, shape, seed);
    fclose(f);
    snprintf(path, sizeof(path), "%s/checkpoint", dir);
    f = create(path);
    fprintf(f, "model_checkpoint_path: \"model.ckpt-%d\"\n", net.step);
    fclose(f);
    snprintf(path, sizeof(path), "%s/model.ckpt-%d", dir, net.step);
    struct ckpt *c = ckpt_begin(path, net.shards);
    put_variables(c);
    ckpt_end(c);
    snprintf(path, sizeof(path), "%s/features.npy", dir);
    write_features(path, rows);
    for (int i = 0; i < net.n_features; i++)
        free((void *)net.feature[i].table);
}

static bool make_net(const char *shape)
{
    net.step = between(1, 9) * 100;
    if (strcmp(shape, "random") == 0) {
        random_shape();
        return true;
    }
    if (strcmp(shape, "acts") == 0) {
        all_activations();
        return true;
    }
    for (size_t i = 0; i < COUNT(shapes); i++)
        if (strcmp(shape, shapes[i].name) == 0) {
            make_shape(&shapes[i]);
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    const char *dir = NULL, *shape = "random";
    uint64_t seed = 0;
    int rows = 64;
    bool usage = false;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' && !dir)
            dir = argv[i];
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--shape") == 0 && i + 1 < argc)
            shape = argv[++i];
        else if (strcmp(argv[i], "--rows") == 0 && i + 1 < argc)
            rows = atoi(argv[++i]);
        else
            usage = true;
    }
    state = seed;
    if (usage || !dir || rows < 0 || !make_net(shape)) {
        fprintf(stderr, "usage: random_model DIR --seed N [--rows N]\n"
                        "                    [--shape m1|m2|m3|m4|wide64|tiny|acts|random]\n");
        return 2;
    }
    write_model(dir, shape, seed, rows);
    return 0;
}
