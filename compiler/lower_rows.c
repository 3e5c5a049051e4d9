// SPDX-License-Identifier: Apache-2.0
/* lower_rows.c: EasyRec's feature configs -> what a row's columns become, feature by feature.
 *
 * The design. What stands before the experts is a program of its own, beside the model: columns (name, kind, default),
 * features, each of a kind of templates/rows.def with constants of templates/rows.h, and the embedding tables that they
 * look up, which are bound from the checkpoint as the model's weights are. The experts' part stays callable alone.
 * Everything that depends on the config alone is decided here: how a text becomes an id, in what order crossed inputs
 * come, where a feature's columns lie. Who computes by the constants (rows.c) or prints them decides nothing.
 *
 * Sources: EasyRec's input/input.py (_preprocess and the _parse_ functions), feature_column/feature_column.py,
 * layers/sequence_feature_layer.py; TensorFlow's feature_column_v2 as EasyRec copies it (compat/feature_column).
 *
 * How to read it: columns and their defaults; features; tables; ids; one kind of feature after the other; all of it.
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

/* Texts of the config that the program keeps: it may live longer. */
static const char *kept(struct row_lowering *lo, const char *text)
{
    return arena_copy(lo->arena, text_of(text), strlen(text_of(text)));
}

static void add_fields(struct row_lowering *lo)
{
    struct row_program *p = lo->p;
    size_t n = (size_t)lo->f->n_columns;
    p->fields = NEW_ARRAY(lo->job, n, struct mmoe_field);
    p->columns = NEW_ARRAY(lo->job, n, struct mmoe_column);
    for (size_t i = 0; i < n; i++) {
        const struct row_column *c = &lo->f->column[i];
        struct row_cell cell;
        p->fields[i] = (struct mmoe_field){.name = kept(lo, c->name), .fallback = kept(lo, c->fallback),
                                           .type = (uint16_t)c->type, .label = c->label, .column = -1};
        if (!read_fallback(&p->fields[i], &cell))
            blame(lo->job, BAD_INPUT, c->pos, "default", NULL, "the default_val of \"%s\" is not a number",
                  escaped(lo->arena, c->name, strlen(c->name)));
    }
    p->lines.fields = p->fields;
    p->lines.n_fields = (uint32_t)n;
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
    lo->p->lines.separator = separator[0];
    lo->p->lines.quotes = !data || data->input_type != INPUT(CSVInputEx);
    lo->p->lines.quoted_separators = data && data->input_type == INPUT(CSVInputV2);
    lo->p->lines.skip_header = data && data->with_header;
}

static const char *input_name(const struct row_lowering *lo, size_t i)
{
    return lo->feature->input ? lo->feature->input : lo->fc->input_names[i];
}

static size_t n_inputs(const struct row_lowering *lo) { return lo->feature->input ? 1 : lo->fc->n_input_names; }

static enum mmoe_kind kind_of(uint16_t type)
{
    return type == MMOE_STRING ? MMOE_TEXT : type == MMOE_FIELD_FLOAT ? MMOE_FLOAT : type == MMOE_FIELD_DOUBLE ? MMOE_DOUBLE
           : MMOE_INT64;
}

/* A column for those that features read. */
static int add_column(struct row_program *p, const struct mmoe_field *f, bool user)
{
    struct mmoe_column *to = &p->columns[p->n_columns];
    struct row_cell cell;
    read_fallback(f, &cell);
    *to = (struct mmoe_column){.name = f->name, .kind = kind_of(f->type), .whole = cell.whole, .number = cell.number,
                               .user = user};
    if (to->kind == MMOE_TEXT)
        to->text = cell.text;
    if (to->kind == MMOE_FLOAT)
        to->number = (double)cell.single;
    return p->n_columns++;
}

static struct mmoe_field *find_field(struct row_lowering *lo, size_t i)
{
    for (uint32_t k = 0; k < lo->p->lines.n_fields; k++)
        if (strcmp(lo->p->fields[k].name, input_name(lo, i)) == 0)
            return &lo->p->fields[k];
    return NULL;
}

