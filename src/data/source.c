/* The episode sampler: draws tasks from whatever a clm_source_ops supplies.
 *
 * Every choice comes from a random stream named by what it decides: the classes from (seed, split, index), the examples of a
 * class from that and its label, the order of the support set and that of the query set from one each. So the support set does
 * not depend on how many query examples are asked for, and tasks evaluated with 1, 5 and 15 queries are the same tasks. */
#include "data/episode.h"

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

bool clm_source_has_groups(const clm_source *source) { return source->ops->target != NULL; }

bool clm_source_is_regression(const clm_source *source) {
    return source->ops->regress || (clm_source_has_groups(source) && !source->labels);
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

uint64_t clm_source_fingerprint(const clm_source *source) { return source->fingerprint; }

const char *clm_source_notes(const clm_source *source) { return source->notes ? source->notes : ""; }

size_t clm_source_classes(const clm_source *source, clm_split split) {
    return source->ops->classes && !clm_source_has_groups(source) ? source->ops->classes(source, split) : 0;
}

size_t clm_source_groups(const clm_source *source, clm_split split) {
    if (source->ops->regress) return SIZE_MAX;
    return clm_source_has_groups(source) ? source->ops->classes(source, split) : 0;
}

static clm_episode_options plain(int ways, int shots, int query) {
    return (clm_episode_options){CLM_EPISODE_OPTIONS_VERSION, ways, shots, query, 1, 0, 0, 0};
}

/* ---- drawing ---- */

enum {
    DRAW_CLASSES,
    DRAW_EXAMPLES,
    DRAW_SUPPORT_ORDER,
    DRAW_QUERY_ORDER,
    DRAW_FUNCTION,
    DRAW_SUPPORT_POINTS,
    DRAW_QUERY_POINTS,
    DRAW_SIZE
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
    if (clm_source_has_groups(e->source)) return e->source->ops->target(e->source, e->split, class_index, example, y);
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

/* Set `number` of a task's support sets, for each of which there is room for `most` examples. */
static clm_status draw_support(const episode *e, uint64_t seed, uint64_t index, int number, int shots, size_t most,
                               const clm_episode *out) {
    const clm_shape *shape = &e->source->shape;
    const size_t at = (size_t)number * most;
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

/* ---- uneven tasks ---- */

static bool is_uneven(const clm_episode_options *o) { return o->ways_least > 0 || o->shots_least > 0; }

/* From `least` to `most`, but no more than there are. */
static int draw_between(clm_random *r, int least, int most, size_t there) {
    if (there < (size_t)most) most = (int)there;
    return least + (int)clm_random_below(r, (uint32_t)(most - least + 1));
}

/* Shots of a task whose classes, or group, have so many examples. */
static int draw_shots(clm_random *r, const clm_episode_options *o, size_t fewest) {
    const size_t there = fewest == SIZE_MAX ? SIZE_MAX : (fewest - (size_t)o->query) / (size_t)o->support_sets;
    return draw_between(r, o->shots_least, o->shots, there);
}

/* What a task lacks of the largest is zeros. */
static void clear(const clm_source *source, const clm_episode_options *o, const clm_episode *out) {
    const size_t x = clm_shape_size(&source->shape) * sizeof(float), y = target_size(source) * sizeof(float);
    const size_t support = (size_t)o->ways * (size_t)o->shots * (size_t)o->support_sets,
                 query = (size_t)o->ways * (size_t)o->query;
    const struct {
        void *at;
        size_t bytes;
    } arrays[] = {{out->support_x, support * x}, {out->support_y, support * y}, {out->support_at, support * sizeof(int32_t)},
                  {out->query_x, query * x},     {out->query_y, query * y},     {out->query_at, query * sizeof(int32_t)}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (arrays[i].at) memset(arrays[i].at, 0, arrays[i].bytes);
}

static void tell_size(const clm_source *source, const clm_episode_options *task, const clm_episode *out) {
    const bool ways = !task->joint_classes && !source->ops->regress && !clm_source_has_groups(source);
    if (out->size) *out->size = (clm_task_size){ways ? task->ways : 0, task->ways * task->shots, task->ways * task->query};
}

/* ---- choosing ---- */

static bool has_families(const clm_source *source, clm_split split) {
    size_t count;
    (void)clm_episode_families(source, split, &count);
    return count > 0;
}

/* The most ways that a task may have. */
static size_t most_ways(const clm_source *source, clm_split split, const clm_episode_options *o) {
    size_t count, most = 0;
    const clm_family *families = clm_episode_families(source, split, &count);
    for (size_t i = 0; i < count; i++)
        if (families[i].count > most) most = families[i].count;
    return count ? most : clm_episode_classes(source, split, o);
}

/* Any classes of the split, or those of one family. */
static void choose_classes(const clm_source *source, clm_split split, uint64_t seed, uint64_t index,
                           const clm_episode_options *o, uint64_t *classes) {
    size_t count, large = 0;
    const clm_family *families = clm_episode_families(source, split, &count);
    clm_random r = stream(split, seed, index, DRAW_CLASSES, 0);
    if (!count) {
        draw_distinct(&r, clm_episode_classes(source, split, o), (size_t)o->ways, classes);
        return;
    }
    while (clm_episode_family(families, count, (size_t)o->ways, large)) large++;
    const clm_family *family = clm_episode_family(families, count, (size_t)o->ways, clm_random_below(&r, (uint32_t)large));
    draw_distinct(&r, family->count, (size_t)o->ways, classes);
    for (int k = 0; k < o->ways; k++) classes[k] += family->first;
}

/* Of the task's classes that with the fewest examples. */
static size_t fewest_examples(const clm_source *source, clm_split split, const clm_episode_options *o,
                              const uint64_t *classes) {
    size_t fewest = SIZE_MAX;
    for (int k = 0; k < o->ways; k++) {
        const size_t count = source->ops->examples(source, split, classes[k]);
        if (count < fewest) fewest = count;
    }
    return fewest;
}

/* Any examples of each class; within a family of all classes those with the same numbers. */
static void choose_examples(const clm_source *source, clm_split split, uint64_t seed, uint64_t index,
                            const clm_episode_options *o, size_t per_class, const uint64_t *classes, uint64_t *examples) {
    const bool same = has_families(source, split);
    for (int k = 0; k < o->ways; k++) {
        uint64_t *to = examples + (size_t)k * per_class;
        if (same && k > 0) {
            memcpy(to, examples, per_class * sizeof *examples);
            continue;
        }
        clm_random r = stream(split, seed, index, DRAW_EXAMPLES, k);
        draw_distinct(&r, same ? fewest_examples(source, split, o, classes) : source->ops->examples(source, split, classes[k]),
                      per_class, to);
    }
    for (int k = 0; k < o->ways; k++) place_examples(examples + (size_t)k * per_class, o);
}

/* ---- tasks ---- */

static clm_status sample_classes(const clm_source *source, clm_split split, uint64_t seed, uint64_t index,
                                 const clm_episode_options *o, const clm_episode *out) {
    clm_status status = CLM_OK;
    const size_t most = (size_t)o->ways * (size_t)o->shots;
    clm_episode_options task = *o;
    uint64_t *classes = NULL, *examples = NULL;
    uint32_t *order = NULL;
    clm_random size = stream(split, seed, index, DRAW_SIZE, 0);
    if (o->ways_least) task.ways = draw_between(&size, o->ways_least, o->ways, most_ways(source, split, o));
    const int ways = task.ways;
    if (!(classes = clm_calloc((size_t)ways, sizeof *classes))) CLM_GOTO(CLM_E_MEMORY);
    choose_classes(source, split, seed, index, &task, classes);
    if (o->shots_least) task.shots = draw_shots(&size, o, fewest_examples(source, split, &task, classes));
    const int supports = task.shots * task.support_sets, per_class = supports + task.query;
    examples = clm_calloc((size_t)ways * (size_t)per_class, sizeof *examples);
    order = clm_calloc((size_t)ways * (size_t)(task.shots > task.query ? task.shots : task.query), sizeof *order);
    if (!examples || !order) CLM_GOTO(CLM_E_MEMORY);
    choose_examples(source, split, seed, index, &task, (size_t)per_class, classes, examples);
    episode e = {source, split, ways, per_class, classes, examples, order, o->joint_classes > 0};
    tell_size(source, &task, out);
    for (int n = 0; n < o->support_sets; n++) CLM_GOTO(draw_support(&e, seed, index, n, task.shots, most, out));
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
    const clm_random task = stream(split, seed, index, DRAW_FUNCTION, 0);
    clm_random points = stream(split, seed, index, DRAW_SUPPORT_POINTS, 0), size = stream(split, seed, index, DRAW_SIZE, 0);
    clm_episode_options own = *o;
    const size_t x = clm_shape_size(&source->shape), y = target_size(source);
    if (o->shots_least) own.shots = draw_shots(&size, o, SIZE_MAX);
    tell_size(source, &own, out);
    /* of one size: in one call, as ever */
    const int calls = is_uneven(o) ? o->support_sets : 1, count = is_uneven(o) ? own.shots : o->shots * o->support_sets;
    for (size_t n = 0; n < (size_t)calls; n++)
        CLM_TRY(source->ops->regress(source, split, task, &points, count,
                                     out->support_x ? out->support_x + n * (size_t)o->shots * x : NULL,
                                     out->support_y ? out->support_y + n * (size_t)o->shots * y : NULL));
    points = stream(split, seed, index, DRAW_QUERY_POINTS, 0);
    return source->ops->regress(source, split, task, &points, o->query, out->query_x, out->query_y);
}

const char *clm_source_function(const clm_source *source, clm_split split, uint64_t seed, uint64_t index) {
    if (source->ops->task_name) return source->ops->task_name(source, split, seed, index);
    return source->ops->function_name ? source->ops->function_name(source, stream(split, seed, index, DRAW_FUNCTION, 0)) : NULL;
}

clm_status clm_source_draw(const clm_source *source, clm_split split, uint64_t seed, uint64_t index,
                           const clm_episode_options *o, const clm_episode *out) {
    if (out->support_at || out->query_at) CLM_TRY(clm_source_check_numbers(source));
    CLM_TRY(clm_source_check_episode(source, split, o));
    if (is_uneven(o)) clear(source, o, out);
    clm_status status = CLM_OK;
    if (source->ops->draw)
        status = source->ops->draw(source, split, seed, index, o, out);
    else
        status = source->ops->regress ? sample_function(source, split, seed, index, o, out)
                                      : sample_classes(source, split, seed, index, o, out);
    return status == CLM_E_NUMERIC
               ? clm_fail_in(status, "task %llu of seed %llu", (unsigned long long)index, (unsigned long long)seed)
               : status;
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
    CLM_TRY(clm_source_check_split(source, split));
    if (source->ops->regress) return clm_fail(CLM_E_ARG, "%s is a regression problem and has no images", source->name);
    size_t classes = source->ops->classes(source, split);
    if (classes != SIZE_MAX && class_index >= classes)
        return clm_fail(CLM_E_ARG, "%s: no %s %zu: the %s split has %zu", source->name,
                        clm_source_has_groups(source) ? "task" : "class", class_index, split_names[split], classes);
    size_t examples = source->ops->examples(source, split, class_index);
    if (examples != SIZE_MAX && example >= examples)
        return clm_fail(CLM_E_ARG, "%s: no example %zu: class %zu of the %s split has %zu", source->name, example, class_index,
                        split_names[split], examples);
    return source->ops->image(source, split, class_index, example, out);
}
