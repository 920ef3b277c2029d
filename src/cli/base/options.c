/* The option parser: `--name value`, `--name=value`, `--flag`, positionals in between, `--` ends the options. */
#include "base/options.h"
#include "base/system.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *cli_json_path(const char *path) {
    json_t *string = json_string(path);
    if (string) return string;
    char *text = malloc(3 * strlen(path) + 1), *at = text;
    for (; text && *path; path++) {
        if ((unsigned char)*path < 128)
            *at++ = *path;
        else
            at += snprintf(at, 4, "\xEF\xBF\xBD");
    }
    if (text) *at = 0;
    string = text ? json_string(text) : NULL;
    free(text);
    return string;
}

json_t *cli_json_load(const char *path) {
    json_error_t error;
    char *text = NULL;
    if (cli_file_read(path, &text) != CLM_OK) return NULL;
    json_t *root = json_loads(text + (strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0), 0, &error);
    free(text);
    if (!root) (void)cli_fail(CLM_E_FORMAT, "%s: line %d: %s", path, error.line, error.text);
    return root;
}

size_t cli_option_count(const cli_option *options) {
    size_t count = 0;
    while (options[count].name) count++;
    return count;
}

size_t cli_options_group(const cli_option *options, const char *group, size_t *first) {
    size_t at = 0, end;
    while (options[at].name && !(options[at].group && strcmp(options[at].group, group) == 0)) at++;
    assert(options[at].name);
    for (end = at + 1; options[end].name && !options[end].group;) end++;
    *first = at;
    return end - at;
}

int cli_option_find(const cli_option *options, const char *name) {
    for (size_t i = 0; options[i].name; i++)
        if (strcmp(options[i].name, name) == 0) return (int)i;
    return -1;
}

cli_text cli_option_word(const cli_option *option, int index) {
    cli_text text = {""};
    const char *at = option->value;
    while (index-- > 0 && at) at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL;
    if (at) snprintf(text.s, sizeof text.s, "%.*s", (int)strcspn(at, "|"), at);
    return text;
}

static void *field(const cli_option *option, void *settings) { return (char *)settings + option->offset; }

/* The number that stands for auto is written as the word alone. */
static double least_of(const cli_option *o) { return cli_option_has_auto(o) ? 0 : o->min; }

static clm_status bad_number(const cli_option *o, const char *text) {
    const bool word = cli_option_has_auto(o);
    const double least = least_of(o);
    if (o->kind == CLI_BYTES) return cli_usage("--%s: '%s' is not an amount of memory such as 512M or 2G", o->name, text);
    if (o->kind == CLI_INT)
        return cli_usage("--%s: '%s' is not a whole number from %.0f to %.0f%s", o->name, text, least, o->max,
                         word ? ", or auto" : "");
    if (o->kind == CLI_RANGE)
        return cli_usage("--%s: '%s' is neither a whole number from %.0f to %.0f nor two such with .. between, the less first",
                         o->name, text, o->min, o->max);
    return cli_usage("--%s: '%s' is not a number from %g to %g%s", o->name, text, least, o->max, word ? ", or auto" : "");
}

static clm_status set_real(const cli_option *o, double *to, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (cli_option_has_auto(o) && strcmp(text, "auto") == 0) {
        *to = CLI_AUTO;
        return CLM_OK;
    }
    if (end == text || *end || !isfinite(value) || value < least_of(o) || value > o->max) return bad_number(o, text);
    *to = value;
    return CLM_OK;
}

static clm_status set_int(const cli_option *o, int64_t *to, const char *text) {
    char *end;
    if (cli_option_has_auto(o) && strcmp(text, "auto") == 0) {
        *to = CLI_AUTO;
        return CLM_OK;
    }
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || (double)value < least_of(o) || (double)value > o->max) return bad_number(o, text);
    *to = value;
    return CLM_OK;
}

static clm_status set_range(const cli_option *o, int64_t to[2], const char *text) {
    const char *dots = strstr(text, "..");
    int64_t least = 0, most = 0;
    char first[32];
    if (dots) {
        snprintf(first, sizeof first, "%.*s", (int)(dots - text < 31 ? dots - text : 31), text);
        if (set_int(o, &least, first) != CLM_OK) return bad_number(o, text);
    }
    if (set_int(o, &most, dots ? dots + 2 : text) != CLM_OK || least > most) return bad_number(o, text);
    to[0] = most;
    to[1] = least < most ? least : 0; /* 5..5 is 5 */
    return CLM_OK;
}

