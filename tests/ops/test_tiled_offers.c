/* Where products by tiles in local memory are offered and what is taken unmeasured (src/ops/tiled.c, winograd_tiled.c), on devices as
 * CLMAML_EMULATE makes them; nothing is computed. */
#include <check.h>
#include <stdlib.h>

#include "device/opencl/opencl.h"
#include "support/numbers.h"
#include "support/tiled_setup.h"

extern const clm_impl clm_impl_tiled, clm_impl_winograd_tiled;

static const tiled_row products = {&clm_impl_tiled, 7}, winograd = {&clm_impl_winograd_tiled, 5};

static forced ask(const char *emulate, const tiled_row *row, const problem *p) {
    clm_random r = clm_random_make(clm_test_seed(), 102);
    forced f = {.row = row, .index = CLM_CANDIDATES_MOST};
    setting s;
    setenv("CLMAML_EMULATE", emulate, 1);
    clm_device *device = clm_test_open_opencl();
    clm_program *program;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = TASKS;
    make(&s, p, &r);
    clm_choice_force(device, force, &f);
    CLM_TEST_OK(clm_program_create(&program, device, s.graph, &s.out, 1, &options));
    clm_program_free(program);
    discard(&s);
    clm_device_close(device);
    return f;
}

/* Work-items and bytes that the candidates of a problem need at most. */
static void expect_limits(const char *emulate, const tiled_row *row, const problem *p, int items, int bytes) {
    clm_device *device;
    setting s;
    forced f = {.row = row, .most = 1};
    clm_random r = clm_random_make(clm_test_seed(), 103);
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    setenv("CLMAML_EMULATE", emulate, 1);
    device = clm_test_open_opencl();
    make(&s, p, &r);
    clm_choice_force(device, force, &f);
    for (; f.index < f.most; f.index++) {
        clm_program *program;
        CLM_TEST_OK(clm_program_create(&program, device, s.graph, &s.out, 1, &options));
        clm_program_free(program);
        const int32_t *c = f.candidate.value;
        const int points = row == &winograd ? 16 : 1, buffers = row == &winograd ? 1 : c[5];
        ck_assert_int_le(points * (c[0] / c[3]) * (c[1] / c[4]), items);
        ck_assert_int_le(4 * points * buffers * c[2] * (c[0] + c[1]), bytes);
    }
    ck_assert_int_ge(f.most, 1);
    discard(&s);
    clm_device_close(device);
}

static const problem network = {CONV, 5, 14, 14, 64, 64, 3, 3, 1, 1, 1, 1, 2},
                     network_filter = {FILTER, 5, 14, 14, 64, 64, 3, 3, 1, 1, 1, 1, 2},
                     grey_filter = {FILTER, 5, 28, 28, 1, 64, 3, 3, 1, 1, 1, 1, 2},
                     large = {NN, 1, 512, 512, 0, 512, 0, 0, 0, 0, 0, 1, 2}, little = {NN, 1, 5, 8, 0, 5, 0, 0, 0, 0, 0, 1, 2},
                     huge_filter = {CONV, 1, 40, 40, 4, 32, 17, 3, 1, 0, 1, 1, 2};

START_TEST(offered_where_it_fits) {
    static const char gpu[] = "type=gpu,dedicated_local=1,compute_units=64,max_work_group=256,local_memory=32K";
    static const problem *const all[] = {&network, &network_filter, &grey_filter, &large, &little};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const forced f = ask(gpu, &products, all[i]);
        ck_assert_int_gt(f.most, 0);
        /* the default, unless most of a tile would be padding, or a short algorithm takes its place */
        ck_assert(f.first == (all[i] != &little && all[i] != &network && all[i] != &network_filter));
    }
    ck_assert_int_eq(ask(gpu, &products, &huge_filter).most, 0);
    ck_assert_int_eq(ask("type=cpu,dedicated_local=1", &products, &network).most, 0);
    ck_assert_int_eq(ask("type=gpu,dedicated_local=0", &products, &network).most, 0);
    ck_assert_int_eq(ask("type=gpu,dedicated_local=1,max_work_group=32", &products, &network).most, 0);
    ck_assert_int_eq(ask("type=gpu,dedicated_local=1,local_memory=1K", &products, &network).most, 0);
    expect_limits("type=gpu,dedicated_local=1,max_work_group=64", &products, &network, 64, 1 << 20);
    expect_limits("type=gpu,dedicated_local=1,local_memory=8K", &products, &network_filter, 4096, 8192);
    expect_limits("type=gpu,dedicated_local=1,max_work_group=64,local_memory=4K", &products, &large, 64, 4096);
}
END_TEST

