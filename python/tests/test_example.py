"""The example is short and does what it says."""

import subprocess
import sys

from conftest import ROOT

EXAMPLE = ROOT / "python" / "examples" / "sine.py"


def test_the_example():
    assert len(EXAMPLE.read_text().splitlines()) <= 30
    lines = subprocess.run([sys.executable, EXAMPLE], check=True, capture_output=True, text=True).stdout.splitlines()
    losses = [float(line.split()[-1]) for line in lines if "loss" in line]
    assert len(losses) == 5 and losses[-1] < losses[0] / 4
    assert sum("predicted" in line for line in lines) == 10
