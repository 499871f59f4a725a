#!/usr/bin/env bash
# Installs what is missing, builds, and runs the tests with CTest. Arguments go to ctest: scripts/test.sh -R margin,
# scripts/test.sh -L unit. Nightly tests are left out; `ctest --preset nightly` runs all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release
exec ctest --preset release --parallel "$(nproc)" "$@"
