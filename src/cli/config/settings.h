/* The settings of a training run: what `train` parses, a run directory keeps and `eval` reads again. */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "base/options.h"

enum { CLI_OMNIGLOT_ALPHABETS, CLI_OMNIGLOT_1200 };
enum { CLI_NO, CLI_YES };
enum { CLI_CHANNELS_AUTO, CLI_CHANNELS_1, CLI_CHANNELS_3 };
enum { CLI_WINDOW_ROWS, CLI_WINDOW_CHANNELS };
enum { CLI_MAX_STEPS = CLM_SCORE_STEPS_MOST, CLI_MAX_DEVICES = 256, CLI_MAX_WAYS = 1000, CLI_MAX_ENSEMBLE = CLM_ENSEMBLE_MOST };

typedef struct cli_settings {
    /* data */
    char source[CLI_PATH_MAX], data[CLI_PATH_MAX];
    int64_t size, split_seed, background, class_depth, decode_threads;
    int invert, omniglot_split, rotations, test_rotations, within_alphabet, channels, fit, normalise;
    char class_split[CLI_PATH_MAX], functions[CLI_PATH_MAX], beside[CLI_PATH_MAX];
    double flip, shift, crop, jitter; /* augmentation */
    /* tables */
    char task_column[CLI_PATH_MAX], target[CLI_PATH_MAX], features[CLI_PATH_MAX], ignore[CLI_PATH_MAX],
        categorical[CLI_PATH_MAX], time_column[CLI_PATH_MAX], task_split[CLI_PATH_MAX];
    int missing, standardise, window_layout;
    int64_t window, horizon;
    bool strict;
    /* task and network */
    int64_t ways, ways_least, shots, shots_least; /* CLI_RANGE: the most, then the least, or 0 */
    int64_t query, classes, filters, hidden, context;
    char network[CLI_PATH_MAX], model[CLI_PATH_MAX],
        init[CLI_PATH_MAX]; /* network "": the one that suits the data, see cli_setup_network */
    int init_head;
    /* algorithm */
    char algorithm[CLI_PATH_MAX];
    bool first_order, anil, batch_norm_per_step, support_per_step;
    int64_t initialisations, balanced_until;
    int64_t first_order_until, multi_step_over; /* -1 and 0: not settled yet, see cli_settings_settle */
    char adapt[CLI_PATH_MAX], freeze[CLI_PATH_MAX], unlearned[CLI_PATH_MAX], multi_step[CLI_PATH_MAX];
    double proximal;
    int rates, solver;
    int64_t solver_steps;
    /* inner loop */
    int64_t steps, test_steps;
    char inner_rule[CLI_PATH_MAX], inner_betas[CLI_PATH_MAX];
    double inner_lr, inner_momentum, inner_decay, inner_eps, inner_eps_root, inner_weight_decay, inner_clip_value,
        inner_clip_norm;
    int bn;
    /* loss */
    char loss[CLI_PATH_MAX], class_weights[CLI_PATH_MAX];
    double label_smoothing, huber_delta;
    int reduction;
    /* outer loop */
    int64_t meta_batch, iterations, cosine_over, warmup, schedule_updates, seed;
    char optimizer[CLI_PATH_MAX], betas[CLI_PATH_MAX], schedule[CLI_PATH_MAX];
    double outer_lr, lr_min, schedule_factor, momentum, decay, eps, weight_decay, clip_norm, clip_value, average;
    bool cosine;
    /* device */
    char device[CLI_PATH_MAX], split[CLI_PATH_MAX];
    int64_t memory_limit, task_chunk;
    double tune_budget;
    int checkpointing, data_on;
    bool force;
    /* run */
    char preset[CLI_PATH_MAX], run[CLI_PATH_MAX];
    int on_nan;
    int64_t val_every, val_tasks, eval_tasks, ensemble, checkpoint_every, log_every, keep;
    bool resume;
    int64_t stop_after;
} cli_settings;

extern const cli_option cli_settings_options[]; /* ends with a row without a name */
#define CLI_SETTINGS_DEFAULTS                                                                                              \
    {                                                                                                                      \
        .size = 28, .split_seed = 1623, .invert = CLI_NO, .fit = CLM_FIT_CROP, .crop = 1, .background = 255,               \
        .omniglot_split = CLI_OMNIGLOT_ALPHABETS, .rotations = CLI_YES, .test_rotations = CLI_NO, .standardise = CLI_YES,  \
        .ways = 5, .shots = 1, .query = 1, .filters = 64, .tune_budget = -1, .algorithm = "maml", .proximal = 2,           \
        .initialisations = 1, .balanced_until = -1, .solver_steps = 5, .steps = 1, .inner_lr = 0.4, .inner_rule = "sgd",   \
        .inner_momentum = 0.9, .inner_betas = "0.9,0.999", .inner_decay = 0.99, .inner_eps = 1e-8, .inner_eps_root = 1e-8, \
        .huber_delta = 1, .meta_batch = 32, .iterations = 1000, .optimizer = "adam", .outer_lr = 1e-3, .momentum = 0.9,    \
        .betas = "0.9,0.999", .decay = 0.99, .eps = 1e-8, .schedule = "constant", .schedule_factor = 0.1, .seed = 1,       \
        .val_tasks = 100, .eval_tasks = 600, .ensemble = 1, .log_every = 10, .keep = 3                                     \
    }
extern const cli_settings cli_settings_defaults;

/* Everything that makes the run what it is, as a JSON object; what is CLI_NOT_SAVED is left out. */
json_t *cli_settings_to_json(const cli_settings *settings);
/* Is what it keeps of texts and names UTF-8, which JSON needs? */
clm_status cli_settings_check_texts(const cli_settings *settings);
clm_status cli_settings_from_json(cli_settings *settings, const json_t *object, const char *where);

/* Checks that concern several options at once. */
clm_status cli_settings_check(const cli_settings *settings);

/* What depends on the number of iterations is resolved as a run begins, and stored: more --iterations on resuming change neither its rhythm nor
 * its schedules. */
void cli_settings_settle(cli_settings *settings);

/* Inner steps at validation and test; 0 for an algorithm without an inner loop. */
int cli_settings_test_steps(const cli_settings *settings);

/* The schedule of the outer rate, --cosine included, and over how many updates. */
const char *cli_settings_schedule(const cli_settings *settings, uint64_t *updates);

/* --betas, --inner-betas: two numbers in [0, 1). `what` names the option. */
clm_status cli_betas_parse(const char *what, const char *text, double *beta1, double *beta2);

/* Merges the command line into a stored run's settings: what may move does, what contradicts is an error that names both. */
clm_status cli_settings_resume(cli_settings *stored, const cli_settings *given, const bool *is_given, const char *run);

/* The name of a setting that makes two runs different ones, or NULL. */
const char *cli_settings_difference(const cli_settings *a, const cli_settings *b);

/* Row number of an option. */
int cli_settings_row(const char *name);

/* --split: "24,8" as numbers of tasks, which must make up `tasks`. */
clm_status cli_split_parse(const char *text, int tasks, int *share, size_t capacity, size_t *count);

/* The weights of the multi-step loss of outer update t: *count = 0 for the plain loss, else steps. */
clm_status cli_settings_step_weights(const cli_settings *settings, uint64_t t, double *weights, size_t *count);
bool cli_settings_anneals(const cli_settings *settings); /* do they change with t? */

#endif
