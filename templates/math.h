// SPDX-License-Identifier: Apache-2.0
/* math.h: functions of one vector, in the words of simd.h.
 *
 * One chunk a function, named like it. A generated file holds those that its kernels call, and those that they call;
 * there each name ends in the instruction set's. The operations are the same everywhere, so the bits are. Products
 * meet sums only inside v_fma: nothing is left for a compiler to contract. Every function gives NaN for NaN.
 * v_within says where a value lies, for the analysis of --proof, which sees intervals and not what numbers have to do
 * with each other; __FRAMAC__ marks what that analysis sees in place of operations on bits.
 * Coefficients: coefficients.py. Largest errors, in units in the last place, are those that tests/test_kernels.c
 * measured; its table has the tolerances.
 */
#ifndef MMOE_MATH_H
#define MMOE_MATH_H
#include "simd.h"

/*@ begin v_abs */
static inline TARGET vf v_abs(vf x)
{
#ifdef __FRAMAC__
    return x < 0 ? -x : x;
#else
    return v_float(u_and(v_bits(x), u_all(UINT32_C(0x7fffffff))));
#endif
}
/*@ end */

/*@ begin v_minus_abs */
static inline TARGET vf v_minus_abs(vf x)
{
#ifdef __FRAMAC__
    return x < 0 ? x : -x;
#else
    return v_float(u_or(v_bits(x), u_all(UINT32_C(0x80000000))));
#endif
}
/*@ end */

/*@ begin v_one_nan */
/* Every NaN becomes 0x7fc00000. The analysis knows no bits of a NaN, and would see one where there is none. */
static inline TARGET vf v_one_nan(vf x)
{
#ifdef __FRAMAC__
    return x;
#else
    return v_select(v_eq(x, x), x, v_float(u_all(UINT32_C(0x7fc00000))));
#endif
}
/*@ end */

/*@ begin v_like */
/* x, not negative, with the sign of `sign`. */
static inline TARGET vf v_like(vf x, vf sign)
{
#ifdef __FRAMAC__
    return sign < 0 ? -x : x;
#else
    return v_float(u_or(v_bits(x), u_and(v_bits(sign), u_all(UINT32_C(0x80000000)))));
#endif
}
/*@ end */

/*@ begin v_reduce */
/* x = n ln 2 + r with |r| <= ln 2 / 2; returns exp(r) - 1. Adding 1.5 * 2^23 rounds to the integer, which then stands
   in the low bits: *n holds 0x4b400000 + n. The first part of ln 2 has 9 bits: its products with n are exact. */
static inline TARGET vf v_reduce(vf x, vu *n)
{
    const vf magic = v_all(12582912.0f);
    const vf t = v_fma(x, v_all(0x1.715476p+0f), magic), i = v_sub(t, magic);
    const vf r = v_fma(i, v_all(0x1.bd0106p-13f), v_fma(i, v_all(-0x1.63p-1f), x));
    vf p = v_all(0x1.6a335ep-10f);
    p = v_fma(p, r, v_all(0x1.12394cp-7f));
    p = v_fma(p, r, v_all(0x1.5558d8p-5f));
    p = v_fma(p, r, v_all(0x1.555492p-3f));
    p = v_fma(p, r, v_all(0x1.fffffcp-2f));
    *n = v_bits(t);
    return v_fma(v_mul(r, r), p, r);
}
/*@ end */

/*@ begin v_exp */
/* exp(x). 0 below -104, infinity above 89. The power of two is applied in two halves, since 2^n alone may be beyond
   what a float holds when the result is not. n + 254 is positive, its halves are the exponents plus 127. A caller may
   add to the result: contracting that sum with the last product changes nothing, for a product with a power of two is
   exact, or too small to count beside 1. */
static inline TARGET vf v_exp(vf x)
{
    vu n;
    const vf q = v_reduce(v_min(v_all(89.0f), v_max(v_all(-104.0f), x)), &n);
    const vu m = u_sub(n, u_all(UINT32_C(0x4b400000) - 254));
    const vf a = v_float(u_shl(u_shr(m, 1), 23)), b = v_float(u_shl(u_shr(u_add(m, u_all(UINT32_C(1))), 1), 23));
    return v_mul(v_fma(a, q, a), b);
}
/*@ end */

