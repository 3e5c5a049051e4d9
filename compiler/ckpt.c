// SPDX-License-Identifier: Apache-2.0
/* TensorFlow checkpoints, version 2 ("tensor bundles").
 *
 *   model.ckpt-60.index                  a sorted table: variable's name -> where its bytes are
 *   model.ckpt-60.data-00000-of-00002    bytes of variables, nothing else
 *   model.ckpt-60.data-00001-of-00002
 *
 * The index file, and a block in it:
 *
 *   [data block]... [metaindex block] [index block] [footer: two handles, zeros, magic; 48 bytes]
 *   [entry]... [restarts: R x 4 bytes] [R: 4 bytes] | [type: 1 byte] [masked crc32c: 4 bytes]
 *              an entry: varint shared, varint fresh, varint size, `fresh` bytes of key, value
 *              its key: `shared` bytes of the key before, then the fresh ones
 *
 * A value is a protobuf message; the empty key's is the header. A partitioned variable has an entry
 * with its whole shape, and one for each slice under a binary key (see read_slice_key()).
 *
 * The idea: the table is checked as a whole and at once, for nothing in a damaged table can be
 * believed. An entry is not: a checkpoint holds much that a model never asks for, and it may be of
 * any kind. What is wrong with an entry is written down in place of its data file (struct shard)
 * and becomes an error when somebody reads the tensor. Data files are opened at that moment too.
 *
 * How to read it: bytes, protobuf's wire format, the table, entries, slices, the whole; then
 * reading a tensor, and finding a checkpoint in a directory. Sources: TensorFlow's
 * tensor_bundle.cc, saved_tensor_slice_util.cc, ordered_code.cc and lib/io/format.cc.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "mmoec.h"

#define MAGIC 0xdb4775248b80fb57u
#define FOOTER 48
#define TRAILER 5                           /* of a block: type and crc */
#define LARGEST_INDEX ((uint64_t)256 << 20) /* a variable takes some hundred bytes */
#define MOST_SHARDS 99999                   /* five digits in the names of data files */
#define MOST_EXPANSION 64                   /* writers repeat a whole key every 16 entries */

/* Where a piece lies: a data file, which is opened when it is first read, or the reason why there
   is none. `file` comes first: a piece points to it. */
struct shard {
    struct file file;                       /* fd -1: not opened yet */
    const char *path;
    const char *index;                      /* name of the index file */
    const char *trouble;                    /* if not NULL, what is wrong with the entry */
    const char *tag;                        /* of that message */
    enum result result;
    bool failed;                            /* could not be opened, and the user knows */
};

/* ---- bytes ---- */

struct bytes {
    const unsigned char *at, *end;
};

static size_t length(struct bytes b)
{
    return (size_t)(b.end - b.at);
}

static uint64_t fixed(const unsigned char *p, int size)
{
    uint64_t x = 0;
    for (int i = 0; i < size; i++)
        x |= (uint64_t)p[i] << 8 * i;
    return x;
}

static bool take_fixed(struct bytes *b, int size, uint64_t *to)
{
    if (length(*b) < (size_t)size)
        return false;
    *to = fixed(b->at, size);
    b->at += size;
    return true;
}

/* Seven bits a byte, the lowest first; the tenth byte has room for one more bit. */
static bool take_varint(struct bytes *b, uint64_t *to)
{
    *to = 0;
    for (int i = 0; i < 10 && b->at < b->end; i++) {
        unsigned char c = *b->at++;
        if (i == 9 && c > 1)
            return false;
        *to |= (uint64_t)(c & 0x7f) << 7 * i;
        if (c < 0x80)
            return true;
    }
    return false;
}

static bool take_bytes(struct bytes *b, uint64_t n, struct bytes *to)
{
    if (length(*b) < n)
        return false;
    *to = (struct bytes){ b->at, b->at + n };
    b->at += n;
    return true;
}

static uint32_t unmask(uint32_t masked)
{
    uint32_t r = masked - 0xa282ead8u;
    return r >> 17 | r << 15;
}

/* ---- protobuf's wire format ---- */

enum wire { VARINT = 0, FIXED64 = 1, DELIMITED = 2, FIXED32 = 5 };

struct field {
    uint64_t key;                           /* (number << 3) | wire type */
    uint64_t value;
    struct bytes bytes;                     /* DELIMITED */
};

#define KEY(number, wire) ((number) << 3 | (wire))

/* Takes a field from the message; false at its end, and then *ok tells whether all was well. A
   caller leaves the fields that it does not know alone. */
static bool next_field(struct bytes *m, struct field *f, bool *ok)
{
    *ok = true;
    if (m->at == m->end)
        return false;
    *ok = take_varint(m, &f->key) && f->key >> 3 && f->key <= UINT32_MAX;
    if (!*ok)
        return false;
    switch (f->key & 7) {
    case VARINT: return *ok = take_varint(m, &f->value);
    case FIXED64: return *ok = take_fixed(m, 8, &f->value);
    case DELIMITED: return *ok = take_varint(m, &f->value) && take_bytes(m, f->value, &f->bytes);
    case FIXED32: return *ok = take_fixed(m, 4, &f->value);
    default: return *ok = false;            /* groups */
    }
}

