// SPDX-License-Identifier: Apache-2.0
/* score.c: the commands compile and score.
 *
 * compile makes everything in memory and writes it when all is well. score streams: a block of rows is read, scored
 * and written, so that a file of any length takes the same memory; its output gets its name at the end.
 */
#include "mmoec.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool ends_in(const char *text, const char *suffix)
{
    size_t n = strlen(text), k = strlen(suffix);
    return n >= k && strcmp(text + n - k, suffix) == 0;
}

/* ---- compile --------------------------------------------------------------------------------- */

static const char *without(struct job *job, const char *path, const char *suffix)
{
    return arena_copy(&job->arena, path, strlen(path) - (ends_in(path, suffix) ? strlen(suffix) : 0));
}

static void add_target(struct text *to, const char *path)
{
    for (const char *c = path; *c; c++)
        text_print(to, strchr(" #\\", *c) ? "\\%c" : *c == '$' ? "$%c" : "%c", *c);
}

/* The data files of a tensor that are not there yet; they lie beside the checkpoint's index. */
static void add_shards_of(struct job *job, const struct network *n, const struct tensor *t, struct text *to)
{
    size_t dir = (size_t)(base_name(n->checkpoint) - n->checkpoint);
    for (int k = 0; t && k < t->n_pieces; k++) {
        const char *name = t->pieces[k].file->name;
        if (strstr(to->data, name))
            continue;
        text_print(to, " ");
        add_target(to, arena_print(&job->arena, "%.*s%s", (int)dir, n->checkpoint, name));
    }
}

/* All data files that were read. */
static void add_shards(struct job *job, const struct network *n, struct text *to)
{
    for (int i = 0; i < n->original->n_wants; i++)
        add_shards_of(job, n, n->original->wants[i].tensor, to);
    for (int i = 0; n->rows && i < n->rows->n_tables; i++)
        add_shards_of(job, n, n->rows->tables[i].tensor, to);
}

/* A rule for make: the output depends on the config and the checkpoint. */
static bool write_depfile(struct job *job, const struct network *n, const char *target, const char *stem)
{
    const char *path = job->options->depfile;
    if (!path)
        return true;
    if (!*path)
        path = arena_print(&job->arena, "%s.d", stem);
    struct text t = {.arena = &job->arena};
    add_target(&t, target);
    text_print(&t, ": ");
    add_target(&t, n->config_path);
    text_print(&t, " ");
    add_target(&t, arena_print(&job->arena, "%s.index", n->checkpoint));
    add_shards(job, n, &t);
    text_print(&t, "\n");
    return write_file(job, path, t.data, t.length);
}

/* Weights are written under another name first: tables may be found to be wrong, when nothing may have been replaced. */
static const char *keep_weights(struct job *job, const char *path, const struct generated *g)
{
    const char *kept = name_temporary(job, NULL, arena_print(&job->arena, "%s.new-%ld", path, (long)getpid()));
    return write_weights(job, kept, g) ? kept : NULL;
}

bool do_compile(struct job *job, struct text *to)
{
    const char *output = job->options->output;
    struct network *n = read_network(job, true);
    struct generated *g = n ? compile(job, n) : NULL;
    if (!g || !output)          /* without one: --dump alone */
        return g != NULL;
    if (strcmp(output, "-") == 0) {
        text_add(to, g->c.data, g->c.length);
        return true;
    }
    bool so = ends_in(output, ".so");
    const char *stem = without(job, output, so ? ".so" : ".c");
    const char *c = arena_print(&job->arena, "%s.c", stem), *h = arena_print(&job->arena, "%s.h", stem);
    const char *weights = arena_print(&job->arena, "%s.weights", stem), *kept = NULL;
    if (g->weights_file && g->rows && (kept = keep_weights(job, weights, g)) == NULL)
        return false;
    bool good = so ? build_library(job, g, n->from.file_name, output)
                   : write_file(job, c, g->c.data, g->c.length) && write_file(job, h, g->h.data, g->h.length);
    if (good && g->proof.length)
        good = write_file(job, arena_print(&job->arena, "%s_proof.c", stem), g->proof.data, g->proof.length);
    if (good && g->weights_file)
        good = kept ? rename_temporary(job, kept, weights) : write_weights(job, weights, g);
    return good && write_depfile(job, n, so ? output : c, stem);
}

