/* Errors, texts and small helpers that all subcommands share.
 *
 * Invariant: a message is printed once, by cli_exit, on one line; whatever fails records it and passes a status up.
 */
#include "base/common.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/characters.h"
#include "base/lines.h"

static char own_message[4096];
static bool usage_mistake;

static void record(const char *format, va_list args) {
    char text[sizeof own_message];
    vsnprintf(text, sizeof text, format, args);
    memcpy(own_message, text, sizeof text);
}

#undef cli_fail
clm_status cli_fail(clm_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    record(format, args);
    va_end(args);
    return status;
}

clm_status cli_fail_in(clm_status status, const char *format, ...) {
    char before[sizeof own_message], whole[2 * sizeof own_message + 2];
    va_list args;
    va_start(args, format);
    vsnprintf(before, sizeof before, format, args);
    va_end(args);
    snprintf(whole, sizeof whole, "%s: %s", before, cli_message());
    snprintf(own_message, sizeof own_message, "%.*s", (int)sizeof own_message - 1, whole);
    return status;
}

bool cli_is_usage_mistake(void) { return usage_mistake; }

clm_status cli_usage(const char *format, ...) {
    va_list args;
    va_start(args, format);
    record(format, args);
    va_end(args);
    usage_mistake = true;
    return CLM_E_ARG;
}

void cli_forget(void) {
    own_message[0] = 0;
    usage_mistake = false;
}

const char *cli_shown(const char *text) {
    static char copies[4][sizeof own_message];
    static unsigned next;
    char *copy = copies[next++ % 4];
    snprintf(copy, sizeof copies[0], "%s", text);
    cli_make_printable(copy);
    return copy;
}

static bool is_number(const char *text) {
    char *end;
    (void)strtod(text, &end);
    return *text && !*end && !text[strspn(text, "+-.0123456789eE")]; /* no "-inf", no "-0x10" */
}

const char *cli_csv_guard(const char *text) {
    const char *first = text + strspn(text, "'");
    return *first && strchr("=+-@\t\r", *first) && !is_number(text) ? "'" : "";
}

static bool is_plain(char c) { return isalnum((unsigned char)c) || (c && strchr("%+,-./:=@_", c)) || (unsigned char)c >= 0x80; }

const char *cli_pasted(const char *word) {
    static char copies[4][sizeof own_message];
    static unsigned next;
    char *to = copies[next++ % 4];
    size_t n = 0;
    const char *c = word = cli_shown(word); /* its '?' are in quotes, where they match no other name */
    while (is_plain(*c)) c++;
    const bool quoted = *c || !*word;
    if (*word == '-') n += (size_t)snprintf(to, 3, "./"); /* a file, no option */
    if (quoted) to[n++] = '\'';
    for (c = word; *c && n + 8 < sizeof copies[0]; c++) {
        if (*c == '\'')
            n += (size_t)snprintf(to + n, 5, "'\\''");
        else
            to[n++] = *c;
    }
    if (quoted) to[n++] = '\'';
    to[n] = 0;
    return to;
}

/* Options as the library names them in its messages, and as the command line does. The longer of two that begin alike is first. */
static const char *const told[][2] = {
    {"inner_lr, optim.lr, optim.clip", "--inner-lr, --outer-lr, --clip-norm"},
    {"memory_limit", "--memory-limit"},
    {"data_on", "--data-on"},
    {"new_head", "--init-head new"},
    {"balanced_until", "--balanced-until"},
    {"batch_norm_per_step", "--batch-norm-per-step"},
    {"support_per_step", "--support-per-step"},
    {"step_weights", "--multi-step"},
    {"anneal_over", "--multi-step-over"},
    {"test_steps", "--test-steps"},
    {"episodes.joint_classes", "--classes"},
};

static bool goes_on(char c) { return c && (isalnum((unsigned char)c) || strchr("_-/.", c)); }

/* The row of the option whose name begins here, and is no part of another word or of a path; -1: none does. */
static int option_at(const char *text, const char *at) {
    if (at > text && goes_on(at[-1])) return -1;
    for (size_t i = 0; i < CLI_COUNT(told); i++) {
        const char *end = at + strlen(told[i][0]);
        if (strncmp(at, told[i][0], strlen(told[i][0])) != 0) continue;
        if (!goes_on(*end) || (*end == '.' && !goes_on(end[1]))) return (int)i;
    }
    return -1;
}

