/* The direction of the arrows between the library's layers, checked on the #include lines of the sources:
 *
 *     base <- graph <- autodiff <- meta        base <- device        program sees graph, ops and device
 *
 * Only device/opencl knows OpenCL, only base (and the program's) talks to the operating system, the program and the examples
 * use the public headers alone. So does src/check, which is compiled into the program and into the tests. A rule is a row of
 * `layers`; a file belongs to the row with the longest matching prefix.
 *
 * The program is in wings that have such rules too. Its own headers are named from src/cli.
 */
#include <check.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_NAMES 12

typedef struct layer {
    const char *prefix;            /* of paths below the source directory */
    const char *sees[MAX_NAMES];   /* prefixes of paths below src/ that it may include */
    const char *public[MAX_NAMES]; /* public headers it may include; "*": all */
    bool opencl, system;           /* may include OpenCL, operating system headers */
} layer;

static const layer layers[] = {
    {"include/clmaml/", {NULL}, {"*"}, false, false},
    {"src/base/", {"base/"}, {"status.h", "environment.h"}, false, true},
    {"src/comm/", {"base/", "comm/"}, {"status.h", "comm.h"}, false, false},
    {"src/mpi/", {NULL}, {"status.h", "comm.h", "mpi.h"}, false, true},
    {"src/graph/", {"base/", "graph/", "ops/op.h", "ops/opcodes.h"}, {"status.h", "graph.h"}, false, false},
    {"src/autodiff/", {"base/", "graph/", "autodiff/", "ops/op.h", "ops/opcodes.h"}, {"status.h", "graph.h"}, false, false},
    {"src/ops/",
     {"base/", "graph/", "ops/", "program/lower.h", "tune/store.h", "tune/database.h", "tune/clblast.h"},
     {"status.h", "graph.h", "device.h"},
     false,
     false},
    {"src/device/", {"base/", "device/backend.h", "device/emulate.h", "device/spec.h"}, {"status.h", "device.h"}, false, false},
    {"src/device/host/", {"base/", "device/backend.h", "device/host/"}, {"status.h", "device.h"}, false, false},
    {"src/device/opencl/",
     {"base/", "device/backend.h", "device/emulate.h", "device/opencl/"},
     {"status.h", "device.h"},
     true,
     false},
    {"src/program/",
     {"base/", "graph/", "ops/", "device/backend.h", "program/"},
     {"status.h", "graph.h", "device.h", "program.h", "data.h", "dataset.h"},
     false,
     false},
    {"src/tune/",
     {"base/", "graph/", "ops/", "device/backend.h", "program/", "tune/"},
     {"status.h", "comm.h", "graph.h", "device.h", "program.h", "tune.h"},
     false,
     false},
    {"src/model/", {"base/", "graph/", "model/"}, {"status.h", "graph.h", "model.h"}, false, false},
    {"src/checkpoint/", {"base/", "checkpoint/"}, {"status.h", "graph.h", "checkpoint.h"}, false, false},
    {"src/data/", {"base/", "data/"}, {"status.h", "graph.h", "data.h", "checkpoint.h"}, false, false},
    {"src/meta/",
     {"base/", "graph/", "autodiff/", "program/", "model/", "device/backend.h", "tune/", "meta/"},
     {"*"},
     false,
     false},
    /* Rules and algorithms know graphs and tasks, and neither devices nor programs. */
    {"src/meta/inner/", {"base/", "graph/", "meta/task.h", "meta/inner/"}, {"status.h", "graph.h", "task.h"}, false, false},
    {"src/meta/algorithm/",
     {"base/", "meta/task.h", "meta/loss.h", "meta/inner/", "meta/exec/stages.h", "meta/algorithm/"},
     {"status.h", "graph.h", "task.h"},
     false,
     false},
    {"src/meta/exec/",
     {"base/", "graph/", "program/", "device/backend.h", "meta/task.h", "meta/internal.h", "meta/inner/",
      "meta/algorithm/algorithm.h", "meta/task_json.h", "meta/exec/"},
     {"*"},
     false,
     false},
    {"src/meta/plan/",
     {"base/", "graph/", "program/", "tune/", "meta/internal.h", "meta/algorithm/algorithm.h", "meta/plan/"},
     {"*"},
     false,
     false},
    {"src/meta/devices/",
     {"base/", "comm/", "program/", "meta/internal.h", "meta/plan/plan.h", "meta/devices/"},
     {"*"},
     false,
     false},
    {"src/policy/", {"base/", "program/", "device/backend.h", "meta/optimizer/optimizer.h", "policy/"}, {"*"}, false, false},
    {"src/binding/", {NULL}, {"*"}, false, false},
    {"src/train/", {"base/", "comm/comm.h", "train/"}, {"*"}, false, false},
    {"src/export/",
     {"base/", "model/internal.h", "export/"},
     {"status.h", "checkpoint.h", "data.h", "model.h", "learner.h", "export.h"},
     false,
     false},
    {"src/check/", {"check/"}, {"graph.h"}, false, false},
    {"src/cli/base/", {"cli/base/"}, {"*"}, false, true},
    {"src/cli/selftest/", {"cli/base/", "check/", "cli/selftest/"}, {"*"}, false, false},
    {"src/cli/config/", {"cli/base/", "cli/config/"}, {"*"}, false, false},
    {"src/cli/eval/", {"cli/base/", "cli/config/", "cli/selftest/first_use.h", "cli/eval/"}, {"*"}, false, false},
    {"src/cli/tune/", {"cli/base/", "cli/config/", "cli/selftest/first_use.h", "cli/tune/"}, {"*"}, false, false},
    {"src/cli/train/",
     {"cli/base/", "cli/config/", "cli/selftest/first_use.h", "cli/eval/scores.h", "cli/tune/on_the_way.h", "cli/train/"},
     {"*"},
     false,
     false},
    {"src/cli/sweep/",
     {"cli/base/", "cli/config/", "cli/eval/scores.h", "cli/train/check.h", "cli/sweep/"},
     {"*"},
     false,
     false},
    {"src/cli/bench/", {"cli/base/", "cli/selftest/first_use.h", "cli/bench/"}, {"*"}, false, false},
    {"src/cli/doctor/", {"cli/base/", "check/", "cli/selftest/", "cli/doctor/"}, {"*"}, false, false},
    {"src/cli/use/", {"cli/base/", "cli/config/", "cli/selftest/first_use.h", "cli/use/"}, {"*"}, false, false},
    {"src/cli/report/", {"cli/base/", "cli/config/", "cli/selftest/first_use.h", "cli/report/"}, {"*"}, false, false},
    {"src/cli/verify/", {"cli/base/", "cli/verify/"}, {"*"}, false, false},
    {"src/cli/pages/", {"cli/base/", "cli/pages/"}, {"*"}, false, false},
    {"src/cli/topics/", {"cli/base/", "cli/config/", "cli/topics/"}, {"*"}, false, false},
    {"src/cli/",
     {"cli/commands.h", "cli/base/", "cli/doctor/examine.h", "cli/pages/pages.h", "cli/selftest/selftest.h",
      "cli/topics/topics.h"},
     {"*"},
     false,
     false},
    {"src/meta/optimizer/",
     {"base/", "graph/", "program/", "meta/optimizer/"},
     {"status.h", "graph.h", "program.h", "checkpoint.h", "optim.h"},
     false,
     false},
    {"examples/", {"examples/"}, {"*"}, false, false},
};
enum { LAYER_COUNT = sizeof layers / sizeof layers[0] };

