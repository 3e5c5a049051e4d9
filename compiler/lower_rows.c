// SPDX-License-Identifier: Apache-2.0
/* lower_rows.c: EasyRec's feature configs -> operations over a row's columns.
 *
 * The design. What stands before the experts is a program of its own, beside the model: columns (name, kind, default),
 * steps (row_ops.def) that make one row of the experts' input, and the embedding tables that they look up, which are
 * bound from the checkpoint as the model's weights are. The experts' part stays callable alone. A step works on a list
 * of items, each with a text, an id and a number; a feature is a short chain, such as
 *
 *     IdFeature    text, drop_empty, hash, lookup
 *     TagFeature   text, split, pairs, hash, lookup
 *     RawFeature   text, split, numbers, pad, normalize, bucketize, lookup
 *     ComboFeature text (of each input), cross, lookup
 *
 * Everything that depends on the config alone is decided here: which chain, in what order crossed inputs come, where a
 * feature's columns lie. rows.c decides nothing; it is the reference for generated code, which is to take the same
 * steps and to add floats in the same order.
 *
 * Sources: EasyRec's input/input.py (_preprocess and the _parse_ functions), feature_column/feature_column.py,
 * layers/sequence_feature_layer.py; TensorFlow's feature_column_v2 as EasyRec copies it (compat/feature_column).
 *
 * How to read it: columns and their defaults; steps; tables; ids; one kind of feature after the other; all of it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "easyrec.pb-c.h"
#include "mmoec.h"

#define KIND(name) EASYREC__FEATURE_CONFIG__FEATURE_TYPE__##name
#define INPUT(name) EASYREC__DATASET_CONFIG__INPUT_TYPE__##name
#define MOST_DIGITS 100                 /* behind a float's point, when it is printed to be hashed */
#define MOST_ROWS ((uint64_t)1 << 40)   /* of a table */

typedef Easyrec__FeatureConfig feature_config;

struct row_lowering {
    struct job *job;
    struct arena *arena;
    const struct config *c;
    const Easyrec__EasyRecConfig *top;
    const struct features *f;
    const struct feature *feature;      /* the one at hand, its config and its place */
    const feature_config *fc;
    struct row_program *p;
    int batch_norms;                    /* unnamed ones so far, of the networks of target attention */
};

static const char *text_of(const char *text) { return text ? text : ""; }

static bool is_text(const char *text) { return text && *text; }

static void refuse(struct row_lowering *lo, const char *what)
{
    blame(lo->job, UNSUPPORTED, lo->feature->pos, "not-from-rows", "--features F.npy needs no rows",
          "\"%s\" cannot be computed from rows: %s",
          escaped(lo->arena, lo->feature->key, strlen(lo->feature->key)), what);
}

/* ---- columns and their defaults -------------------------------------------------------------- */

static bool read_fallback(const struct row_column *column, struct row_cell *to)
{
    const char *text = column->fallback;
    size_t n = strlen(text);
    float x;
    *to = (struct row_cell){.text = text, .length = n};
    if (column->type == TEXT_COLUMN || !n)
        return true;
    switch (column->type) {
    case INT32_COLUMN: return text_to_int(text, n, INT32_MIN, INT32_MAX, &to->whole);
    case INT64_COLUMN: return text_to_int(text, n, INT64_MIN, INT64_MAX, &to->whole);
    case BOOL_COLUMN:
        to->whole = strcmp(text, "true") == 0 || strcmp(text, "True") == 0 || strcmp(text, "TRUE") == 0;
        return true;
    case FLOAT_COLUMN:
        if (!text_to_float(text, n, &x))
            return false;
        to->number = (double)x;
        return true;
    default: return text_to_double(text, n, &to->number);
    }
}

static void add_columns(struct row_lowering *lo)
{
    struct row_program *p = lo->p;
    p->column = lo->f->column;
    p->n_columns = lo->f->n_columns;
    p->fallback = NEW_ARRAY(lo->job, (size_t)p->n_columns, struct row_cell);
    p->used = NEW_ARRAY(lo->job, (size_t)p->n_columns, bool);
    for (int i = 0; i < p->n_columns; i++)
        if (!read_fallback(&p->column[i], &p->fallback[i]))
            blame(lo->job, BAD_INPUT, p->column[i].pos, "default", NULL, "the default_val of \"%s\" is not a number",
                  escaped(lo->arena, p->column[i].name, strlen(p->column[i].name)));
}

