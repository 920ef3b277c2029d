/* Checkpoints: named arrays and text metadata in one safetensors file.
 *
 * Writing goes to a temporary name in the same directory, is synced and renamed: a reader sees the old file or the new one, whole.
 * Reading checks every length and offset against the file before use; errors name the file and what is wrong with it. A file that is
 * saved has a checksum of its arrays in its metadata ("clmaml.checksum", which clm_archive_meta does not show and clm_archive_set_meta
 * refuses); one that is loaded and has it must agree with it, and one without is taken as it is.
 */
#ifndef CLMAML_CHECKPOINT_H
#define CLMAML_CHECKPOINT_H

#include "graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum clm_dtype { CLM_F32, CLM_F64, CLM_I64, CLM_U8 } clm_dtype;

typedef struct clm_archive clm_archive;

/* An archive is freed by whom it was made for, and belongs to one thread at a time. What its functions return as pointers is the
 * archive's, and stays until it changes. */
CLM_API clm_status clm_archive_create(clm_archive **out);                          /* empty */
CLM_API clm_status clm_archive_load(clm_archive **out, const char *path);          /* CLM_E_IO, CLM_E_FORMAT */
CLM_API clm_status clm_archive_save(const clm_archive *archive, const char *path); /* CLM_E_IO: the old file is as it was */
CLM_API void clm_archive_free(clm_archive *archive);                               /* NULL is allowed */

CLM_API size_t clm_archive_count(const clm_archive *archive);
CLM_API const char *clm_archive_name(const clm_archive *archive, size_t i); /* NULL: no such array */
/* Shapes in an archive may have up to CLM_MAX_RANK axes. NULL when there is no such array. */
CLM_API const clm_shape *clm_archive_shape(const clm_archive *archive, const char *name);
/* Copies an array out as double, converting from whatever it is stored as; an integer outside +-2^53 is CLM_E_FORMAT. `shape`
 * (may be NULL) is what the caller expects; a difference is CLM_E_SHAPE and names file, array, both shapes. `count` = elements. */
CLM_API clm_status clm_archive_read(const clm_archive *archive, const char *name, const clm_shape *shape, double *out,
                                    size_t count);
/* Adds or replaces an array, stored as dtype; takes copies. CLM_E_MEMORY leaves the archive as it was. */
CLM_API clm_status clm_archive_add(clm_archive *archive, const char *name, clm_dtype dtype, const clm_shape *shape,
                                   const double *data);
/* Metadata: NULL when there is none under this key. */
CLM_API const char *clm_archive_meta(const clm_archive *archive, const char *key);
CLM_API clm_status clm_archive_set_meta(clm_archive *archive, const char *key, const char *value);

#ifdef __cplusplus
}
#endif
#endif
