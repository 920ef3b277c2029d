/* `clmaml tune`: measures the implementations of convolutions and matrix products that a training run would use, on a device, and keeps
 * the fastest for later runs. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/ranks.h"
#include "base/system.h"
#include "config/algorithms.h"
#include "config/folders.h"
#include "config/presets.h"
#include "config/readers.h"
#include "config/setup.h"
#include "config/sources.h"
#include "selftest/first_use.h"

typedef struct tune_settings {
    cli_settings train;
    double budget;
    int what;
    bool again;
} tune_settings;

#define AT(field) offsetof(tune_settings, field)
#define BIG 9007199254740991.0 /* as train */
#define OF_TRAIN(group, name, kind, field, least, most, value) \
    { group, name, kind, 0, AT(train.field), least, most, value, "as for train" }

static const cli_option options[] = {
    OF_TRAIN("What a run looks like", "preset", CLI_NAME, preset, 0, 0, &cli_preset_names),
    OF_TRAIN(NULL, "data", CLI_TEXT, data, 0, 0, "PATH"),
    OF_TRAIN(NULL, "size", CLI_INT, size, 8, 512, "N"),
    OF_TRAIN(NULL, "channels", CLI_CHOICE, channels, 0, 0, "auto|1|3"),
    OF_TRAIN(NULL, "fit", CLI_CHOICE, fit, 0, 0, "stretch|crop|pad"),
    OF_TRAIN(NULL, "invert", CLI_CHOICE, invert, 0, 0, "no|yes"),
    OF_TRAIN(NULL, "background", CLI_INT, background, 0, 255, "N"),
    OF_TRAIN(NULL, "class-split", CLI_TEXT, class_split, 0, 0, "A,B,C"),
    OF_TRAIN(NULL, "class-depth", CLI_INT, class_depth, 0, 8, "N"),
    OF_TRAIN(NULL, "strict", CLI_FLAG, strict, 0, 0, ""),
    OF_TRAIN(NULL, "decode-threads", CLI_INT, decode_threads, 0, 1024, "N"),
    OF_TRAIN(NULL, "omniglot-split", CLI_CHOICE, omniglot_split, 0, 0, "alphabets|1200"),
    OF_TRAIN(NULL, "split-seed", CLI_INT, split_seed, 0, BIG, "N"),
    OF_TRAIN(NULL, "rotations", CLI_CHOICE, rotations, 0, 0, "no|yes"),
    OF_TRAIN(NULL, "task-column", CLI_TEXT, task_column, 0, 0, "NAME"),
    OF_TRAIN(NULL, "target", CLI_TEXT, target, 0, 0, "NAME,.."),
    OF_TRAIN(NULL, "features", CLI_TEXT, features, 0, 0, "NAME,.."),
    OF_TRAIN(NULL, "ignore", CLI_TEXT, ignore, 0, 0, "NAME,.."),
    OF_TRAIN(NULL, "categorical", CLI_TEXT, categorical, 0, 0, "NAME,.."),
    OF_TRAIN(NULL, "missing", CLI_CHOICE, missing, 0, 0, "refuse|mean|drop"),
    OF_TRAIN(NULL, "window", CLI_INT, window, 0, 65536, "N"),
    OF_TRAIN(NULL, "window-layout", CLI_CHOICE, window_layout, 0, 0, "rows|channels"),
    OF_TRAIN(NULL, "horizon", CLI_INT, horizon, 0, 65536, "H"),
    OF_TRAIN(NULL, "time-column", CLI_TEXT, time_column, 0, 0, "NAME"),
    OF_TRAIN(NULL, "task-split", CLI_TEXT, task_split, 0, 0, "A,B,C"),
    OF_TRAIN(NULL, "ways", CLI_INT, ways, 1, CLI_MAX_WAYS, "N"),
    OF_TRAIN(NULL, "shots", CLI_INT, shots, 1, 1000, "K"),
    OF_TRAIN(NULL, "query", CLI_INT, query, 1, 1000, "Q"),
    OF_TRAIN(NULL, "network", CLI_NAME, network, 0, 0, CLI_NAMES(clm_network_count, clm_network_name, NULL)),
    OF_TRAIN(NULL, "filters", CLI_INT, filters, 1, 1024, "N"),
    OF_TRAIN(NULL, "hidden", CLI_INT, hidden, 0, 65536, "N"),
    OF_TRAIN(NULL, "model", CLI_TEXT, model, 0, 0, "FILE"),
    OF_TRAIN(NULL, "context", CLI_INT, context, 0, 65536, "N"),
    OF_TRAIN(NULL, "algorithm", CLI_NAME, algorithm, 1, 0, CLI_NAMES(clm_algorithm_count, clm_algorithm_name, NULL)),
    OF_TRAIN(NULL, "first-order", CLI_FLAG, first_order, 0, 0, ""),
    OF_TRAIN(NULL, "anil", CLI_FLAG, anil, 0, 0, ""),
    OF_TRAIN(NULL, "adapt", CLI_TEXT, adapt, 0, 0, "PREFIX,.."),
    OF_TRAIN(NULL, "freeze", CLI_TEXT, freeze, 0, 0, "PREFIX,.."),
    OF_TRAIN(NULL, "unlearned", CLI_TEXT, unlearned, 0, 0, "PREFIX,.."),
    OF_TRAIN(NULL, "rates", CLI_CHOICE, rates, 0, 0, "fixed|per-step|per-element"),
    OF_TRAIN(NULL, "support-per-step", CLI_FLAG, support_per_step, 0, 0, ""),
    OF_TRAIN(NULL, "classes", CLI_INT, classes, 0, 1 << 20, "N"),
    OF_TRAIN(NULL, "batch-norm-per-step", CLI_FLAG, batch_norm_per_step, 0, 0, ""),
    OF_TRAIN(NULL, "multi-step", CLI_TEXT, multi_step, 0, 0, "W1,..,WK|even|anneal"),
    OF_TRAIN(NULL, "proximal", CLI_REAL, proximal, 0, 1e9, "X"),
    OF_TRAIN(NULL, "solver", CLI_CHOICE, solver, 0, 0, "cg|neumann"),
    OF_TRAIN(NULL, "solver-steps", CLI_INT, solver_steps, 1, 1000, "N"),
    OF_TRAIN(NULL, "steps", CLI_INT, steps, 1, CLI_MAX_STEPS, "K"),
    OF_TRAIN(NULL, "inner-lr", CLI_REAL, inner_lr, 0, 1e6, "X"),
    OF_TRAIN(NULL, "inner-rule", CLI_NAME, inner_rule, 1, 0, CLI_NAMES(clm_inner_rule_count, clm_inner_rule_name, NULL)),
    OF_TRAIN(NULL, "inner-momentum", CLI_REAL, inner_momentum, 0, 1, "X"),
    OF_TRAIN(NULL, "inner-betas", CLI_TEXT, inner_betas, 0, 0, "B1,B2"),
    OF_TRAIN(NULL, "inner-decay", CLI_REAL, inner_decay, 0, 1, "X"),
    OF_TRAIN(NULL, "inner-eps", CLI_REAL, inner_eps, 0, 1e6, "X"),
    OF_TRAIN(NULL, "inner-eps-root", CLI_REAL, inner_eps_root, 0, 1e6, "X"),
    OF_TRAIN(NULL, "inner-weight-decay", CLI_REAL, inner_weight_decay, 0, 1e6, "X"),
    OF_TRAIN(NULL, "inner-clip-value", CLI_REAL, inner_clip_value, 0, 1e30, "X"),
    OF_TRAIN(NULL, "inner-clip-norm", CLI_REAL, inner_clip_norm, 0, 1e30, "X"),
    OF_TRAIN(NULL, "loss", CLI_NAME, loss, 0, 0, &cli_loss_names),
    OF_TRAIN(NULL, "reduction", CLI_CHOICE, reduction, 0, 0, "mean|sum"),
    OF_TRAIN(NULL, "label-smoothing", CLI_REAL, label_smoothing, 0, 0.999999, "X"),
    OF_TRAIN(NULL, "class-weights", CLI_TEXT, class_weights, 0, 0, "W1,.."),
    OF_TRAIN(NULL, "huber-delta", CLI_REAL, huber_delta, 1e-12, 1e12, "X"),
    OF_TRAIN(NULL, "meta-batch", CLI_INT, meta_batch, 1, 65536, "T"),
    OF_TRAIN(NULL, "memory-limit", CLI_BYTES, memory_limit, 0, 0, "SIZE"),
    OF_TRAIN(NULL, "checkpointing", CLI_CHOICE, checkpointing, 0, 0, "auto|store|recompute"),
    OF_TRAIN(NULL, "task-chunk", CLI_INT, task_chunk, 0, 65536, "T"),
    OF_TRAIN(NULL, "device", CLI_TEXT, device, 0, 0, "WHICH"),
    OF_TRAIN(NULL, "force", CLI_FLAG, force, 0, 0, ""),
    {"Tuning", "budget", CLI_REAL, 0, AT(budget), 0, 1e9, "SECONDS", "stop after so long; 0: when everything has been tried"},
    {NULL, "only", CLI_CHOICE, 0, AT(what), 0, 0, "all|kernels|plans",
     "single kernels, or whole plans of a meta-gradient, or both"},
    {NULL, "again", CLI_FLAG, 0, AT(again), 0, 0, "", "measure what is known already once more"},
    {.name = NULL},
};

