/* See notes.h. */
#include "data/notes.h"

#include <stdio.h>

#include "base/characters.h"

void clm_note_add_list(clm_text *notes, const char *format, va_list arguments) {
    char line[1024];
    vsnprintf(line, sizeof line, format, arguments);
    clm_printable(line);
    clm_text_add(notes, "%s\n", line);
}

void clm_note_add(clm_text *notes, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    clm_note_add_list(notes, format, arguments);
    va_end(arguments);
}
