"""The library as ctypes sees it: found, loaded, with functions, structures and constants.

Functions come from the prototypes of ``_declarations``; structures, their initial values and constants from the library
itself (clmaml/binding.h), so that there is no mirror of them here that could differ. A function that returns a status raises.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import re
import sys
from pathlib import Path
from typing import Any

from . import errors
from ._declarations import PROTOTYPES

_FILE_NAMES = {"darwin": "libclmaml.dylib", "win32": "clmaml.dll"}
_SCALARS: dict[str, Any] = {
    "bool": ctypes.c_bool,
    "char": ctypes.c_char,
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "long": ctypes.c_long,
    "unsigned long": ctypes.c_ulong,
    "long long": ctypes.c_longlong,
    "unsigned long long": ctypes.c_ulonglong,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "size_t": ctypes.c_size_t,
    "uint64_t": ctypes.c_uint64,
    "text": ctypes.c_char_p,
    "pointer": ctypes.c_void_p,
}
_PROTOTYPE = re.compile(r"^(?P<result>.*?)(?P<name>clm_\w+)\((?P<parameters>.*)\);$")


def find_library() -> str:
    """Path or name of the library: CLMAML_LIBRARY, the one inside the package, or the one that the system has."""
    named = os.environ.get("CLMAML_LIBRARY")
    if named:
        return named
    own = Path(__file__).with_name(_FILE_NAMES.get(sys.platform, "libclmaml.so"))
    found = str(own) if own.exists() else ctypes.util.find_library("clmaml")
    if found:
        return found
    raise ImportError("clmaml: there is no library in the package nor in the system; CLMAML_LIBRARY may name libclmaml.so")


def open_library(path: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        remedy = ""
        if "OpenCL" in str(error):
            remedy = "; install an OpenCL loader (Debian and Ubuntu: apt-get install ocl-icd-libopencl1)"
        raise ImportError(f"clmaml: the library {path} cannot be loaded: {error}{remedy}") from error


def _type(declaration: str) -> Any:
    """The ctypes type of a result, or of a parameter with its name."""
    words = declaration.replace("const ", "").strip()
    if words.count("*") == 1 and words.startswith("char"):
        return ctypes.c_char_p
    if "*" in words:
        return ctypes.c_void_p
    base = words.split()[0]
    if base == "void":
        return None
    return _SCALARS.get(base) or structures.get(base, ctypes.c_int)  # what is neither is an enumeration


def _check(status: int, function: Any, arguments: Any) -> int:
    if status == 0:
        return status
    name: bytes = _lib.clm_status_name(status)
    message: bytes = _lib.clm_last_error()
    raise errors.from_status(name.decode(), message.decode(errors="replace"))


def _declare(prototype: str) -> None:
    match = _PROTOTYPE.match(prototype)
    assert match, prototype
    try:
        function = getattr(_lib, match["name"])
    except AttributeError:
        raise ImportError(f"clmaml: the library {path} has no {match['name']}; it is of another version") from None
    parameters = match["parameters"]
    function.argtypes = [] if parameters == "void" else [_type(p) for p in parameters.split(",")]
    function.restype = _type(match["result"])
    if match["result"].strip() == "clm_status":
        function.errcheck = _check


def _field_type(word: str, size: int) -> Any:
    element = word[:-2] if word.endswith("[]") else word
    kind = _SCALARS.get(element) or structures[element]
    return kind * (size // ctypes.sizeof(kind)) if word.endswith("[]") else kind


def _read_structure(name: str, size: int) -> type[ctypes.Structure]:
    field, kind = ctypes.c_char_p(), ctypes.c_char_p()
    offset, length = ctypes.c_size_t(), ctypes.c_size_t()
    places: dict[str, tuple[int, int]] = {}
    fields: list[tuple[str, Any]] = []
    while _lib.clm_binding_field_at(name.encode(), len(fields), *map(ctypes.byref, (field, kind, offset, length))):
        assert field.value and kind.value
        places[field.value.decode()] = offset.value, length.value
        fields.append((field.value.decode(), _field_type(kind.value.decode(), length.value)))
    made = type(name, (ctypes.Structure,), {"_fields_": fields})
    check_layout(made, size, places)
    return made


def check_layout(made: type[ctypes.Structure], size: int, places: dict[str, tuple[int, int]]) -> None:
    """Refuses a structure that ctypes lays out otherwise than the library's compiler: one whose list of fields has a gap."""
    for name, place in places.items():
        descriptor = getattr(made, name)
        if (descriptor.offset, descriptor.size) != place:
            raise ImportError(f"clmaml: {made.__name__}.{name} is at {place} in the library, not at {descriptor}")
    if ctypes.sizeof(made) != size:
        raise ImportError(f"clmaml: {made.__name__} has {size} bytes in the library, not {ctypes.sizeof(made)}")


def _read_structures() -> None:
    name, size, initial = ctypes.c_char_p(), ctypes.c_size_t(), ctypes.c_void_p()
    index = 0
    while _lib.clm_binding_structure_at(index, *map(ctypes.byref, (name, size, initial))):
        assert name.value
        key = name.value.decode()
        structures[key] = _read_structure(key, size.value)
        initials[key] = ctypes.string_at(initial.value, size.value) if initial.value else bytes(size.value)
        index += 1


def _read_constants() -> None:
    name, value = ctypes.c_char_p(), ctypes.c_int()
    while _lib.clm_binding_constant_at(len(constants), ctypes.byref(name), ctypes.byref(value)):
        assert name.value
        constants[name.value.decode()] = value.value


def new(structure: str) -> Any:
    """A structure as its INIT macro makes it, or of zeros where there is none."""
    return structures[structure].from_buffer_copy(initials[structure])


def words(prefix: str) -> dict[str, int]:
    """Constants of an enumeration by the word of each: ``CLM_RATES_PER_STEP`` is ``per-step`` of ``CLM_RATES_``."""
    return {n[len(prefix) :].lower().replace("_", "-"): v for n, v in constants.items() if n.startswith(prefix)}


def word(prefix: str, value: int) -> str:
    return next(w for w, v in words(prefix).items() if v == value)


def text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")


def shape(value: Any) -> tuple[int, ...]:
    return tuple(value.dim[: value.rank])


def make_shape(dimensions: Any) -> Any:
    made, dimensions = new("clm_shape"), tuple(dimensions)
    if len(dimensions) > len(made.dim):
        raise errors.ShapeError(f"a shape has at most {len(made.dim)} axes, not {len(dimensions)}")
    made.rank = len(dimensions)
    made.dim[: len(dimensions)] = dimensions
    return made


path = find_library()
_lib = open_library(path)
structures: dict[str, type[ctypes.Structure]] = {}
initials: dict[str, bytes] = {}
constants: dict[str, int] = {}
for _prototype in PROTOTYPES:
    if "clm_binding_" in _prototype:
        _declare(_prototype)
_read_structures()
_read_constants()
for _prototype in PROTOTYPES:
    _declare(_prototype)
lib: Any = _lib
