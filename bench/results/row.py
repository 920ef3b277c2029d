#!/usr/bin/env python3
"""Rows of published tables: trains a row with its whole protocol, tests it, and writes its line of docs/results.md.

usage: bench/results/run.sh ROW [--data DIR] [--program build/clmaml] [--runs runs/results] [--device gpu] [--iterations N] [--minutes M]
                            [--test] [--checkpoint best|last] [--note TEXT]
       bench/results/run.sh --list
       bench/results/run.sh --write

A row may take hours: whenever it is called again it goes on from its last checkpoint, to the same bits, and a finished row is only tested again.
What came of it is kept in bench/results/ROW: row.json (settings, device, time, scores after each inner step with their intervals), the curve and,
of functions, the fits; the tables of docs/results.md are made of all that lie there. --iterations shortens a row. One that is stopped, by Ctrl-C or
by --minutes, is tested as far as it got; so is one that is still at work, by --test. Either way its line says how many iterations of how many were made. --note is printed below the table.
"""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys

import options

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "docs", "results.md")
FINN, NICHOL, ANTONIOU = "Finn et al. 2017", "Nichol et al. 2018", "Antoniou et al. 2019"
LAKE = ["--omniglot-split", "alphabets", "--test-rotations", "no", "--within-alphabet", "yes"]


def row(table, title, arguments, steps, paper, tasks, source="", eval_arguments=()):
    """steps: those that the table shows, the first of `paper` first; paper: {steps: figure}."""
    return {"table": table, "title": title, "arguments": arguments, "steps": steps, "paper": paper, "tasks": tasks, "source": source,
            "eval": list(eval_arguments)}


def omniglot(title, preset, steps, figure, source, more=()):
    return row("omniglot", title, ["--preset", preset] + list(more), steps, {steps[0]: figure}, 1000, source, ["--query", "1"])


SINE = {1: "0.67", 5: "0.38", 10: "0.35"}
ROWS = {
    "sine-5s": row("sine", "5 shots, MAML", ["--preset", "sine-5s"], [0, 1, 5, 10], SINE, 4000, FINN),
    "sine-5s-fo": row("sine", "5 shots, first-order MAML", ["--preset", "sine-5s", "--first-order"], [0, 1, 5, 10], {}, 4000),
    "sine-5s-pretrain": row("sine", "5 shots, pretrained on all tasks", ["--preset", "sine-5s", "--algorithm", "pretrain"], [0, 1, 5, 10], {}, 4000),
    "sine-10s": row("sine", "10 shots, MAML", ["--preset", "sine"], [0, 1, 5, 10], {}, 4000),
    "sine-10s-pretrain": row("sine", "10 shots, pretrained on all tasks", ["--preset", "sine", "--algorithm", "pretrain"], [0, 1, 5, 10], {}, 4000),
    "omniglot-5w1s": omniglot("5-way 1-shot, MAML", "omniglot-5w1s", [3, 1, 10], "98.7 ± 0.4", FINN),
    "omniglot-5w1s-fo": omniglot("5-way 1-shot, first-order MAML", "omniglot-5w1s-fo", [3, 1, 10], "98.3 ± 0.5", NICHOL),
    "omniglot-20w1s": omniglot("20-way 1-shot, MAML", "omniglot-20w1s", [5, 1, 10], "95.8 ± 0.3", FINN),
    "omniglot-20w1s-fo": omniglot("20-way 1-shot, first-order MAML", "omniglot-20w1s-fo", [5, 1, 10], "89.4 ± 0.5", NICHOL),
    "omniglot-5w5s": omniglot("5-way 5-shot, MAML", "omniglot-5w5s", [3, 1, 10], "99.9 ± 0.1", FINN),
    "omniglot-5w5s-fo": omniglot("5-way 5-shot, first-order MAML", "omniglot-5w5s-fo", [3, 1, 10], "99.2 ± 0.2", NICHOL),
    "omniglot-20w5s": omniglot("20-way 5-shot, MAML", "omniglot-20w5s", [5, 1, 10], "98.9 ± 0.2", FINN),
    "omniglot-20w5s-fo": omniglot("20-way 5-shot, first-order MAML", "omniglot-20w5s-fo", [5, 1, 10], "97.9 ± 0.1", NICHOL),
    "omniglot-lake": omniglot("20-way 1-shot within an alphabet, MAML", "omniglot-20w1s", [5, 1, 10],
                              "95.5 people, 96.7 BPL, 86.5 convolutional network", "Lake et al. 2015", LAKE),
    "omniglot-mamlpp-20w1s": omniglot("20-way 1-shot, MAML++", "omniglot-mamlpp-20w1s", [5, 1, 10], "97.65", ANTONIOU),
}


def kept(name):
    return os.path.join(HERE, name)


