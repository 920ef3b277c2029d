/* How much memory is left on this machine, for devices that share it with the host: what Linux calls available (free, or
 * reclaimable without swapping), and no more than the control groups (version 2) of this process leave it, as in containers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"

/* The number after `name` in a text of lines "name number"; `none` where there is no such line. */
static uint64_t number_after(const char *text, const char *name, uint64_t none) {
    const size_t length = strlen(name);
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL)
        if (!strncmp(line, name, length) && strchr(" \t", line[length])) return strtoull(line + length, NULL, 10);
    return none;
}

/* The start of a file of the system, which has no size of its own; "" where it cannot be read. */
static const char *read_start(const char *path, char *text, size_t size) {
    FILE *file = fopen(path, "r");
    const size_t n = file ? fread(text, 1, size - 1, file) : 0;
    text[n] = 0;
    if (file) fclose(file);
    return text;
}

/* What a group may take, beside what it has taken; of that, files that are only cached are given back. */
static uint64_t left_in_group(const char *group) {
    static const char *const names[] = {"memory.max", "memory.current", "memory.stat"};
    char text[3][4096];
    for (int i = 0; i < 3; i++) {
        char *path = clm_format("/sys/fs/cgroup%s/%s", group, names[i]);
        read_start(path ? path : "", text[i], sizeof text[i]);
        free(path);
    }
    char *end;
    const uint64_t most = strtoull(text[0], &end, 10), taken = strtoull(text[1], NULL, 10);
    const uint64_t cached = number_after(text[2], "inactive_file", 0);
    if (end == text[0]) return UINT64_MAX; /* "max", or no such file */
    const uint64_t held = cached < taken ? taken - cached : 0;
    return held < most ? most - held : 1;
}

static uint64_t left_in_groups(void) {
    char text[1024], *group;
    uint64_t least = UINT64_MAX;
    read_start("/proc/self/cgroup", text, sizeof text);
    if (!(group = strstr(text, "0::/"))) return least;
    group += 3;
    group[strcspn(group, "\n")] = 0;
    for (char *slash = group; slash;) { /* a group is in those above it */
        const uint64_t left = left_in_group(group);
        if (left < least) least = left;
        if ((slash = strrchr(group, '/'))) *slash = 0;
    }
    return least;
}

uint64_t clm_available_memory(void) {
    char text[4096];
    const uint64_t kilobytes = number_after(read_start("/proc/meminfo", text, sizeof text), "MemAvailable:", 0);
    const uint64_t groups = left_in_groups(), system = kilobytes ? 1024 * kilobytes : clm_physical_memory();
    return groups < system || !system ? (groups < UINT64_MAX ? groups : 0) : system;
}
