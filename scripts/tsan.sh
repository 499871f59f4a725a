#!/usr/bin/env bash
# The parallel tests under ThreadSanitizer. Debian's oneTBB is not built with it, so that every hand-over inside it looks
# like a race: its source package is built with it first (into build/tsan-tbb, half a minute) and used for the tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh dpkg-dev
tbb=$PWD/build/tsan-tbb
if ! compgen -G "$tbb/b/*/libtbb.so.12" >/dev/null; then
  mkdir -p "$tbb"
  (cd "$tbb" && apt-get source --download-only onetbb && tar xf onetbb_*.orig.tar.* --strip-components=1) || {
    echo "cannot fetch oneTBB's source: add 'deb-src' to apt's sources and run 'apt-get update'" >&2
    exit 3
  }
  cmake -S "$tbb" -B "$tbb/b" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DTBB_TEST=OFF -DTBB_STRICT=OFF \
    -DTBBMALLOC_BUILD=OFF -DCMAKE_CXX_FLAGS="-fsanitize=thread -O1 -g1" \
    -DCMAKE_SHARED_LINKER_FLAGS=-fsanitize=thread >/dev/null
  cmake --build "$tbb/b" --target tbb
fi
cmake --preset tsan >/dev/null
cmake --build --preset tsan --target property_parallel_tests
LD_LIBRARY_PATH=$(dirname "$(compgen -G "$tbb/b/*/libtbb.so.12" | head -n 1)") exec ctest --preset tsan "$@"
