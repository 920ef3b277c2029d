/* `clmaml train navigation`: the paper's 2-D navigation by MAML's policy gradient. A subject of train with options of its own,
 * because its tasks are episodes rather than examples. */
#include "train/navigation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/ranks.h"
#include "base/system.h"
#include "config/algorithms.h"
#include "config/checkpoint.h"
#include "config/episodes.h"
#include "selftest/first_use.h"
#include "train/run.h"

typedef struct settings {
    /* policy and episodes */
    int64_t hidden, trajectories, horizon;
    double discount, gae_lambda;
    /* inner loop */
    int64_t steps, test_steps;
    double inner_lr, test_lr;
    bool first_order;
    /* outer loop */
    int outer;
    int64_t meta_batch, iterations, seed, cg_steps, search_steps;
    double trust_region, damping, search_factor;
    char optimizer[CLI_PATH_MAX];
    double outer_lr, clip_norm;
    /* device */
    char device[CLI_PATH_MAX];
    int64_t task_chunk;
    bool force;
    /* run */
    char run[CLI_PATH_MAX];
    bool resume;
    int64_t val_every, val_tasks, eval_tasks, eval_trajectories, log_every;
    double eval_lr;
} settings;

#define AT(field) offsetof(settings, field)
#define BIG 9007199254740991.0 /* 2^53 - 1: whole numbers that JSON keeps */

static const cli_option options[] = {
    {"Policy and episodes", "hidden", CLI_INT, 0, AT(hidden), 1, 4096, "N", "units of each of the policy's two hidden layers"},
    {NULL, "trajectories", CLI_INT, 0, AT(trajectories), 1, 4096, "N", "episodes of a task under each set of parameters"},
    {NULL, "horizon", CLI_INT, 0, AT(horizon), 1, 10000, "N", "an episode's most time steps"},
    {NULL, "discount", CLI_REAL, 0, AT(discount), 0, 1, "X", "of later rewards"},
    {NULL, "gae-lambda", CLI_REAL, 0, AT(gae_lambda), 0, 1, "X",
     "of generalised advantage estimation; 1: returns less the linear baseline"},

    {"Inner loop", "steps", CLI_INT, 0, AT(steps), 1, CLM_POLICY_STEPS_MOST, "K", "inner steps in training"},
    {NULL, "inner-lr", CLI_REAL, 0, AT(inner_lr), 0, 1e6, "X", "inner rate of training, and of the first step at test"},
    {NULL, "test-steps", CLI_INT, 0, AT(test_steps), 1, CLM_POLICY_STEPS_MOST, "K", "inner steps at validation and test"},
    {NULL, "test-lr", CLI_REAL, 0, AT(test_lr), 0, 1e6, "X", "of all of these but the first"},
    {NULL, "first-order", CLI_FLAG, 0, AT(first_order), 0, 0, "", "drop the second-order term (FOMAML)"},

    {"Outer loop", "outer", CLI_CHOICE, 0, AT(outer), 0, 0, "trpo|vpg",
     "trust region policy optimisation through the inner loop, or the plain policy gradient with an --optimizer"},
    {NULL, "meta-batch", CLI_INT, 0, AT(meta_batch), 1, 4096, "T", "tasks of a meta-batch"},
    {NULL, "iterations", CLI_INT, CLI_MOVABLE, AT(iterations), 0, BIG, "N", "outer updates"},
    {NULL, "trust-region", CLI_REAL, 0, AT(trust_region), 0, 1e6, "X", "trpo: the most mean KL divergence of an update"},
    {NULL, "cg-steps", CLI_INT, 0, AT(cg_steps), 1, 1000, "N", "trpo: iterations of conjugate gradients"},
    {NULL, "damping", CLI_REAL, 0, AT(damping), 0, 1e6, "X", "trpo: added to the diagonal of the Fisher matrix"},
    {NULL, "search-steps", CLI_INT, 0, AT(search_steps), 1, 1000, "N", "trpo: the most tries of the line search"},
    {NULL, "search-factor", CLI_REAL, 0, AT(search_factor), 0, 0.999, "X",
     "trpo: by how much each is shorter than the one before"},
    {NULL, "optimizer", CLI_NAME, 0, AT(optimizer), 1, 0, &cli_optimizer_names, "vpg: outer update rule"},
    {NULL, "outer-lr", CLI_REAL, 0, AT(outer_lr), 0, 1e6, "X", "vpg: outer learning rate"},
    {NULL, "clip-norm", CLI_REAL, 0, AT(clip_norm), 0, 1e30, "X", "vpg: scale the meta-gradient down to this norm; 0: never"},
    {NULL, "seed", CLI_INT, 0, AT(seed), 0, BIG, "N", "of initial parameters, tasks and episodes"},

    {"Device", "device", CLI_TEXT, CLI_MOVABLE, AT(device), 0, 0, "WHICH",
     "gpu, cpu, accelerator, P:D, part of a name, type:name, host; default: CLMAML_DEVICE, then the best"},
    {NULL, "task-chunk", CLI_INT, CLI_MOVABLE, AT(task_chunk), 0, 4096, "T", "tasks per launch of gradients; 0: chosen"},
    {NULL, "force", CLI_FLAG, CLI_NOT_SAVED, AT(force), 0, 0, "",
     "use a device that fails its self-test, which is made when a device or driver is new"},

    {"Run", "run", CLI_TEXT, CLI_NOT_SAVED, AT(run), 0, 0, "DIR", "run directory; default: runs/navigation-TIME"},
    {NULL, "resume", CLI_FLAG, CLI_NOT_SAVED, AT(resume), 0, 0, "",
     "go on from the last checkpoint of --run, or test a finished run again; only --iterations, --device, --task-chunk, "
     "--eval-trajectories and --eval-lr may change"},
    {NULL, "val-every", CLI_INT, 0, AT(val_every), 1, BIG, "N", "validate and write a checkpoint after every N iterations"},
    {NULL, "val-tasks", CLI_INT, 0, AT(val_tasks), 1, 1e6, "N", "validation tasks, made up to whole meta-batches"},
    {NULL, "eval-tasks", CLI_INT, 0, AT(eval_tasks), 0, 1e6, "N", "test tasks at the end, likewise; 0: none"},
    {NULL, "eval-trajectories", CLI_INT, CLI_MOVABLE, AT(eval_trajectories), 0, 4096, "N",
     "episodes of a test task under each set of parameters; 0: --trajectories"},
    {NULL, "eval-lr", CLI_REAL, CLI_MOVABLE, AT(eval_lr), 0, 1e6, "X",
     "inner rate of all steps but the first in that test; 0: --test-lr"},
    {NULL, "log-every", CLI_INT, 0, AT(log_every), 1, BIG, "N", "a line of metrics every N iterations"},
    {.name = NULL},
};
static const settings defaults = {.hidden = 100,
                                  .trajectories = 20,
                                  .horizon = 100,
                                  .discount = 0.99,
                                  .gae_lambda = 1,
                                  .steps = 1,
                                  .test_steps = 3,
                                  .inner_lr = 0.1,
                                  .test_lr = 0.05,
                                  .outer = CLM_OUTER_TRPO,
                                  .meta_batch = 20,
                                  .iterations = 500,
                                  .seed = 1,
                                  .cg_steps = 10,
                                  .search_steps = 15,
                                  .trust_region = 0.01,
                                  .damping = 1e-5,
                                  .search_factor = 0.8,
                                  .optimizer = "adam",
                                  .outer_lr = 1e-3,
                                  .val_every = 25,
                                  .val_tasks = 40,
                                  .eval_tasks = 200,
                                  .log_every = 1};

