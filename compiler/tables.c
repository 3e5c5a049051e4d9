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
static bool check_numbers(struct job *job, const struct row_table *t, const float *numbers)
{
    for (uint64_t i = 0; i < tensor_count(t->tensor); i++) {
        if (isfinite(numbers[i]))
            continue;
        struct pos pos = in_file(job, t->tensor->pieces[0].file->name);
        if (job->options->permissive)
            warning(job, pos, "non-finite", NULL, "%s is not finite at element %" PRIu64, t->tensor->name, i);
        else
            blame(job, BAD_INPUT, pos, "non-finite", "--permissive keeps it", "%s is not finite at element %" PRIu64,
                  t->tensor->name, i);
        return job->options->permissive;
    }
    return true;
}

/* What variational dropout leaves of each column. */
static void logits_to_scales(const struct row_table *t, const float *logits, float *scales)
{
    for (int j = 0; j < t->n_scales; j++)
        scales[j] = t->logit[j] < 0 ? 1 : 1 - 1 / (1 + expf(-logits[t->logit[j]]));
}

bool read_row_table(struct job *job, const struct row_table *t, float *to)
{
    if (t->network)
        return pack_into(job, t->network->plan, to);
    float *numbers = t->logit ? NEW_ARRAY(job, (size_t)tensor_count(t->tensor), float) : to;
    if (!read_tensor_floats(job, t->tensor, true, numbers) || !check_numbers(job, t, numbers))
        return false;
    if (t->logit)
        logits_to_scales(t, numbers, to);
    return true;
}

static bool bind_name(struct job *job, struct row_table *t, const struct tensors *ts)
{
    if (t->network)
        return true;
    t->tensor = find_table(t, ts);
    if (t->tensor)
        return check_table(job, t, t->tensor, ts);
    blame(job, BAD_INPUT, in_file(job, ts->name), "missing-variable", "do config and checkpoint belong together?",
          "the table %s is missing", t->names[0]);
    return false;
}

/* The plan is that of the shapes alone: tables were laid out by it. */
static bool bind_network(struct job *job, struct row_network *w, const struct tensors *ts)
{
    const struct model *m = bind_names(job, w->original, ts);
    w->plan = make_plan(job, tidy(job, fuse(job, fold(job, m))));
    return w->plan != NULL;
}

bool bind_table_names(struct job *job, struct row_program *p, const struct tensors *ts)
{
    bool good = p && ts;
    for (int i = 0; p && ts && i < p->n_tables; i++)
        good &= bind_name(job, &p->tables[i], ts);
    for (int i = 0; good && i < p->n_networks; i++)
        good = bind_network(job, &p->networks[i], ts);
    return good;
}

static bool bind_numbers(struct job *job, struct row_table *t)
{
    float *numbers = NEW_ARRAY(job, (size_t)table_floats(t), float);
    t->numbers = numbers;
    return read_row_table(job, t, numbers);
}

bool bind_tables(struct job *job, struct row_program *p, const struct tensors *ts)
{
    bool good = bind_table_names(job, p, ts);
    for (int i = 0; good && i < p->n_tables; i++)
        good = bind_numbers(job, &p->tables[i]);
    return good;
}
