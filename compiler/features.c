// SPDX-License-Identifier: Apache-2.0
/* features.c: names and widths of what enters the experts.
 *
 * The experts' input is [plain columns][sequence columns, by name][target attention outputs]. This
 * file finds the features of the group "all", their kinds, columns and tables, as EasyRec 0.8.7
 * makes them (feature_column/feature_column.py, feature_column/feature_group.py,
 * layers/input_layer.py, layers/sequence_feature_layer.py, utils/config_util.py).
 *
 * What EasyRec cannot build, or what leaves a width wrong, is an error. What only keeps a feature
 * from being computed from raw rows is its trouble, and a warning: whoever brings the columns does
 * not need it. Rules about input_type are of that kind, for some of EasyRec's readers bring columns
 * that are already split and typed (input/odps_rtp_input.py).
 *
 * How to read it: names that can be searched; the list of features; one feature: table, width;
 * faults; trouble; the group; target attention; what is the user's; all of it; another order:
 * by names of EasyRec up to 0.5.7, as a graph has it.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <protobuf-c/protobuf-c.h>

#include "easyrec.pb-c.h"
#include "mmoec.h"

#define KIND(name) EASYREC__FEATURE_CONFIG__FEATURE_TYPE__##name
#define FIELD(name) EASYREC__DATASET_CONFIG__FIELD_TYPE__##name
#define MOST_NAMES (1 << 17)            /* ranges expand to at most so many */
#define MOST_UNKNOWN 20                 /* messages about names that are not configured */
#define WIDEST_FEATURE (1 << 20)
#define WIDEST_INPUT (1 << 24)

typedef Easyrec__FeatureConfig feature_config;

/* A feature: a config, or its copy for one of its shared_names. */
struct entry {
    const feature_config *fc;
    const char *key;
    const char *input;      /* a copy's only input; NULL: those of fc */
};

struct named {
    const char *name;
    const void *what;
    size_t order;           /* in which they came */
    struct pos pos;
};

struct list {
    struct named *at;
    size_t n, room;
};

struct finder {
    struct job *job;
    struct arena *arena;
    const struct config *c;
    const Easyrec__EasyRecConfig *top;
    const Easyrec__FeatureGroupConfig *group;
    struct list keys;       /* -> entry, sorted; one a key */
    struct list sharers;    /* -> entry, by embedding_name, sorted */
    struct list fields;     /* -> a Field of data_config, sorted */
    unsigned long expanded; /* names that ranges meant so far */
    int unknown;            /* names that are not configured */
    struct list members;    /* -> entry: what sequence_features names */
    struct row_column *columns; /* of the data, in the file's order */
    struct feature *plain, *sequences, *attention;
    struct pos *plain_pos;  /* where the group names them */
    int n_plain, n_sequences, n_attention;
    int batch_norms;
};

static const char *text_of(const char *text) { return text ? text : ""; }

static bool is_text(const char *text) { return text && *text; }

static const char *shown(struct finder *f, const char *text)
{
    return escaped(f->arena, text, strlen(text));
}

/* ---- names that can be searched -------------------------------------------------------------- */

static void add_name(struct finder *f, struct list *l, const char *name, const void *what,
                     struct pos pos)
{
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 64;
        struct named *more = NEW_ARRAY(f->job, l->room, struct named);
        if (l->n)
            memcpy(more, l->at, l->n * sizeof *more);
        l->at = more;
    }
    l->at[l->n] = (struct named){name, what, l->n, pos};
    l->n++;
}

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int d = strcmp(x->name, y->name);
    return d ? d : x->order < y->order ? -1 : x->order > y->order;
}

static void sort_names(struct list *l)
{
    if (l->n)
        qsort(l->at, l->n, sizeof *l->at, by_name);
}

/* The first of that name; NULL if there is none. */
static const struct named *find_name(const struct list *l, const char *name)
{
    size_t low = 0, high = l->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(l->at[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->n && strcmp(l->at[low].name, name) == 0 ? &l->at[low] : NULL;
}

/* The next in the list, if it has the same name. */
static const struct named *next_of(const struct list *l, const struct named *n)
{
    return n + 1 < l->at + l->n && strcmp(n[1].name, n->name) == 0 ? n + 1 : NULL;
}

/* EasyRec's pattern: letters and _, then [a-b]; it does not look at what comes after. */
static bool read_range(const char *text, size_t *prefix, unsigned long *first, unsigned long *last)
{
    char *end;
    for (*prefix = 0; isalpha((unsigned char)text[*prefix]) || text[*prefix] == '_'; ++*prefix)
        ;
    if (!*prefix || text[*prefix] != '[' || !isdigit((unsigned char)text[*prefix + 1]))
        return false;
    *first = strtoul(text + *prefix + 1, &end, 10);
    if (*end != '-' || !isdigit((unsigned char)end[1]))
        return false;
    *last = strtoul(end + 1, &end, 10);
    return *end == ']';
}

/* Adds a name, or all that prefix[3-7] means. */
static void expand(struct finder *f, struct list *to, const char *text, const void *what,
                   struct pos pos)
{
    size_t prefix;
    unsigned long first, last;
    if (!read_range(text, &prefix, &first, &last)) {
        add_name(f, to, text, what, pos);
        return;
    }
    unsigned long n = last < first ? 0 : last - first + 1;      /* 0, too, for all there are */
    if (last >= first && (!n || n > MOST_NAMES - f->expanded)) {
        blame(f->job, UNSUPPORTED, pos, "unsupported", NULL,
              "with \"%s\" ranges mean more than %d names", shown(f, text), MOST_NAMES);
        return;
    }
    f->expanded += n;
    for (unsigned long i = 0; i < n; i++)
        add_name(f, to, arena_print(f->arena, "%.*s%lu", (int)prefix, text, first + i), what, pos);
}

/* ---- the list of features -------------------------------------------------------------------- */

static const char *key_of(const feature_config *fc)
{
    return fc->feature_name ? fc->feature_name : fc->n_input_names ? fc->input_names[0] : "";
}

static void add_entry(struct finder *f, struct list *to, const feature_config *fc,
                      const char *input)
{
    struct entry *e = NEW(f->job, struct entry);
    *e = (struct entry){fc, fc->feature_name || !input ? key_of(fc) : input, input};
    struct pos pos = field_pos(f->c, fc, 0, 0);
    add_name(f, to, e->key, e, pos);
    if (is_text(fc->embedding_name))
        add_name(f, &f->sharers, fc->embedding_name, e, pos);
}

/* Copies for shared_names come after all others. */
static void add_copies(struct finder *f, struct list *to, const feature_config *fc)
{
    bool ranges = f->top->data_config && f->top->data_config->auto_expand_input_fields;
    struct list names = {0};
    for (size_t i = 0; i < fc->n_shared_names; i++)
        if (ranges)
            expand(f, &names, fc->shared_names[i], NULL, field_pos(f->c, fc, 16, i));
        else
            add_name(f, &names, fc->shared_names[i], NULL, field_pos(f->c, fc, 16, i));
    for (size_t i = 0; i < names.n; i++)
        add_entry(f, to, fc, names.at[i].name);
}

/* Of features with the same key the last counts, as in EasyRec's dictionaries. */
static void keep_last(struct finder *f, const struct list *all)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct named *n = &all->at[i];
        if (next_of(all, n))
            warning(f->job, n->pos, "feature", NULL,
                    "the feature \"%s\" is configured again: the last one counts",
                    shown(f, n->name));
        else
            add_name(f, &f->keys, n->name, n->what, n->pos);
    }
}

