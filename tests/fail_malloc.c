// SPDX-License-Identifier: Apache-2.0
/* fail_malloc.c: a library for LD_PRELOAD that lets the n-th allocation of a program fail.
 *
 * FAIL_AT=n: allocations are counted from 0 once main() runs; the n-th and all after it return NULL. Without it,
 * nothing fails. Children do not inherit the failure: the variable is removed when it is read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static long left = -1;          /* how many may still succeed; -1: all */

__attribute__((constructor)) static void read_environment(void)
{
    const char *n = getenv("FAIL_AT");
    if (n)
        left = atol(n);
    unsetenv("FAIL_AT");
    unsetenv("LD_PRELOAD");
}

static int fails(void)
{
    if (left < 0)
        return 0;
    if (left == 0) {
        errno = ENOMEM;
        return 1;
    }
    left--;
    return 0;
}

/* glibc's own entry points, so that no symbol has to be looked up (which would allocate). */
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t bytes) { return fails() ? NULL : __libc_malloc(bytes); }

void *calloc(size_t n, size_t bytes) { return fails() ? NULL : __libc_calloc(n, bytes); }

void *realloc(void *old, size_t bytes) { return fails() ? NULL : __libc_realloc(old, bytes); }

void *aligned_alloc(size_t align, size_t bytes) { return fails() ? NULL : __libc_memalign(align, bytes); }

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
    return fails() ? MAP_FAILED : (void *)syscall(SYS_mmap, at, length, protection, flags, fd, offset);
}
