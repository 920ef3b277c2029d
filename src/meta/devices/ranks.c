/* A meta-batch on several processes, the ranks of a communicator.
 *
 * Every rank computes the gradients of its tasks and leaves them apart (clm_exec.apart). They are added up element by element in
 * task order, from 0 and in the precision of the device:
 *   sum = ((0 + g_0) + g_1) + .. + g_{T-1}
 * which is what a device that has all tasks does (kernels/tasks.cl), so that the bits do not depend on who has which. The sum goes
 * along the chain of the ranks in pieces (clm_comm_sum): a rank sends and receives the flat gradient once, however many tasks it
 * has. Rank 0 makes the update, and its parameters go to the others: ranks whose devices round differently would drift apart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "comm/comm.h"
#include "meta/internal.h"
#include "meta/plan/plan.h"

bool clm_ranks_are_there(const clm_meta *meta) { return meta->shares[0]->request.apart; }

/* ---- agreement ---- */

static void describe(const clm_meta *meta, char *text, size_t size) {
    const clm_meta_options *o = &meta->options;
    const clm_optim_options *u = &o->optim;
    snprintf(text, size,
             "version %s\nmodel %016llx\ntask options %016llx\n%d tasks of a meta-batch\ncheckpointing %s\n"
             "first-order gradient beside %d until %llu\noptimiser %s %.17g %.17g %.17g %.17g %.17g %.17g %.17g\n"
             "clip %d %.17g\nschedule %s %llu %llu %.17g %.17g\naverage %.17g\n",
             clm_version(), (unsigned long long)clm_plan_model_hash(meta->shares[0]),
             (unsigned long long)clm_task_hash(&meta->task), o->tasks,
             clm_checkpointing_name(meta->shares[0]->exec.plan.checkpointing), meta->shares[0]->request.both_orders,
             (unsigned long long)o->first_order_until, u->rule, u->lr, u->momentum, u->beta1, u->beta2, u->decay, u->eps,
             u->weight_decay, (int)u->clip_kind, u->clip, u->schedule, (unsigned long long)u->warmup,
             (unsigned long long)u->schedule_updates, u->lr_min, u->factor, u->average);
}

/* The host reference computes in double; where it takes part, so do the sums. */
static clm_status agree_on_width(clm_meta *meta) {
    const int size = clm_comm_size(meta->options.comm);
    char mine = 0;
    for (size_t s = 0; s < meta->n_shares; s++) mine |= !clm_tensor_reads_later(meta->shares[s]->device);
    char *all = clm_calloc((size_t)size, 1);
    if (!all) return CLM_E_MEMORY;
    const clm_status status = clm_comm_all_gather(meta->options.comm, &mine, 1, all);
    for (int r = 0; r < size; r++) meta->wide |= all[r] != 0;
    free(all);
    return status;
}

clm_status clm_ranks_agree(clm_meta *meta) {
    char text[2048];
    if (!clm_ranks_are_there(meta)) return CLM_OK;
    describe(meta, text, sizeof text);
    CLM_TRY(clm_comm_agree(meta->options.comm, "settings", text));
    return agree_on_width(meta);
}

/* ---- the sum ---- */

static void add_floats(float *sum, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) sum[i] += x[i];
}

static void add_doubles(double *sum, const double *x, size_t n) {
    for (size_t i = 0; i < n; i++) sum[i] += x[i];
}

static void add_widened(double *sum, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) sum[i] += (double)x[i];
}

/* `n` numbers of a share's tasks, from number `at` of them on. */
static void add_some(const clm_share *m, bool wide, size_t at, size_t n, void *sum) {
    if (!clm_tensor_reads_later(m->device))
        add_doubles(sum, (const double *)m->apart + at, n);
    else if (wide)
        add_widened(sum, (const float *)m->apart + at, n);
    else
        add_floats(sum, (const float *)m->apart + at, n);
}

/* Elements first .. first + n - 1 of a leaf, of all tasks in their order. */
static void add_leaf(const clm_share *m, const clm_leaf *leaf, bool wide, size_t first, size_t n, void *sum) {
    const size_t chunk = (size_t)m->exec.plan.task_chunk, size = clm_shape_size(&leaf->shape), learned = m->task->learned;
    for (size_t t = 0; t < (size_t)m->tasks; t++)
        add_some(m, wide, chunk * (t / chunk * learned + leaf->at) + t % chunk * size + first, n, sum);
}

