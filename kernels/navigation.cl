/* 2-D navigation (src/policy/environment.c has the same): an item moves one trajectory of a task by one time step.
 *
 * state [4]: time, 1 while the episode lasts, the place. The noise of an action is the block of Philox 4x32-10 whose counter is
 * (time, trajectory, task, phase) under the key `seed`; control holds seed, first task and phase as words. Rows behind the end
 * of an episode are written too: nothing of an earlier episode stays. */
#define SPEED 0.1f
#define REACH 0.01f

static uint4 noise_block(uint4 c, uint2 key) {
    for (int round = 0; round < 10; round++) {
        const uint high = mul_hi(c.s0, 0xD2511F53u), low = c.s0 * 0xD2511F53u;
        const uint high2 = mul_hi(c.s2, 0xCD9E8D57u), low2 = c.s2 * 0xCD9E8D57u;
        c = (uint4)(high2 ^ c.s1 ^ key.s0, low2, high ^ c.s3 ^ key.s1, low);
        key += (uint2)(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

static float2 noise_pair(uint4 counter, uint2 key) {
    const uint4 words = noise_block(counter, key);
    const float u = ((float)(words.s0 >> 9) + 0.5f) * 0x1p-23f, v = ((float)(words.s1 >> 9) + 0.5f) * 0x1p-23f;
    const float radius = sqrt(-2.0f * log(u));
    return (float2)(radius * cospi(2.0f * v), radius * sinpi(2.0f * v));
}

__kernel void navigation_reset(OUT(state), OUT(observation), const int trajectories) {
    const int i = (int)get_global_id(0), task = (int)get_global_id(2);
    if (i >= trajectories) return;
    __global float *const s = PTR(state, task) + 4 * i;
    s[0] = 0.0f;
    s[1] = 1.0f;
    for (int k = 0; k < 2; k++) {
        s[2 + k] = 0.0f;
        PTR(observation, task)[2 * i + k] = 0.0f;
    }
}

__kernel void navigation_step(OUT_SHARED(state), OUT(observation), OUT(x), OUT(y), OUT(reward), OUT(alive), IN(mean),
                              IN(log_std), IN(goal), IN(control), const int trajectories, const int horizon) {
    const int i = (int)get_global_id(0), task = (int)get_global_id(2);
    if (i >= trajectories) return;
    __global float *const s = PTR(state, task) + 4 * i;
    __global const uint *const words = (__global const uint *)PTR(control, 0);
    const int time = (int)s[0], row = i * horizon + time;
    const float lives = s[1];
    const float2 z = noise_pair((uint4)((uint)time, (uint)i, words[2] + (uint)task, words[3]), (uint2)(words[0], words[1]));
    const float noise[2] = {z.s0, z.s1};
    float place[2], far[2];
    for (int k = 0; k < 2; k++) {
        const float action = PTR(mean, task)[2 * i + k] + exp(PTR(log_std, task)[k]) * noise[k];
        place[k] = s[2 + k] + (lives > 0.0f ? SPEED * clamp(action, -1.0f, 1.0f) : 0.0f);
        far[k] = place[k] - PTR(goal, task)[k];
        PTR(x, task)[2 * row + k] = s[2 + k];
        PTR(y, task)[3 * row + k] = lives > 0.0f ? action : 0.0f;
        PTR(observation, task)[2 * i + k] = s[2 + k] = place[k];
    }
    const float distance = sqrt(far[0] * far[0] + far[1] * far[1]);
    PTR(reward, task)[row] = lives > 0.0f ? -distance : 0.0f;
    PTR(alive, task)[row] = lives;
    s[0] = (float)(time + 1);
    s[1] = lives > 0.0f && distance >= REACH ? 1.0f : 0.0f;
}
