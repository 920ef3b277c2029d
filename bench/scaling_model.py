#!/usr/bin/env python3
"""A model of a meta-step on several ranks, fitted to what `clmaml bench ITEM --scaling --json FILE` measured, and what it predicts.

    bench/scaling_model.py FILE [--item NAME] [--latency SECONDS] [--bandwidth BYTES_PER_SECOND] [--task SECONDS]

    t(R, T) = c ceil(T / R) + u + (R + p - 1) (a + s / B) + ceil(log2 R) (a + 4 n / B) + 2 R a

c: seconds a task; u: of a step, whatever the tasks; a: latency; B: bandwidth; n: floats of the flat vector, whose sum goes along the chain of
ranks in p pieces of s bytes and whose update goes back along a tree. The fit is a search over a and B, and least squares for c and u, of relative
errors. --latency, --bandwidth and --task put those of another network or device in place of the fitted ones.
"""

import argparse
import json
import math

PIECE = 65536  # bytes, as in src/comm/comm.c
RANKS = (1, 8, 64, 1000)


def exchange(ranks, n, latency, bandwidth):
    """Seconds of the sum, the parameters and the losses."""
    if ranks == 1:
        return 0.0
    size = 4 * n
    pieces = max(1, math.ceil(size / PIECE))
    piece = size / pieces
    chain = (ranks + pieces - 1) * (latency + piece / bandwidth)
    tree = math.ceil(math.log2(ranks)) * (latency + size / bandwidth)
    return chain + tree + 2 * ranks * latency


def solve(rows, latency, bandwidth):
    """c and u by least squares of relative errors, neither below 0; their squared error."""
    best = (math.inf, 0.0, 0.0)
    points = []
    for row in rows:
        seconds = row["ms"] / 1e3
        points.append((math.ceil(row["tasks"] / row["ranks"]) / seconds, 1 / seconds,
                       1 - exchange(row["ranks"], row["parameters"], latency, bandwidth) / seconds))
    aa = sum(p[0] * p[0] for p in points)
    ab = sum(p[0] * p[1] for p in points)
    bb = sum(p[1] * p[1] for p in points)
    ay = sum(p[0] * p[2] for p in points)
    by = sum(p[1] * p[2] for p in points)
    det = aa * bb - ab * ab
    candidates = [(ay / aa, 0.0), (0.0, by / bb)]
    if det > 1e-12 * aa * bb:
        candidates.append(((ay * bb - by * ab) / det, (by * aa - ay * ab) / det))
    for c, u in candidates:
        if c < 0 or u < 0:
            continue
        error = sum((p[0] * c + p[1] * u - p[2]) ** 2 for p in points)
        best = min(best, (error, c, u))
    return best


def fit(rows):
    best = None
    for i in range(61):
        latency = 10 ** (-6.5 + i * 0.075)
        for k in range(41):
            bandwidth = 10 ** (7 + k * 0.1)
            error, c, u = solve(rows, latency, bandwidth)
            if best is None or error < best[0]:
                best = (error, c, u, latency, bandwidth)
    return best


def step(ranks, tasks, n, c, u, latency, bandwidth):
    return c * math.ceil(tasks / ranks) + u + exchange(ranks, n, latency, bandwidth)


def efficiency(ranks, tasks, n, *model):
    return step(1, tasks, n, *model) / (ranks * step(ranks, tasks, n, *model))


def tasks_for(ranks, n, wanted, *model):
    """The smallest meta-batch, a multiple of the ranks, with that efficiency; None: none below a million tasks a rank."""
    each = 1
    while efficiency(ranks, ranks * each, n, *model) < wanted:
        each *= 2
        if each > 1 << 20:
            return None
    low = each // 2
    while each - low > 1:
        middle = (each + low) // 2
        if efficiency(ranks, ranks * middle, n, *model) < wanted:
            low = middle
        else:
            each = middle
    return ranks * each


def report(name, rows, given):
    n = rows[0]["parameters"]
    error, c, u, latency, bandwidth = fit(rows)
    print(f"{name}: {n} parameters, {len(rows)} measurements, relative error {100 * math.sqrt(error / len(rows)):.1f} %")
    print(f"  fitted: {c * 1e3:.3f} ms a task, {u * 1e3:.3f} ms a step, latency {latency * 1e6:.1f} us, {bandwidth / 1e9:.3f} GB/s")
    c, latency, bandwidth = given.task or c, given.latency or latency, given.bandwidth or bandwidth
    model = (c, u, latency, bandwidth)
    for row in rows:
        t = step(row["ranks"], row["tasks"], n, *model)
        print(f"  {row['ranks']:3d} ranks, {row['tasks']:4d} tasks: measured {row['ms']:9.3f} ms, model {t * 1e3:9.3f} ms")
    for ranks in RANKS[1:]:
        each = rows[0]["tasks"]
        tasks = tasks_for(ranks, n, 0.9, *model)
        print(f"  {ranks:4d} devices: exchange {exchange(ranks, n, latency, bandwidth) * 1e3:.3f} ms; with {each} tasks on each"
              f" {100 * efficiency(ranks, ranks * each, n, *model):.1f} %; 90 % from a meta-batch of"
              f" {tasks if tasks else 'more than a million tasks a device'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("file")
    parser.add_argument("--item", help="of this work item alone")
    parser.add_argument("--latency", type=float, help="seconds, in place of the fitted one")
    parser.add_argument("--bandwidth", type=float, help="bytes per second, likewise")
    parser.add_argument("--task", type=float, help="seconds a task on another device, likewise")
    given = parser.parse_args()
    with open(given.file, encoding="utf-8") as file:
        rows = json.load(file)["scaling"]
    for name in dict.fromkeys(row["item"] for row in rows):
        if not given.item or given.item == name:
            report(name, [row for row in rows if row["item"] == name], given)


if __name__ == "__main__":
    main()
