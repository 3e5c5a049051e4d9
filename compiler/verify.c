// SPDX-License-Identifier: Apache-2.0
/* verify.c: all engines against the double reference, bit for bit against each other, and against expected scores. */
#include "mmoec.h"
#include "../runtime/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RANDOM_ROWS 256
#define MOST_ROWS 4096              /* of a features file: what is beyond is not needed to compare */

struct verifier {
    struct job *job;
    const struct network *n;
    struct text *to;
    size_t rows;
    int in, out;
    float *x, *first;               /* first: scores of the first engine, the others must give its bits */
    double *z, *bound;
    int failures;
};

/* About normal, from a fixed seed. */
static void random_rows(float *x, size_t n)
{
    uint64_t seed = 1;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < 6; k++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            sum += (double)(seed >> 40) / (1 << 24);
        }
        x[i] = (float)((sum - 3) * 1.41421356);
    }
}

static bool load_rows(struct verifier *v)
{
    const char *path = v->job->options->features;
    v->rows = RANDOM_ROWS;
    struct npy *f = path ? open_npy(v->job, path) : NULL;
    if (path && !f)
        return false;
    if (f && f->columns != (uint64_t)v->in) {
        blame(v->job, BAD_INPUT, in_file(v->job, f->file->name), "shape", "what enters the experts: see mmoec inspect",
              "it has %llu columns, needs %d", (unsigned long long)f->columns, v->in);
        return false;
    }
    if (f)
        v->rows = f->rows < MOST_ROWS ? (size_t)f->rows : MOST_ROWS;
    v->x = NEW_ARRAY(v->job, v->rows * (size_t)v->in, float);
    if (!f) {
        random_rows(v->x, v->rows * (size_t)v->in);
        return true;
    }
    double *wide = NEW_ARRAY(v->job, v->rows * (size_t)v->in, double), *room = NEW_ARRAY(v->job, v->rows * (size_t)v->in, double);
    bool good = read_npy_rows(v->job, f, 0, v->rows, wide, room);
    for (size_t i = 0; i < v->rows * (size_t)v->in; i++)
        v->x[i] = (float)wide[i];
    return good;
}

/* Pairs of neighbouring rows that a column orders another way than the reference does. */
static size_t rank_flips(const struct verifier *v, const float *y, int column)
{
    size_t flips = 0;
    for (size_t r = 1; r < v->rows; r++) {
        size_t a = (r - 1) * (size_t)v->out + (size_t)column, b = r * (size_t)v->out + (size_t)column;
        flips += (v->z[a] < v->z[b] && y[a] > y[b]) || (v->z[a] > v->z[b] && y[a] < y[b]);
    }
    return flips;
}