typedef struct findings {
    int operations, known, tried, failed;
    double before, after; /* seconds of all uses together */
} findings;

static void print_plan(FILE *to, const clm_tune_line *line) {
    fprintf(to, "%s\n", line->operation);
    if (line->best_seconds > 0 && line->default_seconds > 0) {
        fprintf(to, "  unmeasured %9.2f ms  %s\n", line->default_seconds * 1e3, line->default_text);
        fprintf(to, "  best       %9.2f ms  %s\n  %.2f times as fast", line->best_seconds * 1e3, line->best_text,
                line->default_seconds / line->best_seconds);
    } else {
        fprintf(to, "  %s\n  not measured", line->best_text);
    }
    if (line->known)
        fprintf(to, "; known already\n");
    else
        fprintf(to, "; %d of %d plans tried, %d of them did not fit or failed\n", line->tried, line->candidates, line->failed);
}

/* "conv2d [5, 14, 14, 64]* .. -> [5, 14, 14, 64]*" without its attributes. */
static void print_operation(FILE *to, const clm_tune_line *line, findings *f) {
    const double ratio = line->best_seconds > 0 ? line->default_seconds / line->best_seconds : 1;
    f->operations++;
    f->known += line->known;
    f->tried += line->tried;
    f->failed += line->failed;
    f->before += line->default_seconds * line->uses;
    f->after += line->best_seconds * line->uses;
    fprintf(to, "%s\n  %d task%s, %d use%s", line->operation, line->tasks, line->tasks == 1 ? "" : "s", line->uses,
            line->uses == 1 ? "" : "s");
    if (line->best_seconds > 0) {
        fprintf(to, "\n  default %9.3f ms %7.1f GFLOP/s  %s\n", line->default_seconds * 1e3,
                line->flops / line->default_seconds * 1e-9, line->default_text);
        fprintf(to, "  best    %9.3f ms %7.1f GFLOP/s  %s\n  %.2f times as fast", line->best_seconds * 1e3,
                line->flops / line->best_seconds * 1e-9, line->best_text, ratio);
    } else {
        fprintf(to, "\n  default %s\n  not measured", line->default_text);
    }
    if (line->known)
        fprintf(to, "; known already");
    else
        fprintf(to, "; %d of %d candidate%s tried, %d failed verification", line->tried, line->candidates,
                cli_plural(line->candidates), line->failed);
    fprintf(to, "\n");
}

