// SPDX-License-Identifier: Apache-2.0
/* libFuzzer target for compiler/ckpt.c.
 *
 * An input is an index file and a data file: two bytes (little-endian) with the length of the data,
 * the data, the index. Most mutants would die at the checksum of a block, so unless the highest bit
 * of the first two bytes is set, the checksums of the blocks that the footer leads to are put right
 * first; those of tensors are not checked then. Every tensor of moderate size is read.
 *
 *   clang -std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined \
 *         tests/fuzz/fuzz_ckpt.c compiler/{arena,diag,file,ckpt,crc32c}.c -o fuzz_ckpt
 *   ./fuzz_ckpt -max_len=4096 tests/fuzz/corpus_ckpt
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../compiler/mmoec.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define LARGEST (1 << 20)                   /* elements of a tensor that is read */

static char prefix[64];

static void remove_files(void)
{
    char path[128];
    snprintf(path, sizeof(path), "rm -rf '%s'", prefix);
    if (system(path) != 0)
        abort();
}

static void put(const char *suffix, const uint8_t *bytes, size_t n)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/f.%s", prefix, suffix);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || close(fd) != 0)
        abort();
}

/* A varint inside the n bytes at p; the number of bytes it takes, 0 if it is broken. */
static size_t varint(const uint8_t *p, size_t n, uint64_t *to)
{
    *to = 0;
    for (size_t i = 0; i < n && i < 10; i++) {
        *to |= (uint64_t)(p[i] & 0x7f) << 7 * i;
        if (p[i] < 0x80)
            return i + 1;
    }
    return 0;
}

/* Seals the block whose handle stands at `at`, and, at depth 1, those to which its values lead. */
static void seal(uint8_t *p, size_t n, size_t at, int depth)
{
    uint64_t offset, bytes, length[3];
    size_t k = varint(p + at, n - at, &offset), m = k ? varint(p + at + k, n - at - k, &bytes) : 0;
    if (!m || offset > n || bytes > n - offset || n - offset - bytes < 5)
        return;
    for (size_t i = (size_t)offset; depth && i < offset + bytes;) {
        for (int j = 0; j < 3; j++, i += k)
            if (!(k = varint(p + i, n - i, &length[j])))
                break;
        if (!k || length[1] > n - i || length[2] > n - i - length[1] || length[2] == 0)
            break;
        seal(p, n, i + (size_t)length[1], depth - 1);
        i += (size_t)(length[1] + length[2]);
    }
    uint32_t crc = crc32c(0, p + offset, (size_t)bytes + 1);
    crc = (crc >> 15 | crc << 17) + 0xa282ead8u;
    for (int i = 0; i < 4; i++)
        p[offset + bytes + 1 + (size_t)i] = (uint8_t)(crc >> 8 * i);
}

static void seal_table(uint8_t *p, size_t n)
{
    uint64_t ignored;
    if (n < 48)
        return;
    memcpy(p + n - 8, "\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8);
    size_t at = n - 48, k = varint(p + at, 40, &ignored), m = varint(p + at + k, 40 - k, &ignored);
    seal(p, n, at + k + m, 1);
}

static void read_all(struct job *job, bool check)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/f", prefix);
    struct tensors *ts = read_checkpoint(job, path);
    if (!ts && !job->errors)
        abort();
    for (size_t i = 0; ts && i < ts->n_tensors; i++) {
        const struct tensor *t = &ts->tensor[i];
        shape_text(job, t);
        dtype_name(t->dtype);
        if (!find_tensor(ts, t->name))
            abort();
        if (tensor_count(t) > LARGEST)
            continue;
        int errors = job->errors;
        double *to = malloc((size_t)tensor_count(t) * sizeof(*to)); /* exact, for the sanitizer */
        if (read_tensor(job, t, check, to) && job->errors != errors)
            abort();
        free(to);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (!prefix[0]) {
        snprintf(prefix, sizeof(prefix), "/tmp/fuzz_ckpt.XXXXXX");
        if (!mkdtemp(prefix) || atexit(remove_files) != 0)
            abort();
    }
    if (size < 2)
        return 0;
    size_t n = (size_t)(input[0] | input[1] << 8) & 0x7fff;
    bool check = input[1] & 0x80;
    input += 2;
    size -= 2;
    if (n > size)
        n = size;
    put("data-00000-of-00001", input, n);
    uint8_t *index = malloc(size - n + 1);
    if (!index)
        abort();
    memcpy(index, input + n, size - n);
    if (!check)
        seal_table(index, size - n);
    put("index", index, size - n);
    free(index);

    jmp_buf no_memory;
    struct job job = { .arena = { .fail_after = 2000, .no_memory = &no_memory } };
    if (!setjmp(no_memory))
        read_all(&job, check);
    close_files(&job);
    arena_free(&job.arena);
    return 0;
}
