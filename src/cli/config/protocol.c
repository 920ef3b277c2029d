/* The protocol of a run. Every line is true of the algorithm at hand: what it does not do is not said. */
#include "config/protocol.h"

#include <string.h>

#include "config/algorithms.h"
#include "config/presets.h"
#include "config/readers.h"
#include "config/setup.h"
#include "config/sources.h"

static const char *bn_name(const clm_model *model, int bn) {
    return model ? clm_model_bn_name(model, (clm_bn_mode)bn) : clm_bn_mode_name((clm_bn_mode)bn);
}

static const char *plural(int64_t n) { return n == 1 ? "" : "s"; }

static const char *word(const char *option, int index) {
    static cli_text text;
    text = cli_option_word(&cli_settings_options[cli_settings_row(option)], index);
    return text.s;
}

static clm_algorithm_info info_of(const cli_settings *s) {
    const int i = cli_names_find(&cli_algorithm_names, s->algorithm);
    return clm_algorithm_get_info(i >= 0 ? (size_t)i : 0);
}

/* What the name of the algorithm implies, resolved by the library. */
static clm_task_options implied(const cli_settings *s) {
    clm_task_options o = CLM_TASK_OPTIONS_INIT;
    o.algorithm = s->algorithm;
    o.first_order = s->first_order;
    o.rates = (clm_rates)s->rates;
    o.batch_norm_per_step = s->batch_norm_per_step;
    (void)clm_task_options_resolve(&o);
    return o;
}

/* ---- parts ---- */

static void print_augmentation(FILE *to, const cli_settings *s) {
    const char *between = "  augmented   training pictures: ";
    if (s->flip > 0) fprintf(to, "%smirrored with probability %g", between, s->flip), between = ", ";
    if (s->shift > 0) fprintf(to, "%smoved by up to %g of a side", between, s->shift), between = ", ";
    if (s->crop < 1) fprintf(to, "%scropped to at least %g of the area", between, s->crop), between = ", ";
    if (s->jitter > 0) fprintf(to, "%ssaturation, contrast and brightness times 1 +- %g", between, s->jitter), between = ", ";
    if (between[0] == ',') fprintf(to, "\n");
}

static void print_data(FILE *to, const cli_settings *s, const clm_source *source) {
    const bool file = !source && strcmp(s->source, "table") == 0 && s->data[0];
    fprintf(to, "  data        %s%s%s\n", cli_shown(source ? clm_source_description(source) : s->source), file ? " " : "",
            file ? cli_shown(s->data) : "");
    if (cli_source_takes(cli_source_of(s->source), "rotations"))
        fprintf(to, "              rotations as classes: training %s, test %s\n", s->rotations ? "yes" : "no",
                s->test_rotations ? "yes" : "no");
    print_augmentation(to, s);
}

/* "conv4, 64 filters, 100 numbers of context for a film layer in each block" */
static void print_zoo(FILE *to, const cli_settings *s) {
    const clm_network_info info = clm_network_get_info(clm_network_find(s->network));
    fprintf(to, "%s", cli_shown(s->network));
    if (info.filters) fprintf(to, ", %lld filters", (long long)s->filters);
    if (info.hidden) fprintf(to, ", %lld hidden", (long long)(s->hidden ? s->hidden : info.hidden));
    if (s->context > 0)
        fprintf(to, ", %lld numbers of context %s", (long long)s->context,
                info.filters ? "for a film layer in each block" : "beside its input");
    if (strcmp(s->algorithm, "protonet") == 0) fprintf(to, ", without a last layer");
}

static void print_network(FILE *to, const cli_settings *s, const clm_model *model) {
    fprintf(to, "  network     ");
    if (s->model[0])
        fprintf(to, "%s", cli_shown(s->model));
    else
        print_zoo(to, s);
    if (model) fprintf(to, ", %zu parameters", clm_model_param_elements(model));
    if (model && s->initialisations > 1)
        fprintf(to, "; %lld initialisations, %zu in all", (long long)s->initialisations,
                (size_t)s->initialisations * clm_model_param_elements(model));
    fprintf(to, "\n");
    if (s->initialisations > 1)
        fprintf(to, "              a task goes to the initialisation with the lowest support loss after its steps");
    if (s->initialisations > 1 && s->balanced_until > 0)
        fprintf(to, "; in equal shares in the first %lld update%s", (long long)s->balanced_until, plural(s->balanced_until));
    if (s->initialisations > 1) fprintf(to, "\n");
}

