// SPDX-License-Identifier: Apache-2.0
/* live.c: a model that serves in this process, behind the record that libmmoe knows.
 *
 * The plan, the names and the record live in an arena of the model's own; the weights in a mapping. A record's
 * functions are told nothing but where the weights are: code made by libtcc has the rest inside, walk finds it in the
 * 64 bytes before the weights. So walk's record takes its own weights only; that of made code takes those of any weights
 * file of its structure.
 */
#include "mmoec.h"
#include "../runtime/kernels.h"
#include "../runtime/mmoe.h"
#include "../runtime/sha256.h"

#include <string.h>
#include <sys/mman.h>

struct live {
    struct job own;                 /* its arena holds all of this */
    const struct plan *plan;
    const struct mmoe_kernels *kernels;
    const struct code *code;        /* NULL: walk */
    struct row_program *rows;       /* NULL: it takes the experts' input alone */
    struct mmoe_model record;
    unsigned char structure[32];    /* of the plan */
    struct cache_image *image;      /* in the mapping; before the weights in it, struct walked */
    char *mapping;
    size_t mapping_bytes;
    uint64_t number;                /* of the checkpoint */
    bool made;                      /* the code is new */
    bool cached;                    /* weights came from a cache's file */
    struct live *next;
};

/* What walk needs, in the gap before the weights. */
struct walked {
    const struct plan *plan;
    const struct mmoe_kernels *kernels;
};
#define HUGE_BYTES ((size_t)2 << 20)    /* a large page of x86-64 and aarch64 */
/* From here large pages are worth it: fewer misses of the TLB. The system may take 15 ms to find the first ones. */
#define LARGE_BYTES ((size_t)16 << 20)

/* ---- walk's functions -------------------------------------------------------------------------------------------- */

static const struct walked *walked_of(const void *weights)
{
    return (const void *)((const char *)weights - CACHE_GAP);
}

static void walk_score(const void *weights, const float *x, size_t xs, size_t rows, float *y, void *scratch)
{
    const struct walked *k = walked_of(weights);
    walk_rows(k->plan, k->kernels, weights, x, xs, rows, y, scratch);
}

static void walk_score_users(const void *weights, const float *users, size_t us, const float *items, size_t is,
                             const size_t *offsets, size_t n_users, float *y, void *scratch)
{
    const struct walked *k = walked_of(weights);
    walk_users(k->plan, k->kernels, weights, users, us, items, is, offsets, n_users, y, scratch);
}

static int walk_self_test(const void *weights, const uint32_t *expected, void *scratch)
{
    const struct plan *p = walked_of(weights)->plan;
    int wrong = check_scores(walk_score, weights, expected, scratch, (size_t)p->inputs, (size_t)p->outputs,
                             p->weight_floats, p->scratch_floats);
    if (!wrong && p->user_inputs)
        wrong = check_users(walk_score_users, weights, expected, scratch, (size_t)p->inputs, (size_t)p->user_inputs,
                            (size_t)p->outputs, p->scratch_floats);
    return wrong;
}

/* A record of rows has as its tables this live model. */
static void live_score_rows(const void *weights, const void *tables, const struct mmoe_values *columns, size_t rows,
                            float *y, struct mmoe_row_status *status, void *scratch)
{
    const struct live *l = tables;
    (void)weights;
    score_rows_by(l->rows, &l->record, columns, rows, y, status, scratch);
}

static void live_score_requests(const void *weights, const void *tables, const struct mmoe_values *columns,
                                const size_t *offsets, size_t n_users, float *y, struct mmoe_row_status *status,
                                void *scratch)
{
    const struct live *l = tables;
    (void)weights;
    score_requests_by(l->rows, &l->record, columns, offsets, n_users, y, status, scratch);
}

static const char *isa_avx512(void) { return "avx512"; }
static const char *isa_avx2(void) { return "avx2"; }
static const char *isa_neon(void) { return "neon"; }
static const char *isa_plain(void) { return "plain"; }
static const char *isa_muladd(void) { return "muladd"; }

static const char *(*isa_function(const char *isa))(void)
{
    static const char *(*const functions[])(void) = {isa_avx512, isa_avx2, isa_neon, isa_plain, isa_muladd};
    for (size_t i = 0; i < COUNT(functions); i++)
        if (strcmp(functions[i](), isa) == 0)
            return functions[i];
    bug("an instruction set without a name");
}

/* ---- making ------------------------------------------------------------------------------------------------------- */

static struct live *new_live(struct job *job)
{
    struct arena own = {.no_memory = job->arena.no_memory, .fail_after = job->arena.fail_after};
    struct live *l = arena_alloc(&own, sizeof *l);
    l->own = (struct job){.arena = own, .options = job->options};
    l->next = job->models;
    job->models = l;
    return l;
}

