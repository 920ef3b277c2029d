/* Published protocols by name. */
#ifndef CLI_PRESETS_H
#define CLI_PRESETS_H

#include "config/settings.h"

/* Their names, and the figures that were published. */
extern const cli_names cli_preset_names;
const char *cli_preset_published(size_t i);

/* Fills what the command line left open from --preset, then from the defaults that suit the algorithm, then the source. */
clm_status cli_presets_apply(cli_settings *settings, const bool *given);

/* The algorithm of the settings' preset; NULL: no preset. */
const char *cli_preset_algorithm(const cli_settings *settings);
/* The inner rate of a preset as published, for a loss that is summed over the ways; 0: the settings' rate is not from there. */
double cli_preset_original_rate(const cli_settings *settings);

#endif
