// SPDX-License-Identifier: Apache-2.0
/* bench.c: the command bench. How long the engines take for a row, and how much of the machine that is.
 *
 * Engines and limits are timed in turns on one core (measure.c): for each number of rows a call, every engine, the
 * multiply-adds of each instruction set, and a plain reading of as many bytes as the model has weights. With user
 * columns also the same number of items of one user, beside them. Then single calls, for the percentiles. Results are
 * gathered, then printed as a table or as JSON.
 */
#include "mmoec.h"
#include "../runtime/kernels.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 9
#define ROUND_SECONDS 0.01
#define CALLS_SECONDS 0.25          /* for the percentiles of one engine and one number of rows */
#define MOST_ENGINES 8

static const char default_batches[] = "1,2,3,4,8,16,64,256,1024";
static const size_t call_rows[] = {1, 256};         /* rows of the calls that percentiles are of */

struct timing {
    double us;                      /* a row */
    double peak;                    /* share of the peak of multiply-adds */
    double stream;                  /* share of the speed at which the weights' bytes can be read */
    double users_us;                /* a row that is an item of one user: by score_users */
};

struct call_timing {
    double p50, p90, p99;           /* us a call */
    size_t calls;
};

struct benched {
    struct engine *engine;
    const char *name, *isa;
    const struct limits *limits;
    struct timing timing[MOST_BATCHES];
    struct call_timing call[COUNT(call_rows)];
};

struct bench {
    struct job *job;
    struct network *n;
    size_t batch[MOST_BATCHES];
    int n_batches;
    struct benched engines[MOST_ENGINES];
    int n_engines;
    uint64_t macs, weight_bytes;    /* a row; the arena */
    size_t users;                   /* columns of x that are the user's */
    const float *x, *weights;       /* weights: as many bytes, to be read */
    float *y;
    int core;
    double peak[MOST_ENGINES];      /* of each engine's instruction set: flop/s, the median over batches */
    double stream;                  /* bytes/s, the same */
    double level[N_LEVELS];         /* bytes/s */
};

int read_batches(const char *list, size_t batch[MOST_BATCHES])
{
    int n = 0;
    for (const char *p = list; n < MOST_BATCHES; p++) {
        if (!isdigit((unsigned char)*p))
            return 0;
        char *end;
        unsigned long rows = strtoul(p, &end, 10);
        if (rows < 1 || rows > LARGEST_BATCH)
            return 0;
        batch[n++] = rows;
        if (!*end)
            return n;
        if (*(p = end) != ',')
            return 0;
    }
    return 0;
}

/* ---- engines --------------------------------------------------------------------------------- */

static bool add_engine(struct bench *b, const char *name)
{
    struct engine *e = open_engine(b->job, b->n, name);
    if (!e)
        return false;
    struct benched *to = &b->engines[b->n_engines++];
    *to = (struct benched){.engine = e, .name = strcmp(name, "aot") == 0 ? "aot" : "walk",
                           .isa = arena_print(&b->job->arena, "%s", engine_isa(e))};
    to->limits = find_limits(to->isa);
    return true;
}

/* Those of vectors; the plain kernels where there are no others. */
static bool add_walks(struct bench *b)
{
    static const char *const isas[] = {"avx512", "avx2", "neon"};
    int before = b->n_engines;
    for (size_t i = 0; i < COUNT(isas); i++)
        if (mmoe_kernels_named(isas[i]) && !add_engine(b, arena_print(&b->job->arena, "walk-%s", isas[i])))
            return false;
    return b->n_engines > before || add_engine(b, "walk-plain");
}

/* Without --engine, the compiled model takes part if there is a compiler. */
static bool add_engines(struct bench *b)
{
    const char *only = b->job->options->engine;
    if (only && strcmp(only, "aot") == 0)
        return add_engine(b, "aot");
    if (!add_walks(b))
        return false;
    if (only)
        return true;
    if (have_compiler(b->job))
        return add_engine(b, "aot");
    note(b->job, (struct pos){0}, "there is no C compiler: aot is left out");
    return true;
}

