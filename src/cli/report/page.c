/* The text of a page: growing, escaping, numbers in words. */
#include "report/page.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/characters.h"

void page_free(page *p) {
    free(p->text);
    memset(p, 0, sizeof *p);
}

static bool make_room(page *p, size_t more) {
    if (p->failed) return false;
    if (p->length + more < p->capacity) return true;
    const size_t capacity = 2 * p->capacity + more + 4096;
    char *text = realloc(p->text, capacity);
    if (!text) {
        p->failed = true;
        return false;
    }
    p->text = text;
    p->capacity = capacity;
    return true;
}

void page_add(page *p, const char *format, ...) {
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    const int size = vsnprintf(NULL, 0, format, list);
    if (size < 0) p->failed = true;
    if (size >= 0 && make_room(p, (size_t)size + 1)) {
        vsnprintf(p->text + p->length, (size_t)size + 1, format, again);
        p->length += (size_t)size;
    }
    va_end(again);
    va_end(list);
}

void page_escape(page *p, const char *text) {
    bool shown;
    for (size_t n; text && *text; text += n) {
        n = cli_character(text, &shown);
        if (strchr("&<>\"'`=", *text))
            page_add(p, "&#%d;", *text);
        else if (shown || *text == '\n' || *text == '\t')
            page_add(p, "%.*s", (int)n, text);
        else
            page_add(p, "&#65533;");
    }
}

void page_base64(page *p, const unsigned char *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const size_t n = size - i < 3 ? size - i : 3;
        const unsigned v = (unsigned)bytes[i] << 16 | (n > 1 ? (unsigned)bytes[i + 1] << 8 : 0) | (n > 2 ? bytes[i + 2] : 0);
        page_add(p, "%c%c%c%c", digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=',
                 n > 2 ? digits[v & 63] : '=');
    }
}

/* Digits that count, in a plain number where one can be read: 44780, not 4.478e+04. */
void page_number(page *p, double value, int digits) {
    char text[32];
    snprintf(text, sizeof text, "%.*g", digits, value);
    const double rounded = strtod(text, NULL);
    if (fabs(rounded) < 1e9 && strchr(text, 'e') && fabs(rounded) >= 1)
        page_add(p, "%.0f", rounded);
    else
        page_add(p, "%s", text);
}

void page_value(page *p, double mean, bool percent) {
    if (!isfinite(mean))
        page_add(p, "not finite");
    else if (percent)
        page_add(p, "%.2f %%", 100 * mean);
    else
        page_number(p, mean, 4);
}

void page_score(page *p, double mean, double half, bool percent) {
    if (!isfinite(mean))
        page_add(p, "not finite");
    else if (!isfinite(half)) {
        page_value(p, mean, percent);
        page_add(p, " (no interval)");
    } else if (percent) {
        page_add(p, "%.2f ± %.2f %%", 100 * mean, 100 * half);
    } else {
        page_number(p, mean, 4);
        page_add(p, " ± ");
        page_number(p, half, 2);
    }
}
