/* The options of a run as JSON, for runs whose caller gives no note of his own. */
#ifndef CLM_TRAIN_RECORD_H
#define CLM_TRAIN_RECORD_H

#include "clmaml/train.h"

/* What makes the run what it is; free(). NULL with CLM_E_MEMORY recorded. */
char *clm_record_write(const clm_train_options *options);
/* A hash of it, but for how long a schedule is, which may change with the number of updates. 0 with CLM_E_MEMORY recorded. */
uint64_t clm_record_identity(const clm_train_options *options);
/* The same in lines, an option each; free(). */
char *clm_record_lines(const clm_train_options *options);
/* CLM_E_STATE, with what differs, when `text`, from the file `where`, records other options than these. */
clm_status clm_record_check(const char *text, const clm_train_options *options, const char *where);

#endif