def wait(process, minutes):
    """The exit status; after so many minutes, or by Ctrl-C, the run is asked to stop, which it does after a checkpoint."""
    try:
        return process.wait(60 * minutes if minutes else None)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as stop:
        if isinstance(stop, subprocess.TimeoutExpired):
            process.send_signal(signal.SIGINT)
        return process.wait()


def begun(a, name):
    return os.path.exists(os.path.join(a.runs, name, "config.json"))


def beside(a, name):
    """The data and the device, for commands of the program."""
    return (["--data", a.data] if a.data else []) + (["--device", a.device] if a.device else [])


def train(a, name):
    """Until it is finished, or stopped."""
    run = os.path.join(a.runs, name)
    command = [a.program, "train"] + (["--resume"] if begun(a, name) else ROWS[name]["arguments"]) + ["--run", run]
    command += ["--iterations", str(a.iterations)] if a.iterations else []
    os.makedirs(a.runs, exist_ok=True)
    if options.follow(name, command + beside(a, name), run + ".log", lambda process: wait(process, a.minutes)):
        print("%s: stopped; the same command goes on with it" % name)


def test(a, name):
    """Scores after each step, as {steps: [mean, interval]}."""
    r, run = ROWS[name], os.path.join(a.runs, name)
    command = [a.program, "eval", run, "--tasks", str(r["tasks"]), "--steps", str(max(r["steps"])), "--bn", "run", "--json"] + r["eval"]
    said = options.answer(name, command + ["--checkpoint", a.checkpoint] + beside(a, name))
    return said, {s["steps"]: [s["mean"], s["interval"]] for s in said["results"][0]["after_steps"]}


