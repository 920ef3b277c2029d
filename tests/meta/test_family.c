/* Every algorithm with every inner rule, kept and recomputed, against a derivation of its own (support/derivation.h), in double on the
 * host. The loops run over the library's tables: a new row is tried, or fails for want of a derivation. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/derivation.h"
#include "support/launch.h"
#include "support/numbers.h"
#include "support/run.h"

static const double tolerance = 1e-9;

/* Both ways where there is something to keep or to compute again. */
static clm_checkpointing first_way(const char *algorithm) {
    return clm_algorithm_uses(algorithm, "first-order") ? CLM_CHECKPOINT_STORE : CLM_CHECKPOINT_AUTO;
}
static clm_checkpointing last_way(const char *algorithm) {
    return clm_algorithm_uses(algorithm, "first-order") ? CLM_CHECKPOINT_RECOMPUTE : CLM_CHECKPOINT_AUTO;
}

static void compare(clm_device *host, clm_device *device, const clm_test_choice *choice, double most) {
    char what[200], text[160];
    clm_test_problem p;
    clm_test_derivation d;
    clm_test_problem_make(&p, choice, clm_test_seed() + 5);
    clm_test_derive(&d, host, &p);
    for (int how = first_way(choice->algorithm); how <= (int)last_way(choice->algorithm); how++) {
        p.options.checkpointing = (clm_checkpointing)how;
        clm_meta *meta = clm_test_problem_meta(&p, device);
        CLM_TEST_OK(clm_meta_gradient(meta, &p.batch.batch));
        clm_test_vector gradient = clm_test_whole_gradient(meta), loss = clm_test_read(meta, CLM_Q_QUERY_LOSS, 0);
        snprintf(what, sizeof what, "%s, %s", clm_test_choice_text(choice, text, sizeof text),
                 clm_checkpointing_name((clm_checkpointing)how));
        clm_test_expect_close(&gradient, &d.gradient, most, what);
        clm_test_expect_close(&loss, &d.query_loss, most, what);
        clm_test_vector_free(&gradient);
        clm_test_vector_free(&loss);
        clm_meta_free(meta);
    }
    clm_test_derivation_free(&d);
    clm_test_problem_free(&p);
}

/* Transforms of the inner gradient, rates, every switch by itself and all of them, for one algorithm and one rule. */
static void compare_all(clm_device *host, const char *algorithm, const char *rule) {
    clm_test_choice plain = clm_test_choice_of(algorithm);
    plain.rule = rule;
    for (int t = 0; t < (clm_algorithm_uses(algorithm, "inner-rule") ? CLM_TEST_TRANSFORMS : 1); t++) {
        clm_test_choice c = plain;
        c.transform = t;
        compare(host, host, &c, tolerance);
    }
    for (int r = CLM_RATES_PER_STEP; r <= CLM_RATES_PER_ELEMENT && clm_algorithm_uses(algorithm, "rates"); r++) {
        clm_test_choice c = plain;
        if (strcmp(algorithm, "metasgd") == 0 && r == CLM_RATES_PER_STEP) continue; /* contradicts its name */
        c.rates = (clm_rates)r;
        c.switches = r == CLM_RATES_PER_STEP ? CLM_TEST_SWITCHES - 1 : CLM_TEST_STEP_WEIGHTS;
        c.transform = 3;
        compare(host, host, &c, tolerance);
    }
    /* each switch alone, with the first rule */
    for (unsigned s = 1; s < CLM_TEST_SWITCHES && strcmp(rule, clm_inner_rule_name(0)) == 0; s *= 2) {
        clm_test_choice c = plain;
        c.switches = s;
        c.steps = 2;
        compare(host, host, &c, tolerance);
    }
    if (!clm_algorithm_uses(algorithm, "proximal")) return;
    for (int solver = CLM_SOLVER_CG; solver <= CLM_SOLVER_NEUMANN; solver++) {
        clm_test_choice c = plain;
        c.solver = (clm_solver)solver;
        for (c.solver_steps = 1; c.solver_steps <= 7; c.solver_steps += 3) compare(host, host, &c, tolerance);
    }
}

