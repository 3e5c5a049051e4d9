// SPDX-License-Identifier: Apache-2.0
/* Protobuf's text format, read into the structs that protoc-c makes.
 *
 *     feature_config: { features < input_names: 'age' num_buckets: 0x10; boundaries: [.5, 1] > }
 *
 * The idea: the descriptors say what a name means, so one short recursive reader serves every
 * message, and easyrec_fields.def says what becomes of names that the descriptors do not have. Two
 * kinds of mistake are kept apart: when the text makes no sense any more (syntax), reading stops
 * after one message; when a name or a value is wrong, it is reported, skipped, and reading goes on,
 * so that the user sees all of them at once.
 *
 * How to read it: tokens; strings; scalars (a value as written, then as a field wants it);
 * skipping; places in a message; fields; where everything stands. A function that returns bool
 * returns false to stop reading.
 *
 * The rules are those of Python's text_format.Merge, with which EasyRec reads: a scalar given twice
 * keeps the last value, a message given twice is merged, the last member of a oneof wins.
 */
#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <protobuf-c/protobuf-c.h>

#include "easyrec.pb-c.h"
#include "mmoec.h"

#define MAX_DEPTH 100          /* messages within messages; protobuf's own limit */
#define MAX_ERRORS 50          /* then reading stops: the rest is noise */
#define LONGEST_TEXT (1 << 30) /* lines and columns are ints */

enum token_kind { END, WORD, NUMBER, STRING, MARK };

struct token {
    enum token_kind kind;
    char mark;        /* MARK: the character */
    const char *text; /* STRING: with its quotes */
    size_t length;
    struct pos pos;
};

struct field_pos {
    const void *message;
    unsigned number; /* 0: the message itself */
    size_t index;
    struct pos pos;
};

struct reader {
    struct job *job;
    const struct source *source;
    const char *next, *end, *line_start;
    int line;
    struct token token; /* the one to be looked at next */
    int most_errors;    /* of the job */
    struct field_pos *positions;
    size_t n_positions, room_positions;
    const char **ignored;       /* "TaskTower.metrics_set" */
    size_t n_ignored;
};

/* ---- tokens ---- */

/* Reports that the text makes no sense at `pos`; the reader stops. */
static bool syntax(struct reader *r, struct pos pos, const char *text)
{
    blame(r->job, BAD_INPUT, pos, "syntax", NULL, "%s", text);
    return false;
}

