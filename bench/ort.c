// SPDX-License-Identifier: Apache-2.0
/* ort.c: ONNX Runtime by its C API, opened with dlopen.
 *
 * OrtGetApiBase()->GetApi(version) answers with a table of functions that only grows at its end; the places of the
 * first 102 have been the same since version 1 (onnxruntime_c_api.h, struct OrtApi). Only those that are called are named
 * here, so no header is needed. Every function that can fail returns a status, NULL if it did not.
 */
#include "bench.h"

#include <dlfcn.h>

enum entry {                        /* of the table */
    GET_ERROR_MESSAGE = 2, CREATE_ENV = 3, CREATE_SESSION = 7, RUN = 9, CREATE_SESSION_OPTIONS = 10,
    SET_OPTIMIZATION = 23, SET_INTRA_THREADS = 24, CREATE_TENSOR_WITH_DATA = 49, CREATE_CPU_MEMORY_INFO = 69,
    RELEASE_VALUE = 96,
};

typedef void (*any_function)(void);
typedef void *status;

struct base {
    const any_function *(*get_api)(uint32_t version);
    const char *(*version)(void);
};

#define MOST_OUTPUTS 4

struct ort {
    const any_function *api;
    const char *version;
    void *env, *memory;
};

typedef status run_function(void *session, const void *options, const char *const *input_names, void *const *inputs,
                            size_t n_inputs, const char *const *output_names, size_t n_outputs, void **outputs);

struct session {
    struct ort *ort;
    void *session;
    run_function *run;
    int n_outputs;
    void *input, *outputs[MOST_OUTPUTS];
};

static const char *const input_names[] = {"x"};
static const char *const output_names[MOST_OUTPUTS] = {"y0", "y1", "y2", "y3"};

/* The function at a place, of these parameters. */
#define CALL(o, at, ...) ((status(*)(__VA_ARGS__))(o)->api[at])

static void check(const struct ort *o, status s)
{
    if (s)
        die("ONNX Runtime: %s", ((const char *(*)(const void *))o->api[GET_ERROR_MESSAGE])(s));
}

struct ort *open_ort(const char *library)
{
    static struct ort ort;
    void *so = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!so)
        die("%s", dlerror());
    const struct base *(*get)(void);
    *(void **)&get = dlsym(so, "OrtGetApiBase");
    if (!get)
        die("%s is not ONNX Runtime", library);
    ort = (struct ort){.api = get()->get_api(1), .version = get()->version()};
    check(&ort, CALL(&ort, CREATE_ENV, int, const char *, void **)(3, "bench", &ort.env));     /* 3: errors are said */
    check(&ort, CALL(&ort, CREATE_CPU_MEMORY_INFO, int, int, void **)(1, 0, &ort.memory));      /* arena, default */
    return &ort;
}

const char *ort_version(const struct ort *o) { return o->version; }

struct session *open_session(struct ort *o, const char *onnx, int outputs)
{
    static struct session sessions[N_STYLES];
    static int n_sessions;
    struct session *s = &sessions[n_sessions++];
    void *options;
    check(o, CALL(o, CREATE_SESSION_OPTIONS, void **)(&options));
    check(o, CALL(o, SET_OPTIMIZATION, void *, int)(options, 99));          /* all */
    check(o, CALL(o, SET_INTRA_THREADS, void *, int)(options, 1));
    *s = (struct session){.ort = o, .run = (run_function *)o->api[RUN], .n_outputs = outputs};
    check(o, CALL(o, CREATE_SESSION, const void *, const char *, const void *, void **)(o->env, onnx, options,
                                                                                       &s->session));
    return s;
}

static void *tensor(const struct ort *o, float *data, size_t rows, size_t columns)
{
    const int64_t shape[] = {(int64_t)rows, (int64_t)columns};
    void *value = NULL;
    check(o, CALL(o, CREATE_TENSOR_WITH_DATA, const void *, void *, size_t, const int64_t *, size_t, int, void **)(
                 o->memory, data, rows * columns * sizeof(float), shape, 2, 1, &value));       /* 1: float */
    return value;
}

static void release(const struct ort *o, void *value)
{
    if (value)
        ((void (*)(void *))o->api[RELEASE_VALUE])(value);
}

void set_rows(struct session *s, const float *x, int inputs, size_t rows, float *y)
{
    release(s->ort, s->input);
    s->input = tensor(s->ort, (float *)(uintptr_t)x, rows, (size_t)inputs);
    for (int i = 0; i < s->n_outputs; i++) {
        release(s->ort, s->outputs[i]);
        s->outputs[i] = tensor(s->ort, y + (size_t)i * rows, rows, 1);
    }
}

void run_session(void *session)
{
    struct session *s = session;
    check(s->ort, s->run(s->session, NULL, input_names, &s->input, 1, output_names, (size_t)s->n_outputs, s->outputs));
}