/* ---- settings ---- */

/* Options that one way of updating alone reads. */
static clm_status check_readers(const settings *s, const bool *given) {
    static const char *const readers[] = {"trpo: ", "vpg: "};
    for (size_t i = 0; options[i].name; i++)
        for (int k = 0; k < 2; k++)
            if (given[i] && k != s->outer && strncmp(options[i].help, readers[k], strlen(readers[k])) == 0)
                return cli_usage("--%s is for --outer %.*s; it says nothing to %s", options[i].name,
                                 (int)strlen(readers[k]) - 2, readers[k], clm_policy_outer_name((clm_policy_outer)s->outer));
    return CLM_OK;
}

static clm_status check(const settings *s) {
    static const struct {
        const char *name;
        size_t offset;
    } positive[] = {{"inner-lr", AT(inner_lr)},
                    {"test-lr", AT(test_lr)},
                    {"trust-region", AT(trust_region)},
                    {"search-factor", AT(search_factor)}};
    for (size_t i = 0; i < CLI_COUNT(positive); i++)
        if (!(*(const double *)((const char *)s + positive[i].offset) > 0))
            return cli_usage("--%s must be more than 0", positive[i].name);
    if (s->eval_tasks == 0 && (s->eval_trajectories > 0 || s->eval_lr > 0))
        return cli_usage("--%s says nothing with --eval-tasks 0: there is no test",
                         s->eval_trajectories > 0 ? "eval-trajectories" : "eval-lr");
    if (s->task_chunk && s->meta_batch % s->task_chunk)
        return cli_usage("--task-chunk %lld does not divide the %lld tasks of --meta-batch", (long long)s->task_chunk,
                         (long long)s->meta_batch);
    return CLM_OK;
}

