/* Models of other things than files of pictures: what each learned from, and what takes it. */
#ifndef CLI_KINDS_H
#define CLI_KINDS_H

#include "base/common.h"

/* CLM_OK where the archive is of pictures in files, prepared in one way. Otherwise CLM_E_ARG: `name`, a run, a checkpoint or an adapted
 * model, is told to be of something else, with what can be done with it. export: by `clmaml export`, which takes adapted models of
 * anything. */
clm_status cli_kinds_check(const clm_archive *archive, const char *name, bool export);

#endif
