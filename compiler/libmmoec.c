// SPDX-License-Identifier: Apache-2.0
/* libmmoec.c: the compiler as a library.
 *
 * Each call is a job of its own. attempt() is its entry point, where a failed allocation leads; what the job had to say
 * is copied into an arena that the caller frees. A model belongs to the job until its messages are safe.
 */
/* All is compiled hidden but what libmmoec.h names. */
#pragma GCC visibility push(default)
#include "libmmoec.h"
#pragma GCC visibility pop
#include "mmoec.h"

#include <string.h>

/* ---- messages -------------------------------------------------------------------------------------------------- */

struct told {
    struct arena arena;             /* it holds all of this */
    struct mmoec_messages messages;
};

/* For when there is no memory to say more. */
static const struct mmoec_message out_of_memory = {MMOEC_ERROR, MMOEC_SYSTEM_FAILED, NULL, 0, 0, "memory",
                                                   "out of memory", NULL};
static struct mmoec_messages only_out_of_memory = {1, &out_of_memory};

static const char *copy_text(struct arena *a, const char *text) { return text ? arena_copy(a, text, strlen(text)) : NULL; }

static struct mmoec_message copy_message(struct arena *a, const struct message *m)
{
    return (struct mmoec_message){
        .severity = (enum mmoec_severity)m->severity,
        .result = (enum mmoec_result)m->result,
        .file = m->pos.source ? copy_text(a, m->pos.source->name) : NULL,
        .line = m->pos.line,
        .column = m->pos.column,
        .tag = copy_text(a, m->tag),
        .text = copy_text(a, m->text),
        .hint = copy_text(a, m->hint),
    };
}

/* Fills `t`, whose arena outlives the job. */
static void copy_messages(const struct job *job, struct told **to, struct arena *a)
{
    struct told *t = *to = arena_alloc(a, sizeof *t);
    size_t n = 0, i = 0;
    for (const struct message *m = job->messages; m; m = m->next)
        n++;
    struct mmoec_message *copies = arena_array(a, n, sizeof *copies);
    for (const struct message *m = job->messages; m; m = m->next)
        copies[i++] = copy_message(a, m);
    t->messages = (struct mmoec_messages){n, copies};
}

static struct told *told_of(struct mmoec_messages *m)
{
    return (struct told *)(void *)((char *)m - offsetof(struct told, messages));
}

void mmoec_free_messages(struct mmoec_messages *m)
{
    if (!m || m == &only_out_of_memory)
        return;
    struct arena a = told_of(m)->arena;
    arena_free(&a);
}

/* ---- options --------------------------------------------------------------------------------------------------- */

static bool is_one_of(struct job *job, const char *what, const char *value, const char *const *names)
{
    if (!value)
        return true;
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], value) == 0)
            return true;
    blame(job, BAD_USAGE, (struct pos){0}, "usage", "see mmoec --help", "there is no %s \"%s\"", what,
          escaped(&job->arena, value, strlen(value)));
    return false;
}

static bool check_engine(struct job *job, const char *engine)
{
    const char *word = engine, *dash = engine ? strchr(engine, '-') : NULL;
    static const char *const engines[] = {"jit", "walk", NULL}, *const isas[] = {"avx512", "avx2", "neon", "plain", NULL};
    if (dash)
        word = arena_copy(&job->arena, engine, (size_t)(dash - engine));
    return is_one_of(job, "engine", word, engines) && is_one_of(job, "instruction set", dash ? dash + 1 : NULL, isas);
}

static bool check_options(struct job *job)
{
    const struct options *o = job->options;
    const char *target_names[16] = {NULL}, *numerics_names[16] = {NULL};
    static const char *const places[] = {"c", "file", NULL}, *const inputs[] = {"rows", "features", NULL};
    for (size_t i = 0; targets[i].name; i++)
        target_names[i] = targets[i].name;
    for (size_t i = 0; numerics_classes[i].name; i++)
        numerics_names[i] = numerics_classes[i].name;
    if (o->name && !is_identifier(o->name))
        blame(job, BAD_USAGE, (struct pos){0}, "usage", "letters, digits and underscores, a letter first",
              "the name must be a C identifier");
    else if (!o->model || !*o->model)
        blame(job, BAD_USAGE, (struct pos){0}, "usage", NULL, "there is no model directory");
    else
        return is_one_of(job, "target", o->target, target_names) &&
               is_one_of(job, "class of numerics", o->numerics, numerics_names) &&
               is_one_of(job, "place of weights", o->weights_in, places) && is_one_of(job, "input", o->from, inputs) &&
               check_engine(job, o->engine);
    return false;
}

