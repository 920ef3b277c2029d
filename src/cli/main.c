/* The program `clmaml`: finds the subcommand, parses its options, runs it.
 *
 * Exit status: 0 done, 1 failed (or something was found wrong), 2 wrong command line, 130 stopped by a signal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/building.h"
#include "base/drivers.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/process.h"
#include "base/ranks.h"
#include "base/system.h"
#include "commands.h"
#include "doctor/examine.h"
#include "pages/pages.h"
#include "selftest/selftest.h"
#include "topics/topics.h"

#define DECLARE(name) extern const cli_command cli_##name;
#define ADDRESS(name) &cli_##name,
CLI_COMMANDS(DECLARE)
static const cli_command *const commands[] = {CLI_COMMANDS(ADDRESS)};

/* --write-docs DIR DATE: man pages and completion, as a step of the build. */
static int write_docs(int argc, char **argv) {
    if (argc != 2) return cli_exit(cli_usage("--write-docs: give a directory and the date of the man pages"));
    const cli_pages pages = {commands, CLI_COUNT(commands), &cli_help_topics, argv[1]};
    return cli_exit(cli_pages_write(&pages, argv[0]));
}

static int run_command(const cli_command *command, int argc, char **argv);

/* A run of a sweep: train, alone, which ends with the process that started it. That one stops it by SIGUSR1. */
static int run_trial(int argc, char **argv) {
    cli_ranks_stay_alone();
    cli_signals_catch_user();
    cli_end_with_parent();
    return run_command(&cli_train, argc, argv);
}

/* What the program says to itself, work for a process of its own; and what the build asks of it. */
static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} inner_commands[] = {
    {"--probe-driver", cli_drivers_probe}, {"--examine-device", cli_doctor_examine},
    {"--test-device", cli_selftest_child}, {"--trial", run_trial},
    {"--write-docs", write_docs},
};

static size_t command_count(void) { return CLI_COUNT(commands); }
static const char *command_name(size_t i) { return commands[i]->name; }
static const char *command_summary(size_t i) { return commands[i]->summary; }
static const cli_names command_names = {command_count, command_name, command_summary, NULL};

static size_t topic_count(void) { return cli_help_topics.count; }
static const char *topic_name(size_t i) { return cli_help_topics.topic[i].name; }
static const char *topic_summary(size_t i) { return cli_help_topics.topic[i].summary; }
static const cli_names topic_names = {topic_count, topic_name, topic_summary, NULL};

static int print_overview(void) {
    cli_line(stdout,
             "clmaml %s: second-order meta-learning on any OpenCL device\n\n"
             "usage: clmaml COMMAND [--option value ..]\n       clmaml help COMMAND|TOPIC\n\n",
             clm_version());
    cli_names_print(&command_names, 2);
    printf("\ntopics\n");
    cli_names_print(&topic_names, 4);
    cli_line(stdout, "\nclmaml help COMMAND lists the options. A first run without any data of your own:\n\n"
                     "  clmaml train glyphs --iterations 300\n");
    return CLI_EXIT_OK;
}

/* The options, and the topic of that name. */
static void print_help(const cli_command *command) {
    const cli_topic *topic = cli_topic_find(&cli_help_topics, command->name);
    cli_options_help(command);
    if (topic) cli_topic_print_parts(topic);
}

/* What a program reads must hold nothing but that. */
static bool is_for_programs(const cli_command *command, const cli_args *args) {
    static const char *const formats[] = {"json", "csv"};
    for (size_t i = 0; i < CLI_COUNT(formats); i++) {
        const int row = cli_option_find(command->options, formats[i]);
        if (row >= 0 && command->options[row].kind == CLI_FLAG && args->given[row]) return true;
    }
    return false;
}

static int run_guarded(const cli_command *command, cli_args *args) {
    const bool guard = is_for_programs(command, args);
    if (guard) cli_stdout_guard(true);
    const int exit_status = command->run(args);
    if (guard) cli_stdout_guard(false);
    return exit_status;
}