static struct pos pos_at(const struct reader *r, const char *p, size_t length)
{
    return (struct pos){r->source, r->line, (int)(p - r->line_start) + 1, (int)length};
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static void skip_blanks(struct reader *r)
{
    for (; r->next < r->end; r->next++) {
        char c = *r->next;
        if (c == '#') {
            const char *stop = memchr(r->next, '\n', (size_t)(r->end - r->next));
            r->next = stop ? stop : r->end;
            if (!stop)
                return;
            c = '\n';
        }
        if (c == '\n') {
            r->line++;
            r->line_start = r->next + 1;
        } else if (c != ' ' && c != '\t' && c != '\r' && c != '\v' && c != '\f') {
            return;
        }
    }
}

/* The end of the number at p. Any letter belongs to it, so that "12ab" is one wrong number and not
 * two tokens. */
static const char *number_end(const char *p, const char *end)
{
    bool hex = end - p > 1 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
    for (const char *start = p; p < end; p++) {
        bool exponent_sign =
            (*p == '-' || *p == '+') && p > start && !hex && (p[-1] == 'e' || p[-1] == 'E');
        if (!is_word(*p) && *p != '.' && !exponent_sign)
            break;
    }
    return p;
}

/* The end of the string at p, behind its quote; NULL if its line ends first. */
static const char *string_end(const char *p, const char *end)
{
    char quote = *p++;
    for (; p < end && *p != '\n'; p++) {
        if (*p == quote)
            return p + 1;
        if (*p == '\\' && p + 1 < end && p[1] != '\n')
            p++;
    }
    return NULL;
}

static bool next_token(struct reader *r)
{
    skip_blanks(r);
    const char *p = r->next, *stop = p;
    struct token *t = &r->token;
    *t = (struct token){.kind = END, .text = p, .pos = pos_at(r, p, 1)};
    if (p == r->end)
        return true;
    if (is_digit(*p) || (*p == '.' && p + 1 < r->end && is_digit(p[1]))) {
        t->kind = NUMBER;
        stop = number_end(p, r->end);
    } else if (is_word(*p)) {
        t->kind = WORD;
        while (stop < r->end && is_word(*stop))
            stop++;
    } else if (*p == '"' || *p == '\'') {
        t->kind = STRING;
        stop = string_end(p, r->end);
        if (!stop)
            return syntax(r, t->pos, "the string does not end on its line");
    } else if (*p && strchr("{}<>[]:,;-+./", *p)) {
        t->kind = MARK;
        t->mark = *p;
        stop = p + 1;
    } else {
        return syntax(r, t->pos, "a character that means nothing here");
    }
    t->length = (size_t)(stop - p);
    t->pos.length = (int)t->length;
    r->next = stop;
    return true;
}

static bool is_mark(const struct reader *r, char mark)
{
    return r->token.kind == MARK && r->token.mark == mark;
}

/* The token for a message: as it stands, cut if it is long. */
static const char *token_text(struct reader *r, const struct token *t)
{
    size_t n = t->length < 40 ? t->length : 40;
    const char *text = escaped(&r->job->arena, t->text, n), *more = n < t->length ? "..." : "";
    if (t->kind == END)
        return "the end of the file";
    if (t->kind == STRING)
        return arena_print(&r->job->arena, "the text %.*s%s", (int)n, t->text, more);
    return arena_print(&r->job->arena, "\"%s%s\"", text, more);
}

static bool expected(struct reader *r, const char *what)
{
    return syntax(
        r, r->token.pos,
        arena_print(&r->job->arena, "expected %s, found %s", what, token_text(r, &r->token)));
}

/* A token's text as a C string. */
static const char *word_of(struct reader *r, const struct token *t)
{
    return arena_copy(&r->job->arena, t->text, t->length);
}

/* ---- strings ---- */

/* The piece of a string that is being decoded. */
struct piece_of_string {
    struct pos pos; /* of its quote */
    const char *start, *p, *end;
};

static bool wrong_escape(struct reader *r, const struct piece_of_string *s, const char *escape,
                         const char *why)
{
    struct pos pos = s->pos;
    pos.column += (int)(escape - s->start);
    pos.length = (int)(s->p - escape);
    return syntax(r, pos, why);
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* Up to `most` digits; returns how many there were. */
static int digits(struct piece_of_string *s, int base, int most, uint32_t *value)
{
    int n = 0;
    for (*value = 0; n < most && s->p < s->end && digit_value(*s->p) < base; n++)
        *value = *value * (uint32_t)base + (uint32_t)digit_value(*s->p++);
    return n;
}

static void add_code(struct text *t, uint32_t c)
{
    char b[4] = {(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 63)),
                 (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))};
    if (c < 0x80) {
        b[3] = (char)c;
        text_add(t, b + 3, 1);
    } else if (c < 0x800) {
        b[2] = (char)(0xc0 | c >> 6);
        text_add(t, b + 2, 2);
    } else if (c < 0x10000) {
        b[1] = (char)(0xe0 | c >> 12);
        text_add(t, b + 1, 3);
    } else {
        text_add(t, b, 4);
    }
}

