/* Many kernels in one program. Building a program has a fixed cost (a fifth of a second on PoCL, which reads its library
 * of built-in functions each time), so the texts of many launches are joined and built at once.
 *
 * To live side by side, every text gets a suffix: its kernels and static functions are renamed by macros, its defines come as
 * #define lines, and every macro it defines is undefined after it. A joined text that does not build is dropped silently: each
 * launch then builds its own text and reports the error under the right name.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "device/opencl/opencl.h"

enum { NAME = 64 };

static size_t word_length(const char *c) {
    return strspn(c, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

/* The name that a line declares to the rest of the program: of a kernel or static function (word before the first parenthesis)
 * or of a macro. */
static bool declared_name(const char *line, size_t length, bool macros, char *name) {
    const char *start = NULL;
    size_t n = 0;
    if (macros && length > 8 && !strncmp(line, "#define ", 8)) {
        start = line + 8;
        n = word_length(start);
    } else if (!macros && (!strncmp(line, "__kernel ", 9) || !strncmp(line, "static ", 7))) {
        const char *open = memchr(line, '(', length);
        for (start = open; start && start > line && word_length(start - 1); start--) n++;
    }
    if (!n || n >= NAME) return false;
    memcpy(name, start, n);
    name[n] = 0;
    return true;
}

/* One line for every declared name: format takes the name and, if it has a second %s, the suffix. */
static void each_name(clm_text *out, const clm_cl_member *m, bool macros, const char *directive, const char *suffix) {
    char name[NAME];
    for (const char *line = m->text; *line;) {
        size_t length = strcspn(line, "\n");
        if (declared_name(line, length, macros, name)) {
            if (suffix)
                clm_text_add(out, "%s %s %s%s\n", directive, name, name, suffix);
            else
                clm_text_add(out, "%s %s\n", directive, name);
        }
        line += length + (line[length] == '\n');
    }
}

/* " -DA=1 -DB=2" as directives; `undo` undefines them. */
static void each_define(clm_text *out, const clm_cl_member *m, bool undo) {
    for (const char *c = m->defines; (c = strstr(c, "-D")); c++) {
        const char *name = c + 2, *value;
        size_t n = word_length(name), v;
        value = name[n] == '=' ? name + n + 1 : "1";
        v = strcspn(value, " ");
        if (undo)
            clm_text_add(out, "#undef %.*s\n", (int)n, name);
        else
            clm_text_add(out, "#define %.*s %.*s\n", (int)n, name, (int)v, value);
    }
}

void clm_cl_join_member(clm_text *out, const clm_cl_member *m) {
    each_define(out, m, false);
    each_name(out, m, false, "#define", m->suffix);
    clm_text_add(out, "%s\n", m->text);
    each_name(out, m, false, "#undef", NULL);
    each_name(out, m, true, "#undef", NULL);
    each_define(out, m, true);
}

clm_cl_member clm_cl_member_of(const char *text, const char *defines) {
    clm_cl_member m = {.text = text, .defines = defines};
    uint64_t hash = clm_hash_text(clm_hash_text(CLM_HASH_SEED, text), defines);
    snprintf(m.suffix, sizeof m.suffix, "_%016llx", (unsigned long long)hash);
    return m;
}

clm_status clm_cl_join(const clm_cl_device *d, const clm_cl_member *members, size_t count, char **out) {
    clm_text body = {0};
    clm_status status = CLM_OK;
    *out = NULL;
    for (size_t i = 0; i < count && status == CLM_OK; i++) {
        clm_cl_member member = members[i];
        char *changed = NULL;
        status = clm_cl_set_apart(d, member.text, &changed);
        if (changed) member.text = changed;
        clm_cl_join_member(&body, &member);
        free(changed);
    }
    if (body.failed) status = clm_fail(CLM_E_MEMORY, "building kernels: out of memory");
    if (status == CLM_OK) status = clm_cl_compose(body.data ? body.data : "", "joined", out);
    clm_text_free(&body);
    return status;
}

