// SPDX-License-Identifier: Apache-2.0
/* follow.c: a service that makes its model in memory, scores in several threads, and takes new checkpoints while it does:
 *
 *     cc -O2 follow.c $(pkg-config --cflags --libs mmoec) -lpthread -o follow
 *     ./follow MODEL_DIR SECONDS [THREADS [perf]]
 *
 * Scoring threads take no lock and never wait: each says in a place of its own which model it is using. Whoever swaps
 * waits until no place holds the old model. "perf" as the last word tells perf where the code lies.
 */
#include <libmmoec.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_THREADS 64
#define BATCH 64 /* rows scored together */

static _Atomic(struct mmoec_model *) serving;
static atomic_int stopping;

struct scorer {
    _Alignas(64) _Atomic(struct mmoec_model *) using; /* a cache line of its own */
    pthread_t thread;
    unsigned long rows;
    int failed;
};

static struct scorer scorers[MOST_THREADS];
static int n_scorers;

/* The model that serves; it stays until leave(). Announce it, then look whether it still serves: if so, who swaps it
   later will see the announcement. */
static struct mmoec_model *enter(struct scorer *s)
{
    struct mmoec_model *m;
    do {
        m = atomic_load(&serving);
        atomic_store(&s->using, m);
    } while (m != atomic_load(&serving));
    return m;
}

static void leave(struct scorer *s) { atomic_store(&s->using, NULL); }

static struct mmoec_model *swap(void *user, struct mmoec_model *next)
{
    (void)user;
    struct mmoec_model *old = atomic_load(&serving);
    if (old) {
        const struct mmoe_model *a = mmoec_record(old), *b = mmoec_record(next);
        /* these threads made room for the first model: another structure is refused */
        if (memcmp(a->structure, b->structure, sizeof a->structure) != 0)
            return next;
    }
    atomic_store(&serving, next);
    for (int i = 0; i < n_scorers; i++)
        while (old && atomic_load(&scorers[i].using) == old)
            sched_yield();
    return old;
}

static void tell(void *user, const struct mmoec_news *news)
{
    static const char *const events[] = {"taken", "refused", "lost"};
    (void)user;
    fprintf(stderr, "%s: %s\n", events[news->event], news->path);
    for (size_t i = 0; i < news->messages->n; i++)
        fprintf(stderr, "  %s\n", news->messages->message[i].text);
}

static void *score(void *scorer)
{
    struct scorer *s = scorer;
    const struct mmoe_model *r = mmoec_record(enter(s));
    float *x = malloc(BATCH * r->inputs * sizeof *x), *y = malloc(BATCH * r->outputs * sizeof *y);
    void *scratch = aligned_alloc(64, (r->scratch_bytes + 63) / 64 * 64);
    s->failed = !x || !y || !scratch;
    for (size_t i = 0; !s->failed && i < BATCH * r->inputs; i++)
        x[i] = (float)(i % 19) / 10 - 1;
    leave(s);
    while (!s->failed && !atomic_load(&stopping)) {
        r = mmoec_record(enter(s));
        r->score(r->weights, x, r->inputs, BATCH, y, scratch);
        leave(s);
        s->rows += BATCH;
    }
    free(scratch);
    free(y);
    free(x);
    return NULL;
}

static void print_messages(struct mmoec_messages *m)
{
    for (size_t i = 0; i < m->n; i++)
        fprintf(stderr, "%s\n", m->message[i].text);
    mmoec_free_messages(m);
}

static int serve(const char *dir, const struct mmoec_options *options, int seconds)
{
    struct mmoec_watch_options o = {.size = sizeof o, .model = options, .swap = swap, .tell = tell,
                                    .after = mmoec_number(atomic_load(&serving)), .interval_ms = 1000, .nice = 10};
    struct mmoec_watch *watch;
    struct mmoec_messages *messages;
    enum mmoec_result result = mmoec_watch(dir, &o, &watch, &messages);
    print_messages(messages);
    if (result != MMOEC_OK)
        return result;
    int n = n_scorers;
    for (int i = 0; i < n; i++)
        if (pthread_create(&scorers[i].thread, NULL, score, &scorers[i]) != 0)
            n_scorers = n = i; /* as many as there can be */
    struct timespec t = {seconds, 0};
    nanosleep(&t, NULL);
    atomic_store(&stopping, 1);
    unsigned long rows = 0;
    int failed = n == 0;
    for (int i = 0; i < n; i++) {
        pthread_join(scorers[i].thread, NULL);
        rows += scorers[i].rows;
        failed |= scorers[i].failed;
    }
    mmoec_unwatch(watch);
    printf("%lu rows scored by %d threads in %d s, the last by checkpoint %lu\n", rows, n, seconds,
           (unsigned long)mmoec_number(atomic_load(&serving)));
    return failed;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: follow MODEL_DIR SECONDS [THREADS [perf]]\n");
        return 2;
    }
    struct mmoec_options options = {.size = sizeof options, .verbose = 1, .perf_map = argc > 4};
    struct mmoec_model *model;
    struct mmoec_messages *messages;
    n_scorers = argc > 3 ? atoi(argv[3]) : 2;
    n_scorers = n_scorers < 1 ? 1 : n_scorers < MOST_THREADS ? n_scorers : MOST_THREADS;
    enum mmoec_result result = mmoec_jit(argv[1], &options, &model, &messages);
    print_messages(messages);
    if (result != MMOEC_OK)
        return result;
    atomic_store(&serving, model);
    int status = serve(argv[1], &options, atoi(argv[2]));
    mmoec_close(atomic_load(&serving));
    return status;
}
