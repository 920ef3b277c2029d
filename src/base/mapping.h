/* Files as memory: the system brings pages in as they are asked for, and drops them when it needs the room. */
#ifndef CLM_BASE_MAPPING_H
#define CLM_BASE_MAPPING_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Begin with {0}. */
typedef struct clm_mapping {
    void *data; /* NULL: nothing is mapped */
    size_t size;
    char *temporary; /* the name that the file has as long as it is written; NULL: none */
} clm_mapping;

/* A whole file, not to be written. The file must not be cut while it is mapped; to remove or replace it is fine. */
clm_status clm_mapping_open(clm_mapping *out, const char *path);

/* A fresh file of `size` zero bytes in a directory, to be written. Its room on the disk is taken at once: CLM_E_LIMIT where
 * there is not so much. `name`: what its temporary name begins with. */
clm_status clm_mapping_create(clm_mapping *out, const char *directory, const char *name, size_t size);
/* What was made gets its name: the first `size` bytes become the file `path` of the same directory. Not synced. */
clm_status clm_mapping_publish(clm_mapping *mapping, const char *path, size_t size);
/* What was made never gets a name: its room is free again when it is closed or the process ends. */
void clm_mapping_hide(clm_mapping *mapping);

/* Nothing mapped is allowed. A file that has no name yet is gone. */
void clm_mapping_close(clm_mapping *mapping);

/* Bytes that may still be written to the file system of a directory; 0 where it does not say. */
uint64_t clm_disk_free(const char *directory);

#endif
