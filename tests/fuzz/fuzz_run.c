/* The files of a run: config.json, metrics.jsonl and result.json, parted by lines "%%", as `clmaml report` and a resumed
 * training read them. No text of theirs gets into the page as it is. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "report/sections.h"
#include "train/metrics.h"

static void write_files(const uint8_t *data, size_t size) {
    static const char *const names[] = {"run/config.json", "run/metrics.jsonl", "run/result.json"};
    const uint8_t *part;
    size_t at = 0, length;
    fuzz_empty("run");
    for (size_t i = 0; i < 3 && fuzz_part(data, size, &at, &part, &length); i++) fuzz_file(names[i], part, length);
}

static void check_page(const page *p) {
    for (size_t i = 0; i < p->length; i++) {
        const unsigned char c = (unsigned char)p->text[i];
        fuzz_check(c >= 32 || c == '\n' || c == '\t', "report: a control character in the page");
    }
    if (p->length) fuzz_check(!strstr(p->text, "<script"), "report: a script in the page");
}

static void report(const char *directory) {
    report_run *run = calloc(2, sizeof *run);
    page p = {0};
    fuzz_check(run != NULL, "no memory");
    const bool opened = report_run_open(&run[0], directory) == CLM_OK && report_run_open(&run[1], directory) == CLM_OK;
    if (opened) {
        section_head(&p, 2);
        section_together(&p, run, 2);
        section_run(&p, &run[0], 1);
        check_page(&p);
    }
    page_free(&p);
    report_run_close(&run[0]);
    report_run_close(&run[1]);
    free(run);
    cli_forget();
}

static void resume(const char *directory) {
    clm_metrics *metrics = calloc(1, sizeof *metrics);
    fuzz_check(metrics != NULL, "no memory");
    (void)clm_metrics_open(metrics, directory, true, 1000);
    clm_metrics_close(metrics);
    free(metrics);
}

static void run(const uint8_t *data, size_t size) {
    write_files(data, size);
    if (fuzz_goes(data, size, 0, 2)) report(fuzz_path("run"));
    if (fuzz_goes(data, size, 1, 2)) resume(fuzz_path("run"));
}

const fuzz_target fuzz_this = {run, 1 << 20, 1024};