/* EasyRec's readers of lines: CSVInputEx splits at the separator and knows no quotes; CSVInput counts separators before
   it looks at quotes, so that one within quotes is one too many. */
static void describe_file(struct row_lowering *lo)
{
    const Easyrec__DatasetConfig *data = lo->top->data_config;
    const char *separator = data ? data->separator : ",";
    if (strlen(separator) != 1)
        blame(lo->job, UNSUPPORTED, field_pos(lo->c, data, 12, 0), "not-from-rows", NULL,
              "rows need a separator of one byte, as TensorFlow's decode_csv does");
    lo->p->separator = separator[0];
    lo->p->quotes = !data || data->input_type != INPUT(CSVInputEx);
    lo->p->quoted_separators = data && data->input_type == INPUT(CSVInputV2);
    lo->p->skip_header = data && data->with_header;
}

static const char *input_name(const struct row_lowering *lo, size_t i)
{
    return lo->feature->input ? lo->feature->input : lo->fc->input_names[i];
}

static size_t n_inputs(const struct row_lowering *lo) { return lo->feature->input ? 1 : lo->fc->n_input_names; }

/* The number of the feature's i-th input; 0 after an error. */
static int find_column(struct row_lowering *lo, size_t i)
{
    const char *name = input_name(lo, i);
    for (int k = 0; k < lo->p->n_columns; k++)
        if (strcmp(lo->p->column[k].name, name) == 0) {
            lo->p->used[k] = true;
            return k;
        }
    blame(lo->job, BAD_INPUT, lo->feature->pos, "column", "rows have the input_fields of data_config",
          "\"%s\" reads the column \"%s\", which data_config does not have",
          escaped(lo->arena, lo->feature->key, strlen(lo->feature->key)), escaped(lo->arena, name, strlen(name)));
    return 0;
}