/* The feature's i-th input among the columns that features read; 0 after an error. */
static uint32_t find_column(struct row_lowering *lo, size_t i)
{
    const char *name = input_name(lo, i);
    struct mmoe_field *f = find_field(lo, i);
    if (f && f->column < 0)
        f->column = add_column(lo->p, f, lo->f->column[f - lo->p->fields].user);
    if (f)
        return (uint32_t)f->column;
    blame(lo->job, BAD_INPUT, lo->feature->pos, "column", "rows have the input_fields of data_config",
          "\"%s\" reads the column \"%s\", which data_config does not have",
          escaped(lo->arena, lo->feature->key, strlen(lo->feature->key)), escaped(lo->arena, name, strlen(name)));
    return 0;
}

static enum mmoe_field_type column_type(struct row_lowering *lo, size_t i)
{
    const struct mmoe_field *f = find_field(lo, i);
    return f ? (enum mmoe_field_type)f->type : MMOE_STRING;
}

/* ---- features -------------------------------------------------------------------------------- */

static void add_feature(struct row_lowering *lo, enum row_kind kind, const void *constants)
{
    struct row_program *p = lo->p;
    if (p->n_features == p->room_features) {
        p->room_features = p->room_features ? 2 * p->room_features : 32;
        struct row_feature *more = NEW_ARRAY(lo->job, (size_t)p->room_features, struct row_feature);
        if (p->n_features)
            memcpy(more, p->features, (size_t)p->n_features * sizeof *more);
        p->features = more;
    }
    p->features[p->n_features++] = (struct row_feature){.kind = kind, .constants = constants, .key = kept(lo, lo->feature->key),
                                                        .first = lo->feature->first, .width = lo->feature->width,
                                                        .user = lo->feature->user};
}

static void want_room(size_t *room, size_t n) { *room = *room > n ? *room : n; }

/* The i-th input as a text. */
static struct row_input text_input(struct row_lowering *lo, size_t i)
{
    struct row_input in = {.column = find_column(lo, i), .text = row_functions.text_column};
    switch (column_type(lo, i)) {
    case MMOE_STRING: return in;
    case MMOE_FIELD_BOOL: in.text = row_functions.bool_column; return in;
    case MMOE_FIELD_FLOAT:
    case MMOE_FIELD_DOUBLE:
        in.text = row_functions.fixed_column;
        in.digits = lo->fc->precision > 0 ? (uint32_t)lo->fc->precision : 0;
        if (in.digits > MOST_DIGITS)
            refuse(lo, "its precision is above 100");
        break;
    default: in.text = row_functions.whole_column; break;
    }
    want_room(&lo->p->texts, 1);
    return in;
}

static struct row_set set_of(struct row_lowering *lo, const char *bytes)
{
    return (struct row_set){kept(lo, bytes), strlen(text_of(bytes))};
}

static struct mmoe_text text_constant(struct row_lowering *lo, const char *text)
{
    return (struct mmoe_text){kept(lo, text), strlen(text_of(text))};
}

static const char *separator(const feature_config *fc) { return text_of(fc->separator); }

/* ---- tables ---------------------------------------------------------------------------------- */

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
    return add_table(lo, t);
}

/* A divisor of sums by the config's combiner. */
static row_divisor *divisor_of(struct row_lowering *lo)
{
    const char *combiner = text_of(lo->fc->combiner);
    if (strcmp(combiner, "mean") == 0)
        return row_functions.sum_of_weights;
    if (strcmp(combiner, "sqrtn") == 0)
        return row_functions.root_of_squares;
    if (*combiner && strcmp(combiner, "sum") != 0)
        refuse(lo, "its combiner is none of sum, mean, sqrtn");
    return NULL;
}