/* feature_configs wins over feature_config.features. */
static void list_features(struct finder *f)
{
    feature_config **fc = f->top->feature_configs;
    size_t n = f->top->n_feature_configs;
    struct list all = {0};
    if (!n && f->top->feature_config) {
        fc = f->top->feature_config->features;
        n = f->top->feature_config->n_features;
    }
    for (size_t i = 0; i < n; i++)
        add_entry(f, &all, fc[i], NULL);
    for (size_t i = 0; i < n; i++)
        add_copies(f, &all, fc[i]);
    sort_names(&all);
    sort_names(&f->sharers);
    keep_last(f, &all);
}

static bool is_label(const Easyrec__DatasetConfig *data, const char *name)
{
    for (size_t i = 0; i < data->n_label_fields; i++)
        if (strcmp(data->label_fields[i], name) == 0)
            return true;
    return false;
}

static enum mmoe_field_type column_type(int field)
{
    switch (field) {
    case FIELD(INT32): return MMOE_FIELD_INT32;
    case FIELD(INT64): return MMOE_FIELD_INT64;
    case FIELD(FLOAT): return MMOE_FIELD_FLOAT;
    case FIELD(DOUBLE): return MMOE_FIELD_DOUBLE;
    case FIELD(BOOL): return MMOE_FIELD_BOOL;
    default: return MMOE_STRING;
    }
}

/* The fields while they are in the file's order. */
static void list_columns(struct finder *f)
{
    f->columns = NEW_ARRAY(f->job, f->fields.n, struct row_column);
    for (size_t i = 0; i < f->fields.n; i++) {
        const struct named *n = &f->fields.at[i];
        const Easyrec__DatasetConfig__Field *field = n->what;
        f->columns[i] = (struct row_column){.name = n->name, .type = column_type((int)field->input_type),
                                        .fallback = text_of(field->default_val), .pos = n->pos,
                                        .label = is_label(f->top->data_config, n->name)};
    }
}

static void list_fields(struct finder *f)
{
    const Easyrec__DatasetConfig *data = f->top->data_config;
    for (size_t i = 0; data && i < data->n_input_fields; i++) {
        const Easyrec__DatasetConfig__Field *field = data->input_fields[i];
        struct pos pos = field_pos(f->c, field, 1, 0);
        if (data->auto_expand_input_fields)
            expand(f, &f->fields, text_of(field->input_name), field, pos);
        else
            add_name(f, &f->fields, text_of(field->input_name), field, pos);
    }
    list_columns(f);
    sort_names(&f->fields);
}

/* NULL after an error; `who` names it. */
static const struct entry *find_entry(struct finder *f, const char *key, const char *who,
                                      struct pos pos)
{
    const struct named *found = find_name(&f->keys, key);
    if (found)
        return found->what;
    if (f->unknown++ >= MOST_UNKNOWN) {
        if (f->unknown == MOST_UNKNOWN + 1)
            note(f->job, pos, "and more names that no feature config defines");
        return NULL;
    }
    const char **names = NEW_ARRAY(f->job, f->keys.n + 1, const char *);
    for (size_t i = 0; i < f->keys.n; i++)
        names[i] = f->keys.at[i].name;
    const char *near = near_miss(key, names);
    blame(f->job, BAD_INPUT, pos, "feature",
          near ? arena_print(f->arena, "did you mean \"%s\"?", shown(f, near)) : NULL,
          "%s names \"%s\", which no feature config defines", who, shown(f, key));
    return NULL;
}

/* ---- one feature: its table and its width ---------------------------------------------------- */

static size_t inputs_of(const struct entry *e) { return e->input ? 1 : e->fc->n_input_names; }

static const char *input_of(const struct entry *e, size_t i)
{
    return e->input ? e->input : e->fc->input_names[i];
}

static bool is_sequence(const feature_config *fc)
{
    return fc->feature_type == KIND(SequenceFeature);
}

/* Numbers, as a feature or as the steps of a sequence. */
static bool is_raw(const feature_config *fc)
{
    return (is_sequence(fc) ? fc->sub_feature_type : fc->feature_type) == KIND(RawFeature);
}

static bool is_bucketed(const feature_config *fc)
{
    return is_raw(fc) && (fc->n_boundaries || (fc->num_buckets > 1 && fc->max_val > fc->min_val));
}

static bool has_table(const feature_config *fc)
{
    if (is_raw(fc))
        return is_bucketed(fc) || fc->embedding_dim;
    return fc->feature_type != KIND(ExprFeature);
}

/* The first feature that names the same table, if there are at least two. All features count, those
   in no group, too. */
static const struct entry *first_sharer(const struct finder *f, const feature_config *fc)
{
    if (!is_text(fc->embedding_name))
        return NULL;
    const struct named *first = find_name(&f->sharers, fc->embedding_name);
    return first && next_of(&f->sharers, first) ? first->what : NULL;
}

/* All that carry the name of a table must agree, those in no group, too. */
static void check_sharers(struct finder *f)
{
    const struct named *first = NULL;
    bool told = false;
    for (size_t i = 0; i < f->sharers.n; i++) {
        const struct named *n = &f->sharers.at[i];
        if (!first || strcmp(first->name, n->name) != 0) {
            first = n;
            told = false;
        }
        const struct entry *a = first->what, *b = n->what;
        unsigned field = a->fc->embedding_dim != b->fc->embedding_dim ? 5
                         : strcmp(text_of(a->fc->combiner), text_of(b->fc->combiner)) != 0 ? 19
                         : a->fc->max_partitions != b->fc->max_partitions ? 18 : 0;
        if (!field || told)
            continue;
        blame(f->job, BAD_INPUT, field_pos(f->c, b->fc, field, 0), "feature", NULL,
              "\"%s\" and \"%s\" share the table \"%s\" and must have the same %s",
              shown(f, b->key), shown(f, a->key), shown(f, n->name),
              protobuf_c_message_descriptor_get_field(b->fc->base.descriptor, field)->name);
        told = true;
    }
}

/* The column's name without "_embedding". */
static const char *column_stem(struct finder *f, const struct entry *e)
{
    const feature_config *fc = e->fc;
    if (fc->feature_type == KIND(TagFeature) && (fc->kv_separator || inputs_of(e) > 1))
        return arena_print(f->arena, "%s_weighted_by_%s_w", e->key, e->key);
    if (is_bucketed(fc))
        return arena_print(f->arena, "%s_bucketized", e->key);
    if (is_raw(fc))
        return arena_print(f->arena, "%s_weighted_by_%s_raw_proj_val", e->key, e->key);
    return e->key;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *old_combo(struct finder *f, const struct entry *e)
{
    size_t n = inputs_of(e);
    const char **names = NEW_ARRAY(f->job, n, const char *);
    struct text t = {.arena = f->arena};
    for (size_t i = 0; i < n; i++)
        names[i] = input_of(e, i);
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++)
        text_print(&t, "%s%s", i ? "_X_" : "", names[i]);
    return t.data;
}

