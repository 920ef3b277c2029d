/* The parts of a page: its head, runs side by side, one run. */
#include "report/sections.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/protocol.h"
#include "report/charts.h"
#include "report/differences.h"

/* Blue for scores, everywhere; right and wrong differ by a sign too. */
static const char style[] =
    ":root{color-scheme:light dark;--ink:#1c2024;--soft:#5b6470;--line:#dfe3e8;--back:#fff;--card:#f6f7f9;--blue:#1f66b5;"
    "--good:#12733a;--bad:#b3261e}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9ba5b0;--line:#363c44;--back:#14171a;--card:#1d2125;"
    "--blue:#6cb0ff;--good:#67c98b;--bad:#ff8a80}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:16px;max-width:1240px;background:var(--back);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif;overflow-wrap:break-word}\n"
    "h1{font-size:1.5rem}h2{font-size:1.25rem;margin:2.2rem 0 .5rem}h3{font-size:1rem;margin:1.4rem 0 .4rem}\n"
    ".scroll{overflow-x:auto;max-width:100%}\n"
    "table{border-collapse:collapse;font-size:.9rem}\n"
    "th,td{text-align:left;vertical-align:top;padding:5px 16px 5px 0;border-bottom:1px solid var(--line)}\n"
    "th{font-weight:600;color:var(--soft);white-space:nowrap}td{overflow-wrap:anywhere}\n"
    ".runs td{min-width:6rem}.runs td.name{min-width:9rem}\n"
    "@media(max-width:700px){.stack thead{display:none}.stack tr{display:block;padding:8px 0;border-bottom:1px solid "
    "var(--line)}"
    ".stack th,.stack td{border:0;padding:2px 8px 2px 0}.stack td.num{white-space:normal}"
    ".stack td[data-head]{display:flex;gap:8px}.stack td[data-head]::before{content:attr(data-head);flex:0 0 8rem;"
    "color:var(--soft)}.pairs td,.strip td{display:block}.pairs td:nth-child(3)::before{content:\"zero is \";color:var(--soft)}"
    ".settings tr{counter-reset:run}.settings td{display:flex;gap:8px;counter-increment:run}"
    ".settings td::before{content:\"run \" counter(run);flex:0 0 5rem;color:var(--soft)}"
    ".strip td::before{display:block;content:\"support\";color:var(--soft)}.strip td+td::before{content:\"query\"}}\n"
    ".num{white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    ".big{font-size:1.5rem;margin:.2rem 0}.note{color:var(--soft);font-size:.9rem}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:16px;margin:1rem 0}\n"
    "figure{margin:0;padding:12px;background:var(--card);border-radius:8px;min-width:0}.wide{max-width:640px;margin:1rem 0}\n"
    "figcaption{font-size:.9rem;color:var(--soft);margin-bottom:6px}\n"
    "svg{display:block;width:100%;max-width:620px;height:auto}\n"
    "svg text{fill:var(--ink);font:13px system-ui,sans-serif}\n"
    ".grid{stroke:var(--line);fill:none}.axis{stroke:var(--soft);fill:none}\n"
    ".line,.whisker{stroke:var(--blue);stroke-width:1.6;fill:none}.line{stroke-opacity:.55}\n"
    ".faint{stroke:var(--soft);stroke-opacity:.55;fill:none}.dot{fill:var(--blue)}\n"
    ".key::before{content:\"\";display:inline-block;width:16px;height:3px;margin:0 5px 4px 0;background:var(--blue)}\n"
    ".pale::before{background:var(--soft);opacity:.6}\n"
    ".strip img{width:56px;height:56px;object-fit:contain;image-rendering:pixelated;margin:0 6px 4px 0;vertical-align:top;"
    "border:1px solid var(--line)}\n"
    ".fits{max-width:900px}.fits img{width:100%;height:auto}\n"
    ".strip th.class{white-space:normal;overflow-wrap:anywhere;min-width:5.5rem;max-width:10rem}\n"
    ".query{display:inline-flex;width:13rem;max-width:100%;margin:0 12px 4px 0;font-size:.8rem;line-height:1.3}.query "
    "span{overflow-wrap:anywhere}"
    ".query br:first-child{display:none}\n"
    ".right{color:var(--good)}.wrong{color:var(--bad)}\n";

