// SPDX-License-Identifier: Apache-2.0
/* number.c: texts as numbers, exactly as TensorFlow's string_to_number and decode_csv read them, and numbers as texts.
 *
 * Whole numbers: spaces, a sign, digits, spaces; nothing else, and no overflow. Floats, below 32 bytes: spaces, a sign,
 * then decimal with an exponent, 0x and hexadecimal digits, inf or nan in any case, spaces. A text of spaces alone is
 * 0, an empty one an error. Sources: tensorflow/core/platform/numbers.cc (safe_strto32, safe_strtof), which hands
 * floats to double-conversion's StringToDoubleConverter with leading and trailing spaces, hexadecimal and any case
 * allowed.
 *
 * A float is the one nearest to the decimal, ties to even. The text is so short that this needs no cleverness: digits
 * and power of ten become two whole numbers of many words, their quotient is taken to 64 bits, and the rest says
 * whether the decimal lies above it. Few digits and a small power, that is nearly all texts there are, need one
 * multiplication of doubles (W. D. Clinger, How to read floating point numbers accurately, 1990). No locale.
 *
 * Printing is as exact: a double is a whole number times a power of two, so its digits are those of a whole number of
 * many words, rounded once, ties to even, as glibc's printf does it.
 *
 * Needs no libc, so that the same text serves the compiler and generated files. No loop here fills or copies memory:
 * compilers would make calls of memset and memcpy. A file holds the chunks that it calls, after those that they need:
 *
 *     chunk           defines                         needs
 *     letters         kinds of bytes                  -
 *     read_whole      read_whole                      letters
 *     big             numbers of many words           -
 *     read            what the next two share         letters, big
 *     read_float      read_float                      read
 *     read_double     read_double                     read
 *     print_whole     print_whole                     -
 *     print_fixed     print_fixed, FIXED_ROOM         big
 *
 * What reads gives 1 if TensorFlow takes the text, and 0 if it refuses it; what prints gives the length and writes no
 * final NUL.
 */
#ifndef NUMBER_C
#define NUMBER_C
#include <stddef.h>
#include <stdint.h>

/*@ begin letters */
static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int is_digit(char c) { return c >= '0' && c <= '9'; }
/*@ end */

/*@ begin read_whole */
/* The bounds are those of a signed type. */
static int read_whole(const char *text, size_t n, int64_t least, int64_t most, int64_t *to)
{
    const char *p = text, *end = text + n;
    uint64_t value = 0, limit = (uint64_t)most;
    while (p < end && is_space(*p))
        p++;
    const int minus = p < end && *p == '-';
    if (minus)
        limit = (uint64_t)0 - (uint64_t)least;
    p += p < end && (*p == '-' || *p == '+');
    if (p == end || !is_digit(*p))
        return 0;
    for (; p < end && is_digit(*p); p++) {
        const uint64_t digit = (uint64_t)(*p - '0');
        if (value > (limit - digit) / 10 || limit < digit)
            return 0;
        value = value * 10 + digit;
    }
    while (p < end && is_space(*p))
        p++;
    *to = minus ? (int64_t)(0 - value) : (int64_t)value;
    return p == end;
}
/*@ end */

/*@ begin big */
/* Whole numbers of many words. 1536 bits: 31 digits and 10^340 to read, 10^400 to divide by; 2^1024 10^100 to print. */
#define BIG_WORDS 48

struct big {
    int n;                              /* of the words that count; the last of them is not 0 */
    uint32_t word[BIG_WORDS];           /* the lowest first */
};

static void big_set(struct big *b, uint64_t x)
{
    for (b->n = 0; x > 0; x >>= 32)
        b->word[b->n++] = (uint32_t)x;
}

static void big_times_plus(struct big *b, uint32_t factor, uint32_t plus)
{
    uint64_t carry = plus;
    for (int i = 0; i < b->n; i++) {
        carry += (uint64_t)b->word[i] * factor;
        b->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry)
        b->word[b->n++] = (uint32_t)carry;
}

static void big_tens(struct big *b, int power)
{
    for (; power > 0; power--)
        big_times_plus(b, 10, 0);
}

static void big_shift(struct big *b, int bits)
{
    for (; bits > 31; bits -= 31)
        big_times_plus(b, UINT32_C(1) << 31, 0);
    big_times_plus(b, UINT32_C(1) << bits, 0);
}
/*@ end */

/*@ begin read */
#define LONGEST_FLOAT 31                /* bytes: TensorFlow's buffer has 32 */
#define LARGEST_EXPONENT 400            /* of ten: beyond, every number of so few digits is 0 or infinite */

static int big_bits(const struct big *b)
{
    int bits = 32 * b->n;
    while (bits > 0 && !(b->word[b->n - 1] >> (bits - 1) % 32 & 1))
        bits--;
    return bits;
}

static int big_below(const struct big *a, const struct big *b)
{
    if (a->n != b->n)
        return a->n < b->n;
    int i = a->n - 1;
    while (i > 0 && a->word[i] == b->word[i])
        i--;
    return i >= 0 && a->word[i] < b->word[i];
}

