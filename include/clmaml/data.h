/* Sources of tasks.
 *
 * A task is a pure function of (source, split, seed, index): the same four give the same numbers on every machine, so a run resumes
 * exactly from its counters alone. Characters are 1 x size x size, ink = 1, paper = 0; pictures and tables of one's own are as their options say.
 */
#ifndef CLMAML_DATA_H
#define CLMAML_DATA_H

#include <stdint.h>

#include "graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum clm_split { CLM_SPLIT_TRAIN, CLM_SPLIT_VALIDATION, CLM_SPLIT_TEST } clm_split;

typedef struct clm_source clm_source;

/* Regression on y = a sin(x - p): amplitude a in [0.1, 5], phase p in [0, pi], x in [-5, 5] (Finn et al. 2017). */
CLM_API clm_status clm_source_sine(clm_source **out);

/* Regression on functions of one number x in [-5, 5] that are unlike one another: a task is of one kind, with equal chances. kinds: names
 * with commas between, "sine,line"; NULL or "": all that clm_function_name lists. CLM_E_ARG names one that there is not. The formulas and
 * their ranges are in the source's description. */
CLM_API clm_status clm_source_functions(clm_source **out, const char *kinds);
/* NULL from the number of kinds on. */
CLM_API const char *clm_function_name(size_t i);
/* The kind of the function that task `index` of the sequence of `seed` is, or, of sources beside one another, the name of its own; NULL for
 * a source without kinds. The source's. */
CLM_API const char *clm_source_function(const clm_source *source, clm_split split, uint64_t seed, uint64_t index);

/* Endless procedural handwritten-like characters; classes of the three splits never coincide. size: pixels, 28. */
CLM_API clm_status clm_source_glyphs(clm_source **out, int size);

typedef enum clm_omniglot_split {
    CLM_OMNIGLOT_ALPHABETS, /* background alphabets train (a seeded part of their characters validates), evaluation alphabets test */
    CLM_OMNIGLOT_1200       /* all 1623 characters sorted by name, shuffled by split_seed: 1100 train, 100 validate, 423 test */
} clm_omniglot_split;

typedef struct clm_omniglot_options {
    int version; /* CLM_OMNIGLOT_OPTIONS_VERSION */
    int size;    /* pixels a side, by area resampling from 105 */
    clm_omniglot_split split;
    uint64_t split_seed;
    bool rotations;      /* each character rotated by 0, 90, 180, 270 degrees makes four classes: train and validation splits */
    bool test_rotations; /* the same for the test split */
    /* A test task is of one alphabet, its support and query pictures are by different people, each of whom drew all of its characters: the
     * one-shot classification of Lake et al. 2015, with tasks drawn at random. Not together with test_rotations. */
    bool within_alphabet;
    int threads; /* that decode pictures; 0: one a core, at most 16 */
    /* Called by the opening thread now and then while pictures are read, may be NULL. False stops: CLM_E_STATE. */
    bool (*progress)(void *context, size_t done, size_t total);
    void *context;
} clm_omniglot_options;
#define CLM_OMNIGLOT_OPTIONS_VERSION 3
#define CLM_OMNIGLOT_OPTIONS_INIT \
    { CLM_OMNIGLOT_OPTIONS_VERSION, 28, CLM_OMNIGLOT_ALPHABETS, 1623, true, false, false, 0, NULL, NULL }
/* directory: holds images_background.zip and images_evaluation.zip, or the folders of those names. */
CLM_API clm_status clm_source_omniglot(clm_source **out, const char *directory, const clm_omniglot_options *options);

/* ---- data of one's own ---- */
typedef enum clm_fit {
    CLM_FIT_STRETCH, /* width and height are each scaled to size */
    CLM_FIT_CROP,    /* the largest square in the middle */
    CLM_FIT_PAD      /* all of the picture in the middle of a square of the background */
} clm_fit;