/* The same up to EasyRec 0.5.7: after the inputs, not the key. */
static const char *old_stem(struct finder *f, const struct entry *e)
{
    const feature_config *fc = e->fc;
    const char *i0 = input_of(e, 0);
    switch (fc->feature_type) {
    case KIND(TagFeature):
        return inputs_of(e) > 1 ? arena_print(f->arena, "%s_weighted_by_%s", i0, input_of(e, 1))
               : fc->kv_separator ? arena_print(f->arena, "%s_weighted_by_%s_WEIGHT", i0, i0) : i0;
    case KIND(RawFeature):
        return !has_table(fc) ? i0
               : is_bucketed(fc) ? arena_print(f->arena, "%s_bucketized", i0)
               : arena_print(f->arena, "%s_raw_proj_id_weighted_by_%s_raw_proj_val", i0, i0);
    case KIND(ComboFeature): return old_combo(f, e);
    case KIND(LookupFeature):
    case KIND(ExprFeature): return e->key;
    default: return i0;
    }
}

static uint64_t rows_of(const feature_config *fc)
{
    if (is_bucketed(fc))
        return ((fc->n_boundaries ? fc->n_boundaries : fc->num_buckets) + 1) * fc->raw_input_dim;
    if (is_raw(fc))
        return fc->raw_input_dim;
    if (fc->hash_bucket_size || fc->feature_type == KIND(ComboFeature) ||
        fc->feature_type == KIND(LookupFeature))
        return fc->hash_bucket_size;
    return fc->n_vocab_list ? fc->n_vocab_list : fc->num_buckets;
}

/* Columns of a feature as one vector; 0 for steps of bare numbers, which nothing here needs. */
static int width_of(const feature_config *fc)
{
    if (has_table(fc))
        return (int)fc->embedding_dim;
    return is_sequence(fc) ? 0 : is_raw(fc) ? (int)fc->raw_input_dim : 1;
}

/* A combined sequence: attention keeps its width; a text_cnn ends in its MLP or its filters. */
static int combined_width(const feature_config *fc)
{
    const Easyrec__SequenceCombiner *s = fc->sequence_combiner;
    if (!s || s->combiner_case != EASYREC__SEQUENCE_COMBINER__COMBINER_TEXT_CNN)
        return width_of(fc);
    const Easyrec__TextCNN *cnn = s->text_cnn;
    uint64_t width = 0;
    for (size_t i = 0; i < cnn->n_num_filters && i < cnn->n_filter_sizes; i++)
        width += cnn->num_filters[i];
    if (cnn->mlp && cnn->mlp->n_hidden_units)
        width = cnn->mlp->hidden_units[cnn->mlp->n_hidden_units - 1];
    return width <= WIDEST_FEATURE ? (int)width : 0;
}

/* ---- faults: what EasyRec cannot build ------------------------------------------------------- */

static bool known_combiner(const feature_config *fc)
{
    static const char *const known[] = {"sum", "mean", "sqrtn"};
    for (size_t i = 0; i < COUNT(known); i++)
        if (strcmp(text_of(fc->combiner), known[i]) == 0)
            return true;
    return false;
}

/* From texts or numbers to rows of the table. */
static const char *ids_fault(const feature_config *fc)
{
    if (field_set(fc, 6) && !fc->hash_bucket_size)
        return "its hash_bucket_size is 0";
    return rows_of(fc) || is_text(fc->vocab_file)
               ? NULL : "it has none of hash_bucket_size, vocab_list and num_buckets";
}

