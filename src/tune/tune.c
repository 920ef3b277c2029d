/* Tuning of programs: collects their heavy operations, measures those that are not known, and keeps what was found. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"
#include "ops/op.h"
#include "tune/clblast.h"
#include "tune/internal.h"

/* ---- the operations of programs ---- */

static bool same_node(const clm_node *a, const clm_node *b) {
    return a->op == b->op && a->per_task == b->per_task && clm_shape_equal(&a->shape, &b->shape) &&
           memcmp(a->attr.i, b->attr.i, sizeof a->attr.i) == 0;
}

/* Of operands only shape and task axis count. */
static bool same_operand(const clm_node *a, const clm_node *b) {
    return a->per_task == b->per_task && clm_shape_equal(&a->shape, &b->shape);
}

static clm_status add_problem(clm_problems *c, const clm_program *p, clm_value v, double flops) {
    const int terms = p->nodes[v].n_in / 2; /* a sum of two is chosen for as its terms are */
    clm_problem problem = {.node = p->nodes[v], .uses = terms, .flops = flops / terms};
    problem.node.n_in = 2;
    problem.tasks = problem.node.per_task ? p->tasks : 1;
    for (int i = 0; i < 2; i++) problem.in[i] = p->nodes[problem.node.in[i]];
    for (size_t i = 0; i < c->count; i++) {
        clm_problem *known = &c->problems[i];
        if (known->tasks != problem.tasks || !same_node(&known->node, &problem.node) ||
            !same_operand(&known->in[0], &problem.in[0]) || !same_operand(&known->in[1], &problem.in[1]))
            continue;
        known->uses += terms;
        return CLM_OK;
    }
    CLM_TRY(clm_grow(&c->problems, &c->capacity, c->count + 1, sizeof *c->problems));
    c->problems[c->count++] = problem;
    return CLM_OK;
}

clm_status clm_problems_collect(clm_problems *c, const clm_program *p) {
    for (size_t i = 0; i < p->n_units; i++) {
        const clm_value v = p->units[i].out[0];
        if (p->units[i].fused || !clm_choice_exists(p->nodes[v].op)) continue;
        double flops = 0;
        for (size_t k = 0; k < p->n_steps; k++)
            if (p->steps[k].unit == (int)i) flops += p->steps[k].spec.flops;
        CLM_TRY(add_problem(c, p, v, flops));
    }
    return CLM_OK;
}

/* ---- one of them ---- */

/* The choice that an entry stands for, as clm_choice_for takes it: parameters that are not offered for this number of tasks
 * mean the best guess of the implementation. */
static bool known_choice(const clm_bench *b, const clm_tune_entry *e, clm_choice *choice) {
    bool found = false;
    for (int i = 0; i < b->count; i++) {
        const clm_choice *c = &b->list[i];
        if (strcmp(c->impl->name, e->implementation) != 0) continue;
        const bool same = !memcmp(c->candidate.value, e->value, sizeof e->value);
        if (same || !found) *choice = *c;
        found = true;
        if (same) break;
    }
    return found;
}

/* The default choice as an entry: what was not measured must not change when it is measured in the middle of a run. */
static void default_entry(const clm_bench *b, clm_tune_entry *e) {
    *e = (clm_tune_entry){.tasks = b->problem->tasks};
    snprintf(e->implementation, sizeof e->implementation, "%s", b->list[0].impl->name);
    memcpy(e->value, b->list[0].candidate.value, sizeof e->value);
}

/* Finds the choice for one operation and keeps it; `seconds` 0: the default one, unmeasured. */
static clm_status settle(clm_bench *b, const clm_tune_options *o, double seconds, const char *only, clm_tune_line *line,
                         clm_tune_entry *entry) {
    if (seconds > 0)
        CLM_TRY(clm_bench_measure(b, only[0] ? only : NULL, seconds, line, entry));
    else
        default_entry(b, entry);
    return clm_tune_keep(b->device, b->key, entry, !o->careful);
}

static clm_status tune_one(clm_device *device, const clm_problem *problem, const clm_tune_options *o, double seconds,
                           size_t *changed) {
    clm_bench *b = clm_calloc(1, sizeof *b);
    clm_tune_entry entry;
    clm_choice best;
    clm_status status = CLM_OK;
    char default_text[128], best_text[128], only[sizeof entry.implementation] = "";
    if (!b) return CLM_E_MEMORY;
    CLM_GOTO(clm_bench_open(b, device, problem, seconds > 0));
    clm_tune_line line = {
        .operation = b->key, .tasks = problem->tasks, .uses = problem->uses, .flops = problem->flops, .candidates = b->count};
    const bool some = clm_tune_find(device, b->key, problem->tasks, &entry);
    const bool measured = some && (entry.tried > 0 || o->careful) && entry.tasks == clm_tune_tasks(problem->tasks);
    line.known = !o->again && measured && known_choice(b, &entry, &best);
    if (!line.known) {
        if (some && o->careful) memcpy(only, entry.implementation, sizeof only);
        CLM_GOTO(settle(b, o, seconds, only, &line, &entry));
        if (!known_choice(b, &entry, &best)) best = b->list[0];
        ++*changed;
    }
    line.default_seconds = entry.default_seconds;
    line.best_seconds = entry.seconds;
    line.default_text = clm_choice_text(&b->list[0], default_text, sizeof default_text);
    line.best_text = clm_choice_text(&best, best_text, sizeof best_text);
    if (o->progress) o->progress(o->user, &line);
out:
    clm_bench_close(b);
    free(b);
    return status;
}

