// SPDX-License-Identifier: Apache-2.0
/* features.c: names and widths of what enters the experts.
 *
 * The experts' input is [plain columns][sequence columns, by name][target attention outputs]. This file finds the
 * features of the group "all", their kinds, columns and tables, as EasyRec's feature_column.py and input_layer.py make
 * them. What could not be computed from raw rows is noted as trouble and never blocks the dense part.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "easyrec.pb-c.h"
#include "mmoec.h"

typedef Easyrec__FeatureConfig feature_config;

struct finder {
    struct job *job;
    const struct config *c;
    const feature_config **configs;     /* all of them, shared names expanded */
    const char **keys;
    size_t n_configs;
    struct feature *plain, *sequences, *attention;
    int n_plain, n_sequences, n_attention;
    int batch_norms;
};

static const char *text_of(const char *text) { return text ? text : ""; }

static const char *shown(struct finder *f, const char *text) { return escaped(&f->job->arena, text, strlen(text)); }

/* ---- the list of feature configs ------------------------------------------------------------------------------- */

static const char *key_of(const feature_config *fc)
{
    return fc->feature_name && *fc->feature_name ? fc->feature_name : fc->n_input_names ? fc->input_names[0] : "";
}

static void add_config(struct finder *f, const feature_config *fc, const char *key)
{
    f->configs[f->n_configs] = fc;
    f->keys[f->n_configs++] = key;
}

/* feature_configs wins over feature_config.features; copies for shared_names come after all others. */
static void list_configs(struct finder *f, const Easyrec__EasyRecConfig *top)
{
    feature_config **all = top->feature_configs;
    size_t n = top->n_feature_configs, shared = 0;
    if (!n && top->feature_config) {
        all = top->feature_config->features;
        n = top->feature_config->n_features;
    }
    for (size_t i = 0; i < n; i++)
        shared += all[i]->n_shared_names;
    f->configs = NEW_ARRAY(f->job, n + shared, const feature_config *);
    f->keys = NEW_ARRAY(f->job, n + shared, const char *);
    for (size_t i = 0; i < n; i++)
        add_config(f, all[i], key_of(all[i]));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < all[i]->n_shared_names; k++)
            add_config(f, all[i], all[i]->shared_names[k]);
}

static const feature_config *find_config(const struct finder *f, const char *key)
{
    for (size_t i = 0; i < f->n_configs; i++)
        if (strcmp(f->keys[i], key) == 0)
            return f->configs[i];
    return NULL;
}

/* ---- one feature --------------------------------------------------------------------------------------------------- */

static bool is_raw_bucketed(const feature_config *fc)
{
    return fc->n_boundaries || (fc->num_buckets > 1 && fc->max_val > fc->min_val);
}

/* A table that at least two features name belongs to all of them. */
static bool is_shared(const struct finder *f, const feature_config *fc)
{
    int carriers = 0;
    if (!*text_of(fc->embedding_name))
        return false;
    for (size_t i = 0; i < f->n_configs; i++)
        carriers += strcmp(text_of(f->configs[i]->embedding_name), fc->embedding_name) == 0;
    return carriers > 1;
}

/* Column name without "_embedding"; NULL where no table is. Source: FeatureColumnParser. */
static const char *column_stem(struct finder *f, const feature_config *fc, const char *key)
{
    struct arena *a = &f->job->arena;
    switch (fc->feature_type) {
    case EASYREC__FEATURE_CONFIG__FEATURE_TYPE__TagFeature:
        return fc->kv_separator || fc->n_input_names > 1 ? arena_print(a, "%s_weighted_by_%s_w", key, key) : key;
    case EASYREC__FEATURE_CONFIG__FEATURE_TYPE__RawFeature:
        if (is_raw_bucketed(fc))
            return arena_print(a, "%s_bucketized", key);
        return fc->embedding_dim ? arena_print(a, "%s_weighted_by_%s_raw_proj_val", key, key) : NULL;
    case EASYREC__FEATURE_CONFIG__FEATURE_TYPE__SequenceFeature:
        return fc->sub_feature_type == EASYREC__FEATURE_CONFIG__FEATURE_TYPE__RawFeature && is_raw_bucketed(fc)
                   ? arena_print(a, "%s_bucketized", key) : key;
    case EASYREC__FEATURE_CONFIG__FEATURE_TYPE__ExprFeature:
        return NULL;
    default:
        return key;
    }
}

