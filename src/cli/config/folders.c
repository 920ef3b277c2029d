/* Data of the user's own: the options become those of the library, and what the library has to say is told. */
#include "config/folders.h"

#include <stdio.h>
#include <string.h>

#include "base/system.h"

bool cli_ends_with(const char *name, const char *end) {
    const size_t n = strlen(name), m = strlen(end);
    if (n <= m) return false;
    for (name += n - m; *end; name++, end++)
        if ((*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name) != *end) return false;
    return true;
}

bool cli_is_arrays(const char *path) {
    char inside[CLI_PATH_MAX];
    if (!cli_is_directory(path)) return (cli_ends_with(path, ".npz") || cli_ends_with(path, ".npy")) && cli_path_exists(path);
    if (cli_path(inside, path, "x.npy") == CLM_OK && cli_path_exists(inside)) return true;
    cli_forget();
    return false;
}

clm_status cli_class_split_parse(const char *text, size_t split[3]) {
    double values[3];
    size_t count;
    for (int i = 0; i < 3; i++) split[i] = 0;
    if (!text[0]) return CLM_OK;
    CLI_TRY(cli_parse_list("--class-split", text, values, 3, &count));
    if (count != 3) return cli_usage("--class-split: '%s' must be three numbers, of training, validation and test", text);
    for (int i = 0; i < 3; i++) {
        if (!(values[i] >= 0 && values[i] <= 1e9) || values[i] != (double)(size_t)values[i])
            return cli_usage("--class-split: %g is not a number of classes", values[i]);
        split[i] = (size_t)values[i];
    }
    if (!split[0]) return cli_usage("--class-split %s leaves no class to train on", text);
    return CLM_OK;
}

/* ---- progress ---- */

typedef struct progress {
    double begun, told;
    bool terminal, shown;
} progress;

static progress begin_progress(void) {
    return (progress){.begun = cli_clock(), .told = cli_clock(), .terminal = cli_is_terminal(stderr)};
}

/* A line that is redrawn on a terminal, and one every ten seconds in a log. */
static bool show(void *context, size_t done, size_t total) {
    progress *p = context;
    const double now = cli_clock();
    if (now - p->begun < 1 || (!p->terminal && now - p->told < 10)) return true;
    const double left = done ? (now - p->begun) / (double)done * (double)(total - done) : 0;
    p->told = now;
    p->shown = true;
    fprintf(stderr, "%sreading pictures %zu of %zu, %s left%s", p->terminal ? "\r" : "", done, total, cli_duration(left).s,
            p->terminal ? "  " : "\n");
    fflush(stderr);
    return true;
}

static void clear(const progress *p) {
    if (p->shown && p->terminal) fprintf(stderr, "\r%*s\r", cli_terminal_width(stderr) - 1, "");
}

/* ---- opening ---- */

clm_status cli_folder_open(clm_source **out, const cli_settings *s) {
    static const int channels[] = {0, 1, 3};
    clm_folder_options o = CLM_FOLDER_OPTIONS_INIT;
    progress p = begin_progress();
    o.size = (int)s->size;
    o.channels = channels[s->channels];
    o.fit = (clm_fit)s->fit;
    o.invert = s->invert == CLI_YES;
    o.background = (int)s->background;
    o.normalise = (clm_normalise)s->normalise;
    o.least_classes = (size_t)s->ways;
    o.split_seed = (uint64_t)s->split_seed;
    o.class_depth = (int)s->class_depth;
    o.strict = s->strict;
    o.threads = (int)s->decode_threads;
    o.progress = show;
    o.context = &p;
    CLI_TRY(cli_class_split_parse(s->class_split, o.class_split));
    const char *path = s->data[0] ? s->data : s->source;
    if (!cli_path_exists(path)) return cli_fail(CLM_E_IO, "%s does not exist; say where the data lie with --data", path);
    const clm_status status = clm_source_folder_open(out, path, &o);
    clear(&p);
    if (status == CLM_E_ARG && s->class_split[0] && strstr(cli_message(), "class split"))
        return cli_usage("--class-split %s says nothing to %s, which is split already; leave it out", s->class_split, path);
    if (status == CLM_E_ARG && s->class_depth && strstr(cli_message(), "class depth"))
        return cli_usage("--class-depth %d says nothing to %s, whose lists name the classes; leave it out", (int)s->class_depth,
                         path);
    return status == CLM_E_ARG ? cli_usage("%s", cli_message()) : status;
}

clm_status cli_folder_omniglot(clm_source **out, const char *directory, const clm_omniglot_options *options) {
    progress p = begin_progress();
    clm_omniglot_options o = *options;
    o.progress = show;
    o.context = &p;
    const clm_status status = clm_source_omniglot(out, directory, &o);
    clear(&p);
    return status;
}

void cli_folder_settle(cli_settings *s, const clm_source *source) {
    clm_preparation p;
    if (s->channels == CLI_CHANNELS_AUTO && clm_source_get_preparation(source, &p))
        s->channels = p.channels == 1 ? CLI_CHANNELS_1 : CLI_CHANNELS_3;
}

void cli_folder_print_notes(const clm_source *source) {
    for (const char *at = clm_source_notes(source); at && *at;) {
        const size_t length = strcspn(at, "\n");
        cli_note("%.*s", (int)length, at);
        at += length + (at[length] == '\n');
    }
}
