/* From the rewards of a task's trajectories to advantages (src/policy/advantage.c says the same in C).
 *
 * Rows are trajectory * horizon + time. The baseline is b . f(row), f the FEATURES = 2 OBSERVATION + 4 features: observation o
 * clipped to +-10, o^2, s, s^2, s^3, 1 with s = time / 100; b solves (F^T F + ridge) b = F^T returns. In floats the solution is
 * refined: `moments` are those of what b leaves, and `solve` adds to b. Sums over rows are sums over trajectories of sums over
 * time: their order is fixed. */
#define FEATURES (2 * OBSERVATION + 4)
#define ENTRIES (FEATURES * (FEATURES + 1) / 2)

static float feature_of(__global const float *x, int feature, int time) {
    const float s = 0.01f * (float)time;
    if (feature < 2 * OBSERVATION) {
        const float o = clamp(x[feature < OBSERVATION ? feature : feature - OBSERVATION], -10.0f, 10.0f);
        return feature < OBSERVATION ? o : o * o;
    }
    const int power = feature - 2 * OBSERVATION;
    return power == 0 ? s : (power == 1 ? s * s : (power == 2 ? s * s * s : 1.0f));
}

static float value_of(__global const float *x, __global const float *b, int time) {
    float value = 0.0f;
    for (int f = 0; f < FEATURES; f++) value += b[f] * feature_of(x, f, time);
    return value;
}

/* Discounted returns, and the plain sum of a trajectory's rewards. */
__kernel void returns(OUT(discounted), OUT(total), IN(reward), IN(alive), const int trajectories,
                      const int horizon, const float discount) {
    const int i = (int)get_global_id(0), task = (int)get_global_id(2);
    if (i >= trajectories) return;
    float later = 0.0f, sum = 0.0f;
    for (int t = horizon - 1; t >= 0; t--) {
        const int row = i * horizon + t;
        const float lives = PTR(alive, task)[row], r = lives > 0.0f ? PTR(reward, task)[row] : 0.0f;
        later = r + discount * later;
        sum += r;
        PTR(discounted, task)[row] = later;
    }
    PTR(total, task)[i] = sum;
}

/* An item: entry (row >= column, in rows) of F^T F over one trajectory. */
__kernel void gram(OUT(part), IN(x), IN(alive), const int trajectories, const int horizon) {
    const int entry = (int)get_global_id(0), i = (int)get_global_id(1), task = (int)get_global_id(2);
    if (entry >= ENTRIES || i >= trajectories) return;
    int a = 0;
    while ((a + 1) * (a + 2) / 2 <= entry) a++;
    const int b = entry - a * (a + 1) / 2;
    float sum = 0.0f;
    for (int t = 0; t < horizon; t++) {
        const int row = i * horizon + t;
        __global const float *const o = PTR(x, task) + row * OBSERVATION;
        if (PTR(alive, task)[row] > 0.0f) sum += feature_of(o, a, t) * feature_of(o, b, t);
    }
    PTR(part, task)[i * ENTRIES + entry] = sum;
}

/* F^T (returns - F b) over one trajectory. */
__kernel void moments(OUT(part), IN(x), IN(alive), IN(discounted), IN(b), const int trajectories, const int horizon) {
    const int f = (int)get_global_id(0), i = (int)get_global_id(1), task = (int)get_global_id(2);
    if (f >= FEATURES || i >= trajectories) return;
    float sum = 0.0f;
    for (int t = 0; t < horizon; t++) {
        const int row = i * horizon + t;
        __global const float *const o = PTR(x, task) + row * OBSERVATION;
        if (PTR(alive, task)[row] > 0.0f)
            sum += feature_of(o, f, t) * (PTR(discounted, task)[row] - value_of(o, PTR(b, task), t));
    }
    PTR(part, task)[i * FEATURES + f] = sum;
}

/* An item: a task's b <- b + the solution for the moments, by a Cholesky factor in `factor`. A feature that those before it
 * determine, as far as floats can tell, has no part. */
