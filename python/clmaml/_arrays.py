"""Arrays on their way into the library: NumPy arrays, whatever NumPy or DLPack makes one of, lists of numbers."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
import numpy.typing as npt

from .errors import ShapeError

ArrayLike = Any  #: a NumPy array, a tensor on the CPU (DLPack, PyTorch), or nested lists of numbers
Shape = tuple[int, ...]


def as_array(value: ArrayLike, what: str) -> npt.NDArray[Any]:
    """An array of real numbers. TypeError for what is none, ValueError for ragged lists, each with the name of the argument."""
    if hasattr(value, "detach"):  # a PyTorch tensor that knows a gradient refuses both ways below
        value = value.detach()
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            array = np.from_dlpack(value)
        else:
            array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise type(error)(f"{what}: not an array of numbers in memory of the host: {error}") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what}: real numbers are needed, not an array of {array.dtype}")
    return array


def expect_shape(array: npt.NDArray[Any], shapes: Sequence[Shape], what: str) -> None:
    if array.shape not in shapes:
        wanted = " or ".join(str(list(s)) for s in shapes)
        raise ShapeError(f"{what}: the shape is {list(array.shape)}; {wanted} is needed")


def floats(value: ArrayLike, what: str, shapes: Sequence[Shape]) -> npt.NDArray[np.float32]:
    """In C order as 32-bit floats, the first of ``shapes``; copied only where it is not so already."""
    array = as_array(value, what)
    expect_shape(array, shapes, what)
    return np.ascontiguousarray(array, dtype=np.float32)


def integers(value: ArrayLike, what: str, shape: Shape) -> npt.NDArray[np.int32]:
    """In C order as 32-bit whole numbers. ValueError where they are none."""
    array = as_array(value, what)
    expect_shape(array, [shape], what)
    whole = np.ascontiguousarray(array, dtype=np.int32)
    if not np.array_equal(whole, array):
        raise ValueError(f"{what}: whole numbers are needed")
    return whole


def doubles(value: ArrayLike, what: str, shape: Shape) -> npt.NDArray[np.float64]:
    array = as_array(value, what)
    expect_shape(array, [shape], what)
    return np.ascontiguousarray(array, dtype=np.float64)


def target_shapes(lead: Shape, target: Shape) -> list[Shape]:
    """Shapes that targets of so many examples may have: those of one number each may leave out its axis."""
    with_target = lead + target
    return [with_target, lead] if target == (1,) else [with_target]


def address(array: npt.NDArray[Any]) -> int:
    return int(array.ctypes.data)
