"""Options by name, written into the structures of the library. What is not given is as the library has it.

The lists of options below are for editors and type checkers; a test holds them to the structures.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Mapping, Sequence, TypedDict, Union

import numpy as np

from . import _c

if TYPE_CHECKING:
    from typing_extensions import Literal

    Checkpointing = Literal["auto", "store", "recompute"]
    Rates = Literal["fixed", "per-step", "per-element"]
    Solver = Literal["cg", "neumann"]
    Reduction = Literal["mean", "sum", "none"]
    Clip = Literal["none", "value", "norm"]
    Split = Literal["alphabets", "1200"]
    Fit = Literal["stretch", "crop", "pad"]
    Normalise = Literal["none", "imagenet", "dataset"]
    Missing = Literal["refuse", "mean", "drop"]
else:
    Checkpointing = Rates = Solver = Reduction = Clip = Split = Fit = Normalise = Missing = str

#: What an enumeration's constants begin with, by the option that takes one of its words.
ENUMERATIONS = {
    "checkpointing": "CLM_CHECKPOINT_",
    "rates": "CLM_RATES_",
    "solver": "CLM_SOLVER_",
    "reduction": "CLM_REDUCE_",
    "clip_kind": "CLM_CLIP_",
    "split": "CLM_OMNIGLOT_",
    "fit": "CLM_FIT_",
    "normalise": "CLM_NORMALISE_",
    "missing": "CLM_MISSING_",
}
#: Options that may be given as a word alone, and which of their own it is.
_MAIN = {"inner": "rule", "optim": "rule", "loss": "name"}
_WORD_LISTS = {"adapt", "freeze", "unlearned", "targets", "features", "ignore", "categorical"}
#: Fields that are no options: what a structure knows of itself, functions and communicators of C, the lengths of lists.
NO_OPTIONS = {"version", "function", "user", "target_shape", "progress", "context", "comm", *(f"n_{name}" for name in _WORD_LISTS)}
_NUMBER_LISTS = {"step_weights", "class_weights"}


class InnerOptions(TypedDict, total=False):
    """The inner update rule (clm_inner_options)."""

    rule: str
    momentum: float
    beta1: float
    beta2: float
    decay: float
    eps: float
    eps_root: float
    weight_decay: float
    clip_value: float
    clip_norm: float


class LossOptions(TypedDict, total=False):
    """The loss (clm_loss_options)."""

    name: str
    reduction: Reduction
    label_smoothing: float
    class_weights: Sequence[float]
    delta: float


class OptimOptions(TypedDict, total=False):
    """The outer optimiser (clm_optim_options)."""

    rule: str
    lr: float
    momentum: float
    beta1: float
    beta2: float
    decay: float
    eps: float
    weight_decay: float
    clip_kind: Clip
    clip: float
    schedule: str
    warmup: int
    schedule_updates: int
    lr_min: float
    factor: float
    average: float


class TaskOptions(TypedDict, total=False):
    """What happens in one task (clm_task_options)."""

    algorithm: str
    support: int
    query: int
    steps: int
    inner_lr: float
    inner: Union[str, InnerOptions]
    loss: Union[str, LossOptions]
    first_order: bool
    rates: Rates
    step_weights: Sequence[float]
    adapt: Sequence[str]
    freeze: Sequence[str]
    unlearned: Sequence[str]
    support_per_step: bool
    batch_norm_per_step: bool
    ways: int
    proximal: float
    solver: Solver
    solver_steps: int
    uneven: bool


class MetaOptions(TaskOptions, total=False):
    """Of a meta-learner (clm_meta_options), with those of its tasks."""

    tasks: int
    first_order_until: int
    both_orders: bool
    checkpointing: Checkpointing
    memory_limit: int
    task_chunk: int
    keep_adapted: bool
    optim: Union[str, OptimOptions]
    initialisations: int


class Conv4Options(TypedDict, total=False):
    """Of the network of four blocks (clm_conv4_options)."""

    filters: int
    ways: int
    channels: int
    size: int
    strided: bool
    film_context: int
    headless: bool


class OmniglotOptions(TypedDict, total=False):
    """How Omniglot is split (clm_omniglot_options)."""

    size: int
    split: Split
    split_seed: int
    rotations: bool
    test_rotations: bool
    within_alphabet: bool
    threads: int


class FolderOptions(TypedDict, total=False):
    """How pictures of one's own are read (clm_folder_options)."""

    size: int
    channels: int
    fit: Fit
    invert: bool
    background: int
    normalise: Normalise
    class_split: Sequence[int]
    least_classes: int
    split_seed: int
    class_depth: int
    strict: bool
    threads: int


