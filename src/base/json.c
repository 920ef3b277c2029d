/* JSON that is written. */
#include "base/json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static _Thread_local bool failed;

void clm_json_set(json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value) != 0) failed = true;
}

void clm_json_append(json_t *array, json_t *value) {
    if (json_array_append_new(array, value) != 0) failed = true;
}

/* NULL: no memory. */
static json_t *string_of(const char *text, size_t length) {
    json_t *string = json_stringn(text, length);
    if (string) return string;
    clm_text lossy = {0};
    for (size_t i = 0; i < length; i++) {
        const char one[2] = {text[i], 0};
        clm_text_add(&lossy, "%s", (unsigned char)text[i] < 128 ? one : "\xEF\xBF\xBD");
    }
    string = lossy.failed || !lossy.data ? NULL : json_string(lossy.data);
    clm_text_free(&lossy);
    return string;
}

json_t *clm_json_lines(const char *text) {
    json_t *lines = json_array();
    for (const char *at = text; at && *at;) {
        const size_t length = strcspn(at, "\n");
        clm_json_append(lines, string_of(at, length));
        at += length + (at[length] == '\n');
    }
    return lines;
}

char *clm_json_text(const json_t *root, size_t flags) {
    char *text = failed || !root ? NULL : json_dumps(root, flags);
    failed = false;
    if (!text) (void)clm_fail(CLM_E_MEMORY, "out of memory");
    return text;
}
