/* Plans by measurement: which way of checkpointing and how many tasks at a time make a meta-gradient fastest on a device.
 *
 * A candidate is planned beside the meta-learner, with the same parameters, and computes gradients of random tasks. The search
 * starts from the plan taken unmeasured and follows the number of tasks downwards and upwards as long as that helps, then does
 * the same with the other way of checkpointing. Parts of one device are measured together, because together is how they will
 * run. What would not fit under the limit, does not get its memory, or gives another gradient is dropped. The fastest few are
 * timed again, by turns with the unmeasured plan, which stays unless it is beaten by 3 %, by the least times and in most
 * rounds: on a machine that does other things too, one lucky timing decides nothing. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread.h"
#include "meta/plan/plan.h"

enum { CHUNKS_MOST = 24, FINALISTS = 3, ROUNDS = 5, RUNS_MOST = 50, LANES_MOST = 8 };
static const double gain = 0.97;            /* of the unmeasured plan's time: what is not below it is noise */
static const double worth_timing = 0.03;    /* seconds that a turn lasts at least, */
static const double enough = 0.3;           /* and that a candidate is looked at before the finals */
static const double hopeless = 1.5;         /* times the best: the other way of checkpointing is not looked into further */
static const double most_difference = 0.1;  /* of gradients: see there */
static const double share_of_search = 0.65; /* of the time; the rest is for the finalists */

typedef struct candidate {
    clm_plan_choice choice;
    double seconds; /* of a gradient, the least seen; NAN: not tried, INFINITY: dropped */
    size_t bytes;
    double first;                 /* seconds of the gradient that warmed up */
    clm_share *trial[LANES_MOST]; /* on every lane, while it is open */
    double turn[ROUNDS];          /* seconds, as a finalist; INFINITY: none */
} candidate;

typedef struct search {
    clm_share *meta;             /* that of the first lane */
    clm_share *lane[LANES_MOST]; /* all that compute at the same time */
    int n_lanes;
    float *data[4];
    size_t limit;
    double began, seconds; /* INFINITY: all the time */
    double *base, *grad;   /* gradient of the unmeasured plan, NULL until it is known; of a candidate */
    int n;                 /* numbers of tasks; each with both ways of checkpointing */
    candidate list[2][CHUNKS_MOST];
    double best;
    int tried, dropped;
} search;

/* ---- random tasks ---- */

static clm_status make_batch(search *s) {
    return clm_feed_random(s->meta, s->meta->tasks, (uint64_t)(clm_clock() * 1e9), s->data);
}

/* ---- one candidate ---- */

static void trial_close(candidate *c) {
    for (int i = 0; i < LANES_MOST; i++) {
        clm_share *t = c->trial[i];
        c->trial[i] = NULL;
        if (!t) continue;
        if (t->optimizer) clm_optimizer_free(t->optimizer);
        free(t->optimizer);
        clm_exec_free(t);
        free(t->staging);
        free(t->packing);
        free(t->weights);
        free(t);
    }
}

/* A copy of a lane's share, with its parameters and gradient and a plan of its own. CLM_E_LIMIT: it would not fit. */
static clm_status trial_plan(search *s, candidate *c, int lane) {
    const clm_share *of = s->lane[lane];
    clm_share *t = c->trial[lane] = clm_calloc(1, sizeof *t);
    if (!t) return CLM_E_MEMORY;
    *t = *of;
    clm_exec_detach(t);
    t->staging = t->packing = t->weights = NULL;
    t->optimizer = NULL;
    if (of->optimizer) { /* one of its own: what it takes counts */
        if (!(t->optimizer = clm_calloc(1, sizeof *t->optimizer))) return CLM_E_MEMORY;
        CLM_TRY(clm_optimizer_init(t->optimizer, t->device, of->optimizer->state[CLM_STATE_PARAMS], t->grad,
                                   &of->optimizer->options));
    }
    const int tasks = t->tasks, chunk = c->choice.chunk < tasks ? c->choice.chunk : tasks;
    CLM_TRY(clm_plan_as(t, c->choice.checkpointing, clm_plan_chunk_below(tasks, chunk + 1))); /* lanes may differ by a task */
    c->bytes = t->exec.plan.bytes;
    if (c->bytes <= s->limit) return CLM_OK;
    return clm_fail(CLM_E_LIMIT, "it takes %zu bytes of at most %zu", c->bytes, s->limit);
}