static json_t *to_json(const settings *s) {
    json_t *object = json_object();
    cli_json_set(object, "source", json_string("navigation"));
    for (const cli_option *o = options; o->name; o++)
        if (!(o->flags & CLI_NOT_SAVED)) cli_json_set(object, o->name, cli_option_to_json(o, s));
    return object;
}

static clm_status load(settings *stored, const char *directory) {
    char path[CLI_PATH_MAX];
    clm_status status = CLM_OK;
    CLI_TRY(cli_path(path, directory, "config.json"));
    if (!cli_path_exists(path)) return cli_run_none(directory, path);
    json_t *root = cli_json_load(path);
    if (!root) return CLM_E_FORMAT;
    const json_t *object = json_object_get(root, "settings");
    const char *source = json_string_value(json_object_get(object, "source"));
    cli_episodes episodes;
    const bool of_episodes = cli_episodes_in_config(root, &episodes);
    if (of_episodes && !episodes.navigation) CLI_GOTO(cli_episodes_refuse(&episodes, directory));
    if (!of_episodes && source)
        CLI_GOTO(cli_fail(CLM_E_FORMAT,
                          "%s holds a run of %s, not of navigation; go on with it: clmaml train --resume --run %s", directory,
                          source, cli_pasted(directory)));
    if (!source) CLI_GOTO(cli_fail(CLM_E_FORMAT, "%s: holds no settings of a run of navigation", path));
    for (const cli_option *o = options; o->name; o++) {
        const json_t *value = json_object_get(object, o->name);
        if (value && !(o->flags & CLI_NOT_SAVED)) CLI_GOTO(cli_option_from_json(o, stored, value, path));
    }
out:
    json_decref(root);
    return status;
}

/* The stored settings with what is given beside --resume, where that may move. */
static clm_status settle_resumed(settings *s, const bool *given) {
    settings stored = defaults;
    if (!s->run[0]) return cli_usage("--resume needs --run DIR, the directory of the run to go on with");
    CLI_TRY(load(&stored, s->run));
    for (size_t i = 0; options[i].name; i++) {
        const cli_option *o = &options[i];
        if (!given[i] || (o->flags & CLI_NOT_SAVED)) continue;
        json_t *was = cli_option_to_json(o, &stored), *is = cli_option_to_json(o, s);
        const bool same = json_equal(was, is);
        clm_status status = CLM_OK;
        if (!same && (o->flags & CLI_MOVABLE))
            status = cli_option_from_json(o, &stored, is, s->run);
        else if (!same)
            status = cli_usage("--%s contradicts %s, which was started with another value; leave it out, or start another run",
                               o->name, s->run);
        json_decref(was);
        json_decref(is);
        CLI_TRY(status);
    }
    memcpy(stored.run, s->run, sizeof stored.run);
    stored.resume = true;
    stored.force = s->force;
    *s = stored;
    return CLM_OK;
}

static clm_status settle(settings *s, const cli_args *args) {
    if (s->resume) CLI_TRY(settle_resumed(s, args->given));
    CLI_TRY(check_readers(s, args->given));
    CLI_TRY(check(s));
    if (s->resume) return CLM_OK;
    if (!s->run[0]) return cli_run_make_name(s->run, "navigation");
    return cli_run_check_new(s->run);
}

/* ---- what is printed ---- */

/* "-12.34 +- 0.56"; of one task, which has no interval, "-12.34" */
static cli_text return_text(double mean, double half) {
    cli_text text;
    if (!isfinite(mean))
        snprintf(text.s, sizeof text.s, "not finite");
    else if (!isfinite(half))
        snprintf(text.s, sizeof text.s, "%.2f", mean);
    else
        snprintf(text.s, sizeof text.s, "%.2f +- %.2f", mean, half);
    return text;
}

