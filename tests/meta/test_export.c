/* Exported models compute what the library does: the C file by itself, compiled and run; ONNX and state dicts in other programs, where
 * they are installed (CLMAML_TEST_PYTHON, or python3). Every layer that a format has is in one of the lists here. */
#include <check.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/files.h"
#include "base/memory.h"
#include "base/random.h"
#include "clmaml/clmaml.h"
#include "support/numbers.h"
#include "support/onnx_reader.h"
#include "support/pictures.h"
#include "support/run.h"

enum { EXAMPLES = 3, SKIPPED = 77 };

static char *directory;
static char file[4][1024]; /* adapted, C, ONNX, state dict */

static void set_up(void) {
    directory = clm_test_directory();
    const char *const ends[] = {"adapted.model", "model.c", "model.onnx", "model.safetensors"};
    for (int i = 0; i < 4; i++) snprintf(file[i], sizeof file[i], "%s/%s", directory, ends[i]);
}
static void tear_down(void) { clm_test_remove(directory); }

/* `ops`: the nodes of ONNX. */
static const struct {
    const char *name, *json, *ops;
} models[] = {
    {"conv4",
     "{\"in_shape\": [1, 12, 12], \"layers\": [{\"op\": \"conv2d\", \"out\": 4}, {\"op\": \"batchnorm\"}, {\"op\": \"relu\"}, "
     "{\"op\": \"maxpool\", \"kernel\": 2}, {\"op\": \"flatten\"}, {\"op\": \"linear\", \"out\": 3}]}",
     "Conv BatchNormalization Relu MaxPool Reshape Gemm "},
    {"windows",
     "{\"in_shape\": [4, 15, 13], \"layers\": [{\"op\": \"conv2d\", \"out\": 6, \"stride\": 2, \"pad\": 2, \"dilation\": 2, "
     "\"groups\": 2, \"bias\": false}, {\"op\": \"batchnorm\", \"eps\": 0.001}, {\"op\": \"avgpool\", \"kernel\": 3, "
     "\"stride\": "
     "2, \"pad\": 1}, {\"op\": \"maxpool\", \"kernel\": 3, \"stride\": 1, \"pad\": 1}, {\"op\": \"conv2d\", \"out\": 5, "
     "\"kernel\": 1}, {\"op\": \"globalavgpool\"}, {\"op\": \"linear\", \"out\": 3, \"bias\": false}]}",
     "Conv BatchNormalization AveragePool MaxPool Conv GlobalAveragePool Reshape Gemm "},
    {"activations",
     "{\"in_shape\": [7], \"layers\": [{\"op\": \"relu\"}, {\"op\": \"linear\", \"out\": 9}, {\"op\": \"tanh\"}, {\"op\": "
     "\"linear\", \"out\": 9}, {\"op\": \"sigmoid\"}, {\"op\": \"linear\", \"out\": 9}, {\"op\": \"gelu\"}, {\"op\": "
     "\"linear\", "
     "\"out\": 9}, {\"op\": \"silu\"}, {\"op\": \"linear\", \"out\": 9}, {\"op\": \"mish\"}, {\"op\": \"linear\", \"out\": 9}, "
     "{\"op\": \"softplus\"}, {\"op\": \"linear\", \"out\": 9}, {\"op\": \"elu\", \"alpha\": 0.7}, {\"op\": \"linear\", "
     "\"out\": 9}, {\"op\": \"leaky_relu\", \"slope\": 0.2}, {\"op\": \"linear\", \"out\": 9}, {\"op\": \"hardtanh\"}, "
     "{\"op\": "
     "\"linear\", \"out\": 9}, {\"op\": \"relu6\"}, {\"op\": \"linear\", \"out\": 2}]}",
     NULL},
    {"steps",
     "{\"in_shape\": [7], \"layers\": [{\"op\": \"linear\", \"out\": 9}, {\"op\": \"sign\"}, {\"op\": \"linear\", \"out\": 9}, "
     "{\"op\": \"round\"}, {\"op\": \"linear\", \"out\": 2}]}",
     "Gemm Sign Gemm Round Gemm "},
    {"norms",
     "{\"in_shape\": [4, 5, 6], \"layers\": [{\"op\": \"layernorm\"}, {\"op\": \"groupnorm\", \"groups\": 2}, {\"op\": "
     "\"lastnorm\"}, {\"op\": \"rmsnorm\", \"eps\": 0.01}, {\"op\": \"linear\", \"out\": 3}, {\"op\": \"reshape\", \"shape\": "
     "[6, "
     "10]}, {\"op\": \"groupnorm\", \"groups\": 3}, {\"op\": \"softmax\"}, {\"op\": \"batchnorm\"}, {\"op\": \"flatten\"}, "
     "{\"op\": \"layernorm\"}, {\"op\": \"linear\", \"out\": 4}, {\"op\": \"log_softmax\"}]}",
     NULL},
    {"residuals",
     "{\"in_shape\": [3, 8, 8], \"layers\": [{\"op\": \"residual\", \"body\": [{\"op\": \"batchnorm\"}, {\"op\": \"relu\"}]}, "
     "{\"op\": \"residual\", \"body\": [{\"op\": \"conv2d\", \"out\": 4, \"stride\": 2}, {\"op\": \"batchnorm\"}, {\"op\": "
     "\"residual\", \"body\": [{\"op\": \"conv2d\", \"out\": 4}]}, {\"op\": \"tanh\"}], \"skip\": [{\"op\": \"conv2d\", "
     "\"out\": "
     "4, \"kernel\": 1, \"stride\": 2}, {\"op\": \"batchnorm\"}]}, {\"op\": \"residual\", \"body\": [{\"op\": \"reshape\", "
     "\"shape\": [64]}, {\"op\": \"linear\", \"out\": 64}, {\"op\": \"reshape\", \"shape\": [4, 4, 4]}]}, {\"op\": \"relu\"}, "
     "{\"op\": \"flatten\"}, {\"op\": \"linear\", \"out\": 5}]}",
     NULL},
    {"series",
     "{\"in_shape\": [2, 17], \"layers\": [{\"op\": \"conv1d\", \"out\": 4, \"stride\": 2, \"pad\": 2, \"dilation\": 2}, "
     "{\"op\": "
     "\"batchnorm\"}, {\"op\": \"maxpool\", \"kernel\": 2, \"stride\": 1}, {\"op\": \"avgpool\", \"kernel\": 3, \"stride\": 1, "
     "\"pad\": 1}, {\"op\": \"residual\", \"body\": [{\"op\": \"conv1d\", \"out\": 4, \"groups\": 4}]}, {\"op\": "
     "\"globalavgpool\"}, {\"op\": \"linear\", \"out\": 3}]}",
     NULL},
    {"contexts",
     "{\"in_shape\": [2, 6, 6], \"layers\": [{\"op\": \"conv2d\", \"out\": 3}, {\"op\": \"film\", \"size\": 5}, {\"op\": "
     "\"relu\"}, {\"op\": \"flatten\"}, {\"op\": \"context\", \"size\": 4}, {\"op\": \"linear\", \"out\": 6}, {\"op\": "
     "\"film\", "
     "\"size\": 2}]}",
     "Conv Mul Add Relu Reshape Pad Add Gemm Mul Add "},
    {"vectors",
     "{\"in_shape\": [5], \"layers\": [{\"op\": \"batchnorm\"}, {\"op\": \"residual\", \"body\": [{\"op\": \"relu\"}]}, "
     "{\"op\": "
     "\"linear\", \"out\": 6, \"bias\": false}, {\"op\": \"reshape\", \"shape\": [2, 3]}]}",
     "BatchNormalization Relu Add Gemm Reshape "},
    {"dropout",
     "{\"in_shape\": [2, 6, 6], \"layers\": [{\"op\": \"dropout\", \"rate\": 0.2}, {\"op\": \"conv2d\", \"out\": 3}, {\"op\": "
     "\"residual\", \"body\": [{\"op\": \"relu\"}, {\"op\": \"dropout\", \"rate\": 0.5}], \"drop_path\": 0.3}, {\"op\": "
     "\"residual\", \"body\": [{\"op\": \"dropout\", \"rate\": 0.5}]}, {\"op\": \"flatten\"}, {\"op\": \"linear\", \"out\": "
     "2}, "
     "{\"op\": \"dropout\", \"rate\": 0.1}]}",
     "Conv Relu Add Add Reshape Gemm "},
    {"view", "{\"in_shape\": [2, 3], \"layers\": [{\"op\": \"flatten\"}, {\"op\": \"linear\", \"out\": 2}]}", "Reshape Gemm "},
};
enum { MODELS = sizeof models / sizeof models[0] };

