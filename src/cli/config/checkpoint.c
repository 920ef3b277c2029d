/* Checkpoints.
 *
 * A checkpoint holds all that a continued run needs: the meta-learner's arrays and counters, the settings, the model, the best
 * validation so far. It holds no time of day, so that the checkpoints of a resumed run are those of one never stopped, bit for
 * bit.
 */
#include "config/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/protocol.h"

static const char key_config[] = "clmaml.config", key_model[] = "clmaml.model", key_source[] = "clmaml.source",
                  key_best[] = "clmaml.best", key_iteration[] = "clmaml.iteration", key_bn[] = "clmaml.batch_norm",
                  key_version[] = "clmaml.version";

clm_status cli_run_checkpoint_path(char *path, const char *directory, const char *name) {
    char file[128], checkpoints[CLI_PATH_MAX];
    snprintf(file, sizeof file, "%s.safetensors", name);
    CLI_TRY(cli_path(checkpoints, directory, "checkpoints"));
    return cli_path(path, checkpoints, file);
}

static clm_status parse_meta(cli_checkpoint *c, const char *path) {
    const char *config = clm_archive_meta(c->archive, key_config), *best = clm_archive_meta(c->archive, key_best),
               *iteration = clm_archive_meta(c->archive, key_iteration);
    c->model = clm_archive_meta(c->archive, key_model);
    if (!config || !c->model || !best || !iteration)
        return cli_fail(CLM_E_FORMAT, "%s is no checkpoint of this program: it lacks the settings of its run", path);
    json_t *settings = json_loads(config, 0, NULL), *object = json_loads(best, 0, NULL);
    clm_status status = cli_settings_from_json(&c->settings, settings, path);
    json_t *score = json_object_get(object, "score");
    c->iteration = strtoull(iteration, NULL, 10);
    c->best_score = json_is_number(score) ? json_number_value(score) : NAN;
    c->best_iteration = (uint64_t)json_integer_value(json_object_get(object, "iteration"));
    json_decref(settings);
    json_decref(object);
    return status;
}

clm_status cli_checkpoint_load(cli_checkpoint *c, const char *path) {
    memset(c, 0, sizeof *c);
    CLI_TRY(clm_archive_load(&c->archive, path));
    return parse_meta(c, path);
}

void cli_checkpoint_close(cli_checkpoint *c) {
    clm_archive_free(c->archive);
    c->archive = NULL;
}

static clm_status describe(clm_archive *archive, const cli_settings *s, const clm_source *source, const clm_model *model,
                           uint64_t iteration, double best_score, uint64_t best_iteration) {
    clm_status status = CLM_OK;
    char number[32];
    json_t *settings = cli_settings_to_json(s), *best = json_object();
    json_object_set_new(best, "score", isnan(best_score) ? json_null() : json_real(best_score));
    json_object_set_new(best, "iteration", json_integer((json_int_t)best_iteration));
    char *settings_text = json_dumps(settings, 0), *best_text = json_dumps(best, 0);
    snprintf(number, sizeof number, "%llu", (unsigned long long)iteration);
    if (!settings_text || !best_text) {
        status = cli_fail(CLM_E_MEMORY, "out of memory");
        goto out;
    }
    CLI_GOTO(clm_archive_set_meta(archive, key_version, clm_version()));
    CLI_GOTO(clm_archive_set_meta(archive, key_config, settings_text));
    CLI_GOTO(clm_archive_set_meta(archive, key_best, best_text));
    CLI_GOTO(clm_archive_set_meta(archive, key_iteration, number));
    CLI_GOTO(clm_archive_set_meta(archive, key_source, clm_source_description(source)));
    CLI_GOTO(clm_archive_set_meta(archive, key_bn, cli_bn_name(model, s->bn)));
    CLI_GOTO(clm_archive_set_meta(archive, key_model, clm_model_json(model) ? clm_model_json(model) : ""));
out:
    json_decref(settings);
    json_decref(best);
    free(settings_text);
    free(best_text);
    return status;
}

clm_status cli_checkpoint_write(const char *path, clm_meta *meta, const cli_settings *s, const clm_source *source,
                                const clm_model *model, double best_score, uint64_t best_iteration) {
    clm_status status = CLM_OK;
    clm_archive *archive = NULL;
    CLI_GOTO(clm_archive_create(&archive));
    CLI_GOTO(clm_meta_save(meta, archive));
    CLI_GOTO(describe(archive, s, source, model, clm_meta_iteration(meta), best_score, best_iteration));
    CLI_GOTO(clm_archive_save(archive, path));
out:
    clm_archive_free(archive);
    return status;
}
