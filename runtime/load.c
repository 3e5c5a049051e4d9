// SPDX-License-Identifier: Apache-2.0
/* load.c: models from files and from memory.
 *
 * A shared object is copied into memory of this process (memfd) before it is loaded: dlopen of a path that is loaded
 * already answers with the old library, and a file that is overwritten while loaded would change under the code.
 *
 * The weights of a file are read, not mapped. What was checked cannot change or be cut off any more, whatever becomes of the
 * file; and only memory that is no file's can lie in huge pages, which a model of many megabytes needs to be scored at
 * the memory's speed. Processes that serve the same model do not share its weights. Large embedding tables are mapped.
 *
 * Each step says what went wrong; load_version alone cleans up.
 */
#include "load.h"
#include "sha256.h"
#include "weights_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- shared objects -------------------------------------------------------------------------- */

static enum mmoe_status copy_bytes(int from, int to)
{
    char buffer[16384];
    ssize_t n, k;
    while ((n = read(from, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0; done < n; done += k)
            if ((k = write(to, buffer + done, (size_t)(n - done))) <= 0)
                return MMOE_NO_MEMORY;
    return n == 0 ? MMOE_OK : MMOE_NO_FILE;
}

/* Is all of a shared object there? The loader maps segments without asking, and half a file (one
   that is still being copied, say) would kill this process when it is touched. */
static enum mmoe_status check_length(int fd)
{
    ElfW(Ehdr) head;
    struct stat s;
    if (fstat(fd, &s) != 0 || pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_phentsize != sizeof(ElfW(Phdr)))
        return MMOE_NOT_A_MODEL;
    for (int i = 0; i < head.e_phnum; i++) {
        ElfW(Phdr) segment;
        const off_t at = (off_t)(head.e_phoff + (size_t)i * sizeof segment);
        if (pread(fd, &segment, sizeof segment, at) != (ssize_t)sizeof segment ||
            segment.p_filesz > (size_t)s.st_size ||
            segment.p_offset > (size_t)s.st_size - segment.p_filesz)
            return MMOE_DAMAGED;
    }
    return MMOE_OK;
}

/* A path of the descriptor that no other library alive was loaded by. dlopen compares texts first,
   and the number of a closed descriptor comes again; so the inode, which lives as long as the
   library, goes into the text as steps that lead nowhere: "./" for a bit 0, ".//" for a bit 1. */
static void own_path(int fd, char path[256])
{
    struct stat s = {0};
    (void)fstat(fd, &s); /* of an open memfd: cannot fail */
    char *to = path + sprintf(path, "/proc/self/fd/");
    for (uint64_t bits = s.st_ino, i = 0; i < 64; i++)
        to += sprintf(to, bits >> i & 1 ? ".//" : "./");
    sprintf(to, "%d", fd);
}

static enum mmoe_status load_copy(struct version *v, int from)
{
    char path[256];
    int copy = memfd_create("mmoe", MFD_CLOEXEC);
    if (copy < 0)
        return MMOE_NO_MEMORY;
    enum mmoe_status status = copy_bytes(from, copy);
    if (status == MMOE_OK)
        status = check_length(copy);
    if (status == MMOE_OK) {
        own_path(copy, path);
        errno = 0;
        v->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        status = v->library ? MMOE_OK : errno == ENOMEM ? MMOE_NO_MEMORY : MMOE_NOT_A_MODEL;
    }
    close(copy);
    return status;
}

/* ---- records --------------------------------------------------------------------------------- */

/* Bytes of the smallest record there is: what came later stands behind. */
#define FIRST_SIZE offsetof(struct mmoe_model, columns)

/* Of a smaller record, from before the last members came, those are zero; of a larger one, what came later is left out.
   */
static enum mmoe_status use_record(struct version *v, const struct mmoe_model *r)
{
    if (!r || r->abi != MMOE_ABI || r->size < FIRST_SIZE || !r->score || !r->self_test)
        return MMOE_NOT_A_MODEL;
    memcpy(&v->record, r, r->size < sizeof v->record ? r->size : sizeof v->record);
    v->record.size = sizeof v->record;
    return !v->record.user_inputs == !v->record.score_users ? MMOE_OK : MMOE_NOT_A_MODEL;
}

static enum mmoe_status find_record(struct version *v)
{
    const struct mmoe_model *(*plugin)(void);
    void *symbol = dlsym(v->library, "mmoe_plugin");
    if (!symbol)
        return MMOE_NOT_A_MODEL;
    memcpy(&plugin, &symbol, sizeof plugin); /* POSIX: a function's address fits */
    return use_record(v, plugin());
}

/* ---- weights files --------------------------------------------------------------------------- */

#define HUGE_PAGE ((size_t)2 << 20)

/* Zeroed pages, from HUGE_PAGE bytes on huge ones if the system has them to give. */
static enum mmoe_status get_pages(struct pages *to, size_t bytes)
{
    const size_t spare = bytes < HUGE_PAGE ? 0 : HUGE_PAGE; /* to begin at a multiple of it */
    if (spare > 0)
        bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    char *pages = mmap(NULL, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return MMOE_NO_MEMORY;
    if (spare > 0) {
        const size_t before = HUGE_PAGE - (uintptr_t)pages % HUGE_PAGE; /* 1 page to HUGE_PAGE */
        munmap(pages, before);
        pages += before;
        if (before < spare)
            munmap(pages + bytes, spare - before);
        madvise(pages, bytes, MADV_HUGEPAGE);
    }
    to->at = pages;
    to->bytes = bytes;
    return MMOE_OK;
}

static enum mmoe_status read_at(int fd, void *to, size_t length, size_t at)
{
    for (ssize_t n; length > 0; to = (char *)to + n, length -= (size_t)n, at += (size_t)n)
        if ((n = pread(fd, to, length, (off_t)at)) <= 0) {
            if (n == 0)
                return MMOE_DAMAGED;
            if (errno != EINTR)
                return MMOE_NO_FILE;
            n = 0;
        }
    return MMOE_OK;
}

/* Numbers are used as they lie in the file, so other machines cannot read them. */
static int little_endian(void)
{
    const uint32_t one = 1;
    return *(const unsigned char *)&one;
}

static uint64_t number_of(const uint32_t pair[2]) { return pair[0] | (uint64_t)pair[1] << 32; }

static size_t file_bytes(const struct mmoe_model *r)
{
    if (r->table_floats > 0)
        return weights_file_tables(r->n_expected, r->weight_floats) + r->table_floats * sizeof(float);
    return weights_file_numbers(r->n_expected) + r->weight_floats * sizeof(float);
}

/* Code that takes no rows takes a file with tables, too, and leaves them alone. */
static int same_length(const struct mmoe_model *r, const struct weights_header *head, size_t length)
{
    const uint64_t tables = number_of(head->table_floats);
    return r->score_rows || tables == 0 ? tables == r->table_floats && length == file_bytes(r) : length > file_bytes(r);
}

/* Everything that can be wrong but the numbers themselves. */
static enum mmoe_status check_head(const struct mmoe_model *r, const struct weights_header *head, size_t length)
{
    if (memcmp(head->magic, WEIGHTS_MAGIC, sizeof head->magic) != 0 || head->abi != MMOE_ABI || !little_endian())
        return MMOE_NOT_A_MODEL;
    if (memcmp(head->structure, r->structure, sizeof head->structure) != 0)
        return MMOE_OTHER_MODEL;
    return head->n_expected == r->n_expected && number_of(head->weight_floats) == r->weight_floats &&
                   same_length(r, head, length)
               ? MMOE_OK
               : MMOE_DAMAGED;
}

static enum mmoe_status read_head(const struct mmoe_model *r, int fd, struct weights_header *head)
{
    struct stat s;
    if (fstat(fd, &s) != 0)
        return MMOE_NO_FILE;
    if (!S_ISREG(s.st_mode) || (size_t)s.st_size < sizeof *head)
        return MMOE_NOT_A_MODEL;
    const enum mmoe_status status = read_at(fd, head, sizeof *head, 0);
    return status == MMOE_OK ? check_head(r, head, (size_t)s.st_size) : status;
}

/* Of bytes behind others; `before` NULL: of the bytes alone. */
static enum mmoe_status check_digest(const unsigned char *before, const void *bytes, size_t n, const unsigned char want[32])
{
    struct sha256 s;
    unsigned char digest[32];
    sha256_init(&s);
    sha256_update(&s, before, before ? 32 : 0);
    sha256_update(&s, bytes, n);
    sha256_final(&s, digest);
    return memcmp(digest, want, sizeof digest) == 0 ? MMOE_OK : MMOE_DAMAGED;
}

static enum mmoe_status protect(const struct pages *p)
{
    return mprotect(p->at, p->bytes, PROT_READ) == 0 ? MMOE_OK : MMOE_NO_MEMORY;
}

/* The numbers first, so that they lie at the alignment of a page; then what the self test expects. */
static enum mmoe_status read_numbers(struct version *v, int fd)
{
    struct mmoe_model *r = &v->record;
    const size_t n = r->weight_floats * sizeof(float), words = r->n_expected * sizeof(uint32_t);
    enum mmoe_status status = get_pages(&v->weights, n + words);
    char *const at = v->weights.at;
    if (status == MMOE_OK)
        status = read_at(fd, at, n, weights_file_numbers(r->n_expected));
    if (status == MMOE_OK)
        status = read_at(fd, at + n, words, sizeof(struct weights_header));
    if (status == MMOE_OK)
        status = check_digest(NULL, at, n, r->weights_digest);
    r->weights = at;
    r->expected = (const void *)(at + n);
    return status == MMOE_OK ? protect(&v->weights) : status;
}

/* Tables of this size and more are mapped: processes share them, and a start need not find so much memory. Those who
   replace such a file must do so by rename, as mmoec does: who shortens it kills the process. */
#define MAPPED_BYTES ((size_t)1 << 30)

static enum mmoe_status map_tables(struct pages *to, int fd, size_t at, size_t n)
{
    void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, (off_t)at);
    if (p == MAP_FAILED)
        return MMOE_NO_MEMORY;
    to->at = p;
    to->bytes = n;
    return MMOE_OK;
}

static enum mmoe_status copy_tables(struct pages *to, int fd, size_t at, size_t n)
{
    enum mmoe_status status = get_pages(to, n);
    if (status == MMOE_OK)
        status = read_at(fd, to->at, n, at);
    return status == MMOE_OK ? protect(to) : status;
}

static enum mmoe_status read_tables(struct version *v, int fd)
{
    struct mmoe_model *r = &v->record;
    const size_t n = r->table_floats * sizeof(float), at = weights_file_tables(r->n_expected, r->weight_floats);
    enum mmoe_status status = MMOE_OK;
    if (!r->score_rows)
        return MMOE_OK;
    if (n > 0)
        status = (n < MAPPED_BYTES ? copy_tables : map_tables)(&v->tables, fd, at, n);
    r->tables = v->tables.at;
    return status == MMOE_OK ? check_digest(r->rows_structure, r->tables, n, r->tables_digest) : status;
}

static enum mmoe_status read_weights(struct version *v, int fd)
{
    struct weights_header head;
    enum mmoe_status status = read_head(&v->record, fd, &head);
    if (status != MMOE_OK)
        return status;
    memcpy(v->record.weights_digest, head.weights_digest, sizeof head.weights_digest);
    memcpy(v->record.tables_digest, head.tables_digest, sizeof head.tables_digest);
    status = read_numbers(v, fd);
    return status == MMOE_OK ? read_tables(v, fd) : status;
}

static int is_weights_file(int fd)
{
    char magic[sizeof WEIGHTS_MAGIC - 1];
    return pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
           memcmp(magic, WEIGHTS_MAGIC, sizeof magic) == 0;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static enum mmoe_status with_file(struct version *v, const char *path,
                                  enum mmoe_status (*use)(struct version *v, int fd))
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return MMOE_NO_FILE;
    enum mmoe_status status = use(v, fd);
    close(fd);
    return status;
}

/* NAME.weights beside NAME.so. */
static enum mmoe_status read_beside(struct version *v, const char *path)
{
    char beside[4096];
    size_t n = strlen(path);
    if (n > 3 && strcmp(path + n - 3, ".so") == 0)
        n -= 3;
    if (n + sizeof ".weights" > sizeof beside)
        return MMOE_NO_FILE;
    memcpy(beside, path, n);
    memcpy(beside + n, ".weights", sizeof ".weights");
    return with_file(v, beside, read_weights);
}

/* A shared object; or weights for the code that serves, whose record *v has then. */
static enum mmoe_status load_file(struct version *v, int fd)
{
    if (v->code_of && is_weights_file(fd)) {
        v->record = v->code_of->record;
        return read_weights(v, fd);
    }
    v->code_of = NULL;
    enum mmoe_status status = load_copy(v, fd);
    return status == MMOE_OK ? find_record(v) : status;
}

static enum mmoe_status load_path(struct version *v, const char *path)
{
    const enum mmoe_status status = with_file(v, path, load_file);
    return status != MMOE_OK || v->record.weights ? status : read_beside(v, path);
}

static enum mmoe_status load_record(struct version *v, const struct mmoe_model *record, const char *path)
{
    v->code_of = NULL;
    const enum mmoe_status status = use_record(v, record);
    if (status == MMOE_OK && path)
        return with_file(v, path, read_weights);
    return status == MMOE_OK && !record->weights ? MMOE_NOT_A_MODEL : status;
}

static enum mmoe_status load(struct version *v, struct mmoe_source source)
{
    if (source.record)
        return load_record(v, source.record, source.path);
    return source.path ? load_path(v, source.path) : MMOE_NOT_A_MODEL;
}

static enum mmoe_status run_self_test(const struct mmoe_model *r)
{
    void *scratch = aligned_scratch(r->scratch_bytes);
    if (!scratch)
        return MMOE_NO_MEMORY;
    const int wrong = r->self_test(r->weights, r->expected, scratch);
    free(scratch);
    return wrong ? MMOE_SELF_TEST : MMOE_OK;
}

enum mmoe_status load_version(struct version **result, struct mmoe_source source, const struct version *serving)
{
    *result = NULL;
    struct version *v = calloc(1, sizeof *v);
    if (!v)
        return MMOE_NO_MEMORY;
    v->code_of = serving;
    enum mmoe_status status = load(v, source);
    if (status == MMOE_OK && source.path)
        status = run_self_test(&v->record);
    if (status == MMOE_OK)
        *result = v;
    else
        free_version(v);
    return status;
}

void free_version(struct version *v)
{
    if (v->weights.at)
        munmap(v->weights.at, v->weights.bytes);
    if (v->tables.at)
        munmap(v->tables.at, v->tables.bytes);
    if (v->library)
        dlclose(v->library);
    if (v->end)
        v->end(v->owner);
    free(v);
}

void *aligned_scratch(size_t bytes)
{
    /* aligned_alloc wants a multiple of the alignment; and 0 bytes might be NULL. */
    return aligned_alloc(64, bytes / 64 * 64 + 64);
}
