// SPDX-License-Identifier: Apache-2.0
/* kernels.h: the kernels of templates/ in library form, one table an instruction set.
 *
 * Strides and sizes are in floats. Forms and what each kernel computes: templates/kernels.def.
 */
#ifndef MMOE_KERNELS_H
#define MMOE_KERNELS_H

#include <stddef.h>

enum mmoe_act {
#define ACT(name, ...) MMOE_ACT_##name,
#include "../compiler/acts.def"
#undef ACT
    MMOE_N_ACTS
};

typedef void mmoe_dense(const float *x, size_t xs, size_t rows, const float *w, float *y, size_t ys, size_t in,
                        size_t out, size_t panel, int relu, int ahead);
typedef void mmoe_unary(const float *x, size_t xs, size_t rows, float *y, size_t ys, size_t n);
typedef mmoe_unary *mmoe_act_table[MMOE_N_ACTS];
typedef void mmoe_dice(const float *x, size_t xs, size_t rows, const float *w, float *y, size_t ys, size_t n);
typedef void mmoe_mix(const float *g, size_t gs, const float *s, const size_t (*at)[2], size_t rows, float *y, size_t ys,
                      size_t experts, size_t n);
typedef void mmoe_ziln(const float *x, size_t xs, size_t rows, float *y, size_t ys);

struct mmoe_kernels {
    const char *isa;
    mmoe_dense *dense;
    mmoe_act_table act;
    mmoe_dice *dice;
    mmoe_mix *mix;
    mmoe_unary *softmax, *copy, *store, *max, *argmax;
    mmoe_ziln *ziln;
};

/* "avx512", "avx2", "neon" or "plain"; NULL if it is not of this build or this machine. */
const struct mmoe_kernels *mmoe_kernels_named(const char *isa);
const struct mmoe_kernels *mmoe_kernels_best(void);

#endif