/* Headers of OpenCL and of libraries on top of it, and of POSIX beyond ISO C. */
static const char *const opencl_headers[] = {"CL/", "OpenCL/", "clblast", "clFFT", NULL};
static const char *const system_headers[] = {"unistd.h", "sys/",      "dirent.h", "fcntl.h", "pthread.h", "dlfcn.h",
                                             "poll.h",   "termios.h", "glob.h",   "spawn.h", "strings.h", NULL};

static const char program[] = "src/cli/", shared[] = "src/check/"; /* what the program and the tests share */

static bool starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

static bool any_prefix(const char *text, const char *const *prefixes) {
    for (size_t i = 0; prefixes[i]; i++)
        if (starts_with(text, prefixes[i])) return true;
    return false;
}

static const layer *layer_of(const char *path) {
    const layer *best = NULL;
    for (size_t i = 0; i < LAYER_COUNT; i++)
        if (starts_with(path, layers[i].prefix) && (!best || strlen(layers[i].prefix) > strlen(best->prefix)))
            best = &layers[i];
    return best;
}

/* Why a file of `from` may not include `target`, or NULL. `target` is "src/..", "include/clmaml/..", "examples/.." or the name of
 * a system header in angle brackets. */
static const char *violation(const layer *from, const char *target, bool angle) {
    if (angle) {
        if (!from->opencl && any_prefix(target, opencl_headers)) return "OpenCL belongs to src/device/opencl";
        if (!from->system && any_prefix(target, system_headers)) return "operating system calls belong to src/base";
        return NULL;
    }
    if (starts_with(target, "include/clmaml/")) {
        const char *name = target + strlen("include/clmaml/");
        for (size_t i = 0; i < MAX_NAMES && from->public[i]; i++)
            if (!strcmp(from->public[i], "*") || !strcmp(from->public[i], name)) return NULL;
        return "this public header is above the layer";
    }
    const char *below = starts_with(target, "src/") ? target + 4 : target;
    for (size_t i = 0; i < MAX_NAMES && from->sees[i]; i++)
        if (starts_with(below, from->sees[i])) return NULL;
    return "the arrow points the other way";
}

