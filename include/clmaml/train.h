/* Evaluation of a meta-learned beginning, and whole training runs: tasks made ahead, validation, checkpoints, the best of them,
 * a test, a learning curve. What `clmaml train` does, for sources and models of one's own:
 *
 *     clm_train_options options = CLM_TRAIN_OPTIONS_INIT;
 *     options.episodes.shots = 5;
 *     options.iterations = 2000;
 *     options.directory = "runs/mine";
 *     clm_train(device, source, model, &options, params, &result);
 *
 * Task i of a split is a function of source, split, seed and i (data.h), and an iteration of its number, so the same options on
 * the same device give the same bits, whether or not a run was stopped and resumed in between.
 *
 * Threading: an evaluator or a trainer belongs to one thread at a time, as its devices do; so do the calls of its callbacks. The
 * device, the source and the model must outlive it. Options are read while it is created, what they point to included, but for
 * callbacks, their `user`, clm_loss_options.user and clm_train_options.test_scores.
 */
#ifndef CLMAML_TRAIN_H
#define CLMAML_TRAIN_H

#include "data.h"
#include "meta.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- evaluation ---- */

/* Mean over tasks and half the width of its 95 % interval; NAN where there is none, as of a single task. */
typedef struct clm_score {
    double mean, half;
} clm_score;

/* Half the width of the 95 % interval of the mean of n values whose sample variance, divided by n - 1, is `variance`: by Student's t, 12.7
 * standard errors for n = 2, 1.964 for 600. NAN where n < 2 or the variance is not finite. */
CLM_API double clm_score_half(double variance, size_t n);

/* What scores of the source's tasks are: "accuracy", or "mean squared error", with its unit where that is not the data's. */
CLM_API const char *clm_score_metric(const clm_source *source);

enum { CLM_SCORE_STEPS_MOST = 100 };

/* What one evaluation yields. Entry k is after k inner steps, 0 .. steps. score: accuracy, or mean squared error of a
 * regression. */
typedef struct clm_scores {
    int steps, tasks;
    clm_score query[CLM_SCORE_STEPS_MOST + 1], support[CLM_SCORE_STEPS_MOST + 1];
    double query_loss[CLM_SCORE_STEPS_MOST + 1];
} clm_scores;

typedef struct clm_evaluator clm_evaluator;

typedef struct clm_evaluator_options {
    int version; /* CLM_EVALUATOR_OPTIONS_VERSION */
    int ways, shots, query;
    int chunk;             /* tasks adapted at once */
    clm_task_options task; /* those of the meta-learner; support and query are ways * shots and ways * query */
    clm_bn_mode bn_mode;
    bool with_support;        /* score support sets too */
    bool (*stop)(void *user); /* asked after every chunk; true: enough. May be NULL */
    void *user;
    bool singly; /* predict every example on its own, not with the others of its set: batch-norm then sees one example */
    bool keep;   /* keep the scores of single tasks, for clm_evaluator_scores: 8 (steps + 1) tasks bytes */
    /* Above 0: uneven tasks, as clm_episode_options has them. A task's score is the mean over its own examples, its classes are its
     * own. task.uneven follows. */
    int ways_least, shots_least;
    /* Several processes (comm.h), each with an evaluator of the same options, share the tasks out, chunk by chunk; runs are collective, rank
     * 0's `stop` counts, and all have the same result, whose bits are those of one process. NULL: this one alone. */
    clm_comm *comm;
} clm_evaluator_options;
#define CLM_EVALUATOR_OPTIONS_VERSION 3
#define CLM_EVALUATOR_OPTIONS_INIT                                                                                        \
    {                                                                                                                     \
        CLM_EVALUATOR_OPTIONS_VERSION, 5, 1, 1, 16, CLM_TASK_OPTIONS_INIT, CLM_BN_TRANSDUCTIVE, false, NULL, NULL, false, \
            false, 0, 0, NULL                                                                                             \
    }

