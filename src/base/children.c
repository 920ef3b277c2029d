/* Child processes by posix_spawn: a fork would copy drivers whose threads do not survive it. */
#include "base/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/files.h"
#include "base/memory.h"

extern char **environ;

enum { MOST_ARGUMENTS = 7 };
#define INDEX "{index}"

static int start(pid_t *pid, const char *path, const char *const *arguments, size_t index) {
    char number[24];
    const char *list[MOST_ARGUMENTS + 1] = {0};
    posix_spawn_file_actions_t actions;
    snprintf(number, sizeof number, "%zu", index);
    for (size_t i = 0; i < MOST_ARGUMENTS && arguments[i]; i++) list[i] = strcmp(arguments[i], INDEX) ? arguments[i] : number;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO && !error; fd++)
        error = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
    if (!error) error = posix_spawnp(pid, path, &actions, NULL, (char *const *)list, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

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

clm_status clm_children_run(const char *path, const char *const *arguments, size_t count, double seconds) {
    const double end = clm_clock() + seconds;
    clm_status status = CLM_OK;
    size_t started = 0;
    pid_t *pids = clm_calloc(count + 1, sizeof *pids);
    if (!pids) return CLM_E_MEMORY;
    for (int error = 0; started < count && !error;) {
        error = start(&pids[started], path, arguments, started);
        if (error)
            status = clm_fail(CLM_E_IO, "%s cannot be started: %s", path, strerror(error));
        else
            started++;
    }
    for (size_t i = 0; i < started; i++) {
        const int code = wait_for(pids[i], end);
        if (code != 0 && status == CLM_OK) status = clm_fail(CLM_E_IO, "process %zu of %s ended with %d", i, path, code);
    }
    free(pids);
    return status;
}
