// SPDX-License-Identifier: Apache-2.0
/* Tests of compiler/ckpt.c and compiler/crc32c.c.
 *
 * The idea: checkpoints are written into a directory of the test's own, right ones and wrong ones,
 * and read; a wrong one is a row of a table with the message it must give. Where TensorFlow's own
 * word is to be had (the goldens, the vector of weights-formats.md) it is asked first.
 *
 * How to read it: helpers; crc32c; what reads well; what does not (the tables); no memory; finding.
 */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ckpt_writer.h"

/* The plain path of crc32c.c is static; here it gets a second life under another name. */
uint32_t crc32c_again(uint32_t crc, const void *bytes, size_t n);
#define crc32c crc32c_again
#include "../compiler/crc32c.c"
#undef crc32c
#undef ROW

#ifndef TEST_DIR
#define TEST_DIR "tests"
#endif

/* ---- helpers ---- */

static char dir[64];                /* of this run */
static struct job job;

static void start(void)
{
    job = (struct job){ .arena = { .fail_after = -1 } };
}

static void stop(void)
{
    close_files(&job);
    arena_free(&job.arena);
}

static int open_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static const char *in_dir(const char *name)
{
    static char path[4][512];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof(path[next]), "%s/%s", dir, name);
    return path[next];
}

static void touch(const char *name)
{
    ckpt_write(in_dir(name), "", 0);
}

/* The first error as the terminal shows it, without its hint; "" if there is none. */
static const char *said(void)
{
    static char text[1024];
    text[0] = 0;
    for (const struct message *m = job.messages; m; m = m->next)
        if (m->severity == ERROR) {
            snprintf(text, sizeof(text), "%s: %s [%s]",
                     m->pos.source ? m->pos.source->name : "mmoec", m->text, m->tag);
            break;
        }
    return text;
}

static double *read_all(const struct tensors *ts, const char *name)
{
    const struct tensor *t = find_tensor(ts, name);
    if (!t)
        fail_msg("%s is not there", name);
    double *to = NEW_ARRAY(&job, (size_t)tensor_count(t) + 1, double);
    to[tensor_count(t)] = 12345;
    if (!read_tensor(&job, t, true, to))
        fail_msg("%s: %s", name, said());
    assert_true(to[tensor_count(t)] == 12345);
    return to;
}

static void check_values(const struct tensors *ts, const char *name, const double *values, size_t n)
{
    const double *got = read_all(ts, name);
    assert_int_equal(tensor_count(find_tensor(ts, name)), n);
    for (size_t i = 0; i < n; i++)
        if (memcmp(&got[i], &values[i], sizeof(double)) != 0)
            fail_msg("%s[%zu] is %a, needs %a", name, i, got[i], values[i]);
}

static double *counting(size_t n)
{
    double *v = NEW_ARRAY(&job, n, double);
    for (size_t i = 0; i < n; i++)
        v[i] = (double)i - 3;
    return v;
}

#define DIM(...) ((const uint64_t[]){ __VA_ARGS__ })
#define INT(...) ((const int64_t[]){ __VA_ARGS__ })

/* ---- crc32c ---- */