START_TEST(algorithms_with_every_rule) {
    const char *algorithm = clm_algorithm_name((size_t)_i);
    clm_device *host = clm_test_open_host();
    const size_t rules = clm_algorithm_uses(algorithm, "inner-rule") ? clm_inner_rule_count() : 1;
    for (size_t r = 0; r < rules; r++) compare_all(host, algorithm, clm_inner_rule_name(r));
    clm_device_close(host);
}
END_TEST

/* One choice of each algorithm, with the rules in turn, in single precision. */
START_TEST(algorithms_on_opencl) {
    clm_device *host = clm_test_open_host(), *device = clm_test_open(1);
    clm_test_choice c = clm_test_choice_of(clm_algorithm_name((size_t)_i));
    c.rule = clm_inner_rule_name((size_t)_i % clm_inner_rule_count());
    c.steps = 2;
    compare(host, device, &c, 2e-5);
    clm_device_close(device);
    clm_device_close(host);
}
END_TEST

/* ---- properties ---- */

static clm_test_vector gradient_with(clm_device *device, const clm_test_problem *p, clm_checkpointing how, int chunk) {
    clm_test_problem other = *p;
    other.options.checkpointing = how;
    other.options.task_chunk = chunk;
    clm_meta *meta = clm_test_problem_meta(&other, device);
    CLM_TEST_OK(clm_meta_gradient(meta, &p->batch.batch));
    clm_test_vector v = clm_test_whole_gradient(meta);
    clm_meta_free(meta);
    return v;
}

/* The number of tasks per launch changes no bit, whichever way the gradient is computed. */
START_TEST(chunks_change_no_bit) {
    char text[160];
    clm_device *device = clm_test_open(1);
    clm_test_choice c = clm_test_choice_of(clm_algorithm_name((size_t)_i));
    c.tasks = 4;
    c.switches = CLM_TEST_STEP_WEIGHTS | CLM_TEST_NORM_PER_STEP;
    c.rates = CLM_RATES_PER_ELEMENT;
    clm_test_problem p;
    clm_test_problem_make(&p, &c, clm_test_seed() + 6);
    for (int how = first_way(c.algorithm); how <= (int)last_way(c.algorithm); how++) {
        clm_test_vector whole = gradient_with(device, &p, (clm_checkpointing)how, 4);
        for (int chunk = 1; chunk < 4; chunk++) {
            if (4 % chunk) continue;
            clm_test_vector parts = gradient_with(device, &p, (clm_checkpointing)how, chunk);
            clm_test_expect_same(&whole, &parts, clm_test_choice_text(&c, text, sizeof text));
            clm_test_vector_free(&parts);
        }
        clm_test_vector_free(&whole);
    }
    clm_test_problem_free(&p);
    clm_device_close(device);
}
END_TEST

/* The first-order gradient beside the other has the bits of one that was planned alone, and is not the other. */
START_TEST(both_orders) {
    char text[160];
    const char *algorithm = clm_algorithm_name((size_t)_i);
    clm_device *device = clm_test_open(1);
    clm_test_problem p;
    clm_test_choice c = clm_test_choice_of(algorithm);
    c.switches = CLM_TEST_STEP_WEIGHTS;
    clm_test_problem_make(&p, &c, clm_test_seed() + 7);
    p.options.both_orders = clm_algorithm_uses(algorithm, "first-order") && strcmp(algorithm, "fomaml") != 0;
    clm_meta *meta = clm_test_problem_meta(&p, device);
    CLM_TEST_OK(clm_meta_gradient(meta, &p.batch.batch));
    clm_test_vector second = clm_test_whole_gradient(meta);
    if (clm_algorithm_uses(algorithm, "first-order") && strcmp(algorithm, "fomaml") != 0) {
        CLM_TEST_OK(clm_meta_gradient_of_order(meta, &p.batch.batch, 1));
        clm_test_vector first = clm_test_whole_gradient(meta);
        p.options.both_orders = false;
        p.options.task.first_order = true;
        clm_test_vector alone = gradient_with(device, &p, CLM_CHECKPOINT_AUTO, 0);
        clm_test_expect_same(&first, &alone, clm_test_choice_text(&c, text, sizeof text));
        ck_assert_msg(clm_test_difference(first.data, second.data, first.n) > 1e-3, "%s: no second-order term", algorithm);
        clm_test_vector_free(&first);
        clm_test_vector_free(&alone);
    }
    clm_test_vector_free(&second);
    clm_meta_free(meta);
    clm_test_problem_free(&p);
    clm_device_close(device);
}
END_TEST

