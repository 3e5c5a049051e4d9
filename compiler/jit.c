// SPDX-License-Identifier: Apache-2.0
/* jit.c: the plan as machine code, made in memory by libtcc.
 *
 * libtcc knows neither vectors nor FMA, so no arithmetic is left to it: the text it gets is control code, a straight
 * list of calls of the library's kernels with numbers as literals; weights come by pointer. The text depends on the
 * structure of the model alone, so models of equal structure share one piece of code: a retrained one makes none.
 *
 * libtcc was written for a program, not for a guest in a service; four things are done about that:
 *  - it is linked with its calls of malloc, mprotect, exit and their like renamed to the tcc_hook_ functions below
 *    (CMakeLists.txt), so it can neither run out of memory, nor make memory executable, nor end the process;
 *  - all its memory is one mapping, reserved before it begins and given back at once;
 *  - -nostdlib -nostdinc: it opens no file and sees no symbol but those that are added here;
 *  - its parser keeps global state: one lock stands around a compilation.
 *
 * Code lies in a mapping of its own, which is readable and writable while it is filled, then readable and executable;
 * it is never writable and executable at once.
 *
 * How to read it: the text; then libtcc's hooks; a compilation; the list of codes.
 */
#include "mmoec.h"
#include "../runtime/kernels.h"

#include <string.h>

/* ---- the text -------------------------------------------------------------------------------------------------- */

/* ORDER with runtime/kernels.h: what the forms of kernels take, over rows and with rows in lanes. */
#define ROWS_DENSE \
    "const float *, size_t, size_t, const float *, float *, size_t, size_t, size_t, size_t, size_t, size_t, size_t, int"
#define ROWS_ONTO \
    "const float *, size_t, size_t, const float *, const float *, size_t, float *, size_t, size_t, size_t, size_t, " \
    "size_t, size_t, size_t, int"
#define ROWS_UNARY "const float *, size_t, size_t, float *, size_t, size_t"
#define ROWS_ACT ROWS_UNARY
#define ROWS_DICE "const float *, size_t, size_t, const float *, float *, size_t, size_t"
#define ROWS_MIX \
    "const float *, size_t, const float *, const size_t (*)[2], size_t, float *, size_t, size_t, size_t"
#define ROWS_ZILN "const float *, size_t, size_t, float *, size_t"
#define ROWS_STORE ROWS_UNARY
#define ROWS_LOAD "void"
#define ROWS_SPREAD "void"
#define ROWS_NARROW "void"           /* of small cores, whose plans are not made here */
#define LANES_DENSE "const float *, size_t, const float *, float *, size_t, size_t, size_t"
#define LANES_ONTO "const float *, size_t, const float *, const float *, float *, size_t, size_t, size_t"
#define LANES_UNARY "const float *, size_t, float *, size_t"
#define LANES_ACT LANES_UNARY
#define LANES_DICE "const float *, size_t, const float *, float *, size_t"
#define LANES_MIX "const float *, const float *, const size_t *, size_t, float *, size_t, size_t"
#define LANES_ZILN "const float *, size_t, float *"
#define LANES_STORE "const float *, size_t, float *, size_t, size_t"
#define LANES_NARROW "void"
#define LANES_SPREAD LANES_UNARY
#define LANES_LOAD "const float *, size_t, size_t, float *, size_t"

static const char declarations[] =
    "typedef __SIZE_TYPE__ size_t;\n"
#define KERNEL(name, file, form) "void " #name "(" ROWS_##form "), lanes_" #name "(" LANES_##form ");\n"
#include "../templates/kernels.def"
#undef KERNEL
#define ACT(name, ...) "void act_" #name "(" ROWS_UNARY "), lanes_act_" #name "(" LANES_UNARY ");\n"
#include "acts.def"
#undef ACT
    "int check_scores(void (*)(const void *, const float *, size_t, size_t, float *, void *), const void *,\n"
    "                 const unsigned *, void *, size_t, size_t, size_t, size_t);\n"
    "int check_users(void (*)(const void *, const float *, size_t, const float *, size_t, const size_t *, size_t,\n"
    "                         float *, void *),\n"
    "                const void *, const unsigned *, void *, size_t, size_t, size_t, size_t);\n";

