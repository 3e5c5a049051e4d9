// SPDX-License-Identifier: Apache-2.0
/* bench_rows [--rounds N] [--csv FILE] DIR
 *
 * What it costs to start from rows: M1 with its 17 features (bench/models/rows), on one core; prints a table in
 * Markdown. DIR holds what bench/rows.sh made of the model: model.so; features.so, the same without its experts; that
 * without prefetching, features-blind.so; and both with a lookup at a time and nothing prefetched, model-plain.so and
 * features-plain.so. (What is usual: a queue of lookups, each line asked for when its lookup is queued.)
 *
 * Every call gets rows that were never seen before, all of them new users with new items, so that neither tables nor
 * the processor's guesses profit from what was timed before. They are drawn as taobao's look: ids of up to seven
 * digits, four tags on average in each of two columns. Drawing them is not timed; their texts are then in the cache, as
 * those of a request are that was just read. --csv writes some of them, and times nothing.
 *
 * How to read it: rows; contestants; timing; the table; the command line.
 */
#include "bench.h"
#include "../runtime/mmoe.h"

#include <dlfcn.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_ROWS 1024
#define MOST_TAGS 7
#define ROOM_OF_CELL (MOST_TAGS * 8)
#define ROOM_OF_ROW (17 * ROOM_OF_CELL)
#define LEAST_ROWS 256              /* of a round: as many calls as that takes */

static const size_t batches[] = {1, 16, 64, 256, 1024};
#define N_BATCHES COUNT(batches)

static struct job job;

static struct arguments {
    const char *csv;
    int rounds;
} arguments = {.rounds = 101};

_Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "bench_rows: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* A column's values are whole numbers below `most`; tags are several of them. */
static const struct kind_of_cell {
    const char *column;
    uint32_t most;
    bool tags;
} cells[] = {
    {"user_id", 10000000, false},
    {"cms_segid", 97, false},
    {"cms_group_id", 13, false},
    {"age_level", 7, false},
    {"pvalue_level", 4, false},
    {"shopping_level", 4, false},
    {"occupation", 2, false},
    {"new_user_class_level", 5, false},
    {"adgroup_id", 10000000, false},
    {"cate_id", 13000, false},
    {"campaign_id", 10000000, false},
    {"customer", 10000000, false},
    {"brand", 10000000, false},
    {"price", 50, false},
    {"pid", 10, false},
    {"tag_category_list", 13000, true},
    {"tag_brand_list", 10000000, true},
};

/* Columns in the record's order. */
static struct rows_of_bench {
    struct mmoe_text text[COUNT(cells)][MOST_ROWS];
    int64_t whole[COUNT(cells)][MOST_ROWS];
    struct mmoe_values values[COUNT(cells)];
    char room[MOST_ROWS * ROOM_OF_ROW];
} rows;

static uint32_t draw(uint32_t most)
{
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((state >> 32) * most >> 32);
}

