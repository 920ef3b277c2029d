/* What a folder of pictures holds: the pictures by class, and what was left out. Layouts (layouts.h) fill it from names alone;
 * no picture is opened. */
#ifndef CLM_DATA_CATALOG_H
#define CLM_DATA_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

#define CLM_NO_SPLIT (-1) /* of a class that has to be given one */

typedef struct clm_catalog_class {
    char *name, *origin; /* "c1", "val/c1" */
    int split;
    size_t first, count; /* its pictures, once sorted */
} clm_catalog_class;

typedef struct clm_catalog_picture {
    char *path; /* below the root */
    size_t class_index;
    uint64_t size;
    int64_t changed;
} clm_catalog_picture;

typedef struct clm_catalog {
    char *root;
    clm_catalog_class *classes;
    size_t n_classes, classes_capacity;
    clm_catalog_picture *pictures;
    size_t n_pictures, pictures_capacity;
    clm_text notes;  /* lines */
    size_t left_out; /* notes that say that something is not read */
    size_t links;    /* that lead out of the root */
    char *link;      /* the first: "a/b -> /c" */
} clm_catalog;

clm_status clm_catalog_begin(clm_catalog *catalog, const char *root);
void clm_catalog_free(clm_catalog *catalog);

/* A fresh class, or the one of this name and split. */
clm_status clm_catalog_class_of(clm_catalog *catalog, const char *name, const char *origin, int split, size_t *index);
clm_status clm_catalog_add(clm_catalog *catalog, size_t class_index, const char *path);

/* Counts what is a link that leads out of the root. Such links are followed, as sets of pictures are made of them, but it is
 * said. */
clm_status clm_catalog_look_at_link(clm_catalog *catalog, const char *path);

/* Lines for clm_source_notes: of what is left out, and of the rest. */
void clm_catalog_left_out(clm_catalog *catalog, const char *format, ...) CLM_PRINTF(2, 3);
void clm_catalog_remark(clm_catalog *catalog, const char *format, ...) CLM_PRINTF(2, 3);

/* Classes by split and name, pictures by class and path; bytewise, as if names of folders ended in a slash. Classes without
 * pictures go. */
clm_status clm_catalog_sort(clm_catalog *catalog);

/* ---- layouts.c ---- */

/* A split's number by the name of its folder or list, "valid"; CLM_NO_SPLIT when it is none. */
int clm_split_of_name(const char *name);

/* Below `inside` of the root ("" for the root itself): CLASS/.. into `split`. */
clm_status clm_catalog_scan(clm_catalog *catalog, const char *inside, int split, int class_depth);
/* All pictures of a folder of the root as one class. */
clm_status clm_catalog_scan_class(clm_catalog *catalog, const char *inside, const char *name, int split);
/* The whole of the root, in the layout that it has. */
clm_status clm_catalog_read(clm_catalog *catalog, int class_depth);

/* ---- lists.c ---- */

/* miniImageNet's and CIFAR-FS's; the first of each pair tells whether the root has the layout. */
bool clm_catalog_has_tables(const clm_catalog *catalog);
clm_status clm_catalog_read_tables(clm_catalog *catalog);
bool clm_catalog_has_lists(const clm_catalog *catalog);
clm_status clm_catalog_read_lists(clm_catalog *catalog);

#endif
