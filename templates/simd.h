// SPDX-License-Identifier: Apache-2.0
/* simd.h: the vector words that kernels are written in, for each instruction set.
 *
 * A chunk `words_<isa>` defines the same words for one instruction set; the plain one has vectors of one lane. A
 * generated file holds several sections, each in its own words, in one translation unit that is compiled for no
 * instruction set in particular: hence TARGET before every function, and the chunk `undef_words` between sections.
 * Who includes this file defines SIMD_AVX512, SIMD_AVX2, SIMD_NEON, SIMD_MVE, SIMD_PLAIN or SIMD_MULADD (plain,
 * too) first. MVE has what the narrow kernel and those beside it need, and no words of tiles and blocks.
 *
 *   types       vf floats, vu 32-bit words, vm the result of a comparison
 *   lanes       VL
 *   memory      v_load v_store: VL floats, any alignment; v_load_n v_store_n: the first n of them, 0 < n <= VL,
 *               and no byte beyond; the other lanes are loaded as 0
 *   arithmetic  v_fma(a, b, c) = a b + c rounded once (in the class muladd32: twice); v_max(a, b) = a > b ? a : b, v_min(a, b) =
 *               a < b ? a : b, bit for bit; the rest as IEEE has it
 *   analysis    v_within(a, low, high) = a, where a, if it is used at all, lies between low and high, or is NaN: plain C makes
 *               it so, which changes no result and tells analysers
 *   choice      v_lt v_eq (false for NaN), v_select(m, a, b) = m ? a : b; v_lane(a, j): every lane is lane j of a
 *   bits        v_bits v_float: the same bits as the other type; u_all u_add u_sub u_and u_or, u_shl u_shr by a literal
 *   compilers   PIN(v): v is in a register here, whatever the compiler would like to fold; OPAQUE(v): the truth value v,
 *               of which it knows nothing; UNROLL: before a short loop over accumulators; NO_CALL: at a loop's end, so
 *               that it does not become a call of memcpy or memset; HELPER: before a function that may stay unused,
 *               BLOCK_BODY: before one that must be inlined (but without
 *               optimisation nothing is gained, and the text explodes), NO_INLINE: that must not
 *   tiles       ACCUMULATORS vectors stay in registers, TILE_ROWS rows are computed together at most, MOST_VECS vectors
 *               of a row, MOST_COLUMNS columns of rows in lanes (all ORDER with compiler/plan.c)
 *   blocks      v_transpose(a): VL vectors as a square, columns for rows; LANES: rows of a block of which each value is
 *               [column][LANES], a multiple of every VL
 *   cache       PREFETCH(p): the line at p will be read soon, from the second level on
 */
#ifndef SIMD_H
#define SIMD_H

#include <stddef.h>
#include <stdint.h>
#if defined SIMD_AVX512 || defined SIMD_AVX2
#include <immintrin.h>
#elif defined SIMD_NEON
#include <arm_neon.h>
#elif defined SIMD_MVE
#include <arm_mve.h>
#elif !defined SIMD_PLAIN
#define SIMD_PLAIN
#endif

/*@ begin compiler */
#define LANES 32
#if defined __GNUC__ && !defined __FRAMAC__
#define HELPER static inline __attribute__((unused))
#if defined __OPTIMIZE__
#define BLOCK_BODY static inline __attribute__((always_inline, unused))
#else
#define BLOCK_BODY HELPER
#endif
#define NO_INLINE __attribute__((noinline))
#define NO_CALL __asm__ volatile("" ::: "memory")
#define PREFETCH(p) __builtin_prefetch(p, 0, 2)
#else
#define HELPER static inline
#define BLOCK_BODY static inline
#define NO_INLINE
#define NO_CALL
#define PREFETCH(p) ((void)(p))
#endif
#if defined __clang__ && !defined __x86_64__
#define OPAQUE(v) opaque(v)
HELPER int opaque(int v)
{
    __asm__("" : "+r"(v));
    return v;
}
#else
#define OPAQUE(v) (v)
#endif
#if defined __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined __GNUC__
#define UNROLL _Pragma("GCC unroll 32")
#else
#define UNROLL
#endif
/*@ end */

