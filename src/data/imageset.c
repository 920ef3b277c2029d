/* Serving of labelled pictures. */
#include "data/imageset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "data/image.h"

static const clm_image_set *set_of(const clm_source *source) { return (const clm_image_set *)source; }

static const clm_image_class *class_of(const clm_source *source, clm_split split, uint64_t class_index) {
    const clm_image_split *s = &set_of(source)->splits[split];
    return &set_of(source)->classes[s->classes[class_index / (uint64_t)s->turns]];
}

static size_t classes(const clm_source *source, clm_split split) {
    const clm_image_split *s = &set_of(source)->splits[split];
    return s->count * (size_t)s->turns;
}

static size_t examples(const clm_source *source, clm_split split, uint64_t class_index) {
    return class_of(source, split, class_index)->count;
}

static void smallest(const clm_source *source, clm_split split, uint64_t *class_index) {
    const clm_image_split *s = &set_of(source)->splits[split];
    *class_index = (uint64_t)s->smallest * (uint64_t)s->turns;
}

/* Index of a picture and the quarter turns that its class stands for. */
static size_t picture_of(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example, int *turns) {
    *turns = (int)(class_index % (uint64_t)set_of(source)->splits[split].turns);
    return class_of(source, split, class_index)->first + (size_t)example;
}

static clm_status image(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example, float *out) {
    const clm_image_set *set = set_of(source);
    int turns;
    const size_t index = picture_of(source, split, class_index, example, &turns);
    const size_t area = (size_t)set->height * (size_t)set->width, size = area * (size_t)set->channels;
    if (set->floats) {
        memcpy(out, set->floats + index * size, size * sizeof *out);
        return CLM_OK;
    }
    for (size_t c = 0; c < (size_t)set->channels; c++)
        clm_image_turn_by(set->pixels + index * size + c * area, set->height, set->width, turns,
                          set->values + (set->tables > 1 ? c : 0) * 256, out + c * area);
    return CLM_OK;
}

static int32_t number(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example) {
    int turns;
    size_t index = picture_of(source, split, class_index, example, &turns);
    return (int32_t)(4 * index) + turns;
}

static void images(const clm_source *source, clm_images *out) {
    const clm_image_set *set = set_of(source);
    *out = (clm_images){.count = set->images,
                        .channels = set->channels,
                        .height = set->height,
                        .width = set->width,
                        .bytes = set->pixels,
                        .values = set->floats ? NULL : set->values,
                        .floats = set->floats,
                        .tables = set->floats ? 1 : set->tables};
}

static char *class_name(const clm_source *source, clm_split split, uint64_t class_index) {
    return clm_strdup(class_of(source, split, class_index)->name);
}

static const char *class_origin(const clm_source *source, clm_split split, uint64_t class_index) {
    return class_of(source, split, class_index)->origin;
}

static const char *split_origin(const clm_source *source, clm_split split) {
    (void)split;
    return set_of(source)->origin;
}

static char *place(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example, size_t number) {
    const clm_image_set *set = set_of(source);
    const clm_image_class *c = class_of(source, split, class_index);
    const size_t index = c->first + (size_t)example;
    if (set->stood) return clm_format("%s: x: example %u, number %zu", set->origin, (unsigned)set->stood[index], number);
    return clm_format("%s: picture %zu of class %s, number %zu", set->origin, (size_t)example, c->name, number);
}

static const clm_family *families(const clm_source *source, clm_split split, size_t *count) {
    *count = set_of(source)->splits[split].n_families;
    return set_of(source)->splits[split].families;
}

static void destroy(clm_source *source) {
    clm_image_set *set = (clm_image_set *)source;
    for (size_t i = 0; i < set->count; i++) {
        free(set->classes[i].name);
        free(set->classes[i].origin);
    }
    for (int i = 0; i < CLM_SPLITS; i++) {
        free(set->splits[i].classes);
        free(set->splits[i].families);
    }
    free(set->classes);
    clm_store_free(&set->store);
    free(set->values);
    free(set->origin);
    free(set->stood);
    free(set);
}

