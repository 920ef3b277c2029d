/* Fuzz targets: what reads files of strangers, given any bytes.
 *
 * A target is one file, fuzz_NAME.c, that defines `fuzz_this`. It is run by libFuzzer where clang builds it (CLMAML_FUZZ),
 * else by driver.c, over corpus/NAME and mutations of it. An execution fails by a crash, a fault that a sanitizer finds, a
 * check of its own (fuzz_check), a leak, or more memory at a time than `base + factor * size` bytes. */
#ifndef CLM_TESTS_FUZZ_H
#define CLM_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fuzz_target {
    void (*run)(const uint8_t *data, size_t size);
    size_t base, factor; /* of the memory that an execution may have at a time, in bytes */
} fuzz_target;

extern const fuzz_target fuzz_this;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Bytes that were allocated and not freed; 0 where they are not counted. */
size_t fuzz_memory_used(void);
/* From now on the largest of them is kept. */
void fuzz_memory_begin(void);
size_t fuzz_memory_peak(void);

/* A folder of this process in memory (/dev/shm, else TMPDIR), which is also the cache directory. Removed at exit. */
const char *fuzz_directory(void);
/* A file in it; the text stays until the eighth next call. */
const char *fuzz_path(const char *name);
/* Writes it. */
const char *fuzz_file(const char *name, const void *data, size_t size);
void fuzz_empty(const char *name); /* removes what is in a folder of it, and makes the folder */

/* A text of the bytes, ended by a 0; free(). */
char *fuzz_text(const uint8_t *data, size_t size);
/* The bytes up to the next line that is "%%", or the rest. False: none is left. Begin with *at = 0. */
bool fuzz_part(const uint8_t *data, size_t size, size_t *at, const uint8_t **part, size_t *length);
/* A safetensors file: as it is, or, where the bytes begin with '{', the length is put before its header, which goes to the
 * first line feed: so mutations may change the length of the header. */
const char *fuzz_safetensors(const char *name, const uint8_t *data, size_t size);
/* Is the input to be read in the way `way` of so many? driver.c goes all ways with each; libFuzzer one, which the bytes choose, so
 * that an execution is short. */
bool fuzz_goes(const uint8_t *data, size_t size, unsigned way, unsigned ways);
/* Ends the process with a message, unless it holds. */
void fuzz_check(bool holds, const char *what);

#endif
