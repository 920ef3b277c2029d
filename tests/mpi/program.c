/* A program of one's own with MPI: communicators of parts of MPI_COMM_WORLD, each of which trains by itself; and a rank that does something
 * else than the others. Run on 4 ranks, two of which make one run, one another, and one is left over. */
#include <clmaml/clmaml.h>
#include <clmaml/mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rank_of_world;

static void need(bool holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "program: rank %d: %s: %s\n", rank_of_world, what, clm_last_error());
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* All parameters after a few updates, and the test's score. */
static double train(clm_comm *comm, double *values, size_t most) {
    static const int hidden[] = {8};
    clm_device *device = NULL;
    clm_source *source = NULL;
    clm_model *model = NULL;
    clm_params *params = NULL;
    clm_train_result result;
    clm_train_options options = CLM_TRAIN_OPTIONS_INIT;
    options.iterations = 4;
    options.episodes.ways = 1;
    options.episodes.shots = 5;
    options.episodes.query = 5;
    options.validation_tasks = options.test_tasks = 6;
    options.meta.tasks = 5;
    options.meta.task.loss.name = "mse";
    options.meta.task.inner_lr = 0.01;
    options.meta.comm = comm;
    need(clm_device_open(&device, "host") == CLM_OK, "device");
    need(clm_source_sine(&source) == CLM_OK, "source");
    need(clm_model_mlp(&model, 1, hidden, 1, 1) == CLM_OK, "model");
    need(clm_params_create(&params, model, &options.meta.task) == CLM_OK, "parameters");
    need(clm_train(device, source, model, &options, params, &result) == CLM_OK, "train");
    size_t n = 0;
    for (size_t i = 0; i < clm_params_count(params); i++)
        for (size_t k = 0; k < clm_params_get_info(params, i).size && n < most; k++)
            values[n++] = clm_params_values(params, i)[k];
    clm_params_free(params);
    clm_model_free(model);
    clm_source_free(source);
    clm_device_close(device);
    return result.test.query[result.test.steps].mean;
}

/* Rank 0 sends more, or less, than rank 1 expects: said, and nothing is written that does not belong there. */
static void disagree(clm_comm *comm, size_t sent, size_t expected) {
    unsigned char *data = calloc(sent + expected + 64, 1);
    need(data != NULL, "memory");
    memset(data, 0x55, sent + expected + 64);
    if (clm_comm_rank(comm) == 0) {
        (void)clm_comm_broadcast(comm, data, sent); /* which may wait for nothing, where messages are small */
        free(data);
        return;
    }
    memset(data, 0xaa, sent + expected + 64);
    char wanted[128];
    snprintf(wanted, sizeof wanted, " sent %zu bytes where %zu were expected: it does something else", sent, expected);
    need(clm_comm_broadcast(comm, data, expected) == CLM_E_IO, "other bytes are received");
    need(strstr(clm_last_error(), wanted) && strstr(clm_last_error(), "rank 0 on "), wanted);
    for (size_t i = expected; i < sent + expected + 64; i++) need(data[i] == 0xaa, "bytes are written behind the end");
    free(data);
}

int main(int argc, char **argv) {
    enum { MOST = 64 };
    double alone[MOST] = {0}, values[MOST] = {0};
    char why[CLM_COMM_WHY];
    clm_comm *comm = NULL;
    MPI_Comm part;
    int size = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_of_world);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    need(size == 4, "4 ranks are wanted");
    const double expected = train(NULL, alone, MOST);

    /* Ranks 3 and 1, in this order; rank 0; rank 2 has none. */
    const int color = rank_of_world == 2 ? MPI_UNDEFINED : rank_of_world % 2;
    MPI_Comm_split(MPI_COMM_WORLD, color, -rank_of_world, &part);
    if (part != MPI_COMM_NULL) {
        need(clm_comm_create_mpi(&comm, part, why) == CLM_OK, why);
        MPI_Comm_free(&part); /* it was duplicated */
        need(clm_comm_size(comm) == (rank_of_world ? 2 : 1), "size");
        need(clm_comm_rank(comm) == (rank_of_world == 1), "rank");
        need(train(comm, values, MOST) == expected, "another score than that of one process");
        need(memcmp(alone, values, sizeof alone) == 0, "other parameters than those of one process");
        clm_comm_free(comm);
    }

    /* Each time with a communicator of its own: after a failure it is of no more use. */
    static const size_t bytes[][2] = {{8, 4}, {4, 8}, {100000, 4}, {4, 100000}};
    const size_t which = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    MPI_Comm_split(MPI_COMM_WORLD, rank_of_world < 2, rank_of_world, &part);
    need(clm_comm_create_mpi(&comm, part, why) == CLM_OK, why);
    if (rank_of_world < 2) disagree(comm, bytes[which % 4][0], bytes[which % 4][1]);
    if (rank_of_world < 2) {
        printf("rank %d is done\n", rank_of_world);
        fflush(stdout);
        if (rank_of_world == 1) MPI_Abort(MPI_COMM_WORLD, 77); /* there are messages that nobody takes */
    }
    MPI_Barrier(MPI_COMM_WORLD);
    clm_comm_free(comm);
    MPI_Finalize();
    return 0;
}