/* ---- the table ---- */

struct entry {
    const unsigned char *key;
    size_t key_length;
    struct bytes value;
};

struct table {
    struct job *job;
    const struct file *file;
    struct bytes bytes;                     /* the whole file */
    struct entry *entries;                  /* keys ascending */
    size_t n, room;
    uint64_t key_bytes;                     /* of all keys that were spelled out */
};

struct handle {
    uint64_t offset, size;
};

static bool malformed(const struct table *t, const char *what)
{
    blame(t->job, BAD_INPUT, in_file(t->job, t->file->name), "format", "copy or save it again",
          "is damaged: %s", what);
    return false;
}

static bool take_handle(struct bytes *b, struct handle *h)
{
    return take_varint(b, &h->offset) && take_varint(b, &h->size);
}

/* The area of a block's entries, without restarts. No block reaches into the footer. */
static bool find_block(const struct table *t, struct handle h, struct bytes *entries)
{
    uint64_t all = length(t->bytes) - FOOTER;
    if (h.offset > all || h.size > all - h.offset || all - h.offset - h.size < TRAILER)
        return malformed(t, "a block lies outside of the file");
    const unsigned char *p = t->bytes.at + h.offset, *trailer = p + h.size;
    uint32_t stored = unmask((uint32_t)fixed(trailer + 1, 4)), crc = crc32c(0, p, h.size + 1);
    if (crc != stored) {
        blame(t->job, BAD_INPUT, in_file(t->job, t->file->name), "checksum",
              "copy or save it again",
              "is damaged: the block at %" PRIu64 " has crc32c 0x%08x, needs 0x%08x",
              h.offset, crc, stored);
        return false;
    }
    if (*trailer) {
        blame(t->job, UNSUPPORTED, in_file(t->job, t->file->name), "compressed",
              "TensorFlow writes uncompressed tables; save the checkpoint again with it",
              "the block at %" PRIu64 " is compressed (%s %d), needs type 0", h.offset,
              *trailer == 1 ? "snappy, type" : "type", *trailer);
        return false;
    }
    uint64_t restarts = h.size < 4 ? 0 : fixed(trailer - 4, 4);
    if (restarts < 1 || restarts > h.size / 4 - 1)
        return malformed(t, "a block's count of restarts is wrong");
    *entries = (struct bytes){ p, trailer - 4 * (restarts + 1) };
    return true;
}

/* Takes an entry from a block; *last is the key before it in the block. By sharing, a short block
   can spell long keys: their sum is bounded before memory is spent on them. */
static bool take_entry(struct table *t, struct bytes *block, struct bytes *last,
                       struct entry *e)
{
    uint64_t shared, fresh, size;
    struct bytes rest;
    if (!take_varint(block, &shared) || !take_varint(block, &fresh) || !take_varint(block, &size) ||
        shared > length(*last) || !take_bytes(block, fresh, &rest) ||
        !take_bytes(block, size, &e->value))
        return malformed(t, "an entry reaches over the end of its block");
    e->key = rest.at;
    e->key_length = (size_t)(shared + fresh);
    t->key_bytes += e->key_length;
    if (t->key_bytes / MOST_EXPANSION > length(t->bytes))
        return malformed(t, "its keys are much longer than the file");
    if (shared) {
        unsigned char *key = arena_alloc(&t->job->arena, e->key_length);
        memcpy(key, last->at, (size_t)shared);
        if (fresh)
            memcpy(key + shared, rest.at, (size_t)fresh);
        e->key = key;
    }
    *last = (struct bytes){ e->key, e->key + e->key_length };
    return true;
}

static int compare(const unsigned char *a, size_t n, const unsigned char *b, size_t m)
{
    size_t least = n < m ? n : m;
    int c = least ? memcmp(a, b, least) : 0;
    return c ? c : n < m ? -1 : n > m;
}

static bool add_entry(struct table *t, const struct entry *e)
{
    const struct entry *last = t->n ? &t->entries[t->n - 1] : NULL;
    if (last && compare(last->key, last->key_length, e->key, e->key_length) >= 0)
        return malformed(t, "its keys are not in ascending order");
    if (t->n == t->room) {
        t->room = t->room ? t->room * 2 : 64;
        struct entry *more = NEW_ARRAY(t->job, t->room, struct entry);
        if (t->n)
            memcpy(more, t->entries, t->n * sizeof(*more));
        t->entries = more;
    }
    t->entries[t->n++] = *e;
    return true;
}

