/* The best choice for one operation: every candidate is verified, then timed; the fastest few are timed again, alternately with
 * the default one, so that a drift of the machine's speed does not decide. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "ops/product.h"
#include "tune/internal.h"

enum {
    SAMPLES = 512,   /* elements summed in double precision, */
    TERMS = 4000000, /* or fewer, so that they take no more terms than this */
    FINALISTS = 3,
    ROUNDS = 9
};
static const double worth_timing = 2e-3, worth_deciding = 8e-3; /* seconds that a timing lasts at least */
static const double gain = 0.97;                                /* of the default's time: a smaller gain is noise */
static const double worse_than_direct = 5, least_error = 1e-6, most_error = 2e-5;

typedef struct trial {
    int index;
    double seconds;
} trial;

/* ---- right or wrong ---- */

/* Root mean square of the error of random elements of the result over that of the elements. NaN where the result is. */
static double sampled_error(const clm_bench *b) {
    const clm_problem *p = b->problem;
    const size_t size = clm_shape_size(&p->node.shape);
    const double terms = p->flops / 2 / ((double)size * p->tasks);
    const double samples = fmin(SAMPLES, fmax(16, TERMS / fmax(terms, 1)));
    clm_random random = clm_random_make((uint64_t)size, 1);
    double error = 0, norm = 0;
    for (int i = 0; i < (int)samples; i++) {
        const int task = (int)clm_random_below(&random, (uint32_t)p->tasks);
        const size_t at = (size_t)(clm_random_u64(&random) % size);
        const double right = clm_problem_element(p, b->data[0], b->data[1], task, at);
        const double off = (double)b->data[2][(size_t)task * size + at] - right;
        error += off * off;
        norm += right * right;
    }
    return norm > 0 ? sqrt(error / norm) : sqrt(error);
}

/* The same between all elements and those of the base. */
static double difference(const clm_bench *b) {
    const size_t size = clm_tensor_size(b->tensor[2]);
    double error = 0, norm = 0;
    for (size_t i = 0; i < size; i++) {
        const double off = (double)b->data[2][i] - b->base[i];
        error += off * off;
        norm += (double)b->base[i] * b->base[i];
    }
    return norm > 0 ? sqrt(error / norm) : sqrt(error);
}

static const char *text_of(const clm_bench *b, int index, char text[128]) {
    return clm_choice_text(&b->list[index], text, 128);
}

static bool dropped(const clm_bench *b, int index, const char *why) {
    char text[128];
    clm_log_write(CLM_LOG_INFO, "tune: %s, %d tasks: %s is not used: %s", b->key, b->problem->tasks, text_of(b, index, text),
                  why);
    return false;
}

/* Opens choice `index` and runs it once. False: it is of no use here. *allowed is the error that is tolerated; the first right
 * result becomes the base, and a direct one's error the measure. */
static bool verified(clm_bench *b, int index, double *allowed, clm_program **program) {
    char why[96];
    if (clm_bench_program(b, index, program) != CLM_OK) return dropped(b, index, clm_last_error());
    if (clm_bench_run(b, *program) != CLM_OK) return dropped(b, index, clm_last_error());
    const double error = sampled_error(b), far = b->base ? difference(b) : 0;
    const bool direct = strcmp(b->list[index].impl->name, "direct") == 0;
    const double limit = direct ? most_error : *allowed;
    snprintf(why, sizeof why, "errors %.1e and %.1e, %.1e allowed", error, far, limit);
    if (!(error <= limit) || !(far <= fmax(limit, *allowed) * 2)) return dropped(b, index, why);
    if (direct && !b->base) *allowed = fmax(worse_than_direct * error, least_error);
    if (!b->base && (b->base = clm_calloc(clm_tensor_size(b->tensor[2]) + 1, sizeof(float))))
        memcpy(b->base, b->data[2], clm_tensor_size(b->tensor[2]) * sizeof(float));
    return true;
}

/* ---- fast or slow ---- */

static clm_status time_once(const clm_bench *b, clm_program *program, int runs, double *seconds) {
    const double began = clm_clock();
    for (int i = 0; i < runs; i++) CLM_TRY(clm_program_run(program));
    CLM_TRY(clm_device_finish(b->device));
    *seconds = (clm_clock() - began) / runs;
    return CLM_OK;
}

static int runs_for(double seconds, double worth) { return seconds >= worth ? 1 : (int)fmin(400, ceil(worth / seconds)); }

/* The least of a few; given up early when `beaten` is far away. */
static clm_status time_few(const clm_bench *b, clm_program *program, double beaten, double *best) {
    double seconds;
    CLM_TRY(time_once(b, program, 1, &seconds)); /* the first run warms up, and says how many make a timing */
    const int runs = runs_for(seconds, worth_timing);
    *best = seconds;
    for (int i = 0; i < 3 && *best < 2 * beaten; i++) {
        CLM_TRY(time_once(b, program, runs, &seconds));
        *best = fmin(*best, seconds);
    }
    return CLM_OK;
}

clm_status clm_bench_time_default(clm_bench *b, double *seconds) {
    clm_program *program = NULL;
    CLM_TRY(clm_bench_program(b, 0, &program));
    clm_status status = time_once(b, program, 1, seconds);
    if (status == CLM_OK) status = time_once(b, program, runs_for(*seconds, worth_timing), seconds);
    clm_program_free(program);
    return status;
}