static int run_command(const cli_command *command, int argc, char **argv) {
    const cli_command *variant = argc > 0 ? cli_command_variant(command, argv[0]) : NULL;
    if (variant) return run_command(variant, argc - 1, argv + 1);
    cli_args *args = calloc(1, sizeof *args);
    clm_status status = CLM_OK;
    int exit_status;
    if (args) args->settings = malloc(command->settings_size);
    if (!args || !args->settings) {
        exit_status = cli_exit(cli_fail(CLM_E_MEMORY, "out of memory"));
        goto out;
    }
    memcpy(args->settings, command->defaults, command->settings_size);
    status = cli_options_parse(command, argc, argv, args);
    if (status != CLM_OK) {
        exit_status = cli_exit(status);
    } else if (args->help) {
        print_help(command);
        exit_status = CLI_EXIT_OK;
    } else {
        cli_building_show();
        exit_status = run_guarded(command, args);
    }
out:
    if (args) free(args->settings);
    free(args);
    return exit_status;
}

/* What other programs call --version. */
static bool asks_version(const char *name) {
    static const char *const words[] = {"version", "-v", "-V", "-version"};
    for (size_t i = 0; i < CLI_COUNT(words); i++)
        if (strcmp(name, words[i]) == 0) return true;
    return false;
}

static int unknown_command(const char *name) {
    char list[256];
    if (asks_version(name)) return cli_exit(cli_usage("unknown command '%s'; clmaml --version prints the version", name));
    if (cli_topic_find(&cli_help_topics, name))
        return cli_exit(cli_usage("'%s' is no command but a topic: clmaml help %s", name, name));
    const char *nearest = cli_names_nearest(&command_names, name);
    if (nearest) return cli_exit(cli_usage("unknown command '%s'; did you mean '%s'?", name, nearest));
    cli_names_join(&command_names, ", ", list, sizeof list);
    return cli_exit(cli_usage("unknown command '%s'; the commands are %s", name, list));
}

static int unknown_topic(const char *name) {
    char list[256], topics[256];
    if (asks_version(name)) return cli_exit(cli_usage("no help on '%s'; clmaml --version prints the version", name));
    const char *nearest = cli_names_nearest(&command_names, name);
    if (!nearest) nearest = cli_names_nearest(&topic_names, name);
    if (nearest) return cli_exit(cli_usage("unknown command or topic '%s'; did you mean '%s'?", name, nearest));
    cli_names_join(&command_names, ", ", list, sizeof list);
    cli_names_join(&topic_names, ", ", topics, sizeof topics);
    return cli_exit(cli_usage("unknown command or topic '%s'; the commands are %s; the topics are %s", name, list, topics));
}

/* help [COMMAND [VARIANT]|TOPIC] */
static int help(int argc, char **argv) {
    if (argc == 0 || (argc == 1 && strcmp(argv[0], "help") == 0)) return print_overview();
    const int index = cli_names_find(&command_names, argv[0]);
    const cli_topic *topic = cli_topic_find(&cli_help_topics, argv[0]);
    const cli_command *variant = index >= 0 && argc == 2 ? cli_command_variant(commands[index], argv[1]) : NULL;
    if (argc > 1 && !variant)
        return cli_exit(cli_usage("'%s' is one argument too many; usage: clmaml help [COMMAND|TOPIC]", argv[1]));
    if (index < 0 && !topic) return unknown_topic(argv[0]);
    if (index >= 0)
        print_help(variant ? variant : commands[index]);
    else
        cli_topic_print(topic);
    return CLI_EXIT_OK;
}

static int dispatch(int argc, char **argv) {
    cli_child_program(argv[0]);
    cli_ranks_remember(argc, argv);
    if (argc < 2) {
        print_overview();
        return CLI_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) return print_overview();
    if (strcmp(argv[1], "help") == 0) return help(argc - 2, argv + 2);
    if (strcmp(argv[1], "--version") == 0) {
        printf("clmaml %s\n", clm_version());
        return CLI_EXIT_OK;
    }
    for (size_t i = 0; i < CLI_COUNT(inner_commands); i++)
        if (strcmp(argv[1], inner_commands[i].name) == 0) return inner_commands[i].run(argc - 2, argv + 2);
    const int index = cli_names_find(&command_names, argv[1]);
    if (index >= 0) return run_command(commands[index], argc - 2, argv + 2);
    return unknown_command(argv[1]);
}

int main(int argc, char **argv) {
    char path[CLI_PATH_MAX];
    int exit_status;
    cli_streams_secure();
    if (clm_kernel_builder_main(argc, argv, &exit_status)) return exit_status;
    cli_program_path(path, sizeof path);
    clm_kernel_builder(path);
    exit_status = dispatch(argc, argv);
    if (exit_status == CLI_EXIT_OK) exit_status = cli_exit(cli_stdout_end());
    return exit_status;
}
