/* Names of run directories, and what --resume finds in one. */
#include "train/run.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/system.h"
#include "config/checkpoint.h"
#include "config/episodes.h"
#include "config/sources.h"

clm_status cli_run_make_name(char *path, const char *base) {
    char stamp[32] = "";
    time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local)) strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
    bool claimed = false;
    CLI_TRY(cli_directory_make("runs"));
    for (int attempt = 1; !claimed; attempt++) {
        char name[256], suffix[16] = "";
        if (attempt > 1) snprintf(suffix, sizeof suffix, "-%d", attempt);
        snprintf(name, sizeof name, "%.140s-%s%s", base, stamp, suffix);
        CLI_TRY(cli_path(path, "runs", name));
        CLI_TRY(cli_directory_claim(path, &claimed));
    }
    return CLM_OK;
}

clm_status cli_run_default_name(char *path, const cli_settings *s) {
    const char *base = strrchr(s->source, '/') ? strrchr(s->source, '/') + 1 : s->source;
    char name[192], task[48] = "";
    if (!cli_source_of(s->source)->regression)
        snprintf(task, sizeof task, "-%.20sw%.20ss", cli_range_text(s->ways_least, s->ways).s,
                 cli_range_text(s->shots_least, s->shots).s);
    snprintf(name, sizeof name, "%.80s%s", *base ? base : "folder", task);
    return cli_run_make_name(path, name);
}

/* "go on with it: ..", as what the run is of says. */
static void next_of(const char *config, const char *directory, char *text, size_t size) {
    cli_episodes episodes;
    json_t *root = cli_json_load(config);
    if (root && cli_episodes_in_config(root, &episodes))
        cli_episodes_next(&episodes, directory, text, size);
    else
        snprintf(text, size, "go on with it: clmaml train --resume --run %s", cli_pasted(directory));
    json_decref(root);
    cli_forget();
}

clm_status cli_run_check_new(const char *directory) {
    char config[CLI_PATH_MAX], next[CLI_PATH_MAX + 160];
    clm_status status = clm_train_check_directory(directory);
    if (status != CLM_E_STATE || cli_path(config, directory, "config.json") != CLM_OK || !cli_path_exists(config))
        return status;
    next_of(config, directory, next, sizeof next);
    if (cli_directory_is_used(directory))
        return cli_fail(status, "%s holds a run, which another process is training: choose another --run", directory);
    return cli_fail(status, "%s holds a run already: choose another --run, or %s", directory, next);
}

static clm_status from_config(const char *path, const char *directory, cli_settings *settings) {
    cli_episodes episodes;
    json_t *root = cli_json_load(path);
    if (!root) return CLM_E_FORMAT;
    const json_t *said = json_object_get(root, "settings");
    clm_status status = CLM_OK;
    if (cli_episodes_in_config(root, &episodes))
        status = cli_episodes_refuse(&episodes, directory);
    else if (json_is_null(said))
        status = cli_fail(
            CLM_E_STATE, "%s was begun by a program of one's own, which goes on with it (clm_train_options.resume)", directory);
    else
        status = cli_settings_from_json(settings, said, path);
    json_decref(root);
    return status;
}

/* Those of config.json, or, where that is lost, of the newest checkpoint, which has them too: the trainer says so. */
clm_status cli_run_load_settings(const char *directory, cli_settings *settings) {
    char path[CLI_PATH_MAX], newest[CLI_PATH_MAX], reason[CLI_PATH_MAX + 128];
    cli_checkpoint checkpoint = {0};
    CLI_TRY(cli_path(path, directory, "config.json"));
    clm_status status = cli_path_exists(path) ? from_config(path, directory, settings) : cli_run_none(directory, path);
    if (status != CLM_E_FORMAT) return status;
    snprintf(reason, sizeof reason, "%s", cli_message());
    CLI_TRY(clm_train_checkpoint_path(newest, sizeof newest, directory, CLM_RANK_NEWEST));
    if (cli_path_exists(newest) && cli_checkpoint_load(&checkpoint, newest) == CLM_OK) {
        *settings = checkpoint.settings;
        cli_checkpoint_close(&checkpoint);
        cli_forget();
        return CLM_OK;
    }
    return cli_fail(status, "%s", reason);
}
