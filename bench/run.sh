#!/usr/bin/env bash
# Builds the benchmarks and runs each beside its peer: bench/run.sh [NAME...]   (names: those of bench/peer_NAME.py)
# Needs python3-torch and python3-numpy. Figures are of the machine it runs on; close other programs first.
set -eu
cd "$(dirname "$0")/.."
cmake --preset bench >/dev/null
cmake --build --preset bench
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for peer in bench/peer_*.py; do name=${peer#bench/peer_}; names+=("${name%.py}"); done
fi
for name in "${names[@]}"; do
  peer=bench/peer_$name.py
  [ -f "$peer" ] || { echo "run.sh: no $peer (names: $(ls bench/peer_*.py | sed 's/.*peer_//; s/\.py//' | tr '\n' ' '))" >&2; exit 2; }
  bench=$(ls build/bench/bench/"$name"*_bench | head -n 1)
  echo "== $name"
  if grep -q 'sys.argv\[1\]' "$peer"; then  # runs both sides itself
    /usr/bin/python3 "$peer" "$bench"
  else
    "$bench"
    /usr/bin/python3 "$peer"
  fi
done
