// SPDX-License-Identifier: Apache-2.0
/* cli.c: the command line.
 *
 * Two tables, of commands and of options; parsing, --help and the man page come from them. Names of targets,
 * numerics and stages come from the tables of those. Read the tables, then parse() from below.
 */
#include "cli.h"
#include "../runtime/mmoe.h"

#include <ctype.h>
#include <getopt.h>
#include <string.h>

enum { COMPILE = 1, INSPECT = 2, SCORE = 4, VERIFY = 8, BENCH = 16, ALL = 31 };

static const struct command {
    const char *name;
    int bit;
    const char *usage, *about;
} commands[] = {
    {"compile", COMPILE, "MODEL -o OUT", "write OUT.c and OUT.h (and OUT.weights), or build OUT.so"},
    {"inspect", INSPECT, "MODEL", "show features, layers, parameters and outputs; needs no checkpoint"},
    {"score", SCORE, "MODEL --rows F.csv", "score rows: CSV with a header, or .npy"},
    {"verify", VERIFY, "MODEL", "hold all engines against the double reference and each other"},
    {"bench", BENCH, "MODEL", "time the engines on one core, beside what this machine can do at most"},
};

/* Options with a letter have its code, so that -oOUT is understood as well. */
enum id { O_OUTPUT = 'o', O_VERBOSE = 'v', O_NAME = 256, O_TARGET, O_WEIGHTS_IN, O_NUMERICS, O_PROOF, O_MD, O_MF,
          O_DUMP, O_WEIGHTS, O_OUTPUTS, O_ORDER, O_PERMISSIVE, O_JSON, O_FEATURES, O_ROWS, O_EXPECT, O_ENGINE, O_PLAN,
          O_FORM, O_BATCH, O_FROM, O_HEADER, O_KEEP_GOING, O_USER_COLUMNS, O_HELP, O_VERSION, O_MAN };

static const char *const places[] = {"c", "file", NULL};
static const char *const inputs[] = {"rows", "features", NULL};
static const char *const orders[] = {"config", "name", NULL};
static const char *const engines[] = {"jit", "walk", "aot", "reference", NULL};

static const struct option_row {
    enum id id;
    int commands;                   /* which take it; 0: no command needed */
    const char *name, *argument;
    const char *about;              /* NULL: of use to tests only, and not shown */
    const char *const *choices;     /* what the argument may be; NULL: see choices_of() */
} rows[] = {
    {O_OUTPUT, COMPILE | SCORE, "o", "OUT", "where the result goes; - is standard output (of compile: the C)", NULL},
    {O_NAME, COMPILE, "name", "NAME", "the C name of the model (default: from OUT)", NULL},
    {O_TARGET, COMPILE | INSPECT | VERIFY | BENCH, "target", "NAME", "the kind of machine", NULL},
    {O_WEIGHTS_IN, COMPILE, "weights-in", "PLACE", "c: in the C file (default); file: beside it", places},
    {O_FROM, COMPILE, "from", "WHAT", "rows: it takes rows, too (default if its tables have 4 MB at most); features: it does not",
     inputs},
    {O_NUMERICS, COMPILE | VERIFY | BENCH, "numerics", "CLASS", "the class of arithmetic", NULL},
    {O_PROOF, COMPILE, "proof", NULL, "write OUT_proof.c, a driver for Frama-C: see docs/firmware.md", NULL},
    {O_MD, COMPILE, "MD", NULL, "write what OUT depends on, for make, to OUT.d", NULL},
    {O_MF, COMPILE, "MF", "FILE", "write it to FILE instead", NULL},
    {O_DUMP, COMPILE, "dump", "STAGE", "print what a stage made to standard output", dump_stages},
    {O_WEIGHTS, ALL, "weights", "PREFIX", "the checkpoint: the path without .index", NULL},
    {O_OUTPUTS, ALL, "outputs", "WHICH", "scores (default: every probs_* and y_*), all, or names by commas", NULL},
    {O_ORDER, ALL, "feature-order", "ORDER", "config (EasyRec 0.8.0 and later) or name (before); default: the trained one if known, or config", orders},
    {O_USER_COLUMNS, ALL, "user-columns", "LIST",
     "columns of the data, or feature groups, by commas, that are the user's: computed once for all items of a request",
     NULL},
    {O_PERMISSIVE, ALL, "permissive", NULL, "skip unknown fields, keep weights that are not finite; warn", NULL},
    {O_JSON, INSPECT | VERIFY | BENCH, "json", NULL, "print JSON", NULL},
    {O_PLAN, INSPECT, "plan", NULL, "show how the model would be computed, each choice with its reason", NULL},
    {O_FORM, COMPILE | INSPECT | VERIFY | SCORE | BENCH, "form", "FORM", NULL, plan_forms},
    {O_FEATURES, SCORE | VERIFY, "features", "F.npy", "what enters the experts: float32 [rows, columns]; - is stdin",
     NULL},
    {O_ROWS, SCORE | VERIFY, "rows", "F.csv", "raw rows as EasyRec reads them; files by commas, - is stdin", NULL},
    {O_HEADER, SCORE | VERIFY, "header", NULL, "the first line of --rows names the columns, in any order", NULL},
    {O_KEEP_GOING, SCORE, "keep-going", NULL, "a bad row of --rows is a line of empty cells, and exit status 1", NULL},
    {O_EXPECT, VERIFY, "expect", "DIR", "compare with DIR/OUTPUT.npy, one row for each that is scored", NULL},
    {O_ENGINE, SCORE | BENCH, "engine", "NAME",
     "which way to score (default: jit if it can run, else walk; of bench: walk and aot); it runs or the command fails", engines},
    {O_BATCH, BENCH, "batch", "LIST", "rows a call (default: 1,2,3,4,8,16,64,256,1024)", NULL},
    {O_VERBOSE, ALL, "v", NULL, "say more", NULL},
    {O_HELP, 0, "help", NULL, "show this", NULL},
    {O_VERSION, 0, "version", NULL, "show version, ABI, numerics, targets, and whether libtcc is in", NULL},
    {O_MAN, 0, "man", NULL, "print the manual page, in roff", NULL},
};

