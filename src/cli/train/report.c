/* What a run says of its plan and of its test. */
#include <math.h>
#include <stdio.h>

#include "eval/scores.h"
#include "train/trainer.h"

void cli_trainer_print_plan(const cli_trainer *t) {
    const clm_meta *meta = clm_trainer_meta(t->trainer);
    const clm_meta_plan plan = clm_meta_get_plan(meta);
    const clm_train_plan beside = clm_trainer_get_plan(t->trainer);
    const size_t images = beside.image_bytes, evaluation = beside.evaluation_bytes;
    cli_split_print(&t->split, meta, stdout);
    printf("plan\n  checkpointing %s, %d tasks per launch, %s; a meta-gradient is %zu launches of %zu kernels, %.3g GFLOP\n",
           clm_checkpointing_name(plan.checkpointing), plan.task_chunk, clm_plan_reason_text(plan.reason), plan.launches,
           plan.kernels, plan.flops * 1e-9);
    char implementations[400];
    clm_meta_implementations(meta, implementations, sizeof implementations);
    if (implementations[0]) printf("  computed by %s\n", implementations);
    printf("  predicted peak device memory %s: meta-gradient %s%s, evaluation %s\n",
           cli_bytes((double)(plan.bytes + evaluation + images)).s, cli_bytes((double)plan.bytes).s,
           beside.measures_second_order ? " with its first-order part" : "", cli_bytes((double)evaluation).s);
    if (images) printf("  images on the device: %zu in %s\n", beside.images, cli_bytes((double)images).s);
    printf("run directory\n  %s\n", cli_shown(t->settings.run));
    fflush(stdout);
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
    printf("\ntest on %d tasks of held-out %s, checkpoint of iteration %llu, batch-norm %s\n", scores->tasks,
           cli_setup_drawn(t->source), (unsigned long long)iteration, clm_model_bn_name(t->model, (clm_bn_mode)s->bn));
    for (int k = 0; k <= last && last > 0; k++)
        if (cli_score_is_shown(k, last))
            printf("  after %2d inner steps  %s\n", k, cli_score_interval_text(&scores->query[k], t->regression).s);
    if (last == 0) printf("  %s has no inner steps\n", s->algorithm);
    if (t->regression)
        printf("%s %s (95 %% interval), %s before adaptation\n", clm_score_metric(t->source),
               cli_score_interval_text(&scores->query[last], true).s,
               compared(scores->query[last].mean, scores->query[0].mean).s);
    else if (clm_source_labels(t->source))
        printf("accuracy on held-out groups %s (95 %% interval), %d classes, %lld support and %lld query rows\n",
               cli_score_interval_text(&scores->query[last], false).s, cli_setup_outputs(s, t->source), (long long)s->shots,
               (long long)s->query);
    else
        printf("accuracy on held-out classes %s (95 %% interval), %lld-way %lld-shot, %lld query image%s per class\n",
               cli_score_interval_text(&scores->query[last], false).s, (long long)s->ways, (long long)s->shots,
               (long long)s->query, s->query == 1 ? "" : "s");
}

/* What a number alone does not tell. */
static void remark_on_result(const cli_trainer *t, const clm_scores *scores) {
    const int last = scores->steps;
    const clm_score before = scores->query[0], after = scores->query[last];
    const double sign = t->regression ? 1 : -1, guessing = log(cli_setup_outputs(&t->settings, t->source));
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
    printf("%s of the mean output of the %zu best checkpoints %s (iterations", clm_score_metric(t->source), r->members,
           cli_score_interval_text(&scores->query[scores->steps], t->regression).s);
    for (size_t i = 0; i < r->members; i++) printf("%s %llu", i ? "," : "", (unsigned long long)r->member_iteration[i]);
    printf(")\n");
}

clm_status cli_trainer_test(cli_trainer *t) {
    const clm_train_result *r = clm_trainer_result(t->trainer);
    CLI_TRY(cli_trainer_told(clm_trainer_test(t->trainer)));
    if (r->stopped || r->test.tasks == 0) return CLM_OK;
    print_single(t, &r->test, r->member_iteration[0]);
    remark_on_result(t, &r->test);
    if (r->members > 1) print_together(t, r);
    return CLM_OK;
}
