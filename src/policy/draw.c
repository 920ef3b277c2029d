/* Pictures of a run: returns over the outer updates, and episodes before and after adaptation. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/svg.h"
#include "policy/internal.h"

static const char color_after[] = "#2166ac", color_before[] = "#999999", color_validation[] = "#d6604d",
                  color_goal[] = "#b2182b";

/* ---- the curve ---- */

enum { WIDTH = 900, HEIGHT = 480, LEFT = 76, RIGHT = 24, TOP = 70, BOTTOM = 60, MOST_POINTS = 800 };

typedef struct axes {
    double x_max, low, high;
} axes;

static double x_at(const axes *a, double x) { return LEFT + (WIDTH - LEFT - RIGHT) * x / a->x_max; }
static double y_at(const axes *a, double y) {
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - a->low) / (a->high - a->low);
}

static axes fit_axes(const clm_policy_log *log) {
    axes a = {1, INFINITY, -INFINITY};
    for (size_t i = 0; i < log->count; i++) {
        const clm_policy_row *row = &log->rows[i];
        const double both[2] = {row->value[CLM_POLICY_METRIC_RETURN_BEFORE], row->value[CLM_POLICY_METRIC_RETURN_AFTER]};
        a.x_max = fmax(a.x_max, (double)row->iteration);
        for (int k = 0; k < 2; k++)
            if (isfinite(both[k])) a.low = fmin(a.low, both[k]), a.high = fmax(a.high, both[k]);
    }
    if (!(a.low <= a.high)) a.low = -1, a.high = 0;
    const double step = clm_svg_step(fmax(a.high - a.low, 1e-9), 6);
    a.low = step * floor(a.low / step);
    a.high = step * ceil(a.high / step);
    if (a.high <= a.low) a.high = a.low + 1;
    return a;
}

static void draw_axes(clm_text *t, const axes *a) {
    const double step_y = clm_svg_step(a->high - a->low, 6), step_x = fmax(1, clm_svg_step(a->x_max, 8));
    for (int i = 0; a->low + i * step_y <= a->high + 1e-9; i++) {
        const double y = y_at(a, a->low + i * step_y);
        clm_text_add(t, "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='#e4e4e4'/>\n", LEFT, y, WIDTH - RIGHT, y);
        clm_text_add(t, "<text x='%d' y='%.1f' text-anchor='end'>%g</text>\n", LEFT - 8, y + 4, a->low + i * step_y);
    }
    for (int i = 0; i * step_x <= a->x_max * 1.0001; i++)
        clm_text_add(t, "<text x='%.1f' y='%d' text-anchor='middle'>%.0f</text>\n", x_at(a, i * step_x), HEIGHT - BOTTOM + 18,
                     i * step_x);
    clm_text_add(t, "<path d='M%d %dV%dH%d' fill='none' stroke='#333'/>\n", LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT);
    clm_text_add(t, "<text x='%d' y='%d' text-anchor='middle'>outer updates</text>\n", (LEFT + WIDTH - RIGHT) / 2,
                 HEIGHT - BOTTOM + 42);
    clm_text_add(t, "<text transform='translate(20 %d) rotate(-90)' text-anchor='middle'>return of an episode</text>\n",
                 (TOP + HEIGHT - BOTTOM) / 2);
}

/* One metric of training rows, or of validation with its intervals. */
static void draw_line(clm_text *t, const axes *a, const clm_policy_log *log, bool validation, clm_policy_metric which,
                      const char *color, double width) {
    const size_t stride = validation ? 1 : log->count / MOST_POINTS + 1;
    clm_text_add(t, "<polyline fill='none' stroke='%s' stroke-width='%.1f' stroke-linejoin='round' points='", color, width);
    for (size_t i = 0; i < log->count; i += stride)
        if (log->rows[i].validation == validation && isfinite(log->rows[i].value[which]))
            clm_text_add(t, "%.1f,%.1f ", x_at(a, (double)log->rows[i].iteration), y_at(a, log->rows[i].value[which]));
    clm_text_add(t, "'/>\n");
    for (size_t i = 0; validation && i < log->count; i++) {
        const clm_policy_row *row = &log->rows[i];
        const double y = row->value[which], half = row->value[CLM_POLICY_METRIC_INTERVAL], x = x_at(a, (double)row->iteration);
        if (!row->validation || !isfinite(y)) continue;
        if (isfinite(half))
            clm_text_add(t, "<path d='M%.1f %.1fV%.1f' stroke='%s'/>\n", x, y_at(a, y - half), y_at(a, y + half), color);
        clm_text_add(t, "<circle cx='%.1f' cy='%.1f' r='4' fill='white' stroke='%s' stroke-width='1.5'/>\n", x, y_at(a, y),
                     color);
    }
}

/* A single task has none. */
static bool has_intervals(const clm_policy_log *log) {
    size_t validations = 0, intervals = 0;
    for (size_t i = 0; i < log->count; i++) {
        validations += log->rows[i].validation;
        intervals += log->rows[i].validation && isfinite(log->rows[i].value[CLM_POLICY_METRIC_INTERVAL]);
    }
    return validations == 0 || intervals > 0;
}

