/* The rows of presets.c. */
#ifndef CLI_PRESET_TABLE_H
#define CLI_PRESET_TABLE_H

#include <stddef.h>

/* The source of presets for pictures that the user has. */
#define CLI_PRESET_PICTURES "FOLDER"

typedef struct cli_preset {
    const char *name, *source;
    double original_inner_lr; /* as published, loss summed over the ways; 0: nothing to convert */
    const char *published;
    const char *settings[80]; /* option, text, option, text, ..; of one named twice the first counts */
} cli_preset;

extern const cli_preset cli_preset_table[];
extern const size_t cli_preset_rows;

#endif