typedef enum clm_normalise {
    CLM_NORMALISE_NONE,     /* bytes 0 .. 255 become 0 .. 1 */
    CLM_NORMALISE_IMAGENET, /* then, a channel: minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225); grey: 0.449, 0.226 */
    CLM_NORMALISE_DATASET   /* then, a channel: minus the mean of the training split's pixels, over their standard deviation */
} clm_normalise;

/* How a picture becomes an example: what a model has to be given with. value = (byte / 255 - mean) / deviation. */
typedef struct clm_preparation {
    int size;     /* pixels a side: the result is [channels, size, size] */
    int channels; /* 1: grey; 3 */
    clm_fit fit;
    bool invert;                  /* 255 minus each byte */
    int background;               /* the grey behind what is transparent, and beside what is padded; before inverting */
    double mean[3], deviation[3]; /* a channel; 0 and 1: values from 0 to 1 */
} clm_preparation;
#define CLM_PREPARATION_INIT                                    \
    {                                                           \
        84, 3, CLM_FIT_CROP, false, 255, {0, 0, 0}, { 1, 1, 1 } \
    }

/* One picture file, of the kinds that clm_source_folder_open reads, into out [channels, size, size]. From any thread. Errors name
 * the file: CLM_E_IO, CLM_E_FORMAT, CLM_E_ARG for a preparation out of range, CLM_E_MEMORY. */
CLM_API clm_status clm_image_read(const char *path, const clm_preparation *preparation, float *out);

typedef struct clm_folder_options {
    int version;  /* CLM_FOLDER_OPTIONS_VERSION */
    int size;     /* pixels a side, by area resampling; arrays keep their own */
    int channels; /* 1: grey, by the luma of Rec. 601; 3; 0: 3 if any picture is in colour. Arrays keep their own */
    clm_fit fit;
    bool invert;    /* 255 minus each byte, for dark ink on light paper */
    int background; /* 0 .. 255: the grey behind what is transparent, and beside what is padded; before inverting */
    clm_normalise normalise;
    /* Classes that train, validate, test, where the data say no split; more than there are: in these proportions; all 0: as
     * 64, 16, 20, but each at least least_classes where there are three times as many. */
    size_t class_split[3];
    size_t least_classes; /* such as the ways of the tasks to come */
    uint64_t split_seed;  /* of the shuffle that draws them */
    int class_depth;      /* a class is the folder so many levels down; 0: the first one down that holds pictures */
    bool strict;          /* what would be left out, with lines in clm_source_notes, is an error that lists it */
    int threads;          /* that decode pictures; 0: one a core, at most 16 */
    /* Called by the opening thread now and then while pictures are read, may be NULL. False stops: CLM_E_STATE. */
    bool (*progress)(void *context, size_t done, size_t total);
    void *context;
} clm_folder_options;
#define CLM_FOLDER_OPTIONS_VERSION 1
#define CLM_FOLDER_OPTIONS_INIT                                                                                              \
    {                                                                                                                        \
        CLM_FOLDER_OPTIONS_VERSION, 84, 0, CLM_FIT_CROP, false, 255, CLM_NORMALISE_NONE, {0, 0, 0}, 0, 0, 0, false, 0, NULL, \
            NULL                                                                                                             \
    }

/* Pictures or arrays. Which layout it is, is seen:
 *   DIR/{train,val|valid|validation,test}/CLASS/..   split already; not all three need be there
 *   DIR/CLASS/..                                     split by class, see class_split
 *   DIR/images, DIR/{train,val,test}.csv             miniImageNet: lines of filename,label below a headline
 *   DIR/data/CLASS/.., DIR/splits/NAME/{train,val,test}.txt   CIFAR-FS, FC100: a line a class
 *   FILE.npz, or DIR with x.npy and y.npy            x [examples, ..] of 1 to 3 axes an example; y labels, numbers or texts; and,
 *                                                    if there is one, split: 0, 1, 2 or train, val, test
 * What is below CLASS belongs to CLASS; a folder that holds no picture itself is no class, but those in it are: see
 * class_depth. Pictures are PNG, BMP and, in builds with libjpeg-turbo, libwebp and giflib, JPEG, WebP and the first frame
 * of a GIF; upright as EXIF says; of 16 bits and CMYK too. Pictures of other kinds, damaged and unreadable ones, and other
 * files are left out, and named in clm_source_notes; it is an error where no picture is left. Arrays of bytes with 2 or 3 axes an example are pictures, [H, W], [C, H, W] or, where only
 * that gives 1 or 3 channels, [H, W, C]: they are inverted and normalised, neither resampled nor made grey. Other arrays are
 * numbers as they are, which CLM_NORMALISE_DATASET may normalise. Prepared pictures are kept in the cache directory
 * (CLMAML_NO_CACHE) for the same files, by name, size and time, prepared the same. options: NULL for
 * CLM_FOLDER_OPTIONS_INIT. Examples of more than a quarter of the memory
 * lie in a file of the cache directory that is mapped. Errors name the file and the remedy; CLM_E_LIMIT, before a picture is
 * opened, where neither three quarters of the memory nor the disk has room for them. */
