/* Long options from tables: one row makes the parser, its range check, the line in --help and the entry in config.json. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <jansson.h>

#include "base/common.h"
#include "base/names.h"

typedef enum cli_kind {
    CLI_FLAG,   /* bool; takes no value */
    CLI_INT,    /* int64_t in [min, max] */
    CLI_RANGE,  /* two int64_t: the most, then the least of "A..B", or 0 where it is one number */
    CLI_REAL,   /* double in [min, max] */
    CLI_BYTES,  /* int64_t; accepts K, M, G */
    CLI_CHOICE, /* int: which of the words in `value`, separated by | */
    CLI_TEXT,   /* char[CLI_PATH_MAX] */
    CLI_NAME    /* char[CLI_PATH_MAX]: one of CLI_NAMES in `value`; "" for none of them only where `min` is 0 */
} cli_kind;

enum {
    CLI_NOT_SAVED = 1, /* not part of a run's config.json */
    CLI_MOVABLE = 2    /* may differ from the run's config when it is resumed */
};

typedef struct cli_option {
    const char *group; /* heading in --help that this row opens, or NULL */
    const char *name;  /* without the dashes */
    cli_kind kind;
    unsigned flags;
    size_t offset; /* of the field in the settings */
    double min, max;
    const void
        *value; /* placeholder, the words of a choice, or CLI_NAMES; "N|auto": the word stands for CLI_AUTO, which is `min` */
    const char *help;
} cli_option;

/* What --device and --force mean to the commands that use one device. */
#define CLI_DEVICE_HELP                                                                                                        \
    "gpu, cpu, accelerator, P:D, part of a name, type:name, host (`clmaml devices` lists them); default: CLMAML_DEVICE, then " \
    "the best"
#define CLI_FORCE_HELP "use a device that fails its self-test, which is made when a device or driver is new"

/* The `value` of a CLI_NAME row: the functions of a cli_names. */
#define CLI_NAMES(count, name, summary) (&(const cli_names){count, name, summary, NULL})

enum { CLI_AUTO = -1 };
enum { CLI_MAX_OPTIONS = 128, CLI_MAX_POSITIONALS = 256, CLI_DESCRIPTION_MAX = 1280 };

typedef struct cli_args {
    void *settings;
    bool given[CLI_MAX_OPTIONS]; /* by row */
    const char **positional;     /* in argv, moved to its front */
    size_t n_positional;
    bool help;
} cli_args;

typedef struct cli_command {
    const char *name /* of a variant with the command's before it */, *synopsis, *summary, *details;
    const cli_option *options; /* ends with a row without a name */
    size_t settings_size;
    const void *defaults;
    size_t max_positional;
    const cli_names *subjects; /* what the synopsis calls SUBJECT, listed below the details; NULL: none */
    const cli_names *words;    /* of a command without subjects: what its arguments may be, for completion; NULL: files */
    /* "adam, rmsprop": whom alone an option is for, as --help adds it; "": everybody, or most. NULL: all options are everybody's. */
    void (*readers)(const char *option, char *text, size_t size);
    int (*run)(cli_args *args); /* returns the exit status */
    /* Arguments that make another command of it, with options of its own: "train navigation" of train; ends with NULL, or NULL. */
    const struct cli_command *const *variants;
} cli_command;

/* The variant that the argument `word` names; NULL: none. */
const cli_command *cli_command_variant(const cli_command *command, const char *word);
/* Fills args->settings (a copy of the defaults that the caller owns) from the command line after the subcommand's name. */
clm_status cli_options_parse(const cli_command *command, int argc, char **argv, cli_args *args);
/* The command's synopsis with its subjects in full: "sine|glyphs|FOLDER [--option value ..]". */
void cli_command_synopsis(const cli_command *command, char *text, size_t size);
/* What --help says of an option: the row, whom it is for, the names where they are not listed with a line each, its default. */
void cli_option_describe(const cli_command *command, const cli_option *option, char *text, size_t size);
/* The text of --help. */
void cli_options_help(const cli_command *command);
/* The options of a group alone. */
void cli_options_help_group(const cli_command *command, const char *group);
/* `head`, then the text, wrapped, with its further lines below its first. */
void cli_print_wrapped(const char *head, const char *text);
/* A line a name, with its summary, as --help does. */
void cli_names_print(const cli_names *names, int indent);

/* A path, which is bytes, as JSON: what is not UTF-8 in it becomes U+FFFD. NULL without memory. */
json_t *cli_json_path(const char *path);
/* JSON from a file, after the mark that some editors put in front of UTF-8. NULL with a message that names file and line. */
json_t *cli_json_load(const char *path);

size_t cli_option_count(const cli_option *options);
/* The number of rows that a group has, from *first on. The group must be there. */
size_t cli_options_group(const cli_option *options, const char *group, size_t *first);
/* Row of an option; -1 when there is none. */
int cli_option_find(const cli_option *options, const char *name);
/* Sets one field from text, checked as on the command line. */
clm_status cli_option_set(const cli_option *option, void *settings, const char *text);
/* The field as JSON, and back. */
json_t *cli_option_to_json(const cli_option *option, const void *settings);
clm_status cli_option_from_json(const cli_option *option, void *settings, const json_t *value, const char *where);
/* "5" or "3..5" of a CLI_RANGE. */
cli_text cli_range_text(int64_t least, int64_t most);
/* What --help and messages show for the value. */
const char *cli_option_placeholder(const cli_option *option);
/* The names of a CLI_NAME row; NULL for others. */
const cli_names *cli_option_names(const cli_option *option);
/* The word of a choice. */
cli_text cli_option_word(const cli_option *option, int index);
/* Is "auto" a value of this number? */
bool cli_option_has_auto(const cli_option *option);

/* The field's JSON as people write it: "auto" for a number that stands for it, "512M"; of a flag "yes" or "no"; "" for NULL and for what
 * is not set. */
void cli_option_written(const cli_option *option, const json_t *value, char *text, size_t size);
/* What --help says of this number, "as many as in training" of "..; 0: as many as in training"; "" where it says nothing. */
void cli_option_meaning(const cli_option *option, const char *written, char *text, size_t size);

#endif
