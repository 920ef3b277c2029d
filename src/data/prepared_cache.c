/* Prepared pictures on disk, CACHE/pictures/KEY: the header and the pixels as they are in memory; and, where pictures could not be
 * had, KEY.lost: a line for each of them, its place in the catalog and the reason. An entry that is damaged, cut off or of another
 * time counts as none. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/characters.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/prepare.h"

enum { VERSION = 2 };

typedef struct header {
    char magic[8];
    uint32_t version, channels;
    uint64_t key, images, size, coloured, checksum, lost; /* lost: checksum of the lines; 0: there are none */
} header;
_Static_assert(sizeof(header) <= CLM_PREPARED_HEADER, "the header fits before the pixels");

static const char magic[8] = {'c', 'l', 'M', 'A', 'M', 'L', 'p', 'x'};

static uint64_t checksum_of(const uint8_t *data, size_t size) { return clm_hash_words(CLM_HASH_SEED, data, size); }

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

static bool is_whole(const header *h, const uint8_t *pixels, size_t bytes, uint64_t key, size_t pictures, int size) {
    if (memcmp(h->magic, magic, sizeof magic) != 0 || h->version != VERSION || h->key != key) return false;
    if (h->images > pictures || (h->images < pictures) != (h->lost != 0)) return false;
    if (h->size != (uint64_t)size || (h->channels != 1 && h->channels != 3)) return false;
    if (bytes != h->images * h->channels * (size_t)size * (size_t)size) return false;
    return h->checksum == checksum_of(pixels, bytes);
}

/* ---- what could not be had ---- */

static char *lost_path(const char *path) { return clm_format("%s.lost", path); }

static uint64_t lines_checksum(const char *lines) {
    const uint64_t sum = clm_hash_text(CLM_HASH_SEED, lines);
    return sum ? sum : 1;
}

static clm_status parse_lost(clm_prepared *p, char *lines, size_t pictures) {
    for (char *line = lines, *end; *line; line = end + 1) {
        char *why = NULL;
        const unsigned long long index = strtoull(line, &why, 10);
        if (!(end = strchr(line, '\n')) || why == line || *why != ' ' || index >= pictures) return CLM_E_FORMAT;
        *end = 0;
        CLM_TRY(clm_prepared_lose(p, (size_t)index, pictures, why + 1));
    }
    return CLM_OK;
}

static bool load_lost(clm_prepared *p, const header *h, const char *path, size_t pictures) {
    char *file = lost_path(path), *lines = NULL;
    p->images = pictures;
    bool whole = file && clm_path_exists(file) && clm_file_read(file, &lines, NULL) == CLM_OK &&
                 lines_checksum(lines) == h->lost && parse_lost(p, lines, pictures) == CLM_OK && p->images == h->images;
    if (whole) clm_cache_touch(file);
    free(lines);
    free(file);
    return whole;
}

static bool store_lost(const clm_prepared *p, const char *path, uint64_t *checksum) {
    clm_text lines = {0};
    for (size_t i = 0; i < p->n_listed; i++) {
        if (!p->lost[i]) continue;
        clm_printable(p->lost[i]);
        clm_text_add(&lines, "%zu %s\n", i, p->lost[i]);
    }
    char *file = lost_path(path);
    const bool stored = file && !lines.failed && lines.data && clm_file_replace(file, lines.data, lines.length) == CLM_OK;
    if (stored) *checksum = lines_checksum(lines.data);
    clm_text_free(&lines);
    free(file);
    return stored;
}

/* ---- entries ---- */

bool clm_prepared_load(clm_prepared *out, uint64_t key, size_t pictures, int size) {
    char *path = path_of(key);
    clm_prepared p = {0};
    header h = {.images = 0};
    bool whole = false;
    if (path && clm_path_exists(path) && clm_store_read(&p.store, path) == CLM_OK && p.store.size > CLM_PREPARED_HEADER) {
        memcpy(&h, p.store.data, sizeof h);
        p.pixels = p.store.data + CLM_PREPARED_HEADER;
        whole = is_whole(&h, p.pixels, p.store.size - CLM_PREPARED_HEADER, key, pictures, size);
    }
    p.channels = (int)h.channels;
    p.coloured = (size_t)h.coloured;
    p.images = (size_t)h.images;
    p.checksum = h.checksum;
    if (whole && h.lost) whole = load_lost(&p, &h, path, pictures);
    if (whole) {
        clm_cache_touch(path);
        clm_log_write(CLM_LOG_INFO, "%zu prepared pictures from %s%s", p.images, path,
                      p.store.memory ? "" : ", which is mapped");
        *out = p;
    } else {
        clm_prepared_free(&p);
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

void clm_prepared_store(clm_prepared *p, uint64_t key, int size) {
    const size_t bytes = p->images * (size_t)p->channels * (size_t)size * (size_t)size;
    char *path = p->passing || !p->images ? NULL : path_of(key);
    header h = {.version = VERSION, .channels = (uint32_t)p->channels, .key = key, .images = p->images, .size = (uint64_t)size};
    if (!path || (p->lost && !store_lost(p, path, &h.lost))) {
        clm_store_hide(&p->store);
        free(path);
        return;
    }
    memcpy(h.magic, magic, sizeof magic);
    h.coloured = p->coloured;
    h.checksum = p->checksum = checksum_of(p->pixels, bytes);
    memcpy(p->store.data, &h, sizeof h);
    if (keep(&p->store, path, CLM_PREPARED_HEADER + bytes) != CLM_OK)
        clm_log_write(CLM_LOG_INFO, "prepared pictures are not kept: %s", clm_last_error());
    clm_store_hide(&p->store);
    clm_cache_touch(path);
    *strrchr(path, '/') = 0;
    clm_cache_prune(path, limit_for(bytes));
    free(path);
}
