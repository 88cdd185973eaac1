#!/usr/bin/env bash
# self_test.sh ROOT CXX: the format check and the public header check fail where they must.
set -euo pipefail

root=$1 cxx=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAILED: $*"
  exit 1
}

mkdir -p "$work"/{include/l2c,include/fmt,src,tools,examples,tests,benchmarks,fuzz}
cp -r "$root/scripts" "$root/.clang-format" "$work"

echo 'int main() { return 0; }' >"$work/src/main.cpp"
GIT_CEILING_DIRECTORIES=$work "$work/scripts/format.sh" --check || fail 'well-formatted code is refused'
echo 'int  main(){return 0;}' >"$work/src/main.cpp"
if "$work/scripts/format.sh" --check 2>/dev/null; then fail 'ill-formatted code passes'; fi
"$work/scripts/format.sh"
"$work/scripts/format.sh" --check || fail 'formatting does not help'
if L2C_DEPS_DIR=$work/none "$work/scripts/format.sh" --check 2>"$work/message"; then
  fail 'passes without clang-format'
fi
grep -q 'run make deps' "$work/message" || fail 'does not say how to get clang-format'

header_check() { python3 "$root/tests/structure/public_header.py" "$work" "$cxx"; }
echo '#pragma once' | tee "$work/include/l2c/l2c.h" >"$work/include/fmt/format.h"
header_check || fail 'a plain header is refused'
echo '#include <fmt/format.h>' >>"$work/include/l2c/l2c.h"
if header_check; then fail 'a header that includes fmt passes'; fi
echo 'self_test: both checks fail where they must'
