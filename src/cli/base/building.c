/* The line is there for as long as a program is being built, and leaves nothing behind: what is printed next begins where it stood. */
#include "base/building.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/system.h"

static atomic_int at_work;
static atomic_size_t built;

static void on_building(void *user, const clm_device *device, size_t count, bool done) {
    (void)user;
    (void)device;
    if (!done) {
        char text[64];
        snprintf(text, sizeof text, "building kernels: %zu ..", atomic_fetch_add(&built, count) + count);
        atomic_fetch_add(&at_work, 1);
        fprintf(stderr, "\r\033[K%.*s", cli_terminal_width(stderr) - 1, text);
    } else if (atomic_fetch_sub(&at_work, 1) == 1) {
        fputs("\r\033[K", stderr);
    }
    fflush(stderr);
}

void cli_building_show(void) {
    if (cli_can_redraw(stderr)) clm_building_set(on_building, NULL);
}
