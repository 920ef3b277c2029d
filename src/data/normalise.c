/* What bytes stand for: a table of 256 numbers, one for each channel where the channels differ. Statistics are counted in whole
 * numbers, so they do not depend on the order. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/image.h"
#include "data/imageset.h"

enum { BYTES = 256 };

/* Calls `add` for the images of the training split, or for all of them where nothing trains. */
static void each_image(const clm_image_set *set, void (*add)(const clm_image_set *set, size_t image, void *to), void *to) {
    const clm_image_split *split = &set->splits[CLM_SPLIT_TRAIN];
    const size_t classes = split->count ? split->count : set->count;
    for (size_t k = 0; k < classes; k++) {
        const clm_image_class *c = &set->classes[split->count ? split->classes[k] : k];
        for (size_t i = 0; i < c->count; i++) add(set, c->first + i, to);
    }
}

static void count_bytes(const clm_image_set *set, size_t image, void *to) {
    const size_t area = (size_t)set->height * (size_t)set->width;
    uint64_t *counts = to; /* [channels][256] */
    const uint8_t *p = set->pixels + image * area * (size_t)set->channels;
    for (int c = 0; c < set->channels; c++, counts += BYTES)
        for (size_t i = 0; i < area; i++) counts[*p++]++;
}

static void find_moments(const uint64_t *counts, double *out_mean, double *out_deviation) {
    double n = 0, sum = 0, squares = 0;
    for (int i = 0; i < BYTES; i++) {
        n += (double)counts[i];
        sum += (double)counts[i] * i / 255.0;
    }
    const double mean = n > 0 ? sum / n : 0;
    for (int i = 0; i < BYTES; i++) squares += (double)counts[i] * (i / 255.0 - mean) * (i / 255.0 - mean);
    const double deviation = n > 0 ? sqrt(squares / n) : 0;
    *out_mean = mean;
    *out_deviation = deviation > 0 ? deviation : 1;
}

/* Mean and deviation of one channel: they are kept where pictures are prepared by them, which have at most three. */
static void keep_moments(clm_image_set *set, int channel, double mean, double deviation) {
    clm_preparation *p = &set->base.preparation;
    if (set->channels <= 3) {
        p->mean[channel] = mean;
        p->deviation[channel] = deviation;
    }
    clm_image_values(mean, deviation, set->values + (size_t)channel * BYTES);
}

static clm_status normalise_bytes(clm_image_set *set) {
    uint64_t *counts = clm_calloc((size_t)set->channels * BYTES, sizeof *counts);
    if (!counts) return CLM_E_MEMORY;
    each_image(set, count_bytes, counts);
    for (int c = 0; c < set->channels; c++) {
        double mean, deviation;
        find_moments(counts + (size_t)c * BYTES, &mean, &deviation);
        keep_moments(set, c, mean, deviation);
    }
    free(counts);
    return CLM_OK;
}

/* Grey has the means over the colours. */
static void use_imagenet(clm_image_set *set) {
    static const double mean[3] = {0.485, 0.456, 0.406}, deviation[3] = {0.229, 0.224, 0.225};
    if (set->channels == 1) {
        keep_moments(set, 0, 0.449, 0.226);
        return;
    }
    for (int c = 0; c < 3; c++) keep_moments(set, c, mean[c], deviation[c]);
}

/* ---- floats: one mean and deviation of a channel, or of a place in a list ---- */

typedef struct moments {
    double *sum, *squares, *mean; /* [channels] */
    double n;
} moments;

static void add_floats(const clm_image_set *set, size_t image, void *to) {
    moments *m = to;
    const size_t area = (size_t)set->height * (size_t)set->width;
    const float *x = set->floats + image * area * (size_t)set->channels;
    for (int c = 0; c < set->channels; c++)
        for (size_t i = 0; i < area; i++, x++) {
            m->sum[c] += (double)*x;
            m->squares[c] += ((double)*x - m->mean[c]) * ((double)*x - m->mean[c]);
        }
    m->n += (double)area;
}

static clm_status normalise_floats(clm_image_set *set) {
    const size_t channels = (size_t)set->channels, area = (size_t)set->height * (size_t)set->width;
    double *memory = clm_calloc(3 * channels, sizeof *memory);
    if (!memory) return CLM_E_MEMORY;
    moments m = {memory, memory + channels, memory + 2 * channels, 0};
    each_image(set, add_floats, &m);
    for (size_t c = 0; c < channels; c++) m.mean[c] = m.n > 0 ? m.sum[c] / m.n : 0;
    memset(m.squares, 0, channels * sizeof *m.squares);
    m.n = 0;
    each_image(set, add_floats, &m);
    for (size_t i = 0; i < set->images * channels * area; i++) {
        const size_t c = i / area % channels;
        const double deviation = m.n > 0 ? sqrt(m.squares[c] / m.n) : 0;
        set->floats[i] = (float)(((double)set->floats[i] - m.mean[c]) / (deviation > 0 ? deviation : 1));
    }
    free(memory);
    return CLM_OK;
}

clm_status clm_image_set_normalise(clm_image_set *set, clm_normalise normalise) {
    if (normalise == CLM_NORMALISE_NONE) return CLM_OK;
    if (set->floats && normalise == CLM_NORMALISE_DATASET) return normalise_floats(set);
    if (set->floats || (normalise == CLM_NORMALISE_IMAGENET && set->channels != 1 && set->channels != 3))
        return clm_fail(CLM_E_ARG,
                        "%s: normalisation by ImageNet's colours is for pictures of bytes in 1 or 3 channels; choose another "
                        "(--normalise none, --normalise dataset)",
                        set->origin);
    free(set->values);
    set->tables = set->channels;
    set->values = clm_calloc((size_t)set->channels * BYTES, sizeof *set->values);
    if (!set->values) return CLM_E_MEMORY;
    if (normalise == CLM_NORMALISE_DATASET) return normalise_bytes(set);
    use_imagenet(set);
    return CLM_OK;
}
