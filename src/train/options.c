/* What the options of a run come to for a source: checked, with what follows from them filled in. */
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "train/internal.h"

static clm_status check_versions(const clm_train_options *o) {
    const struct {
        const char *name, *init;
        int is, wanted;
    } rows[] = {
        {"clm_train_options", "CLM_TRAIN_OPTIONS_INIT", o->version, CLM_TRAIN_OPTIONS_VERSION},
        {"clm_meta_options", "CLM_META_OPTIONS_INIT", o->meta.version, CLM_META_OPTIONS_VERSION},
        {"clm_task_options", "CLM_TASK_OPTIONS_INIT", o->meta.task.version, CLM_TASK_OPTIONS_VERSION},
        {"clm_optim_options", "CLM_OPTIM_OPTIONS_INIT", o->meta.optim.version, CLM_OPTIM_OPTIONS_VERSION},
        {"clm_episode_options", "CLM_EPISODE_OPTIONS_INIT", o->episodes.version, CLM_EPISODE_OPTIONS_VERSION},
        {"clm_augment_options", "CLM_AUGMENT_OPTIONS_INIT", o->augment.version, CLM_AUGMENT_OPTIONS_VERSION},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].is != rows[i].wanted)
            return clm_fail(CLM_E_ARG, "%s of version %d, this library's is %d; begin them with %s", rows[i].name, rows[i].is,
                            rows[i].wanted, rows[i].init);
    return CLM_OK;
}

static clm_status check_numbers(const clm_train_options *o) {
    const struct {
        const char *name;
        uint64_t is, least, most;
    } rows[] = {
        /* a negative int becomes a large number here */
        {"validate_every", o->validate_every, 1, UINT64_MAX},
        {"validation_tasks", (uint64_t)o->validation_tasks, 1, INT32_MAX},
        {"test_tasks", (uint64_t)o->test_tasks, 0, INT32_MAX},
        {"test_steps", (uint64_t)(o->test_steps == -1 ? 0 : o->test_steps), 0, CLM_SCORE_STEPS_MOST},
        {"task.steps", (uint64_t)o->meta.task.steps, 0, CLM_SCORE_STEPS_MOST},
        {"ensemble", (uint64_t)o->ensemble, 1, CLM_ENSEMBLE_MOST},
        {"keep", (uint64_t)o->keep, 0, INT32_MAX},
        {"log_every", o->log_every, 1, UINT64_MAX},
        {"episodes.ways", (uint64_t)o->episodes.ways, 1, INT32_MAX},
        {"episodes.shots", (uint64_t)o->episodes.shots, 1, INT32_MAX},
        {"episodes.query", (uint64_t)o->episodes.query, 1, INT32_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].is < rows[i].least || rows[i].is > rows[i].most)
            return clm_fail(CLM_E_ARG, "%s is %lld; it must be from %llu to %llu", rows[i].name, (long long)rows[i].is,
                            (unsigned long long)rows[i].least, (unsigned long long)rows[i].most);
    return CLM_OK;
}

/* A task goes to the initialisation whose inner loop fits its support set best, so there must be one such loop and one such set. */
static clm_status settle_initialisations(clm_trainer *t) {
    const clm_train_options *o = &t->options;
    const int n = o->meta.initialisations;
    t->n_starts = n > 1 ? (size_t)n : 1;
    if (n < 0 || n > CLM_INITIALISATIONS_MOST)
        return clm_fail(CLM_E_ARG, "initialisations is %d; it must be from 1 to %d", n, CLM_INITIALISATIONS_MOST);
    if (n <= 1) return CLM_OK;
    if (!clm_algorithm_uses(t->algorithm, "steps") || clm_task_is_joint(&o->meta.task) || strcmp(t->algorithm, "pretrain") == 0)
        return clm_fail(CLM_E_ARG, "initialisations %d: %s has no inner steps in training to choose by", n, t->algorithm);
    if (o->meta.task.support_per_step)
        return clm_fail(CLM_E_ARG,
                        "initialisations %d and support_per_step exclude each other: a task is chosen for by one support set",
                        n);
    if (o->ensemble > 1) return clm_fail(CLM_E_ARG, "initialisations %d and ensemble %d exclude each other", n, o->ensemble);
    return CLM_OK;
}

