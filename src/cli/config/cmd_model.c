/* `clmaml model`: the networks of the zoo, one of them as a model file to begin from, and what a model file is made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/options.h"
#include "base/system.h"
#include "base/table.h"
#include "config/algorithms.h"
#include "config/readers.h"

typedef struct model_settings {
    char in_shape[CLI_PATH_MAX];
    int64_t ways, filters, hidden, context;
    bool headless, summary;
} model_settings;

#define AT(field) offsetof(model_settings, field)

static const cli_option options[] = {
    {"Options", "in-shape", CLI_TEXT, 0, AT(in_shape), 0, 0, "C,H,W",
     "one example: channels, height, width of an image, length, width of a sequence, or how many numbers; default: 1,28,28, "
     "128,1 or 1, and of a file its own"},
    {NULL, "ways", CLI_INT, 0, AT(ways), 1, 1 << 20, "N", "outputs: classes of a task, or numbers to predict"},
    {NULL, "filters", CLI_INT, 0, AT(filters), 0, 65536, "N", "as for train; 0: the network's own number"},
    {NULL, "hidden", CLI_INT, 0, AT(hidden), 0, 65536, "N", "as for train; 0: the network's own number"},
    {NULL, "context", CLI_INT, 0, AT(context), 0, 65536, "N", "as for train: numbers that CAVIA adapts"},
    {NULL, "headless", CLI_FLAG, 0, AT(headless), 0, 0, "", "without the last layer, for prototypical networks"},
    {NULL, "summary", CLI_FLAG, 0, AT(summary), 0, 0, "", "a table of layers, shapes and numbers of parameters instead"},
    {.name = NULL},
};
static const model_settings defaults = {.ways = 5};

/* ---- the model ---- */

static clm_status parse_shape(const char *text, clm_shape *shape) {
    double dims[3];
    size_t count;
    CLI_TRY(cli_parse_list("--in-shape", text, dims, CLI_COUNT(dims), &count));
    *shape = (clm_shape){0};
    for (size_t i = 0; i < count; i++) {
        if (!(dims[i] >= 1 && dims[i] <= INT32_MAX) || dims[i] != (double)(int32_t)dims[i])
            return cli_usage("--in-shape: %g is not a whole number from 1", dims[i]);
        shape->dim[shape->rank++] = (int32_t)dims[i];
    }
    return CLM_OK;
}

/* What the example data of its kind have. */
static clm_shape usual_shape(int rank) {
    return rank == 3 ? clm_shape_of(3, 1, 28, 28) : rank == 2 ? clm_shape_of(2, 128, 1) : clm_shape_of(1, 1);
}

/* The advice to take larger pictures, which are a shape here. */
static clm_status in_words_of_model(clm_status status) {
    char text[2048];
    if (status == CLM_OK || !cli_message_before(" (--size ", text, sizeof text)) return status;
    return cli_fail(status, "%s (--in-shape)", text);
}

static clm_status make_network(clm_model **out, const char *name, const model_settings *s) {
    clm_network_options o = CLM_NETWORK_OPTIONS_INIT;
    char names[256];
    const struct {
        const char *option;
        int64_t value;
    } unread[] = {{"filters", s->filters}, {"hidden", s->hidden}, {"context", s->context}};
    for (size_t i = 0; i < CLI_COUNT(unread); i++) {
        if (!unread[i].value || cli_network_reads(name, unread[i].option)) continue;
        cli_readers_of_network(unread[i].option, names, sizeof names);
        return cli_usage("--%s says nothing to %s; it is for %s", unread[i].option, name, names);
    }
    o.in_shape = usual_shape(clm_network_get_info(clm_network_find(name)).rank);
    if (s->in_shape[0]) CLI_TRY(parse_shape(s->in_shape, &o.in_shape));
    o.outputs = (int)s->ways;
    o.filters = (int)s->filters;
    o.hidden = (int)s->hidden;
    o.context = (int)s->context;
    o.headless = s->headless;
    return in_words_of_model(clm_model_network(out, name, &o));
}

static clm_status load_file(clm_model **out, const char *path, const model_settings *s, const bool *given) {
    clm_shape shape;
    for (size_t i = 0; options[i].name; i++)
        if (given[i] && strcmp(options[i].name, "in-shape") != 0 && strcmp(options[i].name, "summary") != 0)
            return cli_usage("--%s is for networks by name; %s has its own layers", options[i].name, path);
    if (s->in_shape[0]) CLI_TRY(parse_shape(s->in_shape, &shape));
    return in_words_of_model(clm_model_load(out, path, s->in_shape[0] ? &shape : NULL));
}

static clm_status make_model(clm_model **out, const char *name, const model_settings *s, const bool *given) {
    char names[256];
    if (cli_names_find(&cli_network_names, name) >= 0) return make_network(out, name, s);
    if (cli_path_exists(name)) return load_file(out, name, s, given);
    const char *nearest = cli_names_nearest(&cli_network_names, name);
    cli_names_join(&cli_network_names, ", ", names, sizeof names);
    return cli_usage("'%s' is neither a network (%s) nor a model file%s", name, names, cli_did_you_mean(nearest).s);
}

/* ---- as a file: a layer a line, unless its lists make it longer ---- */

enum { WIDTH = 100 };

