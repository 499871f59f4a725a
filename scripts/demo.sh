#!/usr/bin/env bash
# From nothing to checked campaigns on real data: installs what is missing, builds, trains a perceptron and a LeNet-5 on
# Fashion-MNIST, attacks them, bounds them, checks every attack against the bounds, and counts what every single bit of
# the LeNet-5 can do. A second run finds everything in place.
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

# train NAME OPTIONS...: a network, unless it is there.
train() {
  local net=$out/$1.h5
  shift
  if [[ -e $net ]]; then
    echo "$net is already there"
  else
    "$temblor" train --dataset fashion-mnist --seed 1 "$@" -o "$net"
  fi
}
# campaign SPEC NETWORK RESULT TABLES: runs a campaign of results/demo and holds it against its bounds.
campaign() {
  local result=$out/$3.h5 table
  step "Running the campaign of results/demo/$1.toml"
  "$temblor" run "results/demo/$1.toml" --network "$out/$2.h5" -o "$result"
  step "Every drop against its bound"
  "$temblor" check "$result" | sed '/^$/,$d' # the table; the whole text also has a replay command for each line
  for table in points checks; do
    "$temblor" export "$result" --table "$table" --format csv -o "$out/$4$table.csv"
  done
}

step "Training 784-128-64-32-10 on Fashion-MNIST"
train net --arch 784-128-64-32-10 --epochs 8
campaign demo net demo ''

step "Training a LeNet-5"
train lenet --arch lenet5 --epochs 4
campaign lenet lenet lenet-campaign lenet-

step "Every single bit of every int8 weight of the LeNet-5, on 100 images"
if [[ -e $out/lenet-census.h5 ]]; then
  echo "$out/lenet-census.h5 is already there"
else
  "$temblor" census --network "$out/lenet.h5" --dataset fashion-mnist --select first:100 --format int8 --top 5 \
    -o "$out/lenet-census.h5"
fi

step "Done in $((SECONDS - began)) s after the build"
cat <<END
networks    $out/net.h5, $out/lenet.h5
results     $out/demo.h5, $out/lenet-campaign.h5 (HDF5: docs/result-file.md; $temblor inspect $out/demo.h5)
census      $out/lenet-census.h5 (docs/census-file.md)
tables      $out/points.csv, $out/checks.csv, $out/lenet-points.csv, $out/lenet-checks.csv
END
