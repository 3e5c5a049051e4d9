// SPDX-License-Identifier: Apache-2.0
/* mmoec: a compiler from a trained EasyRec MMoE model to C.
 *
 * This header is the story of one compilation, in the order in which it happens; each part uses only what
 * stands above it. A model goes one way:
 *
 *   pipeline.config --prototext--> message --lower--> model --fold, fuse, tidy--> model --plan--> plan --emit--> C
 *   model.ckpt-N.*  --ckpt-------> tensors --bind------^                                  |\-----pack--> weights
 *                                                                                         \------walk--> scores
 *
 * Rules that hold everywhere: a stage takes the job and a value, leaves the value alone and returns a new one;
 * a stage that fails has told the user why and returns NULL (or false); a stage given NULL returns NULL. All
 * memory comes from the job's arena and lives until the job ends; nobody tests an allocation: a failed one
 * jumps to the job's entry point. Nothing here prints or exits; messages are records of the job.
 */
#ifndef MMOEC_H
#define MMOEC_H

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../runtime/mmoe.h"
#include "../templates/expr.h"
#include "../templates/rows.h"

#define MMOEC_VERSION "0.1.0"
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- arena.c: memory of one compilation -------------------------------------------------------------- */

struct arena {
    struct arena_block *blocks;
    char *next, *end;
    jmp_buf *no_memory;     /* where a failed allocation goes */
    long fail_after;        /* tests: the n-th block allocation from now fails; -1 never */
};

