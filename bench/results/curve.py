#!/usr/bin/env python3
"""The learning curve against PyTorch: the same protocol, initial parameters and tasks, both trained side by side.

usage: PYTHONPATH=python CLMAML_LIBRARY=build/libclmaml.so python3 bench/results/curve.py --data DIR [--iterations 300] [--tasks 32]
                                                                                         [--way vmap] [--device SPEC] [--threads N] [--minutes M] [--gradients N]

Omniglot 5-way 1-shot as the preset omniglot-5w1s has it: conv4-strided with 64 filters, 1 inner step at 2 under the mean of the cross-entropy, second
order, Adam at 0.001, characters of the seeded split of 1200 with turns as classes. --tasks is the meta-batch, 32 in the preset.

clMAML draws the tasks and the initial parameters; PyTorch gets both as they are and trains in single precision, and once more in double. What the two
in single precision differ by, each from that in double, is rounding, which training amplifies: neither is the right one. The noise beside which
that is to be seen is the standard error of a meta-batch's loss over its tasks. Needs PyTorch 1.13 or later; with 2 `--way vmap` takes all tasks at once.
Writes bench/results/curve: curve.csv, curve.json; docs/figures/curve-pytorch.svg; and the table of docs/results.md.

--gradients N compares meta-gradients instead, at the parameters where clMAML stands in each of N iterations: it prints how far those of clMAML and of
PyTorch in single precision are from PyTorch's in double, relative to their norm.
"""
import csv
import json
import os
import statistics
import sys
import time

import options
import row as rows

try:
    import numpy as np
    import torch
    from torch.nn import functional as F

    import clmaml
    MISSING = None
except ImportError as missing:  # as main says, so that --help needs nothing
    MISSING = missing

WAYS, FILTERS, INNER, OUTER, SEED, TEST_STEPS, TEST_TASKS = 5, 64, 2.0, 1e-3, 1, 3, 100
WINDOWS = ((1, 3), (4, 10), (11, 30), (31, 100), (101, 300), (301, 1000), (1001, 3000), (3001, 10000))


class Torch:
    """MAML as in PyTorch's documentation, with the network written as a function of its parameters."""

    def __init__(self, state, dtype, way):
        self.p = {k: torch.tensor(np.asarray(v), dtype=dtype).requires_grad_() for k, v in state.items()}
        self.blocks = sorted({int(k.split(".")[0]) for k in self.p})
        self.dtype, self.program = dtype, None
        self.adam, self.step_of = torch.optim.Adam(list(self.p.values()), lr=OUTER), getattr(self, way)

    def network(self, p, x):
        for conv, norm in zip(self.blocks[0:-1:2], self.blocks[1:-1:2]):
            x = F.conv2d(x, p["%d.weight" % conv], p["%d.bias" % conv], stride=2, padding=1)
            x = F.relu(F.batch_norm(x, None, None, p["%d.weight" % norm], p["%d.bias" % norm], training=True))
        head = self.blocks[-1]
        return F.linear(x.mean((2, 3)), p["%d.weight" % head], p["%d.bias" % head])

    def loss(self, p, x, y):
        return F.cross_entropy(self.network(p, x), y)

    def adapt(self, p, x, y, steps, second):
        for _ in range(steps):
            g = torch.autograd.grad(self.loss(p, x, y), list(p.values()), create_graph=second)
            p = {k: v - INNER * d for (k, v), d in zip(p.items(), g)}
            p = p if second else {k: v.detach().requires_grad_() for k, v in p.items()}
        return p

    def sets(self, batch):
        sx, sy, qx, qy = (torch.from_numpy(np.asarray(a)) for a in batch)
        return sx.to(self.dtype), sy.long(), qx.to(self.dtype), qy.long()

    def loop(self, batch):
        """One task after the other: the losses; gradients are left in the parameters."""
        losses, n = [], len(batch[0])
        for sx, sy, qx, qy in zip(*self.sets(batch)):
            loss = self.loss(self.adapt(self.p, sx, sy, 1, True), qx, qy)
            (loss / n).backward()
            losses.append(loss.item())
        return losses

    def together(self, p, *sets):
        """Losses of all tasks at once."""
        from torch.func import grad, vmap

        def task(p, sx, sy, qx, qy):
            g = grad(self.loss)(p, sx, sy)
            return self.loss({k: v - INNER * g[k] for k, v in p.items()}, qx, qy)

        return vmap(task, in_dims=(None, 0, 0, 0, 0))(p, *sets)

    def vmap(self, batch):
        losses = self.together(self.p, *self.sets(batch))
        losses.mean().backward()
        return losses.detach().tolist()

    def compiled(self, batch):
        """All tasks at once, through torch.compile."""
        from torch.func import grad_and_value

        def mean(p, *sets):
            losses = self.together(p, *sets)
            return losses.mean(), losses

        if self.program is None:
            self.program = torch.compile(grad_and_value(mean, has_aux=True))
        found, (_, losses) = self.program({k: v.detach() for k, v in self.p.items()}, *self.sets(batch))
        for k, v in self.p.items():
            v.grad = found[k]
        return losses.tolist()

    def step(self, batch):
        self.adam.zero_grad()
        losses = self.step_of(batch)
        self.adam.step()
        return sum(losses) / len(losses)

    def accuracy(self, state, batch):
        """Of any parameters, on the queries of tasks that are not trained on."""
        right = []
        p = {k: torch.tensor(np.asarray(v), dtype=self.dtype).requires_grad_() for k, v in state.items()}
        for sx, sy, qx, qy in zip(*self.sets(batch)):
            out = self.network(self.adapt(p, sx, sy, TEST_STEPS, False), qx)
            right.append(float((out.argmax(1) == qy).double().mean()))
        return right

    def state(self):
        return {k: v.detach().double().numpy() for k, v in self.p.items()}


