"""The C++ program in README.md is examples/readme.cpp, word for word.

    readme_program.py ROOT
"""
import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
blocks = re.findall(r"```cpp\n(.*?)```", (root / "README.md").read_text(), re.S)
program = (root / "examples/readme.cpp").read_text()
if [block.strip() for block in blocks] != [program.strip()]:
    sys.exit("README.md and examples/readme.cpp differ: copy the program into the README's ```cpp block")
lines = len(program.strip().splitlines())
if lines > 34:
    sys.exit(f"examples/readme.cpp has {lines} lines: keep it around 30")
