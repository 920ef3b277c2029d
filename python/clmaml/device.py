"""Devices: where programs run."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Optional, Union

from . import _c
from ._handles import Handle


@dataclass(frozen=True)
class DeviceInfo:
    """A device as it describes itself. Memory is in bytes."""

    spec: str  #: what ``Device`` takes: ``"P:D"`` by platform and device, or ``"host"``
    type: str  #: ``"gpu"``, ``"cpu"``, ``"accelerator"``, or ``"host"``, the double-precision reference
    name: str
    platform: str
    vendor: str
    driver: str
    version: str
    compute_units: int
    clock_mhz: int
    global_memory: int
    max_allocation: int
    available: bool
    chosen: bool  #: the one that is opened when nothing is said


def _describe(info: Any) -> DeviceInfo:
    kind = _c.word("CLM_DEVICE_", info.type)
    texts: dict[str, Any] = {n: _c.text(getattr(info, n)) for n in ("name", "platform", "vendor", "driver", "version")}
    same = ("compute_units", "clock_mhz", "global_memory", "max_allocation", "available", "chosen")
    spec = "host" if kind == "host" else f"{info.platform_index}:{info.device_index}"
    return DeviceInfo(spec=spec, type=kind, **texts, **{n: getattr(info, n) for n in same})


def devices() -> list[DeviceInfo]:
    """All devices of all OpenCL platforms, then the host reference."""
    address, count = ctypes.c_void_p(), ctypes.c_size_t()
    _c.lib.clm_device_list(ctypes.byref(address), ctypes.byref(count), None, 0)
    try:
        return [_describe(i) for i in (_c.structures["clm_device_info"] * count.value).from_address(address.value or 0)]
    finally:
        _c.lib.clm_device_list_free(address)


class Device(Handle):
    """An open device. ``spec`` is ``"gpu"``, ``"cpu"``, ``"accelerator"``, ``"host"``, ``"P:D"``, or part of a name; None: the
    environment variable CLMAML_DEVICE, or the best there is.

    It and what is made on it serve one thread at a time: a call waits until another thread's is over. Threads with a device
    each work at the same time."""

    def __init__(self, spec: Optional[str] = None) -> None:
        text = None if spec is None else spec.encode()
        super().__init__(lambda out: _c.lib.clm_device_open(out, text), _c.lib.clm_device_close)

    @property
    def info(self) -> DeviceInfo:
        with self._pointer() as pointer:
            address = _c.lib.clm_device_get_info(pointer)
            return _describe(_c.structures["clm_device_info"].from_address(address))

    @property
    def allocated(self) -> int:
        """Bytes of its memory in use by this library."""
        with self._pointer() as pointer:
            return int(_c.lib.clm_device_allocated(pointer))

    def __repr__(self) -> str:
        return "Device(closed)" if self.closed else f"Device({self.info.spec!r}, {self.info.name!r})"


def as_device(device: Union[Device, str, None]) -> Device:
    return device if isinstance(device, Device) else Device(device)
