// SPDX-License-Identifier: Apache-2.0
/* A fuzzer of csv.c and rows.c: any bytes are a file of rows for a model with a feature of every kind.
 *
 * Besides not crashing it must hold that a row has a fault or all its columns: a table holds ones, so that no column of
 * a good row is what it was before. The first byte chooses the reader: with a header, quoted separators, no quotes.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mmoec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define F(name, type) "input_fields { input_name: '" name "' input_type: " type " } "
#define FEATURE(text) "feature_configs { " text " } "

static const char config[] =
    "data_config { label_fields: 'y' " F("y", "INT32") F("s", "STRING") F("t", "STRING") F("i", "INT32") F("l", "INT64")
    F("f", "FLOAT") F("d", "DOUBLE") F("b", "BOOL") "} "
    FEATURE("feature_name: 'a' input_names: 's' hash_bucket_size: 7 embedding_dim: 2")
    FEATURE("feature_name: 'b' input_names: 'i' num_buckets: 7 embedding_dim: 2")
    FEATURE("feature_name: 'c' input_names: 's' vocab_list: ['x', 'y', ''] embedding_dim: 2")
    FEATURE("feature_name: 'd' input_names: 's' feature_type: TagFeature hash_bucket_size: 7 embedding_dim: 2 combiner: 'mean'")
    FEATURE("feature_name: 'e' input_names: ['s', 't'] feature_type: TagFeature hash_bucket_size: 7 embedding_dim: 2")
    FEATURE("feature_name: 'f' input_names: 'f' feature_type: RawFeature boundaries: [0, 1, 2] embedding_dim: 2")
    FEATURE("feature_name: 'g' input_names: 'd' feature_type: RawFeature normalizer_fn: 'tf.math.log1p'")
    FEATURE("feature_name: 'h' input_names: ['s', 'i'] feature_type: ComboFeature hash_bucket_size: 7 embedding_dim: 2 "
            "combo_input_seps: ['|', '']")
    FEATURE("feature_name: 'i' input_names: ['f', 's'] feature_type: ComboFeature hash_bucket_size: 7 embedding_dim: 2 "
            "combo_join_sep: 'X' combo_input_seps: ['', '|'] precision: 3")
    FEATURE("feature_name: 'j' input_names: 's' feature_type: SequenceFeature hash_bucket_size: 7 embedding_dim: 2 "
            "seq_multi_sep: ';' sequence_combiner { attention {} }")
    FEATURE("feature_name: 'k' input_names: 'd' hash_bucket_size: 7 embedding_dim: 2 precision: 5")
    FEATURE("feature_name: 'l' input_names: 'l' hash_bucket_size: 7 embedding_dim: 2")
    "model_config { model_class: 'MMoE' feature_groups { group_name: 'all' wide_deep: DEEP feature_names: ['a', 'b', 'c', "
    "'d', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'] } mmoe { expert_dnn { hidden_units: 2 } num_expert: 1 "
    "task_towers { tower_name: 't' label_name: 'y' } } }";

/* No feature here has a network. */
bool run_engine(struct job *job, struct engine *e, const float *x, size_t rows, float *y)
{
    (void)job, (void)e, (void)x, (void)rows, (void)y;
    bug("a network");
}

static struct row_program *lower_config(struct job *job, uint8_t choice)
{
    struct source s = {"c", config, sizeof config - 1};
    struct config *c = read_config(job, &s);
    struct row_program *p = lower_rows(job, c, read_features(job, c));
    if (!p)
        bug("%s", job->messages->text);
    for (int i = 0; i < p->n_tables; i++) {
        size_t n = (size_t)p->tables[i].rows * (size_t)p->tables[i].width;
        float *ones = arena_array(&job->arena, n, sizeof *ones);
        for (size_t k = 0; k < n; k++)
            ones[k] = 1;
        p->tables[i].numbers = ones;
    }
    p->quotes = !(choice & 2);
    p->quoted_separators = choice & 4;
    p->skip_header = choice & 8;
    return p;
}

static void read_all(struct job *job, const char *path, uint8_t choice)
{
    struct row_program *p = lower_config(job, choice);
    struct csv *csv = open_csv(job, p, path, choice & 1);
    struct row_state *state = open_rows(job, p);
    struct row_cell *cells = arena_array(&job->arena, (size_t)p->n_columns, sizeof *cells);
    float *x = arena_array(&job->arena, (size_t)p->width, sizeof *x), unset;
    struct row_fault fault;
    memset(&unset, 0x7f, sizeof unset);
    while (csv && read_csv(csv, cells, &fault) == CSV_ROW) {
        for (int i = 0; i < p->width; i++)
            x[i] = unset;
        if (!fault.why)
            run_row(state, cells, x, &fault);
        if (fault.why)
            blame_row(job, csv_place(csv), &fault, true);
        for (int i = 0; i < p->width && !fault.why; i++)
            if (memcmp(&x[i], &unset, sizeof unset) == 0)
                bug("column %d was not written", i);
    }
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
