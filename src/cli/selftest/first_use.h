/* A device proves itself before it is used: the short test of selftest.h when a program first meets a device with its driver
 * and with this library. What passed is kept in the cache directory; without one nothing is tested, as it would be again at
 * every start.
 *
 * The test runs in a process of its own, while this one has no device open: a compiler that crashes or hangs is told like a
 * wrong number, and a device that admits one process at a time is tested as well. */
#ifndef CLI_FIRST_USE_H
#define CLI_FIRST_USE_H

#include "base/common.h"

/* cli_device_open, and clm_device_open_all behind a trial of the drivers, with that test. CLM_E_DEVICE: a device fails it.
 * `force`, or the environment's CLMAML_FORCE: no test. */
clm_status cli_tested_open(clm_device **out, const char *spec, bool force);
clm_status cli_tested_open_all(clm_device ***out, size_t *count, const char *spec, bool force);

/* Keeps that a device passed: it was examined by other means. */
void cli_first_use_passed(const clm_device *device);

#endif
