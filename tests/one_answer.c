// SPDX-License-Identifier: Apache-2.0
/* one_answer.c: holds a generated file to its contract; linked with it, whatever it was compiled by.
 *
 *     one_answer x.npy y.npy [0|1|2]
 *
 * Float32; y: the scores of the plain walk, the reference for bits. The number caps the instruction set of files that
 * were compiled with -DMMOE_ISA_AT_MOST=isa_at_most and that variable declared.
 *
 * Every row must give the same bits in every batch size and at every place in the batch, through the API and through
 * the record with a wider stride; with user columns, as an item of a request, too; nothing may be written beside y and
 * scratch; the self test must pass. Columns of x.npy are in EasyRec's order. Prints the
 * bits of rows of subnormals, infinities and NaNs (which builds must agree on, too) and the instruction set that
 * served, or the first difference. MODEL_H and MODEL are given by -D; of the header only what all models named MODEL
 * have in common is used, so that one object of this file serves them all.
 */
#include MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define RECORD PASTE(MODEL, _model)
#define SCORE PASTE(MODEL, _score)
#define SELF_TEST PASTE(MODEL, _self_test)

extern unsigned isa_at_most;
unsigned isa_at_most = 2;

#define GUARD 64                    /* bytes, so that alignment stays */
static const size_t batches[] = {1, 2, 3, 5, 8, 17, 64, 257};

static _Noreturn void fail(const char *what, size_t batch, size_t row)
{
    printf("FAILED: %s, batch %zu, row %zu (%s)\n", what, batch, row, RECORD.chosen_isa());
    exit(1);
}

/* The numbers of a version 1 .npy file; the caller knows the shape. */
static float *read_npy(const char *path, size_t *floats)
{
    FILE *f = fopen(path, "rb");
    unsigned char head[10];
    if (!f || fread(head, 1, sizeof head, f) != sizeof head)
        fail(path, 0, 0);
    long skip = 10 + head[8] + 256 * head[9];
    fseek(f, 0, SEEK_END);
    *floats = (size_t)(ftell(f) - skip) / sizeof(float);
    float *to = malloc(*floats * sizeof(float) + 1);
    fseek(f, skip, SEEK_SET);
    if (fread(to, sizeof(float), *floats, f) != *floats)
        fail(path, 0, 0);
    fclose(f);
    return to;
}

/* Few rows are repeated until the largest batch fits: each row's scores depend on that row alone. */
static float *repeated(float *rows, size_t n, size_t width, size_t more)
{
    float *to = malloc(more * width * sizeof(float));
    for (size_t r = 0; r < more; r++)
        memcpy(to + r * width, rows + r % n * width, width * sizeof(float));
    free(rows);
    return to;
}

/* From EasyRec's order into that of the file. */
static void put_in_order(float *x, size_t rows)
{
    const size_t in = RECORD.inputs;
    float *row = malloc(in * sizeof *row);
    for (size_t r = 0; r < rows && RECORD.input_order; r++) {
        memcpy(row, x + r * in, in * sizeof *row);
        for (size_t k = 0; k < in; k++)
            x[r * in + k] = row[RECORD.input_order[k]];
    }
    free(row);
}

static char *guarded(size_t bytes)
{
    char *room = aligned_alloc(64, (bytes + 2 * GUARD + 63) / 64 * 64);
    memset(room, 0x5a, (bytes + 2 * GUARD + 63) / 64 * 64);
    return room + GUARD;
}

static void check_guards(const char *at, size_t bytes, const char *what)
{
    for (size_t i = 0; i < GUARD; i++)
        if (at[-1 - (long)i] != 0x5a || at[bytes + i] != 0x5a)
            fail(what, bytes, i);
}

static void score_window(const float *x, size_t first, size_t batch, const float *want, char *y, char *scratch)
{
    const size_t in = RECORD.inputs, out = RECORD.outputs;
    SCORE(x + first * in, batch, (float *)(void *)y, scratch);
    for (size_t r = 0; r < batch; r++)
        if (memcmp(y + r * out * sizeof(float), want + (first + r) * out, out * sizeof(float)) != 0)
            fail("a row's bits differ", batch, first + r);
}

static void every_place(const float *x, size_t rows, const float *want, char *scratch)
{
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        size_t batch = batches[i], bytes = batch * RECORD.outputs * sizeof(float);
        if (batch > rows)
            continue;
        char *y = guarded(bytes);
        for (size_t first = 0; first + batch <= rows; first += batch < 17 ? 1 : 13)
            score_window(x, first, batch, want, y, scratch);
        check_guards(y, bytes, "written beside y");
        free(y - GUARD);
    }
}

/* Rows further apart than they are wide, with NaNs between them that must not be read. */
static void wide_stride(const float *x, size_t rows, const float *want, char *scratch)
{
    const size_t in = RECORD.inputs, out = RECORD.outputs, stride = in + 3;
    float *wide = malloc(rows * stride * sizeof(float)), *y = malloc(rows * out * sizeof(float));
    memset(wide, 0xff, rows * stride * sizeof(float));
    for (size_t r = 0; r < rows; r++)
        memcpy(wide + r * stride, x + r * in, in * sizeof(float));
    RECORD.score(RECORD.weights, wide, stride, rows, y, scratch);
    if (memcmp(y, want, rows * out * sizeof(float)) != 0)
        fail("bits differ with a wide stride", rows, 0);
    free(wide);
    free(y);
}

