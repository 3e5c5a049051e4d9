// SPDX-License-Identifier: Apache-2.0
/* start_riscv.c: start-up code for RISC-V under QEMU's machine "virt": its UART, its finisher. */
#include "board.h"

#define UART (*(volatile uint8_t *)0x10000000)
#define FINISHER (*(volatile uint32_t *)0x100000)

void put_char(char c) { UART = (uint8_t)c; }

/* Instructions that were executed. */
uint32_t ticks(void)
{
    uint32_t n;
    __asm__ volatile(".option push\n .option arch, +zicsr\n csrr %0, minstret\n .option pop" : "=r"(n)::"memory");
    return n & 0xffffff;
}

void run(void);
void run(void)
{
    const uint32_t status = (uint32_t)main();
    FINISHER = status ? status << 16 | 0x3333 : 0x5555;
    for (;;)
        ;
}

/* The FPU on (mstatus.FS), a stack, then the program. */
__asm__(".section .vectors, \"ax\"\n"
        ".option push\n .option arch, +zicsr\n"
        ".globl _start\n"
        "_start:\n"
        "    li t0, 0x6000\n"
        "    csrs mstatus, t0\n"
        "    la sp, stack_top\n"
        "    j run\n"
        ".option pop\n");
