"""Trained models in use: adapting, predicting, files, the same as the program."""

import json
import subprocess

import numpy as np
import pytest

import clmaml
from conftest import classifier, clusters, read_safetensors, write_png


def first_task(batch):
    return [array[0] for array in batch]


def test_adapting_helps(host):
    meta = classifier(host, steps=3, inner_lr=0.5, optim={"lr": 0.02})
    for seed in range(100):
        meta.step(clusters(seed))
    correct = 0
    learner = meta.learner()
    for seed in range(100, 120):
        x, y, new_x, new_y = first_task(clusters(seed))
        correct += (learner.adapt(x, y).predict(new_x).argmax(axis=1) == new_y).mean()
    assert correct > 0.8 * 20
    assert (learner.ways, learner.support, learner.steps, learner.in_shape) == (3, 6, 3, (6,))


def test_adapt_is_a_learner_that_adapts(host):
    meta = classifier(host)
    x, y, new_x, _ = first_task(clusters(1))
    assert np.array_equal(meta.adapt(x, y).predict(new_x), meta.learner().adapt(x, y).predict(new_x))


def test_another_number_of_examples_and_steps(host):
    meta = classifier(host)
    x, y, new_x, _ = first_task(clusters(1))
    more = meta.adapt(np.tile(x, (2, 1)), np.tile(y, 2))
    assert np.allclose(more.predict(new_x), meta.adapt(x, y).predict(new_x)), "every example twice is the same mean loss"
    assert not np.allclose(meta.adapt(x, y, steps=4).predict(new_x), meta.adapt(x, y).predict(new_x))


def test_predictions_of_any_number(host):
    meta = classifier(host)
    x, y, _, _ = first_task(clusters(1))
    learner = meta.learner(query=4).adapt(x, y)
    many = np.random.default_rng(0).normal(size=(11, 6))
    together = learner.predict(many)
    assert together.shape == (11, 3) and learner.predict(many[:0]).shape == (0, 3)
    assert np.allclose(together, np.concatenate([learner.predict(row[None]) for row in many]))


def test_a_learner_is_a_copy(host):
    meta = classifier(host)
    x, y, new_x, _ = first_task(clusters(1))
    learner = meta.adapt(x, y)
    before = learner.predict(new_x)
    for seed in range(5):
        meta.step(clusters(seed))
    assert np.array_equal(learner.predict(new_x), before)
    assert not np.array_equal(meta.adapt(x, y).predict(new_x), before)


def test_what_is_refused(host, tmp_path):
    learner = classifier(host).learner()
    x, y, new_x, _ = first_task(clusters(1))
    with pytest.raises(clmaml.StateError, match="comes first"):
        learner.predict(new_x)
    with pytest.raises(clmaml.StateError, match="comes first"):
        learner.save(tmp_path / "file")
    with pytest.raises(clmaml.ShapeError, match=r"x: the shape is \[5, 6\]; \[6, 6\] is needed"):
        learner.adapt(x[:5], y[:5])
    with pytest.raises(clmaml.Error, match="support"):
        learner.adapt(x, y + 1)
    with pytest.raises(clmaml.ShapeError, match=r"x: the shape is \[6\]; \[6, 6\] is needed"):
        learner.adapt(x, y).predict(new_x[0])
    with pytest.raises(clmaml.ArgumentError, match="names: there are 1, of 3 classes"):
        learner.save(tmp_path / "file", ["one"])
    with pytest.raises(clmaml.StateError, match="picture"):
        learner.read_pictures(["picture.png"])


def test_nan_raises(host):
    learner = classifier(host).learner()
    x, y, new_x, _ = first_task(clusters(1))
    with pytest.raises(clmaml.NumericError, match="not finite"):
        learner.adapt(np.full_like(x, np.nan), y).predict(new_x)
    learner.adapt(x, y).predict(new_x)


# ---- files ----


def test_checkpoints(host, tmp_path):
    meta, path = classifier(host, steps=2), tmp_path / "checkpoint.safetensors"
    x, y, new_x, _ = first_task(clusters(1))
    meta.save(path, steps=4)
    loaded = clmaml.load(path, host)
    assert (loaded.algorithm, loaded.steps, loaded.support, loaded.adapted) == ("maml", 4, 6, False)
    assert np.allclose(loaded.adapt(x, y).predict(new_x), meta.adapt(x, y, steps=4).predict(new_x), atol=1e-12)


def test_adapted_models(host, tmp_path):
    path = tmp_path / "adapted.safetensors"
    x, y, new_x, _ = first_task(clusters(1))
    learner = classifier(host).adapt(x, y)
    learner.save(path, ["ant", "bee", "ca\N{LATIN SMALL LETTER N WITH TILDE}a"])
    loaded = clmaml.load(path, host)
    assert loaded.adapted and loaded.class_names == ["ant", "bee", "ca\N{LATIN SMALL LETTER N WITH TILDE}a"]
    assert np.allclose(loaded.predict(new_x), learner.predict(new_x), atol=1e-5)
    with pytest.raises(clmaml.StateError, match="adapted already"):
        loaded.adapt(x, y)


