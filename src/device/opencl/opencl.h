/* The OpenCL back end's own types. Only files of this directory see OpenCL.
 *
 * One context, one in-order queue without profiling and one set of programs belong to each opened device. */
#ifndef CLM_OPENCL_OPENCL_H
#define CLM_OPENCL_OPENCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#if defined(__APPLE__)
#include <OpenCL/opencl.h>
#else
#include <CL/cl.h>
#endif

#include "base/memory.h"
#include "device/backend.h"
#include "device/emulate.h"
#include "device/opencl/quirks.h"

/* A text that programs are built from: "common.cl" and a kernel file. */
typedef struct clm_cl_source {
    char *file, *text;
} clm_cl_source;

/* A built text with its defines, found again by them. In a program that holds many, kernel names end in `suffix`. */
typedef struct clm_cl_program {
    uint64_t hash;
    char *text, *defines;
    cl_program program;
    char suffix[24];
} clm_cl_program;

/* Bounds on launches and queued work, and what they are estimated from; seconds. watchdog.c */
typedef struct clm_cl_watchdog {
    double launch, queued;     /* limits of one launch, of all queued work; launch 0: no limits */
    double rate;               /* operations a second, a low estimate */
    double factor;             /* by which work took longer than estimated */
    double waiting, unflushed; /* queued and perhaps not done; queued and not flushed */
    double work, since;        /* operations queued since the queue was empty; when that was */
    unsigned held;             /* launches queued and not flushed */
    /* For tests: pieces of launches queued, waits to keep the queue short, flushes. */
    size_t pieces, waits, flushes;
} clm_cl_watchdog;

typedef struct clm_cl_device {
    clm_device base; /* first: a clm_device * is a clm_cl_device * */
    cl_platform_id platform;
    char platform_name[256], platform_version[256];
    cl_device_id id;
    bool is_sub_device; /* `id` is one, and is released when the device is closed */
    cl_context context;
    cl_command_queue queue;
    cl_command_queue timing_queue; /* with profiling; made when first needed */
    size_t max_local[3];           /* CL_DEVICE_MAX_WORK_ITEM_SIZES */
    clm_emulation emulation;
    unsigned avoid; /* CLM_AVOID_..: faults of this driver */
    unsigned unflushed;
    bool flushed_last; /* nothing was queued since the last flush */
    clm_cl_watchdog watchdog;
    clm_cl_source *sources;
    size_t source_count, source_capacity;
    clm_cl_program *programs;
    size_t program_count, program_capacity;
    char *cache_directory;                         /* of program binaries; NULL: none */
    double building, asking;                       /* seconds that programs took to build, and their binaries to come */
    clm_library_info libraries[CLM_LIBRARY_COUNT]; /* libraries.h; no name: not looked for yet */
    struct clm_cl_plan *plans;
    size_t plan_count, plan_capacity;
    struct clm_cl_team *team; /* team.c; NULL: none yet */
} clm_cl_device;

enum { CLM_CL_TEAM_MOST = 4 };

struct clm_mem {
    cl_mem buffer;
    size_t elements;
};

struct clm_kernel {
    cl_kernel kernel;
    struct clm_cl_call *call; /* instead of a kernel */
    cl_mem table;             /* of a task kernel */
    size_t global[3], local[3];
    char label[96], entry[64];
    /* watchdog.c */
    double work, seconds; /* operations, or what stands for them; measured */
    unsigned measured;    /* times */
    bool divisible;       /* may be launched in pieces */
    /* team.c, instead of `kernel` where there are any: of every part, then of every launch when the team is loose */
    cl_kernel *members;
    int n_members;
    double expected; /* seconds */
    bool launched;
};

static inline clm_cl_device *clm_cl(clm_device *d) { return (clm_cl_device *)d; }

/* errors.c */
const char *clm_cl_error_name(cl_int code);
clm_status clm_cl_status(cl_int code); /* CLM_E_MEMORY for want of memory, otherwise CLM_E_DEVICE */
/* "WHAT on DEVICE: CL_NAME". CLM_OK when code is CL_SUCCESS. */
clm_status clm_cl_check(clm_device *d, cl_int code, const char *what, ...) CLM_PRINTF(3, 4);

/* devices.c */
clm_status clm_cl_find(int platform_index, int device_index, cl_platform_id *platform, cl_device_id *id);
/* What the device reports, or what CLMAML_EMULATE says of it; `emulation` may be NULL. CLM_E_DEVICE: it does not answer; what it said
 * is there. */
clm_status clm_cl_describe(cl_platform_id platform, cl_device_id id, clm_device_info *info, clm_emulation *emulation);

/* Is it a GPU whose lanes have few registers, as base.few_registers says? */
bool clm_cl_few_registers(cl_device_id id);
/* As the back end's free_memory. */
uint64_t clm_cl_free_memory(const clm_device *device);

/* A text of a platform, cut where it does not fit. The limits of the first three dimensions of a work-group. */
clm_status clm_cl_platform_text(cl_platform_id platform, cl_platform_info what, char *out, size_t size);
clm_status clm_cl_item_sizes(cl_device_id id, size_t sizes[3]);

