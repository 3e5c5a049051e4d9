// SPDX-License-Identifier: Apache-2.0
/* prepare MODELDIR OUT
 *
 * Random weights for a pipeline.config, and the same model for the opponents: in OUT, pipeline.config, model.ckpt-1.*,
 * gemm.onnx, matmul.onnx, plain.c and plain.weights. Prints facts that the bench wants: its multiply-adds.
 *
 * Weights are as He et al. draw them (Delving Deep into Rectifiers, 2015), batch norms near the identity.
 */
#include "bench.h"
#include "../tests/ckpt_writer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "prepare: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static struct job job;
static struct options options;
static jmp_buf no_memory;

static void start_job(const char *model)
{
    options = (struct options){.command = "bench", .model = model};
    begin_job(&job, &options);
    job.arena.no_memory = &no_memory;
}

static _Noreturn void give_up(void)
{
    for (const struct message *m = job.messages; m; m = m->next)
        show_message(m, false, stderr);
    exit(1);
}

static bool ends_in(const char *text, const char *suffix)
{
    size_t n = strlen(text), k = strlen(suffix);
    return n >= k && strcmp(text + n - k, suffix) == 0;
}

/* A number of the variable from a normal one. */
static double draw(const struct want *w, double normal)
{
    if (ends_in(w->name, "/kernel"))
        return normal * sqrt(2.0 / w->dim[0]);
    if (ends_in(w->name, "/gamma"))
        return 1 + 0.1 * normal;
    if (ends_in(w->name, "/moving_variance"))
        return 1 + 0.1 * fabs(normal);
    return 0.1 * normal;            /* biases, betas, means */
}

static size_t count(const struct want *w) { return (size_t)w->dim[0] * (w->rank > 1 ? (size_t)w->dim[1] : 1); }

/* An embedding table, a small uniform number each; freed at once, as some have 10 million rows. */
static void write_table(struct ckpt *c, const struct row_table *t)
{
    const uint64_t dim[] = {t->rows, (uint64_t)t->width}, n = table_floats(t);
    double *v = malloc((size_t)n * sizeof *v);
    uint64_t x = n;
    if (!v)
        die("no memory for %s", t->names[0]);
    for (uint64_t i = 0; i < n; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        v[i] = (double)(x >> 40) * 0x1p-24 - 0.5;
    }
    ckpt_put(c, t->names[0], DT_FLOAT, 2, dim, v);
    free(v);
}

static void write_checkpoint(const struct model *m, const struct row_program *p, const char *prefix)
{
    size_t all = 0;
    for (int i = 0; i < m->n_wants; i++)
        all += count(&m->wants[i]);
    float *normal = NEW_ARRAY(&job, all, float);
    random_rows(normal, all);
    struct ckpt *c = ckpt_begin(prefix, 1);
    for (int i = 0; i < m->n_wants; i++) {
        const struct want *w = &m->wants[i];
        const uint64_t dim[] = {(uint64_t)w->dim[0], (uint64_t)w->dim[1]};
        double *v = NEW_ARRAY(&job, count(w), double);
        for (size_t k = 0; k < count(w); k++)
            v[k] = draw(w, (double)*normal++);
        ckpt_put(c, w->name, DT_FLOAT, w->rank, dim, v);
    }
    for (int i = 0; i < p->n_tables; i++)
        write_table(c, &p->tables[i]);
    ckpt_end(c);
}

static void make_model(const char *from, const char *to)
{
    start_job(from);
    const struct network *n = read_network(&job, false);
    const struct source *config = n ? read_source(&job, join_path(&job, from, "pipeline.config")) : NULL;
    if (!config || !write_file(&job, join_path(&job, to, "pipeline.config"), config->text, config->length))
        give_up();
    const struct row_program *p = lower_rows(&job, n->config, n->features);
    if (!p)
        give_up();
    write_checkpoint(n->original, p, join_path(&job, to, "model.ckpt-1"));
    end_job(&job);
}

static void write_opponents(const char *dir)
{
    start_job(dir);
    const struct network *n = read_network(&job, true);
    const struct model *m = n ? tidy(&job, fold(&job, select_outputs(&job, n->original))) : NULL;
    if (!m)
        give_up();
    write_onnx(&job, m, GEMM, join_path(&job, dir, "gemm.onnx"));
    write_onnx(&job, m, MATMUL, join_path(&job, dir, "matmul.onnx"));
    write_plain(&job, m, dir);
    uint64_t sum = 0;
    for (int i = 0; i < m->n_ops; i++)
        sum += m->ops[i].kind == OP_dense ? multiply_adds(m, &m->ops[i]) : 0;
    printf("multiply_adds %llu\n", (unsigned long long)sum);
    end_job(&job);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        die("usage: prepare MODELDIR OUT");
    if (setjmp(no_memory))
        die("no memory");
    make_model(argv[1], argv[2]);
    write_opponents(argv[2]);
    return 0;
}
