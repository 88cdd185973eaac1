#!/usr/bin/env bash
# configure.sh PRESET: configures build/PRESET unless that was done with the same LibTorch before.
# (ninja itself runs CMake again when a CMakeLists.txt changed.)
set -euo pipefail

cd "$(dirname "$0")/.."
preset=$1
folder=build/$preset
libtorch=$(scripts/deps.sh --print-libtorch)

same_libtorch() { grep -qxF "LibTorch_ROOT:PATH=$libtorch" "$folder/CMakeCache.txt"; }

options=()
if [[ -f $folder/build.ninja ]] && same_libtorch; then
  [[ CMakePresets.json -nt $folder/build.ninja ]] || exit 0
elif [[ -f $folder/CMakeCache.txt ]]; then
  options+=(--fresh) # the paths found in another LibTorch must not stay
fi
echo "configuring $folder (LibTorch: $libtorch)"
exec cmake --preset "$preset" "${options[@]}" "-DLibTorch_ROOT:PATH=$libtorch"
