/* Images on the devices of a run.
 *
 * They must not cost a run anything: under CLM_DATA_AUTO they take what the plan leaves, never more than half of the memory, and
 * where there turns out to be less memory than the device says they stay on the host. Results are the same bits either way. */
#include "train/resident.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* For the numbers of images and labels of every program that takes some. */
static size_t numbers(size_t examples) { return 65536 + 32 * examples; }

clm_status clm_resident_open(clm_resident *r, const clm_source *source, clm_data_on data_on) {
    memset(r, 0, sizeof *r);
    r->demanded = data_on == CLM_DATA_DEVICE;
    r->wanted = clm_source_images(source, &r->images) && r->demanded;
    if (data_on == CLM_DATA_HOST) r->images.count = 0;
    if (!r->demanded || r->wanted) return CLM_OK;
    return clm_fail(CLM_E_ARG, "data_on device: %s makes its examples when they are asked for, which is done on the host",
                    clm_source_name(source));
}

/* The device's own and one for each of its parts. */
static size_t places(size_t parts) { return parts > 1 ? 1 + parts : 1; }

size_t clm_resident_reserve(const clm_resident *r, const clm_device *device, size_t examples) {
    const clm_device_info *info = clm_device_get_info(device);
    const size_t units = info->type == CLM_DEVICE_CPU ? info->compute_units : 1;
    const size_t parts = units < CLM_CPU_PARTS_MOST ? units : CLM_CPU_PARTS_MOST;
    return r->demanded ? clm_dataset_bytes(&r->images) * places(parts) + numbers(examples) : 0;
}

size_t clm_resident_bytes(const clm_resident *r, const clm_meta *meta) {
    const size_t parts = (size_t)clm_meta_get_plan(meta).parts;
    return r->wanted ? clm_dataset_bytes(&r->images) * places(parts) : 0;
}

/* Its memory is where the images are already. */
static bool is_host(const clm_device *device) { return clm_device_get_info(device)->type == CLM_DEVICE_HOST; }

void clm_resident_decide(clm_resident *r, const clm_room *rooms, size_t n, size_t examples) {
    if (r->demanded || !r->images.count) return;
    const size_t need = clm_dataset_bytes(&r->images) + numbers(examples);
    r->wanted = true;
    for (size_t i = 0; i < n; i++)
        r->wanted = r->wanted && !rooms[i].divided && !is_host(rooms[i].device) && need <= rooms[i].left &&
                    clm_dataset_fits(rooms[i].device, &r->images, rooms[i].limit);
}

clm_status clm_resident_load(clm_resident *r, const clm_room *rooms, size_t n) {
    if (!r->wanted) return CLM_OK;
    if (!(r->datasets = clm_calloc(n, sizeof *r->datasets))) return CLM_E_MEMORY;
    for (; r->count < n; r->count++) CLM_TRY(clm_dataset_create(&r->datasets[r->count], rooms[r->count].device, &r->images));
    return CLM_OK;
}

void clm_resident_close(clm_resident *r) {
    for (size_t i = 0; i < r->count; i++) clm_dataset_free(r->datasets[i]);
    free(r->datasets);
    r->datasets = NULL;
    r->count = 0;
    r->wanted = false;
}
