/* Results of tuning as lines of the database of choices: see database.h. */
#include <stdio.h>

#include "clmaml/tune.h"
#include "ops/choice.h"
#include "tune/database.h"
#include "tune/store.h"

typedef struct writer {
    const clm_device_info *device;
    void (*line)(void *user, const char *text);
    void *user;
    size_t written, kept;
} writer;

static void write_entry(void *user, const char *key, const clm_tune_entry *e) {
    writer *w = user;
    char choice[CLM_DATABASE_CHOICE], text[1024];
    if (!e->tried || !clm_choice_stored_text(key, e, choice, sizeof choice)) return; /* also plans and libraries' parameters */
    if (!(e->seconds < e->default_seconds)) {
        w->kept++;
        return;
    }
    if (!w->written++) w->line(w->user, clm_database_device(w->device, text, sizeof text));
    snprintf(text, sizeof text, "%s | %d | %s | %.3g %.3g", key, e->tasks, choice, e->seconds, e->default_seconds);
    w->line(w->user, text);
}

clm_status clm_tune_export(clm_device *device, void (*line)(void *user, const char *text), void *user, size_t *kept) {
    writer w = {.device = clm_device_get_info(device), .line = line, .user = user};
    const clm_status status = clm_tune_each(device, write_entry, &w);
    if (kept) *kept = w.kept;
    return status;
}
