/* The places of a program from which calls are made: a call's place is a hash of the return addresses in the program and libclmaml that
 * lead to it, the innermost CLMAML_INJECT_DEPTH (4) of them, from where their module lies: so it is the same in every process of
 * one build. For glibc. Included by a library of one file.
 *
 * CLMAML_INJECT_PLACES: a file that takes a line "NAME PLACE CALLS" for each place at exit. CLMAML_INJECT_PLACE: calls from there alone
 * are counted for CLMAML_INJECT_AT. */
#ifndef CLM_TESTS_INJECT_PLACES_H
#define CLM_TESTS_INJECT_PLACES_H

#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES_MOST = 1 << 15, PLACES_RANGES = 16, PLACES_FRAMES = 96 };

typedef struct place_range {
    uintptr_t base, begin, end;
} place_range;
typedef struct place_row {
    const char *name;
    uint64_t place;
    long calls;
} place_row;

static place_range place_ranges[PLACES_RANGES];
static int place_range_count, places_depth, places_wanted; /* wanted: any of it */
static uint64_t place_chosen;                              /* 0: any */
static place_row *place_table;
static pthread_mutex_t place_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread int place_busy; /* what it calls itself counts for nothing */

/* The program and libclmaml. */
static int is_own_module(const char *name) { return !*name || strstr(name, "libclmaml.") != NULL; }

static int place_find_ranges(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    if (!is_own_module(info->dlpi_name)) return 0;
    for (int i = 0; i < info->dlpi_phnum && place_range_count < PLACES_RANGES; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
        const uintptr_t begin = info->dlpi_addr + part->p_vaddr;
        place_ranges[place_range_count++] = (place_range){info->dlpi_addr, begin, begin + part->p_memsz};
    }
    return 0;
}

static void places_begin(void) {
    const char *chosen = getenv("CLMAML_INJECT_PLACE"), *depth = getenv("CLMAML_INJECT_DEPTH");
    void *frame;
    places_wanted = (chosen && *chosen) || getenv("CLMAML_INJECT_PLACES");
    if (!places_wanted) return;
    place_chosen = chosen ? strtoull(chosen, NULL, 16) : 0;
    places_depth = depth ? atoi(depth) : 4;
    dl_iterate_phdr(place_find_ranges, NULL);
    place_table = calloc(PLACES_MOST, sizeof *place_table);
    place_busy = 1;
    (void)backtrace(&frame, 1); /* the first one loads a library */
    place_busy = 0;
}

/* 0: from none. */
static uint64_t place_of_call(void) {
    void *frames[PLACES_FRAMES];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int seen = 0;
    const int count = backtrace(frames, PLACES_FRAMES);
    for (int i = 0; i < count && seen < places_depth; i++)
        for (int k = 0; k < place_range_count; k++) {
            const uintptr_t at = (uintptr_t)frames[i];
            if (at < place_ranges[k].begin || at >= place_ranges[k].end) continue;
            hash = (hash ^ (uint64_t)(at - place_ranges[k].base)) * UINT64_C(0x100000001b3);
            hash ^= hash >> 29;
            seen++;
        }
    return seen ? hash | 1 : 0;
}

static void place_count(const char *name, uint64_t place) {
    pthread_mutex_lock(&place_lock);
    size_t at = (size_t)place % PLACES_MOST, tries = 0;
    while (place_table[at].calls && (place_table[at].place != place || strcmp(place_table[at].name, name) != 0) &&
           tries++ < PLACES_MOST)
        at = (at + 1) % PLACES_MOST;
    if (tries < PLACES_MOST) {
        place_table[at].name = name;
        place_table[at].place = place;
        place_table[at].calls++;
    }
    pthread_mutex_unlock(&place_lock);
}

/* Counts a call of this name. Is it one of those that CLMAML_INJECT_PLACE is about? */
static int place_is_meant(const char *name) {
    if (!places_wanted) return 1;
    if (place_busy || !place_table) return 0;
    place_busy = 1;
    const uint64_t place = place_of_call();
    if (place) place_count(name, place);
    place_busy = 0;
    return place && (!place_chosen || place == place_chosen);
}

static void places_end(void) {
    const char *path = getenv("CLMAML_INJECT_PLACES");
    place_busy = 1;
    FILE *file = places_wanted && path && place_table ? fopen(path, "w") : NULL;
    for (size_t i = 0; file && i < PLACES_MOST; i++)
        if (place_table[i].calls)
            fprintf(file, "%s %016llx %ld\n", place_table[i].name, (unsigned long long)place_table[i].place,
                    place_table[i].calls);
    if (file) fclose(file);
}

#endif
