"""Models: networks as lists of layers, or from the zoo."""

from __future__ import annotations

import ctypes
import json
import os
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Union

from . import _c
from ._handles import Handle
from ._options import Conv4Options, fill

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Model(Handle):
    """A network: named parameters, laid out as PyTorch has them, and a function from them and an input to an output.

    Made by ``Model.conv4``, ``Model.mlp``, ``Model.parse`` or ``Model.load``."""

    @classmethod
    def conv4(cls, **options: Unpack[Conv4Options]) -> Model:
        """Four blocks of convolution, batch-norm, relu and pooling, then a linear layer: ``ways``, ``filters``, ``size``, .."""
        made, keep = _c.new("clm_conv4_options"), []  # type: Any, list[Any]
        fill(made, options, keep)
        return cls(lambda out: _c.lib.clm_model_conv4(out, ctypes.byref(made)), _c.lib.clm_model_free)

    @classmethod
    def mlp(cls, inputs: int, hidden: Sequence[int], outputs: int) -> Model:
        """A multi-layer perceptron with relu."""
        sizes = (ctypes.c_int * max(len(hidden), 1))(*hidden)
        return cls(lambda out: _c.lib.clm_model_mlp(out, inputs, sizes, len(hidden), outputs), _c.lib.clm_model_free)

    @classmethod
    def parse(cls, layers: Union[str, Sequence[Any], Mapping[str, Any]], in_shape: Optional[Sequence[int]] = None) -> Model:
        """From the layers of a model file (docs/model-files.md): JSON, or what it would be parsed to. ``in_shape`` is of one
        example, channels first; it may be left out where the model file has it."""
        text = (layers if isinstance(layers, str) else json.dumps(layers)).encode()
        shape = None if in_shape is None else ctypes.byref(_c.make_shape(in_shape))
        return cls(lambda out: _c.lib.clm_model_parse(out, text, shape), _c.lib.clm_model_free)

    @classmethod
    def load(cls, path: Union[str, os.PathLike[str]], in_shape: Optional[Sequence[int]] = None) -> Model:
        """From a model file."""
        shape = None if in_shape is None else ctypes.byref(_c.make_shape(in_shape))
        return cls(lambda out: _c.lib.clm_model_load(out, os.fsencode(path), shape), _c.lib.clm_model_free)

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Of one example, channels first."""
        with self._pointer() as pointer:
            return _c.shape(_c.lib.clm_model_in_shape(pointer))

    @property
    def out_shape(self) -> tuple[int, ...]:
        with self._pointer() as pointer:
            return _c.shape(_c.lib.clm_model_out_shape(pointer))

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters by name, in order."""
        with self._pointer() as pointer:
            kind, count = _c.structures["clm_param"], _c.lib.clm_model_param_count(pointer)
            rows: list[Any] = [kind.from_address(_c.lib.clm_model_param(pointer, i)) for i in range(count)]
            return {_c.text(row.name): _c.shape(row.shape) for row in rows}

    @property
    def json(self) -> str:
        """The model file that makes it again."""
        with self._pointer() as pointer:
            return _c.text(_c.lib.clm_model_json(pointer))

    def __repr__(self) -> str:
        return "Model(closed)" if self.closed else f"Model({list(self.in_shape)} -> {list(self.out_shape)})"


def as_model(model: Union[Model, str, Sequence[Any], Mapping[str, Any]]) -> Model:
    return model if isinstance(model, Model) else Model.parse(model)
