/* Values of options in the words of people, who write "auto" and 512M where settings hold numbers. */
#include <stdio.h>
#include <string.h>

#include "base/options.h"

bool cli_option_has_auto(const cli_option *o) {
    return (o->kind == CLI_INT || o->kind == CLI_REAL) && o->min == CLI_AUTO && strstr(o->value, "|auto") != NULL;
}

/* "512M": the largest unit that divides it. */
static void write_bytes(long long bytes, char *text, size_t size) {
    static const char units[] = "\0KMGT";
    size_t u = 0;
    while (bytes && bytes % 1024 == 0 && u + 2 < sizeof units) bytes /= 1024, u++;
    if (bytes)
        snprintf(text, size, "%lld%.1s", bytes, units + u);
    else
        text[0] = 0;
}

void cli_option_written(const cli_option *o, const json_t *value, char *text, size_t size) {
    text[0] = 0;
    if (json_is_string(value))
        snprintf(text, size, "%s", json_string_value(value));
    else if (json_is_boolean(value))
        snprintf(text, size, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_number(value) && cli_option_has_auto(o) && json_number_value(value) == CLI_AUTO)
        snprintf(text, size, "auto");
    else if (json_is_integer(value) && o->kind == CLI_BYTES)
        write_bytes((long long)json_integer_value(value), text, size);
    else if (json_is_integer(value))
        snprintf(text, size, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, size, "%.15g", json_real_value(value)); /* 0.3 is 0.3 */
}

void cli_option_meaning(const cli_option *o, const char *written, char *text, size_t size) {
    char mark[64];
    text[0] = 0;
    if (!*written || o->kind == CLI_CHOICE) return;
    snprintf(mark, sizeof mark, "; %s: ", written);
    const char *at = strstr(o->help, mark);
    if (!at) return;
    at += strlen(mark);
    snprintf(text, size, "%.*s", (int)strcspn(at, ";"), at);
}
