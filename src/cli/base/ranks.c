/* Ranks of the program. See ranks.h. */
#include "base/ranks.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/lines.h"
#include "base/system.h"

static struct {
    clm_comm *comm;
    void (*free)(clm_comm *comm);
    FILE *heard; /* of another rank than 0: what stderr was */
    bool told;   /* rank 0 says what went wrong */
    bool alone;
    int argc;
    char **argv;
} ranks;

void cli_ranks_remember(int argc, char **argv) {
    ranks.argc = argc;
    ranks.argv = argv;
}

clm_comm *cli_ranks(void) { return ranks.comm; }
void cli_ranks_stay_alone(void) { ranks.alone = true; }
bool cli_ranks_lead(void) { return clm_comm_rank(ranks.comm) == 0; }

/* What launchers tell the processes they start: Open MPI, MPICH and relatives, PMIx under SLURM. */
static bool is_launched(int *rank, int *size) {
    static const char *const variables[][2] = {
        {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, {"PMI_RANK", "PMI_SIZE"}, {"PMIX_RANK", "SLURM_STEP_NUM_TASKS"}};
    for (size_t i = 0; i < CLI_COUNT(variables); i++) {
        const char *a = getenv(variables[i][0]), *b = getenv(variables[i][1]);
        if (!a || !b) continue;
        *rank = (int)strtol(a, NULL, 10);
        *size = (int)strtol(b, NULL, 10);
        return *size > 0;
    }
    return false;
}

/* Under srun without a plugin for MPI every process takes itself for the only one. */
static void note_strangers(void) {
    static const char *const variables[] = {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}; /* Slurm's, and no settings */
    const char *tasks = getenv(variables[0]), *number = getenv(variables[1]);
    if (!tasks || !number || strtol(tasks, NULL, 10) < 2 || strcmp(number, "0") != 0) return;
    cli_note("srun started %s of these, and they know nothing of each other: with --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH) "
             "they are ranks",
             tasks);
}

/* MPI looks for what it is made of in what is loaded for all. */
static void *load(void) {
    char self[CLI_PATH_MAX], path[CLI_PATH_MAX + 32];
    static const char name[] = "libclmaml_mpi.so.0";
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = 0;
    char *slash = strrchr(self, '/');
    void *library = NULL;
    if (slash) {
        *slash = 0;
        snprintf(path, sizeof path, "%s/%s", self, name);
        library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    }
    return library ? library : dlopen(name, RTLD_NOW | RTLD_GLOBAL);
}

static bool find(void *library, const char *symbol, void *function) {
    void *found = dlsym(library, symbol);
    if (found) memcpy(function, &found, sizeof found);
    return found != NULL;
}

/* Nothing more is heard of this rank. */
static void fall_silent(void) {
    const int copy = dup(STDERR_FILENO);
    ranks.heard = copy >= 0 ? fdopen(copy, "w") : NULL;
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) return; /* then it is heard */
}

static clm_status come_together(int rank, int size) {
    clm_status (*create)(clm_comm * *out, char why[CLM_COMM_WHY]) = NULL;
    char why[CLM_COMM_WHY] = "";
    void *library = load();
    if (!library && size == 1) return CLM_OK;
    if (rank > 0) fall_silent();
    if (!library || !find(library, "clm_comm_create_mpi_world", &create) ||
        !find(library, "clm_comm_free_mpi_world", &ranks.free))
        return cli_fail(
            CLM_E_STATE,
            "a launcher started %d of these, but this clmaml was built without MPI: build it where Open MPI or MPICH is "
            "installed with what programs are built with (libopenmpi-dev, libmpich-dev)",
            size);
    const clm_status status = create(&ranks.comm, why);
    if (status != CLM_OK) return cli_fail(status, "MPI: %s", why);
    if (clm_comm_size(ranks.comm) == size) return CLM_OK;
    const int seen = clm_comm_size(ranks.comm);
    return cli_fail(
        CLM_E_STATE,
        "the launcher started %d of these, but MPI knows of %d: it is the launcher of another MPI than clmaml was built "
        "with; start it with that one's mpirun",
        size, seen);
}

