// SPDX-License-Identifier: Apache-2.0
/* fold.c: batch norms into the dense layers before them.
 *
 * Needs: any model. Leaves: no batch norm that follows a dense layer alone; values change by at most
 * 1e-12 (1 + |z|), for the same numbers are multiplied in another order.
 *
 * With s = gamma / sqrt(variance + epsilon) a norm after x K + b is x (K diag(s)) + ((b - mean) s + beta): the
 * recipe of the layer's weights gets the norm, and weigh() does the arithmetic when numbers are needed.
 */
#include "mmoec.h"

#include <string.h>

/* Readers of a value; operations that were folded away do not count. */
static int count_readers(const struct model *m, int value, const bool *folded)
{
    int n = 0;
    for (int i = 0; i < m->n_ops; i++)
        for (int k = 0; !folded[i] && k < m->ops[i].n_in; k++)
            n += m->ops[i].in[k] == value;
    for (int i = 0; i < m->n_outputs; i++)
        n += m->outputs[i].value == value;
    return n;
}

static bool folds(const struct model *m, const struct op *norm, const bool *folded)
{
    int x = norm->in[0], before = m->values[x].op;
    return norm->kind == OP_batch_norm && before >= 0 && m->ops[before].kind == OP_dense &&
           m->ops[before].n_blocks == 1 && count_readers(m, x, folded) == 1;
}

static const struct norm *append_norm(struct job *job, const struct block *b, const struct norm *norm)
{
    struct norm *norms = NEW_ARRAY(job, (size_t)b->n_norms + 1, struct norm);
    if (b->n_norms)
        memcpy(norms, b->norms, (size_t)b->n_norms * sizeof *norms);
    norms[b->n_norms] = *norm;
    return norms;
}

/* Everything that read `old` reads `new` instead. */
static void replace(struct model *m, int old, int new)
{
    for (int i = 0; i < m->n_ops; i++)
        for (int k = 0; k < m->ops[i].n_in; k++)
            if (m->ops[i].in[k] == old)
                m->ops[i].in[k] = new;
    for (int i = 0; i < m->n_outputs; i++)
        if (m->outputs[i].value == old)
            m->outputs[i].value = new;
}

struct model *fold(struct job *job, const struct model *before)
{
    if (!before)
        return NULL;
    struct model *m = copy_model(job, before);
    bool *folded = NEW_ARRAY(job, (size_t)m->n_ops, bool);
    for (int i = 0; i < m->n_ops; i++) {
        struct op *norm = &m->ops[i];
        if (!folds(m, norm, folded))
            continue;
        folded[i] = true;
        struct block *b = &m->ops[m->values[norm->in[0]].op].blocks[0];
        b->norms = append_norm(job, b, &norm->norm);
        b->n_norms++;
        replace(m, norm->out, norm->in[0]);     /* the norm stays, unread, until tidy */
    }
    return m;
}
