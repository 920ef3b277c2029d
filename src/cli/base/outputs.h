/* Files that a command is to write, looked at before the work begins. */
#ifndef CLI_OUTPUTS_H
#define CLI_OUTPUTS_H

#include "base/common.h"

/* --out FILE: given, no directory, no file of a run, in a directory that is there. `what`: what is to go there, "the adapted model". */
clm_status cli_output_check(const char *out, const char *what);
/* No "-", and none of the files that a run goes on from and is told by. `option`: the one that names it, "--out". */
clm_status cli_output_check_run(const char *option, const char *out);
/* A file that is there and holds something is replaced only where it begins so: another one of that name was meant for something else. */
clm_status cli_output_check_kind(const char *out, const char *beginning, const char *what);
/* The last of these alone, for what names are made from. */
clm_status cli_output_check_directory(const char *out);

#endif
