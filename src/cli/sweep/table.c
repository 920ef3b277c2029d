/* The table of a sweep: on the terminal, in sweep.json and in sweep.csv; and the list of what would be made. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/system.h"
#include "base/table.h"
#include "eval/scores.h"
#include "sweep/sweep.h"

/* ---- order and state ---- */

typedef struct row {
    const sweep_run *run;
    int round; /* how many it has been through */
    sweep_score score;
    const char *state;
} row;

static const char *state_of(const sweep *s, const row *r, bool is_out) {
    if (r->run->result.why[0]) return "failed";
    if (r->round == s->rounds) return isfinite(r->score.mean) ? "done" : "diverged";
    if (is_out) return "out";
    return r->run->result.iterations < 0 ? "waiting" : "stopped";
}

static bool comes_before(const sweep *s, const row *a, const row *b) {
    const bool fails_a = a->run->result.why[0], fails_b = b->run->result.why[0];
    if (fails_a != fails_b) return fails_b;
    if (a->round != b->round) return a->round > b->round;
    return sweep_is_better(s, &a->score, &b->score, a->run->regression);
}

/* The runs, best first: those that got further, then those with the better score. */
static clm_status make_rows(const sweep *s, row **out) {
    clm_status status = CLM_OK;
    row *rows = NULL;
    size_t *list = NULL;
    CLI_NEW(rows, s->n_runs);
    CLI_NEW(list, s->n_runs);
    for (size_t i = 0; i < s->n_runs; i++) {
        const sweep_result *result = &s->runs[i].result;
        row r = {.run = &s->runs[i], .score = result->now};
        while (r.round < s->rounds && result->at[r.round].reached) r.round++;
        if (r.round > 0) r.score = result->at[r.round - 1];
        size_t n = 0;
        bool is_out = false;
        if (r.round > 0 && r.round < s->rounds && sweep_round(s, r.round, list, &n)) {
            is_out = true;
            for (size_t k = 0; k < n; k++) is_out = is_out && list[k] != i;
        }
        r.state = state_of(s, &r, is_out);
        size_t at = i;
        for (; at > 0 && comes_before(s, &r, &rows[at - 1]); at--) rows[at] = rows[at - 1];
        rows[at] = r;
    }
    *out = rows;
    rows = NULL;
out:
    free(rows);
    free(list);
    return status;
}

/* ---- files ---- */

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static clm_status write_text(const sweep *s, const char *name, const char *text) {
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_path(path, s->directory, name));
    return cli_file_write(path, text, strlen(text));
}

static clm_status write_json(const sweep *s, const row *rows) {
    json_t *root = json_object(), *runs = json_array();
    for (size_t i = 0; i < s->n_runs && runs; i++) {
        const row *r = &rows[i];
        json_t *run = json_object();
        cli_json_set(run, "run", json_string(r->run->name));
        cli_json_set(run, "settings", json_incref(r->run->settings));
        cli_json_set(run, "iterations", r->run->result.iterations < 0 ? json_null() : json_integer(r->run->result.iterations));
        cli_json_set(run, "validation", number(r->score.mean));
        cli_json_set(run, "interval", number(r->score.half));
        cli_json_set(run, "validation_iteration", r->score.reached ? json_integer(r->score.iteration) : json_null());
        cli_json_set(run, "state", json_string(r->state));
        if (r->run->result.why[0]) cli_json_set(run, "why", json_string(cli_shown(r->run->result.why)));
        cli_json_append(runs, run);
    }
    cli_json_set(root, "judge", json_string(s->by_last ? "last" : "best"));
    cli_json_set(root, "metric", json_string(s->runs[0].regression ? "error" : "accuracy"));
    cli_json_set(root, "runs", runs);
    char *text = cli_json_text(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) return CLM_E_MEMORY;
    const clm_status status = write_text(s, "sweep.json", text);
    free(text);
    return status;
}

