/* The work: rounds one after the other, the runs of a round shared out to the ranks as they become free. A run is a process of its
 * own, which may fail without harm to the others. Ranks meet several times a second, all learn what has ended, and from that all see
 * who does what next. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/ranks.h"
#include "base/system.h"
#include "eval/scores.h"
#include "sweep/sweep.h"

static const double moment = 0.1; /* seconds between two meetings */

enum { NONE = -1 };

/* What a rank tells the others. */
typedef struct report {
    int ended; /* a run; NONE */
    bool stops;
    sweep_result result;
} report;

typedef struct worker {
    sweep *s;
    sweep_work *work;
    int *busy;       /* [ranks]: its run, or NONE */
    report *reports; /* [ranks] */
    size_t *queue;   /* runs of this round */
    size_t n_queue, next, n_done;
    const char *device; /* of this rank, where it is not the default */
    char device_text[CLI_PATH_MAX];
    /* this rank's run */
    cli_running *running;
    cli_child child;
    sweep_arguments arguments;
    FILE *log;        /* log.txt of its directory, once that is there */
    char early[8192]; /* what it said before */
    size_t n_early;
    char why[SWEEP_WHY]; /* the last line of a failure */
    bool asked;          /* to stop */
} worker;

/* ---- a run ---- */

/* A directory that holds anything else but a run is none to begin one in. */
static void open_log(worker *w) {
    char directory[CLI_PATH_MAX], path[CLI_PATH_MAX];
    const sweep_run *run = &w->s->runs[w->busy[clm_comm_rank(cli_ranks())]];
    if (sweep_run_path(w->s, run, directory) != CLM_OK || cli_path(path, directory, "config.json") != CLM_OK ||
        !cli_path_exists(path) || cli_path(path, directory, "log.txt") != CLM_OK)
        return;
    w->log = fopen(path, "a");
    if (w->log) fputs(w->early, w->log);
}

static void keep_line(void *user, const char *line) {
    static const char mark[] = "clmaml: ", remark[] = "clmaml: note: ";
    worker *w = user;
    if (!w->log) open_log(w);
    if (w->log) {
        fprintf(w->log, "%s\n", line);
        fflush(w->log);
    } else if (w->n_early < sizeof w->early) {
        w->n_early += (size_t)snprintf(w->early + w->n_early, sizeof w->early - w->n_early, "%s\n", line);
    }
    if (strncmp(line, mark, strlen(mark)) == 0 && strncmp(line, remark, strlen(remark)) != 0)
        snprintf(w->why, sizeof w->why, "%s", line + strlen(mark));
}

/* What the run of a sweep that was killed may take to end: it is killed with it, but a driver takes its time. */
enum { ORPHAN_SECONDS = 60 };

/* Options that a stored run does not keep. */
static clm_status add_unkept(const sweep *s, const sweep_run *run, sweep_arguments *a) {
    if (json_is_true(json_object_get(s->options, "force")) || json_is_true(json_object_get(run->settings, "force")))
        return sweep_argument_add(a, "--force");
    return CLM_OK;
}

/* --trial, then what train is given: a new run, or one that goes on. */
static clm_status make_arguments(worker *w, const sweep_run *run, int round) {
    const sweep *s = w->s;
    sweep_arguments *a = &w->arguments;
    char directory[CLI_PATH_MAX], config[CLI_PATH_MAX];
    CLI_TRY(sweep_run_path(s, run, directory));
    CLI_TRY(cli_path(config, directory, "config.json"));
    CLI_TRY(sweep_argument_add(a, "--trial"));
    if (cli_path_exists(config)) {
        cli_directory_await(directory, ORPHAN_SECONDS);
        CLI_TRY(sweep_argument_add(a, "--resume"));
        CLI_TRY(add_unkept(s, run, a));
    } else {
        CLI_TRY(sweep_arguments_make(s, run, a));
    }
    CLI_TRY(sweep_argument_add(a, "--run=%s", directory));
    if (w->device && json_object_get(s->options, "device")) CLI_TRY(sweep_argument_add(a, "--device=%s", w->device));
    if (round + 1 < s->rounds) CLI_TRY(sweep_argument_add(a, "--stop-after=%lld", (long long)sweep_target(s, run, round)));
    return CLM_OK;
}

