/* --beside: tasks from several sources of pictures. */
#ifndef CLI_BESIDE_H
#define CLI_BESIDE_H

#include "config/sources.h"

/* What the option names, checked; paths become absolute. */
clm_status cli_beside_settle(cli_settings *settings);
/* A mistake where the run's own source, or one beside it, is named once more: of a new run, when it is settled. */
clm_status cli_beside_check(const cli_settings *settings);
/* Is an option for one of them? */
bool cli_beside_takes(const cli_settings *settings, const char *option);
/* *source, that of the run, becomes one of all together; after a failure it is the caller's still. */
clm_status cli_beside_open(clm_source **source, const cli_settings *settings);

#endif