static uint32_t bit_by_bit(uint32_t crc, const unsigned char *p, size_t n)
{
    for (crc = ~crc; n--; p++) {
        crc ^= *p;
        for (int i = 0; i < 8; i++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void crc32c_equals_its_definition(void **state)
{
    (void)state;
    unsigned char bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 167 + i * i / 7);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
    for (size_t from = 0; from < 9; from++)
        for (size_t n = 0; n < 280; n++) {
            uint32_t right = bit_by_bit(0, bytes + from, n);
            assert_int_equal(crc32c(0, bytes + from, n), right);
            assert_int_equal(~plain(~0u, bytes + from, n), right);
            assert_int_equal(crc32c_again(0, bytes + from, n), right);
            assert_int_equal(
                crc32c(crc32c(0, bytes + from, n / 3), bytes + from + n / 3, n - n / 3), right);
        }
}

/* Long enough for streams side by side. */
static void crc32c_of_many_bytes_equals_its_definition(void **state)
{
    (void)state;
    static unsigned char bytes[120001];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 167 + i * i / 7);
    for (size_t n = sizeof(bytes); n > 30000; n -= 4999) {
        uint32_t right = bit_by_bit(7, bytes + n % 8, n - 8);
        assert_int_equal(crc32c(7, bytes + n % 8, n - 8), right);
        assert_int_equal(crc32c_again(7, bytes + n % 8, n - 8), right);
    }
}

/* ---- what reads well ---- */

/* weights-formats.md §4: made by another writer. */
static void test_vector_reads(void **state)
{
    static const unsigned char data[] = {
        0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x80, 0x3f, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x40, 0x40, 0x00, 0x00, 0x80, 0x40,
        0x00, 0x00, 0xa0, 0x40, 0x00, 0x00, 0xc0, 0x40, 0x00, 0x00, 0xe0, 0x40,
    };
    static const unsigned char index[] = {
        0x00, 0x00, 0x06, 0x08, 0x01, 0x1a, 0x02, 0x08, 0x01, 0x00, 0x0a, 0x15, 0x00, 0x77, 0x00,
        0x01, 0x01, 0x02, 0x80, 0x82, 0x80, 0x82, 0x08, 0x01, 0x12, 0x08, 0x12, 0x02, 0x08, 0x02,
        0x12, 0x02, 0x08, 0x02, 0x20, 0x08, 0x28, 0x10, 0x35, 0x93, 0x8d, 0xeb, 0x32, 0x06, 0x04,
        0x15, 0x82, 0x82, 0x80, 0x82, 0x08, 0x01, 0x12, 0x08, 0x12, 0x02, 0x08, 0x02, 0x12, 0x02,
        0x08, 0x02, 0x20, 0x18, 0x28, 0x10, 0x35, 0xf8, 0xe7, 0xbb, 0xaa, 0x00, 0x01, 0x0f, 0x61,
        0x08, 0x01, 0x12, 0x04, 0x12, 0x02, 0x08, 0x02, 0x28, 0x08, 0x35, 0x45, 0x3f, 0x16, 0x88,
        0x00, 0x01, 0x22, 0x77, 0x08, 0x01, 0x12, 0x08, 0x12, 0x02, 0x08, 0x04, 0x12, 0x02, 0x08,
        0x02, 0x3a, 0x08, 0x0a, 0x02, 0x10, 0x02, 0x0a, 0x02, 0x10, 0x02, 0x3a, 0x0a, 0x0a, 0x04,
        0x08, 0x02, 0x10, 0x02, 0x0a, 0x02, 0x10, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
        0x00, 0x00, 0x1d, 0xbc, 0xf3, 0x57, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
        0xc0, 0xf2, 0xa1, 0xb0, 0x00, 0x01, 0x03, 0x78, 0x00, 0x88, 0x01, 0x00, 0x00, 0x00, 0x00,
        0x01, 0x00, 0x00, 0x00, 0x00, 0x6e, 0xc2, 0x40, 0xb3, 0x8d, 0x01, 0x08, 0x9a, 0x01, 0x0f,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb,
    };
    (void)state;
    assert_int_equal(sizeof(index), 222);
    ckpt_write(in_dir("t.index"), index, sizeof(index));
    ckpt_write(in_dir("t.data-00000-of-00001"), data, sizeof(data));
    start();
    struct tensors *ts = read_checkpoint(&job, in_dir("t"));
    assert_non_null(ts);
    assert_int_equal(ts->n_tensors, 2);
    assert_string_equal(ts->name, "t.index");
    assert_int_equal(ts->index_bytes, 222);
    check_values(ts, "a", (const double[]){ 1, -2 }, 2);
    check_values(ts, "w", (const double[]){ 0, 1, 2, 3, 4, 5, 6, 7 }, 8);
    assert_string_equal(shape_text(&job, find_tensor(ts, "w")), "[4,2]");
    assert_int_equal(find_tensor(ts, "w")->n_pieces, 2);
    assert_null(find_tensor(ts, "b"));
    assert_int_equal(job.errors, 0);
    stop();
}

static void without_blanks(char *s)
{
    char *to = s;
    for (; *s; s++)
        if (*s != ' ' && *s != '\n')
            *to++ = *s;
    *to = 0;
}

/* variables.txt: name, type and shape of every variable, as TensorFlow says. */
static void check_golden(const char *name)
{
    char line[1024], path[256];
    size_t n = 0;
    start();
    snprintf(path, sizeof(path), TEST_DIR "/golden/%s", name);
    assert_true(has_checkpoint(path));
    struct tensors *ts = read_checkpoint(&job, find_checkpoint(&job, path));
    if (!ts)
        fail_msg("%s", said());
    snprintf(path, sizeof(path), TEST_DIR "/golden/%s/variables.txt", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (; fgets(line, sizeof(line), f); n++) {
        char *type = strchr(line, '\t'), *shape = type ? strchr(type + 1, '\t') : NULL;
        assert_non_null(shape);
        *type++ = *shape++ = 0;
        without_blanks(shape);
        const struct tensor *t = find_tensor(ts, line);
        if (!t)
            fail_msg("%s is missing", line);
        assert_string_equal(dtype_name(t->dtype), type);
        assert_string_equal(shape_text(&job, t), shape);
        if (t->dtype == DT_FLOAT)
            read_all(ts, line);
    }
    fclose(f);
    assert_int_equal(n, ts->n_tensors);
    assert_int_equal(job.errors, 0);
    stop();
}

static void goldens_read(void **state)
{
    (void)state;
    check_golden("tiny_mmoe");
    check_golden("taobao_mmoe");
    check_golden("nobn_tanh_mmoe");
    check_golden("heads_mmoe");
}

/* Values that each type holds exactly, its extremes and subnormals among them. */
static void check_types(bool big_endian)
{
    static const double floats[] = { 0, -0.0, 1.5, -3.25, 0x1.fffffep127, 0x1p-126, -0x1p-149,
                                     INFINITY, -INFINITY };
    static const double doubles[] = { 0.1, -0x1.fffffffffffffp1023, 0x1p-1074, -0.0, INFINITY };
    static const double halves[] = { 0, -0.0, 1, 65504, -0x1p-14, 0x1p-24, -0x1.ff8p-15, 0x1.554p-2,
                                     INFINITY, -INFINITY };
    static const double bfloats[] = { 1, -0x1.fep127, 0x1p-126, -0x1p-133, 0x1.8p-130, INFINITY };
    const double nan[] = { NAN };
    start();
    struct ckpt *c = ckpt_begin(in_dir("types"), 3);
    c->big_endian = big_endian;
    ckpt_put(c, "float", DT_FLOAT, 1, DIM(COUNT(floats)), floats);
    ckpt_put(c, "double", DT_DOUBLE, 1, DIM(COUNT(doubles)), doubles);
    ckpt_put(c, "half", DT_HALF, 2, DIM(2, COUNT(halves) / 2), halves);
    ckpt_put(c, "bfloat16", DT_BFLOAT16, 3, DIM(1, COUNT(bfloats), 1), bfloats);
    ckpt_put(c, "half_nan", DT_HALF, 1, DIM(1), nan);
    ckpt_put(c, "scalar", DT_FLOAT, 0, NULL, floats + 2);
    ckpt_put(c, "nothing", DT_FLOAT, 2, DIM(0, 16), NULL);
    ckpt_end(c);
    struct tensors *ts = read_checkpoint(&job, in_dir("types"));
    assert_non_null(ts);
    check_values(ts, "float", floats, COUNT(floats));
    check_values(ts, "double", doubles, COUNT(doubles));
    check_values(ts, "half", halves, COUNT(halves));
    check_values(ts, "bfloat16", bfloats, COUNT(bfloats));
    check_values(ts, "scalar", floats + 2, 1);
    assert_true(isnan(*read_all(ts, "half_nan")));
    assert_int_equal(tensor_count(find_tensor(ts, "nothing")), 0);
    read_all(ts, "nothing");
    assert_string_equal(shape_text(&job, find_tensor(ts, "scalar")), "[]");
    assert_string_equal(shape_text(&job, find_tensor(ts, "nothing")), "[0,16]");
    assert_string_equal(dtype_name(find_tensor(ts, "half")->dtype), "float16");
    stop();
}

static void every_type_widens_exactly(void **state)
{
    (void)state;
    check_types(false);
}

static void big_endian_files_read(void **state)
{
    (void)state;
    check_types(true);
}

/* More than a chunk, slices of uneven size in several shards, a name with the escaped bytes ff, and
   starts and lengths whose ordered codes take from one to four bytes. */
static void partitioned_variables_read(void **state)
{
    (void)state;
    const size_t rows = 1200070;
    start();
    double *v = counting(rows * 2);
    struct ckpt *c = ckpt_begin(in_dir("parts"), 4);
    ckpt_put_rows(c, "table", DT_FLOAT, 2, DIM(rows, 2), v, 5, DIM(63, 7, 9000, 100000, 1091000));
    ckpt_put_rows(c, "table\xff/x", DT_DOUBLE, 1, DIM(10), v, 3, DIM(1, 0, 9));
    ckpt_put_rows(c, "tabl", DT_HALF, 3, DIM(4, 2, 2), v, 4, DIM(1, 1, 1, 1));
    ckpt_put(c, "between", DT_FLOAT, 1, DIM(5), v);
    ckpt_end(c);
    struct tensors *ts = read_checkpoint(&job, in_dir("parts"));
    assert_non_null(ts);
    assert_int_equal(ts->n_tensors, 4);
    check_values(ts, "table", v, rows * 2);
    check_values(ts, "table\xff/x", v, 10);
    check_values(ts, "tabl", v, 16);
    check_values(ts, "between", v, 5);
    assert_int_equal(find_tensor(ts, "table")->n_pieces, 5);
    assert_int_equal(find_tensor(ts, "table\xff/x")->n_pieces, 2);
    assert_int_equal(job.errors, 0);
    stop();
}

/* Adds the slice of a variable, and lists it in `list`. */
static void add_slice(struct ckpt *c, struct buf *list, const char *name, int rank,
                      const int64_t *first, const int64_t *length, const uint64_t *dim,
                      const double *v)
{
    struct ckpt_stored s = ckpt_data(c, DT_FLOAT, rank, dim, v);
    struct buf key = ckpt_slice_key(name, rank, first, length), value = ckpt_value(&s);
    ckpt_entry(c, key.data, key.n, &value);
    ckpt_list_slice(list, rank, first, length);
    buf_free(&key);
    buf_free(&value);
}

static struct buf whole(int rank, const int64_t *dim)
{
    struct ckpt_stored s = { .dtype = DT_FLOAT, .rank = rank };
    memcpy(s.dim, dim, (size_t)rank * sizeof(*dim));
    return ckpt_value(&s);
}

static void finish(struct ckpt *c, const char *name, struct buf *list)
{
    ckpt_entry(c, name, strlen(name), list);
    buf_free(list);
    ckpt_end(c);
}

/* An extent without a length is the whole dimension; a slice may cut behind dimensions of one. */
static void slices_that_are_runs_read(void **state)
{
    (void)state;
    start();
    double *v = counting(24);
    struct ckpt *c = ckpt_begin(in_dir("runs"), 2);
    struct buf list = whole(3, INT(2, 4, 3));
    add_slice(c, &list, "w", 3, INT(0, 0, 0), INT(1, 3, -1), DIM(1, 3, 3), v);
    add_slice(c, &list, "w", 3, INT(0, 3, 0), INT(1, 1, 3), DIM(1, 1, 3), v + 9);
    add_slice(c, &list, "w", 3, INT(1, 0, 0), INT(1, -1, -1), DIM(1, 4, 3), v + 12);
    finish(c, "w", &list);
    struct tensors *ts = read_checkpoint(&job, in_dir("runs"));
    assert_non_null(ts);
    check_values(ts, "w", v, 24);
    stop();
}

/* Thousands of variables in many blocks; every one is found. */
static void many_blocks_read(void **state)
{
    (void)state;
    char name[64];
    const double v[] = { 1, 2, 3 };
    start();
    struct ckpt *c = ckpt_begin(in_dir("many"), 3);
    c->block_bytes = 500;
    c->restart_interval = 3;
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "mmoe/expert_%d/dnn_%d/kernel", i / 7, i % 7);
        ckpt_put(c, name, DT_FLOAT, 1, DIM(3), v);
    }
    ckpt_end(c);
    struct tensors *ts = read_checkpoint(&job, in_dir("many"));
    assert_non_null(ts);
    assert_int_equal(ts->n_tensors, 3000);
    for (size_t i = 0; i < ts->n_tensors; i++) {
        assert_true(i == 0 || strcmp(ts->tensor[i - 1].name, ts->tensor[i].name) < 0);
        check_values(ts, ts->tensor[i].name, v, 3);
    }
    stop();
}

