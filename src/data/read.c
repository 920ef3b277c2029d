/* One picture, prepared as those were that a model was trained on. */
#include <math.h>
#include <stdlib.h>

#include "base/files.h"
#include "base/memory.h"
#include "data/image.h"
#include "data/source.h"

static clm_status check(const clm_preparation *p) {
    if (p->channels != 1 && p->channels != 3)
        return clm_fail(CLM_E_ARG, "preparation: pictures of %d channels: 1 or 3 are possible", p->channels);
    if ((unsigned)p->fit > CLM_FIT_PAD) return clm_fail(CLM_E_ARG, "preparation: no fit %d", (int)p->fit);
    if (p->background < 0 || p->background > 255)
        return clm_fail(CLM_E_ARG, "preparation: a background of %d: 0 (black) to 255 (white) are possible", p->background);
    for (int c = 0; c < p->channels; c++)
        if (!isfinite(p->mean[c]) || !isfinite(p->deviation[c]) || !(p->deviation[c] > 0))
            return clm_fail(CLM_E_ARG, "preparation: mean %g and deviation %g of channel %d", p->mean[c], p->deviation[c], c);
    return clm_source_check_size(p->size);
}

static void fill(const clm_preparation *p, const uint8_t *bytes, float *out) {
    const size_t area = (size_t)p->size * (size_t)p->size;
    for (int c = 0; c < p->channels; c++) {
        float values[256];
        clm_image_values(p->mean[c], p->deviation[c], values);
        for (size_t i = 0; i < area; i++) out[(size_t)c * area + i] = values[bytes[(size_t)c * area + i]];
    }
}

clm_status clm_image_read(const char *path, const clm_preparation *p, float *out) {
    clm_image picture = {0};
    clm_resample scratch = {0};
    uint8_t *bytes = NULL;
    char *data = NULL;
    size_t size = 0;
    clm_status status = check(p);
    if (status != CLM_OK) return status;
    CLM_GOTO(clm_file_read(path, &data, &size));
    if (!(bytes = clm_calloc((size_t)p->channels * (size_t)p->size, (size_t)p->size))) CLM_GOTO(CLM_E_MEMORY);
    status = clm_image_decode(&picture, (const uint8_t *)data, size, (uint8_t)p->background);
    if (status == CLM_OK) status = clm_image_prepare(&scratch, &picture, p, bytes);
    if (status == CLM_E_FORMAT && size && clm_file_kind_of(path) == CLM_FILE_OTHER &&
        clm_picture_kind_of((const uint8_t *)data, size) == CLM_PICTURE_UNKNOWN)
        CLM_GOTO(clm_fail(status, "%s is not a picture (%s are read)", path, clm_picture_kinds()));
    if (status == CLM_E_FORMAT && clm_file_kind_of(path) == CLM_FILE_REFUSED)
        CLM_GOTO(clm_fail(status, "%s: of a kind that is not read (%s are); convert it to PNG", path, clm_picture_kinds()));
    if (status != CLM_OK) CLM_GOTO(clm_fail_in(status, "%s", path));
    fill(p, bytes, out);
out:
    clm_image_free(&picture);
    clm_resample_free(&scratch);
    free(bytes);
    free(data);
    return status;
}
