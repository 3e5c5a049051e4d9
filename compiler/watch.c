// SPDX-License-Identifier: Apache-2.0
/* watch.c: follows a directory for new checkpoints.
 *
 * A thread waits for inotify, for its interval, or for the end, and then looks. Each look is the same, whatever woke
 * it: the largest number in the directory, if it is new, is the candidate. It is tried when all its files are as
 * long as its index says. What fails may still be in the making (a copy, for instance, whose bytes come last), so
 * a candidate is refused only if its files did not change between two tries; and it is tried again when they do.
 *
 * How to read it: the state of a candidate's files; a look; waiting; beginning and end.
 */
#pragma GCC visibility push(default)
#include "libmmoec.h"
#pragma GCC visibility pop
#include "mmoec.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define INTERVAL_MS 5000
#define SETTLE_MS 1000              /* files that did not change for so long are not being written */

/* What can be seen of a candidate's files without reading them. */
struct files {
    bool complete;
    unsigned long long digest;      /* of sizes and times */
};

struct mmoec_watch {
    struct arena arena;             /* it holds all of this */
    const char *dir;
    struct mmoec_watch_options options;
    struct mmoec_options model;     /* of the candidate */
    uint64_t serving;
    bool any;                       /* does something serve? */
    bool lost;                      /* the directory, and the user knows */
    struct latest candidate;
    unsigned long long seen;        /* digest of the candidate's files; 0: not looked at yet */
    double since;                   /* when they were first seen so, of now() */
    bool refused;                   /* those files, and the user knows */
    int inotify, stop;
    pthread_t thread;
};

static void tell(const struct mmoec_watch *w, enum mmoec_event event, const char *path,
                 const struct mmoec_messages *messages)
{
    static const struct mmoec_messages none = {0, NULL};
    const struct mmoec_news news = {event, path, event == MMOEC_LOST ? 0 : w->candidate.number, messages ? messages : &none};
    if (w->options.tell)
        w->options.tell(w->options.user, &news);
}

/* ---- a candidate's files ------------------------------------------------------------------------------------------- */

static void add_file(struct files *f, const char *path, uint64_t least)
{
    struct stat s;
    unsigned long long parts[] = {0, 0, 0, 0};
    if (stat(path, &s) == 0) {
        parts[0] = (unsigned long long)s.st_size + 1;
        parts[1] = (unsigned long long)s.st_mtim.tv_sec;
        parts[2] = (unsigned long long)s.st_mtim.tv_nsec;
        parts[3] = (unsigned long long)s.st_ino;
    }
    f->complete &= parts[0] > least;
    for (size_t i = 0; i < COUNT(parts); i++)
        f->digest = (f->digest ^ parts[i]) * 0x100000001b3ull;
}

static void look_at_files(struct job *job, const char *config, const char *prefix, struct files *f)
{
    add_file(f, config, 0);
    add_file(f, arena_print(&job->arena, "%s.index", prefix), 0);
    const struct tensors *ts = f->complete ? read_checkpoint(job, prefix) : NULL;
    f->complete = ts != NULL;
    for (int i = 0; ts && i < ts->n_data; i++)
        add_file(f, ts->data[i].path, ts->data[i].bytes);
}

/* The entry point of this job; its caller owns what lives on after a jump. Without memory nothing is complete. */
static void attempt(struct job *job, const char *config, const char *prefix, struct files *f)
{
    jmp_buf no_memory;
    job->arena.no_memory = &no_memory;
    if (setjmp(no_memory))
        f->complete = false;
    else
        look_at_files(job, config, prefix, f);
}

static struct files files_of(const char *config, const char *prefix)
{
    static const struct options defaults;
    struct files f = {true, 0xcbf29ce484222325ull};
    struct job job;
    begin_job(&job, &defaults);
    attempt(&job, config, prefix, &f);
    end_job(&job);
    return f;
}

/* ---- a look -------------------------------------------------------------------------------------------------------- */

