// SPDX-License-Identifier: Apache-2.0
/* number.c: texts as numbers, exactly as TensorFlow's string_to_number and decode_csv read them.
 *
 * Whole numbers: spaces, a sign, digits, spaces; nothing else, and no overflow. Floats, below 32 bytes: spaces, a sign,
 * then decimal with an exponent, 0x and hexadecimal digits, inf or nan in any case, spaces. A text of spaces alone is
 * 0, an empty one an error. Sources: tensorflow/core/platform/numbers.cc (safe_strto32, safe_strtof), which hands floats
 * to double-conversion's StringToDoubleConverter with leading and trailing spaces, hexadecimal and any case allowed.
 *
 * A float is the one nearest to the decimal, ties to even. The text is so short that this needs no cleverness: digits and
 * power of ten become two whole numbers of many words, their quotient is taken to 64 bits, and the rest says whether the
 * decimal lies above it. Few digits and a small power, that is nearly all texts there are, need one multiplication of
 * doubles (W. D. Clinger, How to read floating point numbers accurately, 1990). No locale.
 *
 * How to read it: whole numbers; numbers of many words; quotient and rounding; the short way; the syntax.
 */
#include "mmoec.h"

#include <math.h>
#include <string.h>

#define LONGEST_FLOAT 31            /* bytes: TensorFlow's buffer has 32 */
#define WORDS 48                    /* 1536 bits: 30 digits, 10^343 and 64 bits more */
#define LARGEST_EXPONENT 400        /* of ten: beyond, every number of so few digits is 0 or infinite */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* ---- whole numbers --------------------------------------------------------------------------- */

bool text_to_int(const char *text, size_t n, int64_t least, int64_t most, int64_t *to)
{
    const char *p = text, *end = text + n;
    uint64_t value = 0, limit = (uint64_t)most;
    while (p < end && is_space(*p))
        p++;
    bool minus = p < end && *p == '-';
    if (minus)
        limit = (uint64_t)0 - (uint64_t)least;
    p += p < end && (*p == '-' || *p == '+');
    if (p == end || !is_digit(*p))
        return false;
    for (; p < end && is_digit(*p); p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (limit - digit) / 10 || limit < digit)
            return false;
        value = value * 10 + digit;
    }
    while (p < end && is_space(*p))
        p++;
    *to = minus ? (int64_t)(0 - value) : (int64_t)value;
    return p == end;
}

/* ---- numbers of many words --------------------------------------------------------------------- */

struct big {
    uint32_t word[WORDS];           /* the lowest first */
};

