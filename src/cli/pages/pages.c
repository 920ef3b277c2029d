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

static clm_status write_man(const cli_pages *pages, const char *directory) {
    char man[CLI_PATH_MAX], path[CLI_PATH_MAX], name[64];
    FILE *file;
    CLI_TRY(cli_path(man, directory, "man1"));
    CLI_TRY(cli_directory_make(man));
    CLI_TRY(begin(&file, man, "clmaml.1", path));
    cli_man_program(file, pages);
    CLI_TRY(end(file, path));
    for (size_t i = 0; i < pages->count; i++) {
        snprintf(name, sizeof name, "clmaml-%s.1", pages->commands[i]->name);
        CLI_TRY(begin(&file, man, name, path));
        cli_man_command(file, pages, pages->commands[i]);
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
    CLI_TRY(write_man(pages, directory));
    for (size_t i = 0; i < CLI_COUNT(shells); i++) {
        CLI_TRY(begin(&file, directory, shells[i].name, path));
        shells[i].write(file, pages);
        CLI_TRY(end(file, path));
    }
    return CLM_OK;
}
