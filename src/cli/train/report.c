/* What a run says of its plan and of its test. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/lines.h"
#include "base/ranks.h"
#include "eval/scores.h"
#include "train/trainer.h"

enum { RANKS_SHOWN = 16 };

/* A line for each rank. */
static clm_status print_ranks(const cli_trainer *t) {
    const int size = clm_comm_size(cli_ranks());
    char mine[192] = "", *all = NULL;
    clm_status status = CLM_OK;
    if (size == 1) return CLM_OK;
    int first, tasks;
    clm_comm_share(cli_ranks(), (int)t->settings.meta_batch, &first, &tasks);
    snprintf(mine, sizeof mine, "tasks %d to %d on %.100s%s", first, first + tasks - 1,
             clm_device_get_info(t->split.devices[0])->name, t->split.count > 1 ? " and others" : "");
    CLI_NEW(all, (size_t)size * sizeof mine);
    CLI_GOTO(clm_comm_all_gather(cli_ranks(), mine, sizeof mine, all));
    cli_line(stdout, "ranks\n");
    for (int r = 0; r < size && r < RANKS_SHOWN; r++)
        cli_line(stdout, "  rank %d on %s: %s\n", r, cli_shown(clm_comm_host(cli_ranks(), r)),
                 cli_shown(all + (size_t)r * sizeof mine));
    if (size > RANKS_SHOWN) cli_line(stdout, "  and %d more\n", size - RANKS_SHOWN);
out:
    free(all);
    return status;
}

clm_status cli_trainer_print_plan(const cli_trainer *t) {
    CLI_TRY(print_ranks(t));
    const clm_meta *meta = clm_trainer_meta(t->trainer);
    const clm_meta_plan plan = clm_meta_get_plan(meta);
    const clm_train_plan beside = clm_trainer_get_plan(t->trainer);
    const size_t images = beside.image_bytes, evaluation = beside.evaluation_bytes;
    FILE *to = cli_lines_begin(stdout);
    cli_split_print(&t->split, meta, to);
    fprintf(to,
            "plan\n  checkpointing %s, %d task%s per launch, %s; a meta-gradient is %zu launches of %zu kernels, %.3g GFLOP\n",
            clm_checkpointing_name(plan.checkpointing), plan.task_chunk, cli_plural(plan.task_chunk),
            clm_plan_reason_text(plan.reason), plan.launches, plan.kernels, plan.flops * 1e-9);
    char implementations[400];
    clm_meta_implementations(meta, implementations, sizeof implementations);
    if (implementations[0]) fprintf(to, "  computed by %s\n", implementations);
    fprintf(to, "  predicted peak device memory %s: meta-gradient %s%s, evaluation %s\n",
            cli_bytes((double)(plan.bytes + evaluation + images)).s, cli_bytes((double)plan.bytes).s,
            beside.measures_second_order ? " with its first-order part" : "", cli_bytes((double)evaluation).s);
    if (plan.limit < SIZE_MAX)
        fprintf(to, "  limit for the meta-gradient %s, %s\n", cli_bytes((double)plan.limit).s,
                clm_limit_reason_text(plan.limit_reason));
    if (images) fprintf(to, "  images on the device: %zu in %s\n", beside.images, cli_bytes((double)images).s);
    fprintf(to, "run directory\n  %s\n", cli_shown(t->settings.run));
    cli_lines_end(to, stdout);
    fflush(stdout);
    return CLM_OK;
}

void cli_trainer_print_speeds(const cli_trainer *t) {
    FILE *to = cli_lines_begin(stdout);
    cli_split_print_speeds(clm_trainer_meta(t->trainer), to);
    cli_lines_end(to, stdout);
}

/* "4.2 times below that": only where there is something to divide. */
static cli_text compared(double after, double before) {
    cli_text text;
    const bool finite = isfinite(after) && isfinite(before);
    if (finite && after > 0 && after < before && before / after < 1e6)
        snprintf(text.s, sizeof text.s, "%.1f times below that", before / after);
    else if (finite && after > before && before > 0 && after / before < 1e6)
        snprintf(text.s, sizeof text.s, "%.1f times above that", after / before);
    else
        snprintf(text.s, sizeof text.s, "%s", cli_score_text(before, true).s);
    return text;
}

