/* A step within a trust region (Schulman et al. 2015): conjugate gradients solve (F + damping) x = gradient; the step -s x with
 * s_0 = sqrt(2 radius / x . F x) has a KL divergence of the radius, to second order; then s is made shorter until the surrogate
 * has fallen and the KL divergence itself is within the radius. */
#include <math.h>
#include <string.h>

#include "policy/internal.h"

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static clm_status damped_product(const clm_trust *t, const double *v, double *out) {
    CLM_TRY(t->product(t->user, v, out));
    for (size_t i = 0; i < t->n; i++) out[i] += t->damping * v[i];
    return CLM_OK;
}

enum { SOLUTION, RESIDUAL, DIRECTION, PRODUCT, VECTORS };
_Static_assert((int)VECTORS == (int)CLM_TRUST_WORK, "the caller's memory holds all vectors");

/* From x = 0; work: all vectors. A residual of 0 ends it. */
static clm_status solve(const clm_trust *t, const double *gradient, double *const *work, double *relative) {
    double *x = work[SOLUTION], *r = work[RESIDUAL], *d = work[DIRECTION], *product = work[PRODUCT];
    memcpy(r, gradient, t->n * sizeof *r);
    memcpy(d, gradient, t->n * sizeof *d);
    const double whole = dot(r, r, t->n);
    double rest = whole;
    for (int i = 0; i < t->solver_steps && rest > 1e-20 * whole; i++) {
        CLM_TRY(damped_product(t, d, product));
        const double step = rest / dot(d, product, t->n);
        for (size_t k = 0; k < t->n; k++) {
            x[k] += step * d[k];
            r[k] -= step * product[k];
        }
        const double now = dot(r, r, t->n);
        for (size_t k = 0; k < t->n; k++) d[k] = r[k] + now / rest * d[k];
        rest = now;
    }
    *relative = whole > 0 ? sqrt(rest / whole) : 0;
    return CLM_OK;
}

/* Of steps s x from x_0, in `start`, the first that holds; it becomes `at`. */
static clm_status search(const clm_trust *t, const double *direction, double first, double before, double *at, double *trial,
                         clm_trust_report *report) {
    double s = first;
    for (int i = 1; i <= t->search_steps; i++) {
        double surrogate, kl;
        if (i > 1) s *= t->factor;
        for (size_t k = 0; k < t->n; k++) trial[k] = at[k] - s * direction[k];
        CLM_TRY(t->trial(t->user, trial, &surrogate, &kl));
        if (!(surrogate < before && kl <= t->radius)) continue; /* nor where one is not a number */
        memcpy(at, trial, t->n * sizeof *at);
        report->surrogate = surrogate;
        report->kl = kl;
        report->tries = i;
        return CLM_OK;
    }
    return CLM_OK;
}

clm_status clm_trust_step(const clm_trust *t, const double *gradient, double before, double *x, clm_trust_report *report) {
    double *work[VECTORS];
    *report = (clm_trust_report){NAN, NAN, NAN, 0};
    for (size_t i = 0; i < VECTORS; i++) work[i] = t->work + i * t->n;
    memset(work[SOLUTION], 0, t->n * sizeof *t->work);
    CLM_TRY(solve(t, gradient, work, &report->residual));
    /* x . (F + damping) x, without another product: (F + damping) x is what the residual lacks of the gradient */
    const double length = dot(work[SOLUTION], gradient, t->n) - dot(work[SOLUTION], work[RESIDUAL], t->n);
    const double s = sqrt(2 * t->radius / (length + 1e-8));
    return isfinite(s) ? search(t, work[SOLUTION], s, before, x, work[RESIDUAL], report) : CLM_OK;
}
