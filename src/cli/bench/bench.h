/* The parts of `clmaml bench`: work items (items.c), their run here (run.c), what the machine can do (peaks.c, blas.c) and
 * does while an item is timed (yardstick.c), the same work in other programs (peers.c), the first call (first.c), latencies in
 * use (latency.c), reinforcement learning (navigation.c), several processes (scaling.c), the table and JSON (report.c). */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <jansson.h>

#include "base/common.h"
#include "base/process.h"

typedef struct bench_settings {
    char json[CLI_PATH_MAX], device[CLI_PATH_MAX], python[CLI_PATH_MAX], blas[CLI_PATH_MAX], peers[CLI_PATH_MAX];
    int64_t rounds, tasks, chunk, memory_limit, blas_turns;
    int checkpointing;
    double tune_plans, peer_seconds;
    bool force, no_peers, no_peaks, cold, profile, first_call, blas_peak, scaling;
} bench_settings;

/* ---- work items ---- */

typedef struct bench_item {
    const char *name;
    int filters, channels, size;          /* Conv-4 on square images; filters 0: the sine perceptron 1-40-40-1 */
    int ways, shots, query, steps, tasks; /* shots and query: examples of a class */
    bool first_order, learner;            /* learner: adaptation and prediction alone */
    double inner_lr;
    bool latency; /* what a user of a trained model waits for: latency.c */
    bool policy;  /* reinforcement learning: navigation.c; of the fields above steps, tasks and inner_lr count */
    bool strided; /* convolutions of stride 2 and a mean at the end, instead of pooling */
} bench_item;

extern const bench_item bench_items[];
extern const size_t bench_item_count;
const bench_item *bench_item_find(const char *name); /* NULL: none, and a usage mistake is recorded */

/* One item ready to run: the same numbers on every machine. */
typedef struct bench_problem {
    bench_item item; /* with the settings' changes */
    clm_model *model;
    size_t support, query; /* examples of a task */
    float *data[4];        /* support x, y, query x, y of all tasks */
    size_t count[4];
} bench_problem;

clm_status bench_problem_make(bench_problem *problem, const bench_item *item, const bench_settings *settings);
void bench_problem_free(bench_problem *problem);
/* What decides the work: tasks, examples, steps, loss. */
void bench_problem_options(const bench_problem *problem, clm_meta_options *options);
clm_batch bench_problem_batch(const bench_problem *problem);
/* Parameter i at the start, outside layout; `out` holds its size. */
void bench_problem_param(const bench_problem *problem, size_t i, double *out);

/* ---- our side ---- */

typedef struct bench_run {
    const bench_problem *problem;
    clm_device *device;
    clm_meta *meta;       /* or */
    clm_learner *learner; /* for items that only adapt */
    double *output;       /* of the learner */
    double flops, traffic;
    size_t launches, bytes; /* of a step; of device memory */
    clm_meta_plan plan;     /* of a meta-step */
} bench_run;

/* Opens the device, plans, allocates and builds. */
clm_status bench_run_start(bench_run *run, const bench_problem *problem, const bench_settings *settings);
clm_status bench_run_step(bench_run *run);
/* What the others must get from the same weights and data, written to a file they read. Changes nothing. */
clm_status bench_run_expected(bench_run *run, const char *path);
void bench_run_end(bench_run *run);

/* ---- times ---- */

enum { BENCH_MAX_SAMPLES = 4096 };

typedef struct bench_times {
    double ms[BENCH_MAX_SAMPLES];
    size_t count;
} bench_times;

void bench_times_add(bench_times *times, double ms);
double bench_times_median(bench_times *times); /* sorts; NAN when empty */
double bench_times_min(bench_times *times);
/* How many steps in one turn: half a second's worth, at least one. */
int bench_burst(double step_ms);

/* ---- what is going on ---- */

/* A line on a terminal's stderr in place of the last one. Elsewhere nothing is said. */
void bench_say(const char *format, ...) CLI_PRINTF(1, 2);
void bench_say_nothing(void); /* takes it away; before anything is printed */

/* ---- peers ---- */

enum { BENCH_MAX_PEERS = 8 };
/* Relative errors that two computations in floats may have. The gradient: one comparison of a pooling window or a rectifier that goes the
 * other way by rounding changes it by percents; a gradient of the first order instead of the second is off by far more. */
#define BENCH_MAX_LOSS_ERROR 5e-3
#define BENCH_MAX_GRAD_ERROR 0.1

typedef struct bench_peer {
    cli_process *child;
    char script[32], key[48]; /* file; name in JSON */
    char name[128];           /* as it calls itself: version, threads */
    char problem[256];        /* why it does not run; "": it does */
    bool missing;             /* it is not installed */
    double loss, loss_error, grad_error, peak_bytes;
    int burst;
    bench_times *times;
} bench_peer;

typedef struct bench_peers {
    bench_peer peer[BENCH_MAX_PEERS];
    size_t count;
    char folder[CLI_PATH_MAX]; /* "": none yet */
} bench_peers;

/* CLM_E_ARG: a word of --peers that no peer's name begins with. */
clm_status bench_peers_check(const char *wanted);
/* Starts all that suit the item, the device and --peers; each reads the file at `problem`, computes what it expects and warms up. */
clm_status bench_peers_start(bench_peers *peers, const bench_settings *settings, const bench_problem *problem,
                             clm_device_type device, const char *folder);
