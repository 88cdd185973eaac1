#!/usr/bin/env python3
"""public_header.py ROOT CXX: compiles <l2c/l2c.h> alone, without LibTorch's include path.

It must take less than two seconds of CPU time and read no LibTorch, fmt or spdlog header.
"""

import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT_S = 2.0
FOREIGN = re.compile(r"/(ATen|c10|torch|fmt|spdlog|nlohmann)/")


def cpu_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(root, compiler):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "main.cpp"
        source.write_text("#include <l2c/l2c.h>\nint main() {}\n")
        command = [compiler, "-std=c++20", "-I", f"{root}/include", str(source)]
        read = subprocess.run([*command, "-M"], check=True, capture_output=True, text=True).stdout
        foreign = [path for path in read.split() if FOREIGN.search(path)]
        seconds = min(cpu_seconds([*command, "-fsyntax-only"]) for _ in range(3))
    print(f"<l2c/l2c.h> compiles in {seconds:.2f} s (limit {LIMIT_S} s)")
    print("\n".join(f"it reads {path}" for path in foreign))
    return 1 if foreign or seconds >= LIMIT_S else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
