/* Plans that were measured, kept among the results of tuning (tune/store.h).
 *
 * An entry stands for what decides how fast a plan is: the device with its driver and the library's kernels (the store's part),
 * and in the key what the model computes, a hash of all task options, what is asked of the plan, and the limit on memory as a
 * power of two. The values of the entry are
 *     checkpointing, tasks at a time, tasks of the measured meta-batch, and the first two of the plan taken unmeasured.
 * The time of a task hardly depends on how many others there are, so a choice also serves other numbers of tasks. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "graph/internal.h"
#include "meta/algorithm/algorithm.h"
#include "meta/plan/plan.h"

enum { CHECKPOINTING, CHUNK, TASKS, STANDARD_CHECKPOINTING, STANDARD_CHUNK };
#define NAME "plan"

/* ---- the key ---- */

static uint64_t hash_graph(uint64_t h, const clm_graph *g) {
    for (size_t v = 0; v < g->count; v++) {
        const clm_node *n = &g->nodes[v];
        const int32_t of_node[] = {n->op, n->per_task, n->n_in, n->shape.rank};
        h = clm_hash(h, of_node, sizeof of_node);
        h = clm_hash(h, n->in, (size_t)n->n_in * sizeof *n->in);
        h = clm_hash(h, n->shape.dim, (size_t)n->shape.rank * sizeof *n->shape.dim);
        if (n->op == CLM_OP_INPUT) continue; /* its attribute is a name */
        h = clm_hash(h, n->attr.i, sizeof n->attr.i);
        h = clm_hash(h, n->attr.f, sizeof n->attr.f);
    }
    return h;
}

/* Of the graph that scores both sets of examples. */
static clm_status hash_model(clm_share *m) {
    const clm_task *t = m->task;
    clm_graph *g = NULL;
    clm_value theta[CLM_MAX_PARAMS];
    clm_status status = CLM_OK;
    CLM_GOTO(clm_graph_create(&g));
    for (size_t i = 0; i < t->n; i++) theta[i] = clm_input(g, t->entries[i].name, t->entries[i].inner_shape, true);
    clm_examples support = clm_task_examples(t, g, "support", t->options.support);
    clm_examples query = clm_task_examples(t, g, "query", t->options.query);
    support.dropout.key = query.dropout.key = clm_task_dropout_key(t, g);
    const clm_value out = clm_task_apply(t, g, theta, support, NULL);
    if (!t->algorithm->output) clm_task_score_output(t, g, theta, out, support);
    clm_task_apply(t, g, theta, query, NULL);
    CLM_GOTO(clm_graph_status(g));
    m->model_hash = hash_graph(CLM_HASH_SEED, g) | 1;
out:
    clm_graph_free(g);
    return status;
}

uint64_t clm_plan_model_hash(clm_share *m) {
    if (!m->model_hash && hash_model(m) != CLM_OK) return 0;
    return m->model_hash;
}

int clm_plan_limit_class(const clm_share *m) {
    uint64_t variable = 0, limit = m->request.memory_limit;
    int power = 0;
    if (!limit && clm_memory_limit(&variable) == CLM_OK) limit = variable;
    while (limit >>= 1) power++;
    return power;
}

const char *clm_plan_key(clm_share *m, int limit_class, char *text, size_t size) {
    const clm_task_options *o = &m->task->options;
    char starts[48] = "";
    if (m->starts > 1) snprintf(starts, sizeof starts, ", %zu initialisations", m->starts);
    if (!clm_plan_model_hash(m)) return NULL;
    snprintf(
        text, size,
        "meta-gradient of %s, order %d, %d steps, %d + %d examples, checkpointing %s, %d tasks at a time, limit 2^%d%s%s, task "
        "%016" PRIx64 ", model %016" PRIx64,
        m->task->algorithm->info.name, o->first_order ? 1 : 2, o->steps, o->support, o->query,
        clm_checkpointing_name(m->request.checkpointing), m->request.task_chunk, limit_class,
        m->request.both_orders ? ", both orders" : "", starts, clm_task_hash(m->task), m->model_hash);
    return text;
}

/* ---- the entry ---- */

static bool makes_sense(const clm_share *m, const clm_plan_choice *c, int tasks) {
    const clm_request *o = &m->request;
    if (c->checkpointing != CLM_CHECKPOINT_STORE && c->checkpointing != CLM_CHECKPOINT_RECOMPUTE) return false;
    if (o->checkpointing && c->checkpointing != o->checkpointing) return false;
    if (c->chunk < 1 || tasks < 1 || tasks % c->chunk) return false;
    return !o->task_chunk || c->chunk == o->task_chunk;
}

static bool find_entry(clm_share *m, int limit_class, clm_tune_entry *e, clm_plan_choice *choice, clm_plan_choice *standard) {
    char key[512];
    if (!clm_plan_key(m, limit_class, key, sizeof key)) return false;
    if (!clm_tune_find(m->device, key, m->tasks, e) || strcmp(e->implementation, NAME) != 0) return false;
    *choice = (clm_plan_choice){(clm_checkpointing)e->value[CHECKPOINTING], e->value[CHUNK]};
    *standard = (clm_plan_choice){(clm_checkpointing)e->value[STANDARD_CHECKPOINTING], e->value[STANDARD_CHUNK]};
    return makes_sense(m, choice, e->value[TASKS]) && makes_sense(m, standard, e->value[TASKS]);
}

/* What a choice for another number of tasks means for this one. False: nothing. */
static bool translate(clm_plan_choice *c, int from, int to) {
    if (from == to) return true;
    if (c->chunk == from) { /* all of them: more might be even better, or not */
        c->chunk = to;
        return to < from;
    }
    const int wanted = c->chunk;
    c->chunk = clm_plan_chunk_below(to, (wanted < to ? wanted : to) + 1);
    return 2 * c->chunk > wanted || c->chunk == to;
}

bool clm_plan_open(const clm_share *m) {
    return (!m->request.checkpointing || !m->request.task_chunk) && clm_tune_store_enabled(m->device);
}

bool clm_plan_find(clm_share *m, clm_plan_choice *choice) {
    const int exact = clm_plan_limit_class(m),
              classes[] = {exact, exact + 1, 0}; /* what is beside the plan takes a part of a limit */
    clm_plan_choice standard;
    clm_tune_entry e;
    if (!clm_plan_open(m)) return false;
    for (int i = 0; i < (exact ? 3 : 1); i++)
        if (find_entry(m, classes[i], &e, choice, &standard) && e.tried > 0 && translate(choice, e.value[TASKS], m->tasks))
            return true;
    return false;
}

bool clm_plan_known(clm_share *m, clm_tune_entry *entry, clm_plan_choice *choice, clm_plan_choice *standard) {
    return find_entry(m, clm_plan_limit_class(m), entry, choice, standard) && entry->value[TASKS] == m->tasks;
}

clm_status clm_plan_keep(clm_share *m, clm_plan_choice choice, clm_plan_choice standard, clm_tune_entry entry, bool replace) {
    char key[512];
    if (!clm_plan_key(m, clm_plan_limit_class(m), key, sizeof key)) return CLM_E_MEMORY;
    snprintf(entry.implementation, sizeof entry.implementation, NAME);
    entry.tasks = m->tasks;
    entry.value[CHECKPOINTING] = (int32_t)choice.checkpointing;
    entry.value[CHUNK] = choice.chunk;
    entry.value[TASKS] = m->tasks;
    entry.value[STANDARD_CHECKPOINTING] = (int32_t)standard.checkpointing;
    entry.value[STANDARD_CHUNK] = standard.chunk;
    return clm_tune_keep(m->device, key, &entry, replace);
}
