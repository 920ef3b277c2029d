/* Layouts: outside (PyTorch) order to inside (channels last) order and back.
 *
 *   OIHW  [o, i, h, w] -> [h, w, i, o]        CHW  [c, h, w] -> [h, w, c]        OIW  [o, i, w] -> [w, i, o]
 *
 * All are permutations of four axes; CHW is seen as [1, c, h, w] -> [h, w, c, 1], OIW as [o, i, 1, w] -> [1, w, i, o]. */
#include "model/internal.h"

#include <assert.h>
#include <string.h>

int clm_layout_rank(clm_layout layout) { return layout == CLM_LAYOUT_SAME ? -1 : layout == CLM_LAYOUT_OIHW ? 4 : 3; }

static void outer_dims(clm_layout layout, const clm_shape *outer, size_t dims[4]) {
    const int32_t *d = outer->dim;
    const int absent = layout == CLM_LAYOUT_CHW ? 0 : layout == CLM_LAYOUT_OIW ? 2 : -1;
    assert(outer->rank == clm_layout_rank(layout));
    for (int i = 0; i < 4; i++) dims[i] = i == absent ? 1 : (size_t)*d++;
}

clm_shape clm_layout_inner_shape(clm_layout layout, const clm_shape *outer) {
    const int32_t *d = outer->dim;
    switch (layout) {
    case CLM_LAYOUT_OIHW: return clm_shape_of(4, (int)d[2], (int)d[3], (int)d[1], (int)d[0]);
    case CLM_LAYOUT_CHW: return clm_shape_of(3, (int)d[1], (int)d[2], (int)d[0]);
    case CLM_LAYOUT_OIW: return clm_shape_of(3, (int)d[2], (int)d[1], (int)d[0]);
    case CLM_LAYOUT_SAME: break;
    }
    return *outer;
}

clm_layout clm_layout_of_example(const clm_shape *outer) { return outer->rank == 3 ? CLM_LAYOUT_CHW : CLM_LAYOUT_SAME; }

/* Walks both orders at once: `to_inner` decides which side is read. */
static void convert(const size_t d[4], bool to_inner, const double *from, double *to) {
    for (size_t o = 0; o < d[0]; o++) {
        for (size_t i = 0; i < d[1]; i++) {
            for (size_t p = 0; p < d[2] * d[3]; p++) {
                size_t outer = (o * d[1] + i) * d[2] * d[3] + p, inner = (p * d[1] + i) * d[0] + o;
                if (to_inner)
                    to[inner] = from[outer];
                else
                    to[outer] = from[inner];
            }
        }
    }
}

static void convert_all(clm_layout layout, const clm_shape *outer, size_t count, bool to_inner, const double *from,
                        double *to) {
    size_t dims[4], size = clm_shape_size(outer);
    if (layout == CLM_LAYOUT_SAME) {
        if (size * count > 0) memcpy(to, from, size * count * sizeof(*to));
        return;
    }
    outer_dims(layout, outer, dims);
    for (size_t i = 0; i < count; i++) convert(dims, to_inner, from + i * size, to + i * size);
}

void clm_layout_to_inner(clm_layout layout, const clm_shape *outer, size_t count, const double *from, double *to) {
    convert_all(layout, outer, count, true, from, to);
}

void clm_layout_to_outer(clm_layout layout, const clm_shape *outer, size_t count, const double *from, double *to) {
    convert_all(layout, outer, count, false, from, to);
}
