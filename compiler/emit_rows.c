// SPDX-License-Identifier: Apache-2.0
/* emit_rows.c: what makes the experts' input from rows, as C text.
 *
 * A generated file that takes rows has, in order: the functions of templates/rows.c that its features call, and what
 * those call; its columns, and the lines of files that have them; one constant a feature; `features`, which reads a
 * block of rows, one call a line; and score_rows of templates/frame.c around it. Constants are those that lower_rows.c
 * made: this file prints them and decides nothing.
 */
#include "mmoec.h"
#include "../runtime/sha256.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* ---- functions: pieces of templates, and the pieces that they call ---------------------------------------- */

/* A chunk of a template. */
struct piece_of_text {
    const char *text;
    size_t length;
    bool wanted;
};

struct pieces {
    struct job *job;
    struct piece_of_text *piece;    /* in the order in which they may be printed: callees first */
    int n;
};

static const char begin_mark[] = "/*@ begin ", end_mark[] = "/*@ end */";

static void add_pieces_of(struct pieces *p, const char *file)
{
    const char *at = template_text(file);
    while ((at = strstr(at, begin_mark)) != NULL) {
        at = strchr(at, '\n') + 1;
        size_t length = (size_t)(strstr(at, end_mark) - at);
        p->piece[p->n++] = (struct piece_of_text){at, length, false};
        at += length;
    }
}

static int count_pieces(const char *file)
{
    int n = 0;
    for (const char *at = template_text(file); (at = strstr(at, begin_mark)) != NULL; at += sizeof begin_mark)
        n++;
    return n;
}