/* What an algorithm does not read is refused, by the names of both; what it reads is taken. */
static const struct {
    const char *reader, *field;
} fields[] = {
    {"steps", "steps"},
    {"inner-lr", "inner_lr"},
    {"inner-rule", "inner.rule"},
    {"inner-rule", "inner.weight_decay"},
    {"inner-rule", "inner.clip_value"},
    {"inner-rule", "inner.clip_norm"},
    {"first-order", "first_order"},
    {"rates", "rates"},
    {"step-weights", "step_weights"},
    {"adapt", "adapt"},
    {"adapt", "freeze"},
    {"adapt", "unlearned"},
    {"support-per-step", "support_per_step"},
    {"batch-norm-per-step", "batch_norm_per_step"},
    {"proximal", "proximal"},
    {"proximal", "solver"},
    {"proximal", "solver_steps"},
    {"first-order", "both_orders"},
    {"first-order", "checkpointing"},
};

static void set_field(clm_meta_options *m, const char *field) {
    static const double weights[] = {1, 1, 1, 1};
    static const char *const first[] = {"0.weight"}, *const layer[] = {"0."};
    clm_task_options *o = &m->task;
#define IS(name) (strcmp(field, name) == 0)
    if (IS("steps")) o->steps = 4;
    if (IS("inner_lr")) o->inner_lr = 0.3;
    if (IS("inner.rule")) o->inner.rule = "momentum";
    if (IS("inner.weight_decay")) o->inner.weight_decay = 0.1;
    if (IS("inner.clip_value")) o->inner.clip_value = 1;
    if (IS("inner.clip_norm")) o->inner.clip_norm = 1;
    if (IS("first_order")) o->first_order = true;
    if (IS("rates")) o->rates = strcmp(o->algorithm, "metasgd") == 0 ? CLM_RATES_PER_ELEMENT : CLM_RATES_PER_STEP;
    if (IS("step_weights")) o->step_weights = weights;
    if (IS("adapt")) o->adapt = first, o->n_adapt = 1;
    if (IS("freeze")) o->freeze = first, o->n_freeze = 1;
    if (IS("freeze") && (strcmp(o->algorithm, "anil") == 0 || strcmp(o->algorithm, "cavia") == 0))
        o->adapt = layer, o->n_adapt = 1; /* which they do not by themselves */
    if (IS("unlearned")) o->unlearned = first, o->n_unlearned = 1;
    if (IS("support_per_step")) o->support_per_step = true;
    if (IS("batch_norm_per_step")) o->batch_norm_per_step = true;
    if (IS("proximal")) o->proximal = 7;
    if (IS("solver")) o->solver = CLM_SOLVER_NEUMANN;
    if (IS("solver_steps")) o->solver_steps = 9;
    if (IS("both_orders")) m->both_orders = true;
    if (IS("checkpointing")) m->checkpointing = CLM_CHECKPOINT_RECOMPUTE;
#undef IS
}

