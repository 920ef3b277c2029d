/* --init: weights that another program has trained, taken over before training begins. */
#include "config/initial.h"

#include <stdio.h>
#include <string.h>

#include "base/system.h"
#include "config/checkpoint.h"

static bool goes_on(const cli_settings *s) {
    char path[CLI_PATH_MAX];
    return s->resume && clm_train_checkpoint_path(path, sizeof path, s->run, CLM_RANK_NEWEST) == CLM_OK &&
           cli_path_exists(path);
}

static void tell(const cli_settings *s, const clm_import_report *r) {
    cli_note("%s: %zu arrays taken%s%s%s%s", s->init, r->taken, r->prefix[0] ? ", without \"" : "", r->prefix,
             r->prefix[0] ? "\" before their names" : "", s->init_head ? "; the last layer is new" : "");
    if (r->statistics)
        cli_note("%s: %zu running statistics are not used: batch-norm takes those of the tasks", s->init, r->statistics);
    if (r->unused_count) cli_note("%s: not used: %s", s->init, r->unused);
}

static clm_status import(clm_params *params, const cli_settings *s) {
    clm_archive *archive = NULL;
    clm_import_report report;
    char path[CLI_PATH_MAX];
    snprintf(path, sizeof path, "%s", s->init);
    if (cli_is_directory(s->init)) CLI_TRY(cli_checkpoint_find(path, sizeof path, s->init, false));
    clm_status status = cli_model_load(&archive, path, "weights in a .safetensors file, or a run");
    if (status == CLM_OK) status = clm_params_import(params, archive, s->init_head, &report);
    if (status == CLM_OK)
        tell(s, &report);
    else if (!strstr(cli_message(), s->init))
        status = cli_fail_in(status, "%s", s->init);
    clm_archive_free(archive);
    return status;
}

clm_status cli_initial_params(clm_params *params, const cli_settings *s) {
    if (s->init_head && !s->init[0]) return cli_usage("--init-head new says which weights of --init FILE to leave; give both");
    if (s->init_head && strcmp(s->algorithm, "protonet") == 0)
        return cli_usage("--init-head new: --algorithm protonet has no last layer; leave it out");
    CLI_TRY(clm_params_reset(params, (uint64_t)s->seed));
    return s->init[0] && !goes_on(s) ? import(params, s) : CLM_OK;
}
