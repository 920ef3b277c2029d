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

enum { TICK_MS = 20 };
#define VENDORS "OCL_ICD_VENDORS="

static const char *program_name = "clmaml";

void cli_child_program(const char *argv0) { program_name = argv0; }

/* Which file this is, where the system says so. */
static bool own_file(char *path) {
    const ssize_t length = readlink("/proc/self/exe", path, CLI_PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    return length > 0;
}

bool cli_program_directory(char *path) {
    if (!own_file(path)) {
        if (!strchr(program_name, '/') || strlen(program_name) >= CLI_PATH_MAX) return false;
        memcpy(path, program_name, strlen(program_name) + 1);
        cli_path_make_absolute(path);
    }
    char *last = strrchr(path, '/');
    if (last) *last = 0;
    return last != NULL && *path;
}

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
        *own = NULL;
        return NULL;
    }
    snprintf(*own, size, "%s%s", VENDORS, vendors);
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], VENDORS, strlen(VENDORS)) != 0) list[kept++] = environ[i];
    list[kept] = *own;
    return list;
}

/* The program's name, then the arguments; they are shared. */
static const char **make_arguments(const cli_child *child) {
    size_t n = 0;
    while (child->arguments[n]) n++;
    const char **list = calloc(n + 2, sizeof *list);
    if (!list) return NULL;
    list[0] = program_name;
    memcpy(list + 1, child->arguments, n * sizeof *list);
    return list;
}

/* Its streams; one that runs apart is in a process group of its own, which a Ctrl-C in the terminal does not reach. */
static void describe(const cli_child *child, int output, int input, posix_spawn_file_actions_t *actions,
                     posix_spawnattr_t *attributes) {
    posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    if (child->quiet) posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (child->apart) posix_spawn_file_actions_adddup2(actions, output, STDERR_FILENO);
    posix_spawn_file_actions_addclose(actions, input);
    if (child->apart) {
        posix_spawnattr_setpgroup(attributes, 0);
        posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP);
    }
}

static int spawn_described(const cli_child *child, int output, int input, const char *const *arguments, char **environment,
                           pid_t *pid) {
    char self[CLI_PATH_MAX];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        describe(child, output, input, &actions, &attributes);
        /* The list of arguments is not const for historical reasons alone. */
        if (own_file(self))
            error = posix_spawn(pid, self, &actions, &attributes, (char *const *)arguments, environment);
        else
            error = posix_spawnp(pid, program_name, &actions, &attributes, (char *const *)arguments, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static int spawn(const cli_child *child, int output, int input, pid_t *pid) {
    char *own = NULL, **list = child->vendors ? make_environment(child->vendors, &own) : NULL;
    const char **arguments = make_arguments(child);
    int error = ENOMEM;
    if (arguments && (list || !child->vendors))
        error = spawn_described(child, output, input, arguments, list ? list : environ, pid);
    free(arguments);
    free(list);
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

/* ---- running ---- */

struct cli_running {
    const cli_child *child;
    pid_t pid;
    reader reader;
    int output; /* the pipe's end here */
    double silence;
    bool gone;
};

clm_status cli_child_start(cli_running **out, const cli_child *child) {
    int ends[2];
    *out = NULL;
    cli_running *r = calloc(1, sizeof *r);
    if (!r) return cli_fail(CLM_E_MEMORY, "out of memory");
    fflush(NULL);
    int error = pipe(ends) != 0 ? errno : 0;
    if (error == 0) {
        for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        error = spawn(child, ends[1], ends[0], &r->pid);
        close(ends[1]);
        if (error != 0) close(ends[0]);
    }
    if (error != 0) {
        free(r);
        return cli_fail(CLM_E_IO, "cannot start a process: %s", strerror(error));
    }
    r->child = child;
    r->output = r->reader.fd = ends[0];
    *out = r;
    return CLM_OK;
}

/* One moment. */
static clm_status look(cli_running *r, cli_child_end *end) {
    int state = 0;
    r->silence = listen_once(&r->reader, r->child) ? 0 : r->silence + 1e-3 * TICK_MS;
    pid_t gone = waitpid(r->pid, &state, WNOHANG);
    if (gone < 0 && errno != EINTR) {
        r->gone = true;
        return cli_fail(CLM_E_IO, "lost a process: %s", strerror(errno));
    }
    end->hung = gone <= 0 && r->child->patience > 0 && r->silence > r->child->patience;
    if (end->hung) give_up(r->pid);
    r->gone = gone > 0 || end->hung;
    if (gone > 0 && WIFSIGNALED(state)) end->signal = WTERMSIG(state);
    if (gone > 0 && WIFEXITED(state)) end->status = WEXITSTATUS(state);
    while (r->gone && r->reader.fd >= 0 && listen_once(&r->reader, r->child)) {}
    return CLM_OK;
}

clm_status cli_child_wait(cli_running *r, double seconds, bool *ended, cli_child_end *end) {
    const double until = cli_clock() + seconds;
    *end = (cli_child_end){0};
    *ended = false;
    do CLI_TRY(look(r, end));
    while (!r->gone && cli_clock() < until);
    *ended = r->gone;
    return CLM_OK;
}

void cli_child_stop(cli_running *r) {
    if (!r->gone) kill(r->pid, SIGUSR1);
}

void cli_child_free(cli_running *r) {
    if (!r) return;
    if (!r->gone) give_up(r->pid);
    close(r->output);
    free(r);
}

clm_status cli_child_run(const cli_child *child, cli_child_end *end) {
    cli_running *r;
    bool ended = false;
    clm_status status = CLM_OK;
    *end = (cli_child_end){0};
    CLI_TRY(cli_child_start(&r, child));
    while (status == CLM_OK && !ended) status = cli_child_wait(r, 1, &ended, end);
    cli_child_free(r);
    return status;
}

void cli_wait(double seconds) { poll(NULL, 0, (int)(seconds * 1e3)); }
