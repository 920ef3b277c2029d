/* Sources of pictures beside one another: tasks are drawn from them in turn, and all examples have one shape.
 *
 * Task i is task i / n of source i mod n. An example is its own picture in the middle of zeros, on every channel where it is grey and
 * another source is in colour. Class c, for looking at, is class c / n of source c mod n. */
#include <stdlib.h>
#include <string.h>

#include "base/characters.h"
#include "base/memory.h"
#include "data/source.h"

typedef struct beside {
    clm_source base;
    clm_source *sources[CLM_BESIDE_MOST];
    char *names[CLM_BESIDE_MOST]; /* no two alike */
    size_t n;
    char *name;
} beside;

static const beside *of(const clm_source *source) { return (const beside *)source; }

static size_t which(const beside *b, uint64_t number) { return (size_t)(number % b->n); }

/* ---- one shape ---- */

/* A picture into the middle of zeros. */
static void pad(const clm_shape *from, const float *x, const clm_shape *to, float *out) {
    const int32_t top = (to->dim[1] - from->dim[1]) / 2, left = (to->dim[2] - from->dim[2]) / 2;
    const size_t height = (size_t)from->dim[1], width = (size_t)from->dim[2], row = (size_t)to->dim[2];
    memset(out, 0, clm_shape_size(to) * sizeof *out);
    for (int32_t c = 0; c < to->dim[0]; c++) {
        const float *channel = x + (size_t)(c < from->dim[0] ? c : 0) * height * width;
        float *place = out + ((size_t)c * (size_t)to->dim[1] + (size_t)top) * row + (size_t)left;
        for (size_t h = 0; h < height; h++) memcpy(place + h * row, channel + h * width, width * sizeof *out);
    }
}

/* `count` examples, drawn into memory of their own where they are smaller. */
typedef struct drawn_set {
    float *x, *own; /* own: NULL, they are drawn into x */
    size_t count;
} drawn_set;

static clm_status open_set(drawn_set *set, float *x, size_t count, const clm_shape *from, const clm_shape *to) {
    *set = (drawn_set){x, NULL, count};
    if (!x || clm_shape_equal(from, to)) return CLM_OK;
    set->own = clm_calloc(count * clm_shape_size(from), sizeof *set->own);
    return set->own ? CLM_OK : CLM_E_MEMORY;
}

static void close_set(drawn_set *set, bool drawn, const clm_shape *from, const clm_shape *to) {
    const size_t small = clm_shape_size(from), large = clm_shape_size(to);
    for (size_t i = 0; drawn && set->own && i < set->count; i++) pad(from, set->own + i * small, to, set->x + i * large);
    free(set->own);
}

/* ---- drawing ---- */

static clm_status draw(const clm_source *source, clm_split split, uint64_t seed, uint64_t index, const clm_episode_options *o,
                       const clm_episode *out) {
    const beside *b = of(source);
    const clm_source *own = b->sources[which(b, index)];
    const size_t support = (size_t)o->ways * (size_t)o->shots * (size_t)o->support_sets;
    const size_t query = (size_t)o->ways * (size_t)o->query;
    drawn_set s = {0}, q = {0};
    clm_status status = open_set(&s, out->support_x, support, &own->shape, &source->shape);
    if (status == CLM_OK) status = open_set(&q, out->query_x, query, &own->shape, &source->shape);
    if (status == CLM_OK) {
        const clm_episode to = {.support_x = s.own ? s.own : out->support_x,
                                .support_y = out->support_y,
                                .query_x = q.own ? q.own : out->query_x,
                                .query_y = out->query_y,
                                .size = out->size};
        status = clm_source_draw(own, split, seed, index / b->n, o, &to);
    }
    close_set(&s, status == CLM_OK, &own->shape, &source->shape);
    close_set(&q, status == CLM_OK, &own->shape, &source->shape);
    return status;
}

static clm_status check(const clm_source *source, clm_split split, const clm_episode_options *o) {
    const beside *b = of(source);
    if (o->joint_classes)
        return clm_fail(CLM_E_ARG, "%s: sources beside one another have no classes to train on at once", source->name);
    for (size_t i = 0; i < b->n; i++) CLM_TRY(clm_source_check_episode(b->sources[i], split, o));
    return CLM_OK;
}

static const char *task_name(const clm_source *source, clm_split split, uint64_t seed, uint64_t index) {
    (void)split, (void)seed;
    return of(source)->names[which(of(source), index)];
}

/* ---- classes ---- */

/* As many of each as all have; none where one has none. */
static size_t classes(const clm_source *source, clm_split split) {
    const beside *b = of(source);
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < b->n; i++) {
        const size_t n = clm_source_classes(b->sources[i], split);
        if (n < least) least = n;
    }
    return b->n && least < SIZE_MAX / b->n ? least * b->n : SIZE_MAX;
}

static size_t examples(const clm_source *source, clm_split split, uint64_t class_index) {
    const beside *b = of(source);
    return clm_source_examples(b->sources[which(b, class_index)], split, (size_t)(class_index / b->n));
}

static clm_status image(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example, float *out) {
    const beside *b = of(source);
    const clm_source *own = b->sources[which(b, class_index)];
    drawn_set set = {0};
    clm_status status = open_set(&set, out, 1, &own->shape, &source->shape);
    if (status == CLM_OK)
        status = clm_source_image(own, split, (size_t)(class_index / b->n), (size_t)example, set.own ? set.own : out);
    close_set(&set, status == CLM_OK, &own->shape, &source->shape);
    return status;
}

