// SPDX-License-Identifier: Apache-2.0
/* csv.c: lines of files -> cells of a row, as EasyRec's readers of lines have them.
 *
 * A line ends with \n; \r is dropped wherever it stands (TensorFlow's ReadLine); all other bytes, NUL included, are
 * text. A field may stand in quotes, a quote in it doubled; EasyRec counts separators first, so that none may stand
 * within quotes, but for CSVInputV2; CSVInputEx knows no quotes. An empty field takes its column's default. Only
 * columns that features read are looked at. An empty line is no row, unless a header names one column.
 *
 * Without a header, a row has all input_fields, or all but the labels: the first row's number of fields decides for all.
 *
 * Memory is one buffer, which grows to the longest line. Sources: EasyRec's input/csv_input.py, csv_input_ex.py,
 * csv_input_v2.py; TensorFlow's core/kernels/decode_csv_op.cc.
 *
 * How to read it: files and lines; fields; which column a field is; a field's value; the row.
 */
#include "mmoec.h"

#include <string.h>
#include <unistd.h>

#define FIRST_ROOM ((size_t)1 << 16)

struct field {
    const char *text;
    size_t length;
};

struct csv {
    struct job *job;
    const struct row_program *p;
    bool header;
    const char **paths;
    int n_paths, next_path;
    struct file *file;              /* the one being read, or NULL */
    struct source source;           /* for messages */
    char *buffer;
    size_t start, end, room;        /* what was read and not yet given: [start, end) */
    uint64_t read, total;           /* bytes so far, and of all files or 0 */
    bool ended;                     /* the file */
    int line, place;                /* the last line's number; the byte in it where a fault is */
    char why[128];                  /* a fault's text with numbers in it */
    struct field *fields;
    int n_fields, room_fields;
    int *columns;                   /* [n_columns]: a field's column, or -1 */
    int wanted;                     /* how many fields a row has; 0 while not known */
    bool warned;                    /* of columns that a header lacks */
};

/* ---- files and lines ------------------------------------------------------------------------- */

static void list_paths(struct csv *csv, const char *paths)
{
    size_t n = 1;
    for (const char *c = paths; *c; c++)
        n += *c == ',';
    csv->paths = NEW_ARRAY(csv->job, n, const char *);
    if (access(paths, F_OK) == 0) {
        csv->paths[csv->n_paths++] = paths;
        return;
    }
    for (const char *p = paths;; p++) {
        size_t k = strcspn(p, ",");
        csv->paths[csv->n_paths++] = arena_copy(&csv->job->arena, p, k);
        p += k;
        if (!*p)
            return;
    }
}

static uint64_t count_bytes(const struct csv *csv)
{
    uint64_t sum = 0;
    for (int i = 0; i < csv->n_paths; i++) {
        uint64_t n = stream_bytes(csv->paths[i]);
        if (!n)
            return 0;
        sum += n;
    }
    return sum;
}

struct extent csv_extent(const struct csv *csv)
{
    return (struct extent){.done = csv->read - (csv->end - csv->start), .total = csv->total};
}

static bool next_file(struct csv *csv)
{
    if (csv->file)
        close_stream(csv->file);
    csv->file = open_stream(csv->job, csv->paths[csv->next_path++]);
    if (!csv->file)
        return false;
    csv->source = (struct source){.name = csv->file->name};
    csv->start = csv->end = 0;
    csv->ended = false;
    csv->line = 0;
    return true;
}

/* More of the file behind what is there; false after an error. */
static bool read_more(struct csv *csv)
{
    if (csv->start) {
        memmove(csv->buffer, csv->buffer + csv->start, csv->end - csv->start);
        csv->end -= csv->start;
        csv->start = 0;
    }
    if (csv->end == csv->room) {
        char *more = NEW_ARRAY(csv->job, 2 * csv->room, char);
        memcpy(more, csv->buffer, csv->end);
        csv->buffer = more;
        csv->room *= 2;
    }
    long n = read_stream(csv->job, csv->file, csv->buffer + csv->end, csv->room - csv->end);
    csv->ended = n <= 0;
    csv->end += n > 0 ? (size_t)n : 0;
    csv->read += n > 0 ? (uint64_t)n : 0;
    return n >= 0;
}

