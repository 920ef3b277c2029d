/* Tuning of programs: collects their heavy operations, measures those that are not known, and keeps what was found. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"
#include "ops/op.h"
#include "ops/product.h"
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

/* What was found for an operation. */
typedef struct finding {
    bool found, is_new; /* not found: there was no time, or it failed */
    bool late;          /* the budget is used up */
    clm_status status;
    clm_tune_entry entry;
    int tasks, uses, candidates, tried, failed;
    double flops;
    char key[512], default_text[128], best_text[128];
} finding;

static bool is_shared_out(const clm_tune_options *o) { return clm_comm_size(o->comm) > 1; }

/* Finds the choice for one operation and keeps it, unless all keep it later; `seconds` 0: the default one, unmeasured. */
static clm_status settle(clm_bench *b, const clm_tune_options *o, double seconds, const char *only, clm_tune_line *line,
                         clm_tune_entry *entry) {
    if (seconds > 0)
        CLM_TRY(clm_bench_measure(b, only[0] ? only : NULL, seconds, line, entry));
    else
        default_entry(b, entry);
    entry->tasks = clm_tune_tasks(entry->tasks);
    return is_shared_out(o) ? CLM_OK : clm_tune_keep(b->device, b->key, entry, !o->careful);
}

static clm_status find_one(clm_device *device, const clm_problem *problem, const clm_tune_options *o, double seconds,
                           finding *f) {
    clm_bench *b = clm_calloc(1, sizeof *b);
    clm_choice best;
    clm_status status = CLM_OK;
    char only[sizeof f->entry.implementation] = "";
    clm_tune_line line = {0};
    if (!b) return CLM_E_MEMORY;
    CLM_GOTO(clm_bench_open(b, device, problem, seconds > 0));
    const bool some = clm_tune_find(device, b->key, problem->tasks, &f->entry);
    const bool measured = some && (f->entry.tried > 0 || o->careful) && f->entry.tasks == clm_tune_tasks(problem->tasks);
    f->is_new = o->again || !measured || !known_choice(b, &f->entry, &best);
    if (f->is_new) {
        if (some && o->careful) memcpy(only, f->entry.implementation, sizeof only);
        CLM_GOTO(settle(b, o, seconds, only, &line, &f->entry));
        if (!known_choice(b, &f->entry, &best)) best = b->list[0];
    }
    f->found = true;
    f->tasks = problem->tasks;
    f->uses = problem->uses;
    f->flops = problem->flops;
    f->candidates = b->count;
    f->tried = line.tried;
    f->failed = line.failed;
    snprintf(f->key, sizeof f->key, "%s", b->key);
    clm_choice_text(&b->list[0], f->default_text, sizeof f->default_text);
    clm_choice_text(&best, f->best_text, sizeof f->best_text);
out:
    clm_bench_close(b);
    free(b);
    return status;
}

