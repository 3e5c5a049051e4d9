// SPDX-License-Identifier: Apache-2.0
/* mmoe.h: what a program that scores mmoec models includes.
 *
 * Two parts: the record that every generated model carries (struct mmoe_model), and the small library that serves
 * models (libmmoe). A program that links a generated .c file and never swaps it needs only that file's own header.
 *
 *     struct mmoe *m;
 *     struct mmoe_reader *reader;                                one for each thread that scores
 *     mmoe_open(&m, mmoe_file("taobao.so"));
 *     mmoe_reader_new(&reader, m, NULL);
 *     mmoe_score(reader, x, rows, y);
 *     mmoe_swap(m, mmoe_file("taobao.so"), 0);                   from any thread, while others score
 *     mmoe_close(m);
 *
 * Sizes are in the units said; arrays in brackets, outermost first. Nothing here prints or exits.
 */
#ifndef MMOE_H
#define MMOE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*@ begin record */
/* The record of a generated model. It only ever grows at its end: `size` says how much of it there is. Include
   guarded, so that several generated files and mmoe.h may stand in one unit, if they agree on the ABI. */
#ifndef MMOE_ABI
#define MMOE_ABI 1

/* Rows as columns, for models that compute the experts' input themselves. A column's values are `at`, `stride` bytes
   apart, so that they may lie in an array of their own or in an array of structs; `at` NULL: every row has the default.
   Each is a struct mmoe_text, int64_t, float or double, aligned as its type, by the column's kind. */
enum mmoe_kind { MMOE_TEXT = 1, MMOE_INT64, MMOE_FLOAT, MMOE_DOUBLE };

struct mmoe_text {
    const char *bytes;              /* [length], any bytes; may be NULL if there are none */
    size_t length;
};

struct mmoe_values {
    const void *at;
    size_t stride;
};

struct mmoe_column {
    const char *name;               /* EasyRec's input_name */
    uint32_t kind;                  /* enum mmoe_kind */
    uint32_t offset;                /* in the model's struct of a row, in bytes */
    uint32_t user;                  /* 1: in requests it has a value a user, not a row */
    struct mmoe_text text;          /* these: the default, of which one counts by kind */
    int64_t whole;
    double number;
};

/* What is wrong with a row. */
enum mmoe_row_why {
    MMOE_ROW_FINE = 0,
    MMOE_ROW_NO_NUMBER,             /* a text that is not a number */
    MMOE_ROW_NOT_WHOLE,             /* not a whole number, or one of too many bits */
    MMOE_ROW_NO_PAIR,               /* not KEY separator VALUE */
    MMOE_ROW_NO_WEIGHT,             /* not as many weights as tags */
    MMOE_ROW_COUNT,                 /* of a group of numbers, not raw_input_dim */
    MMOE_ROW_NUMBERS,               /* more than raw_input_dim */
    MMOE_ROW_MATCHES,               /* more than lookup_max_sel_elem_num */
    MMOE_ROW_COMBINATIONS,          /* more than 2^20 */
    MMOE_ROW_STEPS                  /* histories of different lengths */
};

/* How a line of EasyRec's files has its columns, for tools that read them. */
enum mmoe_field_type { MMOE_STRING, MMOE_FIELD_INT32, MMOE_FIELD_INT64, MMOE_FIELD_FLOAT, MMOE_FIELD_DOUBLE, MMOE_FIELD_BOOL };

struct mmoe_field {
    const char *name, *fallback;    /* fallback: what an empty field means; "" is 0 or nothing */
    uint16_t type;                  /* enum mmoe_field_type */
    uint16_t label;                 /* files may lack all labels */
    int32_t column;                 /* which of the model's columns; -1: none */
};

struct mmoe_lines {
    const struct mmoe_field *fields;        /* [n_fields], in the order of a line */
    uint32_t n_fields;
    char separator;
    unsigned char quotes, quoted_separators;        /* may a field stand in quotes, and separators in them? */
    unsigned char skip_header;      /* the first line of a file holds no row */
};

struct mmoe_row_status {
    uint16_t why;                   /* enum mmoe_row_why */
    uint16_t column;                /* which of the model's columns was bad, unless fine */
};

