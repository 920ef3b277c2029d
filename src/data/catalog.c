/* Lists of classes, pictures and notes. */
#include "data/catalog.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "data/notes.h"

clm_status clm_catalog_begin(clm_catalog *catalog, const char *root) {
    *catalog = (clm_catalog){.root = clm_strdup(root)};
    return catalog->root ? CLM_OK : CLM_E_MEMORY;
}

void clm_catalog_free(clm_catalog *c) {
    for (size_t i = 0; i < c->n_classes; i++) {
        free(c->classes[i].name);
        free(c->classes[i].origin);
    }
    for (size_t i = 0; i < c->n_pictures; i++) free(c->pictures[i].path);
    free(c->classes);
    free(c->pictures);
    free(c->root);
    free(c->link);
    clm_catalog_free_lost(c);
    clm_text_free(&c->notes);
    clm_text_free(&c->left);
    *c = (clm_catalog){0};
}

clm_status clm_catalog_class_of(clm_catalog *c, const char *name, const char *origin, int split, size_t *index) {
    for (size_t i = c->n_classes; i-- > 0;) /* most often the last one again */
        if (c->classes[i].split == split && strcmp(c->classes[i].name, name) == 0) {
            *index = i;
            return CLM_OK;
        }
    CLM_TRY(clm_grow(&c->classes, &c->classes_capacity, c->n_classes + 1, sizeof *c->classes));
    *index = c->n_classes++;
    c->classes[*index] = (clm_catalog_class){.name = clm_strdup(name), .origin = clm_strdup(origin), .split = split};
    return c->classes[*index].name && c->classes[*index].origin ? CLM_OK : CLM_E_MEMORY;
}

clm_status clm_catalog_add(clm_catalog *c, size_t class_index, const char *path) {
    clm_catalog_picture p = {.class_index = class_index};
    char *full = clm_path_join(c->root, path);
    clm_status status = full ? clm_file_measure(full, &p.size, &p.changed) : CLM_E_MEMORY;
    free(full);
    if (status != CLM_OK) return status;
    CLM_TRY(clm_grow(&c->pictures, &c->pictures_capacity, c->n_pictures + 1, sizeof *c->pictures));
    if (!(p.path = clm_strdup(path))) return CLM_E_MEMORY;
    c->pictures[c->n_pictures++] = p;
    c->classes[class_index].count++;
    return CLM_OK;
}

clm_status clm_catalog_look_at_link(clm_catalog *c, const char *path) {
    clm_status status = CLM_OK;
    char *target = clm_link_target(path);
    if (target && !clm_path_is_below(target, c->root) && !c->links++)
        if (!(c->link = clm_format("%s -> %s", path, target))) status = CLM_E_MEMORY;
    free(target);
    return status;
}

enum { LINES = 10 }; /* of a kind */

void clm_catalog_left_out(clm_catalog *c, clm_left kind, const char *format, ...) {
    va_list arguments;
    if (c->left_out[kind]++ >= LINES) return;
    va_start(arguments, format);
    clm_note_add_list(&c->notes, format, arguments);
    va_end(arguments);
    va_start(arguments, format);
    clm_note_add_list(&c->left, format, arguments);
    va_end(arguments);
    c->notes.failed |= c->left.failed;
}

void clm_catalog_remark(clm_catalog *c, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    clm_note_add_list(&c->notes, format, arguments);
    va_end(arguments);
}

void clm_catalog_note_more(clm_catalog *c) {
    static const char *const what[CLM_LEFT_KINDS] = {"folders with files that are no pictures", "folders without pictures",
                                                     "classes of which pictures are left out", "things that are not read"};
    for (int kind = 0; kind < CLM_LEFT_KINDS; kind++)
        if (c->left_out[kind] > LINES) clm_catalog_remark(c, "and %zu more %s", c->left_out[kind] - LINES, what[kind]);
}

/* ---- order ---- */

typedef struct ranked {
    const clm_catalog_class *class_of;
    size_t index;
} ranked;

static unsigned byte_of(char c) { return c ? (unsigned char)c : (unsigned char)'/'; }

static int by_split_and_name(const void *a, const void *b) {
    const clm_catalog_class *x = ((const ranked *)a)->class_of, *y = ((const ranked *)b)->class_of;
    if (x->split != y->split) return x->split < y->split ? -1 : 1;
    const char *s = x->name, *t = y->name;
    while (*s && *s == *t) s++, t++;
    const unsigned p = byte_of(*s), q = byte_of(*t);
    return p != q ? (p < q ? -1 : 1) : (*s != 0) - (*t != 0);
}

static int by_class_and_path(const void *a, const void *b) {
    const clm_catalog_picture *x = a, *y = b;
    if (x->class_index != y->class_index) return x->class_index < y->class_index ? -1 : 1;
    return strcmp(x->path, y->path);
}

/* `order`: where a class was; `place`: where it goes. */
static void reorder(clm_catalog *c, const ranked *order, clm_catalog_class *sorted, size_t *place) {
    size_t kept = 0;
    for (size_t i = 0; i < c->n_classes; i++) {
        clm_catalog_class *from = &c->classes[order[i].index];
        place[order[i].index] = kept;
        if (from->count) {
            sorted[kept++] = *from;
            continue;
        }
        free(from->name);
        free(from->origin);
    }
    c->n_classes = kept;
    for (size_t i = 0; i < c->n_pictures; i++) c->pictures[i].class_index = place[c->pictures[i].class_index];
}

clm_status clm_catalog_sort(clm_catalog *c) {
    if (!c->n_classes) return CLM_OK;
    ranked *order = clm_calloc(c->n_classes, sizeof *order);
    clm_catalog_class *sorted = clm_calloc(c->n_classes, sizeof *sorted);
    size_t *place = clm_calloc(c->n_classes, sizeof *place);
    const bool room = order && sorted && place;
    if (room) {
        for (size_t i = 0; i < c->n_classes; i++) order[i] = (ranked){&c->classes[i], i};
        qsort(order, c->n_classes, sizeof *order, by_split_and_name);
        c->classes_capacity = c->n_classes;
        reorder(c, order, sorted, place);
        free(c->classes);
        c->classes = sorted;
        sorted = NULL;
        if (c->n_pictures) qsort(c->pictures, c->n_pictures, sizeof *c->pictures, by_class_and_path);
        for (size_t i = c->n_pictures; i-- > 0;) c->classes[c->pictures[i].class_index].first = i;
    }
    free(order);
    free(sorted);
    free(place);
    return room ? CLM_OK : CLM_E_MEMORY;
}
