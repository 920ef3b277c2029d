/* The cache on disk as a whole: where it is, how large, and what goes when it becomes too large. Its files are written with
 * clm_file_replace; readers check what they read, and any file may be gone at any time. */
#ifndef CLM_BASE_CACHE_H
#define CLM_BASE_CACHE_H

#include <stdint.h>

#include "base/error.h"

#define CLM_CACHE_LIMIT ((uint64_t)512 << 20)         /* bytes */
#define CLM_CACHE_PICTURES_LIMIT ((uint64_t)16 << 30) /* of prepared pictures, beside that */

/* CACHE/name, with the directories made; NULL when there is no cache, with the reason as last error and in the log.
 * Free with free(). */
char *clm_cache_place(const char *name);

/* When the files below `directory` (and one level of directories in it) take more than `limit` bytes, removes those used
 * longest ago until three quarters are left; temporary files that a killed process left go too. Failures are silent. */
void clm_cache_prune(const char *directory, uint64_t limit);

/* Marks an entry as used now. */
void clm_cache_touch(const char *path);

#endif
