/* Errors, memory, hashing, random numbers, files. */
#include <check.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/characters.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/interval.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/random.h"
#include "base/svg.h"

/* ---- texts ---- */

/* What is not UTF-8, controls, ends of lines and what turns the direction of writing is not shown; the rest stays. */
START_TEST(printable_names) {
    static const struct {
        const char *name, *shown;
    } rows[] = {{"caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88", "caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88"},
                {"a\nb\x1b[31m\x7f", "a?b?[31m?"},
                {"lat\xff"
                 "in\xe9",
                 "lat?in?"},
                {"\x9b"
                 "31m",
                 "?31m"},
                {"\xc2\x9b"
                 "31m\xc2\x80\xc2\xa0",
                 "??31m??\xc2\xa0"},
                {"\xe2\x80\xae"
                 "txt\xe2\x80\xa8\xe2\x81\xa6\xe2\x81\xa9",
                 "???txt?????????"},
                {"\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xaa", "\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xaa"},
                {"\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xe2\x80", "???????????"},
                {"\xef\xbf\xbf\xef\xbf\xbd", "???\xef\xbf\xbd"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s", rows[i].name);
        clm_printable(text);
        ck_assert_str_eq(text, rows[i].shown);
    }
}
END_TEST

START_TEST(pictures_hold_what_xml_allows) {
    clm_text t = {0};
    clm_svg_open(&t, 10, 10, 0, "<b>\xff\xc2\x9b\x1b", "caf\xc3\xa9\xe9");
    ck_assert(!t.failed);
    ck_assert_ptr_nonnull(strstr(t.data, ">&#60;b&#62;??\?\?</text>"));
    ck_assert_ptr_nonnull(strstr(t.data, ">caf\xc3\xa9?</text>"));
    clm_text_free(&t);
}
END_TEST

START_TEST(numbers_that_are_none) {
    ck_assert_str_eq(clm_number_text(0.25, 6).s, "0.25");
    ck_assert_str_eq(clm_number_text(-1234.5678, 3).s, "-1.23e+03");
    ck_assert_str_eq(clm_number_text((double)NAN, 6).s, "not finite");
    ck_assert_str_eq(clm_number_text(-(double)INFINITY, 6).s, "not finite");
}
END_TEST

/* ---- errors ---- */

/* Numbers have a point, in every locale that the machine has. */
START_TEST(numbers_in_texts) {
    static const struct {
        const char *text;
        double value;
        int length; /* that is read */
    } rows[] = {{"12", 12, 2},         {"0.5", 0.5, 3}, {"1.5G", 1.5, 3}, {"-2.25e2x", -225, 7},
                {"1e-3", 1e-3, 4},     {".5", 0.5, 2},  {"5.", 5, 2},     {"1,5", 1, 1},
                {"+7", 7, 2},          {"x", 0, 0},     {"", 0, 0},       {".", 0, 0},
                {"1e", 1, 1},          {"-", 0, 0},     {"0x10", 0, 1},   {"1e-300", 1e-300, 6},
                {"3e400", HUGE_VAL, 5}};
    static const char *const locales[] = {"C", "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8"};
    for (size_t l = 0; l < sizeof locales / sizeof *locales; l++) {
        if (!setlocale(LC_ALL, locales[l])) continue;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const char *end;
            const double value = clm_number_parse(rows[i].text, &end);
            ck_assert_msg(value == rows[i].value || fabs(value - rows[i].value) <= 1e-15 * fabs(rows[i].value), "\"%s\": %g",
                          rows[i].text, value);
            ck_assert_msg(end == rows[i].text + rows[i].length, "\"%s\": %d characters", rows[i].text,
                          (int)(end - rows[i].text));
        }
    }
    setlocale(LC_ALL, "C");
}
END_TEST

