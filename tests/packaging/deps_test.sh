#!/usr/bin/env bash
# deps_test.sh DEPS: runs scripts/deps.sh with an empty HOME and stand-ins for the package tools on PATH.
# The stand-ins write what they were asked for into $log.
set -euo pipefail

deps=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log
fakes=$work/fakes
real_python=$(command -v python3)
unset LibTorch_ROOT CMAKE_PREFIX_PATH L2C_DEPS_DIR XDG_CACHE_HOME CUDA CXX
export log

fail() {
  echo "FAILED: $current: $*" >&2
  echo "--- output:" >&2
  cat "$work/out" >&2
  exit 1
}

# fake NAME: an executable stand-in from standard input.
fake() {
  { echo '#!/usr/bin/env bash'; cat; } >"$fakes/$1"
  chmod +x "$fakes/$1"
}

make_libtorch() {
  mkdir -p "$1/include/ATen" "$1/include/torch/headeronly" "$1/lib"
  touch "$1/include/ATen/ATen.h" "$1/lib/libtorch_cpu.so"
  printf '#define TORCH_VERSION_MAJOR %s\n#define TORCH_VERSION_MINOR %s\n#define TORCH_VERSION_PATCH 0\n' \
    "$2" "$3" >"$1/include/torch/headeronly/version.h"
}

# Each case starts from an empty HOME, all Debian packages there, a pip that makes what was asked for.
start() {
  current=$1
  rm -rf "${work:?}/home" "$fakes" "$log" "$work/installed"
  mkdir -p "$work/home" "$fakes"
  : >"$log"
  export HOME=$work/home
  cache=$HOME/.cache/l2c
  fake dpkg-query <<'END'
# Like the real one: prints what it knows, fails when a name is unknown to it.
status=0
for package in "${@:3}"; do
  if [[ " $FAKE_MISSING " == *" $package "* && ! -e $FAKE_INSTALLED ]]; then status=1
  else echo "installed $package"; fi
done
exit $status
END
  fake apt-get <<'END'
echo "apt-get $*" >>"$log"
if [[ " $* " == *" install -y "* ]]; then touch "$FAKE_INSTALLED"; fi
END
  fake id <<'END'
echo "$FAKE_UID"
END
  fake cmake <<<'echo "cmake version 3.25.1"'
  fake ninja <<<':'
  fake 'g++' <<<'echo 12.2.0'
  fake python3 <<END
if [[ "\$*" != *" install "* ]]; then exec "$real_python" --version; fi
echo "pip \$*" >>"\$log"
while [[ \$1 != --target ]]; do shift; done
target=\$2
if [[ "\$*" == *torch==* ]]; then
  mkdir -p "\$target/torch/lib"
  touch "\$target/torch/lib/libtorch_cpu.so"
  sleep "\${FAKE_DOWNLOAD_SECONDS:-0}"
  cp -r "$work/wheel/torch/." "\$target/torch"
else
  mkdir -p "\$target/clang_format/data/bin"
  install -m 755 /dev/null "\$target/clang_format/data/bin/clang-format"
fi
END
}

run() { PATH=$fakes:$PATH "$deps" "$@" >"$work/out" 2>&1; }
times() { grep -c -- "$1" "$log" || true; }
expect_times() { [[ $(times "$2") == "$1" ]] || fail "expected $1 x '$2', got: $(cat "$log")"; }
expect_output() { grep -qF -- "$1" "$work/out" || fail "expected '$1' in the output"; }
expect_clean_cache() {
  [[ -z $(find "$cache" -name '*.partial.*') ]] || fail "partial folders left: $(ls "$cache")"
}

export FAKE_MISSING='' FAKE_UID=0 FAKE_INSTALLED=$work/installed
make_libtorch "$work/wheel/torch" 2 11

start 'the first run fetches, the second does nothing'
run || fail 'exit status'
expect_output '544 MB download, 1.2 GB on disk'
expect_times 1 'torch==2.11.0'
expect_times 1 'clang-format==18.1.8'
expect_times 0 'apt-get'
expect_clean_cache
: >"$log"
run || fail 'exit status of the second run'
[[ ! -s $log ]] || fail "the second run called: $(cat "$log")"
[[ $(wc -l <"$work/out") == 1 ]] || fail 'the second run prints one line'
run --print-libtorch || fail '--print-libtorch'
[[ $(cat "$work/out") == "$cache/libtorch-2.11.0-cpu/torch" ]] || fail '--print-libtorch'

start 'parallel runs download once'
export FAKE_DOWNLOAD_SECONDS=1
for i in 1 2 3; do
  PATH=$fakes:$PATH "$deps" >"$work/out.$i" 2>&1 &
