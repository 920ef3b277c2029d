/* Images that stay on a device, and the launch that picks examples out of them (kernels/images.cl).
 *
 * One buffer holds the images as the source has them: floats, or bytes with the 256 floats that they stand for before them, of one channel after the other where these differ. For
 * a pick, numbers of images and labels go to a small buffer of its own in one transfer, and one launch makes the examples. All
 * is made when the pick is, nothing when it runs.
 */
#include "program/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "program/internal.h"

enum { VALUES = 256, TURNS = 4, NUMBER = 4 }; /* NUMBER: bytes of one, and of a label */

struct clm_dataset {
    clm_device *device;
    clm_mem *mem;
    size_t count;
    int channels, height, width;
    bool bytes;
    int tables;        /* of values: 1, or one for each channel; 0 for floats */
    clm_dataset *next; /* a copy on a part of the device, and so on */
};

struct clm_pick {
    const clm_dataset *data;
    clm_mem *mem; /* numbers, then labels */
    clm_kernel *kernel;
    size_t tasks, examples; /* of a task */
    size_t size;            /* of an example */
    size_t labels;          /* of an example; 0: none */
    bool last;
    int32_t *staging; /* what goes to `mem` */
};

/* ---- data sets ---- */

static size_t example_size(const clm_images *i) { return (size_t)i->channels * (size_t)i->height * (size_t)i->width; }

static int tables_of(const clm_images *i) { return !i->bytes ? 0 : i->tables > 1 ? i->tables : 1; }

static size_t bytes_for(int tables, size_t pixels) {
    return tables ? (size_t)tables * VALUES * sizeof(float) + pixels : pixels * sizeof(float);
}

size_t clm_dataset_bytes(const clm_images *i) { return bytes_for(tables_of(i), i->count * example_size(i)); }

static size_t elements_of(const clm_device *d, size_t bytes) {
    return (bytes + d->backend->element_size - 1) / d->backend->element_size;
}

bool clm_dataset_fits(const clm_device *d, const clm_images *images, size_t memory) {
    const uint64_t need = elements_of(d, clm_dataset_bytes(images)) * d->backend->element_size;
    uint64_t room = memory;
    if (!room && clm_memory_limit(&room) != CLM_OK) return false;
    if (!room) room = clm_device_room(d, NULL);
    if (d->info.global_memory < room) room = d->info.global_memory;
    return need <= room / 2 && d->allocated <= room && need <= room - d->allocated && need <= d->info.max_allocation;
}

static clm_status check_images(const clm_images *i) {
    if (i->count < 1 || i->count > INT32_MAX / TURNS || i->channels < 1 || i->height < 1 || i->width < 1)
        return clm_fail(CLM_E_ARG, "data set: %zu images of %d x %d x %d: at least 1 each, fewer than 2^29 images", i->count,
                        i->channels, i->height, i->width);
    if ((double)i->channels * i->height * i->width > INT32_MAX / 2)
        return clm_fail(CLM_E_LIMIT, "data set: an image of %d x %d x %d is too large", i->channels, i->height, i->width);
    if (!i->bytes != !i->values || !i->bytes == !i->floats)
        return clm_fail(CLM_E_ARG, "data set: images are either bytes, with the values that these stand for, or floats");
    if (i->tables < 0 || (i->tables > 1 && i->tables != i->channels))
        return clm_fail(CLM_E_ARG, "data set: %d tables of values for %d channels: 1 for all, or one for each", i->tables,
                        i->channels);
    return CLM_OK;
}

static clm_status upload(clm_dataset *data, const clm_images *i) {
    const clm_backend *b = data->device->backend;
    const size_t n = i->count * example_size(i), values = (size_t)tables_of(i) * VALUES * sizeof(float);
    if (!i->bytes) return b->write_bytes(data->device, data->mem, 0, n * sizeof(float), i->floats);
    CLM_TRY(b->write_bytes(data->device, data->mem, 0, values, i->values));
    return b->write_bytes(data->device, data->mem, values, n, i->bytes);
}

