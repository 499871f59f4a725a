#!/usr/bin/env bash
# Builds the fuzz targets (tests/fuzz, one a reader) and runs each for SECONDS (60):
#   scripts/fuzz.sh [SECONDS [TARGET...]]
# Ends with 1 when an input crashes a reader, hangs it, or makes it take memory out of proportion. The input's path is
# printed; TARGET_fuzz PATH runs it again, with FUZZ_SHOW=1 saying whether the reader took it and why not. What the
# fuzzer learns stays in build/fuzz/corpus for the next time.
# FUZZ_NO_SETUP=1: nothing is installed; ends with 77 where Clang or its runtime is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-60}
shift || true
if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
  echo "fuzz: '$seconds' is no number of seconds: scripts/fuzz.sh [SECONDS [TARGET...]]" >&2
  exit 2
fi
runtime_there() {
  local program
  program=$(mktemp)
  echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
    clang++-14 -fsanitize=fuzzer,address,undefined -x c++ - -o "$program" 2>/dev/null
  local result=$?
  rm -f "$program"
  return $result
}
if [[ -z ${FUZZ_NO_SETUP:-} ]]; then
  scripts/setup.sh clang-14 libclang-rt-14-dev
elif ! runtime_there; then
  echo "fuzz: skipped: clang++-14 or its fuzzer runtime is missing (Debian: clang-14, libclang-rt-14-dev)"
  exit 77
fi

build=$PWD/build/fuzz
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
targets=("$@")
if ((${#targets[@]} == 0)); then
  for source in tests/fuzz/*_fuzz.cpp; do
    target=${source##*/}
    targets+=("${target%_fuzz.cpp}")
  done
fi

# Readers open files: these stay in memory where there is such a place.
shared=/dev/shm
[[ -w $shared ]] || shared=${TMPDIR:-/tmp}
TMPDIR=$(mktemp -d "$shared/temblor-fuzz-XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
"$build/tests/fuzz/fuzz_seeds" "$build/seeds"
mkdir -p "$build/findings"

# Memory: what a few bytes may ask for is bounded: 2 GiB in all and 512 MiB at once, under the sanitizers (the largest
# legitimate request is the table of a layer that moves 2^26 values). Thirty seconds for one input.
run() {
  local target=$1 dictionary=tests/fuzz/dictionaries/$1.dict corpora=("$build/corpus/$1")
  mkdir -p "${corpora[0]}"
  local seeds options=(-max_total_time="$seconds" -max_len=16384 -rss_limit_mb=2048 -malloc_limit_mb=512 -timeout=30
    -artifact_prefix="$build/findings/$target-" -print_final_stats=1 -verbosity=1)
  for seeds in "tests/fuzz/corpus/$target" "$build/seeds/$target"; do
    [[ -d $seeds ]] && corpora+=("$seeds")
  done
  [[ $target =~ ^(images_hdf5|network|fault_map)$ ]] && dictionary=tests/fuzz/dictionaries/hdf5.dict
  [[ -e $dictionary ]] && options+=(-dict="$dictionary")
  "$build/tests/fuzz/${target}_fuzz" "${options[@]}" "${corpora[@]}" >"$build/findings/$target.log" 2>&1
}

found=0
for target in "${targets[@]}"; do
  if run "$target"; then
    echo "fuzz: $target: $(grep -oE 'number_of_executed_units: *[0-9]+' "$build/findings/$target.log" | grep -oE '[0-9]+$')" \
      "inputs, no finding"
  else
    found=1
    echo "fuzz: $target: A FINDING (build/fuzz/findings/$target.log)" >&2
    grep -E '^(error with|broken promise|SUMMARY|==[0-9]+== ERROR|terminate called|  what)|runtime error' \
      "$build/findings/$target.log" | head -n 5 >&2 || true
    grep -oE 'Test unit written to .*' "$build/findings/$target.log" >&2 || true
  fi
done
exit "$found"
