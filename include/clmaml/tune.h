/* Tuning: measures, on a device, the implementations of the heavy operations (convolutions and matrix products) of programs,
 * and keeps the fastest in the cache directory, where programs that are created later find them.
 *
 * A candidate is first run on random numbers and compared, element by element with the default and in samples with sums in
 * double precision; one whose error is more than 5 times that of the direct implementation, or that fails in any other way, is
 * dropped. What is left is timed, and taken if it is at least 3 % faster than the default.
 *
 * Results are kept for the device with its driver, the library's kernels, the operation with its shapes and attributes, and the
 * number of tasks rounded up to a power of two. A program of another number of tasks takes the parameters of the nearest one.
 *
 * Which implementation computes an operation shows in the last bits of results. The choice is the same for all numbers of
 * tasks, and is made again only when asked for, so runs repeat and resume bit by bit until then.
 */
#ifndef CLMAML_TUNE_H
#define CLMAML_TUNE_H

#include "comm.h"
#include "program.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What was found for one operation or plan. Texts are valid during the call. */
typedef struct clm_tune_line {
    const char *operation;    /* "conv2d [5, 14, 14, 64]* [3, 3, 64, 64]* -> ..", * meaning per task */
    int tasks, uses;          /* of the task axis; in the programs */
    const char *default_text; /* "direct nv=4 rows=5 x=1 run=14" */
    const char *best_text;
    double default_seconds, best_seconds; /* of one launch for all tasks */
    double flops;                         /* of it */
    int candidates, tried, failed;        /* offered; run; dropped because wrong or not to be built */
    bool known;                           /* from an earlier tuning: nothing was measured */
    bool plan;                            /* of a whole meta-gradient, not of an operation: see clm_meta_tune */
} clm_tune_line;

typedef enum clm_tune_what { CLM_TUNE_ALL, CLM_TUNE_OPERATIONS, CLM_TUNE_PLANS } clm_tune_what;

typedef struct clm_tune_options {
    int version;        /* CLM_TUNE_OPTIONS_VERSION */
    double budget;      /* seconds in all; what takes most of the arithmetic gets most of it. 0: no limit */
    bool again;         /* measure what is known already */
    clm_tune_what what; /* for clm_meta_tune */
    bool careful;       /* keep what is stored, the implementation of other numbers of tasks included: for tuning on the way */
    void (*progress)(void *user, const clm_tune_line *line); /* may be NULL */
    void *user;
    /* Several processes (comm.h), each with the same programs on a device of its own of one kind and driver, share the
     * operations out; rank 0 measures whole plans while the others wait. All keep what all have found, rank 0 first, so that a
     * cache directory that they share is written once, and rank 0 reports it. Tuning is collective then, and not `careful`.
     * NULL: this one alone. */
    clm_comm *comm;
} clm_tune_options;
#define CLM_TUNE_OPTIONS_VERSION 2
#define CLM_TUNE_OPTIONS_INIT \
    { CLM_TUNE_OPTIONS_VERSION, 0.0, false, CLM_TUNE_ALL, false, NULL, NULL, NULL }

/* Tunes every heavy operation of these programs, which must be of one device; they are not changed: programs created afterwards
 * profit. *changed (may be NULL): how many operations have a choice now that they had not. CLM_E_STATE when results cannot be
 * kept (CLMAML_NO_CACHE, the host reference). */
CLM_API clm_status clm_tune_programs(clm_program *const *programs, size_t n, const clm_tune_options *options, size_t *changed);

/* Gives, line by line, what tuning has found on this device and is faster than the default, as a section of the database of
 * choices that the library comes with (docs/devices.md): to be added to it, or to a file that CLMAML_TUNE_DATABASE names. No line: there
 * is nothing. *kept (may be NULL): operations whose default was not beaten. CLM_E_STATE as above. */
CLM_API clm_status clm_tune_export(clm_device *device, void (*line)(void *user, const char *text), void *user, size_t *kept);

#ifdef __cplusplus
}
#endif
#endif
