// SPDX-License-Identifier: Apache-2.0
/* test_mmoe.c: opening models from files, and refusing what is not one.
 *
 * The shared objects are builds of mmoe_plugin.c; PLUGIN_DIR (by -D) is where they lie: one.so,
 * two.so, apart.so, other_abi.so, no_plugin.so. The same file is linked in, with its weights apart.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../runtime/mmoe.h"
#include "../runtime/sha256.h"
#include "../runtime/weights_file.h"

extern const struct mmoe_model plugin_model;

/* ---- files ----------------------------------------------------------------------------------- */

static char dir[] = "/tmp/test_mmoe.XXXXXX";

static const char *in_dir(const char *name)
{
    static char path[2][128];
    static int turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static void write_bytes(const char *path, const void *bytes, size_t length)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, length, f), length);
    assert_int_equal(fclose(f), 0);
}

/* Copies into the file that is there: what a careless deployment does. Returns its length. */
static size_t copy(const char *from, const char *to)
{
    static char bytes[1 << 20];
    FILE *f = fopen(from, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    write_bytes(to, bytes, n);
    return n;
}

/* A weights file of plugin_model. */
struct weights_file {
    struct weights_header head;
    uint32_t expected[16]; /* two, and zeros to a multiple of 64 bytes */
    float numbers[16];
};

static struct weights_file good_weights(void)
{
    struct weights_file w = {
        .head = {.abi = MMOE_ABI, .n_expected = 2, .weight_floats = {16, 0}},
        .expected = {7, 5},
        .numbers = {5, 2},
    };
    memcpy(w.head.magic, WEIGHTS_MAGIC, sizeof w.head.magic);
    memcpy(w.head.structure, plugin_model.structure, sizeof w.head.structure);
    sha256(w.numbers, sizeof w.numbers, w.head.weights_digest);
    return w;
}

static float score_one(struct mmoe *m)
{
    const float x[2] = {10, 1};
    float y = 0;
    struct mmoe_reader *reader;
    assert_int_equal(mmoe_reader_new(&reader, m, NULL), MMOE_OK);
    mmoe_score(reader, x, 1, &y);
    mmoe_reader_free(reader);
    return y;
}

static void refuses(struct mmoe_source source, enum mmoe_status status)
{
    struct mmoe *m = (struct mmoe *)1;
    assert_int_equal(mmoe_open(&m, source), status);
    assert_null(m);
}

/* Weights that are `length` bytes of w. */
static void refuses_weights(const struct weights_file *w, size_t length, enum mmoe_status status)
{
    write_bytes(in_dir("bad.weights"), w, length);
    refuses(mmoe_weights(&plugin_model, in_dir("bad.weights")), status);
}

/* ---- shared objects -------------------------------------------------------------------------- */

static void opens_a_shared_object(void **state)
{
    (void)state;
    struct mmoe *m;
    assert_int_equal(mmoe_open(&m, mmoe_file(PLUGIN_DIR "/one.so")), MMOE_OK);
    assert_string_equal(mmoe_record(m)->name, "plugin");
    assert_true(score_one(m) == 12);
    mmoe_close(m);
}

static void one_path_holds_several_models(void **state)
{
    (void)state;
    struct mmoe *first, *second, *third;
    const char *path = in_dir("model.so");
    copy(PLUGIN_DIR "/one.so", path);
    assert_int_equal(mmoe_open(&first, mmoe_file(path)), MMOE_OK);
    copy(PLUGIN_DIR "/two.so", path);
    assert_int_equal(mmoe_open(&second, mmoe_file(path)), MMOE_OK);
    assert_int_equal(mmoe_open(&third, mmoe_file(path)), MMOE_OK);
    assert_true(score_one(first) == 12);
    assert_true(score_one(second) == 22);
    assert_ptr_not_equal(mmoe_record(second), mmoe_record(third));
    mmoe_close(first);
    mmoe_close(second);
    assert_true(score_one(third) == 22);
    mmoe_close(third);
}

static void descriptors_are_closed(void **state)
{
    (void)state;
    struct mmoe *m;
    int before = open("/dev/null", O_RDONLY);
    close(before);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mmoe_open(&m, mmoe_file(PLUGIN_DIR "/one.so")), MMOE_OK);
        mmoe_close(m);
        refuses(mmoe_file(PLUGIN_DIR "/no_plugin.so"), MMOE_NOT_A_MODEL);
        refuses(mmoe_file(PLUGIN_DIR "/apart.so"), MMOE_NO_FILE);
    }
    int after = open("/dev/null", O_RDONLY);
    close(after);
    assert_int_equal(before, after);
}

