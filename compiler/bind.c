// SPDX-License-Identifier: Apache-2.0
/* bind.c: wanted tensors <- a table of tensors.
 *
 * Knows no file format: a table of names, shapes and bytes. Each want is found by its name; shape
 * and type are checked first, for all wants, so that the user sees every mismatch at once; then the
 * numbers are read, for sums of bytes and for what is not finite.
 */
#include "mmoec.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_MISSING 20         /* then config and checkpoint have nothing to do with each other */

struct binding {
    struct job *job;
    struct arena *arena;
    const struct tensors *ts;
    struct model *m;
    struct pos pos;             /* the checkpoint as a whole */
    const char **names;         /* of all tensors, for near misses */
    int missing, doubles;
};

static const char *shown(struct binding *b, const char *name)
{
    return escaped(b->arena, name, strlen(name));
}

/* ---- a want and its tensor ------------------------------------------------------------------- */

static const char *needed_shape(struct binding *b, const struct want *w)
{
    return w->rank == 2 ? arena_print(b->arena, "[%d,%d]", w->dim[0], w->dim[1])
                        : arena_print(b->arena, "[%d]", w->dim[0]);
}

static bool has(struct binding *b, const char *name, const char *more)
{
    return find_tensor(b->ts, arena_print(b->arena, "%s%s", name, more)) != NULL;
}

static const char *near_tensor(struct binding *b, const char *name)
{
    if (!b->names) {
        b->names = NEW_ARRAY(b->job, b->ts->n_tensors + 1, const char *);
        for (size_t i = 0; i < b->ts->n_tensors; i++)
            b->names[i] = b->ts->tensor[i].name;
    }
    return near_miss(name, b->names);
}

static const char *missing_hint(struct binding *b, const struct want *w)
{
    if (has(b, w->name, "-keys"))
        return "it is an EmbeddingVariable, a hash table of PAI-TensorFlow or DeepRec";
    if (has(b, w->name, "/part_0"))
        return "it is there in parts, as variables of their own: save it as one variable";
    if (has(b, w->name, "/ExponentialMovingAverage"))
        return "there is only its moving average, which is not what EasyRec scores with";
    const char *near = near_tensor(b, w->name);
    return near ? arena_print(b->arena, "the nearest name there is %s; do config and checkpoint "
                                        "belong together?", shown(b, near))
                : "do config and checkpoint belong together?";
}

/* After some, the others are only counted. */
static void report_missing(struct binding *b, const struct want *w)
{
    if (b->missing++ < MOST_MISSING)
        blame(b->job, BAD_INPUT, b->pos, "missing-variable", missing_hint(b, w), "%s %s is missing",
              shown(b, w->name), needed_shape(b, w));
}

static bool check_shape(struct binding *b, const struct want *w, const struct tensor *t)
{
    bool same = t->rank == w->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = t->dim[i] == (uint64_t)w->dim[i];
    if (same)
        return true;
    const char *why = w->why ? w->why : "so the config says";
    blame(b->job, BAD_INPUT, b->pos, "shape",
          arena_print(b->arena, "%s (see mmoec inspect)", why), "%s is %s, needs %s",
          shown(b, w->name), shape_text(b->job, t), needed_shape(b, w));
    return false;
}

static bool check_type(struct binding *b, const struct want *w, const struct tensor *t)
{
    b->doubles += t->dtype == DT_DOUBLE;
    if (t->dtype == DT_DOUBLE && b->doubles == 1)
        warning(b->job, b->pos, "type", NULL, "%s is float64: numbers are rounded to float32",
                shown(b, w->name));
    if (t->dtype == DT_FLOAT || t->dtype == DT_DOUBLE || t->dtype == DT_HALF ||
        t->dtype == DT_BFLOAT16)
        return true;
    blame(b->job, BAD_INPUT, b->pos, "type", NULL, "%s is %s, needs float32", shown(b, w->name),
          dtype_name(t->dtype));
    return false;
}

