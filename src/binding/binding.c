/* Tables of public structures and constants. The compiler fills in types, offsets and sizes; the names are kept by hand, and a
 * test of python/ compares them with the headers. */
#include "clmaml/binding.h"

#include <string.h>

#include "clmaml/clmaml.h"

/* An array decays to a pointer to its elements. No structure listed here has a pointer to elements that may be written. */
#define TYPE(value) \
    _Generic((value), \
        bool: "bool", \
        char: "char", \
        int: "int", \
        unsigned: "unsigned int", \
        long: "long", \
        unsigned long: "unsigned long", \
        long long: "long long", \
        unsigned long long: "unsigned long long", \
        float: "float", \
        double: "double", \
        char *: "char[]", \
        int *: "int[]", \
        unsigned long *: "unsigned long[]", \
        unsigned long long *: "unsigned long long[]", \
        double *: "double[]", \
        const char *: "text", \
        clm_shape: "clm_shape", \
        clm_preparation: "clm_preparation", \
        clm_inner_options: "clm_inner_options", \
        clm_loss_options: "clm_loss_options", \
        clm_task_options: "clm_task_options", \
        clm_optim_options: "clm_optim_options", \
        default: "pointer")

typedef struct field {
    const char *structure, *name, *type;
    size_t offset, size;
} field;
#define FIELD(structure, name) \
    { #structure, #name, TYPE(((structure *)0)->name), offsetof(structure, name), sizeof(((structure *)0)->name) }

static const field fields[] = {
#define F(name) FIELD(clm_shape, name)
    F(rank),
    F(dim),
#undef F
#define F(name) FIELD(clm_param, name)
    F(name),
    F(shape),
    F(inner_shape),
    F(layout),
    F(init),
    F(init_scale),
    F(role),
#undef F
#define F(name) FIELD(clm_conv4_options, name)
    F(version),
    F(filters),
    F(ways),
    F(channels),
    F(size),
    F(strided),
    F(film_context),
    F(headless),
#undef F
#define F(name) FIELD(clm_device_info, name)
    F(type),
    F(platform_index),
    F(device_index),
    F(platform),
    F(name),
    F(vendor),
    F(driver),
    F(version),
    F(compute_units),
    F(clock_mhz),
    F(global_memory),
    F(max_allocation),
    F(local_memory),
    F(max_work_group_size),
    F(float_vector_width),
    F(base_alignment_bits),
    F(fp64),
    F(fp16),
    F(unified_memory),
    F(available),
    F(chosen),
    F(images),
    F(address_bits),
    F(cache),
    F(dedicated_local_memory),
#undef F
#define F(name) FIELD(clm_preparation, name)
    F(size),
    F(channels),
    F(fit),
    F(invert),
    F(background),
    F(mean),
    F(deviation),
#undef F
#define F(name) FIELD(clm_omniglot_options, name)
    F(version),
    F(size),
    F(split),
    F(split_seed),
    F(rotations),
    F(test_rotations),
    F(within_alphabet),
    F(threads),
    F(progress),
    F(context),
#undef F
#define F(name) FIELD(clm_folder_options, name)
    F(version),
    F(size),
    F(channels),
    F(fit),
    F(invert),
    F(background),
    F(normalise),
    F(class_split),
    F(least_classes),
    F(split_seed),
    F(class_depth),
    F(strict),
    F(threads),
    F(progress),
    F(context),
#undef F
#define F(name) FIELD(clm_table_options, name)
    F(version),
    F(task_column),
    F(targets),
    F(n_targets),
    F(features),
    F(n_features),
    F(ignore),
    F(n_ignore),
    F(categorical),
    F(n_categorical),
    F(time_column),
    F(labels),
    F(missing),
    F(standardise),
    F(window),
    F(channels_first),
    F(horizon),
    F(task_split),
    F(split_seed),
    F(least),
    F(strict),
#undef F
#define F(name) FIELD(clm_inner_options, name)
    F(rule),
    F(momentum),
    F(beta1),
    F(beta2),
    F(decay),
    F(eps),
    F(eps_root),
    F(weight_decay),
    F(clip_value),
    F(clip_norm),
#undef F
#define F(name) FIELD(clm_loss_options, name)
    F(name),
    F(reduction),
    F(label_smoothing),
    F(class_weights),
    F(delta),
    F(function),
    F(user),
    F(target_shape),
#undef F
#define F(name) FIELD(clm_task_options, name)
    F(version),
    F(algorithm),
    F(support),
    F(query),
    F(steps),
    F(inner_lr),
    F(inner),
    F(loss),
    F(first_order),
    F(rates),
    F(step_weights),
    F(adapt),
    F(n_adapt),
    F(freeze),
    F(n_freeze),
    F(unlearned),
    F(n_unlearned),
    F(support_per_step),
    F(batch_norm_per_step),
    F(ways),
    F(proximal),
    F(solver),
    F(solver_steps),
    F(uneven),
#undef F
#define F(name) FIELD(clm_optim_options, name)
    F(version),
    F(rule),
    F(lr),
    F(momentum),
    F(beta1),
    F(beta2),
    F(decay),
    F(eps),
    F(weight_decay),
    F(clip_kind),
    F(clip),
    F(schedule),
    F(warmup),
    F(schedule_updates),
    F(lr_min),
    F(factor),
    F(average),
#undef F
#define F(name) FIELD(clm_meta_options, name)
    F(version),
    F(tasks),
    F(task),
    F(first_order_until),
    F(both_orders),
    F(checkpointing),
    F(memory_limit),
    F(task_chunk),
    F(keep_adapted),
    F(optim),
    F(initialisations),
    F(comm),
#undef F
#define F(name) FIELD(clm_batch, name)
    F(support_x),
    F(support_y),
    F(query_x),
    F(query_y),
    F(support_at),
    F(query_at),
    F(chosen),
    F(sizes),
#undef F
#define F(name) FIELD(clm_meta_report, name)
    F(support_loss),
    F(query_loss),
    F(support_accuracy),
    F(query_accuracy),
    F(grad_norm),
    F(lr),
#undef F
#define F(name) FIELD(clm_meta_plan, name)
    F(bytes),
    F(checkpointing),
    F(task_chunk),
    F(parts),
    F(reason),
    F(launches),
    F(kernels),
    F(flops),
    F(traffic),
    F(limit),
    F(limit_reason),
#undef F
#define F(name) FIELD(clm_params_info, name)
    F(name),
    F(shape),
    F(size),
    F(learned),
    F(adapted),
    F(per_step),
    F(rate),
#undef F
#define F(name) FIELD(clm_load_options, name)
    F(version),
    F(ways),
    F(support),
    F(query),
    F(steps),
#undef F
#define F(name) FIELD(clm_learner_info, name)
    F(algorithm),
    F(model),
    F(support),
    F(query),
    F(steps),
    F(ways),
    F(outputs),
    F(adapted),
    F(pictures),
    F(preparation),
    F(target),
    F(initialisations),
    F(chosen),
#undef F
};
enum { FIELDS = sizeof fields / sizeof *fields };

static const clm_conv4_options conv4_initial = CLM_CONV4_OPTIONS_INIT;
static const clm_preparation preparation_initial = CLM_PREPARATION_INIT;
static const clm_omniglot_options omniglot_initial = CLM_OMNIGLOT_OPTIONS_INIT;
static const clm_folder_options folder_initial = CLM_FOLDER_OPTIONS_INIT;
static const clm_table_options table_initial = CLM_TABLE_OPTIONS_INIT;
static const clm_inner_options inner_initial = CLM_INNER_OPTIONS_INIT;
static const clm_loss_options loss_initial = CLM_LOSS_OPTIONS_INIT;
static const clm_task_options task_initial = CLM_TASK_OPTIONS_INIT;
static const clm_optim_options optim_initial = CLM_OPTIM_OPTIONS_INIT;
static const clm_meta_options meta_initial = CLM_META_OPTIONS_INIT;
static const clm_load_options load_initial = CLM_LOAD_OPTIONS_INIT;

#define STRUCTURE(name, initial) \
    { #name, sizeof(name), initial }
static const struct structure {
    const char *name;
    size_t size;
    const void *initial;
} structures[] = {
    STRUCTURE(clm_shape, NULL),
    STRUCTURE(clm_param, NULL),
    STRUCTURE(clm_conv4_options, &conv4_initial),
    STRUCTURE(clm_device_info, NULL),
    STRUCTURE(clm_preparation, &preparation_initial),
    STRUCTURE(clm_omniglot_options, &omniglot_initial),
    STRUCTURE(clm_folder_options, &folder_initial),
    STRUCTURE(clm_table_options, &table_initial),
    STRUCTURE(clm_inner_options, &inner_initial),
    STRUCTURE(clm_loss_options, &loss_initial),
    STRUCTURE(clm_task_options, &task_initial),
    STRUCTURE(clm_optim_options, &optim_initial),
    STRUCTURE(clm_meta_options, &meta_initial),
    STRUCTURE(clm_batch, NULL),
    STRUCTURE(clm_meta_report, NULL),
    STRUCTURE(clm_meta_plan, NULL),
    STRUCTURE(clm_params_info, NULL),
    STRUCTURE(clm_load_options, &load_initial),
    STRUCTURE(clm_learner_info, NULL),
};
enum { STRUCTURES = sizeof structures / sizeof *structures };

#define CONSTANT(name) \
    { #name, name }
static const struct constant {
    const char *name;
    int value;
} constants[] = {
#define STATUS(name, text) CONSTANT(CLM_##name),
    CLM_STATUS_LIST(STATUS)
#undef STATUS
        CONSTANT(CLM_MAX_RANK),
    CONSTANT(CLM_DEVICE_HOST),
    CONSTANT(CLM_DEVICE_CPU),
    CONSTANT(CLM_DEVICE_GPU),
    CONSTANT(CLM_DEVICE_ACCELERATOR),
    CONSTANT(CLM_SPLIT_TRAIN),
    CONSTANT(CLM_SPLIT_VALIDATION),
    CONSTANT(CLM_SPLIT_TEST),
    CONSTANT(CLM_OMNIGLOT_ALPHABETS),
    CONSTANT(CLM_OMNIGLOT_1200),
    CONSTANT(CLM_FIT_STRETCH),
    CONSTANT(CLM_FIT_CROP),
    CONSTANT(CLM_FIT_PAD),
    CONSTANT(CLM_NORMALISE_NONE),
    CONSTANT(CLM_NORMALISE_IMAGENET),
    CONSTANT(CLM_NORMALISE_DATASET),
    CONSTANT(CLM_MISSING_REFUSE),
    CONSTANT(CLM_MISSING_MEAN),
    CONSTANT(CLM_MISSING_DROP),
    CONSTANT(CLM_REDUCE_MEAN),
    CONSTANT(CLM_REDUCE_SUM),
    CONSTANT(CLM_REDUCE_NONE),
    CONSTANT(CLM_RATES_FIXED),
    CONSTANT(CLM_RATES_PER_STEP),
    CONSTANT(CLM_RATES_PER_ELEMENT),
    CONSTANT(CLM_SOLVER_CG),
    CONSTANT(CLM_SOLVER_NEUMANN),
    CONSTANT(CLM_CLIP_NONE),
    CONSTANT(CLM_CLIP_VALUE),
    CONSTANT(CLM_CLIP_NORM),
    CONSTANT(CLM_CHECKPOINT_AUTO),
    CONSTANT(CLM_CHECKPOINT_STORE),
    CONSTANT(CLM_CHECKPOINT_RECOMPUTE),
    CONSTANT(CLM_Q_SUPPORT_LOSS),
    CONSTANT(CLM_Q_QUERY_LOSS),
    CONSTANT(CLM_Q_QUERY_LOGITS),
    CONSTANT(CLM_Q_SUPPORT_ACCURACY),
    CONSTANT(CLM_Q_QUERY_ACCURACY),
    CONSTANT(CLM_Q_ADAPTED),
    CONSTANT(CLM_Q_GRAD),
    CONSTANT(CLM_Q_RATE_GRAD),
};
enum { CONSTANTS = sizeof constants / sizeof *constants };

bool clm_binding_structure_at(size_t index, const char **name, size_t *size, const void **initial) {
    if (index >= STRUCTURES) return false;
    *name = structures[index].name;
    *size = structures[index].size;
    *initial = structures[index].initial;
    return true;
}

bool clm_binding_field_at(const char *structure, size_t index, const char **name, const char **type, size_t *offset,
                          size_t *size) {
    for (size_t i = 0; i < FIELDS; i++) {
        if (strcmp(fields[i].structure, structure) != 0 || index-- > 0) continue;
        *name = fields[i].name;
        *type = fields[i].type;
        *offset = fields[i].offset;
        *size = fields[i].size;
        return true;
    }
    return false;
}

bool clm_binding_constant_at(size_t index, const char **name, int *value) {
    if (index >= CONSTANTS) return false;
    *name = constants[index].name;
    *value = constants[index].value;
    return true;
}
