// SPDX-License-Identifier: Apache-2.0
/* kernels.c: the templates in library form; compiled once for each instruction set, with SIMD_AVX512, SIMD_AVX2,
 * SIMD_NEON, SIMD_PLAIN or SIMD_MULADD and ISA (its name) defined. Sizes are arguments here.
 */
#include "kernels.h"
#include "../templates/math.h"

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)

#ifdef SIMD_MULADD
#define NUMERICS 2
#else
#define NUMERICS 1
#endif

#define IN in
#define OUT out
#define N n
#define EXPERTS experts

/* ---- dense ---- */

#define BODY static TARGET
#define ROOM room
#define PANEL most
#define RELU relu
#define AHEAD ahead
#define ALL all
#define SIZES , size_t in, size_t all, size_t out, size_t room, size_t most, size_t relu, int ahead
#define LANES_SIZES , size_t in, size_t out, size_t relu
#define WIDEST (MOST_VECS * VL)
#define VECS_CASES CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#define COLUMNS_CASES VECS_CASES CASE(9) CASE(10) CASE(11) CASE(12)

#define TILE tile
#define TILE_COLUMNS tile_columns
#define PANEL_ROWS panel_rows
#define TILE_START v_load(w + i % vecs * VL)
#define YS_TYPES ys
#define YS_FROM ys
#define YS_NEXT ys
#define YS_PANEL ys
#define W_TYPES w
#define W_FIRST w
#define NEXT_FIRST next
#define LANES_W_TYPES w
#define Y_TYPES y
#define Y_FROM y
#define L_FROM l
#define LANES_TILE lanes_tile
#define LANES_COLUMNS lanes_columns
#define LANES_PANEL lanes_panel
#define LANES_START v_all(w[i / vecs])
#define NAME dense
#define LANES_NAME lanes_dense
#include "../templates/dense_tile.c"
#include "../templates/dense_lanes.c"
#include "../templates/dense.c"
#undef TILE
#undef TILE_COLUMNS
#undef PANEL_ROWS
#undef TILE_START
#undef YS_TYPES
#undef YS_FROM
#undef YS_NEXT
#undef YS_PANEL
#undef W_TYPES
#undef W_FIRST
#undef NEXT_FIRST
#undef LANES_W_TYPES
#undef Y_TYPES
#undef Y_FROM
#undef L_FROM
#undef LANES_TILE
#undef LANES_COLUMNS
#undef LANES_PANEL
#undef LANES_START
#undef NAME
#undef LANES_NAME

/* Sums that go onto others. */
#define TILE tile_onto
#define TILE_COLUMNS tile_columns_onto
#define PANEL_ROWS panel_rows_onto
#define ONTO_START onto_start
#define TILE_START onto_start(from + i / vecs * fs, c + i % vecs * VL, p->columns, i % vecs + 1 < vecs)
#define YS_TYPES ys, const float *from, size_t fs
#define YS_FROM ys, from, fs
#define YS_NEXT ys, from += n * fs
#define YS_PANEL ys, from + j, fs
#define W_TYPES w, const float *from, size_t fs
#define W_FIRST w + (ALL - IN) * pitch
#define NEXT_FIRST (next + (ALL - IN) * pitch)
#define LANES_W_TYPES w, const float *from
#define Y_TYPES y, const float *from
#define Y_FROM y, from
#define L_FROM l, from
#define LANES_TILE lanes_tile_onto
#define LANES_COLUMNS lanes_columns_onto
#define LANES_PANEL lanes_panel_onto
#define LANES_START v_all(from[c + i / vecs])
#define NAME onto
#define LANES_NAME lanes_onto
#include "../templates/dense_tile.c"
#include "../templates/dense_lanes.c"
#include "../templates/dense.c"
#undef NAME
#undef LANES_NAME
#undef SIZES

#define ROW_NAME narrow_row
#define NAME narrow
#include "../templates/narrow.c"
#undef NAME

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
#define LANES_NAME lanes_act_any
#define FUNCTION(x) v_act(x, act)
#include "../templates/act.c"
#undef SIZES
#undef NAME
#undef LANES_NAME
#undef FUNCTION

#define ACT(name, ...)                                                                              \
    static TARGET void act_##name(const float *x, size_t xs, size_t rows, float *y, size_t ys, size_t n) \
    {                                                                                               \
        act_any(x, xs, rows, y, ys, n, MMOE_ACT_##name);                                            \
    }                                                                                               \
    static TARGET void lanes_act_##name(const float *x, size_t lanes, float *y, size_t n)           \
    {                                                                                               \
        lanes_act_any(x, lanes, y, n, MMOE_ACT_##name);                                             \
    }
#include "../compiler/acts.def"
#undef ACT

/* ---- the others ---- */

#define SIZES , size_t n
#define NAME dice
#define LANES_NAME lanes_dice
#include "../templates/dice.c"
#undef NAME
#undef LANES_NAME
#define NAME softmax
#define LANES_NAME lanes_softmax
#include "../templates/softmax.c"
#undef NAME
#undef LANES_NAME
#define NAME copy
#define LANES_NAME lanes_copy
#include "../templates/copy.c"
#undef NAME
#undef LANES_NAME
#define NAME store
#define LANES_NAME lanes_store
#include "../templates/store.c"
#undef NAME
#undef LANES_NAME
#define NAME max
#define LANES_NAME lanes_max
#include "../templates/max.c"
#undef NAME
#undef LANES_NAME
#define NAME argmax
#define LANES_NAME lanes_argmax
#include "../templates/argmax.c"
#undef NAME
#undef LANES_NAME
#define NAME ziln
#define LANES_NAME lanes_ziln
#include "../templates/ziln.c"
#undef NAME
#undef LANES_NAME
#define LANES_NAME lanes_load
#include "../templates/load.c"
#undef LANES_NAME
#define LANES_NAME lanes_spread
#include "../templates/spread.c"
#undef LANES_NAME
#undef SIZES
#define SIZES , size_t experts, size_t n
#define NAME mix
#define LANES_NAME lanes_mix
#include "../templates/mix.c"

extern const struct mmoe_kernels PASTE(mmoe_kernels__, ISA);
const struct mmoe_kernels PASTE(mmoe_kernels__, ISA) = {
    .isa = TEXT(ISA),
    .numerics = NUMERICS,
    .dense = dense,
    .onto = onto,
    .narrow = narrow,
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
    .lanes = {
        .multiple = VL,
        .load = lanes_load,
        .dense = lanes_dense,
        .onto = lanes_onto,
        .act = {
#define ACT(name, ...) [MMOE_ACT_##name] = lanes_act_##name,
#include "../compiler/acts.def"
#undef ACT
        },
        .dice = lanes_dice,
        .mix = lanes_mix,
        .softmax = lanes_softmax,
        .copy = lanes_copy,
        .store = lanes_store,
        .max = lanes_max,
        .argmax = lanes_argmax,
        .ziln = lanes_ziln,
        .spread = lanes_spread,
    },
};