/* ---- timing ---------------------------------------------------------------------------------- */

struct scoring {
    struct bench *b;
    struct engine *e;
    size_t rows;
    size_t offsets[2];              /* of one user, whose items all rows are */
};

static void call_engine(void *self)
{
    const struct scoring *s = self;
    run_engine(s->b->job, s->e, s->b->x, s->rows, s->b->y);
}

/* The user's columns are the first numbers of x, the items' those behind them. */
static void call_users(void *self)
{
    const struct scoring *s = self;
    run_engine_users(s->e, s->b->x, s->b->x + s->b->users, s->offsets, 1, s->b->y);
}

/* One number of rows: engines, each one's peak, and the reading of the weights. */
static void time_batch(struct bench *b, int i, double peak[MOST_ENGINES], double *stream)
{
    struct contestant c[3 * MOST_ENGINES + 1];
    struct scoring s[MOST_ENGINES];
    int n = b->n_engines, all_of_them = 2 * n + 1;
    for (int k = 0; k < n; k++) {
        s[k] = (struct scoring){.b = b, .e = b->engines[k].engine, .rows = b->batch[i], .offsets = {0, b->batch[i]}};
        c[k] = (struct contestant){.call = call_engine, .self = &s[k]};
        c[n + k] = multiply_add_contestant(b->engines[k].limits);
        if (b->users)
            c[all_of_them++] = (struct contestant){.call = call_users, .self = &s[k]};
    }
    struct stream all = {.limits = b->engines[0].limits, .from = b->weights, .bytes = b->weight_bytes};
    c[2 * n] = read_contestant(&all);
    measure(b->job, c, all_of_them, ROUNDS, ROUND_SECONDS);
    for (int k = 0; k < n; k++) {
        double seconds = c[k].seconds / (double)b->batch[i];
        peak[k] = flops(b->engines[k].limits, c[n + k].seconds);
        b->engines[k].timing[i] = (struct timing){.us = 1e6 * seconds, .peak = 2 * (double)b->macs / seconds / peak[k],
                                                  .stream = c[2 * n].seconds / c[k].seconds};
        if (b->users)
            b->engines[k].timing[i].users_us = 1e6 * c[2 * n + 1 + k].seconds / (double)b->batch[i];
    }
    *stream = (double)b->weight_bytes / c[2 * n].seconds;
}

static void time_batches(struct bench *b)
{
    double peaks[MOST_ENGINES][MOST_BATCHES], streams[MOST_BATCHES];
    for (int i = 0; i < b->n_batches; i++) {
        double peak[MOST_ENGINES];
        time_batch(b, i, peak, &streams[i]);
        for (int k = 0; k < b->n_engines; k++)
            peaks[k][i] = peak[k];
    }
    for (int k = 0; k < b->n_engines; k++)
        b->peak[k] = percentile(peaks[k], (size_t)b->n_batches, 0.5);
    b->stream = percentile(streams, (size_t)b->n_batches, 0.5);
}

static void time_calls(struct bench *b)
{
    for (int k = 0; k < b->n_engines; k++)
        for (size_t i = 0; i < COUNT(call_rows); i++) {
            struct scoring s = {.b = b, .e = b->engines[k].engine, .rows = call_rows[i]};
            double *times;
            const struct contestant c = {.call = call_engine, .self = &s};
            size_t n = measure_calls(b->job, &c, CALLS_SECONDS, &times);
            b->engines[k].call[i] = (struct call_timing){
                .p50 = 1e6 * percentile(times, n, 0.5), .p90 = 1e6 * percentile(times, n, 0.9),
                .p99 = 1e6 * percentile(times, n, 0.99), .calls = n,
            };
        }
}

/* Bytes aligned to 64, written: pages that nobody wrote are all the same page of zeros. */
static float *new_stream(struct job *job, size_t bytes)
{
    char *room = arena_alloc(&job->arena, bytes + 64);
    room += (64 - (uintptr_t)room % 64) % 64;
    memset(room, 1, bytes);
    return (float *)(void *)room;
}

