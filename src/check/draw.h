/* Numbers to try an operation on, the same on every machine. */
#ifndef CLM_CHECK_DRAW_H
#define CLM_CHECK_DRAW_H

#include <stddef.h>
#include <stdint.h>

typedef enum clm_draw {
    CLM_DRAW_NORMAL,   /* standard normal */
    CLM_DRAW_AWAY,     /* +-[0.4, 1.5]: away from a kink at 0 */
    CLM_DRAW_POSITIVE, /* [0.5, 2] */
    CLM_DRAW_WIDE,     /* +-[0.2, 3], now and then to +-95, where exp leaves the range of floats */
    CLM_DRAW_DISTINCT, /* no two closer than 1/256, nor to any of CLM_DRAW_BETWEEN */
    CLM_DRAW_BETWEEN,  /* likewise, halfway between those of CLM_DRAW_DISTINCT */
    CLM_DRAW_TIED,     /* whole numbers -1 .. 1, many of them equal: compared between implementations, not with differences */
    CLM_DRAW_INDEX,    /* whole numbers 0 .. limit - 1; not differentiable */
    CLM_DRAW_OUTSIDE   /* likewise, now and then -1 or limit */
} clm_draw;

/* The state from which the numbers of `text` are drawn; it takes its turn with every draw. */
uint64_t clm_draw_start(uint64_t seed, const char *text);
/* Fills `data` with `count` numbers, all exact as floats. `limit` is for CLM_DRAW_INDEX and CLM_DRAW_OUTSIDE. */
void clm_draw_fill(clm_draw draw, int limit, uint64_t *state, double *data, size_t count);

#endif
