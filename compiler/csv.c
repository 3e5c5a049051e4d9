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
 * How to read it: files and lines; fields; which column a field is; a field's value; the row; blocks of rows; what is wrong.
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
    const struct mmoe_lines *lines;
    bool header;
    const char **paths;
    int n_paths, next_path;
    struct file *file;              /* the one being read, or NULL */
    const struct source *source;    /* for messages */
    char *buffer;
    size_t start, end, room;        /* what was read and not yet given: [start, end) */
    uint64_t read, total;           /* bytes so far, and of all files or 0 */
    bool ended;                     /* the file */
    int line, place;                /* the last line's number; the byte in it where a fault is */
    char why[128];                  /* a fault's text with numbers in it */
    struct field *fields;
    int n_fields, room_fields;
    struct row_cell *fallback;      /* [n_fields] */
    int *columns;                   /* of a line's field: which of lines->fields it is, or -1 */
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
    struct source *source = NEW(csv->job, struct source);
    source->name = csv->file->name;
    csv->source = source;
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
    char separator = csv->lines->separator;
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
    const char *end = memchr(s + *at, csv->lines->separator, n - *at);
    size_t length = end ? (size_t)(end - s) - *at : n - *at;
    if (csv->lines->quotes && memchr(s + *at, '"', length))
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
        why = csv->lines->quotes && s[at] == '"' ? read_quoted(csv, s, n, &at) : read_plain(csv, s, n, &at);
    }
    if (!why && (n ? s[n - 1] == csv->lines->separator : csv->header && csv->wanted == 1))
        add_field(csv, s + n, 0);
    return why;
}

static size_t count_separators(const struct csv *csv, const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += s[i] == csv->lines->separator;
    return count;
}

struct pos csv_place(const struct csv *csv)
{
    return (struct pos){.source = csv->source, .line = csv->line, .column = csv->place, .length = 1};
}

static int csv_fields(const struct csv *csv) { return (int)csv->lines->n_fields; }

/* ---- which column a field is ----------------------------------------------------------------- */

static int count_labels(const struct csv *csv)
{
    int n = 0;
    for (int i = 0; i < csv_fields(csv); i++)
        n += csv->lines->fields[i].label;
    return n;
}

/* By the first row's number of fields; what is wrong, or NULL. */
static const char *choose_columns(struct csv *csv)
{
    int all = csv_fields(csv), rest = all - count_labels(csv), n = csv->n_fields;
    if (n != all && n != rest) {
        snprintf(csv->why, sizeof csv->why,
                 rest == all ? "it has %d fields, needs the %d input_fields of the config"
                             : "it has %d fields, needs the %d input_fields of the config or, without labels, %d",
                 n, all, rest);
        return csv->why;
    }
    csv->columns = NEW_ARRAY(csv->job, (size_t)all, int);
    for (int i = 0, k = 0; i < all; i++)
        if (n == all || !csv->lines->fields[i].label)
            csv->columns[k++] = i;
    csv->wanted = n;
    return NULL;
}

