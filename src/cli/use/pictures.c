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

static clm_status add_name(cli_pictures *p, const char *name) {
    const size_t before = p->count;
    if (!cli_path_exists(name))
        return cli_fail(CLM_E_IO, "%s does not exist; %s", name,
                        strpbrk(name, "*?[") ? "no file matches this pattern: name pictures, or a folder of them"
                                             : "name pictures, or folders of them");
    if (!cli_is_directory(name)) return add(p, name, true);
    CLI_TRY(add_folder(p, name, 0));
    return p->count > before ? CLM_OK : cli_fail(CLM_E_IO, "%s holds no files; name a folder of pictures, or pictures", name);
}

clm_status cli_pictures_list(cli_pictures *p, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const clm_status status = add_name(p, names[i]);
        if (status == CLM_OK) continue;
        if (status == CLM_E_MEMORY || n == 1) return status;
        cli_note("left out: %s", cli_message());
        cli_forget();
        p->failed++;
    }
    return p->count ? CLM_OK : cli_fail(CLM_E_IO, "none of these %zu names is a picture or a folder; see the notes above", n);
}

void cli_pictures_free(cli_pictures *p) {
    for (size_t i = 0; i < p->count; i++) free(p->path[i]);
    free(p->path);
    free(p->asked);
    *p = (cli_pictures){0};
}
