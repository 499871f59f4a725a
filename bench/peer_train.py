#!/usr/bin/env python3
"""One training epoch beside torch: 784-128-64-32-10, 60,000 images, batch 128, Adam, one thread and two.

usage: peer_train.py BUILD/bench/train_bench [ROUNDS]

Both sides run in turn, ROUNDS times; the fastest of each counts. Prints milliseconds and the ratio torch / temblor
(above 1: temblor is faster). Needs python3-torch."""

import json
import subprocess
import sys
import time

import torch


def torch_epoch(images, labels, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    sizes = [784, 128, 64, 32, 10]
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.002)
    start = time.perf_counter()
    total = 0.0
    for batch in torch.randperm(len(images)).split(128):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        total += loss.item()
    return 1e3 * (time.perf_counter() - start)


def own_epoch(program, threads):
    run = subprocess.run([program, f"--benchmark_filter=epoch/{threads}/", "--benchmark_format=json"],
                         check=True, capture_output=True, text=True)
    return json.loads(run.stdout)["benchmarks"][0]["real_time"]


def main():
    program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    generator = torch.Generator().manual_seed(1)
    images = (2 * torch.rand(60000, 784, generator=generator) - 1).clamp(min=0)
    labels = torch.randint(10, (60000,), generator=generator)
    print(f"torch {torch.__version__}")
    for threads in (1, 2):
        own, peer = [], []
        for _ in range(rounds):
            own.append(own_epoch(program, threads))
            peer.append(torch_epoch(images, labels, threads))
        print(f"{threads} thread(s): temblor {min(own):.0f} ms, torch {min(peer):.0f} ms, "
              f"ratio {min(peer) / min(own):.2f}")


if __name__ == "__main__":
    main()