/* The model is that which is trained. Of an algorithm that trains on all classes at once (finetune) its last layer, which must
 * be linear, is replaced by one of `ways` outputs. Errors: CLM_E_ARG for options, CLM_E_MEMORY, .. of the device. */
CLM_API clm_status clm_evaluator_create(clm_evaluator **out, clm_device *device, const clm_source *source,
                                        const clm_model *model, const clm_evaluator_options *options);
CLM_API void clm_evaluator_free(clm_evaluator *evaluator); /* NULL is allowed */

/* From now on tasks name images of the data set, which is on the same device; they are the same tasks. NULL: none any more. */
CLM_API clm_status clm_evaluator_use_data(clm_evaluator *evaluator, clm_dataset *dataset);

/* Takes over parameters and rates, by name: what both have. */
CLM_API clm_status clm_evaluator_load(clm_evaluator *evaluator, clm_params *params);

/* Adapts to tasks first .. first+tasks-1 of the sequence that split and seed name, and scores their query sets. ends_only: only
 * entries 0 and `steps` are scored. scores->tasks is less than `tasks` when `stop` said so. */
CLM_API clm_status clm_evaluator_run(clm_evaluator *evaluator, clm_split split, uint64_t seed, uint64_t first, int tasks,
                                     int steps, bool ends_only, clm_scores *scores);

/* The same of several sets of parameters together: their softmax outputs, or the outputs of a regression, are averaged. Every
 * number of steps is scored, on query sets alone. Afterwards the parameters are those of the last set. */
CLM_API clm_status clm_evaluator_run_ensemble(clm_evaluator *evaluator, clm_params *const *members, size_t n, clm_split split,
                                              uint64_t seed, uint64_t first, int tasks, int steps, clm_scores *scores);

/* The same of the initialisations of one run, at most CLM_INITIALISATIONS_MOST, which must outlive what follows: from now on every task of a run goes to the
 * one with the lowest support loss after the run's inner steps, the first of equals, and is scored with it alone. The loss is that
 * of the inner loop, and nothing of the query set counts. n 1: clm_evaluator_load. CLM_E_ARG for an algorithm without inner steps. */
CLM_API clm_status clm_evaluator_load_all(clm_evaluator *evaluator, clm_params *const *initialisations, size_t n);
/* With several: which one each task [tasks] of the last run went to, from 0; else NULL. The evaluator's, until the next run. */
CLM_API const int32_t *clm_evaluator_chosen(const clm_evaluator *evaluator);
/* What clm_evaluator_run decides by, for tasks that the caller has: losses [n, tasks] of support sets as clm_learner_begin takes them,
 * after `steps` inner steps from each of the n initialisations. support_at instead of support_x: numbers of images, see
 * clm_evaluator_use_data. sizes [tasks] of uneven tasks, or NULL. */
CLM_API clm_status clm_evaluator_support_losses(clm_evaluator *evaluator, const float *support_x, const int32_t *support_at,
                                                const float *support_y, const clm_task_size *sizes, int tasks, int steps,
                                                double *losses);

/* With `keep`: the scores [tasks] of single tasks' query sets after k steps of the last run, of which clm_scores.query[k].mean is
 * the mean; NAN where they were not scored (ends_only). NULL for another k, without `keep`, or before a run. The evaluator's, until
 * the next run. */
CLM_API const double *clm_evaluator_scores(const clm_evaluator *evaluator, int k);
/* With `keep`: writes them as JSON, with what tells the tasks from others:
 *   {"tasks": {"source", "split", "seed", "first", "count", "ways", "shots", "query", "content"}, "metric", "batch_norm",
 *    "singly", "scores": [[of each task], after 0 steps, after 1, ..]}
 * Of uneven tasks with "ways_least" and "shots_least" among "tasks".
 * source: its description without where the data lie; content: a hash of the examples and targets of the first tasks, at most
 * 16. Two files whose "tasks" are equal hold scores of the same tasks in the same order. What is not finite or was not scored is
 * null. CLM_E_STATE without `keep` or before a run; CLM_E_IO. */