clm_status clm_dataset_create(clm_dataset **out, clm_device *device, const clm_images *images) {
    *out = NULL;
    CLM_TRY(check_images(images));
    const size_t bytes = clm_dataset_bytes(images);
    if (bytes > device->info.max_allocation || bytes > device->info.global_memory)
        return clm_fail(
            CLM_E_LIMIT,
            "data set: %zu images of %d x %d x %d take %.1f MiB in one piece, %s allows %.1f MiB: keep them on the host, or "
            "make them smaller",
            images->count, images->channels, images->height, images->width, (double)bytes / 1048576, device->info.name,
            (double)(device->info.max_allocation < device->info.global_memory ? device->info.max_allocation
                                                                              : device->info.global_memory) /
                1048576);
    clm_dataset *data = clm_calloc(1, sizeof *data);
    if (!data) return CLM_E_MEMORY;
    *data = (clm_dataset){.device = device,
                          .count = images->count,
                          .channels = images->channels,
                          .height = images->height,
                          .width = images->width,
                          .bytes = images->bytes != NULL,
                          .tables = tables_of(images)};
    clm_status status = device->backend->alloc(device, elements_of(device, bytes), &data->mem);
    if (status == CLM_OK) status = upload(data, images);
    if (status != CLM_OK) {
        clm_dataset_free(data);
        return clm_fail_in(status, "data set");
    }
    *out = data;
    return CLM_OK;
}

static clm_status copy_to(clm_dataset **out, const clm_dataset *data, clm_device *part) {
    const size_t pixels = data->count * (size_t)data->channels * (size_t)data->height * (size_t)data->width;
    const size_t bytes = bytes_for(data->tables, pixels);
    const size_t elements = elements_of(part, bytes);
    float *all = clm_calloc(elements, sizeof *all);
    clm_dataset *copy = clm_calloc(1, sizeof *copy);
    clm_status status = all && copy ? CLM_OK : CLM_E_MEMORY;
    if (status == CLM_OK) {
        *copy = (clm_dataset){.device = part,
                              .count = data->count,
                              .channels = data->channels,
                              .height = data->height,
                              .width = data->width,
                              .bytes = data->bytes,
                              .tables = data->tables};
        status = part->backend->alloc(part, elements, &copy->mem);
    }
    if (status == CLM_OK) status = data->device->backend->read(data->device, data->mem, 0, elements, all, NULL);
    if (status == CLM_OK) status = part->backend->write_bytes(part, copy->mem, 0, bytes, all);
    free(all);
    if (status == CLM_OK)
        *out = copy;
    else
        clm_dataset_free(copy);
    return status;
}

clm_status clm_dataset_on_sub_device(clm_dataset *data, clm_device *part, const clm_dataset **out) {
    clm_dataset *at = data;
    while (at->device != part && at->next) at = at->next;
    if (at->device != part) CLM_TRY(copy_to(&at->next, data, part));
    *out = at->device == part ? at : at->next;
    return CLM_OK;
}

void clm_dataset_free(clm_dataset *data) {
    if (!data) return;
    clm_dataset_free(data->next);
    if (data->mem) data->device->backend->free(data->device, data->mem);
    free(data);
}

clm_device *clm_dataset_device(const clm_dataset *data) { return data->device; }

clm_status clm_dataset_check_shape(const clm_dataset *data, const clm_shape *shape) {
    char text[80];
    const int own[3] = {data->channels, data->height, data->width};
    bool same = clm_shape_size(shape) == (size_t)own[0] * (size_t)own[1] * (size_t)own[2];
    for (int i = 0; i < 3 && shape->rank == 3; i++) same = same && shape->dim[i] == own[i];
    if (same) return CLM_OK;
    return clm_fail(CLM_E_SHAPE, "data set: its images are [%d, %d, %d], the model takes %s", own[0], own[1], own[2],
                    clm_shape_text(shape, text, sizeof text));
}

