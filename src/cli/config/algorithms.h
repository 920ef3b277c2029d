/* What the program adds to the library's tables of algorithms, inner rules, losses, optimisers, schedules and networks: lists to choose from, and
 * the options that suit an algorithm. */
#ifndef CLI_ALGORITHMS_H
#define CLI_ALGORITHMS_H

#include "config/settings.h"

extern const cli_names cli_algorithm_names, cli_inner_rule_names, cli_optimizer_names, cli_schedule_names;
extern const cli_names cli_network_names;
extern const cli_names cli_loss_names; /* those that the program has data for */

/* Options that an algorithm begins with where nothing else is said: option, text, option, text, .., NULL. NULL: none. */
const char *const *cli_algorithm_defaults(const char *algorithm, bool regression);
/* Where they are from, and what differs; NULL: no defaults of its own. */
const char *cli_algorithm_note(const char *algorithm);
/* What the outer loop follows, where it is not a derivative of the query loss through the inner loop; NULL. */
const char *cli_algorithm_gradient(const char *algorithm);

/* --anil is another word for an algorithm. */
void cli_algorithm_settle(cli_settings *settings);

/* "mse": --loss, or what suits the source. */
const char *cli_loss_name(const cli_settings *settings);
/* "squared error", to follow "the mean of the". */
const char *cli_loss_text(const char *loss);
/* Is the loss one for the source's targets? */
clm_status cli_loss_check(const cli_settings *settings);

#endif
