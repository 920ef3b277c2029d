#!/usr/bin/env python3
"""JAX, one compiled step: all tasks at once by vmap, or with --map one after the other inside it. Channels last, which XLA prefers."""
import os

import peer


def prepare():
    o = peer.options("--map")
    if not o.gpu:
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax import lax

    if o.gpu and jax.default_backend() not in ("gpu", "cuda", "rocm"):
        raise peer.Missing("this JAX has no GPU")
    jax.config.update("jax_default_matmul_precision", "highest")
    problem = peer.Problem(o.file)
    what = problem.what
    conv, tasks, rate = what["filters"] > 0, what["tasks"], what["inner_lr"]

    def load(name):
        shape, data = problem.array(name)
        return np.frombuffer(data, np.float32).reshape(shape)

    strided = what["strided"]
    side = 1 if strided else what["size"] // 16

    def inside(i, w):
        """Weights of PyTorch's layout with channels last."""
        if conv and w.ndim == 4:
            return w.transpose(2, 3, 1, 0)
        if conv and i == 16:
            return w.reshape(-1, what["filters"], side, side).transpose(0, 2, 3, 1).reshape(w.shape)
        return w

    def parameters(kind):
        return [jnp.asarray(inside(i, load("%s.%d" % (kind, i)))) for i in range(what["parameters"])]

    batch = []
    for part in ("support", "query"):
        x, y = load(part + "_x"), load(part + "_y")
        if conv:
            x = x.reshape(x.shape[:2] + (what["channels"], what["size"], what["size"])).transpose(0, 1, 3, 4, 2)
            y = y[..., 0].astype(np.int32)
        batch += [np.ascontiguousarray(x), y]

    def pool(x):
        n, h, w, c = x.shape
        return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))

    def network(p, x):
        if not conv:
            for i in (0, 2):
                x = jax.nn.relu(x @ p[i].T + p[i + 1])
            return x @ p[4].T + p[5]
        for i in range(0, 16, 4):
            x = lax.conv_general_dilated(x, p[i], (2, 2) if strided else (1, 1), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")) + p[i + 1]
            mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
            x = jax.nn.relu((x - mean) * lax.rsqrt(var + 1e-5) * p[i + 2] + p[i + 3])
            x = x if strided else pool(x)
        x = x.mean(axis=(1, 2)) if strided else x
        return x.reshape(x.shape[0], -1) @ p[16].T + p[17]

    def loss(p, x, y):
        out = network(p, x)
        if not conv:
            return jnp.mean((out - y) ** 2)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], axis=1))

    def adapted(theta, xs, ys):
        p = theta
        for _ in range(what["steps"]):
            grads = jax.grad(loss)(p, xs, ys)
            if what["first_order"]:
                grads = lax.stop_gradient(grads)
            p = [v - rate * g for v, g in zip(p, grads)]
        return p

    def task_loss(theta, xs, ys, xq, yq):
        return loss(adapted(theta, xs, ys), xq, yq)

    def meta_gradient(theta, data):
        if o.map:
            losses, grads = lax.map(lambda task: jax.value_and_grad(task_loss)(theta, *task), tuple(data))
            return losses, [g.mean(axis=0) for g in grads]

        def mean(theta):
            losses = jax.vmap(task_loss, in_axes=(None, 0, 0, 0, 0))(theta, *data)
            return losses.mean(), losses

        grads, losses = jax.grad(mean, has_aux=True)(theta)
        return losses, grads

    def meta_step(theta, first, second, t, data):
        losses, grads = meta_gradient(theta, data)
        first = [0.9 * m + 0.1 * g for m, g in zip(first, grads)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, grads)]
        a, b = 1 - 0.9 ** t, 1 - 0.999 ** t
        theta = [p - what["outer_lr"] * (m / a) / (jnp.sqrt(v / b) + 1e-8) for p, m, v in zip(theta, first, second)]
        return theta, first, second, losses.mean()

    def error(pairs):
        return peer.relative_error([(float(jnp.sum((x - y) ** 2)), float(jnp.sum(y ** 2))) for x, y in pairs])

    theta = parameters("param")
    place = "GPU" if o.gpu else "CPU"
    if what["learner"]:
        predict = jax.jit(jax.vmap(lambda theta, xs, ys, xq: network(adapted(theta, xs, ys), xq), in_axes=(None, 0, 0, 0)))

        def adapt():
            return np.asarray(predict(theta, *batch[:3]))

        return ("JAX %s, %s" % (jax.__version__, place),
                lambda: {"loss": 0.0, "loss_error": error([(adapt(), load("output"))]), "grad_error": 0.0}, adapt, None)

    state = {"theta": theta, "first": [jnp.zeros_like(p) for p in theta], "second": [jnp.zeros_like(p) for p in theta], "t": 0}
    compiled = jax.jit(meta_step)

    def check():
        losses, grads = jax.jit(meta_gradient)(theta, batch)
        return {"loss": float(losses.mean()), "loss_error": error([(losses, load("loss"))]),
                "grad_error": error(list(zip(grads, parameters("grad"))))}

    def step():
        state["t"] += 1
        result = compiled(state["theta"], state["first"], state["second"], float(state["t"]), batch)
        state["theta"], state["first"], state["second"], mean = result
        float(mean)
        jax.block_until_ready(state["theta"])

    return "JAX %s, %s, %s" % (jax.__version__, "map" if o.map else "vmap", place), check, step, None


if __name__ == "__main__":
    peer.serve(prepare)
