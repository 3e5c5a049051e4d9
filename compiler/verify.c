// SPDX-License-Identifier: Apache-2.0
/* verify.c: all engines against the double reference, bit for bit against each other, and against expected scores.
 *
 * Every engine scores the same rows. A column of its scores is compared with eval's: the error must be within the
 * bound that eval carries along (for a class number: 0, or anything where logits are too near to tell), and its bits
 * must be those of the first engine, the plain kernels. With user columns, every engine also scores requests: the rows
 * in groups, each a user's, whose columns are those of the group's first row; the bits must be those of the same rows
 * scored without users. Results are gathered, then printed as a table or as JSON.
 */
#include "mmoec.h"
#include "../runtime/kernels.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define RANDOM_ROWS 256
#define RANDOM_SEED 1
#define RANKED_ROWS 2000            /* beyond, pairs are sampled */
#define SAMPLED_PAIRS 2000000
#define MOST_ITEMS 40               /* of a user */

/* A column of an engine's scores against the reference. */
struct comparison {
    const char *engine, *isa, *output;
    double error, ulps, of_bound;   /* the largest over the rows */
    size_t flips, pairs;
    bool equal, outside;
};

/* An engine's scores of requests against its own and the first engine's scores of the same rows. */
struct sharing {
    const char *engine, *isa;
    bool equal;
};

/* Rows as users and their items. */
struct requests {
    float *x;                       /* [rows][in] */
    float *users, *items;           /* [n_users][user_inputs], [rows][in - user_inputs]: the same */
    size_t *offsets, n_users;
    float *first;                   /* scores of x by the first engine */
};

/* An output against its file. */
struct expectation {
    const char *output;
    double error, of_tolerance;
    bool outside;
};

struct verifier {
    struct job *job;
    struct network *n;
    const struct plan *plan;
    size_t rows;
    const struct row_program *program;      /* of --rows */
    struct row_block **blocks;      /* all of them */
    size_t n_blocks, room_blocks;
    int in, out;
    float *x, *first;               /* first: scores of the first engine */
    double *z, *bound;
    struct comparison *comparisons;
    int n_comparisons;
    struct requests requests;
    struct sharing *sharings;
    int n_sharings;
    struct expectation *expectations;
    int n_expectations;
    int failures;
};

/* ---- rows ------------------------------------------------------------------------------------ */

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 40;
}

/* Sums of six uniform numbers have a variance of 1/2. */
void random_rows(float *x, size_t n)
{
    uint64_t seed = RANDOM_SEED;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < 6; k++)
            sum += (double)next_random(&seed) / (1 << 24);
        x[i] = (float)((sum - 3) * 1.41421356);
    }
}

/* All rows of a file as double; NULL after an error. */
static double *read_rows(struct job *job, const struct npy *f, size_t rows)
{
    double *to = NEW_ARRAY(job, rows * (size_t)f->columns, double);
    void *room = NEW_ARRAY(job, rows * (size_t)f->columns, double);
    return read_npy_rows(job, f, 0, rows, to, room) ? to : NULL;
}

/* Room for so many rows more; the array doubles. */
static void grow_rows(struct verifier *v, size_t *room, size_t more)
{
    if (v->rows + more <= *room)
        return;
    *room = 2 * (*room + more);
    float *x = NEW_ARRAY(v->job, *room * (size_t)v->in, float);
    if (v->rows)
        memcpy(x, v->x, v->rows * (size_t)v->in * sizeof *x);
    v->x = x;
}

static struct row_block *add_block(struct verifier *v, const struct row_program *p)
{
    if (v->n_blocks == v->room_blocks) {
        v->room_blocks = v->room_blocks ? 2 * v->room_blocks : 16;
        struct row_block **more = NEW_ARRAY(v->job, v->room_blocks, struct row_block *);
        if (v->n_blocks)
            memcpy(more, v->blocks, v->n_blocks * sizeof *more);
        v->blocks = more;
    }
    return v->blocks[v->n_blocks++] = new_row_block(v->job, &p->lines);
}

