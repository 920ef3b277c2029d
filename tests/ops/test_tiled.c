/* Products by tiles in local memory (src/ops/tiled.c): a sample of the candidates against the double-precision reference on shapes that fit
 * no tile, operands shared and per task and where vectors are not aligned; all of them give the same bits, for any number of tasks, whole
 * or in pieces; and where the row is offered and preferred. The device is taken for a GPU unless CLMAML_EMULATE says
 * something else. CLMAML_TEST_CANDIDATES=all: every candidate. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/graph.h"
#include "device/opencl/opencl.h"
#include "ops/choice.h"
#include "ops/op.h"
#include "support/numbers.h"
#include "support/run.h"

enum { TASKS = 2, SAMPLE = 2, SPLIT = 7 /* among a candidate's values */ };

extern const clm_impl clm_impl_tiled;

typedef enum kind { CONV, DATA, FILTER, NN, TN, NT, KINDS } kind;

/* Of a matrix product: n matrices h x w times w x co. */
typedef struct problem {
    kind kind;
    int n, h, w, ci, co, kh, kw, stride, pad, dilation, groups;
    int shared; /* the operand that is; 2: none */
} problem;

typedef struct setting {
    clm_graph *graph;
    clm_value in[2], out;
    size_t count[2], results;
    double *data[2], *expected, *first, *found;
    char text[160];
} setting;

/* What is forced, and what was met. */
typedef struct forced {
    int index, most, used;
    int split;  /* the first that makes every segment of a sum in a group of its own; as `most` when none does */
    bool first; /* the row is what is taken unmeasured */
    clm_candidate candidate;
} forced;

static bool force(void *user, const clm_lower *l, clm_value y, clm_choice *choice) {
    forced *f = user;
    clm_candidate list[CLM_CANDIDATES_MOST];
    clm_choice all[CLM_CHOICES_MOST];
    if (!clm_choice_exists(clm_node_at(clm_lower_graph(l), y)->op)) return false;
    f->most = clm_choice_candidates(l, y, &clm_impl_tiled, list);
    f->first = clm_choice_list(l, y, all) > 0 && all[0].impl == &clm_impl_tiled;
    for (f->split = 0; f->split < f->most && !list[f->split].value[SPLIT];) f->split++;
    if (f->index >= f->most) return false;
    f->candidate = list[f->index];
    *choice = (clm_choice){&clm_impl_tiled, f->candidate};
    f->used++;
    return true;
}

static double *zeros(size_t n) {
    double *a = calloc(n + 1, sizeof *a);
    ck_assert_ptr_nonnull(a);
    return a;
}

static void shapes_of(const problem *p, clm_shape shapes[2]) {
    if (p->kind >= NN) {
        shapes[0] = p->kind == TN ? clm_shape_of(3, p->n, p->w, p->h) : clm_shape_of(3, p->n, p->h, p->w);
        shapes[1] = p->kind == NT ? clm_shape_of(3, p->n, p->co, p->w) : clm_shape_of(3, p->n, p->w, p->co);
        return;
    }
    const int oh = (p->h + 2 * p->pad - p->dilation * (p->kh - 1) - 1) / p->stride + 1;
    const int ow = (p->w + 2 * p->pad - p->dilation * (p->kw - 1) - 1) / p->stride + 1;
    shapes[0] = p->kind == DATA ? clm_shape_of(4, p->n, oh, ow, p->co) : clm_shape_of(4, p->n, p->h, p->w, p->ci);
    shapes[1] =
        p->kind != FILTER ? clm_shape_of(4, p->kh, p->kw, p->ci / p->groups, p->co) : clm_shape_of(4, p->n, oh, ow, p->co);
}