static const char about_model[] =
    "MODEL is a model directory (pipeline.config, model.ckpt-*: the largest step), an exported SavedModel "
    "directory, or FILE.config with --weights PREFIX; for score also a compiled .so.";

static const struct {
    const char *code, *about;
} exits[] = {
    {"0", "done"},
    {"1", "the input is wrong: config, checkpoint, rows"},
    {"2", "usage"},
    {"3", "valid for EasyRec, but not supported here"},
    {"4", "verification failed"},
    {"5", "the system failed us: disk, memory, no compiler"},
};

static const struct {
    const char *name, *about;
} variables[] = {
    {"CC", "the C compiler that builds OUT.so and --engine aot, with its options (default: cc)"},
    {"NO_COLOR", "messages on a terminal are not coloured if it is set"},
    {"TMPDIR", "where temporary files go (default: /tmp)"},
};

static bool is_shown(const struct option_row *r) { return r->about != NULL; }

static const char *dashes(const struct option_row *r) { return strlen(r->name) <= 2 ? "-" : "--"; }

/* What the argument of an option may be, NULL-terminated, in `room`; NULL if it is free. */
#define MOST_CHOICES 32
static const char *const *choices_of(const struct option_row *r, const char *room[MOST_CHOICES])
{
    int n = 0;
    for (const struct target *t = targets; r->id == O_TARGET && t->name; t++)
        room[n++] = t->name;
    for (const struct numerics *c = numerics_classes; r->id == O_NUMERICS && c->name; c++)
        room[n++] = c->name;
    room[n] = NULL;
    return n ? room : r->choices;
}

/* ---- help, version, man ---------------------------------------------------------------------- */

static void print_choices(FILE *to, const struct option_row *r, void print(FILE *to, const char *text))
{
    const char *room[MOST_CHOICES], *const *c = choices_of(r, room);
    for (int i = 0; c && r->choices != places && r->choices != orders && c[i]; i++) {
        fputs(i ? ", " : ": ", to);
        print(to, c[i]);
    }
}

static void print_plain(FILE *to, const char *text) { fputs(text, to); }

static void print_option(FILE *to, const struct option_row *r)
{
    char left[64];
    snprintf(left, sizeof left, "%s%s%s%s", dashes(r), r->name, r->argument ? " " : "", r->argument ? r->argument : "");
    fprintf(to, "  %-22s %s", left, r->about);
    print_choices(to, r, print_plain);
    fputc('\n', to);
}

/* Words in lines of at most 80 columns. */
static void print_paragraph(FILE *to, const char *text)
{
    for (size_t at = 0; *text;) {
        size_t n = strcspn(text, " ");
        if (at && at + 1 + n > 80) {
            fputc('\n', to);
            at = 0;
        }
        at += (size_t)fprintf(to, "%s%.*s", at ? " " : "", (int)n, text);
        text += n + (text[n] == ' ');
    }
    fputc('\n', to);
}

