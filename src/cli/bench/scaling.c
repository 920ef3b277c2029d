/* `clmaml bench --scaling`: meta-steps on the first 1, 2, 4, .. ranks of those that a launcher has started, once with one meta-batch for any
 * number of ranks, once with as many tasks on each; and how much of their time ranks spend in sending, receiving and waiting for each other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/ranks.h"
#include "base/system.h"
#include "bench/bench.h"
#include "selftest/first_use.h"

typedef struct scaling {
    const bench_item *item;
    const bench_settings *settings;
    clm_device *device;
    json_t *rows;
    double alone; /* milliseconds of a step on one rank, of the meta-batch at hand */
} scaling;

/* Of a step on some ranks. */
typedef struct figure {
    double ms, communication; /* communication: of the ranks' time */
    size_t elements;          /* of the flat vector of parameters */
} figure;

static clm_batch part_of(const bench_problem *p, int first) {
    const float *at[4];
    for (int i = 0; i < 4; i++) at[i] = p->data[i] + p->count[i] / (size_t)p->item.tasks * (size_t)first;
    return (clm_batch){.support_x = at[0], .support_y = at[1], .query_x = at[2], .query_y = at[3]};
}

static clm_status time_steps(clm_meta *meta, const clm_batch *batch, clm_comm *comm, int64_t rounds, figure *out) {
    clm_status status = CLM_OK;
    bench_times *times = NULL;
    double *waited = NULL, sum = 0;
    int burst = 0;
    CLI_NEW(times, 1);
    CLI_NEW(waited, clm_comm_size(comm));
    CLI_GOTO(clm_meta_step(meta, batch, NULL)); /* not counted, as the next: memory is touched, clocks rise */
    double began = cli_clock();
    CLI_GOTO(clm_meta_step(meta, batch, NULL));
    burst = bench_burst((cli_clock() - began) * 1e3);
    CLI_GOTO(clm_comm_broadcast(comm, &burst, sizeof burst));
    const double before = clm_comm_seconds(comm), start = cli_clock();
    for (int64_t i = 0; i < rounds * burst; i++) {
        began = cli_clock();
        CLI_GOTO(clm_meta_step(meta, batch, NULL));
        bench_times_add(times, (cli_clock() - began) * 1e3);
    }
    const double share = (clm_comm_seconds(comm) - before) / (cli_clock() - start);
    CLI_GOTO(clm_comm_all_gather(comm, &share, sizeof share, waited));
    for (int r = 0; r < clm_comm_size(comm); r++) sum += waited[r];
    out->communication = sum / clm_comm_size(comm);
    out->ms = bench_times_median(times);
out:
    free(times);
    free(waited);
    return status;
}

static size_t elements_of(const clm_model *model) {
    size_t n = 0;
    for (size_t i = 0; i < clm_model_param_count(model); i++) n += clm_shape_size(&clm_model_param(model, i)->shape);
    return n;
}

/* On the ranks of `comm`. */
static clm_status measure(const scaling *s, clm_comm *comm, int tasks, figure *out) {
    bench_settings settings = *s->settings;
    bench_problem problem = {0};
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    clm_meta *meta = NULL;
    clm_status status = CLM_OK;
    int first, own;
    char ready = 0;
    settings.tasks = tasks;
    CLI_GOTO(bench_problem_make(&problem, s->item, &settings));
    bench_problem_options(&problem, &o);
    o.memory_limit = (size_t)settings.memory_limit;
    o.checkpointing = (clm_checkpointing)settings.checkpointing;
    o.comm = comm;
    clm_comm_share(comm, tasks, &first, &own);
    CLI_GOTO(clm_meta_create(&meta, s->device, problem.model, &o));
    CLI_GOTO(clm_meta_prepare(meta));
    CLI_GOTO(clm_comm_broadcast(comm, &ready, sizeof ready)); /* all begin together */
    const clm_batch batch = part_of(&problem, first);
    CLI_GOTO(time_steps(meta, &batch, comm, settings.rounds, out));
    out->elements = elements_of(problem.model);
out:
    clm_meta_free(meta);
    bench_problem_free(&problem);
    return status;
}

