/* The processor's own matrix product, from a BLAS library loaded at run time: the peak that CPU figures are held against.
 *
 * OpenBLAS chooses its kernels when it is loaded, and older ones do not know newer processors and fall back to kernels of another age.
 * So a child process is started for the library's own choice and for every set of kernels that the processor can run
 * (OPENBLAS_CORETYPE), and the best counts. Without such a library there is one row less.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/system.h"
#include "bench/bench.h"

typedef void (*sgemm_fn)(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                         int ldb, float beta, float *c, int ldc);
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111 }; /* of the CBLAS interface */

static const char *const libraries[] = {"libopenblas.so.0", "libopenblas.so", "libopenblas.dylib", "libmkl_rt.so.2",
                                        "libblis.so.4",     "libcblas.so.3",  "libblas.so.3",      NULL};

/* ---- in the child ---- */

typedef struct blas {
    const char *library;
    sgemm_fn sgemm;
    char *(*core_name)(void); /* NULL: not OpenBLAS */
} blas;

static clm_status load(blas *out, const bench_settings *settings) {
    const char *const own[2] = {settings->blas, NULL}, *const *from = settings->blas[0] ? own : libraries;
    int which = 0;
    void *symbol = cli_library_symbol(from, "cblas_sgemm", &which), *core = NULL;
    if (!symbol)
        return cli_fail(CLM_E_IO, "%s has no cblas_sgemm; install OpenBLAS (Debian: apt-get install libopenblas0)",
                        settings->blas[0] ? settings->blas : "no BLAS library that was found");
    *out = (blas){.library = from[which]};
    const char *const same[2] = {out->library, NULL};
    core = cli_library_symbol(same, "openblas_get_corename", NULL);
    memcpy(&out->sgemm, &symbol, sizeof out->sgemm); /* ISO C has no cast from an object to a function */
    if (core) memcpy(&out->core_name, &core, sizeof out->core_name);
    return CLM_OK;
}

/* Three matrices in one piece; NULL: out of memory. */
static float *make_matrices(int n) {
    const size_t count = (size_t)n * (size_t)n;
    float *a = malloc(3 * count * sizeof *a);
    for (size_t i = 0; a && i < 3 * count; i++) a[i] = (float)(i % count % 17) / 17;
    return a;
}

/* Seconds of one product of n x n by n x n. */
static double time_product(const blas *lib, float *a, int n) {
    float *b = a + (size_t)n * (size_t)n, *c = b + (size_t)n * (size_t)n;
    const double start = cli_clock();
    assert(lib->sgemm);
    lib->sgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, n, n, n, 1, a, n, b, n, 0, c, n);
    return cli_clock() - start;
}

static double product_gflops(const blas *lib, int n) {
    float *a = make_matrices(n);
    double best = INFINITY;
    for (double end = cli_clock() + 0.25; a && cli_clock() < end;) best = fmin(best, time_product(lib, a, n));
    free(a);
    return 2.0 * n * n * n / best * 1e-9;
}

static clm_status print_line(json_t *line) {
    char *text = cli_json_text(line, 0);
    if (text) puts(text);
    fflush(stdout);
    free(text);
    json_decref(line);
    return text ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

clm_status bench_blas_print(const bench_settings *settings) {
    static const int sizes[] = {1024, 2048};
    int size = 0;
    double best = 0;
    blas lib = {0};
    CLI_TRY(load(&lib, settings));
    for (size_t i = 0; i < CLI_COUNT(sizes); i++) {
        double gflops = product_gflops(&lib, sizes[i]);
        if (gflops > best) best = gflops, size = sizes[i];
    }
    return print_line(json_pack("{s:s, s:s, s:f, s:i}", "library", lib.library, "core", lib.core_name ? lib.core_name() : "",
                                "gflops", best, "size", size));
}

/* The library's threads go on looking for work for a moment after a product: they must be asleep before others are timed. */
static void let_threads_sleep(void) {
    const struct timespec moment = {0, 60000000};
    nanosleep(&moment, NULL);
}

clm_status bench_blas_turns(const bench_settings *settings) {
    const int n = (int)settings->blas_turns;
    char line[64];
    blas lib = {0};
    CLI_TRY(load(&lib, settings));
    float *a = make_matrices(n);
    clm_status status = a ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
    if (a) time_product(&lib, a, n); /* memory is touched, threads are made */
    while (status == CLM_OK && fgets(line, sizeof line, stdin)) {
        json_t *ms = json_array();
        const double end = cli_clock() + BENCH_TURN_MS * 1e-3;
        do cli_json_append(ms, json_real(time_product(&lib, a, n) * 1e3));
        while (cli_clock() < end);
        let_threads_sleep();
        status = print_line(json_pack("{s:o}", "ms", ms));
    }
    free(a);
    return status;
}

/* ---- in the parent ---- */

/* Kernels of OpenBLAS that this processor can run. */
static size_t core_types(const char **types) {
    size_t n = 0;
    types[n++] = ""; /* its own choice */
#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        types[n++] = "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        types[n++] = "Haswell";
        types[n++] = "Zen";
    }
#endif
    return n;
}