/* The command line, a line for each option with its value. */
static char *options_text(void) {
    size_t size = 1, used = 0;
    for (int i = 1; i < ranks.argc; i++) size += strlen(ranks.argv[i]) + 1;
    char *text = calloc(size, 1);
    for (int i = 1; text && i < ranks.argc; i++) {
        const bool value = i > 1 && ranks.argv[i][0] != '-' && ranks.argv[i - 1][0] == '-';
        if (used) text[used++] = value ? ' ' : '\n';
        for (const char *at = ranks.argv[i]; *at; at++) text[used++] = (unsigned char)*at < ' ' ? '?' : *at;
    }
    return text;
}

/* What rank 0 was told is what is done, and no other rank may have been told otherwise. */
static clm_status agree_on_options(void) {
    char said[CLM_COMM_WHY], *text = options_text();
    if (!text) return cli_fail(CLM_E_MEMORY, "out of memory");
    const clm_status status = clm_comm_agree(ranks.comm, "options", text);
    free(text);
    if (status != CLM_E_STATE) return status;
    snprintf(said, sizeof said, "%s", cli_message());
    return cli_fail(status,
                    "%s; start all ranks by the same command, and give them devices of their own by a list or by CLMAML_DEVICE",
                    said);
}

clm_status cli_ranks_open(const char *command) {
    int rank = 0, size = 0;
    char text[64];
    if (ranks.comm || ranks.alone) return CLM_OK;
    if (!is_launched(&rank, &size)) {
        note_strangers();
        return CLM_OK;
    }
    cli_signals_catch_user();
    const clm_status status = come_together(rank, size);
    cli_signals_catch_user(); /* MPICH takes it for itself as it begins */
    if (status != CLM_OK && !ranks.comm) ranks.told = rank > 0;
    CLI_TRY(status);
    snprintf(text, sizeof text, "%s of clmaml %s", command, clm_version());
    CLI_TRY(clm_comm_agree(ranks.comm, "command", text));
    return agree_on_options();
}

clm_status cli_ranks_refuse(const char *what) {
    int rank = 0, size = 0;
    if (ranks.alone || !is_launched(&rank, &size) || size == 1) return CLM_OK;
    if (rank > 0) fall_silent();
    return cli_usage("%s is for one process; a launcher started %d", what, size);
}

/* Rank 0 has the first word, as all may have failed together. */
static void wait_for_the_first(void) {
    const struct timespec while_it_ends = {1, 0};
    nanosleep(&while_it_ends, NULL);
}

/* What a communicator says begins with the name of this rank already. */
static const char *message_of_rank(void) {
    char name[CLI_PATH_MAX];
    const int rank = clm_comm_rank(ranks.comm);
    const int length = snprintf(name, sizeof name, "rank %d on %s: ", rank, clm_comm_host(ranks.comm, rank));
    return cli_message() + (strncmp(cli_message(), name, (size_t)length) == 0 ? length : 0);
}

int cli_ranks_close(int exit_status) {
    const bool alone = clm_comm_size(ranks.comm) == 1;
    const bool fails = exit_status != CLI_EXIT_OK && exit_status != CLI_EXIT_INTERRUPTED && !ranks.told;
    if (fails && !alone) {
        const int rank = clm_comm_rank(ranks.comm);
        if (rank > 0) wait_for_the_first();
        if (rank > 0 && ranks.heard) {
            fprintf(ranks.heard, "clmaml: rank %d of %d on %s: %s\n", rank, clm_comm_size(ranks.comm),
                    clm_comm_host(ranks.comm, rank), message_of_rank());
            fflush(ranks.heard);
        }
        fflush(stdout);
        clm_comm_abort(ranks.comm, exit_status);
    }
    if (ranks.comm) ranks.free(ranks.comm);
    ranks.comm = NULL;
    return exit_status;
}

clm_status cli_ranks_follow(clm_status status, void *data, size_t bytes) {
    int code = (int)status;
    int usage = cli_is_usage_mistake();
    if (clm_comm_size(ranks.comm) == 1) return status;
    CLI_TRY(clm_comm_broadcast(ranks.comm, &code, sizeof code));
    CLI_TRY(clm_comm_broadcast(ranks.comm, &usage, sizeof usage));
    if (code == CLM_OK) return clm_comm_broadcast(ranks.comm, data, bytes);
    ranks.told = true;
    if (!cli_ranks_lead() && usage) return cli_usage("as rank 0 says");
    return (clm_status)code;
}

