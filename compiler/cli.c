// SPDX-License-Identifier: Apache-2.0
/* cli.c: the table of commands and options, from which parsing, --help and the man page come. */
#include "cli.h"
#include "../runtime/mmoe.h"

#include <ctype.h>
#include <getopt.h>
#include <string.h>

enum { COMPILE = 1, INSPECT = 2, SCORE = 4, VERIFY = 8, ALL = 15 };

static const struct command {
    const char *name;
    int bit;
    const char *usage, *about;
} commands[] = {
    {"compile", COMPILE, "MODEL -o OUT", "write OUT.c and OUT.h (and OUT.weights), or OUT.so"},
    {"inspect", INSPECT, "MODEL", "show features, layers, parameters, multiply-adds and outputs; needs no checkpoint"},
    {"score", SCORE, "MODEL --features F.npy", "score rows; CSV with a header to standard output, or to -o"},
    {"verify", VERIFY, "MODEL", "hold all engines against the double reference and each other"},
};

enum id { O_OUTPUT = 256, O_NAME, O_TARGET, O_WEIGHTS_IN, O_NUMERICS, O_MD, O_MF, O_DUMP, O_WEIGHTS, O_OUTPUTS, O_ORDER,
          O_PERMISSIVE, O_VERBOSE, O_JSON, O_FEATURES, O_ROWS, O_EXPECT, O_ENGINE, O_HELP, O_VERSION, O_MAN };

static const struct option_row {
    enum id id;
    int commands;           /* which take it; 0: no command needed */
    const char *name, *argument, *about;
    const char *choices;    /* what the argument may be, by blanks */
} rows[] = {
    {O_OUTPUT, COMPILE | SCORE, "o", "OUT", "where the result goes; - is standard output; .so builds, .npy is binary", NULL},
    {O_NAME, COMPILE, "name", "NAME", "the C name of the model (default: from OUT)", NULL},
    {O_TARGET, COMPILE | VERIFY, "target", "NAME", "the kind of machine: x86-64, avx512, avx2, aarch64, generic-c", NULL},
    {O_WEIGHTS_IN, COMPILE, "weights-in", "PLACE", "c: inside the C file (default); file: beside it, a swap needs no new code",
     "c file"},
    {O_NUMERICS, COMPILE | VERIFY, "numerics", "CLASS", "class of arithmetic: fma32", "fma32"},
    {O_MD, COMPILE, "MD", NULL, "write a rule for make beside the output", NULL},
    {O_MF, COMPILE, "MF", "FILE", "with -MD: where to", NULL},
    {O_DUMP, COMPILE, "dump", "STAGE", "print a stage to standard output: model, fold, fuse, tidy, plan",
     "model fold fuse tidy plan"},
    {O_WEIGHTS, ALL, "weights", "PREFIX", "the checkpoint: what stands before .index", NULL},
    {O_OUTPUTS, ALL, "outputs", "WHICH", "scores (every probs_* and y_*, the default), all, or names by commas", NULL},
    {O_ORDER, ALL, "feature-order", "ORDER", "config (EasyRec 0.8.0 and later) or name (before)", "config name"},
    {O_PERMISSIVE, ALL, "permissive", NULL, "skip unknown fields, keep non-finite weights; with warnings", NULL},
    {O_VERBOSE, ALL, "v", NULL, "say more", NULL},
    {O_JSON, INSPECT, "json", NULL, "print JSON", NULL},
    {O_FEATURES, SCORE | VERIFY, "features", "F.npy", "what enters the experts: float32 [rows, columns]", NULL},
    {O_ROWS, SCORE | VERIFY, "rows", "F.csv", "raw rows (not supported yet)", NULL},
    {O_EXPECT, VERIFY, "expect", "DIR", "compare with DIR/<output>.npy", NULL},
    {O_ENGINE, SCORE, "engine", "NAME", "walk (default), aot, reference, jit; a named engine runs or the command fails",
     "walk aot reference jit"},
    {O_HELP, 0, "help", NULL, "show this", NULL},
    {O_VERSION, 0, "version", NULL, "show version, ABI, numerics, targets, and whether libtcc is in", NULL},
    {O_MAN, 0, "man", NULL, "print the manual page, in roff", NULL},
};

static const char exit_codes[] =
    "0 done; 1 the input is wrong; 2 usage; 3 valid for EasyRec but not supported here; 4 verification failed; "
    "5 the system failed us";

/* ---- help, version, man ----------------------------------------------------------------------------------------- */

static void print_option(FILE *to, const struct option_row *r)
{
    char left[64];
    snprintf(left, sizeof left, "%s%s%s%s", strlen(r->name) <= 2 ? "-" : "--", r->name, r->argument ? " " : "",
             r->argument ? r->argument : "");
    fprintf(to, "  %-24s %s\n", left, r->about);
}

