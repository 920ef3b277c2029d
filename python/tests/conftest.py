"""What tests share. The environment: CLMAML_LIBRARY (the library, unless the package has one inside), CLMAML_PROGRAM (the
program clmaml; without it the tests that compare with it are skipped)."""

import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

import clmaml

ROOT = Path(__file__).resolve().parents[2]
TYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "U8": "u1"}


def read_safetensors(path):
    """Arrays by name, and the metadata."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    metadata = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        arrays[name] = np.frombuffer(body[first:last], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays, metadata


def write_png(path, pixels):
    """Grey pixels [height, width] of bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="session")
def program():
    path = os.environ.get("CLMAML_PROGRAM")
    if not path:
        pytest.skip("CLMAML_PROGRAM names no program to compare with")
    return path


@pytest.fixture
def host():
    with clmaml.Device("host") as device:
        yield device


@pytest.fixture
def sine_learner(host):
    """A small meta-learner of sinusoids."""
    model = clmaml.Model.mlp(1, [8], 1)
    return clmaml.MetaLearner(
        model, host, tasks=3, support=4, query=4, steps=2, inner_lr=0.01, loss="mse", optim={"lr": 5e-3}, seed=1
    )


@pytest.fixture
def sine_batch():
    with clmaml.Source.sine() as source:
        return source.sample(3, shots=4, query=4, seed=5)


def classifier(device, **options):
    """Layers on vectors of 6 numbers, with batch-norm, for 3 classes of 2 shots."""
    layers = [{"op": "linear", "out": 5}, {"op": "batchnorm"}, {"op": "relu"}, {"op": "linear", "out": 3}]
    model = clmaml.Model.parse(layers, [6])
    return clmaml.MetaLearner(model, device, **{"tasks": 2, "support": 6, "query": 3, "inner_lr": 0.1, **options})


def clusters(seed, tasks=2):
    """A meta-batch for ``classifier``: classes are clusters."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, 2, (tasks, 3, 6))

    def examples(shots):
        y = np.tile(np.arange(3), (tasks, shots))
        x = np.take_along_axis(centres, y[:, :, None], axis=1) + random.normal(0, 0.3, (tasks, 3 * shots, 6))
        return x.astype(np.float32), y.astype(np.float32)

    return clmaml.Batch(*examples(2), *examples(1))
