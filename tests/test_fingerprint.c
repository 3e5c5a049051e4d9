// SPDX-License-Identifier: Apache-2.0
/* fingerprint.c against published values, and, where it is installed, against Google's implementation. */
#include "one_job.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t of(const char *text) { return fingerprint64(text, strlen(text)); }

static void published_values(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } all[] = {
        {"", UINT64_C(11160318154034397263)},
        {"a", UINT64_C(12917804110809363939)},
        {"b", UINT64_C(11795596070477164822)},
        {"c", UINT64_C(11430444447143000872)},
        {"d", UINT64_C(4470636696479570465)},
        {"hello", UINT64_C(13009744463427800296)},
        {"hello world", UINT64_C(6381520714923946011)},
        {"1234567890123456", UINT64_C(17239105360639788068)},
        {"The quick brown fox jumps over the lazy dog", UINT64_C(12375473906752639284)},
        {"u_1001", UINT64_C(6622095641595465418)},
        {"12345", UINT64_C(16550883754376084728)},
        {"-1", UINT64_C(7333874265151076430)},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++)
        assert_true(of(all[i].text) == all[i].value);
}

static void values_of_long_texts(void **state)
{
    static const struct {
        char c;
        size_t n;
        uint64_t value;
    } all[] = {
        {'a', 64, UINT64_C(5893282057753879417)},
        {'b', 128, UINT64_C(17638211491968783095)},
        {'c', 256, UINT64_C(726802415163973935)},
        {'d', 512, UINT64_C(11981075791954381165)},
    };
    char text[512];
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        memset(text, all[i].c, all[i].n);
        assert_true(fingerprint64(text, all[i].n) == all[i].value);
    }
}

static void worked_buckets(void **state)
{
    (void)state;
    assert_int_equal(of("u_1001") % 100000, 65418);
    assert_int_equal(of("12345") % 100000, 84728);
    assert_int_equal(of("-1") % 100, 30);
    assert_int_equal(of("430548_1007") % 10, 2);
    assert_int_equal(of("娱乐") % 100000, 19810);
    assert_int_equal(of("3.50") % 1000, 949);
    assert_int_equal(of("20XF") % 1000, 326);
    assert_int_equal(of("20_X_F") % 1000, 361);
}

static void crossed_texts(void **state)
{
    const uint64_t seed = UINT64_C(0xDECAFCAFFE);
    (void)state;
    assert_true(fingerprint_cat(fingerprint_cat(seed, of("20")), of("F")) == UINT64_C(2736128156359375602));
    assert_int_equal(fingerprint_cat(fingerprint_cat(seed, of("F")), of("20")) % 1000, 477);
}

#ifdef WITH_FARMHASH
unsigned long long farmhash_fingerprint(const char *bytes, size_t n);

static void google_agrees_on_random_texts(void **state)
{
    char text[600];
    uint64_t seed = 1;
    (void)state;
    for (int i = 0; i < 100000; i++) {
        size_t n = (size_t)i % 601;
        for (size_t k = 0; k < n; k++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            text[k] = (char)(seed >> 56);
        }
        if (fingerprint64(text, n) != farmhash_fingerprint(text, n))
            fail_msg("text %d of %zu bytes", i, n);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(published_values), TEST(values_of_long_texts), TEST(worked_buckets), TEST(crossed_texts),
#ifdef WITH_FARMHASH
        TEST(google_agrees_on_random_texts),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
