/* Prepared pictures on disk, CACHE/pictures/KEY: the header and the pixels as they are in memory. An entry that is damaged, cut
 * off or of another time counts as none. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "data/prepare.h"

enum { VERSION = 1 };

typedef struct header {
    char magic[8];
    uint32_t version, channels;
    uint64_t key, images, size, coloured, checksum;
} header;
_Static_assert(sizeof(header) <= CLM_PREPARED_HEADER, "the header fits before the pixels");

static const char magic[8] = {'c', 'l', 'M', 'A', 'M', 'L', 'p', 'x'};

/* By words of eight bytes: as fast as the memory. */
static uint64_t checksum_of(const uint8_t *data, size_t size) {
    uint64_t h = CLM_HASH_SEED, word = 0;
    size_t i = 0;
    for (; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, data + i, sizeof word);
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return clm_hash(h, data + i, size - i);
}

static uint64_t hash_number(uint64_t hash, uint64_t number) { return clm_hash(hash, &number, sizeof number); }

uint64_t clm_prepared_key(const clm_catalog *c, const clm_folder_options *o) {
    const uint64_t made[] = {VERSION,          (uint64_t)o->size, (uint64_t)o->channels,
                             (uint64_t)o->fit, o->invert,         (uint64_t)o->background};
    uint64_t hash = clm_hash_text(CLM_HASH_SEED, clm_version());
    hash = clm_hash(hash, made, sizeof made);
    for (size_t i = 0; i < c->n_pictures; i++) {
        hash = clm_hash_text(hash, c->pictures[i].path);
        hash = hash_number(hash, c->pictures[i].size);
        hash = hash_number(hash, (uint64_t)c->pictures[i].changed);
    }
    return hash;
}

static char *path_of(uint64_t key) {
    char *place = clm_cache_place("pictures");
    char *path = place ? clm_format("%s/%016" PRIx64, place, key) : NULL;
    free(place);
    return path;
}

static bool is_whole(const header *h, const uint8_t *pixels, size_t bytes, uint64_t key, size_t images, int size) {
    if (memcmp(h->magic, magic, sizeof magic) != 0 || h->version != VERSION || h->key != key || h->images != images)
        return false;
    if (h->size != (uint64_t)size || (h->channels != 1 && h->channels != 3)) return false;
    if (bytes != images * h->channels * (size_t)size * (size_t)size) return false;
    return h->checksum == checksum_of(pixels, bytes);
}

bool clm_prepared_load(clm_prepared *out, uint64_t key, size_t images, int size) {
    char *path = path_of(key);
    clm_store store = {0};
    header h;
    bool whole = false;
    if (path && clm_path_exists(path) && clm_store_read(&store, path) == CLM_OK && store.size > CLM_PREPARED_HEADER) {
        memcpy(&h, store.data, sizeof h);
        whole = is_whole(&h, store.data + CLM_PREPARED_HEADER, store.size - CLM_PREPARED_HEADER, key, images, size);
    }
    if (whole) {
        clm_cache_touch(path);
        clm_log_write(CLM_LOG_INFO, "%zu prepared pictures from %s%s", images, path, store.memory ? "" : ", which is mapped");
        *out = (clm_prepared){store, store.data + CLM_PREPARED_HEADER, (int)h.channels, (size_t)h.coloured};
    } else {
        clm_store_free(&store);
    }
    free(path);
    return whole;
}

/* What is in memory is written; what lies in a file already is given its name. */
static clm_status keep(clm_store *store, const char *path, size_t bytes) {
    return store->memory ? clm_file_replace(path, store->data, bytes) : clm_mapping_publish(&store->file, path, bytes);
}

/* One that is larger than all others may be together has to have room all the same. */
static uint64_t limit_for(size_t bytes) {
    return bytes > CLM_CACHE_PICTURES_LIMIT / 2 ? 2 * (uint64_t)bytes : CLM_CACHE_PICTURES_LIMIT;
}

void clm_prepared_store(clm_prepared *p, uint64_t key, size_t images, int size) {
    const size_t bytes = images * (size_t)p->channels * (size_t)size * (size_t)size;
    char *path = path_of(key);
    if (!path) {
        clm_store_hide(&p->store);
        return;
    }
    header h = {.version = VERSION, .channels = (uint32_t)p->channels, .key = key, .images = images, .size = (uint64_t)size};
    memcpy(h.magic, magic, sizeof magic);
    h.coloured = p->coloured;
    h.checksum = checksum_of(p->pixels, bytes);
    memcpy(p->store.data, &h, sizeof h);
    if (keep(&p->store, path, CLM_PREPARED_HEADER + bytes) != CLM_OK)
        clm_log_write(CLM_LOG_INFO, "prepared pictures are not kept: %s", clm_last_error());
    clm_store_hide(&p->store);
    clm_cache_touch(path);
    *strrchr(path, '/') = 0;
    clm_cache_prune(path, limit_for(bytes));
    free(path);
}
