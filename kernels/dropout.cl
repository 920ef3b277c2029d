/* Masks of dropout by Philox 4x32-10 (Salmon et al. 2011); what is computed stands in src/ops/dropout.c.
 *
 * An item takes ROWS blocks of four elements, the words of one counter. `threshold` and `kept` are the bits of a uint and a float. */
__kernel void dropout_mask(IN(key), OUT(y), const int pass, const int layer, const int threshold, const int kept) {
    const int item = get_global_id(0), task = get_global_id(2);
    if (item >= ITEMS) return;
    __global const float *const part = PTR(key, task);
    const uint low = (uint)part[0] | (uint)part[1] << 16, high = (uint)part[2] | (uint)part[3] << 16;
    const int end = min(item * ROWS + ROWS, BLOCKS);
    for (int block = item * ROWS; block < end; block++) {
        uint c0 = block, c1 = layer, c2 = pass, c3 = 0, k0 = low, k1 = high;
        for (int round = 0; round < 10; round++) {
            const uint a = 0xD2511F53u * c0, a_high = mul_hi(0xD2511F53u, c0);
            const uint b = 0xCD9E8D57u * c2, b_high = mul_hi(0xCD9E8D57u, c2);
            c0 = b_high ^ c1 ^ k0;
            c1 = b;
            c2 = a_high ^ c3 ^ k1;
            c3 = a;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        __global float *const to = PTR(y, task) + 4 * block;
        const float value = as_float(kept);
        const uint least = as_uint(threshold);
        to[0] = c0 < least ? 0.0f : value;
        if (4 * block + 1 < SIZE) to[1] = c1 < least ? 0.0f : value;
        if (4 * block + 2 < SIZE) to[2] = c2 < least ? 0.0f : value;
        if (4 * block + 3 < SIZE) to[3] = c3 < least ? 0.0f : value;
    }
}
