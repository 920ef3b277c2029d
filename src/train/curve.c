/* Draws the learning curve: training query accuracy after adaptation (every logged value faint, a moving average strong), the
 * same before adaptation, and the validation points with their 95 % intervals. Errors of a regression go on a logarithmic axis.
 */
#include "train/curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/svg.h"

enum { WIDTH = 900, HEIGHT = 500, LEFT = 76, RIGHT = 24, TOP = 74, BOTTOM = 62, MOST_POINTS = 800 };

static const char color_after[] = "#2166ac", color_before[] = "#999999", color_validation[] = "#d6604d";

typedef struct axes {
    double x_max, y_min, y_max; /* y in log10 for a regression */
    bool logarithmic;
} axes;

static double x_at(const axes *a, double x) { return LEFT + (WIDTH - LEFT - RIGHT) * x / a->x_max; }

static double y_at(const axes *a, double y) {
    double v = a->logarithmic ? log10(y > 1e-300 ? y : 1e-300) : y;
    v = (v - a->y_min) / (a->y_max - a->y_min);
    v = v < 0 ? 0 : v > 1 ? 1 : v;
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * v;
}

static axes fit_axes(const clm_curve *curve, const clm_metrics *m) {
    axes a = {1, 0, 1, curve->regression};
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < m->count; i++) {
        const clm_train_row *row = &m->rows[i];
        double both[2] = {row->value[CLM_METRIC_QUERY_BEFORE], row->value[CLM_METRIC_QUERY_AFTER]};
        if ((double)row->iteration > a.x_max) a.x_max = (double)row->iteration;
        for (int k = 0; k < 2; k++)
            if (isfinite(both[k]) && both[k] > 0) low = fmin(low, both[k]), high = fmax(high, both[k]);
    }
    if (a.logarithmic) {
        if (!(low <= high)) low = 0.1, high = 1;
        a.y_min = floor(log10(low));
        a.y_max = ceil(log10(high));
        if (a.y_max <= a.y_min) a.y_max = a.y_min + 1;
    }
    return a;
}

static void draw_y_tick(clm_text *t, const axes *a, double value, const char *label) {
    double y = y_at(a, value);
    clm_text_add(t, "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='#e4e4e4'/>\n", LEFT, y, WIDTH - RIGHT, y);
    clm_text_add(t, "<text x='%d' y='%.1f' text-anchor='end'>%s</text>\n", LEFT - 8, y + 4, label);
}

static void draw_axes(clm_text *t, const axes *a, const clm_curve *curve) {
    char label[32];
    double step = clm_svg_step(a->x_max, 8);
    if (step < 1) step = 1;
    if (a->logarithmic) {
        for (int i = 0; a->y_min + i <= a->y_max + 1e-9; i++) {
            const double e = a->y_min + i;
            snprintf(label, sizeof label, "%g", pow(10, e));
            draw_y_tick(t, a, pow(10, e), label);
        }
    } else {
        for (int percent = 0; percent <= 100; percent += 20) {
            snprintf(label, sizeof label, "%d %%", percent);
            draw_y_tick(t, a, percent / 100.0, label);
        }
    }
    for (int i = 0; i * step <= a->x_max * 1.0001; i++) {
        const double x = i * step;
        clm_text_add(t, "<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' stroke='#e4e4e4'/>\n", x_at(a, x), TOP, x_at(a, x),
                     HEIGHT - BOTTOM);
        clm_text_add(t, "<text x='%.1f' y='%d' text-anchor='middle'>%.0f</text>\n", x_at(a, x), HEIGHT - BOTTOM + 18, x);
    }
    clm_text_add(t, "<path d='M%d %dV%dH%d' fill='none' stroke='#333'/>\n", LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT);
    clm_text_add(t, "<text x='%d' y='%d' text-anchor='middle'>outer updates</text>\n", (LEFT + WIDTH - RIGHT) / 2,
                 HEIGHT - BOTTOM + 42);
    clm_text_add(t, "<text transform='translate(20 %d) rotate(-90)' text-anchor='middle'>%s</text>\n",
                 (TOP + HEIGHT - BOTTOM) / 2,
                 curve->regression ? "mean squared error, query points" : "accuracy, query images");
    if (curve->chance > 0 && !curve->regression)
        clm_text_add(t,
                     "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='#888' stroke-dasharray='2 4'/>\n<text x='%d' y='%.1f' "
                     "fill='#888' "
                     "text-anchor='end'>chance</text>\n",
                     LEFT, y_at(a, curve->chance), WIDTH - RIGHT, y_at(a, curve->chance), WIDTH - RIGHT - 4,
                     y_at(a, curve->chance) - 5);
}

/* Values of one metric of the training rows. */
static size_t collect(const clm_metrics *m, clm_metric which, double *x, double *y) {
    size_t n = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (m->rows[i].kind != CLM_ROW_TRAIN || !isfinite(m->rows[i].value[which])) continue;
        x[n] = (double)m->rows[i].iteration;
        y[n++] = m->rows[i].value[which];
    }
    return n;
}