CLM_API clm_status clm_evaluator_save_scores(const clm_evaluator *evaluator, const char *path);

/* ---- training ---- */

/* One list makes the metrics and their names in metrics.jsonl and metrics.csv. before, after: adaptation; accuracies, or mean
 * squared errors of a regression; interval: half the 95 % interval of query_after; second_order_share: |g - g_first_order| / |g|
 * of the meta-gradient, measured at validations with clm_meta_options.both_orders; skipped: updates that on_nan has left out so far;
 * data_wait: of the time of the updates since the training row before, or since the session began, the share in which this process
 * waited for a batch to be drawn. */
#define CLM_METRIC_LIST(X)                \
    X(LOSS, loss)                         \
    X(SUPPORT_LOSS, support_loss)         \
    X(SUPPORT_BEFORE, support_before)     \
    X(SUPPORT_AFTER, support_after)       \
    X(QUERY_BEFORE, query_before)         \
    X(QUERY_AFTER, query_after)           \
    X(INTERVAL, interval)                 \
    X(GRAD_NORM, grad_norm)               \
    X(LR, lr)                             \
    X(SECOND_ORDER, second_order_share)   \
    X(SKIPPED, skipped)                   \
    X(SECONDS, seconds)                   \
    X(TASKS_PER_SECOND, tasks_per_second) \
    X(DATA_WAIT, data_wait)

typedef enum clm_metric {
#define CLM_METRIC_ENUM(NAME, name) CLM_METRIC_##NAME,
    CLM_METRIC_LIST(CLM_METRIC_ENUM)
#undef CLM_METRIC_ENUM
        CLM_METRIC_COUNT
} clm_metric;

typedef enum clm_row_kind { CLM_ROW_TRAIN, CLM_ROW_VALIDATION, CLM_ROW_KINDS } clm_row_kind;

typedef struct clm_train_row {
    uint64_t iteration; /* outer updates made */
    clm_row_kind kind;
    double value[CLM_METRIC_COUNT]; /* NAN: not measured */
    /* Of a run with several initialisations: the share of tasks that each serves, of the meta-batch of a logged iteration or of the
     * validation tasks. 0: there is one. */
    int initialisations;
    double share[CLM_INITIALISATIONS_MOST];
} clm_train_row;

/* What is known at a moment; NAN until first measured. before, after as in a row, on the tasks of the last logged iteration. */
typedef struct clm_train_progress {
    uint64_t iteration; /* outer updates made */
    double loss, support_before, support_after, query_before, query_after, tasks_per_second;
} clm_train_progress;

/* Where the images of a source that holds them in memory are kept. Results are the same. */
typedef enum clm_data_on {
    CLM_DATA_AUTO,  /* on the device, where they have room beside everything else and no CPU is divided */
    CLM_DATA_HOST,  /* every batch is sent */
    CLM_DATA_DEVICE /* anything else is an error */
} clm_data_on;

/* What becomes of an update whose loss or gradient is not finite, as where a task has left what its loss is defined for. */
typedef enum clm_on_nan {
    CLM_ON_NAN_STOP, /* CLM_E_NUMERIC; the last checkpoint stays */
    CLM_ON_NAN_SKIP /* nothing is updated, and training goes on with the next tasks; CLM_E_NUMERIC after a hundred in a row, and at
                      * the end of a run in which it was every update */
} clm_on_nan;

enum { CLM_ENSEMBLE_MOST = 16 };