static void refuses_what_is_no_model(void **state)
{
    (void)state;
    refuses(mmoe_file(in_dir("absent.so")), MMOE_NO_FILE);
    refuses(mmoe_file(dir), MMOE_NO_FILE);
    refuses(mmoe_file(PLUGIN_DIR "/no_plugin.so"), MMOE_NOT_A_MODEL);
    refuses(mmoe_file(PLUGIN_DIR "/other_abi.so"), MMOE_NOT_A_MODEL);
    write_bytes(in_dir("text.so"), "no elf here", 11);
    refuses(mmoe_file(in_dir("text.so")), MMOE_NOT_A_MODEL);
    write_bytes(in_dir("empty.so"), "", 0);
    refuses(mmoe_file(in_dir("empty.so")), MMOE_NOT_A_MODEL);
}

/* However much of it is there, a part of a shared object must not kill the process. */
static void survives_half_a_shared_object(void **state)
{
    (void)state;
    const char *path = in_dir("half.so");
    const size_t whole = copy(PLUGIN_DIR "/one.so", path);
    for (size_t length = 0; length < whole; length += 61) {
        struct mmoe *m;
        copy(PLUGIN_DIR "/one.so", path);
        assert_int_equal(truncate(path, (off_t)length), 0);
        enum mmoe_status status = mmoe_open(&m, mmoe_file(path));
        if (status == MMOE_OK) /* only section headers are missing */
            assert_true(score_one(m) == 12);
        else
            assert_true(status == MMOE_NOT_A_MODEL || status == MMOE_DAMAGED);
        mmoe_close(m);
    }
}

/* ---- weights --------------------------------------------------------------------------------- */

static void opens_weights_of_a_linked_record(void **state)
{
    (void)state;
    struct mmoe *m;
    const struct weights_file w = good_weights();
    write_bytes(in_dir("good.weights"), &w, sizeof w);
    assert_int_equal(mmoe_open(&m, mmoe_weights(&plugin_model, in_dir("good.weights"))), MMOE_OK);
    assert_true(score_one(m) == 52);
    assert_int_equal((uintptr_t)mmoe_record(m)->weights % 64, 0);
    mmoe_close(m);
}

static void finds_weights_beside_a_shared_object(void **state)
{
    (void)state;
    struct mmoe *m;
    const struct weights_file w = good_weights();
    copy(PLUGIN_DIR "/apart.so", in_dir("apart.so"));
    refuses(mmoe_file(in_dir("apart.so")), MMOE_NO_FILE);
    write_bytes(in_dir("apart.weights"), &w, sizeof w);
    assert_int_equal(mmoe_open(&m, mmoe_file(in_dir("apart.so"))), MMOE_OK);
    assert_true(score_one(m) == 52);
    mmoe_close(m);
}

static void runs_the_self_test(void **state)
{
    (void)state;
    struct weights_file w = good_weights();
    w.expected[1] = 6;
    refuses_weights(&w, sizeof w, MMOE_SELF_TEST);
}

static void refuses_weights_of_another_kind(void **state)
{
    (void)state;
    struct weights_file w = good_weights();
    refuses(mmoe_weights(&plugin_model, in_dir("absent.weights")), MMOE_NO_FILE);
    refuses(mmoe_weights(&plugin_model, dir), MMOE_NOT_A_MODEL);
    w.head.magic[7] = 2;
    refuses_weights(&w, sizeof w, MMOE_NOT_A_MODEL);
    w = good_weights();
    w.head.abi++;
    refuses_weights(&w, sizeof w, MMOE_NOT_A_MODEL);
    w = good_weights();
    w.head.structure[31] ^= 1;
    refuses_weights(&w, sizeof w, MMOE_OTHER_MODEL);
}

