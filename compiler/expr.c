// SPDX-License-Identifier: Apache-2.0
/* expr.c: the expression of an ExprFeature -> a program over a stack.
 *
 * EasyRec turns the text into Python over float64 tensors. What stands between > >= < <= == & | ( ) it copies; these it
 * folds from left to right without precedence: x > y becomes tf.greater(x, y), and x & y stays x & y, of which Python
 * then reads & before |. A parenthesis that closes is forgotten, and so is arithmetic beside one: 2 * (x + 1) becomes
 * x + 1, and (x | y) & z becomes x | y & z. TensorFlow takes no number for & and |, and no comparison for anything but
 * them and ==. So this is what EasyRec computes as it is written:
 *
 *     level       operand { (> | >= | < | <= | == | & | |) operand }      from left to right, but & before |
 *     operand     arithmetic | ( level )
 *     arithmetic  term { (+ | -) term };  term  factor { (* | /) factor };  factor  { - } (input | number)
 *
 * The rest is refused. Names are compared with what stands between operators, and may have spaces.
 * Sources: EasyRec's utils/expr_util.py, and _parse_expr_feature of input/input.py.
 *
 * How to read it: the program; characters; arithmetic; operands; levels; all of it.
 */
#include "mmoec.h"

#include <string.h>

#define MOST_PARENTHESES 32         /* within each other */

enum outcome {
    CONSTANT,                       /* a number that depends on no input */
    NUMBER,
    TRUTH,
    CHOICE                          /* a truth that is a bare | */
};

struct expr_parser {
    struct job *job;
    const char *text, *p;
    const char *const *inputs;
    int n_inputs, parentheses;
    struct row_expr_op *op;
    uint32_t n, depth, inputs_seen;
    const char *trouble;
};

static void refuse(struct expr_parser *ps, const char *at, const char *why)
{
    if (!ps->trouble)
        ps->trouble = arena_print(&ps->job->arena, "%s, in column %d of its expression", why, (int)(at - ps->text) + 1);
}

/* ---- the program ----------------------------------------------------------------------------- */

static void append(struct expr_parser *ps, struct row_expr_op op)
{
    bool operand = op.kind == ROW_EXPR_INPUT || op.kind == ROW_EXPR_NUMBER;
    ps->depth += operand ? 1u : op.kind == ROW_EXPR_NEGATE ? 0u : -1u;
    if (ps->depth > ROW_EXPR_DEPTH)
        refuse(ps, ps->p, "it is nested too deeply");
    if (!ps->trouble)
        ps->op[ps->n++] = op;
}

static void add_kind(struct expr_parser *ps, enum row_expr_kind kind)
{
    append(ps, (struct row_expr_op){.kind = kind});
}

/* ---- characters ------------------------------------------------------------------------------ */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_one_of(char c, const char *all) { return c && strchr(all, c); }

