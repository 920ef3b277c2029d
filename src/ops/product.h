/* Matrix products by a library. */
#ifndef CLM_OPS_PRODUCT_H
#define CLM_OPS_PRODUCT_H

#include "program/lower.h"

/* Adds the launch of `call` for node y, whose value is C, with values a and b. */
clm_status clm_product_lower(clm_lower *l, clm_value y, const clm_library_call *call, clm_value a, clm_value b, double flops);

#endif