typedef struct clm_train_options {
    int version; /* CLM_TRAIN_OPTIONS_VERSION */
    /* The meta-batch, what happens in each of its tasks, the outer rule. With meta.comm several processes make one run: each calls the
     * functions of its trainer like the others, with the same options, source and model. Rank 0 alone has the directory, reads and writes
     * it, and is asked to stop; tasks of training, validation and test are shared out. meta.task.support, task.query and task.ways follow from the
     * episodes. memory_limit is for all that is on a device; 0: CLMAML_MEMORY_LIMIT, or what the device has. */
    clm_meta_options meta;
    /* Sizes of tasks; ways 1 for a regression. support_sets follows from task.support_per_step. joint_classes is read by
     * finetune, 0: all training classes. With ways_least or shots_least tasks are uneven (task.uneven follows), at validation and
     * test too. */
    clm_episode_options episodes;
    clm_augment_options augment; /* of the pictures of training tasks */
    uint64_t iterations;         /* outer updates */
    uint64_t seed;               /* of initial parameters and tasks */
    uint64_t validate_every;     /* updates; also before the first and after the last */
    int validation_tasks;
    int test_tasks; /* at the end, of the test split; 0: none */
    /* Inner steps at validation and test; 0: as many as in training; -1: at test the number up to 10, or twice that of training,
     * that serves validation tasks best with the state that is tested, which the best checkpoints are given. */
    int test_steps;
    clm_bn_mode bn_mode;       /* at validation and test */
    int ensemble;              /* best states to keep, and to test together when there are more than one */
    uint64_t checkpoint_every; /* updates; 0: with each validation */
    int keep;                  /* numbered checkpoints to keep beside last and best */
    uint64_t log_every;        /* a row of metrics every so many updates, and of the first */
    /* Other than 0: step weights are those of MAML++ in place of task.step_weights, which must be given, annealed over so many
     * updates (clm_step_weights_annealed). */
    uint64_t anneal_over;
    clm_data_on data_on;
    clm_on_nan on_nan;
    /* With meta.initialisations of more than 1: in so many updates, from the first, none of them gets more tasks of a meta-batch than
     * an equal share, rounded up; what it would serve best goes to it first. So none is left behind by the one that learns first. */
    uint64_t balanced_until;
    /* Parameters to begin with, made with the same model and task options, and copied; NULL: drawn from the seed. Of several
     * initialisations the first has them, and the others are drawn. A run that goes on has those of its checkpoint. */
    const clm_params *init;

    /* The run directory, made if need be; NULL: nothing is written, and the best states are kept in memory.
     *   config.json                 what the run is
     *   metrics.jsonl, metrics.csv  a row each logging interval and validation; of several initialisations with their shares
     *   events.out.tfevents.clmaml  the same for TensorBoard
     *   checkpoints/last.safetensors, best.safetensors, best-2.safetensors .., 00001000.safetensors ..
     *   curve.svg, result.json      at each checkpoint; at the end
     *   scores.json                 at the end: of single test tasks, as clm_evaluator_save_scores writes them; not of more
     *                               tasks than CLM_TRAIN_SCORES_MOST */
    const char *directory;
    /* Go on from the newest whole checkpoint of the directory, to the bits of a run that was never stopped. Without one a run that
     * was stopped before its first update begins again; one that made updates is CLM_E_STATE. iterations, memory_limit, task_chunk
     * and data_on may be others than before. */
    bool resume;
    /* What the run is in the words of the caller, kept in config.json and in every checkpoint; JSON, where it is. Resuming is
     * then compared with what the directory holds by the caller. NULL: the options are written there, and compared. */
    const char *note;
    /* Receives the score of each test task, [test_tasks], of which clm_train_result.test is the mean; NULL: not wanted. Written by
     * clm_trainer_test, when it was not stopped. */
    double *test_scores;

    /* All may be NULL. progress: as the loop begins and after every update. row: every row; best: of a validation that none
     * before it surpasses. remark: what one may want to know, in a line. stop: asked between two updates, or two chunks of
     * tasks of an evaluation. */
    void (*progress)(void *user, const clm_train_progress *progress);
    void (*row)(void *user, const clm_train_row *row, bool best);
    void (*remark)(void *user, const char *text);
    bool (*stop)(void *user);
    void *user;
} clm_train_options;
#define CLM_TRAIN_OPTIONS_VERSION 4
enum { CLM_TRAIN_SCORES_MOST = 100000 };
#define CLM_TRAIN_OPTIONS_INIT                                                                                              \
    {                                                                                                                       \
        CLM_TRAIN_OPTIONS_VERSION, CLM_META_OPTIONS_INIT, CLM_EPISODE_OPTIONS_INIT, CLM_AUGMENT_OPTIONS_INIT, 1000, 1, 50,  \
            100, 600, 0, CLM_BN_TRANSDUCTIVE, 1, 0, 3, 10, 0, CLM_DATA_AUTO, CLM_ON_NAN_STOP, 500, NULL, NULL, false, NULL, \
            NULL, NULL, NULL, NULL, NULL, NULL                                                                              \
    }

