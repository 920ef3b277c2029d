/* Inside the tuner: problem.c builds and runs one operation alone, reference.c says what its elements should be, measure.c
 * finds the best choice, tune.c visits programs. */
#ifndef CLM_TUNE_INTERNAL_H
#define CLM_TUNE_INTERNAL_H

#include "clmaml/tune.h"
#include "ops/choice.h"
#include "program/internal.h"
#include "tune/store.h"

/* An operation with its shapes and tasks, out of any graph. */
typedef struct clm_problem {
    clm_node node, in[2];
    int tasks; /* 1 when the result is shared */
    int uses;
    double flops;
    double seconds; /* that the default choice takes; 0: not known */
} clm_problem;

/* All different ones of some programs; free `problems` with free(). */
typedef struct clm_problems {
    clm_problem *problems;
    size_t count, capacity;
} clm_problems;
clm_status clm_problems_collect(clm_problems *c, const clm_program *p);

/* The operation alone on a device, with numbers. */
typedef struct clm_bench {
    clm_device *device;
    const clm_problem *problem;
    clm_tensor *tensor[3]; /* operands, result */
    float *data[3];        /* operands, result last read */
    float *base;           /* a result that was found right, or NULL */
    clm_choice list[CLM_CHOICES_MOST];
    int count, index; /* choices; the one to be lowered */
    double gain;      /* the most that a library is expected to bring (clm_impl.gain); 0: not known */
    char key[512];
} clm_bench;

/* `numbers` false: only what choices there are. */
clm_status clm_bench_open(clm_bench *b, clm_device *device, const clm_problem *problem, bool numbers);
void clm_bench_close(clm_bench *b);
/* A prepared program that computes the result by choice `index`. */
clm_status clm_bench_program(clm_bench *b, int index, clm_program **out);
/* Runs it on a result full of NaN and reads that. */
clm_status clm_bench_run(clm_bench *b, clm_program *program);

/* Element `at` of task `task` of the result, summed in double precision. */
double clm_problem_element(const clm_problem *p, const float *a, const float *b, int task, size_t at);

/* Seconds that the first use of a row with this clm_impl.first_use takes on a device. */
double clm_first_use_seconds(const clm_device *d, int first_use);
/* The time of the default choice, of a warm run or a few. */
clm_status clm_bench_time_default(clm_bench *b, double *seconds);
/* Measures choices for about `seconds` (at least the default one), and fills in the line and the entry to be kept. `only`:
 * choices of this implementation alone, or NULL. */
clm_status clm_bench_measure(clm_bench *b, const char *only, double seconds, clm_tune_line *line, clm_tune_entry *best);

#endif