static clm_status start(worker *w, size_t index, int round) {
    CLI_TRY(make_arguments(w, &w->s->runs[index], round));
    w->why[0] = w->early[0] = 0;
    w->n_early = 0;
    w->asked = false;
    w->child = (cli_child){.arguments = (const char *const *)w->arguments.argv, .apart = true, .line = keep_line, .user = w};
    return cli_child_start(&w->running, &w->child);
}

static void put_away(worker *w) {
    cli_child_free(w->running);
    w->running = NULL;
    sweep_arguments_free(&w->arguments);
    if (w->log) fclose(w->log);
    w->log = NULL;
}

/* A run that was asked to stop, or was killed along with everything, has not failed. */
static clm_status conclude(worker *w, size_t index, const cli_child_end *end) {
    sweep_run *run = &w->s->runs[index];
    const bool stopped = end->status == CLI_EXIT_INTERRUPTED || (w->asked && end->signal);
    if (end->signal)
        snprintf(w->why, sizeof w->why, "its process was ended by signal %d", end->signal);
    else if (end->status && !w->why[0])
        snprintf(w->why, sizeof w->why, "exit status %d", end->status);
    if (!w->log) open_log(w);
    put_away(w);
    if (!stopped && (end->status || end->signal)) CLI_TRY(sweep_failure_write(w->s, run, w->why));
    return sweep_result_read(w->s, run);
}

/* ---- a round ---- */

static void say_end(const worker *w, size_t index, int round) {
    const sweep_run *run = &w->s->runs[index];
    const sweep_score *score = &run->result.at[round];
    const clm_score shown = {score->mean, score->half};
    char text[512];
    sweep_run_text(w->s, run, text, sizeof text);
    if (run->result.why[0])
        cli_line(stdout, "%6zu of %zu  %s: failed: %.*s\n", w->n_done, w->n_queue, cli_shown(text),
                 (int)strcspn(run->result.why, ";"), cli_shown(run->result.why));
    else if (score->reached)
        cli_line(stdout, "%6zu of %zu  %s: validation %s\n", w->n_done, w->n_queue, cli_shown(text),
                 cli_score_interval_text(&shown, run->regression).s);
    fflush(stdout);
}

/* To ranks without a run, in their order. */
static clm_status assign(worker *w, int round) {
    const int me = clm_comm_rank(cli_ranks()), size = clm_comm_size(cli_ranks());
    for (int r = 0; r < size && w->next < w->n_queue && !w->work->stopped; r++) {
        if (w->busy[r] != NONE) continue;
        w->busy[r] = (int)w->queue[w->next++];
        if (r == me) CLI_TRY(start(w, (size_t)w->busy[r], round));
    }
    return CLM_OK;
}

/* This rank's run, for a moment. */
static clm_status look(worker *w, report *mine) {
    const int index = w->busy[clm_comm_rank(cli_ranks())];
    cli_child_end end;
    bool ended = false;
    memset(mine, 0, sizeof *mine);
    mine->ended = NONE;
    if (index == NONE)
        cli_wait(moment);
    else
        CLI_TRY(cli_child_wait(w->running, moment, &ended, &end));
    mine->stops = cli_stop_requested();
    if (!ended) return CLM_OK;
    CLI_TRY(conclude(w, (size_t)index, &end));
    mine->ended = index;
    mine->result = w->s->runs[index].result;
    return CLM_OK;
}

static clm_status meet(worker *w, int round) {
    const int size = clm_comm_size(cli_ranks());
    report mine;
    CLI_TRY(look(w, &mine));
    CLI_TRY(clm_comm_all_gather(cli_ranks(), &mine, sizeof mine, w->reports));
    for (int r = 0; r < size; r++) {
        const report *other = &w->reports[r];
        w->work->stopped = w->work->stopped || other->stops;
        if (other->ended == NONE) continue;
        w->s->runs[other->ended].result = other->result;
        w->busy[r] = NONE;
        w->n_done++;
        if (cli_ranks_lead()) say_end(w, (size_t)other->ended, round);
    }
    if (w->work->stopped && w->running && !w->asked) {
        w->asked = true;
        cli_child_stop(w->running);
    }
    return CLM_OK;
}