static const char *at(struct job *job, const struct place *p)
{
    static const char names[] = {'x', 's', 'y'};        /* ORDER with enum region */
    return arena_print(&job->arena, "%c + %zuul", names[p->region], p->at);
}

static const char *stride(struct job *job, const struct place *p)
{
    return p->region == IN_X ? "xs" : arena_print(&job->arena, "%zuul", p->stride);
}

static void add_expert_lists(const struct form *f, bool lanes, struct text *to)
{
    int next = f->first_list;
    for (int i = 0; i < f->n_steps; i++) {
        const struct step *st = &f->steps[i];
        if (st->kernel != KERNEL_mix || st->list != next)
            continue;
        text_print(to, "static const size_t %sexperts_%d[%d]%s = {", lanes ? "lanes_" : "", next++, st->experts,
                   lanes ? "" : "[2]");
        for (int e = 0; e < st->experts; e++)
            text_print(to, lanes ? "%zuul, " : "{%zuul, %zuul}, ", st->expert[e].at, st->expert[e].stride);
        text_print(to, "};\n");
    }
}

static const char *row_arguments(struct job *job, const struct plan *p, const struct step *st)
{
    struct arena *a = &job->arena;
    const char *x = at(job, &st->x), *xs = stride(job, &st->x), *y = at(job, &st->y), *ys = stride(job, &st->y);
    switch (st->kernel) {
    case KERNEL_dense:
        return arena_print(a, "%s, %s, rows, w + %zuul, %s, %s, %d, %d, %d, %d, %d, %d, %d", x, xs, st->w, y, ys,
                           st->in, st->all, st->out, st->room, st->panel, st->relu, p->ahead);
    case KERNEL_onto:
        return arena_print(a, "%s, %s, rows, w + %zuul, %s, %s, %s, %s, %d, %d, %d, %d, %d, %d, %d", x, xs, st->w,
                           at(job, &st->from), stride(job, &st->from), y, ys, st->in, st->all, st->out, st->room,
                           st->panel, st->relu, p->ahead);
    case KERNEL_dice: return arena_print(a, "%s, %s, rows, w + %zuul, %s, %s, %d", x, xs, st->w, y, ys, st->out);
    case KERNEL_ziln: return arena_print(a, "%s, %s, rows, %s, %s", x, xs, y, ys);
    case KERNEL_mix:
        return arena_print(a, "%s, %s, s, experts_%d, rows, %s, %s, %d, %d", at(job, &st->g), stride(job, &st->g),
                           st->list, y, ys, st->experts, st->out);
    default: return arena_print(a, "%s, %s, rows, %s, %s, %d", x, xs, y, ys, st->out);
    }
}

static const char *lanes_arguments(struct job *job, const struct step *st)
{
    struct arena *a = &job->arena;
    const char *x = at(job, &st->x), *y = at(job, &st->y);
    switch (st->kernel) {
    case KERNEL_load: return arena_print(a, "%s, xs, rows, %s, %d", x, y, st->out);
    case KERNEL_store: return arena_print(a, "%s, rows, %s, %s, %d", x, y, stride(job, &st->y), st->out);
    case KERNEL_onto:
        return arena_print(a, "%s, lanes, w + %zuul, %s, %s, %d, %d, %d", x, st->w, at(job, &st->from), y, st->in,
                           st->out, st->relu);
    case KERNEL_dense:
        return arena_print(a, "%s, lanes, w + %zuul, %s, %d, %d, %d", x, st->w, y, st->in, st->out, st->relu);
    case KERNEL_dice: return arena_print(a, "%s, lanes, w + %zuul, %s, %d", x, st->w, y, st->out);
    case KERNEL_ziln: return arena_print(a, "%s, lanes, %s", x, y);
    case KERNEL_mix:
        return arena_print(a, "%s, s, lanes_experts_%d, lanes, %s, %d, %d", at(job, &st->g), st->list, y, st->experts,
                           st->out);
    default: return arena_print(a, "%s, lanes, %s, %d", x, y, st->out);
    }
}

