// SPDX-License-Identifier: Apache-2.0
/* weigh.c: recipes -> numbers.
 *
 * A block's recipe names a kernel, a bias and the norms that were folded into it. Here, and only here, it becomes
 * numbers, in double and a block at a time; eval uses them as they are, pack rounds them once.
 *
 * Sums of bytes are checked at each reading: the file may have changed since another, and may have had none.
 */
#include "mmoec.h"

#include <math.h>
#include <string.h>

static bool read_want(struct job *job, const struct model *m, int want, double *to)
{
    return read_tensor(job, m->wants[want].tensor, true, to);
}

/* The numbers of a want; `missing` everywhere if there is no such want. */
static bool read_vector(struct job *job, const struct model *m, int want, int width, double missing, double *to)
{
    for (int j = 0; j < width; j++)
        to[j] = missing;
    return want < 0 || read_want(job, m, want, to);
}

bool weigh_norm(struct job *job, const struct model *m, const struct norm *n, int width, double *scale, double *shift)
{
    double *mean = NEW_ARRAY(job, (size_t)width, double), *variance = NEW_ARRAY(job, (size_t)width, double);
    if (!read_vector(job, m, n->gamma, width, 1, scale) || !read_vector(job, m, n->beta, width, 0, shift) ||
        !read_vector(job, m, n->mean, width, 0, mean) || !read_vector(job, m, n->variance, width, 1, variance))
        return false;
    for (int j = 0; j < width; j++) {
        scale[j] /= sqrt(variance[j] + n->epsilon);
        shift[j] -= mean[j] * scale[j];
    }
    return true;
}

/* Row k becomes what row order[k] was: along each cycle, rows move by one. */
static void order_kernel(struct job *job, double *kernel, const uint32_t *order, int rows, int columns)
{
    size_t width = (size_t)columns;
    double *kept = NEW_ARRAY(job, width, double);
    bool *done = NEW_ARRAY(job, (size_t)rows, bool);
    for (uint32_t first = 0; first < (uint32_t)rows; first++) {
        uint32_t k = first;
        if (done[first])
            continue;
        memcpy(kept, kernel + k * width, width * sizeof *kept);
        for (; order[k] != first; k = order[k]) {
            memcpy(kernel + k * width, kernel + order[k] * width, width * sizeof *kept);
            done[k] = true;
        }
        memcpy(kernel + k * width, kept, width * sizeof *kept);
        done[k] = true;
    }
}

size_t weigh_room(const struct model *m, const struct block *b)
{
    return (size_t)m->wants[b->kernel].dim[0] * (size_t)b->out;
}

/* The block's rows of its kernel, in the want's order. */
static bool read_kernel(struct job *job, const struct model *m, const struct block *b, double *to)
{
    const struct want *w = &m->wants[b->kernel];
    if (!read_want(job, m, b->kernel, to))
        return false;
    if (w->order)
        order_kernel(job, to, w->order, w->dim[0], w->dim[1]);
    if (b->row > 0)
        memmove(to, to + (size_t)b->row * (size_t)b->out, (size_t)b->in * (size_t)b->out * sizeof *to);
    return true;
}

bool weigh(struct job *job, const struct model *m, const struct block *b, double *kernel, double *bias)
{
    if (!read_kernel(job, m, b, kernel) || !read_vector(job, m, b->bias, b->out, 0, bias))
        return false;
    double *scale = NEW_ARRAY(job, (size_t)b->out, double), *shift = NEW_ARRAY(job, (size_t)b->out, double);
    for (int k = 0; k < b->n_norms; k++) {
        if (!weigh_norm(job, m, &b->norms[k], b->out, scale, shift))
            return false;
        for (int i = 0; i < b->in; i++)
            for (int j = 0; j < b->out; j++)
                kernel[(size_t)i * (size_t)b->out + (size_t)j] *= scale[j];
        for (int j = 0; j < b->out; j++)
            bias[j] = bias[j] * scale[j] + shift[j];
    }
    return true;
}

bool weigh_dice(struct job *job, const struct model *m, const struct norm *n, int width, double *to)
{
    const struct norm plain = {-1, -1, n->mean, n->variance, n->epsilon};
    return read_vector(job, m, n->gamma, width, 1, to) &&
           weigh_norm(job, m, &plain, width, to + width, to + 2 * (size_t)width);
}
