#!/usr/bin/env python3
"""Every network of `clmaml model` on data that suit it: parameters, time of a meta-gradient and memory, as a table of docs/performance.md.

usage: python3 bench/networks.py [--program build/clmaml] [--device gpu] [--only resnet12,lstm] [--rounds 2] [--write docs/performance.md]

Second-order MAML, 5-way 1-shot with 3 queries a class, 5 inner steps: images are glyphs of --size pixels, sequences are waves that the script
writes, numbers are sinusoids (10 shots, 10 queries). A network's numbers of filters and hidden units are its own. Each network has short runs of
its own, one after the other, in rounds; the time is the least median over rounds of the later half of the iterations. Memory is what the meta-gradient was
planned with.
"""
import argparse
import csv
import math
import os
import platform
import re
import shutil
import statistics
import struct
import subprocess

BEGIN, END = "<!-- networks: made by bench/networks.py -->", "<!-- networks: end -->"
CLASSES, EACH = 40, 20
FEW_SHOT = ["--ways", "5", "--shots", "1", "--query", "3"]
POINTS = ["--shots", "10", "--query", "10"]


def write_array(path, kind, shape, numbers):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (kind, "".join("%d, " % n for n in shape))
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        file.write(struct.pack("<%d%s" % (len(numbers), "f" if kind == "<f4" else "h"), *numbers))


def write_waves(directory, length, width):
    """A class is a frequency, an example a phase."""
    os.makedirs(directory, exist_ok=True)
    numbers = [math.sin(0.02 * (5 + c) * t + 0.7 * e + k) for c in range(CLASSES) for e in range(EACH) for t in range(length) for k in range(width)]
    write_array(os.path.join(directory, "x.npy"), "<f4", (CLASSES * EACH, length, width), numbers)
    write_array(os.path.join(directory, "y.npy"), "<i2", (CLASSES * EACH,), [c for c in range(CLASSES) for _ in range(EACH)])


def networks(a):
    """Names, and what each takes."""
    text = subprocess.check_output([a.program, "model"], text=True)
    found = re.findall(r"^  (\S+) +(images|sequences|numbers): ", text, re.M)
    return [f for f in found if not a.only or f[0] in a.only.split(",")]


def data(a, takes):
    """What to train on, its options, and a name for the table."""
    waves = os.path.join(a.runs, "waves")
    return {"images": (["glyphs", "--size", str(a.size)] + FEW_SHOT, "glyphs, %d × %d" % (a.size, a.size)),
            "sequences": ([waves, "--invert", "no"] + FEW_SHOT, "waves, %d × %d" % (a.length, a.width)),
            "numbers": (["sine"] + POINTS, "sine")}[takes]


def measure(a, name, takes):
    """Seconds of an iteration, parameters, memory."""
    directory = os.path.join(a.runs, "run")
    shutil.rmtree(directory, ignore_errors=True)
    command = [a.program, "train"] + data(a, takes)[0] + ["--network", name, "--run", directory, "--steps", str(a.steps), "--inner-lr", "0.01",
               "--meta-batch", str(a.meta_batch), "--iterations", str(a.iterations), "--val-every", str(a.iterations), "--val-tasks", "1",
               "--eval-tasks", "0", "--log-every", "1"]
    text = subprocess.check_output(command + (["--device", a.device] if a.device else []), text=True)
    with open(os.path.join(directory, "metrics.csv")) as file:
        speeds = [float(r["tasks_per_second"]) for r in csv.DictReader(file) if r.get("tasks_per_second")]
    shutil.rmtree(directory)
    device = re.search(r"^device\n  (.*)", text, re.M).group(1)
    return (a.meta_batch / statistics.median(speeds[len(speeds) // 2:]), int(re.search(r"(\d+) parameters", text).group(1)),
            re.search(r"meta-gradient ([0-9.]+ [KMG]?i?B)", text).group(1), device)


def table(a, rows):
    lines = ["| network | data | parameters | ms an iteration | tasks a second | memory of the meta-gradient |", "|---|---|---|---|---|---|"]
    for name, takes, rounds in rows:
        seconds, parameters, memory = min(r[0] for r in rounds), rounds[0][1], rounds[0][2]
        speed = a.meta_batch / seconds
        lines.append("| %s | %s | %d | %.3g | %s | %s |" % (name, data(a, takes)[1], parameters, 1e3 * seconds,
                                                          "%.0f" % speed if speed >= 100 else "%.3g" % speed, memory))
    head = ("Second-order MAML, %d tasks, %d inner steps, 5-way 1-shot with 3 queries a class (sine: 10 points each); %s; %d cores (%s):\n\n"
            "    python3 bench/networks.py%s\n\n" % (a.meta_batch, a.steps, rows[0][2][0][3], os.cpu_count(), platform.machine(), a.said))
    return head + "\n".join(lines) + "\n"


def said(parser, a):
    """The options of this call that decide what is in the table."""
    own = ("program", "runs", "write")
    return "".join(" --%s %s" % (k.replace("_", "-"), v) for k, v in vars(a).items() if k not in own and v != parser.get_default(k))


def write(path, text):
    page = open(path).read()
    if BEGIN not in page or END not in page:
        raise SystemExit("%s: no lines \"%s\" and \"%s\", between which the table goes" % (path, BEGIN, END))
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    with open(path, "w") as out:
        out.write(before + BEGIN + "\n" + text + END + after)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="build/clmaml")
    p.add_argument("--runs", default="runs/networks")
    p.add_argument("--device", default="")
    p.add_argument("--only", default="", help="names with commas")
    p.add_argument("--iterations", type=int, default=10)
    p.add_argument("--meta-batch", type=int, default=4)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--size", type=int, default=28, help="pixels a side of an image")
    p.add_argument("--length", type=int, default=64, help="of a sequence")
    p.add_argument("--width", type=int, default=3, help="of a sequence")
    p.add_argument("--rounds", type=int, default=2, help="how often each network is measured; the best counts")
    p.add_argument("--write", metavar="FILE", help="put the table between its marks in this page")
    a = p.parse_args()
    a.said = said(p, a)
    os.makedirs(a.runs, exist_ok=True)
    write_waves(os.path.join(a.runs, "waves"), a.length, a.width)
    rows = [(name, takes, []) for name, takes in networks(a)]
    for _ in range(a.rounds):
        for name, takes, rounds in rows:
            rounds.append(measure(a, name, takes))
    text = table(a, rows)
    print(text)
    if a.write:
        write(a.write, text)


if __name__ == "__main__":
    main()
