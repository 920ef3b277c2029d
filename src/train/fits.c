/* See fits.h. The true curve and the predictions are drawn through the query points of a task, of which there are many, in order. */
#include "train/fits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/svg.h"

enum {
    POINTS = 256,
    PANELS = 4,
    STAGES = 3,
    SEARCHED = 1000, /* tasks among which each kind is looked for */
    LEFT = 46,
    TOP = 84,
    PANEL_WIDTH = 380,
    PANEL_HEIGHT = 230,
    GAP_X = 56,
    GAP_Y = 46,
    WIDTH = LEFT + 2 * PANEL_WIDTH + GAP_X + 20
};

typedef struct stage {
    int steps; /* -1: not drawn */
    double y[POINTS];
} stage;

typedef struct panel {
    const char *kind; /* NULL: there are no kinds */
    float *support_x, *support_y;
    float x[POINTS], y[POINTS];
    stage stages[STAGES];
    double low, high;
} panel;

typedef struct fits {
    clm_learner *learner;
    const clm_source *source;
    uint64_t seed;
    int shots, steps;
    panel panels[PANELS];
    size_t n;
    double x_low, x_high;
} fits;

bool clm_fits_suit(const clm_source *source) {
    const clm_shape x = clm_source_example_shape(source);
    return clm_source_is_regression(source) && clm_source_groups(source, CLM_SPLIT_TEST) == SIZE_MAX &&
           clm_shape_size(&x) == 1 && clm_source_outputs(source, 1) == 1;
}

/* ---- the numbers ---- */

/* The query points in order of x; insertion sort, once a task. */
static void sort(float *x, float *y) {
    for (int i = 1; i < POINTS; i++) {
        const float at = x[i], value = y[i];
        int j = i;
        for (; j > 0 && x[j - 1] > at; j--) x[j] = x[j - 1], y[j] = y[j - 1];
        x[j] = at, y[j] = value;
    }
}

static clm_status predict(fits *f, panel *p, size_t at, int steps) {
    p->stages[at].steps = steps;
    return clm_learner_predict(f->learner, p->x, POINTS, p->stages[at].y);
}

static clm_status fill(fits *f, panel *p, uint64_t index) {
    p->support_x = clm_calloc((size_t)f->shots, sizeof *p->support_x);
    p->support_y = clm_calloc((size_t)f->shots, sizeof *p->support_y);
    if (!p->support_x || !p->support_y) return CLM_E_MEMORY;
    for (int i = 0; i < STAGES; i++) p->stages[i].steps = -1;
    CLM_TRY(clm_source_sample(f->source, CLM_SPLIT_TEST, f->seed, index, 1, f->shots, POINTS, p->support_x, p->support_y, p->x,
                              p->y));
    sort(p->x, p->y);
    if (clm_learner_get_info(f->learner).initialisations > 1) /* says where to begin */
        CLM_TRY(clm_learner_adapt(f->learner, p->support_x, p->support_y));
    CLM_TRY(clm_learner_begin(f->learner, p->support_x, p->support_y));
    CLM_TRY(predict(f, p, 0, 0));
    for (int k = 1; k <= f->steps; k++) {
        CLM_TRY(clm_learner_step(f->learner, NULL));
        if (k == 1 || k == f->steps) CLM_TRY(predict(f, p, k == 1 ? 1 : 2, k));
    }
    return CLM_OK;
}

/* The first task of each kind, in the order of kinds; without kinds the first tasks. */
static clm_status choose(fits *f) {
    for (uint64_t index = 0; index < SEARCHED && f->n < PANELS; index++) {
        const char *kind = clm_source_function(f->source, CLM_SPLIT_TEST, f->seed, index);
        bool known = false;
        for (size_t i = 0; i < f->n; i++) known = known || (kind && strcmp(f->panels[i].kind, kind) == 0);
        if (known) continue;
        panel *p = &f->panels[f->n++];
        p->kind = kind;
        CLM_TRY(fill(f, p, index));
    }
    return CLM_OK;
}