static clm_value build(clm_graph *g, const problem *p, const clm_value *in) {
    const clm_conv_options o = {{p->stride, p->stride}, {p->pad, p->pad}, {p->dilation, p->dilation}, p->groups};
    if (p->kind == CONV) return clm_conv2d(g, in[0], in[1], &o);
    if (p->kind == DATA) return clm_conv2d_bwd_data(g, in[0], in[1], p->h, p->w, &o);
    if (p->kind == FILTER) return clm_conv2d_bwd_filter(g, in[0], in[1], p->kh, p->kw, &o);
    return clm_matmul(g, in[0], in[1], p->kind == TN, p->kind == NT);
}

static void make(setting *s, const problem *p, clm_random *r) {
    static const char *const names[2] = {"a", "b"}, *const kinds[KINDS] = {"conv", "data", "filter", "nn", "tn", "nt"};
    clm_shape shapes[2];
    shapes_of(p, shapes);
    CLM_TEST_OK(clm_graph_create(&s->graph));
    for (int i = 0; i < 2; i++) {
        s->in[i] = clm_input(s->graph, names[i], shapes[i], i != p->shared);
        s->count[i] = clm_test_elements(s->graph, s->in[i], TASKS);
        s->data[i] = zeros(s->count[i]);
        for (size_t j = 0; j < s->count[i]; j++) s->data[i][j] = (double)(float)clm_random_normal(r);
    }
    s->out = build(s->graph, p, s->in);
    ck_assert_int_eq(clm_graph_status(s->graph), CLM_OK);
    s->results = clm_test_elements(s->graph, s->out, TASKS);
    s->expected = zeros(s->results);
    s->first = zeros(s->results);
    s->found = zeros(s->results);
    snprintf(s->text, sizeof s->text,
             "%s, %d x %d x %d x %d to %d, filter %d x %d, stride %d, padding %d, dilation %d, %d groups", kinds[p->kind], p->n,
             p->h, p->w, p->ci, p->co, p->kh, p->kw, p->stride, p->pad, p->dilation, p->groups);
}

static void discard(setting *s) {
    for (int i = 0; i < 2; i++) free(s->data[i]);
    free(s->expected);
    free(s->first);
    free(s->found);
    clm_graph_free(s->graph);
}

static void compute(clm_device *device, const setting *s, int tasks, double *result) {
    CLM_TEST_OK(clm_test_run(device, s->graph, tasks, s->in, (const double *const *)s->data, 2, &s->out, &result, 1));
}

static void expect_same(const setting *s, const forced *f, size_t count, const char *what) {
    char text[128];
    clm_choice_text(&(clm_choice){&clm_impl_tiled, f->candidate}, text, sizeof text);
    ck_assert_msg(!memcmp(s->first, s->found, count * sizeof(double)), "%s: %s: other bits %s", s->text, text, what);
}

/* One candidate, of the same bits as the first. */
static void check_candidate(clm_device *device, const setting *s, forced *f) {
    double *result = f->index ? s->found : s->first;
    char text[128];
    f->used = 0;
    compute(device, s, TASKS, result);
    ck_assert_int_ge(f->used, 1); /* asked twice where the filter may be read turned */
    clm_choice_text(&(clm_choice){&clm_impl_tiled, f->candidate}, text, sizeof text);
    const double difference = clm_test_difference(s->expected, result, s->results);
    ck_assert_msg(difference < 4e-6, "%s: %s: difference %g", s->text, text, difference);
    if (f->index) expect_same(s, f, s->results, "than the first candidate");
}

/* The first candidate, `sample` others, and one with segments in groups of their own; the last for one task alone. Is there one
 * with such groups? */
