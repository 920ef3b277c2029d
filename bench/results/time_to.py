#!/usr/bin/env python3
"""Time to accuracy: minutes until 95 % and 98 % of validation tasks' queries are right, Omniglot 5-way 1-shot, clMAML and PyTorch in turns.

usage: PYTHONPATH=python CLMAML_LIBRARY=build/libclmaml.so python3 bench/results/time_to.py --data DIR [--runs runs/time_to] [--program build/clmaml]
                                                                                       [--minutes 30] [--hours 8] [--device SPEC]
       python3 bench/results/time_to.py --report [--runs runs/time_to]

Both train by the preset omniglot-5w1s from the same parameters on the same tasks (see curve.py), and are validated every 500 updates on the same 200
tasks after 3 inner steps. They take turns of --minutes on the whole machine, so that what else it does meets both, until each has 98 % or --hours are
over; the same command goes on where it was stopped. PyTorch trains in the fastest of its set-ups, measured as it begins: task after task or all at
once (PyTorch 2), with one thread or all. Time is that of training and validation, without what the first start takes.

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

def fastest(torch, curve, initial, batch):
    """(way, threads) of the shortest step of a few; which ways there are depends on the version."""
    best = None
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        for way in ("loop", "vmap"):
            try:
                model = curve.Torch(initial, torch.float32, way)
                spent = []
                for _ in range(4):
                    began = time.monotonic()
                    model.step(batch)
                    spent.append(time.monotonic() - began)
            except ImportError:
                continue
            if best is None or min(spent[1:]) < best[0]:
                best = (min(spent[1:]), way, threads)
    return best[1:]


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
    way, threads = state["way"] if state else fastest(torch, curve, initial, sample(TASKS, 0, "train"))
    torch.set_num_threads(threads)
    net = curve.Torch(initial, torch.float32, way)
    if state:
        with torch.no_grad():
            for name, value in state["parameters"].items():
                net.p[name].copy_(value)
        net.adam.load_state_dict(state["adam"])
    iteration, before = (state["iteration"], state["seconds"]) if state else (0, 0.0)
    validation, began, until = sample(VALIDATION, 0, "validation"), time.monotonic(), time.monotonic() + 60 * a.minutes
    seconds = lambda: before + time.monotonic() - began

    def save():
        torch.save({"parameters": {k: v.detach() for k, v in net.p.items()}, "adam": net.adam.state_dict(), "iteration": iteration,
                    "seconds": seconds(), "way": (way, threads)}, saved + ".tmp")
        os.replace(saved + ".tmp", saved)

    def validate():
        right = net.accuracy(net.state(), validation)
        with open(log_of(a, "PyTorch"), "a") as log:
            log.write(json.dumps({"kind": "validation", "iteration": iteration, "seconds": seconds(), "query_after": sum(right) / len(right),
                                  "way": way, "threads": threads, "pytorch": torch.__version__}) + "\n")
        save()

    if iteration == 0:
        validate()
    while time.monotonic() < until and not finished(a, "PyTorch"):
        net.step(sample(TASKS, iteration, "train"))
        iteration += 1
        if iteration % EVERY == 0:
            validate()
    save()


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
    return "%d validation tasks every %d updates; clMAML on %s, PyTorch %s, %s, %d threads; in turns on the same machine.\n\n%s\n" % (
        VALIDATION, EVERY, device, how["pytorch"], {"loop": "task after task", "vmap": "all tasks at once"}[how["way"]], how["threads"], "\n".join(lines))


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