#ifdef SIMD_AVX512
/*@ begin words_avx512 */
#define TARGET __attribute__((target("avx512f")))
#define VL 16
#define vf __m512
#define vu __m512i
#define vm __mmask16
#define v_load(p) _mm512_loadu_ps(p)
#define v_store(p, a) _mm512_storeu_ps(p, a)
#define v_load_n load_n__avx512
#define v_store_n store_n__avx512
#define v_all(a) _mm512_set1_ps(a)
#define v_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define v_add(a, b) _mm512_add_ps(a, b)
#define v_sub(a, b) _mm512_sub_ps(a, b)
#define v_mul(a, b) _mm512_mul_ps(a, b)
#define v_div(a, b) _mm512_div_ps(a, b)
#define v_max(a, b) _mm512_max_ps(a, b)
#define v_min(a, b) _mm512_min_ps(a, b)
#define v_within(a, low, high) (a)
#define v_lt(a, b) _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ)
#define v_eq(a, b) _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ)
#define v_lane(a, j) _mm512_permutexvar_ps(_mm512_set1_epi32((int)(j)), a)
#define v_select(m, a, b) _mm512_mask_blend_ps(m, b, a)
#define v_bits(a) _mm512_castps_si512(a)
#define v_float(a) _mm512_castsi512_ps(a)
#define u_all(a) _mm512_set1_epi32((int)(a))
#define u_add(a, b) _mm512_add_epi32(a, b)
#define u_sub(a, b) _mm512_sub_epi32(a, b)
#define u_and(a, b) _mm512_and_si512(a, b)
#define u_or(a, b) _mm512_or_si512(a, b)
#define u_shl(a, k) _mm512_slli_epi32(a, k)
#define u_shr(a, k) _mm512_srli_epi32(a, k)
#define PIN(v) __asm__("" : "+v"(v))
#define ACCUMULATORS 24
#define TILE_ROWS 8
#define MOST_VECS 8
#define MOST_COLUMNS 12
#define v_transpose transpose__avx512

/* Where the compiler knows that lanes are few, no masks: a load that follows a masked store waits for the cache. */
BLOCK_BODY TARGET __m512 load_n__avx512(const float *p, size_t n)
{
    if (__builtin_constant_p(n == 1) && n == 1)
        return _mm512_zextps128_ps512(_mm_load_ss(p));
    if (__builtin_constant_p(n == 2) && n == 2)
        return _mm512_zextps128_ps512(_mm_loadl_pi(_mm_setzero_ps(), (const __m64 *)(const void *)p));
    if (__builtin_constant_p(n == 4) && n == 4)
        return _mm512_zextps128_ps512(_mm_loadu_ps(p));
    if (__builtin_constant_p(n == 3) && n == 3) {
        const __m128 two = _mm_loadl_pi(_mm_setzero_ps(), (const __m64 *)(const void *)p);
        return _mm512_zextps128_ps512(_mm_insert_ps(two, _mm_load_ss(p + 2), 0x20));
    }
    if (__builtin_constant_p(n == 8) && n == 8)
        return _mm512_zextps256_ps512(_mm256_loadu_ps(p));
    return _mm512_maskz_loadu_ps((__mmask16)(0xffffU >> (16 - n)), p);
}

