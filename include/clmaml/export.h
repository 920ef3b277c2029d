/* An adapted model in the formats of other programs.
 *
 *     clm_archive_load(&archive, "birds.safetensors");          // written by clm_learner_save or `clmaml adapt`
 *     clm_export(archive, "onnx", "birds.onnx", NULL);
 *
 * No device is needed. What comes out computes what clm_learner_predict does, up to rounding: batch-norm has the statistics of
 * the support set, a layer of prototypes is an ordinary last layer, a context has become constants. Inputs are in
 * outside order, [channels, height, width], prepared as the file says; outputs are those of the model, without softmax.
 *
 *   onnx         opset 13: input "input" [N, ..], output "logits" [N, ..]; metadata "clmaml.preparation", "clmaml.classes"
 *   safetensors  a PyTorch state dict, "0.weight", "1.running_mean", ..: of a torch.nn.Sequential of the same layers
 *   c            one C99 file: NAME_predict(input, output), weights as constants, nothing allocated
 *
 * safetensors takes every layer; the others take those of feed-forward networks, and an error names the layer and the formats
 * that have it.
 */
#ifndef CLMAML_EXPORT_H
#define CLMAML_EXPORT_H

#include "checkpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

CLM_API size_t clm_export_format_count(void);
CLM_API const char *clm_export_format_name(size_t i);    /* NULL: no such format */
CLM_API const char *clm_export_format_summary(size_t i); /* what it is, in a few words; NULL: no such format */

typedef struct clm_export_options {
    int version;      /* CLM_EXPORT_OPTIONS_VERSION */
    const char *name; /* what names in C begin with, and the name of the ONNX graph: an identifier of C; NULL: model */
} clm_export_options;
#define CLM_EXPORT_OPTIONS_VERSION 1
#define CLM_EXPORT_OPTIONS_INIT \
    { CLM_EXPORT_OPTIONS_VERSION, NULL }

/* Writes an adapted model to path, whole or not at all; options: NULL for CLM_EXPORT_OPTIONS_INIT. From any thread. CLM_E_ARG:
 * no such format, a name that is none, a model that is not adapted, a layer that the format does not have; CLM_E_FORMAT,
 * CLM_E_SHAPE: the archive lacks what its model needs; CLM_E_NUMERIC: a weight is not finite; CLM_E_IO, CLM_E_MEMORY. */
CLM_API clm_status clm_export(const clm_archive *adapted, const char *format, const char *path,
                              const clm_export_options *options);

#ifdef __cplusplus
}
#endif
#endif
