/* Memory of a meta-learner: predicted exactly, taken once, kept under a limit; running takes nothing more. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "device/backend.h"
#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"

static size_t predicted(clm_device *device, const clm_model *model, const clm_meta_options *options) {
    clm_meta *meta = NULL;
    CLM_TEST_OK(clm_meta_create(&meta, device, model, options));
    size_t bytes = clm_meta_get_plan(meta).bytes;
    clm_meta_free(meta);
    return bytes;
}

/* ---- predicted, taken, kept ---- */

static const struct {
    clm_test_net net;
    int algorithm, steps, chunk;
    const char *optim;
    clm_checkpointing checkpointing;
} plans[] = {
    {CLM_TEST_NET_CLASSES, 0, 1, 4, "sgd", CLM_CHECKPOINT_STORE},
    {CLM_TEST_NET_CLASSES, 3, 3, 2, "momentum", CLM_CHECKPOINT_STORE},
    {CLM_TEST_NET_REGRESSION, 4, 2, 1, "adam", CLM_CHECKPOINT_STORE},
    {CLM_TEST_NET_CONV, 0, 2, 4, "adam", CLM_CHECKPOINT_STORE},
    {CLM_TEST_NET_COLOUR, 2, 2, 2, "sgd", CLM_CHECKPOINT_STORE},
    {CLM_TEST_NET_CLASSES, 0, 1, 4, "sgd", CLM_CHECKPOINT_RECOMPUTE},
    {CLM_TEST_NET_CLASSES, 3, 3, 2, "adamw", CLM_CHECKPOINT_RECOMPUTE},
    {CLM_TEST_NET_REGRESSION, 6, 4, 1, "adam", CLM_CHECKPOINT_RECOMPUTE},
    {CLM_TEST_NET_CONV, 0, 2, 4, "momentum", CLM_CHECKPOINT_RECOMPUTE},
    {CLM_TEST_NET_COLOUR, 2, 2, 2, "sgd", CLM_CHECKPOINT_RECOMPUTE},
};
enum { PLANS = sizeof plans / sizeof *plans };

