// SPDX-License-Identifier: Apache-2.0
/* Tests of diag.c, and of file.c, whose work is mostly to say what went wrong.
 *
 * Pictures are compared with the text that a terminal would get.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mmoec.h"

static jmp_buf no_memory;
static struct job job;

static int begin(void **state)
{
    (void)state;
    job = (struct job){.arena = {.no_memory = &no_memory, .fail_after = -1}};
    return 0;
}

static int end(void **state)
{
    (void)state;
    close_files(&job);
    arena_free(&job.arena);
    return 0;
}

/* ---- pictures ---- */

/* What the terminal shows of a message; in the arena. */
static const char *shown(const struct message *m, bool colour)
{
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);
    assert_non_null(to);
    show_message(m, colour, to);
    fclose(to);
    const char *copy = arena_copy(&job.arena, text, length);
    free(text);
    return copy;
}

struct picture_case {
    const char *text;
    int line, column, length;
    const char *hint, *expected;
};

static const struct picture_case pictures[] = {
    {"a\nmmoe {\n  expert_num: 4\n}\n", 3, 3, 10, "did you mean \"num_expert\"?",
     "c:3:3: error: wrong [tag]\n"
     "    3 |   expert_num: 4\n"
     "      |   ^~~~~~~~~~ did you mean \"num_expert\"?\n"},
    {"x: 1", 1, 1, 1, NULL,
     "c:1:1: error: wrong [tag]\n"
     "    1 | x: 1\n"
     "      | ^\n"},
    {"\tx: 1\r\n", 1, 2, 1, NULL,
     "c:1:2: error: wrong [tag]\n"
     "    1 |         x: 1\n"
     "      |         ^\n"},
    {"\xef\xbb\xbfx y", 1, 3, 1, NULL,
     "c:1:3: error: wrong [tag]\n"
     "    1 | x y\n"
     "      |   ^\n"},
    {"\"\u00e9\u5a31\" bad", 1, 9, 3, NULL,
     "c:1:9: error: wrong [tag]\n"
     "    1 | \"\u00e9\u5a31\" bad\n"
     "      |       ^~~\n"},
    {"\"\x1b[31m\xff\" bad", 1, 8, 0, NULL,
     "c:1:8: error: wrong [tag]\n"
     "    1 | \"\\x1b[31m\\xff\" bad\n"
     "      |              ^\n"},
    {"a\u202e b", 1, 6, 1, NULL,
     "c:1:6: error: wrong [tag]\n"
     "    1 | a\\u{202e} b\n"
     "      |           ^\n"},
    {"ab", 1, 3, 1, "here",
     "c:1:3: error: wrong [tag]\n"
     "    1 | ab\n"
     "      |   ^ here\n"},
    {"ab\n", 2, 1, 1, "here",
     "c:2:1: error: wrong [tag]\n"
     "    2 |\n"
     "      | ^ here\n"},
    {"ab\n", 7, 1, 1, "no such line",
     "c:7:1: error: wrong [tag]\n"
     "  no such line\n"},
    {NULL, 0, 0, 0, "no text",
     "c: error: wrong [tag]\n"
     "  no text\n"},
    {"abc", 0, 0, 0, NULL, "c: error: wrong [tag]\n"},
};

static void caret_stands_below_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(pictures); i++) {
        const struct picture_case *p = &pictures[i];
        struct source s = {"c", p->text, p->text ? strlen(p->text) : 0};
        struct message m = {ERROR,   BAD_INPUT, {&s, p->line, p->column, p->length}, "tag", "wrong",
                            p->hint, NULL};
        assert_string_equal(shown(&m, false), p->expected);
    }
}

static void long_lines_are_cut_around_the_caret(void **state)
{
    (void)state;
    char line[1000];
    memset(line, 'a', sizeof(line));
    memcpy(line + 500, "HERE", 4);
    struct source s = {"c", line, sizeof(line)};
    struct message m = {ERROR, BAD_INPUT, {&s, 1, 501, 4}, "tag", "wrong", NULL, NULL};
    const char *text = shown(&m, false), *here = strstr(text, "HERE"),
               *caret = strstr(text, "^~~~\n");
    const char *picture = strchr(text, '\n') + 1, *below = strchr(picture, '\n') + 1;
    assert_non_null(here);
    assert_non_null(caret);
    assert_int_equal(here - picture, caret - below);
    assert_true(below - picture < 110);
    assert_non_null(strstr(text, " | ...a"));
    assert_non_null(strstr(text, "a...\n"));
}

static void every_cut_of_wide_text_is_safe(void **state)
{
    (void)state;
    struct text t = {.arena = &job.arena};
    for (int i = 0; i < 60; i++)
        text_print(&t, "\u5a31\U0001f600a\u0301\t\x01");
    struct source s = {"c", t.data, t.length};
    for (int column = 1; column <= (int)t.length + 2; column++) {
        struct message m = {ERROR, BAD_INPUT, {&s, 1, column, 1 << 30}, "tag", "wrong", NULL, NULL};
        assert_non_null(strchr(shown(&m, false), '^'));
    }
}

