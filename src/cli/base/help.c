/* The text of --help, from the table of options. */
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "base/system.h"

/* Text wrapped to `width`, its further lines indented by `indent`. No line ends with a blank. */
static void print_wrapped(const char *text, int column, int indent, int width) {
    int blanks = 0; /* before the next word, which column counts already */
    while (*text) {
        const size_t word = strcspn(text, " \n");
        if (word && column > indent && column + (int)word >= width) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (word)
            printf("%*s", blanks, "");
        if (word) blanks = 0;
        printf("%.*s", (int)word, text);
        column += (int)word;
        text += word;
        if (*text == '\n') {
            printf("\n%*s", indent, "");
            column = indent;
            blanks = 0;
            text++;
        } else if (*text == ' ') {
            blanks++;
            column++;
            text++;
        }
    }
    putchar('\n');
}

static void print_default(const cli_option *option, const void *defaults, char *text, size_t size) {
    const void *from = (const char *)defaults + option->offset;
    text[0] = 0;
    switch (option->kind) {
    case CLI_FLAG: break;
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
    return width > 120 ? 120 : width < 60 ? 60 : width;
}

void cli_print_wrapped(const char *head, const char *text) {
    const int indent = (int)strlen(head);
    printf("%s", head);
    print_wrapped(text, indent, indent, help_width());
}

void cli_names_print(const cli_names *names, int indent) {
    const int width = help_width();
    int column = 0;
    for (size_t i = 0; i < names->count(); i++)
        if ((int)strlen(names->name(i)) > column) column = (int)strlen(names->name(i));
    for (size_t i = 0; i < names->count(); i++) {
        printf("%*s%-*s  ", indent, "", column, names->name(i));
        print_wrapped(names->summary(i), indent + column + 2, indent + column + 2, width);
    }
}

void cli_option_describe(const cli_command *command, const cli_option *option, char *text, size_t size) {
    const cli_names *names = cli_option_names(option);
    char list[512] = "", readers[256] = "", preset[CLI_PATH_MAX];
    if (names && !names->summary) cli_names_join(names, ", ", list, sizeof list);
    if (command->readers) command->readers(option->name, readers, sizeof readers);
    print_default(option, command->defaults, preset, sizeof preset);
    snprintf(text, size, "%s%s%s%s%s%s%.200s", option->help, *readers ? " (" : "", readers, *readers ? ")" : "",
             *list ? ": " : "", list, preset);
}

void cli_options_help(const cli_command *command) {
    enum { INDENT = 30 };
    const int width = help_width();
    char synopsis[1024];
    cli_command_synopsis(command, synopsis, sizeof synopsis);
    printf("usage: clmaml %s %s\n\n", command->name, synopsis);
    print_wrapped(command->details, 0, 0, width);
    if (command->subjects) cli_names_print(command->subjects, 2);
    for (const cli_option *option = command->options; option->name; option++) {
        char head[128], text[CLI_DESCRIPTION_MAX];
        if (option->group) printf("\n%s\n", option->group);
        snprintf(head, sizeof head, "  --%s%s%s", option->name, option->kind == CLI_FLAG ? "" : " ",
                 option->kind == CLI_FLAG ? "" : cli_option_placeholder(option));
        cli_option_describe(command, option, text, sizeof text);
        if (strlen(head) + 2 > INDENT)
            printf("%s\n%*s", head, INDENT, "");
        else
            printf("%-*s", INDENT, head);
        print_wrapped(text, INDENT, INDENT, width);
        if (cli_option_names(option) && cli_option_names(option)->summary) cli_names_print(cli_option_names(option), INDENT);
    }
    printf("  %-*s%s\n", INDENT - 2, "--help", "this text");
}
