/* The table of training options and the settings it fills. The table is the one list of what a run depends on: parser, --help,
 * config.json and the comparison at --resume all walk it. */
#include "config/settings.h"

#include "base/json.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/algorithms.h"
#include "config/folders.h"
#include "config/presets.h"
#include "config/setup.h"

#define AT(field) offsetof(cli_settings, field)
#define BIG 9007199254740991.0 /* 2^53 - 1: whole numbers that JSON keeps */

const cli_option cli_settings_options[] = {
    {"Data", "data", CLI_TEXT, CLI_MOVABLE, AT(data), 0, 0, "PATH",
     "where the data lie: for omniglot the two zips or folders, for table the file; for a folder, where it lies now"},
    {NULL, "size", CLI_INT, 0, AT(size), 8, 512, "N", "pixels a side of an image; of a folder, 84 unless told otherwise"},
    {NULL, "channels", CLI_CHOICE, 0, AT(channels), 0, 0, "auto|1|3", "grey or colour; auto: colour when any picture is"},
    {NULL, "fit", CLI_CHOICE, 0, AT(fit), 0, 0, "stretch|crop|pad",
     "how a picture becomes square: each side scaled, the largest square in its middle, or all of it on --background"},
    {NULL, "invert", CLI_CHOICE, 0, AT(invert), 0, 0, "no|yes", "255 minus every pixel, for dark ink on light paper"},
    {NULL, "background", CLI_INT, 0, AT(background), 0, 255, "N",
     "the grey behind what is transparent or padded, before --invert"},
    {NULL, "normalise", CLI_CHOICE, 0, AT(normalise), 0, 0, "none|imagenet|dataset",
     "pixels from 0 to 1; by ImageNet's mean and deviation; by those of the training classes"},
    {NULL, "class-split", CLI_TEXT, 0, AT(class_split), 0, 0, "A,B,C",
     "numbers of classes to train on, validate and test with, where the data have no split; more than there are: in these "
     "proportions; default: as 64,16,20, each at least --ways"},
    {NULL, "class-depth", CLI_INT, 0, AT(class_depth), 0, 8, "N",
     "a class is the folder so many levels down; 0: the first one down that holds pictures"},
    {NULL, "strict", CLI_FLAG, 0, AT(strict), 0, 0, "", "refuse data of which anything would be left out, and list it"},
    {NULL, "decode-threads", CLI_INT, CLI_MOVABLE, AT(decode_threads), 0, 1024, "N",
     "threads that read pictures; 0: one a core"},
    {NULL, "flip", CLI_REAL, 0, AT(flip), 0, 1, "P", "mirror a training picture left to right with this probability"},
    {NULL, "shift", CLI_REAL, 0, AT(shift), 0, 0.99, "X", "move it by up to so much of its side"},
    {NULL, "crop", CLI_REAL, 0, AT(crop), 0.01, 1, "X", "take a square of at least this share of its area; 1: all"},
    {NULL, "jitter", CLI_REAL, 0, AT(jitter), 0, 0.99, "X",
     "multiply its saturation, contrast and brightness by numbers within this of 1"},
    {NULL, "omniglot-split", CLI_CHOICE, 0, AT(omniglot_split), 0, 0, "alphabets|1200",
     "background/evaluation alphabets, or all characters shuffled: 1100 train, 100 validate, 423 test"},
    {NULL, "split-seed", CLI_INT, 0, AT(split_seed), 0, BIG, "N", "seed of the shuffle that draws a split"},
    {NULL, "rotations", CLI_CHOICE, 0, AT(rotations), 0, 0, "no|yes",
     "omniglot: rotations by 90 degrees are classes of their own"},
    {NULL, "test-rotations", CLI_CHOICE, 0, AT(test_rotations), 0, 0, "no|yes", "the same for test classes"},
    {NULL, "within-alphabet", CLI_CHOICE, 0, AT(within_alphabet), 0, 0, "no|yes",
     "omniglot: test tasks are of one alphabet, support and query by different people (Lake et al. 2015)"},
    {NULL, "beside", CLI_TEXT, 0, AT(beside), 0, 0, "SOURCE[:SIZE],..",
     "tasks of other pictures in turn with these: glyphs, a folder, a .npz file, or where Omniglot lies; padded to one shape"},
    {NULL, "functions", CLI_TEXT, 0, AT(functions), 0, 0, "KIND,..",
     "functions: the kinds that tasks are of, of sine, line, parabola, absolute; default: all"},
    {NULL, "task-column", CLI_TEXT, 0, AT(task_column), 0, 0, "NAME", "tables: rows with one value there are a task"},
    {NULL, "target", CLI_TEXT, 0, AT(target), 0, 0, "NAME,..",
     "tables: what is predicted; numbers, or with --loss cross-entropy the names of classes"},
    {NULL, "features", CLI_TEXT, 0, AT(features), 0, 0, "NAME,..",
     "tables: what it is predicted from; default: all other columns"},
    {NULL, "ignore", CLI_TEXT, 0, AT(ignore), 0, 0, "NAME,..", "tables: columns that are not used"},
    {NULL, "categorical", CLI_TEXT, 0, AT(categorical), 0, 0, "NAME,..",
     "tables: features whose values are names, each of which becomes a number 0 or 1"},
    {NULL, "missing", CLI_CHOICE, 0, AT(missing), 0, 0, "refuse|mean|drop",
     "tables: what becomes of missing values: an error, the mean of the training tasks, or their rows are left out"},
    {NULL, "standardise", CLI_CHOICE, 0, AT(standardise), 0, 0, "no|yes",
     "tables: numbers less their mean over the training tasks, over their standard deviation"},
    {NULL, "window", CLI_INT, 0, AT(window), 0, 65536, "N",
     "tables: an example is N consecutive rows of a task, [N, features]; 0: one row"},
    {NULL, "window-layout", CLI_CHOICE, 0, AT(window_layout), 0, 0, "rows|channels",
     "[N, features], as lstm takes it, or [features, N], as conv1d does"},
    {NULL, "horizon", CLI_INT, 0, AT(horizon), 0, 65536, "H", "tables: predict the target of H rows ahead of the last one"},
    {NULL, "time-column", CLI_TEXT, 0, AT(time_column), 0, 0, "NAME",
     "tables: orders the rows of a task; default: as in the file"},
    {NULL, "task-split", CLI_TEXT, 0, AT(task_split), 0, 0, "A,B,C",
     "tables: tasks that train, validate, test, drawn by --split-seed; default: 64, 16, 20 %"},

    {"Task and network", "ways", CLI_RANGE, 0, AT(ways), 1, CLI_MAX_WAYS, "N|A..N",
     "classes of a task; A..N: each task has a number of its own, drawn from A to N"},
    {NULL, "shots", CLI_RANGE, 0, AT(shots), 1, 1000, "K|A..K",
     "support examples per class; A..K: drawn for each task, of what its classes or rows have"},
    {NULL, "query", CLI_INT, 0, AT(query), 1, 1000, "Q",
     "query examples per class; of functions and tables: 10 where nothing is said"},
    {NULL, "network", CLI_NAME, 0, AT(network), 0, 0, &cli_network_names,
     "default: conv4 for images, cnn1d for sequences, mlp for numbers; `clmaml model` writes them as files"},
    {NULL, "filters", CLI_INT, 0, AT(filters), 1, 1024, "N",
     "filters of the first block, from which those of the others follow"},
    {NULL, "hidden", CLI_INT, 0, AT(hidden), 0, 65536, "N",
     "units of a hidden layer, of a recurrent state, or of a token; 0: the network's own number"},
    {NULL, "model", CLI_TEXT, 0, AT(model), 0, 0, "FILE", "a list of layers in JSON instead of a network by name"},
    {NULL, "init", CLI_TEXT, 0, AT(init), 0, 0, "FILE",
     "begin with the weights in a .safetensors file, under PyTorch's names, or with the best ones of a run"},
    {NULL, "init-head", CLI_CHOICE, 0, AT(init_head), 0, 0, "file|new",
     "of --init: the last layer as in the file, or drawn anew"},
    {NULL, "context", CLI_INT, 0, AT(context), 0, 65536, "N",
     "numbers of context, of a film layer in each block, or beside the input of mlp"},

    {"Algorithm", "algorithm", CLI_NAME, 0, AT(algorithm), 1, 0, &cli_algorithm_names,
     "what the outer loop learns from the inner one; `clmaml algorithms` says more"},
    {NULL, "first-order", CLI_FLAG, 0, AT(first_order), 0, 0, "", "drop the second-order term (FOMAML)"},
    {NULL, "first-order-until", CLI_INT, 0, AT(first_order_until), CLI_AUTO, BIG, "N|auto",
     "drop it in the first N outer updates only; auto: in the first 15 % of --iterations (maml++)"},
    {NULL, "anil", CLI_FLAG, 0, AT(anil), 0, 0, "", "adapt the last linear or convolution layer only: --algorithm anil"},
    {NULL, "adapt", CLI_TEXT, 0, AT(adapt), 0, 0, "PREFIX,..", "adapt only parameters whose names start so"},
    {NULL, "freeze", CLI_TEXT, 0, AT(freeze), 0, 0, "PREFIX,..", "do not adapt parameters whose names start so"},
    {NULL, "unlearned", CLI_TEXT, 0, AT(unlearned), 0, 0, "PREFIX,..",
     "do not learn them: they begin every task with their initial values"},
    {NULL, "rates", CLI_CHOICE, 0, AT(rates), 0, 0, "fixed|per-step|per-element",
     "learn the inner rates: per parameter tensor and step (MAML++), or per element (Meta-SGD)"},
    {NULL, "initialisations", CLI_INT, 0, AT(initialisations), 1, CLM_INITIALISATIONS_MOST, "M",
     "sets of initial parameters; a task goes to the one with the lowest support loss after adaptation, for tasks that are "
     "unlike one "
     "another"},
    {NULL, "balanced-until", CLI_INT, 0, AT(balanced_until), CLI_AUTO, BIG, "N|auto",
     "of several --initialisations each takes at most an equal share of a meta-batch in the first N updates; auto: in the "
     "first "
     "half of "
     "--iterations"},
    {NULL, "support-per-step", CLI_FLAG, 0, AT(support_per_step), 0, 0, "",
     "another support set of --shots examples a class in every inner step of training"},
    {NULL, "classes", CLI_INT, 0, AT(classes), 0, 1 << 20, "N", "training classes; 0: all there are, of an endless source 200"},
    {NULL, "batch-norm-per-step", CLI_FLAG, 0, AT(batch_norm_per_step), 0, 0, "",
     "learn scale and shift of batch-norm for each inner step instead of adapting them (MAML++)"},
    {NULL, "multi-step", CLI_TEXT, 0, AT(multi_step), 0, 0, "W1,..,WK|even|anneal",
     "weights of the query loss after every inner step; anneal: equal at first, then more and more of the last (MAML++)"},
    {NULL, "multi-step-over", CLI_INT, 0, AT(multi_step_over), 0, BIG, "N",
     "anneal over so many updates; 0: 15 % of --iterations"},
    {NULL, "proximal", CLI_REAL, 0, AT(proximal), 0, 1e9, "X", "lambda of lambda/2 |theta_k - theta|^2 in the inner loss"},
    {NULL, "solver", CLI_CHOICE, 0, AT(solver), 0, 0, "cg|neumann", "conjugate gradients, or the Neumann series"},
    {NULL, "solver-steps", CLI_INT, 0, AT(solver_steps), 1, 1000, "N", "iterations of the solver"},

    {"Inner loop", "steps", CLI_INT, 0, AT(steps), 1, CLI_MAX_STEPS, "K", "inner steps in training"},
    {NULL, "test-steps", CLI_INT, 0, AT(test_steps), CLI_AUTO, CLI_MAX_STEPS, "K|auto",
     "inner steps at validation and test; 0: as many as in training; auto: at test as many as serve validation tasks best"},
    {NULL, "inner-lr", CLI_REAL, 0, AT(inner_lr), 0, 1e6, "X", "inner learning rate, or what learned rates start from"},
    {NULL, "inner-rule", CLI_NAME, 0, AT(inner_rule), 1, 0, &cli_inner_rule_names, "inner update rule"},
    {NULL, "inner-momentum", CLI_REAL, 0, AT(inner_momentum), 0, 1, "X", "part of the last move that is kept"},
    {NULL, "inner-betas", CLI_TEXT, 0, AT(inner_betas), 0, 0, "B1,B2",
     "decays of the moments of the gradient and of its square"},
    {NULL, "inner-decay", CLI_REAL, 0, AT(inner_decay), 0, 1, "X", "decay of the mean square of the gradient"},
    {NULL, "inner-eps", CLI_REAL, 0, AT(inner_eps), 0, 1e6, "X", "added to the root"},
    {NULL, "inner-eps-root", CLI_REAL, 0, AT(inner_eps_root), 0, 1e6, "X",
     "added under the root, whose derivative at 0 is not finite"},
    {NULL, "inner-weight-decay", CLI_REAL, 0, AT(inner_weight_decay), 0, 1e6, "X", "added to the inner gradient"},
    {NULL, "inner-clip-value", CLI_REAL, 0, AT(inner_clip_value), 0, 1e30, "X",
     "clip every element of the inner gradient; 0: never"},
    {NULL, "inner-clip-norm", CLI_REAL, 0, AT(inner_clip_norm), 0, 1e30, "X",
     "scale the inner gradient down to this norm; 0: never"},
    {NULL, "bn", CLI_CHOICE, 0, AT(bn), 0, 0, "transductive|support-stats",
     "where batch-norm takes its statistics at validation and test: the batch at hand, or the support set"},

    {"Loss", "loss", CLI_NAME, 0, AT(loss), 0, 0, &cli_loss_names, "default: mse for a regression, else cross-entropy"},
    {NULL, "reduction", CLI_CHOICE, 0, AT(reduction), 0, 0, "mean|sum", "of the loss over the examples of a task"},
    {NULL, "label-smoothing", CLI_REAL, 0, AT(label_smoothing), 0, 0.999999, "X", "of one-hot labels"},
    {NULL, "class-weights", CLI_TEXT, 0, AT(class_weights), 0, 0, "W1,..", "a weight for each way"},
    {NULL, "huber-delta", CLI_REAL, 0, AT(huber_delta), 1e-12, 1e12, "X", "where the loss becomes linear"},

    {"Outer loop", "meta-batch", CLI_INT, 0, AT(meta_batch), 1, 65536, "T", "tasks of a meta-batch"},
    {NULL, "iterations", CLI_INT, CLI_MOVABLE, AT(iterations), 0, BIG, "N", "outer updates"},
    {NULL, "optimizer", CLI_NAME, 0, AT(optimizer), 1, 0, &cli_optimizer_names, "outer update rule"},
    {NULL, "outer-lr", CLI_REAL, 0, AT(outer_lr), 0, 1e6, "X", "outer learning rate"},
    {NULL, "momentum", CLI_REAL, 0, AT(momentum), 0, 1, "X", "part of the last move that is kept"},
    {NULL, "betas", CLI_TEXT, 0, AT(betas), 0, 0, "B1,B2", "decays of the moments; lion is published with 0.9,0.99"},
    {NULL, "decay", CLI_REAL, 0, AT(decay), 0, 0.999999999, "X", "decay of the mean square of the gradient"},
    {NULL, "eps", CLI_REAL, 0, AT(eps), 0, 1e6, "X", "added to the root"},
    {NULL, "weight-decay", CLI_REAL, 0, AT(weight_decay), 0, 1e6, "X", "adamw, lion: decoupled; others: added to the gradient"},
    {NULL, "clip-norm", CLI_REAL, 0, AT(clip_norm), 0, 1e30, "X", "scale the meta-gradient down to this norm; 0: never"},
    {NULL, "clip-value", CLI_REAL, 0, AT(clip_value), 0, 1e30, "X", "clip every element of the meta-gradient; 0: never"},
    {NULL, "schedule", CLI_NAME, 0, AT(schedule), 1, 0, &cli_schedule_names, "of the outer rate"},
    {NULL, "schedule-updates", CLI_INT, 0, AT(schedule_updates), 0, BIG, "N",
     "its length in updates; 0: --iterations of the first start"},
    {NULL, "schedule-factor", CLI_REAL, 0, AT(schedule_factor), 0, 1e6, "X", "by what the rate changes"},
    {NULL, "warmup", CLI_INT, 0, AT(warmup), 0, BIG, "N", "let the rate rise linearly over the first N updates"},
    {NULL, "cosine", CLI_FLAG, 0, AT(cosine), 0, 0, "", "let the outer rate fall along half a cosine: --schedule cosine"},
    {NULL, "cosine-over", CLI_INT, 0, AT(cosine_over), 0, BIG, "N",
     "over so many updates; 0: what --iterations of the first start leaves after --warmup"},
    {NULL, "lr-min", CLI_REAL, 0, AT(lr_min), 0, 1e6, "X", "where the cosine ends"},
    {NULL, "average", CLI_REAL, 0, AT(average), 0, 0.999999999, "D",
     "validate and test a moving average of the parameters, D of the old after each update; 0: none"},
    {NULL, "seed", CLI_INT, 0, AT(seed), 0, BIG, "N", "of initial parameters and tasks"},

    {"Device", "device", CLI_TEXT, CLI_MOVABLE, AT(device), 0, 0, "WHICH",
     "gpu, cpu, accelerator, P:D, part of a name, type:name, host; several with commas share the tasks; default: "
     "CLMAML_DEVICE, "
     "then the best"},
    {NULL, "split", CLI_TEXT, CLI_MOVABLE, AT(split), 0, 0, "T1,T2,..",
     "tasks of a meta-batch for each of several devices; default: in proportion to their speed, measured as the run begins"},
    {NULL, "memory-limit", CLI_BYTES, CLI_MOVABLE, AT(memory_limit), 0, 0, "SIZE",
     "memory to stay under on each device, 512M or 2G; default: nine tenths of what is free on it"},
    {NULL, "checkpointing", CLI_CHOICE, 0, AT(checkpointing), 0, 0, "auto|store|recompute",
     "keep the inner steps' activations or compute them again; auto: by memory"},
    {NULL, "task-chunk", CLI_INT, CLI_MOVABLE, AT(task_chunk), 0, 65536, "T", "tasks per launch; 0: chosen"},
    {NULL, "data-on", CLI_CHOICE, CLI_MOVABLE, AT(data_on), 0, 0, "auto|host|device",
     "where the images are kept: the host copies those of every batch, or the device holds all and is told which; auto: "
     "where there is room and no CPU is divided; results are the same"},
    {NULL, "tune-budget", CLI_REAL, CLI_MOVABLE, AT(tune_budget), CLI_AUTO, 1e9, "SECONDS|auto",
     "time to look for faster kernels when the device is new; 0: none; auto: 2 seconds, but none on a CPU, where `clmaml tune` "
     "does it"},
    {NULL, "force", CLI_FLAG, CLI_NOT_SAVED, AT(force), 0, 0, "", CLI_FORCE_HELP},

    {"Run", "preset", CLI_NAME, 0, AT(preset), 0, 0, &cli_preset_names,
     "a published protocol, with the figures it is known for; options given beside it win"},
    {NULL, "run", CLI_TEXT, CLI_NOT_SAVED, AT(run), 0, 0, "DIR", "run directory; default: runs/NAME-TIME"},
    {NULL, "resume", CLI_FLAG, CLI_NOT_SAVED, AT(resume), 0, 0, "",
     "go on from the last checkpoint of --run; only --iterations and where it runs (--device, --split, --data, "
     "--memory-limit, --task-chunk, --data-on) may change; with a subject, begins the run where there is none yet"},
    {NULL, "stop-after", CLI_INT, CLI_NOT_SAVED, AT(stop_after), 0, BIG, "N",
     "stop with a checkpoint once N updates are made in all, as a signal does; --resume goes on; 0: never"},
    {NULL, "on-nan", CLI_CHOICE, 0, AT(on_nan), 0, 0, "stop|skip",
     "when an update is not finite: stop the run, or leave it out, count it and go on"},
    {NULL, "val-every", CLI_INT, 0, AT(val_every), 0, BIG, "N", "validate after every N iterations; 0: twenty times a run"},
    {NULL, "val-tasks", CLI_INT, 0, AT(val_tasks), 1, 1e6, "N", "validation tasks"},
    {NULL, "eval-tasks", CLI_INT, 0, AT(eval_tasks), 0, 1e6, "N", "test tasks at the end, which eval calls --tasks; 0: none"},
    {NULL, "ensemble", CLI_INT, 0, AT(ensemble), 1, CLI_MAX_ENSEMBLE, "N",
     "keep the N best checkpoints by validation and test the mean of their softmax outputs too (MAML++)"},
    {NULL, "checkpoint-every", CLI_INT, 0, AT(checkpoint_every), 0, BIG, "N",
     "checkpoint after every N iterations; 0: with each validation"},
    {NULL, "log-every", CLI_INT, 0, AT(log_every), 1, BIG, "N", "a line of metrics every N iterations"},
    {NULL, "keep", CLI_INT, 0, AT(keep), 0, 1e6, "N", "numbered checkpoints kept beside last and best"},
    {.name = NULL},
};
_Static_assert(CLI_COUNT(cli_settings_options) <= CLI_MAX_OPTIONS, "the table of given options is too short");