static void colour_is_only_used_when_asked_for(void **state)
{
    (void)state;
    struct source s = {"c", "ab", 2};
    struct message m = {WARNING, OK, {&s, 1, 1, 2}, "tag", "odd", NULL, NULL};
    assert_string_equal(shown(&m, true),
                        "\33[1mc:1:1: \33[1;35mwarning:\33[0m\33[1m odd\33[0m [tag]\n"
                        "    1 | ab\n"
                        "      | \33[1;32m^~\33[0m\n");
    assert_null(strchr(shown(&m, false), '\33'));
}

static void texts_cannot_speak_to_the_terminal(void **state)
{
    (void)state;
    struct source s = {"\33]0;c\a", NULL, 0};
    struct message m = {ERROR,    BAD_INPUT, {.source = &s}, "tag", "bad\nname\t\x7f\xc2\x9b",
                        "\33[2J", NULL};
    assert_string_equal(shown(&m, false),
                        "\\x1b]0;c\\x07: error: bad\\x0aname\\x09\\x7f\\u{9b} [tag]\n  \\x1b[2J\n");
    struct message nowhere = {NOTE, OK, {.source = NULL}, NULL, "hello", NULL, NULL};
    assert_string_equal(shown(&nowhere, false), "mmoec: note: hello\n");
}

static void escaped_text_is_a_c_string(void **state)
{
    (void)state;
    assert_string_equal(escaped(&job.arena, "a\"\\\n\0012\xc3\xa9", 8),
                        "a\\\"\\\\\\012\\0012\\303\\251");
    assert_string_equal(escaped(&job.arena, NULL, 0), "");
}

/* ---- records ---- */

static void first_error_decides_the_result(void **state)
{
    (void)state;
    struct pos here = in_file(&job, "model");
    warning(&job, here, "odd", NULL, "%s", "w");
    assert_int_equal(job.result, OK);
    blame(&job, UNSUPPORTED, here, "unsupported", "hint", "%d", 1);
    blame(&job, BAD_INPUT, here, "syntax", NULL, "%d", 2);
    note(&job, here, "n");
    assert_int_equal(job.result, UNSUPPORTED);
    assert_int_equal(job.errors, 2);
    assert_int_equal(job.warnings, 1);
    const struct message *m = job.messages;
    assert_string_equal(m->text, "w");
    assert_string_equal(m->next->hint, "hint");
    assert_string_equal(m->next->next->text, "2");
    assert_ptr_equal(m->next->next->next, job.last_message);
    assert_null(job.last_message->tag);
    assert_null(job.last_message->next);
}

/* ---- near misses ---- */

