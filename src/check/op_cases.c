/* The families as one list. See op_cases.h. */
#include "check/op_cases.h"

#include <string.h>

#include "check/rows.h"

static const clm_op_family *const families[] = {&clm_elementwise_cases, &clm_shape_cases, &clm_matmul_cases,
                                                &clm_network_cases};
enum { FAMILY_COUNT = sizeof families / sizeof families[0] };

size_t clm_op_case_count(void) {
    size_t count = 0;
    for (size_t f = 0; f < FAMILY_COUNT; f++) count += families[f]->count;
    return count;
}

const clm_op_case *clm_op_case_at(size_t i) {
    for (size_t f = 0; f < FAMILY_COUNT; f++) {
        if (i < families[f]->count) return &families[f]->rows[i];
        i -= families[f]->count;
    }
    return NULL;
}

bool clm_op_case_is_examined(const clm_op_case *row) { return (row->flags & CLM_CASE_DOCTOR) || !strchr(row->name, '/'); }
