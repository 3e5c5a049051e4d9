// SPDX-License-Identifier: Apache-2.0
/* npy.c: NumPy's .npy files, arrays of one or two dimensions.
 *
 *     \x93NUMPY | major minor | length of the header, 2 bytes (4 from version 2) | header | data
 *
 * The header is a Python dict such as {'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }, its keys in any
 * order. Nothing in it is trusted: it is parsed word by word, and the file must be as long as the shape says.
 * Source: NumPy's numpy/lib/format.py.
 */
#include "mmoec.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGEST_HEADER 65536
#define MOST_ROWS (UINT64_C(1) << 40)
#define MOST_COLUMNS (UINT64_C(1) << 20)

static const struct {
    const char *descr;
    int bytes;
    enum npy_type type;
} types[] = {
    {"<f4", 4, NPY_F4}, {"<f8", 8, NPY_F8}, {"<i8", 8, NPY_I8}, {"<i4", 4, NPY_I4},
};

static void *bad(struct job *job, const struct file *f, enum result result, const char *what)
{
    blame(job, result, in_file(job, f->name), result == UNSUPPORTED ? "unsupported" : "npy",
          "write it with numpy.save: float32, C order, [rows, columns]", "%s", what);
    return NULL;
}

/* ---- the dict -------------------------------------------------------------------------------- */

/* What a header says, and where its words begin and end. */
struct header {
    const char *p, *end;            /* what is not read yet */
    const char *descr;              /* NULL if it is no plain type */
    size_t descr_length;
    bool fortran;
    uint64_t dim[2];
    int rank;
    int seen;                       /* bits of keys */
};

static void skip_blanks(struct header *h)
{
    while (h->p < h->end && (*h->p == ' ' || *h->p == '\n' || *h->p == '\t'))
        h->p++;
}

/* Takes `word` if it stands next. */
static bool take(struct header *h, const char *word)
{
    size_t n = strlen(word);
    skip_blanks(h);
    if ((size_t)(h->end - h->p) < n || memcmp(h->p, word, n) != 0)
        return false;
    h->p += n;
    return true;
}

/* 'text' or "text", without escapes. */
static bool take_string(struct header *h, const char **text, size_t *length)
{
    if (!take(h, "'") && !take(h, "\""))
        return false;
    const char *stop = memchr(h->p, h->p[-1], (size_t)(h->end - h->p));
    if (!stop)
        return false;
    *text = h->p;
    *length = (size_t)(stop - h->p);
    h->p = stop + 1;
    return true;
}

static bool take_number(struct header *h, uint64_t *n)
{
    skip_blanks(h);
    const char *first = h->p;
    for (*n = 0; h->p < h->end && *h->p >= '0' && *h->p <= '9'; h->p++) {
        if (*n > UINT64_MAX / 10 - 1)
            return false;
        *n = *n * 10 + (uint64_t)(*h->p - '0');
    }
    if (h->p == first)
        return false;
    take(h, "L");                   /* Python 2 */
    return true;
}

/* (), (4,), (4, 2); more than two dimensions are counted, not kept. */
static bool take_shape(struct header *h)
{
    if (!take(h, "("))
        return false;
    for (h->rank = 0; !take(h, ")"); h->rank++) {
        uint64_t n;
        if (!take_number(h, &n) || h->rank == 64)
            return false;
        if (h->rank < 2)
            h->dim[h->rank] = n;
        if (!take(h, ",")) {
            h->rank++;
            return take(h, ")");
        }
    }
    return true;
}

/* A value that is no plain type, [('x', '<f4')], ends the reading: nothing behind it matters. */
static bool take_pair(struct header *h)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    const char *key;
    size_t length, k = 0;
    if (!take_string(h, &key, &length) || !take(h, ":"))
        return false;
    while (k < COUNT(keys) && (strlen(keys[k]) != length || memcmp(keys[k], key, length) != 0))
        k++;
    if (k == COUNT(keys) || h->seen & 1 << k)
        return false;
    h->seen |= 1 << k;
    if (k == 2)
        return take_shape(h);
    if (k == 1)
        return (h->fortran = take(h, "True")) || take(h, "False");
    return take_string(h, &h->descr, &h->descr_length) || take(h, "[");
}

