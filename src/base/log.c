/* The log.
 *
 * CLMAML_LOG is "level" or "level:file" with level error, info or debug; without a file, lines go to stderr. A line is one
 * write in append mode, so that several processes can share a file. The listener is guarded by a spin lock that is held for a
 * few assignments only, and the listener is called outside of it. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"

enum { LINE = 4600 };

static const char *const level_names[] = {"off", "error", "info", "debug"};

static struct {
    clm_log_function function;
    void *user;
    bool known; /* CLMAML_LOG has been read, or clm_log_set been called */
} listener;
static atomic_flag busy = ATOMIC_FLAG_INIT;
static atomic_int wanted = -1; /* level; -1: not known yet. Read without the lock. */
static FILE *file;

static void lock(void) {
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {}
}

static void unlock(void) { atomic_flag_clear_explicit(&busy, memory_order_release); }

bool clm_log_parse(const char *text, clm_log_level *level, const char **path) {
    size_t length = strcspn(text, ":");
    for (int i = CLM_LOG_ERROR; i <= CLM_LOG_DEBUG; i++) {
        if (strlen(level_names[i]) != length || strncmp(text, level_names[i], length) != 0) continue;
        *level = (clm_log_level)i;
        *path = text[length] ? text + length + 1 : NULL;
        return text[length] == 0 || text[length + 1] != 0;
    }
    return false;
}

static void write_line(void *user, clm_log_level level, const char *message) {
    char line[LINE];
    (void)user;
    int n = snprintf(line, sizeof line, "clmaml[%ld] %.3f %s: %s", (long)getpid(), clm_clock(), level_names[level], message);
    if (n < 0) return;
    if ((size_t)n > sizeof line - 2) n = (int)sizeof line - 2;
    line[n] = '\n';
    fwrite(line, 1, (size_t)n + 1, file ? file : stderr);
    fflush(file ? file : stderr);
}

/* With the lock held. */
static void read_environment(void) {
    const char *text = getenv("CLMAML_LOG"), *path = NULL;
    clm_log_level level = CLM_LOG_OFF;
    listener.known = true;
    if (text && *text && clm_log_parse(text, &level, &path)) {
        if (path) file = fopen(path, "a");
        if (!path || file) listener.function = write_line;
        if (file) setvbuf(file, NULL, _IOFBF, (size_t)2 * LINE); /* a line is one write */
    }
    atomic_store(&wanted, listener.function ? (int)level : CLM_LOG_OFF);
}

void clm_log_set(clm_log_function function, void *user, clm_log_level level) {
    lock();
    listener.known = true;
    listener.function = level == CLM_LOG_OFF ? NULL : function;
    listener.user = user;
    atomic_store(&wanted, listener.function ? (int)level : CLM_LOG_OFF);
    unlock();
}

bool clm_log_wanted(clm_log_level level) {
    if (atomic_load(&wanted) < 0) {
        lock();
        if (!listener.known) read_environment();
        unlock();
    }
    return (int)level <= atomic_load(&wanted);
}

void clm_log_write(clm_log_level level, const char *format, ...) {
    char message[LINE - 100];
    va_list arguments;
    if (!clm_log_wanted(level)) return;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    for (char *c = message; *c; c++) {
        if (*c == '\n') *c = ' ';
    }
    lock();
    clm_log_function function = listener.function;
    void *user = listener.user;
    unlock();
    if (function) function(user, level, message);
}

clm_status clm_log_check(void) {
    const char *text = getenv("CLMAML_LOG"), *path = NULL;
    clm_log_level level;
    if (!text || !*text) return CLM_OK;
    if (!clm_log_parse(text, &level, &path)) {
        return clm_fail(CLM_E_ARG, "CLMAML_LOG is \"%s\"; it has to be error, info or debug, or one of these with :FILE", text);
    }
    if (!path) return CLM_OK;
    FILE *probe = fopen(path, "a");
    if (!probe) return clm_fail(CLM_E_IO, "CLMAML_LOG: cannot write to %s", path);
    fclose(probe);
    return CLM_OK;
}
