/* What surrounds the library: environment variables, the log, the cache on disk, how it was built. */
#ifndef CLMAML_ENVIRONMENT_H
#define CLMAML_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- environment variables: every one that the library or the program reads ---- */
typedef struct clm_environment_entry {
    const char *name, *meaning;
    const char *fallback; /* what holds when it is not set */
    const char *value;    /* NULL: not set. Valid until the environment changes. */
} clm_environment_entry;

/* Entry `index`, counted from 0; false past the last. */
CLM_API bool clm_environment_at(size_t index, clm_environment_entry *out);

/* ---- the log ---- */
typedef enum clm_log_level {
    CLM_LOG_OFF,
    CLM_LOG_ERROR, /* what a driver refused, and drivers that were left out */
    CLM_LOG_INFO,  /* what was decided: device, memory plan, quirks, cache */
    CLM_LOG_DEBUG  /* each program built or loaded, each error message, also of failures that were dealt with */
} clm_log_level;

/* Receives one line, without a line end. May be called from any thread that calls the library, also from two at once. */
typedef void (*clm_log_function)(void *user, clm_log_level level, const char *message);

/* Sends messages up to `level` to `function`; NULL or CLM_LOG_OFF: none. Wins over CLMAML_LOG, which the library reads when it
 * first has something to say. Without either nothing is ever written. */
CLM_API void clm_log_set(clm_log_function function, void *user, clm_log_level level);

/* ---- the cache on disk ---- */
typedef struct clm_cache_info {
    bool enabled;         /* not switched off by CLMAML_NO_CACHE, and there is a place for it */
    bool writable;        /* it exists and files can be made there, or it can be made */
    char directory[1024]; /* "" when there is no place */
    size_t files;
    uint64_t bytes, limit; /* bytes taken; above `limit` the entries used longest ago are removed */
} clm_cache_info;
CLM_API clm_status clm_cache_describe(clm_cache_info *out);

/* Compiler, and the libraries that were built in, such as "gcc 12.2.0". */
CLM_API const char *clm_build_description(void);

#ifdef __cplusplus
}
#endif
#endif
