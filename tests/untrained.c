// SPDX-License-Identifier: Apache-2.0
/* untrained DIR SEED ROWS
 *
 * Beside DIR/pipeline.config writes what nobody trained: checkpoint and model.ckpt-1.*, with numbers for every variable
 * that the config implies, those of rows too, and rows.csv, ROWS lines with a field for each of the config's columns.
 * Fields are drawn from what is common, what is at the edges, and what is wrong: texts of all lengths, pieces and pairs
 * between the usual separators, numbers out of range, nothing. The same seed gives the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "ckpt_writer.h"

static uint64_t state;

static uint32_t draw(uint32_t below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % below;
}

/* ---- variables ------------------------------------------------------------------------------- */

static void put(struct ckpt *to, const char *name, int rank, uint64_t rows, uint64_t columns)
{
    const uint64_t dim[2] = {rows, columns};
    size_t n = rank == 2 ? rows * columns : rows;
    double *numbers = malloc(n * sizeof *numbers);
    bool positive = strstr(name, "variance") != NULL;
    for (size_t i = 0; numbers && i < n; i++)
        numbers[i] = positive ? 0.5 + draw(1000) / 500.0 : ((double)draw(2001) - 1000) / 1500;
    ckpt_put(to, name, DT_FLOAT, rank, dim, numbers);
    free(numbers);
}

static void put_wants(struct ckpt *to, const struct model *m)
{
    for (int i = 0; i < m->n_wants; i++)
        put(to, m->wants[i].name, m->wants[i].rank, (uint64_t)m->wants[i].dim[0], (uint64_t)m->wants[i].dim[1]);
}

static void put_tables(struct ckpt *to, const struct row_program *p)
{
    for (int i = 0; i < p->n_tables; i++) {
        const struct row_table *t = &p->tables[i];
        if (t->network)
            put_wants(to, t->network->original);
        else
            put(to, t->names[0], t->width ? 2 : 1, t->rows, (uint64_t)t->width);
    }
}

/* ---- rows ------------------------------------------------------------------------------------ */

static const char *const words[] = {
    "a", "b", "x", "am", "pm", "4", "7", "12", "0", "-1", "u_1001", "\xe5\xa8\xb1\xe4\xb9\x90", "hello world", " ",
    "the quick brown fox jumps over the lazy dog and then over sixty-four bytes and more of them",
};
static const char *const numbers[] = {
    "0", "-0", "1", "2.5", "-7", "0.1", "1e-45", "3.4e38", "1e39", "1e-50", "0.30000001", "12345678901234567890", "nan", "-inf", "5",
};
static const char *const wholes[] = {"0", "1", "4", "8", "9", "-1", "-2", "2147483647", "-2147483648", "77", "", ""};
static const char *const longs[] = {"9223372036854775807", "-9223372036854775808", "3", "0", "-1", "", "1000000007"};
static const char *const wrong[] = {"abc", "1.5x", "1::2", "--1", "0x", "1e", "4:x", ":", "1|2|3|4|5|6|7|8|9"};

static const char *one_of(const char *const *from, size_t n) { return from[draw((uint32_t)n)]; }
#define ONE_OF(list) one_of(list, sizeof list / sizeof *list)

/* A list of pieces with weights or without, single words, numbers, long texts; `bad`: now and then what is no number. */
static void write_text(FILE *f, bool bad)
{
    uint32_t kind = draw(bad ? 40 : 36), n = draw(8) == 0 ? draw(30) : draw(5);
    if (kind < 6)
        fprintf(f, "%s", ONE_OF(words));
    else if (kind < 10)
        fprintf(f, "%s", ONE_OF(numbers));
    else if (kind < 34)
        for (uint32_t i = 0; i < n; i++)
            fprintf(f, "%s%s", i ? (kind == 20 ? "||" : "|") : "", kind < 22 ? ONE_OF(wholes) : ONE_OF(words));
    else if (kind == 34)
        for (uint32_t i = 0; i < 3000; i++)
            fprintf(f, "t%u|", draw(1000));
    else if (kind > 35)
        fprintf(f, "%s", ONE_OF(wrong));
}

