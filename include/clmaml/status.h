/* Status codes and the last error.
 *
 * Every fallible function of the library returns a clm_status. On failure a message that names the culprit and the
 * remedy is kept per thread until the next failure on that thread. The library never prints and never exits.
 */
#ifndef CLMAML_STATUS_H
#define CLMAML_STATUS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define CLM_API
#else
#define CLM_API __attribute__((visibility("default")))
#endif

/* One list makes the codes, their names and their meanings. */
#define CLM_STATUS_LIST(X)                  \
    X(OK, "success")                        \
    X(E_ARG, "invalid argument")            \
    X(E_SHAPE, "shapes do not fit")         \
    X(E_MEMORY, "out of memory")            \
    X(E_LIMIT, "a limit would be exceeded") \
    X(E_IO, "input/output failed")          \
    X(E_FORMAT, "malformed data")           \
    X(E_DEVICE, "device failure")           \
    X(E_BUILD, "kernel does not build")     \
    X(E_NUMERIC, "not a finite number")     \
    X(E_STATE, "called in the wrong state")

typedef enum clm_status {
#define CLM_STATUS_ENUM(name, text) CLM_##name,
    CLM_STATUS_LIST(CLM_STATUS_ENUM)
#undef CLM_STATUS_ENUM
} clm_status;

/* The code's name, "CLM_E_SHAPE". Never NULL. */
CLM_API const char *clm_status_name(clm_status status);

/* The message of this thread's last failure; "" when there was none. Valid until the next failure on this thread. */
CLM_API const char *clm_last_error(void);

/* Of `count` words the one that was probably meant by `word`, which is none of them: the nearest by letters that were put in,
 * left out or replaced, at most a third of its own; or one that begins with `word`. NULL: none is near. For messages. */
CLM_API const char *clm_nearest_word(const char *word, const char *const *words, size_t count);

/* The library's version, "MAJOR.MINOR.PATCH". */
CLM_API const char *clm_version(void);

#ifdef __cplusplus
}
#endif
#endif
