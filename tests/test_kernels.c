// SPDX-License-Identifier: Apache-2.0
/* test_kernels.c: the functions of templates/math.h and the kernels of templates/ in library form.
 *
 * Two questions. Is a number right: the functions and the plain kernels against double and libm,
 * within a tolerance that has a name. Are the bits the same: every instruction set this machine has
 * against the plain kernels, over awkward shapes, with guard values around the outputs, any NaN
 * counting as equal to any other (but in `store`). A sum over those bits is printed, for comparing
 * machines. With -DTEST_TABLE=mmoe_kernels__avx512 that table alone is tested, whatever the
 * processor says: for emulated builds. With -DSIMD_MULADD all of it is for the class muladd32. With
 * the argument --time, every kernel of kernels.def is timed instead, in both forms and on every
 * instruction set.
 */
#ifndef SIMD_MULADD
#define SIMD_PLAIN
#endif
#include "../runtime/kernels.h"
#include "../templates/math.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GUARD 0xdeadbeefU
#define MOST 320 /* floats a row with its gap */
#define ROWS LANES

#define SEED UINT64_C(20261126)
static uint64_t seed = SEED;

static uint32_t random_bits(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 32);
}

static float random_float(void) { return (float)((double)random_bits() / 0x1p31 - 1) * 3; }

static float as_float(uint32_t u) { return float__plain(u); }
static uint32_t as_bits(float x) { return bits__plain(x); }

/* ---- functions against libm
 * ------------------------------------------------------------------------------------- */

/* The distance of two floats next to y, so that errors of subnormal results count in their own
 * units. */
static double ulp(double y)
{
    int e;
    frexp(y, &e);
    return ldexp(1, e < -125 ? -149 : e - 24);
}

static double d_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double d_softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double d_softsign(double x) { return x / (1 + fabs(x)); }
static double d_elu(double x) { return x < 0 ? expm1(x) : x; }
static double d_selu(double x)
{
    return x < 0 ? 1.7580993408473766 * expm1(x) : 1.0507009873554805 * x;
}
static double d_swish(double x) { return x / (1 + exp(-x)); }
static double d_relu(double x) { return x > 0 ? x : 0; }
static double d_relu6(double x) { return x > 6 ? 6 : d_relu(x); }
static double d_leaky_relu(double x) { return x > 0 ? x : (double)0.2f * x; }
static double d_identity(double x) { return x; }
static double d_gelu(double x)
{
    return 0.5 * x * (1 + tanh(0.7978845608 * (x + 0.044715 * x * x * x)));
}
static double d_gelu_erf(double x) { return 0.5 * x * (1 + erf(x * M_SQRT1_2)); }

/* OF_X: the function is x times something between 0 and 1, and may be off by units of x. */
enum scale { OF_Y, OF_X };

static const struct function {
    const char *name;
    float (*f)(float);
    double (*exact)(double);
    double tolerance; /* units in the last place */
    enum scale scale;
} functions[] = {
    {"exp", v_exp, exp, 2, OF_Y},
    {"tanh", v_tanh, tanh, 4, OF_Y},
    {"erf", v_erf, erf, 4, OF_Y},
    {"sigmoid", v_sigmoid, d_sigmoid, 4, OF_Y},
    {"softplus", v_softplus, d_softplus, 4, OF_Y},
    {"softsign", v_softsign, d_softsign, 2, OF_Y},
    {"elu", v_elu, d_elu, 3, OF_Y},
    {"selu", v_selu, d_selu, 4, OF_Y},
    {"swish", v_swish, d_swish, 4, OF_X},
    {"gelu", v_gelu, d_gelu, 4, OF_X},
    {"gelu_erf", v_gelu_erf, d_gelu_erf, 4, OF_X},
    {"relu", v_relu, d_relu, 0, OF_Y},
    {"relu6", v_relu6, d_relu6, 0, OF_Y},
    {"leaky_relu", v_leaky_relu, d_leaky_relu, 0.5, OF_Y},
    {"identity", v_identity, d_identity, 0, OF_Y},
};

static double worst_error(const struct function *f, float *at)
{
    double worst = 0;
    for (uint64_t i = 0; i < UINT64_C(1) << 32; i += 9973) {
        const float x = as_float((uint32_t)i), y = f->f(x);
        const double exact = f->exact((double)x);
        if (x != x || fabsf(x) > 1e30f || (double)y == exact || fabs(exact) > 3.4e38)
            continue;
        const double e = fabs((double)y - exact) / ulp(f->scale == OF_X ? (double)x : exact);
        if (!(e <= worst)) {
            worst = e;
            *at = x;
        }
    }
    return worst;
}

static void functions_are_accurate(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(functions); i++) {
        float at = 0;
        const double worst = worst_error(&functions[i], &at);
        print_message("%-10s %.2f ulp at %a\n", functions[i].name, worst, (double)at);
        assert_true(worst <= functions[i].tolerance);
    }
}

static void nan_stays_nan(void **state)
{
    (void)state;
    static const uint32_t nans[] = {0x7fc00000, 0xffc00000, 0x7f800001,
                                    0xff800001, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < COUNT(functions); i++)
        for (size_t k = 0; k < COUNT(nans); k++)
            assert_true(isnan(functions[i].f(as_float(nans[k]))));
}

