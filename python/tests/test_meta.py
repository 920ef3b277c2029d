"""Meta-learners: options, training, parameters, checkpoints."""

import numpy as np
import pytest

import clmaml
from conftest import classifier, clusters, write_png


def test_steps_lower_the_loss_on_sine():
    """On the device that is opened by default."""
    meta = clmaml.MetaLearner(
        clmaml.Model.mlp(1, [40, 40], 1),
        tasks=10,
        support=10,
        query=10,
        steps=1,
        inner_lr=0.01,
        loss="mse",
        optim={"lr": 2e-3},
    )
    with clmaml.Source.sine() as source:
        losses = [meta.step(source.sample(10, shots=10, query=10, index=i)).query_loss for i in range(300)]
    assert np.mean(losses[-50:]) < 0.8 * np.mean(losses[:50])
    assert meta.iteration == 300


def test_report(sine_learner, sine_batch):
    sine_learner.gradient(sine_batch)
    support, query = sine_learner.read("support_loss"), sine_learner.read("query_loss")
    assert support.shape == (3, 2) and query.shape == (3,) and sine_learner.read("query_logits").shape == (3, 4, 1)
    report = sine_learner.step(sine_batch)
    assert report.query_loss == pytest.approx(query.mean()) and report.support_loss == pytest.approx(support[:, 0].mean())
    assert report.grad_norm > 0 and report.lr == 5e-3 and report.query_accuracy == 0


def test_accuracy_of_labels(host):
    meta = classifier(host)
    first = [meta.step(clusters(seed)) for seed in range(100)]
    assert first[-1].query_loss < first[0].query_loss and 0 < first[-1].query_accuracy <= 1


def test_first_order_is_another_gradient(host, sine_batch):
    common = dict(tasks=3, support=4, query=4, steps=2, inner_lr=0.05, loss="mse")
    model = clmaml.Model.mlp(1, [8], 1)
    full, first = (clmaml.MetaLearner(model, host, first_order=order, **common).gradient(sine_batch) for order in (False, True))
    assert not np.allclose(full["0.weight"], first["0.weight"])


def test_dropout_follows_the_seed(host, sine_batch):
    def first(seed, rate):
        layers = [{"op": "linear", "out": 8}, {"op": "tanh"}, {"op": "dropout", "rate": rate}, {"op": "linear", "out": 1}]
        meta = clmaml.MetaLearner(
            clmaml.Model.parse(layers, [1]), host, tasks=3, support=4, query=4, steps=2, inner_lr=0.05, loss="mse", seed=seed
        )
        meta.reset(1)
        return meta.gradient(sine_batch)["0.weight"]

    assert np.array_equal(first(3, 0.4), first(3, 0.4)) and not np.array_equal(first(3, 0.4), first(4, 0.4))
    assert np.array_equal(first(3, 0), first(4, 0))


@pytest.mark.parametrize("poisoned", range(4))
def test_nan_raises_and_changes_nothing(poisoned, sine_learner, sine_batch):
    before = sine_learner.state_dict()
    sine_batch[poisoned].flat[0] = np.nan
    with pytest.raises(clmaml.NumericError, match="not finite") as caught:
        sine_learner.step(sine_batch)
    assert isinstance(caught.value, ArithmeticError) and caught.value.status == "CLM_E_NUMERIC"
    assert sine_learner.iteration == 0
    assert all(np.array_equal(before[name], value) for name, value in sine_learner.state_dict().items())


def test_labels_are_checked(host):
    meta, batch = classifier(host), clusters(0)
    batch.support_y[0, 0] = 3
    with pytest.raises(clmaml.Error, match="support"):
        meta.step(batch)


def test_tokens_are_checked(host, tmp_path):
    model = clmaml.Model.parse(
        [{"op": "embedding", "count": 5, "out": 3}, {"op": "meantokens"}, {"op": "linear", "out": 2}], [4]
    )
    meta = clmaml.MetaLearner(model, host, tasks=1, support=4, query=2, inner_lr=0.1)
    tokens, labels = np.arange(16).reshape(1, 4, 4) % 5, np.array([[0, 1, 0, 1]])
    batch = clmaml.Batch(tokens, labels, tokens[:, :2], labels[:, :2])
    meta.step(batch)
    for odd in (5, -1, 0.5):
        wrong = np.array(tokens, dtype=np.float32)
        wrong[0, 1, 2] = odd
        for bad in (batch._replace(support_x=wrong), batch._replace(query_x=wrong[:, :2])):
            with pytest.raises(clmaml.ArgumentError, match=r"number 2 of example 1 is .*layer 0 \(embedding\).* from 0 to 4"):
                meta.step(bad)
        learner = meta.learner(query=2)
        with pytest.raises(clmaml.ArgumentError, match="number 2 of example 1"):
            learner.adapt(wrong[0], labels[0])
        learner.adapt(tokens[0], labels[0])
        with pytest.raises(clmaml.ArgumentError, match="number 2 of example 1"):
            learner.predict(wrong[0])


