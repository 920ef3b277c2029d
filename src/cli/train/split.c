/* Several devices for one run. How many tasks each takes is measured once, when the run begins, and kept with its settings, so that a
 * resumed run does the same sums in the same order. */
#include "train/split.h"

#include <stdlib.h>
#include <string.h>

#include "selftest/first_use.h"

clm_status cli_split_open(cli_split *split, const char *spec, int tasks, bool force) {
    clm_status status = CLM_OK;
    memset(split, 0, sizeof *split);
    CLI_TRY(cli_tested_open_all(&split->devices, &split->count, spec, force));
    CLI_NEW(split->shares, split->count);
    for (size_t i = 0; i < split->count; i++) split->shares[i].device = split->devices[i];
    split->shares[0].tasks = tasks;
out:
    return status;
}

void cli_split_close(cli_split *split) {
    clm_device_close_all(split->devices, split->count);
    free(split->shares);
    free(split->speeds);
    memset(split, 0, sizeof *split);
}

static void write_text(const cli_split *split, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < split->count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%d", i ? "," : "", split->shares[i].tasks);
}

static clm_status measure(cli_split *split, cli_settings *s, const clm_model *model, const clm_meta_options *options) {
    clm_status status = CLM_OK;
    CLI_NEW(split->speeds, split->count);
    CLI_GOTO(clm_meta_balance(split->shares, split->speeds, split->count, model, options));
    write_text(split, s->split, sizeof s->split);
out:
    return status;
}

clm_status cli_split_tasks(cli_split *split, cli_settings *s, bool stored, const clm_model *model,
                           const clm_meta_options *options) {
    int share[CLI_MAX_DEVICES];
    size_t count = 0;
    if (!s->split[0] && split->count == 1) return CLM_OK;
    if (split->count > CLI_MAX_DEVICES) return cli_usage("--device: more than %d devices", CLI_MAX_DEVICES);
    if (!s->split[0]) return measure(split, s, model, options);
    CLI_TRY(cli_split_parse(s->split, (int)s->meta_batch, share, CLI_MAX_DEVICES, &count));
    if (count == split->count) {
        for (size_t i = 0; i < count; i++) split->shares[i].tasks = share[i];
        return CLM_OK;
    }
    if (!stored)
        return cli_usage("--split %s is for %zu device%s, --device gives %zu", s->split, count, count == 1 ? "" : "s",
                         split->count);
    cli_note("the run's split %s is for %zu device%s, now there %s %zu: it is made anew", s->split, count,
             count == 1 ? "" : "s", split->count == 1 ? "is" : "are", split->count);
    s->split[0] = 0;
    return split->count == 1 ? CLM_OK : measure(split, s, model, options);
}

static void print_device(FILE *to, const clm_device_info *info) {
    fprintf(to, "  %s (%s), %u compute unit%s, %s", info->name, info->platform, info->compute_units,
            cli_plural(info->compute_units), cli_bytes((double)info->global_memory).s);
}

void cli_split_print(const cli_split *split, const clm_meta *meta, FILE *to) {
    fprintf(to, "device%s\n", split->count > 1 ? "s" : "");
    size_t next = 0;
    int tasks = 0;
    for (size_t i = 0; i < split->count; i++) tasks += split->shares[i].tasks;
    for (size_t i = 0; i < split->count; i++) {
        print_device(to, clm_device_get_info(split->devices[i]));
        if (split->count > 1) {
            fprintf(to, ": %d of %d tasks", split->shares[i].tasks, tasks);
            if (split->speeds) fprintf(to, ", %.4g tasks/s in the trial", split->speeds[i]);
            if (split->shares[i].tasks > 0) {
                clm_meta_part part = clm_meta_get_part(meta, next++);
                fprintf(to, ", %d per launch (%s, %s), %s", part.plan.task_chunk,
                        clm_checkpointing_name(part.plan.checkpointing), clm_plan_reason_text(part.plan.reason),
                        cli_bytes((double)part.plan.bytes).s);
            } else {
                fprintf(to, split->speeds ? ": too slow to be of help" : ": not used");
            }
        }
        fprintf(to, "\n");
    }
}

void cli_split_print_speeds(const clm_meta *meta, FILE *to) {
    size_t count = clm_meta_part_count(meta);
    for (size_t i = 0; count > 1 && i < count; i++) {
        clm_meta_part part = clm_meta_get_part(meta, i);
        if (part.seconds > 0)
            fprintf(to, "%s%s %.4g tasks/s (%d tasks in %.4g s)",
                    i ? ", " : "devices in the last iteration: ", clm_device_get_info(part.device)->name,
                    part.tasks / part.seconds, part.tasks, part.seconds);
        if (i + 1 == count) fprintf(to, "\n");
    }
}

size_t cli_split_allocated(const cli_split *split) {
    size_t sum = 0;
    for (size_t i = 0; i < split->count; i++) sum += clm_device_allocated(split->devices[i]);
    return sum;
}

size_t cli_split_kernels_built(const cli_split *split) {
    size_t sum = 0;
    for (size_t i = 0; i < split->count; i++) sum += clm_device_kernels_built(split->devices[i]);
    return sum;
}