void *arena_alloc(struct arena *a, size_t bytes);                 /* zeroed, aligned to 16; never NULL */
void *arena_array(struct arena *a, size_t n, size_t size);        /* n * size with an overflow check */
void *arena_aligned(struct arena *a, size_t bytes);               /* aligned to 64 */
char *arena_print(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
char *arena_vprint(struct arena *a, const char *format, va_list args);
char *arena_copy(struct arena *a, const char *text, size_t length);     /* adds the final NUL */
void arena_free(struct arena *a);

#define NEW(job, type) ((type *)arena_alloc(&(job)->arena, sizeof(type)))
#define NEW_ARRAY(job, n, type) ((type *)arena_array(&(job)->arena, (n), sizeof(type)))

/* A text that grows; memory from the arena (a grown text leaves its old bytes behind). */
struct text {
    struct arena *arena;
    char *data;             /* always NUL-terminated once something was added */
    size_t length, room;
};

void text_add(struct text *t, const char *bytes, size_t length);
void text_print(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- diag.c: messages with a picture ----------------------------------------------------------------- */

/* Exit codes of the program and results of a job (design: "What the user types"). When messages of several
   kinds were given, the job's result is that of the first error. */
enum result { OK = 0, BAD_INPUT = 1, BAD_USAGE = 2, UNSUPPORTED = 3, NOT_VERIFIED = 4, SYSTEM_FAILED = 5 };

/* A text of the user's that messages can point into. */
struct source {
    const char *name;       /* as it stands in messages: pipeline.config */
    const char *text;       /* NULL: binary; messages carry no picture */
    size_t length;
};

/* A place: `line` and `column` count from 1; line 0 means the file as a whole; source NULL, no place at all. */
struct pos {
    const struct source *source;
    int line, column, length;       /* length: how many bytes the caret underlines, at least 1 */
};

enum severity { NOTE, WARNING, ERROR };

struct message {
    enum severity severity;
    enum result result;     /* for an error: what the job will return */
    struct pos pos;
    const char *tag;        /* the message's kind, a stable word: "unknown-field"; NULL for notes */
    const char *text;       /* one line, lower case, no full stop */
    const char *hint;       /* the cure, shown below the picture; NULL if there is none */
    struct message *next;
};

struct options;
struct job {
    struct arena arena;
    struct message *messages, *last_message;
    int errors, warnings;
    enum result result;             /* of the first error */
    const struct options *options;  /* below, at "all of it" */
    struct text dump;               /* what --dump asked for */
    struct open_file *files;        /* closed when the job ends */
    struct temporary *temporaries;  /* removed when the job ends, the last made first */
    struct live *models;            /* closed when the job ends */
    double began;                   /* milliseconds of now() */
};

/* Reports; never returns anything to test: the caller returns NULL or false itself. `hint` may be NULL. */
void blame(struct job *job, enum result result, struct pos pos, const char *tag, const char *hint, const char *format,
           ...) PRINTF_LIKE(6, 7);
void warning(struct job *job, struct pos pos, const char *tag, const char *hint, const char *format, ...)
    PRINTF_LIKE(5, 6);
void note(struct job *job, struct pos pos, const char *format, ...) PRINTF_LIKE(3, 4);

/* What a job of its own that did a part of this one had to say; its sources' texts must be this job's. */
void tell_of(struct job *job, const struct job *part);

struct pos in_file(struct job *job, const char *name);      /* a place: the file as a whole */
/* The message as the terminal shows it, picture and hint included; bytes that are not printable are escaped. */
void show_message(const struct message *m, bool colour, FILE *to);
/* The name among `names` (NULL-terminated) nearest to `word`, or NULL if none is near. */
const char *near_miss(const char *word, const char *const *names);
/* `text` with quotes, backslashes, control and non-ASCII bytes escaped as C does; safe in messages and comments. */
const char *escaped(struct arena *a, const char *text, size_t length);
/* Length of the UTF-8 sequence at p, its code point in *code; 0 if there is no valid one. */
int utf8(const unsigned char *p, size_t left, uint32_t *code);
_Noreturn void bug(const char *format, ...) PRINTF_LIKE(1, 2);      /* our fault: says so and aborts */

/* ---- file.c: files of others are read with pread, never mapped ---------------------------------------- */

struct file {
    int fd;
    const char *name;       /* for messages: the base name */
    uint64_t bytes;         /* at opening */
};

struct file *open_file(struct job *job, const char *path);          /* NULL after an error; closed with the job */
bool read_at(struct job *job, const struct file *f, uint64_t offset, void *to, size_t bytes);
/* A file or a pipe that is read once from its start; "-" is standard input. read_stream: how many bytes came, 0 at the
   end, -1 after an error. */
struct file *open_stream(struct job *job, const char *path);
long read_stream(struct job *job, const struct file *f, void *to, size_t most);
uint64_t stream_bytes(const char *path);                /* that it will give, if it is a regular file; else 0 */
void close_stream(struct file *f);
const struct source *read_source(struct job *job, const char *path);    /* the whole file as text */
/* Writes to a temporary name beside `path` and renames: a failure leaves what was there. Equal bytes: untouched. */
bool write_file(struct job *job, const char *path, const void *bytes, size_t length);
/* The same without a message: NULL, or why it failed. */
const char *try_write_file(struct job *job, const char *path, const void *bytes, size_t length);
/* A file that is not in memory as a whole: its head, then what next(self) gives until it returns false, also after an
   error; the head is written once more then, as it is at the end. */
bool write_parts(struct job *job, const char *path, void *head, size_t length,
                 bool (*next)(struct job *job, void *self, const void **bytes, size_t *n), void *self);
void close_files(struct job *job);
/* A directory of our own below $TMPDIR, and a name in it for a file that may be made there; NULL after an error. Both
   are removed with the job, or earlier, down to what job->temporaries was. */
const char *make_temporary(struct job *job);
const char *name_temporary(struct job *job, const char *dir, const char *name);        /* dir NULL: the name is a path */
bool rename_temporary(struct job *job, const char *temporary, const char *path);      /* renames it; it is no temporary any more */
void remove_temporaries(struct job *job, struct temporary *down_to);
const char *base_name(const char *path);
const char *join_path(struct job *job, const char *dir, const char *name);
bool is_directory(const char *path);

/* ---- prototext.c: protobuf text format ------------------------------------------------------------------ */

/* A parsed message; positions are kept beside it. protobuf-c types appear only in files that include its header. */
struct config {
    const struct source *source;
    struct ProtobufCMessage *message;       /* an easyrec__EasyRecConfig */
    struct field_pos *positions;            /* by (message, field number, index) */
    size_t n_positions;
    const char **ignored;                   /* fields that were left out: "TaskTower.metrics_set" */
    size_t n_ignored;
};

/* What the schema says beyond the descriptors: rows of easyrec_fields.def. */
struct config *read_config(struct job *job, const struct source *source);
/* Where field `number` (its `index`-th value) of `message` stands; the message's own place if it is absent. */
struct pos field_pos(const struct config *c, const void *message, unsigned number, size_t index);
/* Does the message have a value of that field (of a repeated one: any)? */
bool field_set(const void *message, unsigned number);

/* ---- fingerprint.c, number.c: texts as hashes and as numbers, as TensorFlow has them, and numbers as texts ---- */

uint64_t fingerprint64(const void *bytes, size_t length);               /* FarmHash's */
uint64_t fingerprint_cat(uint64_t a, uint64_t b);                       /* TensorFlow's FingerprintCat64 */
/* false: TensorFlow refuses the text. The bounds are those of a signed type. */
bool text_to_int(const char *text, size_t n, int64_t least, int64_t most, int64_t *to);
bool text_to_float(const char *text, size_t n, float *to);
bool text_to_double(const char *text, size_t n, double *to);
/* As %lld and %.*f (0 to 100 digits) in the C locale, without a final NUL; they return the length. */
enum { ROOM_OF_INT = 20, ROOM_OF_FIXED = 411 };         /* bytes */
size_t int_to_text(int64_t x, char *to);
size_t double_to_text(double x, int digits, char *to);

/* ---- expr.c: expressions over numbers, as EasyRec reads them ------------------------------------------------------ */

/* NULL: *trouble says why it is not computed, and where. The program lives with the job. */
const struct row_expr *parse_expr(struct job *job, const char *text, const char *const *inputs, int n_inputs,
                                  const char **trouble);

/* ---- find.c, ckpt.c, crc32c.c: TensorFlow checkpoints ----------------------------------------------------------------------- */

enum dtype { DT_OTHER = 0, DT_FLOAT = 1, DT_DOUBLE = 2, DT_INT64 = 9, DT_BFLOAT16 = 14, DT_HALF = 19 };

/* A run of a tensor's elements in a file. Pieces of a tensor are in ascending order, without holes. */
struct piece {
    const struct file *file;
    uint64_t offset;                /* in bytes */
    uint64_t first, count;          /* elements, row-major in the whole tensor */
    uint32_t crc;                   /* of its bytes, unmasked crc32c */
};

#define MAX_RANK 8
struct tensor {
    const char *name;
    int dtype;                      /* enum dtype, or TensorFlow's number of another type */
    int rank;
    uint64_t dim[MAX_RANK];
    struct piece *pieces;
    int n_pieces;
    bool big_endian;
};

struct data_file {
    const char *path;
    uint64_t bytes;                 /* at least, for all that the index says of it */
};

struct tensors {
    const char *name;               /* for messages: model.ckpt-60.index */
    const char *prefix;             /* path without .index */
    struct tensor *tensor;          /* by name, ascending bytes */
    size_t n_tensors;
    const void *index;              /* the index file as it was read */
    uint64_t index_bytes;
    struct data_file *data;
    int n_data;
};

/* The prefix of the checkpoint that `path` means: a prefix, a .index file, or a directory (the largest step of its
   model.ckpt-<step>.index; a SavedModel's variables). NULL after an error. */
const char *find_checkpoint(struct job *job, const char *path);
bool has_checkpoint(const char *dir);                   /* would find_checkpoint find one in this directory? */
/* The largest step or export (a directory <seconds>/) in a directory; false if it cannot be read. */
struct latest {
    bool found, exported;
    uint64_t number;
};
bool find_latest(const char *dir, struct latest *to);
uint64_t checkpoint_number(struct job *job, const char *prefix);        /* its step, or its export's; 0: none */
struct tensors *read_checkpoint(struct job *job, const char *prefix);
const struct tensor *find_tensor(const struct tensors *ts, const char *name);
const char *dtype_name(int dtype);                      /* "float32" */
uint64_t tensor_count(const struct tensor *t);          /* number of elements */
const char *shape_text(struct job *job, const struct tensor *t);        /* "[272,256]" */
/* All elements as double (float, double, half, bfloat16). Checks the sums of the bytes if `check`. */
bool read_tensor(struct job *job, const struct tensor *t, bool check, double *to);
bool read_tensor_floats(struct job *job, const struct tensor *t, bool check, float *to);       /* rounded to float */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);             /* continues `crc`; 0 to begin */

/* ---- model: operations over named values -------------------------------------------------------------------- */

enum op_kind {
#define OP(name, ...) OP_##name,
#include "ops.def"
#undef OP
    N_OPS
};

enum act {
#define ACT(name, ...) ACT_##name,
#include "acts.def"
#undef ACT
    N_ACTS
};

enum type { F32 };                  /* of a value; bf16 and int8 come with their numerics */
enum axis { PER_ROW, PER_USER };    /* what a value is repeated over: rows, or users, who have many each; steps come */

struct value {
    const char *name;               /* unique; "mmoe/expert_0/dnn_0" */
    int width;
    enum type type;
    enum axis axis;
    int op;                         /* which makes it; -1 for a model's input */
};

/* A tensor that the model wants: lowering says which, binding finds it. */
struct want {
    const char *name;
    int rank;
    int dim[2];                     /* a kernel is [in][out] */
    struct pos pos;                 /* in the config: what implies it */
    const char *why;                /* for a shape message: 'the group "all" has 17 features ...'; or NULL */
    const uint32_t *order;          /* [dim[0]], of a kernel of the model's input: which row each input has; or NULL */
    const struct tensor *tensor;    /* set by bind */
};

/* A batch norm: y = (z - mean) * gamma / sqrt(variance + epsilon) + beta. Indices of wants; -1: 1 for gamma,
   0 for beta. Source: EasyRec's dnn.py, TensorFlow's batch_normalization. */
struct norm {
    int gamma, beta, mean, variance;
    double epsilon;
};

/* The recipe of a part of a dense layer's weights: kernel and bias of a checkpoint, batch norms that were folded
   in (in the order they apply), and where it lands. No numbers: they are computed by weigh(). */
struct block {
    int kernel, bias;               /* wants; bias -1: zeros */
    const struct norm *norms;
    int n_norms;
    int column;                     /* first of its columns in the layer's outputs */
    int row;                        /* first of the kernel's rows that it has, in the want's order */
    int in, out;
    int part;                       /* of a batched layer */
};

/* One operation. `in` and `out` are values. Which fields count is said by the op's row in ops.def. */
struct op {
    enum op_kind kind;
    struct pos pos;
    int *in;
    int n_in;
    int out;
    enum act act;                   /* act */
    int first;                      /* slice: first column */
    int parts;                      /* dense: number of equal layers side by side, each over its own share of the input */
    struct block *blocks;           /* dense: in ascending (part, column); they cover all columns */
    int n_blocks;
    struct norm norm;               /* batch_norm; dice: mean, variance, epsilon, and gamma is its alpha */
};

enum output_type { FLOAT_OUTPUT, CLASS_OUTPUT };

struct output {
    const char *name;               /* EasyRec's: probs_ctr */
    const char *tower;
    int value;
    int width;                      /* columns it takes */
    bool vector;                    /* its columns are named probs_grade[0], ...; else it is a number a row */
    enum output_type type;
};

struct model {
    struct value *values;
    int n_values, room_values;
    struct op *ops;                 /* in an order in which operands come first */
    int n_ops, room_ops;
    int *inputs;                    /* values */
    int n_inputs;
    struct output *outputs;
    int n_outputs;
    struct want *wants;
    int n_wants, room_wants;
    int user_inputs;                /* the first so many columns of the inputs are the user's; 0: it knows no users */
    const uint32_t *input_order;    /* [columns]: which of EasyRec's each column of the inputs is; NULL: the same */
};

struct model *new_model(struct job *job);
struct model *copy_model(struct job *job, const struct model *m);      /* deep, but for texts and tensors */
int add_value(struct job *job, struct model *m, const char *name, int width, int op);
struct op *add_op(struct job *job, struct model *m, enum op_kind kind, struct pos pos, const char *out_name, int width,
                  const int *in, int n_in);
int add_want(struct job *job, struct model *m, struct want want);     /* the same name again: the same index */
void check_model(const struct model *m);                              /* bug() if an invariant is broken */
void print_model(const struct model *m, struct text *to);
uint64_t multiply_adds(const struct model *m, const struct op *op);    /* a row */
uint64_t parameters(const struct model *m, const struct op *op);       /* numbers in its tensors */
const char *op_name(enum op_kind kind);
const char *act_name(enum act act);                                   /* "relu", as kernels are named */

/* ---- features.c: names and widths of what enters the experts ---------------------------------------------- */

enum feature_order { ORDER_CONFIG, ORDER_NAME };

struct ProtobufCMessage;

struct feature {
    const char *key;                /* feature_name or the first input name */
    const char *kind;               /* "IdFeature" */
    const char *column;             /* EasyRec's column name: "user_id_embedding" */
    const char *old_column;         /* its name up to EasyRec 0.5.7, which may be the same; NULL of target attention */
    const char *table;              /* its variable, or NULL */
    uint64_t table_rows;
    int first, width;               /* columns in the experts' input; width 0 if it is not known */
    bool user;                      /* all that it is made of is the user's, by --user-columns */
    const char *trouble;            /* why scoring from rows will not be possible; NULL if it will */
    struct pos pos;
    const struct ProtobufCMessage *config;      /* its FeatureConfig; of a target attention, its SeqAttGroupConfig */
    const char *input;              /* the only input of a copy for shared_names; NULL: those of the config */
    const char *shared;             /* the name of a table that other features use, too; or NULL */
};

/* A column of the data: an input_field of data_config. */
struct row_column {
    const char *name;
    enum mmoe_field_type type;
    const char *fallback;           /* default_val; "" if there is none */
    bool label;
    bool user;                      /* is it named by --user-columns? */
    struct pos pos;
};

struct features {
    struct feature *feature;        /* in the order of EasyRec's columns */
    int n_features;
    int width;                      /* sum, or 0 if a width is not known */
    int user_width;                 /* columns of the user's features, which then come first; 0: there are no such */
    const uint32_t *easyrec_column; /* [width]: which of EasyRec's each column is; NULL: the same */
    int batch_norms;                /* unnamed ones that the input layer makes before the experts' */
    enum feature_order order;
    const char *order_from;         /* who says so: "--feature-order", "saved_model.pb", ...; NULL: nobody, it is the default */
    int n_plain;                    /* the first features: those that have an order */
    int n_sequences;                /* the next ones: combined sequences, by column; then come target attentions */
    const char *old_table;          /* one that is only found under its old name: features have old names; else NULL */
    const char *why;                /* for shape messages: 'the group "all" has 17 features of 16 columns: 272' */
    struct feature *member;         /* what sequence_features names, each once; their place is none */
    int n_members;
    struct row_column *column;          /* in the order of the file */
    int n_columns;
};

bool wants_rows(const struct options *o);       /* --rows, --from rows: then trouble of a feature is an error */
struct features *read_features(struct job *job, const struct config *c);
/* Puts them in the order of the columns that a graph has, if it is one of the two that EasyRec makes; a warning if not.
   `from`: the graph's file. */
void order_features(struct job *job, struct features *f, const char *const *columns, int n, const char *from);

/* Names of EasyRec up to 0.5.7, if a table is only found under its. Unless somebody says the order, it is then that of
   names, with a warning. */
void find_old_names(struct job *job, struct features *f, const struct tensors *ts);
void order_by_old_names(struct job *job, struct features *f, const struct tensors *ts);
/* With --user-columns, the user's features come first, and those of the item behind them. Once their order is known. */
bool place_users(struct job *job, struct features *f);
/* Rows whose columns are in EasyRec's order into that of the experts' input, which is another with user columns. */
void order_rows(const uint32_t *easyrec_column, const double *from, size_t rows, size_t width, float *to);

/* ---- graph.c: what order a graph has ------------------------------------------------------------------------------ */

/* The columns of the input layer, as the graph of a saved_model.pb or of a checkpoint's .meta concatenates them, [n];
   NULL if the graph does not show them. */
const char **read_graph_columns(struct job *job, const void *file, size_t length, bool saved_model, int *n);

/* ---- lower_mmoe.c: EasyRec's MMoE -> model ----------------------------------------------------------------- */

/* `width` of the experts' input, when the features do not tell, is taken from the gate's kernel in `tensors`,
   which may be NULL (inspect). */
struct model *lower(struct job *job, const struct config *c, const struct features *f, const struct tensors *tensors);

/* The network of a target attention: `config` is its DNN, NULL EasyRec's default; the variables are below `name`. Counts
   the unnamed batch norms that it makes. */
struct model *lower_seq_dnn(struct job *job, const struct config *c, const struct ProtobufCMessage *config,
                            const char *name, int width, int *batch_norms);

/* The outputs that --outputs names (NULL or "scores": every probs_* and y_*; "all"), in the model's order. */
struct model *select_outputs(struct job *job, const struct model *m);

/* ---- bind.c, weigh.c: wanted tensors <- a table of tensors; recipes -> numbers -------------------------------- */

/* Finds every want, checks shape and type, and the numbers of vectors (an infinite variance makes finite weights). */
struct model *bind_names(struct job *job, const struct model *m, const struct tensors *tensors);
/* The same, and reads all numbers: their checksums, and whether they are finite. */
struct model *bind_weights(struct job *job, const struct model *m, const struct tensors *tensors);
/* kernel [in][out] and bias [out] of one block, norms folded, in double; `kernel` has room for weigh_room() of them. */
size_t weigh_room(const struct model *m, const struct block *b);
bool weigh(struct job *job, const struct model *m, const struct block *b, double *kernel, double *bias);
/* Scale and shift of a batch norm: y = z * scale + shift. */
bool weigh_norm(struct job *job, const struct model *m, const struct norm *n, int width, double *scale, double *shift);
/* Per-unit numbers of dice: [3][width]: alpha, 1/sqrt(variance + epsilon), -mean/sqrt(variance + epsilon). */
bool weigh_dice(struct job *job, const struct model *m, const struct norm *n, int width, double *to);

/* ---- eval.c: the reference for values -------------------------------------------------------------------------- */

/* Scores rows plainly in double with libm, in blocks whose memory is given back. x [rows][inputs]; y [rows][all output columns]; bound, if not NULL, the
   same shape: how far float arithmetic under the contract may be from y. */
bool eval(struct job *job, const struct model *m, const float *x, size_t rows, double *y, double *bound);

/* ---- lower_rows.c, tables.c, csv.c, rows.c: from a row's columns to the experts' input --------------------------- */

/* What a row has in one column: that of its type counts. */
struct row_cell {
    struct mmoe_text text;
    int64_t whole;                  /* of INT32, INT64 and BOOL */
    float single;
    double number;
};

enum row_kind {
#define ROW_FEATURE(name, type) ROW_KIND_##name,
#include "../templates/rows.def"
#undef ROW_FEATURE
    N_ROW_KINDS
};

/* What the constants of features point at: functions of templates/rows.c, and what generated files call them. */
struct row_functions {
#define ROW_FUNCTION(type, name) row_##type *name;
#include "../templates/rows.def"
#undef ROW_FUNCTION
};
extern const struct row_functions row_functions;
row_float_function *row_function_named(const char *name);      /* "log1p"; NULL: there is none */
typedef void row_any_function(void);
const char *row_function_name(row_any_function *function);     /* "text_column", "fn_log1p"; NULL for NULL */

/* One feature; `constants` is a struct of templates/rows.h, as the kind's row of rows.def says. */
struct row_feature {
    enum row_kind kind;
    const void *constants;
    const char *key;                /* EasyRec's, for comments */
    int first, width;               /* the columns it writes */
    bool user;                      /* is it made of user columns alone? */
};

/* The network of a target attention: a small model of its own, whose weights lie among the tables. */
struct plan;
struct row_network {
    const struct model *original;   /* as EasyRec means it */
    const struct plan *plan;        /* of the original after passes, bound once tables are */
    uint32_t table;
};

/* Numbers of the checkpoint that rows need: an embedding table [rows][width]. */
struct row_table {
    const char *names[4];           /* where it may be, the likeliest first; NULL-terminated */
    uint64_t rows;
    int width;                      /* 0: a vector of `rows` numbers */
    const int *logit;               /* [n_scales]: the table is 1 - sigmoid of these of its numbers, 1 for -1; or NULL */
    int n_scales;
    const struct row_network *network;      /* the table is its weights, as its plan packs them; or NULL */
    uint64_t at;                    /* floats before it where all tables lie in a row */
    struct pos pos;
    const struct tensor *tensor;    /* set by bind_table_names */
    const float *numbers;           /* set by bind_tables */
};

/* The features that make a row of the experts' input, in order; the experts' part needs none of this. */
struct row_program {
    struct mmoe_lines lines;        /* of files */
    struct mmoe_field *fields;      /* those of lines */
    struct mmoe_column *columns;    /* [n_columns]: what features read */
    int n_columns;
    struct row_feature *features;
    int n_features, room_features;
    struct row_table *tables;
    int n_tables, room_tables;
    uint64_t table_floats;          /* of all, each from a multiple of 16 on */
    struct row_network *networks;
    int n_networks;
    int user_width;                 /* the first so many columns are the user's */
    int width, more_columns;        /* behind the row's: keys of target attention that the group does not have */
    size_t texts, floats, doubles;  /* room that a feature needs at most; texts: of ROW_TEXT_ROOM bytes */
};

/* NULL after an error: what cannot be computed from rows is said. */
struct row_program *lower_rows(struct job *job, const struct config *c, const struct features *f);
/* Finds the tables and checks their shapes. */
bool bind_table_names(struct job *job, struct row_program *p, const struct tensors *ts);
/* The same, and reads them. */
bool bind_tables(struct job *job, struct row_program *p, const struct tensors *ts);
uint64_t table_floats(const struct row_table *t);
bool read_row_table(struct job *job, const struct row_table *t, float *to);        /* [table_floats(t)], of one that has its tensor */

/* After bind_tables. x [n][p->width], status [n]; scratch, aligned to 64: rows_scratch(p) bytes. A bad row is zeros. */
size_t rows_scratch(const struct row_program *p);
/* Where its parts are, in bytes: pointers to tables, then these; generated code lays its own out alike. */
struct row_layout {
    size_t x, user, texts, floats, doubles, networks;
    size_t bytes;                   /* all of it */
    size_t width, n_tables;         /* floats of a row; pointers, at least 1 */
};
struct row_layout lay_out_rows(const struct row_program *p);
void run_rows(const struct row_program *p, const struct mmoe_values *values, size_t n, float *x,
              struct mmoe_row_status *status, void *scratch);
/* The same, then the model's scores: y [n][outputs], NaN for a bad row. scratch: rows_scratch(p) bytes, then those that
   m->score needs. */
void score_rows_by(const struct row_program *p, const struct mmoe_model *m, const struct mmoe_values *values, size_t n,
                   float *y, struct mmoe_row_status *status, void *scratch);
/* Requests, as m->score_requests has them; m->score_users must be there. */
void score_requests_by(const struct row_program *p, const struct mmoe_model *m, const struct mmoe_values *values,
                       const size_t *offsets, size_t n_users, float *y, struct mmoe_row_status *status, void *scratch);
/* As constants have it: a target attention's network, `self` a struct row_network. */
void run_row_network(const struct rows *r, const void *self, const float *u, size_t steps, float *a);

/* Why a row is bad: the column or feature, and what it has. */
struct row_fault {
    const char *name, *why;         /* why NULL: the row is fine */
    const char *text;               /* [length] bytes, or NULL */
    size_t length;
};

struct csv;
/* `paths`: a file, files by commas, or - for standard input. `header`: first lines name the columns. */
struct csv *open_csv(struct job *job, const struct mmoe_lines *lines, const char *paths, bool header);
enum csv_answer { CSV_ROW, CSV_END, CSV_FAILED };
/* The next row's cells [n_fields], which live until the next call; a line that is no row has a fault. */
enum csv_answer read_csv(struct csv *csv, struct row_cell *cells, struct row_fault *fault);
struct pos csv_place(const struct csv *csv);            /* of the row read last */
/* Bytes whose rows were given, and of all files; total 0: one of them is no regular file. */
struct extent {
    uint64_t done, total;
};
struct extent csv_extent(const struct csv *csv);
bool read_fallback(const struct mmoe_field *f, struct row_cell *to);    /* false: it is not what the type needs */

/* Rows of a file that are read together. */
#define BLOCK_ROWS 256
struct row_block {
    size_t n;
    struct row_cell *cells;         /* [n][n_fields]; a bad line's are the defaults */
    struct mmoe_values *values;     /* those of the cells that the model reads */
    struct row_fault fault[BLOCK_ROWS];
    struct pos place[BLOCK_ROWS];
    struct text texts;              /* what the cells point to */
};

struct row_block *new_row_block(struct job *job, const struct mmoe_lines *lines);
bool read_row_block(struct csv *csv, struct row_block *b);      /* n is 0 at the end; false after an error */
/* Where row 0 of `cells` [rows][n_fields] has the model's columns. */
void row_values(const struct mmoe_lines *lines, const struct row_cell *cells, struct mmoe_values *values);
/* What a status says, with the bad cell's text if its column is one. */
struct row_fault row_fault(const struct mmoe_lines *lines, const struct row_cell *cells, struct mmoe_row_status status);
/* The faults of rows [b->n] that had none. */
void take_statuses(struct row_block *b, const struct mmoe_lines *lines, const struct mmoe_row_status *status);
/* Says what is wrong with a row; if others go on without it, as a warning. */
void blame_row(struct job *job, struct pos pos, const struct row_fault *f, bool keep_going);

/* ---- passes ---------------------------------------------------------------------------------------------------- */

struct model *fold(struct job *job, const struct model *m);     /* batch norms into dense layers */
struct model *fuse(struct job *job, const struct model *m);     /* equal layers side by side */
struct model *tidy(struct job *job, const struct model *m);     /* drops what nothing reads */

/* ---- users.c: what is the user's alone --------------------------------------------------------------------------- */

/* A model with user columns as requests are scored, the same values: two inputs, and what depends on the user's alone
   is computed apart, a row a user. */
struct model *split_users(struct job *job, const struct model *m);

/* ---- plan.c, explain.c: every decision about the machine ------------------------------------------------------------------- */

/* A class of arithmetic: what every sum of a compilation is made of. */
struct numerics {
    const char *name;               /* --numerics */
    int number;                     /* in the record */
    const char *kernels;            /* the library's table of its plain C: the reference for its bits */
};

/* An instruction set. Numbers but the last two: ORDER with templates/simd.h, whose words of the same name they are. */
struct isa {
    const char *name;
    int vl, accumulators, tile_rows, most_vecs, most_columns;
    int lanes_from, tiny_lanes_from;        /* so many rows of a small model pay a block in lanes; 0: never */
};

const struct isa *find_isa(const char *name);           /* bug() if there is none */

/* A kind of machine. */
struct target {
    const char *name;               /* --target */
    const char *isas[4];            /* instruction sets the file carries, best first; the names of templates/simd.h */
    int row_block;                  /* rows scored together: activations of a block should stay in L2 */
    size_t block_bytes;             /* at most about this much scratch: large models take smaller blocks */
    size_t ahead_bytes;             /* more weights than these stream from a far cache, and are prefetched */
    int grain;                      /* buffers and weights begin at multiples of so many floats */
    bool narrow;                    /* a small core: C99, a row at a time, dense layers by the narrow kernel */
    const char *numerics;           /* its class, if none is asked for */
    const char *about;              /* for the list of targets */
};

extern const struct target targets[];           /* the last has no name */
extern const char *const plan_forms[];          /* what tests may ask for instead of what the model's size suggests */
extern const struct numerics numerics_classes[];        /* the same */
const struct target *find_target(const char *name);     /* NULL if there is none */
bool is_plain_c(const struct target *t);                /* is there nothing but plain C in its files? */
const struct numerics *find_numerics(const char *name); /* one of the table's names */

enum kernel {
#define KERNEL(name, ...) KERNEL_##name,
#include "../templates/kernels.def"
#undef KERNEL
    N_KERNELS
};

const char *kernel_name(enum kernel kernel);            /* "dense" */

enum region { IN_X, IN_SCRATCH, IN_Y };

/* Where a block's rows of a value lie: at + row * stride floats in the region; in scratch, with rows in lanes, at +
   column * LANES + row. */
struct place {
    enum region region;
    int value;                      /* in scratch: whose buffer it is; a slice lies in its parent's */
    size_t at;                      /* floats */
    size_t stride;                  /* floats; IN_X: the caller's, 0 here */
};

#define LANES 32                    /* rows of a block in lanes: a multiple of every vector; ORDER with templates/simd.h */

/* A call of a kernel over a block of rows. Which fields count is said by the kernel's row. */
struct step {
    enum kernel kernel;
    enum act act;                   /* kernel act */
    struct place x, y;
    struct place g;                 /* mix: the gate */
    struct place from;              /* onto: where its sums start; with rows in lanes, one row */
    size_t w;                       /* floats from the start of the arena */
    int in, out;                    /* dense, onto, narrow; others: `out` columns */
    int all;                        /* dense, onto: inputs that the panels have: the first `in` of them, or the last */
    int panel;                      /* dense, onto: most columns of a panel, a multiple of 8; narrow: 4 */
    int room;                       /* dense, onto: columns from y on that may be written: padding need not be masked */
    int relu;                       /* dense, onto, narrow: of their first so many sums; narrow: of all or none */
    int experts;                    /* mix */
    struct place *expert;           /* mix: [experts], all in scratch */
    int list;                       /* mix: number of its list of experts; a form's mixtures over equal lists share one */
    const char *what;               /* for the comment beside the call: the values it makes */
};

/* What lies in the arena of weights: a run of columns of one part of a dense layer in panels, or dice's numbers. */
struct packed {
    int op;                         /* of the model */
    int part, column, columns;      /* dense: which columns of which part */
    int panel;                      /* dense: as the step's */
    size_t at, floats;
};

/* A buffer of scratch and when it is alive, for the drawn map and the check that none overlap. */
struct buffer {
    int value;
    size_t at, floats;              /* of the whole block of rows; multiples of the target's grain */
    int from, to;                   /* steps that write it first and read it last */
};

/* How a block of rows is scored: kernels called one after the other, and the scratch that they share. */
struct form {
    const struct model *model;      /* whose values its steps make */
    struct step *steps;
    int n_steps;                    /* 0: the plan has no such form */
    struct buffer *buffers;
    int n_buffers;
    int first_list;                 /* of experts: forms that stand in one file have numbers of their own */
    int block;                      /* rows of a block, at most */
    size_t scratch_floats;          /* a multiple of the target's grain */
};

#define TEST_ROWS 36                /* of the self test: in batches of 1, 2, ... 8, that is every row tile, then all at once */
#define ARENA_SLACK 16              /* floats after the last weight that a vector load may touch */

struct plan {
    const struct model *model;
    const struct target *target;
    const struct numerics *numerics;
    struct form rows;               /* every value [row][column]; lanes are outputs */
    struct form lanes;              /* of small models: [column][LANES]; lanes are rows */
    /* With user columns, a request is scored by these: what is the user's alone, a row, once; then the user's items in
       blocks, rows or lanes, which read it at the start of scratch. */
    struct form user, items, items_lanes;
    struct packed *packed;          /* in order of use */
    int n_packed;
    bool small;                     /* all weights fit into the nearest cache: each layer is one panel */
    bool straight;                  /* small, and of few calls: those for 1 to 4 rows are inlined, sizes and all */
    bool ahead;                     /* do dense kernels prefetch weights? */
    int most_kernels;               /* past so many different ones they take sizes as arguments: text stays bounded */
    int inputs, outputs;            /* floats a row */
    int user_inputs;                /* the first so many are the user's; 0: it knows no users */
    size_t scratch_floats;          /* of scoring: that of the largest form */
    size_t weight_floats;           /* ARENA_SLACK included, but for small cores; a multiple of the target's grain */
    size_t test_floats;             /* scratch beyond scoring's that the self test needs */
};

struct plan *make_plan(struct job *job, const struct model *m);
/* Does the kernel compute a dense layer in panels? */
static inline bool is_dense(enum kernel kernel) { return kernel == KERNEL_dense || kernel == KERNEL_onto; }
/* So many rows or more are scored in lanes by that instruction set; INT_MAX: none are. */
int lanes_from(const struct plan *p, const char *isa);
void check_plan(const struct plan *p);                  /* bug() if buffers overlap, ... */
void print_plan(const struct plan *p, struct text *to);
void explain_plan(struct job *job, const struct plan *p, const struct model *original, struct text *to);    /* explain.c */

/* ---- pack.c: weights in kernel order, rounded once --------------------------------------------------------------- */

struct weights {
    const float *numbers;           /* [plan->weight_floats], aligned to 64 */
    unsigned char digest[32];
    const float *tables;            /* [table_floats] of a program of rows; NULL: they are apart */
    unsigned char tables_digest[32];
    char *file;                     /* the numbers with room for a weights file's head before them */
    size_t file_bytes;
};

struct weights *pack(struct job *job, const struct plan *p);
/* The numbers alone, to [plan->weight_floats] that are zero. */
bool pack_into(struct job *job, const struct plan *p, float *arena);
void structure_digest(const struct plan *p, struct job *job, unsigned char digest[32]);

/* ---- walk.c: the plan over a table of kernels ---------------------------------------------------------------------- */

struct mmoe_kernels;                /* runtime/kernels.h */

/* x [rows][inputs], y [rows][outputs]. With the plain kernels: the reference for bits. */
void walk(const struct plan *p, const struct weights *w, const struct mmoe_kernels *kernels, const float *x, size_t rows,
          float *y, void *scratch);

/* The same over a record's arguments: w [weight_floats], x [rows][xs]. */
void walk_rows(const struct plan *p, const struct mmoe_kernels *kernels, const float *w, const float *x, size_t xs,
               size_t rows, float *y, void *scratch);

/* Users with their items, as score_users of the record has them. */
void walk_users(const struct plan *p, const struct mmoe_kernels *kernels, const float *w, const float *users, size_t us,
                const float *items, size_t is, const size_t *offsets, size_t n_users, float *y, void *scratch);

void *new_scratch(struct job *job, const struct plan *p);       /* for one thread, aligned to 64 */

/* The self test's rows, the same as generated code makes, and the words it expects: the checksum of the weights,
   then the scores' bits. */
void test_rows(const struct plan *p, float *x);
struct expected {
    const uint32_t *words;          /* ORDER with templates/frame.c: two of checksum, then [TEST_ROWS][outputs] */
    int n_words;
};
int expected_words(const struct plan *p);
struct expected *expect(struct job *job, const struct plan *p, const struct weights *w);
/* The words by other kernels than the plain ones; to [expected_words(p)]. */
void expect_by(struct job *job, const struct plan *p, const struct mmoe_kernels *kernels, const float *w, uint32_t *to);
/* What generated code has as its self test, for code that is not generated; the numbers are a record's. */
typedef void score_function(const void *weights, const float *x, size_t xs, size_t rows, float *y, void *scratch);
typedef void users_function(const void *weights, const float *users, size_t us, const float *items, size_t is,
                            const size_t *offsets, size_t n_users, float *y, void *scratch);
/* Parts of it. Rounding to nearest, ties to even; subnormals neither flushed nor read as zero: */
bool wrong_environment(void);
/* All rows at once give the expected scores: */
bool check_once(score_function *score, const void *weights, const uint32_t *expected, void *scratch, size_t inputs,
                size_t outputs, size_t score_floats);
/* The rows that check_once or check_scores left in scratch give the same as users with an item each: 0; else 3. */
int check_users(users_function *score_users, const void *weights, const uint32_t *expected, void *scratch,
                size_t inputs, size_t user_inputs, size_t outputs, size_t score_floats);
int check_scores(score_function *score, const void *weights, const uint32_t *expected, void *scratch, size_t inputs,
                 size_t outputs, size_t weight_floats, size_t score_floats);

/* ---- emit.c (emit_calls.c, emit_kernels.c, emit_header.c), banner.c, emit_weights.c, template.c: plan -> C text --- */

struct generated {
    struct text c, h;
    struct text proof;              /* the driver that --proof asked for; empty without */
    void *weights_file;             /* NULL: the weights are in the C text */
    size_t weights_bytes;           /* without the tables of rows */
    const struct row_program *rows; /* whose tables follow, or NULL */
};

/* What the banner says about where everything came from. */
struct provenance {
    const char *name;               /* of the model, a C identifier */
    const char *file_name;          /* of the output, without .c */
    const char *config;             /* base name */
    unsigned char config_digest[32];
    const char *checkpoint;
    const struct features *features;
    const char *no_rows;            /* why it takes no rows, or NULL */
    const struct model *original;   /* before the passes */
};

/* The files of templates/ and the record of runtime/mmoe.h, inside the program. */
struct embedded {
    const char *name, *text;
    size_t length;
};
extern const struct embedded embedded_files[];          /* the last has no name */

struct word {
    const char *name, *value;
};
/* Adds a chunk of a template, its words replaced; `isa`: what functions of math.h end in, NULL outside of kernels. */
const char *template_text(const char *file);            /* all of it; bug() if there is none */
void template_copy(struct text *to, const char *file, const char *chunk);      /* as it stands, without words */
void template_add(struct job *job, struct text *to, const char *file, const char *chunk, const char *isa,
                  const struct word *words, int n_words);
/* Adds functions of math.h and what they call. */
void math_add(struct job *job, struct text *to, const char *const *functions, int n, const char *isa);

const char *quoted_text(struct job *job, const char *bytes, size_t n);  /* a string literal */
const char *comment_text(struct job *job, const char *text);    /* the user's text, safe inside a comment */
const char *hex(struct job *job, const unsigned char digest[32]);
void add_banner(struct job *job, const struct plan *p, const struct weights *w, const struct provenance *from,
                struct text *to);
/* Weights, and tables [floats] of rows, as C text; their C name. */
const char *add_weights(struct job *job, const struct plan *p, const struct weights *w, struct text *to);
const char *add_tables(struct job *job, const struct plan *p, const struct weights *w, uint64_t floats, struct text *to);
/* rows NULL: it takes none. */
void fill_weights_file(struct job *job, const struct plan *p, const struct weights *w, const struct expected *e,
                       const struct row_program *rows);
bool write_weights(struct job *job, const char *path, const struct generated *g);       /* of one that has a weights_file */
/* The tables of rows in one piece, for C text. */
bool gather_tables(struct job *job, const struct row_program *p, struct weights *w);

/* emit_rows.c: what makes the input from rows. */
void add_row_types(struct text *to);
void add_row_code(struct job *job, const struct row_program *p, const char *name, struct text *to);
void add_row_struct(struct job *job, const struct row_program *p, const char *name, struct text *to);
const char *row_table_list(struct job *job, const struct row_program *p);
void row_structure(struct job *job, const struct row_program *p, unsigned char digest[32]);

struct generated *emit(struct job *job, const struct plan *p, const struct weights *w, const struct expected *e,
                       const struct provenance *from, const struct row_program *rows);

/* ---- jit.c: the plan as machine code, made in memory by libtcc ------------------------------------------------------ */

/* A record's functions. Models of equal structure share one; it lies in memory that is readable and executable. */
struct code {
    score_function *score;
    users_function *score_users;    /* NULL: of a plan without user columns */
    int (*self_test)(const void *weights, const uint32_t *expected, void *scratch);
    const char *(*chosen_isa)(void);
};

const char *jit_trouble(void);                          /* why no code can be made in this process; NULL: it can */
void print_control_code(struct job *job, const struct plan *p, const struct mmoe_kernels *k, struct text *to);
/* NULL: *trouble says why. *made: is it new, not another model's? */
const struct code *make_code(struct job *job, const struct plan *p, const struct mmoe_kernels *kernels, bool *made,
                             const char **trouble);
void drop_code(const struct code *c);                   /* once for each make_code; NULL is fine */
bool in_code(const struct code *c, const void *address);        /* is it in memory that libtcc's code was written to? */
bool write_perf_map(struct job *job, const struct code *c, const char *name);   /* for perf; a warning if it fails */

/* ---- cache.c: packed weights in a file, so that the next start has less to do ----------------------------------------- */

/* The file as it lies in memory, too: this, the self test's words, zeros to a multiple of 64, CACHE_GAP bytes of zeros
   that are the server's own in memory, the weights, and crc32c of all before it. */
struct cache_image {
    char magic[8];
    uint32_t abi, n_expected;
    uint64_t weight_floats;
    unsigned char key[32], structure[32], zeros[40];
};
#define CACHE_GAP 64

struct network;
size_t cache_weights_at(const struct plan *p);          /* bytes before the weights */
size_t cache_bytes(const struct plan *p);
/* Where the network's file is, and what it must be of; options->cache says where. */
struct cache {
    const char *path;
    unsigned char key[32], structure[32];
};
struct cache *find_cache(struct job *job, const struct network *n, const unsigned char structure[32]);
/* Reads the file into `to` [cache_bytes(p)]; false if there is none or it is not as it should be: then with a warning. */
bool read_cache(struct job *job, const struct cache *c, const struct plan *p, struct cache_image *to);
/* Fills in head and crc of an image that has its words and weights, and writes it; a warning if that fails. */
void write_cache(struct job *job, const struct cache *c, const struct plan *p, struct cache_image *image);

/* ---- live.c: a model that serves in this process ---------------------------------------------------------------------- */

struct network;
/* `engine`: "jit" or "walk", with "-avx2" and so on; NULL: jit if it can run, else walk. Its scores have been checked.
   Belongs to the job until take_live(). NULL after an error. */
struct live *open_live(struct job *job, const struct network *n, const char *engine);
void take_live(struct job *job, struct live *l);        /* the caller's now: close_live() ends it */
void close_live(struct live *l);
const struct mmoe_model *live_record(const struct live *l);     /* ends with it */
const char *live_engine(const struct live *l);          /* "jit" or "walk" */
const struct code *live_code(const struct live *l);     /* NULL: walk */
uint64_t live_number(const struct live *l);             /* of its step or export; 0: none */

/* ---- proof.c: the driver with which Frama-C proves plain C ------------------------------------------------------- */

bool add_proof(struct job *job, const struct plan *p, const struct provenance *from, struct text *to);

/* ---- decimal.c: scores as texts ------------------------------------------------------------------------------------ */

#define FLOAT_TEXT 16               /* bytes of the longest, with a final NUL */
/* As %.9g prints it, a NaN without its sign; how many bytes. There may be no NUL. */
size_t print_float(char to[FLOAT_TEXT], float x);

/* ---- progress.c: how far it is, for whoever waits ---------------------------------------------------------------- */

struct progress {
    FILE *to;                       /* a terminal; NULL: nobody is told */
    double began, shown;            /* of now(); 0: not yet */
    bool there;                     /* does the line stand on the terminal? */
};

/* `done` of `total`, or of an unknown total: 0. May be called often; the first call starts the clock. */
void show_progress(struct progress *p, uint64_t rows, uint64_t done, uint64_t total);
void clear_progress(struct progress *p);

/* ---- npy.c, build.c, engine.c: what scores rows ------------------------------------------------------------------- */

enum npy_type { NPY_F4, NPY_F8, NPY_I8, NPY_I4 };

struct npy {
    const struct file *file;
    enum npy_type type;
    int item_bytes, rank;
    uint64_t offset, rows, columns;         /* columns 1 if rank is 1 */
};

struct npy *open_npy(struct job *job, const char *path);
/* Rows as double; `room`: rows * columns * item_bytes. */
bool read_npy_rows(struct job *job, const struct npy *n, uint64_t first, size_t rows, double *to, void *room);
void print_npy_header(struct text *to, uint64_t rows, uint64_t columns);        /* of float32 */

bool have_compiler(struct job *job);                    /* does $CC, or cc, run? Says nothing. */
/* Generated C -> `so`, by the system's compiler; file_name is the header's that the C includes. */
bool build_library(struct job *job, const struct generated *g, const char *file_name, const char *so);

struct engine;
/* `name`: "jit" and "walk" (the best instruction set), "jit-avx2", "walk-avx2" and so on, "aot", "reference"; NULL: jit
   if it can run, else walk. NULL after an error. */
struct engine *open_engine(struct job *job, struct network *n, const char *name);
struct engine *open_so(struct job *job, const char *path);                     /* a compiled model */
void close_engine(struct engine *e);
const struct mmoe_lines *engine_lines(const struct engine *e);         /* of files of rows; NULL: it takes no rows */
int engine_inputs(const struct engine *e);
int engine_outputs(const struct engine *e);
/* Names: "probs_grade[0]", "avx2"; those of a compiled file end with close_engine. */
const char *engine_column(struct job *job, const struct engine *e, int column);
const char *engine_isa(const struct engine *e);
const char *engine_name(const struct engine *e);        /* "jit", "the compiled file" */
bool run_engine(struct job *job, struct engine *e, const float *x, size_t rows, float *y);
/* Requests of such an engine, if it knows users, too; not by the reference. */
void run_engine_requests(struct engine *e, const struct mmoe_values *values, const size_t *offsets, size_t n_users, float *y,
                         struct mmoe_row_status *status);
/* Rows of an engine that takes some: their columns [of its lines]; status [rows]. */
bool run_engine_rows(struct job *job, struct engine *e, const struct mmoe_values *values, size_t rows, float *y,
                     struct mmoe_row_status *status);
int engine_user_inputs(const struct engine *e);         /* 0: it knows no users */
const uint32_t *engine_order(const struct engine *e);   /* which of EasyRec's columns each of x is; NULL: the same */
/* Users with their items, x in two parts; not by the reference. */
void run_engine_users(struct engine *e, const float *users, const float *items, const size_t *offsets, size_t n_users,
                      float *y);

/* ---- measure.c, limits.c: time, and what the machine can do at most -------------------------------------------- */

/* Loops that reach the limits of an instruction set. */
struct limits {
    const char *isa;
    double operations;                              /* of a step of multiply_add; a fused one is two */
    /* `to` [16]: some of the results, so that there must be any. */
    void (*multiply_add)(size_t steps, float *to);
    void (*read_all)(const float *p, size_t floats, float *to);     /* in order; floats: a multiple of 16 */
};

const struct limits *find_limits(const char *isa);      /* of this build; the machine must have it */

/* What is timed: call(self). */
struct contestant {
    void (*call)(void *self);
    void *self;
    size_t calls;                   /* a round */
    double seconds;                 /* a call: the median over the rounds */
};

/* Times all in turns, each for `round` seconds a round. */
void measure(struct job *job, struct contestant *c, int n, int rounds, double round);
/* Times single calls for about so many seconds; returns how many: *times. The clock's own time is taken off. */
size_t measure_calls(struct job *job, const struct contestant *c, double seconds, double **times);
double percentile(double *times, size_t n, double share);       /* share 0.5: the median; sorts */
double seconds_now(void);                               /* of a clock that only goes forward */
const char *processor_name(struct job *job);            /* as the system calls it */

/* Weights, or as many bytes, that are read again and again. */
struct stream {
    const struct limits *limits;
    const float *from;              /* aligned to 64 */
    size_t bytes;
};
struct contestant multiply_add_contestant(const struct limits *l);
double flops(const struct limits *l, double seconds);   /* a second, from that contestant's time */
struct contestant read_contestant(struct stream *s);

#define N_LEVELS 4                  /* of memory; sizes that show the speed of each */
const char *level_name(int level);
size_t level_bytes(int level);

/* Keeps this thread on the core where it runs; pinned_core is -1 if the system refused. */
struct pin *pin_to_core(struct job *job);
int pinned_core(const struct pin *p);
void unpin(const struct pin *p);

/* ---- all of it ------------------------------------------------------------------------------------------------------ */

/* What was asked for; main.c fills it from the command line, a library's caller by hand. NULL or 0: the default. */
struct options {
    const char *command;            /* the row of the table of commands */
    const char *model;              /* MODEL */
    const char *weights;            /* --weights PREFIX */
    const char *name, *output, *target, *numerics, *outputs, *weights_in, *dump;
    const char *rows, *features, *expect, *engine;
    const char *batch;              /* --batch LIST, which read_batches takes */
    const char *user_columns;       /* --user-columns: columns or feature groups by commas */
    const char *depfile;            /* -MF; "" with -MD alone */
    enum feature_order feature_order;
    bool order_given;               /* else a graph beside the weights says the order, if there is one */
    const char *form;               /* one of plan_forms, for tests; NULL: what is fastest */
    bool permissive, verbose, json, plan;
    bool perf_map;                  /* tell perf of code made in memory */
    const char *cache;              /* directory for packed weights; "": beside the checkpoint; NULL: none */
    bool proof;                     /* compile: write OUT_proof.c, too */
    bool header, keep_going;        /* of --rows */
    const char *from;               /* "rows", "features": what generated code takes; NULL: rows if that costs little */
};

/* Everything that is known of a model once it was read. */
struct network {
    const struct config *config;
    const struct features *features;
    const struct tensors *tensors;  /* NULL: none was needed and none found */
    const struct model *original;   /* as EasyRec means it, all outputs; bound if there are tensors */
    const struct model *model;      /* outputs selected, passes done */
    const struct row_program *rows; /* what makes the input from rows, names bound; NULL: generated code takes none, */
    const char *no_rows;            /* and why; NULL: nobody asked */
    const char *config_path, *checkpoint;
    struct provenance from;
};

bool is_identifier(const char *s);                              /* of C, but for an underscore at its beginning */
void begin_job(struct job *job, const struct options *o);       /* the caller sets job->arena.no_memory afterwards */
void end_job(struct job *job);
double now(void);                                               /* milliseconds of a clock that never goes back */
struct network *read_network(struct job *job, bool with_weights);       /* without: tensors only if they are there */
/* With weights whose numbers were not read yet: pack reads and checks all that it packs. */
struct network *read_for_serving(struct job *job);
struct generated *compile(struct job *job, struct network *n);
/* The commands: false after an error. What they have to say stands in `to`, or was written to the file -o names. */
bool do_compile(struct job *job, struct text *to);
bool do_inspect(struct job *job, struct text *to);
bool do_score(struct job *job, FILE *to, struct progress *progress);
bool do_verify(struct job *job, struct text *to);
bool do_bench(struct job *job, struct text *to);
#define MOST_BATCHES 32
#define LARGEST_BATCH 65536
int read_batches(const char *list, size_t batch[MOST_BATCHES]);     /* "1,4,256": how many; 0: not such a list */
void random_rows(float *x, size_t n);                                   /* about normal, the same on every machine */
/* watch.c, for libmmoec.c */
struct mmoec_watch;
struct mmoec_watch_options;
bool start_watch(struct job *job, const struct mmoec_watch_options *options, struct mmoec_watch **watch);
/* Of a network with tensors: what makes its input from rows, bound. NULL after an error. */
struct row_program *read_row_program(struct job *job, const struct network *n);
void add_json_string(struct text *to, const char *s);                          /* with its quotes */
const char *column_name(struct job *job, const struct model *m, int column);    /* of the outputs' columns */
extern const char *const dump_stages[];                 /* what --dump takes; NULL-terminated */
#endif
