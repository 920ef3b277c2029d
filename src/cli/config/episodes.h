/* Runs of episodes among runs: what one is, and what goes on with it. Their options are the library's record of a policy's training
 * rather than settings, and their checkpoints hold no examples to go by. */
#ifndef CLI_EPISODES_H
#define CLI_EPISODES_H

#include <jansson.h>

#include "base/common.h"

typedef struct cli_episodes {
    char environment[64];
    bool navigation; /* begun by `clmaml train navigation`, or else by a program of one's own */
} cli_episodes;

/* Is this config.json that of such a run? */
bool cli_episodes_in_config(const json_t *config, cli_episodes *episodes);
bool cli_episodes_in_archive(const clm_archive *archive, cli_episodes *episodes);

/* How such a run, a directory or a checkpoint in it, goes on: "go on with it ..: clmaml train navigation --resume --run DIR". */
void cli_episodes_next(const cli_episodes *episodes, const char *path, char *text, size_t size);
/* CLM_E_ARG: says what it is, and how it goes on. */
clm_status cli_episodes_refuse(const cli_episodes *episodes, const char *path);

#endif
