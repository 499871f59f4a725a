#!/usr/bin/env bash
# Installs with apt what building, testing and the demo need and this machine lacks. Nothing is done, and nothing is
# asked, when all is there. Arguments: further packages.
set -euo pipefail

packages=(
  build-essential cmake ninja-build pkg-config git ca-certificates
  libeigen3-dev libtbb-dev libboost-program-options-dev libboost-math-dev libhdf5-dev librandom123-dev
  libtomlplusplus-dev nlohmann-json3-dev libssl-dev zlib1g-dev libonnx-dev libprotobuf-dev
  catch2 python3-h5py hdf5-tools # for the tests
  coinor-cbc                     # the oracle of the exact bound, for the tests
  dataset-fashion-mnist          # the data of the demo
  "$@"
)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup: this is not a Debian system: install by other means what these packages hold: ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "setup: not root, and there is no sudo: run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "setup: installing ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >>"$log" 2>&1; }
install() { apt install -y --no-install-recommends "${missing[@]}"; }
# The package lists of a fresh machine are empty or old: they are fetched only when installing fails without.
if ! install && ! { apt update && install; }; then
  tail -n 15 "$log" >&2
  echo "setup: apt-get could not install ${missing[*]} (its last words are above): is this machine online, and does" \
    "/etc/apt name a Debian 12 mirror?" >&2
  exit 1
fi
