/* The table of losses. To add one: its row in loss.c. */
#ifndef CLM_META_LOSS_H
#define CLM_META_LOSS_H

#include "meta/task.h"

typedef struct clm_loss {
    const char *name, *summary;
    bool labels;    /* targets are class labels, one number an example */
    unsigned reads; /* options, as loss.c has them */
    /* Shape of one example's target; NULL: that of the output. Not for labels. */
    clm_shape (*target)(const clm_task *task);
    /* Checks the options and adds the loss's own parameters; may be NULL. They are the last of theta. */
    clm_status (*declare)(clm_task *task);
    clm_value (*build)(const clm_task *task, clm_graph *g, const clm_value *theta, clm_value out, clm_value y,
                       clm_reduction reduction);
    /* The same over the examples and outputs that count; NULL: the loss cannot be masked. */
    clm_value (*masked)(const clm_task *task, clm_graph *g, const clm_value *theta, clm_value out, clm_examples e);
} clm_loss;

/* clm_accuracy over the examples and outputs that count. */
clm_value clm_masked_accuracy(clm_graph *g, clm_value out, clm_examples e);

/* NULL: no such row. */
const clm_loss *clm_loss_find(const char *name);
/* CLM_E_ARG for an option that the loss does not read and that was given. */
clm_status clm_loss_check(const clm_loss *loss, const clm_loss_options *options);
/* "cross-entropy, mse, .." for messages. */
const char *clm_loss_names(char *text, size_t size);

#endif