BLOCK_BODY TARGET void store_n__avx512(float *p, __m512 a, size_t n)
{
    const __m128 low = _mm512_castps512_ps128(a);
    if (__builtin_constant_p(n == 1) && n == 1)
        _mm_store_ss(p, low);
    else if (__builtin_constant_p(n == 2) && n == 2)
        _mm_storel_pi((__m64 *)(void *)p, low);
    else if (__builtin_constant_p(n == 4) && n == 4)
        _mm_storeu_ps(p, low);
    else if (__builtin_constant_p(n == 3) && n == 3) {
        _mm_storel_pi((__m64 *)(void *)p, low);
        _mm_store_ss(p + 2, _mm_movehl_ps(low, low));
    }
    else if (__builtin_constant_p(n == 8) && n == 8)
        _mm256_storeu_ps(p, _mm512_castps512_ps256(a));
    else
        _mm512_mask_storeu_ps(p, (__mmask16)(0xffffU >> (16 - n)), a);
}

/* Pairs, fours, then the quarters of the vectors. */
BLOCK_BODY TARGET void transpose__avx512(__m512 *a)
{
    __m512 t[16], u[16];
    UNROLL
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
#define PAIR(o, i, k) _mm512_castpd_ps(_mm512_unpack##o##_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[k])))
    UNROLL
    for (int i = 0; i < 16; i += 4) {
        u[i] = PAIR(lo, i, i + 2);
        u[i + 1] = PAIR(hi, i, i + 2);
        u[i + 2] = PAIR(lo, i + 1, i + 3);
        u[i + 3] = PAIR(hi, i + 1, i + 3);
    }
#undef PAIR
    UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512 p = _mm512_shuffle_f32x4(u[i], u[4 + i], 0x44), q = _mm512_shuffle_f32x4(u[8 + i], u[12 + i], 0x44);
        const __m512 r = _mm512_shuffle_f32x4(u[i], u[4 + i], 0xee), s = _mm512_shuffle_f32x4(u[8 + i], u[12 + i], 0xee);
        a[i] = _mm512_shuffle_f32x4(p, q, 0x88);
        a[4 + i] = _mm512_shuffle_f32x4(p, q, 0xdd);
        a[8 + i] = _mm512_shuffle_f32x4(r, s, 0x88);
        a[12 + i] = _mm512_shuffle_f32x4(r, s, 0xdd);
    }
}
/*@ end */
#endif

#ifdef SIMD_AVX2
/*@ begin words_avx2 */
#define TARGET __attribute__((target("avx2,fma")))
#define VL 8
#define vf __m256
#define vu __m256i
#define vm __m256
#define v_load(p) _mm256_loadu_ps(p)
#define v_store(p, a) _mm256_storeu_ps(p, a)
#define v_first(n) \
    _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#define v_load_n load_n__avx2
#define v_store_n store_n__avx2
#define v_all(a) _mm256_set1_ps(a)
#define v_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define v_add(a, b) _mm256_add_ps(a, b)
#define v_sub(a, b) _mm256_sub_ps(a, b)
#define v_mul(a, b) _mm256_mul_ps(a, b)
#define v_div(a, b) _mm256_div_ps(a, b)
#define v_max(a, b) _mm256_max_ps(a, b)
#define v_min(a, b) _mm256_min_ps(a, b)
#define v_within(a, low, high) (a)
#define v_lt(a, b) _mm256_cmp_ps(a, b, _CMP_LT_OQ)
#define v_eq(a, b) _mm256_cmp_ps(a, b, _CMP_EQ_OQ)
#define v_lane(a, j) _mm256_permutevar8x32_ps(a, _mm256_set1_epi32((int)(j)))
#define v_select(m, a, b) _mm256_blendv_ps(b, a, m)
#define v_bits(a) _mm256_castps_si256(a)
#define v_float(a) _mm256_castsi256_ps(a)
#define u_all(a) _mm256_set1_epi32((int)(a))
#define u_add(a, b) _mm256_add_epi32(a, b)
#define u_sub(a, b) _mm256_sub_epi32(a, b)
#define u_and(a, b) _mm256_and_si256(a, b)
#define u_or(a, b) _mm256_or_si256(a, b)
#define u_shl(a, k) _mm256_slli_epi32(a, k)
#define u_shr(a, k) _mm256_srli_epi32(a, k)
#define PIN(v) __asm__("" : "+x"(v))
#define ACCUMULATORS 12
#define TILE_ROWS 6
#define MOST_VECS 8
#define MOST_COLUMNS 12
#define v_transpose transpose__avx2