typedef struct walk {
    const char *root;
    char report[4096];
    size_t files[LAYER_COUNT], includes;
} walk;

static void complain(walk *w, const char *path, const char *target, const char *why) {
    size_t used = strlen(w->report);
    snprintf(w->report + used, sizeof w->report - used, "%s includes %s: %s\n", path, target, why);
}

static bool file_exists(const char *root, const char *path) {
    char full[2048];
    struct stat info;
    snprintf(full, sizeof full, "%s/%s", root, path);
    return stat(full, &info) == 0;
}

/* Turns what stands between the quotes into a path below the source directory: next to the file, below src/ (in the program
 * first below src/cli/) or below include/. */
static bool resolve(const walk *w, const char *path, const char *name, char *out, size_t size) {
    const char *slash = strrchr(path, '/');
    snprintf(out, size, "%.*s/%s", (int)(slash - path), path, name);
    if (file_exists(w->root, out)) return true;
    snprintf(out, size, "%s%s", program, name);
    if (starts_with(path, program) && file_exists(w->root, out)) return true;
    snprintf(out, size, "src/%s", name);
    if (file_exists(w->root, out)) return true;
    snprintf(out, size, "include/%s", name);
    return file_exists(w->root, out);
}

static void check_line(walk *w, const char *path, const layer *from, const char *line) {
    char name[512], target[1024];
    char open = 0;
    if (sscanf(line, " # include %c%511[^\">]", &open, name) != 2) return;
    w->includes++;
    bool angle = open == '<';
    if (starts_with(name, "clmaml/")) {
        snprintf(target, sizeof target, "include/%s", name);
        angle = false;
    } else if (angle) {
        snprintf(target, sizeof target, "%s", name);
    } else if (!resolve(w, path, name, target, sizeof target)) {
        complain(w, path, name, "no such file in src/ or include/");
        return;
    }
    const char *why = violation(from, target, angle);
    if (why) complain(w, path, name, why);
}

static void check_file(walk *w, const char *path) {
    const layer *from = layer_of(path);
    if (!from) {
        complain(w, path, "(anything)", "the file belongs to no layer");
        return;
    }
    w->files[from - layers]++;
    char full[2048], line[2048];
    snprintf(full, sizeof full, "%s/%s", w->root, path);
    FILE *file = fopen(full, "r");
    ck_assert_msg(file != NULL, "cannot open %s", full);
    while (fgets(line, sizeof line, file)) check_line(w, path, from, line);
    fclose(file);
}

static void check_directory(walk *w, const char *path) {
    char full[2048];
    snprintf(full, sizeof full, "%s/%s", w->root, path);
    DIR *directory = opendir(full);
    ck_assert_msg(directory != NULL, "cannot open %s", full);
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (entry->d_name[0] == '.') continue;
        char child[1024];
        struct stat info;
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        snprintf(full, sizeof full, "%s/%s", w->root, child);
        const char *dot = strrchr(entry->d_name, '.');
        if (stat(full, &info) == 0 && S_ISDIR(info.st_mode))
            check_directory(w, child);
        else if (dot && (!strcmp(dot, ".c") || !strcmp(dot, ".h")))
            check_file(w, child);
    }
    closedir(directory);
}

static const char *source_directory(void) {
    const char *root = getenv("CLMAML_SOURCE_DIR");
    ck_assert_msg(root && root[0], "set CLMAML_SOURCE_DIR to the top of the source tree");
    return root;
}

