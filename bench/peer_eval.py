#!/usr/bin/env python3
"""Fault trials beside torch: 784-128-64-32-10, 10,000 images, float32.

usage: peer_eval.py BUILD/bench/evaluate_bench [ROUNDS]

torch infers all images again with a changed weight, one thread, as a fault injector on top of it does; temblor runs
its benchmark in turn. The fastest of ROUNDS counts on both sides, in processor time a trial, so that other programs on the
machine hardly matter; for two workers that of both together: 2 t(1) / t(2) is their speed-up on two free cores.
Prints trials a second, the ratio to torch (above 1: temblor is faster) and, for full inference, the
share of the machine's peak, measured in the same run by the benchmark `peak`. Needs python3-torch."""

import json
import subprocess
import sys
import time

import torch

FLOP = 2 * (784 * 128 + 128 * 64 + 64 * 32 + 32 * 10) * 10000
PEAK_FLOP = 2 * 8 * 12 * 100000


def torch_trial(rounds):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    sizes = [784, 128, 64, 32, 10]
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    images = torch.relu(2 * torch.rand(10000, 784) - 1)
    labels = torch.randint(0, 10, (10000,))
    best = float("inf")
    with torch.no_grad():
        for trial in range(rounds):
            begin = time.process_time()
            weight = network[0].weight
            before = weight[3, trial].item()
            weight[3, trial] = before * 2
            (network(images).argmax(1) == labels).sum().item()
            weight[3, trial] = before
            best = min(best, time.process_time() - begin)
    return best


def temblor_trials(program):
    run = subprocess.run([program, "--benchmark_format=json", "--benchmark_min_time=0.3"],
                         check=True, capture_output=True, text=True)
    return {b["name"]: b for b in json.loads(run.stdout)["benchmarks"]}


def main():
    program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    peer = float("inf")
    best = {}
    for _ in range(rounds):
        peer = min(peer, torch_trial(10))
        for name, row in temblor_trials(program).items():
            scale = {"ms": 1e-3, "us": 1e-6}[row["time_unit"]]
            seconds = row["cpu_time"] * scale
            best[name] = min(best.get(name, float("inf")), seconds)
    peak = PEAK_FLOP / best.pop("peak")
    print(f"torch, full inference, one core: {1 / peer:8.1f} trials/s, {1e3 * peer:7.2f} ms, "
          f"{FLOP / peer / 1e9:5.1f} GFlop/s; peak of one core {peak / 1e9:5.1f} GFlop/s")
    for name, seconds in best.items():
        rate = FLOP / seconds
        note = f", {rate / 1e9:5.1f} GFlop/s, {rate / peak:4.2f} of one core's peak" if name.startswith("full") else ""
        if name.endswith("threads:2"):
            alone = best.get(name.replace("threads:2", "threads:1"), best.get("flips/-1/1"))
            note = f", two workers: {2 * alone / seconds:4.2f} x one"
        print(f"{name:40} {1 / seconds:8.1f} trials/s, {1e3 * seconds:7.3f} ms, {peer / seconds:7.2f} x torch{note}")


if __name__ == "__main__":
    main()
