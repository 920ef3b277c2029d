/* Tasks of one's own, through callbacks (clmaml/data.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/source.h"

enum { MOST_TARGETS = 65536 };

typedef struct custom_source {
    clm_source base;
    clm_custom_source own;
    char *name;
    size_t smallest[CLM_SPLITS]; /* class with fewest examples: asked for once */
} custom_source;

static const clm_custom_source *own_of(const clm_source *source) { return &((const custom_source *)source)->own; }

static size_t classes(const clm_source *source, clm_split split) {
    const clm_custom_source *own = own_of(source);
    return own->classes(own->context, split);
}

static size_t examples(const clm_source *source, clm_split split, uint64_t class_index) {
    const clm_custom_source *own = own_of(source);
    return own->examples(own->context, split, (size_t)class_index);
}

static void smallest(const clm_source *source, clm_split split, uint64_t *class_index) {
    *class_index = ((const custom_source *)source)->smallest[split];
}

static size_t find_smallest(const clm_source *source, clm_split split) {
    const size_t count = classes(source, split);
    size_t least = SIZE_MAX, at = 0;
    for (size_t i = 0; i < count && count != SIZE_MAX; i++) {
        const size_t n = examples(source, split, i);
        if (n < least) least = n, at = i;
    }
    return at;
}

static char *class_name(const clm_source *source, clm_split split, uint64_t class_index) {
    const clm_custom_source *own = own_of(source);
    const char *name = own->class_name ? own->class_name(own->context, split, (size_t)class_index) : NULL;
    return name ? clm_strdup(name) : clm_format("%llu", (unsigned long long)class_index);
}

/* The first of n numbers that is not finite; n: all are. */
static size_t find_not_finite(const float *x, size_t n) {
    size_t i = 0;
    while (i < n && isfinite(x[i])) i++;
    return i;
}

static clm_status check_example(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example,
                                const float *x) {
    const size_t n = clm_shape_size(&source->shape), at = find_not_finite(x, n);
    if (at == n) return CLM_OK;
    char *name = class_name(source, split, class_index);
    if (!name) return CLM_E_MEMORY;
    const clm_status status = clm_fail(
        CLM_E_NUMERIC,
        "%s: number %zu of example %llu of class %s of the %s split is %g, not finite; the callback must give finite numbers",
        source->name, at, (unsigned long long)example, name, clm_split_name(split), (double)x[at]);
    free(name);
    return status;
}

static clm_status image(const clm_source *source, clm_split split, uint64_t class_index, uint64_t example, float *out) {
    const clm_custom_source *own = own_of(source);
    const int code = own->example(own->context, split, (size_t)class_index, (size_t)example, out);
    if (!code) return check_example(source, split, class_index, example, out);
    return clm_fail(CLM_E_IO, "%s: example %llu of class %llu of the %s split cannot be had (the callback returned %d)",
                    source->name, (unsigned long long)example, (unsigned long long)class_index, clm_split_name(split), code);
}

/* One of x and y: `size` numbers of each point. NULL is not looked at. */
static clm_status check_points(const clm_source *source, clm_split split, uint64_t task, const char *what, const float *x,
                               int count, size_t size) {
    if (!x) return CLM_OK;
    const size_t n = (size_t)count * size, at = find_not_finite(x, n);
    if (at == n) return CLM_OK;
    return clm_fail(
        CLM_E_NUMERIC,
        "%s: number %zu of %s of point %zu of function %llu of the %s split is %g, not finite; the callback must give finite "
        "numbers",
        source->name, at % size, what, at / size, (unsigned long long)task, clm_split_name(split), (double)x[at]);
}

static clm_status regress(const clm_source *source, clm_split split, clm_random task, clm_random *points, int count, float *x,
                          float *y) {
    const clm_custom_source *own = own_of(source);
    const uint64_t which = clm_random_u64(&task), where = clm_random_u64(points);
    const int code = own->regress(own->context, split, which, where, count, x, y);
    if (!code) {
        CLM_TRY(check_points(source, split, which, "x", x, count, clm_shape_size(&source->shape)));
        return check_points(source, split, which, "y", y, count, source->targets ? (size_t)source->targets : 1);
    }
    return clm_fail(CLM_E_IO, "%s: %d points of function %llu of the %s split cannot be had (the callback returned %d)",
                    source->name, count, (unsigned long long)which, clm_split_name(split), code);
}

static void destroy(clm_source *source) {
    custom_source *c = (custom_source *)source;
    if (c->own.destroy) c->own.destroy(c->own.context);
    free(c->name);
    free(c);
}

static const clm_source_ops class_ops = {.classes = classes,
                                         .examples = examples,
                                         .smallest = smallest,
                                         .image = image,
                                         .class_name = class_name,
                                         .destroy = destroy};
static const clm_source_ops regress_ops = {.regress = regress, .destroy = destroy};

static clm_status check(const clm_custom_source *own) {
    const int given = (own->classes != NULL) + (own->examples != NULL) + (own->example != NULL);
    if (own->version != CLM_CUSTOM_SOURCE_VERSION)
        return clm_fail(CLM_E_ARG, "custom source: version %d; begin it with CLM_CUSTOM_SOURCE_INIT", own->version);
    if (!own->name || !*own->name) return clm_fail(CLM_E_ARG, "custom source: it needs a name");
    if (own->regress ? given != 0 : given != 3)
        return clm_fail(CLM_E_ARG, "custom source %s: needs either classes, examples and example, or regress alone", own->name);
    if (own->targets < 0 || own->targets > MOST_TARGETS || (own->targets > 1 && !own->regress))
        return clm_fail(CLM_E_ARG, "custom source %s: %d targets: 1 to %d of a regression; classes have labels instead",
                        own->name, own->targets, MOST_TARGETS);
    if (own->shape.rank < 1 || own->shape.rank > 4 || clm_shape_size(&own->shape) < 1)
        return clm_fail(CLM_E_SHAPE, "custom source %s: an example needs a shape of 1 to 4 axes, none of them 0", own->name);
    return CLM_OK;
}

clm_status clm_source_custom(clm_source **out, const clm_custom_source *own) {
    *out = NULL;
    CLM_TRY(check(own));
    custom_source *c = clm_calloc(1, sizeof *c);
    if (!c) return CLM_E_MEMORY;
    c->own = *own;
    c->name = clm_strdup(own->name);
    c->base = (clm_source){
        .ops = own->regress ? &regress_ops : &class_ops, .name = c->name, .shape = own->shape, .targets = own->targets};
    c->base.description = clm_strdup(own->description ? own->description : own->name);
    if (!c->name || !c->base.description) {
        c->own.destroy = NULL;
        clm_source_free(&c->base);
        return CLM_E_MEMORY;
    }
    for (int i = 0; i < CLM_SPLITS && !own->regress; i++) c->smallest[i] = find_smallest(&c->base, (clm_split)i);
    *out = &c->base;
    return CLM_OK;
}
