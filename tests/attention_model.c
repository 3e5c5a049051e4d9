// SPDX-License-Identifier: Apache-2.0
/* attention_model DIR
 *
 * Writes an EasyRec model directory that nobody trained, whose features are target attention: pipeline.config, checkpoint,
 * model.ckpt-1.* and rows.csv. Two groups of sequences: one with keys of the group and a history to carry along, one
 * with a key of its own, shorter than its histories, through dense layers. Weights are small numbers of a generator.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckpt_writer.h"

static uint64_t state = 1;

static uint32_t draw(void)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 40);
}

static const char config[] =
    "model_dir: \"ckpt\"\n"
    "data_config { input_type: CSVInput separator: \",\" label_fields: \"y\"\n"
    "  input_fields { input_name: \"y\" input_type: INT32 } input_fields { input_name: \"item\" }\n"
    "  input_fields { input_name: \"brand\" input_type: INT32 } input_fields { input_name: \"own\" input_type: INT64 }\n"
    "  input_fields { input_name: \"items\" } input_fields { input_name: \"brands\" } input_fields { input_name: \"times\" } }\n"
    "feature_configs { input_names: \"item\" hash_bucket_size: 31 embedding_dim: 6 embedding_name: \"items\"\n"
    "  combiner: \"mean\" }\n"
    "feature_configs { input_names: \"brand\" num_buckets: 9 embedding_dim: 2 }\n"
    "feature_configs { input_names: \"own\" num_buckets: 5 embedding_dim: 3 }\n"
    "feature_configs { input_names: \"items\" feature_type: SequenceFeature hash_bucket_size: 31 embedding_dim: 6\n"
    "  embedding_name: \"items\" separator: \"|\" seq_multi_sep: \";\" combiner: \"mean\" }\n"
    "feature_configs { input_names: \"brands\" feature_type: SequenceFeature num_buckets: 9 embedding_dim: 2 separator: \"|\" }\n"
    "feature_configs { input_names: \"times\" feature_type: SequenceFeature vocab_list: [\"am\", \"pm\"] embedding_dim: 5\n"
    "  separator: \"|\" }\n"
    "model_config { model_class: \"MMoE\"\n"
    "  feature_groups { group_name: \"all\" feature_names: [\"item\", \"brand\"] wide_deep: DEEP\n"
    "    sequence_features { group_name: \"bought\" seq_att_map { key: [\"item\", \"brand\"] hist_seq: [\"items\", \"brands\"]\n"
    "      aux_hist_seq: \"times\" } seq_dnn { hidden_units: [20, 7, 1] use_bn: false } }\n"
    "    sequence_features { group_name: \"seen\" allow_key_transform: true transform_dnn: true need_key_feature: false\n"
    "      seq_att_map { key: \"own\" hist_seq: [\"times\", \"brands\"] } seq_dnn { hidden_units: [50, 1] use_bn: false } } }\n"
    "  mmoe { expert_dnn { hidden_units: [16, 8] use_bn: false } num_expert: 3\n"
    "    task_towers { tower_name: \"ctr\" label_name: \"y\" dnn { hidden_units: [8] use_bn: false } } } }\n";

static struct ckpt *writer;

static void put(const char *name, uint64_t rows, uint64_t columns)
{
    double numbers[4096];
    const uint64_t dim[2] = {rows, columns};
    size_t n = rows * (columns ? columns : 1);
    for (size_t i = 0; i < n; i++)
        numbers[i] = ((double)(draw() % 2001) - 1000) / 1500;
    ckpt_put(writer, name, DT_FLOAT, columns ? 2 : 1, dim, numbers);
}

static void put_layer(const char *name, uint64_t in, uint64_t out)
{
    char full[128];
    snprintf(full, sizeof full, "%s/kernel", name);
    put(full, in, out);
    snprintf(full, sizeof full, "%s/bias", name);
    put(full, out, 0);
}

static void put_all(void)
{
    put("input_layer/items/embedding_weights", 31, 6);
    put("input_layer/brand_embedding/embedding_weights", 9, 2);
    put("all/own_embedding/embedding_weights", 5, 3);
    put("all/brands_embedding/embedding_weights", 9, 2);
    put("all/times_embedding/embedding_weights", 2, 5);
    put_layer("seq_dnnbought/dnn_0", 32, 20);
    put_layer("seq_dnnbought/dnn_1", 20, 7);
    put_layer("seq_dnnbought/dnn_2", 7, 1);
    put_layer("sequence_key_transform_layer_seq_dnnseen", 3, 7);
    put_layer("sequence_fea_transform_layer_seq_dnnseen", 7, 7);
    put_layer("seq_dnnseen/dnn_0", 28, 50);
    put_layer("seq_dnnseen/dnn_1", 50, 1);
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "mmoe/expert_%d/dnn_0", i);
        put_layer(name, 8 + 8 + 5 + 8 + 7, 16);
        snprintf(name, sizeof name, "mmoe/expert_%d/dnn_1", i);
        put_layer(name, 16, 8);
    }
    put_layer("mmoe/gate_0/dnn", 36, 3);
    put_layer("ctr/dnn_0", 8, 8);
    put_layer("dnn_output_0", 8, 1);
}

/* Up to 40 steps; the third column of three is words. */
static void write_row(FILE *f)
{
    int steps = (int)(draw() % 5 ? draw() % 40 + 1 : 1);
    fprintf(f, "1,i%u,%d,%d,", draw() % 50, (int)(draw() % 11) - 1, (int)(draw() % 7) - 1);
    for (int i = 0; i < steps; i++)
        fprintf(f, draw() % 4 ? "%si%u" : "%si%u;i1;i2", i ? "|" : "", draw() % 50);
    for (int i = 0; i < steps; i++)
        fprintf(f, "%c%u", i ? '|' : ',', draw() % 10);
    for (int i = 0; i < steps; i++)
        fprintf(f, "%c%s", i ? '|' : ',', draw() % 3 == 0 ? "am" : draw() % 2 ? "pm" : "");
    fprintf(f, "\n");
}

static FILE *create(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f) {
        perror(path);
        exit(1);
    }
    return f;
}

int main(int argc, char **argv)
{
    char prefix[4096];
    if (argc != 2 || (mkdir(argv[1], 0777) != 0 && access(argv[1], W_OK) != 0)) {
        fprintf(stderr, "usage: attention_model DIR\n");
        return 2;
    }
    FILE *f = create(argv[1], "pipeline.config");
    fputs(config, f);
    fclose(f);
    snprintf(prefix, sizeof prefix, "%s/model.ckpt-1", argv[1]);
    writer = ckpt_begin(prefix, 1);
    put_all();
    ckpt_end(writer);
    f = create(argv[1], "rows.csv");
    for (int i = 0; i < 300; i++)
        write_row(f);
    fclose(f);
    return 0;
}
