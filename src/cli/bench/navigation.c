/* The item navigation: an iteration of MAML by policy gradient with TRPO, in turns with PyTorch. Ours are the iterations of a training
 * run, which stops for the others' turns; theirs, once they have shown that they compute the same from given trajectories, those of
 * a run of their own. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/system.h"
#include "bench/bench.h"

enum { HIDDEN = 100, UNCOUNTED = 2 };

typedef struct navigation {
    const bench_settings *settings;
    const bench_item *item;
    bench_problem problem; /* of the item alone: it has no batches */
    clm_device *device;
    clm_environment environment;
    clm_policy_train_options options;
    bench_peers peers;
    bench_times *times;
    size_t made;        /* iterations */
    int burst, in_turn; /* iterations of a turn, and of this one so far */
    int64_t round;
    double since;
    clm_status status; /* of what a callback did */
} navigation;

/* ---- what the others must get ---- */

static clm_status describe(const navigation *n, const clm_model *model, clm_archive *archive) {
    const clm_policy_options *o = &n->options.policy;
    json_t *names = json_array();
    for (size_t i = 0; i < clm_model_param_count(model); i++)
        cli_json_append(names, json_string(clm_model_param(model, i)->name));
    cli_json_append(names, json_string("log_std"));
    json_t *object = json_pack("{s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:i, s:f, s:i, s:f, s:o}", "item", n->item->name,
                               "tasks", o->tasks, "trajectories", o->trajectories, "horizon", n->environment.horizon, "steps",
                               o->steps, "inner_lr", o->inner_lr, "discount", o->discount, "gae_lambda", o->gae_lambda,
                               "trust_region", o->trust_region, "solver_steps", o->solver_steps, "damping", o->damping,
                               "search_steps", o->search_steps, "search_factor", o->search_factor, "parameters", names);
    char *text = cli_json_text(object, 0);
    const clm_status status = text ? clm_archive_set_meta(archive, "problem", text) : cli_fail(CLM_E_MEMORY, "out of memory");
    free(text);
    json_decref(object);
    return status;
}

static clm_status write_expected(const navigation *n, const clm_model *model, const char *folder) {
    char path[CLI_PATH_MAX];
    clm_archive *archive = NULL;
    clm_status status = CLM_OK;
    CLI_TRY(cli_path(path, folder, "problem.safetensors"));
    CLI_GOTO(clm_archive_create(&archive));
    CLI_GOTO(describe(n, model, archive));
    CLI_GOTO(clm_policy_example(n->device, &n->environment, model, &n->options.policy, 1, archive));
    CLI_GOTO(clm_archive_save(archive, path));
out:
    clm_archive_free(archive);
    return status;
}

/* ---- turns ---- */

static void end_turn(navigation *n) {
    for (size_t p = 0; p < n->peers.count; p++) {
        if (n->peers.peer[p].child)
            bench_say("%s: round %d of %d, %s", n->item->name, (int)n->round + 1, (int)n->settings->rounds,
                      n->peers.peer[p].key);
        bench_peer_turn(&n->peers.peer[p], n->settings->peer_seconds);
    }
    n->in_turn = 0;
    n->round++;
}

static void iteration_made(void *user, const clm_policy_row *row, bool best) {
    navigation *n = user;
    (void)best;
    if (n->status == CLM_OK) n->status = clm_device_finish(n->device);
    const double now = cli_clock(), ms = (now - n->since) * 1e3;
    if (!row->validation && ++n->made > UNCOUNTED) {
        if (!n->burst) n->burst = bench_burst(ms);
        bench_times_add(n->times, ms);
        if (++n->in_turn == n->burst) end_turn(n);
    }
    n->since = cli_clock();
}

static bool enough(void *user) {
    const navigation *n = user;
    return n->round >= n->settings->rounds || n->status != CLM_OK || cli_stop_requested();
}

/* ---- report ---- */