__kernel void solve(OUT_SHARED(b), OUT_SHARED(factor), IN(products), IN(right_sides), const int trajectories,
                    const float ridge) {
    const int task = (int)get_global_id(2);
    __global float *const l = PTR(factor, task), *const solution = PTR(b, task);
    float v[FEATURES];
    if (get_global_id(0) > 0) return;
    for (int a = 0; a < FEATURES; a++) {
        float right = -ridge * solution[a], diagonal = 0.0f;
        for (int i = 0; i < trajectories; i++) right += PTR(right_sides, task)[i * FEATURES + a];
        for (int c = 0; c <= a; c++) {
            float sum = a == c ? ridge : 0.0f;
            for (int i = 0; i < trajectories; i++) sum += PTR(products, task)[i * ENTRIES + a * (a + 1) / 2 + c];
            if (a == c) diagonal = sum;
            for (int k = 0; k < c; k++) sum -= l[a * FEATURES + k] * l[c * FEATURES + k];
            if (c < a)
                l[a * FEATURES + c] = sum * l[c * FEATURES + c];
            else /* the reciprocal of the root; 0: no part */
                l[a * FEATURES + a] = sum > 1e-6f * diagonal ? rsqrt(sum) : 0.0f;
            right -= c < a ? l[a * FEATURES + c] * v[c] : 0.0f;
        }
        v[a] = right * l[a * FEATURES + a];
    }
    for (int a = FEATURES - 1; a >= 0; a--) {
        for (int c = a + 1; c < FEATURES; c++) v[a] -= l[c * FEATURES + a] * v[c];
        v[a] *= l[a * FEATURES + a];
    }
    for (int a = 0; a < FEATURES; a++) solution[a] += v[a];
}

/* Generalised advantage estimation along a trajectory; its rows' count, mean, and sum of squared differences from it. */
__kernel void advantages(OUT(advantage), OUT(stats), IN(x), IN(reward), IN(alive), IN(b), const int trajectories,
                         const int horizon, const float discount, const float lambda) {
    const int i = (int)get_global_id(0), task = (int)get_global_id(2);
    if (i >= trajectories) return;
    float later = 0.0f, value_later = 0.0f, count = 0.0f, sum = 0.0f, squares = 0.0f;
    for (int t = horizon - 1; t >= 0; t--) {
        const int row = i * horizon + t;
        if (PTR(alive, task)[row] > 0.0f) {
            const float value = value_of(PTR(x, task) + row * OBSERVATION, PTR(b, task), t);
            later = PTR(reward, task)[row] + discount * value_later - value + discount * lambda * later;
            value_later = value;
            sum += later;
            count += 1.0f;
        }
        PTR(advantage, task)[row] = later;
    }
    const float mean = count > 0.0f ? sum / count : 0.0f;
    for (int t = 0; t < horizon; t++) {
        const int row = i * horizon + t;
        const float d = PTR(advantage, task)[row] - mean;
        if (PTR(alive, task)[row] > 0.0f) squares += d * d;
    }
    PTR(stats, task)[3 * i] = count;
    PTR(stats, task)[3 * i + 1] = mean;
    PTR(stats, task)[3 * i + 2] = squares;
}

/* Mean 0 and deviation 1 over the task's rows; into y, behind the actions, times rows / count, and the weight 1 / count. */
__kernel void normalise(OUT(y), OUT(weight), IN(advantage), IN(stats), IN(alive), const int trajectories, const int horizon) {
    const int i = (int)get_global_id(0), task = (int)get_global_id(2);
    float count = 0.0f, mean = 0.0f, squares = 0.0f;
    if (i >= trajectories) return;
    for (int k = 0; k < trajectories; k++) {
        const float n = PTR(stats, task)[3 * k], d = PTR(stats, task)[3 * k + 1] - mean;
        if (!(n > 0.0f)) continue;
        squares += PTR(stats, task)[3 * k + 2] + d * d * (count * n / (count + n));
        mean += d * (n / (count + n));
        count += n;
    }
    const float scale = 1.0f / (sqrt(squares / count) + 1e-8f), rows = (float)(trajectories * horizon);
    for (int t = 0; t < horizon; t++) {
        const int row = i * horizon + t;
        const float lives = PTR(alive, task)[row];
        PTR(y, task)[(ACTION + 1) * row + ACTION] =
            lives > 0.0f ? (PTR(advantage, task)[row] - mean) * scale * (rows / count) : 0.0f;
        PTR(weight, task)[row] = lives > 0.0f ? 1.0f / count : 0.0f;
    }
}
