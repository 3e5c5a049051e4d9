// SPDX-License-Identifier: Apache-2.0
/* expr.h: the expression of an ExprFeature as a program over a stack of doubles; expr.c computes it. */
#ifndef EXPR_H
#define EXPR_H
#include <stdint.h>

/*@ begin types */
/* What an operation of an expression does: it takes one or two numbers from the stack, the right one first, and leaves
   its result there. A comparison leaves 1 or 0. */
enum row_expr_kind {
    ROW_EXPR_INPUT, ROW_EXPR_NUMBER, ROW_EXPR_NEGATE,
    ROW_EXPR_ADD, ROW_EXPR_SUBTRACT, ROW_EXPR_MULTIPLY, ROW_EXPR_DIVIDE,
    ROW_EXPR_GREATER, ROW_EXPR_GREATER_EQUAL, ROW_EXPR_LESS, ROW_EXPR_LESS_EQUAL, ROW_EXPR_EQUAL,
    ROW_EXPR_AND, ROW_EXPR_OR
};

struct row_expr_op {
    enum row_expr_kind kind;
    uint32_t input;                 /* ROW_EXPR_INPUT */
    double number;                  /* ROW_EXPR_NUMBER */
};

#define ROW_EXPR_DEPTH 32           /* of the stack */
struct row_expr {
    const struct row_expr_op *op;   /* [n] */
    uint32_t n;
};
/*@ end */

#endif
