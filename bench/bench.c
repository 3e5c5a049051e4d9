// SPDX-License-Identifier: Apache-2.0
/* bench --ort LIBRARY [--isas LIST] [--models LIST] [--rounds N] [--json FILE] DIR
 *
 * Times what mmoec generates against ONNX Runtime and a plain loop, on one core; prints tables in Markdown. DIR/MODEL holds
 * what bench/run.sh made: the generated code for each instruction set by gcc and by clang, both ONNX files, the plain loop,
 * and facts of their making.
 *
 * Each model and instruction set is a process of its own: ONNX Runtime asks the processor once what it may use, and for
 * AVX2 the answer is made to lack AVX-512 (cpuid.c). In it, for each number of rows, the contestants are timed in turns
 * together with the limits: the processor's multiply-adds, and a mere reading of the weights (compiler/measure.c). Before,
 * all scores are held against each other.
 *
 * How to read it: what is measured, a process of it, what is printed, the command line.
 */
#include "bench.h"
#include "../runtime/kernels.h"
#include "../runtime/mmoe.h"

#include <dlfcn.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const int batches[] = {1, 2, 3, 4, 8, 16, 64, 256, 1024};
static const int build_batches[] = {1, 16, 256};        /* at which builds are compared */
#define N_BATCHES ((int)COUNT(batches))
#define N_BUILD_BATCHES ((int)COUNT(build_batches))
#define MOST_ROWS 1024
#define PLAIN_ROWS 64               /* the plain loop is a row at a time: no need to wait for more */
#define ROUND_SECONDS 0.01
#define TOLERANCE 2e-6              /* between probabilities: both sides' rounding */
#define MOST_MODELS 8
#define MOST_ISAS 4

enum build { GCC, CLANG, ALL, N_BUILDS };       /* for the instruction set alone, by both; for all of the machine's kind */
static const char *const build_files[] = {"%s-gcc.so", "%s-clang.so", "all-gcc.so"};

/* ---- what is measured ------------------------------------------------------------------------ */

/* Of a model and an instruction set. Seconds are of a call; it goes through a pipe as it is. */
struct column {
    bool limited;                   /* ONNX Runtime to this instruction set? */
    double ours[N_BATCHES], ort[N_STYLES][N_BATCHES];
    double plain[N_BATCHES];        /* 0: not timed */
    double peak[N_BATCHES], stream[N_BATCHES];      /* flop/s; seconds for the weights */
    double build[N_BUILDS][N_BUILD_BATCHES];
    double ort_error, plain_error;  /* largest difference from ours */
    double load, ort_load;
    size_t weight_bytes;
    char isa[16], all_isa[16], ort_version[16];      /* all_isa: what the build for all chose */
};

struct build_fact {
    char target[16], compiler[16];
    double ms;
    long text;
};

/* What run.sh wrote down. */
struct facts {
    char title[160];
    double multiply_adds;
    struct {
        char target[16];
        long bytes;
    } c[MOST_ISAS];
    int n_c;
    struct build_fact build[2 * MOST_ISAS];
    int n_builds;
};

struct model_result {
    const char *name;
    struct facts facts;
    struct column columns[MOST_ISAS];
};

static struct arguments {
    const char *ort, *json, *dir;
    const char *models[MOST_MODELS], *isas[MOST_ISAS];
    int n_models, n_isas, rounds;
} arguments = {.rounds = 11};

_Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

/* ---- a process: contestants ------------------------------------------------------------------ */

struct ours {
    struct mmoe model;
    void *scratch;
};

typedef void plain_function(const float *w, const float *x, size_t rows, float *y);

static struct job job;

/* All that is timed of one model; x [MOST_ROWS][inputs], y room for its scores. */
static struct field {
    const char *dir;
    struct ours ours[N_BUILDS];
    struct session *sessions[N_STYLES];
    plain_function *plain;
    const float *plain_weights;
    int inputs, outputs;
    const float *x;
    float *y;
    size_t rows;                    /* of the calls that are timed now */
} f;

static const char *path_of(const char *name) { return join_path(&job, f.dir, name); }

static void call_ours(void *self)
{
    struct ours *o = self;
    mmoe_score(&o->model, f.x, (size_t)f.inputs, f.rows, f.y, o->scratch);
}

static void call_plain(void *self)
{
    (void)self;
    f.plain(f.plain_weights, f.x, f.rows, f.y);
}

