// SPDX-License-Identifier: Apache-2.0
/* rows.c: a row's columns -> a row of the experts' input, step by step.
 *
 * The reference for generated code: each step of the program (row_ops.def) is one small function, and floats are
 * added in one fixed order, left to right, products rounded before they are added (this file is compiled without
 * contraction). Against TensorFlow: ids, buckets and plain numbers are equal; a sum of n rows of a table is within
 * n * 2^-24 * sum |w * T|, as TensorFlow adds more than nine rows in groups of eight.
 *
 * A list's arrays grow to what the largest row needs, and texts that are made (numbers, joined texts) lie in chunks
 * that the next row uses again: memory does not grow with the number of rows. A bad row has a fault and no columns.
 *
 * How to read it: lists and texts; texts; ids; numbers; columns; target attention; the run.
 */
#include "mmoec.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_COMBINATIONS ((size_t)1 << 20)
#define MOST_BYTES ((size_t)1 << 28)    /* of the texts that one row makes */
#define CHUNK_BYTES ((size_t)1 << 12)   /* of the first chunk; each is twice as large as the last */

struct item {
    const char *text;
    size_t length;
    int64_t id;
    float number;
    int step;                           /* of a sequence; 0 elsewhere */
};

struct items {
    struct item *at;
    size_t n, room;
    int n_steps;
};

struct chunk {
    char *bytes;
    size_t room, used;
    struct chunk *next;
};

/* Floats that are kept and grow. */
struct room {
    float *at;
    size_t n;
};

struct row_state {
    struct job *job;
    const struct row_program *p;
    struct items *lists;
    struct items spare;                 /* where a step makes a list anew */
    struct items pieces;                /* of one item */
    struct chunk *chunks;
    size_t bytes;                       /* made for this row */
    float *row;                         /* [width + more_columns]: the one being made */
    struct room sums, weights;          /* attention: steps, their weights */
    struct room key, parts, pairs;      /* target attention: the key, a history, the network's inputs */
    struct row_fault *fault;
    const struct row_step *step;
};

/* ---- lists and texts ------------------------------------------------------------------------- */

static void fail(struct row_state *s, const char *why, const char *text, size_t length)
{
    if (!s->fault->why)
        *s->fault = (struct row_fault){.name = s->step->feature, .why = why, .text = text, .length = length};
}

static void add_item(struct row_state *s, struct items *to, struct item item)
{
    if (to->n == to->room) {
        size_t room = to->room ? 2 * to->room : 16;
        struct item *more = NEW_ARRAY(s->job, room, struct item);
        if (to->n)
            memcpy(more, to->at, to->n * sizeof *more);
        to->at = more;
        to->room = room;
    }
    to->at[to->n++] = item;
}

static void clear_list(struct items *list) { list->n = 0; list->n_steps = 1; }

/* A list becomes what was made in the spare one. */
static void take_spare(struct row_state *s, struct items *list)
{
    struct items old = *list;
    *list = s->spare;
    list->n_steps = old.n_steps;
    s->spare = old;
    s->spare.n = 0;
}

/* Room for a text; NULL and a fault if the row makes too many. */
static char *new_bytes(struct row_state *s, size_t n)
{
    if (n > MOST_BYTES - s->bytes) {
        fail(s, "the texts to be joined are too long", NULL, 0);
        return NULL;
    }
    s->bytes += n;
    struct chunk *c = s->chunks;
    while (c && c->room - c->used < n)
        c = c->next;
    if (!c) {
        c = NEW(s->job, struct chunk);
        c->room = s->chunks ? 2 * s->chunks->room : CHUNK_BYTES;
        c->room = c->room > n ? c->room : n;
        c->bytes = arena_alloc(&s->job->arena, c->room);
        c->next = s->chunks;
        s->chunks = c;
    }
    char *bytes = c->bytes + c->used;
    c->used += n;
    return bytes;
}