static bool check_problem(clm_device *device, clm_device *host, const problem *p, clm_random *r, int sample) {
    const char *which = getenv("CLMAML_TEST_CANDIDATES");
    const bool every = which && !strcmp(which, "all");
    setting s;
    forced f = {.most = 1};
    make(&s, p, r);
    compute(host, &s, TASKS, s.expected);
    clm_choice_force(device, force, &f);
    check_candidate(device, &s, &f);
    for (int i = 1; i < f.most && (every || i <= sample); i++) {
        f.index = every ? i : 1 + (int)clm_random_below(r, (uint32_t)(f.most - 1));
        check_candidate(device, &s, &f);
    }
    f.index = f.split;
    if (f.split > 0 && f.split < f.most) check_candidate(device, &s, &f);
    if (f.split == f.most) f.index = 0;
    compute(device, &s, 1, s.found);
    expect_same(&s, &f, clm_test_elements(s.graph, s.out, 1), "for one task");
    clm_choice_force(device, NULL, NULL);
    discard(&s);
    return f.split < f.most;
}

static void open_both(clm_device **device, clm_device **host) {
    ck_assert_int_eq(setenv("CLMAML_EMULATE", "type=gpu,dedicated_local=1", 0), 0);
    *device = clm_test_open_opencl();
    *host = clm_test_open_host();
}

/* ---- numbers ---- */

static int between(clm_random *r, int low, int high) { return low + (int)clm_random_below(r, (uint32_t)(high - low + 1)); }

static int channels(clm_random *r, bool tiny) {
    static const int some[] = {1, 3, 4, 6, 8, 16, 33};
    return some[between(r, 0, tiny ? 4 : 6)];
}

static problem draw(clm_random *r, kind what, bool tiny) {
    problem p;
    do {
        p = (problem){.kind = what,
                      .n = between(r, 1, tiny ? 2 : 3),
                      .h = between(r, 1, tiny ? 6 : 9),
                      .w = between(r, 1, tiny ? 6 : 9),
                      .kh = between(r, 1, 4),
                      .kw = between(r, 1, 4),
                      .stride = between(r, 1, 2),
                      .pad = between(r, 0, 2),
                      .dilation = between(r, 1, 2),
                      .groups = between(r, 0, 2) ? 1 : 2,
                      .shared = between(r, 0, 2)};
        p.ci = channels(r, tiny) * p.groups;
        p.co = channels(r, tiny) * p.groups;
        if (what == DATA) { /* wide padding: the others are convolutions */
            p.kh = between(r, 1, 2);
            p.kw = between(r, 1, 2);
            p.pad = between(r, 2, 3);
            p.stride = p.dilation = 1;
        }
        if (what >= NN) {
            p.h = between(r, 1, tiny ? 20 : 40);
            p.w = between(r, 1, tiny ? 20 : 600);
            p.co = between(r, 1, tiny ? 20 : 40);
        }
        if (what >= NN && between(r, 0, 1)) p.h = (p.h + 3) / 4 * 4, p.w = (p.w + 3) / 4 * 4, p.co = (p.co + 3) / 4 * 4;
    } while (what < NN && (p.h + 2 * p.pad <= p.dilation * (p.kh - 1) || p.w + 2 * p.pad <= p.dilation * (p.kw - 1)));
    return p;
}

START_TEST(random_shapes) {
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), (uint64_t)_i);
    open_both(&device, &host);
    const problem p = draw(&r, (kind)_i, clm_test_tiny());
    check_problem(device, host, &p, &r, clm_test_tiny() ? 1 : SAMPLE);
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

/* Several segments, several tiles either way, none of them full. */
static const problem special[] = {
    {CONV, 2, 7, 6, 12, 20, 3, 3, 1, 1, 1, 1, 2},    {CONV, 3, 9, 8, 3, 36, 3, 3, 2, 1, 1, 1, 1},
    {FILTER, 3, 10, 11, 8, 20, 3, 3, 1, 1, 1, 1, 2}, {FILTER, 2, 13, 14, 1, 16, 3, 3, 1, 1, 1, 1, 0},
    {NN, 1, 37, 530, 0, 36, 0, 0, 0, 0, 0, 1, 2},    {TN, 2, 36, 530, 0, 18, 0, 0, 0, 0, 0, 1, 2},
    {NT, 2, 33, 77, 0, 35, 0, 0, 0, 0, 0, 1, 2}};