CLM_API clm_status clm_source_folder_open(clm_source **out, const char *path, const clm_folder_options *options);

/* The same, stretched to size x size in grey; invert: ink is dark, and paper is behind what is transparent. */
CLM_API clm_status clm_source_folder(clm_source **out, const char *directory, int size, bool invert);

/* ---- tables ---- */
typedef enum clm_missing {
    CLM_MISSING_REFUSE, /* a missing value is an error that names line and column */
    CLM_MISSING_MEAN,   /* of a feature: the mean over the training tasks, of a categorical one no category; else an error */
    CLM_MISSING_DROP    /* its row is left out, with a note; not with windows or a horizon */
} clm_missing;

/* Columns are named as the headline names them. */
typedef struct clm_table_options {
    int version;             /* CLM_TABLE_OPTIONS_VERSION */
    const char *task_column; /* rows of one value are a task; needed */
    const char *const *targets;
    size_t n_targets; /* at least 1 */
    const char *const *features;
    size_t n_features; /* 0: all columns that are not named elsewhere here */
    const char *const *ignore;
    size_t n_ignore;
    const char *const *categorical; /* features whose values are names: one number for each category of the training tasks */
    size_t n_categorical;
    /* Rows of a task are in its order: numbers, or texts bytewise, such as dates of ISO 8601. NULL: as in the file. */
    const char *time_column;
    bool labels; /* the one target's values are names of classes: targets are their numbers, see clm_source_labels */
    clm_missing missing;
    bool standardise;    /* numbers, features and targets: minus their mean over training tasks' rows, over the deviation */
    int window;          /* an example is so many consecutive rows of a task, [window, features]; 0: one row, [features] */
    bool channels_first; /* of windows: [features, window] instead, as conv1d takes it */
    int horizon;         /* the target is that of so many rows behind the last one of the example; 0: of that one */
    size_t
        task_split[3];   /* tasks that train, validate, test; more than there are: in these proportions; all 0: as 64, 16, 20 */
    uint64_t split_seed; /* of the shuffle that draws them */
    /* Tasks of fewer examples, say shots and queries together, are left out with a note. They keep their part in split and
     * standardisation, which so do not depend on it. */
    size_t least;
    bool strict; /* what would be left out, with a line in clm_source_notes, is an error that lists it */
} clm_table_options;
#define CLM_TABLE_OPTIONS_VERSION 1
#define CLM_TABLE_OPTIONS_INIT                                                                                                \
    {                                                                                                                         \
        CLM_TABLE_OPTIONS_VERSION, NULL, NULL, 0, NULL, 0, NULL, 0, NULL, 0, NULL, false, CLM_MISSING_REFUSE, true, 0, false, \
            0, {0, 0, 0}, 0, 0, false                                                                                         \
    }

/* Tasks that are groups of rows of a table: a file of comma-separated values (RFC 4180), or ones separated by semicolons or
 * tabulators, in UTF-8, below a headline of at most 4096 names. Numbers have a decimal point; empty fields, NA, N/A, NaN,
 * null and ? are missing values. Tasks are drawn for training, validation and test; a task of a split is one of them with
 * equal chances, its examples are drawn without repetition, and no example is both in a support and in the query set. Windows
 * may overlap; no two examples have one target row. The numbers are held in memory, 4 bytes for each feature of a row.
 * Errors name the file with line and column, and the remedy: CLM_E_FORMAT for what the file says, CLM_E_ARG for options. */
