/* Host memory. Sizes are checked for overflow before the system is asked. */
#define _GNU_SOURCE /* madvise */
#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

static void fail_memory(size_t count, size_t size) {
    clm_fail(CLM_E_MEMORY, "out of memory: %zu x %zu bytes of host memory asked for", count, size);
}

void *clm_calloc(size_t count, size_t size) {
    void *memory = NULL;
    if (size == 0 || count <= SIZE_MAX / size) memory = calloc(count && size ? count : 1, size ? size : 1);
    if (!memory) fail_memory(count, size);
    return memory;
}

clm_status clm_grow(void *array, size_t *capacity, size_t need, size_t size) {
    if (need <= *capacity) return CLM_OK;
    size_t grown = *capacity + *capacity / 2;
    if (grown < 8) grown = 8;
    if (grown < need) grown = need;
    void *memory; /* `array` points at a pointer of any type: copied rather than cast */
    memcpy(&memory, array, sizeof memory);
    void *moved = grown <= SIZE_MAX / size ? realloc(memory, grown * size) : NULL;
    if (!moved) {
        fail_memory(grown, size);
        return CLM_E_MEMORY;
    }
    memset((char *)moved + *capacity * size, 0, (grown - *capacity) * size);
    memcpy(array, &moved, sizeof moved);
    *capacity = grown;
    return CLM_OK;
}

void clm_prefer_large_pages(void *memory, size_t size) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)memory, to = from + size;
    const uintptr_t first = (from + page - 1) / page * page,
                    last = to / page * page; /* whole pages, which belong to nobody else */
    if (first < last) (void)madvise((char *)memory + (first - from), last - first, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)size;
#endif
}

char *clm_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (!copy) {
        fail_memory(1, size);
        return NULL;
    }
    return memcpy(copy, text, size);
}

/* A string of `length` characters from a format, or NULL with the error recorded. */
static char *format_text(int length, const char *format, va_list arguments) {
    char *text = length >= 0 ? malloc((size_t)length + 1) : NULL;
    if (!text) {
        fail_memory(1, length >= 0 ? (size_t)length + 1 : 0);
        return NULL;
    }
    vsnprintf(text, (size_t)length + 1, format, arguments);
    return text;
}

char *clm_format(const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    char *text = format_text(vsnprintf(NULL, 0, format, arguments), format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

void clm_text_add(clm_text *text, const char *format, ...) {
    if (text->failed) return;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0 || clm_grow(&text->data, &text->capacity, text->length + (size_t)length + 1, 1) != CLM_OK) {
        text->failed = 1;
    } else {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

void clm_text_join(clm_text *text, const clm_text *part) {
    if (part->failed) text->failed = 1;
    if (part->data) clm_text_add(text, "%s", part->data);
}

void clm_text_free(clm_text *text) {
    free(text->data);
    *text = (clm_text){0};
}
