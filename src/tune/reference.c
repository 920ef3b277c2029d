/* Single elements of the results of heavy operations in double precision, by the formulas of ops/conv.h and ops/matmul.c,
 * written apart from the operations' own references. */
#include <math.h>

#include "ops/conv.h"
#include "tune/internal.h"

/* Where output position o meets tap k in x, or -1. */
static int meets(int o, int stride, int pad, int k, int dilation, int stretch, int size) {
    const int s = o * stride - pad + k * dilation;
    return s < 0 || s % stretch != 0 || s / stretch >= size ? -1 : s / stretch;
}

static double correlation(const clm_problem *p, const float *x, const float *w, size_t at) {
    const clm_conv_geometry c = clm_conv_geometry_of(&p->node, &p->in[0], &p->in[1]);
    const int co = (int)(at % (size_t)c.co), ox = (int)(at / (size_t)c.co % (size_t)c.ow);
    const int oy = (int)(at / (size_t)c.co / (size_t)c.ow % (size_t)c.oh),
              n = (int)(at / (size_t)c.co / (size_t)c.ow / (size_t)c.oh);
    const int cig = c.ci / c.groups, from = co / (c.co / c.groups) * cig;
    double sum = 0;
    for (int ky = 0; ky < c.kh; ky++) {
        const int iy = meets(oy, c.sh, c.ph, ky, c.dh, c.uh, c.h);
        for (int kx = 0; kx < c.kw && iy >= 0; kx++) {
            const int ix = meets(ox, c.sw, c.pw, kx, c.dw, c.uw, c.w);
            for (int k = 0; k < cig && ix >= 0; k++)
                sum += (double)x[(((size_t)n * (size_t)c.h + (size_t)iy) * (size_t)c.w + (size_t)ix) * (size_t)c.ci +
                                 (size_t)(from + k)] *
                       w[((size_t)(ky * c.kw + kx) * (size_t)cig + (size_t)k) * (size_t)c.co + (size_t)co];
        }
    }
    return sum;
}

static double filter(const clm_problem *p, const float *x, const float *y, size_t at) {
    const clm_conv_geometry c = clm_conv_geometry_of(&p->node, &p->in[0], &p->in[1]);
    const int cig = c.ci / c.groups, co = (int)(at % (size_t)c.co), k = (int)(at / (size_t)c.co % (size_t)cig);
    const int tap = (int)(at / (size_t)c.co / (size_t)cig), ci = co / (c.co / c.groups) * cig + k;
    double sum = 0;
    for (int n = 0; n < c.n; n++)
        for (int oy = 0; oy < c.oh; oy++) {
            const int iy = meets(oy, c.sh, c.ph, tap / c.kw, c.dh, c.uh, c.h);
            for (int ox = 0; ox < c.ow && iy >= 0; ox++) {
                const int ix = meets(ox, c.sw, c.pw, tap % c.kw, c.dw, c.uw, c.w);
                if (ix < 0) continue;
                sum +=
                    (double)x[(((size_t)n * (size_t)c.h + (size_t)iy) * (size_t)c.w + (size_t)ix) * (size_t)c.ci + (size_t)ci] *
                    y[(((size_t)n * (size_t)c.oh + (size_t)oy) * (size_t)c.ow + (size_t)ox) * (size_t)c.co + (size_t)co];
            }
        }
    return sum;
}

static double product(const clm_problem *p, const float *a, const float *b, size_t at) {
    const clm_shape *y = &p->node.shape, *sa = &p->in[0].shape, *sb = &p->in[1].shape;
    const bool ta = p->node.attr.i[0], tb = p->node.attr.i[1];
    const size_t m = (size_t)y->dim[y->rank - 2], n = (size_t)y->dim[y->rank - 1];
    const size_t k = (size_t)sa->dim[sa->rank - (ta ? 2 : 1)], batch = at / (m * n), i = at / n % m, j = at % n;
    if (sa->rank > 2) a += batch * m * k;
    if (sb->rank > 2) b += batch * k * n;
    double sum = 0;
    for (size_t t = 0; t < k; t++) sum += (double)a[ta ? t * m + i : i * k + t] * b[tb ? j * k + t : t * n + j];
    return sum;
}

double clm_problem_element(const clm_problem *p, const float *a, const float *b, int task, size_t at) {
    static const struct {
        clm_opcode op;
        double (*element)(const clm_problem *p, const float *a, const float *b, size_t at);
    } table[] = {{CLM_OP_CONV2D, correlation},
                 {CLM_OP_CONV2D_BWD_DATA, correlation},
                 {CLM_OP_CONV2D_BWD_FILTER, filter},
                 {CLM_OP_MATMUL, product}};
    if (p->in[0].per_task) a += (size_t)task * clm_shape_size(&p->in[0].shape);
    if (p->in[1].per_task) b += (size_t)task * clm_shape_size(&p->in[1].shape);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].op == p->node.op) return table[i].element(p, a, b, at);
    return NAN; /* nothing equals it: an operation without a line here is never tuned */
}
