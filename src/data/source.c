/* The episode sampler: draws tasks from whatever a clm_source_ops supplies.
 *
 * Every choice comes from a random stream named by what it decides: the classes from (seed, split, index), the examples of a
 * class from that and its label, the order of the support set and that of the query set from one each. So the support set does
 * not depend on how many query examples are asked for, and tasks evaluated with 1, 5 and 15 queries are the same tasks. */
#include "data/source.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "data/image.h"

static const char *const split_names[CLM_SPLITS] = {"train", "validation", "test"};

const char *clm_split_name(clm_split split) { return split_names[split]; }

clm_status clm_source_check_size(int size) {
    if (size >= 4 && size <= CLM_IMAGE_LARGEST) return CLM_OK;
    return clm_fail(CLM_E_ARG, "pictures of %dx%d pixels: the size must be 4 to %d", size, size, CLM_IMAGE_LARGEST);
}

void clm_source_free(clm_source *source) {
    if (!source) return;
    free(source->description);
    free(source->notes);
    source->ops->destroy(source);
}

const char *clm_source_name(const clm_source *source) { return source->name; }
clm_shape clm_source_example_shape(const clm_source *source) { return source->shape; }

static bool has_groups(const clm_source *source) { return source->ops->target != NULL; }

bool clm_source_is_regression(const clm_source *source) {
    return source->ops->regress || (has_groups(source) && !source->labels);
}

/* Numbers of y of an example. */
static size_t target_size(const clm_source *source) { return source->targets ? (size_t)source->targets : 1; }

clm_shape clm_source_target_shape(const clm_source *source) {
    return clm_source_is_regression(source) ? clm_shape_of(1, (int)target_size(source)) : (clm_shape){0};
}

size_t clm_source_labels(const clm_source *source) { return source->labels; }

const char *clm_source_label_name(const clm_source *source, size_t label) {
    return source->ops->label_name && label < source->labels ? source->ops->label_name(source, label) : NULL;
}

const char *clm_source_feature_name(const clm_source *source, size_t feature) {
    return source->ops->feature_name ? source->ops->feature_name(source, feature) : NULL;
}

bool clm_source_target_units(const clm_source *source, const double **mean, const double **deviation) {
    if (mean) *mean = source->target_mean;
    if (deviation) *deviation = source->deviation;
    return source->deviation != NULL;
}

const char *clm_source_description(const clm_source *source) { return source->description; }
int clm_source_outputs(const clm_source *source, int ways) {
    const size_t labels = clm_source_labels(source);
    if (clm_source_is_regression(source)) return (int)clm_source_target_shape(source).dim[0];
    return labels ? (int)labels : ways;
}

size_t clm_source_examples(const clm_source *source, clm_split split, size_t class_index) {
    if (!source->ops->examples || class_index >= clm_source_classes(source, split)) return 0;
    return source->ops->examples(source, split, class_index);
}

const char *clm_source_class_name(const clm_source *source, clm_split split, size_t class_index, char *text, size_t size) {
    const bool named = source->ops->class_name && class_index < clm_source_classes(source, split);
    char *name = named ? source->ops->class_name(source, split, class_index) : NULL;
    snprintf(text, size, "%s", name ? name : "");
    free(name);
    return text;
}

bool clm_source_get_preparation(const clm_source *source, clm_preparation *out) {
    *out = source->preparation;
    return out->size > 0;
}

bool clm_source_split_drawn(const clm_source *source) { return source->split_drawn; }

const char *clm_source_notes(const clm_source *source) { return source->notes ? source->notes : ""; }

size_t clm_source_classes(const clm_source *source, clm_split split) {
    return source->ops->classes && !has_groups(source) ? source->ops->classes(source, split) : 0;
}

size_t clm_source_groups(const clm_source *source, clm_split split) {
    if (source->ops->regress) return SIZE_MAX;
    return has_groups(source) ? source->ops->classes(source, split) : 0;
}

/* ---- what a task may ask for ---- */

/* Classes that tasks are drawn from. */
static size_t classes_of(const clm_source *source, clm_split split, const clm_episode_options *o) {
    const size_t all = source->ops->classes(source, split);
    return o->joint_classes && o->joint_classes < all ? o->joint_classes : all;
}

static clm_status check_split(const clm_source *source, clm_split split) {
    if ((unsigned)split < CLM_SPLITS) return CLM_OK;
    return clm_fail(CLM_E_ARG, "%s: no split %d", source->name, (int)split);
}