static bool read_block(struct table *t, struct handle h)
{
    struct bytes block, last = { t->bytes.at, t->bytes.at };
    struct entry e;
    if (!find_block(t, h, &block))
        return false;
    while (block.at < block.end) {
        if (!take_entry(t, &block, &last, &e) || !add_entry(t, &e))
            return false;
    }
    return true;
}

/* Values of the index block are handles of data blocks; its keys merely separate them. Blocks that
   overlapped could be read again and again. */
static bool read_blocks(struct table *t, struct handle index)
{
    struct bytes block, last = { t->bytes.at, t->bytes.at };
    struct entry e;
    struct handle h;
    uint64_t end = 0;
    if (!find_block(t, index, &block))
        return false;
    while (block.at < block.end) {
        if (!take_entry(t, &block, &last, &e))
            return false;
        if (!take_handle(&e.value, &h))
            return malformed(t, "a handle of a block is cut short");
        if (h.offset < end)
            return malformed(t, "its blocks overlap");
        if (!read_block(t, h))
            return false;
        end = h.offset + h.size + TRAILER;
    }
    return true;
}

static bool not_an_index(const struct table *t)
{
    blame(t->job, BAD_INPUT, in_file(t->job, t->file->name), "format",
          "a checkpoint of version 1 must be saved again by TensorFlow 1.0 or newer",
          "is not a TensorFlow V2 checkpoint index");
    return false;
}

static bool read_table(struct table *t)
{
    uint64_t n = t->file->bytes;
    struct handle metaindex, index;
    if (n < FOOTER)
        return not_an_index(t);
    if (n > LARGEST_INDEX)
        return malformed(t, "it has more than 256 MiB");
    unsigned char *all = arena_alloc(&t->job->arena, (size_t)n);
    if (!read_at(t->job, t->file, 0, all, (size_t)n))
        return false;
    t->bytes = (struct bytes){ all, all + n };
    struct bytes footer = { all + n - FOOTER, all + n - 8 };
    if (fixed(footer.end, 8) != MAGIC)
        return not_an_index(t);
    if (!take_handle(&footer, &metaindex) || !take_handle(&footer, &index))
        return malformed(t, "its footer holds no handles");
    return read_blocks(t, index);
}

/* ---- entries ---- */

struct header {
    int64_t shards, min_consumer;
    bool big_endian, bad;                   /* bad: our version, 1, is among the bad ones */
};

static int64_t int32_of(uint64_t varint)
{
    return (int32_t)(uint32_t)varint;
}

static bool read_versions(struct bytes m, struct header *h)
{
    struct field f;
    bool ok;
    while (next_field(&m, &f, &ok)) {
        if (f.key == KEY(2, VARINT))
            h->min_consumer = int32_of(f.value);
        else if (f.key == KEY(3, VARINT))
            h->bad |= f.value == 1;
        else if (f.key == KEY(3, DELIMITED))        /* packed, as proto3 writes it */
            while (f.bytes.at < f.bytes.end) {
                if (!take_varint(&f.bytes, &f.value))
                    return false;
                h->bad |= f.value == 1;
            }
    }
    return ok;
}

static bool decode_header(struct bytes m, struct header *h)
{
    struct field f;
    bool ok;
    *h = (struct header){ 0 };
    while (next_field(&m, &f, &ok)) {
        if (f.key == KEY(1, VARINT))
            h->shards = int32_of(f.value);
        else if (f.key == KEY(2, VARINT))
            h->big_endian = f.value == 1;
        else if (f.key == KEY(3, DELIMITED) && !read_versions(f.bytes, h))
            return false;
    }
    return ok;
}

static bool read_header(const struct table *t, struct header *h)
{
    if (!t->n || t->entries[0].key_length)
        return malformed(t, "it has no header");
    if (!decode_header(t->entries[0].value, h))
        return malformed(t, "its header cannot be decoded");
    if (h->shards < 1 || h->shards > MOST_SHARDS) {
        blame(t->job, BAD_INPUT, in_file(t->job, t->file->name), "format", NULL,
              "says that there are %" PRId64 " data files, needs 1 to %d", h->shards, MOST_SHARDS);
        return false;
    }
    if (h->min_consumer > 1 || h->bad) {
        blame(t->job, UNSUPPORTED, in_file(t->job, t->file->name), "version",
              "save it with TensorFlow 1 or 2", "needs a reader of version %" PRId64 ", this is 1",
              h->bad ? 2 : h->min_consumer);
        return false;
    }
    return true;
}

/* An entry as it stands; numbers may be anything. */
struct stored {
    int64_t dtype, shard, offset, size;
    int rank;                               /* may exceed MAX_RANK */
    uint64_t dim[MAX_RANK];
    bool unknown_rank;
    uint32_t crc;
    size_t n_slices;
};

static bool decode_dim(struct bytes m, uint64_t *size)
{
    struct field f;
    bool ok;
    *size = 0;
    while (next_field(&m, &f, &ok))
        if (f.key == KEY(1, VARINT))
            *size = f.value;
    return ok;
}

