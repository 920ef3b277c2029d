/* Files that a command is to write, looked at before the work begins. */
#ifndef CLI_OUTPUTS_H
#define CLI_OUTPUTS_H

#include "base/common.h"

/* --out FILE: given, no directory, in a directory that is there. `what`: what is to go there, "the adapted model". */
clm_status cli_output_check(const char *out, const char *what);
/* The last of these alone, for what names are made from. */
clm_status cli_output_check_directory(const char *out);

#endif