/* Test tasks of a kind (clm_source_function), and which of several initialisations they went to. */
enum { CLM_TRAIN_KINDS_MOST = 16 };
typedef struct clm_train_kind {
    const char *name; /* the source's; "": its tasks have no kinds */
    int tasks;
    int chosen[CLM_INITIALISATIONS_MOST]; /* tasks of each initialisation */
    clm_score score;                      /* of their query sets, after the steps of the test */
} clm_train_kind;

typedef struct clm_train_result {
    bool stopped;             /* by the callback, before all was done; a run directory can be resumed */
    uint64_t iteration;       /* outer updates made */
    uint64_t last_checkpoint; /* what a resumed run goes on from; without a directory: iteration */
    uint64_t best_iteration;  /* of the state that validation chose; the last where nothing was validated */
    double best_score;        /* its validation score; NAN: nothing was validated */
    uint64_t skipped;         /* updates that were left out, see clm_on_nan */
    int test_steps;           /* inner steps of the test */
    clm_scores test;          /* of that state; tasks 0: not tested */
    size_t members;           /* states tested together; at most 1: none were */
    uint64_t member_iteration[CLM_ENSEMBLE_MOST];
    clm_scores together; /* of their mean output */
    int steps_tried;     /* test_steps -1: the most inner steps that were tried on validation tasks; 0: none were */
    int kinds;           /* of a run with several initialisations, once it is tested; else 0 */
    clm_train_kind kind[CLM_TRAIN_KINDS_MOST];
    double data_wait; /* as the metric, over all updates since the trainer was made; NAN: there were none */
} clm_train_result;

/* Would training find what it needs: are there classes and examples enough in every split, and are options and episodes what
 * they can be? A source without validation classes has none to choose by: the last state counts as the best. CLM_E_ARG names
 * the class, the split or the option. clm_trainer_create asks too; this needs no device. */
CLM_API clm_status clm_train_check(const clm_source *source, const clm_train_options *options);

/* Can a new run begin in this directory? CLM_E_STATE where it holds a run, or anything else; CLM_E_IO where it is none. Changes
 * nothing. */
CLM_API clm_status clm_train_check_directory(const char *directory);

/* A whole run: trains, validates, keeps the best, tests. best (may be NULL): made with the same model and task options; receives
 * the parameters that validation chose, of the moving average where one is kept. result may be NULL. Errors: those of
 * clm_train_check and of clm_trainer_create; CLM_E_NUMERIC, with the iteration, when training diverged, with the last checkpoint
 * as it was; CLM_E_IO. */
CLM_API clm_status clm_train(clm_device *device, const clm_source *source, const clm_model *model,
                             const clm_train_options *options, clm_params *best, clm_train_result *result);

/* The same in its parts, on one device or several (clm_meta_create_on), of which the first evaluates. In this order:
 *   create   plans everything, sets the initial parameters or restores those of the last checkpoint
 *   prepare  makes the run directory, builds, allocates, copies images to the devices; run does it otherwise
 *   run      trains up to options.iterations
 *   test     on held-out tasks, unless the run was stopped */
