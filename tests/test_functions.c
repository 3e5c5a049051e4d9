// SPDX-License-Identifier: Apache-2.0
/* templates/functions.c against libm in long double, rounded to float, and against bits that every build must give:
 * CMake compiles this file with several compilers and flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "../templates/functions.c"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static long double identity(long double x) { return x; }
static long double square(long double x) { return x * x; }
static long double relu(long double x) { return x > 0 || isnan(x) ? x : 0; }
static long double sigmoid(long double x) { return 1 / (1 + expl(-x)); }

/* Wrong roundings allowed in 100,000 results; none is off by more than a unit in the last place. `bits` is the
   checksum of same_bits_everywhere. */
static const struct function {
    const char *name;
    float (*function)(float);
    long double (*truth)(long double);
    long wrong;
    uint64_t bits;
} functions[] = {
    {"abs", fn_abs, fabsl, 0, UINT64_C(0xb042710595ff9900)},
    {"ceil", fn_ceil, ceill, 0, UINT64_C(0x752d7cd1cd00a9a0)},
    {"cos", fn_cos, cosl, 1, UINT64_C(0xafe9d3ec3c07d0d9)},
    {"exp", fn_exp, expl, 1, UINT64_C(0x2200bc74f15156c3)},
    {"expm1", fn_expm1, expm1l, 1, UINT64_C(0xfab50278894b002d)},
    {"floor", fn_floor, floorl, 0, UINT64_C(0x5c6131c9ada9d32c)},
    {"identity", fn_identity, identity, 0, UINT64_C(0xdc1dc9fb95ff9900)},
    {"log", fn_log, logl, 1, UINT64_C(0x97c6d0d445faf170)},
    {"log1p", fn_log1p, log1pl, 1, UINT64_C(0x166ac2fb53e7dd32)},
    {"relu", fn_relu, relu, 0, UINT64_C(0x172a4383be3aa300)},
    {"round", fn_round, rintl, 0, UINT64_C(0x754b73ff29fa48c0)},
    {"sigmoid", fn_sigmoid, sigmoid, 1, UINT64_C(0xa2e70f4148a27d56)},
    {"sin", fn_sin, sinl, 1, UINT64_C(0xcb9e7ecc3cf5fcfe)},
    {"sqrt", fn_sqrt, sqrtl, 0, UINT64_C(0x1f35641ac3e0e590)},
    {"square", fn_square, square, 0, UINT64_C(0x83cdfe8f811f4ccb)},
    {"tanh", fn_tanh, tanhl, 1, UINT64_C(0x37c6025632d2cdb5)},
};

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Every NaN is the same. */
static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return isnan(x) ? UINT32_C(0x7fc00000) : bits;
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed ^ *seed >> 29;
}

/* 1 if the result is not the float nearest to the truth; fails if it is not even a neighbour of it. */
static long wrong(const struct function *f, float x)
{
    uint32_t got = bits_of(f->function(x)), want = bits_of((float)f->truth((long double)x));
    if (got - want + 1 > 2)
        fail_msg("%s(%a) is %a, needs %a", f->name, (double)x, (double)float_of(got), (double)float_of(want));
    return got != want;
}

static void special_values(void **state)
{
    static const float all[] = {
        0.0f, 1, 0.5f, 1.5f, 2.5f, 3.5f, 0.25f, 2, 3, 4, 9, 16, 0x1p-149f, 0x1p-126f, 0x1.fffffcp-127f, 0x1p-24f,
        0x1p-25f, 0x1.fffffep-1f, 0x1.000002p0f, 0x1.fffffep-2f, 0x1.000002p-1f, 8388607.5f, 8388608, 8388609,
        4194303.5f, 4194304.5f, 16777216, 0x1.fffffep127f, 88.72283f, 88.72284f, 103.97207f, 103.97208f, 104, 87.33654f,
        17.32868f, 9.010913f, 9.01092f, 0.25f, 0.34f, 0.34657359f, 0.69314718f, 0.70710678f, 0.41421354f, 0.29289323f,
        710, 745.2f, 746, 1e10f, 0.78539819f, 1.5707964f, 3.1415927f, 6.2831855f, INFINITY, NAN,
        0x1.f9cbe2p7f, 0x1.47d0fep34f, 0x1.f37c8ap95f, 0x1.f37c8ap96f,      /* nearest to multiples of pi / 2 */
    };
    (void)state;
    for (size_t k = 0; k < COUNT(functions); k++)
        for (size_t i = 0; i < COUNT(all); i++)
            if (wrong(&functions[k], all[i]) || wrong(&functions[k], -all[i]))
                fail_msg("%s(+-%a)", functions[k].name, (double)all[i]);
}

/* What libm gives, said once more where it matters. */
static void domains_and_signs(void **state)
{
    (void)state;
    assert_true(fn_log(0.0f) == -INFINITY && fn_log(-0.0f) == -INFINITY);
    assert_true(isnan(fn_log(-1)) && isnan(fn_log(-INFINITY)));
    assert_true(fn_log1p(-1) == -INFINITY && isnan(fn_log1p(-1.5f)) && bits_of(fn_log1p(-0.0f)) == 0x80000000);
    assert_true(isnan(fn_sqrt(-0x1p-149f)) && isnan(fn_sqrt(-INFINITY)) && bits_of(fn_sqrt(-0.0f)) == 0x80000000);
    assert_true(bits_of(fn_relu(-0.0f)) == 0 && isnan(fn_relu(NAN)) && bits_of(fn_relu(-INFINITY)) == 0);
    assert_true(bits_of(fn_ceil(-0.5f)) == 0x80000000 && bits_of(fn_round(-0.5f)) == 0x80000000);
    assert_true(fn_exp(-INFINITY) == 0 && fn_exp(89) == INFINITY && fn_expm1(-INFINITY) == -1);
    assert_true(bits_of(fn_expm1(-0.0f)) == 0x80000000 && bits_of(fn_tanh(-0.0f)) == 0x80000000);
}

