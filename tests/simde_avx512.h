// SPDX-License-Identifier: Apache-2.0
/* simde_avx512.h: the AVX-512 words of templates/simd.h for a processor with AVX2 and FMA, by SIMDe.
 *
 * In place of <immintrin.h>, in a copy of the source whose names other_machines.sh has put simde_ before.
 */
#if !defined __AVX2__ || !defined __FMA__
#error "SIMDe would round twice in its multiply-add: compile with -mavx2 -mfma"
#endif
#if defined __AVX512F__
#error "SIMDe would emulate nothing: compile without AVX-512"
#endif

/* Only what the words need: the whole of SIMDe's AVX-512 takes seconds to compile. */
#include <simde/x86/avx512/add.h>
#include <simde/x86/avx512/and.h>
#include <simde/x86/avx512/blend.h>
#include <simde/x86/avx512/cast.h>
#include <simde/x86/avx512/cmp.h>
#include <simde/x86/avx512/div.h>
#include <simde/x86/avx512/fmadd.h>
#include <simde/x86/avx512/loadu.h>
#include <simde/x86/avx512/max.h>
#include <simde/x86/avx512/min.h>
#include <simde/x86/avx512/mul.h>
#include <simde/x86/avx512/or.h>
#include <simde/x86/avx512/permutexvar.h>
#include <simde/x86/avx512/set1.h>
#include <simde/x86/avx512/shuffle.h>
#include <simde/x86/avx512/slli.h>
#include <simde/x86/avx512/srli.h>
#include <simde/x86/avx512/storeu.h>
#include <simde/x86/avx512/sub.h>
#include <simde/x86/avx512/unpackhi.h>
#include <simde/x86/avx512/unpacklo.h>

/* Not in SIMDe 0.7.4. Lanes that the mask leaves out are neither read nor written. */
#define simde_mm512_maskz_loadu_ps masked_load
#define simde_mm512_mask_storeu_ps masked_store
#define simde_mm512_zextps128_ps512 from_four
#define simde_mm512_zextps256_ps512 from_eight

static inline simde__m512 from_four(simde__m128 a)
{
    float lanes[16] = {0};
    simde_mm_storeu_ps(lanes, a);
    return simde_mm512_loadu_ps(lanes);
}

static inline simde__m512 from_eight(simde__m256 a)
{
    float lanes[16] = {0};
    simde_mm256_storeu_ps(lanes, a);
    return simde_mm512_loadu_ps(lanes);
}

static inline simde__m512 masked_load(simde__mmask16 mask, const float *p)
{
    float lanes[16];
    for (int i = 0; i < 16; i++)
        lanes[i] = mask >> i & 1 ? p[i] : 0.0f;
    return simde_mm512_loadu_ps(lanes);
}

static inline void masked_store(float *p, simde__mmask16 mask, simde__m512 a)
{
    float lanes[16];
    simde_mm512_storeu_ps(lanes, a);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            p[i] = lanes[i];
}