const cli_settings cli_settings_defaults = CLI_SETTINGS_DEFAULTS;

int cli_settings_row(const char *name) { return cli_option_find(cli_settings_options, name); }

static clm_status check_text(const char *what, const char *text) {
    json_t *json = json_string(text), *shown = json ? NULL : cli_json_path(text);
    const bool fits = json != NULL;
    const clm_status status = fits ? CLM_OK
                              : shown
                                  ? cli_usage("%s%s is not UTF-8, and a run keeps it as JSON; rename it, or name a link to it",
                                              what, json_string_value(shown))
                                  : cli_fail(CLM_E_MEMORY, "out of memory");
    json_decref(json);
    json_decref(shown);
    return status;
}

clm_status cli_settings_check_texts(const cli_settings *settings) {
    char what[64];
    CLI_TRY(check_text("", settings->source));
    for (const cli_option *option = cli_settings_options; option->name; option++) {
        if (option->kind != CLI_TEXT || (option->flags & CLI_NOT_SAVED)) continue;
        snprintf(what, sizeof what, "--%s: ", option->name);
        CLI_TRY(check_text(what, (const char *)settings + option->offset));
    }
    return CLM_OK;
}

json_t *cli_settings_to_json(const cli_settings *settings) {
    json_t *object = json_object();
    cli_json_set(object, "source", json_string(settings->source));
    for (const cli_option *option = cli_settings_options; option->name; option++) {
        if (!(option->flags & CLI_NOT_SAVED)) cli_json_set(object, option->name, cli_option_to_json(option, settings));
    }
    return object;
}

