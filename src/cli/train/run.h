/* The run directory as the program sees it: its name, and the settings in its config.json. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "config/settings.h"

/* Makes a directory runs/BASE-TIME under a name that no other run has. */
clm_status cli_run_make_name(char *path, const char *base);
/* Makes a directory for a run that was given none, under a name that no other run has. */
clm_status cli_run_default_name(char *path, const cli_settings *settings);
/* Errors when a new run cannot begin here. Changes nothing. */
clm_status cli_run_check_new(const char *directory);
/* Settings that a run directory was started with. */
clm_status cli_run_load_settings(const char *directory, cli_settings *settings);

#endif
