#!/usr/bin/env bash
# Formats the C++ files that git knows (and new ones that it does not ignore) with the pinned
# clang-format; with --check it changes nothing and fails when a file would change.
set -euo pipefail

cd "$(dirname "$0")/.."
clang_format=$(scripts/deps.sh --print-clang-format)
if [[ ! -x $clang_format ]]; then
  echo "$clang_format is missing: run make deps" >&2
  exit 1
fi
if [[ ${1:-} == --check ]]; then mode=(--dry-run -Werror); else mode=(-i); fi

list_files() {
  git ls-files -z --cached --others --exclude-standard -- '*.h' '*.cpp' '*.cu' 2>/dev/null ||
    find include src tools examples tests benchmarks fuzz -name '*.h' -print0 -o -name '*.cpp' -print0 \
      -o -name '*.cu' -print0
}
# Files that are deleted but still in git's index are passed over.
list_files | while IFS= read -r -d '' file; do
  if [[ -f $file ]]; then printf '%s\0' "$file"; fi
done | xargs -0 -r "$clang_format" "${mode[@]}"
