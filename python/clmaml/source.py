"""Sources of tasks: the library's own, folders of pictures, arrays in a file."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np

from . import _c
from ._arrays import ArrayLike, address
from ._handles import Handle
from ._options import FolderOptions, OmniglotOptions, TableOptions, fill

if TYPE_CHECKING:
    from typing_extensions import Literal, Unpack

    Split = Literal["train", "validation", "test"]


class Batch(NamedTuple):
    """A meta-batch: x ``[tasks, examples, ..]``, channels first; y ``[tasks, examples]``, labels from 0, or targets with axes
    of their own.

    Tasks that get another support set in every inner step have ``[tasks, steps, examples, ..]`` of them."""

    support_x: ArrayLike
    support_y: ArrayLike
    query_x: ArrayLike
    query_y: ArrayLike


class Source(Handle):
    """A source of tasks: task ``index`` of a ``seed`` is the same on every machine.

    Made by ``Source.sine``, ``.glyphs``, ``.omniglot``, ``.folder`` or ``.table``."""

    @classmethod
    def sine(cls) -> Source:
        """Sinusoids to be regressed."""
        return cls(_c.lib.clm_source_sine, _c.lib.clm_source_free)

    @classmethod
    def glyphs(cls, size: int = 28) -> Source:
        """Endless handwritten-like characters, [1, size, size]."""
        return cls(lambda out: _c.lib.clm_source_glyphs(out, size), _c.lib.clm_source_free)

    @classmethod
    def omniglot(cls, path: Union[str, os.PathLike[str]], **options: Unpack[OmniglotOptions]) -> Source:
        """Omniglot, from the directory with its two zips or folders; ``split`` is ``"alphabets"`` or ``"1200"``."""
        made, keep = _c.new("clm_omniglot_options"), []  # type: Any, list[Any]
        fill(made, options, keep)
        return cls(lambda out: _c.lib.clm_source_omniglot(out, os.fsencode(path), ctypes.byref(made)), _c.lib.clm_source_free)

    @classmethod
    def folder(cls, path: Union[str, os.PathLike[str]], **options: Unpack[FolderOptions]) -> Source:
        """Pictures in folders, or arrays x and y in an .npz file; docs/data.md says how they may lie."""
        made, keep = _c.new("clm_folder_options"), []  # type: Any, list[Any]
        fill(made, options, keep)
        return cls(
            lambda out: _c.lib.clm_source_folder_open(out, os.fsencode(path), ctypes.byref(made)), _c.lib.clm_source_free
        )

    @classmethod
    def table(cls, path: Union[str, os.PathLike[str]], **options: Unpack[TableOptions]) -> Source:
        """Tasks that are groups of rows of a .csv file: ``task_column`` and ``targets`` are needed; docs/data.md."""
        made, keep = _c.new("clm_table_options"), []  # type: Any, list[Any]
        fill(made, options, keep)
        return cls(lambda out: _c.lib.clm_source_table_open(out, os.fsencode(path), ctypes.byref(made)), _c.lib.clm_source_free)

    @property
    def example_shape(self) -> tuple[int, ...]:
        with self._pointer() as pointer:
            return _c.shape(_c.lib.clm_source_example_shape(pointer))

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Of one example; (): a label."""
        with self._pointer() as pointer:
            return _c.shape(_c.lib.clm_source_target_shape(pointer))

    @property
    def description(self) -> str:
        """One line: what it is, with its counts."""
        with self._pointer() as pointer:
            return _c.text(_c.lib.clm_source_description(pointer))

    def _preparation(self) -> Any:
        """Of its pictures, for C; None: it has none."""
        made = _c.new("clm_preparation")
        with self._pointer() as pointer:
            return ctypes.byref(made) if _c.lib.clm_source_get_preparation(pointer, ctypes.byref(made)) else None

    def sample(
        self,
        tasks: int,
        *,
        ways: int = 1,
        shots: int = 1,
        query: int = 1,
        seed: int = 0,
        index: int = 0,
        split: Split = "train",
    ) -> Batch:
        """Meta-batch ``index`` of the sequence that ``seed`` starts: tasks of ``shots`` and ``query`` examples for each of
        ``ways`` classes; where tasks are functions or groups of rows, in all, with ``ways`` 1."""
        known = _c.words("CLM_SPLIT_")
        if split not in known:
            raise ValueError(f"split: {split!r} is none of {', '.join(known)}")
        with self._pointer() as pointer:
            _c.lib.clm_source_check(pointer, known[split], ways, shots, query)
            counts = (ways * shots, ways * shots, ways * query, ways * query)
            shapes = (self.example_shape, self.target_shape) * 2
            batch = Batch(*(np.empty((tasks, n, *shape), np.float32) for n, shape in zip(counts, shapes)))
            for t in range(tasks):
                places = [address(array[t]) for array in batch]
                _c.lib.clm_source_sample(pointer, known[split], seed, index * tasks + t, ways, shots, query, *places)
        return batch
