/* Loaded before the C library (LD_PRELOAD): lets one call of a kind fail, as a sick machine would. For glibc.
 *
 * CLMAML_INJECT_KIND: "alloc" (malloc, calloc, realloc, but those of libjansson, which does not bear it: 2.14
 * crashes in its reader) or "file" (open, fopen, write, fwrite, fflush, fsync, rename, mkdir, mmap), or
 * "rename" alone, or "interrupt" (open, write, read, fsync, flock, of which each says EINTR once, as a signal makes them); others are
 * left to layer.c.
 * CLMAML_INJECT_QUOTA: bytes that may be written to files in all; then EDQUOT, for new files and directories too.
 * CLMAML_INJECT_ACTION: "fail"; "kill" ends the process instead, as kill -9 does; "half" the same, with half of what was to be written.
 * CLMAML_INJECT_OWN: calls from the program and libclmaml alone, so that no driver is asked to bear it.
 * CLMAML_INJECT_AT: which call of that kind, from 1; 0: none. CLMAML_INJECT_COUNT: a file that takes the number of calls at exit.
 * places.h: from which places they come, and those of one alone. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "places.h"

enum kind { NONE, ALLOC, FILES, RENAME, INTERRUPT };
static const char *const kinds[] = {"", "alloc", "file", "rename", "interrupt"};
enum action { FAIL, KILL, HALF };
static const char *const actions[] = {"fail", "kill", "half"};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static atomic_long calls;
static atomic_int chosen; /* enum kind: set once the program is loaded */
static long fail_at;
static enum action action;

/* Memory where code lies: of libjansson, or of the program and libclmaml. */
enum { RANGES = 16 };
static struct { uintptr_t begin, end; } ranges[RANGES];
static int range_count, own_only;

static int find_ranges(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    const char *name = info->dlpi_name;
    if (own_only ? !is_own_module(name) : !strstr(name, "libjansson")) return 0;
    for (int i = 0; i < info->dlpi_phnum && range_count < RANGES; i++) {
        const uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
        ranges[range_count].begin = begin;
        ranges[range_count++].end = begin + info->dlpi_phdr[i].p_memsz;
    }
    return 0;
}

static int lies_there(const void *caller) {
    for (int i = 0; i < range_count; i++)
        if ((uintptr_t)caller >= ranges[i].begin && (uintptr_t)caller < ranges[i].end) return 1;
    return 0;
}

static void end_here(void) { kill(getpid(), SIGKILL); }

static int fails_for(enum kind kind, int writes, const void *caller) {
    if (atomic_load(&chosen) != (int)kind) return 0;
    if ((kind == ALLOC || own_only) && lies_there(caller) != own_only) return 0;
    if (!place_is_meant(kinds[kind])) return 0;
    if (atomic_fetch_add(&calls, 1) + 1 != fail_at) return 0;
    if (action == KILL || (action == HALF && !writes)) end_here();
    return 1;
}
#define fails(kind) fails_for(kind, 0, __builtin_return_address(0))
#define fails_writing() fails_for(FILES, 1, __builtin_return_address(0))

/* The place of a word among `names`, of which `last` is the last; 0: it is none of them. */
static int which(const char *word, const char *const *names, int last) {
    while (word && last && strcmp(word, names[last]) != 0) last--;
    return word ? last : 0;
}

/* ---- a quota ---- */

static long quota = -1; /* none */
static atomic_long written;
static struct stat streams[2]; /* standard output and standard error are no files of the program's */

static void begin_quota(void) {
    const char *bytes = getenv("CLMAML_INJECT_QUOTA");
    for (int i = 0; i < 2; i++) (void)fstat(STDOUT_FILENO + i, &streams[i]);
    quota = bytes ? atol(bytes) : -1;
}

