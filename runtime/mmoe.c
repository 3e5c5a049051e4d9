// SPDX-License-Identifier: Apache-2.0
/* mmoe.c: opens models from files.
 *
 * A shared object is copied into memory of this process (memfd) before it is loaded: dlopen of a
 * path that is loaded already answers with the old library, and a file that is overwritten while
 * loaded would change under the code. Only our own weights files are mapped; they are replaced by
 * rename, never written in place. Each step below says what went wrong; mmoe_open alone cleans up.
 */
/* All is compiled hidden but what mmoe.h names. */
#pragma GCC visibility push(default)
#include "mmoe.h"
#pragma GCC visibility pop
#include "sha256.h"
#include "weights_file.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *mmoe_status_text(enum mmoe_status status)
{
    static const char *const texts[] = {
        [MMOE_OK] = "fine",
        [MMOE_NO_FILE] = "the file cannot be read",
        [MMOE_NOT_A_MODEL] = "not a model of this ABI",
        [MMOE_OTHER_MODEL] = "weights of another structure",
        [MMOE_DAMAGED] = "the file is damaged",
        [MMOE_NO_MEMORY] = "out of memory",
        [MMOE_SELF_TEST] = "this build does not give the promised bits",
    };
    return (size_t)status < sizeof texts / sizeof *texts ? texts[status] : "unknown status";
}

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

static enum mmoe_status load_copy(struct mmoe *m, int from)
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
        m->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        status = m->library ? MMOE_OK : MMOE_NOT_A_MODEL;
    }
    close(copy);
    return status;
}

/* Is it a record that this library can use? A larger one has fields that came later. */
static int is_record(const struct mmoe_model *r)
{
    return r && r->abi == MMOE_ABI && r->size >= sizeof *r && r->score && r->self_test;
}

static enum mmoe_status find_record(struct mmoe *m)
{
    const struct mmoe_model *(*plugin)(void);
    void *symbol = dlsym(m->library, "mmoe_plugin");
    if (!symbol)
        return MMOE_NOT_A_MODEL;
    memcpy(&plugin, &symbol, sizeof plugin); /* POSIX: a function's address fits */
    m->record = plugin();
    return is_record(m->record) ? MMOE_OK : MMOE_NOT_A_MODEL;
}

/* ---- weights files --------------------------------------------------------------------------- */

/* Numbers are used where they lie, so other machines cannot read them. */
static int little_endian(void)
{
    const uint32_t one = 1;
    return *(const unsigned char *)&one;
}

/* Everything that can be wrong with the bytes of a weights file. */
static enum mmoe_status check_weights(const struct mmoe_model *r, const char *bytes, size_t length)
{
    struct weights_header head;
    unsigned char digest[32];
    if (length < sizeof head || !little_endian())
        return MMOE_NOT_A_MODEL;
    memcpy(&head, bytes, sizeof head);
    if (memcmp(head.magic, WEIGHTS_MAGIC, sizeof head.magic) != 0 || head.abi != MMOE_ABI)
        return MMOE_NOT_A_MODEL;
    if (memcmp(head.structure, r->structure, sizeof head.structure) != 0)
        return MMOE_OTHER_MODEL;
    const size_t numbers = weights_file_numbers(r->n_expected);
    const size_t n = r->weight_floats * sizeof(float);
    const uint64_t floats = head.weight_floats[0] | (uint64_t)head.weight_floats[1] << 32;
    if (head.n_expected != r->n_expected || floats != r->weight_floats || length != numbers + n)
        return MMOE_DAMAGED;
    sha256(bytes + numbers, n, digest);
    return memcmp(digest, head.weights_digest, sizeof digest) == 0 ? MMOE_OK : MMOE_DAMAGED;
}

static enum mmoe_status map_file(struct mmoe *m, int fd)
{
    struct stat s;
    if (fstat(fd, &s) != 0)
        return MMOE_NO_FILE;
    if (!S_ISREG(s.st_mode) || s.st_size == 0)
        return MMOE_NOT_A_MODEL;
    void *mapping = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping == MAP_FAILED)
        return MMOE_NO_MEMORY;
    m->mapping = mapping;
    m->mapping_bytes = (size_t)s.st_size;
    return MMOE_OK;
}

static enum mmoe_status use_weights(struct mmoe *m, int fd)
{
    enum mmoe_status status = map_file(m, fd);
    if (status == MMOE_OK)
        status = check_weights(m->record, m->mapping, m->mapping_bytes);
    if (status == MMOE_OK) {
        const char *bytes = m->mapping;
        m->expected = (const void *)(bytes + sizeof(struct weights_header));
        m->weights = bytes + weights_file_numbers(m->record->n_expected);
    }
    return status;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static enum mmoe_status with_file(struct mmoe *m, const char *path,
                                  enum mmoe_status (*use)(struct mmoe *m, int fd))
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return MMOE_NO_FILE;
    enum mmoe_status status = use(m, fd);
    close(fd);
    return status;
}

/* NAME.weights beside NAME.so. */
static enum mmoe_status open_beside(struct mmoe *m, const char *path)
{
    char beside[4096];
    size_t n = strlen(path);
    if (n > 3 && strcmp(path + n - 3, ".so") == 0)
        n -= 3;
    if (n + sizeof ".weights" > sizeof beside)
        return MMOE_NO_FILE;
    memcpy(beside, path, n);
    memcpy(beside + n, ".weights", sizeof ".weights");
    return with_file(m, beside, use_weights);
}

static enum mmoe_status open_library(struct mmoe *m, const char *path)
{
    enum mmoe_status status = with_file(m, path, load_copy);
    if (status == MMOE_OK)
        status = find_record(m);
    if (status != MMOE_OK)
        return status;
    m->weights = m->record->weights;
    m->expected = m->record->expected;
    return m->weights ? MMOE_OK : open_beside(m, path);
}

enum mmoe_status mmoe_open(struct mmoe *m, const struct mmoe_model *record, const char *path)
{
    enum mmoe_status status = MMOE_NOT_A_MODEL;
    *m = (struct mmoe){.record = record};
    if (!record)
        status = open_library(m, path);
    else if (is_record(record))
        status = with_file(m, path, use_weights);
    if (status != MMOE_OK)
        mmoe_close(m);
    return status;
}

enum mmoe_status mmoe_self_test(const struct mmoe *m, void *scratch)
{
    return m->record->self_test(m->weights, m->expected, scratch) == 0 ? MMOE_OK : MMOE_SELF_TEST;
}

void mmoe_close(struct mmoe *m)
{
    if (m->mapping)
        munmap(m->mapping, m->mapping_bytes);
    if (m->library)
        dlclose(m->library);
    *m = (struct mmoe){0};
}
