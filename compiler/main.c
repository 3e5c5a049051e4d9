// SPDX-License-Identifier: Apache-2.0
/* main.c: the program. Only here is anything printed, and only from here does the program leave. */
#include "cli.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void show_all(const struct job *job)
{
    const char *no_color = getenv("NO_COLOR");
    bool colour = isatty(STDERR_FILENO) && !(no_color && *no_color);
    for (const struct message *m = job->messages; m; m = m->next)
        show_message(m, colour, stderr);
}

static bool run(struct job *job, struct text *to, struct progress *progress)
{
    const char *command = job->options->command;
    if (strcmp(command, "compile") == 0)
        return do_compile(job, to);
    if (strcmp(command, "inspect") == 0)
        return do_inspect(job, to);
    if (strcmp(command, "verify") == 0)
        return do_verify(job, to);
    if (strcmp(command, "bench") == 0)
        return do_bench(job, to);
    return do_score(job, stdout, progress);
}

static enum result finish(struct job *job, const struct text *to, bool good)
{
    show_all(job);
    if (job->dump.length)
        fwrite(job->dump.data, 1, job->dump.length, stdout);
    if (to->length)
        fwrite(to->data, 1, to->length, stdout);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    if (!written && !job->errors) {
        fprintf(stderr, "mmoec: error: standard output cannot be written [file]\n");
        return SYSTEM_FAILED;
    }
    return good ? OK : job->result ? job->result : SYSTEM_FAILED;
}

/* A closed standard stream must not become the number of a file that is opened later: what is meant for the stream
   would end up there. It is opened so that using it fails. */
static void occupy_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            return;
}

int main(int argc, char **argv)
{
    static struct job job;              /* static: a jump keeps its values */
    static struct options options;
    static struct progress progress;
    jmp_buf no_memory;
    occupy_standard_streams();
    begin_job(&job, &options);
    if (setjmp(no_memory)) {
        clear_progress(&progress);
        fprintf(stderr, "mmoec: error: out of memory [memory]\n");
        end_job(&job);
        return SYSTEM_FAILED;
    }
    job.arena.no_memory = &no_memory;
    progress.to = isatty(STDERR_FILENO) ? stderr : NULL;
    struct text to = {.arena = &job.arena};
    enum todo todo = read_command_line(&job, argc, argv, &options, stdout);
    bool good = todo == RUN ? run(&job, &to, &progress) : todo == SAID;
    clear_progress(&progress);
    enum result result = finish(&job, &to, good);
    end_job(&job);
    return (int)result;
}
