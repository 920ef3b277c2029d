#!/usr/bin/env python3
"""Navigation (docs/navigation.md): trains a row, or goes on with it, keeps what came of it in bench/results/ROW, and writes the table of docs/results.md.

usage: bench/results/navigation.py ROW [--program build/clmaml] [--runs runs/results] [--device gpu] [--iterations N]
       bench/results/navigation.py --list
       bench/results/navigation.py --write

A row goes on from its last checkpoint whenever it is called again. --iterations shortens it, and its line then says by how much.
"""
import json
import os
import shutil
import sys

import options

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "docs", "results.md")
BEGIN, END = "<!-- navigation: made by bench/results/navigation.py -->", "<!-- navigation: end -->"

# name: title, options, updates; the published figures after 0, 1, 2, 3 steps stand in a line of their own.
TEST = ["--eval-trajectories", "40"]  # the authors' script tests with twice the episodes of training
ROWS = {
    "navigation": ("inner rate 0.1", TEST + ["--eval-lr", "0.03"], 500),
    "navigation-first": ("inner rate 0.1, first order", TEST + ["--eval-lr", "0.03", "--first-order"], 500),
    "navigation-rate05": ("inner rate 0.5 and 0.25 at test, 100 updates", TEST + ["--inner-lr", "0.5", "--test-lr", "0.25"], 100),
}
PAPER = ["-40.41", "-11.68", "-3.33", "-3.23"]


def kept(name):
    return os.path.join(HERE, name)


def train(a, name):
    """True when the run is finished."""
    _, settings, updates = ROWS[name]
    run = os.path.join(a.runs, name)
    command = [a.program, "train", "navigation", "--run", run, "--iterations", str(a.iterations or updates)]
    command += ["--resume"] if os.path.exists(os.path.join(run, "config.json")) else settings
    command += ["--device", a.device] if a.device else []
    os.makedirs(a.runs, exist_ok=True)
    status = options.follow(name, command, run + ".log", lambda process: process.wait())
    if status:
        print("%s: stopped; the same command goes on with it" % name)
    return status == 0


def keep(a, name):
    run, folder = os.path.join(a.runs, name), kept(name)
    config, result = (options.read_json(os.path.join(run, name)) for name in ("config.json", "result.json"))
    rows = list(options.rows_of(os.path.join(run, "metrics.jsonl")))
    os.makedirs(folder, exist_ok=True)
    for picture in ("curve.svg", "trajectories.svg"):
        shutil.copy(os.path.join(run, picture), folder)
    command = "bench/results/navigation.py %s" % name + (" --iterations %d" % a.iterations if a.iterations else "")
    out = {"row": name, "returns": result["returns"], "intervals": result["intervals"], "tasks": result["tasks"], "best": result["iteration"],
           "iterations": config["iterations"], "of": ROWS[name][2], "seconds": max(r["seconds"] or 0 for r in rows),
           "after": {str(r["iteration"]): round(r["return_after"], 3) for r in rows if r["kind"] == "train"}, "device": config["device"],
           "driver": config["driver"], "settings": {k: v for k, v in config["settings"].items() if k not in ("run", "device")}, "command": command}
    with open(os.path.join(folder, "row.json"), "w") as file:
        json.dump(out, file, indent=1, sort_keys=True)
        file.write("\n")


def minus(text):
    return text.replace("-", "−")


def compare(found):
    """Second against first order: training returns after one step over the later half of the updates that both made. The seed is the
    same, so an update has the same tasks in both, and differences are paired."""
    first, second = found.get("navigation-first"), found.get("navigation")
    if not first or not second:
        return ""
    both = sorted((int(k) for k in first["after"] if k in second["after"]))
    later = both[len(both) // 2:]
    gaps = [second["after"][str(k)] - first["after"][str(k)] for k in later]
    mean = sum(gaps) / len(gaps)
    half = 1.96 * (sum((g - mean) ** 2 for g in gaps) / (len(gaps) - 1) / len(gaps)) ** 0.5
    means = [sum(r["after"][str(k)] for k in later) / len(later) for r in (second, first)]
    text = "\nSecond order against first, the same seed and so the same tasks in every update: the return after one step in training, mean of updates %d to %d, is %.2f in second " \
           "order and %.2f in first; the difference of an update is %.2f ± %.2f.\n"
    return minus(text % (later[0], later[-1], means[0], means[1], mean, half))


def table():
    paths = {n: os.path.join(kept(n), "row.json") for n in ROWS}
    found = {n: options.read_json(path) for n, path in paths.items() if os.path.exists(path)}
    if not found:
        return "Not run yet.\n"
    head = ["run", "after 0 steps", "after 1 step", "after 2 steps", "after 3 steps", "best of updates", "time", "command"]
    lines = ["| %s |" % " | ".join(head), "|%s" % ("---|" * len(head)),
             "| published (Finn et al. 2017) | %s | – | – | – |" % minus(" | ".join(PAPER))]
    for name, r in found.items():
        short = "" if r["iterations"] == r["of"] else ", %d of %d updates" % (r["iterations"], r["of"])
        cells = [ROWS[name][0] + short] + [minus("%.2f ± %.2f" % pair) for pair in zip(r["returns"], r["intervals"])]
        cells += ["%d of %d" % (r["best"], r["iterations"]), "%.1f h" % (r["seconds"] / 3600), "`%s`" % r["command"]]
        lines.append("| %s |" % " | ".join(cells))
    devices = sorted({"%s (%s)" % (r["device"], r["driver"]) for r in found.values()})
    tasks = sorted({r["tasks"] for r in found.values()})
    return "Return on test tasks, mean ± 95 %% interval over %s tasks, of the best update by validation. %s.\n\n%s\n%s" % (
        ", ".join(map(str, tasks)), "; ".join(devices), "\n".join(lines), compare(found))


def write():
    with open(PAGE) as file:
        page = file.read()
    if BEGIN not in page or END not in page:
        sys.exit("%s: no lines \"%s\" and \"%s\", between which the table goes" % (PAGE, BEGIN, END))
    before, rest = page.split(BEGIN)
    with open(PAGE, "w") as file:
        file.write(before + BEGIN + "\n" + table() + END + rest.split(END)[1])


def main():
    p = options.Parser(__doc__)
    p.add_argument("row", nargs="?", type=options.one_of(list(ROWS), "row"), metavar="ROW")
    do = p.add_mutually_exclusive_group()
    do.add_argument("--list", action="store_true", help="the rows")
    do.add_argument("--write", action="store_true", help="only make the table of docs/results.md anew")
    p.add_argument("--program", default="build/clmaml", metavar="PATH", help="(%(default)s)")
    p.add_argument("--runs", default="runs/results", metavar="DIR", help="where the runs are (%(default)s)")
    p.add_argument("--device", type=options.words, metavar="SPEC", help="as the program has it")
    p.add_argument("--iterations", type=options.count, metavar="N", help="as many as these, rather than the row's")
    a = p.parse_args()
    if a.list or a.write:
        p.only_with(a, ("list", "write"), "--list" if a.list else "--write")
    elif not a.row:
        p.refuse("say which row: --list lists them")
    else:
        p.settle(a, program=options.program, runs=options.place)
    if a.list:
        for name, (title, _, updates) in ROWS.items():
            print("%-20s %s; %d updates" % (name, title, updates))
    elif a.write:
        write()
    elif train(a, a.row):
        keep(a, a.row)
        write()


if __name__ == "__main__":
    options.run(main)
