// SPDX-License-Identifier: Apache-2.0
/* Messages with a picture.
 *
 *     pipeline.config:212:7: error: unknown field "expert_num" in mmoe [unknown-field]
 *       212 |       expert_num: 4
 *           |       ^~~~~~~~~~ did you mean "num_expert"?
 *
 * The idea: a message is a record of the job; whoever owns the terminal prints it. Texts of the
 * user's pass through one function, glyph(), which lets printable UTF-8 through and spells
 * everything else out, so that a file cannot speak to the terminal; it also tells how wide a thing
 * appears, so that the caret stands where it should.
 *
 * How to read it: recording; glyphs; the picture; show_message(); then near misses.
 */
#include <stdlib.h>
#include <string.h>

#include "mmoec.h"

/* ---- recording ---- */

static void report(struct job *job, const struct message *m)
{
    struct message *copy = NEW(job, struct message);
    *copy = *m;
    if (job->last_message)
        job->last_message->next = copy;
    else
        job->messages = copy;
    job->last_message = copy;
}

void blame(struct job *job, enum result result, struct pos pos, const char *tag, const char *hint,
           const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprint(&job->arena, format, args);
    va_end(args);
    report(job, &(struct message){ERROR, result, pos, tag, text, hint, NULL});
    if (!job->errors++)
        job->result = result;
}

void warning(struct job *job, struct pos pos, const char *tag, const char *hint, const char *format,
             ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprint(&job->arena, format, args);
    va_end(args);
    report(job, &(struct message){WARNING, OK, pos, tag, text, hint, NULL});
    job->warnings++;
}

static const char *kept(struct job *job, const char *text) { return text ? arena_print(&job->arena, "%s", text) : NULL; }

void tell_of(struct job *job, const struct job *part)
{
    for (const struct message *m = part->messages; m; m = m->next) {
        struct message copy = *m;
        copy.text = kept(job, m->text);
        copy.hint = kept(job, m->hint);
        if (m->pos.source) {
            struct source *source = NEW(job, struct source);
            *source = *m->pos.source;
            source->name = kept(job, source->name);
            copy.pos.source = source;
        }
        copy.next = NULL;
        report(job, &copy);
    }
    if (!job->errors && part->errors)
        job->result = part->result;
    job->errors += part->errors;
    job->warnings += part->warnings;
}

void note(struct job *job, struct pos pos, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprint(&job->arena, format, args);
    va_end(args);
    report(job, &(struct message){NOTE, OK, pos, NULL, text, NULL, NULL});
}

struct pos in_file(struct job *job, const char *name)
{
    struct source *s = NEW(job, struct source);
    s->name = arena_copy(&job->arena, name, strlen(name));
    return (struct pos){.source = s};
}

