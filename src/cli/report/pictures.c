/* Support and query pictures of the first test task that the run's seed names, and the predictions before and after adaptation.
 * A picture is shown as it was before its values were prepared for the model.
 */
#include "report/pictures.h"

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/drivers.h"
#include "base/system.h"
#include "config/checkpoint.h"
#include "config/setup.h"
#include "config/sources.h"
#include "selftest/first_use.h"

enum { MOST_WAYS = 20, MOST_SHOWN = 3, QUERY = 2 };

typedef struct strip {
    cli_checkpoint checkpoint;
    clm_source *source;
    clm_learner *learner;
    clm_learner_info info;
    int ways, shots, query;
    float *support_x, *support_y, *query_x, *query_y;
    double *before, *after;
    char (*names)[CLI_PATH_MAX]; /* [ways]; "": the source has none */
    bool named;
    char changed[2048]; /* how the data differ from those of the run; "" */
} strip;

static void strip_close(strip *s) {
    free(s->support_x), free(s->support_y), free(s->query_x), free(s->query_y);
    free(s->before), free(s->after), free(s->names);
    clm_learner_free(s->learner);
    clm_source_free(s->source);
    cli_checkpoint_close(&s->checkpoint);
}

/* ---- the task ---- */

/* Which checkpoint a command should name instead is nothing for a page. */
static clm_status open_checkpoint(strip *s, const report_run *run) {
    char path[CLI_PATH_MAX];
    CLI_TRY(clm_train_checkpoint_path(path, sizeof path, run->name, 0));
    if (cli_path_exists(path)) CLI_TRY(clm_train_check_best(run->name, 0));
    const clm_status status = cli_checkpoint_find(path, sizeof path, run->name, false);
    if (status == CLM_E_IO) return cli_fail(status, "the run holds no checkpoint");
    CLI_TRY(status);
    return cli_checkpoint_load(&s->checkpoint, path);
}

static clm_status open_learner(strip *s, clm_device **device, const char *spec) {
    clm_load_options o = CLM_LOAD_OPTIONS_INIT;
    o.ways = s->ways;
    o.support = s->ways * s->shots;
    o.query = s->ways * s->query;
    if (!*device) CLI_TRY(cli_tested_open(device, spec[0] ? spec : NULL, false));
    cli_environment_default("CLMAML_CPU_TEAM", "1"); /* used once */
    CLI_TRY(clm_learner_load_archive(&s->learner, *device, s->checkpoint.archive, &o));
    s->info = clm_learner_get_info(s->learner);
    return CLM_OK;
}

/* The same task once more, its labels numbers of classes of the split: so each of its own labels gets the name of a class. */
static clm_status name_classes(strip *s, uint64_t seed) {
    clm_episode_options o = CLM_EPISODE_OPTIONS_INIT;
    clm_status status = CLM_OK;
    float *numbers = NULL;
    const size_t n = (size_t)s->ways * (size_t)s->shots, classes = clm_source_classes(s->source, CLM_SPLIT_TEST);
    CLI_NEW(s->names, (size_t)s->ways);
    if (classes == SIZE_MAX) goto out; /* endless: they have no names */
    CLI_NEW(numbers, n);
    o.ways = s->ways;
    o.shots = s->shots;
    o.query = s->query;
    o.joint_classes = classes;
    CLI_GOTO(clm_source_draw(s->source, CLM_SPLIT_TEST, seed, 0, &o, &(clm_episode){.support_y = numbers}));
    s->named = true;
    for (size_t i = 0; i < n; i++) {
        char *name = s->names[(size_t)s->support_y[i]];
        clm_source_class_name(s->source, CLM_SPLIT_TEST, (size_t)numbers[i], name, CLI_PATH_MAX);
        s->named = s->named && name[0];
    }
out:
    free(numbers);
    return status;
}

static clm_status draw_task(strip *s, uint64_t seed) {
    clm_status status = CLM_OK;
    const clm_preparation *p = &s->info.preparation;
    const size_t size = (size_t)p->channels * (size_t)p->size * (size_t)p->size;
    const size_t support = (size_t)s->ways * (size_t)s->shots, query = (size_t)s->ways * (size_t)s->query;
    CLI_NEW(s->support_x, support * size);
    CLI_NEW(s->support_y, support);
    CLI_NEW(s->query_x, query * size);
    CLI_NEW(s->query_y, query);
    CLI_NEW(s->before, query * s->info.outputs);
    CLI_NEW(s->after, query * s->info.outputs);
    CLI_GOTO(clm_source_sample(s->source, CLM_SPLIT_TEST, seed, 0, s->ways, s->shots, s->query, s->support_x, s->support_y,
                               s->query_x, s->query_y));
    if (s->info.initialisations > 1) /* says where to begin */
        CLI_GOTO(clm_learner_adapt(s->learner, s->support_x, s->support_y));
    CLI_GOTO(name_classes(s, seed));
    CLI_GOTO(clm_learner_begin(s->learner, s->support_x, s->support_y));
    CLI_GOTO(clm_learner_predict(s->learner, s->query_x, query, s->before));
    CLI_GOTO(clm_learner_adapt(s->learner, s->support_x, s->support_y));
    CLI_GOTO(clm_learner_predict(s->learner, s->query_x, query, s->after));
out:
    return status;
}

