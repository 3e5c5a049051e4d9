// SPDX-License-Identifier: Apache-2.0
/* cpuid.c: the processor as if it had no AVX-512, for libraries that ask CPUID what they may use.
 *
 * On Linux a thread may have CPUID fault (arch_prctl(2), ARCH_SET_CPUID). The signal's handler executes it with
 * faulting off, takes the bits away and steps over the instruction. Bits: Intel's Software Developer's Manual, volume 2A,
 * CPUID.
 */
#include "bench.h"

#if defined __x86_64__ && defined __linux__
#include <cpuid.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define SET_CPUID 0x1012                        /* ARCH_SET_CPUID of <asm/prctl.h> */
/* Leaf 7: AVX512F, DQ, IFMA, PF, ER, CD, BW, VL in EBX; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ in ECX; 4VNNIW, 4FMAPS,
   VP2INTERSECT, AMX-BF16, AVX512-FP16, AMX-TILE, AMX-INT8 in EDX. Its subleaf 1: AVX512-BF16, AMX-FP16 in EAX. */
#define LEAF7_EBX 0xdc230000U
#define LEAF7_ECX 0x00005842U
#define LEAF7_EDX 0x03c0010cU
#define LEAF7_1_EAX 0x00200020U

static void answer(int signal_number, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *at = (const unsigned char *)r[REG_RIP];
    (void)info;
    if (at[0] != 0x0f || at[1] != 0xa2) {       /* not CPUID: a fault like any other */
        signal(signal_number, SIG_DFL);
        return;
    }
    unsigned leaf = (unsigned)r[REG_RAX], subleaf = (unsigned)r[REG_RCX], a, b, c, d;
    syscall(SYS_arch_prctl, SET_CPUID, 1);
    __cpuid_count(leaf, subleaf, a, b, c, d);
    syscall(SYS_arch_prctl, SET_CPUID, 0);
    if (leaf == 7 && subleaf == 0) {
        b &= ~LEAF7_EBX;
        c &= ~LEAF7_ECX;
        d &= ~LEAF7_EDX;
    } else if (leaf == 7 && subleaf == 1) {
        a &= ~LEAF7_1_EAX;
    }
    r[REG_RAX] = a;
    r[REG_RBX] = b;
    r[REG_RCX] = c;
    r[REG_RDX] = d;
    r[REG_RIP] += 2;
}

bool hide_avx512(void)
{
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    return syscall(SYS_arch_prctl, SET_CPUID, 0) == 0;
}
#else
bool hide_avx512(void) { return false; }
#endif
