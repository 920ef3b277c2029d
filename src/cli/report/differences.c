/* Runs that were tested on the same tasks are compared task by task: d_i = a_i - b_i has mean d and the 95 % interval
 * of clm_score_half. How hard a task is falls out of it, so it is mostly narrower
 * than that of independent samples, sqrt(h_a^2 + h_b^2), which is all that can be said of other runs. */
#include "report/differences.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PAIRS_OF = 6 }; /* so many runs have a difference for every pair; of more each is compared with the first */

/* ---- are they the same tasks? ---- */

/* The parts of "tasks" in scores.json, the weightiest first. */
static const struct {
    const char *key, *differs;
    bool shown; /* both values are */
} parts[] = {
    {"source", "the data differ", false},
    {"ways", "the ways differ", true},
    {"shots", "the shots differ", true},
    {"query", "the query examples differ", true},
    {"split", "the splits differ", true},
    {"seed", "the seeds differ", true},
    {"first", "the first tasks differ", true},
    {"count", "the numbers of tasks differ", true},
    {"content", "the examples differ, or are prepared differently", false},
};

static void put_value(page *p, const json_t *tasks, const char *key) {
    const json_t *value = json_object_get(tasks, key);
    if (json_is_string(value))
        page_escape(p, json_string_value(value));
    else
        page_add(p, "%lld", (long long)json_integer_value(value));
}

/* The number of the part that differs first; CLI_COUNT(parts): none. */
static size_t part_that_differs(const report_run *a, const report_run *b) {
    size_t i = 0;
    while (i < CLI_COUNT(parts) && json_equal(json_object_get(a->tasks, parts[i].key), json_object_get(b->tasks, parts[i].key)))
        i++;
    return i;
}

static bool same_tasks(const report_run *a, const report_run *b) {
    return a->tasks && b->tasks && a->n_scores == b->n_scores && part_that_differs(a, b) == CLI_COUNT(parts);
}

static void say_why_not(page *p, const report_run *a, const report_run *b) {
    if (!a->tasks || !b->tasks) {
        page_add(p, "not comparable task by task: the scores of single tasks are not there");
        return;
    }
    const size_t i = part_that_differs(a, b);
    page_add(p, "not the same tasks: %s", i < CLI_COUNT(parts) ? parts[i].differs : "their numbers differ");
    if (i == CLI_COUNT(parts) || !parts[i].shown) return;
    page_add(p, ", ");
    put_value(p, a->tasks, parts[i].key);
    page_add(p, " and ");
    put_value(p, b->tasks, parts[i].key);
}

/* ---- a pair ---- */

typedef struct difference {
    double mean, half;
} difference;

static difference paired(const report_run *a, const report_run *b) {
    const double n = (double)a->n_scores;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < a->n_scores; i++) sum += a->scores[i] - b->scores[i];
    const double mean = sum / n;
    for (size_t i = 0; i < a->n_scores; i++) {
        const double off = a->scores[i] - b->scores[i] - mean;
        squares += off * off;
    }
    return (difference){mean, n > 1 ? clm_score_half(squares / (n - 1), a->n_scores) : NAN};
}

static void add_pair(page *p, const report_run *runs, size_t i, size_t k) {
    const report_run *a = &runs[i], *b = &runs[k];
    const double scale = a->percent ? 100 : 1;
    if (!a->result || !b->result || strcmp(report_metric(a), report_metric(b)) != 0) return;
    const bool pair = same_tasks(a, b);
    const difference d = pair ? paired(a, b) : (difference){a->mean - b->mean, hypot(a->half, b->half)};
    const bool interval = isfinite(d.mean) && isfinite(d.half);
    page_add(p, "<tr><th>%zu − %zu</th><td class=\"num\">", i + 1, k + 1);
    if (isfinite(d.mean)) /* with the sign of the column's heads */
        page_add(p, "%s", d.mean < 0 ? "−" : "+");
    if (interval)
        page_add(p, a->percent ? "%.2f ± %.2f points" : "%.4g ± %.2g", scale * fabs(d.mean), scale * d.half);
    else if (isfinite(d.mean))
        page_add(p, a->percent ? "%.2f points (no interval)" : "%.4g (no interval)", scale * fabs(d.mean));
    else
        page_add(p, "not finite");
    page_add(p, "</td><td>%s</td><td>", !interval ? "not known" : fabs(d.mean) > d.half ? "outside" : "inside");
    if (pair)
        page_add(p, "paired, on the same %zu task%s", a->n_scores, a->n_scores == 1 ? "" : "s");
    else
        say_why_not(p, a, b);
    page_add(p, "</td></tr>\n");
}

void differences_add(page *p, const report_run *runs, size_t n) {
    page_add(p, "<h3>Differences of the test scores</h3>\n<div class=\"scroll\"><table class=\"runs stack "
                "pairs\"><thead><tr><th>runs</th>"
                "<th>difference</th><th>zero is</th><th>how</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++)
            if (n <= PAIRS_OF || i == 0) add_pair(p, runs, i, k);
    page_add(
        p,
        "</tbody></table></div>\n<p class=\"note\">With 95 %% intervals, and whether zero is in them. Paired: runs that were "
        "tested on the same tasks are compared task by task, mean and interval are those of the differences. Of other runs "
        "the interval is that of independent samples, √(h₁² + h₂²) of the half intervals h₁ and h₂, which says "
        "less. Test tasks are the same when data, sizes, number and <code>--seed</code> are. Runs with different metrics are "
        "not "
        "compared%s.</p>\n",
        n > PAIRS_OF ? "; of so many runs each is compared with the first" : "");
}