/* ---- score ----------------------------------------------------------------------------------- */

static void add_header(struct job *job, const struct engine *e, struct text *to)
{
    for (int i = 0; i < engine_outputs(e); i++) {
        const char *name = engine_column(job, e, i);
        bool quote = strpbrk(name, ",\"\n\r") != NULL;
        text_print(to, "%s%s", i ? "," : "", quote ? "\"" : "");
        for (const char *c = name; *c; c++)
            text_print(to, *c == '"' ? "\"%c" : "%c", *c);
        text_print(to, "%s", quote ? "\"" : "");
    }
    text_print(to, "\n");
}

static void add_rows(struct text *to, const float *y, size_t rows, int outputs)
{
    for (size_t i = 0; i < rows * (size_t)outputs; i++) {
        char number[FLOAT_TEXT + 1];
        size_t n = print_float(number, y[i]);
        number[n++] = (i + 1) % (size_t)outputs ? ',' : '\n';
        text_add(to, number, n);
    }
}

/* A block's rows, as text or as bytes. */
static bool write_rows(FILE *to, struct text *t, const float *y, size_t rows, int outputs, bool npy)
{
    t->length = 0;
    if (npy)
        return fwrite(y, sizeof *y * (size_t)outputs, rows, to) == rows;
    add_rows(t, y, rows, outputs);
    return fwrite(t->data, 1, t->length, to) == t->length;
}

static bool score_rows(struct job *job, struct engine *e, const struct npy *x_file, FILE *to, bool npy)
{
    size_t in = (size_t)engine_inputs(e), out = (size_t)engine_outputs(e);
    double *wide = NEW_ARRAY(job, BLOCK_ROWS * in, double);
    void *room = NEW_ARRAY(job, BLOCK_ROWS * in, double);
    float *x = NEW_ARRAY(job, BLOCK_ROWS * in, float), *y = NEW_ARRAY(job, BLOCK_ROWS * out, float);
    struct text t = {.arena = &job->arena};
    if (npy)
        print_npy_header(&t, x_file->rows, out);
    else
        add_header(job, e, &t);
    bool written = fwrite(t.data, 1, t.length, to) == t.length;
    for (uint64_t r = 0; written && r < x_file->rows; r += BLOCK_ROWS) {
        size_t rows = x_file->rows - r < BLOCK_ROWS ? (size_t)(x_file->rows - r) : BLOCK_ROWS;
        if (!read_npy_rows(job, x_file, r, rows, wide, room))
            return false;
        order_rows(engine_order(e), wide, rows, in, x);
        if (!run_engine(job, e, x, rows, y))
            return false;
        written = write_rows(to, &t, y, rows, (int)out, npy);
    }
    if (!written || fflush(to) != 0)
        blame(job, SYSTEM_FAILED, (struct pos){0}, "file", NULL, "the scores cannot be written");
    return !job->errors;
}

/* ---- score --rows ------------------------------------------------------------------------------ */

#define MOST_BAD_ROWS 20            /* messages; the others are counted */

/* A block of rows from their columns to their scores. */
struct row_scorer {
    struct job *job;
    struct engine *e;
    struct csv *csv;
    struct progress *progress;
    struct row_block *block;
    float *y;                       /* [BLOCK_ROWS][outputs] */
    size_t out;
    uint64_t rows, bad_rows;        /* so far */
    struct text t;
};

/* Says which rows are bad; false if the others are not wanted then. */
static bool tell_faults(struct row_scorer *s)
{
    bool keep = s->job->options->keep_going;
    for (size_t r = 0; r < s->block->n; r++) {
        if (!s->block->fault[r].why)
            continue;
        if (s->bad_rows++ < MOST_BAD_ROWS)
            blame_row(s->job, s->block->place[r], &s->block->fault[r], keep);
        if (!keep)
            return false;
    }
    return true;
}

