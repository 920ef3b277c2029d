/* The text of --help, from the table of options. */
#include <stdio.h>
#include <string.h>

#include "base/lines.h"
#include "base/options.h"
#include "base/system.h"

/* Text that begins at `indent`, to the end of its last line. */
static void print_wrapped(const char *text, int indent, int width) {
    cli_wrap(stdout, text, indent, indent, width);
    putchar('\n');
}

static void print_default(const cli_option *option, const void *defaults, char *text, size_t size) {
    const void *from = (const char *)defaults + option->offset;
    text[0] = 0;
    if (cli_option_has_auto(option)) {
        char written[64];
        json_t *value = cli_option_to_json(option, defaults);
        cli_option_written(option, value, written, sizeof written);
        json_decref(value);
        snprintf(text, size, " [%s]", written);
        return;
    }
    switch (option->kind) {
    case CLI_FLAG: break;
    case CLI_RANGE:
    case CLI_INT: snprintf(text, size, " [%lld]", (long long)*(const int64_t *)from); break;
    case CLI_BYTES: break; /* 0 stands for something that the help says */
    case CLI_REAL: snprintf(text, size, " [%g]", *(const double *)from); break;
    case CLI_CHOICE: snprintf(text, size, " [%s]", cli_option_word(option, *(const int *)from).s); break;
    case CLI_TEXT:
    case CLI_NAME:
        if (*(const char *)from) snprintf(text, size, " [%s]", (const char *)from);
        break;
    }
}

static int help_width(void) {
    const int width = cli_is_terminal(stdout) ? cli_terminal_width(stdout) : 100;
    return width > 120 ? 120 : width;
}

void cli_print_wrapped(const char *head, const char *text) {
    const int indent = (int)strlen(head);
    printf("%s", head);
    print_wrapped(text, indent, help_width());
}

void cli_names_print(const cli_names *names, int indent) {
    enum { BELOW = 4 };
    const int width = help_width();
    int column = 0;
    for (size_t i = 0; i < names->count(); i++)
        if ((int)strlen(names->name(i)) > column) column = (int)strlen(names->name(i));
    const bool below = indent + column + 2 > width / 2;
    const int text = below ? indent + BELOW : indent + column + 2;
    for (size_t i = 0; i < names->count(); i++) {
        if (below)
            printf("%*s%s\n%*s", indent, "", names->name(i), text, "");
        else
            printf("%*s%-*s  ", indent, "", column, names->name(i));
        print_wrapped(names->summary(i), text, width);
    }
}

void cli_option_describe(const cli_command *command, const cli_option *option, char *text, size_t size) {
    const cli_names *names = cli_option_names(option);
    char list[512] = "", readers[256] = "", preset[CLI_PATH_MAX];
    if (names && names->listed_by)
        snprintf(list, sizeof list, "`%s` lists them", names->listed_by);
    else if (names && !names->summary)
        cli_names_join(names, ", ", list, sizeof list);
    if (command->readers) command->readers(option->name, readers, sizeof readers);
    print_default(option, command->defaults, preset, sizeof preset);
    snprintf(text, size, "%s%s%s%s%s%s%.200s", option->help, *readers ? " (" : "", readers, *readers ? ")" : "",
             *list ? ": " : "", list, preset);
}

/* The head of an option in its column, and what is said of it beside that, or below where the column is narrow or too short. */
static void print_option(const cli_command *command, const cli_option *option, int indent, int width) {
    char head[128], text[CLI_DESCRIPTION_MAX];
    const cli_names *names = cli_option_names(option);
    snprintf(head, sizeof head, "  --%s%s%s", option->name, option->kind == CLI_FLAG ? "" : " ",
             option->kind == CLI_FLAG ? "" : cli_option_placeholder(option));
    cli_option_describe(command, option, text, sizeof text);
    if ((int)strlen(head) + 2 > indent)
        cli_line(stdout, "%s\n%*s", head, indent, "");
    else
        printf("%-*s", indent, head);
    print_wrapped(text, indent, width);
    if (names && names->summary && !names->listed_by) cli_names_print(names, indent);
}

enum { INDENT = 30, NARROW_INDENT = 6 };

static int option_indent(void) { return help_width() < 2 * INDENT ? NARROW_INDENT : INDENT; }

void cli_options_help_group(const cli_command *command, const char *group) {
    size_t first;
    const size_t count = cli_options_group(command->options, group, &first);
    for (size_t i = first; i < first + count; i++) print_option(command, &command->options[i], option_indent(), help_width());
}

void cli_options_help(const cli_command *command) {
    const int width = help_width(), indent = option_indent();
    char synopsis[1024];
    cli_command_synopsis(command, synopsis, sizeof synopsis);
    cli_line(stdout, "usage: clmaml %s %s\n\n", command->name, synopsis);
    print_wrapped(command->details, 0, width);
    if (command->subjects) cli_names_print(command->subjects, 2);
    for (const cli_option *option = command->options; option->name; option++) {
        if (option->group) cli_line(stdout, "\n%s\n", option->group);
        print_option(command, option, indent, width);
    }
    printf("  %-*s%s%s\n", indent - 2, "--help", indent == INDENT ? "" : "  ", "this text");
}
