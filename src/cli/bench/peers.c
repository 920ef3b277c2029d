/* The same work in other programs: processes that read the item from a file, prove that they compute the same, and make steps when told.
 *
 * Their scripts are embedded in the program and written to the run's temporary folder. What is not installed is not an error.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "bench/bench.h"
#include "bench/scripts.h"

enum { ON_CPU = 1, ON_GPU = 2 };
enum { ONE_THREAD, ALL_THREADS };

typedef struct peer_row {
    const char *key, *script, *option;
    int places, threads;
    bool learner; /* also for items that adapt one task */
    bool policy;  /* for reinforcement learning, and nothing else */
} peer_row;

static const peer_row rows[] = {
    {"torch-1-thread", "torch_loop.py", NULL, ON_CPU, ONE_THREAD, true, false},
    {"torch-threads", "torch_loop.py", NULL, ON_CPU, ALL_THREADS, true, false},
    {"torch-processes", "torch_processes.py", NULL, ON_CPU, ALL_THREADS, false, false},
    {"torch-vmap", "torch_vmap.py", NULL, ON_CPU, ALL_THREADS, false, false},
    {"torch-vmap-compile", "torch_vmap.py", "--compile", ON_CPU, ALL_THREADS, false, false},
    {"torch-gpu", "torch_loop.py", "--gpu", ON_GPU, ONE_THREAD, true, false},
    {"torch-gpu-vmap", "torch_vmap.py", "--gpu", ON_GPU, ONE_THREAD, false, false},
    {"torch-gpu-vmap-compile", "torch_vmap.py", "--gpu --compile", ON_GPU, ONE_THREAD, false, false},
    {"jax-vmap", "jax_tasks.py", NULL, ON_CPU, ALL_THREADS, true, false},
    {"jax-map", "jax_tasks.py", "--map", ON_CPU, ALL_THREADS, false, false},
    {"jax-gpu-vmap", "jax_tasks.py", "--gpu", ON_GPU, ONE_THREAD, true, false},
    {"torch-linearised-1-thread", "torch_navigation.py", NULL, ON_CPU, ONE_THREAD, false, true},
    {"torch-linearised", "torch_navigation.py", NULL, ON_CPU, ALL_THREADS, false, true},
    {"torch-double-backward-1-thread", "torch_navigation.py", "--double-backward", ON_CPU, ONE_THREAD, false, true},
    {"torch-double-backward", "torch_navigation.py", "--double-backward", ON_CPU, ALL_THREADS, false, true},
    {"torch-gpu-linearised", "torch_navigation.py", "--gpu", ON_GPU, ONE_THREAD, false, true},
    {"torch-gpu-double-backward", "torch_navigation.py", "--gpu --double-backward", ON_GPU, ONE_THREAD, false, true},
};

/* ---- which ---- */

/* Does a name begin with one of the words of a list with commas? An empty list has all. */
static bool is_wanted(const char *key, const char *wanted) {
    if (!*wanted) return true;
    for (size_t n; *wanted; wanted += n + (wanted[n] == ',')) {
        n = strcspn(wanted, ",");
        if (n && strncmp(key, wanted, n) == 0 && (key[n] == 0 || key[n] == '-')) return true;
    }
    return false;
}

clm_status bench_peers_check(const char *wanted) {
    char names[512] = "", word[64];
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", rows[i].key);
    }
    for (size_t n; *wanted; wanted += n + (wanted[n] == ',')) {
        bool known = false;
        n = strcspn(wanted, ",");
        snprintf(word, sizeof word, "%.*s", (int)n, wanted);
        for (size_t i = 0; i < CLI_COUNT(rows); i++) known = known || (n && n < sizeof word && is_wanted(rows[i].key, word));
        if (!known) return cli_usage("--peers: \"%.*s\" is none of them: torch, jax, or of %s", (int)n, wanted, names);
    }
    return CLM_OK;
}

/* The Python of an active virtual environment, unless another one is named. */
static void choose_python(const bench_settings *settings, char *out) {
    const char *environment = getenv("VIRTUAL_ENV");
    if (settings->python[0])
        snprintf(out, CLI_PATH_MAX, "%s", settings->python);
    else if (!environment || !*environment || cli_path(out, environment, "bin/python") != CLM_OK || !cli_path_exists(out))
        snprintf(out, CLI_PATH_MAX, "python3");
}

/* ---- their processes ---- */

static clm_status write_scripts(const char *folder) {
    char path[CLI_PATH_MAX];
    for (const bench_script *s = bench_scripts; s->name; s++) {
        CLI_TRY(cli_path(path, folder, s->name));
        CLI_TRY(cli_file_write(path, s->text, strlen(s->text)));
    }
    return CLM_OK;
}

static clm_status ask(bench_peer *peer, const char *line, double seconds, json_t **answer) {
    enum { SIZE = 65536 };
    char *text = malloc(SIZE);
    json_error_t error;
    clm_status status = text ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
    *answer = NULL;
    if (status == CLM_OK && line) status = cli_process_send(peer->child, line);
    if (status == CLM_OK) status = cli_process_receive(peer->child, seconds, text, SIZE);
    if (status == CLM_OK && !(*answer = json_loads(text, 0, &error)))
        status = cli_fail(CLM_E_FORMAT, "it said '%.80s', which is not JSON", text);
    free(text);
    return status;
}

/* Its work is over; it is shown with the reason. */
static void give_up(bench_peer *peer, const char *why) {
    snprintf(peer->problem, sizeof peer->problem, "%s", why);
    cli_process_end(peer->child);
    peer->child = NULL;
    cli_forget();
}

