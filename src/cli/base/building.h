/* A line on the terminal while kernels are built: a driver may take seconds for it, in which nothing else is said. */
#ifndef CLI_BUILDING_H
#define CLI_BUILDING_H

/* From now on, where stderr is a terminal. */
void cli_building_show(void);

#endif
