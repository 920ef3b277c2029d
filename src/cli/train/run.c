/* Names of run directories, and what --resume finds in one. */
#include "train/run.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/system.h"
#include "config/sources.h"

clm_status cli_run_default_name(char *path, const cli_settings *s) {
    char stamp[32] = "";
    const char *base = strrchr(s->source, '/') ? strrchr(s->source, '/') + 1 : s->source;
    time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local)) strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
    bool claimed = false;
    CLI_TRY(cli_directory_make("runs"));
    for (int attempt = 1; !claimed; attempt++) {
        char name[256], suffix[16] = "", task[48] = "";
        if (attempt > 1) snprintf(suffix, sizeof suffix, "-%d", attempt);
        if (!cli_source_of(s->source)->regression)
            snprintf(task, sizeof task, "-%lldw%llds", (long long)s->ways, (long long)s->shots);
        snprintf(name, sizeof name, "%.80s%s-%s%s", *base ? base : "folder", task, stamp, suffix);
        CLI_TRY(cli_path(path, "runs", name));
        CLI_TRY(cli_directory_claim(path, &claimed));
    }
    return CLM_OK;
}

clm_status cli_run_check_new(const char *directory) {
    char config[CLI_PATH_MAX];
    clm_status status = clm_train_check_directory(directory);
    if (status != CLM_E_STATE || cli_path(config, directory, "config.json") != CLM_OK || !cli_path_exists(config))
        return status;
    return cli_fail(status, "%s holds a run already; go on with it: clmaml train --resume --run %s, or choose another --run",
                    directory, directory);
}

clm_status cli_run_load_settings(const char *directory, cli_settings *settings) {
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_path(path, directory, "config.json"));
    if (!cli_path_exists(path)) return cli_fail(CLM_E_IO, "%s holds no run: there is no %s", directory, path);
    json_t *root = cli_json_load(path);
    if (!root) return CLM_E_FORMAT;
    clm_status status = cli_settings_from_json(settings, json_object_get(root, "settings"), path);
    json_decref(root);
    return status;
}