static void print_help(FILE *to, const struct command *c)
{
    if (c) {
        fprintf(to, "usage: mmoec %s %s [options]\n%s\n\n", c->name, c->usage, c->about);
    } else {
        fprintf(to, "usage: mmoec COMMAND MODEL [options]\nCompiles a trained EasyRec MMoE model to C.\n\n");
        for (size_t i = 0; i < COUNT(commands); i++)
            fprintf(to, "  %-8s %-24s %s\n", commands[i].name, commands[i].usage, commands[i].about);
        fprintf(to, "\nMODEL: a model directory (pipeline.config, model.ckpt-*), a SavedModel directory, or FILE.config with\n"
                    "--weights PREFIX; for score also a compiled .so.\n\n");
    }
    for (size_t i = 0; i < COUNT(rows); i++)
        if (!c || !rows[i].commands || (rows[i].commands & c->bit))
            print_option(to, &rows[i]);
    fprintf(to, "\nExit: %s.\n", exit_codes);
}

static void print_version(FILE *to)
{
    fprintf(to, "mmoec %s\nABI %d\nnumerics", MMOEC_VERSION, MMOE_ABI);
    for (const struct numerics *n = numerics_classes; n->name; n++)
        fprintf(to, " %s", n->name);
    fprintf(to, "\ntargets");
    for (const struct target *t = targets; t->name; t++)
        fprintf(to, " %s", t->name);
    fprintf(to, "\nlibtcc no\n");
}

/* Text for roff: a hyphen-minus is written \-. */
static void print_roff(FILE *to, const char *text)
{
    for (const char *c = text; *c; c++)
        fprintf(to, *c == '-' ? "\\-" : *c == '\\' ? "\\e" : "%c", *c);
}

static void print_man(FILE *to)
{
    fprintf(to, ".TH MMOEC 1 \"\" \"mmoec %s\" \"User Commands\"\n.SH NAME\nmmoec \\- compile a trained EasyRec MMoE model to C\n"
                ".SH SYNOPSIS\n", MMOEC_VERSION);
    for (size_t i = 0; i < COUNT(commands); i++) {
        fprintf(to, ".B mmoec %s\n", commands[i].name);
        print_roff(to, commands[i].usage);
        fprintf(to, "\n.RI [ options ]\n.br\n");
    }
    fprintf(to, ".SH DESCRIPTION\nReads a pipeline.config and the trained TensorFlow checkpoint, and writes C that can do nothing but\n"
                "score this model. MODEL is a model directory, a SavedModel directory, or FILE.config with\n");
    print_roff(to, "--weights PREFIX; for score also a compiled .so.\n.SH COMMANDS\n");
    for (size_t i = 0; i < COUNT(commands); i++) {
        fprintf(to, ".TP\n.B %s\n", commands[i].name);
        print_roff(to, commands[i].about);
        fprintf(to, "\n");
    }
    fprintf(to, ".SH OPTIONS\n");
    for (size_t i = 0; i < COUNT(rows); i++) {
        fprintf(to, ".TP\n.B ");
        print_roff(to, strlen(rows[i].name) <= 2 ? "-" : "--");
        print_roff(to, rows[i].name);
        fprintf(to, "%s%s\n", rows[i].argument ? " " : "", rows[i].argument ? rows[i].argument : "");
        print_roff(to, rows[i].about);
        fprintf(to, "\n");
    }
    fprintf(to, ".SH EXIT STATUS\n");
    print_roff(to, exit_codes);
    fprintf(to, ".\n");
}

/* ---- parsing ------------------------------------------------------------------------------------------------------- */

static void usage(struct job *job, const char *hint, const char *text, const char *what)
{
    blame(job, BAD_USAGE, (struct pos){0}, "usage", hint ? hint : "see mmoec --help", "%s%s%s%s", text, what ? " \"" : "",
          what ? escaped(&job->arena, what, strlen(what)) : "", what ? "\"" : "");
}

static const struct command *find_command(struct job *job, const char *name)
{
    const char *names[COUNT(commands) + 1] = {NULL};
    for (size_t i = 0; i < COUNT(commands); i++) {
        names[i] = commands[i].name;
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    }
    const char *near = near_miss(name, names);
    usage(job, near ? arena_print(&job->arena, "did you mean %s?", near) : NULL, "there is no command", name);
    return NULL;
}

static const struct option_row *find_row(int id)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if ((int)rows[i].id == id)
            return &rows[i];
    return NULL;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t n = strlen(value);
    for (const char *p = choices; p && *p; p += strcspn(p, " ") + (p[strcspn(p, " ")] == ' '))
        if (n && strcspn(p, " ") == n && strncmp(p, value, n) == 0)
            return true;
    return !choices;
}

static bool is_identifier(const char *s)
{
    bool good = isalpha((unsigned char)*s);
    for (; *s; s++)
        good &= isalnum((unsigned char)*s) || *s == '_';
    return good;
}