static void print_help(FILE *to, const struct command *c)
{
    if (c) {
        fprintf(to, "usage: mmoec %s %s [options]\n\n%s\n\n", c->name, c->usage, c->about);
    } else {
        fprintf(to, "usage: mmoec COMMAND MODEL [options]\n\nCompiles a trained EasyRec MMoE model to C.\n\n");
        for (size_t i = 0; i < COUNT(commands); i++)
            fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].about);
        fputc('\n', to);
    }
    print_paragraph(to, about_model);
    fputc('\n', to);
    for (size_t i = 0; i < COUNT(rows); i++)
        if (is_shown(&rows[i]) && (!c || !rows[i].commands || (rows[i].commands & c->bit)))
            print_option(to, &rows[i]);
    fputs("\nexit status\n", to);
    for (size_t i = 0; i < COUNT(exits); i++)
        fprintf(to, "  %s  %s\n", exits[i].code, exits[i].about);
}

static void print_version(FILE *to)
{
    fprintf(to, "mmoec %s\nABI %d\nnumerics", MMOEC_VERSION, MMOE_ABI);
    for (const struct numerics *n = numerics_classes; n->name; n++)
        fprintf(to, " %s", n->name);
    fprintf(to, "\ntargets");
    for (const struct target *t = targets; t->name; t++)
        fprintf(to, " %s", t->name);
#ifdef HAVE_LIBTCC
    fprintf(to, "\nlibtcc yes\n");
#else
    fprintf(to, "\nlibtcc no\n");
#endif
}

/* Text for roff: a hyphen-minus that is not a hyphen is written \-. */
static void print_roff(FILE *to, const char *text)
{
    for (const char *c = text; *c; c++)
        if (*c == '-' || *c == '\\')
            fputs(*c == '-' ? "\\-" : "\\e", to);
        else
            fputc(*c, to);
}

static void print_man_option(FILE *to, const struct option_row *r)
{
    fputs(".TP\n.BR ", to);
    print_roff(to, dashes(r));
    print_roff(to, r->name);
    if (r->argument)
        fprintf(to, " \" \" \\fI%s\\fR", r->argument);
    fputc('\n', to);
    print_roff(to, r->about);
    print_choices(to, r, print_roff);
    if (r->commands && r->commands != ALL) {
        const char *between = " (";
        for (size_t i = 0; i < COUNT(commands); i++)
            if (r->commands & commands[i].bit) {
                fprintf(to, "%s%s", between, commands[i].name);
                between = ", ";
            }
        fputc(')', to);
    }
    fputs(".\n", to);
}

static void print_man_item(FILE *to, const char *name, const char *about)
{
    fputs(".TP\n.B ", to);
    print_roff(to, name);
    fputc('\n', to);
    print_roff(to, about);
    fputs(".\n", to);
}

static void print_man(FILE *to)
{
    fprintf(to, ".TH MMOEC 1 \"\" \"mmoec %s\" \"User Commands\"\n.SH NAME\n", MMOEC_VERSION);
    fputs("mmoec \\- compile a trained EasyRec MMoE model to C\n.SH SYNOPSIS\n", to);
    for (size_t i = 0; i < COUNT(commands); i++) {
        fprintf(to, "%s.B mmoec %s\n", i ? ".br\n" : "", commands[i].name);
        print_roff(to, commands[i].usage);
        fputs("\n.RI [ options ]\n", to);
    }
    fputs(".SH DESCRIPTION\n"
          "Reads a pipeline.config and the trained TensorFlow checkpoint, and writes C that can do nothing but\n"
          "score this model. Data goes to standard output, messages to standard error.\n.PP\n", to);
    print_roff(to, about_model);
    fputs("\n.SH COMMANDS\n", to);
    for (size_t i = 0; i < COUNT(commands); i++)
        print_man_item(to, commands[i].name, commands[i].about);
    fputs(".SH OPTIONS\n", to);
    for (size_t i = 0; i < COUNT(rows); i++)
        if (is_shown(&rows[i]))
            print_man_option(to, &rows[i]);
    fputs(".SH EXIT STATUS\n", to);
    for (size_t i = 0; i < COUNT(exits); i++)
        print_man_item(to, exits[i].code, exits[i].about);
    fputs(".SH ENVIRONMENT\n", to);
    for (size_t i = 0; i < COUNT(variables); i++)
        print_man_item(to, variables[i].name, variables[i].about);
}

