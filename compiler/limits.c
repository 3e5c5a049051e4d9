// SPDX-License-Identifier: Apache-2.0
/* limits.c: loops that do nothing but reach an instruction set's limits, to measure them; compiled once for each, with
 * SIMD_AVX512, SIMD_AVX2, SIMD_NEON or SIMD_PLAIN and ISA (its name) defined, in the words of the kernels.
 */
#include "mmoec.h"
#include "../templates/simd.h"

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)

/* Stores the sum of all, whole vectors: what nobody could read would not be computed. */
BLOCK_BODY TARGET void store_sum(const vf v[ACCUMULATORS], float *to)
{
    vf sum = v[0];
    UNROLL
    for (size_t i = 1; i < ACCUMULATORS; i++)
        sum = v_add(sum, v[i]);
    v_store(to, sum);
}

/* ACCUMULATORS chains of n > 0 steps each: more than a core's fused multiply-adds take cycles, so that none waits. */
static TARGET void multiply_add(size_t n, float *to)
{
    vf acc[ACCUMULATORS], a = v_all(0.5F), b = v_all(1);
    UNROLL
    for (size_t i = 0; i < ACCUMULATORS; i++)
        acc[i] = v_all((float)i);
    do {
        PIN(a);
        PIN(b);
        UNROLL
        for (size_t i = 0; i < ACCUMULATORS; i++)
            acc[i] = v_fma(acc[i], a, b);
    } while (--n);
    store_sum(acc, to);
}

/* Of vectors a fused multiply-add, whose result takes the register of the sum: else gcc adds a move for each, and they
   cost as much as the loads. The plain words may have it in software. */
#define SUM(sum, v) (VL > 1 ? v_fma(v, one, sum) : v_add(sum, v))

/* Every vector once, in order; the sums depend on all that was read. */
static TARGET void read_all(const float *p, size_t floats, float *to)
{
    const vf one = v_all(1);
    vf sum[ACCUMULATORS];
    UNROLL
    for (size_t i = 0; i < ACCUMULATORS; i++)
        sum[i] = v_all(0);
    const float *end = p + floats;
    for (; (size_t)(end - p) >= ACCUMULATORS * VL; p += ACCUMULATORS * VL) {
        UNROLL
        for (size_t i = 0; i < ACCUMULATORS; i++)
            sum[i] = SUM(sum[i], v_load(p + i * VL));
    }
    for (; p < end; p += VL)
        sum[0] = SUM(sum[0], v_load(p));
    store_sum(sum, to);
}

const struct limits PASTE(limits__, ISA) = {
    .isa = TEXT(ISA), .operations = 2.0 * VL * ACCUMULATORS, .multiply_add = multiply_add, .read_all = read_all,
};
