"""Learners: a trained model in use, adapted to new tasks."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Callable, Optional, Sequence, TypeVar, Union

import numpy as np
import numpy.typing as npt

from . import _c
from ._archive import Archive
from ._arrays import ArrayLike, address, as_array, expect_shape, floats, target_shapes
from ._handles import Handle
from ._params import StateDict, to_torch
from .device import Device, as_device
from .errors import ArgumentError, NumericError, StateError

Self = TypeVar("Self", bound="Learner")


def load_options(ways: Optional[int], support: Optional[int], query: Optional[int], steps: Optional[int]) -> Any:
    made = _c.new("clm_load_options")
    for name, value in (("ways", ways), ("support", support), ("query", query), ("steps", steps)):
        if value is not None:
            setattr(made, name, int(value))
    return made


class Learner(Handle):
    """Learns a task from its support set in a few inner steps, and predicts.

    Made by ``clmaml.load`` or ``MetaLearner.learner``. Neither adapting nor predicting plans anything: do either as often as
    wanted. What is said of an example does not depend on its neighbours."""

    def __init__(self, device: Device, make: Callable[[Any, Any], Any]) -> None:
        with device._pointer() as pointer:
            super().__init__(lambda out: make(out, pointer), _c.lib.clm_learner_free, device)
        self.device = device

    def _info(self, pointer: Any) -> Any:
        return _c.lib.clm_learner_get_info(pointer)

    def _get(self, name: str) -> Any:
        with self._pointer() as pointer:
            return getattr(self._info(pointer), name)

    @property
    def algorithm(self) -> str:
        return _c.text(self._get("algorithm"))

    @property
    def ways(self) -> int:
        """Classes told apart; 0: a regression."""
        return int(self._get("ways"))

    @property
    def support(self) -> int:
        """Examples that ``adapt`` takes."""
        return int(self._get("support"))

    @property
    def steps(self) -> int:
        """Inner steps of an adaptation."""
        return int(self._get("steps"))

    @property
    def adapted(self) -> bool:
        """Whether the file held an adapted model, which ``adapt`` is not for."""
        return bool(self._get("adapted"))

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Of one example, channels first."""
        with self._pointer() as pointer:
            return _c.shape(_c.lib.clm_model_in_shape(self._info(pointer).model))

    @property
    def class_names(self) -> list[str]:
        """Of an adapted model from a file that has them; otherwise none."""
        with self._pointer() as pointer:
            names = (_c.lib.clm_learner_class_name(pointer, i) for i in range(self._info(pointer).ways))
            return [_c.text(name) for name in names if name is not None]

    def adapt(self: Self, x: ArrayLike, y: ArrayLike) -> Self:
        """Learns from x ``[support, ..]`` and y ``[support]``, labels from 0 or targets, beginning anew. Returns itself."""
        with self._pointer() as pointer:
            info = self._info(pointer)
            if info.adapted:
                raise StateError("Learner: the model of this file is adapted already; load a run or a checkpoint")
            lead = (info.support,)
            support_x = floats(x, "x", [lead + self.in_shape])
            support_y = floats(y, "y", target_shapes(lead, _c.shape(info.target)))
            _c.lib.clm_model_check_tokens(info.model, address(support_x), support_x.size)
            _c.lib.clm_learner_adapt(pointer, address(support_x), address(support_y))
        return self

    def predict(self, x: ArrayLike) -> npt.NDArray[np.float64]:
        """Outputs ``[n, ..]`` for any number of examples x ``[n, ..]``: of a classifier the scores whose largest is the class.
        NumericError where one is not finite."""
        array = as_array(x, "x")
        with self._pointer() as pointer:
            info = self._info(pointer)
            expect_shape(array, [array.shape[:1] + self.in_shape], "x")
            queries = np.ascontiguousarray(array, dtype=np.float32)
            _c.lib.clm_model_check_tokens(info.model, address(queries), queries.size)
            outputs = np.empty((len(queries), *self._out_shape(info)))
            for first in range(0, len(queries), info.query):
                part = queries[first : first + info.query]
                _c.lib.clm_learner_predict(pointer, address(part), len(part), address(outputs[first:]))
        if not np.isfinite(outputs).all():
            raise NumericError("Learner: the model's outputs are not finite; were the examples, and its training?")
        return outputs

    @staticmethod
    def _out_shape(info: Any) -> tuple[int, ...]:
        shape = _c.shape(_c.lib.clm_model_out_shape(info.model))
        return shape if int(np.prod(shape)) == info.outputs else (info.outputs,)

    def state_dict(self, *, torch: bool = False) -> StateDict:
        """The adapted parameters under PyTorch's names: arrays, or with ``torch`` its tensors."""
        state: StateDict = {}
        with self._pointer() as pointer:
            model, kind = self._info(pointer).model, _c.structures["clm_param"]
            for i in range(_c.lib.clm_model_param_count(model)):
                param: Any = kind.from_address(_c.lib.clm_model_param(model, i))
                values = np.empty(_c.shape(param.shape))
                _c.lib.clm_learner_get_adapted(pointer, i, address(values))
                state[_c.text(param.name)] = values
        return to_torch(state) if torch else state

    def save(self, path: Union[str, os.PathLike[str]], names: Optional[Sequence[str]] = None) -> None:
        """The adapted model as one file, with names of its classes; ``clmaml.load`` and ``clmaml predict`` take it."""
        with self._pointer() as pointer:
            ways = self._info(pointer).ways
            if names is not None and len(names) != ways:
                raise ArgumentError(f"names: there are {len(names)}, of {ways} classes")
            array = None if names is None else (ctypes.c_char_p * max(ways, 1))(*(n.encode() for n in names))
            _c.lib.clm_learner_save(pointer, os.fsencode(path), array)

    def read_pictures(
        self, paths: Union[str, os.PathLike[str], Sequence[Union[str, os.PathLike[str]]]]
    ) -> npt.NDArray[np.float32]:
        """Picture files, one or several, prepared as the model was trained: x for ``adapt`` and ``predict``."""
        if isinstance(paths, (str, bytes, os.PathLike)):  # a text is a sequence too, of letters
            paths = [paths]
        with self._pointer() as pointer:
            info = self._info(pointer)
            if not info.pictures:
                raise StateError("Learner: the model does not learn from picture files; give arrays")
            pictures = np.empty((len(paths), *self.in_shape), np.float32)
            for path, picture in zip(paths, pictures):
                _c.lib.clm_image_read(os.fsencode(path), ctypes.byref(info.preparation), address(picture))
        return pictures

    def __repr__(self) -> str:
        return "Learner(closed)" if self.closed else f"Learner({self.algorithm!r}, ways={self.ways}, support={self.support})"


def load(
    path: Union[str, os.PathLike[str]],
    device: Union[Device, str, None] = None,
    *,
    ways: Optional[int] = None,
    support: Optional[int] = None,
    query: Optional[int] = None,
    steps: Optional[int] = None,
) -> Learner:
    """A learner from a run directory of ``clmaml train``, a checkpoint, or a file of ``Learner.save`` or ``clmaml adapt``.

    ``ways`` classes (None: as trained), ``support`` examples in all (as trained), predictions of ``query`` examples at a time
    (16), ``steps`` inner steps (as the run tested with)."""
    options = load_options(ways, support, query, steps)
    return Learner(
        as_device(device),
        lambda out, device_pointer: _c.lib.clm_learner_load(out, device_pointer, os.fsencode(path), ctypes.byref(options)),
    )


def export(path: Union[str, os.PathLike[str]], format: str, to: Union[str, os.PathLike[str]]) -> None:
    """Writes an adapted model, a file of ``Learner.save`` or ``clmaml adapt``, for other programs: ``"onnx"``,
    ``"safetensors"`` (PyTorch's state dict), ``"c"``."""
    with Archive(path)._pointer() as archive:
        _c.lib.clm_export(archive, format.encode(), os.fsencode(to), None)
