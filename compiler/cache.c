// SPDX-License-Identifier: Apache-2.0
/* cache.c: packed weights in a file, so that the next start has less to do.
 *
 * What costs time at a start is reading the checkpoint's numbers, checking, folding and packing them; a plan is made from
 * the config in less time than a file of it could be checked, so the file holds no plan and no offset: what must be
 * where is said by the plan, and what the file says of itself is compared with that.
 *
 * A file is known by a digest of everything that its weights follow from: the config's text, the checkpoint's index as
 * it was read, the sizes of its data files, the options and the versions. The index holds a checksum of every
 * tensor (optimizer slots and the step among them), so two checkpoints with equal indices would need equal checksums of
 * all tensors; reading the data for a digest of our own would cost more than the cache saves.
 *
 * It is written to a temporary name and renamed; read into memory, never mapped; its crc32c finds damage. It is not a
 * defence against somebody who may write beside the checkpoint: such a person may write checkpoints.
 */
#include "mmoec.h"
#include "../runtime/mmoe.h"
#include "../runtime/sha256.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_MAGIC "MMOECCH\1"

size_t cache_weights_at(const struct plan *p)
{
    return (sizeof(struct cache_image) + (size_t)expected_words(p) * sizeof(uint32_t) + 63) / 64 * 64 + CACHE_GAP;
}

static size_t crc_at(const struct plan *p) { return cache_weights_at(p) + p->weight_floats * sizeof(float); }

size_t cache_bytes(const struct plan *p) { return crc_at(p) + sizeof(uint32_t); }

/* ---- which file -------------------------------------------------------------------------------------------------- */

static void digest_text(struct sha256 *s, const char *text)
{
    sha256_update(s, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void digest_number(struct sha256 *s, uint64_t x) { sha256_update(s, &x, sizeof x); }

static void make_key(const struct job *job, const struct network *n, unsigned char key[32])
{
    const struct options *o = job->options;
    struct sha256 s;
    sha256_init(&s);
    digest_text(&s, "mmoec cache 1, " MMOEC_VERSION);
    digest_number(&s, MMOE_ABI);
    sha256_update(&s, n->from.config_digest, sizeof n->from.config_digest);
    digest_number(&s, n->tensors->index_bytes);
    sha256_update(&s, n->tensors->index, (size_t)n->tensors->index_bytes);
    for (int i = 0; i < n->tensors->n_data; i++) {
        struct stat st;
        digest_number(&s, stat(n->tensors->data[i].path, &st) == 0 ? (uint64_t)st.st_size : UINT64_MAX);
    }
    digest_text(&s, o->outputs);
    digest_text(&s, o->numerics);
    digest_text(&s, o->target);
    digest_text(&s, o->user_columns);
    digest_number(&s, o->feature_order);
    digest_number(&s, o->permissive);
    sha256_final(&s, key);
}

/* Beside the checkpoint, or in the directory that was given: the checkpoint's base name and the key's beginning. */
struct cache *find_cache(struct job *job, const struct network *n, const unsigned char structure[32])
{
    struct cache *c = NEW(job, struct cache);
    memcpy(c->structure, structure, sizeof c->structure);
    make_key(job, n, c->key);
    struct text hex = {.arena = &job->arena};
    for (int i = 0; i < 8; i++)
        text_print(&hex, "%02x", c->key[i]);
    const char *prefix = n->checkpoint, *dir = job->options->cache;
    if (!*dir)
        c->path = arena_print(&job->arena, "%s.%s.mmoec", prefix, hex.data);
    else
        c->path = join_path(job, dir, arena_print(&job->arena, "%s.%s.mmoec", base_name(prefix), hex.data));
    return c;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static void fill_head(const struct cache *c, const struct plan *p, struct cache_image *head)
{
    *head = (struct cache_image){.abi = MMOE_ABI, .n_expected = (uint32_t)expected_words(p),
                                 .weight_floats = p->weight_floats};
    memcpy(head->magic, CACHE_MAGIC, sizeof head->magic);
    memcpy(head->key, c->key, sizeof head->key);
    memcpy(head->structure, c->structure, sizeof head->structure);
}

/* One call reads two gigabytes at most. */
static bool read_all(int fd, char *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, to + done, bytes - done, (off_t)done);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static const char *trouble_with(const struct cache *c, const struct plan *p, const struct file *f,
                                struct cache_image *to)
{
    struct cache_image want;
    uint32_t crc;
    fill_head(c, p, &want);
    if (f->bytes != cache_bytes(p))
        return "it has another length";
    if (!read_all(f->fd, (char *)to, cache_bytes(p)))
        return "it cannot be read";
    if (memcmp(to, &want, sizeof want) != 0)
        return "it is of another checkpoint, config or version";
    memcpy(&crc, (char *)to + crc_at(p), sizeof crc);
    return crc32c(0, to, crc_at(p)) == crc ? NULL : "it is damaged";
}

bool read_cache(struct job *job, const struct cache *c, const struct plan *p, struct cache_image *to)
{
    if (access(c->path, F_OK) != 0)
        return false;
    struct file *f = access(c->path, R_OK) == 0 && !is_directory(c->path) ? open_file(job, c->path) : NULL;
    const char *trouble = f ? trouble_with(c, p, f, to) : "it cannot be opened";
    if (!trouble)
        return true;
    warning(job, in_file(job, c->path), "cache", "it is written anew", "this cache is not used: %s", trouble);
    memset(to, 0, cache_bytes(p));
    return false;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

void write_cache(struct job *job, const struct cache *c, const struct plan *p, struct cache_image *image)
{
    fill_head(c, p, image);
    uint32_t crc = crc32c(0, image, crc_at(p));
    memcpy((char *)image + crc_at(p), &crc, sizeof crc);
    const char *why = try_write_file(job, c->path, image, cache_bytes(p));
    if (why)
        warning(job, in_file(job, c->path), "cache", "the model serves all the same", "this cache cannot be written: %s",
                why);
}
