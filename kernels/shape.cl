/* Moving numbers: move (transpose, slice, pad), gather, scatter_add.
 *
 * An item takes ROWS rows of the output and of each COLS elements, VEC at a time. VEC divides the row. Remainders are taken from the
 * quotients that are needed anyway. */
/* Columns first .. last - 1 of rows row .. until - 1 are this item's; a row of the output has `width` elements. */
#define FOR_ROWS(width, rows)                                                                                          \
    const int item = get_global_id(0), parts = ((width) + COLS - 1) / COLS, block = item / parts;                      \
    if (item >= ITEMS) return;                                                                                         \
    const int first = (item - block * parts) * COLS, last = min(first + COLS, width);                                  \
    for (int row = block * ROWS, until = min(row + ROWS, rows); row < until; row++)

/* An index as a whole number; -1 when it points nowhere. */
static int whole(const float v, const int n) { return v >= 0 && v < n ? (int)v : -1; }

#ifdef BASE
/* y[i0..i5] = x[BASE + i0 S0 + .. + i5 S5] inside of LO..HI, else 0; D0..D5 is the shape of y. */
__kernel void move(IN(x), OUT(y)) {
    const int task = get_global_id(2);
    __global const float *const from = PTR(x, task);
    FOR_ROWS(D5, D0 * D1 * D2 * D3 * D4) {
        const int q3 = row / D4, q2 = q3 / D3, q1 = q2 / D2, i0 = q1 / D1;
        const int i4 = row - q3 * D4, i3 = q3 - q2 * D3, i2 = q2 - q1 * D2, i1 = q1 - i0 * D1;
        const bool inside = i0 >= LO0 && i0 < HI0 && i1 >= LO1 && i1 < HI1 && i2 >= LO2 && i2 < HI2 && i3 >= LO3 && i3 < HI3 &&
                            i4 >= LO4 && i4 < HI4;
        const int at = BASE + i0 * S0 + i1 * S1 + i2 * S2 + i3 * S3 + i4 * S4;
        __global float *const to = PTR(y, task) + row * D5;
        for (int i = first; i < last; i += VEC) {
            vec v = 0;
            if (inside && i >= LO5 && i < HI5) v = LOAD(from + (at + i * S5));
            STORE(v, to + i);
        }
    }
}
#endif

#ifdef X_ENTRIES
__kernel void gather(IN(x), IN(index), OUT(y)) {
    const int task = get_global_id(2);
    FOR_ROWS(INNER, OUTER * Y_ENTRIES) {
        const int outer = row / Y_ENTRIES, entry = whole(PTR(index, task)[row - outer * Y_ENTRIES], X_ENTRIES);
        __global const float *const from = PTR(x, task) + (outer * X_ENTRIES + max(entry, 0)) * INNER;
        __global float *const to = PTR(y, task) + row * INNER;
        for (int i = first; i < last; i += VEC) {
            vec v = 0;
            if (entry >= 0) v = LOAD(from + i);
            STORE(v, to + i);
        }
    }
}

/* Each output looks for what is added to it, in order, so that no two items write to one place. */
__kernel void scatter_add(IN(x), IN(index), OUT(y)) {
    const int task = get_global_id(2);
    FOR_ROWS(INNER, OUTER * Y_ENTRIES) {
        const int outer = row / Y_ENTRIES, entry = row - outer * Y_ENTRIES;
        __global const float *const from = PTR(x, task) + outer * X_ENTRIES * INNER;
        __global float *const to = PTR(y, task) + row * INNER;
        for (int i = first; i < last; i += VEC) {
            vec sum = 0;
            for (int j = 0; j < X_ENTRIES; j++)
                if (whole(PTR(index, task)[j], Y_ENTRIES) == entry) sum += LOAD(from + j * INNER + i);
            STORE(sum, to + i);
        }
    }
}
#endif