/* P(|T| <= t) of Student's t with so many degrees of freedom, by Simpson's rule on its density. */
static double within(double t, double degrees) {
    enum { PARTS = 20000 };
    const double factor = exp(lgamma((degrees + 1) / 2) - lgamma(degrees / 2)) / sqrt(degrees * acos(-1));
    double sum = 0;
    for (int i = 0; i <= PARTS; i++) {
        const double x = t * i / PARTS, weight = i == 0 || i == PARTS ? 1 : i % 2 ? 4 : 2;
        sum += weight * pow(1 + x * x / degrees, -(degrees + 1) / 2);
    }
    return 2 * factor * sum * t / PARTS / 3;
}

START_TEST(intervals_hold_95_percent) {
    for (int n = 2; n < 3000; n += 1 + n / 10) {
        const double half = clm_interval_half(4, n), t = half / sqrt(4.0 / n);
        ck_assert_msg(fabs(within(t, n - 1) - 0.95) < 1e-6, "%d values: %g of the probability", n, within(t, n - 1));
    }
    ck_assert_double_eq(clm_interval_half(0, 5), 0);
    ck_assert_double_eq(clm_interval_half(-1e-18, 5), 0);
    ck_assert(isnan(clm_interval_half(1, 1)));
    ck_assert(isnan(clm_interval_half(NAN, 5)));
    ck_assert(isnan(clm_interval_half(INFINITY, 5)));
}
END_TEST

START_TEST(error_names) {
    ck_assert_str_eq(clm_status_name(CLM_OK), "CLM_OK");
    ck_assert_str_eq(clm_status_name(CLM_E_SHAPE), "CLM_E_SHAPE");
    ck_assert_str_eq(clm_status_name(CLM_E_STATE), "CLM_E_STATE");
    ck_assert_ptr_nonnull(clm_status_name((clm_status)12345));
}
END_TEST

START_TEST(error_message_may_be_made_of_the_last_one) {
    ck_assert_int_eq(clm_fail(CLM_E_IO, "file %d", 7), CLM_E_IO);
    ck_assert_str_eq(clm_last_error(), "file 7");
    ck_assert_int_eq(clm_fail(CLM_E_ARG, "again: %s", clm_last_error()), CLM_E_ARG);
    ck_assert_str_eq(clm_last_error(), "again: file 7");
    ck_assert_int_eq(clm_fail_in(CLM_E_ARG, "while %s", "testing"), CLM_E_ARG);
    ck_assert_str_eq(clm_last_error(), "while testing: again: file 7");
}
END_TEST

START_TEST(error_message_is_cut_not_overrun) {
    char *huge = clm_calloc(100001, 1);
    memset(huge, 'x', 100000);
    clm_fail(CLM_E_ARG, "%s", huge);
    size_t kept = strlen(clm_last_error());
    ck_assert_uint_gt(kept, 1000);
    ck_assert_uint_lt(kept, 100000);
    clm_fail_in(CLM_E_ARG, "before");
    ck_assert_int_eq(strncmp(clm_last_error(), "before: xxx", 11), 0);
    free(huge);
}
END_TEST

static void *fail_elsewhere(void *unused) {
    (void)unused;
    clm_fail(CLM_E_ARG, "another thread's");
    return NULL;
}

START_TEST(error_belongs_to_its_thread) {
    pthread_t thread;
    clm_fail(CLM_E_ARG, "mine");
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_str_eq(clm_last_error(), "mine");
}
END_TEST

/* ---- memory ---- */

START_TEST(calloc_refuses_sizes_that_overflow) {
    ck_assert_ptr_null(clm_calloc(SIZE_MAX / 2, 4));
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "out of memory"));
    void *nothing = clm_calloc(0, 8);
    ck_assert_ptr_nonnull(nothing);
    free(nothing);
}
END_TEST

START_TEST(grow_keeps_old_and_zeroes_new) {
    int *array = NULL;
    size_t capacity = 0;
    for (int n = 1; n < 1000; n++) {
        ck_assert_int_eq(clm_grow(&array, &capacity, (size_t)n, sizeof *array), CLM_OK);
        ck_assert_uint_ge(capacity, (size_t)n);
        ck_assert_int_eq(array[n - 1], 0);
        array[n - 1] = n;
    }
    for (int n = 1; n < 1000; n++) ck_assert_int_eq(array[n - 1], n);
    size_t before = capacity;
    ck_assert_int_eq(clm_grow(&array, &capacity, SIZE_MAX / 2, sizeof *array), CLM_E_MEMORY);
    ck_assert_uint_eq(capacity, before);
    ck_assert_int_eq(array[998], 999);
    free(array);
}
END_TEST