static void print_line(void *user, const clm_tune_line *line) {
    findings *f = user;
    FILE *to = cli_lines_begin(stdout);
    if (line->plan)
        print_plan(to, line);
    else
        print_operation(to, line, f);
    cli_lines_end(to, stdout);
    fflush(stdout);
}

/* Presets look at what was given by the rows of train's table. */
static clm_status settle(cli_settings *run, cli_args *args) {
    bool given[CLI_MAX_OPTIONS] = {false};
    for (size_t i = 0; options[i].name; i++) {
        const int row = cli_settings_row(options[i].name);
        if (row >= 0) given[row] = args->given[i];
    }
    CLI_TRY(cli_setup_arguments(run, options, args));
    CLI_TRY(cli_presets_apply(run, given));
    if (!run->source[0]) snprintf(run->source, sizeof run->source, "glyphs");
    CLI_TRY(cli_source_check(run, options, args->given));
    CLI_TRY(cli_readers_check(run, options, args->given));
    cli_settings_settle(run);
    return cli_settings_check(run);
}

/* Only the shape of examples counts, which of omniglot is known without the files; and, to train on all classes at once, how many
 * there are. */
static clm_status open_source(clm_source **out, cli_settings *s) {
    const bool counts = cli_setup_is_joint(s) && !s->classes;
    if (strcmp(s->source, "omniglot") == 0 && !s->data[0] && !counts) return clm_source_glyphs(out, (int)s->size);
    CLI_TRY(cli_setup_source(out, s));
    cli_folder_print_notes(*out);
    return cli_setup_check_ways(s, *out);
}

