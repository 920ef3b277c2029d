"""same_logits.py FOLDER: compares what was said of the same pictures; tests/python/same_logits.sh makes the folder."""

import json
import subprocess
import sys
from pathlib import Path

import check_export
import clmaml
import numpy as np

TOLERANCE = 1e-5  # of the largest score


def metadata(path):
    data = path.read_bytes()
    n = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + n])["__metadata__"]


def softmax(scores):
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def main():
    folder, failed = Path(sys.argv[1]), False
    adapted = folder / "hues.safetensors"
    said = json.loads((folder / "predicted.json").read_text())
    learner = clmaml.load(adapted)
    x = learner.read_pictures([p["file"] for p in said])
    names = learner.class_names
    assert len(x) == 6 and len(names) == 3 and x.std() > 0

    scores = {"Python": learner.predict(x)}
    output = subprocess.run([folder / "exported"], input=x.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    scores["C"] = np.frombuffer(output, np.float32).reshape(len(x), -1)
    for name, needs in (("ONNX Runtime", ("onnx", "onnxruntime")), ("PyTorch", ("torch",))):
        if check_export.missing(*needs):
            print(f"skipped: {check_export.missing(*needs)} is not installed")
        elif name == "PyTorch":
            scores[name] = check_export.run_torch(folder / "exported.safetensors", json.loads(metadata(adapted)["clmaml.model"]), x.astype(np.float64))
        else:
            scores[name] = check_export.run_onnx(folder / "exported.onnx", x)
    reference = scores.get("PyTorch", scores["Python"])
    for name, values in scores.items():
        error = np.abs(values - reference).max() / np.abs(reference).max()
        print(f"{name}: scores differ by {error:.2g}")
        failed |= not error <= TOLERANCE
    for p, wanted in zip(said, softmax(reference)):
        told = {t["class"]: t["probability"] for t in p["top"]}
        error = max(abs(told[name] - wanted[i]) for i, name in enumerate(names))
        failed |= not error <= TOLERANCE or p["class"] != names[int(wanted.argmax())]
        print(f"predict: {Path(p['file']).name}: {p['class']}, probabilities differ by {error:.2g}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
