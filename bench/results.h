// SPDX-License-Identifier: Apache-2.0
/* results.h: what bench.c measures and report.c prints. */
#ifndef RESULTS_H
#define RESULTS_H

#include "bench.h"

#define N_BATCHES 9
#define N_BUILD_BATCHES 3
extern const int batches[N_BATCHES];
extern const int build_batches[N_BUILD_BATCHES];        /* at which builds are compared */
#define ROUND_SECONDS 0.01
#define MOST_MODELS 8
#define MOST_ISAS 4

/* For the instruction set alone, by both compilers; for all of the machine's kind. */
enum build { GCC, CLANG, ALL, N_BUILDS };

/* Of a model and an instruction set. Seconds are of a call; it goes through a pipe as it is. */
struct column {
    bool limited;                   /* ONNX Runtime to this instruction set? */
    double ours[N_BATCHES], ort[N_STYLES][N_BATCHES];
    double plain[N_BATCHES];        /* 0: not timed */
    double peak[N_BATCHES], stream[N_BATCHES];      /* flop/s; seconds for the weights */
    double build[N_BUILDS][N_BUILD_BATCHES];
    double ort_error, plain_error;  /* largest difference from ours */
    double load, ort_load;
    size_t weight_bytes;
    char isa[16], all_isa[16], ort_version[16];      /* all_isa: what the build for all chose */
};

struct build_fact {
    char target[16], compiler[16];
    double ms;
    long text;
};

/* What run.sh wrote down. */
struct facts {
    char title[160];
    double multiply_adds;
    struct {
        char target[16];
        long bytes;
    } c[MOST_ISAS];
    int n_c;
    struct build_fact build[2 * MOST_ISAS];
    int n_builds;
};

struct model_result {
    const char *name;
    struct facts facts;
    struct column columns[MOST_ISAS];
};

struct arguments {
    const char *ort, *json, *dir;
    const char *models[MOST_MODELS], *isas[MOST_ISAS];
    int n_models, n_isas, rounds;
};

extern struct arguments arguments;
extern struct job job;

/* report.c */
void print_markdown(const struct model_result *models);
void write_json(const struct model_result *models);     /* to arguments.json */

#endif
