/* The cache of program binaries when the disk is against it: entries that are cut, altered, foreign or stale, a directory that cannot be
 * written or is no directory, a full disk, many processes at once, and more entries than the bound allows. Programs are built and run
 * all the same, and whatever can be repaired is. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cache.h"
#include "base/files.h"
#include "base/memory.h"
#include "clmaml/clmaml.h"

#define OK(expression) ck_assert_msg((expression) == CLM_OK, "%s", clm_last_error())

static char root[64], programs[80];

static void enter(void) {
    strcpy(root, "/tmp/clmaml-test-XXXXXX");
    if (!mkdtemp(root)) ck_abort_msg("no temporary directory");
    snprintf(programs, sizeof programs, "%s/programs", root);
    setenv("CLMAML_CACHE_DIR", root, 1);
    unsetenv("CLMAML_NO_CACHE");
    unsetenv("CLMAML_KERNEL_DIR");
}

static void remove_tree(const char *path) {
    char **names;
    size_t count;
    chmod(path, 0700);
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

static void leave(void) { remove_tree(root); }

/* x^2 + c of 3 for a device opened anew; how many programs were built from source. */
static size_t run_program(double c) {
    const float three = 3;
    float result = 0;
    clm_device *device = NULL;
    clm_graph *graph = NULL;
    clm_program *program = NULL;
    OK(clm_device_open(&device, NULL));
    ck_assert_msg(clm_device_get_info(device)->type != CLM_DEVICE_HOST, "the tests need an OpenCL device");
    OK(clm_graph_create(&graph));
    clm_value x = clm_input(graph, "x", clm_shape_of(1, 1), false), y = clm_affine(graph, clm_square(graph, x), 1.0, c);
    OK(clm_program_create(&program, device, graph, &y, 1, NULL));
    OK(clm_program_prepare(program));
    OK(clm_tensor_write(clm_program_tensor(program, x), &three, 1));
    OK(clm_program_run(program));
    OK(clm_tensor_read(clm_program_tensor(program, y), &result, 1));
    ck_assert_double_eq_tol(result, 9 + c, 1e-5);
    size_t built = clm_device_kernels_built(device);
    clm_program_free(program);
    clm_graph_free(graph);
    clm_device_close(device);
    return built;
}

/* Until binaries are on disk: a CPU's are stored at the second build. */
static void fill_cache(void) {
    size_t built = 0;
    for (int i = 0; i < 3; i++) built = run_program(1);
    ck_assert_msg(built == 0, "the third run built %zu programs", built);
}

/* The path of the one entry; free(). */
static char *the_entry(void) {
    char **names, *path;
    size_t count;
    OK(clm_directory_list(programs, &names, &count));
    ck_assert_uint_eq(count, 1);
    path = clm_path_join(programs, names[0]);
    clm_names_free(names, count);
    return path;
}

static void write_plain(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file && fwrite(data, 1, size, file) == size && fclose(file) == 0, "cannot write %s", path);
}

/* What was damaged is built again, once, and then found. */
static void expect_repair(const char *what) {
    ck_assert_msg(run_program(1) == 1, "%s: not built again", what);
    ck_assert_msg(run_program(1) == 0, "%s: not repaired", what);
}

START_TEST(damaged_entries_are_built_again) {
    fill_cache();
    char *path = the_entry(), *good = NULL;
    size_t size;
    OK(clm_file_read(path, &good, &size));
    ck_assert_uint_gt(size, 200);
    const size_t cuts[] = {1, 7, 39, 40, 41, size / 2, size - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        write_plain(path, good, cuts[i]);
        expect_repair("cut");
    }
    char *longer = clm_calloc(size + 10, 1);
    memcpy(longer, good, size);
    write_plain(path, longer, size + 10);
    expect_repair("longer");
    /* One bit in the magic, the version, the key, the check sum, the size, the first and last of the binary. */
    const size_t places[] = {0, 7, 8, 23, 24, 32, 40, size - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        memcpy(longer, good, size);
        longer[places[i]] ^= 1;
        write_plain(path, longer, size);
        expect_repair("altered");
    }
    memset(longer, 'x', size);
    write_plain(path, longer, size);
    expect_repair("something else");
    free(longer);
    free(good);
    free(path);
}
END_TEST

