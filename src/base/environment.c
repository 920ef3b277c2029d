/* The environment variables of library and program in one table, which `clmaml devices --verbose` and bug reports show. Code
 * asks with getenv, at the place where the answer matters; a test holds that what it asks for stands here. */
#include <stdlib.h>

#include "base/error.h"
#include "clmaml/environment.h"

static const struct {
    const char *name, *fallback, *meaning;
} variables[] = {
    {"CLMAML_DEVICE", "the GPU with the most compute, else an accelerator, else a CPU", "the device, as --device"},
    {"CLMAML_CACHE_DIR", "$XDG_CACHE_HOME/clmaml, else $HOME/.cache/clmaml",
     "where built kernels, timings and prepared pictures are kept"},
    {"CLMAML_NO_CACHE", "the cache is used", "anything but 0: the cache is neither read nor written"},
    {"CLMAML_KERNEL_DIR", "the sources in the library", "kernel sources are read from this directory (development)"},
    {"CLMAML_DUMP_KERNELS", "nothing is written", "every program text for OpenCL is written to this directory (development)"},
    {"CLMAML_TUNE_DATABASE", "what comes with the library",
     "a file of choices for operations that were measured elsewhere, beside those that come with the library"},
    {"CLMAML_EMULATE", "the device as it is", "key=value,..: take OpenCL devices for smaller or other ones (tests, reports)"},
    {"CLMAML_MEMORY_LIMIT", "nine tenths of what the device has free",
     "the most device memory to take, such as 2G; as --memory-limit"},
    {"CLMAML_HOST_MEMORY", "what the machine has",
     "the machine's memory, of which data sets take a quarter before they are kept in files"},
    {"CLMAML_MAX_LAUNCH_MS", "500 on GPUs and accelerators, 100 on GPUs that share the host's memory, no bound on CPUs",
     "launches that would take longer are cut in pieces; 0: no bound"},
    {"CLMAML_CPU_PARTS", "auto",
     "into how many parts a CPU is divided for the tasks of a meta-batch: auto, or a number; 1: none"},
    {"CLMAML_CPU_TEAM", "auto",
     "how many parts of a CPU share each launch where a trained model adapts: auto, or a number; 1: the driver shares it out"},
    {"CLMAML_CHAIN", "auto",
     "small launches that follow one another become one: auto (in programs without convolutions), always, never"},
    {"CLMAML_NO_CLBLAST", "used where it is installed and expected or measured to be faster",
     "anything but 0: CLBlast is not used"},
    {"CLMAML_NO_CLFFT", "used where it is installed and faster", "anything but 0: clFFT is not used"},
    {"CLMAML_MPI_TIMEOUT", "600", "how many seconds a rank waits for another before it gives all of them up"},
    {"CLMAML_LOG", "no log", "error, info or debug: say on stderr what happens; with :FILE, append it to a file"},
    {"CLMAML_QUIRKS", "those that match the driver", "work-arounds for drivers: none, or +NAME and -NAME with commas"},
    {"CLMAML_FORCE", "a device that fails its self-test is refused",
     "anything but 0: the program does not test devices that are new, as --force"},
    {"CLMAML_BUILDER", "the program itself, where it is clmaml",
     "path of clmaml: drivers that compile one kernel after the other get several processes of it"},
    {"CLMAML_BUILD_PROCESSES", "as many as there are processors, 16 at most", "how many they are; 1: none"},
    {"CLMAML_PROBE_SECONDS", "30",
     "how long the program waits for an OpenCL driver that it tries in a process of its own; 0: no trial"},
};

bool clm_environment_at(size_t index, clm_environment_entry *out) {
    if (index >= sizeof variables / sizeof *variables) return false;
    *out = (clm_environment_entry){.name = variables[index].name,
                                   .meaning = variables[index].meaning,
                                   .fallback = variables[index].fallback,
                                   .value = getenv(variables[index].name)};
    return true;
}

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "a compiler that does not say its name"
#endif

const char *clm_build_description(void) { return COMPILER; }