# ---- options ----


def test_options_reach_the_library(host):
    meta = clmaml.MetaLearner(
        clmaml.Model.mlp(1, [4], 1),
        host,
        tasks=2,
        support=3,
        query=3,
        steps=2,
        inner_lr=0.02,
        loss={"name": "huber", "delta": 0.5},
        inner={"rule": "adam", "beta1": 0.8},
        rates="per-step",
        adapt=["2."],
        optim={"rule": "sgd", "lr": 0.1, "clip_kind": "norm", "clip": 1.0},
        checkpointing="recompute",
        step_weights=[0.25, 0.75],
        memory_limit=1 << 30,
    )
    o = meta._options
    assert (o.tasks, o.task.support, o.task.steps, o.task.inner_lr, o.memory_limit) == (2, 3, 2, 0.02, 1 << 30)
    assert (o.task.loss.name, o.task.loss.delta, o.task.inner.rule, o.task.inner.beta1) == (b"huber", 0.5, b"adam", 0.8)
    assert (o.task.rates, o.task.n_adapt, o.optim.rule, o.optim.clip_kind, o.checkpointing) == (1, 1, b"sgd", 2, 2)
    assert meta.state_dict(rates=True)["alpha"].shape[0] == 2 and "alpha" not in meta.state_dict()


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"inner_rate": 0.1}, TypeError, "there is no option inner_rate; there are tasks, .*inner_lr"),
        ({"optim": {"learning_rate": 0.1}}, TypeError, "there is no option optim.learning_rate; there are rule, lr"),
        ({"optim": 0.1}, TypeError, "option optim: a word or a dictionary"),
        ({"rates": "often"}, ValueError, "option rates: 'often' is none of fixed, per-step, per-element"),
        ({"adapt": "2."}, TypeError, "option adapt: a list is needed, not '2.'"),
        ({"tasks": 2.5}, ValueError, "option tasks: 2.5 is not valid"),
        ({"tasks": 1 << 40}, ValueError, "option tasks: .* is out of range"),
        ({"memory_limit": -1}, ValueError, "option memory_limit: -1 is out of range"),
        ({"inner_lr": "fast"}, ValueError, "option inner_lr: 'fast' is not valid"),
        ({"first_order": 1}, TypeError, "option first_order: 1 is not valid: True or False"),
        ({"steps": 3, "step_weights": [1.0]}, ValueError, r"option step_weights: 3 numbers are needed"),
        ({"version": 7}, TypeError, "there is no option version"),
        ({"algorithm": "mamml"}, clmaml.ArgumentError, "mamml"),
        ({"inner": {"momentum": 0.5}}, clmaml.ArgumentError, "inner.momentum: the inner rule sgd does not read"),
        ({"steps": 0}, clmaml.ArgumentError, "step"),
        ({"memory_limit": 1000}, clmaml.LimitError, "1000"),
    ],
)
def test_options_that_are_refused(options, error, words, host):
    with pytest.raises(error, match=words):
        clmaml.MetaLearner(clmaml.Model.mlp(1, [4], 1), host, **{"loss": "mse", **options})


def test_models(host):
    assert clmaml.Model.conv4(ways=3, filters=4, size=16).out_shape == (3,)
    parsed = clmaml.Model.parse([{"op": "linear", "out": 2}], [5])
    assert parsed.parameters == {"0.weight": (2, 5), "0.bias": (2,)} and parsed.in_shape == (5,)
    assert clmaml.Model.parse(parsed.json).parameters == parsed.parameters
    with pytest.raises(clmaml.Error, match="gadget"):
        clmaml.Model.parse([{"op": "gadget"}], [5])
    with pytest.raises(clmaml.ShapeError):
        clmaml.Model.conv4(size=4)
    with pytest.raises(clmaml.ShapeError, match="at most 6 axes"):
        clmaml.Model.parse([{"op": "linear", "out": 2}], [1] * 9)


def test_model_files(tmp_path):
    path = tmp_path / "model.json"
    path.write_text('{"layers": [{"op": "linear", "out": 2}], "in_shape": [5]}')
    assert clmaml.Model.load(path).in_shape == (5,)
    with pytest.raises(clmaml.FileError, match="none.json") as caught:
        clmaml.Model.load(tmp_path / "none.json")
    assert isinstance(caught.value, OSError)


# ---- parameters ----