static bool map_weights(struct job *job, struct live *l)
{
    size_t bytes = cache_bytes(l->plan);
    bool huge = bytes >= LARGE_BYTES;
    if (huge)
        bytes = (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES + HUGE_BYTES;      /* large pages need alignment */
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (huge ? 0 : MAP_POPULATE), -1, 0);
    if (p == MAP_FAILED) {
        blame(job, SYSTEM_FAILED, (struct pos){0}, "memory", NULL, "no memory for %zu weights", l->plan->weight_floats);
        return false;
    }
    l->mapping = p;
    l->mapping_bytes = bytes;
    char *start = huge ? l->mapping + (HUGE_BYTES - (uintptr_t)p % HUGE_BYTES) % HUGE_BYTES : l->mapping;
    if (huge)
        madvise(start, bytes - HUGE_BYTES, MADV_HUGEPAGE);      /* a wish: without it pages are small */
    l->image = (struct cache_image *)(void *)start;
    l->record.weights = start + cache_weights_at(l->plan);
    l->record.expected = (const uint32_t *)(const void *)(l->image + 1);
    return true;
}

static bool choose_kernels(struct job *job, struct live *l, const char *isa)
{
    l->kernels = *isa ? mmoe_kernels_named(isa) : mmoe_kernels_best();
    if (!*isa && l->kernels->numerics != l->plan->numerics->number)
        l->kernels = mmoe_kernels_named(l->plan->numerics->kernels);
    if (!l->kernels)
        blame(job, SYSTEM_FAILED, (struct pos){0}, "engine", NULL, "this machine cannot run %s", isa);
    return l->kernels != NULL;
}

/* An equal digest would permit weights from elsewhere, before which walk would look for its plan; or, of a model that
   takes rows, beside which tables would be missing. */
static void no_swap_of_weights(const struct live *l, unsigned char digest[32])
{
    struct sha256 s;
    sha256_init(&s);
    sha256_update(&s, "walk", 4);
    sha256_update(&s, l->structure, sizeof l->structure);
    sha256_final(&s, digest);
}

/* A copy, for the model of a job does not live as long; NULL: it knows no users. */
static const uint32_t *own_order(struct job *own, const struct model *m)
{
    int columns = 0;
    for (int i = 0; i < m->n_inputs; i++)
        columns += m->values[m->inputs[i]].width;
    uint32_t *order = m->user_inputs ? NEW_ARRAY(own, (size_t)columns, uint32_t) : NULL;
    for (int i = 0; order && i < columns; i++)
        order[i] = m->input_order ? m->input_order[i] : (uint32_t)i;
    return order;
}

static void fill_record(struct job *job, struct live *l, const struct network *n)
{
    const struct plan *p = l->plan;
    struct job *own = &l->own;
    const char **names = NEW_ARRAY(own, (size_t)p->outputs, const char *);
    for (int i = 0; i < p->outputs; i++)
        names[i] = arena_print(&own->arena, "%s", column_name(own, n->model, i));
    struct mmoe_model *r = &l->record;
    r->abi = MMOE_ABI;
    r->size = sizeof *r;
    r->numerics = (uint32_t)p->numerics->number;
    r->inputs = (uint32_t)p->inputs;
    r->outputs = (uint32_t)p->outputs;
    r->n_expected = (uint32_t)expected_words(p);
    l->number = n->checkpoint ? checkpoint_number(job, n->checkpoint) : 0;
    r->name = arena_print(&own->arena, "%s", n->from.name);
    r->output_names = names;
    r->scratch_bytes = (p->scratch_floats + p->test_floats) * sizeof(float);
    r->weight_floats = p->weight_floats;
    structure_digest(p, job, l->structure);
    if (l->code && !wants_rows(job->options))
        memcpy(r->structure, l->structure, sizeof r->structure);
    else
        no_swap_of_weights(l, r->structure);
    r->score = l->code ? l->code->score : walk_score;
    r->self_test = l->code ? l->code->self_test : walk_self_test;
    r->user_inputs = (uint32_t)p->user_inputs;
    r->input_order = own_order(own, p->model);
    r->score_users = !p->user_inputs ? NULL : l->code ? l->code->score_users : walk_score_users;
    r->chosen_isa = l->code ? l->code->chosen_isa : isa_function(l->kernels->isa);
}

/* What makes the input from rows, in memory of the model's own. */
static bool open_live_rows(struct job *job, struct live *l, const struct network *n)
{
    struct mmoe_model *r = &l->record;
    l->rows = read_row_program(&l->own, n);
    tell_of(job, &l->own);
    if (!l->rows)
        return false;
    r->score_rows = live_score_rows;
    r->score_requests = l->rows->user_width ? live_score_requests : NULL;
    r->tables = l;
    r->columns = l->rows->columns;
    r->n_columns = (uint32_t)l->rows->n_columns;
    r->lines = &l->rows->lines;
    r->scratch_bytes = rows_scratch(l->rows) + (r->scratch_bytes + 63) / 64 * 64;
    return true;
}

