/* Inside the executors: the graphs under construction, and what passes between them (build.c, asked.c, between.c). */
#ifndef CLM_META_BUILDER_H
#define CLM_META_BUILDER_H

#include "meta/algorithm/algorithm.h"
#include "meta/internal.h"

/* One graph under construction with the memory of its inputs and outputs. */
typedef struct clm_part {
    clm_graph *g;
    clm_bind *binds;
    size_t n_binds, binds_capacity;
    clm_value *outputs;
    size_t n_outputs, outputs_capacity;
    clm_readout *reads; /* become the variant's once the program exists */
    size_t n_reads, reads_capacity;
    clm_examples support, query;
    clm_value counting[3]; /* inputs, see clm_exec; or CLM_INVALID */
    /* leaf: an input, or the one of several that `chosen` says, a number of each task (CLM_INVALID: there is one). */
    clm_value *leaf, *weight, chosen;
    bool prefer_memory;
} clm_part;

/* An input that stands for a slot in a later part. */
typedef struct clm_arrival {
    size_t part;
    clm_value input;
} clm_arrival;

typedef struct clm_record {
    clm_slot slot;
    size_t part;
    clm_value value;
    clm_arrival *arrivals;
    size_t n_arrivals, arrivals_capacity;
    clm_tensor *tensor;
    bool kept; /* the host reads it when all is done */
} clm_record;

/* Memory of slots, one after the other. */
typedef struct clm_place_of_slots {
    clm_tensor *tensor;
    size_t busy_until; /* the last part that reads what is there */
} clm_place_of_slots;

typedef struct clm_contribution {
    size_t part, leaf;
    clm_value value;
} clm_contribution;

typedef struct clm_builder {
    clm_share *m;
    clm_variant *variant;
    int chunk;
    clm_part *parts;
    size_t n_parts, at;
    clm_record *records;
    size_t n_records, records_capacity;
    clm_contribution *contributions;
    size_t n_contributions, contributions_capacity;
    clm_place_of_slots *places;
    size_t n_places, places_capacity;
    clm_stages stages;
} clm_builder;

/* Device memory of the plan. */
clm_status clm_exec_reserve(clm_share *m, clm_tensor **out, clm_shape shape, int tasks);
clm_status clm_exec_view(clm_share *m, clm_tensor **out, clm_tensor *whole, size_t at, clm_shape shape, int tasks);

/* Inputs and outputs of a graph. own_value: one that no other output is, and that a kernel writes, so that each output can have
 * memory of its own. */
clm_status clm_part_bind(clm_part *p, clm_value v, clm_tensor *t);
clm_value clm_part_own_value(clm_part *p, clm_value v);
clm_status clm_part_output(clm_part *p, clm_value v, clm_tensor *t);
clm_value clm_part_belongs(clm_part *p, size_t start);

/* The latest put of a slot; NULL: none. */
clm_record *clm_builder_find(clm_builder *b, clm_slot slot);
/* The graph that stages add to. */
void clm_builder_enter(clm_builder *b, size_t part);
/* What stages have added to the gradient, summed over tasks; tensors for what passes between parts. Once all stages are built. */
clm_status clm_builder_add_up(clm_builder *b);
clm_status clm_builder_place_slots(clm_builder *b);

#endif
