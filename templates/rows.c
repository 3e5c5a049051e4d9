// SPDX-License-Identifier: Apache-2.0
/* rows.c: a row's columns -> a row of the experts' input.
 *
 * The functions that the constants of rows.h speak of, in plain C that needs no C library: the compiler includes them
 * (compiler/rows.c), a generated file has those that its features call (rows.def says what calls what). Texts are read
 * where they lie, piece by piece; nothing is copied and nothing grows with a text's length.
 *
 * Sums are the same bits everywhere: left to right; a product that meets a sum is one of floats, exact in double, so
 * that it does not matter whether a compiler makes one operation of the two. Against TensorFlow: ids, buckets and plain
 * numbers are equal; a sum of n rows of a table is within n * 2^-24 * sum |w T|, as TensorFlow adds more than nine rows
 * in groups of eight.
 *
 * How to read it: values of columns; texts; pieces; ids; lookups; one kind of feature after the other; all of a block.
 */
#ifndef ROWS_C
#define ROWS_C
#include "simd.h"
#include "rows.h"
#include "fingerprint.c"
#include "number.c"
#include "functions.c"
#include "expr.c"

/*@ begin values */
static const void *value_of(const struct rows *r, uint32_t column, size_t row)
{
    const struct mmoe_values *v = &r->values[column];
    const size_t at = r->shared && r->column[column].user ? r->user : r->at + row;
    return v->at ? (const char *)v->at + at * v->stride : NULL;
}

static void spoil(struct rows *r, size_t row, uint32_t column, int why)
{
    if (why > 0 && r->status[row].why == MMOE_ROW_FINE) {
        r->status[row].why = (uint16_t)why;
        r->status[row].column = (uint16_t)column;
    }
}
/*@ end */

/*@ begin text_value */
/* Where there are no bytes the pointer may be none, to which nothing could be added. */
static struct mmoe_text text_value(const struct rows *r, uint32_t column, size_t row)
{
    const struct mmoe_text *at = value_of(r, column, row);
    struct mmoe_text text = at ? *at : r->column[column].text;
    if (text.length == 0)
        text.bytes = "";
    return text;
}
/*@ end */

/*@ begin whole_value */
static int64_t whole_value(const struct rows *r, uint32_t column, size_t row)
{
    const int64_t *at = value_of(r, column, row);
    return at ? *at : r->column[column].whole;
}
/*@ end */

/*@ begin number_value */
static double number_value(const struct rows *r, uint32_t column, size_t row)
{
    const void *at = value_of(r, column, row);
    if (!at)
        return r->column[column].number;
    return r->column[column].kind == MMOE_FLOAT ? (double)*(const float *)at : *(const double *)at;
}
/*@ end */

/*@ begin text_column */
static int text_column(const struct rows *r, const struct row_input *in, size_t row, char *room, struct mmoe_text *to)
{
    (void)room;
    *to = text_value(r, in->column, row);
    return 0;
}
/*@ end */

/*@ begin bool_column */
static int bool_column(const struct rows *r, const struct row_input *in, size_t row, char *room, struct mmoe_text *to)
{
    (void)room;
    int yes = whole_value(r, in->column, row) != 0;
    to->bytes = yes ? "true" : "false";
    to->length = yes ? 4 : 5;
    return 0;
}
/*@ end */

/*@ begin whole_column */
static int whole_column(const struct rows *r, const struct row_input *in, size_t row, char *room, struct mmoe_text *to)
{
    to->bytes = room;
    to->length = print_whole(whole_value(r, in->column, row), room);
    return 0;
}
/*@ end */

/*@ begin fixed_column */
static int fixed_column(const struct rows *r, const struct row_input *in, size_t row, char *room, struct mmoe_text *to)
{
    to->bytes = room;
    to->length = print_fixed(number_value(r, in->column, row), (int)in->digits, room);
    return 0;
}
/*@ end */

/*@ begin cut_column */
/* A float without its fraction. */
static int cut_column(const struct rows *r, const struct row_input *in, size_t row, char *room, struct mmoe_text *to)
{
    double x = number_value(r, in->column, row);
    if (!(x > -0x1p63 && x < 0x1p63))
        return MMOE_ROW_NOT_WHOLE;
    to->bytes = room;
    to->length = print_whole((int64_t)x, room);
    return 0;
}
/*@ end */

/*@ begin pieces */
static int is_in(const struct row_set *set, char byte)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->bytes[i] == byte)
            return 1;
    return 0;
}

/* The first piece of what is left; without separators, a byte. Empty pieces are none. */
static int next_piece(struct mmoe_text *rest, const struct row_set *set, struct mmoe_text *piece)
{
    size_t from = 0;
    while (from < rest->length && is_in(set, rest->bytes[from]))
        from++;
    if (from == rest->length)
        return 0;
    size_t to = from + 1;
    while (to < rest->length && set->n && !is_in(set, rest->bytes[to]))
        to++;
    piece->bytes = rest->bytes + from;
    piece->length = to - from;
    rest->bytes += to;
    rest->length -= to;
    return 1;
}
/*@ end */