/* ---- over ranks ---- */

/* All must measure the same. */
static clm_status agree_on_options(const tune_settings *s) {
    char *text = NULL;
    CLI_TRY(cli_settings_check_texts(&s->train));
    json_t *settings = cli_settings_to_json(&s->train);
    cli_json_set(settings, "device", json_null());
    cli_json_set(settings, "budget", json_real(s->budget));
    cli_json_set(settings, "only", json_integer(s->what));
    cli_json_set(settings, "again", json_boolean(s->again));
    text = cli_json_text(settings, JSON_INDENT(1));
    json_decref(settings);
    if (!text) return CLM_E_MEMORY;
    const clm_status status = clm_comm_agree(cli_ranks(), "options", text);
    free(text);
    return cli_ranks_follow(status, NULL, 0);
}

/* Ranks that share a device disturb each other's timing. */
static clm_status note_shared_devices(const clm_device_info *info) {
    const int size = clm_comm_size(cli_ranks());
    int mine[2] = {info->platform_index, info->device_index}, (*all)[2] = NULL;
    clm_status status = CLM_OK;
    CLI_NEW(all, size);
    CLI_GOTO(clm_comm_all_gather(cli_ranks(), mine, sizeof mine, all));
    for (int r = 1; r < size; r++)
        for (int k = 0; k < r; k++) {
            const char *host = clm_comm_host(cli_ranks(), r);
            if (memcmp(all[r], all[k], sizeof all[r]) != 0 || strcmp(host, clm_comm_host(cli_ranks(), k)) != 0) continue;
            cli_note(
                "ranks %d and %d on %s share a device, and disturb each other's timing: what is found may not be the fastest; "
                "start one rank for each device",
                k, r, host);
            goto out;
        }
out:
    free(all);
    return status;
}

/* A device that is new is tested by the first of a host's ranks. */
static clm_status open_device(clm_device **device, const tune_settings *s) {
    const bool first = clm_comm_local_rank(cli_ranks()) == 0;
    char text[CLI_PATH_MAX], said[512];
    const char *spec = NULL;
    CLI_TRY(cli_ranks_device(s->train.device, text, &spec));
    if (!first) CLI_TRY(cli_ranks_meet());
    CLI_TRY(cli_tested_open(device, spec, s->train.force));
    if (first) CLI_TRY(cli_ranks_meet());
    const clm_device_info *info = clm_device_get_info(*device);
    snprintf(said, sizeof said, "%.200s, driver %.200s", info->name, info->driver);
    CLI_TRY(cli_ranks_follow(clm_comm_agree(cli_ranks(), "device", said), NULL, 0)); /* one of them says it */
    if (clm_comm_size(cli_ranks()) > 1 && info->type == CLM_DEVICE_HOST)
        return cli_ranks_follow(
            cli_fail(CLM_E_STATE, "tune: results cannot be kept for %s: it has nothing to choose between", info->name), NULL,
            0);
    return note_shared_devices(info);
}

