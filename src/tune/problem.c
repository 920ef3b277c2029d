/* One operation alone on a device, computed by the choice asked for. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "base/random.h"
#include "tune/internal.h"

/* Random numbers repeat after so many, a prime, which no tile or row is a multiple of. */
enum { PERIOD = 65537 };

static bool choose(void *user, const clm_lower *l, clm_value y, clm_choice *choice) {
    clm_bench *b = user;
    if (b->count == 0) {
        b->count = clm_choice_list(l, y, b->list);
        clm_choice_key(l, y, b->key, sizeof b->key);
        for (int i = 0; i < b->count; i++)
            if (b->list[i].impl->gain) b->gain = fmax(b->gain, b->list[i].impl->gain(l, y));
    }
    *choice = b->list[b->index < b->count ? b->index : 0];
    return true;
}

static clm_status build_graph(clm_graph **out, const clm_problem *p, clm_value v[3]) {
    CLM_TRY(clm_graph_create(out));
    for (int i = 0; i < 2; i++) v[i] = clm_input(*out, i ? "b" : "a", p->in[i].shape, p->in[i].per_task);
    v[2] = clm_graph_add(*out, p->node.op, v, 2, p->node.shape, &p->node.attr);
    return clm_graph_status(*out);
}

/* A program by choice `index`, not prepared; binds what tensors there are. */
static clm_status create(clm_bench *b, int index, clm_program **out) {
    clm_graph *graph = NULL;
    clm_value v[3];
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    clm_status status = CLM_OK;
    *out = NULL;
    options.tasks = b->problem->tasks;
    b->index = index;
    CLM_GOTO(build_graph(&graph, b->problem, v));
    clm_choice_fn before = b->device->choose;
    void *before_user = b->device->choose_user;
    clm_choice_force(b->device, choose, b);
    status = clm_program_create(out, b->device, graph, &v[2], 1, &options);
    clm_choice_force(b->device, before, before_user);
    for (int i = 0; i < 3 && status == CLM_OK && b->tensor[i]; i++) status = clm_program_bind(*out, v[i], b->tensor[i]);
out:
    clm_graph_free(graph);
    if (status != CLM_OK) {
        clm_program_free(*out);
        *out = NULL;
    }
    return status;
}

static clm_status make_tensor(clm_bench *b, int i, const clm_node *n, clm_random *random) {
    CLM_TRY(clm_tensor_create(&b->tensor[i], b->device, n->shape, n->per_task ? b->problem->tasks : 0));
    const size_t size = clm_tensor_size(b->tensor[i]);
    if (!(b->data[i] = clm_calloc(size + 1, sizeof(float)))) return CLM_E_MEMORY;
    if (!random) return CLM_OK;
    for (size_t k = 0; k < size; k++) b->data[i][k] = k < PERIOD ? (float)clm_random_normal(random) : b->data[i][k - PERIOD];
    return clm_tensor_write(b->tensor[i], b->data[i], size);
}

clm_status clm_bench_open(clm_bench *b, clm_device *device, const clm_problem *problem, bool numbers) {
    clm_random random = clm_random_make((uint64_t)(clm_clock() * 1e9), 0);
    clm_program *program = NULL;
    clm_status status = CLM_OK;
    memset(b, 0, sizeof *b);
    b->device = device;
    b->problem = problem;
    status = create(b, 0, &program); /* asks for the choices, whether or not the first can be lowered */
    if (b->count == 0 && status != CLM_OK) goto out;
    status = CLM_OK;
    if (!numbers) goto out;
    for (int i = 0; i < 2; i++) CLM_GOTO(make_tensor(b, i, &problem->in[i], &random));
    CLM_GOTO(make_tensor(b, 2, &problem->node, NULL));
out:
    clm_program_free(program);
    return status;
}

void clm_bench_close(clm_bench *b) {
    for (int i = 0; i < 3; i++) {
        clm_tensor_free(b->tensor[i]);
        free(b->data[i]);
    }
    free(b->base);
}

clm_status clm_bench_program(clm_bench *b, int index, clm_program **out) {
    CLM_TRY(create(b, index, out));
    clm_status status = clm_program_prepare(*out);
    if (status == CLM_OK) return CLM_OK;
    clm_program_free(*out);
    *out = NULL;
    return status;
}

clm_status clm_bench_run(clm_bench *b, clm_program *program) {
    CLM_TRY(clm_tensor_fill(b->tensor[2], NAN));
    CLM_TRY(clm_program_run(program));
    return clm_tensor_read(b->tensor[2], b->data[2], clm_tensor_size(b->tensor[2]));
}
