#!/usr/bin/env python3
"""Time to accuracy: minutes until 95 % and 98 % of validation tasks' queries are right, Omniglot 5-way 1-shot, clMAML and PyTorch in turns.

usage: PYTHONPATH=python CLMAML_LIBRARY=build/libclmaml.so python3 bench/results/time_to.py --data DIR [--runs runs/time_to] [--program build/clmaml]
                                                                                       [--minutes 30] [--hours 8] [--device SPEC]
       python3 bench/results/time_to.py --report [--runs runs/time_to]

Both train by the preset omniglot-5w1s from the same parameters on the same tasks (see curve.py), and are validated every 500 updates on the same 200
tasks after 3 inner steps. They take turns of --minutes on the whole machine, so that what else it does meets both, until each has 98 % or --hours are
over; the same command goes on where it was stopped. PyTorch trains in the fastest of its set-ups, measured as it begins: task after task or all at
once (PyTorch 2), with one thread, with all, or in as many processes of one thread that share the tasks, and all at once through torch.compile. Time is
that of training and validation, without what a start takes.

Wants a machine that does nothing else: this is a comparison of time. --report only prints what the logs of both say, and writes the table of
docs/results.md.
"""
import json
import os
import signal
import sys
import time

import options
import row as rows

GOALS = (0.95, 0.98)
EVERY, TASKS, VALIDATION = 500, 32, 200


def log_of(a, who):
    return os.path.join(a.runs, "clmaml", "metrics.jsonl") if who == "clMAML" else os.path.join(a.runs, "pytorch", "metrics.jsonl")


def validations(path):
    """[(iteration, seconds, accuracy)]; the first, before any update, tells what a start takes."""
    if not os.path.exists(path):
        return []
    return [(r["iteration"], r["seconds"], r["query_after"]) for r in options.rows_of(path) if r["kind"] == "validation"]


def reached(a, who, goal):
    """(iteration, seconds) of the first validation that has it; None: not yet."""
    said = validations(log_of(a, who))
    start = said[0][1] if said and said[0][0] == 0 else 0
    return next(((i, s - start) for i, s, accuracy in said if accuracy >= goal), None)


def finished(a, who):
    return reached(a, who, GOALS[-1]) is not None


# ---- clMAML ----

def turn_of_clmaml(a):
    run = os.path.join(a.runs, "clmaml")
    command = [a.program, "train"] + (["--resume"] if os.path.exists(os.path.join(run, "config.json")) else ["--preset", "omniglot-5w1s"])
    command += ["--run", run, "--data", a.data] + (["--device", a.device] if a.device else [])
    until = time.monotonic() + 60 * a.minutes

    def wait(process):
        while process.poll() is None and time.monotonic() < until and not finished(a, "clMAML"):
            time.sleep(1)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        return process.wait()

    options.follow("clMAML", command, run + ".log", wait)


# ---- PyTorch ----

def serve(pipe, parameters, gradients, way):
    """What a helper does until the other end of the pipe closes: gradients, or hits, of the tasks that it is sent."""
    import curve

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process stops, and then there is nothing more to do
    curve.torch.set_num_threads(1)
    net = curve.Torch({k: v.numpy() for k, v in parameters.items()}, curve.torch.float32, way)
    net.p = {k: v.requires_grad_() for k, v in parameters.items()}
    while True:
        try:
            what, batch = pipe.recv()
        except EOFError:
            return
        if what == "accuracy":
            pipe.send(net.accuracy(net.state(), batch))
            continue
        losses = net.step_of(batch)
        for to, parameter in zip(gradients, net.p.values()):
            to.copy_(parameter.grad)
            parameter.grad = None
        pipe.send(losses)


