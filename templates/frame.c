// SPDX-License-Identifier: Apache-2.0
/* frame.c: the generated file around the kernels.
 *
 * A C file that compiles as it stands, with the sample words below; the emitter takes the chunks between the marks,
 * replaces the upper-case words and puts tables, kernels and the list of calls between them, in this order:
 *
 *     (banner) includes weights tables { words kernels (calls) score | few_rows, few, score_lanes } for each instruction set
 *     choose or only | (functions of rows.c) score_columns, if it takes rows | environment self_test | record | api, api_rows |
 *     plugin
 *
 * A file with user columns has more: score or score_items, score_users for each instruction set; choose_users or
 * only_users; users_test; api_users.
 *
 * Files for small cores have score_rows, self_test_rows and api_narrow in place of score, self_test and api.
 *
 * The self test's generator and checksum: ORDER with compiler/walk.c.
 */
#ifndef MODEL_NAME
#include "math.h"
#include "../runtime/mmoe.h"
#include <stdatomic.h>
#define MODEL_NAME "sample"
#define MODEL_SCORE sample_score
#define MODEL_SELF_TEST sample_self_test
#define MODEL_RECORD sample_model
#define INPUTS 3
#define OUTPUTS 2
#define ROW_BLOCK 8
#define LANES_FROM 5
#define SCRATCH_BYTES 64
#define SCORE_FLOATS 16
#define WEIGHT_FLOATS 16
#define TEST_ROWS 36
#define N_EXPECTED 2
#define NUMERICS 1
#define STRUCTURE 0
#define WEIGHTS_DIGEST 0
#define WEIGHTS weights
#define EXPECTED expected
#define ISA_NAME NULL
#define SCORE_ROWS NULL
#define COLUMNS NULL
#define N_COLUMNS 0
#define ROW_BYTES 0
#define LINES NULL
#define TABLE_FLOATS 0
#define ROWS_STRUCTURE 0
#define TABLES_DIGEST 0
#define TABLES NULL
#define FEATURE_ORDER "config"
#define BLOCK block__plain
#define LANES_BLOCK block__plain
#define FEW few__plain
#define FEW_ROWS few_1__plain
#define ROWS 1
#define SCORE_ISA score__plain
#define USER_INPUTS 2
#define ITEM_INPUTS 1
#define INPUT_ORDER NULL
#define SCORE_USERS score_users
#define SCORE_REQUESTS NULL
#define ROWS_TEST rows_test
#define MODEL_SCORE_USERS sample_score_users
#define USERS_ISA score_users__plain
#define USER user__plain
#define ITEMS score__plain
static const float weights[WEIGHT_FLOATS];
static const uint32_t expected[N_EXPECTED];
static const char *const output_names[OUTPUTS] = {"a", "b"};
void sample_score(const float *x, size_t rows, float *y, void *scratch);
int sample_self_test(void *scratch);
static void block__plain(const float *w, const float *x, size_t xs, size_t rows, float *y, float *s)
{
    (void)w, (void)x, (void)xs, (void)rows, (void)y, (void)s;
}
void sample_score_users(const float *users, const float *items, const size_t *offsets, size_t n_users, float *y,
    void *scratch);
static void user__plain(const float *w, const float *x, float *s) { (void)w, (void)x, (void)s; }
#define score__avx512 score__plain
#define score__avx2 score__plain
#define score_users__avx512 score_users__plain
#define score_users__avx2 score_users__plain
#endif

/*@ begin visibility */
#if defined MMOE_PLUGIN && defined __GNUC__
#define MMOE_EXPORT __attribute__((visibility("default")))
#define MMOE_LOCAL __attribute__((visibility("hidden")))
#else
#define MMOE_EXPORT
#define MMOE_LOCAL
#endif
/*@ end */

/*@ begin checks */
/* One row, one answer: the sums below must be done as they are written. */
#if defined __FAST_MATH__ || defined __ASSOCIATIVE_MATH__ || defined __RECIPROCAL_MATH__ || \
    defined __NO_SIGNED_ZEROS__ || (defined __FINITE_MATH_ONLY__ && __FINITE_MATH_ONLY__ == 1)