static bool parse_dict(struct header *h)
{
    if (!take(h, "{"))
        return false;
    while (!take(h, "}")) {
        if (!take_pair(h))
            return false;
        if (h->seen & 1 && !h->descr)
            return true;
        if (!take(h, ","))
            return take(h, "}") && h->seen == 7;
    }
    return h->seen == 7;
}

/* ---- the file -------------------------------------------------------------------------------- */

static bool understand(struct job *job, struct npy *n, const struct header *h)
{
    for (size_t i = 0; h->descr && i < COUNT(types); i++)
        if (h->descr_length == strlen(types[i].descr) && memcmp(h->descr, types[i].descr, h->descr_length) == 0) {
            n->type = types[i].type;
            n->item_bytes = types[i].bytes;
        }
    if (!n->item_bytes) {
        const char *type = h->descr ? escaped(&job->arena, h->descr, h->descr_length) : "a structure";
        return bad(job, n->file, UNSUPPORTED,
                   arena_print(&job->arena, "its type is %s: needs float32 (<f4), float64, int32 or int64", type));
    }
    if (h->fortran)
        return bad(job, n->file, UNSUPPORTED, "it is in Fortran order: numpy.ascontiguousarray makes C order");
    if (h->rank < 1 || h->rank > 2)
        return bad(job, n->file, UNSUPPORTED,
                   arena_print(&job->arena, "it has %d dimensions: needs [rows, columns]", h->rank));
    n->rank = h->rank;
    n->rows = h->dim[0];
    n->columns = h->rank == 2 ? h->dim[1] : 1;
    return true;
}

/* The bounds keep the product within 64 bits. */
static bool check_length(struct job *job, const struct npy *n)
{
    if (n->rows <= MOST_ROWS && n->columns <= MOST_COLUMNS &&
        n->rows * n->columns <= (n->file->bytes - n->offset) / (uint64_t)n->item_bytes)
        return true;
    return bad(job, n->file, BAD_INPUT,
               arena_print(&job->arena, "its shape is [%" PRIu64 ",%" PRIu64 "], but it has %" PRIu64 " bytes of data",
                           n->rows, n->columns, n->file->bytes - n->offset));
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
    if (length > LARGEST_HEADER || length > f->bytes - at)
        return bad(job, f, BAD_INPUT, "its header is cut off");
    char *dict = arena_alloc(&job->arena, (size_t)length + 1);
    if (!read_at(job, f, at, dict, (size_t)length))
        return NULL;
    struct npy *n = NEW(job, struct npy);
    *n = (struct npy){.file = f, .offset = at + length};
    struct header h = {.p = dict, .end = dict + length};
    if (!parse_dict(&h))
        return bad(job, f, BAD_INPUT, "its header is not that of an .npy file");
    return understand(job, n, &h) && check_length(job, n) ? n : NULL;
}

bool read_npy_rows(struct job *job, const struct npy *n, uint64_t first, size_t rows, double *to, void *room)
{
    size_t count = rows * (size_t)n->columns, bytes = (size_t)n->item_bytes;
    if (!read_at(job, n->file, n->offset + first * n->columns * bytes, room, count * bytes))
        return false;
    for (size_t i = 0; i < count; i++) {
        union { float f4; double f8; int64_t i8; int32_t i4; } x;
        memcpy(&x, (const char *)room + i * bytes, bytes);
        to[i] = n->type == NPY_F4 ? (double)x.f4 : n->type == NPY_F8 ? x.f8 : n->type == NPY_I8 ? (double)x.i8 : x.i4;
    }
    return true;
}

void print_npy_header(struct text *to, uint64_t rows, uint64_t columns)
{
    char dict[128];
    int n = snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %llu), }",
                     (unsigned long long)rows, (unsigned long long)columns);
    size_t padded = ((size_t)n + 1 + 10 + 63) / 64 * 64 - 10;       /* data at a multiple of 64 */
    const unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)padded,
                                    (unsigned char)(padded >> 8)};
    text_add(to, (const char *)head, sizeof head);
    text_print(to, "%s%*s\n", dict, (int)(padded - (size_t)n - 1), "");
}