/* Runs of before there was a choice had pictures in grey, stretched. */
static void be_of_before_colour(cli_settings *s, const json_t *invert) {
    const char *word = json_string_value(invert);
    s->channels = CLI_CHANNELS_1;
    s->fit = CLM_FIT_STRETCH;
    s->background = word && strcmp(word, "yes") == 0 ? 255 : 0;
}

/* Runs from before the zoo have "conv4" whatever their network is. */
static void settle_old_network(cli_settings *s) {
    if (s->model[0])
        s->network[0] = 0;
    else if (strcmp(s->source, "sine") == 0 && strncmp(s->network, "conv4", 5) == 0)
        snprintf(s->network, sizeof s->network, "mlp");
}

clm_status cli_settings_from_json(cli_settings *settings, const json_t *object, const char *where) {
    const char *source = json_string_value(json_object_get(object, "source"));
    *settings = cli_settings_defaults;
    if (!json_object_get(object, "channels")) be_of_before_colour(settings, json_object_get(object, "invert"));
    if (!json_is_object(object) || !source || strlen(source) >= sizeof settings->source)
        return cli_fail(
            CLM_E_FORMAT,
            "%s: holds no settings of a run of this program; what a program in C has trained is tested there (clm_evaluator)",
            where);
    memcpy(settings->source, source, strlen(source) + 1);
    for (const cli_option *option = cli_settings_options; option->name; option++) {
        const json_t *value = json_object_get(object, option->name);
        if (value && !(option->flags & CLI_NOT_SAVED)) CLI_TRY(cli_option_from_json(option, settings, value, where));
    }
    cli_algorithm_settle(settings); /* a run from before --algorithm has "anil" alone */
    settle_old_network(settings);
    return CLM_OK;
}