/* A lane's part of a timing. */
typedef struct job {
    const search *s;
    clm_share *trial;
    int runs;
    const void *user; /* the caller, clm_device_user */
    clm_thread *thread;
    clm_status status;
    char message[512];
} job;

static clm_status run_trial(const job *j) {
    float *const *data = j->s->data;
    const clm_batch batch = {.support_x = data[0], .support_y = data[1], .query_x = data[2], .query_y = data[3]};
    for (int i = 0; i < j->runs; i++) CLM_TRY(clm_exec_run(j->trial, 0, &batch, NULL, 0));
    return clm_device_finish(j->trial->device);
}

static void work(void *argument) {
    job *j = argument;
    clm_device_work_for(j->user);
    j->status = run_trial(j);
    if (j->status != CLM_OK) snprintf(j->message, sizeof j->message, "%s", clm_last_error());
}

/* On all lanes at once, as it will be. */
static clm_status run(search *s, const candidate *c, int runs, double *seconds) {
    job jobs[LANES_MOST];
    const double began = clm_clock();
    assert(s->n_lanes > 0);
    for (int i = 0; i < s->n_lanes; i++) jobs[i] = (job){.s = s, .trial = c->trial[i], .runs = runs, .user = clm_device_user()};
    for (int i = 1; i < s->n_lanes; i++)
        if (clm_thread_start(&jobs[i].thread, work, &jobs[i]) != CLM_OK) jobs[i].thread = NULL;
    work(&jobs[0]);
    for (int i = 1; i < s->n_lanes; i++) {
        if (!jobs[i].thread) work(&jobs[i]);
        clm_thread_join(jobs[i].thread);
    }
    *seconds = (clm_clock() - began) / runs;
    for (int i = 0; i < s->n_lanes; i++)
        if (jobs[i].status != CLM_OK) return clm_fail(jobs[i].status, "%s", jobs[i].message);
    return CLM_OK;
}

/* Ready to be timed: allocated, built, run once. */
static clm_status trial_open(search *s, candidate *c) {
    clm_status status = CLM_OK;
    for (int i = 0; i < s->n_lanes; i++) {
        CLM_GOTO(trial_plan(s, c, i));
        CLM_GOTO(clm_retry_commit(c->trial[i]));
    }
    CLM_GOTO(run(s, c, 1, &c->first));
out:
    if (status != CLM_OK) trial_close(c);
    return status;
}

/* Compares the gradient just computed with that of the first candidate. Rounding may send a rectifier or a pooling window the
 * other way, which makes it percents on random numbers. */
static clm_status verify(search *s) {
    double difference = 0, norm = 0;
    const size_t n = clm_tensor_size(s->meta->grad);
    CLM_TRY(clm_tensor_read_f64(s->meta->grad, s->base ? s->grad : (s->base = s->grad), n));
    if (s->base == s->grad) {
        s->grad = clm_calloc(n, sizeof *s->grad);
        return s->grad ? CLM_OK : CLM_E_MEMORY;
    }
    for (size_t e = 0; e < n; e++) {
        difference += (s->grad[e] - s->base[e]) * (s->grad[e] - s->base[e]);
        norm += s->base[e] * s->base[e];
    }
    if (!isfinite(norm) || difference <= most_difference * most_difference * norm)
        return CLM_OK; /* not finite: nothing to compare */
    return clm_fail(CLM_E_NUMERIC, "its gradient is %.1e off", sqrt(difference / norm));
}

