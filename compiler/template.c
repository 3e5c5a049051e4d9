// SPDX-License-Identifier: Apache-2.0
/* template.c: the template language: words are replaced in marked pieces of C files, and that is all.
 *
 * A template is a file of templates/, inside this program as bytes. A chunk is the text between "begin NAME" and "end"
 * marks. In it, identifiers that are in the list of words are replaced; comments keep theirs. Strict both ways: a
 * listed word that does not occur is a bug, and so is an upper-case word that is neither listed nor one of simd.h.
 *
 * Functions of math.h get the instruction set's name at their end, wherever they stand: v_exp becomes v_exp__avx2.
 */
#include "mmoec.h"

#include <ctype.h>
#include <string.h>

/* Upper-case words that mean something in generated C. */
static const char *const known[] = {
    "VL", "TARGET", "UNROLL", "OPAQUE", "PIN", "HELPER", "BLOCK_BODY", "NO_INLINE", "NO_CALL", "PREFETCH", "CASE", "PAIR", "LANES",
    "TILE_ROWS", "ACCUMULATORS", "MOST_VECS", "MOST_COLUMNS",
    "UINT32_C", "UINT64_C", "INT32_C", "NULL", "STDC", "FP_CONTRACT", "OFF", "ROWS_AT_ONCE",
    "GCC", "_CMP_LT_OQ", "_CMP_EQ_OQ", NULL,
};

const char *template_text(const char *file)
{
    for (const struct embedded *f = embedded_files; f->name; f++)
        if (strcmp(f->name, file) == 0)
            return f->text;
    bug("no template %s", file);
}

/* The chunk's text; *length is its length. */
static const char *find_chunk(const char *file, const char *chunk, size_t *length)
{
    char mark[64];
    snprintf(mark, sizeof mark, "/*@ begin %s */\n", chunk);
    const char *begin = strstr(template_text(file), mark);
    if (!begin)
        bug("no chunk %s in %s", chunk, file);
    begin += strlen(mark);
    const char *end = strstr(begin, "/*@ end */");
    *length = (size_t)(end - begin);
    return begin;
}

void template_copy(struct text *to, const char *file, const char *chunk)
{
    size_t length;
    const char *text = find_chunk(file, chunk, &length);
    text_add(to, text, length);
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static bool equals(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && memcmp(name, text, length) == 0;
}

static int find_word(const struct word *words, int n, const char *text, size_t length)
{
    for (int i = 0; i < n; i++)
        if (equals(words[i].name, text, length))
            return i;
    return -1;
}

/* Names of the runtime's header and of a build's switches begin with MMOE_. */
static bool is_known(const char *text, size_t length)
{
    if (length > 5 && memcmp(text, "MMOE_", 5) == 0)
        return true;
    for (int i = 0; known[i]; i++)
        if (equals(known[i], text, length))
            return true;
    return false;
}

static bool upper_case(const char *text, size_t length)
{
    bool letters = length > 1 || *text == 'N';
    for (size_t i = 0; i < length; i++)
        letters &= isupper((unsigned char)text[i]) || isdigit((unsigned char)text[i]) || text[i] == '_';
    return letters && isupper((unsigned char)*text);
}

/* Where a comment, a string or a number that begins at p ends; p itself if none does. */
static const char *skip_other(const char *p, const char *end)
{
    if (end - p > 1 && p[0] == '/' && p[1] == '*') {
        const char *stop = strstr(p + 2, "*/");
        return stop && stop < end ? stop + 2 : end;
    }
    if (*p == '"') {
        for (p++; p < end && *p != '"'; p++)
            ;
        return p < end ? p + 1 : end;
    }
    if (isdigit((unsigned char)*p))
        while (p < end && (is_word(*p) || *p == '.' || ((*p == '-' || *p == '+') && (p[-1] == 'p' || p[-1] == 'e'))))
            p++;
    return p;
}

static bool has_chunk(const char *name, size_t length);

/* One identifier of a chunk. */
static void add_identifier(struct text *to, const char *p, size_t n, const struct word *words, int n_words, bool *used,
                           const char *isa, const char *chunk)
{
    int i = find_word(words, n_words, p, n);
    if (i >= 0) {
        used[i] = true;
        const char *value = words[i].value;
        bool function = isa && has_chunk(value, strlen(value));
        text_print(to, function ? "%s__%s" : "%s", value, isa);
    } else if (isa && has_chunk(p, n)) {
        text_print(to, "%.*s__%s", (int)n, p, isa);
    } else {
        if (upper_case(p, n) && !is_known(p, n))
            bug("unknown word %.*s in the chunk %s", (int)n, p, chunk);
        text_add(to, p, n);
    }
}

void template_add(struct job *job, struct text *to, const char *file, const char *chunk, const char *isa,
                  const struct word *words, int n_words)
{
    size_t length;
    const char *p = find_chunk(file, chunk, &length), *end = p + length;
    bool *used = NEW_ARRAY(job, (size_t)n_words + 1, bool);
    while (p < end) {
        const char *next = skip_other(p, end);
        if (next > p) {
            text_add(to, p, (size_t)(next - p));
        } else if (is_word(*p)) {
            for (next = p; next < end && is_word(*next); next++)
                ;
            add_identifier(to, p, (size_t)(next - p), words, n_words, used, isa, chunk);
        } else {
            next = p + 1;
            text_add(to, p, 1);
        }
        p = next;
    }
    for (int i = 0; i < n_words; i++)
        if (!used[i])
            bug("the word %s does not occur in the chunk %s", words[i].name, chunk);
}

/* ---- functions of math.h ------------------------------------------------------------------------------------------ */

/* Is there a function of that name in math.h? */
static bool has_chunk(const char *name, size_t length)
{
    if (length < 3 || name[0] != 'v' || name[1] != '_')
        return false;
    char mark[64];
    snprintf(mark, sizeof mark, "/*@ begin %.*s */", (int)length, name);
    return strstr(template_text("math.h"), mark) != NULL;
}

/* Adds a function after those that it calls; each once. */
static void add_function(struct job *job, struct text *to, const char *name, const char *isa, struct text *done)
{
    const char *mark = arena_print(&job->arena, " %s ", name);
    if (done->data && strstr(done->data, mark))
        return;
    text_print(done, "%s", mark);
    size_t length;
    const char *p = find_chunk("math.h", name, &length), *end = p + length;
    for (const char *next; p < end; p = next) {
        for (next = p + 1; is_word(*p) && next < end && is_word(*next); next++)
            ;
        if (has_chunk(p, (size_t)(next - p)) && !equals(name, p, (size_t)(next - p)))
            add_function(job, to, arena_copy(&job->arena, p, (size_t)(next - p)), isa, done);
    }
    template_add(job, to, "math.h", name, isa, NULL, 0);
    text_print(to, "\n");
}

void math_add(struct job *job, struct text *to, const char *const *functions, int n, const char *isa)
{
    struct text done = {.arena = &job->arena};
    for (int i = 0; i < n; i++)
        add_function(job, to, functions[i], isa, &done);
}
