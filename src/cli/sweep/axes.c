/* What varies: lists of a grid, ranges that are drawn from; and the list of runs that comes of them. The options of the grid change
 * from run to run like the digits of a number, the last one fastest; every point of it is tried with all draws. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweep/sweep.h"

static clm_status add_varying(sweep *s, const char *where, const char *key) {
    if (json_object_get(s->options, key))
        return sweep_refuse(s, where, "\"%s\" is in \"options\" as well; keep one of them", key);
    for (size_t i = 0; i < s->n_varying; i++)
        if (strcmp(s->varying[i], key) == 0)
            return sweep_refuse(s, where, "\"%s\" is in \"grid\" as well; keep one of them", key);
    if (s->n_varying == SWEEP_VARYING_MOST)
        return sweep_refuse(s, where, "\"%s\" is one too many: at most %d options vary", key, SWEEP_VARYING_MOST);
    s->varying[s->n_varying++] = key;
    return CLM_OK;
}

static clm_status check_list(const sweep *s, const char *where, const cli_option *option, const json_t *list) {
    size_t i;
    json_t *value;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return sweep_refuse(s, where, "\"%s\" is a list of values: [1, 5]", option->name);
    json_array_foreach(list, i, value) CLI_TRY(sweep_check_value(s, where, option, value));
    return CLM_OK;
}

static clm_status read_grid(sweep *s, size_t *points) {
    const json_t *grid = json_object_get(s->file, "grid");
    const char *key;
    json_t *list;
    *points = 1;
    if (!grid) return CLM_OK;
    if (!json_is_object(grid) || json_object_size(grid) == 0)
        return sweep_refuse(s, "grid", "options of train with lists of values are wanted here: {\"steps\": [1, 5], ..}");
    json_object_foreach((json_t *)grid, key, list) {
        const cli_option *option = NULL;
        CLI_TRY(sweep_option(s, "grid", key, &option));
        CLI_TRY(check_list(s, "grid", option, list));
        CLI_TRY(add_varying(s, "grid", key));
        *points *= json_array_size(list);
        if (*points > SWEEP_RUNS_MOST) return sweep_refuse(s, "grid", "more than %d runs", SWEEP_RUNS_MOST);
    }
    return CLM_OK;
}

/* ---- ranges ---- */

static clm_status check_ends(const sweep *s, const cli_option *option, const char *word, const json_t *ends) {
    static const char where[] = "random.ranges";
    const json_t *a = json_array_get(ends, 0), *b = json_array_get(ends, 1);
    if (json_array_size(ends) != 2 || !json_is_number(a) || !json_is_number(b) || json_number_value(a) >= json_number_value(b))
        return sweep_refuse(s, where, "\"%s\": \"%s\" is [LEAST, MOST], two numbers", option->name, word);
    if (strcmp(word, "log-uniform") == 0 && json_number_value(a) <= 0)
        return sweep_refuse(s, where, "\"%s\": \"log-uniform\" begins above 0", option->name);
    CLI_TRY(sweep_check_value(s, where, option, a));
    return sweep_check_value(s, where, option, b);
}

static clm_status check_range(const sweep *s, const cli_option *option, const json_t *range) {
    static const char *const words[] = {"uniform", "log-uniform"};
    static const char where[] = "random.ranges";
    char inside[128];
    if (json_is_array(range)) return check_list(s, where, option, range);
    if (option->kind != CLI_INT && option->kind != CLI_REAL)
        return sweep_refuse(s, where, "\"%s\" is no number; give a list to draw from", option->name);
    snprintf(inside, sizeof inside, "%s.%s", where, option->name);
    CLI_TRY(sweep_check_keys(s, range, inside, words, CLI_COUNT(words)));
    if (json_object_size(range) != 1)
        return sweep_refuse(s, inside, "give one of \"uniform\" and \"log-uniform\", or a list to draw from");
    for (size_t i = 0; i < CLI_COUNT(words); i++) {
        const json_t *ends = json_object_get(range, words[i]);
        if (ends) CLI_TRY(check_ends(s, option, words[i], ends));
    }
    return CLM_OK;
}

