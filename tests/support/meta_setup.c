/* See meta_setup.h. */
#include "support/meta_setup.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "device/backend.h"
#include "support/numbers.h"
#include "support/run.h"

const clm_test_algorithm clm_test_algorithms[CLM_TEST_ALGORITHMS] = {
    {.name = "maml"},
    {.name = "first order", .first_order = true},
    {.name = "anil", .head_only = true},
    {.name = "rates per step, multi-step loss", .rates = CLM_RATES_PER_STEP, .multi_step = true},
    {.name = "rates per element", .rates = CLM_RATES_PER_ELEMENT},
    {.name = "sums, multi-step loss", .sum = true, .multi_step = true},
    {.name = "anil, rates per element, multi-step loss", .head_only = true, .rates = CLM_RATES_PER_ELEMENT, .multi_step = true},
    {.name = "first order, anil, rates per step, multi-step loss",
     .first_order = true,
     .head_only = true,
     .rates = CLM_RATES_PER_STEP,
     .multi_step = true},
};

/* ---- nets ---- */

#define CONV(filters, more) "{\"op\": \"conv2d\", \"out\": " filters ", \"pad\": 1}, {\"op\": \"batchnorm\"}, " more ", "
#define LINEAR(out) "{\"op\": \"linear\", \"out\": " out "}"

static const struct {
    const char *json, *head; /* head: prefix of the last layer's names */
    const char *loss;
    double inner_lr;
} nets[] = {
    {"{\"in_shape\": [2], \"layers\": [" LINEAR("7") ", {\"op\": \"tanh\"}, " LINEAR("6") ", {\"op\": \"tanh\"}, " LINEAR(
         "1") "]}",
     "4.", "mse", 0.2},
    {"{\"in_shape\": [4], \"layers\": [" LINEAR("8") ", {\"op\": \"relu\"}, " LINEAR("3") "]}", "2.", "cross-entropy", 0.3},
    {"{\"in_shape\": [1, 8, 8], \"layers\": [" CONV("4", "{\"op\": \"relu\"}, {\"op\": \"maxpool\", \"kernel\": 2}")
         CONV("4", "{\"op\": \"relu\"}") "{\"op\": \"flatten\"}, " LINEAR("3") "]}",
     "8.", "cross-entropy", 0.2},
    {"{\"in_shape\": [3, 5, 4], \"layers\": [" CONV("4",
                                                    "{\"op\": \"softplus\"}") "{\"op\": \"globalavgpool\"}, " LINEAR("3") "]}",
     "4.", "cross-entropy", 0.2},
    {"{\"in_shape\": [3, 5, 4], \"layers\": [{\"op\": \"conv2d\", \"out\": 5}, {\"op\": \"softplus\"}, {\"op\": \"dropout\", "
     "\"rate\": 0.25}, {\"op\": \"residual\", \"body\": [{\"op\": \"conv2d\", \"out\": 5}, {\"op\": \"tanh\"}, {\"op\": "
     "\"dropout\", \"rate\": 0.1}], \"drop_path\": 0.3}, {\"op\": \"globalavgpool\"}, {\"op\": \"dropout\", \"rate\": "
     "0.5}, " LINEAR("3") "]}",
     "6.", "cross-entropy", 0.2},
};

clm_model *clm_test_model(clm_test_net net) {
    clm_model *model = NULL;
    CLM_TEST_OK(clm_model_parse(&model, nets[net].json, NULL));
    return model;
}

clm_meta_options clm_test_options(clm_test_net net, const clm_test_algorithm *algorithm, int tasks, int steps) {
    static const double weights[] = {0.5, 0.25, 1.5, 0.75, 1, 2, 0.5, 0.125};
    const clm_test_algorithm *a = algorithm ? algorithm : &clm_test_algorithms[0];
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    ck_assert_int_le(steps, (int)(sizeof weights / sizeof *weights));
    o.tasks = tasks;
    o.task.support = 6;
    o.task.query = 5;
    o.task.steps = steps;
    o.task.inner_lr = nets[net].inner_lr;
    o.task.loss.name = nets[net].loss;
    o.task.first_order = a->first_order;
    o.task.rates = a->rates;
    if (a->sum) o.task.loss.reduction = CLM_REDUCE_SUM;
    if (a->sum) o.task.inner_lr /= o.task.support;
    if (a->multi_step) o.task.step_weights = weights;
    if (a->head_only) o.task.adapt = &nets[net].head;
    if (a->head_only) o.task.n_adapt = 1;
    return o;
}

