/* Splits and descriptions of data of one's own. */
#include "data/own.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/words.h"

static int by_number(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* How many classes each split gets: the numbers asked for, or, of more than there are, their proportions, and one at least where
 * there are enough. */
static void split_counts(size_t total, const clm_own_parts *p, size_t counts[CLM_SPLITS]) {
    static const size_t usual[CLM_SPLITS] = {64, 16, 20};
    const bool any = p->asked[0] || p->asked[1] || p->asked[2];
    const size_t *asked = any ? p->asked : usual;
    const double sum = (double)asked[0] + (double)asked[1] + (double)asked[2];
    for (int i = 0; i < CLM_SPLITS; i++) counts[i] = asked[i];
    if (any && sum <= (double)total) return;
    for (int i = 1; i < CLM_SPLITS; i++) {
        counts[i] = (size_t)((double)total * (double)asked[i] / sum + 0.5);
        if (asked[i] && !counts[i] && total >= CLM_SPLITS) counts[i] = 1;
    }
    for (int i = 1; i < CLM_SPLITS && !any && total / CLM_SPLITS >= p->least; i++)
        if (counts[i] < p->least) counts[i] = p->least;
    if (counts[2] > total - counts[1]) counts[2] = total - counts[1];
    counts[0] = total - counts[1] - counts[2];
}

void clm_own_draw_split(size_t total, const clm_own_parts *parts, uint32_t *order, size_t counts[CLM_SPLITS]) {
    split_counts(total, parts, counts);
    for (size_t i = 0; i < total; i++) order[i] = (uint32_t)i;
    clm_random r = clm_random_make(parts->seed, 0);
    clm_random_shuffle(&r, order, (uint32_t)total);
    for (size_t i = 0, first = 0; i < CLM_SPLITS; first += counts[i++])
        if (counts[i]) qsort(order + first, counts[i], sizeof *order, by_number); /* in order of name however drawn */
}

clm_status clm_own_split(clm_image_set *set, const clm_folder_options *o, size_t *unused) {
    const clm_own_parts parts = {o->class_split, o->split_seed, o->least_classes};
    size_t counts[CLM_SPLITS] = {0}, first = 0;
    uint32_t *order = clm_calloc(set->count, sizeof *order);
    clm_status status = order ? CLM_OK : CLM_E_MEMORY;
    if (order) clm_own_draw_split(set->count, &parts, order, counts);
    for (int i = 0; i < CLM_SPLITS && status == CLM_OK; first += counts[i++])
        status = clm_image_set_split(set, (clm_split)i, order + first, counts[i], 1);
    free(order);
    *unused = set->count - first;
    return status;
}

clm_status clm_own_use_splits(clm_image_set *set, const int *splits) {
    uint32_t *classes = clm_calloc(set->count, sizeof *classes);
    clm_status status = classes ? CLM_OK : CLM_E_MEMORY;
    for (int split = 0; split < CLM_SPLITS && status == CLM_OK; split++) {
        size_t count = 0;
        for (size_t i = 0; i < set->count; i++)
            if (splits[i] == split) classes[count++] = (uint32_t)i;
        status = clm_image_set_split(set, (clm_split)split, classes, count, 1);
    }
    free(classes);
    return status;
}

clm_status clm_own_refuse(const char *where, const clm_text *left, size_t count) {
    enum { MOST = 3000 }; /* bytes: a message has an end */
    clm_text list = {0};
    size_t listed = 0;
    for (const char *at = left->data; at && *at && list.length < MOST;) {
        const int length = (int)strcspn(at, "\n");
        clm_text_add(&list, "%s%.*s", listed++ ? "; " : "", length, at);
        at += length + (at[length] == '\n');
    }
    if (count > listed) clm_text_add(&list, "; and %zu more", count - listed);
    const clm_status status = list.failed ? CLM_E_MEMORY
                                          : clm_fail(CLM_E_FORMAT, "%s: strict refuses %zu thing%s that would be left out: %s",
                                                     where, count, count == 1 ? "" : "s", list.data ? list.data : "");
    clm_text_free(&list);
    return status;
}

clm_status clm_own_count_classes(const clm_image_set *set, size_t *count) {
    clm_words names = {0};
    clm_status status = CLM_OK;
    uint32_t number;
    for (size_t i = 0; i < set->count && status == CLM_OK; i++) status = clm_words_add(&names, set->classes[i].name, &number);
    *count = names.count;
    clm_words_free(&names);
    return status;
}

clm_status clm_own_describe(clm_image_set *set, const char *begin, const clm_folder_options *o, bool drawn) {
    static const char *const normalised[] = {"", ", normalised as ImageNet", ", normalised by the training split"};
    char *seed = drawn ? clm_format(" (drawn by split seed %llu)", (unsigned long long)o->split_seed) : clm_strdup("");
    if (seed)
        set->base.description = clm_format("%s%s; classes: %zu train, %zu validation, %zu test%s", begin,
                                           normalised[o->normalise], set->splits[CLM_SPLIT_TRAIN].count,
                                           set->splits[CLM_SPLIT_VALIDATION].count, set->splits[CLM_SPLIT_TEST].count, seed);
    free(seed);
    set->base.split_drawn = drawn;
    return set->base.description ? CLM_OK : CLM_E_MEMORY;
}