static struct row_sum sum_of(struct row_lowering *lo, bool weighted)
{
    return (struct row_sum){.table = (uint32_t)add_feature_table(lo), .width = (uint32_t)lo->fc->embedding_dim,
                            .first = (uint32_t)lo->feature->first, .divisor = divisor_of(lo), .weighted = weighted};
}

/* ---- ids ------------------------------------------------------------------------------------- */

static int by_word(const void *a, const void *b)
{
    const struct row_word *x = a, *y = b;
    size_t n = x->length < y->length ? x->length : y->length;
    int d = n ? memcmp(x->text, y->text, n) : 0;
    return d ? d : x->length < y->length ? -1 : x->length > y->length ? 1 : x->id < y->id ? -1 : x->id > y->id;
}

static const struct row_word *vocabulary(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    struct row_word *words = NEW_ARRAY(lo->job, fc->n_vocab_list, struct row_word);
    for (size_t i = 0; i < fc->n_vocab_list; i++)
        words[i] = (struct row_word){kept(lo, fc->vocab_list[i]), strlen(fc->vocab_list[i]), (uint32_t)i};
    qsort(words, fc->n_vocab_list, sizeof *words, by_word);
    return words;
}

static bool by_number(const feature_config *fc)
{
    return !fc->hash_bucket_size && !fc->n_vocab_list && !is_text(fc->vocab_file);
}

/* Texts to ids, by what the config has of the three, in EasyRec's order; whole numbers of `bits`. */
static struct row_ids ids_of(struct row_lowering *lo, int bits, bool drop)
{
    const feature_config *fc = lo->fc;
    struct row_ids ids = {.drop = drop, .n = fc->num_buckets, .find = row_functions.number_id};
    if (fc->hash_bucket_size) {
        ids.find = row_functions.hash_id;
        ids.n = fc->hash_bucket_size;
    } else if (fc->n_vocab_list) {
        ids.find = row_functions.word_id;
        ids.n = fc->n_vocab_list;
        ids.words = vocabulary(lo);
    } else if (is_text(fc->vocab_file)) {
        refuse(lo, "its vocabulary is in a file that the model does not have");
    } else {
        ids.least = bits == 32 ? INT32_MIN : INT64_MIN;
        ids.most = bits == 32 ? INT32_MAX : INT64_MAX;
    }
    return ids;
}

static struct row_ids hashed_ids(const feature_config *fc, bool drop)
{
    return (struct row_ids){.find = row_functions.hash_id, .n = fc->hash_bucket_size, .drop = drop};
}

/* ---- IdFeature ------------------------------------------------------------------------------- */

static void lower_id(struct row_lowering *lo)
{
    if (by_number(lo->fc) && column_type(lo, 0) != MMOE_STRING) {
        struct row_integer_feature *f = NEW(lo->job, struct row_integer_feature);
        f->column = find_column(lo, 0);
        f->n = lo->fc->num_buckets;
        f->to = sum_of(lo, false);
        add_feature(lo, ROW_KIND_integer, f);
        return;
    }
    struct row_id_feature *f = NEW(lo->job, struct row_id_feature);
    f->input = text_input(lo, 0);
    f->ids = ids_of(lo, 32, true);
    f->to = sum_of(lo, false);
    f->to.divisor = NULL;           /* of one row */
    add_feature(lo, ROW_KIND_id, f);
}

/* ---- TagFeature ------------------------------------------------------------------------------ */

static void lower_tag(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    bool pairs = fc->kv_separator != NULL, second = n_inputs(lo) > 1;
    struct row_tag_feature *f = NEW(lo->job, struct row_tag_feature);
    f->input = text_input(lo, 0);
    if (second)
        f->weights = text_input(lo, 1);
    f->set = set_of(lo, separator(fc));
    f->pairs = set_of(lo, fc->kv_separator);
    f->ids = ids_of(lo, 32, false);
    f->to = sum_of(lo, pairs || second);
    add_feature(lo, pairs ? ROW_KIND_pair : second ? ROW_KIND_weighted : ROW_KIND_tag, f);
}

