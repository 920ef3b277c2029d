/* The pictures of a catalog, from the cache of an earlier time or decoded. */
#include "data/prepare.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/files.h"
#include "data/decode.h"

static clm_status read_file(void *context, size_t index, char **data, size_t *size) {
    const clm_catalog *c = context;
    char *path = clm_path_join(c->root, c->pictures[index].path);
    const clm_status status = path ? clm_file_read(path, data, size) : CLM_E_MEMORY;
    free(path);
    return status;
}

static char *name_of(void *context, size_t index) {
    const clm_catalog *c = context;
    return clm_path_join(c->root, c->pictures[index].path);
}

/* Three channels to one, in place. */
static void make_grey(clm_prepared *p, size_t images, size_t area) {
    for (size_t i = 0; i < images; i++) {
        uint8_t *to = p->pixels + i * area; /* at or before what is read, pixel by pixel */
        clm_image_luma(p->pixels + i * area * 3, area, to);
    }
    clm_store_shrink(&p->store, CLM_PREPARED_HEADER + images * area);
    p->pixels = p->store.data + CLM_PREPARED_HEADER;
    p->channels = 1;
}

/* Room for the pictures, or a size a side that there would be room for. */
static clm_status make_room(clm_store *store, const clm_catalog *c, const clm_folder_options *o, size_t channels) {
    const double bytes = (double)c->n_pictures * (double)channels * o->size * o->size;
    uint64_t most = 0;
    char *why = NULL;
    int size = o->size;
    const clm_status status =
        bytes < 9e18 ? clm_store_make(store, CLM_PREPARED_HEADER + (uint64_t)bytes, &most, &why) : CLM_E_LIMIT;
    if (status != CLM_E_LIMIT) return status;
    while (size > 4 && CLM_PREPARED_HEADER + (double)c->n_pictures * (double)channels * size * size > (double)most) size--;
    (void)clm_fail(CLM_E_LIMIT, "%s: %zu pictures of %zux%dx%d take %s, %s; size %d would fit", c->root, c->n_pictures,
                   channels, o->size, o->size, clm_bytes_text(bytes).s, why, size);
    free(why);
    return CLM_E_LIMIT;
}

static clm_status prepare(clm_prepared *out, const clm_catalog *c, const clm_folder_options *o) {
    out->channels = o->channels == 1 ? 1 : 3;
    const clm_decoding job = {.count = c->n_pictures,
                              .origin = c->root,
                              .read = read_file,
                              .name = name_of,
                              .context = (void *)(uintptr_t)c,
                              .preparation = {.size = o->size,
                                              .channels = out->channels,
                                              .fit = o->fit,
                                              .invert = o->invert,
                                              .background = o->background},
                              .paper = (uint8_t)o->background,
                              .threads = o->threads,
                              .progress = o->progress,
                              .progress_context = o->context};
    CLM_TRY(make_room(&out->store, c, o, (size_t)out->channels));
    out->pixels = out->store.data + CLM_PREPARED_HEADER;
    CLM_TRY(clm_decode(&job, out->pixels, &out->coloured));
    if (!o->channels && !out->coloured) make_grey(out, c->n_pictures, (size_t)o->size * (size_t)o->size);
    return CLM_OK;
}

clm_status clm_prepare_pictures(clm_prepared *out, const clm_catalog *c, const clm_folder_options *o) {
    *out = (clm_prepared){0};
    const uint64_t key = clm_prepared_key(c, o);
    if (clm_prepared_load(out, key, c->n_pictures, o->size)) return CLM_OK;
    const clm_status status = prepare(out, c, o);
    if (status == CLM_OK) {
        clm_prepared_store(out, key, c->n_pictures, o->size);
        return CLM_OK;
    }
    clm_store_free(&out->store);
    *out = (clm_prepared){0};
    return status;
}
