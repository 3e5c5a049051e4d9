// SPDX-License-Identifier: Apache-2.0
/* sha256.c: SHA-256, plainly; sha256_x86.c: its blocks by the processor's own instructions.
 *
 * Names and steps are those of FIPS 180-4; the section is said beside each.
 */
#include "sha256.h"

#include <string.h>

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of 64 primes. */
const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

static uint32_t word(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* 6.2.2, step 1. */
static void make_schedule(uint32_t w[64], const unsigned char block[64])
{
    for (int t = 0; t < 16; t++)
        w[t] = word(block + 4 * t);
    for (int t = 16; t < 64; t++) {
        uint32_t x = w[t - 2], y = w[t - 15];
        w[t] = (rotr(x, 17) ^ rotr(x, 19) ^ x >> 10) + w[t - 7] +
               (rotr(y, 7) ^ rotr(y, 18) ^ y >> 3) + w[t - 16];
    }
}

/* 6.2.2, steps 2 to 4. */
static void add_block(uint32_t h[8], const unsigned char block[64])
{
    uint32_t w[64];
    make_schedule(w, block);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], last = h[7];
    for (int t = 0; t < 64; t++) {
        uint32_t t1 = last + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) +
                      sha256_constants[t] + w[t];
        uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        last = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += last;
}

void sha256_blocks_plain(uint32_t h[8], const unsigned char *blocks, size_t n)
{
    for (; n > 0; n--, blocks += 64)
        add_block(h, blocks);
}

static void add_blocks(uint32_t h[8], const unsigned char *blocks, size_t n)
{
#if defined __x86_64__
    if (sha256_x86_runs()) {
        sha256_blocks_x86(h, blocks, n);
        return;
    }
#endif
    sha256_blocks_plain(h, blocks, n);
}

/* 5.3.3. */
void sha256_init(struct sha256 *s)
{
    static const struct sha256 empty = {
        .h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
              0x5be0cd19},
    };
    *s = empty;
}

void sha256_update(struct sha256 *s, const void *bytes, size_t length)
{
    const unsigned char *p = bytes;
    size_t waiting = s->bytes % 64;
    s->bytes += length;
    if (waiting + length >= 64) {
        size_t n = 64 - waiting;
        memcpy(s->block + waiting, p, n);
        add_blocks(s->h, s->block, 1);
        p += n;
        length -= n;
        add_blocks(s->h, p, length / 64);
        p += length / 64 * 64;
        length %= 64;
        waiting = 0;
    }
    if (length) /* p may be NULL otherwise */
        memcpy(s->block + waiting, p, length);
}

/* 5.1.1: a bit 1, zeros, the length in bits as the last eight bytes of a block. */
void sha256_final(struct sha256 *s, unsigned char digest[32])
{
    const uint64_t bits = s->bytes * 8;
    unsigned char end[72] = {0x80};
    size_t zeros = (119 - s->bytes % 64) % 64;
    for (int i = 0; i < 8; i++)
        end[1 + zeros + (size_t)i] = (unsigned char)(bits >> (56 - 8 * i));
    sha256_update(s, end, 1 + zeros + 8);
    for (int i = 0; i < 32; i++)
        digest[i] = (unsigned char)(s->h[i / 4] >> (24 - i % 4 * 8));
}

void sha256(const void *bytes, size_t length, unsigned char digest[32])
{
    struct sha256 s;
    sha256_init(&s);
    sha256_update(&s, bytes, length);
    sha256_final(&s, digest);
}