static const char *tag_fault(const struct entry *e)
{
    if (e->fc->kv_separator && inputs_of(e) > 1)
        return "it has both kv_separator and an input of weights";
    return known_combiner(e->fc) ? ids_fault(e->fc) : "its combiner is none of sum, mean, sqrtn";
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static bool equal_boundaries(struct finder *f, const feature_config *fc)
{
    double *sorted = NEW_ARRAY(f->job, fc->n_boundaries, double);
    memcpy(sorted, fc->boundaries, fc->n_boundaries * sizeof *sorted);
    qsort(sorted, fc->n_boundaries, sizeof *sorted, by_size);
    for (size_t i = 1; i < fc->n_boundaries; i++)
        if (sorted[i] == sorted[i - 1])
            return true;
    return false;
}

static const char *raw_fault(struct finder *f, const feature_config *fc)
{
    if (fc->n_boundaries > 1 && equal_boundaries(f, fc))
        return "two of its boundaries are equal";
    if (!is_bucketed(fc) && fc->num_buckets > 1 && fc->embedding_dim)
        return "it has num_buckets, but max_val is not above min_val";
    return NULL;
}

static const char *combo_fault(const struct entry *e)
{
    const feature_config *fc = e->fc;
    if (!is_text(fc->feature_name))
        return "it has no feature_name";
    if (inputs_of(e) < 2)
        return "it has fewer than two inputs";
    if (fc->n_combo_input_seps && fc->n_combo_input_seps != inputs_of(e))
        return "it has not one of combo_input_seps for each input";
    return fc->hash_bucket_size ? NULL : "it has no hash_bucket_size";
}

static const char *lookup_fault(const struct entry *e)
{
    return inputs_of(e) == 2 && e->fc->hash_bucket_size && is_text(e->fc->kv_separator)
               ? NULL : "it needs two inputs, hash_bucket_size and kv_separator";
}

static const char *fault_of(struct finder *f, const struct entry *e)
{
    if (!inputs_of(e))
        return "it has no input_names";
    switch (e->fc->feature_type) {
    case KIND(IdFeature): return ids_fault(e->fc);
    case KIND(TagFeature): return tag_fault(e);
    case KIND(RawFeature): return raw_fault(f, e->fc);
    case KIND(ComboFeature): return combo_fault(e);
    case KIND(LookupFeature): return lookup_fault(e);
    case KIND(ExprFeature): return is_text(e->fc->expression) ? NULL : "it has no expression";
    case KIND(SequenceFeature): return is_raw(e->fc) ? NULL : ids_fault(e->fc);
    default: return NULL;
    }
}

/* ---- trouble: why a feature cannot be computed from rows ------------------------------------- */

bool wants_rows(const struct options *o) { return o->rows || (o->from && strcmp(o->from, "rows") == 0); }

/* Of the feature's i-th input: a FIELD, or -1 if the config does not tell. */
static int type_of(const struct finder *f, const struct entry *e, size_t i)
{
    const struct named *n = i < inputs_of(e) ? find_name(&f->fields, input_of(e, i)) : NULL;
    return n ? (int)((const Easyrec__DatasetConfig__Field *)n->what)->input_type : -1;
}

static bool is_float(int type) { return type == FIELD(FLOAT) || type == FIELD(DOUBLE); }

static bool is_string(int type) { return type == FIELD(STRING) || type < 0; }

static const char *ids_trouble(const feature_config *fc)
{
    bool in_file = !fc->hash_bucket_size && !fc->n_vocab_list && is_text(fc->vocab_file);
    return in_file ? "its vocabulary is in a file that the model does not have" : NULL;
}

static const char *id_trouble(const struct finder *f, const struct entry *e)
{
    const feature_config *fc = e->fc;
    int type = type_of(f, e, 0);
    if (ids_trouble(fc))
        return ids_trouble(fc);
    if (fc->hash_bucket_size)
        return is_float(type) && fc->precision <= 0 ? "its input is a float without precision"
                                                    : NULL;
    if (fc->n_vocab_list)
        return is_string(type) ? NULL : "it has a vocab_list, but its input is not a STRING";
    return is_float(type) || type == FIELD(BOOL) ? "its input is not a whole number" : NULL;
}

static const char *tag_trouble(const struct finder *f, const struct entry *e)
{
    bool texts = is_string(type_of(f, e, 0)) && is_string(type_of(f, e, 1));
    return texts ? ids_trouble(e->fc) : "its input is not a STRING";
}

static const char *raw_trouble(const struct finder *f, const struct entry *e)
{
    const feature_config *fc = e->fc;
    if (fc->normalizer_fn && strncmp(fc->normalizer_fn, "tf.", 3) != 0)
        return "its normalizer_fn is Python";
    if (fc->raw_input_dim > 1 && !is_string(type_of(f, e, 0)))
        return "it is a vector, but its input is not a STRING";
    return NULL;
}

static const char *combo_trouble(const struct finder *f, const struct entry *e)
{
    for (size_t i = 0; i < inputs_of(e); i++)
        if (is_float(type_of(f, e, i)) && e->fc->precision <= 0)
            return "an input of it is a float without precision";
    return NULL;
}

static const char *lookup_trouble(const struct finder *f, const struct entry *e)
{
    return is_string(type_of(f, e, 0)) && is_string(type_of(f, e, 1)) ? NULL
                                                                       : "an input is not a STRING";
}

static const char *expression_trouble(const struct finder *f, const struct entry *e)
{
    const char *trouble;
    const char *const *inputs = e->input ? &e->input : (const char *const *)e->fc->input_names;
    parse_expr(f->job, e->fc->expression, inputs, (int)inputs_of(e), &trouble);
    return trouble;
}

static const char *sequence_trouble(const struct finder *f, const struct entry *e)
{
    const Easyrec__SequenceCombiner *s = e->fc->sequence_combiner;
    if (is_raw(e->fc))
        return "its steps are numbers";
    if (s && s->combiner_case == EASYREC__SEQUENCE_COMBINER__COMBINER_TEXT_CNN)
        return "it is combined by a text_cnn";
    return is_string(type_of(f, e, 0)) ? ids_trouble(e->fc) : "its input is not a STRING";
}

static const char *trouble_of(const struct finder *f, const struct entry *e)
{
    switch (e->fc->feature_type) {
    case KIND(IdFeature): return id_trouble(f, e);
    case KIND(TagFeature): return tag_trouble(f, e);
    case KIND(RawFeature): return raw_trouble(f, e);
    case KIND(ComboFeature): return combo_trouble(f, e);
    case KIND(LookupFeature): return lookup_trouble(f, e);
    case KIND(ExprFeature): return expression_trouble(f, e);
    case KIND(SequenceFeature): return sequence_trouble(f, e);
    default: return NULL;
    }
}

/* ---- the group ------------------------------------------------------------------------------- */

static const char *kind_name(const feature_config *fc)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
        &easyrec__feature_config__feature_type__descriptor, (int)fc->feature_type);
    return v ? v->name : "?";
}

/* What leaves a width wrong or has no table that a checkpoint holds. */
static bool check_feature(struct finder *f, const struct entry *e)
{
    const feature_config *fc = e->fc;
    const char *key = shown(f, e->key), *fault = fault_of(f, e);
    struct pos dim = field_pos(f->c, fc, 5, 0);
    if (fc->feature_type == KIND(PassThroughFeature))
        blame(f->job, BAD_INPUT, field_pos(f->c, fc, 3, 0), "feature", NULL,
              "the PassThroughFeature \"%s\" makes no column, yet a group names it", key);
    else if (has_table(fc) && !fc->embedding_dim)
        blame(f->job, BAD_INPUT, dim, "feature", "set embedding_dim",
              "the feature \"%s\" needs embedding_dim above 0", key);
    else if (is_raw(fc) && !fc->raw_input_dim)
        blame(f->job, BAD_INPUT, field_pos(f->c, fc, 24, 0), "feature", NULL,
              "the feature \"%s\" has raw_input_dim 0", key);
    else if (fc->embedding_dim > WIDEST_FEATURE || fc->raw_input_dim > WIDEST_FEATURE)
        blame(f->job, UNSUPPORTED, dim, "unsupported", NULL,
              "the feature \"%s\" is wider than %d columns", key, WIDEST_FEATURE);
    else if (is_sequence(fc) && !is_raw(fc) && fc->sub_feature_type != KIND(IdFeature))
        blame(f->job, BAD_INPUT, field_pos(f->c, fc, 26, 0), "feature", NULL,
              "the sub_feature_type of \"%s\" is neither IdFeature nor RawFeature", key);
    else if (has_table(fc) && fc->ev_params)
        blame(f->job, UNSUPPORTED, field_pos(f->c, fc, 31, 0), "unsupported", NULL,
              "ev_params: the table of \"%s\" is a hash table outside of the checkpoint", key);
    else if (fault)
        blame(f->job, BAD_INPUT, field_pos(f->c, fc, 0, 0), "feature", NULL,
              "EasyRec cannot build the feature \"%s\": %s", key, fault);
    else
        return true;
    return false;
}

/* A sequence in the group itself, not below sequence_features. */
static bool check_combiner(struct finder *f, const struct entry *e)
{
    const feature_config *fc = e->fc;
    const Easyrec__SequenceCombiner *s = fc->sequence_combiner;
    if (!s || s->combiner_case == EASYREC__SEQUENCE_COMBINER__COMBINER__NOT_SET)
        blame(f->job, BAD_INPUT, field_pos(f->c, fc, 0, 0), "feature",
              "set sequence_combiner { attention {} }, or name it below sequence_features",
              "the SequenceFeature \"%s\" needs a sequence_combiner", shown(f, e->key));
    else if (s->combiner_case == EASYREC__SEQUENCE_COMBINER__COMBINER_MULTI_HEAD_ATTENTION)
        blame(f->job, BAD_INPUT, field_pos(f->c, s, 2, 0), "feature", NULL,
              "EasyRec does not implement multi_head_attention");
    else if (!fc->embedding_dim)
        blame(f->job, BAD_INPUT, field_pos(f->c, fc, 5, 0), "feature", "set embedding_dim",
              "the feature \"%s\" needs embedding_dim above 0", shown(f, e->key));
    else
        return true;
    return false;
}

static const char *table_of(struct arena *a, const feature_config *fc, const char *column)
{
    return arena_print(a, is_sequence(fc) ? "%s/embedding_weights" : "input_layer/%s/embedding_weights", column);
}

