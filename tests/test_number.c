// SPDX-License-Identifier: Apache-2.0
/* number.c: what TensorFlow takes and what it refuses; floats and texts against glibc's, which rounds correctly. */
#include "one_job.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void whole_numbers(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } all[] = {
        {"0", true, 0}, {"-0", true, 0}, {"007", true, 7}, {" 12 ", true, 12}, {"\t-5\n", true, -5}, {"+3", true, 3},
        {"2147483647", true, INT32_MAX}, {"-2147483648", true, INT32_MIN}, {"2147483648", false, 0},
        {"-2147483649", false, 0}, {"99999999999999999999", false, 0}, {"", false, 0}, {" ", false, 0}, {"-", false, 0},
        {"1.0", false, 0}, {"1e3", false, 0}, {"1 2", false, 0}, {"- 1", false, 0}, {"0x1", false, 0}, {"--1", false, 0},
        {"a", false, 0}, {"1a", false, 0}, {"１", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        int64_t value = 77;
        if (text_to_int(all[i].text, strlen(all[i].text), INT32_MIN, INT32_MAX, &value) != all[i].good ||
            (all[i].good && value != all[i].value))
            fail_msg("\"%s\"", all[i].text);
    }
}

static void whole_numbers_of_64_bits(void **state)
{
    int64_t value;
    (void)state;
    assert_true(text_to_int("9223372036854775807", 19, INT64_MIN, INT64_MAX, &value) && value == INT64_MAX);
    assert_true(text_to_int("-9223372036854775808", 20, INT64_MIN, INT64_MAX, &value) && value == INT64_MIN);
    assert_false(text_to_int("9223372036854775808", 19, INT64_MIN, INT64_MAX, &value));
    assert_false(text_to_int("-9223372036854775809", 20, INT64_MIN, INT64_MAX, &value));
    assert_false(text_to_int("18446744073709551617", 20, INT64_MIN, INT64_MAX, &value));
    assert_false(text_to_int("1\0", 2, INT64_MIN, INT64_MAX, &value));
}

/* Bits of what the text is as a float; 0xbadbad if it is refused. */
static uint32_t bits(const char *text)
{
    float x;
    uint32_t b;
    if (!text_to_float(text, strlen(text), &x))
        return 0xbadbad;
    memcpy(&b, &x, sizeof b);
    return b;
}

static void floats(void **state)
{
    static const struct {
        const char *text;
        float value;
    } all[] = {
        {"0", 0.0f}, {"1", 1}, {"+1", 1}, {"-1.5", -1.5f}, {"1.", 1}, {".5", 0.5f}, {"1e3", 1000}, {"1E+3", 1000},
        {"1e-3", 1e-3f}, {" 2 ", 2}, {"\t2\r", 2}, {"   ", 0.0f}, {"0x1F", 31}, {"-0X10", -16}, {"inf", INFINITY},
        {"-INF", -INFINITY}, {"0.1", 0.1f}, {"16777217", 16777216}, {"16777219", 16777220},
        {"3.4028234663852886e38", 0x1.fffffep127f}, {"3.4028235677973367e38", INFINITY}, {"1e39", INFINITY},
        {"3.4028235677973366e38", 0x1.fffffep127f}, {"1e-45", 0x1p-149f}, {"7.0064923216240854e-46", 0x1p-149f},
        {"7.006492321624085e-46", 0}, {"1e-60", 0}, {"1e999999999", INFINITY}, {"1e-999999999", 0}, {"0e99999", 0},
        {"1.17549435e-38", 0x1p-126f}, {"123456789012345678901234567890", 1.2345679e29f},
        {"0.00000000000000000000000000001", 1e-29f},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        float x;
        if (!text_to_float(all[i].text, strlen(all[i].text), &x) || memcmp(&x, &all[i].value, sizeof x) != 0)
            fail_msg("\"%s\" is %a, needs %a", all[i].text, (double)x, (double)all[i].value);
    }
    assert_int_equal(bits("-0"), 0x80000000);
    assert_int_equal(bits("nan") & 0x7fc00000, 0x7fc00000);
    assert_int_equal(bits("NaN") & 0x7fc00000, 0x7fc00000);
}

static void refused_floats(void **state)
{
    static const char *const all[] = {"", ".", "-", "+", "e5", "1e", "1e+", "1.2.3", "1,5", "1 2", "- 1", "--1", "0x", "0xg",
                                      "infinity", "nanx", "1f", "abc", "1_000", "0x1p3", "1e5x", "inf1", "1.5|"};
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++)
        if (bits(all[i]) != 0xbadbad)
            fail_msg("\"%s\"", all[i]);
    assert_int_equal(bits("1.000000000000000000000000000000"), 0xbadbad);   /* 32 bytes */
    assert_int_equal(bits("1.00000000000000000000000000000"), 0x3f800000);  /* 31 */
    float x;
    assert_false(text_to_float("1\0", 2, &x));
}

