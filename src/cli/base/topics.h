/* What `clmaml help TOPIC` says. A topic is put together from the tables that the program works with. */
#ifndef CLI_TOPICS_H
#define CLI_TOPICS_H

#include "base/options.h"

/* One of: a paragraph, a list of names, options. A heading stands above any. */
typedef struct cli_topic_part {
    const char *heading, *text; /* either may be NULL */
    const cli_names *names;     /* a line a name; NULL */
    const cli_command *command; /* the options of its `group`; NULL */
    const char *group;
} cli_topic_part;

/* A topic that has the name of a command is a part of that command's help. */
typedef struct cli_topic {
    const char *name, *summary;
    const cli_topic_part *parts;
    size_t n_parts;
} cli_topic;

typedef struct cli_topics {
    const cli_topic *topic;
    size_t count;
} cli_topics;

/* NULL when there is none of that name. */
const cli_topic *cli_topic_find(const cli_topics *topics, const char *name);

/* The whole topic, and its parts alone, as they follow a command's options. */
void cli_topic_print(const cli_topic *topic);
void cli_topic_print_parts(const cli_topic *topic);

#endif
