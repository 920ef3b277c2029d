/* Results of tuning on disk: which implementation of an operation, with which parameters, is fastest on a device.
 *
 * A file CACHE/tune/KEY.json for every operation with its shapes, KEY being a hash of the device hash (device, driver,
 * platform, version, kernel sources) and the operation's key (clm_choice_key). It names one implementation, and for every
 * number of tasks that was measured, rounded up to a power of two, its parameters. A file that is damaged or of another format
 * counts as absent. Updates read, merge and replace the file under a lock, so several processes may write at once. */
#ifndef CLM_TUNE_STORE_H
#define CLM_TUNE_STORE_H

#include "base/error.h"
#include "device/backend.h"

enum { CLM_TUNE_VALUES = 8 };

typedef struct clm_tune_entry {
    char implementation[32];
    int tasks; /* rounded up */
    int32_t value[CLM_TUNE_VALUES];
    double seconds, default_seconds; /* as measured */
    int tried;                       /* candidates; 0: nothing was measured, the default is kept so that it stays */
} clm_tune_entry;

/* 1, 2, 4, 8, ..: the numbers of tasks that are told apart. */
int clm_tune_tasks(int tasks);

/* Is there a place to keep results in? Not with CLMAML_NO_CACHE, nor for the host reference. */
bool clm_tune_store_enabled(const clm_device *device);
/* CLM_E_STATE when there is not. */
clm_status clm_tune_store_check(const clm_device *device);
/* The entry for this number of tasks, else the one for the nearest. False: none. Files are read once for an opened device. */
bool clm_tune_find(clm_device *device, const char *key, int tasks, clm_tune_entry *out);
/* Keeps an entry. `replace` false: one that is there for the same number of tasks stays, and so does the implementation if
 * other numbers of tasks have one; *entry becomes what is stored then. */
clm_status clm_tune_keep(clm_device *device, const char *key, clm_tune_entry *entry, bool replace);
/* All entries of this device. */
typedef void (*clm_tune_entry_fn)(void *user, const char *key, const clm_tune_entry *entry);
clm_status clm_tune_each(clm_device *device, clm_tune_entry_fn each, void *user);
/* Frees what was read; called when a device is closed. */
void clm_tune_forget(clm_device *device);

#endif