/* ---- all of them ---- */

/* How long all uses of an operation take: by a run of the default choice, which is built whatever is found. One that was measured
 * earlier needs no run. Where the budget has no end, or something fails, arithmetic stands for time. */
static void time_default(clm_device *device, clm_problem *problem, const clm_tune_options *o) {
    clm_tune_entry entry;
    clm_bench *b = clm_calloc(1, sizeof *b);
    if (!b) return;
    if (clm_bench_open(b, device, problem, true) == CLM_OK) {
        const bool some = !o->again && clm_tune_find(device, b->key, problem->tasks, &entry) && entry.tried > 0;
        if (some) problem->seconds = entry.default_seconds;
        if (!some && clm_bench_time_default(b, &problem->seconds) != CLM_OK) problem->seconds = 0;
    }
    clm_bench_close(b);
    free(b);
}

static double weight_of(const clm_problem *p, bool timed) { return (timed ? p->seconds : p->flops) * p->uses; }

static int slowest_first(const void *a, const void *b) {
    const double x = weight_of(a, true), y = weight_of(b, true);
    return x < y ? 1 : x > y ? -1 : 0;
}

static int heaviest_first(const void *a, const void *b) {
    const double x = weight_of(a, false), y = weight_of(b, false);
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Sets the order: the slowest first, so that a short budget goes where the time goes. Are they timed? Not on CPUs, where to build
 * the defaults takes longer than a short budget, nor where that takes more than a part of it elsewhere. */
static bool put_in_order(clm_device *device, clm_problems *c, const clm_tune_options *o) {
    const double until = clm_clock() + o->budget / 3;
    bool timed = o->budget > 0 && device->info.type != CLM_DEVICE_CPU;
    for (size_t i = 0; i < c->count && timed; i++) {
        time_default(device, &c->problems[i], o);
        timed = clm_clock() < until;
    }
    if (c->count) qsort(c->problems, c->count, sizeof *c->problems, timed ? slowest_first : heaviest_first);
    return timed;
}

/* Shares the rest of the budget by the time that operations take, except for a part shared equally: small ones are often far from
 * their best. */
static double share_of(const clm_problems *c, size_t at, double left, bool timed) {
    double rest = 0;
    for (size_t i = at; i < c->count; i++) rest += weight_of(&c->problems[i], timed);
    const double part = rest > 0 ? weight_of(&c->problems[at], timed) / rest : 0;
    return left * (0.7 * part + 0.3 / (double)(c->count - at));
}

clm_status clm_tune_programs(clm_program *const *programs, size_t n, const clm_tune_options *options, size_t *changed) {
    const clm_tune_options defaults = CLM_TUNE_OPTIONS_INIT, *o = options ? options : &defaults;
    const double until = clm_clock() + (o->budget > 0 ? o->budget : INFINITY);
    clm_problems c = {0};
    size_t new_choices = 0;
    clm_status status = CLM_OK;
    if (changed) *changed = 0;
    if (o->version != CLM_TUNE_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "tune: options of version %d; initialise them with CLM_TUNE_OPTIONS_INIT", o->version);
    if (n == 0) return CLM_OK;
    clm_device *device = programs[0]->device;
    CLM_TRY(clm_tune_store_check(device));
    for (size_t i = 0; i < n; i++) CLM_GOTO(clm_problems_collect(&c, programs[i]));
    if (o->budget <= 0 && !o->careful) clm_clblast_tune_once(device); /* before its products are measured */
    const bool timed = put_in_order(device, &c, o);
    for (size_t i = 0; i < c.count; i++) {
        const double left = until - clm_clock();
        if (left <= 0 && !o->careful) break;
        const clm_status tuned = tune_one(device, &c.problems[i], o, left > 0 ? share_of(&c, i, left, timed) : 0, &new_choices);
        /* One that fails keeps its default; the others can still gain. */
        if (tuned != CLM_OK) clm_log_write(CLM_LOG_INFO, "tune: %s", clm_last_error());
        if (tuned == CLM_E_IO) CLM_GOTO(tuned);
    }
out:
    free(c.problems);
    if (changed) *changed = new_choices;
    return status;
}
