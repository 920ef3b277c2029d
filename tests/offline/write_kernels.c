/* write_kernels DIR REFERENCE.safetensors..: writes the program texts that GPUs and CPUs would be given, for compilers that are no
 * OpenCL drivers (offline.sh).
 *
 * The device is none (recorder.h). Asked for are the programs of
 *   - the reference files: gradient of both orders, with memory for all steps and without, the update, and evaluation;
 *   - the zoo's models at the sizes that are trained (table below);
 *   - the rows of the tests of operations.
 * Where an operation has several implementations, each is asked for with its first candidate.
 *
 * Written to DIR/gpu and DIR/cpu: every text once by itself (NAME-HASH.cl), all texts joined by sixteen (joined-HASH.cl) as drivers get
 * them, and kernels.txt, a line for each: the kernel's name in the joined text, and where the first launch of it was met.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "clmaml/meta.h"
#include "offline/recorder.h"
#include "ops/choice.h"
#include "support/op_instance.h"
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

enum { JOINED = 16, IMPLEMENTATIONS = 8 };

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

static void trained_programs(clm_device *d) {
    for (size_t i = 0; i < sizeof trained / sizeof *trained; i++) {
        clm_model *model = NULL;
        clm_meta_options options = CLM_META_OPTIONS_INIT;
        snprintf(where, sizeof where, "%s", trained[i].name);
        NEED(clm_model_conv4(&model, &trained[i].network));
        options.tasks = trained[i].tasks;
        options.task.support = trained[i].network.ways * trained[i].shots;
        options.task.query = trained[i].network.ways * trained[i].query;
        options.task.steps = trained[i].steps;
        meta_variants(d, model, options);
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

/* References and operations are for the first device of a kind; on another of the same kind, hardly anything differs. */
static void all_programs(clm_device *d, char **references, int count, bool first) {
    turn t = {0};
    do {
        t.met = false;
        clm_choice_force(d, take_turn, &t);
        trained_programs(d);
        for (int i = 0; first && i < count; i++) reference_programs(d, references[i]);
        if (first) operation_programs(d);
        t.rank++;
    } while (t.met && t.rank < IMPLEMENTATIONS);
    clm_choice_force(d, NULL, NULL);
}

/* ---- writing ---- */

static void write_texts(recorder *r, const char *directory) {
    clm_cl_member members[JOINED];
    char *whole = NULL, *path = clm_path_join(directory, "kernels.txt");
    size_t n = 0;
    for (size_t i = 0; i < r->cl.program_count; i++) {
        const clm_cl_program *p = &r->cl.programs[i];
        char *options = clm_cl_options(&r->cl, p->defines);
        NEED(options ? clm_cl_compose(p->text, r->file[i], &whole) : CLM_E_MEMORY);
        NEED(clm_cl_dump(whole, options));
        free(options);
        free(whole);
        members[n++] = clm_cl_member_of(p->text, p->defines);
        if (n < JOINED && i + 1 < r->cl.program_count) continue;
        options = clm_cl_options(&r->cl, "");
        NEED(options ? clm_cl_join(members, n, &whole) : CLM_E_MEMORY);
        NEED(clm_cl_dump(whole, options));
        free(options);
        free(whole);
        n = 0;
    }
    NEED(r->index.failed || !path ? CLM_E_MEMORY : clm_file_write(path, r->index.data, strlen(r->index.data)));
    free(path);
}

static const struct {
    const char *directory;
    clm_device_info info[2];
} kinds[] = {
    {"gpu",
     {{.type = CLM_DEVICE_GPU,
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
       .address_bits = 64},
      {.type = CLM_DEVICE_GPU,
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
       .address_bits = 64}}},
    {"cpu",
     {{.type = CLM_DEVICE_CPU,
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
       .address_bits = 64}}},
};

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: %s DIR REFERENCE.safetensors..\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        recorder r = recorder_make();
        r.where = where;
        char *directory = clm_path_join(argv[1], kinds[i].directory);
        for (int k = 0; k < 2 && kinds[i].info[k].type == kinds[i].info[0].type; k++) {
            r.cl.base.info = kinds[i].info[k];
            all_programs(&r.cl.base, argv + 2, argc - 2, k == 0);
        }
        if (!directory || setenv("CLMAML_DUMP_KERNELS", directory, 1) != 0) return 1;
        write_texts(&r, directory);
        printf("%s: %zu program texts\n", kinds[i].directory, r.cl.program_count);
        recorder_free(&r);
        free(directory);
    }
    return 0;
}
