"""Exported models in the programs that they are for: check_export.py FOLDER

FOLDER holds, for every model NAME: NAME.json (its layers), NAME.onnx, NAME.safetensors, NAME.in and NAME.out (float32, inputs and the
outputs wanted). Prints for each what was compared and the largest difference in relation to the largest output, and fails above 1e-5.
What is not installed (numpy, onnx with onnxruntime, torch) is named and left out: exit status 77 when that is everything.
"""

import json
import struct
import sys
from pathlib import Path

TOLERANCE = 1e-5


def missing(*names):
    for name in names:
        try:
            __import__(name)
        except ImportError:
            return name
    return None


def read_state(path):
    """Arrays of a safetensors file, by name."""
    import numpy as np

    data = path.read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + n])
    kinds = {"F32": np.float32, "I64": np.int64}
    state = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + n + at for at in entry["data_offsets"])
        state[name] = np.frombuffer(data[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"]).copy()
    return state


def run_onnx(path, x):
    import onnx
    import onnxruntime

    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["input"] and [o.name for o in session.get_outputs()] == ["logits"]
    return session.run(None, {"input": x})[0]


def residual_class(nn):
    class Residual(nn.Sequential):
        """skip(x) + body(x), with the body's layers under their numbers."""

        def __init__(self, body, skip):
            super().__init__(*body)
            self.skip = nn.Sequential(*skip)

        def forward(self, x):
            y = x
            for name, layer in self.named_children():
                if name != "skip":
                    y = layer(y)
            return self.skip(x) + y

    return Residual


def make_layers(layers, shape):
    """The modules of torch.nn of a list of layers; the shape behind them."""
    import torch
    from torch import nn

    class Film(nn.Module):
        def __init__(self, channels, size):
            super().__init__()
            self.context = nn.Parameter(torch.zeros(size))
            self.weight = nn.Parameter(torch.zeros(2 * channels, size))
            self.bias = nn.Parameter(torch.zeros(2 * channels))

        def forward(self, x):
            gamma, beta = (self.weight @ self.context + self.bias).chunk(2)
            one = (1, -1) + (1,) * (x.dim() - 2)
            return gamma.reshape(one) * x + beta.reshape(one)

    class Context(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.context = nn.Parameter(torch.zeros(size))

        def forward(self, x):
            return torch.cat([x, self.context.expand(len(x), -1)], 1)

    class Function(nn.Module):
        def __init__(self, f):
            super().__init__()
            self.forward = f

    class RmsNorm(nn.Module):
        def __init__(self, width, eps):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(width))
            self.eps = eps

        def forward(self, x):
            return x * (x.pow(2).mean(-1, keepdim=True) + self.eps).rsqrt() * self.weight

    def one(l):
        op, c, series = l["op"], shape[0], len(shape) == 2
        k, pad, eps = l.get("kernel", 3), l.get("pad"), l.get("eps", 1e-5)
        plain = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish,
                 "softplus": nn.Softplus, "hardtanh": nn.Hardtanh, "relu6": nn.ReLU6, "flatten": nn.Flatten}  # fmt: skip
        if op in plain:
            return plain[op]()
        if op in ("conv2d", "conv1d"):
            return (nn.Conv1d if op == "conv1d" else nn.Conv2d)(
                c, l["out"], k, l.get("stride", 1), k // 2 if pad is None else pad, l.get("dilation", 1), l.get("groups", 1), l.get("bias", True)
            )
        if op == "linear":
            return nn.Linear(shape[-1], l["out"], l.get("bias", True))
        if op == "batchnorm":
            return (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(c, eps)
        if op == "layernorm":
            return nn.LayerNorm(shape, eps)
        if op == "groupnorm":
            return nn.GroupNorm(l["groups"], c, eps)
        if op == "lastnorm":
            return nn.LayerNorm(shape[-1], eps)
        if op == "rmsnorm":
            return RmsNorm(shape[-1], eps)
        if op in ("maxpool", "avgpool"):
            kind = {("maxpool", 0): nn.MaxPool2d, ("maxpool", 1): nn.MaxPool1d, ("avgpool", 0): nn.AvgPool2d, ("avgpool", 1): nn.AvgPool1d}
            return kind[op, series](k, l.get("stride", k), pad or 0)
        if op == "globalavgpool":
            return nn.Sequential((nn.AdaptiveAvgPool1d if series else nn.AdaptiveAvgPool2d)(1), nn.Flatten())
        if op == "dropout":
            return nn.Dropout(l["rate"])
        if op in ("sign", "round"):
            return Function(getattr(torch, op))
        if op == "elu":
            return nn.ELU(l.get("alpha", 1))
        if op == "leaky_relu":
            return nn.LeakyReLU(l.get("slope", 0.01))
        if op == "softmax":
            return nn.Softmax(-1)
        if op == "log_softmax":
            return nn.LogSoftmax(-1)
        if op == "reshape":
            return nn.Unflatten(1, l["shape"]) if len(shape) == 1 else nn.Sequential(nn.Flatten(), nn.Unflatten(1, l["shape"]))
        if op == "film":
            return Film(c, l["size"])
        if op == "context":
            return Context(l["size"])
        if op == "residual":
            return residual_class(nn)(make_layers(l["body"], shape)[0], make_layers(l.get("skip", []), shape)[0])
        raise SystemExit(f"no module for {op}")

    modules = []
    for layer in layers:
        modules.append(one(layer))
        with torch.no_grad():
            shape = list(modules[-1].eval()(torch.zeros(1, *shape)).shape[1:])
    return modules, shape


def run_torch(path, model, x):
    import torch
    from torch import nn

    net = nn.Sequential(*make_layers(model["layers"], model["in_shape"])[0])
    net.to(torch.from_numpy(x).dtype).load_state_dict({name: torch.from_numpy(array) for name, array in read_state(path).items()})  # strict
    with torch.no_grad():
        return net.eval()(torch.from_numpy(x)).numpy()


def main():
    folder, failed, compared = Path(sys.argv[1]), 0, 0
    if missing("numpy"):
        print("skipped: numpy is not installed")
        return 77
    import numpy as np

    ways = []
    for name, needs, ending in (("onnxruntime", ("onnx", "onnxruntime"), ".onnx"), ("torch", ("torch",), ".safetensors")):
        if missing(*needs):
            print(f"skipped: {missing(*needs)} is not installed")
        else:
            ways.append((name, ending))
    for described in sorted(folder.glob("*.json")):
        model = json.loads(described.read_text())
        x = np.fromfile(described.with_suffix(".in"), np.float32).reshape(-1, *model["in_shape"])
        want = np.fromfile(described.with_suffix(".out"), np.float32)
        for name, ending in ways:
            path = described.with_suffix(ending)
            got = run_onnx(path, x) if name == "onnxruntime" else run_torch(path, model, x)
            error = float(np.abs(got.reshape(-1) - want).max() / np.abs(want).max())
            print(f"{described.stem}: {name} differs by {error:.2g}")
            failed += not error <= TOLERANCE
            compared += 1
    if not ways:
        return 77
    assert compared > 0, "nothing was compared"
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
