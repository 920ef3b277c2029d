/* Tokens: are the numbers of all examples whole ones that an embedding has a row for? */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "data/source.h"

typedef struct search {
    const clm_source *source;
    size_t count;    /* tokens are 0 .. count-1 */
    size_t offences; /* examples that hold another number */
    char *where;     /* of the first */
    float first;
    double largest; /* of whole numbers */
    bool whole;     /* all are, and none is below 0 */
} search;

static bool is_whole(float x) { return x >= 0 && x == floorf(x); }

static clm_status name_place(search *s, clm_split split, size_t class_index, size_t example, size_t number) {
    const clm_source_ops *ops = s->source->ops;
    if (ops->place) {
        s->where = ops->place(s->source, split, class_index, example, number);
    } else {
        char *name = ops->class_name ? ops->class_name(s->source, split, class_index) : NULL;
        s->where = clm_format("%s: class %s of the %s split, example %zu, number %zu", s->source->name, name ? name : "?",
                              clm_split_name(split), example, number);
        free(name);
    }
    return s->where ? CLM_OK : CLM_E_MEMORY;
}

static clm_status look_at(search *s, const float *x, size_t n, clm_split split, size_t class_index, size_t example) {
    bool offends = false;
    for (size_t i = 0; i < n; i++) {
        const bool whole = is_whole(x[i]);
        if (whole && (double)x[i] < (double)s->count) continue;
        if (whole && (double)x[i] > s->largest) s->largest = (double)x[i];
        s->whole = s->whole && whole;
        if (!s->where) {
            s->first = x[i];
            CLM_TRY(name_place(s, split, class_index, example, i));
        }
        offends = true;
    }
    s->offences += offends;
    return CLM_OK;
}

static clm_status look_at_all(search *s, float *x, size_t n) {
    const clm_source_ops *ops = s->source->ops;
    for (int split = 0; split < CLM_SPLITS; split++)
        for (size_t c = 0; c < ops->classes(s->source, (clm_split)split); c++)
            for (size_t e = 0; e < ops->examples(s->source, (clm_split)split, c); e++) {
                CLM_TRY(ops->image(s->source, (clm_split)split, c, e, x));
                CLM_TRY(look_at(s, x, n, (clm_split)split, c, e));
                if (!s->whole) return CLM_OK; /* the first that is found says it all */
            }
    return CLM_OK;
}

static clm_status refuse(const search *s, const char *layer) {
    const char *scaled = s->source->scaled;
    if (s->whole)
        return clm_fail(
            CLM_E_FORMAT,
            "%s is %g: %s of \"count\" %zu reads whole numbers from 0 to %zu; %zu example%s such a number, the largest "
            "is %.0f: give the layer \"count\": %.0f, or number them anew",
            s->where, (double)s->first, layer, s->count, s->count - 1, s->offences, s->offences == 1 ? " has" : "s have",
            s->largest, s->largest + 1);
    return clm_fail(CLM_E_FORMAT, "%s is %g: %s of \"count\" %zu reads whole numbers from 0 to %zu; %s", s->where,
                    (double)s->first, layer, s->count, s->count - 1,
                    scaled ? scaled : "save the places of words in a list of all, beginning with 0");
}

clm_status clm_source_check_tokens(const clm_source *source, size_t count, const char *layer) {
    search s = {.source = source, .count = count, .whole = true};
    clm_status status = CLM_OK;
    if (!clm_source_is_held(source)) return CLM_OK;
    const size_t n = clm_shape_size(&source->shape);
    float *x = clm_calloc(n, sizeof *x);
    if (!x) return CLM_E_MEMORY;
    status = look_at_all(&s, x, n);
    if (status == CLM_OK && s.where) status = refuse(&s, layer);
    free(s.where);
    free(x);
    return status;
}

bool clm_source_is_held(const clm_source *source) { return source->ops->images || source->ops->target; }
