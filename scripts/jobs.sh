#!/usr/bin/env bash
# Prints how many compilers may run at once: one a core, but no more than memory allows (1.2 GB each).
set -euo pipefail

readonly KIB_PER_JOB=1258291
cores=$(nproc)
memory=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo 2>/dev/null || true)
# A container may be allowed less than the machine has.
limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || true)
if [[ $limit =~ ^[0-9]+$ ]] && ((limit / 1024 < ${memory:-$((limit / 1024 + 1))})); then
  memory=$((limit / 1024))
fi
jobs=$((${memory:-$KIB_PER_JOB} / KIB_PER_JOB))
((jobs >= 1)) || jobs=1
echo $((jobs < cores ? jobs : cores))