/* a - b, where b is not above a. */
static void big_subtract(struct big *a, const struct big *b)
{
    uint32_t borrow = 0;
    for (int i = 0; i < a->n; i++) {
        const uint64_t less = (uint64_t)borrow + (i < b->n ? b->word[i] : 0);
        borrow = a->word[i] < less;
        a->word[i] = (uint32_t)(a->word[i] - less);
    }
    while (a->n > 0 && a->word[a->n - 1] == 0)
        a->n--;
}

/* digits * 10^exponent as 64 bits, the first of them set, times 2^power; the last is set, too, if there is a rest. */
static uint64_t quotient(struct big *digits, int exponent, int *power)
{
    struct big divisor;
    big_set(&divisor, 1);
    big_tens(digits, exponent);
    big_tens(&divisor, -exponent);
    int shift = big_bits(digits) - big_bits(&divisor);
    big_shift(shift > 0 ? &divisor : digits, shift > 0 ? shift : -shift);
    if (big_below(digits, &divisor)) {
        big_shift(digits, 1);
        shift--;
    }
    uint64_t q = 0;
    for (int i = 0; i < 64; i++) {
        q <<= 1;
        if (!big_below(digits, &divisor)) {
            big_subtract(digits, &divisor);
            q |= 1;
        }
        big_shift(digits, 1);
    }
    *power = shift - 63;
    return q | (digits->n > 0);
}

static double double_of_bits(uint64_t bits)
{
    const union { uint64_t u; double d; } pun = {bits};
    return pun.d;
}

static double infinite(void) { return double_of_bits(UINT64_C(0x7ff) << 52); }

/* x 2^power, which a double holds, or which is too large. x is added to the exponent, not put below it: its bit 52 is
   the one that a double does not store, and makes the exponent of a normal number one larger than a subnormal's; 2^53,
   which rounding may give, makes it two larger. */
static double scaled(uint64_t x, int power)
{
    for (; x >> 52 == 0 && power > -1074; power--)
        x <<= 1;
    return power > 971 ? infinite() : double_of_bits(((uint64_t)(power + 1074) << 52) + x);
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
    const uint64_t half = UINT64_C(1) << (drop - 1), rest = drop == 64 ? q : q & ((half << 1) - 1);
    if (rest > half || (rest == half && (kept & 1)))
        kept++;
    return scaled(kept, power + drop);
}

/* Both operands are exact and there is one rounding; a float is then right, too, unless the double is the middle
   between two floats, where its own rounding may have lost on which side the decimal lies. */
static int is_short(const struct big *digits, int exponent, int bits, double *to)
{
    static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (exponent < -22 || exponent > 22 || digits->n > 2)
        return 0;
    uint64_t whole = digits->n > 1 ? (uint64_t)digits->word[1] << 32 : 0;
    whole |= digits->n > 0 ? digits->word[0] : 0;
    if (whole >> 53)
        return 0;
    *to = exponent < 0 ? (double)whole / tens[-exponent] : (double)whole * tens[exponent];
    const union { double d; uint64_t u; } pun = {*to};
    return bits == 53 || (pun.u & 0x1fffffff) != 0x10000000;
}

static int is_word(const char *p, const char *end, const char word[3])
{
    if (end - p != 3)
        return 0;
    for (int i = 0; i < 3; i++)
        if ((p[i] | 0x20) != word[i])
            return 0;
    return 1;
}

static int hex_digit(char c)
{
    const char lower = (char)(c | 0x20);
    return is_digit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static int read_hexadecimal(const char *p, const char *end, struct big *to)
{
    const char *first = p;
    for (; p < end && hex_digit(*p) >= 0; p++)
        big_times_plus(to, 16, (uint32_t)hex_digit(*p));
    return p > first && p == end;
}

/* An exponent with its sign, held to what matters. */
static int read_exponent(const char **at, const char *end, int *exponent)
{
    const char *p = *at;
    const int minus = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    int value = 0;
    if (p == end || !is_digit(*p))
        return 0;
    for (; p < end && is_digit(*p); p++)
        value = value < 10 * LARGEST_EXPONENT ? 10 * value + (*p - '0') : value;
    *exponent += minus ? -value : value;
    *at = p;
    return 1;
}

static int read_decimal(const char *p, const char *end, struct big *to, int *exponent)
{
    int digits = 0;
    for (; p < end && is_digit(*p); p++, digits++)
        big_times_plus(to, 10, (uint32_t)(*p - '0'));
    if (p < end && *p == '.')
        for (p++; p < end && is_digit(*p); p++, digits++, --*exponent)
            big_times_plus(to, 10, (uint32_t)(*p - '0'));
    if (!digits)
        return 0;
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (!read_exponent(&p, end, exponent))
            return 0;
    }
    return p == end;
}

