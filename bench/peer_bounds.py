#!/usr/bin/env python3
"""Bounds beside plain numpy: 784-128-64-32-10, all layers perturbed by eps = 1e-3, every class pair with the label.

usage: peer_bounds.py BUILD/bench/bounds_bench [ROUNDS]

Both sides run in turn, ROUNDS times (default 3), with as many threads as OPENBLAS_NUM_THREADS says (default 2); the
fastest of each counts. Prints milliseconds an image, in real and in processor time, and the ratios numpy / temblor
(above 1: temblor is faster). The numpy side is docs/theory.md as it reads, in double, for all images and pairs at once,
without any care for rounding and without shortcuts: lines in every hidden layer, both limits of every open unit.

With TEMBLOR_BENCH_NETWORK=NET.h5 (a chain of dense layers, from `temblor train --no-bias`) both sides bound that network
on Fashion-MNIST, and the means of the bounds over the first 20 images are printed side by side; otherwise each makes
a random network of its own. Needs python3-numpy, python3-h5py for a network file. auto_LiRPA is measured as well where
it is installed (bench/lirpa.py)."""

import gzip
import json
import os
import subprocess
import sys
import time

THREADS = int(os.environ.setdefault("OPENBLAS_NUM_THREADS", "2"))  # before numpy is loaded
import lirpa  # noqa: E402
import numpy as np  # noqa: E402

SIZES = (784, 128, 64, 32, 10)
EPS = 1e-3
STEPS = 30
IMAGES = {"norm-product": 10000, "interval": 10000, "linear-fast": 1000, "linear": 200, "linear-alpha": 20}
GOALS = {"interval": 0.01, "linear-fast": 0.05, "linear": 0.8, "linear-alpha": 20}


def random_problem():
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(o, i)) * np.sqrt(2.0 / i) for i, o in zip(SIZES, SIZES[1:])]
    images = np.maximum(0.0, rng.uniform(-1, 1, size=(10000, SIZES[0])))
    return weights, images, np.arange(10000) % SIZES[-1]