static void start_one(bench_peer *peer, const peer_row *row, const bench_settings *settings, const char *folder) {
    char python[CLI_PATH_MAX], script[CLI_PATH_MAX], problem[CLI_PATH_MAX], threads[16], options[64], *rest = NULL;
    const char *argv[12] = {python, script, problem, "--threads", threads};
    int n = 5;
    choose_python(settings, python);
    snprintf(options, sizeof options, "%s", row->option ? row->option : "");
    for (char *word = strtok_r(options, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) argv[n++] = word;
    snprintf(threads, sizeof threads, "%d", row->threads == ONE_THREAD ? 1 : cli_processors());
    snprintf(peer->key, sizeof peer->key, "%s", row->key);
    clm_status status = cli_path(script, folder, row->script);
    if (status == CLM_OK) status = cli_path(problem, folder, "problem.safetensors");
    if (status == CLM_OK) status = cli_process_start(&peer->child, argv, NULL);
    if (status != CLM_OK) {
        peer->missing = true;
        give_up(peer, cli_message());
    }
}

/* Its first words: what it is, and how far its results are from ours. */
static void greet(bench_peer *peer, double patience) {
    json_t *answer;
    if (ask(peer, NULL, patience, &answer) != CLM_OK) {
        give_up(peer, cli_message());
        return;
    }
    const char *error = json_string_value(json_object_get(answer, "error")),
               *name = json_string_value(json_object_get(answer, "name"));
    peer->missing = json_is_true(json_object_get(answer, "missing"));
    if (error || !name) {
        give_up(peer, error ? error : "it did not say what it is");
    } else {
        snprintf(peer->name, sizeof peer->name, "%s", name);
        peer->loss = json_number_value(json_object_get(answer, "loss"));
        peer->loss_error = json_number_value(json_object_get(answer, "loss_error"));
        peer->grad_error = json_number_value(json_object_get(answer, "grad_error"));
        if (!(peer->loss_error < BENCH_MAX_LOSS_ERROR) || !(peer->grad_error < BENCH_MAX_GRAD_ERROR)) {
            char text[160];
            snprintf(text, sizeof text, "%.60s computes something else: relative errors %.1e of the loss, %.1e of the gradient",
                     name, peer->loss_error, peer->grad_error);
            give_up(peer, text);
        }
    }
    json_decref(answer);
}

clm_status bench_peers_start(bench_peers *peers, const bench_settings *settings, const bench_problem *problem,
                             clm_device_type device, const char *folder) {
    int place = device == CLM_DEVICE_CPU || device == CLM_DEVICE_HOST ? ON_CPU : ON_GPU;
    CLI_TRY(write_scripts(folder));
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        const peer_row *row = &rows[i];
        if (!(row->places & place) || (problem->item.learner && !row->learner) || row->policy != problem->item.policy ||
            !is_wanted(row->key, settings->peers))
            continue;
        if (row->threads == ALL_THREADS && cli_processors() == 1 && strncmp(row->script, "torch_v", 7) != 0 &&
            !strstr(row->key, "jax"))
            continue; /* the same as one thread */
        bench_peer *peer = &peers->peer[peers->count++];
        peer->times = calloc(1, sizeof *peer->times);
        if (!peer->times) return cli_fail(CLM_E_MEMORY, "out of memory");
        bench_say("%s: %s gets ready", problem->item.name, row->key);
        start_one(peer, row, settings, folder);
        if (peer->child) greet(peer, settings->peer_seconds); /* one after the other: a memory full of compilers helps nobody */
        if (cli_stop_requested()) break;
    }
    return CLM_OK;
}

static clm_status make_steps(bench_peer *peer, int steps, double patience) {
    char line[32];
    json_t *answer, *value;
    size_t i;
    snprintf(line, sizeof line, "steps %d", steps);
    CLI_TRY(ask(peer, line, patience, &answer));
    json_array_foreach(json_object_get(answer, "ms"), i, value) bench_times_add(peer->times, json_number_value(value));
    json_decref(answer);
    return CLM_OK;
}

/* Before the first turn it learns how long a step takes; that one does not count where a turn has several. */
void bench_peer_turn(bench_peer *peer, double patience) {
    clm_status status = CLM_OK;
    if (!peer->child) return;
    if (!peer->burst && (status = make_steps(peer, 1, patience)) == CLM_OK) {
        peer->burst = peer->times->count ? bench_burst(peer->times->ms[peer->times->count - 1]) : 1;
        if (peer->burst == 1) return;
        peer->times->count = 0;
    }
    if (status == CLM_OK) status = make_steps(peer, peer->burst, patience);
    if (status != CLM_OK) give_up(peer, cli_message());
}

void bench_peers_end(bench_peers *peers) {
    for (size_t i = 0; i < peers->count; i++) {
        bench_peer *peer = &peers->peer[i];
        json_t *answer = NULL;
        if (!peer->child) continue;
        if (ask(peer, "memory", 60, &answer) == CLM_OK)
            peer->peak_bytes = json_number_value(json_object_get(answer, "peak_bytes"));
        else
            cli_forget();
        json_decref(answer);
        cli_process_end(peer->child);
        peer->child = NULL;
    }
}

void bench_peers_free(bench_peers *peers) {
    for (size_t i = 0; i < peers->count; i++) {
        cli_process_end(peers->peer[i].child);
        free(peers->peer[i].times);
    }
    *peers = (bench_peers){0};
}
