/* Tasks and several initialisations: where those of a meta-batch belong, and what becomes known of it.
 *
 * A task belongs to the initialisation with the lowest support loss after the inner steps. In the first updates each takes at most an
 * equal share of a meta-batch, rounded up: among those that have room, the task goes first that loses most by not getting the best
 * of them. An assignment is a function of parameters, batch and iteration, so a resumed run repeats it. */
#include <math.h>
#include <string.h>

#include "base/interval.h"
#include "train/internal.h"

static const double none = 1e300; /* a loss that is not finite */

static double loss_at(const clm_trainer *t, size_t start, int task) {
    const double loss = t->losses[start * (size_t)t->options.meta.tasks + (size_t)task];
    return isfinite(loss) ? loss : none;
}

/* The best initialisation of those that have room (NULL: of all), and how much worse the second of them is. */
static int32_t best_of(const clm_trainer *t, int task, const int *room, double *regret) {
    double least = INFINITY, second = INFINITY;
    int32_t best = 0;
    for (size_t s = 0; s < t->n_starts; s++) {
        const double loss = loss_at(t, s, task);
        if (room && room[s] == 0) continue;
        if (loss < least) {
            second = least, least = loss;
            best = (int32_t)s;
        } else if (loss < second) {
            second = loss;
        }
    }
    *regret = isfinite(second) ? second - least : 0;
    return best;
}

/* -1 in t->chosen: not assigned yet. */
static void balance(clm_trainer *t) {
    const int tasks = t->options.meta.tasks, starts = (int)t->n_starts;
    int room[CLM_INITIALISATIONS_MOST] = {0};
    for (int s = 0; s < starts; s++) room[s] = (tasks + starts - 1) / starts;
    for (int i = 0; i < tasks; i++) t->chosen[i] = -1;
    for (int n = 0; n < tasks; n++) {
        double most = -1;
        int32_t start = 0;
        int next = 0;
        for (int i = 0; i < tasks; i++) {
            double regret = 0;
            const int32_t best = best_of(t, i, room, &regret);
            if (t->chosen[i] >= 0 || regret <= most) continue;
            most = regret, start = best, next = i;
        }
        t->chosen[next] = start;
        room[start]--;
    }
}

clm_status clm_trainer_assign(clm_trainer *t, uint64_t iteration, clm_batch *batch) {
    const int tasks = t->options.meta.tasks;
    double regret;
    if (t->n_starts < 2) return CLM_OK;
    CLM_TRY(clm_trainer_load_evaluator(t, false));
    CLM_TRY(clm_evaluator_support_losses(t->evaluator, batch->support_x, batch->support_at, batch->support_y, batch->sizes,
                                         tasks, t->steps, t->losses));
    if (iteration < t->options.balanced_until)
        balance(t);
    else
        for (int i = 0; i < tasks; i++) t->chosen[i] = best_of(t, i, NULL, &regret);
    batch->chosen = t->chosen;
    return CLM_OK;
}

void clm_trainer_fill_shares(const clm_trainer *t, const int32_t *chosen, int tasks, clm_train_row *row) {
    if (t->n_starts < 2 || !chosen || tasks < 1) return;
    row->initialisations = (int)t->n_starts;
    for (size_t s = 0; s < t->n_starts; s++) {
        int count = 0;
        for (int i = 0; i < tasks; i++) count += chosen[i] == (int32_t)s;
        row->share[s] = (double)count / tasks;
    }
}

void clm_trainer_note_unused(clm_trainer *t, const clm_train_row *row) {
    size_t unused = 0;
    for (int s = 0; s < row->initialisations; s++) unused += row->share[s] == 0;
    if (unused > t->unused)
        clm_trainer_remark(t, "iteration %llu: %zu of %zu initialisations serve no validation task (balanced_until %llu)",
                           (unsigned long long)row->iteration, unused, t->n_starts,
                           (unsigned long long)t->options.balanced_until);
    t->unused = unused;
}

/* ---- kinds of tasks ---- */

/* NULL: there are more kinds than the result has room for. */
static clm_train_kind *kind_of(clm_train_result *r, const char *name) {
    int i = 0;
    while (i < r->kinds && strcmp(r->kind[i].name, name) != 0) i++;
    if (i == CLM_TRAIN_KINDS_MOST) return NULL;
    if (i == r->kinds) r->kind[r->kinds++] = (clm_train_kind){.name = name};
    return &r->kind[i];
}

static void summarise(clm_train_kind *kind, double sum, double squares) {
    const double n = kind->tasks, mean = sum / n;
    kind->score = (clm_score){mean, n > 1 ? clm_interval_half((squares - n * mean * mean) / (n - 1), n) : NAN};
}

clm_status clm_trainer_list_kinds(clm_trainer *t) {
    clm_train_result *r = &t->result;
    const int32_t *chosen = clm_evaluator_chosen(t->evaluator);
    const double *scores = clm_evaluator_scores(t->evaluator, t->test_steps);
    double sum[CLM_TRAIN_KINDS_MOST] = {0}, squares[CLM_TRAIN_KINDS_MOST] = {0};
    r->kinds = 0;
    if (!chosen) return CLM_OK;
    for (int i = 0; i < r->test.tasks; i++) {
        const char *name = clm_source_function(t->source, CLM_SPLIT_TEST, t->options.seed, (uint64_t)i);
        clm_train_kind *kind = kind_of(r, name ? name : "");
        if (!kind) continue;
        kind->tasks++;
        kind->chosen[chosen[i]]++;
        const double score = scores ? scores[i] : NAN;
        sum[kind - r->kind] += score, squares[kind - r->kind] += score * score;
    }
    for (int k = 0; k < r->kinds; k++) summarise(&r->kind[k], sum[k], squares[k]);
    return CLM_OK;
}
