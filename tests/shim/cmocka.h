// SPDX-License-Identifier: Apache-2.0
/* cmocka.h: what tests/test_kernels.c uses of cmocka, where there is no library: for other processors. */
#include <stdio.h>
#include <stdlib.h>

#define print_message printf
#define fail_msg(...) (printf(__VA_ARGS__), printf("\n"), exit(1))
#define assert_true(c) ((c) ? (void)0 : fail_msg("%s:%d: %s", __FILE__, __LINE__, #c))
#define assert_non_null(p) assert_true((p) != NULL)
#define assert_int_equal(a, b) assert_true((a) == (b))

struct CMUnitTest {
    const char *name;
    void (*test)(void **);
};
#define cmocka_unit_test(f) {#f, f}
#define cmocka_run_group_tests(tests, setup, teardown) run_tests(tests, sizeof(tests) / sizeof((tests)[0]))

static int run_tests(const struct CMUnitTest *tests, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tests[i].test(NULL);
        printf("ok %s\n", tests[i].name);
    }
    return 0;
}