/* ---- parsing --------------------------------------------------------------------------------- */

static const char *quoted(struct job *job, const char *word)
{
    return arena_print(&job->arena, "\"%s\"", escaped(&job->arena, word, strlen(word)));
}

static void usage(struct job *job, const char *hint, const char *text)
{
    blame(job, BAD_USAGE, (struct pos){0}, "usage", hint ? hint : "see mmoec --help", "%s", text);
}

/* A word that is none of `names`: says which is near, or all. */
static void unknown(struct job *job, const char *what, const char *word, const char *const *names)
{
    const char *near = near_miss(word, names);
    struct text hint = {.arena = &job->arena};
    if (near)
        text_print(&hint, "did you mean %s?", near);
    for (int i = 0; !near && names[i]; i++)
        text_print(&hint, "%s%s", i ? ", " : "there are ", names[i]);
    usage(job, hint.data, arena_print(&job->arena, "%s %s", what, quoted(job, word)));
}

static const struct command *find_command(struct job *job, const char *name)
{
    const char *names[COUNT(commands) + 1] = {NULL};
    for (size_t i = 0; i < COUNT(commands); i++) {
        names[i] = commands[i].name;
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    }
    unknown(job, "there is no command", name, names);
    return NULL;
}

static const struct option_row *find_row(int id)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if ((int)rows[i].id == id)
            return &rows[i];
    return NULL;
}

static void unknown_option(struct job *job, const struct command *c, const char *argument)
{
    const char *names[COUNT(rows) + 1];
    int n = 0;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (strlen(rows[i].name) > 1 && (!c || !rows[i].commands || (rows[i].commands & c->bit)))
            names[n++] = rows[i].name;
    names[n] = NULL;
    const char *word = argument + strspn(argument, "-");
    word = arena_copy(&job->arena, word, strcspn(word, "="));
    const char *near = near_miss(word, names);
    const char *see = arena_print(&job->arena, "see mmoec %s%s--help", c ? c->name : "", c ? " " : "");
    usage(job, near ? arena_print(&job->arena, "did you mean --%s?", near) : see,
          arena_print(&job->arena, "there is no option %s", quoted(job, argument)));
}

static bool check_value(struct job *job, const struct option_row *r, const char *value)
{
    const char *room[MOST_CHOICES], *const *c = choices_of(r, room);
    for (int i = 0; c && c[i]; i++)
        if (strcmp(c[i], value) == 0)
            return true;
    if (c)
        unknown(job, arena_print(&job->arena, "there is no %s%s", dashes(r), r->name), value, c);
    else if (!*value)
        usage(job, NULL, arena_print(&job->arena, "%s%s needs an argument that is not empty", dashes(r), r->name));
    else if (r->id == O_NAME && !is_identifier(value))
        usage(job, "letters, digits and underscores, a letter first",
              arena_print(&job->arena, "--name must be a C identifier, not %s", quoted(job, value)));
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
    case O_PROOF: o->proof = true; return;
    case O_MD: o->depfile = o->depfile ? o->depfile : ""; return;
    case O_MF: o->depfile = value; return;
    case O_DUMP: o->dump = value; return;
    case O_WEIGHTS: o->weights = value; return;
    case O_OUTPUTS: o->outputs = value; return;
    case O_ORDER:
        o->feature_order = strcmp(value, "name") == 0 ? ORDER_NAME : ORDER_CONFIG;
        o->order_given = true;
        return;
    case O_USER_COLUMNS: o->user_columns = value; return;
    case O_PERMISSIVE: o->permissive = true; return;
    case O_VERBOSE: o->verbose = true; return;
    case O_JSON: o->json = true; return;
    case O_PLAN: o->plan = true; return;
    case O_FORM: o->form = value; return;
    case O_FEATURES: o->features = value; return;
    case O_ROWS: o->rows = value; return;
    case O_FROM: o->from = value; return;
    case O_HEADER: o->header = true; return;
    case O_KEEP_GOING: o->keep_going = true; return;
    case O_EXPECT: o->expect = value; return;
    case O_ENGINE: o->engine = value; return;
    case O_BATCH: o->batch = value; return;
    case O_HELP: case O_VERSION: case O_MAN: return;
    }
}