static void functions_know_their_ends(void **state)
{
    (void)state;
    assert_int_equal(as_bits(v_exp(-INFINITY)), 0);
    assert_true(v_exp(INFINITY) == INFINITY && v_exp(89) == INFINITY && v_exp(0) == 1 &&
                v_exp(-0.0f) == 1);
    assert_true(v_tanh(INFINITY) == 1 && v_tanh(-INFINITY) == -1 && v_erf(INFINITY) == 1 &&
                v_erf(-INFINITY) == -1);
    assert_int_equal(as_bits(v_tanh(-0.0f)), 0x80000000);
    assert_int_equal(as_bits(v_erf(-0.0f)), 0x80000000);
    assert_true(v_sigmoid(INFINITY) == 1 && v_sigmoid(-INFINITY) == 0 && v_sigmoid(0) == 0.5f);
    assert_true(v_softplus(INFINITY) == INFINITY && v_softplus(-INFINITY) == 0);
    assert_true(v_elu(-INFINITY) == -1 && v_relu(-INFINITY) == 0);
}

/* ---- the fused multiply-add
 * ---------------------------------------------------------------------------------------- */

static void check_fma(float a, float b, float c)
{
    const float y = v_fma(a, b, c), want = fmaf(a, b, c);
    if (as_bits(y) != as_bits(want) && !(isnan(y) && isnan(want)))
        fail_msg("fma(%a, %a, %a) = %a, not %a", (double)a, (double)b, (double)c, (double)y,
                 (double)want);
}

#ifdef SIMD_MULADD
static void fma_rounds_once(void **state) /* twice, here */
{
    (void)state;
    assert_true(v_fma(0x1.001p0f, 0x1.001p0f, -0x1.002p0f) == 0);
    check_fma(3, 4, 5);
}
#else
static void fma_rounds_once(void **state)
{
    (void)state;
    static const float special[] = {
        0,
        1,
        0x1.000002p0f,
        0x1.fffffep-1f,
        0x1.001p0f,
        0x1p-60f,
        0x1p-149f,
        0x1p-126f,
        0x1.fffffcp-127f,
        0x1p-75f,
        0x1.8p-75f,
        0x1p-24f,
        0x1.8p-24f,
        0x1p-25f,
        0x1p63f,
        0x1.fffffep63f,
        0x1.fffffep127f,
        0x1p127f,
        0x1p103f,
        0x1.000002p-75f,
        0x1p-100f,
        3,
        INFINITY,
        NAN,
    };
    assert_true(v_fma(0x1.001p0f, 0x1.001p0f, 0x1p-60f) == 0x1.002002p0f);
    for (size_t i = 0; i < 8 * COUNT(special) * COUNT(special) * COUNT(special); i++) {
        const size_t n = COUNT(special), k = i / 8;
        const float a = special[k % n], b = special[k / n % n], c = special[k / n / n];
        check_fma(i & 1 ? -a : a, i & 2 ? -b : b, i & 4 ? -c : c);
    }
    for (int i = 0; i < 1000000; i++) {
        check_fma(as_float(random_bits()), as_float(random_bits()), as_float(random_bits()));
        const float a = random_float(), b = random_float(), near = a * b;
        check_fma(a, b, -near); /* what is left is the rounding error */
        check_fma(a, b, ldexpf(random_float(), (int)(random_bits() % 100) - 60));
        check_fma(ldexpf(a, -70), ldexpf(b, -70), ldexpf(random_float(), -145));
    }
}

#endif

/* ---- kernels
 * ----------------------------------------------------------------------------------------------------------
 */

static const size_t widths[] = {1,  2,  3,  4,  5,  7,  8,  9,  12, 15, 16,  17,
                                24, 31, 33, 40, 47, 48, 49, 64, 95, 96, 100, 144};
static const size_t row_counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 32};
static const size_t inputs[] = {1, 3, 16, 97};

/* What one call may read and where it writes. Weights have their 16 floats of slack and no more. */
struct data {
    float *x, *w, *plain, *other;
    size_t xs, ys, rows, n, in;
};

static float special_or_random(int special)
{
    static const uint32_t odd[] = {0x7fc00000, 0xffc01234, 0x7f800001, 0x7f800000, 0xff800000,
                                   0x80000000, 0,          1,          0x807fffff, 0x7f7fffff,
                                   0xff7fffff, 0x42b20000, 0xc2d00000};
    return special && random_bits() % 8 == 0 ? as_float(odd[random_bits() % COUNT(odd)])
                                             : random_float();
}

/* A block that ends where the memory ends: sanitizers see a byte read beyond. */
static float *block(size_t floats, int special)
{
    float *p = malloc(floats * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < floats; i++)
        p[i] = special_or_random(special);
    return p;
}

static float *guarded(void)
{
    float *p = malloc((ROWS + 2) * MOST * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < (ROWS + 2) * MOST; i++)
        p[i] = as_float(GUARD);
    return p;
}

static size_t panel_floats(size_t in, size_t out) { return (1 + in) * ((out + 7) / 8 * 8) + 16; }

/* Panels as wide as the layer, or of 48 columns. */
static size_t panel_width(size_t out) { return random_bits() % 2 || out < 48 ? (out + 7) / 8 * 8 : 48; }

