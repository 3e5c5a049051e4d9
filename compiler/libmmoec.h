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
    const char *from;               /* "rows": the record takes rows, too (mmoe_score_rows); of jit, the embedding tables are
                                       read then. "features": it does not. NULL: "features" of jit; of compile, rows if
                                       the tables are small */
    const char *user_columns;       /* --user-columns: columns of the data or feature groups by commas; NULL: none */
};

/* ---- models in memory ------------------------------------------------------------------------------------------ */

struct mmoec_model;

/* Makes a model that serves in this process from an EasyRec model directory, an exported SavedModel or a .config file
   with options->weights. Its self test has been run. options NULL: the defaults; messages NULL: nobody listens.
   *model is NULL unless MMOEC_OK is returned; *messages is then and always set. Models of equal structure share code. */
enum mmoec_result mmoec_jit(const char *dir, const struct mmoec_options *options, struct mmoec_model **model,
                            struct mmoec_messages **messages);
/* Its record, whose weights and names are inside the model: valid until mmoec_close. Of jit, it takes weights files of its
   structure as well (mmoe_swap); walk's takes its own weights only. */
const struct mmoe_model *mmoec_record(const struct mmoec_model *model);
/* For mmoe_open and mmoe_swap of libmmoe, which take the model over if they return MMOE_OK: then it is closed when nobody
   uses it any more, and mmoec_close is not for the caller to call. */
struct mmoe_source mmoec_source(struct mmoec_model *model);
const char *mmoec_engine(const struct mmoec_model *model);      /* which serves: "jit" or "walk"; static */
void mmoec_close(struct mmoec_model *model);                    /* no score may be running; NULL is fine */

/* Why no code can be made in this process: static text, or NULL if it can. */
const char *mmoec_jit_trouble(void);

/* ---- following a directory ------------------------------------------------------------------------------------- */

enum mmoec_event {
    MMOEC_TAKEN,                    /* a new checkpoint serves */
    MMOEC_REFUSED,                  /* a checkpoint was not taken; the old model serves on. Told once, and again if its files
                                       change and it fails again */
    MMOEC_LOST                      /* the directory cannot be read; it is looked for on. Told once until it is back */
};

struct mmoec_news {
    enum mmoec_event event;
    const char *path;               /* model_dir/model.ckpt-1000, or the export's directory; of MMOEC_LOST: what is watched */
    uint64_t number;                /* step, or an export's seconds */
    const struct mmoec_messages *messages;      /* why; of a taken one: warnings */
};

struct mmoec_watch_options {
    uint32_t size;                  /* sizeof(struct mmoec_watch_options) */
    const struct mmoec_options *model;          /* for mmoec_jit; NULL: the defaults; weights must be NULL */
    struct mmoe *serve;             /* mmoe_swap gives it each new model; it must stay open until mmoec_unwatch */
    unsigned swap_flags;            /* of mmoe_swap: MMOE_ANY_SHAPE */
    void (*tell)(void *user, const struct mmoec_news *news);    /* NULL: nobody listens; the news end with the call */
    void *user;                     /* for tell, which is called by the watch's thread */
    uint64_t after;                 /* what serves now (mmoec_number): only larger numbers are taken */
    int smaller;                    /* take a smaller number, too, if it is the largest that is left */
    unsigned interval_ms;           /* between looks at the directory; 0: 5000. Changes that the system tells of (inotify)
                                       are seen at once; network file systems tell nothing */
    int nice;                       /* added to the niceness of the watch's thread, which makes the models */
};

struct mmoec_watch;

/* Follows a model directory (model.ckpt-<step>), or one of exports (<seconds>/), in a thread of its own. A checkpoint is
   taken when its index and all its data files are there with the sizes that the index states; one that fails is
   tried again while its files change. dir is copied, and what options->model points to must live until mmoec_unwatch. */
enum mmoec_result mmoec_watch(const char *dir, const struct mmoec_watch_options *options, struct mmoec_watch **watch,
                              struct mmoec_messages **messages);
/* Ends it: nothing is swapped or told any more. What serves serves on. NULL is fine. */
void mmoec_unwatch(struct mmoec_watch *watch);

/* The step in the name of a model's checkpoint, or the number of its export's directory; 0 if there is none. */
uint64_t mmoec_number(const struct mmoec_model *model);

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* Writes OUTPUT.c and OUTPUT.h, or, if output ends in .so, builds it with the system's compiler: mmoec compile. */
enum mmoec_result mmoec_compile(const char *dir, const struct mmoec_options *options, const char *output,
                                struct mmoec_messages **messages);

#ifdef __cplusplus
}
#endif
#endif