/*@ begin v_expm1 */
/* exp(x) - 1 for x up to 80; what is above counts as 80. */
static inline TARGET vf v_expm1(vf x)
{
    vu n;
    const vf q = v_reduce(v_min(v_all(80.0f), v_max(v_all(-80.0f), x)), &n);
    const vf a = v_float(u_shl(u_sub(n, u_all(UINT32_C(0x4b400000) - 127)), 23));
    return v_fma(a, q, v_sub(a, v_all(1.0f)));
}
/*@ end */

/*@ begin v_identity */
static inline TARGET vf v_identity(vf x) { return x; }
/*@ end */

/*@ begin v_relu */
static inline TARGET vf v_relu(vf x) { return v_max(v_all(0.0f), x); }
/*@ end */

/*@ begin v_relu6 */
static inline TARGET vf v_relu6(vf x) { return v_min(v_all(6.0f), v_max(v_all(0.0f), x)); }
/*@ end */

/*@ begin v_leaky_relu */
static inline TARGET vf v_leaky_relu(vf x)
{
    return v_select(v_lt(x, v_all(0.0f)), v_mul(v_all(0.2f), x), x);
}
/*@ end */

/*@ begin v_elu */
static inline TARGET vf v_elu(vf x)
{
    return v_select(v_lt(x, v_all(0.0f)), v_within(v_expm1(x), v_all(-1.0f), v_all(0.0f)), x);
}
/*@ end */

/*@ begin v_selu */
static inline TARGET vf v_selu(vf x)
{
    const vm below = v_lt(x, v_all(0.0f));
    const vf y = v_select(below, v_within(v_expm1(x), v_all(-1.0f), v_all(0.0f)), x);
    return v_mul(y, v_select(below, v_all(1.7580993408473766f), v_all(1.0507009873554805f)));
}
/*@ end */

/*@ begin v_tanh */
/* (e - 1) / (e + 1) with e = exp(2 |x|); from 10 on that is 1. */
static inline TARGET vf v_tanh(vf x)
{
    const vf a = v_min(v_all(10.0f), v_abs(x)), e = v_within(v_expm1(v_add(a, a)), v_all(0.0f), v_all(5e8f));
    return v_like(v_within(v_div(e, v_add(e, v_all(2.0f))), v_all(0.0f), v_all(1.0f)), x);
}
/*@ end */

/*@ begin v_erf */
/* Below 1 a polynomial in x^2; above, 1 - exp(x Q(x)); from 4 on that is 1. */
static inline TARGET vf v_erf(vf x)
{
    const vf a = v_abs(x), x2 = v_within(v_mul(x, x), v_all(0.0f), v_all(1.0f)), t = v_min(v_all(4.0f), a);
    vf p = v_all(0x1.496a32p-14f);
    p = v_fma(p, x2, v_all(-0x1.a3f7p-11f));
    p = v_fma(p, x2, v_all(0x1.5405b2p-8f));
    p = v_fma(p, x2, v_all(-0x1.b7f90ep-6f));
    p = v_fma(p, x2, v_all(0x1.ce2cf8p-4f));
    p = v_fma(p, x2, v_all(-0x1.81273ep-2f));
    p = v_fma(p, x2, v_all(0x1.06eba8p-3f));
    vf q = v_all(0x1.b9bfcep-13f);
    q = v_fma(q, t, v_all(-0x1.a1b7fap-9f));
    q = v_fma(q, t, v_all(0x1.75879ap-6f));
    q = v_fma(q, t, v_all(-0x1.ae8e3cp-4f));
    q = v_fma(q, t, v_all(-0x1.458bb4p-1f));
    q = v_fma(q, t, v_all(-0x1.07208ap-3f));
    const vf above = v_within(v_expm1(v_fma(q, t, v_sub(v_all(0.0f), t))), v_all(-1.0f), v_all(0.0f));
    const vf y = v_select(v_lt(a, v_all(1.0f)), v_fma(p, a, a), v_sub(v_all(0.0f), above));
    return v_like(v_within(y, v_all(0.0f), v_all(1.0f)), x);
}
/*@ end */

