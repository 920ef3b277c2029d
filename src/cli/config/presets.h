/* Published protocols by name. */
#ifndef CLI_PRESETS_H
#define CLI_PRESETS_H

#include "config/settings.h"

/* Their names, and the figures that were published. */
size_t cli_preset_count(void);
const char *cli_preset_name(size_t i);
const char *cli_preset_published(size_t i);

/* Fills what the command line left open from --preset, then from the defaults that suit the algorithm, then the source. */
clm_status cli_presets_apply(cli_settings *settings, const bool *given);

/* The inner rate of a preset as published, for a loss that is summed over the ways; 0: none. */
double cli_preset_original_rate(const cli_settings *settings);

#endif
