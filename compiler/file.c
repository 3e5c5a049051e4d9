// SPDX-License-Identifier: Apache-2.0
/* Files of others, and our own output.
 *
 * The idea: input is read with pread and never mapped, since a mapped file that someone truncates
 * kills the process with SIGBUS; here it becomes an error. Output appears at once or not at all: it
 * is written beside its place and renamed.
 *
 * How to read it: reason() words the system's errors, then opening and reading, then writing. What
 * the system says about a file of the user's is the user's error (BAD_INPUT); what it refuses to do
 * for us is SYSTEM_FAILED.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mmoec.h"

#define LARGEST_TEXT ((uint64_t)1 << 30) /* lines and columns are ints */
#define CHUNK 16384                      /* bytes at a time when files are compared */
#define TEMPORARY_NAMES 100              /* tries; another is taken only if a name exists already */

struct open_file {
    struct file file;
    struct open_file *next;
};

/* strerror depends on the locale and is not safe with threads. */
static const char *reason(struct job *job, int e)
{
    switch (e) {
    case ENOENT:
        return "there is no such file";
    case ENOTDIR:
        return "a part of the path is not a directory";
    case EACCES:
    case EPERM:
        return "permission denied";
    case EISDIR:
        return "it is a directory";
    case ENOSPC:
    case EDQUOT:
        return "no space left on the disk";
    case EFBIG:
        return "the file would become larger than the system allows";
    case EROFS:
        return "the file system is read-only";
    case EMFILE:
    case ENFILE:
        return "too many open files";
    case ENAMETOOLONG:
        return "the name is too long";
    case ELOOP:
        return "too many symbolic links";
    case EIO:
        return "input/output error";
    default:
        return arena_print(&job->arena, "system error %d", e);
    }
}

/* ---- names ---- */

const char *base_name(const char *path)
{
    const char *base = path;
    for (const char *p = path; *p; p++)
        if (p[0] == '/' && p[1] && p[1] != '/')
            base = p + 1;
    return base;
}