static void add_text(struct row_state *s, struct items *to, const char *text, size_t length)
{
    add_item(s, to, (struct item){.text = text, .length = length, .number = 1});
}

/* ---- columns as texts and numbers -------------------------------------------------------------- */

static void print_number(struct row_state *s, struct items *to, double x, int digits)
{
    int n = snprintf(NULL, 0, "%.*f", digits, x);
    char *bytes = n < 0 ? NULL : new_bytes(s, (size_t)n + 1);
    if (!bytes)
        return;
    snprintf(bytes, (size_t)n + 1, "%.*f", digits, x);
    add_text(s, to, bytes, (size_t)n);
}

static void print_whole(struct row_state *s, struct items *to, int64_t x)
{
    char text[32];
    size_t n = (size_t)snprintf(text, sizeof text, "%" PRId64, x);
    char *bytes = new_bytes(s, n);
    if (!bytes)
        return;
    memcpy(bytes, text, n);
    add_text(s, to, bytes, n);
}

static void step_text(struct row_state *s, const struct row_step *st, struct items *list, const struct row_cell *cell)
{
    clear_list(list);
    switch (s->p->column[st->column].type) {
    case TEXT_COLUMN: add_text(s, list, cell->text, cell->length); return;
    case BOOL_COLUMN: add_text(s, list, cell->whole ? "true" : "false", cell->whole ? 4 : 5); return;
    case FLOAT_COLUMN:
    case DOUBLE_COLUMN: print_number(s, list, cell->number, (int)st->n); return;
    default: print_whole(s, list, cell->whole); return;
    }
}

static bool is_float(enum column_type type) { return type == FLOAT_COLUMN || type == DOUBLE_COLUMN; }

static void step_whole_text(struct row_state *s, const struct row_step *st, struct items *list,
                            const struct row_cell *cell)
{
    bool number = is_float(s->p->column[st->column].type);
    clear_list(list);
    if (number && !(cell->number > -0x1p63 && cell->number < 0x1p63))
        fail(s, "not a number of 64 bits", NULL, 0);
    else
        print_whole(s, list, number ? (int64_t)cell->number : cell->whole);
}

static void step_integer(struct row_state *s, struct items *list, const struct row_cell *cell)
{
    clear_list(list);
    add_item(s, list, (struct item){.id = cell->whole, .number = 1});
}

