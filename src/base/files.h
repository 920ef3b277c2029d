/* Files, directories and the clock: everything the library asks of POSIX. Paths are as given by the user; errors name them. */
#ifndef CLM_BASE_FILES_H
#define CLM_BASE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* result = call, again as long as a signal interrupts it: on network file systems open and fsync too. Needs <errno.h>. */
#define CLM_UNINTERRUPTED(result, call) \
    do (result) = (call);               \
    while ((result) < 0 && errno == EINTR)

/* "directory/name"; NULL with CLM_E_MEMORY recorded. Free with free(). */
char *clm_path_join(const char *directory, const char *name);

bool clm_path_exists(const char *path);

/* Is a name that is to be below a folder absolute, or is a part of it ".."? */
bool clm_name_leads_out(const char *name);

/* What a symbolic link leads to in the end, without links; NULL for what is no link, and for one that leads nowhere. Free with
 * free(). */
char *clm_link_target(const char *path);
/* Is a path without links the folder, or below it? Links in the folder's own path are followed. */
bool clm_path_is_below(const char *path, const char *folder);
bool clm_path_is_directory(const char *path);

/* Size in bytes and time of the last change in nanoseconds of a regular file. */
clm_status clm_file_measure(const char *path, uint64_t *size, int64_t *changed);

/* Opens a regular file to be read; anything else is an error at once, also a pipe that nobody writes to. Close *fd. */
clm_status clm_file_open(const char *path, int *fd, uint64_t *size);

/* The whole of a regular file, with a 0 byte after it that `size` (may be NULL) does not count. Free with free(). */
clm_status clm_file_read(const char *path, char **out, size_t *size);

/* Replaces or creates a file in one piece: written under a temporary name in the same directory, synced, renamed, the directory
 * synced. After a failure the old file is untouched and nothing is left behind. What a link leads to is replaced, not the link; to a
 * device or a pipe it is written. */
clm_status clm_file_write(const char *path, const void *data, size_t size);

/* The same without syncing: for what can be lost, like caches. Readers still see the old contents or the new, unless the
 * machine crashes. */
clm_status clm_file_replace(const char *path, const void *data, size_t size);

/* Removes a file; one that does not exist is no error. */
clm_status clm_file_remove(const char *path);

/* Waits for the exclusive use, among processes, of the file `path`, which is made if need be; *lock ends it with
 * clm_file_unlock. */
clm_status clm_file_lock(const char *path, int *lock);
void clm_file_unlock(int lock);

/* The exclusive use of a directory, among processes, until clm_file_unlock or the end of the process. CLM_E_STATE where another
 * process has it. Where the file system knows no locks nothing is locked, and *lock is -1. */
clm_status clm_directory_lock(const char *path, int *lock);

/* Makes a directory and the missing ones above it; one that exists is no error. */
clm_status clm_directory_make(const char *path);

/* The names in a directory but "." and "..", sorted bytewise. Free with clm_names_free. */
clm_status clm_directory_list(const char *path, char ***out, size_t *count);
void clm_names_free(char **names, size_t count);

/* Where caches go: CLMAML_CACHE_DIR, else XDG_CACHE_HOME/clmaml, else HOME/.cache/clmaml. Not made. Free with free(). */
clm_status clm_cache_directory(char **out);

/* Seconds from some fixed point in the past; never goes backwards. */
double clm_clock(void);
/* Processor seconds of the calling thread so far. */
double clm_thread_seconds(void);

/* Processors that may run threads; at least 1. */
int clm_processors(void);

/* Bytes of physical memory; 0 when the system does not say. */
uint64_t clm_physical_memory(void);
/* Bytes that this process can still take without swapping, or being ended for it (available.c); 0 when the system does not say. */
uint64_t clm_available_memory(void);

#endif
