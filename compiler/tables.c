// SPDX-License-Identifier: Apache-2.0
/* tables.c: the tables that rows look up, and the networks of target attention <- a table of tensors.
 *
 * A table may stand under several names (a shared one, in the scope of whatever made it). It is kept as float32, which
 * it is in a checkpoint, read in pieces; slices of a partitioned variable are pieces of one tensor already.
 */
#include "mmoec.h"

#include <inttypes.h>
#include <math.h>

static const struct tensor *find_table(const struct row_table *t, const struct tensors *ts)
{
    for (size_t i = 0; i < COUNT(t->names) && t->names[i]; i++)
        if (find_tensor(ts, t->names[i]))
            return find_tensor(ts, t->names[i]);
    return NULL;
}

static bool check_table(struct job *job, const struct row_table *t, const struct tensor *x, const struct tensors *ts)
{
    bool vector = t->width == 0;
    if (x->rank == (vector ? 1 : 2) && x->dim[0] == t->rows && (vector || x->dim[1] == (uint64_t)t->width))
        return true;
    blame(job, BAD_INPUT, in_file(job, ts->name), "shape", "so the feature's config says (see mmoec inspect)",
          vector ? "%s is %s, needs [%" PRIu64 "]" : "%s is %s, needs [%" PRIu64 ",%d]", x->name, shape_text(job, x),
          t->rows, t->width);
    return false;
}

/* The first number that is not finite stands for all of the table. */
static bool check_numbers(struct job *job, const struct row_table *t, const struct tensors *ts)
{
    for (uint64_t i = 0; i < tensor_count(t->tensor); i++) {
        if (isfinite(t->numbers[i]))
            continue;
        struct pos pos = in_file(job, ts->name);
        if (job->options->permissive)
            warning(job, pos, "non-finite", NULL, "%s is not finite at element %" PRIu64, t->tensor->name, i);
        else
            blame(job, BAD_INPUT, pos, "non-finite", "--permissive keeps it", "%s is not finite at element %" PRIu64,
                  t->tensor->name, i);
        return job->options->permissive;
    }
    return true;
}

static bool bind_table(struct job *job, struct row_table *t, const struct tensors *ts)
{
    t->tensor = find_table(t, ts);
    if (!t->tensor) {
        blame(job, BAD_INPUT, in_file(job, ts->name), "missing-variable", "do config and checkpoint belong together?",
              "the table %s is missing", t->names[0]);
        return false;
    }
    if (!check_table(job, t, t->tensor, ts))
        return false;
    float *numbers = NEW_ARRAY(job, (size_t)tensor_count(t->tensor), float);
    t->numbers = numbers;
    return read_tensor_floats(job, t->tensor, true, numbers) && check_numbers(job, t, ts);
}

/* The network of a target attention, ready to run: it is a small model of its own. */
static bool open_target(struct job *job, struct target_attention *t, const struct tensors *ts)
{
    const struct model *m = bind_weights(job, t->original, ts);
    m = tidy(job, fuse(job, fold(job, m)));
    if (!m)
        return false;
    struct network n = {.model = m};
    t->model = m;
    t->engine = open_engine(job, &n, "walk");
    return t->engine != NULL;
}

void close_rows(struct row_program *p)
{
    for (int i = 0; p && i < p->n_steps; i++)
        if (p->steps[i].op == ROW_target) {
            close_engine(p->steps[i].target->engine);
            p->steps[i].target->engine = NULL;
        }
}

bool bind_tables(struct job *job, struct row_program *p, const struct tensors *ts)
{
    bool good = p && ts;
    for (int i = 0; p && ts && i < p->n_tables; i++)
        good &= bind_table(job, &p->tables[i], ts);
    for (int i = 0; good && i < p->n_steps; i++)
        if (p->steps[i].op == ROW_target)
            good &= open_target(job, p->steps[i].target, ts);
    return good;
}
