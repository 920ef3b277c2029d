/* See svg.h. */
#include "base/svg.h"

#include <math.h>
#include <stdlib.h>

#include "base/characters.h"
#include "base/error.h"
#include "base/files.h"

/* Text with what XML reserves written as entities, and what it does not allow as '?'. */
static void escape(clm_text *t, const char *s) {
    char *text = clm_strdup(s);
    if (text) clm_printable(text);
    t->failed |= !text;
    for (const char *c = text; c && *c; c++) {
        if (*c == '&' || *c == '<' || *c == '>')
            clm_text_add(t, "&#%d;", *c);
        else
            clm_text_add(t, "%c", *c);
    }
    free(text);
}

void clm_svg_open(clm_text *t, int width, int height, int left, const char *title, const char *subtitle) {
    clm_text_add(t,
                 "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' viewBox='0 0 %d %d' font-family='sans-serif' "
                 "font-size='12' fill='#333'>\n",
                 width, height, width, height);
    clm_text_add(t, "<rect width='100%%' height='100%%' fill='white'/>\n<text x='%d' y='26' font-size='17' font-weight='bold'>",
                 left);
    escape(t, title);
    if (subtitle) {
        clm_text_add(t, "</text>\n<text x='%d' y='44' fill='#666'>", left);
        escape(t, subtitle);
    }
    clm_text_add(t, "</text>\n");
}

clm_status clm_svg_write(clm_text *t, const char *path) {
    clm_text_add(t, "</svg>\n");
    return t->failed ? clm_fail(CLM_E_MEMORY, "out of memory") : clm_file_write(path, t->data, t->length);
}

double clm_svg_step(double range, int count) {
    double raw = range / count, power = pow(10, floor(log10(raw))), m = raw / power;
    return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}