START_TEST(foreign_entries_are_refused) {
    fill_cache();
    char *path = the_entry(), *first = NULL, *other = NULL;
    size_t size, other_size;
    OK(clm_file_read(path, &first, &size));
    remove(path);
    for (int i = 0; i < 3; i++) run_program(2);
    char *other_path = the_entry();
    ck_assert_str_ne(path, other_path); /* the constant is in the text */
    OK(clm_file_read(other_path, &other, &other_size));
    write_plain(path, other, other_size); /* well formed, but of another program */
    ck_assert_uint_eq(run_program(1), 1);
    ck_assert_uint_eq(run_program(1), 0);
    free(first);
    free(other);
    free(path);
    free(other_path);
}
END_TEST

START_TEST(an_entry_that_is_a_directory_is_done_without) {
    fill_cache();
    char *path = the_entry();
    remove(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_uint_eq(run_program(1), 1);
    ck_assert_uint_eq(run_program(1), 1);
    free(path);
}
END_TEST

START_TEST(places_that_cannot_be_written) {
    char path[128];
    snprintf(path, sizeof path, "%s/file", root);
    write_plain(path, "x", 1);
    const char *const places[] = {path, "/proc/clmaml-cache", "/dev/null/cache"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        clm_cache_info info;
        setenv("CLMAML_CACHE_DIR", places[i], 1);
        ck_assert_uint_eq(run_program(1), 1);
        OK(clm_cache_describe(&info));
        ck_assert(info.enabled && info.files == 0);
        ck_assert(!info.writable || i == 1); /* what /proc refuses shows only when it is tried */
        ck_assert_str_eq(info.directory, places[i]);
    }
    unsetenv("CLMAML_CACHE_DIR");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    clm_cache_info info;
    ck_assert_uint_eq(run_program(1), 1);
    OK(clm_cache_describe(&info));
    ck_assert(!info.enabled && info.directory[0] == 0);
}
END_TEST

START_TEST(a_directory_becomes_read_only) {
    fill_cache();
    if (geteuid() == 0) return; /* root writes anyway; the places above are those where even root cannot */
    chmod(programs, 0500);
    ck_assert_uint_eq(run_program(1), 0);
    ck_assert_uint_eq(run_program(2), 1);
}
END_TEST

/* As a limit on the size of files, for the write of an entry alone: drivers that keep files of their own die of it. The old entry stays
 * whole and nothing is left beside it. */
START_TEST(the_disk_is_full) {
    struct rlimit limit, tight;
    fill_cache();
    char *path = the_entry(), *data = clm_calloc(1, 100000);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    tight = (struct rlimit){1000, limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    clm_status status = clm_file_replace(path, data, 100000);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(status, CLM_E_IO);
    ck_assert_msg(strstr(clm_last_error(), path), "%s", clm_last_error());
    free(path);
    free(data);
    free(the_entry()); /* one file */
    ck_assert_uint_eq(run_program(1), 0);
}
END_TEST

/* Eight processes start at once on an empty cache, several times over, while entries are damaged. */
START_TEST(many_processes_at_once) {
    enum { PROCESSES = 8, ROUNDS = 3 };
    for (int round = 0; round < ROUNDS; round++) {
        int gate[2], failed = 0;
        pid_t children[PROCESSES];
        ck_assert_int_eq(pipe(gate), 0);
        for (int i = 0; i < PROCESSES; i++) {
            children[i] = fork();
            ck_assert_int_ge(children[i], 0);
            if (children[i] == 0) {
                char byte;
                close(gate[1]);
                while (read(gate[0], &byte, 1) < 0 && errno == EINTR) {} /* until the gate opens */
                run_program(1);
                _exit(0);
            }
        }
        close(gate[0]);
        close(gate[1]);
        for (int i = 0; i < PROCESSES; i++) {
            int state = 0;
            while (waitpid(children[i], &state, 0) < 0 && errno == EINTR) {}
            failed += !WIFEXITED(state) || WEXITSTATUS(state) != 0;
        }
        ck_assert_msg(failed == 0, "round %d: %d of %d processes failed", round, failed, PROCESSES);
        char *path = the_entry(); /* and no temporary file beside it */
        if (round == 1) write_plain(path, "damaged", 7);
        free(path);
    }
    fill_cache();
}
END_TEST

static void put(const char *name, size_t size, long age) {
    char *path = clm_path_join(programs, name), *data = clm_calloc(size, 1);
    struct timespec now, times[2];
    write_plain(path, data, size);
    clock_gettime(CLOCK_REALTIME, &now);
    times[0] = times[1] = (struct timespec){now.tv_sec - age, 0};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    free(data);
    free(path);
}

static bool present(const char *name) {
    char *path = clm_path_join(programs, name);
    bool is = clm_path_exists(path);
    free(path);
    return is;
}

START_TEST(old_entries_go_first) {
    OK(clm_directory_make(programs));
    put("a.bin", 1000, 400);
    put("b.bin", 1000, 300);
    put("c.bin", 1000, 200);
    put("d.bin", 1000, 100);
    put("e.bin.tmp-1-0", 10, 10);
    put("f.bin.tmp-2-0", 10, 7200);
    clm_cache_prune(root, 5000); /* below the bound: only what a dead process left */
    ck_assert(present("a.bin") && present("e.bin.tmp-1-0") && !present("f.bin.tmp-2-0"));
    char *path = clm_path_join(programs, "a.bin");
    clm_cache_touch(path);
    free(path);
    clm_cache_prune(programs, 3000); /* three quarters are left: 2250 bytes */
    ck_assert(present("a.bin") && !present("b.bin") && !present("c.bin") && present("d.bin") && present("e.bin.tmp-1-0"));
    clm_cache_info info;
    OK(clm_cache_describe(&info));
    ck_assert(info.enabled && info.writable && info.files == 3 && info.bytes == 2010 && info.limit == CLM_CACHE_LIMIT);
    clm_cache_prune("/no/such/directory", 1);
}
END_TEST

START_TEST(what_is_used_stays) {
    fill_cache();
    char *path = the_entry();
    struct stat before, after;
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
    ck_assert_int_eq(stat(path, &before), 0);
    ck_assert_uint_eq(run_program(1), 0);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_gt(after.st_mtime, before.st_mtime);
    free(path);
}
END_TEST

START_TEST(switched_off) {
    clm_cache_info info;
    setenv("CLMAML_NO_CACHE", "1", 1);
    for (int i = 0; i < 3; i++) ck_assert_uint_eq(run_program(1), 1);
    ck_assert(!clm_path_exists(programs));
    OK(clm_cache_describe(&info));
    ck_assert(!info.enabled);
    setenv("CLMAML_NO_CACHE", "0", 1);
    fill_cache();
}
END_TEST

int main(void) {
    setenv("CLMAML_QUIRKS", "-pocl-binaries", 1); /* so that the cache is used on PoCL too */
    Suite *suite = suite_create("cache");
    TCase *tc = tcase_create("cache");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, enter, leave);
    tcase_add_test(tc, damaged_entries_are_built_again);
    tcase_add_test(tc, foreign_entries_are_refused);
    tcase_add_test(tc, an_entry_that_is_a_directory_is_done_without);
    tcase_add_test(tc, places_that_cannot_be_written);
    tcase_add_test(tc, a_directory_becomes_read_only);
    tcase_add_test(tc, the_disk_is_full);
    tcase_add_test(tc, many_processes_at_once);
    tcase_add_test(tc, old_entries_go_first);
    tcase_add_test(tc, what_is_used_stays);
    tcase_add_test(tc, switched_off);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
