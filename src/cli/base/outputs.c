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

clm_status cli_output_check(const char *out, const char *what) {
    if (!out[0]) return cli_usage("give --out FILE, where %s goes", what);
    if (cli_is_directory(out)) return cli_usage("--out %s is a directory; name a file in it", out);
    return cli_output_check_directory(out);
}
