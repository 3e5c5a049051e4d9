// SPDX-License-Identifier: Apache-2.0
/* kernels.c: the templates in library form; compiled once for each instruction set, with SIMD_AVX512, SIMD_AVX2,
 * SIMD_NEON or SIMD_PLAIN and ISA (its name) defined. Sizes are arguments here.
 */
#include "kernels.h"
#include "../templates/math.h"

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)

#define IN in
#define OUT out
#define N n
#define EXPERTS experts

/* ---- dense ---- */

#define TILE tile
#define TILE_COLUMNS tile_columns
#define PANEL_ROWS panel_rows
#define BODY static TARGET
#define WIDEST (MOST_VECS * VL)
#define PANEL most
#define NAME dense
#define SIZES , size_t in, size_t out, size_t most, int relu, int ahead
#define RELU relu
#define AHEAD ahead
#include "../templates/dense_tile.c"
#include "../templates/dense.c"
#undef NAME
#undef SIZES

/* ---- activations: one a row of acts.def ---- */

static inline TARGET vf v_act(vf x, enum mmoe_act act)
{
    switch (act) {
#define ACT(name, ...) case MMOE_ACT_##name: return v_##name(x);
#include "../compiler/acts.def"
#undef ACT
    case MMOE_N_ACTS: break;
    }
    return x;
}

#define SIZES , size_t n, enum mmoe_act act
#define NAME act_any
#define FUNCTION(x) v_act(x, act)
#include "../templates/act.c"
#undef SIZES
#undef NAME
#undef FUNCTION

#define ACT(name, ...)                                                                              \
    static TARGET void act_##name(const float *x, size_t xs, size_t rows, float *y, size_t ys, size_t n) \
    {                                                                                               \
        act_any(x, xs, rows, y, ys, n, MMOE_ACT_##name);                                            \
    }
#include "../compiler/acts.def"
#undef ACT

/* ---- the others ---- */

#define SIZES , size_t n
#define NAME dice
#include "../templates/dice.c"
#undef NAME
#define NAME softmax
#include "../templates/softmax.c"
#undef NAME
#define NAME copy
#include "../templates/copy.c"
#undef NAME
#define NAME store
#include "../templates/store.c"
#undef NAME
#define NAME max
#include "../templates/max.c"
#undef NAME
#define NAME argmax
#include "../templates/argmax.c"
#undef NAME
#define NAME ziln
#include "../templates/ziln.c"
#undef NAME
#undef SIZES
#define SIZES , size_t experts, size_t n
#define NAME mix
#include "../templates/mix.c"
#undef NAME

extern const struct mmoe_kernels PASTE(mmoe_kernels__, ISA);
const struct mmoe_kernels PASTE(mmoe_kernels__, ISA) = {
    .isa = TEXT(ISA),
    .dense = dense,
    .act = {
#define ACT(name, ...) [MMOE_ACT_##name] = act_##name,
#include "../compiler/acts.def"
#undef ACT
    },
    .dice = dice,
    .mix = mix,
    .softmax = softmax,
    .copy = copy,
    .store = store,
    .max = max,
    .argmax = argmax,
    .ziln = ziln,
};
