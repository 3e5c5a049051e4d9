// SPDX-License-Identifier: Apache-2.0
/* Tests of arena.c: what is promised of each piece of memory, and what happens when there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mmoec.h"

static jmp_buf no_memory;

static struct arena new_arena(void)
{
    return (struct arena){.no_memory = &no_memory, .fail_after = -1};
}

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a = new_arena();
    char *last = NULL;
    for (size_t bytes = 0; bytes < 3000; bytes++) {
        char *p = arena_alloc(&a, bytes);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(is_zero(p, bytes));
        memset(p, 0xff, bytes);
        assert_ptr_not_equal(p, last);
        last = p;
    }
    arena_free(&a);
    assert_null(a.blocks);
    arena_free(&a);
}

static void large_piece_leaves_the_current_block_in_use(void **state)
{
    (void)state;
    struct arena a = new_arena();
    char *first = arena_alloc(&a, 16);
    char *large = arena_alloc(&a, (size_t)8 << 20);
    char *second = arena_alloc(&a, 16);
    assert_true(is_zero(large, (size_t)8 << 20));
    assert_ptr_equal(second, first + 16);
    arena_free(&a);
}

static void large_piece_may_come_first(void **state)
{
    (void)state;
    struct arena a = new_arena();
    memset(arena_alloc(&a, 100000), 1, 100000);
    assert_true(is_zero(arena_alloc(&a, 100), 100));
    arena_free(&a);
}

/* Whether an array of n * size ends at the entry point. */
static bool jumps(size_t n, size_t size)
{
    struct arena a = new_arena();
    if (setjmp(no_memory))
        return true;
    arena_array(&a, n, size);
    arena_free(&a);
    return false;
}

static void impossible_sizes_jump(void **state)
{
    (void)state;
    assert_true(jumps(SIZE_MAX, 2));
    assert_true(jumps(SIZE_MAX / 8 + 1, 8));
    assert_true(jumps(SIZE_MAX, 1));
    assert_false(jumps(0, 8));
    assert_false(jumps(8, 0));
    assert_false(jumps(1000, 8));
}

/* Work that needs many blocks; true if the n-th failed. */
static bool fails_at(long n)
{
    struct arena a = new_arena();
    a.fail_after = n;
    if (setjmp(no_memory)) {
        arena_free(&a);
        return true;
    }
    struct text t = {.arena = &a};
    for (int i = 0; i < 3000; i++)
        text_print(&t, "%d ", i);
    arena_copy(&a, t.data, t.length);
    arena_free(&a);
    return false;
}

static void every_block_may_fail(void **state)
{
    (void)state;
    long n = 0;
    while (fails_at(n))
        n++;
    assert_in_range(n, 4, 40);
}

static void texts_grow(void **state)
{
    (void)state;
    struct arena a = new_arena();
    struct text t = {.arena = &a};
    text_add(&t, "", 0);
    assert_string_equal(t.data, "");
    for (int i = 0; i < 1000; i++) {
        text_add(&t, "ab", 2);
        text_print(&t, "%03d", i);
        assert_int_equal(t.length, 5 * (i + 1));
        assert_int_equal(t.data[t.length], 0);
    }
    assert_memory_equal(t.data, "ab000ab001ab002", 15);
    text_print(&t, "%s", "");
    assert_int_equal(t.length, 5000);
    arena_free(&a);
}

static void copies_end_in_nul(void **state)
{
    (void)state;
    struct arena a = new_arena();
    assert_string_equal(arena_copy(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_copy(&a, NULL, 0), "");
    assert_string_equal(arena_print(&a, "%s-%d", "x", 7), "x-7");
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(large_piece_leaves_the_current_block_in_use),
        cmocka_unit_test(large_piece_may_come_first),
        cmocka_unit_test(impossible_sizes_jump),
        cmocka_unit_test(every_block_may_fail),
        cmocka_unit_test(texts_grow),
        cmocka_unit_test(copies_end_in_nul),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL) != 0;
}
