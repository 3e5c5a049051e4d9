// SPDX-License-Identifier: Apache-2.0
/* build.c: generated C -> shared object, by the system's compiler.
 *
 * $CC or cc, started without a shell, in a private temporary directory that is removed whatever happens.
 */
#include "mmoec.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static bool run(struct job *job, const char *const *command)
{
    pid_t child;
    int status = 0, failed = posix_spawnp(&child, command[0], NULL, NULL, (char *const *)(uintptr_t)command, environ);
    while (!failed && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (!failed && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    blame(job, SYSTEM_FAILED, (struct pos){0}, "compiler", "set CC to a C compiler; Debian: apt-get install gcc",
          failed ? "there is no compiler %s" : "the compiler %s failed", command[0]);
    return false;
}

static bool compile_in(struct job *job, const char *dir, const struct generated *g, const char *file_name, const char *so)
{
    const char *c = arena_print(&job->arena, "%s/%s.c", dir, file_name);
    const char *h = arena_print(&job->arena, "%s/%s.h", dir, file_name);
    const char *cc = getenv("CC") && *getenv("CC") ? getenv("CC") : "cc";
    const char *const command[] = {cc, "-std=c11", "-O2", "-shared", "-fPIC", "-DMMOE_PLUGIN", c, "-o", so, NULL};
    bool built = write_file(job, c, g->c.data, g->c.length) && write_file(job, h, g->h.data, g->h.length) && run(job, command);
    unlink(c);
    unlink(h);
    return built;
}

bool build_library(struct job *job, const struct generated *g, const char *file_name, const char *so)
{
    const char *tmp = getenv("TMPDIR") && *getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char *dir = arena_print(&job->arena, "%s/mmoec-XXXXXX", tmp);
    if (!mkdtemp(dir)) {
        blame(job, SYSTEM_FAILED, (struct pos){0}, "file", "set TMPDIR", "cannot make a directory in %s", tmp);
        return false;
    }
    const char *part = arena_print(&job->arena, "%s.part", so);
    bool built = compile_in(job, dir, g, file_name, part);
    rmdir(dir);
    if (built && rename(part, so) != 0) {
        blame(job, SYSTEM_FAILED, in_file(job, so), "file", NULL, "cannot be written: %s", strerror(errno));
        built = false;
    }
    if (!built)
        unlink(part);
    return built;
}
