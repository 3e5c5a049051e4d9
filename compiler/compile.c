// SPDX-License-Identifier: Apache-2.0
/* compile.c: the pipeline, one line a stage. Read it first, after mmoec.h. */
#include "mmoec.h"
#include "../runtime/sha256.h"

#include <ctype.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- the table of passes ------------------------------------------------------------------------------------- */

static const struct pass {
    const char *name;
    struct model *(*run)(struct job *job, const struct model *m);
} passes[] = {
    {"fold", fold},
    {"fuse", fuse},
    {"tidy", tidy},
};

const char *const dump_stages[] = {"model", "fold", "fuse", "tidy", "plan", NULL};

static bool dumps(const struct job *job, const char *stage)
{
    return job->options->dump && strcmp(job->options->dump, stage) == 0;
}

static const struct model *after(struct job *job, const char *stage, const struct model *m)
{
    if (!m)
        return NULL;
    check_model(m);
    if (dumps(job, stage))
        print_model(m, &job->dump);
    return m;
}

static const struct model *run_passes(struct job *job, const struct model *m)
{
    for (size_t i = 0; i < COUNT(passes); i++)
        m = after(job, passes[i].name, passes[i].run(job, m));
    return m;
}

/* ---- from what the user typed to files ----------------------------------------------------------------------- */

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), k = strlen(suffix);
    return n >= k && strcmp(text + n - k, suffix) == 0;
}

static bool exists(const char *path) { return access(path, F_OK) == 0; }

static const char *find_config(struct job *job, const char *model)
{
    if (!is_directory(model))
        return model;
    const char *plain = join_path(job, model, "pipeline.config");
    const char *exported = join_path(job, model, "assets/pipeline.config");
    if (exists(plain) || exists(exported))
        return exists(plain) ? plain : exported;
    blame(job, BAD_INPUT, in_file(job, model), "file", "give an EasyRec model directory, or FILE.config with --weights",
          "there is no pipeline.config and no assets/pipeline.config");
    return NULL;
}

/* The prefix of the checkpoint, or NULL: after an error if there must be one. */
static const char *find_weights(struct job *job, bool needed)
{
    const struct options *o = job->options;
    if (o->weights)
        return find_checkpoint(job, o->weights);
    if (is_directory(o->model) && (needed || has_checkpoint(o->model)))
        return find_checkpoint(job, o->model);
    if (needed)
        blame(job, BAD_USAGE, in_file(job, o->model), "usage", "for instance --weights model_dir/model.ckpt-1000",
              "a config alone has no weights: give --weights PREFIX");
    return NULL;
}

bool is_identifier(const char *s)
{
    bool good = isalpha((unsigned char)*s);
    for (; *s; s++)
        good &= isalnum((unsigned char)*s) || *s == '_';
    return good;
}

/* A C identifier from the base name of what the user named. */
static const char *make_name(struct job *job)
{
    const struct options *o = job->options;
    if (o->name)
        return o->name;
    const char *path = o->output && strcmp(o->output, "-") != 0 ? o->output : o->model;
    char *copy = arena_copy(&job->arena, path, strlen(path));
    for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
        copy[n - 1] = 0;
    char *name = arena_print(&job->arena, "%s", base_name(copy));
    char *dot = strchr(name, '.');
    if (dot && dot != name)
        *dot = 0;
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    return isdigit((unsigned char)*name) || !*name ? arena_print(&job->arena, "m%s", name) : name;
}

/* The base name of the output without its suffix: what the .c includes. */
static const char *file_name(struct job *job)
{
    const char *output = job->options->output;
    if (!output || strcmp(output, "-") == 0)
        return make_name(job);
    const char *base = base_name(output);
    size_t n = strlen(base);
    return arena_copy(&job->arena, base, has_suffix(base, ".so") ? n - 3 : has_suffix(base, ".c") ? n - 2 : n);
}

/* The order of features that was trained, if a graph lies beside the weights and nobody asked for another. */
static void read_order(struct job *job, struct features *f, const char *prefix)
{
    const char *model = job->options->model;
    const char *saved = is_directory(model) ? join_path(job, model, "saved_model.pb") : NULL;
    const char *meta = prefix ? arena_print(&job->arena, "%s.meta", prefix) : NULL;
    const char *path = saved && exists(saved) ? saved : meta && exists(meta) ? meta : NULL;
    if (!path || job->options->order_given)
        return;
    const struct source *graph = read_source(job, path);
    int n = 0;
    const char **columns = graph ? read_graph_columns(job, graph->text, graph->length, path == saved, &n) : NULL;
    if (graph)
        order_features(job, f, columns, n, base_name(path));
}