static struct data new_data(size_t rows, size_t in, size_t n, size_t x_floats, size_t w_floats,
                            int special)
{
    struct data d = {.rows = rows, .in = in, .n = n};
    d.xs = x_floats + random_bits() % 3;
    d.ys = n + 1 + random_bits() % 5;
    d.x = block((rows - 1) * d.xs + x_floats, special);
    d.w = block(w_floats, special);
    d.plain = guarded();
    d.other = guarded();
    return d;
}

static void free_data(struct data *d)
{
    free(d->x);
    free(d->w);
    free(d->plain);
    free(d->other);
}

/* Of all bits that were compared since it was set; NaNs are alike. */
static uint64_t sum_of_bits;

static void same_bits(const struct data *d, const char *kernel, const char *isa, int exact)
{
    for (size_t i = 0; i < (ROWS + 2) * MOST; i++) {
        const float a = d->plain[i], b = d->other[i];
        if (as_bits(a) != as_bits(b) && (exact || !isnan(a) || !isnan(b) || as_bits(b) == GUARD))
            fail_msg("%s__%s, %zu rows, in %zu, n %zu: float %zu is %a, not %a (ys %zu)", kernel,
                     isa, d->rows, d->in, d->n, i, (double)b, (double)a, d->ys);
        sum_of_bits = (sum_of_bits ^ (isnan(a) ? 0x7fc00000 : as_bits(a))) * UINT64_C(0x100000001b3);
    }
}

/* Nothing but [rows][columns] was written. */
static void guards_hold(const struct data *d, const char *kernel, size_t columns)
{
    for (size_t i = 0; i < (ROWS + 2) * MOST; i++) {
        const int inside =
            i >= MOST && (i - MOST) / d->ys < d->rows && (i - MOST) % d->ys < columns;
        if (!inside && as_bits(d->plain[i]) != GUARD)
            fail_msg("%s, %zu rows, n %zu: wrote float %zu, outside", kernel, d->rows, d->n, i);
        if (inside && as_bits(d->plain[i]) == GUARD)
            fail_msg("%s, %zu rows, n %zu: left out float %zu", kernel, d->rows, d->n, i);
    }
}

static const float *out(const struct data *d, size_t row) { return d->plain + MOST + row * d->ys; }

static void near(double y, double want, double tolerance, const char *kernel)
{
    if (!(fabs(y - want) <= tolerance))
        fail_msg("%s gives %.9g, not %.9g", kernel, y, want);
}

typedef const struct mmoe_kernels tables;

/* relu of none, of some and of all columns; padding up to a multiple of 8 left alone, or free to be written. */
static void check_dense(tables *plain, tables *k, size_t rows, size_t in, size_t n, int special)
{
    const size_t relus[] = {0, n / 2, n};
    for (int i = 0; i < 3; i++) {
        const size_t width = panel_width(n), relu = relus[i], room = random_bits() % 2 ? n : (n + 7) / 8 * 8;
        struct data d = new_data(rows, in, n, in, panel_floats(in, n), special);
        d.ys += room - n;
        plain->dense(d.x, d.xs, rows, d.w, d.plain + MOST, d.ys, in, in, n, n, width, relu, 0);
        guards_hold(&d, "dense", n);
        k->dense(d.x, d.xs, rows, d.w, d.other + MOST, d.ys, in, in, n, room, width, relu, 1);
        for (size_t r = 0; r < rows; r++)
            for (size_t j = n; j < room; j++)
                d.other[MOST + r * d.ys + j] = as_float(GUARD);
        same_bits(&d, "dense", k->isa, 0);
        for (size_t r = 0; r < rows && !special; r++)
            for (size_t j = 0; j < n; j++) {
                const size_t panel = j / width * width,
                             pitch = n - panel < width ? (n - panel + 7) / 8 * 8 : width;
                const float *w = d.w + (1 + in) * panel + (j - panel), *x = d.x + r * d.xs;
                double sum = (double)w[0], size = fabs(sum);
                for (size_t e = 0; e < in; e++) {
                    sum += (double)x[e] * (double)w[(1 + e) * pitch];
                    size += fabs((double)x[e] * (double)w[(1 + e) * pitch]);
                }
                near((double)out(&d, r)[j], j < relu && sum < 0 ? 0 : sum, (double)(in + 1) * size * 0x1p-24,
                     "dense");
            }
        free_data(&d);
    }
}

/* The inputs that all rows have in common, then the others: the chain is the layer's own. Sums of the first part lie in
   one row for all, or in rows of their own; padding is left alone, or free to be written. */
static void check_onto(tables *plain, tables *k, size_t rows, size_t in, size_t n, int special)
{
    for (int each = 0; each < 2; each++) {
        const size_t width = panel_width(n), relu = random_bits() % 3 * n / 2, common = 1 + random_bits() % (in - 1);
        const size_t room = random_bits() % 2 ? n : (n + 7) / 8 * 8, fs = each ? room : 0;
        struct data d = new_data(rows, in, n, in, panel_floats(in, n), special);
        d.ys += room - n;
        for (size_t r = 1; r < rows; r++)
            memcpy(d.x + r * d.xs, d.x, common * sizeof *d.x);
        float *from = block((each ? rows : 1) * room, 0), *y = d.other + MOST;
        plain->dense(d.x, d.xs, rows, d.w, d.plain + MOST, d.ys, in, in, n, n, width, relu, 0);
        k->dense(d.x, d.xs, each ? rows : 1, d.w, from, room, common, in, n, room, width, 0, 0);
        k->onto(d.x + common, d.xs, rows, d.w, from, fs, y, d.ys, in - common, in, n, room, width, relu, 1);
        for (size_t r = 0; r < rows; r++)
            for (size_t j = n; j < room; j++)
                y[r * d.ys + j] = as_float(GUARD);
        same_bits(&d, "onto", k->isa, 0);
        free(from);
        free_data(&d);
    }
}

