/* Who waits for kernels is told that they are being built. The listener is guarded by a spin lock that is held for two assignments, and called outside of it. */
#include "device/backend.h"

#include <stdatomic.h>

static struct {
    clm_building_function function;
    void *user;
} listener;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void lock(void) {
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {}
}

static void unlock(void) { atomic_flag_clear_explicit(&busy, memory_order_release); }

void clm_building_set(clm_building_function function, void *user) {
    lock();
    listener.function = function;
    listener.user = user;
    unlock();
}

void clm_building_tell(const clm_device *device, size_t count, bool done) {
    lock();
    const clm_building_function function = listener.function;
    void *const user = listener.user;
    unlock();
    if (function) function(user, device, count, done);
}