static int is_limited(int file) {
    struct stat st;
    if (quota < 0 || fstat(file, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    for (int i = 0; i < 2; i++)
        if (st.st_dev == streams[i].st_dev && st.st_ino == streams[i].st_ino) return 0;
    return 1;
}

/* How many of so many bytes still fit. */
static size_t take(size_t size) {
    const long before = atomic_fetch_add(&written, (long)size), left = quota - before;
    return left <= 0 ? 0 : (size_t)left < size ? (size_t)left : size;
}

static int is_used_up(void) { return quota >= 0 && atomic_load(&written) >= quota; }

/* ---- */

__attribute__((constructor)) static void begin(void) {
    const char *kind = getenv("CLMAML_INJECT_KIND"), *at = getenv("CLMAML_INJECT_AT"), *own = getenv("CLMAML_INJECT_OWN");
    own_only = own && *own;
    dl_iterate_phdr(find_ranges, NULL);
    fail_at = at ? atol(at) : 0;
    action = (enum action)which(getenv("CLMAML_INJECT_ACTION"), actions, HALF);
    begin_quota();
    places_begin();
    atomic_store(&chosen, which(kind, kinds, INTERRUPT));
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("CLMAML_INJECT_COUNT");
    const int counts = atomic_load(&chosen) != NONE;
    atomic_store(&chosen, NONE);
    places_end();
    FILE *file = path && counts ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", atomic_load(&calls));
    fclose(file);
}

void *malloc(size_t size) {
    if (fails(ALLOC)) return errno = ENOMEM, NULL;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    if (fails(ALLOC)) return errno = ENOMEM, NULL;
    return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
    if (size && fails(ALLOC)) return errno = ENOMEM, NULL;
    return __libc_realloc(old, size);
}

/* The function that would have been called. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    struct stat st;
    if (fails(FILES)) return errno = EIO, -1;
    if (fails(INTERRUPT)) return errno = EINTR, -1;
    if ((flags & O_CREAT) && is_used_up() && stat(path, &st) != 0) return errno = EDQUOT, -1;
    return NEXT(open)(path, flags, mode);
}
FILE *fopen(const char *path, const char *how) {
    if (fails(FILES)) return errno = EIO, NULL;
    return NEXT(fopen)(path, how);
}
ssize_t write(int file, const void *data, size_t size) {
    if (fails_writing()) {
        if (action == HALF) (void)!NEXT(write)(file, data, size / 2), end_here();
        return errno = ENOSPC, -1;
    }
    if (fails(INTERRUPT)) return errno = EINTR, -1;
    if (size && is_limited(file) && !(size = take(size))) return errno = EDQUOT, -1;
    return NEXT(write)(file, data, size);
}
ssize_t read(int file, void *data, size_t size) {
    if (fails(INTERRUPT)) return errno = EINTR, -1;
    return NEXT(read)(file, data, size);
}
int flock(int file, int operation) {
    if (fails(INTERRUPT)) return errno = EINTR, -1;
    return NEXT(flock)(file, operation);
}
int posix_fallocate(int file, off_t offset, off_t size) {
    if (is_limited(file) && take((size_t)size) < (size_t)size) return EDQUOT;
    return NEXT(posix_fallocate)(file, offset, size);
}
size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    if (file != stderr && fails_writing()) {
        if (action == HALF) NEXT(fwrite)(data, 1, size * count / 2, file), NEXT(fflush)(file), end_here();
        return errno = ENOSPC, 0;
    }
    if (size && count && is_limited(fileno(file)) && take(size * count) < size * count) return errno = EDQUOT, 0;
    return NEXT(fwrite)(data, size, count, file);
}
int fflush(FILE *file) {
    if (file && file != stderr && fails(FILES)) return errno = ENOSPC, EOF;
    if (file && is_used_up() && is_limited(fileno(file))) return errno = EDQUOT, EOF;
    return NEXT(fflush)(file);
}
int fsync(int file) {
    if (fails(FILES)) return errno = EIO, -1;
    if (fails(INTERRUPT)) return errno = EINTR, -1;
    return NEXT(fsync)(file);
}
int rename(const char *from, const char *to) {
    if (fails(FILES) || fails(RENAME)) return errno = EIO, -1;
    return NEXT(rename)(from, to);
}
int mkdir(const char *path, mode_t mode) {
    if (fails(FILES)) return errno = ENOSPC, -1;
    if (is_used_up()) return errno = EDQUOT, -1;
    return NEXT(mkdir)(path, mode);
}
void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    if (file >= 0 && fails(FILES)) return errno = ENODEV, MAP_FAILED;
    return NEXT(mmap)(at, size, protection, flags, file, offset);
}