static struct contestant ours_contestant(enum build b)
{
    return (struct contestant){.call = call_ours, .self = &f.ours[b]};
}

/* Opens a build and sees that it runs the instruction set that is meant; the one for all of the machine's kind chooses
   for itself, and where AVX-512 cannot be hidden chooses that. */
static void open_ours(enum build b, const char *isa, bool limited)
{
    struct ours *o = &f.ours[b];
    const char *path = path_of(b == ALL ? build_files[b] : arena_print(&job.arena, build_files[b], isa));
    enum mmoe_status status = mmoe_open(&o->model, NULL, path);
    if (status == MMOE_OK) {
        if (posix_memalign(&o->scratch, 64, o->model.record->scratch_bytes) != 0)
            die("no memory");
        status = mmoe_self_test(&o->model, o->scratch);
    }
    if (status != MMOE_OK)
        die("%s: %s", path, mmoe_status_text(status));
    if (strcmp(o->model.record->chosen_isa(), isa) != 0 && (b != ALL || limited))
        die("%s runs %s, not %s", path, o->model.record->chosen_isa(), isa);
}

static void open_plain(void)
{
    const struct source *weights = read_source(&job, path_of("plain.weights"));
    void *so = dlopen(arena_print(&job.arena, "%s/plain-%s.so", f.dir, f.ours[GCC].model.record->chosen_isa()), RTLD_NOW);
    if (!so || !weights)
        die("%s: the plain loop cannot be opened", f.dir);
    *(void **)&f.plain = dlsym(so, "plain_score");
    char *room = arena_alloc(&job.arena, weights->length + 64);
    room += (64 - (uintptr_t)room % 64) % 64;
    f.plain_weights = memcpy(room, weights->text, weights->length);
}

static void open_all(const char *isa, struct column *c)
{
    double begin = seconds_now();
    open_ours(GCC, isa, c->limited);
    c->load = seconds_now() - begin;
    open_ours(CLANG, isa, c->limited);
    open_ours(ALL, isa, c->limited);
    snprintf(c->all_isa, sizeof c->all_isa, "%s", f.ours[ALL].model.record->chosen_isa());
    const struct mmoe_model *r = f.ours[GCC].model.record;
    f.inputs = (int)r->inputs;
    f.outputs = (int)r->outputs;
    c->weight_bytes = r->weight_floats * sizeof(float);
    open_plain();
    struct ort *ort = open_ort(arguments.ort);
    begin = seconds_now();
    f.sessions[GEMM] = open_session(ort, path_of("gemm.onnx"), f.outputs);
    c->ort_load = seconds_now() - begin;
    f.sessions[MATMUL] = open_session(ort, path_of("matmul.onnx"), f.outputs);
    snprintf(c->ort_version, sizeof c->ort_version, "%s", ort_version(ort));
    float *x = NEW_ARRAY(&job, MOST_ROWS * (size_t)f.inputs, float);
    random_rows(x, MOST_ROWS * (size_t)f.inputs);
    f.x = x;
    f.y = NEW_ARRAY(&job, MOST_ROWS * (size_t)f.outputs, float);
}

/* ---- a process: the same scores? ------------------------------------------------------------- */

static void set_all_rows(size_t rows)
{
    f.rows = rows;
    for (int s = 0; s < N_STYLES; s++)
        set_rows(f.sessions[s], f.x, f.inputs, rows, f.y);
}

/* The largest difference of f.y from `want` [rows][outputs]; by_output: f.y is [outputs][rows]. */
static double difference(const float *want, bool by_output)
{
    double most = 0;
    size_t n = (size_t)f.outputs;
    for (size_t r = 0; r < f.rows; r++)
        for (size_t j = 0; j < n; j++) {
            double off = fabs((double)f.y[by_output ? j * f.rows + r : r * n + j] - (double)want[r * n + j]);
            most = off > most || isnan(off) ? off : most;
        }
    return most;
}

static void check_difference(const char *who, double *most, double is)
{
    if (!(is <= TOLERANCE))
        die("%s: scores of %s are off by %.2g", f.dir, who, is);
    *most = fmax(*most, is);
}

