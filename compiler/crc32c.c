// SPDX-License-Identifier: Apache-2.0
/* CRC-32C (Castagnoli), the checksum of TensorFlow's checkpoints.
 *
 * Reflected polynomial 0x82f63b78, initial value and final xor 0xffffffff; crc32c of "123456789" is
 * 0xe3069283.
 *
 * The idea: a crc is linear, so the crc of a byte is the xor of the crcs of its bits. The eight
 * tables of the plain path (table[k][b]: byte b followed by k zero bytes) are therefore written by
 * the preprocessor from 64 numbers, the crcs of single bits; they are constants, and no thread has
 * to make them first. Eight bytes go at a time ("slicing by 8"). x86 and ARM have the same crc as
 * an instruction, several times as fast.
 *
 * How to read it: the tables, plain(), fastest() of each machine, crc32c().
 */
#include <string.h>

#include "mmoec.h"

#define BIT(b, i, crc) (((b) >> (i) & 1) ? (crc) : 0u)
#define BYTE(b, c0, c1, c2, c3, c4, c5, c6, c7)                                                   \
    (BIT(b, 0, c0) ^ BIT(b, 1, c1) ^ BIT(b, 2, c2) ^ BIT(b, 3, c3) ^ BIT(b, 4, c4) ^              \
     BIT(b, 5, c5) ^ BIT(b, 6, c6) ^ BIT(b, 7, c7))
#define FOUR(b, ...)                                                                              \
    BYTE(b, __VA_ARGS__), BYTE(b + 1, __VA_ARGS__), BYTE(b + 2, __VA_ARGS__),                     \
        BYTE(b + 3, __VA_ARGS__)
#define SIXTEEN(b, ...)                                                                           \
    FOUR(b, __VA_ARGS__), FOUR(b + 4, __VA_ARGS__), FOUR(b + 8, __VA_ARGS__),                     \
        FOUR(b + 12, __VA_ARGS__)
#define SIXTY_FOUR(b, ...)                                                                        \
    SIXTEEN(b, __VA_ARGS__), SIXTEEN(b + 16, __VA_ARGS__), SIXTEEN(b + 32, __VA_ARGS__),          \
        SIXTEEN(b + 48, __VA_ARGS__)
#define ROW(...)                                                                                  \
    { SIXTY_FOUR(0, __VA_ARGS__), SIXTY_FOUR(64, __VA_ARGS__), SIXTY_FOUR(128, __VA_ARGS__),      \
      SIXTY_FOUR(192, __VA_ARGS__) }

/* Arguments of row k: the crcs of the bytes 1, 2, 4, ..., 128, each followed by k zero bytes. */
static const uint32_t table[8][256] = {
    ROW(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf,
        0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
    ROW(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8,
        0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
    ROW(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5,
        0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
    ROW(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6,
        0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
    ROW(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91,
        0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
    ROW(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f,
        0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
    ROW(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53,
        0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
    ROW(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da,
        0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664),
};

static uint32_t load32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t plain(uint32_t crc, const unsigned char *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t a = load32(p) ^ crc, b = load32(p + 4);
        crc = table[7][a & 0xff] ^ table[6][a >> 8 & 0xff] ^ table[5][a >> 16 & 0xff] ^
              table[4][a >> 24] ^ table[3][b & 0xff] ^ table[2][b >> 8 & 0xff] ^
              table[1][b >> 16 & 0xff] ^ table[0][b >> 24];
    }
    while (n--)
        crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
    return crc;
}

#if defined(__x86_64__)

/* Builtins and not <nmmintrin.h>: headers of intrinsics belong to templates/simd.h. */

static unsigned long long load64(const unsigned char *p)
{
    unsigned long long word;
    memcpy(&word, p, 8);
    return word;
}

/* The instruction takes three cycles, and can begin in each: three parts of STREAM bytes go side by
 * side. Then a part is followed by the zeros that the parts behind it stand for, which multiplies its
 * crc by x^(8 zeros) modulo the polynomial: a carry-less product with x^(8 zeros - 33), whose 64 bits
 * the crc instruction reduces (it multiplies by x^32, and the product of reflected numbers lacks one x). */
#define STREAM 10880 /* a multiple of 8; three fit into the chunks in which files are read */
#define ONE_STREAM_ON 0x0c8774a7u   /* x^(8 STREAM - 33), reflected */
#define TWO_STREAMS_ON 0xecce298eu  /* x^(16 STREAM - 33) */

typedef long long pair __attribute__((vector_size(16)));

__attribute__((target("sse4.2,pclmul"))) static uint32_t followed_by_zeros(uint64_t crc,
                                                                           uint32_t power)
{
    pair a = {(long long)crc, 0}, b = {(long long)power, 0};
    pair product = (pair)__builtin_ia32_pclmulqdq128(a, b, 0);
    return (uint32_t)__builtin_ia32_crc32di(0, (unsigned long long)product[0]);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t with_sse42(uint32_t crc,
                                                                    const unsigned char *p, size_t n)
{
    for (; n >= 3 * STREAM; n -= 3 * STREAM, p += 3 * STREAM) {
        unsigned long long a = crc, b = 0, c = 0;
        for (size_t i = 0; i < STREAM; i += 8) {
            a = __builtin_ia32_crc32di(a, load64(p + i));
            b = __builtin_ia32_crc32di(b, load64(p + STREAM + i));
            c = __builtin_ia32_crc32di(c, load64(p + 2 * STREAM + i));
        }
        crc = followed_by_zeros(a, TWO_STREAMS_ON) ^ followed_by_zeros(b, ONE_STREAM_ON) ^
              (uint32_t)c;
    }
    for (; n >= 8; n -= 8, p += 8)
        crc = (uint32_t)__builtin_ia32_crc32di(crc, load64(p));
    return plain(crc, p, n);
}

static uint32_t fastest(uint32_t crc, const unsigned char *p, size_t n)
{
    bool can = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
    return can ? with_sse42(crc, p, n) : plain(crc, p, n);
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32) && defined(__ARM_ACLE)
#include <arm_acle.h>

static uint32_t fastest(uint32_t crc, const unsigned char *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8)
        crc = __crc32cd(crc, (uint64_t)load32(p) | (uint64_t)load32(p + 4) << 32);
    return plain(crc, p, n);
}

#else

static uint32_t fastest(uint32_t crc, const unsigned char *p, size_t n)
{
    return plain(crc, p, n);
}

#endif

uint32_t crc32c(uint32_t crc, const void *bytes, size_t n)
{
    return ~fastest(~crc, bytes, n);
}