static void add_own(const void *user, size_t from, size_t n, void *sum) {
    const clm_meta *meta = user;
    const clm_task *t = &meta->task;
    const size_t bytes = meta->wide ? sizeof(double) : sizeof(float);
    for (size_t l = 0; l < t->n_leaves; l++) {
        const clm_leaf *leaf = &t->leaves[l];
        const size_t end = leaf->at + clm_shape_size(&leaf->shape), to = from + n < end ? from + n : end;
        const size_t begin = from > leaf->at ? from : leaf->at;
        if (!leaf->learned || begin >= to) continue;
        for (size_t s = 0; s < meta->n_shares; s++)
            add_leaf(meta->shares[s], leaf, meta->wide, begin - leaf->at, to - begin, (char *)sum + (begin - from) * bytes);
    }
}

/* In the precision that ranks exchange. */
static clm_status write(const clm_meta *meta, clm_tensor *to, size_t n) {
    return meta->wide ? clm_tensor_write_f64(to, meta->total, n) : clm_tensor_write(to, meta->total, n);
}

static clm_status read(const clm_meta *meta, clm_tensor *from, size_t n) {
    return meta->wide ? clm_tensor_read_f64(from, meta->total, n) : clm_tensor_read(from, meta->total, n);
}

clm_status clm_ranks_add_up(clm_meta *meta, bool all) {
    clm_comm *comm = meta->options.comm;
    const size_t n = meta->task.learned, bytes = meta->wide ? sizeof(double) : sizeof(float);
    CLM_TRY(clm_comm_sum(comm, meta->total, n, bytes, add_own, meta));
    if (all) CLM_TRY(clm_comm_broadcast(comm, meta->total, n * bytes));
    meta->summed = all || clm_comm_rank(comm) == 0;
    return meta->summed ? write(meta, meta->shares[0]->grad, n) : CLM_OK;
}

/* ---- results ---- */

clm_status clm_ranks_means(clm_meta *meta, const double *of_tasks, size_t n, double *means) {
    clm_comm *comm = meta->options.comm;
    const int all = meta->options.tasks, size = clm_comm_size(comm), most = (all + size - 1) / size, more = all % size;
    const size_t each = n * (size_t)most;
    clm_status status = CLM_OK;
    double *own = clm_calloc(each, sizeof *own), *total = clm_calloc(each * (size_t)size, sizeof *total);
    if (!own || !total) CLM_GOTO(CLM_E_MEMORY);
    for (size_t i = 0; i < n; i++)
        memcpy(own + i * (size_t)most, of_tasks + i * (size_t)meta->tasks, (size_t)meta->tasks * sizeof *own);
    CLM_GOTO(clm_comm_all_gather(comm, own, each * sizeof *own, total));
    for (size_t i = 0; i < n; i++) {
        means[i] = 0;
        for (int r = 0; r < size; r++)
            for (int t = 0; t < all / size + (r < more); t++)
                means[i] += total[(size_t)r * each + i * (size_t)most + (size_t)t] / (double)all;
    }
out:
    free(own);
    free(total);
    return status;
}

/* ---- parameters ---- */

static clm_status pass(clm_meta *meta, clm_tensor *params) {
    clm_comm *comm = meta->options.comm;
    const size_t n = clm_tensor_size(params), bytes = meta->wide ? sizeof(double) : sizeof(float);
    if (clm_comm_size(comm) == 1) return CLM_OK;
    if (clm_comm_rank(comm) == 0) CLM_TRY(read(meta, params, n));
    CLM_TRY(clm_comm_broadcast(comm, meta->total, n * bytes));
    return clm_comm_rank(comm) == 0 ? CLM_OK : write(meta, params, n);
}

clm_status clm_ranks_pass_on(clm_meta *meta) { return pass(meta, meta->shares[0]->learned); }

static clm_status share_out(clm_meta *meta) {
    CLM_TRY(clm_meta_prepare(meta));
    CLM_TRY(pass(meta, meta->shares[0]->params));
    meta->moved = true;
    return clm_comm_broadcast(meta->options.comm, &meta->optimizer.t, sizeof meta->optimizer.t);
}

clm_status clm_meta_share_out(clm_meta *meta) { CLM_IN_META(meta, share_out(meta)); }
