#!/usr/bin/env python3
"""What a GPU would make of our launches: an estimate, nothing is timed.

    bench/gpu_model.py [--list PROGRAM] [--chunk N] [--kinds] [--write FILE | --check FILE] [ITEM ..]

FILE is docs/performance.md.

PROGRAM (list_launches, built with the tests) plans a meta-gradient for a GPU of given properties and lists its launches. For each
launch, of G work-groups on U compute units:

  arithmetic   A lane's step is a fixed number of multiply-adds on operands that are read from local memory (tiled kernels) or
               global memory (direct ones); its constants are in the listing. 32 lanes take
                   max(multiply-adds * 32 / lanes that a unit multiplies with, 128-byte accesses they need)  cycles of a unit,
               of which ISSUE is used, the rest goes to addresses and loops. With few lanes resident, latency shows: a scheduler
               with c cycles of work a step and s cycles of latency in it works c / (c + s) of the time, as often as it has lanes
               to switch to. The busiest unit has ceil(G / U) groups, as many at a time as lanes, registers and local memory allow.
               Short algorithms have fewer multiply-adds, and what their transforms issue besides counts like these.
  memory       The last cache is simulated over all launches in their order: pages, the one used longest ago goes first, what was
               written goes to DRAM when it goes. A launch touches each operand in the passes that use it (generated kernels say
               so: results are written in one of three passes), for as many tasks at a time as the device can hold lanes of: where
               these exceed the cache, the next pass finds nothing there. Time: the larger of what DRAM moves at its bandwidth and
               what all operands are at the cache's; and not faster than what the lanes of the launch can have in flight: 32 bytes
               each, for the latency of memory. (Bytes times passes at one bandwidth, as before, counted results once for every
               pass, and called everything cached that was no larger than the cache, whenever it had been used last.)
  launch       GAP, on top of the larger of the two: the queue is filled ahead, but a launch waits for the one before.

In a task kernel each task is one group; a launch in it costs a barrier, and its arithmetic runs at 20 GFLOP/s.

The sum over launches, and the operations of the meta-gradient as the operations define them, give the share of the peak.
"""
import argparse
import collections
import math
import pathlib
import re
import subprocess
import sys

ISSUE = 0.85
GAP = 3e-6
BARRIER = 1e-6
IN_FLIGHT = 32

# units: as the planner sees them; wide: lanes that a unit multiplies with; schedulers: of a unit; lanes: that a unit can hold;
# registers, local: of a unit (local memory in bytes); dram: bytes a second; cache: the last one's bytes, and bytes a second; latency: cycles of global memory, of the memory that a step reads from
DEVICES = {
    "H100 SXM": dict(plan="units=132 mhz=1980 group=1024 local=49152 multiple=32 memory=80000000000", units=132, clock=1.755e9,
                     peak_clock=1.755e9, wide=128, schedulers=4, lanes=2048, registers=65536, local=227e3, dram=3.35e12,
                     cache=(50e6, 5.5e12), latency=600, near=30),
    "RX 6800": dict(plan="units=60 mhz=2105 group=256 local=65536 multiple=32 memory=16000000000", units=60, clock=2.105e9,
                    peak_clock=2.105e9, wide=64, schedulers=2, lanes=1024, registers=65536, local=65536, dram=512e9, cache=(128e6, 1.94e12),
                    latency=600, near=40),
    "Iris Xe (96 EU)": dict(plan="units=96 mhz=1350 group=512 local=65536 multiple=16 memory=6000000000 unified=1", units=96,
                            clock=1.35e9, peak_clock=1.35e9, wide=8, schedulers=1, lanes=112, registers=7168, local=8192, dram=68e9,
                            cache=(3.8e6, 250e9), latency=300, near=30),
}


# Of the peak on omniglot-1step, in percent: what --check holds the estimate to.
GOALS = {"H100 SXM": 40, "RX 6800": 50, "Iris Xe (96 EU)": 50}
MARK = "<!-- gpu model -->\n"


class Launch:
    def __init__(self, line):
        f = line.rstrip("\n").split("\t")
        self.entry, self.launches, self.passes = f[0], int(f[1]), int(f[2])
        self.items = int(f[3]) * int(f[4]) * int(f[5])
        self.group, self.flops, self.bytes, self.label = max(1, int(f[6])), float(f[7]), float(f[8]), f[9]
        self.tasks = int(f[5])
        self.operands = [tuple(map(int, o.split(":"))) for o in (f[11].split() if len(f) > 11 else [])]
        self.define = {k: int(v) for k, v in re.findall(r"-D(\w+)=(-?\d+)", f[10] if len(f) > 10 else "")}