def test_state_dict_round_trip(host, sine_learner, sine_batch):
    sine_learner.step(sine_batch)
    state = sine_learner.state_dict()
    assert {n: v.shape for n, v in state.items()} == {
        "0.weight": (8, 1),
        "0.bias": (8,),
        "2.weight": (1, 8),
        "2.bias": (1,),
    }
    expected = sine_learner.gradient(sine_batch)
    sine_learner.reset(9)
    assert not np.array_equal(sine_learner.state_dict()["0.weight"], state["0.weight"])
    sine_learner.load_state_dict(state)
    assert all(np.array_equal(state[n], v) for n, v in sine_learner.state_dict().items())
    assert all(np.array_equal(expected[n], v) for n, v in sine_learner.gradient(sine_batch).items())


def test_a_state_dict_is_a_copy(sine_learner, sine_batch):
    state = sine_learner.state_dict()
    before = state["0.weight"].copy()
    sine_learner.step(sine_batch)
    assert np.array_equal(state["0.weight"], before)


def test_state_dicts_that_do_not_fit(sine_learner):
    state = sine_learner.state_dict()
    with pytest.raises(clmaml.ArgumentError, match="it has no 2.bias"):
        sine_learner.load_state_dict({n: v for n, v in state.items() if n != "2.bias"})
    with pytest.raises(clmaml.ArgumentError, match="the model has no 7.bias"):
        sine_learner.load_state_dict({**state, "7.bias": [0.0]})
    with pytest.raises(clmaml.ShapeError, match=r"state dict, 0.weight: the shape is \[1, 8\]; \[8, 1\] is needed"):
        sine_learner.load_state_dict({**state, "0.weight": state["0.weight"].T})
    assert all(np.array_equal(state[n], v) for n, v in sine_learner.state_dict().items())
    sine_learner.load_state_dict({"2.bias": [5.0], "7.bias": [0.0]}, strict=False)
    assert sine_learner.state_dict()["2.bias"] == 5.0


def test_statistics_of_batch_norm_are_left_out(host):
    meta = classifier(host)
    state = {**meta.state_dict(), "1.running_mean": np.zeros(5), "1.running_var": np.ones(5), "1.num_batches_tracked": 3}
    meta.load_state_dict(state)


def test_torch_takes_and_gives(sine_learner):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    sine_learner.load_state_dict(network.state_dict())
    assert np.array_equal(sine_learner.state_dict()["0.weight"], network[0].weight.detach().numpy())
    sine_learner.reset(3)
    network.load_state_dict(sine_learner.state_dict(torch=True))
    assert np.allclose(sine_learner.state_dict()["0.weight"], network[0].weight.detach().numpy())


def test_seeds(host):
    model = clmaml.Model.mlp(1, [4], 1)
    weights = [clmaml.MetaLearner(model, host, loss="mse", seed=s).state_dict()["0.weight"] for s in (0, 1, 1)]
    assert np.array_equal(weights[1], weights[2]) and not np.array_equal(weights[0], weights[1])


def test_a_run_goes_on_from_a_checkpoint(tmp_path, sine_learner, sine_batch):
    path = tmp_path / "checkpoint.safetensors"
    sine_learner.step(sine_batch)
    sine_learner.save(path)
    sine_learner.step(sine_batch)
    expected = sine_learner.state_dict()
    sine_learner.reset(7)
    sine_learner.restore(path)
    assert sine_learner.iteration == 1
    sine_learner.step(sine_batch)
    assert all(np.array_equal(expected[n], v) for n, v in sine_learner.state_dict().items())


def test_files_that_do_not_fit(tmp_path, host, sine_learner):
    path = tmp_path / "other.safetensors"
    classifier(host).save(path)
    with pytest.raises(clmaml.Error, match="other.safetensors"):
        sine_learner.restore(path)
    sine_learner.save(path)
    data = bytearray(path.read_bytes())
    data[-8:] = (7).to_bytes(8, "little")  # of updates, in the optimiser
    path.write_bytes(data)
    with pytest.raises(clmaml.FormatError, match="other.safetensors: its numbers are not those that were written"):
        sine_learner.restore(path)
    path.write_bytes(data.replace(b"clmaml.checksum", b"clmaml.checksun"))
    sine_learner.restore(path)
    path.write_bytes(b"no safetensors")
    with pytest.raises(clmaml.FormatError, match="other.safetensors"):
        sine_learner.restore(path)
    with pytest.raises(clmaml.FileError):
        sine_learner.save(tmp_path / "none" / "file")


