/* See characters.h. src/cli/base/characters.c is the same for the program, which sees the library's interface alone. */
#include "base/characters.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* RFC 3629. */
size_t clm_character(const char *at, const char *end) {
    const unsigned char *b = (const unsigned char *)at;
    const size_t n = *b < 0x80 ? 1 : *b < 0xc2 ? 0 : *b < 0xe0 ? 2 : *b < 0xf0 ? 3 : *b < 0xf5 ? 4 : 0;
    if (n == 0 || (size_t)(end - at) < n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((b[i] & 0xc0) != 0x80) return 0;
    const bool too_long = (*b == 0xe0 && b[1] < 0xa0) || (*b == 0xf0 && b[1] < 0x90);
    const bool outside = (*b == 0xed && b[1] > 0x9f) || (*b == 0xf4 && b[1] > 0x8f);
    return too_long || outside ? 0 : n;
}

static uint32_t code_of(const char *at, size_t bytes) {
    static const unsigned char of_first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (unsigned char)*at & of_first[bytes];
    for (size_t i = 1; i < bytes; i++) code = code << 6 | ((unsigned char)at[i] & 0x3f);
    return code;
}

static bool is_shown(uint32_t code) {
    const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    const bool line_or_direction = (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    const bool none = code == 0xfffe || code == 0xffff; /* XML has no such characters */
    return !control && !line_or_direction && !none;
}

void clm_printable(char *text) {
    const char *end = text + strlen(text);
    for (size_t n; *text; text += n) {
        n = clm_character(text, end);
        if (!n || !is_shown(code_of(text, n))) memset(text, '?', n += !n);
    }
}
