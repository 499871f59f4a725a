#!/usr/bin/env python3
"""Universal weight-pgd beside torch: 784-128-64-32-10, 10,000 images, 100 sign steps, one thread.

usage: peer_pgd.py BUILD/bench/pgd_bench [ROUNDS]

Both sides run in turn, ROUNDS times (default 3); the fastest of each counts, in seconds of processor time. Prints the
ratio torch / temblor (above 1: temblor is faster), our share of the machine's measured peak, and the times of the
per-image attack. temblor also keeps the worst perturbation met, and in minibatch mode measures the whole set after every
pass; torch does neither. Needs python3-torch."""

import json
import subprocess
import sys
import time

import torch

SIZES = [784, 128, 64, 32, 10]
IMAGES = 10000
STEPS = 100
EPS = 1e-3


def torch_pgd(base, images, labels, batch):
    low = [w - EPS for w in base]
    high = [w + EPS for w in base]
    weights = [w.clone().requires_grad_() for w in base]
    begin = time.process_time()
    for step in range(STEPS):
        first = step * batch % IMAGES
        z, y = images[first:first + batch], labels[first:first + batch]
        for i, w in enumerate(weights):
            z = z @ w.t()
            if i + 1 < len(weights):
                z = torch.relu(z)
        gradients = torch.autograd.grad(torch.nn.functional.cross_entropy(z, y), weights)
        with torch.no_grad():
            for w, g, l, h in zip(weights, gradients, low, high):
                w.add_(g.sign(), alpha=2.5 * EPS / STEPS)
                torch.max(torch.min(w, h, out=w), l, out=w)
    return time.process_time() - begin


def temblor(binary, name):
    out = subprocess.run([binary, "--benchmark_format=json", "--benchmark_filter=^" + name + "$"], check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out)["benchmarks"][0]


def main():
    binary = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    torch.set_num_threads(1)
    torch.manual_seed(1)
    base = [torch.randn(o, i) * (2 / i) ** 0.5 for i, o in zip(SIZES, SIZES[1:])]
    images = (2 * torch.rand(IMAGES, SIZES[0]) - 1).clamp(min=0)
    labels = torch.arange(IMAGES) % SIZES[-1]
    torch_pgd(base, images, labels, 512)

    print(f"torch {torch.__version__}, {STEPS} steps on {IMAGES} images, one thread, processor time")
    peak = max(temblor(binary, "fma")["GFLOPS"] for _ in range(rounds))
    for batch, goal in ((0, 1.5), (512, None)):
        own, peer = [], []
        for _ in range(rounds):
            peer.append(torch_pgd(base, images, labels, batch or IMAGES))
            own.append(temblor(binary, f"universal/batch:{batch}/threads:1")["cpu_time"] / 1e3)
        print(f"universal, {'full batch' if batch == 0 else f'batch {batch}'}: temblor {min(own):.2f} s, "
              f"torch {min(peer):.2f} s, ratio {min(peer) / min(own):.2f}" + (f" (goal {goal})" if goal else ""))
        if batch == 0:
            weights = sum(i * o for i, o in zip(SIZES, SIZES[1:]))
            dense = STEPS * IMAGES * 2 * (3 * weights - SIZES[0] * SIZES[1])
            done = dense - STEPS * IMAGES * 2 * SIZES[0] * SIZES[1]  # half of the images' pixels are 0, twice
            print(f"  peak {peak:.0f} GFLOPS; done {done / min(own) * 1e-9 / peak:.0%} of it, "
                  f"as dense arithmetic {dense / min(own) * 1e-9 / peak:.0%} (torch {dense / min(peer) * 1e-9 / peak:.0%})")
    two = temblor(binary, "universal_two_threads/batch:0/threads:2/real_time")["real_time"]
    print(f"universal, full batch, two threads: {two / 1e3:.2f} s of wall time")
    for images_, polish, every in ((100, 0, 0), (100, 2, 1), (10000, 0, 0), (10000, 2, 0)):
        name = f"per_sample/images:{images_}/polish:{polish}/all:{every}"
        own = min(temblor(binary, name)["cpu_time"] for _ in range(rounds))
        print(f"per sample, {images_} images, 200 steps, {'every class' if every else 'runner-up'}, "
              f"{polish} sweeps of polish: {own / 1e3:.3f} s")


if __name__ == "__main__":
    main()
