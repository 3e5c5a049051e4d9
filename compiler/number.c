// SPDX-License-Identifier: Apache-2.0
/* number.c: the template of that name as functions of the compiler. */
#include "mmoec.h"
#include "../templates/number.c"

_Static_assert(FIXED_ROOM == ROOM_OF_FIXED, "callers have the room that the template needs");

bool text_to_int(const char *text, size_t n, int64_t least, int64_t most, int64_t *to)
{
    return read_whole(text, n, least, most, to);
}

bool text_to_float(const char *text, size_t n, float *to) { return read_float(text, n, to); }

bool text_to_double(const char *text, size_t n, double *to) { return read_double(text, n, to); }

size_t int_to_text(int64_t x, char *to) { return print_whole(x, to); }

size_t double_to_text(double x, int digits, char *to) { return print_fixed(x, digits, to); }