/* \uXXXX and \UXXXXXXXX; s->p stands behind the u. Two \u may spell one code point. */
static bool decode_unicode(struct reader *r, struct piece_of_string *s, const char *escape, int n,
                           struct text *to)
{
    uint32_t c, low;
    if (digits(s, 16, n, &c) != n)
        return wrong_escape(r, s, escape,
                            n == 4 ? "\\u takes four hexadecimal digits"
                                   : "\\U takes eight hexadecimal digits");
    if (c >= 0xd800 && c < 0xdc00 && s->end - s->p > 1 && s->p[0] == '\\' && s->p[1] == 'u') {
        s->p += 2;
        if (digits(s, 16, 4, &low) == 4 && low >= 0xdc00 && low < 0xe000)
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return wrong_escape(
            r, s, escape, c ? "there is no such character" : "a text cannot hold the character 0");
    add_code(to, c);
    return true;
}

/* An escape; s->p stands at its backslash. */
static bool decode_escape(struct reader *r, struct piece_of_string *s, struct text *to)
{
    static const char simple[] = "abfnrtv\\'\"?", meaning[] = "\a\b\f\n\r\t\v\\'\"?";
    const char *escape = s->p++, *known;
    char c = *s->p; /* a token never ends in a backslash */
    uint32_t value;
    if (c >= '0' && c <= '7') {
        digits(s, 8, 3, &value);
    } else if (c == 'x' || c == 'X') {
        s->p++;
        if (!digits(s, 16, 2, &value))
            return wrong_escape(r, s, escape, "\\x takes one or two hexadecimal digits");
    } else if (c == 'u' || c == 'U') {
        s->p++;
        return decode_unicode(r, s, escape, c == 'u' ? 4 : 8, to);
    } else {
        s->p++;
        known = strchr(simple, c);
        if (!c || !known)
            return wrong_escape(r, s, escape, "an unknown escape; a backslash is written \\\\");
        text_add(to, meaning + (known - simple), 1);
        return true;
    }
    if (value == 0 || value > 255)
        return wrong_escape(r, s, escape,
                            value ? "an octal escape is at most \\377"
                                  : "a text cannot hold the character 0");
    text_add(to, (const char[]){(char)value}, 1);
    return true;
}

static bool decode_piece(struct reader *r, struct text *to)
{
    const struct token *t = &r->token;
    struct piece_of_string s = {t->pos, t->text, t->text + 1, t->text + t->length - 1};
    while (s.p < s.end) {
        const char *plain = s.p;
        while (s.p < s.end && *s.p != '\\' && *s.p)
            s.p++;
        text_add(to, plain, (size_t)(s.p - plain));
        if (s.p < s.end && !*s.p) {
            s.p++;
            return wrong_escape(r, &s, s.p - 1, "a text cannot hold the character 0");
        }
        if (s.p < s.end && !decode_escape(r, &s, to))
            return false;
    }
    return true;
}

static bool check_utf8(struct reader *r, struct pos pos, const struct text *t)
{
    const unsigned char *p = (const unsigned char *)t->data;
    uint32_t code;
    for (size_t left = t->length; left;) {
        int n = utf8(p, left, &code);
        if (!n)
            return syntax(r, pos, "the text is not UTF-8");
        p += n;
        left -= (size_t)n;
    }
    return true;
}

/* One string or several side by side; they make one. */
static bool take_string(struct reader *r, const char **string)
{
    struct text t = {.arena = &r->job->arena};
    struct pos pos = r->token.pos;
    text_add(&t, "", 0);
    while (r->token.kind == STRING)
        if (!decode_piece(r, &t) || !next_token(r))
            return false;
    *string = t.data;
    return check_utf8(r, pos, &t);
}

/* ---- scalars: as written ---- */

struct scalar {
    struct token token; /* without its sign; of a string, the first piece */
    bool negative;
    const char *string; /* STRING: decoded */
    struct pos pos;     /* with the sign */
};

static bool take_scalar(struct reader *r, struct scalar *s)
{
    *s = (struct scalar){.pos = r->token.pos};
    if (is_mark(r, '-') || is_mark(r, '+')) {
        s->negative = r->token.mark == '-';
        if (!next_token(r))
            return false;
        if (r->token.kind != NUMBER && r->token.kind != WORD)
            return expected(r, "a number");
        if (r->token.pos.line == s->pos.line)
            s->pos.length = r->token.pos.column + r->token.pos.length - s->pos.column;
    }
    s->token = r->token;
    if (r->token.kind == STRING)
        return take_string(r, &s->string);
    if (r->token.kind != NUMBER && r->token.kind != WORD)
        return expected(r, "a value");
    return next_token(r);
}

/* ---- scalars: as a field wants them; false after an error, reading goes on ---- */

static const char *wanted(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return "a number";
    case PROTOBUF_C_TYPE_BOOL:
        return "true or false";
    case PROTOBUF_C_TYPE_STRING:
        return "a text in quotes";
    case PROTOBUF_C_TYPE_ENUM:
        return "a name without quotes";
    default:
        return "a whole number";
    }
}

/* The scalar for a message. */
static const char *scalar_text(struct reader *r, const struct scalar *s)
{
    const char *text = token_text(r, &s->token);
    return s->negative ? arena_print(&r->job->arena, "\"-%s", text + 1) : text;
}

static bool wrong_value(struct reader *r, const ProtobufCFieldDescriptor *f, const struct scalar *s,
                        const char *what)
{
    blame(r->job, BAD_INPUT, s->pos, "value", NULL, "%s needs %s, found %s", f->name, what,
          scalar_text(r, s));
    return false;
}

/* Decimal, 0x hexadecimal or 0 octal, as in C; false if it is none of them, or larger than 64 bits.
 */
static bool parse_whole(const struct token *t, uint64_t *value)
{
    const char *p = t->text, *end = p + t->length;
    int base = 10;
    if (t->length > 1 && p[0] == '0') {
        base = p[1] == 'x' || p[1] == 'X' ? 16 : 8;
        p += base == 16 ? 2 : 1;
    }
    *value = 0;
    if (p == end)
        return false;
    for (; p < end; p++) {
        int d = digit_value(*p);
        if (d >= base || *value > (UINT64_MAX - (unsigned)d) / (unsigned)base)
            return false;
        *value = *value * (unsigned)base + (unsigned)d;
    }
    return true;
}

/* The largest magnitude a type takes, above and below zero. */
static uint64_t largest(ProtobufCType type, bool negative)
{
    switch (type) {
    case PROTOBUF_C_TYPE_UINT32:
        return negative ? 0 : UINT32_MAX;
    case PROTOBUF_C_TYPE_UINT64:
        return negative ? 0 : UINT64_MAX;
    default:
        return negative ? (uint64_t)INT32_MAX + 1 : INT32_MAX;
    }
}

