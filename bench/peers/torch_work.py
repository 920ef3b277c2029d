"""The work in PyTorch: the network as a function, the data, the comparison with what clMAML got."""
import torch
from torch.nn import functional as F

import peer


class Work:
    def __init__(self, path, threads, gpu):
        torch.set_num_threads(threads)
        if gpu and not torch.cuda.is_available():
            raise peer.Missing("this PyTorch has no GPU")
        self.device = torch.device("cuda" if gpu else "cpu")
        if gpu:  # the others compute in 32 bits as well
            torch.backends.cuda.matmul.allow_tf32 = False
            torch.backends.cudnn.allow_tf32 = False
        self.problem = peer.Problem(path)
        self.what = what = self.problem.what
        self.conv = what["filters"] > 0
        self.theta = [self.load("param.%d" % i).to(self.device).requires_grad_() for i in range(what["parameters"])]
        batch = []
        for part in ("support", "query"):
            x, y = self.load(part + "_x"), self.load(part + "_y")
            if self.conv:
                x = x.reshape(x.shape[0], x.shape[1], what["channels"], what["size"], what["size"])
                y = y.squeeze(-1).long()
            batch += [x, y]
        self.batch = batch
        self.adam = torch.optim.Adam(self.theta, lr=what["outer_lr"])

    def load(self, name):
        shape, data = self.problem.array(name)
        return torch.frombuffer(data, dtype=torch.float32).reshape(shape).clone()

    def on_device(self):
        """The batch goes to the device in every step, as new tasks would."""
        return [part.to(self.device) for part in self.batch]

    def network(self, p, x):
        if not self.conv:
            for i in (0, 2):
                x = F.relu(F.linear(x, p[i], p[i + 1]))
            return F.linear(x, p[4], p[5])
        for i in range(0, 16, 4):
            x = F.conv2d(x, p[i], p[i + 1], stride=2 if self.what["strided"] else 1, padding=1)
            x = F.relu(F.batch_norm(x, None, None, p[i + 2], p[i + 3], training=True))
            x = x if self.what["strided"] else F.max_pool2d(x, 2)
        return F.linear(x.mean((2, 3)) if self.what["strided"] else x.flatten(1), p[16], p[17])

    def loss(self, p, x, y):
        return F.cross_entropy(self.network(p, x), y) if self.conv else F.mse_loss(self.network(p, x), y)

    def update(self, grads):
        for parameter, grad in zip(self.theta, grads):
            parameter.grad = grad
        self.adam.step()

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def adapt(self):
        """Adapts to every task and predicts; what items without an outer loop do."""
        outputs = []
        for xs, ys, xq, _ in zip(*self.on_device()):
            p = self.theta
            for _ in range(self.what["steps"]):
                grads = torch.autograd.grad(self.loss(p, xs, ys), p)
                p = [(v - self.what["inner_lr"] * g).detach().requires_grad_() for v, g in zip(p, grads)]
            with torch.no_grad():
                outputs.append(self.network(p, xq).cpu())
        return torch.stack(outputs)

    def errors(self, losses, grads):
        def norms(x, name):
            expected = self.load(name).reshape(x.shape)
            x = x.detach().cpu()
            return float((x - expected).double().pow(2).sum()), float(expected.double().pow(2).sum())

        pairs = [norms(g, "grad.%d" % i) for i, g in enumerate(grads)]
        return {"loss": float(losses.detach().mean()), "loss_error": peer.relative_error([norms(losses, "loss")]),
                "grad_error": peer.relative_error(pairs)}

    def output_error(self, output):
        expected = self.load("output")
        pair = float((output - expected).double().pow(2).sum()), float(expected.double().pow(2).sum())
        return {"loss": 0.0, "loss_error": peer.relative_error([pair]), "grad_error": 0.0}

    def memory(self):
        return torch.cuda.max_memory_allocated() if self.device.type == "cuda" else peer.peak_bytes()
