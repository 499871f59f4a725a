#!/usr/bin/env python3
"""Single-bit faults of a convolutional network beside torch: every trial infers all images again.

usage: peer_conv_faults.py BUILD/bench/conv_faults_bench [lenet5|resnet20 NETWORK.h5 DATASET [IMAGES [TRIALS [MEMORY [LAYER [FORMAT]]]]]]

torch runs the same architecture with random weights, one thread, in batches of 32, 128 and 500 images, of which the
fastest counts, as a fault injector on top of it does; temblor runs its benchmark on NETWORK.h5 in turn (without one: both architectures with random weights on
noise, where more faults come to nothing than in trained networks: not the figures to quote). Processor time on both
sides. Prints the ratio to torch of a trial and of full inference (above 1: temblor is faster), and each layer's. Needs
python3-torch."""

import json
import subprocess
import sys
import time

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x):
        short = x if self.more == 0 else nn.functional.pad(
            x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))
        return torch.relu(self.second(torch.relu(self.first(x))) + short)


def network(name):
    if name == "lenet5":
        return (1, 28, 28), nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
            nn.Linear(84, 10))
    blocks = [Block(a, b, s) for a, b, s in [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 +
              [(32, 64, 2)] + [(64, 64, 1)] * 2]
    return (3, 32, 32), nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1),
                                      nn.Flatten(), nn.Linear(64, 10))


def torch_trial(name, images, rounds):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    shape, model = network(name)
    model.eval()
    data = torch.rand(images, *shape)
    best = float("inf")
    with torch.no_grad():
        for size in (32, 128, 500) * rounds:
            begin = time.process_time()
            for batch in data.split(size):
                model(batch).argmax(1)
            best = min(best, time.process_time() - begin)
    return best


def compare(program, name, path, dataset, images=10000, trials=100, memory=()):
    peer = torch_trial(name, images, 3)
    command = [program, path, dataset, str(images), str(trials), *memory]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    peer = min(peer, torch_trial(name, images, 3))
    print(f"{name}, {images} images, {trials} single-bit faults, torch {torch.__version__}: {peer:.3f} s a trial")
    print(f"full inference {rows['full']:.3f} s: {peer / rows['full']:.2f} x torch")
    print(f"a fault {rows['trial']:.4f} s: {peer / rows['trial']:.1f} x torch")
    print(f"the same, 64 trials a pass {rows['shared']:.4f} s: {peer / rows['shared']:.1f} x torch")
    for row in rows["layers"]:
        print(f"  layer {row['layer']:2}: {row['trials']:4} trials, {row['trial']:.4f} s, "
              f"{peer / row['trial']:.1f} x, {row['affected']:.0f} images inferred to the end")


def main():
    program, *rest = sys.argv[1:]
    if rest:
        name, path, dataset, *numbers = rest
        compare(program, name, path, dataset, *(int(n) for n in numbers[:2]), memory=numbers[2:])
    else:
        compare(program, "lenet5", "lenet5", "noise", 10000, 200)
        compare(program, "resnet20", "resnet20", "noise", 1000, 60)


if __name__ == "__main__":
    main()