class TableOptions(TypedDict, total=False):
    """How a table's rows become tasks (clm_table_options)."""

    task_column: str
    targets: Sequence[str]
    features: Sequence[str]
    ignore: Sequence[str]
    categorical: Sequence[str]
    time_column: str
    labels: bool
    missing: Missing
    standardise: bool
    window: int
    channels_first: bool
    horizon: int
    task_split: Sequence[int]
    split_seed: int
    least: int
    strict: bool


def names_of(structure: Any) -> list[str]:
    return [name for name, *_ in type(structure)._fields_ if name not in NO_OPTIONS]


def _list(value: Any, name: str) -> list[Any]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"option {name}: a list is needed, not {value!r}")
    return list(value)


def _set_words(structure: Any, name: str, value: Any, keep: list[Any]) -> None:
    encoded = [str(word).encode() for word in _list(value, name)]
    array = (ctypes.c_char_p * max(len(encoded), 1))(*encoded)
    keep.append(array)
    setattr(structure, name, ctypes.addressof(array))
    setattr(structure, f"n_{name}", len(encoded))


def _set_numbers(structure: Any, name: str, value: Any, keep: list[Any], count: int) -> None:
    array = np.ascontiguousarray(value, dtype=np.float64)
    if array.shape != (count,):
        raise ValueError(f"option {name}: {count} numbers are needed, not an array of shape {list(array.shape)}")
    keep.append(array)
    setattr(structure, name, array.ctypes.data)


def _enumerated(name: str, value: Any) -> int:
    known = _c.words(ENUMERATIONS[name])
    if value not in known:
        raise ValueError(f"option {name}: {value!r} is none of {', '.join(known)}")
    return known[value]


def _set_plain(structure: Any, name: str, value: Any) -> None:
    field = getattr(structure, name)
    try:
        if isinstance(field, ctypes.Array):
            field[:] = _list(value, name)
        elif field is None or isinstance(field, bytes):
            setattr(structure, name, str(value).encode())
        else:
            setattr(structure, name, _scalar(field, value))
    except (TypeError, ValueError) as error:
        raise type(error)(f"option {name}: {value!r} is not valid: {error}") from None
    if isinstance(field, int) and not isinstance(field, bool) and getattr(structure, name) != value:
        raise ValueError(f"option {name}: {value} is out of range")


def _scalar(field: Any, value: Any) -> Any:
    if isinstance(field, bool) and not isinstance(value, (bool, np.bool_)):
        raise TypeError("True or False is needed")
    if isinstance(field, int):
        return value.__index__() if hasattr(value, "__index__") else int(str(value))
    return float(value)


def _set(structure: Any, name: str, value: Any, keep: list[Any], counts: Mapping[str, int]) -> None:
    if name in _MAIN:
        own = {_MAIN[name]: value} if isinstance(value, str) else value
        if not isinstance(own, Mapping):
            raise TypeError(f"option {name}: a word or a dictionary of options is needed, not {value!r}")
        fill(getattr(structure, name), own, keep, counts, f"{name}.")
    elif name in ENUMERATIONS:
        setattr(structure, name, _enumerated(name, value))
    elif name in _WORD_LISTS:
        _set_words(structure, name, value, keep)
    elif name in _NUMBER_LISTS:
        _set_numbers(structure, name, value, keep, counts[name])
    else:
        _set_plain(structure, name, value)


def fill(structure: Any, options: Mapping[str, Any], keep: list[Any], counts: Mapping[str, int] = {}, prefix: str = "") -> None:
    """Writes options into a structure. ``keep`` receives what its pointers point to and must live as long; ``counts`` says how
    many numbers a list of weights has. TypeError for an option that there is not, with those that there are."""
    for name, value in options.items():
        if name not in names_of(structure):
            raise TypeError(f"there is no option {prefix}{name}; there are {', '.join(names_of(structure))}")
        _set(structure, name, value, keep, counts)


def meta_options(options: Mapping[str, Any], outputs: int) -> tuple[Any, list[Any]]:
    """clm_meta_options from those of a meta-learner and of its tasks in one dictionary, and what must live as long."""
    made = _c.new("clm_meta_options")
    keep: list[Any] = []
    of_meta = [name for name in names_of(made) if name != "task"]
    of_task = names_of(made.task)
    for name in options:
        if name not in of_meta and name not in of_task:
            raise TypeError(f"there is no option {name}; there are {', '.join(of_meta + of_task)}")
    # Steps first: a list of weights has as many.
    if "steps" in options:
        fill(made.task, {"steps": options["steps"]}, keep)
    counts = {"step_weights": made.task.steps, "class_weights": outputs}
    fill(made.task, {n: v for n, v in options.items() if n in of_task}, keep, counts)
    fill(made, {n: v for n, v in options.items() if n in of_meta}, keep)
    return made, keep
