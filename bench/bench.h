// SPDX-License-Identifier: Apache-2.0
/* bench.h: what the files of bench/ share. Failures end the program. */
#ifndef BENCH_H
#define BENCH_H

#include "../compiler/mmoec.h"

_Noreturn void die(const char *format, ...) PRINTF_LIKE(1, 2);

/* ---- opponents.c: the model for others --------------------------------------------------------- */

/* m: folded, of dense layers, activations, softmax and mixtures only, with weights. */
enum style { GEMM, MATMUL, N_STYLES };      /* a Gemm an expert; or all experts in one batched MatMul */
void write_onnx(struct job *job, const struct model *m, enum style style, const char *path);
/* DIR/plain.c: plain_score(w, x, rows, y); DIR/plain.weights: its w. */
void write_plain(struct job *job, const struct model *m, const char *dir);

/* ---- ort.c: ONNX Runtime by its C API ------------------------------------------------------------ */

struct ort;
struct session;
struct ort *open_ort(const char *library);
const char *ort_version(const struct ort *o);
/* One thread, all optimisations. The graph's input is x, its outputs y0, y1, ... of one column. */
struct session *open_session(struct ort *o, const char *onnx, int outputs);
/* What run_session computes from now on: x [rows][inputs] -> y, the outputs one after the other, [outputs][rows]. */
void set_rows(struct session *s, const float *x, int inputs, size_t rows, float *y);
void run_session(void *session);

/* ---- cpuid.c: the processor as if it had no AVX-512 ------------------------------------------------ */

/* From now on, for this thread and those it starts; false if the system does not permit it. */
bool hide_avx512(void);

#endif
