/* What a task may ask of a source: numbers of classes and examples, and the remedy where there are too few. */
#include "data/episode.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

/* Classes that tasks are drawn from. */
size_t clm_episode_classes(const clm_source *source, clm_split split, const clm_episode_options *o) {
    const size_t all = source->ops->classes(source, split);
    return o->joint_classes && o->joint_classes < all ? o->joint_classes : all;
}

clm_status clm_source_check_split(const clm_source *source, clm_split split) {
    if ((unsigned)split < CLM_SPLITS) return CLM_OK;
    return clm_fail(CLM_E_ARG, "%s: no split %d", source->name, (int)split);
}

static clm_status check_counts(const clm_source *source, int ways, int shots, int query) {
    enum { MOST = 1 << 20 };
    const char *name = source->name;
    if (ways < 1 || shots < 1 || query < 0)
        return clm_fail(CLM_E_ARG, "%s: a task of ways %d, shots %d and queries %d: at least 1, 1 and 0 are needed", name, ways,
                        shots, query);
    if (shots > MOST || query > MOST || (int64_t)ways * ((int64_t)shots + query) > MOST)
        return clm_fail(CLM_E_LIMIT, "%s: a task of ways %d, shots %d and queries %d has more than %d examples", name, ways,
                        shots, query, MOST);
    if (source->ops->regress && ways != 1)
        return clm_fail(CLM_E_ARG, "%s is a regression problem: a task has 1 way, not %d", name, ways);
    if (clm_source_has_groups(source) && ways != 1)
        return clm_fail(CLM_E_ARG, "%s: a task is one group of rows: it has 1 way, not %d", name, ways);
    return CLM_OK;
}

/* Of classes that were drawn for the splits: a division that has enough in each. */
static const char *other_division(const clm_source *source, int ways, char *text, size_t size) {
    size_t all = 0;
    text[0] = 0;
    for (int s = 0; s < CLM_SPLITS; s++) all += source->ops->classes(source, (clm_split)s);
    if (source->split_drawn && all >= 3 * (size_t)ways)
        snprintf(text, size, ", or divide the %zu otherwise (--class-split %zu,%d,%d)", all, all - 2 * (size_t)ways, ways,
                 ways);
    return text;
}

const clm_family *clm_episode_families(const clm_source *source, clm_split split, size_t *count) {
    *count = 0;
    return source->ops->families ? source->ops->families(source, split, count) : NULL;
}

/* The n-th of the families with so many classes; NULL past the last. */
const clm_family *clm_episode_family(const clm_family *families, size_t count, size_t ways, size_t n) {
    for (size_t i = 0; i < count; i++)
        if (families[i].count >= ways && n-- == 0) return &families[i];
    return NULL;
}

static clm_status check_families(const clm_source *source, clm_split split, int ways) {
    size_t count, most = 0;
    const clm_family *families = clm_episode_families(source, split, &count);
    if (!count || clm_episode_family(families, count, (size_t)ways, 0)) return CLM_OK;
    for (size_t i = 0; i < count; i++)
        if (families[i].count > most) most = families[i].count;
    return clm_fail(CLM_E_ARG,
                    "%s: %d ways within an alphabet, but the largest of the %s split has %zu characters; ask for fewer ways",
                    source->name, ways, clm_split_name(split), most);
}

/* "; train has 5, test 3", of the splits that have classes. */
static const char *list_filled(const clm_source *source, char *text, size_t size) {
    size_t n = 0;
    text[0] = 0;
    for (int s = 0; s < CLM_SPLITS; s++) {
        const size_t classes = source->ops->classes(source, (clm_split)s);
        if (!classes) continue;
        n += (size_t)snprintf(text + n, size - n, "%s %s%s %zu", n ? "," : ";", clm_split_name((clm_split)s), n ? "" : " has",
                              classes);
    }
    return text;
}

static clm_status no_classes(const clm_source *source, clm_split split, int ways, const char *origin) {
    char filled[128], division[96];
    return clm_fail(CLM_E_ARG, "%s: the %s split has no classes%s%s%s; take one that has, or add classes to it%s", source->name,
                    clm_split_name(split), origin ? " in " : "", origin ? origin : "",
                    list_filled(source, filled, sizeof filled), other_division(source, ways, division, sizeof division));
}

static clm_status check_ways(const clm_source *source, clm_split split, int ways, size_t classes) {
    if ((size_t)ways <= classes) return check_families(source, split, ways);
    const char *origin = source->ops->split_origin ? source->ops->split_origin(source, split) : NULL;
    if (clm_source_has_groups(source))
        return clm_fail(CLM_E_ARG,
                        "%s: the %s split has no tasks%s%s; give it some by the task split (--task-split A,B,C), or add tasks",
                        source->name, clm_split_name(split), origin ? " in " : "", origin ? origin : "");
    if (!classes) return no_classes(source, split, ways, origin);
    char division[96];
    return clm_fail(CLM_E_ARG, "%s: %d way%s, but the %s split has %zu class%s%s%s; ask for fewer ways or add classes%s",
                    source->name, ways, ways == 1 ? "" : "s", clm_split_name(split), classes, classes == 1 ? "" : "es",
                    origin ? " in " : "", origin ? origin : "", other_division(source, ways, division, sizeof division));
}