/* "gradient descent", or "adam (betas 0.9,0.999, ..)": the rule with the options that it reads. */
static void print_rule(FILE *to, const cli_settings *s) {
    static const char *const options[] = {"inner-momentum", "inner-betas", "inner-decay", "inner-eps", "inner-eps-root"};
    const char *between = " (";
    if (strcmp(s->inner_rule, "sgd") == 0) {
        fprintf(to, "gradient descent");
        return;
    }
    fprintf(to, "%s", cli_shown(s->inner_rule));
    for (size_t i = 0; i < CLI_COUNT(options); i++) {
        if (!cli_readers_read(s, options[i])) continue;
        const cli_option *o = &cli_settings_options[cli_settings_row(options[i])];
        const char *at = (const char *)s + o->offset;
        fprintf(to, "%s%s ", between, options[i] + strlen("inner-"));
        if (o->kind == CLI_REAL)
            fprintf(to, "%g", *(const double *)(const void *)at);
        else
            fprintf(to, "%s", cli_shown(at));
        between = ", ";
    }
    fprintf(to, ")");
}

static void print_transforms(FILE *to, const cli_settings *s) {
    if (s->inner_clip_value > 0) fprintf(to, "              inner gradient clipped to +-%g\n", s->inner_clip_value);
    if (s->inner_clip_norm > 0) fprintf(to, "              inner gradient norm clipped to %g\n", s->inner_clip_norm);
    if (s->inner_weight_decay > 0) fprintf(to, "              inner weight decay %g\n", s->inner_weight_decay);
    if (clm_algorithm_uses(s->algorithm, "proximal"))
        fprintf(to, "              with %g / 2 |theta_k - theta|^2 in the inner loss\n", s->proximal);
}

/* ": 17.weight, 17.bias; 325 of 112261 numbers" */
static void print_adapted(FILE *to, const clm_params *params) {
    enum { NAMED = 8 };
    size_t tensors = 0, numbers = 0, all = 0;
    for (size_t i = 0; i < clm_params_count(params); i++) {
        const clm_params_info e = clm_params_get_info(params, i);
        if (e.rate) continue;
        all += e.size;
        if (e.adapted) numbers += e.size, tensors++;
    }
    if (!tensors) return;
    const char *between = ": ";
    for (size_t i = 0, n = 0; i < clm_params_count(params); i++) {
        const clm_params_info e = clm_params_get_info(params, i);
        if (e.rate || !e.adapted) continue;
        n++;
        if (tensors > NAMED && n > 2 && n + 1 < tensors) continue;
        if (tensors > NAMED && n + 1 == tensors) fprintf(to, ", ..");
        fprintf(to, "%s%s", between, e.name + strlen("param."));
        between = ", ";
    }
    fprintf(to, "; %zu of %zu numbers", numbers, all);
}

/* ", 17 (linear)": which layer it is that the algorithm goes by. */
static void print_head(FILE *to, const cli_settings *s, const clm_model *model) {
    const size_t layers = model ? clm_model_layer_count(model) : 0, i = layers ? clm_model_head_layer(model) : 0;
    const bool named = strcmp(s->algorithm, "anil") == 0 || strcmp(s->algorithm, "boil") == 0;
    if (named && !s->adapt[0] && i < layers) fprintf(to, ", %zu (%s)", i, clm_model_layer(model, i).op);
}

