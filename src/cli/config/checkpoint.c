/* Checkpoints as the program reads them: the settings of their run are what it gave the trainer for a note. */
#include "config/checkpoint.h"

#include <string.h>

clm_status cli_checkpoint_load(cli_checkpoint *c, const char *path) {
    clm_train_checkpoint said;
    memset(c, 0, sizeof *c);
    CLI_TRY(clm_archive_load(&c->archive, path));
    clm_status status = clm_train_read_checkpoint(c->archive, &said);
    if (status != CLM_OK) return cli_fail_in(status, "%s", path);
    json_t *settings = json_loads(said.note, 0, NULL);
    status = cli_settings_from_json(&c->settings, settings, path);
    json_decref(settings);
    c->model = said.model;
    c->iteration = said.iteration;
    return status;
}

void cli_checkpoint_close(cli_checkpoint *c) {
    clm_archive_free(c->archive);
    c->archive = NULL;
}

clm_status cli_checkpoint_params(const cli_checkpoint *c, const char *path, clm_params *params) {
    clm_status status = clm_params_load(params, c->archive);
    if (status == CLM_OK && c->settings.average > 0) status = clm_params_load_average(params, c->archive);
    if (status != CLM_OK && !strstr(cli_message(), path)) return cli_fail_in(status, "%s", path);
    return status;
}