static void on_row(void *user, const clm_policy_row *row, bool best) {
    const double *v = row->value;
    double *last = user;
    FILE *to = cli_lines_begin(stdout);
    if (row->validation) {
        fprintf(to, "%6llu  validation: return %s before adaptation, %s after%s\n", (unsigned long long)row->iteration,
                return_text(v[CLM_POLICY_METRIC_RETURN_BEFORE], NAN).s,
                return_text(v[CLM_POLICY_METRIC_RETURN_AFTER], v[CLM_POLICY_METRIC_INTERVAL]).s, best ? "  best so far" : "");
    } else if (cli_clock() - *last >= 10) {
        *last = cli_clock();
        fprintf(to, "%6llu  return %s -> %s", (unsigned long long)row->iteration,
                return_text(v[CLM_POLICY_METRIC_RETURN_BEFORE], NAN).s, return_text(v[CLM_POLICY_METRIC_RETURN_AFTER], NAN).s);
        if (isfinite(v[CLM_POLICY_METRIC_KL]))
            fprintf(to, "  KL %.4f  line search %.0f", v[CLM_POLICY_METRIC_KL], v[CLM_POLICY_METRIC_SEARCH]);
        else if (v[CLM_POLICY_METRIC_SEARCH] == 0)
            fprintf(to, "  no step of the line search was accepted");
        fprintf(to, "  deviation %.3f  %s\n", v[CLM_POLICY_METRIC_DEVIATION], cli_duration(v[CLM_POLICY_METRIC_SECONDS]).s);
    }
    cli_lines_end(to, stdout);
    fflush(stdout);
}

static bool is_stopped(void *user) {
    (void)user;
    return cli_stop_requested();
}

static void print_protocol(const settings *s, const clm_device *device, const clm_model *model) {
    FILE *to = cli_lines_begin(stdout);
    fprintf(
        to,
        "task\n  2-D navigation: a point goes to a goal that it does not see; %lld task%s a meta-batch, %lld episode%s of at "
        "most %lld step%s under each set of parameters\n",
        (long long)s->meta_batch, cli_plural((double)s->meta_batch), (long long)s->trajectories,
        cli_plural((double)s->trajectories), (long long)s->horizon, cli_plural((double)s->horizon));
    fprintf(to, "policy\n  Gaussian, two hidden layers of %lld, %zu parameters\n", (long long)s->hidden,
            clm_model_param_elements(model) + 2);
    fprintf(to, "algorithm\n  MAML by policy gradient%s, %lld inner step%s at rate %g; at test %lld, after the first at %g\n",
            s->first_order ? ", first order" : "", (long long)s->steps, cli_plural((double)s->steps), s->inner_lr,
            (long long)s->test_steps, s->test_lr);
    if (s->outer == CLM_OUTER_TRPO)
        fprintf(to, "  outer: TRPO within a mean KL divergence of %g\n", s->trust_region);
    else
        fprintf(to, "  outer: %s at rate %g\n", s->optimizer, s->outer_lr);
    fprintf(to, "device\n  %s\nrun directory\n  %s\n\n", clm_device_get_info(device)->name, cli_shown(s->run));
    cli_lines_end(to, stdout);
    fflush(stdout);
}

static void print_result(const settings *s, const clm_policy_result *r) {
    if (r->test_tasks > 0)
        cli_line(stdout, "\ntest on %d held-out task%s, checkpoint of iteration %llu: return of an episode%s\n", r->test_tasks,
                 cli_plural(r->test_tasks), (unsigned long long)r->best_iteration,
                 r->test_tasks > 1 ? ", 95 % interval over tasks" : "; of one task there is no interval");
    for (int k = 0; k <= r->test_steps && r->test_tasks > 0; k++)
        cli_line(stdout, "  after %d step%s  %s\n", k, k == 1 ? " " : "s", return_text(r->test_return[k], r->test_half[k]).s);
    cli_line(stdout, "learning curve: %s/curve.svg\nepisodes before and after adaptation: %s/trajectories.svg\n",
             cli_shown(s->run), cli_shown(s->run));
}

/* ---- the run ---- */

static void set_options(clm_policy_train_options *o, const settings *s) {
    const clm_policy_train_options initial = CLM_POLICY_TRAIN_OPTIONS_INIT;
    *o = initial;
    o->policy.tasks = (int)s->meta_batch;
    o->policy.trajectories = (int)s->trajectories;
    o->policy.steps = (int)s->steps;
    o->policy.inner_lr = s->inner_lr;
    o->policy.first_order = s->first_order;
    o->policy.discount = s->discount;
    o->policy.gae_lambda = s->gae_lambda;
    o->policy.outer = (clm_policy_outer)s->outer;
    o->policy.trust_region = s->trust_region;
    o->policy.solver_steps = (int)s->cg_steps;
    o->policy.damping = s->damping;
    o->policy.search_steps = (int)s->search_steps;
    o->policy.search_factor = s->search_factor;
    o->policy.optim.rule = s->optimizer;
    o->policy.optim.lr = s->outer_lr;
    o->policy.optim.clip_kind = s->clip_norm > 0 ? CLM_CLIP_NORM : CLM_CLIP_NONE;
    o->policy.optim.clip = s->clip_norm;
    o->policy.task_chunk = (int)s->task_chunk;
    o->iterations = (uint64_t)s->iterations;
    o->seed = (uint64_t)s->seed;
    o->validate_every = (uint64_t)s->val_every;
    o->log_every = (uint64_t)s->log_every;
    o->validation_tasks = (int)s->val_tasks;
    o->test_tasks = (int)s->eval_tasks;
    o->test_steps = (int)s->test_steps;
    o->test_lr = s->test_lr;
    o->eval_trajectories = (int)s->eval_trajectories;
    o->eval_lr = s->eval_lr;
    o->directory = s->run;
    o->resume = s->resume;
    o->row = on_row;
    o->stop = is_stopped;
}