static void print_masks(FILE *to, const cli_settings *s, const clm_model *model, const clm_params *params) {
    fprintf(to, "              adapted: %s", s->adapt[0] ? cli_shown(s->adapt) : info_of(s).adapts);
    print_head(to, s, model);
    if (s->freeze[0]) fprintf(to, ", but not %s", cli_shown(s->freeze));
    const bool all = !s->adapt[0] && !s->freeze[0] && strcmp(info_of(s).adapts, "all parameters") == 0;
    if (params && !all) print_adapted(to, params);
    if (s->unlearned[0]) fprintf(to, "; not learned: %s", cli_shown(s->unlearned));
    fprintf(to, "\n");
}

static void print_steps(FILE *to, const cli_settings *s, const clm_model *model, const clm_params *params) {
    const clm_task_options o = implied(s);
    const int test = cli_settings_test_steps(s);
    const double original = cli_preset_original_rate(s);
    fprintf(to, "  inner loop  %s%lld step%s of ",
            cli_setup_is_joint(s) || strcmp(s->algorithm, "pretrain") == 0 ? "at test alone, " : "", (long long)s->steps,
            plural(s->steps));
    print_rule(to, s);
    fprintf(to, " at rate %g under the %s of the %s over the support set; ", s->inner_lr, word("reduction", s->reduction),
            cli_loss_text(cli_loss_name(s)));
    if (s->test_steps < 0)
        fprintf(to, "at test as many as serve validation tasks best\n");
    else
        fprintf(to, "%d step%s at test\n", test, plural(test));
    if (original > 0)
        fprintf(
            to,
            "              (published rate %g: there the loss is summed over the %lld ways and averaged over the shots only)\n",
            original, (long long)s->ways);
    if (o.rates != CLM_RATES_FIXED)
        fprintf(to, "              inner rates learned %s\n",
                o.rates == CLM_RATES_PER_STEP ? "per tensor and step" : "per element");
    if (s->support_per_step) fprintf(to, "              another support set in every inner step of training\n");
    if (o.batch_norm_per_step) fprintf(to, "              batch-norm's scale and shift learned for each step\n");
    print_transforms(to, s);
    print_masks(to, s, model, params);
    if (cli_settings_anneals(s))
        fprintf(to, "              multi-step loss, annealed over %lld updates\n", (long long)s->multi_step_over);
    else if (s->multi_step[0])
        fprintf(to, "              multi-step loss weights %s\n", cli_shown(s->multi_step));
}

static void print_inner(FILE *to, const cli_settings *s, const clm_model *model, const clm_params *params) {
    if (clm_algorithm_uses(s->algorithm, "steps"))
        print_steps(to, s, model, params);
    else
        fprintf(to, "  inner loop  none, here and at test; adapted: %s\n", info_of(s).adapts);
}

static void print_gradient(FILE *to, const cli_settings *s) {
    const char *own = cli_algorithm_gradient(s->algorithm);
    fprintf(to, "  gradient    ");
    if (own)
        fprintf(to, "%s", own);
    else if (clm_algorithm_uses(s->algorithm, "proximal"))
        fprintf(to, "implicit, by %lld iterations of %s", (long long)s->solver_steps,
                s->solver == CLM_SOLVER_CG ? "conjugate gradients" : "the Neumann series");
    else
        fprintf(to, "%s", implied(s).first_order ? "first order (FOMAML)" : "second order, exact");
    if (s->first_order_until > 0) fprintf(to, "; first order in the first %lld updates", (long long)s->first_order_until);
    fprintf(to, "\n");
}

static void print_schedule(FILE *to, const cli_settings *s) {
    uint64_t updates;
    const char *schedule = cli_settings_schedule(s, &updates);
    if (strcmp(schedule, "cosine") == 0)
        fprintf(to, ", cosine to %g over %llu", s->lr_min, (unsigned long long)updates);
    else if (updates && strcmp(schedule, "constant") != 0)
        fprintf(to, ", %s by %g %s %llu", schedule, s->schedule_factor, strcmp(schedule, "step") == 0 ? "after every" : "over",
                (unsigned long long)updates);
    if (s->warmup > 0) fprintf(to, ", warm-up over %lld", (long long)s->warmup);
}