/* The true curve decides of the axes, and predictions widen them to at most twice its range. */
static void find_limits(fits *f) {
    f->x_low = INFINITY, f->x_high = -INFINITY;
    for (size_t i = 0; i < f->n; i++) {
        panel *p = &f->panels[i];
        double low = INFINITY, high = -INFINITY;
        for (int j = 0; j < POINTS; j++) low = fmin(low, p->y[j]), high = fmax(high, p->y[j]);
        const double room = fmax(high - low, 1e-6) / 2;
        p->low = low, p->high = high;
        for (int k = 0; k < STAGES * POINTS; k++) {
            const stage *s = &p->stages[k / POINTS];
            if (s->steps < 0 || !isfinite(s->y[k % POINTS])) continue;
            p->low = fmin(p->low, fmax(low - room, s->y[k % POINTS]));
            p->high = fmax(p->high, fmin(high + room, s->y[k % POINTS]));
        }
        f->x_low = fmin(f->x_low, p->x[0]);
        f->x_high = fmax(f->x_high, p->x[POINTS - 1]);
    }
}

/* ---- the picture ---- */

typedef struct frame {
    const fits *f;
    const panel *p;
    int left, top;
} frame;

static double x_at(const frame *a, double x) {
    return a->left + PANEL_WIDTH * (x - a->f->x_low) / fmax(a->f->x_high - a->f->x_low, 1e-9);
}

static double y_at(const frame *a, double y) {
    const double v = (y - a->p->low) / fmax(a->p->high - a->p->low, 1e-9);
    return a->top + PANEL_HEIGHT * (1 - fmin(1.02, fmax(-0.02, v)));
}

static void draw_axes(clm_text *t, const frame *a) {
    const double step = clm_svg_step(fmax(a->p->high - a->p->low, 1e-6), 5),
                 x_step = clm_svg_step(a->f->x_high - a->f->x_low, 5);
    const double y_first = ceil(a->p->low / step), x_first = ceil(a->f->x_low / x_step);
    for (int i = 0; (y_first + i) * step <= a->p->high + 1e-9; i++) {
        const double y = (y_first + i) * step;
        clm_text_add(t, "<path d='M%d %.1fH%d' stroke='#e4e4e4'/>", a->left, y_at(a, y), a->left + PANEL_WIDTH);
        clm_text_add(t, "<text x='%d' y='%.1f' text-anchor='end'>%g</text>\n", a->left - 6, y_at(a, y) + 4,
                     fabs(y) < step / 2 ? 0 : y);
    }
    for (int i = 0; (x_first + i) * x_step <= a->f->x_high + 1e-9; i++) {
        const double x = (x_first + i) * x_step;
        clm_text_add(t, "<text x='%.1f' y='%d' text-anchor='middle'>%g</text>", x_at(a, x), a->top + PANEL_HEIGHT + 16,
                     fabs(x) < x_step / 2 ? 0 : x);
    }
    clm_text_add(t, "<path d='M%d %dV%dH%d' fill='none' stroke='#333'/>\n", a->left, a->top, a->top + PANEL_HEIGHT,
                 a->left + PANEL_WIDTH);
}

static const struct {
    const char *color, *dashes;
    double width;
} lines[STAGES + 1] = {{"#999999", "2 4", 1.8}, {"#67a9cf", "7 4", 1.8}, {"#2166ac", "", 2.2}, {"#333333", "", 1.2}};

static void draw_curve(clm_text *t, const frame *a, int line, const double *y, const float *truth) {
    clm_text_add(t, "<polyline fill='none' stroke='%s' stroke-width='%.1f' stroke-dasharray='%s' points='", lines[line].color,
                 lines[line].width, lines[line].dashes);
    for (int i = 0; i < POINTS; i++) {
        const double value = y ? y[i] : truth[i];
        if (isfinite(value)) clm_text_add(t, "%.1f,%.1f ", x_at(a, a->p->x[i]), y_at(a, value));
    }
    clm_text_add(t, "'/>\n");
}

