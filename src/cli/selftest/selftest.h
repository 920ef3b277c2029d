/* A short test of a device: some operations in one program, and a meta-gradient of second order, against the host reference.
 *
 * It finds compilers and drivers that compute something else, not every fault: `clmaml doctor` tries all there is. */
#ifndef CLI_SELFTEST_H
#define CLI_SELFTEST_H

#include "base/common.h"

typedef struct cli_selftest_listener {
    void (*step)(void *user, const char *text);                                 /* what comes next; NULL: not told */
    void (*finding)(void *user, bool good, const char *name, const char *text); /* one for each thing that is compared */
    void *user;
} cli_selftest_listener;

/* A device that reports an error has failed at what it was asked for; the test itself does not fail. */
void cli_selftest_run(clm_device *device, clm_device *host, const cli_selftest_listener *listener);

/* The child's side, `clmaml --test-device SPEC`: exit status 0 when all is right, 1 when something is wrong, 3 when the
 * device does not open. Prints a line before each step, and one for each wrong finding. */
int cli_selftest_child(int argc, char **argv);
enum { CLI_SELFTEST_NOT_OPEN = 3 };
#define CLI_SELFTEST_WRONG "wrong " /* begins the line of a finding */

#endif