/* ---- picking ---- */

/* Of all tasks. */
static size_t examples_of(const clm_tensor *x) { return (size_t)(x->tasks > 0 ? x->tasks : 1) * (size_t)x->shape.dim[0]; }

/* The kernel once more, for the host reference. */
static void pick_host(const clm_launch *launch) {
    const clm_pick *p = launch->context;
    const clm_dataset *d = p->data;
    const size_t h = (size_t)d->height, w = (size_t)d->width, channels = (size_t)d->channels;
    const uint8_t *memory = (const uint8_t *)clm_host_data(d->mem);
    const size_t pixel = d->bytes ? 1 : sizeof(float);
    const uint8_t *images = memory + (size_t)d->tables * VALUES * sizeof(float);
    double *x = clm_host_data(launch->args[0].mem) + launch->args[0].offset;
    for (size_t e = 0; e < p->tasks * p->examples; e++) {
        const size_t image = (size_t)p->staging[e] / TURNS;
        const int turn = p->staging[e] % TURNS;
        for (size_t c = 0; c < channels; c++)
            for (size_t i = 0; i < h; i++)
                for (size_t j = 0; j < w; j++) {
                    const size_t row = turn == 0 ? i : turn == 1 ? j : turn == 2 ? h - 1 - i : h - 1 - j;
                    const size_t column = turn == 0 ? j : turn == 1 ? w - 1 - i : turn == 2 ? w - 1 - j : i;
                    const uint8_t *from = images + (((image * channels + c) * h + row) * w + column) * pixel;
                    float value;
                    memcpy(&value, d->bytes ? memory + (*from + (d->tables > 1 ? c * VALUES : 0)) * sizeof value : from,
                           sizeof value);
                    x[e * p->size + (p->last ? (i * w + j) * channels + c : (c * h + i) * w + j)] = value;
                }
    }
    if (!p->labels) return;
    double *y = clm_host_data(launch->args[1].mem) + launch->args[1].offset;
    const int32_t *labels = p->staging + p->tasks * p->examples;
    for (size_t i = 0; i < p->tasks * p->examples * p->labels; i++) {
        float label;
        memcpy(&label, &labels[i], sizeof label);
        y[i] = label;
    }
}

static void add_memory(clm_launch *l, clm_mem *mem, size_t offset, size_t stride) {
    l->args[l->n_args++] = (clm_arg){.kind = CLM_ARG_MEM, .mem = mem, .offset = offset, .task_stride = stride};
}

static void add_int(clm_launch *l, int i) { l->args[l->n_args++] = (clm_arg){.kind = CLM_ARG_INT, .i = i}; }

/* On a CPU an item makes an example, elsewhere one element of it. */
static void describe(const clm_pick *p, const clm_tensor *x, const clm_tensor *y, char defines[96], clm_launch *l) {
    const clm_dataset *d = p->data;
    const bool serial = d->device->info.type == CLM_DEVICE_CPU;
    const size_t examples = p->tasks * p->examples;
    clm_launch_spec spec = {.file = "images.cl"};
    clm_spec_define(&spec, "BYTES", d->bytes);
    if (d->tables > 1) clm_spec_define(&spec, "TABLES", d->tables);
    clm_spec_define(&spec, "LABELS", (long)p->labels);
    clm_spec_define(&spec, "LAST", p->last);
    memcpy(defines, spec.defines, 96);
    *l = (clm_launch){
        .label = "images", .file = "images.cl", .entry = "images", .defines = defines, .host = pick_host, .context = p};
    l->global[0] = serial ? 1 : p->size;
    l->global[1] = p->examples;
    l->global[2] = p->tasks;
    for (int i = 0; i < 3; i++) l->local[i] = serial ? 1 : 0;
    l->bytes = (double)examples * (double)p->size * (sizeof(float) + (d->bytes ? 1 : sizeof(float)));
    add_memory(l, x->root->mem, x->offset, p->examples * p->size);
    if (y) add_memory(l, y->root->mem, y->offset, p->examples * p->labels);
    if (y) add_memory(l, p->mem, examples, p->examples * p->labels);
    add_memory(l, d->mem, 0, 0);
    add_memory(l, p->mem, 0, p->examples);
    add_int(l, d->channels);
    add_int(l, d->height);
    add_int(l, d->width);
    add_int(l, serial ? (int)p->size : 1);
}

