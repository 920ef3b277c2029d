/* Checkpoints as the program reads them: the settings of their run are what it gave the trainer for a note. */
#include "config/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ranks.h"
#include "base/system.h"
#include "config/episodes.h"

/* The newest of a run directory that is whole; "": there is none. */
static void newest_whole(char *path, const char *run) {
    clm_archive *archive;
    if (clm_train_checkpoint_path(path, CLI_PATH_MAX, run, CLM_RANK_NEWEST) != CLM_OK || !cli_path_exists(path) ||
        clm_archive_load(&archive, path) != CLM_OK) {
        path[0] = 0;
        return;
    }
    clm_archive_free(archive);
}

/* What validation chose, or the last, is not as the run saved it: it is taken where it is named itself alone. Where the best is missing the
 * newest is taken, with a note. */
static clm_status check_own(const char *path, const char *run, int rank) {
    char reason[CLI_PATH_MAX + 128], newest[CLI_PATH_MAX];
    if (clm_train_check_best(run, rank) == CLM_OK) return CLM_OK;
    snprintf(reason, sizeof reason, "%s", cli_message());
    newest_whole(newest, run);
    const bool other = newest[0] && strcmp(newest, path) != 0;
    if (cli_path_exists(path))
        return cli_fail(CLM_E_FORMAT, "%s%s%s", reason, other ? "; name the checkpoint itself, such as " : "",
                        other ? newest : "");
    if (other && rank == 0 && cli_ranks_lead()) cli_note("%s; %s is taken", reason, newest);
    return CLM_OK;
}

clm_status cli_checkpoint_find(char *path, size_t size, const char *run, bool last) {
    const int rank = last ? CLM_RANK_LAST : 0;
    if (!cli_path_exists(run)) return cli_fail(CLM_E_IO, "%s does not exist; give a run directory or a checkpoint", run);
    if (!cli_is_directory(run)) {
        if (snprintf(path, size, "%s", run) < (int)size) return CLM_OK;
        return cli_fail(CLM_E_LIMIT, "'%.40s..' is too long a name", run);
    }
    CLI_TRY(clm_train_checkpoint_path(path, size, run, rank));
    CLI_TRY(check_own(path, run, rank));
    if (cli_path_exists(path)) return CLM_OK;
    if (last) return cli_checkpoint_none(run);
    char of_last[CLI_PATH_MAX];
    CLI_TRY(clm_train_checkpoint_path(of_last, sizeof of_last, run, CLM_RANK_LAST));
    CLI_TRY(clm_train_checkpoint_path(path, size, run, CLM_RANK_NEWEST)); /* a run without validation classes has no best */
    if (!cli_path_exists(path)) return cli_checkpoint_none(run);
    if (strcmp(path, of_last) != 0 && cli_ranks_lead())
        cli_note("%s has neither its best nor its last checkpoint; %s is taken", run, path);
    return CLM_OK;
}

static clm_status refuse_denied(const char *directory) {
    return cli_fail(CLM_E_IO, "%s may not be looked into: permission denied; ask whose it is (ls -ld)", directory);
}

clm_status cli_run_none(const char *directory, const char *config) {
    if (cli_path_is_denied(config)) return refuse_denied(directory);
    return cli_fail(CLM_E_FORMAT, "%s holds no run: there is no %s", directory, config);
}

clm_status cli_checkpoint_none(const char *directory) {
    char newest[CLI_PATH_MAX];
    if (clm_train_checkpoint_path(newest, sizeof newest, directory, CLM_RANK_LAST) == CLM_OK && cli_path_is_denied(newest))
        return refuse_denied(directory);
    newest_whole(newest, directory);
    if (newest[0])
        return cli_fail(CLM_E_IO, "%s holds no checkpoints/last.safetensors; name another checkpoint, such as %s", directory,
                        newest);
    return cli_fail(CLM_E_IO,
                    "%s holds no checkpoint (checkpoints/best.safetensors or last); `clmaml runs` lists the runs that "
                    "there are",
                    directory);
}

