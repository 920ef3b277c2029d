/* What all targets share: an execution with its bound, files in memory. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

enum { PATH = 512, PATHS = 8 };

static char directory[PATH / 2];
static long owner; /* a child's exit removes nothing */

void fuzz_check(bool holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const size_t before = fuzz_memory_used();
    fuzz_memory_begin();
    fuzz_this.run(data, size);
    const size_t peak = fuzz_memory_peak() - before, bound = fuzz_this.base + fuzz_this.factor * size;
    if (peak <= bound) return 0;
    fprintf(stderr, "fuzz: %zu bytes of memory at a time for %zu bytes of input; at most %zu follow from these\n", peak, size,
            bound);
    abort();
}

/* ---- files ---- */

/* Entries of a folder, not what links lead to. */
static void remove_below(int folder, const char *name) {
    const int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries) {
        if (fd >= 0) close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(entries));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || unlinkat(fd, e->d_name, 0) == 0) continue;
        remove_below(fd, e->d_name);
        unlinkat(fd, e->d_name, AT_REMOVEDIR);
    }
    closedir(entries);
}

static void remove_directory(void) {
    if (owner != (long)getpid()) return;
    remove_below(AT_FDCWD, directory);
    rmdir(directory);
}

static bool make_directory(const char *place) {
    return place && snprintf(directory, sizeof directory, "%s/clmaml-fuzz-XXXXXX", place) < (int)sizeof directory &&
           mkdtemp(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    fuzz_check(make_directory("/dev/shm") || make_directory(getenv("TMPDIR")) || make_directory("/tmp"), "no folder for files");
    owner = (long)getpid();
    atexit(remove_directory);
    setenv("CLMAML_CACHE_DIR", directory, 1);
    setenv("CLMAML_NO_CACHE", "1", 1);
    unsetenv("CLMAML_EMULATE");
    return 0;
}

const char *fuzz_directory(void) { return directory; }

const char *fuzz_path(const char *name) {
    static char paths[PATHS][PATH];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    snprintf(path, PATH, "%s/%s", directory, name);
    return path;
}

const char *fuzz_file(const char *name, const void *data, size_t size) {
    const char *path = fuzz_path(name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const char *from = data;
    fuzz_check(fd >= 0, "a file cannot be made");
    for (size_t left = size; left;) {
        const ssize_t put = write(fd, from + (size - left), left);
        fuzz_check(put > 0, "a file cannot be written");
        left -= (size_t)put;
    }
    close(fd);
    return path;
}

void fuzz_empty(const char *name) {
    remove_below(AT_FDCWD, fuzz_path(name));
    mkdir(fuzz_path(name), 0700);
}

/* ---- bytes ---- */

bool fuzz_goes(const uint8_t *data, size_t size, unsigned way, unsigned ways) {
#ifdef CLM_FUZZ_ONE_WAY
    uint32_t sum = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < size; i++) sum = (sum ^ data[i]) * 16777619u;
    return (sum ^ sum >> 16) % ways == way;
#else
    (void)data, (void)size;
    return way < ways;
#endif
}

char *fuzz_text(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    fuzz_check(text != NULL, "no memory");
    if (size) memcpy(text, data, size);
    text[size] = 0;
    return text;
}

bool fuzz_part(const uint8_t *data, size_t size, size_t *at, const uint8_t **part, size_t *length) {
    if (*at > size) return false;
    *part = data + *at;
    for (size_t i = *at; i + 3 <= size; i++) {
        if (memcmp(data + i, "%%\n", 3) != 0 || (i != *at && data[i - 1] != '\n')) continue;
        *length = i - *at;
        *at = i + 3;
        return true;
    }
    *length = size - *at;
    *at = size + 1;
    return true;
}

const char *fuzz_safetensors(const char *name, const uint8_t *data, size_t size) {
    if (!size || data[0] != '{') return fuzz_file(name, data, size);
    const uint8_t *end = memchr(data, '\n', size);
    const size_t header = end ? (size_t)(end - data) : size, rest = end ? size - header - 1 : 0;
    uint8_t *file = malloc(8 + header + rest);
    fuzz_check(file != NULL, "no memory");
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)header >> (8 * i));
    memcpy(file + 8, data, header);
    if (rest) memcpy(file + 8 + header, end + 1, rest);
    const char *path = fuzz_file(name, file, 8 + header + rest);
    free(file);
    return path;
}
