/* The heavy operations have several implementations each, and every implementation several sets of parameters (candidates):
 * tile shapes and the like. When such an operation is lowered, one is chosen:
 *
 *   1. by a function that the device holds (tests and the tuner force every candidate in turn), else
 *   2. the one stored for this device, operation, shapes and number of tasks by an earlier tuning (src/tune/store.h), if it is
 *      still among those that the implementation offers, else
 *   3. the one that the database has for this kind of device (src/tune/database.h), likewise, else
 *   4. the first implementation in the order of implementations.h that is applicable and `preferred`, with its first candidate.
 *
 * To add an implementation: a row `const clm_impl clm_impl_NAME` and a line in implementations.h for every operation that it
 * serves. The tests of operations then try all its candidates, and the tuner measures them. Rules for a row:
 *
 * - All candidates of a row give the same bits, for any number of tasks: they differ in which work-item computes what, never in
 *   the order of a sum. What sums in another order is another row. So a row is chosen once for an operation and its shapes,
 *   whatever the number of tasks, and how a meta-batch is cut into chunks of tasks does not show in the results.
 * - Row, candidates and their order depend on nothing but the operation, its shapes, the number of tasks and the device's
 *   properties. */
#ifndef CLM_OPS_CHOICE_H
#define CLM_OPS_CHOICE_H

#include "program/lower.h"

struct clm_tune_entry; /* tune/store.h */

enum {
    CLM_CANDIDATE_VALUES = 8,
    CLM_CANDIDATES_MOST = 96, /* of one row for one operation */
    CLM_CHOICES_MOST = 256    /* of all rows for one operation */
};

/* Small whole numbers, of which clm_impl.parameters has the names; unused ones are 0. */
typedef struct clm_candidate {
    int32_t value[CLM_CANDIDATE_VALUES];
} clm_candidate;

typedef struct clm_impl {
    const char *name;       /* "direct": one word, different for all rows of an operation */
    const char *parameters; /* "nv rows run", separated by single blanks; "" when there is but one candidate, of zeros */
    /* Can it compute node y on this device? NULL: always. */
    bool (*applicable)(const clm_lower *l, clm_value y);
    /* Is it to be taken for y where nothing has been measured? NULL: never. The last row of an operation must say yes. Asked
     * only when applicable. */
    bool (*preferred)(const clm_lower *l, clm_value y);
    /* Writes at most CLM_CANDIDATES_MOST candidates, all different, the best guess first, the rest in the order in which they
     * are worth measuring; returns how many, at least 1. NULL: one, of zeros. */
    int (*candidates)(const clm_lower *l, clm_value y, clm_candidate *out);
    /* Emits the launches (clm_lower_launch, any number; clm_lower_scratch for memory between them). Gets candidates of
     * `candidates` for the same node only. */
    clm_status (*lower)(clm_lower *l, clm_value y, const clm_candidate *candidate);
    /* Can one launch of it add up two such operations, y(a, b) + y(c, d)? Then `lower` may get a node of four operands
     * (program/fusion/conv_pairs.c), which is like y in all else. NULL: no. */
    bool (*pairs)(const clm_lower *l, clm_value y);
    /* Can it read a filter turned, of one group, from the filter as it is (program/fusion/turned.c)? NULL: no. */
    bool (*turns)(const clm_lower *l, clm_value y);
    /* How many times faster it is expected to be than our rows, for rows by libraries that a short budget of tuning tries only
     * where that is not hopeless. NULL: not known. Asked only when applicable. */
    double (*gain)(const clm_lower *l, clm_value y);
    /* Seconds that the first use in a process may take on a CPU while a library builds its kernels, a fortieth of it elsewhere.
     * The tuner passes over what it has no time for. 0: what kernels of ours take. */
    int first_use;
    /* Has this process built them? NULL: there is always more to build. */
    bool (*ready)(const clm_device *d);
} clm_impl;

typedef struct clm_choice {
    const clm_impl *impl;
    clm_candidate candidate;
} clm_choice;

/* For `preferred` of rows that serve everything. */
bool clm_impl_always(const clm_lower *l, clm_value y);

/* Has the operation rows here? */
bool clm_choice_exists(clm_opcode op);
/* What an implementation offers for y: 0 when it is not applicable. */
int clm_choice_candidates(const clm_lower *l, clm_value y, const clm_impl *impl, clm_candidate out[CLM_CANDIDATES_MOST]);
/* Everything that can compute y, at most CLM_CHOICES_MOST; [0] is the choice where nothing has been measured. */
int clm_choice_list(const clm_lower *l, clm_value y, clm_choice out[CLM_CHOICES_MOST]);
/* Is there one that reads turned filters? */
bool clm_choice_may_turn(const clm_lower *l, clm_value y);
/* The choice for y by the four rules above. */
clm_choice clm_choice_for(const clm_lower *l, clm_value y);
/* The `lower` of heavy operations: chooses and lowers. */
clm_status clm_choice_lower(struct clm_lower *l, clm_value y);

/* Of rows as in clm_program.implementations: "conv2d gemm, direct; matmul direct". */
const char *clm_choice_names(uint32_t rows, char *text, size_t size);

/* "direct nv=4 rows=5 run=14" */
const char *clm_choice_text(const clm_choice *choice, char *text, size_t size);

/* The same of a stored entry for the operation with this key; NULL when that is no operation, or has no such implementation. */
const char *clm_choice_stored_text(const char *key, const struct clm_tune_entry *entry, char *text, size_t size);

/* Everything about y that decides what can compute it and how fast, but for the device and the number of tasks:
 * "conv2d 5x14x14x64* 3x3x64x64* -> 5x14x14x64 1 1 1 1 1 1 1", per-task values marked with *. */
const char *clm_choice_key(const clm_lower *l, clm_value y, char *text, size_t size);

/* Forces the choices of a device: returns false to leave y to rules 2 to 4. `choose` NULL: no longer. */
typedef bool (*clm_choice_fn)(void *user, const clm_lower *l, clm_value y, clm_choice *choice);
void clm_choice_force(clm_device *device, clm_choice_fn choose, void *user);

#endif
