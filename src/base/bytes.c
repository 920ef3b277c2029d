/* Amounts of memory. A number, a unit of one letter in either case, and perhaps "B" or "iB", which changes nothing. */
#include "base/bytes.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/number.h"

#define MOST 9007199254740992.0

bool clm_bytes_parse(const char *text, size_t length, uint64_t *bytes) {
    static const char units[] = "KMGT";
    char copy[48];
    const char *end;
    if (length == 0 || length >= sizeof copy || !isdigit((unsigned char)text[0])) return false;
    memcpy(copy, text, length);
    copy[length] = 0;
    if (copy[strspn(copy, "0123456789.KMGTBkmgtib")]) return false; /* neither hexadecimal nor an exponent */
    double value = clm_number_parse(copy, &end);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (unit) {
        for (const char *u = units; u <= unit; u++) value *= 1024;
        end++;
        if (!strcmp(end, "B") || !strcmp(end, "iB")) end += strlen(end);
    }
    if (*end || value > MOST) return false;
    *bytes = (uint64_t)value;
    return true;
}

clm_bytes_name clm_bytes_text(double bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    clm_bytes_name name;
    size_t u = 0;
    for (; bytes >= 1024 && u + 1 < sizeof units / sizeof *units; u++) bytes /= 1024;
    snprintf(name.s, sizeof name.s, u ? "%.1f %s" : "%.0f %s", u ? ceil(bytes * 10) / 10 : bytes, units[u]);
    return name;
}

static clm_status read_variable(const char *name, uint64_t *bytes) {
    const char *text = getenv(name);
    *bytes = 0;
    if (!text || !*text) return CLM_OK;
    if (clm_bytes_parse(text, strlen(text), bytes) && *bytes > 0) return CLM_OK;
    return clm_fail(CLM_E_ARG, "%s: \"%s\" is not an amount of memory such as 512M or 2G", name, text);
}

clm_status clm_memory_limit(uint64_t *bytes) { return read_variable("CLMAML_MEMORY_LIMIT", bytes); }

clm_status clm_host_memory(uint64_t *bytes) {
    CLM_TRY(read_variable("CLMAML_HOST_MEMORY", bytes));
    if (!*bytes) *bytes = clm_physical_memory();
    return CLM_OK;
}
