/* A tree of picture files, read in place from a zip file or from a folder: the rest of src/data does not know which.
 *
 * Entries are the PNG files by name, sorted bytewise by their path inside ("a/b/c.png"), so the order in which a folder or a zip
 * file happens to list them does not matter. Left out: hidden files and what operating systems leave behind (__MACOSX). */
#ifndef CLM_DATA_FILETREE_H
#define CLM_DATA_FILETREE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct clm_filetree clm_filetree;

/* path: a folder, or else a zip file. */
clm_status clm_filetree_open(clm_filetree **out, const char *path);
void clm_filetree_close(clm_filetree *tree); /* NULL is allowed */

size_t clm_filetree_count(const clm_filetree *tree);
const char *clm_filetree_entry(const clm_filetree *tree, size_t index); /* its path inside */
const char *clm_filetree_path(const clm_filetree *tree);                /* as given to clm_filetree_open */

/* The bytes of an entry; they belong to the tree and last until the next read. */
clm_status clm_filetree_read(clm_filetree *tree, size_t index, const uint8_t **data, size_t *size);

#endif
