// SPDX-License-Identifier: Apache-2.0
/* eval.c: the reference for values.
 *
 * Evaluates a model plainly, in double, with libm: what EasyRec means, in the fewest words. Beside every number it
 * carries a bound: how far the same number may be off when it is computed in float under the contract (weights
 * rounded once, one chain of fmas an output, sums and polynomials as in templates/). The bounds are first-order
 * rounding analysis (Higham, Accuracy and Stability of Numerical Algorithms, chapter 3) with a small factor to spare.
 *
 * One function an operation, over all rows; values are [rows][width].
 */
#include "mmoec.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define BLOCK 256                   /* rows at once: all their values are kept, in double */
#define U 0x1p-24                   /* half a unit in the last place of a float */
#define TINY 0x1p-148               /* what one rounding to a subnormal may cost, doubled */
#define POLYNOMIAL (8 * U)          /* relative error of the functions in templates/math.h; tested at half of it */

struct number {
    double v;                       /* the value */
    double e;                       /* |float value - v| is at most this */
};

struct state {
    struct job *job;
    const struct model *m;
    size_t rows;
    struct number **value;          /* [n_values][rows * width] */
};

static struct number *row_of(const struct state *s, int value, size_t row)
{
    return s->value[value] + row * (size_t)s->m->values[value].width;
}

static int width_of(const struct state *s, int value) { return s->m->values[value].width; }

/* ---- dense ------------------------------------------------------------------------------------------------------ */

static struct number dot_onto(const struct number *x, const double *w, struct number start, int n, int stride)
{
    double sum = start.v, size = fabs(start.v) + start.e, carried = start.e;
    for (int k = 0; k < n; k++) {
        double weight = w[(size_t)k * (size_t)stride];
        sum += x[k].v * weight;
        size += (fabs(x[k].v) + x[k].e) * fabs(weight);
        carried += x[k].e * fabs(weight);
    }
    return (struct number){sum, carried + 1.01 * (n + 2) * U * size + n * TINY};
}

static struct number dot(const struct number *x, const double *w, double bias, int n, int stride)
{
    return dot_onto(x, w, (struct number){bias, 0}, n, stride);
}

static bool eval_dense(struct state *s, const struct op *op)
{
    int in = width_of(s, op->in[0]) / op->parts, out = width_of(s, op->out) / op->parts;
    for (int i = 0; i < op->n_blocks; i++) {
        const struct block *b = &op->blocks[i];
        double *kernel = NEW_ARRAY(s->job, weigh_room(s->m, b), double);
        double *bias = NEW_ARRAY(s->job, (size_t)b->out, double);
        if (!weigh(s->job, s->m, b, kernel, bias))
            return false;
        for (size_t r = 0; r < s->rows; r++) {
            const struct number *x = row_of(s, op->in[0], r) + b->part * in;
            int first = b->part * out + b->column;
            struct number *y = row_of(s, op->out, r) + first;
            const struct number *from = op->n_in > 1 ? row_of(s, op->in[1], r) + first : NULL;
            for (int j = 0; j < b->out; j++)
                y[j] = dot_onto(x, kernel + j, from ? from[j] : (struct number){bias[j], 0}, in, b->out);
        }
    }
    return true;
}

static bool eval_batch_norm(struct state *s, const struct op *op)
{
    int n = width_of(s, op->out);
    double *scale = NEW_ARRAY(s->job, (size_t)n, double), *shift = NEW_ARRAY(s->job, (size_t)n, double);
    if (!weigh_norm(s->job, s->m, &op->norm, n, scale, shift))
        return false;
    for (size_t r = 0; r < s->rows; r++)
        for (int j = 0; j < n; j++)
            row_of(s, op->out, r)[j] = dot(&row_of(s, op->in[0], r)[j], &scale[j], shift[j], 1, 1);
    return true;
}

/* ---- activations -------------------------------------------------------------------------------------------------- */

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }

static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))) + (x != x ? x : 0); }

