/* Glyphs: endless handwritten-like characters, drawn when they are asked for.
 *
 * A class is one to four strokes. A stroke is the path of a pen that makes a few steps and turns between them: by nothing (a
 * line), by about the same each time (an arc), now left, now right (a wave), sharply (a corner). It often begins on a stroke
 * already there. An example is one drawing of it: every control point moved a little, every stroke moved a little, the whole
 * sheared, scaled, turned, shifted and bent by a smooth field, with a pen of its own width and ink.
 *
 * The class is a function of (split, class number), so classes of different splits never coincide; the example is one of (class,
 * example number). Arithmetic is IEEE operations and square root alone, and the result is rounded to 1/255: the same everywhere.
 *
 * Cost: the distance to each short segment is taken only for the pixels around it. */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "data/source.h"
#include "data/trig.h"

enum { MAX_STROKES = 4, MAX_POINTS = 7, PIECES = 5 /* segments between two control points */ };

typedef struct pen_point {
    float x, y;
} pen_point;

typedef struct stroke {
    pen_point points[MAX_POINTS];
    int count;
    bool smooth; /* a curve through the points rather than straight lines between them */
} stroke;

/* Coordinates from -1 to 1 across the character. */
typedef struct character {
    stroke strokes[MAX_STROKES];
    int count;
} character;

static float uniform(clm_random *r, double low, double high) { return (float)(low + (high - low) * clm_random_uniform(r)); }

/* Bell-shaped with the given standard deviation, never beyond 3.5 of them: a drawing must stay readable. */
static float bell(clm_random *r, double deviation) {
    double sum = -2.0;
    for (int i = 0; i < 4; i++) sum += (double)clm_random_u32(r) * 0x1p-32;
    return (float)(sum * 1.7320508075688772 * deviation);
}

/* ---- classes ---- */

/* Steps, their length, the turn between them (radians, its sign drawn) and how far that varies; alternate: left, right, left. */
typedef struct stroke_kind {
    int weight, least, most;
    double step_low, step_high, turn_low, turn_high, vary;
    bool alternate, smooth;
} stroke_kind;

static const stroke_kind kinds[] = {
    {28, 1, 1, 0.70, 1.60, 0.00, 0.00, 0.00, false, false}, /* line */
    {18, 2, 3, 0.50, 1.10, 1.00, 2.40, 0.30, false, false}, /* corners one way: L, U, triangle */
    {12, 2, 4, 0.50, 1.00, 1.20, 2.50, 0.30, true, false},  /* corners both ways: Z, N, W */
    {22, 4, 6, 0.25, 0.50, 0.30, 0.70, 0.10, false, true},  /* arc */
    {8, 6, 6, 0.40, 0.55, 1.00, 1.15, 0.05, false, true},   /* closed loop */
    {16, 2, 4, 0.45, 0.80, 0.60, 1.50, 0.30, true, true},   /* wave */
    {4, 1, 1, 0.05, 0.12, 0.00, 0.00, 0.00, false, false},  /* dot */
};

static const stroke_kind *draw_kind(clm_random *r) {
    int total = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) total += kinds[i].weight;
    int left = (int)clm_random_below(r, (uint32_t)total);
    const stroke_kind *kind = kinds;
    while (left >= kind->weight) left -= (kind++)->weight;
    return kind;
}

/* On a stroke already there (at a control point, or half-way to the next), or anywhere. */
static pen_point draw_start(clm_random *r, const character *c) {
    if (c->count == 0 || clm_random_uniform(r) < 0.4) return (pen_point){uniform(r, -0.9, 0.9), uniform(r, -0.9, 0.9)};
    const stroke *on = &c->strokes[clm_random_below(r, (uint32_t)c->count)];
    int i = (int)clm_random_below(r, (uint32_t)on->count), j = i + 1 < on->count && clm_random_below(r, 2) ? i + 1 : i;
    return (pen_point){0.5f * (on->points[i].x + on->points[j].x), 0.5f * (on->points[i].y + on->points[j].y)};
}