/* Preferred where few of the tiles' outputs lie outside of the image, and there are channels for rows and columns. */
START_TEST(short_offered_where_it_fits) {
    static const char gpu[] = "type=gpu,dedicated_local=1,compute_units=64,max_work_group=256,local_memory=48K";
    static const struct {
        problem problem;
        bool offered, first;
    } all[] = {{{CONV, 5, 14, 14, 64, 64, 3, 3, 1, 1, 1, 1, 2}, true, true},
               {{FILTER, 5, 14, 14, 64, 64, 3, 3, 1, 1, 1, 1, 2}, true, true},
               {{CONV, 25, 42, 42, 32, 32, 3, 3, 1, 1, 1, 1, 2}, true, true},
               {{CONV, 5, 28, 28, 1, 64, 3, 3, 1, 1, 1, 1, 2}, true, false},
               {{CONV, 5, 3, 3, 64, 64, 3, 3, 1, 1, 1, 1, 2}, true, false},
               {{CONV, 5, 14, 14, 64, 64, 3, 3, 2, 1, 1, 1, 2}, false, false},
               {{CONV, 5, 14, 14, 64, 64, 3, 3, 1, 1, 2, 1, 2}, false, false},
               {{CONV, 5, 14, 14, 64, 64, 3, 3, 1, 1, 1, 2, 2}, false, false},
               {{FILTER, 5, 14, 14, 64, 64, 5, 3, 1, 1, 1, 1, 2}, false, false}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const forced f = ask(gpu, &winograd, &all[i].problem);
        ck_assert_msg((f.most > 0) == all[i].offered, "problem %zu", i);
        ck_assert_msg(f.first == all[i].first, "problem %zu", i);
    }
    ck_assert_int_eq(ask("type=cpu,dedicated_local=1", &winograd, &network).most, 0);
    ck_assert_int_eq(ask("type=gpu,dedicated_local=0", &winograd, &network).most, 0);
    ck_assert_int_eq(ask("type=gpu,dedicated_local=1,max_work_group=32", &winograd, &network).most, 0);
    expect_limits("type=gpu,dedicated_local=1,max_work_group=128", &winograd, &network, 128, 1 << 20);
    expect_limits("type=gpu,dedicated_local=1,local_memory=16K", &winograd, &network_filter, 4096, 16384);
}
END_TEST

/* The most sums of a lane's tile that are offered. */
static int most_sums(const char *emulate, const tiled_row *row, const problem *p, bool few_registers) {
    setting s;
    forced f = {.row = row, .most = 1};
    int most = 0;
    clm_random r = clm_random_make(clm_test_seed(), 104);
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    setenv("CLMAML_EMULATE", emulate, 1);
    clm_device *device = clm_test_open_opencl();
    device->few_registers = few_registers;
    make(&s, p, &r);
    clm_choice_force(device, force, &f);
    for (; f.index < f.most; f.index++) {
        clm_program *program;
        CLM_TEST_OK(clm_program_create(&program, device, s.graph, &s.out, 1, &options));
        clm_program_free(program);
        const int sums = f.candidate.value[3] * f.candidate.value[4];
        if (sums > most) most = sums;
    }
    discard(&s);
    clm_device_close(device);
    return most;
}

/* Tiles that the registers of a lane do not hold are not offered there. */
START_TEST(few_registers) {
    static const char gpu[] = "type=gpu,dedicated_local=1,unified=0", shares[] = "type=gpu,dedicated_local=1,unified=1";
    static const struct {
        const tiled_row *row;
        const problem *problem;
    } all[] = {{&products, &network},
               {&products, &network_filter},
               {&products, &large},
               {&winograd, &network},
               {&winograd, &network_filter}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ck_assert_int_eq(most_sums(gpu, all[i].row, all[i].problem, false), 64);
        ck_assert_int_eq(most_sums(gpu, all[i].row, all[i].problem, true), 32);
        ck_assert_int_eq(most_sums(shares, all[i].row, all[i].problem, false), 32);
    }
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("tiled offers");
    TCase *tcase = tcase_create("choice");
    tcase_set_timeout(tcase, 0); /* ctest has one */
    tcase_add_test(tcase, offered_where_it_fits);
    tcase_add_test(tcase, short_offered_where_it_fits);
    tcase_add_test(tcase, few_registers);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