static enum column_type column_type(struct row_lowering *lo, size_t i)
{
    for (int k = 0; k < lo->p->n_columns; k++)
        if (strcmp(lo->p->column[k].name, input_name(lo, i)) == 0)
            return lo->p->column[k].type;
    return TEXT_COLUMN;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static struct row_step *add_step(struct row_lowering *lo, enum row_op op, int list)
{
    struct row_program *p = lo->p;
    if (p->n_steps == p->room_steps) {
        p->room_steps = p->room_steps ? 2 * p->room_steps : 32;
        struct row_step *more = NEW_ARRAY(lo->job, (size_t)p->room_steps, struct row_step);
        if (p->n_steps)
            memcpy(more, p->steps, (size_t)p->n_steps * sizeof *more);
        p->steps = more;
    }
    struct row_step *st = &p->steps[p->n_steps++];
    *st = (struct row_step){.op = op, .list = list, .feature = lo->feature->key};
    return st;
}

static struct row_step *add_text_step(struct row_lowering *lo, enum row_op op, int list, const char *text)
{
    struct row_step *st = add_step(lo, op, list);
    st->text = text;
    st->length = strlen(text);
    return st;
}

static int new_list(struct row_lowering *lo) { return lo->p->n_lists++; }

/* A list of the i-th input's text. */
static int add_input_text(struct row_lowering *lo, size_t i)
{
    int list = new_list(lo);
    struct row_step *st = add_step(lo, ROW_text, list);
    st->column = find_column(lo, i);
    st->n = lo->fc->precision > 0 ? (uint64_t)lo->fc->precision : 0;
    if (st->n > MOST_DIGITS)
        refuse(lo, "its precision is above 100");
    return list;
}

static void read_from(struct row_lowering *lo, struct row_step *st, const int *from, size_t n)
{
    st->from = NEW_ARRAY(lo->job, n, int);
    memcpy(st->from, from, n * sizeof *from);
    st->n_from = (int)n;
}

static const char *separator(const feature_config *fc) { return text_of(fc->separator); }

/* ---- tables ---------------------------------------------------------------------------------- */

/* A feature's key without its suffix, as EasyRec up to 0.5.7 named columns: by inputs. NULL: as now. */
static const char *old_stem(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    const char *i0 = input_name(lo, 0);
    switch (fc->feature_type) {
    case KIND(IdFeature): return i0;
    case KIND(TagFeature):
        return n_inputs(lo) > 1 ? arena_print(lo->arena, "%s_weighted_by_%s", i0, input_name(lo, 1))
               : fc->kv_separator ? arena_print(lo->arena, "%s_weighted_by_%s_WEIGHT", i0, i0) : i0;
    case KIND(RawFeature):
        return strstr(lo->feature->column, "_bucketized_") ? arena_print(lo->arena, "%s_bucketized", i0)
               : arena_print(lo->arena, "%s_raw_proj_id_weighted_by_%s_raw_proj_val", i0, i0);
    default: return NULL;
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *old_combo(struct row_lowering *lo)
{
    size_t n = n_inputs(lo);
    const char **names = NEW_ARRAY(lo->job, n, const char *);
    struct text t = {.arena = lo->arena};
    for (size_t i = 0; i < n; i++)
        names[i] = input_name(lo, i);
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++)
        text_print(&t, "%s%s", i ? "_X_" : "", names[i]);
    return t.data;
}

static int add_table(struct row_lowering *lo, struct row_table table)
{
    struct row_program *p = lo->p;
    for (int i = 0; i < p->n_tables; i++)
        if (strcmp(p->tables[i].names[0], table.names[0]) == 0)
            return i;
    if (p->n_tables == p->room_tables) {
        p->room_tables = p->room_tables ? 2 * p->room_tables : 16;
        struct row_table *more = NEW_ARRAY(lo->job, (size_t)p->room_tables, struct row_table);
        if (p->n_tables)
            memcpy(more, p->tables, (size_t)p->n_tables * sizeof *more);
        p->tables = more;
    }
    p->tables[p->n_tables] = table;
    return p->n_tables++;
}

/* A shared table lies in the scope of whatever made it first. */
static int add_feature_table(struct row_lowering *lo)
{
    const struct feature *x = lo->feature;
    struct row_table t = {.rows = x->table_rows, .width = (int)lo->fc->embedding_dim, .pos = x->pos};
    if (t.rows > MOST_ROWS)
        refuse(lo, "its table has more than 2^40 rows");
    if (x->shared) {
        t.names[0] = arena_print(lo->arena, "input_layer/%s/embedding_weights", x->shared);
        t.names[1] = arena_print(lo->arena, "%s/embedding_weights", x->shared);
        t.names[2] = arena_print(lo->arena, "all/%s/embedding_weights", x->shared);
        return add_table(lo, t);
    }
    t.names[0] = x->table;
    const char *old = lo->fc->feature_type == KIND(ComboFeature) ? old_combo(lo) : old_stem(lo);
    if (old)
        t.old_name = arena_print(lo->arena, "input_layer/%s_embedding/embedding_weights", old);
    return add_table(lo, t);
}

static enum combiner combiner_of(const feature_config *fc)
{
    static const char *const names[] = {"sum", "mean", "sqrtn", "max", "min"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(text_of(fc->combiner), names[i]) == 0)
            return (enum combiner)i;
    return COMBINE_SUM;
}

static void add_lookup(struct row_lowering *lo, int list, bool weighted)
{
    struct row_step *st = add_step(lo, ROW_lookup, list);
    st->table = add_feature_table(lo);
    st->weighted = weighted;
    st->combiner = combiner_of(lo->fc);
    st->first = lo->feature->first;
    st->width = lo->feature->width;
    if (st->combiner > COMBINE_SQRTN)
        refuse(lo, "its combiner is none of sum, mean, sqrtn");
}

/* ---- ids ------------------------------------------------------------------------------------- */

static int by_word(const void *a, const void *b)
{
    const struct word_id *x = a, *y = b;
    size_t n = x->length < y->length ? x->length : y->length;
    int d = n ? memcmp(x->text, y->text, n) : 0;
    return d ? d : x->length < y->length ? -1 : x->length > y->length ? 1 : x->id - y->id;
}

static void add_vocabulary(struct row_lowering *lo, int list)
{
    const feature_config *fc = lo->fc;
    struct word_id *words = NEW_ARRAY(lo->job, fc->n_vocab_list, struct word_id);
    for (size_t i = 0; i < fc->n_vocab_list; i++)
        words[i] = (struct word_id){fc->vocab_list[i], strlen(fc->vocab_list[i]), (int)i};
    qsort(words, fc->n_vocab_list, sizeof *words, by_word);
    struct row_step *st = add_step(lo, ROW_find, list);
    st->words = words;
    st->n = fc->n_vocab_list;
}

/* Texts of a list to ids, by what the config has of the three, in EasyRec's order; whole numbers of `bits`. */
static void add_ids(struct row_lowering *lo, int list, int bits)
{
    const feature_config *fc = lo->fc;
    if (fc->hash_bucket_size)
        add_step(lo, ROW_hash, list)->n = fc->hash_bucket_size;
    else if (fc->n_vocab_list)
        add_vocabulary(lo, list);
    else if (is_text(fc->vocab_file))
        refuse(lo, "its vocabulary is in a file that the model does not have");
    else
        add_step(lo, ROW_parse, list)->n = (uint64_t)bits;
}

static bool by_number(const feature_config *fc)
{
    return !fc->hash_bucket_size && !fc->n_vocab_list && !is_text(fc->vocab_file);
}

/* ---- IdFeature ------------------------------------------------------------------------------- */

static void lower_id(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    bool number = by_number(fc), text = column_type(lo, 0) == TEXT_COLUMN;
    int list;
    if (number && !text) {
        list = new_list(lo);
        add_step(lo, ROW_integer, list)->column = find_column(lo, 0);
    } else {
        list = add_input_text(lo, 0);
        if (!number)
            add_step(lo, ROW_drop_empty, list);
        add_ids(lo, list, 32);
    }
    if (number) {
        add_step(lo, ROW_drop_minus, list);
        add_step(lo, ROW_range, list)->n = fc->num_buckets;
    }
    add_lookup(lo, list, false);
}

/* ---- TagFeature ------------------------------------------------------------------------------ */

static void lower_tag(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    bool pairs = fc->kv_separator != NULL, second = n_inputs(lo) > 1;
    int list = add_input_text(lo, 0);
    add_text_step(lo, ROW_split, list, separator(fc));
    if (pairs)
        add_text_step(lo, ROW_pairs, list, fc->kv_separator);
    if (second) {
        int weights = add_input_text(lo, 1);
        add_text_step(lo, ROW_split, weights, separator(fc));
        add_step(lo, ROW_numbers, weights);
        read_from(lo, add_step(lo, ROW_weigh, list), &weights, 1);
    }
    add_ids(lo, list, 32);
    if (by_number(fc))
        add_step(lo, ROW_range, list)->n = fc->num_buckets;
    add_lookup(lo, list, pairs || second);
}

/* ---- RawFeature ------------------------------------------------------------------------------ */

static double logistic(double x) { return 1 / (1 + exp(-x)); }
static double square(double x) { return x * x; }
static double identity(double x) { return x; }
static double positive(double x) { return x > 0 || isnan(x) ? x : 0; }

/* TensorFlow's functions, computed in double and rounded once. */
static const struct {
    const char *name;
    double (*function)(double);
} functions[] = {
    {"abs", fabs}, {"ceil", ceil}, {"cos", cos}, {"exp", exp}, {"expm1", expm1}, {"floor", floor}, {"identity", identity},
    {"log", log}, {"log1p", log1p}, {"round", rint}, {"sigmoid", logistic}, {"sin", sin}, {"sqrt", sqrt},
    {"square", square}, {"tanh", tanh}, {"relu", positive},
};

static void add_function(struct row_lowering *lo, int list)
{
    const char *path = lo->fc->normalizer_fn;
    static const char *const modules[] = {"tf.math.", "tf.nn.", "tf."};
    const char *name = NULL;
    for (size_t i = 0; i < COUNT(modules) && !name; i++)
        if (strncmp(path, modules[i], strlen(modules[i])) == 0)
            name = path + strlen(modules[i]);
    for (size_t i = 0; name && i < COUNT(functions); i++)
        if (strcmp(name, functions[i].name) == 0) {
            add_step(lo, ROW_apply, list)->function = functions[i].function;
            return;
        }
    refuse(lo, "its normalizer_fn is not one of the functions known here (tf.math.log1p, tf.math.sqrt, ...)");
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Given boundaries, or 0/n, 1/n, ... of a normalized number. As float32. */
static void add_buckets(struct row_lowering *lo, int list)
{
    const feature_config *fc = lo->fc;
    size_t n = fc->n_boundaries ? fc->n_boundaries : (size_t)fc->num_buckets;
    float *b = NEW_ARRAY(lo->job, n, float);
    for (size_t i = 0; i < n; i++)
        b[i] = (float)(fc->n_boundaries ? fc->boundaries[i] : (double)i / (double)n);
    qsort(b, n, sizeof *b, by_size);
    struct row_step *st = add_step(lo, ROW_bucketize, list);
    st->boundaries = b;
    st->n = n;
}

static bool has_own_combiner(const feature_config *fc) { return fc->seq_multi_sep && field_set(fc, 19); }

/* Numbers of the column: one, or raw_input_dim of them. */
static int add_numbers(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    if (column_type(lo, 0) != TEXT_COLUMN || (fc->raw_input_dim == 1 && !has_own_combiner(fc))) {
        int list = new_list(lo);
        add_step(lo, ROW_number, list)->column = find_column(lo, 0);
        return list;
    }
    int list = add_input_text(lo, 0);
    if (has_own_combiner(fc)) {
        add_text_step(lo, ROW_split, list, fc->seq_multi_sep);
        struct row_step *st = add_text_step(lo, ROW_groups, list, separator(fc));
        st->n = fc->raw_input_dim;
        st->combiner = combiner_of(fc);
        if (st->combiner == COMBINE_SQRTN)
            refuse(lo, "its combiner is none of max, min, sum, mean");
        return list;
    }
    add_text_step(lo, ROW_split, list, separator(fc));
    add_step(lo, ROW_numbers, list);
    add_step(lo, ROW_pad, list)->n = fc->raw_input_dim;
    return list;
}

static void lower_raw(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    bool normal = fc->max_val > fc->min_val;
    int list = add_numbers(lo);
    if (normal) {
        struct row_step *st = add_step(lo, ROW_normalize, list);
        st->least = (float)fc->min_val;
        st->range = (float)(fc->max_val - fc->min_val);
    }
    if (is_text(fc->normalizer_fn))
        add_function(lo, list);
    if (fc->n_boundaries || (fc->num_buckets > 1 && normal)) {
        add_buckets(lo, list);
        add_lookup(lo, list, false);
    } else if (fc->embedding_dim) {
        add_step(lo, ROW_positions, list);
        add_lookup(lo, list, true);
    } else {
        struct row_step *st = add_step(lo, ROW_copy, list);
        st->first = lo->feature->first;
        st->width = lo->feature->width;
    }
}

/* ---- ComboFeature ---------------------------------------------------------------------------- */

static const char *input_separator(const struct row_lowering *lo, size_t i)
{
    return i < lo->fc->n_combo_input_seps ? text_of(lo->fc->combo_input_seps[i]) : "";
}

/* The i-th input: split if it has a separator; else one text, of a whole number if it is joined beside split ones. */
static int add_combo_input(struct row_lowering *lo, size_t i, bool whole)
{
    const char *sep = input_separator(lo, i);
    int list = add_input_text(lo, i);
    if (*sep) {
        if (column_type(lo, i) != TEXT_COLUMN)
            refuse(lo, "an input of it is split, but not a STRING");
        add_text_step(lo, ROW_split, list, sep);
    } else if (whole && column_type(lo, i) != TEXT_COLUMN) {
        lo->p->steps[lo->p->n_steps - 1].op = ROW_whole_text;
    }
    return list;
}

/* Of crossed inputs, those that are split come first: TensorFlow's cross puts sparse inputs before dense ones. */
static void lower_combo(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    size_t n = n_inputs(lo), k = 0;
    int *lists = NEW_ARRAY(lo->job, n, int);
    bool join = is_text(fc->combo_join_sep), split = fc->n_combo_input_seps > 0;
    if (join)
        for (size_t i = 0; i < n; i++)
            lists[k++] = add_combo_input(lo, i, split);
    for (int pass = 0; pass < 2 && !join; pass++)
        for (size_t i = 0; i < n; i++)
            if ((*input_separator(lo, i) != 0) == (pass == 0))
                lists[k++] = add_combo_input(lo, i, false);
    int all = new_list(lo);
    if (join) {
        read_from(lo, add_text_step(lo, ROW_join, all, split ? "_X_" : fc->combo_join_sep), lists, n);
        add_step(lo, ROW_drop_empty, all);
        add_step(lo, ROW_hash, all)->n = fc->hash_bucket_size;
    } else {
        struct row_step *st = add_step(lo, ROW_cross, all);
        st->n = fc->hash_bucket_size;
        read_from(lo, st, lists, n);
    }
    add_lookup(lo, all, false);
}

/* ---- LookupFeature --------------------------------------------------------------------------- */

static void lower_lookup(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    int key = add_input_text(lo, 0), map = add_input_text(lo, 1);
    add_text_step(lo, ROW_split, map, separator(fc));
    struct row_step *st = add_text_step(lo, ROW_select, key, fc->kv_separator);
    st->n = fc->lookup_max_sel_elem_num > 0 ? (uint64_t)fc->lookup_max_sel_elem_num : 0;
    read_from(lo, st, &map, 1);
    add_step(lo, ROW_hash, key)->n = fc->hash_bucket_size;
    add_lookup(lo, key, false);
}

/* ---- SequenceFeature ------------------------------------------------------------------------- */

/* A list of ids that knows its steps. */
static int add_steps(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    int list = add_input_text(lo, 0);
    if (!*separator(fc))
        refuse(lo, "its separator is empty, which splits at white space");
    add_text_step(lo, ROW_steps, list, separator(fc));
    if (is_text(fc->seq_multi_sep))
        add_text_step(lo, ROW_split, list, fc->seq_multi_sep);
    add_ids(lo, list, 64);
    if (by_number(fc)) {
        if (fc->num_buckets < 2 || fc->max_val > fc->min_val)
            refuse(lo, "EasyRec would not read its steps as numbers");
        add_step(lo, ROW_range, list)->n = fc->num_buckets;
    }
    return list;
}

static void lower_sequence(struct row_lowering *lo)
{
    int list = add_steps(lo), table = add_feature_table(lo);
    const char *scope = lo->feature->shared
                            ? lo->feature->shared : arena_print(lo->arena, "%s_embedding", lo->feature->key);
    struct row_table kernel = {.names = {arena_print(lo->arena, "%s/attention/kernel", scope)},
                           .rows = lo->fc->embedding_dim, .width = 1, .pos = lo->feature->pos};
    struct row_step *st = add_step(lo, ROW_attend, list);
    st->table = table;
    st->n = (uint64_t)add_table(lo, kernel);
    st->combiner = combiner_of(lo->fc);
    st->first = lo->feature->first;
    st->width = lo->feature->width;
    if (st->combiner > COMBINE_SQRTN)
        refuse(lo, "its combiner is none of sum, mean, sqrtn");
}

/* ---- target attention ------------------------------------------------------------------------ */

static void lower_feature(struct row_lowering *lo, const struct feature *x);

static const struct feature *find_member(const struct features *f, const char *key)
{
    for (int i = 0; i < f->n_members; i++)
        if (strcmp(f->member[i].key, key) == 0)
            return &f->member[i];
    bug("a member of sequence_features that was not described");
}

/* The group's own column of that key; a projected number is not found, as in EasyRec. */
static const struct feature *find_in_group(const struct features *f, const char *key)
{
    for (int i = 0; i < f->n_features; i++) {
        const struct feature *x = &f->feature[i];
        if (strcmp(x->key, key) == 0 && x->config->descriptor == &easyrec__feature_config__descriptor &&
            !strstr(x->column, "_raw_proj_val"))
            return x;
    }
    return NULL;
}

/* A table of the attention's own: EasyRec makes it in the group's scope; before 0.6.1, in that of the sequence group. */
static void own_table(struct row_lowering *lo, struct feature *x)
{
    if (x->table && !x->shared)
        x->table = arena_print(lo->arena, "all/%s/embedding_weights", x->column);
}

/* Where the key's columns are; a key that the group does not have is computed behind the row's columns. */
static void add_key(struct row_lowering *lo, struct target_attention *t, const char *key)
{
    const struct feature *in_group = find_in_group(lo->f, key), *attention = lo->feature;
    struct feature *x = NEW(lo->job, struct feature);
    *x = in_group ? *in_group : *find_member(lo->f, key);
    if (!in_group) {
        x->first = lo->p->width + lo->p->more_columns;
        lo->p->more_columns += x->width;
        own_table(lo, x);
        lower_feature(lo, x);
        lo->feature = attention;
    }
    t->key[t->n_keys].first = x->first;
    t->key[t->n_keys++].width = x->width;
    t->key_width += x->width;
}

static struct history add_history(struct row_lowering *lo, const char *key, const char *group)
{
    const struct feature *attention = lo->feature;
    struct feature *x = NEW(lo->job, struct feature);
    *x = *find_member(lo->f, key);
    const char *column = x->column;
    bool shared = x->shared != NULL;
    own_table(lo, x);
    lo->feature = x;
    lo->fc = (const feature_config *)x->config;
    struct history h = {.list = add_steps(lo), .table = add_feature_table(lo), .width = (int)lo->fc->embedding_dim,
                        .combiner = combiner_of(lo->fc)};
    if (!shared)
        lo->p->tables[h.table].names[1] = arena_print(lo->arena, "%s/%s/embedding_weights", group, column);
    if (h.combiner > COMBINE_SQRTN)
        refuse(lo, "its combiner is none of sum, mean, sqrtn");
    lo->feature = attention;
    return h;
}

/* The tables of a dense layer: kernel, then bias. */
static int add_layer_tables(struct row_lowering *lo, const char *name, int in, int out)
{
    struct row_table kernel = {.names = {arena_print(lo->arena, "%s/kernel", name)}, .rows = (uint64_t)in, .width = out,
                               .pos = lo->feature->pos};
    struct row_table bias = {.names = {arena_print(lo->arena, "%s/bias", name)}, .rows = (uint64_t)out,
                             .pos = lo->feature->pos};
    int first = add_table(lo, kernel);
    add_table(lo, bias);
    return first;
}

/* Keys and histories of all maps; of auxiliary histories EasyRec keeps those of the last map alone. */
static void add_maps(struct row_lowering *lo, struct target_attention *t, const Easyrec__SeqAttGroupConfig *g)
{
    size_t keys = 0, histories = 0;
    for (size_t i = 0; i < g->n_seq_att_map; i++) {
        keys += g->seq_att_map[i]->n_key;
        histories += g->seq_att_map[i]->n_hist_seq + g->seq_att_map[i]->n_aux_hist_seq;
    }
    t->key = arena_array(lo->arena, keys, sizeof *t->key);
    t->history = NEW_ARRAY(lo->job, histories, struct history);
    for (size_t i = 0; i < g->n_seq_att_map; i++) {
        const Easyrec__SeqAttMap *m = g->seq_att_map[i];
        for (size_t k = 0; k < m->n_key; k++)
            add_key(lo, t, m->key[k]);
        for (size_t k = 0; k < m->n_hist_seq; k++) {
            t->history[t->n_histories] = add_history(lo, m->hist_seq[k], text_of(g->group_name));
            t->width += t->history[t->n_histories++].width;
        }
    }
    const Easyrec__SeqAttMap *last = g->seq_att_map[g->n_seq_att_map - 1];
    for (size_t k = 0; k < last->n_aux_hist_seq; k++)
        t->history[t->n_histories + t->n_auxiliary++] = add_history(lo, last->aux_hist_seq[k], text_of(g->group_name));
}

static void lower_target(struct row_lowering *lo, const Easyrec__SeqAttGroupConfig *g)
{
    struct target_attention *t = NEW(lo->job, struct target_attention);
    *t = (struct target_attention){.key_layer = -1, .step_layer = -1, .keep_key = g->need_key_feature};
    const char *name = arena_print(lo->arena, "seq_dnn%s", text_of(g->group_name));
    add_maps(lo, t, g);
    if (t->key_width != t->width && (g->transform_dnn || t->key_width > t->width)) {
        t->key_layer = add_layer_tables(lo, arena_print(lo->arena, "sequence_key_transform_layer_%s", name),
                                        t->key_width, t->width);
        t->step_layer = add_layer_tables(lo, arena_print(lo->arena, "sequence_fea_transform_layer_%s", name),
                                         t->width, t->width);
    }
    t->original = lower_seq_dnn(lo->job, lo->c, g->seq_dnn ? &g->seq_dnn->base : NULL, name, 4 * t->width,
                                &lo->batch_norms);
    struct row_step *st = add_step(lo, ROW_target, t->history[0].list);
    st->target = t;
    st->first = lo->feature->first;
    st->width = lo->feature->width;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void lower_feature(struct row_lowering *lo, const struct feature *x)
{
    lo->feature = x;
    if (x->config->descriptor != &easyrec__feature_config__descriptor) {
        lower_target(lo, (const Easyrec__SeqAttGroupConfig *)x->config);
        return;
    }
    lo->fc = (const feature_config *)x->config;
    switch (lo->fc->feature_type) {
    case KIND(IdFeature): lower_id(lo); return;
    case KIND(TagFeature): lower_tag(lo); return;
    case KIND(RawFeature): lower_raw(lo); return;
    case KIND(ComboFeature): lower_combo(lo); return;
    case KIND(LookupFeature): lower_lookup(lo); return;
    case KIND(SequenceFeature): lower_sequence(lo); return;
    default: refuse(lo, "expressions are not computed yet");
    }
}

/* EasyRec's variational dropout: a trained number a feature, or a column, scales what is not target attention. */
static void add_scale(struct row_lowering *lo, const Easyrec__VariationalDropoutLayer *v)
{
    int n = 0, features = 0;
    int *number = NEW_ARRAY(lo->job, (size_t)lo->p->width, int);
    for (int i = 0; i < lo->f->n_features; i++) {
        const struct feature *x = &lo->f->feature[i];
        if (x->config->descriptor != &easyrec__feature_config__descriptor)
            continue;
        for (int j = 0; j < x->width; j++, n++)
            number[n] = v->embedding_wise_variational_dropout ? n : features;
        features++;
    }
    struct row_table logits = {.names = {"logit_p", "backbone/logit_p"}, .pos = lo->f->feature[0].pos,
                               .rows = (uint64_t)(v->embedding_wise_variational_dropout ? n : features)};
    struct row_step *st = add_step(lo, ROW_scale, 0);
    st->table = add_table(lo, logits);
    st->width = n;
    read_from(lo, st, number, (size_t)n);
}

struct row_program *lower_rows(struct job *job, const struct config *c, const struct features *f)
{
    if (!c || !f)
        return NULL;
    int errors = job->errors;
    struct row_lowering lo = {.job = job, .arena = &job->arena, .c = c, .f = f, .p = NEW(job, struct row_program),
                              .top = (const Easyrec__EasyRecConfig *)c->message};
    lo.p->width = f->width;
    describe_file(&lo);
    add_columns(&lo);
    for (int i = 0; i < f->n_features; i++)
        lower_feature(&lo, &f->feature[i]);
    if (lo.top->model_config->variational_dropout)
        add_scale(&lo, lo.top->model_config->variational_dropout);
    return job->errors == errors ? lo.p : NULL;
}
