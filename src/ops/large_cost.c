/* When CLBlast's kernel for large products is the default of GPUs: a model of its cost beside that of our kernels, in
 * multiply-adds that a compute unit makes, for one of many tasks.
 *
 *   ours     m n k batch / units * clm_tiled_cost                      the device busy with all tasks
 *   theirs   batch * (rounds * m' n' k' / SHARE + 8 BYTE (m k + k n + m n) / units + LAUNCHES * LAUNCH + HOST)
 *            + 8 BYTE patches / units
 *
 * with m' n' the tile of a group, k' the depth rounded up, and rounds the groups of the busiest unit: its products are calls of
 * their own, one after the other. Copies of A and B and that of C back are read and written, by launches of their own. The host
 * makes a cl_kernel for each launch; that it may do so while the device is busy with what came before is not counted.
 *
 * SHARE is the part of the device's peak that large products reach. It was measured on one card of one vendor with the tile
 * that CLBlast's data base has for that generation: 6.79 TFLOP/s of 7.47 on a GeForce RTX 2070, n = 4096, tile 128 x 128
 * (lighthouseprep.net/rtx2070.html). A device that the data base does not know gets a smaller tile, and other vendors' cards
 * are known for less: "something above 50 % should be attainable" (CLBlast's author, issue 403). What has been measured for
 * these shapes on this device (clmaml tune) is taken before the model. */
#include <string.h>

#include "base/integers.h"
#include "ops/product.h"

static const struct {
    const char *vendor; /* part of its name */
    int tile;           /* along m and n, at least */
    double share;
} published[] = {{"NVIDIA", 128, 0.9}, {"", 0, 0.5}};

static const double BYTE =
    12; /* multiply-adds in the time of a byte: 8 to 16 by the data sheets of RTX 2070, RX 6800, Iris Xe */
static const double LAUNCH = 500e3;    /* as in tiled.c: some 5 microseconds */
static const double LAUNCHES = 4;      /* copies of A and B, the product, C back */
static const double HOST = 20 * 500e3; /* of one call: some 100 microseconds */
static const double PAYS = 1.1, WORTH_TRYING = 0.6;

static double share_of(const clm_device_info *d, const int tile[3]) {
    size_t i = 0;
    while (published[i].vendor[0] &&
           (!strstr(d->vendor, published[i].vendor) || clm_least(tile[0], tile[1]) < published[i].tile))
        i++;
    return published[i].share;
}

double clm_large_gain_for(const clm_device_info *d, const int tile[3], double ours, const clm_product_sizes *s) {
    const double units = clm_most(1, (int)d->compute_units);
    const double useful = (double)s->m * s->n * s->k * s->batch;
    const double groups = (double)clm_over(s->m, tile[0]) * clm_over(s->n, tile[1]);
    const double rounds = (double)(long)((groups + units - 1) / units);
    const double group = (double)tile[0] * tile[1] * clm_rounded(s->k, tile[2]);
    const double elements = (double)s->m * s->k + (double)s->k * s->n + (double)s->m * s->n;
    const double one = rounds * group / share_of(d, tile) + 8 * BYTE * elements / units + LAUNCHES * LAUNCH + HOST;
    return useful / units * ours / (s->batch * one + 8 * BYTE * s->patches / units);
}

double clm_large_gain(const clm_lower *l, clm_value y, const clm_product_sizes *s) {
    int tile[3];
    const double room = sizeof(float) * ((double)clm_large_product_room(s->m, s->n, s->k) + s->patches);
    if (!clm_large_product_tile(clm_lower_opened(l), tile)) return 0;
    if (room > (double)clm_lower_device(l)->max_allocation / 4) return 0; /* ours need none */
    return clm_large_gain_for(clm_lower_device(l), tile, clm_tiled_cost(l, y), s);
}

bool clm_large_pays(double gain) { return gain >= PAYS; }

bool clm_large_worth_trying(double gain) { return gain >= WORTH_TRYING; }
