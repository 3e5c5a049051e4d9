// SPDX-License-Identifier: Apache-2.0
/* expr.c: computes the expression of an ExprFeature, in double, as TensorFlow does.
 *
 * Each result goes through memory that the compiler must write and read, so that a product and a sum are never
 * contracted. Needs no libc, so that the same text serves the compiler and generated files.
 */
#ifndef EXPR_C
#define EXPR_C
#include "expr.h"

/*@ begin expr */
static double expr_result(enum row_expr_kind kind, double a, double b)
{
    switch (kind) {
    case ROW_EXPR_ADD: return a + b;
    case ROW_EXPR_SUBTRACT: return a - b;
    case ROW_EXPR_MULTIPLY: return a * b;
    case ROW_EXPR_DIVIDE: return a / b;
    case ROW_EXPR_GREATER: return a > b;
    case ROW_EXPR_GREATER_EQUAL: return a >= b;
    case ROW_EXPR_LESS: return a < b;
    case ROW_EXPR_LESS_EQUAL: return a <= b;
    case ROW_EXPR_EQUAL: return a == b;
    case ROW_EXPR_AND: return a != 0 && b != 0;
    default: return a != 0 || b != 0;
    }
}

/* input: as many numbers as the feature has inputs. */
static float expr_value(const struct row_expr *e, const double *input)
{
    volatile double stack[ROW_EXPR_DEPTH];
    uint32_t depth = 0;
    for (uint32_t i = 0; i < e->n; i++) {
        const struct row_expr_op *op = &e->op[i];
        if (op->kind == ROW_EXPR_INPUT) {
            stack[depth++] = input[op->input];
        } else if (op->kind == ROW_EXPR_NUMBER) {
            stack[depth++] = op->number;
        } else if (op->kind == ROW_EXPR_NEGATE) {
            stack[depth - 1] = -stack[depth - 1];
        } else {
            depth--;
            stack[depth - 1] = expr_result(op->kind, stack[depth - 1], stack[depth]);
        }
    }
    return (float)stack[0];
}
/*@ end */

#endif
