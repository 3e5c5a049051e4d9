// SPDX-License-Identifier: Apache-2.0
/* one_checkpoint.h: what tests that write a checkpoint share: one in a directory of its own. TEST_NAME is in its path.
 */
#ifndef ONE_CHECKPOINT_H
#define ONE_CHECKPOINT_H

#include "one_job.h"

#include "ckpt_writer.h"

static char prefix[] = "/tmp/" TEST_NAME ".XXXXXX/model.ckpt-1";
static struct ckpt *writer;

static void put(const char *name, int rank, uint64_t rows, uint64_t columns, const double *values)
{
    const uint64_t dim[] = {rows, columns};
    ckpt_put(writer, name, DT_FLOAT, rank, dim, values);
}

#define PUT1(name, n, ...) put(name, 1, n, 0, (const double[]){__VA_ARGS__})
#define PUT2(name, rows, columns, ...) put(name, 2, rows, columns, (const double[]){__VA_ARGS__})

static void begin_checkpoint(void) { writer = ckpt_begin(prefix, 1); }

static struct tensors *end_checkpoint(void)
{
    ckpt_end(writer);
    return read_checkpoint(&job, prefix);
}

static int make_dir(void **state)
{
    (void)state;
    char *slash = strrchr(prefix, '/');
    *slash = 0;
    char *made = mkdtemp(prefix);
    *slash = '/';
    return made ? 0 : -1;
}

static int remove_dir(void **state)
{
    static const char *const files[] = {".index", ".data-00000-of-00001"};
    char path[sizeof prefix + 32];
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        snprintf(path, sizeof path, "%s%s", prefix, files[i]);
        unlink(path);
    }
    *strrchr(prefix, '/') = 0;
    return rmdir(prefix);
}

#endif