/* ---- an adapted model with numbers at random ---- */

static void add_random(clm_archive *archive, clm_random *r, const char *name, const clm_shape *shape, double least,
                       double scale) {
    const size_t n = clm_shape_size(shape);
    double *values = clm_calloc(n, sizeof *values);
    for (size_t i = 0; i < n; i++) values[i] = least ? least + clm_random_uniform(r) : scale * clm_random_normal(r);
    CLM_TEST_OK(clm_archive_add(archive, name, CLM_F32, shape, values));
    free(values);
}

/* A batch-norm layer has a weight that is followed by no other axis: its parameters are known by their role. */
static clm_archive *adapted(const char *json, uint64_t seed) {
    clm_random r = clm_random_make(seed, 5);
    clm_model *model;
    clm_archive *archive;
    char name[96];
    size_t stats = 0;
    CLM_TEST_OK(clm_model_parse(&model, json, NULL));
    CLM_TEST_OK(clm_archive_create(&archive));
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        const clm_param *p = clm_model_param(model, i);
        snprintf(name, sizeof name, "param.%s", p->name);
        add_random(archive, &r, name, &p->shape, 0, p->init == CLM_INIT_NORMAL ? p->init_scale : 0.5);
        if (p->role != CLM_PARAM_BATCH_NORM || !strstr(p->name, ".weight")) continue;
        snprintf(name, sizeof name, "batch_norm.%zu.mean", stats);
        add_random(archive, &r, name, &p->shape, 0, 0.3);
        snprintf(name, sizeof name, "batch_norm.%zu.var", stats++);
        add_random(archive, &r, name, &p->shape, 0.1, 0);
    }
    CLM_TEST_OK(clm_archive_set_meta(archive, "clmaml.model", clm_model_json(model)));
    CLM_TEST_OK(clm_archive_set_meta(archive, "clmaml.adapted",
                                     "{\"algorithm\": \"maml\", \"ways\": 0, \"names\": "
                                     "[\"ant\", \"b\\\"\\\\ee?\?/\", \"K\\u00e4fer\"]}"));
    clm_model_free(model);
    return archive;
}

