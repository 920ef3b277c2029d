#!/usr/bin/env python3
"""Reference meta-gradients of uneven tasks, in float64 by PyTorch's double backward.

usage: python3 make_uneven.py uneven.json OUTDIR      (needs torch and numpy, and make_reference.py beside it)

A case says beside what make_reference.py reads: "sizes": [[ways, support, query], ..], one for each task; ways 0 where targets are
numbers. Every task is computed by itself from arrays of its own length, with the first `ways` outputs of the network cut out: nothing is
padded and nothing is masked, so the way is another one than that of a program that does both. Only when all is done the sets are
put into arrays of the largest size, behind which stands noise of the size of 1000 that must not matter.

The file is as make_reference.py says. out.query_logits has zeros where an example or an output does not count. The meta-loss is the
mean over tasks. Algorithms: maml (and adapt, freeze, msl, inner, support_per_step), lslr, metasgd, per-step-bn, reptile.
"""
import json
import os
import sys

import torch
import torch.nn.functional as F

import make_reference as reference

UNROLLED = ("maml", "lslr", "metasgd", "per-step-bn")


def f32(t):
    return t.float().double()


def targets(case, m, ways, gen, x, curve):
    kind, n = case["loss"], case["ways"]
    if curve is not None:
        return f32(curve[0] * torch.sin(x - curve[1]))
    if kind == "ce":
        return torch.arange(m)[torch.randperm(m, generator=gen)] % ways
    if kind == "bce":
        return (torch.rand(m, n, generator=gen) > 0.5).double()
    return f32(torch.randn(m, n + 1 if kind == "gaussian-policy" else n, generator=gen))


def draw(case, gen):
    """Of every task a list of support sets and a query set, each (x, y)."""
    tasks = []
    sets = case["steps"] if case.get("support_per_step") else 1
    for ways, support, query in case["sizes"]:
        curve = (0.1 + 4.9 * torch.rand(1, generator=gen), torch.pi * torch.rand(1, generator=gen)) if case["in_shape"] == [1] else None

        def one(m):
            if case.get("tokens_below"):
                x = torch.randint(0, case["tokens_below"], (m, *case["in_shape"]), generator=gen).double()
            else:
                x = f32(torch.randn(m, *case["in_shape"], generator=gen) * (3 if curve else 1))
            return x, targets(case, m, ways or case["ways"], gen, x, curve)
        tasks.append(([one(support) for _ in range(sets)], one(query)))
    return tasks


def loss_of(case, out, y, ways, p):
    kind = case["loss"]
    if kind == "ce":
        return F.cross_entropy(out[:, :ways], y, reduction=case.get("reduction", "mean"))
    if kind == "gaussian-policy":
        z = (y[:, :-1] - out) / p["log_std"].exp()
        density = (-0.5 * z * z - p["log_std"] - 0.5 * torch.log(torch.tensor(2 * torch.pi))).sum(-1)
        return -(density * y[:, -1]).mean()
    function = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss, "bce": F.binary_cross_entropy_with_logits}[kind]
    return function(out, y)


class Problem:
    def __init__(self, case):
        self.case = case
        self.algorithm = case.get("algorithm", "maml")
        assert self.algorithm in UNROLLED + ("reptile",), self.algorithm
        gen = torch.Generator().manual_seed(case["seed"])
        self.rows = case["steps"] if self.algorithm == "per-step-bn" else 0
        self.params, self.net = reference.build(case["layers"], case["in_shape"], case["ways"], gen, self.rows)
        if case["loss"] == "gaussian-policy":
            self.params["log_std"] = f32(-0.5 + 0.1 * torch.randn(case["ways"], generator=gen)).requires_grad_()
        self.names = list(self.params)
        self.tasks = draw(case, gen)
        self.adapted = [m for m in self.names if self.is_adapted(m)]
        self.rates = self.make_rates(gen)
        self.gen = gen

    def is_adapted(self, name):
        starts = lambda key: any(name.startswith(a) for a in self.case.get(key, []))
        own = self.rows and name.rsplit(".", 1)[0] in reference.bn_names(self.case["layers"])
        return (not self.case.get("adapt") or starts("adapt")) and not starts("freeze") and not own

    def make_rates(self, gen):
        a = self.case["alpha"]
        if self.algorithm == "metasgd":
            return {m: f32(a * (0.5 + torch.rand(self.params[m].shape, generator=gen))).requires_grad_() for m in self.adapted}
        if self.algorithm == "lslr":
            return f32(a * (0.5 + torch.rand(self.case["steps"], len(self.names), generator=gen))).requires_grad_()
        return None

    def rate(self, k, name):
        if self.algorithm == "metasgd":
            return self.rates[name]
        return self.rates[k, self.names.index(name)] if self.algorithm == "lslr" else self.case["alpha"]

    def run(self, t, second):
        """One task: adapted parameters, support losses, the query loss, scores of the query set."""
        case, (sets, (xq, yq)) = self.case, self.tasks[t]
        ways, inner, msl = case["sizes"][t][0] or case["ways"], case.get("inner", {}), case.get("msl")
        rule, state, p, losses, total = reference.rule_of(inner), {m: {} for m in self.adapted}, dict(self.params), [], 0.0
        for k in range(case["steps"]):
            x, y = sets[k] if len(sets) > 1 else sets[0]
            row = k if self.rows else 0
            loss = loss_of(case, self.net(p, x, row), y, ways, p)
            losses.append(loss.detach())
            grads = torch.autograd.grad(loss, [p[m] for m in self.adapted], create_graph=second)
            grads = reference.prepare(inner, list(grads), [p[m] for m in self.adapted])
            p.update({m: rule(state[m], g, p[m], self.rate(k, m), k + 1) for m, g in zip(self.adapted, grads)})
            if msl:
                total = total + msl[k] * loss_of(case, self.net(p, xq, row), yq, ways, p)
        out = self.net(p, xq, case["steps"] - 1 if self.rows else 0)
        return p, torch.stack(losses), total if msl else loss_of(case, out, yq, ways, p), out.detach()


