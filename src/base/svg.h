/* What pictures have in common. */
#ifndef CLM_BASE_SVG_H
#define CLM_BASE_SVG_H

#include "base/memory.h"

/* Opens a picture with a title and perhaps (not NULL) a line below it, `left` from the edge; texts of others are harmless. */
void clm_svg_open(clm_text *t, int width, int height, int left, const char *title, const char *subtitle);
/* Closes it and writes it to a file. */
clm_status clm_svg_write(clm_text *t, const char *path);
/* The step of 1, 2 or 5 times a power of ten that makes about `count` ticks. */
double clm_svg_step(double range, int count);

#endif
