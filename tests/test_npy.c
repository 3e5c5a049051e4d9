// SPDX-License-Identifier: Apache-2.0
/* test_npy.c: NumPy files. A table of headers, each a file of its own with some data behind it, and what must come of
 * it; then what a written header looks like, and every way to cut a good file short. */
#include "mmoec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/mmoec-test-npy-XXXXXX";
static const struct options no_options;

struct scene {
    struct job job;
    jmp_buf no_memory;
};

static int set_up(void **state)
{
    static struct scene scene;
    begin_job(&scene.job, &no_options);
    scene.job.arena.no_memory = &scene.no_memory;
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    end_job(&((struct scene *)*state)->job);
    return 0;
}

/* A file of `version` with this dict and `bytes` of data: 0, 1, 2, ... as float32. */
static size_t make(int version, const char *dict, size_t bytes, unsigned char *to)
{
    size_t n = strlen(dict), at = version == 1 ? 10 : 12;
    memcpy(to, "\x93NUMPY", 6);
    memset(to + 6, 0, 6);
    to[6] = (unsigned char)version;
    to[8] = (unsigned char)n;
    to[9] = (unsigned char)(n >> 8);
    memcpy(to + at, dict, n);
    for (size_t i = 0; i < bytes / sizeof(float); i++) {
        float x = (float)i;
        memcpy(to + at + n + i * sizeof x, &x, sizeof x);
    }
    return at + n + bytes;
}

static struct npy *read_bytes(struct scene *s, const unsigned char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return open_npy(&s->job, path);
}

static const struct {
    int version;
    const char *dict;
    size_t bytes;           /* of data */
    uint64_t rows, columns;
    int rank;
    enum npy_type type;
} good[] = {
    {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24, 2, 3, 2, NPY_F4},
    {2, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24, 2, 3, 2, NPY_F4},
    {3, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24, 2, 3, 2, NPY_F4},
    {1, "{'shape':(2,3),'fortran_order':False,'descr':'<f8'}", 48, 2, 3, 2, NPY_F8},
    {1, "{\"descr\": \"<i8\", \"fortran_order\": False, \"shape\": (4,), }      \n", 32, 4, 1, 1, NPY_I8},
    {1, "{'descr': '<i4', 'fortran_order': False, 'shape': (4L,)}", 16, 4, 1, 1, NPY_I4},
    {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", 0, 0, 3, 2, NPY_F4},
    {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 400, 2, 3, 2, NPY_F4},
};

static void good_headers_are_understood(void **state)
{
    struct scene *s = *state;
    unsigned char bytes[1024];
    for (size_t i = 0; i < COUNT(good); i++) {
        struct npy *n = read_bytes(s, bytes, make(good[i].version, good[i].dict, good[i].bytes, bytes));
        assert_non_null(n);
        assert_int_equal(n->rows, good[i].rows);
        assert_int_equal(n->columns, good[i].columns);
        assert_int_equal(n->rank, good[i].rank);
        assert_int_equal(n->type, good[i].type);
    }
    assert_int_equal(s->job.errors, 0);
}

static const struct {
    const char *dict;
    enum result result;
    const char *says;
} wrong[] = {
    {"", BAD_INPUT, "header is not"},
    {"{", BAD_INPUT, "header is not"},
    {"{}", BAD_INPUT, "header is not"},
    {"{'descr': '<f4', 'shape': (2, 3), }", BAD_INPUT, "header is not"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}", BAD_INPUT, "header is not"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", BAD_INPUT, "header is not"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3", BAD_INPUT, "header is not"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}", BAD_INPUT, "header is not"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3)}", BAD_INPUT, "header is not"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 3)}", BAD_INPUT, "header is not"},
    {"{'descr': '<f4, 'fortran_order': False, 'shape': (2, 3)}", BAD_INPUT, "header is not"},
    {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2, 3)}", BAD_INPUT, "header is not"},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", UNSUPPORTED, "Fortran order"},
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", UNSUPPORTED, "its type is >f4"},
    {"{'descr': '<f40', 'fortran_order': False, 'shape': (2, 3), }", UNSUPPORTED, "its type is <f40"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }", UNSUPPORTED, "its type is |O"},
    {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,), }", UNSUPPORTED, "a structure"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", UNSUPPORTED, "0 dimensions"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }", UNSUPPORTED, "3 dimensions"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3), }", BAD_INPUT, "24 bytes of data"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", BAD_INPUT, "24 bytes of data"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", BAD_INPUT, "24 bytes of data"},
};

static void wrong_headers_are_refused(void **state)
{
    struct scene *s = *state;
    unsigned char bytes[1024];
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_null(read_bytes(s, bytes, make(1, wrong[i].dict, 24, bytes)));
        const struct message *m = s->job.last_message;
        assert_non_null(m);
        assert_int_equal(s->job.errors, (int)i + 1);
        assert_int_equal(m->result, wrong[i].result);
        if (!strstr(m->text, wrong[i].says))
            fail_msg("%s: says \"%s\"", wrong[i].dict, m->text);
    }
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    struct scene *s = *state;
    unsigned char bytes[1024];
    size_t n = make(1, good[0].dict, 24, bytes);
    for (size_t length = 0; length < n; length++)
        assert_null(read_bytes(s, bytes, length));
    assert_non_null(read_bytes(s, bytes, n));
}

/* A header of any bytes: refused or not, never a fault. Sanitizers make this worth more. */
static void no_byte_of_the_header_is_trusted(void **state)
{
    struct scene *s = *state;
    unsigned char bytes[1024];
    for (size_t at = 0; at < 10 + strlen(good[0].dict); at++)
        for (int value = 0; value < 256; value += 5) {
            size_t n = make(1, good[0].dict, 24, bytes);
            bytes[at] = (unsigned char)value;
            struct npy *f = read_bytes(s, bytes, n);
            if (f)
                assert_true(f->offset + f->rows * f->columns * (uint64_t)f->item_bytes <= n);
            close_files(&s->job);
        }
}

static void numbers_are_read_by_rows(void **state)
{
    struct scene *s = *state;
    unsigned char bytes[1024];
    double to[6], room[6];
    struct npy *n = read_bytes(s, bytes, make(2, good[1].dict, 24, bytes));
    assert_true(read_npy_rows(&s->job, n, 1, 1, to, room));
    for (int i = 0; i < 3; i++)
        assert_true(to[i] == 3 + i);
    assert_false(read_npy_rows(&s->job, n, 1, 2, to, room));
}

static void a_written_header_is_read_again(void **state)
{
    struct scene *s = *state;
    static const uint64_t rows[] = {0, 1, 999, UINT64_C(123456789)};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text t = {.arena = &s->job.arena};
        print_npy_header(&t, rows[i], 7);
        assert_int_equal(t.length % 64, 0);
        assert_int_equal(t.data[t.length - 1], '\n');
        const char *shape = arena_print(&s->job.arena, "'shape': (%llu, 7), }", (unsigned long long)rows[i]);
        assert_non_null(strstr(t.data + 10, shape));
    }
    struct text t = {.arena = &s->job.arena};
    print_npy_header(&t, 0, 7);
    struct npy *n = read_bytes(s, (unsigned char *)t.data, t.length);
    assert_non_null(n);
    assert_int_equal(n->columns, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(good_headers_are_understood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_headers_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_cut_anywhere_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_byte_of_the_header_is_trusted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_are_read_by_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_written_header_is_read_again, set_up, tear_down),
    };
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
