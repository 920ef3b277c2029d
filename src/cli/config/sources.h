/* What a run can learn from: the table of data sources. */
#ifndef CLI_SOURCES_H
#define CLI_SOURCES_H

#include "config/settings.h"

enum { CLI_SOURCE_OPTIONS = 24 };

typedef struct cli_source {
    const char *name, *help; /* as train takes it; what --help says of it */
    clm_status (*open)(clm_source **out, const cli_settings *settings);
    bool regression; /* a task has 1 way: numbers to predict, or labels */
    bool labels;     /* with --loss cross-entropy, targets are labels that mean the same in all tasks */
    bool takes_file; /* as a second argument, instead of --data */
    /* Of the options that are for some sources only, those that are for this one. */
    const char *options[CLI_SOURCE_OPTIONS];
    /* Option, text, option, text, .. NULL: defaults that differ from those of the table of options. NULL: none. */
    const char *const *defaults;
} cli_source;

/* The names in the table, without the last rows, which stand for folders and arrays. */
extern const cli_names cli_source_names;

/* The row of settings.source: of its name, or else that of arrays or of folders. */
const cli_source *cli_source_of(const char *source);
/* Are the targets labels that mean the same in all tasks? */
bool cli_source_has_labels(const cli_settings *settings);
/* Whether an option is for this source. */
bool cli_source_takes(const cli_source *source, const char *option);
/* A mistake when an option is given that is for no source of the settings. `given` has the rows of `options`. */
clm_status cli_source_check(const cli_settings *settings, const cli_option *options, const bool *given);
/* A mistake when an option is given that says nothing without another, which is not. */
clm_status cli_source_check_pairs(const cli_settings *settings, const cli_option *options, const bool *given);

/* What train takes for a source: the names of the table, all of them, and a model file. */
extern const cli_names cli_subject_names;
/* The same and what is no source. */
extern const cli_names cli_trained_names;

/* Whether a directory is that of the distributed Omniglot. */
bool cli_source_is_omniglot(const char *directory);

#endif
