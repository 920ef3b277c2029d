/* Masks of dropout: 0 or 1 / (1 - rate), from counter-based random numbers.
 *
 * Element e takes word e mod 4 of the block of Philox 4x32-10 (Salmon et al. 2011) whose counter is (e / 4, layer, pass, 0) and
 * whose key is the task's. It is 0 where the word is below rate 2^32. So a mask needs no state, and is the same wherever and however
 * often it is computed: by a forward pass, its adjoint and the tangent of that, by programs that recompute, on any device.
 *
 * The key comes as four floats of 16 bits, which are exact. Attribute: i[0] pass, i[1] layer; f[0] rate. The derivative is 0: masks do
 * not depend on what is differentiated.
 */
#include <string.h>

#include "base/random.h"
#include "ops/op.h"
#include "ops/tile.h"

enum { WORDS = 4, KEY_PARTS = 4 };
static const uint32_t of_keys = 0x64726F70; /* the last word of the counter that makes a key: "drop" */

clm_value clm_dropout_mask(clm_graph *g, clm_value key, clm_shape shape, double rate, int pass, int layer) {
    char text[80];
    if (!clm_graph_valid(g, &key, 1)) return CLM_INVALID;
    const clm_shape s = clm_value_shape(g, key);
    if (s.rank != 1 || s.dim[0] != KEY_PARTS)
        return clm_graph_error(g, CLM_E_SHAPE, "dropout_mask: the key has shape %s, must be [%d]; clm_dropout_key makes one",
                               clm_shape_text(&s, text, sizeof text), KEY_PARTS);
    if (!(rate >= 0 && rate < 1))
        return clm_graph_error(g, CLM_E_ARG, "dropout_mask: the rate is %g; it must be at least 0 and below 1", rate);
    if (pass < 0 || layer < 0)
        return clm_graph_error(g, CLM_E_ARG, "dropout_mask: pass %d and layer %d; both must be at least 0", pass, layer);
    if (rate == 0) return clm_fill(g, shape, 1);
    return clm_graph_add(g, CLM_OP_DROPOUT_MASK, &key, 1, shape, &(clm_attr){.i = {pass, layer}, .f = {rate, 0}});
}

void clm_dropout_key(uint64_t seed, uint64_t iteration, uint32_t task, float key[KEY_PARTS]) {
    uint32_t c[WORDS] = {(uint32_t)iteration, (uint32_t)(iteration >> 32), task, of_keys};
    clm_random_block(c, seed);
    for (int i = 0; i < KEY_PARTS; i++) key[i] = (float)((c[i / 2] >> 16 * (i % 2)) & 0xFFFF);
}

/* Words below it are dropped. */
static uint32_t threshold_of(const clm_node *n) { return (uint32_t)(n->attr.f[0] * 0x1p32); }

static double kept_of(const clm_node *n) { return 1 / (1 - n->attr.f[0]); }

static uint64_t key_of(const double *parts) {
    uint64_t key = 0;
    for (int i = 0; i < KEY_PARTS; i++) key |= (uint64_t)(uint32_t)parts[i] << 16 * i;
    return key;
}

static void dropout_mask_eval(const clm_eval *e) {
    const clm_node *n = e->node;
    const size_t size = clm_shape_size(&n->shape);
    const uint32_t threshold = threshold_of(n);
    const uint64_t key = key_of(e->in[0]);
    for (size_t at = 0; at < size; at += WORDS) {
        uint32_t c[WORDS] = {(uint32_t)(at / WORDS), (uint32_t)n->attr.i[1], (uint32_t)n->attr.i[0], 0};
        clm_random_block(c, key);
        for (size_t w = 0; w < WORDS && at + w < size; w++) e->out[at + w] = c[w] < threshold ? 0 : kept_of(n);
    }
}

static int bits_of(float v) {
    int32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static int bits_of_word(uint32_t v) {
    int32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* An item takes ROWS blocks of four elements. Pass, layer and rate are arguments, so that masks of a size share a kernel. */
static clm_status dropout_mask_lower(struct clm_lower *l, clm_value y) {
    const clm_node *n = clm_node_at(clm_lower_graph(l), y);
    const int tasks = clm_lower_tasks(l, y), size = (int)clm_shape_size(&n->shape), blocks = (size - 1) / WORDS + 1;
    const int per_item = clm_tile_rows(l, blocks, 60, tasks);
    clm_launch_spec spec = {.file = "dropout.cl", .entry = "dropout_mask"};
    const int ints[] = {n->attr.i[0], n->attr.i[1], bits_of_word(threshold_of(n)), bits_of((float)kept_of(n))};
    clm_spec_define(&spec, "SIZE", size);
    clm_spec_define(&spec, "BLOCKS", blocks);
    clm_spec_define(&spec, "ROWS", per_item);
    clm_tile_global(l, &spec, (size_t)(blocks - 1) / (size_t)per_item + 1, tasks);
    spec.bytes = 4.0 * tasks * size;
    return clm_lower_launch(l, y, &spec, (clm_value[]){n->in[0], y}, 2, ints, 4);
}

const clm_op clm_row_dropout_mask = {
    .name = "dropout_mask", .flags = CLM_OPF_CONSTANT, .n_in = 1, .eval = dropout_mask_eval, .lower = dropout_mask_lower};