/* As small as there can be segments. */
static const problem deep[] = {{FILTER, 1, 18, 17, 1, 3, 2, 2, 1, 0, 1, 1, 2}, {NN, 1, 3, 520, 0, 5, 0, 0, 0, 0, 0, 1, 2}};

START_TEST(deep_products) {
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), 104);
    open_both(&device, &host);
    ck_assert(check_problem(device, host, &deep[_i], &r, 0));
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

START_TEST(special_shapes) {
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), 100);
    open_both(&device, &host);
    check_problem(device, host, &special[_i], &r, SAMPLE);
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

/* ---- launches in pieces, and operands that begin anywhere ---- */

/* A program whose operands and result are parts of larger tensors. */
static void compute_shifted(clm_device *device, const setting *s, double *result) {
    clm_program *program;
    clm_tensor *whole[3], *part[3];
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = TASKS;
    CLM_TEST_OK(clm_program_create(&program, device, s->graph, &s->out, 1, &options));
    for (int i = 0; i < 3; i++) {
        const clm_value v = i < 2 ? s->in[i] : s->out;
        const int tasks = clm_value_per_task(s->graph, v) ? TASKS : 0;
        const size_t size = clm_test_elements(s->graph, v, TASKS);
        CLM_TEST_OK(clm_tensor_create(&whole[i], device, clm_shape_of(1, (int)size + 8), 1));
        CLM_TEST_OK(clm_tensor_view(&part[i], whole[i], (size_t)(2 * i + 1), clm_value_shape(s->graph, v), tasks));
        CLM_TEST_OK(clm_program_bind(program, v, part[i]));
    }
    CLM_TEST_OK(clm_program_prepare(program));
    for (int i = 0; i < 2; i++) CLM_TEST_OK(clm_tensor_write_f64(part[i], s->data[i], s->count[i]));
    CLM_TEST_OK(clm_program_run(program));
    CLM_TEST_OK(clm_tensor_read_f64(part[2], result, s->results));
    clm_program_free(program);
    for (int i = 0; i < 3; i++) {
        clm_tensor_free(part[i]);
        clm_tensor_free(whole[i]);
    }
}

START_TEST(anywhere_and_in_pieces) {
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), 101);
    setting s;
    forced f = {0};
    open_both(&device, &host);
    clm_device_close(host);
    make(&s, &special[_i], &r);
    clm_choice_force(device, force, &f);
    compute(device, &s, TASKS, s.first);
    compute_shifted(device, &s, s.found);
    expect_same(&s, &f, s.results, "at odd places in memory");
    ck_assert_uint_eq(clm_cl(device)->watchdog.pieces, 0);
    clm_device_close(device);
    setenv("CLMAML_MAX_LAUNCH_MS", "0.00001", 1);
    device = clm_test_open_opencl();
    clm_choice_force(device, force, &f);
    compute(device, &s, TASKS, s.found);
    ck_assert_uint_gt(clm_cl(device)->watchdog.pieces, 1);
    expect_same(&s, &f, s.results, "in pieces");
    discard(&s);
    clm_device_close(device);
}
END_TEST

/* ---- when it is offered ---- */

static forced ask(const char *emulate, const problem *p) {
    clm_random r = clm_random_make(clm_test_seed(), 102);
    forced f = {.index = CLM_CANDIDATES_MOST};
    setting s;
    setenv("CLMAML_EMULATE", emulate, 1);
    clm_device *device = clm_test_open_opencl();
    clm_program *program;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = TASKS;
    make(&s, p, &r);
    clm_choice_force(device, force, &f);
    CLM_TEST_OK(clm_program_create(&program, device, s.graph, &s.out, 1, &options));
    clm_program_free(program);
    discard(&s);
    clm_device_close(device);
    return f;
}

