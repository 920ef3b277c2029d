/* Choices that were measured on machines of others, by kind of device: what an operation is computed by where nothing was measured
 * here. database.txt is in the library, the file CLMAML_TUNE_DATABASE beside it.
 *
 *     # anything
 *     device TYPE | VENDOR | NAME | PLATFORM | DRIVER | UNITS       begins a section: for devices that match all six
 *     OPERATION | TASKS | CHOICE | SECONDS DEFAULT                  as clm_choice_key and clm_choice_text write them
 *
 * A * in a device's line stands for anything. Lines that come later win, so that a section is added at the end. In a section an
 * operation has one implementation, whatever the number of tasks (ops/choice.h says why). */
#ifndef CLM_TUNE_DATABASE_H
#define CLM_TUNE_DATABASE_H

#include "base/error.h"
#include "device/backend.h"

typedef struct clm_embedded_database {
    const char *name, *text;
} clm_embedded_database;
extern const clm_embedded_database clm_embedded_databases[]; /* ends with name NULL */

enum { CLM_DATABASE_CHOICE = 128 };

typedef struct clm_database clm_database; /* the lines for one device */

/* Reads the sections of a text that are for a device, after those that *database has (NULL: none yet). CLM_E_ARG names `file` and the
 * line that is wrong, also in other sections. */
clm_status clm_database_read(clm_database **database, const char *text, const char *file, const clm_device_info *device);
void clm_database_free(clm_database *database);
/* The choice for this number of tasks, or the nearest. NULL: there is none. */
const char *clm_database_find(const clm_database *database, const char *operation, int tasks);

/* ---- of an opened device ---- */

/* Likewise of what is known for it; NULL too for the host reference. */
const char *clm_tune_known(clm_device *device, const char *operation, int tasks);
/* Could what is known be read? */
clm_status clm_tune_known_check(clm_device *device);
/* The line that begins a section for this device: numbers of a driver's version after the first are left open. */
const char *clm_database_device(const clm_device_info *device, char *text, size_t size);

#endif
