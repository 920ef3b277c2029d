/* Pictures that a catalog names but that cannot be had: of kinds that are not read, damaged, unreadable. They are named class by
 * class. */
#include <stdlib.h>
#include <string.h>

#include "base/characters.h"
#include "data/catalog.h"
#include "data/image.h"

/* What the system says of a file has its name in it, "cannot read NAME: ..", and no remedy. */
static char *reason_of(const clm_catalog *c, const char *path, const char *why) {
    char *full = clm_format("%s/%s", c->root, path), *reason = NULL;
    const char *at = full ? strstr(why, full) : NULL;
    if (at)
        reason = clm_format("%.*sit%s; make it readable or remove it", (int)(at - why), why, at + strlen(full));
    else if (full)
        reason = clm_strdup(why);
    free(full);
    if (reason) clm_printable(reason);
    return reason;
}

clm_status clm_catalog_lose(clm_catalog *c, const char *origin, const char *path, const char *why) {
    CLM_TRY(clm_grow(&c->lost, &c->lost_capacity, c->n_lost + 1, sizeof *c->lost));
    clm_catalog_lost *to = &c->lost[c->n_lost++];
    *to = (clm_catalog_lost){clm_strdup(origin), clm_strdup(path), reason_of(c, path, why)};
    return to->origin && to->path && to->why ? CLM_OK : CLM_E_MEMORY;
}

void clm_catalog_free_lost(clm_catalog *c) {
    for (size_t i = 0; i < c->n_lost; i++) {
        free(c->lost[i].origin);
        free(c->lost[i].path);
        free(c->lost[i].why);
    }
    free(c->lost);
}

clm_status clm_catalog_drop(clm_catalog *c, char *const *why) {
    size_t kept = 0;
    for (size_t i = 0; i < c->n_pictures; i++) {
        const clm_catalog_class *of = &c->classes[c->pictures[i].class_index];
        if (why[i]) CLM_TRY(clm_catalog_lose(c, of->origin, c->pictures[i].path, why[i]));
    }
    for (size_t k = 0; k < c->n_classes; k++) c->classes[k].count = 0;
    for (size_t i = 0; i < c->n_pictures; i++) {
        const clm_catalog_picture p = c->pictures[i];
        if (why[i]) {
            free(p.path);
            continue;
        }
        c->pictures[kept++] = p;
        c->classes[p.class_index].count++;
    }
    c->n_pictures = kept;
    return clm_catalog_sort(c);
}

/* ---- what is said ---- */

static int by_place(const void *a, const void *b) {
    const clm_catalog_lost *x = a, *y = b;
    const int order = strcmp(x->origin, y->origin), reason = strcmp(x->why, y->why);
    return order ? order : reason ? reason : strcmp(x->path, y->path);
}

static size_t read_of(const clm_catalog *c, const char *origin) {
    for (size_t i = 0; i < c->n_classes; i++)
        if (strcmp(c->classes[i].origin, origin) == 0) return c->classes[i].count;
    return 0;
}

/* A picture's path below its class, where that is a folder. */
static const char *below(const clm_catalog_lost *l) {
    const size_t n = strlen(l->origin);
    return strncmp(l->path, l->origin, n) == 0 && l->path[n] == '/' ? l->path + n + 1 : l->path;
}

/* "1.png, 2.png (why), 3.png (why)": the first few, those of one reason together. */
static void list_some(clm_text *text, const clm_catalog_lost *first, size_t count) {
    enum { NAMED = 4 };
    for (size_t i = 0; i < count && i < NAMED; i++) {
        const bool ends = i + 1 == count || i + 1 == NAMED || strcmp(first[i].why, first[i + 1].why) != 0;
        clm_text_add(text, "%s%s", i ? ", " : "", below(&first[i]));
        if (ends) clm_text_add(text, " (%.200s)", first[i].why);
    }
    if (count > NAMED) clm_text_add(text, " and %zu more", count - NAMED);
}

static void note_class(clm_catalog *c, const clm_catalog_lost *first, size_t count) {
    const size_t read = read_of(c, first->origin);
    clm_text text = {0};
    list_some(&text, first, count);
    clm_catalog_left_out(c, CLM_LEFT_PICTURES, "%s: %zu of %zu pictures %s left out%s: %s", first->origin, count, count + read,
                         count == 1 ? "is" : "are", read ? "" : ", and so there is no such class", text.data ? text.data : "");
    c->notes.failed |= text.failed;
    clm_text_free(&text);
}

void clm_catalog_note_lost(clm_catalog *c) {
    if (!c->n_lost) return;
    qsort(c->lost, c->n_lost, sizeof *c->lost, by_place);
    clm_catalog_remark(c, "%zu of %zu pictures are read, %zu %s left out", c->n_pictures, c->n_pictures + c->n_lost, c->n_lost,
                       c->n_lost == 1 ? "is" : "are");
    for (size_t i = 0, n; i < c->n_lost; i += n) {
        for (n = 1; i + n < c->n_lost && strcmp(c->lost[i + n].origin, c->lost[i].origin) == 0;) n++;
        note_class(c, &c->lost[i], n);
    }
}

clm_status clm_catalog_check_left(const clm_catalog *c) {
    if (c->n_pictures) return CLM_OK;
    if (!c->n_lost) return clm_fail(CLM_E_FORMAT, "%s: there are no pictures; put one folder a class there", c->root);
    return clm_fail(CLM_E_FORMAT, "%s: none of its %zu picture%s can be read, such as %s/%s: %s", c->root, c->n_lost,
                    c->n_lost == 1 ? "" : "s", c->root, c->lost[0].path, c->lost[0].why);
}