struct mmoe_model {
    uint32_t abi, size;             /* MMOE_ABI; bytes of this record */
    uint32_t numerics;              /* class of arithmetic: 1 = fma32, 2 = muladd32 */
    uint32_t inputs, outputs;       /* floats a row of x and of y */
    uint32_t n_expected;            /* of the self test: uint32 words in `expected` */
    const char *name;
    const char *const *output_names;        /* [outputs], of each column: "probs_ctr", "probs_grade[0]" */
    size_t scratch_bytes;           /* aligned to 64, for any number of rows */
    size_t weight_floats;
    unsigned char structure[32];    /* SHA-256: equal digests permit a swap of weights */
    unsigned char weights_digest[32];       /* SHA-256 of the weights' bytes, little-endian; zeros if apart */
    const void *weights;            /* [weight_floats] floats aligned to 64; NULL: in a file of their own */
    const uint32_t *expected;       /* the self test's bits; NULL: with the weights */
    /* x [rows][x_stride], x_stride >= inputs; y [rows][outputs]; cannot fail, allocates nothing, keeps no state. */
    void (*score)(const void *weights, const float *x, size_t x_stride, size_t rows, float *y, void *scratch);
    /* 0: this build gives the bits that mmoec computed; 1: rounding mode or subnormals are not as needed;
       2: the weights are not those of `expected`; 3: wrong scores. */
    int (*self_test)(const void *weights, const uint32_t *expected, void *scratch);
    /* From rows: columns [n_columns]; y [rows][outputs], NaN for a bad row; status [rows]. Otherwise like score. NULL: the
       model takes the experts' input alone. */
    void (*score_rows)(const void *weights, const void *tables, const struct mmoe_values *columns, size_t rows, float *y,
                       struct mmoe_row_status *status, void *scratch);
    const char *(*chosen_isa)(void);        /* "avx512", "avx2", "neon", "mve", "plain": which serves on this machine */
    const struct mmoe_column *columns;      /* [n_columns]: what score_rows reads */
    const struct mmoe_lines *lines; /* NULL if columns is */
    uint32_t n_columns;
    uint32_t row_bytes;             /* of the model's struct of a row, in which columns have their offsets */
    uint64_t table_floats;
    unsigned char rows_structure[32];       /* SHA-256 of what makes the input from rows; zeros if nothing does */
    unsigned char tables_digest[32];        /* SHA-256 of rows_structure and the tables' bytes, little-endian; zeros if apart */
    const void *tables;             /* [table_floats] floats aligned to 64, of the embeddings; NULL: with the weights */
    const char *feature_order;      /* of the experts' input: "config", "name", and who said so; for people */

    /* Of a model compiled with user columns; others have 0 and NULL, as have records older than these members. */
    uint32_t user_inputs;           /* the first so many columns of x are the user's, those behind them the item's */
    const uint32_t *input_order;    /* [inputs]: which of EasyRec's columns each column of x is; NULL: the same */
    /* Requests, each of one user with many items. users [n_users][user_stride] with user_inputs floats a row; items
       and y have a row an item, [offsets[n_users]][item_stride] with inputs - user_inputs floats and [..][outputs];
       user u has the rows offsets[u] .. offsets[u + 1] - 1, and may have none; offsets [n_users + 1], ascending. Rows
       before offsets[0] are neither read nor written. The same bits as `score` of rows that are a user's columns and
       an item's. */
    void (*score_users)(const void *weights, const float *users, size_t user_stride, const float *items,
                        size_t item_stride, const size_t *offsets, size_t n_users, float *y, void *scratch);
    /* The same from rows: columns that are the user's have a value a user, the others one a row; y [rows][outputs] and
       status [rows], a bad user's in all of his rows. The same bits as score_rows of rows that have the user's values. NULL:
       without user columns, or the model takes no rows. */
    void (*score_requests)(const void *weights, const void *tables, const struct mmoe_values *columns, const size_t *offsets,
                           size_t n_users, float *y, struct mmoe_row_status *status, void *scratch);
};
#elif MMOE_ABI != 1
#error "two generated models of different mmoe ABIs in one unit"
#endif
/*@ end */

