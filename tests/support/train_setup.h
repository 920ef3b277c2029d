/* Training runs for the tests of them: a fixture, tasks and a model of the test's own, with the options of a short run; what a run says.
 * Each program that includes it has its own. */
#ifndef CLM_TEST_TRAIN_SETUP_H
#define CLM_TEST_TRAIN_SETUP_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "base/random.h"
#include "clmaml/train.h"
#include "support/meta_setup.h"
#include "support/pictures.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)
#define CLM_TEST_FAILS(call, wanted)                                                                                   \
    do {                                                                                                               \
        const clm_status fails_status = (call);                                                                        \
        ck_assert_msg(fails_status == (wanted), "%s: %s: %s", #call, clm_status_name(fails_status), clm_last_error()); \
    } while (0)

enum { FEATURES = 4, WAYS = 3, ITERATIONS = 12, VALIDATED = 20, MOST_ROWS = 64 };

static char *directory;
static clm_source *source;
static clm_model *model;
static clm_device *device;
static clm_train_options options;
static size_t classes_of[3];
static float poison; /* other than 0: the features of the first training class */

/* ---- tasks of one's own: a class is a point, its examples lie around it ---- */

static size_t classes(void *context, clm_split split) { return ((const size_t *)context)[split]; }
static size_t examples(void *context, clm_split split, size_t class_index) {
    (void)context, (void)split, (void)class_index;
    return 12;
}
static int example(void *context, clm_split split, size_t class_index, size_t index, float *out) {
    (void)context;
    clm_random centre = clm_random_make(100 + (uint64_t)split, class_index);
    clm_random around = clm_random_make(200 + 1000 * (uint64_t)split + class_index, index);
    for (int i = 0; i < FEATURES; i++) out[i] = (float)(clm_random_normal(&centre) + 0.5 * clm_random_normal(&around));
    for (int i = 0; i < FEATURES && poison != 0 && split == CLM_SPLIT_TRAIN && class_index == 0; i++) out[i] = poison;
    return 0;
}

static clm_source *points(void) {
    clm_custom_source mine = CLM_CUSTOM_SOURCE_INIT;
    clm_source *out = NULL;
    mine.name = "points";
    mine.shape = clm_shape_of(1, FEATURES);
    mine.context = classes_of;
    mine.classes = classes, mine.examples = examples, mine.example = example;
    CLM_TEST_OK(clm_source_custom(&out, &mine));
    return out;
}

/* ---- what a run says ---- */

typedef struct told {
    clm_train_row rows[MOST_ROWS];
    bool best[MOST_ROWS];
    size_t count, remarks, asked;
    uint64_t iteration, stop_at; /* stop_at: when this iteration was made; 0: never */
    size_t stop_after;           /* so many questions later */
    char remark[256];
} told;
static told heard;

static void on_progress(void *user, const clm_train_progress *p) {
    told *t = user;
    t->iteration = p->iteration;
    if (p->iteration == t->stop_at) t->asked = 0;
}
static void on_row(void *user, const clm_train_row *row, bool best) {
    told *t = user;
    ck_assert_uint_lt(t->count, MOST_ROWS);
    t->rows[t->count] = *row;
    t->best[t->count++] = best;
}
static void on_remark(void *user, const char *text) {
    told *t = user;
    t->remarks++;
    snprintf(t->remark, sizeof t->remark, "%s", text);
}
static bool on_stop(void *user) {
    told *t = user;
    return t->stop_at && t->iteration >= t->stop_at && t->asked++ >= t->stop_after;
}

static void set_up(void) {
    static const int hidden[] = {8};
    poison = 0;
    directory = clm_test_directory();
    classes_of[0] = 9, classes_of[1] = 5, classes_of[2] = 5;
    source = points();
    CLM_TEST_OK(clm_model_mlp(&model, FEATURES, hidden, 1, WAYS));
    memset(&heard, 0, sizeof heard);
    options = (clm_train_options)CLM_TRAIN_OPTIONS_INIT;
    options.episodes.ways = WAYS;
    options.episodes.shots = 2;
    options.episodes.query = 3;
    options.meta.tasks = 2;
    options.meta.task.steps = 2;
    options.meta.task.inner_lr = 0.1;
    options.meta.task.rates = CLM_RATES_PER_STEP;
    options.meta.optim.lr = 0.02;
    options.meta.both_orders = true;
    options.iterations = ITERATIONS;
    options.validate_every = 4;
    options.validation_tasks = VALIDATED; /* two chunks */
    options.test_tasks = 10;
    options.test_steps = 3;
    options.checkpoint_every = 3;
    options.log_every = 1;
    options.progress = on_progress;
    options.row = on_row;
    options.remark = on_remark;
    options.stop = on_stop;
    options.user = &heard;
}

static void tear_down(void) {
    clm_model_free(model);
    clm_source_free(source);
    clm_device_close(device);
    device = NULL;
    clm_test_remove(directory);
}

/* The mean that was reported is that of these numbers, to the bit. */
static inline void expect_mean(const double *single, int n, const clm_score *said) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += single[i];
    ck_assert(sum / n == said->mean);
}

#endif
