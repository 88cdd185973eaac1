#!/usr/bin/env bash
# install_test.sh BUILD CMAKE CXX: installs the built library into a folder of its own, then builds and
# runs a project that uses it by find_package, without LD_LIBRARY_PATH.
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
if [[ -x $prefix/bin/l2c ]]; then
  (cd / && "$prefix/bin/l2c" --help >/dev/null)
  echo "the installed program runs"
fi