clm_status cli_split_parse(const char *text, int tasks, int *share, size_t capacity, size_t *count) {
    double values[CLI_MAX_DEVICES];
    long long sum = 0;
    CLI_TRY(cli_parse_list("--split", text, values, capacity < CLI_MAX_DEVICES ? capacity : CLI_MAX_DEVICES, count));
    for (size_t i = 0; i < *count; i++) {
        if (!(values[i] >= 0 && values[i] <= tasks) || values[i] != (int)values[i])
            return cli_usage("--split: %g is not a number of tasks, 0 to %d", values[i], tasks);
        sum += share[i] = (int)values[i];
    }
    if (sum != tasks) return cli_usage("--split %s makes up %lld tasks, --meta-batch is %d", text, sum, tasks);
    return CLM_OK;
}

clm_status cli_betas_parse(const char *what, const char *text, double *beta1, double *beta2) {
    double values[2];
    size_t count;
    CLI_TRY(cli_parse_list(what, text, values, 2, &count));
    for (size_t i = 0; i < count; i++)
        if (!(values[i] >= 0 && values[i] < 1)) return cli_usage("%s: %g does not lie in [0, 1)", what, values[i]);
    if (count != 2) return cli_usage("%s: '%s' must be two numbers, such as 0.9,0.999", what, text);
    *beta1 = values[0];
    *beta2 = values[1];
    return CLM_OK;
}