static clm_status set_bytes(const cli_option *o, int64_t *to, const char *text) {
    static const char units[] = "KMGT";
    char *end;
    double value = strtod(text, &end);
    if (end == text || !(value >= 0)) return bad_number(o, text);
    const char *unit = *end ? strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
    if (*end) {
        if (!unit) return bad_number(o, text);
        for (const char *u = units; u <= unit; u++) value *= 1024;
        end++;
        if (strcmp(end, "iB") == 0 || strcmp(end, "B") == 0) end += strlen(end);
    }
    if (*end || value > 9e15) return bad_number(o, text);
    *to = (int64_t)value;
    return CLM_OK;
}

static clm_status set_choice(const cli_option *o, int *to, const char *text) {
    for (int i = 0;; i++) {
        cli_text word = cli_option_word(o, i);
        if (!word.s[0]) break;
        if (strcmp(word.s, text) != 0) continue;
        *to = i;
        return CLM_OK;
    }
    return cli_usage("--%s: '%s' is not one of %s", o->name, text, (const char *)o->value);
}

const cli_names *cli_option_names(const cli_option *option) { return option->kind == CLI_NAME ? option->value : NULL; }

const char *cli_option_placeholder(const cli_option *option) { return option->kind == CLI_NAME ? "NAME" : option->value; }

static clm_status set_name(const cli_option *o, char *to, const char *text) {
    char list[1024];
    const cli_names *names = cli_option_names(o);
    if (cli_names_find(names, text) >= 0 || (!*text && o->min <= 0)) {
        snprintf(to, CLI_PATH_MAX, "%s", text);
        return CLM_OK;
    }
    const char *nearest = cli_names_nearest(names, text);
    if (names->listed_by)
        return cli_usage("--%s: '%s' is none of those that `%s` lists%s", o->name, text, names->listed_by,
                         cli_did_you_mean(nearest).s);
    cli_names_join(names, ", ", list, sizeof list);
    return cli_usage("--%s: '%s' is not one of %s%s", o->name, text, list, cli_did_you_mean(nearest).s);
}

clm_status cli_option_set(const cli_option *option, void *settings, const char *text) {
    void *to = field(option, settings);
    switch (option->kind) {
    case CLI_FLAG: *(bool *)to = true; return CLM_OK;
    case CLI_INT: return set_int(option, to, text);
    case CLI_RANGE: return set_range(option, to, text);
    case CLI_REAL: return set_real(option, to, text);
    case CLI_BYTES: return set_bytes(option, to, text);
    case CLI_CHOICE: return set_choice(option, to, text);
    case CLI_NAME: return set_name(option, to, text);
    case CLI_TEXT:
        if (strlen(text) >= CLI_PATH_MAX) return cli_usage("--%s: longer than %d characters", option->name, CLI_PATH_MAX - 1);
        memcpy(to, text, strlen(text) + 1);
        return CLM_OK;
    }
    return CLM_OK;
}

cli_text cli_range_text(int64_t least, int64_t most) {
    cli_text text;
    if (least)
        snprintf(text.s, sizeof text.s, "%lld..%lld", (long long)least, (long long)most);
    else
        snprintf(text.s, sizeof text.s, "%lld", (long long)most);
    return text;
}

static json_t *range_to_json(const int64_t range[2]) {
    return range[1] ? json_string(cli_range_text(range[1], range[0]).s) : json_integer(range[0]);
}

json_t *cli_option_to_json(const cli_option *option, const void *settings) {
    const void *from = (const char *)settings + option->offset;
    switch (option->kind) {
    case CLI_FLAG: return json_boolean(*(const bool *)from);
    case CLI_RANGE: return range_to_json(from);
    case CLI_INT:
    case CLI_BYTES: return json_integer(*(const int64_t *)from);
    case CLI_REAL: return json_real(*(const double *)from);
    case CLI_CHOICE: return json_string(cli_option_word(option, *(const int *)from).s);
    case CLI_TEXT:
    case CLI_NAME: return json_string(from);
    }
    return NULL;
}

clm_status cli_option_from_json(const cli_option *option, void *settings, const json_t *value, const char *where) {
    char text[64];
    const char *from = text;
    if (json_is_string(value))
        from = json_string_value(value);
    else if (json_is_number(value) && cli_option_has_auto(option) && json_number_value(value) == CLI_AUTO)
        from = "auto";
    else if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, sizeof text, "%.17g", json_real_value(value));
    else if (!json_is_boolean(value))
        return cli_fail(CLM_E_FORMAT, "%s: option '%s' has a value of the wrong type", where, option->name);
    if (json_is_boolean(value) != (option->kind == CLI_FLAG))
        return cli_fail(CLM_E_FORMAT, "%s: option '%s' has a value of the wrong type", where, option->name);
    if (option->kind == CLI_FLAG) {
        *(bool *)field(option, settings) = json_is_true(value);
        return CLM_OK;
    }
    clm_status status = cli_option_set(option, settings, from);
    if (status == CLM_OK) return CLM_OK;
    char message[512];
    snprintf(message, sizeof message, "%s", cli_message());
    cli_forget(); /* the file is at fault, not the command line */
    return cli_fail(CLM_E_FORMAT, "%s: %s", where, message);
}

