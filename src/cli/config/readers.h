/* Who reads an option: an option of the command line that what was chosen does not read is a mistake, never ignored in silence. */
#ifndef CLI_READERS_H
#define CLI_READERS_H

#include "config/settings.h"

/* Usage error for the first given option of a command's table that the algorithm, the inner rule, the loss, the optimiser or the schedule
 * does not read. Presets and stored runs are not looked at. */
clm_status cli_readers_check(const cli_settings *settings, const cli_option *options, const bool *given);

/* The same for options of networks and layers, of which the network (settled, see cli_setup_network) or the model knows
 * nothing. */
clm_status cli_readers_check_model(const cli_settings *settings, const clm_model *model, const cli_option *options,
                                   const bool *given);

/* Does a network read --filters, --hidden, --context? True where there is none of that name. */
bool cli_network_reads(const char *network, const char *option);
/* "conv4, mlp": the networks that read an option. */
void cli_readers_of_network(const char *option, char *text, size_t size);

/* "adam, rmsprop": who reads an option, where that is no more than half of those that could; "" otherwise. For --help. */
void cli_readers_help(const char *option, char *text, size_t size);

/* Is the option read by what the settings choose? True for options that are everybody's. */
bool cli_readers_read(const cli_settings *settings, const char *option);

#endif
