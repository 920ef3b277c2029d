/* Evaluation: adapt to tasks of a split, score the query sets after every inner step. */
#ifndef CLI_EVALUATE_H
#define CLI_EVALUATE_H

#include "config/setup.h"

/* Mean over tasks and half the width of its 95 % interval: 1.96 standard errors. */
typedef struct cli_score {
    double mean, half;
} cli_score;

/* What one evaluation yields. Arrays have steps+1 entries, entry k after k inner steps. score: accuracy, or mean squared error of
 * a regression. */
typedef struct cli_scores {
    int steps, tasks;
    cli_score query[CLI_MAX_STEPS + 1], support[CLI_MAX_STEPS + 1];
    double query_loss[CLI_MAX_STEPS + 1];
} cli_scores;

typedef struct cli_evaluator cli_evaluator;

typedef struct cli_evaluator_options {
    int ways, shots, query;
    int chunk; /* tasks adapted at once */
    clm_bn_mode bn;
    bool with_support; /* score support sets too */
} cli_evaluator_options;

/* Device, source and model must outlive the evaluator. */
clm_status cli_evaluator_create(cli_evaluator **out, clm_device *device, const clm_source *source, const clm_model *model,
                                const cli_settings *settings, const cli_evaluator_options *options);
void cli_evaluator_free(cli_evaluator *evaluator);

/* From now on tasks name images of the data set, which is on the same device; they are the same tasks. NULL: none any more.
 */
clm_status cli_evaluator_use_data(cli_evaluator *evaluator, clm_dataset *dataset);

/* Takes over parameters and rates. */
clm_status cli_evaluator_load(cli_evaluator *evaluator, clm_params *params);

/* Tasks first .. first+tasks-1 of the sequence. ends_only: only entries 0 and `steps` are scored. Stops early, with the tasks
 * done so far, when the user asks to stop. */
clm_status cli_evaluator_run(cli_evaluator *evaluator, clm_split split, uint64_t seed, uint64_t first, int tasks, int steps,
                             bool ends_only, cli_scores *scores);

/* The same of several sets of parameters together: their softmax outputs, or the outputs of a regression, are averaged. Every number of
 * steps is scored, on query sets alone. */
clm_status cli_evaluator_run_ensemble(cli_evaluator *evaluator, clm_params *const *members, size_t n, clm_split split,
                                      uint64_t seed, uint64_t first, int tasks, int steps, cli_scores *scores);

/* "93.2 %" or "0.0132": a score as people write it. */
/* "mean squared error", and in what unit where that is not the data's; "accuracy". */
const char *cli_score_metric(const clm_source *source);

cli_text cli_score_text(double score, bool regression);
/* "93.21 +- 0.42 %" */
/* Is the score after k of K inner steps a line of what is printed? Of many steps every tenth is. */
bool cli_score_is_shown(int k, int steps);
cli_text cli_score_interval_text(const cli_score *score, bool regression);

#endif