START_TEST(includes_follow_the_arrows) {
    static walk w;
    w.root = source_directory();
    check_directory(&w, "include/clmaml");
    check_directory(&w, "src");
    check_directory(&w, "examples");
    ck_assert_msg(w.report[0] == 0, "\n%s", w.report);
    for (size_t i = 0; i < LAYER_COUNT; i++)
        ck_assert_msg(w.files[i] > 0, "no file found in %s: has the layer moved?", layers[i].prefix);
    ck_assert_uint_gt(w.includes, 100);
}
END_TEST

/* A row of the program sees rows above it alone, so that its wings have no cycle; and of the rest only what is shared. */
START_TEST(wings_see_what_is_above_them) {
    for (size_t i = 0; i < LAYER_COUNT; i++) {
        if (!starts_with(layers[i].prefix, program)) continue;
        for (size_t k = 0; layers[i].sees[k]; k++) {
            char seen[256];
            snprintf(seen, sizeof seen, "src/%s", layers[i].sees[k]);
            const layer *wing = layer_of(seen);
            ck_assert_msg(wing && (starts_with(seen, program) || !strcmp(seen, shared)), "%s may include %s", layers[i].prefix,
                          seen);
            ck_assert_msg(wing <= &layers[i], "%s is below %s, which may include it", seen, layers[i].prefix);
        }
    }
}
END_TEST

/* The checker itself: each line would be an error. */
START_TEST(wrong_arrows_are_seen) {
    static const struct {
        const char *from, *target;
        bool angle;
    } wrong[] = {
        {"src/base/a.c", "src/graph/internal.h", false},
        {"src/graph/a.c", "src/device/backend.h", false},
        {"src/graph/a.c", "src/program/lower.h", false},
        {"src/autodiff/a.c", "src/meta/a.h", false},
        {"src/device/a.c", "src/graph/internal.h", false},
        {"src/program/a.c", "src/device/opencl/embedded.h", false},
        {"src/program/a.c", "CL/cl.h", true},
        {"src/device/host/a.c", "CL/cl.h", true},
        {"src/ops/a.c", "src/program/plan.h", false},
        {"src/ops/a.c", "unistd.h", true},
        {"src/cli/a.c", "src/base/error.h", false},
        {"src/cli/base/a.c", "src/base/error.h", false},
        {"src/cli/base/a.c", "src/cli/config/settings.h", false},
        {"src/cli/config/a.c", "src/cli/train/run.h", false},
        {"src/cli/eval/a.c", "src/cli/train/run.h", false},
        {"src/cli/train/a.c", "src/cli/doctor/report.h", false},
        {"src/cli/train/a.c", "src/cli/commands.h", false},
        {"src/cli/bench/a.c", "src/cli/config/settings.h", false},
        {"src/cli/doctor/a.c", "unistd.h", true},
        {"src/cli/doctor/a.c", "src/ops/conv.h", false},
        {"src/cli/verify/a.c", "src/check/op_cases.h", false},
        {"src/cli/train/a.c", "src/cli/selftest/trial.h", false},
        {"src/ops/a.c", "src/check/op_cases.h", false},
        {"src/check/a.c", "src/base/random.h", false},
        {"src/check/a.c", "src/cli/base/common.h", false},
        {"examples/a.c", "src/base/error.h", false},
        {"src/meta/a.c", "src/device/opencl/embedded.h", false},
        {"src/meta/a.c", "src/policy/internal.h", false},
        {"src/policy/a.c", "src/meta/internal.h", false},
        {"src/policy/a.c", "src/train/run.h", false},
        {"src/graph/a.c", "include/clmaml/program.h", false},
        {"include/clmaml/a.h", "src/base/error.h", false},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(violation(layer_of(wrong[i].from), wrong[i].target, wrong[i].angle) != NULL, "%s may include %s",
                      wrong[i].from, wrong[i].target);
    ck_assert_ptr_null(violation(layer_of("src/ops/a.c"), "src/program/lower.h", false));
    ck_assert_ptr_null(violation(layer_of("src/device/opencl/a.c"), "CL/cl.h", true));
    ck_assert_ptr_null(violation(layer_of("src/cli/train/a.c"), "src/cli/tune/on_the_way.h", false));
    ck_assert_ptr_null(violation(layer_of("src/cli/doctor/a.c"), "src/check/op_cases.h", false));
    ck_assert_ptr_null(layer_of("src/elsewhere/a.c"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("layers");
    TCase *tc = tcase_create("includes");
    tcase_add_test(tc, includes_follow_the_arrows);
    tcase_add_test(tc, wings_see_what_is_above_them);
    tcase_add_test(tc, wrong_arrows_are_seen);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