/* What does not suit a strip is a failure like others: its message becomes the line. */
static clm_status strip_open(strip *s, const report_run *run, clm_device **device, const char *spec) {
    clm_preparation said;
    if (!run->has_settings) return cli_fail(CLM_E_ARG, "the run was not made by this program, which cannot open its data");
    CLI_TRY(open_checkpoint(s, run));
    const cli_settings *of = &s->checkpoint.settings;
    if (cli_source_of(of->source)->regression) return cli_fail(CLM_E_ARG, "the run does not learn from pictures");
    if (of->beside[0]) return cli_fail(CLM_E_ARG, "pictures of several sources, padded to one shape, are not shown");
    if (clm_archive_get_preparation(s->checkpoint.archive, &said) != CLM_OK)
        return cli_fail(CLM_E_ARG, "the checkpoint does not say how pictures are prepared");
    if (of->ways > MOST_WAYS) return cli_fail(CLM_E_LIMIT, "%lld ways are too many to be shown", (long long)of->ways);
    CLI_TRY(cli_setup_source(&s->source, of));
    cli_checkpoint_note_data(&s->checkpoint, s->source, run->name);
    clm_train_data_changed(s->checkpoint.archive, s->source, s->changed, sizeof s->changed);
    s->ways = (int)of->ways;
    s->shots = (int)of->shots;
    for (s->query = QUERY; s->query > 1; s->query--)
        if (clm_source_check(s->source, CLM_SPLIT_TEST, s->ways, s->shots, s->query) == CLM_OK) break;
    CLI_TRY(clm_source_check(s->source, CLM_SPLIT_TEST, s->ways, s->shots, s->query));
    CLI_TRY(open_learner(s, device, spec));
    const clm_preparation *p = &s->info.preparation;
    const clm_shape shape = clm_source_example_shape(s->source);
    if (shape.rank != 3 || shape.dim[0] != p->channels || shape.dim[1] != p->size || shape.dim[2] != p->size ||
        (p->channels != 1 && p->channels != 3) || s->info.ways < s->ways)
        return cli_fail(CLM_E_SHAPE, "the pictures of the data are not those that the model takes");
    return draw_task(s, (uint64_t)of->seed);
}

/* ---- a picture ---- */

static void to_bytes(const clm_preparation *p, const float *x, unsigned char *bytes) {
    const size_t area = (size_t)p->size * (size_t)p->size, channels = (size_t)p->channels;
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < channels; c++) {
            const double v = (double)x[c * area + i] * p->deviation[c] + p->mean[c], shown = p->invert ? 1 - v : v;
            bytes[i * channels + c] = (unsigned char)lround(255 * fmin(1, fmax(0, shown)));
        }
}

static void add_png(page *p, const clm_preparation *how, const float *x, const char *alt) {
    const size_t size = (size_t)how->channels * (size_t)how->size * (size_t)how->size;
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)how->size,
                       .height = (png_uint_32)how->size,
                       .format = how->channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
    unsigned char *bytes = malloc(size), *file = NULL;
    png_alloc_size_t length = PNG_IMAGE_PNG_SIZE_MAX(image);
    if (!bytes || !(file = malloc(length))) {
        p->failed = true;
    } else {
        to_bytes(how, x, bytes);
        if (png_image_write_to_memory(&image, file, &length, 0, bytes, 0, NULL)) {
            page_add(p, "<img alt=\"");
            page_escape(p, alt);
            page_add(p, "\" src=\"data:image/png;base64,");
            page_base64(p, file, length);
            page_add(p, "\">");
        } else {
            page_add(p, "<em>no picture</em>");
        }
    }
    free(bytes);
    free(file);
}

/* ---- the strip ---- */

static int best(const strip *s, const double *outputs, size_t i) {
    const double *row = outputs + i * s->info.outputs;
    int at = -1;
    for (int k = 0; k < s->ways; k++)
        if (isfinite(row[k]) && (at < 0 || row[k] > row[at])) at = k;
    return at;
}

/* The name of a class, or its number within the task where classes have none. */
static const char *class_text(const strip *s, int label, char *text, size_t size) {
    if (s->named)
        snprintf(text, size, "%s", s->names[label]);
    else
        snprintf(text, size, "%d", label + 1);
    return text;
}

