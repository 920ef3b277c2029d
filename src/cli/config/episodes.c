/* Runs of episodes among runs. */
#include "config/episodes.h"

#include <stdio.h>
#include <string.h>

#include "base/system.h"

/* `record`: what the library keeps of a policy's training; `settings`: the program's own, of navigation alone. */
static bool read(const json_t *record, const json_t *settings, cli_episodes *e) {
    const char *environment = json_string_value(json_object_get(record, "environment")),
               *source = json_string_value(json_object_get(settings, "source"));
    e->navigation = source && strcmp(source, "navigation") == 0;
    snprintf(e->environment, sizeof e->environment, "%s", environment ? environment : e->navigation ? source : "");
    return json_is_object(record) || e->navigation;
}

bool cli_episodes_in_config(const json_t *config, cli_episodes *e) {
    return read(json_object_get(config, "policy"), json_object_get(config, "settings"), e);
}

bool cli_episodes_in_archive(const clm_archive *archive, cli_episodes *e) {
    const char *record = clm_archive_meta(archive, "clmaml.policy"), *note = clm_archive_meta(archive, "clmaml.note");
    json_t *policy = record ? json_loads(record, 0, NULL) : NULL, *settings = note ? json_loads(note, 0, NULL) : NULL;
    const bool is = read(policy, settings, e);
    json_decref(policy);
    json_decref(settings);
    return is;
}

/* DIR of DIR/checkpoints/FILE; "DIR" of a checkpoint that lies elsewhere. */
static void directory_of(const char *path, char *text, size_t size) {
    static const char inside[] = "/checkpoints/";
    const char *at = NULL;
    for (const char *next = strstr(path, inside); next; next = strstr(next + 1, inside)) at = next;
    if (cli_is_directory(path))
        snprintf(text, size, "%s", path);
    else if (at)
        snprintf(text, size, "%.*s", (int)(at - path), path);
    else
        snprintf(text, size, "%s", strncmp(path, inside + 1, strlen(inside) - 1) == 0 ? "." : "DIR");
}

void cli_episodes_next(const cli_episodes *e, const char *path, char *text, size_t size) {
    char directory[CLI_PATH_MAX];
    directory_of(path, directory, sizeof directory);
    if (e->navigation)
        snprintf(text, size, "go on with it, or test it again: clmaml train navigation --resume --run %s",
                 cli_pasted(directory));
    else
        snprintf(
            text, size,
            "go on with it by the program that began it (clm_policy_train with resume), or see its returns: clmaml runs %s",
            cli_pasted(directory));
}

clm_status cli_episodes_refuse(const cli_episodes *e, const char *path) {
    char next[CLI_PATH_MAX + 160];
    cli_episodes_next(e, path, next, sizeof next);
    return cli_fail(CLM_E_ARG, "%s is %sa run of %s%s, of episodes instead of examples; %s", path,
                    cli_is_directory(path) ? "" : "of ", e->navigation ? "" : "an environment of one's own, ",
                    e->environment[0] ? e->environment : "without a name", next);
}
