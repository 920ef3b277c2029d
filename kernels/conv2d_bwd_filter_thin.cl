/* Adjoint of the convolution in its filter, for images of few channels: as conv2d_bwd_filter.cl, but the register tile's rows are all
 * KW * CIG entries of one filter row, so that there are enough of them. They are neighbours in a line of the padded image, which is
 * copied to private memory for that. An item makes FILTER_ROWS neighbouring filter rows, one after the other on the same chunk of
 * CHUNK_Y rows of pixels. With TERMS of 2 the result is the sum of two such adjoints. */
#define CIG (CI / GROUPS)
#define COG (CO / GROUPS)
#define ROWS (KW * CIG)
#define LINE ((OW - 1) * SW + (KW - 1) * DW + 1) /* pixels of a padded line that take part */

__kernel void conv2d_bwd_filter_thin(OUT(w), IN(x), IN(y) SECOND(x2, y2), const int tasks) {
    const int co = (int)get_global_id(0) * NV * VEC, first = (int)get_global_id(1) * FILTER_ROWS, task = (int)get_global_id(2);
    const int last = min(first + FILTER_ROWS, KH);
    if (co >= CO || first >= KH || task >= tasks) return;

    float line[LINE * CIG];
    for (int i = 0; i < LINE * CIG; i++) line[i] = 0.0f;
    vec total[FILTER_ROWS][ROWS][NV];
    for (int k = 0; k < FILTER_ROWS; k++)
#pragma unroll
        for (int m = 0; m < ROWS; m++)
#pragma unroll
            for (int v = 0; v < NV; v++) total[k][m][v] = (vec)(0.0f);

    for (int term = 0; term < TERMS; term++)
        for (int n = 0; n < N; n++)
            for (int from = 0; from < OH; from += CHUNK_Y)
                for (int ky = first; ky < last; ky++) {
                    __global const float *xs = OF_TERM(term, PTR(x, task), PTR(x2, task)) + co / COG * CIG;
                    __global const float *ys = OF_TERM(term, PTR(y, task), PTR(y2, task)) + co;
                    vec sum[ROWS][NV];
#pragma unroll
                    for (int m = 0; m < ROWS; m++)
#pragma unroll
                        for (int v = 0; v < NV; v++) sum[m][v] = (vec)(0.0f);

                    for (int oy = from; oy < min(from + CHUNK_Y, OH); oy++) {
                        const int iy = oy * SH - PH + ky * DH;
                        if (iy < 0 || iy >= H) continue;
                        __global const float *xp = xs + (size_t)(n * H + iy) * W * CI;
                        __global const float *yp = ys + (size_t)(n * OH + oy) * OW * CO;
                        for (int i = 0; i < min(W, LINE - PW); i++)
#pragma unroll
                            for (int c = 0; c < CIG; c++) line[(i + PW) * CIG + c] = xp[i * CI + c];
                        for (int ox = 0; ox < OW; ox++) {
                            vec yv[NV];
#pragma unroll
                            for (int v = 0; v < NV; v++) yv[v] = LOAD(yp + (size_t)ox * CO + v * VEC);
#pragma unroll
                            for (int m = 0; m < ROWS; m++) {
                                const vec xv = (vec)(line[(ox * SW + m / CIG * DW) * CIG + m % CIG]);
#pragma unroll
                                for (int v = 0; v < NV; v++) sum[m][v] += xv * yv[v];
                            }
                        }
                    }
#pragma unroll
                    for (int m = 0; m < ROWS; m++)
#pragma unroll
                        for (int v = 0; v < NV; v++) total[ky - first][m][v] += sum[m][v];
                }

    for (int ky = first; ky < last; ky++)
#pragma unroll
        for (int m = 0; m < ROWS; m++)
#pragma unroll
            for (int v = 0; v < NV; v++)
                STORE(total[ky - first][m][v], PTR(w, task) + (size_t)(ky * ROWS + m) * CO + co + v * VEC);
}
