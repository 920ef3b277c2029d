/* Diagrams as inline SVG. Small, so that their letters can be read on a telephone; what is not finite is left out and said.
 */
#include "report/charts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 400, HEIGHT = 260, LEFT = 72, RIGHT = 22, TOP = 12, BOTTOM = 42, MOST_POINTS = 300 };

typedef struct point {
    double x, y, half; /* half NAN: no interval */
} point;

typedef struct axes {
    double x_max, low, high; /* low, high: in log10 where logarithmic */
    bool logarithmic, percent;
} axes;

static double level(const axes *a, double y) { return a->logarithmic ? log10(y > 1e-30 ? y : 1e-30) : y; }

static double x_at(const axes *a, double x) { return LEFT + (WIDTH - LEFT - RIGHT) * x / a->x_max; }

static double y_at(const axes *a, double y) {
    const double v = (level(a, y) - a->low) / (a->high - a->low);
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (v < 0 ? 0 : v > 1 ? 1 : v);
}

/* The step of 1, 2 or 5 times a power of ten that makes about `count` ticks. */
static double nice_step(double range, int count) {
    const double raw = range / count, power = pow(10, floor(log10(raw))), m = raw / power;
    return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

/* The mean decides of a logarithmic axis, whose intervals may reach below zero. */
static void widen(axes *a, const point *points, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const point *q = &points[i];
        const double half = !a->logarithmic && isfinite(q->half) ? q->half : 0;
        if (!isfinite(q->y)) continue;
        a->low = fmin(a->low, level(a, q->y - half));
        a->high = fmax(a->high, level(a, q->y + half));
        if (a->logarithmic && isfinite(q->half)) a->high = fmax(a->high, level(a, q->y + q->half));
        a->x_max = fmax(a->x_max, q->x);
    }
}

static void round_limits(axes *a) {
    if (!(a->low <= a->high)) a->low = 0, a->high = 1;
    if (a->percent) {
        a->low = fmax(0, floor(a->low * 10) / 10);
        a->high = fmin(1, ceil(a->high * 10) / 10);
    } else if (a->logarithmic) {
        a->low = floor(a->low);
        a->high = ceil(a->high);
    } else {
        a->low = 0;
        a->high *= 1.1;
    }
    if (!(a->high > a->low)) a->high = a->low + (a->percent ? 0.1 : 1), a->low = a->percent ? fmax(0, a->low - 0.1) : a->low;
}

