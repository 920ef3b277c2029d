/* --beside: sources of pictures beside that of the run, opened with the run's settings and a size of their own. */
#include "config/beside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "config/setup.h"

/* A source by its name, its place or a model file, as the settings of a run on it. */
static clm_status resolve(cli_settings *one, const char *name) {
    if (cli_names_find(&cli_source_names, name) < 0 && !cli_path_exists(name))
        return cli_usage("--beside: '%s' does not exist; name glyphs, where Omniglot lies, a folder of pictures or a .npz file",
                         name);
    const clm_status status = cli_setup_resolve(one, name);
    return status == CLM_OK ? status : cli_fail_in(status, "--beside");
}

/* What stands behind the colon. */
static clm_status take_size(cli_settings *one, const char *name, const char *size) {
    if (!size) return CLM_OK;
    one->size = strtol(size, NULL, 10);
    if (one->size < 8 || one->size > 512) return cli_usage("--beside %s:%s: the size must be 8 to 512 pixels", name, size);
    return CLM_OK;
}

/* "glyphs:20" as the settings of a run on it alone; `at` moves on to the next one. */
static clm_status take(const cli_settings *s, const char **at, cli_settings *one) {
    char name[CLI_PATH_MAX];
    const char *size = NULL;
    const size_t length = strcspn(*at, ",");
    const bool ends_open = (*at)[length] == ',' && !(*at)[length + 1];
    snprintf(name, sizeof name, "%.*s", (int)length, *at);
    *at += length + ((*at)[length] == ',');
    *one = *s;
    one->source[0] = one->data[0] = one->model[0] = one->beside[0] = 0;
    char *colon = strrchr(name, ':');
    if (colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1)) {
        *colon = 0;
        size = colon + 1;
    }
    if (!name[0] || ends_open) return cli_usage("--beside '%s': a name is empty", s->beside);
    CLI_TRY(resolve(one, name));
    if (strcmp(one->source, "omniglot") == 0 && !one->data[0]) memcpy(one->data, s->data, sizeof one->data);
    if (one->model[0] || !cli_source_takes(cli_source_of(one->source), "beside"))
        return cli_usage("--beside %s: it has no pictures; glyphs, Omniglot, a folder of pictures or a .npz file have", name);
    return take_size(one, name, size);
}

clm_status cli_beside_settle(cli_settings *s) {
    char text[CLI_PATH_MAX] = "";
    size_t used = 0;
    cli_settings sizeless = *s; /* tells which of them have a size of their own */
    sizeless.size = 0;
    for (const char *at = s->beside; *at;) {
        cli_settings one;
        CLI_TRY(take(&sizeless, &at, &one));
        if (one.size && !cli_source_takes(cli_source_of(one.source), "size"))
            return cli_usage("--beside %s:%lld: its pictures are taken as they are; leave out :%lld", one.source,
                             (long long)one.size, (long long)one.size);
        const bool omniglot = strcmp(one.source, "omniglot") == 0 && strcmp(one.data, s->data) != 0;
        if (omniglot) cli_path_make_absolute(one.data);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? "," : "", omniglot ? one.data : one.source);
        if (used < sizeof text && one.size && one.size != s->size)
            used += (size_t)snprintf(text + used, sizeof text - used, ":%lld", (long long)one.size);
        if (used >= sizeof text) return cli_usage("--beside: its paths are too long together");
    }
    memcpy(s->beside, text, sizeof text);
    return CLM_OK;
}

/* The same pictures in the same size. */
static bool is_same(const cli_settings *a, const cli_settings *b) {
    const bool sized = cli_source_takes(cli_source_of(a->source), "size");
    return strcmp(a->source, b->source) == 0 && strcmp(a->data, b->data) == 0 && (!sized || a->size == b->size);
}

clm_status cli_beside_check(const cli_settings *s) {
    cli_settings one, other = *s;
    cli_path_make_absolute(other.data);
    for (const char *at = s->beside; *at;) {
        CLI_TRY(take(s, &at, &one));
        cli_path_make_absolute(one.data);
        if (is_same(&one, &other)) return cli_usage("--beside %s: that is what the run is on already", one.source);
        for (const char *next = at; *next;) {
            cli_settings twin;
            CLI_TRY(take(s, &next, &twin));
            cli_path_make_absolute(twin.data);
            if (is_same(&one, &twin)) return cli_usage("--beside %s: it is named twice", one.source);
        }
    }
    return CLM_OK;
}

/* --data is where Omniglot lies that is named without a path. */
bool cli_beside_takes(const cli_settings *s, const char *option) {
    if (strcmp(option, "beside") == 0) return false;
    for (const char *at = s->beside; *at;) {
        cli_settings one;
        bool found = take(s, &at, &one) == CLM_OK && cli_source_takes(cli_source_of(one.source), option);
        if (strcmp(option, "data") == 0) found = found && strcmp(one.source, "omniglot") == 0 && strcmp(one.data, s->data) == 0;
        cli_forget();
        if (found) return true;
    }
    return false;
}

clm_status cli_beside_open(clm_source **source, const cli_settings *s) {
    clm_source *all[CLM_BESIDE_MOST] = {*source}, *together = NULL;
    size_t n = 1;
    clm_status status = CLM_OK;
    if (!s->beside[0]) return CLM_OK;
    for (const char *at = s->beside; *at; n++) {
        cli_settings one;
        if (n == CLM_BESIDE_MOST) CLI_GOTO(cli_usage("--beside: more than %d sources", CLM_BESIDE_MOST - 1));
        CLI_GOTO(take(s, &at, &one));
        status = cli_source_of(one.source)->open(&all[n], &one);
        if (status != CLM_OK) CLI_GOTO(cli_fail_in(status, "--beside"));
    }
    status = clm_source_beside(&together, all, n);
    if (status == CLM_E_ARG) CLI_GOTO(cli_usage("--%s", cli_message()));
    if (status != CLM_OK) goto out;
    *source = together;
    return CLM_OK;
out:
    for (size_t i = 1; i < CLM_BESIDE_MOST; i++) clm_source_free(all[i]);
    return status;
}
