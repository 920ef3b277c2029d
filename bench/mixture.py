#!/usr/bin/env python3
"""Several initialisations against one with as many numbers, on tasks that are unlike one another, as tables of docs/results.md.

usage: python3 bench/mixture.py [--program build/clmaml] [--runs runs/mixture] [--iterations 20000] [--omniglot DIR] [--write docs/results.md]

Sinusoids, lines, parabolas and absolute values: one perceptron with two hidden layers of 40, and four of 19, whose numbers together are fewer.
With --omniglot, where that lies: glyphs beside Omniglot beside coloured shapes, which the script draws into a folder; one Conv-4 and three smaller
ones. All else is shared. A run that was stopped goes on from its last checkpoint when the script is called again, one that is finished is read. Scores
are those of the one test of `clmaml train`, with the checkpoint that validation chose.
"""
import argparse
import json
import os
import platform
import random
import re
import struct
import subprocess
import sys
import zlib

BEGIN, END = "<!-- mixture: made by bench/mixture.py -->", "<!-- mixture: end -->"
COLOURED, PICTURES, SIDE = 60, 20, 16  # classes, pictures of each, pixels


def functions(a):
    return ["functions", "--steps", "5", "--clip-norm", "10", "--iterations", str(a.iterations), "--val-every", str(max(1, a.iterations // 20)),
            "--val-tasks", "400", "--eval-tasks", "1000", "--log-every", "100"]


def images(a):
    shapes = os.path.join(a.runs, "shapes")
    draw_shapes(shapes)
    n = a.image_iterations
    return ["glyphs", "--beside", "%s,%s" % (a.omniglot, shapes), "--size", str(SIDE), "--network", "conv4", "--ways", "5", "--query", "3", "--steps", "2",
            "--inner-lr", "0.1", "--meta-batch", "6", "--iterations", str(n), "--val-every", str(max(1, n // 10)), "--val-tasks", "60",
            "--eval-tasks", "300", "--log-every", "20"]


RUNS = [("functions", functions, [("one", ["--hidden", "40"]), ("four", ["--hidden", "19", "--initialisations", "4", "--balanced-until", "BALANCED"])]),
        ("images", images, [("one", ["--filters", "15"]), ("three", ["--filters", "8", "--initialisations", "3", "--balanced-until", "BALANCED"])])]


# ---- coloured shapes ----

def png(path, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    with open(path, "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(r) for r in rows))) + chunk(b"IEND", b""))


def inside(shape, y, x, r):
    return [y * y + x * x < r * r, abs(y) < r and abs(x) < r / 2, abs(y) + abs(x) < r, abs(x) < r and abs(y) < r / 2][shape]


def draw_shapes(folder):
    """A class is a shape of one colour, size and place; a picture moves it, and changes colour and background a little."""
    if os.path.isdir(folder):
        return
    draw = random.Random(1)
    for c in range(COLOURED):
        directory = os.path.join(folder, "%02d" % c)
        os.makedirs(directory)
        colour, shape = [draw.randrange(256) for _ in range(3)], c % 4
        y0, x0, r = draw.randrange(4, SIDE - 4), draw.randrange(4, SIDE - 4), draw.randrange(3, 7)
        for i in range(PICTURES):
            ink = [min(255, max(0, v + draw.randrange(-30, 31))) for v in colour]
            paper, dy, dx = [draw.randrange(90) for _ in range(3)], draw.randrange(-2, 3), draw.randrange(-2, 3)
            png(os.path.join(directory, "%02d.png" % i), [
                sum(((ink if inside(shape, y - y0 - dy, x - x0 - dx, r) else paper) for x in range(SIDE)), []) for y in range(SIDE)])


# ---- runs ----

def train(a, kind, shared, name, options):
    """Runs or resumes; returns result.json and the number of parameters in all."""
    directory = os.path.join(a.runs, "%s-%s" % (kind, name))
    log = directory + ".log"
    if not os.path.exists(os.path.join(directory, "result.json")):
        command = [a.program, "train"]
        if os.path.exists(os.path.join(directory, "config.json")):
            command += ["--resume", "--run", directory]
        else:
            command += shared(a) + [str(a.balanced if kind == "functions" else a.image_iterations // 2) if o == "BALANCED" else o for o in options]
            command += ["--run", directory]
        print(" ".join(command), flush=True)
        with open(log, "a") as out:
            if subprocess.run(command, stdout=out, stderr=subprocess.STDOUT).returncode:
                sys.exit("%s-%s failed; see %s" % (kind, name, log))
    with open(log) as text, open(os.path.join(directory, "result.json")) as result:
        said = re.search(r"(\d+) parameters(?:; \d+ initialisations, (\d+) in all)?", text.read())
        return json.load(result), int(said.group(2) or said.group(1))


def score(result, value):
    scale = 100 if result["metric"] == "accuracy" else 1
    digits = 2 if scale == 100 else 3
    return "%.*f ± %.*f" % (digits, scale * value["mean"], digits, scale * value["interval"])


def compare(kind, rows):
    """A line for each run: how many numbers, and the score after some steps."""
    results = [r for _, r, _ in rows]
    steps = sorted({min(k, len(r["after_steps"]) - 1) for r in results for k in (1, 2, 5, 10)})
    lines = ["| %s | numbers learned | %s |" % (kind, " | ".join("%s after %d step%s" % (results[0]["metric"] + (", %" if results[0]["metric"] == "accuracy" else ""), k,
                                                                                        "s" * (k > 1)) for k in steps)), "|---|---|" + "---|" * len(steps)]
    for name, r, numbers in rows:
        lines.append("| %s | %d | %s |" % (name, numbers, " | ".join(score(r, r["after_steps"][k]) for k in steps)))
    return "\n".join(lines) + "\n"


def where(result):
    said = result["initialisations"]
    lines = ["| test tasks that went to | %s | %s |" % (" | ".join(str(s + 1) for s in range(said["count"])),
                                                        result["metric"] + (", %" if result["metric"] == "accuracy" else "")),
             "|---|" + "---|" * (said["count"] + 1)]
    for kind in sorted(said["kinds"], key=lambda k: k["kind"]):
        lines.append("| %s | %s | %s |" % (kind["kind"], " | ".join(str(n) for n in kind["chosen"]), score(result, kind)))
    return "\n".join(lines) + "\n"


def verdict(one, several):
    a, b = one["after_steps"][-1], several["after_steps"][-1]
    clear = abs(a["mean"] - b["mean"]) > (a["interval"] ** 2 + b["interval"] ** 2) ** 0.5
    ratio = a["mean"] / b["mean"]
    if one["metric"] == "accuracy":
        said = "%.2f points %s" % (100 * abs(b["mean"] - a["mean"]), "above" if b["mean"] > a["mean"] else "below")
    else:
        said = "%.2f times below" % ratio if ratio > 1 else "%.2f times above" % (1 / ratio)
    return "Several are %s the one, which %s the intervals of both.\n" % (said, "is beyond" if clear else "lies within")


def table(a):
    words = {"one": "one", "three": "three", "four": "four"}
    text = "%d iterations%s, seed 1; %d cores (%s):\n\n    python3 bench/mixture.py --iterations %d --balanced %d%s\n\n" % (
        a.iterations, ", of pictures %d" % a.image_iterations if a.omniglot else "", os.cpu_count(), platform.machine(), a.iterations, a.balanced,
        " --image-iterations %d --omniglot DIR" % a.image_iterations if a.omniglot else "")
    for kind, shared, runs in RUNS:
        if kind == "images" and not a.omniglot:
            continue
        rows = []
        for name, options in runs:
            result, numbers = train(a, kind, shared, name, options)
            rows.append(("%s initialisation%s" % (words[name], "" if name == "one" else "s"), result, numbers))
        text += compare(kind, rows) + "\n" + where(rows[1][1]) + "\n" + verdict(rows[0][1], rows[1][1]) + "\n"
    return text.rstrip("\n") + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="build/clmaml")
    p.add_argument("--runs", default="runs/mixture")
    p.add_argument("--iterations", type=int, default=20000, help="on functions")
    p.add_argument("--balanced", type=int, default=20000, help="--balanced-until on functions; on images half of the iterations")
    p.add_argument("--image-iterations", type=int, default=500)
    p.add_argument("--omniglot", default="", help="where it lies; without it functions alone")
    p.add_argument("--write", default="", help="the page whose table is replaced")
    a = p.parse_args()
    os.makedirs(a.runs, exist_ok=True)
    text = table(a)
    if not a.write:
        print(text)
        return
    with open(a.write) as page:
        before, rest = page.read().split(BEGIN)
    with open(a.write, "w") as out:
        out.write(before + BEGIN + "\n" + text + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
