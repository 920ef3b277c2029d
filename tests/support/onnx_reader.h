/* Reads an ONNX file, as far as it takes to see that its graph is sound. */
#ifndef CLM_TEST_ONNX_READER_H
#define CLM_TEST_ONNX_READER_H

#include <stddef.h>

typedef struct clm_test_onnx {
    long long ir, opset;
    size_t nodes, initializers, metadata;
    size_t elements; /* of initialisers that are floats */
    char ops[2048];  /* "Conv BatchNormalization Relu ": of the nodes in order */
    char input[64], output[64], graph[64];
    char meta[4][2][512]; /* keys and values */
} clm_test_onnx;

/* Fails the test when the bytes are no such file: a length that leads out of its message, a node's input that nothing before it makes,
 * a name that is made twice, an output that nothing makes, an initialiser whose bytes do not fit its shape. */
clm_test_onnx clm_test_onnx_read(const unsigned char *data, size_t size);

#endif
