// SPDX-License-Identifier: Apache-2.0
/* proof.c: the driver with which Frama-C's Eva proves a generated file of plain C.
 *
 * Eva follows all executions at once, with an interval for each number. The driver lets it score rows of any bits, then
 * rows of numbers up to a bound B in absolute value, and asserts what scores may be. B is found here, the same way: the
 * largest power of ten for which no number of the model can leave what a float holds, when nothing but intervals is
 * known: each value's column has a largest absolute value, and one operation after the other makes new ones of them.
 */
#include "mmoec.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#define MOST 3e38                   /* of any number: below the largest float by more than a chain's rounding */

struct prover {
    struct job *job;
    const struct model *m;
    double **size;                  /* [n_values][width]: the largest absolute value of each column */
    double most;                    /* of all numbers on the way, the largest */
};

/* ---- how large numbers can become ---------------------------------------------------------------------------------- */

static int width_of(const struct prover *p, int value) { return p->m->values[value].width; }

static void set(struct prover *p, int value, int column, double size)
{
    p->size[value][column] = size;
    p->most = size > p->most || isnan(size) ? size : p->most;
}

static bool size_dense(struct prover *p, const struct op *op)
{
    int in = width_of(p, op->in[0]) / op->parts, out = width_of(p, op->out) / op->parts;
    for (int i = 0; i < op->n_blocks; i++) {
        const struct block *b = &op->blocks[i];
        double *kernel = NEW_ARRAY(p->job, (size_t)b->in * (size_t)b->out, double);
        double *bias = NEW_ARRAY(p->job, (size_t)b->out, double);
        if (!weigh(p->job, p->m, b, kernel, bias))
            return false;
        for (int j = 0; j < b->out; j++) {
            double sum = fabs(bias[j]);
            for (int k = 0; k < b->in; k++)
                sum += fabs(kernel[k * b->out + j]) * p->size[op->in[0]][b->part * in + k];
            set(p, op->out, b->part * out + b->column + j, sum);
        }
    }
    return true;
}

static bool size_dice(struct prover *p, const struct op *op)
{
    int n = width_of(p, op->out);
    double *numbers = NEW_ARRAY(p->job, 3 * (size_t)n, double);
    if (!weigh_dice(p->job, p->m, &op->norm, n, numbers))
        return false;
    for (int j = 0; j < n; j++) {
        double x = p->size[op->in[0]][j], scaled = x * fabs(numbers[n + j]) + fabs(numbers[2 * n + j]);
        set(p, op->out, j, (fabs(numbers[j]) + 1) * x);
        p->most = scaled > p->most ? scaled : p->most;
    }
    return true;
}

/* The largest number on the way to an activation's result, and the result's. Functions of templates/math.h. */
static double size_act(struct prover *p, enum act act, double x)
{
    switch (act) {
    case ACT_sigmoid: case ACT_tanh: case ACT_softsign: return 1;
    case ACT_relu6: return 6;
    case ACT_elu: return fmax(x, 1);
    case ACT_selu: return fmax(1.1 * x, 1.8);
    case ACT_gelu: p->most = fmax(p->most, x * x * fmax(x, 1)); return x;
    case ACT_softplus: return x + 1;
    case ACT_identity: case ACT_relu: case ACT_leaky_relu: case ACT_gelu_erf: case ACT_swish: return x;
    case N_ACTS: break;
    }
    bug("an activation of no kind");
}

static void size_mix(struct prover *p, const struct op *op)
{
    for (int j = 0; j < width_of(p, op->out); j++) {
        double sum = 0;
        for (int e = 1; e < op->n_in; e++)
            sum += p->size[op->in[e]][j];
        set(p, op->out, j, sum);
    }
}

static double largest(const struct prover *p, int value)
{
    double most = 0;
    for (int j = 0; j < width_of(p, value); j++)
        most = fmax(most, p->size[value][j]);
    return most;
}

