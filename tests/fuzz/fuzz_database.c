/* The database of tuning results that CLMAML_TUNE_DATABASE names. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tune/database.h"

static const clm_device_info card = {
    .type = CLM_DEVICE_GPU, .name = "card", .vendor = "Maker", .platform = "P", .driver = "3.1", .compute_units = 8};

static void run(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    clm_database *database = NULL;
    if (clm_database_read(&database, text, "file", &card) == CLM_OK) {
        const char *choice = clm_database_find(database, "matmul", 4);
        fuzz_check(!choice || (*choice && strlen(choice) < CLM_DATABASE_CHOICE), "database: a choice that is none");
    }
    clm_database_free(database);
    free(text);
}

const fuzz_target fuzz_this = {run, 1 << 16, 16};