static uint64_t rows_of(const feature_config *fc)
{
    if (fc->feature_type == EASYREC__FEATURE_CONFIG__FEATURE_TYPE__RawFeature) {
        uint64_t ids = fc->n_boundaries ? fc->n_boundaries + 1 : fc->num_buckets + 1;
        return (is_raw_bucketed(fc) ? ids : 1) * fc->raw_input_dim;
    }
    return fc->hash_bucket_size ? fc->hash_bucket_size : fc->n_vocab_list ? fc->n_vocab_list : fc->num_buckets;
}

static const char *trouble_of(const feature_config *fc)
{
    if (fc->ev_params)
        return "its table is an EmbeddingVariable outside of the checkpoint";
    if (fc->vocab_file && !fc->hash_bucket_size && !fc->n_vocab_list)
        return "its vocabulary is in a file that the model does not have";
    if (fc->feature_type == EASYREC__FEATURE_CONFIG__FEATURE_TYPE__ExprFeature)
        return "expressions are not supported";
    return NULL;
}

static int width_of(const feature_config *fc)
{
    if (fc->feature_type == EASYREC__FEATURE_CONFIG__FEATURE_TYPE__ExprFeature)
        return 1;
    if (fc->feature_type == EASYREC__FEATURE_CONFIG__FEATURE_TYPE__RawFeature && !fc->embedding_dim &&
        !is_raw_bucketed(fc))
        return (int)fc->raw_input_dim;
    return (int)fc->embedding_dim;
}

static void describe(struct finder *f, struct feature *to, const feature_config *fc, const char *key)
{
    struct arena *a = &f->job->arena;
    const ProtobufCEnumValue *kind =
        protobuf_c_enum_descriptor_get_value(&easyrec__feature_config__feature_type__descriptor, (int)fc->feature_type);
    const char *stem = column_stem(f, fc, key);
    bool sequence = fc->feature_type == EASYREC__FEATURE_CONFIG__FEATURE_TYPE__SequenceFeature;
    *to = (struct feature){.key = key, .kind = kind ? kind->name : "?", .width = width_of(fc),
                           .trouble = trouble_of(fc), .pos = field_pos(f->c, fc, 0, 0)};
    to->column = !stem ? key : arena_print(a, is_shared(f, fc) ? "%s_shared_embedding" : "%s_embedding", stem);
    if (stem) {
        const char *scope = is_shared(f, fc) ? fc->embedding_name : to->column;
        to->table = arena_print(a, sequence ? "%s/embedding_weights" : "input_layer/%s/embedding_weights", scope);
        to->table_rows = rows_of(fc);
    }
}

/* What EasyRec itself cannot build, and what would make widths wrong. */
static bool check_feature(struct finder *f, const feature_config *fc, const char *key)
{
    struct pos pos = field_pos(f->c, fc, 0, 0);
    bool raw = fc->feature_type == EASYREC__FEATURE_CONFIG__FEATURE_TYPE__RawFeature;
    bool table = column_stem(f, fc, key) != NULL;
    if (fc->feature_type == EASYREC__FEATURE_CONFIG__FEATURE_TYPE__PassThroughFeature)
        error(f->job, BAD_INPUT, pos, "feature", NULL, "the PassThroughFeature \"%s\" makes no column, yet a group names it",
              shown(f, key));
    else if (table && fc->embedding_dim == 0)
        error(f->job, BAD_INPUT, pos, "feature", "set embedding_dim", "the feature \"%s\" needs embedding_dim above 0",
              shown(f, key));
    else if (fc->embedding_dim > 1 << 20 || fc->raw_input_dim > 1 << 20)
        error(f->job, UNSUPPORTED, pos, "unsupported", NULL, "the feature \"%s\" is wider than %d columns", shown(f, key),
              1 << 20);
    else if (table && !raw && rows_of(fc) == 0 && !fc->vocab_file && !fc->ev_params)
        error(f->job, BAD_INPUT, pos, "feature", "set hash_bucket_size, num_buckets or vocab_list",
              "the feature \"%s\" has no table: its number of ids is 0", shown(f, key));
    else
        return true;
    return false;
}

/* ---- the group -------------------------------------------------------------------------------------------------------- */

/* prefix[3-7] means prefix3 .. prefix7. Returns how many names there are, 1 if it is not a range. */
static int range(const char *name, int *first, size_t *prefix)
{
    const char *open = strchr(name, '[');
    int last, end = 0;
    if (!open || sscanf(open, "[%d-%d]%n", first, &last, &end) < 2 || !end || open[end] || *first < 0 || last < *first ||
        last - *first >= 100000)
        return 1;
    *prefix = (size_t)(open - name);
    return last - *first + 1;
}