class Team:
    """PyTorch in a set-up (way, threads, processes): the first process adds up what all have found of their tasks, and updates. Beside others, a process has
    one thread."""

    def __init__(self, initial, setup):
        import curve
        import torch.multiprocessing as multiprocessing

        way, threads, processes = setup
        curve.torch.set_num_threads(threads)
        self.net, self.helpers = curve.Torch(initial, curve.torch.float32, way), []
        spawn = multiprocessing.get_context("spawn")
        for parameter in self.net.p.values() if processes > 1 else ():
            parameter.data.share_memory_()
        for _ in range(processes - 1):
            here, there = spawn.Pipe()
            gradients = [curve.torch.zeros(p.shape).share_memory_() for p in self.net.p.values()]
            process = spawn.Process(target=serve, args=(there, {k: v.detach() for k, v in self.net.p.items()}, gradients, way), daemon=True)
            process.start()
            there.close()
            self.helpers.append((here, gradients, process))

    def share(self, what, batch):
        """Sends each helper its tasks; the parts of the batch, the first process's own first."""
        n, of = len(batch[0]), len(self.helpers) + 1
        parts = [[array[n * i // of:n * (i + 1) // of] for array in batch] for i in range(of)]
        for (pipe, _, _), part in zip(self.helpers, parts[1:]):
            pipe.send((what, part))
        return parts

    def step(self, batch):
        self.net.adam.zero_grad()
        parts = self.share("gradient", batch)
        losses, weights = list(self.net.step_of(parts[0])), [len(part[0]) / len(batch[0]) for part in parts]
        for parameter in self.net.p.values():
            parameter.grad.mul_(weights[0])
        for (pipe, gradients, _), weight in zip(self.helpers, weights[1:]):
            losses += pipe.recv()
            for parameter, gradient in zip(self.net.p.values(), gradients):
                parameter.grad.add_(gradient, alpha=weight)
        self.net.adam.step()
        return sum(losses) / len(losses)

    def accuracy(self, batch):
        parts = self.share("accuracy", batch)
        right = list(self.net.accuracy(self.net.state(), parts[0]))
        for pipe, _, _ in self.helpers:
            right += pipe.recv()
        return sum(right) / len(right)

    def close(self):
        for pipe, _, process in self.helpers:
            pipe.close()
            process.join()


def described(setup):
    way, threads, processes = setup
    how = {"loop": "task after task", "vmap": "all tasks at once", "compiled": "all tasks at once through torch.compile"}[way]
    return "%s, %s" % (how, "%d processes" % processes if processes > 1 else "%d thread%s" % (threads, "s" if threads > 1 else ""))


def measured_setups(initial, batch):
    """[(seconds of a step, set-up)], the fastest first."""
    import curve

    cores = os.cpu_count() or 1
    shared = [(1, 1), (cores, 1), (1, min(cores, len(batch[0])))]
    setups = [("loop", *of) for of in sorted(set(shared))]
    if hasattr(curve.torch, "func"):  # PyTorch 2
        setups += [("vmap", *of) for of in sorted(set(shared))] + [("compiled", cores, 1)]
    found = []
    for setup in setups:
        spent = []
        try:
            team = Team(initial, setup)
            for _ in range(8):
                began = time.monotonic()
                team.step(batch)
                spent.append(time.monotonic() - began)
            team.close()
        except RuntimeError as error:  # torch.compile wants a C++ compiler
            print("PyTorch %s, %s: %s" % (curve.torch.__version__, described(setup), str(error).strip().split("\n")[0]), flush=True)
            continue
        found.append((min(spent[1:]), setup))
        print("PyTorch %s, %s: %.3f s for a step" % (curve.torch.__version__, described(setup), found[-1][0]), flush=True)
    return sorted(found)


def turn_of_pytorch(a):
    import curve
    from curve import clmaml, torch

    folder = os.path.join(a.runs, "pytorch")
    os.makedirs(folder, exist_ok=True)
    saved = os.path.join(folder, "last.pt")
    source = clmaml.Source.omniglot(a.data, split="1200", rotations=True, test_rotations=True)
    model = clmaml.Model.conv4(filters=curve.FILTERS, ways=curve.WAYS, strided=True)
    sample = lambda tasks, index, split: source.sample(tasks, ways=curve.WAYS, seed=curve.SEED, index=index, split=split)
    initial = clmaml.MetaLearner(model, "host", seed=curve.SEED, tasks=1, support=curve.WAYS, query=curve.WAYS).state_dict()
    state = torch.load(saved) if os.path.exists(saved) else None
    setups = state["setups"] if state else measured_setups(initial, sample(TASKS, 0, "train"))
    team = Team(initial, setups[0][1])
    if state:
        with torch.no_grad():
            for name, value in state["parameters"].items():
                team.net.p[name].copy_(value)
        team.net.adam.load_state_dict(state["adam"])
    iteration, before = (state["iteration"], state["seconds"]) if state else (0, 0.0)
    team.net.step_of(sample(TASKS, 0, "train"))  # compiles
    validation, began, until = sample(VALIDATION, 0, "validation"), time.monotonic(), time.monotonic() + 60 * a.minutes
    seconds = lambda: before + time.monotonic() - began

    def save():
        torch.save({"parameters": {k: v.detach() for k, v in team.net.p.items()}, "adam": team.net.adam.state_dict(), "iteration": iteration,
                    "seconds": seconds(), "setups": setups}, saved + ".tmp")
        os.replace(saved + ".tmp", saved)

    def validate():
        right = team.accuracy(validation)
        with open(log_of(a, "PyTorch"), "a") as log:
            log.write(json.dumps({"kind": "validation", "iteration": iteration, "seconds": seconds(), "query_after": right,
                                  "setups": setups, "pytorch": torch.__version__}) + "\n")
        save()

    if iteration == 0:
        validate()
    while time.monotonic() < until and not finished(a, "PyTorch"):
        team.step(sample(TASKS, iteration, "train"))
        iteration += 1
        if iteration % EVERY == 0:
            validate()
    save()
    team.close()


# ---- what came of it ----

def cell(found):
    return "not yet" if found is None else "%.1f (%d updates)" % (found[1] / 60, found[0])


def report(a):
    lines = ["| | minutes to 95 % | minutes to 98 % | best so far | updates |", "|---|---|---|---|---|"]
    for who in ("clMAML", "PyTorch"):
        said = validations(log_of(a, who))
        if not said:
            sys.exit("time_to.py: nothing measured of %s, there is no %s: run it, --runs says where it is" % (who, log_of(a, who)))
        lines.append("| %s | %s | %.2f %% | %d |" % (who, " | ".join(cell(reached(a, who, g)) for g in GOALS), 100 * max(v[2] for v in said), said[-1][0]))
    how = list(options.rows_of(log_of(a, "PyTorch")))[-1]
    device = options.read_json(os.path.join(a.runs, "clmaml", "config.json"))["device"]
    setups = "; ".join("%s %.3f" % (described(setup), spent) for spent, setup in how["setups"])
    return ("%d validation tasks every %d updates; clMAML on %s, PyTorch %s; in turns on the same machine. PyTorch trained in the fastest of its set-ups, of which "
            "a step took, in seconds: %s.\n\n%s\n") % (VALIDATION, EVERY, device, how["pytorch"], setups, "\n".join(lines))


def measure(a):
    """Turns of both, until each has reached the last goal or the time is over."""
    import curve

    curve.need()
    os.makedirs(a.runs, exist_ok=True)
    turns, until = {"clMAML": turn_of_clmaml, "PyTorch": turn_of_pytorch}, time.monotonic() + 3600 * a.hours
    try:
        while time.monotonic() < until and not all(finished(a, who) for who in turns):
            for who, turn in turns.items():
                if not finished(a, who):
                    turn(a)
    except curve.clmaml.Error as error:
        sys.exit("time_to.py: %s" % error)


def main():
    p = options.Parser(__doc__)
    p.add_argument("--data", type=options.folder, metavar="DIR", help="Omniglot's folder")
    p.add_argument("--program", default="build/clmaml", metavar="PATH", help="(%(default)s)")
    p.add_argument("--runs", default="runs/time_to", metavar="DIR", help="where the runs are (%(default)s)")
    p.add_argument("--device", type=options.words, metavar="SPEC", help="of clMAML, as the program has it")
    p.add_argument("--minutes", type=options.amount, default=30.0, metavar="M", help="of a turn (%(default)g)")
    p.add_argument("--hours", type=options.amount, default=8.0, metavar="H", help="of all turns of this call (%(default)g)")
    p.add_argument("--report", action="store_true", help="measure nothing: only write the table of docs/results.md")
    a = p.parse_args()
    if a.report:
        p.only_with(a, ("report", "runs"), "--report")
        p.settle(a, runs=options.folder)
    elif not a.data:
        p.refuse("--data DIR is needed, the folder with images_background.zip and images_evaluation.zip")
    else:
        p.settle(a, program=options.program, runs=options.place)
        measure(a)
    text = report(a)
    print(text, end="")
    rows.replace("time", text)


if __name__ == "__main__":
    options.run(main)