/* What the kernels compute, so that a NaN stays one: comparisons with a NaN are false. */
static double apply(enum act act, double x)
{
    switch (act) {
    case ACT_identity: return x;
    case ACT_relu: return 0 > x ? 0 : x;
    case ACT_relu6: return 0 > x ? 0 : x > 6 ? 6 : x;
    case ACT_leaky_relu: return 0 > x ? (double)0.2f * x : x;
    case ACT_elu: return 0 > x ? expm1(x) : x;
    case ACT_selu: return (0 > x ? 1.7580993408473766 * expm1(x) : 1.0507009873554805 * x);
    case ACT_gelu: return 0.5 * x * (1 + tanh(0.7978845608 * (x + 0.044715 * x * x * x)));
    case ACT_gelu_erf: return 0.5 * x * (1 + erf(x * M_SQRT1_2));
    case ACT_sigmoid: return sigmoid(x);
    case ACT_tanh: return tanh(x);
    case ACT_softplus: return softplus(x);
    case ACT_softsign: return x / (1 + fabs(x));
    case ACT_swish: return x * sigmoid(x);
    case N_ACTS: break;
    }
    bug("an activation of no kind");
}

/* The largest slope of an activation. */
static double slope(enum act act)
{
    switch (act) {
    case ACT_sigmoid: return 0.25;
    case ACT_selu: return 1.76;
    case ACT_gelu: case ACT_gelu_erf: return 1.13;
    case ACT_swish: return 1.1;
    default: return 1;
    }
}

/* Functions of the form x * f(x), f between 0 and 1, may be off by a share of x, not only of the result. */
static double own_error(enum act act, double x, double y)
{
    switch (act) {
    case ACT_identity: case ACT_relu: case ACT_relu6: return 0;
    case ACT_gelu: case ACT_gelu_erf: case ACT_swish: return POLYNOMIAL * fabs(x) + TINY;
    default: return POLYNOMIAL * fabs(y) + TINY;
    }
}

static struct number activate(enum act act, struct number x)
{
    double y = apply(act, x.v);
    return (struct number){y, slope(act) * x.e + own_error(act, x.v, y)};
}

static void eval_act(struct state *s, const struct op *op)
{
    for (size_t r = 0; r < s->rows; r++)
        for (int j = 0; j < width_of(s, op->out); j++)
            row_of(s, op->out, r)[j] = activate(op->act, row_of(s, op->in[0], r)[j]);
}

static bool eval_dice(struct state *s, const struct op *op)
{
    int n = width_of(s, op->out);
    double *numbers = NEW_ARRAY(s->job, 3 * (size_t)n, double);
    if (!weigh_dice(s->job, s->m, &op->norm, n, numbers))
        return false;
    for (size_t r = 0; r < s->rows; r++)
        for (int j = 0; j < n; j++) {
            struct number x = row_of(s, op->in[0], r)[j];
            double alpha = numbers[j];
            struct number xn = dot(&x, &numbers[n + j], numbers[2 * n + j], 1, 1);
            struct number p = activate(ACT_sigmoid, xn);
            double share = alpha * (1 - p.v) + p.v;
            double share_e = (1 + fabs(alpha)) * (p.e + 2 * U) + 2 * U * fabs(share);
            double error = fabs(share) * x.e + (fabs(x.v) + x.e) * share_e + 2 * U * fabs(share * x.v) + TINY;
            row_of(s, op->out, r)[j] = (struct number){share * x.v, error};
        }
    return true;
}

/* ---- over columns -------------------------------------------------------------------------------------------------- */

static double largest(const struct number *x, int n)
{
    double top = -INFINITY;
    for (int j = 0; j < n; j++)
        top = x[j].v > top ? x[j].v : top;
    return top;
}