static void check_narrow(tables *plain, tables *k, size_t rows, size_t in, size_t n, int special)
{
    for (int relu = 0; relu < 2; relu++) {
        struct data d = new_data(rows, in, n, in, (1 + in) * ((n + 3) / 4 * 4), special);
        plain->narrow(d.x, d.xs, rows, d.w, d.plain + MOST, d.ys, in, n, relu);
        k->narrow(d.x, d.xs, rows, d.w, d.other + MOST, d.ys, in, n, relu);
        guards_hold(&d, "narrow", n);
        same_bits(&d, relu ? "narrow, relu" : "narrow", k->isa, 0);
        for (size_t r = 0; r < rows && !special; r++)
            for (size_t j = 0; j < n; j++) {
                const float *w = d.w + (1 + in) * (j / 4 * 4) + j % 4, *x = d.x + r * d.xs;
                double sum = (double)w[0], size = fabs(sum);
                for (size_t i = 0; i < in; i++) {
                    sum += (double)x[i] * (double)w[(1 + i) * 4];
                    size += fabs((double)x[i] * (double)w[(1 + i) * 4]);
                }
                near((double)out(&d, r)[j], relu && sum < 0 ? 0 : sum,
                     (double)(in + 1) * size * 0x1p-24, "narrow");
            }
        free_data(&d);
    }
}

static void check_unary(tables *k, mmoe_unary *plain, mmoe_unary *other, const char *name,
                        size_t rows, size_t n, size_t columns, int special)
{
    struct data d = new_data(rows, 0, n, n, 1, special);
    plain(d.x, d.xs, rows, d.plain + MOST, d.ys, n);
    other(d.x, d.xs, rows, d.other + MOST, d.ys, n);
    guards_hold(&d, name, columns);
    same_bits(&d, name, k->isa, strcmp(name, "store") == 0);
    free_data(&d);
}

/* y == x, ys == xs: the same bits as elsewhere. */
static void check_in_place(mmoe_unary *kernel, const char *name, const char *isa, size_t rows,
                           size_t n)
{
    struct data d = new_data(rows, 0, n, n, 1, 0);
    for (size_t r = 0; r < rows; r++)
        memcpy(d.other + MOST + r * d.ys, d.x + r * d.xs, n * sizeof(float));
    kernel(d.x, d.xs, rows, d.plain + MOST, d.ys, n);
    kernel(d.other + MOST, d.ys, rows, d.other + MOST, d.ys, n);
    same_bits(&d, name, isa, 0);
    free_data(&d);
}

static void check_softmax(tables *plain, size_t rows, size_t n)
{
    struct data d = new_data(rows, 0, n, n, 1, 0);
    plain->softmax(d.x, d.xs, rows, d.plain + MOST, d.ys, n);
    for (size_t r = 0; r < rows; r++) {
        double top = -INFINITY, sum = 0;
        for (size_t j = 0; j < n; j++)
            top = fmax(top, (double)d.x[r * d.xs + j]);
        for (size_t j = 0; j < n; j++)
            sum += exp((double)d.x[r * d.xs + j] - top);
        for (size_t j = 0; j < n; j++) {
            const double want = exp((double)d.x[r * d.xs + j] - top) / sum;
            near((double)out(&d, r)[j], want, 16 * want * 0x1p-24 + 1e-40, "softmax");
        }
    }
    free_data(&d);
}

static void check_dice(tables *plain, tables *k, size_t rows, size_t n, int special)
{
    const size_t pitch = (n + 7) / 8 * 8;
    struct data d = new_data(rows, 0, n, n, 3 * pitch, special);
    plain->dice(d.x, d.xs, rows, d.w, d.plain + MOST, d.ys, n);
    k->dice(d.x, d.xs, rows, d.w, d.other + MOST, d.ys, n);
    guards_hold(&d, "dice", n);
    same_bits(&d, "dice", k->isa, 0);
    for (size_t r = 0; r < rows && !special; r++)
        for (size_t j = 0; j < n; j++) {
            const double x = (double)d.x[r * d.xs + j], alpha = (double)d.w[j];
            const double p = d_sigmoid(x * (double)d.w[pitch + j] + (double)d.w[2 * pitch + j]);
            near((double)out(&d, r)[j], (alpha * (1 - p) + p) * x,
                 64 * 0x1p-24 * (fabs(alpha) + 1) * fabs(x), "dice");
        }
    free_data(&d);
}

