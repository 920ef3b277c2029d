/* The table of topics. A new one is a row; `clmaml help`, man pages and completion follow. */
#include "topics/topics.h"

#include <stdio.h>

#include "config/algorithms.h"
#include "config/presets.h"
#include "config/readers.h"
#include "config/settings.h"
#include "config/sources.h"

/* The program is also installed without its documents. */
#define MORE "In the documents, which come with the sources and with the package libclmaml-dev"

/* What train reads, for the descriptions of its options. */
static const cli_command train = {
    .name = "train", .options = cli_settings_options, .defaults = &cli_settings_defaults, .readers = cli_readers_help};

/* Lists of this file: rows of a name and what it means. */
#define LIST(rows)                                                     \
    static size_t rows##_count(void) { return CLI_COUNT(rows); }       \
    static const char *rows##_name(size_t i) { return rows[i][0]; }    \
    static const char *rows##_summary(size_t i) { return rows[i][1]; } \
    static const cli_names rows##_names = {rows##_count, rows##_name, rows##_summary, NULL};

static const char *const layouts[][2] = {
    {"FOLDER/CLASS/PICTURE", "a folder for each class; classes are dealt out to training, validation and test"},
    {"FOLDER/SPLIT/CLASS/PICTURE", "the same with the split made: train, val and test"},
    {"FILE.npz", "arrays x, such as [n, channels, height, width] or [n, numbers], y [n], and perhaps split [n]"},
    {"FILE.csv", "a line for each example, the names of the columns in the first"},
    {"FOLDER of adapt, predict", "adapt --support FOLDER/CLASS/PICTURE; predict takes pictures and folders of them"},
};
LIST(layouts)

static const char *const device_names[][2] = {
    {"gpu, cpu, accelerator", "the best device of this type"},
    {"P:D", "device D of platform P, as `clmaml devices` numbers them"},
    {"NAME", "a part of a device's or a platform's name"},
    {"TYPE:NAME", "both: gpu:radeon"},
    {"host", "the reference in double precision: slow, for checks"},
    {"A,B", "several: train shares the tasks of a meta-batch out to all, other commands use the first that there is"},
    {"P:D/N", "the device divided into N equal parts, by train on examples; other commands use one whole device"},
};
LIST(device_names)

static const char *const run_files[][2] = {
    {"config.json", "the settings, device and versions that the run began with"},
    {"metrics.jsonl", "a JSON object for each line of metrics: training and validation"},
    {"metrics.csv", "the same as a table"},
    {"events.out.tfevents.clmaml", "the same for TensorBoard: tensorboard --logdir runs"},
    {"curve.svg", "the learning curve"},
    {"fits.svg", "of functions of one number: test tasks before and after adaptation"},
    {"result.json", "the test: mean and 95 % interval after each inner step"},
    {"scores.json", "the scores of single test tasks, by which report compares runs task by task"},
    {"checkpoints/best.safetensors", "the state that was best in validation, which eval, adapt and predict take"},
    {"checkpoints/last.safetensors", "the newest state, from which --resume goes on"},
    {"checkpoints/NUMBER.safetensors", "states of earlier iterations, --keep of them"},
};
LIST(run_files)

static const char *const cache_files[][2] = {
    {"programs", "kernels that the driver has built"},
    {"selftest", "devices that have passed their self-test"},
    {"tune", "measured implementations and plans"},
    {"pictures", "pictures of folders, decoded and prepared"},
};
LIST(cache_files)

static const char *const written_files[][2] = {
    {"adapt --out FILE.safetensors", "model, weights, names of the classes, preparation, statistics of batch-norm"},
    {"export --out FILE", "the same for another program: ONNX, a PyTorch state dict, or C"},
    {"report --out FILE.html", "one page for a browser, which needs nothing beside it"},
    {"model NAME > FILE.json", "a list of layers, for train --model"},
};
LIST(written_files)

static const char *const array_users[][2] = {
    {"in Python", "clmaml.load(\"RUN\", ways=.., support=..).adapt(x, y).predict(x), and .save(FILE)"},
    {"in C", "clm_learner_load, clm_learner_adapt, clm_learner_predict, clm_learner_save of clmaml/learner.h"},
};
LIST(array_users)

/* ---- environment ---- */

static size_t variable_count(void) {
    clm_environment_entry e;
    size_t n = 0;
    while (clm_environment_at(n, &e)) n++;
    return n;
}

static clm_environment_entry variable(size_t i) {
    clm_environment_entry e = {0};
    (void)clm_environment_at(i, &e);
    return e;
}

static const char *variable_name(size_t i) { return variable(i).name; }

static const char *variable_summary(size_t i) {
    static char text[512]; /* until the next call */
    snprintf(text, sizeof text, "%s [%s]", variable(i).meaning, variable(i).fallback);
    return text;
}