clm_status cli_ranks_meet(void) { return cli_ranks_follow(CLM_OK, NULL, 0); }

/* ---- devices ---- */

static size_t count_items(const char *list) {
    size_t n = 1;
    for (; *list; list++) n += *list == ',';
    return n;
}

/* Items from .. to - 1 of a list. */
static void copy_items(const char *list, size_t from, size_t to, char *text) {
    size_t item = 0, used = 0;
    for (; *list && item < to && used + 1 < CLI_PATH_MAX; list++) {
        if (*list == ',') {
            item++;
            if (item <= from || item == to) continue;
        }
        if (item >= from) text[used++] = *list;
    }
    text[used] = 0;
}

/* Device number `turn` of those of the type that is chosen without being asked, as P:D. */
static clm_status by_turns(int turn, char *text, const char **out) {
    clm_device_info *list = NULL;
    size_t n = 0, of_type = 0, chosen = 0;
    CLI_TRY(clm_device_list(&list, &n, NULL, 0));
    while (chosen < n && !list[chosen].chosen) chosen++;
    for (size_t i = 0; i < n && chosen < n; i++)
        of_type += list[i].type == list[chosen].type && list[i].available && !strcmp(list[i].name, list[chosen].name);
    size_t at = of_type ? (size_t)turn % of_type : 0;
    for (size_t i = 0; i < n && of_type > 1; i++) {
        if (list[i].type != list[chosen].type || !list[i].available || strcmp(list[i].name, list[chosen].name) != 0) continue;
        if (at-- > 0) continue;
        snprintf(text, CLI_PATH_MAX, "%d:%d", list[i].platform_index, list[i].device_index);
        *out = text;
        break;
    }
    clm_device_list_free(list);
    return CLM_OK;
}

clm_status cli_ranks_device(const char *spec, char *text, const char **out) {
    const char *variable = getenv("CLMAML_DEVICE"), *list = spec && *spec ? spec : variable && *variable ? variable : NULL;
    const size_t rank = (size_t)clm_comm_local_rank(ranks.comm), size = (size_t)clm_comm_local_size(ranks.comm);
    *out = spec && *spec ? spec : NULL;
    if (clm_comm_size(ranks.comm) == 1) return CLM_OK;
    if (!list) return by_turns((int)rank, text, out);
    const size_t n = count_items(list);
    const size_t from = n < size ? rank % n : rank * n / size, to = n < size ? from + 1 : (rank + 1) * n / size;
    copy_items(list, from, to, text);
    *out = text;
    return CLM_OK;
}

bool cli_ranks_are_mixed(clm_device *const *devices, size_t n) {
    const clm_device_info *first = clm_device_get_info(devices[0]);
    for (size_t i = 1; i < n; i++) {
        const clm_device_info *other = clm_device_get_info(devices[i]);
        if (strcmp(first->name, other->name) != 0 || strcmp(first->driver, other->driver) != 0) return true;
    }
    return false;
}

/* The first of a rank's devices, or one that is not as the first. */
typedef struct kind {
    bool mixed;
    char name[256], driver[128];
} kind;

clm_status cli_ranks_note_mixed(clm_device *const *devices, size_t n) {
    const clm_device_info *info = clm_device_get_info(devices[0]);
    const int size = clm_comm_size(ranks.comm);
    clm_status status = CLM_OK;
    kind mine, *all = NULL;
    bool mixed = false;
    if (size == 1) return CLM_OK;
    memset(&mine, 0, sizeof mine);
    mine.mixed = cli_ranks_are_mixed(devices, n);
    snprintf(mine.name, sizeof mine.name, "%s", info->name);
    snprintf(mine.driver, sizeof mine.driver, "%s", info->driver);
    CLI_NEW(all, (size_t)size);
    CLI_GOTO(clm_comm_all_gather(ranks.comm, &mine, sizeof mine, all));
    for (int r = 0; r < size; r++)
        mixed = mixed || all[r].mixed || strcmp(all[r].name, all[0].name) != 0 || strcmp(all[r].driver, all[0].driver) != 0;
    if (mixed && cli_ranks_lead())
        cli_note("the ranks' devices are not all of one name and driver: as many ranks on the same devices give the same bits "
                 "again, "
                 "other numbers of ranks do not");
out:
    free(all);
    return status;
}
