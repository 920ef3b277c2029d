/* `clmaml train navigation`: a subject of train with options of its own. */
#ifndef CLI_NAVIGATION_H
#define CLI_NAVIGATION_H

#include "base/options.h"

extern const cli_command cli_train_navigation;

#endif