typedef struct clm_trainer clm_trainer;
/* shares [n]: their tasks make up options->meta.tasks; memory_limit 0: as the options have it. Errors beside those of
 * clm_train_check: CLM_E_LIMIT when the memory is too small; CLM_E_STATE for a directory that holds another run, or where a new
 * one cannot begin; CLM_E_FORMAT for a damaged checkpoint. */
CLM_API clm_status clm_trainer_create(clm_trainer **out, const clm_meta_share *shares, size_t n, const clm_source *source,
                                      const clm_model *model, const clm_train_options *options);
CLM_API void clm_trainer_free(clm_trainer *trainer); /* NULL is allowed */
CLM_API clm_status clm_trainer_prepare(clm_trainer *trainer);
CLM_API clm_status clm_trainer_run(clm_trainer *trainer);
CLM_API clm_status clm_trainer_test(clm_trainer *trainer);
/* What is known so far; the trainer's. */
CLM_API const clm_train_result *clm_trainer_result(const clm_trainer *trainer);
/* The parameters that validation chose up to now, see clm_train. */
CLM_API clm_status clm_trainer_best(clm_trainer *trainer, clm_params *best);
/* Those of one of several initialisations, from 0; clm_trainer_best and clm_train give the first. */
CLM_API clm_status clm_trainer_best_of(clm_trainer *trainer, int initialisation, clm_params *best);

/* The meta-learner, owned by the trainer: for its plan, its parts, its parameters. */
CLM_API clm_meta *clm_trainer_meta(clm_trainer *trainer);
typedef struct clm_train_plan {
    size_t evaluation_bytes;    /* of the first device, beside what the meta-learner's plan says */
    size_t images, image_bytes; /* kept on each device; 0: none */
    bool measures_second_order; /* both_orders found room */
} clm_train_plan;
CLM_API clm_train_plan clm_trainer_get_plan(const clm_trainer *trainer);

/* ---- checkpoints of training ----
 * Archives with the arrays of clm_meta_save, of which clm_params_load and clm_params_load_average read what is evaluated. */

enum { CLM_RANK_LAST = -1, CLM_RANK_NEWEST = -2 };
/* "DIRECTORY/checkpoints/best.safetensors" for rank 0, best-2 for rank 1, ..; last for CLM_RANK_LAST. CLM_RANK_NEWEST: the one that a
 * resumed run goes on from, which is last or, where that is missing or damaged, the newest numbered one that is whole, if there is one.
 * CLM_E_LIMIT where `size` is too small. */
CLM_API clm_status clm_train_checkpoint_path(char *path, size_t size, const char *directory, int rank);

/* What one says beside its arrays; texts are the archive's. */
typedef struct clm_train_checkpoint {
    const char *note;  /* of clm_train_options, or the options */
    const char *model; /* JSON; "": a custom model */
    uint64_t iteration;
} clm_train_checkpoint;
/* CLM_E_FORMAT where the archive is none of training's. */
CLM_API clm_status clm_train_read_checkpoint(const clm_archive *archive, clm_train_checkpoint *out);
/* Is the checkpoint of this rank (0: "best") in a run directory the one that validation chose, by what "last" says? CLM_E_FORMAT: it is
 * missing, damaged, or another; clm_last_error says which. CLM_OK also where the run chose none of this rank, where "last" cannot be read, and
 * of one that is newer than "last", as a run saves it first. */
CLM_API clm_status clm_train_check_best(const char *directory, int rank);
/* A line that says that the data are not those the checkpoint's run was trained on, and how they differ; "" where they are the same, or
 * nothing is known of them. By clm_source_fingerprint; of checkpoints of before, by what the descriptions say behind the name.
 * Written into `text`, cut to `size` with its end. Returns `text`. */
CLM_API const char *clm_train_data_changed(const clm_archive *archive, const clm_source *source, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