enum mmoe_status {
    MMOE_OK = 0,
    MMOE_NO_FILE,           /* cannot be opened or read */
    MMOE_NOT_A_MODEL,       /* not a model's shared object or weights file, or of another ABI */
    MMOE_OTHER_MODEL,       /* weights of another structure than the record's */
    MMOE_DAMAGED,           /* lengths or digests do not hold */
    MMOE_NO_MEMORY,         /* or no thread */
    MMOE_SELF_TEST,         /* this machine or build does not give the promised bits */
    MMOE_OTHER_SHAPE        /* a swap to other inputs or outputs, not asked for */
};

const char *mmoe_status_text(enum mmoe_status status);      /* static text, lower case */

/* ---- opening and swapping -------------------------------------------------------------------------------------- */

/* Where a model comes from: made by one of the three functions below. What it points to is copied, or used during the
   call only, unless they say otherwise. */
struct mmoe_source {
    const struct mmoe_model *record;
    const char *path;
    void (*end)(void *owner);
    void *owner;
};

/* A shared object made by mmoec, whose weights are inside or lie beside it as NAME.weights. It is loaded through a
   private copy: the file may be replaced while it serves. For a swap also a weights file, for the code that serves: all
   that a retrained model of the same structure needs. */
static inline struct mmoe_source mmoe_file(const char *path)
{
    const struct mmoe_source source = {NULL, path, NULL, NULL};
    return source;
}

/* A weights file for a record that is linked in, which must live until it no longer serves. */
static inline struct mmoe_source mmoe_weights(const struct mmoe_model *record, const char *path)
{
    const struct mmoe_source source = {record, path, NULL, NULL};
    return source;
}

/* A record that has its weights: linked in, or made while the program runs. With `end`, which may be NULL, opening or
   swapping it takes the model over if it returns MMOE_OK: end(owner) is called once, when no thread uses the model any
   more, by the thread that swaps or closes it. */
static inline struct mmoe_source mmoe_memory(const struct mmoe_model *record, void (*end)(void *owner), void *owner)
{
    const struct mmoe_source source = {record, NULL, end, owner};
    return source;
}

/* What serves: a model, and after a swap another. */
struct mmoe;

/* Opens a model and runs its self test (not that of one in memory: its maker has run it). *m is NULL unless MMOE_OK. */
enum mmoe_status mmoe_open(struct mmoe **m, struct mmoe_source source);

enum { MMOE_ANY_SHAPE = 1 };    /* mmoe_swap: other inputs or outputs are welcome; see mmoe_hold */

/* Opens another model, runs its self test, and lets it serve instead: calls of mmoe_score that begin after the return
   are answered by it, those before, each as a whole, by one or the other. Waits until no reader uses the old model, and
   frees it. On any other status than MMOE_OK the old one serves on as if nothing had happened. Refuses a model whose
   numbers of inputs or outputs, whose user columns, order of inputs, outputs' names or columns of rows are others,
   unless flags have MMOE_ANY_SHAPE. Any thread may swap but one that holds a model (mmoe_hold); swaps of several
   threads follow each other. */
enum mmoe_status mmoe_swap(struct mmoe *m, struct mmoe_source source, unsigned flags);

/* The record of what serves, with its weights: valid until the next swap or mmoe_close. Where another thread may swap,
   ask mmoe_hold instead. */
const struct mmoe_model *mmoe_record(const struct mmoe *m);

/* Frees the model and all readers that are left; no other thread may use any of them any more. NULL is fine. */
void mmoe_close(struct mmoe *m);

/* ---- scoring --------------------------------------------------------------------------------------------------- */

struct mmoe_pool;

/* What one thread scores by: its scratch, and its sign that it uses a model. Used by one thread at a time. */
struct mmoe_reader;

/* With a pool (below; it must outlive the reader) large batches are shared among its threads. *reader is NULL unless
   MMOE_OK. Making and freeing a reader may wait for the end of a swap: a thread that holds a model must not. */
enum mmoe_status mmoe_reader_new(struct mmoe_reader **reader, struct mmoe *m, const struct mmoe_pool *pool);
void mmoe_reader_free(struct mmoe_reader *reader);          /* NULL is fine */