static char *put_number(char *to, uint32_t x)
{
    char digits[10];
    int n = 0;
    do
        digits[n++] = (char)('0' + x % 10);
    while (x /= 10);
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

static char *put_cell(char *to, const struct kind_of_cell *cell)
{
    to = put_number(to, draw(cell->most));
    for (uint32_t more = cell->tags ? draw(MOST_TAGS) : 0; more > 0; more--) {
        *to++ = '|';
        to = put_number(to, draw(cell->most));
    }
    return to;
}

static void draw_rows(const struct mmoe_model *m, size_t n)
{
    char *to = rows.room;
    for (size_t row = 0; row < n; row++)
        for (uint32_t c = 0; c < m->n_columns; c++) {
            rows.text[c][row].bytes = to;
            if (m->columns[c].kind == MMOE_TEXT)
                to = put_cell(to, &cells[c]);
            else
                rows.whole[c][row] = draw(cells[c].most);
            rows.text[c][row].length = (size_t)(to - rows.text[c][row].bytes);
        }
}

static void set_values(const struct mmoe_model *m)
{
    if (m->n_columns != COUNT(cells))
        die("the model reads %u columns, not %zu", m->n_columns, COUNT(cells));
    for (uint32_t c = 0; c < m->n_columns; c++) {
        bool text = m->columns[c].kind == MMOE_TEXT;
        if (strcmp(m->columns[c].name, cells[c].column) != 0 || (!text && m->columns[c].kind != MMOE_INT64))
            die("the model's column %u is not %s", c, cells[c].column);
        rows.values[c].at = text ? (const void *)rows.text[c] : rows.whole[c];
        rows.values[c].stride = text ? sizeof rows.text[c][0] : sizeof rows.whole[c][0];
    }
}

/* As EasyRec's files have them, both labels first. */
static void write_csv(const struct mmoe_model *m, const char *path)
{
    FILE *to = fopen(path, "w");
    if (!to)
        die("%s cannot be written", path);
    draw_rows(m, MOST_ROWS);
    for (size_t row = 0; row < MOST_ROWS; row++) {
        fprintf(to, "0,0");
        for (uint32_t c = 0; c < m->n_columns; c++)
            if (m->columns[c].kind == MMOE_TEXT)
                fprintf(to, ",%.*s", (int)rows.text[c][row].length, rows.text[c][row].bytes);
            else
                fprintf(to, ",%lld", (long long)rows.whole[c][row]);
        fprintf(to, "\n");
    }
    if (fclose(to) != 0)
        die("%s cannot be written", path);
}

/* ---- contestants ----------------------------------------------------------------------------- */

enum contender { EXPERTS, FEATURES, FEATURES_BLIND, FEATURES_PLAIN, ALL, ALL_PLAIN, N_CONTENDERS };
static const char *const files[N_CONTENDERS] = {
    NULL, "features.so", "features-blind.so", "features-plain.so", "model.so", "model-plain.so",
};

static struct field {
    const char *dir;
    const struct mmoe_model *model;         /* with weights and tables, for all of them */
    const struct mmoe_model *code[N_CONTENDERS];
    const float *x;                         /* [MOST_ROWS][inputs] */
    float *y;
    struct mmoe_row_status status[MOST_ROWS];
    void *scratch;
} f;

static const struct mmoe_model *open_code(const char *name)
{
    const char *path = join_path(&job, f.dir, name);
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct mmoe_model *(*plugin)(void) = NULL;
    if (so)
        *(void **)&plugin = dlsym(so, "mmoe_plugin");
    if (!plugin)
        die("%s cannot be opened", path);
    return plugin();
}

/* Opening reads all of the tables, for their digest: they are in memory from then on. */
static void open_field(void)
{
    struct mmoe *m;
    enum mmoe_status status = mmoe_open(&m, mmoe_file(join_path(&job, f.dir, files[ALL])));
    if (status != MMOE_OK)
        die("%s: %s", f.dir, mmoe_status_text(status));
    f.model = mmoe_record(m);
    for (int i = 0; i < N_CONTENDERS; i++)
        f.code[i] = files[i] ? open_code(files[i]) : f.model;
    float *x = NEW_ARRAY(&job, MOST_ROWS * (size_t)f.model->inputs, float);
    random_rows(x, MOST_ROWS * (size_t)f.model->inputs);
    f.x = x;
    f.y = NEW_ARRAY(&job, MOST_ROWS * (size_t)f.model->outputs, float);
    if (posix_memalign(&f.scratch, 64, f.model->scratch_bytes) != 0)
        die("no memory");
    set_values(f.model);
}

/* The rows from `at` on. */
static void call(enum contender c, size_t at, size_t n)
{
    const struct mmoe_model *m = f.model;
    struct mmoe_values values[COUNT(cells)];
    for (size_t i = 0; i < COUNT(cells); i++) {
        values[i].stride = rows.values[i].stride;
        values[i].at = (const char *)rows.values[i].at + at * values[i].stride;
    }
    if (c == EXPERTS)
        m->score(m->weights, f.x + at * m->inputs, m->inputs, n, f.y + at * m->outputs, f.scratch);
    else
        f.code[c]->score_rows(m->weights, m->tables, values, n, f.y + at * m->outputs, f.status + at, f.scratch);
}

/* Both that score give the same bits, and every row is fine. */
static void compare_builds(void)
{
    size_t bytes = MOST_ROWS * (size_t)f.model->outputs * sizeof(float);
    draw_rows(f.model, MOST_ROWS);
    call(ALL, 0, MOST_ROWS);
    for (size_t i = 0; i < MOST_ROWS; i++)
        if (f.status[i].why != MMOE_ROW_FINE || isnan(f.y[i]))
            die("row %zu is bad", i);
    const float *want = memcpy(arena_alloc(&job.arena, bytes), f.y, bytes);
    call(ALL_PLAIN, 0, MOST_ROWS);
    if (memcmp(want, f.y, bytes) != 0)
        die("a queue of lookups changes scores");
}

/* ---- timing ---------------------------------------------------------------------------------- */

/* Of this thread: it stands while another process has the core. */
static double seconds_of_thread(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds a row, in calls of n rows. */
static double time_round(enum contender c, size_t n)
{
    size_t all = n > LEAST_ROWS ? n : LEAST_ROWS;
    draw_rows(f.model, all);
    call(EXPERTS, 0, n);            /* the weights are in the cache, as far as they fit */
    double begin = seconds_of_thread();
    for (size_t at = 0; at < all; at += n)
        call(c, at, n);
    return (seconds_of_thread() - begin) / (double)all;
}

static void time_batch(size_t n, int rounds, double seconds[N_CONTENDERS])
{
    double *times = NEW_ARRAY(&job, (size_t)rounds * N_CONTENDERS, double);
    for (int i = 0; i < rounds; i++)
        for (int c = 0; c < N_CONTENDERS; c++)
            times[c * rounds + i] = time_round((enum contender)c, n);
    for (int c = 0; c < N_CONTENDERS; c++)
        seconds[c] = percentile(times + c * rounds, (size_t)rounds, 0.5);
}

/* ---- the table ------------------------------------------------------------------------------- */

static void print_line(const char *what, double times[N_BATCHES][N_CONTENDERS], enum contender c)
{
    printf("| %s |", what);
    for (size_t i = 0; i < N_BATCHES; i++)
        printf(times[i][c] >= 1e-4 ? " %.0f |" : times[i][c] >= 1e-5 ? " %.1f |" : " %.2f |", 1e6 * times[i][c]);
    printf("\n");
}

static void print_ratio(const char *what, double times[N_BATCHES][N_CONTENDERS], enum contender a, enum contender b)
{
    printf("| %s |", what);
    for (size_t i = 0; i < N_BATCHES; i++)
        printf(" %.2f |", times[i][a] / times[i][b]);
    printf("\n");
}

/* Ends with its last line: others may add to the table. */
static void print_table(double times[N_BATCHES][N_CONTENDERS])
{
    printf("%s, %s, one core, one thread; tables of %.0f MB; medians of %d rounds, all in turns.\n\n",
           processor_name(&job), f.model->chosen_isa(), 1e-6 * (double)f.model->table_floats * sizeof(float),
           arguments.rounds);
    printf("| rows a call |");
    for (size_t i = 0; i < N_BATCHES; i++)
        printf(" %zu |", batches[i]);
    printf("\n|---|---:|---:|---:|---:|---:|\n");
    print_line("experts alone, us a row", times, EXPERTS);
    print_line("features alone", times, FEATURES);
    print_line("**from rows: both**", times, ALL);
    print_ratio("**from rows : experts alone**", times, ALL, EXPERTS);
    print_line("features, nothing prefetched", times, FEATURES_BLIND);
    print_line("features, a lookup at a time", times, FEATURES_PLAIN);
    print_ratio("gain of queue and prefetching: features", times, FEATURES_PLAIN, FEATURES);
    print_ratio("gain of queue and prefetching: from rows", times, ALL_PLAIN, ALL);
}

/* ---- the command line ------------------------------------------------------------------------ */

static void read_arguments(int argc, char **argv)
{
    static const struct option known[] = {
        {"rounds", required_argument, NULL, 'r'}, {"csv", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;)
        switch (c) {
        case 'r': arguments.rounds = atoi(optarg); break;
        case 'c': arguments.csv = optarg; break;
        default: die("see the head of bench/rows.c");
        }
    if (optind + 1 != argc || arguments.rounds < 1)
        die("usage: bench_rows [--rounds N] [--csv FILE] DIR");
    f.dir = argv[optind];
}

int main(int argc, char **argv)
{
    static struct options options = {.command = "bench"};
    double times[N_BATCHES][N_CONTENDERS];
    jmp_buf no_memory;
    read_arguments(argc, argv);
    begin_job(&job, &options);
    job.arena.no_memory = &no_memory;
    if (setjmp(no_memory))
        die("no memory");
    open_field();
    if (arguments.csv) {
        write_csv(f.model, arguments.csv);
        return 0;
    }
    compare_builds();
    pin_to_core(&job);
    for (size_t i = 0; i < N_BATCHES; i++)
        time_batch(batches[i], arguments.rounds, times[i]);
    print_table(times);
    return 0;
}