static void check_mix(tables *plain, tables *k, size_t rows, size_t experts, size_t n, int special)
{
    struct data d = new_data(rows, experts, n, experts, rows * experts * (n + 1), special);
    size_t at[64][2];
    for (size_t e = 0; e < experts; e++) {
        at[e][0] = (experts - 1 - e) * rows * (n + 1);
        at[e][1] = n + e % 2;
    }
    const size_t(*places)[2] = (const size_t(*)[2])at;
    plain->mix(d.x, d.xs, d.w, places, rows, d.plain + MOST, d.ys, experts, n);
    k->mix(d.x, d.xs, d.w, places, rows, d.other + MOST, d.ys, experts, n);
    guards_hold(&d, "mix", n);
    same_bits(&d, "mix", k->isa, 0);
    for (size_t r = 0; r < rows && !special; r++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0, size = 0;
            for (size_t e = 0; e < experts; e++) {
                const double term =
                    (double)d.x[r * d.xs + e] * (double)d.w[at[e][0] + r * at[e][1] + j];
                sum += term;
                size += fabs(term);
            }
            near((double)out(&d, r)[j], sum, (double)(experts + 1) * size * 0x1p-24, "mix");
        }
    free_data(&d);
}

static void check_ziln(tables *plain, tables *k, size_t rows, int special)
{
    struct data d = new_data(rows, 0, 1, 3, 1, special);
    plain->ziln(d.x, d.xs, rows, d.plain + MOST, d.ys);
    k->ziln(d.x, d.xs, rows, d.other + MOST, d.ys);
    guards_hold(&d, "ziln", 1);
    same_bits(&d, "ziln", k->isa, 0);
    for (size_t r = 0; r < rows && !special; r++) {
        const float *z = d.x + r * d.xs;
        const double sigma = fmin(5, fmax(3.1622777e-4, d_softplus((double)z[2])));
        const double l = (double)z[1] - d_softplus(-(double)z[0]) + 0.5 * sigma * sigma,
                     y = exp(fmin(20, fmax(-100, l)));
        near((double)out(&d, r)[0], y, 64 * 0x1p-24 * y, "ziln");
    }
    free_data(&d);
}

/* ---- rows in lanes ---------------------------------------------------------------------------------------------- */

/* A call over rows by the plain kernels, and the same in lanes. Lanes that have no row hold numbers that must not matter. */
struct lanes {
    struct data d;          /* `plain` is the answer */
    float *x, *y;           /* [columns][LANES] */
    size_t lanes;           /* that are computed */
};

static struct lanes in_lanes(tables *k, struct data d, size_t x_columns)
{
    struct lanes l = {.d = d, .lanes = (d.rows + k->lanes.multiple - 1) / k->lanes.multiple * k->lanes.multiple};
    l.x = block(x_columns * LANES, 1);
    l.y = block((MOST + 2) * LANES, 0);
    for (size_t i = 0; i < (MOST + 2) * LANES; i++)
        l.y[i] = as_float(GUARD);
    for (size_t r = 0; r < d.rows; r++)
        for (size_t j = 0; j < x_columns; j++)
            l.x[j * LANES + r] = d.x[r * d.xs + j];
    return l;
}

static float *result(const struct lanes *l) { return l->y + LANES; }

/* Rows' bits are the plain kernel's; no column but the first `columns` was written, no lane beyond those computed. */
static void lanes_agree(struct lanes *l, const char *kernel, const char *isa, size_t columns)
{
    for (size_t j = 0; j < MOST + 2; j++)
        for (size_t r = 0; r < LANES; r++) {
            const float y = l->y[j * LANES + r];
            const int inside = j > 0 && j <= columns && r < l->lanes;
            const float want = inside && r < l->d.rows ? out(&l->d, r)[j - 1] : as_float(GUARD);
            if (inside ? r < l->d.rows && as_bits(y) != as_bits(want) && !(isnan(y) && isnan(want))
                       : as_bits(y) != GUARD)
                fail_msg("%s__%s in lanes, %zu rows, in %zu, n %zu: column %zu, row %zu is %a, not %a", kernel, isa,
                         l->d.rows, l->d.in, l->d.n, j - 1, r, (double)y, (double)want);
        }
    free(l->x);
    free(l->y);
    free_data(&l->d);
}

static void check_lanes_dense(tables *plain, tables *k, size_t rows, size_t in, size_t n, int special)
{
    const size_t relu = random_bits() % 3 * n / 2;
    struct data d = new_data(rows, in, n, in, panel_floats(in, n), special);
    plain->dense(d.x, d.xs, rows, d.w, d.plain + MOST, d.ys, in, in, n, n, (n + 7) / 8 * 8, relu, 0);
    struct lanes l = in_lanes(k, d, in);
    k->lanes.dense(l.x, l.lanes, d.w, result(&l), in, n, relu);
    lanes_agree(&l, "dense", k->isa, n);
}

/* The inputs that all rows have in common, in one row; then the others. */
static void check_lanes_onto(tables *plain, tables *k, size_t rows, size_t in, size_t n, int special)
{
    const size_t relu = random_bits() % 3 * n / 2, common = 1 + random_bits() % (in - 1), width = (n + 7) / 8 * 8;
    struct data d = new_data(rows, in, n, in, panel_floats(in, n), special);
    for (size_t r = 1; r < rows; r++)
        memcpy(d.x + r * d.xs, d.x, common * sizeof *d.x);
    plain->dense(d.x, d.xs, rows, d.w, d.plain + MOST, d.ys, in, in, n, n, width, relu, 0);
    struct lanes l = in_lanes(k, d, in);
    float *from = block(n, 0);
    k->dense(d.x, d.xs, 1, d.w, from, n, common, in, n, n, width, 0, 0);
    k->lanes.onto(l.x + common * LANES, l.lanes, d.w + common * width, from, result(&l), in - common, n, relu);
    free(from);
    lanes_agree(&l, "onto", k->isa, n);
}

