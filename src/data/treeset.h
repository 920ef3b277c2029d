/* Trees of PNG pictures as a set of labelled images. */
#ifndef CLM_DATA_TREESET_H
#define CLM_DATA_TREESET_H

#include "data/decode.h"
#include "data/filetree.h"
#include "data/imageset.h"

/* Begin with {0}; free the items. Image i of a set is item i. */
typedef struct clm_tree_pictures {
    struct clm_tree_picture {
        clm_filetree *tree;
        size_t entry;
    } * items;
    size_t count, capacity;
} clm_tree_pictures;

/* Adds the pictures of a tree, which stays open, to the list, and their classes to the set. A class is a folder that holds
 * pictures, named by the last `depth` parts of its path (0: by all of it); pictures less deep are left out. */
clm_status clm_tree_pictures_add(clm_tree_pictures *list, clm_image_set *set, clm_filetree *tree, int depth);

/* Decodes all of them into the set, in grey and stretched, by threads. `invert`: ink is dark in the files. Of `how`, threads
 * and progress are read. */
clm_status clm_tree_pictures_decode(const clm_tree_pictures *list, clm_image_set *set, bool invert, const clm_decoding *how);

#endif
