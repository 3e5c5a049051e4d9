// SPDX-License-Identifier: Apache-2.0
/* decimal.c: a float as %.9g prints it, which is enough to get the same float back.
 *
 * Nearly all scores are between 1e-4 and 2^23. There, the first nine digits are the float's 24 bits times a power of ten
 * that together fit into 64 bits, so that one multiplication, a shift and a rounding to even are exact. printf prints
 * what is left over.
 */
#include "mmoec.h"

#include <math.h>
#include <string.h>

#define DIGITS 9
#define LEAST 1e-4                  /* below, %g takes exponents */
#define MOST 0x1p23f                /* above, there are no bits behind the point to round */

/* x = 0.d1d2...d9 * 10^*point; the digits as one number. They do not round up to ten: the floats nearest below powers of
   ten are farther from them than half of a ninth digit. */
static uint32_t nine_digits(float x, int *point)
{
    static const double ends[] = {1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7};
    static const uint64_t tens[] = {1000000000000, 100000000000, 10000000000, 1000000000, 100000000, 10000000,
                                    1000000, 100000, 10000, 1000, 100};
    uint32_t bits;
    int i = 0;
    memcpy(&bits, &x, sizeof bits);
    while ((double)x >= ends[i])
        i++;
    int shift = 150 - (int)(bits >> 23 & 0xff);     /* x = its 24 bits / 2^shift */
    uint64_t scaled = (uint64_t)((bits & 0x7fffff) | 0x800000) * tens[i];
    uint64_t digits = scaled >> shift, rest = scaled & ((UINT64_C(1) << shift) - 1), half = UINT64_C(1) << (shift - 1);
    *point = i - 3;
    return (uint32_t)(digits + (rest > half || (rest == half && (digits & 1))));
}

static size_t print_positive(char *to, float x)
{
    int point;
    size_t n = DIGITS;
    char digit[DIGITS];
    uint32_t digits = nine_digits(x, &point);
    for (int i = DIGITS - 1; i >= 0; i--, digits /= 10)
        digit[i] = (char)('0' + digits % 10);
    size_t whole = point > 0 ? (size_t)point : 0;
    while (n > 1 && n > whole && digit[n - 1] == '0')
        n--;
    if (!whole) {
        size_t zeros = 2 + (size_t)-point;
        memcpy(to, "0.000", zeros);
        memcpy(to + zeros, digit, n);
        return zeros + n;
    }
    memcpy(to, digit, whole);
    if (n == whole)
        return n;
    to[whole] = '.';
    memcpy(to + whole + 1, digit + whole, n - whole);
    return n + 1;
}

size_t print_float(char to[FLOAT_TEXT], float x)
{
    bool minus = x < 0;
    float size = minus ? -x : x;
    if (!((double)size >= LEAST && size < MOST))
        return (size_t)snprintf(to, FLOAT_TEXT, isnan(x) ? "nan" : "%.9g", (double)x);
    if (minus)
        *to = '-';
    return print_positive(to + minus, size) + minus;
}
