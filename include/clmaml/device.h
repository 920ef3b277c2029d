/* Devices: where programs run.
 *
 * A device is an OpenCL device or `host`, the double-precision reference in plain C. A specification is one of
 *   gpu | cpu | accelerator | P:D | part of a platform or device name | type:name | host
 * or host-float (alone: the reference with every result rounded to float, as a measure of what rounding does)
 * or several separated by commas. What uses one device (clm_device_open) takes the first of the list that matches; what uses
 * several (clm_device_open_all) takes every one. A /N at the end, as in 0:0/2, divides a device into N equal parts that count
 * as devices; what uses one device takes the whole. Words are compared whole and without regard to case.
 * NULL stands for the environment variable CLMAML_DEVICE and, when that is unset or empty, for the default: the GPU with the
 * most compute, else an accelerator, else a CPU, over all platforms; platforms that fail to open are passed over.
 *
 * Threading: a device and everything made from it belong to one thread at a time. While one thread is inside a function that
 * computes or moves data, such a function fails in another thread with CLM_E_STATE; afterwards it may be the other's turn.
 * Functions without a status (.._free, _close) look after no one: wait for the other thread first. The same device opened twice
 * is two devices.
 */
#ifndef CLMAML_DEVICE_H
#define CLMAML_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clm_device clm_device;

typedef enum clm_device_type { CLM_DEVICE_HOST, CLM_DEVICE_CPU, CLM_DEVICE_GPU, CLM_DEVICE_ACCELERATOR } clm_device_type;

typedef struct clm_device_info {
    clm_device_type type;
    int platform_index, device_index; /* the P and D of a P:D specification; -1 for host */
    char platform[128], name[256], vendor[128], driver[128], version[128];
    unsigned compute_units, clock_mhz;
    uint64_t global_memory, max_allocation, local_memory; /* bytes */
    size_t max_work_group_size;
    unsigned float_vector_width;  /* native width in floats */
    unsigned base_alignment_bits; /* CL_DEVICE_MEM_BASE_ADDR_ALIGN */
    bool fp64, fp16, unified_memory, available;
    bool chosen; /* set by clm_device_list on the one that NULL would open */
    bool images;
    unsigned address_bits; /* of the device's pointers */
    uint64_t cache;        /* bytes of the cache before global memory (CL_DEVICE_GLOBAL_MEM_CACHE_SIZE); 0: none or not known */
    bool dedicated_local_memory; /* local memory is a memory of its own (CL_LOCAL), not a part of global memory */
} clm_device_info;

/* Opens the device that `spec` names (NULL: environment, then default). Errors: CLM_E_DEVICE with a list of what exists. */
CLM_API clm_status clm_device_open(clm_device **out, const char *spec);
/* Opens every device of a list: for each item, the first that it names. Free with clm_device_close_all. Without a comma or
 * parts this is clm_device_open. Errors: CLM_E_DEVICE for an item that names nothing, or a device that was named before. */
CLM_API clm_status clm_device_open_all(clm_device ***out, size_t *count, const char *spec);
CLM_API void clm_device_close_all(clm_device **devices, size_t count);
/* Closes a device; everything made from it must have been freed. NULL is allowed. */
CLM_API void clm_device_close(clm_device *device);

CLM_API const clm_device_info *clm_device_get_info(const clm_device *device);

/* All devices of all platforms, then the host reference. Free with clm_device_list_free. Works without any OpenCL platform.
 * `warnings` (may be NULL) receives a text, "" when all went well, that says which platforms failed to open. */
CLM_API clm_status clm_device_list(clm_device_info **out, size_t *count, char *warnings, size_t warnings_size);
CLM_API void clm_device_list_free(clm_device_info *list);

/* Waits until all queued work has finished. A failure of earlier work is reported here. */
CLM_API clm_status clm_device_finish(clm_device *device);

