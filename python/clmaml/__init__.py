"""Meta-learning by gradients on any OpenCL device: a thin layer over the library clMAML.

    meta = clmaml.MetaLearner(clmaml.Model.conv4(ways=5), tasks=8, support=5, query=25)
    meta.step(batch)
    outputs = meta.adapt(x, y).predict(new_x)
"""

from __future__ import annotations

from . import _c
from .device import Device, DeviceInfo, devices
from .errors import (
    ArgumentError,
    BuildError,
    DeviceError,
    Error,
    FileError,
    FormatError,
    LimitError,
    NumericError,
    OutOfMemoryError,
    ShapeError,
    StateError,
)
from .learner import Learner, export, load
from .meta import MetaLearner, Report
from .model import Model
from .source import Batch, Source

__version__: str = _c.text(_c.lib.clm_version())

__all__ = [
    "ArgumentError",
    "Batch",
    "BuildError",
    "Device",
    "DeviceError",
    "DeviceInfo",
    "Error",
    "FileError",
    "FormatError",
    "Learner",
    "LimitError",
    "MetaLearner",
    "Model",
    "NumericError",
    "OutOfMemoryError",
    "Report",
    "ShapeError",
    "Source",
    "StateError",
    "devices",
    "export",
    "load",
]
