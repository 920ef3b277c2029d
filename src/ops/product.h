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

/* What node y asks for: C[m, n] = A[m, k] B[k, n], `batch` times for a task; matrices of image patches with `patches` elements
 * for a task are made first. */
typedef struct clm_product_sizes {
    int m, n, k, batch;
    double patches;
} clm_product_sizes;
/* As clm_library_offered and clm_library_required, for CLBlast's kernel for large products: on GPUs and accelerators. */
bool clm_large_offered(const clm_lower *l, const clm_product_sizes *s);
clm_status clm_large_required(const clm_lower *l);

/* clm_impl.ready */
bool clm_clblast_ready(const clm_device *d);
bool clm_large_ready(const clm_device *d);

/* How many times faster CLBlast's kernel for large products is expected to be than our kernels, for one task of many; 0 where
 * it cannot be called. See large_cost.c. */
double clm_large_gain(const clm_lower *l, clm_value y, const clm_product_sizes *s);
/* The same from what is known of the device: `tile` as of clm_backend.library_tile, `ours` as of clm_tiled_cost. */
double clm_large_gain_for(const clm_device_info *d, const int tile[3], double ours, const clm_product_sizes *s);
/* A gain from which on it is the default, and one from which on a short budget of tuning is spent on it. */
bool clm_large_pays(double gain);
bool clm_large_worth_trying(double gain);
/* What a useful multiply-add of y costs our kernels on a busy device, in multiply-adds of a lane (tiled.c). */
double clm_tiled_cost(const clm_lower *l, clm_value y);

/* Adds the launch of `call` for node y, whose value is C, with values a and b. A large one needs memory for copies, which those
 * of a node may share: of clm_product_room. */
clm_status clm_product_lower(clm_lower *l, clm_value y, const clm_library_call *call, clm_value a, clm_value b, clm_value room,
                             double flops);
clm_status clm_product_room(clm_lower *l, const clm_product_sizes *s, clm_value *room);

#endif