/* Keeps the FINALISTS fastest, fastest first. */
static void rank(trial *finalists, int *count, trial t) {
    int at = *count < FINALISTS ? (*count)++ : FINALISTS - 1;
    if (at == FINALISTS - 1 && finalists[at].seconds > 0 && finalists[at].seconds <= t.seconds) return;
    for (; at > 0 && finalists[at - 1].seconds > t.seconds; at--) finalists[at] = finalists[at - 1];
    finalists[at] = t;
}

/* Times the finalists alternately; [0] becomes the fastest. The default is among them, and wins unless it is clearly slower. */
static clm_status decide(clm_bench *b, trial *finalists, int count, double *default_seconds) {
    clm_program *programs[FINALISTS + 1] = {NULL};
    clm_status status = CLM_OK;
    int best = 0, standard = -1;
    for (int i = 0; i < count; i++) CLM_GOTO(clm_bench_program(b, finalists[i].index, &programs[i]));
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < count; i++) {
            double seconds;
            CLM_GOTO(time_once(b, programs[i], runs_for(finalists[i].seconds, worth_deciding), &seconds));
            finalists[i].seconds = fmin(finalists[i].seconds, seconds);
        }
    for (int i = 0; i < count; i++) {
        if (finalists[i].seconds < finalists[best].seconds) best = i;
        if (finalists[i].index == 0) standard = i;
    }
    if (standard >= 0) *default_seconds = finalists[standard].seconds;
    if (standard >= 0 && finalists[best].seconds > gain * finalists[standard].seconds) best = standard;
    finalists[0] = finalists[best];
out:
    for (int i = 0; i < count; i++) clm_program_free(programs[i]);
    return status;
}

/* ---- all together ---- */

typedef struct search {
    trial finalists[FINALISTS + 1];
    int count;
    double allowed, default_seconds;
} search;

static void try_choice(clm_bench *b, int index, search *s, clm_tune_line *line) {
    clm_program *program = NULL;
    double seconds = 0;
    line->tried++;
    const bool right = verified(b, index, &s->allowed, &program);
    if (right && time_few(b, program, s->count ? s->finalists[0].seconds : INFINITY, &seconds) == CLM_OK) {
        if (index == 0) s->default_seconds = seconds;
        rank(s->finalists, &s->count, (trial){index, seconds});
    } else {
        line->failed++;
    }
    clm_program_free(program);
}

static void add_default(search *s) {
    for (int i = 0; i < s->count; i++)
        if (s->finalists[i].index == 0) return;
    if (s->default_seconds > 0) s->finalists[s->count++] = (trial){0, s->default_seconds};
}

/* The direct implementation's best guess, by which errors are measured. */
static int direct_index(const clm_bench *b) {
    for (int i = 0; i < b->count; i++)
        if (strcmp(b->list[i].impl->name, "direct") == 0) return i;
    return 0;
}

static bool is_first(const clm_bench *b, int index) { return index == 0 || b->list[index].impl != b->list[index - 1].impl; }

/* CLBlast's kernels take 0.1 s to build for a GeForce GTX 1060 and 0.7 s for an Adreno (logs in its issues 333 and 217), and
 * half a minute with PoCL. */
double clm_first_use_seconds(const clm_device *d, int first_use) {
    return first_use * (d->info.type == CLM_DEVICE_CPU ? 1.0 : 0.025);
}

/* Seconds that trying a choice may take at least. */
static double first_use(const clm_bench *b, int index) {
    const clm_impl *impl = b->list[index].impl;
    return impl->ready && impl->ready(b->device) ? 0 : clm_first_use_seconds(b->device, impl->first_use);
}

/* Within a budget a library is not set up for what it is not expected to gain. */
static bool is_expected(const clm_bench *b, int index, double seconds) {
    const clm_impl *impl = b->list[index].impl;
    return isinf(seconds) || !impl->gain || (impl->ready && impl->ready(b->device)) || clm_large_worth_trying(b->gain);
}

clm_status clm_bench_measure(clm_bench *b, const char *only, double seconds, clm_tune_line *line, clm_tune_entry *best) {
    static const double unknown = 1e-5;
    const double until = clm_clock() + seconds;
    const int direct = direct_index(b);
    search s = {.allowed = unknown};
    line->candidates = b->count;
    for (int i = -1; i < 2 * b->count;
         i++) { /* the measure of errors, then the best guess of every implementation, then the rest */
        const int index = i < 0 ? direct : i % b->count;
        if (i >= 0 && (index == direct || is_first(b, index) != (i < b->count))) continue;
        if (i > 0 && clm_clock() > until) break;
        if (i > 0 && (clm_clock() + first_use(b, index) > until || (!only && !is_expected(b, index, seconds)))) continue;
        if (only && i > 0 && strcmp(b->list[index].impl->name, only) != 0) continue;
        try_choice(b, index, &s, line);
    }
    if (s.count == 0)
        return clm_fail(CLM_E_NUMERIC, "tune: %s: no implementation gives right results on %s", b->key, b->device->info.name);
    add_default(&s);
    CLM_TRY(decide(b, s.finalists, s.count, &s.default_seconds));
    const clm_choice *choice = &b->list[s.finalists[0].index];
    *best = (clm_tune_entry){.tasks = b->problem->tasks,
                             .tried = line->tried,
                             .seconds = s.finalists[0].seconds,
                             .default_seconds = s.default_seconds};
    snprintf(best->implementation, sizeof best->implementation, "%s", choice->impl->name);
    memcpy(best->value, choice->candidate.value, sizeof best->value);
    return CLM_OK;
}
