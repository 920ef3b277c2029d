#!/usr/bin/env python3
"""How fast a folder of photographs becomes tasks: clMAML's loader beside Pillow's on the same cores, and the second start.

usage: python3 bench/pictures.py [--program build/clmaml] [--folder pictures] [--count 60000] [--classes 100] [--size 84]

Makes COUNT JPEGs of 500 x 375 in the folder where they are not there yet (about 45 kB each). Then, one after the other: the program's first
start with an empty cache (`clmaml train FOLDER --iterations 0`, which opens the data and trains nothing), its second start, and Pillow in as many
processes as there are cores (open, largest middle square, box filter to SIZE; by the decoder's draft mode and without it). Seconds are those of
the wall clock; memory is the peak of the largest process. Needs Pillow to make the pictures; without it only clMAML is measured on a folder that is there.
"""
import argparse
import multiprocessing
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

try:
    from PIL import Image, ImageDraw, features
except ImportError:
    Image = None


def make(job):
    """One class of pictures: shapes of its own colours over noise, so that they are about as large as photographs."""
    folder, index, count = job
    r = random.Random(index)
    os.makedirs(folder, exist_ok=True)
    noise = Image.effect_noise((500, 375), 60).convert("RGB")
    for i in range(count):
        picture = noise.copy()
        draw = ImageDraw.Draw(picture)
        for _ in range(12):
            x, y, s = r.randrange(500), r.randrange(375), r.randrange(20, 160)
            draw.ellipse((x - s, y - s, x + s, y + s), fill=tuple(r.randrange(256) for _ in range(3)))
        picture.save(os.path.join(folder, "%05d.jpg" % i), quality=90)


def load(job):
    path, size, draft = job
    with Image.open(path) as picture:
        if draft:
            picture.draft("RGB", (size, size))
        picture = picture.convert("RGB")
        w, h = picture.size
        side = min(w, h)
        box = ((w - side) // 2, (h - side) // 2, (w + side) // 2, (h + side) // 2)
        return len(picture.resize((size, size), Image.Resampling.BOX, box=box).tobytes())


def start(a, cache):
    """Seconds and peak memory of a start of the program, and what it says of the data."""
    run = tempfile.mkdtemp()
    command = [a.program, "train", a.folder, "--size", str(a.size), "--device", "host", "--ways", "2", "--filters", "1", "--meta-batch", "1", "--iterations", "0",
               "--val-tasks", "1", "--eval-tasks", "0", "--run", os.path.join(run, "run")]
    began = time.monotonic()
    done = subprocess.run(["/usr/bin/env", "CLMAML_CACHE_DIR=" + cache] + command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seconds = time.monotonic() - began
    shutil.rmtree(run)
    if done.returncode:
        sys.exit(done.stdout)
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="build/clmaml")
    p.add_argument("--folder", default="pictures")
    p.add_argument("--count", type=int, default=60000)
    p.add_argument("--classes", type=int, default=100)
    p.add_argument("--size", type=int, default=84)
    a = p.parse_args()
    cores = os.cpu_count()
    if not os.path.isdir(a.folder):
        if not Image:
            sys.exit("Pillow makes the pictures: pip install pillow")
        with multiprocessing.Pool(cores) as pool:
            pool.map(make, [(os.path.join(a.folder, "class%03d" % c), c, a.count // a.classes) for c in range(a.classes)])
    paths = [os.path.join(d, f) for d, _, names in sorted(os.walk(a.folder)) for f in sorted(names)]
    bytes_each = sum(os.path.getsize(x) for x in paths) / len(paths)
    for x in paths:  # so that all find the files in the page cache, or none
        with open(x, "rb") as f:
            f.read()
    cache = tempfile.mkdtemp()
    first, memory = start(a, cache)
    second, _ = start(a, cache)
    shutil.rmtree(cache)
    rows = [("clMAML, first start", first, memory), ("clMAML, second start", second, None)]
    if Image:
        for draft in (False, True):
            began = time.monotonic()
            with multiprocessing.Pool(cores) as pool:
                for _ in pool.imap_unordered(load, [(x, a.size, draft) for x in paths], chunksize=64):
                    pass
            rows.append(("Pillow%s, %d processes" % (" in draft mode" if draft else "", cores), time.monotonic() - began, None))
    print("%d JPEGs of 500 x 375, %.0f kB each, to %d x %d in colour; %d cores%s\n" % (
        len(paths), bytes_each / 1000, a.size, a.size, cores, ", Pillow with libjpeg-turbo" if Image and features.check_feature("libjpeg_turbo") else ""))
    print("| | seconds | pictures a second | peak memory |\n|---|---|---|---|")
    for name, seconds, mem in rows:
        print("| %s | %.1f | %.0f | %s |" % (name, seconds, len(paths) / seconds, "%.0f MiB" % mem if mem else ""))


if __name__ == "__main__":
    main()
