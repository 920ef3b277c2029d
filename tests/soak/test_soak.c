/* Many meta-steps, and many tasks learnt and predicted: memory of the process and of the device and the number of open files stay what
 * they were. How much slower the last tenth is than the first is printed, not judged.
 *
 * CLMAML_SOAK_STEPS: how many of each (1500). */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/files.h"
#include "clmaml/clmaml.h"
#include "support/run.h"

enum { TASKS = 2, SHOTS = 5, QUERY = 5, HIDDEN = 8, STEPS = 1500 };

/* Growth that counts as none: the allocator's own hesitation. In kibibytes. */
enum { SLACK = 512 };

static clm_device *device;
static clm_source *source;
static clm_model *model;

static void enter(void) {
    const int hidden[2] = {HIDDEN, HIDDEN};
    device = clm_test_open_opencl();
    CLM_TEST_OK(clm_source_sine(&source));
    CLM_TEST_OK(clm_model_mlp(&model, 1, hidden, 2, 1));
}

static void leave(void) {
    clm_model_free(model);
    clm_source_free(source);
    clm_device_close(device);
}

static long steps_asked(void) {
    const char *text = getenv("CLMAML_SOAK_STEPS");
    const long n = text && *text ? atol(text) : STEPS;
    ck_assert_msg(n >= 100, "CLMAML_SOAK_STEPS is %s; at least 100", text);
    return n;
}

/* ---- what is measured ---- */

typedef struct use {
    long kibibytes, files; /* -1: the system does not say */
    size_t on_device;
} use;

static long resident(void) {
    long pages = -1;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return -1;
    const int read = fscanf(file, "%*d %ld", &pages);
    fclose(file);
    return read == 1 ? pages * (sysconf(_SC_PAGESIZE) / 1024) : -1;
}

static long open_files(void) {
    long n = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory) return -1;
    while (readdir(directory)) n++;
    closedir(directory);
    return n;
}

static use now(void) { return (use){resident(), open_files(), clm_device_allocated(device)}; }

/* Does `work` n times. What is used after the first fifth is compared with what is used at the end. */
static void soak(const char *name, void (*work)(void *user, long i), void *user) {
    const long n = steps_asked();
    double started, first = 0, last = 0;
    use before = {0};
    work(user, 0); /* builds programs */
    started = clm_clock();
    for (long i = 0; i < n; i++) {
        if (i == n / 10) first = clm_clock() - started;
        if (i == n / 5) before = now();
        if (i == n - n / 10) last = clm_clock();
        work(user, i);
    }
    last = clm_clock() - last;
    const use after = now();
    printf("%s: %ld times; resident %ld KiB after a fifth, %ld at the end; on the device %zu and %zu bytes; files %ld and %ld; "
           "the last "
           "tenth took %.2f times the first\n",
           name, n, before.kibibytes, after.kibibytes, before.on_device, after.on_device, before.files, after.files,
           last / first);
    fflush(stdout);
    ck_assert_msg(after.kibibytes <= before.kibibytes + SLACK, "%s: resident memory grew from %ld to %ld KiB", name,
                  before.kibibytes, after.kibibytes);
    ck_assert_msg(after.on_device == before.on_device, "%s: device memory went from %zu to %zu bytes", name, before.on_device,
                  after.on_device);
    ck_assert_msg(after.files == before.files, "%s: %ld open files became %ld", name, before.files, after.files);
}

/* ---- what is done ---- */

typedef struct training {
    clm_meta *meta;
    clm_prefetch *batches;
} training;

static void meta_step(void *user, long i) {
    training *t = user;
    const float *b[4];
    clm_meta_report report;
    CLM_TEST_OK(clm_prefetch_get(t->batches, (uint64_t)i, b));
    CLM_TEST_OK(
        clm_meta_step(t->meta, &(clm_batch){.support_x = b[0], .support_y = b[1], .query_x = b[2], .query_y = b[3]}, &report));
}

START_TEST(meta_steps) {
    training t = {0};
    clm_prefetch_options how = CLM_PREFETCH_OPTIONS_INIT;
    clm_meta_options options = CLM_META_OPTIONS_INIT;
    how.tasks = options.tasks = TASKS;
    how.ways = 1;
    how.shots = options.task.support = SHOTS;
    how.query = options.task.query = QUERY;
    options.task.loss.name = "mse";
    CLM_TEST_OK(clm_prefetch_create(&t.batches, source, &how));
    CLM_TEST_OK(clm_meta_create(&t.meta, device, model, &options));
    soak("meta-steps", meta_step, &t);
    clm_meta_free(t.meta);
    clm_prefetch_free(t.batches);
}
END_TEST

static void adapt_and_predict(void *user, long i) {
    float x[2 * SHOTS], y[2 * SHOTS];
    double out[SHOTS];
    CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TEST, 1, (uint64_t)i, 1, SHOTS, SHOTS, x, y, x + SHOTS, y + SHOTS));
    CLM_TEST_OK(clm_learner_begin(user, x, y));
    CLM_TEST_OK(clm_learner_step(user, NULL));
    CLM_TEST_OK(clm_learner_predict(user, x + SHOTS, SHOTS, out));
}

START_TEST(tasks_learnt) {
    clm_learner *learner = NULL;
    clm_learner_options options = CLM_LEARNER_OPTIONS_INIT;
    options.tasks = 1;
    options.task.support = options.task.query = SHOTS;
    options.task.loss.name = "mse";
    CLM_TEST_OK(clm_learner_create(&learner, device, model, &options));
    soak("adapt and predict", adapt_and_predict, learner);
    clm_learner_free(learner);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("soak");
    TCase *tc = tcase_create("soak");
    tcase_add_checked_fixture(tc, enter, leave);
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, meta_steps);
    tcase_add_test(tc, tasks_learnt);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
