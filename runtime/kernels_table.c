// SPDX-License-Identifier: Apache-2.0
/* kernels_table.c: which tables of kernels there are, and which of them this machine can run. */
#include "kernels.h"

#include <stdbool.h>
#include <string.h>

extern const struct mmoe_kernels mmoe_kernels__plain, mmoe_kernels__muladd;
#if defined __x86_64__
extern const struct mmoe_kernels mmoe_kernels__avx2, mmoe_kernels__avx512;
#elif defined __aarch64__
extern const struct mmoe_kernels mmoe_kernels__neon;
#endif

/* Best first; after the plain ones, which all machines run, those of other classes of arithmetic. */
static const struct mmoe_kernels *const tables[] = {
#if defined __x86_64__
    &mmoe_kernels__avx512,
    &mmoe_kernels__avx2,
#elif defined __aarch64__
    &mmoe_kernels__neon,
#endif
    &mmoe_kernels__plain,
    &mmoe_kernels__muladd,
};

/* The compiler's run time asks CPUID, and XGETBV for what the system saves. */
static bool runs(const struct mmoe_kernels *k)
{
#if defined __x86_64__
    if (k == &mmoe_kernels__avx512)
        return __builtin_cpu_supports("avx512f");
    if (k == &mmoe_kernels__avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    (void)k;
    return true;
}

const struct mmoe_kernels *mmoe_kernels_named(const char *isa)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (strcmp(tables[i]->isa, isa) == 0)
            return runs(tables[i]) ? tables[i] : NULL;
    return NULL;
}

const struct mmoe_kernels *mmoe_kernels_best(void)
{
    size_t i = 0;
    while (!runs(tables[i]))
        i++;
    return tables[i];
}