static bool decode_shape(struct bytes m, struct stored *s)
{
    struct field f;
    uint64_t size;
    bool ok;
    while (next_field(&m, &f, &ok)) {
        if (f.key == KEY(3, VARINT))
            s->unknown_rank = f.value != 0;
        if (f.key != KEY(2, DELIMITED))
            continue;
        if (!decode_dim(f.bytes, &size))
            return false;
        if (s->rank < MAX_RANK)
            s->dim[s->rank] = size;
        s->rank++;
    }
    return ok;
}

static bool decode_entry(struct bytes m, struct stored *s)
{
    struct field f;
    bool ok;
    *s = (struct stored){ 0 };
    while (next_field(&m, &f, &ok))
        switch (f.key) {
        case KEY(1, VARINT): s->dtype = int32_of(f.value); break;
        case KEY(2, DELIMITED):
            if (!decode_shape(f.bytes, s))
                return false;
            break;
        case KEY(3, VARINT): s->shard = int32_of(f.value); break;
        case KEY(4, VARINT): s->offset = (int64_t)f.value; break;
        case KEY(5, VARINT): s->size = (int64_t)f.value; break;
        case KEY(6, FIXED32): s->crc = unmask((uint32_t)f.value); break;
        case KEY(7, DELIMITED): s->n_slices++; break;
        default: break;
        }
    return ok;
}

/* Of the types that weights may have; 0: another type. */
static size_t element_bytes(int dtype)
{
    switch (dtype) {
    case DT_FLOAT: return 4;
    case DT_DOUBLE: return 8;
    case DT_BFLOAT16:
    case DT_HALF: return 2;
    default: return 0;
    }
}

/* Elements of a shape; UINT64_MAX if a dimension is negative or they are too many for any file. */
static uint64_t count_elements(int rank, const uint64_t *dim)
{
    uint64_t n = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dim[i] > INT64_MAX)
            return UINT64_MAX;
        empty |= dim[i] == 0;
    }
    for (int i = 0; i < rank && !empty; i++) {
        if (dim[i] > INT64_MAX / 8 / n)
            return UINT64_MAX;
        n *= dim[i];
    }
    return empty ? 0 : n;
}

/* ---- slices ---- */

/* A slice of a partitioned variable: the name and extents of its key, and its entry. */
struct slice {
    struct bytes name;
    int rank;
    int64_t start[MAX_RANK], length[MAX_RANK];      /* length -1: the whole dimension */
    struct bytes value;
};

/* A name in a key: 00 ff stands for 00, ff 00 for ff, and 00 01 ends it. */
static bool take_name(struct job *job, struct bytes *key, struct bytes *name)
{
    unsigned char *copy = arena_alloc(&job->arena, length(*key)), *to = copy;
    while (length(*key) >= 2) {
        unsigned char c = *key->at++;
        if (c == 0x00 || c == 0xff) {
            unsigned char second = *key->at++;
            if (c == 0x00 && second == 0x01) {
                *name = (struct bytes){ copy, to };
                return true;
            }
            if (second != (unsigned char)~c)
                return false;
        }
        *to++ = c;
    }
    return false;
}

/* An unsigned number: how many bytes, then those, the highest first. */
static bool take_ordered(struct bytes *key, uint64_t *to)
{
    struct bytes digits;
    *to = 0;
    if (key->at == key->end || *key->at > 8 || !take_bytes(key, 1, &digits) ||
        !take_bytes(key, *digits.at, &digits))
        return false;
    while (digits.at < digits.end)
        *to = *to << 8 | *digits.at++;
    return true;
}

/* A signed number of n bytes, the highest first. For x >= 0 the first n bits are ones, then comes a
   zero, the rest holds x; for x < 0 everything is inverted. So one byte is 0x80 ^ x. */
static bool take_signed(struct bytes *key, int64_t *to)
{
    if (key->at == key->end)
        return false;
    unsigned char flip = *key->at < 0x80 ? 0xff : 0;
    int ones = 0;
    while (ones < 10 && (size_t)(ones / 8) < length(*key) &&
           ((key->at[ones / 8] ^ flip) << ones % 8 & 0x80))
        ones++;
    struct bytes code;
    if (!take_bytes(key, (uint64_t)ones, &code))
        return false;
    uint64_t x = 0;
    for (int i = 0; i < ones; i++) {
        unsigned c = code.at[i] ^ (unsigned)flip;
        int header = ones - 8 * i;                  /* bits of this byte that belong to the ones */
        if (header > 0)
            c &= header >= 8 ? 0 : 0xffu >> header;
        if (x >> 56)
            return false;
        x = x << 8 | c;
    }
    if (x > INT64_MAX)
        return false;
    *to = flip ? -1 - (int64_t)x : (int64_t)x;
    return true;
}

