#!/usr/bin/env python3
"""A row's checkpoint as a model that comes with the program: models/ROW.safetensors and its card models/ROW.md.

usage: python3 bench/results/ship.py ROW --data DIR [--program build/clmaml] [--runs runs/results]

The checkpoint that the row tests, without the optimiser's arrays and without the name of the data's directory. The card has the scores of
bench/results/ROW/row.json, and what `eval` says of the file with the support set's statistics of batch-norm, which are those of `adapt` and `predict`.
The row must be of this checkpoint (run.sh ROW --test).
"""
import json
import os
import struct
import sys

import options
import row as rows

MODELS = os.path.join(rows.HERE, "..", "..", "models")
LICENCES = {"omniglot": "MIT, as the program; its data, Omniglot, are under the [MIT licence](omniglot-licence.txt) too, Copyright (c) 2015 Brenden Lake"}
SUBJECTS = {"omniglot": "handwritten characters (Omniglot; 28 x 28, grey, dark ink on light paper)"}
STEPS = (0, 1, 3, 5, 10)


def read(path):
    with open(path, "rb") as file:
        try:
            size = struct.unpack("<Q", file.read(8))[0]
            return json.loads(file.read(size)), file.read()
        except (struct.error, ValueError):
            sys.exit("%s: not a whole safetensors file: the run goes on from another one" % path)


def write(path, metadata, arrays):
    """arrays: [(name, dtype, shape, bytes)]"""
    head, at = {"__metadata__": metadata}, 0
    for name, dtype, shape, data in arrays:
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, _, data in arrays))


def strip(checkpoint, model):
    head, data = read(checkpoint)
    metadata = {k: v for k, v in head.pop("__metadata__").items()
                if not k.startswith("optim.") and k != "clmaml.checksum"}  # it is of the arrays as they were
    settings = json.loads(metadata["clmaml.config"])
    settings["data"] = ""
    metadata["clmaml.config"] = json.dumps(settings)
    arrays = [(name, e["dtype"], e["shape"], data[e["data_offsets"][0]:e["data_offsets"][1]])
              for name, e in sorted(head.items(), key=lambda item: item[1]["data_offsets"][0]) if not name.startswith("optim.")]
    write(model, metadata, arrays)
    return settings


def percent(step):
    return "%.2f ± %.2f" % (100 * step[0], 100 * step[1])


def card(name, settings, said, kept):
    support = {s["steps"]: [s["mean"], s["interval"]] for s in said["results"][0]["after_steps"]}
    batch = {int(k): v for k, v in kept["scores"].items()}
    steps, tasks = settings["test-steps"] or settings["steps"], kept["tasks"]
    task = "%d-way %d-shot" % (settings["ways"], settings["shots"])
    short = "" if kept["iterations"] == kept["of"] else ", a shortened run"
    lines = [
        "# %s" % name, "",
        "%s on %s: %s %% of test characters right after %d steps, one picture at a time%s" % (
            task, SUBJECTS[settings["source"]], percent(support[steps]), steps, short), "",
        "| | |", "|---|---|",
        "| data | %s |" % said["source"].split(": ", 1)[1],
        "| protocol | preset `%s`, %s, %s; %d inner step%s at a rate of %g in training, %d when it is put to use (`docs/protocols.md` says where it comes from) |" % (
            settings["preset"], task, settings["algorithm"], settings["steps"], "" if settings["steps"] == 1 else "s", settings["inner-lr"], steps),
        "| training | iteration %d, the %s; the run had made %d of %d iterations of %d tasks |" % (
            said["iteration"], "best by validation" if kept["which"] == "best" else "last one", kept["iterations"], kept["of"], settings["meta-batch"]),
        "| network | `%s`, %d filters |" % (settings["network"], settings["filters"]),
        "| made by | `%s`, then `python3 bench/results/ship.py %s --data DIR` |" % (kept["command"], name),
        "| licence | %s |" % LICENCES[settings["source"]], "",
        "Accuracy on %d tasks of test characters with one query a class, %%, mean ± 95 %% interval (`clmaml eval --model %s --data DIR --tasks %d" % (tasks, name, tasks),
        "--query 1`). `adapt` and `predict` have the statistics of the support set, so what they say of a picture does not depend on others; papers report",
        "transductive ones.", "",
        "| inner steps | batch-norm by the support set | transductive |", "|---|---|---|"]
    lines += ["| %d | %s | %s |" % (k, percent(support[k]), percent(batch[k])) for k in STEPS if k in support and k in batch]
    lines += ["", "For characters in dark ink on light paper, whatever their size: a folder with a picture or a few for each, at most %d of them:" % settings["ways"], "",
              "    clmaml predict --model %s --support characters page.png" % name, ""]
    return "\n".join(lines)


def checked(p, a):
    """The row's row.json and its checkpoint."""
    p.settle(a, program=options.program, runs=options.place)
    path = os.path.join(rows.kept(a.row), "row.json")
    if not os.path.exists(path):
        p.refuse("%s was not run yet, there is no %s: run.sh %s first" % (a.row, os.path.relpath(path), a.row))
    kept = options.read_json(path)
    checkpoint = os.path.join(a.runs, a.row, "checkpoints", kept["which"] + ".safetensors")
    if not os.path.exists(checkpoint):
        p.refuse("there is no %s: run.sh %s makes it, --runs says where the runs are" % (checkpoint, a.row))
    return kept, checkpoint


def main():
    p = options.Parser(__doc__)
    p.add_argument("row", type=options.one_of([n for n, r in rows.ROWS.items() if r["table"] == "omniglot"], "row to ship"), metavar="ROW")
    p.add_argument("--data", required=True, type=options.folder, metavar="DIR", help="Omniglot's folder")
    p.add_argument("--program", default="build/clmaml", metavar="PATH", help="(%(default)s)")
    p.add_argument("--runs", default="runs/results", metavar="DIR", help="where the runs are (%(default)s)")
    a = p.parse_args()
    kept, checkpoint = checked(p, a)
    os.makedirs(MODELS, exist_ok=True)
    model = os.path.join(MODELS, a.row + ".safetensors")
    made = model + ".tmp.safetensors"
    try:
        settings = strip(checkpoint, made)
        said = options.answer(a.row, [a.program, "eval", made, "--data", a.data, "--tasks", str(kept["tasks"]), "--query", "1", "--bn",
                                      "support-stats", "--json"])
        if said["iteration"] != kept["checkpoint"]:
            sys.exit("%s: row.json is of iteration %d, the checkpoint of %d: run.sh %s --test first" % (
                a.row, kept["checkpoint"], said["iteration"], a.row))
        os.replace(made, model)
    finally:
        if os.path.exists(made):
            os.remove(made)
    with open(os.path.join(MODELS, a.row + ".md"), "w") as file:
        file.write(card(a.row, settings, said, kept))


if __name__ == "__main__":
    options.run(main)