/* sub_device.c: replaces d->id by sub-device `index` of `count` equal ones; a sub-device's share of the memory, and its
 * name. CLM_E_LIMIT: it is not divided, or not so. */
clm_status clm_cl_divide(clm_cl_device *d, int index, int count);
void clm_cl_describe_sub_device(clm_device_info *info, int index, int count);
/* Characters of the device's name without the ending that numbers a sub-device. */
size_t clm_cl_name_length(const clm_cl_device *d);

/* memory.c */
clm_status clm_cl_alloc(clm_device *d, size_t elements, clm_mem **out);
void clm_cl_free(clm_device *d, clm_mem *mem);
clm_status clm_cl_write(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *f32, const double *f64);
clm_status clm_cl_read(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *f32, double *f64);
clm_status clm_cl_write_later(clm_device *d, clm_mem *mem, size_t offset, size_t count, const float *data);
clm_status clm_cl_read_later(clm_device *d, clm_mem *mem, size_t offset, size_t count, float *data);
clm_status clm_cl_write_bytes(clm_device *d, clm_mem *mem, size_t offset, size_t count, const void *bytes);
clm_status clm_cl_copy(clm_device *d, clm_mem *from, size_t from_offset, clm_mem *to, size_t to_offset, size_t count);
clm_status clm_cl_fill(clm_device *d, clm_mem *mem, size_t offset, size_t count, double value);

/* kernels.c */
/* A property of a kernel on its device; what the driver does not know stays as it was. */
clm_status clm_cl_kernel_property(clm_device *d, const char *label, cl_kernel kernel, cl_kernel_work_group_info what,
                                  size_t size, void *out);
/* How many of a launch's arguments, from number i on, are one int or int4 of the kernel; 0: it is something else. */
int clm_cl_ints_at(const clm_launch *l, int i);
clm_status clm_cl_make(clm_device *d, const clm_launch *launch, clm_kernel **out);
void clm_cl_release(clm_device *d, clm_kernel *kernel);
clm_status clm_cl_enqueue(clm_device *d, clm_kernel *kernel);
clm_status clm_cl_time(clm_device *d, clm_kernel *kernel, double *seconds);

/* watchdog.c: estimates; queues nothing and waits for nothing. */
clm_status clm_cl_watchdog_open(clm_cl_device *d); /* by the type of device, or CLMAML_MAX_LAUNCH_MS */
/* Estimates the work of a new kernel, whose sizes are chosen, and whether it can be cut. */
void clm_cl_watchdog_examine(clm_kernel *k, const clm_launch *launch, const char *text);
double clm_cl_watchdog_expected(const clm_cl_watchdog *w, const clm_kernel *k); /* seconds */
bool clm_cl_watchdog_cuts(const clm_cl_device *d, const clm_kernel *k);
/* After work has been queued: its expected seconds and its operations. */
void clm_cl_watchdog_queued(clm_cl_watchdog *w, double seconds, double work);
/* After every wait, which began at `start` (clm_clock): the queue is empty. */
void clm_cl_watchdog_idle(clm_cl_device *d, double start);

/* queue.c */
clm_status clm_cl_finish(clm_device *d);
/* For all that is queued, also with drivers whose clFinish waits only for what is not flushed. */
cl_int clm_cl_wait(clm_cl_device *d);
void clm_cl_flush(clm_cl_device *d);
/* After each queued command: flushes periodically, so that the device starts early and watchdogs see short batches. */
void clm_cl_queued(clm_cl_device *d);
/* The part of a kernel's global size that begins at `offset` (NULL: 0); `event` may be NULL. */
clm_status clm_cl_enqueue_range(clm_device *d, cl_command_queue queue, const clm_kernel *k, const size_t offset[3],
                                const size_t global[3], cl_event *event);
/* Of an emulated device that is short of memory: the error it gives at this point, otherwise CL_SUCCESS. */
cl_int clm_cl_emulated_lack(clm_device *d, clm_emulated_failure at);

/* pieces.c */
/* Queues a kernel within the watchdog's limits: in pieces and after a wait, where needed. */
clm_status clm_cl_enqueue_bounded(clm_device *d, clm_kernel *k);
clm_status clm_cl_time_pieces(clm_device *d, cl_command_queue queue, clm_kernel *k, double *seconds); /* waits */

/* programs.c: the program a launch needs, built at most once per device and text. Owned by the device. */
clm_status clm_cl_program_get(clm_cl_device *d, const clm_launch *launch, const clm_cl_program **out);
/* The text of a launch (a kernel file or its generated source, without common.cl), owned by device or launch. */
clm_status clm_cl_text(clm_cl_device *d, const clm_launch *launch, const char **out);
const clm_cl_program *clm_cl_program_find(const clm_cl_device *d, const char *text, const char *defines);
clm_status clm_cl_program_add(clm_cl_device *d, const char *text, const char *defines, cl_program program, const char *suffix);
/* common.cl before `body`; free with free(). */
clm_status clm_cl_compose(const char *body, const char *name, char **out);
/* From disk or from source; a failure is that of `launch`. */
clm_status clm_cl_obtain(clm_cl_device *d, const clm_launch *launch, const char *text, const char *defines, cl_program *out);
/* The options that go with `defines`; free with free(). NULL: out of memory. */
char *clm_cl_options(const clm_cl_device *d, const char *defines);
void clm_cl_programs_free(clm_cl_device *d);

