/* Child processes by posix_spawn: a fork would copy drivers whose threads do not survive it. */
#define _DARWIN_C_SOURCE /* SO_NOSIGPIPE */
#include "base/children.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/files.h"
#include "base/memory.h"

extern char **environ;

enum { MOST_ARGUMENTS = 7 };
#define INDEX "{index}"

typedef struct child {
    pid_t pid;
    int socket;
} child;

struct clm_children {
    char *path;
    size_t count;
    child child[];
};

/* ---- starting ---- */

static int spawn(child *c, const char *path, const char *const *arguments, size_t index, int input) {
    char number[24];
    const char *list[MOST_ARGUMENTS + 1] = {0};
    posix_spawn_file_actions_t actions;
    snprintf(number, sizeof number, "%zu", index);
    for (size_t i = 0; i < MOST_ARGUMENTS && arguments[i]; i++) list[i] = strcmp(arguments[i], INDEX) ? arguments[i] : number;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO && !error; fd++)
        error = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
    if (!error) error = posix_spawnp(&c->pid, path, &actions, NULL, (char *const *)list, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

#ifdef SOCK_CLOEXEC /* another thread may start a process before fcntl */
#define CLOSED_IN_OTHERS SOCK_CLOEXEC
#else
#define CLOSED_IN_OTHERS 0
#endif

/* No process but the one it is for has an end of the socket: it is closed when that process, or this one, ends. */
static int start(child *c, const char *path, const char *const *arguments, size_t index) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | CLOSED_IN_OTHERS, 0, ends) != 0) return errno;
    for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
#ifdef SO_NOSIGPIPE
    setsockopt(ends[0], SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
    const int error = spawn(c, path, arguments, index, ends[1]);
    close(ends[1]);
    if (error)
        close(ends[0]);
    else
        c->socket = ends[0];
    return error;
}

clm_status clm_children_start(clm_children **out, const char *path, const char *const *arguments, size_t count) {
    clm_children *c = clm_calloc(1, sizeof *c + count * sizeof *c->child);
    clm_status status = CLM_OK;
    *out = NULL;
    if (!c) return CLM_E_MEMORY;
    if (!(c->path = clm_strdup(path))) CLM_GOTO(CLM_E_MEMORY);
    for (; c->count < count; c->count++) {
        const int error = start(&c->child[c->count], path, arguments, c->count);
        if (error) CLM_GOTO(clm_fail(CLM_E_IO, "%s cannot be started: %s", path, strerror(error)));
    }
    *out = c;
    return CLM_OK;
out:
    clm_children_end(c);
    return status;
}

size_t clm_children_count(const clm_children *c) { return c->count; }

/* ---- ending ---- */

/* Its exit status, -1 for any other end. A program that ignores SIGCHLD has no children to wait for: ECHILD once all have ended. */
static int wait_for(pid_t pid, double end) {
    const struct timespec moment = {0, 2000000};
    int state = 0;
    pid_t gone = 0;
    while ((gone = waitpid(pid, &state, WNOHANG)) == 0 || (gone < 0 && errno == EINTR)) {
        if (clm_clock() > end) kill(pid, SIGKILL);
        nanosleep(&moment, NULL);
    }
    return gone == pid && WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

static int end_child(child *c, double end) {
    if (!c->pid) return 0;
    close(c->socket);
    const int code = wait_for(c->pid, end);
    c->pid = 0;
    return code;
}

/* Where a script stands between, what it has started gets the end of its input. */
void clm_children_end(clm_children *c) {
    if (!c) return;
    for (size_t i = 0; i < c->count; i++)
        if (c->child[i].pid) {
            shutdown(c->child[i].socket, SHUT_RDWR);
            kill(c->child[i].pid, SIGKILL);
        }
    for (size_t i = 0; i < c->count; i++) end_child(&c->child[i], 0);
    free(c->path);
    free(c);
}

/* ---- asking ---- */

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* there the socket has SO_NOSIGPIPE */
#endif

static bool send_all(int fd, const char *data, size_t size) {
    while (size) {
        const ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static bool has_answered(int fd, double end) {
    for (;;) {
        const double left = end - clm_clock();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char answer;
        const int ready = left > 0 ? poll(&p, 1, (int)(1000 * left) + 1) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return false;
        const ssize_t n = recv(fd, &answer, 1, 0);
        if (n >= 0 || errno != EINTR) return n == 1;
    }
}

clm_status clm_children_ask(clm_children *c, const char *line, double seconds) {
    const double end = clm_clock() + seconds;
    char *text = clm_format("%s\n", line);
    clm_status status = CLM_OK;
    if (!text) return CLM_E_MEMORY;
    for (size_t i = 0; i < c->count && status == CLM_OK; i++)
        if (!c->child[i].pid) status = clm_fail(CLM_E_IO, "process %zu of %s has ended before", i, c->path);
    for (size_t i = 0; i < c->count && status == CLM_OK; i++)
        send_all(c->child[i].socket, text, strlen(text)); /* who does not hear does not answer */
    for (size_t i = 0; i < c->count && status == CLM_OK; i++) {
        if (has_answered(c->child[i].socket, end)) continue;
        status = clm_fail(CLM_E_IO, "process %zu of %s ended with %d", i, c->path, end_child(&c->child[i], end));
    }
    free(text);
    return status;
}

/* ---- in the process ---- */

char *clm_children_line(void) {
    clm_text line = {0};
    for (char c;;) {
        const ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n != 1 || line.failed) break;
        if (c == '\n') return line.data;
        clm_text_add(&line, "%c", c);
    }
    clm_text_free(&line);
    return NULL;
}

bool clm_children_answer(void) { return send_all(STDIN_FILENO, "\n", 1); }
