/* What the parts of training share. */
#ifndef CLM_TRAIN_INTERNAL_H
#define CLM_TRAIN_INTERNAL_H

#include "base/memory.h"
#include "clmaml/train.h"

/* clm_calloc into `pointer`, or out with CLM_E_MEMORY. */
#define CLM_NEW(pointer, count)                                     \
    do {                                                            \
        (pointer) = clm_calloc((size_t)(count), sizeof *(pointer)); \
        if (!(pointer)) CLM_GOTO(CLM_E_MEMORY);                     \
    } while (0)

/* Does it train on all classes at once, with an output for each, and adapt a model with one for each class of a task? */
bool clm_task_is_joint(const clm_task_options *task);

#endif