static size_t without_returns(char *line, size_t n)
{
    size_t k = 0;
    if (!n || !memchr(line, '\r', n))
        return n;
    for (size_t i = 0; i < n; i++)
        if (line[i] != '\r')
            line[k++] = line[i];
    return k;
}

/* The file's next line; CSV_END at its end. */
static enum csv_answer next_line(struct csv *csv, char **line, size_t *length)
{
    size_t seen = 0;
    for (;;) {
        char *from = csv->buffer + csv->start, *end = NULL;
        size_t n = csv->end - csv->start;
        if (n > seen)
            end = memchr(from + seen, '\n', n - seen);
        if (end || (csv->ended && n)) {
            *line = from;
            *length = end ? (size_t)(end - from) : n;
            csv->start += *length + (end != NULL);
            *length = without_returns(from, *length);
            if (!end && !*length)       /* TensorFlow gives no last line that is empty */
                return CSV_END;
            csv->line += csv->line < INT_MAX;
            return CSV_ROW;
        }
        if (csv->ended)
            return CSV_END;
        seen = n;
        if (!read_more(csv))
            return CSV_FAILED;
    }
}

/* ---- fields ---------------------------------------------------------------------------------- */

static void add_field(struct csv *csv, const char *text, size_t length)
{
    if (csv->n_fields == csv->room_fields) {
        csv->room_fields = csv->room_fields ? 2 * csv->room_fields : 64;
        struct field *more = NEW_ARRAY(csv->job, (size_t)csv->room_fields, struct field);
        if (csv->n_fields)
            memcpy(more, csv->fields, (size_t)csv->n_fields * sizeof *more);
        csv->fields = more;
    }
    csv->fields[csv->n_fields++] = (struct field){text, length};
}

/* A quoted field from its quote at *at on, which is taken out of its quotes in place. NULL, or what is wrong. */
static const char *read_quoted(struct csv *csv, char *s, size_t n, size_t *at)
{
    char separator = csv->p->separator;
    size_t i = *at + 1, first = i, to = i;
    while (i + 1 < n && (s[i] != '"' || s[i + 1] != separator)) {
        if (s[i] == '"' && s[i + 1] != '"')
            return "a quote inside a quoted field must be doubled";
        s[to++] = s[i];
        i += s[i] == '"' ? 2 : 1;
    }
    if (i >= n || s[i] != '"')
        return "a quoted field has no end";
    add_field(csv, s + first, to - first);
    *at = i + 2;
    return NULL;
}

static const char *read_plain(struct csv *csv, const char *s, size_t n, size_t *at)
{
    const char *end = memchr(s + *at, csv->p->separator, n - *at);
    size_t length = end ? (size_t)(end - s) - *at : n - *at;
    if (csv->p->quotes && memchr(s + *at, '"', length))
        return "a quote inside a field that does not begin with one";
    add_field(csv, s + *at, length);
    *at += length + 1;
    return NULL;
}

/* The line's fields; what is wrong with it, or NULL. */
static const char *split_line(struct csv *csv, char *s, size_t n)
{
    const char *why = NULL;
    csv->n_fields = 0;
    for (size_t at = 0; at < n && !why;) {
        csv->place = at < INT_MAX ? (int)at + 1 : INT_MAX;
        why = csv->p->quotes && s[at] == '"' ? read_quoted(csv, s, n, &at) : read_plain(csv, s, n, &at);
    }
    if (!why && (n ? s[n - 1] == csv->p->separator : csv->header && csv->wanted == 1))
        add_field(csv, s + n, 0);
    return why;
}

static size_t count_separators(const struct csv *csv, const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += s[i] == csv->p->separator;
    return count;
}

struct pos csv_place(const struct csv *csv)
{
    struct source *source = NEW(csv->job, struct source);
    *source = csv->source;
    return (struct pos){.source = source, .line = csv->line, .column = csv->place, .length = 1};
}

