/* Loaded before the C library (LD_PRELOAD): a signal every so many microseconds, which interrupts what waits (EINTR), and a clock that
 * jumps. For glibc.
 *
 * CLMAML_DISTURB_SIGNALS: microseconds between two. CLMAML_DISTURB_CLOCK: seconds by which the time of day jumps forwards and backwards,
 * and the monotonic clock forwards, as after a machine was suspended, at every hundredth question. */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { QUESTIONS = 100 };
static long jump;
static atomic_long questions;

static void nothing(int number) { (void)number; }

__attribute__((constructor)) static void begin(void) {
    const char *period = getenv("CLMAML_DISTURB_SIGNALS"), *seconds = getenv("CLMAML_DISTURB_CLOCK");
    const struct sigaction action = {.sa_handler = nothing}; /* without SA_RESTART */
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    timer_t timer;
    jump = seconds ? atol(seconds) : 0;
    if (!period || sigaction(SIGUSR2, &action, NULL) != 0 || timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return;
    const struct timespec every = {.tv_nsec = 1000 * atol(period)};
    timer_settime(timer, 0, &(struct itimerspec){every, every}, NULL);
}

int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*next)(clockid_t, struct timespec *);
    if (!next) next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const int result = next(which, now);
    if (!jump || result != 0) return result;
    const long turn = atomic_fetch_add(&questions, 1) / QUESTIONS;
    if (which == CLOCK_REALTIME) now->tv_sec += turn % 2 ? -jump : jump;
    if (which == CLOCK_MONOTONIC) now->tv_sec += turn * jump;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