static void describe(struct finder *f, struct feature *to, const struct entry *e)
{
    const feature_config *fc = e->fc;
    bool shared = first_sharer(f, fc), sequence = is_sequence(fc);
    *to = (struct feature){.key = e->key, .kind = kind_name(fc), .column = e->key,
                           .width = sequence ? combined_width(fc) : width_of(fc),
                           .trouble = trouble_of(f, e), .pos = field_pos(f->c, fc, 0, 0),
                           .config = &fc->base, .input = e->input,
                           .shared = shared ? fc->embedding_name : NULL};
    to->old_column = old_stem(f, e);
    if (!has_table(fc))
        return;
    const char *suffix = shared ? "shared_embedding" : "embedding";
    to->column = arena_print(f->arena, "%s_%s", column_stem(f, e), suffix);
    to->old_column = arena_print(f->arena, "%s_%s", to->old_column, suffix);
    to->table = table_of(f->arena, fc, shared ? fc->embedding_name : to->column);
    to->table_rows = rows_of(fc);
}

static void add_feature(struct finder *f, const struct named *n)
{
    const struct entry *e = find_entry(f, n->name, "the group", n->pos);
    if (!e || !check_feature(f, e))
        return;
    f->plain_pos[f->n_plain] = n->pos;
    if (!is_sequence(e->fc))
        describe(f, &f->plain[f->n_plain++], e);
    else if (check_combiner(f, e))
        describe(f, &f->sequences[f->n_sequences++], e);
}

static void expand_group(struct finder *f, const Easyrec__FeatureGroupConfig *g, struct list *to)
{
    for (size_t i = 0; i < g->n_feature_names; i++)
        expand(f, to, g->feature_names[i], NULL, field_pos(f->c, g, 2, i));
}

static void add_group(struct finder *f)
{
    struct list names = {0};
    expand_group(f, f->group, &names);
    f->plain = NEW_ARRAY(f->job, names.n, struct feature);
    f->plain_pos = NEW_ARRAY(f->job, names.n, struct pos);
    f->sequences = NEW_ARRAY(f->job, names.n, struct feature);
    for (size_t i = 0; i < names.n; i++)
        add_feature(f, &names.at[i]);
}

static void collect_tables(struct finder *f, struct list *to, const struct feature *x, int n)
{
    for (int i = 0; i < n; i++)
        if (x[i].table)
            add_name(f, to, x[i].table, &x[i], x[i].pos);
}

/* Features that share a table have as many rows. */
static void compare_rows(struct finder *f)
{
    struct list tables = {0};
    collect_tables(f, &tables, f->plain, f->n_plain);
    collect_tables(f, &tables, f->sequences, f->n_sequences);
    sort_names(&tables);
    for (size_t i = 0; i < tables.n; i++) {
        const struct named *again = next_of(&tables, &tables.at[i]);
        const struct feature *x = tables.at[i].what, *y = again ? again->what : x;
        if (x->table_rows != y->table_rows)
            blame(f->job, BAD_INPUT, y->pos, "feature", NULL,
                  "\"%s\" and \"%s\" share a table, but have %" PRIu64 " and %" PRIu64 " rows",
                  shown(f, y->key), shown(f, x->key), y->table_rows, x->table_rows);
    }
}

/* EasyRec makes a column of the group once; a second one of its name is refused. A table that a
   plain column and a sequence share was made with the plain column, hence in its scope. */
static void compare_columns(struct finder *f)
{
    struct list columns = {0}, tables = {0};
    for (int i = 0; i < f->n_plain; i++) {
        add_name(f, &columns, f->plain[i].column, NULL, f->plain_pos[i]);
        if (f->plain[i].table)
            add_name(f, &tables, f->plain[i].table, NULL, f->plain[i].pos);
    }
    sort_names(&columns);
    sort_names(&tables);
    for (size_t i = 0; i < columns.n; i++) {
        const struct named *again = next_of(&columns, &columns.at[i]);
        if (again)
            blame(f->job, BAD_INPUT, again->pos, "feature", NULL,
                  "the group has the column \"%s\" twice", shown(f, again->name));
    }
    for (int i = 0; i < f->n_sequences; i++) {
        const char *first = arena_print(f->arena, "input_layer/%s", text_of(f->sequences[i].table));
        if (find_name(&tables, first))
            f->sequences[i].table = first;
    }
}

/* A feature in a WIDE group needs wide_output_dim, which multi-task models do not have. */
static void check_wide(struct finder *f, const Easyrec__FeatureGroupConfig *g)
{
    struct list wide = {0}, all = {0};
    expand_group(f, g, &wide);
    expand_group(f, f->group, &all);
    sort_names(&all);
    for (size_t i = 0; i < wide.n; i++)
        if (find_name(&all, wide.at[i].name)) {
            blame(f->job, BAD_INPUT, wide.at[i].pos, "group", NULL,
                  "\"%s\" is in the group \"all\" and in a WIDE group, which MMoE cannot have",
                  shown(f, wide.at[i].name));
            return;
        }
}

static const Easyrec__FeatureGroupConfig *find_group(struct finder *f)
{
    const Easyrec__EasyRecModel *m = f->top->model_config;
    const Easyrec__FeatureGroupConfig *all = NULL;
    const char **names = NEW_ARRAY(f->job, m->n_feature_groups + 1, const char *);
    for (size_t i = 0; i < m->n_feature_groups; i++) {
        const Easyrec__FeatureGroupConfig *g = m->feature_groups[i];
        names[i] = text_of(g->group_name);
        if (strcmp(names[i], "all") != 0)
            continue;
        if (all)
            warning(f->job, field_pos(f->c, all, 1, 0), "group", NULL,
                    "there is another group \"all\": the last one counts");
        all = g;
    }
    if (all)
        return all;
    const char *near = near_miss("all", names);
    blame(f->job, BAD_INPUT, field_pos(f->c, m, 0, 0), "group",
          near ? arena_print(f->arena, "is it \"%s\"? MMoE reads the group \"all\" only",
                             shown(f, near))
               : "MMoE reads feature_groups { group_name: \"all\" ... }",
          "there is no feature group named \"all\"");
    return NULL;
}

static void check_groups(struct finder *f)
{
    const Easyrec__EasyRecModel *m = f->top->model_config;
    for (size_t i = 0; i < m->n_feature_groups; i++) {
        const Easyrec__FeatureGroupConfig *g = m->feature_groups[i];
        if (g == f->group ? g->wide_deep != EASYREC__WIDE_OR_DEEP__DEEP
                          : g->wide_deep == EASYREC__WIDE_OR_DEEP__WIDE_AND_DEEP)
            blame(f->job, BAD_INPUT, field_pos(f->c, g, 3, 0), "group", NULL,
                  "the group \"%s\" must be %s", shown(f, text_of(g->group_name)),
                  g == f->group ? "DEEP for MMoE" : "DEEP or WIDE");
        else if (g->wide_deep == EASYREC__WIDE_OR_DEEP__WIDE)
            check_wide(f, g);
    }
    if (f->group->negative_sampler)
        blame(f->job, UNSUPPORTED, field_pos(f->c, f->group, 5, 0), "unsupported", NULL,
              "a group with negative_sampler is for recall");
}

/* ---- target attention ------------------------------------------------------------------------ */