/* Work-items and bytes that the candidates of a problem need at most. */
static void expect_limits(const char *emulate, const problem *p, int items, int bytes) {
    clm_device *device;
    setting s;
    forced f = {.most = 1};
    clm_random r = clm_random_make(clm_test_seed(), 103);
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    setenv("CLMAML_EMULATE", emulate, 1);
    device = clm_test_open_opencl();
    make(&s, p, &r);
    clm_choice_force(device, force, &f);
    for (; f.index < f.most; f.index++) {
        clm_program *program;
        CLM_TEST_OK(clm_program_create(&program, device, s.graph, &s.out, 1, &options));
        clm_program_free(program);
        const int32_t *c = f.candidate.value;
        ck_assert_int_le(c[0] / c[3] * (c[1] / c[4]), items);
        ck_assert_int_le(4 * c[5] * c[2] * (c[0] + c[1]), bytes);
    }
    ck_assert_int_ge(f.most, 1);
    discard(&s);
    clm_device_close(device);
}

static const problem network = {CONV, 5, 14, 14, 64, 64, 3, 3, 1, 1, 1, 1, 2},
                     network_filter = {FILTER, 5, 14, 14, 64, 64, 3, 3, 1, 1, 1, 1, 2},
                     grey_filter = {FILTER, 5, 28, 28, 1, 64, 3, 3, 1, 1, 1, 1, 2},
                     large = {NN, 1, 512, 512, 0, 512, 0, 0, 0, 0, 0, 1, 2}, little = {NN, 1, 5, 8, 0, 5, 0, 0, 0, 0, 0, 1, 2},
                     huge_filter = {CONV, 1, 40, 40, 4, 32, 17, 3, 1, 0, 1, 1, 2};

START_TEST(offered_where_it_fits) {
    static const char gpu[] = "type=gpu,dedicated_local=1,compute_units=64,max_work_group=256,local_memory=32K";
    static const problem *const all[] = {&network, &network_filter, &grey_filter, &large, &little};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const forced f = ask(gpu, all[i]);
        ck_assert_int_gt(f.most, 0);
        ck_assert(f.first == (all[i] != &little)); /* the default, unless most of a tile would be padding */
    }
    ck_assert_int_eq(ask(gpu, &huge_filter).most, 0);
    ck_assert_int_eq(ask("type=cpu,dedicated_local=1", &network).most, 0);
    ck_assert_int_eq(ask("type=gpu,dedicated_local=0", &network).most, 0);
    ck_assert_int_eq(ask("type=gpu,dedicated_local=1,max_work_group=32", &network).most, 0);
    ck_assert_int_eq(ask("type=gpu,dedicated_local=1,local_memory=1K", &network).most, 0);
    expect_limits("type=gpu,dedicated_local=1,max_work_group=64", &network, 64, 1 << 20);
    expect_limits("type=gpu,dedicated_local=1,local_memory=8K", &network_filter, 4096, 8192);
    expect_limits("type=gpu,dedicated_local=1,max_work_group=64,local_memory=4K", &large, 64, 4096);
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("tiled");
    TCase *numbers = tcase_create("numbers"), *choice = tcase_create("choice");
    tcase_set_timeout(numbers, 0); /* ctest has one */
    tcase_set_timeout(choice, 0);
    tcase_add_loop_test(numbers, random_shapes, 0, KINDS);
    tcase_add_loop_test(numbers, deep_products, 0, (int)(sizeof deep / sizeof *deep));
    if (!clm_test_tiny()) {
        tcase_add_loop_test(numbers, special_shapes, 0, (int)(sizeof special / sizeof *special));
        tcase_add_loop_test(numbers, anywhere_and_in_pieces, 0, (int)(sizeof special / sizeof *special));
        tcase_add_test(choice, offered_where_it_fits);
    }
    suite_add_tcase(suite, numbers);
    suite_add_tcase(suite, choice);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