void clm_test_randomise(clm_meta *meta, const clm_model *model, const clm_meta_options *options, uint64_t seed) {
    clm_random r = clm_random_make(seed, 1);
    clm_test_vector v = clm_test_values(meta, model);
    size_t n = clm_model_param_elements(model);
    for (size_t e = 0; e < v.n; e++) {
        if (e < n)
            v.data[e] += 0.3 * clm_random_normal(&r);
        else
            v.data[e] = options->task.inner_lr * (0.5 + clm_random_uniform(&r));
    }
    clm_test_set_values(meta, model, v.data);
    clm_test_vector_free(&v);
}

clm_meta *clm_test_meta(clm_device *device, const clm_model *model, const clm_meta_options *options, uint64_t seed) {
    clm_meta *meta = NULL;
    CLM_TEST_OK(clm_meta_create(&meta, device, model, options));
    clm_test_randomise(meta, model, options, seed);
    return meta;
}

/* ---- batches ---- */

clm_test_batch clm_test_batch_make(const clm_model *model, const clm_meta_options *options, uint64_t seed) {
    clm_random r = clm_random_make(seed, 2);
    clm_shape in = clm_model_in_shape(model), out = clm_model_out_shape(model);
    bool labels = strcmp(options->task.loss.name, "cross-entropy") == 0;
    size_t x = clm_shape_size(&in), y = labels ? 1 : clm_shape_size(&out);
    clm_test_batch b;
    for (int i = 0; i < 4; i++) {
        size_t examples = (size_t)options->tasks * (size_t)(i < 2 ? options->task.support : options->task.query);
        b.count[i] = examples * (i % 2 ? y : x);
        b.data[i] = calloc(b.count[i], sizeof *b.data[i]);
        for (size_t e = 0; e < b.count[i]; e++)
            b.data[i][e] =
                i % 2 && labels ? (float)clm_random_below(&r, (uint32_t)out.dim[out.rank - 1]) : (float)clm_random_normal(&r);
    }
    b.batch = (clm_batch){.support_x = b.data[0], .support_y = b.data[1], .query_x = b.data[2], .query_y = b.data[3]};
    return b;
}

void clm_test_batch_free(clm_test_batch *batch) {
    for (int i = 0; i < 4; i++) free(batch->data[i]);
}

/* ---- vectors ---- */

void clm_test_vector_free(clm_test_vector *v) {
    free(v->data);
    *v = (clm_test_vector){0};
}

static double *extend(clm_test_vector *v, size_t n) {
    v->data = realloc(v->data, (v->n + n + 1) * sizeof *v->data);
    v->n += n;
    return v->data + v->n - n;
}

static void append(clm_test_vector *v, clm_meta *meta, clm_quantity what, size_t index) {
    size_t n = clm_meta_quantity_size(meta, what, index);
    if (n) CLM_TEST_OK(clm_meta_read(meta, what, index, extend(v, n)));
}

clm_test_vector clm_test_gradient(clm_meta *meta, const clm_model *model) {
    clm_test_vector v = {0};
    for (size_t i = 0; i < clm_model_param_count(model); i++) append(&v, meta, CLM_Q_GRAD, i);
    for (size_t i = 0; i < clm_model_param_count(model); i++) append(&v, meta, CLM_Q_RATE_GRAD, i);
    return v;
}

clm_test_vector clm_test_values(clm_meta *meta, const clm_model *model) {
    clm_test_vector v = {0};
    for (size_t i = 0; i < clm_model_param_count(model); i++)
        CLM_TEST_OK(clm_meta_get_param(meta, i, extend(&v, clm_shape_size(&clm_model_param(model, i)->shape))));
    for (size_t i = 0; i < clm_model_param_count(model); i++)
        if (clm_meta_rate_size(meta, i)) CLM_TEST_OK(clm_meta_get_rate(meta, i, extend(&v, clm_meta_rate_size(meta, i))));
    return v;
}

void clm_test_set_values(clm_meta *meta, const clm_model *model, const double *values) {
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        CLM_TEST_OK(clm_meta_set_param(meta, i, values));
        values += clm_shape_size(&clm_model_param(model, i)->shape);
    }
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        if (clm_meta_rate_size(meta, i)) CLM_TEST_OK(clm_meta_set_rate(meta, i, values));
        values += clm_meta_rate_size(meta, i);
    }
}

clm_test_vector clm_test_results(clm_meta *meta, const clm_model *model, bool adapted) {
    static const clm_quantity whole[] = {CLM_Q_SUPPORT_LOSS, CLM_Q_QUERY_LOSS, CLM_Q_QUERY_LOGITS, CLM_Q_SUPPORT_ACCURACY,
                                         CLM_Q_QUERY_ACCURACY};
    clm_test_vector v = {0};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) append(&v, meta, whole[i], 0);
    for (size_t i = 0; adapted && i < clm_model_param_count(model); i++) append(&v, meta, CLM_Q_ADAPTED, i);
    return v;
}

