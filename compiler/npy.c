// SPDX-License-Identifier: Apache-2.0
/* npy.c: NumPy's .npy files, arrays of one or two dimensions.
 *
 *     \x93NUMPY | major minor | length of the header, 2 bytes (4 from version 2) | header | data
 *
 * The header is a Python dict such as {'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }.
 */
#include "mmoec.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGEST_HEADER 65536

static void *bad(struct job *job, const struct file *f, enum result result, const char *what)
{
    blame(job, result, in_file(job, f->name), result == UNSUPPORTED ? "unsupported" : "npy",
          "write it with numpy.save: float32, C order, [rows, columns]", "%s", what);
    return NULL;
}

/* The text behind 'key': in the dict; NULL if there is none. */
static const char *value_of(const char *dict, const char *key)
{
    const char *p = strstr(dict, key);
    if (!p)
        return NULL;
    for (p += strlen(key); *p == ' ' || *p == ':'; p++)
        ;
    return p;
}

/* (4,) or (4, 2). */
static bool parse_shape(const char *p, uint64_t *rows, uint64_t *columns, int *rank)
{
    uint64_t dim[2] = {1, 1};
    *rank = 0;
    if (!p || *p++ != '(')
        return false;
    while (*p != ')') {
        char *end;
        while (*p == ' ')
            p++;
        if (!isdigit((unsigned char)*p) || *rank == 2)
            return false;
        dim[(*rank)++] = strtoull(p, &end, 10);
        for (p = end; *p == ' ' || *p == ',' || *p == 'L'; p++)
            ;
    }
    *rows = dim[0];
    *columns = dim[1];
    return *rank > 0 && dim[0] < UINT64_C(1) << 40 && dim[1] < UINT64_C(1) << 24;
}

static const struct { const char *descr; int bytes; enum npy_type type; } types[] = {
    {"'<f4'", 4, NPY_F4}, {"'<f8'", 8, NPY_F8}, {"'<i8'", 8, NPY_I8}, {"'<i4'", 4, NPY_I4},
};

static bool parse_header(struct job *job, struct npy *n, const char *dict)
{
    const char *descr = value_of(dict, "'descr'"), *order = value_of(dict, "'fortran_order'");
    for (size_t i = 0; descr && i < COUNT(types); i++)
        if (strncmp(descr, types[i].descr, strlen(types[i].descr)) == 0) {
            n->type = types[i].type;
            n->item_bytes = types[i].bytes;
        }
    if (!descr || !n->item_bytes)
        return bad(job, n->file, UNSUPPORTED, "its numbers are not float32, float64, int32 or int64, little-endian");
    if (!order || strncmp(order, "False", 5) != 0)
        return bad(job, n->file, UNSUPPORTED, "it is in Fortran order");
    if (!parse_shape(value_of(dict, "'shape'"), &n->rows, &n->columns, &n->rank))
        return bad(job, n->file, UNSUPPORTED, "its shape is not [rows] or [rows, columns]");
    return true;
}

/* Standard input may be a pipe, which cannot be read at an offset: it is copied into memory. */
static struct file *open_standard_input(struct job *job)
{
    static char buffer[65536];
    int copy = memfd_create("standard input", MFD_CLOEXEC);
    ssize_t n = copy < 0 ? -1 : 1;
    while (n > 0 && (n = read(STDIN_FILENO, buffer, sizeof buffer)) > 0)
        if (write(copy, buffer, (size_t)n) != n)
            n = -1;
    struct file *f = n < 0 ? NULL : open_file(job, arena_print(&job->arena, "/proc/self/fd/%d", copy));
    if (n < 0)
        blame(job, SYSTEM_FAILED, (struct pos){0}, "file", NULL, "standard input cannot be copied into memory");
    if (copy >= 0)
        close(copy);
    if (f)
        f->name = "standard input";
    return f;
}

struct npy *open_npy(struct job *job, const char *path)
{
    struct file *f = strcmp(path, "-") == 0 ? open_standard_input(job) : open_file(job, path);
    unsigned char head[12];
    if (!f)
        return NULL;
    if (f->bytes < sizeof head)
        return bad(job, f, BAD_INPUT, "it is too short for an .npy file");
    if (!read_at(job, f, 0, head, sizeof head))
        return NULL;
    if (memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3)
        return bad(job, f, BAD_INPUT, "it is not an .npy file");
    uint64_t at = head[6] == 1 ? 10 : 12, length = head[8] | (uint64_t)head[9] << 8;
    if (head[6] > 1)
        length |= (uint64_t)head[10] << 16 | (uint64_t)head[11] << 24;
    if (length > LARGEST_HEADER || at + length > f->bytes)
        return bad(job, f, BAD_INPUT, "its header is cut off");
    char *dict = arena_alloc(&job->arena, length + 1);
    struct npy *n = NEW(job, struct npy);
    n->file = f;
    n->offset = at + length;
    if (!read_at(job, f, at, dict, length) || !parse_header(job, n, dict))
        return NULL;
    if (f->bytes - n->offset < n->rows * n->columns * (uint64_t)n->item_bytes ||
        n->rows * n->columns > UINT64_MAX / 8)
        return bad(job, f, BAD_INPUT, "it is shorter than its shape says");
    return n;
}

bool read_npy_rows(struct job *job, const struct npy *n, uint64_t first, size_t rows, double *to, void *room)
{
    size_t count = rows * (size_t)n->columns, bytes = (size_t)n->item_bytes;
    if (!read_at(job, n->file, n->offset + first * n->columns * bytes, room, count * bytes))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *p = (const char *)room + i * bytes;
        union { float f4; double f8; int64_t i8; int32_t i4; } x;
        memcpy(&x, p, bytes);
        to[i] = n->type == NPY_F4 ? (double)x.f4 : n->type == NPY_F8 ? x.f8 : n->type == NPY_I8 ? (double)x.i8 : x.i4;
    }
    return true;
}

void print_npy_header(struct text *to, uint64_t rows, uint64_t columns)
{
    char dict[128];
    int n = snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRIu64 ", %" PRIu64 "), }",
                     rows, columns);
    size_t padded = ((size_t)n + 1 + 10 + 63) / 64 * 64 - 10;
    const unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)padded, (unsigned char)(padded >> 8)};
    text_add(to, (const char *)head, sizeof head);
    text_print(to, "%s%*s\n", dict, (int)(padded - (size_t)n - 1), "");
}
