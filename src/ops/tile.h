/* How much of its output one work-item computes, by the kind of device. A CPU device runs a work-item like a call of a
 * function, so an item gets whole rows and vectors as wide as the machine's; elsewhere an item gets one vector, and neighbours
 * get neighbours. */
#ifndef CLM_OPS_TILE_H
#define CLM_OPS_TILE_H

#include "program/lower.h"

static inline bool clm_tile_serial(const clm_lower *l) {
    const clm_device_info *d = clm_lower_device(l);
    return d->type == CLM_DEVICE_CPU || d->type == CLM_DEVICE_HOST;
}

/* The widest vector, a power of two, that the device likes and that divides n. */
static inline int clm_tile_vector(const clm_lower *l, int n) {
    const int most = clm_tile_serial(l) ? 16 : 4, width = (int)clm_lower_device(l)->float_vector_width;
    int v = 1;
    while (2 * v <= most && 2 * v <= width && n % (2 * v) == 0) v *= 2;
    return v;
}

/* Has a lane of this GPU few registers (128 floats where a thread has the fewest lanes)? Those that share the host's memory, and those
 * whose driver says so. */
static inline bool clm_tile_few_registers(const clm_lower *l) {
    return clm_lower_device(l)->unified_memory || clm_lower_opened(l)->few_registers;
}

/* Rows of row_cost element operations that one item works through: enough to be worth a call, few enough to feed all compute
 * units. */
static inline int clm_tile_rows(const clm_lower *l, int rows, double row_cost, int tasks) {
    if (!clm_tile_serial(l)) return 1;
    const double worth = 8192 / (row_cost < 1 ? 1 : row_cost), units = 4.0 * clm_lower_device(l)->compute_units;
    const double share = (double)rows * tasks / (units < 1 ? 1 : units);
    const double most = worth < share ? worth : share;
    return most < 1 ? 1 : most > rows ? rows : (int)most;
}

/* Along global[0] the items, along global[2] the tasks. */
static inline void clm_tile_global(const clm_lower *l, clm_launch_spec *spec, size_t items, int tasks) {
    const bool serial = clm_tile_serial(l);
    clm_spec_define(spec, "ITEMS", (long)items);
    spec->global[0] = items;
    spec->global[1] = 1;
    spec->global[2] = (size_t)tasks;
    for (int i = 0; i < 3; i++) spec->local[i] = serial ? 1 : 0;
}

#endif