def distance(a, b):
    """||a - b|| / ||b|| over all parameters."""
    return float(np.sqrt(sum(((np.asarray(a[k], float) - b[k]) ** 2).sum() for k in b) / sum((b[k] ** 2).sum() for k in b)))


def set_up(a):
    source = clmaml.Source.omniglot(a.data, split="1200", rotations=True, test_rotations=True)
    model = clmaml.Model.conv4(filters=FILTERS, ways=WAYS, strided=True)
    return source, clmaml.MetaLearner(model, a.device or None, seed=SEED, tasks=a.tasks, support=WAYS, query=WAYS, steps=1, inner_lr=INNER,
                                      optim={"rule": "adam", "lr": OUTER})


def gradients(a):
    source, ours = set_up(a)
    for i in range(a.gradients):
        batch, found = source.sample(a.tasks, ways=WAYS, seed=SEED, index=i), {}
        state = {k: np.float32(v) for k, v in ours.state_dict().items()}
        for dtype in (torch.float64, torch.float32):
            net = Torch(state, dtype, a.way)
            net.step_of(batch)
            found[dtype] = {k: v.grad.double().numpy() for k, v in net.p.items()}
        print("iteration %d: clMAML %.1e, PyTorch in single precision %.1e" % (
            i + 1, distance(ours.gradient(batch), found[torch.float64]), distance(found[torch.float32], found[torch.float64])), flush=True)
        ours.step(batch)


def train(a):
    source, ours = set_up(a)
    single, double = (Torch(ours.state_dict(), dtype, a.way) for dtype in (torch.float32, torch.float64))
    out, spent, marks = [], {"clMAML": 0.0, "PyTorch": 0.0}, [min(last, a.iterations) for first, last in WINDOWS if first <= a.iterations]
    until = time.monotonic() + 60 * a.minutes if a.minutes else float("inf")
    for i in range(a.iterations):
        if i > 0 and time.monotonic() > until:
            break
        batch = source.sample(a.tasks, ways=WAYS, seed=SEED, index=i)
        began = time.monotonic()
        report = ours.step(batch)
        spent["clMAML"] += time.monotonic() - began
        error = float(np.std(ours.read("query_loss"), ddof=1) / a.tasks ** 0.5)
        began = time.monotonic()
        loss = single.step(batch)
        spent["PyTorch"] += time.monotonic() - began
        out.append({"iteration": i + 1, "clmaml": report.query_loss, "pytorch": loss, "pytorch_double": double.step(batch), "standard_error": error,
                    "clmaml_distance": "", "pytorch_distance": "", "clmaml_seconds": spent["clMAML"], "pytorch_seconds": spent["PyTorch"]})
        if i + 1 in marks:
            reference = double.state()
            out[-1]["clmaml_distance"], out[-1]["pytorch_distance"] = distance(ours.state_dict(), reference), distance(single.state(), reference)
            print(out[-1], flush=True)
    if out and out[-1]["clmaml_distance"] == "":
        reference = double.state()
        out[-1]["clmaml_distance"], out[-1]["pytorch_distance"] = distance(ours.state_dict(), reference), distance(single.state(), reference)
    tasks = source.sample(TEST_TASKS, ways=WAYS, seed=SEED, split="validation")
    end = {name: single.accuracy(state, tasks) for name, state in (("clMAML", ours.state_dict()), ("PyTorch", single.state()),
                                                                   ("PyTorch, double", double.state()))}
    said = {"iterations": len(out), "tasks": a.tasks, "validation_tasks": TEST_TASKS, "device": ours.device.info.name, "pytorch": torch.__version__,
            "threads": torch.get_num_threads(), "way": a.way, "seconds": spent,
            "validation": {k: [statistics.mean(v), 1.96 * statistics.stdev(v) / len(v) ** 0.5] for k, v in end.items()}}
    return out, said


