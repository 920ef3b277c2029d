/* The file of a sweep: what it may hold, and what is wrong with it. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings.h"
#include "sweep/sweep.h"

clm_status(sweep_refuse)(const sweep *s, const char *where, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cli_forget(); /* the file is at fault, not the command line */
    return cli_fail(CLM_E_FORMAT, "%s: %s%s%s", s->path, where, *where ? ": " : "", text);
}

clm_status sweep_check_keys(const sweep *s, const json_t *object, const char *where, const char *const *names, size_t n) {
    const char *key;
    json_t *value;
    if (!json_is_object(object)) return sweep_refuse(s, where, "an object is wanted here: {\"%s\": ..}", names[0]);
    json_object_foreach((json_t *)object, key, value) {
        bool known = false;
        char list[256] = "";
        size_t used = 0;
        for (size_t i = 0; i < n; i++) {
            known = known || strcmp(names[i], key) == 0;
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
        }
        if (!known) return sweep_refuse(s, where, "unknown key \"%s\"; what may stand there: %s", key, list);
    }
    return CLM_OK;
}

clm_status sweep_number(const sweep *s, const json_t *object, const char *where, const char *key, int64_t least, int64_t most,
                        int64_t *out) {
    const json_t *value = json_object_get(object, key);
    if (!value) return sweep_refuse(s, where, "\"%s\" is missing, a whole number from %lld on", key, (long long)least);
    *out = json_integer_value(value);
    if (json_is_integer(value) && *out >= least && *out <= most) return CLM_OK;
    return sweep_refuse(s, where, "\"%s\" is no whole number from %lld to %lld", key, (long long)least, (long long)most);
}

/* ---- options and their values ---- */

/* Options that a sweep settles. */
static const char *const settled[][2] = {
    {"run", "the sweep names the directories of its runs; --out says where they are"},
    {"resume", "the same command again goes on with a sweep"},
    {"stop-after", "\"halving\" says when runs are stopped"},
};

