/* TensorBoard's event files: record framing of TensorFlow (tensorflow/core/lib/io/record_writer.h), messages Event and Summary
 * (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto), of which a few fields are enough. */
#include "train/events.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Most bytes of an event: CLM_METRIC_COUNT values of less than 80 each and what surrounds them. */
enum { ROOM = 80 * CLM_METRIC_COUNT + 64 };

typedef struct message {
    uint8_t byte[ROOM];
    size_t length;
} message;

/* Field numbers with their wire types in the lowest 3 bits. */
enum {
    EVENT_WALL_TIME = 1 << 3 | 1,
    EVENT_STEP = 2 << 3 | 0,
    EVENT_FILE_VERSION = 3 << 3 | 2,
    EVENT_SUMMARY = 5 << 3 | 2,
    SUMMARY_VALUE = 1 << 3 | 2,
    VALUE_TAG = 1 << 3 | 2,
    VALUE_SIMPLE = 2 << 3 | 5
};

static void put_bytes(message *m, const void *data, size_t size) {
    memcpy(m->byte + m->length, data, size);
    m->length += size;
}

static void put_fixed(message *m, uint64_t bits, size_t size) {
    for (size_t i = 0; i < size; i++) m->byte[m->length++] = (uint8_t)(bits >> 8 * i);
}

static void put_varint(message *m, uint64_t n) {
    for (; n > 127; n >>= 7) m->byte[m->length++] = (uint8_t)(n | 128);
    m->byte[m->length++] = (uint8_t)n;
}

static void put_text(message *m, int field, const void *data, size_t size) {
    put_varint(m, (uint64_t)field);
    put_varint(m, size);
    put_bytes(m, data, size);
}

static message event_at(double wall_time) {
    message m = {.length = 0};
    uint64_t bits;
    memcpy(&bits, &wall_time, sizeof bits);
    put_varint(&m, EVENT_WALL_TIME);
    put_fixed(&m, bits, sizeof bits);
    return m;
}

/* CRC-32C (Castagnoli), masked as the record format has it. */
static uint32_t checksum(const uint8_t *data, size_t size) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void write_record(FILE *file, const message *event) {
    message head = {.length = 0}, tail = {.length = 0};
    put_fixed(&head, event->length, 8);
    put_fixed(&head, checksum(head.byte, 8), 4);
    put_fixed(&tail, checksum(event->byte, event->length), 4);
    fwrite(head.byte, 1, head.length, file);
    fwrite(event->byte, 1, event->length, file);
    fwrite(tail.byte, 1, tail.length, file);
}

void clm_events_begin(FILE *file, double wall_time) {
    static const char version[] = "brain.Event:2";
    message event = event_at(wall_time);
    put_text(&event, EVENT_FILE_VERSION, version, sizeof version - 1);
    write_record(file, &event);
}

void clm_events_add(FILE *file, const clm_train_row *row, const char *const *metrics, const char *kind, double wall_time) {
    message event = event_at(wall_time), summary = {.length = 0};
    for (size_t i = 0; i < CLM_METRIC_COUNT; i++) {
        message value = {.length = 0};
        char tag[64];
        const float number = (float)row->value[i];
        uint32_t bits;
        if (!isfinite(number)) continue;
        const int length = snprintf(tag, sizeof tag, "%s/%s", metrics[i], kind);
        put_text(&value, VALUE_TAG, tag, (size_t)length);
        memcpy(&bits, &number, sizeof bits);
        put_varint(&value, VALUE_SIMPLE);
        put_fixed(&value, bits, sizeof bits);
        put_text(&summary, SUMMARY_VALUE, value.byte, value.length);
    }
    put_varint(&event, EVENT_STEP);
    put_varint(&event, row->iteration);
    put_text(&event, EVENT_SUMMARY, summary.byte, summary.length);
    write_record(file, &event);
}