static char *class_name(const clm_source *source, clm_split split, uint64_t class_index) {
    const beside *b = of(source);
    char name[256];
    clm_source_class_name(b->sources[which(b, class_index)], split, (size_t)(class_index / b->n), name, sizeof name);
    return clm_format("%s%s%s", b->names[which(b, class_index)], name[0] ? "/" : "", name);
}

/* ---- making ---- */

static void destroy(clm_source *source) {
    beside *b = (beside *)source;
    for (size_t i = 0; i < b->n; i++) {
        clm_source_free(b->sources[i]);
        free(b->names[i]);
    }
    free(b->name);
    free(b);
}

static const clm_source_ops ops = {.classes = classes,
                                   .examples = examples,
                                   .image = image,
                                   .class_name = class_name,
                                   .draw = draw,
                                   .check = check,
                                   .task_name = task_name,
                                   .destroy = destroy};

/* The last part of where it was read, "birds" of /data/birds/, as text that can be shown and written; or what it is called. */
static char *own_name(const clm_source *source) {
    const char *origin = source->origin ? source->origin : "";
    size_t end = strlen(origin), begin;
    while (end > 0 && origin[end - 1] == '/') end--;
    for (begin = end; begin > 0 && origin[begin - 1] != '/';) begin--;
    char *name = begin < end ? clm_format("%.*s", (int)(end - begin), origin + begin) : clm_strdup(source->name);
    if (name) clm_printable(name);
    return name;
}

static clm_status check_source(const clm_source *source) {
    const clm_shape shape = clm_source_example_shape(source);
    const bool classes_of_tasks = clm_source_classes(source, CLM_SPLIT_TRAIN) > 0;
    if (classes_of_tasks && shape.rank == 3 && (shape.dim[0] == 1 || shape.dim[0] == 3)) return CLM_OK;
    char *name = own_name(source);
    if (name)
        (void)clm_fail(
            CLM_E_ARG,
            "beside: %s has no pictures of classes, [1 or 3, height, width], which alone can stand beside one another", name);
    free(name);
    return name ? CLM_E_ARG : CLM_E_MEMORY;
}

static bool is_taken(const beside *b, const char *name) {
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->names[i], name) == 0) return true;
    return false;
}

/* "birds", and "birds 2" where there is one before. */
static char *name_of(const beside *b, const char *own) {
    char *name = clm_strdup(own);
    for (int k = 2; name && is_taken(b, name); k++) {
        free(name);
        name = clm_format("%s %d", own, k);
    }
    return name;
}

static clm_status add(beside *b, const clm_source *source) {
    clm_shape *shape = &b->base.shape;
    char *own = own_name(source), *name = own ? clm_format("%s%s%s", b->name ? b->name : "", b->name ? "+" : "", own) : NULL;
    free(b->name);
    b->name = name;
    b->names[b->n] = own ? name_of(b, own) : NULL;
    free(own);
    if (!b->name || !b->names[b->n]) return CLM_E_MEMORY;
    for (int i = 0; i < 3; i++)
        if (source->shape.dim[i] > shape->dim[i]) shape->dim[i] = source->shape.dim[i];
    char *said = clm_format("%s%s%s", b->base.description ? b->base.description : "", b->n ? " | " : "", source->description);
    free(b->base.description);
    b->base.description = said;
    if (!said || !source->notes) return said ? CLM_OK : CLM_E_MEMORY;
    char *notes = clm_format("%s%s", b->base.notes ? b->base.notes : "", source->notes);
    free(b->base.notes);
    b->base.notes = notes;
    return notes ? CLM_OK : CLM_E_MEMORY;
}

static clm_status describe(beside *b) {
    const clm_shape *s = &b->base.shape;
    char *said = clm_format("%s: tasks of each in turn, padded to [%d, %d, %d]: %s", b->name, (int)s->dim[0], (int)s->dim[1],
                            (int)s->dim[2], b->base.description);
    free(b->base.description);
    b->base.description = said;
    b->base.name = b->name;
    return said ? CLM_OK : CLM_E_MEMORY;
}

clm_status clm_source_beside(clm_source **out, clm_source *const *sources, size_t n) {
    clm_status status = CLM_OK;
    *out = NULL;
    if (n < 2 || n > CLM_BESIDE_MOST)
        return clm_fail(CLM_E_ARG, "beside: %zu sources: 2 to %d are possible", n, CLM_BESIDE_MOST);
    for (size_t i = 0; i < n; i++) CLM_TRY(check_source(sources[i]));
    beside *b = clm_calloc(1, sizeof *b);
    if (!b) return CLM_E_MEMORY;
    b->base.ops = &ops;
    b->base.shape.rank = 3;
    for (; b->n < n && status == CLM_OK; b->n++) {
        status = add(b, sources[b->n]);
        b->sources[b->n] = sources[b->n];
        b->base.split_drawn = b->base.split_drawn || sources[b->n]->split_drawn;
    }
    if (status == CLM_OK) status = describe(b);
    if (status == CLM_OK) {
        for (size_t i = 0; i < n; i++) sources[i]->name = b->names[i]; /* theirs in messages */
        *out = &b->base;
        return CLM_OK;
    }
    memset(b->sources, 0, sizeof b->sources); /* they stay the caller's */
    clm_source_free(&b->base);
    return status;
}