static void add_verdict(page *p, const strip *s, const char *when, int said, int truth) {
    char text[CLI_PATH_MAX];
    page_add(p, "<br>%s: ", when);
    if (said < 0) {
        page_add(p, "not finite");
        return;
    }
    page_add(p, "<span class=\"%s\">", said == truth ? "right" : "wrong");
    page_escape(p, class_text(s, said, text, sizeof text));
    page_add(p, "&#160;%s</span>", said == truth ? "✓" : "✗");
}

static void add_support(page *p, const strip *s, int label, size_t size) {
    int shown = 0;
    for (int i = 0; i < s->ways * s->shots; i++) {
        if ((int)s->support_y[i] != label || ++shown > MOST_SHOWN) continue;
        char alt[CLI_PATH_MAX + 32], name[CLI_PATH_MAX];
        snprintf(alt, sizeof alt, "support picture of class %s", class_text(s, label, name, sizeof name));
        add_png(p, &s->info.preparation, s->support_x + (size_t)i * size, alt);
    }
    if (shown > MOST_SHOWN) page_add(p, " and %d more", shown - MOST_SHOWN);
}

static void add_queries(page *p, const strip *s, int label, size_t size) {
    for (int i = 0; i < s->ways * s->query; i++) {
        char alt[CLI_PATH_MAX + 32], name[CLI_PATH_MAX];
        if ((int)s->query_y[i] != label) continue;
        snprintf(alt, sizeof alt, "query picture of class %s", class_text(s, label, name, sizeof name));
        page_add(p, "<div class=\"query\">");
        add_png(p, &s->info.preparation, s->query_x + (size_t)i * size, alt);
        page_add(p, "<span>");
        if (s->info.steps > 0) add_verdict(p, s, "before", best(s, s->before, (size_t)i), label);
        add_verdict(p, s, s->info.steps > 0 ? "after" : "says", best(s, s->after, (size_t)i), label);
        page_add(p, "</span></div>");
    }
}

static void add_strip(page *p, const strip *s) {
    const clm_preparation *how = &s->info.preparation;
    const size_t size = (size_t)how->channels * (size_t)how->size * (size_t)how->size;
    page_add(p, s->named ? "<p>" : "<p>The data have no names for classes, which are numbered within the task. ");
    if (s->info.steps > 0)
        page_add(p, "Of each query picture stands what the model says before adaptation and after %d inner step%s.</p>\n",
                 s->info.steps, s->info.steps == 1 ? "" : "s");
    else
        page_add(p, "The algorithm has no inner steps: it compares with the support set at once.</p>\n");
    page_add(p, "<div class=\"scroll\"><table class=\"strip "
                "stack\"><thead><tr><th>class</th><th>support</th><th>query</th></tr></thead>"
                "<tbody>\n");
    for (int label = 0; label < s->ways; label++) {
        char name[CLI_PATH_MAX];
        page_add(p, "<tr><th class=\"class\">");
        page_escape(p, class_text(s, label, name, sizeof name));
        page_add(p, "</th><td>");
        add_support(p, s, label, size);
        page_add(p, "</td><td>");
        add_queries(p, s, label, size);
        page_add(p, "</td></tr>\n");
    }
    page_add(p, "</tbody></table></div>\n");
}

static void add_changed(page *p, const strip *s) {
    if (!s->changed[0]) return;
    page_add(p, "<p class=\"note\">");
    page_escape(p, s->changed);
    page_add(p, "</p>\n");
}

/* The picture that a regression has drawn of its test tasks. An image in a page runs nothing. */
static bool add_fits(page *p, const report_run *run) {
    char path[CLI_PATH_MAX], *text = NULL;
    const bool found =
        cli_path(path, run->name, "fits.svg") == CLM_OK && cli_path_exists(path) && cli_file_read(path, &text) == CLM_OK;
    if (found) {
        page_add(p,
                 "<h3>Test tasks</h3>\n<figure class=\"fits\"><img alt=\"curves of test tasks, and what the model says before "
                 "and after adaptation\" src=\"data:image/svg+xml;base64,");
        page_base64(p, (const unsigned char *)text, strlen(text));
        page_add(p, "\"></figure>\n");
    }
    cli_forget();
    free(text);
    return found;
}

void pictures_add(page *p, const report_run *run, clm_device **device, const char *spec) {
    if (add_fits(p, run)) return;
    strip *s = calloc(1, sizeof *s);
    page_add(p, "<h3>A test task</h3>\n");
    if (!s) {
        p->failed = true;
    } else if (strip_open(s, run, device, spec) == CLM_OK) {
        add_changed(p, s);
        add_strip(p, s);
    } else {
        add_changed(p, s);
        page_add(p, "<p class=\"note\">No pictures: ");
        page_escape(p, cli_message());
        page_add(p, ".</p>\n");
        cli_forget();
    }
    if (s) strip_close(s);
    free(s);
}
