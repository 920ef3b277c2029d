/* Element types of safetensors files: little-endian bytes to double and back, whatever the machine's own order. */
#include "checkpoint/internal.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Whole numbers up to here are exact as doubles. */
static const int64_t exact = INT64_C(1) << 53;

static uint64_t load(const unsigned char *bytes, int size) {
    uint64_t bits = 0;
    for (int i = size; i-- > 0;) bits = bits << 8 | bytes[i];
    return bits;
}

static void store(unsigned char *bytes, int size, uint64_t bits) {
    for (int i = 0; i < size; i++) bytes[i] = (unsigned char)(bits >> (8 * i));
}

static double float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static bool get_f64(const unsigned char *bytes, double *value) {
    uint64_t bits = load(bytes, 8);
    memcpy(value, &bits, sizeof(bits));
    return true;
}

static bool put_f64(double value, unsigned char *bytes) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    store(bytes, 8, bits);
    return true;
}

static bool get_f32(const unsigned char *bytes, double *value) {
    *value = float_of_bits((uint32_t)load(bytes, 4));
    return true;
}

static bool put_f32(double value, unsigned char *bytes) {
    if (isfinite(value) && fabs(value) > FLT_MAX) return false; /* NaN and infinities are kept */
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof(bits));
    store(bytes, 4, bits);
    return true;
}

/* IEEE half: sign, 5 bits of exponent biased by 15, 10 of fraction. */
static bool get_f16(const unsigned char *bytes, double *value) {
    uint32_t bits = (uint32_t)load(bytes, 2);
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double magnitude = exponent == 0    ? ldexp(fraction, -24)
                       : exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                                        : ldexp(fraction + 1024, exponent - 25);
    *value = bits >> 15 ? -magnitude : magnitude;
    return true;
}

static bool get_bf16(const unsigned char *bytes, double *value) {
    *value = float_of_bits((uint32_t)load(bytes, 2) << 16);
    return true;
}

static bool get_i64(const unsigned char *bytes, double *value) {
    uint64_t bits = load(bytes, 8);
    int64_t whole;
    memcpy(&whole, &bits, sizeof(whole));
    *value = (double)whole;
    return whole >= -exact && whole <= exact;
}

static bool put_i64(double value, unsigned char *bytes) {
    if (!(fabs(value) <= (double)exact) || value != floor(value)) return false;
    store(bytes, 8, (uint64_t)(int64_t)value);
    return true;
}

static bool get_i32(const unsigned char *bytes, double *value) {
    uint32_t bits = (uint32_t)load(bytes, 4);
    int32_t whole;
    memcpy(&whole, &bits, sizeof(whole));
    *value = whole;
    return true;
}

static bool get_u8(const unsigned char *bytes, double *value) {
    *value = bytes[0];
    return true;
}

static bool put_u8(double value, unsigned char *bytes) {
    if (!(value >= 0 && value <= 255) || value != floor(value)) return false;
    bytes[0] = (unsigned char)value;
    return true;
}

static bool get_bool(const unsigned char *bytes, double *value) {
    *value = bytes[0];
    return bytes[0] <= 1;
}

static const clm_stored_type types[] = {
    {"F64", 8, get_f64, put_f64}, {"F32", 4, get_f32, put_f32}, {"I64", 8, get_i64, put_i64}, {"U8", 1, get_u8, put_u8},
    {"I32", 4, get_i32, NULL},    {"BOOL", 1, get_bool, NULL},  {"F16", 2, get_f16, NULL},    {"BF16", 2, get_bf16, NULL},
};

const clm_stored_type *clm_stored_type_find(const char *name) {
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, name) == 0) return &types[i];
    return NULL;
}

const char *clm_stored_type_names(void) { return "F64, F32, I64, I32, U8, BOOL, F16, BF16"; }

bool clm_stored_count(const clm_shape *shape, size_t *count) {
    size_t product = 1;
    bool empty = false;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 0) return false;
        if (shape->dim[i] == 0)
            empty = true;
        else if (product > SIZE_MAX / 16 / (size_t)shape->dim[i])
            return false;
        else
            product *= (size_t)shape->dim[i];
    }
    *count = empty ? 0 : product;
    return true;
}
