#!/usr/bin/env python3
"""What a GPU would make of our launches: an estimate, nothing is timed.

    bench/gpu_model.py [--list PROGRAM] [--write docs/performance.md] [ITEM ..]

PROGRAM (list_launches, built with the tests) plans a meta-gradient for a GPU of given properties and lists its launches. For each
launch, of G work-groups on U compute units:

  arithmetic   A lane's step is a fixed number of multiply-adds on operands that are read from local memory (tiled kernels) or
               global memory (direct ones); its constants are in the listing. 32 lanes take
                   max(multiply-adds * 32 / lanes that a unit multiplies with, 128-byte accesses they need)  cycles of a unit,
               of which ISSUE is used, the rest goes to addresses and loops. With few lanes resident, latency shows: a scheduler
               with c cycles of work a step and s cycles of latency in it works c / (c + s) of the time, as often as it has lanes
               to switch to. The busiest unit has ceil(G / U) groups.
  memory       bytes of all operands, once for every pass, at the bandwidth of the last cache where they fit it together (they
               were written, or are read next, by the launches beside), of DRAM otherwise; and not faster than what the lanes of
               the launch can have in flight: 32 bytes each, for the latency of memory.
  launch       GAP, on top of the larger of the two: the queue is filled ahead, but a launch waits for the one before.

In a task kernel each task is one group; a launch in it costs a barrier, and its arithmetic runs at 20 GFLOP/s.

The sum over launches, and the operations of the meta-gradient as the operations define them, give the share of the peak.
"""
import argparse
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
# registers: of a unit; dram: bytes a second; cache: the last one's bytes, and bytes a second; latency: cycles of global memory, of the memory that a step reads from
DEVICES = {
    "H100 SXM": dict(plan="units=132 mhz=1980 group=1024 local=49152 multiple=32 memory=80000000000", units=132, clock=1.755e9,
                     peak_clock=1.755e9, wide=128, schedulers=4, lanes=2048, registers=65536, dram=3.35e12,
                     cache=(50e6, 5.5e12), latency=600, near=30),
    "RX 6800": dict(plan="units=60 mhz=2105 group=256 local=65536 multiple=32 memory=16000000000", units=60, clock=2.105e9,
                    peak_clock=2.105e9, wide=64, schedulers=2, lanes=1024, registers=65536, dram=512e9, cache=(128e6, 1.94e12),
                    latency=600, near=40),
    "Iris Xe (96 EU)": dict(plan="units=96 mhz=1350 group=512 local=65536 multiple=16 memory=6000000000 unified=1", units=96,
                            clock=1.35e9, peak_clock=1.35e9, wide=8, schedulers=1, lanes=112, registers=7168, dram=68e9,
                            cache=(3.8e6, 250e9), latency=300, near=30),
}


class Launch:
    def __init__(self, line):
        f = line.rstrip("\n").split("\t")
        self.entry, self.launches, self.passes = f[0], int(f[1]), int(f[2])
        self.items = int(f[3]) * int(f[4]) * int(f[5])
        self.group, self.flops, self.bytes, self.label = max(1, int(f[6])), float(f[7]), float(f[8]), f[9]
        self.tasks = int(f[5])
        self.define = {k: int(v) for k, v in re.findall(r"-D(\w+)=(-?\d+)", f[10] if len(f) > 10 else "")}


def listing(program, item, plan):
    out = subprocess.run([program, item, *plan.split()], check=True, capture_output=True, text=True).stdout
    return [Launch(line) for line in out.splitlines()]


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
    bandwidth = k.bytes * k.passes / (d["cache"][1] if k.bytes <= d["cache"][0] else d["dram"])
    lanes_in_all = min(k.items, d["units"] * d["lanes"])
    bandwidth = max(bandwidth, k.bytes * k.passes / (lanes_in_all * IN_FLIGHT) * d["latency"] / d["clock"])
    if k.launches > 1:
        return GAP + k.launches * BARRIER + k.flops / k.tasks / 20e9 * math.ceil(k.tasks / d["units"])
    if k.flops == 0:
        return GAP + bandwidth
    madds, access, steps, lanes, registers = (tiled if k.entry.endswith("_tiled") else direct)(k, d)
    groups = k.items / lanes
    # a group may be wider than a unit of this device holds (Intel's "units" are parts of one that shares local memory)
    share = max(1.0, lanes / d["lanes"])
    busiest = math.ceil(groups / max(1.0, d["units"] / share))
    resident = min(busiest, max(1, int(min(d["lanes"], d["registers"] / registers) * share // lanes))) * lanes / share
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
                bound=flops / peak, traffic=sum(k.bytes * k.passes for k in launches) / d["dram"],
                few=sum(k.items < 64 * d["units"] for k in launches))


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("items", nargs="*", default=["omniglot-1step", "omniglot-5step", "miniimagenet", "sine"])
    parser.add_argument("--list", default=str(root / "build/tests/offline/list_launches"), help="the program list_launches")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="also print the N slowest launches")
    parser.add_argument("--write", metavar="FILE", help="put the table between the marks <!-- gpu model --> of a file")
    a = parser.parse_args()
    rows = ["| work | device | launches | with few work-items | estimate | of it convolutions | arithmetic alone | memory alone | of the peak |",
            "|---|---|---|---|---|---|---|---|---|"]
    for item in a.items:
        for name, d in DEVICES.items():
            launches = listing(a.list, item, d["plan"])
            e = estimate(launches, d)
            rows.append(f"| {item} | {name} | {e['launches']} | {e['few']} | {e['seconds'] * 1e3:.2f} ms | {100 * e['heavy']:.0f} % | "
                        f"{e['bound'] * 1e3:.2f} ms | {e['traffic'] * 1e3:.2f} ms | {100 * e['share']:.0f} % |")
            for k in sorted(launches, key=lambda k: -seconds(k, d))[: a.slowest]:
                print(f"{seconds(k, d) * 1e6:9.1f} us  {k.entry} {k.items} {k.group} {k.flops / 1e6:.0f} MFLOP {k.bytes / 1e6:.1f} MB x {k.passes}",
                      file=sys.stderr)
    table = "\n".join(rows) + "\n"
    print(table, end="")
    if a.write:
        path = pathlib.Path(a.write)
        text = path.read_text()
        mark = "<!-- gpu model -->\n"
        if text.count(mark) != 2:
            sys.exit(f"{a.write}: the mark <!-- gpu model --> has to stand there twice")
        before, _, after = text.split(mark)
        path.write_text(before + mark + table + mark + after)


if __name__ == "__main__":
    main()