def listing(program, item, plan):
    done = subprocess.run([program, item, *plan.split()], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{item}: {done.stderr.strip() or 'its launches cannot be listed'}")
    return [Launch(line) for line in done.stdout.splitlines()]


PAGE = 8192  # floats


class Cache:
    """Pages by (memory, task, number); the one used longest ago is the first to go."""

    def __init__(self, size):
        self.size, self.used, self.pages = size, 0, collections.OrderedDict()

    def touch(self, key, size, written):
        """Bytes that DRAM moves for it: what is fetched, and what has to go in its place."""
        moved, (had, dirty) = 0, self.pages.pop(key, (0, False))
        self.used -= had
        if had < size:
            moved = 0 if written else size - had
        self.pages[key] = max(had, size), dirty or written
        self.used += max(had, size)
        while self.used > self.size and len(self.pages) > 1:
            _, (bytes_out, was_written) = self.pages.popitem(last=False)
            self.used -= bytes_out
            moved += bytes_out * was_written
        return moved


def pages_of(operand, task):
    """(key, bytes) of an operand's pages of one task; of one that is shared, task is of no account."""
    memory, offset, size, stride, tasks, _, _ = operand
    at = offset + stride * task if tasks > 1 else offset
    first, last = at // PAGE, (at + size - 1) // PAGE
    return [((memory, page), 4 * (min(at + size, (page + 1) * PAGE) - max(at, page * PAGE))) for page in range(first, last + 1)]


def traffic(k, d, cache):
    """Sets k.moved, bytes that DRAM moves, and k.touched, bytes of operands over all passes."""
    k.moved = k.touched = 0
    tasks = max([o[4] for o in k.operands], default=1)
    at_once = max(1, math.ceil(d["units"] * d["lanes"] / max(1, k.items / tasks)))
    if k.launches > 1 or k.tasks == 1:
        at_once = tasks
    passes = max([o[5].bit_length() for o in k.operands], default=1)
    for begin in range(0, tasks, at_once):
        for p in range(passes):
            for task in range(begin, min(begin + at_once, tasks)):
                # a shared operand comes with the first task; neighbours in operands are used at the same time
                of = [(pages_of(o, task), o[6]) for o in k.operands if o[5] >> p & 1 and (o[4] > 1 or task == begin)]
                steps = max((len(pages) for pages, _ in of), default=0)
                for step in range(steps):
                    for pages, written in of:
                        for key, size in pages[step * len(pages) // steps:(step + 1) * len(pages) // steps]:
                            k.moved += cache.touch(key, size, bool(written))
                            k.touched += size


def lines(floats, distinct):
    """128-byte accesses for one vector read of 32 lanes, of which so many read different vectors."""
    return max(1.0, distinct * floats * 4 / 128)


def tiled(k, d):
    """(multiply-adds, accesses, steps of a group, lanes of a group, registers of a lane) of tiled.cl."""
    D = k.define
    tm, tn, bm, bn, bk, lanes = D["TM"], D["TN"], D["BM"], D["BN"], D["BK"], D["GROUP"]
    across = min(32, bn // tn)
    down = max(1, 32 // (bn // tn))
    access = tm / 4 * lines(4, down) + tn / 4 * lines(4, across)
    access += (bm + bn) * 4 / 128 * 2 * 32 / lanes / 1.0 * 1.0  # a step's share of a block: fetched, and put into the tile
    terms = D.get("TERMS", 1)
    if "FILTER" in D:
        depth = D["N"] * D["OH"] * D["OW"]
    elif "CONV" in D:
        depth = D["KH"] * D["KW"] * D["CI"] // D["GROUPS"]
    else:
        depth = D["K"]
    steps = (min(D["SEGMENT"], depth) if D["SPLIT"] else depth * terms)
    steps = math.ceil(steps / bk) * bk + bk
    return tm * tn, access, steps, lanes, tm * tn + 2 * (tm + tn) + 40


def short(k, d):
    """The same of winograd_tiled.cl. What a lane does for the transforms is issued like multiply-adds: for a patch and for a filter (or
    a tile of the cotangent) that it fetches, transforms and puts into the block; and at the end for each result."""
    D = k.define
    tm, tn, bm, bn, bk, lanes = D["TM"], D["TN"], D["BM"], D["BN"], D["BK"], D["GROUP"]
    lanes_n, lanes_m = bn // tn, bm // tm
    points = max(1, 32 // (lanes_m * lanes_n))
    across, down = points * min(32, lanes_n), points * min(lanes_m, max(1, 32 // lanes_n))
    access = tm / 4 * lines(4, down) + tn / 4 * lines(4, across)
    patches, filters = bm / lanes, bn / lanes  # of a lane, in one step
    if D["FILTER"]:
        made = tm * tn + patches * 120 + filters * 70
        access += patches * 32 + filters * 20
        depth = D["N"] * ((D["OH"] + 1) // 2) * ((D["OW"] + 1) // 2)
        runs = 1 if D["SPLIT"] else D["TERMS"] * math.ceil(depth / D["SEGMENT"])
        steps = runs * (math.ceil(min(D["SEGMENT"], depth) / bk) * bk + bk)
    else:
        made = tm * tn + patches * 80 + filters * 60
        access += patches * (16 * 2 + 16) + filters * (9 * (2 if D["TURNED"] else 1) + 16)
        runs, steps = 1, D["TERMS"] * math.ceil(D["CI"] / bk) * bk + bk
    steps += runs * 75 * tm * tn / 16 / made
    return made, access, steps, lanes, tm * tn + 2 * (tm + tn) + 80


def local_bytes(k):
    """Of a group."""
    D = k.define
    if k.entry.startswith("winograd"):
        deep = 0 if D["FILTER"] else 4
        return 64 * max(D["BK"] * (D["BM"] + D["BN"] + deep * (1 + D["TURNED"])) + 32, D["GROUP"]) + 4 * D["GROUP"]
    if k.entry.endswith("_tiled"):
        return 4 * D["BUFFERS"] * D["BK"] * (D["BM"] + D["BN"] + 8)
    return 1


def direct(k, d):
    """The same of conv2d.cl, conv2d_bwd_filter.cl and matmul.cl: operands come from the nearest cache."""
    D = k.define
    vec, nv = D.get("VEC", 1), D.get("NV", 1)
    if k.entry.startswith("matmul"):
        rows = D["TILE_M"] * (D["TILE_N"] if k.entry == "matmul_nt" else 1)
        loads = D["TILE_M"] + (D["TILE_N"] if k.entry == "matmul_nt" else 1)
    else:
        rows = D.get("TILE_N", 1) * D.get("TILE_X", 1) if k.entry == "conv2d" else D.get("TILE_M", 1)
        loads = rows + 1
    madds = rows * nv * vec
    # a vector is loaded float by float where the compiler knows of no alignment; scalars are the same for many lanes
    access = nv * vec * 2 + (loads - 1)
    steps = k.flops / 2 / k.items / madds
    return madds, access, steps, k.group, madds + 40


def seconds(k, d):
    bandwidth = max(k.moved / d["dram"], k.touched / d["cache"][1])
    lanes_in_all = min(k.items, d["units"] * d["lanes"])
    bandwidth = max(bandwidth, k.touched / (lanes_in_all * IN_FLIGHT) * d["latency"] / d["clock"])
    if k.launches > 1:
        return GAP + k.launches * BARRIER + k.flops / k.tasks / 20e9 * math.ceil(k.tasks / d["units"])
    if k.flops == 0:
        return GAP + bandwidth
    way = short if k.entry.startswith("winograd") else tiled if k.entry.endswith("_tiled") else direct
    madds, access, steps, lanes, registers = way(k, d)
    groups = k.items / lanes
    # a group may be wider than a unit of this device holds (Intel's "units" are parts of one that shares local memory)
    share = max(1.0, lanes / d["lanes"])
    busiest = math.ceil(groups / max(1.0, d["units"] / share))
    room = min(d["lanes"], d["registers"] / registers, d["local"] / local_bytes(k) * lanes)
    resident = min(busiest, max(1, int(room * share // lanes))) * lanes / share
    cycles = max(madds * 32 / d["wide"], access * (d["wide"] / 128 if d["wide"] < 64 else 1)) / ISSUE  # of a unit, for 32 lanes
    ways = max(1.0, resident / 32 / d["schedulers"])
    own = madds * 32 / (d["wide"] / d["schedulers"])  # of a scheduler
    busy = min(1.0, ways * own / (own + d["near"]))
    arithmetic = busiest * lanes / share / 32 * steps * cycles / busy / d["clock"]
    return GAP + max(arithmetic, bandwidth)


def estimate(launches, d):
    total = sum(seconds(k, d) for k in launches)
    flops = sum(k.flops for k in launches)
    peak = d["units"] * d["wide"] * 2 * d["peak_clock"]
    heavy = sum(seconds(k, d) for k in launches if k.flops > 1e7)
    return dict(launches=len(launches), seconds=total, share=flops / total / peak, heavy=heavy / total,
                bound=flops / peak, traffic=sum(k.moved for k in launches) / d["dram"],
                few=sum(k.items < 64 * d["units"] for k in launches))


def kinds(launches, d):
    """Lines: what convolutions of each height, products, and the rest take, with the share of the peak."""
    peak = d["units"] * d["wide"] * 2 * d["peak_clock"]
    total, parts = 0, {}
    for k in launches:
        name = f"{k.entry} of height {k.define['OH']}" if "OH" in k.define else k.entry
        part = parts.setdefault(name, [0, 0, 0])
        for i, one in enumerate((seconds(k, d), k.flops, 1)):
            part[i] += one
        total += seconds(k, d)
    return [f"{name:45} {n:4} launches {1e6 * s:9.1f} us {100 * s / total:3.0f} % of the time, {100 * f / s / peak:4.0f} % of the peak"
            for name, (s, f, n) in sorted(parts.items(), key=lambda p: -p[1][0])]


def in_marks(path):
    """What is before, between and after the marks of a file."""
    parts = pathlib.Path(path).read_text().split(MARK)
    if len(parts) != 3:
        sys.exit(f"{path}: the mark <!-- gpu model --> has to stand there twice")
    return parts


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("items", nargs="*", default=["omniglot-1step", "omniglot-5step", "miniimagenet", "sine"])
    parser.add_argument("--list", default=str(root / "build/tests/offline/list_launches"), help="the program list_launches")
    parser.add_argument("--chunk", type=int, default=0, metavar="N", help="tasks at a time; 0: as the library chooses")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="also print the N slowest launches")
    parser.add_argument("--kinds", action="store_true", help="also print what the kinds of launches take")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--write", metavar="FILE", help="put the table between the marks <!-- gpu model --> of a file")
    kept.add_argument("--check", metavar="FILE", help="fail where the table between these marks says otherwise, or a goal is missed")
    a = parser.parse_args()
    rows = ["| work | device | launches | with few work-items | estimate | of it convolutions | arithmetic alone | memory alone | of the peak |",
            "|---|---|---|---|---|---|---|---|---|"]
    missed = []
    for item in a.items:
        for name, d in DEVICES.items():
            launches = listing(a.list, item, f"{d['plan']} chunk={a.chunk}")
            cache = Cache(d["cache"][0])
            for k in launches:
                traffic(k, d, cache)
            e = estimate(launches, d)
            rows.append(f"| {item} | {name} | {e['launches']} | {e['few']} | {e['seconds'] * 1e3:.2f} ms | {100 * e['heavy']:.0f} % | "
                        f"{e['bound'] * 1e3:.2f} ms | {e['traffic'] * 1e3:.2f} ms | {100 * e['share']:.0f} % |")
            if item == "omniglot-1step" and 100 * e["share"] < GOALS[name]:
                missed.append(f"{item}, {name}: {100 * e['share']:.1f} % of the peak; the goal is {GOALS[name]} %")
            if a.kinds:
                print(f"{item}, {name}", *kinds(launches, d), sep="\n    ", file=sys.stderr)
            for k in sorted(launches, key=lambda k: -seconds(k, d))[: a.slowest]:
                print(f"{seconds(k, d) * 1e6:9.1f} us  {k.entry} {k.items} {k.group} {k.flops / 1e6:.0f} MFLOP {k.touched / 1e6:.1f} MB, DRAM {k.moved / 1e6:.1f}",
                      file=sys.stderr)
    table = "\n".join(rows) + "\n"
    print(table, end="")
    if a.write:
        before, _, after = in_marks(a.write)
        pathlib.Path(a.write).write_text(before + MARK + table + MARK + after)
    if a.check:
        kept = in_marks(a.check)[1].splitlines()
        missed += [f"{a.check} has no line {row!r}; --write puts it there" for row in rows if row not in kept]
        sys.exit("\n".join(missed) or None)


if __name__ == "__main__":
    main()
