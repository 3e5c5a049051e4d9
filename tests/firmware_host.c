// SPDX-License-Identifier: Apache-2.0
/* firmware_host.c: put_char of tests/firmware.c where there is a C library. */
#include "board.h"

#include <stdio.h>

void put_char(char c) { putchar(c); }
