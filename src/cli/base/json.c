/* JSON that is written, and lines of it that are read. */
#include "base/json.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/characters.h"
#include "base/options.h"
#include "base/system.h"

static _Thread_local bool failed;

void cli_json_set(json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value) != 0) failed = true;
}

void cli_json_append(json_t *array, json_t *value) {
    if (json_array_append_new(array, value) != 0) failed = true;
}

bool cli_json_of_other_runs(const json_t *one, const json_t *other) {
    const char *a = json_string_value(json_object_get(one, "run")), *b = json_string_value(json_object_get(other, "run"));
    return a && b && strcmp(a, b) != 0;
}

json_t *cli_json_of_lines(const char *text) {
    json_t *lines = json_array();
    while (*text) {
        const size_t length = strcspn(text, "\n");
        char *line = malloc(length + 1);
        if (line) memcpy(line, text, length), line[length] = 0;
        cli_json_append(lines, line ? cli_json_path(line) : NULL);
        free(line);
        text += length + (text[length] == '\n');
    }
    return lines;
}

/* JSON goes to terminals too: what is not shown in its strings as \uXXXX, which is the same string. NULL: no memory. */
static char *escaped(const char *json) {
    char *text = malloc(6 * strlen(json) + 1), *to = text;
    bool shown;
    for (size_t n; text && *json; json += n) {
        n = cli_character(json, &shown);
        if (shown || (unsigned char)*json < ' ')
            memcpy(to, json, n), to += n;
        else
            to += snprintf(to, 7, "\\u%04x", cli_character_code(json, n));
    }
    if (text) *to = 0;
    return text;
}

char *cli_json_text(const json_t *root, size_t flags) {
    char *dumped = failed || !root ? NULL : json_dumps(root, flags), *text = dumped ? escaped(dumped) : NULL;
    free(dumped);
    failed = false;
    if (!text) (void)cli_fail(CLM_E_MEMORY, "out of memory");
    return text;
}

clm_status cli_json_lines(const char *path, void (*row)(void *user, const json_t *row), void *user, int *damaged) {
    char *text = NULL;
    int unread = 0;
    if (damaged) *damaged = 0;
    if (!cli_path_exists(path)) return CLM_OK;
    CLI_TRY(cli_file_read(path, &text));
    for (char *line = text, *next; *line; line = next) {
        const size_t length = strcspn(line, "\n");
        next = line + length + (line[length] == '\n');
        json_t *said = json_loadb(line, length, 0, NULL);
        if (said)
            row(user, said);
        else
            unread += *next != 0;
        json_decref(said);
    }
    free(text);
    if (damaged) *damaged = unread;
    return CLM_OK;
}
