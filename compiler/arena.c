// SPDX-License-Identifier: Apache-2.0
/* Memory of one compilation.
 *
 * The idea: a compilation makes thousands of small things that all live until its end, so memory is
 * cut from blocks and given back at once. Blocks start small and double; a request too large for
 * the next block gets one of its own. A block comes from calloc and no part of it is used twice,
 * hence everything is zeroed.
 *
 * How to read it: take() finds the bytes, new_block() is the only place that asks the system, and
 * no_memory() is where a failure leaves: it jumps to the job's entry point, so that nobody above
 * tests an allocation.
 */
#include <stdlib.h>
#include <string.h>

#include "mmoec.h"

#define ALIGN 16
#define FIRST_BLOCK \
    ((size_t)4 << 10) /* small: a test that lets the n-th block fail has many n to try */
#define LARGEST_BLOCK ((size_t)1 << 20)

struct arena_block {
    _Alignas(ALIGN) struct arena_block *next;
    size_t bytes; /* with this header */
};

static _Noreturn void no_memory(struct arena *a)
{
    if (!a->no_memory)
        bug("an arena without an entry point ran out of memory");
    longjmp(*a->no_memory, 1);
}

static struct arena_block *new_block(struct arena *a, size_t bytes)
{
    if (a->fail_after == 0)
        no_memory(a);
    if (a->fail_after > 0)
        a->fail_after--;
    struct arena_block *b = calloc(1, bytes);
    if (!b)
        no_memory(a);
    b->bytes = bytes;
    return b;
}

/* Makes room for `bytes` in a fresh current block; what was left of the old one is lost. */
static void next_block(struct arena *a, size_t block_bytes)
{
    struct arena_block *b = new_block(a, block_bytes);
    b->next = a->blocks;
    a->blocks = b;
    a->next = (char *)(b + 1);
    a->end = (char *)b + block_bytes;
}

/* A block for one request. It goes behind the current block, which stays in use. */
static void *lone_block(struct arena *a, size_t bytes)
{
    struct arena_block *b = new_block(a, sizeof(*b) + bytes);
    if (a->blocks) {
        b->next = a->blocks->next;
        a->blocks->next = b;
    } else {
        a->blocks = b;
        a->next = a->end = (char *)b + b->bytes;
    }
    return b + 1;
}

static size_t next_block_bytes(const struct arena *a)
{
    size_t bytes = a->blocks ? a->blocks->bytes : 0;
    if (bytes > LARGEST_BLOCK / 2)
        return LARGEST_BLOCK;
    return bytes < FIRST_BLOCK / 2 ? FIRST_BLOCK : bytes * 2;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        no_memory(a);
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (!bytes)
        bytes = ALIGN; /* two things never share an address */
    if ((size_t)(a->end - a->next) < bytes) {
        size_t block_bytes = next_block_bytes(a);
        if (bytes > block_bytes / 2)
            return lone_block(a, bytes);
        next_block(a, block_bytes);
    }
    void *p = a->next;
    a->next += bytes;
    return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        no_memory(a);
    return arena_alloc(a, n * size);
}

char *arena_copy(struct arena *a, const char *text, size_t length)
{
    if (length == SIZE_MAX)
        no_memory(a);
    char *copy = arena_alloc(a, length + 1);
    if (length)
        memcpy(copy, text, length);
    return copy;
}

/* How many bytes the formatted text has. */
static size_t print_length(const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0)
        bug("a format that cannot be printed: %s", format);
    return (size_t)n;
}

/* Most texts are short, and need not be printed twice to know their length. */
void *arena_aligned(struct arena *a, size_t bytes)
{
    char *room = arena_alloc(a, bytes + 64);
    return room + (64 - (uintptr_t)room % 64) % 64;
}

char *arena_vprint(struct arena *a, const char *format, va_list args)
{
    char small[256];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, again);
    va_end(again);
    if (n >= 0 && (size_t)n < sizeof small)
        return arena_copy(a, small, (size_t)n);
    size_t length = print_length(format, args);
    char *text = arena_alloc(a, length + 1);
    vsnprintf(text, length + 1, format, args);
    return text;
}

char *arena_print(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprint(a, format, args);
    va_end(args);
    return text;
}

void arena_free(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
    a->next = a->end = NULL;
}

/* ---- a text that grows ---- */

/* Room for `more` bytes and a NUL. Doubling, so that n additions copy O(n) bytes. */
static void text_room(struct text *t, size_t more)
{
    if (more >= SIZE_MAX / 4 - t->length)
        no_memory(t->arena);
    size_t need = t->length + more + 1;
    if (need <= t->room)
        return;
    size_t room = t->room * 2 > need ? t->room * 2 : need;
    if (room < 64)
        room = 64;
    char *data = arena_alloc(t->arena, room);
    if (t->length)
        memcpy(data, t->data, t->length);
    t->data = data;
    t->room = room;
}

void text_add(struct text *t, const char *bytes, size_t length)
{
    text_room(t, length);
    if (length)
        memcpy(t->data + t->length, bytes, length);
    t->length += length;
    t->data[t->length] = '\0';
}

void text_print(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t left = t->room - t->length;
    int fits = t->room ? vsnprintf(t->data + t->length, left, format, args) : -1;
    va_end(args);
    if (fits >= 0 && (size_t)fits < left) {
        t->length += (size_t)fits;
        return;
    }
    va_start(args, format);
    size_t n = print_length(format, args);
    text_room(t, n);
    vsnprintf(t->data + t->length, n + 1, format, args);
    t->length += n;
    va_end(args);
}
