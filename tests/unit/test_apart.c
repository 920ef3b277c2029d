/* Kernels whose work is a function of its own: what becomes of a text. That they compute the same is tested by all else. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "device/opencl/opencl.h"

/* A space for each run of white space, none at the ends. */
static char *plain(const char *text) {
    clm_text out = {0};
    for (const char *c = text; *c;) {
        const size_t blanks = strspn(c, " \n"), word = strcspn(c + blanks, " \n");
        clm_text_add(&out, "%s%.*s", out.data && word ? " " : "", (int)word, c + blanks);
        c += blanks + word;
    }
    return out.data;
}

static char *changed(const char *text) {
    const clm_cl_device d = {.avoid = CLM_AVOID_WHOLE_KERNELS};
    char *out, *words;
    ck_assert_int_eq(clm_cl_set_apart(&d, text, &out), CLM_OK);
    if (!out) return NULL;
    words = plain(out);
    free(out);
    return words;
}

static void expect_part(const char *text, const char *part) {
    char *words = changed(text);
    ck_assert_ptr_nonnull(words);
    ck_assert_msg(strstr(words, part), "no\n%s\nin\n%s", part, words);
    free(words);
}

START_TEST(a_kernel_calls_a_function_with_its_parameters) {
    static const char text[] = "#if A\n__kernel void scale(OUT(y), IN(x) SECOND(a, b),\n"
                               "  __global int *const n, const int4 q0, float by) {\n    y(get_global_id(0));\n}\n#endif\n";
    expect_part(text, "#if A #undef get_global_id __attribute__((noinline)) static void scale_work(const int clm_index_0, "
                      "const int clm_index_1, const int clm_index_2, OUT(y), IN(x) SECOND(a, b), __global int *const n, "
                      "const int4 q0, float by); "
                      "__kernel void scale(OUT(y), IN(x) SECOND(a, b), __global int *const n, const int4 q0, float by) { "
                      "#pragma push_macro(\"IN\") #undef IN #define IN(x) x##_buf, x##_at ");
    expect_part(text,
                "#define OUT_SHARED(x) x##_buf, x##_at "
                "scale_work((int)get_global_id(0), (int)get_global_id(1), (int)get_global_id(2), OUT(y), IN(x) SECOND(a, b), "
                "n, q0, by); #pragma pop_macro(\"IN\")");
    expect_part(text, "#pragma pop_macro(\"OUT_SHARED\") } #define get_global_id(d) clm_index_##d "
                      "__attribute__((noinline)) #line 2 static void scale_work(const int clm_index_0, const int clm_index_1, "
                      "const int clm_index_2, OUT(y), ");
    expect_part(text, "{ y(get_global_id(0)); } #endif #undef get_global_id");
}
END_TEST

START_TEST(all_kernels_of_a_text) {
    static const char text[] = "__kernel void a(IN(x)) { A(x) }\n__kernel void b(IN(y)) { B(y) }\n";
    expect_part(text, "a_work((int)get_global_id(0), (int)get_global_id(1), (int)get_global_id(2), IN(x));");
    expect_part(text, "b_work((int)get_global_id(0), (int)get_global_id(1), (int)get_global_id(2), IN(y));");
    expect_part(text, "__attribute__((noinline)) #line 2 static void b_work(");
}
END_TEST

START_TEST(what_stays_as_it_is) {
    static const char *const texts[] = {"__kernel void a(IN(x)) { __local float y[4]; }",
                                        "__kernel void a(IN(x)) { const int i = get_local_id(0); }",
                                        "__kernel void a(IN(x)) { barrier(CLK_GLOBAL_MEM_FENCE); }",
                                        "__attribute__((reqd_work_group_size(8, 1, 1))) __kernel void a(IN(x)) {}",
                                        "static void b(const int clm_index_0) {}\n__kernel void a(IN(x)) { b(0); }"};
    char *out;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) ck_assert_ptr_null(changed(texts[i]));
    ck_assert_int_eq(clm_cl_set_apart(&(clm_cl_device){0}, "__kernel void a(IN(x)) {}", &out), CLM_OK);
    ck_assert_ptr_null(out);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apart");
    TCase *c = tcase_create("apart");
    tcase_add_test(c, a_kernel_calls_a_function_with_its_parameters);
    tcase_add_test(c, all_kernels_of_a_text);
    tcase_add_test(c, what_stays_as_it_is);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