static clm_status check_counts(const clm_source *source, int ways, int shots, int query) {
    enum { MOST = 1 << 20 };
    const char *name = source->name;
    if (ways < 1 || shots < 1 || query < 0)
        return clm_fail(CLM_E_ARG, "%s: a task of %d ways, %d shots and %d queries: at least 1, 1 and 0 are needed", name, ways,
                        shots, query);
    if (shots > MOST || query > MOST || (int64_t)ways * ((int64_t)shots + query) > MOST)
        return clm_fail(CLM_E_LIMIT, "%s: a task of %d ways, %d shots and %d queries has more than %d examples", name, ways,
                        shots, query, MOST);
    if (source->ops->regress && ways != 1)
        return clm_fail(CLM_E_ARG, "%s is a regression problem: a task has 1 way, not %d", name, ways);
    if (has_groups(source) && ways != 1)
        return clm_fail(CLM_E_ARG, "%s: a task is one group of rows: it has 1 way, not %d", name, ways);
    return CLM_OK;
}

static clm_status check_ways(const clm_source *source, clm_split split, int ways, size_t classes) {
    if ((size_t)ways <= classes) return CLM_OK;
    const char *origin = source->ops->split_origin ? source->ops->split_origin(source, split) : NULL;
    if (has_groups(source))
        return clm_fail(CLM_E_ARG, "%s: the %s split has no tasks%s%s; give it some by the task split, or add tasks",
                        source->name, split_names[split], origin ? " in " : "", origin ? origin : "");
    return clm_fail(CLM_E_ARG, "%s: %d ways, but the %s split has %zu classes%s%s; ask for fewer ways or add classes",
                    source->name, ways, split_names[split], classes, origin ? " in " : "", origin ? origin : "");
}

static clm_status check_examples(const clm_source *source, clm_split split, int shots, int query) {
    uint64_t smallest = 0;
    source->ops->smallest(source, split, &smallest);
    size_t count = source->ops->examples(source, split, smallest);
    if ((size_t)shots + (size_t)query <= count) return CLM_OK;
    char *class_name = source->ops->class_name(source, split, smallest);
    if (!class_name) return CLM_E_MEMORY;
    const char *origin = source->ops->class_origin ? source->ops->class_origin(source, split, smallest) : NULL;
    const char *things = has_groups(source) ? "examples" : "images", *of = has_groups(source) ? "task" : "class";
    clm_status status =
        clm_fail(CLM_E_ARG,
                 "%s: %d shots and %d queries need %lld %s a %s, but %s %s has %zu, in the %s split%s%s%s; "
                 "ask for fewer or add %s",
                 source->name, shots, query, (long long)shots + query, things, of, of, class_name, count, split_names[split],
                 origin ? " (" : "", origin ? origin : "", origin ? ")" : "", has_groups(source) ? "rows" : things);
    free(class_name);
    return status;
}

clm_status clm_source_check_episode(const clm_source *source, clm_split split, const clm_episode_options *o) {
    if (o->version != CLM_EPISODE_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "episode: options of version %d; initialise them with CLM_EPISODE_OPTIONS_INIT", o->version);
    CLM_TRY(check_split(source, split));
    if (o->support_sets < 1 || o->support_sets > 1024)
        return clm_fail(CLM_E_ARG, "%s: %d support sets of a task: 1 to 1024 are possible", source->name, o->support_sets);
    if (o->joint_classes && source->ops->regress)
        return clm_fail(CLM_E_ARG, "%s is a regression problem: it has no classes to train on at once", source->name);
    if (o->joint_classes && has_groups(source))
        return clm_fail(CLM_E_ARG, "%s: its tasks are groups of rows: there are no classes of tasks to train on at once",
                        source->name);
    const int shots = o->shots > INT_MAX / o->support_sets ? INT_MAX : o->shots * o->support_sets;
    CLM_TRY(check_counts(source, o->ways, shots, o->query));
    if (source->ops->regress) return CLM_OK;
    const size_t classes = classes_of(source, split, o);
    CLM_TRY(check_ways(source, split, o->ways, classes));
    return source->ops->classes(source, split) == SIZE_MAX ? CLM_OK : check_examples(source, split, shots, o->query);
}

static clm_episode_options plain(int ways, int shots, int query) {
    return (clm_episode_options){CLM_EPISODE_OPTIONS_VERSION, ways, shots, query, 1, 0};
}

clm_status clm_source_check(const clm_source *source, clm_split split, int ways, int shots, int query) {
    const clm_episode_options o = plain(ways, shots, query);
    return clm_source_check_episode(source, split, &o);
}

/* ---- drawing ---- */

enum {
    DRAW_CLASSES,
    DRAW_EXAMPLES,
    DRAW_SUPPORT_ORDER,
    DRAW_QUERY_ORDER,
    DRAW_FUNCTION,
    DRAW_SUPPORT_POINTS,
    DRAW_QUERY_POINTS
};

/* `which`: one of the above, and among streams of one kind a number. Each name is hashed, for neighbouring seeds, splits and
 * kinds must not meet: Philox keys may be any numbers as long as they differ. */