done
for _ in 1 2 3; do wait -n || fail 'exit status of a parallel run'; done
cat "$work"/out.[123] >"$work/out"
expect_times 1 'torch==2.11.0'
expect_times 1 'clang-format==18.1.8'
expect_output 'waiting for it'
expect_clean_cache

start 'an interrupted run leaves nothing that looks complete'
export FAKE_DOWNLOAD_SECONDS=30
set -m # a process group of its own, so that all of it can be killed
PATH=$fakes:$PATH "$deps" >"$work/out" 2>&1 &
victim=$!
set +m
for _ in $(seq 100); do
  if compgen -G "$cache/*.partial.*/set/torch/lib/libtorch_cpu.so" >/dev/null; then break; fi
  sleep 0.05
done
kill -KILL -- "-$victim"
wait "$victim" 2>/dev/null || true
compgen -G "$cache/*.partial.*" >/dev/null || fail 'the run was not interrupted half-way'
[[ ! -e $cache/libtorch-2.11.0-cpu ]] || fail 'a half-filled folder under the final name'
if run --print-libtorch; then fail '--print-libtorch succeeds after an interrupted run'; fi
expect_output 'run make deps'
unset FAKE_DOWNLOAD_SECONDS
run || fail 'exit status after an interrupted run'
expect_clean_cache
run --print-libtorch || fail 'nothing there after the repeated run'

start 'a failing download is an error and leaves nothing'
sed -i 's/^echo "pip/exit 1 #/' "$fakes/python3"
if run; then fail 'exit status 0 although pip failed'; fi
expect_output 'pip could not fetch'
[[ ! -e $cache/libtorch-2.11.0-cpu ]] || fail 'a folder under the final name'

start 'root installs the missing packages'
export FAKE_MISSING='ninja-build libpng-dev'
run || fail 'exit status'
expect_output 'installing 2 Debian packages'
expect_times 1 'install -y --no-install-recommends ninja-build libpng-dev'
run || fail 'exit status of the second run'
expect_times 1 'install -y'

start 'without root: one line to run, and stop'
export FAKE_UID=1000
if run; then fail 'exit status 0'; else status=$?; fi
[[ $status == 1 ]] || fail "exit status $status"
[[ $(cat "$work/out") == 'sudo apt-get install -y --no-install-recommends ninja-build libpng-dev' ]] ||
  fail 'not the one line'
[[ ! -s $log && ! -e $cache ]] || fail 'something was done'
export FAKE_UID=0 FAKE_MISSING=''

start 'every package unknown to dpkg'
FAKE_MISSING=$(sed -n '/^readonly PACKAGES=(/,/)$/p' "$deps" | sed 's/readonly PACKAGES=(//; s/)//' |
  tr -s '\n ' ' ')
FAKE_UID=1000
if run; then fail 'exit status 0'; fi
expect_output 'sudo apt-get install -y --no-install-recommends cmake ninja-build g++'
FAKE_UID=0 FAKE_MISSING=''

start 'a LibTorch of the user is taken'
make_libtorch "$work/own libtorch" 2 9
LibTorch_ROOT="$work/own libtorch" run || fail 'exit status with LibTorch_ROOT'
expect_output "LibTorch 2.9.0 in $work/own libtorch"
mkdir -p "$work/site"
cp -r "$work/wheel/torch" "$work/site/torch"
CMAKE_PREFIX_PATH=/usr/nowhere:$work/site run || fail 'exit status with CMAKE_PREFIX_PATH'
expect_output "LibTorch 2.11.0 in $work/site/torch"
expect_times 0 'torch=='
make_libtorch "$work/old" 2 5
if LibTorch_ROOT=$work/old run; then fail 'LibTorch 2.5 was taken'; fi
expect_output 'holds no LibTorch >= 2.8'

start 'an old CMake is named'
fake cmake <<<'echo "cmake version 3.22.1"'
if run; then fail 'exit status 0'; fi
expect_output 'CMake >= 3.25 (found 3.22.1)'

start 'CUDA=1 takes the complete set'
mkdir -p "$work/wheel/torch/lib" && touch "$work/wheel/torch/lib/libtorch_cuda.so"
CUDA=1 run || fail 'exit status'
expect_output '2.7 GB download'
[[ $(times 'no-deps.*torch==') == 0 ]] || fail 'CUDA=1 leaves out dependencies'
[[ -e $cache/libtorch-2.11.0-cuda/torch/lib/libtorch_cuda.so ]] || fail 'nothing there'

echo 'deps_test: all cases passed'