static bool to_whole(struct reader *r, const ProtobufCFieldDescriptor *f, const struct scalar *s,
                     uint64_t *value)
{
    const char *p = s->token.text;
    if (s->token.kind != NUMBER || memchr(p, '.', s->token.length))
        return wrong_value(r, f, s, wanted(f->type));
    uint64_t limit = largest(f->type, s->negative);
    if (!parse_whole(&s->token, value) || *value > limit)
        return wrong_value(r, f, s,
                           arena_print(&r->job->arena, "a whole number from %s%llu to %llu",
                                       largest(f->type, true) ? "-" : "",
                                       (unsigned long long)largest(f->type, true),
                                       (unsigned long long)largest(f->type, false)));
    if (s->negative)
        *value = 0 - *value; /* two's complement; the low 32 bits are the int32 */
    return true;
}

/* strtod in the C locale: a program that we are part of may have set one that wants a decimal
 * comma. */
static double c_strtod(const char *text, char **end)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double value = strtod_l(text, end, c);
    freelocale(c);
    return value;
}

static bool to_double(struct reader *r, const ProtobufCFieldDescriptor *f, const struct scalar *s,
                      double *value)
{
    static const char *const words[] = {"inf", "infinity", "inff", "infinityf", "nan", "nanf"};
    const char *text = word_of(r, &s->token);
    char *end = NULL;
    bool known = false;
    if (s->token.kind == WORD) {
        for (size_t i = 0; i < COUNT(words) && !known; i++) {
            known = strlen(words[i]) == s->token.length && strcasecmp(words[i], text) == 0;
            *value = i < 4 ? INFINITY : NAN;
        }
    } else if (s->token.kind == NUMBER && !memchr(text, 'x', s->token.length) &&
               !memchr(text, 'X', s->token.length)) {
        *value = c_strtod(text, &end);
        known = !*end || ((*end == 'f' || *end == 'F') && !end[1]);
    }
    if (!known)
        return wrong_value(r, f, s, wanted(f->type));
    if (s->negative)
        *value = -*value;
    return true;
}

static float to_float(double value)
{
    if (fabs(value) > FLT_MAX) /* too large for the conversion to be defined */
        return (float)copysign(INFINITY, value);
    return (float)value;
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static bool to_bool(struct reader *r, const ProtobufCFieldDescriptor *f, const struct scalar *s,
                    int *value)
{
    static const char *const yes[] = {"true", "True", "t", "1", NULL};
    static const char *const no[] = {"false", "False", "f", "0", NULL};
    const char *word = word_of(r, &s->token);
    *value = is_one_of(word, yes);
    if (s->negative || s->token.kind == STRING || (!*value && !is_one_of(word, no)))
        return wrong_value(r, f, s, wanted(f->type));
    return true;
}

/* "one of A, B, C" if they are few, else the nearest, else nothing. */
static const char *enum_hint(struct reader *r, const ProtobufCEnumDescriptor *e, const char *word)
{
    const char **names = NEW_ARRAY(r->job, e->n_values + 1, const char *);
    for (unsigned i = 0; i < e->n_values; i++)
        names[i] = e->values[i].name;
    const char *near = near_miss(word, names);
    if (near)
        return arena_print(&r->job->arena, "did you mean %s?", near);
    struct text t = {.arena = &r->job->arena};
    for (unsigned i = 0; i < e->n_values; i++)
        text_print(&t, "%s%s", i ? ", " : "one of ", names[i]);
    return e->n_values <= 8 ? t.data : NULL;
}

static bool to_enum(struct reader *r, const ProtobufCFieldDescriptor *f, const struct scalar *s,
                    int *value)
{
    const ProtobufCEnumDescriptor *e = f->descriptor;
    const ProtobufCEnumValue *v = NULL;
    uint64_t number = 0;
    if (s->token.kind == STRING || (s->token.kind == WORD && s->negative))
        return wrong_value(r, f, s, wanted(f->type));
    const char *word = word_of(r, &s->token);
    if (s->token.kind == WORD)
        v = protobuf_c_enum_descriptor_get_value_by_name(e, word);
    else if (parse_whole(&s->token, &number) && number <= INT_MAX)
        v = protobuf_c_enum_descriptor_get_value(e, s->negative ? -(int)number : (int)number);
    if (!v) {
        blame(r->job, BAD_INPUT, s->pos, "value", enum_hint(r, e, word), "%s has no value %s",
              f->name, scalar_text(r, s));
        return false;
    }
    *value = v->value;
    return true;
}

static size_t size_of(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_UINT32:
        return sizeof(uint32_t);
    case PROTOBUF_C_TYPE_INT32:
        return sizeof(int32_t);
    case PROTOBUF_C_TYPE_UINT64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_FLOAT:
        return sizeof(float);
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(double);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int);
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(char *);
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(ProtobufCMessage *);
    default:
        bug("easyrec.proto has a type that prototext.c does not know, field %s", f->name);
    }
}

