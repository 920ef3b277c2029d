/* The subcommands in the order of --help. A line is all that the program needs to know of one: X(NAME) is
 * `cli_command cli_NAME` of cmd_NAME.c, in a wing. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#define CLI_COMMANDS(X) \
    X(train)            \
    X(eval)             \
    X(sweep)            \
    X(runs)             \
    X(tasks)            \
    X(adapt)            \
    X(predict)          \
    X(pretrained)       \
    X(report)           \
    X(export)           \
    X(algorithms)       \
    X(model)            \
    X(devices)          \
    X(doctor)           \
    X(verify)           \
    X(bench)            \
    X(tune)

#endif