START_TEST(prediction_is_exact_and_steps_take_nothing) {
    int row = _i % PLANS;
    clm_device *device = clm_test_open(_i / PLANS);
    clm_model *model = clm_test_model(plans[row].net);
    clm_meta_options options =
        clm_test_options(plans[row].net, &clm_test_algorithms[plans[row].algorithm], 4, plans[row].steps);
    options.checkpointing = plans[row].checkpointing;
    options.task_chunk = plans[row].chunk;
    options.optim.rule = plans[row].optim;
    options.keep_adapted = row % 2;
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    clm_meta *meta = NULL;
    size_t before = clm_device_allocated(device);
    clm_test_count(device);
    CLM_TEST_OK(clm_meta_create(&meta, device, model, &options));
    ck_assert_uint_eq(clm_device_allocated(device), before);
    ck_assert_uint_eq(clm_test_counted.allocations, 0);
    CLM_TEST_OK(clm_meta_prepare(meta));
    size_t taken = clm_device_allocated(device) - before, peak = clm_device_peak_allocated(device);
    ck_assert_uint_eq(taken, clm_meta_get_plan(meta).bytes);
    clm_test_counts prepared = clm_test_counted;
    size_t built = clm_device_kernels_built(device);
    for (int k = 0; k < 3; k++) CLM_TEST_OK(clm_meta_step(meta, &batch.batch, NULL));
    ck_assert_uint_eq(clm_test_counted.allocations, prepared.allocations);
    ck_assert_uint_eq(clm_test_counted.launches_made, prepared.launches_made);
    ck_assert_uint_eq(clm_device_kernels_built(device), built);
    ck_assert_uint_eq(clm_device_allocated(device) - before, taken);
    ck_assert_uint_eq(clm_device_peak_allocated(device), peak);
    clm_meta_free(meta);
    ck_assert_uint_eq(clm_device_allocated(device), before);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* Each further step costs the parameters it leaves behind and the support losses that are read back, nothing else. */
START_TEST(recomputing_keeps_parameters_only) {
    enum { TASKS = 4, MOST = 6 };
    clm_device *device = clm_test_open(_i / 2);
    clm_test_net net = _i % 2 ? CLM_TEST_NET_CONV : CLM_TEST_NET_CLASSES;
    clm_model *model = clm_test_model(net);
    size_t recompute[MOST + 1], store[MOST + 1];
    for (int steps = 2; steps <= MOST; steps++) {
        clm_meta_options options = clm_test_options(net, NULL, TASKS, steps);
        options.checkpointing = CLM_CHECKPOINT_RECOMPUTE;
        recompute[steps] = predicted(device, model, &options);
        options.checkpointing = CLM_CHECKPOINT_STORE;
        store[steps] = predicted(device, model, &options);
    }
    size_t one = TASKS * (clm_model_param_elements(model) + 1) * device->backend->element_size;
    for (int steps = 3; steps <= MOST; steps++) {
        ck_assert_uint_eq(recompute[steps] - recompute[steps - 1], one);
        ck_assert_uint_gt(store[steps] - store[steps - 1], one);
    }
    ck_assert_uint_lt(recompute[MOST], store[MOST]);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* The query pass needs its first image with what pooling makes of it and which elements these are, and little more: the image is made again when
 * its turn comes, and the adjoint is written over it. */
START_TEST(recomputing_writes_over_what_it_reads) {
    enum { FILTERS = 16, SIZE = 28, QUERY = 20, PARAMETERS = 8 }; /* sets: of steps, the adjoint, the optimiser, the gradient */
    clm_device *device = clm_test_open_opencl();
    clm_model *model = NULL;
    clm_conv4_options net = CLM_CONV4_OPTIONS_INIT;
    net.filters = FILTERS;
    net.size = SIZE;
    net.ways = 5;
    CLM_TEST_OK(clm_model_conv4(&model, &net));
    const size_t image = (size_t)QUERY * FILTERS * SIZE * SIZE, alive = image + image / 2;
    for (int steps = 1; steps <= 3; steps += 2) {
        clm_meta_options options = CLM_META_OPTIONS_INIT;
        options.tasks = options.task_chunk = 1;
        options.task.support = 5;
        options.task.query = QUERY;
        options.task.steps = steps;
        options.checkpointing = CLM_CHECKPOINT_RECOMPUTE;
        const size_t beside = (PARAMETERS + (size_t)steps) * clm_model_param_elements(model) + (5 + QUERY) * SIZE * SIZE;
        const size_t bytes = predicted(device, model, &options);
        ck_assert_msg(bytes <= (alive + image / 4 + beside) * sizeof(float),
                      "%d steps: %zu bytes, %zu for images, %zu beside them", steps, bytes, (alive + image / 4) * sizeof(float),
                      beside * sizeof(float));
    }
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- the limit ---- */

START_TEST(limit_too_small) {
    static const clm_checkpointing ways[] = {CLM_CHECKPOINT_AUTO, CLM_CHECKPOINT_STORE, CLM_CHECKPOINT_RECOMPUTE};
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, NULL, 4, 3);
    for (int k = 0; k < 6; k++) {
        clm_meta *meta = NULL;
        options.memory_limit = 2000;
        options.checkpointing = ways[k % 3];
        options.task_chunk = k < 3 ? 0 : 2;
        ck_assert_int_eq(clm_meta_create(&meta, device, model, &options), CLM_E_LIMIT);
        ck_assert_ptr_null(meta);
        ck_assert_msg(strstr(clm_last_error(), "memory limit of 2.0 KiB") && strstr(clm_last_error(), " needs "), "%s",
                      clm_last_error());
        ck_assert_msg(strstr(clm_last_error(), "raise memory_limit") && strstr(clm_last_error(), "CLMAML_MEMORY_LIMIT"), "%s",
                      clm_last_error());
        ck_assert_msg(!strstr(clm_last_error(), " 0"), "%s", clm_last_error());
        ck_assert_msg(strstr(clm_last_error(), k < 3 ? "1 task at a time" : "2 tasks at a time"), "%s", clm_last_error());
        ck_assert_uint_eq(clm_device_allocated(device), 0);
    }
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* The gradient under a limit, which must be kept; the plan that was chosen. */
static clm_test_vector limited(clm_device *device, const clm_model *model, clm_meta_options options, size_t limit,
                               clm_meta_plan *plan) {
    clm_test_batch batch = clm_test_batch_make(model, &options, 2);
    options.memory_limit = limit;
    const size_t before = clm_device_allocated(device);
    clm_meta *meta = clm_test_meta(device, model, &options, 3);
    *plan = clm_meta_get_plan(meta);
    if (limit) ck_assert_uint_le(plan->bytes, limit);
    ck_assert_uint_eq(plan->bytes, clm_device_allocated(device) - before);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
    clm_test_vector gradient = clm_test_gradient(meta, model);
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    return gradient;
}

/* Bytes of a plan with everything given. */
static size_t bytes_of(clm_device *device, const clm_model *model, clm_meta_options options, clm_checkpointing how, int chunk) {
    options.checkpointing = how;
    options.task_chunk = chunk;
    return predicted(device, model, &options);
}

/* As the limit falls: everything at once, then fewer tasks at a time, then recomputation. */
START_TEST(limit_chooses_chunks_then_recomputation) {
    enum { TASKS = 6 };
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CONV, NULL, TASKS, 4);
    size_t one = bytes_of(device, model, options, CLM_CHECKPOINT_STORE, 1),
           two = bytes_of(device, model, options, CLM_CHECKPOINT_STORE, 2);
    size_t three = bytes_of(device, model, options, CLM_CHECKPOINT_STORE, 3),
           all = bytes_of(device, model, options, CLM_CHECKPOINT_STORE, 6);
    size_t least = bytes_of(device, model, options, CLM_CHECKPOINT_RECOMPUTE, 1);
    ck_assert(least < one && one < two && two < three && three < all);
    const struct {
        size_t limit;
        clm_checkpointing checkpointing;
        int chunk;
    } rows[] = {{0, CLM_CHECKPOINT_STORE, 6},           {all, CLM_CHECKPOINT_STORE, 6},      {all - 1, CLM_CHECKPOINT_STORE, 3},
                {three - 1, CLM_CHECKPOINT_STORE, 2},   {two - 1, CLM_CHECKPOINT_STORE, 1},  {one, CLM_CHECKPOINT_STORE, 1},
                {one - 1, CLM_CHECKPOINT_RECOMPUTE, 0}, {least, CLM_CHECKPOINT_RECOMPUTE, 1}};
    clm_test_vector whole = {0};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        clm_meta_plan plan;
        clm_test_vector v = limited(device, model, options, rows[r].limit, &plan);
        ck_assert_msg(plan.checkpointing == rows[r].checkpointing, "row %zu: checkpointing %d", r, (int)plan.checkpointing);
        ck_assert_msg(!rows[r].chunk || plan.task_chunk == rows[r].chunk, "row %zu: %d tasks at a time", r, plan.task_chunk);
        if (r == 0) {
            whole = v;
            continue;
        }
        if (plan.checkpointing == CLM_CHECKPOINT_STORE)
            clm_test_expect_same(&whole, &v, "fewer tasks at a time");
        else
            clm_test_expect_close(&whole, &v, clm_test_rounding(_i), "recomputed");
        clm_test_vector_free(&v);
    }
    options.memory_limit = least - 1;
    clm_meta *meta = NULL;
    ck_assert_int_eq(clm_meta_create(&meta, device, model, &options), CLM_E_LIMIT);
    clm_test_vector_free(&whole);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* Without a limit a plan stays within nine tenths of what is free: of the emulated device's memory, less what is allocated on it. */
START_TEST(free_memory_is_the_limit) {
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CONV, NULL, 4, 2);
    options.checkpointing = CLM_CHECKPOINT_STORE;
    clm_device *device = clm_test_open_opencl();
    const clm_device_info *info = clm_device_get_info(device);
    clm_meta_plan plan;
    clm_test_vector whole = limited(device, model, options, 0, &plan);
    const uint64_t all = plan.bytes;
    ck_assert_uint_le(plan.limit, info->global_memory - info->global_memory / 10);
    if (plan.limit_reason == CLM_LIMIT_DEVICE) ck_assert_uint_eq(plan.limit, clm_device_memory_room(device));
    clm_device_close(device);
    for (int taken = 0; taken < 2; taken++) {
        char text[96];
        const uint64_t room = 9 * all / 10, free = room + room / 9 + 1;
        snprintf(text, sizeof text, "memory_free=%llu", (unsigned long long)free);
        setenv("CLMAML_EMULATE", text, 1);
        device = clm_test_open_opencl();
        clm_tensor *beside = NULL;
        if (taken) CLM_TEST_OK(clm_tensor_create(&beside, device, clm_shape_of(1, (int)(all / 64)), 0));
        const uint64_t limit = free - free / 10 - clm_device_allocated(device);
        clm_test_vector part = limited(device, model, options, 0, &plan);
        ck_assert_int_eq(plan.limit_reason, CLM_LIMIT_FREE);
        ck_assert_uint_eq(plan.limit, limit);
        ck_assert_uint_le(plan.bytes, limit);
        ck_assert_int_eq(plan.task_chunk, 2);
        ck_assert_int_eq(plan.reason, CLM_PLAN_MEMORY);
        clm_test_expect_same(&whole, &part, "what is free"); /* fewer tasks at a time change no bit */
        clm_test_vector_free(&part);
        part = limited(device, model, options, all, &plan); /* a limit of one's own wins */
        ck_assert_int_eq(plan.limit_reason, CLM_LIMIT_ASKED);
        ck_assert_uint_eq(plan.limit, all);
        ck_assert_int_eq(plan.task_chunk, 4);
        clm_test_vector_free(&part);
        clm_tensor_free(beside);
        clm_device_close(device);
    }
    unsetenv("CLMAML_EMULATE");
    clm_test_vector_free(&whole);
    clm_model_free(model);
}
END_TEST

/* A value larger than the device's largest allocation is a limit like any other. */
START_TEST(largest_allocation_chooses_too) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CONV, NULL, 4, 2);
    clm_meta_plan plan;
    clm_test_vector whole = limited(device, model, options, 0, &plan);
    ck_assert_int_eq(plan.task_chunk, 4);
    /* support activations of a task: 6 x 8 x 8 x 4 numbers; room for those of two tasks */
    device->info.max_allocation = 2 * 6 * 8 * 8 * 4 * device->backend->element_size;
    clm_test_count(device);
    clm_test_vector part = limited(device, model, options, 0, &plan);
    ck_assert_int_lt(plan.task_chunk, 4);
    ck_assert_uint_le(clm_test_counted.largest * device->backend->element_size, device->info.max_allocation);
    clm_test_expect_close(&whole, &part, clm_test_rounding(_i), "small allocations");
    device->info.max_allocation = 256;
    clm_meta *meta = NULL;
    ck_assert_int_eq(clm_meta_create(&meta, device, model, &options), CLM_E_LIMIT);
    ck_assert_ptr_null(meta);
    clm_test_vector_free(&whole);
    clm_test_vector_free(&part);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- memory that is refused ---- */

