/* The program in a process of its own: started afresh rather than forked, because drivers and their threads do not survive a fork.
 *
 * A child is given up when it has said nothing for too long, counted in the moments that were waited: while both processes are stopped,
 * no time passes. A process that hangs inside the operating system's own driver cannot even
 * be killed; then it is left behind. A driver may start processes that keep the pipe open: the child's end counts, not the pipe's. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/system.h"

extern char **environ;

enum { MOST_ARGUMENTS = 12, TICK_MS = 20 };
#define VENDORS "OCL_ICD_VENDORS="

static const char *program_name = "clmaml";

void cli_child_program(const char *argv0) { program_name = argv0; }

/* ---- starting ---- */

/* Our environment with other OpenCL vendors; the strings are shared but for that one. */
static char **make_environment(const char *vendors, char **own) {
    size_t n = 0, kept = 0;
    while (environ[n]) n++;
    char **list = calloc(n + 2, sizeof *list);
    size_t size = strlen(VENDORS) + strlen(vendors) + 1;
    *own = malloc(size);
    if (!list || !*own) {
        free(list);
        free(*own);
        return NULL;
    }
    snprintf(*own, size, "%s%s", VENDORS, vendors);
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], VENDORS, strlen(VENDORS)) != 0) list[kept++] = environ[i];
    list[kept] = *own;
    return list;
}

static int spawn(const cli_child *child, int output, int input, pid_t *pid) {
    char self[CLI_PATH_MAX];
    const char *arguments[MOST_ARGUMENTS + 2] = {program_name};
    char *own = NULL, **environment = environ;
    posix_spawn_file_actions_t actions;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = 0;
    for (size_t i = 0; i < MOST_ARGUMENTS && child->arguments[i]; i++) arguments[i + 1] = child->arguments[i];
    if (child->vendors && !(environment = make_environment(child->vendors, &own))) return ENOMEM;
    int error = posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        if (child->quiet) posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addclose(&actions, input);
        /* The list of arguments is not const for historical reasons alone. */
        if (length > 0)
            error = posix_spawn(pid, self, &actions, NULL, (char *const *)arguments, environment);
        else
            error = posix_spawnp(pid, program_name, &actions, NULL, (char *const *)arguments, environment);
        posix_spawn_file_actions_destroy(&actions);
    }
    if (child->vendors) free(environment);
    free(own);
    return error;
}

/* ---- listening ---- */

typedef struct reader {
    int fd;
    char text[4096];
    size_t length;
    bool skipping; /* the rest of a line that was too long */
} reader;

static void pass_lines(reader *r, const cli_child *child) {
    char *start = r->text, *end = r->text + r->length;
    for (char *newline; (newline = memchr(start, '\n', (size_t)(end - start))); start = newline + 1) {
        *newline = 0;
        if (!r->skipping && child->line) child->line(child->user, start);
        r->skipping = false;
    }
    r->length = (size_t)(end - start);
    memmove(r->text, start, r->length);
    if (r->length < sizeof r->text - 1) return;
    r->text[r->length] = 0;
    if (!r->skipping && child->line) child->line(child->user, r->text);
    r->skipping = true;
    r->length = 0;
}

/* Waits a moment for output and passes it on. False when there is none now. */
static bool listen_once(reader *r, const cli_child *child) {
    struct pollfd poller = {.fd = r->fd, .events = POLLIN};
    if (r->fd < 0) {
        poll(NULL, 0, TICK_MS);
        return false;
    }
    if (poll(&poller, 1, TICK_MS) <= 0) return false;
    ssize_t got = read(r->fd, r->text + r->length, sizeof r->text - 1 - r->length);
    if (got <= 0) {
        if (got == 0) r->fd = -1; /* closed: only the child's end is waited for now */
        return false;
    }
    r->length += (size_t)got;
    pass_lines(r, child);
    return true;
}

static void give_up(pid_t pid) {
    int state;
    kill(pid, SIGKILL);
    for (int i = 0; i < 100 && waitpid(pid, &state, WNOHANG) == 0; i++) poll(NULL, 0, TICK_MS);
}

clm_status cli_child_run(const cli_child *child, cli_child_end *end) {
    int ends[2], state = 0;
    pid_t pid = 0, gone = 0;
    *end = (cli_child_end){0};
    fflush(NULL);
    if (pipe(ends) != 0) return cli_fail(CLM_E_IO, "cannot start a process: %s", strerror(errno));
    for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    int error = spawn(child, ends[1], ends[0], &pid);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        return cli_fail(CLM_E_IO, "cannot start a process: %s", strerror(error));
    }
    reader r = {.fd = ends[0]};
    double silence = 0;
    while (!end->hung && gone == 0) {
        silence = listen_once(&r, child) ? 0 : silence + 1e-3 * TICK_MS;
        gone = waitpid(pid, &state, WNOHANG);
        if (gone < 0 && errno == EINTR) gone = 0;
        end->hung = gone == 0 && child->patience > 0 && silence > child->patience;
    }
    if (end->hung) give_up(pid);
    while (r.fd >= 0 && listen_once(&r, child)) {}
    close(ends[0]);
    if (gone < 0) return cli_fail(CLM_E_IO, "lost a process: %s", strerror(errno));
    if (gone > 0 && WIFSIGNALED(state)) end->signal = WTERMSIG(state);
    if (gone > 0 && WIFEXITED(state)) end->status = WEXITSTATUS(state);
    return CLM_OK;
}
