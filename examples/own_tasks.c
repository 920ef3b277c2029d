/* Tasks of your own, and a model of your own: three functions say what there is to learn from, a list of layers what learns, and
 * clm_train does the rest: tasks made ahead, validation, the best checkpoint, resuming, a test, a learning curve.
 *
 * Here a class is a sound, three frequencies with their strengths; an example is 64 samples of it from a random moment on, with
 * noise. From 3 examples of each of 5 new sounds the network is to know 5 others of each.
 *
 * usage: own_tasks [ITERATIONS [DIRECTORY [DEVICE]]]      run it again with more iterations, and it goes on
 */
#include <clmaml/clmaml.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = 64, TONES = 3, EXAMPLES = 40 };

static const char layers[] = "[{\"op\": \"linear\", \"out\": 64}, {\"op\": \"relu\"}, {\"op\": \"linear\", \"out\": 64}, "
                             "{\"op\": \"relu\"}, {\"op\": \"linear\", \"out\": 5}]";

/* The n-th number in [0, 1) of a stream: always the same, from whichever thread. */
static double number(uint64_t stream, uint64_t n) {
    uint64_t x = (stream << 20 | n) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (double)(x >> 11 ^ x >> 42) / 9007199254740992.0;
}

static size_t sounds(void *context, clm_split split) {
    (void)context;
    return split == CLM_SPLIT_TRAIN ? 200 : 50;
}

static size_t examples(void *context, clm_split split, size_t sound) {
    (void)context, (void)split, (void)sound;
    return EXAMPLES;
}

static int example(void *context, clm_split split, size_t sound, size_t index, float *out) {
    const uint64_t what = (uint64_t)split * 1000 + sound, moment = (what + 1) * 10000 + index;
    const double start = 6.28 * number(moment, SAMPLES);
    (void)context;
    for (int i = 0; i < SAMPLES; i++) {
        double x = 0.2 * (number(moment, (uint64_t)i) - 0.5);
        for (uint64_t tone = 0; tone < TONES; tone++)
            x += number(what, 10 + tone) * sin((0.2 + 1.2 * number(what, tone)) * (i + 10 * start));
        out[i] = (float)x;
    }
    return 0;
}

static void on_row(void *user, const clm_train_row *row, bool best) {
    (void)user;
    if (row->kind == CLM_ROW_VALIDATION)
        printf("after %5llu updates  %.1f %% of new sounds of the validation split%s\n", (unsigned long long)row->iteration,
               100 * row->value[CLM_METRIC_QUERY_AFTER], best ? ", the best so far" : "");
}

int main(int argc, char **argv) {
    const clm_shape shape = clm_shape_of(1, SAMPLES);
    clm_device *device = NULL;
    clm_source *source = NULL;
    clm_model *model = NULL;
    clm_train_result result = {.best_score = 0};
    clm_custom_source mine = CLM_CUSTOM_SOURCE_INIT;
    mine.name = "sounds";
    mine.shape = shape;
    mine.classes = sounds, mine.examples = examples, mine.example = example;

    clm_train_options options = CLM_TRAIN_OPTIONS_INIT;
    options.iterations = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    options.directory = argc > 2 ? argv[2] : NULL;
    options.resume = options.directory && clm_train_check_directory(options.directory) == CLM_E_STATE;
    options.episodes.shots = 3;
    options.episodes.query = 5;
    options.meta.tasks = 8;
    options.meta.task.steps = 3;
    options.meta.task.inner_lr = 0.1;
    options.row = on_row;

    clm_status status = clm_device_open(&device, argc > 3 ? argv[3] : NULL);
    if (status == CLM_OK) status = clm_source_custom(&source, &mine);
    if (status == CLM_OK) status = clm_model_parse(&model, layers, &shape);
    if (status == CLM_OK) status = clm_train(device, source, model, &options, NULL, &result);
    if (status == CLM_OK)
        printf("test, the state of update %llu: %.1f %% before adapting, %.1f +- %.1f %% after %d steps\n",
               (unsigned long long)result.best_iteration, 100 * result.test.query[0].mean, 100 * result.test.query[3].mean,
               100 * result.test.query[3].half, result.test.steps);
    else
        fprintf(stderr, "own_tasks: %s\n", clm_last_error());
    clm_model_free(model);
    clm_source_free(source);
    clm_device_close(device);
    if (status == CLM_OK && options.iterations >= 50 && !(result.test.query[3].mean > 0.3)) {
        fprintf(stderr, "own_tasks: it has not learned to tell sounds apart\n");
        return 1;
    }
    return status == CLM_OK ? 0 : 1;
}
