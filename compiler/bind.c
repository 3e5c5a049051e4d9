// SPDX-License-Identifier: Apache-2.0
/* bind.c: wanted tensors <- a table of tensors.
 *
 * Knows no file format: a table of names, shapes and bytes. Each want is found by its name and checked: shape, type,
 * sums of bytes, finite numbers. All wants are looked at, so that the user sees every mismatch at once.
 */
#include "mmoec.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *needed_shape(struct job *job, const struct want *w)
{
    return w->rank == 2 ? arena_print(&job->arena, "[%d,%d]", w->dim[0], w->dim[1])
                        : arena_print(&job->arena, "[%d]", w->dim[0]);
}

static const char *missing_hint(struct job *job, const struct tensors *ts, const struct want *w)
{
    if (find_tensor(ts, arena_print(&job->arena, "%s-keys", w->name)))
        return "it is an EmbeddingVariable, a hash table of PAI-TensorFlow or DeepRec, which is not supported";
    const char **names = NEW_ARRAY(job, ts->n_tensors + 1, const char *);
    for (size_t i = 0; i < ts->n_tensors; i++)
        names[i] = ts->tensor[i].name;
    const char *near = near_miss(w->name, names);
    return near ? arena_print(&job->arena, "the nearest name there is %s; do config and checkpoint belong together?", near)
                : "do config and checkpoint belong together?";
}

static bool check_shape(struct job *job, const struct tensors *ts, const struct want *w, const struct tensor *t)
{
    bool same = t->rank == w->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = t->dim[i] == (uint64_t)w->dim[i];
    if (same)
        return true;
    const char *hint = w->why ? arena_print(&job->arena, "%s (see mmoec inspect)", w->why)
                              : arena_print(&job->arena, "as %s:%d says (see mmoec inspect)",
                                            w->pos.source ? w->pos.source->name : "the config", w->pos.line);
    error(job, BAD_INPUT, in_file(job, ts->name), "shape", hint, "%s is %s, needs %s", w->name, shape_text(job, t),
          needed_shape(job, w));
    return false;
}

static bool check_type(struct job *job, const struct tensors *ts, const struct want *w, const struct tensor *t)
{
    if (t->dtype == DT_DOUBLE)
        warning(job, in_file(job, ts->name), "type", NULL, "%s is float64 and is rounded", w->name);
    if (t->dtype == DT_FLOAT || t->dtype == DT_DOUBLE || t->dtype == DT_HALF || t->dtype == DT_BFLOAT16)
        return true;
    error(job, BAD_INPUT, in_file(job, ts->name), "type", NULL, "%s is of type %s, needs float32", w->name,
          dtype_name(t->dtype));
    return false;
}

static const char *element(struct job *job, const struct want *w, uint64_t i)
{
    if (w->rank == 2)
        return arena_print(&job->arena, "%s[%" PRIu64 ",%" PRIu64 "]", w->name, i / (uint64_t)w->dim[1],
                           i % (uint64_t)w->dim[1]);
    return arena_print(&job->arena, "%s[%" PRIu64 "]", w->name, i);
}

/* Reads it once, for sums and finite numbers. */
static bool check_numbers(struct job *job, const struct tensors *ts, const struct want *w, const struct tensor *t,
                          double *room)
{
    if (!read_tensor(job, t, true, room))
        return false;
    for (uint64_t i = 0; i < tensor_count(t); i++) {
        if (isfinite(room[i]))
            continue;
        const char *what = element(job, w, i), *is = isnan(room[i]) ? "nan" : "infinite";
        if (job->options->permissive) {
            warning(job, in_file(job, ts->name), "non-finite", NULL, "%s is %s", what, is);
            return true;
        }
        error(job, BAD_INPUT, in_file(job, ts->name), "non-finite", "--permissive keeps it", "%s is %s", what, is);
        return false;
    }
    return true;
}

static void bind_one(struct job *job, const struct tensors *ts, struct want *w, double *room)
{
    w->tensor = find_tensor(ts, w->name);
    if (!w->tensor)
        error(job, BAD_INPUT, in_file(job, ts->name), "missing-variable", missing_hint(job, ts, w), "%s %s is missing", w->name,
              needed_shape(job, w));
    else if (check_shape(job, ts, w, w->tensor) && check_type(job, ts, w, w->tensor))
        check_numbers(job, ts, w, w->tensor, room);
}

static uint64_t largest(const struct model *m)
{
    uint64_t most = 1;
    for (int i = 0; i < m->n_wants; i++) {
        uint64_t n = (uint64_t)m->wants[i].dim[0] * (uint64_t)(m->wants[i].rank == 2 ? m->wants[i].dim[1] : 1);
        most = n > most ? n : most;
    }
    return most;
}

static bool is_wanted(const struct model *m, const char *name, size_t length)
{
    for (int i = 0; i < m->n_wants; i++)
        if (strncmp(m->wants[i].name, name, length) == 0 && m->wants[i].name[length] == 0)
            return true;
    return false;
}

/* A wanted variable, or a slot of one: something behind a wanted name. */
static bool is_used(const struct model *m, const char *name)
{
    for (const char *p = strchr(name, '/'); p; p = strchr(p + 1, '/'))
        if (is_wanted(m, name, (size_t)(p - name)))
            return true;
    return is_wanted(m, name, strlen(name));
}

/* Variables under the experts' scope that the config does not imply show that config and weights differ. */
static void warn_of_unused(struct job *job, const struct model *m, const struct tensors *ts)
{
    int n = 0;
    const char *first = NULL;
    for (size_t i = 0; i < ts->n_tensors; i++)
        if (strncmp(ts->tensor[i].name, "mmoe/", 5) == 0 && !is_used(m, ts->tensor[i].name)) {
            first = first ? first : ts->tensor[i].name;
            n++;
        }
    if (n)
        warning(job, in_file(job, ts->name), "unused-variable", "do config and checkpoint belong together?",
                "%d variables of the experts are not in the config, the first is %s", n, first);
}

struct model *bind_weights(struct job *job, const struct model *from, const struct tensors *ts)
{
    if (!from || !ts)
        return NULL;
    int errors = job->errors;
    struct model *m = copy_model(job, from);
    double *room = NEW_ARRAY(job, largest(m), double);
    for (int i = 0; i < m->n_wants; i++)
        bind_one(job, ts, &m->wants[i], room);
    warn_of_unused(job, m, ts);
    return job->errors == errors ? m : NULL;
}