START_TEST(options_that_say_nothing) {
    const char *algorithm = clm_algorithm_name((size_t)_i);
    clm_device *host = clm_test_open_host();
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
        clm_test_choice c = clm_test_choice_of(algorithm);
        clm_test_problem p;
        clm_meta *meta = NULL;
        if (strcmp(fields[k].field, "batch_norm_per_step") == 0) c.switches = CLM_TEST_NORM_PER_STEP; /* a model that has one */
        clm_test_problem_make(&p, &c, 3);
        set_field(&p.options, fields[k].field);
        const clm_status status = clm_meta_create(&meta, host, p.model, &p.options);
        const bool both = strcmp(fields[k].field, "both_orders") == 0 && strcmp(algorithm, "fomaml") == 0;
        if (clm_algorithm_uses(algorithm, fields[k].reader) && !both) {
            ck_assert_msg(status == CLM_OK, "%s, %s: %s", algorithm, fields[k].field, clm_last_error());
        } else {
            ck_assert_msg(status == CLM_E_ARG, "%s takes %s", algorithm, fields[k].field);
            CLM_TEST_SAYS(algorithm);
            CLM_TEST_SAYS(fields[k].field);
        }
        clm_meta_free(meta);
        clm_test_problem_free(&p);
    }
    clm_device_close(host);
}
END_TEST

/* What is not adapted anyway cannot be frozen: by an algorithm, by --adapt, by rows of batch-norm. */
START_TEST(frozen_for_nothing) {
    static const char *const layer[] = {"0."}, *const both[] = {"0.", "0.weight"}, *const norm[] = {"1."},
                             *const last[] = {"2."};
    clm_device *host = clm_test_open_host();
    for (int r = 0; r < 5; r++) {
        clm_test_choice c = clm_test_choice_of(r == 0 ? "anil" : "maml");
        clm_test_problem p;
        clm_meta *meta = NULL;
        if (r == 2) c.switches = CLM_TEST_NORM_PER_STEP;
        clm_test_problem_make(&p, &c, 3);
        clm_task_options *o = &p.options.task;
        o->freeze = r == 2 ? norm : r == 3 ? both : layer;
        o->n_freeze = r == 3 ? 2 : 1;
        if (r == 1) o->adapt = last, o->n_adapt = 1;
        const clm_status status = clm_meta_create(&meta, host, p.model, &p.options);
        ck_assert_msg(status == (r < 3 ? CLM_E_ARG : CLM_OK), "row %d: %s", r, clm_last_error());
        if (r < 3) CLM_TEST_SAYS("freeze: nothing that begins with");
        if (r == 2) CLM_TEST_SAYS("a row for each step");
        clm_meta_free(meta);
        clm_test_problem_free(&p);
    }
    clm_device_close(host);
}
END_TEST

/* ANIL and BOIL go by the last linear or convolution layer: a model of an LSTM alone has none, but may say what is adapted. */
START_TEST(no_layer_to_go_by) {
    static const char *const names[] = {"anil", "boil"}, *const all[] = {"0."};
    clm_model *model = NULL;
    CLM_TEST_OK(
        clm_model_parse(&model, "{\"in_shape\": [3, 2], \"layers\": [{\"op\": \"lstm\", \"out\": 3, \"last\": true}]}", NULL));
    ck_assert_uint_eq(clm_model_head_layer(model), 1);
    for (int k = 0; k < 2; k++) {
        clm_task_options o = CLM_TASK_OPTIONS_INIT;
        clm_params *params = NULL;
        o.algorithm = names[k];
        ck_assert_int_eq(clm_params_create(&params, model, &o), CLM_E_ARG);
        CLM_TEST_SAYS("the last linear or convolution layer, and the model has none");
        o.adapt = all, o.n_adapt = 1;
        CLM_TEST_OK(clm_params_create(&params, model, &o));
        clm_params_free(params);
    }
    clm_model_free(model);
}
END_TEST

