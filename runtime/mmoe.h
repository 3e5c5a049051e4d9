// SPDX-License-Identifier: Apache-2.0
/* mmoe.h: what a program that scores mmoec models includes.
 *
 * Two parts: the record that every generated model carries (struct mmoe_model), and the small library that opens
 * models from files (libmmoe). A program that links a generated .c file needs only that file's own header.
 *
 * Sizes are in the units said; arrays in brackets, outermost first. Nothing here prints or exits.
 */
#ifndef MMOE_H
#define MMOE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*@ begin record */
/* The record of a generated model. It only ever grows at its end: `size` says how much of it there is. Include
   guarded, so that several generated files and mmoe.h may stand in one unit, if they agree on the ABI. */
#ifndef MMOE_ABI
#define MMOE_ABI 1

struct mmoe_model {
    uint32_t abi, size;             /* MMOE_ABI; bytes of this record */
    uint32_t numerics;              /* class of arithmetic: 1 = fma32, 2 = muladd32 */
    uint32_t inputs, outputs;       /* floats a row of x and of y */
    uint32_t n_expected;            /* of the self test: uint32 words in `expected` */
    const char *name;
    const char *const *output_names;        /* [outputs], of each column: "probs_ctr", "probs_grade[0]" */
    size_t scratch_bytes;           /* aligned to 64, for any number of rows */
    size_t weight_floats;
    unsigned char structure[32];    /* SHA-256: equal digests permit a swap of weights */
    unsigned char weights_digest[32];       /* SHA-256 of the weights' bytes, little-endian; zeros if apart */
    const void *weights;            /* [weight_floats] floats aligned to 64; NULL: in a file of their own */
    const uint32_t *expected;       /* the self test's bits; NULL: with the weights */
    /* x [rows][x_stride], x_stride >= inputs; y [rows][outputs]; cannot fail, allocates nothing, keeps no state. */
    void (*score)(const void *weights, const float *x, size_t x_stride, size_t rows, float *y, void *scratch);
    /* 0: this build gives the bits that mmoec computed; 1: rounding mode or subnormals are not as needed;
       2: the weights are not those of `expected`; 3: wrong scores. */
    int (*self_test)(const void *weights, const uint32_t *expected, void *scratch);
    void (*score_rows)(void);       /* reserved: NULL */
    const char *(*chosen_isa)(void);        /* "avx512", "avx2", "neon", "plain": which serves on this machine */
};
#elif MMOE_ABI != 1
#error "two generated models of different mmoe ABIs in one unit"
#endif
/*@ end */

enum mmoe_status {
    MMOE_OK = 0,
    MMOE_NO_FILE,           /* cannot be opened or read */
    MMOE_NOT_A_MODEL,       /* not a model's shared object or weights file, or of another ABI */
    MMOE_OTHER_MODEL,       /* weights of another structure than the record's */
    MMOE_DAMAGED,           /* lengths or digests do not hold */
    MMOE_NO_MEMORY,
    MMOE_SELF_TEST          /* this machine or build does not give the promised bits */
};

const char *mmoe_status_text(enum mmoe_status status);      /* static text, lower case */

/* An open model. Reading it from several threads is safe; opening and closing is its owner's business. */
struct mmoe {
    const struct mmoe_model *record;
    const void *weights;            /* what record->score takes */
    const uint32_t *expected;       /* what record->self_test takes */
    void *library, *mapping;        /* owned: of dlopen and mmap; NULL if there is none */
    size_t mapping_bytes;
};

/* Opens `path`: with a record, the weights file for it; with NULL, a shared object made by mmoec (through a private
   copy: the file may be replaced while open), whose weights must be inside, or lie beside it as NAME.weights.
   Fills *m on MMOE_OK and leaves it zero otherwise. The self test is not run: mmoe_self_test does that. */
enum mmoe_status mmoe_open(struct mmoe *m, const struct mmoe_model *record, const char *path);
/* `scratch`: record->scratch_bytes, aligned to 64. */
enum mmoe_status mmoe_self_test(const struct mmoe *m, void *scratch);
/* Ends what mmoe_open began; no score may be running. */
void mmoe_close(struct mmoe *m);

/* x [rows][x_stride], y [rows][outputs], scratch as the record says. Cannot fail. */
static inline void mmoe_score(const struct mmoe *m, const float *x, size_t x_stride, size_t rows, float *y,
                              void *scratch)
{
    m->record->score(m->weights, x, x_stride, rows, y, scratch);
}

#ifdef __cplusplus
}
#endif
#endif
