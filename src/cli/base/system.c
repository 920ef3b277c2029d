/* Signals, the terminal, files, directories. This file and child.c are the only ones of the program that call POSIX. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "base/system.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

extern char **environ;

static volatile sig_atomic_t stop_signal;

enum { SIGNALS = 65, IMPATIENT_MS = 500 };

static atomic_llong came[SIGNALS]; /* when each signal came first, in milliseconds; 0: not yet */

static void on_signal(int number) { stop_signal = number; }

static const char *_Atomic announcement;

/* What a handler of signals may do is write(). */
static void announce(void) {
    const char *text = atomic_exchange(&announcement, NULL);
    const int kept = errno;
    if (text && isatty(STDERR_FILENO)) (void)!write(STDERR_FILENO, "\n", 1); /* behind a line of progress */
    if (text) (void)!write(STDERR_FILENO, text, strlen(text));
    errno = kept;
}

/* Whoever presses Ctrl-C again does not want to wait. But `timeout`, and batch systems, send a signal to the process and to its group, so that
 * it comes twice at once. */
static void on_signal_to_end(int number) {
    struct timespec time;
    long long first = 0;
    on_signal(number);
    if (number >= SIGNALS || clock_gettime(CLOCK_MONOTONIC, &time) != 0) return;
    const long long now = 1000LL * time.tv_sec + time.tv_nsec / 1000000 + 1;
    if (atomic_compare_exchange_strong(&came[number], &first, now)) announce();
    if (first == 0 || now - first < IMPATIENT_MS) return;
    signal(number, SIG_DFL);
    raise(number);
}

/* ---- standard streams ---- */

void cli_streams_secure(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF && open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd) return;
#ifdef SIGXFSZ
    signal(SIGXFSZ, SIG_IGN);
#endif
}

static int guards, real_stdout = -1;
static int lost; /* errno of the first output that did not leave the buffer; -1: not known; 0: none */

static void flush_stdout(void) {
    errno = 0;
    if (fflush(stdout) != 0 && !lost) lost = errno ? errno : -1;
}

void cli_stdout_guard(bool on) {
    if (on ? guards++ : --guards) return;
    flush_stdout();
    if (on) {
        real_stdout = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        if (real_stdout >= 0) dup2(STDERR_FILENO, STDOUT_FILENO);
    } else if (real_stdout >= 0) {
        dup2(real_stdout, STDOUT_FILENO);
        close(real_stdout);
        real_stdout = -1;
    }
}

/* Past stdio, whose buffer holds what goes to stderr then. */
static void write_real(const char *text) {
    for (size_t left = strlen(text); left;) {
        const ssize_t n = write(real_stdout, text, left);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            if (!lost) lost = errno;
            return;
        }
        text += n;
        left -= (size_t)n;
    }
}

void cli_stdout_print(const char *text) {
    if (guards && real_stdout >= 0)
        write_real(text);
    else
        fputs(text, stdout);
}

clm_status cli_stdout_end(void) {
    flush_stdout();
    if (ferror(stdout) && !lost) lost = -1;
    if (!lost) return CLM_OK;
    return cli_fail(CLM_E_IO, "cannot write to standard output: %s", lost > 0 ? strerror(lost) : "some of it was lost");
}

/* ---- signals ---- */

void cli_signals_catch(const char *told) {
    atomic_store(&announcement, told);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal_to_end;
    sigemptyset(&action.sa_mask);
    action.sa_flags = (int)SA_RESTART; /* drivers do not expect EINTR */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGXCPU, &action, NULL); /* of a limit of processor time, before the kill */
    cli_signals_catch_user();          /* of a batch system's, before a job's end */
    struct sigaction before;
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, NULL);
}

void cli_signals_catch_user(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = (int)SA_RESTART;
    sigaction(SIGUSR1, &action, NULL);
}

void cli_pipe_outlive(void) { signal(SIGPIPE, SIG_IGN); }

bool cli_stop_requested(void) { return stop_signal != 0; }

double cli_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool cli_is_terminal(FILE *stream) { return isatty(fileno(stream)) == 1; }

bool cli_can_redraw(FILE *stream) {
    const char *kind = getenv("TERM");
    return cli_is_terminal(stream) && !(kind && strcmp(kind, "dumb") == 0);
}

/* POSIX has COLUMNS, where it is set, before what the terminal says. */
int cli_terminal_width(FILE *stream) {
    const char *columns = getenv("COLUMNS");
    const long wanted = columns ? strtol(columns, NULL, 10) : 0;
    if (wanted > 0) return wanted < 10000 ? (int)wanted : 10000;
#ifdef TIOCGWINSZ
    struct winsize size;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
#endif
    return 80;
}