double clm_test_meta_loss(clm_meta *meta) {
    clm_test_vector v = {0};
    double sum = 0;
    append(&v, meta, CLM_Q_QUERY_LOSS, 0);
    for (size_t i = 0; i < v.n; i++) sum += v.data[i];
    sum /= (double)v.n;
    clm_test_vector_free(&v);
    return sum;
}

void clm_test_expect_same(const clm_test_vector *a, const clm_test_vector *b, const char *what) {
    ck_assert_msg(a->n == b->n, "%s: %zu numbers against %zu", what, a->n, b->n);
    if (a->n == 0) return; /* such as the losses of inner steps of an algorithm that makes none */
    ck_assert_msg(memcmp(a->data, b->data, a->n * sizeof *a->data) == 0, "%s: not the same bits; they differ by %.3g", what,
                  clm_test_difference(a->data, b->data, a->n));
}

void clm_test_expect_close(const clm_test_vector *a, const clm_test_vector *b, double tolerance, const char *what) {
    ck_assert_msg(a->n == b->n, "%s: %zu numbers against %zu", what, a->n, b->n);
    double difference = clm_test_difference(a->data, b->data, a->n);
    ck_assert_msg(difference <= tolerance, "%s: they differ by %.3g, more than %.1g", what, difference, tolerance);
    ck_assert_msg(clm_test_norm(a->data, a->n) > 0, "%s: all zeros", what);
}

/* ---- devices ---- */

clm_device *clm_test_open(int index) { return index == 0 ? clm_test_open_host() : clm_test_open_opencl(); }
double clm_test_rounding(int device_index) { return device_index == 0 ? 1e-12 : 1e-5; }

clm_test_counts clm_test_counted;
static clm_backend counting;
static const clm_backend *counted_backend;

static clm_status counting_alloc(clm_device *d, size_t elements, clm_mem **out) {
    clm_test_counted.allocations++;
    if (elements > clm_test_counted.largest) clm_test_counted.largest = elements;
    *out = NULL;
    if (clm_test_counted.fail_at && clm_test_counted.allocations == clm_test_counted.fail_at)
        return clm_fail(CLM_E_MEMORY, "this allocation was made to fail");
    return counted_backend->alloc(d, elements, out);
}

static clm_status counting_make(clm_device *d, const clm_launch *launch, clm_kernel **out) {
    clm_test_counted.launches_made++;
    return counted_backend->make(d, launch, out);
}

static clm_status counting_enqueue(clm_device *d, clm_kernel *kernel) {
    clm_test_counted.launches++;
    return counted_backend->enqueue(d, kernel);
}

static clm_status counting_finish(clm_device *d) {
    clm_test_counted.waits++;
    return counted_backend->finish(d);
}

static clm_status counting_write(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *f32,
                                 const double *f64) {
    clm_test_counted.transfers++;
    clm_test_counted.waits++;
    return counted_backend->write(d, mem, offset, count, f32, f64);
}

static clm_status counting_read(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *f32, double *f64) {
    clm_test_counted.transfers++;
    clm_test_counted.waits++;
    return counted_backend->read(d, mem, offset, count, f32, f64);
}

static clm_status counting_write_later(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *data) {
    clm_test_counted.transfers++;
    return counted_backend->write_later(d, mem, offset, count, data);
}

static clm_status counting_read_later(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *data) {
    clm_test_counted.transfers++;
    return counted_backend->read_later(d, mem, offset, count, data);
}

static clm_status counting_copy(clm_device *d, clm_mem *from, size_t from_offset, clm_mem *to, size_t to_offset, size_t count) {
    clm_test_counted.transfers++;
    return counted_backend->copy(d, from, from_offset, to, to_offset, count);
}

static clm_status counting_fill(clm_device *d, clm_mem *mem, size_t offset, size_t count, double value) {
    clm_test_counted.transfers++;
    return counted_backend->fill(d, mem, offset, count, value);
}

void clm_test_count(clm_device *device) {
    clm_test_counted = (clm_test_counts){0};
    if (device->backend == &counting) return;
    counted_backend = device->backend;
    counting = *device->backend;
    counting.alloc = counting_alloc;
    counting.make = counting_make;
    counting.enqueue = counting_enqueue;
    counting.finish = counting_finish;
    counting.write = counting_write;
    counting.read = counting_read;
    if (counting.write_later) counting.write_later = counting_write_later;
    if (counting.read_later) counting.read_later = counting_read_later;
    counting.copy = counting_copy;
    counting.fill = counting_fill;
    device->backend = &counting;
}
