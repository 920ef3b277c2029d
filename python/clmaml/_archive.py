"""Archives: named arrays and texts on their way to and from files."""

from __future__ import annotations

import os
from typing import Union

from . import _c
from ._handles import Handle


class Archive(Handle):
    def __init__(self, path: Union[str, os.PathLike[str], None] = None) -> None:
        make = _c.lib.clm_archive_create if path is None else lambda out: _c.lib.clm_archive_load(out, os.fsencode(path))
        super().__init__(make, _c.lib.clm_archive_free)