def test_tables(tmp_path, host):
    path = tmp_path / "plants.csv"
    rows = [f"plant{p},{p + r / 10},{r},{p * r},{p + r}" for p in range(12) for r in range(8)]
    path.write_text("\n".join(["plant,water,light,height,weight", *rows]))
    with clmaml.Source.table(path, task_column="plant", targets=["height", "weight"], standardise=False) as source:
        assert source.example_shape == (2,) and source.target_shape == (2,)
        batch = source.sample(2, shots=3, query=2)
    assert batch.support_x.shape == (2, 3, 2) and batch.query_y.shape == (2, 2, 2)
    water, light = batch.support_x[0].T
    assert np.allclose(batch.support_y[0, :, 1], np.round(water - light / 10) + light, atol=1e-4)
    meta = clmaml.MetaLearner(clmaml.Model.mlp(2, [4], 2), host, tasks=2, support=3, query=2, loss="mse", inner_lr=0.001)
    assert np.isfinite(meta.step(batch).query_loss)
    with pytest.raises(clmaml.Error, match="task"):
        clmaml.Source.table(path, targets=["height"])
    with pytest.raises(ValueError, match="option missing: 'guess' is none of refuse, mean, drop"):
        clmaml.Source.table(path, task_column="plant", targets=["height"], missing="guess")


def test_omniglot_and_tasks_within_an_alphabet(tmp_path):
    """Each drawing of its own grey, so that a picture of a task says whose it is."""
    grey = {}
    for part, alphabets in (("background", "abcde"), ("evaluation", "xy")):
        for alphabet in alphabets:
            for character in range(4):
                folder = tmp_path / f"images_{part}" / alphabet / f"character{character:02}"
                folder.mkdir(parents=True)
                for person in range(3):
                    value = len(grey) + 1
                    grey[value] = (alphabet, character, person)
                    write_png(folder / f"0001_{person:02}.png", np.full((16, 16), value, np.uint8))
    with pytest.raises(clmaml.Error, match="leave out test_rotations"):
        clmaml.Source.omniglot(tmp_path, within_alphabet=True, test_rotations=True)
    with clmaml.Source.omniglot(tmp_path, size=16, split="alphabets", within_alphabet=True) as source:
        assert "within an alphabet" in source.description
        for index in range(20):
            batch = source.sample(1, ways=4, index=index, split="test")
            support, query = (
                [grey[round(255 - 255 * float(picture.mean()))] for picture in part[0]] for part in (batch.support_x, batch.query_x)
            )
            assert len({alphabet for alphabet, _, _ in support + query}) == 1
            (drew,), (other,) = ({person for _, _, person in part} for part in (support, query))
            assert drew != other
    with clmaml.Source.omniglot(tmp_path, size=16, split="1200") as source:
        assert "split 1200" in source.description


def test_sources(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32), np.arange(60) % 12
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    with clmaml.Source.folder(tmp_path / "mine.npz", class_split=[6, 3, 3]) as source:
        batch = source.sample(2, ways=3, shots=2, query=1)
        assert batch.support_x.shape == (2, 6, 4) and sorted(batch.query_y[0]) == [0, 1, 2]
        assert all((x == row).all(axis=1).any() for row in batch.support_x[0])
        again = source.sample(1, ways=3, shots=2, query=1, index=1)
        assert np.array_equal(again.support_x[0], batch.support_x[1])
        with pytest.raises(clmaml.Error, match="classes"):
            source.sample(1, ways=7)
        with pytest.raises(ValueError, match="split: 'tset' is none of train, validation, test"):
            source.sample(1, split="tset")


def test_uneven_tasks_count_as_if_alone(host, sine_batch):
    def learner(tasks, support, query, **more):
        return clmaml.MetaLearner(
            clmaml.Model.mlp(1, [8], 1),
            host,
            tasks=tasks,
            support=support,
            query=query,
            steps=2,
            inner_lr=0.05,
            loss="mse",
            **more,
        )

    sizes = [[0, 4, 4], [0, 2, 3], [0, 1, 4]]
    gradient = learner(3, 4, 4, uneven=True).gradient(sine_batch, sizes=sizes)["0.weight"]
    alone = [
        learner(1, s, q).gradient([a[t : t + 1, :n] for a, n in zip(sine_batch, (s, s, q, q))])["0.weight"]
        for t, (_, s, q) in enumerate(sizes)
    ]
    assert np.allclose(gradient, np.mean(alone, 0), rtol=1e-10)
    with pytest.raises(ValueError, match="whole numbers"):
        learner(3, 4, 4, uneven=True).gradient(sine_batch, sizes=[[0, 1.5, 1]] * 3)
    with pytest.raises(clmaml.ArgumentError, match="uneven"):
        learner(3, 4, 4).gradient(sine_batch, sizes=sizes)
    with pytest.raises(clmaml.ArgumentError, match="reduction"):
        clmaml.MetaLearner(clmaml.Model.mlp(1, [8], 1), host, tasks=1, support=1, query=1, loss={"name": "mse", "reduction": "none"})