/* Where the compiler knows that lanes are few, no masks: a load that follows a masked store waits for the cache. */
BLOCK_BODY TARGET __m256 load_n__avx2(const float *p, size_t n)
{
    if (__builtin_constant_p(n == 1) && n == 1)
        return _mm256_zextps128_ps256(_mm_load_ss(p));
    if (__builtin_constant_p(n == 2) && n == 2)
        return _mm256_zextps128_ps256(_mm_loadl_pi(_mm_setzero_ps(), (const __m64 *)(const void *)p));
    if (__builtin_constant_p(n == 4) && n == 4)
        return _mm256_zextps128_ps256(_mm_loadu_ps(p));
    if (__builtin_constant_p(n == 3) && n == 3) {
        const __m128 two = _mm_loadl_pi(_mm_setzero_ps(), (const __m64 *)(const void *)p);
        return _mm256_zextps128_ps256(_mm_insert_ps(two, _mm_load_ss(p + 2), 0x20));
    }
    return _mm256_maskload_ps(p, v_first(n));
}

BLOCK_BODY TARGET void store_n__avx2(float *p, __m256 a, size_t n)
{
    const __m128 low = _mm256_castps256_ps128(a);
    if (__builtin_constant_p(n == 1) && n == 1)
        _mm_store_ss(p, low);
    else if (__builtin_constant_p(n == 2) && n == 2)
        _mm_storel_pi((__m64 *)(void *)p, low);
    else if (__builtin_constant_p(n == 4) && n == 4)
        _mm_storeu_ps(p, low);
    else if (__builtin_constant_p(n == 3) && n == 3) {
        _mm_storel_pi((__m64 *)(void *)p, low);
        _mm_store_ss(p + 2, _mm_movehl_ps(low, low));
    }
    else
        _mm256_maskstore_ps(p, v_first(n), a);
}

/* Pairs, fours, then the halves of the vectors. */
BLOCK_BODY TARGET void transpose__avx2(__m256 *a)
{
    __m256 t[8], u[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
#define PAIR(o, i, k) _mm256_castpd_ps(_mm256_unpack##o##_pd(_mm256_castps_pd(t[i]), _mm256_castps_pd(t[k])))
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        u[i] = PAIR(lo, i, i + 2);
        u[i + 1] = PAIR(hi, i, i + 2);
        u[i + 2] = PAIR(lo, i + 1, i + 3);
        u[i + 3] = PAIR(hi, i + 1, i + 3);
    }
#undef PAIR
    UNROLL
    for (int i = 0; i < 4; i++) {
        a[i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x20);
        a[4 + i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x31);
    }
}
/*@ end */
#endif

#ifdef SIMD_NEON
/*@ begin words_neon */
#define TARGET
#define VL 4
#define vf float32x4_t
#define vu uint32x4_t
#define vm uint32x4_t
#define v_load(p) vld1q_f32(p)
#define v_store(p, a) vst1q_f32(p, a)
#define v_load_n load_n__neon
#define v_store_n store_n__neon
#define v_all(a) vdupq_n_f32(a)
#define v_fma(a, b, c) vfmaq_f32(c, a, b)
#define v_add(a, b) vaddq_f32(a, b)
#define v_sub(a, b) vsubq_f32(a, b)
#define v_mul(a, b) vmulq_f32(a, b)
#define v_div(a, b) vdivq_f32(a, b)
#define v_max larger__neon
#define v_min smaller__neon
#define v_within(a, low, high) (a)
#define v_lt(a, b) vcltq_f32(a, b)
#define v_eq(a, b) vceqq_f32(a, b)
#define v_lane lane__neon
#define v_select(m, a, b) vbslq_f32(m, a, b)
#define v_bits(a) vreinterpretq_u32_f32(a)
#define v_float(a) vreinterpretq_f32_u32(a)
#define u_all(a) vdupq_n_u32(a)
#define u_add(a, b) vaddq_u32(a, b)
#define u_sub(a, b) vsubq_u32(a, b)
#define u_and(a, b) vandq_u32(a, b)
#define u_or(a, b) vorrq_u32(a, b)
#define u_shl(a, k) vshlq_n_u32(a, k)
#define u_shr(a, k) vshrq_n_u32(a, k)
#define PIN(v) __asm__("" : "+w"(v))
#define ACCUMULATORS 24
#define TILE_ROWS 8
#define MOST_VECS 8
#define MOST_COLUMNS 12
#define v_transpose transpose__neon

