/* Checkpoints.
 *
 * A checkpoint holds all that a continued run needs: the meta-learner's arrays and counters, the settings, the model, the best
 * validation so far. It holds no time of day, so that the checkpoints of a resumed run are those of one never stopped, bit for
 * bit.
 */
#include "config/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/folders.h"
#include "config/protocol.h"

static const char key_config[] = "clmaml.config", key_model[] = "clmaml.model", key_source[] = "clmaml.source",
                  key_best[] = "clmaml.best", key_iteration[] = "clmaml.iteration", key_bn[] = "clmaml.batch_norm",
                  key_version[] = "clmaml.version", key_preparation[] = "clmaml.preparation";

clm_status cli_run_checkpoint_path(char *path, const char *directory, const char *name) {
    char file[128], checkpoints[CLI_PATH_MAX];
    snprintf(file, sizeof file, "%s.safetensors", name);
    CLI_TRY(cli_path(checkpoints, directory, "checkpoints"));
    return cli_path(path, checkpoints, file);
}

static bool parse_ranked(cli_ranking *ranking, const json_t *object) {
    const json_t *score = json_object_get(object, "score");
    if (!json_is_number(score) || ranking->count == CLI_MAX_ENSEMBLE) return false;
    ranking->entry[ranking->count++] =
        (cli_ranked){json_number_value(score), (uint64_t)json_integer_value(json_object_get(object, "iteration"))};
    return true;
}

static void parse_ranking(cli_ranking *ranking, const json_t *best) {
    const json_t *others = json_object_get(best, "others");
    if (!parse_ranked(ranking, best)) return;
    for (size_t i = 0; i < json_array_size(others); i++) parse_ranked(ranking, json_array_get(others, i));
}

static json_t *ranked_to_json(const cli_ranked *ranked) {
    json_t *object = json_object();
    json_object_set_new(object, "score", ranked ? json_real(ranked->score) : json_null());
    json_object_set_new(object, "iteration", json_integer(ranked ? (json_int_t)ranked->iteration : 0));
    return object;
}

static json_t *ranking_to_json(const cli_ranking *ranking) {
    json_t *best = ranked_to_json(ranking->count ? &ranking->entry[0] : NULL), *others = json_array();
    for (size_t i = 1; i < ranking->count; i++) json_array_append_new(others, ranked_to_json(&ranking->entry[i]));
    if (ranking->count > 1)
        json_object_set_new(best, "others", others);
    else
        json_decref(others);
    return best;
}

static clm_status parse_meta(cli_checkpoint *c, const char *path) {
    const char *config = clm_archive_meta(c->archive, key_config), *best = clm_archive_meta(c->archive, key_best),
               *iteration = clm_archive_meta(c->archive, key_iteration);
    c->model = clm_archive_meta(c->archive, key_model);
    if (!config || !c->model || !best || !iteration)
        return cli_fail(CLM_E_FORMAT, "%s is no checkpoint of this program: it lacks the settings of its run", path);
    json_t *settings = json_loads(config, 0, NULL), *object = json_loads(best, 0, NULL);
    clm_status status = cli_settings_from_json(&c->settings, settings, path);
    c->iteration = strtoull(iteration, NULL, 10);
    parse_ranking(&c->ranking, object);
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

clm_status cli_checkpoint_params(const cli_checkpoint *c, const char *path, clm_params *params) {
    clm_status status = clm_params_load(params, c->archive);
    if (status == CLM_OK && c->settings.average > 0) status = clm_params_load_average(params, c->archive);
    if (status != CLM_OK && !strstr(cli_message(), path)) return cli_fail_in(status, "%s", path);
    return status;
}

cli_text cli_rank_name(size_t rank) {
    cli_text text;
    snprintf(text.s, sizeof text.s, rank ? "best-%zu" : "best", rank + 1);
    return text;
}

static clm_status describe(clm_archive *archive, const cli_settings *s, const clm_source *source, const clm_model *model,
                           uint64_t iteration, const cli_ranking *ranking) {
    clm_status status = CLM_OK;
    char number[32];
    json_t *settings = cli_settings_to_json(s), *best = ranking_to_json(ranking), *prepared = cli_preparation_to_json(source);
    char *settings_text = json_dumps(settings, 0), *best_text = json_dumps(best, 0);
    char *prepared_text = prepared ? json_dumps(prepared, 0) : NULL;
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
    if (prepared_text) CLI_GOTO(clm_archive_set_meta(archive, key_preparation, prepared_text));
    CLI_GOTO(clm_archive_set_meta(archive, key_bn, clm_model_bn_name(model, (clm_bn_mode)s->bn)));
    CLI_GOTO(clm_archive_set_meta(archive, key_model, clm_model_json(model) ? clm_model_json(model) : ""));
out:
    json_decref(settings);
    json_decref(best);
    free(settings_text);
    free(best_text);
    json_decref(prepared);
    free(prepared_text);
    return status;
}

clm_status cli_checkpoint_write(const char *path, clm_meta *meta, const cli_settings *s, const clm_source *source,
                                const clm_model *model, const cli_ranking *ranking) {
    clm_status status = CLM_OK;
    clm_archive *archive = NULL;
    CLI_GOTO(clm_archive_create(&archive));
    CLI_GOTO(clm_meta_save(meta, archive));
    CLI_GOTO(describe(archive, s, source, model, clm_meta_iteration(meta), ranking));
    CLI_GOTO(clm_archive_save(archive, path));
out:
    clm_archive_free(archive);
    return status;
}