/* Scripts prefer upright, level and slanted strokes to any other direction. */
static double draw_heading(clm_random *r) {
    double heading = uniform(r, -CLM_PI, CLM_PI), eighth = 0.25 * CLM_PI;
    if (clm_random_uniform(r) < 0.3) return heading;
    return eighth * floor(heading / eighth + 0.5) + uniform(r, -0.12, 0.12);
}

static void draw_stroke(clm_random *r, character *c) {
    const stroke_kind *kind = draw_kind(r);
    stroke *s = &c->strokes[c->count];
    pen_point at = draw_start(r, c);
    int steps = kind->least + (int)clm_random_below(r, (uint32_t)(kind->most - kind->least + 1));
    double heading = draw_heading(r), step = uniform(r, kind->step_low, kind->step_high);
    double turn = uniform(r, kind->turn_low, kind->turn_high);
    if (clm_random_below(r, 2)) turn = -turn;
    s->smooth = kind->smooth;
    s->points[0] = at;
    for (s->count = 1; s->count <= steps; s->count++) {
        at.x += (float)(step * clm_cosine(heading));
        at.y += (float)(step * clm_sine(heading));
        s->points[s->count] = at;
        heading += turn + uniform(r, -kind->vary, kind->vary);
        if (kind->alternate) turn = -turn;
    }
    c->count++;
}

static float smaller(float a, float b) { return a < b ? a : b; }
static float larger(float a, float b) { return a > b ? a : b; }

static void bounds(const character *c, pen_point *low, pen_point *high) {
    *low = *high = c->strokes[0].points[0];
    for (int s = 0; s < c->count; s++)
        for (int i = 0; i < c->strokes[s].count; i++) {
            pen_point p = c->strokes[s].points[i];
            *low = (pen_point){smaller(low->x, p.x), smaller(low->y, p.y)};
            *high = (pen_point){larger(high->x, p.x), larger(high->y, p.y)};
        }
}

/* Centres the character and makes its larger side 2 * extent, its smaller at least half-way (as a ratio) to that: characters of
 * one hand are about the same size. */
static void fit(character *c, float extent) {
    pen_point low, high;
    bounds(c, &low, &high);
    float width = larger(high.x - low.x, 0.15f), height = larger(high.y - low.y, 0.15f), side = larger(width, height);
    float scale = 2.0f * extent / side, wider = sqrtf(side / width), higher = sqrtf(side / height);
    for (int s = 0; s < c->count; s++)
        for (int i = 0; i < c->strokes[s].count; i++) {
            pen_point *p = &c->strokes[s].points[i];
            p->x = (p->x - 0.5f * (low.x + high.x)) * scale * smaller(wider, 1.6f);
            p->y = (p->y - 0.5f * (low.y + high.y)) * scale * smaller(higher, 1.6f);
        }
}

static uint64_t class_key(clm_split split, uint64_t class_index) {
    uint8_t name[9];
    for (int i = 0; i < 8; i++) name[i] = (uint8_t)(class_index >> (8 * i));
    name[8] = (uint8_t)split;
    return clm_hash(CLM_HASH_SEED, name, sizeof name);
}

static void draw_character(uint64_t key, character *c) {
    static const uint8_t counts[20] = {1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4};
    clm_random r = clm_random_make(key, UINT64_MAX); /* examples have the other streams */
    int strokes = counts[clm_random_below(&r, 20)];
    c->count = 0;
    while (c->count < strokes) draw_stroke(&r, c);
    fit(c, uniform(&r, 0.72, 0.95));
}

/* ---- examples ---- */

/* (x, y) -> a polynomial of third degree in both: turn, scale, shear and shift in its first terms, bending in the others. */
typedef struct warp {
    float x[10], y[10]; /* 1, x, y, xx, xy, yy, xxx, xxy, xyy, yyy */
} warp;

