/* From a run and a folder of examples to a learner that knows the classes in it. */
#include "use/use.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "config/checkpoint.h"
#include "config/folders.h"
#include "selftest/first_use.h"
#include "use/kinds.h"

/* ---- the examples ---- */

/* All classes of the folder, in the values of the model's preparation. */
static clm_status open_support(cli_use *u, const char *folder, const clm_preparation *p) {
    clm_folder_options o = CLM_FOLDER_OPTIONS_INIT;
    o.size = p->size;
    o.channels = p->channels;
    o.fit = p->fit;
    o.invert = p->invert;
    o.background = p->background;
    o.class_split[0] = SIZE_MAX; /* all in one split, where they are not in splits already */
    if (cli_path_exists(folder) && !cli_is_directory(folder) && !cli_is_arrays(folder))
        return cli_usage("--support %s is a file; give a folder that holds a folder of pictures for each class", folder);
    if (cli_is_arrays(folder)) return cli_usage("--support %s: pictures are wanted, a folder for each class", folder);
    clm_status status = clm_source_folder_open(&u->support, folder, &o);
    if (status == CLM_E_ARG && strstr(cli_message(), "class split")) { /* it is in splits already */
        o.class_split[0] = 0;
        status = clm_source_folder_open(&u->support, folder, &o);
    }
    char text[2048]; /* what is learned from has no splits */
    if (status == CLM_OK || !cli_message_before(", or folders train/", text, sizeof text)) return status;
    return cli_fail(status, "%s", text);
}

static clm_status list_classes(cli_use *u, const char *folder) {
    clm_status status = CLM_OK;
    size_t n = 0;
    for (int split = 0; split < 3; split++) n += clm_source_classes(u->support, (clm_split)split);
    if (n < 2) return cli_usage("--support %s holds one class; to tell classes apart takes two at least", folder);
    CLI_NEW(u->names, n);
    CLI_NEW(u->listed, n);
    for (int split = 0; split < 3; split++)
        for (size_t c = 0; c < clm_source_classes(u->support, (clm_split)split); c++) {
            char *name;
            CLI_NEW(name, CLI_PATH_MAX);
            u->names[u->n_names] = u->listed[u->n_names] = name;
            u->n_names++;
            /* A folder's class has a name, so none is a lack of memory. */
            if (!*clm_source_class_name(u->support, (clm_split)split, c, name, CLI_PATH_MAX))
                return cli_fail(CLM_E_MEMORY, "out of memory");
            u->examples += clm_source_examples(u->support, (clm_split)split, c);
        }
out:
    return status;
}

/* The classes of the folder are dealt to splits; here they are one list, in order of name. */
static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static size_t label_of(const cli_use *u, const char *name) {
    size_t i = 0;
    while (i + 1 < u->n_names && u->names[i] != name) i++;
    return i;
}

static void normalise(const clm_preparation *p, float *x) {
    const size_t area = (size_t)p->size * (size_t)p->size;
    for (int c = 0; c < p->channels; c++)
        for (size_t i = 0; (p->mean[c] != 0 || p->deviation[c] != 1) && i < area; i++)
            x[(size_t)c * area + i] = (float)(((double)x[(size_t)c * area + i] - p->mean[c]) / p->deviation[c]);
}

static clm_status read_examples(const cli_use *u, float *x, float *y) {
    const clm_preparation *p = &u->info.preparation;
    const size_t size = (size_t)p->channels * (size_t)p->size * (size_t)p->size;
    size_t listed = 0;
    for (int split = 0; split < 3; split++)
        for (size_t c = 0; c < clm_source_classes(u->support, (clm_split)split); c++, listed++)
            for (size_t e = 0; e < clm_source_examples(u->support, (clm_split)split, c); e++, x += size) {
                CLI_TRY(clm_source_image(u->support, (clm_split)split, c, e, x));
                normalise(p, x);
                *y++ = (float)label_of(u, u->listed[listed]);
            }
    return CLM_OK;
}