/*@ begin pairs */
/* KEY and VALUE around the one separator; either may be empty. */
static int cut_pair(const struct mmoe_text *from, const struct row_set *set, struct mmoe_text *key,
                    struct mmoe_text *value)
{
    size_t at = 0;
    while (at < from->length && !is_in(set, from->bytes[at]))
        at++;
    if (at == from->length)
        return MMOE_ROW_NO_PAIR;
    for (size_t i = at + 1; i < from->length; i++)
        if (is_in(set, from->bytes[i]))
            return MMOE_ROW_NO_PAIR;
    key->bytes = from->bytes;
    key->length = at;
    value->bytes = from->bytes + at + 1;
    value->length = from->length - at - 1;
    return 0;
}
/*@ end */

/*@ begin same_text */
static int same_text(const struct mmoe_text *a, const struct mmoe_text *b)
{
    size_t i = 0;
    while (i < a->length && i < b->length && a->bytes[i] == b->bytes[i])
        i++;
    return i == a->length && i == b->length;
}
/*@ end */

/*@ begin hash_id */
static uint64_t hash_of(const struct mmoe_text *text)
{
    return fp_hash((const unsigned char *)text->bytes, text->length);
}

static int hash_id(const struct row_ids *ids, const struct mmoe_text *text, uint64_t *id)
{
    if (ids->drop && text->length == 0)
        return ROW_MISSING;
    *id = hash_of(text) % ids->n;
    return 0;
}
/*@ end */

/*@ begin word_id */
static int order_word(const struct mmoe_text *text, const struct row_word *w)
{
    for (size_t i = 0; i < text->length && i < w->length; i++)
        if (text->bytes[i] != w->text[i])
            return (unsigned char)text->bytes[i] < (unsigned char)w->text[i] ? -1 : 1;
    return (text->length > w->length) - (text->length < w->length);
}

