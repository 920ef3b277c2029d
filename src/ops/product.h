/* What the rows by libraries share. */
#ifndef CLM_OPS_PRODUCT_H
#define CLM_OPS_PRODUCT_H

#include "program/lower.h"

/* clm_impl.first_use */
enum { CLM_CLBLAST_FIRST_USE = 40, CLM_CLFFT_FIRST_USE = 15 };

/* Is the library there? For `applicable`: cheap. */
bool clm_library_offered(const clm_lower *l, clm_library library);
/* For `lower`: CLM_E_DEVICE when the library's results are wrong here. The first time in a process builds its kernels. CLBlast
 * gets the parameters that were found for the device (tune/clblast.c). */
clm_status clm_library_required(const clm_lower *l, clm_library library);

/* Adds the launch of `call` for node y, whose value is C, with values a and b. */
clm_status clm_product_lower(clm_lower *l, clm_value y, const clm_library_call *call, clm_value a, clm_value b, double flops);

#endif
