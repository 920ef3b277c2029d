/* Child processes to talk with, processor time and memory, libraries that are loaded when they are there. */
#include "base/process.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/system.h"

extern char **environ;

struct cli_process {
    pid_t process;
    int to, from;
    char name[256], pending[65536]; /* read, but not asked for yet */
    size_t n_pending;
};

/* ---- start ---- */

/* `added`, then what is in the environment already: the first of two equal names counts, so equal ones are left out. */
static char **environment_with(const char *const *added) {
    size_t n = 0, count = 0;
    while (environ[count]) count++;
    size_t n_added = 0;
    while (added && added[n_added]) n_added++;
    char **all = calloc(count + n_added + 1, sizeof *all);
    if (!all) return NULL;
    for (size_t i = 0; i < n_added; i++) all[n++] = (char *)added[i];
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(environ[i], "=") + 1;
        bool replaced = false;
        for (size_t k = 0; k < n_added && !replaced; k++) replaced = strncmp(environ[i], added[k], length) == 0;
        if (!replaced) all[n++] = environ[i];
    }
    return all;
}

static int spawn(pid_t *process, const char *const *argv, char **environment, int in, int out) {
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (!error) error = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (!error) error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (!error) error = posix_spawnp(process, argv[0], &actions, NULL, (char *const *)argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void close_both(const int *pipe_ends) {
    if (pipe_ends[0] >= 0) close(pipe_ends[0]);
    if (pipe_ends[1] >= 0) close(pipe_ends[1]);
}

/* A pipe that children inherit only as their own stdin or stdout. */
static int make_pipe(int *ends) {
    if (pipe(ends) != 0) return errno;
    for (int i = 0; i < 2; i++)
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) != 0) return errno;
    return 0;
}

clm_status cli_process_start(cli_process **out, const char *const *argv, const char *const *environment) {
    int in[2] = {-1, -1}, from[2] = {-1, -1};
    cli_process *child = calloc(1, sizeof *child);
    char **all = environment_with(environment);
    int error = child && all ? 0 : ENOMEM;
    *out = NULL;
    signal(SIGPIPE, SIG_IGN); /* a child that has ended shows when it is written to */
    if (!error) error = make_pipe(in);
    if (!error) error = make_pipe(from);
    if (!error) error = spawn(&child->process, argv, all, in[0], from[1]);
    free(all);
    if (error) {
        close_both(in);
        close_both(from);
        free(child);
        return cli_fail(error == ENOMEM ? CLM_E_MEMORY : CLM_E_IO, "cannot start %s: %s", argv[0], strerror(error));
    }
    close(in[0]);
    close(from[1]);
    child->to = in[1];
    child->from = from[0];
    snprintf(child->name, sizeof child->name, "%s", argv[0]);
    *out = child;
    return CLM_OK;
}

/* ---- lines ---- */

clm_status cli_process_send(cli_process *child, const char *line) {
    char text[256];
    int length = snprintf(text, sizeof text, "%s\n", line);
    for (int at = 0; at < length;) {
        ssize_t wrote = write(child->to, text + at, (size_t)(length - at));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return cli_fail(CLM_E_IO, "%s has ended", child->name);
        at += (int)wrote;
    }
    return CLM_OK;
}

static bool take_line(cli_process *child, char *line, size_t size) {
    char *end = memchr(child->pending, '\n', child->n_pending);
    if (!end) return false;
    size_t length = (size_t)(end - child->pending), kept = length < size ? length : size - 1;
    memcpy(line, child->pending, kept);
    line[kept] = 0;
    child->n_pending -= length + 1;
    memmove(child->pending, end + 1, child->n_pending);
    return true;
}

clm_status cli_process_receive(cli_process *child, double seconds, char *line, size_t size) {
    double end = cli_clock() + seconds;
    while (!take_line(child, line, size)) {
        double left = end - cli_clock();
        struct pollfd waiting = {child->from, POLLIN, 0};
        if (left <= 0 || child->n_pending == sizeof child->pending)
            return cli_fail(CLM_E_IO, "%s has not answered for %.0f s", child->name, seconds);
        if (cli_stop_requested()) return cli_fail(CLM_E_IO, "stopped");
        if (poll(&waiting, 1, left < 0.2 ? (int)(left * 1000) + 1 : 200) <= 0) continue;
        ssize_t got = read(child->from, child->pending + child->n_pending, sizeof child->pending - child->n_pending);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return cli_fail(CLM_E_IO, "%s has ended", child->name);
        child->n_pending += (size_t)got;
    }
    return CLM_OK;
}

void cli_process_end(cli_process *child) {
    const struct timespec moment = {0, 10000000};
    int state;
    if (!child) return;
    close(child->to);
    close(child->from);
    double end = cli_clock() + 2;
    while (waitpid(child->process, &state, WNOHANG) == 0) {
        if (cli_clock() > end) {
            kill(child->process, SIGKILL);
            waitpid(child->process, &state, 0);
            break;
        }
        nanosleep(&moment, NULL);
    }
    free(child);
}

void cli_program_path(char *path, size_t size) {
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    if (length > 0)
        path[length] = 0;
    else
        snprintf(path, size, "clmaml"); /* no such link on this system: the one in PATH */
}

/* ---- use of the machine ---- */

double cli_thread_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Linux's ru_maxrss counts the process that this one was started from: the other figure is preferred. */
double cli_peak_memory(void) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double kib = 0;
    while (file && kib == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0) kib = strtod(line + 6, NULL);
    if (file) fclose(file);
    struct rusage usage;
    if (kib == 0 && getrusage(RUSAGE_SELF, &usage) == 0) kib = (double)usage.ru_maxrss;
    return kib * 1024;
}

int cli_processors(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

void *cli_library_symbol(const char *const *libraries, const char *symbol, int *which) {
    for (int i = 0; libraries[i]; i++) {
        void *library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL), *found = library ? dlsym(library, symbol) : NULL;
        if (which) *which = i;
        if (found) return found;
        if (library) dlclose(library);
    }
    return NULL;
}