static clm_status check_schedule(const cli_settings *s) {
    if (s->cosine && strcmp(s->schedule, "constant") != 0 && strcmp(s->schedule, "cosine") != 0)
        return cli_usage("--cosine and --schedule %s exclude each other", s->schedule);
    if (s->cosine_over && s->schedule_updates) return cli_usage("--cosine-over and --schedule-updates exclude each other");
    if (strcmp(s->schedule, "step") == 0 && !s->schedule_updates)
        return cli_usage("--schedule step needs --schedule-updates N: the rate changes after every N");
    if (s->lr_min > s->outer_lr) return cli_usage("--lr-min %g is above --outer-lr %g", s->lr_min, s->outer_lr);
    return CLM_OK;
}

static clm_status check_initialisations(const cli_settings *s) {
    const struct {
        bool is;
        const char *option, *why;
    } rows[] = {
        {s->ensemble > 1, "ensemble", "the best checkpoint alone is tested"},
        {s->support_per_step, "support-per-step", "a task chooses by one support set"},
        {s->init[0], "init", "one file cannot begin several that differ"},
    };
    for (size_t i = 0; i < CLI_COUNT(rows) && s->initialisations > 1; i++)
        if (rows[i].is)
            return cli_usage("--initialisations %lld and --%s exclude each other: %s", (long long)s->initialisations,
                             rows[i].option, rows[i].why);
    return CLM_OK;
}