def padded(problem, which):
    """The sets of all tasks in arrays of the largest size: x, y."""
    case, noise = problem.case, lambda *size: f32(1000 * torch.randn(*size, generator=problem.gen))
    out = []
    for sets, query in problem.tasks:
        some = [query] if which == "query" else sets
        pair = []
        for i in range(2):
            whole = []
            for one in some:
                a = one[i]
                rest = [case[which] - a.shape[0], *a.shape[1:]]
                tail = noise(*rest) if a.dtype == torch.float64 and not case.get("tokens_below") else torch.zeros(rest, dtype=a.dtype)
                whole.append(torch.cat([a, tail]))
            pair.append(torch.stack(whole) if len(some) > 1 else whole[0])
        out.append(pair)
    return torch.stack([p[0] for p in out]), torch.stack([p[1] for p in out])


def scores(problem, runs):
    case, n = problem.case, problem.case["ways"]
    out = torch.zeros(len(runs), case["query"], n)
    for t, run in enumerate(runs):
        ways = case["sizes"][t][0] or n
        out[t, :run[3].shape[0], :ways] = run[3][:, :ways]
    return out


def make(case):
    problem = Problem(case)
    params, names, count = problem.params, problem.names, len(case["sizes"])
    assert count == case["tasks"]
    unrolled = problem.algorithm in UNROLLED
    runs = [problem.run(t, unrolled) for t in range(count)]
    loss = torch.stack([r[2] for r in runs])
    out = {"param." + m: params[m] for m in names}
    out["support.x"], out["support.y"] = padded(problem, "support")
    out["query.x"], out["query.y"] = padded(problem, "query")
    rates = [] if problem.rates is None else list(problem.rates.values()) if isinstance(problem.rates, dict) else [problem.rates]
    leaves = [params[m] for m in names]
    if unrolled:
        grads = torch.autograd.grad(loss.mean(), leaves + rates, allow_unused=True)
        first = torch.stack([problem.run(t, False)[2] for t in range(count)]).mean()
        first = torch.autograd.grad(first, leaves, allow_unused=True)
    else:
        grads = [sum(params[m] - r[0][m] for r in runs).detach() / count for m in names]
    plain = lambda g, m: torch.zeros_like(params[m]) if g is None else g
    out["out.support_loss"], out["out.query_loss"] = torch.stack([r[1] for r in runs]), loss
    out["out.query_logits"], out["out.meta_loss"] = scores(problem, runs), loss.mean().reshape(1)
    for i, m in enumerate(names):
        out["out.meta_grad." + m] = plain(grads[i], m)
        if unrolled:
            out["out.meta_grad_fo." + m] = plain(first[i], m)
    for m in problem.adapted:
        out["out.adapted." + m] = torch.stack([r[0][m].detach() for r in runs])
    if problem.algorithm == "lslr":
        out["alpha"], out["out.alpha_grad"] = problem.rates, grads[-1]
    if problem.algorithm == "metasgd":
        for m, g in zip(problem.adapted, grads[len(names):]):
            out["alpha." + m], out["out.alpha_grad." + m] = problem.rates[m], g
    norm = sum(float(out["out.meta_grad." + m].norm()) ** 2 for m in names) ** 0.5
    apart = sum(float((out["out.meta_grad." + m] - out["out.meta_grad_fo." + m]).norm()) ** 2 for m in names) ** 0.5 if unrolled else 0
    print("%-28s meta-loss %.6f  |grad| %.4g  |second - first order| / |grad| %.3g" % (case["name"], float(loss.mean()), norm, apart / norm))
    return out, names


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    os.makedirs(sys.argv[2], exist_ok=True)
    with open(sys.argv[1]) as file:
        cases = json.load(file)
    for case in cases:
        tensors, names = make(case)
        reference.save(os.path.join(sys.argv[2], case["name"] + ".safetensors"), tensors, {"case": json.dumps(case), "params": json.dumps(names)})
