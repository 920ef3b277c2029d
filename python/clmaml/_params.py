"""Meta-parameters by name, to and from dictionaries like PyTorch's state dicts."""

from __future__ import annotations

import ctypes
from typing import Any, Iterator, Mapping, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _c
from ._arrays import ArrayLike, doubles
from ._handles import Handle
from .errors import ArgumentError

StateDict = dict[str, Any]
_PREFIX = "param."
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # of PyTorch's batch-norm; there are no running averages here


class Entry(NamedTuple):
    name: str  #: as PyTorch has it; of rates "alpha" or "alpha.NAME"
    shape: tuple[int, ...]
    rate: bool


class Params(Handle):
    """Values on the host (clm_params), made with a model and task options."""

    def __init__(self, device: Handle, model: Handle, task: Any) -> None:
        with model._pointer() as of:
            super().__init__(
                lambda out: _c.lib.clm_params_create(out, of, ctypes.byref(task)), _c.lib.clm_params_free, device, model
            )
        with self._pointer() as pointer:
            self.entries = [self._entry(pointer, i) for i in range(_c.lib.clm_params_count(pointer))]

    @staticmethod
    def _entry(pointer: Any, index: int) -> Entry:
        info = _c.lib.clm_params_get_info(pointer, index)
        name = _c.text(info.name)
        return Entry(name[len(_PREFIX) :] if name.startswith(_PREFIX) else name, _c.shape(info.shape), info.rate)

    def values(self, pointer: Any) -> Iterator[tuple[Entry, npt.NDArray[np.float64]]]:
        """Every entry with its values, which may be written."""
        for i, entry in enumerate(self.entries):
            size = int(np.prod(entry.shape))
            place = (ctypes.c_double * size).from_address(_c.lib.clm_params_values(pointer, i))
            yield entry, np.ctypeslib.as_array(place).reshape(entry.shape)

    def checked(self, state: Mapping[str, ArrayLike], strict: bool) -> dict[str, npt.NDArray[np.float64]]:
        """What of ``state`` belongs here, converted; an error names what is missing or of no use."""
        known = {e.name: e for e in self.entries}
        given = {n: v for n, v in state.items() if n.rpartition(".")[2] not in _BUFFERS}
        missing = [e.name for e in self.entries if not e.rate and e.name not in given]
        unknown = [n for n in given if n not in known]
        if strict and missing:
            raise ArgumentError(f"state dict: it has no {', '.join(missing)}")
        if strict and unknown:
            raise ArgumentError(f"state dict: the model has no {', '.join(unknown)}")
        return {n: doubles(v, f"state dict, {n}", known[n].shape) for n, v in given.items() if n in known}


def to_torch(state: StateDict) -> StateDict:
    """The same with PyTorch tensors of 32-bit floats."""
    import torch  # type: ignore[import-not-found, unused-ignore]

    return {name: torch.from_numpy(np.array(value, dtype=np.float32)) for name, value in state.items()}