/* A form as a function over a block of rows. */
static void add_form(struct job *job, const struct plan *p, const struct form *f, const char *name, bool lanes,
                     size_t multiple, struct text *to)
{
    add_expert_lists(f, lanes, to);
    text_print(to, "static void %s(const float *w, const float *x, size_t xs, size_t rows, float *y, float *s)\n{\n",
               name);
    if (lanes)
        text_print(to, "    size_t lanes = (rows + %zuul) / %zuul * %zuul;\n", multiple - 1, multiple, multiple);
    for (int i = 0; i < f->n_steps; i++) {
        const struct step *st = &f->steps[i];
        text_print(to, "    %s%s%s%s(%s);\n", lanes ? "lanes_" : "", kernel_name(st->kernel),
                   st->kernel == KERNEL_act ? "_" : "", st->kernel == KERNEL_act ? act_name(st->act) : "",
                   lanes ? lanes_arguments(job, st) : row_arguments(job, p, st));
    }
    text_print(to, "}\n");
}

/* Rows in blocks as equal as can be. */
static void add_blocks(const char *block, int most, int outputs, struct text *to)
{
    text_print(to,
               "    size_t blocks = rows / %dul + (rows %% %dul > 0);\n"
               "    for (; blocks > 0; blocks--, rows -= n, x += n * xs, y += n * %dul) {\n"
               "        n = rows / blocks + (rows %% blocks > 0);\n"
               "        %s(w, x, xs, n, y, s);\n    }\n", most, most, outputs, block);
}

/* Users, then the items of each. */
static void add_users_function(const struct plan *p, bool in_lanes, struct text *to)
{
    text_print(to, "static void score_items(const void *w, const float *x, size_t xs, size_t rows, float *y, void *s)\n"
                   "{\n    size_t n;\n");
    if (in_lanes)
        text_print(to, "    for (; rows > 0; rows -= n, x += n * xs, y += n * %dul) {\n"
                       "        n = rows < %d ? rows : %d;\n        items(w, x, xs, n, y, s);\n    }\n",
                   p->outputs, LANES, LANES);
    else
        add_blocks("items", p->items.block, p->outputs, to);
    text_print(to, "}\nvoid score_users(const void *w, const float *users, size_t us, const float *x, size_t xs,\n"
                   "                 const size_t *offsets, size_t n, float *y, void *s)\n{\n"
                   "    for (; n > 0; n--, users += us, offsets++) {\n"
                   "        size_t first = offsets[0], rows = offsets[1] - first;\n"
                   "        if (rows == 0)\n            continue;\n"
                   "        user(w, users, us, 1, 0, s);\n"
                   "        score_items(w, x + first * xs, xs, rows, y + first * %dul, s);\n    }\n}\n", p->outputs);
}

/* The functions of the record: ORDER with struct mmoe_model. Blocks: ORDER with walk.c. */
static void add_functions(const struct plan *p, const char *isa, struct text *to)
{
    int from = lanes_from(p, isa), most = p->rows.block;
    text_print(to, "void score(const void *w, const float *x, size_t xs, size_t rows, float *y, void *s)\n{\n    size_t n;\n");
    if (from < INT_MAX)
        text_print(to,
                   "    for (; rows >= %d; rows -= n, x += n * xs, y += n * %dul) {\n"
                   "        n = rows < %d ? rows : %d;\n"
                   "        lanes_block(w, x, xs, n, y, s);\n    }\n", from, p->outputs, LANES, LANES);
    add_blocks("block", most, p->outputs, to);
    text_print(to, "}\n");
    if (p->user_inputs)
        add_users_function(p, from < INT_MAX, to);
    text_print(to,
               "int self_test(const void *w, const unsigned *expected, void *s)\n{\n"
               "    int wrong = check_scores(score, w, expected, s, %d, %d, %zuul, %zuul);\n",
               p->inputs, p->outputs, p->weight_floats, p->scratch_floats);
    if (p->user_inputs)
        text_print(to, "    if (!wrong)\n        wrong = check_users(score_users, w, expected, s, %d, %d, %d, %zu);\n",
                   p->inputs, p->user_inputs, p->outputs, p->scratch_floats);
    text_print(to, "    return wrong;\n}\nconst char *chosen_isa(void) { return \"%s\"; }\n", isa);
}

