// SPDX-License-Identifier: Apache-2.0
/* build.c: generated C -> shared object, by the system's compiler.
 *
 * $CC or cc, started without a shell. All its files, and what it has to say, lie in a temporary directory; the result is read from there and written like any other
 * output, so that a failure leaves what was in its place.
 */
#include "mmoec.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define MOST_WORDS 16               /* of $CC: "ccache gcc -m64" */
#define MOST_FLAGS 16
#define MOST_SAID 20                /* lines of the compiler's that are shown */

/* ---- the compiler ---------------------------------------------------------------------------- */

/* What the compiler said, as notes. */
static void tell(struct job *job, const char *log)
{
    const struct source *s = read_source(job, log);
    const char *p = s ? s->text : NULL, *end = s ? s->text + s->length : NULL;
    for (int i = 0; p < end && i < MOST_SAID; i++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop : end;
        note(job, (struct pos){0}, "%.*s", (int)(stop - p < 400 ? stop - p : 400), p);
        p = stop + 1;
    }
}

/* Starts the command with its output in `log`; its exit status, or -1 if it did not run. */
static int start(const char *const *command, const char *log)
{
    posix_spawn_file_actions_t to_log;
    pid_t child;
    int status = 0;
    if (posix_spawn_file_actions_init(&to_log) != 0)
        return -1;
    int failed = posix_spawn_file_actions_addopen(&to_log, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    failed |= posix_spawn_file_actions_addopen(&to_log, STDOUT_FILENO, log, O_WRONLY | O_CREAT, 0600);
    failed |= posix_spawn_file_actions_adddup2(&to_log, STDOUT_FILENO, STDERR_FILENO);
    failed = failed || posix_spawnp(&child, command[0], &to_log, NULL, (char *const *)(uintptr_t)command, environ);
    posix_spawn_file_actions_destroy(&to_log);
    while (!failed && waitpid(child, &status, 0) < 0)
        failed = errno != EINTR;
    return failed || !WIFEXITED(status) ? -1 : WEXITSTATUS(status);
}

/* The words of $CC, then ours. */
static void make_command(struct job *job, const char *const *flags, const char *command[MOST_WORDS + MOST_FLAGS])
{
    const char *cc = getenv("CC");
    char *words = arena_print(&job->arena, "%s", cc && cc[strspn(cc, " ")] ? cc : "cc"), *next = NULL;
    int n = 0;
    for (char *w = strtok_r(words, " ", &next); w && n < MOST_WORDS; w = strtok_r(NULL, " ", &next))
        command[n++] = w;
    for (; *flags; flags++)
        command[n++] = *flags;
}

bool have_compiler(struct job *job)
{
    static const char *const flags[] = {"--version", NULL};
    const char *command[MOST_WORDS + MOST_FLAGS] = {NULL};
    make_command(job, flags, command);
    return start(command, "/dev/null") == 0;
}

static bool run(struct job *job, const char *const *flags, const char *log)
{
    const char *command[MOST_WORDS + MOST_FLAGS] = {NULL};
    make_command(job, flags, command);
    int status = start(command, log);
    if (status == 0)
        return true;
    if (status > 0 && status != 127)
        tell(job, log);
    blame(job, SYSTEM_FAILED, (struct pos){0}, "compiler", "set CC to a C compiler; on Debian: apt-get install gcc",
          status < 0 || status == 127 ? "the C compiler %s cannot be run" : "the C compiler %s failed",
          escaped(&job->arena, command[0], strlen(command[0])));
    return false;
}

static bool build_in(struct job *job, const char *dir, const struct generated *g, const char *file_name, const char *so)
{
    const char *c = name_temporary(job, dir, arena_print(&job->arena, "%s.c", file_name));
    const char *h = name_temporary(job, dir, arena_print(&job->arena, "%s.h", file_name));
    const char *made = name_temporary(job, dir, "made.so"), *log = name_temporary(job, dir, "log");
    const char *const flags[] = {"-std=c11", "-O2", "-shared", "-fPIC", "-DMMOE_PLUGIN", c, "-o", made, NULL};
    if (!write_file(job, c, g->c.data, g->c.length) || !write_file(job, h, g->h.data, g->h.length) ||
        !run(job, flags, log))
        return false;
    const struct source *s = read_source(job, made);
    return s && write_file(job, so, s->text, s->length);
}

bool build_library(struct job *job, const struct generated *g, const char *file_name, const char *so)
{
    struct temporary *before = job->temporaries;
    const char *dir = make_temporary(job);
    bool built = dir && build_in(job, dir, g, file_name, so);
    remove_temporaries(job, before);
    return built;
}
