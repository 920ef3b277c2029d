/* The writer of TensorBoard's event files: rows of any numbers make records whose lengths are right. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "train/events.h"

/* Is it one record after the other? */
static void check_records(const uint8_t *file, size_t size) {
    size_t at = 0;
    while (at < size) {
        uint64_t length = 0;
        fuzz_check(size - at >= 16, "events: a record is cut off");
        for (int i = 7; i >= 0; i--) length = length << 8 | file[at + (size_t)i];
        fuzz_check(length <= size - at - 16, "events: a record's length is wrong");
        at += 16 + (size_t)length;
    }
}

static void run(const uint8_t *data, size_t size) {
    static const char *const names[] = {
#define NAME(NAME, name) #name,
        CLM_METRIC_LIST(NAME)
#undef NAME
    };
    char *file = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&file, &length);
    fuzz_check(stream != NULL, "no memory");
    clm_events_begin(stream, 1e9);
    for (size_t at = 0; at + 8 <= size && at < 4096;) {
        clm_train_row row = {0};
        double wall = 0;
        memcpy(&row.iteration, data + at, 8), at += 8;
        for (size_t i = 0; i < CLM_METRIC_COUNT && at + 8 <= size; i++, at += 8) memcpy(&row.value[i], data + at, 8);
        if (at + 8 <= size) memcpy(&wall, data + at, 8);
        clm_events_add(stream, &row, names, row.iteration & 1 ? "validation" : "train", wall);
    }
    fclose(stream);
    check_records((const uint8_t *)file, length);
    free(file);
}

const fuzz_target fuzz_this = {run, 1 << 18, 64};
