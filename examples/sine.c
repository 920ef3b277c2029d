/* Sine regression (Finn et al. 2017): meta-learn a network that fits a new sinusoid from ten points in a few gradient steps.
 *
 * usage: sine [ITERATIONS [DEVICE]]
 */
#include <clmaml/clmaml.h>
#include <stdio.h>
#include <stdlib.h>

enum { TASKS = 25, SHOTS = 10, QUERY = 10, NEW_TASKS = 100, TEST_STEPS = 10 };

/* Room for a batch; a sine example is one number, so is its target. */
typedef struct numbers {
    float support_x[NEW_TASKS * SHOTS], support_y[NEW_TASKS * SHOTS], query_x[NEW_TASKS * QUERY], query_y[NEW_TASKS * QUERY];
} numbers;

static clm_status draw(const clm_source *source, clm_split split, uint64_t seed, uint64_t first, int tasks, numbers *to) {
    clm_status status = CLM_OK;
    for (int t = 0; t < tasks && status == CLM_OK; t++)
        status = clm_source_sample(source, split, seed, first + (uint64_t)t, 1, SHOTS, QUERY, to->support_x + t * SHOTS,
                                   to->support_y + t * SHOTS, to->query_x + t * QUERY, to->query_y + t * QUERY);
    return status;
}

static clm_status train(clm_meta *meta, const clm_source *source, int iterations, numbers *room) {
    clm_status status = CLM_OK;
    clm_batch batch = {
        .support_x = room->support_x, .support_y = room->support_y, .query_x = room->query_x, .query_y = room->query_y};
    for (int i = 0; i < iterations && status == CLM_OK; i++) {
        clm_meta_report report;
        status = draw(source, CLM_SPLIT_TRAIN, 1, (uint64_t)i * TASKS, TASKS, room);
        if (status == CLM_OK) status = clm_meta_step(meta, &batch, &report);
        if (status == CLM_OK && (i + 1) % 500 == 0) printf("iteration %5d  query loss %.4f\n", i + 1, report.query_loss);
    }
    return status;
}

/* The meta-learned parameters become where the learner starts. */
static clm_status hand_over(clm_meta *meta, clm_learner *learner, const clm_model *model) {
    clm_status status = CLM_OK;
    double *data = malloc(clm_model_param_elements(model) * sizeof *data);
    if (!data) return CLM_E_MEMORY;
    for (size_t i = 0; i < clm_model_param_count(model) && status == CLM_OK; i++) {
        status = clm_meta_get_param(meta, i, data);
        if (status == CLM_OK) status = clm_learner_set_param(learner, i, data);
    }
    free(data);
    return status;
}

static clm_status error_now(clm_learner *learner, const numbers *tasks, double *mean_squared_error) {
    static double out[NEW_TASKS * QUERY];
    clm_status status = clm_learner_predict(learner, tasks->query_x, QUERY, out);
    *mean_squared_error = 0;
    for (int i = 0; i < NEW_TASKS * QUERY; i++) {
        double d = out[i] - tasks->query_y[i];
        *mean_squared_error += d * d / (NEW_TASKS * QUERY);
    }
    return status;
}

/* Adapts to tasks it has not seen; *ratio: error before adaptation over error after it. */
static clm_status adapt(clm_learner *learner, const clm_source *source, numbers *room, double *ratio) {
    double before = 0, after = 0;
    clm_status status = draw(source, CLM_SPLIT_TEST, 2, 0, NEW_TASKS, room);
    if (status == CLM_OK) status = clm_learner_begin(learner, room->support_x, room->support_y);
    if (status == CLM_OK) status = error_now(learner, room, &before);
    for (int k = 1; k <= TEST_STEPS && status == CLM_OK; k++) {
        status = clm_learner_step(learner, NULL);
        if (status == CLM_OK) status = error_now(learner, room, &after);
        if (status == CLM_OK)
            printf("after %2d steps on a new sinusoid: mean squared error %.4f (before %.4f)\n", k, after, before);
    }
    *ratio = before / after;
    return status;
}

int main(int argc, char **argv) {
    static numbers room;
    int iterations = argc > 1 ? atoi(argv[1]) : 5000, hidden[2] = {40, 40};
    double ratio = 0;
    clm_device *device = NULL;
    clm_source *source = NULL;
    clm_model *model = NULL;
    clm_meta *meta = NULL;
    clm_learner *learner = NULL;
    clm_meta_options options = CLM_META_OPTIONS_INIT;
    clm_learner_options adapting = CLM_LEARNER_OPTIONS_INIT;
    options.tasks = TASKS;
    options.task.support = SHOTS;
    options.task.query = QUERY;
    options.task.inner_lr = 0.01;
    options.task.loss.name = "mse";
    adapting.task = options.task;
    adapting.tasks = NEW_TASKS;

    clm_status status = clm_device_open(&device, argc > 2 ? argv[2] : NULL);
    if (status == CLM_OK) status = clm_source_sine(&source);
    if (status == CLM_OK) status = clm_model_mlp(&model, 1, hidden, 2, 1);
    if (status == CLM_OK) status = clm_meta_create(&meta, device, model, &options);
    if (status == CLM_OK) status = clm_learner_create(&learner, device, model, &adapting);
    if (status == CLM_OK) status = train(meta, source, iterations, &room);
    if (status == CLM_OK) status = hand_over(meta, learner, model);
    if (status == CLM_OK) status = adapt(learner, source, &room, &ratio);
    if (status != CLM_OK) fprintf(stderr, "sine: %s\n", clm_last_error());
    clm_learner_free(learner);
    clm_meta_free(meta);
    clm_model_free(model);
    clm_source_free(source);
    clm_device_close(device);
    if (status == CLM_OK && !(ratio > 1)) {
        fprintf(stderr, "sine: adapting made nothing better\n");
        return 1;
    }
    return status == CLM_OK ? 0 : 1;
}
