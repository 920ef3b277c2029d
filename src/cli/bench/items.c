/* The work items, and their data: noise images with labels, or sinusoids; what the numbers are does not change the time. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "bench/bench.h"

/* Settings of Finn et al. 2017, with the inner rate of the mean over the examples. */
const bench_item bench_items[] = {
    /* name, filters, channels, size, ways, shots, query, steps, tasks, first order, learner, rate, latency, policy, strided */
    {"omniglot-1step", 64, 1, 28, 5, 1, 1, 1, 32, false, false, 0.4, false, false, false},
    {"omniglot-1step-fo", 64, 1, 28, 5, 1, 1, 1, 32, true, false, 0.4, false, false, false},
    {"omniglot-5step", 64, 1, 28, 5, 1, 1, 5, 32, false, false, 0.1, false, false, false},
    {"omniglot-5step-fo", 64, 1, 28, 5, 1, 1, 5, 32, true, false, 0.1, false, false, false},
    {"omniglot-20way", 64, 1, 28, 20, 1, 1, 5, 16, false, false, 0.1, false, false, false},
    {"omniglot-strided", 64, 1, 28, 5, 1, 1, 1, 32, false, false, 0.4, false, false,
     true}, /* as the presets for Omniglot are */
    {"omniglot-20way-strided", 64, 1, 28, 20, 1, 1, 5, 16, false, false, 0.1, false, false, true},
    {"miniimagenet", 32, 3, 84, 5, 5, 15, 5, 4, false, false, 0.05, false, false, false},
    {"sine", 0, 1, 1, 1, 10, 10, 5, 25, false, false, 0.01, false, false, false},
    {"adaptation", 64, 1, 28, 5, 1, 1, 5, 1, false, true, 0.1, false, false, false},
    {"navigation", 0, 0, 0, 0, 0, 0, 1, 20, false, false, 0.1, false, true, false},
    {"latency", 64, 1, 28, 5, 5, 5, 5, 1, false, true, 0.1, true, false, false},
};
const size_t bench_item_count = CLI_COUNT(bench_items);

const bench_item *bench_item_find(const char *name) {
    const char *names[CLI_COUNT(bench_items)];
    for (size_t i = 0; i < bench_item_count; i++) {
        names[i] = bench_items[i].name;
        if (strcmp(name, names[i]) == 0) return &bench_items[i];
    }
    const char *nearest = clm_nearest_word(name, names, bench_item_count);
    if (nearest)
        cli_usage("unknown work item '%s'; did you mean '%s'?", name, nearest);
    else
        cli_usage("unknown work item '%s'; clmaml bench --help lists them", name);
    return NULL;
}

/* Numbers in [-0.5, 0.5). */
static float noise(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 16777216.0f - 0.5f;
}

static void fill_images(bench_problem *p, int which, size_t examples, uint32_t *state) {
    size_t tasks = (size_t)p->item.tasks;
    for (size_t i = 0; i < p->count[which]; i++) p->data[which][i] = noise(state);
    for (size_t i = 0; i < tasks * examples; i++) p->data[which + 1][i] = (float)(i % examples % (size_t)p->item.ways);
}

static void fill_sines(bench_problem *p, int which, size_t examples, uint32_t *state) {
    for (size_t i = 0; i < p->count[which]; i++) {
        float x = 10 * noise(state);
        size_t task = i / examples;
        p->data[which][i] = x;
        p->data[which + 1][i] = (1 + 0.1f * (float)task) * sinf(x - 0.1f * (float)task);
    }
}

static clm_status make_model(bench_problem *p) {
    static const int hidden[2] = {40, 40};
    const bench_item *item = &p->item;
    if (!item->filters) return clm_model_mlp(&p->model, 1, hidden, 2, 1);
    clm_conv4_options net = CLM_CONV4_OPTIONS_INIT;
    net.filters = item->filters;
    net.ways = item->ways;
    net.channels = item->channels;
    net.size = item->size;
    net.strided = item->strided;
    return clm_model_conv4(&p->model, &net);
}

clm_status bench_problem_make(bench_problem *p, const bench_item *item, const bench_settings *settings) {
    clm_status status = CLM_OK;
    uint32_t state = 1;
    *p = (bench_problem){.item = *item};
    if (settings->tasks) p->item.tasks = (int)settings->tasks;
    p->support = (size_t)item->ways * (size_t)item->shots;
    p->query = (size_t)item->ways * (size_t)item->query;
    size_t example = (size_t)item->channels * (size_t)item->size * (size_t)item->size;
    for (int i = 0; i < 4; i++) {
        p->count[i] = (size_t)p->item.tasks * (i < 2 ? p->support : p->query) * (i % 2 ? 1 : example);
        CLI_NEW(p->data[i], p->count[i]);
    }
    for (int which = 0; which < 4; which += 2) {
        if (item->filters)
            fill_images(p, which, which ? p->query : p->support, &state);
        else
            fill_sines(p, which, which ? p->query : p->support, &state);
    }
    CLI_GOTO(make_model(p));
out:
    return status;
}

void bench_problem_free(bench_problem *p) {
    for (int i = 0; i < 4; i++) free(p->data[i]);
    clm_model_free(p->model);
    memset(p, 0, sizeof *p);
}

clm_batch bench_problem_batch(const bench_problem *p) {
    return (clm_batch){.support_x = p->data[0], .support_y = p->data[1], .query_x = p->data[2], .query_y = p->data[3]};
}

void bench_problem_options(const bench_problem *p, clm_meta_options *o) {
    o->tasks = p->item.tasks;
    o->task.steps = p->item.steps;
    o->task.support = (int)p->support;
    o->task.query = (int)p->query;
    o->task.inner_lr = p->item.inner_lr;
    o->task.first_order = p->item.first_order;
    o->task.loss.name = p->item.filters ? "cross-entropy" : "mse";
}

void bench_problem_param(const bench_problem *p, size_t i, double *out) { clm_model_init_param(p->model, i, 0, out); }