static clm_status check_algorithm(const cli_settings *s) {
    CLI_TRY(check_initialisations(s));
    if (s->anil && strcmp(s->algorithm, "anil") != 0)
        return cli_usage("--anil and --algorithm %s exclude each other", s->algorithm);
    if (s->anil && s->adapt[0]) return cli_usage("--anil and --adapt exclude each other");
    if (s->first_order && s->first_order_until > 0)
        return cli_usage("--first-order and --first-order-until exclude each other");
    if (clm_algorithm_uses(s->algorithm, "proximal") && !(s->proximal > 0))
        return cli_usage("--proximal %g: it must be more than 0 for --algorithm %s", s->proximal, s->algorithm);
    if (s->context && s->model[0])
        return cli_usage("--context is for the networks of the program; %s has its own layers", s->model);
    return cli_loss_check(s);
}

/* Sources beside one another hold neither pictures to be changed nor classes to be counted. */
static clm_status check_beside(const cli_settings *s) {
    if (!s->beside[0]) return CLM_OK;
    if (cli_setup_augments(s)) return cli_usage("--beside and --flip, --shift, --crop, --jitter exclude each other");
    if (cli_setup_is_joint(s))
        return cli_usage(
            "--beside and --algorithm %s exclude each other: sources beside one another have no classes to train on at once",
            s->algorithm);
    return CLM_OK;
}