bool cli_path_is_denied(const char *path) {
    struct stat s;
    return stat(path, &s) != 0 && errno == EACCES;
}

bool cli_path_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

bool cli_is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool cli_is_regular_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool cli_is_link(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
}

bool cli_is_same_file(const char *a, const char *b) {
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

clm_status cli_directory_visit(const char *path, void (*visit)(void *user, const char *name), void *user) {
    DIR *directory = opendir(path);
    if (!directory) return cli_fail(CLM_E_IO, "cannot read directory %s: %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) visit(user, entry->d_name);
    closedir(directory);
    return CLM_OK;
}

clm_status cli_directory_make(const char *path) {
    char part[CLI_PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) return cli_fail(CLM_E_ARG, "'%s' cannot name a directory", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) == 0) continue;
        int error = errno; /* the look at what is there may set another */
        if (error != EEXIST && !cli_is_directory(part))
            return cli_fail(CLM_E_IO, "cannot make directory %s: %s", part, strerror(error));
    }
    return cli_is_directory(path) ? CLM_OK : cli_fail(CLM_E_IO, "%s is there and not a directory", path);
}

clm_status cli_directory_claim(const char *path, bool *claimed) {
    *claimed = mkdir(path, 0777) == 0;
    return *claimed || errno == EEXIST ? CLM_OK : cli_fail(CLM_E_IO, "cannot make directory %s: %s", path, strerror(errno));
}

void cli_directory_give_up(const char *path) { (void)rmdir(path); }

void cli_file_remove(const char *path) { (void)unlink(path); }

