/* Threads: start one, wait for its end, and a monitor (a lock with a condition) for what is passed between them. */
#ifndef CLM_BASE_THREAD_H
#define CLM_BASE_THREAD_H

#include "base/error.h"

typedef struct clm_thread clm_thread;

/* Runs work(argument) beside the caller. Messages of clm_fail belong to the thread that records them: `work` hands over what it
 * has to say in its argument. Signals of the process are left to the other threads, also by the threads and
 * programs that `work` starts. */
clm_status clm_thread_start(clm_thread **out, void (*work)(void *argument), void *argument);
/* Waits until the work is done. NULL is allowed. */
void clm_thread_join(clm_thread *thread);

typedef struct clm_monitor clm_monitor;

clm_status clm_monitor_create(clm_monitor **out);
void clm_monitor_free(clm_monitor *monitor); /* NULL is allowed; nobody may be inside */
void clm_monitor_enter(clm_monitor *monitor);
void clm_monitor_leave(clm_monitor *monitor);
/* Inside: leaves, sleeps until another thread wakes, enters again. May return early; ask for the reason in a loop. */
void clm_monitor_wait(clm_monitor *monitor);
/* Inside: all that wait look again. */
void clm_monitor_wake(clm_monitor *monitor);

#endif