#error "compile without -ffast-math and its parts: scores would not be those that mmoec promises"
#endif
#if defined __FLT_EVAL_METHOD__ && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "floats must be evaluated as floats: -mfpmath=sse, or -fexcess-precision=fast"
#endif
#if defined __clang__
#pragma STDC FP_CONTRACT OFF
#endif
/*@ end */

/*@ begin section */
/* Before the weights: for instance -DMMOE_SECTION='__attribute__((section(".flash2")))'. */
#ifndef MMOE_SECTION
#define MMOE_SECTION
#endif
/*@ end */

/*@ begin muladd */
/* This class of arithmetic rounds every product: none may be contracted with a sum. */
#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize("fp-contract=off")
#endif
/*@ end */

/*@ begin score */
static TARGET void SCORE_ISA(const float *w, const float *x, size_t xs, size_t rows, float *y, float *s)
{
    size_t n, blocks = rows / ROW_BLOCK + (rows % ROW_BLOCK > 0);     /* as equal as can be */
    for (; blocks > 0; blocks--, rows -= n, x += n * xs, y += n * OUTPUTS) {
        n = rows / blocks + (rows % blocks > 0);
        BLOCK(w, x, xs, n, y, s);
    }
}
/*@ end */

#ifdef IN_LANES
/*@ begin few_rows */
static NO_INLINE TARGET void FEW_ROWS(const float *w, const float *x, size_t xs, float *y, float *s)
{
    BLOCK(w, x, xs, ROWS, y, s);
}
/*@ end */

/*@ begin few */
/* One to four rows at a time: there, sizes and rows are numbers that the compiler knows. */
static TARGET void FEW(const float *w, const float *x, size_t xs, size_t rows, float *y, float *s)
{
    for (; rows > 4; rows -= 4, x += 4 * xs, y += 4 * OUTPUTS)
        FEW_4(w, x, xs, y, s);
    switch (rows) {
    case 1: FEW_1(w, x, xs, y, s); return;
    case 2: FEW_2(w, x, xs, y, s); return;
    case 3: FEW_3(w, x, xs, y, s); return;
    case 4: FEW_4(w, x, xs, y, s); return;
    }
}
/*@ end */

/*@ begin score_lanes */
static TARGET void SCORE_ISA(const float *w, const float *x, size_t xs, size_t rows, float *y, float *s)
{
    for (size_t n; rows >= LANES_FROM; rows -= n, x += n * xs, y += n * OUTPUTS) {
        n = rows < LANES ? rows : LANES;
        LANES_BLOCK(w, x, xs, n, y, s);
    }
    if (rows > 0)
        BLOCK(w, x, xs, rows, y, s);
}
/*@ end */
#endif

#ifdef IN_LANES
/*@ begin score_items */
static TARGET void SCORE_ISA(const float *w, const float *x, size_t xs, size_t rows, float *y, float *s)
{
    for (size_t n; rows > 0; rows -= n, x += n * xs, y += n * OUTPUTS) {
        n = rows < LANES ? rows : LANES;
        LANES_BLOCK(w, x, xs, n, y, s);
    }
}
/*@ end */
#endif

/*@ begin score_users */
/* What is the user's alone once, then the user's items. */
static TARGET void USERS_ISA(const float *w, const float *users, size_t us, const float *items, size_t is,
                             const size_t *offsets, size_t n, float *y, float *s)
{
    for (; n > 0; n--, users += us, offsets++) {
        const size_t first = offsets[0], rows = offsets[1] - first;
        if (rows > 0) {
            USER(w, users, s);
            ITEMS(w, items + first * is, is, rows, y + first * OUTPUTS, s);
        }
    }
}
/*@ end */

#ifdef ONE_ROW
/*@ begin score_rows */
static TARGET void SCORE_ISA(const float *w, const float *x, size_t xs, size_t rows, float *y, float *s)
{
    for (; rows > 0; rows--, x += xs, y += OUTPUTS)
        BLOCK(w, x, y, s);
}
/*@ end */
#endif

