// SPDX-License-Identifier: Apache-2.0
/* report.c: the bench's results as Markdown, for people and README.md, and as JSON. */
#include "results.h"

#include <math.h>
#include <string.h>

static const struct build_fact *find_build(const struct facts *facts, const char *target, const char *compiler)
{
    for (int i = 0; i < facts->n_builds; i++)
        if (strcmp(facts->build[i].target, target) == 0 && strcmp(facts->build[i].compiler, compiler) == 0)
            return &facts->build[i];
    die("no fact of %s by %s", target, compiler);
}

/* ---- Markdown -------------------------------------------------------------------------------- */

static const char *shown(const char *isa)
{
    static const char *const names[][2] = {{"avx512", "AVX-512"}, {"avx2", "AVX2"}, {"neon", "NEON"}};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(isa, names[i][0]) == 0)
            return names[i][1];
    return isa;
}

/* Three digits that count. */
static void cell(double x)
{
    printf(" %.*f |", x >= 100 ? 0 : x >= 10 ? 1 : x >= 1 ? 2 : x >= 0.1 ? 3 : 4, x);
}

static void empty_cell(void) { printf(" |"); }

static void percent_cell(double share) { printf(" %.0f %% |", 100 * share); }

static double peak_share(const struct model_result *m, const struct column *c, int i)
{
    return 2 * m->facts.multiply_adds * batches[i] / c->ours[i] / c->peak[i];
}

static double better_style(const struct column *c, int i) { return fmin(c->ort[GEMM][i], c->ort[MATMUL][i]); }

/* Weights that lie in the nearest cache do not stream. */
static bool streams(const struct column *c, int i) { return c->weight_bytes > 2 * level_bytes(0) && batches[i] <= 16; }

static void print_column(const struct model_result *m, const struct column *c)
{
    printf("| **%s**, us a row |", shown(c->isa));
    for (int i = 0; i < N_BATCHES; i++)
        cell(1e6 * c->ours[i] / batches[i]);
    printf("\n| ONNX Runtime%s |", c->limited ? "" : " (not limited to it)");
    for (int i = 0; i < N_BATCHES; i++)
        cell(1e6 * better_style(c, i) / batches[i]);
    printf("\n| plain C loop |");
    for (int i = 0; i < N_BATCHES; i++)
        c->plain[i] > 0 ? cell(1e6 * c->plain[i] / batches[i]) : empty_cell();
    printf("\n| **ONNX Runtime : ours** |");
    for (int i = 0; i < N_BATCHES; i++)
        cell(better_style(c, i) / c->ours[i]);
    printf("\n| share of the peak |");
    for (int i = 0; i < N_BATCHES; i++)
        percent_cell(peak_share(m, c, i));
    printf("\n");
    if (!streams(c, 0))
        return;
    printf("| share of the weights' stream |");
    for (int i = 0; i < N_BATCHES; i++)
        streams(c, i) ? percent_cell(c->stream[i] / c->ours[i]) : empty_cell();
    printf("\n");
}

static double median_peak(const struct column *c)
{
    double copy[N_BATCHES];
    memcpy(copy, c->peak, sizeof copy);
    return percentile(copy, N_BATCHES, 0.5);
}

static double stream_speed(const struct column *c)
{
    double copy[N_BATCHES];
    memcpy(copy, c->stream, sizeof copy);
    return (double)c->weight_bytes / percentile(copy, N_BATCHES, 0.5);
}

static void print_model_table(const struct model_result *m)
{
    printf("### %s\n\n%.0f multiply-adds a row, %.3g MB of weights.", m->facts.title, m->facts.multiply_adds,
           1e-6 * (double)m->columns[0].weight_bytes);
    for (int k = 0; k < arguments.n_isas; k++) {
        const struct column *c = &m->columns[k];
        printf(" %s: peak %.0f GFLOP/s, stream %.0f GB/s.", shown(c->isa), 1e-9 * median_peak(c), 1e-9 * stream_speed(c));
    }
    printf("\n\n| rows a call |");
    for (int i = 0; i < N_BATCHES; i++)
        printf(" %d |", batches[i]);
    printf("\n|---|");
    for (int i = 0; i < N_BATCHES; i++)
        printf("---:|");
    printf("\n");
    for (int k = 0; k < arguments.n_isas; k++)
        print_column(m, &m->columns[k]);
    printf("\n");
}

static void print_build_row(const struct model_result *m, const char *target, long bytes)
{
    const struct build_fact *gcc = find_build(&m->facts, target, "gcc");
    const struct build_fact *clang = find_build(&m->facts, target, "clang");
    printf("| %s | %s | %ld | %ld | %ld | %.0f | %.0f |", m->name, target, bytes, gcc->text, clang->text, gcc->ms,
           clang->ms);
    const struct column *c = NULL;
    for (int k = 0; k < arguments.n_isas; k++)
        if (strcmp(m->columns[k].isa, target) == 0)
            c = &m->columns[k];
    for (int i = 0; c && i < N_BUILD_BATCHES; i++)
        printf("%s %.2f", i ? "," : "", c->build[CLANG][i] / c->build[GCC][i]);
    if (c)
        printf(" | %.1f | %.1f |\n", 1e3 * c->load, 1e3 * c->ort_load);
    else
        printf(" | | |\n");
}

