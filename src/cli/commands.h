/* The subcommands, one a file. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

extern const cli_command cli_train, cli_eval, cli_devices, cli_doctor, cli_verify, cli_bench, cli_tune;

#endif