static void draw_panel(clm_text *t, const frame *a) {
    const panel *p = a->p;
    double error = 0;
    const stage *last = &p->stages[p->stages[2].steps >= 0 ? 2 : p->stages[1].steps >= 0 ? 1 : 0];
    draw_axes(t, a);
    draw_curve(t, a, STAGES, NULL, p->y);
    for (int k = 0; k < STAGES; k++)
        if (p->stages[k].steps >= 0) draw_curve(t, a, k, p->stages[k].y, NULL);
    for (int i = 0; i < a->f->shots; i++)
        clm_text_add(t, "<circle cx='%.1f' cy='%.1f' r='4' fill='#d6604d'/>\n", x_at(a, p->support_x[i]),
                     y_at(a, p->support_y[i]));
    for (int i = 0; i < POINTS; i++) error += (last->y[i] - (double)p->y[i]) * (last->y[i] - (double)p->y[i]) / POINTS;
    clm_text_add(t, "<text x='%d' y='%d' font-weight='bold'>%s%smean squared error %s</text>\n", a->left + 8, a->top - 8,
                 p->kind ? p->kind : "", p->kind ? ": " : "", clm_number_text(error, 3).s);
}

static void draw_key(clm_text *t, const fits *f) {
    int x = LEFT;
    for (int k = STAGES; k >= 0; k--) {
        const int line = k == STAGES ? STAGES : STAGES - 1 - k;
        char label[48];
        const int steps = line == STAGES ? 0 : f->panels[0].stages[line].steps;
        if (steps < 0) continue;
        if (line == STAGES)
            snprintf(label, sizeof label, "true");
        else if (line == 0)
            snprintf(label, sizeof label, "before adaptation");
        else
            snprintf(label, sizeof label, "after %d step%s", steps, steps == 1 ? "" : "s");
        clm_text_add(t, "<path d='M%d 58h26' stroke='%s' stroke-width='%.1f' stroke-dasharray='%s'/>", x, lines[line].color,
                     lines[line].width + 0.6, lines[line].dashes);
        clm_text_add(t, "<text x='%d' y='62'>%s</text>\n", x + 32, label);
        x += 60 + 7 * (int)strlen(label);
    }
    clm_text_add(t, "<circle cx='%d' cy='58' r='4' fill='#d6604d'/><text x='%d' y='62'>support points</text>\n", x + 4, x + 14);
}

static clm_status draw(const fits *f, const char *path, const char *title, const char *subtitle) {
    const int rows = (int)(f->n + 1) / 2, height = TOP + rows * (PANEL_HEIGHT + GAP_Y) - 10;
    clm_text t = {0};
    void *place = clm_numbers_enter();
    clm_svg_open(&t, WIDTH, height, LEFT, title, subtitle);
    draw_key(&t, f);
    for (size_t i = 0; i < f->n; i++) {
        const int column = (int)(i % 2), row = (int)(i / 2);
        draw_panel(&t,
                   &(frame){f, &f->panels[i], LEFT + column * (PANEL_WIDTH + GAP_X), TOP + 8 + row * (PANEL_HEIGHT + GAP_Y)});
    }
    const clm_status status = clm_svg_write(&t, path);
    clm_numbers_leave(place);
    clm_text_free(&t);
    return status;
}

clm_status clm_fits_write(const char *path, clm_device *device, const clm_archive *archive, const clm_source *source,
                          uint64_t seed, int shots, const char *title, const char *subtitle) {
    clm_status status = CLM_OK;
    clm_load_options o = CLM_LOAD_OPTIONS_INIT;
    fits *f = clm_calloc(1, sizeof *f);
    if (!f) return CLM_E_MEMORY;
    f->source = source, f->seed = seed, f->shots = shots;
    o.support = shots, o.query = POINTS;
    CLM_GOTO(clm_learner_load_archive(&f->learner, device, archive, &o));
    f->steps = clm_learner_get_info(f->learner).steps;
    CLM_GOTO(choose(f));
    find_limits(f);
    CLM_GOTO(draw(f, path, title, subtitle));
out:
    for (size_t i = 0; i < f->n; i++) free(f->panels[i].support_x), free(f->panels[i].support_y);
    clm_learner_free(f->learner);
    free(f);
    return status;
}