static char next_char(struct expr_parser *ps)
{
    while (is_space(*ps->p))
        ps->p++;
    return *ps->p;
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

static const char *skip_digits(const char *p)
{
    while (is_digit(*p))
        p++;
    return p;
}

/* Where a number of Python that begins at p ends; p itself if none does. */
static const char *skip_number(const char *p)
{
    const char *whole = skip_digits(p), *end = *whole == '.' ? skip_digits(whole + 1) : whole;
    bool digits = whole > p || end > whole + 1;
    if (digits && (*end | 0x20) == 'e') {
        const char *exponent = end + 1 + (is_one_of(end[1], "+-") ? 1 : 0);
        end = is_digit(*exponent) ? skip_digits(exponent) : end;
    }
    bool octal = end == whole && whole > p + 1 && *p == '0';        /* an error in Python 3 */
    return digits && !octal ? end : p;
}

static bool read_number(struct expr_parser *ps)
{
    const char *end = skip_number(ps->p);
    struct row_expr_op op = {.kind = ROW_EXPR_NUMBER};
    if (end == ps->p || !text_to_double(ps->p, (size_t)(end - ps->p), &op.number))
        return false;
    append(ps, op);
    ps->p = end;
    return true;
}

static bool read_input(struct expr_parser *ps, size_t length)
{
    for (int i = 0; i < ps->n_inputs; i++)
        if (strlen(ps->inputs[i]) == length && memcmp(ps->inputs[i], ps->p, length) == 0) {
            append(ps, (struct row_expr_op){.kind = ROW_EXPR_INPUT, .input = (uint32_t)i});
            ps->p += length;
            ps->inputs_seen++;
            return true;
        }
    return false;
}

static void read_name_or_number(struct expr_parser *ps)
{
    const char *at = ps->p;
    size_t n = strcspn(at, "+-*/()<>=&|");
    while (n && is_space(at[n - 1]))
        n--;
    if (*at == '(')
        refuse(ps, at, "EasyRec forgets arithmetic beside parentheses");
    else if (!n)
        refuse(ps, at, *at == '+' ? "a sign +" : "a missing operand");
    else if (!read_input(ps, n) && !read_number(ps))
        refuse(ps, at, "neither an input of it nor a number");
}

static void read_factor(struct expr_parser *ps)
{
    bool minus = false;
    for (; next_char(ps) == '-'; ps->p++)
        minus = !minus;
    read_name_or_number(ps);
    if (minus)
        add_kind(ps, ROW_EXPR_NEGATE);
}

static void read_term(struct expr_parser *ps)
{
    read_factor(ps);
    while (!ps->trouble && is_one_of(next_char(ps), "*/")) {
        char c = *ps->p++;
        if (*ps->p == c)
            refuse(ps, ps->p - 1, c == '*' ? "the operator **" : "the operator //");
        read_factor(ps);
        add_kind(ps, c == '*' ? ROW_EXPR_MULTIPLY : ROW_EXPR_DIVIDE);
    }
}

static enum outcome read_arithmetic(struct expr_parser *ps)
{
    uint32_t seen = ps->inputs_seen;
    read_term(ps);
    while (!ps->trouble && is_one_of(next_char(ps), "+-")) {
        char c = *ps->p++;
        read_term(ps);
        add_kind(ps, c == '+' ? ROW_EXPR_ADD : ROW_EXPR_SUBTRACT);
    }
    return ps->inputs_seen > seen ? NUMBER : CONSTANT;
}

/* ---- operands -------------------------------------------------------------------------------- */

static enum outcome read_level(struct expr_parser *ps);

static enum outcome read_parentheses(struct expr_parser *ps)
{
    const char *open = ps->p++;
    if (++ps->parentheses > MOST_PARENTHESES)
        refuse(ps, open, "it is nested too deeply");
    enum outcome is = ps->trouble ? NUMBER : read_level(ps);
    ps->parentheses--;
    if (next_char(ps) != ')')
        refuse(ps, open, "a parenthesis that is not closed");
    else
        ps->p++;
    if (is_one_of(next_char(ps), "+-*/"))
        refuse(ps, ps->p, "EasyRec forgets arithmetic beside parentheses");
    return is;
}

static enum outcome read_operand(struct expr_parser *ps)
{
    enum outcome is = next_char(ps) == '(' ? read_parentheses(ps) : read_arithmetic(ps);
    if (next_char(ps) && !is_one_of(*ps->p, "<>=&|)"))
        refuse(ps, ps->p, "a missing operator");
    return is;
}

/* ---- levels ---------------------------------------------------------------------------------- */

static const struct operator {
    char text[3];
    enum row_expr_kind kind;
} operators[] = {               /* those of two characters first */
    {">=", ROW_EXPR_GREATER_EQUAL}, {"<=", ROW_EXPR_LESS_EQUAL}, {"==", ROW_EXPR_EQUAL}, {">", ROW_EXPR_GREATER},
    {"<", ROW_EXPR_LESS}, {"&", ROW_EXPR_AND}, {"|", ROW_EXPR_OR},
};

/* NULL: there is none. */
static const struct operator *read_operator(struct expr_parser *ps)
{
    next_char(ps);
    for (size_t i = 0; i < COUNT(operators); i++) {
        size_t n = strlen(operators[i].text);
        if (strncmp(ps->p, operators[i].text, n) == 0) {
            ps->p += n;
            return &operators[i];
        }
    }
    if (*ps->p == '=')
        refuse(ps, ps->p, "the operator =");
    return NULL;
}

static bool is_truth(enum outcome is) { return is == TRUTH || is == CHOICE; }

/* What TensorFlow does not take, or what EasyRec reads otherwise. NULL: it is fine. */
static const char *fault_of(enum row_expr_kind kind, enum outcome left, enum outcome right)
{
    bool truths = is_truth(left) && is_truth(right), numbers = !is_truth(left) && !is_truth(right);
    if ((kind == ROW_EXPR_AND || kind == ROW_EXPR_OR) && !truths)
        return "& and | need comparisons on both sides, the right one in parentheses";
    if (kind == ROW_EXPR_AND)
        return left == CHOICE || right == CHOICE ? "EasyRec forgets parentheses around | beside &" : NULL;
    if (kind == ROW_EXPR_OR)
        return NULL;
    if (truths ? kind != ROW_EXPR_EQUAL : !numbers)
        return "the outcome of a comparison is compared";
    return left == CONSTANT && right == CONSTANT ? "constants are compared" : NULL;
}

/* An | waits for its right side, which takes in what & joins to it. */
static enum outcome read_level(struct expr_parser *ps)
{
    bool waiting = false;
    enum outcome last = read_operand(ps);
    const char *at = ps->p;
    for (const struct operator *o; !ps->trouble && (o = read_operator(ps)) != NULL; at = ps->p) {
        if (waiting && o->kind != ROW_EXPR_AND) {
            add_kind(ps, ROW_EXPR_OR);
            waiting = false;
            last = TRUTH;
        }
        enum outcome right = read_operand(ps);
        const char *fault = ps->trouble ? NULL : fault_of(o->kind, last, right);
        if (fault)
            refuse(ps, at, fault);
        waiting |= o->kind == ROW_EXPR_OR;
        last = o->kind == ROW_EXPR_OR ? right : TRUTH;
        if (o->kind != ROW_EXPR_OR)
            add_kind(ps, o->kind);
    }
    if (waiting)
        add_kind(ps, ROW_EXPR_OR);
    return waiting ? CHOICE : last;
}

/* ---- all of it ------------------------------------------------------------------------------- */

const struct row_expr *parse_expr(struct job *job, const char *text, const char *const *inputs, int n_inputs,
                                  const char **trouble)
{
    struct expr_parser ps = {.job = job, .text = text, .p = text, .inputs = inputs, .n_inputs = n_inputs};
    ps.op = NEW_ARRAY(job, strlen(text) + 1, struct row_expr_op);
    enum outcome is = read_level(&ps);
    if (*ps.p)
        refuse(&ps, ps.p, "a parenthesis that was not opened");
    if (is == CONSTANT)
        refuse(&ps, text, "no input is read");
    struct row_expr *e = NEW(job, struct row_expr);
    *e = (struct row_expr){.op = ps.op, .n = ps.n};
    *trouble = ps.trouble;
    return ps.trouble ? NULL : e;
}
