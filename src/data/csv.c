/* Delimiter-separated values, in place: a field is unquoted where it stands, and ended by a 0 where its delimiter was. */
#include "data/csv.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/characters.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"
#include "data/image.h"

static clm_status check_text(const clm_csv *c, size_t size) {
    const char *end = c->text + size;
    size_t line = 1;
    for (const char *at = c->text; at < end;) {
        const size_t n = *at ? clm_character(at, end) : 0;
        if (!n)
            return clm_fail(CLM_E_FORMAT,
                            "%s: line %zu holds a byte of %d, so this is no text in UTF-8; save it as CSV in UTF-8", c->path,
                            line, (int)(unsigned char)*at);
        line += *at == '\n';
        at += n;
    }
    return CLM_OK;
}

/* What has come by mistake. */
static clm_status check_kind(const clm_csv *c, size_t size) {
    if (size > 4 && memcmp(c->text, "PK\3\4", 4) == 0)
        return clm_fail(CLM_E_FORMAT, "%s: a zip file or a spreadsheet, and no text; save it as CSV in UTF-8", c->path);
    if (clm_picture_kind_of((const uint8_t *)c->text, size) != CLM_PICTURE_UNKNOWN && !strchr("BG", *c->text))
        return clm_fail(CLM_E_FORMAT, "%s: a picture, and no table; pictures lie in folders, one for each class", c->path);
    return CLM_OK;
}

/* The delimiter that the first line has most of, outside quotes. */
static char find_delimiter(const clm_csv *c) {
    static const char candidates[] = ",;\t";
    size_t seen[3] = {0}, best = 0;
    bool quoted = false;
    for (const char *at = c->at; at < c->end && (quoted || (*at != '\n' && *at != '\r')); at++) {
        if (*at == '"') quoted = !quoted;
        const char *found = quoted ? NULL : strchr(candidates, *at);
        if (found) seen[found - candidates]++;
    }
    for (size_t i = 1; i < 3; i++)
        if (seen[i] > seen[best]) best = i;
    return candidates[best];
}

/* The text is held in memory, beside the numbers that are made of it. */
static clm_status check_size(const char *path) {
    uint64_t size, memory, most;
    int64_t changed;
    CLM_TRY(clm_file_measure(path, &size, &changed));
    CLM_TRY(clm_host_memory(&memory));
    most = memory / 2;
    if (!memory || size <= most) return CLM_OK;
    return clm_fail(CLM_E_LIMIT, "%s: takes %s, more than half of the memory; a table of %s would fit: use fewer rows", path,
                    clm_bytes_text((double)size).s, clm_bytes_text((double)most).s);
}

clm_status clm_csv_open(clm_csv *c, const char *path) {
    size_t size = 0;
    *c = (clm_csv){.path = path, .next = 1};
    CLM_TRY(check_size(path));
    CLM_TRY(clm_file_read(path, &c->text, &size));
    c->fingerprint = clm_hash_words(CLM_HASH_SEED, c->text, size);
    CLM_TRY(check_kind(c, size));
    CLM_TRY(check_text(c, size));
    if (!(c->fields = clm_calloc(CLM_CSV_COLUMNS, sizeof *c->fields))) return CLM_E_MEMORY;
    c->at = c->text + (strncmp(c->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0);
    c->end = c->text + size;
    c->delimiter = find_delimiter(c);
    return CLM_OK;
}

void clm_csv_close(clm_csv *c) {
    free(c->text);
    free(c->fields);
    *c = (clm_csv){0};
}

/* ---- records ---- */

static bool is_blank(const clm_csv *c, char byte) { return byte == ' ' || (byte == '\t' && c->delimiter != '\t'); }
static bool ends_field(const clm_csv *c, const char *at) {
    return at == c->end || *at == c->delimiter || *at == '\n' || *at == '\r';
}

/* From the opening quote to behind the closing one. */
static clm_status read_quoted(clm_csv *c, char **end_of_text) {
    const size_t began = c->next;
    char *to = ++c->at;
    for (;; c->at++) {
        if (c->at == c->end)
            return clm_fail(CLM_E_FORMAT, "%s: line %zu: the quoted field that begins here has no end; close its quote",
                            c->path, began);
        if (*c->at == '"' && *++c->at != '"') break;
        c->next += *c->at == '\n' || (*c->at == '\r' && c->at[1] != '\n');
        *to++ = *c->at;
    }
    while (c->at < c->end && is_blank(c, *c->at)) c->at++;
    *end_of_text = to;
    if (ends_field(c, c->at)) return CLM_OK;
    return clm_fail(CLM_E_FORMAT, "%s: line %zu has text behind a closing quote; write quotes inside of quoted fields twice",
                    c->path, c->next);
}

static clm_status read_field(clm_csv *c, char **text_end) {
    while (c->at < c->end && is_blank(c, *c->at)) c->at++;
    const bool quoted = c->at < c->end && *c->at == '"';
    char *begin = c->at + quoted, *end = begin;
    if (c->count == CLM_CSV_COLUMNS)
        return clm_fail(CLM_E_LIMIT, "%s: line %zu has more than %d fields, which no table may have; use fewer columns",
                        c->path, c->line, CLM_CSV_COLUMNS);
    if (quoted) {
        CLM_TRY(read_quoted(c, &end));
    } else {
        while (!ends_field(c, c->at)) c->at++;
        for (end = c->at; end > begin && is_blank(c, end[-1]);) end--;
    }
    if (end - begin > CLM_CSV_FIELD)
        return clm_fail(CLM_E_LIMIT, "%s: line %zu has a field of more than %d bytes; is this a table?", c->path, c->line,
                        CLM_CSV_FIELD);
    c->fields[c->count++] = begin;
    *text_end = end;
    return CLM_OK;
}

static void pass_line_end(clm_csv *c) {
    if (c->at == c->end) return;
    c->at += c->at[0] == '\r' && c->at[1] == '\n' ? 2 : 1; /* behind the text there is a 0 */
    c->next++;
}

clm_status clm_csv_next(clm_csv *c, bool *more) {
    while (c->at < c->end && (*c->at == '\n' || *c->at == '\r')) pass_line_end(c);
    c->count = 0;
    c->line = c->next;
    *more = c->at < c->end;
    for (bool last = !*more; !last;) {
        char *end = c->at;
        CLM_TRY(read_field(c, &end));
        last = c->at == c->end || *c->at != c->delimiter;
        if (last)
            pass_line_end(c);
        else
            c->at++;
        *end = 0; /* only now: it may lie on the delimiter */
    }
    return CLM_OK;
}