size_t clm_pick_bytes(const clm_tensor *x, const clm_tensor *y) {
    const size_t numbers = examples_of(x) + (y ? clm_tensor_size(y) : 0);
    return elements_of(x->device, numbers * NUMBER) * x->device->backend->element_size;
}

clm_status clm_pick_create(clm_pick **out, const clm_dataset *data, clm_tensor *x, clm_tensor *y, bool last) {
    clm_device *device = data->device;
    const size_t bytes = clm_pick_bytes(x, y);
    clm_launch *launch = clm_calloc(1, sizeof *launch);
    clm_pick *p = *out = clm_calloc(1, sizeof *p);
    clm_status status = CLM_OK;
    char defines[96];
    if (!launch || !p || !(p->staging = clm_calloc(bytes, 1))) CLM_GOTO(CLM_E_MEMORY);
    p->data = data;
    p->tasks = (size_t)(x->tasks > 0 ? x->tasks : 1);
    p->examples = (size_t)x->shape.dim[0];
    p->size = clm_tensor_size(x) / p->tasks / p->examples;
    p->labels = y ? clm_tensor_size(y) / p->tasks / p->examples : 0;
    p->last = last && data->channels > 1;
    CLM_GOTO(device->backend->alloc(device, elements_of(device, bytes), &p->mem));
    describe(p, x, y, defines, launch);
    CLM_GOTO(device->backend->make(device, launch, &p->kernel));
out:
    free(launch);
    if (status == CLM_OK) return CLM_OK;
    clm_pick_free(p);
    *out = NULL;
    return status;
}

void clm_pick_free(clm_pick *p) {
    if (!p) return;
    if (p->kernel) p->data->device->backend->release(p->data->device, p->kernel);
    if (p->mem) p->data->device->backend->free(p->data->device, p->mem);
    free(p->staging);
    free(p);
}

clm_status clm_dataset_check_numbers(const clm_dataset *d, int tasks, const char *what, const int32_t *at, int examples) {
    const bool square = d->height == d->width;
    for (size_t e = 0; e < (size_t)tasks * (size_t)examples; e++) {
        const size_t task = e / (size_t)examples, example = e % (size_t)examples;
        if (at[e] < 0 || (size_t)at[e] / TURNS >= d->count)
            return clm_fail(
                CLM_E_ARG, "task %zu, %s example %zu has the image number %ld; those of the data set's %zu images are 0 to %zu",
                task, what, example, (long)at[e], d->count, TURNS * d->count - 1);
        if (at[e] % TURNS && !square)
            return clm_fail(CLM_E_ARG,
                            "task %zu, %s example %zu has the image number %ld: an image of %d x %d cannot be turned", task,
                            what, example, (long)at[e], d->height, d->width);
    }
    return CLM_OK;
}

clm_status clm_pick_run(clm_pick *p, const int32_t *at, const float *labels) {
    const clm_backend *b = p->data->device->backend;
    const size_t n = p->tasks * p->examples;
    memcpy(p->staging, at, n * NUMBER);
    if (p->labels) memcpy(p->staging + n, labels, n * p->labels * NUMBER);
    CLM_TRY(b->write_bytes(p->data->device, p->mem, 0, n * (1 + p->labels) * NUMBER, p->staging));
    return b->enqueue(p->data->device, p->kernel);
}