typedef struct run {
    float *x;
    double *out;
    size_t inputs, outputs; /* of one example */
} run;

static run predictions(clm_device *device, const clm_archive *archive, uint64_t seed) {
    clm_random r = clm_random_make(seed, 6);
    clm_learner *learner;
    CLM_TEST_OK(clm_learner_load_archive(&learner, device, archive, NULL));
    const clm_learner_info info = clm_learner_get_info(learner);
    const clm_shape in = clm_model_in_shape(info.model);
    run p = {.inputs = clm_shape_size(&in), .outputs = info.outputs};
    p.x = clm_calloc(EXAMPLES * p.inputs, sizeof *p.x);
    p.out = clm_calloc(EXAMPLES * p.outputs, sizeof *p.out);
    for (size_t i = 0; i < EXAMPLES * p.inputs; i++) p.x[i] = (float)clm_random_normal(&r);
    CLM_TEST_OK(clm_learner_predict(learner, p.x, EXAMPLES, p.out));
    clm_learner_free(learner);
    return p;
}

static void free_run(run *p) {
    free(p->x);
    free(p->out);
}

static void export_as(const clm_archive *archive, const char *format, const char *path) {
    const clm_status status = clm_export(archive, format, path, NULL);
    ck_assert_msg(status == CLM_OK, "%s: %s", format, clm_last_error());
}

/* ---- C ---- */

/* The program around a C file: floats from stdin, floats to stdout. */
static void write_main(const char *path) {
    const char *text = "#include <stdio.h>\n"
                       "#include \"model.c\"\n"
                       "int main(void) {\n"
                       "    static float x[MODEL_INPUTS], y[MODEL_OUTPUTS];\n"
                       "    while (fread(x, sizeof x, 1, stdin) == 1) {\n"
                       "        model_predict(x, y);\n"
                       "        fwrite(y, sizeof y, 1, stdout);\n"
                       "    }\n"
                       "    return 0;\n"
                       "}\n";
    CLM_TEST_OK(clm_file_write(path, text, strlen(text)));
}

static void shell(const char *format, ...) {
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    ck_assert_msg(system(command) == 0, "failed: %s", command);
}

static const char *compiler(void) {
    const char *cc = getenv("CLMAML_TEST_CC");
    return cc && *cc ? cc : "cc";
}

