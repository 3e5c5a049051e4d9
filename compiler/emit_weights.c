// SPDX-License-Identifier: Apache-2.0
/* emit_weights.c: numbers as C text, or as a file beside it.
 *
 * Few numbers are hexadecimal floats, exact and readable. Many are rows of string literals in a union of bytes and
 * floats: compilers take a hundredth of the time for them; one literal a row, for joined literals past 4095 bytes
 * warn under -Wpedantic, and reading a char array as floats would be undefined. Bytes are little-endian there; files
 * for small cores, which may be big-endian, have hexadecimal floats at any size.
 */
#include "mmoec.h"
#include "../runtime/mmoe.h"
#include "../runtime/weights_file.h"

#include <math.h>
#include <string.h>

#define FEW_NUMBERS 100000
#define ROW_BYTES 4092              /* of a string literal: a multiple of 4 below the 4095 that C11 guarantees */
#define MANY_NUMBERS 10000000

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* For a small core in C99 and where the user's linker script wants them; else aligned for vectors and cache lines. */
static const char *storage(const struct plan *p) { return p->target->narrow ? "MMOE_SECTION" : "_Alignas(64)"; }

static void add_floats(const struct plan *p, const float *x, size_t n, struct text *to)
{
    text_print(to, "static const %s float weights[%zu] = {", storage(p), n);
    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0)
            text_print(to, "\n   ");
        if (x[i] == 0 && !signbit(x[i]))
            text_print(to, " 0,");
        else
            text_print(to, " %af,", (double)x[i]);
    }
    text_print(to, "\n};\n");
}

/* A byte inside a string literal. Always three octal digits: a digit may follow. */
static size_t put_byte(char *to, unsigned char byte)
{
    bool plain = byte >= ' ' && byte < 127 && byte != '"' && byte != '\\' && byte != '?';
    if (plain) {
        to[0] = (char)byte;
        return 1;
    }
    to[0] = '\\';
    to[1] = (char)('0' + (byte >> 6));
    to[2] = (char)('0' + (byte >> 3 & 7));
    to[3] = (char)('0' + (byte & 7));
    return 4;
}

static void add_strings(const struct plan *p, const float *x, size_t n, struct text *to)
{
    size_t bytes = n * sizeof *x, rows = (bytes + ROW_BYTES - 1) / ROW_BYTES;
    text_print(to,
               "#if !defined __BYTE_ORDER__ || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__\n"
               "#error \"these weights are bytes of little-endian floats: use --weights-in file on this machine\"\n"
               "#endif\n"
               "static const %s union {\n    unsigned char b[%zu][%d];\n    %s float f[%zu];\n} weight_bytes = {{\n",
               p->target->narrow ? "MMOE_SECTION" : "", rows, ROW_BYTES, p->target->narrow ? "" : "_Alignas(64)",
               rows * ROW_BYTES / sizeof *x);
    const unsigned char *from = (const unsigned char *)x;
    char line[4 * ROW_BYTES + 8];
    for (size_t r = 0; r < rows; r++) {
        size_t length = 0;
        line[length++] = '"';
        for (size_t i = r * ROW_BYTES; i < (r + 1) * ROW_BYTES; i++)
            length += put_byte(line + length, i < bytes ? from[i] : 0);
        memcpy(line + length, "\",\n", 3);
        text_add(to, line, length + 3);
    }
    text_print(to, "}};\n");
}

const char *add_weights(struct job *job, const struct plan *p, const struct weights *w, struct text *to)
{
    size_t floats = p->weight_floats;
    if (floats > MANY_NUMBERS)
        warning(job, (struct pos){0}, "large", "--weights-in file keeps them beside it, and a retrained model needs no new code",
                "%zu weights inside the C file make it slow to compile", floats);
    text_print(to, "/* The weights in order of use; what lies where: the calls below. */\n");
    bool few = (floats <= FEW_NUMBERS || p->target->narrow) && all_finite(w->numbers, floats);
    if (few)
        add_floats(p, w->numbers, floats, to);
    else
        add_strings(p, w->numbers, floats, to);
    text_print(to, "\n");
    return few ? "weights" : "weight_bytes.f";
}

static uint32_t little(uint32_t x)
{
    const unsigned char b[4] = {(unsigned char)x, (unsigned char)(x >> 8), (unsigned char)(x >> 16),
                                (unsigned char)(x >> 24)};
    memcpy(&x, b, 4);
    return x;
}

/* Writes the head before the numbers: see runtime/weights_file.h. */
void fill_weights_file(struct job *job, const struct plan *p, const struct weights *w, const struct expected *e)
{
    struct weights_header head = {.abi = little(MMOE_ABI),
                                  .n_expected = little((uint32_t)e->n_words),
                                  .weight_floats = {little((uint32_t)p->weight_floats),
                                                    little((uint32_t)((uint64_t)p->weight_floats >> 32))}};
    memcpy(head.magic, WEIGHTS_MAGIC, sizeof head.magic);
    structure_digest(p, job, head.structure);
    memcpy(head.weights_digest, w->digest, sizeof head.weights_digest);
    memcpy(w->file, &head, sizeof head);
    for (int i = 0; i < e->n_words; i++) {
        uint32_t word = little(e->words[i]);
        memcpy(w->file + sizeof head + (size_t)i * sizeof word, &word, sizeof word);
    }
}
