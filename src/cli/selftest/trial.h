/* Rows of operations (check/op_cases.h) on a device against the host reference, any number of them in one program.
 *
 * Of a row y = f(x): the value y and, where asked for, the adjoint f'^T c (1 + y) and the tangents of both along random
 * directions, which are what a Hessian-vector product is made of; with y in the cotangent they are more than zero for a
 * linear f. */
#ifndef CLI_TRIAL_H
#define CLI_TRIAL_H

#include "base/common.h"
#include "check/op_cases.h"

enum { CLI_TRIAL_TASKS = 3, CLI_TRIAL_ROWS = 24 };

/* What is compared, with the largest relative error allowed to each. */
enum { CLI_TRIAL_VALUE, CLI_TRIAL_ADJOINT, CLI_TRIAL_TANGENTS, CLI_TRIAL_GROUPS };
extern const double cli_trial_tolerance[CLI_TRIAL_GROUPS];

typedef struct cli_trial cli_trial;

clm_status cli_trial_create(cli_trial **out);
void cli_trial_free(cli_trial *trial); /* NULL is allowed */
/* One more row, with every operand per task, or those after the first shared by all tasks (one operand: shared). */
clm_status cli_trial_add(cli_trial *trial, const clm_op_case *row, bool all_per_task, bool derivatives);
size_t cli_trial_rows(const cli_trial *trial);
const clm_op_case *cli_trial_row(const cli_trial *trial, size_t i);

/* Runs all on both. `error` holds cli_trial_rows() rows: relative errors, INFINITY for one that is not a number, NAN where
 * there is nothing to compare. `seconds` (may be NULL): the least of a few runs on `device`, all rows together. */
clm_status cli_trial_compare(const cli_trial *trial, clm_device *device, clm_device *host, double (*error)[CLI_TRIAL_GROUPS],
                             double *seconds);

/* "conv2d, grouped" for the row conv2d/grouped. */
cli_text cli_trial_name(const clm_op_case *row);

#endif
