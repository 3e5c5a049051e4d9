// SPDX-License-Identifier: Apache-2.0
/* follow.c: a service that makes its model in memory, scores in several threads, and takes new checkpoints while it does:
 *
 *     cc -O2 follow.c $(pkg-config --cflags --libs mmoec) -pthread -o follow
 *     ./follow MODEL_DIR SECONDS [THREADS [perf]]
 *
 * What is taken and what is refused is told on standard error. "perf" as the last word tells perf where the code lies.
 */
#include <libmmoec.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MOST_THREADS 64
#define BATCH 64 /* rows scored together */

static atomic_int stopping;

struct scorer {
    pthread_t thread;
    struct mmoe_reader *reader; /* one for each thread */
    size_t inputs, outputs;     /* the watch refuses models of other shapes */
    unsigned long rows;
    int failed;
};

static void *score(void *scorer)
{
    struct scorer *s = scorer;
    float *x = malloc(BATCH * s->inputs * sizeof *x), *y = malloc(BATCH * s->outputs * sizeof *y);
    s->failed = !x || !y;
    for (size_t i = 0; !s->failed && i < BATCH * s->inputs; i++)
        x[i] = (float)(i % 19) / 10 - 1;
    while (!s->failed && !atomic_load(&stopping)) {
        mmoe_score(s->reader, x, BATCH, y);
        s->rows += BATCH;
    }
    free(y);
    free(x);
    return NULL;
}

static void print_messages(const struct mmoec_messages *m)
{
    for (size_t i = 0; i < m->n; i++)
        fprintf(stderr, "  %s\n", m->message[i].text);
}

static void tell(void *user, const struct mmoec_news *news)
{
    static const char *const events[] = {"taken", "refused", "lost"};
    (void)user;
    fprintf(stderr, "%s: %s\n", events[news->event], news->path);
    print_messages(news->messages);
}

/* Scores in n threads until the time is over. */
static int score_for(struct mmoe *m, int seconds, int n)
{
    static struct scorer scorers[MOST_THREADS];
    const struct timespec t = {seconds, 0};
    unsigned long rows = 0;
    int started = 0, failed = 0;
    for (; started < n; started++) {
        struct scorer *s = &scorers[started];
        s->inputs = mmoe_record(m)->inputs;
        s->outputs = mmoe_record(m)->outputs;
        if (mmoe_reader_new(&s->reader, m, NULL) != MMOE_OK || pthread_create(&s->thread, NULL, score, s) != 0)
            break;
    }
    nanosleep(&t, NULL);
    atomic_store(&stopping, 1);
    for (int i = 0; i < started; i++) {
        pthread_join(scorers[i].thread, NULL);
        rows += scorers[i].rows;
        failed |= scorers[i].failed;
    }
    printf("%lu rows scored by %d threads in %d s\n", rows, started, seconds);
    return failed || started < n;
}

static int serve(const char *dir, const struct mmoec_options *options, struct mmoe *m, uint64_t number, int seconds,
                 int threads)
{
    struct mmoec_watch_options o = {.size = sizeof o, .model = options, .serve = m, .tell = tell, .after = number,
                                    .interval_ms = 1000, .nice = 10};
    struct mmoec_watch *watch;
    struct mmoec_messages *messages;
    int status = (int)mmoec_watch(dir, &o, &watch, &messages);
    print_messages(messages);
    mmoec_free_messages(messages);
    if (status == MMOEC_OK)
        status = score_for(m, seconds, threads);
    mmoec_unwatch(watch);
    return status;
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
    int threads = argc > 3 ? atoi(argv[3]) : 2;
    threads = threads < 1 ? 1 : threads < MOST_THREADS ? threads : MOST_THREADS;
    int status = (int)mmoec_jit(argv[1], &options, &model, &messages);
    print_messages(messages);
    mmoec_free_messages(messages);
    if (status != MMOEC_OK)
        return status;
    const uint64_t number = mmoec_number(model);
    struct mmoe *m;
    if (mmoe_open(&m, mmoec_source(model)) != MMOE_OK) {
        mmoec_close(model);
        return 1;
    }
    status = serve(argv[1], &options, m, number, atoi(argv[2]), threads);
    mmoe_close(m);
    return status;
}