/* A user with `items` of the rows from `first` on, between users who have none; wider strides, NaNs behind each row. */
static void one_request(const float *x, size_t first, size_t items, char *scratch)
{
    const size_t in = RECORD.inputs, n = RECORD.user_inputs, out = RECORD.outputs, us = n + 1, is = in - n + 2;
    const size_t offsets[5] = {2, 2, 2 + items, 2 + items, 3 + items}, rows = 3 + items;
    float *whole = malloc(rows * in * sizeof(float)), *want = malloc(rows * out * sizeof(float));
    float *users = malloc(4 * us * sizeof(float)), *own = malloc(rows * is * sizeof(float));
    char *y = guarded(rows * out * sizeof(float));
    memset(users, 0xff, 4 * us * sizeof(float));
    memset(own, 0xff, rows * is * sizeof(float));
    memcpy(users + 1 * us, x + first * in, n * sizeof(float));
    memcpy(users + 3 * us, x, n * sizeof(float));
    for (size_t r = 2; r < rows; r++) {
        const float *row = x + (first + r - 2) * in;
        memcpy(own + r * is, row + n, (in - n) * sizeof(float));
        memcpy(whole + r * in, users + (r < rows - 1 ? 1 : 3) * us, n * sizeof(float));
        memcpy(whole + r * in + n, row + n, (in - n) * sizeof(float));
    }
    SCORE(whole + 2 * in, rows - 2, want + 2 * out, scratch);
    RECORD.score_users(RECORD.weights, users, us, own, is, offsets, 4, (float *)(void *)y, scratch);
    if (memcmp(y + 2 * out * sizeof(float), want + 2 * out, (rows - 2) * out * sizeof(float)) != 0)
        fail("an item's bits differ", items, first);
    check_guards(y + 2 * out * sizeof(float), (rows - 2) * out * sizeof(float), "written before the first item");
    check_guards(y, rows * out * sizeof(float), "written beside y");
    free(y - GUARD);
    free(whole);
    free(want);
    free(users);
    free(own);
}

static void requests(const float *x, size_t rows, char *scratch)
{
    const size_t none = 0;
    float untouched = 7;
    if (!RECORD.user_inputs)
        return;
    RECORD.score_users(RECORD.weights, x, 0, x, 0, &none, 0, &untouched, scratch);
    if (untouched != 7)
        fail("no users, yet a score", 0, 0);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
        for (size_t first = 0; first + batches[i] < rows; first += 17 + batches[i] / 2)
            one_request(x, first, batches[i], scratch);
}

/* NaNs and infinities stay in their row; a score that is NaN is 0x7fc00000. */
static void special_rows(const float *x, size_t rows, const float *want, char *scratch)
{
    const size_t in = RECORD.inputs, out = RECORD.outputs;
    const float bad[] = {(float)0x1p-140, (float)1e30f * 1e30f, -(float)1e30f * 1e30f, 0.0f};
    const uint32_t nan = 0xffc12345;
    float *some = malloc(9 * in * sizeof(float)), *y = malloc(9 * out * sizeof(float));
    (void)rows;
    for (size_t k = 0; k < 4; k++) {
        memcpy(some, x, 9 * in * sizeof(float));
        for (size_t j = 0; j < in; j++)
            if (k == 3)
                memcpy(&some[4 * in + j], &nan, sizeof nan);
            else
                some[4 * in + j] = bad[k];
        SCORE(some, 9, y, scratch);
        for (size_t r = 0; r < 9; r++)
            if (r != 4 && memcmp(y + r * out, want + r * out, out * sizeof(float)) != 0)
                fail("a special row reached another", 9, r);
        for (size_t j = 0; j < out; j++) {
            uint32_t bits;
            memcpy(&bits, &y[4 * out + j], sizeof bits);
            if ((y[4 * out + j] != y[4 * out + j] || k == 3) && bits != 0x7fc00000)
                fail("a NaN is not 0x7fc00000", 9, j);
            printf("%s%08x", k + j ? " " : "special ", bits);
        }
    }
    printf("\n");
    free(some);
    free(y);
}

int main(int argc, char **argv)
{
    size_t x_floats, y_floats;
    if (argc != 3 && argc != 4)
        return 2;
    if (argc == 4)
        isa_at_most = (unsigned)atoi(argv[3]);
    float *x = read_npy(argv[1], &x_floats), *want = read_npy(argv[2], &y_floats);
    size_t rows = x_floats / RECORD.inputs;
    if (rows < 9 || rows * RECORD.inputs != x_floats || rows * RECORD.outputs != y_floats)
        fail("x and y are not of this model", rows, 0);
    put_in_order(x, rows);
    x = repeated(x, rows, RECORD.inputs, 300);
    want = repeated(want, rows, RECORD.outputs, 300);
    rows = 300;
    char *scratch = guarded(RECORD.scratch_bytes);
    float none = 7;
    SCORE(x, 0, &none, scratch);
    if (none != 7)
        fail("no rows, yet a score", 0, 0);
    every_place(x, rows, want, scratch);
    wide_stride(x, rows, want, scratch);
    requests(x, rows, scratch);
    special_rows(x, rows, want, scratch);
    int self = SELF_TEST(scratch);
    if (self != 0)
        fail("self test", (size_t)self, 0);
    check_guards(scratch, RECORD.scratch_bytes, "written beside scratch");
    printf("ok %s\n", RECORD.chosen_isa());
    free(scratch - GUARD);
    free(x);
    free(want);
    return 0;
}