/* ", as 3 more have too few: birds, kites, owls", of the other classes of a split with fewer examples than `least`. */
static clm_status list_small(const clm_source *source, clm_split split, uint64_t smallest, size_t least, clm_text *list) {
    enum { NAMED = 3 };
    const size_t classes = source->ops->classes(source, split);
    size_t small = 0, named = 0;
    for (size_t c = 0; c < classes; c++) small += c != smallest && source->ops->examples(source, split, c) < least;
    if (small) clm_text_add(list, ", as %zu more ha%s too few: ", small, small == 1 ? "s" : "ve");
    for (size_t c = 0; c < classes && named < NAMED && small; c++) {
        if (c == smallest || source->ops->examples(source, split, c) >= least) continue;
        char *name = source->ops->class_name(source, split, c);
        if (!name) return CLM_E_MEMORY;
        clm_text_add(list, "%s%s", named++ ? ", " : "", name);
        free(name);
    }
    clm_text_add(list, "%s", small > NAMED ? ", .." : "");
    return list->failed ? CLM_E_MEMORY : CLM_OK;
}

static clm_status check_examples(const clm_source *source, clm_split split, int shots, int query) {
    uint64_t smallest = 0;
    const size_t least = (size_t)shots + (size_t)query;
    source->ops->smallest(source, split, &smallest);
    size_t count = source->ops->examples(source, split, smallest);
    if (least <= count) return CLM_OK;
    clm_text others = {0};
    char *class_name = source->ops->class_name(source, split, smallest);
    clm_status status = class_name ? list_small(source, split, smallest, least, &others) : CLM_E_MEMORY;
    const char *origin = source->ops->class_origin ? source->ops->class_origin(source, split, smallest) : NULL;
    const bool images = !clm_source_has_groups(source) && source->shape.rank == 3;
    const char *things = images ? "images" : "examples", *of = clm_source_has_groups(source) ? "task" : "class";
    if (status == CLM_OK)
        status = clm_fail(CLM_E_ARG,
                          "%s: %d shot%s and %d quer%s need %zu %s a %s, but %s %s has %zu, in the %s split%s%s%s%s; "
                          "ask for fewer, add %s or leave %s out",
                          source->name, shots, shots == 1 ? "" : "s", query, query == 1 ? "y" : "ies", least, things, of, of,
                          class_name, count, clm_split_name(split), origin ? " (" : "", origin ? origin : "", origin ? ")" : "",
                          others.data, clm_source_has_groups(source) ? "rows" : things, others.length ? "them" : "it");
    clm_text_free(&others);
    free(class_name);
    return status;
}

static clm_status check_least(const clm_source *source, const char *what, int least, int most) {
    if (least >= 0 && least <= most) return CLM_OK;
    return clm_fail(CLM_E_ARG, "%s: tasks of %d to %d %s: the least is 1 to %d, or 0 for tasks of one size", source->name,
                    least, most, what, most);
}

clm_status clm_source_check_episode(const clm_source *source, clm_split split, const clm_episode_options *o) {
    if (o->version != CLM_EPISODE_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "episode: options of version %d; initialise them with CLM_EPISODE_OPTIONS_INIT", o->version);
    CLM_TRY(clm_source_check_split(source, split));
    if (o->support_sets < 1 || o->support_sets > 1024)
        return clm_fail(CLM_E_ARG, "%s: %d support sets of a task: 1 to 1024 are possible", source->name, o->support_sets);
    if (o->joint_classes && source->ops->regress)
        return clm_fail(CLM_E_ARG, "%s is a regression problem: it has no classes to train on at once", source->name);
    if (o->joint_classes && clm_source_has_groups(source))
        return clm_fail(CLM_E_ARG, "%s: its tasks are groups of rows: there are no classes of tasks to train on at once",
                        source->name);
    const int shots = o->shots > INT_MAX / o->support_sets ? INT_MAX : o->shots * o->support_sets;
    CLM_TRY(check_counts(source, o->ways, shots, o->query));
    CLM_TRY(check_least(source, "ways", o->ways_least, o->ways));
    if (o->ways_least == 1 && o->ways > 1)
        return clm_fail(CLM_E_ARG, "%s: tasks of 1 to %d ways: with one class there is nothing to tell apart; the least is 2",
                        source->name, o->ways);
    CLM_TRY(check_least(source, "shots", o->shots_least, o->shots));
    if (source->ops->check) return source->ops->check(source, split, o);
    if (source->ops->regress) return CLM_OK;
    const size_t classes = clm_episode_classes(source, split, o);
    CLM_TRY(check_ways(source, split, o->ways_least ? o->ways_least : o->ways, classes));
    const int least = o->shots_least ? o->shots_least * o->support_sets : shots;
    return source->ops->classes(source, split) == SIZE_MAX ? CLM_OK : check_examples(source, split, least, o->query);
}

clm_status clm_source_check(const clm_source *source, clm_split split, int ways, int shots, int query) {
    clm_episode_options o = CLM_EPISODE_OPTIONS_INIT;
    o.ways = ways, o.shots = shots, o.query = query;
    return clm_source_check_episode(source, split, &o);
}
