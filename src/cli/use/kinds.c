/* Models of other things than files of pictures. */
#include "use/kinds.h"

#include <string.h>

#include "config/episodes.h"
#include "config/settings.h"
#include "config/sources.h"

static bool is_beside(const cli_settings *s) { return s->beside[0] != 0; }
/* A path that has no way to prepare pictures; where it leads may be gone. */
static bool is_arrays(const cli_settings *s) { return cli_names_find(&cli_source_names, s->source) < 0; }
static bool is_table(const cli_settings *s) { return strcmp(s->source, "table") == 0; }
static bool is_regression(const cli_settings *s) { return cli_source_of(s->source)->regression; }

/* The first that is so counts. */
static const struct {
    bool (*is)(const cli_settings *settings);
    const char *what;
} kinds[] = {
    {is_beside, "several sources beside one another (--beside), padded to one shape"},
    {is_arrays, "arrays, which are taken as they are"},
    {is_table, "the rows of a table"},
    {is_regression, "functions, a regression"},
};

/* What the program knows of its own runs; "": it is of another program, or says nothing. */
static const char *kind_of(const clm_archive *archive) {
    static cli_settings s;
    clm_train_checkpoint of = {.note = NULL};
    const char *what = "";
    json_t *said = clm_train_read_checkpoint(archive, &of) == CLM_OK ? json_loads(of.note, 0, NULL) : NULL;
    const bool known = said && cli_settings_from_json(&s, said, "") == CLM_OK;
    for (size_t i = 0; i < CLI_COUNT(kinds) && known && !*what; i++)
        if (kinds[i].is(&s)) what = kinds[i].what;
    json_decref(said);
    cli_forget();
    return what;
}

clm_status cli_kinds_check(const clm_archive *archive, const char *name, bool export) {
    cli_episodes episodes;
    clm_preparation p;
    const bool adapted = clm_archive_meta(archive, "clmaml.adapted") != NULL;
    if (cli_episodes_in_archive(archive, &episodes)) return cli_episodes_refuse(&episodes, name);
    if ((export && adapted) || clm_archive_get_preparation(archive, &p) == CLM_OK) return CLM_OK;
    const char *what = kind_of(archive);
    if (adapted)
        return cli_fail(CLM_E_ARG,
                        "%s is an adapted model of other data than files of pictures: Python and C predict with it (clmaml "
                        "help arrays), and "
                        "`clmaml export` writes it for other programs",
                        name);
    if (!*what)
        return cli_fail(
            CLM_E_ARG,
            "%s does not say that it learned from files of pictures: Python and C adapt it to arrays (clmaml help arrays)",
            name);
    if (export)
        return cli_fail(
            CLM_E_ARG,
            "%s learned from %s, and is not adapted: Python and C adapt it to arrays and save what `clmaml export` takes "
            "(clmaml help arrays)",
            name, what);
    return cli_fail(
        CLM_E_ARG,
        "%s learned from %s, and takes no files of pictures: `clmaml eval %s` tests it, Python and C adapt it to arrays "
        "(clmaml help arrays)",
        name, what, cli_pasted(name));
}