def reached(run):
    """Outer updates behind the last checkpoint."""
    with open(os.path.join(run, "checkpoints", "last.safetensors"), "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        return int(json.loads(file.read(size))["__metadata__"]["clmaml.iteration"])


def seconds(run):
    return max(r["seconds"] or 0 for r in options.rows_of(os.path.join(run, "metrics.jsonl")))


def keep(a, name):
    run, folder, r = os.path.join(a.runs, name), kept(name), ROWS[name]
    said, scores = test(a, name)
    config = options.read_json(os.path.join(run, "config.json"))
    os.makedirs(folder, exist_ok=True)
    for picture in ("curve.svg", "fits.svg"):
        if os.path.exists(os.path.join(run, picture)):
            shutil.copy(os.path.join(run, picture), folder)
    settings = {k: v for k, v in config["settings"].items() if k not in ("data", "run", "init", "model", "device")}
    of = 70000 if r["table"] == "sine" else 50000 if "mamlpp" in name else 60000
    out = {"row": name, "metric": said["metric"], "scores": scores, "tasks": r["tasks"], "iterations": reached(run), "of": of,
           "checkpoint": said["iteration"], "which": a.checkpoint, "note": a.note, "seconds": seconds(run), "device": config["device"], "driver": config["driver"], "source": config["source"].split(": ", 1)[1],
           "settings": settings, "command": "bench/results/run.sh %s%s%s" % (name, " --data DIR" if r["table"] == "omniglot" else "",
                                                                        " --iterations %d" % a.iterations if a.iterations else "")}
    with open(os.path.join(folder, "row.json"), "w") as file:
        json.dump(out, file, indent=1, sort_keys=True)
        file.write("\n")


# ---- the page ----

def score(pair, percent):
    if pair is None:
        return "–"
    return "%.2f ± %.2f" % (100 * pair[0], 100 * pair[1]) if percent else "%.3f ± %.3f" % tuple(pair)


def duration(s):
    return "%d s" % s if s < 100 else "%d min" % (s / 60) if s < 6000 else "%.1f h" % (s / 3600)


def table(kind):
    paths = [(n, os.path.join(kept(n), "row.json")) for n in ROWS if ROWS[n]["table"] == kind]
    found = [(n, options.read_json(path)) for n, path in paths if os.path.exists(path)]
    if not found:
        return "Not run yet.\n"
    percent = found[0][1]["metric"] == "accuracy"
    if kind == "sine":
        head = ["run"] + ["after %d step%s" % (k, "" if k == 1 else "s") for k in (0, 1, 5, 10)] + ["published, after 1, 5, 10", "time", "command"]
    else:
        head = ["run", "accuracy, %", "after steps", "after 1 step", "after 10 steps", "published", "time", "command"]
    lines = ["| %s |" % " | ".join(head), "|%s" % ("---|" * len(head))]
    for name, r in found:
        d, scores = ROWS[name], {int(k): v for k, v in r["scores"].items()}
        paper = ", ".join(d["paper"][k] for k in sorted(d["paper"])) + (" (%s)" % d["source"] if d["source"] else "") if d["paper"] else "–"
        short = "" if r["iterations"] == r["of"] else ", **%d of %d iterations**" % (r["iterations"], r["of"])
        cells = [d["title"] + short]
        if kind == "sine":
            cells += [score(scores.get(k), percent) for k in (0, 1, 5, 10)]
        else:
            cells += [score(scores.get(d["steps"][0]), percent), str(d["steps"][0])] + [score(scores.get(k), percent) for k in d["steps"][1:]]
        lines.append("| %s |" % " | ".join(cells + [paper, duration(r["seconds"]), "`%s`" % r["command"]]))
    devices = sorted({"%s (%s)" % (r["device"], r["driver"]) for _, r in found})
    tasks = sorted({r["tasks"] for _, r in found})
    what = "Accuracy on test classes" if percent else "Mean squared error on test functions"
    noted = {}
    for name, r in found:
        noted.setdefault(r["note"], []).append(ROWS[name]["title"])
    notes = ["%s: %s." % ("All rows" if len(titles) == len(found) else "; ".join(titles), note) for note, titles in noted.items() if note]
    tested = ["%s at %d%s" % (ROWS[name]["title"], r["checkpoint"], " (the last one, not chosen)" if r["which"] == "last" else "") for name, r in found]
    head = "%s, mean ± 95 %% interval over %s tasks. %s. Tested is the best checkpoint by validation: %s." % (
        what, ", ".join(map(str, tasks)), "; ".join(devices), "; ".join(tested))
    return "\n\n".join([head, "\n".join(lines)] + notes) + "\n"


def replace(kind, text):
    """The part of the page between its two lines."""
    begin, end = "<!-- %s: made by bench/results -->" % kind, "<!-- %s: end -->" % kind
    with open(PAGE) as file:
        page = file.read()
    if begin not in page or end not in page:
        sys.exit("%s: no lines \"%s\" and \"%s\", between which the table goes" % (PAGE, begin, end))
    before, rest = page.split(begin)
    with open(PAGE, "w") as file:
        file.write(before + begin + "\n" + text + end + rest.split(end)[1])


def write():
    for kind in ("sine", "omniglot"):
        replace(kind, table(kind))


def checked(p, a):
    """Sees that nothing given is wrong, or says nothing to what is to be done."""
    if a.list or a.write:
        return p.only_with(a, ("list", "write"), "--list" if a.list else "--write")
    if not a.row:
        p.refuse("say which row: --list lists them")
    p.settle(a, program=options.program, runs=options.place)
    if ROWS[a.row]["table"] == "sine" and a.data:
        p.refuse("--data says nothing to %s, which needs no data: leave it out" % a.row)
    if a.test:
        p.only_with(a, ("row", "test", "data", "program", "runs", "device", "checkpoint", "note"), "--test, which trains nothing")
        if not begun(a, a.row):
            p.refuse("--test: there is no run %s: without --test it begins, --runs says where it is" % os.path.join(a.runs, a.row))
    elif ROWS[a.row]["table"] == "omniglot" and not a.data and not begun(a, a.row):
        p.refuse("%s needs --data DIR, the folder with images_background.zip and images_evaluation.zip" % a.row)


def main():
    p = options.Parser(__doc__, "run.sh")
    p.add_argument("row", nargs="?", type=options.one_of(list(ROWS), "row"), metavar="ROW")
    do = p.add_mutually_exclusive_group()
    do.add_argument("--list", action="store_true", help="the rows, with the published figures")
    do.add_argument("--write", action="store_true", help="only make the tables of docs/results.md anew")
    do.add_argument("--test", action="store_true", help="train nothing: only test what the last checkpoint has")
    p.add_argument("--data", type=options.folder, metavar="DIR", help="Omniglot's folder; a run that goes on knows it")
    p.add_argument("--program", default="build/clmaml", metavar="PATH", help="(%(default)s)")
    p.add_argument("--runs", default="runs/results", metavar="DIR", help="where the runs are (%(default)s)")
    p.add_argument("--device", type=options.words, metavar="SPEC", help="as the program has it")
    p.add_argument("--iterations", type=options.count, metavar="N", help="as many as these, rather than the protocol's")
    p.add_argument("--minutes", type=options.amount, metavar="M", help="stop after so many, with a checkpoint, and test what there is")
    p.add_argument("--checkpoint", choices=("best", "last"), default="best",
                   help="what is tested: the best by validation, or the last, for a run that was stopped long after it")
    p.add_argument("--note", default="", metavar="TEXT", help="what a reader of the time should know, such as what else the machine did")
    a = p.parse_args()
    checked(p, a)
    if a.list:
        for name, r in ROWS.items():
            print("%-24s %s%s" % (name, r["title"], "; published: %s (%s)" % (", ".join(r["paper"].values()), r["source"]) if r["paper"] else ""))
    elif a.write:
        write()
    else:
        if not a.test:
            train(a, a.row)
        keep(a, a.row)
        write()


if __name__ == "__main__":
    options.run(main)