/* Floats of all exponents, then those where functions bend. */
static void floats_are_the_nearest(void **state)
{
    static const struct { float from, to; } dense[] = {
        {-1, 1}, {0.25f, 4}, {-110, 90}, {-0.36f, -0.33f}, {0.33f, 0.36f}, {-10, 10}, {1e6f, 1e7f},
    };
    const int n = 2000000, n_dense = 100000;
    (void)state;
    for (size_t k = 0; k < COUNT(functions); k++) {
        uint64_t seed = 1;
        long count = 0;
        for (int i = 0; i < n; i++)
            count += wrong(&functions[k], float_of((uint32_t)(next(&seed) >> 24)));
        for (size_t d = 0; d < COUNT(dense); d++)
            for (int i = 0; i < n_dense; i++) {
                const float part = (float)i / (float)n_dense;
                count += wrong(&functions[k], dense[d].from * (1 - part) + dense[d].to * part);
            }
        if (count > functions[k].wrong * (n / 100000))
            fail_msg("%s: %ld results are not the nearest floats", functions[k].name, count);
    }
}

/* Errors in units of 2^-53 of the true value. */
static double error_of(double got, long double truth)
{
    return truth == 0 ? (got == 0 ? 0 : INFINITY) : (double)(fabsl(((long double)got - truth) / truth) * 0x1p53L);
}

static void doubles_are_near(void **state)
{
    uint64_t seed = 1;
    (void)state;
    for (int i = 0; i < 1000000; i++) {
        const double unit = (double)(next(&seed) >> 11) * 0x1p-53, x = -708 + unit * 1417, near = unit * 2 - 1;
        const double any = bits_double(next(&seed) >> 1);
        if (error_of(exp_of(x), expl(x)) > 2 || error_of(exp_of(near), expl(near)) > 2)
            fail_msg("exp_of(%a) or of %a", x, near);
        if (error_of(expm1_of(x), expm1l(x)) > 7 || error_of(expm1_of(near), expm1l(near)) > 7)
            fail_msg("expm1_of(%a) or of %a", x, near);
        if (error_of(log_of(unit + 0.5), logl(unit + 0.5)) > 4)
            fail_msg("log_of(%a)", unit + 0.5);
        if (any < INFINITY && error_of(log_of(any), logl(any)) > 4)
            fail_msg("log_of(%a)", any);
    }
}

static void ends_of_double(void **state)
{
    (void)state;
    assert_true(exp_of(-745.2) == 0 && exp_of(-1e300) == 0 && exp_of(-INFINITY) == 0);
    assert_true(exp_of(-745.1) == 0x1p-1074 && exp_of(-744.03) == 0x1p-1073 && exp_of(-1e-300) == 1 && exp_of(0) == 1);
    assert_true(exp_of(709.79) == INFINITY && exp_of(1e300) == INFINITY && exp_of(INFINITY) == INFINITY);
    assert_true(exp_of(709.78) < INFINITY && isnan(exp_of(NAN)));
    assert_true(log_of(0x1p-1074) == -0x1.74385446d71c3p+9 && log_of(1) == 0 && log_of(INFINITY) == INFINITY);
    assert_true(isnan(log_of(NAN)) && isnan(log_of(-1)) && log_of(0) == -INFINITY);
}

/* FNV-1a. */
static uint64_t add_word(uint64_t sum, uint64_t word) { return (sum ^ word) * UINT64_C(0x100000001b3); }

static void same_bits_everywhere(void **state)
{
    const uint64_t doubles_bits = UINT64_C(0xecd044a54bda5eb4);
    uint64_t seed = 1, doubles = 0;
    int bad = 0;
    (void)state;
    for (size_t k = 0; k < COUNT(functions); k++) {
        uint64_t sum = 0;
        for (uint64_t u = 0; u >> 32 == 0; u += 10007)
            sum = add_word(sum, bits_of(functions[k].function(float_of((uint32_t)u))));
        if (sum != functions[k].bits)
            print_error("%s: 0x%016" PRIx64 "\n", functions[k].name, sum);
        bad += sum != functions[k].bits;
    }
    for (int i = 0; i < 400000; i++) {
        const double x = (double)(int64_t)next(&seed) * 0x1p-63;
        doubles = add_word(doubles, double_bits(exp_of(750 * x)));
        doubles = add_word(doubles, double_bits(exp_of(x)));
        doubles = add_word(doubles, double_bits(log_of(x < 0 ? -x : x)));
    }
    if (doubles != doubles_bits)
        print_error("doubles: 0x%016" PRIx64 "\n", doubles);
    assert_true(bad == 0 && doubles == doubles_bits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_values), cmocka_unit_test(domains_and_signs), cmocka_unit_test(floats_are_the_nearest),
        cmocka_unit_test(doubles_are_near), cmocka_unit_test(ends_of_double), cmocka_unit_test(same_bits_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
