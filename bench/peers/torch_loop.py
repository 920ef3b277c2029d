#!/usr/bin/env python3
"""PyTorch, one task after the other: double backward through the inner steps, the graph of a task freed before the next."""
import peer


def task_gradient(work, torch, xs, ys, xq, yq):
    p, second = work.theta, not work.what["first_order"]
    for _ in range(work.what["steps"]):
        grads = torch.autograd.grad(work.loss(p, xs, ys), p, create_graph=second)
        p = [v - work.what["inner_lr"] * g for v, g in zip(p, grads)]
    loss = work.loss(p, xq, yq)
    return loss.detach(), torch.autograd.grad(loss, work.theta)


def gradient(work, torch, tasks):
    """Losses of these tasks and the sum of their gradients."""
    batch, total, losses = work.on_device(), None, []
    for t in tasks:
        loss, grads = task_gradient(work, torch, *(part[t] for part in batch))
        losses.append(loss)
        total = list(grads) if total is None else [a.add_(b) for a, b in zip(total, grads)]
    return torch.stack(losses), total


def prepare():
    o = peer.options()
    import torch
    import torch_work

    work = torch_work.Work(o.file, o.threads, o.gpu)
    tasks = work.what["tasks"]
    name = "PyTorch %s, loop, %s" % (torch.__version__, "GPU" if o.gpu else "%d thread%s" % (o.threads, "s" if o.threads > 1 else ""))
    if work.what["learner"]:
        return name, lambda: work.output_error(work.adapt()), work.adapt, work.memory

    def mean():
        losses, total = gradient(work, torch, range(tasks))
        return losses, [g / tasks for g in total]

    def step():
        losses, grads = mean()
        work.update(grads)
        losses.mean().item()
        work.synchronize()

    return name, lambda: work.errors(*mean()), step, work.memory


if __name__ == "__main__":
    peer.serve(prepare)
