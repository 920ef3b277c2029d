/* bench/peers/, embedded in the program by CMake. */
#ifndef CLI_BENCH_SCRIPTS_H
#define CLI_BENCH_SCRIPTS_H

typedef struct bench_script {
    const char *name, *text;
} bench_script;

extern const bench_script bench_scripts[]; /* ends with a row without a name */

#endif
