// SPDX-License-Identifier: Apache-2.0
/* Tests of decimal.c: the same bytes as printf's. */
#include "mmoec.h"

#include <math.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#define APART 9973u                 /* of the bit patterns that are tried: a prime */

static void prints(float x)
{
    char got[FLOAT_TEXT + 1], want[64];
    memset(got, '#', sizeof got);
    size_t n = print_float(got, x);
    snprintf(want, sizeof want, "%.9g", (double)x);
    if (n != strlen(want) || memcmp(got, want, n) != 0 || got[FLOAT_TEXT] != '#')
        fail_msg("%a is printed as %.*s, needs %s", (double)x, (int)n, got, want);
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Patterns all over the range of float but NaN. */
static void prints_as_printf_does(void **state)
{
    (void)state;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += APART)
        if (!isnan(float_of((uint32_t)bits)))
            prints(float_of((uint32_t)bits));
}

/* Floats around powers of ten, and around powers of two, where few digits are needed. */
static void prints_round_numbers(void **state)
{
    (void)state;
    for (int power = -10; power < 12; power++)
        for (int times = 1; times <= 9; times++) {
            float x = (float)(times * pow(10, power)), y = ldexpf((float)times, power), up = x, down = x;
            for (int i = 0; i < 100; i++, up = nextafterf(up, INFINITY), down = nextafterf(down, 0)) {
                prints(up);
                prints(-down);
            }
            prints(y);
            prints(-y);
        }
}

static void prints_what_is_no_number(void **state)
{
    (void)state;
    const uint32_t edges[] = {0, 0x80000000, 1, 0x007fffff, 0x00800000, 0x7f7fffff, 0x7f800000, 0xff800000, 0x4affffff,
                              0x4b000000};
    char got[FLOAT_TEXT];
    for (size_t i = 0; i < COUNT(edges); i++)
        prints(float_of(edges[i]));
    assert_int_equal(print_float(got, float_of(0xffc00000)), 3);
    assert_memory_equal(got, "nan", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_as_printf_does),
        cmocka_unit_test(prints_round_numbers),
        cmocka_unit_test(prints_what_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