static void refuses_damaged_weights(void **state)
{
    (void)state;
    struct weights_file w = good_weights();
    refuses_weights(&w, 0, MMOE_NOT_A_MODEL);
    refuses_weights(&w, sizeof w.head - 1, MMOE_NOT_A_MODEL);
    for (size_t length = sizeof w.head; length < sizeof w; length++)
        refuses_weights(&w, length, MMOE_DAMAGED);
    w.head.n_expected = 3;
    refuses_weights(&w, sizeof w, MMOE_DAMAGED);
    w = good_weights();
    w.head.weight_floats[1] = 1;
    refuses_weights(&w, sizeof w, MMOE_DAMAGED);
    w = good_weights();
    w.numbers[15] = 1e-30f;
    refuses_weights(&w, sizeof w, MMOE_DAMAGED);
    const struct weights_file twice[2] = {good_weights()};
    refuses_weights(twice, sizeof w + 1, MMOE_DAMAGED);
}

/* ---- swaps ----------------------------------------------------------------------------------- */

static struct weights_file other_weights(float number)
{
    struct weights_file w = good_weights();
    w.expected[1] = (uint32_t)number;
    w.numbers[0] = number;
    sha256(w.numbers, sizeof w.numbers, w.head.weights_digest);
    return w;
}

static enum mmoe_status swap_to_weights(struct mmoe *m, const struct weights_file *w, size_t length)
{
    write_bytes(in_dir("next.weights"), w, length);
    return mmoe_swap(m, mmoe_file(in_dir("next.weights")), 0);
}

static void serves_a_shared_object_that_was_replaced(void **state)
{
    (void)state;
    struct mmoe *m;
    const char *path = in_dir("model.so"), *next = in_dir("next.so");
    copy(PLUGIN_DIR "/one.so", path);
    assert_int_equal(mmoe_open(&m, mmoe_file(path)), MMOE_OK);
    copy(PLUGIN_DIR "/two.so", next);
    assert_int_equal(rename(next, path), 0);
    assert_true(score_one(m) == 12);
    assert_int_equal(mmoe_record(m)->weights_digest[0], 1);
    assert_int_equal(mmoe_swap(m, mmoe_file(path), 0), MMOE_OK);
    assert_true(score_one(m) == 22);
    assert_int_equal(mmoe_record(m)->weights_digest[0], 2);
    mmoe_close(m);
}

/* Weights after weights for the same code, which goes with the last of them. */
static void swaps_weights_only(void **state)
{
    (void)state;
    struct mmoe *m;
    assert_int_equal(mmoe_open(&m, mmoe_file(PLUGIN_DIR "/one.so")), MMOE_OK);
    const struct mmoe_model first = *mmoe_record(m);
    for (int number = 6; number < 9; number++) {
        const struct weights_file w = other_weights((float)number);
        assert_int_equal(swap_to_weights(m, &w, sizeof w), MMOE_OK);
        assert_true(score_one(m) == (float)(10 * number + 2));
        assert_memory_equal(mmoe_record(m)->weights_digest, w.head.weights_digest, 32);
        assert_true(mmoe_record(m)->score == first.score);
    }
    assert_int_equal(mmoe_swap(m, mmoe_file(PLUGIN_DIR "/two.so"), 0), MMOE_OK);
    assert_true(score_one(m) == 22);
    mmoe_close(m);
}

static void a_failed_swap_leaves_the_old_model(void **state)
{
    (void)state;
    struct mmoe *m;
    struct weights_file w = other_weights(6);
    assert_int_equal(mmoe_open(&m, mmoe_file(PLUGIN_DIR "/one.so")), MMOE_OK);
    assert_int_equal(mmoe_swap(m, mmoe_file(in_dir("absent")), 0), MMOE_NO_FILE);
    assert_int_equal(mmoe_swap(m, mmoe_file(PLUGIN_DIR "/no_plugin.so"), 0), MMOE_NOT_A_MODEL);
    assert_int_equal(swap_to_weights(m, &w, sizeof w - 4), MMOE_DAMAGED);
    w.numbers[1] = 3;
    assert_int_equal(swap_to_weights(m, &w, sizeof w), MMOE_DAMAGED);
    w = other_weights(6);
    w.head.structure[0] ^= 1;
    assert_int_equal(swap_to_weights(m, &w, sizeof w), MMOE_OTHER_MODEL);
    w = other_weights(6);
    w.expected[0] = 8;
    assert_int_equal(swap_to_weights(m, &w, sizeof w), MMOE_SELF_TEST);
    assert_true(score_one(m) == 12);
    mmoe_close(m);
}

