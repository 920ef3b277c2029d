/* Progress of a run. On a terminal one line is redrawn at most ten times a second and never wraps; elsewhere a plain line appears
 * every ten seconds, so that a log stays readable. */
#include "train/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/lines.h"
#include "base/system.h"

void cli_progress_begin(cli_progress *p, uint64_t start, uint64_t total, bool regression) {
    memset(p, 0, sizeof *p);
    p->start = start;
    p->total = total;
    p->started = p->last_line = cli_clock();
    p->terminal = cli_can_redraw(stdout);
    p->regression = regression;
}

static cli_text score_text(double score, bool regression, bool brief) {
    cli_text text;
    if (!isfinite(score))
        snprintf(text.s, sizeof text.s, "not finite");
    else if (regression)
        snprintf(text.s, sizeof text.s, brief ? "%.2g" : "%.3g", score);
    else
        snprintf(text.s, sizeof text.s, "%.0f", 100 * score);
    return text;
}

/* "20->84 %", or "3.12->0.42"; shorter where room is short. Without `before`, "84 %"; without both, which are not measured yet, "-" */
static void change_text(char *text, size_t size, double before, double after, bool regression, bool brief) {
    const char *unit = regression || !isfinite(after) ? "" : brief ? "%" : " %";
    if (isnan(before) && isnan(after))
        snprintf(text, size, "-");
    else if (isnan(before))
        snprintf(text, size, "%s%s", score_text(after, regression, brief).s, unit);
    else
        snprintf(text, size, "%s->%s%s", score_text(before, regression, brief).s, score_text(after, regression, brief).s, unit);
}

static cli_text loss_text(double loss, bool brief) {
    cli_text text;
    if (!isfinite(loss))
        snprintf(text.s, sizeof text.s, "not finite");
    else if (brief)
        snprintf(text.s, sizeof text.s, "%.3g", loss);
    else
        snprintf(text.s, sizeof text.s, fabs(loss) < 1e4 ? "%.4f" : "%.4g", loss);
    return text;
}

static void describe(const cli_progress *p, const clm_train_progress *s, bool brief, char *text, size_t size) {
    static const char whole[] = "%llu/%llu  loss %s  support %s  query %s  %.1f tasks/s  %s left",
                      short_form[] = "%llu/%llu loss %s sup %s qry %s %.0f tasks/s %s left";
    char support[160], query[160];
    double elapsed = cli_clock() - p->started;
    uint64_t done = s->iteration - p->start;
    double left = done > 0 ? elapsed / (double)done * (double)(p->total - s->iteration) : 0;
    change_text(support, sizeof support, s->support_before, s->support_after, p->regression, brief);
    change_text(query, sizeof query, s->query_before, s->query_after, p->regression, brief);
    snprintf(text, size, brief ? short_form : whole, (unsigned long long)s->iteration, (unsigned long long)p->total,
             loss_text(s->loss, brief).s, support, query, s->tasks_per_second, done > 0 ? cli_duration(left).s : "?");
}

static void draw_bar(cli_progress *p, const clm_train_progress *s) {
    enum { SHORTEST = 6, LONGEST = 24 };
    char text[512], bar[LONGEST + 1];
    describe(p, s, false, text, sizeof text);
    int width = cli_terminal_width(stdout), room = width - (int)strlen(text) - 5;
    if (room < SHORTEST) {
        describe(p, s, true, text, sizeof text);
        room = width - (int)strlen(text) - 5;
    }
    int length = room > LONGEST ? LONGEST : room < 0 ? 0 : room;
    int full = p->total > 0 ? (int)((double)length * (double)s->iteration / (double)p->total) : length;
    memset(bar, ' ', sizeof bar);
    for (int i = 0; i < full; i++) bar[i] = i + 1 == full && full < length ? '>' : '=';
    bar[length] = 0;
    if (length >= SHORTEST)
        printf("\r\033[K[%s] %s", bar, text);
    else
        printf("\r\033[K%.*s", width - 1, text);
    fflush(stdout);
    p->drawn = true;
}

void cli_progress_update(cli_progress *p, const clm_train_progress *s) {
    double now = cli_clock();
    if (p->terminal) {
        if (p->drawn && now - p->last_draw < 0.1) return;
        p->last_draw = now;
        draw_bar(p, s);
    } else if (now - p->last_line >= 10) {
        char text[512];
        p->last_line = now;
        p->printed = s->iteration;
        describe(p, s, false, text, sizeof text);
        printf("%s\n", text);
        fflush(stdout);
    }
}

void cli_progress_clear(cli_progress *p) {
    if (p->drawn) printf("\r\033[K");
    p->drawn = false;
}

void cli_progress_say(cli_progress *p, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cli_progress_clear(p);
    cli_line(stdout, "%s\n", text);
    fflush(stdout);
}

void cli_progress_end(cli_progress *p, const clm_train_progress *s) {
    char text[512];
    if (s->iteration > p->start && s->iteration != p->printed) {
        describe(p, s, false, text, sizeof text);
        cli_progress_say(p, "%s", text);
    } else if (p->drawn) {
        cli_progress_say(p, "%s", "");
    }
}