CLM_API clm_status clm_source_table_open(clm_source **out, const char *path, const clm_table_options *options);
/* How the source's pictures were prepared; false for a source of other things. Drawn characters are prepared as ink = 1. */
CLM_API bool clm_source_get_preparation(const clm_source *source, clm_preparation *out);

/* Are all examples whole numbers from 0 to count-1, tokens that an embedding has a row for? CLM_E_FORMAT names the first that is
 * not: where it stands, its value, `layer` (words for messages), and the remedy. Looks at every example of a source that holds them
 * (arrays, tables, pictures); of others, see clm_source_is_held, it says nothing. */
CLM_API clm_status clm_source_check_tokens(const clm_source *source, size_t count, const char *layer);
/* Does the source hold its examples, rather than make them or ask for them? */
CLM_API bool clm_source_is_held(const clm_source *source);

/* Did the seed of the options draw which classes, or groups of rows, train, validate and test? False where the data say so
 * themselves, or there is nothing to draw. */
CLM_API bool clm_source_split_drawn(const clm_source *source);

/* A hash of what the source holds: its examples, classes and splits; of a table, its file. It tells whether data have changed, wherever
 * they lie. 0 for a source that makes its examples or asks for them. */
CLM_API uint64_t clm_source_fingerprint(const clm_source *source);

/* What was left out of the data and why, and what else is worth knowing of them: lines, each ended by a line feed; "" for
 * nothing. Owned by the source. */
CLM_API const char *clm_source_notes(const clm_source *source);

/* Tasks of one's own, served by the sampler, prefetching, training and evaluation like any others. Callbacks answer the same to
 * the same arguments, always, and from several threads at once. Those that return int return 0, or a number of their own that
 * becomes part of the error CLM_E_IO of whoever asked.
 *
 *     static size_t classes(void *c, clm_split split) { return split == CLM_SPLIT_TRAIN ? 64 : 16; }
 *     static size_t examples(void *c, clm_split split, size_t class_index) { return 600; }
 *     static int example(void *c, clm_split split, size_t class_index, size_t index, float *out) { .. return 0; }
 *
 *     clm_custom_source mine = CLM_CUSTOM_SOURCE_INIT;
 *     mine.name = "recordings";
 *     mine.shape = clm_shape_of(1, 128);
 *     mine.classes = classes, mine.examples = examples, mine.example = example;
 *     clm_source_custom(&source, &mine);
 */