void bug(const char *format, ...)
{
    va_list args;
    fputs("mmoec: this is a fault of mmoec, please report it: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

/* ---- glyphs: what a terminal may be shown ---- */

struct glyph {
    char text[16]; /* what to print */
    int bytes;     /* of the user's text that it stands for */
    int width;     /* columns of the terminal */
};

/* Length of the UTF-8 sequence at p, its code point in *c; 0 if there is no valid one (surrogates
 * and overlong forms are not). */
int utf8(const unsigned char *p, size_t left, uint32_t *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int n = p[0] < 0x80   ? 1
            : p[0] < 0xc0 ? 0
            : p[0] < 0xe0 ? 2
            : p[0] < 0xf0 ? 3
            : p[0] < 0xf8 ? 4
                          : 0;
    if (n == 0 || (size_t)n > left)
        return 0;
    *c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (int i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *c = *c << 6 | (p[i] & 0x3f);
    }
    return *c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? 0 : n;
}

/* Columns of a code point: -1 if it must not reach the terminal (controls, marks that reorder
   text). The ranges are the blocks of Unicode's EastAsianWidth and of combining marks that names in
   configs may meet, not all of them. */
static int code_width(uint32_t c)
{
    static const struct {
        uint32_t first, last;
        int width;
    } range[] = {
        {0x00, 0x1f, -1},      {0x7f, 0x9f, -1},      {0xad, 0xad, -1},
        {0x300, 0x36f, 0},     {0x61c, 0x61c, -1},    {0x1100, 0x115f, 2},
        {0x200b, 0x200f, -1},  {0x2028, 0x202e, -1},  {0x2060, 0x206f, -1},
        {0x2e80, 0x303e, 2},   {0x3041, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},
        {0xe000, 0xf8ff, -1},  {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},
        {0xfe30, 0xfe6f, 2},   {0xfeff, 0xfeff, -1},  {0xff00, 0xff60, 2},
        {0xffe0, 0xffe6, 2},   {0xfff0, 0xffff, -1},  {0x1f300, 0x1f64f, 2},
        {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2}, {0xe0000, 0x10ffff, -1},
    };
    for (size_t i = 0; i < COUNT(range); i++)
        if (c >= range[i].first && c <= range[i].last)
            return range[i].width;
    return 1;
}

/* The glyph at p; `at` is the column it will stand in, for tabs. */
static struct glyph glyph(const char *p, size_t left, int at)
{
    struct glyph g = {.bytes = 1};
    uint32_t c = 0;
    int n = utf8((const unsigned char *)p, left, &c);
    int width = n ? code_width(c) : -1;
    if (*p == '\t' && at >= 0) {
        g.width = 8 - at % 8;
        memset(g.text, ' ', (size_t)g.width);
    } else if (width >= 0) {
        memcpy(g.text, p, (size_t)n);
        g.bytes = n;
        g.width = width;
    } else if (n > 1) {
        g.width = snprintf(g.text, sizeof(g.text), "\\u{%x}", (unsigned)c);
        g.bytes = n;
    } else {
        g.width = snprintf(g.text, sizeof(g.text), "\\x%02x", (unsigned)(unsigned char)*p);
    }
    return g;
}

static void put_safe(const char *text, FILE *to)
{
    size_t left = strlen(text);
    while (left) {
        struct glyph g = glyph(text, left, -1);
        fputs(g.text, to);
        text += g.bytes;
        left -= (size_t)g.bytes;
    }
}

const char *escaped(struct arena *a, const char *text, size_t length)
{
    struct text t = {.arena = a};
    text_add(&t, "", 0);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            text_print(&t, "\\%c", c);
        else if (c >= 0x20 && c < 0x7f)
            text_add(&t, text + i, 1);
        else
            text_print(&t, "\\%03o",
                       (unsigned)c); /* octal: three digits end it, whatever follows */
    }
    return t.data;
}

/* ---- the picture ---- */

#define PICTURE_WIDTH 90 /* columns of a line that are shown */
#define BEFORE_CARET 40  /* bytes kept before the caret when the line is cut at its left */

struct span {
    const char *text;
    size_t length;
};

/* The line of a source, without its end and without a byte order mark. */
static bool find_line(const struct source *s, int line, struct span *found)
{
    const char *p = s->text, *end = s->text + s->length;
    if (s->length >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    for (; line > 1; line--) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (!p)
            return false;
        p++;
    }
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    if (!stop)
        stop = end;
    if (stop > p && stop[-1] == '\r')
        stop--;
    *found = (struct span){p, (size_t)(stop - p)};
    return true;
}

/* What the lines of a picture need: the cut line as it appears, and where the caret stands. */
struct picture {
    char text[PICTURE_WIDTH * 5 + 64]; /* at most 4 bytes a column; too many marks are cut */
    size_t length;
    int width, caret, underlined;
};

static void draw(struct picture *p, const char *text, int bytes, int width)
{
    memcpy(p->text + p->length, text, (size_t)bytes);
    p->length += (size_t)bytes;
    p->width += width;
}

/* Where the shown part of a line starts: at its beginning, unless the caret is far to the right. */
static size_t cut_left(struct span line, size_t caret)
{
    if (caret < PICTURE_WIDTH - 20)
        return 0;
    size_t from = caret - BEFORE_CARET;
    while (from < line.length && ((unsigned char)line.text[from] & 0xc0) == 0x80)
        from++;
    return from;
}

static void make_picture(struct picture *p, struct span line, size_t caret, size_t length)
{
    size_t at = cut_left(line, caret);
    *p = (struct picture){.caret = -1};
    if (at)
        draw(p, "...", 3, 3);
    while (at < line.length) {
        struct glyph g = glyph(line.text + at, line.length - at, p->width);
        int bytes = (int)strlen(g.text);
        if (p->width + g.width > PICTURE_WIDTH || p->length + (size_t)bytes + 4 > sizeof(p->text)) {
            draw(p, "...", 3, 3);
            break;
        }
        if (p->caret < 0 && at + (size_t)g.bytes > caret)
            p->caret = p->width;
        if (at >= caret && at - caret < length)
            p->underlined += g.width;
        draw(p, g.text, bytes, g.width);
        at += (size_t)g.bytes;
    }
    if (p->caret < 0) /* at the line's end */
        p->caret = p->width;
    if (p->underlined < 1)
        p->underlined = 1;
}

static void repeat(char c, int n, FILE *to)
{
    while (n-- > 0)
        fputc(c, to);
}

/* The terminal's words for colours. */
#define BOLD "\33[1m"
#define RED "\33[1;31m"
#define MAGENTA "\33[1;35m"
#define CYAN "\33[1;36m"
#define GREEN "\33[1;32m"
#define PLAIN "\33[0m"

static bool print_picture(const struct message *m, bool colour, FILE *to)
{
    struct span line;
    struct picture p;
    if (!m->pos.source || !m->pos.source->text || m->pos.line < 1 || m->pos.column < 1 ||
        !find_line(m->pos.source, m->pos.line, &line))
        return false;
    size_t caret = (size_t)m->pos.column - 1;
    make_picture(&p, line, caret < line.length ? caret : line.length,
                 (size_t)(m->pos.length > 0 ? m->pos.length : 1));
    fprintf(to, "%5d |%s", m->pos.line, p.length ? " " : "");
    fwrite(p.text, 1, p.length, to);
    fputs("\n      | ", to);
    repeat(' ', p.caret, to);
    fputs(colour ? GREEN "^" : "^", to);
    repeat('~', p.underlined - 1, to);
    fputs(colour ? PLAIN : "", to);
    if (m->hint) {
        fputc(' ', to);
        put_safe(m->hint, to);
    }
    fputc('\n', to);
    return true;
}

/* ---- a message ---- */

static void print_place(struct pos pos, FILE *to)
{
    if (!pos.source) {
        fputs("mmoec: ", to);
        return;
    }
    put_safe(pos.source->name, to);
    if (pos.line > 0)
        fprintf(to, ":%d:%d", pos.line, pos.column);
    fputs(": ", to);
}

void show_message(const struct message *m, bool colour, FILE *to)
{
    static const char *const word[] = {"note", "warning", "error"};
    static const char *const paint[] = {CYAN, MAGENTA, RED};
    fputs(colour ? BOLD : "", to);
    print_place(m->pos, to);
    fprintf(to, "%s%s:%s ", colour ? paint[m->severity] : "", word[m->severity],
            colour ? PLAIN BOLD : "");
    put_safe(m->text, to);
    fputs(colour ? PLAIN : "", to);
    if (m->tag)
        fprintf(to, " [%s]", m->tag);
    fputc('\n', to);
    if (!print_picture(m, colour, to) && m->hint) {
        fputs("  ", to);
        put_safe(m->hint, to);
        fputc('\n', to);
    }
}

/* ---- near misses ---- */

#define LONGEST_NAME 64 /* names of fields and enums are shorter; a longer word resembles none */
#define MOST_PARTS 8

/* Damerau's distance in its simple form: insertions, deletions, replacements and swaps of
 * neighbours. */
static int distance(const char *a, size_t n, const char *b, size_t m)
{
    int row[3][LONGEST_NAME + 1];
    for (size_t j = 0; j <= m; j++)
        row[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *now = row[i % 3], *up = row[(i + 2) % 3], *upper = row[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < best)
                best = up[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                upper[j - 2] + 1 < best)
                best = upper[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

/* The word in lower case with the parts between its underscores in order: expert_num, num_expert ->
 * expert_num. */
static size_t sort_parts(const char *word, char *to)
{
    struct span part[MOST_PARTS];
    size_t n = 0, length = 0;
    for (const char *p = word; n < MOST_PARTS; p++) {
        size_t k = n == MOST_PARTS - 1 ? strlen(p) : strcspn(p, "_");
        size_t i = n++;
        for (; i > 0 && strncmp(part[i - 1].text, p, k) > 0; i--)
            part[i] = part[i - 1];
        part[i] = (struct span){p, k};
        p += k;
        if (!*p)
            break;
    }
    for (size_t i = 0; i < n; i++) {
        if (i)
            to[length++] = '_';
        for (size_t j = 0; j < part[i].length; j++) {
            char c = part[i].text[j];
            to[length++] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
        }
    }
    return length;
}

static size_t lower_case(const char *word, char *to)
{
    size_t n = 0;
    for (; word[n]; n++)
        to[n] = word[n] >= 'A' && word[n] <= 'Z' ? (char)(word[n] + ('a' - 'A')) : word[n];
    return n;
}

const char *near_miss(const char *word, const char *const *names)
{
    char a[LONGEST_NAME + 1], b[LONGEST_NAME + 1], sorted_a[LONGEST_NAME + 1],
        sorted_b[LONGEST_NAME + 1];
    const char *nearest = NULL;
    if (strlen(word) > LONGEST_NAME || !*word)
        return NULL;
    size_t n = lower_case(word, a), sorted_n = sort_parts(word, sorted_a);
    int least = (int)n / 3 + 1; /* a third of the letters wrong is another word */
    for (; *names; names++) {
        int longer =
            (int)strlen(*names) - (int)n; /* no distance is less than that of the lengths */
        if (longer >= least || -longer >= least || n + (size_t)longer > LONGEST_NAME)
            continue;
        size_t m = lower_case(*names, b), sorted_m = sort_parts(*names, sorted_b);
        int d = distance(a, n, b, m),
            swapped = distance(sorted_a, sorted_n, sorted_b, sorted_m) + 1;
        if (swapped < d)
            d = swapped;
        if (d < least && (size_t)d < m) {
            least = d;
            nearest = *names;
        }
    }
    return nearest;
}
