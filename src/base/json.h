/* JSON that is written. Memory may run out at each value: the thread remembers it until the text is asked for, so that no text is
 * written that lacks something. */
#ifndef CLM_BASE_JSON_H
#define CLM_BASE_JSON_H

#include <jansson.h>

/* Take the value, also where they fail; so does NULL for a value. */
void clm_json_set(json_t *object, const char *key, json_t *value);
void clm_json_append(json_t *array, json_t *value);
/* An array of the lines of a text, which may be NULL. Of one that is not UTF-8 what is not ASCII becomes U+FFFD. */
json_t *clm_json_lines(const char *text);
/* The tree as text, free(); flags as for json_dumps. NULL with CLM_E_MEMORY recorded when a value is missing in it. */
char *clm_json_text(const json_t *root, size_t flags);

#endif
