"""Peer of bounds_bench: the same two bounds on a problem of the same size, in plain numpy (double).

    OPENBLAS_NUM_THREADS=2 python3 bench/peer_bounds.py

784-128-64-32-10, 10,000 images, all layers perturbed by eps, every class pair with the label. No rounding
error is accounted for. Prints the best of five runs of each bound in milliseconds.
"""
import time

import numpy as np

SIZES = (784, 128, 64, 32, 10)
IMAGES = 10000
EPS = 1e-3


def problem():
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(o, i)) * np.sqrt(2.0 / i) for i, o in zip(SIZES, SIZES[1:])]
    images = np.maximum(0.0, rng.uniform(-1, 1, size=(IMAGES, SIZES[0])))
    return weights, images, np.arange(IMAGES) % SIZES[-1]


def boxes(weights, images, eps):
    """Post-activation intervals of the hidden layers, theory, section 3."""
    p = images @ weights[0].T
    r = eps * np.abs(images).sum(1, keepdims=True)
    low, up = np.maximum(p - r, 0), np.maximum(p + r, 0)
    out = [(low, up)]
    for w in weights[1:-1]:
        high, small = w + eps, w - eps
        p_up = up @ np.maximum(high, 0).T + low @ np.minimum(high, 0).T
        p_low = low @ np.maximum(small, 0).T + up @ np.minimum(small, 0).T
        low, up = np.maximum(p_low, 0), np.maximum(p_up, 0)
        out.append((low, up))
    return out


def nominal(weights, images):
    z, out = images, []
    for w in weights[:-1]:
        z = np.maximum(z @ w.T, 0)
        out.append(z)
    return out


def interval(weights, images, labels, eps):
    low, up = boxes(weights, images, eps)[-1]
    z = nominal(weights, images)[-1]
    last = weights[-1]
    value = np.zeros((IMAGES, SIZES[-1]))
    for y in range(SIZES[-1]):
        rows = labels == y
        d = last[y] - last
        small = d - 2 * eps
        worst = low[rows] @ np.maximum(small, 0).T + up[rows] @ np.minimum(small, 0).T
        value[rows] = z[rows] @ d.T - worst
    value[np.arange(IMAGES), labels] = 0
    return value


def norm_product(weights, images, labels, eps):
    z = nominal(weights, images)
    box = boxes(weights, images, eps)
    d = eps * np.abs(images).sum(1)
    for k, w in enumerate(weights[1:-1]):
        total = np.minimum(z[k] + d[:, None], box[k][1]).sum(1)
        d = np.abs(w).sum(1).max() * d + eps * total
    total = np.minimum(z[-1] + d[:, None], box[-1][1]).sum(1)
    last = weights[-1]
    norms = np.abs(last[:, None, :] - last[None, :, :]).sum(2)
    value = norms[labels] * d[:, None] + 2 * eps * total[:, None]
    value[np.arange(IMAGES), labels] = 0
    return value


def main():
    weights, images, labels = problem()
    for bound in (norm_product, interval):
        times = []
        for _ in range(5):
            begin, cpu = time.perf_counter(), time.process_time()
            bound(weights, images, labels, EPS)
            times.append((time.perf_counter() - begin, time.process_time() - cpu))
        print(f"{bound.__name__:13} {1e3 * min(t[0] for t in times):7.1f} ms  "
              f"(cpu {1e3 * min(t[1] for t in times):7.1f} ms)")


if __name__ == "__main__":
    main()
