// SPDX-License-Identifier: Apache-2.0
/* one_jit MODEL CACHE: makes a model by the library twice, the second time from the cache, and watches its directory for
 * a moment. Prints errors; its exit code is the result. For memory.sh, which lets allocations fail, and for hermetic.sh,
 * which looks at the files it opens.
 */
#include <stdio.h>
#include <stdlib.h>

#include "libmmoec.h"

static void show(const struct mmoec_messages *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->message[i].severity == MMOEC_ERROR)
            fprintf(stderr, "error: %s\n", m->message[i].text);
}

/* Watches what it serves itself; the model is taken over. */
static enum mmoec_result watch(const char *dir, struct mmoec_model *model)
{
    struct mmoe *served;
    enum mmoe_status status = mmoe_open(&served, mmoec_source(model));
    if (status != MMOE_OK) {
        fprintf(stderr, "error: %s\n", mmoe_status_text(status));
        mmoec_close(model);
        return MMOEC_SYSTEM_FAILED;
    }
    struct mmoec_watch_options o = {.size = sizeof o, .serve = served};
    struct mmoec_watch *w;
    struct mmoec_messages *messages;
    enum mmoec_result result = mmoec_watch(dir, &o, &w, &messages);
    show(messages);
    mmoec_free_messages(messages);
    mmoec_unwatch(w);
    mmoe_close(served);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    struct mmoec_model *model = NULL;
    for (int i = 0; i < 2; i++) {
        struct mmoec_options o = {.size = sizeof o, .cache = argv[2]};
        struct mmoec_messages *messages;
        mmoec_close(model);
        enum mmoec_result result = mmoec_jit(argv[1], &o, &model, &messages);
        show(messages);
        mmoec_free_messages(messages);
        if (result != MMOEC_OK)
            return (int)result;
    }
    return (int)watch(argv[1], model);
}
