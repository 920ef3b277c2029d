/* See characters.h. The program sees the library's interface alone, whose own is src/base/characters.c: the two agree. */
#include "base/characters.h"

#include <string.h>

/* RFC 3629. The 0 at the end of a text goes on with no character. */
static size_t bytes_of(const char *at) {
    const unsigned char *b = (const unsigned char *)at;
    const size_t n = *b < 0x80 ? 1 : *b < 0xc2 ? 0 : *b < 0xe0 ? 2 : *b < 0xf0 ? 3 : *b < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((b[i] & 0xc0) != 0x80) return 0;
    const bool too_long = (*b == 0xe0 && b[1] < 0xa0) || (*b == 0xf0 && b[1] < 0x90);
    const bool outside = (*b == 0xed && b[1] > 0x9f) || (*b == 0xf4 && b[1] > 0x8f);
    return too_long || outside ? 0 : n;
}

unsigned cli_character_code(const char *at, size_t bytes) {
    static const unsigned char of_first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned code = (unsigned char)*at & of_first[bytes];
    for (size_t i = 1; i < bytes; i++) code = code << 6 | ((unsigned char)at[i] & 0x3f);
    return code;
}

static bool is_shown(unsigned code) {
    const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    const bool line_or_direction = (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    const bool none = code == 0xfffe || code == 0xffff; /* XML has no such characters */
    return !control && !line_or_direction && !none;
}

size_t cli_character(const char *text, bool *shown) {
    const size_t n = bytes_of(text);
    *shown = n && is_shown(cli_character_code(text, n));
    return n ? n : 1;
}

void cli_make_printable(char *text) {
    bool shown;
    for (size_t n; *text; text += n) {
        n = cli_character(text, &shown);
        if (!shown) memset(text, '?', n);
    }
}