/* What a rule, a loss or the model leaves without a meaning. */
START_TEST(options_of_others) {
    static const double weights[] = {1, 2, 3};
    static const struct {
        const char *rule, *loss, *says;
    } rows[] = {
        {"sgd", NULL, "inner.momentum"},
        {"momentum", NULL, "inner.beta1"},
        {"momentum", NULL, "inner.beta2"},
        {"adam", NULL, "inner.decay"},
        {"nesterov", NULL, "inner.eps"},
        {"sgd", NULL, "inner.eps_root"},
        {NULL, "mse", "loss.label_smoothing"},
        {NULL, "mse", "loss.delta"},
        {NULL, "mae", "loss.class_weights"},
        {NULL, "huber", "loss.target_shape"},
        {NULL, NULL, "7 ways"},
        {NULL, NULL, "batch_norm_per_step"},
        {NULL, "custom", "metasgd"},
    };
    clm_device *host = clm_test_open_host();
    const clm_test_choice c = clm_test_choice_of("maml");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        clm_test_problem p;
        clm_meta *meta = NULL;
        clm_test_problem_make(&p, &c, 3);
        clm_task_options *o = &p.options.task;
        o->inner = (clm_inner_options)CLM_INNER_OPTIONS_INIT;
        if (rows[r].rule) o->inner.rule = rows[r].rule;
        if (rows[r].loss) o->loss.name = rows[r].loss;
        if (r == 0) o->inner.momentum = 0.5;
        if (r == 1) o->inner.beta1 = 0.5;
        if (r == 2) o->inner.beta2 = 0.5;
        if (r == 3) o->inner.decay = 0.5;
        if (r == 4) o->inner.eps = 0.5;
        if (r == 5) o->inner.eps_root = 0.5;
        if (r == 6) o->loss.label_smoothing = 0.5;
        if (r == 7) o->loss.delta = 0.5;
        if (r == 8) o->loss.class_weights = weights;
        if (r == 9) o->loss.target_shape = clm_shape_of(1, 2);
        if (r == 10) o->ways = 7;
        if (r == 11) o->batch_norm_per_step = true;
        if (r == 12) o->algorithm = "metasgd", o->rates = CLM_RATES_PER_STEP;
        ck_assert_msg(clm_meta_create(&meta, host, p.model, &p.options) == CLM_E_ARG, "row %zu", r);
        CLM_TEST_SAYS(rows[r].says);
        clm_test_problem_free(&p);
    }
    clm_device_close(host);
}
END_TEST

/* Values that no enumeration or list has; and 0, which says nothing to anybody. */
START_TEST(values_that_are_none) {
    static const double nothing[] = {0}, endless[] = {INFINITY}, none[] = {NAN};
    static const char *const says[] = {"rates is 7",        "solver is 9",        "loss.reduction is -1",
                                       "adapt: 1 prefixes", "step_weights",       "step_weights",
                                       "step_weights",      "checkpointing is 9", "loss.user"};
    clm_device *host = clm_test_open_host();
    const clm_test_choice c = clm_test_choice_of("maml"), implicit = clm_test_choice_of("imaml");
    for (size_t r = 0; r <= sizeof says / sizeof *says; r++) {
        clm_test_problem p;
        clm_meta *meta = NULL;
        clm_test_problem_make(&p, r == 1 ? &implicit : &c, 3);
        clm_task_options *o = &p.options.task;
        o->steps = 1;
        o->step_weights = NULL;
        if (r == 0) o->rates = (clm_rates)7;
        if (r == 1) o->solver = (clm_solver)9;
        if (r == 2) o->loss.reduction = (clm_reduction)-1;
        if (r == 3) o->adapt = NULL, o->n_adapt = 1;
        if (r == 4) o->step_weights = nothing;
        if (r == 5) o->step_weights = endless;
        if (r == 6) o->step_weights = none;
        if (r == 7) p.options.checkpointing = (clm_checkpointing)9;
        if (r == 8) o->loss.user = &p;
        if (r == 9) o->proximal = 0, o->solver_steps = 0;
        const clm_status status = clm_meta_create(&meta, host, p.model, &p.options);
        ck_assert_msg(status == (r == 9 ? CLM_OK : CLM_E_ARG), "row %zu: %s", r, clm_last_error());
        if (r < 9) CLM_TEST_SAYS(says[r]);
        clm_meta_free(meta);
        clm_test_problem_free(&p);
    }
    clm_device_close(host);
    ck_assert(!clm_algorithm_uses(NULL, NULL) && !clm_algorithm_uses("maml", NULL));
}
END_TEST