BLOCK_BODY float32x4_t lane__neon(float32x4_t a, size_t j)
{
    float some[4];
    vst1q_f32(some, a);
    return vld1q_dup_f32(some + j);
}

BLOCK_BODY void transpose__neon(float32x4_t *a)
{
    const float32x4_t p = vzip1q_f32(a[0], a[2]), q = vzip1q_f32(a[1], a[3]);
    const float32x4_t r = vzip2q_f32(a[0], a[2]), s = vzip2q_f32(a[1], a[3]);
    a[0] = vzip1q_f32(p, q);
    a[1] = vzip2q_f32(p, q);
    a[2] = vzip1q_f32(r, s);
    a[3] = vzip2q_f32(r, s);
}

/* FMAX and FMIN of the processor treat NaN and zeros another way, yet clang 14 makes them of a comparison and a choice
   that it can see: max(0, -0) became 0. */
HELPER float32x4_t larger__neon(float32x4_t a, float32x4_t b)
{
    uint32x4_t greater = vcgtq_f32(a, b);
    PIN(greater);
    return vbslq_f32(greater, a, b);
}

HELPER float32x4_t smaller__neon(float32x4_t a, float32x4_t b)
{
    uint32x4_t less = vcltq_f32(a, b);
    PIN(less);
    return vbslq_f32(less, a, b);
}

HELPER float32x4_t load_n__neon(const float *p, size_t n)
{
    float32x4_t a = vsetq_lane_f32(p[0], vdupq_n_f32(0), 0);
    if (n > 1)
        a = vsetq_lane_f32(p[1], a, 1);
    if (n > 2)
        a = vsetq_lane_f32(p[2], a, 2);
    return n > 3 ? vsetq_lane_f32(p[3], a, 3) : a;
}

HELPER void store_n__neon(float *p, float32x4_t a, size_t n)
{
    p[0] = vgetq_lane_f32(a, 0);
    if (n > 1)
        p[1] = vgetq_lane_f32(a, 1);
    if (n > 2)
        p[2] = vgetq_lane_f32(a, 2);
    if (n > 3)
        p[3] = vgetq_lane_f32(a, 3);
}
/*@ end */
#endif

