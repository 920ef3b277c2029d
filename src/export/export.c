/* The public face, and the table of formats. */
#include "clmaml/export.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "export/internal.h"

static const clm_export_format *const formats[] = {&clm_export_format_onnx, &clm_export_format_safetensors,
                                                   &clm_export_format_c};
enum { FORMATS = sizeof formats / sizeof formats[0] };

size_t clm_export_format_count(void) { return FORMATS; }
const char *clm_export_format_name(size_t i) { return i < FORMATS ? formats[i]->name : NULL; }
const char *clm_export_format_summary(size_t i) { return i < FORMATS ? formats[i]->summary : NULL; }

/* "onnx, c": those that have a kind of step; NULL: all. */
static void list(clm_text *text, const clm_step_kind *kind) {
    for (size_t i = 0; i < FORMATS; i++)
        if (!kind || formats[i]->has(*kind)) clm_text_add(text, "%s%s", text->length ? ", " : "", formats[i]->name);
}

clm_status clm_export_check(const clm_steps *steps, const clm_export_format *format) {
    for (size_t i = 0; i < steps->count; i++) {
        const clm_export_step *s = &steps->steps[i];
        clm_text others = {0};
        if (format->has(s->kind)) continue;
        list(&others, &s->kind);
        const clm_status status =
            clm_fail(CLM_E_ARG, "layer %s (%s): the format %s does not have it; these do: %s", s->layer->path,
                     s->layer->kind->op, format->name, others.data ? others.data : "none");
        clm_text_free(&others);
        return status;
    }
    return CLM_OK;
}

static clm_status find(const char *name, const clm_export_format **out) {
    clm_text known = {0};
    for (size_t i = 0; i < FORMATS; i++)
        if (name && strcmp(formats[i]->name, name) == 0) {
            *out = formats[i];
            return CLM_OK;
        }
    list(&known, NULL);
    const clm_status status =
        clm_fail(CLM_E_ARG, "export: \"%.40s\" is not a format; known: %s", name ? name : "", known.data ? known.data : "");
    clm_text_free(&known);
    return status;
}

static bool is_identifier(const char *name) {
    size_t i = 0;
    for (; name[i]; i++)
        if (!(name[i] == '_' || isalpha((unsigned char)name[i]) || (i && isdigit((unsigned char)name[i])))) return false;
    return i > 0 && i <= 48;
}

clm_status clm_export(const clm_archive *adapted, const char *format, const char *path, const clm_export_options *options) {
    const clm_export_options usual = CLM_EXPORT_OPTIONS_INIT, *o = options ? options : &usual;
    const clm_export_format *to = NULL;
    clm_status status = CLM_OK;
    clm_steps steps = {0};
    CLM_TRY(find(format, &to));
    assert(to);
    if (o->version != CLM_EXPORT_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "export: options of version %d; initialise them with CLM_EXPORT_OPTIONS_INIT", o->version);
    if (o->name && !is_identifier(o->name))
        return clm_fail(CLM_E_ARG, "export: the name \"%.60s\" is no identifier of C of at most 48 letters", o->name);
    CLM_GOTO(clm_steps_create(&steps, adapted, o->name ? o->name : "model"));
    CLM_GOTO(clm_export_check(&steps, to));
    CLM_GOTO(to->write(&steps, path));
out:
    clm_steps_free(&steps);
    return status;
}
