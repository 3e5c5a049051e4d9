// SPDX-License-Identifier: Apache-2.0
/* one_job.h: what tests of the compiler's stages share: a job that each test begins and ends, and texts as
 * sources. Include it first: it brings cmocka and what cmocka needs.
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

#endif
