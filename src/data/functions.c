/* Regression on functions of one number: the sinusoids of Finn et al. 2017, and kinds of functions that are unlike one another. x is
 * in [-5, 5]; a task draws its kind with equal chances, then the kind's own numbers. Without noise.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/source.h"
#include "data/trig.h"

enum { NUMBERS = 3, KINDS = 4 };

typedef struct function_kind {
    const char *name, *formula;
    void (*draw)(clm_random *task, double numbers[NUMBERS]);
    double (*value)(const double numbers[NUMBERS], double x);
} function_kind;

typedef struct functions {
    clm_source base;
    const function_kind *kinds[KINDS];
    size_t n;
} functions;

static double between(clm_random *r, double low, double high) { return low + (high - low) * clm_random_uniform(r); }

/* Of either sign, in size between low and high. */
static double signed_between(clm_random *r, double low, double high) {
    const double size = between(r, low, high);
    return clm_random_uniform(r) < 0.5 ? -size : size;
}

static void draw_sine(clm_random *task, double *a) {
    a[0] = 0.1 + 4.9 * clm_random_uniform(task);
    a[1] = CLM_PI * clm_random_uniform(task);
}
static double sine_at(const double *a, double x) { return a[0] * clm_sine(x - a[1]); }

static void draw_line(clm_random *task, double *a) { a[0] = between(task, -1, 1), a[1] = between(task, -2, 2); }
static double line_at(const double *a, double x) { return a[0] * x + a[1]; }

static void draw_parabola(clm_random *task, double *a) {
    a[0] = signed_between(task, 0.05, 0.2);
    a[1] = between(task, -2, 2);
    a[2] = between(task, -2, 2);
}
static double parabola_at(const double *a, double x) { return a[0] * (x - a[1]) * (x - a[1]) + a[2]; }

static void draw_absolute(clm_random *task, double *a) {
    a[0] = signed_between(task, 0.5, 1.5);
    a[1] = between(task, -2, 2);
    a[2] = between(task, -2, 2);
}
static double absolute_at(const double *a, double x) { return a[0] * fabs(x - a[1]) + a[2]; }

static const function_kind kinds[KINDS] = {
    {"sine", "a sin(x - p), a in [0.1, 5], p in [0, pi]", draw_sine, sine_at},
    {"line", "a x + b, a in [-1, 1], b in [-2, 2]", draw_line, line_at},
    {"parabola", "a (x - c)^2 + b, |a| in [0.05, 0.2], b and c in [-2, 2]", draw_parabola, parabola_at},
    {"absolute", "a |x - c| + b, |a| in [0.5, 1.5], b and c in [-2, 2]", draw_absolute, absolute_at},
};

/* A kind is drawn only where there are several: sinusoids alone are the same numbers whichever way they are asked for. */
static const function_kind *kind_of(const functions *f, clm_random *task) {
    const size_t i = f->n > 1 ? (size_t)(clm_random_uniform(task) * (double)f->n) : 0;
    return f->kinds[i < f->n ? i : f->n - 1];
}

static clm_status regress(const clm_source *source, clm_split split, clm_random task, clm_random *points, int count, float *x,
                          float *y) {
    double numbers[NUMBERS];
    const function_kind *kind = kind_of((const functions *)source, &task);
    (void)split;
    kind->draw(&task, numbers);
    for (int i = 0; i < count; i++) {
        float at = (float)(-5.0 + 10.0 * clm_random_uniform(points));
        if (x) x[i] = at;
        if (y) y[i] = (float)kind->value(numbers, (double)at);
    }
    return CLM_OK;
}

static const char *function_name(const clm_source *source, clm_random task) {
    return kind_of((const functions *)source, &task)->name;
}

static void destroy(clm_source *source) { free(source); }

static const clm_source_ops ops = {.regress = regress, .function_name = function_name, .destroy = destroy};

static clm_status describe(functions *f) {
    char text[640];
    size_t used = (size_t)snprintf(text, sizeof text, "%s: ", f->base.name);
    for (size_t i = 0; i < f->n; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s", i ? "; " : "y = ", i ? "or " : "",
                                 f->kinds[i]->formula);
    snprintf(text + used, sizeof text - used, ", x in [-5, 5]; endless, splits by random stream");
    f->base.description = clm_strdup(text);
    return f->base.description ? CLM_OK : CLM_E_MEMORY;
}

static clm_status create(clm_source **out, const char *name, const function_kind *const *chosen, size_t n) {
    *out = NULL;
    functions *f = clm_calloc(1, sizeof *f);
    if (!f) return CLM_E_MEMORY;
    f->base = (clm_source){.ops = &ops, .name = name, .shape = clm_shape_of(1, 1)};
    memcpy(f->kinds, chosen, n * sizeof *chosen);
    f->n = n;
    if (describe(f) != CLM_OK) {
        clm_source_free(&f->base);
        return CLM_E_MEMORY;
    }
    *out = &f->base;
    return CLM_OK;
}

clm_status clm_source_sine(clm_source **out) {
    const function_kind *sine = &kinds[0];
    return create(out, "sine", &sine, 1);
}

const char *clm_function_name(size_t i) { return i < KINDS ? kinds[i].name : NULL; }

/* A name of a list, with commas between: which kind it is; KINDS: none. */
static size_t find(const char *name, size_t length) {
    size_t i = 0;
    while (i < KINDS && (strlen(kinds[i].name) != length || strncmp(kinds[i].name, name, length) != 0)) i++;
    return i;
}

static clm_status refuse(const char *name, size_t length) {
    char known[160] = "";
    for (size_t i = 0, used = 0; i < KINDS; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", kinds[i].name);
    return clm_fail(CLM_E_ARG, "functions: '%.*s' is none of %s", (int)(length < 40 ? length : 40), name, known);
}

clm_status clm_source_functions(clm_source **out, const char *names) {
    const function_kind *chosen[KINDS];
    bool asked[KINDS] = {false};
    size_t n = 0;
    *out = NULL;
    for (const char *at = names ? names : ""; *at;) {
        const size_t length = strcspn(at, ","), kind = find(at, length);
        if (kind == KINDS) return refuse(at, length);
        if (asked[kind]) return clm_fail(CLM_E_ARG, "functions: %s is named twice", kinds[kind].name);
        asked[kind] = true;
        at += length;
        if (*at && !*++at) return clm_fail(CLM_E_ARG, "functions: '%s' ends with a comma", names);
    }
    for (size_t i = 0; i < KINDS; i++)
        if (asked[i] || !names || !*names) chosen[n++] = &kinds[i];
    return create(out, "functions", chosen, n);
}
