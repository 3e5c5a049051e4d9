// SPDX-License-Identifier: Apache-2.0
/* libmmoec.h: the compiler as a library. It makes models while a service runs:
 *
 *     struct mmoec_model *model;
 *     struct mmoec_messages *messages;
 *     if (mmoec_jit("model_dir", NULL, &model, &messages) == MMOEC_OK) {
 *         const struct mmoe_model *r = mmoec_record(model);
 *         r->score(r->weights, x, r->inputs, rows, y, scratch);
 *         mmoec_close(model);
 *     }
 *     mmoec_free_messages(messages);
 *
 * Nothing here prints or exits. Any number of threads may call anything at once; what a call fills or takes belongs to
 * its caller alone. All strings are copied or used only during the call, unless it says otherwise.
 *
 * libtcc, which makes the code, gets all its memory before it begins and cannot end the process; only one compilation by
 * it runs at a time (about half a millisecond). Running out of memory anywhere else is a message as well.
 */
#ifndef LIBMMOEC_H
#define LIBMMOEC_H

#include "mmoe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The exit codes of the program mmoec. */
enum mmoec_result {
    MMOEC_OK = 0,
    MMOEC_BAD_INPUT = 1,            /* config or checkpoint */
    MMOEC_BAD_USAGE = 2,            /* an option's value */
    MMOEC_UNSUPPORTED = 3,          /* valid for EasyRec, but not supported here */
    MMOEC_SYSTEM_FAILED = 5         /* memory, disk, no compiler, no executable memory */
};

/* ---- messages -------------------------------------------------------------------------------------------------- */

enum mmoec_severity { MMOEC_NOTE, MMOEC_WARNING, MMOEC_ERROR };

struct mmoec_message {
    enum mmoec_severity severity;
    enum mmoec_result result;       /* of an error */
    const char *file;               /* "pipeline.config"; NULL: no file */
    int line, column;               /* from 1; line 0: the file as a whole */
    const char *tag;                /* its kind, a stable word: "unknown-field"; NULL of notes */
    const char *text;               /* one line, not escaped: it may hold bytes of the user's files */
    const char *hint;               /* the cure; NULL if there is none */
};

/* What a call has to say; also after MMOEC_OK (warnings). Freed by its receiver. */
struct mmoec_messages {
    size_t n;
    const struct mmoec_message *message;    /* [n], in the order they were given */
};

void mmoec_free_messages(struct mmoec_messages *messages);      /* NULL is fine */

/* ---- options --------------------------------------------------------------------------------------------------- */

/* Zeros, but for size, are the defaults; what is meant is said by mmoec --help. */
struct mmoec_options {
    uint32_t size;                  /* sizeof(struct mmoec_options): the record grows at its end */
    int permissive;
    int order_by_name;              /* --feature-order name */
    int verbose;                    /* notes: which engine, how long each part took */
    int perf_map;                   /* jit: tell perf of the code, in /tmp/perf-PID.map */
    const char *weights;            /* the checkpoint's prefix; NULL: the model directory's largest step */
    const char *outputs;            /* "scores" (NULL), "all", or names by commas */
    const char *numerics;
    const char *name;               /* the model's name, a C identifier; NULL: from the directory */
    const char *engine;             /* jit: "jit" or "walk", with "-avx2" and so on: that one or an error; NULL: jit where
                                       it can run, else walk, which has the same kernels and gives the same bits */
    const char *target;             /* compile: --target */
    const char *weights_in;         /* compile: "c" (NULL) or "file" */
    const char *cache;              /* jit: a directory where packed weights are kept, so that the next start need not read
                                       the checkpoint; "": beside it; NULL: none. A file is known by digests of config
                                       and index, sizes of data files, versions and options. One that is damaged, or cannot be
                                       written, is a warning; old ones are the caller's to remove. */
};

/* ---- models in memory ------------------------------------------------------------------------------------------ */

struct mmoec_model;

/* Makes a model that serves in this process from an EasyRec model directory, an exported SavedModel or a .config file
   with options->weights. Its self test has been run. options NULL: the defaults; messages NULL: nobody listens.
   *model is NULL unless MMOEC_OK is returned; *messages is then and always set. Models of equal structure share code. */
enum mmoec_result mmoec_jit(const char *dir, const struct mmoec_options *options, struct mmoec_model **model,
                            struct mmoec_messages **messages);
/* Its record, whose weights and names are inside the model: valid until mmoec_close. Serve it with its own weights only. */
const struct mmoe_model *mmoec_record(const struct mmoec_model *model);
const char *mmoec_engine(const struct mmoec_model *model);      /* which serves: "jit" or "walk"; static */
void mmoec_close(struct mmoec_model *model);                    /* no score may be running; NULL is fine */

/* Why no code can be made in this process: static text, or NULL if it can. */
const char *mmoec_jit_trouble(void);

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* Writes OUTPUT.c and OUTPUT.h, or, if output ends in .so, builds it with the system's compiler: mmoec compile. */
enum mmoec_result mmoec_compile(const char *dir, const struct mmoec_options *options, const char *output,
                                struct mmoec_messages **messages);

#ifdef __cplusplus
}
#endif
#endif
