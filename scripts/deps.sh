#!/usr/bin/env bash
# Brings what l2c stands on: Debian packages where missing, LibTorch and the pinned clang-format
# into a cache that all checkouts of one user share. A second run finds everything and does nothing.
#
#   scripts/deps.sh                   get what is missing
#   scripts/deps.sh --print-libtorch  print the LibTorch folder to build against
#   scripts/deps.sh --print-clang-format  print the pinned clang-format
#
# Environment: CUDA=1 (the complete wheel set, for builds with CUDA), L2C_DEPS_DIR (the cache),
# LibTorch_ROOT or CMAKE_PREFIX_PATH (a LibTorch of your own, taken instead).
set -euo pipefail
shopt -s inherit_errexit

readonly TORCH_VERSION=2.11.0
readonly TORCH_MINIMUM=2.8
readonly CLANG_FORMAT_VERSION=18.1.8
readonly PACKAGES=(cmake ninja-build g++ libfmt-dev libspdlog-dev libeigen3-dev libgtest-dev
  libgmock-dev nlohmann-json3-dev libcli11-dev libpng-dev libjpeg-dev zlib1g-dev libxxhash-dev libstb-dev
  ccache dataset-fashion-mnist
  python3 python3-pip ca-certificates)

cache=${L2C_DEPS_DIR:-${XDG_CACHE_HOME:-${HOME:?HOME is not set; set it or L2C_DEPS_DIR}/.cache}/l2c}
clang_format_dir=$cache/clang-format-$CLANG_FORMAT_VERSION
if [[ ${CUDA:-0} == 1 ]]; then
  libtorch_dir=$cache/libtorch-$TORCH_VERSION-cuda
else
  libtorch_dir=$cache/libtorch-$TORCH_VERSION-cpu
fi

say() { printf 'deps: %s\n' "$*" >&2; }
die() {
  say "$@"
  exit 1
}

# at_least HAVE NEED: compares dotted versions.
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# --- Debian packages -------------------------------------------------------------------------

missing_packages() {
  local installed package
  # dpkg-query fails for names it does not know, but prints the others.
  installed=" $({ dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${PACKAGES[@]}" 2>/dev/null ||
    true; } | sed -n 's/^installed //p' | tr '\n' ' ') "
  for package in "${PACKAGES[@]}"; do
    [[ $installed == *" $package "* ]] || printf '%s\n' "$package"
  done
}