/* A field's value of any scalar type. */
union cell {
    uint32_t u32;
    uint64_t u64;
    float f32;
    double f64;
    int whole; /* bool, enum */
    const char *string;
    ProtobufCMessage *message;
};

static bool convert(struct reader *r, const ProtobufCFieldDescriptor *f, const struct scalar *s,
                    union cell *to)
{
    uint64_t whole = 0;
    double number = 0;
    bool good = true;
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        to->string = s->string;
        return s->string ? true : wrong_value(r, f, s, wanted(f->type));
    case PROTOBUF_C_TYPE_BOOL:
        return to_bool(r, f, s, &to->whole);
    case PROTOBUF_C_TYPE_ENUM:
        return to_enum(r, f, s, &to->whole);
    case PROTOBUF_C_TYPE_DOUBLE:
        return to_double(r, f, s, &to->f64);
    case PROTOBUF_C_TYPE_FLOAT:
        good = to_double(r, f, s, &number);
        to->f32 = to_float(number);
        return good;
    case PROTOBUF_C_TYPE_UINT64:
        return to_whole(r, f, s, &to->u64);
    default:
        good = to_whole(r, f, s, &whole);
        to->u32 = (uint32_t)whole;
        return good;
    }
}

/* ---- skipping ---- */

static bool skip_fields(struct reader *r, char close, int depth);

static char closing(char open) { return open == '{' ? '}' : '>'; }

static bool too_deep(struct reader *r)
{
    return syntax(r, r->token.pos, "messages within messages, too deep");
}

/* A message or a scalar. */
static bool skip_one(struct reader *r, int depth)
{
    struct scalar s;
    if (!is_mark(r, '{') && !is_mark(r, '<'))
        return take_scalar(r, &s);
    if (depth >= MAX_DEPTH)
        return too_deep(r);
    char close = closing(r->token.mark);
    return next_token(r) && skip_fields(r, close, depth + 1);
}

/* Reads "]" or the "," before the next value; `more` tells which. */
static bool after_value(struct reader *r, bool *more)
{
    *more = is_mark(r, ',');
    if (!*more && !is_mark(r, ']'))
        return expected(r, "\",\" or \"]\"");
    return next_token(r);
}

/* What follows a name that is not looked at: `: value`, `{ ... }`, `: [ ... ]`. */
static bool skip_value(struct reader *r, int depth)
{
    bool colon = is_mark(r, ':'), more = true;
    if (colon && !next_token(r))
        return false;
    if (!is_mark(r, '['))
        return colon || is_mark(r, '{') || is_mark(r, '<') ? skip_one(r, depth)
                                                           : expected(r, "\":\" or \"{\"");
    if (!next_token(r))
        return false;
    if (is_mark(r, ']'))
        return next_token(r);
    while (more)
        if (!skip_one(r, depth) || !after_value(r, &more))
            return false;
    return true;
}

/* A field's name into `name`: a word, or an extension's or an Any's in brackets. */
static bool take_name(struct reader *r, struct token *name)
{
    *name = r->token;
    if (r->token.kind == WORD)
        return next_token(r);
    if (!is_mark(r, '['))
        return expected(r, "the name of a field");
    do {
        if (!next_token(r))
            return false;
    } while (r->token.kind == WORD || r->token.kind == NUMBER || is_mark(r, '.') ||
             is_mark(r, '/') || is_mark(r, '-'));
    if (!is_mark(r, ']'))
        return expected(r, "\"]\"");
    name->length = (size_t)(r->token.text + 1 - name->text);
    if (r->token.pos.line == name->pos.line)
        name->pos.length = (int)name->length;
    return next_token(r);
}

/* The separator that may follow a field. */
static bool skip_separator(struct reader *r)
{
    return is_mark(r, ',') || is_mark(r, ';') ? next_token(r) : true;
}

/* Fields up to and with the closing mark. */
static bool skip_fields(struct reader *r, char close, int depth)
{
    struct token name;
    while (!is_mark(r, close))
        if (!take_name(r, &name) || !skip_value(r, depth) || !skip_separator(r))
            return false;
    return next_token(r);
}

/* ---- where everything stands ---- */

static void record(struct reader *r, const void *message, unsigned number, size_t index,
                   struct pos pos)
{
    if (r->n_positions == r->room_positions) {
        size_t room = r->room_positions ? r->room_positions * 2 : 256;
        struct field_pos *larger = NEW_ARRAY(r->job, room, struct field_pos);
        if (r->n_positions)
            memcpy(larger, r->positions, r->n_positions * sizeof(*larger));
        r->positions = larger;
        r->room_positions = room;
    }
    r->positions[r->n_positions++] = (struct field_pos){message, number, index, pos};
}