static void draw_warp(clm_random *r, warp *w) {
    double turn = bell(r, 0.16), cosine = clm_cosine(turn), sine = clm_sine(turn);
    double size = uniform(r, 0.72, 1.06), sx = size + bell(r, 0.09), sy = size + bell(r, 0.09), shear = bell(r, 0.16);
    w->x[0] = bell(r, 0.13), w->y[0] = bell(r, 0.13);
    w->x[1] = (float)(cosine * sx), w->x[2] = (float)(cosine * shear - sine * sy);
    w->y[1] = (float)(sine * sx), w->y[2] = (float)(sine * shear + cosine * sy);
    for (int i = 3; i < 10; i++) {
        w->x[i] = bell(r, 0.06);
        w->y[i] = bell(r, 0.06);
    }
}

static float warped(const float w[10], pen_point p) {
    float xx = p.x * p.x, yy = p.y * p.y;
    return w[0] + w[1] * p.x + w[2] * p.y + w[3] * xx + w[4] * p.x * p.y + w[5] * yy + w[6] * xx * p.x + w[7] * xx * p.y +
           w[8] * p.x * yy + w[9] * yy * p.y;
}

static void redraw(clm_random *r, character *c) {
    warp w;
    draw_warp(r, &w);
    for (int s = 0; s < c->count; s++) {
        float dx = bell(r, 0.05), dy = bell(r, 0.05);
        for (int i = 0; i < c->strokes[s].count; i++) {
            pen_point *p = &c->strokes[s].points[i];
            pen_point moved = {p->x + dx + bell(r, 0.045), p->y + dy + bell(r, 0.045)};
            *p = (pen_point){warped(w.x, moved), warped(w.y, moved)};
        }
    }
}

/* ---- drawing ---- */

typedef struct canvas {
    float *pixels; /* ink laid so far, 0 to 1 */
    int size;
} canvas;

/* Ink of a line from a to b of half-width `radius`, all in pixels: full inside, falling to none over the pixel at the edge. */
static void lay_segment(const canvas *to, pen_point a, pen_point b, float radius, float ink) {
    float reach = radius + 0.5f, last = (float)(to->size - 1), dx = b.x - a.x, dy = b.y - a.y;
    float length2 = dx * dx + dy * dy, inverse = length2 > 1e-12f ? 1.0f / length2 : 0.0f;
    int x0 = (int)larger(0.0f, smaller(a.x, b.x) - reach), x1 = (int)smaller(last, larger(a.x, b.x) + reach);
    int y0 = (int)larger(0.0f, smaller(a.y, b.y) - reach), y1 = (int)smaller(last, larger(a.y, b.y) + reach);
    for (int y = y0; y <= y1; y++) {
        float *row = to->pixels + (size_t)y * (size_t)to->size, py = (float)y - a.y;
        for (int x = x0; x <= x1; x++) {
            float px = (float)x - a.x, t = smaller(1.0f, larger(0.0f, (px * dx + py * dy) * inverse));
            float ex = px - t * dx, ey = py - t * dy;
            float laid = ink * smaller(1.0f, reach - sqrtf(ex * ex + ey * ey));
            row[x] = larger(row[x], laid);
        }
    }
}

/* Catmull-Rom: the curve through b (t = 0) and c (t = 1) whose slopes there are (c - a)/2 and (d - b)/2. */
static float curve(float a, float b, float c, float d, float t) {
    return b + 0.5f * t * (c - a + t * (2.0f * a - 5.0f * b + 4.0f * c - d + t * (3.0f * (b - c) + d - a)));
}

