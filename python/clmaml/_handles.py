"""Objects of the library and how long they live.

An object keeps alive what it was made from. It is freed when it is closed, when nobody refers to it any more, or when the
interpreter ends; what was made from it always goes first, so closing a device closes the learners on it.

A device and everything made from it belong to one thread at a time: they share a ``Room``, whose lock a thread holds while it
is in the library. The collector may drop an object in any thread at any moment, and must wait for no lock: what cannot be freed
at once is left to whoever leaves the room.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections import deque
from contextlib import contextmanager
from typing import Any, Callable, Iterator, TypeVar

from .errors import StateError

Self = TypeVar("Self", bound="Handle")
Free = Callable[[Any], Any]


class Room:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.leaving: deque[tuple[Free, Any, tuple[Handle, ...]]] = deque()

    def sweep(self) -> None:
        while self.leaving and self.lock.acquire(blocking=False):
            try:
                while self.leaving:
                    free, pointer, _parents = self.leaving.popleft()
                    free(pointer)
            finally:
                self.lock.release()


def _leave(room: Room, free: Free, pointer: Any, parents: tuple[Handle, ...]) -> None:
    room.leaving.append((free, pointer, parents))
    room.sweep()


class Handle:
    """``make`` is called with a place for the pointer, ``free`` with the pointer. The first of ``parents`` gives the room."""

    def __init__(self, make: Callable[[Any], Any], free: Free, *parents: Handle) -> None:
        self._room: Room = parents[0]._room if parents else Room()
        self._children: list[tuple[Room, Any]] = []
        pointer = ctypes.c_void_p()
        with self._room.lock:
            make(ctypes.byref(pointer))
        self._address = pointer.value
        self._finalizer = weakref.finalize(self, _leave, self._room, free, pointer.value, parents)
        for parent in parents:
            parent._children = [child for child in parent._children if child[1].alive]
            parent._children.append((self._room, self._finalizer))

    @contextmanager
    def _pointer(self) -> Iterator[Any]:
        """The pointer, for use under the lock of the room."""
        with self._room.lock:
            if not self._finalizer.alive:
                raise StateError(f"{type(self).__name__}: it is closed")
            yield self._address
        self._room.sweep()

    @property
    def closed(self) -> bool:
        """Whether it has been freed."""
        return not self._finalizer.alive

    def close(self) -> None:
        """Frees it and what was made from it. Twice is once."""
        for room, finalizer in reversed(self._children):
            with room.lock:
                finalizer()
        self._children.clear()
        with self._room.lock:
            self._finalizer()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
