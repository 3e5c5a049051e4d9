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

#define EPILOGUE v_identity
#define TILE tile_linear
#define TILE_PANEL tile_panel_linear
#define ROW_PANEL row_panel_linear
#define NAME dense_linear
#define SIZES , size_t in, size_t out
#include "../templates/dense_tile.c"
#include "../templates/dense.c"
#undef EPILOGUE
#undef TILE
#undef TILE_PANEL
#undef ROW_PANEL
#undef NAME

#define EPILOGUE v_relu
#define TILE tile_relu
#define TILE_PANEL tile_panel_relu
#define ROW_PANEL row_panel_relu
#define NAME dense_relu
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
    .dense_linear = dense_linear,
    .dense_relu = dense_relu,
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
