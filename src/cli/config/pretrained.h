/* Models that come with the program: NAME.safetensors with the card NAME.md, beside it in the build and in the installed tree. */
#ifndef CLI_PRETRAINED_H
#define CLI_PRETRAINED_H

#include "base/common.h"

typedef struct cli_pretrained_models {
    char directory[CLI_PATH_MAX];
    char (*name)[64];
    size_t count;
} cli_pretrained_models;

/* Those that there are, in order of name; none is no error. */
clm_status cli_pretrained_list(cli_pretrained_models *list);
void cli_pretrained_free(cli_pretrained_models *list);
/* "directory/NAME.md" and the like. */
clm_status cli_pretrained_file(char *path, const cli_pretrained_models *list, const char *name, const char *ending);
/* The first line of a card below its heading, what the model is; free(). */
clm_status cli_pretrained_summary(const cli_pretrained_models *list, const char *name, char **summary);

/* The file of the model `name`, into `path` (CLI_PATH_MAX bytes). A mistake of usage that names those that there are, when it is none. */
clm_status cli_pretrained_find(char *path, const cli_pretrained_models *list, const char *name);
/* What a command is to open: `named` (may be NULL), or the pretrained model `model` (may be ""). A mistake of usage when both are given,
 * or none; `missing` says what to do then. */
clm_status cli_pretrained_or(char *path, const char *model, const char *named, const char *missing);

#endif
