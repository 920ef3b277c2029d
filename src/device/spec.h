/* Device specifications: which devices of a list does a text name, and which of them first? Pure functions of the list. */
#ifndef CLM_DEVICE_SPEC_H
#define CLM_DEVICE_SPEC_H

#include "base/error.h"
#include "clmaml/device.h"

/* Writes the indices of the devices that `spec` names (grammar: clmaml/device.h; NULL: the default choice) to
 * order[0..count-1], first choice first, and how many to *found. Unavailable devices are never named. None at all is
 * CLM_E_DEVICE with a message that lists what exists. */
clm_status clm_device_spec_match(const char *spec, const clm_device_info *list, size_t count, size_t *order, size_t *found);

/* The number of parts of an alternative that ends in "/N", 1 without such an ending; 0 when N is no number of parts. *length
 * becomes that of the rest. */
int clm_device_spec_parts(const char *text, size_t *length);

/* "gpu", "cpu", "accelerator", "host" */
const char *clm_device_type_name(clm_device_type type);

#endif