/* The least of a few gradients; given up early when `best` is far away. */
static clm_status time_few(search *s, candidate *c, double *least) {
    double seconds, sum = 0;
    *least = c->first;
    for (int i = 0; i < 5 && (i < 1 || (sum < enough && *least < 1.3 * s->best)); i++) {
        CLM_TRY(run(s, c, 1, &seconds));
        *least = fmin(*least, seconds);
        sum += seconds;
    }
    return CLM_OK;
}

static const char *text_of(clm_plan_choice choice, char text[64]) {
    snprintf(text, 64, "%s, %d task%s at a time", clm_checkpointing_name(choice.checkpointing), choice.chunk,
             choice.chunk == 1 ? "" : "s");
    return text;
}

static void try_candidate(search *s, candidate *c) {
    char text[64];
    clm_status status = CLM_OK;
    if (!isnan(c->seconds) || (s->tried > 0 && clm_clock() > s->began + share_of_search * s->seconds)) return;
    s->tried++;
    CLM_GOTO(trial_open(s, c));
    CLM_GOTO(verify(s));
    CLM_GOTO(time_few(s, c, &c->seconds));
    clm_log_write(CLM_LOG_DEBUG, "tune: %s: %.3f ms", text_of(c->choice, text), c->seconds * 1e3);
out:
    if (status != CLM_OK) {
        clm_log_write(CLM_LOG_INFO, "tune: %s is not used: %s", text_of(c->choice, text), clm_last_error());
        for (int i = 0; i < s->n_lanes; i++) (void)clm_device_finish(s->lane[i]->device);
        c->seconds = INFINITY;
        s->dropped++;
    }
    trial_close(c);
    s->best = fmin(s->best, c->seconds);
}

/* ---- the search ---- */

/* Divisors of the number of tasks that are worth telling apart, in increasing order, the one at hand among them. */
static void list_chunks(search *s, clm_plan_choice standard) {
    const int tasks = s->meta->tasks, asked = s->meta->request.task_chunk;
    int chunks[CHUNKS_MOST], n = 0, last = 0;
    for (int c = asked ? asked : tasks; c > 0; c = c > 1 && !asked ? clm_plan_chunk_below(tasks, c) : 0) {
        if (n > 0 && c != standard.chunk && (n >= CHUNKS_MOST - 2 || (c > 1 && 2 * last < 3 * c))) continue;
        chunks[n++] = last = c;
    }
    s->n = n;
    for (int i = 0; i < n; i++)
        for (int how = 0; how < 2; how++)
            s->list[how][i] = (candidate){.choice = {how ? CLM_CHECKPOINT_RECOMPUTE : CLM_CHECKPOINT_STORE, chunks[n - 1 - i]},
                                          .seconds = NAN};
}

static int position(const search *s, int chunk) {
    int i = 0;
    while (i + 1 < s->n && s->list[0][i].choice.chunk < chunk) i++;
    return i;
}

/* From `at` to fewer and to more tasks at a time, one further than where it stops helping: a single timing may mislead. Returns
 * the best place. */
static int descend(search *s, candidate *list, int at) {
    try_candidate(s, &list[at]);
    int best = at;
    for (int direction = -1; direction <= 1; direction += 2) {
        int misses = 0;
        for (int i = best + direction; i >= 0 && i < s->n && misses < 2; i += direction) {
            try_candidate(s, &list[i]);
            misses++;
            if (list[i].seconds < 0.99 * list[best].seconds || isinf(list[best].seconds)) best = i, misses = 0;
        }
    }
    return best;
}

static void search_all(search *s, clm_plan_choice standard) {
    const int how = standard.checkpointing == CLM_CHECKPOINT_RECOMPUTE;
    const int best = descend(s, s->list[how], position(s, standard.chunk));
    candidate *other = s->list[!how];
    if (s->meta->request.checkpointing) return;
    try_candidate(s, &other[best]);
    if (isinf(other[best].seconds) || other[best].seconds < hopeless * s->best) descend(s, other, best);
}

