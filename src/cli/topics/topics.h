/* The topics of the help. */
#ifndef CLI_TOPICS_TOPICS_H
#define CLI_TOPICS_TOPICS_H

#include "base/topics.h"

extern const cli_topics cli_help_topics;

#endif