static void time_levels(struct bench *b)
{
    const float *from = new_stream(b->job, level_bytes(N_LEVELS - 1));
    struct stream s[N_LEVELS];
    struct contestant c[N_LEVELS];
    for (int i = 0; i < N_LEVELS; i++) {
        s[i] = (struct stream){.limits = b->engines[0].limits, .from = from, .bytes = level_bytes(i)};
        c[i] = read_contestant(&s[i]);
    }
    measure(b->job, c, N_LEVELS, ROUNDS, ROUND_SECONDS);
    for (int i = 0; i < N_LEVELS; i++)
        b->level[i] = (double)s[i].bytes / c[i].seconds;
}

/* ---- what was found -------------------------------------------------------------------------- */

static const char *bytes_text(struct job *job, size_t bytes)
{
    return bytes < 1 << 20 ? arena_print(&job->arena, "%.0f KB", (double)bytes / 1024)
                           : arena_print(&job->arena, "%.1f MB", (double)bytes / 1048576);
}

static void print_head(const struct bench *b, struct text *to)
{
    text_print(to, "%s, ", comment_text(b->job, processor_name(b->job)));
    text_print(to, b->core < 0 ? "one thread, not pinned\n" : "one thread on core %d\n", b->core);
    text_print(to, "%llu multiply-adds a row, %s of weights; medians of %d rounds of %.0f ms\n",
               (unsigned long long)b->macs, bytes_text(b->job, b->weight_bytes), ROUNDS, 1e3 * ROUND_SECONDS);
    text_print(to, "peak of fused multiply-adds:");
    for (int k = 0; k < b->n_engines; k++)
        if (k == 0 || b->engines[k].limits != b->engines[k - 1].limits)
            text_print(to, " %s %.1f GFLOP/s%s", b->engines[k].isa, 1e-9 * b->peak[k], k + 1 < b->n_engines ? "," : "");
    text_print(to, "\nreading, GB/s: %.1f as many bytes as the weights", 1e-9 * b->stream);
    for (int i = 0; i < N_LEVELS; i++)
        text_print(to, ", %.1f %s (%s)", 1e-9 * b->level[i], level_name(i), bytes_text(b->job, level_bytes(i)));
    text_print(to, "\n\n");
}

static void print_table(const struct bench *b, struct text *to)
{
    print_head(b, to);
    text_print(to, "%-6s %-7s %6s %12s %10s %8s %10s%s\n", "engine", "isa", "rows", "us a row", "GFLOP/s", "of peak",
               "of stream", b->users ? "    one user's, us   faster" : "");
    for (int k = 0; k < b->n_engines; k++)
        for (int i = 0; i < b->n_batches; i++) {
            const struct timing *t = &b->engines[k].timing[i];
            text_print(to, "%-6s %-7s %6zu %12.4f %10.1f %6.1f %% %8.1f %%", b->engines[k].name, b->engines[k].isa,
                       b->batch[i], t->us, 2e-3 * (double)b->macs / t->us, 100 * t->peak, 100 * t->stream);
            if (b->users)
                text_print(to, " %17.4f %8.3f", t->users_us, t->us / t->users_us);
            text_print(to, "\n");
        }
    text_print(to, "\n%-6s %-7s %6s %12s %12s %12s\n", "engine", "isa", "rows", "p50 us", "p90 us", "p99 us a call");
    for (int k = 0; k < b->n_engines; k++)
        for (size_t i = 0; i < COUNT(call_rows); i++) {
            const struct call_timing *t = &b->engines[k].call[i];
            text_print(to, "%-6s %-7s %6zu %12.3f %12.3f %12.3f\n", b->engines[k].name, b->engines[k].isa, call_rows[i],
                       t->p50, t->p90, t->p99);
        }
}

