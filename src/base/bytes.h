/* Amounts of memory as users write and read them. */
#ifndef CLM_BASE_BYTES_H
#define CLM_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* "1073741824", "512M", "1.5GiB": the first `length` characters of `text`, K, M, G, T in powers of 1024. False when it is no
 * amount or one beyond 2^53. */
bool clm_bytes_parse(const char *text, size_t length, uint64_t *bytes);

/* "412 B", "63.5 KiB", "1.2 GiB": one digit behind the point, rounded up, so that what is named is enough. */
typedef struct clm_bytes_name {
    char s[24];
} clm_bytes_name;
clm_bytes_name clm_bytes_text(double bytes);

/* The environment variable CLMAML_MEMORY_LIMIT: *bytes 0 when it is unset or empty, CLM_E_ARG when it is no amount or 0. */
clm_status clm_memory_limit(uint64_t *bytes);

/* The memory of the machine, or the environment variable CLMAML_HOST_MEMORY: 0 where neither says, CLM_E_ARG when the
 * variable is no amount or 0. */
clm_status clm_host_memory(uint64_t *bytes);

#endif