void print_markdown(const struct model_result *models)
{
    const struct column *any = &models[0].columns[0];
    printf("%s, one core, one thread; ONNX Runtime %s by its C API, one thread, tensors allocated before,\n"
           "the better of two graphs; weights random. Medians of %d rounds of %.0f ms, all in turns.\n\n",
           processor_name(&job), any->ort_version, arguments.rounds, 1e3 * ROUND_SECONDS);
    for (int i = 0; i < arguments.n_models; i++)
        print_model_table(&models[i]);
    for (int k = 0; k < arguments.n_isas; k++)
        if (!models[0].columns[k].limited)
            printf("This system has no CPUID faulting: ONNX Runtime beside %s may use more than that.\n\n",
                   shown(arguments.isas[k]));
    printf("### Generated code\n\nWeights in a file of their own; -O2; times of gcc and clang are of compiling, and their ratio\n"
           "is of scoring 1, 16 and 256 rows. Loading: until the first score is possible, self test included.\n\n"
           "| model | target | bytes of C | text, gcc | text, clang | gcc, ms | clang, ms | clang : gcc | loads in ms "
           "| ONNX Runtime |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (int i = 0; i < arguments.n_models; i++)
        for (int k = 0; k < models[i].facts.n_c; k++)
            print_build_row(&models[i], models[i].facts.c[k].target, models[i].facts.c[k].bytes);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void column_json(const struct model_result *m, const struct column *c, FILE *to)
{
    fprintf(to, "{\"isa\":\"%s\",\"ort_limited\":%s,\"ort_error\":%.3g,\"plain_error\":%.3g,\"load_ms\":%.4g,"
                "\"ort_load_ms\":%.4g,\n   \"batches\":[",
            c->isa, c->limited ? "true" : "false", c->ort_error, c->plain_error, 1e3 * c->load, 1e3 * c->ort_load);
    for (int i = 0; i < N_BATCHES; i++) {
        fprintf(to, "%s\n    {\"rows\":%d,\"us_a_row\":%.5g,\"ort_gemm_us_a_row\":%.5g,\"ort_matmul_us_a_row\":%.5g,"
                    "\"ratio\":%.4g,"
                    "\"peak_gflops\":%.4g,\"of_peak\":%.4g,\"stream_gb_s\":%.4g,\"of_stream\":%.4g,\"plain_us_a_row\":",
                i ? "," : "", batches[i], 1e6 * c->ours[i] / batches[i], 1e6 * c->ort[GEMM][i] / batches[i],
                1e6 * c->ort[MATMUL][i] / batches[i], better_style(c, i) / c->ours[i], 1e-9 * c->peak[i],
                peak_share(m, c, i),
                1e-9 * (double)c->weight_bytes / c->stream[i], c->stream[i] / c->ours[i]);
        fprintf(to, c->plain[i] > 0 ? "%.5g}" : "null}", 1e6 * c->plain[i] / batches[i]);
    }
    fprintf(to, "],\n   \"builds\":[");
    for (int i = 0; i < N_BUILD_BATCHES; i++)
        fprintf(to, "%s\n    {\"rows\":%d,\"gcc_us_a_row\":%.5g,\"clang_us_a_row\":%.5g,\"all_isa\":\"%s\","
                    "\"all_us_a_row\":%.5g}",
                i ? "," : "", build_batches[i], 1e6 * c->build[GCC][i] / build_batches[i],
                1e6 * c->build[CLANG][i] / build_batches[i], c->all_isa, 1e6 * c->build[ALL][i] / build_batches[i]);
    fprintf(to, "]}");
}

static void model_json(const struct model_result *m, FILE *to)
{
    fprintf(to, "{\"model\":\"%s\",\"title\":\"%s\",\"multiply_adds\":%.0f,\"weight_bytes\":%zu,\n  \"code\":[",
            m->name, m->facts.title, m->facts.multiply_adds, m->columns[0].weight_bytes);
    for (int k = 0; k < m->facts.n_c; k++) {
        const char *target = m->facts.c[k].target;
        const struct build_fact *gcc = find_build(&m->facts, target, "gcc");
        const struct build_fact *clang = find_build(&m->facts, target, "clang");
        fprintf(to, "%s\n   {\"target\":\"%s\",\"c_bytes\":%ld,\"gcc_text\":%ld,\"gcc_ms\":%.0f,\"clang_text\":%ld,"
                    "\"clang_ms\":%.0f}",
                k ? "," : "", target, m->facts.c[k].bytes, gcc->text, gcc->ms, clang->text, clang->ms);
    }
    fprintf(to, "],\n  \"isas\":[");
    for (int k = 0; k < arguments.n_isas; k++) {
        fprintf(to, k ? ",\n  " : "\n  ");
        column_json(m, &m->columns[k], to);
    }
    fprintf(to, "]}");
}

void write_json(const struct model_result *models)
{
    FILE *to = fopen(arguments.json, "w");
    if (!to)
        die("%s cannot be written", arguments.json);
    fprintf(to, "{\"processor\":\"%s\",\"onnxruntime\":\"%s\",\"rounds\":%d,\"round_seconds\":%g,\n \"models\":[",
            processor_name(&job), models[0].columns[0].ort_version, arguments.rounds, ROUND_SECONDS);
    for (int i = 0; i < arguments.n_models; i++) {
        fprintf(to, i ? ",\n " : "\n ");
        model_json(&models[i], to);
    }
    fprintf(to, "]}\n");
    if (fclose(to) != 0)
        die("%s cannot be written", arguments.json);
}
