/* What all subcommands share: errors, allocation, texts for people. */
#ifndef CLI_COMMON_H
#define CLI_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <clmaml/clmaml.h>

#if defined(__GNUC__)
#define CLI_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define CLI_PRINTF(fmt, first)
#endif

enum { CLI_EXIT_OK = 0, CLI_EXIT_FAILURE = 1, CLI_EXIT_USAGE = 2, CLI_EXIT_INTERRUPTED = 130 };
enum { CLI_PATH_MAX = 1024 };

#define CLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Errors travel as a clm_status. The message is the program's own when one was recorded here, else the library's last error. */
clm_status cli_fail(clm_status status, const char *format, ...) CLI_PRINTF(2, 3);
#ifdef __clang_analyzer__ /* which sees one file at a time, and would take CLM_OK for possible */
#define cli_fail(status, ...) (cli_fail((status), __VA_ARGS__), (status))
#endif
/* Puts `format..: ` before the message of the failure at hand, whoever recorded it. */
clm_status cli_fail_in(clm_status status, const char *format, ...) CLI_PRINTF(2, 3);
/* A mistake on the command line: exit status 2. */
bool cli_is_usage_mistake(void); /* is the message at hand one of cli_usage? */
clm_status cli_usage(const char *format, ...) CLI_PRINTF(1, 2);
/* Forgets the program's own message, for a failure that was dealt with. */
void cli_forget(void);
/* The message of the failure at hand, on one line. */
const char *cli_message(void);
/* The message up to where `mark` begins in it, for advice that a caller knows better; false where the mark is not in it. */
bool cli_message_before(const char *mark, char *text, size_t size);
/* What the library remarks, on one line, with the options as the command line names them. Until the next call. */
const char *cli_in_words(const char *remark);
/* The text with '?' for what cannot be shown (base/characters.h): what comes from files and their names neither ends a line
 * nor steers a terminal. Cut after 4095 bytes; until the fourth next call. */
const char *cli_shown(const char *text);
/* One word of a command that is printed to be pasted into a shell: in quotes where it needs them, else as it is. Shown as by
 * cli_shown; until the fourth next call. */
const char *cli_pasted(const char *word);
/* What goes before a text in CSV: "'" where a spreadsheet would run it as a formula (it begins with =, +, -, @, a tab or CR and is no
 * number), and where one is there already before such a text, so that it can be taken off again; else "". */
const char *cli_csv_guard(const char *text);
/* "s" where there is not one. */
static inline const char *cli_plural(double count) { return count == 1 ? "" : "s"; }
/* Prints the message of a failure, if it is one, as one line on stderr; returns the exit status. */
int cli_exit(clm_status status);
/* A remark on stderr that stops nothing. */
void cli_note(const char *format, ...) CLI_PRINTF(1, 2);

#define CLI_TRY(expression)                          \
    do {                                             \
        clm_status try_status = (expression);        \
        if (try_status != CLM_OK) return try_status; \
    } while (0)

/* For functions that clean up at `out:` and return `status`. */
#define CLI_GOTO(expression)            \
    do {                                \
        status = (expression);          \
        if (status != CLM_OK) goto out; \
    } while (0)

/* calloc into `pointer`, or out with CLM_E_MEMORY. */
#define CLI_NEW(pointer, count)                                                           \
    do {                                                                                  \
        (pointer) = calloc((size_t)(count) > 0 ? (size_t)(count) : 1, sizeof *(pointer)); \
        if (!(pointer)) {                                                                 \
            status = cli_fail(CLM_E_MEMORY, "out of memory");                             \
            goto out;                                                                     \
        }                                                                                 \
    } while (0)

typedef struct cli_text {
    char s[64];
} cli_text;
/* "; did you mean NAME?", or "" without a name. */
cli_text cli_did_you_mean(const char *name);
cli_text cli_bytes(double bytes);      /* "412.3 MiB" */
cli_text cli_duration(double seconds); /* "4:12", "1:02:03" */
cli_text cli_count(size_t count);      /* "1155", "endless" */

/* "directory/name" into path (CLI_PATH_MAX bytes). */
clm_status cli_path(char *path, const char *directory, const char *name);

/* Numbers of a comma-separated list. `what` names the option in messages. */
clm_status cli_parse_list(const char *what, const char *text, double *values, size_t capacity, size_t *count);

/* ||x - ref|| / ||ref|| over everything added; the absolute norm when ||ref|| is 0. Start from {0}. */
typedef struct cli_error_norm {
    double difference, reference; /* sums of squares */
} cli_error_norm;
void cli_error_add(cli_error_norm *norm, const double *x, const double *reference, size_t count);
double cli_error_value(const cli_error_norm *norm);

/* Length of an array of this shape, over `tasks` tasks (0: shared). */
size_t cli_elements(const clm_shape *shape, int tasks);

#endif
