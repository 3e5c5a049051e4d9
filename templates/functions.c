// SPDX-License-Identifier: Apache-2.0
/* functions.c: functions of a number, as normalizer_fn names them, without libm.
 *
 * Computed in double and rounded once to float. Errors in double are a few units of its last place, 2^-27 of a float's,
 * so a result is the float next to the true value but where that lies so near to the middle of two floats. Special
 * values are libm's: NaN for NaN and outside of a function's domain, the sign of zeros. Which NaN is not promised.
 *
 * The same bits whatever the compiler and its flags: all operations are IEEE's, each rounded as it stands. Only a
 * product that meets a sum may be contracted with it, and then it is not rounded; so such a product is made by
 * product_of(), or is exact and has nothing to round.
 *
 * Series are Taylor's, with as many terms as a double sees: what is cut off is below 2^-57 of the result.
 *
 * One chunk a function, named like it. A file holds those that it calls, and those that they call, which stand above
 * them. A comment names no function that its own does not call. Needs no libc.
 */
#ifndef FUNCTIONS_C
#define FUNCTIONS_C
#include <stdint.h>

/*@ begin double_bits */
static uint64_t double_bits(double x)
{
    const union { double d; uint64_t u; } pun = {x};
    return pun.u;
}
/*@ end */

/*@ begin bits_double */
static double bits_double(uint64_t bits)
{
    const union { uint64_t u; double d; } pun = {bits};
    return pun.d;
}
/*@ end */

/*@ begin product_of */
/* The rounded product. Compilers may see an addition after the call is inlined, but not that what they read from a
   volatile object is a product. */
static double product_of(double a, double b)
{
    const volatile double product = a * b;
    return product;
}
/*@ end */

/*@ begin two_to */
/* From -1022 to 1023. */
static double two_to(int power) { return bits_double((uint64_t)(power + 1023) << 52); }
/*@ end */

/*@ begin exp_rest */
/* exp(x) - 1 for |x| <= ln 2 / 2 = 0.347: x + x^2 / 2! + ... + x^14 / 14!. */
static double exp_rest(double x)
{
    static const double factors[] = {
        1.0 / 87178291200.0, 1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0, 1.0 / 362880.0,
        1.0 / 40320.0, 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5,
    };
    double sum = 0;
    for (int i = 0; i < 13; i++)
        sum = factors[i] + product_of(sum, x);
    return product_of(x, 1 + product_of(x, sum));
}
/*@ end */

/*@ begin exp_of */
/* For any double. x = n ln 2 + r; the power of two is applied in two halves, for it may be beyond what a double holds
   when the result is not. The first part of ln 2 (fdlibm, e_exp.c) has 32 bits: its product with n is exact. */
static double exp_of(double x)
{
    if (x > 710)
        return bits_double(UINT64_C(0x7ff) << 52);
    if (x < -746)
        return 0;
    if (x != x)
        return x;
    const int n = (int)(product_of(x, 0x1.71547652b82fep+0) + (x < 0 ? -0.5 : 0.5)), half = n / 2;
    const double r = x - n * 0x1.62e42feep-1 - product_of(n, 0x1.a39ef35793c76p-33);
    return product_of((1 + exp_rest(r)) * two_to(half), two_to(n - half));
}
/*@ end */

/*@ begin expm1_of */
/* exp(x) - 1 for any double. Outside of the series the subtraction multiplies exp_of's error by less than 3.5. */
static double expm1_of(double x) { return x > -0.34 && x < 0.34 ? exp_rest(x) : exp_of(x) - 1; }
/*@ end */

/*@ begin twice_atanh */
/* log((1 + s) / (1 - s)) = 2 (s + s^3 / 3 + ... + s^21 / 21), for |s| <= 0.172. */
static double twice_atanh(double s)
{
    const double s2 = product_of(s, s);
    double sum = 0;
    for (int k = 21; k > 1; k -= 2)
        sum = 1.0 / k + product_of(sum, s2);
    return 2 * (s + product_of(product_of(s, s2), sum));
}
/*@ end */