static int compare_keys(const void *left, const void *right)
{
    const struct field_pos *a = left, *b = right;
    uintptr_t p = (uintptr_t)a->message, q = (uintptr_t)b->message;
    if (p != q)
        return p < q ? -1 : 1;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* By key; of equal keys the later place first. */
static int compare_positions(const void *left, const void *right)
{
    const struct field_pos *a = left, *b = right;
    int order = compare_keys(a, b);
    if (order)
        return order;
    if (a->pos.line != b->pos.line)
        return a->pos.line > b->pos.line ? -1 : 1;
    return a->pos.column > b->pos.column ? -1 : a->pos.column < b->pos.column;
}

/* Sorts, keeps the last place of each field, and drops fields of a oneof that another member
 * replaced. */
static void sort_positions(struct reader *r)
{
    struct field_pos *p = r->positions;
    size_t kept = 0;
    if (r->n_positions)
        qsort(p, r->n_positions, sizeof(*p), compare_positions);
    for (size_t i = 0; i < r->n_positions; i++) {
        bool again = kept && compare_keys(&p[kept - 1], &p[i]) == 0;
        if (!again && (p[i].number == 0 || field_set(p[i].message, p[i].number)))
            p[kept++] = p[i];
    }
    r->n_positions = kept;
}

static const struct field_pos *find_position(const struct config *c, const void *message,
                                             unsigned number, size_t index)
{
    struct field_pos key = {.message = message, .number = number, .index = index};
    return c->n_positions ? bsearch(&key, c->positions, c->n_positions, sizeof(key), compare_keys)
                          : NULL;
}

struct pos field_pos(const struct config *c, const void *message, unsigned number, size_t index)
{
    const struct field_pos *found = find_position(c, message, number, index);
    if (!found)
        found = find_position(c, message, 0, 0);
    return found ? found->pos : (struct pos){.source = c->source};
}

/* ---- places in a message ---- */

/* The struct's member at an offset. protoc-c laid it out; its descriptors give the offsets. */
static void *member(const void *message, unsigned offset)
{
    return (char *)(uintptr_t)message + offset;
}

static bool in_oneof(const ProtobufCFieldDescriptor *f)
{
    return (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

static bool is_set(const void *message, const ProtobufCFieldDescriptor *f)
{
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return *(size_t *)member(message, f->quantifier_offset) > 0;
    if (in_oneof(f))
        return *(unsigned *)member(message, f->quantifier_offset) == f->id;
    if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE) {
        const void *p = *(void **)member(message, f->offset);
        return p && p != f->default_value;
    }
    return *(protobuf_c_boolean *)member(message, f->quantifier_offset);
}

bool field_set(const void *message, unsigned number)
{
    const ProtobufCMessage *m = message;
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field(m->descriptor, number);
    return f && is_set(message, f);
}

/* Appends a value. The room of an array follows from its count: it doubles when the count is a
 * power of two. */
static void append(struct reader *r, void *message, const ProtobufCFieldDescriptor *f,
                   const union cell *value)
{
    size_t *n = member(message, f->quantifier_offset), size = size_of(f);
    char **array = member(message, f->offset);
    if ((*n & (*n - 1)) == 0) {
        char *larger = arena_array(&r->job->arena, *n ? *n * 2 : 1, size);
        if (*n)
            memcpy(larger, *array, *n * size);
        *array = larger;
    }
    memcpy(*array + *n * size, value, size);
    ++*n;
}

/* Makes `f` the member of its oneof; warns if another one was. */
static void choose(struct reader *r, void *message, const ProtobufCFieldDescriptor *f,
                   struct pos pos)
{
    const ProtobufCMessage *m = message;
    unsigned *chosen = member(message, f->quantifier_offset);
    if (*chosen && *chosen != f->id) {
        const ProtobufCFieldDescriptor *old =
            protobuf_c_message_descriptor_get_field(m->descriptor, *chosen);
        warning(r->job, pos, "duplicate", "the last one wins",
                "%s after %s: only one of them can be set", f->name, old->name);
    }
    *chosen = f->id;
}

static void assign(struct reader *r, void *message, const ProtobufCFieldDescriptor *f,
                   const union cell *value, struct pos pos)
{
    if (is_set(message, f))
        warning(r->job, pos, "duplicate", "the last one wins", "%s is given twice", f->name);
    if (in_oneof(f))
        choose(r, message, f, pos);
    else if (f->type != PROTOBUF_C_TYPE_STRING)
        *(protobuf_c_boolean *)member(message, f->quantifier_offset) = 1;
    memcpy(member(message, f->offset), value, size_of(f));
}

static ProtobufCMessage *new_message(struct reader *r, const ProtobufCMessageDescriptor *d,
                                     struct pos pos)
{
    ProtobufCMessage *m = arena_alloc(&r->job->arena, d->sizeof_message);
    protobuf_c_message_init(d, m);
    record(r, m, 0, 0, pos);
    return m;
}

/* The message to read a field's value into: a new one, or the one that is there already, to be
 * merged. */
static ProtobufCMessage *message_for(struct reader *r, void *message,
                                     const ProtobufCFieldDescriptor *f, struct pos pos)
{
    union cell value;
    if (f->label != PROTOBUF_C_LABEL_REPEATED && is_set(message, f))
        return *(ProtobufCMessage **)member(message, f->offset);
    value.message = new_message(r, f->descriptor, pos);
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        append(r, message, f, &value);
        return value.message;
    }
    if (in_oneof(f))
        choose(r, message, f, pos);
    memcpy(member(message, f->offset), &value.message, sizeof(value.message));
    return value.message;
}

/* ---- names that the descriptors do not have ---- */

enum fate { UNKNOWN, IGNORE, CANNOT, TORCH_ONLY };

static const struct row {
    const char *message, *field, *what;
    enum fate fate;
} rows[] = {
#define IGNORED(message, field) {#message, #field, NULL, IGNORE},
#define UNSUPPORTED(message, field, what) {#message, #field, what, CANNOT},
#define TORCH(message, field) {#message, #field, NULL, TORCH_ONLY},
#include "easyrec_fields.def"
#undef IGNORED
#undef UNSUPPORTED
#undef TORCH
};

static struct row find_row(const char *message, const char *field)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (strcmp(rows[i].field, field) == 0 && strcmp(rows[i].message, message) == 0)
            return rows[i];
    return (struct row){.fate = UNKNOWN};
}