#ifdef SIMD_MVE
/*@ begin words_mve */
/* Arm's M-profile vectors. They flush subnormals: rows that meet one are outside of the promise. */
#define TARGET
#define VL 4
#define vf float32x4_t
#define vu uint32x4_t
#define vm mve_pred16_t
#define v_load(p) vldrwq_f32(p)
#define v_store(p, a) vstrwq_f32(p, a)
#define v_load_n(p, n) vldrwq_z_f32(p, vctp32q((uint32_t)(n)))
#define v_store_n(p, a, n) vstrwq_p_f32(p, a, vctp32q((uint32_t)(n)))
#define v_all(a) vdupq_n_f32(a)
#define v_fma(a, b, c) vfmaq_f32(c, a, b)
#define v_add(a, b) vaddq_f32(a, b)
#define v_sub(a, b) vsubq_f32(a, b)
#define v_mul(a, b) vmulq_f32(a, b)
#define v_div divide__mve
#define v_max larger__mve
#define v_min smaller__mve
#define v_within(a, low, high) (a)
#define v_lt(a, b) greater__mve(b, a)
#define v_eq(a, b) vcmpeqq_f32(a, b)
#define v_lane(a, j) vdupq_n_f32((a)[j])
#define v_select(m, a, b) vpselq_f32(a, b, m)
#define v_bits(a) vreinterpretq_u32_f32(a)
#define v_float(a) vreinterpretq_f32_u32(a)
#define u_all(a) vdupq_n_u32(a)
#define u_add(a, b) vaddq_u32(a, b)
#define u_sub(a, b) vsubq_u32(a, b)
#define u_and(a, b) vandq_u32(a, b)
#define u_or(a, b) vorrq_u32(a, b)
#define u_shl(a, k) vshlq_n_u32(a, k)
#define u_shr(a, k) vshrq_n_u32(a, k)

/* The processor's "less" is "not greater or equal", true for NaN; clang 14 yet makes it of a "greater" that it sees
   swapped. So it does not see the operands. */
HELPER mve_pred16_t greater__mve(float32x4_t a, float32x4_t b)
{
    __asm__("" : "+w"(a), "+w"(b));
    return vcmpgtq_f32(a, b);
}

HELPER float32x4_t larger__mve(float32x4_t a, float32x4_t b) { return vpselq_f32(a, b, greater__mve(a, b)); }
HELPER float32x4_t smaller__mve(float32x4_t a, float32x4_t b) { return vpselq_f32(a, b, greater__mve(b, a)); }

/* There is no division of vectors. */
HELPER float32x4_t divide__mve(float32x4_t a, float32x4_t b)
{
    UNROLL
    for (int j = 0; j < 4; j++)
        a[j] /= b[j];
    return a;
}
/*@ end */
#endif

#ifdef SIMD_PLAIN
/*@ begin words_plain */
#define TARGET
#define VL 1
#define vf float
#define vu uint32_t
#define vm int
#define v_load(p) (*(p))
#define v_store(p, a) ((void)(*(p) = (a)))
#define v_load_n(p, n) ((void)(n), *(p))
#define v_store_n(p, a, n) ((void)(n), (void)(*(p) = (a)))
#define v_all(a) (a)
#define v_add(a, b) ((a) + (b))
#define v_sub(a, b) ((a) - (b))
#define v_mul(a, b) ((a) * (b))
#define v_div(a, b) ((a) / (b))
#define v_max larger__plain
#define v_min smaller__plain
#define v_within(a, low, high) v_min(high, v_max(low, a))
#define v_lt(a, b) ((a) < (b))
#define v_eq(a, b) ((a) == (b))
#define v_lane(a, j) ((void)(j), (a))
#define v_select(m, a, b) ((m) ? (a) : (b))
#define v_bits bits__plain
#define v_float float__plain
#define u_all(a) (a)
#define u_add(a, b) ((a) + (b))
#define u_sub(a, b) ((a) - (b))
#define u_and(a, b) ((a) & (b))
#define u_or(a, b) ((a) | (b))
#define u_shl(a, k) ((a) << (k))
#define u_shr(a, k) ((a) >> (k))
#define PIN(v) ((void)(v))
#define ACCUMULATORS 8
#define TILE_ROWS 1
#define MOST_VECS 8
#define MOST_COLUMNS 12
#define v_transpose(a) ((void)(a))

/* OPAQUE: clang 14 for aarch64 makes FMAX of what it can see, and max(0, -0) becomes 0. */
HELPER float larger__plain(float a, float b)
{
    return OPAQUE(a > b) ? a : b;
}

HELPER float smaller__plain(float a, float b)
{
    return OPAQUE(a < b) ? a : b;
}

