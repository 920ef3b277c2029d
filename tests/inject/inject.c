/* Loaded before the C library (LD_PRELOAD): lets one call of a kind fail, as a sick machine would. For glibc.
 *
 * CLMAML_INJECT_KIND: "alloc" (malloc, calloc, realloc, but those of libjansson, which does not bear it: 2.14
 * crashes in its reader) or "file" (open, fopen, write, fwrite, fflush, fsync, rename, mkdir, mmap).
 * CLMAML_INJECT_AT: which call of that kind, from 1; 0: none. CLMAML_INJECT_COUNT: a file that takes the number of calls at exit. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { NONE, ALLOC, FILES };

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static atomic_long calls;
static atomic_int chosen; /* enum kind: set once the program is loaded */
static long fail_at;

static int fails(enum kind kind) { return atomic_load(&chosen) == (int)kind && atomic_fetch_add(&calls, 1) + 1 == fail_at; }

/* Where libjansson lies. */
static uintptr_t spared_begin, spared_end;

static int find_spared(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    if (!strstr(info->dlpi_name, "libjansson")) return 0;
    spared_begin = UINTPTR_MAX;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, end = begin + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
        if (begin < spared_begin) spared_begin = begin;
        if (end > spared_end) spared_end = end;
    }
    return 1;
}

static int allocation_fails(const void *caller) {
    const uintptr_t at = (uintptr_t)caller;
    return (at < spared_begin || at >= spared_end) && fails(ALLOC);
}

__attribute__((constructor)) static void begin(void) {
    dl_iterate_phdr(find_spared, NULL);
    const char *kind = getenv("CLMAML_INJECT_KIND"), *at = getenv("CLMAML_INJECT_AT");
    fail_at = at ? atol(at) : 0;
    if (kind) atomic_store(&chosen, strcmp(kind, "alloc") == 0 ? ALLOC : FILES);
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("CLMAML_INJECT_COUNT");
    atomic_store(&chosen, NONE);
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", atomic_load(&calls));
    fclose(file);
}

void *malloc(size_t size) {
    if (allocation_fails(__builtin_return_address(0))) return errno = ENOMEM, NULL;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    if (allocation_fails(__builtin_return_address(0))) return errno = ENOMEM, NULL;
    return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
    if (size && allocation_fails(__builtin_return_address(0))) return errno = ENOMEM, NULL;
    return __libc_realloc(old, size);
}

/* The function that would have been called. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (fails(FILES)) return errno = EIO, -1;
    return NEXT(open)(path, flags, mode);
}
FILE *fopen(const char *path, const char *how) {
    if (fails(FILES)) return errno = EIO, NULL;
    return NEXT(fopen)(path, how);
}
ssize_t write(int file, const void *data, size_t size) {
    if (fails(FILES)) return errno = ENOSPC, -1;
    return NEXT(write)(file, data, size);
}
size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    if (file != stderr && fails(FILES)) return errno = ENOSPC, 0;
    return NEXT(fwrite)(data, size, count, file);
}
int fflush(FILE *file) {
    if (file && file != stderr && fails(FILES)) return errno = ENOSPC, EOF;
    return NEXT(fflush)(file);
}
int fsync(int file) {
    if (fails(FILES)) return errno = EIO, -1;
    return NEXT(fsync)(file);
}
int rename(const char *from, const char *to) {
    if (fails(FILES)) return errno = EIO, -1;
    return NEXT(rename)(from, to);
}
int mkdir(const char *path, mode_t mode) {
    if (fails(FILES)) return errno = ENOSPC, -1;
    return NEXT(mkdir)(path, mode);
}
void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    if (file >= 0 && fails(FILES)) return errno = ENODEV, MAP_FAILED;
    return NEXT(mmap)(at, size, protection, flags, file, offset);
}
