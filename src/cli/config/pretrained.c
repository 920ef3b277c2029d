/* Where the models lie is found from where the program is, so that an installed tree can be moved. */
#include "config/pretrained.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

#define ENDING ".safetensors"

/* From the program's directory: as installed (CMakeLists.txt says where data go), and in a build. */
static const char *const places[] = {CLMAML_MODELS_FROM_PROGRAM, "models"};

static clm_status find_directory(char *path) {
    char program[CLI_PATH_MAX];
    path[0] = 0;
    if (!cli_program_directory(program)) return CLM_OK;
    for (size_t i = 0; i < CLI_COUNT(places); i++) {
        CLI_TRY(cli_path(path, program, places[i]));
        if (cli_is_directory(path)) {
            cli_path_make_absolute(path);
            return CLM_OK;
        }
    }
    path[0] = 0;
    return CLM_OK;
}

typedef struct search {
    cli_pretrained_models *list;
    clm_status status;
} search;

static void note_name(void *user, const char *file) {
    search *s = user;
    cli_pretrained_models *l = s->list;
    const size_t length = strlen(file), ending = strlen(ENDING);
    if (s->status != CLM_OK || length <= ending || strcmp(file + length - ending, ENDING) != 0) return;
    if (length - ending >= sizeof *l->name) return;
    char(*more)[sizeof *l->name] = realloc(l->name, (l->count + 1) * sizeof *more);
    if (!more) {
        s->status = cli_fail(CLM_E_MEMORY, "out of memory");
        return;
    }
    l->name = more;
    snprintf(l->name[l->count++], sizeof *l->name, "%.*s", (int)(length - ending), file);
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

clm_status cli_pretrained_list(cli_pretrained_models *list) {
    search s = {list, CLM_OK};
    *list = (cli_pretrained_models){.count = 0};
    CLI_TRY(find_directory(list->directory));
    if (!list->directory[0]) return CLM_OK;
    CLI_TRY(cli_directory_visit(list->directory, note_name, &s));
    if (list->count) qsort(list->name, list->count, sizeof *list->name, by_name);
    return s.status;
}

void cli_pretrained_free(cli_pretrained_models *list) {
    free(list->name);
    *list = (cli_pretrained_models){.count = 0};
}

clm_status cli_pretrained_file(char *path, const cli_pretrained_models *list, const char *name, const char *ending) {
    char file[CLI_PATH_MAX];
    snprintf(file, sizeof file, "%.64s%s", name, ending);
    return cli_path(path, list->directory, file);
}

clm_status cli_pretrained_summary(const cli_pretrained_models *list, const char *name, char **summary) {
    char path[CLI_PATH_MAX];
    *summary = NULL;
    CLI_TRY(cli_pretrained_file(path, list, name, ".md"));
    CLI_TRY(cli_file_read(path, summary));
    char *line = *summary;
    while (*line == '#' || *line == '\n') line += *line == '\n' ? 1 : strcspn(line, "\n");
    memmove(*summary, line, strlen(line) + 1);
    (*summary)[strcspn(*summary, "\n")] = 0;
    return CLM_OK;
}

static clm_status unknown(const cli_pretrained_models *list, const char *name) {
    char names[512] = "";
    size_t used = 0;
    if (!list->count) return cli_usage("no pretrained models lie beside this program, so none is '%s'", name);
    for (size_t i = 0; i < list->count && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", list->name[i]);
    return cli_usage("no pretrained model is '%s'; there %s %s (`clmaml pretrained` says more)", name,
                     list->count == 1 ? "is" : "are", names);
}

clm_status cli_pretrained_find(char *path, const cli_pretrained_models *list, const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->name[i], name) == 0) return cli_pretrained_file(path, list, name, ENDING);
    return unknown(list, name);
}

clm_status cli_pretrained_or(char *path, const char *model, const char *named, const char *missing) {
    cli_pretrained_models list = {.count = 0};
    if (!named && !model[0]) return cli_usage("%s", missing);
    if (named && model[0]) return cli_usage("--model %s and %s exclude each other: give one of them", model, named);
    if (named) {
        if (snprintf(path, CLI_PATH_MAX, "%s", named) < CLI_PATH_MAX) return CLM_OK;
        return cli_fail(CLM_E_LIMIT, "'%.40s..' is too long a name", named);
    }
    clm_status status = cli_pretrained_list(&list);
    if (status == CLM_OK) status = cli_pretrained_find(path, &list, model);
    cli_pretrained_free(&list);
    return status;
}