/*@ begin log_of */
/* For any double. x = 2^n m with m between sqrt(1/2) and sqrt(2), log m = 2 atanh((m - 1) / (m + 1)). The product of n
   and the first part of ln 2 is exact. */
static double log_of(double x)
{
    if (!(x > 0))
        return bits_double((x == 0 ? UINT64_C(0xfff0) : UINT64_C(0x7ff8)) << 48);
    const int tiny = x < 0x1p-1022;
    const uint64_t bits = double_bits(tiny ? x * 0x1p54 : x);
    if (bits >> 52 == 0x7ff)
        return x;
    int n = (int)(bits >> 52) - (tiny ? 1077 : 1023);
    double m = bits_double((bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(0x3ff) << 52);
    if (m > 0x1.6a09e667f3bcdp+0) {
        m *= 0.5;
        n++;
    }
    return n * 0x1.62e42feep-1 + (product_of(n, 0x1.a39ef35793c76p-33) + twice_atanh((m - 1) / (m + 1)));
}
/*@ end */

/*@ begin float_like */
/* |x| with the sign of `sign`. */
static float float_like(float x, float sign)
{
    const union { float f; uint32_t u; } size = {x}, of = {sign};
    const union { uint32_t u; float f; } pun = {(size.u & UINT32_C(0x7fffffff)) | (of.u & UINT32_C(0x80000000))};
    return pun.f;
}
/*@ end */

/*@ begin quarters */
/* |x| = (n + f) pi / 2 with f between -1/2 and 1/2, for finite x from 1/2 on: returns n modulo 4. x is a whole number
   times 2^power; of the bits of 2 / pi those above weight 2^(1 - power) give multiples of 4 in n, those that follow the
   next 128 less than 2^-102 in f (M. Payne and R. Hanek, Radian reduction for trigonometric functions, 1983). So the
   product modulo 2^128 is two bits of n and 126 bits of f. */
static int quarters(float x, double *f)
{
    static const uint32_t two_over_pi[] = {
        0, UINT32_C(0xa2f9836e), UINT32_C(0x4e441529), UINT32_C(0xfc2757d1), UINT32_C(0xf534ddc0),
        UINT32_C(0xdb629599), UINT32_C(0x3c439041), UINT32_C(0xfe5163ab), UINT32_C(0xdebbc561),
    };
    const uint64_t bits = double_bits(x), whole = (bits >> 29 & 0x7fffff) | 0x800000;
    const int power = (int)(bits >> 52 & 0x7ff) - 1046, first = 30 + power;    /* of the bits of the table */
    uint32_t product[4];
    uint64_t carry = 0;
    for (int i = 3; i >= 0; i--) {
        const uint32_t *word = two_over_pi + first / 32 + i;
        const uint32_t part = (uint32_t)(((uint64_t)word[0] << 32 | word[1]) >> (32 - first % 32));
        carry += part * whole;
        product[i] = (uint32_t)carry;
        carry >>= 32;
    }
    const uint64_t high = (uint64_t)product[0] << 32 | product[1], low = (uint64_t)product[2] << 32 | product[3];
    const uint64_t top = high << 2 | low >> 62;
    *f = (double)(int64_t)top * 0x1p-64 + (double)(low << 2) * 0x1p-128;
    return (int)(high >> 62) + (int)(top >> 63);
}
/*@ end */

/*@ begin alternating */
/* sin(x) / x from k = 17, cos(x) from k = 16, for |x| <= pi / 4: 1 - x^2 / 2 or 6 + ... */
static double alternating(double x2, int k)
{
    double sum = 1;
    for (; k > 1; k -= 2)
        sum = 1 - product_of(x2, sum) / (k * (k - 1));
    return sum;
}
/*@ end */

/*@ begin sine */
/* sin(x + n pi / 2) */
static double sine(float x, int n)
{
    double r = x, f;
    if (!(float_like(x, 0) <= 0x1.fffffep127f))
        return bits_double(UINT64_C(0x7ff8) << 48);
    if (float_like(x, 0) >= 0.5f) {
        const int more = quarters(x, &f);
        n += x < 0 ? 4 - more : more;
        r = product_of(x < 0 ? -f : f, 0x1.921fb54442d18p+0);
    }
    const double r2 = product_of(r, r), y = n & 1 ? alternating(r2, 16) : product_of(r, alternating(r2, 17));
    return n & 2 ? -y : y;
}
/*@ end */

/*@ begin fn_identity */
static float fn_identity(float x) { return x; }
/*@ end */

/*@ begin fn_abs */
static float fn_abs(float x) { return float_like(x, 0); }
/*@ end */

/*@ begin fn_relu */
static float fn_relu(float x) { return x <= 0 ? 0 : x; }
/*@ end */

/*@ begin fn_square */
/* The product is exact in double; what is returned is no product that a sum could take. */
static float fn_square(float x) { return (float)product_of(x, x); }
/*@ end */

/*@ begin fn_round */
/* Ties to even: from 2^23 to 2^24 floats are whole numbers, and the sum is rounded to one. */
static float fn_round(float x)
{
    const float size = float_like(x, 0);
    return size < 0x1p23f ? float_like(size + 0x1p23f - 0x1p23f, x) : x;
}
/*@ end */

/*@ begin fn_floor */
static float fn_floor(float x)
{
    const float near = fn_round(x);
    return near > x ? near - 1 : near;
}
/*@ end */

/*@ begin fn_ceil */
static float fn_ceil(float x) { return -fn_floor(-x); }
/*@ end */

/*@ begin fn_sqrt */
/* Newton's steps from half the exponent, which is off by at most 6 %: 2e-3, 2e-6, 2e-12, then a unit or two in the last
   place. That rounds to the right float: let m, between 1 and 2, be the middle of two floats, an odd number times
   2^-24, and x, below 4, a float, a multiple of 2^-23. Then x - m^2 is an odd number times 2^-48 and not 0, hence
   |sqrt(x) - m| = |x - m^2| / (sqrt(x) + m) > 2^-50: four units in the last place of a double. */
static float fn_sqrt(float x)
{
    if (x < 0)
        return (float)bits_double(UINT64_C(0x7ff8) << 48);
    if (!(x > 0 && x < bits_double(UINT64_C(0x7ff) << 52)))
        return x;
    double root = bits_double((double_bits(x) >> 1) + (UINT64_C(0x3ff) << 51));
    for (int i = 0; i < 4; i++)
        root = 0.5 * (root + x / root);
    return (float)root;
}
/*@ end */

/*@ begin fn_exp */
static float fn_exp(float x) { return (float)exp_of(x); }
/*@ end */

/*@ begin fn_expm1 */
static float fn_expm1(float x) { return (float)expm1_of(x); }
/*@ end */

/*@ begin fn_log */
static float fn_log(float x) { return (float)log_of(x); }
/*@ end */

/*@ begin fn_log1p */
/* 1 + x = (1 + s) / (1 - s) with s = x / (2 + x), where rounding 1 + x would lose digits of x. */
static float fn_log1p(float x)
{
    return (float)(x > -0.25f && x < 0.25f ? twice_atanh(x / (2.0 + x)) : log_of(1.0 + x));
}
/*@ end */

/*@ begin fn_sigmoid */
static float fn_sigmoid(float x) { return (float)(1 / (1 + exp_of(-x))); }
/*@ end */

/*@ begin fn_sin */
static float fn_sin(float x) { return (float)sine(x, 0); }
/*@ end */

/*@ begin fn_cos */
static float fn_cos(float x) { return (float)sine(x, 1); }
/*@ end */

/*@ begin fn_tanh */
/* e / (e + 2) with e = exp(2 x) - 1, for x below 0, where e is; elsewhere by symmetry. */
static float fn_tanh(float x)
{
    const double e = expm1_of(x > 0 ? -2.0 * x : 2.0 * x), below = e / (e + 2);
    return (float)(x > 0 ? -below : below);
}
/*@ end */

#endif
