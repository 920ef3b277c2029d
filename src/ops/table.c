/* The table of operations: every line of the list has its row, or the library does not link. */
#include "ops/op.h"

const clm_op *const clm_ops[CLM_OP_COUNT] = {
#define CLM_OP_ENTRY(NAME, name) [CLM_OP_##NAME] = &clm_row_##name,
    CLM_OP_LIST(CLM_OP_ENTRY)
#undef CLM_OP_ENTRY
};

const clm_op clm_row_input = {.name = "input", .flags = CLM_OPF_LEAF};
