/* The text of a page as it grows. */
#ifndef CLI_REPORT_PAGE_H
#define CLI_REPORT_PAGE_H

#include "base/common.h"

/* Start from {0}. What fails for lack of memory is remembered, and asked for once, at the end. */
typedef struct page {
    char *text;
    size_t length, capacity;
    bool failed;
} page;

void page_free(page *p);
void page_add(page *p, const char *format, ...) CLI_PRINTF(2, 3);
/* Text of others, harmless in HTML: in an element or in a quoted attribute. */
void page_escape(page *p, const char *text);
void page_base64(page *p, const unsigned char *bytes, size_t size);
/* A score with its interval as people write it: "93.2 ± 0.4 %", "0.0132 ± 0.0021"; "93.2 % (no interval)", as of a single task;
 * "not finite". */
void page_score(page *p, double mean, double half, bool percent);
void page_number(page *p, double value, int digits);
void page_value(page *p, double mean, bool percent);

#endif