/* A turn of one of them, which may take so many seconds. */
void bench_peer_turn(bench_peer *peer, double patience);
/* Asks for their memory and ends them. */
void bench_peers_end(bench_peers *peers);
void bench_peers_free(bench_peers *peers);

/* ---- what the machine can do ---- */

enum { BENCH_MAX_GEMM = 8 };

typedef struct bench_gemm {
    char by[144]; /* whose product, in which variant */
    double gflops;
    int size; /* n of n x n x n */
} bench_gemm;

typedef struct bench_peaks {
    bench_gemm gemm[BENCH_MAX_GEMM];
    size_t n_gemm;
    double gflops;                     /* the best of them */
    size_t best;                       /* whose that is */
    double bandwidth, bandwidth_bytes; /* bytes per second; of one of the three arrays */
    char core_type[32];                /* OPENBLAS_CORETYPE that was best; "": the library's own choice */
    bool has_blas;
} bench_peaks;

clm_status bench_peaks_measure(bench_peaks *peaks, clm_device *device, const bench_settings *settings);
void bench_blas_measure(bench_peaks *peaks, const bench_settings *settings);
/* --blas-peak: times the BLAS library in this process and prints a line of JSON. */
clm_status bench_blas_print(const bench_settings *settings);
/* --blas-turns N: times products of N x N by N x N for a turn whenever a line arrives, and answers with a line of JSON. */
clm_status bench_blas_turns(const bench_settings *settings);
/* Starts such a process for the library, kernels and size that were the fastest. */
clm_status bench_blas_start(cli_process **out, const bench_peaks *peaks, const bench_settings *settings);

/* Seconds of single runs of a matrix product by this library, for a turn. */
typedef struct bench_product bench_product;
clm_status bench_product_start(bench_product **out, const char *device, int size);
clm_status bench_product_turn(bench_product *product, bench_times *times);
void bench_product_end(bench_product *product); /* NULL is allowed */

/* ---- what the machine does while an item is timed ---- */

/* The fastest matrix product found, timed in turns with the steps: speed that changes meanwhile changes both. Start from {0}. */
typedef struct bench_yardstick {
    const bench_gemm *gemm; /* NULL: there is none */
    cli_process *child;     /* of the BLAS library, or */
    bench_product *product; /* on the device */
    bench_times *times;     /* of single products */
} bench_yardstick;

enum { BENCH_TURN_MS = 330 }; /* of products */

clm_status bench_yardstick_start(bench_yardstick *y, const bench_peaks *peaks, const bench_settings *settings);
/* A turn; the best rate becomes the peak if it is better. A process that ends takes no further turn. */
clm_status bench_yardstick_turn(bench_yardstick *y, bench_peaks *peaks);
/* Arithmetic per second of the product by the median of its times; of the peaks where there was no turn. */
double bench_yardstick_gflops(bench_yardstick *y, const bench_peaks *peaks);
void bench_yardstick_end(bench_yardstick *y);

/* ---- the first call, in a process of its own ---- */

typedef struct bench_first {
    bool done;
    double seconds;    /* from the start of the process to the end of the first step */
    double peak_bytes; /* resident at most */
    size_t built;      /* OpenCL programs built from source */
} bench_first;

/* --first-call: makes one step of the item and prints a line of JSON. */
clm_status bench_first_print(const bench_item *item, const bench_settings *settings);
/* Starts such a process; cold: with empty kernel caches. */
clm_status bench_first_measure(bench_first *first, const bench_item *item, const bench_settings *settings, bool cold);

/* ---- latency ---- */

/* Times what is waited for in use, prints its lines, and adds its entry to the items. */
clm_status bench_latency(const bench_item *item, const bench_settings *settings, json_t *items);

/* ---- reinforcement learning ---- */

/* Times iterations and those of the peers, prints its lines, and adds its entry to the items. folder: an empty one for the peers. */
clm_status bench_navigation(const bench_item *item, const bench_settings *settings, const char *folder, json_t *items);

/* ---- several processes ---- */

/* Times the items' steps on more and more of the ranks that a launcher has started, and prints a table. */
clm_status bench_scaling(const bench_item *const *items, size_t count, const bench_settings *settings);

/* ---- report ---- */

/* Milliseconds with as many digits as are worth reading. */
cli_text bench_ms_text(double ms);

typedef struct bench_result {
    const bench_problem *problem;
    const bench_run *run;
    bench_peaks *peaks;
    bench_yardstick *yardstick;
    bench_peers *peers;
    bench_times *times;
    double host_seconds, wall_seconds; /* of the steps timed: of the calling thread without its waits, in all */
    double device_bytes;
    bench_first warm, cold;
} bench_result;

/* The lines of peers that are installed; ours: milliseconds of a step. */
void bench_report_peers(bench_peers *peers, double ours, int tasks);
json_t *bench_json_times(bench_times *times);
json_t *bench_json_peers(bench_peers *peers, double ours);
void bench_report_peaks(const bench_peaks *peaks);
void bench_report_head(void);
void bench_report_item(bench_result *result);
json_t *bench_json_peaks(const bench_peaks *peaks);
json_t *bench_json_item(bench_result *result);

#endif
