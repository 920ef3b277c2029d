"""How pictures are prepared: the NumPy of docs/use.md, which is for those who run an exported model elsewhere, is what the library does."""

import ctypes
import itertools
import os
import re
import struct
import zlib

import numpy as np
import pytest
from conftest import ROOT

from clmaml import _c

FITS = ("stretch", "crop", "pad")
SIDES = [(7, 7), (31, 20), (20, 31), (5, 64), (90, 33), (1, 9)]


@pytest.fixture(scope="module")
def prepare():
    """The function of the document."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "use.md").read_text(encoding="utf-8"), re.S)
    (block,) = (b for b in blocks if "def prepare(" in b)
    space: dict = {}
    exec(compile(block, "docs/use.md", "exec"), space)
    return space["prepare"]


def write_png(path, pixels):
    """Bytes [height, width, channels], whatever of grey, alpha and colour these are."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def read_by_library(path, how):
    p = _c.new("clm_preparation")
    p.size, p.channels, p.fit = how["size"], how["channels"], FITS.index(how["fit"])
    p.invert, p.background = how["invert"], how["background"]
    for c in range(how["channels"]):
        p.mean[c], p.deviation[c] = how["mean"][c], how["deviation"][c]
    out = np.empty((how["channels"], how["size"], how["size"]), np.float32)
    status = _c.lib.clm_image_read(os.fsencode(path), ctypes.byref(p), out.ctypes.data)
    assert status == 0
    return out


def preparations():
    imagenet = {1: ([0.449], [0.226]), 3: ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])}
    for channels, fit, size, invert in itertools.product((1, 3), FITS, (4, 13, 28), (False, True)):
        mean, deviation = imagenet[channels] if invert else ([0.0] * channels, [1.0] * channels)
        how = {"size": size, "channels": channels, "fit": fit, "invert": invert, "background": 200}
        yield {**how, "mean": mean, "deviation": deviation}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_document_prepares_as_the_library_does(prepare, channels, tmp_path):
    random = np.random.default_rng(channels)
    path = tmp_path / "picture.png"
    for height, width in SIDES:
        pixels = random.integers(0, 256, (height, width, channels), np.uint8)
        write_png(path, pixels)
        for how in preparations():
            expected = read_by_library(path, how)
            assert np.array_equal(prepare(pixels, how), expected), (how, pixels.shape)


def test_the_filter_is_a_mean_over_areas(prepare):
    how = {"size": 2, "channels": 1, "fit": "stretch", "invert": False, "background": 255, "mean": [0.0], "deviation": [1.0]}
    pixels = np.array([[0, 30, 60]], np.uint8)[:, :, None]  # 3 pixels to 2: (0 + 30 / 2) / 1.5, (30 / 2 + 60) / 1.5
    assert np.allclose(prepare(pixels, how) * 255, [[[10, 50], [10, 50]]])
