// SPDX-License-Identifier: Apache-2.0
/* emit.h: what the files that print the plan as C share; no other file includes it.
 *
 * An emitter holds the plan at hand, where its text goes, and in which section the text stands. Below it, each
 * file's part for the others.
 */
#ifndef EMIT_H
#define EMIT_H

#include "mmoec.h"

/* A kernel with its sizes. Equal layers share one. */
struct instance {
    bool lanes;             /* the form over lanes */
    bool items;             /* only a user's items in rows need it: not where they are in lanes */
    enum kernel kernel;
    enum act act;
    int in, all, out, experts, panel, room, relu;
    const char *name;       /* dense_272_256_relu */
};

#define MOST_FEW 4                  /* rows that are inlined together: ORDER with templates/frame.c */
#define MOST_CASES 12               /* of the numbers of vectors or columns in a tile */

struct emitter {
    struct job *job;
    const struct plan *p;
    const struct provenance *from;
    const struct row_program *rows;         /* NULL: it takes the experts' input alone */
    struct text *to;
    struct instance *instances;
    int n_instances;
    bool sizes_in_calls;
    const char *isa;        /* of the section; names of a network of rows end in its number, too: "avx2_n1" */
    const char *words;      /* the instruction set whose words they are in */
    bool in_lanes;          /* does the instruction set of the section have the lanes' form? */
    bool one_row;           /* is it the user's form whose calls are printed? */
    const char *weights, *tables;   /* their C names; NULL: in a file of their own */
};

/* ---- emit_calls.c: which kernels a plan needs, and the calls of a block of rows ---- */

void choose_instances(struct emitter *e);
int widest_panel(const struct emitter *e);
bool straight(const struct emitter *e);
const char *body(const struct emitter *e);          /* the words before a kernel's "void" */
void add_rows_list(struct emitter *e, const struct step *st);
void add_lanes_list(struct emitter *e, const struct step *st);
void add_expert_lists(struct emitter *e, const struct form *f, void (*add)(struct emitter *, const struct step *));
void add_map(struct emitter *e, const struct form *f, const char *how);
void add_blocks(struct emitter *e);
void add_users_blocks(struct emitter *e);

/* ---- emit_kernels.c: the section of one instruction set ---- */

bool uses(const struct emitter *e, enum kernel kernel);
bool dispatches(const struct emitter *e);           /* does the file choose among instruction sets? */
bool muladd(const struct emitter *e);
void add_isa(struct emitter *e, const char *isa);

/* ---- emit_header.c: the header ---- */

void emit_h(struct emitter *e, const struct weights *w);

/* ---- emit.c: the file ---- */

const char *print(struct emitter *e, const char *format, ...) PRINTF_LIKE(2, 3);
bool baked(const struct emitter *e);                /* are the weights in the file? */
size_t scratch_bytes(const struct emitter *e);

#endif
