/* A run by several processes: rank 0 has the directory and decides what depends on anything but the options, and the others do as it
 * does. What is drawn, adapted and summed is shared out by the meta-learner and the evaluator. */
#include <stdlib.h>
#include <string.h>

#include "train/internal.h"
#include "train/record.h"

static clm_comm *comm_of(const clm_trainer *t) { return t->options.meta.comm; }

bool clm_trainer_leads(const clm_trainer *t) { return clm_comm_rank(comm_of(t)) == 0; }

clm_status clm_trainer_agree(const clm_trainer *t, const clm_train_options *settled) {
    clm_status status = CLM_OK;
    char *options = NULL, *text = NULL;
    if (clm_comm_size(comm_of(t)) == 1) return CLM_OK;
    if (!(options = clm_record_lines(settled))) CLM_GOTO(CLM_E_MEMORY);
    text = clm_format("version %s\ndata \"%s\"\niterations %llu\n%s\n", clm_version(),
                      clm_train_said_of(clm_source_description(t->source)), (unsigned long long)settled->iterations, options);
    if (!text) CLM_GOTO(CLM_E_MEMORY);
    status = clm_comm_agree(comm_of(t), "options", text);
out:
    free(options);
    free(text);
    return status;
}

clm_status clm_trainer_decide(const clm_trainer *t, bool *what) { return clm_comm_broadcast(comm_of(t), what, sizeof *what); }

clm_status clm_trainer_stops(const clm_trainer *t, bool *stops) {
    *stops = clm_trainer_leads(t) && t->options.stop && t->options.stop(t->options.user);
    return clm_trainer_decide(t, stops);
}

clm_status clm_trainer_share_state(clm_trainer *t) {
    struct {
        clm_ranking ranking;
        uint64_t last_checkpoint, skipped;
    } state;
    if (!comm_of(t)) return CLM_OK;
    memset(&state, 0, sizeof state);
    state.ranking = t->ranking;
    state.last_checkpoint = t->last_checkpoint;
    state.skipped = t->run.skipped;
    CLM_TRY(clm_comm_broadcast(comm_of(t), &state, sizeof state));
    t->ranking = state.ranking;
    t->last_checkpoint = state.last_checkpoint;
    t->run.skipped = state.skipped;
    return clm_meta_share_out(t->meta);
}

clm_status clm_trainer_share_params(const clm_trainer *t, clm_params *params) {
    for (size_t i = 0; i < clm_params_count(params); i++)
        CLM_TRY(
            clm_comm_broadcast(comm_of(t), clm_params_values(params, i), clm_params_get_info(params, i).size * sizeof(double)));
    return CLM_OK;
}

clm_status clm_trainer_share_members(clm_trainer *t) {
    CLM_TRY(clm_comm_broadcast(comm_of(t), &t->n_members, sizeof t->n_members));
    CLM_TRY(clm_comm_broadcast(comm_of(t), t->member_iteration, sizeof t->member_iteration));
    for (size_t k = 0; k < t->n_members; k++) CLM_TRY(clm_trainer_share_params(t, t->members[k]));
    return CLM_OK;
}