static void find(struct binding *b, struct want *w)
{
    const struct tensor *t = find_tensor(b->ts, w->name);
    if (!t)
        report_missing(b, w);
    else if (check_shape(b, w, t) && check_type(b, w, t))
        w->tensor = t;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static const char *element(struct binding *b, const struct want *w, uint64_t i)
{
    if (w->rank == 2)
        return arena_print(b->arena, "%s[%" PRIu64 ",%" PRIu64 "]", shown(b, w->name),
                           i / (uint64_t)w->dim[1], i % (uint64_t)w->dim[1]);
    return arena_print(b->arena, "%s[%" PRIu64 "]", shown(b, w->name), i);
}

static void report_number(struct binding *b, const struct want *w, uint64_t i, double x)
{
    const char *what = element(b, w, i);
    const char *is = isnan(x) ? "nan" : isfinite(x) ? "beyond float32" : x < 0 ? "-inf" : "inf";
    if (b->job->options->permissive)
        warning(b->job, b->pos, "non-finite", NULL, "%s is %s", what, is);
    else
        blame(b->job, BAD_INPUT, b->pos, "non-finite", "--permissive keeps it", "%s is %s", what,
              is);
}

/* As a float32, which it will be. */
static bool is_finite(double x) { return isfinite((float)x); }

/* Reads a tensor once; the first number that is not finite stands for all of the tensor. */
static void check_numbers(struct binding *b, const struct want *w, double *room)
{
    if (!read_tensor(b->job, w->tensor, true, room))
        return;
    const uint64_t n = tensor_count(w->tensor);
    for (uint64_t i = 0; i < n; i++)
        if (!is_finite(room[i])) {
            report_number(b, w, i, room[i]);
            return;
        }
}

static bool is_read(const struct want *w, bool kernels) { return w->tensor && (kernels || w->rank < 2); }

static void check_all_numbers(struct binding *b, bool kernels)
{
    uint64_t most = 1;
    for (int i = 0; i < b->m->n_wants; i++)
        if (is_read(&b->m->wants[i], kernels) && tensor_count(b->m->wants[i].tensor) > most)
            most = tensor_count(b->m->wants[i].tensor);
    double *room = NEW_ARRAY(b->job, most, double);
    for (int i = 0; i < b->m->n_wants; i++)
        if (is_read(&b->m->wants[i], kernels))
            check_numbers(b, &b->m->wants[i], room);
}

/* ---- what is there and was not wanted -------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t scope_length(const char *name) { return strcspn(name, "/"); }

/* Is some wanted name below the same first scope? `wanted` is in ascending order. */
static bool is_ours(const char **wanted, size_t n, const char *name)
{
    size_t low = 0, high = n, length = scope_length(name) + 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strncmp(wanted[middle], name, length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && strncmp(wanted[low], name, length) == 0;
}

/* A slot of an optimizer continues another variable's name: mmoe/gate_0/dnn/kernel/Adam. */
static bool is_slot(struct binding *b, const char *name)
{
    for (const char *p = strchr(name, '/'); p; p = strchr(p + 1, '/'))
        if (find_tensor(b->ts, arena_copy(b->arena, name, (size_t)(p - name))))
            return true;
    return false;
}

/* Variables in the model's own scopes that the config does not imply: config and checkpoint may
   differ where no shape tells, in a fifth expert, in a batch norm. */
static void report_unused(struct binding *b)
{
    size_t n = (size_t)b->m->n_wants;
    const char **wanted = NEW_ARRAY(b->job, n, const char *), *first = NULL;
    int unused = 0;
    for (size_t i = 0; i < n; i++)
        wanted[i] = b->m->wants[i].name;
    if (n)
        qsort(wanted, n, sizeof *wanted, by_text);
    for (size_t i = 0; i < b->ts->n_tensors; i++) {
        const char *name = b->ts->tensor[i].name;
        if (name[scope_length(name)] != '/' || !is_ours(wanted, n, name) || is_slot(b, name) ||
            bsearch(&name, wanted, n, sizeof *wanted, by_text))
            continue;
        first = first ? first : name;
        unused++;
    }
    if (unused)
        warning(b->job, b->pos, "unused-variable", "do config and checkpoint belong together?",
                "the config does not imply %s%s", shown(b, first),
                unused == 1 ? "" : arena_print(b->arena, " and %d more variables", unused - 1));
}

static struct model *bind_tensors(struct job *job, const struct model *from, const struct tensors *ts, bool kernels)
{
    if (!from || !ts)
        return NULL;
    int errors = job->errors;
    struct binding b = {.job = job, .arena = &job->arena, .ts = ts, .m = copy_model(job, from),
                        .pos = in_file(job, ts->name)};
    for (int i = 0; i < b.m->n_wants; i++)
        find(&b, &b.m->wants[i]);
    if (b.missing > MOST_MISSING)
        note(job, b.pos, "and %d more are missing", b.missing - MOST_MISSING);
    check_all_numbers(&b, kernels);
    report_unused(&b);
    return job->errors == errors ? b.m : NULL;
}

struct model *bind_names(struct job *job, const struct model *from, const struct tensors *ts)
{
    return bind_tensors(job, from, ts, false);
}

struct model *bind_weights(struct job *job, const struct model *from, const struct tensors *ts)
{
    return bind_tensors(job, from, ts, true);
}
