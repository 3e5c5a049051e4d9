// SPDX-License-Identifier: Apache-2.0
/* The writer of checkpoints for tests; see ckpt_writer.h, and compiler/ckpt.c for the format.
 *
 * How to read it: bytes and protobuf, ordered codes, data, entries, the table from the bottom up.
 */
#include "ckpt_writer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void fail(const char *what, const char *path)
{
    fprintf(stderr, "ckpt_writer: ");
    fprintf(stderr, "%s: ", path);
    perror(what);
    exit(5);
}

static void *need(void *p)
{
    if (!p)
        fail("memory", "");
    return p;
}

/* ---- bytes and protobuf ---- */

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (b->n + n > b->room) {
        b->room = (b->n + n) * 2;
        b->data = need(realloc(b->data, b->room));
    }
    if (n)
        memcpy(b->data + b->n, bytes, n);
    b->n += n;
}

static void buf_byte(struct buf *b, unsigned x)
{
    unsigned char c = (unsigned char)x;
    buf_add(b, &c, 1);
}

static void buf_fixed(struct buf *b, uint64_t x, int size)
{
    for (int i = 0; i < size; i++)
        buf_byte(b, (unsigned)(x >> 8 * i & 0xff));
}

void buf_varint(struct buf *b, uint64_t x)
{
    for (; x >= 0x80; x >>= 7)
        buf_byte(b, (unsigned)(x & 0x7f) | 0x80);
    buf_byte(b, (unsigned)x);
}

void buf_number(struct buf *b, unsigned field, uint64_t x)
{
    buf_varint(b, (uint64_t)field << 3);
    buf_varint(b, x);
}

void buf_message(struct buf *b, unsigned field, const struct buf *m)
{
    buf_varint(b, (uint64_t)field << 3 | 2);
    buf_varint(b, m->n);
    buf_add(b, m->data, m->n);
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){ 0 };
}