/*@ begin v_gelu */
static inline TARGET vf v_gelu(vf x)
{
    const vf cubic = v_fma(v_mul(v_mul(x, x), v_all(0.044715f)), x, x), half = v_mul(v_all(0.5f), x);
    return v_fma(half, v_tanh(v_mul(v_all(0.7978845608f), cubic)), half);
}
/*@ end */

/*@ begin v_gelu_erf */
static inline TARGET vf v_gelu_erf(vf x)
{
    const vf half = v_mul(v_all(0.5f), x);
    return v_fma(half, v_erf(v_mul(v_all(0x1.6a09e6p-1f), x)), half);
}
/*@ end */

/*@ begin v_exp_minus */
/* exp(-|x|) */
static inline TARGET vf v_exp_minus(vf x) { return v_within(v_exp(v_minus_abs(x)), v_all(0.0f), v_all(1.0f)); }
/*@ end */

/*@ begin v_sigmoid */
/* 1 / (1 + e) or e / (1 + e), with e = exp(-|x|): small results keep their digits. */
static inline TARGET vf v_sigmoid(vf x)
{
    const vf e = v_exp_minus(x), one = v_all(1.0f);
    return v_div(v_select(v_lt(x, v_all(0.0f)), e, one), v_add(one, e));
}
/*@ end */

/*@ begin v_softplus */
/* max(x, 0) + log(1 + u), u = exp(-|x|); log(1 + u) = 2 atanh(s), s = u / (2 + u) <= 1/3. */
static inline TARGET vf v_softplus(vf x)
{
    const vf u = v_exp_minus(x), s = v_div(u, v_add(v_all(2.0f), u)), s2 = v_mul(s, s);
    vf p = v_all(0x1.208bdp-3f);
    p = v_fma(p, s2, v_all(0x1.1e510ap-3f));
    p = v_fma(p, s2, v_all(0x1.99dae6p-3f));
    p = v_fma(p, s2, v_all(0x1.5554ep-2f));
    p = v_fma(p, s2, v_all(1.0f));
    return v_fma(v_mul(v_all(2.0f), s), p, v_max(v_all(0.0f), x));
}
/*@ end */

/*@ begin v_softsign */
static inline TARGET vf v_softsign(vf x)
{
    return v_within(v_div(x, v_add(v_all(1.0f), v_abs(x))), v_all(-1.0f), v_all(1.0f));
}
/*@ end */

/*@ begin v_swish */
static inline TARGET vf v_swish(vf x) { return v_mul(x, v_sigmoid(x)); }
/*@ end */

/*@ begin v_dice */
/* EasyRec's Dice: p = sigmoid(x scale + shift), y = (alpha (1 - p) + p) x. */
static inline TARGET vf v_dice(vf x, vf alpha, vf scale, vf shift)
{
    const vf p = v_sigmoid(v_fma(x, scale, shift));
    return v_mul(v_fma(v_sub(v_all(1.0f), p), alpha, p), x);
}
/*@ end */

/*@ begin v_ziln */
/* The mean of EasyRec's zero-inflated log-normal head, from three logits (zero_inflated_lognormal.py):
 *
 *     sigma = clip(softplus(z2), sqrt(1e-7), 5);  y = exp(clip(-softplus(-z0) + z1 + sigma^2 / 2, -100, 20))
 */
static inline TARGET vf v_ziln(vf z0, vf z1, vf z2)
{
    const vf inflated = v_softplus(v_sub(v_all(0.0f), z0));
    const vf sigma = v_min(v_all(5.0f), v_max(v_all(3.1622777e-4f), v_softplus(z2)));
    const vf l = v_fma(v_mul(v_all(0.5f), sigma), sigma, v_sub(z1, inflated));
    return v_exp(v_min(v_all(20.0f), v_max(v_all(-100.0f), l)));
}
/*@ end */

#endif