static double difference(const run *p, const float *got) {
    double most = 0, error = 0;
    for (size_t i = 0; i < EXAMPLES * p->outputs; i++) {
        error = fmax(error, isfinite(got[i]) ? fabs(got[i] - p->out[i]) : INFINITY);
        most = fmax(most, fabs(p->out[i]));
    }
    return error / most;
}

static void expect_c(const run *p, const char *name) {
    char *data;
    size_t size;
    char path[1100];
    snprintf(path, sizeof path, "%s/in", directory);
    CLM_TEST_OK(clm_file_write(path, p->x, EXAMPLES * p->inputs * sizeof *p->x));
    snprintf(path, sizeof path, "%s/main.c", directory);
    write_main(path);
    shell("cd %s && %s -std=c99 -Wall -Wextra -Werror -pedantic -c model.c -o model.o", directory, compiler());
    shell("cd %s && %s -std=c99 -Wall -Wextra -Werror -pedantic main.c -o main -lm && ./main <in >out", directory, compiler());
    snprintf(path, sizeof path, "%s/out", directory);
    CLM_TEST_OK(clm_file_read(path, &data, &size));
    ck_assert_uint_eq(size, EXAMPLES * p->outputs * sizeof(float));
    const double e = difference(p, (const float *)(const void *)data);
    free(data);
    ck_assert_msg(e <= 1e-5, "%s: the C file differs by %g", name, e);
}

/* ---- every layer ---- */

static void check_onnx(const char *expected_ops, size_t least) {
    char *data;
    size_t size;
    CLM_TEST_OK(clm_file_read(file[2], &data, &size));
    const clm_test_onnx o = clm_test_onnx_read((const unsigned char *)data, size);
    free(data);
    ck_assert_int_eq(o.ir, 7);
    ck_assert_int_eq(o.opset, 13);
    ck_assert_str_eq(o.input, "input");
    ck_assert_str_eq(o.output, "logits");
    ck_assert_str_eq(o.graph, "model");
    ck_assert_str_eq(o.meta[0][0], "clmaml.classes");
    ck_assert_ptr_nonnull(strstr(o.meta[0][1], "\"K\303\244fer\""));
    ck_assert_uint_ge(o.elements, least);
    if (expected_ops) ck_assert_str_eq(o.ops, expected_ops);
}

static void check_state(const clm_archive *from) {
    clm_archive *state;
    size_t norms = 0, found = 0;
    CLM_TEST_OK(clm_archive_load(&state, file[3]));
    for (size_t i = 0; i < clm_archive_count(state); i++) norms += strstr(clm_archive_name(state, i), ".running_mean") != NULL;
    for (size_t i = 0; i < clm_archive_count(from); i++) {
        const char *name = clm_archive_name(from, i);
        if (strncmp(name, "param.", 6) != 0) continue;
        const clm_shape *shape = clm_archive_shape(state, name + 6);
        ck_assert_msg(shape && clm_shape_equal(shape, clm_archive_shape(from, name)), "%s", name);
        found++;
    }
    ck_assert_uint_eq(clm_archive_count(state), found + 3 * norms); /* running_mean, running_var, num_batches_tracked */
    ck_assert_str_eq(clm_archive_meta(state, "format"), "pt");
    clm_archive_free(state);
}

static size_t parameters(const char *json) {
    clm_model *model;
    CLM_TEST_OK(clm_model_parse(&model, json, NULL));
    const size_t n = clm_model_param_elements(model);
    clm_model_free(model);
    return n;
}

START_TEST(every_layer) {
    clm_device *device = clm_test_open_host();
    clm_archive *archive = adapted(models[_i].json, 40 + (uint64_t)_i);
    const bool folded = strstr(models[_i].json, "film") != NULL; /* weights that are not in the file */
    run p = predictions(device, archive, 9);
    export_as(archive, "c", file[1]);
    export_as(archive, "onnx", file[2]);
    export_as(archive, "safetensors", file[3]);
    expect_c(&p, models[_i].name);
    check_onnx(models[_i].ops, folded ? 0 : parameters(models[_i].json));
    check_state(archive);
    free_run(&p);
    clm_archive_free(archive);
    clm_device_close(device);
}
END_TEST

/* ---- in other programs ---- */

