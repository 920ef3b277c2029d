/* `clmaml predict`: which class each picture belongs to. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/system.h"
#include "config/pretrained.h"
#include "config/settings.h"
#include "use/pictures.h"
#include "use/use.h"

typedef struct predict_settings {
    char model[CLI_PATH_MAX], support[CLI_PATH_MAX], device[CLI_PATH_MAX];
    int64_t top, steps;
    bool json, csv, force;
} predict_settings;

#define AT(field) offsetof(predict_settings, field)

static const cli_option options[] = {
    {"Options", "model", CLI_TEXT, 0, AT(model), 0, 0, "NAME",
     "with --support: a pretrained model instead of a run; `clmaml pretrained` lists them"},
    {NULL, "support", CLI_TEXT, 0, AT(support), 0, 0, "FOLDER",
     "of a run or a checkpoint: a folder of pictures for each class, learned first"},
    {NULL, "top", CLI_INT, 0, AT(top), 1, 1000, "N", "classes to tell for each picture, the most probable first"},
    {NULL, "steps", CLI_INT, 0, AT(steps), CLI_AUTO, CLI_MAX_STEPS, "K|auto",
     "with --support: inner steps; auto: as the run tested with"},
    {NULL, "json", CLI_FLAG, 0, AT(json), 0, 0, "", "print a JSON array"},
    {NULL, "csv", CLI_FLAG, 0, AT(csv), 0, 0, "",
     "print CSV, with ? for control characters in names and ' before one that would be a formula"},
    {NULL, "device", CLI_TEXT, 0, AT(device), 0, 0, "WHICH", CLI_DEVICE_HELP},
    {NULL, "force", CLI_FLAG, 0, AT(force), 0, 0, "", CLI_FORCE_HELP},
    {.name = NULL},
};
static const predict_settings defaults = {.top = 1, .steps = -1};

typedef struct ranked {
    size_t class_index;
    double probability;
} ranked;

typedef struct prediction {
    const predict_settings *settings;
    cli_use use;
    cli_pictures pictures;
    float *x;        /* [query, example] */
    double *outputs; /* [query, outputs] */
    ranked *classes; /* [outputs] */
    json_t *list;
    size_t told, failed, passed_over; /* pictures; files that were named, and of folders, that could not be read */
} prediction;

static int by_probability(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->probability != y->probability) return x->probability < y->probability ? 1 : -1;
    return (x->class_index > y->class_index) - (x->class_index < y->class_index);
}

/* Softmax, best first. */
static void rank(const double *out, size_t n, ranked *to) {
    double most = out[0], sum = 0;
    for (size_t i = 1; i < n; i++) most = fmax(most, out[i]);
    for (size_t i = 0; i < n; i++) sum += exp(out[i] - most);
    for (size_t i = 0; i < n; i++) to[i] = (ranked){i, exp(out[i] - most) / sum};
    qsort(to, n, sizeof *to, by_probability);
}

static const char *name_of(const prediction *p, size_t i) {
    static char number[32];
    const char *name = cli_use_name(&p->use, p->classes[i].class_index);
    snprintf(number, sizeof number, "%zu", p->classes[i].class_index);
    return name && *name ? name : number;
}

/* ---- what is printed ---- */

