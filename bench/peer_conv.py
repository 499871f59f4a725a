#!/usr/bin/env python3
"""LeNet-5, ResNet-8 and ResNet-20 beside torch: inference and training steps (Adam; batch normalisation in the
ResNets) of 128 images, one thread each.

usage: peer_conv.py BUILD/bench/conv_bench [ROUNDS]

Both sides run in turn, ROUNDS times; the fastest of each counts. Prints milliseconds of processor time and the ratio
torch / temblor (above 1: temblor is faster). Needs python3-torch."""

import json
import subprocess
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 128


def lenet5():
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                         nn.Linear(84, 10))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.stride, self.more = stride, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        branch = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.stride != 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
        return F.relu(branch + x)


def resnet(blocks):
    layers = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    channels = 16
    for stage, outputs in enumerate((16, 32, 64)):
        for block in range(blocks):
            layers.append(Block(channels, outputs, 2 if stage and not block else 1))
            channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def fastest(action, seconds=2.0):
    """Least processor time of one call, in milliseconds."""
    best, start = float("inf"), time.process_time()
    action()
    while time.process_time() - start < seconds:
        before = time.process_time()
        action()
        best = min(best, 1e3 * (time.process_time() - before))
    return best


def torch_times(network, shape):
    images, labels = torch.rand(BATCH, *shape), torch.randint(10, (BATCH,))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.002)

    def infer():
        with torch.no_grad():
            network(images)

    def train():
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()

    network.train()
    step = fastest(train)
    network.eval()
    return {"forward_pass": fastest(infer), "training_step": step}


def own_time(program, name):
    run = subprocess.run([program, f"--benchmark_filter={name}$", "--benchmark_format=json"], check=True,
                         capture_output=True, text=True)
    return json.loads(run.stdout)["benchmarks"][0]["cpu_time"]


def main():
    program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    torch.set_num_threads(1)
    torch.manual_seed(1)
    print(f"torch {torch.__version__}, {BATCH} images, processor time")
    for name, make, shape in (("lenet5", lenet5, (1, 28, 28)), ("resnet8", lambda: resnet(1), (3, 32, 32)),
                              ("resnet20", lambda: resnet(3), (3, 32, 32))):
        own, peer = {}, {}
        for _ in range(rounds):
            for what, value in torch_times(make(), shape).items():
                peer[what] = min(value, peer.get(what, value))
                mine = own_time(program, f"{what}/{name}")
                own[what] = min(mine, own.get(what, mine))
        for what, value in own.items():
            print(f"{name} {what.replace('_', ' ')}: temblor {value:.1f} ms, torch {peer[what]:.1f} ms, "
                  f"ratio {peer[what] / value:.2f}")


if __name__ == "__main__":
    main()