/* A message of the library in the words of the command line. */
static const char *in_words(const char *message, char *text, size_t size) {
    const char *const at = strstr(message, "; iterations "); /* of a run that has made more */
    if (at)
        snprintf(text, size, "%.*s; --%s", (int)(at - message), message, at + 2);
    else
        snprintf(text, size, "%s", message);
    return text;
}

/* Bits are those of a device and of its driver. */
static void note_device_before(const settings *s, const clm_device *device) {
    char path[CLI_PATH_MAX];
    const clm_device_info *now = clm_device_get_info(device);
    if (cli_path(path, s->run, "config.json") != CLM_OK) return;
    json_t *root = cli_json_load(path);
    const char *name = json_string_value(json_object_get(root, "device")),
               *driver = json_string_value(json_object_get(root, "driver"));
    if (name && driver && (strcmp(name, now->name) != 0 || strcmp(driver, now->driver) != 0))
        cli_note("the run was on %s, driver %s until now: from here on its bits are not those of a run that stays there", name,
                 driver);
    json_decref(root);
}

static clm_status train(settings *s, const cli_args *args, clm_policy_result *result) {
    char words[1024];
    clm_environment environment = clm_environment_navigation();
    const int hidden[] = {(int)s->hidden, (int)s->hidden};
    clm_policy_train_options o;
    clm_device *device = NULL;
    clm_model *model = NULL;
    char *note = NULL;
    double said = cli_clock();
    clm_status status = CLM_OK;
    environment.horizon = (int)s->horizon;
    CLI_GOTO(cli_tested_open(&device, s->device[0] ? s->device : NULL, s->force));
    CLI_GOTO(clm_model_mlp(&model, environment.observation, hidden, CLI_COUNT(hidden), environment.action));
    json_t *json = to_json(s);
    note = cli_json_text(json, 0);
    json_decref(json);
    if (!note) CLI_GOTO(cli_fail(CLM_E_MEMORY, "out of memory"));
    set_options(&o, s);
    o.note = note;
    o.user = &said;
    print_protocol(s, device, model);
    if (s->resume) note_device_before(s, device);
    cli_signals_catch(cli_ranks_lead() ? "clmaml: stopping after this update; the same signal again ends it at once\n" : NULL);
    status = clm_policy_train(device, &environment, model, &o, NULL, result);
    CLI_GOTO(status == CLM_E_ARG ? cli_usage("%s", in_words(cli_message(), words, sizeof words)) : status);
    if (!result->stopped) print_result(s, result);
out:
    if (status != CLM_OK && s->run[0] && !args->given[cli_option_find(options, "run")]) cli_directory_give_up(s->run);
    free(note);
    clm_model_free(model);
    clm_device_close(device);
    return status;
}

static int run(cli_args *args) {
    settings *s = args->settings;
    clm_policy_result result = {.stopped = false};
    cli_pipe_outlive();
    clm_status status = cli_ranks_refuse("train navigation");
    if (status == CLM_OK) status = settle(s, args);
    if (status == CLM_OK) status = train(s, args, &result);
    if (status != CLM_OK || !result.stopped) return cli_exit(status);
    fprintf(stderr,
            "clmaml: stopped after iteration %llu, nothing is lost; go on with: clmaml train navigation --resume --run %s\n",
            (unsigned long long)result.iteration, cli_pasted(s->run));
    return CLI_EXIT_INTERRUPTED;
}

const cli_command cli_train_navigation = {
    .name = "train navigation",
    .synopsis = "[--option value ..]",
    .summary = "meta-learn a policy for 2-D navigation",
    .details =
        "A point robot learns from a few episodes where the goal of a new task is, which it never sees (Finn et al. 2017, "
        "section 5.3): MAML by policy gradient. Nothing has to be installed or downloaded; episodes are played on the device.",
    .options = options,
    .settings_size = sizeof(settings),
    .defaults = &defaults,
    .run = run,
};
