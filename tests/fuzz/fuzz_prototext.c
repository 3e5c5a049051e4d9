// SPDX-License-Identifier: Apache-2.0
/* A fuzzer of prototext.c: any bytes are read, in both modes, and every message is shown.
 *
 * Besides not crashing it must hold that a config is given exactly if there was no error, that
 * every field that is set knows where it stands, and that the message is well-formed: protobuf-c
 * can write it.
 */
#include <stdlib.h>

#include <protobuf-c/protobuf-c.h>

#include "mmoec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show_messages(const struct job *job)
{
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    for (const struct message *m = job->messages; m; m = m->next)
        show_message(m, true, nowhere);
}

static void check_place(struct pos pos, const struct source *s)
{
    if (pos.line < 1 || pos.column < 1 || pos.length < 1 || (size_t)pos.column > s->length)
        bug("a field at %d:%d, %d bytes", pos.line, pos.column, pos.length);
}

static void check_message(const struct config *c, const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        const char *base = (const char *)m, *at = base + f->offset;
        bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
        size_t n = field_set(m, f->id) ? 1 : 0;
        if (n && repeated)
            n = *(const size_t *)(base + f->quantifier_offset);
        for (size_t k = 0; k < n; k++) {
            check_place(field_pos(c, m, f->id, k), c->source);
            if (f->type == PROTOBUF_C_TYPE_MESSAGE)
                check_message(c, repeated ? (*(ProtobufCMessage *const *const *)at)[k]
                                          : *(ProtobufCMessage *const *)at);
        }
    }
}

static void read_once(const uint8_t *data, size_t size, bool permissive)
{
    static struct job job;
    static jmp_buf no_memory;
    struct options options = {.permissive = permissive};
    job = (struct job){.arena = {.no_memory = &no_memory, .fail_after = -1}, .options = &options};
    if (setjmp(no_memory))
        bug("no memory for %zu bytes", size);
    struct source *s = NEW(&job, struct source);
    *s = (struct source){"fuzz", arena_copy(&job.arena, (const char *)data, size), size};
    const struct config *c = read_config(&job, s);
    if ((c == NULL) != (job.errors > 0))
        bug("%d errors, config %p", job.errors, (const void *)c);
    show_messages(&job);
    if (c) {
        check_message(c, c->message);
        unsigned char *packed =
            arena_alloc(&job.arena, protobuf_c_message_get_packed_size(c->message));
        protobuf_c_message_pack(c->message, packed);
    }
    arena_free(&job.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_once(data, size, false);
    read_once(data, size, true);
    return 0;
}