static void step_number(struct row_state *s, const struct row_step *st, struct items *list, const struct row_cell *cell)
{
    enum column_type type = s->p->column[st->column].type;
    float x = is_float(type) ? (float)cell->number : (float)cell->whole;
    clear_list(list);
    if (type == TEXT_COLUMN && !text_to_float(cell->text, cell->length, &x))
        fail(s, "not a number", cell->text, cell->length);
    add_item(s, list, (struct item){.number = x});
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* A set of bytes, looked up by byte. */
struct bytes {
    bool in[256];
};

static struct bytes bytes_of(const struct row_step *st)
{
    struct bytes set = {{false}};
    for (size_t i = 0; i < st->length; i++)
        set.in[(unsigned char)st->text[i]] = true;
    return set;
}

/* The pieces of an item between bytes of the step's text; without one, its single bytes. */
static void split_item(struct row_state *s, const struct row_step *st, const struct bytes *set, const struct item *from,
                       struct items *to)
{
    for (size_t i = 0, start = 0; i <= from->length; i++) {
        bool end = i == from->length || (st->length ? set->in[(unsigned char)from->text[i]] : i > start);
        if (!end)
            continue;
        if (i > start)
            add_item(s, to, (struct item){.text = from->text + start, .length = i - start, .number = 1,
                                          .step = from->step});
        start = st->length ? i + 1 : i;
    }
}

static void step_split(struct row_state *s, const struct row_step *st, struct items *list)
{
    struct bytes set = bytes_of(st);
    for (size_t i = 0; i < list->n; i++)
        split_item(s, st, &set, &list->at[i], &s->spare);
    take_spare(s, list);
}

/* Where the text stands in an item from `at` on; the item's length if it does not. */
static size_t find_text(const struct row_step *st, const struct item *in, size_t at)
{
    const char *found = st->length ? memmem(in->text + at, in->length - at, st->text, st->length) : NULL;
    return found ? (size_t)(found - in->text) : in->length;
}

static void step_steps(struct row_state *s, const struct row_step *st, struct items *list)
{
    struct item all = list->at[0];
    int n = 0;
    for (size_t at = 0;; at += st->length) {
        size_t end = find_text(st, &all, at);
        add_item(s, &s->spare, (struct item){.text = all.text + at, .length = end - at, .number = 1, .step = n++});
        at = end;
        if (end == all.length)
            break;
    }
    take_spare(s, list);
    list->n_steps = n;
}

/* KEY and what follows one separator; false and a fault if there is not exactly one. */
static bool cut_pair(struct row_state *s, const struct bytes *set, const struct item *in, struct item *key,
                     struct item *value)
{
    size_t at = in->length;
    for (size_t i = 0; i < in->length; i++)
        if (set->in[(unsigned char)in->text[i]]) {
            if (at < in->length) {
                fail(s, "more than one separator in a pair", in->text, in->length);
                return false;
            }
            at = i;
        }
    if (at == in->length) {
        fail(s, "no separator in a pair", in->text, in->length);
        return false;
    }
    *value = (struct item){.text = in->text + at + 1, .length = in->length - at - 1, .number = 1};
    *key = (struct item){.text = in->text, .length = at, .number = 1};      /* last: it may be the item itself */
    return true;
}

static float number_of(struct row_state *s, const struct item *x)
{
    float number = 0;
    if (!text_to_float(x->text, x->length, &number))
        fail(s, "not a number", x->text, x->length);
    return number;
}

static void step_pairs(struct row_state *s, const struct row_step *st, struct items *list)
{
    struct bytes set = bytes_of(st);
    struct item weight;
    for (size_t i = 0; i < list->n && !s->fault->why; i++)
        if (cut_pair(s, &set, &list->at[i], &list->at[i], &weight))
            list->at[i].number = number_of(s, &weight);
}

static void step_weigh(struct row_state *s, const struct row_step *st, struct items *list)
{
    const struct items *weights = &s->lists[st->from[0]];
    if (weights->n != list->n) {
        fail(s, "not as many weights as tags", NULL, 0);
        return;
    }
    for (size_t i = 0; i < list->n; i++)
        list->at[i].number = weights->at[i].number;
}

static bool same_text(const struct item *a, const struct item *b)
{
    return a->length == b->length && (!a->length || memcmp(a->text, b->text, a->length) == 0);
}

/* Pieces of a pair that are empty are dropped: it must have two others. */
static void step_select(struct row_state *s, const struct row_step *st, struct items *list)
{
    const struct items *pairs = &s->lists[st->from[0]];
    struct bytes set = bytes_of(st);
    struct item key = list->at[0];
    struct items *pieces = &s->pieces;
    for (size_t i = 0; i < pairs->n && !s->fault->why; i++) {
        pieces->n = 0;
        split_item(s, st, &set, &pairs->at[i], pieces);
        if (pieces->n != 2)
            fail(s, "not a pair", pairs->at[i].text, pairs->at[i].length);
        else if (same_text(&pieces->at[0], &key))
            add_item(s, &s->spare, pieces->at[1]);
    }
    if (s->spare.n > st->n)
        fail(s, "more matches than lookup_max_sel_elem_num", NULL, 0);
    take_spare(s, list);
}

/* ---- combinations ---------------------------------------------------------------------------- */

static size_t count_combinations(struct row_state *s, const struct row_step *st)
{
    size_t n = 1;
    for (int i = 0; i < st->n_from; i++) {
        size_t k = s->lists[st->from[i]].n;
        if (k && n > MOST_COMBINATIONS / k) {
            fail(s, "too many combinations", NULL, 0);
            return 0;
        }
        n *= k;
    }
    return n;
}

/* The i-th list's item in the c-th combination; the last list varies fastest. */
static const struct item *item_of(const struct row_state *s, const struct row_step *st, size_t c, int i)
{
    for (int k = st->n_from - 1; k > i; k--)
        c /= s->lists[st->from[k]].n;
    const struct items *list = &s->lists[st->from[i]];
    return &list->at[c % list->n];
}

static void join_items(struct row_state *s, const struct row_step *st, size_t c, struct items *to)
{
    size_t n = 0, at = 0;
    for (int i = 0; i < st->n_from; i++)
        n += item_of(s, st, c, i)->length + (i ? st->length : 0);
    char *bytes = new_bytes(s, n);
    if (!bytes)
        return;
    for (int i = 0; i < st->n_from; i++) {
        const struct item *x = item_of(s, st, c, i);
        if (i && st->length)
            memcpy(bytes + at, st->text, st->length);
        at += i ? st->length : 0;
        if (x->length)
            memcpy(bytes + at, x->text, x->length);
        at += x->length;
    }
    add_text(s, to, bytes, n);
}

static void step_join(struct row_state *s, const struct row_step *st, struct items *list)
{
    size_t n = count_combinations(s, st);
    clear_list(list);
    for (size_t c = 0; c < n && !s->fault->why; c++)
        join_items(s, st, c, list);
}

/* Source: TensorFlow's core/kernels/sparse_cross_op.cc, HashCrosser, with the key that feature columns give it. */
static void step_cross(struct row_state *s, const struct row_step *st, struct items *list)
{
    size_t n = count_combinations(s, st);
    clear_list(list);
    for (size_t c = 0; c < n; c++) {
        uint64_t h = UINT64_C(0xDECAFCAFFE);
        for (int i = 0; i < st->n_from; i++) {
            const struct item *x = item_of(s, st, c, i);
            h = fingerprint_cat(h, fingerprint64(x->text, x->length));
        }
        add_item(s, list, (struct item){.id = (int64_t)(h % st->n), .number = 1});
    }
}

/* ---- ids ------------------------------------------------------------------------------------- */

static void step_drop(struct items *list, bool empty)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        if (empty ? list->at[i].length > 0 : list->at[i].id != -1)
            list->at[n++] = list->at[i];
    list->n = n;
}