/* The key of a slice: 00, name, rank, then start and length of each dimension. */
static bool read_slice_key(struct job *job, const struct entry *e, struct slice *s)
{
    struct bytes key = { e->key + 1, e->key + e->key_length };
    uint64_t rank;
    if (!take_name(job, &key, &s->name) || !take_ordered(&key, &rank) || rank > MAX_RANK)
        return false;
    s->rank = (int)rank;
    for (int i = 0; i < s->rank; i++)
        if (!take_signed(&key, &s->start[i]) || !take_signed(&key, &s->length[i]))
            return false;
    s->value = e->value;
    return key.at == key.end;
}

struct slices {
    struct slice *slice;                    /* by name, start, length */
    size_t n;
};

/* Slices of a name: the first, and how many. Their keys are ordered as names are. */
static const struct slice *find_slices(const struct slices *all, const char *name, size_t *n)
{
    size_t low = 0, high = all->n, k = strlen(name);
    while (low < high) {
        size_t middle = (low + high) / 2;
        struct bytes b = all->slice[middle].name;
        if (compare(b.at, length(b), (const unsigned char *)name, k) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (*n = 0; low + *n < all->n; ++*n) {
        struct bytes b = all->slice[low + *n].name;
        if (compare(b.at, length(b), (const unsigned char *)name, k) != 0)
            break;
    }
    return all->slice + low;
}

/* ---- the whole ---- */

struct bundle {
    struct job *job;
    struct header header;
    struct tensors *tensors;
    struct shard **shards;                  /* NULL: not asked for yet */
};

/* Instead of the tensor's data: what is wrong with it. */
static void trouble(struct bundle *b, struct tensor *t, enum result result, const char *tag,
                    const char *format, ...) PRINTF_LIKE(5, 6);

static void trouble(struct bundle *b, struct tensor *t, enum result result, const char *tag,
                    const char *format, ...)
{
    char what[200];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    struct shard *s = NEW(b->job, struct shard);
    *s = (struct shard){ .file = { .fd = -1, .name = b->tensors->name }, .tag = tag,
                         .result = result };
    s->trouble = arena_copy(&b->job->arena, what, strlen(what));
    t->pieces = NEW(b->job, struct piece);
    *t->pieces = (struct piece){ .file = &s->file };
    t->n_pieces = 1;
}

static const struct file *shard_file(struct bundle *b, int64_t id)
{
    struct shard *s = b->shards[id];
    if (!s) {
        s = b->shards[id] = NEW(b->job, struct shard);
        s->path = b->tensors->data[id].path;
        s->file = (struct file){ .fd = -1, .name = base_name(s->path) };
        s->index = b->tensors->name;
    }
    return &s->file;
}

/* Fills in the piece that an entry describes; `count` elements follow from its shape. */
static bool make_piece(struct bundle *b, struct tensor *t, const struct stored *s, uint64_t first,
                       uint64_t count, struct piece *p)
{
    uint64_t bytes = count * element_bytes(t->dtype);
    if (s->shard < 0 || s->shard >= b->header.shards)
        trouble(b, t, BAD_INPUT, "entry", "lies in data file %" PRId64 ", there are %" PRId64,
                s->shard, b->header.shards);
    else if (s->size < 0 || (uint64_t)s->size != bytes)
        trouble(b, t, BAD_INPUT, "entry",
                "has %" PRId64 " bytes, its shape and type need %" PRIu64, s->size, bytes);
    else if (s->offset < 0 || s->offset > INT64_MAX - s->size)
        trouble(b, t, BAD_INPUT, "entry",
                "starts at byte %" PRId64 ", needs one that a file can have", s->offset);
    else {
        *p = (struct piece){ shard_file(b, s->shard), (uint64_t)s->offset, first, count, s->crc };
        return true;
    }
    return false;
}

/* Resolves "the whole dimension"; compares the slice with the variable's shape and its own. */
static bool check_slice(struct bundle *b, struct tensor *t, struct slice *s,
                        const struct stored *own)
{
    if (s->rank != t->rank || own->rank != t->rank || own->dtype != t->dtype) {
        trouble(b, t, BAD_INPUT, "slices", "has a slice of another rank or type");
        return false;
    }
    for (int i = 0; i < s->rank; i++) {
        if (s->start[i] == 0 && s->length[i] == -1)
            s->length[i] = (int64_t)t->dim[i];
        uint64_t start = (uint64_t)s->start[i], n = (uint64_t)s->length[i];
        if (s->start[i] < 0 || s->length[i] < 0 || start > t->dim[i] || n > t->dim[i] - start) {
            trouble(b, t, BAD_INPUT, "slices",
                    "has a slice [%" PRId64 ", +%" PRId64 ") in a dimension of %" PRIu64,
                    s->start[i], s->length[i], t->dim[i]);
            return false;
        }
        if (own->dim[i] != n) {
            trouble(b, t, BAD_INPUT, "slices",
                    "has a slice of %" PRIu64 " that is stored as %" PRIu64, n, own->dim[i]);
            return false;
        }
    }
    return true;
}

/* Whether the slice is one run of elements in the whole: after lengths of 1 comes a length of any
   size, after that only whole dimensions. */
static bool is_run(const struct tensor *t, const struct slice *s)
{
    int i = 0;
    while (i < t->rank && s->length[i] == 1)
        i++;
    for (i++; i < t->rank; i++)
        if ((uint64_t)s->length[i] != t->dim[i])
            return false;
    return true;
}

/* Row-major index of the slice's first element; `count` is that of the whole tensor. */
static uint64_t first_element(const struct tensor *t, const struct slice *s)
{
    uint64_t first = 0;
    for (int i = 0; i < t->rank; i++)
        first = first * t->dim[i] + (uint64_t)s->start[i];
    return first;
}

/* Adds a slice to the tensor's pieces, of which `*covered` elements are there already. Runs that do
   not overlap come in the order of their keys. */
static bool add_slice(struct bundle *b, struct tensor *t, const struct slice *stored,
                      uint64_t *covered)
{
    struct slice s = *stored;
    struct stored own;
    if (!decode_entry(s.value, &own)) {
        trouble(b, t, BAD_INPUT, "entry", "has a slice whose entry cannot be decoded");
        return false;
    }
    if (!check_slice(b, t, &s, &own))
        return false;
    uint64_t count = count_elements(own.rank, own.dim);
    if (!count)
        return true;
    if (!is_run(t, &s)) {
        trouble(b, t, UNSUPPORTED, "unsupported",
                "is cut into columns; only slices that are whole rows can be read");
        return false;
    }
    uint64_t first = first_element(t, &s);
    if (first != *covered) {
        trouble(b, t, BAD_INPUT, "slices",
                first < *covered ? "has slices that overlap: one starts at element %" PRIu64
                                   ", those before it end at %" PRIu64
                                 : "has a hole: a slice starts at element %" PRIu64
                                   ", those before it end at %" PRIu64, first, *covered);
        return false;
    }
    *covered += count;
    return make_piece(b, t, &own, first, count, &t->pieces[t->n_pieces++]);
}

static void add_slices(struct bundle *b, struct tensor *t, const struct slices *all, size_t needed)
{
    size_t n;
    const struct slice *s = find_slices(all, t->name, &n);
    if (n != needed) {
        trouble(b, t, BAD_INPUT, "slices", "has %zu slices, needs %zu", n, needed);
        return;
    }
    uint64_t covered = 0, count = count_elements(t->rank, t->dim);
    t->pieces = NEW_ARRAY(b->job, n, struct piece);
    for (size_t i = 0; i < n; i++)
        if (!add_slice(b, t, &s[i], &covered))
            return;
    if (covered != count)
        trouble(b, t, BAD_INPUT, "slices", "has slices of %" PRIu64 " elements, needs %" PRIu64,
                covered, count);
}

/* A tensor of a type that no weight has is listed without pieces: nobody can read it. */
static void add_data(struct bundle *b, struct tensor *t, const struct stored *s,
                     const struct slices *slices)
{
    uint64_t count = count_elements(t->rank, t->dim);
    if (s->unknown_rank || s->rank > MAX_RANK)
        trouble(b, t, BAD_INPUT, "entry", "has %s dimensions, needs %d at most",
                s->unknown_rank ? "an unknown number of" : "too many", MAX_RANK);
    else if (count == UINT64_MAX)
        trouble(b, t, BAD_INPUT, "entry", "has an impossible shape, %s", shape_text(b->job, t));
    else if (!element_bytes(t->dtype))
        return;
    else if (s->n_slices)
        add_slices(b, t, slices, s->n_slices);
    else if (count) {
        t->pieces = NEW(b->job, struct piece);
        t->n_pieces = 1;
        make_piece(b, t, s, 0, count, t->pieces);
    }
}

static void make_tensor(struct bundle *b, struct tensor *t, const char *name, struct bytes value,
                        const struct slices *slices)
{
    struct stored s;
    bool ok = decode_entry(value, &s);
    t->name = name;
    t->big_endian = b->header.big_endian;
    if (!ok) {
        trouble(b, t, BAD_INPUT, "entry", "its entry cannot be decoded");
        return;
    }
    t->dtype = (int)s.dtype;
    t->rank = s.rank < MAX_RANK ? s.rank : MAX_RANK;
    memcpy(t->dim, s.dim, sizeof(t->dim));
    add_data(b, t, &s, slices);
}

/* Keys that begin with 00 are slices; one that cannot be decoded is missed by its variable. */
static size_t read_slices(struct bundle *b, const struct table *t, struct slices *to)
{
    size_t end = 1;
    while (end < t->n && t->entries[end].key[0] == 0)
        end++;
    to->slice = NEW_ARRAY(b->job, end - 1, struct slice);
    for (size_t i = 1; i < end; i++)
        if (read_slice_key(b->job, &t->entries[i], &to->slice[to->n]))
            to->n++;
    return end;
}

static void make_tensors(struct bundle *b, const struct table *t)
{
    struct slices slices = { 0 };
    struct tensors *ts = b->tensors;
    size_t first = read_slices(b, t, &slices);
    ts->tensor = NEW_ARRAY(b->job, t->n - first, struct tensor);
    for (size_t i = first; i < t->n; i++) {
        const struct entry *e = &t->entries[i];
        if (memchr(e->key, 0, e->key_length))
            continue;                       /* not a name that a model can ask for */
        const char *name = arena_copy(&b->job->arena, (const char *)e->key, e->key_length);
        make_tensor(b, &ts->tensor[ts->n_tensors++], name, e->value, &slices);
    }
}

/* How long each data file must be for all entries, those of other types and of slices too. */
static void note_data_files(struct bundle *b, const struct table *t)
{
    struct tensors *ts = b->tensors;
    ts->n_data = (int)b->header.shards;
    ts->data = NEW_ARRAY(b->job, (size_t)ts->n_data, struct data_file);
    for (int i = 0; i < ts->n_data; i++)
        ts->data[i].path = arena_print(&b->job->arena, "%s.data-%05d-of-%05d", ts->prefix, i, ts->n_data);
    for (size_t i = 1; i < t->n; i++) {
        struct stored s;
        if (!decode_entry(t->entries[i].value, &s) || s.shard < 0 || s.shard >= ts->n_data || s.offset < 0 ||
            s.size < 0 || s.offset > INT64_MAX - s.size)
            continue;
        uint64_t *bytes = &ts->data[s.shard].bytes, end = (uint64_t)(s.offset + s.size);
        *bytes = *bytes > end ? *bytes : end;
    }
}

struct tensors *read_checkpoint(struct job *job, const char *prefix)
{
    struct file *f = prefix ? open_file(job, arena_print(&job->arena, "%s.index", prefix)) : NULL;
    struct table t = { .job = job, .file = f };
    struct bundle b = { .job = job };
    if (!f || !read_table(&t) || !read_header(&t, &b.header))
        return NULL;
    b.shards = NEW_ARRAY(job, (size_t)b.header.shards, struct shard *);
    b.tensors = NEW(job, struct tensors);
    b.tensors->name = f->name;
    b.tensors->prefix = arena_copy(&job->arena, prefix, strlen(prefix));
    b.tensors->index_bytes = f->bytes;
    b.tensors->index = t.bytes.at;
    note_data_files(&b, &t);
    make_tensors(&b, &t);
    if (find_tensor(b.tensors, "_CHECKPOINTABLE_OBJECT_GRAPH")) {
        blame(job, UNSUPPORTED, in_file(job, f->name), "unsupported",
              "load it in TensorFlow and save it with tf.compat.v1.train.Saver",
              "is an object-based checkpoint (Keras, tf.train.Checkpoint), needs one with names of "
              "variables, as EasyRec writes it");
        return NULL;
    }
    return b.tensors;
}

/* ---- what is in it ---- */

const struct tensor *find_tensor(const struct tensors *ts, const char *name)
{
    size_t low = 0, high = ts ? ts->n_tensors : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int c = strcmp(ts->tensor[middle].name, name);
        if (c == 0)
            return &ts->tensor[middle];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *dtype_name(int dtype)
{
    static const char *const name[] = {
        "an invalid type", "float32", "float64", "int32", "uint8", "int16", "int8", "string",
        "complex64", "int64", "bool", "qint8", "quint8", "qint32", "bfloat16", "qint16", "quint16",
        "uint16", "complex128", "float16", "resource", "variant", "uint32", "uint64",
    };                                      /* ORDER as in TensorFlow's types.proto */
    return dtype >= 0 && (size_t)dtype < COUNT(name) ? name[dtype] : "an unknown type";
}

uint64_t tensor_count(const struct tensor *t)
{
    return count_elements(t->rank, t->dim);
}

const char *shape_text(struct job *job, const struct tensor *t)
{
    struct text s = { .arena = &job->arena };
    text_add(&s, "[", 1);
    for (int i = 0; i < t->rank; i++)
        text_print(&s, "%s%" PRId64, i ? "," : "", (int64_t)t->dim[i]);
    text_add(&s, "]", 1);
    return s.data;
}

/* ---- reading a tensor ---- */

#define CHUNK 32768                         /* bytes; a multiple of every element's */

/* The file of a piece, opened if it is not yet. Pieces point to constant files because readers of
   tensors change nothing that they could see; that a shard opens late is this file's own affair. */
static const struct file *open_shard(struct job *job, const struct tensor *t, const struct piece *p)
{
    if (p->file->fd >= 0)
        return p->file;
    struct shard *s = (struct shard *)p->file;
    if (s->trouble) {
        blame(job, s->result, in_file(job, s->file.name), s->tag, NULL, "%s: %s", t->name,
              s->trouble);
        return NULL;
    }
    if (s->failed)
        return NULL;
    s->failed = true;
    const struct file *f = open_file(job, s->path);
    if (!f) {
        note(job, in_file(job, s->index), "%s is stored in %s", t->name, s->file.name);
        return NULL;
    }
    s->failed = false;
    s->file = *f;
    return &s->file;
}

static void swap_bytes(unsigned char *p, size_t n, size_t size)
{
    for (; n--; p += size)
        for (size_t i = 0; i < size / 2; i++) {
            unsigned char c = p[i];
            p[i] = p[size - 1 - i];
            p[size - 1 - i] = c;
        }
}

static double float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return (double)x;
}

/* IEEE's binary16; every one of them is a float. */
static double half_of(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 0x1f, fraction = h & 0x3ff;
    if (exponent == 0) {
        double x = (double)fraction * 0x1p-24;
        return sign ? -x : x;
    }
    exponent = exponent == 0x1f ? 0xff : exponent + 112;
    return float_of(sign | exponent << 23 | fraction << 13);
}

/* Widens n elements in the machine's order of bytes. */
static void widen(int dtype, const unsigned char *from, size_t n, double *to)
{
    uint16_t h;
    uint32_t w;
    switch (dtype) {
    case DT_DOUBLE: memcpy(to, from, n * sizeof(*to)); break;
    case DT_FLOAT:
        for (size_t i = 0; i < n; i++) {
            memcpy(&w, from + 4 * i, 4);
            to[i] = float_of(w);
        }
        break;
    default:
        for (size_t i = 0; i < n; i++) {
            memcpy(&h, from + 2 * i, 2);
            to[i] = dtype == DT_HALF ? half_of(h) : float_of((uint32_t)h << 16);
        }
    }
}

/* Elements from `first` on, to doubles or to floats: one of the two is NULL. */
struct numbers {
    double *doubles;
    float *floats;
};

static void keep(int dtype, const unsigned char *from, size_t n, struct numbers to, uint64_t first)
{
    if (to.doubles) {
        widen(dtype, from, n, to.doubles + first);
        return;
    }
    double wide[CHUNK / 2];
    widen(dtype, from, n, wide);
    for (size_t i = 0; i < n; i++)
        to.floats[first + i] = (float)wide[i];
}

static bool read_piece(struct job *job, const struct tensor *t, const struct piece *p, bool check,
                       struct numbers to)
{
    const struct file *f = open_shard(job, t, p);
    if (!f)
        return false;
    const size_t size = element_bytes(t->dtype);
    const uint64_t bytes = p->count * size;
    if (p->offset > f->bytes || bytes > f->bytes - p->offset) {
        blame(job, BAD_INPUT, in_file(job, f->name), "truncated", "copy or save it again",
              "has %" PRIu64 " bytes, %s needs those from %" PRIu64 " to %" PRIu64, f->bytes,
              t->name, p->offset, p->offset + bytes);
        return false;
    }
    const bool swap = t->big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    unsigned char chunk[CHUNK];
    uint32_t crc = 0;
    for (uint64_t done = 0; done < bytes;) {
        size_t n = bytes - done < CHUNK ? (size_t)(bytes - done) : CHUNK;
        if (!read_at(job, f, p->offset + done, chunk, n))
            return false;
        if (check)
            crc = crc32c(crc, chunk, n);
        if (swap)
            swap_bytes(chunk, n / size, size);
        keep(t->dtype, chunk, n / size, to, p->first + done / size);
        done += n;
    }
    if (check && crc != p->crc) {
        blame(job, BAD_INPUT, in_file(job, f->name), "checksum", "copy or save it again",
              "is damaged: %s has crc32c 0x%08x, needs 0x%08x", t->name, crc, p->crc);
        return false;
    }
    return true;
}

static bool read_numbers(struct job *job, const struct tensor *t, bool check, struct numbers to)
{
    if (!t)
        return false;
    if (!element_bytes(t->dtype) && !t->n_pieces) {
        blame(job, BAD_INPUT, (struct pos){ 0 }, "dtype", NULL,
              "%s is %s, needs float32, float64, float16 or bfloat16", t->name,
              dtype_name(t->dtype));
        return false;
    }
    for (int i = 0; i < t->n_pieces; i++)
        if (!read_piece(job, t, &t->pieces[i], check, to))
            return false;
    return true;
}

bool read_tensor(struct job *job, const struct tensor *t, bool check, double *to)
{
    return read_numbers(job, t, check, (struct numbers){.doubles = to});
}

bool read_tensor_floats(struct job *job, const struct tensor *t, bool check, float *to)
{
    return read_numbers(job, t, check, (struct numbers){.floats = to});
}
