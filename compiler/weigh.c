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

bool weigh(struct job *job, const struct model *m, const struct block *b, double *kernel, double *bias)
{
    if (!read_want(job, m, b->kernel, kernel) || !read_vector(job, m, b->bias, b->out, 0, bias))
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
