/* Kernels whose work is a function of its own.
 *
 * PoCL makes three functions of a kernel, and compiles all that it does in each, though one alone is called. What a kernel calls is
 * compiled once. So a kernel becomes a function of its work-item's index, which is kept from being inlined, and a kernel of the
 * same name and parameters is added that calls it. (PoCL removes that attribute from kernels, not from functions.) */
#include <string.h>

#include "device/opencl/opencl.h"

/* On a line of its own: where texts are joined, a function is found by the first word of a line. */
#define APART "__attribute__((noinline))"
#define FORGET_INDEX "\n #undef get_global_id\n"
#define INDICES "const int clm_index_0, const int clm_index_1, const int clm_index_2, "
static const char kernel_word[] = "__kernel void ";

/* The next kernel's name, and the parenthesis that opens its parameters; NULL: there is none. */
static const char *next_kernel(const char *text, const char **open) {
    const char *at = strstr(text, kernel_word);
    *open = at ? strchr(at, '(') : NULL;
    return *open ? at + sizeof kernel_word - 1 : NULL;
}

/* The head of a function, up to its own parameters. */
static void add_function(clm_text *out, const char *name, const char *open, const char *ending) {
    clm_text_add(out, "static void %.*s%s(" INDICES, (int)(open - name), name, ending);
}

void clm_cl_add_functions(clm_text *out, const char *text, bool apart) {
    const char *open;
    for (const char *name; (name = next_kernel(text, &open)); text = open + 1) {
        clm_text_add(out, "%.*s", (int)(name - text - (ptrdiff_t)(sizeof kernel_word - 1)), text);
        if (apart) clm_text_add(out, APART "\n");
        add_function(out, name, open, "");
    }
    clm_text_add(out, "%s", text);
}

/* A parameter that is written out is passed by its name, the last word; macros pass names themselves (add_kernel). */
static void pass(clm_text *out, const char *parameter, const char *end) {
    const char *word = parameter += strspn(parameter, " \n");
    if (!memchr(parameter, '(', (size_t)(end - parameter)))
        for (word = end; word > parameter && !strchr(" *\n", word[-1]);) word--;
    clm_text_add(out, ", %.*s", (int)(end - word), word);
}

/* The parameters as arguments; `end`: what follows the parenthesis that closes them. */
static void pass_all(clm_text *out, const char *open, const char **end) {
    const char *from = open + 1, *c = from;
    for (int depth = 1; *c && depth; c++) {
        depth += *c == '(' ? 1 : *c == ')' ? -1 : 0;
        if (depth > 1 || (depth == 1 && *c != ',')) continue;
        pass(out, from, c);
        from = c + 1;
    }
    *end = c;
}

/* The kernel that calls the function, where the macros of common.cl that declare a parameter name it. Lines that begin with a blank
 * are left alone where texts are joined (batch.c). */
static void add_kernel(clm_text *out, const char *name, const char *open) {
    static const char *const macros[] = {"IN", "OUT", "IN_SHARED", "OUT_SHARED"};
    enum { MACROS = sizeof macros / sizeof *macros };
    clm_text passed = {0};
    const char *end;
    pass_all(&passed, open, &end);
    const int length = (int)(open - name);
    clm_text_add(out, FORGET_INDEX APART " static void %.*s_work(" INDICES "%.*s;\n%s%.*s {\n", length, name,
                 (int)(end - open - 1), open + 1, kernel_word, (int)(end - name), name);
    for (int i = 0; i < MACROS; i++)
        clm_text_add(out, " #pragma push_macro(\"%s\")\n #undef %s\n #define %s(x) x##_buf, x##_at\n", macros[i], macros[i],
                     macros[i]);
    clm_text_add(out, "    %.*s_work((int)get_global_id(0), (int)get_global_id(1), (int)get_global_id(2)%s);\n", length, name,
                 passed.data ? passed.data : "");
    for (int i = 0; i < MACROS; i++) clm_text_add(out, " #pragma pop_macro(\"%s\")\n", macros[i]);
    clm_text_add(out, "}\n");
    if (passed.failed) out->failed = true;
    clm_text_free(&passed);
}

/* Not of work-items that know of others, nor where it has been done. */
static bool is_divisible(const char *text) {
    static const char *const asks[] = {"__local ", "get_local_",      "get_group_",    "get_num_",
                                       "barrier(", "work_group_size", "vec_type_hint", "clm_index_0"};
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++)
        if (strstr(text, asks[i])) return false;
    return true;
}

static size_t lines_in(const char *text, const char *end) {
    size_t n = 0;
    for (; text < end; text++) n += *text == '\n';
    return n;
}

clm_status clm_cl_set_apart(const clm_cl_device *d, const char *text, char **out) {
    clm_text changed = {0};
    const char *open, *rest = text;
    *out = NULL;
    if (!(d->avoid & CLM_AVOID_WHOLE_KERNELS) || !is_divisible(text)) return CLM_OK;
    for (const char *name; (name = next_kernel(rest, &open)); rest = open + 1) {
        const char *const line = name - (sizeof kernel_word - 1);
        clm_text_add(&changed, "%.*s", (int)(line - rest), rest);
        add_kernel(&changed, name, open);
        clm_text_add(&changed, " #define get_global_id(d) clm_index_##d\n" APART "\n#line %zu\n", 1 + lines_in(text, line));
        add_function(&changed, name, open, "_work");
    }
    clm_text_add(&changed, "%s" FORGET_INDEX, rest);
    if (changed.failed) return clm_text_free(&changed), clm_fail(CLM_E_MEMORY, "building kernels: out of memory");
    *out = changed.data;
    return CLM_OK;
}
