#!/usr/bin/env bash
# Formats x error rates x protections of the demo's network: the study, its table and its picture.
#
#   results/compress/run.sh [IMAGES]      (test images, the first of the set: 1000; "all" for the whole test set)
#
# Writes out/compress/study.h5, study.csv and study.svg. The network is the demo's, trained when it is not there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

images=${1:-1000}
[[ $images == all ]] || images=first:$images
out=out/compress
net=out/demo/net.h5
scripts/setup.sh python3-matplotlib
cmake --preset release >/dev/null
cmake --build --preset release --target temblor >/dev/null
temblor=build/release/temblor
mkdir -p "$out" out/demo
[[ -e $net ]] ||
  "$temblor" train --dataset fashion-mnist --arch 784-128-64-32-10 --epochs 8 --seed 1 -o "$net"
"$temblor" study compress --network "$net" --dataset fashion-mnist --select "$images" \
  --formats fp32,bf16,fp8-e4m3,int8,int4 --ber 1e-7:1e-1:log:7 --protect none,secded,clip --trials 100 \
  -o "$out/study.h5" --csv "$out/study.csv"
# A Python of one's own may come first in PATH: the one that has Debian's packages is wanted.
python=python3
"$python" -c 'import matplotlib' 2>/dev/null || python=/usr/bin/python3
"$python" results/compress/plot.py "$out/study.csv" "$out/study.svg"
