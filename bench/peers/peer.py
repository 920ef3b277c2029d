"""What all peers of `clmaml bench` share: the file that describes the work, and the talk with the program that times them.

    SCRIPT FILE [option ..]

FILE is a safetensors file: data, initial weights, what clMAML gets from them, and a description of the work. A peer says one line of JSON
when it is ready, {"name", "loss", "loss_error", "grad_error"} after it has computed the same thing, or {"error"}, with "missing" when what
it needs is not installed. Then it answers lines on its standard input: "steps N" by {"ms": [..]}, the time of each step, and "memory"
by {"peak_bytes"}. It ends with its input.
"""
import argparse
import json
import os
import struct
import sys
import time


class Problem:
    """The work: `what` is the description, `array(name)` gives (shape, bytes) of 32-bit floats."""

    def __init__(self, path):
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            self.header = json.loads(file.read(length))
            self.bytes = file.read()
        self.what = json.loads(self.header["__metadata__"]["problem"])

    def array(self, name):
        entry = self.header[name]
        if entry["dtype"] != "F32":
            raise ValueError(name + " is not a 32-bit float")
        start, end = entry["data_offsets"]
        return entry["shape"], bytearray(self.bytes[start:end])

    def __contains__(self, name):
        return name in self.header


class Missing(Exception):
    """What the peer needs is not installed."""


def peak_bytes():
    """Most that the process has had resident. ru_maxrss would count the process it was started from."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    import resource

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def options(*flags):
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gpu", action="store_true")
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()


def relative_error(pairs):
    """||x - y|| / ||y|| over pairs (||x - y||^2, ||y||^2)."""
    difference, reference = (sum(column) for column in zip(*pairs))
    return (difference / reference) ** 0.5 if reference else difference ** 0.5


def serve(prepare):
    """prepare() returns (name, check, step, memory): check() gives the errors as a dictionary, step() makes one step and waits for its
    end, memory() gives bytes (None: those of this process)."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries that print would break the talk

    def answer(**fields):
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    try:
        name, check, step, memory = prepare()
        result = check()
        step()  # the first is not counted
    except Missing as missing:
        answer(error=str(missing), missing=True)
        return
    except ImportError as missing:
        answer(error=str(missing), missing=True)
        return
    except Exception as error:  # whatever the library raises is the answer
        answer(error="%s: %s" % (type(error).__name__, (str(error).strip().splitlines() or [""])[0][:200]))
        return
    answer(name=name, **result)
    for line in sys.stdin:
        words = line.split()
        if words[:1] == ["steps"]:
            times = []
            for _ in range(int(words[1])):
                start = time.perf_counter()
                step()
                times.append(1e3 * (time.perf_counter() - start))
            answer(ms=times)
        elif words[:1] == ["memory"]:
            answer(peak_bytes=(memory or peak_bytes)())
