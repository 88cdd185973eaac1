"""Reads the C++ files of a checkout for the structure checks."""

import re
from dataclasses import dataclass, field
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
# Comments, raw strings, strings, characters. A ' after a letter or digit separates digits.
NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^()\\ ]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)


def blank(match):
    """The same number of lines, without the text."""
    return '""' + "\n" * match.group(0).count("\n")


@dataclass
class SourceFile:
    path: Path  # relative to the checkout
    text: str
    code: str = field(init=False)  # without comments and literals, same lines

    def __post_init__(self):
        self.code = NOT_CODE.sub(blank, self.text)

    @property
    def is_header(self):
        return self.path.suffix == ".h"

    @property
    def top(self):
        return self.path.parts[0]

    @property
    def module(self):
        """The module of a library file; None for the umbrella headers and outside the library."""
        parts = self.path.parts
        if parts[0] == "src":
            return parts[1] if len(parts) > 2 else "core"  # src/pch.h
        if parts[:2] == ("include", "l2c") and len(parts) > 3 and parts[2] != "torch":
            return parts[2]
        return None

    def includes(self):
        """(line, '<' or '"', name), in order; includes in comments don't count."""
        code_lines = self.code.split("\n")
        for match in INCLUDE.finditer(self.text):
            line = self.text.count("\n", 0, match.start(2)) + 1
            if "include" in code_lines[line - 1]:
                yield line, match.group(1), match.group(2)


def read_tree(root, tops):
    """The C++ files below the given top folders."""
    files = []
    for top in tops:
        for path in sorted((root / top).rglob("*")):
            if path.suffix in (".h", ".cpp", ".cu") and path.is_file():
                files.append(SourceFile(path.relative_to(root), path.read_text()))
    return files