/* The names that EasyRec knows in a message. */
static const char *const *names_of(struct reader *r, const ProtobufCMessageDescriptor *d)
{
    const char **names = NEW_ARRAY(r->job, d->n_fields + COUNT(rows) + 1, const char *);
    size_t n = 0;
    for (; n < d->n_fields; n++)
        names[n] = d->fields[n].name;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].fate != TORCH_ONLY && strcmp(rows[i].message, d->short_name) == 0)
            names[n++] = rows[i].field;
    return names;
}

/* `in` is the field that holds the message, NULL at the top. */
static void unknown(struct reader *r, const ProtobufCMessageDescriptor *d, const char *in,
                    const struct token *name)
{
    struct arena *a = &r->job->arena;
    bool skip = r->job->options && r->job->options->permissive;
    const char *near = near_miss(word_of(r, name), names_of(r, d));
    const char *cure = skip ? "skipped" : "--permissive skips it";
    const char *hint = near ? arena_print(a, "did you mean \"%s\"? %s", near, cure) : cure;
    const char *text = arena_print(a, "unknown field %s %s%s", token_text(r, name),
                                   in ? "in " : "at the top", in ? in : "");
    if (skip)
        warning(r->job, name->pos, "unknown-field", hint, "%s", text);
    else
        blame(r->job, BAD_INPUT, name->pos, "unknown-field", hint, "%s", text);
}

/* Each ignored name once, for those who want to see what was left out. */
static void note_ignored(struct reader *r, const struct row *row)
{
    const char *name = arena_print(&r->job->arena, "%s.%s", row->message, row->field);
    for (size_t i = 0; i < r->n_ignored; i++)
        if (strcmp(r->ignored[i], name) == 0)
            return;
    if (!r->ignored)
        r->ignored = NEW_ARRAY(r->job, COUNT(rows), const char *);
    r->ignored[r->n_ignored++] = name;
}

static bool foreign_field(struct reader *r, const ProtobufCMessageDescriptor *d, const char *in,
                          const struct token *name, int depth)
{
    struct row row = find_row(d->short_name, word_of(r, name));
    if (row.fate == IGNORE)
        note_ignored(r, &row);
    if (row.fate == TORCH_ONLY) {
        blame(r->job, UNSUPPORTED, name->pos, "unsupported", "mmoec reads EasyRec's configs",
              "this is a TorchEasyRec config");
        return false;
    }
    if (row.fate == CANNOT)
        blame(r->job, UNSUPPORTED, name->pos, "unsupported", "mmoec compiles the model MMoE",
              "%s is not supported", row.what);
    if (row.fate == UNKNOWN)
        unknown(r, d, in, name);
    return skip_value(r, depth);
}

/* ---- fields ---- */

static bool read_fields(struct reader *r, ProtobufCMessage *m, const char *in, char close,
                        int depth);