static void print_quoted(const char *before, const char *text) {
    printf("\"%s", before);
    for (text = cli_shown(text); *text; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static size_t shown(const prediction *p) {
    return (size_t)p->settings->top < p->use.info.outputs ? (size_t)p->settings->top : p->use.info.outputs;
}

static void print_text(const prediction *p, const char *file) {
    FILE *to = cli_lines_begin(stdout);
    fprintf(to, "%s", cli_shown(file));
    for (size_t i = 0; i < shown(p); i++)
        fprintf(to, "%s%s %.1f %%", i ? ", " : "  ", cli_shown(name_of(p, i)), 100 * p->classes[i].probability);
    fputc('\n', to);
    cli_lines_end(to, stdout);
}

static void print_csv_head(const prediction *p) {
    printf("file,class,probability");
    for (size_t i = 1; i < shown(p); i++) printf(",class_%zu,probability_%zu", i + 1, i + 1);
    putchar('\n');
}

static void print_csv(const prediction *p, const char *file) {
    print_quoted(*cli_csv_guard(file) ? "./" : "", file); /* the same file, and no formula */
    for (size_t i = 0; i < shown(p); i++) {
        putchar(',');
        print_quoted(cli_csv_guard(name_of(p, i)), name_of(p, i));
        printf(",%.9g", p->classes[i].probability);
    }
    putchar('\n');
}

static void set_class(json_t *object, const prediction *p, size_t i) {
    cli_json_set(object, "class", json_string(name_of(p, i)));
    cli_json_set(object, "probability", json_real(p->classes[i].probability));
}

static json_t *class_object(const prediction *p, size_t i) {
    json_t *object = json_object();
    set_class(object, p, i);
    return object;
}

static void add_json(prediction *p, const char *file) {
    json_t *object = json_object(), *top = json_array();
    cli_json_set(object, "file", cli_json_path(file));
    set_class(object, p, 0);
    for (size_t i = 0; i < shown(p); i++) cli_json_append(top, class_object(p, i));
    cli_json_set(object, "top", top);
    cli_json_append(p->list, object);
}

/* ---- the pictures ---- */

static clm_status predict_batch(prediction *p, char *const *files, size_t n) {
    CLI_TRY(clm_learner_predict(p->use.learner, p->x, n, p->outputs));
    for (size_t i = 0; i < n; i++) {
        rank(p->outputs + i * p->use.info.outputs, p->use.info.outputs, p->classes);
        if (!isfinite(p->classes[0].probability))
            return cli_fail(CLM_E_NUMERIC, "%s: the model's outputs are not finite; was its training?", files[i]);
        p->told++;
        if (p->settings->json)
            add_json(p, files[i]);
        else
            (p->settings->csv ? print_csv : print_text)(p, files[i]);
    }
    return CLM_OK;
}

/* What cannot be read does not keep the others from being told. A folder may hold many files that are no pictures. */
static void leave_out(prediction *p, bool asked) {
    enum { NAMED = 5 };
    if (asked || p->passed_over < NAMED) cli_note("left out: %s", cli_message());
    *(asked ? &p->failed : &p->passed_over) += 1;
    if (!asked && p->passed_over == NAMED + 1) cli_note("left out: further files in folders, which cannot be read either");
    cli_forget();
}

static clm_status check_told(const prediction *p) {
    const size_t failed = p->failed + p->pictures.failed; /* while they were read, and as they were named */
    size_t asked = p->pictures.failed;
    for (size_t i = 0; i < p->pictures.count; i++) asked += p->pictures.asked[i];
    if (failed)
        return cli_fail(CLM_E_FORMAT, "%zu of the %zu files named %s left out; see the note%s above", failed, asked,
                        failed == 1 ? "is" : "are", failed == 1 ? "" : "s");
    if (!p->told) return cli_fail(CLM_E_FORMAT, "there is no picture among the %zu files in the folders", p->passed_over);
    return CLM_OK;
}

static clm_status predict_all(prediction *p) {
    const clm_preparation *how = &p->use.info.preparation;
    const size_t size = (size_t)how->channels * (size_t)how->size * (size_t)how->size, most = (size_t)p->use.info.query;
    clm_status status = CLM_OK;
    char **files = NULL;
    size_t n = 0;
    CLI_NEW(files, most);
    for (size_t i = 0; i < p->pictures.count; i++) {
        const clm_status read = clm_image_read(p->pictures.path[i], how, p->x + n * size);
        if (read != CLM_OK) {
            if (p->pictures.count == 1 && p->pictures.asked[i]) CLI_GOTO(read);
            leave_out(p, p->pictures.asked[i]);
            continue;
        }
        files[n++] = p->pictures.path[i];
        if (n < most) continue;
        CLI_GOTO(predict_batch(p, files, n));
        n = 0;
    }
    if (n) CLI_GOTO(predict_batch(p, files, n));
out:
    free(files);
    return status;
}

static clm_status print_list(const prediction *p) {
    char *text = cli_json_text(p->list, JSON_INDENT(2));
    if (!text) return cli_fail(CLM_E_MEMORY, "out of memory");
    cli_stdout_print(text);
    cli_stdout_print("\n");
    free(text);
    return CLM_OK;
}

static clm_status allocate(prediction *p) {
    const clm_learner_info *info = &p->use.info;
    const clm_preparation *how = &info->preparation;
    clm_status status = CLM_OK;
    CLI_NEW(p->x, (size_t)info->query * (size_t)how->channels * (size_t)how->size * (size_t)how->size);
    CLI_NEW(p->outputs, (size_t)info->query * info->outputs);
    CLI_NEW(p->classes, info->outputs);
    if (!(p->list = json_array())) status = cli_fail(CLM_E_MEMORY, "out of memory");
out:
    return status;
}

static clm_status predict(const cli_args *args, prediction *p) {
    const predict_settings *s = p->settings = args->settings;
    const size_t first = s->model[0] ? 0 : 1; /* picture */
    char path[CLI_PATH_MAX];
    if (args->n_positional < first + 1)
        return cli_usage(
            "say what to predict with, and what: clmaml predict MODEL|RUN|--model NAME [--support FOLDER] PICTURE|FOLDER..");
    CLI_TRY(cli_pretrained_or(path, s->model, first ? args->positional[0] : NULL, ""));
    if (s->model[0] && !s->support[0])
        return cli_usage("--model %s: give --support FOLDER, with a folder of pictures for each class", s->model);
    if (s->json && s->csv) return cli_usage("--json and --csv exclude each other");
    if (s->steps >= 0 && !s->support[0]) return cli_usage("--steps is for --support; an adapted model makes none");
    CLI_TRY(cli_pictures_list(&p->pictures, args->positional + first, args->n_positional - first));
    CLI_TRY(cli_use_open(&p->use, path, "the model first: clmaml predict MODEL|RUN PICTURE|FOLDER..",
                         s->support[0] ? s->support : NULL, (int)s->steps, s->device, s->force));
    CLI_TRY(allocate(p));
    if (s->csv) cli_stdout_guard(false); /* from here on lines are printed as they come */
    if (s->csv) print_csv_head(p);
    const clm_status status = predict_all(p);
    if (s->csv) cli_stdout_guard(true);
    CLI_TRY(status);
    if (s->json) CLI_TRY(print_list(p));
    return check_told(p);
}

static int run_predict(cli_args *args) {
    prediction p = {0};
    const int exit_status = cli_exit(predict(args, &p));
    cli_pictures_free(&p.pictures);
    cli_use_close(&p.use);
    json_decref(p.list);
    free(p.x);
    free(p.outputs);
    free(p.classes);
    return exit_status;
}

const cli_command cli_predict = {
    .name = "predict",
    .synopsis = "MODEL|RUN|--model NAME [--support FOLDER] PICTURE|FOLDER.. [--option value ..]",
    .summary = "tell the classes of pictures apart",
    .details =
        "Takes a model that `clmaml adapt` wrote, or a run with --support, and says of every picture, and of every picture in "
        "the folders, which class it belongs to. What is said of one does not depend on the others.",
    .options = options,
    .settings_size = sizeof(predict_settings),
    .defaults = &defaults,
    .max_positional = SIZE_MAX,
    .run = run_predict,
};