static clm_random stream(clm_split split, uint64_t seed, uint64_t index, int which, int number) {
    uint8_t name[18];
    for (int i = 0; i < 8; i++) name[i] = (uint8_t)(seed >> (8 * i));
    for (int i = 0; i < 8; i++) name[8 + i] = (uint8_t)((uint64_t)number >> (8 * i));
    name[16] = (uint8_t)split;
    name[17] = (uint8_t)which;
    return clm_random_make(clm_hash(CLM_HASH_SEED, name, sizeof name), index);
}

/* `count` different numbers of 0 .. n-1 (SIZE_MAX: of all 64-bit numbers), by drawing again what has been drawn: the first few
 * are the same however many are asked for. */
static void draw_distinct(clm_random *r, size_t n, size_t count, uint64_t *out) {
    for (size_t i = 0; i < count;) {
        uint64_t candidate = n == SIZE_MAX ? clm_random_u64(r) : clm_random_below(r, (uint32_t)n);
        size_t seen = 0;
        while (seen < i && out[seen] != candidate) seen++;
        if (seen == i) out[i++] = candidate;
    }
}

/* Where a set goes; any may be NULL. */
typedef struct drawn {
    float *x, *y;
    int32_t *at;
} drawn;

typedef struct episode {
    const clm_source *source;
    clm_split split;
    int ways, per_class;
    const uint64_t *classes;  /* [ways]; the position is the label */
    const uint64_t *examples; /* [ways][per_class] */
    uint32_t *order;          /* working memory for the larger of the two sets */
    bool joint;               /* labels are numbers of classes */
} episode;

static clm_status draw_target(const episode *e, size_t label, uint64_t example, float *y) {
    const uint64_t class_index = e->classes[label];
    if (has_groups(e->source)) return e->source->ops->target(e->source, e->split, class_index, example, y);
    *y = e->joint ? (float)class_index : (float)label;
    return CLM_OK;
}

/* Examples first .. first+count-1 of every class, all shuffled together. */
static clm_status draw_set(const episode *e, clm_random order, int first, int count, const drawn *to) {
    const clm_source_ops *ops = e->source->ops;
    uint32_t n = (uint32_t)e->ways * (uint32_t)count;
    for (uint32_t i = 0; i < n; i++) e->order[i] = i;
    clm_random_shuffle(&order, e->order, n);
    size_t size = clm_shape_size(&e->source->shape);
    for (uint32_t i = 0; i < n; i++) {
        size_t label = e->order[i] / (uint32_t)count, j = (size_t)first + e->order[i] % (uint32_t)count;
        const uint64_t class_index = e->classes[label], example = e->examples[label * (size_t)e->per_class + j];
        if (to->y) CLM_TRY(draw_target(e, label, example, to->y + i * target_size(e->source)));
        if (to->x) CLM_TRY(ops->image(e->source, e->split, class_index, example, to->x + i * size));
        if (to->at) to->at[i] = ops->number(e->source, e->split, class_index, example);
    }
    return CLM_OK;
}

/* Set `number` of a task's support sets. */
static clm_status draw_support(const episode *e, uint64_t seed, uint64_t index, int number, int shots, const clm_episode *out) {
    const clm_shape *shape = &e->source->shape;
    const size_t at = (size_t)number * (size_t)e->ways * (size_t)shots;
    const drawn to = {out->support_x ? out->support_x + at * clm_shape_size(shape) : NULL,
                      out->support_y ? out->support_y + at * target_size(e->source) : NULL,
                      out->support_at ? out->support_at + at : NULL};
    return draw_set(e, stream(e->split, seed, index, DRAW_SUPPORT_ORDER, number), number * shots, shots, &to);
}

/* A class's examples: of the first support set, the query set, then the further support sets, so that these change neither. */
static void place_examples(uint64_t *examples, const clm_episode_options *o) {
    const size_t first = (size_t)o->shots, query = (size_t)o->query, more = first * (size_t)(o->support_sets - 1);
    for (size_t q = 0; q < query && more; q++) { /* to the end, one after the other */
        const uint64_t example = examples[first];
        memmove(examples + first, examples + first + 1, (query + more - 1) * sizeof *examples);
        examples[first + query + more - 1] = example;
    }
}

