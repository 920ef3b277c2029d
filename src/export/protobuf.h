/* Protocol buffers, written: fields one behind the other, a message inside a message as its length and its bytes. After an
 * allocation failure `failed` stays set and nothing is added. */
#ifndef CLM_EXPORT_PROTOBUF_H
#define CLM_EXPORT_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct clm_proto {
    unsigned char *data;
    size_t length, capacity;
    bool failed;
} clm_proto;

void clm_proto_free(clm_proto *p);
void clm_proto_integer(clm_proto *p, int field, int64_t value);
void clm_proto_float(clm_proto *p, int field, float value);
void clm_proto_bytes(clm_proto *p, int field, const void *data, size_t size);
void clm_proto_text(clm_proto *p, int field, const char *text);
/* Takes the inner message over: it is empty afterwards. */
void clm_proto_message(clm_proto *p, int field, clm_proto *inner);
/* The fields of `more` as fields of p; takes it over too. */
void clm_proto_append(clm_proto *p, clm_proto *more);
/* Floats and 64-bit integers as little-endian bytes. */
void clm_proto_floats(clm_proto *p, int field, const float *values, size_t n);
void clm_proto_longs(clm_proto *p, int field, const int64_t *values, size_t n);

#endif