/* A caller's record may be older and shorter, or newer and longer: what is not there is zero. */
static struct options internal(const char *dir, const struct mmoec_options *given)
{
    struct mmoec_options o = {0};
    if (given)
        memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    return (struct options){
        .model = dir,
        .weights = o.weights,
        .outputs = o.outputs,
        .numerics = o.numerics,
        .name = o.name,
        .engine = o.engine,
        .target = o.target,
        .weights_in = o.weights_in,
        .feature_order = o.order_by_name ? ORDER_NAME : ORDER_CONFIG,
        .permissive = o.permissive != 0,
        .verbose = o.verbose != 0,
        .perf_map = o.perf_map != 0,
        .cache = o.cache,
        .from = o.from,
        .user_columns = o.user_columns,
    };
}

/* ---- a call ---------------------------------------------------------------------------------------------------- */

/* What is done, and what comes of it. */
struct call {
    struct job job;
    struct arena arena;             /* of what was told */
    bool (*work)(struct call *c);
    struct live *live;
    const struct mmoec_watch_options *watch_options;
    struct mmoec_watch *watch;
    struct told *told;
    enum mmoec_result result;
};

/* Its caller owns all that lives on after a jump. */
static void attempt(struct call *c)
{
    jmp_buf no_memory;
    c->job.arena.no_memory = c->arena.no_memory = &no_memory;
    if (setjmp(no_memory)) {
        arena_free(&c->arena);
        c->told = NULL;
        c->live = NULL;
        c->result = MMOEC_SYSTEM_FAILED;
        return;
    }
    bool good = check_options(&c->job) && c->work(c);
    c->result = good ? MMOEC_OK : c->job.result ? (enum mmoec_result)c->job.result : MMOEC_SYSTEM_FAILED;
    copy_messages(&c->job, &c->told, &c->arena);
    if (c->live)
        take_live(&c->job, c->live);
}

static enum mmoec_result run(struct call *c, const struct options *o, struct mmoec_messages **messages)
{
    begin_job(&c->job, o);
    c->arena.fail_after = -1;
    attempt(c);
    end_job(&c->job);
    if (c->told)
        c->told->arena = c->arena;
    struct mmoec_messages *m = c->told ? &c->told->messages : &only_out_of_memory;
    if (messages)
        *messages = m;
    else
        mmoec_free_messages(m);
    return c->result;
}

static bool make_live(struct call *c)
{
    struct network *n = read_for_serving(&c->job);
    c->live = n ? open_live(&c->job, n, c->job.options->engine) : NULL;
    return c->live != NULL;
}

enum mmoec_result mmoec_jit(const char *dir, const struct mmoec_options *options, struct mmoec_model **model,
                            struct mmoec_messages **messages)
{
    struct options o = internal(dir, options);
    struct call c = {.work = make_live};
    enum mmoec_result result = run(&c, &o, messages);
    *model = (struct mmoec_model *)c.live;
    return result;
}

/* The public name of a live model. */
static struct live *live_of(const struct mmoec_model *m) { return (struct live *)(uintptr_t)m; }

const struct mmoe_model *mmoec_record(const struct mmoec_model *m) { return live_record(live_of(m)); }

const char *mmoec_engine(const struct mmoec_model *m) { return live_engine(live_of(m)); }

void mmoec_close(struct mmoec_model *m) { close_live(live_of(m)); }

static void close_owned(void *model) { close_live(model); }

struct mmoe_source mmoec_source(struct mmoec_model *m) { return mmoe_memory(mmoec_record(m), close_owned, m); }

uint64_t mmoec_number(const struct mmoec_model *m) { return live_number(live_of(m)); }

const char *mmoec_jit_trouble(void) { return jit_trouble(); }

static bool write_files(struct call *c)
{
    struct text nothing = {.arena = &c->job.arena};
    return do_compile(&c->job, &nothing);
}

enum mmoec_result mmoec_compile(const char *dir, const struct mmoec_options *options, const char *output,
                                struct mmoec_messages **messages)
{
    struct options o = internal(dir, options);
    struct call c = {.work = write_files};
    o.output = output;
    return run(&c, &o, messages);
}

static bool begin_watch(struct call *c) { return start_watch(&c->job, c->watch_options, &c->watch); }

enum mmoec_result mmoec_watch(const char *dir, const struct mmoec_watch_options *options, struct mmoec_watch **watch,
                              struct mmoec_messages **messages)
{
    struct options o = internal(dir, options ? options->model : NULL);
    struct call c = {.work = begin_watch, .watch_options = options};
    enum mmoec_result result = run(&c, &o, messages);
    if (result != MMOEC_OK) {
        mmoec_unwatch(c.watch);         /* it began, and then there was no memory for its messages */
        c.watch = NULL;
    }
    *watch = c.watch;
    return result;
}