static void step_hash(const struct row_step *st, struct items *list)
{
    for (size_t i = 0; i < list->n; i++)
        list->at[i].id = (int64_t)(fingerprint64(list->at[i].text, list->at[i].length) % st->n);
}

static int compare_word(const struct item *x, const struct word_id *w)
{
    size_t n = x->length < w->length ? x->length : w->length;
    int d = n ? memcmp(x->text, w->text, n) : 0;
    return d ? d : x->length < w->length ? -1 : x->length > w->length;
}

static void step_find(const struct row_step *st, struct items *list)
{
    for (size_t i = 0; i < list->n; i++) {
        size_t low = 0, high = st->n;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (compare_word(&list->at[i], &st->words[middle]) > 0)
                low = middle + 1;
            else
                high = middle;
        }
        bool found = low < st->n && compare_word(&list->at[i], &st->words[low]) == 0;
        list->at[i].id = found ? st->words[low].id : 0;
    }
}

static void step_parse(struct row_state *s, const struct row_step *st, struct items *list)
{
    int64_t least = st->n == 32 ? INT32_MIN : INT64_MIN, most = st->n == 32 ? INT32_MAX : INT64_MAX;
    for (size_t i = 0; i < list->n; i++)
        if (!text_to_int(list->at[i].text, list->at[i].length, least, most, &list->at[i].id))
            fail(s, "not a whole number", list->at[i].text, list->at[i].length);
}

