"""Meta-gradients against those that PyTorch computed in float64 (docs/reference-files.md), on the host reference."""

import json

import numpy as np
import pytest

import clmaml
from conftest import ROOT, read_safetensors

LOSSES = {"ce": "cross-entropy"}


def options_of(case):
    """A case's words as options."""
    algorithm = case.get("algorithm", "maml")
    options = {
        "tasks": case["tasks"],
        "support": case["support"],
        "query": case["query"],
        "steps": case["steps"],
        "inner_lr": case["alpha"],
        "loss": LOSSES.get(case.get("loss", "ce"), case.get("loss")),
        "keep_adapted": True,
    }
    rates = {"lslr": "per-step", "metasgd": "per-element"}.get(algorithm)
    if rates:
        options["rates"] = rates
    if "msl" in case:
        options["step_weights"] = case["msl"]
    for key in ("adapt", "freeze", "unlearned"):
        if key in case:
            options[key] = case[key]
    if "support_per_step" in case:
        options["support_per_step"] = case["support_per_step"]
    inner = dict(case.get("inner", {}))
    if inner:
        options["inner"] = inner
    return options


def expect_close(got, wanted, what, largest=0.0):
    """``largest``: of all gradients. A bias in front of batch-norm has the gradient 0, and what is stored of it is rounding."""
    scale = max(np.abs(wanted).max(), 1e-3 * largest)
    assert np.abs(got - wanted).max() <= 1e-9 * scale, what


NAMES = ["mlp_sine_1step", "mlp_sine_5step", "mlp_sine_metasgd", "conv4_c8_lslr_msl", "support_per_step", "inner_momentum"]


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_pytorch_s(name, host):
    arrays, metadata = read_safetensors(ROOT / "tests" / "golden" / f"{name}.safetensors")
    case = json.loads(metadata["case"])
    meta = clmaml.MetaLearner(clmaml.Model.parse(case["layers"], case["in_shape"]), host, **options_of(case))
    state = {n[len("param.") :]: a for n, a in arrays.items() if n.startswith("param.")}
    state.update({n: a for n, a in arrays.items() if n == "alpha" or n.startswith("alpha.")})
    meta.load_state_dict(state)

    gradient = meta.gradient({part: arrays[part.replace("_", ".")] for part in clmaml.Batch._fields})
    largest = max(np.abs(a).max() for n, a in arrays.items() if n.startswith("out.meta_grad."))
    compared = 0
    for entry, value in gradient.items():
        stored = f"out.{entry.replace('alpha', 'alpha_grad', 1)}" if entry.startswith("alpha") else f"out.meta_grad.{entry}"
        expect_close(value, arrays[stored], stored, largest)
        compared += 1
    assert compared == sum(n.startswith(("out.meta_grad.", "out.alpha_grad")) for n in arrays)
    for quantity in ("support_loss", "query_loss", "query_logits"):
        expect_close(meta.read(quantity), arrays[f"out.{quantity}"], quantity)
    for parameter in meta.model.parameters:
        expect_close(meta.read("adapted", parameter), arrays[f"out.adapted.{parameter}"], parameter)


def test_reference_files_are_there():
    assert all((ROOT / "tests" / "golden" / f"{name}.safetensors").exists() for name in NAMES)
