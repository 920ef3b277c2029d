/* The programs of an outer optimiser (update.c). */
#ifndef CLM_META_OPTIMIZER_UPDATE_H
#define CLM_META_OPTIMIZER_UPDATE_H

#include "meta/optimizer/optimizer.h"

clm_status clm_measure_program(clm_optimizer *o, clm_workspace *workspace); /* into o->measure */
clm_status clm_update_program(clm_optimizer *o, clm_workspace *workspace);  /* into o->update */

#endif
