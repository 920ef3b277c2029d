/* The examination of a device. It runs in a process of its own, prints lines and counts what is wrong (checks.h). The command
 * (cmd_doctor.c) passes the lines on, tells how the process ended, and writes the report (report.h). */
#ifndef CLI_EXAMINE_H
#define CLI_EXAMINE_H

/* `clmaml --examine-device SPEC|"" details|brief [quick]`: exit status 0 when all is well, 1 when something is off, 3 when the
 * device does not open. */
int cli_doctor_examine(int argc, char **argv);
enum { CLI_EXAMINE_NOT_OPEN = 3 };

#endif
