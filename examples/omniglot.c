/* Omniglot: a few steps of second-order MAML on 5-way 1-shot tasks, then the network adapts to characters of alphabets it has
 * never seen. For a real training run use the program: clmaml train --preset omniglot-5w1s --data DIR.
 *
 * usage: omniglot DIR [ITERATIONS [FILTERS [DEVICE]]]      DIR holds images_background.zip and images_evaluation.zip
 */
#include <clmaml/clmaml.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAYS = 5, SHOTS = 1, QUERY = 1, TASKS = 8, STEPS = 3, SIZE = 28 };
enum { SUPPORT = WAYS * SHOTS, ASKED = WAYS * QUERY, IMAGE = SIZE * SIZE };

static float support_x[TASKS * SUPPORT * IMAGE], support_y[TASKS * SUPPORT], query_x[TASKS * ASKED * IMAGE],
    query_y[TASKS * ASKED];

static clm_status draw(const clm_source *source, clm_split split, uint64_t first) {
    clm_status status = CLM_OK;
    for (int t = 0; t < TASKS && status == CLM_OK; t++)
        status = clm_source_sample(source, split, 1, first + (uint64_t)t, WAYS, SHOTS, QUERY, support_x + t * SUPPORT * IMAGE,
                                   support_y + t * SUPPORT, query_x + t * ASKED * IMAGE, query_y + t * ASKED);
    return status;
}

static clm_status train(clm_meta *meta, const clm_source *source, int iterations) {
    clm_batch batch = {.support_x = support_x, .support_y = support_y, .query_x = query_x, .query_y = query_y};
    clm_status status = CLM_OK;
    for (int i = 0; i < iterations && status == CLM_OK; i++) {
        clm_meta_report r;
        status = draw(source, CLM_SPLIT_TRAIN, (uint64_t)i * TASKS);
        if (status == CLM_OK) status = clm_meta_step(meta, &batch, &r);
        if (status == CLM_OK)
            printf("iteration %3d  loss after adapting %.4f, accuracy %.0f %%\n", i + 1, r.query_loss, 100 * r.query_accuracy);
    }
    return status;
}

/* The share of queries whose largest output is at their label. */
static clm_status accuracy_now(clm_learner *learner, double *accuracy) {
    static double out[TASKS * ASKED * WAYS];
    clm_status status = clm_learner_predict(learner, query_x, ASKED, out);
    int right = 0;
    for (int i = 0; i < TASKS * ASKED; i++) {
        int best = 0;
        for (int c = 1; c < WAYS; c++)
            if (out[i * WAYS + c] > out[i * WAYS + best]) best = c;
        right += best == (int)query_y[i];
    }
    *accuracy = (double)right / (TASKS * ASKED);
    return status;
}

static clm_status adapt(clm_meta *meta, clm_learner *learner, const clm_model *model, const clm_source *source) {
    double *data = malloc(clm_model_param_elements(model) * sizeof *data), accuracy = 0, loss[TASKS];
    clm_status status = data ? CLM_OK : CLM_E_MEMORY;
    for (size_t i = 0; i < clm_model_param_count(model) && status == CLM_OK; i++) {
        status = clm_meta_get_param(meta, i, data);
        if (status == CLM_OK) status = clm_learner_set_param(learner, i, data);
    }
    free(data);
    if (status == CLM_OK) status = draw(source, CLM_SPLIT_TEST, 0);
    if (status == CLM_OK) status = clm_learner_begin(learner, support_x, support_y);
    for (int k = 0; k <= STEPS && status == CLM_OK; k++) {
        if (k > 0) status = clm_learner_step(learner, loss);
        if (status == CLM_OK) status = accuracy_now(learner, &accuracy);
        if (status == CLM_OK) printf("new characters, %d steps: accuracy %.0f %%\n", k, 100 * accuracy);
    }
    return status;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s DIR [ITERATIONS [FILTERS [DEVICE]]]\n", argv[0]);
        return 2;
    }
    int iterations = argc > 2 ? atoi(argv[2]) : 30;
    clm_device *device = NULL;
    clm_source *source = NULL;
    clm_model *model = NULL;
    clm_meta *meta = NULL;
    clm_learner *learner = NULL;
    clm_omniglot_options data = CLM_OMNIGLOT_OPTIONS_INIT;
    clm_conv4_options network = CLM_CONV4_OPTIONS_INIT;
    clm_meta_options options = CLM_META_OPTIONS_INIT;
    clm_learner_options adapting = CLM_LEARNER_OPTIONS_INIT;
    if (argc > 3) network.filters = atoi(argv[3]);
    network.ways = WAYS;
    options.tasks = adapting.tasks = TASKS;
    options.task.support = SUPPORT;
    options.task.query = ASKED;
    adapting.task = options.task;

    clm_status status = clm_source_omniglot(&source, argv[1], &data);
    if (status == CLM_OK) status = clm_source_check(source, CLM_SPLIT_TEST, WAYS, SHOTS, QUERY);
    if (status == CLM_OK) status = clm_device_open(&device, argc > 4 ? argv[4] : NULL);
    if (status == CLM_OK) status = clm_model_conv4(&model, &network);
    if (status == CLM_OK) status = clm_meta_create(&meta, device, model, &options);
    if (status == CLM_OK) status = clm_learner_create(&learner, device, model, &adapting);
    if (status == CLM_OK) {
        printf("%s\n", clm_source_description(source));
        status = train(meta, source, iterations);
    }
    if (status == CLM_OK) status = adapt(meta, learner, model, source);
    if (status != CLM_OK) fprintf(stderr, "omniglot: %s\n", clm_last_error());
    clm_learner_free(learner);
    clm_meta_free(meta);
    clm_model_free(model);
    clm_source_free(source);
    clm_device_close(device);
    return status == CLM_OK ? 0 : 1;
}
