// SPDX-License-Identifier: Apache-2.0
/* explain.c: the choices of a plan with their reasons, for `inspect --plan`.
 *
 * Says what plan.c chose and the numbers that it went by; chooses nothing itself.
 */
#include "mmoec.h"

static int count_dense(const struct model *m)
{
    int n = 0;
    for (int i = 0; i < m->n_ops; i++)
        n += m->ops[i].kind == OP_dense;
    return n;
}

static const char *size(struct job *job, size_t bytes)
{
    if (bytes < (10 << 10))
        return arena_print(&job->arena, "%zu bytes", bytes);
    if (bytes < (10 << 20))
        return arena_print(&job->arena, "%zu KB", (bytes + 512) >> 10);
    return arena_print(&job->arena, "%zu MB", (bytes + (512 << 10)) >> 20);
}

static void explain_layers(const struct plan *p, const struct model *original, struct text *to)
{
    text_print(to, "layers   %d dense layers are %d: those that read the same values lie side by side, unless they are so "
                   "wide\n         together that one after the other, each expert through all of its layers, takes less room\n",
               count_dense(original), count_dense(p->model));
}

static void explain_weights(struct job *job, const struct plan *p, struct text *to)
{
    text_print(to, "weights  %s, packed in order of use, the same for every instruction set; ",
               size(job, p->weight_floats * sizeof(float)));
    if (p->small)
        text_print(to, "each layer is one panel, since all of them\n         fit into the nearest cache\n");
    else
        text_print(to, "in panels of 48 columns, of which\n         the vectors of a tile are divisors; the last one is "
                       "rounded up to 8\n");
    if (p->ahead)
        text_print(to, "         more than the %s of the target's record, so they stream from a far cache: the panel "
                       "behind the one\n         at work is prefetched\n", size(job, p->target->ahead_bytes));
    else if (p->target->ahead_bytes < SIZE_MAX)
        text_print(to, "         not prefetched: at most the %s of the target's record\n",
                   size(job, p->target->ahead_bytes));
}

/* A small core's plan: few choices are left. */
static void explain_narrow(struct job *job, const struct plan *p, struct text *to)
{
    text_print(to, "weights  %s, in panels of 4 columns, which the narrow kernel computes together\n",
               size(job, p->weight_floats * sizeof(float)));
    text_print(to, "rows     one at a time, in little memory: its values take %s; buffers share memory where their lives\n"
                   "         do not overlap\n", size(job, p->rows.scratch_floats * sizeof(float)));
    text_print(to, "text     the narrow kernel takes sizes as arguments: dense layers share its code\n");
}

static void explain_isa(const struct plan *p, const char *name, struct text *to)
{
    const struct isa *isa = find_isa(name);
    int from = lanes_from(p, name);
    text_print(to, "  %-6s tiles of %d rows in %d accumulators of %d lanes", name, isa->tile_rows, isa->accumulators,
               isa->vl);
    if (from == INT_MAX)
        text_print(to, "; lanes are outputs\n");
    else
        text_print(to, "; from %d rows on, a block of up to %d with lanes as rows; fewer%s\n", from, LANES,
                   p->straight ? ": 1 to 4 at a time, inlined" : " by tiles");
}

static void explain_users(struct job *job, const struct plan *p, struct text *to)
{
    text_print(to, "users    the first %d of %d columns are the user's: sums over them are made once for all of the\n"
                   "         user's items, and kept at the start of scratch (%s); those over the item's columns go onto\n"
                   "         them\n",
               p->user_inputs, p->inputs, size(job, p->user.scratch_floats * sizeof(float)));
}

static void explain_rows(struct job *job, const struct plan *p, struct text *to)
{
    text_print(to, "rows     blocks of up to %d, equal: a block's values take %s, of at most %s that stay near; ",
               p->rows.block, size(job, p->rows.scratch_floats * sizeof(float)), size(job, p->target->block_bytes));
    text_print(to, "buffers\n         share memory where their lives do not overlap\n");
    if (p->lanes.n_steps)
        text_print(to, "lanes    %d rows, values as [column][%d]: the model is small and its layers are narrow, so vectors "
                       "of outputs\n         would be partly empty\n", LANES, LANES);
    else
        text_print(to, "lanes    no: %s\n", p->small ? "the target has no vectors" : "layers are wide enough");
    for (size_t i = 0; i < COUNT(p->target->isas) && p->target->isas[i]; i++)
        explain_isa(p, p->target->isas[i], to);
}

void explain_plan(struct job *job, const struct plan *p, const struct model *original, struct text *to)
{
    text_print(to, "plan for %s: %s; %s\n", p->target->name, p->target->about, p->numerics->name);
    explain_layers(p, original, to);
    if (p->target->narrow) {
        explain_narrow(job, p, to);
    } else {
        explain_weights(job, p, to);
        explain_rows(job, p, to);
        if (p->user_inputs)
            explain_users(job, p, to);
    }
    text_print(to, "%s     sizes are written into kernels, as long as there are at most %d different ones\n",
               p->target->narrow ? "    " : "text", p->most_kernels);
    text_print(to, "calls    places are in floats; x the rows, s scratch, y the scores, w the weights; +offset/stride\n");
    print_plan(p, to);
}
