/* Sources of tasks.
 *
 * A task is a pure function of (source, split, seed, index): the same four give the same numbers on every machine, so a run resumes
 * exactly from its counters alone. Images are 1 x size x size, ink = 1, paper = 0.
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
} clm_omniglot_options;
#define CLM_OMNIGLOT_OPTIONS_VERSION 1
#define CLM_OMNIGLOT_OPTIONS_INIT \
    { CLM_OMNIGLOT_OPTIONS_VERSION, 28, CLM_OMNIGLOT_ALPHABETS, 1623, true, false }
/* directory: holds images_background.zip and images_evaluation.zip, or the folders of those names. */
CLM_API clm_status clm_source_omniglot(clm_source **out, const char *directory, const clm_omniglot_options *options);

/* directory/{train,val,test}/CLASS/IMAGE.png, one sub-folder a class; grey, size x size by area resampling; invert: ink is dark. */
CLM_API clm_status clm_source_folder(clm_source **out, const char *directory, int size, bool invert);

CLM_API void clm_source_free(clm_source *source);

CLM_API const char *clm_source_name(const clm_source *source);
CLM_API clm_shape clm_source_example_shape(const clm_source *source); /* C H W, or [1] */
CLM_API bool clm_source_is_regression(const clm_source *source);      /* targets are numbers rather than class labels */
/* Number of classes of a split; SIZE_MAX when endless, 0 for regression. */
CLM_API size_t clm_source_classes(const clm_source *source, clm_split split);
/* One line that says what the source is, its counts, its split and seed. Owned by the source. */
CLM_API const char *clm_source_description(const clm_source *source);

/* Task `index` of the endless sequence that `seed` starts. Writes ways*shots support and ways*query query examples
 * (regression: shots and query examples; ways 1), example by example, classes interleaved in a random order; labels are 0..ways-1
 * as floats (regression: targets). Any of the four may be NULL. Errors: too few classes, or a class with too few images (named). */
CLM_API clm_status clm_source_sample(const clm_source *source, clm_split split, uint64_t seed, uint64_t index, int ways,
                                     int shots, int query, float *support_x, float *support_y, float *query_x, float *query_y);

/* ---- other kinds of tasks ---- */
typedef struct clm_episode_options {
    int version; /* CLM_EPISODE_OPTIONS_VERSION */
    int ways, shots, query;
    int support_sets; /* support sets of `shots` other examples a class, one behind the other; the first is that of clm_source_sample */
    /* Labels are numbers of classes of the whole split rather than of the task, for training on all of them at once; of an endless source,
     * its first so many. 0: labels 0 .. ways-1. */
    size_t joint_classes;
} clm_episode_options;
#define CLM_EPISODE_OPTIONS_VERSION 1
#define CLM_EPISODE_OPTIONS_INIT \
    { CLM_EPISODE_OPTIONS_VERSION, 5, 1, 1, 1, 0 }
/* Where an episode goes; any may be NULL: support x [support_sets, ways*shots, example], y, numbers of images; the same of the query set. */
typedef struct clm_episode {
    float *support_x, *support_y, *query_x, *query_y;
    int32_t *support_at, *query_at; /* only of a source whose images have numbers, see clm_source_sample_at */
} clm_episode;
CLM_API clm_status clm_source_draw(const clm_source *source, clm_split split, uint64_t seed, uint64_t index,
                                   const clm_episode_options *options, const clm_episode *out);
/* Would every episode of this kind succeed? */
CLM_API clm_status clm_source_check_episode(const clm_source *source, clm_split split, const clm_episode_options *options);

/* ---- images as one array ----
 * A source that holds its images in memory (Omniglot, folders) hands them over whole. What there is room for can then stay on a device
 * (dataset.h), and of a task only the numbers of its images travel: number 4 i + r is image i turned anticlockwise by r quarter turns. */
typedef struct clm_images {
    size_t count; /* below 2^29 */
    int channels, height, width;
    const uint8_t *bytes; /* [count, channels, height, width]; NULL: floats */
    const float *values;  /* [256]: the number that each byte stands for */
    const float *floats;  /* instead of both: the numbers themselves */
} clm_images;
/* The images of all splits, owned by the source. False for a source that makes its examples when they are asked for: sine, glyphs. */
CLM_API bool clm_source_images(const clm_source *source, clm_images *out);
/* The task that clm_source_sample draws, with numbers of images instead of images. */
CLM_API clm_status clm_source_sample_at(const clm_source *source, clm_split split, uint64_t seed, uint64_t index, int ways,
                                        int shots, int query, int32_t *support_at, float *support_y, int32_t *query_at,
                                        float *query_y);

/* Would every task of this size succeed? The check clm_source_sample makes, made once before training. */
CLM_API clm_status clm_source_check(const clm_source *source, clm_split split, int ways, int shots, int query);

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
} clm_prefetch_options;
#define CLM_PREFETCH_OPTIONS_VERSION 3
#define CLM_PREFETCH_OPTIONS_INIT \
    { CLM_PREFETCH_OPTIONS_VERSION, CLM_SPLIT_TRAIN, 0, 32, 5, 1, 1, 0, 1, false, 1, 0 }

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

/* One example of one class, for looking at: image (size*size floats). */
CLM_API clm_status clm_source_image(const clm_source *source, clm_split split, size_t class_index, size_t example, float *out);

#ifdef __cplusplus
}
#endif
#endif
