"""Exceptions: one class for each status of the library, with the library's message."""

from __future__ import annotations


class Error(Exception):
    """A call of the library failed. ``status`` is the name of the status, such as ``"CLM_E_SHAPE"``."""

    status: str = ""

    def __init__(self, message: str, status: str = "") -> None:
        super().__init__(message)
        if status:
            self.status = status


class ArgumentError(Error, ValueError):
    """An argument or an option is not valid."""

    status = "CLM_E_ARG"


class ShapeError(Error, ValueError):
    """Shapes do not fit."""

    status = "CLM_E_SHAPE"


class OutOfMemoryError(Error, MemoryError):
    """The host or the device has no memory left."""

    status = "CLM_E_MEMORY"


class LimitError(Error):
    """A limit would be exceeded, such as the one on device memory."""

    status = "CLM_E_LIMIT"


class FileError(Error, OSError):
    """A file cannot be read or written."""

    status = "CLM_E_IO"


class FormatError(Error, ValueError):
    """A file is not what it should be."""

    status = "CLM_E_FORMAT"


class DeviceError(Error):
    """A device failed, or there is none of that name."""

    status = "CLM_E_DEVICE"


class BuildError(Error):
    """A kernel does not build on the device."""

    status = "CLM_E_BUILD"


class NumericError(Error, ArithmeticError):
    """A number is not finite; nothing was changed by it."""

    status = "CLM_E_NUMERIC"


class StateError(Error):
    """Something else has to come first, or the object is closed."""

    status = "CLM_E_STATE"


_by_status: dict[str, type[Error]] = {c.status: c for c in Error.__subclasses__()}


def from_status(status: str, message: str) -> Error:
    """The exception for a status by name; of a later library's unknown one, ``Error`` itself."""
    return _by_status.get(status, Error)(message, status)