/* Operations whose columns all have one size. */
static double size_of_all(struct prover *p, const struct op *op)
{
    double x = largest(p, op->in[0]);
    switch (op->kind) {
    case OP_softmax: p->most = fmax(p->most, 2 * x); return 1;     /* logits are subtracted */
    case OP_max: return x;
    case OP_argmax: return width_of(p, op->in[0]);
    default: p->most = fmax(p->most, 2 * x + 15); return 5e8;       /* ziln: exp(20) */
    }
}

static void size_concat(struct prover *p, const struct op *op)
{
    for (int i = 0, column = 0; i < op->n_in; i++)
        for (int j = 0; j < width_of(p, op->in[i]); j++)
            set(p, op->out, column++, p->size[op->in[i]][j]);
}

static bool size_op(struct prover *p, const struct op *op)
{
    int n = width_of(p, op->out);
    switch (op->kind) {
    case OP_dense: return size_dense(p, op);
    case OP_dice: return size_dice(p, op);
    case OP_mix: size_mix(p, op); return true;
    case OP_concat: size_concat(p, op); return true;
    case OP_slice:
        for (int j = 0; j < n; j++)
            set(p, op->out, j, p->size[op->in[0]][op->first + j]);
        return true;
    case OP_act:
        for (int j = 0; j < n; j++)
            set(p, op->out, j, size_act(p, op->act, p->size[op->in[0]][j]));
        return true;
    case OP_softmax: case OP_max: case OP_argmax: case OP_ziln:
        for (int j = 0; j < n; j++)
            set(p, op->out, j, size_of_all(p, op));
        return true;
    case OP_batch_norm: case N_OPS: break;
    }
    bug("a pass should have removed it");
}

/* The largest number of the model for inputs up to `bound`; negative after an error. */
static double largest_number(struct prover *p, double bound)
{
    p->most = 0;
    for (int i = 0; i < p->m->n_inputs; i++)
        for (int j = 0; j < width_of(p, p->m->inputs[i]); j++)
            set(p, p->m->inputs[i], j, bound);
    for (int i = 0; i < p->m->n_ops; i++)
        if (!size_op(p, &p->m->ops[i]))
            return -1;
    return p->most;
}

/* The exponent of B, or INT_MIN after an error. */
static int find_bound(struct job *job, const struct model *m)
{
    struct prover p = {job, m, NEW_ARRAY(job, (size_t)m->n_values, double *), 0};
    for (int v = 0; v < m->n_values; v++)
        p.size[v] = NEW_ARRAY(job, (size_t)m->values[v].width, double);
    for (int exponent = 37; exponent >= -3; exponent--) {
        double most = largest_number(&p, pow(10, exponent));
        if (most < 0)
            return INT_MIN;
        if (most <= MOST)
            return exponent;
    }
    blame(job, BAD_INPUT, (struct pos){0}, "non-finite", "look at the weights: mmoec inspect",
          "nothing can be proved: scores may overflow for inputs as small as 0.001");
    return INT_MIN;
}

/* ---- the driver ---------------------------------------------------------------------------------------------------- */