static void check_spread(tables *k, size_t rows, size_t n, int special)
{
    struct data d = new_data(rows, 0, n, n, 1, special);
    for (size_t r = 0; r < rows; r++)
        memcpy(d.plain + MOST + r * d.ys, d.x, n * sizeof *d.x);
    struct lanes l = in_lanes(k, d, n);
    k->lanes.spread(d.x, l.lanes, result(&l), n);
    lanes_agree(&l, "spread", k->isa, n);
}

static void check_lanes_unary(tables *k, mmoe_unary *plain, mmoe_lanes_unary *other, const char *name, size_t rows,
                              size_t n, size_t columns, int special)
{
    struct data d = new_data(rows, 0, n, n, 1, special);
    plain(d.x, d.xs, rows, d.plain + MOST, d.ys, n);
    struct lanes l = in_lanes(k, d, n);
    other(l.x, l.lanes, result(&l), n);
    lanes_agree(&l, name, k->isa, columns);
}

static void check_lanes_dice(tables *plain, tables *k, size_t rows, size_t n, int special)
{
    struct data d = new_data(rows, 0, n, n, 3 * ((n + 7) / 8 * 8), special);
    plain->dice(d.x, d.xs, rows, d.w, d.plain + MOST, d.ys, n);
    struct lanes l = in_lanes(k, d, n);
    k->lanes.dice(l.x, l.lanes, d.w, result(&l), n);
    lanes_agree(&l, "dice", k->isa, n);
}

/* The experts lie behind the gate, the last one first. */
static void check_lanes_mix(tables *plain, tables *k, size_t rows, size_t experts, size_t n, int special)
{
    struct data d = new_data(rows, 0, n, experts * (1 + n), 1, special);
    size_t rows_at[16][2], lanes_at[16];
    for (size_t e = 0; e < experts; e++) {
        const size_t column = experts + (experts - 1 - e) * n;
        rows_at[e][0] = column;
        rows_at[e][1] = d.xs;
        lanes_at[e] = column * LANES;
    }
    plain->mix(d.x, d.xs, d.x, (const size_t(*)[2])rows_at, rows, d.plain + MOST, d.ys, experts, n);
    struct lanes l = in_lanes(k, d, experts * (1 + n));
    k->lanes.mix(l.x, l.x, lanes_at, l.lanes, result(&l), experts, n);
    lanes_agree(&l, "mix", k->isa, n);
}

static void check_lanes_ziln(tables *plain, tables *k, size_t rows, int special)
{
    struct data d = new_data(rows, 0, 1, 3, 1, special);
    plain->ziln(d.x, d.xs, rows, d.plain + MOST, d.ys);
    struct lanes l = in_lanes(k, d, 3);
    k->lanes.ziln(l.x, l.lanes, result(&l));
    lanes_agree(&l, "ziln", k->isa, 1);
}

/* Into lanes and back is the same rows; lanes without a row are zero. */
static void check_load_and_store(tables *k, size_t rows, size_t n, int special)
{
    struct data d = new_data(rows, 0, n, n, 1, special);
    float *y = block((n + 1) * LANES, 0);
    k->lanes.load(d.x, d.xs, rows, y, n);
    for (size_t j = 0; j < n; j++)
        for (size_t r = 0; r < (rows + k->lanes.multiple - 1) / k->lanes.multiple * k->lanes.multiple; r++)
            if (as_bits(y[j * LANES + r]) != (r < rows ? as_bits(d.x[r * d.xs + j]) : 0))
                fail_msg("load__%s, %zu rows of %zu: column %zu, row %zu", k->isa, rows, n, j, r);
    k->store(d.x, d.xs, rows, d.plain + MOST, d.ys, n);
    k->lanes.store(y, rows, d.other + MOST, d.ys, n);
    same_bits(&d, "store", k->isa, 1);
    free(y);
    free_data(&d);
}

static const char *const act_names[] = {
#define ACT(name, ...) "act_" #name,
#include "../compiler/acts.def"
#undef ACT
};

static void check_width(tables *plain, tables *k, size_t rows, size_t n, int special)
{
    for (size_t i = 0; i < COUNT(inputs); i++) {
        check_dense(plain, k, rows, inputs[i], n, special);
        if (inputs[i] > 1)
            check_onto(plain, k, rows, inputs[i], n, special);
        check_narrow(plain, k, rows, inputs[i], n, special);
    }
    for (size_t a = 0; a < MMOE_N_ACTS; a++) {
        check_unary(k, plain->act[a], k->act[a], act_names[a], rows, n, n, special);
        check_in_place(k->act[a], act_names[a], k->isa, rows, n);
    }
    check_unary(k, plain->softmax, k->softmax, "softmax", rows, n, n, special);
    check_in_place(k->softmax, "softmax", k->isa, rows, n);
    check_softmax(plain, rows, n);
    check_unary(k, plain->copy, k->copy, "copy", rows, n, n, special);
    check_unary(k, plain->store, k->store, "store", rows, n, n, special);
    check_unary(k, plain->max, k->max, "max", rows, n, 1, special);
    check_unary(k, plain->argmax, k->argmax, "argmax", rows, n, 1, special);
    check_dice(plain, k, rows, n, special);
    for (size_t e = 1; e <= 64; e *= 4)
        check_mix(plain, k, rows, e, n, special);
    check_ziln(plain, k, rows, special);
}