const char *join_path(struct job *job, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    if (!n || name[0] == '/')
        return arena_copy(&job->arena, name, strlen(name));
    return arena_print(&job->arena, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* ---- reading ---- */

static struct file *refuse(struct job *job, const char *path, int e)
{
    bool ours = e == EMFILE || e == ENFILE || e == ENOMEM;
    blame(job, ours ? SYSTEM_FAILED : BAD_INPUT, in_file(job, path), "file", NULL,
          "cannot be opened: %s", reason(job, e));
    return NULL;
}

struct file *open_file(struct job *job, const char *path)
{
    if (!path)
        return NULL;
    struct open_file *f =
        NEW(job, struct open_file); /* before open(): a failed allocation must not lose a file */
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC |
                            O_NONBLOCK); /* or opening a named pipe would wait for its writer */
    if (fd < 0)
        return refuse(job, path, errno);
    f->file = (struct file){.fd = fd, .name = base_name(path)};
    f->next = job->files;
    job->files = f;
    if (fstat(fd, &st) != 0)
        return refuse(job, path, errno);
    if (S_ISDIR(st.st_mode))
        return refuse(job, path, EISDIR);
    if (!S_ISREG(st.st_mode)) {
        blame(job, BAD_INPUT, in_file(job, path), "file", NULL, "is not a regular file");
        return NULL;
    }
    f->file.bytes = (uint64_t)st.st_size;
    return &f->file;
}

struct file *open_stream(struct job *job, const char *path)
{
    struct open_file *f = NEW(job, struct open_file);
    if (strcmp(path, "-") == 0) {
        f->file = (struct file){.fd = dup(STDIN_FILENO), .name = "standard input"};
    } else if (is_directory(path)) {
        return refuse(job, path, EISDIR);
    } else {
        f->file = (struct file){.fd = open(path, O_RDONLY | O_CLOEXEC), .name = base_name(path)};
    }
    if (f->file.fd < 0)
        return refuse(job, path, errno);
    f->next = job->files;
    job->files = f;
    return &f->file;
}

long read_stream(struct job *job, const struct file *f, void *to, size_t most)
{
    ssize_t n;
    do
        n = read(f->fd, to, most < INT_MAX ? most : INT_MAX);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        blame(job, BAD_INPUT, in_file(job, f->name), "file", NULL, "cannot be read: %s", reason(job, errno));
    return (long)n;
}

uint64_t stream_bytes(const char *path)
{
    struct stat st;
    bool standard = strcmp(path, "-") == 0;
    if ((standard ? fstat(STDIN_FILENO, &st) : stat(path, &st)) != 0 || !S_ISREG(st.st_mode))
        return 0;
    off_t at = standard ? lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
    return at >= 0 && at < st.st_size ? (uint64_t)(st.st_size - at) : 0;
}

void close_stream(struct file *f)
{
    close(f->fd);
    f->fd = -1;
}

void close_files(struct job *job)
{
    for (struct open_file *f = job->files; f; f = f->next)
        if (f->file.fd >= 0)
            close(f->file.fd);
    job->files = NULL;
}

static bool cut_short(struct job *job, const struct file *f, uint64_t offset, size_t bytes,
                      uint64_t has)
{
    blame(job, BAD_INPUT, in_file(job, f->name), "truncated", NULL,
          "has %llu bytes; %llu bytes at %llu were to be read", (unsigned long long)has,
          (unsigned long long)bytes, (unsigned long long)offset);
    return false;
}

bool read_at(struct job *job, const struct file *f, uint64_t offset, void *to, size_t bytes)
{
    if (!f)
        return false;
    if (offset > f->bytes || bytes > f->bytes - offset)
        return cut_short(job, f, offset, bytes, f->bytes);
    for (size_t done = 0; done < bytes;) {
        size_t part = bytes - done < INT_MAX ? bytes - done : INT_MAX;
        ssize_t n = pread(f->fd, (char *)to + done, part, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            blame(job, BAD_INPUT, in_file(job, f->name), "file", NULL, "cannot be read: %s",
                  reason(job, errno));
            return false;
        }
        if (n == 0) /* it became shorter since it was opened */
            return cut_short(job, f, offset, bytes, offset + done);
        done += (size_t)n;
    }
    return true;
}

const struct source *read_source(struct job *job, const char *path)
{
    struct file *f = open_file(job, path);
    if (!f)
        return NULL;
    if (f->bytes > LARGEST_TEXT) {
        blame(job, BAD_INPUT, in_file(job, f->name), "file", NULL,
              "has %llu bytes, too many for a text", (unsigned long long)f->bytes);
        return NULL;
    }
    char *text = arena_alloc(&job->arena, (size_t)f->bytes + 1);
    if (!read_at(job, f, 0, text, (size_t)f->bytes))
        return NULL;
    struct source *s = NEW(job, struct source);
    *s = (struct source){.name = f->name, .text = text, .length = (size_t)f->bytes};
    return s;
}

/* ---- writing ---- */

/* Whether the open file holds exactly these bytes. */
static bool same_bytes(int fd, const char *bytes, size_t length)
{
    char chunk[CHUNK];
    for (size_t done = 0; done < length;) {
        size_t part = length - done < CHUNK ? length - done : CHUNK;
        ssize_t n = pread(fd, chunk, part, (off_t)done);
        if (n <= 0 || memcmp(chunk, bytes + done, (size_t)n) != 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool already_there(const char *path, const struct stat *st, const void *bytes, size_t length)
{
    if (!S_ISREG(st->st_mode) || (uint64_t)st->st_size != length)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool same = same_bytes(fd, bytes, length);
    close(fd);
    return same;
}

/* Opens a new file beside `path`; its name goes to `name`. Not mkstemp: its files can be read by
 * the owner alone. */
static int open_beside(const char *path, char *name, size_t room)
{
    for (int i = 0; i < TEMPORARY_NAMES; i++) {
        snprintf(name, room, "%s.tmp-%ld-%d", path, (long)getpid(), i);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* A file that takes its name when all of it is there; /dev/stdout and the like are written to, not replaced. */
struct writing {
    const char *path, *name;        /* name NULL: written as it is */
    int fd, error;
};

static struct writing begin_output(struct job *job, const char *path)
{
    struct stat st;
    struct writing o = {.path = path, .fd = -1};
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) {
        o.error = EISDIR;
        return o;
    }
    size_t room = strlen(path) + 64;
    char *name = arena_alloc(&job->arena, room);
    if (!exists || S_ISREG(st.st_mode))
        o.name = name;
    o.fd = o.name ? open_beside(path, name, room) : open(path, O_WRONLY | O_CLOEXEC);
    o.error = o.fd < 0 ? errno : 0;
    return o;
}

static void add_bytes(struct writing *o, const void *bytes, size_t length)
{
    for (size_t done = 0; done < length && !o->error;) {
        size_t part = length - done < INT_MAX ? length - done : INT_MAX;
        ssize_t n = write(o->fd, (const char *)bytes + done, part);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            o->error = errno;
    }
}

/* NULL, or why it failed. */
static const char *end_output(struct job *job, struct writing *o)
{
    if (o->fd >= 0 && close(o->fd) != 0 && !o->error)
        o->error = errno;
    if (!o->error && o->name && rename(o->name, o->path) != 0)
        o->error = errno;
    if (o->error && o->name && o->fd >= 0)
        unlink(o->name);
    return o->error ? reason(job, o->error) : NULL;
}

const char *try_write_file(struct job *job, const char *path, const void *bytes, size_t length)
{
    struct stat st;
    if (stat(path, &st) == 0 && already_there(path, &st, bytes, length))
        return NULL;
    struct writing o = begin_output(job, path);
    add_bytes(&o, bytes, length);
    return end_output(job, &o);
}

bool write_parts(struct job *job, const char *path, void *head, size_t length,
                 bool (*next)(struct job *job, void *self, const void **bytes, size_t *n), void *self)
{
    struct writing o = begin_output(job, path);
    const void *bytes;
    size_t n;
    int errors = job->errors;
    add_bytes(&o, head, length);
    while (!o.error && next(job, self, &bytes, &n))
        add_bytes(&o, bytes, n);
    if (!o.error && o.name && pwrite(o.fd, head, length, 0) != (ssize_t)length)
        o.error = errno;
    if (job->errors > errors)
        o.error = o.error ? o.error : ECANCELED;
    const char *why = end_output(job, &o);
    if (why && job->errors == errors)
        blame(job, SYSTEM_FAILED, in_file(job, path), "file", NULL, "cannot be written: %s", why);
    return !why;
}

bool write_file(struct job *job, const char *path, const void *bytes, size_t length)
{
    const char *why = try_write_file(job, path, bytes, length);
    if (why)
        blame(job, SYSTEM_FAILED, in_file(job, path), "file", NULL, "cannot be written: %s", why);
    return !why;
}

/* ---- temporary files ---- */

struct temporary {
    char *path;
    struct temporary *next;
};

/* Before the file is made: a failed allocation must not lose it. */
static struct temporary *add_temporary(struct job *job, char *path)
{
    struct temporary *t = NEW(job, struct temporary);
    *t = (struct temporary){path, job->temporaries};
    return t;
}

const char *make_temporary(struct job *job)
{
    const char *tmp = getenv("TMPDIR") && *getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    struct temporary *t = add_temporary(job, arena_print(&job->arena, "%s/mmoec-XXXXXX", tmp));
    if (!mkdtemp(t->path)) {
        blame(job, SYSTEM_FAILED, in_file(job, tmp), "file", "set TMPDIR to a directory for temporary files",
              "no directory can be made there");
        return NULL;
    }
    job->temporaries = t;
    return t->path;
}

const char *name_temporary(struct job *job, const char *dir, const char *name)
{
    job->temporaries = add_temporary(job, arena_print(&job->arena, "%s%s%s", dir ? dir : "", dir ? "/" : "", name));
    return job->temporaries->path;
}

bool rename_temporary(struct job *job, const char *temporary, const char *path)
{
    if (rename(temporary, path) == 0)
        return true;
    blame(job, SYSTEM_FAILED, in_file(job, path), "file", NULL, "cannot be written: %s", reason(job, errno));
    return false;
}

void remove_temporaries(struct job *job, struct temporary *down_to)
{
    for (; job->temporaries != down_to; job->temporaries = job->temporaries->next)
        remove(job->temporaries->path);
}