clm_status cli_settings_check(const cli_settings *s) {
    size_t split[3];
    double weights[CLI_MAX_STEPS], beta[2];
    int share[CLI_MAX_DEVICES];
    size_t count;
    if (s->clip_norm > 0 && s->clip_value > 0) return cli_usage("--clip-norm and --clip-value exclude each other");
    if (s->task_chunk && s->meta_batch % s->task_chunk)
        return cli_usage("--task-chunk %lld does not divide the %lld tasks of --meta-batch", (long long)s->task_chunk,
                         (long long)s->meta_batch);
    if (!(s->inner_lr > 0)) return cli_usage("--inner-lr must be more than 0");
    if (s->stop_after && s->stop_after >= s->iterations)
        return cli_usage("--stop-after %lld: a run of %lld --iterations ends by itself", (long long)s->stop_after,
                         (long long)s->iterations);
    CLI_TRY(cli_class_split_parse(s->class_split, split));
    if (cli_setup_augments(s) && s->data_on == CLM_DATA_DEVICE)
        return cli_usage(
            "--data-on device and --flip, --shift, --crop, --jitter exclude each other: the host changes pictures");
    CLI_TRY(check_beside(s));
    CLI_TRY(check_algorithm(s));
    CLI_TRY(check_schedule(s));
    CLI_TRY(cli_betas_parse("--betas", s->betas, &beta[0], &beta[1]));
    CLI_TRY(cli_betas_parse("--inner-betas", s->inner_betas, &beta[0], &beta[1]));
    if (s->split[0]) CLI_TRY(cli_split_parse(s->split, (int)s->meta_batch, share, CLI_COUNT(share), &count));
    return cli_settings_step_weights(s, 0, weights, &count);
}

/* Antoniou et al. 2019 anneal the loss over 15 of 100 epochs. */
static int64_t early(int64_t iterations) { return (15 * (iterations / 100) + 15 * (iterations % 100) / 100); }

void cli_settings_settle(cli_settings *s) {
    const int64_t n = s->iterations, falling = n > s->warmup ? n - s->warmup : n; /* a schedule begins after the warm-up */
    if (s->val_every == 0) s->val_every = n >= 40 ? n / 20 : n > 2 ? n / 2 : 1;
    if (s->checkpoint_every == 0) s->checkpoint_every = s->val_every;
    if (s->cosine && s->cosine_over == 0) s->cosine_over = s->schedule_updates ? 0 : falling;
    const bool over_all = strcmp(s->schedule, "cosine") == 0 || strcmp(s->schedule, "exponential") == 0;
    if (!s->cosine && s->cosine_over == 0 && s->schedule_updates == 0 && over_all) s->schedule_updates = falling;
    if (s->balanced_until < 0) s->balanced_until = s->initialisations > 1 ? n / 2 : 0;
    if (s->first_order_until < 0) s->first_order_until = s->first_order ? 0 : early(n);
    if (cli_settings_anneals(s) && s->multi_step_over == 0) s->multi_step_over = early(n) > 0 ? early(n) : 1;
}