/* A block as it enters the experts. */
static bool run_row_block(struct verifier *v, const struct row_program *p, struct row_block *b, void *scratch)
{
    struct mmoe_row_status status[BLOCK_ROWS];
    run_rows(p, b->values, b->n, v->x + v->rows * (size_t)v->in, status, scratch);
    take_statuses(b, &p->lines, status);
    for (size_t r = 0; r < b->n; r++)
        if (b->fault[r].why) {
            blame_row(v->job, b->place[r], &b->fault[r], false);
            return false;
        }
    v->rows += b->n;
    return true;
}

static bool read_blocks(struct verifier *v, const struct row_program *p, struct csv *csv)
{
    struct row_block *b;
    void *scratch = arena_aligned(&v->job->arena, rows_scratch(p));
    size_t room = 0;
    while (read_row_block(csv, b = add_block(v, p))) {
        if (b->n == 0)
            return true;
        grow_rows(v, &room, b->n);
        if (!run_row_block(v, p, b, scratch))
            return false;
    }
    return false;
}

/* All rows of --rows as they enter the experts. */
static bool load_raw_rows(struct verifier *v)
{
    struct job *job = v->job;
    struct row_program *p = read_row_program(job, v->n);
    struct csv *csv = p ? open_csv(job, &p->lines, job->options->rows, job->options->header) : NULL;
    v->program = p;
    bool good = csv && read_blocks(v, p, csv);
    return good;
}

static bool load_rows(struct verifier *v)
{
    if (v->job->options->rows)
        return load_raw_rows(v);
    const char *path = v->job->options->features;
    struct npy *f = path ? open_npy(v->job, path) : NULL;
    if (path && !f)
        return false;
    if (f && (f->rank != 2 || f->columns != (uint64_t)v->in)) {
        blame(v->job, BAD_INPUT, in_file(v->job, f->file->name), "shape", "what enters the experts: see mmoec inspect",
              "it has %llu columns, needs %d", (unsigned long long)f->columns, v->in);
        return false;
    }
    v->rows = f ? (size_t)f->rows : RANDOM_ROWS;
    size_t n = v->rows * (size_t)v->in;
    v->x = NEW_ARRAY(v->job, n, float);
    if (!f) {
        random_rows(v->x, n);
        return true;
    }
    double *wide = read_rows(v->job, f, v->rows);
    if (wide)
        order_rows(v->n->model->input_order, wide, v->rows, (size_t)v->in, v->x);
    return wide != NULL;
}

/* Users of 0 to MOST_ITEMS rows, as far as the rows go. */
static void make_requests(struct verifier *v)
{
    struct requests *q = &v->requests;
    size_t in = (size_t)v->in, n = (size_t)v->n->model->user_inputs, own = in - n;
    uint64_t seed = RANDOM_SEED;
    size_t room = 2 * MOST_ITEMS + 2 * v->rows;         /* a user in a row has items, or nearly */
    q->offsets = NEW_ARRAY(v->job, room, size_t);
    while (q->offsets[q->n_users] < v->rows && q->n_users + 2 < room) {
        size_t left = v->rows - q->offsets[q->n_users], some = next_random(&seed) % (MOST_ITEMS + 1);
        q->offsets[q->n_users + 1] = q->offsets[q->n_users] + (some < left ? some : left);
        q->n_users++;
    }
    q->x = NEW_ARRAY(v->job, v->rows * in, float);
    q->users = NEW_ARRAY(v->job, q->n_users * n, float);
    q->items = NEW_ARRAY(v->job, v->rows * own, float);
    memcpy(q->x, v->x, v->rows * in * sizeof *q->x);
    for (size_t u = 0; u < q->n_users; u++) {
        for (size_t k = 0; k < n && q->offsets[u] < v->rows; k++)
            q->users[u * n + k] = v->x[q->offsets[u] * in + k];
        for (size_t i = q->offsets[u]; i < q->offsets[u + 1]; i++) {
            memcpy(q->x + i * in, q->users + u * n, n * sizeof *q->x);
            memcpy(q->items + i * own, v->x + i * in + n, own * sizeof *q->x);
        }
    }
}

static bool compute_reference(struct verifier *v)
{
    size_t n = v->rows * (size_t)v->out;
    v->z = NEW_ARRAY(v->job, n, double);
    v->bound = NEW_ARRAY(v->job, n, double);
    return eval(v->job, v->n->model, v->x, v->rows, v->z, v->bound);
}

/* ---- engines --------------------------------------------------------------------------------- */

