/* See matrix.h. */
#include "eval/matrix.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/system.h"

/* A file that is written at once. Locale has no say: the program never sets one. */
typedef struct text {
    char *data;
    size_t length, capacity;
    bool failed;
} text;

static void add(text *t, const char *format, ...) CLI_PRINTF(2, 3);
static void add(text *t, const char *format, ...) {
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    const int size = vsnprintf(NULL, 0, format, list);
    va_end(list);
    if (size >= 0 && t->length + (size_t)size + 1 > t->capacity) {
        const size_t capacity = 2 * t->capacity + (size_t)size + 4096;
        char *data = realloc(t->data, capacity);
        t->failed = t->failed || !data;
        if (data) t->data = data, t->capacity = capacity;
    }
    if (!t->failed && size >= 0) {
        vsnprintf(t->data + t->length, t->capacity - t->length, format, again);
        t->length += (size_t)size;
    }
    va_end(again);
}

static clm_status save(text *t, const char *prefix, const char *ending) {
    char path[CLI_PATH_MAX];
    clm_status status = CLM_OK;
    if (snprintf(path, sizeof path, "%s%s", prefix, ending) >= (int)sizeof path)
        status = cli_fail(CLM_E_LIMIT, "path too long: %s%s", prefix, ending);
    else if (t->failed)
        status = cli_fail(CLM_E_MEMORY, "out of memory");
    else
        status = cli_file_write(path, t->data, t->length);
    free(t->data);
    return status;
}

/* ---- the table ---- */

static void add_quoted(text *t, const char *name) {
    add(t, "\"%s", cli_csv_guard(name));
    for (name = cli_shown(name); *name; name++) add(t, *name == '"' ? "\"\"" : "%c", *name);
    add(t, "\"");
}

static clm_status write_table(const matrix *m, const char *prefix) {
    text t = {0};
    for (size_t j = 0; j < m->n; j++) {
        add(&t, ",");
        add_quoted(&t, m->name[j]);
    }
    add(&t, "\n");
    for (size_t i = 0; i < m->n; i++) {
        add_quoted(&t, m->name[i]);
        for (size_t j = 0; j < m->n; j++) add(&t, ",%.6g", m->value[i][j]);
        add(&t, "\n");
    }
    return save(&t, prefix, ".csv");
}

/* ---- the picture ---- */

enum { LEFT = 150, TOP = 74, AREA = 560, MOST_NUMBERS = 12, MOST_NAMES = 40 };

static void add_escaped(text *t, const char *s) {
    for (s = cli_shown(s); *s; s++) {
        if (*s == '&' || *s == '<' || *s == '>')
            add(t, "&#%d;", *s);
        else
            add(t, "%c", *s);
    }
}

/* White at 0, blue towards 1, red towards -1. */
static void add_cell(text *t, const matrix *m, size_t i, size_t j, double side) {
    static const int blue[3] = {33, 102, 172}, red[3] = {178, 24, 43};
    const double v = fmax(-1, fmin(1, m->value[i][j])), x = LEFT + (double)j * side, y = TOP + (double)i * side;
    const int *to = v < 0 ? red : blue;
    int colour[3];
    for (int k = 0; k < 3; k++) colour[k] = (int)lround(255 + (to[k] - 255) * fabs(v));
    add(t, "<rect x='%.1f' y='%.1f' width='%.2f' height='%.2f' fill='#%02x%02x%02x'/>\n", x, y, side, side, colour[0],
        colour[1], colour[2]);
    if (m->n <= MOST_NUMBERS)
        add(t, "<text x='%.1f' y='%.1f' text-anchor='middle' fill='%s'>%.2f</text>\n", x + side / 2, y + side / 2 + 4,
            fabs(v) > 0.6 ? "white" : "#333", m->value[i][j]);
}

static void add_names(text *t, const matrix *m, double side) {
    for (size_t i = 0; i < m->n && m->n <= MOST_NAMES; i++) {
        const double middle = ((double)i + 0.5) * side;
        add(t, "<text x='%d' y='%.1f' text-anchor='end'>", LEFT - 8, TOP + middle + 4);
        add_escaped(t, m->name[i]);
        add(t, "</text>\n<text transform='translate(%.1f %.1f) rotate(40)'>", LEFT + middle - 4,
            TOP + (double)m->n * side + 16);
        add_escaped(t, m->name[i]);
        add(t, "</text>\n");
    }
}

static clm_status draw(const matrix *m, const char *prefix) {
    text t = {0};
    const double side = fmin(90, (double)AREA / (double)m->n);
    const int width = LEFT + AREA + 90, height = TOP + (int)(side * (double)m->n) + 120;
    add(&t,
        "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' viewBox='0 0 %d %d' font-family='sans-serif' "
        "font-size='12' "
        "fill='#333'>\n<rect width='100%%' height='100%%' fill='white'/>\n<text x='20' y='26' font-size='17' "
        "font-weight='bold'>",
        width, height, width, height);
    add_escaped(&t, m->title);
    add(&t, "</text>\n<text x='20' y='46' fill='#666'>");
    add_escaped(&t, m->subtitle);
    add(&t, "</text>\n");
    for (size_t i = 0; i < m->n * m->n; i++) add_cell(&t, m, i / m->n, i % m->n, side);
    add_names(&t, m, side);
    add(&t, "</svg>\n");
    return save(&t, prefix, ".svg");
}

clm_status matrix_write(const matrix *m, const char *prefix) {
    CLI_TRY(write_table(m, prefix));
    return draw(m, prefix);
}

void matrix_print(const matrix *m) {
    FILE *to = cli_lines_begin(stdout);
    for (size_t i = 0; i < m->n; i++) {
        cli_text name; /* cut before it is shown: a part of a character is none */
        snprintf(name.s, sizeof name.s, "%.24s", m->name[i]);
        fprintf(to, "%-24s", cli_shown(name.s));
        for (size_t j = 0; j < m->n; j++) fprintf(to, "  %6.3f", m->value[i][j]);
        fprintf(to, "\n");
    }
    cli_lines_end(to, stdout);
}
