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

#define BLOCK 256                   /* rows read, scored and written at once */

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

/* The checkpoint's data files that were read, each once; they lie beside its index. */
static void add_shards(struct job *job, const struct network *n, struct text *to)
{
    const char *last = "";
    size_t dir = (size_t)(base_name(n->checkpoint) - n->checkpoint);
    for (int i = 0; i < n->original->n_wants; i++) {
        const struct tensor *t = n->original->wants[i].tensor;
        for (int k = 0; t && k < t->n_pieces; k++) {
            const char *name = t->pieces[k].file->name;
            if (strcmp(name, last) == 0 || (to->data && strstr(to->data, name)))
                continue;
            text_print(to, " ");
            add_target(to, arena_print(&job->arena, "%.*s%s", (int)dir, n->checkpoint, name));
            last = name;
        }
    }
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
    bool good = so ? build_library(job, g, n->from.file_name, output)
                   : write_file(job, c, g->c.data, g->c.length) && write_file(job, h, g->h.data, g->h.length);
    if (good && g->proof.length)
        good = write_file(job, arena_print(&job->arena, "%s_proof.c", stem), g->proof.data, g->proof.length);
    if (good && g->weights_file)
        good = write_file(job, arena_print(&job->arena, "%s.weights", stem), g->weights_file, g->weights_bytes);
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
        if (isnan(y[i]))
            text_print(to, "nan");
        else
            text_print(to, "%.9g", (double)y[i]);
        text_print(to, "%c", (i + 1) % (size_t)outputs ? ',' : '\n');
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
    double *wide = NEW_ARRAY(job, BLOCK * in, double);
    void *room = NEW_ARRAY(job, BLOCK * in, double);
    float *x = NEW_ARRAY(job, BLOCK * in, float), *y = NEW_ARRAY(job, BLOCK * out, float);
    struct text t = {.arena = &job->arena};
    if (npy)
        print_npy_header(&t, x_file->rows, out);
    else
        add_header(job, e, &t);
    bool written = fwrite(t.data, 1, t.length, to) == t.length;
    for (uint64_t r = 0; written && r < x_file->rows; r += BLOCK) {
        size_t rows = x_file->rows - r < BLOCK ? (size_t)(x_file->rows - r) : BLOCK;
        if (!read_npy_rows(job, x_file, r, rows, wide, room))
            return false;
        for (size_t i = 0; i < rows * in; i++)
            x[i] = (float)wide[i];
        if (!run_engine(job, e, x, rows, y))
            return false;
        written = write_rows(to, &t, y, rows, (int)out, npy);
    }
    if (!written || fflush(to) != 0)
        blame(job, SYSTEM_FAILED, (struct pos){0}, "file", NULL, "the scores cannot be written");
    return !job->errors;
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
    } refused[] = {{o->engine, "engine"}, {o->outputs, "outputs"}, {o->weights, "weights"}};
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

static bool score_with(struct job *job, struct engine *e, FILE *standard)
{
    const struct options *o = job->options;
    struct npy *x = open_npy(job, o->features);
    struct sink sink;
    if (!x || !check_columns(job, e, x) || !open_sink(job, &sink, standard))
        return false;
    if (o->verbose)
        note(job, (struct pos){0}, "scored by %s, instruction set %s", engine_name(e), engine_isa(e));
    return close_sink(job, &sink, score_rows(job, e, x, sink.to, sink.name && ends_in(sink.name, ".npy")));
}

bool do_score(struct job *job, FILE *standard)
{
    struct engine *e = choose_engine(job);
    bool good = e && score_with(job, e, standard);
    close_engine(e);
    return good;
}
