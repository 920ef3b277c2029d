/* Completion of bash, zsh and fish: the commands, their options, and the values of an option: words from a list, names of files or of
 * directories, or devices, whose numbers `clmaml devices` tells when they are asked for. */
#include <string.h>

#include "pages/parts.h"

/* Text on one line in the single quotes of a shell, a backslash before each of `special`; `quote` is how ' stands there. */
static void put_quoted(FILE *file, const char *text, const char *special, const char *quote) {
    for (; *text; text++) {
        if (*text == '\'') {
            fputs(quote, file);
            continue;
        }
        if (strchr(special, *text)) fputc('\\', file);
        fputc(*text == '\n' ? ' ' : *text, file);
    }
}

/* A topic that has the name of a command is offered as that. */
static bool is_only_topic(const cli_pages *pages, size_t i) {
    return !cli_pages_has_command(pages, pages->topics->topic[i].name);
}

/* ---- bash ---- */

static const char *const bash_kinds[] = {
    [CLI_VALUE_WORD] = "value", [CLI_VALUE_FILE] = "path", [CLI_VALUE_DIRECTORY] = "directory", [CLI_VALUE_DEVICE] = "device"};

/* A pattern for the first two words; variants come before their command. */
static void bash_command(FILE *file, const cli_command *command) {
    char words[CLI_VALUES_MAX];
    for (size_t i = 0; command->variants && command->variants[i]; i++) bash_command(file, command->variants[i]);
    cli_command_subjects(command, words, sizeof words);
    fprintf(file, strchr(command->name, ' ') ? "    '%s')\n" : "    %s' '*)\n", command->name);
    fprintf(file, "        subjects='%s'\n        options='", words);
    for (const cli_option *option = command->options; option->name; option++) fprintf(file, "--%s ", option->name);
    fputs("--help'\n        case $previous in\n", file);
    for (const cli_option *option = command->options; option->name; option++) {
        if (option->kind == CLI_FLAG) continue;
        cli_option_values(option, words, sizeof words);
        fprintf(file, "        --%s) kind=%s", option->name, bash_kinds[cli_option_value_kind(option)]);
        if (*words) fprintf(file, " values='%s'", words);
        fputs(" ;;\n", file);
    }
    fputs("        esac\n        ;;\n", file);
}

static const char bash_head[] = "# Completion of clmaml in bash. Written by the build of clMAML.\n"
                                "_clmaml_devices() { # $1: the program\n"
                                "    local line\n"
                                "    while read -r line; do\n"
                                "        line=${line#'* '}\n"
                                "        [[ $line =~ ^([0-9]+:[0-9]+)' ' ]] && printf '%s ' \"${BASH_REMATCH[1]}\"\n"
                                "    done < <(\"$1\" devices 2>/dev/null)\n"
                                "}\n"
                                "_clmaml() {\n"
                                "    local at=$COMP_CWORD word=${COMP_WORDS[COMP_CWORD]} kind=word values='' subjects='' "
                                "options='' head='' IFS=$' \\t\\n'\n"
                                "    COMPREPLY=()\n"
                                "    # bash takes a:b for three words, and --option=value too\n"
                                "    while ((at > 2)) && [[ ${COMP_WORDS[at]} == : || ${COMP_WORDS[at - 1]} == : ]]; do\n"
                                "        ((at--))\n"
                                "        word=${COMP_WORDS[at]}$word\n"
                                "    done\n"
                                "    if [[ $word == = ]]; then\n"
                                "        word=''\n"
                                "    elif [[ ${COMP_WORDS[at - 1]} == = ]]; then\n"
                                "        ((at--))\n"
                                "    fi\n"
                                "    local previous=${COMP_WORDS[at - 1]} commands='";

static const char bash_tail[] =
    "    esac\n"
    "    case $kind in\n"
    "    path) return ;; # names of files, by -o default\n"
    "    directory)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        IFS=$'\\n'\n"
    "        COMPREPLY=($(compgen -d -- \"$word\"))\n"
    "        ;;\n"
    "    device)\n"
    "        compopt +o default 2>/dev/null\n"
    "        [[ $word != *,* ]] || head=${word%,*}, # several, with commas\n"
    "        COMPREPLY=($(compgen -P \"$head\" -W \"$values $(_clmaml_devices \"${COMP_WORDS[0]}\")\" -- "
    "\"${word#\"$head\"}\"))\n"
    "        [[ $word != *:* ]] || COMPREPLY=(\"${COMPREPLY[@]#\"${word%:*}:\"}\") # what is before a colon stays\n"
    "        ;;\n"
    "    value)\n"
    "        compopt +o default 2>/dev/null\n"
    "        COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
    "        ;;\n"
    "    word)\n"
    "        if [[ $word == -* ]]; then\n"
    "            COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
    "        elif [[ -n $subjects ]]; then\n"
    "            compopt -o filenames 2>/dev/null\n"
    "            IFS=$'\\n'\n"
    "            COMPREPLY=($(IFS=' ' compgen -W \"$subjects\" -- \"$word\") $(compgen -f -- \"$word\"))\n"
    "        fi\n"
    "        ;;\n"
    "    esac\n"
    "}\n"
    "complete -o default -F _clmaml clmaml\n";