/* ---- the finalists ---- */

static int fastest_first(const void *a, const void *b) {
    const double x = (*(candidate *const *)a)->seconds, y = (*(candidate *const *)b)->seconds;
    return x < y ? -1 : x > y;
}

/* Those worth timing again, the unmeasured plan last. */
static int choose_finalists(search *s, candidate *standard, candidate *final[FINALISTS + 1]) {
    candidate *all[2 * CHUNKS_MOST];
    int n = 0, count = 0;
    for (int how = 0; how < 2; how++)
        for (int i = 0; i < s->n; i++)
            if (isfinite(s->list[how][i].seconds) && &s->list[how][i] != standard) all[n++] = &s->list[how][i];
    if (n) qsort(all, (size_t)n, sizeof *all, fastest_first);
    for (int i = 0; i < n && count < FINALISTS; i++)
        if (all[i]->seconds < 1.1 * s->best) final[count++] = all[i];
    final[count++] = standard;
    return count;
}

static void close_all(candidate **final, int count) {
    for (int i = 0; i < count; i++) trial_close(final[i]);
}

/* Times one by turn, opened for it unless there is memory for all of them. One that fails now is out. */
static void take_turn(search *s, candidate **final, int count, candidate *c, int round, bool *together) {
    double seconds = INFINITY;
    clm_status status = c->trial[0] ? CLM_OK : trial_open(s, c);
    if (status == CLM_E_MEMORY && *together) {
        *together = false;
        close_all(final, count);
        status = trial_open(s, c);
    }
    const int runs = c->seconds < worth_timing ? (int)fmin(RUNS_MOST, ceil(worth_timing / c->seconds)) : 1;
    if (status == CLM_OK) status = run(s, c, runs, &seconds);
    c->turn[round] = seconds;
    c->seconds = status == CLM_OK ? fmin(c->seconds, seconds) : INFINITY;
    if (status != CLM_OK || !*together) trial_close(c);
}

/* Is it 3 % faster than the standard, by the least times and by those of most rounds? */
static bool beats(const candidate *c, const candidate *standard, int rounds) {
    int won = 0;
    if (isinf(standard->seconds)) return isfinite(c->seconds);
    for (int i = 0; i < rounds; i++) won += c->turn[i] < gain * standard->turn[i];
    return c->seconds < gain * standard->seconds && 2 * won > rounds;
}

/* The best of them; the standard unless it is beaten clearly. */
static candidate *decide(search *s, candidate *standard) {
    candidate *final[FINALISTS + 1], *best = standard;
    const int count = choose_finalists(s, standard, final);
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += final[i]->bytes;
    bool together = bytes <= s->limit;
    int rounds = 0;
    for (; count > 1 && rounds < ROUNDS; rounds++) {
        if (rounds > 1 && clm_clock() > s->began + s->seconds) break;
        for (int i = 0; i < count; i++)
            if (isfinite(final[i]->seconds)) take_turn(s, final, count, final[i], rounds, &together);
    }
    close_all(final, count);
    for (int i = 0; i < count; i++)
        if (beats(final[i], standard, rounds) && final[i]->seconds < best->seconds) best = final[i];
    return best;
}

/* ---- all together ---- */

