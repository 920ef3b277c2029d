/* The Hessian-vector product of a function of your own.
 *
 *     f(x) = sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2        (Rosenbrock)
 *
 * f is written once, as operations of a graph; clm_hvp differentiates it twice without ever forming the Hessian. Three starting
 * points are worked on at once, along the task axis. The result is compared with the Hessian worked out by hand.
 *
 * usage: hvp [DEVICE]
 */
#include <clmaml/clmaml.h>
#include <math.h>
#include <stdio.h>

enum { N = 6, TASKS = 3 };

static clm_value rosenbrock(clm_graph *g, clm_value x) {
    clm_shape pairs = clm_shape_of(1, N - 1);
    clm_value left = clm_slice(g, x, (const int32_t[]){0}, pairs), right = clm_slice(g, x, (const int32_t[]){1}, pairs);
    clm_value valley = clm_square(g, clm_sub(g, right, clm_square(g, left)));
    clm_value slope = clm_square(g, clm_affine(g, left, -1, 1));
    return clm_sum_all(g, clm_add(g, clm_scale(g, valley, 100), slope));
}

/* H v, with the Hessian's diagonal and its neighbours as calculus gives them. */
static void by_hand(const double *x, const double *v, double *hv) {
    for (int i = 0; i < N; i++) hv[i] = 0;
    for (int i = 0; i + 1 < N; i++) {
        hv[i] += (1200 * x[i] * x[i] - 400 * x[i + 1] + 2) * v[i] - 400 * x[i] * v[i + 1];
        hv[i + 1] += 200 * v[i + 1] - 400 * x[i] * v[i];
    }
}

/* Plans the product for the device, runs it for x and v [TASKS, N], reads f [TASKS] and hv [TASKS, N]. */
static clm_status compute(clm_device *device, const double *x, const double *v, double *f, double *hv) {
    clm_graph *g = NULL;
    clm_program *program = NULL;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = TASKS;

    clm_status status = clm_graph_create(&g);
    if (status != CLM_OK) return status;
    clm_value vx = clm_input(g, "x", clm_shape_of(1, N), true), vv = clm_input(g, "v", clm_shape_of(1, N), true);
    clm_value out[2] = {rosenbrock(g, vx), CLM_INVALID};
    status = clm_hvp(g, out[0], &vx, &vv, 1, &out[1]);
    if (status == CLM_OK) status = clm_program_create(&program, device, g, out, 2, &options);
    if (status == CLM_OK) status = clm_program_prepare(program);
    if (status == CLM_OK) status = clm_tensor_write_f64(clm_program_tensor(program, vx), x, TASKS * N);
    if (status == CLM_OK) status = clm_tensor_write_f64(clm_program_tensor(program, vv), v, TASKS * N);
    if (status == CLM_OK) status = clm_program_run(program);
    if (status == CLM_OK) status = clm_tensor_read_f64(clm_program_tensor(program, out[0]), f, TASKS);
    if (status == CLM_OK) status = clm_tensor_read_f64(clm_program_tensor(program, out[1]), hv, TASKS * N);
    clm_program_free(program);
    clm_graph_free(g);
    return status;
}

int main(int argc, char **argv) {
    double x[TASKS * N], v[TASKS * N], f[TASKS], hv[TASKS * N], expected[N], worst = 0;
    clm_device *device = NULL;
    for (int i = 0; i < TASKS * N; i++) {
        x[i] = sin(1.0 + 0.7 * i);
        v[i] = cos(0.3 + 1.3 * i);
    }
    clm_status status = clm_device_open(&device, argc > 1 ? argv[1] : NULL);
    if (status == CLM_OK) status = compute(device, x, v, f, hv);
    if (status != CLM_OK) {
        fprintf(stderr, "hvp: %s\n", clm_last_error());
        clm_device_close(device);
        return 1;
    }
    printf("%s\n", clm_device_get_info(device)->name);
    for (int t = 0; t < TASKS; t++) {
        double difference = 0, size = 0;
        by_hand(x + t * N, v + t * N, expected);
        printf("f = %9.4f   H v =", f[t]);
        for (int i = 0; i < N; i++) {
            printf(" %10.3f", hv[t * N + i]);
            difference += (hv[t * N + i] - expected[i]) * (hv[t * N + i] - expected[i]);
            size += expected[i] * expected[i];
        }
        difference = sqrt(difference / size);
        if (!(difference <= worst)) worst = difference; /* a NaN counts as the worst */
        printf("   relative error %.1e\n", difference);
    }
    clm_device_close(device);
    if (!(worst < 1e-5)) {
        fprintf(stderr, "hvp: the product differs from the closed form\n");
        return 1;
    }
    return 0;
}