/*@ begin choose_x86 */
/* Which instruction set serves: chosen when first needed; the only state is one byte that every thread would set to
   the same value. -DMMOE_ISA_AT_MOST=1 keeps to AVX2, 0 to plain C. */
#ifndef MMOE_ISA_AT_MOST
#define MMOE_ISA_AT_MOST 2
#endif

static _Atomic unsigned char chosen;    /* 0: not yet; 1 + 0 plain C, 1 + 1 AVX2 with FMA, 1 + 2 AVX-512F */

#if defined __x86_64__
static void cpuid(uint32_t leaf, uint32_t r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
}

/* Intel SDM volume 1, 14.3 and 15.2: the instructions are there and the system saves the registers. */
static unsigned best_isa(void)
{
    uint32_t r[4], low, high;
    cpuid(0, r);
    if (r[0] < 7)
        return 0;
    cpuid(1, r);
    if ((r[2] & UINT32_C(0x18001000)) != UINT32_C(0x18001000))     /* OSXSAVE, AVX, FMA */
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    cpuid(7, r);
    if ((low & 0x06) != 0x06 || !(r[1] & UINT32_C(0x20)))          /* AVX2 */
        return 0;
    return (low & 0xe6) == 0xe6 && (r[1] & UINT32_C(0x10000)) ? 2 : 1;     /* AVX512F */
}
#else
static unsigned best_isa(void) { return 0; }
#endif

static unsigned isa(void)
{
    unsigned i = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (i == 0) {
        i = 1 + best_isa();
        if (i > 1 + MMOE_ISA_AT_MOST)
            i = 1 + MMOE_ISA_AT_MOST;
        atomic_store_explicit(&chosen, (unsigned char)i, memory_order_relaxed);
    }
    return i - 1;
}

static const char *chosen_isa(void)
{
    static const char *const names[] = {"plain", "avx2", "avx512"};
    return names[isa()];
}

static void score(const void *w, const float *x, size_t xs, size_t rows, float *y, void *scratch)
{
    switch (isa()) {
#if defined __x86_64__
    case 2: score__avx512(w, x, xs, rows, y, scratch); return;
    case 1: score__avx2(w, x, xs, rows, y, scratch); return;
#endif
    default: score__plain(w, x, xs, rows, y, scratch); return;
    }
}
/*@ end */

/*@ begin choose_users_x86 */
static void score_users(const void *w, const float *users, size_t us, const float *items, size_t is,
                        const size_t *offsets, size_t n, float *y, void *scratch)
{
    switch (isa()) {
#if defined __x86_64__
    case 2: score_users__avx512(w, users, us, items, is, offsets, n, y, scratch); return;
    case 1: score_users__avx2(w, users, us, items, is, offsets, n, y, scratch); return;
#endif
    default: score_users__plain(w, users, us, items, is, offsets, n, y, scratch); return;
    }
}
/*@ end */

#ifdef ONLY
/*@ begin only */
static const char *chosen_isa(void) { return ISA_NAME; }

static void score(const void *w, const float *x, size_t xs, size_t rows, float *y, void *scratch)
{
    SCORE_ISA(w, x, xs, rows, y, scratch);
}
/*@ end */

/*@ begin only_users */
static void score_users(const void *w, const float *users, size_t us, const float *items, size_t is,
                        const size_t *offsets, size_t n, float *y, void *scratch)
{
    USERS_ISA(w, users, us, items, is, offsets, n, y, scratch);
}
/*@ end */
#endif

#ifdef FROM_ROWS
/*@ begin network_x86 */
static void NETWORK(const struct rows *r, const void *self, const float *u, size_t steps, float *a)
{
    (void)self;
    switch (isa()) {
#if defined __x86_64__
    case 2: SCORE_AVX512(r->table[TABLE], u, INPUTS, steps, a, r->scratch); return;
    case 1: SCORE_AVX2(r->table[TABLE], u, INPUTS, steps, a, r->scratch); return;
#endif
    default: SCORE_PLAIN(r->table[TABLE], u, INPUTS, steps, a, r->scratch); return;
    }
}
/*@ end */