static const cli_names variables = {variable_count, variable_name, variable_summary, NULL};

static const char *const other_variables[][2] = {
    {"XDG_CACHE_HOME, HOME", "where the cache is, if CLMAML_CACHE_DIR does not say"},
    {"OCL_ICD_VENDORS", "where the OpenCL loader looks for drivers"},
    {"COLUMNS", "the width of a terminal, before what the window has"},
};
LIST(other_variables)

/* ---- topics ---- */

static const cli_topic_part data_parts[] = {
    {.text = "`clmaml train SUBJECT` learns from one of these."},
    {.names = &cli_subject_names},
    {.heading = "Layouts", .names = &layouts_names},
    {.heading = "Options of train", .command = &train, .group = "Data"},
    {.heading = MORE,
     .text = "docs/data.md: layouts that are published with data sets, kinds of pictures, splits; "
             "docs/pictures.md and docs/tables.md: from data of one's own to predictions."},
};
static const cli_topic_part models_parts[] = {
    {.heading = "Networks",
     .text = "By name with --network, or written to a file by `clmaml model NAME`, changed, and given with --model.",
     .names = &cli_network_names},
    {.heading = "Options of train", .command = &train, .group = "Task and network"},
    {.heading = MORE,
     .text = "`clmaml model FILE.json` lists the layers of a file with their shapes; docs/model-files.md has "
             "all layers; docs/use.md how weights of other programs come in and adapted models go out."},
};
static const cli_topic_part algorithms_parts[] = {
    {.heading = "Options of train: the algorithm", .command = &train, .group = "Algorithm"},
    {.heading = "Options of train: the inner loop", .command = &train, .group = "Inner loop"},
    {.heading = "Options of train: the loss", .command = &train, .group = "Loss"},
    {.heading = "Options of train: the outer loop", .command = &train, .group = "Outer loop"},
    {.heading = MORE, .text = "docs/algorithms.md: what each of them computes."},
};
static const cli_topic_part devices_parts[] = {
    {.heading = "Names of devices",
     .text = "What --device and CLMAML_DEVICE take; without either, the GPU with the most compute, else an accelerator, else a "
             "CPU.",
     .names = &device_names_names},
    {.heading = "Options of train", .command = &train, .group = "Device"},
    {.heading = MORE,
     .text = "`clmaml doctor` checks a device, `clmaml tune` finds its fastest kernels; docs/devices.md: what "
             "was tested on which."},
};
static const cli_topic_part arrays_parts[] = {
    {.text = "`clmaml adapt` and `clmaml predict` take files of pictures. A run that learned from tables, arrays, functions or "
             "several "
             "sources is tested by `clmaml eval`, and put to use by programs, which give it numbers:"},
    {.names = &array_users_names},
    {.heading = MORE, .text = "docs/use.md, docs/tables.md, docs/c.md, docs/python.md."},
};
static const cli_topic_part presets_parts[] = {
    {.text =
         "A preset is a published protocol; options beside it win. A run chooses its checkpoint by the classes of validation "
         "and is tested once, at its end, on those of test. What is set and where it comes from: docs/protocols.md.",
     .names = &cli_preset_names},
    {.heading = "Options of train", .command = &train, .group = "Run"},
};
static const cli_topic_part environment_parts[] = {
    {.text = "An option on the command line wins over a variable. What holds without it stands in brackets. "
             "`clmaml devices --verbose` prints what is set.",
     .names = &variables},
    {.heading = "Of others", .names = &other_variables_names},
    {.heading = MORE, .text = "docs/environment.md."},
};
static const cli_topic_part files_parts[] = {
    {.heading = "In a run directory", .names = &run_files_names},
    {.heading = "Written when asked for", .names = &written_files_names},
    {.heading = "In the cache, CLMAML_CACHE_DIR",
     .text = "All of it may be deleted at any time; it is made again.",
     .names = &cache_files_names},
};

#define TOPIC(name, summary) \
    { #name, summary, name##_parts, CLI_COUNT(name##_parts) }
static const cli_topic topics[] = {
    TOPIC(data, "what to learn from: sources, layouts of folders and tables, how pictures are prepared"),
    TOPIC(models, "networks by name, model files, weights to begin with"),
    TOPIC(algorithms, "algorithms, inner and outer rules, losses, with the options of each"),
    TOPIC(arrays, "runs of other things than pictures, and what adapts them"),
    TOPIC(presets, "published protocols, validation, test, checkpoints"),
    TOPIC(devices, "how devices are named, memory, several devices"),
    TOPIC(environment, "environment variables"),
    TOPIC(files, "what is in a run directory, in the cache, and in the files that commands write"),
};
const cli_topics cli_help_topics = {topics, CLI_COUNT(topics)};