static void engine_json(const struct bench *b, int k, struct text *to)
{
    const struct benched *e = &b->engines[k];
    text_print(to, "{\"engine\":\"%s\",\"isa\":\"%s\",\"peak_gflops\":%.6g,\n  \"batches\":[", e->name, e->isa,
               1e-9 * b->peak[k]);
    for (int i = 0; i < b->n_batches; i++) {
        text_print(to, "%s\n   {\"rows\":%zu,\"us_a_row\":%.6g,\"gflops\":%.6g,\"of_peak\":%.4g,\"of_stream\":%.4g",
                   i ? "," : "", b->batch[i], e->timing[i].us, 2e-3 * (double)b->macs / e->timing[i].us,
                   e->timing[i].peak, e->timing[i].stream);
        if (b->users)
            text_print(to, ",\"us_a_row_of_one_user\":%.6g", e->timing[i].users_us);
        text_print(to, "}");
    }
    text_print(to, "],\n  \"calls\":[");
    for (size_t i = 0; i < COUNT(call_rows); i++)
        text_print(to, "%s\n   {\"rows\":%zu,\"calls\":%zu,\"p50_us\":%.6g,\"p90_us\":%.6g,\"p99_us\":%.6g}",
                   i ? "," : "", call_rows[i], e->call[i].calls, e->call[i].p50, e->call[i].p90, e->call[i].p99);
    text_print(to, "]}");
}

static void print_json(const struct bench *b, struct text *to)
{
    text_print(to, "{\"processor\":");
    add_json_string(to, processor_name(b->job));
    text_print(to, ",\"core\":");
    text_print(to, b->core < 0 ? "null" : "%d", b->core);
    text_print(to, ",\"multiply_adds\":%llu,\"weight_bytes\":%llu,\"rounds\":%d,\"round_seconds\":%g,\n",
               (unsigned long long)b->macs, (unsigned long long)b->weight_bytes, ROUNDS, ROUND_SECONDS);
    text_print(to, "\"stream_gb_s\":%.6g,\n\"levels\":[", 1e-9 * b->stream);
    for (int i = 0; i < N_LEVELS; i++)
        text_print(to, "%s{\"level\":\"%s\",\"bytes\":%zu,\"gb_s\":%.6g}", i ? "," : "", level_name(i), level_bytes(i),
                   1e-9 * b->level[i]);
    text_print(to, "],\n\"engines\":[");
    for (int k = 0; k < b->n_engines; k++) {
        text_print(to, k ? ",\n " : "\n ");
        engine_json(b, k, to);
    }
    text_print(to, "]}\n");
}

/* ---- the command ----------------------------------------------------------------------------- */

static void make_rows(struct bench *b)
{
    size_t rows = call_rows[COUNT(call_rows) - 1];
    for (int i = 0; i < b->n_batches; i++)
        rows = b->batch[i] > rows ? b->batch[i] : rows;
    size_t in = rows * (size_t)engine_inputs(b->engines[0].engine);
    float *x = NEW_ARRAY(b->job, in, float);
    random_rows(x, in);
    b->x = x;
    b->y = NEW_ARRAY(b->job, rows * (size_t)engine_outputs(b->engines[0].engine), float);
}

static void run_all(struct bench *b)
{
    const struct model *m = b->n->model;
    for (int i = 0; i < m->n_ops; i++)
        b->macs += m->ops[i].kind == OP_dense ? multiply_adds(m, &m->ops[i]) : 0;
    b->weight_bytes = make_plan(b->job, m)->weight_floats * sizeof(float);
    b->users = (size_t)m->user_inputs;
    b->weights = new_stream(b->job, b->weight_bytes);
    make_rows(b);
    struct pin *pin = pin_to_core(b->job);
    b->core = pinned_core(pin);
    time_batches(b);
    time_calls(b);
    time_levels(b);
    unpin(pin);
}

bool do_bench(struct job *job, struct text *to)
{
    const char *list = job->options->batch;
    struct bench b = {.job = job, .n = read_network(job, true)};
    b.n_batches = read_batches(list ? list : default_batches, b.batch);
    bool good = b.n && add_engines(&b);
    if (good) {
        run_all(&b);
        if (job->options->json)
            print_json(&b, to);
        else
            print_table(&b, to);
    }
    for (int k = 0; k < b.n_engines; k++)
        close_engine(b.engines[k].engine);
    return good;
}
