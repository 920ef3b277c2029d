/* Images on the devices of a run.
 *
 * They must not cost a run anything: under `auto` they take what the plan leaves, never more than half of the memory, and where there
 * turns out to be less memory than the device says they stay on the host. Results are the same bits either way. */
#include "config/resident.h"

#include <stdlib.h>
#include <string.h>

/* For the numbers of images and labels of every program that takes some. */
static size_t numbers(size_t examples) { return 65536 + 32 * examples; }

clm_status cli_resident_open(cli_resident *r, const clm_source *source, int data_on) {
    memset(r, 0, sizeof *r);
    r->demanded = data_on == CLI_DATA_DEVICE;
    r->wanted = clm_source_images(source, &r->images) && r->demanded;
    if (data_on == CLI_DATA_HOST) r->images.count = 0;
    if (!r->demanded || r->wanted) return CLM_OK;
    return cli_usage("--data-on device: %s makes its examples when they are asked for, which is done on the host; leave it out",
                     clm_source_name(source));
}

/* The device's own and one for each of its parts. */
static size_t places(size_t parts) { return parts > 1 ? 1 + parts : 1; }

size_t cli_resident_reserve(const cli_resident *r, const clm_device *device, size_t examples) {
    const clm_device_info *info = clm_device_get_info(device);
    const size_t units = info->type == CLM_DEVICE_CPU ? info->compute_units : 1;
    const size_t parts = units < CLM_CPU_PARTS_MOST ? units : CLM_CPU_PARTS_MOST;
    return r->demanded ? clm_dataset_bytes(&r->images) * places(parts) + numbers(examples) : 0;
}

size_t cli_resident_bytes(const cli_resident *r, const clm_meta *meta) {
    const size_t parts = (size_t)clm_meta_get_plan(meta).parts;
    return r->wanted ? clm_dataset_bytes(&r->images) * places(parts) : 0;
}

void cli_resident_decide(cli_resident *r, const cli_room *rooms, size_t n, size_t examples) {
    if (r->demanded || !r->images.count) return;
    const size_t need = clm_dataset_bytes(&r->images) + numbers(examples);
    r->wanted = true;
    for (size_t i = 0; i < n; i++)
        r->wanted = r->wanted && !rooms[i].divided && need <= rooms[i].left &&
                    clm_dataset_fits(rooms[i].device, &r->images, rooms[i].limit);
}

static clm_status load(cli_resident *r, const cli_room *rooms, size_t n) {
    clm_status status = CLM_OK;
    CLI_NEW(r->datasets, n);
    for (; r->count < n; r->count++) CLI_GOTO(clm_dataset_create(&r->datasets[r->count], rooms[r->count].device, &r->images));
out:
    return status;
}

clm_status cli_resident_load(cli_resident *r, const cli_room *rooms, size_t n) {
    if (!r->wanted) return CLM_OK;
    clm_status status = load(r, rooms, n);
    if (status == CLM_OK) return CLM_OK;
    if (r->demanded) return cli_fail_in(status, "--data-on device");
    cli_note("the images stay on the host: %s", cli_message());
    cli_forget();
    cli_resident_close(r);
    return CLM_OK;
}

void cli_resident_close(cli_resident *r) {
    for (size_t i = 0; i < r->count; i++) clm_dataset_free(r->datasets[i]);
    free(r->datasets);
    r->datasets = NULL;
    r->count = 0;
    r->wanted = false;
}
