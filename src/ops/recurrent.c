/* Recurrent layers, unrolled over the tokens: compositions, so their derivatives need nothing of their own.
 *
 * W x + b of all tokens is one product, U h + c one a token. Both are [n, gates h], PyTorch's gates side by side. */
#include <stdlib.h>

#include "base/memory.h"
#include "ops/op.h"
#include "ops/shape.h"

typedef struct state {
    clm_value h, c; /* [n, h]; c of an lstm alone */
} state;

typedef struct cell {
    const char *name;
    int gates;
    state (*step)(clm_graph *g, clm_value wx, clm_value uh, state s);
} cell;

/* Gates first .. first + count - 1 of `all`, next to each other in [n, all h]. */
static clm_value gates(clm_graph *g, clm_value v, int all, int first, int count) {
    const clm_shape s = clm_value_shape(g, v);
    const int size = s.rank == 2 ? s.dim[1] / all : 0;
    return clm_slice(g, v, (const int32_t[]){0, first * size}, clm_shape_of(2, (int)s.dim[0], count * size));
}

static state rnn_step(clm_graph *g, clm_value wx, clm_value uh, state s) {
    s.h = clm_tanh(g, clm_add(g, wx, uh));
    return s;
}

static state gru_step(clm_graph *g, clm_value wx, clm_value uh, state s) {
    clm_value rz = clm_sigmoid(g, clm_add(g, gates(g, wx, 3, 0, 2), gates(g, uh, 3, 0, 2)));
    clm_value r = gates(g, rz, 2, 0, 1), z = gates(g, rz, 2, 1, 1);
    clm_value n = clm_tanh(g, clm_add(g, gates(g, wx, 3, 2, 1), clm_mul(g, r, gates(g, uh, 3, 2, 1))));
    s.h = clm_add(g, n, clm_mul(g, z, clm_sub(g, s.h, n)));
    return s;
}

static state lstm_step(clm_graph *g, clm_value wx, clm_value uh, state s) {
    clm_value sum = clm_add(g, wx, uh);
    clm_value i = clm_sigmoid(g, gates(g, sum, 4, 0, 1)), f = clm_sigmoid(g, gates(g, sum, 4, 1, 1));
    clm_value new = clm_tanh(g, gates(g, sum, 4, 2, 1)), o = clm_sigmoid(g, gates(g, sum, 4, 3, 1));
    s.c = clm_add(g, clm_mul(g, f, s.c), clm_mul(g, i, new));
    s.h = clm_mul(g, o, clm_tanh(g, s.c));
    return s;
}

static bool is_bias(clm_graph *g, clm_value bias, int size) {
    const clm_shape want = clm_shape_of(1, size), have = clm_value_shape(g, bias);
    return bias == CLM_INVALID || clm_shape_equal(&have, &want);
}

static bool fits(clm_graph *g, const cell *kind, clm_value x, const clm_recurrent_weights *w) {
    char xt[80], it[80], st[80];
    const clm_value in[4] = {x, w->input, w->state, w->input_bias == CLM_INVALID ? x : w->input_bias};
    if (!clm_graph_valid(g, in, 4) || (w->state_bias != CLM_INVALID && !clm_graph_valid(g, &w->state_bias, 1))) return false;
    const clm_shape s = clm_value_shape(g, x), input = clm_value_shape(g, w->input), hidden = clm_value_shape(g, w->state);
    if (s.rank == 3 && input.rank == 2 && hidden.rank == 2 && input.dim[1] == s.dim[2] &&
        (int64_t)hidden.dim[1] * kind->gates == hidden.dim[0] && input.dim[0] == hidden.dim[0] &&
        is_bias(g, w->input_bias, input.dim[0]) && is_bias(g, w->state_bias, input.dim[0]))
        return true;
    clm_graph_error(g, CLM_E_SHAPE,
                    "%s: x %s, weights %s and %s: must be [n, tokens, width], [%d h, width] and [%d h, h], biases [%d h]",
                    kind->name, clm_shape_text(&s, xt, sizeof xt), clm_shape_text(&input, it, sizeof it),
                    clm_shape_text(&hidden, st, sizeof st), kind->gates, kind->gates, kind->gates);
    return false;
}

/* `parts` becomes the state after each token, [n, 1, h]. */
static clm_value unroll(clm_graph *g, const cell *kind, const clm_recurrent_weights *w, clm_value *parts, int tokens, int n) {
    const int size = clm_value_shape(g, w->state).dim[1];
    const clm_shape row = clm_shape_of(2, n, kind->gates * size), one = clm_shape_of(3, n, 1, size);
    const clm_value zero = clm_fill(g, clm_shape_of(2, n, size), 0);
    state s = {zero, zero};
    for (int t = 0; t < tokens; t++) {
        s = kind->step(g, clm_reshape(g, parts[t], row), clm_linear(g, s.h, w->state, w->state_bias), s);
        parts[t] = clm_reshape(g, s.h, one);
    }
    return s.h;
}

static clm_value recurrent(clm_graph *g, const cell *kind, clm_value x, const clm_recurrent_weights *w, bool last) {
    if (!fits(g, kind, x, w)) return CLM_INVALID;
    const int n = clm_value_shape(g, x).dim[0], tokens = clm_value_shape(g, x).dim[1];
    clm_value y = CLM_INVALID, *parts = clm_calloc((size_t)tokens, sizeof *parts);
    if (!parts) return clm_graph_error(g, CLM_E_MEMORY, "%s: out of memory for %d tokens", kind->name, tokens);
    if (clm_split(g, clm_linear(g, x, w->input, w->input_bias), 1, parts)) {
        y = unroll(g, kind, w, parts, tokens, n);
        if (!last) y = clm_concat(g, parts, (size_t)tokens, 1);
    }
    free(parts);
    return y;
}

clm_value clm_rnn(clm_graph *g, clm_value x, const clm_recurrent_weights *weights, bool last) {
    return recurrent(g, &(cell){"rnn", 1, rnn_step}, x, weights, last);
}

clm_value clm_gru(clm_graph *g, clm_value x, const clm_recurrent_weights *weights, bool last) {
    return recurrent(g, &(cell){"gru", 3, gru_step}, x, weights, last);
}

clm_value clm_lstm(clm_graph *g, clm_value x, const clm_recurrent_weights *weights, bool last) {
    return recurrent(g, &(cell){"lstm", 4, lstm_step}, x, weights, last);
}
