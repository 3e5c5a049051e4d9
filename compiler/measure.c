// SPDX-License-Identifier: Apache-2.0
/* measure.c: times things on one core, and what this machine can do at most.
 *
 * A processor's clock and its neighbours change within seconds. So what is compared is timed in turns: each contestant
 * gets a few milliseconds a round, and its time is the median over the rounds. The limits are contestants, too. Rounds
 * are timed by the thread's own clock, which stands while another process has the core; single calls, for which that is
 * too slow to ask, by the wall's.
 */
#include "mmoec.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern const struct limits limits__plain;
#if defined __x86_64__
extern const struct limits limits__avx2, limits__avx512;
#elif defined __aarch64__
extern const struct limits limits__neon;
#endif

const struct limits *find_limits(const char *isa)
{
    static const struct limits *const all[] = {
#if defined __x86_64__
        &limits__avx512, &limits__avx2,
#elif defined __aarch64__
        &limits__neon,
#endif
        &limits__plain,
    };
    for (size_t i = 0; i < COUNT(all); i++)
        if (strcmp(all[i]->isa, isa) == 0)
            return all[i];
    bug("there is no instruction set %s", isa);
}

const char *processor_name(struct job *job)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256], *name = NULL;
    while (f && !name && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0 && (name = strstr(line, ": ")) != NULL)
            name[strcspn(name, "\n")] = 0;
    if (f)
        fclose(f);
    return name ? arena_print(&job->arena, "%s", name + 2) : "processor of an unknown name";
}

static double read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double seconds_now(void) { return read_clock(CLOCK_MONOTONIC); }

struct pin {
    int core;
    cpu_set_t before;
};

struct pin *pin_to_core(struct job *job)
{
    struct pin *p = NEW(job, struct pin);
    p->core = sched_getcpu();
    cpu_set_t one;
    CPU_ZERO(&one);
    if (p->core >= 0)
        CPU_SET((size_t)p->core, &one);
    if (sched_getaffinity(0, sizeof p->before, &p->before) != 0 || sched_setaffinity(0, sizeof one, &one) != 0)
        p->core = -1;
    return p;
}

int pinned_core(const struct pin *p) { return p->core; }

void unpin(const struct pin *p)
{
    if (p->core >= 0)
        sched_setaffinity(0, sizeof p->before, &p->before);
}

/* ---- in turns -------------------------------------------------------------------------------- */

static double time_calls(const struct contestant *c, size_t calls)
{
    double begin = read_clock(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < calls; i++)
        c->call(c->self);
    return (read_clock(CLOCK_THREAD_CPUTIME_ID) - begin) / (double)calls;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double percentile(double *times, size_t n, double share)
{
    qsort(times, n, sizeof *times, by_size);
    return times[(size_t)(share * (double)(n - 1) + 0.5)];
}

/* A round. One call before it brings back what the others took out of the cache, unless a call is the whole round. */
static double time_round(const struct contestant *c)
{
    if (c->calls > 1)
        c->call(c->self);
    return time_calls(c, c->calls);
}

/* Calls until a round lasts as long as it shall. */
static void find_calls(struct contestant *c, double round)
{
    double one;
    size_t calls = 1;
    do
        one = time_calls(c, c->calls = calls);
    while ((calls = one > 0 ? (size_t)(round / one) + 1 : 2 * calls) > 2 * c->calls);
    c->calls = calls;
}

void measure(struct job *job, struct contestant *c, int n, int rounds, double round)
{
    double *times = NEW_ARRAY(job, (size_t)(n * rounds), double);
    for (int i = 0; i < n; i++)
        find_calls(&c[i], round);
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < n; i++)
            times[i * rounds + r] = time_round(&c[i]);
    for (int i = 0; i < n; i++)
        c[i].seconds = percentile(times + i * rounds, (size_t)rounds, 0.5);
}

/* ---- single calls ---------------------------------------------------------------------------- */

static void nothing(void *self) { (void)self; }

static void time_each(const struct contestant *c, double *times, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double begin = seconds_now();
        c->call(c->self);
        times[i] = seconds_now() - begin;
    }
}

size_t measure_calls(struct job *job, const struct contestant *c, double seconds, double **times)
{
    size_t n = (size_t)(seconds / (time_calls(c, 8) + 1e-7));
    n = n < 200 ? 200 : n > 200000 ? 200000 : n;
    *times = NEW_ARRAY(job, n, double);
    time_each(&(struct contestant){.call = nothing}, *times, 200);
    double clock = percentile(*times, 200, 0.5);
    time_each(c, *times, n);
    for (size_t i = 0; i < n; i++)
        (*times)[i] -= clock;
    return n;
}

/* ---- limits as contestants ------------------------------------------------------------------- */

#define LIMIT_STEPS 10000           /* of a call: some ten microseconds */

static void call_multiply_add(void *self)
{
    float results[16];
    ((const struct limits *)self)->multiply_add(LIMIT_STEPS, results);
}

struct contestant multiply_add_contestant(const struct limits *l)
{
    return (struct contestant){.call = call_multiply_add, .self = (void *)(uintptr_t)l};
}

double flops(const struct limits *l, double seconds) { return l->operations * LIMIT_STEPS / seconds; }

static void call_read(void *self)
{
    const struct stream *s = self;
    float results[16];
    s->limits->read_all(s->from, s->bytes / sizeof(float), results);
}

struct contestant read_contestant(struct stream *s) { return (struct contestant){.call = call_read, .self = s}; }

/* Half of the first and of the second level; four times the second, which is the third on processors that have one;
   and what only memory holds on most. Common sizes where the system does not say. */
static const char *const level_names[N_LEVELS] = {"L1", "L2", "beyond L2", "128 MB"};

const char *level_name(int level) { return level_names[level]; }

size_t level_bytes(int level)
{
    long l1 = sysconf(_SC_LEVEL1_DCACHE_SIZE), l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    size_t first = l1 > 0 ? (size_t)l1 : 32 << 10, second = l2 > 0 ? (size_t)l2 : 1 << 20;
    const size_t bytes[N_LEVELS] = {first / 2, second / 2, second * 4, (size_t)128 << 20};
    return bytes[level];
}
