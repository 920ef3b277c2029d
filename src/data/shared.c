/* Finding pictures, and names of classes, that are in two splits, and pictures that are in two classes of one. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "data/imageset.h"
#include "data/notes.h"

typedef struct seen {
    uint64_t hash;
    size_t image;
    uint32_t class_of; /* of the set */
    int split;
} seen;

typedef struct finding {
    size_t count;       /* images of the later split that the earlier has too; of one split, that another class of it has too */
    const seen *one[2]; /* an example: of the earlier, of the later */
} finding;

static size_t example_bytes(const clm_image_set *set) {
    return (size_t)set->channels * (size_t)set->height * (size_t)set->width * (set->floats ? sizeof *set->floats : 1);
}

static const uint8_t *bytes_of(const clm_image_set *set, size_t image) {
    const uint8_t *begin = set->floats ? (const uint8_t *)set->floats : set->pixels;
    return begin + image * example_bytes(set);
}

/* Of pieces spread over the image: what is alike in them is compared whole. */
static uint64_t hash_of(const clm_image_set *set, size_t image) {
    enum { PIECES = 32, PIECE = 64 };
    const uint8_t *data = bytes_of(set, image);
    const size_t size = example_bytes(set);
    if (size <= (size_t)PIECES * PIECE) return clm_hash(0, data, size);
    uint64_t hash = 0;
    for (size_t i = 0; i < PIECES; i++) hash = clm_hash(hash, data + (size - PIECE) / (PIECES - 1) * i, PIECE);
    return hash;
}

static int by_hash(const void *a, const void *b) {
    const seen *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    if (x->split != y->split) return x->split - y->split;
    return x->image < y->image ? -1 : x->image > y->image;
}

static seen *list_of(const clm_image_set *set, size_t *count) {
    *count = 0;
    for (int split = 0; split < CLM_SPLITS; split++)
        for (size_t i = 0; i < set->splits[split].count; i++) *count += set->classes[set->splits[split].classes[i]].count;
    seen *list = clm_calloc(*count ? *count : 1, sizeof *list), *next = list;
    for (int split = 0; list && split < CLM_SPLITS; split++)
        for (size_t i = 0; i < set->splits[split].count; i++) {
            const uint32_t class_of = set->splits[split].classes[i];
            const clm_image_class *c = &set->classes[class_of];
            for (size_t image = c->first; image < c->first + c->count; image++)
                *next++ = (seen){hash_of(set, image), image, class_of, split};
        }
    if (list) qsort(list, *count, sizeof *list, by_hash);
    return list;
}

/* For each of a group of one hash, which is sorted by splits: do earlier splits, or other classes of its own, have the same image? The first of
 * two classes counts as the image's own. */
static void search(const clm_image_set *set, const seen *group, size_t count, finding found[CLM_SPLITS][CLM_SPLITS]) {
    size_t begin[CLM_SPLITS + 1] = {0};
    for (int split = 0; split < CLM_SPLITS; split++)
        for (begin[split + 1] = begin[split]; begin[split + 1] < count && group[begin[split + 1]].split == split;)
            begin[split + 1]++;
    for (size_t later = 1; later < count; later++)
        for (int split = 0; split <= group[later].split; split++)
            for (size_t earlier = begin[split]; earlier < begin[split + 1] && earlier < later; earlier++) {
                if (split == group[later].split && group[earlier].class_of == group[later].class_of) continue;
                if (memcmp(bytes_of(set, group[earlier].image), bytes_of(set, group[later].image), example_bytes(set)) != 0)
                    continue;
                finding *f = &found[split][group[later].split];
                if (!f->count++) f->one[0] = &group[earlier], f->one[1] = &group[later];
                break;
            }
}

static const char *const names[CLM_SPLITS] = {"train", "val", "test"};

static const char *class_name(const clm_image_set *set, int split, size_t i) {
    return set->classes[set->splits[split].classes[i]].name;
}

static bool has_class(const clm_image_set *set, int split, const char *name) {
    for (size_t i = 0; i < set->splits[split].count; i++)
        if (!strcmp(class_name(set, split, i), name)) return true;
    return false;
}

/* A set that is split by examples, as for ordinary training, has all its classes in each split. */
static void note_classes(const clm_image_set *set, int earlier, int later, clm_text *notes) {
    size_t count = 0, all = set->splits[later].count;
    const char *one = NULL;
    for (size_t i = 0; i < all; i++)
        if (has_class(set, earlier, class_name(set, later, i)) && !count++) one = class_name(set, later, i);
    if (count)
        clm_note_add(notes,
                     "%zu of the %zu classes of %s %s in %s too, such as %.200s: what is measured there is not about new "
                     "classes; put each class into one split, or give the classes unsplit and --class-split",
                     count, all, names[later], count == 1 ? "is" : "are", names[earlier], one);
}

/* Has the set been left undivided, as a support set is? Then its one split has no name that anybody gave it. */
static bool is_whole(const clm_image_set *set) {
    int filled = 0;
    for (int split = 0; split < CLM_SPLITS; split++) filled += set->splits[split].count > 0;
    return set->base.split_drawn && filled == 1;
}

static void note_two_classes(const clm_image_set *set, int split, const finding *f, clm_text *notes) {
    const char *be = f->count == 1 ? "is" : "are", *of = is_whole(set) ? "" : " of ", *its = is_whole(set) ? "" : " of it";
    if (!f->count) return;
    clm_note_add(
        notes,
        "%zu of the examples%s%s %s in two classes%s, such as one of class %.200s that is in %.200s: a task that draws both "
        "cannot tell them apart",
        f->count, of, is_whole(set) ? "" : names[split], be, its, set->classes[f->one[0]->class_of].name,
        set->classes[f->one[1]->class_of].name);
}

clm_status clm_image_set_note_shared(clm_image_set *set) {
    finding found[CLM_SPLITS][CLM_SPLITS] = {0};
    clm_text notes = {0};
    clm_status status = CLM_OK;
    size_t count;
    seen *list = list_of(set, &count);
    if (!list) return CLM_E_MEMORY;
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && list[end].hash == list[begin].hash;) end++;
        search(set, &list[begin], end - begin, found);
    }
    if (set->base.notes) clm_text_add(&notes, "%s", set->base.notes);
    for (int split = 0; split < CLM_SPLITS; split++) note_two_classes(set, split, &found[split][split], &notes);
    for (int later = 1; later < CLM_SPLITS; later++)
        for (int earlier = 0; earlier < later; earlier++) {
            const finding *f = &found[earlier][later];
            note_classes(set, earlier, later, &notes);
            if (!f->count) continue;
            clm_note_add(
                &notes,
                "%zu of the examples of %s %s in %s too, such as one of class %.200s (%s: %.200s): what is measured there "
                "is not about what is new",
                f->count, names[later], f->count == 1 ? "is" : "are", names[earlier], set->classes[f->one[1]->class_of].name,
                names[earlier], set->classes[f->one[0]->class_of].name);
        }
    if (notes.failed) {
        clm_text_free(&notes);
        CLM_GOTO(CLM_E_MEMORY);
    }
    free(set->base.notes);
    set->base.notes = notes.data;
out:
    free(list);
    return status;
}
