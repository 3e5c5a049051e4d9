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
#include "../runtime/sha256.h"
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

static void add_floats(const struct plan *p, const char *name, const float *x, size_t n, struct text *to)
{
    text_print(to, "static const %s float %s[%zu] = {", storage(p), name, n);
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

static void add_strings(const struct plan *p, const char *name, const float *x, size_t n, struct text *to)
{
    size_t bytes = n * sizeof *x, rows = (bytes + ROW_BYTES - 1) / ROW_BYTES;
    text_print(to,
               "#if !defined __BYTE_ORDER__ || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__\n"
               "#error \"these weights are bytes of little-endian floats: use --weights-in file on this machine\"\n"
               "#endif\n"
               "static const %s union {\n    unsigned char b[%zu][%d];\n    %s float f[%zu];\n} %s_bytes = {{\n",
               p->target->narrow ? "MMOE_SECTION" : "", rows, ROW_BYTES, p->target->narrow ? "" : "_Alignas(64)",
               rows * ROW_BYTES / sizeof *x, name);
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

/* As few or as many numbers; their C name: of a "weight" weights or weight_bytes.f. */
static const char *add_numbers(struct job *job, const struct plan *p, const char *name, const float *x, size_t n,
                               struct text *to)
{
    bool few = (n <= FEW_NUMBERS || p->target->narrow) && all_finite(x, n);
    if (few)
        add_floats(p, arena_print(&job->arena, "%ss", name), x, n, to);
    else
        add_strings(p, name, x, n, to);
    text_print(to, "\n");
    return arena_print(&job->arena, few ? "%ss" : "%s_bytes.f", name);
}

const char *add_weights(struct job *job, const struct plan *p, const struct weights *w, struct text *to)
{
    size_t floats = p->weight_floats;
    if (floats > MANY_NUMBERS)
        warning(job, (struct pos){0}, "large", "--weights-in file keeps them beside it, and a retrained model needs no new code",
                "%zu weights inside the C file make it slow to compile", floats);
    text_print(to, "/* The weights in order of use; what lies where: the calls below. */\n");
    return add_numbers(job, p, "weight", w->numbers, floats, to);
}

const char *add_tables(struct job *job, const struct plan *p, const struct weights *w, uint64_t floats, struct text *to)
{
    if (floats > MANY_NUMBERS)
        warning(job, (struct pos){0}, "large", "--weights-in file keeps them beside it; --from features leaves them out",
                "%llu numbers of embedding tables inside the C file make it slow to compile", (unsigned long long)floats);
    text_print(to, "/* The embedding tables; what lies where: score_rows. */\n");
    return add_numbers(job, p, "table", w->tables, (size_t)floats, to);
}

/* Whatever makes the input belongs to the tables: with others they would mean something else. */
static struct sha256 begin_tables_digest(struct job *job, const struct row_program *p)
{
    struct sha256 s;
    unsigned char structure[32];
    row_structure(job, p, structure);
    sha256_init(&s);
    sha256_update(&s, structure, sizeof structure);
    return s;
}

bool gather_tables(struct job *job, const struct row_program *p, struct weights *w)
{
    float *all = arena_aligned(&job->arena, (size_t)p->table_floats * sizeof *all);
    for (int i = 0; i < p->n_tables; i++)
        if (!read_row_table(job, &p->tables[i], all + p->tables[i].at))
            return false;
    w->tables = all;
    struct sha256 s = begin_tables_digest(job, p);
    sha256_update(&s, all, (size_t)p->table_floats * sizeof *all);
    sha256_final(&s, w->tables_digest);
    return true;
}

static uint32_t little(uint32_t x)
{
    const unsigned char b[4] = {(unsigned char)x, (unsigned char)(x >> 8), (unsigned char)(x >> 16),
                                (unsigned char)(x >> 24)};
    memcpy(&x, b, 4);
    return x;
}

static void little_pair(uint64_t x, uint32_t to[2])
{
    to[0] = little((uint32_t)x);
    to[1] = little((uint32_t)(x >> 32));
}

/* Writes the head before the numbers: see runtime/weights_file.h. */
void fill_weights_file(struct job *job, const struct plan *p, const struct weights *w, const struct expected *e,
                       const struct row_program *rows)
{
    struct weights_header head = {.abi = little(MMOE_ABI), .n_expected = little((uint32_t)e->n_words)};
    memcpy(head.magic, WEIGHTS_MAGIC, sizeof head.magic);
    little_pair(p->weight_floats, head.weight_floats);
    little_pair(rows ? rows->table_floats : 0, head.table_floats);
    structure_digest(p, job, head.structure);
    memcpy(head.weights_digest, w->digest, sizeof head.weights_digest);
    if (rows) {
        struct sha256 s = begin_tables_digest(job, rows);
        sha256_final(&s, head.tables_digest);           /* of no tables: those that follow make another */
    }
    memcpy(w->file, &head, sizeof head);
    for (int i = 0; i < e->n_words; i++) {
        uint32_t word = little(e->words[i]);
        memcpy(w->file + sizeof head + (size_t)i * sizeof word, &word, sizeof word);
    }
}

/* ---- tables behind the numbers: one after the other through memory of its own ----------------------------- */

struct table_writer {
    const struct row_program *p;
    size_t zeros;                   /* before the first table, to a multiple of 4096 */
    int next;                       /* table; -1: the zeros */
    struct arena arena;             /* of the table at hand */
    struct weights_header *head;    /* which gets their digest */
    struct sha256 digest;
};

static bool next_table(struct job *job, void *self, const void **bytes, size_t *n)
{
    static const char zeros[4096];
    struct table_writer *w = self;
    arena_free(&w->arena);
    w->arena = (struct arena){.no_memory = job->arena.no_memory, .fail_after = -1};
    if (w->next == w->p->n_tables)
        return false;
    if (w->next++ < 0) {
        *bytes = zeros;
        *n = w->zeros;
        return true;
    }
    const struct row_table *t = &w->p->tables[w->next - 1];
    uint64_t end = w->next == w->p->n_tables ? w->p->table_floats : w->p->tables[w->next].at;
    float *numbers = arena_array(&w->arena, (size_t)(end - t->at), sizeof *numbers);
    *bytes = numbers;
    *n = (size_t)(end - t->at) * sizeof *numbers;
    if (!read_row_table(job, t, numbers))
        return false;
    sha256_update(&w->digest, numbers, *n);
    if (w->next == w->p->n_tables) {
        struct weights_header *head = w->head;
        sha256_final(&w->digest, head->tables_digest);
    }
    return true;
}

bool write_weights(struct job *job, const char *path, const struct generated *g)
{
    if (!g->rows || !g->rows->n_tables)
        return write_file(job, path, g->weights_file, g->weights_bytes);
    struct table_writer w = {.p = g->rows, .next = -1, .head = g->weights_file,
                             .zeros = (g->weights_bytes + 4095) / 4096 * 4096 - g->weights_bytes,
                             .arena = {.no_memory = job->arena.no_memory, .fail_after = -1}};
    w.digest = begin_tables_digest(job, g->rows);
    bool good = write_parts(job, path, g->weights_file, g->weights_bytes, next_table, &w);
    arena_free(&w.arena);
    return good;
}
