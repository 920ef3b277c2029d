/* Topics of the help, on the terminal. */
#include "base/topics.h"

#include <stdio.h>
#include <string.h>

#include "base/lines.h"

const cli_topic *cli_topic_find(const cli_topics *topics, const char *name) {
    for (size_t i = 0; i < topics->count; i++)
        if (strcmp(topics->topic[i].name, name) == 0) return &topics->topic[i];
    return NULL;
}

static void print_part(const cli_topic_part *part) {
    if (part->heading) cli_line(stdout, "\n%s\n", part->heading);
    if (part->text) cli_print_wrapped("", part->text);
    if (part->names) cli_names_print(part->names, 2);
    if (part->command) cli_options_help_group(part->command, part->group);
}

void cli_topic_print_parts(const cli_topic *topic) {
    for (size_t i = 0; i < topic->n_parts; i++) print_part(&topic->parts[i]);
}

void cli_topic_print(const cli_topic *topic) {
    char head[64];
    snprintf(head, sizeof head, "%s: ", topic->name);
    cli_print_wrapped(head, topic->summary);
    if (!topic->parts[0].heading) printf("\n");
    cli_topic_print_parts(topic);
}