static void near_misses_are_found(void **state)
{
    (void)state;
    static const char *const names[] = {
        "num_expert",        "expert_dnn", "experts",      "task_towers",
        "l2_regularization", "dnn",        "hidden_units", NULL};
    static const struct {
        const char *word, *near;
    } cases[] = {
        {"expert_num", "num_expert"},
        {"num_experts", "num_expert"},
        {"nmu_expert", "num_expert"},
        {"NumExpert", "num_expert"},
        {"task_tower", "task_towers"},
        {"hiden_units", "hidden_units"},
        {"units_hidden", "hidden_units"},
        {"dnm", "dnn"},
        {"expert", "experts"},
        {"x", NULL},
        {"", NULL},
        {"completely_else", NULL},
        {"towers_task", "task_towers"},
        {"_________", NULL},
        {"HIDDEN_UNITS", "hidden_units"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *near = near_miss(cases[i].word, names);
        if (cases[i].near)
            assert_string_equal(near ? near : "(none)", cases[i].near);
        else
            assert_null(near);
    }
    char word[200];
    memset(word, 'a', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    assert_null(near_miss(word, names));
}

/* ---- files ---- */

static char directory[] = "/tmp/mmoec-test-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static const char *in_directory(const char *name) { return join_path(&job, directory, name); }

/* The one message so far, as tag and result. */
static void assert_refused(const char *tag, enum result result)
{
    assert_int_equal(job.errors, 1);
    assert_string_equal(job.messages->tag, tag);
    assert_int_equal(job.result, result);
}

static void written_bytes_are_read_back(void **state)
{
    (void)state;
    const char *path = in_directory("a");
    assert_true(write_file(&job, path, "hello", 5));
    const struct source *s = read_source(&job, path);
    assert_non_null(s);
    assert_string_equal(s->text, "hello");
    assert_int_equal(s->length, 5);
    assert_string_equal(s->name, "a");
    assert_true(write_file(&job, path, "", 0));
    assert_int_equal(read_source(&job, path)->length, 0);
    assert_int_equal(unlink(path), 0);
}

static void equal_bytes_are_left_untouched(void **state)
{
    (void)state;
    struct stat before, same, other;
    const char *path = in_directory("a");
    assert_true(write_file(&job, path, "hello", 5));
    assert_int_equal(stat(path, &before), 0);
    assert_true(write_file(&job, path, "hello", 5));
    assert_int_equal(stat(path, &same), 0);
    assert_int_equal(before.st_ino, same.st_ino);
    assert_true(write_file(&job, path, "hellO", 5));
    assert_int_equal(stat(path, &other), 0);
    assert_int_equal(other.st_size, 5);
    assert_string_equal(read_source(&job, path)->text, "hellO");
    assert_int_equal(unlink(path), 0);
}

static void missing_file_is_bad_input(void **state)
{
    (void)state;
    assert_null(open_file(&job, in_directory("missing")));
    assert_refused("file", BAD_INPUT);
    assert_null(open_file(&job, NULL));
    assert_int_equal(job.errors, 1);
}

static void directory_is_not_a_file(void **state)
{
    (void)state;
    assert_true(is_directory(directory));
    assert_false(is_directory(in_directory("missing")));
    assert_null(read_source(&job, directory));
    assert_refused("file", BAD_INPUT);
}

static void pipe_does_not_block(void **state)
{
    (void)state;
    const char *path = in_directory("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(open_file(&job, path));
    assert_refused("file", BAD_INPUT);
    assert_int_equal(unlink(path), 0);
}

static void reading_past_the_end_is_refused(void **state)
{
    (void)state;
    char to[8];
    const char *path = in_directory("a");
    assert_true(write_file(&job, path, "12345678", 8));
    struct file *f = open_file(&job, path);
    assert_true(read_at(&job, f, 4, to, 4));
    assert_memory_equal(to, "5678", 4);
    assert_true(read_at(&job, f, 8, to, 0));
    assert_false(read_at(&job, f, UINT64_MAX, to, 4));
    assert_refused("truncated", BAD_INPUT);
    assert_false(read_at(&job, f, 5, to, 4));
    assert_false(read_at(&job, f, 4, to, SIZE_MAX));
    assert_false(read_at(&job, NULL, 0, to, 0));
    assert_int_equal(unlink(path), 0);
}

static void file_cut_after_opening_is_refused(void **state)
{
    (void)state;
    char to[8];
    const char *path = in_directory("a");
    assert_true(write_file(&job, path, "12345678", 8));
    struct file *f = open_file(&job, path);
    assert_int_equal(truncate(path, 6), 0);
    assert_false(read_at(&job, f, 0, to, 8));
    assert_refused("truncated", BAD_INPUT);
    assert_int_equal(unlink(path), 0);
}

static void failed_write_leaves_what_was_there(void **state)
{
    (void)state;
    assert_false(write_file(&job, directory, "x", 1));
    assert_refused("file", SYSTEM_FAILED);
    assert_false(write_file(&job, in_directory("missing/a"), "x", 1));
    assert_int_equal(job.errors, 2);
    if (access("/dev/full", W_OK) == 0)
        assert_false(write_file(&job, "/dev/full", "x", 1));
    assert_true(write_file(&job, "/dev/null", "x", 1));
}

static void paths_are_joined_and_cut(void **state)
{
    (void)state;
    assert_string_equal(base_name("/a/b.config"), "b.config");
    assert_string_equal(base_name("b"), "b");
    assert_string_equal(base_name("a/b//"), "b//");
    assert_string_equal(base_name("/"), "/");
    assert_string_equal(join_path(&job, "a", "b"), "a/b");
    assert_string_equal(join_path(&job, "a/", "b"), "a/b");
    assert_string_equal(join_path(&job, "", "b"), "b");
    assert_string_equal(join_path(&job, "a", "/b"), "/b");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest diag[] = {
        TEST(caret_stands_below_its_place),       TEST(long_lines_are_cut_around_the_caret),
        TEST(every_cut_of_wide_text_is_safe),     TEST(colour_is_only_used_when_asked_for),
        TEST(texts_cannot_speak_to_the_terminal), TEST(escaped_text_is_a_c_string),
        TEST(first_error_decides_the_result),     TEST(near_misses_are_found),
    };
    const struct CMUnitTest file[] = {
        TEST(written_bytes_are_read_back),
        TEST(equal_bytes_are_left_untouched),
        TEST(missing_file_is_bad_input),
        TEST(directory_is_not_a_file),
        TEST(pipe_does_not_block),
        TEST(reading_past_the_end_is_refused),
        TEST(file_cut_after_opening_is_refused),
        TEST(failed_write_leaves_what_was_there),
        TEST(paths_are_joined_and_cut),
    };
    bool failed = cmocka_run_group_tests_name("diag", diag, NULL, NULL) != 0;
    return (cmocka_run_group_tests_name("file", file, make_directory, remove_directory) != 0) |
           failed;
}