static clm_status read_random(sweep *s, int64_t *draws, int64_t *seed) {
    static const char *const keys[] = {"draws", "seed", "ranges"};
    const json_t *random = json_object_get(s->file, "random"), *ranges = json_object_get(random, "ranges");
    const char *key;
    json_t *range;
    *draws = 1;
    if (!random) return CLM_OK;
    CLI_TRY(sweep_check_keys(s, random, "random", keys, CLI_COUNT(keys)));
    CLI_TRY(sweep_number(s, random, "random", "draws", 1, SWEEP_RUNS_MOST, draws));
    CLI_TRY(sweep_number(s, random, "random", "seed", 0, INT64_C(9007199254740991), seed));
    if (!json_is_object(ranges) || json_object_size(ranges) == 0)
        return sweep_refuse(s, "random", "\"ranges\" is wanted: {\"outer-lr\": {\"log-uniform\": [0.0001, 0.01]}, ..}");
    json_object_foreach((json_t *)ranges, key, range) {
        const cli_option *option = NULL;
        CLI_TRY(sweep_option(s, "random.ranges", key, &option));
        CLI_TRY(check_range(s, option, range));
        CLI_TRY(add_varying(s, "random.ranges", key));
    }
    return CLM_OK;
}

/* ---- runs ---- */

static clm_status set(json_t *object, const char *key, json_t *value) {
    return json_object_set_new(object, key, value) == 0 ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

static clm_status fill_settings(const sweep *s, sweep_run *run, size_t point, uint64_t draw, uint64_t seed) {
    const json_t *grid = json_object_get(s->file, "grid"),
                 *ranges = json_object_get(json_object_get(s->file, "random"), "ranges");
    size_t below = 1; /* points that the options behind this one have */
    const char *key;
    json_t *values;
    if (!(run->settings = json_object())) return cli_fail(CLM_E_MEMORY, "out of memory");
    json_object_foreach((json_t *)grid, key, values) below *= json_array_size(values);
    json_object_foreach((json_t *)grid, key, values) {
        below /= json_array_size(values);
        CLI_TRY(set(run->settings, key, json_incref(json_array_get(values, point / below % json_array_size(values)))));
    }
    json_object_foreach((json_t *)ranges, key, values) {
        const cli_option *option = NULL;
        json_t *value = NULL;
        CLI_TRY(sweep_option(s, "random.ranges", key, &option));
        CLI_TRY(sweep_draw(&value, option, values, seed, draw));
        CLI_TRY(set(run->settings, key, value));
    }
    return CLM_OK;
}

/* "07_outer-lr=0.001_steps=5": what a shell and a file system take without more ado. */
static void make_name(const sweep *s, sweep_run *run, size_t number) {
    int digits = 2;
    for (size_t n = s->n_runs; n >= 100; n /= 10) digits++;
    int used = snprintf(run->name, sizeof run->name, "%0*zu", digits, number);
    for (size_t i = 0; i < s->n_varying && used < (int)sizeof run->name; i++) {
        char text[CLI_PATH_MAX];
        sweep_value_text(json_object_get(run->settings, s->varying[i]), text, sizeof text);
        used += snprintf(run->name + used, sizeof run->name - (size_t)used, "_%s=%.40s", s->varying[i], *text ? text : "no");
    }
    for (char *c = run->name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_=.+-", *c)) *c = '-';
}

clm_status sweep_expand(sweep *s) {
    size_t points = 1;
    int64_t draws = 1, seed = 0;
    clm_status status = CLM_OK;
    CLI_TRY(read_grid(s, &points));
    CLI_TRY(read_random(s, &draws, &seed));
    if (s->n_varying == 0) return sweep_refuse(s, "", "nothing varies: give \"grid\" or \"random\"");
    if (points * (size_t)draws > SWEEP_RUNS_MOST) return sweep_refuse(s, "", "more than %d runs", SWEEP_RUNS_MOST);
    CLI_NEW(s->runs, points * (size_t)draws);
    s->n_runs = points * (size_t)draws;
    for (size_t i = 0; i < s->n_runs; i++) {
        CLI_GOTO(fill_settings(s, &s->runs[i], i / (size_t)draws, (uint64_t)(i % (size_t)draws), (uint64_t)seed));
        make_name(s, &s->runs[i], i + 1);
    }
out:
    return status;
}