static void add_empty_row(struct text *to, size_t outputs)
{
    for (size_t j = 1; j < outputs; j++)
        text_print(to, ",");
    text_print(to, "\n");
}

/* A bad row is a line of empty cells, or NaN. */
static bool write_block(struct row_scorer *s, FILE *to, bool npy)
{
    s->t.length = 0;
    for (size_t r = 0; r < s->block->n; r++) {
        const bool bad = s->block->fault[r].why != NULL;
        float *y = s->y + r * s->out;
        for (size_t j = 0; npy && bad && j < s->out; j++)
            y[j] = NAN;
        if (npy)
            text_add(&s->t, (const char *)y, s->out * sizeof *y);
        else if (bad)
            add_empty_row(&s->t, s->out);
        else
            add_rows(&s->t, y, 1, (int)s->out);
    }
    return fwrite(s->t.data, 1, s->t.length, to) == s->t.length;
}

/* The head of an .npy whose number of rows is known at the end: it is written again, of the same length. */
static bool write_head(struct row_scorer *s, FILE *to, bool npy, uint64_t rows)
{
    s->t.length = 0;
    if (npy)
        print_npy_header(&s->t, rows, s->out);
    else
        add_header(s->job, s->e, &s->t);
    return fwrite(s->t.data, 1, s->t.length, to) == s->t.length;
}

static void tell_progress(const struct row_scorer *s)
{
    struct extent e = csv_extent(s->csv);
    show_progress(s->progress, s->rows, e.done, e.total);
}

static bool score_blocks(struct row_scorer *s, FILE *to, bool npy)
{
    struct mmoe_row_status status[BLOCK_ROWS];
    bool written = write_head(s, to, npy, 0);
    while (written) {
        tell_progress(s);
        if (!read_row_block(s->csv, s->block))
            return false;
        if (s->block->n == 0)
            break;
        if (!run_engine_rows(s->job, s->e, s->block->values, s->block->n, s->y, status))
            return false;
        take_statuses(s->block, engine_lines(s->e), status);
        if (!tell_faults(s))
            return false;
        written = write_block(s, to, npy);
        s->rows += s->block->n;
    }
    if (npy && written)
        written = fseek(to, 0, SEEK_SET) == 0 && write_head(s, to, true, s->rows);
    if (!written || fflush(to) != 0)
        blame(s->job, SYSTEM_FAILED, (struct pos){0}, "file", NULL, "the scores cannot be written");
    return !s->job->errors;
}

/* ---- where scores go ------------------------------------------------------------------------- */

/* A new or regular file is written under another name, which is changed when all is well; a device or a pipe is
   written as it is. */
struct sink {
    FILE *to;
    const char *name, *part;        /* part NULL: written as it is */
};

static bool open_sink(struct job *job, struct sink *s, FILE *standard)
{
    const char *name = job->options->output;
    struct stat st;
    *s = (struct sink){.to = standard};
    if (!name || strcmp(name, "-") == 0)
        return true;
    s->name = name;
    if (stat(name, &st) != 0 || S_ISREG(st.st_mode))
        s->part = arena_print(&job->arena, "%s.tmp-%ld", name, (long)getpid());
    s->to = fopen(s->part ? s->part : name, "wb");
    if (!s->to)
        blame(job, SYSTEM_FAILED, in_file(job, name), "file", NULL, "cannot be written");
    return s->to != NULL;
}

