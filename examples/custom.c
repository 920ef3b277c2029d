/* A model of your own, composed of operations: no layer list knows it, and nothing more needs to be written to meta-learn it.
 *
 *     h = sin(W1 x + b1)             features whose frequencies are learned
 *     y = w2 . (h o sigmoid(W3 h + b3)) + b2        every feature opens or closes by what the others say
 *
 * The inner loop adapts what comes after the features only (a choice by names of parameters); the outer loop learns all, by the
 * exact second-order gradient, and with it one inner rate per element (Meta-SGD).
 *
 * usage: custom [ITERATIONS [DEVICE]]
 */
#include <clmaml/clmaml.h>
#include <stdio.h>
#include <stdlib.h>

enum { FEATURES = 32, TASKS = 20, SHOTS = 10, QUERY = 10 };

static clm_value apply(void *user, clm_graph *g, const clm_value *p, clm_value x, clm_bn_stats *stats) {
    (void)user;
    (void)stats;
    clm_value features = clm_sin(g, clm_linear(g, x, p[0], p[1]));
    clm_value gate = clm_sigmoid(g, clm_linear(g, features, p[2], p[3]));
    return clm_linear(g, clm_mul(g, features, gate), p[4], p[5]);
}

static clm_status make_model(clm_model **out) {
    const clm_shape in = clm_shape_of(1, 1);
    const clm_param params[] = {
        {.name = "features.weight", .shape = clm_shape_of(2, FEATURES, 1), .init = CLM_INIT_NORMAL, .init_scale = 0.7},
        {.name = "features.bias", .shape = clm_shape_of(1, FEATURES), .init = CLM_INIT_NORMAL, .init_scale = 1},
        {.name = "gate.weight", .shape = clm_shape_of(2, FEATURES, FEATURES), .init = CLM_INIT_NORMAL, .init_scale = 0.2},
        {.name = "gate.bias", .shape = clm_shape_of(1, FEATURES)},
        {.name = "out.weight", .shape = clm_shape_of(2, 1, FEATURES), .init = CLM_INIT_NORMAL, .init_scale = 0.2},
        {.name = "out.bias", .shape = clm_shape_of(1, 1)},
    };
    return clm_model_custom(out, &in, params, sizeof params / sizeof params[0], apply, NULL);
}

/* One meta-batch of sinusoids into the four arrays. */
static clm_status draw(const clm_source *source, uint64_t iteration, float x[2][TASKS * SHOTS], float y[2][TASKS * QUERY]) {
    clm_status status = CLM_OK;
    for (int t = 0; t < TASKS && status == CLM_OK; t++)
        status = clm_source_sample(source, CLM_SPLIT_TRAIN, 7, iteration * TASKS + (uint64_t)t, 1, SHOTS, QUERY,
                                   x[0] + t * SHOTS, y[0] + t * SHOTS, x[1] + t * QUERY, y[1] + t * QUERY);
    return status;
}

static clm_status train(clm_meta *meta, const clm_source *source, int iterations, double loss[2]) {
    static float x[2][TASKS * SHOTS], y[2][TASKS * QUERY];
    clm_status status = CLM_OK;
    clm_batch batch = {.support_x = x[0], .support_y = y[0], .query_x = x[1], .query_y = y[1]};
    double recent = 0;
    for (int i = 0; i < iterations && status == CLM_OK; i++) {
        clm_meta_report report;
        status = draw(source, (uint64_t)i, x, y);
        if (status == CLM_OK) status = clm_meta_step(meta, &batch, &report);
        if (status != CLM_OK) break;
        recent = i == 0 ? report.query_loss : 0.95 * recent + 0.05 * report.query_loss;
        if (i == 0) loss[0] = recent;
        if ((i + 1) % 100 == 0 || i == 0)
            printf("iteration %5d  loss of new points after %d steps: %.4f  gradient norm %.3f\n", i + 1, 2, recent,
                   report.grad_norm);
    }
    loss[1] = recent;
    return status;
}

int main(int argc, char **argv) {
    static const char *const adapt[] = {"gate.", "out."};
    int iterations = argc > 1 ? atoi(argv[1]) : 1000;
    double loss[2] = {0, 0};
    clm_device *device = NULL;
    clm_source *source = NULL;
    clm_model *model = NULL;
    clm_meta *meta = NULL;
    clm_meta_options options = CLM_META_OPTIONS_INIT;
    options.tasks = TASKS;
    options.task.support = SHOTS;
    options.task.query = QUERY;
    options.task.steps = 2;
    options.task.inner_lr = 0.02;
    options.task.algorithm = "metasgd"; /* MAML with a learned rate for each element; docs/algorithms.md */
    options.task.inner.rule = "sgd";
    options.task.loss.name = "mse";
    options.task.adapt = adapt;
    options.task.n_adapt = 2;
    options.optim.lr = 3e-3;
    options.optim.clip_kind = CLM_CLIP_NORM;
    options.optim.clip = 10;

    clm_status status = clm_device_open(&device, argc > 2 ? argv[2] : NULL);
    if (status == CLM_OK) status = clm_source_sine(&source);
    if (status == CLM_OK) status = make_model(&model);
    if (status == CLM_OK) status = clm_meta_create(&meta, device, model, &options);
    if (status == CLM_OK) {
        clm_meta_plan plan = clm_meta_get_plan(meta);
        printf("%zu parameters; %.2f MiB, known before the first step\n", clm_model_param_elements(model),
               (double)plan.bytes / 1048576);
        status = train(meta, source, iterations, loss);
    }
    if (status != CLM_OK) fprintf(stderr, "custom: %s\n", clm_last_error());
    clm_meta_free(meta);
    clm_model_free(model);
    clm_source_free(source);
    clm_device_close(device);
    if (status == CLM_OK && iterations >= 50 && !(loss[1] < loss[0])) {
        fprintf(stderr, "custom: training made nothing better\n");
        return 1;
    }
    return status == CLM_OK ? 0 : 1;
}
