// SPDX-License-Identifier: Apache-2.0
/* sha256_x86.c: blocks of SHA-256 by the instructions that x86-64 processors have for it. A swap makes the digest of all
 * weights: in plain C four fifths of its time (13.4 of 17 ms for 3 MB on a Xeon of model 207; so, 2.4 of 6).
 *
 * The instructions keep the eight words of FIPS 180-4 in two vectors, highest lane first: a b e f, and c d g h. One of
 * them makes two steps, taking the sums of constants and schedule from the lower half of a vector. Four words of the
 * schedule are made at once from the sixteen before them.
 */
#include "sha256.h"

#if defined __x86_64__

#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>

/* CPUID may take many microseconds in a virtual machine, so its answer is kept. */
int sha256_x86_runs(void)
{
    enum { UNKNOWN, NO, YES };
    static atomic_uchar known;
    unsigned char answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == UNKNOWN) {
        unsigned a, b, c, d, b7 = 0;
        const unsigned sse = bit_SSSE3 | bit_SSE4_1;
        int runs = __get_cpuid(1, &a, &b, &c, &d) && (c & sse) == sse;
        runs = runs && __get_cpuid_count(7, 0, &a, &b7, &c, &d) && b7 & 1u << 29; /* SHA */
        answer = runs ? YES : NO;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == YES;
}

#define TARGET __attribute__((target("sha,ssse3,sse4.1")))

TARGET static inline __m128i load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }

/* Words of a block are big-endian. */
TARGET static inline __m128i load_words(const unsigned char *p)
{
    return _mm_shuffle_epi8(load(p), _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
}

/* 6.2.2, step 1: the next four words of the schedule, from sixteen. */
TARGET static inline __m128i next_words(__m128i w0, __m128i w4, __m128i w8, __m128i w12)
{
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w4), _mm_alignr_epi8(w12, w8, 4));
    return _mm_sha256msg2_epu32(sum, w12);
}

/* 6.2.2, steps 2 to 4. */
TARGET static inline void add_block(__m128i *abef, __m128i *cdgh, const unsigned char *block)
{
    __m128i x = *abef, y = *cdgh;
    __m128i w0 = load_words(block), w4 = load_words(block + 16), w8 = load_words(block + 32),
            w12 = load_words(block + 48);
    for (int t = 0; t < 64; t += 4) {
        const __m128i k = _mm_add_epi32(w0, load(sha256_constants + t));
        const __m128i next = next_words(w0, w4, w8, w12); /* the last four of them are for nothing */
        y = _mm_sha256rnds2_epu32(y, x, k);
        x = _mm_sha256rnds2_epu32(x, y, _mm_shuffle_epi32(k, 0x0e));
        w0 = w4, w4 = w8, w8 = w12, w12 = next;
    }
    *abef = _mm_add_epi32(*abef, x);
    *cdgh = _mm_add_epi32(*cdgh, y);
}

TARGET void sha256_blocks_x86(uint32_t h[8], const unsigned char *blocks, size_t n)
{
    const __m128i badc = _mm_shuffle_epi32(load(h), 0xb1), hgfe = _mm_shuffle_epi32(load(h + 4), 0x1b);
    __m128i abef = _mm_alignr_epi8(badc, hgfe, 8), cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);
    for (; n > 0; n--, blocks += 64)
        add_block(&abef, &cdgh, blocks);
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)h, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(h + 4), _mm_alignr_epi8(dchg, feba, 8));
}

#else
typedef int nothing_here; /* ISO C wants a declaration */
#endif
