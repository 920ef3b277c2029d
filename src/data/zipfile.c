/* Opening and reading, and what helps when libzip cannot. */
#include "data/zipfile.h"

#include <stdbool.h>

#include "base/files.h"
#include "base/memory.h"

/* Deflate makes at most 1032 bytes of one; other methods more, of what is all alike. */
enum { ALWAYS = 1 << 20, BYTES_OF_A_BYTE = 4096, STEP = 1 << 16 };

clm_status clm_zip_open(zip_t **out, const char *path) {
    int code = 0;
    uint64_t size;
    int64_t changed;
    *out = NULL;
    if (clm_path_exists(path)) CLM_TRY(clm_file_measure(path, &size, &changed)); /* libzip waits for a pipe */
    *out = zip_open(path, ZIP_RDONLY, &code);
    if (*out) return CLM_OK;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const bool broken = code == ZIP_ER_NOZIP || code == ZIP_ER_INCONS || code == ZIP_ER_EOF || code == ZIP_ER_SEEK;
    clm_status status =
        clm_fail(broken ? CLM_E_FORMAT : CLM_E_IO, "%s: %s (%s)", path,
                 broken ? "not a whole zip file; fetch it again" : "cannot be opened", zip_error_strerror(&error));
    zip_error_fini(&error);
    return status;
}

static clm_status refuse_entry(zip_t *zip, const char *path, const char *name) {
    static const struct {
        int code;
        const char *remedy;
    } remedies[] = {{ZIP_ER_COMPNOTSUPP, "pack it again with Deflate"},
                    {ZIP_ER_NOPASSWD, "it is encrypted; pack it again without a password"},
                    {ZIP_ER_WRONGPASSWD, "it is encrypted; pack it again without a password"},
                    {ZIP_ER_ENCRNOTSUPP, "it is encrypted; pack it again without a password"}};
    const int code = zip_error_code_zip(zip_get_error(zip));
    const char *remedy = "fetch the zip file again";
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (remedies[i].code == code) remedy = remedies[i].remedy;
    return clm_fail(CLM_E_FORMAT, "%s: entry %s: %s; %s", path, name, zip_strerror(zip), remedy);
}

/* What is there rather than what the entry claims: memory grows with it. *whole: all that was claimed, and right. */
static clm_status read_whole(zip_file_t *file, size_t size, uint8_t **data, size_t *capacity, bool *whole) {
    size_t length = 0;
    uint8_t beyond;
    *whole = false;
    for (;;) {
        const size_t most = length < STEP ? STEP : 2 * length, step = (size < most ? size : most) - length;
        CLM_TRY(clm_grow(data, capacity, length + step + 1, 1));
        const zip_int64_t got = zip_fread(file, *data + length, step);
        if (got < 0 || (size_t)got > step) return CLM_OK;
        length += (size_t)got;
        if (got == 0 || length == size) break;
    }
    /* Libzip compares the checksum when asked for what comes after the end. */
    *whole = length == size && zip_fread(file, &beyond, 1) == 0;
    return CLM_OK;
}

clm_status clm_zip_read(zip_t *zip, const char *path, zip_uint64_t index, const char *name, uint64_t limit, uint8_t **data,
                        size_t *capacity, size_t *size) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat_index(zip, index, 0, &stat) != 0 || !(stat.valid & ZIP_STAT_SIZE)) return refuse_entry(zip, path, name);
    if (stat.size > limit)
        return clm_fail(CLM_E_LIMIT, "%s: entry %s: too large (%llu bytes; at most %llu are read)", path, name,
                        (unsigned long long)stat.size, (unsigned long long)limit);
    if (!(stat.valid & ZIP_STAT_COMP_SIZE) || (stat.size > ALWAYS && stat.size / BYTES_OF_A_BYTE > stat.comp_size))
        return clm_fail(CLM_E_LIMIT, "%s: entry %s: %llu bytes out of %llu; pack it again with Deflate", path, name,
                        (unsigned long long)stat.size, (unsigned long long)stat.comp_size);
    zip_file_t *file = zip_fopen_index(zip, index, 0);
    if (!file) return refuse_entry(zip, path, name);
    bool whole = false;
    clm_status status = read_whole(file, (size_t)stat.size, data, capacity, &whole);
    if (status == CLM_OK && !whole)
        status = clm_fail(CLM_E_FORMAT, "%s: entry %s is damaged (%s); fetch the zip file again", path, name,
                          zip_error_code_zip(zip_file_get_error(file)) ? zip_file_strerror(file) : "it ends early");
    zip_fclose(file);
    *size = (size_t)stat.size;
    return status;
}
