/* Schedules of the outer rate, one function and one row each. T = schedule_updates, t counts from the end of the warm-up.
 *
 *   constant      lr
 *   cosine        lr_min + (lr - lr_min) (1 + cos(pi t / T)) / 2   for t < T, lr_min from T on   (Loshchilov and Hutter 2017)
 *   step          lr factor^floor(t / T)
 *   exponential   lr factor^(t / T)
 *
 * During the warm-up the rate is lr (t + 1) / warmup, whatever the schedule (Goyal et al. 2017). */
#include <math.h>
#include <string.h>

#include "meta/optimizer/table.h"

static const double pi = 3.14159265358979323846;

static double constant(const clm_optim_options *o, double t) {
    (void)t;
    return o->lr;
}

static double cosine(const clm_optim_options *o, double t) {
    const double end = (double)o->schedule_updates;
    if (t >= end) return o->lr_min;
    return o->lr_min + (o->lr - o->lr_min) * 0.5 * (1 + cos(pi * t / end));
}

static double stepwise(const clm_optim_options *o, double t) {
    return o->lr * pow(o->factor, floor(t / (double)o->schedule_updates));
}

static double exponential(const clm_optim_options *o, double t) {
    return o->lr * pow(o->factor, t / (double)o->schedule_updates);
}

enum { ALL = CLM_OPTIM_LR | CLM_OPTIM_WARMUP };

static const clm_optim_schedule schedules[] = {
    {"constant", "lr", ALL, constant},
    {"cosine", "from lr to lr_min along half a cosine over schedule_updates (Loshchilov and Hutter 2017)",
     ALL | CLM_OPTIM_UPDATES | CLM_OPTIM_LR_MIN, cosine},
    {"step", "times factor after every schedule_updates", ALL | CLM_OPTIM_UPDATES | CLM_OPTIM_FACTOR, stepwise},
    {"exponential", "evenly, by factor over schedule_updates", ALL | CLM_OPTIM_UPDATES | CLM_OPTIM_FACTOR, exponential},
};
enum { SCHEDULES = sizeof schedules / sizeof *schedules };

const clm_optim_schedule *clm_optim_schedule_find(const char *name) {
    for (size_t i = 0; i < SCHEDULES && name; i++)
        if (strcmp(schedules[i].name, name) == 0) return &schedules[i];
    return NULL;
}

size_t clm_optim_schedule_count(void) { return SCHEDULES; }
const char *clm_optim_schedule_name(size_t i) { return i < SCHEDULES ? schedules[i].name : NULL; }
const char *clm_optim_schedule_summary(size_t i) { return i < SCHEDULES ? schedules[i].summary : NULL; }

bool clm_optim_schedule_uses(const char *name, const char *option) {
    const clm_optim_schedule *schedule = clm_optim_schedule_find(name);
    return schedule && (schedule->uses & clm_optim_field_named(option));
}

double clm_optim_schedule_rate(const clm_optim_schedule *schedule, const clm_optim_options *o, uint64_t t) {
    if (t < o->warmup) return o->lr * ((double)(t + 1) / (double)o->warmup);
    return schedule->rate(o, (double)(t - o->warmup));
}

double clm_optim_rate(const clm_optim_options *o, uint64_t t) {
    const clm_optim_schedule *schedule = clm_optim_schedule_find(o->schedule);
    if (!schedule || ((schedule->uses & CLM_OPTIM_UPDATES) && o->schedule_updates == 0)) return NAN;
    return clm_optim_schedule_rate(schedule, o, t);
}
