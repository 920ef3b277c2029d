/* Scores as people write them. */
#ifndef CLI_SCORES_H
#define CLI_SCORES_H

#include "base/common.h"

/* "93.2 %" or "0.0132": a score as people write it. */
cli_text cli_score_text(double score, bool regression);
/* "93.21 +- 0.42 %"; "93.21 %" where there is no interval, as of a single task. */
cli_text cli_score_interval_text(const clm_score *score, bool regression);
/* What stands behind it in a sentence: " (95 % interval)", or that there is none. */
const char *cli_score_interval_name(const clm_score *score);
/* Is the score after k of K inner steps a line of what is printed? Of many steps every tenth is. */
bool cli_score_is_shown(int k, int steps);

#endif
