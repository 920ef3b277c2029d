#!/usr/bin/env python3
"""PyTorch, several single-threaded processes that share the tasks: on a CPU the fastest way that PyTorch itself has. Weights and gradients
lie in memory that the processes share; the first process adds up and updates."""
import multiprocessing

import peer
import torch_loop


def worker(work, torch, tasks, grads, losses, pipe):
    while pipe.recv() == "gradient":
        found, total = torch_loop.gradient(work, torch, tasks)
        losses[tasks.start:tasks.stop].copy_(found)
        for to, grad in zip(grads, total):
            to.copy_(grad)
        pipe.send("done")
    pipe.send(peer.peak_bytes())


def prepare():
    o = peer.options()
    import torch
    import torch_work

    work = torch_work.Work(o.file, 1, False)
    tasks, n = work.what["tasks"], o.threads
    if n < 2 or tasks < n:
        raise ValueError("%d tasks for %d processes" % (tasks, n))
    for parameter in work.theta:
        parameter.data.share_memory_()
    losses = torch.zeros(tasks).share_memory_()
    parts = [range(tasks * i // n, tasks * (i + 1) // n) for i in range(n)]
    fork, helpers = multiprocessing.get_context("fork"), []
    for part in parts[1:]:
        grads = [torch.zeros(p.shape).share_memory_() for p in work.theta]
        here, there = fork.Pipe()
        fork.Process(target=worker, args=(work, torch, part, grads, losses, there), daemon=True).start()
        helpers.append((here, grads))

    def mean():
        for pipe, _ in helpers:
            pipe.send("gradient")
        own, total = torch_loop.gradient(work, torch, parts[0])
        losses[:len(parts[0])].copy_(own)
        for pipe, grads in helpers:
            pipe.recv()
            total = [a.add_(b) for a, b in zip(total, grads)]
        return losses, [g / tasks for g in total]

    def step():
        work.update(mean()[1])
        losses.mean().item()

    def memory():
        total = peer.peak_bytes()
        for pipe, _ in helpers:
            pipe.send("end")
            total += pipe.recv()
        return total

    return "PyTorch %s, %d processes" % (torch.__version__, n), lambda: work.errors(*mean()), step, memory


if __name__ == "__main__":
    peer.serve(prepare)