/* Whatever part of it is named, from less than a page on. */
START_TEST(large_pages_leave_memory_as_it_is) {
    enum { SIZE = 5 << 20 };
    unsigned char *memory = clm_calloc(SIZE, 1);
    ck_assert_ptr_nonnull(memory);
    for (size_t i = 0; i < SIZE; i += 1009) memory[i] = (unsigned char)(i >> 3);
    static const size_t parts[][2] = {{0, 0}, {1, 100}, {4095, 4098}, {12345, SIZE - 23456}, {0, SIZE}};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) clm_prefer_large_pages(memory + parts[k][0], parts[k][1]);
    size_t changed = 0;
    for (size_t i = 0; i < SIZE; i++) changed += memory[i] != (i % 1009 ? 0 : (unsigned char)(i >> 3));
    ck_assert_uint_eq(changed, 0);
    free(memory);
}
END_TEST

START_TEST(text_grows) {
    clm_text text = {0};
    char *expected = NULL;
    for (int i = 0; i < 200; i++) {
        char *longer = clm_format("%s%d,", expected ? expected : "", i);
        free(expected);
        expected = longer;
        clm_text_add(&text, "%d,", i);
    }
    ck_assert_str_eq(text.data, expected);
    ck_assert_uint_eq(text.length, strlen(expected));
    ck_assert_int_eq(text.failed, 0);
    clm_text_free(&text);
    ck_assert_ptr_null(text.data);
    free(expected);
}
END_TEST

/* A part that is missing for want of memory must not go unnoticed in the whole: it may be a kernel's. */
START_TEST(texts_join) {
    clm_text whole = {0}, part = {0}, empty = {0}, failed = {.failed = 1};
    clm_text_add(&part, "%d", 7);
    clm_text_join(&whole, &part);
    clm_text_join(&whole, &empty);
    clm_text_join(&whole, &part);
    ck_assert_str_eq(whole.data, "77");
    ck_assert_int_eq(whole.failed, 0);
    clm_text_join(&whole, &failed);
    ck_assert_int_ne(whole.failed, 0);
    clm_text_free(&whole);
    clm_text_free(&part);
}
END_TEST

/* ---- hashing ---- */

/* From an independent implementation in another language; splits and caches depend on these never changing. */
START_TEST(hash_known_answers) {
    ck_assert_uint_eq(clm_hash(CLM_HASH_SEED, "", 0), UINT64_C(0xefd01f60ba992926));
    ck_assert_uint_eq(clm_hash_text(CLM_HASH_SEED, "a"), UINT64_C(0x86fc2d0407502de5));
    ck_assert_uint_eq(clm_hash_text(CLM_HASH_SEED, "clMAML"), UINT64_C(0x5381f32252ef0fbe));
}
END_TEST

START_TEST(hash_tells_texts_apart) {
    uint64_t ab_c = clm_hash_text(clm_hash_text(CLM_HASH_SEED, "ab"), "c");
    uint64_t a_bc = clm_hash_text(clm_hash_text(CLM_HASH_SEED, "a"), "bc");
    ck_assert_uint_ne(ab_c, a_bc);
}
END_TEST

START_TEST(hash_avalanches) {
    unsigned char data[16] = "0123456789abcde";
    uint64_t whole = clm_hash(CLM_HASH_SEED, data, sizeof data);
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        uint64_t changed = whole ^ clm_hash(CLM_HASH_SEED, data, sizeof data);
        data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        int count = 0;
        for (; changed; changed &= changed - 1) count++;
        ck_assert_int_gt(count, 10);
        ck_assert_int_lt(count, 54);
    }
}
END_TEST

/* ---- random numbers ---- */