/* Processor seconds that the calling thread has spent in waits for devices so far. Drivers of CPUs let the thread that waits
 * compute, and others let it spin: it is no time that the program needs. */
CLM_API double clm_thread_wait_seconds(void);

/* Bytes that plans without a limit on memory stay within, those that are allocated through the device included: nine tenths of
 * its memory, and of what is free of it. A device that shares the host's memory has free what the system has available; of
 * others only AMD's drivers tell (cl_amd_device_attribute_query). */
CLM_API uint64_t clm_device_memory_room(const clm_device *device);

/* Bytes allocated now and at most so far through this device. */
CLM_API size_t clm_device_allocated(const clm_device *device);
CLM_API size_t clm_device_peak_allocated(const clm_device *device);

/* What was asked of the driver since the device was opened, its sub-devices' part included; zeros for the host reference. */
typedef struct clm_device_counters {
    uint64_t launches; /* of kernels, pieces of cut ones counted one by one, and calls of libraries */
    uint64_t flushes;  /* of the queue by us; waiting flushes as well */
    uint64_t waits;    /* until the queue is empty */
    uint64_t copied;   /* bytes that the driver copied between host and device */
    uint64_t mapped;   /* bytes that the host reached in memory that it shares with the device */
} clm_device_counters;
CLM_API clm_device_counters clm_device_get_counters(const clm_device *device);
/* OpenCL programs built from source since the device was opened; one may hold many kernels. 0 on host. */
CLM_API size_t clm_device_kernels_built(const clm_device *device);

/* Drivers that compile one kernel after the other whatever the number of threads (PoCL) get more of a machine's processors by
 * several processes. They are started where a device is to build many kernels that it has not built before, and stay, as children of this
 * process and with their memory (some 200 MiB each), until a device launches a kernel or is closed: a program must not wait for just any
 * child (`wait`) meanwhile. `program` is the path of what runs in them: `clmaml`, or a program whose main passes its arguments to
 * clm_kernel_builder_main. NULL, the default: the environment variable CLMAML_BUILDER, and none when it is unset. The text is copied.
 * Call it before other threads use the library. */
CLM_API void clm_kernel_builder(const char *program);
/* True where the program was started as such a process: leave main with *exit_status, which then is set. */
CLM_API bool clm_kernel_builder_main(int argc, char **argv, int *exit_status);

/* Before programs or kernels are built from source, `count` of them, which takes a driver a fraction of a second or minutes, and after
 * it (`done`, also where it failed). May be called from any thread that calls the library, also from two at once, and must not call
 * it. */
typedef void (*clm_building_function)(void *user, const clm_device *device, size_t count, bool done);
/* Whom to tell, of all devices of the process; NULL: nobody. */
CLM_API void clm_building_set(clm_building_function function, void *user);

/* Names of the driver quirks that are worked around on this device, with spaces between; "" for none. docs/environment.md has
 * the list, CLMAML_QUIRKS changes it. */
CLM_API const char *clm_device_quirks(const clm_device *device);

/* Libraries that compete with our kernels where they are installed. They are found when the program runs: beside this library
 * or the program, in ../lib, or where the system looks. */
typedef struct clm_library_info {
    char name[16];    /* "CLBlast" */
    bool usable;      /* found, and not switched off */
    char version[32]; /* "" when it does not say */
    char path[256];   /* where it was found */
    char reason[256]; /* why it is not usable; "" when it is */
} clm_library_info;
/* The library with this index, from 0; false past the end. None is usable on the host reference. */
CLM_API bool clm_device_library_at(clm_device *device, size_t index, clm_library_info *out);
/* Runs a small case on the device, on GPUs one of each kernel of CLBlast that may be used: CLM_E_DEVICE when one fails or its
 * result is wrong. *error (may be NULL) is the relative error. The first time builds the library's kernels, which may take half a minute. */
CLM_API clm_status clm_device_library_check(clm_device *device, size_t index, double *error);

#ifdef __cplusplus
}
#endif
#endif