/* ---- RawFeature ------------------------------------------------------------------------------ */

static row_float_function *function_of(struct row_lowering *lo)
{
    static const char *const modules[] = {"tf.math.", "tf.nn.", "tf."};
    const char *path = lo->fc->normalizer_fn;
    row_float_function *function = NULL;
    if (!is_text(path))
        return NULL;
    for (size_t i = 0; i < COUNT(modules) && !function; i++)
        if (strncmp(path, modules[i], strlen(modules[i])) == 0)
            function = row_function_named(path + strlen(modules[i]));
    if (!function)
        refuse(lo, "its normalizer_fn is not one of the functions known here (tf.math.log1p, tf.math.sqrt, ...)");
    return function;
}

static bool has_own_combiner(const feature_config *fc) { return fc->seq_multi_sep && field_set(fc, 19); }

/* How groups of numbers are combined; 0 to 3: see struct row_numbers. */
static int combine_of(struct row_lowering *lo)
{
    static const char *const names[] = {"sum", "mean", "max", "min"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(text_of(lo->fc->combiner), names[i]) == 0)
            return (int)i;
    refuse(lo, "its combiner is none of max, min, sum, mean");
    return 0;
}

static bool is_normal(const feature_config *fc) { return fc->max_val > fc->min_val; }

/* Numbers of the column: one, or raw_input_dim of them. */
static struct row_numbers numbers_of(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    enum mmoe_field_type type = column_type(lo, 0);
    bool vector = fc->raw_input_dim != 1 || has_own_combiner(fc);
    struct row_numbers n = {.column = find_column(lo, 0), .n = 1, .set = set_of(lo, separator(fc)), .function = function_of(lo)};
    if (is_normal(fc)) {
        n.normal = 1;
        n.least = (float)fc->min_val;
        n.range = (float)(fc->max_val - fc->min_val);
    }
    n.read = type == MMOE_STRING ? row_functions.text_number
             : type == MMOE_FIELD_FLOAT || type == MMOE_FIELD_DOUBLE ? row_functions.float_number : row_functions.whole_number;
    if (type == MMOE_STRING && vector) {
        n.n = fc->raw_input_dim;
        n.read = has_own_combiner(fc) ? row_functions.text_groups : row_functions.text_numbers;
    }
    if (n.read == row_functions.text_groups) {
        n.groups = set_of(lo, fc->seq_multi_sep);
        n.combine = combine_of(lo);
    }
    return n;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Given boundaries, or 0/n, 1/n, ... of a normalized number. As float32. */
static void lower_buckets(struct row_lowering *lo, const struct row_numbers *numbers)
{
    const feature_config *fc = lo->fc;
    size_t n = fc->n_boundaries ? fc->n_boundaries : (size_t)fc->num_buckets;
    struct row_bucket_feature *f = NEW(lo->job, struct row_bucket_feature);
    float *b = NEW_ARRAY(lo->job, n, float);
    for (size_t i = 0; i < n; i++)
        b[i] = (float)(fc->n_boundaries ? fc->boundaries[i] : (double)i / (double)n);
    qsort(b, n, sizeof *b, by_size);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(b[i]))
            refuse(lo, "a boundary is not a finite float");
    *f = (struct row_bucket_feature){.numbers = *numbers, .boundaries = b, .n_boundaries = n, .to = sum_of(lo, false)};
    want_room(&lo->p->floats, numbers->n);
    add_feature(lo, ROW_KIND_bucket, f);
}