/* Texts that last for a look. PATH_MAX of Linux. */
struct paths {
    char model[4096], prefix[4096], config[4096];
};

static bool make_paths(const struct mmoec_watch *w, struct paths *p)
{
    unsigned long long n = (unsigned long long)w->candidate.number;
    int longest;
    if (w->candidate.exported) {
        snprintf(p->model, sizeof p->model, "%s/%llu", w->dir, n);
        snprintf(p->prefix, sizeof p->prefix, "%s/%llu/variables/variables", w->dir, n);
        longest = snprintf(p->config, sizeof p->config, "%s/%llu/assets/pipeline.config", w->dir, n);
    } else {
        snprintf(p->model, sizeof p->model, "%s", w->dir);
        longest = snprintf(p->config, sizeof p->config, "%s/pipeline.config", w->dir);
        snprintf(p->prefix, sizeof p->prefix, "%s/model.ckpt-%llu", w->dir, n);
    }
    return longest < (int)sizeof p->config - 64;
}

static const char *shown_path(const struct mmoec_watch *w, const struct paths *p)
{
    return w->candidate.exported ? p->model : p->prefix;
}

static void refuse(struct mmoec_watch *w, const struct paths *p, const struct mmoec_messages *messages)
{
    w->refused = true;
    tell(w, MMOEC_REFUSED, shown_path(w, p), messages);
}

static void take(struct mmoec_watch *w, const struct paths *p, struct mmoec_model *next,
                 const struct mmoec_messages *messages)
{
    enum mmoe_status status = mmoe_swap(w->options.serve, mmoec_source(next), w->options.swap_flags);
    if (status != MMOE_OK) {
        const struct mmoec_message why = {.severity = MMOEC_ERROR, .result = MMOEC_BAD_INPUT, .tag = "swap",
                                          .text = mmoe_status_text(status)};
        mmoec_close(next);
        refuse(w, p, &(struct mmoec_messages){1, &why});
        return;
    }
    w->serving = w->candidate.number;
    w->any = true;
    tell(w, MMOEC_TAKEN, shown_path(w, p), messages);
}

static void try_candidate(struct mmoec_watch *w, const struct paths *p, bool settled)
{
    struct mmoec_model *next;
    struct mmoec_messages *messages;
    struct mmoec_options o = w->model;
    o.weights = w->candidate.exported ? NULL : p->prefix;
    if (mmoec_jit(p->model, &o, &next, &messages) == MMOEC_OK)
        take(w, p, next, messages);
    else if (settled)
        refuse(w, p, messages);
    mmoec_free_messages(messages);
}

static bool is_new(const struct mmoec_watch *w, const struct latest *l)
{
    return l->found && (!w->any || l->number > w->serving || (w->options.smaller && l->number != w->serving));
}

/* Looks once; how many milliseconds until the next look. */
static int look(struct mmoec_watch *w)
{
    struct latest l;
    struct paths p;
    int interval = w->options.interval_ms ? (int)w->options.interval_ms : INTERVAL_MS;
    bool there = find_latest(w->dir, &l);
    if (!there && !w->lost)
        tell(w, MMOEC_LOST, w->dir, NULL);
    w->lost = !there;
    if (!there || !is_new(w, &l))
        return interval;
    if (l.number != w->candidate.number || l.exported != w->candidate.exported) {
        w->candidate = l;
        w->seen = 0;
    }
    if (!make_paths(w, &p))
        return interval;
    struct files f = files_of(p.config, p.prefix);
    bool changed = f.digest != w->seen;
    if (changed) {
        w->seen = f.digest;
        w->since = now();
        w->refused = false;
    }
    /* An incomplete one is tried, too, once its files hold still: then the user is told what is missing. */
    bool settled = !changed && now() - w->since >= SETTLE_MS;
    if (!w->refused && (settled || (changed && f.complete)))
        try_candidate(w, &p, settled);
    bool waits = !w->refused && is_new(w, &l);
    return waits && SETTLE_MS < interval ? SETTLE_MS : interval;
}

