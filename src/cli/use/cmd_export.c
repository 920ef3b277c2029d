/* `clmaml export`: an adapted model in the format of another program. */
#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "base/options.h"
#include "base/system.h"

typedef struct export_settings {
    char format[CLI_PATH_MAX], out[CLI_PATH_MAX], name[CLI_PATH_MAX];
} export_settings;

#define AT(field) offsetof(export_settings, field)

static const cli_names formats = {clm_export_format_count, clm_export_format_name, clm_export_format_summary};

static const cli_option options[] = {
    {"Options", "format", CLI_NAME, 0, AT(format), 1, 0, &formats, "what to write"},
    {NULL, "out", CLI_TEXT, 0, AT(out), 0, 0, "FILE", "where it goes; an older one is replaced"},
    {NULL, "name", CLI_TEXT, 0, AT(name), 0, 0, "NAME",
     "what names in C begin with, NAME_predict; and the name of the ONNX graph"},
    {.name = NULL},
};
static const export_settings defaults = {.name = "model"};

static clm_status export_model(const cli_args *args, clm_archive **archive) {
    const export_settings *s = args->settings;
    clm_export_options o = CLM_EXPORT_OPTIONS_INIT;
    char names[256];
    cli_names_join(&formats, "|", names, sizeof names);
    if (args->n_positional == 0) return cli_usage("say what to export: clmaml export ADAPTED --format %s --out FILE", names);
    if (!s->format[0]) return cli_usage("give --format %s", names);
    if (!s->out[0]) return cli_usage("give --out FILE, where the model goes");
    if (cli_is_directory(s->out)) return cli_usage("--out %s is a directory", s->out);
    if (cli_is_directory(args->positional[0]))
        return cli_usage("%s is a run: adapt it to classes first, with clmaml adapt, and export the file that it writes",
                         args->positional[0]);
    if (cli_is_same_file(s->out, args->positional[0]))
        return cli_usage("--out %s is the adapted model itself; give another name", s->out);
    o.name = s->name;
    CLI_TRY(clm_archive_load(archive, args->positional[0]));
    const clm_status status = clm_export(*archive, s->format, s->out, &o);
    if (status != CLM_OK && !strstr(cli_message(), args->positional[0])) return cli_fail_in(status, "%s", args->positional[0]);
    if (status == CLM_OK) printf("%s: %s\n", s->out, s->format);
    return status;
}

static int run_export(cli_args *args) {
    clm_archive *archive = NULL;
    const int exit_status = cli_exit(export_model(args, &archive));
    clm_archive_free(archive);
    return exit_status;
}

const cli_command cli_export = {
    .name = "export",
    .synopsis = "ADAPTED --format FORMAT --out FILE [--option value ..]",
    .summary = "write an adapted model for another program",
    .details =
        "Takes a model that `clmaml adapt` wrote. What is written computes the scores of `clmaml predict` from pictures that "
        "are prepared in the same way; how is said in the file.",
    .options = options,
    .settings_size = sizeof(export_settings),
    .defaults = &defaults,
    .max_positional = 1,
    .run = run_export,
};