/* The known-answer vectors published with the generator (Salmon et al. 2011, Random123). */
START_TEST(random_known_answers) {
    static const struct {
        uint64_t key, stream, next;
        uint32_t block[4];
    } rows[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {UINT64_C(0x299f31d0a4093822),
         UINT64_C(0x0370734413198a2e),
         UINT64_C(0x85a308d3243f6a88),
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clm_random r = clm_random_make(rows[i].key, rows[i].stream);
        r.next = rows[i].next;
        for (int k = 0; k < 4; k++) ck_assert_uint_eq(clm_random_u32(&r), rows[i].block[k]);
    }
}
END_TEST

START_TEST(random_continues_from_its_counters) {
    clm_random a = clm_random_make(3, 4);
    for (int i = 0; i < 5; i++) clm_random_u32(&a);
    clm_random b = a;
    for (int i = 0; i < 100; i++) ck_assert_uint_eq(clm_random_u64(&a), clm_random_u64(&b));
    clm_random other = clm_random_make(3, 5);
    clm_random same = clm_random_make(3, 4);
    ck_assert_uint_ne(clm_random_u64(&other), clm_random_u64(&same));
}
END_TEST

START_TEST(random_below_is_even) {
    enum { SIDES = 7, THROWS = 70000 };
    clm_random r = clm_random_make(1, 1);
    int count[SIDES] = {0};
    for (int i = 0; i < THROWS; i++) {
        uint32_t side = clm_random_below(&r, SIDES);
        ck_assert_uint_lt(side, SIDES);
        count[side]++;
    }
    double chi2 = 0.0, expected = (double)THROWS / SIDES;
    for (int i = 0; i < SIDES; i++) chi2 += (count[i] - expected) * (count[i] - expected) / expected;
    ck_assert_double_lt(chi2, 22.46); /* 99.9 % point for 6 degrees of freedom */
    ck_assert_uint_eq(clm_random_below(&r, 1), 0);
    for (int i = 0; i < 100; i++) ck_assert_uint_lt(clm_random_below(&r, 0x80000001u), 0x80000001u);
}
END_TEST

START_TEST(random_uniform_moments) {
    enum { N = 100000 };
    clm_random r = clm_random_make(2, 9);
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < N; i++) {
        double u = clm_random_uniform(&r);
        ck_assert(u >= 0.0 && u < 1.0);
        sum += u;
        squares += u * u;
    }
    ck_assert_double_eq_tol(sum / N, 0.5, 4 * 0.2887 / sqrt(N));
    ck_assert_double_eq_tol(squares / N, 1.0 / 3.0, 4 * 0.2981 / sqrt(N));
}
END_TEST

/* The library's own logarithm and cosine against the system's. */
START_TEST(random_normal_is_box_muller) {
    clm_random r = clm_random_make(5, 6), uniforms = r;
    double mean = 0.0, variance = 0.0, fourth = 0.0;
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        double z = clm_random_normal(&r);
        double u = 1.0 - clm_random_uniform(&uniforms), v = clm_random_uniform(&uniforms);
        double radius = sqrt(-2.0 * log(u));
        ck_assert_double_eq_tol(z, radius * cos(2.0 * 3.14159265358979324 * v), 4e-15 * (1.0 + radius));
        mean += z / N;
        variance += z * z / N;
        fourth += z * z * z * z / N;
    }
    ck_assert_double_eq_tol(mean, 0.0, 4 / sqrt(N));
    ck_assert_double_eq_tol(variance, 1.0, 4 * sqrt(2.0 / N));
    ck_assert_double_eq_tol(fourth, 3.0, 4 * sqrt(96.0 / N));
}
END_TEST

START_TEST(random_shuffle_permutes) {
    enum { N = 1000 };
    uint32_t items[N];
    int seen[N] = {0}, moved = 0;
    for (uint32_t i = 0; i < N; i++) items[i] = i;
    clm_random r = clm_random_make(7, 7);
    clm_random_shuffle(&r, items, N);
    for (uint32_t i = 0; i < N; i++) {
        seen[items[i]]++;
        moved += items[i] != i;
    }
    for (int i = 0; i < N; i++) ck_assert_int_eq(seen[i], 1);
    ck_assert_int_gt(moved, N - 10);
}
END_TEST