/* ---- which column a field is ----------------------------------------------------------------- */

static int count_labels(const struct csv *csv)
{
    int n = 0;
    for (int i = 0; i < csv->p->n_columns; i++)
        n += csv->p->column[i].label;
    return n;
}

/* By the first row's number of fields; what is wrong, or NULL. */
static const char *choose_columns(struct csv *csv)
{
    int all = csv->p->n_columns, rest = all - count_labels(csv), n = csv->n_fields;
    if (n != all && n != rest) {
        snprintf(csv->why, sizeof csv->why,
                 rest == all ? "it has %d fields, needs the %d input_fields of the config"
                             : "it has %d fields, needs the %d input_fields of the config or, without labels, %d",
                 n, all, rest);
        return csv->why;
    }
    csv->columns = NEW_ARRAY(csv->job, (size_t)all, int);
    for (int i = 0, k = 0; i < all; i++)
        if (n == all || !csv->p->column[i].label)
            csv->columns[k++] = i;
    csv->wanted = n;
    return NULL;
}

static int column_named(const struct csv *csv, const struct field *name)
{
    for (int i = 0; i < csv->p->n_columns; i++)
        if (strlen(csv->p->column[i].name) == name->length &&
            memcmp(csv->p->column[i].name, name->text, name->length) == 0)
            return i;
    return -1;
}

static const char *shown(const struct csv *csv, const char *name)
{
    return escaped(&csv->job->arena, name, strlen(name));
}

/* Columns that features read and the header lacks take their defaults, with one warning. */
static void warn_missing(struct csv *csv, const bool *there)
{
    const char *first = NULL;
    int missing = 0;
    for (int i = 0; i < csv->p->n_columns; i++)
        if (csv->p->used[i] && !there[i]) {
            first = first ? first : csv->p->column[i].name;
            missing++;
        }
    if (missing && !csv->warned)
        warning(csv->job, csv_place(csv), "column", NULL,
                "the header lacks %s%s, which take%s the default", shown(csv, first),
                missing == 1 ? "" : arena_print(&csv->job->arena, " and %d more columns", missing - 1),
                missing == 1 ? "s" : "");
    csv->warned |= missing > 0;
}

/* Line 1 names the columns. */
static bool read_header(struct csv *csv, char *line, size_t n)
{
    static const char mark[] = "\xef\xbb\xbf";
    bool *there = NEW_ARRAY(csv->job, (size_t)csv->p->n_columns, bool);
    bool marked = n >= 3 && memcmp(line, mark, 3) == 0;
    const char *why = split_line(csv, line + (marked ? 3 : 0), n - (marked ? 3 : 0));
    int known = 0;
    csv->place = 1;
    if (why) {
        blame(csv->job, BAD_INPUT, csv_place(csv), "header", NULL, "%s", why);
        return false;
    }
    csv->columns = NEW_ARRAY(csv->job, (size_t)csv->n_fields, int);
    csv->wanted = csv->n_fields;
    for (int i = 0; i < csv->n_fields; i++) {
        int c = csv->columns[i] = column_named(csv, &csv->fields[i]);
        if (c >= 0 && there[c]) {
            blame(csv->job, BAD_INPUT, csv_place(csv), "header", NULL, "it names the column %s twice",
                  shown(csv, csv->p->column[c].name));
            return false;
        }
        if (c >= 0)
            there[c] = true;
        known += c >= 0;
    }
    if (!known) {
        blame(csv->job, BAD_INPUT, csv_place(csv), "header", "without --header the first line is a row",
              "no name in it is one of the config's input_fields");
        return false;
    }
    warn_missing(csv, there);
    return true;
}

/* ---- a field's value ------------------------------------------------------------------------- */

static bool is_word(const struct field *f, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i < n && i < f->length; i++)
        if ((f->text[i] | 0x20) != word[i])
            return false;
    return f->length == n;
}