static void write_case(clm_device *device, size_t i) {
    static const char *const formats[] = {"onnx", "safetensors"};
    clm_archive *archive = adapted(models[i].json, 40 + (uint64_t)i);
    run p = predictions(device, archive, 9);
    char path[1100];
    float *out = clm_calloc(EXAMPLES * p.outputs, sizeof *out);
    for (size_t k = 0; k < EXAMPLES * p.outputs; k++) out[k] = (float)p.out[k];
    snprintf(path, sizeof path, "%s/%s.json", directory, models[i].name);
    CLM_TEST_OK(clm_file_write(path, models[i].json, strlen(models[i].json)));
    snprintf(path, sizeof path, "%s/%s.in", directory, models[i].name);
    CLM_TEST_OK(clm_file_write(path, p.x, EXAMPLES * p.inputs * sizeof *p.x));
    snprintf(path, sizeof path, "%s/%s.out", directory, models[i].name);
    CLM_TEST_OK(clm_file_write(path, out, EXAMPLES * p.outputs * sizeof *out));
    for (int k = 0; k < 2; k++) {
        snprintf(path, sizeof path, "%s/%s.%s", directory, models[i].name, formats[k]);
        export_as(archive, formats[k], path);
    }
    free(out);
    free_run(&p);
    clm_archive_free(archive);
}

START_TEST(other_programs) {
    const char *python = getenv("CLMAML_TEST_PYTHON"), *root = getenv("CLMAML_SOURCE_DIR");
    clm_device *device = clm_test_open_host();
    char command[4096];
    ck_assert_msg(root && root[0], "set CLMAML_SOURCE_DIR to the top of the source tree");
    for (size_t i = 0; i < MODELS; i++) write_case(device, i);
    clm_device_close(device);
    snprintf(command, sizeof command, "%s %s/tests/support/check_export.py %s", python && *python ? python : "python3", root,
             directory);
    const int status = system(command);
    if (status != -1 && WIFEXITED(status) && (WEXITSTATUS(status) == SKIPPED || WEXITSTATUS(status) == 127)) {
        printf("skipped: %s has neither onnxruntime nor torch (CLMAML_TEST_PYTHON names another)\n",
               python && *python ? python : "python3");
        return;
    }
    ck_assert_msg(status == 0, "failed: %s", command);
}
END_TEST

/* ---- from a checkpoint ---- */

enum { WAYS = 3, SHOTS = 2, SIZE = 16 };

/* A learner that has adapted, saved; its file exported. */
START_TEST(adapted_by) {
    static const char *const algorithms[] = {"maml", "protonet", "cavia"};
    static const char *const names[] = {"ant", "bee", "cat"};
    static float x[2][WAYS * SHOTS * SIZE * SIZE], y[2][WAYS * SHOTS];
    const char *algorithm = algorithms[_i];
    const bool prototypes = strcmp(algorithm, "protonet") == 0;
    const clm_preparation preparation = {SIZE, 1, CLM_FIT_STRETCH, true, 255, {0.25}, {0.5}};
    clm_conv4_options net = CLM_CONV4_OPTIONS_INIT;
    clm_task_options o = CLM_TASK_OPTIONS_INIT;
    clm_device *device = clm_test_open_host();
    clm_model *model;
    clm_params *params;
    clm_archive *archive;
    clm_learner *learner;
    clm_source *source;
    net.filters = 4;
    net.ways = WAYS;
    net.size = SIZE;
    net.headless = prototypes;
    net.film_context = strcmp(algorithm, "cavia") == 0 ? 5 : 0;
    CLM_TEST_OK(clm_model_conv4(&model, &net));
    o.algorithm = algorithm;
    if (!prototypes) o.steps = 2, o.inner_lr = 0.1;
    if (prototypes) o.ways = WAYS;
    o.support = o.query = WAYS * SHOTS;
    CLM_TEST_OK(clm_params_create(&params, model, &o));
    CLM_TEST_OK(clm_params_reset(params, 7));
    CLM_TEST_OK(clm_archive_create(&archive));
    CLM_TEST_OK(clm_params_save(params, archive, CLM_F32));
    CLM_TEST_OK(clm_learner_describe(archive, model, &o, SHOTS, 2, &preparation));
    ck_assert_int_eq(clm_export(archive, "c", file[1], NULL), CLM_E_ARG);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "not adapted"));
    CLM_TEST_OK(clm_source_glyphs(&source, SIZE));
    CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TEST, 3, 1, WAYS, SHOTS, SHOTS, x[0], y[0], x[1], y[1]));
    CLM_TEST_OK(clm_learner_load_archive(&learner, device, archive, NULL));
    CLM_TEST_OK(clm_learner_adapt(learner, x[0], y[0]));
    run p = {.x = x[1], .inputs = SIZE * SIZE, .outputs = WAYS, .out = (double[EXAMPLES * WAYS]){0}};
    CLM_TEST_OK(clm_learner_predict(learner, p.x, EXAMPLES, p.out));
    CLM_TEST_OK(clm_learner_save(learner, file[0], names));
    clm_archive_free(archive);
    CLM_TEST_OK(clm_archive_load(&archive, file[0]));
    export_as(archive, "c", file[1]);
    expect_c(&p, algorithm);
    export_as(archive, "onnx", file[2]);
    export_as(archive, "safetensors", file[3]);
    char *text;
    CLM_TEST_OK(clm_file_read(file[1], &text, NULL));
    ck_assert_ptr_nonnull(strstr(text, "#define MODEL_MEAN {0.25f}"));
    ck_assert_ptr_nonnull(strstr(text, "#define MODEL_WIDTH 16"));
    ck_assert_ptr_nonnull(strstr(text, "\"bee\""));
    free(text);
    clm_archive_free(archive);
    clm_learner_free(learner);
    clm_source_free(source);
    clm_params_free(params);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- what is refused ---- */