void cli_bash_write(FILE *file, const cli_pages *pages) {
    fputs(bash_head, file);
    for (size_t i = 0; i < pages->count; i++) fprintf(file, "%s%s", i ? " " : "", pages->commands[i]->name);
    fputs("'\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W \"$commands help --help --version\" -- \"$word\"))\n"
          "        return\n"
          "    fi\n"
          "    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]-}\" in\n"
          "    help' '*) kind=value values=\"$commands",
          file);
    for (size_t i = 0; i < pages->topics->count; i++)
        if (is_only_topic(pages, i)) fprintf(file, " %s", pages->topics->topic[i].name);
    fputs("\" ;;\n", file);
    for (size_t i = 0; i < pages->count; i++) bash_command(file, pages->commands[i]);
    fputs(bash_tail, file);
}

/* ---- zsh ---- */

/* What is offered for a value; words and devices are added. */
static const char *const zsh_actions[] = {[CLI_VALUE_WORD] = ":",
                                          [CLI_VALUE_FILE] = ":_files",
                                          [CLI_VALUE_DIRECTORY] = ":_files -/",
                                          [CLI_VALUE_DEVICE] = ": _clmaml_devices "};

static void zsh_option(FILE *file, const cli_command *command, const cli_option *option) {
    char text[CLI_DESCRIPTION_MAX], values[CLI_VALUES_MAX];
    cli_option_describe(command, option, text, sizeof text);
    fprintf(file, "            '--%s%s[", option->name, option->kind == CLI_FLAG ? "" : "=");
    put_quoted(file, text, "[]\\", "'\\''");
    fputc(']', file);
    if (option->kind != CLI_FLAG) {
        cli_option_values(option, values, sizeof values);
        fputc(':', file);
        put_quoted(file, cli_option_placeholder(option), ":\\", "'\\''");
        const cli_value_kind kind = cli_option_value_kind(option);
        fputs(zsh_actions[kind], file);
        if (kind == CLI_VALUE_WORD) fprintf(file, *values ? "(%s)" : " %s", values);
        if (kind == CLI_VALUE_DEVICE) fputs(values, file);
    }
    fputs("' \\\n", file);
}

static void zsh_command(FILE *file, const cli_command *command) {
    char subjects[CLI_VALUES_MAX];
    for (size_t i = 0; command->variants && command->variants[i]; i++) zsh_command(file, command->variants[i]);
    cli_command_subjects(command, subjects, sizeof subjects);
    if (strchr(command->name, ' '))
        fprintf(file, "    '%s')\n        shift words\n        ((CURRENT--))\n", command->name);
    else
        fprintf(file, "    %s' '*)\n", command->name);
    fputs("        _arguments \\\n", file);
    for (const cli_option *option = command->options; option->name; option++) zsh_option(file, command, option);
    fputs("            '(- *)--help[this text]'", file);
    if (*subjects) fprintf(file, " \\\n            '1:subject:{ compadd -- %s; _files }'", subjects);
    if (command->max_positional > (*subjects ? 1 : 0)) fputs(" \\\n            '*:file:_files'", file);
    fputs("\n        ;;\n", file);
}

static void zsh_entry(FILE *file, const char *name, const char *summary) {
    fprintf(file, "        '%s:", name);
    put_quoted(file, summary, "\\", "'\\''");
    fputs("'\n", file);
}