/*@ begin network_only */
static void NETWORK(const struct rows *r, const void *self, const float *u, size_t steps, float *a)
{
    (void)self;
    SCORE_ISA(r->table[TABLE], u, INPUTS, steps, a, r->scratch);
}
/*@ end */

/*@ begin score_columns */
/* Where everything is; what is apart is said of scratch, in bytes. */
static void begin_rows(struct rows *r, const void *tables_of, const struct mmoe_values *values, void *scratch)
{
    static const uint64_t table_at[N_TABLES] = {TABLE_LIST};
    char *const room = scratch;
    const float **const table = (void *)(room + TABLES_AT);
    for (size_t i = 0; i < N_TABLES; i++)
        table[i] = (const float *)tables_of + table_at[i];
    r->column = columns;
    r->values = values;
    r->table = table;
    r->shared = 0;
    r->stride = ROW_FLOATS;
    r->x = (void *)(room + X_AT);
    r->texts = room + TEXTS_AT;
    r->floats = (void *)(room + FLOATS_AT);
    r->doubles = (void *)(room + DOUBLES_AT);
    r->scratch = room + NETWORKS_AT;
}

static void score_rows(const void *weights_of, const void *tables_of, const struct mmoe_values *values, size_t rows,
                       float *y, struct mmoe_row_status *status, void *scratch)
{
    struct rows r;
    begin_rows(&r, tables_of, values, scratch);
    for (size_t at = 0; at < rows; at += r.n, y += r.n * OUTPUTS) {
        begin_block(&r, at, rows - at < ROWS_AT_ONCE ? rows - at : ROWS_AT_ONCE, status + at);
        features(&r);
        clear_bad_rows(&r, INPUTS);
        score(weights_of, r.x, ROW_FLOATS, r.n, y, scratch);
        spoil_bad_scores(&r, y, OUTPUTS);
    }
}
/*@ end */
#endif

#ifdef FROM_ROWS
/*@ begin score_requests */
/* A user's features once, then the user's rows, which begin with them. */
static void score_requests(const void *weights_of, const void *tables_of, const struct mmoe_values *values,
                           const size_t *offsets, size_t n_users, float *y, struct mmoe_row_status *status, void *scratch)
{
    float *const user = (void *)((char *)scratch + USER_AT);
    struct mmoe_row_status user_status;
    struct rows r;
    begin_rows(&r, tables_of, values, scratch);
    for (r.user = 0; r.user < n_users; r.user++) {
        const size_t end = offsets[r.user + 1];
        float *const rows = r.x;
        if (offsets[r.user] == end)
            continue;
        r.shared = 0;
        r.x = user;
        begin_block(&r, r.user, 1, &user_status);
        user_features(&r);
        r.shared = 1;
        r.x = rows;
        for (size_t at = offsets[r.user]; at < end; at += r.n) {
            begin_user_block(&r, at, end - at < ROWS_AT_ONCE ? end - at : ROWS_AT_ONCE, status + at, user, user_status,
                             USER_INPUTS);
            item_features(&r);
            clear_bad_rows(&r, INPUTS);
            const size_t one[2] = {0, r.n};
            score_users(weights_of, r.x, ROW_FLOATS, r.x + USER_INPUTS, ROW_FLOATS, one, 1, y + at * OUTPUTS, scratch);
            spoil_bad_scores(&r, y + at * OUTPUTS, OUTPUTS);
        }
    }
}
/*@ end */
#endif

/*@ begin environment */
static uint32_t bits_of(float x)
{
    const union { float f; uint32_t u; } pun = {x};
    return pun.u;
}

/* Round to nearest, ties to even; subnormals are neither flushed nor read as zero. */
static int wrong_environment(void)
{
    volatile float one = 1, half = 0x1p-24f, more = 0x1.8p-24f, least = 0x1p-126f;
    const volatile float up = one + half, near = one + more, down = -one - half, far = -one - more;
    const volatile float small = least * 0.5f, back = small * 2;
    return up != 1 || near != 0x1.000002p0f || down != -1 || far != -0x1.000002p0f || bits_of(small) != 0x400000 ||
           back != least;
}