static void step_range(const struct row_step *st, struct items *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->at[i].id < 0 || (uint64_t)list->at[i].id >= st->n)
            list->at[i].id = 0;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void step_numbers(struct row_state *s, struct items *list)
{
    for (size_t i = 0; i < list->n; i++)
        list->at[i].number = number_of(s, &list->at[i]);
}

static float combine(float a, float b, enum combiner how)
{
    return how == COMBINE_MAX ? (a > b ? a : b) : how == COMBINE_MIN ? (a < b ? a : b) : a + b;
}

static void step_groups(struct row_state *s, const struct row_step *st, struct items *list)
{
    struct bytes set = bytes_of(st);
    size_t width = (size_t)st->n;
    struct items *pieces = &s->pieces, *sums = &s->spare;
    for (size_t g = 0; g < list->n; g++) {
        pieces->n = 0;
        split_item(s, st, &set, &list->at[g], pieces);
        if (pieces->n != width)
            fail(s, "not as many numbers as raw_input_dim", list->at[g].text, list->at[g].length);
        for (size_t j = 0; j < width && !s->fault->why; j++) {
            float x = number_of(s, &pieces->at[j]);
            if (g == 0)
                add_item(s, sums, (struct item){.number = x});
            else
                sums->at[j].number = combine(sums->at[j].number, x, st->combiner);
        }
        if (s->fault->why)
            break;
    }
    for (size_t j = 0; j < sums->n && st->combiner == COMBINE_MEAN; j++)
        sums->at[j].number /= (float)list->n;
    while (sums->n < width)
        add_item(s, sums, (struct item){0});
    take_spare(s, list);
}

static void step_pad(struct row_state *s, const struct row_step *st, struct items *list)
{
    if (list->n > st->n)
        fail(s, "more numbers than raw_input_dim", NULL, 0);
    while (list->n < st->n)
        add_item(s, list, (struct item){0});
}

static void step_normalize(const struct row_step *st, struct items *list)
{
    for (size_t i = 0; i < list->n; i++)
        list->at[i].number = (list->at[i].number - st->least) / st->range;
}

static void step_apply(const struct row_step *st, struct items *list)
{
    for (size_t i = 0; i < list->n; i++)
        list->at[i].number = (float)st->function((double)list->at[i].number);
}