static void check_scores(struct column *c)
{
    size_t bytes = MOST_ROWS * (size_t)f.outputs * sizeof(float);
    set_all_rows(MOST_ROWS);
    call_ours(&f.ours[GCC]);
    const float *want = memcpy(arena_alloc(&job.arena, bytes), f.y, bytes);
    for (int b = CLANG; b < N_BUILDS; b++) {
        call_ours(&f.ours[b]);
        if (memcmp(want, f.y, bytes) != 0)
            die("%s: two builds give other bits", f.dir);
    }
    for (int s = 0; s < N_STYLES; s++) {
        memset(f.y, 0xff, bytes);
        run_session(f.sessions[s]);
        check_difference("ONNX Runtime", &c->ort_error, difference(want, true));
    }
    call_plain(NULL);
    check_difference("the plain loop", &c->plain_error, difference(want, false));
}

/* ---- a process: timing ----------------------------------------------------------------------- */

static void time_batch(int i, const struct limits *l, struct column *c)
{
    struct stream stream = {.limits = l, .from = f.ours[GCC].model.weights, .bytes = c->weight_bytes};
    struct contestant all[] = {
        ours_contestant(GCC),
        {.call = run_session, .self = f.sessions[GEMM]},
        {.call = run_session, .self = f.sessions[MATMUL]},
        multiply_add_contestant(l),
        read_contestant(&stream),
        {.call = call_plain},
    };
    bool plain = batches[i] <= PLAIN_ROWS;
    set_all_rows((size_t)batches[i]);
    measure(&job, all, (int)COUNT(all) - !plain, arguments.rounds, ROUND_SECONDS);
    c->ours[i] = all[0].seconds;
    c->ort[GEMM][i] = all[1].seconds;
    c->ort[MATMUL][i] = all[2].seconds;
    c->peak[i] = flops(l, all[3].seconds);
    c->stream[i] = all[4].seconds;
    c->plain[i] = plain ? all[5].seconds : 0;
}

static void time_builds(int i, struct column *c)
{
    struct contestant all[] = {ours_contestant(GCC), ours_contestant(CLANG), ours_contestant(ALL)};
    f.rows = (size_t)build_batches[i];
    measure(&job, all, N_BUILDS, arguments.rounds, ROUND_SECONDS);
    for (int b = 0; b < N_BUILDS; b++)
        c->build[b][i] = all[b].seconds;
}

static void measure_column(const char *dir, const char *isa, struct column *c)
{
    f.dir = dir;
    snprintf(c->isa, sizeof c->isa, "%s", isa);
    const struct mmoe_kernels *best = mmoe_kernels_best();
    c->limited = strcmp(best->isa, isa) == 0 || (strcmp(isa, "avx2") == 0 && hide_avx512());
    pin_to_core(&job);
    open_all(isa, c);
    check_scores(c);
    for (int i = 0; i < N_BATCHES; i++)
        time_batch(i, find_limits(isa), c);
    for (int i = 0; i < N_BUILD_BATCHES; i++)
        time_builds(i, c);
}

/* The same in a process of its own. */
static void run_column(const char *dir, const char *isa, struct column *c)
{
    int ends[2], status;
    if (pipe(ends) != 0)
        die("no pipe");
    pid_t child = fork();
    if (child < 0)
        die("no process");
    if (child == 0) {
        close(ends[0]);
        measure_column(dir, isa, c);
        _exit(write(ends[1], c, sizeof *c) != sizeof *c);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], c, sizeof *c);
    close(ends[0]);
    waitpid(child, &status, 0);
    if (n != sizeof *c || status != 0)
        die("%s, %s: not measured", dir, isa);
}

/* ---- facts ----------------------------------------------------------------------------------- */

static FILE *open_in(const char *dir, const char *name)
{
    const char *path = join_path(&job, dir, name);
    FILE *file = fopen(path, "r");
    if (!file)
        die("%s cannot be read", path);
    return file;
}

static void read_facts(const char *dir, struct facts *to)
{
    char line[256];
    FILE *file = open_in(dir, "pipeline.config");       /* its second line says what the model is */
    for (int i = 0; i < 2 && fgets(line, sizeof line, file); i++)
        snprintf(to->title, sizeof to->title, "%.*s", (int)strcspn(line + 2, "\n"), line + 2);
    fclose(file);
    file = open_in(dir, "facts");
    while (fgets(line, sizeof line, file)) {
        struct build_fact *b = &to->build[to->n_builds];
        if (to->n_builds < (int)COUNT(to->build) &&
            sscanf(line, "build %15s %15s %lf %ld", b->target, b->compiler, &b->ms, &b->text) == 4)
            to->n_builds++;
        else if (to->n_c < MOST_ISAS && sscanf(line, "c %15s %ld", to->c[to->n_c].target, &to->c[to->n_c].bytes) == 2)
            to->n_c++;
        else if (sscanf(line, "multiply_adds %lf", &to->multiply_adds) != 1)
            die("%s/facts: %s", dir, line);
    }
    fclose(file);
}

