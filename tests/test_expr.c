// SPDX-License-Identifier: Apache-2.0
/* Tests of expr.c: expressions and their values for a = 3, b = 2, c = 0, "d e" = -1; what is refused, and where. */
#include "one_job.h"
#include "../templates/expr.c"

#include <math.h>

static const char *const inputs[] = {"a", "b", "c", "d e"};
static const double values[] = {3, 2, 0, -1};

static const struct row_expr *parse(const char *text, const char **trouble)
{
    clear();
    const struct row_expr *e = parse_expr(&job, text, inputs, COUNT(inputs), trouble);
    assert_true((e == NULL) == (*trouble != NULL));
    return e;
}

static float value_of(const char *text)
{
    const char *trouble;
    const struct row_expr *e = parse(text, &trouble);
    if (!e)
        fail_msg("\"%s\" is refused: %s", text, trouble);
    return expr_value(e, values);
}

struct example {
    const char *text;
    float is;
};

static void check(const struct example *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float got = value_of(all[i].text);
        if (got != all[i].is && !(isnan(got) && isnan(all[i].is)))
            fail_msg("\"%s\" is %a, needs %a", all[i].text, (double)got, (double)all[i].is);
    }
}

static void arithmetic_is_python_s(void **state)
{
    (void)state;
    static const struct example all[] = {
        {"a", 3}, {"  a\t", 3}, {"(a)", 3}, {"((a))", 3}, {"d e", -1}, {"d e+1", 0}, {"-a", -3}, {"--a", 3},
        {"a + b * 2", 7}, {"a * b + 2", 8}, {"a - b - 1", 0}, {"a / b / 2", 0.75f}, {"a - b * 2 + 1", 0},
        {"a * -b", -6},
        {"a--b", 5}, {"-a * b", -6}, {"a / b * 2", 3}, {"a + 0.5", 3.5f}, {"a + .5", 3.5f}, {"a + 1.", 4},
        {"a + 1e2", 103},
        {"a + 1e+2", 103}, {"a + 1E-2", 3.01f}, {"a * 00.5", 1.5f}, {"1 / 3 * a", 1}, {"a / c", INFINITY},
        {"-a / c", -INFINITY}, {"c / c", NAN}, {"a * 1e300 * 1e300", INFINITY}, {"a * 1e39", INFINITY},
    };
    check(all, COUNT(all));
}

static void comparisons_are_1_or_0(void **state)
{
    (void)state;
    static const struct example all[] = {
        {"a > b", 1}, {"b > a", 0}, {"a >= 3", 1}, {"a >= 3.5", 0}, {"a < b", 0}, {"c < b", 1}, {"a <= 3", 1},
        {"a <= b", 0}, {"a == 3", 1}, {"a == b", 0}, {"a > -1", 1}, {"a>-1", 1}, {"a == b + 1", 1}, {"a - 1 == b", 1},
        {"a<(b+5)", 1}, {"(a + b) > 4", 1}, {"2 < a", 1}, {"c / c == c / c", 0}, {"c / c > 1", 0},
    };
    check(all, COUNT(all));
}

/* From left to right; & before |, as Python reads what EasyRec writes. */
static void truths_are_joined(void **state)
{
    (void)state;
    static const struct example all[] = {
        {"(a > b) & (b > c)", 1}, {"(a > b) & (c > b)", 0}, {"(a < b) | (b > c)", 1}, {"(a < b) | (c > b)", 0},
        {"a > b & (b > c)", 1}, {"a > b & (c > b)", 0}, {"(a>=b) & (a<=(b+5))", 1}, {"((a > b)) | (a == b)", 1},
        {"(a > b) | (a > b) & (c > b)", 1}, {"(c > b) & (a > b) | (a > b)", 1}, {"(a > b) | ((a > b) & (c > b))", 1},
        {"(a > b) | (c > b) | (c > b) & (c > b)", 1}, {"(c > b) | (a > b) & (a > b) | (c > b)", 1},
        {"((a > b) & (a > b)) & (a > b)", 1}, {"(a > b) == (b > c)", 1}, {"(a > b) == (c > b)", 0},
        {"(a > b) & (c > b) == (c > b)", 1}, {"(a > b) | (c > b) == (c > b)", 0}, {"((a > b) | (c > b)) == (a > b)", 1},
        {"(c > b) == (c > b) & (a > b)", 1}, {"((c > b) | (a > b)) == (a > b) & (a > b)", 1},
        {"((a > b) | (a > b) == (c > b)) & (a > b)", 0},
    };
    check(all, COUNT(all));
}

/* The square of 1 + 2^-30 is 1 + 2^-29 and a rest: with a product that is not rounded the rest would show. */
static void products_are_rounded(void **state)
{
    (void)state;
    const char *trouble;
    const double x[] = {1 + 0x1p-30, -(1 + 0x1p-29), 0, 0};
    const struct row_expr *e = parse("a * a + b", &trouble);
    assert_non_null(e);
    assert_true(expr_value(e, x) == 0);
    e = parse("b + a * a", &trouble);
    assert_true(expr_value(e, x) == 0);
}

