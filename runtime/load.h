// SPDX-License-Identifier: Apache-2.0
/* load.h: one version of a model: code and weights, from wherever they came. */
#ifndef MMOE_LOAD_H
#define MMOE_LOAD_H

/* All is compiled hidden but what mmoe.h names. */
#pragma GCC visibility push(default)
#include "mmoe.h"
#pragma GCC visibility pop

/* From mmap. */
struct pages {
    void *at;
    size_t bytes;
};

struct version {
    struct mmoe_model record;       /* a copy that has its weights */
    /* Owned; NULL where there is none. */
    void *library;                  /* of dlopen */
    struct pages weights, tables;   /* at NULL: none of its own */
    void (*end)(void *owner);       /* the caller's, once he has handed the model over */
    void *owner;
    const struct version *code_of;  /* whose code this one uses with other weights; NULL: its own */
};

/* `serving`: whose code a weights file may be for; NULL if nothing serves. Has run the self test of what came from a
   file. *v is NULL unless MMOE_OK is returned. Sets neither end nor owner. */
enum mmoe_status load_version(struct version **v, struct mmoe_source source, const struct version *serving);
void free_version(struct version *v);

void *aligned_scratch(size_t bytes);    /* aligned to 64, for free(); NULL: no memory */

#endif
