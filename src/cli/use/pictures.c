/* Files and folders become a list of files. */
#include "use/pictures.h"

#include <stdlib.h>
#include <string.h>

#include "base/system.h"

enum { MAX_DEPTH = 16 };

static clm_status add(cli_pictures *p, const char *path, bool asked) {
    if (p->count == p->capacity) {
        const size_t more = p->capacity ? 2 * p->capacity : 64;
        char **paths = realloc(p->path, more * sizeof *paths);
        if (paths) p->path = paths;
        bool *flags = paths ? realloc(p->asked, more * sizeof *flags) : NULL;
        if (!flags) return cli_fail(CLM_E_MEMORY, "out of memory");
        p->asked = flags;
        p->capacity = more;
    }
    char *copy = strdup(path);
    if (!copy) return cli_fail(CLM_E_MEMORY, "out of memory");
    p->path[p->count] = copy;
    p->asked[p->count++] = asked;
    return CLM_OK;
}

typedef struct folder {
    cli_pictures names;
    clm_status status;
} folder;

static void note_name(void *user, const char *name) {
    folder *f = user;
    if (name[0] != '.' && f->status == CLM_OK) f->status = add(&f->names, name, false);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static clm_status add_folder(cli_pictures *p, const char *path, int depth) {
    folder f = {.status = CLM_OK};
    clm_status status = CLM_OK;
    if (depth == MAX_DEPTH) return cli_fail(CLM_E_IO, "%s: folders nested too deep; is there a link that leads back up?", path);
    CLI_GOTO(cli_directory_visit(path, note_name, &f));
    CLI_GOTO(f.status);
    if (f.names.count) qsort(f.names.path, f.names.count, sizeof *f.names.path, by_name);
    for (size_t i = 0; i < f.names.count; i++) {
        char inside[CLI_PATH_MAX];
        CLI_GOTO(cli_path(inside, path, f.names.path[i]));
        CLI_GOTO(cli_is_directory(inside) ? add_folder(p, inside, depth + 1) : add(p, inside, false));
    }
out:
    cli_pictures_free(&f.names);
    return status;
}

clm_status cli_pictures_list(cli_pictures *p, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!cli_path_exists(names[i])) return cli_fail(CLM_E_IO, "%s does not exist", names[i]);
        CLI_TRY(cli_is_directory(names[i]) ? add_folder(p, names[i], 0) : add(p, names[i], true));
    }
    return p->count ? CLM_OK : cli_fail(CLM_E_IO, "%s holds no files", names[0]);
}

void cli_pictures_free(cli_pictures *p) {
    for (size_t i = 0; i < p->count; i++) free(p->path[i]);
    free(p->path);
    free(p->asked);
    *p = (cli_pictures){0};
}
