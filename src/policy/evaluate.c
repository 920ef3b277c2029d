/* Returns of held-out tasks after every inner step, and the picture of a few of them. Tasks of a purpose are the same at every
 * call: those of validation never change, and nothing of training depends on them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/interval.h"
#include "policy/train.h"

void clm_policy_score_add(clm_policy_score *s, const double *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        s->sum += values[i];
        s->squares += values[i] * values[i];
    }
    s->n += n;
}

double clm_policy_score_mean(const clm_policy_score *s) { return s->n ? s->sum / (double)s->n : NAN; }

double clm_policy_score_half(const clm_policy_score *s) {
    const double n = (double)s->n, mean = clm_policy_score_mean(s);
    if (s->n < 2 || !isfinite(mean)) return NAN;
    return clm_interval_half((s->squares - n * mean * mean) / (n - 1), n);
}

static double rate_of(const clm_policy_trainer *t, int step) {
    return step == 0 ? t->options.policy.inner_lr : t->options.test_lr;
}

clm_status clm_policy_evaluate(clm_policy_trainer *t, clm_policy_purpose purpose, int tasks, int steps,
                               clm_policy_score *scores, bool *stopped) {
    const clm_policy_train_options *o = &t->options;
    clm_policy *p = t->policy;
    *stopped = false;
    for (int k = 0; k <= steps; k++) scores[k] = (clm_policy_score){0, 0, 0};
    for (int first = 0; first < tasks; first += o->policy.tasks) {
        if (o->stop && o->stop(o->user)) {
            *stopped = true;
            return CLM_OK;
        }
        CLM_TRY(clm_sampler_tasks(p->sampler, o->seed, purpose, (uint64_t)first));
        CLM_TRY(clm_policy_begin(p));
        for (int k = 0; k <= steps; k++) {
            CLM_TRY(clm_sampler_run(p->sampler, 0, k));
            CLM_TRY(clm_policy_returns(p, 0, t->returns));
            clm_policy_score_add(&scores[k], t->returns, (size_t)o->policy.tasks);
            if (k < steps) CLM_TRY(clm_policy_adapt(p, 0, rate_of(t, k)));
        }
    }
    return CLM_OK;
}

/* ---- the picture ---- */

enum { SHOWN_TASKS = 4, SHOWN_STAGES = 3, SHOWN_TRAJECTORIES = 5 };

typedef struct gathered {
    clm_policy_picture picture;
    double goal[SHOWN_TASKS * 2], *at, *x, *alive;
    int length[SHOWN_TASKS * SHOWN_STAGES * SHOWN_TRAJECTORIES], steps[SHOWN_STAGES];
} gathered;

/* Before, after one step, after all. */
static void plan(gathered *g, const clm_policy_trainer *t) {
    const clm_policy_options *o = &t->options.policy;
    const int last = t->options.test_steps;
    g->picture =
        (clm_policy_picture){.tasks = o->tasks < SHOWN_TASKS ? o->tasks : SHOWN_TASKS,
                             .trajectories = o->trajectories < SHOWN_TRAJECTORIES ? o->trajectories : SHOWN_TRAJECTORIES,
                             .horizon = t->policy->environment.horizon,
                             .goal = g->goal,
                             .at = g->at,
                             .length = g->length,
                             .stage_steps = g->steps};
    for (int step = 0; step <= last; step += step == 0 || last <= 1 ? 1 : last - 1) g->steps[g->picture.stages++] = step;
}

/* What set 0 holds becomes a stage. */
static clm_status gather(gathered *g, const clm_policy *p, int stage) {
    const clm_policy_picture *s = &g->picture;
    const size_t horizon = (size_t)s->horizon, rows = (size_t)p->rows;
    CLM_TRY(clm_tensor_read_f64(p->sets[0].x, g->x, clm_tensor_size(p->sets[0].x)));
    CLM_TRY(clm_tensor_read_f64(p->sets[0].alive, g->alive, clm_tensor_size(p->sets[0].alive)));
    for (int task = 0; task < s->tasks; task++)
        for (int i = 0; i < s->trajectories; i++) {
            const size_t to = ((size_t)task * (size_t)s->stages + (size_t)stage) * (size_t)s->trajectories + (size_t)i;
            const size_t from = (size_t)task * rows + (size_t)i * horizon;
            memcpy(g->at + to * horizon * 2, g->x + from * 2, horizon * 2 * sizeof *g->at);
            g->length[to] = 0;
            for (size_t k = 0; k < horizon; k++) g->length[to] += g->alive[from + k] > 0;
        }
    return CLM_OK;
}

static clm_status play(gathered *g, clm_policy_trainer *t) {
    clm_policy *p = t->policy;
    plan(g, t);
    CLM_TRY(clm_sampler_tasks(p->sampler, t->options.seed, CLM_PURPOSE_PICTURE, 0));
    for (int task = 0; task < g->picture.tasks; task++)
        memcpy(g->goal + 2 * (size_t)task, clm_sampler_task(p->sampler, task), 2 * sizeof(double));
    CLM_TRY(clm_policy_begin(p));
    for (int k = 0, stage = 0; stage < g->picture.stages; k++) {
        CLM_TRY(clm_sampler_run(p->sampler, 0, k));
        if (g->steps[stage] == k) CLM_TRY(gather(g, p, stage++));
        if (stage < g->picture.stages) CLM_TRY(clm_policy_adapt(p, 0, rate_of(t, k)));
    }
    return CLM_OK;
}

clm_status clm_policy_show(clm_policy_trainer *t, uint64_t updates) {
    const clm_policy *p = t->policy;
    const size_t rows = (size_t)p->options.tasks * (size_t)p->rows;
    clm_status status = CLM_OK;
    char path[CLM_POLICY_PATH], *title = NULL;
    gathered g = {0};
    if (!p->environment.kernels) return CLM_OK; /* not navigation: there is no plane */
    g.at = clm_calloc((size_t)(SHOWN_TASKS * SHOWN_STAGES * SHOWN_TRAJECTORIES * 2) * (size_t)p->environment.horizon,
                      sizeof *g.at);
    g.x = clm_calloc(2 * rows, sizeof *g.x);
    g.alive = clm_calloc(rows, sizeof *g.alive);
    title = clm_format("%s: episodes after %llu outer updates", p->environment.name, (unsigned long long)updates);
    if (!g.at || !g.x || !g.alive || !title) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(play(&g, t));
    CLM_GOTO(clm_policy_path(path, t->log.directory, "trajectories.svg"));
    CLM_GOTO(clm_policy_draw_picture(path, &g.picture, title));
out:
    free(g.at);
    free(g.x);
    free(g.alive);
    free(title);
    return status;
}