/* Whichever allocation fails: the error says so, nothing is lost, and the next attempt succeeds. */
START_TEST(refused_allocations) {
    clm_device *device = clm_test_open(_i / 2);
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, NULL, 2, 1);
    options.checkpointing = _i % 2 ? CLM_CHECKPOINT_RECOMPUTE : CLM_CHECKPOINT_STORE;
    options.task_chunk = 2; /* no smaller plan instead */
    clm_test_batch batch = clm_test_batch_make(model, &options, 4);
    clm_meta_plan plan;
    clm_test_vector expected = limited(device, model, options, 0, &plan);
    clm_test_count(device);
    size_t failures = 0;
    for (bool done = false; !done; failures++) {
        clm_meta *meta = NULL;
        CLM_TEST_OK(clm_meta_create(&meta, device, model, &options));
        clm_test_counted = (clm_test_counts){.fail_at = failures + 1};
        clm_status status = clm_meta_prepare(meta);
        done = clm_test_counted.allocations <= failures;
        ck_assert_int_eq(status, done ? CLM_OK : CLM_E_MEMORY);
        clm_test_counted.fail_at = 0;
        if (_i < 2 || failures % 3 == 1 || done) { /* again with the same */
            clm_test_randomise(meta, model, &options, 3);
            clm_test_batch same = clm_test_batch_make(model, &options, 2);
            CLM_TEST_OK(clm_meta_gradient(meta, &same.batch));
            clm_test_vector v = clm_test_gradient(meta, model);
            clm_test_expect_same(&expected, &v, "after a failure");
            ck_assert_uint_eq(clm_device_allocated(device), plan.bytes);
            clm_test_vector_free(&v);
            clm_test_batch_free(&same);
        }
        clm_meta_free(meta);
        ck_assert_uint_eq(clm_device_allocated(device), 0);
    }
    ck_assert_uint_gt(failures, 10);
    clm_test_vector_free(&expected);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("memory");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, prediction_is_exact_and_steps_take_nothing, 0, PLANS * CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, recomputing_keeps_parameters_only, 0, 2 * CLM_TEST_DEVICES);
    tcase_add_test(tcase, recomputing_writes_over_what_it_reads);
    tcase_add_loop_test(tcase, limit_too_small, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, limit_chooses_chunks_then_recomputation, 0, CLM_TEST_DEVICES);
    tcase_add_test(tcase, free_memory_is_the_limit);
    tcase_add_loop_test(tcase, largest_allocation_chooses_too, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, refused_allocations, 0, 2 * CLM_TEST_DEVICES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
