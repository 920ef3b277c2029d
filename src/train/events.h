/* Rows of a run as TensorBoard reads them: a file of records, each a protocol buffer `Event` between checksums. */
#ifndef CLM_TRAIN_EVENTS_H
#define CLM_TRAIN_EVENTS_H

#include <stdio.h>

#include "clmaml/train.h"

/* What every such file begins with. Errors are the file's (ferror). */
void clm_events_begin(FILE *file, double wall_time);
/* The numbers of a row, those that are finite, each under "metric/kind" such as "loss/train". wall_time: seconds since 1970. */
void clm_events_add(FILE *file, const clm_train_row *row, const char *const *metrics, const char *kind, double wall_time);

#endif