static clm_status unknown_option(const cli_command *command, const char *name) {
    const char *names[CLI_MAX_OPTIONS + 1];
    size_t count = 0;
    for (; command->options[count].name; count++) names[count] = command->options[count].name;
    names[count++] = "help";
    const char *nearest = clm_nearest_word(name, names, count);
    if (nearest)
        return cli_usage("unknown option --%s; did you mean --%s? (clmaml %s --help lists all)", name, nearest, command->name);
    return cli_usage("unknown option --%s (clmaml %s --help lists all)", name, command->name);
}

/* "--run", "--run=r": an option of the command rather than the value of another one. */
static bool is_option_of(const cli_command *command, const char *word) {
    char name[64];
    if (strncmp(word, "--", 2) != 0) return false;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    return strcmp(name, "help") == 0 || cli_option_find(command->options, name) >= 0;
}

static clm_status parse_option(const cli_command *command, int argc, char **argv, int *at, cli_args *args) {
    char name[64];
    const char *text = argv[*at] + 2, *equals = strchr(text, '=');
    snprintf(name, sizeof name, "%.*s", (int)(equals ? (size_t)(equals - text) : strlen(text)), text);
    if (strcmp(name, "help") == 0) {
        args->help = true;
        return CLM_OK;
    }
    int row = cli_option_find(command->options, name);
    if (row < 0) return unknown_option(command, name);
    const cli_option *option = &command->options[row];
    const char *value = equals ? equals + 1 : NULL;
    if (option->kind == CLI_FLAG && value) return cli_usage("--%s takes no value", name);
    if (option->kind != CLI_FLAG && !value) {
        if (*at + 1 >= argc) return cli_usage("--%s needs a value: --%s %s", name, name, cli_option_placeholder(option));
        value = argv[++*at];
        if (is_option_of(command, value))
            return cli_usage("--%s needs a value: --%s %s; what follows it, %s, is an option itself", name, name,
                             cli_option_placeholder(option), value);
    }
    if (option->kind == CLI_TEXT && !*value)
        return cli_usage("--%s has an empty value: --%s %s; is a variable of the shell not set?", name, name,
                         cli_option_placeholder(option));
    args->given[row] = true;
    return cli_option_set(option, args->settings, value);
}

void cli_command_synopsis(const cli_command *command, char *text, size_t size) {
    static const char subject[] = "SUBJECT";
    const char *at = command->subjects ? strstr(command->synopsis, subject) : NULL;
    char names[512];
    snprintf(text, size, "%s", command->synopsis);
    if (!at) return;
    cli_names_join(command->subjects, "|", names, sizeof names);
    snprintf(text, size, "%.*s%s%s", (int)(at - command->synopsis), command->synopsis, names, at + sizeof subject - 1);
}

const cli_command *cli_command_variant(const cli_command *command, const char *word) {
    const size_t length = strlen(command->name);
    for (size_t i = 0; command->variants && command->variants[i]; i++)
        if (strcmp(command->variants[i]->name + length + 1, word) == 0) return command->variants[i];
    return NULL;
}

static clm_status too_many(const cli_command *command, const char *argument) {
    char synopsis[1024];
    cli_command_synopsis(command, synopsis, sizeof synopsis);
    return cli_usage("'%s' is one argument too many; usage: clmaml %s %s", argument, command->name, synopsis);
}

clm_status cli_options_parse(const cli_command *command, int argc, char **argv, cli_args *args) {
    bool options_end = false;
    args->positional = (const char **)argv; /* what has been read makes room */
    for (int i = 0; i < argc && !args->help; i++) {
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else if (!options_end && strcmp(argv[i], "-h") == 0) {
            args->help = true;
        } else if (!options_end && strncmp(argv[i], "--", 2) == 0) {
            CLI_TRY(parse_option(command, argc, argv, &i, args));
        } else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
            return cli_usage("unknown option %s; options are long, see clmaml %s --help", argv[i], command->name);
        } else if (!argv[i][0]) {
            return cli_usage("an argument is empty; is a variable of the shell not set?");
        } else if (args->n_positional == command->max_positional) {
            return too_many(command, argv[i]);
        } else {
            args->positional[args->n_positional++] = argv[i];
        }
    }
    return CLM_OK;
}
