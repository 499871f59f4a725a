#!/usr/bin/env python3
"""progressive-bit-search beside a plain torch implementation of the published method (Rakin, He, Fan, ICCV 2019).

usage: peer_pbs.py BUILD/bench/pbs_bench [TRIALS]

Both sides: the same int8 codes of 784-128-64-32-10, trained on Fashion-MNIST, the same batches of 128 images, one thread,
processor time. The peer: gradient by the decoded weights; every layer's n_b bits of largest gain are flipped together and the
whole network is inferred, n_b = 1, 2, .. until a layer raises the loss; the layer with the highest loss keeps its flips. Prints
flips until 11 % accuracy on the 10,000 test images, milliseconds an iteration, and ratios. Needs python3-torch, python3-h5py."""

import json
import subprocess
import sys
import tempfile
import time

import h5py
import torch

GOAL, FLIPS, BITS = 0.11, 60, 8


class Net:
    def __init__(self, path):
        self.codes, self.scale, self.bias = [], [], []
        with h5py.File(path) as file:
            for i in sorted(map(int, file["layers"])):
                layer = file[f"layers/{i}"]
                if "codes" in layer:
                    self.codes.append(torch.tensor(layer["codes"][:].astype("int64")))
                    self.scale.append(float(layer["scale"][0]))
                    self.bias.append(torch.tensor(layer["bias"][:]))
        self.weights = [self.decode(m, codes) for m, codes in enumerate(self.codes)]

    def decode(self, m, codes):
        signed = codes - ((codes >> (BITS - 1)) << BITS)
        return signed.to(torch.float32) * self.scale[m]

    def forward(self, z, weights=None):
        weights = weights or self.weights
        for m, (w, b) in enumerate(zip(weights, self.bias)):
            z = torch.nn.functional.linear(z, w, b)
            if m + 1 < len(weights):
                z = torch.relu(z)
        return z

    def flip(self, m, places):
        """Flips bits [places: index * BITS + bit] of layer m."""
        flat = self.codes[m].view(-1)
        for place in places:
            flat[place // BITS] ^= 1 << (place % BITS)
        index = torch.tensor([place // BITS for place in places])
        self.weights[m].view(-1)[index] = self.decode(m, flat[index])


def iteration(net, images, labels, moves):
    """One step of the search; returns how many bits it flipped."""
    loss_of = torch.nn.functional.cross_entropy
    leaves = [w.clone().requires_grad_() for w in net.weights]
    loss = loss_of(net.forward(images, leaves), labels)
    gradients = torch.autograd.grad(loss, leaves)
    with torch.no_grad():
        ranks = []
        for m, gradient in enumerate(gradients):
            up = 1 - 2 * ((net.codes[m].view(-1, 1) >> torch.arange(BITS)) & 1)  # does setting or clearing the bit
            gains = gradient.view(-1, 1) * up * (moves * net.scale[m])
            ranks.append(torch.topk(gains.view(-1), 16).indices.tolist())
        for count in range(1, 17):
            best = (loss.item(), None)
            for m in range(len(ranks)):
                net.flip(m, ranks[m][:count])
                after = loss_of(net.forward(images), labels).item()
                net.flip(m, ranks[m][:count])
                if after > best[0]:
                    best = (after, m)
            if best[1] is not None:
                net.flip(best[1], ranks[best[1]][:count])
                return count
    return 0


def search(path, images, labels, batch, batch_labels):
    net = Net(path)
    moves = torch.tensor([2.0**b for b in range(BITS - 1)] + [-(2.0 ** (BITS - 1))])
    flips = iterations = 0
    seconds, to_goal = 0.0, -1
    while flips < FLIPS and to_goal < 0:
        begin = time.process_time()
        done = iteration(net, batch, batch_labels, moves)
        seconds += time.process_time() - begin
        if done == 0:
            break
        flips += done
        iterations += 1
        if to_goal < 0:
            with torch.no_grad():
                right = (net.forward(images).argmax(1) == labels).float().mean().item()
            if right <= GOAL:
                to_goal = flips
    return to_goal, 1e3 * seconds / max(iterations, 1)


def spread(values):
    return f"{min(values):g} to {max(values):g}, mean {sum(values) / len(values):.3g}"


def main():
    program = sys.argv[1]
    trials = sys.argv[2] if len(sys.argv) > 2 else "10"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        network, data = f"{directory}/net.h5", f"{directory}/images.h5"
        run = subprocess.run([program, trials, network, data], check=True, capture_output=True, text=True)
        own = json.loads(run.stdout)
        with h5py.File(data) as file:
            images, labels = torch.tensor(file["images"][:]), torch.tensor(file["labels"][:].astype("int64"))
        peer = []
        for trial in own["trials"]:
            rows = torch.tensor(trial["rows"])
            peer.append(search(network, images, labels, images[rows], labels[rows]))
    print(f"int8 network: accuracy {own['accuracy']:.4f}; after 100 random flips {spread(own['random'])}")
    peer_flips, peer_ms = [f for f, _ in peer], [t for _, t in peer]
    print(f"torch {torch.__version__}: flips to {GOAL:.0%} {spread(peer_flips)}; iteration {spread(peer_ms)} ms")
    for setting in own["trials"][0]["settings"]:
        rows = [trial["settings"][setting] for trial in own["trials"]]
        flips, ms = [row["to_goal"] for row in rows], [row["iteration"] for row in rows]
        print(f"temblor, {setting:20}: flips to {GOAL:.0%} {spread(flips)}; iteration {spread(ms)} ms, "
              f"once {min(row['make'] for row in rows):.2g} ms; time of an iteration torch / temblor "
              f"{sum(peer_ms) / sum(ms):.1f} (best {min(peer_ms) / min(ms):.1f}), flips temblor / torch "
              f"{sum(flips) / sum(peer_flips):.2f}")


if __name__ == "__main__":
    main()
