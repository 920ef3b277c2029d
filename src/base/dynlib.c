/* Libraries at run time on POSIX: dlopen and its kin. */
#define _GNU_SOURCE /* dladdr */
#include "base/dynlib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct clm_dynlib {
    void *handle;
    char *path;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void clm_dynlib_enter(void) { pthread_mutex_lock(&lock); }
void clm_dynlib_leave(void) { pthread_mutex_unlock(&lock); }

/* The file that holds the code at `address`; NULL when the system does not say. */
static char *file_of(const void *address) {
    Dl_info info;
    if (!dladdr(address, &info) || !info.dli_fname) return NULL;
    char *real = realpath(info.dli_fname, NULL);
    return real ? real : clm_strdup(info.dli_fname);
}

/* The directory of the library or program that this very code is part of. */
static char *own_directory(void) {
    static const char anchor = 0; /* dladdr takes the address of data as well, and that is a pointer to an object */
    char *path = file_of(&anchor), *slash = path ? strrchr(path, '/') : NULL;
    if (slash) *slash = 0;
    return path;
}

static void *open_in(const char *directory, const char *below, const char *name) {
    char *path = clm_format("%s%s/%s", directory, below, name);
    void *handle = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    free(path);
    return handle;
}

static void *open_any(const char *const *names) {
    static const char *const places[] = {"", "/../lib"};
    char *directory = own_directory();
    void *handle = NULL;
    for (size_t p = 0; directory && p < sizeof places / sizeof *places; p++)
        for (size_t i = 0; names[i] && !handle; i++) handle = open_in(directory, places[p], names[i]);
    for (size_t i = 0; names[i] && !handle; i++) handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    free(directory);
    return handle;
}

clm_status clm_dynlib_open(clm_dynlib **out, const char *const *names) {
    *out = NULL;
    clm_dynlib *library = clm_calloc(1, sizeof *library);
    if (!library) return CLM_E_MEMORY;
    library->handle = open_any(names);
    if (library->handle) {
        *out = library;
        return CLM_OK;
    }
    const char *why = dlerror();
    free(library);
    return clm_fail(CLM_E_IO, "cannot load %s: %s", names[0], why ? why : "not found");
}

void clm_dynlib_close(clm_dynlib *library) {
    if (!library) return;
    dlclose(library->handle);
    free(library->path);
    free(library);
}

bool clm_dynlib_function(clm_dynlib *library, const char *symbol, void *function) {
    void *found = dlsym(library->handle, symbol);
    if (!found) return false;
    memcpy(function, &found, sizeof found); /* POSIX: both kinds of pointers have one form */
    if (!library->path) library->path = file_of(found);
    return true;
}

const char *clm_dynlib_path(const clm_dynlib *library) { return library->path ? library->path : ""; }