def trained_problem(path):
    import h5py
    weights = []
    with h5py.File(path) as file:
        for i in range(len(file["layers"])):
            layer = file["layers"][str(i)]
            if "bias" in layer:
                sys.exit(f"{path}: has biases; train it with --no-bias")
            if "weight" in layer:
                weights.append(layer["weight"][()].astype(np.float64))
    folder = os.environ.get("TEMBLOR_DATA", "/usr/share/datasets") + "/fashion-mnist/t10k-"
    with gzip.open(folder + "images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(folder + "labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(int)
    return weights, (images / np.float32(255)).astype(np.float64), labels


def interval_limits(weights, images):
    """Pre-activation limits of the hidden layers, theory, section 3."""
    p = images @ weights[0].T
    r = EPS * np.abs(images).sum(1, keepdims=True)
    limits = [(p - r, p + r)]
    for w in weights[1:-1]:
        low, up = (np.maximum(x, 0) for x in limits[-1])
        high, small = w + EPS, w - EPS
        limits.append((low @ np.maximum(small, 0).T + up @ np.minimum(small, 0).T,
                       up @ np.maximum(high, 0).T + low @ np.minimum(high, 0).T))
    return limits


def activations(weights, images):
    z, out = images, []
    for w in weights[:-1]:
        z = np.maximum(z @ w.T, 0)
        out.append(z)
    return out


def margins(weights, images, labels):
    f = activations(weights, images)[-1] @ weights[-1].T
    return f[np.arange(len(labels)), labels][:, None] - f


def interval(weights, images, labels):
    low, up = (np.maximum(x, 0) for x in interval_limits(weights, images)[-1])
    last, value = weights[-1], margins(weights, images, labels)
    for y in range(len(last)):
        rows = labels == y
        small = last[y] - last - 2 * EPS
        value[rows] -= low[rows] @ np.maximum(small, 0).T + up[rows] @ np.minimum(small, 0).T
    value[np.arange(len(labels)), labels] = 0
    return value


def norm_product(weights, images, labels):
    z = activations(weights, images)
    limits = interval_limits(weights, images)
    d = EPS * np.abs(images).sum(1)
    for k, w in enumerate(weights[1:-1]):
        total = np.minimum(z[k] + d[:, None], np.maximum(limits[k][1], 0)).sum(1)
        d = np.abs(w).sum(1).max() * d + EPS * total
    total = np.minimum(z[-1] + d[:, None], np.maximum(limits[-1][1], 0)).sum(1)
    last = weights[-1]
    norms = np.abs(last[:, None, :] - last[None, :, :]).sum(2)
    value = norms[labels] * d[:, None] + 2 * EPS * total[:, None]
    value[np.arange(len(labels)), labels] = 0
    return value


def lines(low, up):
    """Slopes and offset of the lines around relu on [low, up]: below * p, above * p + offset."""
    open_ = (low < 0) & (up > 0)
    above = np.where(open_, up / np.where(open_, up - low, 1), (low >= 0) * 1.0)
    below = np.where(open_, (up >= -low) * 1.0, (low >= 0) * 1.0)
    return below, above, np.where(open_, -low * above, 0), open_


def into(a, w):
    """Coefficients on a layer's outputs to coefficients on its inputs, theory, section 4."""
    return a @ w - EPS * np.abs(a).sum(1, keepdims=True)


def minimum(weights, drawn, limits, at, v, below):
    """Minimum of v . z over the relaxed network; v on the last of the drawn layers; the coefficients met."""
    constant, trace = 0, []
    for m in reversed(range(len(drawn))):
        _, above, offset, _ = drawn[m]
        pos, neg = np.maximum(v, 0), np.minimum(v, 0)
        constant = constant + (neg * offset[at]).sum(1)
        a = pos * below[m] + neg * above[at]
        trace.append((v, a))
        if m > 0:
            v = into(a, weights[m])
    low, up = limits[0]
    return constant + (np.maximum(a, 0) * low[at]).sum(1) + (np.minimum(a, 0) * up[at]).sum(1), trace[::-1]


def minimiser(weights, drawn, limits, at, trace, below):
    low, up = limits[0]
    p = [np.where(trace[0][1] > 0, low[at], up[at])]
    for m in range(len(drawn) - 1):
        v = trace[m][0]
        z = np.where(v >= 0, below[m] * p[m], drawn[m][1][at] * p[m] + drawn[m][2][at])
        p.append(z @ weights[m + 1].T - np.sign(trace[m + 1][1]) * EPS * z.sum(1, keepdims=True))
    return p


def best_minimum(weights, limits, at, v, steps):
    """Adam on the lower slopes of every row."""
    drawn = [lines(*x) for x in limits]
    below = [d[0][at] for d in drawn]
    best, trace = minimum(weights, drawn, limits, at, v, below)
    mean = [np.zeros_like(b) for b in below]
    square = [np.zeros_like(b) for b in below]
    for step in range(1, steps):
        p = minimiser(weights, drawn, limits, at, trace, below)
        for m, (_, _, _, open_) in enumerate(drawn):
            g = np.maximum(trace[m][0], 0) * p[m] * open_[at]
            mean[m] += 0.1 * (g - mean[m])
            square[m] += 0.001 * (g * g - square[m])
            move = mean[m] / (1 - 0.9 ** step) / (np.sqrt(square[m] / (1 - 0.999 ** step)) + 1e-300)
            below[m] = np.clip(below[m] + 0.01 ** ((step - 1) / (steps - 1)) * move, 0, 1)
        now, trace = minimum(weights, drawn, limits, at, v, below)
        best = np.maximum(best, now)
    return best


def tightened(weights, images, steps):
    limits = interval_limits(weights, images)
    for m in range(1, len(limits)):
        low, up = limits[m]
        at, unit = np.nonzero((low < 0) & (up > 0))
        for sign, side in ((1, low), (-1, up)):
            v = into(sign * np.eye(len(weights[m]))[unit], weights[m])
            best = sign * best_minimum(weights, limits[:m], at, v, steps)
            side[at, unit] = (np.maximum if sign == 1 else np.minimum)(side[at, unit], best)
    return limits


def backward(weights, images, labels, limits, steps):
    classes = len(weights[-1])
    at, other = np.nonzero(np.arange(classes) != labels[:, None])
    c = np.eye(classes)[labels[at]] - np.eye(classes)[other]
    low = best_minimum(weights, limits, at, into(c, weights[-1]), steps)
    value = interval(weights, images, labels)
    value[at, other] = np.minimum(value[at, other], margins(weights, images, labels)[at, other] - low)
    return value


def linear_fast(weights, images, labels):
    return backward(weights, images, labels, interval_limits(weights, images), 1)


def linear(weights, images, labels):
    return backward(weights, images, labels, tightened(weights, images, 1), 1)


def linear_alpha(weights, images, labels):
    return backward(weights, images, labels, tightened(weights, images, STEPS), STEPS)


def numpy_run(bound, weights, images, labels):
    times, value = [], None
    for first in range(0, len(images), 1000):  # bounds the memory
        block = slice(first, first + 1000)
        begin, cpu = time.perf_counter(), time.process_time()
        part = bound(weights, images[block], labels[block])
        times.append((time.perf_counter() - begin, time.process_time() - cpu))
        value = part if value is None else value
    first = value[:20]
    return [1e3 * sum(t) / len(images) for t in zip(*times)], first.sum() / (len(first) * (first.shape[1] - 1))


def temblor_run(binary, name):
    out = subprocess.run([binary, "--benchmark_format=json", f"--benchmark_filter=^{name}/threads:{THREADS}/"],
                         check=True, capture_output=True, text=True).stdout
    run = json.loads(out)["benchmarks"][0]
    return [run[t] / run["images"] for t in ("real_time", "cpu_time")], run["mean"]


def main():
    binary = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    network = os.environ.get("TEMBLOR_BENCH_NETWORK")
    weights, images, labels = trained_problem(network) if network else random_problem()
    print(f"numpy {np.__version__}, {THREADS} threads, eps {EPS:g}, {STEPS} steps of linear-alpha, best of {rounds} rounds; "
          "milliseconds an image, all pairs: real (processor)")
    for bound in (norm_product, interval, linear_fast, linear, linear_alpha):
        name = bound.__name__.replace("_", "-")
        own, peer = [], []
        for _ in range(rounds):
            times, peer_mean = numpy_run(bound, weights, images[:IMAGES[name]], labels[:IMAGES[name]])
            peer.append(times)
            times, own_mean = temblor_run(binary, name)
            own.append(times)
        real, cpu = (min(t) for t in zip(*own))
        peer_real, peer_cpu = (min(t) for t in zip(*peer))
        goal = f", goal {GOALS[name]:g}" if name in GOALS else ""
        means = f"; mean drop {own_mean:.4f}, numpy {peer_mean:.4f}" if network else ""
        print(f"{name:13} temblor {real:.4f} ({cpu:.4f}){goal}; numpy {peer_real:.4f} ({peer_cpu:.4f}); "
              f"ratio {peer_real / real:.1f} ({peer_cpu / cpu:.1f}){means}", flush=True)
        if lirpa.available() and name in lirpa.METHODS:
            times, mean = lirpa.run(name, weights, images, labels, EPS, STEPS)
            print(f"{'':13} auto_LiRPA {times[0]:.4f} ({times[1]:.4f}); ratio {times[0] / real:.1f} "
                  f"({times[1] / cpu:.1f}); mean drop of its images {mean:.4f}", flush=True)
    if not lirpa.available():
        print("auto_LiRPA is not installed: not measured")


if __name__ == "__main__":
    main()