/* x [rows][inputs], y [rows][outputs]. Cannot fail, allocates nothing, takes no lock, and never waits for a swap or for
   another reader: all but the scoring itself is a fixed number of instructions. (With a pool, it waits for the pool's
   threads that work on its rows.) */
void mmoe_score(struct mmoe_reader *reader, const float *x, size_t rows, float *y);

/* Columns [n_columns] of a record that takes rows, where they lie in an array of the model's struct of a row. */
static inline void mmoe_row_values(const struct mmoe_model *model, const void *rows, struct mmoe_values *columns)
{
    for (uint32_t i = 0; i < model->n_columns; i++) {
        columns[i].at = (const char *)rows + model->columns[i].offset;
        columns[i].stride = model->row_bytes;
    }
}

/* The same from rows: columns as the record has them (struct mmoe_values), y [rows][outputs], status [rows]. The record
   must have score_rows. By this thread alone, pool or not. */
void mmoe_score_rows(struct mmoe_reader *reader, const struct mmoe_values *columns, size_t rows, float *y,
                     struct mmoe_row_status *status);

/* Requests: users [n_users][user_inputs], items [rows][inputs - user_inputs], offsets [n_users + 1], y [rows][outputs],
   as score_users of struct mmoe_model has them. What is the user's alone is computed once for all of the user's items:
   the same bits as mmoe_score, in less time. Only for models with user columns: user_inputs of the record, above, is
   not 0, which the caller has made sure of (a swap keeps it, unless it is asked for MMOE_ANY_SHAPE). By this thread
   alone, also with a pool; otherwise as mmoe_score. */
void mmoe_score_users(struct mmoe_reader *reader, const float *users, const float *items, const size_t *offsets,
                      size_t n_users, float *y);

/* The same from rows, as score_requests of struct mmoe_model has them; the record must have it. */
void mmoe_score_requests(struct mmoe_reader *reader, const struct mmoe_values *columns, const size_t *offsets, size_t n_users,
                         float *y, struct mmoe_row_status *status);

/* Keeps the model until mmoe_release: all scores in between are by this one, whose record is returned, weights and all.
   For several calls that must agree, to learn which model answered, or for its sizes where MMOE_ANY_SHAPE swaps. A swap
   waits that long, so hold it briefly. May be nested. */
const struct mmoe_model *mmoe_hold(struct mmoe_reader *reader);
void mmoe_release(struct mmoe_reader *reader);

/* ---- several threads for one batch ----------------------------------------------------------------------------- */

/* Threads that share one piece of work: mmoe_pool_new makes them, or the caller fills one in for threads of his own. */
struct mmoe_pool {
    size_t threads;         /* how many tasks can run at once, at least 1 */
    /* Calls task(work, t) once for t = 0 and at most once for each other t < threads, at the same time if it can, and
       returns when those calls have returned. The work is complete however many calls there were. */
    void (*run)(void *context, void (*task)(void *work, size_t t), void *work);
    void *context;
};

/* A pool of `threads`, of which one is the thread that brings the work; 0: one for each processor that this process may
   use. Any number of threads may share it: one that finds it busy works alone. *pool is NULL unless MMOE_OK. */
enum mmoe_status mmoe_pool_new(struct mmoe_pool **pool, size_t threads);
void mmoe_pool_free(struct mmoe_pool *pool);        /* of mmoe_pool_new; no work may be running; NULL is fine */

/* Bytes of scratch, aligned to 64, for `threads` threads and any number of rows of a const struct mmoe_model *. */
#define MMOE_PARALLEL_SCRATCH(model, threads) (((model)->scratch_bytes + 63) / 64 * 64 * (size_t)(threads))

/* Scores by all threads of the pool, this one among them: the same bits as by one. x [rows][inputs], y [rows][outputs],
   scratch: MMOE_PARALLEL_SCRATCH(model, pool->threads). The record must have its weights. Cannot fail. */
void mmoe_score_parallel(const struct mmoe_pool *pool, const struct mmoe_model *model, const float *x, size_t rows,
                         float *y, void *scratch);

#ifdef __cplusplus
}
#endif
#endif