static void what_is_not_computed_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *trouble;
        int column;
    } all[] = {
        {"", "a missing operand", 1},
        {"a +", "a missing operand", 4},
        {"a + * b", "a missing operand", 5},
        {"> a", "a missing operand", 1},
        {"a >", "a missing operand", 4},
        {"a <> b", "a missing operand", 4},
        {"()", "a missing operand", 2},
        {"f", "neither an input of it nor a number", 1},
        {"a + f * 2", "neither an input of it nor a number", 5},
        {"A", "neither an input of it nor a number", 1},
        {"d", "neither an input of it nor a number", 1},
        {"d  e", "neither an input of it nor a number", 1},
        {"log(a)", "neither an input of it nor a number", 1},
        {"tf.abs(a)", "neither an input of it nor a number", 1},
        {"a != b", "neither an input of it nor a number", 1},
        {"a % b", "neither an input of it nor a number", 1},
        {"a == 'x'", "neither an input of it nor a number", 6},
        {"a and b", "neither an input of it nor a number", 1},
        {"a + \xff", "neither an input of it nor a number", 5},
        {"a + 007", "neither an input of it nor a number", 5},
        {"a + .", "neither an input of it nor a number", 5},
        {"a + inf", "neither an input of it nor a number", 5},
        {"a + 1234567890123456789012345678901234567890", "neither an input of it nor a number", 5},
        {"a + 1.5.2", "a missing operator", 8},
        {"a + 0x10", "a missing operator", 6},
        {"a + 1e", "a missing operator", 6},
        {"a + 1_000", "a missing operator", 6},
        {"a (b)", "a missing operator", 3},
        {"(a) b", "a missing operator", 5},
        {"+a", "a sign +", 1},
        {"a ** 2", "the operator **", 3},
        {"a // b", "the operator //", 3},
        {"a = b", "the operator =", 3},
        {"a =< b", "the operator =", 3},
        {"(a", "a parenthesis that is not closed", 1},
        {"(a > b", "a parenthesis that is not closed", 1},
        {"a)", "a parenthesis that was not opened", 2},
        {"a)(", "a parenthesis that was not opened", 2},
        {"2 * (a + b)", "EasyRec forgets arithmetic beside parentheses", 5},
        {"(a + b) * 2", "EasyRec forgets arithmetic beside parentheses", 9},
        {"-(a)", "EasyRec forgets arithmetic beside parentheses", 2},
        {"(a > b) + 1", "EasyRec forgets arithmetic beside parentheses", 9},
        {"a & b", "& and | need comparisons on both sides, the right one in parentheses", 3},
        {"(a > b) | 1", "& and | need comparisons on both sides, the right one in parentheses", 9},
        {"a > b & c > b", "& and | need comparisons on both sides, the right one in parentheses", 7},
        {"((a > b) | (b > c)) & (c > b)", "EasyRec forgets parentheses around | beside &", 21},
        {"(a > b) & ((b > c) | (c > b))", "EasyRec forgets parentheses around | beside &", 9},
        {"(a > b) | ((b > c) | (c > b)) & (a > b)", "EasyRec forgets parentheses around | beside &", 31},
        {"a > b > c", "the outcome of a comparison is compared", 7},
        {"(a > b) == 1", "the outcome of a comparison is compared", 9},
        {"(a > b) >= (b > c)", "the outcome of a comparison is compared", 9},
        {"(1 > 2) | (a > b)", "constants are compared", 4},
        {"1 + 2", "no input is read", 1},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        const char *trouble;
        if (parse(all[i].text, &trouble))
            fail_msg("accepted: \"%s\"", all[i].text);
        assert_string_equal(trouble, arena_print(&job.arena, "%s, in column %d of its expression", all[i].trouble,
                                                 all[i].column));
    }
}

/* ((( a > b ))) */
static const char *nested(int depth)
{
    struct text t = {.arena = &job.arena};
    for (int i = 0; i < depth; i++)
        text_print(&t, "(");
    text_print(&t, "a > b");
    for (int i = 0; i < depth; i++)
        text_print(&t, ")");
    return t.data;
}

/* (a > b) == ((a > b) == (a > b)): the stack holds one number more than there are comparisons within each other. */
static const char *deep(int comparisons)
{
    struct text t = {.arena = &job.arena};
    for (int i = 1; i < comparisons; i++)
        text_print(&t, "(a > b) == (");
    text_print(&t, "a > b");
    for (int i = 1; i < comparisons; i++)
        text_print(&t, ")");
    return t.data;
}

static void depth_has_a_limit(void **state)
{
    (void)state;
    const char *trouble;
    assert_non_null(parse_expr(&job, nested(32), inputs, COUNT(inputs), &trouble));
    assert_null(parse_expr(&job, nested(33), inputs, COUNT(inputs), &trouble));
    assert_string_equal(trouble, "it is nested too deeply, in column 33 of its expression");
    const struct row_expr *e = parse_expr(&job, deep(31), inputs, COUNT(inputs), &trouble);
    assert_non_null(e);
    assert_true(expr_value(e, values) == 1);
    assert_null(parse_expr(&job, deep(32), inputs, COUNT(inputs), &trouble));
    assert_non_null(strstr(trouble, "it is nested too deeply"));
    char minus[1001] = "a";
    memset(minus, '-', 1000);
    minus[999] = 'a';
    assert_true(expr_value(parse_expr(&job, minus, inputs, COUNT(inputs), &trouble), values) == -3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(arithmetic_is_python_s),
        TEST(comparisons_are_1_or_0),
        TEST(truths_are_joined),
        TEST(products_are_rounded),
        TEST(what_is_not_computed_is_refused),
        TEST(depth_has_a_limit),
    };
    return cmocka_run_group_tests_name("expr", tests, NULL, NULL) != 0;
}
