/* Does a loss suit what a source has for targets: numbers to predict, or classes? */
#include <string.h>

#include "train/internal.h"

clm_status clm_train_check_loss(const clm_source *source, const clm_task_options *task) {
    const char *loss = task->loss.name ? task->loss.name : "cross-entropy", *name = clm_source_name(source);
    const bool regression = clm_source_is_regression(source);
    const clm_shape target = clm_source_target_shape(source);
    char want[64], have[64];
    if (regression && clm_loss_uses(loss, "labels"))
        return clm_fail(CLM_E_ARG, "%s is a regression, and %s, the initial loss, is one of classes; set loss.name to \"mse\"",
                        name, loss);
    if (!regression && clm_loss_uses(loss, "outputs"))
        return clm_fail(CLM_E_ARG, "%s has classes, and %s is a loss of numbers to predict; set loss.name to \"cross-entropy\"",
                        name, loss);
    if (strcmp(loss, "custom") != 0 || clm_shape_size(&target) == clm_shape_size(&task->loss.target_shape)) return CLM_OK;
    return clm_fail(CLM_E_SHAPE,
                    "%s: a target of an example is %s, and the loss \"custom\" takes %s; set loss.target_shape to it", name,
                    clm_shape_text(&target, have, sizeof have), clm_shape_text(&task->loss.target_shape, want, sizeof want));
}
