// SPDX-License-Identifier: Apache-2.0
/* one_job.h: what tests of the compiler's stages share: a job that each test begins and ends, texts as sources, and a
 * directory for checkpoints. Include it first: it brings cmocka and what cmocka needs.
 */
#ifndef ONE_JOB_H
#define ONE_JOB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mmoec.h"

#ifndef TEST_DIR
#define TEST_DIR "tests"
#endif

static jmp_buf no_memory;
static struct options options;
static struct job job;

/* A fresh job with the options as they are. */
static inline void clear(void)
{
    close_files(&job);
    arena_free(&job.arena);
    job = (struct job){.arena = {.no_memory = &no_memory, .fail_after = -1}, .options = &options};
}

static inline int begin(void **state)
{
    (void)state;
    job = (struct job){0};
    options = (struct options){0};
    clear();
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    clear();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* A text as a source named "c", in the job as it is. */
static inline const struct source *source_of(const char *text, size_t length)
{
    struct source *s = NEW(&job, struct source);
    *s = (struct source){"c", text, length};
    return s;
}

/* `prefix` is DIR-XXXXXX/name; the directory is made, and removed with the checkpoint in it. */
static inline int make_dir_of(char *prefix)
{
    char *slash = strrchr(prefix, '/');
    *slash = 0;
    char *made = mkdtemp(prefix);
    *slash = '/';
    return made ? 0 : -1;
}

static inline int remove_dir_of(char *prefix)
{
    static const char *const files[] = {".index", ".data-00000-of-00001"};
    char path[512];
    for (size_t i = 0; i < COUNT(files); i++) {
        snprintf(path, sizeof path, "%s%s", prefix, files[i]);
        unlink(path);
    }
    *strrchr(prefix, '/') = 0;
    return rmdir(prefix);
}

#endif