static void floats_are_the_nearest(void **state)
{
    uint64_t seed = 1;
    char text[64];
    (void)state;
    for (int i = 0; i < 20000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        unsigned long long digits = seed >> (seed >> 8 & 63);
        int exponent = (int)((seed >> 20) % 700) - 360, small = exponent % 60;
        double d, want_d;
        float f, want_f;
        snprintf(text, sizeof text, "%llue%d", digits, i & 1 ? exponent : small);
        want_d = strtod(text, NULL);
        want_f = strtof(text, NULL);
        if (!text_to_double(text, strlen(text), &d) || memcmp(&d, &want_d, sizeof d) != 0)
            fail_msg("%s is %a, needs %a", text, d, want_d);
        if (!text_to_float(text, strlen(text), &f) || memcmp(&f, &want_f, sizeof f) != 0)
            fail_msg("%s is %a, needs %a", text, (double)f, (double)want_f);
    }
}

/* Just at, below and above the middle between two floats. */
static void halves_go_to_even(void **state)
{
    (void)state;
    assert_int_equal(bits("1.000000059604644775390625"), 0x3f800000);
    assert_int_equal(bits("1.00000005960464477539062501"), 0x3f800001);
    assert_int_equal(bits("1.00000017881393432617187"), 0x3f800001);
    assert_int_equal(bits("1.000000178813934326171875"), 0x3f800002);
}

/* ---- printing ---------------------------------------------------------------------------------- */

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed ^ *seed >> 29;
}

/* Nothing is written beyond the text. */
static void check_whole(int64_t x)
{
    char text[ROOM_OF_INT + 2], want[32];
    int n = snprintf(want, sizeof want, "%" PRId64, x);
    memset(text, '#', sizeof text);
    if (int_to_text(x, text) != (size_t)n || memcmp(text, want, (size_t)n) != 0 || text[n] != '#')
        fail_msg("%.*s, needs %s", (int)sizeof text, text, want);
}

static void whole_numbers_are_printed(void **state)
{
    static const int64_t all[] = {0, 1, -1, 9, 10, -10, 99, 100, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    uint64_t seed = 1;
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++)
        check_whole(all[i]);
    for (int64_t x = 1; x < INT64_MAX / 10; x *= 10) {
        check_whole(x - 1);
        check_whole(-x);
    }
    for (int i = 0; i < 100000; i++) {
        uint64_t x = next(&seed);
        check_whole((int64_t)(x >> (next(&seed) & 63)));
        check_whole(-(int64_t)(x >> (1 + next(&seed) % 63)));
    }
}

static void check_fixed(double x, int digits)
{
    char text[ROOM_OF_FIXED + 1], want[512];
    int n = snprintf(want, sizeof want, "%.*f", digits, x);
    memset(text, '#', sizeof text);
    if (double_to_text(x, digits, text) != (size_t)n || memcmp(text, want, (size_t)n) != 0 || text[n] != '#')
        fail_msg("%a with %d digits: %.*s, needs %s", x, digits, n, text, want);
}

static void edges_are_printed(void **state)
{
    static const double all[] = {
        0, 1, 9, 10, 0.1, 0.5, 1.5, 2.5, 0.125, 0.375, 0.25, 0.75, 9.5, 99.5, 0.05, 0.95, 0.995, 1e15, 1e16, 1e22, 1e23,
        123.456, 3.4028234663852886e38, 0x1p52, 0x1p53, 0x1p52 + 0.5, 0x1p51 + 0.5, 0x1.fffffffffffffp52, 0x1p-30,
        0x1p-31, 0x1p-32, 0x1p-33, 0x1p-100, 0x1p-1074, 0x1.8p-1073, 0x0.fffffffffffffp-1022, DBL_EPSILON, DBL_MIN,
        DBL_MAX, INFINITY, NAN,
    };
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++)
        for (int digits = 0; digits <= 100; digits++) {
            check_fixed(all[i], digits);
            check_fixed(-all[i], digits);
        }
    char text[ROOM_OF_FIXED];
    assert_int_equal(double_to_text(-DBL_MAX, 100, text), ROOM_OF_FIXED);
}

/* Multiples of 2^-k need k digits: with one digit less they lie in the middle. */
static void halves_are_printed_to_even(void **state)
{
    (void)state;
    for (int k = 1; k < 40; k++)
        for (int i = 1; i < 400; i++)
            for (int digits = k > 3 ? k - 3 : 0; digits <= k; digits++)
                check_fixed(ldexp(i, -k), digits);
    char text[ROOM_OF_FIXED];
    assert_true(double_to_text(0.5, 0, text) == 1 && text[0] == '0');
    assert_true(double_to_text(1.5, 0, text) == 1 && text[0] == '2');
    assert_true(double_to_text(2.5, 0, text) == 1 && text[0] == '2');
}

static void doubles_are_printed(void **state)
{
    uint64_t seed = 1;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t pattern = next(&seed);
        double x;
        int exponent;
        memcpy(&x, &pattern, sizeof x);
        check_fixed(x, (int)(next(&seed) % 101));
        check_fixed((double)(float)ldexp(frexp(x, &exponent), (int)(pattern % 60) - 30), (int)(pattern >> 8 & 7));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whole_numbers), TEST(whole_numbers_of_64_bits), TEST(floats), TEST(refused_floats),
        TEST(floats_are_the_nearest), TEST(halves_go_to_even), TEST(whole_numbers_are_printed), TEST(edges_are_printed),
        TEST(halves_are_printed_to_even), TEST(doubles_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
