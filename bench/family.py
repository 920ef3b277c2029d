#!/usr/bin/env python3
"""Every algorithm of `clmaml algorithms` on glyphs, with equal numbers of tasks: accuracy, time and memory, as a table of docs/results.md.

usage: python3 bench/family.py [--program build/clmaml] [--runs runs/family] [--iterations 1500] [--only maml,fomaml] [--write docs/results.md]

Each algorithm has a run directory of its own. A run that was stopped goes on from its last checkpoint when the script is called again, one that is
finished is read. The accuracy is that of `clmaml train`: one test on tasks of held-out classes, with the checkpoint that validation chose. Tasks a
second are measured when all are trained, by short runs one after the other, in two rounds: the better median of the logged iterations. Memory is
what the meta-gradient was planned with. Algorithms begin with the options that `clmaml algorithms` shows for them; the script sets what all
share, and the number of inner steps.
"""
import argparse
import csv
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys

BEGIN, END = "<!-- family: made by bench/family.py -->", "<!-- family: end -->"
# 5 inner steps where an algorithm has inner steps, at a rate that suits it; the rest is shared.
STEPS = ["--steps", "5", "--inner-lr", "0.1"]
OF_REGRESSIONS = ["pretrain"]  # a class has another number in every task
OWN = {"cavia": ["--steps", "5"], "imaml": [], "protonet": [], "finetune": []}


