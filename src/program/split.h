/* Splitting a graph that is evaluated again and again while only some of its inputs change. */
#ifndef CLM_PROGRAM_SPLIT_H
#define CLM_PROGRAM_SPLIT_H

#include "graph/internal.h"

/* What a first program leaves for a second one: kept[i] is an output of the first, input[i] stands for it in the second. */
typedef struct clm_cut {
    clm_value *kept, *input;
    size_t n;
} clm_cut;

/* outputs[] become values of the same graph that compute the same from the values `varying` (inputs), from cut->input and from
 * such other inputs as cheap parts read. Of what does not depend on `varying`, results of products, convolutions and
 * reductions are kept and elementwise values are computed again. Outputs that do not depend on it count as needed, too. */
clm_status clm_graph_split(clm_graph *g, const clm_value *varying, size_t n_varying, clm_value *outputs, size_t n_outputs,
                           clm_cut *cut);
void clm_cut_free(clm_cut *cut);

#endif
