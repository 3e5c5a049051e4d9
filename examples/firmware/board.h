// SPDX-License-Identifier: Apache-2.0
/* board.h: what a start-up file gives to a program. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

int main(void);                 /* the program's; its result is QEMU's exit status */
void put_char(char c);
uint32_t ticks(void);           /* a counter of 24 bits; with QEMU's -icount it counts time by instructions */

/* Of the linker script: the free memory below the stack. Their addresses count, they hold nothing. */
extern char stack_bottom[], stack_top[];

#endif