/* The names and the order of features that were trained, as far as files beside the config tell. */
static void find_order(struct job *job, struct features *f, const char *prefix, const struct tensors *ts)
{
    if (ts)
        find_old_names(job, f, ts);
    read_order(job, f, prefix);
    if (ts)
        order_by_old_names(job, f, ts);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

enum reading { SHAPES, NAMES, NUMBERS };        /* how much of the weights */

static const struct model *bind_as(struct job *job, const struct model *m, const struct tensors *ts, enum reading how)
{
    return how == SHAPES ? m : how == NAMES ? bind_names(job, m, ts) : bind_weights(job, m, ts);
}

static struct network *read_as(struct job *job, enum reading how)
{
    bool with_weights = how != SHAPES;
    const char *config_path = find_config(job, job->options->model);
    const struct source *source = config_path ? read_source(job, config_path) : NULL;
    struct config *config = source ? read_config(job, source) : NULL;
    struct features *features = config ? read_features(job, config) : NULL;
    const char *prefix = features ? find_weights(job, with_weights) : NULL;
    struct tensors *tensors = prefix ? read_checkpoint(job, prefix) : NULL;
    if (features)
        find_order(job, features, prefix, tensors);
    if (features && !place_users(job, features))
        return NULL;
    if (!features || job->errors || (with_weights && !tensors))
        return NULL;

    const struct model *lowered = after(job, "model", lower(job, config, features, tensors));
    const struct model *bound = bind_as(job, lowered, tensors, how);
    const struct model *selected = bound ? select_outputs(job, bound) : NULL;
    const struct model *model = run_passes(job, selected);
    if (!model || job->errors)
        return NULL;

    struct network *n = NEW(job, struct network);
    *n = (struct network){.config = config, .features = features, .tensors = tensors, .original = bound,
                          .model = model, .config_path = config_path, .checkpoint = prefix};
    n->from = (struct provenance){.name = make_name(job), .file_name = file_name(job), .config = base_name(config_path),
                                  .checkpoint = prefix ? base_name(prefix) : NULL, .features = features, .original = bound};
    sha256(source->text, source->length, n->from.config_digest);
    return n;
}

/* ---- from rows ------------------------------------------------------------------------------------------------- */

#define FEW_TABLE_FLOATS ((uint64_t)1 << 20)    /* 4 MB: tables that generated code takes along unasked */

static struct row_program *lower_for_c(struct job *job, const struct network *n)
{
    struct row_program *p = lower_rows(job, n->config, n->features);
    return bind_table_names(job, p, n->tensors) ? p : NULL;
}

/* Why rows would be asked too much, if nobody asked for them; NULL: nothing speaks against them. */
static const char *why_no_rows(struct job *job, const struct network *n)
{
    struct job trial = {.options = job->options, .arena = {.no_memory = job->arena.no_memory, .fail_after = -1}};
    const struct row_program *p = lower_for_c(&trial, n);
    const char *why = p ? NULL : arena_print(&job->arena, "%s", trial.messages ? trial.messages->text : "");
    if (p && p->table_floats > FEW_TABLE_FLOATS)
        why = arena_print(&job->arena, "its tables have %llu MB", (unsigned long long)(p->table_floats >> 18));
    arena_free(&trial.arena);
    return why;
}

/* Does generated code take rows? false after an error. */
static bool choose_rows(struct job *job, struct network *n, const struct target *t)
{
    const struct options *o = job->options;
    bool asked = wants_rows(o);
    if (asked && t->narrow) {
        blame(job, UNSUPPORTED, (struct pos){0}, "not-from-rows", NULL, "the target %s takes the experts' input alone", t->name);
        return false;
    }
    if (!asked && (o->from || t->narrow))
        return true;
    n->no_rows = asked ? NULL : why_no_rows(job, n);
    n->from.no_rows = n->no_rows;
    if (!n->no_rows)
        n->rows = lower_for_c(job, n);
    return n->no_rows || n->rows;
}

struct row_program *read_row_program(struct job *job, const struct network *n)
{
    struct row_program *p = lower_rows(job, n->config, n->features);
    return bind_tables(job, p, n->tensors) ? p : NULL;
}

struct network *read_network(struct job *job, bool with_weights) { return read_as(job, with_weights ? NUMBERS : SHAPES); }

struct network *read_for_serving(struct job *job) { return read_as(job, NAMES); }

/* ---- compiling ------------------------------------------------------------------------------------------------- */

struct generated *compile(struct job *job, struct network *n)
{
    struct plan *p = make_plan(job, n->model);
    if (!p || !choose_rows(job, n, p->target))
        return NULL;
    if (p && dumps(job, "plan"))
        print_plan(p, &job->dump);
    struct weights *w = pack(job, p);
    struct expected *e = w ? expect(job, p, w) : NULL;
    bool baked = !job->options->weights_in || strcmp(job->options->weights_in, "c") == 0;
    if (e && n->rows && baked && !gather_tables(job, n->rows, w))
        return NULL;
    struct generated *g = e ? emit(job, p, w, e, &n->from, n->rows) : NULL;
    if (g && job->options->proof && !add_proof(job, p, &n->from, &g->proof))
        return NULL;
    return g;
}

double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

void begin_job(struct job *job, const struct options *o)
{
    *job = (struct job){.options = o, .arena = {.fail_after = -1}, .began = now()};
    job->dump.arena = &job->arena;
}

void end_job(struct job *job)
{
    while (job->models) {
        struct live *l = job->models;
        take_live(job, l);
        close_live(l);
    }
    remove_temporaries(job, NULL);
    close_files(job);
    arena_free(&job->arena);
}
