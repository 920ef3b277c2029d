/* Files that a command is to write, looked at before the work begins. */
#include "base/outputs.h"

#include <stdio.h>
#include <string.h>

#include "base/system.h"

clm_status cli_output_check_directory(const char *out) {
    char directory[CLI_PATH_MAX];
    const char *slash = strrchr(out, '/');
    if (!slash || slash == out) return CLM_OK;
    snprintf(directory, sizeof directory, "%.*s", (int)(slash - out), out);
    if (cli_is_directory(directory)) return CLM_OK;
    return cli_fail(CLM_E_IO, "--out %s: %s is %s; make the directory, or give another name", out, directory,
                    cli_path_exists(directory) ? "no directory" : "not there");
}

clm_status cli_output_check_run(const char *option, const char *out) {
    static const char *const own[] = {"config.json", "metrics.jsonl", "metrics.csv", "result.json"};
    char path[CLI_PATH_MAX + 16], *slash;
    if (strcmp(out, "-") == 0)
        return cli_usage("%s -: name a file; /dev/stdout is standard output, ./- a file of that name", option);
    if (!cli_path_exists(out)) return CLM_OK;
    snprintf(path, sizeof path, "%s%s", strchr(out, '/') ? "" : "./", out);
    if (!(slash = strrchr(path, '/'))) return CLM_OK;
    bool is = false;
    for (size_t i = 0; i < CLI_COUNT(own); i++) is = is || strcmp(slash + 1, own[i]) == 0;
    static const char checkpoints[] = "/checkpoints/";
    const size_t n = sizeof checkpoints - 1, length = (size_t)(slash - path) + 1;
    const bool below = length >= n && strncmp(path + length - n, checkpoints, n) == 0;
    snprintf(slash + 1, sizeof path - length, "%s", below ? "../config.json" : "config.json");
    if (!(is || below) || !cli_path_exists(path)) return CLM_OK;
    return cli_usage("%s %s is a file of a run, which goes on from it; give another name", option, out);
}

clm_status cli_output_check_kind(const char *out, const char *beginning, const char *what) {
    char start[64];
    FILE *file = cli_is_regular_file(out) ? fopen(out, "rb") : NULL;
    if (!file) return CLM_OK; /* writing says what is wrong */
    const size_t n = fread(start, 1, strlen(beginning), file);
    fclose(file);
    if (n == 0 || (n == strlen(beginning) && memcmp(start, beginning, n) == 0)) return CLM_OK;
    return cli_usage("--out %s is there, and is no %s; give another name, or remove it", out, what);
}

clm_status cli_output_check(const char *out, const char *what) {
    if (!out[0]) return cli_usage("give --out FILE, where %s goes", what);
    if (cli_is_directory(out)) return cli_usage("--out %s is a directory; name a file in it", out);
    CLI_TRY(cli_output_check_run("--out", out));
    return cli_output_check_directory(out);
}