/* The first word for a text that is none. */
static int word_id(const struct row_ids *ids, const struct mmoe_text *text, uint64_t *id)
{
    uint64_t low = 0, high = ids->n;
    if (ids->drop && text->length == 0)
        return ROW_MISSING;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (order_word(text, &ids->words[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    *id = low < ids->n && order_word(text, &ids->words[low]) == 0 ? ids->words[low].id : 0;
    return 0;
}
/*@ end */

/*@ begin number_id */
static int number_id(const struct row_ids *ids, const struct mmoe_text *text, uint64_t *id)
{
    int64_t x;
    if (!read_whole(text->bytes, text->length, ids->least, ids->most, &x))
        return MMOE_ROW_NOT_WHOLE;
    if (ids->drop && x == -1)
        return ROW_MISSING;
    *id = x >= 0 && (uint64_t)x < ids->n ? (uint64_t)x : 0;
    return 0;
}
/*@ end */

/*@ begin sum_of_weights */
/* Of a mean. */
static float sum_of_weights(double sum, double squares)
{
    (void)squares;
    return (float)sum;
}
/*@ end */

/*@ begin root_of_squares */
static float root_of_squares(double sum, double squares)
{
    (void)sum;
    return fn_sqrt((float)squares);
}
/*@ end */

/*@ begin lookups */
static void begin_lookups(struct rows *r, const struct row_sum *to)
{
    r->to = to;
    r->n_lookups = 0;
    for (size_t i = 0; i < r->n; i++) {
        r->weight[i] = r->squares[i] = 0;
        r->seen[i] = 0;
        NO_CALL;
    }
}

/* Four floats, which compilers move and add as one. */
struct row_four {
    float f[4];
};

static void copy_plain(const float *from, float *y, size_t width)
{
    size_t j = 0;
    for (; j + 4 <= width; j += 4) {
        *(struct row_four *)(y + j) = *(const struct row_four *)(from + j);
        NO_CALL;
    }
    for (; j < width; j++) {
        y[j] = from[j];
        NO_CALL;
    }
}

static void sum_plain(const float *from, float *y, size_t width)
{
    size_t j = 0;
    for (; j + 4 <= width; j += 4) {
        const struct row_four a = *(const struct row_four *)(y + j), b = *(const struct row_four *)(from + j);
        const struct row_four sum = {{a.f[0] + b.f[0], a.f[1] + b.f[1], a.f[2] + b.f[2], a.f[3] + b.f[3]}};
        *(struct row_four *)(y + j) = sum;
    }
    for (; j < width; j++)
        y[j] += from[j];
}

static void add_plain(const struct row_lookup *k, float *y, size_t width)
{
    if (k->first)
        copy_plain(k->from, y, width);
    else
        sum_plain(k->from, y, width);
}

static void add_weighted(const struct row_lookup *k, float *y, size_t width)
{
    for (size_t j = 0; j < width; j++) {
        double product = (double)k->weight * (double)k->from[j];
        y[j] = (float)(k->first ? product : (double)y[j] + product);
    }
}

static void run_lookups(struct rows *r)
{
    for (size_t i = 0; i < r->n_lookups; i++) {
        const struct row_lookup *k = &r->lookup[i];
        float *y = r->x + k->row * r->stride + r->to->first;
        if (r->to->weighted)
            add_weighted(k, y, r->to->width);
        else
            add_plain(k, y, r->to->width);
    }
    r->n_lookups = 0;
}

/* With weights, a mean and its like count positive ones alone. Source: EasyRec's safe_embedding_lookup_sparse
   (compat/feature_column), TensorFlow's embedding_lookup_sparse. */
static void look_up(struct rows *r, size_t row, uint64_t id, float weight)
{
    const struct row_sum *to = r->to;
    const float *from = r->table[to->table] + (size_t)id * to->width;
    if (to->divisor && !(weight > 0))
        return;
    for (size_t j = 0; j < to->width; j += 16)
        PREFETCH(from + j);
    if (r->n_lookups == ROW_LOOKUPS)
        run_lookups(r);
    struct row_lookup *k = &r->lookup[r->n_lookups++];
    k->from = from;
    k->row = (uint32_t)row;
    k->weight = weight;
    k->first = !r->seen[row];
    r->seen[row] = 1;
    r->weight[row] += (double)weight;
    r->squares[row] += (double)weight * (double)weight;
}

/* Rows that looked up nothing are zeros. */
static void end_lookups(struct rows *r)
{
    const struct row_sum *to = r->to;
    run_lookups(r);
    for (size_t i = 0; i < r->n; i++) {
        float *y = r->x + i * r->stride + to->first;
        float divisor = to->divisor && r->seen[i] ? to->divisor(r->weight[i], r->squares[i]) : 1;
        for (size_t j = 0; j < to->width && !r->seen[i]; j++) {
            y[j] = 0;
            NO_CALL;
        }
        for (size_t j = 0; j < to->width && to->divisor && r->seen[i]; j++)
            y[j] /= divisor;
    }
}
/*@ end */

/*@ begin look_up_text */
static int look_up_text(struct rows *r, size_t row, const struct row_ids *ids, const struct mmoe_text *text, float weight)
{
    uint64_t id = 0;
    int why = ids->find(ids, text, &id);
    if (!why)
        look_up(r, row, id, weight);
    return why;
}
/*@ end */

/*@ begin id_feature */
static void id_feature(struct rows *r, const struct row_id_feature *f)
{
    begin_lookups(r, &f->to);
    for (size_t i = 0; i < r->n; i++) {
        struct mmoe_text text;
        int why = f->input.text(r, &f->input, i, r->texts, &text);
        spoil(r, i, f->input.column, why ? why : look_up_text(r, i, &f->ids, &text, 1));
    }
    end_lookups(r);
}
/*@ end */

/*@ begin integer_feature */
static void integer_feature(struct rows *r, const struct row_integer_feature *f)
{
    begin_lookups(r, &f->to);
    for (size_t i = 0; i < r->n; i++) {
        int64_t x = whole_value(r, f->column, i);
        if (x != -1)
            look_up(r, i, x >= 0 && (uint64_t)x < f->n ? (uint64_t)x : 0, 1);
    }
    end_lookups(r);
}
/*@ end */

/*@ begin tag_feature */
static void tag_feature(struct rows *r, const struct row_tag_feature *f)
{
    begin_lookups(r, &f->to);
    for (size_t i = 0; i < r->n; i++) {
        struct mmoe_text rest = text_value(r, f->input.column, i), tag;
        while (next_piece(&rest, &f->set, &tag))
            spoil(r, i, f->input.column, look_up_text(r, i, &f->ids, &tag, 1));
    }
    end_lookups(r);
}
/*@ end */

/*@ begin pair_feature */
/* A tag and its weight. */
static int look_up_pair(struct rows *r, size_t row, const struct row_tag_feature *f, const struct mmoe_text *pair)
{
    struct mmoe_text tag, weight;
    float w = 0;
    int why = cut_pair(pair, &f->pairs, &tag, &weight);
    if (!why && !read_float(weight.bytes, weight.length, &w))
        why = MMOE_ROW_NO_NUMBER;
    return why ? why : look_up_text(r, row, &f->ids, &tag, w);
}

static void pair_feature(struct rows *r, const struct row_tag_feature *f)
{
    begin_lookups(r, &f->to);
    for (size_t i = 0; i < r->n; i++) {
        struct mmoe_text rest = text_value(r, f->input.column, i), pair;
        while (next_piece(&rest, &f->set, &pair))
            spoil(r, i, f->input.column, look_up_pair(r, i, f, &pair));
    }
    end_lookups(r);
}
/*@ end */

/*@ begin weighted_feature */
/* Tags of one column, whose weights are numbers of another. */
static void look_up_weighted(struct rows *r, size_t row, const struct row_tag_feature *f)
{
    struct mmoe_text tags = text_value(r, f->input.column, row), tag, weight;
    struct mmoe_text numbers = text_value(r, f->weights.column, row);
    float w = 0;
    while (next_piece(&tags, &f->set, &tag)) {
        if (!next_piece(&numbers, &f->set, &weight))
            spoil(r, row, f->weights.column, MMOE_ROW_NO_WEIGHT);
        else if (!read_float(weight.bytes, weight.length, &w))
            spoil(r, row, f->weights.column, MMOE_ROW_NO_NUMBER);
        else
            spoil(r, row, f->input.column, look_up_text(r, row, &f->ids, &tag, w));
    }
    if (next_piece(&numbers, &f->set, &weight))
        spoil(r, row, f->weights.column, MMOE_ROW_NO_WEIGHT);
}

static void weighted_feature(struct rows *r, const struct row_tag_feature *f)
{
    begin_lookups(r, &f->to);
    for (size_t i = 0; i < r->n; i++)
        look_up_weighted(r, i, f);
    end_lookups(r);
}
/*@ end */

/*@ begin text_number */
static int text_number(const struct rows *r, const struct row_numbers *n, size_t row, float *to)
{
    struct mmoe_text text = text_value(r, n->column, row);
    return read_float(text.bytes, text.length, to) ? 0 : MMOE_ROW_NO_NUMBER;
}
/*@ end */

/*@ begin whole_number */
static int whole_number(const struct rows *r, const struct row_numbers *n, size_t row, float *to)
{
    *to = (float)whole_value(r, n->column, row);
    return 0;
}
/*@ end */

/*@ begin float_number */
static int float_number(const struct rows *r, const struct row_numbers *n, size_t row, float *to)
{
    *to = (float)number_value(r, n->column, row);
    return 0;
}
/*@ end */

/*@ begin text_numbers */
/* As many as there are, then zeros. */
static int text_numbers(const struct rows *r, const struct row_numbers *n, size_t row, float *to)
{
    struct mmoe_text rest = text_value(r, n->column, row), piece;
    size_t i = 0;
    for (; next_piece(&rest, &n->set, &piece); i++) {
        if (i == n->n)
            return MMOE_ROW_NUMBERS;
        if (!read_float(piece.bytes, piece.length, &to[i]))
            return MMOE_ROW_NO_NUMBER;
    }
    for (; i < n->n; i++) {
        to[i] = 0;
        NO_CALL;
    }
    return 0;
}
/*@ end */

/*@ begin text_groups */
/* Exactly n numbers into to [n], combined with what is there unless they are the first. */
static int add_group(const struct row_numbers *n, struct mmoe_text group, int first, float *to)
{
    struct mmoe_text piece;
    size_t j = 0;
    float x = 0;
    for (; next_piece(&group, &n->set, &piece); j++) {
        if (j == n->n)
            return MMOE_ROW_COUNT;
        if (!read_float(piece.bytes, piece.length, &x))
            return MMOE_ROW_NO_NUMBER;
        if (first)
            to[j] = x;
        else if (n->combine < 2)
            to[j] += x;
        else
            to[j] = (n->combine == 2 ? to[j] > x : to[j] < x) ? to[j] : x;
    }
    return j < n->n ? MMOE_ROW_COUNT : 0;
}

static int text_groups(const struct rows *r, const struct row_numbers *n, size_t row, float *to)
{
    struct mmoe_text rest = text_value(r, n->column, row), group;
    size_t groups = 0;
    for (size_t j = 0; j < n->n; j++) {
        to[j] = 0;
        NO_CALL;
    }
    for (; next_piece(&rest, &n->groups, &group); groups++) {
        int why = add_group(n, group, groups == 0, to);
        if (why)
            return why;
    }
    for (size_t j = 0; j < n->n && n->combine == 1 && groups > 0; j++)
        to[j] /= (float)groups;
    return 0;
}
/*@ end */

/*@ begin numbers */
/* A row's numbers as they enter what comes next; zeros if the row is bad. */
static void read_numbers(struct rows *r, const struct row_numbers *n, size_t row, float *to)
{
    int why = n->read(r, n, row, to);
    spoil(r, row, n->column, why);
    for (size_t j = 0; j < n->n; j++) {
        float x = why ? 0 : to[j];
        x = n->normal ? (x - n->least) / n->range : x;
        to[j] = n->function ? n->function(x) : x;
    }
}
/*@ end */

/*@ begin copy_feature */
static void copy_feature(struct rows *r, const struct row_copy_feature *f)
{
    for (size_t i = 0; i < r->n; i++)
        read_numbers(r, &f->numbers, i, r->x + i * r->stride + f->first);
}
/*@ end */

/*@ begin bucket_feature */
/* How many boundaries are not above x: all of them for a NaN, as TensorFlow's upper_bound has it. */
static size_t bucket_of(const struct row_bucket_feature *f, float x)
{
    size_t low = 0, high = f->n_boundaries;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (x < f->boundaries[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Each number has rows of the table for itself. */
static void bucket_feature(struct rows *r, const struct row_bucket_feature *f)
{
    begin_lookups(r, &f->to);
    for (size_t i = 0; i < r->n; i++) {
        read_numbers(r, &f->numbers, i, r->floats);
        for (size_t j = 0; j < f->numbers.n; j++)
            look_up(r, i, bucket_of(f, r->floats[j]) + j * (f->n_boundaries + 1), 1);
    }
    end_lookups(r);
}
/*@ end */

/*@ begin projection_feature */
static void projection_feature(struct rows *r, const struct row_projection_feature *f)
{
    begin_lookups(r, &f->to);
    for (size_t i = 0; i < r->n; i++) {
        read_numbers(r, &f->numbers, i, r->floats);
        for (size_t j = 0; j < f->numbers.n; j++)
            look_up(r, i, j, r->floats[j]);
    }
    end_lookups(r);
}
/*@ end */

/*@ begin combinations */
/* Each part's text, what is left of it, and the piece that is combined now. */
struct row_pieces {
    struct mmoe_text text[ROW_PARTS], rest[ROW_PARTS], piece[ROW_PARTS];
};

static int next_of_part(const struct row_part *part, struct row_pieces *p, size_t i)
{
    if (part->split)
        return next_piece(&p->rest[i], &part->set, &p->piece[i]);
    return 0;
}

static int first_of_part(const struct row_part *part, struct row_pieces *p, size_t i)
{
    p->rest[i] = p->piece[i] = p->text[i];
    return !part->split || next_of_part(part, p, i);
}

/* How many combinations there are; a bad part, or too many of them, spoils the row, which has none then. */
static uint64_t begin_combinations(struct rows *r, const struct row_combo_feature *f, size_t row, struct row_pieces *p)
{
    uint64_t all = 1;
    for (size_t i = 0; i < f->n; i++) {
        const struct row_part *part = &f->part[i];
        int why = part->input.text(r, &part->input, row, r->texts + i * ROW_TEXT_ROOM, &p->text[i]);
        uint64_t n = !why && first_of_part(part, p, i);
        while (n > 0 && next_of_part(part, p, i))
            n++;
        if (n > 0 && all > ROW_COMBINATIONS / n)
            why = MMOE_ROW_COMBINATIONS;
        all = why ? 0 : all * n;
        spoil(r, row, part->input.column, why);
    }
    for (size_t i = 0; i < f->n && all > 0; i++)
        first_of_part(&f->part[i], p, i);
    return all;
}

static void next_combination(const struct row_combo_feature *f, struct row_pieces *p)
{
    for (size_t i = f->n; i-- > 0 && !next_of_part(&f->part[i], p, i);)
        first_of_part(&f->part[i], p, i);
}
/*@ end */

/*@ begin crossed_feature */
/* Source: TensorFlow's core/kernels/sparse_cross_op.cc, HashCrosser, with the key that feature columns give it. */
static void crossed_feature(struct rows *r, const struct row_combo_feature *f)
{
    struct row_pieces p;
    begin_lookups(r, &f->to);
    for (size_t row = 0; row < r->n; row++)
        for (uint64_t left = begin_combinations(r, f, row, &p); left > 0; left--) {
            uint64_t h = UINT64_C(0xDECAFCAFFE);
            for (size_t i = 0; i < f->n; i++)
                h = fp_cat(h, hash_of(&p.piece[i]));
            look_up(r, row, h % f->ids.n, 1);
            next_combination(f, &p);
        }
    end_lookups(r);
}
/*@ end */

/*@ begin joined_feature */
/* Bytes `at` .. at + 63 of the pieces joined. */
static void joined_bytes(const struct row_combo_feature *f, const struct row_pieces *p, size_t at, size_t n,
                         unsigned char *to)
{
    size_t done = 0, start = 0;
    for (size_t i = 0; i < 2 * (size_t)f->n - 1 && done < n; i++) {
        const struct mmoe_text *t = i % 2 ? &f->join : &p->piece[i / 2];
        for (; done < n && at + done < start + t->length; done++) {
            to[done] = (unsigned char)t->bytes[at + done - start];
            NO_CALL;
        }
        start += t->length;
    }
}

/* The fingerprint of pieces that are nowhere joined, for texts of any length. */
static uint64_t hash_joined(const struct row_combo_feature *f, const struct row_pieces *p, size_t n)
{
    unsigned char bytes[64];
    struct fp_state h;
    joined_bytes(f, p, 0, n < 64 ? n : 64, bytes);
    if (n <= 64)
        return fp_hash(bytes, n);
    fp_begin(&h, bytes);
    for (size_t at = 0; at < (n - 1) / 64 * 64; at += 64) {
        joined_bytes(f, p, at, 64, bytes);
        fp_round(&h, bytes, FP_K1, 1);
    }
    joined_bytes(f, p, n - 64, 64, bytes);
    return fp_end(&h, bytes, n);
}

static void joined_feature(struct rows *r, const struct row_combo_feature *f)
{
    struct row_pieces p;
    begin_lookups(r, &f->to);
    for (size_t row = 0; row < r->n; row++)
        for (uint64_t left = begin_combinations(r, f, row, &p); left > 0; left--) {
            size_t n = (f->n - 1) * f->join.length;
            for (size_t i = 0; i < f->n; i++)
                n += p.piece[i].length;
            if (n > 0)
                look_up(r, row, hash_joined(f, &p, n) % f->ids.n, 1);
            next_combination(f, &p);
        }
    end_lookups(r);
}
/*@ end */

/*@ begin lookup_feature */
/* A pair's two pieces; those that are empty are dropped, so that it must have two others. */
static int two_pieces(const struct mmoe_text *pair, const struct row_set *set, struct mmoe_text *key,
                      struct mmoe_text *value)
{
    struct mmoe_text rest = *pair, more;
    int two = next_piece(&rest, set, key) && next_piece(&rest, set, value) && !next_piece(&rest, set, &more);
    return two ? 0 : MMOE_ROW_NO_PAIR;
}

static void look_up_matches(struct rows *r, size_t row, const struct row_lookup_feature *f)
{
    struct mmoe_text wanted = text_value(r, f->key.column, row), rest = text_value(r, f->map.column, row);
    struct mmoe_text pair, key, value;
    uint64_t matches = 0;
    while (next_piece(&rest, &f->set, &pair)) {
        int why = two_pieces(&pair, &f->pairs, &key, &value);
        if (!why && same_text(&key, &wanted))
            why = matches++ < f->most ? look_up_text(r, row, &f->ids, &value, 1) : MMOE_ROW_MATCHES;
        spoil(r, row, f->map.column, why);
    }
}

static void lookup_feature(struct rows *r, const struct row_lookup_feature *f)
{
    begin_lookups(r, &f->to);
    for (size_t i = 0; i < r->n; i++)
        look_up_matches(r, i, f);
    end_lookups(r);
}
/*@ end */

/*@ begin steps */
/* What is left of a sequence, which has one step more as long as there was a delimiter. */
struct row_rest {
    struct mmoe_text text;
    int more;
};

static int is_at(const struct mmoe_text *text, size_t at, const struct mmoe_text *what)
{
    size_t i = 0;
    while (i < what->length && at + i < text->length && text->bytes[at + i] == what->bytes[i])
        i++;
    return i == what->length;
}

static int next_step(struct row_rest *rest, const struct mmoe_text *delimiter, struct mmoe_text *step)
{
    size_t n = 0;
    if (!rest->more)
        return 0;
    while (n < rest->text.length && !is_at(&rest->text, n, delimiter))
        n++;
    *step = rest->text;
    step->length = n;
    rest->more = n < rest->text.length;
    if (rest->more) {
        rest->text.bytes += n + delimiter->length;
        rest->text.length -= n + delimiter->length;
    }
    return 1;
}

/* e [width]: a step's rows of the table, combined. */
static int step_vector(const struct rows *r, const struct row_history *h, const struct mmoe_text *step, float *e)
{
    const float *table = r->table[h->to.table];
    const size_t width = h->to.width;
    struct mmoe_text rest = *step, piece = *step;
    size_t n = 0;
    for (int more = h->split ? next_piece(&rest, &h->set, &piece) : 1; more;
         more = h->split && next_piece(&rest, &h->set, &piece)) {
        uint64_t id = 0;
        int why = h->ids.find(&h->ids, &piece, &id);
        if (why)
            return why;
        const struct row_lookup k = {table + (size_t)id * width, 0, 1, n++ == 0};
        add_plain(&k, e, width);
    }
    float divisor = n > 0 && h->to.divisor ? h->to.divisor((double)n, (double)n) : 1;
    for (size_t j = 0; j < width && n == 0; j++) {
        e[j] = 0;
        NO_CALL;
    }
    for (size_t j = 0; j < width && n > 0; j++)
        e[j] /= divisor;
    return 0;
}
/*@ end */

/*@ begin softmax_of_steps */
/* A sum of vectors, each weighted by exp of its logit, as they come; `most` is the largest logit so far. */
struct row_softmax {
    double most, sum;
    size_t width;
    double *y;                      /* [width] */
};

static void begin_softmax(struct row_softmax *s, double *y, size_t width)
{
    s->sum = s->most = 0;
    s->width = width;
    s->y = y;
    for (size_t j = 0; j < width; j++) {
        y[j] = 0;
        NO_CALL;
    }
}

/* What is there loses weight against a larger logit. */
static void raise_most(struct row_softmax *s, double logit)
{
    const double scale = (double)(float)exp_of(s->most - logit);
    s->most = logit;
    s->sum = product_of(s->sum, scale);
    for (size_t j = 0; j < s->width; j++)
        s->y[j] = product_of(s->y[j], scale);
}

static void add_to_softmax(struct row_softmax *s, double logit, const float *e, size_t first, size_t width)
{
    const double weight = (double)(float)exp_of(logit - s->most);
    for (size_t j = 0; j < width; j++)
        s->y[first + j] += weight * (double)e[j];
}

static void end_softmax(const struct row_softmax *s, float *x)
{
    for (size_t j = 0; j < s->width; j++)
        x[j] = (float)(s->y[j] / s->sum);
}
/*@ end */

/*@ begin sequence_feature */
static double times_vector(const float *e, const float *vector, size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += (double)e[j] * (double)vector[j];
    return sum;
}

static int attend(const struct rows *r, const struct row_sequence_feature *f, size_t row, struct row_softmax *s)
{
    const struct row_history *h = &f->history;
    struct row_rest rest = {text_value(r, h->input.column, row), 1};
    struct mmoe_text step;
    for (int first = 1; next_step(&rest, &h->delimiter, &step); first = 0) {
        int why = step_vector(r, h, &step, r->floats);
        double logit = times_vector(r->floats, r->table[f->vector], h->to.width);
        if (why)
            return why;
        if (first)
            s->most = logit;
        else if (logit > s->most)
            raise_most(s, logit);
        s->sum += (double)(float)exp_of(logit - s->most);
        add_to_softmax(s, logit, r->floats, 0, h->to.width);
    }
    return 0;
}

static void sequence_feature(struct rows *r, const struct row_sequence_feature *f)
{
    struct row_softmax s;
    for (size_t i = 0; i < r->n; i++) {
        begin_softmax(&s, r->doubles, f->history.to.width);
        spoil(r, i, f->history.input.column, attend(r, f, i, &s));
        end_softmax(&s, r->x + i * r->stride + f->first);
    }
}
/*@ end */

/*@ begin target_feature */
/* Where the floats of a target attention lie: the key, then a step through its layer, then steps as the network sees
   them, their logits, and histories, all of ROW_STEPS steps. */
struct row_target {
    float *key, *step, *pairs, *logits, *seen, *others;
};

static struct row_target target_floats(const struct rows *r, const struct row_target_feature *f)
{
    struct row_target t;
    t.key = r->floats;
    t.step = t.key + f->width;
    t.pairs = t.step + f->width;
    t.logits = t.pairs + (size_t)ROW_STEPS * 4 * f->width;
    t.seen = t.logits + ROW_STEPS;
    t.others = t.seen + (size_t)ROW_STEPS * f->width;
    return t;
}

/* y [out] = x [in] W + b, in double. */
static void small_layer(const float *w, const float *b, const float *x, size_t in, size_t out, float *y)
{
    for (size_t j = 0; j < out; j++) {
        double sum = (double)b[j];
        for (size_t k = 0; k < in; k++)
            sum += (double)x[k] * (double)w[k * out + j];
        y[j] = (float)sum;
    }
}

/* All keys side by side, padded with zeros or through their layer; they lie where steps will. */
static void gather_key(const struct rows *r, const struct row_target_feature *f, const float *x, const struct row_target *t)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n_keys; i++)
        for (size_t j = 0; j < f->key[i].width; j++)
            t->pairs[n++] = x[f->key[i].first + j];
    for (size_t j = n; j < f->width; j++) {
        t->pairs[j] = 0;
        NO_CALL;
    }
    if (f->key_layer != ROW_NO_LAYER)
        small_layer(r->table[f->key_layer], r->table[f->key_layer + 1], t->pairs, n, f->width, t->key);
    for (size_t j = 0; j < f->width && f->key_layer == ROW_NO_LAYER; j++) {
        t->key[j] = t->pairs[j];
        NO_CALL;
    }
}

static void pair_with_key(const struct row_target_feature *f, const struct row_target *t, size_t step)
{
    const float *q = t->key, *h = t->seen + step * f->width;
    float *u = t->pairs + step * 4 * f->width;
    for (size_t j = 0; j < f->width; j++) {
        u[j] = q[j];
        u[f->width + j] = h[j];
        u[2 * (size_t)f->width + j] = q[j] - h[j];
        u[3 * (size_t)f->width + j] = q[j] * h[j];
    }
}

/* One step of all histories, side by side. */
static int gather_step(const struct rows *r, const struct row_target_feature *f, struct row_rest *rest,
                       const struct row_target *t, size_t step, int *more)
{
    float *seen = t->seen + step * f->width, *others = t->others + step * f->more;
    struct mmoe_text text;
    for (size_t i = 0; i < f->n_histories + f->n_others; i++) {
        const struct row_history *h = &f->history[i];
        int there = next_step(&rest[i], &h->delimiter, &text);
        if (i > 0 && there != *more)
            return MMOE_ROW_STEPS;
        *more = there;
        int why = there ? step_vector(r, h, &text, (i < f->n_histories ? seen : others) + h->to.first) : 0;
        if (why)
            return why;
    }
    if (*more && f->step_layer != ROW_NO_LAYER) {
        small_layer(r->table[f->step_layer], r->table[f->step_layer + 1], seen, f->width, f->width, t->step);
        for (size_t j = 0; j < f->width; j++) {
            seen[j] = t->step[j];
            NO_CALL;
        }
    }
    return 0;
}

/* So many steps, at most ROW_STEPS, to the softmax. */
static void add_steps(const struct rows *r, const struct row_target_feature *f, const struct row_target *t, size_t steps,
                      int first, struct row_softmax *s)
{
    for (size_t k = 0; k < steps; k++)
        pair_with_key(f, t, k);
    f->network(r, f->self, t->pairs, steps, t->logits);
    for (size_t k = 0; k < steps; k++) {
        double logit = (double)t->logits[k];
        if (first && k == 0)
            s->most = logit;
        else if (logit > s->most)
            raise_most(s, logit);
        s->sum += (double)(float)exp_of(logit - s->most);
        add_to_softmax(s, logit, t->seen + k * f->width, 0, f->width);
        add_to_softmax(s, logit, t->others + k * f->more, f->width, f->more);
    }
}

static int attend_to_key(const struct rows *r, const struct row_target_feature *f, size_t row, const struct row_target *t,
                         struct row_softmax *s)
{
    struct row_rest rest[ROW_PARTS];
    size_t steps = 0;
    int more = 1, first = 1, why;
    for (size_t i = 0; i < f->n_histories + f->n_others; i++) {
        rest[i].text = text_value(r, f->history[i].input.column, row);
        rest[i].more = 1;
    }
    while ((why = gather_step(r, f, rest, t, steps, &more)) == 0 && more)
        if (++steps == ROW_STEPS) {
            add_steps(r, f, t, steps, first, s);
            steps = 0;
            first = 0;
        }
    if (!why && steps > 0)
        add_steps(r, f, t, steps, first, s);
    return why;
}

/* [r, r of others..., key] */
static void target_feature(struct rows *r, const struct row_target_feature *f)
{
    const struct row_target t = target_floats(r, f);
    struct row_softmax s;
    for (size_t i = 0; i < r->n; i++) {
        float *x = r->x + i * r->stride;
        begin_softmax(&s, r->doubles, (size_t)f->width + f->more);
        gather_key(r, f, x, &t);
        spoil(r, i, f->history[0].input.column, attend_to_key(r, f, i, &t, &s));
        end_softmax(&s, x + f->first);
        for (size_t j = 0; j < f->width && f->keep_key; j++) {
            x[f->first + f->width + f->more + j] = t.key[j];
            NO_CALL;
        }
    }
}
/*@ end */

/*@ begin text_double */
static int text_double(const struct rows *r, uint32_t column, size_t row, double *to)
{
    struct mmoe_text text = text_value(r, column, row);
    return read_double(text.bytes, text.length, to) ? 0 : MMOE_ROW_NO_NUMBER;
}
/*@ end */

/*@ begin whole_double */
static int whole_double(const struct rows *r, uint32_t column, size_t row, double *to)
{
    *to = (double)whole_value(r, column, row);
    return 0;
}
/*@ end */

/*@ begin float_double */
static int float_double(const struct rows *r, uint32_t column, size_t row, double *to)
{
    *to = number_value(r, column, row);
    return 0;
}
/*@ end */

/*@ begin expr_feature */
static void expr_feature(struct rows *r, const struct row_expr_feature *f)
{
    double input[ROW_PARTS];
    for (size_t i = 0; i < r->n; i++) {
        for (size_t k = 0; k < f->n; k++) {
            int why = f->input[k].read(r, f->input[k].column, i, &input[k]);
            spoil(r, i, f->input[k].column, why);
            input[k] = why ? 0 : input[k];
        }
        r->x[i * r->stride + f->first] = expr_value(f->expr, input);
    }
}
/*@ end */

/*@ begin scale_feature */
static void scale_feature(struct rows *r, const struct row_scale_feature *f)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = 0; j < f->width; j++)
            r->x[i * r->stride + j] *= r->table[f->table][j];
}
/*@ end */

/*@ begin blocks */
static void begin_block(struct rows *r, size_t at, size_t n, struct mmoe_row_status *status)
{
    r->at = at;
    r->n = n;
    r->status = status;
    for (size_t i = 0; i < n; i++) {
        status[i].why = MMOE_ROW_FINE;
        status[i].column = 0;
        NO_CALL;
    }
}

static void clear_bad_rows(const struct rows *r, size_t width)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = 0; j < width && r->status[i].why; j++) {
            r->x[i * r->stride + j] = 0;
            NO_CALL;
        }
}

/* Every score of a bad row is NaN. */
static void spoil_bad_scores(const struct rows *r, float *y, size_t outputs)
{
    const union { uint32_t u; float f; } nan = {UINT32_C(0x7fc00000)};
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = 0; j < outputs && r->status[i].why; j++)
            y[i * outputs + j] = nan.f;
}
/*@ end */

/*@ begin requests */
/* Each row begins as the user's: those columns, and what is wrong with them. */
static void begin_user_block(struct rows *r, size_t at, size_t n, struct mmoe_row_status *status, const float *user,
                             struct mmoe_row_status user_status, size_t user_inputs)
{
    begin_block(r, at, n, status);
    for (size_t i = 0; i < n; i++) {
        status[i] = user_status;
        for (size_t j = 0; j < user_inputs; j++) {
            r->x[i * r->stride + j] = user[j];
            NO_CALL;
        }
    }
}
/*@ end */

#endif