static void count_end(void *owner) { ++*(int *)owner; }

/* A model in memory whose weights were swapped for a file's: its owner has the code, which serves on. */
static void code_in_memory_outlives_its_weights(void **state)
{
    (void)state;
    struct mmoe *m;
    int ended = 0;
    struct mmoe_model record = plugin_model;
    const struct weights_file first = good_weights(), w = other_weights(6);
    record.weights = first.numbers;
    record.expected = first.expected;
    assert_int_equal(mmoe_open(&m, mmoe_memory(&record, count_end, &ended)), MMOE_OK);
    assert_true(score_one(m) == 52);
    assert_int_equal(swap_to_weights(m, &w, sizeof w), MMOE_OK);
    assert_true(score_one(m) == 62);
    assert_int_equal(ended, 0);
    assert_int_equal(mmoe_swap(m, mmoe_file(PLUGIN_DIR "/two.so"), 0), MMOE_OK);
    assert_int_equal(ended, 1);
    mmoe_close(m);
    assert_int_equal(ended, 1);
}

/* ---- records of another age, and user columns ------------------------------------------------- */

/* A record as it was before its last members came: behind it lies something else. */
static void takes_an_older_record(void **state)
{
    (void)state;
    struct mmoe *m;
    const struct weights_file w = good_weights();
    struct mmoe_model old = plugin_model;
    const size_t size = offsetof(struct mmoe_model, columns);
    old.size = (uint32_t)size;
    old.weights = w.numbers;
    old.expected = w.expected;
    memset((char *)&old + size, 0xff, sizeof old - size);
    assert_int_equal(mmoe_open(&m, mmoe_memory(&old, NULL, NULL)), MMOE_OK);
    assert_true(score_one(m) == 52);
    assert_int_equal(mmoe_record(m)->size, sizeof old);
    assert_int_equal(mmoe_record(m)->user_inputs, 0);
    assert_null(mmoe_record(m)->input_order);
    assert_true(mmoe_record(m)->score_users == NULL);
    assert_null(mmoe_record(m)->columns);
    assert_true(mmoe_record(m)->score_requests == NULL);
    mmoe_close(m);
    old.size--;
    refuses(mmoe_memory(&old, NULL, NULL), MMOE_NOT_A_MODEL);
}

/* One that is newer and longer: what is not known here is left out. */
static void takes_a_newer_record(void **state)
{
    (void)state;
    struct mmoe *m;
    const struct weights_file w = good_weights();
    struct {
        struct mmoe_model record;
        void *more;
    } newer = {plugin_model, &m};
    newer.record.size = sizeof newer;
    newer.record.weights = w.numbers;
    newer.record.expected = w.expected;
    assert_int_equal(mmoe_open(&m, mmoe_memory(&newer.record, NULL, NULL)), MMOE_OK);
    assert_true(score_one(m) == 52);
    assert_int_equal(mmoe_record(m)->size, sizeof newer.record);
    mmoe_close(m);
}

/* y = w[0] user + w[1] item. */
static void score_users(const void *weights, const float *users, size_t us, const float *items, size_t is,
                        const size_t *offsets, size_t n_users, float *y, void *scratch)
{
    const float *w = weights;
    assert_non_null(scratch);
    for (size_t u = 0; u < n_users; u++)
        for (size_t r = offsets[u]; r < offsets[u + 1]; r++)
            y[r] = w[0] * users[u * us] + w[1] * items[r * is];
}