/* The weights and the words of the self test, from the cache or from the checkpoint. */
static bool fill_weights(struct job *job, struct live *l, const struct network *n)
{
    const struct cache *c = job->options->cache ? find_cache(job, n, l->structure) : NULL;
    l->cached = c && read_cache(job, c, l->plan, l->image);
    if (!l->cached) {
        float *weights = (float *)(uintptr_t)l->record.weights;
        if (!pack_into(job, l->plan, weights))
            return false;
        expect_by(job, l->plan, l->kernels, weights, (uint32_t *)(uintptr_t)l->record.expected);
        if (c)
            write_cache(job, c, l->plan, l->image);
    }
    struct walked k = {l->plan, l->kernels};
    memcpy((char *)(uintptr_t)l->record.weights - CACHE_GAP, &k, sizeof k);
    return true;
}

static bool check_record(const struct mmoe_model *r, void *scratch, size_t score_floats)
{
    return check_once(r->score, r->weights, r->expected, scratch, r->inputs, r->outputs, score_floats) &&
           (!r->score_users || check_users(r->score_users, r->weights, r->expected, scratch, r->inputs, r->user_inputs,
                                           r->outputs, score_floats) == 0);
}

/* What is new is tested: code, whether it calls what the plan says; a cache's words, whether these weights and kernels give
   them. Otherwise the words have just come from the same kernels and weights. The whole self test is in the record. */
static bool scores_as_expected(struct job *job, const struct live *l)
{
    const struct mmoe_model *r = &l->record;
    const char *wrong = NULL;
    if (wrong_environment())
        wrong = "rounding is not to nearest, or subnormals are flushed";
    else if ((l->made || l->cached) && !check_record(r, new_scratch(job, l->plan), l->plan->scratch_floats))
        wrong = "wrong scores";
    if (wrong)
        blame(job, SYSTEM_FAILED, (struct pos){0}, "self-test", NULL, "%s", wrong);
    return !wrong;
}

/* An engine that was named runs or fails; otherwise jit gives way to walk. */
static bool choose_engine(struct job *job, struct live *l, const char *engine)
{
    bool named = engine != NULL;
    if (named && strncmp(engine, "jit", 3) != 0)
        return true;
    const char *trouble = l->plan->target->narrow ? "it does not make plans of small cores" : jit_trouble();
    l->code = trouble ? NULL : make_code(job, l->plan, l->kernels, &l->made, &trouble);
    if (l->code)
        return true;
    if (named)
        blame(job, SYSTEM_FAILED, (struct pos){0}, "jit", "--engine walk needs no code to be made", "%s", trouble);
    else if (job->options->verbose)
        note(job, (struct pos){0}, "jit cannot run: %s", trouble);
    return !named;
}

/* What took how long; parts as in fill(). */
struct times {
    double start, plan, code, weights, test;
};

static void tell_times(struct job *job, const struct live *l, const struct times *t)
{
    if (job->options->verbose)
        note(job, (struct pos){0}, "%s serves after %.2f ms: reading %.2f, plan %.2f, libtcc %.2f, %s %.2f, test %.2f",
             live_engine(l), t->test - job->began, t->start - job->began, t->plan - t->start, t->code - t->plan,
             l->cached ? "cache" : "packing", t->weights - t->code, t->test - t->weights);
}

static bool fill(struct job *job, struct live *l, const struct network *n, const char *engine)
{
    struct times t = {.start = now()};
    const char *dash = engine ? strchr(engine, '-') : NULL;
    l->plan = make_plan(&l->own, n->model);
    t.plan = now();
    if (!l->plan || !choose_kernels(job, l, dash ? dash + 1 : "") || !choose_engine(job, l, engine))
        return false;
    fill_record(job, l, n);
    if (wants_rows(job->options) && !open_live_rows(job, l, n))
        return false;
    t.code = now();
    if (!map_weights(job, l) || !fill_weights(job, l, n))
        return false;
    t.weights = now();
    if (!scores_as_expected(job, l))
        return false;
    t.test = now();
    tell_times(job, l, &t);
    if (l->code && job->options->perf_map)
        write_perf_map(job, l->code, l->record.name);
    return true;
}

struct live *open_live(struct job *job, const struct network *n, const char *engine)
{
    struct live *l = new_live(job);
    if (fill(job, l, n, engine))
        return l;
    take_live(job, l);
    close_live(l);
    return NULL;
}

void take_live(struct job *job, struct live *l)
{
    struct live **at = &job->models;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
}

void close_live(struct live *l)
{
    if (!l)
        return;
    if (l->mapping)
        munmap(l->mapping, l->mapping_bytes);
    drop_code(l->code);
    struct arena own = l->own.arena;        /* it holds *l */
    arena_free(&own);
}

const struct mmoe_model *live_record(const struct live *l) { return &l->record; }

const char *live_engine(const struct live *l) { return l->code ? "jit" : "walk"; }

const struct code *live_code(const struct live *l) { return l->code; }

uint64_t live_number(const struct live *l) { return l->number; }