static void lower_raw(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    struct row_numbers numbers = numbers_of(lo);
    if (fc->n_boundaries || (fc->num_buckets > 1 && is_normal(fc))) {
        lower_buckets(lo, &numbers);
    } else if (fc->embedding_dim) {
        struct row_projection_feature *f = NEW(lo->job, struct row_projection_feature);
        *f = (struct row_projection_feature){.numbers = numbers, .to = sum_of(lo, true)};
        want_room(&lo->p->floats, numbers.n);
        add_feature(lo, ROW_KIND_projection, f);
    } else {
        struct row_copy_feature *f = NEW(lo->job, struct row_copy_feature);
        *f = (struct row_copy_feature){.numbers = numbers, .first = (uint32_t)lo->feature->first};
        add_feature(lo, ROW_KIND_copy, f);
    }
}

/* ---- ComboFeature ---------------------------------------------------------------------------- */

static const char *input_separator(const struct row_lowering *lo, size_t i)
{
    return i < lo->fc->n_combo_input_seps ? text_of(lo->fc->combo_input_seps[i]) : "";
}

/* The i-th input: split if it has a separator; else one text, of a whole number if it is joined beside split ones. */
static struct row_part part_of(struct row_lowering *lo, size_t i, bool whole)
{
    const char *sep = input_separator(lo, i);
    struct row_part part = {.input = text_input(lo, i), .set = set_of(lo, sep), .split = *sep != 0};
    if (part.split && column_type(lo, i) != MMOE_STRING)
        refuse(lo, "an input of it is split, but not a STRING");
    if (whole && !part.split && part.input.text == row_functions.fixed_column)
        part.input.text = row_functions.cut_column;
    if (whole && !part.split && part.input.text == row_functions.bool_column)
        part.input.text = row_functions.whole_column;
    return part;
}

/* Of crossed inputs, those that are split come first: TensorFlow's cross puts sparse inputs before dense ones. */
static void lower_combo(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    size_t n = n_inputs(lo), k = 0;
    struct row_part *parts = NEW_ARRAY(lo->job, n, struct row_part);
    struct row_combo_feature *f = NEW(lo->job, struct row_combo_feature);
    bool join = is_text(fc->combo_join_sep), split = fc->n_combo_input_seps > 0;
    if (n > ROW_PARTS)
        refuse(lo, "it has more than 32 inputs");
    if (join)
        for (size_t i = 0; i < n; i++)
            parts[k++] = part_of(lo, i, split);
    for (int pass = 0; pass < 2 && !join; pass++)
        for (size_t i = 0; i < n; i++)
            if ((*input_separator(lo, i) != 0) == (pass == 0))
                parts[k++] = part_of(lo, i, false);
    *f = (struct row_combo_feature){.part = parts, .n = (uint32_t)n, .ids = hashed_ids(fc, join), .to = sum_of(lo, false)};
    if (join)
        f->join = text_constant(lo, split ? "_X_" : fc->combo_join_sep);
    if (lo->p->texts)
        want_room(&lo->p->texts, n);
    add_feature(lo, join ? ROW_KIND_joined : ROW_KIND_crossed, f);
}

/* ---- LookupFeature --------------------------------------------------------------------------- */

static void lower_lookup(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    struct row_lookup_feature *f = NEW(lo->job, struct row_lookup_feature);
    f->key = text_input(lo, 0);
    f->map = text_input(lo, 1);
    f->set = set_of(lo, separator(fc));
    f->pairs = set_of(lo, fc->kv_separator);
    f->most = fc->lookup_max_sel_elem_num > 0 ? (uint64_t)fc->lookup_max_sel_elem_num : 0;
    f->ids = hashed_ids(fc, false);
    f->to = sum_of(lo, false);
    add_feature(lo, ROW_KIND_lookup, f);
}

/* ---- SequenceFeature ------------------------------------------------------------------------- */

/* What turns a text into steps; where its table is, the caller knows. */
static struct row_history history_of(struct row_lowering *lo)
{
    const feature_config *fc = lo->fc;
    struct row_history h = {.input = text_input(lo, 0), .delimiter = text_constant(lo, separator(fc)),
                            .set = set_of(lo, fc->seq_multi_sep), .split = is_text(fc->seq_multi_sep),
                            .ids = ids_of(lo, 64, false)};
    if (!*separator(fc))
        refuse(lo, "its separator is empty, which splits at white space");
    if (by_number(fc) && (fc->num_buckets < 2 || is_normal(fc)))
        refuse(lo, "EasyRec would not read its steps as numbers");
    h.to = sum_of(lo, false);
    return h;
}

