/* Files, directories and the clock on POSIX.
 *
 * Invariant: a reader of a file that clm_file_write writes sees the old contents or the new, whole, also after a crash: the
 * data are on disk before the name points at them, and the name is on disk before success is reported. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "base/files.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

static clm_status fail_io(const char *what, const char *path) {
    return clm_fail(CLM_E_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

char *clm_path_join(const char *directory, const char *name) {
    size_t length = strlen(directory);
    const char *slash = length && directory[length - 1] != '/' ? "/" : "";
    return clm_format("%s%s%s", directory, slash, name);
}

bool clm_path_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

bool clm_path_is_directory(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool clm_name_leads_out(const char *name) {
    assert(name);
    for (const char *part = name; part; part = strchr(part, '/')) {
        if (*part == '/') part++;
        if (strncmp(part, "..", 2) == 0 && (!part[2] || part[2] == '/')) return true;
    }
    return *name == '/';
}

char *clm_link_target(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? realpath(path, NULL) : NULL;
}

bool clm_path_is_below(const char *path, const char *folder) {
    char *whole = realpath(folder, NULL);
    const size_t length = whole ? strlen(whole) : 0;
    const bool below = whole && strncmp(path, whole, length) == 0 && (!path[length] || path[length] == '/' || length == 1);
    free(whole);
    return below;
}

/* What is no file to be read: a directory, a pipe, a device, a socket (then st says nothing). */
static clm_status fail_kind(const char *path, const struct stat *st) {
    return clm_fail(CLM_E_IO, "cannot read %s: %s", path,
                    st && S_ISDIR(st->st_mode) ? "it is a directory" : "not a regular file");
}

clm_status clm_file_measure(const char *path, uint64_t *size, int64_t *changed) {
    struct stat st;
    if (stat(path, &st) != 0) return fail_io("examine", path);
    if (!S_ISREG(st.st_mode)) return fail_kind(path, &st);
    *size = (uint64_t)st.st_size;
    *changed = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return CLM_OK;
}

/* ---- reading ---- */

/* Reads to the end rather than to the size that stat gave: the file may be changing, and must not be read beyond. */
static clm_status read_all(int fd, const char *path, size_t expected, char **out, size_t *size) {
    char *data = NULL;
    size_t capacity = 0, length = 0;
    clm_status status = CLM_OK;
    for (;;) {
        CLM_GOTO(clm_grow(&data, &capacity, length < expected ? expected + 1 : length + 65536, 1));
        ssize_t got = read(fd, data + length, capacity - length - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) CLM_GOTO(fail_io("read", path));
        if (got == 0) break;
        length += (size_t)got;
    }
    data[length] = 0;
    *out = data;
    if (size) *size = length;
    return CLM_OK;
out:
    free(data);
    return status;
}