static void lay_stroke(const canvas *to, const stroke *s, float radius, float ink) {
    int pieces = s->smooth ? PIECES : 1;
    pen_point from = s->points[0];
    for (int i = 0; i + 1 < s->count; i++) {
        pen_point b = s->points[i], c = s->points[i + 1];
        pen_point a = i > 0 ? s->points[i - 1] : b, d = i + 2 < s->count ? s->points[i + 2] : c;
        for (int k = 1; k <= pieces; k++) {
            float t = (float)k / (float)pieces;
            pen_point at = s->smooth ? (pen_point){curve(a.x, b.x, c.x, d.x, t), curve(a.y, b.y, c.y, d.y, t)} : c;
            lay_segment(to, from, at, radius, ink);
            from = at;
        }
    }
}

/* Shifts a coordinate's range [low, high] the least that brings it into [margin, size - 1 - margin]. */
static float pull_in(float low, float high, float size, float margin) {
    if (low < margin) return margin - low;
    if (high > size - 1.0f - margin) return larger(size - 1.0f - margin - high, margin - low);
    return 0.0f;
}

/* From character to pixel coordinates, shifted so that nothing is cut off that need not be. */
static void place(character *c, int size) {
    float half = 0.5f * (float)(size - 1), scale = 0.42f * (float)size;
    pen_point low, high;
    bounds(c, &low, &high);
    float dx = half + pull_in(half + scale * low.x, half + scale * high.x, (float)size, 1.0f);
    float dy = half + pull_in(half + scale * low.y, half + scale * high.y, (float)size, 1.0f);
    for (int s = 0; s < c->count; s++)
        for (int i = 0; i < c->strokes[s].count; i++) {
            pen_point *p = &c->strokes[s].points[i];
            *p = (pen_point){scale * p->x + dx, scale * p->y + dy};
        }
}

static clm_status image(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example, float *out) {
    int size = source->shape.dim[1];
    uint64_t key = class_key(split, class_index);
    character c = {0};
    draw_character(key, &c);
    clm_random r = clm_random_make(~key, example);
    redraw(&r, &c);
    place(&c, size);
    float radius = uniform(&r, 0.35, 0.85) * (float)size / 28.0f, ink = uniform(&r, 0.85, 1.0);
    size_t area = (size_t)size * (size_t)size;
    for (size_t i = 0; i < area; i++) out[i] = 0.0f;
    canvas to = {out, size};
    for (int s = 0; s < c.count; s++)
        lay_stroke(&to, &c.strokes[s], radius * uniform(&r, 0.85, 1.15), ink * uniform(&r, 0.9, 1.0));
    for (size_t i = 0; i < area; i++) out[i] = (float)(int)(out[i] * 255.0f + 0.5f) / 255.0f;
    return CLM_OK;
}

/* ---- the source ---- */

static size_t classes(const clm_source *source, clm_split split) {
    (void)source, (void)split;
    return SIZE_MAX;
}

static size_t examples(const clm_source *source, clm_split split, uint64_t class_index) {
    (void)source, (void)split, (void)class_index;
    return SIZE_MAX;
}

static void destroy(clm_source *source) { free(source); }

static const clm_source_ops glyphs_ops = {.classes = classes, .examples = examples, .image = image, .destroy = destroy};

clm_status clm_source_glyphs(clm_source **out, int size) {
    *out = NULL;
    CLM_TRY(clm_source_check_size(size));
    clm_source *source = clm_calloc(1, sizeof *source);
    if (!source) return CLM_E_MEMORY;
    *source = (clm_source){.ops = &glyphs_ops, .name = "glyphs", .shape = clm_shape_of(3, 1, size, size)};
    source->preparation = (clm_preparation){size, 1, CLM_FIT_STRETCH, true, 255, {0, 0, 0}, {1, 1, 1}};
    source->description =
        clm_format("glyphs: procedural characters of 1 to 4 strokes, %dx%d; endless classes, those of the three splits "
                   "never the same",
                   size, size);
    if (!source->description) {
        clm_source_free(source);
        return CLM_E_MEMORY;
    }
    *out = source;
    return CLM_OK;
}