static const struct build_fact *find_build(const struct facts *facts, const char *target, const char *compiler)
{
    for (int i = 0; i < facts->n_builds; i++)
        if (strcmp(facts->build[i].target, target) == 0 && strcmp(facts->build[i].compiler, compiler) == 0)
            return &facts->build[i];
    die("no fact of %s by %s", target, compiler);
}

/* ---- Markdown -------------------------------------------------------------------------------- */

static const char *shown(const char *isa)
{
    return strcmp(isa, "avx512") == 0 ? "AVX-512" : strcmp(isa, "avx2") == 0 ? "AVX2" : strcmp(isa, "neon") == 0 ? "NEON" : isa;
}

/* Three digits that count. */
static void cell(double x)
{
    printf(" %.*f |", x >= 100 ? 0 : x >= 10 ? 1 : x >= 1 ? 2 : x >= 0.1 ? 3 : 4, x);
}

static void empty_cell(void) { printf(" |"); }

static void percent_cell(double share) { printf(" %.0f %% |", 100 * share); }

static double peak_share(const struct model_result *m, const struct column *c, int i)
{
    return 2 * m->facts.multiply_adds * batches[i] / c->ours[i] / c->peak[i];
}

static double better_style(const struct column *c, int i) { return fmin(c->ort[GEMM][i], c->ort[MATMUL][i]); }

/* Weights that lie in the nearest cache do not stream. */
static bool streams(const struct column *c, int i) { return c->weight_bytes > 2 * level_bytes(0) && batches[i] <= 16; }

static void print_column(const struct model_result *m, const struct column *c)
{
    printf("| **%s**, us a row |", shown(c->isa));
    for (int i = 0; i < N_BATCHES; i++)
        cell(1e6 * c->ours[i] / batches[i]);
    printf("\n| ONNX Runtime%s |", c->limited ? "" : " (not limited to it)");
    for (int i = 0; i < N_BATCHES; i++)
        cell(1e6 * better_style(c, i) / batches[i]);
    printf("\n| plain C loop |");
    for (int i = 0; i < N_BATCHES; i++)
        c->plain[i] > 0 ? cell(1e6 * c->plain[i] / batches[i]) : empty_cell();
    printf("\n| **ONNX Runtime : ours** |");
    for (int i = 0; i < N_BATCHES; i++)
        cell(better_style(c, i) / c->ours[i]);
    printf("\n| share of the peak |");
    for (int i = 0; i < N_BATCHES; i++)
        percent_cell(peak_share(m, c, i));
    printf("\n");
    if (!streams(c, 0))
        return;
    printf("| share of the weights' stream |");
    for (int i = 0; i < N_BATCHES; i++)
        streams(c, i) ? percent_cell(c->stream[i] / c->ours[i]) : empty_cell();
    printf("\n");
}

static double median_peak(const struct column *c)
{
    double copy[N_BATCHES];
    memcpy(copy, c->peak, sizeof copy);
    return percentile(copy, N_BATCHES, 0.5);
}

static double stream_speed(const struct column *c)
{
    double copy[N_BATCHES];
    memcpy(copy, c->stream, sizeof copy);
    return (double)c->weight_bytes / percentile(copy, N_BATCHES, 0.5);
}

static void print_model_table(const struct model_result *m)
{
    printf("### %s\n\n%.0f multiply-adds a row, %.3g MB of weights.", m->facts.title, m->facts.multiply_adds,
           1e-6 * (double)m->columns[0].weight_bytes);
    for (int k = 0; k < arguments.n_isas; k++)
        printf(" %s: peak %.0f GFLOP/s, stream %.0f GB/s.", shown(m->columns[k].isa), 1e-9 * median_peak(&m->columns[k]),
               1e-9 * stream_speed(&m->columns[k]));
    printf("\n\n| rows a call |");
    for (int i = 0; i < N_BATCHES; i++)
        printf(" %d |", batches[i]);
    printf("\n|---|");
    for (int i = 0; i < N_BATCHES; i++)
        printf("---:|");
    printf("\n");
    for (int k = 0; k < arguments.n_isas; k++)
        print_column(m, &m->columns[k]);
    printf("\n");
}