static void draw_y_tick(page *p, const axes *a, double y) {
    const double at = y_at(a, y);
    page_add(p, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>", LEFT, at, WIDTH - RIGHT, at);
    page_add(p, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6, at + 4);
    if (a->percent)
        page_add(p, "%.0f %%</text>\n", 100 * y);
    else
        page_number(p, y, 3), page_add(p, "</text>\n");
}

/* Of a metric with its unit what fits beside the axis. */
static const char *short_metric(const report_run *run) {
    enum { LONGEST = 30 };
    const char *metric = report_metric(run);
    return strlen(metric) <= LONGEST ? metric : strstr(metric, "squared error") ? "mean squared error" : "score";
}

/* What is across, and what is upward. */
static void draw_axes(page *p, const axes *a, const char *what, const char *score) {
    if (a->logarithmic) {
        const double stride = ceil((a->high - a->low) / 6);
        for (int i = 0; i <= 6 && a->low + i * stride <= a->high + 1e-9; i++) draw_y_tick(p, a, pow(10, a->low + i * stride));
    } else {
        const double step = nice_step(a->high - a->low, 5);
        for (int i = 0; i <= 12 && a->low + i * step <= a->high + 1e-9; i++) draw_y_tick(p, a, a->low + i * step);
    }
    const double step = fmax(1, nice_step(a->x_max, 5));
    for (int i = 0; i <= 12 && i * step <= a->x_max * 1.0001; i++)
        page_add(p, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.6g</text>", x_at(a, i * step), HEIGHT - BOTTOM + 17,
                 i * step);
    page_add(p, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>", LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT);
    page_add(p, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, what);
    page_add(p, "<text transform=\"translate(14 %d) rotate(-90)\" text-anchor=\"middle\">", (TOP + HEIGHT - BOTTOM) / 2);
    page_escape(p, score);
    page_add(p, "</text>\n");
}

static void draw_line(page *p, const axes *a, const point *points, size_t n, const char *class) {
    const size_t stride = n / MOST_POINTS + 1;
    page_add(p, "<polyline class=\"%s\" points=\"", class);
    for (size_t i = 0; i < n; i += stride)
        if (isfinite(points[i].y)) page_add(p, "%.1f,%.1f ", x_at(a, points[i].x), y_at(a, points[i].y));
    page_add(p, "\"/>\n");
}

static void draw_intervals(page *p, const axes *a, const point *points, size_t n) {
    const size_t stride = n / MOST_POINTS + 1;
    for (size_t i = 0; i < n; i += stride) {
        const point *q = &points[i];
        const double x = x_at(a, q->x);
        if (!isfinite(q->y)) continue;
        if (isfinite(q->half))
            page_add(p, "<path class=\"whisker\" d=\"M%.1f %.1fV%.1f\"/>", x, y_at(a, q->y - q->half), y_at(a, q->y + q->half));
        page_add(p, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>\n", x, y_at(a, q->y));
    }
}

static bool any_interval(const point *points, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (isfinite(points[i].half)) return true;
    return false;
}

static void open_svg(page *p, int height, const char *label) {
    page_add(p, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, height);
    page_escape(p, label);
    page_add(p, "\">\n");
}

static void say_unfinite(page *p, const point *points, size_t n, const char *what) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += !isfinite(points[i].y);
    if (count) page_add(p, "<p class=\"note\">%zu of %zu %s are not finite, and are not drawn.</p>\n", count, n, what);
}

void chart_steps(page *p, const report_run *run) {
    const json_t *after = json_object_get(run->result, "after_steps");
    const size_t n = json_array_size(after);
    point *points = n ? calloc(n, sizeof *points) : NULL;
    axes a = {1, INFINITY, -INFINITY, false, run->percent};
    page_add(p, "<figure><figcaption>Test after each inner step, ");
    page_escape(p, report_metric(run));
    for (size_t i = 0; points && i < n; i++) {
        const json_t *said = json_array_get(after, i);
        points[i] = (point){(double)i, report_number(said, "mean"), report_number(said, "interval")};
    }
    page_add(p, "%s</figcaption>\n", points && any_interval(points, n) ? " with 95 % interval" : "");
    if (n && !points) p->failed = true;
    if (!points) page_add(p, "<p class=\"note\">Not tested yet.</p>\n");
    if (points) {
        widen(&a, points, n);
        round_limits(&a);
        open_svg(p, HEIGHT, "test score after each inner step");
        draw_axes(p, &a, "inner steps", short_metric(run));
        draw_line(p, &a, points, n, "line");
        draw_intervals(p, &a, points, n);
        page_add(p, "</svg>\n");
        say_unfinite(p, points, n, "scores");
    }
    page_add(p, "</figure>\n");
    free(points);
}

static size_t collect(const report_run *run, bool validation, point *points) {
    size_t n = 0;
    for (size_t i = 0; i < run->n_rows; i++) {
        const report_row *row = &run->rows[i];
        if (row->validation == validation) points[n++] = (point){row->iteration, row->score, row->half};
    }
    return n;
}

static void draw_learning(page *p, const report_run *run, point *points) {
    axes a = {1, INFINITY, -INFINITY, !run->percent, run->percent};
    for (int validation = 0; validation < 2; validation++) widen(&a, points, collect(run, validation, points));
    round_limits(&a);
    open_svg(p, HEIGHT, "learning curve");
    draw_axes(p, &a, "outer updates", short_metric(run));
    size_t n = collect(run, false, points);
    draw_line(p, &a, points, n, "faint");
    n = collect(run, true, points);
    draw_line(p, &a, points, n, "line");
    draw_intervals(p, &a, points, n);
    page_add(p, "</svg>\n");
    say_unfinite(p, points, n, "validations");
    say_unfinite(p, points, collect(run, false, points), "training values");
}

void chart_learning(page *p, const report_run *run) {
    point *points = run->n_rows ? calloc(run->n_rows, sizeof *points) : NULL;
    const size_t trained = points ? collect(run, false, points) : 0, validated = points ? collect(run, true, points) : 0;
    page_add(p, "<figure><figcaption>Learning curve");
    if (validated)
        page_add(p, ": <span class=\"key\">validation%s</span>", any_interval(points, validated) ? " with 95 % interval" : "");
    if (trained) page_add(p, "%s <span class=\"key pale\">training</span>", validated ? "," : ":");
    page_add(p, "</figcaption>\n");
    if (run->n_rows && !points) p->failed = true;
    if (points)
        draw_learning(p, run, points);
    else
        page_add(p, "<p class=\"note\">No metrics yet.</p>\n");
    page_add(p, "</figure>\n");
    free(points);
}

/* ---- initialisations ---- */

static size_t collect_shares(const report_run *run, int start, point *points) {
    size_t n = 0;
    for (size_t i = 0; i < run->n_rows; i++) {
        const report_row *row = &run->rows[i];
        if (row->validation && row->initialisations > start) points[n++] = (point){row->iteration, row->share[start], NAN};
    }
    return n;
}

/* A line each, with its number where it ends. */
static void draw_shares(page *p, const report_run *run, point *points, int starts) {
    axes a = {1, 0, 0, false, true};
    for (int s = 0; s < starts; s++) widen(&a, points, collect_shares(run, s, points));
    round_limits(&a);
    open_svg(p, HEIGHT, "share of validation tasks of each initialisation");
    draw_axes(p, &a, "outer updates", "share");
    for (int s = 0; s < starts; s++) {
        const size_t n = collect_shares(run, s, points);
        draw_line(p, &a, points, n, "line");
        page_add(p, "<text x=\"%.1f\" y=\"%.1f\">%d</text>\n", x_at(&a, points[n - 1].x) + 5, y_at(&a, points[n - 1].y) + 4,
                 s + 1);
    }
    page_add(p, "</svg>\n");
}

void chart_shares(page *p, const report_run *run) {
    int starts = 0;
    for (size_t i = 0; i < run->n_rows; i++)
        if (run->rows[i].validation && run->rows[i].initialisations > starts) starts = run->rows[i].initialisations;
    if (starts == 0) return;
    point *points = calloc(run->n_rows, sizeof *points);
    page_add(p, "<figure><figcaption>Share of validation tasks that each initialisation serves</figcaption>\n");
    if (points)
        draw_shares(p, run, points, starts);
    else
        p->failed = true;
    page_add(p, "</figure>\n");
    free(points);
}

/* ---- several runs ---- */

static bool is_shown(const report_run *run, const char *metric) {
    return run->result && strcmp(report_metric(run), metric) == 0 && isfinite(run->mean);
}

static double across(const axes *a, double y) {
    const double v = (y - a->low) / (a->high - a->low);
    return RIGHT + (WIDTH - 2 * RIGHT) * (v < 0 ? 0 : v > 1 ? 1 : v);
}

static void draw_score(page *p, const axes *a, const report_run *run, size_t number, int y) {
    const double half = isfinite(run->half) ? run->half : 0;
    page_add(p, "<text x=\"%d\" y=\"%d\">%zu&#160; ", RIGHT, y, number);
    char name[44];
    const size_t length = strlen(run->name), most = sizeof name - 1;
    memcpy(name, run->name + (length > most ? length - most : 0), (length > most ? most : length) + 1);
    if (length > most) page_add(p, "…");
    const char *from = name;
    while (length > most && ((unsigned char)*from & 0xC0) == 0x80) from++; /* not in the middle of a letter */
    page_escape(p, from);
    page_add(p, "</text><path class=\"grid\" d=\"M%d %dH%d\"/>", RIGHT, y + 12, WIDTH - RIGHT);
    page_add(p, "<path class=\"whisker\" d=\"M%.1f %dH%.1f\"/>", across(a, run->mean - half), y + 12,
             across(a, run->mean + half));
    page_add(p, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%d\" r=\"4.5\"/>\n", across(a, run->mean), y + 12);
}

void chart_scores(page *p, const report_run *runs, size_t n, const char *metric) {
    axes a = {1, INFINITY, -INFINITY, false, false};
    int shown = 0, y = 16;
    bool intervals = false;
    for (size_t i = 0; i < n; i++) {
        if (!is_shown(&runs[i], metric)) continue;
        intervals = intervals || isfinite(runs[i].half);
        const point score = {0, runs[i].mean, runs[i].half};
        a.percent = runs[i].percent;
        widen(&a, &score, 1);
        shown++;
    }
    if (shown < 2) return;
    round_limits(&a);
    const int height = shown * 38 + 54;
    page_add(p, "<figure class=\"wide\"><figcaption>Test, ");
    page_escape(p, metric);
    page_add(p, "%s</figcaption>\n", intervals ? " with 95 % interval" : "");
    open_svg(p, height, "test scores of the runs");
    for (size_t i = 0; i < n; i++)
        if (is_shown(&runs[i], metric)) draw_score(p, &a, &runs[i], i + 1, y), y += 38;
    const double step = nice_step(a.high - a.low, 4);
    for (int i = 0; i <= 8 && a.low + i * step <= a.high + 1e-9; i++) {
        const double value = a.low + i * step;
        const char *anchor = i == 0 ? "start" : value > a.high - step / 2 ? "end" : "middle";
        page_add(p, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", across(&a, value), height - 28, anchor);
        if (a.percent)
            page_add(p, "%.0f %%</text>", 100 * value);
        else
            page_number(p, value, 3), page_add(p, "</text>");
    }
    page_add(p, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", WIDTH / 2, height - 8);
    page_escape(p, metric);
    page_add(p, "</text>\n</svg></figure>\n");
}
