/* The wire format: key = field << 3 | type, with the types 0 varint, 2 length-delimited, 5 four bytes. */
#include "export/protobuf.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { VARINT = 0, DELIMITED = 2, FOUR_BYTES = 5 };

void clm_proto_free(clm_proto *p) {
    free(p->data);
    *p = (clm_proto){0};
}

static void put(clm_proto *p, const void *data, size_t size) {
    if (!size || p->failed) return;
    const size_t need = p->length + size;
    if (need > p->capacity && clm_grow(&p->data, &p->capacity, need > 2 * p->capacity ? need : 2 * p->capacity, 1) != CLM_OK) {
        p->failed = true;
        return;
    }
    memcpy(p->data + p->length, data, size);
    p->length += size;
}

static void put_varint(clm_proto *p, uint64_t value) {
    unsigned char bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (unsigned char)((value & 127) | (value > 127 ? 128 : 0));
    } while (value >>= 7);
    put(p, bytes, n);
}

static void put_key(clm_proto *p, int field, int type) { put_varint(p, (uint64_t)field << 3 | (uint64_t)type); }

static void put_little_endian(clm_proto *p, uint64_t bits, int size) {
    unsigned char bytes[8];
    for (int i = 0; i < size; i++) bytes[i] = (unsigned char)(bits >> (8 * i));
    put(p, bytes, (size_t)size);
}

static void put_float(clm_proto *p, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_little_endian(p, bits, 4);
}

void clm_proto_integer(clm_proto *p, int field, int64_t value) {
    put_key(p, field, VARINT);
    put_varint(p, (uint64_t)value);
}

void clm_proto_float(clm_proto *p, int field, float value) {
    put_key(p, field, FOUR_BYTES);
    put_float(p, value);
}

void clm_proto_bytes(clm_proto *p, int field, const void *data, size_t size) {
    put_key(p, field, DELIMITED);
    put_varint(p, size);
    put(p, data, size);
}

void clm_proto_text(clm_proto *p, int field, const char *text) { clm_proto_bytes(p, field, text, strlen(text)); }

void clm_proto_message(clm_proto *p, int field, clm_proto *inner) {
    p->failed = p->failed || inner->failed;
    clm_proto_bytes(p, field, inner->data, inner->length);
    clm_proto_free(inner);
}

void clm_proto_append(clm_proto *p, clm_proto *more) {
    p->failed = p->failed || more->failed;
    put(p, more->data, more->length);
    clm_proto_free(more);
}

void clm_proto_floats(clm_proto *p, int field, const float *values, size_t n) {
    put_key(p, field, DELIMITED);
    put_varint(p, 4 * (uint64_t)n);
    for (size_t i = 0; i < n; i++) put_float(p, values[i]);
}

void clm_proto_longs(clm_proto *p, int field, const int64_t *values, size_t n) {
    put_key(p, field, DELIMITED);
    put_varint(p, 8 * (uint64_t)n);
    for (size_t i = 0; i < n; i++) put_little_endian(p, (uint64_t)values[i], 8);
}
