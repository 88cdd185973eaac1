#!/usr/bin/env bash
# subproject_test.sh SOURCE CMAKE CXX LIBTORCH: configures a project that adds l2c as a folder.
set -euo pipefail

source=$1 cmake=$2 cxx=$3 libtorch=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" -S "$source/tests/packaging/subproject" -B "$work/build" -G Ninja \
  "-DCMAKE_CXX_COMPILER=$cxx" "-DL2C_SOURCE_DIR=$source" "-DLibTorch_ROOT=$libtorch" -DL2C_CUDA=OFF