static void report(const clm_tune_options *o, const finding *f) {
    const clm_tune_line line = {.operation = f->key,
                                .tasks = f->tasks,
                                .uses = f->uses,
                                .default_text = f->default_text,
                                .best_text = f->best_text,
                                .default_seconds = f->entry.default_seconds,
                                .best_seconds = f->entry.seconds,
                                .flops = f->flops,
                                .candidates = f->candidates,
                                .tried = f->tried,
                                .failed = f->failed,
                                .known = !f->is_new};
    if (o->progress) o->progress(o->user, &line);
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
    bool timed = o->budget > 0 && device->info.type != CLM_DEVICE_CPU && !is_shared_out(o); /* all have one order */
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

/* ---- libraries ---- */

/* Is a library expected to bring enough, for an operation that takes a part of the whole? */
static bool worth_trying(clm_device *device, clm_problems *c) {
    static const double part = 0.1;
    double all = 0;
    bool worth = false;
    clm_bench *b = clm_calloc(1, sizeof *b);
    for (size_t i = 0; i < c->count; i++) all += weight_of(&c->problems[i], false);
    for (size_t i = 0; i < c->count && b && !worth; i++) {
        if (clm_bench_open(b, device, &c->problems[i], false) == CLM_OK)
            worth = clm_large_worth_trying(b->gain) && weight_of(&c->problems[i], false) >= part * all;
        clm_bench_close(b);
    }
    free(b);
    return worth;
}

/* Finds parameters for CLBlast's kernels. Within a budget only for large products, where they may bring something; its kernel
 * is then built at the expense of the whole budget, which no single operation's share would reach for. */
static void prepare_libraries(clm_device *device, clm_problems *c, const clm_tune_options *o, double until) {
    const bool bounded = o->budget > 0 || o->careful;
    if (!clm_large_product_tile(device, (int[3]){0})) return;
    if (!bounded) clm_clblast_tune_once(device, false, -1);
    if (!worth_trying(device, c) || clm_clock() + clm_first_use_seconds(device, CLM_CLBLAST_FIRST_USE) > until) return;
    clm_clblast_tune_once(device, true, bounded ? fmax(0, o->budget / 4) : -1);
    if (clm_clblast_parameters(device, true) != CLM_OK || clm_large_product_good(device) != CLM_OK)
        clm_log_write(CLM_LOG_INFO, "tune: CLBlast: %s", clm_last_error());
}

/* ---- one after the other, or shared out ---- */

static void say_failure(clm_status status) {
    if (status != CLM_OK) clm_log_write(CLM_LOG_INFO, "tune: %s", clm_last_error());
}

static clm_status tune_alone(clm_device *device, clm_problems *c, const clm_tune_options *o, double until, bool timed,
                             size_t *changed) {
    for (size_t i = 0; i < c->count; i++) {
        finding f = {0};
        const double left = until - clm_clock();
        if (left <= 0 && !o->careful) break;
        f.status = find_one(device, &c->problems[i], o, left > 0 ? share_of(c, i, left, timed) : 0, &f);
        /* One that fails keeps its default; the others can still gain. */
        say_failure(f.status);
        if (f.status == CLM_E_IO) return f.status;
        if (!f.found) continue;
        *changed += f.is_new;
        report(o, &f);
    }
    return CLM_OK;
}

/* This rank's of the next operations, one for each rank. */
static void find_own(clm_device *device, const clm_problems *c, const clm_tune_options *o, size_t first, double until,
                     finding *f) {
    const size_t at = first + (size_t)clm_comm_rank(o->comm);
    const double left = until - clm_clock();
    *f = (finding){.late = left <= 0};
    if (at >= c->count || f->late) return;
    /* As much as an equal share of what is left, a round to each. */
    const size_t ranks = (size_t)clm_comm_size(o->comm), rounds = (c->count - first + ranks - 1) / ranks;
    f->status = find_one(device, &c->problems[at], o, left / (double)rounds, f);
    say_failure(f->status);
}

/* What all have found, on every rank. */
static clm_status keep_all(clm_device *device, const clm_tune_options *o, finding *all, size_t *changed) {
    const bool leads = clm_comm_rank(o->comm) == 0;
    for (int r = 0; r < clm_comm_size(o->comm); r++) {
        finding *f = &all[r];
        if (!f->found) continue;
        CLM_TRY(clm_tune_keep(device, f->key, &f->entry, true));
        *changed += f->is_new;
        if (leads) report(o, f);
    }
    return CLM_OK;
}

/* Rounds of one operation for each rank, the heaviest first. */
static clm_status tune_shared_out(clm_device *device, clm_problems *c, const clm_tune_options *o, double until,
                                  size_t *changed) {
    const size_t size = (size_t)clm_comm_size(o->comm);
    const bool leads = clm_comm_rank(o->comm) == 0;
    bool late = false;
    char done = 0;
    finding mine, *all = clm_calloc(size, sizeof *all);
    clm_status status = CLM_OK;
    if (!all) return CLM_E_MEMORY;
    for (size_t first = 0; first < c->count && !late; first += size) {
        find_own(device, c, o, first, until, &mine);
        CLM_GOTO(clm_comm_all_gather(o->comm, &mine, sizeof mine, all));
        for (size_t r = 0; r < size; r++) late = late || all[r].late;
        if (leads) CLM_GOTO(keep_all(device, o, all, changed));
        CLM_GOTO(clm_comm_broadcast(o->comm, &done, sizeof done));
        if (!leads) CLM_GOTO(keep_all(device, o, all, changed)); /* finds it, where the cache is one */
    }
out:
    free(all);
    return status;
}

/* Rank 0 before the others, which then find its results where they share a cache. */
static clm_status prepare_in_turn(clm_device *device, clm_problems *c, const clm_tune_options *o, double until) {
    char done = 0;
    const bool leads = clm_comm_rank(o->comm) == 0;
    if (leads) prepare_libraries(device, c, o, until);
    CLM_TRY(clm_comm_broadcast(o->comm, &done, sizeof done));
    if (leads) return CLM_OK;
    clm_tune_forget(device); /* what was read before */
    prepare_libraries(device, c, o, until);
    return CLM_OK;
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
    if (is_shared_out(o) && o->careful) return clm_fail(CLM_E_ARG, "tune: careful is for one process");
    if (n == 0) return CLM_OK;
    clm_device *device = programs[0]->device;
    CLM_TRY(clm_tune_store_check(device));
    for (size_t i = 0; i < n; i++) CLM_GOTO(clm_problems_collect(&c, programs[i]));
    CLM_GOTO(prepare_in_turn(device, &c, o, until)); /* before their products are measured */
    const bool timed = put_in_order(device, &c, o);
    if (is_shared_out(o))
        CLM_GOTO(tune_shared_out(device, &c, o, until, &new_choices));
    else
        CLM_GOTO(tune_alone(device, &c, o, until, timed, &new_choices));
out:
    free(c.problems);
    if (changed) *changed = new_choices;
    return status;
}