static double ulps(double error, double z)
{
    int exponent;
    frexp(z, &exponent);
    return error / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

static void compare(struct verifier *v, const char *engine, const char *isa, const float *y, int column)
{
    double most = 0, of_bound = 0, most_ulps = 0;
    bool equal = true, outside = false;
    for (size_t r = 0; r < v->rows; r++) {
        size_t i = r * (size_t)v->out + (size_t)column;
        double off = fabs((double)y[i] - v->z[i]);
        equal &= memcmp(&y[i], &v->first[i], sizeof *y) == 0;
        if (isnan(v->z[i]) || isinf(v->z[i]))
            continue;
        outside |= !(off <= v->bound[i]);
        most = off > most ? off : most;
        of_bound = v->bound[i] > 0 && off / v->bound[i] > of_bound ? off / v->bound[i] : of_bound;
        most_ulps = fmax(most_ulps, ulps(off, v->z[i]));
    }
    v->failures += outside || !equal;
    text_print(v->to, "%-10s %-7s %-24s %9.2e %7.1f ulp %6.3f of bound %4zu flips  bits %s%s\n", engine, isa,
               comment_text(v->job, column_name(v->job, v->n->model, column)), most, most_ulps, of_bound,
               rank_flips(v, y, column), equal ? "equal" : "DIFFER", outside ? "  OUTSIDE THE BOUND" : "");
}

static bool try_engine(struct verifier *v, const char *name)
{
    struct engine *e = open_engine(v->job, v->n, name);
    if (!e)
        return false;
    float *y = NEW_ARRAY(v->job, v->rows * (size_t)v->out, float);
    bool good = run_engine(v->job, e, v->x, v->rows, y);
    v->first = v->first ? v->first : y;
    for (int i = 0; good && i < v->out; i++)
        compare(v, name, engine_isa(e), y, i);
    close_engine(e);
    return good;
}

/* ---- expected scores ------------------------------------------------------------------------------------------- */

/* Against TensorFlow's float32: 2e-6 on probabilities, 1e-5 x max(1, |z|) on others. */
static double tolerance(const char *name, double want)
{
    return strncmp(name, "probs_", 6) == 0 ? 2e-6 : 1e-5 * fmax(1, fabs(want));
}

static bool expect_output(struct verifier *v, const struct output *o, int column)
{
    const char *path = arena_print(&v->job->arena, "%s/%s.npy", v->job->options->expect, o->name);
    if (access(path, F_OK) != 0)
        return true;
    struct npy *f = open_npy(v->job, path);
    if (!f)
        return false;
    if (f->rows < v->rows || f->columns != (uint64_t)o->width) {
        blame(v->job, BAD_INPUT, in_file(v->job, f->file->name), "shape", NULL, "it is [%llu,%llu], needs [%zu,%d]",
              (unsigned long long)f->rows, (unsigned long long)f->columns, v->rows, o->width);
        return false;
    }
    double *want = NEW_ARRAY(v->job, v->rows * (size_t)o->width, double), *room = NEW_ARRAY(v->job, v->rows * (size_t)o->width, double);
    if (!read_npy_rows(v->job, f, 0, v->rows, want, room))
        return false;
    double most = 0;
    bool bad = false;
    for (size_t r = 0; r < v->rows; r++)
        for (int j = 0; j < o->width; j++) {
            double y = (double)v->first[r * (size_t)v->out + (size_t)(column + j)], w = want[r * (size_t)o->width + (size_t)j];
            most = fmax(most, fabs(y - w));
            bad |= !(fabs(y - w) <= tolerance(o->name, w));
        }
    v->failures += bad;
    text_print(v->to, "expected   %-7s %-24s %9.2e %s\n", "", comment_text(v->job, o->name), most,
               bad ? "OUTSIDE THE TOLERANCE" : "within the tolerance");
    return true;
}

static bool expect_all(struct verifier *v)
{
    const struct model *m = v->n->model;
    for (int i = 0, column = 0; v->job->options->expect && i < m->n_outputs; column += m->outputs[i++].width)
        if (!expect_output(v, &m->outputs[i], column))
            return false;
    return true;
}

bool do_verify(struct job *job, struct text *to)
{
    static const char *const isas[] = {"plain", "neon", "avx2", "avx512"};
    struct network *n = read_network(job, true);
    if (!n)
        return false;
    struct verifier v = {.job = job, .n = n, .to = to};
    for (int i = 0; i < n->model->n_inputs; i++)
        v.in += n->model->values[n->model->inputs[i]].width;
    for (int i = 0; i < n->model->n_outputs; i++)
        v.out += n->model->outputs[i].width;
    if (!load_rows(&v))
        return false;
    v.z = NEW_ARRAY(job, v.rows * (size_t)v.out, double);
    v.bound = NEW_ARRAY(job, v.rows * (size_t)v.out, double);
    if (!eval(job, n->model, v.x, v.rows, v.z, v.bound))
        return false;
    for (size_t i = 0; i < COUNT(isas); i++)
        if (mmoe_kernels_named(isas[i]) && !try_engine(&v, arena_print(&job->arena, "walk-%s", isas[i])))
            return false;
    if (!try_engine(&v, "aot") || !expect_all(&v))
        return false;
    if (v.failures)
        blame(job, NOT_VERIFIED, (struct pos){0}, "verify", NULL, "%d comparisons failed", v.failures);
    return v.failures == 0;
}