/* What a command needs beyond its options' own form. */
static bool check_options(struct job *job, const struct command *c, const struct options *o)
{
    size_t batch[MOST_BATCHES];
    bool to_stdout = o->output && strcmp(o->output, "-") == 0;
    if (!o->model)
        usage(job, NULL, arena_print(&job->arena, "mmoec %s needs a MODEL", c->name));
    else if (o->rows && o->features)
        usage(job, NULL, "give --rows or --features, not both");
    else if ((o->header || o->keep_going) && !o->rows)
        usage(job, NULL, o->header ? "--header needs --rows F.csv" : "--keep-going needs --rows F.csv");
    else if (c->bit == COMPILE && !o->output && !o->dump)
        usage(job, NULL, "mmoec compile needs -o OUT");
    else if (c->bit == COMPILE && to_stdout && o->dump)
        usage(job, NULL, "--dump and -o - both write to standard output");
    else if (c->bit == COMPILE && to_stdout && o->weights_in && strcmp(o->weights_in, "file") == 0)
        usage(job, NULL, "--weights-in file needs the name of a file: -o OUT");
    else if (o->proof && (!o->output || to_stdout || (o->weights_in && strcmp(o->weights_in, "file") == 0)))
        usage(job, NULL, "--proof needs the name of a file, -o OUT, and the weights in it");
    else if (c->bit == COMPILE && o->depfile && !*o->depfile && (!o->output || to_stdout))
        usage(job, NULL, "-MD needs the name of a file: -o OUT, or -MF FILE");
    else if (c->bit == SCORE && !o->features && !o->rows)
        usage(job, NULL, "mmoec score needs --rows F.csv or --features F.npy");
    else if (o->expect && !o->features && !o->rows)
        usage(job, NULL, "--expect needs the rows that were scored: --rows F.csv or --features F.npy");
    else if (o->batch && !read_batches(o->batch, batch))
        usage(job, arena_print(&job->arena, "for instance 1,64,1024; at most %d numbers, each at most %d", MOST_BATCHES,
                               LARGEST_BATCH),
              arena_print(&job->arena, "--batch needs numbers by commas, not %s", quoted(job, o->batch)));
    else if (c->bit == BENCH && o->engine && strcmp(o->engine, "reference") == 0)
        usage(job, "bench times walk and aot", "the reference is not made to be fast");
    else
        return true;
    return false;
}

/* --help and the like; SAID if it was one. */
static enum todo say(FILE *to, int id, const struct command *c)
{
    switch (id) {
    case O_HELP: print_help(to, c); return SAID;
    case O_VERSION: print_version(to); return SAID;
    case O_MAN: print_man(to); return SAID;
    default: return RUN;
    }
}

static bool take_option(struct job *job, int id, const char *argument, const struct command *c, struct options *o)
{
    const struct option_row *r = find_row(id);
    if (id == ':')
        usage(job, NULL, arena_print(&job->arena, "an argument is missing behind %s", quoted(job, argument)));
    else if (!r)
        unknown_option(job, c, argument);
    else if (c && !(r->commands & c->bit))
        usage(job, arena_print(&job->arena, "see mmoec %s --help", c->name),
              arena_print(&job->arena, "%s does not take %s%s", c->name, dashes(r), r->name));
    else if (!r->argument || check_value(job, r, optarg)) {
        set_option(o, r->id, optarg);
        return true;
    }
    return false;
}

static enum todo parse(struct job *job, int argc, char **argv, const struct command *c, struct options *o, FILE *to)
{
    struct option known[COUNT(rows) + 1];
    memset(known, 0, sizeof known);
    for (size_t i = 0; i < COUNT(rows); i++)
        known[i] = (struct option){rows[i].name, rows[i].argument ? required_argument : no_argument, NULL,
                                   (int)rows[i].id};
    optind = 0;
    opterr = 0;
    for (int id; (id = getopt_long_only(argc, argv, ":o:v", known, NULL)) != -1;) {
        if (say(to, id, c) == SAID)
            return SAID;
        if (!take_option(job, id, argv[optind - 1], c, o))
            return WRONG;
    }
    if (!c) {
        usage(job, NULL, "give a command");
        return WRONG;
    }
    o->model = optind < argc ? argv[optind] : NULL;
    if (optind + 1 < argc)
        usage(job, NULL, arena_print(&job->arena, "more than one MODEL: %s", quoted(job, argv[optind + 1])));
    return !job->errors && check_options(job, c, o) ? RUN : WRONG;
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
