/* Reference files of `clmaml verify`. */
#include <stdlib.h>

#include "fuzz.h"
#include "verify/reference.h"

static void run(const uint8_t *data, size_t size) {
    cli_reference *reference = calloc(1, sizeof *reference);
    fuzz_check(reference != NULL, "no memory");
    (void)cli_reference_open(reference, fuzz_safetensors("a", data, size));
    cli_reference_close(reference);
    free(reference);
    cli_forget();
}

const fuzz_target fuzz_this = {run, 1 << 20, 2048};
