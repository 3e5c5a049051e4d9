// SPDX-License-Identifier: Apache-2.0
/* mmoe_plugin.c: a model written by hand, for tests of runtime/mmoe.c: y = w[0] x[0] + w[1] x[1].
 * Built as shared objects of several kinds:
 *
 *     -DNUMBER=n      which one it is: w[0]
 *     -DAPART         its weights are in a file of their own
 *     -DOTHER_ABI     its record is of another ABI
 *     -DNO_PLUGIN     it has no mmoe_plugin
 */
#include "../runtime/mmoe.h"

#ifndef NUMBER
#define NUMBER 1
#endif

static void score(const void *weights, const float *x, size_t x_stride, size_t rows, float *y,
                  void *scratch)
{
    const float *w = weights;
    (void)scratch;
    for (size_t r = 0; r < rows; r++)
        y[r] = w[0] * x[r * x_stride] + w[1] * x[r * x_stride + 1];
}

static int self_test(const void *weights, const uint32_t *expected, void *scratch)
{
    const float *w = weights;
    (void)scratch;
    return expected[0] == 7 && expected[1] == (uint32_t)w[0] ? 0 : 2;
}

static const char *chosen_isa(void) { return "plain"; }

static const char *const output_names[] = {"probs_ctr"};
#ifndef APART
static const _Alignas(64) float weights[16] = {NUMBER, 2};
static const uint32_t expected[2] = {7, NUMBER};
#endif

const struct mmoe_model plugin_model = {
#ifdef OTHER_ABI
    .abi = MMOE_ABI + 1,
#else
    .abi = MMOE_ABI,
#endif
    .size = sizeof(struct mmoe_model),
    .numerics = 1,
    .inputs = 2,
    .outputs = 1,
    .n_expected = 2,
    .name = "plugin",
    .output_names = output_names,
    .scratch_bytes = 64,
    .weight_floats = 16,
    .structure = {1, 2, 3},
#ifndef APART
    .weights_digest = {NUMBER},
    .weights = weights,
    .expected = expected,
#endif
    .score = score,
    .self_test = self_test,
    .chosen_isa = chosen_isa,
};

#ifndef NO_PLUGIN
const struct mmoe_model *mmoe_plugin(void);
const struct mmoe_model *mmoe_plugin(void) { return &plugin_model; }
#endif