/* ---- files ---- */

static char directory[64];

static void enter_directory(void) {
    strcpy(directory, "/tmp/clmaml-test-XXXXXX");
    if (!mkdtemp(directory)) ck_abort_msg("no temporary directory");
}

static void remove_tree(const char *path) {
    char **names;
    size_t count;
    if (clm_path_is_directory(path) && clm_directory_list(path, &names, &count) == CLM_OK) {
        for (size_t i = 0; i < count; i++) {
            char *inner = clm_path_join(path, names[i]);
            remove_tree(inner);
            free(inner);
        }
        clm_names_free(names, count);
    }
    remove(path);
}

static void leave_directory(void) { remove_tree(directory); }

static char *in_directory(const char *name) { return clm_path_join(directory, name); }

static void check_contents(const char *path, const void *data, size_t size) {
    char *read = NULL;
    size_t length = 0;
    ck_assert_msg(clm_file_read(path, &read, &length) == CLM_OK, "%s", clm_last_error());
    ck_assert_uint_eq(length, size);
    ck_assert_mem_eq(read, data, size);
    ck_assert_int_eq(read[size], 0);
    free(read);
}

static void check_names(size_t expected) {
    char **names;
    size_t count;
    ck_assert_int_eq(clm_directory_list(directory, &names, &count), CLM_OK);
    ck_assert_uint_eq(count, expected);
    clm_names_free(names, count);
}

START_TEST(file_round_trip) {
    char *path = in_directory("file");
    size_t size = 300000;
    char *data = clm_calloc(size, 1);
    for (size_t i = 0; i < size; i++) data[i] = (char)(i * 31 % 257);
    ck_assert_int_eq(clm_file_write(path, data, size), CLM_OK);
    check_contents(path, data, size);
    ck_assert_int_eq(clm_file_write(path, "short", 5), CLM_OK);
    check_contents(path, "short", 5);
    ck_assert_int_eq(clm_file_write(path, "", 0), CLM_OK);
    check_contents(path, "", 0);
    check_names(1);
    ck_assert_int_eq(clm_file_remove(path), CLM_OK);
    ck_assert(!clm_path_exists(path));
    ck_assert_int_eq(clm_file_remove(path), CLM_OK);
    free(data);
    free(path);
}
END_TEST

START_TEST(file_errors_name_the_path) {
    char *path = in_directory("absent/file"), *data = NULL;
    ck_assert_int_eq(clm_file_read(path, &data, NULL), CLM_E_IO);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), path));
    ck_assert_int_eq(clm_file_write(path, "x", 1), CLM_E_IO);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), path));
    ck_assert_int_eq(clm_file_read(directory, &data, NULL), CLM_E_IO);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), directory));
    ck_assert_ptr_null(data);
    free(path);
}
END_TEST

/* A disk that is full half-way through, as the limit on file sizes imitates it. */
START_TEST(failed_write_loses_nothing) {
    char *path = in_directory("file");
    size_t size = 1 << 20;
    char *data = clm_calloc(size, 1);
    ck_assert_int_eq(clm_file_write(path, "precious", 8), CLM_OK);
    struct rlimit old, low;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    low = old;
    low.rlim_cur = 4096;
    setrlimit(RLIMIT_FSIZE, &low);
    clm_status status = clm_file_write(path, data, size);
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_int_eq(status, CLM_E_IO);
    check_contents(path, "precious", 8);
    check_names(1);
    free(data);
    free(path);
}
END_TEST

