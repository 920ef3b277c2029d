/* JSON that is written, and lines of it that are read. Memory may run out at each value: the thread remembers it until the text is asked for, so that no text is
 * written that lacks something. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>

#include "base/common.h"

/* Take the value, also where they fail; so does NULL for a value. */
void cli_json_set(json_t *object, const char *key, json_t *value);
void cli_json_append(json_t *array, json_t *value);
/* An array of the lines of a text. One that is not UTF-8 is written as cli_json_path does. */
json_t *cli_json_of_lines(const char *text);
/* Do two files of runs say that they are of different ones? Those of before do not say. */
bool cli_json_of_other_runs(const json_t *one, const json_t *other);
/* The tree as text, free(); flags as for json_dumps. NULL with CLM_E_MEMORY recorded when a value is missing in it. */
char *cli_json_text(const json_t *root, size_t flags);

/* Calls `row` for each line of a file of JSON lines, where there is one. A last line that was cut off, as of a run that was killed, is
 * passed over; so are others that cannot be read, which are counted in *damaged (may be NULL). */
clm_status cli_json_lines(const char *path, void (*row)(void *user, const json_t *row), void *user, int *damaged);

#endif