/* Quoted where it has to be. */
static void put_cell(FILE *to, const char *text, bool first) {
    const char *guard = cli_csv_guard(text);
    if (!first) fputc(',', to);
    if (!*guard && !strpbrk(text, ",\"\n\r")) {
        fputs(text, to);
        return;
    }
    fprintf(to, "\"%s", guard);
    for (; *text; text++) fprintf(to, *text == '"' ? "\"\"" : "%c", *text);
    fputc('"', to);
}

static void put_number(FILE *to, double x) {
    if (isfinite(x))
        fprintf(to, ",%.9g", x);
    else
        fputc(',', to);
}

static void put_csv(const sweep *s, const row *rows, FILE *to) {
    put_cell(to, "run", true);
    for (size_t k = 0; k < s->n_varying; k++) put_cell(to, s->varying[k], false);
    fputs(",iterations,validation,interval,state\n", to);
    for (size_t i = 0; i < s->n_runs; i++) {
        const row *r = &rows[i];
        char text[CLI_PATH_MAX];
        put_cell(to, r->run->name, true);
        for (size_t k = 0; k < s->n_varying; k++) {
            sweep_value_text(json_object_get(r->run->settings, s->varying[k]), text, sizeof text);
            put_cell(to, text, false);
        }
        if (r->run->result.iterations < 0)
            fputc(',', to);
        else
            fprintf(to, ",%lld", (long long)r->run->result.iterations);
        put_number(to, r->score.mean);
        put_number(to, r->score.half);
        put_cell(to, r->state, false);
        fputc('\n', to);
    }
}

static clm_status write_csv(const sweep *s, const row *rows) {
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to) return cli_fail(CLM_E_MEMORY, "out of memory");
    put_csv(s, rows, to);
    const bool bad = ferror(to) != 0;
    const clm_status status =
        fclose(to) == 0 && !bad ? write_text(s, "sweep.csv", text) : cli_fail(CLM_E_MEMORY, "out of memory");
    free(text);
    return status;
}

/* ---- on the terminal ---- */

enum { CELL = 48 };

typedef struct cells {
    char text[CLI_COLUMNS_MOST][CELL];
    const char *cell[CLI_COLUMNS_MOST];
} cells;

static void fill_cells(const sweep *s, const row *r, cells *c) {
    const clm_score score = {r->score.mean, r->score.half};
    size_t n = 0;
    snprintf(c->text[n++], CELL, "%.*s", (int)strcspn(r->run->name, "_"), r->run->name);
    for (size_t k = 0; k < s->n_varying; k++, n++) {
        char value[CLI_PATH_MAX];
        sweep_value_text(json_object_get(r->run->settings, s->varying[k]), value, sizeof value);
        snprintf(c->text[n], CELL, "%.40s", *value ? value : "no");
        snprintf(c->text[n], CELL, "%.40s", cli_shown(c->text[n])); /* cut before it is shown: a part of a character is none */
    }
    if (r->run->result.iterations < 0)
        snprintf(c->text[n++], CELL, "-");
    else
        snprintf(c->text[n++], CELL, "%lld", (long long)r->run->result.iterations);
    snprintf(c->text[n++], CELL, "%.40s", r->score.reached ? cli_score_interval_text(&score, r->run->regression).s : "-");
    snprintf(c->text[n++], CELL, "%s", r->state);
    for (size_t i = 0; i < n; i++) c->cell[i] = c->text[i];
}

static void print_rows(const sweep *s, const row *rows) {
    cli_table table = {.column = {{"run", -3}}, .count = 1, .gap = 2};
    cells c;
    for (size_t k = 0; k < s->n_varying; k++)
        table.column[table.count++] = (cli_column){s->varying[k], (int)strlen(s->varying[k])};
    table.column[table.count++] = (cli_column){"iterations", 10};
    table.column[table.count++] = (cli_column){"validation", -10};
    table.column[table.count++] = (cli_column){"state", -5};
    for (size_t i = 0; i < s->n_runs; i++) {
        fill_cells(s, &rows[i], &c);
        for (size_t k = 0; k < table.count; k++) cli_table_widen(&table, k, c.cell[k]);
    }
    cli_table_head(&table, stdout);
    for (size_t i = 0; i < s->n_runs; i++) {
        fill_cells(s, &rows[i], &c);
        cli_table_row(&table, stdout, c.cell);
    }
}

