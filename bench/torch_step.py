#!/usr/bin/env python3
"""The meta-step that bench/meta_step.c times, in PyTorch: one task after the other, double backward through the inner steps.

Takes the same options and prints a line of JSON with "ms_median", for bench/compare.sh. Debian: apt-get install python3-torch
"""
import argparse
import json
import statistics
import time

import torch
from torch.nn import functional as F


def options():
    p = argparse.ArgumentParser()
    for name, value in {"tasks": 32, "steps": 1, "ways": 5, "shots": 1, "query": 1, "filters": 64, "size": 28, "channels": 1,
                        "runs": 5, "threads": 0}.items():
        p.add_argument("--" + name, type=int, default=value)
    p.add_argument("--first-order", action="store_true")
    return p.parse_args()


def parameters(o):
    blocks, size, ci = [], o.size, o.channels
    for _ in range(4):
        blocks += [torch.randn(o.filters, ci, 3, 3) * (2 / (9 * ci)) ** 0.5, torch.zeros(o.filters), torch.ones(o.filters),
                   torch.zeros(o.filters)]
        size, ci = size // 2, o.filters
    features = o.filters * size * size
    blocks += [torch.randn(o.ways, features) * features ** -0.5, torch.zeros(o.ways)]
    return [b.requires_grad_() for b in blocks]


def network(p, x):
    for w, b, scale, shift in zip(*[iter(p[:16])] * 4):
        x = F.relu(F.batch_norm(F.conv2d(x, w, b, padding=1), None, None, scale, shift, training=True))
        x = F.max_pool2d(x, 2)
    return F.linear(x.flatten(1), p[16], p[17])


def meta_gradient(o, theta, tasks):
    total = None
    for xs, ys, xq, yq in tasks:
        p = theta
        for _ in range(o.steps):
            loss = F.cross_entropy(network(p, xs), ys)
            p = [v - 0.01 * g for v, g in zip(p, torch.autograd.grad(loss, p, create_graph=not o.first_order))]
        grads = torch.autograd.grad(F.cross_entropy(network(p, xq), yq) / o.tasks, theta)
        total = grads if total is None else [a + b for a, b in zip(total, grads)]
    return total


def main():
    o = options()
    if o.threads:
        torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    theta = parameters(o)

    def examples(n):
        return torch.rand(n, o.channels, o.size, o.size) - 0.5, torch.arange(n) % o.ways

    tasks = [examples(o.ways * o.shots) + examples(o.ways * o.query) for _ in range(o.tasks)]
    adam = torch.optim.Adam(theta, lr=1e-3)
    times = []
    for _ in range(o.runs + 1):  # the first is not counted
        start = time.perf_counter()
        for v, g in zip(theta, meta_gradient(o, theta, tasks)):
            v.grad = g
        adam.step()
        times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({"peer": "PyTorch " + torch.__version__, "threads": torch.get_num_threads(), "tasks": o.tasks, "steps": o.steps,
                      "ms_median": round(statistics.median(times[1:]), 2), "ms_min": round(min(times[1:]), 2)}))


main()