/* No name is that of MAML; the name of first-order MAML says what first_order says. */
START_TEST(first_order_until_of_names) {
    static const char *const names[] = {NULL, "maml", "fomaml", "reptile"};
    clm_device *host = clm_test_open_host();
    const clm_test_choice c = clm_test_choice_of("maml");
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        clm_test_problem p;
        clm_meta *meta = NULL;
        clm_test_problem_make(&p, &c, 3);
        p.options.task.algorithm = names[k];
        p.options.first_order_until = 3;
        const clm_status status = clm_meta_create(&meta, host, p.model, &p.options);
        ck_assert_int_eq(status, k < 2 ? CLM_OK : CLM_E_ARG);
        if (k >= 2) CLM_TEST_SAYS("first_order_until");
        clm_meta_free(meta);
        clm_test_problem_free(&p);
    }
    clm_device_close(host);
}
END_TEST

/* Names that are not known list those that are. */
START_TEST(unknown_names) {
    clm_device *host = clm_test_open_host();
    const clm_test_choice c = clm_test_choice_of("maml");
    for (int k = 0; k < 3; k++) {
        clm_test_problem p;
        clm_meta *meta = NULL;
        clm_test_problem_make(&p, &c, 3);
        if (k == 0) p.options.task.algorithm = "mamle";
        if (k == 1) p.options.task.inner.rule = "sgd2";
        if (k == 2) p.options.task.loss.name = "l3";
        ck_assert_int_eq(clm_meta_create(&meta, host, p.model, &p.options), CLM_E_ARG);
        CLM_TEST_SAYS(k == 0 ? "mamle" : k == 1 ? "sgd2" : "l3");
        CLM_TEST_SAYS(k == 0 ? "reptile" : k == 1 ? "rmsprop" : "huber");
        clm_test_problem_free(&p);
    }
    clm_device_close(host);
}
END_TEST

/* ---- memory ---- */

static size_t bytes_for(clm_device *device, const char *algorithm, int steps) {
    clm_test_choice c = clm_test_choice_of(algorithm);
    clm_test_problem p;
    c.steps = steps;
    clm_test_problem_make(&p, &c, 3);
    p.options.checkpointing = last_way(algorithm);
    p.options.keep_adapted = false;
    clm_meta *meta = clm_test_problem_meta(&p, device);
    const size_t bytes = clm_meta_get_plan(meta).bytes;
    ck_assert_uint_eq(clm_device_allocated(device), bytes);
    clm_meta_free(meta);
    clm_test_problem_free(&p);
    return bytes;
}

/* Of algorithms without an adjoint of the inner loop it does not depend on the number of steps, but for the losses that are read. */
START_TEST(memory_without_an_adjoint) {
    enum { LOSS = 2 * 4 }; /* bytes a step, of two tasks */
    static const char *const algorithms[] = {"imaml", "reptile"};
    clm_device *device = clm_test_open(1);
    for (int a = 0; a < 2; a++) {
        const size_t few = bytes_for(device, algorithms[a], 3), many = bytes_for(device, algorithms[a], 20);
        ck_assert_msg(many <= few + 17 * LOSS, "%s: %zu bytes for 3 steps, %zu for 20", algorithms[a], few, many);
    }
    ck_assert_uint_gt(bytes_for(device, "maml", 20), bytes_for(device, "maml", 3) + 17 * LOSS);
    clm_device_close(device);
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("family");
    TCase *tcase = tcase_create("family");
    const int n = (int)clm_algorithm_count();
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, algorithms_with_every_rule, 0, n);
    tcase_add_loop_test(tcase, algorithms_on_opencl, 0, n);
    tcase_add_loop_test(tcase, chunks_change_no_bit, 0, n);
    tcase_add_loop_test(tcase, both_orders, 0, n);
    tcase_add_loop_test(tcase, options_that_say_nothing, 0, n);
    tcase_add_test(tcase, frozen_for_nothing);
    tcase_add_test(tcase, no_layer_to_go_by);
    tcase_add_test(tcase, options_of_others);
    tcase_add_test(tcase, values_that_are_none);
    tcase_add_test(tcase, first_order_until_of_names);
    tcase_add_test(tcase, unknown_names);
    tcase_add_test(tcase, memory_without_an_adjoint);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
