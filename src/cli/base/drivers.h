/* OpenCL drivers that crash or hang, kept out of this process.
 *
 * The ICD loader loads every driver that is registered into the process that first asks for OpenCL, so that one broken driver ends all
 * programs, whichever device they want. Here drivers are tried in processes of their own first, and the loader is told to leave out
 * those that did not survive. */
#ifndef CLI_DRIVERS_H
#define CLI_DRIVERS_H

#include "base/common.h"

typedef struct cli_driver {
    char path[CLI_PATH_MAX];    /* of the .icd file */
    char library[CLI_PATH_MAX]; /* that it names */
    char verdict[512];          /* "2 devices", or what went wrong */
    bool left_out;              /* crashed, hung, or does so beside others: not loaded */
    bool suspect;               /* worth a warning */
} cli_driver;

/* Finds the drivers the loader would load. `*out` with free(). None is no failure. */
clm_status cli_drivers_find(cli_driver **out, size_t *count);

/* Tries every driver apart, opening each of its devices, then those that survived together, and sets the environment so that this
 * process loads these alone. Must come before the first use of OpenCL. `*out` (may be empty) with free(). */
clm_status cli_drivers_try(cli_driver **out, size_t *count);

/* clm_device_open behind a trial of the drivers: one process for all, and each apart only if that one did not survive. Drivers that are
 * left out are named in a note. */
clm_status cli_device_open(clm_device **out, const char *spec);
/* "3 drivers are installed, and none offers a device (pocl.icd: 0 devices; ..)": of drivers that were tried. */
void cli_drivers_absence(const cli_driver *list, size_t count, char *text, size_t size);
/* Puts what is known of the drivers that are installed into the message that there is no device; other failures pass. */
clm_status cli_drivers_explain(clm_status status);
/* A mistake where the option asks for parts of a device, for commands that use one whole device. */
clm_status cli_refuse_parts(const char *spec);
/* Says that a list of devices was given to a command that uses one, or parts by the environment. `device` (may be NULL): the one. */
void cli_note_one_device(const char *spec, const clm_device *device);
/* The trial alone, for commands that open several devices. */
void cli_drivers_guard(const char *spec);

/* Seconds that a driver may be silent (CLMAML_PROBE_SECONDS); 0: drivers are not tried. */
clm_status cli_drivers_patience(double *seconds);

/* The child's side, `clmaml --probe-driver LIBRARY [SPEC]`: says on stdout what it is about to do, one line each. */
int cli_drivers_probe(int argc, char **argv);
/* The argument that means "every device" in place of SPEC. */
#define CLI_EVERY_DEVICE "every device"

#endif
