/* Man pages in the macros of man(7). */
#include <string.h>

#include "pages/parts.h"

/* ---- text ---- */

/* One character as roff prints it. A backquote opens or closes bold. */
static void put(FILE *file, char c, bool *bold) {
    static const struct {
        char c;
        const char *roff;
    } escapes[] = {{'\\', "\\e"}, {'-', "\\-"}, {'^', "\\(ha"}, {'~', "\\(ti"}, {'\'', "\\(aq"}, {'"', "\\(dq"}};
    if (c == '`') {
        *bold = !*bold;
        fputs(*bold ? "\\fB" : "\\fR", file);
        return;
    }
    for (size_t i = 0; i < CLI_COUNT(escapes); i++) {
        if (escapes[i].c != c) continue;
        fputs(escapes[i].roff, file);
        return;
    }
    fputc(c, file);
}

/* Text in lines of at most 78 characters, before escapes. A point that begins a line would be a request. */
static void put_text(FILE *file, const char *text) {
    enum { WIDTH = 78 };
    bool bold = false;
    for (int column = 0; *text;) {
        const int word = (int)strcspn(text, " \n");
        if (column && word) {
            const bool fits = column + 1 + word <= WIDTH;
            fputc(fits ? ' ' : '\n', file);
            column = fits ? column + 1 : 0;
        }
        if (column == 0 && *text == '.') fputs("\\&", file);
        for (int i = 0; i < word; i++) put(file, text[i], &bold);
        column += word;
        text += word;
        if (*text == '\n') {
            fputs(column ? "\n.br\n" : "", file);
            column = 0;
        }
        if (*text) text++;
    }
    fputs(bold ? "\\fR\n" : "\n", file);
}

static void put_words(FILE *file, const char *text) {
    bool bold = false;
    for (; *text; text++) put(file, *text, &bold);
}

static void put_names(FILE *file, const cli_names *names) {
    for (size_t i = 0; i < names->count(); i++) {
        fputs(".TP\n.B ", file);
        put_words(file, names->name(i));
        fputc('\n', file);
        put_text(file, names->summary(i));
    }
}

/* ---- sections ---- */

static void put_title(FILE *file, const cli_pages *pages, const char *command, int section) {
    char upper[64];
    snprintf(upper, sizeof upper, "CLMAML%s%s", *command ? "-" : "", command);
    for (char *c = upper; *c; c++) *c = *c == ' ' ? '-' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
    fprintf(file, ".TH %s %d \"%s\" \"clMAML %s\" \"clMAML\"\n", upper, section, pages->date, clm_version());
}

static void put_exit_status(FILE *file) {
    static const char *const meanings[][2] = {{"0", "done"},
                                              {"1", "failed, or something was found wrong"},
                                              {"2", "a mistake on the command line"},
                                              {"130", "stopped by a signal"}};
    fputs(".SH EXIT STATUS\n", file);
    for (size_t i = 0; i < CLI_COUNT(meanings); i++) fprintf(file, ".TP\n.B %s\n%s\n", meanings[i][0], meanings[i][1]);
}

static void put_option(FILE *file, const cli_command *command, const cli_option *option) {
    const cli_names *names = cli_option_names(option);
    char text[CLI_DESCRIPTION_MAX];
    fputs(".TP\n\\fB\\-\\-", file);
    put_words(file, option->name);
    fputs("\\fR", file);
    if (option->kind != CLI_FLAG) {
        fputs(" \\fI", file);
        put_words(file, cli_option_placeholder(option));
        fputs("\\fR", file);
    }
    fputc('\n', file);
    cli_option_describe(command, option, text, sizeof text);
    put_text(file, text);
    if (!names || !names->summary || names->listed_by) return;
    fputs(".RS\n", file);
    put_names(file, names);
    fputs(".RE\n", file);
}

/* The parts of a topic, each heading a subsection. */
static void put_parts(FILE *file, const cli_topic *topic) {
    for (size_t i = 0; i < topic->n_parts; i++) {
        const cli_topic_part *part = &topic->parts[i];
        size_t first = 0;
        const size_t count = part->command ? cli_options_group(part->command->options, part->group, &first) : 0;
        if (part->heading) fprintf(file, ".SS %s\n", part->heading);
        if (part->text && !part->heading && i > 0) fputs(".PP\n", file);
        if (part->text) put_text(file, part->text);
        if (part->names) put_names(file, part->names);
        for (size_t k = first; k < first + count; k++) put_option(file, part->command, &part->command->options[k]);
    }
}

void cli_man_topic(FILE *file, const cli_pages *pages, const cli_topic *topic) {
    put_title(file, pages, topic->name, 7);
    fprintf(file, ".SH NAME\nclmaml\\-%s \\- ", topic->name);
    put_text(file, topic->summary);
    fputs(".SH DESCRIPTION\n", file);
    put_parts(file, topic);
    fputs(".SH SEE ALSO\n.BR clmaml (1)\n", file);
}

