"""What is taken as an array, and what is refused with which words."""

import numpy as np
import pytest

import clmaml


def gradients(learner, batch):
    return learner.gradient(batch)


def same(a, b):
    assert a.keys() == b.keys()
    return all(np.array_equal(a[name], b[name]) for name in a)


def changed(batch, **parts):
    return batch._replace(**parts)


@pytest.mark.parametrize(
    "convert",
    [
        lambda a: a.astype(np.float64),
        lambda a: a.tolist(),
        lambda a: a.astype(">f4"),
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a[::-1][::-1],
        lambda a: np.ma.masked_array(a),
        lambda a: memoryview(a),
    ],
    ids=["double", "list", "big-endian", "fortran", "strided", "reversed", "masked", "memoryview"],
)
def test_any_layout_gives_the_same(convert, sine_learner, sine_batch):
    expected = gradients(sine_learner, sine_batch)
    assert same(gradients(sine_learner, [convert(a) for a in sine_batch]), expected)
    named = dict(zip(clmaml.Batch._fields, (convert(a) for a in sine_batch)))
    assert same(gradients(sine_learner, named), expected)


def test_dlpack(sine_learner, sine_batch):
    class Tensor:
        """Speaks DLPack and nothing else."""

        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    expected = gradients(sine_learner, sine_batch)
    assert same(gradients(sine_learner, [Tensor(a) for a in sine_batch]), expected)


def test_torch_tensors(sine_learner, sine_batch):
    torch = pytest.importorskip("torch")
    expected = gradients(sine_learner, sine_batch)
    assert same(gradients(sine_learner, [torch.tensor(a, requires_grad=True) for a in sine_batch]), expected)


def test_whole_numbers_and_bools_are_numbers(sine_learner, sine_batch):
    whole = changed(sine_batch, support_y=np.ones((3, 4), np.int64))
    expected = gradients(sine_learner, changed(sine_batch, support_y=np.ones((3, 4), np.float32)))
    assert same(gradients(sine_learner, whole), expected)
    assert same(gradients(sine_learner, changed(whole, support_y=np.ones((3, 4), bool))), expected)


def test_targets_of_one_number_may_leave_out_its_axis(sine_learner, sine_batch):
    without = changed(sine_batch, support_y=sine_batch.support_y[..., 0], query_y=sine_batch.query_y[..., 0])
    assert sine_batch.support_y.shape == (3, 4, 1)
    assert same(gradients(sine_learner, without), gradients(sine_learner, sine_batch))


def test_arrays_are_not_written(sine_learner, sine_batch):
    for array in sine_batch:
        array.flags.writeable = False
    before = [array.copy() for array in sine_batch]
    sine_learner.step(sine_batch)
    assert all(np.array_equal(a, b) for a, b in zip(before, sine_batch))


@pytest.mark.parametrize(
    "value, error, words",
    [
        (np.zeros((3, 5, 1)), clmaml.ShapeError, r"support_x: the shape is \[3, 5, 1\]; \[3, 4, 1\] is needed"),
        (np.zeros((3, 4)), clmaml.ShapeError, r"support_x: the shape is \[3, 4\]"),
        (np.zeros((4, 3, 1)), clmaml.ShapeError, "support_x"),
        (np.float32(1), clmaml.ShapeError, r"support_x: the shape is \[\]"),
        (np.zeros((3, 4, 1), complex), TypeError, "support_x: real numbers are needed, not an array of complex128"),
        (np.full((3, 4, 1), "a"), TypeError, "support_x: real numbers are needed"),
        (None, TypeError, "support_x: real numbers are needed, not an array of object"),
        ([[1, 2], [3]], ValueError, "support_x: not an array of numbers"),
    ],
)
def test_what_is_refused(value, error, words, sine_learner, sine_batch):
    with pytest.raises(error, match=words):
        sine_learner.step(changed(sine_batch, support_x=value))
    assert sine_learner.iteration == 0


def test_a_target_shape_lists_both(sine_learner, sine_batch):
    with pytest.raises(clmaml.ShapeError, match=r"query_y: the shape is \[2\]; \[3, 4, 1\] or \[3, 4\] is needed"):
        sine_learner.step(changed(sine_batch, query_y=[1, 2]))


def test_a_batch_has_four_arrays(sine_learner, sine_batch):
    with pytest.raises(ValueError, match="support_x, support_y, query_x, query_y are needed, not 3"):
        sine_learner.step(sine_batch[:3])
    with pytest.raises(KeyError, match="query_y"):
        sine_learner.step({"support_x": 0, "support_y": 0, "query_x": 0})
