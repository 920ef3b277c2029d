/* Scores in words: accuracies in per cent, errors of a regression as they are. */
#include "eval/scores.h"

#include <math.h>
#include <stdio.h>

cli_text cli_score_text(double score, bool regression) {
    cli_text text;
    if (!isfinite(score))
        snprintf(text.s, sizeof text.s, "not finite");
    else if (regression)
        snprintf(text.s, sizeof text.s, "%.4g", score);
    else
        snprintf(text.s, sizeof text.s, "%.1f %%", 100 * score);
    return text;
}

bool cli_score_is_shown(int k, int steps) { return steps <= 20 || k % 10 == 0 || k == 1 || k == steps; }

cli_text cli_score_interval_text(const clm_score *score, bool regression) {
    cli_text text;
    if (!isfinite(score->mean))
        snprintf(text.s, sizeof text.s, "not finite");
    else if (!isfinite(score->half) && regression)
        snprintf(text.s, sizeof text.s, fabs(score->mean) < 1e4 ? "%.4f" : "%.4g", score->mean);
    else if (!isfinite(score->half))
        snprintf(text.s, sizeof text.s, "%.2f %%", 100 * score->mean);
    else if (regression && fabs(score->mean) < 1e4)
        snprintf(text.s, sizeof text.s, "%.4f +- %.4f", score->mean, score->half);
    else if (regression)
        snprintf(text.s, sizeof text.s, "%.4g +- %.3g", score->mean, score->half);
    else
        snprintf(text.s, sizeof text.s, "%.2f +- %.2f %%", 100 * score->mean, 100 * score->half);
    return text;
}

const char *cli_score_interval_name(const clm_score *score) {
    return !isfinite(score->mean) ? "" : isfinite(score->half) ? " (95 % interval)" : " (no interval)";
}