/* Relative error of a share: that of its exp, of the sum, of the logits themselves and of the subtraction. */
static void eval_softmax(struct state *s, const struct op *op)
{
    int n = width_of(s, op->out);
    for (size_t r = 0; r < s->rows; r++) {
        const struct number *x = row_of(s, op->in[0], r);
        struct number *y = row_of(s, op->out, r);
        double top = largest(x, n), sum = 0, worst = 0;
        for (int j = 0; j < n; j++) {
            double term = exp(x[j].v - top);
            sum += term;
            y[j].v = term;
            double off = x[j].e + U * fabs(x[j].v - top);
            worst = off > worst && term > 0 ? off : worst;
        }
        for (int j = 0; j < n; j++) {
            double relative = expm1(2 * worst) + 2 * POLYNOMIAL + (n + 4) * U;
            double error = isfinite(relative) ? relative * y[j].v / sum : 1;
            y[j] = (struct number){y[j].v / sum, fmin(error, 1) + TINY};
        }
    }
}

static void eval_mix(struct state *s, const struct op *op)
{
    int n = width_of(s, op->out), experts = op->n_in - 1;
    for (size_t r = 0; r < s->rows; r++) {
        const struct number *g = row_of(s, op->in[0], r);
        for (int j = 0; j < n; j++) {
            double sum = 0, size = 0, carried = 0;
            for (int e = 0; e < experts; e++) {
                struct number h = row_of(s, op->in[1 + e], r)[j];
                sum += g[e].v * h.v;
                size += (fabs(g[e].v) + g[e].e) * (fabs(h.v) + h.e);
                carried += fabs(g[e].v) * h.e + (fabs(h.v) + h.e) * g[e].e;
            }
            row_of(s, op->out, r)[j] = (struct number){sum, carried + 1.01 * (experts + 1) * U * size + experts * TINY};
        }
    }
}

static void eval_concat(struct state *s, const struct op *op)
{
    for (size_t r = 0; r < s->rows; r++) {
        struct number *y = row_of(s, op->out, r);
        for (int i = 0; i < op->n_in; i++) {
            int n = width_of(s, op->in[i]);
            memcpy(y, row_of(s, op->in[i], r), (size_t)n * sizeof *y);
            y += n;
        }
    }
}

static void eval_slice(struct state *s, const struct op *op)
{
    for (size_t r = 0; r < s->rows; r++)
        memcpy(row_of(s, op->out, r), row_of(s, op->in[0], r) + op->first,
               (size_t)width_of(s, op->out) * sizeof(struct number));
}

static void eval_max(struct state *s, const struct op *op)
{
    int n = width_of(s, op->in[0]);
    for (size_t r = 0; r < s->rows; r++) {
        const struct number *x = row_of(s, op->in[0], r);
        struct number y = {largest(x, n), 0};
        for (int j = 0; j < n; j++) {
            y.e = x[j].e > y.e ? x[j].e : y.e;
            y.v = x[j].v != x[j].v ? x[j].v : y.v;
        }
        *row_of(s, op->out, r) = y;
    }
}

/* The bound is 0, or the number of classes where another logit is so near that rounding may choose it. */
static void eval_argmax(struct state *s, const struct op *op)
{
    int n = width_of(s, op->in[0]);
    for (size_t r = 0; r < s->rows; r++) {
        const struct number *x = row_of(s, op->in[0], r);
        int best = 0;
        bool nan = false, near = false;
        for (int j = 0; j < n; j++) {
            best = x[j].v > x[best].v ? j : best;
            nan |= x[j].v != x[j].v;
        }
        for (int j = 0; j < n; j++)
            near |= j != best && x[best].v - x[j].v <= x[best].e + x[j].e;
        *row_of(s, op->out, r) = (struct number){nan ? (double)NAN : best, near ? n : 0};
    }
}