static void add_named(struct finder *f, const char *key, struct pos pos)
{
    const feature_config *fc = find_config(f, key);
    if (!fc) {
        const char **names = NEW_ARRAY(f->job, f->n_configs + 1, const char *);
        if (f->n_configs)
            memcpy(names, f->keys, f->n_configs * sizeof *names);
        const char *near = near_miss(key, names);
        error(f->job, BAD_INPUT, pos, "feature", near ? arena_print(&f->job->arena, "did you mean \"%s\"?", near) : NULL,
              "the group names \"%s\", which no feature config defines", shown(f, key));
        return;
    }
    if (!check_feature(f, fc, key))
        return;
    if (fc->feature_type == EASYREC__FEATURE_CONFIG__FEATURE_TYPE__SequenceFeature) {
        if (!fc->sequence_combiner || fc->sequence_combiner->combiner_case == EASYREC__SEQUENCE_COMBINER__COMBINER__NOT_SET)
            error(f->job, BAD_INPUT, field_pos(f->c, fc, 0, 0), "feature", "set sequence_combiner { attention {} }",
                  "the SequenceFeature \"%s\" needs a sequence_combiner", shown(f, key));
        struct feature *s = &f->sequences[f->n_sequences++];
        describe(f, s, fc, key);
        if (fc->sequence_combiner && fc->sequence_combiner->combiner_case != EASYREC__SEQUENCE_COMBINER__COMBINER_ATTENTION) {
            s->trouble = "its sequence_combiner is not attention";
            s->width = 0;
        }
    } else {
        describe(f, &f->plain[f->n_plain++], fc, key);
    }
}

static void add_group(struct finder *f, const Easyrec__FeatureGroupConfig *g)
{
    size_t names = 0;
    int first = 0;
    size_t prefix = 0;
    for (size_t i = 0; i < g->n_feature_names; i++)
        names += (size_t)range(g->feature_names[i], &first, &prefix);
    f->plain = NEW_ARRAY(f->job, names, struct feature);
    f->sequences = NEW_ARRAY(f->job, names, struct feature);
    for (size_t i = 0; i < g->n_feature_names; i++) {
        const char *name = g->feature_names[i];
        struct pos pos = field_pos(f->c, g, 2, i);
        int n = range(name, &first, &prefix);
        for (int k = 0; n > 1 && k < n; k++)
            add_named(f, arena_print(&f->job->arena, "%.*s%d", (int)prefix, name, first + k), pos);
        if (n == 1)
            add_named(f, name, pos);
    }
}

/* ---- target attention ---------------------------------------------------------------------------------------------------- */

static int sum_widths(struct finder *f, char **keys, size_t n, struct pos pos)
{
    int width = 0;
    for (size_t i = 0; i < n; i++) {
        const feature_config *fc = find_config(f, keys[i]);
        if (!fc)
            error(f->job, BAD_INPUT, pos, "feature", NULL, "sequence_features names \"%s\", which no feature config defines",
                  shown(f, keys[i]));
        width += fc ? width_of(fc) : 0;
    }
    return width;
}