/* dump.c: whether program texts are wanted on disk, and one of them written there. */
bool clm_cl_dumping(void);
clm_status clm_cl_dump(const char *text, const char *options);

/* device_hash.c */
uint64_t clm_cl_device_hash(clm_device *d);

/* batch.c */
/* A text that shares a program with others; kernel names get the suffix, which is a hash of text and defines. */
typedef struct clm_cl_member {
    const char *text, *defines;
    char suffix[24];
} clm_cl_member;
enum { CLM_CL_JOINED = 16 }; /* at most in a program */
/* The texts that launches need and the device has not built, in order of their first launch. */
typedef struct clm_cl_texts {
    clm_cl_member *member;
    size_t *first; /* of each: the launch */
    size_t count;
    size_t *of; /* of each launch: its text, SIZE_MAX for nothing to build */
} clm_cl_texts;
clm_cl_member clm_cl_member_of(const char *text, const char *defines);
/* One program text for a device, common.cl included, of many; free with free(). */
clm_status clm_cl_join(const clm_cl_device *d, const clm_cl_member *members, size_t count, char **out);
/* One of them. */
void clm_cl_join_member(clm_text *out, const clm_cl_member *m);

clm_status clm_cl_build(clm_device *d, const clm_launch *launches, size_t count);

/* apart.c */
/* Appends a text with its kernels as static functions, which have the index of a work-item as three parameters before their own.
 * `apart`: they are not inlined, for which the compiler has to be of the Clang family. */
void clm_cl_add_functions(clm_text *out, const char *text, bool apart);
/* A text as this device's compiler is to have it, to be freed with free(); NULL: unchanged. */
clm_status clm_cl_set_apart(const clm_cl_device *d, const char *text, char **out);

/* joined.c */
/* Of devices that are alike in this process, as the whole of a CPU and its parts are: what decides about a program besides its text. */
uint64_t clm_cl_kind(const clm_cl_device *d);
/* What was joined, for other devices of the process; kept to its end. From any thread. */
void clm_cl_joined_keep(clm_cl_device *d, const clm_cl_member *members, size_t count);
/* Those that a device of the same kind has built in one program with this text; 0: none has. */
size_t clm_cl_joined_with(clm_cl_device *d, const char *text, const char *defines, const clm_cl_member **members);

/* task_kernel.c */
clm_status clm_cl_make_task_kernel(clm_device *d, const clm_launch *launches, size_t count, clm_kernel **out);

/* team.c */
/* As the back end's find_team and form_team. */
clm_status clm_cl_team_find(clm_device *d, const clm_launch *launches, size_t count, bool *found);
clm_status clm_cl_team_form(clm_device *d, const clm_launch *launches, size_t count, clm_launch *out);
/* A team's launch has as many kernels; that of a member is made with these arguments. */
int clm_cl_team_members(const clm_cl_device *d, const clm_launch *launch);
void clm_cl_team_place(const clm_cl_device *d, clm_launch *launch, int member);
double clm_cl_team_expected(const clm_cl_device *d, const clm_launch *launch); /* seconds */
clm_status clm_cl_team_enqueue(clm_device *d, clm_kernel *k);
/* Before anything is queued in the device's own queue: that is done after all that a team has queued. */
cl_int clm_cl_team_join(clm_cl_device *d);
/* What an open team is given is loose until the device has been waited for so many times. */
void clm_cl_team_rest(clm_cl_device *d, int waits);
/* After every wait that did not fail, which began at `start` (clm_clock). */
void clm_cl_team_idle(clm_cl_device *d, double start);
/* The next wait says nothing of how fast the team is: single launches are timed. */
void clm_cl_team_unjudged(clm_cl_device *d);
void clm_cl_team_close(clm_cl_device *d);

/* binaries.c: program binaries on disk. */
void clm_cl_cache_open(clm_cl_device *d);
/* A built program, or NULL: no entry, or one that is of no use. */
cl_program clm_cl_cache_load(clm_cl_device *d, const char *text, const char *options);
/* What is wrong with an entry's file; NULL when its binary may be given to the driver. */
const char *clm_cl_cache_fault(const char *data, size_t size, const uint64_t key[2]);
void clm_cl_cache_store(clm_cl_device *d, const char *text, const char *options, cl_program program);

/* builders.c: has other processes compile what these launches need, if there is a program for it and it is worth it, and waits
 * for them. It can only save time: fails for a wrong setting alone. */
clm_status clm_cl_build_apart(clm_cl_device *d, const clm_launch *launches, size_t count, const clm_cl_texts *texts);
/* The processes go, if there are any; or only where memory is short. From any thread. */
void clm_cl_builders_end(void);
void clm_cl_builders_make_room(void);

#endif