HELPER uint32_t bits__plain(float a)
{
    const union { float f; uint32_t u; } pun = {a};
    return pun.u;
}

HELPER float float__plain(uint32_t a)
{
    const union { uint32_t u; float f; } pun = {a};
    return pun.f;
}
/*@ end */

#ifndef SIMD_MULADD
/*@ begin fma_plain */
/* Where the processor has no fused multiply-add, __builtin_fmaf would call the C library. That of clang does so as well
   where it believes that fmaf sets errno: on bare metal. */
#if defined __FRAMAC__
#define v_fma fma__plain
/* What the analysis of --proof takes for it: the sum in double, anything within 2^-23 of it, or 2^-149. Rounding the exact
   sum once gives a float in there. */
extern volatile double any_double;
HELPER double between(double low, double high)
{
    double x = any_double;
    x = x == x ? x : low;
    x = x < low ? low : x;
    return x > high ? high : x;
}

HELPER float fma__plain(float a, float b, float c)
{
    const double sum = (double)a * (double)b + (double)c;
    return (float)(sum * between(1 - 0x1p-23, 1 + 0x1p-23) + between(-0x1p-149, 0x1p-149));
}
#elif defined __clang__ && defined __ARM_FEATURE_FMA && !defined __aarch64__
#define v_fma fma__plain
HELPER float fma__plain(float a, float b, float c)
{
    __asm__("vfma.f32 %0, %1, %2" : "+t"(c) : "t"(a), "t"(b));
    return c;
}
#elif defined __clang__ && defined __riscv_flen
#define v_fma fma__plain
HELPER float fma__plain(float a, float b, float c)
{
    __asm__("fmadd.s %0, %1, %2, %0" : "+f"(c) : "f"(a), "f"(b));
    return c;
}
#elif defined __FP_FAST_FMAF || defined __FMA__ || defined __ARM_FEATURE_FMA || defined __aarch64__ || defined __riscv_flen
#define v_fma(a, b, c) __builtin_fmaf(a, b, c)
#else
#define v_fma fma__plain

/* The product is exact in double. The sum is rounded to odd: if it is not exact (Knuth's TwoSum gives the error) its
   last bit is made 1 by going towards the exact value; then the second rounding, to float, is right in all cases
   (Boldo and Melquiond, Emulation of a FMA and correctly rounded sums, 2008). With infinities and NaN the error is
   NaN, and no comparison holds. */
HELPER float fma__plain(float a, float b, float c)
{
    const double p = (double)a * (double)b, z = (double)c, s = p + z, t = s - p;
    const double e = (p - (s - t)) + (z - t);
    union { double d; uint64_t u; } sum;
    sum.d = s;
    if ((e > 0 || e < 0) && (sum.u & 1) == 0)
        sum.u += (e > 0) == (s > 0) ? UINT64_C(1) : ~UINT64_C(0);
    return (float)sum.d;
}
#endif
/*@ end */
#else
/*@ begin muladd_plain */
#define v_fma(a, b, c) ((a) * (b) + (c))
/*@ end */
#endif
#endif

#ifdef SIMD_UNDEF
/*@ begin undef_words */
#undef TARGET
#undef VL
#undef vf
#undef vu
#undef vm
#undef v_load
#undef v_store
#undef v_first
#undef v_load_n
#undef v_store_n
#undef v_all
#undef v_fma
#undef v_add
#undef v_sub
#undef v_mul
#undef v_div
#undef v_max
#undef v_min
#undef v_within
#undef v_lt
#undef v_eq
#undef v_lane
#undef v_select
#undef v_bits
#undef v_float
#undef u_all
#undef u_add
#undef u_sub
#undef u_and
#undef u_or
#undef u_shl
#undef u_shr
#undef PIN
#undef ACCUMULATORS
#undef TILE_ROWS
#undef MOST_VECS
#undef MOST_COLUMNS
#undef v_transpose
/*@ end */
#endif

#endif
