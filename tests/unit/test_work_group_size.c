/* Work-group sizes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "device/opencl/work_group_size.h"
#include "support/launch.h"

static const struct {
    clm_work_group_limits limits;
    size_t global[3], local[3], expected_global[3], expected_local[3];
} rows[] = {
    /* a CPU: groups of one */
    {{CLM_DEVICE_CPU, 4096, 8, {4096, 4096, 4096}, {0}}, {100, 3, 5}, {0}, {100, 3, 5}, {1, 1, 1}},
    {{CLM_DEVICE_CPU, 4096, 8, {4096, 4096, 4096}, {0}}, {100, 0, 0}, {0}, {100, 1, 1}, {1, 1, 1}},
    /* a GPU: powers of two along the first, divisors of the others */
    {{CLM_DEVICE_GPU, 1024, 32, {1024, 1024, 64}, {0}}, {10000, 1, 32}, {0}, {10112, 1, 32}, {128, 1, 1}},
    {{CLM_DEVICE_GPU, 1024, 32, {1024, 1024, 64}, {0}}, {64, 14, 32}, {0}, {64, 14, 32}, {64, 2, 1}},
    {{CLM_DEVICE_GPU, 1024, 32, {1024, 1024, 64}, {0}}, {130, 1, 1}, {0}, {160, 1, 1}, {32, 1, 1}},
    {{CLM_DEVICE_GPU, 1024, 32, {1024, 1024, 64}, {0}}, {5, 1, 32}, {0}, {8, 1, 32}, {8, 1, 16}},
    {{CLM_DEVICE_GPU, 1024, 32, {1024, 1024, 4}, {0}}, {1, 7, 32}, {0}, {1, 7, 32}, {1, 7, 4}},
    {{CLM_DEVICE_GPU, 1, 1, {1, 1, 1}, {0}}, {100, 7, 32}, {0}, {100, 7, 32}, {1, 1, 1}},
    /* given and legal */
    {{CLM_DEVICE_GPU, 256, 32, {256, 256, 64}, {0}}, {64, 64, 2}, {16, 16, 1}, {64, 64, 2}, {16, 16, 1}},
    {{CLM_DEVICE_GPU, 256, 32, {256, 256, 64}, {0}}, {100, 64, 2}, {16, 16, 1}, {112, 64, 2}, {16, 16, 1}},
    /* given and too large: made smaller by factors of itself */
    {{CLM_DEVICE_GPU, 64, 32, {64, 64, 64}, {0}}, {64, 64, 2}, {16, 16, 1}, {64, 64, 2}, {8, 8, 1}},
    {{CLM_DEVICE_CPU, 1, 1, {1, 1, 1}, {0}}, {64, 64, 2}, {16, 16, 1}, {64, 64, 2}, {1, 1, 1}},
    {{CLM_DEVICE_GPU, 256, 32, {16, 256, 64}, {0}}, {96, 1, 1}, {48, 1, 1}, {96, 1, 1}, {16, 1, 1}},
    /* demanded by the kernel */
    {{CLM_DEVICE_CPU, 256, 32, {256, 256, 64}, {8, 8, 1}}, {20, 8, 3}, {0}, {24, 8, 3}, {8, 8, 1}},
};
enum { ROWS = sizeof rows / sizeof *rows };

START_TEST(work_group_sizes) {
    size_t global[3], local[3];
    memcpy(global, rows[_i].global, sizeof global);
    memcpy(local, rows[_i].local, sizeof local);
    CLM_TEST_OK(clm_work_group_choose(&rows[_i].limits, global, local));
    for (int k = 0; k < 3; k++) {
        ck_assert_uint_eq(local[k], rows[_i].expected_local[k]);
        ck_assert_uint_eq(global[k], rows[_i].expected_global[k]);
    }
}
END_TEST

START_TEST(demanded_size_that_does_not_fit) {
    clm_work_group_limits limits = {CLM_DEVICE_GPU, 32, 32, {256, 256, 64}, {8, 8, 1}};
    size_t global[3] = {8, 8, 1}, local[3] = {0};
    ck_assert_int_eq(clm_work_group_choose(&limits, global, local), CLM_E_LIMIT);
    CLM_TEST_SAYS("8 x 8 x 1");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("work-group sizes");
    TCase *tcase = tcase_create("work_group_size");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, work_group_sizes, 0, ROWS);
    tcase_add_test(tcase, demanded_size_that_does_not_fit);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
