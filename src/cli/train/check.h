/* A run of `train` that is looked at before it is made, for those that make several. */
#ifndef CLI_TRAIN_CHECK_H
#define CLI_TRAIN_CHECK_H

#include "base/common.h"

typedef struct cli_train_facts {
    bool regression; /* a lower score is better */
    bool validates;  /* there are validation tasks; true where the data were not opened */
    int64_t iterations, val_every;
} cli_train_facts;

/* Whether train would begin with these arguments (those after the subcommand's name; their order may change): options, and, if it opens
 * them, data and model. Nothing is written but to caches, and no device is opened. */
clm_status cli_train_check(int argc, char **argv, bool opens, cli_train_facts *facts);

#endif