static void print_result(const clm_meta *meta, const findings *f, double seconds) {
    const clm_meta_plan plan = clm_meta_get_plan(meta);
    FILE *to = cli_lines_begin(stdout);
    fprintf(to, "plan: checkpointing %s, %d task%s per launch (%s)\n", clm_checkpointing_name(plan.checkpointing),
            plan.task_chunk, cli_plural(plan.task_chunk), clm_plan_reason_text(plan.reason));
    fprintf(to, "%d operation%s in %.0f s, %d of them known; %d candidate%s tried, %d failed verification", f->operations,
            cli_plural(f->operations), seconds, f->known, f->tried, cli_plural(f->tried), f->failed);
    if (f->after > 0)
        fprintf(to, "; %.2f ms instead of %.2f ms for all of a meta-gradient's uses", f->after * 1e3, f->before * 1e3);
    fprintf(to, "\n");
    cli_lines_end(to, stdout);
}

static clm_status tune(cli_args *args) {
    tune_settings *s = args->settings;
    cli_settings *run = &s->train;
    clm_source *source = NULL;
    clm_model *model = NULL;
    clm_device *device = NULL;
    clm_meta *meta = NULL;
    clm_meta_options meta_options;
    cli_task *task = NULL;
    clm_status status = CLM_OK;
    findings f = {0};
    clm_tune_options tuning = CLM_TUNE_OPTIONS_INIT;
    CLI_NEW(task, 1);
    CLI_GOTO(cli_ranks_open("tune"));
    CLI_GOTO(settle(run, args));
    CLI_GOTO(agree_on_options(s));
    CLI_GOTO(open_source(&source, run));
    CLI_GOTO(cli_setup_check_split(run, source, options, args->given));
    CLI_GOTO(cli_setup_classes(run, source));
    CLI_GOTO(cli_setup_network(run, source));
    CLI_GOTO(cli_setup_model(&model, run, source, NULL));
    CLI_GOTO(cli_readers_check_model(run, model, options, args->given));
    CLI_GOTO(cli_setup_task_options(task, run, model));
    cli_setup_meta_options(&meta_options, run, task);
    CLI_GOTO(open_device(&device, s));
    cli_line(stdout, "%s\n", clm_device_get_info(device)->name);
    CLI_GOTO(cli_setup_told(clm_meta_create(&meta, device, model, &meta_options)));
    tuning.budget = s->budget;
    tuning.again = s->again;
    tuning.what = (clm_tune_what)s->what;
    tuning.progress = print_line;
    tuning.user = &f;
    tuning.comm = cli_ranks();
    const double began = cli_clock();
    CLI_GOTO(clm_meta_tune(meta, &tuning));
    print_result(meta, &f, cli_clock() - began);
out:
    clm_meta_free(meta);
    clm_device_close(device);
    clm_model_free(model);
    clm_source_free(source);
    free(task);
    return status;
}

static int run_tune(cli_args *args) { return cli_ranks_close(cli_exit(tune(args))); }

static const tune_settings defaults = {.train = CLI_SETTINGS_DEFAULTS};

const cli_command cli_tune = {
    .name = "tune",
    .synopsis = "[SUBJECT] [--option value ..]",
    .subjects = &cli_subject_names,
    .summary = "find the fastest kernels and plans for a device",
    .details =
        "Tries every implementation of each convolution and matrix product that training with the same options would use, "
        "checks its results, times it, and keeps the fastest in the cache directory, where training, evaluation and the "
        "library find it. Then meta-gradients of random tasks are timed by different plans: everything kept for the way back "
        "or "
        "computed again, by more or fewer tasks at a time; unless --checkpointing and --task-chunk say, the fastest is what "
        "training takes. mpirun shares what is to be measured out to devices of one kind. Repeating a tuned run gives the same "
        "bits; tuning between two runs may change the last ones. "
        "What the run would learn from, glyphs unless told otherwise:",
    .options = options,
    .settings_size = sizeof(tune_settings),
    .defaults = &defaults,
    .max_positional = 2,
    .readers = cli_readers_help,
    .run = run_tune,
};