clm_status sweep_option(const sweep *s, const char *where, const char *key, const cli_option **out) {
    const char *names[CLI_MAX_OPTIONS];
    const size_t n = cli_option_count(cli_settings_options);
    const int row = cli_settings_row(key);
    for (size_t i = 0; i < n; i++) names[i] = cli_settings_options[i].name;
    for (size_t i = 0; i < CLI_COUNT(settled); i++)
        if (strcmp(settled[i][0], key) == 0) return sweep_refuse(s, where, "no \"%s\" here: %s", key, settled[i][1]);
    if (s->factor && strcmp(key, "iterations") == 0)
        return sweep_refuse(s, where, "no \"iterations\" beside \"halving\", whose \"first\" and \"total\" say how many");
    if (row >= 0) {
        *out = &cli_settings_options[row];
        return CLM_OK;
    }
    const char *nearest = clm_nearest_word(key, names, n);
    return sweep_refuse(s, where, "train has no option \"%s\"%s%s%s (clmaml train --help lists all)", key,
                        nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

void sweep_value_text(const json_t *value, char *text, size_t size) {
    text[0] = 0;
    if (json_is_string(value)) snprintf(text, size, "%s", json_string_value(value));
    if (json_is_integer(value)) snprintf(text, size, "%lld", (long long)json_integer_value(value));
    if (json_is_true(value)) snprintf(text, size, "yes");
    for (int digits = 6; json_is_real(value) && digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, json_real_value(value));
        if (strtod(text, NULL) == json_real_value(value)) break;
    }
}

clm_status sweep_check_value(const sweep *s, const char *where, const cli_option *option, const json_t *value) {
    char text[CLI_PATH_MAX + 64], message[1024];
    if (option->kind == CLI_FLAG && !json_is_boolean(value))
        return sweep_refuse(s, where, "\"%s\" is true or false", option->name);
    if (option->kind == CLI_FLAG) return CLM_OK;
    if (!json_is_string(value) && !json_is_number(value))
        return sweep_refuse(s, where, "\"%s\" is a number or a text; a list of numbers is a text such as \"0.9,0.999\"",
                            option->name);
    sweep_value_text(value, text, sizeof text);
    if (!*text) return CLM_OK; /* as if it were left out */
    cli_settings *scratch = calloc(1, sizeof *scratch);
    if (!scratch) return cli_fail(CLM_E_MEMORY, "out of memory");
    const clm_status status = cli_option_set(option, scratch, text);
    free(scratch);
    if (status == CLM_OK) return CLM_OK;
    snprintf(message, sizeof message, "%s", cli_message());
    return sweep_refuse(s, where, "%s", message);
}

/* ---- the parts of the file ---- */

static clm_status read_subject(sweep *s) {
    const json_t *train = json_object_get(s->file, "train");
    const size_t n = json_is_array(train) ? json_array_size(train) : 1;
    if (!train) return CLM_OK; /* a preset may say it */
    for (size_t i = 0; i < n && i < CLI_COUNT(s->subject); i++)
        s->subject[i] = json_string_value(json_is_array(train) ? json_array_get(train, i) : train);
    if (n == 0 || n > CLI_COUNT(s->subject) || !s->subject[0] || !*s->subject[0] || (n == 2 && !s->subject[1]))
        return sweep_refuse(s, "train", "what to train on is a text such as \"omniglot\", or [\"table\", \"FILE\"]");
    if (strcmp(s->subject[0], "navigation") == 0)
        return sweep_refuse(s, "train", "navigation has options of its own, and no sweep");
    return CLM_OK;
}

static clm_status read_halving(sweep *s) {
    static const char *const keys[] = {"factor", "first", "total"};
    const json_t *halving = json_object_get(s->file, "halving");
    int64_t first = 0, total = 0;
    s->rounds = 1;
    if (!halving) return CLM_OK;
    CLI_TRY(sweep_check_keys(s, halving, "halving", keys, CLI_COUNT(keys)));
    CLI_TRY(sweep_number(s, halving, "halving", "factor", 2, 1000, &s->factor));
    CLI_TRY(sweep_number(s, halving, "halving", "first", 1, INT32_MAX, &first));
    CLI_TRY(sweep_number(s, halving, "halving", "total", 1, INT32_MAX, &total));
    if (total <= first)
        return sweep_refuse(s, "halving",
                            "\"total\" %lld, the iterations of a run that gets to the end, is not more than \"first\" %lld",
                            (long long)total, (long long)first);
    s->target[0] = first;
    for (; s->target[s->rounds - 1] < total && s->rounds < SWEEP_ROUNDS_MOST; s->rounds++) {
        const int64_t next = s->target[s->rounds - 1] * s->factor;
        s->target[s->rounds] = next < total ? next : total;
    }
    if (s->target[s->rounds - 1] < total)
        return sweep_refuse(s, "halving", "from \"first\" to \"total\" there are more than %d rounds", SWEEP_ROUNDS_MOST);
    /* As near as may be to train's twenty validations, and one of them as the first round ends. */
    int64_t parts = total / 20 > 0 ? (first + total / 40) / (total / 20) : first;
    if (parts < 1) parts = 1;
    while (first % parts) parts--;
    s->val_every = json_object_get(s->options, "val-every") ? 0 : first / parts;
    return CLM_OK;
}

static clm_status read_options(sweep *s) {
    const char *key;
    json_t *value;
    if (s->options && !json_is_object(s->options))
        return sweep_refuse(s, "options", "options of train with their values are wanted here: {\"ways\": 5, ..}");
    json_object_foreach((json_t *)s->options, key, value) {
        const cli_option *option = NULL;
        CLI_TRY(sweep_option(s, "options", key, &option));
        CLI_TRY(sweep_check_value(s, "options", option, value));
    }
    return CLM_OK;
}

static clm_status read_judge(sweep *s) {
    const json_t *judge = json_object_get(s->file, "judge");
    const char *word = json_string_value(judge);
    s->by_last = word && strcmp(word, "last") == 0;
    if (!judge || s->by_last || (word && strcmp(word, "best") == 0)) return CLM_OK;
    return sweep_refuse(s, "judge", "\"best\" or \"last\": which of a run's validation scores counts");
}

clm_status sweep_read(sweep *s, const char *path, const char *text) {
    static const char *const keys[] = {"train", "options", "grid", "random", "halving", "judge"};
    json_error_t error;
    s->path = path;
    s->file = json_loads(text + (strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0), JSON_REJECT_DUPLICATES, &error);
    if (!s->file) return cli_fail(CLM_E_FORMAT, "%s: line %d: %s", path, error.line, error.text);
    s->options = json_object_get(s->file, "options");
    CLI_TRY(sweep_check_keys(s, s->file, "", keys, CLI_COUNT(keys)));
    CLI_TRY(read_subject(s));
    CLI_TRY(read_halving(s));
    CLI_TRY(read_options(s));
    CLI_TRY(read_judge(s));
    if (!s->subject[0] && !json_object_get(s->options, "preset"))
        return sweep_refuse(s, "", "say what to train on: \"train\": \"sine\", or a \"preset\" in \"options\"");
    return sweep_expand(s);
}

void sweep_close(sweep *s) {
    for (size_t i = 0; i < s->n_runs && s->runs; i++) json_decref(s->runs[i].settings);
    free(s->runs);
    json_decref(s->file);
    memset(s, 0, sizeof *s);
}
