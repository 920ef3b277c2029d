/* JSON that is written. */
#include "base/json.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

static _Thread_local bool failed;

void clm_json_set(json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value) != 0) failed = true;
}

void clm_json_append(json_t *array, json_t *value) {
    if (json_array_append_new(array, value) != 0) failed = true;
}

char *clm_json_text(const json_t *root, size_t flags) {
    char *text = failed || !root ? NULL : json_dumps(root, flags);
    failed = false;
    if (!text) (void)clm_fail(CLM_E_MEMORY, "out of memory");
    return text;
}