/* efficiency: how much of `ranks` times the speed of one rank is reached. */
static clm_status report(scaling *s, bool grows, int ranks, int tasks, const figure *f) {
    if (!cli_ranks_lead()) return CLM_OK;
    if (ranks == 1) s->alone = f->ms;
    const double efficiency = grows ? s->alone / f->ms : s->alone / (f->ms * ranks);
    printf("%-18s %-7s %5d %6d %11.3f %10.1f %9.1f %% %11.1f %%\n", s->item->name, grows ? "grows" : "stays", ranks, tasks,
           f->ms, 1e3 * tasks / f->ms, 100 * efficiency, 100 * f->communication);
    fflush(stdout);
    json_t *row = json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:f, s:I}", "item", s->item->name, "meta_batch",
                            grows ? "grows" : "stays", "ranks", ranks, "tasks", tasks, "ms", f->ms, "efficiency", efficiency,
                            "communication", f->communication, "parameters", (json_int_t)f->elements);
    return json_array_append_new(s->rows, row) == 0 ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

static clm_status on_first(scaling *s, bool grows, int ranks) {
    const int all = s->settings->tasks ? (int)s->settings->tasks : s->item->tasks, size = clm_comm_size(cli_ranks());
    const int tasks = grows ? ranks * (all / size) : all;
    clm_comm *comm = NULL;
    figure f = {0};
    CLI_TRY(clm_comm_create_first(&comm, cli_ranks(), ranks));
    clm_status status = comm ? measure(s, comm, tasks, &f) : CLM_OK;
    clm_comm_free(comm);
    CLI_TRY(status);
    CLI_TRY(cli_ranks_meet()); /* the others wait until these are done */
    return report(s, grows, ranks, tasks, &f);
}

static clm_status scale(scaling *s) {
    const int size = clm_comm_size(cli_ranks()), tasks = s->settings->tasks ? (int)s->settings->tasks : s->item->tasks;
    if (s->item->learner) return cli_usage("%s has no meta-steps to be shared out", s->item->name);
    if (tasks < size)
        return cli_usage("%s has %d tasks for %d ranks: start as many as there are tasks at most, or say --tasks",
                         s->item->name, tasks, size);
    for (int grows = 0; grows < 2; grows++)
        for (int ranks = 1; ranks <= size; ranks = ranks < size && 2 * ranks > size ? size : 2 * ranks)
            CLI_TRY(on_first(s, grows, ranks));
    return CLM_OK;
}

static clm_status write_rows(const scaling *s) {
    if (!s->settings->json[0] || !cli_ranks_lead()) return CLM_OK;
    json_t *root = json_pack("{s:s, s:s, s:O}", "clmaml", clm_version(), "device", clm_device_get_info(s->device)->name,
                             "scaling", s->rows);
    char *text = cli_json_text(root, JSON_INDENT(1) | JSON_REAL_PRECISION(8));
    clm_status status = text ? cli_file_write(s->settings->json, text, strlen(text)) : cli_fail(CLM_E_MEMORY, "out of memory");
    free(text);
    json_decref(root);
    return status;
}

clm_status bench_scaling(const bench_item *const *items, size_t count, const bench_settings *settings) {
    scaling s = {.settings = settings};
    char text[CLI_PATH_MAX];
    const char *spec = NULL;
    clm_status status = CLM_OK;
    CLI_TRY(cli_ranks_open("bench"));
    if (clm_comm_size(cli_ranks()) < 2) return cli_usage("--scaling needs several ranks: mpirun -n 4 clmaml bench --scaling");
    CLI_TRY(cli_ranks_device(settings->device, text, &spec));
    CLI_TRY(cli_tested_open(&s.device, spec, settings->force));
    if (!(s.rows = json_array())) CLI_GOTO(cli_fail(CLM_E_MEMORY, "out of memory"));
    cli_line(stdout, "clmaml %s, %d ranks, rank 0 on %s\n\n", clm_version(), clm_comm_size(cli_ranks()),
             clm_device_get_info(s.device)->name);
    printf("%-18s %-7s %5s %6s %11s %10s %11s %13s\n", "item", "batch", "ranks", "tasks", "ms a step", "tasks/s", "efficiency",
           "communication");
    for (size_t i = 0; i < count; i++) {
        s.item = items[i];
        CLI_GOTO(scale(&s));
    }
    status = write_rows(&s);
out:
    json_decref(s.rows);
    clm_device_close(s.device);
    return status;
}