static const clm_source_ops image_set_ops = {.classes = classes,
                                             .examples = examples,
                                             .smallest = smallest,
                                             .image = image,
                                             .images = images,
                                             .number = number,
                                             .class_name = class_name,
                                             .class_origin = class_origin,
                                             .split_origin = split_origin,
                                             .place = place,
                                             .families = families,
                                             .destroy = destroy};

clm_status clm_image_set_create(clm_image_set **out, const char *name, int channels, int height, int width) {
    *out = NULL;
    clm_image_set *set = clm_calloc(1, sizeof *set);
    if (!set) return CLM_E_MEMORY;
    set->base = (clm_source){.ops = &image_set_ops, .name = name, .shape = clm_shape_of(3, channels, height, width)};
    set->channels = channels;
    set->height = height;
    set->width = width;
    set->tables = 1;
    for (int i = 0; i < CLM_SPLITS; i++) set->splits[i].turns = 1;
    set->values = clm_calloc(256, sizeof *set->values);
    set->base.preparation = (clm_preparation)CLM_PREPARATION_INIT;
    set->base.preparation.size = 0; /* until it is said that these are pictures */
    if (set->values) clm_image_values(0, 1, set->values);
    if (!set->values) {
        clm_source_free(&set->base);
        return CLM_E_MEMORY;
    }
    *out = set;
    return CLM_OK;
}

clm_status clm_image_set_add_class(clm_image_set *set, const char *name, size_t length) {
    CLM_TRY(clm_grow(&set->classes, &set->classes_capacity, set->count + 1, sizeof *set->classes));
    clm_image_class *fresh = &set->classes[set->count];
    *fresh = (clm_image_class){.name = clm_format("%.*s", (int)length, name), .first = set->images};
    if (!fresh->name) return CLM_E_MEMORY;
    set->count++;
    return CLM_OK;
}

clm_status clm_image_set_split(clm_image_set *set, clm_split split, const uint32_t *chosen, size_t count, int turns) {
    clm_image_split *s = &set->splits[split];
    s->turns = turns;
    if (!count) return CLM_OK;
    s->classes = clm_calloc(count, sizeof *s->classes);
    if (!s->classes) return CLM_E_MEMORY;
    memcpy(s->classes, chosen, count * sizeof *s->classes);
    s->count = count;
    for (size_t i = 1; i < count; i++)
        if (set->classes[s->classes[i]].count < set->classes[s->classes[s->smallest]].count) s->smallest = (uint32_t)i;
    return CLM_OK;
}

clm_status clm_image_set_families(clm_image_set *set, clm_split split) {
    clm_image_split *s = &set->splits[split];
    assert(s->turns == 1 && !s->families);
    s->families = clm_calloc(s->count ? s->count : 1, sizeof *s->families);
    if (!s->families) return CLM_E_MEMORY;
    for (size_t i = 0; i < s->count; i++) {
        const char *name = set->classes[s->classes[i]].name, *before = i ? set->classes[s->classes[i - 1]].name : "";
        if (i == 0 || strncmp(name, before, strcspn(name, "/") + 1) != 0)
            s->families[s->n_families++] = (clm_family){.first = i, .count = 0};
        s->families[s->n_families - 1].count++;
    }
    return CLM_OK;
}

static uint64_t hash_number(uint64_t hash, uint64_t number) { return clm_hash(hash, &number, sizeof number); }

/* Rotations are not part of it: they are how the classes are used. */
void clm_image_set_sign(clm_image_set *set, uint64_t pixels) {
    const size_t size = set->images * (size_t)set->channels * (size_t)set->height * (size_t)set->width;
    const void *data = set->floats ? (const void *)set->floats : set->pixels;
    uint64_t h = pixels ? pixels : clm_hash_words(CLM_HASH_SEED, data, size * (set->floats ? sizeof *set->floats : 1));
    h = hash_number(h, set->images);
    for (size_t i = 0; i < set->count; i++) h = hash_number(clm_hash_text(h, set->classes[i].name), set->classes[i].count);
    for (int i = 0; i < CLM_SPLITS; i++) {
        h = hash_number(h, set->splits[i].count);
        for (size_t k = 0; k < set->splits[i].count; k++) h = hash_number(h, set->splits[i].classes[k]);
    }
    set->base.fingerprint = h;
}