void print_control_code(struct job *job, const struct plan *p, const struct mmoe_kernels *k, struct text *to)
{
    text_add(to, declarations, sizeof declarations - 1);
    bool lanes = lanes_from(p, k->isa) < INT_MAX;
    add_form(job, p, &p->rows, "block", false, 0, to);
    if (lanes)
        add_form(job, p, &p->lanes, "lanes_block", true, k->lanes.multiple, to);
    if (p->user_inputs) {
        add_form(job, p, &p->user, "user", false, 0, to);
        add_form(job, p, lanes ? &p->items_lanes : &p->items, "items", lanes, k->lanes.multiple, to);
    }
    add_functions(p, k->isa, to);
}

#ifndef HAVE_LIBTCC

const char *jit_trouble(void) { return "this build of mmoec has no libtcc"; }

const struct code *make_code(struct job *job, const struct plan *p, const struct mmoe_kernels *kernels, bool *made,
                             const char **trouble)
{
    (void)job, (void)p, (void)kernels, (void)made;
    *trouble = jit_trouble();
    return NULL;
}

void drop_code(const struct code *c) { (void)c; }

bool in_code(const struct code *c, const void *address)
{
    (void)c, (void)address;
    return false;
}

bool write_perf_map(struct job *job, const struct code *c, const char *name)
{
    (void)job, (void)c, (void)name;
    return true;
}

#else

#include <fcntl.h>
#include <libtcc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Code and how many models use it. The head, the text and its end lie in writable pages, the code in others. */
struct shared_code {
    struct code code;
    const char *text;
    const struct mmoe_kernels *kernels;     /* equal text and kernels: equal code */
    char *start;                    /* the mapping: these pages, then the code's */
    size_t bytes, code_at;
    long users;
    TCCState *state;                /* where libtcc owns the code, it must stay; else NULL */
    char *state_memory;
    size_t state_bytes;
    struct shared_code *next;
};

/* All that compilations share; whoever holds the lock may touch it. */
static struct {
    pthread_mutex_t lock;
    struct shared_code *codes;
    char *memory, *next, *end;      /* of the compilation that runs */
    char *executable, *executable_end;      /* what libtcc wants to be executable */
    char *mapping;                  /* for code, until it is a struct shared_code's */
    size_t mapping_bytes;
    jmp_buf gave_up;                /* where its exit leads */
    bool broken;                    /* it was left while it held its own lock: it cannot be used again */
    char said[200];                 /* its first message */
} tcc = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- what libtcc calls instead of libc --------------------------------------------------------------------------- */

/* Not measured to the byte: compilations of 1000 and of 10,000 calls took 0.7 and 4 MB at their peak, with what is
   freed used again. Untouched pages cost nothing. */
#define RESERVE_BYTES ((size_t)32 << 20)
#define RESERVE_PER_CHARACTER 128

/* A piece of memory has its size before it. The last piece can grow, and be given back. */
#define PIECE_HEAD 16

void *tcc_hook_malloc(size_t bytes);
void *tcc_hook_calloc(size_t n, size_t bytes);
void *tcc_hook_realloc(void *old, size_t bytes);
void tcc_hook_free(void *p);
int tcc_hook_mprotect(void *start, size_t bytes, int protection);
_Noreturn void tcc_hook_exit(int status);
/* It prints only if it is given nobody to tell, and reads its environment only when it runs programs. */
FILE *tcc_hook_stdout, *tcc_hook_stderr;
char **tcc_hook_environ;

static size_t piece_bytes(const void *p)
{
    size_t bytes;
    memcpy(&bytes, (const char *)p - PIECE_HEAD, sizeof bytes);
    return bytes;
}