/* A centred moving average over about a twentieth of the run; of logarithms on a logarithmic axis. */
static void draw_smooth(clm_text *t, const axes *a, const double *x, const double *y, size_t n, const char *color,
                        double width) {
    size_t half = n / 40 + (n > 8), stride = n / MOST_POINTS + 1;
    clm_text_add(t, "<polyline fill='none' stroke='%s' stroke-width='%.1f' stroke-linejoin='round' points='", color, width);
    for (size_t i = 0; i < n; i += stride) {
        size_t from = i > half ? i - half : 0, to = i + half < n ? i + half : n - 1;
        double sum = 0;
        for (size_t j = from; j <= to; j++) sum += a->logarithmic ? log(y[j] > 1e-300 ? y[j] : 1e-300) : y[j];
        sum /= (double)(to - from + 1);
        clm_text_add(t, "%.1f,%.1f ", x_at(a, x[i]), y_at(a, a->logarithmic ? exp(sum) : sum));
    }
    clm_text_add(t, "'/>\n");
}

static void draw_points(clm_text *t, const axes *a, const double *x, const double *y, size_t n) {
    size_t stride = n / MOST_POINTS + 1;
    clm_text_add(t, "<g fill='%s' fill-opacity='0.25'>\n", color_after);
    for (size_t i = 0; i < n; i += stride)
        clm_text_add(t, "<circle cx='%.1f' cy='%.1f' r='2'/>\n", x_at(a, x[i]), y_at(a, y[i]));
    clm_text_add(t, "</g>\n");
}

static void draw_validation(clm_text *t, const axes *a, const clm_metrics *m) {
    bool begun = false;
    clm_text_add(t, "<g stroke='%s' fill='none' stroke-width='1.5'>\n<polyline points='", color_validation);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < m->count; i++) {
            const clm_train_row *row = &m->rows[i];
            double y = row->value[CLM_METRIC_QUERY_AFTER], half = row->value[CLM_METRIC_INTERVAL],
                   x = x_at(a, (double)row->iteration);
            if (row->kind != CLM_ROW_VALIDATION || !isfinite(y)) continue;
            if (pass == 0) {
                clm_text_add(t, "%.1f,%.1f ", x, y_at(a, y));
                continue;
            }
            if (isfinite(half)) clm_text_add(t, "<path d='M%.1f %.1fV%.1f'/>\n", x, y_at(a, y - half), y_at(a, y + half));
            clm_text_add(t, "<circle cx='%.1f' cy='%.1f' r='4' fill='white'/>\n", x, y_at(a, y));
        }
        if (!begun) clm_text_add(t, "' stroke-opacity='0.5'/>\n");
        begun = true;
    }
    clm_text_add(t, "</g>\n");
}

/* A single task has none. */
static bool has_intervals(const clm_metrics *m) {
    size_t validations = 0, intervals = 0;
    for (size_t i = 0; i < m->count; i++) {
        validations += m->rows[i].kind == CLM_ROW_VALIDATION;
        intervals += m->rows[i].kind == CLM_ROW_VALIDATION && isfinite(m->rows[i].value[CLM_METRIC_INTERVAL]);
    }
    return validations == 0 || intervals > 0;
}

static void draw_legend(clm_text *t, bool adapts, bool intervals) {
    const struct {
        const char *color, *label;
        int x;
    } entries[] = {{color_after, adapts ? "training, after adaptation" : "training", 0},
                   {color_before, "before adaptation", 210},
                   {color_validation, intervals ? "validation tasks, 95 % interval" : "validation task", 370}};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        if (entries[i].color == color_before && !adapts) continue;
        clm_text_add(t, "<line x1='%d' y1='%d' x2='%d' y2='%d' stroke='%s' stroke-width='3'/>\n", LEFT + entries[i].x, TOP - 14,
                     LEFT + entries[i].x + 22, TOP - 14, entries[i].color);
        clm_text_add(t, "<text x='%d' y='%d'>%s</text>\n", LEFT + entries[i].x + 28, TOP - 10, entries[i].label);
    }
}

static clm_status draw_training(clm_text *t, const axes *a, const clm_metrics *m) {
    clm_status status = CLM_OK;
    double *x = NULL, *y = NULL;
    if (!(x = clm_calloc(m->count, sizeof *x)) || !(y = clm_calloc(m->count, sizeof *y))) CLM_GOTO(CLM_E_MEMORY);
    size_t n = collect(m, CLM_METRIC_QUERY_BEFORE, x, y);
    draw_smooth(t, a, x, y, n, color_before, 1.5);
    n = collect(m, CLM_METRIC_QUERY_AFTER, x, y);
    draw_points(t, a, x, y, n);
    draw_smooth(t, a, x, y, n, color_after, 2.5);
out:
    free(x);
    free(y);
    return status;
}

clm_status clm_curve_write(const char *path, const clm_curve *curve, const clm_metrics *metrics) {
    clm_status status = CLM_OK;
    clm_text t = {0};
    axes a = fit_axes(curve, metrics);
    void *place = clm_numbers_enter();
    clm_svg_open(&t, WIDTH, HEIGHT, LEFT, curve->title, curve->subtitle);
    draw_axes(&t, &a, curve);
    draw_legend(&t, curve->adapts, has_intervals(metrics));
    CLM_GOTO(draw_training(&t, &a, metrics));
    draw_validation(&t, &a, metrics);
    status = clm_svg_write(&t, path);
out:
    clm_numbers_leave(place);
    clm_text_free(&t);
    return status;
}