static bool write_all(int file, const char *text, size_t size) {
    while (size > 0) {
        ssize_t wrote = write(file, text, size);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return false;
        text += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

/* On network file systems a signal may interrupt these too. */
static int open_file(const char *path, int flags) {
    int file;
    do file = open(path, flags | O_CLOEXEC, 0666);
    while (file < 0 && errno == EINTR);
    return file;
}

static bool sync_file(int file) {
    int result;
    do result = fsync(file);
    while (result < 0 && errno == EINTR);
    return result == 0;
}

/* A device or a pipe takes what is written; a file in its place would take its name from it. */
static bool write_through(const char *path, const char *text, size_t size) {
    int file = open_file(path, O_WRONLY | O_NONBLOCK); /* a pipe that nobody reads is an error */
    if (file < 0) return false;
    (void)fcntl(file, F_SETFL, 0);
    const bool good = write_all(file, text, size);
    const int error = errno;
    const bool closed = close(file) == 0;
    if (!good) errno = error;
    return good && closed;
}

static bool replace_file(const char *path, const char *text, size_t size) {
    char temporary[CLI_PATH_MAX + 32];
    snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    unlink(temporary); /* of a process that was killed, with this number */
    int file = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL);
    if (file < 0) return false;
    bool good = write_all(file, text, size) && sync_file(file);
    int error = errno;
    if (close(file) != 0 && good) good = false, error = errno;
    if (good && rename(temporary, path) != 0) good = false, error = errno;
    if (!good) unlink(temporary);
    errno = error;
    return good;
}

clm_status cli_file_write(const char *path, const char *text, size_t size) {
    struct stat info;
    char target[CLI_PATH_MAX];
    if (snprintf(target, sizeof target, "%s", path) >= (int)sizeof target)
        return cli_fail(CLM_E_LIMIT, "path too long: %s", path);
    const bool stream = stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
    if (cli_is_link(path)) cli_path_make_absolute(target); /* the link stays one */
    if (stream ? write_through(path, text, size) : replace_file(target, text, size)) return CLM_OK;
    return cli_fail(CLM_E_IO, "cannot write %s: %s", path, stream && errno == ENXIO ? "nobody reads it" : strerror(errno));
}

void cli_path_make_absolute(char *path) {
    char *whole = realpath(path, NULL);
    if (whole && strlen(whole) < CLI_PATH_MAX) memcpy(path, whole, strlen(whole) + 1);
    free(whole);
}

/* A regular file; of anything else, such as a pipe that nobody writes to, the end may never come. */
static FILE *open_stream(const char *path) {
    struct stat info;
    const int file = open_file(path, O_RDONLY | O_NONBLOCK);
    if (file >= 0 && fstat(file, &info) == 0 && S_ISREG(info.st_mode)) return fdopen(file, "rb");
    const bool other = file >= 0 || errno == ENXIO;
    (void)cli_fail(CLM_E_IO, "cannot read %s: %s", path,
                   !other                   ? strerror(errno)
                   : cli_is_directory(path) ? "it is a directory"
                                            : "not a regular file");
    if (file >= 0) close(file);
    return NULL;
}

clm_status cli_file_read(const char *path, char **text) {
    FILE *file = open_stream(path);
    char *data = NULL;
    size_t size = 0, capacity = 0, got = 1;
    *text = NULL;
    if (!file) return CLM_E_IO;
    while (got > 0) {
        if (size + 1 >= capacity) {
            char *larger = realloc(data, capacity = 2 * capacity + 4096);
            if (!larger) {
                free(data);
                fclose(file);
                return cli_fail(CLM_E_MEMORY, "out of memory reading %s", path);
            }
            data = larger;
        }
        got = fread(data + size, 1, capacity - size - 1, file);
        size += got;
    }
    bool bad = ferror(file) != 0;
    fclose(file);
    data[size] = 0;
    if (bad) {
        free(data);
        return cli_fail(CLM_E_IO, "cannot read %s: %s", path, strerror(errno));
    }
    *text = data;
    return CLM_OK;
}

void cli_environment_set(const char *name, const char *value) {
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

void cli_environment_default(const char *name, const char *value) {
    const char *set = getenv(name);
    if (!set || !*set) cli_environment_set(name, value);
}

void cli_environment_visit(const char *prefix, void (*visit)(void *user, const char *entry), void *user) {
    for (char **entry = environ; entry && *entry; entry++)
        if (strncmp(*entry, prefix, strlen(prefix)) == 0) visit(user, *entry);
}

clm_status cli_temporary_directory(char *path, size_t size) {
    const char *places[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", getenv("CLMAML_CACHE_DIR"), "."};
    int why = 0;
    for (size_t i = 0; i < CLI_COUNT(places); i++) {
        if (!places[i] || !*places[i]) continue;
        if (snprintf(path, size, "%s/clmaml-XXXXXX", places[i]) < (int)size && mkdtemp(path)) return CLM_OK;
        if (!why) why = errno;
    }
    return cli_fail(CLM_E_IO, "no temporary directory can be made, in TMPDIR, /tmp, /var/tmp or here: %s", strerror(why));
}

static void remove_entry(void *user, const char *name) {
    char path[CLI_PATH_MAX];
    if (cli_path(path, user, name) != CLM_OK) return;
    if (cli_is_directory(path))
        cli_remove_tree(path);
    else
        unlink(path);
}

void cli_remove_tree(const char *path) {
    char copy[CLI_PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    if (cli_directory_visit(path, remove_entry, copy) != CLM_OK) cli_forget();
    rmdir(path);
}

bool cli_library_loads(const char *name, char *why, size_t size) {
    void *handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL); /* stays: unloading and loading again is what some drivers cannot do */
    const char *error = handle ? NULL : dlerror();
    if (!handle) snprintf(why, size, "%s", error ? error : "it does not load");
    return handle != NULL;
}

void cli_end_with_parent(void) {
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
}

clm_status cli_lock_take(const char *path, bool shared, bool *taken) {
    struct flock all = {.l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
    const int file = open_file(path, O_RDWR | O_CREAT);
    *taken = false;
    if (file < 0) return cli_fail(CLM_E_IO, "cannot write %s: %s", path, strerror(errno));
    *taken = fcntl(file, F_SETLK, &all) == 0 || (errno != EACCES && errno != EAGAIN);
    if (!*taken) close(file);
    return CLM_OK;
}

void cli_directory_await(const char *path, double seconds) {
    const struct timespec moment = {0, 20000000};
    const double end = cli_clock() + seconds;
    const int directory = open_file(path, O_RDONLY);
    if (directory < 0) return;
    while (flock(directory, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK && cli_clock() < end && !cli_stop_requested())
        nanosleep(&moment, NULL);
    close(directory);
}

bool cli_directory_is_used(const char *path) {
    const int directory = open_file(path, O_RDONLY);
    if (directory < 0) return false;
    const bool used = flock(directory, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(directory);
    return used;
}

void cli_limit_lifetime(double seconds) { alarm((unsigned)seconds + 1); }

cli_text cli_system_name(void) {
    cli_text text = {"unknown"};
    struct utsname name;
    if (uname(&name) == 0) snprintf(text.s, sizeof text.s, "%.20s %.24s %.16s", name.sysname, name.release, name.machine);
    return text;
}
