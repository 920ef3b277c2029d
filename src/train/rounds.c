/* The chunks of an evaluation: one after the other, or, of several processes, rounds of one on each. A round's scores are written down by
 * whoever adapts to the tasks and added up by all in task order, which gives the sums of one process. */
#include <stdio.h>
#include <stdlib.h>

#include "comm/comm.h"
#include "train/evaluator.h"

/* The tasks that a chunk from task `at` of a run on has. */
static int tasks_at(const clm_evaluator *e, const clm_run_over *r, int at) {
    const int left = r->tasks - at;
    return left < 0 ? 0 : left < e->options.chunk ? left : e->options.chunk;
}

/* Rank 0 decides. */
static clm_status asks_to_stop(const clm_evaluator *e, bool *stops) {
    *stops = clm_comm_rank(e->options.comm) == 0 && e->options.stop && e->options.stop(e->options.user);
    return clm_comm_broadcast(e->options.comm, stops, sizeof *stops);
}

/* ---- several processes ---- */

static size_t scores_of_chunk(const clm_evaluator *e, const clm_run_over *r) {
    return 2 * (size_t)(r->steps + 1) * (size_t)e->options.chunk;
}

/* Of query sets or support sets, after k steps. */
static clm_task_score *cell(const clm_evaluator *e, const clm_run_over *r, clm_task_score *scores, bool support, int k) {
    return scores + ((size_t)support * (size_t)(r->steps + 1) + (size_t)k) * (size_t)e->options.chunk;
}

/* With or without: a run writes its scores down. */
static void set_tapes(const clm_evaluator *e, clm_run_over *r, bool with) {
    for (int k = 0; k <= r->steps; k++) {
        r->query[k].tape = with ? cell(e, r, e->scores, false, k) : NULL;
        r->support[k].tape = with ? cell(e, r, e->scores, true, k) : NULL;
    }
}

/* The next tasks of the run, by what was written down of them. */
static void add_up(const clm_evaluator *e, clm_run_over *r, clm_task_score *scores, int tasks) {
    for (int k = 0; k <= r->steps; k++) {
        const clm_task_score *query = cell(e, r, scores, false, k), *support = cell(e, r, scores, true, k);
        double *kept = clm_task_scores_at(&e->kept, k, r->done);
        const bool scored = !(r->ends_only && k > 0 && k < r->steps);
        for (int t = 0; t < tasks && scored; t++) {
            clm_moments_add(&r->query[k], query[t].score, query[t].loss);
            clm_moments_add(&r->support[k], support[t].score, support[t].loss);
            if (kept) kept[t] = query[t].score;
        }
    }
    r->done += tasks;
}

static clm_status agree(const clm_evaluator *e, const clm_run_over *r) {
    char text[256];
    snprintf(text, sizeof text, "split %d\nseed %llu\nfirst task %llu\n%d tasks\n%d steps\n%d tasks at a time\n%zu members\n",
             (int)r->split, (unsigned long long)r->seed, (unsigned long long)r->first, r->tasks, r->steps, e->options.chunk,
             r->n_members);
    return clm_comm_agree(e->options.comm, "evaluations", text);
}

static clm_status begin(clm_evaluator *e, const clm_run_over *r) {
    const size_t n = scores_of_chunk(e, r);
    clm_status status = CLM_OK;
    CLM_TRY(agree(e, r));
    free(e->scores);
    free(e->of_ranks);
    e->scores = e->of_ranks = NULL;
    CLM_NEW(e->scores, n);
    CLM_NEW(e->of_ranks, n * (size_t)clm_comm_size(e->options.comm));
out:
    return status;
}

/* A chunk on every rank, one behind the other in task order. */
static clm_status run_round(clm_evaluator *e, clm_run_over *r) {
    clm_comm *comm = e->options.comm;
    const int at = r->done + clm_comm_rank(comm) * e->options.chunk, tasks = tasks_at(e, r, at);
    set_tapes(e, r, true);
    const clm_status status = tasks > 0 ? clm_evaluator_run_chunk(e, r, at, tasks) : CLM_OK;
    set_tapes(e, r, false);
    if (status != CLM_E_NUMERIC) CLM_TRY(status);
    CLM_TRY(clm_comm_join(comm, status)); /* data that are not finite: what one process says of its first chunk that has such */
    CLM_TRY(clm_comm_all_gather(comm, e->scores, scores_of_chunk(e, r) * sizeof *e->scores, e->of_ranks));
    for (int rank = 0; rank < clm_comm_size(comm); rank++)
        add_up(e, r, e->of_ranks + (size_t)rank * scores_of_chunk(e, r), tasks_at(e, r, r->done));
    return CLM_OK;
}

/* ---- all ---- */

clm_status clm_evaluator_run_all(clm_evaluator *e, clm_run_over *r) {
    const bool alone = clm_comm_size(e->options.comm) == 1;
    bool stops = false;
    if (!alone) CLM_TRY(begin(e, r));
    while (r->done < r->tasks && !stops) {
        const int tasks = tasks_at(e, r, r->done);
        CLM_TRY(alone ? clm_evaluator_run_chunk(e, r, r->done, tasks) : run_round(e, r));
        if (alone) r->done += tasks;
        if (r->done < r->tasks) CLM_TRY(asks_to_stop(e, &stops));
    }
    return CLM_OK;
}
