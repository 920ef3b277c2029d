/* Protocol buffers: a message is fields, a field its number and a varint, four bytes, or bytes with their length. */
#include "support/onnx_reader.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct bytes {
    const unsigned char *at, *end;
} bytes;

typedef struct field {
    int number;
    unsigned long long value; /* of a varint */
    bytes inner;              /* of a length-delimited field */
} field;

enum { MOST = 512 };
typedef struct names {
    char name[MOST][96];
    size_t n;
} names;

static unsigned long long varint(bytes *b) {
    unsigned long long value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        ck_assert(b->at < b->end);
        const unsigned char byte = *b->at++;
        value |= (unsigned long long)(byte & 127) << shift;
        if (byte < 128) return value;
    }
    ck_abort_msg("a varint of more than ten bytes");
}

static bool next(bytes *b, field *f) {
    if (b->at == b->end) return false;
    const unsigned long long key = varint(b);
    *f = (field){.number = (int)(key >> 3)};
    if ((key & 7) == 0) {
        f->value = varint(b);
        return true;
    }
    ck_assert_msg((key & 7) == 2 || (key & 7) == 5, "field %d of wire type %d", f->number, (int)(key & 7));
    const unsigned long long size = (key & 7) == 5 ? 4 : varint(b);
    ck_assert_msg(size <= (unsigned long long)(b->end - b->at), "field %d of %llu bytes leads out of its message", f->number,
                  size);
    f->inner = (bytes){b->at, b->at + size};
    b->at += size;
    return true;
}

static const char *text(bytes b, char *out, size_t size) {
    ck_assert_uint_lt((size_t)(b.end - b.at), size);
    snprintf(out, size, "%.*s", (int)(b.end - b.at), (const char *)b.at);
    return out;
}

static bool has(const names *n, const char *name) {
    for (size_t i = 0; i < n->n; i++)
        if (strcmp(n->name[i], name) == 0) return true;
    return false;
}

static void add(names *n, const char *name) {
    ck_assert_msg(!has(n, name), "%s is made twice", name);
    ck_assert_uint_lt(n->n, MOST);
    snprintf(n->name[n->n++], sizeof n->name[0], "%.90s", name);
}

static void read_initializer(clm_test_onnx *o, bytes b, names *known) {
    size_t elements = 1, size = 0, type = 0;
    char name[96] = "";
    for (field f; next(&b, &f);) {
        if (f.number == 1) elements *= f.value;
        if (f.number == 2) type = f.value;
        if (f.number == 8) text(f.inner, name, sizeof name);
        if (f.number == 9) size = (size_t)(f.inner.end - f.inner.at);
    }
    ck_assert_msg(type == 1 || type == 7, "%s has the type %zu", name, type);
    ck_assert_msg(size == elements * (type == 1 ? 4 : 8), "%s: %zu bytes for %zu elements", name, size, elements);
    add(known, name);
    o->initializers++;
    if (type == 1) o->elements += elements;
}

static void read_node(clm_test_onnx *o, bytes b, names *known) {
    char name[96], op[64] = "";
    bytes again = b;
    for (field f; next(&b, &f);) {
        if (f.number == 1) ck_assert_msg(has(known, text(f.inner, name, sizeof name)), "nothing makes %s", name);
        if (f.number == 4) text(f.inner, op, sizeof op);
    }
    for (field f; next(&again, &f);)
        if (f.number == 2) add(known, text(f.inner, name, sizeof name));
    const size_t used = strlen(o->ops);
    snprintf(o->ops + used, sizeof o->ops - used, "%s ", op);
    o->nodes++;
}

static void value_name(bytes b, char *name, size_t size) {
    for (field f; next(&b, &f);)
        if (f.number == 1) text(f.inner, name, size);
}

/* Initialisers and the input first, which nodes may use wherever they stand in the file. */
static void read_graph(clm_test_onnx *o, bytes b) {
    static names known;
    bytes again = b;
    known.n = 0;
    for (field f; next(&b, &f);) {
        if (f.number == 2) text(f.inner, o->graph, sizeof o->graph);
        if (f.number == 5) read_initializer(o, f.inner, &known);
        if (f.number == 11) value_name(f.inner, o->input, sizeof o->input);
        if (f.number == 12) value_name(f.inner, o->output, sizeof o->output);
    }
    add(&known, o->input);
    for (field f; next(&again, &f);)
        if (f.number == 1) read_node(o, f.inner, &known);
    ck_assert_msg(has(&known, o->output), "nothing makes the output %s", o->output);
}

clm_test_onnx clm_test_onnx_read(const unsigned char *data, size_t size) {
    clm_test_onnx o = {0};
    bytes b = {data, data + size};
    for (field f; next(&b, &f);) {
        if (f.number == 1) o.ir = (long long)f.value;
        if (f.number == 7) read_graph(&o, f.inner);
        for (field g; f.number == 8 && next(&f.inner, &g);)
            if (g.number == 2) o.opset = (long long)g.value;
        if (f.number != 14) continue;
        ck_assert_uint_lt(o.metadata, 4);
        for (field g; next(&f.inner, &g);) text(g.inner, o.meta[o.metadata][g.number - 1], sizeof o.meta[0][0]);
        o.metadata++;
    }
    return o;
}
