/* Finding rows, or of tables in windows whole tasks, that are in two splits. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "data/table.h"

typedef struct part {
    uint64_t hash;
    size_t first, rows; /* of the source */
    int split;
} part;

typedef struct finding {
    size_t count;       /* parts of the later split that the earlier has too */
    const part *one[2]; /* an example: of the earlier, of the later */
} finding;

static uint64_t hash_of(const clm_table_source *s, size_t first, size_t rows) {
    const uint64_t hash = clm_hash(CLM_HASH_SEED, s->x + first * s->features, rows * s->features * sizeof *s->x);
    return clm_hash(hash, s->y + first * s->targets, rows * s->targets * sizeof *s->y);
}

static bool are_equal(const clm_table_source *s, const part *a, const part *b) {
    const size_t x = a->rows * s->features * sizeof *s->x, y = a->rows * s->targets * sizeof *s->y;
    return a->rows == b->rows && memcmp(s->x + a->first * s->features, s->x + b->first * s->features, x) == 0 &&
           memcmp(s->y + a->first * s->targets, s->y + b->first * s->targets, y) == 0;
}

static int by_hash(const void *a, const void *b) {
    const part *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    if (x->split != y->split) return x->split - y->split;
    return x->first < y->first ? -1 : x->first > y->first;
}

static part *list_of(const clm_table_source *s, size_t rows, size_t *count, size_t in[CLM_SPLITS]) {
    part *list = clm_calloc(rows ? rows : 1, sizeof *list);
    *count = 0;
    for (int split = 0; list && split < CLM_SPLITS; split++) {
        const size_t before = *count;
        for (size_t i = 0; i < s->splits[split].count; i++) {
            const clm_table_group *g = &s->groups[s->splits[split].groups[i]];
            const size_t size = s->window ? g->rows : 1;
            for (size_t first = g->first; first < g->first + g->rows; first += size)
                list[(*count)++] = (part){hash_of(s, first, size), first, size, split};
        }
        in[split] = *count - before;
    }
    if (list) qsort(list, *count, sizeof *list, by_hash);
    return list;
}

/* For each of a group of one hash, which is sorted by splits: do earlier splits have the same? */
static void search(const clm_table_source *s, const part *group, size_t count, finding found[CLM_SPLITS][CLM_SPLITS]) {
    for (size_t later = 1; later < count; later++)
        for (size_t earlier = 0; earlier < later && group[earlier].split < group[later].split; earlier++) {
            const int split = group[earlier].split;
            if (!are_equal(s, &group[earlier], &group[later])) continue;
            finding *f = &found[split][group[later].split];
            if (!f->count++) f->one[0] = &group[earlier], f->one[1] = &group[later];
            while (earlier + 1 < later && group[earlier + 1].split == split) earlier++; /* on to the next split */
        }
}

clm_status clm_table_note_shared(const clm_table_source *s, clm_table *t) {
    static const char *const names[CLM_SPLITS] = {"train", "validation", "test"};
    const char *what = s->window ? "tasks" : "rows";
    finding found[CLM_SPLITS][CLM_SPLITS] = {0};
    size_t count, in[CLM_SPLITS] = {0};
    part *list = list_of(s, t->rows, &count, in);
    if (!list) return CLM_E_MEMORY;
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && list[end].hash == list[begin].hash;) end++;
        search(s, &list[begin], end - begin, found);
    }
    for (int later = 1; later < CLM_SPLITS; later++)
        for (int earlier = 0; earlier < later; earlier++) {
            const finding *f = &found[earlier][later];
            if (!f->count) continue;
            clm_table_remark(
                t,
                "%zu of the %zu %s of %s %s in %s too, with the same features and targets, such as line %u (%s: line "
                "%u): what is measured there is not about what is new",
                f->count, in[later], what, names[later], f->count == 1 ? "is" : "are", names[earlier],
                (unsigned)s->lines[f->one[1]->first], names[earlier], (unsigned)s->lines[f->one[0]->first]);
        }
    free(list);
    return CLM_OK;
}
