/* Reference files: a model, a meta-batch and the derivatives that an independent program computed for them.
 *
 * Arrays: param.NAME, support.x support.y query.x query.y, alpha or alpha.NAME for learnable rates, and the results
 * out.support_loss out.query_loss out.query_logits out.meta_loss out.meta_grad.NAME out.meta_grad_fo.NAME out.alpha_grad[.NAME]
 * out.adapted.NAME. What a case may say: docs/reference-files.md. Metadata: "case", the description as JSON, and "params", the parameter names in order.
 */
#ifndef CLI_REFERENCE_H
#define CLI_REFERENCE_H

#include <jansson.h>

#include "base/common.h"

enum { CLI_REFERENCE_PREFIXES = 64 };

typedef struct cli_reference {
    char path[CLI_PATH_MAX];
    clm_archive *archive;
    json_t *description;
    clm_model *model;
    clm_params *params; /* as in the file */
    int tasks;
    clm_task_options task; /* its pointers lead into this struct */
    double *step_weights;
    const char *prefixes[3][CLI_REFERENCE_PREFIXES]; /* adapt, freeze, unlearned */
    bool unrolled; /* the gradient is one through the inner loop: it has a first-order version */
    float *support_x, *support_y, *query_x, *query_y;
    clm_task_size *sizes; /* [tasks] of uneven tasks; NULL: all are of one size */
} cli_reference;

/* Reads the file and checks everything about it that the metadata says. */
clm_status cli_reference_open(cli_reference *reference, const char *path);
void cli_reference_close(cli_reference *reference);

/* A meta-learner for the case at hand, its parameters and rates set. */
clm_status cli_reference_meta(const cli_reference *reference, clm_device *device, bool first_order, clm_meta **out);

/* Zeros in scores [tasks, query, outputs] where an example or an output does not count. */
void cli_reference_clear_scores(const cli_reference *reference, size_t count, double *scores);

/* An array as newly allocated doubles; `count` is what it must hold. */
clm_status cli_reference_read(const cli_reference *reference, const char *name, size_t count, double **out);

#endif