int cli_settings_test_steps(const cli_settings *s) {
    if (!clm_algorithm_uses(s->algorithm, "steps")) return 0;
    return (int)(s->test_steps > 0 ? s->test_steps : s->steps);
}

const char *cli_settings_schedule(const cli_settings *s, uint64_t *updates) {
    const bool cosine = s->cosine || strcmp(s->schedule, "cosine") == 0;
    *updates = (uint64_t)(cosine && s->cosine_over ? s->cosine_over : s->schedule_updates);
    if (*updates == 0) return "constant";
    return cosine ? "cosine" : s->schedule;
}

bool cli_settings_anneals(const cli_settings *s) { return strcmp(s->multi_step, "anneal") == 0; }

clm_status cli_settings_step_weights(const cli_settings *s, uint64_t t, double *weights, size_t *count) {
    *count = 0;
    if (!s->multi_step[0]) return CLM_OK;
    *count = (size_t)s->steps;
    if (cli_settings_anneals(s)) {
        clm_step_weights_annealed((int)s->steps, t, (uint64_t)s->multi_step_over, weights);
        return CLM_OK;
    }
    if (strcmp(s->multi_step, "even") == 0) {
        for (size_t k = 0; k < *count; k++) weights[k] = 1.0 / (double)s->steps;
        return CLM_OK;
    }
    CLI_TRY(cli_parse_list("--multi-step", s->multi_step, weights, CLI_MAX_STEPS, count));
    if (*count != (size_t)s->steps)
        return cli_usage("--multi-step gives %zu weights for --steps %lld", *count, (long long)s->steps);
    bool any = false;
    for (size_t k = 0; k < *count; k++) any = any || weights[k] != 0;
    if (!any) return cli_usage("--multi-step %s: weights that are all 0 leave nothing to learn from", s->multi_step);
    return CLM_OK;
}

const char *cli_settings_difference(const cli_settings *a, const cli_settings *b) {
    if (strcmp(a->source, b->source) != 0) return "source";
    for (const cli_option *option = cli_settings_options; option->name; option++) {
        if (option->flags & (CLI_NOT_SAVED | CLI_MOVABLE)) continue;
        json_t *x = cli_option_to_json(option, a), *y = cli_option_to_json(option, b);
        bool same = json_equal(x, y);
        json_decref(x);
        json_decref(y);
        if (!same) return option->name;
    }
    return NULL;
}

static clm_status contradiction(const cli_option *option, const json_t *stored, const json_t *given, const char *run) {
    char was[CLI_PATH_MAX], is[CLI_PATH_MAX], meaning[256];
    cli_option_written(option, stored, was, sizeof was);
    cli_option_written(option, given, is, sizeof is);
    cli_option_meaning(option, was, meaning, sizeof meaning);
    if (option->kind == CLI_FLAG || !was[0])
        return cli_usage("--%s%s%s contradicts %s, which was started without; leave it out, or start another run", option->name,
                         option->kind == CLI_FLAG ? "" : " ", option->kind == CLI_FLAG ? "" : is, run);
    return cli_usage("--%s %s contradicts %s, which was started with %s%s%s%s; leave it out, or start another run",
                     option->name, is, run, was, *meaning ? " (" : "", meaning, *meaning ? ")" : "");
}

clm_status cli_settings_resume(cli_settings *stored, const cli_settings *given, const bool *is_given, const char *run) {
    clm_status status = CLM_OK;
    bool elsewhere = is_given[cli_settings_row("device")] && strcmp(given->device, stored->device) != 0;
    if (elsewhere) stored->split[0] = 0; /* was made for the devices of before */
    if (given->source[0] && strcmp(given->source, stored->source) != 0)
        return cli_usage("'%s' contradicts %s, which was started with '%s'", given->source, run, stored->source);
    for (size_t i = 0; cli_settings_options[i].name && status == CLM_OK; i++) {
        const cli_option *option = &cli_settings_options[i];
        if (!is_given[i] || (option->flags & CLI_NOT_SAVED)) continue;
        json_t *was = cli_option_to_json(option, stored), *is = cli_option_to_json(option, given);
        if (!json_equal(was, is)) {
            status = option->flags & CLI_MOVABLE ? cli_option_from_json(option, stored, is, run)
                                                 : contradiction(option, was, is, run);
        }
        json_decref(was);
        json_decref(is);
    }
    memcpy(stored->run, given->run, sizeof stored->run);
    stored->force = given->force;
    stored->stop_after = given->stop_after;
    stored->resume = true;
    return status;
}