/* Pairs, or numbers, for columns that are named so. */
static void write_named(FILE *f, const char *name, bool bad)
{
    uint32_t n = draw(6);
    if (bad && draw(20) == 0)
        fprintf(f, "%s", ONE_OF(wrong));
    else if (strncmp(name, "pairs", 5) == 0)
        for (uint32_t i = 0; i < n; i++)
            fprintf(f, "%s%s:%s", i ? "|" : "", ONE_OF(words), draw(4) ? "0.5" : draw(2) ? "0" : "-3");
    else if (strncmp(name, "number", 6) == 0)
        fprintf(f, "%s", draw(9) ? ONE_OF(numbers) : "0");
    else if (strncmp(name, "small", 5) == 0)
        for (uint32_t i = 0; i < 3 * n; i++)
            fprintf(f, "%s%.3g", i ? "|" : "", ((double)draw(4000) - 1000) / 1000);
    else if (strncmp(name, "vector", 6) == 0)
        for (uint32_t i = 0; i < n % 4; i++)
            fprintf(f, "%s%s", i ? "|" : "", ONE_OF(numbers));
    else if (strncmp(name, "groups", 6) == 0)
        for (uint32_t i = 0; i < n; i++)
            fprintf(f, "%s%s|%s", i ? ";" : "", ONE_OF(numbers), ONE_OF(numbers));
    else if (strncmp(name, "whole", 5) == 0)
        fprintf(f, "%u", draw(12));
    else
        write_text(f, bad);
}

static void write_steps(FILE *f, uint32_t steps, const char *name)
{
    for (uint32_t i = 0; i < steps; i++)
        fprintf(f, "%s%s", i ? "|" : "", strncmp(name, "step_number", 11) == 0 ? (draw(9) ? "3" : "11") : ONE_OF(words));
}

/* Columns named step... have equally many steps in a row, unless they are bad. */
static void write_field(FILE *f, const struct mmoe_field *field, uint32_t steps, bool bad)
{
    switch (field->type) {
    case MMOE_STRING:
        if (strncmp(field->name, "step", 4) == 0)
            write_steps(f, steps + (bad && draw(9) == 0), field->name);
        else
            write_named(f, field->name, bad);
        return;
    case MMOE_FIELD_INT32: fprintf(f, "%s", ONE_OF(wholes)); return;
    case MMOE_FIELD_INT64: fprintf(f, "%s", ONE_OF(longs)); return;
    case MMOE_FIELD_BOOL: fprintf(f, "%s", draw(3) ? draw(2) ? "true" : "0" : ""); return;
    default: fprintf(f, "%s", draw(8) ? ONE_OF(numbers) : ""); return;
    }
}

static void write_rows(FILE *f, const struct mmoe_lines *lines, int n, bool bad)
{
    for (int r = 0; r < n; r++) {
        uint32_t steps = draw(7) == 0 ? 1 + draw(60) : 1 + draw(9);
        for (uint32_t i = 0; i < lines->n_fields; i++) {
            if (i)
                fputc(lines->separator, f);
            write_field(f, &lines->fields[i], steps, bad);
        }
        fputc('\n', f);
    }
}

static void write_file_of_rows(const char *dir, const char *name, const struct mmoe_lines *lines, int n, bool bad)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f)
        exit(1);
    write_rows(f, lines, n, bad);
    fclose(f);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int fail(const struct job *job)
{
    for (const struct message *m = job->messages; m; m = m->next)
        show_message(m, false, stderr);
    return 1;
}

int main(int argc, char **argv)
{
    struct options options = {.from = "rows"};
    struct job job;
    jmp_buf no_memory;
    char path[4096];
    if (argc != 4) {
        fprintf(stderr, "usage: untrained DIR SEED ROWS\n");
        return 2;
    }
    begin_job(&job, &options);
    job.arena.no_memory = &no_memory;
    if (setjmp(no_memory))
        return 1;
    state = strtoull(argv[2], NULL, 10) * 2654435761u;
    snprintf(path, sizeof path, "%s/pipeline.config", argv[1]);
    const struct source *source = read_source(&job, path);
    struct config *c = source ? read_config(&job, source) : NULL;
    struct features *f = c ? read_features(&job, c) : NULL;
    struct model *m = f ? lower(&job, c, f, NULL) : NULL;
    struct row_program *p = m ? lower_rows(&job, c, f) : NULL;
    if (!p)
        return fail(&job);
    snprintf(path, sizeof path, "%s/model.ckpt-1", argv[1]);
    struct ckpt *to = ckpt_begin(path, 1);
    put_wants(to, m);
    put_tables(to, p);
    ckpt_end(to);
    write_file_of_rows(argv[1], "rows.csv", &p->lines, atoi(argv[3]), false);
    write_file_of_rows(argv[1], "bad.csv", &p->lines, atoi(argv[3]), true);
    end_job(&job);
    return 0;
}
