// SPDX-License-Identifier: Apache-2.0
/* Writes TensorFlow checkpoints (version 2) for tests: right ones, and wrong ones on purpose.
 *
 * The idea: ckpt_put() and its kin make what TensorFlow would; a test that wants something else
 * adds an entry of its own (ckpt_entry(), made with ckpt_stored()) or sets a field of the writer
 * before ckpt_end(), which writes the index. Nothing here shares code with the reader but crc32c().
 * Failures of the system end the program.
 */
#ifndef CKPT_WRITER_H
#define CKPT_WRITER_H

#include "../compiler/mmoec.h"

#define CKPT_SHARDS 16

/* Bytes that grow. */
struct buf {
    unsigned char *data;
    size_t n, room;
};

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_varint(struct buf *b, uint64_t x);
void buf_number(struct buf *b, unsigned field, uint64_t x);             /* a protobuf field */
void buf_message(struct buf *b, unsigned field, const struct buf *m);
void buf_free(struct buf *b);

/* An entry of the index; what is 0 is left out, as proto3 does. */
struct ckpt_stored {
    int64_t dtype;
    int rank;
    int64_t dim[12];
    int64_t shard, offset, size;
    uint32_t crc;                   /* not masked */
};

struct ckpt_entry {
    struct buf key, value;
};

struct ckpt {
    char *prefix;
    int n_shards;
    int shard;                      /* where the next bytes go; ckpt_put() moves on */
    FILE *data[CKPT_SHARDS];
    uint64_t at[CKPT_SHARDS];
    struct ckpt_entry *entries;
    size_t n_entries, room;

    /* Deviations, for ckpt_end(). */
    bool big_endian;
    size_t block_bytes;             /* data blocks are cut there */
    int restart_interval;
    int type;                       /* of compression, that blocks claim */
    bool unsorted;                  /* entries in the order they were added */
    bool no_header;
    struct buf header;              /* if not empty, instead of the right one */
};

struct ckpt *ckpt_begin(const char *prefix, int n_shards);
/* A whole tensor of float, double, half, bfloat16 or int64. */
void ckpt_put(struct ckpt *c, const char *name, int dtype, int rank, const uint64_t *dim,
              const double *values);
/* A partitioned variable: slice i has rows[i] rows of the first dimension. */
void ckpt_put_rows(struct ckpt *c, const char *name, int dtype, int rank, const uint64_t *dim,
                   const double *values, int n_slices, const uint64_t *rows);

/* The parts of which those are made. */
struct ckpt_stored ckpt_data(struct ckpt *c, int dtype, int rank, const uint64_t *dim,
                             const double *values);         /* writes the bytes */
void ckpt_entry(struct ckpt *c, const void *key, size_t key_length, const struct buf *value);
void ckpt_entry_stored(struct ckpt *c, const char *name, const struct ckpt_stored *s);
struct buf ckpt_value(const struct ckpt_stored *s);
struct buf ckpt_slice_key(const char *name, int rank, const int64_t *start, const int64_t *length);
/* Adds the slice to the list in the variable's own entry. */
void ckpt_list_slice(struct buf *value, int rank, const int64_t *start, const int64_t *length);

void ckpt_end(struct ckpt *c);      /* closes the data files, writes the index, frees c */

/* Changes of files that exist. */
void ckpt_xor(const char *path, long offset, unsigned char with);   /* offset < 0: from the end */
void ckpt_truncate(const char *path, long bytes);
void ckpt_write(const char *path, const void *bytes, size_t n);

#endif