/* FNV-1a over words, in eight chains that do not wait for each other. */
static int same_weights(const float *w, const uint32_t *words)
{
    uint64_t chain[8], sum = UINT64_C(0xcbf29ce484222325);
    for (size_t k = 0; k < 8; k++) {
        chain[k] = 0;
        NO_CALL;
    }
    for (size_t i = 0; i < WEIGHT_FLOATS; i += 8) {
        UNROLL
        for (size_t k = 0; k < 8; k++)
            chain[k] = (chain[k] ^ bits_of(w[i + k])) * UINT64_C(0x100000001b3);
    }
    for (size_t k = 0; k < 8; k++)
        sum = (sum ^ chain[k]) * UINT64_C(0x100000001b3);
    return words[0] == (uint32_t)sum && words[1] == (uint32_t)(sum >> 32);
}

static int same_bits(const float *y, size_t n, const uint32_t *words)
{
    for (size_t i = 0; i < n; i++)
        if (bits_of(y[i]) != words[i])
            return 0;
    return 1;
}

/* The next numbers of a small generator. */
static void fill(float *x, size_t n, uint32_t *seed)
{
    for (size_t i = 0; i < n; i++) {
        *seed = *seed * UINT32_C(1664525) + UINT32_C(1013904223);
        x[i] = (float)((int32_t)(*seed >> 8) - (INT32_C(1) << 23)) * 0x1p-22f;
    }
}
/*@ end */

/*@ begin self_test */
/* Rows by a small generator in batches of 1, 2, ... 8 rows, then all at once. */
static int ROWS_TEST(const void *weights_of, const uint32_t *words, void *scratch)
{
    float *x = (float *)scratch + SCORE_FLOATS, *y = x + (size_t)TEST_ROWS * INPUTS;
    uint32_t seed = 1;
    if (wrong_environment())
        return 1;
    if (!same_weights(weights_of, words))
        return 2;
    fill(x, (size_t)TEST_ROWS * INPUTS, &seed);
    for (size_t n = 1, row = 0; row < TEST_ROWS; row += n++)
        score(weights_of, x + row * INPUTS, INPUTS, n, y + row * OUTPUTS, scratch);
    if (!same_bits(y, (size_t)TEST_ROWS * OUTPUTS, words + 2))
        return 3;
    score(weights_of, x, INPUTS, TEST_ROWS, y, scratch);
    return same_bits(y, (size_t)TEST_ROWS * OUTPUTS, words + 2) ? 0 : 3;
}
/*@ end */

/*@ begin users_test */
/* And the same rows as users with an item each. */
static int self_test(const void *weights_of, const uint32_t *words, void *scratch)
{
    float *x = (float *)scratch + SCORE_FLOATS, *y = x + (size_t)TEST_ROWS * INPUTS;
    size_t offsets[TEST_ROWS + 1];
    const int wrong = rows_test(weights_of, words, scratch);
    if (wrong)
        return wrong;
    for (size_t i = 0; i <= TEST_ROWS; i++)
        offsets[i] = i;
    for (size_t i = 0; i < (size_t)TEST_ROWS * OUTPUTS; i++) {
        y[i] = -1;
        NO_CALL;
    }
    score_users(weights_of, x, INPUTS, x + USER_INPUTS, INPUTS, offsets, TEST_ROWS, y, scratch);
    return same_bits(y, (size_t)TEST_ROWS * OUTPUTS, words + 2) ? 0 : 3;
}
/*@ end */

#ifdef ONE_ROW
/*@ begin self_test_rows */
/* Rows by a small generator, one at a time: little memory is needed. */
static int self_test(const void *weights_of, const uint32_t *words, void *scratch)
{
    float *x = (float *)scratch + SCORE_FLOATS, *y = x + INPUTS;
    uint32_t seed = 1;
    if (wrong_environment())
        return 1;
    if (!same_weights(weights_of, words))
        return 2;
    for (size_t row = 0; row < TEST_ROWS; row++) {
        fill(x, INPUTS, &seed);
        score(weights_of, x, INPUTS, 1, y, scratch);
        if (!same_bits(y, OUTPUTS, words + 2 + row * OUTPUTS))
            return 3;
    }
    return 0;
}
/*@ end */
#endif