/* decode_csv knows no BOOL; these words are our own. */
static const char *read_bool(const struct field *f, struct row_cell *to)
{
    to->whole = is_word(f, "true") || (f->length == 1 && f->text[0] == '1');
    return to->whole || is_word(f, "false") || (f->length == 1 && f->text[0] == '0')
               ? NULL : "is neither true nor false";
}

/* What is wrong with it, or NULL. */
static const char *read_cell(enum column_type type, const struct field *f, struct row_cell *to)
{
    float x;
    *to = (struct row_cell){.text = f->text, .length = f->length};
    switch (type) {
    case TEXT_COLUMN: return NULL;
    case BOOL_COLUMN: return read_bool(f, to);
    case INT32_COLUMN:
        return text_to_int(f->text, f->length, INT32_MIN, INT32_MAX, &to->whole) ? NULL : "is not an INT32";
    case INT64_COLUMN:
        return text_to_int(f->text, f->length, INT64_MIN, INT64_MAX, &to->whole) ? NULL : "is not an INT64";
    case FLOAT_COLUMN:
        if (!text_to_float(f->text, f->length, &x))
            return "is not a FLOAT";
        to->number = (double)x;
        return NULL;
    default: return text_to_double(f->text, f->length, &to->number) ? NULL : "is not a DOUBLE";
    }
}

static void read_cells(struct csv *csv, const char *line, struct row_cell *cells, struct row_fault *fault)
{
    const struct row_program *p = csv->p;
    memcpy(cells, p->fallback, (size_t)p->n_columns * sizeof *cells);
    for (int i = 0; i < csv->n_fields; i++) {
        const struct field *f = &csv->fields[i];
        int c = csv->columns[i];
        if (c < 0 || !p->used[c] || !f->length)
            continue;
        const char *why = read_cell(p->column[c].type, f, &cells[c]);
        if (!why)
            continue;
        csv->place = f->text - line < INT_MAX ? (int)(f->text - line) + 1 : INT_MAX;
        *fault = (struct row_fault){.name = p->column[c].name, .why = why, .text = f->text, .length = f->length};
        return;
    }
}

/* ---- the row --------------------------------------------------------------------------------- */

struct csv *open_csv(struct job *job, const struct row_program *p, const char *paths, bool header)
{
    struct csv *csv = NEW(job, struct csv);
    *csv = (struct csv){.job = job, .p = p, .header = header, .room = FIRST_ROOM,
                        .buffer = NEW_ARRAY(job, FIRST_ROOM, char)};
    list_paths(csv, paths);
    csv->total = count_bytes(csv);
    return next_file(csv) ? csv : NULL;
}

static const char *read_line(struct csv *csv, char *line, size_t n)
{
    size_t separators = count_separators(csv, line, n);
    const char *why = split_line(csv, line, n);
    if (why)
        return why;
    csv->place = 1;
    if (!csv->wanted && (why = choose_columns(csv)) != NULL)
        return why;
    if (csv->n_fields != csv->wanted) {
        snprintf(csv->why, sizeof csv->why, "it has %d fields, needs %d", csv->n_fields, csv->wanted);
        return csv->why;
    }
    if (!csv->p->quoted_separators && separators + 1 != (size_t)csv->n_fields)
        return "a separator within quotes, which EasyRec's reader counts";
    return NULL;
}

enum csv_answer read_csv(struct csv *csv, struct row_cell *cells, struct row_fault *fault)
{
    char *line;
    size_t n;
    enum csv_answer answer;
    while ((answer = next_line(csv, &line, &n)) != CSV_FAILED) {
        *fault = (struct row_fault){0};
        if (answer == CSV_END && csv->next_path == csv->n_paths)
            return CSV_END;
        if (answer == CSV_END && !next_file(csv))
            return CSV_FAILED;
        if (answer == CSV_END)
            continue;
        if (csv->line == 1 && csv->header && !read_header(csv, line, n))
            return CSV_FAILED;
        if (csv->line == 1 && (csv->header || csv->p->skip_header))
            continue;
        fault->why = read_line(csv, line, n);
        if (!fault->why)
            read_cells(csv, line, cells, fault);
        return CSV_ROW;
    }
    return CSV_FAILED;
}
