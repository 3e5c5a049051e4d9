// SPDX-License-Identifier: Apache-2.0
/* test_template.c: words are replaced, strictly; functions of math.h come once each, after what
 * they call; every mark in every template opens and closes.
 */
#include "mmoec.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static struct job new_job(jmp_buf *no_memory)
{
    struct job job = {.arena = {.fail_after = -1}};
    job.arena.no_memory = no_memory;
    return job;
}

/* The chunk "kernel" of a file with these words. */
static const char *kernel(struct job *job, const char *file, const struct word *words, int n)
{
    struct text t = {.arena = &job->arena};
    template_add(job, &t, file, "kernel", "avx2", words, n);
    return t.data;
}

static const struct word act_words[] = {
    {"BODY", "static TARGET"}, {"NAME", "act_tanh_7__avx2"}, {"N", "7"},
    {"SIZES", ""},             {"FUNCTION", "v_tanh"},       {"NEVER", "1"},
};

static void words_are_replaced(void **state)
{
    (void)state;
    jmp_buf out_of_memory;
    struct job job = new_job(&out_of_memory);
    const char *text = kernel(&job, "act.c", act_words, 5);
    assert_non_null(strstr(text, "void act_tanh_7__avx2("));
    assert_non_null(strstr(text, "v_tanh__avx2(v_load("));
    assert_non_null(strstr(text, "j < 7"));
    assert_null(strstr(text, "NAME"));
    assert_null(strstr(text, "FUNCTION"));
    assert_null(strstr(text, "/*@"));
    arena_free(&job.arena);
}

/* Does it end in bug()? In a process of its own, since that aborts. */
static bool is_a_bug(const char *file, const char *chunk, const struct word *words, int n)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        jmp_buf out_of_memory;
        struct job job = new_job(&out_of_memory);
        struct text t = {.arena = &job.arena};
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        template_add(&job, &t, file, chunk, "avx2", words, n);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void mistakes_are_bugs(void **state)
{
    (void)state;
    assert_false(is_a_bug("act.c", "kernel", act_words, 5));
    assert_true(is_a_bug("act.c", "kernel", act_words, 6)); /* a word that does not occur */
    assert_true(is_a_bug("act.c", "kernel", act_words, 4)); /* a word that nobody bound */
    assert_true(is_a_bug("act.c", "colonel", act_words, 5));
    assert_true(is_a_bug("no_such.c", "kernel", act_words, 5));
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what))
        n++;
    return n;
}

static void functions_stand_after_what_they_call(void **state)
{
    (void)state;
    jmp_buf out_of_memory;
    struct job job = new_job(&out_of_memory);
    struct text t = {.arena = &job.arena};
    static const char *const roots[] = {"v_swish", "v_tanh", "v_exp", "v_softplus"};
    static const char *const all[] = {"v_reduce", "v_exp", "v_expm1", "v_exp_minus", "v_sigmoid",
                                      "v_swish",  "v_abs", "v_like",  "v_tanh",      "v_softplus"};
    math_add(&job, &t, roots, (int)COUNT(roots), "avx2");
    for (size_t i = 0; i < COUNT(all); i++) {
        const char *name = arena_print(&job.arena, "%s__avx2(", all[i]);
        const char *definition = strstr(t.data, arena_print(&job.arena, "TARGET vf %s", name));
        assert_int_equal(count(t.data, arena_print(&job.arena, "TARGET vf %s", name)), 1);
        assert_ptr_equal(strstr(t.data, name), definition + strlen("TARGET vf "));
    }
    assert_null(strstr(t.data, "v_erf"));
    assert_null(strstr(t.data, "v_exp("));
    arena_free(&job.arena);
}

static void marks_open_and_close(void **state)
{
    (void)state;
    int files = 0;
    for (const struct embedded *f = embedded_files; f->name; f++, files++) {
        assert_int_equal(strlen(f->text), f->length);
        for (const char *p = f->text; (p = strstr(p, "/*@ begin ")) != NULL; p++) {
            const char *end = strstr(p, "/*@ end */"), *next = strstr(p + 1, "/*@ begin ");
            assert_non_null(end);
            assert_true(!next || end < next);
        }
        assert_int_equal(count(f->text, "/*@ begin "), count(f->text, "/*@ end */"));
    }
    assert_true(files > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_replaced),
        cmocka_unit_test(mistakes_are_bugs),
        cmocka_unit_test(functions_stand_after_what_they_call),
        cmocka_unit_test(marks_open_and_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
