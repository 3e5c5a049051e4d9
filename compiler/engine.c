// SPDX-License-Identifier: Apache-2.0
/* engine.c: the ways to score rows, behind one face: jit and walk (a live model), ahead of time and a compiled file (a
 * shared object), double reference. All but the last are served by libmmoe.
 */
#include "mmoec.h"
#include "../runtime/mmoe.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum engine_kind { LIVE, REFERENCE, LIBRARY };

struct engine {
    enum engine_kind kind;
    const struct model *model;      /* NULL for a compiled file */
    struct live *live;
    struct mmoe *served;            /* NULL: the reference */
    struct mmoe_reader *reader;
    struct row_program *rows;       /* of the reference, if it is to take rows */
    int inputs, outputs;
};

static struct engine *new_engine(struct job *job, enum engine_kind kind, const struct model *m)
{
    struct engine *e = NEW(job, struct engine);
    e->kind = kind;
    e->model = m;
    for (int i = 0; m && i < m->n_inputs; i++)
        e->inputs += m->values[m->inputs[i]].width;
    for (int i = 0; m && i < m->n_outputs; i++)
        e->outputs += m->outputs[i].width;
    return e;
}

static enum mmoe_status serve(struct engine *e, struct mmoe_source source)
{
    enum mmoe_status status = mmoe_open(&e->served, source);
    if (status == MMOE_OK)
        status = mmoe_reader_new(&e->reader, e->served, NULL);
    if (status != MMOE_OK) {
        mmoe_close(e->served);
        e->served = NULL;
    }
    return status;
}

static struct engine *open_live_engine(struct job *job, const struct network *n, const char *name)
{
    struct engine *e = new_engine(job, LIVE, n->model);
    e->live = open_live(job, n, name);
    if (!e->live)
        return NULL;
    enum mmoe_status status = serve(e, mmoe_memory(live_record(e->live), NULL, NULL));
    if (status != MMOE_OK) {
        blame(job, SYSTEM_FAILED, (struct pos){0}, "memory", NULL, "%s", mmoe_status_text(status));
        return NULL;
    }
    take_live(job, e->live);
    return e;
}

static struct engine *refuse(struct job *job, const char *path, enum mmoe_status status)
{
    const char *text = mmoe_status_text(status);
    if (status == MMOE_NO_MEMORY)
        blame(job, SYSTEM_FAILED, in_file(job, path), "memory", NULL, "%s", text);
    else if (status == MMOE_SELF_TEST)
        blame(job, SYSTEM_FAILED, in_file(job, path), "self-test", NULL, "%s", text);
    else
        blame(job, BAD_INPUT, in_file(job, path), "model", "mmoec compile MODEL -o NAME.so writes one", "%s", text);
    return NULL;
}

struct engine *open_so(struct job *job, const char *path)
{
    struct engine *e = new_engine(job, LIBRARY, NULL);
    enum mmoe_status status = serve(e, mmoe_file(path));
    if (status != MMOE_OK)
        return refuse(job, path, status);
    e->inputs = (int)mmoe_record(e->served)->inputs;
    e->outputs = (int)mmoe_record(e->served)->outputs;
    return e;
}

static struct engine *build_and_open(struct job *job, const struct network *n, const struct generated *g,
                                     const char *dir)
{
    const char *so = name_temporary(job, dir, "model.so"), *weights = name_temporary(job, dir, "model.weights");
    bool built = build_library(job, g, n->from.file_name, so) &&
                 (!g->weights_file || write_weights(job, weights, g));
    struct engine *e = built ? open_so(job, so) : NULL;
    if (e)
        e->model = n->model;
    return e;
}

static struct engine *open_aot(struct job *job, struct network *n)
{
    struct generated *g = compile(job, n);
    struct temporary *before = job->temporaries;
    const char *dir = g ? make_temporary(job) : NULL;
    struct engine *e = dir ? build_and_open(job, n, g, dir) : NULL;
    remove_temporaries(job, before);
    return e;
}