static int column_named(const struct csv *csv, const struct field *name)
{
    for (int i = 0; i < csv_fields(csv); i++)
        if (strlen(csv->lines->fields[i].name) == name->length &&
            memcmp(csv->lines->fields[i].name, name->text, name->length) == 0)
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
    for (int i = 0; i < csv_fields(csv); i++)
        if (csv->lines->fields[i].column >= 0 && !there[i]) {
            first = first ? first : csv->lines->fields[i].name;
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
    bool *there = NEW_ARRAY(csv->job, (size_t)csv_fields(csv), bool);
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
                  shown(csv, csv->lines->fields[c].name));
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
static const char *read_cell(uint16_t type, const struct field *f, struct row_cell *to)
{
    *to = (struct row_cell){.text = {f->text, f->length}};
    switch (type) {
    case MMOE_STRING: return NULL;
    case MMOE_FIELD_BOOL: return read_bool(f, to);
    case MMOE_FIELD_INT32:
        return text_to_int(f->text, f->length, INT32_MIN, INT32_MAX, &to->whole) ? NULL : "is not an INT32";
    case MMOE_FIELD_INT64:
        return text_to_int(f->text, f->length, INT64_MIN, INT64_MAX, &to->whole) ? NULL : "is not an INT64";
    case MMOE_FIELD_FLOAT: return text_to_float(f->text, f->length, &to->single) ? NULL : "is not a FLOAT";
    default: return text_to_double(f->text, f->length, &to->number) ? NULL : "is not a DOUBLE";
    }
}

static void read_cells(struct csv *csv, const char *line, struct row_cell *cells, struct row_fault *fault)
{
    const struct mmoe_field *fields = csv->lines->fields;
    for (int i = 0; i < csv->n_fields; i++) {
        const struct field *f = &csv->fields[i];
        int c = csv->columns[i];
        if (c < 0 || fields[c].column < 0 || !f->length)
            continue;
        const char *why = read_cell(fields[c].type, f, &cells[c]);
        if (!why)
            continue;
        csv->place = f->text - line < INT_MAX ? (int)(f->text - line) + 1 : INT_MAX;
        *fault = (struct row_fault){.name = fields[c].name, .why = why, .text = f->text, .length = f->length};
        return;
    }
}

/* ---- the row --------------------------------------------------------------------------------- */

bool read_fallback(const struct mmoe_field *f, struct row_cell *to)
{
    const char *text = f->fallback;
    size_t n = strlen(text);
    *to = (struct row_cell){.text = {text, n}};
    if (f->type == MMOE_STRING || !n)
        return true;
    if (f->type == MMOE_FIELD_BOOL) {
        to->whole = strcmp(text, "true") == 0 || strcmp(text, "True") == 0 || strcmp(text, "TRUE") == 0;
        return true;
    }
    return read_cell(f->type, &(struct field){text, n}, to) == NULL;
}

static struct row_cell *read_fallbacks(struct job *job, const struct mmoe_lines *lines)
{
    struct row_cell *cells = NEW_ARRAY(job, lines->n_fields, struct row_cell);
    for (uint32_t i = 0; i < lines->n_fields; i++)
        read_fallback(&lines->fields[i], &cells[i]);    /* who made the lines has checked them */
    return cells;
}

struct csv *open_csv(struct job *job, const struct mmoe_lines *lines, const char *paths, bool header)
{
    struct csv *csv = NEW(job, struct csv);
    *csv = (struct csv){.job = job, .lines = lines, .fallback = read_fallbacks(job, lines), .header = header, .room = FIRST_ROOM,
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
    if (!csv->lines->quoted_separators && separators + 1 != (size_t)csv->n_fields)
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
        memcpy(cells, csv->fallback, csv->lines->n_fields * sizeof *cells);
        if (answer == CSV_END && csv->next_path == csv->n_paths)
            return CSV_END;
        if (answer == CSV_END && !next_file(csv))
            return CSV_FAILED;
        if (answer == CSV_END)
            continue;
        if (csv->line == 1 && csv->header && !read_header(csv, line, n))
            return CSV_FAILED;
        if (csv->line == 1 && (csv->header || csv->lines->skip_header))
            continue;
        fault->why = read_line(csv, line, n);
        if (!fault->why)
            read_cells(csv, line, cells, fault);
        return CSV_ROW;
    }
    return CSV_FAILED;
}

/* ---- blocks of rows -------------------------------------------------------------------------- */

static const void *cell_value(const struct row_cell *cell, uint16_t type)
{
    switch (type) {
    case MMOE_STRING: return &cell->text;
    case MMOE_FIELD_FLOAT: return &cell->single;
    case MMOE_FIELD_DOUBLE: return &cell->number;
    default: return &cell->whole;
    }
}

void row_values(const struct mmoe_lines *lines, const struct row_cell *cells, struct mmoe_values *values)
{
    for (uint32_t i = 0; i < lines->n_fields; i++)
        if (lines->fields[i].column >= 0)
            values[lines->fields[i].column] = (struct mmoe_values){cell_value(&cells[i], lines->fields[i].type),
                                                                   lines->n_fields * sizeof *cells};
}

struct row_block *new_row_block(struct job *job, const struct mmoe_lines *lines)
{
    struct row_block *b = NEW(job, struct row_block);
    b->cells = NEW_ARRAY(job, BLOCK_ROWS * (size_t)lines->n_fields, struct row_cell);
    b->values = NEW_ARRAY(job, lines->n_fields, struct mmoe_values);
    b->texts.arena = &job->arena;
    row_values(lines, b->cells, b->values);
    return b;
}

/* Lines live until the next is read: what the model reads of them is kept. */
static void keep_texts(const struct mmoe_lines *lines, struct row_block *b, const struct row_cell *cells)
{
    for (uint32_t i = 0; i < lines->n_fields; i++)
        if (lines->fields[i].column >= 0)
            text_add(&b->texts, cells[i].text.bytes, cells[i].text.length);
}

/* The kept bytes lie still once all are there. */
static void point_to_texts(const struct mmoe_lines *lines, struct row_block *b)
{
    struct row_cell *cells = b->cells;
    size_t at = 0;
    for (size_t r = 0; r < b->n; r++, cells += lines->n_fields)
        for (uint32_t i = 0; i < lines->n_fields; i++)
            if (lines->fields[i].column >= 0) {
                cells[i].text.bytes = b->texts.data + at;
                at += cells[i].text.length;
            }
}

bool read_row_block(struct csv *csv, struct row_block *b)
{
    enum csv_answer answer = CSV_END;
    b->texts.length = 0;
    for (b->n = 0; b->n < BLOCK_ROWS; b->n++) {
        struct row_cell *cells = b->cells + b->n * csv->lines->n_fields;
        answer = read_csv(csv, cells, &b->fault[b->n]);
        if (answer != CSV_ROW)
            break;
        b->place[b->n] = csv_place(csv);
        keep_texts(csv->lines, b, cells);
    }
    point_to_texts(csv->lines, b);
    return answer != CSV_FAILED;
}

/* ---- what is wrong with a row ---------------------------------------------------------------- */

struct row_fault row_fault(const struct mmoe_lines *lines, const struct row_cell *cells, struct mmoe_row_status status)
{
    static const char *const reasons[] = {
        [MMOE_ROW_NO_NUMBER] = "not a number",
        [MMOE_ROW_NOT_WHOLE] = "not a whole number, or too large",
        [MMOE_ROW_NO_PAIR] = "not a pair",
        [MMOE_ROW_NO_WEIGHT] = "not as many weights as tags",
        [MMOE_ROW_COUNT] = "not as many numbers as raw_input_dim",
        [MMOE_ROW_NUMBERS] = "more numbers than raw_input_dim",
        [MMOE_ROW_MATCHES] = "more matches than lookup_max_sel_elem_num",
        [MMOE_ROW_COMBINATIONS] = "too many combinations",
        [MMOE_ROW_STEPS] = "histories have different numbers of steps",
    };
    struct row_fault f = {0};
    if (status.why == MMOE_ROW_FINE)
        return f;
    f.why = status.why < COUNT(reasons) ? reasons[status.why] : "not as it should be";
    for (uint32_t i = 0; i < lines->n_fields; i++)
        if (lines->fields[i].column == status.column) {
            f.name = lines->fields[i].name;
            f.text = lines->fields[i].type == MMOE_STRING ? cells[i].text.bytes : NULL;
            f.length = cells[i].text.length;
        }
    return f;
}

void take_statuses(struct row_block *b, const struct mmoe_lines *lines, const struct mmoe_row_status *status)
{
    for (size_t r = 0; r < b->n; r++)
        if (!b->fault[r].why)
            b->fault[r] = row_fault(lines, b->cells + r * lines->n_fields, status[r]);
}

void blame_row(struct job *job, struct pos pos, const struct row_fault *f, bool keep_going)
{
    struct text t = {.arena = &job->arena};
    if (f->name)
        text_print(&t, "%s: ", escaped(&job->arena, f->name, strlen(f->name)));
    text_print(&t, "%s", f->why);
    if (f->text)
        text_print(&t, ": \"%s%s\"", escaped(&job->arena, f->text, f->length < 40 ? f->length : 40),
                   f->length > 40 ? "..." : "");
    if (keep_going)
        warning(job, pos, "row", NULL, "%s", t.data);
    else
        blame(job, BAD_INPUT, pos, "row", "--keep-going leaves such rows empty", "%s", t.data);
}
