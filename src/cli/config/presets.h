/* Published protocols by name. */
#ifndef CLI_PRESETS_H
#define CLI_PRESETS_H

#include <stdio.h>

#include "config/settings.h"

/* Their names, and the figures that were published. */
size_t cli_preset_count(void);
const char *cli_preset_name(size_t i);
const char *cli_preset_published(size_t i);

/* Fills what the command line left open from --preset, then from the defaults that suit the source. */
clm_status cli_presets_apply(cli_settings *settings, const bool *given);

/* The protocol of a run in full, from its settings: what was trained on what, how it is tested, and the published figures when it
 * comes from a preset. `source` and `model` may be NULL. */
void cli_protocol_print(FILE *to, const cli_settings *settings, const clm_source *source, const clm_model *model);

/* "transductive", "support-stats", or "none (no batch-norm layer)". */
const char *cli_bn_name(const clm_model *model, int bn);

#endif