/* Without O_NONBLOCK a pipe that nobody writes to would be waited for. */
clm_status clm_file_open(const char *path, int *fd, uint64_t *size) {
    struct stat st;
    clm_status status = CLM_OK;
    CLM_UNINTERRUPTED(*fd, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (*fd < 0 && errno != ENXIO) return fail_io("open", path); /* ENXIO: a socket */
    if (*fd >= 0 && fstat(*fd, &st) != 0) CLM_GOTO(fail_io("examine", path));
    if (*fd < 0 || !S_ISREG(st.st_mode)) CLM_GOTO(fail_kind(path, *fd < 0 ? NULL : &st));
    *size = (uint64_t)st.st_size;
    return CLM_OK;
out:
    if (*fd >= 0) close(*fd);
    *fd = -1;
    return status;
}

clm_status clm_file_read(const char *path, char **out, size_t *size) {
    int fd;
    uint64_t expected;
    *out = NULL;
    CLM_TRY(clm_file_open(path, &fd, &expected));
    const clm_status status = read_all(fd, path, (size_t)expected, out, size);
    close(fd);
    return status;
}

/* ---- writing ---- */

static clm_status write_all(int fd, const char *path, const char *data, size_t size) {
    while (size) {
        ssize_t put = write(fd, data, size);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail_io("write", path);
        data += put;
        size -= (size_t)put;
    }
    return CLM_OK;
}

/* Opens a file that did not exist before, next to `path`. The process id keeps processes apart, the counter threads. */
static clm_status open_temporary(const char *path, char **name, int *fd) {
    static atomic_uint counter;
    for (int attempt = 0; attempt < 1000; attempt++) {
        *name = clm_format("%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&counter, 1u));
        if (!*name) return CLM_E_MEMORY;
        CLM_UNINTERRUPTED(*fd, open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
        if (*fd >= 0) return CLM_OK;
        int error = errno;
        free(*name);
        *name = NULL;
        errno = error;
        if (error != EEXIST) break;
    }
    return fail_io("create", path);
}

static char *directory_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return clm_strdup(".");
    if (slash == path) return clm_strdup("/");
    return clm_format("%.*s", (int)(slash - path), path);
}

/* Some file systems cannot sync a directory and say EINVAL: nothing more can be done there. */
static clm_status sync_directory(const char *path) {
    char *directory = directory_of(path);
    if (!directory) return CLM_E_MEMORY;
    clm_status status = CLM_OK;
    int fd, synced;
    CLM_UNINTERRUPTED(fd, open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd >= 0) {
        CLM_UNINTERRUPTED(synced, fsync(fd));
        if (synced != 0 && errno != EINVAL) status = fail_io("sync directory", directory);
        close(fd);
    }
    free(directory);
    return status;
}

/* A device or a pipe takes what is written; a file in its place would take its name from it. */
static clm_status write_through(const char *path, const void *data, size_t size) {
    int fd;
    CLM_UNINTERRUPTED(fd, open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK)); /* a pipe that nobody reads is an error */
    if (fd < 0) return errno == ENXIO ? clm_fail(CLM_E_IO, "cannot write %s: nobody reads it", path) : fail_io("open", path);
    (void)fcntl(fd, F_SETFL, 0);
    clm_status status = write_all(fd, path, data, size);
    if (close(fd) != 0 && status == CLM_OK) status = fail_io("close", path);
    return status;
}

static clm_status replace_regular(const char *path, const void *data, size_t size, bool durable) {
    char *name = NULL;
    int fd = -1;
    CLM_TRY(open_temporary(path, &name, &fd));
    clm_status status = CLM_OK;
    CLM_GOTO(write_all(fd, path, data, size));
    if (durable) {
        int synced;
        CLM_UNINTERRUPTED(synced, fsync(fd));
        if (synced != 0) CLM_GOTO(fail_io("sync", path));
    }
    int closed = close(fd);
    fd = -1;
    if (closed != 0) CLM_GOTO(fail_io("close", path));
    if (rename(name, path) != 0) CLM_GOTO(fail_io("replace", path));
    free(name);
    return durable ? sync_directory(path) : CLM_OK;
out:
    if (fd >= 0) close(fd);
    if (name) unlink(name);
    free(name);
    return status;
}

/* A link stays one: what it leads to is replaced. */
static clm_status replace_file(const char *path, const void *data, size_t size, bool durable) {
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return write_through(path, data, size);
    if (lstat(path, &st) != 0 || !S_ISLNK(st.st_mode)) return replace_regular(path, data, size, durable);
    char *target = realpath(path, NULL);
    if (!target) return fail_io("follow the link", path);
    const clm_status status = replace_regular(target, data, size, durable);
    free(target);
    return status;
}

clm_status clm_file_write(const char *path, const void *data, size_t size) { return replace_file(path, data, size, true); }

clm_status clm_file_replace(const char *path, const void *data, size_t size) { return replace_file(path, data, size, false); }

clm_status clm_file_lock(const char *path, int *lock) {
    const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CLM_UNINTERRUPTED(*lock, open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    if (*lock < 0) return fail_io("open", path);
    while (fcntl(*lock, F_SETLKW, &whole) != 0) {
        if (errno == EINTR) continue;
        clm_status status = fail_io("lock", path);
        close(*lock);
        return status;
    }
    return CLM_OK;
}

clm_status clm_directory_lock(const char *path, int *lock) {
    int locked;
    CLM_UNINTERRUPTED(*lock, open(path, O_RDONLY | O_CLOEXEC));
    if (*lock < 0) return fail_io("open", path);
    CLM_UNINTERRUPTED(locked, flock(*lock, LOCK_EX | LOCK_NB));
    if (locked == 0) return CLM_OK;
    const bool used = errno == EWOULDBLOCK;
    close(*lock);
    *lock = -1;
    return used ? clm_fail(CLM_E_STATE, "%s is in use by another process; wait for its end, or choose another directory", path)
                : CLM_OK;
}

void clm_file_unlock(int lock) {
    if (lock >= 0) close(lock);
}

clm_status clm_file_remove(const char *path) {
    if (unlink(path) != 0 && errno != ENOENT) return fail_io("remove", path);
    return CLM_OK;
}

/* ---- directories ---- */

clm_status clm_directory_make(const char *path) {
    char *part = clm_strdup(path);
    if (!part) return CLM_E_MEMORY;
    clm_status status = CLM_OK;
    for (char *p = part + 1; *part && !status; p++) {
        if (*p && *p != '/') continue;
        char kept = *p;
        *p = 0;
        if (mkdir(part, 0777) != 0) {
            int error = errno; /* not only EEXIST: an existing directory of a read-only file system may give EROFS */
            if (!clm_path_is_directory(part)) {
                errno = error;
                status = fail_io("make directory", part);
            }
        }
        *p = kept;
        if (!kept) break;
    }
    free(part);
    return status;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

clm_status clm_directory_list(const char *path, char ***out, size_t *count) {
    *out = NULL;
    *count = 0;
    DIR *directory = opendir(path);
    if (!directory) return fail_io("open directory", path);
    clm_status status = CLM_OK;
    char **names = NULL;
    size_t n = 0, capacity = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (!entry) {
            if (errno) CLM_GOTO(fail_io("read directory", path));
            break;
        }
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        CLM_GOTO(clm_grow(&names, &capacity, n + 1, sizeof *names));
        if (!(names[n] = clm_strdup(entry->d_name))) CLM_GOTO(CLM_E_MEMORY);
        n++;
    }
    if (n) qsort(names, n, sizeof *names, compare_names);
    *out = names;
    *count = n;
    names = NULL;
out:
    closedir(directory);
    if (names) clm_names_free(names, n);
    return status;
}

void clm_names_free(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
}

clm_status clm_cache_directory(char **out) {
    const char *own = getenv("CLMAML_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    *out = NULL;
    if (own && *own)
        *out = clm_strdup(own);
    else if (xdg && *xdg)
        *out = clm_path_join(xdg, "clmaml");
    else if (home && *home)
        *out = clm_path_join(home, ".cache/clmaml");
    else
        return clm_fail(CLM_E_IO, "no place for a cache: set CLMAML_CACHE_DIR, XDG_CACHE_HOME or HOME");
    return *out ? CLM_OK : CLM_E_MEMORY;
}

/* ---- the system ---- */

double clm_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double clm_thread_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int clm_processors(void) {
#ifdef _SC_NPROCESSORS_ONLN
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > 1024 ? 1024 : (int)count;
#else
    return 1;
#endif
}

uint64_t clm_physical_memory(void) {
#ifdef _SC_PHYS_PAGES
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
#else
    return 0;
#endif
}