void *tcc_hook_malloc(size_t bytes)
{
    bytes = (bytes + 15) / 16 * 16;
    if (bytes > (size_t)(tcc.end - tcc.next) || (size_t)(tcc.end - tcc.next) - bytes < PIECE_HEAD) {
        tcc.broken = true;
        snprintf(tcc.said, sizeof tcc.said, "it needed more memory than was reserved");
        longjmp(tcc.gave_up, 1);
    }
    char *p = tcc.next + PIECE_HEAD;
    memcpy(tcc.next, &bytes, sizeof bytes);
    tcc.next = p + bytes;
    return p;
}

void *tcc_hook_calloc(size_t n, size_t bytes) { return memset(tcc_hook_malloc(n * bytes), 0, n * bytes); }

void tcc_hook_free(void *p)
{
    if (p && (char *)p + piece_bytes(p) == tcc.next)
        tcc.next = (char *)p - PIECE_HEAD;
}

void *tcc_hook_realloc(void *old, size_t bytes)
{
    size_t had = old ? piece_bytes(old) : 0;
    if (old && bytes <= had)
        return old;
    if (old && (char *)old + had == tcc.next)
        tcc.next = (char *)old - PIECE_HEAD;        /* the piece grows where it is */
    void *p = tcc_hook_malloc(bytes);
    if (old && p != old)
        memcpy(p, old, had);
    return p;
}

/* Remembers what is to be executable; it becomes so when all is written. */
int tcc_hook_mprotect(void *start, size_t bytes, int protection)
{
    char *p = start;
    if (protection & PROT_EXEC) {
        tcc.executable = tcc.executable && tcc.executable < p ? tcc.executable : p;
        tcc.executable_end = tcc.executable_end > p + bytes ? tcc.executable_end : p + bytes;
    }
    return 0;
}

/* It exits outside of its parser only, where it holds no lock. */
void tcc_hook_exit(int status)
{
    (void)status;
    longjmp(tcc.gave_up, 1);
}

/* ---- a compilation: under the lock ----------------------------------------------------------------------------------- */

static void remember(void *nobody, const char *message)
{
    (void)nobody;
    if (!*tcc.said)
        snprintf(tcc.said, sizeof tcc.said, "%s", message);
}

