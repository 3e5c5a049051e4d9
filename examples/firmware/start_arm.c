// SPDX-License-Identifier: Apache-2.0
/* start_arm.c: start-up code for Cortex-M0 to M55 under QEMU; output and exit by semihosting.
 *
 * Compile it apart from the model and without vectorisation (-O1): before the FPU is on, nothing may use its registers.
 * Where there is a real board, put_char becomes a UART and leave() a loop.
 */
#include "board.h"

/* Arm, Semihosting for AArch32 and AArch64: the operation in r0, its argument in r1. */
static int semihost(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void put_char(char c) { semihost(0x03, &c); }           /* SYS_WRITEC */

static void leave(uint32_t status)
{
    const uint32_t block[2] = {0x20026, status};        /* ADP_Stopped_ApplicationExit */
    semihost(0x20, block);                              /* SYS_EXIT_EXTENDED */
    for (;;)
        ;
}

/* SysTick counts down from 2^24 - 1. */
#define SYST_CSR (*(volatile uint32_t *)0xe000e010)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018)
#define CPACR (*(volatile uint32_t *)0xe000ed88)

uint32_t ticks(void) { return 0xffffff - SYST_CVR; }

void reset(void);
void reset(void)
{
#if defined __ARM_FP || defined __ARM_FEATURE_MVE
    CPACR |= (uint32_t)0xf << 20;                       /* the FPU on */
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    SYST_RVR = 0xffffff;
    SYST_CVR = 0;
    SYST_CSR = 5;
    leave((uint32_t)main());
}

static void fault(void) { leave(99); }

/* The first words of memory: where the stack begins, where the program does, then the exceptions. */
__attribute__((section(".vectors"), used)) static const struct {
    void *stack;
    void (*handler[15])(void);
} vectors = {
    stack_top,
    {reset, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault},
};
