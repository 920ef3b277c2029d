/* The table of data sources. A new source is a row: --help, messages, what opens and which options are allowed follow. */
#include "config/sources.h"

#include <stdio.h>
#include <string.h>

#include "base/system.h"
#include "config/folders.h"

static clm_status open_sine(clm_source **out, const cli_settings *s) {
    (void)s;
    return clm_source_sine(out);
}

static clm_status open_glyphs(clm_source **out, const cli_settings *s) { return clm_source_glyphs(out, (int)s->size); }

static clm_status open_omniglot(clm_source **out, const cli_settings *s) {
    clm_omniglot_options options = CLM_OMNIGLOT_OPTIONS_INIT;
    if (!s->data[0])
        return cli_usage("omniglot needs --data DIR, the directory with images_background.zip and images_evaluation.zip (or "
                         "those folders)");
    options.size = (int)s->size;
    options.split = s->omniglot_split == CLI_OMNIGLOT_1200 ? CLM_OMNIGLOT_1200 : CLM_OMNIGLOT_ALPHABETS;
    options.split_seed = (uint64_t)s->split_seed;
    options.rotations = s->rotations == CLI_YES;
    options.test_rotations = s->test_rotations == CLI_YES;
    return clm_source_omniglot(out, s->data, &options);
}

/* What a sinusoid task needs when nothing is said; the defaults of the option table are those of images. */
static const char *const sine_defaults[] = {"ways",     "1",    "shots",      "10", "query",      "10",    "test-steps", "10",
                                            "inner-lr", "0.01", "meta-batch", "25", "iterations", "10000", NULL};

/* Photographs, as miniImageNet has them. */
static const char *const folder_defaults[] = {"size", "84", NULL};

static const cli_source sources[] = {
    {"sine", "regression on sinusoids", open_sine, true, {NULL}, sine_defaults},
    {"glyphs", "endless procedural handwritten-like characters; needs no data", open_glyphs, false, {"size", "flip", "shift", "crop", "jitter"}, NULL},
    {"omniglot",
     "1623 handwritten characters; --data DIR holds the distributed zips or folders",
     open_omniglot,
     false,
     {"data", "size", "omniglot-split", "split-seed", "rotations", "test-rotations", "flip", "shift", "crop", "jitter"},
     NULL},
    {"FOLDER",
     "pictures, FOLDER/CLASS/PICTURE or FOLDER/{train,val,test}/CLASS/PICTURE; published layouts: docs/data.md",
     cli_folder_open,
     false,
     {"data", "size", "channels", "fit", "invert", "background", "normalise", "class-split", "split-seed", "class-depth", "strict",
      "decode-threads", "flip", "shift", "crop", "jitter"},
     folder_defaults},
    {"FILE.npz",
     "arrays x, y and perhaps split; or a folder with x.npy and y.npy",
     cli_folder_open,
     false,
     {"data", "invert", "normalise", "class-split", "split-seed"},
     NULL},
};
enum { ARRAYS = CLI_COUNT(sources) - 1, FOLDER = ARRAYS - 1 };

static size_t source_count(void) { return FOLDER; }
static const char *source_name(size_t i) { return sources[i].name; }
static const char *source_help(size_t i) { return sources[i].help; }
const cli_names cli_source_names = {source_count, source_name, source_help};

/* A model file says itself what it learns from. */
static size_t subject_count(void) { return CLI_COUNT(sources) + 1; }
static const char *subject_name(size_t i) { return i < CLI_COUNT(sources) ? sources[i].name : "MODEL.json"; }
static const char *subject_help(size_t i) {
    return i < CLI_COUNT(sources) ? sources[i].help : "a list of layers whose \"data\" entry is one of the above";
}
const cli_names cli_subject_names = {subject_count, subject_name, subject_help};

const cli_source *cli_source_of(const char *source) {
    const int row = cli_names_find(&cli_source_names, source);
    return &sources[row >= 0 ? row : cli_is_arrays(source) ? ARRAYS : FOLDER];
}

static bool lists(const cli_source *source, const char *option) {
    for (size_t i = 0; i < CLI_SOURCE_OPTIONS && source->options[i]; i++)
        if (strcmp(source->options[i], option) == 0) return true;
    return false;
}

/* "glyphs, omniglot, FOLDER": whom an option is for; "": everybody, as no row has it. */
static void owners(const char *option, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < CLI_COUNT(sources) && used < size; i++)
        if (lists(&sources[i], option))
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", sources[i].name);
}

bool cli_source_takes(const cli_source *source, const char *option) {
    char text[256];
    owners(option, text, sizeof text);
    return !*text || lists(source, option);
}

clm_status cli_source_check(const char *source, const cli_option *options, const bool *given) {
    const cli_source *row = cli_source_of(source);
    char text[256];
    for (size_t i = 0; options[i].name; i++) {
        if (!given[i] || cli_source_takes(row, options[i].name)) continue;
        owners(options[i].name, text, sizeof text);
        return cli_usage("--%s is for %s; it says nothing to %s", options[i].name, text, source);
    }
    return CLM_OK;
}

bool cli_source_is_omniglot(const char *directory) {
    static const char *const names[] = {"images_background.zip", "images_background"};
    char path[CLI_PATH_MAX];
    for (size_t i = 0; i < CLI_COUNT(names); i++)
        if (cli_path(path, directory, names[i]) == CLM_OK && cli_path_exists(path)) return true;
    cli_forget();
    return false;
}