/*@ begin record */
MMOE_LOCAL const struct mmoe_model MODEL_RECORD = {
    .abi = MMOE_ABI,
    .size = sizeof(struct mmoe_model),
    .numerics = NUMERICS,
    .inputs = INPUTS,
    .outputs = OUTPUTS,
    .n_expected = N_EXPECTED,
    .name = MODEL_NAME,
    .output_names = output_names,
    .scratch_bytes = SCRATCH_BYTES,
    .weight_floats = WEIGHT_FLOATS,
    .structure = {STRUCTURE},
    .weights_digest = {WEIGHTS_DIGEST},
    .weights = WEIGHTS,
    .expected = EXPECTED,
    .score = score,
    .self_test = self_test,
    .score_rows = SCORE_ROWS,
    .chosen_isa = chosen_isa,
    .columns = COLUMNS,
    .n_columns = N_COLUMNS,
    .row_bytes = ROW_BYTES,
    .lines = LINES,
    .table_floats = TABLE_FLOATS,
    .rows_structure = {ROWS_STRUCTURE},
    .tables_digest = {TABLES_DIGEST},
    .tables = TABLES,
    .feature_order = FEATURE_ORDER,
    .user_inputs = USER_INPUTS,
    .input_order = INPUT_ORDER,
    .score_users = SCORE_USERS,
    .score_requests = SCORE_REQUESTS,
};
/*@ end */

/*@ begin api */
MMOE_EXPORT void MODEL_SCORE(const float *x, size_t rows, float *y, void *scratch)
{
    score(WEIGHTS, x, INPUTS, rows, y, scratch);
}

MMOE_EXPORT int MODEL_SELF_TEST(void *scratch) { return self_test(WEIGHTS, EXPECTED, scratch); }
/*@ end */

#ifdef FROM_ROWS
/*@ begin api_rows */
/* A shared object's users find the same in the record. */
MMOE_LOCAL void MODEL_SCORE_ROWS(const struct MODEL_ROW *rows, size_t n, float *y, struct mmoe_row_status *status,
                                 void *scratch)
{
    struct mmoe_values values[N_COLUMNS];
    for (size_t i = 0; i < N_COLUMNS; i++) {
        values[i].at = (const char *)rows + columns[i].offset;
        values[i].stride = sizeof *rows;
    }
    score_rows(WEIGHTS, TABLES, values, n, y, status, scratch);
}
/*@ end */
#endif
/*@ begin api_users */
MMOE_EXPORT void MODEL_SCORE_USERS(const float *users, const float *items, const size_t *offsets, size_t n_users,
    float *y, void *scratch)
{
    score_users(WEIGHTS, users, USER_INPUTS, items, ITEM_INPUTS, offsets, n_users, y, scratch);
}
/*@ end */

#ifdef ONE_ROW
/*@ begin api_narrow */
/* With -DMMOE_STACK scratch is on the stack; what the caller gives, NULL perhaps, is not used. */
#ifdef MMOE_STACK
#define MMOE_SCRATCH(floats) float room[floats]; scratch = room
#else
#define MMOE_SCRATCH(floats)
#endif

MMOE_EXPORT void MODEL_SCORE(const float *x, size_t rows, float *y, void *scratch)
{
    MMOE_SCRATCH(SCORE_FLOATS);
    score(WEIGHTS, x, INPUTS, rows, y, scratch);
}

MMOE_EXPORT int MODEL_SELF_TEST(void *scratch)
{
    MMOE_SCRATCH(SCORE_FLOATS + INPUTS + OUTPUTS);
    return self_test(WEIGHTS, EXPECTED, scratch);
}
/*@ end */
#endif

/*@ begin plugin */
#ifdef MMOE_PLUGIN
/* How a shared object of this file is opened: mmoe_open of libmmoe. */
MMOE_EXPORT const struct mmoe_model *mmoe_plugin(void);
MMOE_EXPORT const struct mmoe_model *mmoe_plugin(void) { return &MODEL_RECORD; }
#endif
/*@ end */