/* EasyRec's zero_inflated_lognormal.py with its default constants. */
static void eval_ziln(struct state *s, const struct op *op)
{
    for (size_t r = 0; r < s->rows; r++) {
        const struct number *z = row_of(s, op->in[0], r);
        struct number minus = {-z[0].v, z[0].e};
        struct number inflated = activate(ACT_softplus, minus), spread = activate(ACT_softplus, z[2]);
        double sigma = spread.v < sqrt(1e-7) ? sqrt(1e-7) : spread.v > 5 ? 5 : spread.v;
        double l = -inflated.v + z[1].v + 0.5 * sigma * sigma;
        double size = fabs(inflated.v) + fabs(z[1].v) + 0.5 * sigma * sigma;
        double off = inflated.e + z[1].e + (sigma + spread.e) * spread.e + 4 * U * size;
        double y = exp(l < -100 ? -100 : l > 20 ? 20 : l);
        *row_of(s, op->out, r) = (struct number){y, y * (expm1(off) + POLYNOMIAL) + TINY};
    }
}

static bool eval_op(struct state *s, const struct op *op)
{
    switch (op->kind) {
    case OP_dense: return eval_dense(s, op);
    case OP_batch_norm: return eval_batch_norm(s, op);
    case OP_dice: return eval_dice(s, op);
    case OP_act: eval_act(s, op); return true;
    case OP_softmax: eval_softmax(s, op); return true;
    case OP_mix: eval_mix(s, op); return true;
    case OP_concat: eval_concat(s, op); return true;
    case OP_slice: eval_slice(s, op); return true;
    case OP_max: eval_max(s, op); return true;
    case OP_argmax: eval_argmax(s, op); return true;
    case OP_ziln: eval_ziln(s, op); return true;
    case N_OPS: break;
    }
    bug("an operation of no kind");
}

static void set_inputs(struct state *s, const float *x)
{
    for (size_t r = 0; r < s->rows; r++)
        for (int i = 0; i < s->m->n_inputs; i++)
            for (int j = 0; j < width_of(s, s->m->inputs[i]); j++)
                row_of(s, s->m->inputs[i], r)[j] = (struct number){(double)*x++, 0};
}

static bool eval_rows(struct job *job, const struct model *m, const float *x, size_t rows, double *y, double *bound)
{
    struct state s = {job, m, rows, NEW_ARRAY(job, (size_t)m->n_values, struct number *)};
    for (int v = 0; v < m->n_values; v++)
        s.value[v] = NEW_ARRAY(job, rows * (size_t)m->values[v].width, struct number);
    set_inputs(&s, x);
    for (int i = 0; i < m->n_ops; i++)
        if (!eval_op(&s, &m->ops[i]))
            return false;
    for (size_t r = 0; r < rows; r++)
        for (int i = 0; i < m->n_outputs; i++)
            for (int j = 0; j < m->outputs[i].width; j++) {
                struct number n = row_of(&s, m->outputs[i].value, r)[j];
                *y++ = n.v;
                if (bound)
                    *bound++ = n.e + U * fabs(n.v);
            }
    return true;
}

/* A block of rows in memory of its own. What went wrong there is told to the job. */
static bool eval_block(struct job *job, const struct model *m, const float *x, size_t rows, double *y, double *bound)
{
    struct job block;
    begin_job(&block, job->options);
    block.arena.no_memory = job->arena.no_memory;
    bool good = eval_rows(&block, m, x, rows, y, bound);
    if (!good)
        blame(job, block.result, (struct pos){0}, "engine", NULL, "%s", block.messages->text);
    end_job(&block);
    return good;
}

bool eval(struct job *job, const struct model *m, const float *x, size_t rows, double *y, double *bound)
{
    size_t in = 0, out = 0;
    for (int i = 0; i < m->n_inputs; i++)
        in += (size_t)m->values[m->inputs[i]].width;
    for (int i = 0; i < m->n_outputs; i++)
        out += (size_t)m->outputs[i].width;
    bool good = true;
    for (size_t r = 0; good && r < rows; r += BLOCK)
        good = eval_block(job, m, x + r * in, rows - r < BLOCK ? rows - r : BLOCK, y + r * out,
                          bound ? bound + r * out : NULL);
    return good;
}
