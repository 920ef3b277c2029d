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

typedef struct clm_catalog_lost { /* a picture that cannot be had */
    char *origin, *path, *why;    /* of its class; below the root; the reason and the remedy */
} clm_catalog_lost;

/* Kinds of what is left out. */
typedef enum clm_left { CLM_LEFT_FILES, CLM_LEFT_FOLDERS, CLM_LEFT_PICTURES, CLM_LEFT_OTHER, CLM_LEFT_KINDS } clm_left;

typedef struct clm_catalog {
    char *root;
    clm_catalog_class *classes;
    size_t n_classes, classes_capacity;
    clm_catalog_picture *pictures;
    size_t n_pictures, pictures_capacity;
    clm_catalog_lost *lost;
    size_t n_lost, lost_capacity;
    clm_text notes;                  /* lines */
    clm_text left;                   /* those of them that say that something is not read */
    size_t left_out[CLM_LEFT_KINDS]; /* how many there would be, if there were no bound */
    size_t links;                    /* that lead out of the root */
    char *link;                      /* the first: "a/b -> /c" */
} clm_catalog;

clm_status clm_catalog_begin(clm_catalog *catalog, const char *root);
void clm_catalog_free(clm_catalog *catalog);

/* A fresh class, or the one of this name and split. */
clm_status clm_catalog_class_of(clm_catalog *catalog, const char *name, const char *origin, int split, size_t *index);
clm_status clm_catalog_add(clm_catalog *catalog, size_t class_index, const char *path);

/* Counts what is a link that leads out of the root. Such links are followed, as sets of pictures are made of them, but it is
 * said. */
clm_status clm_catalog_look_at_link(clm_catalog *catalog, const char *path);

/* Lines for clm_source_notes: of what is left out, the first ten of a kind, and of the rest. */
void clm_catalog_left_out(clm_catalog *catalog, clm_left kind, const char *format, ...) CLM_PRINTF(3, 4);
void clm_catalog_remark(clm_catalog *catalog, const char *format, ...) CLM_PRINTF(2, 3);

/* Classes by split and name, pictures by class and path; bytewise, as if names of folders ended in a slash. Classes without
 * pictures go. */
clm_status clm_catalog_sort(clm_catalog *catalog);

/* How many more there are of each kind than have a line. Last. */
void clm_catalog_note_more(clm_catalog *catalog);

/* ---- lost.c ---- */

/* A picture of the class that comes from `origin` cannot be had. */
clm_status clm_catalog_lose(clm_catalog *catalog, const char *origin, const char *path, const char *why);
/* Those of a sorted catalog's pictures that have a reason are lost, and classes that have no others go. why [n_pictures]. */
clm_status clm_catalog_drop(clm_catalog *catalog, char *const *why);
/* A line of all, and one a class: how many are left out, the first by name, and why. */
void clm_catalog_note_lost(clm_catalog *catalog);
/* CLM_E_FORMAT where no picture is left. */
clm_status clm_catalog_check_left(const clm_catalog *catalog);
void clm_catalog_free_lost(clm_catalog *catalog);

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
