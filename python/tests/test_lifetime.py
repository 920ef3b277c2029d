"""Who lives how long; threads."""

import gc
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import clmaml
from conftest import classifier, clusters


def test_a_device_lives_as_long_as_what_is_on_it():
    device = clmaml.Device("host")
    meta = classifier(device)
    learner = meta.learner()
    gone = weakref.ref(device)
    x, y, new_x, _ = (a[0] for a in clusters(0))
    del device, meta
    gc.collect()
    assert gone() is not None and learner.adapt(x, y).predict(new_x).shape == (3, 3)
    del learner
    gc.collect()
    assert gone() is None


def test_memory_comes_back():
    with clmaml.Device() as device:
        meta = classifier(device)
        meta.step(clusters(0))
        learner = meta.learner()
        assert device.allocated > 0
        del meta, learner
        gc.collect()
        assert device.allocated == 0


def test_closing():
    with clmaml.Device("host") as device:
        meta = classifier(device)
        with meta.learner() as learner:
            assert not learner.closed
        assert learner.closed and not meta.closed
        learner.close()
        with pytest.raises(clmaml.StateError, match="Learner: it is closed"):
            learner.predict(np.zeros((1, 6)))
    assert meta.closed and device.closed, "what was made on a device closes with it"
    with pytest.raises(clmaml.StateError, match="MetaLearner: it is closed"):
        meta.step(clusters(0))
    with pytest.raises(clmaml.StateError, match="MetaLearner: it is closed"):
        meta.state_dict()
    with pytest.raises(clmaml.StateError, match="Device: it is closed"):
        classifier(device)
    assert [repr(o) for o in (device, meta, learner)] == ["Device(closed)", "MetaLearner(closed)", "Learner(closed)"]


def test_closing_a_model_closes_what_uses_it(host):
    meta = classifier(host)
    meta.model.close()
    assert meta.closed and not host.closed


def test_what_fails_to_be_made_leaves_nothing(host):
    for _ in range(3):
        with pytest.raises(clmaml.Error):
            classifier(host, algorithm="none")
    classifier(host).step(clusters(0))


ENDS = {
    "objects alive": "",
    "in a cycle": "meta.itself = meta; learner.other = meta; device.all = [meta, learner]; del meta, learner, device",
    "device first": "del device",
    "closed": "device.close()",
    "exit": "sys.exit(0)",
    "a thread at work": """
def work():
    try:
        while True:
            meta.step(batch)
    except clmaml.StateError:  # the interpreter's end has closed it
        pass
threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
""",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("spec", ["host", None], ids=["host", "default"])
def test_the_interpreter_ends_well(end, spec):
    program = f"""
import sys, threading, time
import clmaml
from conftest import classifier, clusters
device = clmaml.Device({spec!r})
meta, batch = classifier(device), clusters(0)
meta.step(batch)
learner = meta.learner()
{ENDS[end]}
"""
    path = [p for p in sys.path if p]
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", f"import sys; sys.path[:0] = {path!r}\n{program}"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and done.stderr == ""


# ---- threads ----


def in_threads(functions):
    results, failures = [None] * len(functions), []

    def run(i):
        try:
            results[i] = functions[i]()
        except BaseException as error:  # noqa: BLE001, what fails there must fail here
            failures.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def train(device=None, steps=20):
    meta = classifier(device or clmaml.Device("host"))
    losses = [meta.step(clusters(seed)).query_loss for seed in range(steps)]
    x, y, new_x, _ = (a[0] for a in clusters(99))
    return losses, meta.adapt(x, y).predict(new_x)


def same(a, b):
    return a[0] == b[0] and np.array_equal(a[1], b[1])


def test_two_learners_on_two_devices():
    expected = train()
    assert all(same(result, expected) for result in in_threads([train, train]))


def test_threads_on_one_device_wait_for_each_other(host):
    expected = train(host)
    assert all(same(result, expected) for result in in_threads([lambda: train(host)] * 3))


def test_objects_dropped_by_other_threads():
    """The collector of one thread meets objects of a device that another is using."""
    devices = [clmaml.Device("host"), clmaml.Device("host")]

    def work(mine, other):
        for seed in range(15):
            a, b = classifier(devices[mine]), classifier(devices[other])
            a.cycle, b.cycle = b, a
            a.step(clusters(seed))
            del a, b
            gc.collect()

    in_threads([lambda: work(0, 1), lambda: work(1, 0)])
    gc.collect()
    for device in devices:
        device.close()


def test_errors_are_of_the_thread_that_made_them():
    def fail(name):
        for _ in range(50):
            with pytest.raises(clmaml.DeviceError, match=name):
                clmaml.Device(name)

    in_threads([lambda: fail("gadget one"), lambda: fail("gadget two")])


def test_devices():
    found = clmaml.devices()
    assert found[-1].spec == "host" and sum(d.chosen for d in found) <= 1
    for info in found:
        with clmaml.Device(info.spec) as device:
            assert device.info.name == info.name and repr(device).startswith(f"Device({info.spec!r}")
