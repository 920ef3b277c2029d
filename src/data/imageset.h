/* Labelled pictures at hand, one byte a pixel, all decoded when a source is opened: what Omniglot, folders of pictures
 * and arrays share. Arrays may be floats instead.
 *
 * A split is a list of classes of the set, each of which stands for `turns` classes of the source when rotations count as
 * classes: class c of a split is the picture class c / turns turned by c % turns quarter turns. */
#ifndef CLM_DATA_IMAGESET_H
#define CLM_DATA_IMAGESET_H

#include "data/source.h"
#include "data/store.h"

typedef struct clm_image_class {
    char *name, *origin; /* origin: where it comes from, "val/c1"; NULL: not said */
    size_t first, count; /* its images */
} clm_image_class;

typedef struct clm_image_split {
    uint32_t *classes;
    size_t count;
    int turns;            /* 1 or 4 */
    uint32_t smallest;    /* position in `classes` of the class with fewest images */
    clm_family *families; /* within which tasks are drawn, see clm_source_ops; NULL: none */
    size_t n_families;
} clm_image_split;

/* A clm_source; the sources made of it differ in how they fill it. */
typedef struct clm_image_set {
    clm_source base;
    int channels, height, width;
    clm_store store; /* what is freed: it holds the pixels or the floats */
    uint8_t *pixels; /* [images][channels][height][width]; NULL: floats */
    float *floats;
    size_t images;
    float *values; /* [tables][256]: what a byte stands for; a 255th at first */
    int tables;    /* 1, or one for each channel */
    clm_image_class *classes;
    size_t count, classes_capacity;
    clm_image_split splits[CLM_SPLITS];
    char *origin;    /* for messages */
    uint32_t *stood; /* [images]: which example of the file it was; NULL: there is no such number */
} clm_image_set;

/* Empty; free with clm_source_free(&set->base). name: a literal. */
clm_status clm_image_set_create(clm_image_set **out, const char *name, int channels, int height, int width);

/* A class whose images begin where those there are end. */
clm_status clm_image_set_add_class(clm_image_set *set, const char *name, size_t length);

/* Makes `count` classes of the set (which is copied) a split. */
clm_status clm_image_set_split(clm_image_set *set, clm_split split, const uint32_t *classes, size_t count, int turns);

/* From now on tasks of the split are of classes whose names begin alike, up to the first slash. Classes are in order of name, and
 * without turns. */
clm_status clm_image_set_families(clm_image_set *set, clm_split split);

/* What bytes stand for, or for CLM_NORMALISE_DATASET what floats become. Splits are made before. */
clm_status clm_image_set_normalise(clm_image_set *set, clm_normalise normalise);

/* The source's fingerprint: its examples, classes and splits. `pixels`: clm_hash_words of the examples; 0: not known. Splits are made
 * before, and floats not yet normalised. */
void clm_image_set_sign(clm_image_set *set, uint64_t pixels);

/* Adds to the source's notes how many examples of one split are in another too, by their values. Splits are made before. */
clm_status clm_image_set_note_shared(clm_image_set *set);

#endif
