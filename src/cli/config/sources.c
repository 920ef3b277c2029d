/* The table of data sources. A new source is a row: --help, messages, what opens and which options are allowed follow. */
#include "config/sources.h"

#include <stdio.h>
#include <string.h>

#include "base/system.h"
#include "config/beside.h"
#include "config/folders.h"
#include "config/setup.h"

static clm_status open_sine(clm_source **out, const cli_settings *s) {
    (void)s;
    return clm_source_sine(out);
}

static clm_status open_functions(clm_source **out, const cli_settings *s) {
    return cli_setup_told(clm_source_functions(out, s->functions));
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
    options.within_alphabet = s->within_alphabet == CLI_YES;
    if (options.within_alphabet && options.test_rotations)
        return cli_usage(
            "--within-alphabet yes and --test-rotations yes exclude each other: an alphabet has no rotated characters");
    options.threads = (int)s->decode_threads;
    return cli_folder_omniglot(out, s->data, &options);
}

/* ---- tables ---- */

typedef struct column_names {
    char text[CLI_PATH_MAX];
    const char *name[CLI_PATH_MAX / 2];
    size_t count;
} column_names;

static const char *const *split_names(column_names *names, const char *text, size_t *count) {
    snprintf(names->text, sizeof names->text, "%s", text);
    names->count = 0;
    char *rest = NULL;
    for (char *at = strtok_r(names->text, ",", &rest); at; at = strtok_r(NULL, ",", &rest)) names->name[names->count++] = at;
    *count = names->count;
    return names->name;
}

static clm_status set_task_split(clm_table_options *o, const cli_settings *s) {
    double counts[3];
    size_t count;
    if (!s->task_split[0]) return CLM_OK;
    CLI_TRY(cli_parse_list("--task-split", s->task_split, counts, 3, &count));
    for (size_t i = 0; i < count; i++) {
        if (!(counts[i] >= 0 && counts[i] <= 1e9) || counts[i] != (double)(size_t)counts[i])
            return cli_usage("--task-split: %g is not a number of tasks", counts[i]);
        o->task_split[i] = (size_t)counts[i];
    }
    if (count == 3 && counts[0] > 0) return CLM_OK;
    return cli_usage("--task-split %s: three numbers of tasks, of which the first trains, such as 20,5,5", s->task_split);
}

static clm_status check_table(const cli_settings *s) {
    if (!s->data[0]) return cli_usage("table needs a file: clmaml train table FILE.csv --task-column NAME --target NAME");
    if (cli_is_directory(s->data)) return cli_usage("table needs a file, and %s is a folder; name FILE.csv in it", s->data);
    if (!s->task_column[0])
        return cli_usage("table needs --task-column NAME, the column of %s whose values say which task a row belongs to",
                         s->data);
    if (!s->target[0]) return cli_usage("table needs --target NAME, the column of %s that is predicted, or several", s->data);
    return CLM_OK;
}

static clm_status open_table(clm_source **out, const cli_settings *s) {
    column_names targets, features, ignore, categorical;
    clm_table_options o = CLM_TABLE_OPTIONS_INIT;
    CLI_TRY(check_table(s));
    o.task_column = s->task_column;
    o.targets = split_names(&targets, s->target, &o.n_targets);
    o.features = split_names(&features, s->features, &o.n_features);
    o.ignore = split_names(&ignore, s->ignore, &o.n_ignore);
    o.categorical = split_names(&categorical, s->categorical, &o.n_categorical);
    o.time_column = s->time_column[0] ? s->time_column : NULL;
    o.labels = cli_source_has_labels(s);
    o.missing = (clm_missing)s->missing;
    o.standardise = s->standardise == CLI_YES;
    o.window = (int)s->window;
    o.channels_first = s->window_layout == CLI_WINDOW_CHANNELS;
    o.horizon = (int)s->horizon;
    o.split_seed = (uint64_t)s->split_seed;
    o.least = (size_t)((s->shots_least ? s->shots_least : s->shots) * (s->support_per_step ? s->steps : 1) + s->query);
    o.strict = s->strict;
    CLI_TRY(set_task_split(&o, s));
    const clm_status status = clm_source_table_open(out, s->data, &o);
    /* What contradicts itself whatever the table is. */
    return status == CLM_E_ARG && strncmp(cli_message(), "table: ", 7) == 0 ? cli_usage("%s", cli_message()) : status;
}

/* What a sinusoid task needs when nothing is said; the defaults of the option table are those of images. */
static const char *const sine_defaults[] = {"ways",     "1",    "shots",      "10", "query",      "10",    "test-steps", "10",
                                            "inner-lr", "0.01", "meta-batch", "25", "iterations", "10000", NULL};

/* Photographs, as miniImageNet has them. */
static const char *const folder_defaults[] = {"size", "84", NULL};