clm_status clm_policy_draw_curve(const clm_policy_log *log, const char *title) {
    const struct {
        const char *color, *label;
        int x;
    } legend[] = {{color_after, "training, after adaptation", 0},
                  {color_before, "before adaptation", 210},
                  {color_validation,
                   has_intervals(log) ? "validation tasks after all steps, 95 % interval" : "validation task after all steps",
                   370}};
    char path[CLM_POLICY_PATH];
    clm_text t = {0};
    CLM_TRY(clm_policy_path(path, log->directory, "curve.svg"));
    const axes a = fit_axes(log);
    void *place = clm_numbers_enter();
    clm_svg_open(&t, WIDTH, HEIGHT, 24, title, NULL);
    draw_axes(&t, &a);
    for (size_t i = 0; i < sizeof legend / sizeof *legend; i++) {
        clm_text_add(&t, "<line x1='%d' y1='%d' x2='%d' y2='%d' stroke='%s' stroke-width='3'/>\n", LEFT + legend[i].x, TOP - 20,
                     LEFT + legend[i].x + 22, TOP - 20, legend[i].color);
        clm_text_add(&t, "<text x='%d' y='%d'>%s</text>\n", LEFT + legend[i].x + 28, TOP - 16, legend[i].label);
    }
    draw_line(&t, &a, log, false, CLM_POLICY_METRIC_RETURN_BEFORE, color_before, 1.2);
    draw_line(&t, &a, log, false, CLM_POLICY_METRIC_RETURN_AFTER, color_after, 1.5);
    draw_line(&t, &a, log, true, CLM_POLICY_METRIC_RETURN_AFTER, color_validation, 1.5);
    clm_numbers_leave(place);
    const clm_status status = clm_svg_write(&t, path);
    clm_text_free(&t);
    return status;
}

/* ---- episodes ---- */

enum { PANEL = 260, GAP = 20, HEAD = 84 };

/* Of the largest coordinate of a goal or of an episode's place, at least 0.5: half a panel's side. */
static double extent(const clm_policy_picture *p) {
    const size_t rows = (size_t)p->tasks * (size_t)p->stages * (size_t)p->trajectories;
    double most = 0.55;
    for (size_t i = 0; i < rows; i++)
        for (int t = 0; t < p->length[i]; t++)
            for (int k = 0; k < 2; k++) most = fmax(most, fabs(p->at[(i * (size_t)p->horizon + (size_t)t) * 2 + (size_t)k]));
    return fmin(1.05 * most, 3); /* what flies farther is cut off */
}

static void draw_panel(clm_text *t, const clm_policy_picture *p, int task, int stage, double reach) {
    const int left = GAP + stage * (PANEL + GAP), top = HEAD + task * (PANEL + GAP);
    const double scale = PANEL / (2 * reach), x0 = PANEL / 2.0, y0 = PANEL / 2.0;
    clm_text_add(t, "<svg x='%d' y='%d' width='%d' height='%d'>\n<rect width='%d' height='%d' fill='#fafafa' stroke='#ccc'/>\n",
                 left, top, PANEL, PANEL, PANEL, PANEL);
    clm_text_add(t, "<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' fill='none' stroke='#ccc' stroke-dasharray='3 3'/>\n",
                 x0 - 0.5 * scale, y0 - 0.5 * scale, scale, scale);
    for (int i = 0; i < p->trajectories; i++) {
        const size_t episode = ((size_t)task * (size_t)p->stages + (size_t)stage) * (size_t)p->trajectories + (size_t)i;
        clm_text_add(t, "<polyline fill='none' stroke='%s' stroke-opacity='0.7' points='", stage ? color_after : "#777");
        for (int k = 0; k < p->length[episode]; k++) {
            const double *at = p->at + (episode * (size_t)p->horizon + (size_t)k) * 2;
            clm_text_add(t, "%.1f,%.1f ", x0 + scale * at[0], y0 - scale * at[1]);
        }
        clm_text_add(t, "'/>\n");
    }
    clm_text_add(t, "<circle cx='%.1f' cy='%.1f' r='3' fill='#333'/>\n", x0, y0);
    clm_text_add(t, "<circle cx='%.1f' cy='%.1f' r='6' fill='none' stroke='%s' stroke-width='2.5'/>\n</svg>\n",
                 x0 + scale * p->goal[2 * (size_t)task], y0 - scale * p->goal[2 * (size_t)task + 1], color_goal);
}

clm_status clm_policy_draw_picture(const char *path, const clm_policy_picture *p, const char *title) {
    const double reach = extent(p);
    clm_text t = {0};
    void *place = clm_numbers_enter();
    clm_svg_open(&t, GAP + p->stages * (PANEL + GAP), HEAD + p->tasks * (PANEL + GAP), 24, title, NULL);
    clm_text_add(&t,
                 "<text x='24' y='46' fill='#666'>a row is a task; dot: start, ring: goal, dashed: where goals are</text>\n");
    for (int stage = 0; stage < p->stages; stage++) {
        clm_text_add(&t, "<text x='%d' y='%d' fill='#666'>", GAP + stage * (PANEL + GAP), HEAD - 12);
        if (p->stage_steps[stage] == 0)
            clm_text_add(&t, "before adaptation");
        else
            clm_text_add(&t, "after %d step%s", p->stage_steps[stage], p->stage_steps[stage] == 1 ? "" : "s");
        clm_text_add(&t, "</text>\n");
    }
    for (int task = 0; task < p->tasks; task++)
        for (int stage = 0; stage < p->stages; stage++) draw_panel(&t, p, task, stage, reach);
    clm_numbers_leave(place);
    const clm_status status = clm_svg_write(&t, path);
    clm_text_free(&t);
    return status;
}