static void report(navigation *n, json_t *items) {
    const clm_policy_options *o = &n->options.policy;
    const double median = bench_times_median(n->times);
    json_t *entry =
        json_pack("{s:s, s:i, s:i, s:i, s:i, s:f}", "item", n->item->name, "tasks", o->tasks, "trajectories", o->trajectories,
                  "horizon", n->environment.horizon, "steps", o->steps, "ms_per_task", median / o->tasks);
    bench_say_nothing();
    cli_line(stdout,
             "%-36s %9s %9s %9s   an iteration: %d episodes of %d steps a task under each set of parameters, %d inner step%s, "
             "TRPO\n",
             n->item->name, bench_ms_text(median).s, bench_ms_text(bench_times_min(n->times)).s,
             bench_ms_text(median / o->tasks).s, o->trajectories, n->environment.horizon, o->steps,
             cli_plural((uint64_t)o->steps));
    bench_report_peers(&n->peers, median, o->tasks);
    cli_json_set(entry, "ms", bench_json_times(n->times));
    cli_json_set(entry, "peers", bench_json_peers(&n->peers, median));
    cli_json_append(items, entry);
}

static clm_status print_profile(const navigation *n, const clm_model *model) {
    puts("");
    FILE *to = cli_lines_begin(stdout);
    const clm_status status = clm_policy_profile(n->device, &n->environment, model, &n->options.policy, 5, to);
    cli_lines_end(to, stdout);
    puts("");
    return status;
}

/* ---- the item ---- */

static void set_up(navigation *n) {
    n->environment = clm_environment_navigation();
    n->options = (clm_policy_train_options)CLM_POLICY_TRAIN_OPTIONS_INIT;
    n->problem.item = *n->item;
    if (n->settings->tasks) n->problem.item.tasks = (int)n->settings->tasks;
    clm_policy_train_options *o = &n->options;
    o->policy.tasks = n->problem.item.tasks;
    o->policy.steps = n->item->steps;
    o->policy.inner_lr = n->item->inner_lr;
    o->policy.task_chunk = (int)n->settings->chunk;
    o->iterations = o->validate_every = UINT32_MAX; /* until it is stopped; nothing is validated but before the first */
    o->validation_tasks = o->test_steps = 1;
    o->test_tasks = 0;
    o->row = iteration_made;
    o->stop = enough;
    o->user = n;
}

static clm_status run(navigation *n, const clm_model *model, const char *folder, json_t *items) {
    if (!n->settings->no_peers) {
        CLI_TRY(write_expected(n, model, folder));
        CLI_TRY(bench_peers_start(&n->peers, n->settings, &n->problem, clm_device_get_info(n->device)->type, folder));
    }
    CLI_TRY(clm_policy_train(n->device, &n->environment, model, &n->options, NULL, NULL));
    CLI_TRY(n->status);
    if (cli_stop_requested()) return cli_fail(CLM_E_STATE, "stopped in round %d", (int)n->round + 1);
    bench_peers_end(&n->peers);
    report(n, items);
    if (n->settings->profile) CLI_TRY(print_profile(n, model));
    fflush(stdout);
    return CLM_OK;
}

clm_status bench_navigation(const bench_item *item, const bench_settings *settings, const char *folder, json_t *items) {
    static const int hidden[] = {HIDDEN, HIDDEN};
    navigation n = {.settings = settings, .item = item};
    clm_model *model = NULL;
    clm_status status = CLM_OK;
    set_up(&n);
    CLI_NEW(n.times, 1);
    CLI_GOTO(clm_model_mlp(&model, n.environment.observation, hidden, CLI_COUNT(hidden), n.environment.action));
    CLI_GOTO(clm_device_open(&n.device, settings->device[0] ? settings->device : NULL));
    CLI_GOTO(run(&n, model, folder, items));
out:
    bench_peers_free(&n.peers);
    free(n.times);
    clm_device_close(n.device);
    clm_model_free(model);
    return status;
}