static const cli_source sources[] = {
    {"sine", "regression on sinusoids", open_sine, true, false, false, {NULL}, sine_defaults},
    {"functions",
     "regression on sinusoids, lines, parabolas and absolute values, mixed",
     open_functions,
     true,
     false,
     false,
     {"functions"},
     sine_defaults},
    {"glyphs",
     "endless procedural handwritten-like characters; needs no data",
     open_glyphs,
     false,
     false,
     false,
     {"size", "flip", "shift", "crop", "jitter", "beside"},
     NULL},
    {"omniglot",
     "1623 handwritten characters; --data DIR holds the distributed zips or folders",
     open_omniglot,
     false,
     false,
     false,
     {"data", "size", "omniglot-split", "split-seed", "rotations", "test-rotations", "within-alphabet", "decode-threads",
      "flip", "shift", "crop", "jitter", "beside"},
     NULL},
    {"table",
     "rows of a table FILE.csv, which may be named alone; rows with one value of --task-column are a task",
     open_table,
     true,
     true,
     true,
     {"data", "task-column", "target", "features", "ignore", "categorical", "missing", "standardise", "window", "window-layout",
      "horizon", "time-column", "task-split", "split-seed", "strict"},
     sine_defaults},
    {"FOLDER",
     "pictures, FOLDER/CLASS/PICTURE or FOLDER/{train,val,test}/CLASS/PICTURE; published layouts: docs/data.md of the sources",
     cli_folder_open,
     false,
     false,
     false,
     {"data", "size", "channels", "fit", "invert", "background", "normalise", "class-split", "split-seed", "class-depth",
      "strict", "decode-threads", "flip", "shift", "crop", "jitter", "beside"},
     folder_defaults},
    {"FILE.npz",
     "arrays x, y and perhaps split; or a folder with x.npy and y.npy",
     cli_folder_open,
     false,
     false,
     false,
     {"data", "invert", "normalise", "class-split", "split-seed", "beside"},
     NULL},
};
enum { ARRAYS = CLI_COUNT(sources) - 1, FOLDER = ARRAYS - 1 };

static size_t source_count(void) { return FOLDER; }
static const char *source_name(size_t i) { return sources[i].name; }
static const char *source_help(size_t i) { return sources[i].help; }
const cli_names cli_source_names = {source_count, source_name, source_help, NULL};

/* A model file says itself what it learns from. */
static size_t subject_count(void) { return CLI_COUNT(sources) + 1; }
static const char *subject_name(size_t i) { return i < CLI_COUNT(sources) ? sources[i].name : "MODEL.json"; }
static const char *subject_help(size_t i) {
    return i < CLI_COUNT(sources) ? sources[i].help : "a list of layers whose \"data\" entry is one of the above";
}
const cli_names cli_subject_names = {subject_count, subject_name, subject_help, NULL};

/* What train alone takes: it has no examples, and options of its own. */
static size_t trained_count(void) { return subject_count() + 1; }
static const char *trained_name(size_t i) { return i < subject_count() ? subject_name(i) : "navigation"; }
static const char *trained_help(size_t i) {
    return i < subject_count()
               ? subject_help(i)
               : "reinforcement learning: a point that looks for a goal; options of its own, clmaml train navigation --help";
}
const cli_names cli_trained_names = {trained_count, trained_name, trained_help, NULL};

const cli_source *cli_source_of(const char *source) {
    const int row = cli_names_find(&cli_source_names, source);
    return &sources[row >= 0 ? row : cli_is_arrays(source) ? ARRAYS : FOLDER];
}

bool cli_source_has_labels(const cli_settings *s) {
    return cli_source_of(s->source)->labels && strcmp(s->loss, "cross-entropy") == 0;
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

/* Options that say nothing without another one. */
clm_status cli_source_check_pairs(const cli_settings *s, const cli_option *options, const bool *given) {
    const int layout = cli_option_find(options, "window-layout");
    if (layout < 0 || !given[layout] || s->window) return CLM_OK;
    return cli_usage("--window-layout is the order of a window's axes; give a window (--window N), or leave it out");
}

clm_status cli_source_check(const cli_settings *s, const cli_option *options, const bool *given) {
    const char *source = s->source;
    const cli_source *row = cli_source_of(source);
    char text[256];
    for (size_t i = 0; options[i].name; i++) {
        if (!given[i] || cli_source_takes(row, options[i].name) || cli_beside_takes(s, options[i].name)) continue;
        owners(options[i].name, text, sizeof text);
        if (row == &sources[ARRAYS] && lists(&sources[FOLDER], options[i].name))
            return cli_usage("--%s is for %s; it says nothing to %s: arrays are taken as they are, and pictures that are to be "
                             "prepared or changed are saved as files, in a folder a class",
                             options[i].name, text, source);
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
