/* Products by tiles: a problem, its graph with numbers, and a candidate that is forced. Each program that includes it has its own. */
#ifndef CLM_TEST_TILED_SETUP_H
#define CLM_TEST_TILED_SETUP_H

#include <check.h>
#include <stdlib.h>

#include "base/random.h"
#include "clmaml/graph.h"
#include "ops/choice.h"
#include "ops/op.h"
#include "support/run.h"

enum { TASKS = 2 };

typedef struct tiled_row {
    const clm_impl *impl;
    int split; /* among a candidate's values */
} tiled_row;

typedef enum kind { CONV, DATA, FILTER, NN, TN, NT, KINDS } kind;

/* Of a matrix product: n matrices h x w times w x co. */
typedef struct problem {
    kind kind;
    int n, h, w, ci, co, kh, kw, stride, pad, dilation, groups;
    int shared; /* the operand that is; 2: none */
} problem;

typedef struct setting {
    clm_graph *graph;
    clm_value in[2], out;
    size_t count[2], results;
    double *data[2], *expected, *first, *found;
    char text[160];
} setting;

/* What is forced, and what was met. */
typedef struct forced {
    const tiled_row *row;
    int index, most, used;
    int split;  /* the first that makes every segment of a sum in a group of its own; as `most` when none does */
    bool first; /* the row is what is taken unmeasured */
    clm_candidate candidate;
} forced;

static bool force(void *user, const clm_lower *l, clm_value y, clm_choice *choice) {
    forced *f = user;
    clm_candidate list[CLM_CANDIDATES_MOST];
    clm_choice all[CLM_CHOICES_MOST];
    if (!clm_choice_exists(clm_node_at(clm_lower_graph(l), y)->op)) return false;
    f->most = clm_choice_candidates(l, y, f->row->impl, list);
    f->first = clm_choice_list(l, y, all) > 0 && all[0].impl == f->row->impl;
    for (f->split = 0; f->split < f->most && !list[f->split].value[f->row->split];) f->split++;
    if (f->index >= f->most) return false;
    f->candidate = list[f->index];
    *choice = (clm_choice){f->row->impl, f->candidate};
    f->used++;
    return true;
}

static double *zeros(size_t n) {
    double *a = calloc(n + 1, sizeof *a);
    ck_assert_ptr_nonnull(a);
    return a;
}

static void shapes_of(const problem *p, clm_shape shapes[2]) {
    if (p->kind >= NN) {
        shapes[0] = p->kind == TN ? clm_shape_of(3, p->n, p->w, p->h) : clm_shape_of(3, p->n, p->h, p->w);
        shapes[1] = p->kind == NT ? clm_shape_of(3, p->n, p->co, p->w) : clm_shape_of(3, p->n, p->w, p->co);
        return;
    }
    const int oh = (p->h + 2 * p->pad - p->dilation * (p->kh - 1) - 1) / p->stride + 1;
    const int ow = (p->w + 2 * p->pad - p->dilation * (p->kw - 1) - 1) / p->stride + 1;
    shapes[0] = p->kind == DATA ? clm_shape_of(4, p->n, oh, ow, p->co) : clm_shape_of(4, p->n, p->h, p->w, p->ci);
    shapes[1] =
        p->kind != FILTER ? clm_shape_of(4, p->kh, p->kw, p->ci / p->groups, p->co) : clm_shape_of(4, p->n, oh, ow, p->co);
}

static clm_value build(clm_graph *g, const problem *p, const clm_value *in) {
    const clm_conv_options o = {{p->stride, p->stride}, {p->pad, p->pad}, {p->dilation, p->dilation}, p->groups};
    if (p->kind == CONV) return clm_conv2d(g, in[0], in[1], &o);
    if (p->kind == DATA) return clm_conv2d_bwd_data(g, in[0], in[1], p->h, p->w, &o);
    if (p->kind == FILTER) return clm_conv2d_bwd_filter(g, in[0], in[1], p->kh, p->kw, &o);
    return clm_matmul(g, in[0], in[1], p->kind == TN, p->kind == NT);
}

static void make(setting *s, const problem *p, clm_random *r) {
    static const char *const names[2] = {"a", "b"}, *const kinds[KINDS] = {"conv", "data", "filter", "nn", "tn", "nt"};
    clm_shape shapes[2];
    shapes_of(p, shapes);
    CLM_TEST_OK(clm_graph_create(&s->graph));
    for (int i = 0; i < 2; i++) {
        s->in[i] = clm_input(s->graph, names[i], shapes[i], i != p->shared);
        s->count[i] = clm_test_elements(s->graph, s->in[i], TASKS);
        s->data[i] = zeros(s->count[i]);
        for (size_t j = 0; j < s->count[i]; j++) s->data[i][j] = (double)(float)clm_random_normal(r);
    }
    s->out = build(s->graph, p, s->in);
    ck_assert_int_eq(clm_graph_status(s->graph), CLM_OK);
    s->results = clm_test_elements(s->graph, s->out, TASKS);
    s->expected = zeros(s->results);
    s->first = zeros(s->results);
    s->found = zeros(s->results);
    snprintf(s->text, sizeof s->text,
             "%s, %d x %d x %d x %d to %d, filter %d x %d, stride %d, padding %d, dilation %d, %d groups", kinds[p->kind], p->n,
             p->h, p->w, p->ci, p->co, p->kh, p->kw, p->stride, p->pad, p->dilation, p->groups);
}

static void discard(setting *s) {
    for (int i = 0; i < 2; i++) free(s->data[i]);
    free(s->expected);
    free(s->first);
    free(s->found);
    clm_graph_free(s->graph);
}

#endif