void section_head(page *p, size_t runs) {
    page_add(p, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    page_add(p, "<title>clMAML: %zu run%s</title>\n<style>\n%s</style>\n</head>\n<body>\n", runs, runs == 1 ? "" : "s", style);
    page_add(p, "<h1>%s</h1>\n", runs == 1 ? "A run of clMAML" : "Runs of clMAML");
}

/* ---- one value ---- */

static void put_value(page *p, const json_t *value) {
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    const char *said = json_is_string(value) ? json_string_value(value) : text;
    page_escape(p, said && said[0] ? said : "–");
    free(text);
}

/* A setting in the words of the command line: "auto", "never" of "0: never". What is no option of train is as it is in the file. */
static void put_setting(page *p, const char *key, const json_t *value) {
    char written[CLI_PATH_MAX], meaning[256];
    const int row = cli_settings_row(key);
    if (row < 0) {
        put_value(p, value);
        return;
    }
    cli_option_written(&cli_settings_options[row], value, written, sizeof written);
    cli_option_meaning(&cli_settings_options[row], written, meaning, sizeof meaning);
    page_escape(p, !written[0] ? "–" : meaning[0] && strcmp(written, "auto") != 0 ? meaning : written);
}

/* A text, or a list of them where there are several devices. */
static void put_device(page *p, const report_run *run) {
    const json_t *device = json_object_get(run->config, "device");
    if (!json_is_array(device)) {
        put_value(p, device);
        return;
    }
    for (size_t i = 0; i < json_array_size(device); i++) {
        if (i) page_add(p, "; ");
        put_value(p, json_array_get(device, i));
    }
}

static void put_test(page *p, const report_run *run) {
    if (!run->result)
        page_add(p, "not tested yet");
    else
        page_score(p, run->mean, run->half, run->percent);
}

static void put_speed(page *p, const report_run *run) {
    if (isfinite(run->speed))
        page_number(p, run->speed, 4);
    else
        page_add(p, "–");
}

/* ---- runs side by side ---- */

static void put_algorithm(page *p, const report_run *run) {
    page_escape(p, run->has_settings ? run->settings.algorithm : report_text(run->result, "algorithm"));
}

static void put_metric(page *p, const report_run *run) { page_escape(p, report_metric(run)); }

static void put_tasks(page *p, const report_run *run) {
    if (run->result)
        page_add(p, "%.0f", report_number(run->result, "tasks"));
    else
        page_add(p, "–");
}

/* In a narrow window the head of a column stands before each of its values, one below the other. */
static const struct {
    const char *head, *class;
    void (*put)(page *p, const report_run *run);
} columns[] = {{"algorithm", "name", put_algorithm}, {"test score", "num", put_test},      {"metric", "name", put_metric},
               {"test tasks", "num", put_tasks},     {"tasks a second", "num", put_speed}, {"device", "name", put_device}};

static void add_row_of(page *p, const report_run *run, size_t number) {
    page_add(p, "<tr><th>%zu</th><td class=\"name\"><a href=\"#run-%zu\">", number, number);
    page_escape(p, run->name);
    page_add(p, "</a></td>");
    for (size_t k = 0; k < CLI_COUNT(columns); k++) {
        page_add(p, "<td class=\"%s\" data-head=\"%s\">", columns[k].class, columns[k].head);
        columns[k].put(p, run);
        page_add(p, "</td>");
    }
    page_add(p, "</tr>\n");
}

static void add_table(page *p, const report_run *runs, size_t n) {
    page_add(p, "<div class=\"scroll\"><table class=\"runs stack\"><thead><tr><th></th><th>run</th>");
    for (size_t k = 0; k < CLI_COUNT(columns); k++) page_add(p, "<th>%s</th>", columns[k].head);
    page_add(p, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++) add_row_of(p, &runs[i], i + 1);
    page_add(p, "</tbody></table></div>\n<p class=\"note\">Test scores are means over tasks with the 95 %% interval. Tasks a "
                "second: the median over the rows of the metrics.</p>\n");
}

static bool differs(const report_run *runs, size_t n, const char *key) {
    const json_t *first = json_object_get(json_object_get(runs[0].config, "settings"), key);
    for (size_t i = 1; i < n; i++)
        if (!json_equal(first, json_object_get(json_object_get(runs[i].config, "settings"), key))) return true;
    return false;
}

static void add_difference_row(page *p, const report_run *runs, size_t n, const char *key) {
    page_add(p, "<tr><th>");
    page_escape(p, key);
    page_add(p, "</th>");
    for (size_t i = 0; i < n; i++) {
        page_add(p, "<td>");
        put_setting(p, key, json_object_get(json_object_get(runs[i].config, "settings"), key));
        page_add(p, "</td>");
    }
    page_add(p, "</tr>\n");
}

/* What one run alone has counts too. */
static void add_settings(page *p, const report_run *runs, size_t n) {
    json_t *all = json_object();
    const char *key;
    json_t *value;
    size_t rows = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *settings = json_object_get(runs[i].config, "settings");
        if (json_is_object(settings)) json_object_update_missing(all, settings);
    }
    page_add(p,
             "<h3>Settings that differ</h3>\n<div class=\"scroll\"><table class=\"runs stack settings\"><thead><tr><th></th>");
    for (size_t i = 0; i < n; i++) page_add(p, "<th>%zu</th>", i + 1);
    page_add(p, "</tr></thead><tbody>\n");
    json_object_foreach(all, key, value) {
        if (!differs(runs, n, key)) continue;
        add_difference_row(p, runs, n, key);
        rows++;
    }
    if (!rows) page_add(p, "<tr><th>none</th><td colspan=\"%zu\"></td></tr>\n", n);
    page_add(p, "</tbody></table></div>\n");
    json_decref(all);
}