static void lower_sequence(struct row_lowering *lo)
{
    struct row_sequence_feature *f = NEW(lo->job, struct row_sequence_feature);
    f->history = history_of(lo);
    const char *scope = lo->feature->shared
                            ? lo->feature->shared : arena_print(lo->arena, "%s_embedding", lo->feature->key);
    struct row_table kernel = {.names = {arena_print(lo->arena, "%s/attention/kernel", scope)},
                               .rows = lo->fc->embedding_dim, .width = 1, .pos = lo->feature->pos};
    f->vector = (uint32_t)add_table(lo, kernel);
    f->first = (uint32_t)lo->feature->first;
    want_room(&lo->p->floats, lo->fc->embedding_dim);
    want_room(&lo->p->doubles, lo->fc->embedding_dim);
    add_feature(lo, ROW_KIND_sequence, f);
}

/* ---- ExprFeature ----------------------------------------------------------------------------- */

static void lower_expr(struct row_lowering *lo)
{
    size_t n = n_inputs(lo);
    struct row_expr_feature *f = NEW(lo->job, struct row_expr_feature);
    struct row_double *inputs = NEW_ARRAY(lo->job, n, struct row_double);
    const char **names = NEW_ARRAY(lo->job, n, const char *), *trouble = NULL;
    if (n > ROW_PARTS)
        refuse(lo, "it has more than 32 inputs");
    for (size_t i = 0; i < n; i++) {
        enum mmoe_field_type type = column_type(lo, i);
        if (type == MMOE_FIELD_BOOL)
            refuse(lo, "EasyRec makes no number of a BOOL");
        names[i] = input_name(lo, i);
        inputs[i].column = find_column(lo, i);
        inputs[i].read = type == MMOE_STRING ? row_functions.text_double
                         : type == MMOE_FIELD_FLOAT || type == MMOE_FIELD_DOUBLE ? row_functions.float_double
                         : row_functions.whole_double;
    }
    f->expr = parse_expr(lo->job, text_of(lo->fc->expression), names, (int)n, &trouble);
    if (!f->expr)
        refuse(lo, trouble);
    f->input = inputs;
    f->n = (uint32_t)n;
    f->first = (uint32_t)lo->feature->first;
    add_feature(lo, ROW_KIND_expr, f);
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
static struct row_span key_of(struct row_lowering *lo, const char *key)
{
    const struct feature *in_group = find_in_group(lo->f, key), *attention = lo->feature;
    struct feature *x = NEW(lo->job, struct feature);
    *x = in_group ? *in_group : *find_member(lo->f, key);
    if (!in_group) {
        x->first = lo->p->width + lo->p->more_columns;
        x->user = attention->user;
        lo->p->more_columns += x->width;
        own_table(lo, x);
        lower_feature(lo, x);
        lo->feature = attention;
    }
    return (struct row_span){(uint32_t)x->first, (uint32_t)x->width};
}

/* Its columns are `first` and following of a step's. */
static struct row_history member_history(struct row_lowering *lo, const char *key, const char *group, uint32_t first)
{
    const struct feature *attention = lo->feature;
    struct feature *x = NEW(lo->job, struct feature);
    *x = *find_member(lo->f, key);
    const char *column = x->column;
    own_table(lo, x);
    x->first = (int)first;
    lo->feature = x;
    lo->fc = (const feature_config *)x->config;
    struct row_history h = history_of(lo);
    if (!x->shared)
        lo->p->tables[h.to.table].names[1] = arena_print(lo->arena, "%s/%s/embedding_weights", group, column);
    lo->feature = attention;
    return h;
}

/* The tables of a dense layer: kernel, then bias. */
static uint32_t add_layer_tables(struct row_lowering *lo, const char *name, int in, int out)
{
    struct row_table kernel = {.names = {arena_print(lo->arena, "%s/kernel", name)}, .rows = (uint64_t)in, .width = out,
                               .pos = lo->feature->pos};
    struct row_table bias = {.names = {arena_print(lo->arena, "%s/bias", name)}, .rows = (uint64_t)out,
                             .pos = lo->feature->pos};
    int first = add_table(lo, kernel);
    add_table(lo, bias);
    return (uint32_t)first;
}

/* Keys and histories of all maps; of auxiliary histories EasyRec keeps those of the last map alone. How wide all keys
   are. */
static int add_maps(struct row_lowering *lo, struct row_target_feature *t, const Easyrec__SeqAttGroupConfig *g)
{
    size_t n_keys = 0, n_histories = 0;
    int key_width = 0;
    for (size_t i = 0; i < g->n_seq_att_map; i++) {
        n_keys += g->seq_att_map[i]->n_key;
        n_histories += g->seq_att_map[i]->n_hist_seq + g->seq_att_map[i]->n_aux_hist_seq;
    }
    struct row_span *key = NEW_ARRAY(lo->job, n_keys, struct row_span);
    struct row_history *history = NEW_ARRAY(lo->job, n_histories, struct row_history);
    t->key = key;
    t->history = history;
    for (size_t i = 0; i < g->n_seq_att_map; i++) {
        const Easyrec__SeqAttMap *m = g->seq_att_map[i];
        for (size_t k = 0; k < m->n_key; k++) {
            key[t->n_keys] = key_of(lo, m->key[k]);
            key_width += (int)key[t->n_keys++].width;
        }
        for (size_t k = 0; k < m->n_hist_seq; k++) {
            history[t->n_histories] = member_history(lo, m->hist_seq[k], text_of(g->group_name), t->width);
            t->width += history[t->n_histories++].to.width;
        }
    }
    const Easyrec__SeqAttMap *last = g->seq_att_map[g->n_seq_att_map - 1];
    for (size_t k = 0; k < last->n_aux_hist_seq; k++) {
        struct row_history *h = &history[t->n_histories + t->n_others++];
        *h = member_history(lo, last->aux_hist_seq[k], text_of(g->group_name), t->more);
        t->more += h->to.width;
    }
    if (t->n_histories + t->n_others > ROW_PARTS)
        refuse(lo, "it has more than 32 histories");
    return key_width;
}

/* Floats: see target_floats() in templates/rows.c. */
static void want_target_room(struct row_program *p, const struct row_target_feature *t, size_t key_width)
{
    size_t pairs = (size_t)ROW_STEPS * 4 * t->width;
    pairs = pairs > key_width ? pairs : key_width;
    want_room(&p->floats, 2 * (size_t)t->width + pairs + ROW_STEPS * (1 + (size_t)t->width + t->more));
    want_room(&p->doubles, (size_t)t->width + t->more);
}

static void lower_target(struct row_lowering *lo, const Easyrec__SeqAttGroupConfig *g)
{
    struct row_target_feature *t = NEW(lo->job, struct row_target_feature);
    *t = (struct row_target_feature){.key_layer = ROW_NO_LAYER, .step_layer = ROW_NO_LAYER,
                                     .keep_key = g->need_key_feature, .first = (uint32_t)lo->feature->first};
    const char *name = arena_print(lo->arena, "seq_dnn%s", text_of(g->group_name));
    int key_width = add_maps(lo, t, g), width = (int)t->width;
    if (key_width != width && (g->transform_dnn || key_width > width)) {
        t->key_layer = add_layer_tables(lo, arena_print(lo->arena, "sequence_key_transform_layer_%s", name), key_width,
                                        width);
        t->step_layer = add_layer_tables(lo, arena_print(lo->arena, "sequence_fea_transform_layer_%s", name), width,
                                         width);
    }
    struct row_network *network = &lo->p->networks[lo->p->n_networks++];
    network->original = lower_seq_dnn(lo->job, lo->c, g->seq_dnn ? &g->seq_dnn->base : NULL, name, 4 * width,
                                      &lo->batch_norms);
    network->plan = make_plan(lo->job, tidy(lo->job, fuse(lo->job, fold(lo->job, network->original))));
    network->table = (uint32_t)add_table(lo, (struct row_table){.names = {name}, .network = network, .pos = lo->feature->pos});
    t->network = run_row_network;
    t->self = network;
    want_target_room(lo->p, t, (size_t)key_width);
    add_feature(lo, ROW_KIND_target, t);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void lower_feature(struct row_lowering *lo, const struct feature *x)
{
    lo->feature = x;
    if (x->trouble)
        refuse(lo, x->trouble);
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
    case KIND(ExprFeature): lower_expr(lo); return;
    default: refuse(lo, "features of its kind are not made of columns");
    }
}

/* EasyRec's variational dropout: a trained number a feature, or a column, scales what is not target attention. */
static void add_scale(struct row_lowering *lo, const Easyrec__VariationalDropoutLayer *v)
{
    struct row_scale_feature *f = NEW(lo->job, struct row_scale_feature);
    int n = 0, features = 0, *logit = NEW_ARRAY(lo->job, (size_t)lo->p->width, int);
    for (int j = 0; j < lo->p->width; j++)
        logit[j] = -1;
    for (int i = 0; i < lo->f->n_features; i++) {
        const struct feature *x = &lo->f->feature[i];
        if (x->config->descriptor != &easyrec__feature_config__descriptor)
            continue;
        for (int j = 0; j < x->width; j++, n++)
            logit[x->first + j] = v->embedding_wise_variational_dropout ? n : features;
        features++;
    }
    struct row_table logits = {.names = {"logit_p", "backbone/logit_p"}, .pos = lo->f->feature[0].pos,
                               .rows = (uint64_t)(v->embedding_wise_variational_dropout ? n : features),
                               .logit = logit, .n_scales = lo->p->width};
    f->table = (uint32_t)add_table(lo, logits);
    f->width = (uint32_t)lo->p->width;
    add_feature(lo, ROW_KIND_scale, f);
    lo->p->features[lo->p->n_features - 1].user = false;        /* of all columns, once they are there */
}

uint64_t table_floats(const struct row_table *t)
{
    if (t->network)
        return t->network->plan->weight_floats;
    return t->logit ? (uint64_t)t->n_scales : t->rows * (uint64_t)(t->width ? t->width : 1);
}

/* Tables begin at multiples of a cache line. */
static void lay_tables(struct row_program *p)
{
    for (int i = 0; i < p->n_tables; i++) {
        p->tables[i].at = p->table_floats;
        p->table_floats += (table_floats(&p->tables[i]) + 15) / 16 * 16;
    }
}

struct row_program *lower_rows(struct job *job, const struct config *c, const struct features *f)
{
    if (!c || !f)
        return NULL;
    int errors = job->errors;
    struct row_lowering lo = {.job = job, .arena = &job->arena, .c = c, .f = f, .p = NEW(job, struct row_program),
                              .top = (const Easyrec__EasyRecConfig *)c->message};
    lo.p->width = f->width;
    lo.p->user_width = f->user_width;
    lo.p->networks = NEW_ARRAY(job, (size_t)f->n_features, struct row_network);
    describe_file(&lo);
    add_fields(&lo);
    for (int i = 0; i < f->n_features; i++)
        lower_feature(&lo, &f->feature[i]);
    if (lo.top->model_config->variational_dropout)
        add_scale(&lo, lo.top->model_config->variational_dropout);
    lay_tables(lo.p);
    return job->errors == errors ? lo.p : NULL;
}
