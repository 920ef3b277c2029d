/* JSON that is written. */
#include "base/json.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/common.h"

static _Thread_local bool failed;

void cli_json_set(json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value) != 0) failed = true;
}

void cli_json_append(json_t *array, json_t *value) {
    if (json_array_append_new(array, value) != 0) failed = true;
}

char *cli_json_text(const json_t *root, size_t flags) {
    char *text = failed || !root ? NULL : json_dumps(root, flags);
    failed = false;
    if (!text) (void)cli_fail(CLM_E_MEMORY, "out of memory");
    return text;
}