static bool mentions(const char *text, const char *name) {
    static const char *const before[] = {"`clmaml ", "as for "};
    char word[96];
    for (size_t i = 0; i < CLI_COUNT(before); i++) {
        snprintf(word, sizeof word, "%s%s", before[i], name);
        for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
            const char next = at[strlen(word)];
            if (!(next >= 'a' && next <= 'z') && next != '-') return true;
        }
    }
    return false;
}

/* Does the page of a command speak of another one? */
static bool speaks_of(const cli_command *command, const cli_command *other) {
    char text[CLI_DESCRIPTION_MAX];
    if (mentions(command->details, other->name)) return true;
    for (const cli_option *option = command->options; option->name; option++) {
        cli_option_describe(command, option, text, sizeof text);
        if (mentions(text, other->name)) return true;
    }
    return false;
}

/* A run is what most commands take, and train makes it; further ones are those that the page speaks of. */
static void put_see_also(FILE *file, const cli_pages *pages, const cli_command *command) {
    fputs(".SH SEE ALSO\n.BR clmaml (1)", file);
    for (size_t i = 0; i < pages->count; i++) {
        const cli_command *other = pages->commands[i];
        const bool makes = strcmp(other->name, "train") == 0 && strstr(command->synopsis, "RUN");
        if (other != command && (makes || speaks_of(command, other))) fprintf(file, ",\n.BR clmaml\\-%s (1)", other->name);
    }
    fputc('\n', file);
}

void cli_man_command(FILE *file, const cli_pages *pages, const cli_command *command) {
    char synopsis[1024];
    put_title(file, pages, command->name, 1);
    fputs(".SH NAME\nclmaml\\-", file);
    for (const char *c = command->name; *c; c++) fputs(*c == ' ' ? "\\-" : (const char[]){*c, 0}, file);
    fputs(" \\- ", file);
    put_text(file, command->summary);
    cli_command_synopsis(command, synopsis, sizeof synopsis);
    fprintf(file, ".SH SYNOPSIS\n.B clmaml %s\n", command->name);
    fputs(".nh\n", file); /* a hyphen would be taken for a part of a name */
    put_text(file, synopsis);
    fputs(".hy\n.SH DESCRIPTION\n", file);
    put_text(file, command->details);
    if (command->subjects) put_names(file, command->subjects);
    fputs(".SH OPTIONS\n", file);
    for (const cli_option *option = command->options; option->name; option++) {
        if (option->group && option != command->options) fprintf(file, ".SS %s\n", option->group);
        if (option->group && option == command->options && strcmp(option->group, "Options") != 0)
            fprintf(file, ".SS %s\n", option->group);
        put_option(file, command, option);
    }
    fputs(".TP\n\\fB\\-\\-help\\fR\nthis list of options\n", file);
    const cli_topic *topic = cli_topic_find(pages->topics, command->name);
    if (topic) put_parts(file, topic);
    put_exit_status(file);
    put_see_also(file, pages, command);
    for (size_t i = 0; command->variants && command->variants[i]; i++)
        fprintf(file, ".br\n.B clmaml %s \\-\\-help\n", command->variants[i]->name);
}

void cli_man_program(FILE *file, const cli_pages *pages) {
    put_title(file, pages, "", 1);
    fputs(".SH NAME\nclmaml \\- second\\-order meta\\-learning on any OpenCL device\n"
          ".SH SYNOPSIS\n.B clmaml\n.I COMMAND\n[\\-\\-option value ..]\n.br\n.B clmaml help\n.RI [ COMMAND | TOPIC ]\n.br\n"
          ".B clmaml \\-\\-version\n.SH DESCRIPTION\n",
          file);
    put_text(file,
             "Meta-learns a starting point from tasks, so that a few inner steps on a few examples of new classes suffice. "
             "A first run without any data of your own:");
    fputs(".PP\n.RS\nclmaml train glyphs \\-\\-iterations 300\n.RE\n.SH COMMANDS\n", file);
    for (size_t i = 0; i < pages->count; i++) {
        fprintf(file, ".TP\n.BR clmaml\\-%s (1)\n", pages->commands[i]->name);
        put_text(file, pages->commands[i]->summary);
    }
    fputs(".SH TOPICS\n", file);
    for (size_t i = 0; i < pages->topics->count; i++) {
        const cli_topic *topic = &pages->topics->topic[i];
        fprintf(file, ".TP\n.BR clmaml\\-%s (%d)\n", topic->name, cli_pages_has_command(pages, topic->name) ? 1 : 7);
        put_text(file, topic->summary);
    }
    fputs(".SH ENVIRONMENT\n.TP\n.B CLMAML_DEVICE\n", file);
    put_text(file, "the device of commands without --device, as `clmaml devices` names it");
    fputs(".TP\n.B CLMAML_CACHE_DIR\n", file);
    put_text(file, "where built kernels and measurements are kept");
    fputs(".PP\nAll are in\n.BR clmaml\\-environment (7).\n", file);
    put_exit_status(file);
    fputs(".SH SEE ALSO\n", file);
    for (size_t i = 0; i < pages->count; i++)
        fprintf(file, ".BR clmaml\\-%s (1)%s\n", pages->commands[i]->name, i + 1 < pages->count ? "," : "");
}