/* How many boundaries are not above x: all of them for a NaN, as TensorFlow's upper_bound has it. */
static size_t bucket_of(const struct row_step *st, float x)
{
    size_t low = 0, high = (size_t)st->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (x < st->boundaries[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void step_bucketize(const struct row_step *st, struct items *list)
{
    for (size_t i = 0; i < list->n; i++)
        list->at[i].id = (int64_t)(bucket_of(st, list->at[i].number) + i * ((size_t)st->n + 1));
}

static void step_positions(struct items *list)
{
    for (size_t i = 0; i < list->n; i++)
        list->at[i].id = (int64_t)i;
}

/* ---- columns --------------------------------------------------------------------------------- */

static void step_copy(const struct row_step *st, const struct items *list, float *x)
{
    for (size_t i = 0; i < list->n && i < (size_t)st->width; i++)
        x[(size_t)st->first + i] = list->at[i].number;
}

/* y [width] = rows of the items, combined. With weights, mean and sqrtn count positive ones alone. Source: EasyRec's
   safe_embedding_lookup_sparse (compat/feature_column), TensorFlow's embedding_lookup_sparse. */
static void combine_rows(const struct row_table *t, const struct item *items, size_t n, enum combiner how, bool weighted,
                         float *y)
{
    size_t width = (size_t)t->width;
    float total = 0, squares = 0;
    bool first = true;
    memset(y, 0, width * sizeof *y);
    for (size_t i = 0; i < n; i++) {
        const float *row = t->numbers + (size_t)items[i].id * width;
        float w = weighted ? items[i].number : 1;
        if (weighted && how != COMBINE_SUM && !(w > 0))
            continue;
        for (size_t j = 0; j < width; j++) {
            float product = w * row[j];
            y[j] = first ? product : y[j] + product;
        }
        first = false;
        total += w;
        squares += w * w;
    }
    float divisor = how == COMBINE_MEAN ? total : how == COMBINE_SQRTN ? sqrtf(squares) : 1;
    for (size_t j = 0; j < width && !first && how != COMBINE_SUM; j++)
        y[j] /= divisor;
}

static float *float_room(struct row_state *s, struct room *room, size_t n)
{
    if (n > room->n) {
        room->n = 2 * room->n > n ? 2 * room->n : n;
        room->at = NEW_ARRAY(s->job, room->n, float);
    }
    return room->at;
}

/* e [steps][width]: the rows of the list's ids, combined within each step. */
static void combine_steps(const struct row_table *t, const struct items *list, enum combiner how, float *e)
{
    size_t width = (size_t)t->width, at = 0;
    for (int k = 0; k < list->n_steps; k++) {
        size_t n = 0;
        while (at + n < list->n && list->at[at + n].step == k)
            n++;
        combine_rows(t, list->at + at, n, how, false, e + (size_t)k * width);
        at += n;
    }
}

/* Weights to their softmax. */
static void soften(float *a, size_t n)
{
    float top = a[0], sum = 0;
    for (size_t k = 1; k < n; k++)
        top = a[k] > top ? a[k] : top;
    for (size_t k = 0; k < n; k++) {
        a[k] = expf(a[k] - top);
        sum += a[k];
    }
    for (size_t k = 0; k < n; k++)
        a[k] /= sum;
}

/* y [width] = the sum of the steps' rows, each times its weight. */
static void add_steps(const float *a, const float *e, size_t steps, size_t width, float *y)
{
    memset(y, 0, width * sizeof *y);
    for (size_t k = 0; k < steps; k++)
        for (size_t j = 0; j < width; j++)
            y[j] += a[k] * e[k * width + j];
}

static void step_attend(struct row_state *s, const struct row_step *st, const struct items *list, float *x)
{
    const float *kernel = s->p->tables[st->n].numbers;
    size_t steps = (size_t)list->n_steps, width = (size_t)st->width;
    float *e = float_room(s, &s->sums, steps * width), *a = float_room(s, &s->weights, steps);
    combine_steps(&s->p->tables[st->table], list, st->combiner, e);
    for (size_t k = 0; k < steps; k++) {
        a[k] = 0;
        for (size_t j = 0; j < width; j++)
            a[k] += e[k * width + j] * kernel[j];
    }
    soften(a, steps);
    add_steps(a, e, steps, width, x + st->first);
}

static void step_scale(const struct row_state *s, const struct row_step *st, float *x)
{
    const float *logits = s->p->tables[st->table].numbers;
    for (int j = 0; j < st->width; j++)
        x[j] *= 1 - 1 / (1 + expf(-logits[st->from[j]]));
}

/* ---- target attention ------------------------------------------------------------------------ */

/* y [out] = x [in] W + b, of two tables. */
static void dense(const struct row_table *t, const float *x, float *y)
{
    size_t in = (size_t)t->rows, out = (size_t)t->width;
    for (size_t j = 0; j < out; j++) {
        y[j] = t[1].numbers[j];
        for (size_t k = 0; k < in; k++)
            y[j] += x[k] * t->numbers[k * out + j];
    }
}

/* A history's steps into columns `first` of e [steps][width]. */
static void place_history(struct row_state *s, const struct history *h, float *e, size_t steps, size_t first,
                          size_t width)
{
    size_t n = (size_t)h->width;
    float *own = float_room(s, &s->parts, steps * n);
    combine_steps(&s->p->tables[h->table], &s->lists[h->list], h->combiner, own);
    for (size_t k = 0; k < steps; k++)
        memcpy(e + k * width + first, own + k * n, n * sizeof *own);
}

/* e [steps][width]: all histories side by side, then through their layer. */
static float *gather_steps(struct row_state *s, const struct target_attention *t, size_t steps)
{
    size_t width = (size_t)t->width, first = 0;
    float *e = float_room(s, &s->sums, (steps + 1) * width), *last = e + steps * width;
    for (int i = 0; i < t->n_histories; i++) {
        place_history(s, &t->history[i], e, steps, first, width);
        first += (size_t)t->history[i].width;
    }
    for (size_t k = 0; t->step_layer >= 0 && k < steps; k++) {
        dense(&s->p->tables[t->step_layer], e + k * width, last);
        memcpy(e + k * width, last, width * sizeof *e);
    }
    return e;
}

/* q [width]: the keys side by side, padded with zeros, or through their layer. */
static void gather_keys(struct row_state *s, const struct target_attention *t, const float *x, float *q)
{
    size_t n = 0, most = (size_t)(t->key_width > t->width ? t->key_width : t->width);
    float *keys = float_room(s, &s->parts, most);
    memset(keys, 0, most * sizeof *keys);
    for (int i = 0; i < t->n_keys; i++) {
        memcpy(keys + n, x + t->key[i].first, (size_t)t->key[i].width * sizeof *keys);
        n += (size_t)t->key[i].width;
    }
    if (t->key_layer >= 0)
        dense(&s->p->tables[t->key_layer], keys, q);
    else
        memcpy(q, keys, (size_t)t->width * sizeof *q);
}

/* a [steps]: what the network says of (q, h, q - h, q * h), softened. */
static const float *weigh_steps(struct row_state *s, const struct target_attention *t, const float *q, const float *e,
                                size_t steps)
{
    size_t width = (size_t)t->width;
    float *u = float_room(s, &s->pairs, steps * 4 * width), *a = float_room(s, &s->weights, steps);
    for (size_t k = 0; k < steps; k++)
        for (size_t j = 0; j < width; j++) {
            float h = e[k * width + j], *to = u + k * 4 * width + j;
            to[0] = q[j];
            to[width] = h;
            to[2 * width] = q[j] - h;
            to[3 * width] = q[j] * h;
        }
    run_engine(s->job, t->engine, u, steps, a);
    soften(a, steps);
    return a;
}

static bool same_steps(struct row_state *s, const struct target_attention *t)
{
    for (int i = 1; i < t->n_histories + t->n_auxiliary; i++)
        if (s->lists[t->history[i].list].n_steps != s->lists[t->history[0].list].n_steps) {
            fail(s, "its histories have different numbers of steps", NULL, 0);
            return false;
        }
    return true;
}

/* [r, r_aux..., q] */
static void step_target(struct row_state *s, const struct row_step *st, const struct items *list, float *x)
{
    const struct target_attention *t = st->target;
    size_t steps = (size_t)list->n_steps, width = (size_t)t->width;
    if (!same_steps(s, t))
        return;
    float *y = x + st->first, *q = x + st->first + st->width - (t->keep_key ? t->width : 0);
    float *room = float_room(s, &s->key, width);
    gather_keys(s, t, x, room);
    const float *e = gather_steps(s, t, steps), *a = weigh_steps(s, t, room, e, steps);
    add_steps(a, e, steps, width, y);
    y += width;
    for (int i = t->n_histories; i < t->n_histories + t->n_auxiliary; i++) {
        size_t n = (size_t)t->history[i].width;
        float *own = float_room(s, &s->parts, steps * n);
        combine_steps(&s->p->tables[t->history[i].table], &s->lists[t->history[i].list], t->history[i].combiner, own);
        add_steps(a, own, steps, n, y);
        y += n;
    }
    if (t->keep_key)
        memcpy(q, room, width * sizeof *q);
}

/* ---- the run --------------------------------------------------------------------------------- */

struct row_state *open_rows(struct job *job, const struct row_program *p)
{
    struct row_state *s = NEW(job, struct row_state);
    *s = (struct row_state){.job = job, .p = p, .lists = NEW_ARRAY(job, (size_t)p->n_lists, struct items),
                            .row = NEW_ARRAY(job, (size_t)(p->width + p->more_columns), float)};
    return s;
}

static void run_step(struct row_state *s, const struct row_step *st, const struct row_cell *cells, float *x)
{
    struct items *list = &s->lists[st->list];
    const struct row_cell *cell = &cells[st->column];
    switch (st->op) {
    case ROW_text: step_text(s, st, list, cell); return;
    case ROW_whole_text: step_whole_text(s, st, list, cell); return;
    case ROW_integer: step_integer(s, list, cell); return;
    case ROW_number: step_number(s, st, list, cell); return;
    case ROW_split: step_split(s, st, list); return;
    case ROW_steps: step_steps(s, st, list); return;
    case ROW_pairs: step_pairs(s, st, list); return;
    case ROW_weigh: step_weigh(s, st, list); return;
    case ROW_select: step_select(s, st, list); return;
    case ROW_join: step_join(s, st, list); return;
    case ROW_cross: step_cross(s, st, list); return;
    case ROW_drop_empty: step_drop(list, true); return;
    case ROW_drop_minus: step_drop(list, false); return;
    case ROW_hash: step_hash(st, list); return;
    case ROW_find: step_find(st, list); return;
    case ROW_parse: step_parse(s, st, list); return;
    case ROW_range: step_range(st, list); return;
    case ROW_numbers: step_numbers(s, list); return;
    case ROW_groups: step_groups(s, st, list); return;
    case ROW_pad: step_pad(s, st, list); return;
    case ROW_normalize: step_normalize(st, list); return;
    case ROW_apply: step_apply(st, list); return;
    case ROW_bucketize: step_bucketize(st, list); return;
    case ROW_positions: step_positions(list); return;
    case ROW_copy: step_copy(st, list, x); return;
    case ROW_lookup:
        combine_rows(&s->p->tables[st->table], list->at, list->n, st->combiner, st->weighted, x + st->first);
        return;
    case ROW_attend: step_attend(s, st, list, x); return;
    case ROW_target: step_target(s, st, list, x); return;
    case ROW_scale: step_scale(s, st, x); return;
    case N_ROW_OPS: break;
    }
    bug("no such step");
}

void run_row(struct row_state *s, const struct row_cell *cells, float *x, struct row_fault *fault)
{
    *fault = (struct row_fault){0};
    s->fault = fault;
    s->spare.n = 0;
    s->bytes = 0;
    for (struct chunk *c = s->chunks; c; c = c->next)
        c->used = 0;
    for (int i = 0; i < s->p->n_steps && !fault->why; i++) {
        s->step = &s->p->steps[i];
        run_step(s, s->step, cells, s->row);
    }
    memcpy(x, s->row, (size_t)s->p->width * sizeof *x);
}

void blame_row(struct job *job, struct pos pos, const struct row_fault *f, bool keep_going)
{
    struct text t = {.arena = &job->arena};
    if (f->name)
        text_print(&t, "%s: ", escaped(&job->arena, f->name, strlen(f->name)));
    text_print(&t, "%s", f->why);
    if (f->text)
        text_print(&t, ": \"%s%s\"", escaped(&job->arena, f->text, f->length < 40 ? f->length : 40),
                   f->length > 40 ? "..." : "");
    if (keep_going)
        warning(job, pos, "row", NULL, "%s", t.data);
    else
        blame(job, BAD_INPUT, pos, "row", "--keep-going leaves such rows empty", "%s", t.data);
}
