#!/usr/bin/env python3
"""The item navigation in PyTorch 2: an iteration of MAML by policy gradient with TRPO, all tasks and episodes as one batch of matrices.

The policy's gradient by double backward. A Fisher product is reverse mode after forward mode, F v = J^T F_K J v, of functions that were
linearised once an iteration (torch.func); with --double-backward it is the gradient of (grad KL) . v on a graph that was recorded once.
"""
import math

import peer

SPEED, REACH, RIDGE = 0.1, 0.01, 1e-5


class Policy:
    def __init__(self, torch, o):
        torch.set_num_threads(o.threads)
        if o.gpu and not torch.cuda.is_available():
            raise peer.Missing("this PyTorch has no GPU")
        if o.gpu:
            torch.backends.cuda.matmul.allow_tf32 = False
        self.torch, self.double = torch, o.double_backward
        self.device = torch.device("cuda" if o.gpu else "cpu")
        self.problem = peer.Problem(o.file)
        self.what = what = self.problem.what
        self.names = what["parameters"]
        self.tasks, self.episodes, self.horizon = what["tasks"], what["trajectories"], what["horizon"]
        self.rows, self.rate = self.episodes * self.horizon, what["inner_lr"]
        self.theta = [self.load("param." + n) for n in self.names]
        self.sizes = [p.numel() for p in self.theta]
        self.time = 0.01 * torch.arange(self.horizon, device=self.device)

    def load(self, name):
        shape, data = self.problem.array(name)
        return self.torch.frombuffer(data, dtype=self.torch.float32).reshape(shape).clone().to(self.device)

    # ---- the policy: parameters [tasks, shape] ----

    def spread(self, theta):
        return [p.expand(self.tasks, *p.shape) for p in theta]

    def mean(self, phi, x):
        torch = self.torch
        for i in range(0, len(phi) - 3, 2):
            x = torch.relu(torch.baddbmm(phi[i + 1].unsqueeze(1), x, phi[i].transpose(1, 2)))
        return torch.baddbmm(phi[-2].unsqueeze(1), x, phi[-3].transpose(1, 2))

    def density(self, phi, x, action):
        log_std = phi[-1].unsqueeze(1)
        z = (action - self.mean(phi, x)) * self.torch.exp(-log_std)
        return (-0.5 * z * z - log_std).sum(-1) - 0.5 * math.log(2 * math.pi) * action.shape[-1]

    def loss(self, phi, x, y):
        """The sum over tasks: each task's gradient is its own."""
        return -(self.density(phi, x, y[..., :-1]) * y[..., -1]).mean(1)

    def adapt(self, phi, x, y, graph):
        grads = self.torch.autograd.grad(self.loss(phi, x, y).sum(), phi, create_graph=graph)
        return [p - self.rate * g for p, g in zip(phi, grads)]

    def adapted(self, theta, sets, graph=True):
        phi = self.spread(theta)
        for x, y, _ in sets[:-1]:
            phi = self.adapt(phi, x, y, graph)
        return phi

    # ---- episodes ----

    def sample(self, phi, goal):
        """x [tasks, rows, 2], y [tasks, rows, 3], weight [tasks, rows] of episodes under phi."""
        torch, shape = self.torch, (self.tasks, self.episodes, self.horizon)
        x, y = torch.empty(*shape, 2, device=self.device), torch.zeros(*shape, 3, device=self.device)
        reward, alive = torch.empty(shape, device=self.device), torch.empty(shape, device=self.device)
        noise = torch.randn(self.horizon, self.tasks, self.episodes, 2, device=self.device) * phi[-1].exp().unsqueeze(1)
        place, lives = torch.zeros(*shape[:2], 2, device=self.device), torch.ones(shape[:2], device=self.device)
        with torch.no_grad():
            for t in range(self.horizon):
                action = self.mean(phi, place) + noise[t]
                x[:, :, t], y[:, :, t, :2], alive[:, :, t] = place, action, lives
                place = place + SPEED * action.clamp(-1, 1) * lives.unsqueeze(-1)
                distance = (place - goal.unsqueeze(1)).norm(dim=-1)
                reward[:, :, t] = -distance * lives
                lives = lives * (distance >= REACH)
            y[..., :2] *= alive.unsqueeze(-1)
            y[..., 2], weight = self.advantages(x, reward, alive)
        flat = (self.tasks, self.rows)
        return x.reshape(*flat, 2), y.reshape(*flat, 3), weight.reshape(flat)

    def returns(self, reward, factor):
        later, out = 0, self.torch.empty_like(reward)
        for t in reversed(range(self.horizon)):
            out[:, :, t] = later = reward[:, :, t] + factor * later
        return out

    def advantages(self, x, reward, alive):
        """Returns less a linear baseline, by generalised advantage estimation, normalised; as y and weight hold them."""
        torch, gamma, lam = self.torch, self.what["discount"], self.what["gae_lambda"]
        at = self.time.expand(self.tasks, self.episodes, -1).unsqueeze(-1)
        seen = x.clamp(-10, 10)
        f = torch.cat([seen, seen * seen, at, at * at, at * at * at, torch.ones_like(at)], -1) * alive.unsqueeze(-1)
        flat = f.reshape(self.tasks, self.rows, -1)
        target = self.returns(reward, gamma).reshape(self.tasks, self.rows, 1)
        gram = flat.transpose(1, 2) @ flat + RIDGE * torch.eye(flat.shape[-1], device=self.device)
        value = (flat @ torch.linalg.solve(gram.double(), (flat.transpose(1, 2) @ target).double()).float()).reshape(reward.shape)
        following = torch.cat([value[:, :, 1:], torch.zeros_like(value[:, :, :1])], -1)
        a = self.returns((reward + gamma * following - value) * alive, gamma * lam)
        count = alive.sum((1, 2), keepdim=True)
        mean = (a * alive).sum((1, 2), keepdim=True) / count
        deviation = (((a - mean) ** 2 * alive).sum((1, 2), keepdim=True) / count).sqrt()
        return (a - mean) * alive / (deviation + 1e-8) * (self.rows / count), alive / count

    # ---- the outer update ----

    def leaves(self):
        return [p.detach().requires_grad_() for p in self.theta]

    def gradient(self, sets):
        theta = self.leaves()
        x, y, _ = sets[-1]
        losses = self.loss(self.adapted(theta, sets), x, y)
        return losses.detach(), self.torch.autograd.grad(losses.mean(), theta)

    def fisher(self, sets):
        """The function v -> F v, mean over tasks."""
        return self.fisher_recorded(sets) if self.double else self.fisher_linearised(sets)

    def fisher_linearised(self, sets):
        torch = self.torch
        x, _, weight = sets[-1]

        def policies(*theta):
            phi = self.spread(theta)
            for xs, ys, _ in sets[:-1]:
                grads = torch.func.grad(lambda p: self.loss(p, xs, ys).sum())(phi)
                phi = [p - self.rate * g for p, g in zip(phi, grads)]
            return self.mean(phi, x), phi[-1]

        theta = [p.detach() for p in self.theta]
        (_, log_std), tangent = torch.func.linearize(policies, *theta)
        _, adjoint = torch.func.vjp(policies, *theta)
        precision = torch.exp(-2 * log_std).unsqueeze(1) * weight.unsqueeze(-1) / self.tasks

        def product(v):
            mean, width = tangent(*v)
            return adjoint((mean * precision, 2 * width / self.tasks))

        return product

    def fisher_recorded(self, sets):
        torch = self.torch
        theta = self.leaves()
        phi = self.adapted(theta, sets)
        grads = torch.autograd.grad(self.divergence(phi, [p.detach() for p in phi], sets), theta, create_graph=True)
        return lambda v: torch.autograd.grad(sum((g * d).sum() for g, d in zip(grads, v)), theta, retain_graph=True)

    def divergence(self, phi, old, sets):
        """Mean KL divergence from the policies `old`."""
        torch = self.torch
        x, _, weight = sets[-1]
        wider = (phi[-1] - old[-1]).unsqueeze(1)
        apart = (self.mean(old, x).detach() - self.mean(phi, x)) * torch.exp(-phi[-1]).unsqueeze(1)
        terms = wider + 0.5 * torch.exp(-2 * wider) - 0.5 + 0.5 * apart * apart
        return (terms.sum(-1) * weight).sum() / self.tasks

    def trial(self, theta, old, sets):
        torch = self.torch
        x, y, _ = sets[-1]
        phi = [p.detach() for p in self.adapted([p.detach().requires_grad_() for p in theta], sets, graph=False)]
        with torch.no_grad():
            ratio = torch.exp(self.density(phi, x, y[..., :-1]) - self.density(old, x, y[..., :-1]))
            return -(ratio * y[..., -1]).mean(), self.divergence(phi, old, sets)

    def flat(self, values):
        return self.torch.cat([v.reshape(-1) for v in values])

    def apart(self, flat):
        return [v.reshape(p.shape) for v, p in zip(flat.split(self.sizes), self.theta)]

    def solve(self, product, b):
        """Conjugate gradients, and the solution's product."""
        torch = self.torch
        x, r, d = torch.zeros_like(b), b.clone(), b.clone()
        rest = r @ r
        for _ in range(self.what["solver_steps"]):
            fd = product(d)
            step = rest / (d @ fd)
            x, r = x + step * d, r - step * fd
            now = r @ r
            d, rest = r + now / rest * d, now
        return x, b - r

    def step(self):
        """An iteration, on fresh tasks and episodes."""
        torch, what = self.torch, self.what
        goal = torch.rand(self.tasks, 2, device=self.device) - 0.5
        phi, sets = [p.detach().requires_grad_() for p in self.spread(self.theta)], []
        for k in range(what["steps"] + 1):
            sets.append(self.sample([p.detach() for p in phi], goal))
            if k < what["steps"]:
                phi = [p.detach().requires_grad_() for p in self.adapt(phi, *sets[k][:2], False)]
        old = [p.detach() for p in phi]
        _, grads = self.gradient(sets)
        fisher = self.fisher(sets)
        x, fx = self.solve(lambda v: self.flat(fisher(self.apart(v))) + what["damping"] * v, self.flat(grads))
        at, s = self.flat(self.theta), torch.sqrt(2 * what["trust_region"] / (x @ fx + 1e-8))
        for _ in range(what["search_steps"]):
            surrogate, divergence = self.trial(self.apart(at - s * x), old, sets)
            if surrogate < 0 and divergence <= what["trust_region"]:
                self.theta = self.apart(at - s * x)
                break
            s = s * what["search_factor"]
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    # ---- the comparison ----

    def check(self):
        """Loss, meta-gradient and a Fisher product from the trajectories in the file."""
        torch, given = self.torch, [tuple(self.load("set.%d.%s" % (k, n)) for n in ("x", "y", "weight")) for k in range(self.what["steps"] + 1)]
        losses, grads = self.gradient(given)
        product = self.fisher(given)([self.load("gradient." + n) for n in self.names])

        def norms(x, name):
            expected = self.load(name).reshape(x.shape)
            return float((x.detach() - expected).double().pow(2).sum()), float(expected.double().pow(2).sum())

        worst = max(peer.relative_error([norms(g, what + n) for g, n in zip(values, self.names)])
                    for what, values in (("gradient.", grads), ("product.", product)))
        return {"loss": float(losses.mean()), "loss_error": peer.relative_error([norms(losses, "loss")]), "grad_error": worst}

    def memory(self):
        return self.torch.cuda.max_memory_allocated() if self.device.type == "cuda" else peer.peak_bytes()


def prepare():
    o = peer.options("--double-backward")
    import torch

    if not hasattr(torch, "func") or not hasattr(torch.func, "linearize"):
        raise peer.Missing("PyTorch %s has no torch.func.linearize" % torch.__version__)
    torch.manual_seed(1)
    policy = Policy(torch, o)
    way = "double backward" if o.double_backward else "linearised"
    where = "GPU" if o.gpu else "%d thread%s" % (o.threads, "s" if o.threads > 1 else "")
    return "PyTorch %s, %s, %s" % (torch.__version__.split("+")[0], where, way), policy.check, policy.step, policy.memory


if __name__ == "__main__":
    peer.serve(prepare)
