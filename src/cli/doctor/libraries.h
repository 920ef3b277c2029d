/* What is said of the libraries that compete with our kernels, by `devices` and `doctor`. */
#ifndef CLI_LIBRARIES_H
#define CLI_LIBRARIES_H

#include <stddef.h>

#include "clmaml/device.h"

enum { CLI_LIBRARIES_MOST = 4 };

/* What it is used for on devices of this type: "products and convolutions that ..". "" for a library without a row here. */
const char *cli_library_use(const clm_library_info *info, clm_device_type type);
/* Why it is not used, or which package has it. */
const char *cli_library_lack(const clm_library_info *info, char *text, size_t size);
const char *cli_library_version(const clm_library_info *info);

#endif
