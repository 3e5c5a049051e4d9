// SPDX-License-Identifier: Apache-2.0
/* kernels.h: the kernels of templates/ in library form, one table an instruction set.
 *
 * Strides and sizes are in floats. Forms and what each kernel computes: templates/kernels.def. Those of mmoe_lanes work
 * on a block of LANES rows (templates/simd.h) whose values are [column][LANES].
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
                        size_t all, size_t out, size_t room, size_t panel, size_t relu, int ahead);
typedef void mmoe_onto(const float *x, size_t xs, size_t rows, const float *w, const float *from, size_t fs, float *y,
                       size_t ys, size_t in, size_t all, size_t out, size_t room, size_t panel, size_t relu, int ahead);
typedef void mmoe_narrow(const float *x, size_t xs, size_t rows, const float *w, float *y, size_t ys, size_t in,
                         size_t out, int relu);
typedef void mmoe_unary(const float *x, size_t xs, size_t rows, float *y, size_t ys, size_t n);
typedef mmoe_unary *mmoe_act_table[MMOE_N_ACTS];
typedef void mmoe_dice(const float *x, size_t xs, size_t rows, const float *w, float *y, size_t ys, size_t n);
typedef void mmoe_mix(const float *g, size_t gs, const float *s, const size_t (*at)[2], size_t rows, float *y, size_t ys,
                      size_t experts, size_t n);
typedef void mmoe_ziln(const float *x, size_t xs, size_t rows, float *y, size_t ys);

typedef void mmoe_lanes_load(const float *x, size_t xs, size_t rows, float *y, size_t n);
typedef void mmoe_lanes_dense(const float *x, size_t lanes, const float *w, float *y, size_t in, size_t out, size_t relu);
typedef void mmoe_lanes_onto(const float *x, size_t lanes, const float *w, const float *from, float *y, size_t in,
                             size_t out, size_t relu);
typedef void mmoe_lanes_unary(const float *x, size_t lanes, float *y, size_t n);
typedef mmoe_lanes_unary *mmoe_lanes_act_table[MMOE_N_ACTS];
typedef void mmoe_lanes_dice(const float *x, size_t lanes, const float *w, float *y, size_t n);
typedef void mmoe_lanes_mix(const float *g, const float *s, const size_t *at, size_t lanes, float *y, size_t experts,
                            size_t n);
typedef void mmoe_lanes_ziln(const float *x, size_t lanes, float *y);
typedef void mmoe_lanes_store(const float *x, size_t rows, float *y, size_t ys, size_t n);

struct mmoe_lanes {
    size_t multiple;                /* `lanes` is one of this */
    mmoe_lanes_load *load;
    mmoe_lanes_dense *dense;
    mmoe_lanes_onto *onto;
    mmoe_lanes_act_table act;
    mmoe_lanes_dice *dice;
    mmoe_lanes_mix *mix;
    mmoe_lanes_unary *softmax, *copy, *max, *argmax, *spread;
    mmoe_lanes_ziln *ziln;
    mmoe_lanes_store *store;
};

struct mmoe_kernels {
    const char *isa;
    int numerics;           /* class of arithmetic, as in the record */
    mmoe_dense *dense;
    mmoe_onto *onto;
    mmoe_narrow *narrow;
    mmoe_act_table act;
    mmoe_dice *dice;
    mmoe_mix *mix;
    mmoe_unary *softmax, *copy, *store, *max, *argmax;
    mmoe_ziln *ziln;
    struct mmoe_lanes lanes;
};

/* "avx512", "avx2", "neon", "plain", or "muladd", plain C of the other class; NULL if it is not of this build or this machine. */
const struct mmoe_kernels *mmoe_kernels_named(const char *isa);
const struct mmoe_kernels *mmoe_kernels_best(void);

#endif
