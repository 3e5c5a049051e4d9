// SPDX-License-Identifier: Apache-2.0
/* A fuzzer of csv.c and rows.c: any bytes are a file of rows for a model with a feature of every kind.
 *
 * Besides not crashing it must hold that a row has a fault or all its columns: run twice, with other bytes in the columns
 * before, it has the same bytes or the same fault. Tables end where their memory does, so that a sanitizer sees an id
 * beyond them. Features whose columns are often bad come last, for a row ends with its first fault; columns that only a
 * header or few texts fill have defaults that are good. The first byte chooses the reader: with a header, quoted
 * separators, no quotes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mmoec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define F(name, type) "input_fields { input_name: '" name "' input_type: " type " } "
#define TEXT(name, fallback) "input_fields { input_name: '" name "' default_val: '" fallback "' } "
#define MOST_TABLES 32
#define FEATURE(text) "feature_configs { " text " } "

static const char config[] =
    "data_config { label_fields: 'y' " F("y", "INT32") F("s", "STRING") F("t", "STRING") F("i", "INT32") F("l", "INT64")
    F("f", "FLOAT") F("d", "DOUBLE") F("b", "BOOL") TEXT("u", "3") TEXT("v", "1|2") TEXT("w", "1:1|2:2") "} "
    FEATURE("feature_name: 'a' input_names: 's' hash_bucket_size: 7 embedding_dim: 2")
    FEATURE("feature_name: 'b' input_names: 'i' num_buckets: 7 embedding_dim: 2")
    FEATURE("feature_name: 'c' input_names: 's' vocab_list: ['x', 'y', ''] embedding_dim: 2")
    FEATURE("feature_name: 'd' input_names: 's' feature_type: TagFeature hash_bucket_size: 7 embedding_dim: 2 combiner: 'mean'")
    FEATURE("feature_name: 'e' input_names: ['s', 't'] feature_type: TagFeature hash_bucket_size: 7 embedding_dim: 2")
    FEATURE("feature_name: 'f' input_names: 'f' feature_type: RawFeature boundaries: [0, 1, 2] embedding_dim: 2")
    FEATURE("feature_name: 'g' input_names: 'd' feature_type: RawFeature normalizer_fn: 'tf.math.log1p'")
    FEATURE("feature_name: 'h' input_names: ['s', 'i'] feature_type: ComboFeature hash_bucket_size: 7 embedding_dim: 2 "
            "combo_input_seps: ['|', '']")
    FEATURE("feature_name: 'i' input_names: ['d', 's'] feature_type: ComboFeature hash_bucket_size: 7 embedding_dim: 2 "
            "combo_join_sep: 'X' combo_input_seps: ['', '|'] precision: 3")
    FEATURE("feature_name: 'j' input_names: 's' feature_type: SequenceFeature hash_bucket_size: 7 embedding_dim: 2 "
            "seq_multi_sep: ';' sequence_combiner { attention {} }")
    FEATURE("feature_name: 'k' input_names: 'd' hash_bucket_size: 7 embedding_dim: 2 precision: 5")
    FEATURE("feature_name: 'l' input_names: 'l' hash_bucket_size: 7 embedding_dim: 2")
    FEATURE("feature_name: 'm' input_names: 'l' num_buckets: 7 embedding_dim: 2")
    FEATURE("feature_name: 'n' input_names: 'u' num_buckets: 7 embedding_dim: 2")
    FEATURE("feature_name: 'o' input_names: 'u' feature_type: TagFeature num_buckets: 7 embedding_dim: 2 combiner: 'sqrtn'")
    FEATURE("feature_name: 'p' input_names: 'u' feature_type: SequenceFeature num_buckets: 7 embedding_dim: 2 "
            "sequence_combiner { attention {} }")
    FEATURE("feature_name: 'q' input_names: 'f' feature_type: RawFeature num_buckets: 4 min_val: -1 max_val: 3 "
            "embedding_dim: 2")
    FEATURE("feature_name: 'r' input_names: 'v' feature_type: RawFeature raw_input_dim: 3 embedding_dim: 2")
    FEATURE("feature_name: 's' input_names: 'v' feature_type: RawFeature raw_input_dim: 3 boundaries: [0, 1] "
            "embedding_dim: 2")
    FEATURE("feature_name: 't' input_names: 'w' feature_type: TagFeature kv_separator: ':' num_buckets: 7 "
            "embedding_dim: 2")
    FEATURE("feature_name: 'u' input_names: ['s', 'w'] feature_type: LookupFeature kv_separator: ':' "
            "hash_bucket_size: 7 embedding_dim: 2")
    FEATURE("feature_name: 'v' input_names: ['b', 'd'] feature_type: ComboFeature hash_bucket_size: 7 embedding_dim: 2 "
            "precision: 2")
    FEATURE("feature_name: 'w' input_names: 'w' feature_type: TagFeature vocab_list: ['1', '2'] kv_separator: ':' "
            "embedding_dim: 2")
    "model_config { model_class: 'MMoE' feature_groups { group_name: 'all' wide_deep: DEEP feature_names: ['a', 'b', 'c', "
    "'d', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'q', 'v', 'n', 'o', 'p', 'r', 's', 'w', 'u', 'i', 'e', 't'] } mmoe { expert_dnn { hidden_units: 2 } num_expert: 1 "
    "task_towers { tower_name: 't' label_name: 'y' } } }";

/* No feature here has a network. */
void walk_rows(const struct plan *p, const struct mmoe_kernels *kernels, const float *w, const float *x, size_t xs, size_t rows,
               float *y, void *scratch)
{
    (void)p, (void)kernels, (void)w, (void)x, (void)xs, (void)rows, (void)y, (void)scratch;
    bug("a network");
}