clm_status cli_model_load(clm_archive **archive, const char *path, const char *wanted) {
    const clm_status status = clm_archive_load(archive, path);
    if (status != CLM_E_FORMAT || !strstr(cli_message(), "not a safetensors file")) return status;
    return cli_fail(status, "%s is not a safetensors file, as models are; give %s", path, wanted);
}

static const char a_run[] = "a run directory or a checkpoint of `clmaml train`";

/* An archive of another kind: what it is, and what to give. */
static clm_status refuse(const clm_archive *archive, const char *path) {
    if (clm_archive_meta(archive, "clmaml.adapted"))
        return cli_usage("%s is an adapted model; give the run that it was made from", path);
    if (clm_archive_meta(archive, "clmaml.config")) return cli_fail_in(CLM_E_FORMAT, "%s", path);
    return cli_fail(CLM_E_FORMAT, "%s lacks the settings of a run; give %s", path, a_run);
}

static clm_status read_all(cli_checkpoint *c, const char *path) {
    clm_train_checkpoint said;
    memset(c, 0, sizeof *c);
    CLI_TRY(cli_model_load(&c->archive, path, a_run));
    cli_episodes episodes;
    if (cli_episodes_in_archive(c->archive, &episodes)) return cli_episodes_refuse(&episodes, path);
    clm_status status = clm_train_read_checkpoint(c->archive, &said);
    if (status != CLM_OK) return refuse(c->archive, path);
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

clm_status cli_checkpoint_load(cli_checkpoint *c, const char *path) {
    const clm_status status = read_all(c, path);
    if (status != CLM_OK) cli_checkpoint_close(c);
    return status;
}

void cli_checkpoint_note_data(const cli_checkpoint *c, const clm_source *source, const char *run) {
    char text[2048];
    if (*clm_train_data_changed(c->archive, source, text, sizeof text)) cli_note("%s: %s", run, text);
}

bool cli_checkpoint_progress(const char *run, long long *iteration, long long *planned) {
    char path[CLI_PATH_MAX];
    clm_archive *archive = NULL;
    clm_train_checkpoint said;
    const bool read = clm_train_checkpoint_path(path, sizeof path, run, CLM_RANK_LAST) == CLM_OK && cli_path_exists(path) &&
                      clm_archive_load(&archive, path) == CLM_OK;
    const char *reached = read ? clm_archive_meta(archive, "clmaml.iteration") : NULL;
    *iteration = reached ? strtoll(reached, NULL, 10) : 0;
    *planned = 0;
    if (read && clm_train_read_checkpoint(archive, &said) == CLM_OK) {
        json_t *settings = json_loads(said.note, 0, NULL);
        *planned = json_integer_value(json_object_get(settings, "iterations"));
        json_decref(settings);
    }
    clm_archive_free(archive);
    return read;
}

void cli_checkpoint_note_unfinished(const char *run) {
    long long iteration, planned;
    if (!cli_is_directory(run) || !cli_checkpoint_progress(run, &iteration, &planned) || iteration >= planned) return;
    if (cli_directory_is_used(run))
        cli_note("%s: it is being trained; its last checkpoint is of iteration %lld of %lld", run, iteration, planned);
    else
        cli_note("%s: its training is at iteration %lld of %lld; it goes on with: clmaml train --resume --run %s", run,
                 iteration, planned, cli_pasted(run));
}

clm_status cli_checkpoint_params(const cli_checkpoint *c, const char *path, int initialisation, clm_params *params) {
    clm_status status = clm_params_load_of(params, c->archive, initialisation);
    if (status == CLM_OK && c->settings.average > 0) status = clm_params_load_average_of(params, c->archive, initialisation);
    if (status != CLM_OK && !strstr(cli_message(), path)) return cli_fail_in(status, "%s", path);
    return status;
}
