#!/usr/bin/env bash
# From nothing to a checked campaign on real data: installs what is missing, builds, trains a network on Fashion-MNIST,
# attacks it, bounds it, checks every attack against the bounds. A second run finds everything in place.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s\n' "$*"; }

step "Installing what is missing"
scripts/setup.sh

step "Building (release)"
cmake --preset release >/dev/null
cmake --build --preset release --target temblor

temblor=build/release/temblor
out=out/demo
mkdir -p "$out"
began=$SECONDS

step "Training 784-128-64-32-10 on Fashion-MNIST"
if [[ -e $out/net.h5 ]]; then
  echo "$out/net.h5 is already there"
else
  "$temblor" train --dataset fashion-mnist --arch 784-128-64-32-10 --epochs 8 --seed 1 -o "$out/net.h5"
fi

step "Running the campaign of results/demo/demo.toml"
"$temblor" run results/demo/demo.toml --network "$out/net.h5" -o "$out/demo.h5"

step "Every drop against its bound"
"$temblor" check "$out/demo.h5" | sed '/^$/,$d' # the table; the whole text also has a replay command for each line

"$temblor" export "$out/demo.h5" --table points --format csv -o "$out/points.csv"
"$temblor" export "$out/demo.h5" --table checks --format csv -o "$out/checks.csv"

step "Done in $((SECONDS - began)) s after the build"
cat <<END
network     $out/net.h5
results     $out/demo.h5 (HDF5: docs/result-file.md; $temblor inspect $out/demo.h5)
tables      $out/points.csv, $out/checks.csv
END
