#!/usr/bin/env python3
"""check.py ROOT CHECK: runs one structure check on a checkout, prints its complaints.

check.py --self-test CHECK: shows that the check passes a sound tree and fails for each violation.
"""

import sys
import tempfile
from pathlib import Path

from checks import CHECKS
from violations import SOUND, VIOLATIONS


def write_tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def complaints_about(check, files):
    with tempfile.TemporaryDirectory() as folder:
        write_tree(Path(folder), files)
        return CHECKS[check](Path(folder))


def self_test(check):
    problems = []
    for complaint in complaints_about(check, SOUND):
        problems.append(f"complains about the sound tree: {complaint}")
    for files, expected in VIOLATIONS[check]:
        found = complaints_about(check, SOUND | files)
        if len(found) != 1 or expected not in found[0]:
            problems.append(f"{sorted(files)}: expected one complaint with '{expected}', got {found}")
    return problems


def main(arguments):
    if len(arguments) != 2 or arguments[1] not in CHECKS:
        sys.exit(f"{__doc__}\nChecks: {', '.join(CHECKS)}")
    folder, check = arguments
    found = self_test(check) if folder == "--self-test" else CHECKS[check](Path(folder))
    print("\n".join(found) if found else f"{check}: nothing to complain about")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