static clm_status build_members(clm_cl_device *d, const clm_launch *launch, const clm_cl_member *members, size_t count) {
    char *whole = NULL;
    cl_program program = NULL;
    clm_status status = CLM_OK;
    CLM_GOTO(clm_cl_join(d, members, count, &whole));
    if (clm_cl_obtain(d, launch, whole, "", &program) != CLM_OK) goto out;
    for (size_t i = 0; i < count; i++) { /* each entry releases it once */
        CLM_GOTO(clm_cl_check(&d->base, clRetainProgram(program), "keeping a program of %zu kernels", count));
        status = clm_cl_program_add(d, members[i].text, members[i].defines, program, members[i].suffix);
        if (status != CLM_OK) clReleaseProgram(program);
        CLM_GOTO(status);
    }
    clm_cl_joined_keep(d, members, count);
out:
    if (program) clReleaseProgram(program);
    free(whole);
    return status;
}

/* Joined texts are for drivers; one that is looked at is wanted by itself. */
static clm_status dump_member(const clm_cl_device *d, const clm_cl_member *m, const char *file) {
    if (!clm_cl_dumping()) return CLM_OK;
    char *whole = NULL, *options = clm_cl_options(d, m->defines);
    clm_status status = options ? clm_cl_compose(m->text, file ? file : "generated", &whole) : CLM_E_MEMORY;
    if (status == CLM_OK) status = clm_cl_dump(whole, options);
    free(options);
    free(whole);
    return status;
}

/* Builds the program in which another device of this kind has the text, if there is one. */
static clm_status build_known(clm_cl_device *d, const clm_launch *launch, const char *text, const char *defines) {
    const clm_cl_member *members = NULL;
    const size_t count = clm_cl_joined_with(d, text, defines, &members);
    return count ? build_members(d, launch, members, count) : CLM_OK;
}

static clm_status collect(clm_cl_device *d, const clm_launch *launches, size_t count, clm_cl_texts *texts) {
    texts->member = clm_calloc(count + 1, sizeof *texts->member);
    texts->first = clm_calloc(count + 1, sizeof *texts->first);
    texts->of = clm_calloc(count + 1, sizeof *texts->of);
    if (!texts->member || !texts->first || !texts->of) return CLM_E_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const char *text = NULL, *defines = launches[i].defines ? launches[i].defines : "";
        size_t k = 0;
        texts->of[i] = SIZE_MAX;
        if (launches[i].call.library != CLM_LIBRARY_NONE) continue;
        CLM_TRY(clm_cl_text(d, &launches[i], &text));
        if (clm_cl_program_find(d, text, defines)) continue;
        CLM_TRY(build_known(d, &launches[i], text, defines));
        if (clm_cl_program_find(d, text, defines)) continue;
        while (k < texts->count && (strcmp(texts->member[k].text, text) != 0 || strcmp(texts->member[k].defines, defines) != 0))
            k++;
        texts->of[i] = k;
        if (k < texts->count) continue;
        texts->first[k] = i;
        texts->member[texts->count++] = clm_cl_member_of(text, defines);
        CLM_TRY(dump_member(d, &texts->member[k], launches[i].file));
    }
    return CLM_OK;
}

clm_status clm_cl_build(clm_device *device, const clm_launch *launches, size_t count) {
    clm_cl_device *d = clm_cl(device);
    clm_cl_texts texts = {0};
    clm_status status = collect(d, launches, count, &texts);
    if (status == CLM_OK) status = clm_cl_build_apart(d, launches, count, &texts);
    for (size_t i = 0; i + 1 < texts.count && status == CLM_OK; i += CLM_CL_JOINED) { /* one alone is left to its launch */
        const size_t n = texts.count - i < CLM_CL_JOINED ? texts.count - i : CLM_CL_JOINED;
        status = build_members(d, &launches[texts.first[i]], &texts.member[i], n);
    }
    free(texts.member);
    free(texts.first);
    free(texts.of);
    return status;
}