/* Sum of the widths that a field of a seq_att_map names, or -1 if one is not known. Collects the
   first trouble. */
static int sum_widths(struct finder *f, const Easyrec__SeqAttMap *m, unsigned field, char **keys,
                      size_t n, const char **trouble)
{
    bool steps = field != 1;
    int sum = 0;
    for (size_t i = 0; i < n; i++) {
        struct pos pos = field_pos(f->c, m, field, i);
        const struct entry *e = find_entry(f, keys[i], "sequence_features", pos);
        if (!e || !check_feature(f, e))
            return -1;
        if (is_sequence(e->fc) != steps) {
            blame(f->job, BAD_INPUT, pos, "attention", NULL, "\"%s\" is a %s: a %s",
                  shown(f, keys[i]), kind_name(e->fc),
                  steps ? "history must be a SequenceFeature" : "key must not be a sequence");
            return -1;
        }
        if (!*trouble)
            *trouble = trouble_of(f, e);
        add_name(f, &f->members, e->key, e, pos);
        int width = width_of(e->fc);
        sum = sum < 0 || !width || sum > WIDEST_INPUT ? -1 : sum + width;
    }
    return sum;
}

static void check_attention(struct finder *f, const Easyrec__SeqAttGroupConfig *g, struct pos pos)
{
    for (int i = 0; i < f->n_attention; i++)
        if (strcmp(f->attention[i].key, text_of(g->group_name)) == 0)
            blame(f->job, BAD_INPUT, pos, "attention", NULL,
                  "there is another of sequence_features named \"%s\"",
                  shown(f, text_of(g->group_name)));
    for (size_t i = 0; i < g->n_seq_att_map; i++)
        if (g->seq_att_map[i]->n_key && g->seq_att_map[i]->n_hist_seq)
            return;
    blame(f->job, BAD_INPUT, pos, "attention", "give seq_att_map { key: ... hist_seq: ... }",
          "sequence_features needs a key and a history");
}

/* Its DNN's last layer has no activation. Each dice before makes an unnamed batch norm. */
static const char *read_seq_dnn(struct finder *f, const Easyrec__DNN *dnn)
{
    if (!dnn)
        return NULL;
    size_t n = dnn->n_hidden_units;
    if (n > 1 && strcasecmp(text_of(dnn->activation), "dice") == 0)
        f->batch_norms += (int)n - 1;
    return n && dnn->hidden_units[n - 1] == 1 ? NULL : "its seq_dnn does not end in one unit";
}

/* [r, r_aux..., q]: the histories, the auxiliary histories, and the key if it is kept. A key of
   another width becomes as wide as the histories, padded or by a layer. */
static void add_attention(struct finder *f, const Easyrec__SeqAttGroupConfig *g)
{
    struct pos pos = field_pos(f->c, g, 0, 0);
    const char *trouble = read_seq_dnn(f, g->seq_dnn), *name = text_of(g->group_name);
    int key = 0, history = 0, aux = 0;
    check_attention(f, g, pos);
    for (size_t i = 0; i < g->n_seq_att_map; i++) {
        const Easyrec__SeqAttMap *m = g->seq_att_map[i];
        int k = sum_widths(f, m, 1, m->key, m->n_key, &trouble);
        int h = sum_widths(f, m, 2, m->hist_seq, m->n_hist_seq, &trouble);
        key = key < 0 || k < 0 || key > WIDEST_INPUT ? -1 : key + k;
        history = history < 0 || h < 0 || history > WIDEST_INPUT ? -1 : history + h;
        /* EasyRec starts a new list of these with each map: only the last one's remain. */
        aux = sum_widths(f, m, 3, m->aux_hist_seq, m->n_aux_hist_seq, &trouble);
    }
    bool known = key >= 0 && history >= 0 && aux >= 0;
    if (known && key != history && !g->allow_key_transform)
        blame(f->job, BAD_INPUT, pos, "attention",
              "choose keys as wide as the histories, or set allow_key_transform",
              "the keys are %d columns wide, the histories %d", key, history);
    f->attention[f->n_attention++] =
        (struct feature){.key = name, .kind = "target attention", .column = name, .pos = pos,
                         .trouble = trouble, .config = &g->base,
                         .width = known ? history + aux + (g->need_key_feature ? history : 0) : 0};
}

/* ---- what is the user's ---------------------------------------------------------------------- */

static void add_inputs(struct finder *f, struct list *to, const struct entry *e)
{
    for (size_t i = 0; e && i < inputs_of(e); i++)
        add_name(f, to, input_of(e, i), NULL, (struct pos){0});
}

/* All columns of the data that features can be made of. */
static struct list data_columns(struct finder *f)
{
    struct list all = {0};
    for (size_t i = 0; i < f->fields.n; i++)
        if (!is_label(f->top->data_config, f->fields.at[i].name))
            add_name(f, &all, f->fields.at[i].name, NULL, (struct pos){0});
    for (size_t i = 0; i < f->keys.n; i++)
        add_inputs(f, &all, f->keys.at[i].what);
    sort_names(&all);
    return all;
}

/* The last group of that name. */
static const Easyrec__FeatureGroupConfig *find_other_group(struct finder *f, const char *name)
{
    const Easyrec__EasyRecModel *m = f->top->model_config;
    for (size_t i = m->n_feature_groups; i > 0; i--)
        if (strcmp(text_of(m->feature_groups[i - 1]->group_name), name) == 0)
            return m->feature_groups[i - 1];
    return NULL;
}

static void add_keys(struct finder *f, struct list *to, char **keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_inputs(f, to, find_entry(f, keys[i], "sequence_features", (struct pos){0}));
}

/* What all features of a group are made of. */
static void add_group_inputs(struct finder *f, struct list *to, const Easyrec__FeatureGroupConfig *g)
{
    struct list names = {0};
    expand_group(f, g, &names);
    for (size_t i = 0; i < names.n; i++)
        add_inputs(f, to, find_entry(f, names.at[i].name, "the group", names.at[i].pos));
    for (size_t i = 0; i < g->n_sequence_features; i++)
        for (size_t k = 0; k < g->sequence_features[i]->n_seq_att_map; k++) {
            const Easyrec__SeqAttMap *m = g->sequence_features[i]->seq_att_map[k];
            add_keys(f, to, m->key, m->n_key);
            add_keys(f, to, m->hist_seq, m->n_hist_seq);
            add_keys(f, to, m->aux_hist_seq, m->n_aux_hist_seq);
        }
}

static void unknown_user_column(struct finder *f, const struct list *columns, const char *name)
{
    const Easyrec__EasyRecModel *m = f->top->model_config;
    const char **names = NEW_ARRAY(f->job, columns->n + m->n_feature_groups + 1, const char *);
    size_t n = 0;
    for (size_t i = 0; i < columns->n; i++)
        names[n++] = columns->at[i].name;
    for (size_t i = 0; i < m->n_feature_groups; i++)
        names[n++] = text_of(m->feature_groups[i]->group_name);
    const char *near = near_miss(name, names);
    blame(f->job, BAD_USAGE, (struct pos){0}, "user-columns",
          near ? arena_print(f->arena, "did you mean \"%s\"?", shown(f, near))
               : "columns are the input_fields of data_config",
          "--user-columns names \"%s\", which is neither a column nor a feature group", shown(f, name));
}

