"""The example is short and does what it says; that of the README runs."""

import re
import subprocess
import sys

import numpy as np
from conftest import ROOT

EXAMPLE = ROOT / "python" / "examples" / "sine.py"


def test_the_example():
    assert len(EXAMPLE.read_text().splitlines()) <= 30
    lines = subprocess.run([sys.executable, EXAMPLE], check=True, capture_output=True, text=True).stdout.splitlines()
    losses = [float(line.split()[-1]) for line in lines if "loss" in line]
    assert len(losses) == 5 and losses[-1] < losses[0] / 4
    assert sum("predicted" in line for line in lines) == 10


def test_that_of_the_readme(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", (ROOT / "python" / "README.md").read_text(), re.S).group(1)
    smaller = {'"gpu"': '"host"', "filters=64": "filters=4", "tasks=8": "tasks=2", "query=15": "query=5", "steps=5": "steps=1"}
    for old, new in smaller.items():
        assert old in code
        code = code.replace(old, new)
    random = np.random.default_rng(1)
    labels = np.tile(np.arange(5), (2, 1))
    pictures = random.random((2, 5, 1, 28, 28))
    names = {"batches": [(pictures, labels, pictures, labels)], "x": pictures[0], "y": labels[0], "new_x": pictures[1]}
    monkeypatch.chdir(tmp_path)
    exec(code, names)
    assert names["scores"].shape == (5, 5)
    assert (tmp_path / "birds.safetensors").exists()