static uint32_t mask(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- ordered codes ---- */

static void put_ordered(struct buf *b, uint64_t x)
{
    int n = 0;
    while (n < 8 && x >> 8 * n)
        n++;
    buf_byte(b, (unsigned)n);
    while (n--)
        buf_byte(b, (unsigned)(x >> 8 * n & 0xff));
}

/* As TensorFlow's ordered_code.cc has it: the fewest bytes n with -2^(7n-1) <= x < 2^(7n-1), in
   them x big-endian, its front xored with the header of that n: n ones and a zero. */
static void put_signed(struct buf *b, int64_t x)
{
    int n = 1;
    while (n < 10 && (n < 9 ? x < -((int64_t)1 << (7 * n - 1)) || x >= (int64_t)1 << (7 * n - 1)
                            : x < -INT64_MAX / 2 - 1 || x > INT64_MAX / 2))
        n++;
    for (int i = 0; i < n; i++) {
        int shift = 8 * (n - 1 - i), ones = n - 8 * i;
        unsigned byte = shift < 64 ? (unsigned)((uint64_t)(x >> shift) & 0xff) : x < 0 ? 0xff : 0;
        unsigned header = ones >= 8 ? 0xff : ones > 0 ? 0xff00u >> ones & 0xff : 0;
        buf_byte(b, byte ^ header);
    }
}

struct buf ckpt_slice_key(const char *name, int rank, const int64_t *start, const int64_t *length)
{
    struct buf b = { 0 };
    buf_byte(&b, 0);
    for (const char *p = name; *p; p++) {
        buf_byte(&b, (unsigned char)*p);
        if ((unsigned char)*p == 0xff)
            buf_byte(&b, 0);
    }
    buf_add(&b, "\0\1", 2);
    put_ordered(&b, (uint64_t)rank);
    for (int i = 0; i < rank; i++) {
        put_signed(&b, start[i]);
        put_signed(&b, length[i]);
    }
    return b;
}

/* ---- data ---- */

static uint16_t half_of(double x)
{
    unsigned sign = signbit(x) ? 0x8000 : 0;
    if (isnan(x))
        return 0x7e00;
    if (isinf(x))
        return (uint16_t)(sign | 0x7c00);
    int e;
    double f = frexp(fabs(x), &e);                  /* 0.5 <= f < 1 */
    if (f == 0 || e < -13)
        return (uint16_t)(sign | (unsigned)ldexp(fabs(x), 24));
    return (uint16_t)(sign | (unsigned)(e + 14) << 10 | ((unsigned)ldexp(f, 11) & 0x3ff));
}

/* The bits of a value, and how many bytes they take. Values are exact or cut. */
static uint64_t bits_of(int dtype, double x, int *size)
{
    float f = (float)x;
    uint32_t w;
    uint64_t d;
    memcpy(&w, &f, 4);
    memcpy(&d, &x, 8);
    switch (dtype) {
    case DT_FLOAT: *size = 4; return w;
    case DT_DOUBLE: *size = 8; return d;
    case DT_BFLOAT16: *size = 2; return w >> 16;
    case DT_HALF: *size = 2; return half_of(x);
    default: *size = 8; return (uint64_t)(int64_t)x;
    }
}

static int element(bool big_endian, int dtype, double x, unsigned char *to)
{
    int size;
    uint64_t bits = bits_of(dtype, x, &size);
    for (int i = 0; i < size; i++)
        to[big_endian ? size - 1 - i : i] = (unsigned char)(bits >> 8 * i & 0xff);
    return size;
}

static uint64_t product(int rank, const uint64_t *dim)
{
    uint64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dim[i];
    return n;
}

struct ckpt_stored ckpt_data(struct ckpt *c, int dtype, int rank, const uint64_t *dim,
                             const double *values)
{
    struct ckpt_stored s = { .dtype = dtype, .rank = rank, .shard = c->shard,
                             .offset = (int64_t)c->at[c->shard] };
    unsigned char chunk[8192];
    uint64_t n = product(rank, dim);
    for (int i = 0; i < rank; i++)
        s.dim[i] = (int64_t)dim[i];
    for (uint64_t i = 0; i < n;) {
        size_t at = 0;
        for (; i < n && at < sizeof(chunk); i++)
            at += (size_t)element(c->big_endian, dtype, values[i], chunk + at);
        s.crc = crc32c(s.crc, chunk, at);
        if (fwrite(chunk, 1, at, c->data[c->shard]) != at)
            fail("write", c->prefix);
        s.size += (int64_t)at;
    }
    c->at[c->shard] += (uint64_t)s.size;
    c->shard = (c->shard + 1) % c->n_shards;
    return s;
}

/* ---- entries ---- */

struct buf ckpt_value(const struct ckpt_stored *s)
{
    struct buf b = { 0 }, shape = { 0 };
    if (s->dtype)
        buf_number(&b, 1, (uint64_t)s->dtype);
    for (int i = 0; i < s->rank; i++) {
        struct buf dim = { 0 };
        if (s->dim[i])
            buf_number(&dim, 1, (uint64_t)s->dim[i]);
        buf_message(&shape, 2, &dim);
        buf_free(&dim);
    }
    buf_message(&b, 2, &shape);
    buf_free(&shape);
    if (s->shard)
        buf_number(&b, 3, (uint64_t)s->shard);
    if (s->offset)
        buf_number(&b, 4, (uint64_t)s->offset);
    if (s->size)
        buf_number(&b, 5, (uint64_t)s->size);
    buf_varint(&b, 6 << 3 | 5);
    buf_fixed(&b, mask(s->crc), 4);
    return b;
}

void ckpt_entry(struct ckpt *c, const void *key, size_t key_length, const struct buf *value)
{
    if (c->n_entries == c->room) {
        c->room = c->room * 2 + 64;
        c->entries = need(realloc(c->entries, c->room * sizeof(*c->entries)));
    }
    struct ckpt_entry *e = &c->entries[c->n_entries++];
    *e = (struct ckpt_entry){ 0 };
    buf_add(&e->key, key, key_length);
    buf_add(&e->value, value->data, value->n);
}

void ckpt_entry_stored(struct ckpt *c, const char *name, const struct ckpt_stored *s)
{
    struct buf value = ckpt_value(s);
    ckpt_entry(c, name, strlen(name), &value);
    buf_free(&value);
}

void ckpt_put(struct ckpt *c, const char *name, int dtype, int rank, const uint64_t *dim,
              const double *values)
{
    struct ckpt_stored s = ckpt_data(c, dtype, rank, dim, values);
    ckpt_entry_stored(c, name, &s);
}

void ckpt_list_slice(struct buf *value, int rank, const int64_t *start, const int64_t *length)
{
    struct buf slice = { 0 };
    for (int i = 0; i < rank; i++) {
        struct buf extent = { 0 };
        if (start[i])
            buf_number(&extent, 1, (uint64_t)start[i]);
        if (length[i] >= 0)
            buf_number(&extent, 2, (uint64_t)length[i]);
        buf_message(&slice, 1, &extent);
        buf_free(&extent);
    }
    buf_message(value, 7, &slice);
    buf_free(&slice);
}

void ckpt_put_rows(struct ckpt *c, const char *name, int dtype, int rank, const uint64_t *dim,
                   const double *values, int n_slices, const uint64_t *rows)
{
    struct ckpt_stored whole = { .dtype = dtype, .rank = rank };
    int64_t start[8] = { 0 }, length[8];
    for (int i = 0; i < rank; i++)
        whole.dim[i] = length[i] = (int64_t)dim[i];
    struct buf value = ckpt_value(&whole);
    for (int i = 0; i < n_slices; i++) {
        uint64_t own[8];
        memcpy(own, dim, (size_t)rank * sizeof(*dim));
        own[0] = rows[i];
        length[0] = (int64_t)rows[i];
        struct ckpt_stored s = ckpt_data(c, dtype, rank, own, values);
        struct buf key = ckpt_slice_key(name, rank, start, length), slice = ckpt_value(&s);
        ckpt_entry(c, key.data, key.n, &slice);
        ckpt_list_slice(&value, rank, start, length);
        values += product(rank, own);
        start[0] += length[0];
        buf_free(&key);
        buf_free(&slice);
    }
    ckpt_entry(c, name, strlen(name), &value);
    buf_free(&value);
}

struct ckpt *ckpt_begin(const char *prefix, int n_shards)
{
    struct ckpt *c = need(calloc(1, sizeof(*c)));
    char path[4096];
    c->prefix = need(strdup(prefix));
    c->n_shards = n_shards;
    c->block_bytes = 262144;
    c->restart_interval = 16;
    for (int i = 0; i < n_shards; i++) {
        snprintf(path, sizeof(path), "%s.data-%05d-of-%05d", prefix, i, n_shards);
        c->data[i] = fopen(path, "wb");
        if (!c->data[i])
            fail("open", path);
    }
    return c;
}

/* ---- the table ---- */

/* A block as it is being written; the index block too. */
struct table_block {
    struct buf bytes, last, restarts;
    int entries;
};

static void block_add(struct table_block *b, const struct buf *key, const void *value, size_t n,
                      int restart_interval)
{
    size_t shared = 0;
    if (b->entries++ % restart_interval == 0)
        buf_fixed(&b->restarts, b->bytes.n, 4);
    else
        while (shared < b->last.n && shared < key->n && b->last.data[shared] == key->data[shared])
            shared++;
    buf_varint(&b->bytes, shared);
    buf_varint(&b->bytes, key->n - shared);
    buf_varint(&b->bytes, n);
    buf_add(&b->bytes, key->n ? key->data + shared : NULL, key->n - shared);
    buf_add(&b->bytes, value, n);
    b->last.n = 0;
    buf_add(&b->last, key->data, key->n);
}

/* Writes the block; its handle is added to `handle`. */
static void block_end(struct table_block *b, int type, struct buf *file, struct buf *handle)
{
    if (!b->restarts.n)
        buf_fixed(&b->restarts, 0, 4);
    size_t restarts = b->restarts.n / 4, offset = file->n;
    buf_add(&b->bytes, b->restarts.data, b->restarts.n);
    buf_fixed(&b->bytes, restarts, 4);
    buf_varint(handle, offset);
    buf_varint(handle, b->bytes.n);
    buf_byte(&b->bytes, (unsigned)type);
    buf_add(file, b->bytes.data, b->bytes.n);
    buf_fixed(file, mask(crc32c(0, b->bytes.data, b->bytes.n)), 4);
    buf_free(&b->bytes);
    buf_free(&b->last);
    buf_free(&b->restarts);
    b->entries = 0;
}

static int by_key(const void *a, const void *b)
{
    const struct buf *x = &((const struct ckpt_entry *)a)->key;
    const struct buf *y = &((const struct ckpt_entry *)b)->key;
    size_t n = x->n < y->n ? x->n : y->n;
    int c = n ? memcmp(x->data, y->data, n) : 0;
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

/* Keys of the index block: the last key of each data block, which is a separator too. */
static void write_blocks(struct ckpt *c, struct buf *file, struct table_block *index)
{
    struct table_block b = { 0 };
    for (size_t i = 0; i < c->n_entries; i++) {
        struct ckpt_entry *e = &c->entries[i];
        block_add(&b, &e->key, e->value.data, e->value.n, c->restart_interval);
        if (b.bytes.n < c->block_bytes && i + 1 < c->n_entries)
            continue;
        struct buf handle = { 0 };
        block_end(&b, c->type, file, &handle);
        block_add(index, &e->key, handle.data, handle.n, 1);
        buf_free(&handle);
    }
}

static void write_table(struct ckpt *c, struct buf *file)
{
    struct table_block index = { 0 }, metaindex = { 0 };
    struct buf footer = { 0 };
    write_blocks(c, file, &index);
    block_end(&metaindex, 0, file, &footer);
    block_end(&index, 0, file, &footer);
    while (footer.n < 40)
        buf_byte(&footer, 0);
    buf_fixed(&footer, 0xdb4775248b80fb57u, 8);
    buf_add(file, footer.data, footer.n);
    buf_free(&footer);
}

static void add_header(struct ckpt *c)
{
    struct buf header = { 0 }, version = { 0 };
    buf_number(&version, 1, 1);
    buf_number(&header, 1, (uint64_t)c->n_shards);
    if (c->big_endian)
        buf_number(&header, 2, 1);
    buf_message(&header, 3, &version);
    ckpt_entry(c, "", 0, c->header.n ? &c->header : &header);
    buf_free(&header);
    buf_free(&version);
}

static void free_ckpt(struct ckpt *c)
{
    for (size_t i = 0; i < c->n_entries; i++) {
        buf_free(&c->entries[i].key);
        buf_free(&c->entries[i].value);
    }
    buf_free(&c->header);
    free(c->entries);
    free(c->prefix);
    free(c);
}

void ckpt_end(struct ckpt *c)
{
    struct buf file = { 0 };
    char path[4096];
    for (int i = 0; i < c->n_shards; i++)
        if (fclose(c->data[i]) != 0)
            fail("close", c->prefix);
    if (!c->no_header)
        add_header(c);
    if (!c->unsorted && c->n_entries)
        qsort(c->entries, c->n_entries, sizeof(*c->entries), by_key);
    write_table(c, &file);
    snprintf(path, sizeof(path), "%s.index", c->prefix);
    ckpt_write(path, file.data, file.n);
    buf_free(&file);
    free_ckpt(c);
}

/* ---- changes of files ---- */

void ckpt_write(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
        fail("write", path);
}

void ckpt_xor(const char *path, long offset, unsigned char with)
{
    FILE *f = fopen(path, "r+b");
    if (!f || fseek(f, offset, offset < 0 ? SEEK_END : SEEK_SET) != 0)
        fail("seek", path);
    int c = fgetc(f);
    if (c == EOF || fseek(f, -1, SEEK_CUR) != 0 || fputc(c ^ with, f) == EOF || fclose(f) != 0)
        fail("change", path);
}

void ckpt_truncate(const char *path, long bytes)
{
    if (truncate(path, bytes) != 0)
        fail("truncate", path);
}
