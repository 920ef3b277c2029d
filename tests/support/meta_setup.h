/* Small models, batches and algorithms on which meta-learning is tested, and what the tests ask of a meta-learner. */
#ifndef CLM_TEST_META_SETUP_H
#define CLM_TEST_META_SETUP_H

#include "clmaml/meta.h"

typedef enum clm_test_net {
    CLM_TEST_NET_REGRESSION, /* smooth perceptron, mean squared error */
    CLM_TEST_NET_CLASSES,    /* rectified perceptron, 3 classes */
    CLM_TEST_NET_CONV,       /* convolution, batch-norm, pooling, 3 classes */
    CLM_TEST_NET_COLOUR,     /* the same on 3 channels, without pooling */
    CLM_TEST_NET_DROPOUT     /* convolutions, dropout and a residual layer with stochastic depth, 3 classes */
} clm_test_net;

/* A way of learning: rows of clm_test_algorithms. */
typedef struct clm_test_algorithm {
    const char *name;
    bool first_order, multi_step, head_only, sum;
    clm_rates rates;
} clm_test_algorithm;
enum { CLM_TEST_ALGORITHMS = 8 };
extern const clm_test_algorithm clm_test_algorithms[CLM_TEST_ALGORITHMS];

clm_model *clm_test_model(clm_test_net net);

/* Options for a net: `tasks` tasks of 6 support and 5 query examples. algorithm NULL: plain MAML. */
clm_meta_options clm_test_options(clm_test_net net, const clm_test_algorithm *algorithm, int tasks, int steps);

/* A meta-learner with parameters, and rates where there are any, drawn from `seed`. */
clm_meta *clm_test_meta(clm_device *device, const clm_model *model, const clm_meta_options *options, uint64_t seed);
void clm_test_randomise(clm_meta *meta, const clm_model *model, const clm_meta_options *options, uint64_t seed);

/* Arrays of a batch in the order support x, y, query x, y. */
typedef struct clm_test_batch {
    float *data[4];
    size_t count[4];
    clm_batch batch; /* of the same arrays */
} clm_test_batch;
clm_test_batch clm_test_batch_make(const clm_model *model, const clm_meta_options *options, uint64_t seed);
void clm_test_batch_free(clm_test_batch *batch);

/* A vector of doubles that is the caller's to free. */
typedef struct clm_test_vector {
    double *data;
    size_t n;
} clm_test_vector;
void clm_test_vector_free(clm_test_vector *v);

/* The gradient of all parameters, then of all rates. */
clm_test_vector clm_test_gradient(clm_meta *meta, const clm_model *model);
/* All parameters, then all rates. */
clm_test_vector clm_test_values(clm_meta *meta, const clm_model *model);
void clm_test_set_values(clm_meta *meta, const clm_model *model, const double *values);
/* Losses, outputs, accuracies, and adapted parameters where they are kept. */
clm_test_vector clm_test_results(clm_meta *meta, const clm_model *model, bool adapted);
/* Mean over tasks of the query loss. */
double clm_test_meta_loss(clm_meta *meta);

/* Two vectors must be the same bits; must differ by at most `tolerance` (clm_test_difference). */
void clm_test_expect_same(const clm_test_vector *a, const clm_test_vector *b, const char *what);
void clm_test_expect_close(const clm_test_vector *a, const clm_test_vector *b, double tolerance, const char *what);

/* The devices of a test's loop: host, then OpenCL. */
enum { CLM_TEST_DEVICES = 2 };
clm_device *clm_test_open(int index);
/* 1e-12 on the host, 1e-5 elsewhere */
double clm_test_rounding(int device_index);

/* A back end that counts, and that can be made to fail. Put under a device that is open; one at a time. */
typedef struct clm_test_counts {
    size_t allocations, launches_made, largest; /* elements */
    size_t fail_at;                             /* the allocation, counted from 1, that fails; 0: none */
    size_t launches, transfers,
        waits; /* queued; queued or waited for, copies and fills included; transfers that wait, and finish */
} clm_test_counts;
extern clm_test_counts clm_test_counted;
void clm_test_count(clm_device *device);

#endif