static void print_outer(FILE *to, const cli_settings *s) {
    fprintf(to, "  outer loop  %lld iteration%s of %lld task%s, %s at %g", (long long)s->iterations,
            cli_plural((double)s->iterations), (long long)s->meta_batch, cli_plural((double)s->meta_batch), s->optimizer,
            s->outer_lr);
    print_schedule(to, s);
    if (s->weight_decay > 0) fprintf(to, ", weight decay %g", s->weight_decay);
    if (s->clip_norm > 0) fprintf(to, ", gradient norm clipped to %g", s->clip_norm);
    if (s->clip_value > 0) fprintf(to, ", gradient clipped to +-%g", s->clip_value);
    fprintf(to, ", seed %lld\n", (long long)s->seed);
    if (s->average > 0)
        fprintf(to, "              validation and test of a moving average of the parameters, decay %g\n", s->average);
}

static void print_checkpoint(FILE *to, const cli_settings *s, cli_choice choice, const clm_source *source, const char *drawn) {
    const bool tests = !source || cli_setup_has_tasks(source, CLM_SPLIT_TEST);
    if (choice == CLI_CHOICE_LOST)
        fprintf(to, "  checkpoint  the last one, as the one that validation chose is lost; ");
    else if (choice == CLI_CHOICE_MADE)
        fprintf(to, "  checkpoint  chosen by %lld task%s of validation %s; ", (long long)s->val_tasks,
                cli_plural((double)s->val_tasks), drawn);
    else
        fprintf(to, "  checkpoint  the last one (no validation %s); ", drawn);
    if (s->eval_tasks && tests)
        fprintf(to, "tested once, on %lld task%s of test %s\n", (long long)s->eval_tasks, cli_plural((double)s->eval_tasks),
                drawn);
    else if (!tests)
        fprintf(to, "not tested (no test %s)\n", drawn);
    else
        fprintf(to, "not tested\n");
}

/* ---- the whole ---- */

void cli_protocol_print(FILE *to, const cli_settings *s, cli_choice choice, const clm_source *source, const clm_model *model,
                        const clm_params *params) {
    const int preset = cli_names_find(&cli_preset_names, s->preset);
    const clm_algorithm_info info = info_of(s);
    const bool labels = source ? clm_source_labels(source) > 0 : cli_source_has_labels(s);
    const bool regression = !labels && (source ? clm_source_is_regression(source) : cli_source_of(s->source)->regression);
    const char *drawn = source                            ? cli_setup_drawn(source)
                        : !regression && !labels          ? "classes"
                        : strcmp(s->source, "table") == 0 ? "groups"
                                                          : "functions";
    const cli_text ways = cli_range_text(s->ways_least, s->ways), shots = cli_range_text(s->shots_least, s->shots);
    fprintf(to, "protocol%s%s\n", preset >= 0 ? " " : "", preset >= 0 ? s->preset : "");
    print_data(to, s, source);
    if (regression)
        fprintf(to, "  task        regression, %s support and %lld query points\n", shots.s, (long long)s->query);
    else if (labels)
        fprintf(to, "  task        classification of rows, %s support and %lld query points\n", shots.s, (long long)s->query);
    else
        fprintf(to, "  task        %s-way %s-shot, %lld query %s%s per class\n", ways.s, shots.s, (long long)s->query,
                cli_setup_example(source), plural(s->query));
    if (s->ways_least || s->shots_least)
        fprintf(to, "              each task has numbers of its own, at validation and test too\n");
    print_network(to, s, model);
    if (!regression && !labels)
        fprintf(to, "  batch-norm  training transductive; validation and test %s\n", bn_name(model, s->bn));
    fprintf(to, "  algorithm   %s: %s (%s)\n", cli_shown(s->algorithm), info.title, info.source);
    print_inner(to, s, model, params);
    print_gradient(to, s);
    print_outer(to, s);
    print_checkpoint(to, s, choice, source, drawn);
    if (preset < 0) return;
    const bool own = strcmp(cli_preset_algorithm(s), s->algorithm) == 0;
    fprintf(to, "  published   %s%s%s\n", own ? "" : cli_preset_algorithm(s), own ? "" : ": ",
            cli_preset_published((size_t)preset));
}