static void check_lanes_width(tables *plain, tables *k, size_t rows, size_t n, int special)
{
    const struct mmoe_lanes *l = &k->lanes;
    for (size_t i = 0; i < COUNT(inputs); i++) {
        check_lanes_dense(plain, k, rows, inputs[i], n, special);
        if (inputs[i] > 1)
            check_lanes_onto(plain, k, rows, inputs[i], n, special);
    }
    for (size_t a = 0; a < MMOE_N_ACTS; a++)
        check_lanes_unary(k, plain->act[a], l->act[a], act_names[a], rows, n, n, special);
    check_lanes_unary(k, plain->softmax, l->softmax, "softmax", rows, n, n, special);
    check_lanes_unary(k, plain->copy, l->copy, "copy", rows, n, n, special);
    check_lanes_unary(k, plain->max, l->max, "max", rows, n, 1, special);
    check_lanes_unary(k, plain->argmax, l->argmax, "argmax", rows, n, 1, special);
    check_lanes_dice(plain, k, rows, n, special);
    for (size_t e = 1; e <= 16; e *= 4)
        check_lanes_mix(plain, k, rows, e, n, special);
    check_lanes_ziln(plain, k, rows, special);
    check_load_and_store(k, rows, n, special);
    check_spread(k, rows, n, special);
}

#ifdef TEST_TABLE
extern const struct mmoe_kernels TEST_TABLE;
enum { ONE_TABLE = 1 };
static tables *best(void) { return &TEST_TABLE; }
#else
enum { ONE_TABLE = 0 };
#ifdef SIMD_MULADD
static tables *best(void) { return mmoe_kernels_named("muladd"); }
#else
static tables *best(void) { return mmoe_kernels_best(); }
#endif
#endif

static uint64_t check_table(tables *plain, tables *k)
{
    print_message("kernels of %s\n", k->isa);
    seed = SEED;
    sum_of_bits = 0;
    for (int special = 0; special < 2; special++)
        for (size_t i = 0; i < COUNT(widths); i++)
            for (size_t r = 0; r < COUNT(row_counts); r++)
                check_width(plain, k, row_counts[r], widths[i], special);
    const uint64_t sum = sum_of_bits;
    for (int special = 0; special < 2; special++)
        for (size_t i = 0; i < COUNT(widths); i++)
            for (size_t r = 0; r < COUNT(row_counts); r++)
                check_lanes_width(plain, k, row_counts[r], widths[i], special);
    return sum;
}

static void instruction_sets_give_the_same_bits(void **state)
{
    (void)state;
#if defined TEST_TABLE
    tables *list[] = {&TEST_TABLE};
#elif defined SIMD_MULADD
    tables *list[] = {mmoe_kernels_named("muladd")};
#else
    tables *list[] = {mmoe_kernels_named("plain"), mmoe_kernels_named("avx2"),
                      mmoe_kernels_named("avx512"), mmoe_kernels_named("neon")};
#endif
#ifdef SIMD_MULADD
    tables *plain = list[0];
#else
    tables *plain = mmoe_kernels_named("plain");
#endif
    assert_non_null(plain);
    const uint64_t sum = check_table(plain, list[0]);
    for (size_t t = 1; t < COUNT(list); t++)
        if (list[t])
            assert_true(check_table(plain, list[t]) == sum);
    print_message("sum of bits %016llx\n", (unsigned long long)sum);
}

static void a_row_does_not_see_its_batch(void **state)
{
    (void)state;
    tables *k = best();
    struct data d = new_data(ROWS, 97, 100, 97, panel_floats(97, 100), 0);
    k->dense(d.x, d.xs, ROWS, d.w, d.plain + MOST, d.ys, 97, 97, 100, 100, 48, 100, 0);
    for (size_t r = 0, n; r < ROWS; r += n) {
        n = 1 + r % 5 < ROWS - r ? 1 + r % 5 : ROWS - r;
        k->dense(d.x + r * d.xs, d.xs, n, d.w, d.other + MOST + r * d.ys, d.ys, 97, 97, 100, 100, 48,
                 100, 0);
    }
    same_bits(&d, "dense", k->isa, 1);
    free_data(&d);
}

static void heads_are_as_specified(void **state)
{
    (void)state;
    tables *k = best();
    const float z[3] = {0.3f, 1.2f, -0.7f}, nan_first[3] = {NAN, 1, 2},
                nan_last[3] = {1, 2, as_float(0xffc01234)};
    const float tie[4] = {-1, 5, 5, -0.0f}, gap[2] = {-INFINITY, 0};
    float y[4];
    k->ziln(z, 3, 1, y, 1);
    assert_true(fabs((double)y[0] - 2.068707985) < 1e-6);
    k->argmax(tie, 4, 1, y, 1, 4);
    assert_true(y[0] == 1);
    for (int i = 0; i < 2; i++) {
        k->argmax(i ? nan_first : nan_last, 3, 1, y, 1, 3);
        assert_true(isnan(y[0]));
        k->max(i ? nan_first : nan_last, 3, 1, y, 1, 3);
        assert_true(isnan(y[0]));
        k->softmax(i ? nan_first : nan_last, 3, 1, y, 3, 3);
        assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]));
    }
    k->store(nan_last, 3, 1, y, 3, 3);
    assert_int_equal(as_bits(y[2]), 0x7fc00000);
    k->softmax(gap, 2, 1, y, 2, 2);
    assert_true(as_bits(y[0]) == 0 && y[1] == 1);
}

