/* Attention over tokens: a composition, so its derivatives need nothing of its own. */
#include <math.h>

#include "ops/op.h"

static bool fits(clm_graph *g, clm_value x, int heads, clm_value weight) {
    char xt[80], wt[80];
    const clm_value in[2] = {x, weight};
    if (!clm_graph_valid(g, in, 2)) return false;
    const clm_shape s = clm_value_shape(g, x), w = clm_value_shape(g, weight);
    if (s.rank == 3 && w.rank == 2 && w.dim[1] == s.dim[2] && w.dim[0] == 3 * (int64_t)s.dim[2] && heads >= 1 &&
        s.dim[2] % heads == 0)
        return true;
    clm_graph_error(g, CLM_E_SHAPE,
                    "multihead attention: x %s, weight %s, %d heads: must be [n, tokens, width], [3 width, width] and a "
                    "number that divides the width",
                    clm_shape_text(&s, xt, sizeof xt), clm_shape_text(&w, wt, sizeof wt), heads);
    return false;
}

clm_value clm_multihead_attention(clm_graph *g, clm_value x, int heads, clm_value weight, clm_value bias, clm_value out_weight,
                                  clm_value out_bias) {
    if (!fits(g, x, heads, weight)) return CLM_INVALID;
    const clm_shape s = clm_value_shape(g, x);
    const int n = s.dim[0], tokens = s.dim[1], width = s.dim[2] / heads;
    const clm_shape one = clm_shape_of(5, 1, n, heads, tokens, width), rows = clm_shape_of(4, n, heads, tokens, width);
    /* [n, tokens, 3, heads, width of one] -> [3, n, heads, tokens, width of one] */
    clm_value all = clm_reshape(g, clm_linear(g, x, weight, bias), clm_shape_of(5, n, tokens, 3, heads, width)), part[3];
    all = clm_transpose(g, all, (const int32_t[]){2, 0, 3, 1, 4});
    for (int i = 0; i < 3; i++) part[i] = clm_reshape(g, clm_slice(g, all, (const int32_t[]){i, 0, 0, 0, 0}, one), rows);
    clm_value scores = clm_scale(g, clm_matmul(g, part[0], part[1], false, true), 1 / sqrt(width));
    clm_value y = clm_matmul(g, clm_softmax(g, scores), part[2], false, false);
    y = clm_reshape(g, clm_transpose(g, y, (const int32_t[]){0, 2, 1, 3}), s);
    return clm_linear(g, y, out_weight, out_bias);
}