/* The columns that --user-columns means, sorted. */
static struct list user_columns(struct finder *f)
{
    struct list users = {0}, columns = data_columns(f);
    for (const char *p = f->job->options->user_columns; *p; p += *p == ',') {
        const char *name = arena_copy(f->arena, p, strcspn(p, ","));
        p += strlen(name);
        const Easyrec__FeatureGroupConfig *group = find_other_group(f, name);
        if (find_name(&columns, name))
            add_name(f, &users, name, NULL, (struct pos){0});
        else if (group)
            add_group_inputs(f, &users, group);
        else
            unknown_user_column(f, &columns, name);
    }
    sort_names(&users);
    return users;
}

static bool all_among(const struct list *users, const struct entry *e)
{
    bool all = inputs_of(e) > 0;
    for (size_t i = 0; i < inputs_of(e); i++)
        all &= find_name(users, input_of(e, i)) != NULL;
    return all;
}

static bool keys_among(const struct finder *f, const struct list *users, char **keys, size_t n)
{
    bool all = true;
    for (size_t i = 0; i < n; i++)
        all &= all_among(users, find_name(&f->keys, keys[i])->what);
    return all;
}

static bool is_users(const struct finder *f, const struct list *users, const struct feature *x)
{
    if (x->config->descriptor == &easyrec__feature_config__descriptor) {
        const struct entry e = {(const feature_config *)x->config, x->key, x->input};
        return all_among(users, &e);
    }
    const Easyrec__SeqAttGroupConfig *g = (const Easyrec__SeqAttGroupConfig *)x->config;
    bool all = true;
    for (size_t i = 0; i < g->n_seq_att_map; i++) {
        const Easyrec__SeqAttMap *m = g->seq_att_map[i];
        all &= keys_among(f, users, m->key, m->n_key) && keys_among(f, users, m->hist_seq, m->n_hist_seq) &&
               keys_among(f, users, m->aux_hist_seq, m->n_aux_hist_seq);
    }
    return all;
}

static void find_users(struct finder *f, struct features *all)
{
    if (!f->job->options->user_columns)
        return;
    const struct list users = user_columns(f);
    for (int i = 0; i < all->n_features; i++)
        all->feature[i].user = is_users(f, &users, &all->feature[i]);
    for (int i = 0; i < all->n_columns; i++)
        all->column[i].user = find_name(&users, all->column[i].name) != NULL;
}

static bool check_shares(struct job *job, const struct features *f, int users)
{
    const char *hint = "mmoec inspect MODEL shows the features and their columns";
    if (!f->width)
        blame(job, BAD_USAGE, (struct pos){0}, "user-columns", hint, "--user-columns needs features of known width: %s",
              f->why);
    else if (!users)
        blame(job, BAD_USAGE, (struct pos){0}, "user-columns", hint,
              "no feature of the group \"all\" is made of --user-columns alone");
    else if (users == f->n_features)
        blame(job, BAD_USAGE, (struct pos){0}, "user-columns", hint,
              "every feature of the group \"all\" is the user's by --user-columns: items would have none");
    else
        return true;
    return false;
}

bool place_users(struct job *job, struct features *f)
{
    int users = 0, next = 0;
    for (int i = 0; i < f->n_features; i++)
        users += f->feature[i].user;
    if (!job->options->user_columns)
        return true;
    if (!check_shares(job, f, users))
        return false;
    uint32_t *order = NEW_ARRAY(job, (size_t)f->width, uint32_t);
    for (int user = 1; user >= 0; user--)
        for (int i = 0; i < f->n_features; i++) {
            struct feature *x = &f->feature[i];
            if (x->user != user)
                continue;
            for (int k = 0; k < x->width; k++)
                order[next + k] = (uint32_t)(x->first + k);
            x->first = next;
            next += x->width;
            f->user_width += user ? x->width : 0;
        }
    f->easyrec_column = order;
    return true;
}