/* A range of one number is none. */
static void settle_sizes(clm_trainer *t) {
    clm_episode_options *e = &t->options.episodes;
    if (e->ways_least == e->ways) e->ways_least = 0;
    if (e->shots_least == e->shots) e->shots_least = 0;
    t->options.meta.task.uneven = e->ways_least || e->shots_least;
}

static clm_status settle_task(clm_trainer *t) {
    clm_train_options *o = &t->options;
    clm_task_options *task = &o->meta.task;
    CLM_TRY(clm_task_options_resolve(task));
    for (size_t i = 0; clm_algorithm_name(i); i++)
        if (strcmp(clm_algorithm_name(i), task->algorithm) == 0) t->algorithm = clm_algorithm_name(i);
    const bool steps = clm_algorithm_uses(t->algorithm, "steps");
    if (!steps && o->test_steps)
        return clm_fail(CLM_E_ARG, "test_steps %d: %s has no inner steps", o->test_steps, t->algorithm);
    if (o->anneal_over && !task->step_weights) return clm_fail(CLM_E_ARG, "anneal_over: there are no step_weights to anneal");
    t->steps = steps ? task->steps : 0;
    t->test_steps = o->test_steps > 0 ? o->test_steps : t->steps;
    task->support = o->episodes.ways * o->episodes.shots;
    task->query = o->episodes.ways * o->episodes.query;
    if (clm_algorithm_uses(t->algorithm, "ways")) task->ways = o->episodes.ways;
    o->episodes.support_sets = task->support_per_step ? task->steps : 1;
    return CLM_OK;
}

/* Of training on all classes at once: the model has an output for each. */
static clm_status settle_classes(clm_trainer *t) {
    clm_episode_options *e = &t->options.episodes;
    if (!clm_task_is_joint(&t->options.meta.task)) {
        if (e->joint_classes) return clm_fail_unread("episodes.joint_classes", "algorithm", t->algorithm);
        return CLM_OK;
    }
    if (t->regression || clm_source_labels(t->source)) return CLM_OK; /* its outputs are those of any task */
    const size_t all = clm_source_classes(t->source, CLM_SPLIT_TRAIN);
    if (!e->joint_classes && all == SIZE_MAX)
        return clm_fail(CLM_E_ARG, "%s has endless classes; say in episodes.joint_classes how many to train on",
                        clm_source_name(t->source));
    if (e->joint_classes > all)
        return clm_fail(CLM_E_ARG, "episodes.joint_classes is %zu; %s has %zu training classes", e->joint_classes,
                        clm_source_name(t->source), all);
    if (!e->joint_classes) e->joint_classes = all;
    const clm_shape out = t->model ? clm_model_out_shape(t->model) : clm_shape_of(1, (int)e->joint_classes);
    char text[96];
    if (out.rank == 1 && (size_t)out.dim[0] == e->joint_classes) return CLM_OK;
    return clm_fail(CLM_E_SHAPE, "the model's output is %s for one example; training on %zu classes needs [%zu]",
                    clm_shape_text(&out, text, sizeof text), e->joint_classes, e->joint_classes);
}

static bool has_tasks(const clm_source *source, clm_split split) {
    return clm_source_classes(source, split) > 0 || clm_source_groups(source, split) > 0;
}

static clm_status check_data(clm_trainer *t) {
    clm_train_options *o = &t->options;
    const clm_episode_options *e = &o->episodes;
    if (t->regression && e->ways != 1) return clm_fail(CLM_E_ARG, "episodes.ways is 1 for a regression, not %d", e->ways);
    if (clm_source_labels(t->source) && e->ways != 1)
        return clm_fail(CLM_E_ARG,
                        "episodes.ways is 1, not %d: a task is a group of rows, and its classes are those of all tasks",
                        e->ways);
    CLM_TRY(clm_source_check_episode(t->source, CLM_SPLIT_TRAIN, e));
    t->validates = has_tasks(t->source, CLM_SPLIT_VALIDATION);
    clm_episode_options held_out = *e;
    held_out.support_sets = 1;
    held_out.joint_classes = 0;
    if (t->validates) CLM_TRY(clm_source_check_episode(t->source, CLM_SPLIT_VALIDATION, &held_out));
    if (!has_tasks(t->source, CLM_SPLIT_TEST)) o->test_tasks = 0;
    return o->test_tasks > 0 ? clm_source_check_episode(t->source, CLM_SPLIT_TEST, &held_out) : CLM_OK;
}