static clm_status measure(search *s, clm_plan_choice standard, clm_plan_choice *choice, clm_tune_entry *entry) {
    CLM_TRY(make_batch(s));
    for (int i = 0; i < s->n_lanes; i++) {
        CLM_TRY(clm_tensor_commit(s->lane[i]->params));
        CLM_TRY(clm_share_write_initial(s->lane[i]));
    }
    if (!(s->grad = clm_calloc(clm_tensor_size(s->meta->grad), sizeof *s->grad))) return CLM_E_MEMORY;
    candidate *first = &s->list[standard.checkpointing == CLM_CHECKPOINT_RECOMPUTE][position(s, standard.chunk)];
    search_all(s, standard);
    candidate *best = decide(s, first);
    *choice = best->choice;
    entry->seconds = isfinite(best->seconds) ? best->seconds : 0;
    entry->default_seconds = isfinite(first->seconds) ? first->seconds : 0;
    entry->tried = s->tried - s->dropped;
    return CLM_OK;
}

static void report(search *s, const clm_tune_options *o, clm_plan_choice choice, clm_plan_choice standard,
                   const clm_tune_entry *e, bool known) {
    char key[512], best_text[64], default_text[64];
    const clm_share *m = s->meta;
    if (!o->progress || !clm_plan_key(s->meta, clm_plan_limit_class(m), key, sizeof key)) return;
    const clm_tune_line line = {.operation = key,
                                .tasks = m->tasks,
                                .uses = 1,
                                .default_text = text_of(standard, default_text),
                                .best_text = text_of(choice, best_text),
                                .default_seconds = e->default_seconds,
                                .best_seconds = e->seconds,
                                .flops = m->exec.plan.flops,
                                .candidates = m->request.checkpointing ? s->n : 2 * s->n,
                                .tried = s->tried,
                                .failed = s->dropped,
                                .known = known,
                                .plan = true};
    o->progress(o->user, &line);
}

static clm_status tune(search *s, const clm_tune_options *o, bool *changed) {
    clm_share *m = s->meta;
    clm_plan_choice standard, choice;
    clm_tune_entry entry = {0};
    bool fits = false;
    const bool known = !o->again && clm_plan_known(m, &entry, &choice, &standard) && (entry.tried > 0 || o->careful);
    CLM_TRY(clm_plan_limit(m, &s->limit, &m->limit_reason));
    CLM_TRY(clm_plan_by_model(m, s->limit, &fits)); /* what is reported is counted on it */
    if (!fits) return clm_fail(CLM_E_LIMIT, "meta: there is no plan to tune under the limit on memory");
    if (!known) standard = choice = (clm_plan_choice){m->exec.plan.checkpointing, m->exec.plan.task_chunk};
    list_chunks(s, standard);
    if (!known) {
        entry = (clm_tune_entry){0};
        if (s->seconds > 0) CLM_TRY(measure(s, standard, &choice, &entry));
        /* Too little time for a comparison: as if there had been none. What runs have begun with must not change on the way. */
        if (s->seconds < INFINITY && entry.tried < 2) entry.tried = 0, choice = standard;
        if (!entry.tried && !o->careful) return CLM_OK;
        CLM_TRY(clm_plan_keep(m, choice, standard, entry, !o->careful));
        *changed = true;
    }
    report(s, o, choice, standard, &entry, known);
    return CLM_OK;
}

clm_status clm_plan_tune(clm_share *const *shares, size_t n, const clm_tune_options *o, double seconds, bool *changed) {
    search *s = clm_calloc(1, sizeof *s);
    if (!s) return CLM_E_MEMORY;
    s->meta = shares[0];
    s->n_lanes = n < LANES_MOST ? (int)n : LANES_MOST;
    for (int i = 0; i < s->n_lanes; i++) s->lane[i] = shares[i];
    s->began = clm_clock();
    s->seconds = o->budget > 0 ? fmax(seconds, 0) : INFINITY;
    s->best = INFINITY;
    clm_status status = tune(s, o, changed);
    for (int i = 0; i < s->n_lanes; i++) {
        clm_tensor_release(s->lane[i]->params);
        clm_tensor_release(s->lane[i]->grad);
    }
    for (int i = 0; i < 4; i++) free(s->data[i]);
    if (s->base != s->grad) free(s->base);
    free(s->grad);
    free(s);
    return status;
}