/* What a model does not ask for may be anything. */
static void foreign_entries_pass(void **state)
{
    (void)state;
    const double v[] = { 7, 8 };
    static const struct ckpt_stored broken[] = {
        { .dtype = 7, .size = 99, .shard = 77 },
        { .dtype = 21, .offset = -5 },
        { .dtype = 4711, .rank = 1, .dim = { 3 } },
        { .dtype = -1 },
        { .dtype = DT_FLOAT, .rank = 1, .dim = { -3 }, .size = 1 },
        { .dtype = DT_FLOAT, .rank = 12, .dim = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 } },
        { .dtype = DT_FLOAT, .rank = 2, .dim = { INT64_MAX, INT64_MAX }, .size = 4 },
        { .dtype = DT_FLOAT, .rank = 1, .dim = { 2 }, .size = 8, .offset = INT64_MAX },
    };
    start();
    struct ckpt *c = ckpt_begin(in_dir("foreign"), 1);
    char name[] = "x0";
    for (size_t i = 0; i < COUNT(broken); i++, name[1]++)
        ckpt_entry_stored(c, name, &broken[i]);
    struct buf junk = { 0 };
    buf_add(&junk, "\xff\xff", 2);
    ckpt_entry(c, "junk", 4, &junk);
    ckpt_entry(c, "nul\0in a name", 13, &junk);
    ckpt_entry(c, "\0not a slice", 12, &junk);
    buf_free(&junk);
    ckpt_put(c, "global_step", DT_INT64, 0, NULL, v);
    ckpt_put(c, "kernel", DT_FLOAT, 1, DIM(2), v);
    ckpt_put(c, "kernel/Adam", DT_FLOAT, 1, DIM(2), v);
    ckpt_end(c);
    struct tensors *ts = read_checkpoint(&job, in_dir("foreign"));
    assert_non_null(ts);
    check_values(ts, "kernel", v, 2);
    assert_int_equal(job.errors, 0);
    assert_int_equal(ts->n_tensors, COUNT(broken) + 4);
    assert_string_equal(shape_text(&job, find_tensor(ts, "x4")), "[-3]");
    assert_int_equal(tensor_count(find_tensor(ts, "x4")), UINT64_MAX);
    assert_int_equal(tensor_count(find_tensor(ts, "x6")), UINT64_MAX);
    assert_string_equal(dtype_name(find_tensor(ts, "x2")->dtype), "an unknown type");
    assert_string_equal(dtype_name(find_tensor(ts, "x3")->dtype), "an unknown type");
    stop();
}

/* Unknown fields of every wire type, repeated scalars (the last wins), a shape in two messages
   (they are merged), fields in another order. */
static void unusual_messages_read(void **state)
{
    (void)state;
    const double v[] = { 1, 2, 3, 4, 5, 6 };
    start();
    struct ckpt *c = ckpt_begin(in_dir("unusual"), 1);
    struct ckpt_stored s = ckpt_data(c, DT_FLOAT, 2, DIM(2, 3), v);
    struct buf right = ckpt_value(&s), b = { 0 }, shape = { 0 }, dim = { 0 };
    buf_number(&dim, 1, 9);
    buf_number(&dim, 1, 2);
    buf_message(&dim, 2, &(struct buf){ .data = (unsigned char *)"batch", .n = 5 });
    buf_message(&shape, 2, &dim);
    buf_number(&shape, 3, 0);
    buf_number(&b, 100, UINT64_MAX);                            /* ten bytes */
    buf_add(&b, "\xa9\x06" "12345678" "\xad\x06" "1234", 16);    /* 101: fixed64, 101: fixed32 */
    buf_message(&b, 102, &shape);
    buf_number(&b, 5, 1);
    buf_message(&b, 2, &shape);
    /* The rest as it should be, but for the first dimension, which is there already. */
    buf_add(&b, right.data, 2);
    dim.n = 0;
    shape.n = 0;
    buf_number(&dim, 1, 3);
    buf_message(&shape, 2, &dim);
    buf_message(&b, 2, &shape);
    buf_add(&b, right.data + 12, right.n - 12);
    ckpt_entry(c, "w", 1, &b);
    buf_number(&c->header, 9, 1);
    buf_number(&c->header, 1, 5);
    buf_number(&c->header, 1, 1);
    ckpt_end(c);
    buf_free(&right);
    buf_free(&b);
    buf_free(&shape);
    buf_free(&dim);
    struct tensors *ts = read_checkpoint(&job, in_dir("unusual"));
    if (!ts)
        fail_msg("%s", said());
    check_values(ts, "w", v, 6);
    assert_string_equal(shape_text(&job, find_tensor(ts, "w")), "[2,3]");
    stop();
}

static void unchecked_bytes_may_differ(void **state)
{
    (void)state;
    const double v[] = { 1, 2 };
    double got[2];
    start();
    struct ckpt *c = ckpt_begin(in_dir("unchecked"), 1);
    ckpt_put(c, "w", DT_FLOAT, 1, DIM(2), v);
    ckpt_end(c);
    ckpt_xor(in_dir("unchecked.data-00000-of-00001"), 7, 0x80);
    struct tensors *ts = read_checkpoint(&job, in_dir("unchecked"));
    assert_true(read_tensor(&job, find_tensor(ts, "w"), false, got));
    assert_true(got[0] == 1 && got[1] == -2);
    assert_false(read_tensor(&job, find_tensor(ts, "w"), true, got));
    assert_false(read_tensor(&job, NULL, true, got));
    stop();
}

static void names_of_types_are_tensorflows(void **state)
{
    (void)state;
    assert_string_equal(dtype_name(DT_FLOAT), "float32");
    assert_string_equal(dtype_name(DT_DOUBLE), "float64");
    assert_string_equal(dtype_name(DT_INT64), "int64");
    assert_string_equal(dtype_name(DT_BFLOAT16), "bfloat16");
    assert_string_equal(dtype_name(DT_HALF), "float16");
    assert_string_equal(dtype_name(7), "string");
    assert_string_equal(dtype_name(23), "uint64");
}

/* ---- what does not read: the table ---- */