static void print_build_row(const struct model_result *m, const char *target, long bytes)
{
    const struct build_fact *gcc = find_build(&m->facts, target, "gcc"), *clang = find_build(&m->facts, target, "clang");
    printf("| %s | %s | %ld | %ld | %ld | %.0f | %.0f |", m->name, target, bytes, gcc->text, clang->text, gcc->ms, clang->ms);
    const struct column *c = NULL;
    for (int k = 0; k < arguments.n_isas; k++)
        if (strcmp(m->columns[k].isa, target) == 0)
            c = &m->columns[k];
    for (int i = 0; c && i < N_BUILD_BATCHES; i++)
        printf("%s %.2f", i ? "," : "", c->build[CLANG][i] / c->build[GCC][i]);
    if (c)
        printf(" | %.1f | %.1f |\n", 1e3 * c->load, 1e3 * c->ort_load);
    else
        printf(" | | |\n");
}

static void print_markdown(const struct model_result *models)
{
    const struct column *any = &models[0].columns[0];
    printf("%s, one core, one thread; ONNX Runtime %s by its C API, one thread, tensors allocated before, the better of two\n"
           "graphs; weights random. Medians of %d rounds of %.0f ms, all in turns. us a row:\n\n", processor_name(&job),
           any->ort_version, arguments.rounds, 1e3 * ROUND_SECONDS);
    for (int i = 0; i < arguments.n_models; i++)
        print_model_table(&models[i]);
    for (int k = 0; k < arguments.n_isas; k++)
        if (!models[0].columns[k].limited)
            printf("This system has no CPUID faulting: ONNX Runtime beside %s may use more than that.\n\n",
                   shown(arguments.isas[k]));
    printf("### Generated code\n\nWeights in a file of their own; -O2; times of gcc and clang are of compiling, and their ratio is\n"
           "of scoring 1, 16 and 256 rows. Loading: until the first score is possible, self test included.\n\n"
           "| model | target | bytes of C | text, gcc | text, clang | gcc, ms | clang, ms | clang : gcc | loads in ms | "
           "ONNX Runtime |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (int i = 0; i < arguments.n_models; i++)
        for (int k = 0; k < models[i].facts.n_c; k++)
            print_build_row(&models[i], models[i].facts.c[k].target, models[i].facts.c[k].bytes);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void column_json(const struct model_result *m, const struct column *c, FILE *to)
{
    fprintf(to, "{\"isa\":\"%s\",\"ort_limited\":%s,\"ort_error\":%.3g,\"plain_error\":%.3g,\"load_ms\":%.4g,"
                "\"ort_load_ms\":%.4g,\n   \"batches\":[",
            c->isa, c->limited ? "true" : "false", c->ort_error, c->plain_error, 1e3 * c->load, 1e3 * c->ort_load);
    for (int i = 0; i < N_BATCHES; i++) {
        fprintf(to, "%s\n    {\"rows\":%d,\"us_a_row\":%.5g,\"ort_gemm_us_a_row\":%.5g,\"ort_matmul_us_a_row\":%.5g,"
                    "\"ratio\":%.4g,"
                    "\"peak_gflops\":%.4g,\"of_peak\":%.4g,\"stream_gb_s\":%.4g,\"of_stream\":%.4g,\"plain_us_a_row\":",
                i ? "," : "", batches[i], 1e6 * c->ours[i] / batches[i], 1e6 * c->ort[GEMM][i] / batches[i],
                1e6 * c->ort[MATMUL][i] / batches[i], better_style(c, i) / c->ours[i], 1e-9 * c->peak[i], peak_share(m, c, i),
                1e-9 * (double)c->weight_bytes / c->stream[i], c->stream[i] / c->ours[i]);
        fprintf(to, c->plain[i] > 0 ? "%.5g}" : "null}", 1e6 * c->plain[i] / batches[i]);
    }
    fprintf(to, "],\n   \"builds\":[");
    for (int i = 0; i < N_BUILD_BATCHES; i++)
        fprintf(to, "%s\n    {\"rows\":%d,\"gcc_us_a_row\":%.5g,\"clang_us_a_row\":%.5g,\"all_isa\":\"%s\",\"all_us_a_row\":%.5g}",
                i ? "," : "", build_batches[i], 1e6 * c->build[GCC][i] / build_batches[i],
                1e6 * c->build[CLANG][i] / build_batches[i], c->all_isa, 1e6 * c->build[ALL][i] / build_batches[i]);
    fprintf(to, "]}");
}

static void model_json(const struct model_result *m, FILE *to)
{
    fprintf(to, "{\"model\":\"%s\",\"title\":\"%s\",\"multiply_adds\":%.0f,\"weight_bytes\":%zu,\n  \"code\":[", m->name,
            m->facts.title, m->facts.multiply_adds, m->columns[0].weight_bytes);
    for (int k = 0; k < m->facts.n_c; k++) {
        const char *target = m->facts.c[k].target;
        const struct build_fact *gcc = find_build(&m->facts, target, "gcc"), *clang = find_build(&m->facts, target, "clang");
        fprintf(to, "%s\n   {\"target\":\"%s\",\"c_bytes\":%ld,\"gcc_text\":%ld,\"gcc_ms\":%.0f,\"clang_text\":%ld,"
                    "\"clang_ms\":%.0f}",
                k ? "," : "", target, m->facts.c[k].bytes, gcc->text, gcc->ms, clang->text, clang->ms);
    }
    fprintf(to, "],\n  \"isas\":[");
    for (int k = 0; k < arguments.n_isas; k++) {
        fprintf(to, k ? ",\n  " : "\n  ");
        column_json(m, &m->columns[k], to);
    }
    fprintf(to, "]}");
}

static void write_json(const struct model_result *models)
{
    FILE *to = fopen(arguments.json, "w");
    if (!to)
        die("%s cannot be written", arguments.json);
    fprintf(to, "{\"processor\":\"%s\",\"onnxruntime\":\"%s\",\"rounds\":%d,\"round_seconds\":%g,\n \"models\":[", processor_name(&job),
            models[0].columns[0].ort_version, arguments.rounds, ROUND_SECONDS);
    for (int i = 0; i < arguments.n_models; i++) {
        fprintf(to, i ? ",\n " : "\n ");
        model_json(&models[i], to);
    }
    fprintf(to, "]}\n");
    if (fclose(to) != 0)
        die("%s cannot be written", arguments.json);
}

/* ---- the command line ------------------------------------------------------------------------ */

static int split(char *list, const char **to, int most)
{
    int n = 0;
    for (char *next = NULL, *w = strtok_r(list, ",", &next); w && n < most; w = strtok_r(NULL, ",", &next))
        to[n++] = w;
    return n;
}

static void read_arguments(int argc, char **argv)
{
    static const struct option known[] = {{"ort", required_argument, NULL, 'o'},   {"isas", required_argument, NULL, 'i'},
                                          {"models", required_argument, NULL, 'm'}, {"rounds", required_argument, NULL, 'r'},
                                          {"json", required_argument, NULL, 'j'},  {NULL, 0, NULL, 0}};
    static char all_models[] = "m1,m2,m3,m4";
    char *models = all_models, *isas = NULL;
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;)
        switch (c) {
        case 'o': arguments.ort = optarg; break;
        case 'i': isas = optarg; break;
        case 'm': models = optarg; break;
        case 'r': arguments.rounds = atoi(optarg); break;
        case 'j': arguments.json = optarg; break;
        default: die("see the head of bench/bench.c");
        }
    arguments.dir = optind + 1 == argc ? argv[optind] : NULL;
    arguments.n_models = split(models, arguments.models, MOST_MODELS);
    arguments.n_isas = isas ? split(isas, arguments.isas, MOST_ISAS) : 0;
    if (!arguments.ort || !arguments.dir || !arguments.n_models || !arguments.n_isas || arguments.rounds < 1)
        die("usage: bench --ort LIBRARY --isas LIST [--models LIST] [--rounds N] [--json FILE] DIR");
}

int main(int argc, char **argv)
{
    static struct model_result models[MOST_MODELS];
    static struct options options;
    static jmp_buf no_memory;
    begin_job(&job, &options);
    if (setjmp(no_memory))
        die("no memory");
    job.arena.no_memory = &no_memory;
    read_arguments(argc, argv);
    for (int i = 0; i < arguments.n_models; i++) {
        struct model_result *m = &models[i];
        m->name = arguments.models[i];
        const char *dir = join_path(&job, arguments.dir, m->name);
        read_facts(dir, &m->facts);
        for (int k = 0; k < arguments.n_isas; k++)
            run_column(dir, arguments.isas[k], &m->columns[k]);
    }
    print_markdown(models);
    if (arguments.json)
        write_json(models);
    return 0;
}