/* ---- times ----------------------------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The best of some rounds, in nanoseconds a call. */
#define TIME(what, call)                                                        \
    do {                                                                        \
        double best = 1;                                                        \
        for (int round = 0; round < 7; round++) {                               \
            const double begin = seconds();                                     \
            for (int i = 0; i < 200; i++)                                       \
                call;                                                           \
            const double took = (seconds() - begin) / 200;                      \
            best = took < best ? took : best;                                   \
        }                                                                       \
        print_message("%-7s %-28s %10.1f ns\n", k->isa, what, best * 1e9);      \
    } while (0)

#define BOTH(name, rows_call, lanes_call) TIME(name, rows_call); TIME(name " in lanes", lanes_call)
#define WIDTH 48 /* columns of x and y; of 8 experts */

#define TIME_DENSE(name)                                                                            \
    BOTH(#name, k->name(x, WIDTH, LANES, w, y, WIDTH, WIDTH, WIDTH, WIDTH, WIDTH, 48, WIDTH, 0),    \
         k->lanes.name(x, LANES, w, y, WIDTH, WIDTH, WIDTH))
#define TIME_ONTO(name)                                                                             \
    BOTH(#name, k->name(x, WIDTH, LANES, w, x, 0, y, WIDTH, WIDTH, WIDTH, WIDTH, WIDTH, 48, WIDTH, 0), \
         k->lanes.name(x, LANES, w, x, y, WIDTH, WIDTH, WIDTH))
#define TIME_SPREAD(name) TIME(#name " over lanes", k->lanes.name(x, LANES, y, WIDTH))
#define TIME_NARROW(name) TIME(#name, k->name(x, WIDTH, LANES, w, y, WIDTH, WIDTH, WIDTH, 1))
#define TIME_UNARY(name) BOTH(#name, k->name(x, WIDTH, LANES, y, WIDTH, WIDTH), k->lanes.name(x, LANES, y, WIDTH))
#define TIME_DICE(name) BOTH(#name, k->name(x, WIDTH, LANES, w, y, WIDTH, WIDTH), k->lanes.name(x, LANES, w, y, WIDTH))
#define TIME_MIX(name)                                                                              \
    BOTH(#name, k->name(x, WIDTH, w, rows_at, LANES, y, WIDTH, 8, WIDTH),                           \
         k->lanes.name(x, w, lanes_at, LANES, y, 8, WIDTH))
#define TIME_ZILN(name) BOTH(#name, k->name(x, WIDTH, LANES, y, WIDTH), k->lanes.name(x, LANES, y))
#define TIME_STORE(name)                                                                            \
    BOTH(#name, k->name(x, WIDTH, LANES, y, WIDTH, WIDTH), k->lanes.name(x, LANES, y, WIDTH, WIDTH))
#define TIME_NARROW(name) TIME(#name, k->name(x, WIDTH, LANES, w, y, WIDTH, WIDTH, WIDTH, 1))
#define TIME_LOAD(name) TIME(#name " into lanes", k->lanes.name(x, WIDTH, LANES, y, WIDTH))
#define TIME_ACT(name)                                                                              \
    for (size_t a = 0; a < MMOE_N_ACTS; a++) {                                                      \
        TIME(act_names[a], k->act[a](x, WIDTH, LANES, y, WIDTH, WIDTH));                            \
        TIME("the same in lanes", k->lanes.act[a](x, LANES, y, WIDTH));                             \
    }

static void time_table(tables *k)
{
    float *x = block(WIDTH * LANES, 0), *y = block(WIDTH * LANES, 0), *w = block(8 * WIDTH * LANES + 16, 0);
    size_t at[8][2], lanes_at[8];
    for (size_t e = 0; e < 8; e++) {
        at[e][0] = lanes_at[e] = e * WIDTH * LANES;
        at[e][1] = WIDTH;
    }
    const size_t(*rows_at)[2] = (const size_t(*)[2])at;
    print_message("%d rows of %d columns: of dense inputs too, of mix %d experts; ziln one output\n", LANES, WIDTH, 8);
#define KERNEL(name, file, form) TIME_##form(name);
#include "../templates/kernels.def"
#undef KERNEL
    free(x);
    free(y);
    free(w);
}

static int time_all(void)
{
    static const char *const isas[] = {"avx512", "avx2", "neon", "plain", "muladd"};
    for (size_t i = 0; i < COUNT(isas); i++)
        if (mmoe_kernels_named(isas[i]))
            time_table(mmoe_kernels_named(isas[i]));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--time") == 0)
        return time_all();
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest of_functions[] = {
        cmocka_unit_test(functions_are_accurate),
        cmocka_unit_test(nan_stays_nan),
        cmocka_unit_test(functions_know_their_ends),
        cmocka_unit_test(fma_rounds_once),
    };
    const struct CMUnitTest of_kernels[] = {
        cmocka_unit_test(instruction_sets_give_the_same_bits),
        cmocka_unit_test(a_row_does_not_see_its_batch),
        cmocka_unit_test(heads_are_as_specified),
    };
    const int failed = ONE_TABLE ? 0 : cmocka_run_group_tests(of_functions, NULL, NULL);
    return failed + cmocka_run_group_tests(of_kernels, NULL, NULL);
}