static const double numbers[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static struct ckpt *begin(void)
{
    struct ckpt *c = ckpt_begin(in_dir("bad"), 1);
    ckpt_put(c, "a", DT_FLOAT, 1, DIM(2), numbers);
    return c;
}

/* The variable "w" as a right entry would describe it; a row changes a thing. */
static struct ckpt_stored right(struct ckpt *c)
{
    return ckpt_data(c, DT_FLOAT, 2, DIM(4, 2), numbers);
}

static void end_with(struct ckpt *c, const struct ckpt_stored *s)
{
    ckpt_entry_stored(c, "w", s);
    ckpt_end(c);
}

static void make_good(void)
{
    struct ckpt *c = begin();
    ckpt_put(c, "w", DT_FLOAT, 2, DIM(4, 2), numbers);
    ckpt_end(c);
}

static const char *index_path(void) { return in_dir("bad.index"); }
static const char *data_path(void) { return in_dir("bad.data-00000-of-00001"); }

static void make_short(void) { ckpt_write(index_path(), "short", 5); }
static void make_magic(void) { make_good(); ckpt_xor(index_path(), -1, 1); }
static void make_block_byte(void) { make_good(); ckpt_xor(index_path(), 20, 4); }
static void make_block_crc(void) { make_good(); ckpt_xor(index_path(), -48 - 1, 1); }
static void make_type_bit(void) { make_good(); ckpt_xor(index_path(), -48 - 5, 1); }
static void make_handle(void) { make_good(); ckpt_xor(index_path(), -46, 0x40); }
static void make_short_data(void) { make_good(); ckpt_truncate(data_path(), 39); }
static void make_data_byte(void) { make_good(); ckpt_xor(data_path(), 39, 0x10); }
static void make_no_data(void) { make_good(); unlink(data_path()); }

static void make_footer(void)
{
    unsigned char footer[48] = { 0 };
    memset(footer, 0xff, 40);
    memcpy(footer + 40, "\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8);
    ckpt_write(index_path(), footer, sizeof(footer));
}

static void make_snappy(void)
{
    struct ckpt *c = begin();
    c->type = 1;
    ckpt_end(c);
}

static void make_zlib(void)
{
    struct ckpt *c = begin();
    c->type = 2;
    ckpt_end(c);
}

static void make_unsorted(void)
{
    struct ckpt *c = begin();
    c->unsorted = true;             /* the header comes last */
    ckpt_end(c);
}

static void make_twice(void)
{
    struct ckpt *c = begin();
    ckpt_put(c, "a", DT_FLOAT, 1, DIM(2), numbers);
    ckpt_end(c);
}

static void make_twice_in_blocks(void)
{
    struct ckpt *c = begin();
    c->block_bytes = 1;
    ckpt_put(c, "a", DT_FLOAT, 1, DIM(2), numbers);
    ckpt_end(c);
}

static void make_no_header(void)
{
    struct ckpt *c = begin();
    c->no_header = true;
    ckpt_end(c);
}

static void make_empty(void)
{
    struct ckpt *c = ckpt_begin(in_dir("bad"), 1);
    c->no_header = true;
    ckpt_end(c);
}

static void with_header(const void *bytes, size_t n)
{
    struct ckpt *c = begin();
    buf_add(&c->header, bytes, n);
    ckpt_end(c);
}

static void make_header_cut(void) { with_header("\x08", 1); }
static void make_header_group(void) { with_header("\x08\x01\x0b\x0c", 4); }
static void make_header_field_0(void) { with_header("\x08\x01\x00\x01", 4); }
static void make_header_versions(void) { with_header("\x08\x01\x1a\x01\x08", 5); }
static void make_header_packed(void) { with_header("\x08\x01\x1a\x03\x1a\x01\x80", 7); }
static void make_header_long(void)
{
    with_header("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11);
}
static void make_no_shards(void) { with_header("\x10\x00", 2); }
static void make_minus_shards(void)
{
    with_header("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
}
static void make_many_shards(void) { with_header("\x08\xa0\x8d\x06", 4); }
static void make_consumer(void) { with_header("\x08\x01\x1a\x02\x10\x03", 6); }
static void make_bad_consumer(void) { with_header("\x08\x01\x1a\x02\x18\x01", 6); }
static void make_bad_consumers(void) { with_header("\x08\x01\x1a\x04\x1a\x02\x05\x01", 8); }

/* A block with a right crc and anything in it, and the rest of a table around it. */
static void with_block(const void *bytes, size_t n)
{
    struct buf f = { 0 }, b = { 0 };
    uint32_t crc;
    buf_add(&f, bytes, n);
    buf_add(&f, "", 1);
    crc = crc32c(0, f.data, f.n);
    crc = (crc >> 15 | crc << 17) + 0xa282ead8u;
    for (int i = 0; i < 4; i++)
        buf_add(&f, &(unsigned char){ (unsigned char)(crc >> 8 * i & 0xff) }, 1);
    size_t used = f.n;
    buf_varint(&b, 0);
    buf_varint(&b, 0);
    buf_varint(&b, 0);
    buf_varint(&b, n);
    while (b.n < 40)
        buf_add(&b, "", 1);
    buf_add(&b, "\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8);
    buf_add(&f, b.data, b.n);
    assert_int_equal(f.n, used + 48);
    ckpt_write(index_path(), f.data, f.n);
    buf_free(&f);
    buf_free(&b);
}

static void make_no_restarts(void) { with_block("\0\0\0\0", 4); }
static void make_tiny_block(void) { with_block("\1\0", 2); }
static void make_restarts(void) { with_block("\0\0\0\0\2\0\0\0", 8); }
static void make_shared(void) { with_block("\1\0\0\0\0\0\0\1\0\0\0", 11); }
static void make_fresh(void) { with_block("\0\x7f\0\0\0\0\0\1\0\0\0", 11); }
static void make_value(void) { with_block("\0\0\x7f\0\0\0\0\1\0\0\0", 11); }
static void make_varint(void) { with_block("\x80\x80\x80\0\0\0\0\1\0\0\0", 11); }
static void make_no_handle(void) { with_block("\0\0\0\0\0\0\0\1\0\0\0", 11); }
static void make_outside(void) { with_block("\0\0\2\x7f\1\0\0\0\0\1\0\0\0", 13); }
static void make_huge_handle(void)
{
    with_block("\0\0\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\0\0\0\0\1\0\0\0", 22);
}

/* A data block whose handle stands twice in the index block. */
static void make_overlap(void)
{
    struct ckpt *c = begin();
    ckpt_end(c);
    FILE *f = fopen(index_path(), "rb");
    unsigned char old[4096];
    size_t n = fread(old, 1, sizeof(old), f);
    fclose(f);
    /* The last data block begins at 0; a new index block behind everything names it twice. */
    struct buf all = { 0 }, block = { 0 }, footer = { 0 };
    size_t size = 0;
    const unsigned char *footer_at = old + n - 48;
    /* footer: metaindex handle tells where the data block and its trailer end */
    for (size_t i = 0, shift = 0; ; i++, shift += 7) {
        size |= (size_t)(footer_at[i] & 0x7f) << shift;
        if (footer_at[i] < 0x80)
            break;
    }
    struct buf handle = { 0 };
    buf_varint(&handle, 0);
    buf_varint(&handle, size - 5);
    for (int i = 0; i < 2; i++) {
        buf_add(&block, "\0\1", 2);
        buf_varint(&block, handle.n);
        buf_add(&block, i ? "b" : "a", 1);
        buf_add(&block, handle.data, handle.n);
    }
    buf_add(&block, "\0\0\0\0\1\0\0\0\0", 9);
    uint32_t crc = crc32c(0, block.data, block.n);
    crc = (crc >> 15 | crc << 17) + 0xa282ead8u;
    buf_add(&all, old, n - 48);
    buf_varint(&footer, 0);
    buf_varint(&footer, 0);
    buf_varint(&footer, all.n);
    buf_varint(&footer, block.n - 1);
    while (footer.n < 40)
        buf_add(&footer, "", 1);
    buf_add(&footer, footer_at + 40, 8);
    buf_add(&all, block.data, block.n);
    for (int i = 0; i < 4; i++)
        buf_add(&all, &(unsigned char){ (unsigned char)(crc >> 8 * i & 0xff) }, 1);
    buf_add(&all, footer.data, footer.n);
    ckpt_write(index_path(), all.data, all.n);
    buf_free(&all);
    buf_free(&block);
    buf_free(&footer);
    buf_free(&handle);
}

/* Keys of some hundred bytes that share all but their last: 4 bytes spell each. */
static void make_expansion(void)
{
    struct ckpt *c = begin();
    struct buf key = { 0 }, nothing = { 0 };
    for (int i = 0; i < 4000; i++)
        buf_add(&key, "x", 1);
    for (int i = 0; i < 10000; i++) {
        key.n = 4000;
        buf_add(&key,
                (unsigned char[]){ (unsigned char)(1 + i / 200), (unsigned char)(1 + i % 200) }, 2);
        ckpt_entry(c, key.data, key.n, &nothing);
    }
    c->restart_interval = 1 << 20;
    c->block_bytes = 1 << 24;
    ckpt_end(c);
    buf_free(&key);
}

static void make_object_based(void)
{
    struct ckpt *c = begin();
    ckpt_put(c, "_CHECKPOINTABLE_OBJECT_GRAPH", 7, 0, NULL, numbers);
    ckpt_end(c);
}

#define TABLE_ROWS                                                                                 \
    ROW(make_short, "format", BAD_INPUT, "is not a TensorFlow V2 checkpoint index")                \
    ROW(make_magic, "format", BAD_INPUT, "is not a TensorFlow V2 checkpoint index")                \
    ROW(make_footer, "format", BAD_INPUT, "is damaged: its footer holds no handles")               \
    ROW(make_block_byte, "checksum", BAD_INPUT, "is damaged: the block at 0 has crc32c ")          \
    ROW(make_block_crc, "checksum", BAD_INPUT, "is damaged: the block at ")                        \
    ROW(make_type_bit, "checksum", BAD_INPUT, "is damaged: the block at ")                         \
    ROW(make_handle, "", BAD_INPUT, "is damaged: ")                                                \
    ROW(make_snappy, "compressed", UNSUPPORTED,                                                    \
        "the block at 0 is compressed (snappy, type 1), n")                                        \
    ROW(make_zlib, "compressed", UNSUPPORTED, "the block at 0 is compressed (type 2), needs type") \
    ROW(make_unsorted, "format", BAD_INPUT, "is damaged: its keys are not in ascending order")     \
    ROW(make_twice, "format", BAD_INPUT, "is damaged: its keys are not in ascending order")        \
    ROW(make_twice_in_blocks, "format", BAD_INPUT, "is damaged: its keys are not in ascending")    \
    ROW(make_no_header, "format", BAD_INPUT, "is damaged: it has no header")                       \
    ROW(make_empty, "format", BAD_INPUT, "is damaged: it has no header")                           \
    ROW(make_header_cut, "format", BAD_INPUT, "is damaged: its header cannot be decoded")          \
    ROW(make_header_group, "format", BAD_INPUT, "is damaged: its header cannot be decoded")        \
    ROW(make_header_field_0, "format", BAD_INPUT, "is damaged: its header cannot be decoded")      \
    ROW(make_header_versions, "format", BAD_INPUT, "is damaged: its header cannot be decoded")     \
    ROW(make_header_packed, "format", BAD_INPUT, "is damaged: its header cannot be decoded")       \
    ROW(make_header_long, "format", BAD_INPUT, "is damaged: its header cannot be decoded")         \
    ROW(make_no_shards, "format", BAD_INPUT, "says that there are 0 data files, needs 1 to 99999") \
    ROW(make_minus_shards, "format", BAD_INPUT, "says that there are -1 data files, needs 1 to 9") \
    ROW(make_many_shards, "format", BAD_INPUT, "says that there are 100000 data files, needs 1 t") \
    ROW(make_consumer, "version", UNSUPPORTED, "needs a reader of version 3, this is 1")           \
    ROW(make_bad_consumer, "version", UNSUPPORTED, "needs a reader of version 2, this is 1")       \
    ROW(make_bad_consumers, "version", UNSUPPORTED, "needs a reader of version 2, this is 1")      \
    ROW(make_no_restarts, "format", BAD_INPUT, "is damaged: a block's count of restarts is wrong") \
    ROW(make_tiny_block, "format", BAD_INPUT, "is damaged: a block's count of restarts is wrong")  \
    ROW(make_restarts, "format", BAD_INPUT, "is damaged: a block's count of restarts is wrong")    \
    ROW(make_shared, "format", BAD_INPUT, "is damaged: an entry reaches over the end of its bloc") \
    ROW(make_fresh, "format", BAD_INPUT, "is damaged: an entry reaches over the end of its block") \
    ROW(make_value, "format", BAD_INPUT, "is damaged: an entry reaches over the end of its block") \
    ROW(make_varint, "format", BAD_INPUT, "is damaged: an entry reaches over the end of its bloc") \
    ROW(make_no_handle, "format", BAD_INPUT, "is damaged: a handle of a block is cut short")       \
    ROW(make_outside, "format", BAD_INPUT, "is damaged: a block lies outside of the file")         \
    ROW(make_huge_handle, "format", BAD_INPUT, "is damaged: a block lies outside of the file")     \
    ROW(make_overlap, "format", BAD_INPUT, "is damaged: its blocks overlap")                       \
    ROW(make_expansion, "format", BAD_INPUT, "is damaged: its keys are much longer than the file") \
    ROW(make_object_based, "unsupported", UNSUPPORTED, "is an object-based checkpoint (Keras, ")

struct bad_row {
    const char *what;
    void (*make)(void);
    const char *tag;
    enum result result;
    const char *text;               /* how the message begins */
};

static void check_row(const struct bad_row *r, const char *file, bool ok)
{
    if (ok || job.errors != 1 || !job.messages)
        fail_msg("%s: %d errors: %s", r->what, job.errors, said());
    const struct message *m = job.messages;
    if (strncmp(m->text, r->text, strlen(r->text)) != 0 ||
        (*r->tag && strcmp(m->tag, r->tag) != 0) || job.result != r->result)
        fail_msg("%s: said \"%s\", needs \"%s [%s]\"", r->what, said(), r->text, r->tag);
    if (file)
        assert_string_equal(m->pos.source->name, file);
}

static void broken_tables_are_refused(void **state)
{
    (void)state;
    static const struct bad_row rows[] = {
#define ROW(make, tag, result, text) { #make, make, tag, result, text },
        TABLE_ROWS
#undef ROW
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        start();
        rows[i].make();
        bool ok = read_checkpoint(&job, in_dir("bad")) != NULL;
        check_row(&rows[i], "bad.index", ok);
        stop();
    }
}

/* ---- what does not read: entries ---- */

#define ENTRY(name, change)                                                                        \
    static void name(void)                                                                         \
    {                                                                                              \
        struct ckpt *c = begin();                                                                  \
        struct ckpt_stored s = right(c);                                                           \
        change;                                                                                    \
        end_with(c, &s);                                                                           \
    }

ENTRY(make_shard, s.shard = 1)
ENTRY(make_minus_shard, s.shard = -1)
ENTRY(make_size, s.size = 28)
ENTRY(make_minus_size, s.size = -32)
ENTRY(make_double, s.dtype = DT_DOUBLE)
ENTRY(make_offset, s.offset = INT64_MIN)
ENTRY(make_far, s.offset = INT64_MAX - 32)
ENTRY(make_farther, s.offset = INT64_MAX - 31)
ENTRY(make_behind, s.offset = 12)
ENTRY(make_crc, s.crc ^= 1)
ENTRY(make_minus_dim, s.dim[1] = -2)
ENTRY(make_huge, s.dim[0] = INT64_MAX)
ENTRY(make_rank, s.rank = 9)
ENTRY(make_string, s.dtype = 7)
ENTRY(make_int64, s.dtype = DT_INT64)
ENTRY(make_no_type, s.dtype = 0)

static void with_value(const void *bytes, size_t n)
{
    struct ckpt *c = begin();
    struct buf b = { 0 };
    buf_add(&b, bytes, n);
    ckpt_entry(c, "w", 1, &b);
    buf_free(&b);
    ckpt_end(c);
}

static void make_cut(void) { with_value("\x08\x01\x12\x08\x12", 5); }
static void make_cut_shape(void) { with_value("\x08\x01\x12\x02\x12\x08", 6); }
static void make_cut_dim(void) { with_value("\x08\x01\x12\x03\x12\x01\x08", 7); }
static void make_cut_64(void) { with_value("\x09\x01\x02", 3); }
static void make_cut_32(void) { with_value("\x35\x01\x02", 3); }
static void make_long_key(void) { with_value("\xff\xff\xff\xff\xff\x01\x01", 7); }
static void make_unknown_rank(void) { with_value("\x08\x01\x12\x02\x18\x01", 6); }

/* "w" of [4,2] in slices; each is (row, rows, column, columns) and stored as [rows, columns]. */
static void with_slices(int n, const int64_t (*s)[4], int listed)
{
    struct ckpt *c = begin();
    struct buf list = whole(2, INT(4, 2));
    for (int i = 0; i < n; i++) {
        uint64_t rows = (uint64_t)(s[i][1] > 0 ? s[i][1] : 0), columns = (uint64_t)s[i][3];
        add_slice(c, &list, "w", 2, INT(s[i][0], s[i][2]), INT(s[i][1], s[i][3]),
                  DIM(rows < 5 ? rows : 1, columns < 5 ? columns : 1), numbers);
    }
    for (int i = n; i < listed; i++)
        ckpt_list_slice(&list, 2, INT(i, 0), INT(1, 2));
    finish(c, "w", &list);
}

#define SLICES(...)                                                                                \
    static const int64_t s[][4] = { __VA_ARGS__ };                                                 \
    with_slices((int)COUNT(s), s, 0)

static void make_overlapping(void) { SLICES({ 0, 2, 0, 2 }, { 1, 3, 0, 2 }); }
static void make_hole(void) { SLICES({ 0, 1, 0, 2 }, { 2, 2, 0, 2 }); }
static void make_first_hole(void) { SLICES({ 1, 3, 0, 2 }); }
static void make_missing_end(void) { SLICES({ 0, 2, 0, 2 }, { 2, 1, 0, 2 }); }
static void make_columns(void) { SLICES({ 0, 4, 0, 1 }, { 0, 4, 1, 1 }); }
static void make_wide(void) { SLICES({ 0, 4, 0, 3 }); }
static void make_start(void) { SLICES({ 0, 2, 0, 2 }, { 5, 1, 0, 2 }); }
static void make_minus_start(void) { SLICES({ -1, 2, 0, 2 }); }
static void make_minus_length(void) { SLICES({ 1, -1, 0, 2 }); }
static void make_start_max(void) { SLICES({ INT64_MAX, INT64_MAX, 0, 2 }); }
static void make_start_min(void) { SLICES({ INT64_MIN, INT64_MIN, 0, 2 }); }

static void make_unlisted(void)
{
    static const int64_t s[][4] = { { 0, 2, 0, 2 }, { 2, 2, 0, 2 } };
    with_slices(2, s, 3);
}

/* One slice of all of "w", with an own entry that differs. */
static void with_slice_entry(const struct ckpt_stored *own, const void *junk, size_t n)
{
    struct ckpt *c = begin();
    struct buf list = whole(2, INT(4, 2)), value = ckpt_value(own);
    struct buf key = ckpt_slice_key("w", 2, INT(0, 0), INT(4, 2));
    buf_add(&value, junk, n);
    ckpt_entry(c, key.data, key.n, &value);
    ckpt_list_slice(&list, 2, INT(0, 0), INT(4, 2));
    buf_free(&key);
    buf_free(&value);
    finish(c, "w", &list);
}

#define OWN(...) (&(struct ckpt_stored){ __VA_ARGS__ })
static void make_slice_type(void) { with_slice_entry(OWN(.dtype = 2, .rank = 2), NULL, 0); }
static void make_slice_rank(void) { with_slice_entry(OWN(.dtype = 1, .rank = 1), NULL, 0); }
static void make_slice_dim(void)
{
    with_slice_entry(OWN(.dtype = 1, .rank = 2, .dim = { 2, 4 }), NULL, 0);
}
static void make_slice_size(void)
{
    with_slice_entry(OWN(.dtype = 1, .rank = 2, .dim = { 4, 2 }, .size = 8), NULL, 0);
}
static void make_slice_junk(void) { with_slice_entry(OWN(.dtype = 1), "\x0b", 1); }

/* Instead of the slice's key another one: what cannot be decoded is missed. */
static void with_key(const void *bytes, size_t n)
{
    struct ckpt *c = begin();
    struct ckpt_stored s = right(c);
    struct buf list = whole(2, INT(4, 2)), value = ckpt_value(&s);
    ckpt_entry(c, bytes, n, &value);
    ckpt_list_slice(&list, 2, INT(0, 0), INT(4, 2));
    buf_free(&value);
    finish(c, "w", &list);
}

static void make_key_cut(void) { with_key("\0w\0\1\1\2\x80\x84\x80", 9); }
static void make_key_longer(void) { with_key("\0w\0\1\1\2\x80\x84\x80\x82\x80", 11); }
static void make_key_endless(void) { with_key("\0www", 4); }
static void make_key_escape(void) { with_key("\0w\0\2\0\1\1\2\x80\x84\x80\x82", 12); }
static void make_key_no_rank(void) { with_key("\0w\0\1", 4); }
static void make_key_rank(void) { with_key("\0w\0\1\1\x09\x80\x84\x80\x82", 10); }
static void make_key_rank_bytes(void) { with_key("\0w\0\1\x09\x02\x80\x84\x80\x82", 10); }
static void make_key_rank_cut(void) { with_key("\0w\0\1\x03\x02", 6); }
static void make_key_no_extents(void) { with_key("\0w\0\1\1\2", 6); }
static void make_key_extent_cut(void) { with_key("\0w\0\1\1\2\xe0\x80", 8); }
static void make_key_extent_long(void)
{
    with_key("\0w\0\1\1\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80", 17);
}
static void make_key_extent_huge(void)
{
    with_key("\0w\0\1\1\2\xff\xc0\x80\0\0\0\0\0\0\0\x80", 17);
}

#define ENTRY_ROWS                                                                                 \
    ROW(make_shard, "entry", BAD_INPUT, "w: lies in data file 1, there are 1")                     \
    ROW(make_minus_shard, "entry", BAD_INPUT, "w: lies in data file -1, there are 1")              \
    ROW(make_size, "entry", BAD_INPUT, "w: has 28 bytes, its shape and type need 32")              \
    ROW(make_minus_size, "entry", BAD_INPUT, "w: has -32 bytes, its shape and type need 32")       \
    ROW(make_double, "entry", BAD_INPUT, "w: has 32 bytes, its shape and type need 64")            \
    ROW(make_offset, "entry", BAD_INPUT, "w: starts at byte -9223372036854775808, needs one that") \
    ROW(make_farther, "entry", BAD_INPUT, "w: starts at byte 9223372036854775776, needs ")         \
    ROW(make_minus_dim, "entry", BAD_INPUT, "w: has an impossible shape, [4,-2]")                  \
    ROW(make_huge, "entry", BAD_INPUT, "w: has an impossible shape, [9223372036854775807,2]")      \
    ROW(make_rank, "entry", BAD_INPUT, "w: has too many dimensions, needs 8 at most")              \
    ROW(make_unknown_rank, "entry", BAD_INPUT, "w: has an unknown number of dimensions, needs 8 ") \
    ROW(make_cut, "entry", BAD_INPUT, "w: its entry cannot be decoded")                            \
    ROW(make_cut_shape, "entry", BAD_INPUT, "w: its entry cannot be decoded")                      \
    ROW(make_cut_dim, "entry", BAD_INPUT, "w: its entry cannot be decoded")                        \
    ROW(make_cut_64, "entry", BAD_INPUT, "w: its entry cannot be decoded")                         \
    ROW(make_cut_32, "entry", BAD_INPUT, "w: its entry cannot be decoded")                         \
    ROW(make_long_key, "entry", BAD_INPUT, "w: its entry cannot be decoded")                       \
    ROW(make_overlapping, "slices", BAD_INPUT, "w: has slices that overlap: one starts at elemen") \
    ROW(make_hole, "slices", BAD_INPUT, "w: has a hole: a slice starts at element 4, those befor") \
    ROW(make_first_hole, "slices", BAD_INPUT, "w: has a hole: a slice starts at element 2, those") \
    ROW(make_missing_end, "slices", BAD_INPUT, "w: has slices of 6 elements, needs 8")             \
    ROW(make_columns, "unsupported", UNSUPPORTED, "w: is cut into columns; only slices that are ") \
    ROW(make_wide, "slices", BAD_INPUT, "w: has a slice [0, +3) in a dimension of 2")              \
    ROW(make_start, "slices", BAD_INPUT, "w: has a slice [5, +1) in a dimension of 4")             \
    ROW(make_minus_start, "slices", BAD_INPUT, "w: has a slice [-1, +2) in a dimension of 4")      \
    ROW(make_minus_length, "slices", BAD_INPUT, "w: has a slice [1, +-1) in a dimension of 4")     \
    ROW(make_start_max, "slices", BAD_INPUT, "w: has a slice [9223372036854775807, +92233720368")  \
    ROW(make_start_min, "slices", BAD_INPUT, "w: has a slice [-9223372036854775808, +-922337203")  \
    ROW(make_unlisted, "slices", BAD_INPUT, "w: has 2 slices, needs 3")                            \
    ROW(make_slice_type, "slices", BAD_INPUT, "w: has a slice of another rank or type")            \
    ROW(make_slice_rank, "slices", BAD_INPUT, "w: has a slice of another rank or type")            \
    ROW(make_slice_dim, "slices", BAD_INPUT, "w: has a slice of 4 that is stored as 2")            \
    ROW(make_slice_size, "entry", BAD_INPUT, "w: has 8 bytes, its shape and type need 32")         \
    ROW(make_slice_junk, "entry", BAD_INPUT, "w: has a slice whose entry cannot be decoded")       \
    ROW(make_key_cut, "slices", BAD_INPUT, "w: has 0 slices, needs 1")                             \
    ROW(make_key_longer, "slices", BAD_INPUT, "w: has 0 slices, needs 1")                          \
    ROW(make_key_endless, "slices", BAD_INPUT, "w: has 0 slices, needs 1")                         \
    ROW(make_key_escape, "slices", BAD_INPUT, "w: has 0 slices, needs 1")                          \
    ROW(make_key_no_rank, "slices", BAD_INPUT, "w: has 0 slices, needs 1")                         \
    ROW(make_key_rank, "slices", BAD_INPUT, "w: has 0 slices, needs 1")                            \
    ROW(make_key_rank_bytes, "slices", BAD_INPUT, "w: has 0 slices, needs 1")                      \
    ROW(make_key_rank_cut, "slices", BAD_INPUT, "w: has 0 slices, needs 1")                        \
    ROW(make_key_no_extents, "slices", BAD_INPUT, "w: has 0 slices, needs 1")                      \
    ROW(make_key_extent_cut, "slices", BAD_INPUT, "w: has 0 slices, needs 1")                      \
    ROW(make_key_extent_long, "slices", BAD_INPUT, "w: has 0 slices, needs 1")                     \
    ROW(make_key_extent_huge, "slices", BAD_INPUT, "w: has 0 slices, needs 1")

#define DATA_ROWS                                                                                  \
    ROW(make_far, "truncated", BAD_INPUT,                                                          \
        "has 40 bytes, w needs those from 9223372036854775775 t")                                  \
    ROW(make_behind, "truncated", BAD_INPUT, "has 40 bytes, w needs those from 12 to 44")          \
    ROW(make_short_data, "truncated", BAD_INPUT, "has 39 bytes, w needs those from 8 to 40")       \
    ROW(make_crc, "checksum", BAD_INPUT, "is damaged: w has crc32c 0x")                            \
    ROW(make_data_byte, "checksum", BAD_INPUT, "is damaged: w has crc32c 0x")                      \
    ROW(make_no_data, "file", BAD_INPUT, "cannot be opened: there is no such file")

#define TYPE_ROWS                                                                                  \
    ROW(make_string, "dtype", BAD_INPUT,                                                           \
        "w is string, needs float32, float64, float16 or bfloat16")                                \
    ROW(make_int64, "dtype", BAD_INPUT, "w is int64, needs float32, float64, float16 or bfloat16") \
    ROW(make_no_type, "dtype", BAD_INPUT, "w is an invalid type, needs float32, float64, float16")

/* Reading the table tells nothing; the other variable reads; the broken one gives its message. */
static void check_rows(const struct bad_row *rows, size_t n, const char *file)
{
    for (size_t i = 0; i < n; i++) {
        double to[16];
        start();
        rows[i].make();
        struct tensors *ts = read_checkpoint(&job, in_dir("bad"));
        if (!ts || job.messages)
            fail_msg("%s: %s", rows[i].what, said());
        if (rows[i].make != make_no_data)
            check_values(ts, "a", numbers, 2);
        const struct tensor *w = find_tensor(ts, "w");
        assert_non_null(w);
        check_row(&rows[i], file, read_tensor(&job, w, true, to));
        stop();
    }
}

static void broken_entries_fail_when_read(void **state)
{
    (void)state;
#define ROW(make, tag, result, text) { #make, make, tag, result, text },
    static const struct bad_row entries[] = { ENTRY_ROWS }, data[] = { DATA_ROWS },
                                types[] = { TYPE_ROWS };
#undef ROW
    check_rows(entries, COUNT(entries), "bad.index");
    check_rows(data, COUNT(data), NULL);
    check_rows(types, COUNT(types), NULL);
}

/* A missing data file is one error; a note names the first variable that misses it. */
static void missing_data_file_is_told_once(void **state)
{
    (void)state;
    double to[8];
    make_no_data();
    start();
    struct tensors *ts = read_checkpoint(&job, in_dir("bad"));
    assert_false(read_tensor(&job, find_tensor(ts, "w"), true, to));
    assert_false(read_tensor(&job, find_tensor(ts, "a"), true, to));
    assert_int_equal(job.errors, 1);
    assert_non_null(job.messages->next);
    assert_string_equal(job.messages->next->text, "w is stored in bad.data-00000-of-00001");
    assert_null(job.messages->next->next);
    stop();
}

/* Every single bit of an index: a message or a correct reading, never anything else. */
static void every_flipped_bit_is_survived(void **state)
{
    (void)state;
    make_good();
    struct stat st;
    assert_int_equal(stat(index_path(), &st), 0);
    for (long i = 0; i < (long)st.st_size * 8; i++) {
        double to[8];
        start();
        ckpt_xor(index_path(), i / 8, (unsigned char)(1 << i % 8));
        struct tensors *ts = read_checkpoint(&job, in_dir("bad"));
        if (!ts)
            assert_int_equal(job.errors, 1);
        else if (!read_tensor(&job, find_tensor(ts, "w"), true, to))
            fail_msg("bit %ld: %s", i, said());
        ckpt_xor(index_path(), i / 8, (unsigned char)(1 << i % 8));
        stop();
    }
}

static void every_length_is_survived(void **state)
{
    (void)state;
    make_good();
    struct stat st;
    assert_int_equal(stat(index_path(), &st), 0);
    for (long n = (long)st.st_size - 1; n >= 0; n--) {
        start();
        ckpt_truncate(index_path(), n);
        assert_null(read_checkpoint(&job, in_dir("bad")));
        assert_int_equal(job.errors, 1);
        stop();
    }
}

static void huge_index_is_refused(void **state)
{
    (void)state;
    make_good();
    ckpt_truncate(index_path(), (256L << 20) + 1);      /* a hole, not bytes */
    start();
    assert_null(read_checkpoint(&job, in_dir("bad")));
    assert_string_equal(said(), "bad.index: is damaged: it has more than 256 MiB [format]");
    stop();
}

/* ---- no memory ---- */

/* Reads everything, its n-th block of memory missing; true if there was enough. */
static bool read_with_failure(long n)
{
    static double to[8];
    jmp_buf no_memory;
    start();
    job.arena.fail_after = n;
    job.arena.no_memory = &no_memory;
    if (setjmp(no_memory)) {
        stop();
        return false;
    }
    const char *prefix = find_checkpoint(&job, dir);
    struct tensors *ts = read_checkpoint(&job, prefix);
    assert_non_null(ts);
    assert_true(read_tensor(&job, find_tensor(ts, "w"), true, to));
    assert_true(to[7] == 8);
    stop();
    return true;
}

static void lack_of_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    struct ckpt *c = ckpt_begin(in_dir("model.ckpt-5"), 2);
    ckpt_put_rows(c, "w", DT_FLOAT, 2, DIM(4, 2), numbers, 3, DIM(1, 1, 2));
    char name[128];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "a/long/name/of/a/variable/%d/kernel", i);
        ckpt_put(c, name, DT_FLOAT, 2, DIM(4, 2), numbers);
    }
    ckpt_end(c);
    int before = open_fds();
    long n = 0;
    while (!read_with_failure(n)) {
        assert_int_equal(open_fds(), before);
        n++;
    }
    assert_true(n > 3);
    assert_int_equal(open_fds(), before);
    unlink(in_dir("model.ckpt-5.index"));
}

/* ---- finding a checkpoint ---- */

static void check_found(const char *path, const char *needed)
{
    start();
    const char *found = find_checkpoint(&job, path);
    if (!found)
        fail_msg("%s: %s", path, said());
    assert_string_equal(found, needed);
    stop();
}

static void check_not_found(const char *path, const char *message, const char *hint)
{
    start();
    assert_null(find_checkpoint(&job, path));
    assert_string_equal(said(), message);
    assert_non_null(job.messages->hint);
    if (!strstr(job.messages->hint, hint))
        fail_msg("%s: %s", path, job.messages->hint);
    stop();
}

static void largest_step_is_found(void **state)
{
    (void)state;
    char all[128], needed[256], message[256];
    snprintf(all, sizeof(all), "%s", in_dir("steps"));
    mkdir(all, 0777);
    snprintf(message, sizeof(message),
             "%s: there is no checkpoint: looked for model.ckpt-<step>.index "
             "and variables/variables.index [file]",
             all);
    check_not_found(all, message, "--weights DIR/model.ckpt-1000");
    assert_false(has_checkpoint(all));
    touch("steps/other.index");
    touch("steps/model.ckpt-7_temp_1234.index");
    touch("steps/model.ckpt-9.tempstate123");
    touch("steps/model.ckpt-x.index");
    touch("steps/model.ckpt-.index");
    touch("steps/model.ckpt-12.index.tmp");
    unlink(in_dir("steps/model.ckpt-x.index"));
    unlink(in_dir("steps/model.ckpt-.index"));
    snprintf(needed, sizeof(needed), "if other.index is meant: --weights %s/other", all);
    check_not_found(all, message, needed);
    assert_false(has_checkpoint(all));
    touch("steps/model.ckpt-0.index");
    snprintf(needed, sizeof(needed), "%s/model.ckpt-0", all);
    check_found(all, needed);
    touch("steps/model.ckpt-999.index");
    touch("steps/model.ckpt-0001000.index");
    snprintf(needed, sizeof(needed), "%s/model.ckpt-0001000", all);
    check_found(all, needed);
    touch("steps/model.ckpt-99999999999999999999998.index");
    touch("steps/model.ckpt-99999999999999999999999.index");
    snprintf(needed, sizeof(needed), "%s/model.ckpt-99999999999999999999999", all);
    check_found(all, needed);
    assert_true(has_checkpoint(all));
}

static void saved_models_are_found(void **state)
{
    (void)state;
    char all[128], needed[256], message[256];
    snprintf(all, sizeof(all), "%s", in_dir("export"));
    mkdir(all, 0777);
    mkdir(in_dir("export/variables"), 0777);
    touch("export/saved_model.pb");
    touch("export/model.ckpt-1.index");
    snprintf(message, sizeof(message),
             "%s: is a SavedModel without variables/variables.index [file]", all);
    check_not_found(all, message, "");
    touch("export/variables/variables.index");
    snprintf(needed, sizeof(needed), "%s/variables/variables", all);
    check_found(all, needed);
    assert_true(has_checkpoint(all));
}

static void prefixes_and_indexes_are_found(void **state)
{
    (void)state;
    char message[256];
    touch("one.index");
    touch("v1");
    check_found(in_dir("one"), in_dir("one"));
    check_found(in_dir("one.index"), in_dir("one"));
    snprintf(message, sizeof(message),
             "%s: is not a TensorFlow V2 checkpoint: there is no v1.index "
             "[format]",
             in_dir("v1"));
    check_not_found(in_dir("v1"), message, "what stands before .index");
    snprintf(message, sizeof(message), "%s: there is no such file [file]", in_dir("none.index"));
    check_not_found(in_dir("none"), message, "what stands before .index");
    check_not_found(in_dir("none.index"), message, "what stands before .index");
    start();
    assert_null(find_checkpoint(&job, NULL));
    assert_null(read_checkpoint(&job, NULL));
    assert_null(find_tensor(NULL, "w"));
    assert_int_equal(job.errors, 0);
    assert_null(read_checkpoint(&job, in_dir("none")));
    assert_int_equal(job.errors, 1);
    assert_false(has_checkpoint(in_dir("none")));
    stop();
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/test_ckpt.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_equals_its_definition),
        cmocka_unit_test(crc32c_of_many_bytes_equals_its_definition),
        cmocka_unit_test(test_vector_reads),
        cmocka_unit_test(goldens_read),
        cmocka_unit_test(every_type_widens_exactly),
        cmocka_unit_test(big_endian_files_read),
        cmocka_unit_test(partitioned_variables_read),
        cmocka_unit_test(slices_that_are_runs_read),
        cmocka_unit_test(many_blocks_read),
        cmocka_unit_test(foreign_entries_pass),
        cmocka_unit_test(unusual_messages_read),
        cmocka_unit_test(unchecked_bytes_may_differ),
        cmocka_unit_test(names_of_types_are_tensorflows),
        cmocka_unit_test(broken_tables_are_refused),
        cmocka_unit_test(broken_entries_fail_when_read),
        cmocka_unit_test(missing_data_file_is_told_once),
        cmocka_unit_test(every_flipped_bit_is_survived),
        cmocka_unit_test(every_length_is_survived),
        cmocka_unit_test(huge_index_is_refused),
        cmocka_unit_test(lack_of_memory_leaves_nothing_behind),
        cmocka_unit_test(largest_step_is_found),
        cmocka_unit_test(saved_models_are_found),
        cmocka_unit_test(prefixes_and_indexes_are_found),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir) != 0;
}
