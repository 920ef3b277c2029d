/* The environment variables that count, for people. */
#ifndef CLI_ENVIRONMENT_H
#define CLI_ENVIRONMENT_H

#include <stdio.h>

/* One line a variable: name, value, meaning; then those of OpenCL implementations that are set, then CLMAML_* that nobody knows. */
void cli_environment_print(FILE *to);

#endif
