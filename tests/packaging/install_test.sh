#!/usr/bin/env bash
# install_test.sh BUILD CMAKE CXX: installs the built library into a folder of its own, then builds and
# runs a project that uses it by find_package, without LD_LIBRARY_PATH, and ships it.
set -euo pipefail

build=$1 cmake=$2 cxx=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset LD_LIBRARY_PATH LibTorch_ROOT CMAKE_PREFIX_PATH
prefix="$work/a prefix"

"$cmake" --install "$build" --prefix "$prefix" >"$work/install.log"
"$cmake" -S "$here/consumer" -B "$work/consumer" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  "-DCMAKE_CXX_COMPILER=$cxx" "-DCMAKE_PREFIX_PATH=$prefix"
"$cmake" --build "$work/consumer"
"$work/consumer/plain"
"$work/consumer/tensors"
# What that project ships runs wherever it is put, with the LibTorch beside it.
"$cmake" --install "$work/consumer" --prefix "$work/shipped" >"$work/ship.log"
mv "$work/shipped" "$work/an app"
"$work/an app/bin/plain"
if ldd "$work/an app/bin/plain" | grep -E '/lib(torch|c10|gomp)' | grep -vF "=> $work/an app/"; then
  echo "the shipped program takes these from elsewhere"
  exit 1
fi
if [[ -x $prefix/bin/l2c ]]; then
  (cd / && "$prefix/bin/l2c" --help >/dev/null)
  echo "the installed program runs"
fi