static void add_head(const struct provenance *from, const char *bound, struct text *to)
{
    const char *file = from->file_name;
    text_print(to,
        "// SPDX-License-Identifier: 0BSD\n"
        "/* %s_proof.c: a driver for the proof of %s.c by Frama-C's Eva; written by mmoec %s. Not for a build.\n *\n"
        " *     frama-c -c11 -cpp-extra-args=\"-I. -I$(frama-c -print-share-path)/libc -msse2 -mfpmath=sse\" %s_proof.c %s.c \\\n"
        " *         -machdep gcc_x86_32 -eva -eva-precision 1 -eva-slevel 100000 -eva-auto-loop-unroll 300 \\\n"
        " *         -warn-special-float none -warn-signed-downcast\n *\n", file, file, MMOEC_VERSION, file, file);
    text_print(to,
        " * \"0 alarms\" and all assertions valid mean, for every execution of the C source:\n"
        " *  - for rows of any bits (NaNs, infinities) there is no run-time error: no access outside of an object or to what was\n"
        " *    not written, no signed overflow, no shift too far, no conversion out of range; a probability is in [0,1] or NaN;\n"
        " *  - for rows with |x| <= %s there is no NaN and no infinity among the scores, and a probability is in [0,1].\n"
        " * Other -machdep (gcc_x86_16, gcc_x86_64, ppc_32) give the same for other sizes of int and size_t.\n *\n"
        " * Not proved: what a compiler makes of the source (tests compare bits on machines); that v_fma is a fused multiply-add:\n"
        " * the analysis takes anything within 2^-23 of the sum in double for its result, which includes the right one; that\n"
        " * v_abs, v_minus_abs and v_like change nothing but signs, and that v_one_nan makes every NaN 0x7fc00000: under\n"
        " * __FRAMAC__ these few lines say what they mean and not how they do it. No number is claimed to be accurate.\n */\n"
        "#include \"%s.h\"\n\n", bound, file);
}

static void add_claim_functions(struct text *to)
{
    text_print(to,
        "extern volatile float any_float;\n\n"
        "static float up_to(float bound)\n{\n"
        "    float x = any_float;\n    x = x == x ? x : 0;\n    x = x < -bound ? -bound : x;\n"
        "    return x > bound ? bound : x;\n}\n\n"
        "static void finite(float y)\n{\n    (void)y;\n    /*@ assert finite: \\is_finite(y); */\n}\n\n"
        "static void probability(float y)\n{\n    finite(y);\n    /*@ assert in_range: 0 <= y <= 1; */\n}\n\n"
        "static void probability_or_nan(float y)\n{\n    if (y == y)\n        probability(y);\n}\n\n");
}

/* A call of a claim for each number of y, of two rows. */
static void add_claims(const struct plan *p, bool bounded, struct text *to)
{
    const struct model *m = p->model;
    for (int i = 0, column = 0; i < 2 * m->n_outputs; i++) {
        const struct output *o = &m->outputs[i % m->n_outputs];
        bool probability = strncmp(o->name, "probs_", 6) == 0;
        for (int j = 0; j < o->width; j++, column++)
            if (probability || bounded)
                text_print(to, "    %s(y[%d]);\n", !probability ? "finite" : bounded ? "probability" : "probability_or_nan",
                           column);
    }
}

/* Two rows, for the step from one to the next. */
static void add_case(const struct plan *p, const struct provenance *from, const char *name, const char *number,
                     bool bounded, struct text *to)
{
    text_print(to,
        "static void %s(void)\n{\n    float x[%d], y[%d], scratch[%zu];\n    for (int i = 0; i < %d; i++)\n"
        "        x[i] = %s;\n    %s_score(x, 2, y, scratch);\n", name, 2 * p->inputs, 2 * p->outputs,
        p->scratch_floats ? p->scratch_floats : 1, 2 * p->inputs, number, from->name);
    add_claims(p, bounded, to);
    text_print(to, "}\n\n");
}

bool add_proof(struct job *job, const struct plan *p, const struct provenance *from, struct text *to)
{
    if (!is_plain_c(p->target)) {
        blame(job, BAD_USAGE, (struct pos){0}, "usage", "for instance --target generic-c",
              "--proof is for targets in plain C alone, and %s is not", p->target->name);
        return false;
    }
    int exponent = find_bound(job, p->model);
    if (exponent == INT_MIN)
        return false;
    const char *bound = arena_print(&job->arena, "1e%df", exponent);
    add_head(from, bound, to);
    add_claim_functions(to);
    add_case(p, from, "rows_of_any_bits", "any_float", false, to);
    add_case(p, from, "rows_within_the_bound", arena_print(&job->arena, "up_to(%s)", bound), true, to);
    text_print(to, "int main(void)\n{\n    rows_of_any_bits();\n    rows_within_the_bound();\n    return 0;\n}\n");
    return true;
}
