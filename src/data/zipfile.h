/* Entries of zip files, read in place through libzip, which checks the CRC of every entry that is read to its end. */
#ifndef CLM_DATA_ZIPFILE_H
#define CLM_DATA_ZIPFILE_H

#include <stddef.h>
#include <stdint.h>
#include <zip.h>

#include "base/error.h"

clm_status clm_zip_open(zip_t **out, const char *path);

/* A whole entry into memory that grows as needed; `limit`: bytes that it may have. */
clm_status clm_zip_read(zip_t *zip, const char *path, zip_uint64_t index, const char *name, uint64_t limit, uint8_t **data,
                        size_t *capacity, size_t *size);

#endif