# apt's own two lines: how much it will download, and how much disk that takes.
apt_sizes() {
  LC_ALL=C apt-get --assume-no install --no-install-recommends "$@" 2>/dev/null |
    grep -E '^(Need to get|After this operation)' | tr '\n' ' ' || true
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  if [[ $(id -u) != 0 ]]; then
    echo "sudo apt-get install -y --no-install-recommends ${missing[*]}"
    exit 1
  fi
  take_lock
  mapfile -t missing < <(missing_packages) # another run may have installed them meanwhile
  ((${#missing[@]})) || return 0
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  say "installing ${#missing[@]} Debian packages (once per machine): ${missing[*]}"
  say "with what they need: $(apt_sizes "${missing[@]}")"
  apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
    "${missing[@]}" >/dev/null
}

# tool_version COMMAND: the first dotted number of its --version, empty when it is absent.
tool_version() {
  local text
  text=$("$1" --version 2>/dev/null) || return 0
  [[ $text =~ [0-9]+(\.[0-9]+)+ ]] && printf '%s' "${BASH_REMATCH[0]}"
}

check_tools() {
  local problems=() have
  have=$(tool_version cmake)
  at_least "${have:-0}" 3.25 || problems+=("CMake >= 3.25 (found ${have:-none})")
  command -v ninja >/dev/null || problems+=("ninja")
  have=$("${CXX:-g++}" -dumpfullversion -dumpversion 2>/dev/null || true)
  [[ -n ${CXX:-} ]] || at_least "${have:-0}" 12 || problems+=("g++ >= 12 (found ${have:-none})")
  command -v python3 >/dev/null || problems+=("python3")
  ((${#problems[@]} == 0)) || die "missing: $(printf '%s; ' "${problems[@]}")install them first"
}

# --- LibTorch --------------------------------------------------------------------------------

# libtorch_version DIR: of the LibTorch in DIR (include/ and lib/), empty when there is none.
libtorch_version() {
  local header
  [[ -f $1/include/ATen/ATen.h && -f $1/lib/libtorch_cpu.so ]] || return 0
  # The version macros moved in 2.9.
  for header in torch/headeronly/version.h torch/csrc/api/include/torch/version.h; do
    [[ -f $1/include/$header ]] || continue
    awk '$2 == "TORCH_VERSION_MAJOR" {a = $3} $2 == "TORCH_VERSION_MINOR" {b = $3}
         $2 == "TORCH_VERSION_PATCH" {c = $3} END {if (a != "") print a "." b "." c}' \
      "$1/include/$header" | grep . && return 0
  done
  return 0
}

is_libtorch() {
  local version
  version=$(libtorch_version "$1")
  [[ -n $version ]] && at_least "$version" "$TORCH_MINIMUM"
}

# own_libtorch: prints the user's own LibTorch, if any.
own_libtorch() {
  local prefix candidate prefixes
  if [[ -n ${LibTorch_ROOT:-} ]]; then
    is_libtorch "$LibTorch_ROOT" ||
      die "LibTorch_ROOT=$LibTorch_ROOT holds no LibTorch >= $TORCH_MINIMUM" \
        "(include/ATen/ATen.h and lib/libtorch_cpu.so); correct it or unset it"
    printf '%s\n' "$LibTorch_ROOT"
    return
  fi
  IFS=':;' read -ra prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for prefix in "${prefixes[@]}"; do
    for candidate in "$prefix" "$prefix/torch" "$prefix/../.." "$prefix/../../.."; do
      if [[ -n $prefix ]] && is_libtorch "$candidate"; then
        (cd "$candidate" && pwd)
        return
      fi
    done
  done
}

libtorch_root() {
  local own
  own=$(own_libtorch)
  if [[ -n $own ]]; then
    printf '%s\n' "$own"
  elif is_libtorch "$libtorch_dir/torch"; then
    printf '%s\n' "$libtorch_dir/torch"
  fi
}

# --- the cache -------------------------------------------------------------------------------

# One run at a time works on the cache. Child processes inherit the lock: it is free only when a
# killed run's pip has ended, too.
lock_taken=
take_lock() {
  [[ -z $lock_taken ]] || return 0
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  if ! flock -n 9; then
    say "another run is at work in $cache: waiting for it"
    flock 9
  fi
  lock_taken=1
  rm -rf "$cache"/*.partial.* # of runs that were interrupted: nobody else holds the lock
}

require_disk() {
  local megabytes=$1 free
  free=$(df -Pk "$cache" | awk 'NR == 2 {print int($4 / 1024)}')
  ((free >= megabytes)) ||
    die "$cache has $free MB free, $megabytes MB are needed; free some or set L2C_DEPS_DIR"
}

# The wheels serve their C++ parts only: one set of tags, whatever Python the machine has.
wheel_tags() {
  local machine minor
  machine=$(uname -m)
  printf '%s\n' --only-binary=:all: --implementation cp --python-version 3.11 \
    --abi cp311 --abi abi3 --abi none --platform "manylinux2014_$machine"
  for minor in $(seq 28 -1 5); do
    printf '%s\n' --platform "manylinux_2_${minor}_$machine"
  done
}

# fetch_wheels FOLDER FILE REQUIREMENT...: unpacks the wheels aside and renames, so that FOLDER
# exists only when it is complete. FILE must be in it.
fetch_wheels() {
  local folder=$1 file=$2 partial=$1.partial.$$ tags options=(--no-cache-dir --no-compile
    --disable-pip-version-check --root-user-action=ignore)
  shift 2
  python3 -m pip --version >/dev/null || die "python3 has no pip; install it first"
  [[ -t 2 ]] || options+=(--quiet) # a progress bar for terminals only
  mapfile -t tags < <(wheel_tags)
  mkdir -p "$partial/tmp"
  TMPDIR=$partial/tmp python3 -m pip install "${options[@]}" "${tags[@]}" \
    --target "$partial/set" "$@" >&2 ||
    die "pip could not fetch $*; see its message above, then run make deps again"
  [[ -e $partial/set/$file ]] || die "the wheels do not hold $file"
  sync -f "$partial" # the name must not reach the disk before the files do
  rm -rf "$folder"
  mv -T "$partial/set" "$folder"
  rm -rf "$partial"
}

fetch_libtorch() {
  take_lock
  is_libtorch "$libtorch_dir/torch" && return 0 # by the run that this one waited for
  if [[ ${CUDA:-0} == 1 ]]; then
    say "LibTorch $TORCH_VERSION, CPU and CUDA: 2.7 GB download, 4.7 GB on disk," \
      "into $libtorch_dir; once per user"
    require_disk 8000
    fetch_wheels "$libtorch_dir" torch/lib/libtorch_cuda.so "torch==$TORCH_VERSION"
  else
    say "LibTorch $TORCH_VERSION, CPU: 544 MB download, 1.2 GB on disk," \
      "into $libtorch_dir; once per user"
    require_disk 2500
    # libtorch_cpu.so needs libcudart and libcupti even for CPU work.
    fetch_wheels "$libtorch_dir" torch/lib/libtorch_cpu.so --no-deps "torch==$TORCH_VERSION" \
      nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85
  fi
}

clang_format() { printf '%s\n' "$clang_format_dir/clang_format/data/bin/clang-format"; }

fetch_clang_format() {
  take_lock
  [[ -x $(clang_format) ]] && return 0
  say "clang-format $CLANG_FORMAT_VERSION: 2 MB download, into $clang_format_dir; once per user"
  require_disk 50
  fetch_wheels "$clang_format_dir" clang_format/data/bin/clang-format --no-deps \
    "clang-format==$CLANG_FORMAT_VERSION"
}

get_everything() {
  local root
  if command -v dpkg-query >/dev/null; then install_packages; fi
  check_tools
  root=$(libtorch_root)
  [[ -n $root ]] || fetch_libtorch
  [[ -x $(clang_format) ]] || fetch_clang_format
  root=$(libtorch_root)
  say "complete: LibTorch $(libtorch_version "$root") in $root"
}

case ${1:-} in
  '') get_everything ;;
  --print-libtorch)
    root=$(libtorch_root)
    [[ -n $root ]] || die "LibTorch is not there yet: run make deps"
    printf '%s\n' "$root"
    ;;
  --print-clang-format) clang_format ;;
  *) die "unknown option $1 (see the top of scripts/deps.sh)" ;;
esac
