/* TensorBoard's event files: byte for byte what TensorBoard's own writer makes of the same events. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/run.h"
#include "train/events.h"
#include "train/metrics.h"

/* By tensorboard 2.21: RecordWriter over Event(wall_time=1.5e9, file_version="brain.Event:2"), then
 * Event(wall_time=1500000002.25, step=300) with a summary of loss/train = 1.25, lr/train = 0.1. */
static const char expected[] = "1800000000000000a37f4b2209000000c00b5ad6411a0d627261696e2e4576656e743a324ca9a464"
                               "3200000000000000241956ec09000090c00b5ad64110ac022a240a110a0a6c6f73732f747261696e"
                               "150000a03f0a0f0a086c722f747261696e15cdcccc3dbd995e87";

START_TEST(bytes_are_those_of_tensorboard) {
#define NAME(NAME_, name) #name,
    static const char *const names[] = {CLM_METRIC_LIST(NAME)};
#undef NAME
    clm_train_row row = clm_row_empty(CLM_ROW_TRAIN, 300);
    row.value[CLM_METRIC_LOSS] = 1.25;
    row.value[CLM_METRIC_LR] = 0.1;
    row.value[CLM_METRIC_GRAD_NORM] = INFINITY; /* as what is not measured: left out */
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    clm_events_begin(file, 1.5e9);
    clm_events_add(file, &row, names, "train", 1500000002.25);
    rewind(file);
    char hex[2 * 200 + 1] = "";
    size_t length = 0;
    for (int c; (c = fgetc(file)) != EOF && length < 200; length++) snprintf(hex + 2 * length, 3, "%02x", c);
    fclose(file);
    ck_assert_str_eq(hex, expected);
}

int main(void) {
    Suite *suite = suite_create("events");
    TCase *tc = tcase_create("events");
    tcase_add_test(tc, bytes_are_those_of_tensorboard);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
