/* The environment variables that count, for people. */
#ifndef CLI_ENVIRONMENT_H
#define CLI_ENVIRONMENT_H

#include <stdbool.h>
#include <stdio.h>

/* One line a variable, name and value, with `meanings` a second one; then those of OpenCL implementations that are set, then CLMAML_* that nobody knows. */
void cli_environment_print(FILE *to, bool meanings);

#endif