static bool flips(const struct verifier *v, const float *y, size_t a, size_t b)
{
    return (v->z[a] < v->z[b] && y[a] > y[b]) || (v->z[a] > v->z[b] && y[a] < y[b]);
}

/* Pairs of rows that a column orders another way than the reference does. */
static void count_flips(const struct verifier *v, const float *y, int column, struct comparison *c)
{
    size_t out = (size_t)v->out, at = (size_t)column;
    uint64_t seed = RANDOM_SEED;
    if (v->rows > RANKED_ROWS) {
        for (c->pairs = 0; c->pairs < SAMPLED_PAIRS; c->pairs++) {
            size_t a = next_random(&seed) % v->rows, b = next_random(&seed) % v->rows;
            c->flips += flips(v, y, a * out + at, b * out + at);
        }
        return;
    }
    for (size_t a = 0; a < v->rows; a++)
        for (size_t b = 0; b < a; b++, c->pairs++)
            c->flips += flips(v, y, a * out + at, b * out + at);
}

/* Units in the last place of a float near z. */
static double in_ulps(double error, double z)
{
    int exponent;
    frexp(z, &exponent);
    return error / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

/* A NaN must be one, an infinity the same one; where the bound is not finite, floats may overflow: anything goes. */
static bool within(double y, double z, double bound)
{
    if (isnan(z))
        return isnan(y);
    return y == z || fabs(y - z) <= bound || (isfinite(z) && !isfinite(bound));
}

static void compare(struct verifier *v, const float *y, int column, struct comparison *c)
{
    c->equal = true;
    for (size_t r = 0; r < v->rows; r++) {
        size_t i = r * (size_t)v->out + (size_t)column;
        c->equal &= memcmp(&y[i], &v->first[i], sizeof *y) == 0;
        c->outside |= !within((double)y[i], v->z[i], v->bound[i]);
        double off = fabs((double)y[i] - v->z[i]);
        if (!isfinite(off))
            continue;
        c->error = fmax(c->error, off);
        c->of_bound = v->bound[i] > 0 ? fmax(c->of_bound, off / v->bound[i]) : c->of_bound;
        c->ulps = fmax(c->ulps, in_ulps(off, v->z[i]));
    }
    count_flips(v, y, column, c);
    v->failures += c->outside || !c->equal;
}

/* Rows of a block that are users': each user has some rows in a row, and the columns of the first of them. */
struct row_requests {
    struct row_cell *rows, *users;  /* [b->n][n_fields], [n_users][n_fields] */
    size_t offsets[BLOCK_ROWS + 2], n_users;
};

static void copy_user(const struct row_program *p, const struct row_cell *from, struct row_cell *to)
{
    for (uint32_t i = 0; i < p->lines.n_fields; i++)
        if (p->fields[i].column >= 0 && p->columns[p->fields[i].column].user)
            to[i] = from[i];
}

static struct row_requests *make_row_requests(struct verifier *v, const struct row_block *b)
{
    struct row_requests *q = NEW(v->job, struct row_requests);
    const size_t fields = v->program->lines.n_fields;
    uint64_t seed = RANDOM_SEED;
    q->rows = NEW_ARRAY(v->job, b->n * fields, struct row_cell);
    q->users = NEW_ARRAY(v->job, (b->n + 1) * fields, struct row_cell);
    memcpy(q->rows, b->cells, b->n * fields * sizeof *q->rows);
    for (size_t at = 0; at < b->n && q->n_users < b->n; q->n_users++) {
        size_t items = q->n_users + 1 == b->n ? b->n - at : next_random(&seed) % 41;
        items = items < b->n - at ? items : b->n - at;
        copy_user(v->program, b->cells + at * fields, q->users + q->n_users * fields);
        for (size_t k = 0; k < items; k++)
            copy_user(v->program, b->cells + at * fields, q->rows + (at + k) * fields);
        at += items;
        q->offsets[q->n_users + 1] = at;
    }
    return q;
}

/* Requests from rows against the same rows one by one. */
static bool same_row_requests(struct verifier *v, struct engine *e, const struct row_block *b)
{
    const struct row_program *p = v->program;
    struct row_requests *q = make_row_requests(v, b);
    struct mmoe_row_status status[BLOCK_ROWS], shared_status[BLOCK_ROWS];
    struct mmoe_values *values = NEW_ARRAY(v->job, (size_t)p->n_columns, struct mmoe_values);
    struct mmoe_values *shared_values = NEW_ARRAY(v->job, (size_t)p->n_columns, struct mmoe_values);
    size_t n = b->n * (size_t)v->out;
    float *y = NEW_ARRAY(v->job, n, float), *shared = NEW_ARRAY(v->job, n, float);
    row_values(&p->lines, q->rows, values);
    row_values(&p->lines, q->users, shared_values);
    for (int i = 0; i < p->n_columns; i++)
        if (!p->columns[i].user)
            shared_values[i] = values[i];
    if (!run_engine_rows(v->job, e, values, b->n, y, status))
        return false;
    run_engine_requests(e, shared_values, q->offsets, q->n_users, shared, shared_status);
    return memcmp(y, shared, n * sizeof *y) == 0 && memcmp(status, shared_status, b->n * sizeof *status) == 0;
}

/* From rows an engine must give the bits that it gives from what enters the experts. */
static bool same_from_rows(struct verifier *v, struct engine *e, const float *y)
{
    struct mmoe_row_status status[BLOCK_ROWS];
    float *from_rows = NEW_ARRAY(v->job, BLOCK_ROWS * (size_t)v->out, float);
    bool same = true;
    for (size_t i = 0; i < v->n_blocks; i++) {
        struct row_block *b = v->blocks[i];
        size_t n = b->n * (size_t)v->out;
        same &= run_engine_rows(v->job, e, b->values, b->n, from_rows, status) && memcmp(from_rows, y, n * sizeof *y) == 0;
        same &= !v->program->user_width || same_row_requests(v, e, b);
        y += n;
    }
    return same;
}

/* Rows that are users' with their items, scored without users and with them. */
static bool try_requests(struct verifier *v, struct engine *e, const char *name, const char *isa)
{
    struct requests *q = &v->requests;
    size_t n = q->offsets[q->n_users] * (size_t)v->out;
    float *y = NEW_ARRAY(v->job, n, float), *shared = NEW_ARRAY(v->job, n, float);
    if (!run_engine(v->job, e, q->x, q->offsets[q->n_users], y))
        return false;
    run_engine_users(e, q->users, q->items, q->offsets, q->n_users, shared);
    q->first = q->first ? q->first : y;
    bool equal = memcmp(y, q->first, n * sizeof *y) == 0 && memcmp(shared, y, n * sizeof *y) == 0;
    v->sharings[v->n_sharings++] = (struct sharing){name, isa, equal};
    v->failures += !equal;
    return true;
}

static bool try_engine(struct verifier *v, const char *name)
{
    struct engine *e = open_engine(v->job, v->n, name);
    if (!e)
        return false;
    float *y = NEW_ARRAY(v->job, v->rows * (size_t)v->out, float);
    bool good = run_engine(v->job, e, v->x, v->rows, y), same = good && same_from_rows(v, e, y);
    const char *isa = arena_print(&v->job->arena, "%s", engine_isa(e));     /* a library's goes with it */
    v->first = v->first ? v->first : y;
    for (int i = 0; good && i < v->out; i++) {
        struct comparison *c = &v->comparisons[v->n_comparisons++];
        *c = (struct comparison){.engine = name, .isa = isa, .output = column_name(v->job, v->n->model, i)};
        compare(v, y, i, c);
        v->failures += c->equal && !same;
        c->equal &= same;
    }
    if (good && v->plan->user_inputs)
        good = try_requests(v, e, name, isa);
    close_engine(e);
    return good;
}

static bool try_engines(struct verifier *v)
{
    static const struct {
        const char *isa, *engine;   /* isa NULL: none is needed */
        bool jit;
    } engines[] = {{"plain", "walk-plain", false}, {"neon", "walk-neon", false}, {"avx2", "walk-avx2", false},
                   {"avx512", "walk-avx512", false}, {"muladd", "walk-muladd", false}, {"plain", "jit-plain", true},
                   {"neon", "jit-neon", true}, {"avx2", "jit-avx2", true}, {"avx512", "jit-avx512", true},
                   {NULL, "aot", false}};
    const char *trouble = v->plan->target->narrow ? "it does not make plans of small cores" : jit_trouble();
    if (trouble)
        note(v->job, (struct pos){0}, "jit is not compared: %s", trouble);
    v->comparisons = NEW_ARRAY(v->job, COUNT(engines) * (size_t)v->out, struct comparison);
    v->sharings = NEW_ARRAY(v->job, COUNT(engines), struct sharing);
    if (v->plan->user_inputs)
        make_requests(v);
    for (size_t i = 0; i < COUNT(engines); i++) {
        const struct mmoe_kernels *k = engines[i].isa ? mmoe_kernels_named(engines[i].isa) : NULL;
        bool can = k ? k->numerics == v->plan->numerics->number : !engines[i].isa;
        if (can && !(engines[i].jit && trouble) && !try_engine(v, engines[i].engine))
            return false;
    }
    return true;
}

/* ---- expected scores ------------------------------------------------------------------------- */

/* Against TensorFlow's float32: 2e-6 on probabilities, 1e-5 x max(1, |z|) on others. */
static double tolerance(const char *name, double want)
{
    return strncmp(name, "probs_", 6) == 0 ? 2e-6 : 1e-5 * fmax(1, fabs(want));
}

static bool expect_output(struct verifier *v, const struct output *o, int column, const char *path)
{
    struct npy *f = open_npy(v->job, path);
    if (!f)
        return false;
    if (f->rows != v->rows || f->columns != (uint64_t)o->width) {
        blame(v->job, BAD_INPUT, in_file(v->job, f->file->name), "shape", "a row for each that is scored",
              "it is [%llu,%llu], needs [%zu,%d]", (unsigned long long)f->rows, (unsigned long long)f->columns, v->rows,
              o->width);
        return false;
    }
    double *want = read_rows(v->job, f, v->rows);
    if (!want)
        return false;
    struct expectation *e = &v->expectations[v->n_expectations++];
    *e = (struct expectation){.output = o->name};
    for (size_t r = 0; r < v->rows; r++)
        for (int j = 0; j < o->width; j++) {
            double w = want[r * (size_t)o->width + (size_t)j], most = tolerance(o->name, w);
            double y = (double)v->first[r * (size_t)v->out + (size_t)(column + j)];
            e->outside |= !within(y, w, most);
            e->error = fmax(e->error, fabs(y - w));
            e->of_tolerance = fmax(e->of_tolerance, fabs(y - w) / most);
        }
    v->failures += e->outside;
    return true;
}

/* Outputs without a file are not compared, but one must be. */
static bool expect_all(struct verifier *v)
{
    const struct model *m = v->n->model;
    const char *dir = v->job->options->expect;
    if (!dir)
        return true;
    v->expectations = NEW_ARRAY(v->job, (size_t)m->n_outputs, struct expectation);
    for (int i = 0, column = 0; i < m->n_outputs; column += m->outputs[i++].width) {
        const char *path = join_path(v->job, dir, arena_print(&v->job->arena, "%s.npy", m->outputs[i].name));
        if (access(path, F_OK) != 0)
            warning(v->job, in_file(v->job, path), "no-file", NULL, "there is no such file: %s is not compared",
                    m->outputs[i].name);
        else if (!expect_output(v, &m->outputs[i], column, path))
            return false;
    }
    if (!v->n_expectations)
        blame(v->job, BAD_INPUT, in_file(v->job, dir), "file", "files are named probs_ctr.npy and so on",
              "there is no file for any output");
    return v->n_expectations > 0;
}

/* ---- what was found -------------------------------------------------------------------------- */

static void print_table(const struct verifier *v, struct text *to)
{
    text_print(to, "%zu rows, ", v->rows);
    const char *path = v->job->options->rows ? v->job->options->rows : v->job->options->features;
    if (path)
        text_print(to, "of %s\n", comment_text(v->job, base_name(path)));
    else
        text_print(to, "random, seed %d\n", RANDOM_SEED);
    for (int i = 0; i < v->n_comparisons; i++) {
        const struct comparison *c = &v->comparisons[i];
        text_print(to, "%-11s %-7s %-24s %9.2e %9.1f ulp %6.3f of bound %6zu flips  bits %s%s\n", c->engine, c->isa,
                   comment_text(v->job, c->output), c->error, c->ulps, c->of_bound, c->flips,
                   c->equal ? "equal" : "DIFFER", c->outside ? "  OUTSIDE THE BOUND" : "");
    }
    for (int i = 0; i < v->n_sharings; i++) {
        const struct sharing *s = &v->sharings[i];
        text_print(to, "%-11s %-7s %zu users with %zu items: bits %s\n", s->engine, s->isa, v->requests.n_users,
                   v->requests.offsets[v->requests.n_users], s->equal ? "equal" : "DIFFER");
    }
    for (int i = 0; i < v->n_expectations; i++) {
        const struct expectation *e = &v->expectations[i];
        text_print(to, "%-11s %-7s %-24s %9.2e %6.3f of the tolerance%s\n", "expected", "",
                   comment_text(v->job, e->output), e->error, e->of_tolerance,
                   e->outside ? "  OUTSIDE THE TOLERANCE" : "");
    }
}

/* JSON knows no NaN and no infinity. */
static void add_number(struct text *to, const char *name, double x)
{
    text_print(to, isfinite(x) ? ",\"%s\":%.9g" : ",\"%s\":null", name, x);
}

static void add_flag(struct text *to, const char *name, bool flag)
{
    text_print(to, ",\"%s\":%s", name, flag ? "true" : "false");
}

static void comparison_json(const struct comparison *c, struct text *to)
{
    text_print(to, "{\"engine\":\"%s\",\"isa\":\"%s\",\"output\":", c->engine, c->isa);
    add_json_string(to, c->output);
    add_number(to, "error", c->error);
    add_number(to, "ulps", c->ulps);
    add_number(to, "of_bound", c->of_bound);
    text_print(to, ",\"flips\":%zu,\"pairs\":%zu", c->flips, c->pairs);
    add_flag(to, "bits_equal", c->equal);
    add_flag(to, "within_bound", !c->outside);
    text_print(to, "}");
}

static void print_json(const struct verifier *v, struct text *to)
{
    text_print(to, "{\"rows\":%zu,\"seed\":", v->rows);
    text_print(to, v->job->options->features || v->job->options->rows ? "null" : "%d", RANDOM_SEED);
    text_print(to, ",\n\"engines\":[");
    for (int i = 0; i < v->n_comparisons; i++) {
        text_print(to, "%s\n ", i ? "," : "");
        comparison_json(&v->comparisons[i], to);
    }
    text_print(to, "],\n\"requests\":[");
    for (int i = 0; i < v->n_sharings; i++) {
        text_print(to, "%s\n {\"engine\":\"%s\",\"isa\":\"%s\",\"users\":%zu", i ? "," : "", v->sharings[i].engine,
                   v->sharings[i].isa, v->requests.n_users);
        add_flag(to, "bits_equal", v->sharings[i].equal);
        text_print(to, "}");
    }
    text_print(to, "],\n\"expected\":[");
    for (int i = 0; i < v->n_expectations; i++) {
        const struct expectation *e = &v->expectations[i];
        text_print(to, "%s\n {\"output\":", i ? "," : "");
        add_json_string(to, e->output);
        add_number(to, "error", e->error);
        add_number(to, "of_tolerance", e->of_tolerance);
        add_flag(to, "within_tolerance", !e->outside);
        text_print(to, "}");
    }
    text_print(to, "],\n\"failures\":%d}\n", v->failures);
}

bool do_verify(struct job *job, struct text *to)
{
    struct network *n = read_network(job, true);
    if (!n)
        return false;
    const struct plan *p = make_plan(job, n->model);
    if (!p)
        return false;
    struct verifier v = {.job = job, .n = n, .plan = p};
    for (int i = 0; i < n->model->n_inputs; i++)
        v.in += n->model->values[n->model->inputs[i]].width;
    for (int i = 0; i < n->model->n_outputs; i++)
        v.out += n->model->outputs[i].width;
    if (!load_rows(&v) || !compute_reference(&v) || !try_engines(&v) || !expect_all(&v))
        return false;
    if (job->options->json)
        print_json(&v, to);
    else
        print_table(&v, to);
    if (v.failures)
        blame(job, NOT_VERIFIED, (struct pos){0}, "verify", NULL, "%d comparisons failed", v.failures);
    return v.failures == 0;
}