void cli_zsh_write(FILE *file, const cli_pages *pages) {
    fputs("#compdef clmaml\n"
          "# Completion of clmaml in zsh. Written by the build of clMAML.\n"
          "_clmaml_devices() { # with the words that any device may be called by\n"
          "    local -a found\n"
          "    found=($($_clmaml_program devices 2>/dev/null | sed -n 's/^[* ] \\([0-9]*:[0-9]*\\) .*/\\1/p'))\n"
          "    _sequence compadd - $@ $found\n"
          "}\n"
          "_clmaml() {\n"
          "    local -a commands\n"
          "    commands=(\n",
          file);
    for (size_t i = 0; i < pages->count; i++) zsh_entry(file, pages->commands[i]->name, pages->commands[i]->summary);
    fputs("        'help:the options of a command, or a topic'\n"
          "    )\n"
          "    local -a topics\n"
          "    topics=(\n",
          file);
    for (size_t i = 0; i < pages->topics->count; i++)
        if (is_only_topic(pages, i)) zsh_entry(file, pages->topics->topic[i].name, pages->topics->topic[i].summary);
    fputs("    )\n"
          "    local _clmaml_program=$words[1]\n"
          "    if ((CURRENT == 2)); then\n"
          "        _describe command commands\n"
          "        compadd -- --help --version\n"
          "        return\n"
          "    fi\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case \"$words[1] $words[2]\" in\n"
          "    help' '*) ((CURRENT == 2)) && _describe command commands -- topics ;;\n",
          file);
    for (size_t i = 0; i < pages->count; i++) zsh_command(file, pages->commands[i]);
    fputs("    esac\n}\n_clmaml \"$@\"\n", file);
}

/* ---- fish ---- */

static const char *const fish_kinds[] = {[CLI_VALUE_WORD] = " -x",
                                         [CLI_VALUE_FILE] = " -r -F",
                                         [CLI_VALUE_DIRECTORY] = " -x -a '(__fish_complete_directories)'",
                                         [CLI_VALUE_DEVICE] = " -x"};

static void fish_option(FILE *file, const cli_command *command, const cli_option *option) {
    const cli_value_kind kind = cli_option_value_kind(option);
    char text[CLI_DESCRIPTION_MAX], values[CLI_VALUES_MAX];
    fprintf(file, "complete -c clmaml -n '__clmaml_is %s' -l %s", command->name, option->name);
    if (option->kind != CLI_FLAG) {
        cli_option_values(option, values, sizeof values);
        fputs(fish_kinds[kind], file);
        if (*values) fprintf(file, " -a '%s%s'", values, kind == CLI_VALUE_DEVICE ? " (__clmaml_devices)" : "");
    }
    cli_option_describe(command, option, text, sizeof text);
    fputs(" -d '", file);
    put_quoted(file, text, "\\", "\\'");
    fputs("'\n", file);
}

static void fish_command(FILE *file, const cli_command *command) {
    char subjects[CLI_VALUES_MAX];
    for (size_t i = 0; command->variants && command->variants[i]; i++)
        for (const cli_option *option = command->variants[i]->options; option->name; option++)
            fish_option(file, command->variants[i], option);
    fprintf(file, "complete -c clmaml -n __clmaml_is -f -a %s -d '", command->name);
    put_quoted(file, command->summary, "\\", "\\'");
    fprintf(file, "'\ncomplete -c clmaml -n '__clmaml_is help' -f -a %s\n", command->name);
    cli_command_subjects(command, subjects, sizeof subjects);
    if (*subjects) fprintf(file, "complete -c clmaml -n '__clmaml_is %s' -a '%s'\n", command->name, subjects);
    for (const cli_option *option = command->options; option->name; option++) fish_option(file, command, option);
    fprintf(file, "complete -c clmaml -n '__clmaml_is %s' -l help -d 'this text'\n", command->name);
}

void cli_fish_write(FILE *file, const cli_pages *pages) {
    fputs("# Completion of clmaml in fish. Written by the build of clMAML.\n"
          "function __clmaml_is -d 'is the command this one, or not given yet?'\n"
          "    set -l words (commandline -opc)\n"
          "    if test (count $words) -lt 2\n"
          "        test (count $argv) -eq 0\n"
          "    else\n"
          "        test \"$words[2]\" = \"$argv[1]\"; and begin; test (count $argv) -lt 2; or test \"$words[3]\" = "
          "\"$argv[2]\"; end\n"
          "    end\n"
          "end\n"
          "function __clmaml_devices\n"
          "    set -l words (commandline -opc)\n"
          "    $words[1] devices 2>/dev/null | string match -r '^[* ] [0-9]+:[0-9]+(?= )' | string sub -s 3\n"
          "end\n"
          "complete -c clmaml -n __clmaml_is -f -a help -d 'the options of a command, or a topic'\n"
          "complete -c clmaml -n __clmaml_is -f -l help -d 'the commands'\n"
          "complete -c clmaml -n __clmaml_is -f -l version -d 'the version'\n",
          file);
    for (size_t i = 0; i < pages->count; i++) fish_command(file, pages->commands[i]);
    for (size_t i = 0; i < pages->topics->count; i++) {
        if (!is_only_topic(pages, i)) continue;
        fprintf(file, "complete -c clmaml -n '__clmaml_is help' -f -a %s -d '", pages->topics->topic[i].name);
        put_quoted(file, pages->topics->topic[i].summary, "\\", "\\'");
        fputs("'\n", file);
    }
}
