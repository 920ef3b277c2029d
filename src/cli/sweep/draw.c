/* Random values. A value is a function of the seed, the draw's number and the option's name, so that neither more draws nor other
 * options change it: SplitMix64 (Steele, Lea, Flood 2014) of the three, mixed. Numbers have four digits, so that they can be read and
 * written. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweep/sweep.h"

static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* In [0, 1). */
static double uniform(const char *name, uint64_t seed, uint64_t draw) {
    uint64_t h = mix(seed);
    for (; *name; name++) h = mix(h ^ (unsigned char)*name);
    return (double)(mix(h ^ mix(draw)) >> 11) * 0x1p-53;
}

static json_t *whole(double u, bool log_scale, double a, double b) {
    const double x = log_scale ? exp(log(a) + u * (log(b + 1) - log(a))) : a + u * (b - a + 1);
    return json_integer((json_int_t)fmin(fmax(floor(x), a), b));
}

static json_t *real(double u, bool log_scale, double a, double b) {
    char text[32];
    snprintf(text, sizeof text, "%.4g", log_scale ? exp(log(a) + u * (log(b) - log(a))) : a + u * (b - a));
    return json_real(fmin(fmax(strtod(text, NULL), a), b));
}

clm_status sweep_draw(json_t **out, const cli_option *option, const json_t *range, uint64_t seed, uint64_t draw) {
    const double u = uniform(option->name, seed, draw);
    if (json_is_array(range)) {
        *out = json_incref(json_array_get(range, (size_t)(u * (double)json_array_size(range))));
        return CLM_OK;
    }
    const json_t *ends = json_object_get(range, "log-uniform");
    const bool log_scale = ends != NULL;
    if (!ends) ends = json_object_get(range, "uniform");
    const double a = json_number_value(json_array_get(ends, 0)), b = json_number_value(json_array_get(ends, 1));
    *out = option->kind == CLI_REAL ? real(u, log_scale, a, b) : whole(u, log_scale, a, b);
    return *out ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}