static void times_plus(struct big *b, uint32_t factor, uint32_t plus)
{
    uint64_t carry = plus;
    for (int i = 0; i < WORDS; i++) {
        carry += (uint64_t)b->word[i] * factor;
        b->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static int bits_of(const struct big *b)
{
    for (int i = WORDS - 1; i >= 0; i--)
        for (int k = 31; b->word[i] && k >= 0; k--)
            if (b->word[i] >> k & 1)
                return 32 * i + k + 1;
    return 0;
}

static void shift_left(struct big *b, int bits)
{
    struct big from = *b;
    memset(b, 0, sizeof *b);
    for (int i = WORDS - 1; i >= bits / 32; i--) {
        int at = i - bits / 32;
        b->word[i] = from.word[at] << bits % 32;
        if (bits % 32 && at)
            b->word[i] |= from.word[at - 1] >> (32 - bits % 32);
    }
}

static int order(const struct big *a, const struct big *b)
{
    for (int i = WORDS - 1; i >= 0; i--)
        if (a->word[i] != b->word[i])
            return a->word[i] < b->word[i] ? -1 : 1;
    return 0;
}

static void subtract(struct big *a, const struct big *b)
{
    int64_t borrow = 0;
    for (int i = 0; i < WORDS; i++) {
        borrow += (int64_t)a->word[i] - b->word[i];
        a->word[i] = (uint32_t)borrow;
        borrow >>= 32;              /* arithmetic: 0 or -1 */
    }
}

/* ---- quotient and rounding ------------------------------------------------------------------- */

/* x = digits * 10^exponent as 64 bits, the first of them set, times 2^power; the last is set, too, if there is a rest. */
static uint64_t quotient(struct big *digits, int exponent, int *power)
{
    struct big divisor = {{1}};
    for (int i = 0; i < exponent; i++)
        times_plus(digits, 10, 0);
    for (int i = 0; i > exponent; i--)
        times_plus(&divisor, 10, 0);
    int shift = bits_of(digits) - bits_of(&divisor);
    shift_left(shift > 0 ? &divisor : digits, shift > 0 ? shift : -shift);
    if (order(digits, &divisor) < 0) {
        shift_left(digits, 1);
        shift--;
    }
    uint64_t q = 0;
    for (int i = 0; i < 64; i++) {
        bool bit = order(digits, &divisor) >= 0;
        if (bit)
            subtract(digits, &divisor);
        q = q << 1 | bit;
        shift_left(digits, 1);
    }
    *power = shift - 63;
    return q | (bits_of(digits) != 0);
}

/* To `bits` of precision, the smallest exponent being `least` (that of the last bit of a subnormal). */
static double nearest(uint64_t q, int power, int bits, int least)
{
    int drop = 64 - bits;
    if (power + drop < least)
        drop = least - power;
    if (drop > 64)
        return 0;
    uint64_t kept = drop == 64 ? 0 : q >> drop;
    uint64_t half = UINT64_C(1) << (drop - 1), rest = drop == 64 ? q : q & ((half << 1) - 1);
    if (rest > half || (rest == half && (kept & 1)))
        kept++;
    return ldexp((double)kept, power + drop);
}

/* ---- the short way ----------------------------------------------------------------------------- */

/* Both operands are exact and there is one rounding; a float is then right, too, unless the double is the middle between
   two floats, where its own rounding may have lost on which side the decimal lies. */
static bool is_short(const struct big *digits, int exponent, int bits, double *to)
{
    static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (exponent < -22 || exponent > 22)
        return false;
    for (int i = 2; i < WORDS; i++)
        if (digits->word[i])
            return false;
    uint64_t whole = (uint64_t)digits->word[1] << 32 | digits->word[0], pattern;
    if (whole >> 53)
        return false;
    *to = exponent < 0 ? (double)whole / tens[-exponent] : (double)whole * tens[exponent];
    memcpy(&pattern, to, sizeof pattern);
    return bits == 53 || (pattern & 0x1fffffff) != 0x10000000;
}

/* ---- the syntax -------------------------------------------------------------------------------- */

static bool is_word(const char *p, const char *end, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i < n; i++)
        if (p + i >= end || (p[i] | 0x20) != word[i])
            return false;
    return p + n == end;
}

static int hex_digit(char c)
{
    char lower = (char)(c | 0x20);
    return is_digit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool read_hexadecimal(const char *p, const char *end, struct big *to)
{
    const char *first = p;
    for (; p < end && hex_digit(*p) >= 0; p++)
        times_plus(to, 16, (uint32_t)hex_digit(*p));
    return p > first && p == end;
}

/* An exponent with its sign, held to what matters. */
static bool read_exponent(const char **at, const char *end, int *exponent)
{
    const char *p = *at;
    bool minus = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    int value = 0;
    if (p == end || !is_digit(*p))
        return false;
    for (; p < end && is_digit(*p); p++)
        value = value < 10 * LARGEST_EXPONENT ? 10 * value + (*p - '0') : value;
    *exponent += minus ? -value : value;
    *at = p;
    return true;
}

static bool read_decimal(const char *p, const char *end, struct big *to, int *exponent)
{
    int digits = 0;
    for (; p < end && is_digit(*p); p++, digits++)
        times_plus(to, 10, (uint32_t)(*p - '0'));
    if (p < end && *p == '.')
        for (p++; p < end && is_digit(*p); p++, digits++, --*exponent)
            times_plus(to, 10, (uint32_t)(*p - '0'));
    if (!digits)
        return false;
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (!read_exponent(&p, end, exponent))
            return false;
    }
    return p == end;
}

/* What stands after the sign. */
static bool read_size(const char *p, const char *end, int bits, int least, double *to)
{
    struct big digits = {{0}};
    int exponent = 0, power;
    *to = is_word(p, end, "nan") ? (double)NAN : (double)INFINITY;
    if (is_word(p, end, "nan") || is_word(p, end, "inf"))
        return true;
    bool hexadecimal = end - p > 1 && p[0] == '0' && (p[1] | 0x20) == 'x';
    if (!(hexadecimal ? read_hexadecimal(p + 2, end, &digits) : read_decimal(p, end, &digits, &exponent)))
        return false;
    if (!bits_of(&digits) || exponent < -LARGEST_EXPONENT)
        *to = 0;
    else if (exponent > LARGEST_EXPONENT - 60)
        *to = (double)INFINITY;
    else if (!is_short(&digits, exponent, bits, to)) {
        uint64_t q = quotient(&digits, exponent, &power);
        *to = nearest(q, power, bits, least);
    }
    return true;
}

static bool parse(const char *text, size_t n, int bits, int least, double *to)
{
    const char *p = text, *end = text + n;
    if (!n || n > LONGEST_FLOAT)
        return false;
    while (p < end && is_space(*p))
        p++;
    *to = 0;
    if (p == end)
        return true;
    while (is_space(end[-1]))
        end--;
    bool minus = *p == '-';
    p += *p == '-' || *p == '+';
    if (!read_size(p, end, bits, least, to))
        return false;
    *to = minus ? -*to : *to;
    return true;
}

bool text_to_double(const char *text, size_t n, double *to) { return parse(text, n, 53, -1074, to); }

bool text_to_float(const char *text, size_t n, float *to)
{
    double x;
    if (!parse(text, n, 24, -149, &x))
        return false;
    *to = x >= 0x1p128 ? INFINITY : x <= -0x1p128 ? -INFINITY : (float)x;      /* exact */
    return true;
}