static void print_single(const cli_trainer *t, const clm_scores *scores, uint64_t iteration) {
    const cli_settings *s = &t->settings;
    const int last = scores->steps;
    cli_line(stdout, "\ntest on %d task%s of held-out %s, checkpoint of iteration %llu, batch-norm %s\n", scores->tasks,
             cli_plural(scores->tasks), cli_setup_drawn(t->source), (unsigned long long)iteration,
             clm_model_bn_name(t->model, (clm_bn_mode)s->bn));
    for (int k = 0; k <= last && last > 0; k++)
        if (cli_score_is_shown(k, last))
            cli_line(stdout, "  after %2d inner step%s  %s\n", k, k == 1 ? " " : "s",
                     cli_score_interval_text(&scores->query[k], t->regression).s);
    if (last == 0) cli_line(stdout, "  %s has no inner steps\n", s->algorithm);
    if (t->regression)
        cli_line(stdout, "%s %s%s, %s before adaptation\n", clm_score_metric(t->source),
                 cli_score_interval_text(&scores->query[last], true).s, cli_score_interval_name(&scores->query[last]),
                 compared(scores->query[last].mean, scores->query[0].mean).s);
    else if (clm_source_labels(t->source))
        cli_line(stdout, "accuracy on held-out groups %s%s, %d classes, %s support and %lld query rows\n",
                 cli_score_interval_text(&scores->query[last], false).s, cli_score_interval_name(&scores->query[last]),
                 cli_setup_outputs(s, t->source), cli_range_text(s->shots_least, s->shots).s, (long long)s->query);
    else
        cli_line(stdout, "accuracy on held-out classes %s%s, %s-way %s-shot, %lld query %s%s per class\n",
                 cli_score_interval_text(&scores->query[last], false).s, cli_score_interval_name(&scores->query[last]),
                 cli_range_text(s->ways_least, s->ways).s, cli_range_text(s->shots_least, s->shots).s, (long long)s->query,
                 cli_setup_example(t->source), s->query == 1 ? "" : "s");
}

/* --test-steps auto chose the most that it tries. */
static void note_last_steps(const cli_trainer *t, int steps) {
    const int more = 2 * steps < CLM_SCORE_STEPS_MOST ? 2 * steps : CLM_SCORE_STEPS_MOST;
    if (more == steps) return;
    cli_note("more inner steps at test may be better still: clmaml eval %s --split validation --steps %d shows it%s",
             cli_pasted(t->settings.run), more, t->regression ? "" : "; adapt and predict take another number by --steps");
}

/* What a number alone does not tell. */
static void remark_on_result(const cli_trainer *t, const clm_scores *scores) {
    const int last = scores->steps;
    const clm_score before = scores->query[0], after = scores->query[last];
    const double sign = t->regression ? 1 : -1, guessing = log(cli_setup_outputs(&t->settings, t->source));
    if (last > 0 && last == clm_trainer_result(t->trainer)->steps_tried) note_last_steps(t, last);
    if (!isfinite(after.mean) || !isfinite(scores->query_loss[last])) {
        cli_note("the result is not finite: training or adaptation diverged; lower --inner-lr (%g) or --outer-lr (%g)",
                 t->settings.inner_lr, t->settings.outer_lr);
        return;
    }
    if (last > 0 && sign * (after.mean - before.mean) > before.half + after.half)
        cli_note("adaptation makes the score worse than it was before: lower --inner-lr (%g), or train longer",
                 t->settings.inner_lr);
    if (!t->regression && scores->query_loss[last] > 10 * guessing)
        cli_note("the query loss is %.3g, where guessing has %.3g: training diverged; lower --inner-lr (%g) or --outer-lr (%g)",
                 scores->query_loss[last], guessing, t->settings.inner_lr, t->settings.outer_lr);
}

static void print_together(const cli_trainer *t, const clm_train_result *r) {
    const clm_scores *scores = &r->together;
    FILE *to = cli_lines_begin(stdout);
    fprintf(to, "%s of the mean output of the %zu best checkpoints %s (iterations", clm_score_metric(t->source), r->members,
            cli_score_interval_text(&scores->query[scores->steps], t->regression).s);
    for (size_t i = 0; i < r->members; i++) fprintf(to, "%s %llu", i ? "," : "", (unsigned long long)r->member_iteration[i]);
    fprintf(to, ")\n");
    cli_lines_end(to, stdout);
}

/* Which initialisations the test tasks of each kind went to, and what they score there. */
static void print_kinds(const cli_trainer *t, const clm_train_result *r) {
    const int starts = clm_meta_initialisations(clm_trainer_meta(t->trainer));
    FILE *to = cli_lines_begin(stdout);
    fprintf(to, "test tasks of each of %d initialisations\n  %-20s", starts, "kind");
    for (int s = 0; s < starts; s++) fprintf(to, "%7d", s + 1);
    fprintf(to, "    %s\n", clm_score_metric(t->source));
    for (int k = 0; k < r->kinds; k++) {
        const clm_train_kind *kind = &r->kind[k];
        fprintf(to, "  %-20s", kind->name[0] ? cli_shown(kind->name) : "all");
        for (int s = 0; s < starts; s++) fprintf(to, "%7d", kind->chosen[s]);
        fprintf(to, "    %s\n", cli_score_interval_text(&kind->score, t->regression).s);
    }
    cli_lines_end(to, stdout);
}

clm_status cli_trainer_test(cli_trainer *t) {
    const clm_train_result *r = clm_trainer_result(t->trainer);
    CLI_TRY(clm_trainer_test(t->trainer));
    if (r->stopped || r->test.tasks == 0) return CLM_OK;
    print_single(t, &r->test, r->member_iteration[0]);
    remark_on_result(t, &r->test);
    if (r->members > 1) print_together(t, r);
    if (r->kinds > 0) print_kinds(t, r);
    return CLM_OK;
}