def shared(a):
    return ["--ways", "5", "--shots", "1", "--query", "3", "--filters", str(a.filters), "--meta-batch", str(a.meta_batch),
            "--iterations", str(a.iterations), "--val-every", str(max(1, a.iterations // 10)), "--val-tasks", "200", "--eval-tasks",
            str(a.eval_tasks), "--seed", "1", "--log-every", "10"]


def train(a, algorithm):
    """Runs or resumes; returns the directory and the text of the first start."""
    directory = os.path.join(a.runs, algorithm.replace("+", "p"))
    log = directory + ".log"
    if not os.path.exists(os.path.join(directory, "result.json")):
        command = [a.program, "train"]
        if os.path.exists(os.path.join(directory, "config.json")):
            command += ["--resume", "--run", directory]
        else:
            command += ["glyphs", "--algorithm", algorithm, "--run", directory] + shared(a) + OWN.get(algorithm, STEPS)
        print(" ".join(command), flush=True)
        with open(log, "a") as out:
            if subprocess.run(command, stdout=out, stderr=subprocess.STDOUT).returncode:
                sys.exit("%s failed; see %s" % (algorithm, log))
    with open(log) as text:
        return directory, text.read()


def speed(a, algorithm):
    """Tasks a second of training alone."""
    directory = os.path.join(a.runs, "time")
    shutil.rmtree(directory, ignore_errors=True)
    command = [a.program, "train", "glyphs", "--algorithm", algorithm, "--run", directory] + shared(a) + OWN.get(algorithm, STEPS)
    command += ["--iterations", "40", "--val-every", "40", "--val-tasks", "1", "--eval-tasks", "0", "--log-every", "1"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(directory, "metrics.csv")) as file:
        speeds = [float(r["tasks_per_second"]) for r in csv.DictReader(file) if r.get("tasks_per_second")]
    shutil.rmtree(directory)
    return statistics.median(speeds[len(speeds) // 2:])


def memory_with(a, options):
    """What a meta-gradient takes, as the plan says before training."""
    directory = os.path.join(a.runs, "memory")
    shutil.rmtree(directory, ignore_errors=True)
    command = [a.program, "train", "glyphs", "--run", directory] + shared(a) + options
    command += ["--iterations", "0", "--val-tasks", "1", "--eval-tasks", "0"]
    text = subprocess.check_output(command, text=True)
    shutil.rmtree(directory)
    return re.search(r"meta-gradient ([0-9.]+ [KMG]?i?B)", text).group(1)


def memory_table(a):
    """Memory by the number of inner steps: what depends on it and what does not."""
    ways = [("maml, everything kept", ["--algorithm", "maml", "--checkpointing", "store"]),
            ("maml, recomputed", ["--algorithm", "maml", "--checkpointing", "recompute"]),
            ("imaml", ["--algorithm", "imaml"]),
            ("reptile", ["--algorithm", "reptile"])]
    counts = [1, 5, 20]
    lines = ["| memory of a meta-gradient | " + " | ".join("%d inner step%s" % (k, "s" * (k > 1)) for k in counts) + " |",
             "|---|" + "---|" * len(counts)]
    for name, options in ways:
        lines.append("| %s | %s |" % (name, " | ".join(
            memory_with(a, options + ["--steps", str(k), "--task-chunk", str(a.meta_batch)]) for k in counts)))
    return "\n".join(lines) + "\n"


def row(a, algorithm, info, speeds):
    directory, text = train(a, algorithm)
    result = json.load(open(os.path.join(directory, "result.json")))
    memory = re.search(r"meta-gradient ([0-9.]+ [KMG]?i?B)", text)
    return {"algorithm": algorithm, "source": info["source"], "mean": 100 * result["mean"], "interval": 100 * result["interval"],
            "steps": len(result["after_steps"]) - 1, "speed": max(speeds), "memory": memory.group(1) if memory else ""}


def verdict(rows):
    by_name = {r["algorithm"]: r for r in rows}
    if "maml" not in by_name or "fomaml" not in by_name:
        return ""
    second, first = by_name["maml"], by_name["fomaml"]
    gap = second["mean"] - first["mean"]
    clear = gap > (second["interval"] ** 2 + first["interval"] ** 2) ** 0.5
    return "Second-order MAML is %.2f points %s its first-order twin, %s the intervals of both.\n" % (
        abs(gap), "above" if gap >= 0 else "below", "which is beyond" if clear else "which lies within")


def table(a, rows):
    lines = ["| algorithm | accuracy, % | inner steps at test | tasks a second | memory of the meta-gradient |", "|---|---|---|---|---|"]
    for r in rows:
        lines.append("| %s (%s) | %.2f ± %.2f | %d | %.0f | %s |" % (
            r["algorithm"], r["source"], r["mean"], r["interval"], r["steps"], r["speed"], r["memory"]))
    head = ("glyphs, 5-way 1-shot, Conv-4 with %d filters, %d iterations of %d tasks, %d test tasks, 3 query images a class, seed 1; "
            "%d cores (%s):\n\n    python3 bench/family.py --iterations %d\n\n" % (
                a.filters, a.iterations, a.meta_batch, a.eval_tasks, os.cpu_count(), platform.machine(), a.iterations))
    return head + "\n".join(lines) + "\n\n" + verdict(rows)


def write(path, text):
    page = open(path).read()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    with open(path, "w") as out:
        out.write(before + BEGIN + "\n" + text + END + after)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="build/clmaml")
    p.add_argument("--runs", default="runs/family")
    p.add_argument("--iterations", type=int, default=1500)
    p.add_argument("--meta-batch", type=int, default=16)
    p.add_argument("--filters", type=int, default=32)
    p.add_argument("--eval-tasks", type=int, default=600)
    p.add_argument("--rounds", type=int, default=2, help="how often each speed is measured; the best counts")
    p.add_argument("--only", default="", help="names with commas")
    p.add_argument("--write", metavar="FILE", help="put the table between its marks in this page")
    a = p.parse_args()
    infos = {i["name"]: i for i in json.loads(subprocess.check_output([a.program, "algorithms", "--json"]))["algorithm"]}
    names = [n for n in infos if (n in a.only.split(",") if a.only else n not in OF_REGRESSIONS)]
    os.makedirs(a.runs, exist_ok=True)
    for n in names:
        train(a, n)
    speeds = {n: [] for n in names}
    for _ in range(a.rounds):
        for n in names:
            speeds[n].append(speed(a, n))
    text = table(a, [row(a, n, infos[n], speeds[n]) for n in names]) + "\n" + memory_table(a)
    print(text)
    if a.write:
        write(a.write, text)


if __name__ == "__main__":
    main()