const struct mmoe_kernels *mmoe_kernels_best(void) { return NULL; }

const struct mmoe_kernels *mmoe_kernels_named(const char *isa)
{
    (void)isa;
    return NULL;
}

struct plan *make_plan(struct job *job, const struct model *m)
{
    (void)job, (void)m;
    bug("a network");
}

struct model *fold(struct job *job, const struct model *m) { (void)job, (void)m; bug("a network"); }
struct model *fuse(struct job *job, const struct model *m) { (void)job, (void)m; bug("a network"); }
struct model *tidy(struct job *job, const struct model *m) { (void)job, (void)m; bug("a network"); }

static const float *ones(int i, size_t n)
{
    static float *tables[MOST_TABLES];
    if (i >= MOST_TABLES)
        bug("more tables than there is room for");
    if (!tables[i]) {
        tables[i] = malloc(n * sizeof *tables[i]);
        for (size_t k = 0; k < n; k++)
            tables[i][k] = 1;
    }
    return tables[i];
}

static struct row_program *lower_config(struct job *job, uint8_t choice)
{
    struct source s = {"c", config, sizeof config - 1};
    struct config *c = read_config(job, &s);
    struct row_program *p = lower_rows(job, c, read_features(job, c));
    if (!p)
        bug("%s", job->messages->text);
    for (int i = 0; i < p->n_tables; i++)
        p->tables[i].numbers = ones(i, (size_t)p->tables[i].rows * (size_t)p->tables[i].width);
    p->lines.quotes = !(choice & 2);
    p->lines.quoted_separators = (choice & 4) != 0;
    p->lines.skip_header = (choice & 8) != 0;
    return p;
}

/* x [width]: the row's columns, written over bytes `before`. */
static struct row_fault run_over(const struct row_program *p, const struct row_cell *cells, int old, float *x, void *scratch)
{
    struct mmoe_values values[64];
    struct mmoe_row_status status;
    if (p->n_columns > 64)
        bug("more columns than values");
    memset(x, old, (size_t)p->width * sizeof *x);
    memset(scratch, old, rows_scratch(p));
    row_values(&p->lines, cells, values);
    run_rows(p, values, 1, x, &status, scratch);
    return row_fault(&p->lines, cells, status);
}

static void run_twice(const struct row_program *p, const struct row_cell *cells, float *x, float *y, void *scratch,
                      struct row_fault *fault)
{
    *fault = run_over(p, cells, 0x7f, x, scratch);
    struct row_fault again = run_over(p, cells, 0, y, scratch);
    if (!fault->why != !again.why || (fault->why && strcmp(fault->why, again.why) != 0))
        bug("a row is bad, then otherwise");
    if (!fault->why && memcmp(x, y, (size_t)p->width * sizeof *x) != 0)
        bug("a row has other columns the second time");
}

static void read_all(struct job *job, const char *path, uint8_t choice)
{
    struct row_program *p = lower_config(job, choice);
    struct csv *csv = open_csv(job, &p->lines, path, choice & 1);
    void *scratch = arena_aligned(&job->arena, rows_scratch(p));
    struct row_cell *cells = arena_array(&job->arena, p->lines.n_fields, sizeof *cells);
    float *x = malloc((size_t)p->width * sizeof *x), *y = malloc((size_t)p->width * sizeof *y);
    struct row_fault fault;
    while (csv && read_csv(csv, cells, &fault) == CSV_ROW) {
        if (!fault.why)
            run_twice(p, cells, x, y, scratch, &fault);
        if (fault.why)
            blame_row(job, csv_place(csv), &fault, true);
    }
    free(x);
    free(y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct options options;
    jmp_buf no_memory;
    struct job job = {.arena = {.no_memory = &no_memory, .fail_after = -1}, .options = &options};
    char path[32];
    int fd = memfd_create("rows", MFD_CLOEXEC);
    if (fd < 0 || size == 0 || write(fd, data + 1, size - 1) != (ssize_t)size - 1 || setjmp(no_memory)) {
        close(fd);
        return 0;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    read_all(&job, path, data[0]);
    close_files(&job);
    arena_free(&job.arena);
    close(fd);
    return 0;
}
