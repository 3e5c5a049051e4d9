// SPDX-License-Identifier: Apache-2.0
/* rows.h: what a feature is: constants that say how a row's columns become columns of the experts' input.
 *
 * The compiler makes these from a config (lower_rows.c) and either computes by them (rows.c) or prints them into a
 * generated file, beside the functions of templates/rows.c that read them. Functions in them are those of templates/rows.def.
 */
#ifndef ROWS_H
#define ROWS_H
#include "../runtime/mmoe.h"
#include "expr.h"

/*@ begin types */
/* Rows are read in blocks, one feature after the other; lookups wait in a queue, so that the lines of the tables are on
   their way while the next texts are read. */
#define ROWS_AT_ONCE 64
#define ROW_LOOKUPS 64
#define ROW_STEPS 16                /* of a history that a network sees at once */
#define ROW_MISSING (-1)            /* no id, but nothing wrong */

struct rows;
struct row_input;
struct row_ids;
struct row_numbers;
/* 0, ROW_MISSING, or what is wrong (enum mmoe_row_why). `room`: for texts that are made; [ROW_TEXT_ROOM] bytes. */
typedef int row_text_function(const struct rows *r, const struct row_input *in, size_t row, char *room,
                              struct mmoe_text *to);
typedef int row_id_function(const struct row_ids *ids, const struct mmoe_text *text, uint64_t *id);
typedef int row_number_function(const struct rows *r, const struct row_numbers *n, size_t row, float *to);
typedef float row_divisor(double weights, double squares);
typedef float row_float_function(float x);
typedef int row_double_function(const struct rows *r, uint32_t column, size_t row, double *to);
#define ROW_TEXT_ROOM 416           /* of a double with 100 digits behind the point */

/* A column as a text. */
struct row_input {
    uint32_t column, digits;
    row_text_function *text;
};

/* Bytes that separate, each of them; none: every byte is a piece. */
struct row_set {
    const char *bytes;
    size_t n;
};

struct row_word {
    const char *text;
    size_t length;
    uint32_t id;
};

/* How texts become ids below the number of a table's rows. */
struct row_ids {
    row_id_function *find;
    uint64_t n;                     /* buckets, words or numbers; a number beyond is 0 */
    int drop;                       /* is the empty text, or -1, no id? */
    int64_t least, most;            /* of numbers */
    const struct row_word *words;   /* [n], by their bytes */
};

/* Rows of a table, combined in columns of the experts' input. */
struct row_sum {
    uint32_t table, width, first;
    row_divisor *divisor;           /* NULL: sum */
    int weighted;
};

struct row_id_feature {
    struct row_input input;
    struct row_ids ids;
    struct row_sum to;
};

/* A column of whole numbers that are ids; -1 is none, others beyond n are 0. */
struct row_integer_feature {
    uint32_t column;
    uint64_t n;
    struct row_sum to;
};

struct row_tag_feature {
    struct row_input input, weights;
    struct row_set set, pairs;      /* between tags; between a tag and its weight */
    struct row_ids ids;
    struct row_sum to;
};

/* Numbers of a row, and what is done to each. */
struct row_numbers {
    uint32_t column, n;             /* so many of them */
    row_number_function *read;
    struct row_set set, groups;
    int combine;                    /* of groups, number by number: 0 sum, 1 mean, 2 max, 3 min */
    int normal;                     /* (x - least) / range? */
    float least, range;
    row_float_function *function;   /* NULL: none */
};

struct row_copy_feature {
    struct row_numbers numbers;
    uint32_t first;
};

struct row_bucket_feature {
    struct row_numbers numbers;
    const float *boundaries;        /* [n_boundaries], ascending */
    size_t n_boundaries;
    struct row_sum to;
};

struct row_projection_feature {
    struct row_numbers numbers;
    struct row_sum to;
};

struct row_part {
    struct row_input input;
    struct row_set set;
    int split;
};

/* Every combination of the parts' pieces, the last part's varying fastest. */
struct row_combo_feature {
    const struct row_part *part;
    uint32_t n;
    struct mmoe_text join;
    struct row_ids ids;
    struct row_sum to;
};
#define ROW_PARTS 32
#define ROW_COMBINATIONS ((uint64_t)1 << 20)

/* The values of pairs of a second text whose key is the first text. */
struct row_lookup_feature {
    struct row_input key, map;
    struct row_set set, pairs;
    uint64_t most;
    struct row_ids ids;
    struct row_sum to;
};

/* Steps of a sequence, each an id or several. */
struct row_history {
    struct row_input input;
    struct mmoe_text delimiter;
    struct row_set set;
    int split;
    struct row_ids ids;
    struct row_sum to;              /* within a step; first: where in the steps' own columns */
};

/* Steps weighted by the softmax of their products with a vector. */
struct row_sequence_feature {
    struct row_history history;
    uint32_t vector;                /* table */
    uint32_t first;
};

struct row_span {
    uint32_t first, width;
};

/* Target attention: steps weighted by the softmax of a network of (q, h, q - h, q h). */
struct row_target_feature {
    const struct row_span *key;     /* columns of the row that are the key, side by side */
    const struct row_history *history;      /* those that the network sees, then others */
    uint32_t n_keys, n_histories, n_others;
    uint32_t width, more;           /* of all that the network sees, of the others */
    uint32_t key_layer, step_layer; /* tables of a kernel, its bias behind it; ROW_NO_LAYER: none */
    int keep_key;
    uint32_t first;
    void (*network)(const struct rows *r, const void *self, const float *u, size_t steps, float *a);
    const void *self;
};
#define ROW_NO_LAYER UINT32_MAX

struct row_double {
    uint32_t column;
    row_double_function *read;
};

/* An expression over numbers of columns. */
struct row_expr;
struct row_expr_feature {
    const struct row_double *input; /* [n], at most ROW_PARTS */
    uint32_t n, first;
    const struct row_expr *expr;
};

/* Every column times a number of its own. */
struct row_scale_feature {
    uint32_t table, width;
};

struct row_lookup {
    const float *from;
    uint32_t row;
    float weight;
    int first;                      /* of its row */
};

/* A block of rows that is being read. */
struct rows {
    const struct mmoe_column *column;
    const struct mmoe_values *values;
    const float *const *table;
    size_t at, n;                   /* which rows of the values */
    int shared;                     /* do all have the values of one user, in columns that are the user's? */
    size_t user;                    /* which */
    float *x;                       /* [n][stride] */
    size_t stride;
    struct mmoe_row_status *status; /* [n] */
    char *texts;                    /* [ROW_PARTS or fewer][ROW_TEXT_ROOM] */
    float *floats;                  /* what the feature at hand needs */
    double *doubles;
    void *scratch;                  /* of networks, aligned to 64 */
    /* The feature at hand: */
    const struct row_sum *to;
    size_t n_lookups;
    struct row_lookup lookup[ROW_LOOKUPS];
    double weight[ROWS_AT_ONCE], squares[ROWS_AT_ONCE];
    unsigned char seen[ROWS_AT_ONCE];
};
/*@ end */

#endif
