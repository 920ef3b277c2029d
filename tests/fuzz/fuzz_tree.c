/* Folders of pictures: a line an entry, "p NAME" a picture, "d NAME" a folder, "l NAME TARGET" a link, "f NAME" a file of
 * the lines behind it that begin with a blank. Names stay below the folder; links may lead anywhere but to absolute paths. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clmaml/data.h"
#include "fuzz.h"

static const uint8_t bitmap[] = {'B', 'M', 0, 0, 0, 0, 0, 0,  0, 0, 58, 0, 0, 0, 40, 0, 0, 0,   1,  0, 0,
                                 0,   1,   0, 0, 0, 1, 0, 24, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0,   0,  0, 0,
                                 0,   0,   0, 0, 0, 0, 0, 0,  0, 0, 0,  0, 0, 0, 0,  0, 9, 200, 30, 0};

static bool stays_below(const char *name) {
    if (!*name || *name == '/' || strlen(name) > 100) return false;
    for (const char *part = name; part; part = strchr(part, '/')) {
        if (*part == '/') part++;
        if (strncmp(part, "..", 2) == 0) return false;
    }
    return true;
}

/* Folders above the entry; what is a link there is not followed, as names may not lead out. */
static bool make_above(char *path, size_t root) {
    for (char *c = path + root; *c; c++) {
        struct stat st;
        if (*c != '/') continue;
        *c = 0;
        mkdir(path, 0700);
        const bool folder = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
        *c = '/';
        if (!folder) return false;
    }
    return true;
}

static void write_bytes(const char *path, const void *data, size_t size) {
    struct stat st;
    FILE *file = lstat(path, &st) == 0 ? NULL : fopen(path, "wb");
    if (!file) return;
    fwrite(data, 1, size, file);
    fclose(file);
}

/* The lines behind `text` that begin with a blank, without it. */
static void write_lines(const char *path, const char *text) {
    char *lines = malloc(strlen(text) + 1);
    size_t n = 0;
    fuzz_check(lines != NULL, "no memory");
    while (*text == ' ') {
        const size_t length = strcspn(text, "\n") + (text[strcspn(text, "\n")] == '\n');
        memcpy(lines + n, text + 1, length - 1);
        n += length - 1;
        text += length;
    }
    write_bytes(path, lines, n);
    free(lines);
}

static void make_entry(char *line, const char *behind) {
    char path[512], *name = line + 2, *target = strchr(name, ' ');
    if (line[0] == 'l' && target) *target++ = 0;
    if (line[1] != ' ' || !stays_below(name)) return;
    const int root = snprintf(path, sizeof path, "%s/", fuzz_path("tree"));
    snprintf(path + root, sizeof path - (size_t)root, "%s", name);
    if (!make_above(path, (size_t)root)) return;
    if (line[0] == 'p') write_bytes(path, bitmap, sizeof bitmap);
    if (line[0] == 'd') mkdir(path, 0700);
    if (line[0] == 'f') write_lines(path, behind);
    if (line[0] == 'l' && target && *target != '/' && symlink(target, path) != 0) return;
}

static void make_tree(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size < 4096 ? size : 4096), *next;
    int entries = 0;
    fuzz_empty("tree");
    for (char *line = text; *line && entries < 64; line = next) {
        const size_t length = strcspn(line, "\n");
        next = line + length + (line[length] == '\n');
        line[length] = 0;
        if (length > 2 && *line != ' ') make_entry(line, next), entries++;
    }
    free(text);
}

static void run(const uint8_t *data, size_t size) {
    clm_folder_options options = CLM_FOLDER_OPTIONS_INIT;
    clm_source *source = NULL;
    options.threads = 1;
    options.size = 4;
    make_tree(data, size);
    for (options.class_depth = 0; options.class_depth < 2; options.class_depth++)
        if (fuzz_goes(data, size, (unsigned)options.class_depth, 2) &&
            clm_source_folder_open(&source, fuzz_path("tree"), &options) == CLM_OK)
            clm_source_free(source);
}

const fuzz_target fuzz_this = {run, 4 << 20, 4096};