/* On one line, with as few digits as give the same numbers again. NULL: no memory. */
static char *one_line(const json_t *value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    json_t *again = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    if (again && !json_equal(again, value)) {
        free(text);
        text = json_dumps(value, JSON_ENCODE_ANY);
    }
    json_decref(again);
    return text;
}

static bool print_layers(FILE *to, const json_t *layers, int indent);

static bool print_layer(FILE *to, json_t *layer, int indent) {
    const char *key, *between = "{";
    json_t *value;
    char *line = one_line(layer);
    const bool fits = line && strlen(line) <= WIDTH;
    if (fits) fprintf(to, "%s", line);
    free(line);
    if (fits || !line) return fits;
    json_object_foreach(layer, key, value) {
        char *text = json_is_array(value) ? NULL : one_line(value);
        fprintf(to, "%s\"%s\": %s", between, key, text ? text : "");
        free(text);
        if (json_is_array(value) && !print_layers(to, value, indent)) return false;
        between = ", ";
    }
    fprintf(to, "}");
    return true;
}

static bool print_layers(FILE *to, const json_t *layers, int indent) {
    fprintf(to, "[");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        fprintf(to, "%s\n%*s", i ? "," : "", indent + 2, "");
        if (!print_layer(to, json_array_get(layers, i), indent + 2)) return false;
    }
    fprintf(to, "\n%*s]", indent, "");
    return true;
}

static clm_status print_file(const clm_model *model) {
    json_t *root = json_loads(clm_model_json(model), 0, NULL);
    char *shape = one_line(json_object_get(root, "in_shape"));
    bool done = root && shape;
    FILE *to = cli_lines_begin(stdout); /* JSON may be broken at a blank */
    if (done) {
        fprintf(to, "{\n  \"in_shape\": %s,\n  \"layers\": ", shape);
        done = print_layers(to, json_object_get(root, "layers"), 2);
        fprintf(to, "\n}\n");
    }
    cli_lines_end(to, stdout);
    free(shape);
    json_decref(root);
    return done ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

/* ---- as a table ---- */

static size_t numbers(const clm_model *model, size_t first, size_t count) {
    size_t sum = 0;
    for (size_t i = first; i < first + count; i++) sum += clm_shape_size(&clm_model_param(model, i)->shape);
    return sum;
}

static void print_layer_row(const cli_table *table, const clm_model *model, size_t i) {
    const clm_layer_info layer = clm_model_layer(model, i);
    char number[24], shape[96], parameters[24] = "";
    snprintf(number, sizeof number, "%5zu", i);
    clm_shape_text(&layer.out, shape, sizeof shape);
    if (layer.n_params) snprintf(parameters, sizeof parameters, "%zu", numbers(model, layer.first_param, layer.n_params));
    cli_table_row(table, stdout, (const char *[]){number, layer.op, shape, parameters});
}

static void print_summary(const clm_model *model) {
    const cli_table table = {
        .column = {{"layer", 5}, {"operation", -13}, {"output", -15}, {"parameters", 10}}, .count = 4, .gap = 2};
    char text[96];
    size_t n_head;
    const clm_shape in = clm_model_in_shape(model);
    const size_t head = clm_model_head(model, &n_head);
    cli_table_head(&table, stdout);
    cli_table_row(&table, stdout, (const char *[]){"     ", "input", clm_shape_text(&in, text, sizeof text), ""});
    for (size_t i = 0; i < clm_model_layer_count(model); i++) print_layer_row(&table, model, i);
    cli_line(stdout, "%zu parameters in %zu arrays%s%s\n", clm_model_param_elements(model), clm_model_param_count(model),
             n_head ? "; the last layer's begin with " : "", n_head ? clm_model_param(model, head)->name : "");
}

/* ---- the command ---- */

static clm_status list_networks(const bool *given) {
    for (size_t i = 0; options[i].name; i++)
        if (given[i]) return cli_usage("--%s is for a network; say which: clmaml model NAME", options[i].name);
    cli_line(stdout,
             "networks (clmaml train SOURCE --network NAME, or clmaml model NAME > FILE.json and then --model FILE.json)\n");
    cli_names_print(&cli_network_names, 2);
    return CLM_OK;
}

static clm_status show_model(cli_args *args) {
    const model_settings *s = args->settings;
    clm_model *model = NULL;
    clm_status status = CLM_OK;
    if (args->n_positional == 0) return list_networks(args->given);
    CLI_GOTO(make_model(&model, args->positional[0], s, args->given));
    if (s->summary)
        print_summary(model);
    else
        CLI_GOTO(print_file(model));
out:
    clm_model_free(model);
    return status;
}

static int run_model(cli_args *args) { return cli_exit(show_model(args)); }

const cli_command cli_model = {
    .name = "model",
    .synopsis = "[NAME|FILE.json] [--option value ..]",
    .summary = "networks by name, and any of them as a model file to begin from",
    .details = "Lists the networks of the zoo. With the name of one: prints it as a model file, to be changed and trained with "
               "clmaml train SOURCE --model FILE.json. With a model file: checks it and prints it.",
    .options = options,
    .settings_size = sizeof(model_settings),
    .defaults = &defaults,
    .max_positional = 1,
    .words = CLI_NAMES(clm_network_count, clm_network_name, NULL),
    .run = run_model,
};