void section_together(page *p, const report_run *runs, size_t n) {
    add_table(p, runs, n);
    if (n < 2) return;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (strcmp(report_metric(&runs[k]), report_metric(&runs[i])) != 0) k++;
        if (k == i) chart_scores(p, runs, n, report_metric(&runs[i]));
    }
    differences_add(p, runs, n);
    add_settings(p, runs, n);
}

/* ---- one run ---- */

/* A line "  inner loop  5 steps" is a row; one that is indented further goes on with the row before. */
static void add_protocol_line(page *p, const char *line, bool *open) {
    enum { INDENT = 14 };
    char name[INDENT + 1] = "";
    const size_t length = strlen(line), blank = strspn(line, " ");
    if (length <= INDENT || blank < 2) return;
    if (blank >= INDENT) {
        page_add(p, "<br>");
        page_escape(p, line + blank);
        return;
    }
    memcpy(name, line + 2, INDENT - 2);
    for (size_t i = INDENT - 2; i > 0 && name[i - 1] == ' '; i--) name[i - 1] = 0;
    page_add(p, "%s<tr><th>", *open ? "</td></tr>\n" : "");
    page_escape(p, name);
    page_add(p, "</th><td>");
    page_escape(p, line + INDENT);
    *open = true;
}

static void add_protocol(page *p, const report_run *run) {
    char line[4 * CLI_PATH_MAX];
    bool open = false;
    FILE *file = tmpfile();
    if (!file) return;
    const bool chosen = !json_is_false(json_object_get(run->result, "chosen_by_validation")); /* that checkpoint may be lost */
    cli_protocol_print(file, &run->settings,
                       !run->validates ? CLI_CHOICE_NONE
                       : chosen        ? CLI_CHOICE_MADE
                                       : CLI_CHOICE_LOST,
                       NULL, NULL, NULL);
    rewind(file);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        add_protocol_line(p, line, &open);
    }
    if (open) page_add(p, "</td></tr>\n");
    fclose(file);
}

static void add_row(page *p, const char *name, const json_t *value) {
    page_add(p, "<tr><th>%s</th><td>", name);
    put_value(p, value);
    page_add(p, "</td></tr>\n");
}

/* The note of another program, as it is. */
static void add_options(page *p, const report_run *run) {
    add_row(p, "options", json_object_get(run->config, "settings"));
    add_row(p, "batch-norm", json_object_get(run->config, "batch_norm"));
}

/* What was said of the data as they were read: what is left out, what splits share. */
static void add_notes(page *p, const report_run *run) {
    const json_t *notes = json_object_get(run->result ? run->result : run->config, "notes");
    for (size_t i = 0; i < json_array_size(notes); i++) {
        page_add(p, "%s", i ? "<br>" : "<tr><th>of the data</th><td>");
        put_value(p, json_array_get(notes, i));
    }
    if (json_array_size(notes)) page_add(p, "</td></tr>\n");
}

