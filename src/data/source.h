/* What a source of tasks has to supply; src/data/source.c draws the tasks and does everything else.
 *
 * To add a source: one file with a clm_source_ops and a function clm_source_NAME, declared in include/clmaml/data.h, that fills
 * in a clm_source. A source does not change once made, so any number of threads may draw from it. */
#ifndef CLM_DATA_SOURCE_H
#define CLM_DATA_SOURCE_H

#include "base/error.h"
#include "base/random.h"
#include "clmaml/data.h"

#define CLM_SPLITS 3 /* values of clm_split */

/* Classes that belong together, as the characters of an alphabet: consecutive ones of a split, whose examples of one number do too. */
typedef struct clm_family {
    size_t first, count;
} clm_family;

typedef struct clm_source_ops {
    /* Sources of classes; an endless one answers SIZE_MAX and takes any 64-bit class and example. */
    size_t (*classes)(const clm_source *source, clm_split split);
    size_t (*examples)(const clm_source *source, clm_split split, uint64_t class_index);
    /* The class with fewest examples of a split that has classes, in `class_index`; NULL where the source is endless. */
    void (*smallest)(const clm_source *source, clm_split split, uint64_t *class_index);
    clm_status (*image)(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example, float *out);
    /* The images of all splits as one array, and the number of an image in it; NULL where there is none. */
    void (*images)(const clm_source *source, clm_images *out);
    int32_t (*number)(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example);
    /* The class's name in words, for messages; NULL where classes have none. Free with free(). */
    char *(*class_name)(const clm_source *source, clm_split split, uint64_t class_index);
    /* Where the class comes from, "val/c1"; may be NULL, or say NULL. */
    const char *(*class_origin)(const clm_source *source, clm_split split, uint64_t class_index);
    /* Where the split comes from and how to have more of it, for messages; may be NULL. */
    const char *(*split_origin)(const clm_source *source, clm_split split);

    /* The families within which the tasks of a split are drawn: a task's classes are of one, and have the same numbers of examples. Of
     * every split that has none, and where this is NULL, any classes make a task. */
    const clm_family *(*families)(const clm_source *source, clm_split split, size_t *count);

    /* Sources of functions: `count` points of the function that `task` draws; points come from `points`. NULL otherwise. */
    clm_status (*regress)(const clm_source *source, clm_split split, clm_random task, clm_random *points, int count, float *x,
                          float *y);
    /* What kind of function `task` draws; NULL where there are no kinds. */
    const char *(*function_name)(const clm_source *source, clm_random task);

    /* Sources of groups, functions that are given by their points: `classes` are groups then, `examples` their points, `image`
     * a point's inputs and this its targets, or its label. A task is one group. NULL otherwise. */
    clm_status (*target)(const clm_source *source, clm_split split, uint64_t group, uint64_t example, float *y);
    /* See clm_source_label_name, clm_source_feature_name; NULL where there are none. */
    const char *(*label_name)(const clm_source *source, size_t label);
    const char *(*feature_name)(const clm_source *source, size_t feature);

    /* Where a number of an example stands in what was read, for messages: "words.npz: x: example 7, number 3"; may be NULL. Free
     * with free(). */
    char *(*place)(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example, size_t number);

    /* A source of sources draws, checks and names its tasks itself; NULL otherwise. */
    clm_status (*draw)(const clm_source *source, clm_split split, uint64_t seed, uint64_t index,
                       const clm_episode_options *options, const clm_episode *out);
    clm_status (*check)(const clm_source *source, clm_split split, const clm_episode_options *options);
    const char *(*task_name)(const clm_source *source, clm_split split, uint64_t seed, uint64_t index);

    void (*destroy)(clm_source *source); /* what the source has allocated, `source` itself included */
} clm_source_ops;

/* The first member of every source's own struct. */
struct clm_source {
    const clm_source_ops *ops;
    const char *name;   /* "omniglot": a literal, or freed by destroy */
    const char *origin; /* the file or folder that was read, by which it is told from others of its name; NULL: none was */
    clm_shape shape;
    int targets;                           /* numbers of a target of a regression; 0: one */
    size_t labels;                         /* see clm_source_labels */
    const double *target_mean, *deviation; /* see clm_source_target_units; NULL: as in the data */
    char *description;                     /* allocated; freed by clm_source_free */
    char *notes;                           /* the same; NULL: none */
    bool split_drawn;                      /* see clm_source_split_drawn */
    const char *scaled;                    /* why its numbers are not whole, and what would leave them so; a literal; NULL */
    clm_preparation preparation;           /* size 0: its examples are no pictures */
    uint64_t fingerprint;                  /* see clm_source_fingerprint */
};

const char *clm_split_name(clm_split split);

/* Do the source's examples have numbers? */
clm_status clm_source_check_numbers(const clm_source *source);

/* Of pictures: 4 to CLM_IMAGE_LARGEST, or an error. */
clm_status clm_source_check_size(int size);

#endif