static void a_reader_scores_users_with_their_items(void **state)
{
    (void)state;
    const float users[] = {10, 20, 30}, items[] = {1, 2, 3, 4};
    const size_t offsets[] = {1, 3, 3, 4};
    float y[4] = {-1, -1, -1, -1};
    struct mmoe *m;
    struct mmoe_reader *reader;
    const struct weights_file w = good_weights();
    struct mmoe_model record = plugin_model;
    record.weights = w.numbers;
    record.expected = w.expected;
    record.user_inputs = 1;
    refuses(mmoe_memory(&record, NULL, NULL), MMOE_NOT_A_MODEL); /* without the function */
    record.score_users = score_users;
    assert_int_equal(mmoe_open(&m, mmoe_memory(&record, NULL, NULL)), MMOE_OK);
    assert_int_equal(mmoe_reader_new(&reader, m, NULL), MMOE_OK);
    mmoe_score_users(reader, users, items, offsets, 3, y);
    assert_true(y[0] == -1 && y[1] == 54 && y[2] == 56 && y[3] == 158);
    mmoe_reader_free(reader);
    mmoe_close(m);
}

static void a_record_without_weights_needs_some(void **state)
{
    (void)state;
    refuses(mmoe_memory(&plugin_model, NULL, NULL), MMOE_NOT_A_MODEL);
    refuses(mmoe_file(in_dir("good.weights")), MMOE_NOT_A_MODEL); /* whose code? */
}

/* From 2 MB on, weights begin at a multiple of it and nobody can write them. */
static void large_weights_lie_in_huge_pages(void **state)
{
    (void)state;
    enum { FLOATS = 3 << 18 };
    struct mmoe *m;
    struct mmoe_model record = plugin_model;
    struct weights_file w = good_weights();
    const size_t head = offsetof(struct weights_file, numbers);
    char *file = calloc(1, head + FLOATS * sizeof(float));
    memcpy(file + head, w.numbers, sizeof w.numbers);
    w.head.weight_floats[0] = FLOATS;
    sha256(file + head, FLOATS * sizeof(float), w.head.weights_digest);
    memcpy(file, &w, head);
    write_bytes(in_dir("large.weights"), file, head + FLOATS * sizeof(float));
    record.weight_floats = FLOATS;
    assert_int_equal(mmoe_open(&m, mmoe_weights(&record, in_dir("large.weights"))), MMOE_OK);
    assert_true(score_one(m) == 52);
    const void *weights = mmoe_record(m)->weights;
    assert_int_equal((uintptr_t)weights % (2 << 20), 0);
    assert_memory_equal(weights, file + head, FLOATS * sizeof(float));
    int fd = open("/dev/zero", O_RDONLY);
    assert_int_equal(read(fd, (void *)(uintptr_t)weights, 1), -1); /* EFAULT */
    close(fd);
    mmoe_close(m);
    free(file);
}

static void every_status_has_a_text(void **state)
{
    (void)state;
    for (int i = MMOE_OK; i <= MMOE_OTHER_SHAPE; i++)
        assert_string_not_equal(mmoe_status_text((enum mmoe_status)i), "unknown status");
    assert_string_equal(mmoe_status_text((enum mmoe_status)99), "unknown status");
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    static const char *const files[] = {"model.so",     "text.so",       "empty.so",
                                        "half.so",      "apart.so",      "bad.weights",
                                        "good.weights", "apart.weights", "next.weights",
                                        "large.weights"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(in_dir(files[i]));
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_a_shared_object),
        cmocka_unit_test(one_path_holds_several_models),
        cmocka_unit_test(descriptors_are_closed),
        cmocka_unit_test(refuses_what_is_no_model),
        cmocka_unit_test(survives_half_a_shared_object),
        cmocka_unit_test(opens_weights_of_a_linked_record),
        cmocka_unit_test(finds_weights_beside_a_shared_object),
        cmocka_unit_test(runs_the_self_test),
        cmocka_unit_test(refuses_weights_of_another_kind),
        cmocka_unit_test(refuses_damaged_weights),
        cmocka_unit_test(serves_a_shared_object_that_was_replaced),
        cmocka_unit_test(swaps_weights_only),
        cmocka_unit_test(a_failed_swap_leaves_the_old_model),
        cmocka_unit_test(code_in_memory_outlives_its_weights),
        cmocka_unit_test(takes_an_older_record),
        cmocka_unit_test(takes_a_newer_record),
        cmocka_unit_test(a_reader_scores_users_with_their_items),
        cmocka_unit_test(a_record_without_weights_needs_some),
        cmocka_unit_test(large_weights_lie_in_huge_pages),
        cmocka_unit_test(every_status_has_a_text),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir) != 0;
}