/* [r, r_aux..., q]: widths of the histories, the auxiliary histories, and the key if it is kept. */
static void add_attention(struct finder *f, const Easyrec__SeqAttGroupConfig *g)
{
    int keys = 0, history = 0, aux = 0;
    struct pos pos = field_pos(f->c, g, 0, 0);
    for (size_t i = 0; i < g->n_seq_att_map; i++) {
        const Easyrec__SeqAttMap *m = g->seq_att_map[i];
        keys += sum_widths(f, m->key, m->n_key, pos);
        history += sum_widths(f, m->hist_seq, m->n_hist_seq, pos);
        aux += sum_widths(f, m->aux_hist_seq, m->n_aux_hist_seq, pos);
    }
    bool padded = g->allow_key_transform && history > keys && !g->transform_dnn;
    if (keys != history && !g->allow_key_transform)
        error(f->job, BAD_INPUT, pos, "attention", "or set allow_key_transform",
              "keys are %d columns and histories %d: they must be equal", keys, history);
    struct feature *a = &f->attention[f->n_attention++];
    const char *name = text_of(g->group_name);
    int query = padded || g->allow_key_transform ? history : keys;
    *a = (struct feature){.key = name, .kind = "target attention", .column = name, .pos = pos,
                          .width = history + aux + (g->need_key_feature ? query : 0)};
    if (g->seq_dnn && g->seq_dnn->activation && strcmp(g->seq_dnn->activation, "dice") == 0 && g->seq_dnn->n_hidden_units)
        f->batch_norms += (int)g->seq_dnn->n_hidden_units - 1;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------ */

static int by_column(const void *a, const void *b)
{
    return strcmp(((const struct feature *)a)->column, ((const struct feature *)b)->column);
}

static const Easyrec__FeatureGroupConfig *find_group(struct finder *f, const Easyrec__EasyRecConfig *top)
{
    const Easyrec__EasyRecModel *m = top->model_config;
    const Easyrec__FeatureGroupConfig *all = NULL;
    for (size_t i = 0; m && i < m->n_feature_groups; i++)
        if (strcmp(text_of(m->feature_groups[i]->group_name), "all") == 0)
            all = m->feature_groups[i];
    if (!all) {
        error(f->job, BAD_INPUT, m ? field_pos(f->c, m, 0, 0) : field_pos(f->c, top, 0, 0), "group",
              "MMoE reads feature_groups { group_name: \"all\" ... }", "there is no feature group named \"all\"");
        return NULL;
    }
    if (all->wide_deep != EASYREC__WIDE_OR_DEEP__DEEP) {
        error(f->job, BAD_INPUT, field_pos(f->c, all, 3, 0), "group", NULL, "the group \"all\" must be DEEP for MMoE");
        return NULL;
    }
    return all;
}

/* Places columns one after the other; 0 if a width is not known. */
static int place(struct features *to, const struct feature *from, int n, int first)
{
    for (int i = 0; i < n; i++) {
        struct feature *x = &to->feature[to->n_features++];
        *x = from[i];
        x->first = first;
        first = first < 0 || x->width == 0 ? -1 : first + x->width;
    }
    return first;
}

static const char *explain(struct finder *f, const struct features *all)
{
    bool equal = all->n_features > 0;
    for (int i = 1; i < all->n_features; i++)
        equal &= all->feature[i].width == all->feature[0].width;
    if (!all->width)
        return "the width of a feature of the group \"all\" is not known";
    if (equal && all->n_features > 1)
        return arena_print(&f->job->arena, "the group \"all\" has %d features of %d columns: %d", all->n_features,
                           all->feature[0].width, all->width);
    return arena_print(&f->job->arena, "the group \"all\" has %d feature%s, %d columns", all->n_features,
                       all->n_features == 1 ? "" : "s", all->width);
}

static void check_duplicates(struct finder *f)
{
    for (int i = 0; i < f->n_plain; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(f->plain[i].column, f->plain[k].column) == 0) {
                error(f->job, BAD_INPUT, f->plain[i].pos, "feature", NULL, "the feature \"%s\" is in the group twice",
                      shown(f, f->plain[i].key));
                return;
            }
}

struct features *read_features(struct job *job, const struct config *c)
{
    if (!c)
        return NULL;
    int errors = job->errors;
    const Easyrec__EasyRecConfig *top = (const Easyrec__EasyRecConfig *)c->message;
    struct finder f = {.job = job, .c = c};
    list_configs(&f, top);
    const Easyrec__FeatureGroupConfig *group = find_group(&f, top);
    if (!group)
        return NULL;
    add_group(&f, group);
    check_duplicates(&f);
    f.attention = NEW_ARRAY(job, group->n_sequence_features, struct feature);
    for (size_t i = 0; i < group->n_sequence_features; i++)
        add_attention(&f, group->sequence_features[i]);
    if (job->options->feature_order == ORDER_NAME)
        qsort(f.plain, (size_t)f.n_plain, sizeof *f.plain, by_column);
    qsort(f.sequences, (size_t)f.n_sequences, sizeof *f.sequences, by_column);

    struct features *all = NEW(job, struct features);
    all->order = job->options->feature_order;
    all->batch_norms = f.batch_norms;
    all->feature = NEW_ARRAY(job, (size_t)(f.n_plain + f.n_sequences + f.n_attention), struct feature);
    int width = place(all, f.plain, f.n_plain, 0);
    width = place(all, f.sequences, f.n_sequences, width);
    width = place(all, f.attention, f.n_attention, width);
    all->width = width > 0 ? width : 0;
    all->why = explain(&f, all);
    if (all->n_features == 0)
        error(job, BAD_INPUT, field_pos(c, group, 0, 0), "group", NULL, "the group \"all\" has no features");
    return job->errors == errors ? all : NULL;
}
