#!/usr/bin/env bash
# The experiments of Tsai, Hsu, Yu, Chen (arXiv 2103.02200) on multilayer perceptrons, from training to tables and
# plots. What is there already is not done again; take another folder to start anew.
#
#   results/paper/run.sh [-o FOLDER] [-d DATA_DIR] [PART...]
#
# PARTs, all of them in this order when none is given: train attack relative bounds tables
#   -o  where everything goes (out/paper)
#   -d  directory that holds mnist (four IDX files), or its parent: Debian has no package of it. Without it
#       TEMBLOR_DATA is looked at; without MNIST its half is left out, and said so.
# Environment: DATASETS, SEEDS, LAMBDAS, MUS choose a part of the grid; TEMBLOR names a program that is built already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

out=out/paper
data=()
while getopts "o:d:h" option; do
  case $option in
    o) out=$OPTARG ;;
    d) data=(--data-dir "$OPTARG") ;;
    h) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' && exit 0 ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
parts=("$@")
((${#parts[@]})) || parts=(train attack relative bounds tables)
for part in "${parts[@]}"; do
  case $part in
    train | attack | relative | bounds | tables) ;;
    *) echo "run.sh: unknown part '$part': train, attack, relative, bounds or tables" >&2 && exit 2 ;;
  esac
done

read -ra datasets <<<"${DATASETS:-fashion-mnist mnist}"
read -ra seeds <<<"${SEEDS:-1 2 3}"
read -ra lambdas <<<"${LAMBDAS:-0 0.01 0.03}"
read -ra mus <<<"${MUS:-0 0.001 0.003}"

scripts/setup.sh python3-h5py python3-numpy python3-matplotlib
temblor=${TEMBLOR:-build/release/temblor}
if [[ -z ${TEMBLOR:-} ]]; then
  cmake --preset release >/dev/null
  cmake --build --preset release --target temblor >/dev/null
fi
# A Python of one's own may come first in PATH: the one that has Debian's packages is wanted.
python=python3
"$python" -c 'import h5py, matplotlib, numpy' 2>/dev/null || python=/usr/bin/python3

# --data-dir for the set that needs it: Fashion-MNIST has a Debian package.
dir_of() { [[ $1 == fashion-mnist ]] || printf '%s\n' "${data[@]}"; }

known=()
for dataset in "${datasets[@]}"; do
  readarray -t dir < <(dir_of "$dataset")
  if "$temblor" inspect "$dataset" "${dir[@]:0:2}" >/dev/null 2>&1 || [[ ${parts[*]} == tables ]]; then
    known+=("$dataset")
  else
    echo "run.sh: $dataset is not there and is left out (name its directory by -d)" >&2
  fi
done

# Calls "$@" DATASET LAMBDA MU SEED for every network of the grid, seed by seed.
each() {
  local seed dataset lambda mu
  for seed in "${seeds[@]}"; do
    for dataset in "${known[@]}"; do
      readarray -t dir < <(dir_of "$dataset")
      for lambda in "${lambdas[@]}"; do
        for mu in "${mus[@]}"; do
          folder=$out/$dataset/lambda$lambda-mu$mu-seed$seed
          mkdir -p "$folder"
          "$@" "$dataset" "$lambda" "$mu" "$seed"
        done
      done
    done
  done
}

train() {
  [[ -e $folder/net.h5 ]] || "$temblor" train --dataset "$1" "${dir[@]:0:2}" --select first:20000 \
    --arch 784-128-64-32-10 --no-bias --epochs 10 --seed "$4" --loss margin-robust --form bound --bound norm-product \
    --eps 0.001 --lambda "$2" --mu "$3" -o "$folder/net.h5" 2>/dev/null
}

attack() {
  [[ -e $folder/gap.h5 ]] || "$temblor" generalize --network "$folder/net.h5" --dataset "$1" "${dir[@]:0:2}" \
    --select first:20000 --eps 5e-4,1e-3,2e-3,3e-3,4e-3,6e-3,8e-3 --steps 80 --batch 500 --images 0 --draws 0 \
    --noise-draws 0 -o "$folder/gap.h5" >/dev/null
  echo "$folder/gap.h5"
}

relative() {
  [[ -e $folder/relative.h5 ]] || "$temblor" run --network "$folder/net.h5" --dataset "$1" "${dir[@]:0:2}" \
    --select stratified:2000 --attack weight-pgd --set ball=relative --set steps=40 --r 0.01,0.02,0.03,0.05,0.1 \
    --trials 1 -o "$folder/relative.h5" >/dev/null
  echo "$folder/relative.h5"
}

# Of the first seed: a bound's tightness varies over images, not over seeds.
bounds() {
  [[ $4 == "${seeds[0]}" ]] || return 0
  [[ -e $folder/bounds.h5 ]] || "$temblor" run results/paper/bounds.toml --network "$folder/net.h5" --dataset "$1" \
    "${dir[@]:0:2}" -o "$folder/bounds.h5" >/dev/null
  echo "$folder/bounds.h5"
}

began=$SECONDS
for part in "${parts[@]}"; do
  echo "== $part"
  if [[ $part == tables ]]; then
    "$python" results/paper/tables.py "$out"
  else
    each "$part"
  fi
done
echo "== done in $((SECONDS - began)) s"
