/* The report of `clmaml doctor --report`: one text that says what somebody far away needs to know about the machine and the device.
 *
 * It is written in one piece, and holds no more of the user's than the question needs: the home directory becomes ~, and neither the
 * machine's nor the user's name is asked for. */
#include "doctor/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/system.h"

static void heading(FILE *to, const char *text) { fprintf(to, "\n== %s ==\n", text); }

static void append(FILE *to, FILE *from) {
    char part[4096];
    size_t n;
    if (!from) return;
    rewind(from);
    while ((n = fread(part, 1, sizeof part, from)) > 0) fwrite(part, 1, n, to);
    (void)fseek(from, 0, SEEK_END);
}

static void write_head(FILE *to) {
    char day[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc)) strftime(day, sizeof day, "%Y-%m-%d", &utc);
    fprintf(to, "clmaml doctor, %s\n", day);
    fprintf(to, "library      clmaml %s, %s\n", clm_version(), clm_build_description());
    fprintf(to, "system       %s\n", cli_system_name().s);
}

static void write_drivers(FILE *to, const cli_findings *f) {
    heading(to, "OpenCL drivers");
    for (size_t i = 0; i < f->driver_count; i++)
        fprintf(to, "  %s (%s)%s: %s\n", f->drivers[i].path, f->drivers[i].library, f->drivers[i].left_out ? ", LEFT OUT" : "",
                f->drivers[i].verdict);
    if (!f->driver_count) fprintf(to, "  none is registered\n");
}

static void write_device(FILE *to, const clm_device_info *d) {
    static const char *const types[] = {"host", "CPU", "GPU", "accelerator"};
    fprintf(to, "  %d:%d %s, %s%s\n", d->platform_index, d->device_index, d->name, types[d->type],
            d->available ? "" : ", NOT AVAILABLE");
    fprintf(to, "      platform %s; vendor %s; %s; driver %s\n", d->platform, d->vendor, d->version, d->driver);
    fprintf(to, "      %u compute unit%s, %u MHz, native float vectors of %u, work-groups up to %zu\n", d->compute_units,
            cli_plural(d->compute_units), d->clock_mhz, d->float_vector_width, d->max_work_group_size);
    fprintf(to, "      global memory %llu, largest allocation %llu, local memory %llu bytes, base alignment %u bits\n",
            (unsigned long long)d->global_memory, (unsigned long long)d->max_allocation, (unsigned long long)d->local_memory,
            d->base_alignment_bits);
    fprintf(to, "      fp64 %s, fp16 %s, memory shared with the host %s\n", d->fp64 ? "yes" : "no", d->fp16 ? "yes" : "no",
            d->unified_memory ? "yes" : "no");
}

static void write_devices(FILE *to, const cli_findings *f) {
    heading(to, "devices");
    size_t shown = 0;
    for (size_t i = 0; i < f->device_count; i++) {
        if (f->devices[i].type == CLM_DEVICE_HOST) continue;
        write_device(to, &f->devices[i]);
        shown++;
    }
    if (!shown) fprintf(to, "  none\n");
}

static void write_cache(FILE *to) {
    clm_cache_info c;
    heading(to, "cache");
    if (clm_cache_describe(&c) != CLM_OK) {
        fprintf(to, "  %s\n", cli_message());
        return;
    }
    fprintf(to, "  %s, %s, %s\n", c.directory[0] ? c.directory : "no place for one", c.enabled ? "on" : "off",
            c.writable ? "writable" : "NOT writable");
    fprintf(to, "  %zu files, %s of at most %s\n", c.files, cli_bytes((double)c.bytes).s, cli_bytes((double)c.limit).s);
}

static void write_warnings(FILE *to, const cli_findings *f) {
    size_t count = 0;
    heading(to, "warnings");
    for (size_t i = 0; i < f->driver_count; i++) {
        if (!f->drivers[i].suspect) continue;
        fprintf(to, "  driver %s: %s\n", f->drivers[i].path, f->drivers[i].verdict);
        count++;
    }
    if (f->warnings[0]) fprintf(to, "  %s\n", f->warnings);
    if (!count && !f->warnings[0]) fprintf(to, "  none\n");
}

/* Copies the text with the home directory shortened. Only whole directories count: /home/ann is no part of /home/anna. */
static char *without_home(const char *text, size_t *size) {
    const char *home = getenv("HOME");
    size_t length = home ? strlen(home) : 0, n = 0;
    char *out = malloc(strlen(text) + 1);
    while (length && home[length - 1] == '/') length--;
    for (const char *at = text; out && *at;) {
        bool whole = length > 1 && strncmp(at, home, length) == 0 && (at == text || !strchr("/._-", at[-1])) &&
                     (at[length] == 0 || strchr("/ \n:;,)\"'", at[length]));
        out[n++] = whole ? '~' : *at;
        at += whole ? length : 1;
    }
    if (out) out[n] = 0;
    *size = n;
    return out;
}

static clm_status publish(const char *path, FILE *text) {
    clm_status status = CLM_OK;
    char *whole = NULL, *clean = NULL;
    size_t size = 0, length = (size_t)ftell(text);
    CLI_NEW(whole, length + 1);
    rewind(text);
    if (fread(whole, 1, length, text) != length)
        CLI_GOTO(cli_fail(CLM_E_IO, "cannot read a temporary file: %s", strerror(errno)));
    if (!(clean = without_home(whole, &size))) CLI_GOTO(cli_fail(CLM_E_MEMORY, "out of memory"));
    CLI_GOTO(cli_file_write(path, clean, size));
out:
    free(whole);
    free(clean);
    return status;
}

clm_status cli_report_write(const char *path, const cli_findings *f) {
    FILE *text = tmpfile();
    clm_status status = CLM_OK;
    if (!text) return cli_fail(CLM_E_IO, "cannot make a temporary file: %s", strerror(errno));
    write_head(text);
    fprintf(text, "result       %s\n", f->verdict[0] ? f->verdict : "the examination has not ended");
    write_warnings(text, f);
    heading(text, "environment");
    append(text, f->environment);
    write_drivers(text, f);
    write_devices(text, f);
    heading(text, "examination");
    append(text, f->examination);
    write_cache(text);
    status = ferror(text) ? cli_fail(CLM_E_IO, "cannot write a temporary file: %s", strerror(errno)) : publish(path, text);
    fclose(text);
    return status;
}
