/* How many tasks each of several devices should take, by trial.
 *
 * The devices first share the tasks evenly and work at the same time on made-up tasks: devices that compete for cores or memory
 * are slower together than alone. The tasks are then shared out in proportion to the speeds measured so. A measurement is not
 * repeatable to the last task, hence it is made once, by the caller, who keeps the shares; a meta-learner takes them as given.
 */
#include <math.h>
#include <stdlib.h>

#include "base/files.h"
#include "base/memory.h"
#include "meta/internal.h"

enum { MOST_RUNS = 20 };
static const double enough_seconds = 1.0;

void clm_shares_proportional(const double *speed, size_t n, int tasks, int *share) {
    for (size_t i = 0; i < n; i++) share[i] = 0;
    for (int t = 0; t < tasks; t++) { /* each task to the device that would be done with it first */
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            if ((share[i] + 1) * speed[best] < (share[best] + 1) * speed[i]) best = i;
        share[best]++;
    }
}

/* The least seconds a task of each device in a few runs; the first builds and warms up and does not count. */
static clm_status time_parts(clm_meta *m, double *speed) {
    float *data[4] = {NULL};
    clm_status status = CLM_OK;
    double began = 0;
    CLM_GOTO(clm_meta_prepare(m));
    CLM_GOTO(clm_feed_random(m->shares[0], m->options.tasks, 1, data));
    clm_batch batch = {.support_x = data[0], .support_y = data[1], .query_x = data[2], .query_y = data[3]};
    for (int run = 0; run <= MOST_RUNS && (run < 2 || clm_clock() - began < enough_seconds); run++) {
        if (run == 1) began = clm_clock();
        CLM_GOTO(clm_shares_gradient(m, 0, &batch, false));
        for (size_t s = 0; s < m->n_shares && run > 0; s++) {
            double rate = m->shares[s]->tasks / fmax(m->shares[s]->seconds, 1e-9);
            speed[s] = run == 1 ? rate : fmax(speed[s], rate);
        }
    }
out:
    for (int i = 0; i < 4; i++) free(data[i]);
    return status;
}

clm_status clm_meta_balance(clm_meta_share *shares, double *tasks_per_second, size_t n, const clm_model *model,
                            const clm_meta_options *options) {
    clm_meta *trial = NULL;
    clm_meta_options even = *options;
    clm_status status = CLM_OK;
    if (n == 0) return clm_fail(CLM_E_ARG, "meta: no device to share tasks out to");
    CLM_TRY(clm_meta_check_options(options));
    clm_meta_share *parts = clm_calloc(n, sizeof *parts);
    int *tasks = clm_calloc(n, sizeof *tasks);
    if (!parts || !tasks) CLM_GOTO(CLM_E_MEMORY);
    even.tasks = 0;
    even.keep_adapted = false;
    for (size_t i = 0; i < n; i++) {
        int count = options->tasks / (int)n + ((int)i < options->tasks % (int)n);
        parts[i] = shares[i];
        even.tasks += parts[i].tasks = count > 0 ? count : 1;
    }
    if (even.tasks != options->tasks) even.task_chunk = 0;
    CLM_GOTO(clm_shares_create(&trial, parts, n, model, &even));
    CLM_GOTO(time_parts(trial, tasks_per_second));
    clm_shares_proportional(tasks_per_second, n, options->tasks, tasks);
    for (size_t i = 0; i < n; i++) shares[i].tasks = tasks[i];
out:
    clm_meta_free(trial);
    free(parts);
    free(tasks);
    return status;
}