static void print_failures(const sweep *s) {
    const sweep_run *first = NULL;
    size_t failed = 0;
    for (size_t i = 0; i < s->n_runs; i++) {
        if (!s->runs[i].result.why[0]) continue;
        if (failed++ == 0) first = &s->runs[i];
    }
    if (!failed) return;
    cli_line(stdout, "\n%zu failed, of which --retry tries each once more; %.*s: %s\n", failed, (int)strcspn(first->name, "_"),
             first->name, cli_shown(first->result.why));
}

enum { ON_A_PAGE = 32, BEST = 5 }; /* runs that `clmaml report` takes; of more, those that are shown */

static void print_next(const sweep *s, const row *rows) {
    size_t begun = 0;
    for (size_t i = 0; i < s->n_runs; i++) begun += rows[i].run->result.iterations >= 0;
    printf("\n");
    cli_line(stdout, "the table: %s/sweep.json, %s/sweep.csv\n", cli_shown(s->directory), cli_shown(s->directory));
    if (begun == 0) return;
    FILE *to = cli_lines_begin(stdout);
    fprintf(to, "the runs as a page: clmaml report");
    for (size_t i = 0; i < BEST && begun > ON_A_PAGE; i++) fprintf(to, " %s/%s", cli_shown(s->directory), rows[i].run->name);
    if (begun <= ON_A_PAGE) fprintf(to, " %s/*", cli_shown(s->directory));
    fprintf(to, " --out %s.html\n", cli_shown(s->directory));
    cli_lines_end(to, stdout);
}

clm_status sweep_table(const sweep *s) {
    row *rows = NULL;
    clm_status status = CLM_OK;
    CLI_GOTO(make_rows(s, &rows));
    CLI_GOTO(write_json(s, rows));
    CLI_GOTO(write_csv(s, rows));
    printf("\n");
    print_rows(s, rows);
    print_failures(s);
    print_next(s, rows);
out:
    free(rows);
    return status;
}

/* ---- beforehand ---- */

static void print_rounds(const sweep *s) {
    size_t n = s->n_runs;
    for (int round = 0; round < s->rounds && s->factor; round++) {
        cli_line(stdout, "round %d: %zu run%s to iteration %lld\n", round + 1, n, cli_plural((double)n),
                 (long long)s->target[round]);
        n = n / (size_t)s->factor > 0 ? n / (size_t)s->factor : 1;
    }
}

/* For a shell. */
static void put_argument(FILE *to, const char *text) {
    const bool plain = !strpbrk(text, " \t\"'`$&|;<>()[]{}*?!~#\\");
    fprintf(to, plain ? " " : " '");
    for (; *text; text++) fprintf(to, *text == '\'' ? "'\\''" : "%c", *text);
    if (!plain) fputc('\'', to);
}

clm_status sweep_print_plan(const sweep *s) {
    cli_line(stdout, "%zu run%s below %s\n", s->n_runs, cli_plural((double)s->n_runs), cli_shown(s->directory));
    print_rounds(s);
    for (size_t i = 0; i < s->n_runs; i++) {
        sweep_arguments a = {0};
        const clm_status status = sweep_arguments_make(s, &s->runs[i], &a);
        FILE *to = cli_lines_begin(stdout);
        fprintf(to, "%.*s  clmaml train", (int)strcspn(s->runs[i].name, "_"), s->runs[i].name);
        for (int k = 0; k < a.argc; k++) put_argument(to, cli_shown(a.argv[k]));
        fprintf(to, "\n");
        cli_lines_end(to, stdout);
        sweep_arguments_free(&a);
        CLI_TRY(status);
    }
    return CLM_OK;
}