static bool run_child(const bench_settings *settings, const char *type, bench_gemm *gemm, char *core, size_t core_size) {
    char program[CLI_PATH_MAX], variable[64], line[1024];
    const char *argv[6] = {program, "bench", "--blas-peak"}, *environment[2] = {variable, NULL};
    cli_process *child = NULL;
    json_t *answer = NULL;
    cli_program_path(program, sizeof program);
    snprintf(variable, sizeof variable, "OPENBLAS_CORETYPE=%s", type);
    if (settings->blas[0]) argv[3] = "--blas", argv[4] = settings->blas;
    clm_status status = cli_process_start(&child, argv, *type ? environment : NULL);
    if (status == CLM_OK) status = cli_process_receive(child, 120, line, sizeof line);
    cli_process_end(child);
    if (status == CLM_OK) answer = json_loads(line, 0, NULL);
    const char *library = json_string_value(json_object_get(answer, "library"));
    if (status != CLM_OK) cli_forget(); /* no library: a row less */
    if (library) {
        gemm->gflops = json_number_value(json_object_get(answer, "gflops"));
        gemm->size = (int)json_integer_value(json_object_get(answer, "size"));
        snprintf(core, core_size, "%s", json_string_value(json_object_get(answer, "core")));
        snprintf(gemm->by, sizeof gemm->by, "%.80s%s%.20s%s", library, *core ? ", kernels for " : "", core,
                 *type ? " (OPENBLAS_CORETYPE)" : "");
    }
    json_decref(answer);
    return library != NULL;
}

void bench_blas_measure(bench_peaks *peaks, const bench_settings *settings) {
    const char *types[8];
    char core[32], cores[8][32];
    size_t n = core_types(types);
    double best = 0;
    for (size_t i = 0; i < n && peaks->n_gemm < BENCH_MAX_GEMM; i++) {
        bench_gemm *gemm = &peaks->gemm[peaks->n_gemm];
        bool seen = false;
        if (!run_child(settings, types[i], gemm, core, sizeof core)) return;
        peaks->has_blas = true;
        for (size_t k = 0; k < i; k++) seen = seen || strcmp(cores[k], core) == 0;
        snprintf(cores[i], sizeof cores[i], "%s", core);
        if (seen && gemm->gflops <= best) continue; /* the library took kernels that were measured already */
        peaks->n_gemm++;
        if (gemm->gflops > peaks->gflops) peaks->gflops = gemm->gflops, peaks->best = peaks->n_gemm - 1;
        if (gemm->gflops <= best) continue;
        best = gemm->gflops;
        snprintf(peaks->core_type, sizeof peaks->core_type, "%s", types[i]);
        if (!core[0]) break; /* not OpenBLAS: the variable means nothing to it */
    }
}

clm_status bench_blas_start(cli_process **out, const bench_peaks *peaks, const bench_settings *settings) {
    char program[CLI_PATH_MAX], variable[64], size[16];
    const char *argv[7] = {program, "bench", "--blas-turns", size}, *environment[2] = {variable, NULL};
    cli_program_path(program, sizeof program);
    snprintf(variable, sizeof variable, "OPENBLAS_CORETYPE=%s", peaks->core_type);
    snprintf(size, sizeof size, "%d", peaks->gemm[peaks->best].size);
    if (settings->blas[0]) argv[4] = "--blas", argv[5] = settings->blas;
    return cli_process_start(out, argv, peaks->core_type[0] ? environment : NULL);
}
