/* Inside an archive: arrays as the bytes that stand in the file (little-endian, C order), metadata as texts. */
#ifndef CLM_CHECKPOINT_INTERNAL_H
#define CLM_CHECKPOINT_INTERNAL_H

#include "base/error.h"
#include "clmaml/checkpoint.h"

/* An element type of the file format. get: false when the number is not exact as a double; put: false when the type cannot hold
 * it. */
typedef struct clm_stored_type {
    const char *name;
    size_t size;
    bool (*get)(const unsigned char *bytes, double *value);
    bool (*put)(double value, unsigned char *bytes); /* NULL: read only */
} clm_stored_type;

typedef struct clm_stored_array {
    char *name;
    const clm_stored_type *type;
    clm_shape shape;
    size_t count; /* elements */
    unsigned char *bytes;
} clm_stored_array;

typedef struct clm_stored_text {
    char *key, *value;
} clm_stored_text;

struct clm_archive {
    char *path; /* of the file it was read from; NULL for a new one */
    clm_stored_array *arrays;
    size_t n_arrays, array_capacity;
    clm_stored_text *texts;
    size_t n_texts, text_capacity;
};

#define CLM_METADATA_KEY "__metadata__"
/* In the metadata of a file, never among the texts of an archive: the checksum of its arrays. */
#define CLM_CHECKSUM_KEY "clmaml.checksum"

/* NULL when the type is unknown. */
const clm_stored_type *clm_stored_type_find(const char *name);
/* Comma-separated, for messages. */
const char *clm_stored_type_names(void);
/* Number of elements; false when it does not fit a size_t or a dimension is negative. */
bool clm_stored_count(const clm_shape *shape, size_t *count);
/* Appends an array with its own copy of the bytes (zeros when NULL). The name must be new. */
clm_status clm_archive_append(clm_archive *archive, const char *name, const clm_stored_type *type, const clm_shape *shape,
                              const void *bytes);
/* The same of a text. The key must be new: to look for it costs time that grows with what is there. */
clm_status clm_archive_append_meta(clm_archive *archive, const char *key, const char *value);

#endif
