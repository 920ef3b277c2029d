/* Pooling; what each kernel computes stands in src/ops/pool.c. Images N H W C, windows N OH OW C.
 *
 * An item takes ROWS rows of a grid of GRID_ROWS x GRID_COLUMNS, ITEM_W columns and ITEM_C channels of each, VEC channels at a time.
 * The grid is that of the windows, but for the adjoints with windows that overlap, where it is that of the image: every element of
 * the image then looks for the windows it lies in, so that no two items write to one place. Remainders are taken from the quotients
 * that are needed anyway. */
#define FOR_GRID                                                                                                       \
    const int item = get_global_id(0), task = get_global_id(2);                                                        \
    if (item >= ITEMS) return;                                                                                         \
    const int part = item / (C / ITEM_C), block = part / (GRID_COLUMNS / ITEM_W);                                      \
    const int c0 = (item - part * (C / ITEM_C)) * ITEM_C, x0 = (part - block * (GRID_COLUMNS / ITEM_W)) * ITEM_W;      \
    for (int row = block * ROWS, until = min(row + ROWS, GRID_ROWS); row < until; row++)

/* Offsets first .. last - 1 of a window that begins at `from` (may be negative) lie within an image of `size`. */
#if PH == 0 && PW == 0
#define FIRST(from) 0
#define LAST(from, kernel, size) (kernel)
#else
#define FIRST(from) max(0, -(from))
#define LAST(from, kernel, size) min((kernel), (size) - (from))
#endif

#define FOR_WINDOWS                                                                                                    \
    FOR_GRID {                                                                                                         \
        const int n = row / OH, y = (row - n * OH) * SH - PH, image = n * H + y;                                       \
        const int kh_first = FIRST(y), kh_last = LAST(y, KH, H);                                                       \
        for (int ox = x0; ox < x0 + ITEM_W; ox++) {                                                                    \
            const int x = ox * SW - PW;                                                                                \
            const int kw_first = FIRST(x), kw_last = LAST(x, KW, W), in = (image * W + x) * C, out = (row * OW + ox) * C; \
            for (int c = c0; c < c0 + ITEM_C; c += VEC)

#define END_WINDOWS                                                                                                    \
    }                                                                                                                  \
    }

#define FOR_OFFSETS                                                                                                    \
    for (int kh = kh_first; kh < kh_last; kh++)                                                                        \
        for (int kw = kw_first; kw < kw_last; kw++)

__kernel void max_pool_argmax(IN(image_in), OUT(index)) {
    FOR_WINDOWS {
        __global const float *const from = PTR(image_in, task) + in + c;
        vec best = -INFINITY, at = (float)(kh_first * KW + kw_first);
        FOR_OFFSETS {
            const vec v = LOAD(from + (kh * W + kw) * C);
            const vec k = (float)(kh * KW + kw);
            at = ((v <= best) | (best != best)) ? at : k;
            best = ((v <= best) | (best != best)) ? best : v;
        }
        STORE(at, PTR(index, task) + out + c);
    }
    END_WINDOWS
}

__kernel void pool_gather(IN(image_in), IN(index), OUT(y_out)) {
    FOR_WINDOWS {
        __global const float *const from = PTR(image_in, task) + in + c;
        const vec at = LOAD(PTR(index, task) + out + c);
        vec v = 0;
        FOR_OFFSETS v = at == (float)(kh * KW + kw) ? LOAD(from + (kh * W + kw) * C) : v;
        STORE(v, PTR(y_out, task) + out + c);
    }
    END_WINDOWS
}

__kernel void avg_pool(IN(image_in), OUT(y_out)) {
    FOR_WINDOWS {
        __global const float *const from = PTR(image_in, task) + in + c;
        vec sum = 0;
        FOR_OFFSETS sum += LOAD(from + (kh * W + kw) * C);
        STORE(sum * (1.0f / (KH * KW)), PTR(y_out, task) + out + c);
    }
    END_WINDOWS
}

/* What the window gives to its offset (kh, kw). */
#define GIVE_INDEXED(v, at, kh, kw) ((at) == (float)((kh) * KW + (kw)) ? (v) : (vec)0)
#define GIVE_MEAN(v, at, kh, kw) ((v) * (1.0f / (KH * KW)))

#if DISJOINT

/* One window of the image after the other, those that stick out of it with nothing to give. */
#define SPREAD(GIVE, load_index)                                                                                       \
    FOR_GRID {                                                                                                         \
        const int high = (H + KH - 1) / KH, image = row / high, oy = row - image * high;                               \
        for (int ox = x0; ox < x0 + ITEM_W; ox++) {                                                                    \
            const bool whole = (H % KH == 0 || oy < OH) && (W % KW == 0 || ox < OW);                                   \
            const int in = ((image * OH + oy) * OW + ox) * C, out = ((image * H + oy * KH) * W + ox * KW) * C;         \
            for (int c = c0; c < c0 + ITEM_C; c += VEC) {                                                              \
                vec v = 0, at = 0;                                                                                     \
                if (whole) {                                                                                           \
                    v = LOAD(PTR(dy, task) + in + c);                                                                  \
                    load_index;                                                                                        \
                }                                                                                                      \
                for (int kh = 0; kh < KH; kh++)                                                                        \
                    for (int kw = 0; kw < KW; kw++)                                                                    \
                        if ((H % KH == 0 || oy * KH + kh < H) && (W % KW == 0 || ox * KW + kw < W))                    \
                            STORE(GIVE(v, at, kh, kw), PTR(dx, task) + out + (kh * W + kw) * C + c);                   \
            }                                                                                                          \
        }                                                                                                              \
    }

#else

/* Windows o with o * stride <= i + pad < o * stride + kernel, in order. */
#define SPREAD(GIVE, load_index)                                                                                       \
    FOR_GRID {                                                                                                         \
        const int image = row / H, y = row - image * H + PH;                                                           \
        const int oy_first = (max(0, y - KH + 1) + SH - 1) / SH, oy_last = min(OH - 1, y / SH);                        \
        for (int ix = x0; ix < x0 + ITEM_W; ix++) {                                                                    \
            const int x = ix + PW;                                                                                     \
            const int ox_first = (max(0, x - KW + 1) + SW - 1) / SW, ox_last = min(OW - 1, x / SW);                    \
            for (int c = c0; c < c0 + ITEM_C; c += VEC) {                                                              \
                vec sum = 0;                                                                                           \
                for (int oy = oy_first; oy <= oy_last; oy++)                                                           \
                    for (int ox = ox_first; ox <= ox_last; ox++) {                                                     \
                        const int in = ((image * OH + oy) * OW + ox) * C;                                              \
                        const vec v = LOAD(PTR(dy, task) + in + c);                                                    \
                        vec at = 0;                                                                                    \
                        load_index;                                                                                    \
                        sum += GIVE(v, at, y - oy * SH, x - ox * SW);                                                  \
                    }                                                                                                  \
                STORE(sum, PTR(dx, task) + (row * W + ix) * C + c);                                                    \
            }                                                                                                          \
        }                                                                                                              \
    }

#endif

__kernel void pool_scatter(IN(dy), IN(index), OUT(dx)) { SPREAD(GIVE_INDEXED, at = LOAD(PTR(index, task) + in + c)) }

__kernel void avg_pool_bwd(IN(dy), OUT(dx)) { SPREAD(GIVE_MEAN, (void)at) }
