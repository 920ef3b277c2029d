/* Runs a target without libFuzzer: over a corpus, then over mutations of it, the same in every run.
 *
 *     fuzz_NAME [--runs N] [--seed S] [--only I] CORPUS..     CORPUS: files, or folders of files
 *
 * What fails is written to fuzz-failed-input in the working directory; --only repeats the execution of that number. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fuzz.h"

enum { MOST = 1 << 20, SECONDS = 20 }; /* bytes of an input, seconds of an execution */

typedef struct input {
    uint8_t *data;
    size_t size;
    char *path;
} input;

static input *inputs;
static size_t count;
static uint8_t *at_hand;
static size_t at_hand_size;
static long long at_hand_number;
static uint64_t state;

static uint64_t draw(void) { /* splitmix64 */
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static size_t below(size_t n) { return n ? (size_t)(draw() % n) : 0; }

/* ---- the corpus ---- */

static void add_file(const char *path) {
    FILE *file = fopen(path, "rb");
    fuzz_check(file != NULL, path);
    input *more = realloc(inputs, (count + 1) * sizeof *inputs);
    fuzz_check(more != NULL, "no memory");
    inputs = more;
    input *in = &inputs[count++];
    in->data = malloc(MOST);
    in->path = malloc(strlen(path) + 1);
    fuzz_check(in->data && in->path, "no memory");
    strcpy(in->path, path);
    in->size = fread(in->data, 1, MOST, file);
    in->data = realloc(in->data, in->size + 1);
    fclose(file);
}

static int by_path(const void *a, const void *b) { return strcmp(((const input *)a)->path, ((const input *)b)->path); }

static void add_corpus(const char *path) {
    DIR *folder = opendir(path);
    char name[1024];
    if (!folder) {
        add_file(path);
        return;
    }
    const size_t first = count;
    for (struct dirent *e; (e = readdir(folder));) {
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.') add_file(name);
    }
    closedir(folder);
    if (count > first) qsort(inputs + first, count - first, sizeof *inputs, by_path);
}

/* ---- mutations ---- */

static void splice(size_t at, size_t cut, const void *with, size_t size) {
    static uint8_t copy[256];
    if (size > sizeof copy) size = sizeof copy;
    if (cut > at_hand_size - at) cut = at_hand_size - at;
    if (at_hand_size - cut + size > MOST) return;
    memcpy(copy, with, size); /* it may lie in the input */
    memmove(at_hand + at + size, at_hand + at + cut, at_hand_size - at - cut);
    memcpy(at_hand + at, copy, size);
    at_hand_size += size - cut;
}

static void mutate(void) {
    static const char *const words[] = {"0",    "-1",      "1e999",    "NaN", "4294967296", "9223372036854775807",
                                        "null", "\n",      "[[[[",     "{}",  "\"",         "%%\n",
                                        "../",  "\x1b[2J", "\xff\xfe", "%s%n"};
    static const uint32_t numbers[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000u, 0xffffffffu};
    const size_t at = below(at_hand_size + 1), inside = below(at_hand_size);
    const uint32_t number = numbers[below(sizeof numbers / sizeof *numbers)],
                   turned = number >> 24 | (number >> 8 & 0xff00) | number << 24;
    const char *word = words[below(sizeof words / sizeof *words)];
    const input *other = &inputs[below(count)];
    const size_t from = below(other->size), again = at_hand_size - inside;
    switch (below(8)) {
    case 0:
        if (at_hand_size) at_hand[inside] ^= (uint8_t)(1u << below(8));
        break;
    case 1:
        if (at_hand_size) at_hand[inside] = (uint8_t)draw();
        break;
    case 2: splice(at, 1 + below(16), "", 0); break;
    case 3: splice(at, below(2) ? 1 : 0, word, strlen(word)); break;
    case 4: splice(at, 4, below(2) ? &number : &turned, 4); break;
    case 5: splice(at, 0, at_hand + inside, 1 + below(again < 64 ? again : 64)); break;
    case 6: splice(at, below(64), other->data + from, 1 + below(other->size - from < 128 ? other->size - from : 128)); break;
    case 7:
        if (below(8) == 0) at_hand_size = at;
        break;
    }
}

static void make(long long number, uint64_t seed) {
    state = seed * 0x2545f4914f6cdd1du + (uint64_t)number;
    const input *from = number < (long long)count ? &inputs[number] : &inputs[below(count)];
    memcpy(at_hand, from->data, from->size);
    at_hand_size = from->size;
    at_hand_number = number;
    if (number < (long long)count) return;
    for (size_t i = 1 + below(6); i > 0; i--) mutate();
}

/* ---- running ---- */

static void on_failure(int signal_number) {
    char text[64];
    const int file = open("fuzz-failed-input", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file >= 0 && write(file, at_hand, at_hand_size) >= 0) close(file);
    const int length = snprintf(text, sizeof text, "\nfuzz: signal %d in execution %lld\n", signal_number, at_hand_number);
    if (length > 0 && write(2, text, (size_t)length) < 0) _exit(1);
    _exit(1);
}

static void execute(void) {
    uint8_t *copy = malloc(at_hand_size ? at_hand_size : 1); /* what is read beyond is outside of an allocation */
    fuzz_check(copy != NULL, "no memory");
    memcpy(copy, at_hand, at_hand_size);
    alarm(SECONDS);
    for (int turn = 0; turn < 4; turn++) { /* memory that is kept once, as libraries do, is no leak */
        const size_t before = fuzz_memory_used();
        LLVMFuzzerTestOneInput(copy, at_hand_size);
        if (fuzz_memory_used() <= before) break;
        fuzz_check(turn < 3, "memory was allocated and not freed");
    }
    alarm(0);
    free(copy);
}

int main(int argc, char **argv) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
    long long runs = 0, only = -1;
    uint64_t seed = 1;
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && !strcmp(argv[i], "--runs"))
            runs = atoll(argv[++i]);
        else if (i + 1 < argc && !strcmp(argv[i], "--seed"))
            seed = strtoull(argv[++i], NULL, 10);
        else if (i + 1 < argc && !strcmp(argv[i], "--only"))
            only = atoll(argv[++i]);
        else
            add_corpus(argv[i]);
    }
    fuzz_check(count > 0, "no corpus was named");
    at_hand = malloc(MOST + 512);
    fuzz_check(at_hand != NULL, "no memory");
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], on_failure);
    const long long end = (long long)count + runs;
    for (long long number = only < 0 ? 0 : only; number < (only < 0 ? end : only + 1); number++) {
        make(number, seed);
        execute();
    }
    for (size_t i = 0; i < count; i++) free(inputs[i].data), free(inputs[i].path);
    free(inputs);
    free(at_hand);
    printf("%lld executions, of %zu files and %lld mutations\n", only < 0 ? end : 1, count, only < 0 ? runs : 1);
    return 0;
}
