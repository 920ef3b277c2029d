/* Notes of a source, clm_source_notes: lines. All of them are added here. */
#ifndef CLM_DATA_NOTES_H
#define CLM_DATA_NOTES_H

#include <stdarg.h>

#include "base/memory.h"

/* Adds a line. What it names is made printable, so that no name of others ends it and forges another; cut after 1023 bytes. */
void clm_note_add(clm_text *notes, const char *format, ...) CLM_PRINTF(2, 3);
void clm_note_add_list(clm_text *notes, const char *format, va_list arguments);

#endif
