/* write_kernels DIR REFERENCE.safetensors..: writes the program texts that GPUs and CPUs would be given, for compilers that are no
 * OpenCL drivers (offline.sh).
 *
 * The device is none (recorder.h). Written are folders of texts, none of which is in an earlier one of the same type of device:
 *   discrete, integrated    the programs of the zoo's models at the sizes that are trained (table below): gradient of both orders, with
 *                           memory for all steps and without, the update, and evaluation; every implementation of an operation with its
 *                           first candidate; for a GPU with memory of its own, and for one that shares the host's
 *   integrated-own          those of integrated that are not in discrete, joined alone: for what is compiled for both
 *   arc                     as discrete, for one whose lanes have few registers; with --candidates
 *   ..-candidates           the other candidates of their operations, as the tuner would try them, one operation for all that differ in
 *                           size alone; with --candidates
 *   rest                    as discrete, for the reference files and the rows of the tests of operations
 *   cpu                     discrete and rest for a CPU
 * In each: every text once by itself (NAME-HASH.cl), all texts joined by some dozens (joined-HASH.cl), as drivers get them, and
 * kernels.txt, a line for each: the kernel's name in the joined text, and where the first launch of it was met.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "clmaml/meta.h"
#include "meta/internal.h"
#include "offline/recorder.h"
#include "ops/choice.h"
#include "support/op_instance.h"
#include "tune/internal.h"
#include "verify/reference.h"

/* A program that cannot do its work ends here. */
#define NEED(call)                                                                          \
    do {                                                                                    \
        clm_status need_status = (call);                                                    \
        if (need_status != CLM_OK) {                                                        \
            fprintf(stderr, "write_kernels: %s: %s: %s\n", where, #call, clm_last_error()); \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

enum { GROUP_LEAST = 8, GROUP_MOST = 64, MANY = 1000, IMPLEMENTATIONS = 8, KINDS_MOST = 128 };

static char where[256]; /* what is being prepared */

/* ---- what is asked of it ---- */

/* For a model of images: one of bytes and one of floats. */
static void data_sets(clm_device *d, const clm_model *model, clm_dataset *data[2]) {
    static const uint8_t byte;
    static const float number;
    const clm_shape in = clm_model_in_shape(model);
    clm_images images = {.count = 1};
    if (in.rank != 3) return;
    images.channels = in.dim[0];
    images.height = in.dim[1];
    images.width = in.dim[2];
    images.bytes = &byte; /* nothing is copied */
    images.values = &number;
    NEED(clm_dataset_create(&data[0], d, &images));
    images.bytes = NULL;
    images.values = NULL;
    images.floats = &number;
    NEED(clm_dataset_create(&data[1], d, &images));
}

static void meta_programs(clm_device *d, const clm_model *model, const clm_meta_options *options) {
    clm_meta *meta = NULL;
    clm_learner *learner = NULL;
    clm_learner_options l = CLM_LEARNER_OPTIONS_INIT;
    clm_dataset *data[2] = {NULL};
    data_sets(d, model, data);
    NEED(clm_meta_create(&meta, d, model, options));
    NEED(clm_meta_prepare(meta));
    for (int i = 0; i < 2 && data[i]; i++) NEED(clm_meta_use_data(meta, &data[i], 1));
    clm_meta_free(meta);
    l.tasks = options->tasks;
    l.task = options->task;
    NEED(clm_learner_create(&learner, d, model, &l)); /* prepares */
    for (int i = 0; i < 2 && data[i]; i++) NEED(clm_learner_use_data(learner, data[i]));
    clm_learner_free(learner);
    for (int i = 0; i < 2; i++) clm_dataset_free(data[i]);
}

/* With memory for all steps and without, and of first order. */
static void meta_variants(clm_device *d, const clm_model *model, clm_meta_options options) {
    if (!clm_algorithm_uses(options.task.algorithm, "first-order")) {
        meta_programs(d, model, &options);
        return;
    }
    options.checkpointing = CLM_CHECKPOINT_STORE;
    meta_programs(d, model, &options);
    options.checkpointing = CLM_CHECKPOINT_RECOMPUTE;
    meta_programs(d, model, &options);
    options.task.first_order = true;
    meta_programs(d, model, &options);
}

static void reference_programs(clm_device *d, const char *path) {
    cli_reference r;
    const char *name = strrchr(path, '/');
    snprintf(where, sizeof where, "%s", name ? name + 1 : path);
    where[strcspn(where, ".")] = 0;
    NEED(cli_reference_open(&r, path));
    clm_meta_options options = CLM_META_OPTIONS_INIT;
    options.tasks = r.tasks;
    options.task = r.task;
    meta_variants(d, r.model, options);
    cli_reference_close(&r);
}

#define NETWORK(filters, ways, channels, size, strided) \
    { CLM_CONV4_OPTIONS_VERSION, filters, ways, channels, size, strided, 0, false }

/* Networks as they are trained: filters, ways, colours, size; examples, steps. */
static const struct {
    const char *name;
    clm_conv4_options network;
    int shots, query, steps, tasks;
} trained[] = {
    {"omniglot 5-way 1-shot", NETWORK(64, 5, 1, 28, true), 1, 1, 1, 32},
    {"omniglot 20-way 5-shot", NETWORK(64, 20, 1, 28, true), 5, 5, 5, 16},
    {"conv4 5-way 1-shot", NETWORK(64, 5, 1, 28, false), 1, 15, 5, 4},
    {"miniimagenet 5-way 5-shot", NETWORK(32, 5, 3, 84, false), 5, 15, 5, 4},
};

static void trained_network(size_t i, clm_model **model, clm_meta_options *options) {
    snprintf(where, sizeof where, "%s", trained[i].name);
    NEED(clm_model_conv4(model, &trained[i].network));
    *options = (clm_meta_options)CLM_META_OPTIONS_INIT;
    options->tasks = trained[i].tasks;
    options->task.support = trained[i].network.ways * trained[i].shots;
    options->task.query = trained[i].network.ways * trained[i].query;
    options->task.steps = trained[i].steps;
}

static void trained_programs(clm_device *d) {
    for (size_t i = 0; i < sizeof trained / sizeof *trained; i++) {
        clm_model *model = NULL;
        clm_meta_options options;
        trained_network(i, &model, &options);
        meta_variants(d, model, options);
        clm_model_free(model);
    }
}

/* Every choice for an operation, alone, as the tuner has it. */
static void candidates_of(clm_device *d, const clm_problem *problem) {
    clm_bench *b = clm_calloc(1, sizeof *b);
    char name[128];
    NEED(b ? clm_bench_open(b, d, problem, false) : CLM_E_MEMORY);
    for (int i = 0; i < b->count; i++) {
        clm_program *program = NULL;
        snprintf(where, sizeof where, "candidate %s", clm_choice_text(&b->list[i], name, sizeof name));
        NEED(clm_bench_program(b, i, &program));
        clm_program_free(program);
    }
    clm_bench_close(b);
    free(b);
}

/* Of operations that differ in the sizes of images, or in the lengths of a product's axes but for whether vectors divide them, a
 * compiler makes kernels alike: one stands for all. Text of what distinguishes them. */
static const char *kind_of(const clm_problem *p, char *text, size_t size) {
    const clm_node *y = &p->node, *a = &p->in[0], *b = &p->in[1];
    const bool product = y->op == CLM_OP_MATMUL;
    const clm_shape *s = &y->shape, *filter = y->op == CLM_OP_CONV2D_BWD_FILTER ? s : &b->shape;
    int used = snprintf(text, size, "%d", (int)y->op);
    for (int i = 0; i < CLM_ATTR_INTS; i++) used += snprintf(text + used, size - (size_t)used, " %d", (int)y->attr.i[i]);
    for (int i = 0; i < filter->rank && !product; i++)
        used += snprintf(text + used, size - (size_t)used, " %d", filter->dim[i]);
    for (int i = 0; i < 2 && product; i++) {
        const int of_a = a->shape.dim[a->shape.rank - 1 - i], of_y = s->dim[s->rank - 1 - i];
        used += snprintf(text + used, size - (size_t)used, " %d %d", of_a % 4 == 0, of_y % 4 == 0);
    }
    return text;
}

static void candidate_programs(clm_device *d) {
    char seen[KINDS_MOST][128], kind[128];
    int n_seen = 0;
    for (size_t i = 0; i < sizeof trained / sizeof *trained; i++) {
        clm_model *model = NULL;
        clm_meta_options options;
        clm_meta *meta = NULL;
        clm_program **programs = NULL;
        clm_problems problems = {0};
        size_t n = 0;
        trained_network(i, &model, &options);
        NEED(clm_meta_create(&meta, d, model, &options));
        NEED(clm_exec_programs(meta->shares[0], &programs, &n));
        for (size_t k = 0; k < n; k++) NEED(clm_problems_collect(&problems, programs[k]));
        for (size_t k = 0; k < problems.count; k++) {
            int at = 0;
            kind_of(&problems.problems[k], kind, sizeof kind);
            while (at < n_seen && strcmp(seen[at], kind) != 0) at++;
            if (at < n_seen) continue;
            NEED(n_seen < KINDS_MOST ? CLM_OK : CLM_E_LIMIT);
            snprintf(seen[n_seen++], sizeof *seen, "%s", kind);
            candidates_of(d, &problems.problems[k]);
        }
        free(problems.problems);
        free(programs);
        clm_meta_free(meta);
        clm_model_free(model);
    }
}

static void operation_programs(clm_device *d) {
    for (size_t i = 0; i < clm_op_case_count(); i++) {
        const clm_op_case *row = clm_op_case_at(i);
        clm_op_instance o;
        clm_program *program = NULL;
        clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
        options.tasks = 2;
        snprintf(where, sizeof where, "operation %s", row->name);
        NEED(clm_op_instance_make(&o, row, 1u, options.tasks));
        NEED(clm_op_instance_program(&o, d, &options, CLM_TEST_DEVICE_KINDS, &program));
        clm_program_free(program);
        clm_op_instance_free(&o);
    }
}

/* ---- every implementation ---- */

typedef struct turn {
    int rank;
    bool met; /* some operation has an implementation of this rank */
} turn;

static bool take_turn(void *user, const clm_lower *l, clm_value y, clm_choice *choice) {
    turn *t = user;
    clm_choice all[CLM_CHOICES_MOST];
    int n = clm_choice_list(l, y, all), rank = 0;
    for (int i = 0; i < n; i++) {
        bool first = true;
        for (int k = 0; k < i; k++) first = first && all[k].impl != all[i].impl;
        if (!first || rank++ != t->rank) continue;
        *choice = all[i];
        return t->met = true;
    }
    return false;
}

static char **references;
static int reference_count;

static void rest_programs(clm_device *d) {
    for (int i = 0; i < reference_count; i++) reference_programs(d, references[i]);
    operation_programs(d);
}

static void whole_programs(clm_device *d) {
    trained_programs(d);
    rest_programs(d);
}

/* By every implementation in turn. */
static void by_all(clm_device *d, void (*programs)(clm_device *d)) {
    turn t = {0};
    do {
        t.met = false;
        clm_choice_force(d, take_turn, &t);
        programs(d);
        t.rank++;
    } while (t.met && t.rank < IMPLEMENTATIONS);
    clm_choice_force(d, NULL, NULL);
}

/* ---- writing ---- */

static void write_one(recorder *r, size_t i) {
    const clm_cl_program *p = &r->cl.programs[i];
    char *whole = NULL, *options = clm_cl_options(&r->cl, p->defines);
    NEED(options ? clm_cl_compose(p->text, r->file[i], &whole) : CLM_E_MEMORY);
    NEED(clm_cl_dump(whole, options));
    free(options);
    free(whole);
}

static void write_joined(recorder *r, const clm_cl_member *members, size_t n) {
    char *whole = NULL, *options = clm_cl_options(&r->cl, "");
    if (n) {
        NEED(options ? clm_cl_join(&r->cl, members, n, &whole) : CLM_E_MEMORY);
        NEED(clm_cl_dump(whole, options));
    }
    free(options);
    free(whole);
}

/* The texts of devices before this one, by their hashes. */
static struct {
    uint64_t *hash;
    size_t count;
} known;

static bool is_known(const clm_cl_program *p) {
    size_t i = 0;
    while (i < known.count && known.hash[i] != p->hash) i++;
    return i < known.count;
}

static void know(const recorder *r) {
    uint64_t *more = realloc(known.hash, (known.count + r->cl.program_count) * sizeof *more);
    NEED(more ? CLM_OK : CLM_E_MEMORY);
    known.hash = more;
    for (size_t i = 0; i < r->cl.program_count; i++) more[known.count++] = r->cl.programs[i].hash;
}

static bool is_generated(const recorder *r, size_t i) { return !strcmp(r->file[i], "generated"); }

/* Those of the texts from number `from` on that are, or are not, generated, with `own` only those that are not known: each in the group that its hash says, so that a text that
 * is new or gone changes one group and what compilers made of the others still holds. */
static void write_groups(recorder *r, size_t from, bool generated, bool own) {
    clm_cl_member members[GROUP_MOST];
    size_t count = 0, groups = 1;
    for (size_t i = from; i < r->cl.program_count; i++)
        count += is_generated(r, i) == generated && !(own && is_known(&r->cl.programs[i]));
    while (count / (2 * groups) >= (count > MANY ? 2 * GROUP_LEAST : GROUP_LEAST)) groups *= 2;
    for (size_t g = 0; g < groups; g++) {
        size_t n = 0;
        for (size_t i = from; i < r->cl.program_count; i++) {
            const clm_cl_program *p = &r->cl.programs[i];
            if (is_generated(r, i) != generated || p->hash % groups != g || (own && is_known(p))) continue;
            members[n++] = clm_cl_member_of(p->text, p->defines);
            if (n < GROUP_MOST) continue;
            write_joined(r, members, n);
            n = 0;
        }
        write_joined(r, members, n);
    }
}

/* The texts from number `from` on. */
static void write_texts(recorder *r, size_t from, const char *directory) {
    char *path = clm_path_join(directory, "kernels.txt");
    for (size_t i = from; i < r->cl.program_count; i++) write_one(r, i);
    for (int generated = 0; generated < 2; generated++) write_groups(r, from, generated, false);
    NEED(r->index.failed || !path ? CLM_E_MEMORY : clm_file_write(path, r->index.data, strlen(r->index.data)));
    free(path);
}

static const clm_device_info discrete = {.type = CLM_DEVICE_GPU,
                                         .name = "a discrete GPU",
                                         .compute_units = 64,
                                         .clock_mhz = 1800,
                                         .global_memory = (uint64_t)16 << 30,
                                         .max_allocation = (uint64_t)4 << 30,
                                         .local_memory = 64 << 10,
                                         .dedicated_local_memory = true,
                                         .max_work_group_size = 256,
                                         .float_vector_width = 1,
                                         .base_alignment_bits = 2048,
                                         .available = true,
                                         .address_bits = 64};
static const clm_device_info integrated = {.type = CLM_DEVICE_GPU,
                                           .name = "an integrated GPU",
                                           .compute_units = 16,
                                           .clock_mhz = 1000,
                                           .global_memory = (uint64_t)6 << 30,
                                           .max_allocation = (uint64_t)1 << 30,
                                           .local_memory = 32 << 10,
                                           .dedicated_local_memory = true,
                                           .max_work_group_size = 256,
                                           .float_vector_width = 4,
                                           .base_alignment_bits = 1024,
                                           .unified_memory = true,
                                           .available = true,
                                           .address_bits = 64};
static const clm_device_info cpu = {.type = CLM_DEVICE_CPU,
                                    .name = "a CPU",
                                    .compute_units = 8,
                                    .clock_mhz = 3000,
                                    .global_memory = (uint64_t)16 << 30,
                                    .max_allocation = (uint64_t)4 << 30,
                                    .local_memory = 32 << 10,
                                    .max_work_group_size = 4096,
                                    .float_vector_width = 8,
                                    .base_alignment_bits = 1024,
                                    .unified_memory = true,
                                    .available = true,
                                    .address_bits = 64};

/* From now on, texts are written into this folder. */
static char *open_folder(const char *directory, const char *name) {
    char *path = clm_path_join(directory, name);
    NEED(path && setenv("CLMAML_DUMP_KERNELS", path, 1) == 0 ? CLM_OK : CLM_E_MEMORY);
    NEED(clm_directory_make(path));
    return path;
}

static void write_own(recorder *r, size_t from, const char *directory, const char *name) {
    free(open_folder(directory, name));
    for (int generated = 0; generated < 2; generated++) write_groups(r, from, generated, true);
}

typedef struct folder {
    const char *name;
    void (*programs)(clm_device *d);
    bool by_all;     /* implementations in turn */
    bool asked;      /* only with --candidates */
    const char *own; /* the folder of those that are not known */
} folder;

static const struct {
    const clm_device_info *info;
    bool few_registers;
    folder folders[3];
} devices[] = {
    {&discrete,
     false,
     {{"discrete", trained_programs, true, false, NULL},
      {"rest", rest_programs, true, false, NULL},
      {"discrete-candidates", candidate_programs, false, true, NULL}}},
    {&discrete, true, {{"arc", trained_programs, true, true, NULL}, {"arc-candidates", candidate_programs, false, true, NULL}}},
    {&integrated,
     true,
     {{"integrated", trained_programs, true, false, "integrated-own"},
      {"integrated-candidates", candidate_programs, false, true, NULL}}},
    {&cpu, false, {{"cpu", whole_programs, true, false, NULL}}},
};

static void write_folder(recorder *r, const folder *f, const char *directory) {
    const size_t before = r->cl.program_count;
    char *path = open_folder(directory, f->name);
    clm_text_free(&r->index);
    r->index = (clm_text){0};
    if (f->by_all)
        by_all(&r->cl.base, f->programs);
    else
        f->programs(&r->cl.base);
    write_texts(r, before, path);
    printf("%s: %zu program texts\n", f->name, r->cl.program_count - before);
    if (f->own) write_own(r, before, directory, f->own);
    free(path);
}

int main(int argc, char **argv) {
    const bool candidates = argc > 2 && !strcmp(argv[2], "--candidates");
    if (argc < 3 + candidates) {
        fprintf(stderr, "usage: %s DIR [--candidates] REFERENCE.safetensors..\n", argv[0]);
        return 2;
    }
    references = argv + 2 + candidates;
    reference_count = argc - 2 - candidates;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        recorder r = recorder_make();
        r.where = where;
        r.cl.base.info = *devices[i].info;
        r.cl.base.few_registers = devices[i].few_registers;
        for (size_t k = 0; k < 3 && devices[i].folders[k].name; k++)
            if (candidates || !devices[i].folders[k].asked) write_folder(&r, &devices[i].folders[k], argv[1]);
        if (i == 0) know(&r); /* discrete, which is compiled wherever integrated-own is */
        recorder_free(&r);
    }
    free(known.hash);
    return 0;
}