/* What stands after the sign. */
static int read_size(const char *p, const char *end, int bits, int least, double *to)
{
    struct big digits;
    int exponent = 0, power;
    big_set(&digits, 0);
    *to = is_word(p, end, "nan") ? double_of_bits(UINT64_C(0x7ff8) << 48) : infinite();
    if (is_word(p, end, "nan") || is_word(p, end, "inf"))
        return 1;
    const int hexadecimal = end - p > 1 && p[0] == '0' && (p[1] | 0x20) == 'x';
    if (!(hexadecimal ? read_hexadecimal(p + 2, end, &digits) : read_decimal(p, end, &digits, &exponent)))
        return 0;
    if (digits.n == 0 || exponent < -LARGEST_EXPONENT)
        *to = 0;
    else if (exponent > LARGEST_EXPONENT - 60)
        *to = infinite();
    else if (!is_short(&digits, exponent, bits, to)) {
        const uint64_t q = quotient(&digits, exponent, &power);
        *to = nearest(q, power, bits, least);
    }
    return 1;
}

static int read_number(const char *text, size_t n, int bits, int least, double *to)
{
    const char *p = text, *end = text + n;
    if (!n || n > LONGEST_FLOAT)
        return 0;
    while (p < end && is_space(*p))
        p++;
    *to = 0;
    if (p == end)
        return 1;
    while (is_space(end[-1]))
        end--;
    const int minus = *p == '-';
    p += *p == '-' || *p == '+';
    if (!read_size(p, end, bits, least, to))
        return 0;
    *to = minus ? -*to : *to;
    return 1;
}
/*@ end */

/*@ begin read_float */
static int read_float(const char *text, size_t n, float *to)
{
    double x;
    if (!read_number(text, n, 24, -149, &x))
        return 0;
    *to = (float)(x >= 0x1p128 ? infinite() : x <= -0x1p128 ? -infinite() : x);        /* exact */
    return 1;
}
/*@ end */

/*@ begin read_double */
static int read_double(const char *text, size_t n, double *to) { return read_number(text, n, 53, -1074, to); }
/*@ end */

/*@ begin print_whole */
/* As %lld; to [20]. */
static size_t print_whole(int64_t x, char *to)
{
    const uint64_t size = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    size_t n = x < 0 ? 2 : 1;
    for (uint64_t v = size; v >= 10; v /= 10)
        n++;
    size_t at = n;
    uint64_t v = size;
    do {
        to[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    if (x < 0)
        to[0] = '-';
    return n;
}
/*@ end */

/*@ begin print_fixed */
#define FIXED_ROOM 411                  /* bytes: a sign, 309 digits, the point, 100 digits */

/* b / by; returns the rest. */
static uint32_t big_divide(struct big *b, uint32_t by)
{
    uint64_t rest = 0;
    for (int i = b->n - 1; i >= 0; i--) {
        rest = rest << 32 | b->word[i];
        b->word[i] = (uint32_t)(rest / by);
        rest %= by;
    }
    while (b->n > 0 && b->word[b->n - 1] == 0)
        b->n--;
    return (uint32_t)rest;
}

/* b / 2^bits, ties to even. */
static void big_unshift(struct big *b, int bits)
{
    uint32_t rest = 0;
    for (; bits > 32; bits -= 31)
        rest |= big_divide(b, UINT32_C(1) << 31);
    if (bits > 1)
        rest |= big_divide(b, UINT32_C(1) << (bits - 1));
    const int half = bits > 0 && big_divide(b, 2) > 0, odd = b->n > 0 && (b->word[0] & 1);
    if (half && (rest || odd))
        big_times_plus(b, 1, 1);
}

static void reverse(char *text, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        const char c = text[i];
        text[i] = text[n - 1 - i];
        text[n - 1 - i] = c;
    }
}

/* As %.*f, for 0 to 100 digits; to [FIXED_ROOM]. The text is made from its end. */
static size_t print_fixed(double x, int digits, char *to)
{
    const union { double d; uint64_t u; } pun = {x};
    const uint64_t mantissa = pun.u & ((UINT64_C(1) << 52) - 1);
    const int exponent = (int)(pun.u >> 52 & 0x7ff), power = (exponent > 0 ? exponent : 1) - 1075;
    struct big b;
    size_t n = 0;
    if (exponent == 0x7ff) {
        to[n++] = mantissa ? 'n' : 'f';
        to[n++] = mantissa ? 'a' : 'n';
        to[n++] = mantissa ? 'n' : 'i';
    } else {
        big_set(&b, mantissa | (uint64_t)(exponent > 0) << 52);
        big_tens(&b, digits);
        if (power > 0)
            big_shift(&b, power);
        else
            big_unshift(&b, -power);
        for (int i = 0; b.n > 0 || i <= digits; i++) {
            if (i > 0 && i == digits)
                to[n++] = '.';
            to[n++] = (char)('0' + big_divide(&b, 10));
        }
    }
    if (pun.u >> 63)
        to[n++] = '-';
    reverse(to, n);
    return n;
}
/*@ end */

#endif
