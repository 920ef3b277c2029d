/* The parts of an examination, one a file. */
#ifndef CLI_PARTS_H
#define CLI_PARTS_H

#include "doctor/checks.h"

/* Every operation, its adjoint and the tangents of both on `device` against `host`. */
void cli_doctor_operations(cli_report *report, clm_device *device, clm_device *host);
/* Which libraries are there, what for, and, unless `quick`, whether a small case of each is right. */
void cli_doctor_libraries(cli_report *report, clm_device *device, bool quick);
/* Every layer of the table, in a small network, its meta-gradient against `host`. */
void cli_doctor_layers(cli_report *report, clm_device *device, clm_device *host);
/* Every algorithm and inner rule against `host`. */
void cli_doctor_family(cli_report *report, clm_device *device, clm_device *host);
/* Meta-gradients against `host`, their second-order share, memory, timing. */
void cli_doctor_meta(cli_report *report, clm_device *device, clm_device *host);

#endif
