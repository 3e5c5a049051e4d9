// SPDX-License-Identifier: Apache-2.0
/* self_test.c: the self test of a generated file fails when it should; linked with that file.
 *
 * It must fail with 2 when any one bit of the weights is flipped, with 1 when subnormals are flushed or read as zero or
 * the rounding mode is another, and pass before and after.
 */
#include MODEL_H

#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined __x86_64__
#include <immintrin.h>
#endif

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define RECORD PASTE(MODEL, _model)

static void *scratch;

static void want(int result, const void *weights, const char *what)
{
    int got = RECORD.self_test(weights, RECORD.expected, scratch);
    if (got != result) {
        printf("FAILED: self test gives %d, not %d: %s\n", got, result, what);
        exit(1);
    }
}

/* Every bit of many weights, the first and the last among them. */
static void flipped_bits(void)
{
    size_t bytes = RECORD.weight_floats * sizeof(float), step = RECORD.weight_floats / 50 + 1;
    unsigned char *copy = aligned_alloc(64, (bytes + 63) / 64 * 64);
    memcpy(copy, RECORD.weights, bytes);
    for (size_t i = 0; i < RECORD.weight_floats; i += i + step < RECORD.weight_floats ? step : 1)
        for (int bit = 0; bit < 32; bit++) {
            copy[4 * i + (size_t)bit / 8] ^= (unsigned char)(1 << bit % 8);
            want(2, copy, "a bit of the weights is flipped");
            copy[4 * i + (size_t)bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    want(0, copy, "a copy of the weights");
    free(copy);
}

static void other_environment(void)
{
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        fesetround(modes[i]);
        int got = RECORD.self_test(RECORD.weights, RECORD.expected, scratch);
        fesetround(FE_TONEAREST);
        if (got != 1) {
            printf("FAILED: self test gives %d in rounding mode %zu\n", got, i);
            exit(1);
        }
    }
#if defined __x86_64__
    const unsigned normal = _mm_getcsr();
    const unsigned flags[] = {0x8000 /* FTZ */, 0x0040 /* DAZ */, 0x8040};
    for (size_t i = 0; i < 3; i++) {
        _mm_setcsr(normal | flags[i]);
        int got = RECORD.self_test(RECORD.weights, RECORD.expected, scratch);
        _mm_setcsr(normal);
        if (got != 1) {
            printf("FAILED: self test gives %d with MXCSR flags %x\n", got, flags[i]);
            exit(1);
        }
    }
#endif
}

int main(void)
{
    scratch = aligned_alloc(64, (RECORD.scratch_bytes + 63) / 64 * 64);
    want(0, RECORD.weights, "as built");
    flipped_bits();
    other_environment();
    want(0, RECORD.weights, "at the end");
    printf("ok %s\n", RECORD.chosen_isa());
    return 0;
}