def test_exports(host, tmp_path):
    x, y, new_x, _ = first_task(clusters(1))
    classifier(host).adapt(x, y).save(tmp_path / "adapted.safetensors")
    clmaml.export(tmp_path / "adapted.safetensors", "safetensors", tmp_path / "state.safetensors")
    arrays, _ = read_safetensors(tmp_path / "state.safetensors")
    assert arrays["3.weight"].shape == (3, 5) and arrays["1.running_mean"].shape == (5,)
    with pytest.raises(clmaml.ArgumentError, match="onnx"):
        clmaml.export(tmp_path / "adapted.safetensors", "tape", tmp_path / "tape")


def test_adapted_parameters(host):
    meta = classifier(host)
    x, y, new_x, _ = first_task(clusters(1))
    adapted = meta.adapt(x, y).state_dict()
    assert {n: v.shape for n, v in adapted.items()} == meta.model.parameters
    assert not np.array_equal(adapted["3.weight"], meta.state_dict()["3.weight"])


def test_files_that_are_none(host, tmp_path):
    with pytest.raises(clmaml.FileError, match="nothing"):
        clmaml.load(tmp_path / "nothing", host)
    (tmp_path / "text").write_text("no model")
    with pytest.raises(clmaml.FormatError, match="text"):
        clmaml.load(tmp_path / "text", host)


# ---- the program ----


@pytest.fixture
def pictures(tmp_path):
    """Twelve classes of ten drawn characters each."""
    folder = tmp_path / "pictures"
    with clmaml.Source.glyphs(16) as source:
        for c in range(12):
            (folder / f"class{c:02}").mkdir(parents=True)
            batch = source.sample(1, ways=1, shots=10, seed=c)
            for i, drawn in enumerate(batch.support_x[0, :, 0]):
                write_png(folder / f"class{c:02}" / f"{i}.png", np.uint8(255 - 255 * drawn))
    return folder


def softmax(scores):
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def test_predictions_are_the_program_s(host, pictures, tmp_path, program):
    source = clmaml.Source.folder(pictures, size=16, channels=1, invert=True, normalise="dataset", class_split=[6, 3, 3])
    model = clmaml.Model.conv4(ways=3, filters=4, size=16)
    meta = clmaml.MetaLearner(model, host, tasks=2, support=6, query=3, inner_lr=0.1, steps=2)
    for i in range(3):
        meta.step(source.sample(2, ways=3, shots=2, query=1, index=i))
    path, support = tmp_path / "run.safetensors", tmp_path / "support"
    meta.save(path, source=source)

    learner = clmaml.load(path, host)
    classes = sorted(pictures.iterdir())[:3]
    for folder in classes:
        (support / folder.name).mkdir(parents=True)
        for i in range(2):
            (support / folder.name / f"{i}.png").write_bytes((folder / f"{i}.png").read_bytes())
    x = learner.read_pictures([support / folder.name / f"{i}.png" for folder in classes for i in range(2)])
    questions = [folder / f"{i}.png" for folder in classes for i in (5, 6)]
    probabilities = softmax(learner.adapt(x, np.repeat(np.arange(3), 2)).predict(learner.read_pictures(questions)))
    assert np.array_equal(learner.read_pictures(str(questions[0])), learner.read_pictures(questions[:1]))
    assert np.array_equal(learner.read_pictures(questions[0]), learner.read_pictures(questions[:1]))
    learner.save(tmp_path / "adapted.safetensors", [folder.name for folder in classes])

    def told(*arguments):
        command = [program, "predict", *map(str, arguments), *map(str, questions), "--json", "--top", "3", "--device", "host"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = [{e["class"]: e["probability"] for e in row["top"]} for row in json.loads(output)]
        return np.array([[row[folder.name] for folder in classes] for row in rows])

    assert np.allclose(told(path, "--support", support), probabilities, atol=1e-9)
    assert np.allclose(told(tmp_path / "adapted.safetensors"), probabilities, atol=1e-4), "stored as floats"


def test_runs_of_the_program(host, tmp_path, program):
    run = tmp_path / "run"
    words = "train glyphs --ways 3 --shots 1 --query 1 --size 16 --filters 4 --meta-batch 2 --iterations 2"
    words += " --val-tasks 4 --eval-tasks 4"
    subprocess.run([program, *words.split(), "--run", str(run), "--device", "host"], check=True, capture_output=True)
    learner = clmaml.load(run, host)
    assert (learner.ways, learner.support, learner.in_shape) == (3, 3, (1, 16, 16))
    with clmaml.Source.glyphs(16) as source:
        x, y, new_x, _ = first_task(source.sample(1, ways=3, split="test"))
    assert learner.adapt(x, y).predict(new_x).shape == (3, 3)