void order_rows(const uint32_t *easyrec_column, const double *from, size_t rows, size_t width, float *to)
{
    for (size_t r = 0; r < rows; r++, from += width)
        for (size_t k = 0; k < width; k++)
            *to++ = (float)from[easyrec_column ? easyrec_column[k] : k];
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int by_column(const void *a, const void *b)
{
    return strcmp(((const struct feature *)a)->column, ((const struct feature *)b)->column);
}

/* Places columns one after the other; -1 after one whose width is not known. */
static int place(struct finder *f, struct features *to, const struct feature *from, int n,
                 int first)
{
    for (int i = 0; i < n; i++) {
        struct feature *x = &to->feature[to->n_features++];
        *x = from[i];
        x->first = first;
        first = first < 0 || x->width == 0 ? -1 : first + x->width;
        if (first > WIDEST_INPUT) {
            blame(f->job, UNSUPPORTED, x->pos, "unsupported", NULL,
                  "the group \"all\" has more than %d columns", WIDEST_INPUT);
            return -1;
        }
        if (x->trouble && wants_rows(f->job->options))
            blame(f->job, UNSUPPORTED, x->pos, "not-from-rows", "--features F.npy needs no rows",
                  "\"%s\" cannot be computed from rows: %s", shown(f, x->key), x->trouble);
        else if (x->trouble)
            warning(f->job, x->pos, "not-from-rows", NULL,
                    "\"%s\" cannot be computed from rows: %s", shown(f, x->key), x->trouble);
    }
    return first;
}

static const char *explain(struct finder *f, const struct features *all)
{
    bool equal = all->n_features > 1;
    for (int i = 1; i < all->n_features; i++)
        equal &= all->feature[i].width == all->feature[0].width;
    if (!all->width)
        return "the width of a feature of the group \"all\" is not known";
    if (equal)
        return arena_print(f->arena, "the group \"all\" has %d features of %d columns: %d",
                           all->n_features, all->feature[0].width, all->width);
    return arena_print(f->arena, "the group \"all\" has %d feature%s, %d columns", all->n_features,
                       all->n_features == 1 ? "" : "s", all->width);
}

static void describe_members(struct finder *f, struct features *all)
{
    sort_names(&f->members);
    all->member = NEW_ARRAY(f->job, f->members.n, struct feature);
    for (size_t i = 0; i < f->members.n; i++)
        if (!next_of(&f->members, &f->members.at[i]))
            describe(f, &all->member[all->n_members++], f->members.at[i].what);
}

static struct features *place_all(struct finder *f)
{
    struct features *all = NEW(f->job, struct features);
    all->order = f->job->options->feature_order;
    all->order_from = f->job->options->order_given ? "--feature-order" : NULL;
    all->n_plain = f->n_plain;
    all->n_sequences = f->n_sequences;
    all->batch_norms = f->batch_norms;
    all->feature = NEW_ARRAY(f->job, (size_t)(f->n_plain + f->n_sequences + f->n_attention),
                             struct feature);
    if (all->order == ORDER_NAME)
        qsort(f->plain, (size_t)f->n_plain, sizeof *f->plain, by_column);
    qsort(f->sequences, (size_t)f->n_sequences, sizeof *f->sequences, by_column);
    int width = place(f, all, f->plain, f->n_plain, 0);
    width = place(f, all, f->sequences, f->n_sequences, width);
    width = place(f, all, f->attention, f->n_attention, width);
    all->width = width > 0 ? width : 0;
    describe_members(f, all);
    all->column = f->columns;
    all->n_columns = (int)f->fields.n;
    all->why = explain(f, all);
    if (all->n_features == 0)
        blame(f->job, BAD_INPUT, field_pos(f->c, f->group, 0, 0), "group", NULL,
              "the group \"all\" has no features");
    return all;
}

/* Is there something to find features in? */
static bool check_config(struct finder *f)
{
    const Easyrec__EasyRecConfig *top = f->top;
    bool configured = top->n_feature_configs ||
                      (top->feature_config && top->feature_config->n_features);
    if (!top->model_config)
        blame(f->job, BAD_INPUT, field_pos(f->c, top, 0, 0), "model", NULL,
              "there is no model_config");
    else if (is_text(top->fg_json_path) && !configured)
        blame(f->job, UNSUPPORTED, field_pos(f->c, top, 16, 0), "unsupported",
              "give the pipeline.config of the model directory, where EasyRec wrote them down",
              "the features are in the file that fg_json_path names, not in the config");
    else
        return true;
    return false;
}

struct features *read_features(struct job *job, const struct config *c)
{
    if (!c)
        return NULL;
    int errors = job->errors;
    struct finder f = {.job = job, .arena = &job->arena, .c = c,
                       .top = (const Easyrec__EasyRecConfig *)c->message};
    if (!check_config(&f) || (f.group = find_group(&f)) == NULL)
        return NULL;
    check_groups(&f);
    list_features(&f);
    check_sharers(&f);
    list_fields(&f);
    add_group(&f);
    compare_columns(&f);
    compare_rows(&f);
    f.attention = NEW_ARRAY(job, f.group->n_sequence_features, struct feature);
    for (size_t i = 0; i < f.group->n_sequence_features; i++)
        add_attention(&f, f.group->sequence_features[i]);
    if (job->errors != errors)
        return NULL;
    struct features *all = place_all(&f);
    find_users(&f, all);
    return job->errors == errors ? all : NULL;
}

/* ---- another order --------------------------------------------------------------------------- */

/* Puts features in their order again, after other names; of plain ones only if it is that of names. */
static void sort_again(struct features *f)
{
    int width = 0;
    if (f->order == ORDER_NAME && f->n_plain)
        qsort(f->feature, (size_t)f->n_plain, sizeof *f->feature, by_column);
    if (f->n_sequences)
        qsort(f->feature + f->n_plain, (size_t)f->n_sequences, sizeof *f->feature, by_column);
    for (int i = 0; i < f->n_features; i++) {
        f->feature[i].first = width;
        width = width < 0 || !f->feature[i].width ? -1 : width + f->feature[i].width;
    }
}

/* ---- names of EasyRec up to 0.5.7 ------------------------------------------------------------ */

static bool has_own_table(const struct feature *x) { return x->table && !x->shared; }

static const char *old_table(struct job *job, const struct feature *x)
{
    return table_of(&job->arena, (const feature_config *)x->config, x->old_column);
}

/* Is it the name of another feature's table as names are now? */
static bool is_table(const struct features *f, const char *name)
{
    for (int i = 0; i < f->n_features; i++)
        if (f->feature[i].table && strcmp(f->feature[i].table, name) == 0)
            return true;
    return false;
}

static void take_old_name(struct job *job, struct feature *x)
{
    if (has_own_table(x))
        x->table = old_table(job, x);
    x->column = x->old_column;
}

void find_old_names(struct job *job, struct features *f, const struct tensors *ts)
{
    for (int i = 0; i < f->n_features && !f->old_table; i++) {
        const struct feature *x = &f->feature[i];
        if (!has_own_table(x) || find_tensor(ts, x->table))
            continue;
        const char *name = old_table(job, x);
        if (find_tensor(ts, name) && !is_table(f, name))
            f->old_table = name;
    }
    if (!f->old_table)
        return;
    for (int i = 0; i < f->n_plain + f->n_sequences; i++)
        if (!has_own_table(&f->feature[i]) || !find_tensor(ts, f->feature[i].table))
            take_old_name(job, &f->feature[i]);
    sort_again(f);
}

/* A feature of several rows of its table whose config does not say how to combine them. */
static const struct feature *find_without_combiner(const struct features *f)
{
    for (int i = 0; i < f->n_plain + f->n_sequences; i++) {
        const feature_config *fc = (const feature_config *)f->feature[i].config;
        if (f->feature[i].table && fc->feature_type != KIND(IdFeature) && !is_raw(fc) && !field_set(fc, 19))
            return &f->feature[i];
    }
    return NULL;
}

void order_by_old_names(struct job *job, struct features *f, const struct tensors *ts)
{
    const struct feature *x = f->old_table ? find_without_combiner(f) : NULL;
    bool given = f->order_from != NULL;
    if (!f->old_table || (given && !x))
        return;
    if (!given) {
        f->order = ORDER_NAME;
        f->order_from = "the tables' old names";
        sort_again(f);
    }
    warning(job, in_file(job, ts->name), "old-name",
            x ? arena_print(&job->arena, "before 0.5.1, a combiner that the config does not give, as that of \"%s\", "
                            "was the mean, not the sum", escaped(&job->arena, x->key, strlen(x->key)))
              : "--feature-order config or name says it",
            given ? "%s is named as EasyRec up to 0.5.7 did"
                  : "%s is named as EasyRec up to 0.5.7 did: features are in the order of their columns' names",
            f->old_table);
}

/* ---- the order of a graph -------------------------------------------------------------------- */

/* Is it the column's scope? TensorFlow adds _1, _2, ... where it was entered before. */
static bool is_scope_of(const char *scope, const char *column)
{
    size_t n = strlen(column);
    if (strncmp(scope, column, n) != 0)
        return false;
    return !scope[n] || (scope[n] == '_' && scope[n + 1] && !scope[n + 1 + strspn(scope + n + 1, "0123456789")]);
}

static bool same_order(const struct feature *x, const char *const *columns, int n)
{
    for (int i = 0; i < n; i++)
        if (!is_scope_of(columns[i], x[i].column))
            return false;
    return true;
}

void order_features(struct job *job, struct features *f, const char *const *columns, int n, const char *from)
{
    struct feature *sorted = NEW_ARRAY(job, (size_t)f->n_plain, struct feature);
    memcpy(sorted, f->feature, (size_t)f->n_plain * sizeof *sorted);
    if (f->n_plain)
        qsort(sorted, (size_t)f->n_plain, sizeof *sorted, by_column);
    bool config = columns && n == f->n_plain && same_order(f->feature, columns, n);
    if (!config && !(columns && n == f->n_plain && same_order(sorted, columns, n))) {
        warning(job, in_file(job, from), "feature-order", "--feature-order config or name says it",
                "the graph does not show the order of the features: that of the config is taken");
        return;
    }
    f->order_from = from;
    if (config)
        return;
    f->order = ORDER_NAME;
    sort_again(f);
}
