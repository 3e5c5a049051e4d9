// SPDX-License-Identifier: Apache-2.0
/* bench --ort LIBRARY [--isas LIST] [--models LIST] [--rounds N] [--json FILE] DIR
 *
 * Times what mmoec generates against ONNX Runtime and a plain loop, on one core; prints tables in Markdown. DIR/MODEL
 * holds what bench/run.sh made: the generated code for each instruction set by gcc and by clang, both ONNX files, the
 * plain loop, and facts of their making.
 *
 * Each model and instruction set is a process of its own: ONNX Runtime asks the processor once what it may use, and for
 * AVX2 the answer is made to lack AVX-512 (cpuid.c). In it, for each number of rows, the contestants are timed in turns
 * together with the limits: the processor's multiply-adds, and a mere reading of the weights (compiler/measure.c).
 * Before, all scores are held against each other.
 *
 * How to read it: what is measured (results.h), a process of it, facts, the command line.
 */
#include "results.h"
#include "../runtime/kernels.h"
#include "../runtime/mmoe.h"

#include <dlfcn.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const int batches[N_BATCHES] = {1, 2, 3, 4, 8, 16, 64, 256, 1024};
const int build_batches[N_BUILD_BATCHES] = {1, 16, 256};
#define MOST_ROWS 1024
#define PLAIN_ROWS 64               /* the plain loop is a row at a time: no need to wait for more */
#define TOLERANCE 2e-6              /* between probabilities: both sides' rounding */

static const char *const build_files[] = {"%s-gcc.so", "%s-clang.so", "all-gcc.so"};

struct arguments arguments = {.rounds = 11};
struct job job;

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
    const struct mmoe_model *model;     /* of what mmoe_open opened; open until the process ends */
    void *scratch;
};

typedef void plain_function(const float *w, const float *x, size_t rows, float *y);

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
    const struct ours *o = self;
    o->model->score(o->model->weights, f.x, (size_t)f.inputs, f.rows, f.y, o->scratch);
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
    struct mmoe *m;
    enum mmoe_status status = mmoe_open(&m, mmoe_file(path));
    if (status != MMOE_OK)
        die("%s: %s", path, mmoe_status_text(status));
    o->model = mmoe_record(m);
    if (posix_memalign(&o->scratch, 64, o->model->scratch_bytes) != 0)
        die("no memory");
    if (strcmp(o->model->chosen_isa(), isa) != 0 && (b != ALL || limited))
        die("%s runs %s, not %s", path, o->model->chosen_isa(), isa);
}

static void open_plain(void)
{
    const struct source *weights = read_source(&job, path_of("plain.weights"));
    const char *isa = f.ours[GCC].model->chosen_isa();
    void *so = dlopen(path_of(arena_print(&job.arena, "plain-%s.so", isa)), RTLD_NOW);
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
    snprintf(c->all_isa, sizeof c->all_isa, "%s", f.ours[ALL].model->chosen_isa());
    const struct mmoe_model *r = f.ours[GCC].model;
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

static void compare_scores(struct column *c)
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
    struct stream stream = {.limits = l, .from = f.ours[GCC].model->weights, .bytes = c->weight_bytes};
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
    compare_scores(c);
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
    static const struct option known[] = {
        {"ort", required_argument, NULL, 'o'},    {"isas", required_argument, NULL, 'i'},
        {"models", required_argument, NULL, 'm'}, {"rounds", required_argument, NULL, 'r'},
        {"json", required_argument, NULL, 'j'},   {NULL, 0, NULL, 0},
    };
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
