// SPDX-License-Identifier: Apache-2.0
/* engine.c: the ways to score rows, behind one face: walk, ahead of time, double reference, a compiled file. */
#include "mmoec.h"
#include "../runtime/kernels.h"
#include "../runtime/mmoe.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum engine_kind { WALK, REFERENCE, LIBRARY };

struct engine {
    enum engine_kind kind;
    const struct model *model;      /* NULL for a compiled file */
    const struct plan *plan;
    const struct weights *weights;
    const struct mmoe_kernels *kernels;
    struct mmoe *library;
    struct mmoe_reader *reader;     /* of library */
    void *scratch;
    int inputs, outputs;
};

static struct engine *new_engine(struct job *job, enum engine_kind kind, const struct network *n)
{
    struct engine *e = NEW(job, struct engine);
    e->kind = kind;
    e->model = n->model;
    for (int i = 0; i < n->model->n_inputs; i++)
        e->inputs += n->model->values[n->model->inputs[i]].width;
    for (int i = 0; i < n->model->n_outputs; i++)
        e->outputs += n->model->outputs[i].width;
    return e;
}

static struct engine *open_walk(struct job *job, const struct network *n, const char *isa)
{
    struct engine *e = new_engine(job, WALK, n);
    e->kernels = *isa ? mmoe_kernels_named(isa) : mmoe_kernels_best();
    if (!e->kernels) {
        blame(job, SYSTEM_FAILED, (struct pos){0}, "engine", NULL, "this machine cannot run %s", isa);
        return NULL;
    }
    e->plan = make_plan(job, n->model);
    e->weights = pack(job, e->plan);
    if (!e->weights)
        return NULL;
    e->scratch = new_scratch(job, e->plan);
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
    struct engine *e = NEW(job, struct engine);
    enum mmoe_status status = mmoe_open(&e->library, mmoe_file(path));
    if (status == MMOE_OK)
        status = mmoe_reader_new(&e->reader, e->library, NULL);
    if (status != MMOE_OK) {
        mmoe_close(e->library);
        return refuse(job, path, status);
    }
    e->kind = LIBRARY;
    e->inputs = (int)mmoe_record(e->library)->inputs;
    e->outputs = (int)mmoe_record(e->library)->outputs;
    return e;
}

static struct engine *build_and_open(struct job *job, const struct network *n, const struct generated *g,
                                     const char *dir)
{
    const char *so = name_temporary(job, dir, "model.so"), *weights = name_temporary(job, dir, "model.weights");
    bool built = build_library(job, g, n->from.file_name, so) &&
                 (!g->weights_file || write_file(job, weights, g->weights_file, g->weights_bytes));
    struct engine *e = built ? open_so(job, so) : NULL;
    if (e)
        e->model = n->model;
    return e;
}

static struct engine *open_aot(struct job *job, const struct network *n)
{
    struct generated *g = compile(job, n);
    struct temporary *before = job->temporaries;
    const char *dir = g ? make_temporary(job) : NULL;
    struct engine *e = dir ? build_and_open(job, n, g, dir) : NULL;
    remove_temporaries(job, before);
    return e;
}

struct engine *open_engine(struct job *job, const struct network *n, const char *name)
{
    if (strncmp(name, "walk", 4) == 0)
        return open_walk(job, n, name[4] ? name + 5 : "");
    if (strcmp(name, "aot") == 0)
        return open_aot(job, n);
    return new_engine(job, REFERENCE, n);
}

void close_engine(struct engine *e)
{
    if (e && e->kind == LIBRARY)
        mmoe_close(e->library);
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
    return e->kind == LIBRARY ? mmoe_record(e->library)->output_names[column] : column_name(job, e->model, column);
}

const char *engine_isa(const struct engine *e)
{
    return e->kind == REFERENCE ? "double" : e->kind == WALK ? e->kernels->isa : mmoe_record(e->library)->chosen_isa();
}

bool run_engine(struct job *job, struct engine *e, const float *x, size_t rows, float *y)
{
    if (e->kind == WALK)
        walk(e->plan, e->weights, e->kernels, x, rows, y, e->scratch);
    if (e->kind == LIBRARY)
        mmoe_score(e->reader, x, rows, y);
    if (e->kind != REFERENCE)
        return true;
    double *z = NEW_ARRAY(job, rows * (size_t)e->outputs, double);
    bool good = eval(job, e->model, x, rows, z, NULL);
    for (size_t i = 0; i < rows * (size_t)e->outputs; i++)
        y[i] = (float)z[i];
    return good;
}
