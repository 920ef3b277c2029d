#!/usr/bin/env python3
"""PyTorch 2, all tasks at once by torch.func.vmap; with --compile through torch.compile."""
import peer


def prepare():
    o = peer.options("--compile")
    import torch

    try:
        from torch.func import grad, grad_and_value, vmap
    except ImportError:
        raise peer.Missing("PyTorch %s has no torch.func" % torch.__version__)
    import torch_work

    work = torch_work.Work(o.file, o.threads, o.gpu)
    what = work.what

    def task_loss(theta, xs, ys, xq, yq):
        p = theta
        for _ in range(what["steps"]):
            grads = grad(work.loss)(p, xs, ys)
            if what["first_order"]:
                grads = [g.detach() for g in grads]
            p = [v - what["inner_lr"] * g for v, g in zip(p, grads)]
        return work.loss(p, xq, yq)

    def meta_loss(theta, *batch):
        losses = vmap(task_loss, in_dims=(None, 0, 0, 0, 0))(theta, *batch)
        return losses.mean(), losses

    meta = grad_and_value(meta_loss, has_aux=True)
    if o.compile:
        meta = torch.compile(meta)

    def mean():
        grads, (_, losses) = meta([p.detach() for p in work.theta], *work.on_device())
        return losses, grads

    def step():
        losses, grads = mean()
        work.update(grads)
        losses.mean().item()
        work.synchronize()

    name = "PyTorch %s, vmap%s, %s" % (torch.__version__, " + compile" if o.compile else "",
                                       "GPU" if o.gpu else "%d threads" % o.threads)
    return name, lambda: work.errors(*mean()), step, work.memory


if __name__ == "__main__":
    peer.serve(prepare)
