// SPDX-License-Identifier: Apache-2.0
/* test_sha256.c: SHA-256 against the examples of FIPS 180-4 (and NIST's of long messages), and
 * bytes in pieces against the same bytes at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../runtime/sha256.h"

static const char *hex(const unsigned char digest[32])
{
    static char text[65];
    for (int i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

static const char *const examples[][2] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
     "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

static void examples_of_the_standard(void **state)
{
    (void)state;
    unsigned char digest[32];
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        sha256(examples[i][0], strlen(examples[i][0]), digest);
        assert_string_equal(hex(digest), examples[i][1]);
    }
}

static void a_million_letters(void **state)
{
    (void)state;
    unsigned char digest[32];
    char letters[1000];
    struct sha256 s;
    memset(letters, 'a', sizeof letters);
    sha256_init(&s);
    for (int i = 0; i < 1000; i++)
        sha256_update(&s, letters, sizeof letters);
    sha256_final(&s, digest);
    assert_string_equal(hex(digest),
                        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void nothing_at_no_address(void **state)
{
    (void)state;
    unsigned char digest[32];
    sha256(NULL, 0, digest);
    assert_string_equal(hex(digest), examples[0][1]);
}

/* Every length around the borders of blocks and of the padding, cut at every place. */
static void pieces_are_the_whole(void **state)
{
    (void)state;
    unsigned char bytes[200], whole[32], pieces[32];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + 11);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        sha256(bytes, n, whole);
        for (size_t cut = 0; cut <= n; cut++) {
            struct sha256 s;
            sha256_init(&s);
            sha256_update(&s, bytes, cut);
            sha256_update(&s, bytes + cut, n - cut);
            sha256_final(&s, pieces);
            assert_memory_equal(pieces, whole, sizeof whole);
        }
    }
}

/* Both ways to add blocks, over bytes of a small generator; skipped where the processor knows one only. */
static void instructions_are_the_plain_steps(void **state)
{
    (void)state;
    enum { BLOCKS = 50 };
    unsigned char bytes[BLOCKS * 64 + 1];
    uint32_t seed = 1, plain[8], x86[8];
    if (!sha256_x86_runs())
        skip();
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)((seed = seed * 1664525 + 1013904223) >> 24);
    for (size_t n = 0; n <= BLOCKS; n++) {
        for (uint32_t i = 0; i < 8; i++)
            plain[i] = x86[i] = seed * (i + 1);
        sha256_blocks_plain(plain, bytes + n % 2, n);
        sha256_blocks_x86(x86, bytes + n % 2, n);
        assert_memory_equal(x86, plain, sizeof plain);
    }
}

/* What the functions of the header do where the processor has no instructions for it. */
static void plain_steps_give_an_example(void **state)
{
    (void)state;
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const unsigned char block[64] = {'a', 'b', 'c', 0x80, [63] = 24};
    sha256_blocks_plain(h, block, 1);
    unsigned char digest[32];
    for (int i = 0; i < 32; i++)
        digest[i] = (unsigned char)(h[i / 4] >> (24 - i % 4 * 8));
    assert_string_equal(hex(digest), examples[1][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_standard),
        cmocka_unit_test(a_million_letters),
        cmocka_unit_test(nothing_at_no_address),
        cmocka_unit_test(pieces_are_the_whole),
        cmocka_unit_test(instructions_are_the_plain_steps),
        cmocka_unit_test(plain_steps_give_an_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
