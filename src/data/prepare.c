/* The pictures of a catalog, from the cache of an earlier time or decoded. */
#include "data/prepare.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/files.h"
#include "base/memory.h"
#include "data/decode.h"

/* What decoding is given. */
typedef struct job {
    const clm_catalog *catalog;
    clm_prepared *out;
} job;

void clm_prepared_free(clm_prepared *p) {
    for (size_t i = 0; i < p->n_listed && p->lost; i++) free(p->lost[i]);
    free(p->lost);
    clm_store_free(&p->store);
    *p = (clm_prepared){0};
}

clm_status clm_prepared_lose(clm_prepared *p, size_t index, size_t of, const char *why) {
    if (!p->lost && !(p->lost = clm_calloc(of, sizeof *p->lost))) return CLM_E_MEMORY;
    p->n_listed = of;
    if (p->lost[index]) return CLM_OK;
    p->images--;
    return (p->lost[index] = clm_strdup(why)) ? CLM_OK : CLM_E_MEMORY;
}

static clm_status read_file(void *context, size_t index, char **data, size_t *size) {
    const clm_catalog *c = ((const job *)context)->catalog;
    char *path = clm_path_join(c->root, c->pictures[index].path);
    const clm_status status = path ? clm_file_read(path, data, size) : CLM_E_MEMORY;
    free(path);
    return status;
}

static char *name_of(void *context, size_t index) {
    const clm_catalog *c = ((const job *)context)->catalog;
    return clm_path_join(c->root, c->pictures[index].path);
}

static clm_status lose(void *context, size_t index, clm_status status, const char *why) {
    const job *j = context;
    j->out->passing = j->out->passing || status == CLM_E_IO;
    return clm_prepared_lose(j->out, index, j->catalog->n_pictures, why);
}

/* The images that there are, one behind the other. */
static void close_ranks(clm_prepared *p, size_t bytes_of_one) {
    size_t kept = 0;
    for (size_t i = 0; i < p->n_listed; i++) {
        if (p->lost[i]) continue;
        memmove(p->pixels + kept * bytes_of_one, p->pixels + i * bytes_of_one, bytes_of_one);
        kept++;
    }
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
    const size_t area = (size_t)o->size * (size_t)o->size;
    job context = {c, out};
    out->images = c->n_pictures;
    out->channels = o->channels == 1 ? 1 : 3;
    const clm_decoding decoding = {.count = c->n_pictures,
                                   .origin = c->root,
                                   .read = read_file,
                                   .name = name_of,
                                   .lost = lose,
                                   .context = &context,
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
    CLM_TRY(clm_decode(&decoding, out->pixels, &out->coloured));
    if (out->lost) {
        close_ranks(out, area * (size_t)out->channels);
        clm_store_shrink(&out->store, CLM_PREPARED_HEADER + out->images * area * (size_t)out->channels);
        out->pixels = out->store.data + CLM_PREPARED_HEADER;
    }
    if (!o->channels && !out->coloured) make_grey(out, out->images, area);
    return CLM_OK;
}

clm_status clm_prepare_pictures(clm_prepared *out, const clm_catalog *c, const clm_folder_options *o) {
    *out = (clm_prepared){0};
    const uint64_t key = clm_prepared_key(c, o);
    if (clm_prepared_load(out, key, c->n_pictures, o->size)) return CLM_OK;
    const clm_status status = prepare(out, c, o);
    if (status == CLM_OK)
        clm_prepared_store(out, key, o->size);
    else
        clm_prepared_free(out);
    return status;
}
