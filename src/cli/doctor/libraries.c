/* `clmaml doctor`: the libraries that compete with our kernels. One that is missing or wrong is not used, so nothing is off for that. */
#include "doctor/parts.h"

void cli_doctor_libraries(cli_report *report, clm_device *device) {
    clm_library_info info;
    cli_report_line(report, "\nLibraries, used where `clmaml tune` finds them right and faster");
    for (size_t i = 0; clm_device_library_at(device, i, &info); i++) {
        double error = 0;
        if (!info.usable) {
            cli_report_line(report, "  %-26s not used: %s", info.name, info.reason);
        } else if (clm_device_library_check(device, i, &error) == CLM_OK) {
            char text[400];
            snprintf(text, sizeof text, "%s, %s: error %.1e", info.version, info.path, error);
            cli_report_check(report, true, info.name, "%s", text);
        } else {
            cli_report_line(report, "  %-26s not used: %s", info.name, clm_last_error());
        }
        cli_forget();
    }
}
