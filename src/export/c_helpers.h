/* The functions of an exported C file, as texts. */
#ifndef CLM_EXPORT_C_HELPERS_H
#define CLM_EXPORT_C_HELPERS_H

#define CLM_C_HELPERS(X) \
    X(CONV, conv)        \
    X(LINEAR, linear)    \
    X(SCALE, scale)      \
    X(GROUP, group)      \
    X(RMS, rms)          \
    X(SOFTMAX, softmax)  \
    X(MAXPOOL, maxpool)  \
    X(AVGPOOL, avgpool)  \
    X(MEAN, mean)        \
    X(ADD, add)          \
    X(COPY, copy)

typedef enum clm_c_helper {
#define CLM_C_HELPER_ENUM(NAME, name) CLM_C_##NAME,
    CLM_C_HELPERS(CLM_C_HELPER_ENUM)
#undef CLM_C_HELPER_ENUM
        CLM_C_HELPER_COUNT
} clm_c_helper;

extern const char *const clm_c_helpers[CLM_C_HELPER_COUNT];

#endif
