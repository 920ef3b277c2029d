/* From settings to the library's objects. */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include "config/settings.h"

/* What the arguments of a command, of this table of options, say to train on: one that cli_setup_resolve takes, perhaps with a
 * file behind it. */
clm_status cli_setup_arguments(cli_settings *settings, const cli_option *options, cli_args *args);

/* Which source a positional argument means: `name` is one of the table (sources.h), a folder of images, a file of a table or a
 * model file. A model file becomes settings->model and its "data" entry the source. */
clm_status cli_setup_resolve(cli_settings *settings, const char *name);

clm_status cli_setup_source(clm_source **out, const cli_settings *settings);
/* Settles --network, where neither it nor a model file is given: what suits the source's examples. A mistake when the one that
 * is given does not take them, or has no context to be adapted. */
clm_status cli_setup_network(cli_settings *settings, const clm_source *source);
/* From --model, else --network. `json` (may be NULL) wins over both: the model as a checkpoint keeps it.
 */
clm_status cli_setup_model(clm_model **out, const cli_settings *settings, const clm_source *source, const char *json);

/* Outputs of a model that is adapted to tasks: numbers of a target, labels, or --ways. */
int cli_setup_outputs(const cli_settings *settings, const clm_source *source);
/* What examples are called: "image", or "example" where they are none. */
const char *cli_setup_example(const clm_source *source);
/* What a task is drawn from: "functions", "groups", "classes". */
const char *cli_setup_drawn(const clm_source *source);
/* Are there any in this split? */
bool cli_setup_has_tasks(const clm_source *source, clm_split split);

/* Episodes that a run trains on. */
clm_episode_options cli_setup_episodes(const cli_settings *settings);
/* How pictures of training tasks are changed at random, and whether they are. */
clm_augment_options cli_setup_augment(const cli_settings *settings);
bool cli_setup_augments(const cli_settings *settings);
/* Is it trained on all classes at once, by --classes outputs? */
bool cli_setup_is_joint(const cli_settings *settings);
/* A given --split-seed is a mistake where the data are split already. `given` has the rows of `options`. */
clm_status cli_setup_check_split(const cli_settings *settings, const clm_source *source, const cli_option *options,
                                 const bool *given);
/* What the library has against the options of a task is a mistake on the command line. Returns `status`. */
clm_status cli_setup_told(clm_status status);
/* A task of a regression or of a table has one way. */
clm_status cli_setup_check_ways(const cli_settings *settings, const clm_source *source);
/* Settles --classes, which depends on the source. */
clm_status cli_setup_classes(cli_settings *settings, const clm_source *source);
/* --data-on device is a mistake where the source has no images to keep there. */
clm_status cli_setup_check_images(const cli_settings *settings, const clm_source *source, int data_on);

/* Prefixes of parameter names, kept in `text`. */
typedef struct cli_prefixes {
    char text[CLI_PATH_MAX];
    const char *prefix[64];
    size_t count;
} cli_prefixes;

/* Task options with what they point to. Not to be copied. */
typedef struct cli_task {
    clm_task_options options;
    cli_prefixes adapt, freeze, unlearned;
    double weights[CLI_MAX_STEPS]; /* of the multi-step loss, for the first update */
    double class_weights[CLI_MAX_WAYS];
} cli_task;

/* The one place where settings become task options: for training, evaluation and tuning alike. The settings must live as long as the task. */
clm_status cli_setup_task_options(cli_task *task, const cli_settings *settings, const clm_model *model);

/* Options for a meta-learner; settings and task must live until it is made. Where there is a second-order term, both orders are planned, so that its
 * share can be measured; tuning does as training does, as plans are kept for one or the other. */
void cli_setup_meta_options(clm_meta_options *options, const cli_settings *settings, const cli_task *task);

const char *cli_split_name(clm_split split);

#endif
