// SPDX-License-Identifier: Apache-2.0
/* pack.c: weights in kernel order, rounded once.
 *
 * Fills the arena that the plan laid out. A run of columns of a dense layer becomes panels, all as wide as the plan says but the
 * last one, which is rounded up to 8 (for small cores, all of 4):
 *
 *     panel: [1 + in][columns]      row 0 the biases, row 1 + k the weights of input k; padding is zero
 *
 * Each block of a layer is weighed once and scattered into the runs that its columns belong to.
 */
#include "mmoec.h"
#include "../runtime/sha256.h"
#include "../runtime/weights_file.h"

#include <float.h>
#include <math.h>
#include <string.h>

static int min(int a, int b) { return a < b ? a : b; }

/* Columns first .. end - 1 of a layer, all in one panel of the run and in one block, in rows as the kernel lies. Are all
   of them finite? */
static bool scatter_panel(float *arena, const struct packed *run, const struct block *b, const double *kernel,
                          const double *bias, int first, int end)
{
    int panel = (first - run->column) / run->panel * run->panel;
    int pitch = min((run->columns - panel + 7) / 8 * 8, run->panel);
    float *to = arena + run->at + (size_t)(1 + b->in) * (size_t)panel + (first - run->column - panel);
    const double *from = kernel + (first - b->column);
    for (int j = 0; j < end - first; j++)
        to[j] = (float)bias[first - b->column + j];
    bool finite = true;
    for (int k = 0; k < b->in; k++) {
        float *row = to + (size_t)(1 + k) * (size_t)pitch;
        const double *source = from + (size_t)k * (size_t)b->out;
        int all = 1;                /* without a branch, so that compilers make vectors of it */
        for (int j = 0; j < end - first; j++) {
            row[j] = (float)source[j];
            all &= fabsf(row[j]) <= FLT_MAX;
        }
        finite &= all != 0;
    }
    return finite;
}

/* The columns of a block that fall into a run. */
static bool scatter(float *arena, const struct packed *run, const struct block *b, const double *kernel,
                    const double *bias)
{
    int first = b->column > run->column ? b->column : run->column;
    int end = min(b->column + b->out, run->column + run->columns);
    bool finite = true;
    for (int next; first < end; first = next) {
        int panel_end = run->column + ((first - run->column) / run->panel + 1) * run->panel;
        next = min(end, panel_end);
        finite &= scatter_panel(arena, run, b, kernel, bias, first, next);
    }
    return finite;
}

/* Numbers may leave float's range when norms are folded in, or by the rounding itself. */
static bool check_finite(struct job *job, const struct model *m, const struct block *b, const double *numbers, size_t n,
                         const char *of)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite((float)numbers[i])) {
            const struct want *w = &m->wants[b->kernel];
            const char *hint = "--permissive scores with it";
            if (job->options->permissive)
                warning(job, w->pos, "non-finite", NULL, "%s of %s is not a finite float after folding, element %zu", of,
                        w->name, i);
            else
                blame(job, BAD_INPUT, w->pos, "non-finite", hint,
                      "%s of %s is not a finite float after folding, element %zu", of, w->name, i);
            return job->options->permissive;
        }
    return true;
}

static bool pack_block(struct job *job, const struct plan *p, int op, const struct block *b, float *arena,
                       double *kernel)
{
    double *bias = NEW_ARRAY(job, (size_t)b->out, double);
    if (!weigh(job, p->model, b, kernel, bias))
        return false;
    bool finite = true;
    for (int i = 0; i < p->n_packed; i++)
        if (p->packed[i].op == op && p->packed[i].part == b->part)
            finite &= scatter(arena, &p->packed[i], b, kernel, bias);
    size_t n = (size_t)b->in * (size_t)b->out;
    return (finite || check_finite(job, p->model, b, kernel, n, "the kernel")) &&
           check_finite(job, p->model, b, bias, (size_t)b->out, "the bias");
}

static bool pack_dice(struct job *job, const struct plan *p, const struct packed *item, float *arena)
{
    int n = item->columns, pitch = (n + 7) / 8 * 8;
    double *numbers = NEW_ARRAY(job, 3 * (size_t)n, double);
    if (!weigh_dice(job, p->model, &p->model->ops[item->op].norm, n, numbers))
        return false;
    for (int row = 0; row < 3; row++)
        for (int j = 0; j < n; j++)
            arena[item->at + (size_t)(row * pitch + j)] = (float)numbers[row * n + j];
    return true;
}

static size_t largest_kernel(const struct model *m)
{
    size_t most = 0;
    for (int i = 0; i < m->n_ops; i++)
        for (int k = 0; k < m->ops[i].n_blocks; k++) {
            size_t n = weigh_room(m, &m->ops[i].blocks[k]);
            most = n > most ? n : most;
        }
    return most;
}

bool pack_into(struct job *job, const struct plan *p, float *arena)
{
    double *kernel = NEW_ARRAY(job, largest_kernel(p->model), double);
    for (int i = 0; i < p->model->n_ops; i++)
        for (int k = 0; k < p->model->ops[i].n_blocks; k++)
            if (!pack_block(job, p, i, &p->model->ops[i].blocks[k], arena, kernel))
                return false;
    for (int i = 0; i < p->n_packed; i++)
        if (p->model->ops[p->packed[i].op].kind == OP_dice && !pack_dice(job, p, &p->packed[i], arena))
            return false;
    return true;
}

struct weights *pack(struct job *job, const struct plan *p)
{
    if (!p)
        return NULL;
    size_t head = weights_file_numbers((uint32_t)expected_words(p)), bytes = head + p->weight_floats * sizeof(float);
    char *room = arena_alloc(&job->arena, bytes + 64), *file = room + (64 - (uintptr_t)room % 64) % 64;
    float *arena = (float *)(void *)(file + head);
    if (!pack_into(job, p, arena))
        return NULL;
    struct weights *w = NEW(job, struct weights);
    w->numbers = arena;
    w->file = file;
    w->file_bytes = bytes;
    sha256(arena, p->weight_floats * sizeof(float), w->digest);
    return w;
}

/* Everything that a swap of weights must not change: the network, what goes in and comes out, the class of
   arithmetic, and how the arena is laid out. Not the target: many share a packing. */
void structure_digest(const struct plan *p, struct job *job, unsigned char digest[32])
{
    struct text t = {.arena = &job->arena};
    text_print(&t, "mmoec structure 1, numerics %d\n", p->numerics->number);
    print_model(p->model, &t);
    for (int i = 0; i < p->n_packed; i++) {
        const struct packed *k = &p->packed[i];
        text_print(&t, "%d part %d columns %d + %d in panels of %d at %zu\n", k->op, k->part, k->column, k->columns, k->panel,
                   k->at);
    }
    sha256(t.data, t.length, digest);
}