START_TEST(directories) {
    char *deep = in_directory("a/b/c"), *file = in_directory("a/file"), *below = in_directory("a/file/b"),
         *a = in_directory("a");
    ck_assert_msg(clm_directory_make(deep) == CLM_OK, "%s", clm_last_error());
    ck_assert(clm_path_is_directory(deep));
    ck_assert_int_eq(clm_directory_make(deep), CLM_OK);
    ck_assert_int_eq(clm_file_write(file, "x", 1), CLM_OK);
    ck_assert(!clm_path_is_directory(file));
    ck_assert_int_eq(clm_directory_make(below), CLM_E_IO);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), file));
    char **names;
    size_t count;
    ck_assert_int_eq(clm_directory_list(a, &names, &count), CLM_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(names[0], "b");
    ck_assert_str_eq(names[1], "file");
    clm_names_free(names, count);
    ck_assert_int_eq(clm_directory_list(below, &names, &count), CLM_E_IO);
    free(deep);
    free(file);
    free(below);
    free(a);
}
END_TEST

static void check_cache_directory(const char *own, const char *xdg, const char *home, const char *expected) {
    char *path = NULL;
    if (own)
        setenv("CLMAML_CACHE_DIR", own, 1);
    else
        unsetenv("CLMAML_CACHE_DIR");
    if (xdg)
        setenv("XDG_CACHE_HOME", xdg, 1);
    else
        unsetenv("XDG_CACHE_HOME");
    if (home)
        setenv("HOME", home, 1);
    else
        unsetenv("HOME");
    clm_status status = clm_cache_directory(&path);
    if (expected) {
        ck_assert_int_eq(status, CLM_OK);
        ck_assert_str_eq(path, expected);
    } else {
        ck_assert_int_eq(status, CLM_E_IO);
    }
    free(path);
}

START_TEST(cache_directory_from_the_environment) {
    check_cache_directory("/own", "/xdg", "/home/me", "/own");
    check_cache_directory(NULL, "/xdg", "/home/me", "/xdg/clmaml");
    check_cache_directory("", "", "/home/me/", "/home/me/.cache/clmaml");
    check_cache_directory(NULL, NULL, NULL, NULL);
}
END_TEST

START_TEST(clock_goes_forward) {
    double last = clm_clock();
    for (int i = 0; i < 1000; i++) {
        double now = clm_clock();
        ck_assert_double_ge(now, last);
        last = now;
    }
    ck_assert_uint_gt(clm_physical_memory(), UINT64_C(1) << 20);
    const uint64_t left = clm_available_memory();
    ck_assert(left > UINT64_C(1) << 20 && left <= clm_physical_memory());
}
END_TEST

int main(void) {
    Suite *suite = suite_create("base");
    TCase *values = tcase_create("values"), *files = tcase_create("files");
    tcase_add_test(values, printable_names);
    tcase_add_test(values, pictures_hold_what_xml_allows);
    tcase_add_test(values, numbers_that_are_none);
    tcase_add_test(values, numbers_in_texts);
    tcase_add_test(values, intervals_hold_95_percent);
    tcase_add_test(values, error_names);
    tcase_add_test(values, error_message_may_be_made_of_the_last_one);
    tcase_add_test(values, error_message_is_cut_not_overrun);
    tcase_add_test(values, error_belongs_to_its_thread);
    tcase_add_test(values, calloc_refuses_sizes_that_overflow);
    tcase_add_test(values, grow_keeps_old_and_zeroes_new);
    tcase_add_test(values, large_pages_leave_memory_as_it_is);
    tcase_add_test(values, text_grows);
    tcase_add_test(values, texts_join);
    tcase_add_test(values, hash_known_answers);
    tcase_add_test(values, hash_tells_texts_apart);
    tcase_add_test(values, hash_avalanches);
    tcase_add_test(values, random_known_answers);
    tcase_add_test(values, random_continues_from_its_counters);
    tcase_add_test(values, random_below_is_even);
    tcase_add_test(values, random_uniform_moments);
    tcase_add_test(values, random_normal_is_box_muller);
    tcase_add_test(values, random_shuffle_permutes);
    tcase_add_checked_fixture(files, enter_directory, leave_directory);
    tcase_add_test(files, file_round_trip);
    tcase_add_test(files, file_errors_name_the_path);
    tcase_add_test(files, failed_write_loses_nothing);
    tcase_add_test(files, directories);
    tcase_add_test(files, cache_directory_from_the_environment);
    tcase_add_test(files, clock_goes_forward);
    suite_add_tcase(suite, values);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