static struct engine *open_reference(struct job *job, const struct network *n)
{
    struct engine *e = new_engine(job, REFERENCE, n->model);
    if (wants_rows(job->options) && (e->rows = read_row_program(job, n)) == NULL)
        return NULL;
    return e;
}

struct engine *open_engine(struct job *job, struct network *n, const char *name)
{
    if (!name || strncmp(name, "walk", 4) == 0 || strncmp(name, "jit", 3) == 0)
        return open_live_engine(job, n, name);
    if (strcmp(name, "aot") == 0)
        return open_aot(job, n);
    return open_reference(job, n);
}

void close_engine(struct engine *e)
{
    if (!e)
        return;
    mmoe_close(e->served);
    close_live(e->live);
}

const struct mmoe_lines *engine_lines(const struct engine *e)
{
    return e->rows ? &e->rows->lines : e->served && mmoe_record(e->served)->score_rows ? mmoe_record(e->served)->lines : NULL;
}

int engine_inputs(const struct engine *e) { return e->inputs; }

int engine_outputs(const struct engine *e) { return e->outputs; }

const char *column_name(struct job *job, const struct model *m, int column)
{
    for (int i = 0; i < m->n_outputs; column -= m->outputs[i++].width)
        if (column < m->outputs[i].width)
            return m->outputs[i].vector ? arena_print(&job->arena, "%s[%d]", m->outputs[i].name, column)
                                        : m->outputs[i].name;
    bug("no such column");
}

const char *engine_column(struct job *job, const struct engine *e, int column)
{
    return e->kind == LIBRARY ? mmoe_record(e->served)->output_names[column] : column_name(job, e->model, column);
}

const char *engine_isa(const struct engine *e)
{
    return e->kind == REFERENCE ? "double" : mmoe_record(e->served)->chosen_isa();
}

const char *engine_name(const struct engine *e)
{
    return e->kind == LIVE ? live_engine(e->live) : e->kind == REFERENCE ? "reference" : e->model ? "aot" : "the compiled file";
}

int engine_user_inputs(const struct engine *e)
{
    return e->kind == REFERENCE ? e->model->user_inputs : (int)mmoe_record(e->served)->user_inputs;
}

const uint32_t *engine_order(const struct engine *e)
{
    return e->kind == REFERENCE ? e->model->input_order : mmoe_record(e->served)->input_order;
}

void run_engine_users(struct engine *e, const float *users, const float *items, const size_t *offsets, size_t n_users,
                      float *y)
{
    mmoe_score_users(e->reader, users, items, offsets, n_users, y);
}

bool run_engine(struct job *job, struct engine *e, const float *x, size_t rows, float *y)
{
    if (e->kind != REFERENCE) {
        mmoe_score(e->reader, x, rows, y);
        return true;
    }
    double *z = NEW_ARRAY(job, rows * (size_t)e->outputs, double);
    bool good = eval(job, e->model, x, rows, z, NULL);
    for (size_t i = 0; i < rows * (size_t)e->outputs; i++)
        y[i] = (float)z[i];
    return good;
}

void run_engine_requests(struct engine *e, const struct mmoe_values *values, const size_t *offsets, size_t n_users, float *y,
                         struct mmoe_row_status *status)
{
    mmoe_score_requests(e->reader, values, offsets, n_users, y, status);
}

bool run_engine_rows(struct job *job, struct engine *e, const struct mmoe_values *values, size_t rows, float *y,
                     struct mmoe_row_status *status)
{
    if (e->kind != REFERENCE) {
        mmoe_score_rows(e->reader, values, rows, y, status);
        return true;
    }
    float *x = NEW_ARRAY(job, rows * (size_t)e->inputs, float);
    run_rows(e->rows, values, rows, x, status, arena_aligned(&job->arena, rows_scratch(e->rows)));
    return run_engine(job, e, x, rows, y);
}
