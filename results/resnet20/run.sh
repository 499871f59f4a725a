#!/usr/bin/env bash
# Bit search, random bit errors, sampled and exhaustive single faults on a ResNet-20 for CIFAR-10 that something else
# trained.
#
#   results/resnet20/run.sh MODEL.onnx CIFAR [SELECT]
#
# MODEL.onnx takes images (x / 255 - mean) / std with the means .485 .456 .406 and the deviations .229 .224 .225; CIFAR is
# a directory or file of CIFAR-10's binary version, SELECT the images that count (first:2000; single faults are sampled on
# first:200). Writes out/resnet20/*.h5, and the tables beside this script.
set -euo pipefail
[[ $# -ge 2 ]] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
model=$(realpath "$1")
cifar=$(realpath "$2")
select=${3:-first:2000}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

out=out/resnet20
here=results/resnet20
net=$out/resnet20.h5
cmake --preset release >/dev/null
cmake --build --preset release --target temblor >/dev/null
temblor=build/release/temblor
mkdir -p "$out"
[[ -e $net ]] || "$temblor" import "$model" --mean .485,.456,.406 --std .229,.224,.225 -o "$net"
"$temblor" eval --network "$net" --dataset "cifar10:$cifar"
"$temblor" run "$here/search.toml" --network "$net" --dataset "cifar10:$cifar" --select "$select" \
  -o "$out/search.h5"
"$temblor" run "$here/rates.toml" --network "$net" --dataset "cifar10:$cifar" --select "$select" \
  -o "$out/rates.h5"
"$temblor" export "$out/search.h5" --table trials --format csv -o "$here/search.csv"
"$temblor" export "$out/rates.h5" --table points --format csv -o "$here/rates.csv"
"$temblor" replay "$out/search.h5" --point 2 --trial 0 --log "$here/flips.csv" >/dev/null

# Every single fault of a stored bit: a sample by layer and bit, all of the last convolution, all of the dense layer.
[[ -e $out/strata.toml ]] || "$temblor" plan --network "$net" --dataset "cifar10:$cifar" --select first:200 --format int8 --error 2% \
  --strata layer,bit -o "$out/strata.toml" >/dev/null
"$temblor" run "$out/strata.toml" -o "$out/strata.h5"
"$temblor" export "$out/strata.h5" --table strata --format csv | grep -E '^population|,combined,' >"$here/strata.csv"
for layer in 18 19; do
  census=$out/census-$layer.h5
  [[ -e $census ]] || "$temblor" census --network "$net" --dataset "cifar10:$cifar" --select "$select" --format int8 \
    --layers "$layer" -o "$census" >/dev/null
  "$temblor" export "$census" --table bits --format csv >"$here/census-$layer.csv"
done