typedef struct clm_custom_source {
    int version;             /* CLM_CUSTOM_SOURCE_VERSION */
    const char *name;        /* a word, for messages; copied */
    const char *description; /* one line, see clm_source_description; copied; NULL: the name */
    clm_shape shape;         /* of an example: rank 1 to 4 */
    void *context;           /* what callbacks are given */
    /* Classes: all three, and not regress. SIZE_MAX: endless; then any number may be asked for. */
    size_t (*classes)(void *context, clm_split split);
    size_t (*examples)(void *context, clm_split split, size_t class_index);
    int (*example)(void *context, clm_split split, size_t class_index, size_t index, float *out);
    /* May be NULL: the name of a class, for messages. */
    const char *(*class_name)(void *context, clm_split split, size_t class_index);
    /* Regression instead: `count` points of the function that the number `task` names, drawn from the random numbers that
     * `points` names; inputs x [count, shape], targets y [count, targets]; either may be NULL. */
    int (*regress)(void *context, clm_split split, uint64_t task, uint64_t points, int count, float *x, float *y);
    void (*destroy)(void *context); /* may be NULL; called by clm_source_free, not when clm_source_custom fails */
    int targets;                    /* numbers of a target of a regression; 0: one */
} clm_custom_source;
#define CLM_CUSTOM_SOURCE_VERSION 2
#define CLM_CUSTOM_SOURCE_INIT \
    { CLM_CUSTOM_SOURCE_VERSION, NULL, NULL, {0, {0}}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
CLM_API clm_status clm_source_custom(clm_source **out, const clm_custom_source *custom);

/* Sources of pictures of classes beside one another, 2 to CLM_BESIDE_MOST, which become the new one's and go with it; after a failure they
 * are the caller's still. Their tasks come in turn: task i is task i / n of source i mod n. Examples have the most channels, height and
 * width of any: a smaller picture lies in the middle of zeros, and a grey one is on every channel. A split has classes where all have
 * some. Batches hold pictures, not numbers of images. CLM_E_ARG names a source of other things. */
enum { CLM_BESIDE_MOST = 8 };
CLM_API clm_status clm_source_beside(clm_source **out, clm_source *const *sources, size_t n);

CLM_API void clm_source_free(clm_source *source);

CLM_API const char *clm_source_name(const clm_source *source);
CLM_API clm_shape clm_source_example_shape(const clm_source *source); /* C H W, [1], features or windows of a table */
CLM_API clm_shape clm_source_target_shape(const clm_source *source);  /* of one example: [targets]; rank 0: a class label */
CLM_API bool clm_source_is_regression(const clm_source *source);      /* targets are numbers rather than class labels */
/* Number of classes of a split that tasks are made of; SIZE_MAX when endless, 0 where a task is a function or a group of
 * rows. */
CLM_API size_t clm_source_classes(const clm_source *source, clm_split split);
/* Examples of a class; SIZE_MAX when endless, 0 where there is no such class. */
CLM_API size_t clm_source_examples(const clm_source *source, clm_split split, size_t class_index);
/* The name of a class, cut to `size` with its end; "" where classes have none. Returns `text`. */
CLM_API const char *clm_source_class_name(const clm_source *source, clm_split split, size_t class_index, char *text,
                                          size_t size);
/* Number of functions or groups of rows of a split, each of which is a task; SIZE_MAX when endless, 0 where tasks are made of
 * classes. */
CLM_API size_t clm_source_groups(const clm_source *source, clm_split split);
/* Number of class labels where they mean the same in all tasks, 0 .. labels-1, as a model has outputs then; 0 where they are
 * those of a task's ways, or where there are none. */
CLM_API size_t clm_source_labels(const clm_source *source);
/* What a label stands for; NULL where there is no such label. Owned by the source. */
CLM_API const char *clm_source_label_name(const clm_source *source, size_t label);
/* Names of the numbers of a row's features, "length" or "colour=red"; NULL where there is no such one. Owned by the source. */
CLM_API const char *clm_source_feature_name(const clm_source *source, size_t feature);
/* The unit of targets: in the data a target i is mean[i] + deviation[i] y[i]. False where targets are as in the data. Both
 * [targets], owned by the source; may be NULL. */
CLM_API bool clm_source_target_units(const clm_source *source, const double **mean, const double **deviation);
/* Outputs that a model of the source's tasks has: targets, labels of all tasks, or else `ways`. */
CLM_API int clm_source_outputs(const clm_source *source, int ways);
/* One line that says what the source is, its counts, its split and seed. Owned by the source. */
CLM_API const char *clm_source_description(const clm_source *source);

/* Task `index` of the endless sequence that `seed` starts. Writes ways*shots support and ways*query query examples
 * (functions and groups of rows: shots and query examples; ways 1), example by example, classes interleaved in a random order;
 * y is labels 0..ways-1 as floats, or targets [examples, targets], or labels as in clm_source_labels. Any of the four may be
 * NULL. Errors: too few classes, or a class with too few images (named). */
CLM_API clm_status clm_source_sample(const clm_source *source, clm_split split, uint64_t seed, uint64_t index, int ways,
                                     int shots, int query, float *support_x, float *support_y, float *query_x, float *query_y);

/* ---- other kinds of tasks ---- */

/* How much of an uneven task there is: its first `support` and `query` examples count, and of its scores the first `ways`.
 * Arrays are as long as for the largest task; what stands in the rest of them, whatever it is, has no part in losses,
 * batch-norm's statistics, accuracies and derivatives, to the bit. Losses and accuracies are means over the examples that count,
 * and a task counts as one, of any size. With support_per_step: so many examples of every step's set.
 *
 * CLM_E_ARG names the task for less than 1 or more than the most, and refuses what cannot be masked: a loss of one's own (custom),
 * whose terms are not known, and a model of one's own with batch-norm (CLM_PARAM_BATCH_NORM). */
typedef struct clm_task_size {
    int32_t ways; /* of labels: 1 to the classes that are told apart, or 0: all of them; else 0 */
    int32_t support, query;
} clm_task_size;

typedef struct clm_episode_options {
    int version; /* CLM_EPISODE_OPTIONS_VERSION */
    int ways, shots, query;
    int support_sets; /* support sets of `shots` other examples a class, one behind the other; the first is that of clm_source_sample */
    /* Labels are numbers of classes of the whole split rather than of the task, for training on all of them at once; of an endless source,
     * its first so many. 0: labels 0 .. ways-1. */
    size_t joint_classes;
    /* Above 0: uneven tasks. Each has from ways_least (2 at least, where `ways` is) to `ways` ways and from shots_least to `shots` shots,
     * numbers drawn with equal chances of what there is: no more ways than the split has classes, no more shots than the smallest of
     * the task's classes, or its group of rows, has beside the query examples. Everything else is drawn as ever. Arrays are those of
     * the largest task: what a task lacks is zeros behind its own (clm_task_size). */
    int ways_least, shots_least;
} clm_episode_options;
#define CLM_EPISODE_OPTIONS_VERSION 2
#define CLM_EPISODE_OPTIONS_INIT \
    { CLM_EPISODE_OPTIONS_VERSION, 5, 1, 1, 1, 0, 0, 0 }
/* Where an episode goes; any may be NULL: support x [support_sets, ways*shots, example], y, numbers of images; the same of the query set. */
typedef struct clm_episode {
    float *support_x, *support_y, *query_x, *query_y;
    int32_t *support_at, *query_at; /* only of a source whose images have numbers, see clm_source_sample_at */
    clm_task_size *size;            /* ways 0 where labels are not those of the task's ways, or there are none */
} clm_episode;
CLM_API clm_status clm_source_draw(const clm_source *source, clm_split split, uint64_t seed, uint64_t index,
                                   const clm_episode_options *options, const clm_episode *out);
/* Would every episode of this kind succeed? */
CLM_API clm_status clm_source_check_episode(const clm_source *source, clm_split split, const clm_episode_options *options);

/* ---- images as one array ----
 * A source that holds its images in memory (Omniglot, folders, arrays) hands them over whole. What there is room for can then stay on a device
 * (dataset.h), and of a task only the numbers of its images travel: number 4 i + r is image i turned anticlockwise by r quarter turns. */
typedef struct clm_images {
    size_t count; /* below 2^29 */
    int channels, height, width;
    const uint8_t *bytes; /* [count, channels, height, width]; NULL: floats */
    const float *values;  /* [tables, 256]: the number that each byte stands for */
    const float *floats;  /* instead of both: the numbers themselves */
    int tables;           /* 1, or 0: one table of values for all channels; channels: one each */
} clm_images;
/* The images of all splits, owned by the source. False for a source that makes its examples when they are asked for: sine, glyphs. */
CLM_API bool clm_source_images(const clm_source *source, clm_images *out);
/* The task that clm_source_sample draws, with numbers of images instead of images. */
CLM_API clm_status clm_source_sample_at(const clm_source *source, clm_split split, uint64_t seed, uint64_t index, int ways,
                                        int shots, int query, int32_t *support_at, float *support_y, int32_t *query_at,
                                        float *query_y);

/* Would every task of this size succeed? The check clm_source_sample makes, made once before training. */
CLM_API clm_status clm_source_check(const clm_source *source, clm_split split, int ways, int shots, int query);

/* ---- augmentation ----
 * Pictures of training tasks, each changed at random, reproducibly: what is drawn depends on the seed, the task and the place of
 * the picture in it. */
typedef struct clm_augment_options {
    int version;   /* CLM_AUGMENT_OPTIONS_VERSION */
    double flip;   /* probability of being mirrored left to right */
    double shift;  /* moved by up to so much of a side, in whole pixels, each way */
    double crop;   /* least share of the area of a square that becomes the picture; 1: all of it */
    double jitter; /* saturation, contrast and brightness are each multiplied by a number within this of 1 */
} clm_augment_options;
#define CLM_AUGMENT_OPTIONS_VERSION 1
#define CLM_AUGMENT_OPTIONS_INIT \
    { CLM_AUGMENT_OPTIONS_VERSION, 0, 0, 1, 0 }

/* ---- batches made ahead ----
 * A thread draws the next batches while the caller works on one. Batch i is tasks i * tasks .. i * tasks + tasks - 1 of the sequence,
 * whoever asks when: the numbers do not depend on the thread. */
typedef struct clm_prefetch_options {
    int version; /* CLM_PREFETCH_OPTIONS_VERSION */
    clm_split split;
    uint64_t seed;
    int tasks, ways, shots, query; /* tasks of a batch; of a task, see clm_source_sample */
    uint64_t first;                /* the batch that will be asked for first */
    int ahead;                     /* batches made ahead of the one in use; memory for ahead + 1 */
    bool numbers;                  /* draw numbers of images, for clm_prefetch_get_at, rather than images */
    int support_sets;              /* see clm_episode_options */
    size_t joint_classes;
    clm_augment_options augment; /* not with `numbers` */
    int ways_least, shots_least; /* see clm_episode_options */
    /* Batches that are parts of larger ones, as several processes share them out: tasks first_task .. of every `batch_tasks`. 0: whole. */
    int batch_tasks, first_task;
} clm_prefetch_options;
#define CLM_PREFETCH_OPTIONS_VERSION 5
#define CLM_PREFETCH_OPTIONS_INIT \
    { CLM_PREFETCH_OPTIONS_VERSION, CLM_SPLIT_TRAIN, 0, 32, 5, 1, 1, 0, 1, false, 1, 0, CLM_AUGMENT_OPTIONS_INIT, 0, 0, 0, 0 }

typedef struct clm_prefetch clm_prefetch;

/* The source must outlive it. Fails where clm_source_check does. Without threads batches are made when they are asked for. */
CLM_API clm_status clm_prefetch_create(clm_prefetch **out, const clm_source *source, const clm_prefetch_options *options);
/* Stops the thread; does not wait for more than the task at hand. NULL is allowed. */
CLM_API void clm_prefetch_free(clm_prefetch *prefetch);
/* Support x, support y, query x, query y of batch `index`, valid until the next call; waits while it is being made. Any order is possible,
 * one after the other is what is fast. One thread at a time. What failed in the thread is reported here. */
CLM_API clm_status clm_prefetch_get(clm_prefetch *prefetch, uint64_t index, const float *batch[4]);

/* The same with the option `numbers`: numbers of support and query images, their labels. */
CLM_API clm_status clm_prefetch_get_at(clm_prefetch *prefetch, uint64_t index, const int32_t *at[2], const float *labels[2]);

/* The sizes [tasks] of the batch that either of the two gave last, valid as long as it; NULL where tasks are of one size. */
CLM_API const clm_task_size *clm_prefetch_sizes(const clm_prefetch *prefetch);

/* Seconds that all calls of the two have waited so far for batches that were not ready, which without a thread is what making them
 * took. A batch that is ready adds nothing. */
CLM_API double clm_prefetch_waited(const clm_prefetch *prefetch);

/* One example of one class, or of one group of rows, for looking at: as many floats as the example's shape has. */
CLM_API clm_status clm_source_image(const clm_source *source, clm_split split, size_t class_index, size_t example, float *out);

#ifdef __cplusplus
}
#endif
#endif