static void expect_refused(const clm_archive *archive, const char *format, const char *name, clm_status status,
                           const char *message) {
    clm_export_options o = CLM_EXPORT_OPTIONS_INIT;
    o.name = name;
    ck_assert_int_eq(clm_export(archive, format, file[1], &o), status);
    ck_assert_msg(strstr(clm_last_error(), message), "%s", clm_last_error());
    ck_assert_msg(!clm_path_exists(file[1]), "a file was left behind");
}

START_TEST(refused) {
    const char *tokens =
        "{\"in_shape\": [5, 4], \"layers\": [{\"op\": \"gru\", \"out\": 3, \"last\": true}, {\"op\": \"linear\", "
        "\"out\": 2}]}";
    clm_archive *archive = adapted(models[0].json, 1), *recurrent = adapted(tokens, 1);
    const clm_shape four = clm_shape_of(1, 4);
    expect_refused(archive, "caffe", NULL, CLM_E_ARG, "\"caffe\" is not a format; known: onnx, safetensors, c");
    expect_refused(archive, "c", "2nd", CLM_E_ARG, "no identifier");
    expect_refused(recurrent, "onnx", NULL, CLM_E_ARG,
                   "layer 0 (gru): the format onnx does not have it; these do: safetensors");
    expect_refused(recurrent, "c", NULL, CLM_E_ARG, "layer 0 (gru): the format c does not have it; these do: safetensors");
    export_as(recurrent, "safetensors", file[3]);
    CLM_TEST_OK(clm_archive_add(archive, "batch_norm.0.var", CLM_F32, &four, (const double[]){1, 2, NAN, 3}));
    expect_refused(archive, "onnx", NULL, CLM_E_NUMERIC, "batch_norm.0.var");
    CLM_TEST_OK(clm_archive_add(archive, "batch_norm.0.var", CLM_F32, &four, (const double[]){1, 2, -1, 3}));
    expect_refused(archive, "c", NULL, CLM_E_NUMERIC, "1.running_var\": -1 is no variance");
    CLM_TEST_OK(clm_archive_add(archive, "batch_norm.0.var", CLM_F32, &(clm_shape){1, {2}}, (const double[]){1, 2}));
    expect_refused(archive, "onnx", NULL, CLM_E_SHAPE, "batch_norm.0.var");
    CLM_TEST_OK(clm_archive_set_meta(archive, "clmaml.model", ""));
    expect_refused(archive, "onnx", NULL, CLM_E_FORMAT, "holds no model");
    clm_archive_free(archive);
    clm_archive_free(recurrent);
    for (size_t i = 0; i < clm_export_format_count(); i++) ck_assert(clm_export_format_name(i) && clm_export_format_summary(i));
    ck_assert_ptr_null(clm_export_format_name(clm_export_format_count()));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("export");
    TCase *tcase = tcase_create("export");
    tcase_set_timeout(tcase, 240);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, every_layer, 0, MODELS);
    tcase_add_test(tcase, other_programs);
    tcase_add_loop_test(tcase, adapted_by, 0, 3);
    tcase_add_test(tcase, refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
