#!/usr/bin/env python3
"""The census of single-bit faults beside torch: 784-128-64-32-10, 10,000 images, float32.

usage: peer_census.py BUILD/bench/census_bench [ROUNDS]

torch infers all images again for every fault, one thread; temblor takes the census. The fastest of ROUNDS counts on both
sides, in processor time (temblor's of all its threads together), so that other programs on the machine hardly matter. Prints
faults a second of one core, image outcomes a second, and what the same faults would take torch. Needs python3-torch."""

import json
import subprocess
import sys

from peer_eval import torch_trial

IMAGES = 10000


def main():
    program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    peer = float("inf")
    best = {}
    for _ in range(rounds):
        peer = min(peer, torch_trial(10))
        run = subprocess.run([program, "--benchmark_format=json"], check=True, capture_output=True, text=True)
        for row in json.loads(run.stdout)["benchmarks"]:
            name = row["name"].split("/")[1]
            if name not in best or row["cpu_time"] < best[name][0]:
                best[name] = (row["cpu_time"], row["real_time"], row["faults"])
    print(f"torch, full inference, one core: {1 / peer:8.1f} faults/s, {IMAGES / peer:9.3g} image outcomes/s")
    for name, (cpu, real, faults) in best.items():
        print(f"census {name:5} {faults:9.0f} faults: {cpu:6.2f} s of processor time, {real:6.2f} s elapsed; one core: "
              f"{faults / cpu:9.3g} faults/s, {IMAGES * faults / cpu:9.3g} image outcomes/s, {faults / cpu * peer:7.0f} x torch "
              f"(which would take {faults * peer / 3600:.1f} hours)")


if __name__ == "__main__":
    main()