/* Pictures that are changed at random are sent with every batch. */
static clm_status settle_images(clm_trainer *t) {
    const clm_augment_options *a = &t->options.augment;
    if (!(a->flip > 0 || a->shift > 0 || a->crop < 1 || a->jitter > 0)) return CLM_OK;
    if (t->options.data_on == CLM_DATA_DEVICE)
        return clm_fail(CLM_E_ARG, "data_on device and augmentation exclude each other: the host changes pictures");
    t->options.data_on = CLM_DATA_HOST;
    return CLM_OK;
}

clm_status clm_trainer_settle(clm_trainer *t, const clm_source *source, const clm_train_options *options) {
    CLM_TRY(check_versions(options));
    CLM_TRY(check_numbers(options));
    t->options = *options;
    t->source = source;
    t->regression = clm_source_is_regression(source);
    if (!t->options.checkpoint_every) t->options.checkpoint_every = options->validate_every;
    settle_sizes(t);
    CLM_TRY(settle_task(t));
    CLM_TRY(clm_train_check_loss(source, &t->options.meta.task));
    CLM_TRY(settle_initialisations(t));
    CLM_TRY(settle_classes(t));
    CLM_TRY(settle_images(t));
    return check_data(t);
}

clm_status clm_train_check(const clm_source *source, const clm_train_options *options) {
    clm_trainer *t = clm_calloc(1, sizeof *t);
    if (!t) return CLM_E_MEMORY;
    const clm_status status = clm_trainer_settle(t, source, options);
    clm_trainer_free(t);
    return status;
}

/* ---- words ---- */

/* "Model-agnostic meta-learning, second order" */
static void name_method(const clm_trainer *t, const clm_task_options *task, char *text, size_t size) {
    const bool ordered = clm_algorithm_uses(t->algorithm, "first-order") && strcmp(t->algorithm, "fomaml") != 0;
    const char *title = t->algorithm;
    for (size_t i = 0; clm_algorithm_name(i); i++)
        if (strcmp(clm_algorithm_name(i), t->algorithm) == 0) title = clm_algorithm_get_info(i).title;
    snprintf(text, size, "%s%s", title, !ordered ? "" : task->first_order ? ", first order" : ", second order");
}

/* "5", or "3..5" */
static const char *range_text(int least, int most, char text[32]) {
    if (least)
        snprintf(text, 32, "%d..%d", least, most);
    else
        snprintf(text, 32, "%d", most);
    return text;
}

clm_status clm_trainer_entitle(clm_trainer *t, const clm_task_options *task) {
    char method[128], inner[128] = "", ways[32], shots[32];
    const clm_episode_options *e = &t->options.episodes;
    const bool normalised = clm_model_has_batch_norm(t->model);
    const char *name = clm_source_name(t->source);
    const int test = t->test_steps;
    void *place = clm_numbers_enter();
    name_method(t, task, method, sizeof method);
    range_text(e->ways_least, e->ways, ways);
    range_text(e->shots_least, e->shots, shots);
    if (t->regression)
        t->title = clm_format("%.100s, %s shots: %s", name, shots, method);
    else if (clm_source_labels(t->source))
        t->title = clm_format("%.100s, %d classes, %s shots: %s", name, clm_source_outputs(t->source, e->ways), shots, method);
    else
        t->title = clm_format("%.100s, %s-way %s-shot: %s", name, ways, shots, method);
    if (test > 0)
        snprintf(inner, sizeof inner, "%d inner step%s at rate %g, at validation %d step%s; ", task->steps,
                 task->steps == 1 ? "" : "s", task->inner_lr, test, test == 1 ? "" : "s");
    t->subtitle = clm_format("%smeta-batch %d%s%s", inner, t->options.meta.tasks, normalised ? ", batch-norm " : "",
                             normalised ? clm_bn_mode_name(t->options.bn_mode) : "");
    clm_numbers_leave(place);
    return t->title && t->subtitle ? CLM_OK : CLM_E_MEMORY;
}
