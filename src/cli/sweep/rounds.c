/* Successive halving (Jamieson, Talwalkar 2016): all runs go to the first target; the best of a round, one of `factor`, go on to the
 * next. Without it there is one round. A round is a function of the results of the one before it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sweep/sweep.h"

bool sweep_is_better(const sweep *s, const sweep_score *a, const sweep_score *b, bool regression) {
    (void)s;
    if (!isfinite(a->mean) || !isfinite(b->mean)) return isfinite(a->mean) && !isfinite(b->mean);
    return regression ? a->mean < b->mean : a->mean > b->mean;
}

/* Better ones first; equal ones stay as they are. */
static void sort_by_score(const sweep *s, int round, size_t *list, size_t n) {
    for (size_t i = 1; i < n; i++) {
        const size_t run = list[i];
        size_t at = i;
        for (; at > 0 && sweep_is_better(s, &s->runs[run].result.at[round], &s->runs[list[at - 1]].result.at[round],
                                         s->runs[run].regression);
             at--)
            list[at] = list[at - 1];
        list[at] = run;
    }
}

static int by_number(const void *a, const void *b) {
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Of the runs of a round, those that go on. */
static void promote(const sweep *s, int round, size_t *list, size_t *count) {
    const size_t most = *count / (size_t)s->factor > 0 ? *count / (size_t)s->factor : 1;
    size_t n = 0;
    for (size_t i = 0; i < *count; i++) {
        const sweep_score *score = &s->runs[list[i]].result.at[round];
        if (score->reached && isfinite(score->mean)) list[n++] = list[i];
    }
    sort_by_score(s, round, list, n);
    *count = n < most ? n : most;
    if (*count) qsort(list, *count, sizeof *list, by_number);
}

bool sweep_round(const sweep *s, int round, size_t *list, size_t *count) {
    *count = s->n_runs;
    for (size_t i = 0; i < s->n_runs; i++) list[i] = i;
    for (int r = 0; r < round; r++) {
        for (size_t i = 0; i < *count; i++) {
            const sweep_result *result = &s->runs[list[i]].result;
            if (!result->at[r].reached && !result->why[0]) return false;
        }
        promote(s, r, list, count);
    }
    return true;
}