static bool check_value(struct job *job, const struct option_row *r, const char *value)
{
    if (!is_choice(r->choices, value))
        usage(job, arena_print(&job->arena, "one of: %s", r->choices), arena_print(&job->arena, "--%s cannot be", r->name), value);
    else if (r->id == O_TARGET && !find_target(value)) {
        struct text all = {.arena = &job->arena};
        for (const struct target *t = targets; t->name; t++)
            text_print(&all, "%s%s (%s)", t == targets ? "there are " : ", ", t->name, t->about);
        usage(job, all.data, "there is no target", value);
    } else if (r->id == O_NAME && !is_identifier(value))
        usage(job, NULL, "--name must be a C identifier, not", value);
    else
        return true;
    return false;
}

static void set_option(struct options *o, enum id id, const char *value)
{
    switch (id) {
    case O_OUTPUT: o->output = value; return;
    case O_NAME: o->name = value; return;
    case O_TARGET: o->target = value; return;
    case O_WEIGHTS_IN: o->weights_in = value; return;
    case O_NUMERICS: o->numerics = value; return;
    case O_MD: o->depfile = o->depfile ? o->depfile : ""; return;
    case O_MF: o->depfile = value; return;
    case O_DUMP: o->dump = value; return;
    case O_WEIGHTS: o->weights = value; return;
    case O_OUTPUTS: o->outputs = value; return;
    case O_ORDER: o->feature_order = strcmp(value, "name") == 0 ? ORDER_NAME : ORDER_CONFIG; return;
    case O_PERMISSIVE: o->permissive = true; return;
    case O_VERBOSE: o->verbose = true; return;
    case O_JSON: o->json = true; return;
    case O_FEATURES: o->features = value; return;
    case O_ROWS: o->rows = value; return;
    case O_EXPECT: o->expect = value; return;
    case O_ENGINE: o->engine = value; return;
    case O_HELP: case O_VERSION: case O_MAN: return;
    }
}

/* What a command needs beyond its options' own form. */
static bool check_options(struct job *job, const struct command *c, const struct options *o)
{
    if (!o->model)
        usage(job, NULL, arena_print(&job->arena, "mmoec %s needs a MODEL", c->name), NULL);
    else if (o->rows)
        blame(job, UNSUPPORTED, (struct pos){0}, "unsupported", "give --features F.npy", "raw rows are not supported yet");
    else if (c->bit == COMPILE && !o->output && !o->dump)
        usage(job, NULL, "mmoec compile needs -o OUT", NULL);
    else if (c->bit == SCORE && !o->features)
        usage(job, NULL, "mmoec score needs --features F.npy", NULL);
    else if (o->engine && strcmp(o->engine, "jit") == 0)
        blame(job, SYSTEM_FAILED, (struct pos){0}, "engine", "--engine walk needs none", "this mmoec was built without libtcc");
    else
        return true;
    return false;
}

static enum todo parse(struct job *job, int argc, char **argv, const struct command *c, struct options *o, FILE *to)
{
    struct option known[COUNT(rows) + 1];
    memset(known, 0, sizeof known);
    for (size_t i = 0; i < COUNT(rows); i++)
        known[i] = (struct option){rows[i].name, rows[i].argument ? required_argument : no_argument, NULL, (int)rows[i].id};
    optind = 0;
    opterr = 0;
    for (int id; (id = getopt_long_only(argc, argv, ":", known, NULL)) != -1;) {
        const struct option_row *r = find_row(id);
        if (id == O_HELP)
            print_help(to, c);
        else if (id == O_VERSION)
            print_version(to);
        else if (id == O_MAN)
            print_man(to);
        if (r && !r->commands)
            return SAID;
        if (id == ':')
            usage(job, NULL, "an argument is missing behind", argv[optind - 1]);
        else if (!r)
            usage(job, NULL, "unknown or ambiguous option", argv[optind - 1]);
        else if (c && !(r->commands & c->bit))
            usage(job, arena_print(&job->arena, "see mmoec %s --help", c->name),
                  arena_print(&job->arena, "%s does not take --%s", c->name, r->name), NULL);
        if (job->errors || !r || (r->argument && !check_value(job, r, optarg)))
            return WRONG;
        set_option(o, r->id, optarg);
    }
    if (!c)
        usage(job, NULL, "give a command", NULL);
    o->model = optind < argc ? argv[optind] : NULL;
    if (optind + 1 < argc)
        usage(job, NULL, "more than one MODEL:", argv[optind + 1]);
    return c && !job->errors && check_options(job, c, o) ? RUN : WRONG;
}

enum todo read_command_line(struct job *job, int argc, char **argv, struct options *o, FILE *to)
{
    if (argc < 2 || argv[1][0] == '-')
        return parse(job, argc, argv, NULL, o, to);
    const struct command *c = find_command(job, argv[1]);
    if (!c)
        return WRONG;
    o->command = c->name;
    return parse(job, argc - 1, argv + 1, c, o, to);
}
