/* Reading the database of choices: see database.h. */
#include "tune/database.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { DEVICE_FIELDS = 6, LINE_FIELDS = 4 };

typedef struct row {
    char *operation, *choice;
    int tasks;
    size_t section;
} row;

struct clm_database {
    row *rows;
    size_t count, capacity, sections;
};

typedef struct field {
    const char *at;
    size_t length;
} field;

/* Where reading is. */
typedef struct reader {
    const char *file;
    int number;   /* of the line */
    bool section; /* there is one */
    bool wanted;  /* it is for the device */
} reader;

static clm_status wrong(const reader *r, const char *what) {
    return clm_fail(CLM_E_ARG, "%s, line %d: %s", r->file, r->number, what);
}

static const char *const types[] = {"host", "cpu", "gpu", "accelerator"};

static bool same(field f, const char *text) { return strlen(text) == f.length && !memcmp(text, f.at, f.length); }

/* Does a text match a pattern in which * stands for anything? */
static bool matches(field p, const char *text) {
    size_t i = 0, star = SIZE_MAX;
    const char *retry = NULL;
    while (*text) {
        if (i < p.length && p.at[i] == '*') {
            star = i++;
            retry = text;
        } else if (i < p.length && p.at[i] == *text) {
            i++;
            text++;
        } else if (star != SIZE_MAX) {
            i = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (i < p.length && p.at[i] == '*') i++;
    return i == p.length;
}

static field trimmed(const char *at, size_t length) {
    while (length && isspace((unsigned char)*at)) at++, length--;
    while (length && isspace((unsigned char)at[length - 1])) length--;
    return (field){at, length};
}

/* Between bars; returns how many, and no more than `most`. */
static int split(field text, field *out, int most) {
    int n = 0;
    const char *end = text.at + text.length;
    for (const char *at = text.at; n < most; n++) {
        const char *bar = memchr(at, '|', (size_t)(end - at));
        if (n + 1 == most && bar) return 0; /* too many */
        out[n] = trimmed(at, (size_t)((bar ? bar : end) - at));
        if (!bar) return n + 1;
        at = bar + 1;
    }
    return n;
}

static clm_status read_device(reader *r, field rest, const clm_device_info *d) {
    field f[DEVICE_FIELDS + 1];
    char units[16];
    bool known = false;
    if (split(rest, f, DEVICE_FIELDS + 1) != DEVICE_FIELDS)
        return wrong(r, "a section begins with: device TYPE | VENDOR | NAME | PLATFORM | DRIVER | UNITS");
    for (int i = 1; i < 4; i++) known = known || same(f[0], types[i]);
    if (!known) return wrong(r, "the type of a device is cpu, gpu or accelerator");
    snprintf(units, sizeof units, "%u", d->compute_units);
    r->section = true;
    r->wanted = same(f[0], types[d->type]) && matches(f[1], d->vendor) && matches(f[2], d->name) &&
                matches(f[3], d->platform) && matches(f[4], d->driver) && matches(f[5], units);
    return CLM_OK;
}

/* A power of two; 0: it is none. */
static int number_of_tasks(field f) {
    int n = 0;
    for (size_t i = 0; i < f.length; i++) {
        if (!isdigit((unsigned char)f.at[i]) || i == 9) return 0;
        n = 10 * n + (f.at[i] - '0');
    }
    return n & (n - 1) ? 0 : n;
}

static size_t word_length(const char *text) { return strcspn(text, " "); }

/* Another implementation of the same operation in the section? */
static bool contradicts(const clm_database *b, const row *l) {
    for (size_t i = b->count; i-- > 0 && b->rows[i].section == l->section;) {
        const row *other = &b->rows[i];
        const size_t n = word_length(other->choice);
        if (!strcmp(other->operation, l->operation) &&
            (n != word_length(l->choice) || memcmp(other->choice, l->choice, n) != 0))
            return true;
    }
    return false;
}

static clm_status keep(clm_database *b, reader *r, field operation, field choice, int tasks) {
    CLM_TRY(clm_grow(&b->rows, &b->capacity, b->count + 1, sizeof *b->rows));
    row l = {.tasks = tasks, .section = b->sections};
    l.operation = clm_format("%.*s", (int)operation.length, operation.at);
    l.choice = clm_format("%.*s", (int)choice.length, choice.at);
    const bool bad = l.operation && l.choice && contradicts(b, &l);
    if (!l.operation || !l.choice || bad) {
        free(l.operation);
        free(l.choice);
        return bad ? wrong(r, "the section has another implementation of this operation for another number of tasks")
                   : CLM_E_MEMORY;
    }
    b->rows[b->count++] = l;
    return CLM_OK;
}

static clm_status read_choice(clm_database *b, reader *r, field text) {
    field f[LINE_FIELDS + 1];
    const int n = split(text, f, LINE_FIELDS + 1);
    if (!r->section) return wrong(r, "a choice before the first line that begins with 'device'");
    if (n != LINE_FIELDS || !f[0].length || !f[2].length || f[0].length > 511 || f[2].length >= CLM_DATABASE_CHOICE)
        return wrong(r, "a choice is OPERATION | TASKS | CHOICE | SECONDS DEFAULT");
    const int tasks = number_of_tasks(f[1]);
    if (!tasks) return wrong(r, "the number of tasks is 1, 2, 4, 8 or another power of two");
    return r->wanted ? keep(b, r, f[0], f[2], tasks) : CLM_OK;
}

static clm_status read_line(clm_database *b, reader *r, field text, const clm_device_info *d) {
    static const char begins[] = "device ";
    const size_t n = sizeof begins - 1;
    if (!text.length || *text.at == '#') return CLM_OK;
    if (text.length < n || memcmp(text.at, begins, n) != 0) return read_choice(b, r, text);
    b->sections++;
    return read_device(r, (field){text.at + n, text.length - n}, d);
}

clm_status clm_database_read(clm_database **database, const char *text, const char *file, const clm_device_info *device) {
    reader r = {.file = file};
    if (!*database && !(*database = clm_calloc(1, sizeof **database))) return CLM_E_MEMORY;
    for (const char *at = text; *at;) {
        const size_t length = strcspn(at, "\n");
        r.number++;
        CLM_TRY(read_line(*database, &r, trimmed(at, length), device));
        at += length + (at[length] == '\n');
    }
    return CLM_OK;
}

void clm_database_free(clm_database *b) {
    if (!b) return;
    for (size_t i = 0; i < b->count; i++) {
        free(b->rows[i].operation);
        free(b->rows[i].choice);
    }
    free(b->rows);
    free(b);
}

static double distance(int a, int b) { return a > b ? (double)a / b : (double)b / a; }

const char *clm_database_find(const clm_database *b, const char *operation, int tasks) {
    const row *best = NULL;
    for (size_t i = b ? b->count : 0; i-- > 0;) {
        const row *l = &b->rows[i];
        if (best && l->section != best->section) break;
        if (strcmp(l->operation, operation) != 0) continue;
        if (!best || distance(l->tasks, tasks) < distance(best->tasks, tasks)) best = l;
    }
    return best ? best->choice : NULL;
}

/* What would end a field stands for anything. */
static void add_pattern(clm_text *to, const char *text) {
    clm_text_add(to, " | ");
    for (; *text; text++) clm_text_add(to, "%c", *text == '|' || iscntrl((unsigned char)*text) ? '*' : *text);
}

const char *clm_database_device(const clm_device_info *d, char *text, size_t size) {
    clm_text line = {0};
    char driver[sizeof d->driver + 2], units[16];
    snprintf(driver, sizeof driver, "%s", d->driver);
    char *dot = strchr(driver, '.');
    if (dot) snprintf(dot, sizeof driver - (size_t)(dot - driver), ".*");
    snprintf(units, sizeof units, "%u", d->compute_units);
    const char *const fields[] = {d->vendor, d->name, d->platform, driver, units};
    clm_text_add(&line, "device %s", types[d->type]);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) add_pattern(&line, fields[i]);
    snprintf(text, size, "%s", line.data ? line.data : "");
    clm_text_free(&line);
    return text;
}