static clm_status learn(cli_use *u) {
    clm_status status = CLM_OK;
    float *x = NULL, *y = NULL;
    const clm_preparation *p = &u->info.preparation;
    CLI_NEW(x, u->examples * (size_t)p->channels * (size_t)p->size * (size_t)p->size);
    CLI_NEW(y, u->examples);
    CLI_GOTO(read_examples(u, x, y));
    CLI_GOTO(clm_learner_adapt(u->learner, x, y));
out:
    free(x);
    free(y);
    return status;
}

/* ---- opening ---- */

clm_status cli_use_find(char *path, const char *name) {
    if (!cli_path_exists(name))
        return cli_fail(CLM_E_IO, "%s does not exist; give a run directory, a checkpoint or an adapted model", name);
    if (!cli_is_directory(name)) {
        snprintf(path, CLI_PATH_MAX, "%s", name);
        return CLM_OK;
    }
    return cli_checkpoint_find(path, CLI_PATH_MAX, name, false);
}

static clm_status load(cli_use *u, const clm_archive *archive, const char *path, const char *folder, int steps) {
    clm_load_options o = CLM_LOAD_OPTIONS_INIT;
    const bool adapted = clm_archive_meta(archive, "clmaml.adapted") != NULL;
    clm_preparation p;
    CLI_TRY(clm_archive_get_preparation(archive, &p));
    if (adapted && folder)
        return cli_usage("--support %s: %s is adapted already; give the run that it was made from", folder, path);
    if (!adapted && !folder)
        return cli_usage("%s is not adapted: give --support FOLDER, with a folder of pictures for each class", path);
    o.steps = steps;
    if (folder) {
        CLI_TRY(open_support(u, folder, &p));
        cli_folder_print_notes(u->support);
        CLI_TRY(list_classes(u, folder));
        qsort(u->names, u->n_names, sizeof *u->names, by_name);
        for (size_t i = 1; i < u->n_names; i++)
            if (strcmp(u->names[i - 1], u->names[i]) == 0)
                return cli_usage("--support %s: the class %s is in two of its splits; give one of them", folder, u->names[i]);
        o.ways = (int)u->n_names;
        o.support = (int)u->examples;
    }
    cli_environment_default("CLMAML_CPU_TEAM", "1"); /* used once: by what is built sooner, not by what runs faster */
    CLI_TRY(clm_learner_load_archive(&u->learner, u->device, archive, &o));
    u->info = clm_learner_get_info(u->learner);
    return folder ? learn(u) : CLM_OK;
}

clm_status cli_use_open(cli_use *u, const char *name, const char *wanted, const char *folder, int steps, const char *device,
                        bool force) {
    char path[CLI_PATH_MAX];
    clm_archive *archive = NULL;
    clm_status status = CLM_OK;
    memset(u, 0, sizeof *u);
    CLI_TRY(cli_use_find(path, name));
    CLI_GOTO(cli_model_load(&archive, path, wanted));
    CLI_GOTO(cli_kinds_check(archive, name, false));
    cli_checkpoint_note_unfinished(name);
    CLI_GOTO(cli_tested_open(&u->device, device[0] ? device : NULL, force));
    status = load(u, archive, path, folder, steps);
    if (status != CLM_OK && !cli_is_usage_mistake() && !strstr(cli_message(), path) &&
        !(folder && strstr(cli_message(), folder)))
        status = cli_fail_in(status, "%s", path);
out:
    clm_archive_free(archive);
    return status;
}

void cli_use_close(cli_use *u) {
    clm_learner_free(u->learner);
    clm_source_free(u->support);
    clm_device_close(u->device);
    for (size_t i = 0; i < u->n_names; i++) free(u->names[i]);
    free(u->names);
    free(u->listed);
    memset(u, 0, sizeof *u);
}

const char *cli_use_name(const cli_use *u, size_t i) {
    return i < u->n_names ? u->names[i] : clm_learner_class_name(u->learner, i);
}
