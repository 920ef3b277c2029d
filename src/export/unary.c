/* Activations as C and as ONNX. NaN comes out as NaN. */
#include <string.h>

#include "export/internal.h"

static const clm_export_unary rows[] = {
    {"relu", "x < 0.0f ? 0.0f : x", {"Relu y x"}},
    {"tanh", "tanhf(x)", {"Tanh y x"}},
    {"sigmoid", "1.0f / (1.0f + expf(-x))", {"Sigmoid y x"}},
    {"gelu",
     "0.5f * x * (1.0f + erff(x * 0.707106781f))",
     {"Mul a x #0.707106781", "Erf b a", "Add c b #1", "Mul d x c", "Mul y d #0.5"}},
    {"silu", "x / (1.0f + expf(-x))", {"Sigmoid a x", "Mul y x a"}},
    {"mish", "x * tanhf((x < 0.0f ? 0.0f : x) + log1pf(expf(-fabsf(x))))", {"Softplus a x", "Tanh b a", "Mul y x b"}},
    {"softplus", "(x < 0.0f ? 0.0f : x) + log1pf(expf(-fabsf(x)))", {"Softplus y x"}},
    {"elu", "x < 0.0f ? p * expm1f(x) : x", {"Elu y x @alpha"}},
    {"leaky_relu", "x < 0.0f ? p * x : x", {"LeakyRelu y x @alpha"}},
    {"hardtanh", "x < -1.0f ? -1.0f : x > 1.0f ? 1.0f : x", {"Clip y x #-1 #1"}},
    {"relu6", "x < 0.0f ? 0.0f : x > 6.0f ? 6.0f : x", {"Clip y x #0 #6"}},
    {"sign", "x < 0.0f ? -1.0f : x > 0.0f ? 1.0f : x", {"Sign y x"}},
    {"round", "rintf(x)", {"Round y x"}},
};

const clm_export_unary *clm_export_unary_find(const char *op) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].op, op) == 0) return &rows[i];
    return NULL;
}