/* One `{ ... }` of a message field. */
static bool read_message(struct reader *r, void *message, const ProtobufCFieldDescriptor *f,
                         struct pos pos, int depth)
{
    if (depth >= MAX_DEPTH)
        return too_deep(r);
    char close = closing(r->token.mark);
    ProtobufCMessage *child = message_for(r, message, f, pos);
    return next_token(r) && read_fields(r, child, f->name, close, depth + 1);
}

static bool read_scalar(struct reader *r, void *message, const ProtobufCFieldDescriptor *f,
                        struct pos pos)
{
    struct scalar s;
    union cell value;
    memset(&value, 0, sizeof(value));
    if (!take_scalar(r, &s))
        return false;
    if (!convert(r, f, &s, &value))
        return true;
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        append(r, message, f, &value);
    else
        assign(r, message, f, &value, pos);
    return true;
}

/* A value of any field, at `pos`; a message where a scalar should be, or the reverse, is a wrong
 * value. */
static bool read_value(struct reader *r, void *message, const ProtobufCFieldDescriptor *f,
                       struct pos pos, int depth)
{
    bool is_message = is_mark(r, '{') || is_mark(r, '<');
    bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
    if (is_message != (f->type == PROTOBUF_C_TYPE_MESSAGE)) {
        blame(r->job, BAD_INPUT, r->token.pos, "value", NULL,
              is_message ? "%s needs %s, not a message" : "%s needs %s", f->name,
              is_message ? wanted(f->type) : "a message, { ... }");
        return skip_one(r, depth);
    }
    size_t index = repeated ? *(size_t *)member(message, f->quantifier_offset) : 0;
    record(r, message, f->id, index, pos);
    return is_message ? read_message(r, message, f, pos, depth) : read_scalar(r, message, f, pos);
}

/* `[value, value]`; the values' places are their own. */
static bool read_list(struct reader *r, void *message, const ProtobufCFieldDescriptor *f, int depth)
{
    bool more = true;
    if (f->label != PROTOBUF_C_LABEL_REPEATED)
        return syntax(r, r->token.pos,
                      arena_print(&r->job->arena, "%s takes one value, not a list", f->name));
    if (!next_token(r))
        return false;
    if (is_mark(r, ']'))
        return next_token(r);
    while (more)
        if (!read_value(r, message, f, r->token.pos, depth) || !after_value(r, &more))
            return false;
    return true;
}

static bool read_field(struct reader *r, ProtobufCMessage *m, const char *in, int depth)
{
    struct token name;
    if (!take_name(r, &name))
        return false;
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, word_of(r, &name));
    if (!f)
        return foreign_field(r, m->descriptor, in, &name, depth);
    bool colon = is_mark(r, ':');
    if (colon && !next_token(r))
        return false;
    if (!colon && !is_mark(r, '{') && !is_mark(r, '<') &&
        !(f->type == PROTOBUF_C_TYPE_MESSAGE && is_mark(r, '[')))
        return expected(r, f->type == PROTOBUF_C_TYPE_MESSAGE ? "\"{\"" : "\":\"");
    return is_mark(r, '[') ? read_list(r, m, f, depth) : read_value(r, m, f, name.pos, depth);
}

/* Fields up to and with the closing mark, or at the top (`close` 0) to the end of the text. */
static bool read_fields(struct reader *r, ProtobufCMessage *m, const char *in, char close,
                        int depth)
{
    while (close ? !is_mark(r, close) : r->token.kind != END) {
        if (!read_field(r, m, in, depth) || !skip_separator(r))
            return false;
        if (r->job->errors >= r->most_errors) {
            note(r->job, r->token.pos, "reading stops here, after %d errors", MAX_ERRORS);
            return false;
        }
    }
    return close ? next_token(r) : true;
}

static void skip_byte_order_mark(struct reader *r)
{
    if (r->source->length >= 3 && memcmp(r->next, "\xef\xbb\xbf", 3) == 0)
        r->line_start = r->next += 3;
}

struct config *read_config(struct job *job, const struct source *source)
{
    if (!source)
        return NULL;
    int errors = job->errors;
    struct reader r = {.job = job,
                       .source = source,
                       .next = source->text,
                       .end = source->text + source->length,
                       .line_start = source->text,
                       .line = 1,
                       .most_errors = errors + MAX_ERRORS};
    if (source->length > LONGEST_TEXT) {
        blame(job, BAD_INPUT, (struct pos){.source = source}, "syntax", NULL,
              "the text is too long");
        return NULL;
    }
    skip_byte_order_mark(&r);
    ProtobufCMessage *top =
        new_message(&r, &easyrec__easy_rec_config__descriptor, (struct pos){.source = source});
    if (!next_token(&r) || !read_fields(&r, top, NULL, 0, 0) || job->errors > errors)
        return NULL;
    sort_positions(&r);
    struct config *c = NEW(job, struct config);
    *c = (struct config){source, top, r.positions, r.n_positions, r.ignored, r.n_ignored};
    return c;
}