# ---- what is written ----

def windows(data):
    for first, last in WINDOWS:
        part = [r for r in data if first <= r["iteration"] <= last]
        if part:
            yield part


def difference(r, name):
    return abs(r[name] - r["pytorch_double"])


def table(data, said):
    lines = ["| iterations | loss, clMAML | PyTorch | double | clMAML from double | PyTorch from double | standard error of the loss | parameters, clMAML | PyTorch |",
             "|---|---|---|---|---|---|---|---|---|"]
    for part in windows(data):
        mean = [statistics.mean(r[k] for r in part) for k in ("clmaml", "pytorch", "pytorch_double")]
        gap = [statistics.median(difference(r, k) for r in part) for k in ("clmaml", "pytorch")]
        ends = ["%.1e" % float(part[-1][k]) if part[-1][k] != "" else "" for k in ("clmaml_distance", "pytorch_distance")]
        lines.append("| %d – %d | %.4f | %.4f | %.4f | %.1e | %.1e | %.3f | %s |" % (
            part[0]["iteration"], part[-1]["iteration"], *mean, *gap, statistics.median(r["standard_error"] for r in part), " | ".join(ends)))
    most = max(data, key=lambda r: abs(r["clmaml"] - r["pytorch"]) / r["standard_error"])
    beyond = sum(abs(r["clmaml"] - r["pytorch"]) > r["standard_error"] for r in data)
    scores = "; ".join("%s %.2f ± %.2f" % (k, 100 * v[0], 100 * v[1]) for k, v in said["validation"].items())
    head = ("Omniglot 5-way 1-shot, second order, as the preset `omniglot-5w1s` but for the meta-batch: %d tasks (32 in the preset), %d iterations, from the same parameters "
            "on the same tasks. clMAML on %s; PyTorch %s. Losses are means over the iterations of a line, differences medians over them; the parameters' are "
            "‖θ − θ'‖ / ‖θ'‖ from double precision, at the line's end.") % (said["tasks"], said["iterations"], said["device"], said["pytorch"])
    foot = ("Of %d iterations %d have losses of clMAML and PyTorch that differ by more than one standard error of that loss over its %d tasks; the most, in iteration %d, "
            "is %.2f of it. Accuracy after them on the same %d validation tasks and 3 inner steps, %%, evaluated by PyTorch: %s.") % (
                len(data), beyond, said["tasks"], most["iteration"], abs(most["clmaml"] - most["pytorch"]) / most["standard_error"], said["validation_tasks"], scores)
    return "\n\n".join([head, "\n".join(lines), foot, "![Both learning curves, and how their difference grows](figures/curve-pytorch.svg)"]) + "\n"


def polyline(points, colour, width, dash=""):
    return "<polyline fill='none' stroke='%s' stroke-width='%g'%s points='%s'/>" % (
        colour, width, " stroke-dasharray='%s'" % dash if dash else "", " ".join("%.1f,%.1f" % p for p in points))


def smooth(values, over):
    return [statistics.mean(values[max(0, i - over + 1):i + 1]) for i in range(len(values))]