/* Library messages may list things over several lines: here they become one, with the words of the command line. */
static void write_line(const char *text, bool of_library, char *line, size_t size) {
    enum { LONGEST = 64 };
    size_t n = 0;
    for (const char *from = text; *from && n + LONGEST < size; from++) {
        const int option = of_library ? option_at(text, from) : -1;
        if (option >= 0) {
            n += (size_t)snprintf(line + n, LONGEST, "%s", told[option][1]);
            from += strlen(told[option][0]) - 1;
            continue;
        }
        if (*from != '\n') {
            line[n++] = *from;
            continue;
        }
        while (from[1] == '\n' || from[1] == ' ') from++;
        if (!from[1]) break;
        if (n && line[n - 1] != ':' && line[n - 1] != ';' && line[n - 1] != ',') line[n++] = ';';
        line[n++] = ' ';
    }
    line[n] = 0;
    cli_make_printable(line);
}

const char *cli_message(void) {
    static char line[sizeof own_message];
    write_line(own_message[0] ? own_message : clm_last_error(), !own_message[0], line, sizeof line);
    return line;
}

bool cli_message_before(const char *mark, char *text, size_t size) {
    snprintf(text, size, "%s", cli_message());
    char *const at = strstr(text, mark);
    if (at) *at = 0;
    return at != NULL;
}

const char *cli_in_words(const char *remark) {
    static char line[sizeof own_message];
    write_line(remark, true, line, sizeof line);
    return line;
}

int cli_exit(clm_status status) {
    if (status == CLM_OK) return CLI_EXIT_OK;
    const char *message = cli_message();
    fflush(stdout);
    cli_line(stderr, "clmaml: %s\n", *message ? message : clm_status_name(status));
    return usage_mistake ? CLI_EXIT_USAGE : CLI_EXIT_FAILURE;
}

void cli_note(const char *format, ...) {
    char text[2 * sizeof own_message];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cli_make_printable(text);
    fflush(stdout);
    cli_line(stderr, "clmaml: note: %s\n", text);
}

cli_text cli_bytes(double bytes) {
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    cli_text text;
    size_t u = 0;
    while (bytes >= 1024 && u + 1 < CLI_COUNT(unit)) bytes /= 1024, u++;
    snprintf(text.s, sizeof text.s, u ? "%.1f %s" : "%.0f %s", bytes, unit[u]);
    return text;
}

cli_text cli_duration(double seconds) {
    cli_text text;
    if (!(seconds >= 0 && seconds < 1e9)) seconds = 0;
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text.s, sizeof text.s, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text.s, sizeof text.s, "%ld:%02ld", s / 60, s % 60);
    return text;
}

cli_text cli_count(size_t count) {
    cli_text text;
    if (count == SIZE_MAX)
        snprintf(text.s, sizeof text.s, "endless");
    else
        snprintf(text.s, sizeof text.s, "%zu", count);
    return text;
}

clm_status cli_path(char *path, const char *directory, const char *name) {
    size_t length = strlen(directory);
    const char *slash = length && directory[length - 1] == '/' ? "" : "/";
    if (snprintf(path, CLI_PATH_MAX, "%s%s%s", directory, slash, name) >= CLI_PATH_MAX)
        return cli_fail(CLM_E_LIMIT, "path too long: %s/%s", directory, name);
    return CLM_OK;
}

clm_status cli_parse_list(const char *what, const char *text, double *values, size_t capacity, size_t *count) {
    *count = 0;
    for (const char *at = text;;) {
        char *end;
        double value = strtod(at, &end);
        if (end == at || !isfinite(value) || (*end && *end != ','))
            return cli_usage("%s: '%s' is not a list of numbers such as 1,5,15", what, text);
        if (*count == capacity) return cli_usage("%s: more than %zu numbers in '%s'", what, capacity, text);
        values[(*count)++] = value;
        if (!*end) return CLM_OK;
        at = end + 1;
    }
}

void cli_error_add(cli_error_norm *norm, const double *x, const double *reference, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double d = x[i] - reference[i];
        norm->difference += d * d;
        norm->reference += reference[i] * reference[i];
    }
}

double cli_error_value(const cli_error_norm *norm) {
    double difference = sqrt(norm->difference), reference = sqrt(norm->reference);
    return reference > 0 ? difference / reference : difference;
}

size_t cli_elements(const clm_shape *shape, int tasks) { return clm_shape_size(shape) * (size_t)(tasks > 0 ? tasks : 1); }

cli_text cli_did_you_mean(const char *name) {
    cli_text text = {""};
    if (name) snprintf(text.s, sizeof text.s, "; did you mean %.40s?", name);
    return text;
}
