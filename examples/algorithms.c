/* Sine regression by every algorithm of the table: mean squared error on new sinusoids before and after adapting to ten points of each.
 *
 * The network begins with a context, which CAVIA adapts and to the others is one more parameter. Algorithms that need classes say so.
 *
 * usage: algorithms [ITERATIONS [DEVICE]]
 */
#include <clmaml/clmaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TASKS = 20, SHOTS = 10, NEW_TASKS = 100, STEPS = 3, ALL = NEW_TASKS * SHOTS };

static const char network[] =
    "{\"in_shape\": [1], \"layers\": [{\"op\": \"context\", \"size\": 4}, {\"op\": \"linear\", \"out\": 40}, "
    "{\"op\": \"relu\"}, {\"op\": \"linear\", \"out\": 40}, {\"op\": \"relu\"}, "
    "{\"op\": \"linear\", \"out\": 1}]}";

static float x[2][ALL], y[2][ALL]; /* support, query */

static clm_status draw(const clm_source *source, clm_split split, uint64_t first, int tasks) {
    clm_status status = CLM_OK;
    for (int t = 0, at = 0; t < tasks && status == CLM_OK; t++, at += SHOTS)
        status = clm_source_sample(source, split, 3, first + (uint64_t)t, 1, SHOTS, SHOTS, x[0] + at, y[0] + at, x[1] + at,
                                   y[1] + at);
    return status;
}

static clm_status train(clm_meta *meta, const clm_source *source, int iterations) {
    const clm_batch batch = {.support_x = x[0], .support_y = y[0], .query_x = x[1], .query_y = y[1]};
    clm_status status = CLM_OK;
    for (int i = 0; i < iterations && status == CLM_OK; i++) {
        status = draw(source, CLM_SPLIT_TRAIN, (uint64_t)i * TASKS, TASKS);
        if (status == CLM_OK) status = clm_meta_step(meta, &batch, NULL);
    }
    return status;
}

/* error[k]: after k of the steps, on tasks that training has not seen. */
static clm_status adapt(clm_learner *learner, const clm_source *source, int steps, double error[STEPS + 1]) {
    static double out[ALL];
    clm_status status = draw(source, CLM_SPLIT_TEST, 0, NEW_TASKS);
    if (status == CLM_OK) status = clm_learner_begin(learner, x[0], y[0]);
    for (int k = 0; k <= steps && status == CLM_OK; k++) {
        status = clm_learner_predict(learner, x[1], SHOTS, out);
        error[k] = 0;
        for (int i = 0; i < ALL; i++) error[k] += (out[i] - y[1][i]) * (out[i] - y[1][i]) / ALL;
        if (status == CLM_OK && k < steps) status = clm_learner_step(learner, NULL);
    }
    return status;
}

static clm_status try_algorithm(const char *name, clm_device *device, const clm_model *model, const clm_source *source,
                                int iterations, double error[STEPS + 1]) {
    const bool steps = clm_algorithm_uses(name, "steps"); /* is there an inner loop? */
    clm_meta_options options = CLM_META_OPTIONS_INIT;
    clm_learner_options adapting = CLM_LEARNER_OPTIONS_INIT;
    clm_meta *meta = NULL;
    clm_learner *learner = NULL;
    clm_params *params = NULL;
    options.tasks = TASKS;
    options.optim.lr = 3e-3;
    options.task.algorithm = name;
    options.task.support = options.task.query = SHOTS;
    options.task.steps = steps ? STEPS : 1;
    if (steps) options.task.inner_lr = 0.02;
    options.task.loss.name = "mse";
    adapting.task = options.task; /* the same task for both: so parameters and rates fit by name */
    adapting.tasks = NEW_TASKS;
    clm_status status = clm_meta_create(&meta, device, model, &options);
    if (status == CLM_OK) status = train(meta, source, iterations);
    if (status == CLM_OK) status = clm_params_create(&params, model, &options.task);
    if (status == CLM_OK) status = clm_meta_get_params(meta, params);
    if (status == CLM_OK) status = clm_learner_create(&learner, device, model, &adapting);
    if (status == CLM_OK) status = clm_learner_set_params(learner, params);
    if (status == CLM_OK) status = adapt(learner, source, steps ? STEPS : 0, error);
    if (status == CLM_OK && !steps) error[STEPS] = error[0];
    clm_learner_free(learner);
    clm_params_free(params);
    clm_meta_free(meta);
    return status;
}

int main(int argc, char **argv) {
    const int iterations = argc > 1 ? atoi(argv[1]) : 1000;
    bool worse = false;
    clm_device *device = NULL;
    clm_source *source = NULL;
    clm_model *model = NULL;
    clm_status status = clm_device_open(&device, argc > 2 ? argv[2] : NULL);
    if (status == CLM_OK) status = clm_source_sine(&source);
    if (status == CLM_OK) status = clm_model_parse(&model, network, NULL);
    printf("%-10s %8s %8s   %s\n", "algorithm", "before", "after", "what the inner loop adapts");
    for (size_t i = 0; i < clm_algorithm_count() && status == CLM_OK; i++) {
        const clm_algorithm_info info = clm_algorithm_get_info(i);
        double error[STEPS + 1];
        status = try_algorithm(info.name, device, model, source, iterations, error);
        if (status == CLM_OK) {
            printf("%-10s %8.3f %8.3f   %s\n", info.name, error[0], error[STEPS], info.adapts);
            worse |= !(error[STEPS] <= error[0]);
        } else if (status == CLM_E_ARG) { /* not for this problem */
            printf("%-10s %8s %8s   (%s)\n", info.name, "-", "-", clm_last_error());
            status = CLM_OK;
        }
    }
    if (status != CLM_OK) fprintf(stderr, "algorithms: %s\n", clm_last_error());
    clm_model_free(model);
    clm_source_free(source);
    clm_device_close(device);
    return status == CLM_OK && !worse ? 0 : 1;
}