static struct pieces all_pieces(struct job *job)
{
    static const char *const files[] = {"fingerprint.c", "number.c", "functions.c", "expr.c", "rows.c"};
    struct pieces p = {.job = job};
    int n = 0;
    for (size_t i = 0; i < COUNT(files); i++)
        n += count_pieces(files[i]);
    p.piece = NEW_ARRAY(job, (size_t)n, struct piece_of_text);
    for (size_t i = 0; i < COUNT(files); i++)
        add_pieces_of(&p, files[i]);
    return p;
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* What a line that stands at the margin defines: a function's name is before the first bracket, a type's or a macro's is
   the second word. *length is 0 if it defines nothing. */
static const char *defined_name(const char *line, const char *end, size_t *length)
{
    bool type = strncmp(line, "struct ", 7) == 0, macro = strncmp(line, "#define ", 8) == 0;
    const char *to = line, *from;
    *length = 0;
    if (strncmp(line, "static ", 7) == 0) {
        while (to < end && *to != '(' && *to != '[')
            to++;
        for (from = to; from > line && is_word(from[-1]); from--)
            ;
    } else {
        from = line + (type ? 7 : 8);
        for (to = from; to < end && is_word(*to); to++)
            ;
        if (!macro && !(type && strncmp(to, " {", 2) == 0))
            return line;
    }
    *length = (size_t)(to - from);
    return from;
}

static bool defines(const struct piece_of_text *piece, const char *name, size_t n)
{
    const char *end = piece->text + piece->length;
    for (const char *line = piece->text, *next; line < end; line = next) {
        size_t length;
        next = memchr(line, '\n', (size_t)(end - line));
        next = next ? next + 1 : end;
        const char *defined = defined_name(line, next, &length);
        if (length == n && memcmp(defined, name, n) == 0)
            return true;
    }
    return false;
}

static void want(struct pieces *p, const char *name, size_t n);

/* All that the piece names. */
static void want_callees(struct pieces *p, const struct piece_of_text *piece)
{
    const char *end = piece->text + piece->length;
    for (const char *at = piece->text, *next; at < end; at = next) {
        next = at + 1;
        if (strncmp(at, "/*", 2) == 0) {
            next = strstr(at, "*/") + 2;
        } else if (is_word(*at)) {
            while (next < end && is_word(*next))
                next++;
            want(p, at, (size_t)(next - at));
        }
    }
}

static void want(struct pieces *p, const char *name, size_t n)
{
    for (int i = 0; i < p->n; i++)
        if (!p->piece[i].wanted && defines(&p->piece[i], name, n)) {
            p->piece[i].wanted = true;
            want_callees(p, &p->piece[i]);
        }
}

static void want_function(struct pieces *p, const char *name)
{
    if (name)
        want(p, name, strlen(name));
}

/* ---- constants: what they point at ------------------------------------------------------------------------- */

struct row_emitter {
    struct job *job;
    const struct row_program *p;
    struct text *to;
    struct pieces pieces;
    int lists;                      /* of words, boundaries and parts so far */
};

static const char *print(struct row_emitter *e, const char *format, ...) PRINTF_LIKE(2, 3);
static const char *print(struct row_emitter *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprint(&e->job->arena, format, args);
    va_end(args);
    return text;
}

static const char *quoted(struct row_emitter *e, const char *text, size_t n)
{
    return n ? quoted_text(e->job, text, n) : "\"\"";
}

/* A function's name, which the file then has. */
static const char *function(struct row_emitter *e, const char *name)
{
    want_function(&e->pieces, name);
    return name ? name : "NULL";
}

static const char *input(struct row_emitter *e, const struct row_input *in)
{
    return print(e, "{.column = %u, .digits = %u, .text = %s}", in->column, in->digits,
                 function(e, row_function_name((row_any_function *)in->text)));
}

static const char *set(struct row_emitter *e, const struct row_set *s)
{
    return print(e, "{%s, %zu}", quoted(e, s->bytes, s->n), s->n);
}

static const char *text(struct row_emitter *e, const struct mmoe_text *t)
{
    return print(e, "{%s, %zu}", quoted(e, t->bytes, t->length), t->length);
}

static const char *words(struct row_emitter *e, const struct row_ids *ids)
{
    const char *name = print(e, "row_words_%d", e->lists++);
    text_print(e->to, "static const struct row_word %s[%" PRIu64 "] = {\n", name, ids->n);
    for (uint64_t i = 0; i < ids->n; i++)
        text_print(e->to, "    {%s, %zu, %u},\n", quoted(e, ids->words[i].text, ids->words[i].length),
                   ids->words[i].length, ids->words[i].id);
    text_print(e->to, "};\n");
    return name;
}

static const char *bounds(const struct row_ids *ids)
{
    return ids->most == 0 ? "" : ids->most == INT32_MAX ? ", .least = INT32_MIN, .most = INT32_MAX"
                                                        : ", .least = INT64_MIN, .most = INT64_MAX";
}

static const char *ids(struct row_emitter *e, const struct row_ids *i)
{
    const char *list = i->words ? words(e, i) : NULL;
    return print(e, "{.find = %s, .n = UINT64_C(%" PRIu64 "), .drop = %d%s%s%s}",
                 function(e, row_function_name((row_any_function *)i->find)), i->n, i->drop, bounds(i),
                 list ? ", .words = " : "", list ? list : "");
}

static const char *sum(struct row_emitter *e, const struct row_sum *s)
{
    return print(e, "{.table = %u, .width = %u, .first = %u, .divisor = %s, .weighted = %d}", s->table, s->width, s->first,
                 function(e, row_function_name((row_any_function *)s->divisor)), s->weighted);
}

static const char *number(struct row_emitter *e, float x) { return print(e, "%af", (double)x); }

static const char *numbers(struct row_emitter *e, const struct row_numbers *n)
{
    return print(e, "{.column = %u, .n = %u, .read = %s, .set = %s, .groups = %s, .combine = %d, .normal = %d, .least = %s, "
                 ".range = %s, .function = %s}", n->column, n->n,
                 function(e, row_function_name((row_any_function *)n->read)), set(e, &n->set), set(e, &n->groups),
                 n->combine, n->normal, number(e, n->least), number(e, n->range),
                 function(e, row_function_name((row_any_function *)n->function)));
}

/* ---- constants: one a feature; text after the first brace ---------------------------------------------------- */

static const char *id_constants(struct row_emitter *e, const struct row_id_feature *f)
{
    return print(e, ".input = %s, .ids = %s,\n    .to = %s", input(e, &f->input), ids(e, &f->ids), sum(e, &f->to));
}

static const char *integer_constants(struct row_emitter *e, const struct row_integer_feature *f)
{
    return print(e, ".column = %u, .n = UINT64_C(%" PRIu64 "),\n    .to = %s", f->column, f->n, sum(e, &f->to));
}

static const char *tag_constants(struct row_emitter *e, const struct row_tag_feature *f)
{
    return print(e, ".input = %s, .weights = %s,\n    .set = %s, .pairs = %s, .ids = %s,\n    .to = %s", input(e, &f->input),
                 f->weights.text ? input(e, &f->weights) : "{0}", set(e, &f->set), set(e, &f->pairs), ids(e, &f->ids),
                 sum(e, &f->to));
}

static const char *copy_constants(struct row_emitter *e, const struct row_copy_feature *f)
{
    return print(e, ".numbers = %s,\n    .first = %u", numbers(e, &f->numbers), f->first);
}

static const char *bucket_constants(struct row_emitter *e, const struct row_bucket_feature *f)
{
    const char *name = print(e, "row_boundaries_%d", e->lists++);
    text_print(e->to, "static const float %s[%zu] = {", name, f->n_boundaries);
    for (size_t i = 0; i < f->n_boundaries; i++)
        text_print(e->to, "%s%s,", i % 8 ? " " : "\n    ", number(e, f->boundaries[i]));
    text_print(e->to, "\n};\n");
    return print(e, ".numbers = %s,\n    .boundaries = %s, .n_boundaries = %zu,\n    .to = %s", numbers(e, &f->numbers), name,
                 f->n_boundaries, sum(e, &f->to));
}

static const char *projection_constants(struct row_emitter *e, const struct row_projection_feature *f)
{
    return print(e, ".numbers = %s,\n    .to = %s", numbers(e, &f->numbers), sum(e, &f->to));
}

static const char *combo_constants(struct row_emitter *e, const struct row_combo_feature *f)
{
    const char *name = print(e, "row_parts_%d", e->lists++);
    struct text parts = {.arena = &e->job->arena};
    for (uint32_t i = 0; i < f->n; i++)
        text_print(&parts, "    {.input = %s, .set = %s, .split = %d},\n", input(e, &f->part[i].input), set(e, &f->part[i].set),
                   f->part[i].split);
    text_print(e->to, "static const struct row_part %s[%u] = {\n%s};\n", name, f->n, parts.data);
    return print(e, ".part = %s, .n = %u, .join = %s, .ids = %s,\n    .to = %s", name, f->n, text(e, &f->join),
                 ids(e, &f->ids), sum(e, &f->to));
}

static const char *lookup_constants(struct row_emitter *e, const struct row_lookup_feature *f)
{
    return print(e, ".key = %s, .map = %s,\n    .set = %s, .pairs = %s, .most = %" PRIu64 ", .ids = %s,\n    .to = %s",
                 input(e, &f->key), input(e, &f->map), set(e, &f->set), set(e, &f->pairs), f->most, ids(e, &f->ids),
                 sum(e, &f->to));
}

static const char *history(struct row_emitter *e, const struct row_history *h)
{
    return print(e, "{.input = %s, .delimiter = %s, .set = %s, .split = %d, .ids = %s,\n    .to = %s}", input(e, &h->input),
                 text(e, &h->delimiter), set(e, &h->set), h->split, ids(e, &h->ids), sum(e, &h->to));
}

static const char *sequence_constants(struct row_emitter *e, const struct row_sequence_feature *f)
{
    return print(e, ".history = %s,\n    .vector = %u, .first = %u", history(e, &f->history), f->vector, f->first);
}

static const char *spans(struct row_emitter *e, const struct row_target_feature *f)
{
    const char *name = print(e, "row_keys_%d", e->lists++);
    text_print(e->to, "static const struct row_span %s[%u] = {", name, f->n_keys);
    for (uint32_t i = 0; i < f->n_keys; i++)
        text_print(e->to, "%s{%u, %u}", i ? ", " : "", f->key[i].first, f->key[i].width);
    text_print(e->to, "};\n");
    return name;
}

static const char *histories(struct row_emitter *e, const struct row_target_feature *f)
{
    const char *name = print(e, "row_histories_%d", e->lists++);
    struct text all = {.arena = &e->job->arena};
    for (uint32_t i = 0; i < f->n_histories + f->n_others; i++)
        text_print(&all, "    %s,\n", history(e, &f->history[i]));
    text_print(e->to, "static const struct row_history %s[%u] = {\n%s};\n", name, f->n_histories + f->n_others, all.data);
    return name;
}

static const char *target_constants(struct row_emitter *e, const struct row_target_feature *f)
{
    const struct row_network *w = f->self;
    return print(e, ".key = %s, .history = %s, .n_keys = %u, .n_histories = %u, .n_others = %u,\n    .width = %u, .more = %u, "
                 ".key_layer = %uu, .step_layer = %uu, .keep_key = %d, .first = %u, .network = network_%d",
                 spans(e, f), histories(e, f), f->n_keys, f->n_histories, f->n_others, f->width, f->more, f->key_layer,
                 f->step_layer, f->keep_key, f->first, (int)(w - e->p->networks));
}

static const char *const expr_kinds[] = {
    "INPUT", "NUMBER", "NEGATE", "ADD", "SUBTRACT", "MULTIPLY", "DIVIDE", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL",
    "EQUAL", "AND", "OR",
};

/* ORDER of enum row_expr_kind in templates/expr.h. */
static const char *expression(struct row_emitter *e, const struct row_expr *x)
{
    int i = e->lists++;
    text_print(e->to, "static const struct row_expr_op row_ops_%d[%u] = {\n", i, x->n);
    for (uint32_t k = 0; k < x->n; k++)
        text_print(e->to, "    {ROW_EXPR_%s, %u, %a},\n", expr_kinds[x->op[k].kind], x->op[k].input, x->op[k].number);
    text_print(e->to, "};\nstatic const struct row_expr row_expr_%d = {row_ops_%d, %u};\n", i, i, x->n);
    return print(e, "&row_expr_%d", i);
}

static const char *expr_constants(struct row_emitter *e, const struct row_expr_feature *f)
{
    const char *name = print(e, "row_inputs_%d", e->lists++);
    text_print(e->to, "static const struct row_double %s[%u] = {\n", name, f->n);
    for (uint32_t i = 0; i < f->n; i++)
        text_print(e->to, "    {%u, %s},\n", f->input[i].column,
                   function(e, row_function_name((row_any_function *)f->input[i].read)));
    text_print(e->to, "};\n");
    return print(e, ".input = %s, .n = %u, .first = %u, .expr = %s", name, f->n, f->first, expression(e, f->expr));
}

static const char *scale_constants(struct row_emitter *e, const struct row_scale_feature *f)
{
    return print(e, ".table = %u, .width = %u", f->table, f->width);
}

/* The feature's struct, and what stands in it. */
static const char *constants(struct row_emitter *e, const struct row_feature *f, const char **type)
{
    switch (f->kind) {
#define ROW_FEATURE(name, t) case ROW_KIND_##name: *type = #t; return t##_constants(e, f->constants);
#include "../templates/rows.def"
#undef ROW_FEATURE
    case N_ROW_KINDS: break;
    }
    bug("no such kind of feature");
}

static const char *kind_name(enum row_kind kind)
{
    static const char *const names[] = {
#define ROW_FEATURE(name, type) #name,
#include "../templates/rows.def"
#undef ROW_FEATURE
    };
    return names[kind];
}

/* Its number makes it unique. */
static const char *feature_name(struct row_emitter *e, int i)
{
    char *name = arena_print(&e->job->arena, "feature_%d_%.40s", i, e->p->features[i].key);
    for (char *c = name; *c; c++)
        if (!is_word(*c))
            *c = '_';
    return name;
}

static void add_constants(struct row_emitter *e)
{
    for (int i = 0; i < e->p->n_features; i++) {
        const struct row_feature *f = &e->p->features[i];
        const char *type, *body = constants(e, f, &type);
        text_print(e->to, "static const struct row_%s_feature %s = {\n    %s,\n};\n\n", type, feature_name(e, i), body);
    }
}

/* Those that are the user's, or those that are not; all if there are no users. */
static void add_features(struct row_emitter *e, const char *name, bool user)
{
    text_print(e->to, "/* A block of rows as they enter the experts%s. */\nstatic void %s(struct rows *r)\n{\n",
               !e->p->user_width ? "" : user ? ": what is the user's" : ": what is the item's", name);
    for (int i = 0; i < e->p->n_features; i++) {
        const struct row_feature *f = &e->p->features[i];
        if (f->user != user)
            continue;
        const char *call = print(e, "    %s_feature(r, &%s);", kind_name(f->kind), feature_name(e, i));
        function(e, print(e, "%s_feature", kind_name(f->kind)));
        text_print(e->to, "%-64s /* columns %d .. %d */\n", call, f->first, f->first + f->width - 1);
    }
    text_print(e->to, "}\n\n");
}

/* ---- columns ------------------------------------------------------------------------------------------------- */

/* Members of the struct of a row: letters, digits and underscores, a letter first, none twice and no word of C. */
static const char *member_name(struct row_emitter *e, int column)
{
    static const char *const words_of_c =
        " alignas alignof auto bool break case char const constexpr continue default do double else enum extern false float for "
        "goto if inline int long nullptr register restrict return short signed sizeof static struct switch true typedef "
        "typeof union unsigned void volatile while and and_eq asm bitand bitor catch class compl concept delete "
        "dynamic_cast explicit export friend mutable namespace new noexcept not not_eq operator or or_eq private "
        "protected public requires reinterpret_cast static_assert static_cast template this thread_local throw try typeid "
        "typename using virtual wchar_t xor xor_eq ";
    char *name = arena_print(&e->job->arena, "%s", e->p->columns[column].name);
    for (char *c = name; *c; c++)
        if (!is_word(*c) || (unsigned char)*c > 127)
            *c = '_';
    bool bad = !isalpha((unsigned char)*name) || strstr(words_of_c, print(e, " %s ", name));
    return bad ? print(e, "c_%s", name) : name;
}

/* Names that several columns would have get a number. */
static const char *unique_member(struct row_emitter *e, int column)
{
    const char *name = member_name(e, column);
    for (int i = 0; i < e->p->n_columns; i++)
        if (i != column && strcmp(member_name(e, i), name) == 0)
            return print(e, "%s_%d", name, column);
    for (int i = 0; i < e->p->n_columns; i++)       /* a number that some name happens to end in */
        if (i != column && strcmp(print(e, "%s_%d", member_name(e, i), i), name) == 0)
            return print(e, "%s_%d", name, column);
    return name;
}

static const char *const kind_names[] = {NULL, "MMOE_TEXT", "MMOE_INT64", "MMOE_FLOAT", "MMOE_DOUBLE"};
static const char *const kind_types[] = {NULL, "struct mmoe_text", "int64_t", "float", "double"};

static void add_columns(struct row_emitter *e, const char *name)
{
    text_print(e->to, "/* What features read of a row, with the default of each. */\n"
                      "static const struct mmoe_column columns[%d] = {\n", e->p->n_columns);
    for (int i = 0; i < e->p->n_columns; i++) {
        const struct mmoe_column *c = &e->p->columns[i];
        text_print(e->to, "    {%s, %s, (uint32_t)offsetof(struct %s_row, %s), %u, %s, %s, %a},\n",
                   quoted(e, c->name, strlen(c->name)), kind_names[c->kind], name, unique_member(e, i), c->user,
                   text(e, &c->text),
                   c->whole == INT64_MIN ? "INT64_MIN" : print(e, "INT64_C(%" PRId64 ")", c->whole), c->number);
    }
    text_print(e->to, "};\n\n");
}

static void add_lines(struct row_emitter *e)
{
    const struct mmoe_lines *l = &e->p->lines;
    text_print(e->to, "/* The fields of a line of EasyRec's files. */\nstatic const struct mmoe_field fields[%u] = {\n", l->n_fields);
    for (uint32_t i = 0; i < l->n_fields; i++) {
        const struct mmoe_field *f = &l->fields[i];
        text_print(e->to, "    {%s, %s, %u, %u, %d},\n", quoted(e, f->name, strlen(f->name)),
                   quoted(e, f->fallback, strlen(f->fallback)), f->type, f->label, f->column);
    }
    text_print(e->to, "};\nstatic const struct mmoe_lines lines = {fields, %u, %d, %u, %u, %u};\n\n", l->n_fields, l->separator,
               l->quotes, l->quoted_separators, l->skip_header);
}

/* What the numbers of tables in constants mean. */
static void describe_tables(struct row_emitter *e)
{
    text_print(e->to, "/* Tables by number, and where each begins, in floats:\n");
    for (int i = 0; i < e->p->n_tables; i++) {
        const struct row_table *t = &e->p->tables[i];
        text_print(e->to, " *   %3d %12" PRIu64 "  %s", i, t->at, comment_text(e->job, t->names[0]));
        if (t->network)
            text_print(e->to, ", packed");
        else if (t->width)
            text_print(e->to, " [%" PRIu64 "][%d]", t->rows, t->width);
        else
            text_print(e->to, " [%" PRIu64 "]", t->rows);
        text_print(e->to, "\n");
    }
    text_print(e->to, " */\n\n");
}

void add_row_struct(struct job *job, const struct row_program *p, const char *name, struct text *to)
{
    struct row_emitter e = {.job = job, .p = p, .to = to};
    text_print(to, "/* A row: a text may be NULL if its length is 0. */\nstruct %s_row {\n", name);
    for (int i = 0; i < p->n_columns; i++)
        text_print(to, "    %s %s;%s\n", kind_types[p->columns[i].kind], unique_member(&e, i),
                   strcmp(unique_member(&e, i), p->columns[i].name) == 0
                       ? "" : print(&e, "  /* %s */", comment_text(job, p->columns[i].name)));
    text_print(to, "};\n\n");
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

static void add_functions(struct row_emitter *e, struct text *to)
{
    static const char *const always[] = {"value_of", "begin_block", "clear_bad_rows", "spoil_bad_scores"};
    for (size_t i = 0; i < COUNT(always); i++)
        want_function(&e->pieces, always[i]);
    for (int i = 0; i < e->pieces.n; i++)
        if (e->pieces.piece[i].wanted) {
            text_add(to, e->pieces.piece[i].text, e->pieces.piece[i].length);
            text_print(to, "\n");
        }
}

void add_row_types(struct text *to)
{
    text_print(to, "/* ---- from rows ---- */\n\n");
    template_copy(to, "expr.h", "types");
    text_print(to, "\n");
    template_copy(to, "rows.h", "types");
    text_print(to, "\n");
}

/* Which functions are needed is known when the constants are printed; they stand above them. */
void add_row_code(struct job *job, const struct row_program *p, const char *name, struct text *to)
{
    struct text after = {.arena = &job->arena};
    struct row_emitter e = {.job = job, .p = p, .to = &after, .pieces = all_pieces(job)};
    add_columns(&e, name);
    add_lines(&e);
    describe_tables(&e);
    add_constants(&e);
    if (p->user_width) {
        add_features(&e, "user_features", true);
        add_features(&e, "item_features", false);
        want_function(&e.pieces, "begin_user_block");
        text_print(e.to, "static void features(struct rows *r)\n{\n    user_features(r);\n    item_features(r);\n}\n\n");
    } else {
        add_features(&e, "features", false);
    }
    add_functions(&e, to);
    text_add(to, after.data, after.length);
}

const char *row_table_list(struct job *job, const struct row_program *p)
{
    struct text t = {.arena = &job->arena};
    for (int i = 0; i < p->n_tables; i++)
        text_print(&t, "%s%" PRIu64, i ? ", " : "", p->tables[i].at);
    return t.length ? t.data : "0";
}

void row_structure(struct job *job, const struct row_program *p, unsigned char digest[32])
{
    struct text t = {.arena = &job->arena};
    add_row_code(job, p, "row", &t);
    text_print(&t, "%s\n", row_table_list(job, p));
    for (int i = 0; i < p->n_networks; i++) {
        structure_digest(p->networks[i].plan, job, digest);
        text_print(&t, "%s\n", hex(job, digest));
    }
    sha256(t.data, t.length, digest);
}