static void add_facts(page *p, const report_run *run) {
    page_add(p, "<table><tbody>\n");
    add_row(p, "source", json_object_get(run->config, "source"));
    add_notes(p, run);
    if (run->has_settings)
        add_protocol(p, run);
    else
        add_options(p, run);
    page_add(p, "<tr><th>device</th><td>");
    put_device(p, run);
    page_add(p, "</td></tr>\n<tr><th>speed</th><td>");
    put_speed(p, run);
    page_add(p, " tasks a second (median)");
    if (isfinite(run->wait)) page_add(p, "; updates wait %.1f %% of their time for data (median)", 100 * run->wait);
    page_add(p, "</td></tr>\n</tbody></table>\n");
}

static void add_ensemble(page *p, const report_run *run) {
    const json_t *ensemble = json_object_get(run->result, "ensemble");
    if (!ensemble) return;
    page_add(p, "<p>The %zu best checkpoints together: ", json_array_size(json_object_get(ensemble, "checkpoint_iterations")));
    page_score(p, report_number(ensemble, "mean"), report_number(ensemble, "interval"), run->percent);
    page_add(p, "</p>\n");
}

/* Test tasks of each kind, by the initialisation that they went to. */
static void add_initialisations(page *p, const report_run *run) {
    const json_t *said = json_object_get(run->result, "initialisations"), *kinds = json_object_get(said, "kinds");
    const size_t starts = json_array_size(json_object_get(said, "shares"));
    if (!starts) return;
    page_add(p, "<h3>Initialisations</h3>\n<p class=\"note\">Test tasks of each kind that went to each initialisation.</p>\n"
                "<div class=\"scroll\"><table class=\"runs\"><thead><tr><th>kind</th>");
    for (size_t s = 0; s < starts; s++) page_add(p, "<th>%zu</th>", s + 1);
    page_add(p, "<th>");
    page_escape(p, report_metric(run));
    page_add(p, "</th></tr></thead><tbody>\n");
    for (size_t k = 0; k < json_array_size(kinds); k++) {
        const json_t *kind = json_array_get(kinds, k);
        const char *name = report_text(kind, "kind");
        page_add(p, "<tr><th>");
        page_escape(p, name[0] ? name : "all");
        page_add(p, "</th>");
        for (size_t s = 0; s < starts; s++)
            page_add(p, "<td class=\"num\">%.0f</td>", json_number_value(json_array_get(json_object_get(kind, "chosen"), s)));
        page_add(p, "<td class=\"num\">");
        page_score(p, report_number(kind, "mean"), report_number(kind, "interval"), run->percent);
        page_add(p, "</td></tr>\n");
    }
    page_add(p, "</tbody></table></div>\n");
}

/* What eval, adapt and predict would say of it. */
static void add_lost_best(page *p, const report_run *run) {
    if (clm_train_check_best(run->name, 0) != CLM_OK) {
        page_add(p, "<p class=\"note\">Of the best checkpoint: ");
        page_escape(p, cli_message());
        page_add(p, ".</p>\n");
    }
    cli_forget();
}

void section_run(page *p, const report_run *run, size_t number) {
    page_add(p, "<h2 id=\"run-%zu\">%zu&#160; ", number, number);
    page_escape(p, run->name);
    page_add(p, "</h2>\n<p class=\"big\">");
    put_test(p, run);
    page_add(p, "</p>\n");
    if (run->result) {
        page_add(p, "<p class=\"note\">");
        const double tasks = report_number(run->result, "tasks");
        page_escape(p, report_metric(run));
        page_add(p, "%s on %.0f test task%s, of the state after update %.0f</p>\n",
                 isfinite(run->half) ? " with 95 % interval" : "", tasks, tasks == 1 ? "" : "s",
                 report_number(run->result, "checkpoint_iteration"));
    }
    add_ensemble(p, run);
    add_lost_best(p, run);
    page_add(p, "<div class=\"charts\">\n");
    chart_steps(p, run);
    chart_learning(p, run);
    chart_shares(p, run);
    page_add(p, "</div>\n");
    add_initialisations(p, run);
    page_add(p, "<h3>Protocol</h3>\n");
    add_facts(p, run);
}