static clm_status sample_classes(const clm_source *source, clm_split split, uint64_t seed, uint64_t index,
                                 const clm_episode_options *o, const clm_episode *out) {
    clm_status status = CLM_OK;
    const int ways = o->ways, supports = o->shots * o->support_sets, per_class = supports + o->query;
    uint64_t *classes = clm_calloc((size_t)ways, sizeof *classes);
    uint64_t *examples = clm_calloc((size_t)ways * (size_t)per_class, sizeof *examples);
    uint32_t *order = clm_calloc((size_t)ways * (size_t)(o->shots > o->query ? o->shots : o->query), sizeof *order);
    if (!classes || !examples || !order) CLM_GOTO(CLM_E_MEMORY);
    clm_random r = stream(split, seed, index, DRAW_CLASSES, 0);
    draw_distinct(&r, classes_of(source, split, o), (size_t)ways, classes);
    for (int k = 0; k < ways; k++) {
        r = stream(split, seed, index, DRAW_EXAMPLES, k);
        draw_distinct(&r, source->ops->examples(source, split, classes[k]), (size_t)per_class,
                      examples + (size_t)k * (size_t)per_class);
        place_examples(examples + (size_t)k * (size_t)per_class, o);
    }
    episode e = {source, split, ways, per_class, classes, examples, order, o->joint_classes > 0};
    for (int n = 0; n < o->support_sets; n++) CLM_GOTO(draw_support(&e, seed, index, n, o->shots, out));
    CLM_GOTO(draw_set(&e, stream(split, seed, index, DRAW_QUERY_ORDER, 0), supports, o->query,
                      &(drawn){out->query_x, out->query_y, out->query_at}));
out:
    free(classes);
    free(examples);
    free(order);
    return status;
}

/* The points of the support sets follow one another: a set of its own is only a matter of counting. */
static clm_status sample_function(const clm_source *source, clm_split split, uint64_t seed, uint64_t index,
                                  const clm_episode_options *o, const clm_episode *out) {
    clm_random task = stream(split, seed, index, DRAW_FUNCTION, 0);
    clm_random points = stream(split, seed, index, DRAW_SUPPORT_POINTS, 0);
    CLM_TRY(source->ops->regress(source, split, task, &points, o->shots * o->support_sets, out->support_x, out->support_y));
    points = stream(split, seed, index, DRAW_QUERY_POINTS, 0);
    return source->ops->regress(source, split, task, &points, o->query, out->query_x, out->query_y);
}

clm_status clm_source_draw(const clm_source *source, clm_split split, uint64_t seed, uint64_t index,
                           const clm_episode_options *o, const clm_episode *out) {
    if (out->support_at || out->query_at) CLM_TRY(clm_source_check_numbers(source));
    CLM_TRY(clm_source_check_episode(source, split, o));
    if (!source->ops->regress) return sample_classes(source, split, seed, index, o, out);
    return sample_function(source, split, seed, index, o, out);
}

clm_status clm_source_sample(const clm_source *source, clm_split split, uint64_t seed, uint64_t index, int ways, int shots,
                             int query, float *support_x, float *support_y, float *query_x, float *query_y) {
    const clm_episode_options o = plain(ways, shots, query);
    const clm_episode out = {.support_x = support_x, .support_y = support_y, .query_x = query_x, .query_y = query_y};
    return clm_source_draw(source, split, seed, index, &o, &out);
}

/* ---- images as one array ---- */

bool clm_source_images(const clm_source *source, clm_images *out) {
    *out = (clm_images){0};
    if (!source->ops->images) return false;
    source->ops->images(source, out);
    return true;
}

clm_status clm_source_check_numbers(const clm_source *source) {
    if (source->ops->number) return CLM_OK;
    return clm_fail(CLM_E_ARG,
                    "%s makes its examples when they are asked for: they have no numbers; draw the examples themselves",
                    source->name);
}

clm_status clm_source_sample_at(const clm_source *source, clm_split split, uint64_t seed, uint64_t index, int ways, int shots,
                                int query, int32_t *support_at, float *support_y, int32_t *query_at, float *query_y) {
    const clm_episode_options o = plain(ways, shots, query);
    const clm_episode out = {.support_at = support_at, .support_y = support_y, .query_at = query_at, .query_y = query_y};
    CLM_TRY(clm_source_check_numbers(source));
    return clm_source_draw(source, split, seed, index, &o, &out);
}

clm_status clm_source_image(const clm_source *source, clm_split split, size_t class_index, size_t example, float *out) {
    CLM_TRY(check_split(source, split));
    if (source->ops->regress) return clm_fail(CLM_E_ARG, "%s is a regression problem and has no images", source->name);
    size_t classes = source->ops->classes(source, split);
    if (classes != SIZE_MAX && class_index >= classes)
        return clm_fail(CLM_E_ARG, "%s: no %s %zu: the %s split has %zu", source->name, has_groups(source) ? "task" : "class",
                        class_index, split_names[split], classes);
    size_t examples = source->ops->examples(source, split, class_index);
    if (examples != SIZE_MAX && example >= examples)
        return clm_fail(CLM_E_ARG, "%s: no example %zu: class %zu of the %s split has %zu", source->name, example, class_index,
                        split_names[split], examples);
    return source->ops->image(source, split, class_index, example, out);
}
