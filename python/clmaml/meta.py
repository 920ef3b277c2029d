"""Meta-learners: train what learners begin with."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Optional, Sequence, Union

import numpy as np
import numpy.typing as npt

from . import _c
from ._arrays import ArrayLike, Shape, address, floats, integers, target_shapes
from ._archive import Archive
from ._handles import Handle
from ._options import MetaOptions, meta_options
from ._params import Params, StateDict, to_torch
from .device import Device, as_device
from .learner import Learner, load_options
from .model import Model, as_model
from .source import Batch, Source

if TYPE_CHECKING:
    from typing_extensions import Literal, Unpack

    Quantity = Literal["support_loss", "query_loss", "query_logits", "support_accuracy", "query_accuracy", "adapted"]

#: What a gradient leaves behind, with the shape of each by options of the meta-learner and output of the model.
_QUANTITIES: dict[str, Callable[[Any, Shape], Shape]] = {
    "support_loss": lambda o, out: (o.tasks, o.task.steps),
    "query_loss": lambda o, out: (o.tasks,),
    "query_logits": lambda o, out: (o.tasks, o.task.query, *out),
    "support_accuracy": lambda o, out: (o.tasks,),
    "query_accuracy": lambda o, out: (o.tasks,),
    "adapted": lambda o, out: (o.tasks,),
}


@dataclass(frozen=True)
class Report:
    """Of a meta-step: means over its tasks. Accuracies are 0 where targets are no labels."""

    support_loss: float
    query_loss: float
    support_accuracy: float
    query_accuracy: float
    grad_norm: float
    lr: float


class MetaLearner(Handle):
    """Learns a beginning from which a model learns new tasks in a few steps.

    ``model`` is a Model, or layers for ``Model.parse``; ``device`` a Device, or a specification of one. Options are those of
    clm_meta_options and clm_task_options by name, such as ``tasks``, ``algorithm``, ``support``, ``query``, ``steps``,
    ``inner_lr``; ``inner``, ``loss`` and ``optim`` are a word or a dictionary: ``optim={"rule": "adam", "lr": 1e-3}``.
    ``seed`` is of the initial parameters and of dropout."""

    def __init__(
        self,
        model: Union[Model, str, Sequence[Any], Mapping[str, Any]],
        device: Union[Device, str, None] = None,
        *,
        seed: int = 0,
        **options: Unpack[MetaOptions],
    ) -> None:
        self.model = as_model(model)
        self._options, self._keep = meta_options(options, self.model.out_shape[-1])
        if self._options.initialisations > 1:
            raise ValueError("initialisations: a batch here does not say where its tasks belong; train such runs with the program")
        self.device = as_device(device)
        with self.device._pointer() as device_pointer, self.model._pointer() as model_pointer:
            super().__init__(
                lambda out: _c.lib.clm_meta_create(out, device_pointer, model_pointer, ctypes.byref(self._options)),
                _c.lib.clm_meta_free,
                self.device,
                self.model,
            )
        self._params = Params(self.device, self.model, self._options.task)
        self._in_shape, self._out_shape = self.model.in_shape, self.model.out_shape
        with self._pointer() as pointer:
            _c.lib.clm_meta_set_dropout_seed(pointer, seed)
        if seed:
            self.reset(seed)

    # ---- training ----

    def step(
        self, batch: Union[Batch, Sequence[ArrayLike], Mapping[str, ArrayLike]], *, sizes: Optional[ArrayLike] = None
    ) -> Report:
        """Meta-gradient and outer update. ``batch`` is a Batch, or its four arrays in order or by name. NumericError, with
        nothing updated, where the loss or the gradient is not finite. With the option uneven, ``sizes`` ``[tasks, 3]`` are the
        ways (0 of a regression), support and query examples of each task; None: all are as large as can be."""
        report = _c.new("clm_meta_report")
        with self._pointer() as pointer:
            made, _keep = self._batch(pointer, batch, sizes)
            _c.lib.clm_meta_step(pointer, ctypes.byref(made), ctypes.byref(report))
        return Report(**{name: getattr(report, name) for name in Report.__dataclass_fields__})

    def gradient(
        self, batch: Union[Batch, Sequence[ArrayLike], Mapping[str, ArrayLike]], *, sizes: Optional[ArrayLike] = None
    ) -> StateDict:
        """The meta-gradient of what is learned, by name, learned rates included; changes nothing. ``read`` tells the losses.
        ``sizes`` as for ``step``."""
        gradients: StateDict = {}
        with self._pointer() as pointer:
            made, _keep = self._batch(pointer, batch, sizes)
            _c.lib.clm_meta_gradient(pointer, ctypes.byref(made))
            for entry, what, index in self._places():
                size = _c.lib.clm_meta_quantity_size(pointer, what, index)
                if size:
                    gradients[entry.name] = self._read(pointer, what, index, entry.shape)
        return gradients

    def read(self, quantity: Quantity, name: Optional[str] = None) -> npt.NDArray[np.float64]:
        """What the last ``step`` or ``gradient`` computed of every task; ``"adapted"``, which needs the option keep_adapted,
        of the parameter ``name``."""
        if quantity not in _QUANTITIES:
            raise ValueError(f"quantity: {quantity!r} is none of {', '.join(_QUANTITIES)}")
        index, tail = 0, ()  # type: int, Shape
        if quantity == "adapted":
            names = [entry.name for entry in self._params.entries if not entry.rate]
            if name not in names:
                raise ValueError(f"name: {name!r} is none of {', '.join(names)}")
            index = names.index(name)
            tail = self._params.entries[index].shape
        shape = _QUANTITIES[quantity](self._options, self._out_shape) + tail
        with self._pointer() as pointer:
            return self._read(pointer, _c.constants[f"CLM_Q_{quantity.upper()}"], index, shape)

    @property
    def iteration(self) -> int:
        """Outer updates made."""
        with self._pointer() as pointer:
            return int(_c.lib.clm_meta_iteration(pointer))

    @property
    def memory(self) -> int:
        """Bytes of device memory that the plan takes."""
        with self._pointer() as pointer:
            return int(_c.lib.clm_meta_get_plan(pointer).bytes)

    # ---- use ----

    def learner(
        self,
        support: Optional[int] = None,
        *,
        ways: Optional[int] = None,
        query: Optional[int] = None,
        steps: Optional[int] = None,
    ) -> Learner:
        """A learner that begins with the parameters of now, for tasks of ``support`` examples (None: as in training).
        It is a copy: training on does not change it."""
        options = load_options(ways, self._options.task.support if support is None else support, query, steps)
        archive = self._archive()
        with archive._pointer() as pointer:
            return Learner(
                self.device,
                lambda out, device: _c.lib.clm_learner_load_archive(out, device, pointer, ctypes.byref(options)),
            )

    def adapt(self, x: ArrayLike, y: ArrayLike, *, ways: Optional[int] = None, steps: Optional[int] = None) -> Learner:
        """Learns a task from x ``[examples, ..]`` and y ``[examples]``; ``.predict(x)`` of the result predicts. For many tasks
        of one size make one ``learner`` and let it adapt: this plans anew every time."""
        return self.learner(len(x), ways=ways, steps=steps).adapt(x, y)

    # ---- parameters ----

    def reset(self, seed: int = 0) -> None:
        """Initial parameters, the same for a seed on every machine."""
        with self._pointer() as pointer, self._params._pointer() as params:
            _c.lib.clm_params_reset(params, seed)
            _c.lib.clm_meta_set_params(pointer, params)

    def state_dict(self, *, rates: bool = False, torch: bool = False) -> StateDict:
        """The parameters under PyTorch's names and in its layout, with ``rates`` also the learned rates, ``"alpha.."``: arrays
        of 64-bit floats, or with ``torch`` its tensors of 32."""
        with self._pointer() as pointer, self._params._pointer() as params:
            _c.lib.clm_meta_get_params(pointer, params)
            values = self._params.values(params)
            state = {entry.name: value.copy() for entry, value in values if rates or not entry.rate}
        return to_torch(state) if torch else state

    def load_state_dict(self, state: Mapping[str, ArrayLike], strict: bool = True) -> None:
        """From arrays or tensors by name. ``strict``: every parameter must be there and nothing else; the statistics of
        PyTorch's batch-norm are left out, and learned rates stay where they are not given."""
        given = self._params.checked(state, strict)
        with self._pointer() as pointer, self._params._pointer() as params:
            _c.lib.clm_meta_get_params(pointer, params)
            for entry, value in self._params.values(params):
                if entry.name in given:
                    value[...] = given[entry.name]
            _c.lib.clm_meta_set_params(pointer, params)

    def save(
        self, path: Union[str, os.PathLike[str]], *, steps: Optional[int] = None, source: Optional[Source] = None
    ) -> None:
        """A checkpoint: ``restore`` goes on from it, ``clmaml.load`` and the program put it to use, with ``steps`` inner steps
        (None: as in training). ``source``: pictures will be prepared as those of this source were."""
        with self._archive(steps, source)._pointer() as archive:
            _c.lib.clm_archive_save(archive, os.fsencode(path))

    def restore(self, path: Union[str, os.PathLike[str]]) -> None:
        """Parameters, rates, state of the optimiser and counter from a checkpoint, or nothing where it does not fit."""
        with self._pointer() as pointer, Archive(path)._pointer() as archive:
            _c.lib.clm_meta_restore(pointer, archive)

    # ---- inside ----

    def _archive(self, steps: Optional[int] = None, source: Optional[Source] = None) -> Archive:
        archive, task = Archive(), self._options.task
        preparation = None if source is None else source._preparation()
        with self._pointer() as pointer, archive._pointer() as to, self.model._pointer() as model:
            labels = not _c.lib.clm_meta_target_shape(pointer).rank
            classes = (task.ways or self._out_shape[-1]) if labels else 1
            shots = max(task.support // classes, 1)
            _c.lib.clm_meta_save(pointer, to)
            _c.lib.clm_learner_describe(
                to, model, ctypes.byref(task), shots, task.steps if steps is None else steps, preparation
            )
        return archive

    def _places(self) -> Iterator[tuple[Any, int, int]]:
        """Where the gradient of each entry is: the quantity and the index."""
        names = [entry.name for entry in self._params.entries if not entry.rate]
        for entry in self._params.entries:
            if entry.rate:
                of = entry.name.partition(".")[2]
                yield entry, _c.constants["CLM_Q_RATE_GRAD"], names.index(of) if of else 0
            else:
                yield entry, _c.constants["CLM_Q_GRAD"], names.index(entry.name)

    @staticmethod
    def _read(pointer: Any, what: int, index: int, shape: Shape) -> npt.NDArray[np.float64]:
        out = np.empty(shape)
        size = _c.lib.clm_meta_quantity_size(pointer, what, index)
        if size not in (0, out.size):
            raise AssertionError(f"the library gives {size} numbers where {shape} are expected")
        _c.lib.clm_meta_read(pointer, what, index, address(out))
        return out

    def _batch(self, pointer: Any, batch: Any, sizes: Any) -> tuple[Any, list[Any]]:
        """clm_batch, and the arrays that it points to."""
        parts = [batch[name] for name in Batch._fields] if isinstance(batch, Mapping) else list(batch)
        if len(parts) != len(Batch._fields):
            raise ValueError(f"batch: {', '.join(Batch._fields)} are needed, not {len(parts)} arrays")
        o, made, keep = self._options, _c.new("clm_batch"), []  # type: Any, Any, list[Any]
        sets = (o.task.steps,) if o.task.support_per_step else ()
        leads = {"support": (o.tasks, *sets, o.task.support), "query": (o.tasks, o.task.query)}
        target = _c.shape(_c.lib.clm_meta_target_shape(pointer))
        for name, part in zip(Batch._fields, parts):
            lead = leads[name[:-2]]
            shapes = [lead + self._in_shape] if name.endswith("x") else target_shapes(lead, target)
            keep.append(floats(part, name, shapes))
            setattr(made, name, address(keep[-1]))
            if name.endswith("x"):
                with self.model._pointer() as model:
                    _c.lib.clm_model_check_tokens(model, address(keep[-1]), keep[-1].size)
        if sizes is not None:
            keep.append(integers(sizes, "sizes", (o.tasks, 3)))
            made.sizes = address(keep[-1])
        return made, keep

    def __repr__(self) -> str:
        if self.closed:
            return "MetaLearner(closed)"
        return f"MetaLearner({self.model!r}, {_c.text(self._options.task.algorithm)!r}, iteration={self.iteration})"