static bool close_sink(struct job *job, const struct sink *s, bool good)
{
    if (!s->name)
        return good;
    bool closed = fclose(s->to) == 0;
    if (good && (!closed || (s->part && rename(s->part, s->name) != 0))) {
        blame(job, SYSTEM_FAILED, in_file(job, s->name), "file", NULL, "cannot be written");
        good = false;
    }
    if (!good && s->part)
        remove(s->part);
    return good;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* A compiled file is what it is: options that would choose something else are refused, not ignored. */
static struct engine *open_compiled(struct job *job)
{
    const struct options *o = job->options;
    const struct {
        bool given;
        const char *name;
    } refused[] = {{o->engine, "engine"}, {o->outputs, "outputs"}, {o->weights, "weights"},
                 {o->user_columns, "user-columns"}};
    for (size_t i = 0; i < COUNT(refused); i++)
        if (refused[i].given) {
            blame(job, BAD_USAGE, in_file(job, o->model), "usage", "give the model directory instead",
                  "--%s does not apply to a compiled file", refused[i].name);
            return NULL;
        }
    return open_so(job, o->model);
}

static struct engine *choose_engine(struct job *job)
{
    const struct options *o = job->options;
    if (ends_in(o->model, ".so"))
        return open_compiled(job);
    bool numbers = o->engine && (strcmp(o->engine, "aot") == 0 || strcmp(o->engine, "reference") == 0);
    struct network *n = numbers ? read_network(job, true) : read_for_serving(job);
    return n ? open_engine(job, n, o->engine) : NULL;
}

static bool check_columns(struct job *job, const struct engine *e, const struct npy *x)
{
    if (x->rank == 2 && x->columns == (uint64_t)engine_inputs(e))
        return true;
    const char *shape = arena_print(&job->arena, x->rank == 2 ? "%llu,%llu" : "%llu", (unsigned long long)x->rows,
                                    (unsigned long long)x->columns);
    blame(job, BAD_INPUT, in_file(job, x->file->name), "shape", "what enters the experts: see mmoec inspect",
          "it is [%s], needs [rows,%d]", shape, engine_inputs(e));
    return false;
}

static void tell_engine(struct job *job, const struct engine *e)
{
    if (job->options->verbose)
        note(job, (struct pos){0}, "scored by %s, instruction set %s", engine_name(e), engine_isa(e));
}

static bool score_from_rows(struct job *job, struct engine *e, FILE *standard, struct progress *progress)
{
    const struct options *o = job->options;
    const struct mmoe_lines *lines = engine_lines(e);
    struct row_scorer s = {.job = job, .e = e, .out = (size_t)engine_outputs(e), .progress = progress,
                           .t = {.arena = &job->arena}};
    struct sink sink;
    if (!lines)
        blame(job, UNSUPPORTED, in_file(job, o->model), "not-from-rows", "mmoec compile --from rows makes one that does",
              "this compiled file takes no rows");
    s.csv = lines ? open_csv(job, lines, o->rows, o->header) : NULL;
    if (!s.csv || !open_sink(job, &sink, standard))
        return false;
    if (isatty(fileno(sink.to)))    /* the scores themselves show how far it is */
        progress->to = NULL;
    s.block = new_row_block(job, lines);
    s.y = NEW_ARRAY(job, BLOCK_ROWS * s.out, float);
    tell_engine(job, e);
    bool good = score_blocks(&s, sink.to, sink.name && ends_in(sink.name, ".npy"));
    good = close_sink(job, &sink, good);
    if (good && s.bad_rows)
        blame(job, BAD_INPUT, in_file(job, o->rows), "row", NULL, "%llu of %llu rows have no scores",
              (unsigned long long)s.bad_rows, (unsigned long long)s.rows);
    return good && !s.bad_rows;
}

static bool score_with(struct job *job, struct engine *e, FILE *standard)
{
    const struct options *o = job->options;
    struct npy *x = open_npy(job, o->features);
    struct sink sink;
    if (!x || !check_columns(job, e, x) || !open_sink(job, &sink, standard))
        return false;
    tell_engine(job, e);
    return close_sink(job, &sink, score_rows(job, e, x, sink.to, sink.name && ends_in(sink.name, ".npy")));
}

bool do_score(struct job *job, FILE *standard, struct progress *progress)
{
    struct engine *e = choose_engine(job);
    bool good = e && (job->options->rows ? score_from_rows(job, e, standard, progress) : score_with(job, e, standard));
    close_engine(e);
    return good;
}
