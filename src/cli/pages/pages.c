/* The files of documentation that the build asks for. */
#include "pages/pages.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/system.h"
#include "pages/parts.h"

/* ---- what the tables say of values ---- */

static const struct {
    const char *placeholder;
    cli_value_kind kind;
    const char *words;
} value_kinds[] = {
    {"FILE", CLI_VALUE_FILE, ""},
    {"PATH", CLI_VALUE_FILE, ""},
    {"LIBRARY", CLI_VALUE_FILE, ""},
    {"PROGRAM", CLI_VALUE_FILE, ""},
    {"DIR", CLI_VALUE_DIRECTORY, ""},
    {"FOLDER", CLI_VALUE_DIRECTORY, ""},
    {"WHICH", CLI_VALUE_DEVICE, "gpu cpu accelerator host"},
};

/* Options whose values are what the arguments of a command may be. */
static const struct { const char *option, *placeholder, *command; } values_of_commands[] = {{"model", "NAME", "pretrained"}};

static const cli_pages *written; /* the pages at hand */

static void words_of_command(const cli_option *option, char *text, size_t size) {
    for (size_t i = 0; i < CLI_COUNT(values_of_commands); i++) {
        if (strcmp(option->name, values_of_commands[i].option) != 0 ||
            strcmp(cli_option_placeholder(option), values_of_commands[i].placeholder) != 0)
            continue;
        for (size_t k = 0; k < written->count; k++)
            if (strcmp(written->commands[k]->name, values_of_commands[i].command) == 0)
                cli_command_subjects(written->commands[k], text, size);
    }
}

/* The row of an option's placeholder; -1 when its value is of no such kind. */
static int value_row(const cli_option *option) {
    if (option->kind != CLI_TEXT) return -1;
    for (size_t i = 0; i < CLI_COUNT(value_kinds); i++)
        if (strcmp(cli_option_placeholder(option), value_kinds[i].placeholder) == 0) return (int)i;
    return -1;
}

cli_value_kind cli_option_value_kind(const cli_option *option) {
    const int row = value_row(option);
    return row < 0 ? CLI_VALUE_WORD : value_kinds[row].kind;
}

/* The words of "a|b|c" with blanks between them; of a placeholder, "even anneal" of "W1,..,WK|even|anneal", those in small letters. */
static void split_words(const char *from, bool placeholder, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    while (*from && used < size) {
        const size_t length = strcspn(from, "|");
        if (!placeholder || islower((unsigned char)*from))
            used += (size_t)snprintf(text + used, size - used, "%s%.*s", used ? " " : "", (int)length, from);
        from += length + (from[length] == '|');
    }
}

void cli_option_values(const cli_option *option, char *text, size_t size) {
    const int row = value_row(option);
    const char *placeholder = cli_option_placeholder(option);
    text[0] = 0;
    if (row >= 0)
        snprintf(text, size, "%s", value_kinds[row].words);
    else if (option->kind == CLI_NAME)
        cli_names_join(cli_option_names(option), " ", text, size);
    else if (option->kind == CLI_CHOICE || strchr(placeholder, '|'))
        split_words(placeholder, option->kind != CLI_CHOICE, text, size);
    else
        words_of_command(option, text, size);
}

void cli_command_subjects(const cli_command *command, char *text, size_t size) {
    const cli_names *names = command->subjects ? command->subjects : command->words;
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; names && i < names->count() && used < size; i++) {
        const char *name = names->name(i);
        if (islower((unsigned char)name[0])) used += (size_t)snprintf(text + used, size - used, "%s%s", used ? " " : "", name);
    }
}

/* ---- files ---- */

static clm_status begin(FILE **file, const char *directory, const char *name, char *path) {
    CLI_TRY(cli_path(path, directory, name));
    *file = fopen(path, "w");
    return *file ? CLM_OK : cli_fail(CLM_E_IO, "cannot write %s: %s", path, strerror(errno));
}

static clm_status end(FILE *file, const char *path) {
    const bool failed = ferror(file) != 0;
    if (fclose(file) == 0 && !failed) return CLM_OK;
    return cli_fail(CLM_E_IO, "cannot write %s", path);
}

/* The page of a command, then those of its variants: clmaml-train.1, clmaml-train-navigation.1. */
static clm_status write_command(const cli_pages *pages, const char *man, const cli_command *command) {
    char path[CLI_PATH_MAX], name[64];
    FILE *file;
    snprintf(name, sizeof name, "clmaml-%s.1", command->name);
    for (char *c = name; *c; c++)
        if (*c == ' ') *c = '-';
    CLI_TRY(begin(&file, man, name, path));
    cli_man_command(file, pages, command);
    CLI_TRY(end(file, path));
    for (size_t i = 0; command->variants && command->variants[i]; i++) CLI_TRY(write_command(pages, man, command->variants[i]));
    return CLM_OK;
}

bool cli_pages_has_command(const cli_pages *pages, const char *name) {
    size_t i = 0;
    while (i < pages->count && strcmp(pages->commands[i]->name, name) != 0) i++;
    return i < pages->count;
}

/* A directory for pages of one section. */
static clm_status make_section(char *path, const char *directory, const char *section) {
    CLI_TRY(cli_path(path, directory, section));
    return cli_directory_make(path);
}

static clm_status write_commands(const cli_pages *pages, const char *directory) {
    char man[CLI_PATH_MAX], path[CLI_PATH_MAX];
    FILE *file;
    CLI_TRY(make_section(man, directory, "man1"));
    CLI_TRY(begin(&file, man, "clmaml.1", path));
    cli_man_program(file, pages);
    CLI_TRY(end(file, path));
    for (size_t i = 0; i < pages->count; i++) CLI_TRY(write_command(pages, man, pages->commands[i]));
    return CLM_OK;
}

static clm_status write_topics(const cli_pages *pages, const char *directory) {
    char man[CLI_PATH_MAX], path[CLI_PATH_MAX], name[64];
    FILE *file;
    CLI_TRY(make_section(man, directory, "man7"));
    for (size_t i = 0; i < pages->topics->count; i++) {
        const cli_topic *topic = &pages->topics->topic[i];
        if (cli_pages_has_command(pages, topic->name)) continue; /* on the page of the command */
        snprintf(name, sizeof name, "clmaml-%s.7", topic->name);
        CLI_TRY(begin(&file, man, name, path));
        cli_man_topic(file, pages, topic);
        CLI_TRY(end(file, path));
    }
    return CLM_OK;
}

clm_status cli_pages_write(const cli_pages *pages, const char *directory) {
    static const struct {
        const char *name;
        void (*write)(FILE *file, const cli_pages *pages);
    } shells[] = {{"clmaml.bash", cli_bash_write}, {"_clmaml", cli_zsh_write}, {"clmaml.fish", cli_fish_write}};
    char path[CLI_PATH_MAX];
    FILE *file;
    written = pages;
    CLI_TRY(write_commands(pages, directory));
    CLI_TRY(write_topics(pages, directory));
    for (size_t i = 0; i < CLI_COUNT(shells); i++) {
        CLI_TRY(begin(&file, directory, shells[i].name, path));
        shells[i].write(file, pages);
        CLI_TRY(end(file, path));
    }
    return CLM_OK;
}