def svg(data):
    """Above: the losses, means over 10 iterations. Below: distances from double precision and the standard error, logarithmic."""
    width, high, left, top = 860, 200, 70, 30
    n = len(data)
    x = lambda i: left + (width - left - 20) * i / max(n - 1, 1)
    floor = 1e-9
    out = ["<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='sans-serif' font-size='12'>" % (width, 2 * high + 130),
           "<rect width='100%' height='100%' fill='white'/>"]
    most = max(r["clmaml"] for r in data)
    y = lambda v: top + high * (1 - v / most)
    for tick in range(int(most * 2) + 1):
        out.append("<text x='%d' y='%.1f' text-anchor='end'>%.1f</text>" % (left - 8, y(tick / 2) + 4, tick / 2))
    for key, colour, line, dash in (("clmaml", "#2166ac", 4, ""), ("pytorch", "#b2182b", 1.5, "5 3")):
        out.append(polyline([(x(i), y(v)) for i, v in enumerate(smooth([r[key] for r in data], 10))], colour, line, dash))
    below = top + high + 60
    z = lambda v: below + high * (0 - np.log10(max(v, floor))) / 9
    for power in range(0, -10, -3):
        out.append("<text x='%d' y='%.1f' text-anchor='end'>1e%d</text>" % (left - 8, z(10.0 ** power) + 4, power))
        out.append("<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#ddd'/>" % (left, width - 20, z(10.0 ** power), z(10.0 ** power)))
    for values, colour, dash in (([difference(r, "clmaml") for r in data], "#2166ac", ""), ([difference(r, "pytorch") for r in data], "#b2182b", ""),
                                 ([r["standard_error"] for r in data], "#888", "2 2")):
        out.append(polyline([(x(i), z(v)) for i, v in enumerate(values)], colour, 1.2, dash))
    out += ["<text x='%d' y='18'>query loss, mean over 10 iterations: <tspan fill='#2166ac'>clMAML</tspan>, <tspan fill='#b2182b'>PyTorch (dashed)</tspan></text>" % left,
            "<text x='%d' y='%d'>difference of the loss from PyTorch in double: <tspan fill='#2166ac'>clMAML</tspan>, <tspan fill='#b2182b'>PyTorch in single</tspan>; "
            "<tspan fill='#888'>standard error over the tasks</tspan></text>" % (left, below - 12),
            "<text x='%d' y='%d'>1</text><text x='%d' y='%d' text-anchor='end'>iteration %d</text></svg>" % (left, below + high + 20, width - 20, below + high + 20, n)]
    return "\n".join(out) + "\n"


def keep(data, said):
    folder = os.path.join(rows.HERE, "curve")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "curve.csv"), "w", newline="") as file:
        writer = csv.DictWriter(file, data[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: "%.17g" % v if isinstance(v, float) else v for k, v in r.items()} for r in data)
    with open(os.path.join(folder, "curve.json"), "w") as file:
        json.dump(said, file, indent=1, sort_keys=True)
        file.write("\n")
    with open(os.path.join(os.path.dirname(rows.PAGE), "figures", "curve-pytorch.svg"), "w") as file:
        file.write(svg(data))
    rows.replace("curve", table(data, said))


def need():
    """Ends the script where what it is made of is missing."""
    if MISSING:
        sys.exit("%s: %s: it needs NumPy, PyTorch (pip install numpy torch), PYTHONPATH=python and CLMAML_LIBRARY=build/libclmaml.so" % (
            os.path.basename(sys.argv[0]), MISSING))


def work(a):
    try:
        gradients(a) if a.gradients else keep(*train(a))
    except clmaml.Error as error:
        sys.exit("curve.py: %s" % error)


def main():
    p = options.Parser(__doc__)
    p.add_argument("--data", required=True, type=options.folder, metavar="DIR", help="Omniglot's folder")
    p.add_argument("--iterations", type=options.count, default=300, metavar="N", help="(%(default)s)")
    p.add_argument("--tasks", type=options.count, default=32, metavar="T", help="of a meta-batch (%(default)s)")
    p.add_argument("--way", choices=("loop", "vmap"), default="loop", help="PyTorch: task after task, or all at once (%(default)s)")
    p.add_argument("--device", type=options.words, metavar="SPEC", help="of clMAML, as the program has it")
    p.add_argument("--threads", type=options.count, metavar="N", help="of PyTorch")
    p.add_argument("--gradients", type=options.count, metavar="N", help="compare meta-gradients in so many iterations")
    p.add_argument("--minutes", type=options.amount, metavar="M", help="train no longer than so many")
    a = p.parse_args()
    if a.gradients:
        p.only_with(a, ("data", "tasks", "way", "device", "threads", "gradients"), "--gradients")
    need()
    if a.way == "vmap" and int(torch.__version__.split(".")[0]) < 2:
        p.refuse("--way vmap needs PyTorch 2, this is %s: --way loop" % torch.__version__)
    if a.threads:
        torch.set_num_threads(a.threads)
    work(a)


if __name__ == "__main__":
    options.run(main)