static bool all_idle(const worker *w) {
    for (int r = 0; r < clm_comm_size(cli_ranks()); r++)
        if (w->busy[r] != NONE) return false;
    return true;
}

/* "round 2 of 4: 9 runs to iteration 300, 5 of them to be made here". */
static void say_round(const worker *w, int round, size_t in_all) {
    const sweep *s = w->s;
    char rest[64] = "";
    if (!cli_ranks_lead() || w->n_queue == 0) return;
    if (w->n_queue < in_all) snprintf(rest, sizeof rest, ", %zu of them to be made here", w->n_queue);
    if (s->factor)
        cli_line(stdout, "round %d of %d: %zu run%s to iteration %lld%s\n", round + 1, s->rounds, in_all,
                 cli_plural((double)in_all), (long long)s->target[round], rest);
    else
        cli_line(stdout, "%zu run%s%s\n", in_all, cli_plural((double)in_all), rest);
    fflush(stdout);
}

/* What of a round is to be made here. *over: nothing of it is left to anybody. */
static clm_status make_round(worker *w, int round, bool *over) {
    size_t n = 0;
    *over = true;
    if (!sweep_round(w->s, round, w->queue, &n)) return cli_fail(CLM_E_STATE, "round %d is not over", round);
    w->n_queue = w->next = w->n_done = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t index = w->queue[i];
        const sweep_result *result = &w->s->runs[index].result;
        if (result->at[round].reached || result->why[0]) continue;
        if ((int)(i % (size_t)w->work->parts) == w->work->part - 1)
            w->queue[w->n_queue++] = index;
        else
            *over = false;
    }
    say_round(w, round, n);
    CLI_TRY(assign(w, round));
    while (!all_idle(w)) {
        CLI_TRY(meet(w, round));
        CLI_TRY(assign(w, round));
    }
    return CLM_OK;
}

static clm_status make_all(worker *w) {
    bool over = true;
    int round = 0;
    for (; round < w->s->rounds && over && !w->work->stopped; round++) CLI_TRY(make_round(w, round, &over));
    w->work->waits = !over && round < w->s->rounds;
    return CLM_OK;
}

/* What has been reached: rank 0 looks, the others follow. */
static clm_status read_all(sweep *s) {
    clm_status status = CLM_OK;
    for (size_t i = 0; i < s->n_runs && cli_ranks_lead() && status == CLM_OK; i++) status = sweep_result_read(s, &s->runs[i]);
    CLI_TRY(cli_ranks_follow(status, NULL, 0));
    for (size_t i = 0; i < s->n_runs; i++) CLI_TRY(cli_ranks_follow(CLM_OK, &s->runs[i].result, sizeof s->runs[i].result));
    return CLM_OK;
}

/* Where devices are dealt out to ranks, a run has its rank's; the setting of a run stays that of the file where it names one. */
static clm_status settle_device(worker *w) {
    const char *spec = json_string_value(json_object_get(w->s->options, "device"));
    if (clm_comm_size(cli_ranks()) == 1) return CLM_OK;
    CLI_TRY(cli_ranks_device(spec ? spec : "", w->device_text, &w->device));
    if (!spec && w->device) cli_environment_set("CLMAML_DEVICE", w->device);
    return CLM_OK;
}

clm_status sweep_make(sweep *s, sweep_work *work) {
    const int size = clm_comm_size(cli_ranks());
    clm_status status = CLM_OK;
    worker w = {.s = s, .work = work};
    CLI_NEW(w.busy, size);
    CLI_NEW(w.reports, size);
    CLI_NEW(w.queue, s->n_runs);
    for (int r = 0; r < size; r++) w.busy[r] = NONE;
    CLI_GOTO(read_all(s));
    CLI_GOTO(settle_device(&w));
    CLI_GOTO(make_all(&w));
out:
    put_away(&w);
    free(w.busy);
    free(w.reports);
    free(w.queue);
    return status;
}