static char *map(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Memory for code; given back by forget_mapping() unless the code is finished. */
static char *map_code(size_t bytes)
{
    tcc.mapping_bytes = bytes;
    return tcc.mapping = map(bytes);
}

static void forget_mapping(void)
{
    if (tcc.mapping)
        munmap(tcc.mapping, tcc.mapping_bytes);
    tcc.mapping = NULL;
}

static size_t whole_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

/* `where`: a function's address; ISO C has no cast from it to an object's. */
static void add_symbol(TCCState *s, const char *name, const void *where)
{
    const void *address;
    memcpy(&address, where, sizeof address);
    tcc_add_symbol(s, name, address);
}

static void add_symbols(TCCState *s, const struct mmoe_kernels *k)
{
    const struct mmoe_lanes *l = &k->lanes;
#define ACT(name, ...)                                    \
    add_symbol(s, "act_" #name, &k->act[ACT_##name]);     \
    add_symbol(s, "lanes_act_" #name, &l->act[ACT_##name]);
#include "acts.def"
#undef ACT
#define ADD(name) add_symbol(s, #name, &k->name), add_symbol(s, "lanes_" #name, &l->name)
    ADD(dense), ADD(onto), ADD(dice), ADD(softmax), ADD(mix), ADD(copy), ADD(store), ADD(max), ADD(argmax), ADD(ziln);
#undef ADD
    add_symbol(s, "lanes_load", &l->load);
    add_symbol(s, "lanes_spread", &l->spread);
    int (*check)(score_function *, const void *, const uint32_t *, void *, size_t, size_t, size_t, size_t) =
        check_scores;
    add_symbol(s, "check_scores", &check);
    int (*users)(users_function *, const void *, const uint32_t *, void *, size_t, size_t, size_t, size_t) =
        check_users;
    add_symbol(s, "check_users", &users);
}

static bool translate(TCCState *s, const char *text, const struct mmoe_kernels *k)
{
    tcc_set_error_func(s, NULL, remember);
    tcc_set_options(s, "-nostdlib -nostdinc");
    if (tcc_set_output_type(s, TCC_OUTPUT_MEMORY) < 0 || tcc_compile_string(s, text) < 0)
        return false;
    add_symbols(s, k);
    return true;
}

static bool find_functions(TCCState *s, struct code *c)
{
    void *score = tcc_get_symbol(s, "score"), *test = tcc_get_symbol(s, "self_test"),
         *isa = tcc_get_symbol(s, "chosen_isa"), *users = tcc_get_symbol(s, "score_users");
    memcpy(&c->score, &score, sizeof score);            /* POSIX: a function's address fits */
    memcpy(&c->score_users, &users, sizeof users);      /* NULL without user columns */
    memcpy(&c->self_test, &test, sizeof test);
    memcpy(&c->chosen_isa, &isa, sizeof isa);
    return score && test && isa;
}

/* Copies head and text before the code, whose pages may no longer be written. */
static struct shared_code *finish(char *start, size_t bytes, size_t code_at, const char *text,
                                  const struct mmoe_kernels *k)
{
    char *copy = start + sizeof(struct shared_code);
    memcpy(copy, text, strlen(text) + 1);
    struct shared_code *c = (struct shared_code *)(void *)start;
    *c = (struct shared_code){.text = copy, .kernels = k, .start = start, .bytes = bytes, .code_at = code_at};
    return c;
}

static bool make_executable(char *from, const char *to)
{
    if (mprotect(from, (size_t)(to - from), PROT_READ | PROT_EXEC) == 0)
        return true;
    snprintf(tcc.said, sizeof tcc.said, "the system lets no memory become executable");
    return false;
}

#ifdef TCC_RELOCATE_TAKES_MEMORY

/* Until 2024 (0.9.27): the code goes where we say, and libtcc is done with. */
static struct shared_code *link_code(TCCState *s, const char *text, const struct mmoe_kernels *k)
{
    int code_bytes = tcc_relocate(s, NULL);
    if (code_bytes < 0)
        return NULL;
    size_t head = whole_pages(sizeof(struct shared_code) + strlen(text) + 1);
    size_t bytes = head + whole_pages((size_t)code_bytes);
    char *start = map_code(bytes);
    if (!start)
        return NULL;
    struct shared_code *c = finish(start, bytes, head, text, k);
    bool good = tcc_relocate(s, start + head) >= 0 && find_functions(s, &c->code) &&
                make_executable(start + head, start + bytes);
    return good ? c : NULL;
}

#else

/* Since 2024 (0.9.28): libtcc keeps the code in memory that it allocates, and must stay as long as the code does. */
static struct shared_code *link_code(TCCState *s, const char *text, const struct mmoe_kernels *k)
{
    if (tcc_relocate(s) < 0 || !tcc.executable || !make_executable(tcc.executable, tcc.executable_end))
        return NULL;
    size_t bytes = whole_pages(sizeof(struct shared_code) + strlen(text) + 1);
    char *start = map_code(bytes);
    if (!start)
        return NULL;
    struct shared_code *c = finish(start, bytes, 0, text, k);
    c->state = s;
    c->state_memory = tcc.memory;
    c->state_bytes = (size_t)(tcc.end - tcc.memory);
    return find_functions(s, &c->code) ? c : NULL;
}

#endif

static void forget_compilation(void)
{
    if (tcc.memory)
        munmap(tcc.memory, (size_t)(tcc.end - tcc.memory));
    tcc.memory = tcc.next = tcc.end = NULL;
}

static struct shared_code *compile_text(const char *text, const struct mmoe_kernels *k)
{
    size_t bytes = whole_pages(RESERVE_BYTES + RESERVE_PER_CHARACTER * strlen(text));
    tcc.said[0] = 0;
    tcc.executable = tcc.executable_end = NULL;
    tcc.memory = tcc.next = map(bytes);
    if (!tcc.memory)
        return NULL;
    tcc.end = tcc.memory + bytes;
    struct shared_code *volatile c = NULL;
    if (!setjmp(tcc.gave_up)) {
        TCCState *s = tcc_new();
        c = translate(s, text, k) ? link_code(s, text, k) : NULL;
        if (!c || !c->state)
            tcc_delete(s);
    }
    if (!c || !c->state)
        forget_compilation();
    if (!c)
        forget_mapping();
    tcc.mapping = NULL;
    return c;
}

/* ---- codes ------------------------------------------------------------------------------------------------------------ */

static struct shared_code *find_code(const char *text, const struct mmoe_kernels *k)
{
    struct shared_code *c = tcc.codes;
    while (c && (c->kernels != k || strcmp(c->text, text) != 0))
        c = c->next;
    return c;
}

static const struct code *share_code(const char *text, const struct mmoe_kernels *k, bool *made,
                                     char said[sizeof tcc.said])
{
    pthread_mutex_lock(&tcc.lock);
    struct shared_code *c = find_code(text, k);
    *made = !c;
    if (!c && !tcc.broken && (c = compile_text(text, k))) {
        c->next = tcc.codes;
        tcc.codes = c;
    }
    if (c)
        c->users++;
    else
        memcpy(said, tcc.said, sizeof tcc.said);
    pthread_mutex_unlock(&tcc.lock);
    return c ? &c->code : NULL;
}

const struct code *make_code(struct job *job, const struct plan *p, const struct mmoe_kernels *kernels, bool *made,
                             const char **trouble)
{
    struct text t = {.arena = &job->arena};
    char said[sizeof tcc.said] = "";
    print_control_code(job, p, kernels, &t);
    const struct code *c = share_code(t.data, kernels, made, said);
    if (!c)
        *trouble = arena_print(&job->arena, "libtcc: %s", *said ? said : "out of memory");
    return c;
}

static struct shared_code *shared(const struct code *c) { return (struct shared_code *)(uintptr_t)c; }

static void unlink_code(struct shared_code *c)
{
    struct shared_code **at = &tcc.codes;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}

static void unmap_code(struct shared_code *c)
{
    if (c->state) {
        char *memory = c->state_memory;
        size_t bytes = c->state_bytes;
        tcc_delete(c->state);
        munmap(memory, bytes);
    }
    munmap(c->start, c->bytes);
}

void drop_code(const struct code *code)
{
    struct shared_code *c = shared(code);
    if (!c)
        return;
    pthread_mutex_lock(&tcc.lock);
    if (--c->users == 0) {
        unlink_code(c);
        unmap_code(c);
    }
    pthread_mutex_unlock(&tcc.lock);
}

static void code_range(const struct shared_code *c, const char **from, const char **to)
{
    *from = c->state ? c->state_memory : c->start + c->code_at;
    *to = c->state ? c->state_memory + c->state_bytes : c->start + c->bytes;
}

bool in_code(const struct code *code, const void *address)
{
    const char *from, *to;
    code_range(shared(code), &from, &to);
    return (const char *)address >= from && (const char *)address < to;
}

/* A page that was written becomes executable, or may not: SELinux, PR_SET_MDWE, seccomp. */
const char *jit_trouble(void)
{
    size_t page = whole_pages(1);
    char *p = map(page);
    if (!p)
        return "out of memory";
    bool good = mprotect(p, page, PROT_READ | PROT_EXEC) == 0;
    munmap(p, page);
    return good ? NULL : "the system lets no memory become executable";
}

/* perf's format: start, length, name; in the file that it looks for. */
bool write_perf_map(struct job *job, const struct code *code, const char *name)
{
    const char *from, *to;
    code_range(shared(code), &from, &to);
    const char *path = arena_print(&job->arena, "/tmp/perf-%ld.map", (long)getpid());
    const char *line = arena_print(&job->arena, "%lx %lx mmoec_jit_%s\n", (unsigned long)(uintptr_t)from,
                                   (unsigned long)(to - from), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line);
    if (fd >= 0)
        close(fd);
    if (!good)
        warning(job, in_file(job, path), "file", NULL, "perf's map cannot be written");
    return good;
}

#endif
