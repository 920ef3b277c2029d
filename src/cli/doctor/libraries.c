/* The libraries that compete with our kernels: what they are used for, and `clmaml doctor`'s test of them. One that is missing or
 * wrong is not used, so nothing is off for that. */
#include "doctor/libraries.h"

#include <stdio.h>
#include <string.h>

#include "doctor/parts.h"

static const struct {
    const char *name, *package; /* of Debian */
    const char *cpu, *other;    /* what for, on CPUs and elsewhere */
} table[] = {
    {"CLBlast", "libclblast1", "matrix products and convolutions for which tuning finds it right and faster",
     "large matrix products and convolutions by a model of its cost, others for which tuning finds it right and faster"},
    {"clFFT", "libclfft2", "convolutions with filters larger than 5x5 for which tuning finds it right and faster",
     "convolutions with filters larger than 5x5 for which tuning finds it right and faster"}};
enum { ROWS = sizeof table / sizeof *table };

static size_t row_of(const clm_library_info *info) {
    size_t i = 0;
    while (i < ROWS && strcmp(table[i].name, info->name) != 0) i++;
    return i;
}

const char *cli_library_use(const clm_library_info *info, clm_device_type type) {
    const size_t i = row_of(info);
    return i == ROWS ? "" : type == CLM_DEVICE_CPU ? table[i].cpu : table[i].other;
}

const char *cli_library_lack(const clm_library_info *info, char *text, size_t size) {
    const size_t i = row_of(info);
    const bool absent = !info->path[0] && !strncmp(info->reason, "cannot load", 11) && i < ROWS;
    if (absent)
        snprintf(text, size, "cannot be loaded; Debian and Ubuntu have it in %s", table[i].package);
    else
        snprintf(text, size, "not used: %s", info->reason);
    return text;
}

const char *cli_library_version(const clm_library_info *info) {
    return info->version[0] ? info->version : "of unknown version";
}

void cli_doctor_libraries(cli_report *report, clm_device *device, bool quick) {
    const clm_device_type type = clm_device_get_info(device)->type;
    clm_library_info info;
    cli_report_line(report, "\nLibraries");
    for (size_t i = 0; clm_device_library_at(device, i, &info); i++) {
        char text[400];
        double error = 0;
        if (!info.usable) {
            cli_report_line(report, "  %-26s %s", info.name, cli_library_lack(&info, text, sizeof text));
        } else if (quick) {
            cli_report_line(report, "  %-26s %s, not tried here", info.name, cli_library_version(&info));
            cli_report_line(report, "  %-26s used for %s", "", cli_library_use(&info, type));
        } else if (clm_device_library_check(device, i, &error) == CLM_OK) {
            snprintf(text, sizeof text, "%s, %s: error %.1e", cli_library_version(&info), info.path, error);
            cli_report_check(report, true, info.name, "%s", text);
            cli_report_line(report, "  %-26s used for %s", "", cli_library_use(&info, type));
        } else {
            cli_report_line(report, "  %-26s not used: %s", info.name, clm_last_error());
        }
        cli_forget();
    }
}