/* ---- waiting ------------------------------------------------------------------------------------------------------- */

#define CHANGES (IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* The directory, and a new export's files below it. A directory that was replaced has to be watched anew. */
static void watch_changes(struct mmoec_watch *w)
{
    if (w->inotify < 0)
        return;
    inotify_add_watch(w->inotify, w->dir, CHANGES);
    if (w->candidate.exported) {
        char variables[4096];
        if (snprintf(variables, sizeof variables, "%s/%llu/variables", w->dir,
                     (unsigned long long)w->candidate.number) < (int)sizeof variables)
            inotify_add_watch(w->inotify, variables, CHANGES);
    }
}

static void drain(int fd)
{
    char events[4096];
    while (read(fd, events, sizeof events) > 0)
        ;
}

/* False: it is to end. */
static bool wait_for_change(const struct mmoec_watch *w, int ms)
{
    struct pollfd fds[2] = {{w->stop, POLLIN, 0}, {w->inotify, POLLIN, 0}};
    int n = poll(fds, 2, ms);
    if (fds[0].revents)
        return false;
    if (n > 0)
        drain(w->inotify);
    return true;
}

static void *follow(void *watch)
{
    struct mmoec_watch *w = watch;
    int ms;
    if (w->options.nice)
        setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, (id_t)gettid()) + w->options.nice);
    do {
        watch_changes(w);           /* before the look: a change while it looks wakes it again */
        ms = look(w);
    } while (wait_for_change(w, ms));
    return NULL;
}

/* ---- beginning and end --------------------------------------------------------------------------------------------- */

static struct mmoec_watch *new_watch(struct job *job, const char *dir, const struct mmoec_watch_options *given)
{
    struct arena a = {.no_memory = job->arena.no_memory, .fail_after = -1};
    struct mmoec_watch *w = arena_alloc(&a, sizeof *w + strlen(dir) + 1);       /* one block: nothing is lost in a jump */
    w->arena = a;
    w->dir = strcpy((char *)(w + 1), dir);
    memcpy(&w->options, given, given->size < sizeof w->options ? given->size : sizeof w->options);
    w->model = (struct mmoec_options){.size = sizeof w->model};
    if (w->options.model)
        memcpy(&w->model, w->options.model,
               w->options.model->size < sizeof w->model ? w->options.model->size : sizeof w->model);
    w->model.size = sizeof w->model;
    w->serving = w->options.after;
    w->any = w->options.after != 0;
    w->stop = eventfd(0, EFD_CLOEXEC);
    w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);       /* without it the interval is left */
    return w;
}

static void free_watch(struct mmoec_watch *w)
{
    struct arena a = w->arena;
    if (w->inotify >= 0)
        close(w->inotify);
    if (w->stop >= 0)
        close(w->stop);
    arena_free(&a);
}

bool start_watch(struct job *job, const struct mmoec_watch_options *options, struct mmoec_watch **watch)
{
    if (!options || !options->serve || (options->model && options->model->weights)) {
        blame(job, BAD_USAGE, (struct pos){0}, "usage", NULL,
              options && options->serve ? "a watch finds the weights itself" : "a watch needs a served model to swap");
        return false;
    }
    struct mmoec_watch *w = new_watch(job, job->options->model, options);
    if (w->stop >= 0 && pthread_create(&w->thread, NULL, follow, w) == 0) {
        *watch = w;
        return true;
    }
    free_watch(w);
    blame(job, SYSTEM_FAILED, (struct pos){0}, "thread", NULL, "no thread can be started");
    return false;
}

void mmoec_unwatch(struct mmoec_watch *w)
{
    if (!w)
        return;
    const uint64_t one = 1;
    while (write(w->stop, &one, sizeof one) < 0)
        ;
    pthread_join(w->thread, NULL);
    free_watch(w);
}
