// SPDX-License-Identifier: Apache-2.0
/* fingerprint.c: FarmHash's Fingerprint64, by which TensorFlow hashes texts into buckets.
 *
 * Source: google/farmhash, src/farmhash.cc, farmhashna::Hash64; the combination of two fingerprints is that of
 * TensorFlow's core/platform/fingerprint.h. All arithmetic is modulo 2^64, all loads are little-endian. Needs no
 * libc, so that the same text serves the compiler and generated files.
 *
 * How to read it: loads and rotations; short texts by length; long texts, 64 bytes at a time; the combination.
 */
#ifndef FINGERPRINT_C
#define FINGERPRINT_C
#include <stddef.h>
#include <stdint.h>

/*@ begin fingerprint */
#define FP_K0 UINT64_C(0xc3a5c85c97cb3127)
#define FP_K1 UINT64_C(0xb492b66fbe98f273)
#define FP_K2 UINT64_C(0x9ae16a3b2f90404f)

static inline uint64_t fp_32(const unsigned char *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static inline uint64_t fp_64(const unsigned char *p) { return fp_32(p) | fp_32(p + 4) << 32; }

static inline uint64_t fp_rotate(uint64_t v, int right) { return v >> right | v << (64 - right); }

static inline uint64_t fp_mix(uint64_t v) { return v ^ v >> 47; }

static inline uint64_t fp_pair(uint64_t u, uint64_t v, uint64_t m)
{
    uint64_t a = fp_mix((u ^ v) * m);
    return fp_mix((v ^ a) * m) * m;
}

/* Up to 16 bytes. */
static uint64_t fp_short(const unsigned char *s, size_t n)
{
    uint64_t m = FP_K2 + 2 * (uint64_t)n;
    if (n >= 8) {
        uint64_t a = fp_64(s) + FP_K2, b = fp_64(s + n - 8);
        return fp_pair(fp_rotate(b, 37) * m + a, (fp_rotate(a, 25) + b) * m, m);
    }
    if (n >= 4)
        return fp_pair((uint64_t)n + (fp_32(s) << 3), fp_32(s + n - 4), m);
    if (n == 0)
        return FP_K2;
    uint64_t y = (uint64_t)s[0] + ((uint64_t)s[n >> 1] << 8), z = (uint64_t)n + ((uint64_t)s[n - 1] << 2);
    return fp_mix(y * FP_K2 ^ z * FP_K0) * FP_K2;
}

/* 17 to 32 bytes. */
static uint64_t fp_middle(const unsigned char *s, size_t n)
{
    uint64_t m = FP_K2 + 2 * (uint64_t)n;
    uint64_t a = fp_64(s) * FP_K1, b = fp_64(s + 8), c = fp_64(s + n - 8) * m, d = fp_64(s + n - 16) * FP_K2;
    return fp_pair(fp_rotate(a + b, 43) + fp_rotate(c, 30) + d, a + fp_rotate(b + FP_K2, 18) + c, m);
}

/* 33 to 64 bytes. */
static uint64_t fp_upper(const unsigned char *s, size_t n)
{
    uint64_t m = FP_K2 + 2 * (uint64_t)n;
    uint64_t a = fp_64(s) * FP_K2, b = fp_64(s + 8), c = fp_64(s + n - 8) * m, d = fp_64(s + n - 16) * FP_K2;
    uint64_t y = fp_rotate(a + b, 43) + fp_rotate(c, 30) + d;
    uint64_t z = fp_pair(y, a + fp_rotate(b + FP_K2, 18) + c, m);
    uint64_t e = fp_64(s + 16) * m, f = fp_64(s + 24);
    uint64_t g = (y + fp_64(s + n - 32)) * m, h = (z + fp_64(s + n - 24)) * m;
    return fp_pair(fp_rotate(e + f, 43) + fp_rotate(g, 30) + h, e + fp_rotate(f + a, 18) + g, m);
}

/* Of a long text: x, y, z and the pairs v, w. */
struct fp_state {
    uint64_t x, y, z, v[2], w[2];
};

static inline void fp_weak(const unsigned char *s, uint64_t a, uint64_t b, uint64_t to[2])
{
    uint64_t z = fp_64(s + 24);
    a += fp_64(s);
    b = fp_rotate(b + a + z, 21);
    uint64_t c = a;
    a += fp_64(s + 8) + fp_64(s + 16);
    b += fp_rotate(a, 44);
    to[0] = a + z;
    to[1] = b + c;
}

/* 64 bytes; `m` and `nine` are other numbers for the last of them. */
static inline void fp_round(struct fp_state *h, const unsigned char *s, uint64_t m, uint64_t nine)
{
    uint64_t z;
    h->x = fp_rotate(h->x + h->y + h->v[0] + fp_64(s + 8), 37) * m;
    h->y = fp_rotate(h->y + h->v[1] + fp_64(s + 48), 42) * m;
    h->x ^= h->w[1] * nine;
    h->y += h->v[0] * nine + fp_64(s + 40);
    z = fp_rotate(h->z + h->w[0], 33) * m;
    fp_weak(s, h->v[1] * m, h->x + h->w[0], h->v);
    fp_weak(s + 32, z + h->w[1], h->y + fp_64(s + 16), h->w);
    h->z = h->x;
    h->x = z;
}

static inline void fp_begin(struct fp_state *h, const unsigned char *s)
{
    h->x = 81 * FP_K2 + fp_64(s);
    h->y = 81 * FP_K1 + 113;
    h->z = fp_mix(h->y * FP_K2 + 113) * FP_K2;
    h->v[0] = h->v[1] = h->w[0] = h->w[1] = 0;
}

/* `last`: the last 64 of n bytes. */
static uint64_t fp_end(struct fp_state *h, const unsigned char *last, size_t n)
{
    uint64_t m = FP_K1 + ((h->z & 0xff) << 1);
    h->w[0] += (uint64_t)(n - 1) & 63;
    h->v[0] += h->w[0];
    h->w[0] += h->v[0];
    fp_round(h, last, m, 9);
    return fp_pair(fp_pair(h->v[0], h->w[0], m) + fp_mix(h->y) * FP_K0 + h->z, fp_pair(h->v[1], h->w[1], m) + h->x, m);
}

/* More than 64 bytes: all full blocks of 64, then the last 64 bytes, which may overlap them. */
static uint64_t fp_long(const unsigned char *s, size_t n)
{
    struct fp_state h;
    fp_begin(&h, s);
    for (size_t i = 0; i < (n - 1) / 64 * 64; i += 64)
        fp_round(&h, s + i, FP_K1, 1);
    return fp_end(&h, s + n - 64, n);
}

static uint64_t fp_hash(const unsigned char *s, size_t n)
{
    return n <= 16 ? fp_short(s, n) : n <= 32 ? fp_middle(s, n) : n <= 64 ? fp_upper(s, n) : fp_long(s, n);
}

/*@ end */
/*@ begin fingerprint_cat */
/* TensorFlow's FingerprintCat64: of crossed features. */
static uint64_t fp_cat(uint64_t a, uint64_t b)
{
    const uint64_t m = UINT64_C(0xc6a4a7935bd1e995);
    uint64_t r = (a ^ m ^ fp_mix(b * m) * m) * m;
    return fp_mix(fp_mix(r) * m);
}
/*@ end */

#endif
