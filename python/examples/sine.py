# %% From NumPy data to predictions: learn to learn sinusoids, then a new one from ten points of it.
import numpy as np

import clmaml

random = np.random.default_rng(0)


def sinusoids(tasks, points):
    """x [tasks, points, 1] and y [tasks, points] of sinusoids of random amplitude and phase, support then query."""
    amplitude, phase = random.uniform(0.1, 5, (tasks, 1, 1)), random.uniform(0, np.pi, (tasks, 1, 1))
    x = random.uniform(-5, 5, (tasks, 2 * points, 1))
    y = (amplitude * np.sin(x - phase))[..., 0]
    return clmaml.Batch(x[:, :points], y[:, :points], x[:, points:], y[:, points:])


# %% Meta-learn a beginning.
model = clmaml.Model.mlp(1, [40, 40], 1)
meta = clmaml.MetaLearner(model, tasks=25, support=10, query=10, steps=5, inner_lr=0.01, loss="mse", optim={"lr": 2e-3})
for i in range(2001):
    report = meta.step(sinusoids(25, 10))
    if i % 500 == 0:
        print(f"{i:5}  loss before adapting {report.support_loss:.3f}, after {report.query_loss:.3f}")

# %% Use it on a function that it has not seen.
x, y, new_x, new_y = (array[0] for array in sinusoids(1, 10))
predicted = meta.adapt(x, y).predict(new_x)
for at, wanted, got in zip(new_x[:, 0], new_y, predicted[:, 0]):
    print(f"x {at:6.2f}  y {wanted:6.2f}  predicted {got:6.2f}")
